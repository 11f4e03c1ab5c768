//! Checks: what was compared, what was expected and what was found.

use whimbrel_endpoint::{EndpointError, Operator, Order, Target, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::run::words;
use crate::tables;

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the words say it
pub enum CheckStatus {
    Passed,
    Failed,
    /// Nothing is wrong, but somebody should know.
    Noted,
    /// Whether it is could not be found out.
    Unverified,
    /// It failed, and somebody has taken the responsibility.
    Waived,
}

words!(CheckStatus {
    Passed = "passed",
    Failed = "failed",
    Noted = "noted",
    Unverified = "unverified",
    Waived = "waived",
});

/// A row of `data_integrity_checks`.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    /// The run.
    pub run: String,
    /// Order within the run, from 0.
    pub seq: u64,
    /// The phase it belongs to.
    pub phase: String,
    /// `conservation`, `files`, `inspect` …
    pub check_type: String,
    /// What was checked.
    pub check_name: String,
    /// What came of it.
    pub status: CheckStatus,
    /// What was expected, where it is a count.
    pub expected_count: Option<u64>,
    /// What was found.
    pub actual_count: Option<u64>,
    /// JSON.
    pub details: Option<String>,
    /// What is wrong, or should be known.
    pub error_message: Option<String>,
    /// RFC 3339.
    pub created_at: String,
}

impl Stored for Check {
    fn table() -> &'static Table {
        &tables::CHECKS
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.seq.into(),
            self.phase.as_str().into(),
            self.check_type.as_str().into(),
            self.check_name.as_str().into(),
            self.status.word().into(),
            self.expected_count.into(),
            self.actual_count.into(),
            self.details.clone().into(),
            self.error_message.clone().into(),
            self.created_at.as_str().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            run: cells.text()?,
            seq: cells.int()?,
            phase: cells.text()?,
            check_type: cells.text()?,
            check_name: cells.text()?,
            status: cells.parsed(CheckStatus::from_word, "status of a check")?,
            expected_count: cells.int_or_null()?,
            actual_count: cells.int_or_null()?,
            details: cells.text_or_null()?,
            error_message: cells.text_or_null()?,
            created_at: cells.text()?,
        })
    }
}

/// Writes checks, replacing those of the same number.
pub async fn put(txn: &mut dyn Txn, checks: &[Check]) -> Result<(), EndpointError> {
    cells::put(txn, checks).await
}

/// Takes away the checks of a run from this number on.
pub async fn forget_from(txn: &mut dyn Txn, run: &str, seq: u64) -> Result<(), EndpointError> {
    let before = seq.saturating_sub(1);
    let from =
        cells::query::<Check>().is("run", run).that("seq", Operator::Above, vec![before.into()]);
    txn.delete(&from).await.map(|_| ())
}

/// The checks of a run, in order.
pub async fn of_run(target: &dyn Target, run: &str) -> Result<Vec<Check>, EndpointError> {
    cells::select(target, cells::query::<Check>().is("run", run).by("seq", Order::Rising)).await
}
