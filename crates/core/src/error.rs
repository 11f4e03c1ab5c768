//! How an operation of the core can fail, and what a run can end as.

use std::time::Duration;

use whimbrel_endpoint::{EndpointError, Holder};
use whimbrel_transform::CompileError;

use crate::cancel::StopReason;
use crate::states::Outdated;
use crate::survey::Found;

/// How `migrate` ended without an error.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// Everything is loaded; `rejects` of it could not be.
    Completed {
        /// The run.
        run: String,
        /// Open rejects of the run.
        rejects: u64,
        /// Tables that were filled with another mapping before: rows of then stay as they are.
        remapped: Vec<String>,
        /// Sources of databases that were changed while the run was interrupted: tables are of two
        /// moments until an incremental run takes them.
        outdated: Vec<Outdated>,
    },
    /// The newest run is complete and the sources are as they were.
    NothingToDo {
        /// That run.
        run: String,
    },
    /// The newest run is complete, but the sources have changed since.
    SourcesChanged {
        /// That run.
        run: String,
        /// What changed.
        changes: Changes,
    },
    /// The run stopped at a checkpoint and can go on.
    Stopped {
        /// The run.
        run: String,
        /// Why.
        reason: StopReason,
    },
}

/// How sources differ from what a run has read.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Changes {
    /// Files that were not there, and sources that are read for the first time.
    pub new: Vec<String>,
    /// Files with more records at their end.
    pub appended: Vec<String>,
    /// Files whose earlier content differs.
    pub changed: Vec<String>,
    /// Files that are gone, with the number of their records that were loaded.
    pub deleted: Vec<(String, u64)>,
    /// Tables of the plan that no run has filled yet.
    pub tables_new: Vec<String>,
    /// Tables whose mapping is not the one they were filled with.
    pub tables_remapped: Vec<String>,
    /// Relate steps that no run has done yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relates_new: Vec<String>,
    /// Relate steps that were done, and that the plan does not have any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relates_removed: Vec<String>,
    /// Relate steps whose SQL is not what it was when they were done.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub relates_changed: Vec<String>,
    /// How many of those new, appended and changed are the rows of a database, and no file.
    #[serde(skip)]
    pub databases: usize,
    /// Set where only a sample was taken: how large it was to be.
    pub sample: Option<u64>,
}

impl Changes {
    /// True where nothing differs.
    pub fn is_empty(&self) -> bool {
        !self.anything_to_load() && self.deleted.is_empty() && !self.needs_adopting()
    }

    /// True where there is something to load or to relate.
    pub fn anything_to_load(&self) -> bool {
        let any = [&self.new, &self.appended, &self.changed, &self.tables_new, &self.relates_new];
        any.iter().any(|some| !some.is_empty()) || self.sample.is_some()
    }

    /// True where the plan says something else than what was done by it.
    pub fn needs_adopting(&self) -> bool {
        let any = [&self.tables_remapped, &self.relates_changed, &self.relates_removed];
        any.iter().any(|some| !some.is_empty())
    }
}

/// A run, or the look before it, failed.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// A source or the target could not do what was asked.
    #[error("{doing}")]
    Endpoint {
        /// What was going on.
        doing: String,
        /// Why it failed.
        #[source]
        source: EndpointError,
    },
    /// The plan does not fit the sources or the target.
    #[error("the plan does not fit: {} {}", .0.len(), if .0.len() == 1 { "error" } else { "errors" })]
    Compile(Vec<CompileError>),
    /// Endpoints have found what a run would fail at.
    #[error("{}", blocked(.0))]
    Blocked(Vec<Found>),
    /// A source matches no file.
    #[error("source `{source_name}` matches no file: `{globs}`")]
    NoFiles {
        /// The source.
        source_name: String,
        /// Its globs.
        globs: String,
    },
    /// Files that match cannot be read.
    #[error("{}", unreadable(.0))]
    Unreadable(Vec<(String, String)>),
    /// Another run holds the target.
    #[error("run `{}` on host `{}` (pid {}) holds the target", holder.run, holder.host, holder.pid)]
    Held {
        /// Who.
        holder: Holder,
        /// Until the right runs out unless it is renewed.
        expires_in: Duration,
    },
    /// The mapping of a step with committed batches is not what it was.
    #[error("the mapping of `{table}` changed since run `{run}` began to load it")]
    MappingChanged {
        /// The run.
        run: String,
        /// The step's table.
        table: String,
    },
    /// A relate step that was done is not in the plan any more.
    #[error(
        "relate step `{}`, which run `{run}` or one before it has done, is not in the plan any more",
        whimbrel_transform::excerpt_text(step)
    )]
    RelateRemoved {
        /// The run.
        run: String,
        /// The step.
        step: String,
    },
    /// Such a step has no undo.
    #[error(
        "relate step `{}` was done by run `{run}` and is not in the plan any more, and cannot be taken \
         back: it has no `undo`",
        whimbrel_transform::excerpt_text(step)
    )]
    RemovedWithoutUndo {
        /// The step.
        step: String,
        /// The run that did it.
        run: String,
    },
    /// Rows of a database are called by numbers that are others by now.
    #[error(
        "rows of `{table}` are called by their numbers, and those of its source are not what they were \
         in run `{run}`"
    )]
    Renumbered {
        /// The run.
        run: String,
        /// The table.
        table: String,
    },
    /// A reference leads to a table whose rows were loaded when nobody referred to it.
    #[error(
        "`{child}` refers to `{parent}` now, whose rows were loaded before anything did: their old keys \
         were not kept"
    )]
    NoOldKeys {
        /// The table that refers.
        child: String,
        /// The table that it refers to.
        parent: String,
    },
    /// An unfinished run has begun with other tables or steps.
    #[error(
        "run `{run}` is unfinished, and the plan's {what} are not those that it has begun with"
    )]
    ListChanged {
        /// The run.
        run: String,
        /// `tables` or `relate steps`.
        what: &'static str,
    },
    /// A partly loaded source is not what it was.
    #[error("`{path}` changed since run `{run}` began to read it")]
    SourceChanged {
        /// The run.
        run: String,
        /// The file.
        path: String,
    },
    /// Options that decide what is taken differ from those of the unfinished run.
    #[error("run `{run}` is unfinished and was started with other options: {difference}")]
    OptionsChanged {
        /// The run.
        run: String,
        /// Which.
        difference: String,
    },
    /// The accounts do not balance: a defect of the program, or a damaged ledger.
    #[error("the accounts of `{table}` do not balance: {detail}")]
    Unbalanced {
        /// The table.
        table: String,
        /// The figures.
        detail: String,
    },
    /// A sample of what is loaded already.
    #[error("run `{run}` has loaded everything; a sample is for a target without it")]
    LoadedAlready {
        /// The run.
        run: String,
    },
    /// A table that was filled is not there any more.
    #[error("table `{table}` is gone; run `{run}`, or one before it, has filled it")]
    TableGone {
        /// The run.
        run: String,
        /// The table.
        table: String,
    },
    /// The file of a reject is not what it was, or gone.
    #[error("`{path}` is no longer what was rejected")]
    RejectChanged {
        /// The file.
        path: String,
    },
    /// Something was asked that only a complete run can give.
    #[error("run `{run}` is not complete")]
    Unfinished {
        /// The run.
        run: String,
    },
    /// The maintenance window is closed.
    #[error("the maintenance window is closed until {opens}")]
    OutsideWindow {
        /// When it opens: by the plan's clocks, and as an instant.
        opens: String,
    },
    /// A signal came before the window opened; nothing was begun.
    #[error("stopped while waiting for the maintenance window")]
    StoppedWaiting(StopReason),
    /// The ledger knows no run of that id.
    #[error("there is no run `{0}`")]
    NoSuchRun(String),
    /// There is no run yet.
    #[error("no run of plan `{plan}` in `{location}`")]
    NoRun {
        /// The plan.
        plan: String,
        /// The target.
        location: String,
    },
    /// The check of a relate step found rows.
    #[error(
        "the check of relate step `{}` returned rows: {rows}",
        whimbrel_transform::excerpt_text(step)
    )]
    CheckFailed {
        /// The step.
        step: String,
        /// The first of them, bounded and escaped.
        rows: String,
    },
    /// A relate step would have to be done again and says no undo.
    #[error(
        "relate step `{}` was done by run `{run}` and cannot be done again: it has no `undo`",
        whimbrel_transform::excerpt_text(step)
    )]
    NoUndo {
        /// The step.
        step: String,
        /// The run that did it.
        run: String,
    },
    /// Steps that were done are not done any more: a server that fell had not written all of it.
    #[error(
        "the target has forgotten that `{}` of run `{run}` was done",
        whimbrel_transform::excerpt_text(step)
    )]
    Forgotten {
        /// The run.
        run: String,
        /// The first of them, as the ledger calls it.
        step: String,
    },
    /// What stands in the target is not what was loaded, or breaks a rule of the plan.
    #[error("the target is not as run `{run}` should have left it: {summary}")]
    Differs {
        /// The run.
        run: String,
        /// The checks that failed.
        summary: String,
    },
    /// The last verification failed and was neither settled nor waived.
    #[error("the verification of run `{run}` failed (level `{level}`) and stands so")]
    StandsFailed {
        /// The run.
        run: String,
        /// The level.
        level: String,
    },
    /// Rules of the plan do not hold for its sources.
    #[error("the sources break rules of the plan: {0}")]
    SourcesBreakRules(String),
    /// Whether rules of the plan hold could not be found out.
    #[error("rules of the plan could not be evaluated: {0}")]
    NotEvaluated(String),
    /// What was asked does not fit the state of things.
    #[error("{0}")]
    Refused(String),
    /// A thread of the load ended without a word.
    #[error("a thread of the load of `{0}` ended unexpectedly")]
    ThreadLost(String),
}

fn blocked(found: &[Found]) -> String {
    match found {
        [one] => format!("{}: {}", one.at, one.message),
        several => format!("{} things stand in the way of a run", several.len()),
    }
}

fn unreadable(paths: &[(String, String)]) -> String {
    match paths {
        [(path, why)] => format!("`{path}` cannot be read: {why}"),
        _ => format!("{} matching paths cannot be read", paths.len()),
    }
}

/// Adds what was going on to an endpoint's error.
pub(crate) trait While<T>: Sized {
    fn during(self, doing: impl FnOnce() -> String) -> Result<T, CoreError>;

    /// The ledger was read.
    fn in_ledger(self) -> Result<T, CoreError> {
        self.during(|| "reading the ledger".to_owned())
    }
}

impl<T> While<T> for Result<T, EndpointError> {
    fn during(self, doing: impl FnOnce() -> String) -> Result<T, CoreError> {
        self.map_err(|source| CoreError::Endpoint { doing: doing(), source })
    }
}
