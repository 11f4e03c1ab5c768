//! The single writer of a step: chunks in source order become batches of one transaction each.
//!
//! ```text
//! Produced ─▶ duplicates ─▶ write ─▶ taken? refused? ─▶ class of each unit ─▶ account
//!                                                                   │
//! batch full ─▶ undo, mappings, rejects, items (marks), batch row ──┴─▶ fence ─▶ commit
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use whimbrel_endpoint::{Coming, EndpointError, Fence, Txn, failpoint};
use whimbrel_ledger::undo::{InsertJournal, UndoUpdate};
use whimbrel_ledger::{Batch, Counts, Item, ItemStatus, Reject, batch, item, reject, undo};
use whimbrel_model::plan::{DuplicateConflict, Existing};
use whimbrel_model::{Account, Class, RowAccount, Table};
use whimbrel_transform::Notes;

use super::digests::RowDigester;
use super::judge::Settled;
use super::produced::{Produced, Reached, Refusal};
use crate::ports::{Ports, rfc3339};

/// What a step writes, and how.
pub(crate) struct StepContext<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) run: &'a str,
    pub(crate) step: u64,
    pub(crate) fence: Fence,
    pub(crate) table: Table,
    pub(crate) existing: Existing,
    pub(crate) duplicates: Option<DuplicateConflict>,
    pub(crate) mappings: bool,
    /// Whether columns of the table must not be shown.
    pub(crate) sensitive: bool,
    pub(crate) digester: RowDigester,
    /// In a retry, steps of earlier runs with rejects that wait: reading their units resolves them.
    pub(crate) origins: Vec<(String, u64)>,
}

/// The transaction under way and what it will account for.
pub(crate) struct Writer<'a> {
    context: StepContext<'a>,
    items: &'a mut [Item],
    pub(crate) next_batch: u64,
    open: Option<OpenBatch>,
    /// Units of the step by class, committed by all processes.
    pub(crate) committed: Counts,
}

pub(super) struct OpenBatch {
    pub(super) txn: Box<dyn Txn>,
    since: Duration,
    rows: u64,
    size: usize,
    /// The target counts on the next units.
    owes: bool,
    pub(super) units: Account,
    pub(super) row_account: RowAccount,
    notes: Notes,
    pub(super) undo_inserts: InsertJournal,
    pub(super) undo_updates: Vec<UndoUpdate>,
    pub(super) rejects: Vec<Reject>,
    /// Rejects of earlier runs that these units resolve.
    pub(super) resolved: Vec<Reject>,
    /// Indexes of the items it has units of.
    pub(super) touched: BTreeSet<usize>,
}

/// What is known to come after the units at hand.
#[derive(Clone, Copy)]
pub(crate) struct After<'a> {
    pub(crate) produced: &'a Produced,
    /// The batch is not closed before it.
    pub(crate) is_of_batch: bool,
}

/// A committed batch, for the event.
pub(crate) struct Committed {
    pub(crate) batch: u64,
    pub(crate) units: u64,
    pub(crate) rows: u64,
    pub(crate) took: Duration,
    pub(crate) last_item: usize,
    /// Violations of each of the plan's rules.
    pub(crate) rules: BTreeMap<String, u64>,
}

/// How one unit ended.
#[derive(Clone)]
pub(super) enum UnitEnd {
    Class(Class),
    Refused(Box<Refusal>),
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        context: StepContext<'a>,
        items: &'a mut [Item],
        next_batch: u64,
        committed: Counts,
    ) -> Self {
        Self { context, items, next_batch, open: None, committed }
    }

    /// Rows and bytes of the open batch, and how long it has been open.
    pub(crate) fn load(&self) -> (u64, usize, Duration) {
        self.open.as_ref().map_or((0, 0, Duration::ZERO), |open| {
            (open.rows, open.size, self.context.ports.clock.monotonic().saturating_sub(open.since))
        })
    }

    /// The items, with what is committed of them.
    pub(crate) fn items(&self) -> &[Item] {
        self.items
    }

    /// Takes the next units into the open batch. Those after them, where they are known already, are
    /// prepared meanwhile, and begun where they belong to the same batch.
    pub(crate) async fn accept(
        &mut self,
        produced: Produced,
        after: Option<After<'_>>,
    ) -> Result<(), EndpointError> {
        if self.open.is_none() {
            self.open = Some(self.begin().await?);
        }
        let open = self.open.as_mut().expect("a batch was begun");
        open.owes = false;
        // What is expected comes after a write: without one, it would itself be the next.
        if let Some(After { produced: after, is_of_batch }) = after
            && produced.is_written()
            && after.rows.len() > 0
        {
            open.owes = is_of_batch && self.context.duplicates.is_none() && after.is_whole();
            let coming = if open.owes { Coming::Surely } else { Coming::Likely };
            open.txn.expect(&self.context.table, &after.rows.chunk, coming);
        }
        open.take(&self.context, self.items, produced).await
    }

    /// Whether the next units belong to the open batch, come what may.
    pub(crate) fn owes(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.owes)
    }

    async fn begin(&self) -> Result<OpenBatch, EndpointError> {
        let txn = self.context.ports.target.begin(self.context.fence).await?;
        Ok(OpenBatch {
            txn,
            since: self.context.ports.clock.monotonic(),
            rows: 0,
            size: 0,
            owes: false,
            units: Account::default(),
            row_account: RowAccount::default(),
            notes: Notes::default(),
            undo_inserts: InsertJournal::default(),
            undo_updates: Vec::new(),
            rejects: Vec::new(),
            resolved: Vec::new(),
            touched: BTreeSet::new(),
        })
    }

    /// Commits the open batch: rows, undo, rejects, marks and accounts, or nothing of it.
    pub(crate) async fn commit(&mut self) -> Result<Option<Committed>, CommitError> {
        let Some(mut open) = self.open.take() else { return Ok(None) };
        if !open.units.balances() || !open.row_account.balances() {
            return Err(CommitError::Unbalanced {
                table: self.context.table.name.clone(),
                units: Box::new(open.units),
                rows: Box::new(open.row_account),
            });
        }
        failpoint!("core.batch.before_bookkeeping");
        let context = &self.context;
        let now = rfc3339(context.ports.clock.now());
        let touched: Vec<Item> =
            open.touched.iter().map(|&index| self.items[index].clone()).collect();
        let table = &context.table.name;
        open.undo_updates.iter_mut().for_each(|update| update.batch = self.next_batch);
        undo::put(
            open.txn.as_mut(),
            context.run,
            context.step,
            self.next_batch,
            table,
            std::mem::take(&mut open.undo_inserts),
            &open.undo_updates,
        )
        .await?;
        open.resolved.iter_mut().for_each(|reject| reject.resolved_at = Some(now.clone()));
        reject::put(open.txn.as_mut(), &open.resolved).await?;
        reject::put(open.txn.as_mut(), &open.rejects).await?;
        failpoint!("core.batch.before_mark");
        item::put(open.txn.as_mut(), &touched).await?;
        let row = Batch {
            run: context.run.to_owned(),
            step: context.step,
            batch: self.next_batch,
            fence: context.fence.0,
            first_item: touched.first().map_or(0, |item| item.ordinal),
            last_item: touched.last().map_or(0, |item| item.ordinal),
            units: open.units,
            rows: open.row_account,
            notes: open.notes.to_json(),
            committed_at: now,
        };
        batch::put(open.txn.as_mut(), &row).await?;
        failpoint!("core.batch.before_commit");
        let rules = open.violations();
        open.txn.commit().await?;
        failpoint!("core.batch.after_commit");
        self.committed.add(&Counts::of(&open.units));
        self.next_batch += 1;
        Ok(Some(Committed {
            batch: row.batch,
            units: open.units.read.n(),
            rows: open.row_account.inserted.n() + open.row_account.updated.n(),
            took: context.ports.clock.monotonic().saturating_sub(open.since),
            last_item: open.touched.last().copied().unwrap_or(0),
            rules,
        }))
    }

    /// Drops the open batch; nothing of it was ever there.
    pub(crate) async fn abandon(&mut self) -> Result<(), EndpointError> {
        match self.open.take() {
            Some(open) => open.txn.rollback().await,
            None => Ok(()),
        }
    }
}

/// A batch could not be committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    #[error("the accounts of a batch of `{table}` do not balance")]
    Unbalanced { table: String, units: Box<Account>, rows: Box<RowAccount> },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl OpenBatch {
    /// How often each rule was broken: by rejected units and by warned ones.
    fn violations(&self) -> BTreeMap<String, u64> {
        let mut rules = BTreeMap::new();
        for reject in &self.rejects {
            if let Some(rule) = &reject.rule {
                *rules.entry(rule.clone()).or_default() += 1;
            }
        }
        for (key, note) in self.notes.iter().filter(|(key, _)| !key.rule.is_empty()) {
            *rules.entry(key.rule.to_string()).or_default() += note.count;
        }
        rules
    }

    async fn take(
        &mut self,
        context: &StepContext<'_>,
        items: &mut [Item],
        produced: Produced,
    ) -> Result<(), EndpointError> {
        self.size += produced.size;
        self.rows += produced.counted();
        let Settled { written, ends, losers } = self.settle(context, items, &produced).await?;
        if let Some(losers) = &losers {
            self.remember_seen(context, items, &produced, &ends, losers).await?;
        }
        if context.mappings {
            self.remember_mappings(context, items, &produced, &written, &ends, losers).await?;
        }
        self.archive(context, items, &produced.units, &ends).await?;
        let classes = self.account(context, items, &produced, ends)?;
        if !context.origins.is_empty() {
            for reached in &produced.items {
                let units = produced.units.iter().zip(&classes);
                let own = units.filter(|(unit, _)| unit.item == reached.item);
                let own = own.map(|(unit, class)| (unit.ordinal, *class)).collect();
                self.resolve(context, &items[reached.item], reached, own).await?;
            }
        }
        self.notes.merge(produced.notes);
        for reached in produced.items {
            self.touched.insert(reached.item);
            reach(&mut items[reached.item], reached);
        }
        Ok(())
    }
}

/// Notes in an item how far it has come.
fn reach(item: &mut Item, reached: Reached) {
    item.state = reached.state;
    item.mark = reached.mark;
    item.status = ItemStatus::Running;
    if let Some(end) = reached.end {
        item.status = ItemStatus::Completed;
        item.lines = end.lines;
        item.skipped = end.skipped;
        item.error_message = end.aside;
    }
}
