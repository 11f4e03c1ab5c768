//! The archive: columns without a place in the target, kept beside the rows they belong to.

use whimbrel_endpoint::{EndpointError, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::tables;

/// A row of `archive`.
#[derive(Clone, PartialEq, Debug)]
pub struct Archived {
    /// The run.
    pub run: String,
    /// The step.
    pub step: u64,
    /// Ordinal of the unit.
    pub unit: u64,
    /// Name of the source.
    pub source: String,
    /// Path of the file.
    pub source_file: String,
    /// Record in its file.
    pub record: u64,
    /// JSON: column → value.
    pub content: String,
}

impl Stored for Archived {
    fn table() -> &'static Table {
        &tables::ARCHIVE
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.step.into(),
            self.unit.into(),
            self.source.as_str().into(),
            self.source_file.as_str().into(),
            self.record.into(),
            self.content.as_str().into(),
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
            content: cells.text()?,
        })
    }
}

/// Writes archived columns.
pub async fn put(txn: &mut dyn Txn, rows: &[Archived]) -> Result<(), EndpointError> {
    cells::put(txn, rows).await
}
