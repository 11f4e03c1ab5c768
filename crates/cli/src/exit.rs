//! Exit codes and hints: the one place that turns kinds of ends into numbers and advice.

use whimbrel_core::{Changes, CoreError, Outcome, StopReason};
use whimbrel_endpoint::ErrorClass;

/// Exit codes, as `docs/exit-codes.md` promises them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Exit {
    Done = 0,
    Failed = 1,
    Usage = 2,
    Rejects = 3,
    Differs = 4,
    SomethingToDo = 5,
    Changed = 6,
    RejectLimit = 7,
    NotVerified = 8,
    Held = 11,
    Temporary = 75,
    Interrupted = 130,
    Terminated = 143,
}

impl Exit {
    /// Whether what was asked for was done or answered.
    pub(crate) fn is_success(self) -> bool {
        match self {
            Self::Done | Self::Rejects | Self::SomethingToDo => true,
            Self::Failed
            | Self::Usage
            | Self::Differs
            | Self::Changed
            | Self::RejectLimit
            | Self::NotVerified
            | Self::Held
            | Self::Temporary
            | Self::Interrupted
            | Self::Terminated => false,
        }
    }

    /// Whether the same command may succeed later without anything being changed by hand.
    pub(crate) fn retryable(self) -> bool {
        match self {
            Self::Held | Self::Temporary | Self::Interrupted | Self::Terminated => true,
            Self::Done
            | Self::Failed
            | Self::Usage
            | Self::Rejects
            | Self::Differs
            | Self::SomethingToDo
            | Self::Changed
            | Self::RejectLimit
            | Self::NotVerified => false,
        }
    }
}

/// The code of a run's end.
pub(crate) fn of_outcome(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Completed { outdated, .. } if !outdated.is_empty() => Exit::SomethingToDo,
        Outcome::Completed { rejects: 0, .. } | Outcome::NothingToDo { .. } => Exit::Done,
        Outcome::Completed { .. } => Exit::Rejects,
        Outcome::SourcesChanged { changes, .. } => of_changes(changes),
        Outcome::Stopped { reason, .. } => of_stop(*reason),
    }
}

/// Files that are gone are told, but leave nothing to do; another mapping has to be adopted first.
pub(crate) fn of_changes(changes: &Changes) -> Exit {
    if changes.needs_adopting() {
        Exit::Changed
    } else if changes.anything_to_load() {
        Exit::SomethingToDo
    } else {
        Exit::Done
    }
}

fn of_stop(reason: StopReason) -> Exit {
    match reason {
        StopReason::Interrupt => Exit::Interrupted,
        StopReason::Terminate => Exit::Terminated,
        StopReason::Deadline | StopReason::WindowClosed => Exit::Temporary,
        StopReason::RejectLimit | StopReason::RuleLimit { .. } => Exit::RejectLimit,
    }
}

/// The code of an error of the core.
pub(crate) fn of_core(error: &CoreError) -> Exit {
    match error {
        CoreError::Endpoint { source, .. } => of_class(source.class),
        CoreError::Compile(_)
        | CoreError::Blocked(_)
        | CoreError::NoFiles { .. }
        | CoreError::Unreadable(_)
        | CoreError::NoSuchRun(_)
        | CoreError::SourcesBreakRules(_)
        | CoreError::NoRun { .. } => Exit::Usage,
        CoreError::NotEvaluated(_) => Exit::NotVerified,
        CoreError::Held { .. } => Exit::Held,
        CoreError::MappingChanged { .. }
        | CoreError::SourceChanged { .. }
        | CoreError::RejectChanged { .. }
        | CoreError::TableGone { .. }
        | CoreError::LoadedAlready { .. }
        | CoreError::Unfinished { .. }
        | CoreError::NoUndo { .. }
        | CoreError::RelateRemoved { .. }
        | CoreError::RemovedWithoutUndo { .. }
        | CoreError::ListChanged { .. }
        | CoreError::Renumbered { .. }
        | CoreError::NoOldKeys { .. }
        | CoreError::OptionsChanged { .. }
        | CoreError::Refused(_) => Exit::Changed,
        CoreError::OutsideWindow { .. } | CoreError::Forgotten { .. } => Exit::Temporary,
        CoreError::StoppedWaiting(reason) => of_stop(*reason),
        CoreError::Differs { .. } | CoreError::StandsFailed { .. } => Exit::Differs,
        CoreError::Unbalanced { .. } | CoreError::ThreadLost(_) | CoreError::CheckFailed { .. } => {
            Exit::Failed
        }
    }
}

/// The code of an endpoint's error.
pub(crate) fn of_class(class: ErrorClass) -> Exit {
    match class {
        ErrorClass::Configuration => Exit::Usage,
        ErrorClass::Transient | ErrorClass::Unknown => Exit::Temporary,
        ErrorClass::Fenced => Exit::Held,
        ErrorClass::Changed => Exit::Changed,
        ErrorClass::Data | ErrorClass::Constraint | ErrorClass::System => Exit::Failed,
    }
}
