//! What happens in a run, as a stream of numbered events.
//!
//! Progress bars, log lines, JSON output and reports are all made from these; nothing else leaves
//! a run while it works.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use whimbrel_ledger::Counts;
use whimbrel_model::Class;

use crate::ports::{Clock, rfc3339};

/// An event with its number and time.
#[derive(Clone, Debug, Serialize)]
pub struct Numbered {
    /// Rises by one within a process.
    pub seq: u64,
    /// RFC 3339, UTC.
    pub ts: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// A run begins or goes on.
    RunStarted {
        /// The run.
        run: String,
        /// `full` or `incremental`.
        kind: &'static str,
        /// True where an earlier process had begun it.
        resumed: bool,
        /// Units that earlier processes have committed.
        committed: u64,
    },
    /// A phase begins.
    PhaseStarted {
        /// `preflight`, `prepare`, `load`, `relate`, `finish`.
        phase: &'static str,
    },
    /// A phase is done.
    PhaseFinished {
        /// Which.
        phase: &'static str,
        /// How long it took.
        seconds: f64,
    },
    /// A table's load begins or goes on.
    StepStarted {
        /// The table.
        table: String,
        /// Files still to read.
        files: u64,
        /// Their bytes as stored.
        bytes: u64,
    },
    /// Where a table's load is; at most a few a second.
    Progress(Progress),
    /// A batch is durable.
    Checkpoint {
        /// The table.
        table: String,
        /// Batch of the step.
        batch: u64,
        /// Units in it.
        units: u64,
        /// Rows it inserted or updated.
        rows: u64,
        /// How long its transaction was open.
        seconds: f64,
        /// The last file it touched.
        file: String,
        /// Records of that file behind the mark.
        record: u64,
    },
    /// A table is loaded.
    StepFinished {
        /// The table.
        table: String,
        /// Units by class.
        counts: NamedCounts,
    },
    /// Indexes were dropped for the time of a table's load, or are there again.
    Indexes {
        /// The table.
        table: String,
        /// Their names.
        names: Vec<String>,
        /// True where they are gone now.
        parked: bool,
        /// How long it took.
        seconds: f64,
    },
    /// A step of SQL begins.
    RelateStarted {
        /// Its name.
        step: String,
        /// True where what an earlier run did is taken back first.
        again: bool,
    },
    /// A step of SQL is done.
    RelateFinished {
        /// Its name.
        step: String,
        /// True where it stays as an earlier run has done it.
        left: bool,
        /// Rows that its statements changed altogether.
        rows: u64,
        /// The tables that it writes.
        tables: Vec<TableRows>,
        /// How long it took.
        seconds: f64,
    },
    /// A step of SQL that the plan does not have any more is taken back.
    RelateTakenBack {
        /// Its name.
        step: String,
    },
    /// Something a person should know.
    Warning {
        /// A code that `explain` knows.
        code: &'static str,
        /// What.
        message: String,
    },
    /// A transient error; the batch is tried again.
    Retry {
        /// Which attempt failed, from 1.
        attempt: u32,
        /// How long until the next.
        wait_seconds: f64,
        /// Why it failed.
        message: String,
    },
    /// Others on the target have to wait, or no longer: the load goes slower or faster.
    Pressure {
        /// How hard: 0 (the load goes at its own pace) to 4.
        strain: u32,
        /// Sessions that wait for a lock.
        lock_waits: u64,
        /// How far the slowest replica is behind.
        replica_lag_seconds: Option<f64>,
        /// How long the target took to answer.
        round_trip_ms: f64,
        /// How long the load rests after each batch.
        pause_seconds: f64,
        /// Rows of the next batches.
        batch_rows: u64,
    },
    /// The run waits for its window to open.
    Waiting {
        /// For how long.
        seconds: u64,
    },
    /// The process is done with the run.
    RunFinished {
        /// The run.
        run: String,
        /// `completed`, `interrupted`, `failed`.
        status: &'static str,
    },
}

/// Where a table's load is.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// The table.
    pub table: String,
    /// The file being read.
    pub file: String,
    /// Units read and transformed so far by this process.
    pub read: u64,
    /// Units committed so far, by all processes.
    pub committed: u64,
    /// Units rejected so far.
    pub rejected: u64,
    /// Bytes read so far, of `bytes_total`.
    pub bytes: u64,
    /// Bytes of all files of the table.
    pub bytes_total: u64,
    /// Time since the process began with the table.
    pub elapsed: f64,
    /// Units per second over the last seconds.
    pub rate: f64,
    /// Seconds left, once they can be told.
    pub eta: Option<f64>,
    /// `read`, `transform` or `write`: the stage that the others wait for.
    pub bottleneck: &'static str,
}

/// How many rows a table had before a step of SQL and has after it; `None` where there is none.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableRows {
    /// The table.
    pub table: String,
    /// Rows before.
    pub before: Option<u64>,
    /// Rows after.
    pub after: Option<u64>,
}

/// Units by class, with their names.
#[derive(Clone, Copy, Debug, Default, Serialize, PartialEq, Eq)]
#[allow(missing_docs)] // the classes of `whimbrel_model::Class`
pub struct NamedCounts {
    pub read: u64,
    pub loaded: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub rejected: u64,
    pub filtered: u64,
    pub duplicate: u64,
}

impl From<Counts> for NamedCounts {
    fn from(counts: Counts) -> Self {
        Self {
            read: counts.read,
            loaded: counts.class(Class::Loaded),
            updated: counts.class(Class::Updated),
            unchanged: counts.class(Class::Unchanged),
            rejected: counts.class(Class::Rejected),
            filtered: counts.class(Class::Filtered),
            duplicate: counts.class(Class::Duplicate),
        }
    }
}

/// Whoever wants to know.
pub trait Observer: Send + Sync {
    /// Called in order, from one thread at a time. Must not block for long.
    fn event(&self, event: &Numbered);
}

/// Numbers events and hands them on.
#[derive(Clone)]
pub struct Emitter {
    seq: Arc<AtomicU64>,
    retries: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
}

impl Emitter {
    /// Events go to `observer`, with the time of `clock`.
    pub fn new(clock: Arc<dyn Clock>, observer: Arc<dyn Observer>) -> Self {
        Self { seq: Arc::default(), retries: Arc::default(), clock, observer }
    }

    /// How often something was tried again.
    pub(crate) fn retries(&self) -> u64 {
        self.retries.load(Ordering::SeqCst)
    }

    /// Sends an event.
    pub fn emit(&self, event: Event) {
        let seq = self.seq.fetch_add(1, Ordering::SeqCst) + 1;
        if matches!(event, Event::Retry { .. }) {
            self.retries.fetch_add(1, Ordering::SeqCst);
        }
        self.observer.event(&Numbered { seq, ts: rfc3339(self.clock.now()), event });
    }
}

/// An observer that listens to nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Numbered) {}
}

/// Units per second over a sliding window, so that the figure neither jumps nor lags.
#[derive(Debug)]
pub(crate) struct Rate {
    samples: std::collections::VecDeque<(Duration, u64)>,
}

impl Rate {
    const WINDOW: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        Self { samples: std::collections::VecDeque::new() }
    }

    pub(crate) fn note(&mut self, at: Duration, units: u64) -> f64 {
        self.samples.push_back((at, units));
        while self.samples.len() > 2 && at.saturating_sub(self.samples[0].0) > Self::WINDOW {
            self.samples.pop_front();
        }
        let (first_at, first_units) = self.samples[0];
        let seconds = at.saturating_sub(first_at).as_secs_f64();
        if seconds > 0.0 { (units - first_units) as f64 / seconds } else { 0.0 }
    }
}
