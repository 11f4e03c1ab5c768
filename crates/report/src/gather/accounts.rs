//! The two accounts of every table: source units and target rows.

use whimbrel_ledger::{Batch, ItemHead, ItemStatus, Step};
use whimbrel_model::{Account, Class, RowAccount, Sum};

use super::limits;
use super::run::name;
use crate::report::{
    Figure, FilesOfTable, Listed, RowAccounts, TableDigests, TableRow, UnitAccounts,
};
use crate::shown::hex;

/// The tables so far; batches and items belong to the last one begun.
#[derive(Default)]
pub(super) struct Tables {
    all: Vec<Tally>,
}

struct Tally {
    step: u64,
    table: String,
    status: &'static str,
    units: Account,
    rows: RowAccount,
    rejects: u64,
    files: FilesOfTable,
}

/// What all tables come to.
pub(super) struct Totals {
    pub(super) units: UnitAccounts,
    pub(super) rows: RowAccounts,
    pub(super) balanced: bool,
    pub(super) tables: Listed<TableRow>,
    pub(super) digests: Listed<TableDigests>,
}

impl Tables {
    pub(super) fn begin(&mut self, step: &Step, table: &str) {
        self.all.push(Tally {
            step: step.step,
            table: name(table),
            status: step.status.word(),
            units: Account::default(),
            rows: RowAccount::default(),
            rejects: 0,
            files: FilesOfTable::default(),
        });
    }

    pub(super) fn batch(&mut self, batch: &Batch) {
        let tally = self.all.last_mut().expect("a table was begun");
        tally.units.merge(&batch.units);
        tally.rows.merge(&batch.rows);
    }

    pub(super) fn rejects(&mut self, listed: u64) {
        self.all.last_mut().expect("a table was begun").rejects += listed;
    }

    pub(super) fn item(&mut self, item: &ItemHead) {
        let files = &mut self.all.last_mut().expect("a table was begun").files;
        files.total += 1;
        match item.status {
            ItemStatus::Pending => files.pending += 1,
            ItemStatus::Running => files.running += 1,
            ItemStatus::Completed => files.completed += 1,
        }
        files.lines += item.lines.unwrap_or(0);
        files.skipped += item.skipped.unwrap_or(0);
    }

    /// The totals. A run under way may have committed more rejects since its batches were read.
    pub(super) fn finish(&self, under_way: bool) -> Totals {
        let mut units = Account::default();
        let mut rows = RowAccount::default();
        for tally in &self.all {
            units.merge(&tally.units);
            rows.merge(&tally.rows);
        }
        Totals {
            units: unit_accounts(&units),
            rows: row_accounts(&rows),
            balanced: self.all.iter().all(|tally| tally.balances(under_way)),
            tables: Listed::first(
                self.all.iter().map(|tally| table_row(tally, under_way)).collect(),
                limits::TABLES,
            ),
            digests: Listed::first(self.all.iter().map(digests).collect(), limits::TABLES),
        }
    }
}

impl Tally {
    fn balances(&self, under_way: bool) -> bool {
        self.units.balances() && self.rows.balances() && self.rejects_agree(under_way)
    }

    fn rejects_agree(&self, under_way: bool) -> bool {
        under_way || self.rejects == self.units.class(Class::Rejected).n()
    }
}

fn table_row(tally: &Tally, under_way: bool) -> TableRow {
    TableRow {
        step: tally.step,
        table: tally.table.clone(),
        status: tally.status,
        units: unit_accounts(&tally.units),
        units_balance: tally.units.balances(),
        rows: row_accounts(&tally.rows),
        rows_balance: tally.rows.balances(),
        rejects_listed: tally.rejects,
        rejects_agree: tally.rejects_agree(under_way),
        files: tally.files,
    }
}

fn figure(sum: &Sum) -> Figure {
    Figure { count: sum.n(), bytes: sum.bytes() }
}

fn unit_accounts(account: &Account) -> UnitAccounts {
    let class = |class| figure(account.class(class));
    UnitAccounts {
        read: figure(&account.read),
        loaded: class(Class::Loaded),
        updated: class(Class::Updated),
        unchanged: class(Class::Unchanged),
        rejected: class(Class::Rejected),
        filtered: class(Class::Filtered),
        duplicate: class(Class::Duplicate),
    }
}

fn row_accounts(account: &RowAccount) -> RowAccounts {
    RowAccounts {
        produced: figure(&account.produced),
        inserted: figure(&account.inserted),
        updated: figure(&account.updated),
        unchanged: figure(&account.unchanged),
    }
}

fn digests(tally: &Tally) -> TableDigests {
    let class = |class| hex(&tally.units.class(class).value());
    TableDigests {
        table: tally.table.clone(),
        read: hex(&tally.units.read.value()),
        loaded: class(Class::Loaded),
        updated: class(Class::Updated),
        unchanged: class(Class::Unchanged),
        rejected: class(Class::Rejected),
        filtered: class(Class::Filtered),
        duplicate: class(Class::Duplicate),
        rows_produced: hex(&tally.rows.produced.value()),
        rows_inserted: hex(&tally.rows.inserted.value()),
        rows_updated: hex(&tally.rows.updated.value()),
        rows_unchanged: hex(&tally.rows.unchanged.value()),
    }
}
