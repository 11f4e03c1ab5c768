//! Rejects: units that were not loaded, with everything a person needs to mend them.

use whimbrel_endpoint::{CUT_BYTES, EndpointError, Operator, Order, Query, Target, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::run::{self, Run, words};
use crate::tables;

/// The most bytes of a unit that are kept in its row; longer ones spill to a file.
pub const INLINE_BYTES: usize = 64 * 1024;

/// Where a unit was refused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)] // the words say it
pub enum Stage {
    Read,
    Transform,
    Rule,
    Target,
}

/// What has become of a reject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RejectStatus {
    /// It waits; where `resolved_by` names a run, that run has taken it on.
    Open,
    /// A retry has read the unit again and found a place for it.
    Fixed,
    /// A retry has refused the unit again, or an incremental run reads its part of the file anew:
    /// what that run says of it counts instead.
    Superseded,
    /// Someone has said, with a reason, that it may stay out.
    Waived,
}

words!(Stage { Read = "read", Transform = "transform", Rule = "rule", Target = "target" });
words!(RejectStatus {
    Open = "open",
    Fixed = "fixed",
    Superseded = "superseded",
    Waived = "waived",
});

/// A row of `migration_rejects`.
#[derive(Clone, PartialEq, Debug)]
pub struct Reject {
    /// The run.
    pub run: String,
    /// The step.
    pub step: u64,
    /// Ordinal of the unit in the step.
    pub unit: u64,
    /// Name of the source.
    pub source: String,
    /// Path, relative to the plan.
    pub source_file: String,
    /// Record in its file, from 1; 0 for a whole file.
    pub record: u64,
    /// Physical line, from 1; 0 where lines mean nothing.
    pub line: u64,
    /// Offset of the unit's first byte.
    pub byte_offset: u64,
    /// Length of its bytes.
    pub byte_len: u64,
    /// Where it was refused.
    pub stage: Stage,
    /// A code that `explain` knows.
    pub code: String,
    /// The table it was meant for.
    pub target_table: String,
    /// The column, where one is at fault.
    pub target_column: Option<String>,
    /// The source field, where one is at fault.
    pub source_field: Option<String>,
    /// The offending value, bounded.
    pub value: Option<String>,
    /// The rule, where the plan's own rule refused it.
    pub rule: Option<String>,
    /// Why.
    pub message: String,
    /// Digest of the unit's bytes.
    pub digest: Vec<u8>,
    /// The unit's bytes, up to [`INLINE_BYTES`].
    pub bytes: Option<Vec<u8>>,
    /// The file that holds longer bytes.
    pub spill: Option<String>,
    /// What has become of it.
    pub status: RejectStatus,
    /// Repaired bytes that were loaded instead.
    pub fixed_bytes: Option<Vec<u8>>,
    /// The run or the person that resolved it; while it is open, the run that has taken it on.
    pub resolved_by: Option<String>,
    /// Why it was waived, or the class that the later run gave the unit.
    pub resolution: Option<String>,
    /// RFC 3339.
    pub resolved_at: Option<String>,
}

impl Stored for Reject {
    fn table() -> &'static Table {
        &tables::REJECTS
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.step.into(),
            self.unit.into(),
            self.source.as_str().into(),
            self.source_file.as_str().into(),
            self.record.into(),
            self.line.into(),
            self.byte_offset.into(),
            self.byte_len.into(),
            self.stage.word().into(),
            self.code.as_str().into(),
            self.target_table.as_str().into(),
            self.target_column.clone().into(),
            self.source_field.clone().into(),
            self.value.clone().into(),
            self.rule.clone().into(),
            self.message.as_str().into(),
            self.digest.as_slice().into(),
            self.bytes.clone().into(),
            self.spill.clone().into(),
            self.status.word().into(),
            self.fixed_bytes.clone().into(),
            self.resolved_by.clone().into(),
            self.resolution.clone().into(),
            self.resolved_at.clone().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            run: cells.text()?,
            step: cells.int()?,
            unit: cells.int()?,
            source: cells.text()?,
            source_file: cells.text()?,
            record: cells.int()?,
            line: cells.int()?,
            byte_offset: cells.int()?,
            byte_len: cells.int()?,
            stage: cells.parsed(Stage::from_word, "stage")?,
            code: cells.text()?,
            target_table: cells.text()?,
            target_column: cells.text_or_null()?,
            source_field: cells.text_or_null()?,
            value: cells.text_or_null()?,
            rule: cells.text_or_null()?,
            message: cells.text()?,
            digest: cells.bytes()?,
            bytes: cells.bytes_or_null()?,
            spill: cells.text_or_null()?,
            status: cells.parsed(RejectStatus::from_word, "status of a reject")?,
            fixed_bytes: cells.bytes_or_null()?,
            resolved_by: cells.text_or_null()?,
            resolution: cells.text_or_null()?,
            resolved_at: cells.text_or_null()?,
        })
    }
}

/// Writes rejects, replacing their rows.
pub async fn put(txn: &mut dyn Txn, rejects: &[Reject]) -> Result<(), EndpointError> {
    cells::put(txn, rejects).await
}

/// The rejects of a step by unit, a page at a time.
pub struct Pages<'a> {
    target: &'a dyn Target,
    run: &'a str,
    step: u64,
    after: Option<u64>,
}

/// Rejects in a page.
const PAGE: u64 = 1000;

impl<'a> Pages<'a> {
    /// From the first on.
    pub fn of(target: &'a dyn Target, run: &'a str, step: u64) -> Self {
        Self { target, run, step, after: None }
    }

    /// The next page; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<Reject>>, EndpointError> {
        let page = page(self.target, self.run, self.step, self.after, PAGE).await?;
        self.after = page.last().map(|last| last.unit).or(self.after);
        Ok((!page.is_empty()).then_some(page))
    }
}

/// Rejects of a run by unit, after `(step, unit)`, at most `limit`: pages, so that any number of
/// rejects fits into memory.
pub async fn page(
    target: &dyn Target,
    run: &str,
    step: u64,
    after: Option<u64>,
    limit: u64,
) -> Result<Vec<Reject>, EndpointError> {
    let mut query = of_step(run, step).at_most(limit);
    if let Some(unit) = after {
        query = query.that("unit", Operator::Above, vec![unit.into()]);
    }
    cells::select(target, query).await
}

/// Which reject: units are numbered within a step of a run.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RejectId {
    /// The run.
    pub run: String,
    /// The step.
    pub step: u64,
    /// Ordinal of the unit in the step.
    pub unit: u64,
}

impl Reject {
    /// Which reject it is.
    pub fn id(&self) -> RejectId {
        RejectId { run: self.run.clone(), step: self.step, unit: self.unit }
    }

    /// True where the source may have kept only the beginning of the unit's bytes.
    pub fn is_cut(&self) -> bool {
        self.stage == Stage::Read && self.byte_len == CUT_BYTES as u64
    }
}

/// Whether a step of a run has rejects that wait.
pub async fn any_open(target: &dyn Target, run: &str, step: u64) -> Result<bool, EndpointError> {
    let query = of_step(run, step).is("status", RejectStatus::Open.word()).at_most(1);
    Ok(!cells::select::<Reject>(target, query).await?.is_empty())
}

/// Rejects of a step that wait, of the units `first` to `last`, as the transaction sees them.
pub async fn open_between(
    txn: &mut dyn Txn,
    run: &str,
    step: u64,
    first: u64,
    last: u64,
) -> Result<Vec<Reject>, EndpointError> {
    let mut query = of_step(run, step).is("status", RejectStatus::Open.word()).that(
        "unit",
        Operator::AtMost,
        vec![last.into()],
    );
    if let Some(before) = first.checked_sub(1) {
        query = query.that("unit", Operator::Above, vec![before.into()]);
    }
    cells::rows(&txn.select(&query).await?)
}

/// How many rejects wait, of this run and of those it continues.
pub async fn open_of(target: &dyn Target, run: &Run) -> Result<u64, EndpointError> {
    let lineage = run::lineage(target, run).await?;
    let runs = lineage.into_iter().map(|run| run.id.into()).collect();
    let query = Query::table(tables::REJECTS.name.clone(), &["unit"])
        .that("run", Operator::In, runs)
        .is("status", RejectStatus::Open.word())
        .by("unit", Order::Rising);
    Ok(target.select(&query).await?.len() as u64)
}

/// How many rejects wait that this run has taken on.
pub async fn taken_on(target: &dyn Target, run: &str) -> Result<u64, EndpointError> {
    let query = Query::table(tables::REJECTS.name.clone(), &["unit"])
        .is("status", RejectStatus::Open.word())
        .is("resolved_by", run)
        .by("unit", Order::Rising);
    Ok(target.select(&query).await?.len() as u64)
}

/// Rejects of a step whose bytes a person has repaired.
pub async fn repaired(
    target: &dyn Target,
    run: &str,
    step: u64,
) -> Result<Vec<Reject>, EndpointError> {
    let query = of_step(run, step).that("fixed_bytes", Operator::IsNot, vec![Value::Null]);
    cells::select(target, query).await
}

fn of_step(run: &str, step: u64) -> Query {
    cells::query::<Reject>().is("run", run).is("step", step).by("unit", Order::Rising)
}
