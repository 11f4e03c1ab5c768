//! Runs: what was started, with which plan and options, and how it stands.

use whimbrel_endpoint::{EndpointError, Order, Target, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::tables;

/// Why a run exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunKind {
    /// Everything the plan names.
    Full,
    /// What changed since the parent run.
    Incremental,
    /// Rejects of the parent run and of those before it.
    Retry,
}

/// How a run stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RunStatus {
    /// A process works on it, or died doing so: the lease tells which.
    Running,
    /// It stopped at a checkpoint and can go on.
    Interrupted,
    /// It stopped because something is wrong; it can go on once that is mended.
    Failed,
    /// It is done.
    Completed,
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[allow(missing_docs)] // the names are the phases of design and docs
pub enum Phase {
    Preflight,
    Prepare,
    Load,
    Relate,
    Verify,
    Finish,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// The word in the ledger and in reports.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The value of that word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use words;

words!(RunKind { Full = "full", Incremental = "incremental", Retry = "retry" });
words!(RunStatus {
    Running = "running",
    Interrupted = "interrupted",
    Failed = "failed",
    Completed = "completed",
});
words!(Phase {
    Preflight = "preflight",
    Prepare = "prepare",
    Load = "load",
    Relate = "relate",
    Verify = "verify",
    Finish = "finish",
});

/// A row of `migration_runs`.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// Six or more hex digits that people type.
    pub id: String,
    /// Order of creation in this ledger, from 1.
    pub seq: u64,
    /// Name of the plan.
    pub plan: String,
    /// Digest of the plan's mapping when the run began.
    pub plan_digest: Vec<u8>,
    /// Why it exists.
    pub kind: RunKind,
    /// The run it continues.
    pub parent: Option<String>,
    /// How it stands.
    pub status: RunStatus,
    /// How far it is.
    pub phase: Phase,
    /// How many processes have worked on it.
    pub attempts: u64,
    /// JSON: what decides which records are taken.
    pub options: String,
    /// JSON: what was found, per source.
    pub sources: String,
    /// User and host.
    pub started_by: String,
    /// Version of the program.
    pub tool_version: String,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// Code of the error that stopped it.
    pub error_code: Option<String>,
    /// Its message.
    pub error_message: Option<String>,
}

impl Stored for Run {
    fn table() -> &'static Table {
        &tables::RUNS
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.id.as_str().into(),
            self.seq.into(),
            self.plan.as_str().into(),
            self.plan_digest.as_slice().into(),
            self.kind.word().into(),
            self.parent.clone().into(),
            self.status.word().into(),
            self.phase.word().into(),
            self.attempts.into(),
            self.options.as_str().into(),
            self.sources.as_str().into(),
            self.started_by.as_str().into(),
            self.tool_version.as_str().into(),
            self.started_at.as_str().into(),
            self.ended_at.clone().into(),
            self.error_code.clone().into(),
            self.error_message.clone().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            id: cells.text()?,
            seq: cells.int()?,
            plan: cells.text()?,
            plan_digest: cells.bytes()?,
            kind: cells.parsed(RunKind::from_word, "kind of run")?,
            parent: cells.text_or_null()?,
            status: cells.parsed(RunStatus::from_word, "status of a run")?,
            phase: cells.parsed(Phase::from_word, "phase")?,
            attempts: cells.int()?,
            options: cells.text()?,
            sources: cells.text()?,
            started_by: cells.text()?,
            tool_version: cells.text()?,
            started_at: cells.text()?,
            ended_at: cells.text_or_null()?,
            error_code: cells.text_or_null()?,
            error_message: cells.text_or_null()?,
        })
    }
}

/// Writes a run, replacing its row.
pub async fn put(txn: &mut dyn Txn, run: &Run) -> Result<(), EndpointError> {
    cells::put(txn, std::slice::from_ref(run)).await
}

/// All runs of the ledger, newest first.
pub async fn all(target: &dyn Target, limit: Option<u64>) -> Result<Vec<Run>, EndpointError> {
    let mut query = cells::query::<Run>().by("seq", Order::Falling);
    query.limit = limit;
    cells::select(target, query).await
}

/// The newest run of a plan, if there is one.
pub async fn newest(target: &dyn Target, plan: &str) -> Result<Option<Run>, EndpointError> {
    let query = cells::query::<Run>().is("plan", plan).by("seq", Order::Falling).at_most(1);
    Ok(cells::select(target, query).await?.pop())
}

/// The run of that id.
pub async fn get(target: &dyn Target, id: &str) -> Result<Option<Run>, EndpointError> {
    Ok(cells::select(target, cells::query::<Run>().is("id", id)).await?.pop())
}

/// The runs that continue this one, oldest first, at most `limit`.
pub async fn children(
    target: &dyn Target,
    id: &str,
    limit: u64,
) -> Result<Vec<Run>, EndpointError> {
    let query = cells::query::<Run>().is("parent", id).by("seq", Order::Rising).at_most(limit);
    cells::select(target, query).await
}

/// The run and the runs it continues, oldest first.
pub async fn lineage(target: &dyn Target, newest: &Run) -> Result<Vec<Run>, EndpointError> {
    let mut runs = vec![newest.clone()];
    while let Some(parent) = &runs[runs.len() - 1].parent {
        match get(target, parent).await? {
            Some(parent) => runs.push(parent),
            None => break,
        }
    }
    runs.reverse();
    Ok(runs)
}
