//! Failures as people and programs see them: code, message, causes, hint, exit code.

use std::error::Error as StdError;

use whimbrel_core::CoreError;
use whimbrel_endpoint::EndpointError;

use crate::exit::{self, Exit};
use crate::output::harmless;

/// A verb failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) causes: Vec<String>,
    pub(crate) hint: Option<String>,
    /// Errors of a plan, rendered with their places.
    pub(crate) errors: Vec<String>,
    pub(crate) exit: Exit,
}

impl Failure {
    /// A mistake in how the program was called.
    pub(crate) fn usage(
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            causes: Vec::new(),
            hint: Some(hint.into()),
            errors: Vec::new(),
            exit: Exit::Usage,
        }
    }

    /// A file could not be read or written.
    pub(crate) fn io(
        code: &'static str,
        message: impl Into<String>,
        error: &std::io::Error,
    ) -> Self {
        Self {
            code,
            message: message.into(),
            causes: vec![error.to_string()],
            hint: None,
            errors: Vec::new(),
            exit: Exit::Failed,
        }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// As people see it on standard error; `run` says which run failed, and where.
    pub(crate) fn render(&self, colours: bool, run: Option<&str>) -> String {
        let (red, cyan, bold, plain) = if colours {
            ("\u{1b}[1;31m", "\u{1b}[36m", "\u{1b}[1m", "\u{1b}[0m")
        } else {
            ("", "", "", "")
        };
        let mut text = String::new();
        for error in &self.errors {
            text.push_str(harmless(error).trim_end());
            text.push_str("\n\n");
        }
        text.push_str(&format!(
            "{red}error[{}]{plain}{bold}: {}{plain}\n",
            self.code,
            harmless(&self.message)
        ));
        for cause in &self.causes {
            text.push_str(&format!("  caused by: {}\n", harmless(cause)));
        }
        if let Some(run) = run {
            text.push_str(&format!("  run: {run}\n"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("  {cyan}hint{plain}: {}\n", harmless(hint)));
        }
        text.push_str(&format!("  more: whimbrel explain {}\n", self.code));
        text
    }
}

fn causes(error: &dyn StdError) -> Vec<String> {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(crate::output::printable(&cause.to_string(), 400));
        next = cause.source();
    }
    causes
}

impl From<CoreError> for Failure {
    fn from(error: CoreError) -> Self {
        Self {
            code: error.code(),
            message: error.to_string(),
            causes: causes(&error),
            hint: hint(&error),
            errors: Vec::new(),
            exit: exit::of_core(&error),
        }
    }
}

impl From<EndpointError> for Failure {
    fn from(error: EndpointError) -> Self {
        Self {
            code: error.code,
            message: error.to_string(),
            causes: causes(&error),
            hint: endpoint_hint(&error),
            errors: Vec::new(),
            exit: exit::of_class(error.class),
        }
    }
}

fn hint(error: &CoreError) -> Option<String> {
    let hint = match error {
        CoreError::Endpoint { doing, source } => {
            return endpoint_hint(source).or_else(|| relate_hint(doing, source));
        }
        CoreError::Compile(_) => "correct the plan; nothing was written".to_owned(),
        CoreError::Blocked(_) => {
            "mend it, then run the same command again; nothing was written".to_owned()
        }
        CoreError::NoFiles { .. } => "paths in a plan are relative to the plan's folder".to_owned(),
        CoreError::Unreadable(_) => {
            "give the user who runs whimbrel the right to read them, or `exclude` them".to_owned()
        }
        CoreError::Held { expires_in, .. } => format!(
            "wait until that run is done; if its process is dead, its right ends in {} s",
            expires_in.as_secs()
        ),
        CoreError::MappingChanged { .. } => {
            "put the mapping back, or go on with it: `whimbrel migrate --adopt`".to_owned()
        }
        CoreError::RelateRemoved { .. } => {
            "put the step back, or have it taken back by its `undo`: `whimbrel migrate --adopt`"
                .to_owned()
        }
        CoreError::RemovedWithoutUndo { .. } => {
            "put the step back with an `undo` (`undo = \"SELECT 1\"` where what it did may stay), \
             `whimbrel migrate --adopt`, then take it out"
                .to_owned()
        }
        CoreError::ListChanged { .. } => {
            "put them back and finish the run: `whimbrel migrate`; then change the plan".to_owned()
        }
        CoreError::Renumbered { .. } => {
            "give the old table a key, or load everything into another target".to_owned()
        }
        CoreError::NoOldKeys { .. } => {
            "load everything into another target, or fill the column by a `[[relate]]` step"
                .to_owned()
        }
        CoreError::SourceChanged { .. } => {
            "put it back as it was and run the same command again".to_owned()
        }
        CoreError::RejectChanged { .. } => {
            "if you mended the file itself: `whimbrel migrate --incremental`; else put it back, or \
             waive its rejects"
                .to_owned()
        }
        CoreError::TableGone { .. } => {
            "put the table back, or name another target; nothing was written".to_owned()
        }
        CoreError::LoadedAlready { .. } => {
            "name another target for the sample, as `sqlite:sample.db`".to_owned()
        }
        CoreError::CheckFailed { .. } => {
            "correct the step's SQL or the rows, then run the same command again: it goes on with \
             this step"
                .to_owned()
        }
        CoreError::NoUndo { .. } => {
            "add `undo` to the step; `undo = \"SELECT 1\"` where its `sql` may simply be done again"
                .to_owned()
        }
        CoreError::Forgotten { .. } => {
            "run the same command again: it does what the server has lost".to_owned()
        }
        CoreError::Unfinished { .. } => "`whimbrel migrate` goes on with it".to_owned(),
        CoreError::OptionsChanged { .. } => {
            "leave the options out to go on with that run".to_owned()
        }
        CoreError::NoRun { .. } => "`whimbrel migrate` begins one".to_owned(),
        CoreError::NoSuchRun(_) => "`whimbrel history` lists the runs".to_owned(),
        CoreError::OutsideWindow { .. } => {
            "`[window] outside = \"wait\"` in the plan waits for the opening".to_owned()
        }
        CoreError::StoppedWaiting(_) => "the same command waits again".to_owned(),
        CoreError::Differs { .. } => {
            "`whimbrel verify` names the rows; mend them and run the same command again".to_owned()
        }
        CoreError::SourcesBreakRules(_) => {
            "mend the data, or raise `allow` of the check; nothing was written".to_owned()
        }
        CoreError::NotEvaluated(_) => {
            "mend what the message names, then run the same command again".to_owned()
        }
        CoreError::StandsFailed { .. } => {
            "`whimbrel verify` looks again; `whimbrel verify --waive REASON` lets it stand"
                .to_owned()
        }
        CoreError::Unbalanced { .. } | CoreError::ThreadLost(_) | CoreError::Refused(_) => {
            return None;
        }
    };
    Some(hint)
}

/// What to do where the engine does not take the SQL of a relate step.
fn relate_hint(doing: &str, error: &EndpointError) -> Option<String> {
    let of_a_step = doing.starts_with("relate step") || doing.starts_with("taking relate step");
    if error.code != "WB0423" || !of_a_step {
        return None;
    }
    let hint = if doing.starts_with("taking relate step") {
        "this `undo` was recorded when the step was done: let the target have what it needs; or put \
         the step back with another `undo` (`undo = \"SELECT 1\"` where what it did may stay), \
         `whimbrel migrate --adopt`, then take it out"
    } else if doing.ends_with(", the recorded `undo`") {
        "this `undo` was recorded when the step was done, and is tried first: let the target have what \
         it needs; or correct `undo` in the plan, and go on with that: `whimbrel migrate --adopt`"
    } else if doing.ends_with(", the plan's `undo`") {
        "correct `undo` in the plan, then run the same command again"
    } else {
        "correct the step in the plan, then run the same command again: it goes on with this step"
    };
    Some(hint.to_owned())
}

fn endpoint_hint(error: &EndpointError) -> Option<String> {
    let hint = match exit::of_class(error.class) {
        Exit::Usage => return whimbrel_sql::hint(error.code).map(str::to_owned),
        Exit::Temporary => "run the same command again; what is committed stays",
        Exit::Failed => "mend the cause, then run the same command again; what is committed stays",
        Exit::Done
        | Exit::Rejects
        | Exit::Differs
        | Exit::SomethingToDo
        | Exit::Changed
        | Exit::RejectLimit
        | Exit::NotVerified
        | Exit::Held
        | Exit::Interrupted
        | Exit::Terminated => return None,
    };
    Some(match whimbrel_sql::hint(error.code) {
        Some(known) => format!("{known}; then {hint}"),
        None => hint.to_owned(),
    })
}
