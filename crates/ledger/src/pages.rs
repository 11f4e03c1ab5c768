//! Ledger rows in pages, without the bytes they may carry: what lists and reports read, so that
//! memory stays flat whatever the number of rejects, files and batches.
//!
//! ```text
//! page 1: rows 1..=limit │ page 2: rows after the last of page 1 │ …   until a page is not full
//! ```

use std::sync::LazyLock;

use whimbrel_endpoint::{EndpointError, Operator, Order, Query, Target};
use whimbrel_model::Table;

use crate::batch::Batch;
use crate::cells::{self, Cells};
use crate::item::{Counts, ItemStatus};
use crate::reject::{RejectStatus, Stage};
use crate::tables;

/// A row of `migration_rejects` without its bytes.
#[derive(Clone, PartialEq, Debug)]
pub struct RejectHead {
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
    /// The file that holds bytes too long for the ledger.
    pub spill: Option<String>,
    /// What has become of it.
    pub status: RejectStatus,
    /// The run or the person that resolved it.
    pub resolved_by: Option<String>,
    /// Why it was waived.
    pub resolution: Option<String>,
}

/// A row of `migration_items` without the transform's state.
#[derive(Clone, PartialEq, Debug)]
pub struct ItemHead {
    /// Source order within the step, from 0.
    pub ordinal: u64,
    /// Name of the source.
    pub source: String,
    /// Path, relative to the plan.
    pub source_file: String,
    /// How it stands.
    pub status: ItemStatus,
    /// JSON: size, time of change, inode.
    pub facts: String,
    /// True where it has a mark: something of it was read.
    pub marked: bool,
    /// Units behind the mark.
    pub counts: Counts,
    /// Physical lines, once the file is done.
    pub lines: Option<u64>,
    /// Blank lines and comments, once the file is done.
    pub skipped: Option<u64>,
    /// Why it is left out or rejected as a whole.
    pub error_message: Option<String>,
}

static REJECT_HEADS: LazyLock<Table> = LazyLock::new(|| {
    without(&tables::REJECTS, &["run", "step", "digest", "bytes", "fixed_bytes", "resolved_at"])
});

static ITEM_HEADS: LazyLock<Table> = LazyLock::new(|| {
    without(&tables::ITEMS, &["run", "step", "item_type", "first_unit", "records", "state"])
});

/// The table with fewer columns; a view has no key.
fn without(table: &Table, left_out: &[&str]) -> Table {
    let columns = table.columns.iter().filter(|column| !left_out.contains(&column.name.as_str()));
    Table { name: table.name.clone(), columns: columns.cloned().collect(), key: Vec::new() }
}

/// Rejects of a step by unit, those after `after`, at most `limit`.
pub async fn rejects(
    target: &dyn Target,
    run: &str,
    step: u64,
    after: Option<u64>,
    limit: u64,
) -> Result<Vec<RejectHead>, EndpointError> {
    let query = page(&REJECT_HEADS, run, step, "unit", after, limit);
    read(target, &REJECT_HEADS, &query, reject_head).await
}

/// Items of a step in source order, those after `after`, at most `limit`.
pub async fn items(
    target: &dyn Target,
    run: &str,
    step: u64,
    after: Option<u64>,
    limit: u64,
) -> Result<Vec<ItemHead>, EndpointError> {
    let query = page(&ITEM_HEADS, run, step, "ordinal", after, limit);
    read(target, &ITEM_HEADS, &query, item_head).await
}

/// Batches of a step in order, those after `after`, at most `limit`.
pub async fn batches(
    target: &dyn Target,
    run: &str,
    step: u64,
    after: Option<u64>,
    limit: u64,
) -> Result<Vec<Batch>, EndpointError> {
    cells::select(target, page(&tables::BATCHES, run, step, "batch", after, limit)).await
}

fn page(table: &Table, run: &str, step: u64, by: &str, after: Option<u64>, limit: u64) -> Query {
    let query = Query::table(table.name.clone(), &tables::names(table))
        .is("run", run)
        .is("step", step)
        .by(by, Order::Rising)
        .at_most(limit);
    match after {
        Some(last) => query.that(by, Operator::Above, vec![last.into()]),
        None => query,
    }
}

async fn read<T>(
    target: &dyn Target,
    table: &'static Table,
    query: &Query,
    one: impl Fn(&mut Cells<'_>) -> Result<T, EndpointError>,
) -> Result<Vec<T>, EndpointError> {
    let rows = target.select(query).await?;
    rows.rows().map(|row| one(&mut Cells::of(table, row))).collect()
}

fn reject_head(cells: &mut Cells<'_>) -> Result<RejectHead, EndpointError> {
    Ok(RejectHead {
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
        spill: cells.text_or_null()?,
        status: cells.parsed(RejectStatus::from_word, "status of a reject")?,
        resolved_by: cells.text_or_null()?,
        resolution: cells.text_or_null()?,
    })
}

fn item_head(cells: &mut Cells<'_>) -> Result<ItemHead, EndpointError> {
    Ok(ItemHead {
        ordinal: cells.int()?,
        source: cells.text()?,
        source_file: cells.text()?,
        status: cells.parsed(ItemStatus::from_word, "status of an item")?,
        facts: cells.text()?,
        marked: cells.bytes_or_null()?.is_some(),
        counts: Counts::read(cells)?,
        lines: cells.int_or_null()?,
        skipped: cells.int_or_null()?,
        error_message: cells.text_or_null()?,
    })
}
