//! Steps: what a run does in order, with the digest of the mapping each was compiled from.

use serde_json::json;
use whimbrel_endpoint::{EndpointError, Operator, Order, Query, Target, Txn};
use whimbrel_model::{Column, Kind, Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::run::words;
use crate::tables;

/// How a step stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the words say it
pub enum StepStatus {
    Pending,
    Running,
    Completed,
    Failed,
}

words!(StepStatus {
    Pending = "pending",
    Running = "running",
    Completed = "completed",
    Failed = "failed",
});

/// A row of `migration_steps`.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The run.
    pub run: String,
    /// Ordinal in the run, from 0.
    pub step: u64,
    /// `prepare`, `load:TABLE`, `relate:NAME`, `finish`.
    pub migration_step: String,
    /// How it stands.
    pub status: StepStatus,
    /// RFC 3339.
    pub started_at: Option<String>,
    /// RFC 3339.
    pub completed_at: Option<String>,
    /// What stopped it.
    pub error_message: Option<String>,
    /// JSON: what undoing the step needs to know.
    pub rollback_data: Option<String>,
    /// The table it fills.
    pub target_table: Option<String>,
    /// Digest of the compiled mapping, or of the SQL.
    pub digest: Option<Vec<u8>>,
}

impl Stored for Step {
    fn table() -> &'static Table {
        &tables::STEPS
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.step.into(),
            self.migration_step.as_str().into(),
            self.status.word().into(),
            self.started_at.clone().into(),
            self.completed_at.clone().into(),
            self.error_message.clone().into(),
            self.rollback_data.clone().into(),
            self.target_table.clone().into(),
            self.digest.clone().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            run: cells.text()?,
            step: cells.int()?,
            migration_step: cells.text()?,
            status: cells.parsed(StepStatus::from_word, "status of a step")?,
            started_at: cells.text_or_null()?,
            completed_at: cells.text_or_null()?,
            error_message: cells.text_or_null()?,
            rollback_data: cells.text_or_null()?,
            target_table: cells.text_or_null()?,
            digest: cells.bytes_or_null()?,
        })
    }
}

/// What undoing or proving a step that loads needs to know: the JSON in its `rollback_data`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The columns that its rows have, in the order of the mapping, with their kinds: digests and keys
    /// in the undo journal are made of these.
    pub columns: Vec<(String, Kind)>,
    /// The key, by names of columns.
    pub key: Vec<String>,
    /// Rows in the table before its first batch, where the target can tell.
    pub rows_before: Option<u64>,
}

impl Layout {
    /// The layout of a table as a step fills it.
    pub fn of(table: &Table, rows_before: Option<u64>) -> Self {
        let columns = table.columns.iter().map(|column| (column.name.clone(), column.kind));
        let key = table.key.iter().map(|&column| table.columns[column].name.clone());
        Self { columns: columns.collect(), key: key.collect(), rows_before }
    }

    /// The table it describes.
    pub fn table(&self, name: &str) -> Table {
        let column = |(name, kind): &(String, Kind)| Column {
            name: name.clone(),
            kind: *kind,
            nullable: true,
            has_default: false,
        };
        let place = |key: &String| self.columns.iter().position(|(name, _)| name == key);
        Table {
            name: name.to_owned(),
            key: self.key.iter().filter_map(place).collect(),
            columns: self.columns.iter().map(column).collect(),
        }
    }

    /// As it is kept.
    pub fn to_json(&self) -> String {
        let columns: Vec<_> =
            self.columns.iter().map(|(name, kind)| json!([name, kind.name()])).collect();
        json!({ "columns": columns, "key": self.key, "rows_before": self.rows_before }).to_string()
    }

    /// As it was kept; `None` where that is something else.
    pub fn from_json(text: &str) -> Option<Self> {
        let document: serde_json::Value = serde_json::from_str(text).ok()?;
        let column = |entry: &serde_json::Value| {
            Some((entry.get(0)?.as_str()?.to_owned(), Kind::parse(entry.get(1)?.as_str()?)?))
        };
        let columns = document.get("columns")?.as_array()?.iter().map(column);
        let key = document.get("key")?.as_array()?.iter();
        Some(Self {
            columns: columns.collect::<Option<_>>()?,
            key: key.map(|name| name.as_str().map(str::to_owned)).collect::<Option<_>>()?,
            rows_before: document.get("rows_before")?.as_u64(),
        })
    }
}

impl Step {
    /// The table that it fills and the layout of its rows, where it is a step that loads and has begun.
    pub fn layout(&self) -> Option<Layout> {
        self.target_table.as_ref()?;
        Layout::from_json(self.rollback_data.as_deref()?)
    }
}

/// Writes steps, replacing their rows.
pub async fn put(txn: &mut dyn Txn, steps: &[Step]) -> Result<(), EndpointError> {
    cells::put(txn, steps).await
}

/// Takes away the steps of a run behind this one: others are planned instead.
pub async fn forget_behind(txn: &mut dyn Txn, run: &str, step: u64) -> Result<(), EndpointError> {
    let behind =
        cells::query::<Step>().is("run", run).that("step", Operator::Above, vec![step.into()]);
    txn.delete(&behind).await.map(|_| ())
}

/// The steps of a run, in order.
pub async fn of_run(target: &dyn Target, run: &str) -> Result<Vec<Step>, EndpointError> {
    cells::select(target, steps(run)).await
}

/// The same as a transaction sees them.
pub async fn of_run_in(txn: &mut dyn Txn, run: &str) -> Result<Vec<Step>, EndpointError> {
    cells::rows(&txn.select(&steps(run)).await?)
}

fn steps(run: &str) -> Query {
    cells::query::<Step>().is("run", run).by("step", Order::Rising)
}
