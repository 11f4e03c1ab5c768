//! Items: one file or table of a source in one step, with the mark up to which it is committed.

use whimbrel_endpoint::{EndpointError, Operator, Order, Target, Txn};
use whimbrel_model::{Account, Class, SourceMark, Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::run::words;
use crate::tables;

/// How an item stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemStatus {
    /// Nothing of it is committed.
    Pending,
    /// Committed up to its mark.
    Running,
    /// Committed whole.
    Completed,
}

words!(ItemStatus {
    Pending = "pending",
    Running = "running",
    Completed = "completed",
});

/// What an item is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ItemKind {
    /// A file.
    File,
    /// The rows of a database.
    Table,
}

words!(ItemKind { File = "file", Table = "table" });

/// A row of `migration_items`.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// The run.
    pub run: String,
    /// The step.
    pub step: u64,
    /// Source order within the step, from 0.
    pub ordinal: u64,
    /// What it is.
    pub kind: ItemKind,
    /// Name of the source.
    pub source: String,
    /// Path, relative to the plan; of a database, what its source calls its rows.
    pub source_file: String,
    /// How it stands.
    pub status: ItemStatus,
    /// JSON: size, time of change, inode.
    pub facts: String,
    /// Ordinal of the item's first unit: the item's ordinal in the upper 32 bits.
    pub first_unit: u64,
    /// Where reading goes on.
    pub mark: Option<SourceMark>,
    /// The transform's state at the mark.
    pub state: Option<Vec<u8>>,
    /// Units behind the mark.
    pub counts: Counts,
    /// Physical lines, once the file is done.
    pub lines: Option<u64>,
    /// Blank lines and comments, once the file is done.
    pub skipped: Option<u64>,
    /// Why it is left out or rejected as a whole.
    pub error_message: Option<String>,
}

/// Units by class.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Units read.
    pub read: u64,
    /// Units per class, in the order of [`Class::ALL`].
    pub classes: [u64; 6],
}

impl Counts {
    /// The counts of an account.
    pub fn of(account: &Account) -> Self {
        Self { read: account.read.n(), classes: account.classes.map(|sum| sum.n()) }
    }

    /// Counts one unit.
    pub fn count(&mut self, class: Class) {
        self.read += 1;
        self.classes[class as usize] += 1;
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.classes.iter_mut().zip(other.classes).for_each(|(mine, other)| *mine += other);
    }

    /// Units of one class.
    pub fn class(&self, class: Class) -> u64 {
        self.classes[class as usize]
    }

    /// True where every unit read is in one class.
    pub fn balance(&self) -> bool {
        self.classes.iter().sum::<u64>() == self.read
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = Value> {
        std::iter::once(self.read).chain(self.classes).map(Value::from)
    }

    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        let read = cells.int()?;
        let mut classes = [0; 6];
        for class in &mut classes {
            *class = cells.int()?;
        }
        Ok(Self { read, classes })
    }
}

impl Stored for Item {
    fn table() -> &'static Table {
        &tables::ITEMS
    }

    fn values(&self) -> Vec<Value> {
        let mut values = vec![
            self.run.as_str().into(),
            self.step.into(),
            self.ordinal.into(),
            self.kind.word().into(),
            self.source.as_str().into(),
            self.source_file.as_str().into(),
            self.status.word().into(),
            self.facts.as_str().into(),
            self.first_unit.into(),
            self.mark.as_ref().map_or(0, |mark| mark.records).into(),
            self.mark.as_ref().map(|mark| mark.token.clone()).into(),
            self.state.clone().into(),
        ];
        values.extend(self.counts.values());
        values.extend([self.lines.into(), self.skipped.into(), self.error_message.clone().into()]);
        values
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        let run = cells.text()?;
        let step = cells.int()?;
        let ordinal = cells.int()?;
        let kind = cells.parsed(ItemKind::from_word, "type of an item")?;
        let source = cells.text()?;
        let source_file = cells.text()?;
        let status = cells.parsed(ItemStatus::from_word, "status of an item")?;
        let facts = cells.text()?;
        let first_unit = cells.int()?;
        let records = cells.int()?;
        let mark = cells.bytes_or_null()?.map(|token| SourceMark { records, token });
        Ok(Self {
            run,
            step,
            ordinal,
            kind,
            source,
            source_file,
            status,
            facts,
            first_unit,
            mark,
            state: cells.bytes_or_null()?,
            counts: Counts::read(cells)?,
            lines: cells.int_or_null()?,
            skipped: cells.int_or_null()?,
            error_message: cells.text_or_null()?,
        })
    }
}

/// Writes items, replacing their rows.
pub async fn put(txn: &mut dyn Txn, items: &[Item]) -> Result<(), EndpointError> {
    cells::put(txn, items).await
}

/// The items of a step, in source order.
pub async fn of_step(
    target: &dyn Target,
    run: &str,
    step: u64,
) -> Result<Vec<Item>, EndpointError> {
    let query = cells::query::<Item>().is("run", run).is("step", step).by("ordinal", Order::Rising);
    cells::select(target, query).await
}

/// The items of a run, by step and in source order.
pub async fn of_run(target: &dyn Target, run: &str) -> Result<Vec<Item>, EndpointError> {
    let query = cells::query::<Item>()
        .is("run", run)
        .by("step", Order::Rising)
        .by("ordinal", Order::Rising);
    cells::select(target, query).await
}

/// The items of several runs whose whole content is committed.
pub async fn completed(target: &dyn Target, runs: &[String]) -> Result<Vec<Item>, EndpointError> {
    let runs = runs.iter().map(|run| run.as_str().into()).collect();
    let query = cells::query::<Item>()
        .that("run", Operator::In, runs)
        .is("status", ItemStatus::Completed.word())
        .by("step", Order::Rising)
        .by("ordinal", Order::Rising);
    cells::select(target, query).await
}
