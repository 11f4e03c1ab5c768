//! What a run would do: whether there is anything, what would become of the records, how long it
//! would take, and whether everything that can be checked beforehand is in order.

use std::time::Duration;

use serde::Serialize;
use whimbrel_endpoint::SchemaFile;
use whimbrel_ledger::{Run, RunStatus};
use whimbrel_model::DateTime;
use whimbrel_model::plan::{Plan, Relate};

use crate::begin::{Start, new_run};
use crate::error::{Changes, CoreError};
use crate::incremental;
use crate::load::dry::{self, Depth, DryTable};
use crate::migrate::{Job, find_run, sample_of, selection_of};
use crate::options::Options;
use crate::ports::Ports;
use crate::survey::{DISK_FACTOR, Found, Survey, survey};
use crate::window::{self, WindowState};

/// What `migrate` would do now.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Pending {
    /// Begin a run over everything.
    Begin,
    /// Go on with an unfinished run.
    Resume {
        /// The run.
        run: String,
    },
    /// Nothing, unless it is asked for what changed since.
    Incremental {
        /// The complete run.
        run: String,
        /// What changed.
        changes: Box<Changes>,
    },
    /// Nothing.
    Nothing {
        /// The complete run.
        run: String,
    },
}

/// A preview of a run.
#[derive(Debug, Serialize)]
pub struct Preview {
    /// What would be done.
    pub pending: Pending,
    /// Where the data would go.
    pub target: String,
    /// True where the target does not exist yet.
    pub creates_target: bool,
    /// Schema files that would be applied.
    pub schema: Vec<String>,
    /// Per table what becomes of the records that were looked at.
    pub tables: Vec<DryTable>,
    /// The steps of SQL that would follow.
    pub relates: Vec<RelatePreview>,
    /// What endpoints want to be known.
    pub findings: Vec<Found>,
    /// Seconds a run is expected to take.
    pub seconds: f64,
    /// True where it takes longer and grows by more: a database was not looked at to its end, and how
    /// much it holds is not known.
    pub at_least: bool,
    /// Bytes that the target is expected to grow by.
    pub disk_bytes: u64,
    /// Free bytes where the target stores, if known.
    pub free_bytes: Option<u64>,
    /// Seconds that the maintenance window stays open, where the plan has one and it is open.
    pub window_seconds: Option<u64>,
    /// Seconds until it opens, where it is closed.
    pub window_opens_in: Option<u64>,
    /// Seconds that a run may take, where there is a deadline.
    pub deadline_seconds: Option<u64>,
    /// Whether the run is expected to end within the window, or the next one where it is closed, and
    /// the deadline. `None` where there is neither.
    pub fits: Option<bool>,
}

/// A step of SQL.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RelatePreview {
    /// Its name.
    pub name: String,
    /// The tables that it changes.
    pub writes: Vec<String>,
    /// Whether it can be undone.
    pub undo: bool,
    /// Whether it is checked.
    pub check: bool,
}

fn relates(plan: &Plan) -> Vec<RelatePreview> {
    let of = |relate: &Relate| RelatePreview {
        name: relate.name.value.clone(),
        writes: relate.writes.iter().map(|table| table.value.clone()).collect(),
        undo: relate.undo.is_some(),
        check: relate.check.is_some(),
    };
    plan.relates.iter().map(of).collect()
}

/// Writing takes about as long as reading and transforming, measured on SQLite.
const WRITE_FACTOR: f64 = 2.0;

/// What a run takes however little there is: its ledger, its tables, its checks.
const SECONDS_LEAST: f64 = 0.1;

/// Looks at what a run would do. Writes nothing.
pub async fn preview(
    ports: &Ports,
    plan: &Plan,
    schema: Vec<SchemaFile>,
    options: &Options,
    depth: Depth,
) -> Result<Preview, CoreError> {
    let now = ports.clock.monotonic();
    let deadline = options.deadline_at.map(|at| at.saturating_sub(now));
    let found = find_run(ports, plan).await?;
    let options = &selection_of(found.as_ref(), options)?;
    let mut survey = survey(ports, plan, schema, options).await?;
    let job = Job { ports, plan, survey: &survey, options };
    let pending = pending(&job, found).await?;
    if let Pending::Incremental { changes, .. } = &pending
        && let Some(table) = incremental::renumbered(plan, &survey, changes)
    {
        let message = format!(
            "`--incremental` would be refused: rows of `{table}` are called by their numbers, which are \
             others by now"
        );
        survey.findings.push(Found { at: format!("table {table}"), code: "WB0638", message });
    }
    let job = Job { ports, plan, survey: &survey, options };
    let run = new_run(ports, plan, &survey, options, &Start::Everything);
    let tables = dry::dry(&job, &run, depth).await?;
    Ok(estimated(ports, plan, deadline, &survey, pending, tables))
}

async fn pending(job: &Job<'_>, found: Option<Run>) -> Result<Pending, CoreError> {
    let Job { ports, survey, .. } = *job;
    let Some(run) = found else { return Ok(Pending::Begin) };
    if run.status != RunStatus::Completed {
        return Ok(Pending::Resume { run: run.id });
    }
    if sample_of(ports, &run).await? != job.options.selection.sample {
        return Ok(Pending::Begin);
    }
    let changes = incremental::changes(ports, job.plan, survey, &run).await?;
    Ok(if changes.is_empty() {
        Pending::Nothing { run: run.id }
    } else {
        Pending::Incremental { run: run.id, changes: Box::new(changes) }
    })
}

fn estimated(
    ports: &Ports,
    plan: &Plan,
    deadline: Option<Duration>,
    survey: &Survey,
    pending: Pending,
    tables: Vec<DryTable>,
) -> Preview {
    let loads: f64 = tables
        .iter()
        .map(|table| {
            let part = table.bytes_read as f64 / table.bytes.max(1) as f64;
            // How much a database holds is not known beforehand.
            let known = !table.complete && table.databases == 0 && part > 0.0;
            let scale = if known { 1.0 / part } else { 1.0 };
            table.seconds * scale * WRITE_FACTOR
        })
        .sum();
    let seconds = loads.max(SECONDS_LEAST);
    let bytes = |table: &DryTable| {
        if table.databases > 0 { table.bytes.max(table.bytes_read) } else { table.bytes }
    };
    let disk_bytes = tables.iter().map(|table| bytes(table) * DISK_FACTOR).sum();
    let at_least = tables.iter().any(|table| table.databases > 0 && !table.complete);
    let now = ports.clock.now();
    let window = window::state(plan, now);
    let (window_seconds, window_opens_in) = match window {
        Some(WindowState::Open(left)) => (Some(left.as_secs()), None),
        Some(WindowState::Closed(wait)) => (None, Some(wait.as_secs())),
        None => (None, None),
    };
    let room = window.map(|state| match state {
        WindowState::Open(left) => left,
        WindowState::Closed(wait) => open_for(plan, now, wait),
    });
    let limit = [room, deadline].into_iter().flatten().min();
    Preview {
        pending,
        target: survey.target.location.clone(),
        creates_target: !survey.target.exists,
        schema: survey.schema.iter().map(|file| file.name.clone()).collect(),
        tables,
        relates: relates(plan),
        findings: survey.findings.clone(),
        seconds,
        at_least,
        disk_bytes,
        free_bytes: survey.target.free_bytes,
        window_seconds,
        window_opens_in,
        deadline_seconds: deadline.map(|left| left.as_secs()),
        fits: limit.filter(|_| !at_least).map(|limit| seconds <= limit.as_secs_f64()),
    }
}

/// How long the window that opens after `wait` stays open.
fn open_for(plan: &Plan, now: DateTime, wait: Duration) -> Duration {
    let opening = now.unix_nanos() + wait.as_nanos().cast_signed();
    match DateTime::from_unix_nanos(opening).and_then(|opening| window::state(plan, opening)) {
        Some(WindowState::Open(left)) => left,
        Some(WindowState::Closed(_)) | None => Duration::ZERO,
    }
}
