//! Steps of the plan's own SQL: what each has changed, and how its check ended.

use serde::Deserialize;
use whimbrel_ledger::{Run, Step, StepStatus};

use super::limits;
use super::run::name;
use crate::report::{CheckOutcome, Listed, RelateRow, RelateTable, RelateTimes};

/// What a step's name in the ledger begins with.
const PREFIX: &str = "relate:";
/// The code with which a run ends whose check returned rows.
const CHECK_FAILED: &str = "WB0628";

/// What a done step has recorded, as `whimbrel_core` writes it.
#[derive(Deserialize)]
struct Recorded {
    #[serde(default)]
    undo: Option<String>,
    rows: u64,
    #[serde(default)]
    writes: Vec<Written>,
    #[serde(default)]
    checked: Option<bool>,
    #[serde(default)]
    by: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    table: String,
    after: Option<u64>,
}

/// The steps of SQL among a run's steps, in their order.
pub fn relates(run: &Run, steps: &[Step]) -> Listed<RelateRow> {
    let rows = of_sql(steps).map(|(step, title)| row(run, step, title));
    Listed::first(rows.collect(), limits::RELATES)
}

/// How long they took, and which run has done those that this one has left as they were.
pub(super) fn times(steps: &[Step], seconds: impl Fn(u64) -> Option<f64>) -> Listed<RelateTimes> {
    let rows = of_sql(steps).map(|(step, _)| {
        let left = recorded(step).and_then(|recorded| recorded.by);
        RelateTimes {
            step: step.step,
            active_seconds: seconds(step.step),
            done_by: left.as_deref().map(name),
        }
    });
    Listed::first(rows.collect(), limits::RELATES)
}

fn of_sql(steps: &[Step]) -> impl Iterator<Item = (&Step, &str)> {
    let of_tables = |step: &&Step| step.target_table.is_none();
    steps
        .iter()
        .filter(of_tables)
        .filter_map(|step| Some((step, step.migration_step.strip_prefix(PREFIX)?)))
}

/// What the step has recorded, where it is done: of one that is not, it is what was taken back.
fn recorded(step: &Step) -> Option<Recorded> {
    let done = step.status == StepStatus::Completed;
    let data = step.rollback_data.as_deref().filter(|_| done)?;
    serde_json::from_str(data).ok()
}

fn row(run: &Run, step: &Step, title: &str) -> RelateRow {
    let recorded = recorded(step);
    let check = check(run, step, recorded.as_ref());
    let tables = recorded.iter().flat_map(|recorded| &recorded.writes);
    let tables = tables
        .map(|written| RelateTable { table: name(&written.table), rows_after: written.after });
    RelateRow {
        step: step.step,
        name: name(title),
        status: step.status.word(),
        left: recorded.as_ref().is_some_and(|recorded| recorded.by.is_some()),
        rows: recorded.as_ref().map(|recorded| recorded.rows),
        tables: Listed::first(tables.collect(), limits::RELATE_TABLES),
        check,
        undo: recorded.as_ref().map(|recorded| recorded.undo.is_some()),
    }
}

fn check(run: &Run, step: &Step, recorded: Option<&Recorded>) -> CheckOutcome {
    let stopped_by_check = run.error_code.as_deref() == Some(CHECK_FAILED);
    match (step.status, recorded.and_then(|recorded| recorded.checked)) {
        (StepStatus::Completed, Some(true)) => CheckOutcome::Passed,
        (StepStatus::Completed, Some(false)) => CheckOutcome::None,
        (StepStatus::Completed, None) => CheckOutcome::Unknown,
        (StepStatus::Failed, _) if stopped_by_check => CheckOutcome::Failed,
        (StepStatus::Pending | StepStatus::Running | StepStatus::Failed, _) => CheckOutcome::NotYet,
    }
}
