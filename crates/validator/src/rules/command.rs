//! Programs of the user's as rules: what they are given, and what their end means.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use whimbrel_model::plan::{Check, CheckSeverity, Plan};

use super::{on, severity, shown};
use crate::verify::{Checked, Status};

/// A program to be run in the plan's folder.
#[derive(Clone, Debug)]
pub struct Command {
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Variables of the environment, by name.
    pub given: Vec<(String, String)>,
    /// Names of variables that it gets as they are.
    pub pass: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// By itself: its code (none: a signal), and the end of what it printed.
    Exited(Option<i32>, String),
    /// It was ended: the end of what it had printed.
    TimedOut(String),
    /// It could not be started, and why.
    NotStarted(String),
}

/// What runs programs.
#[async_trait]
pub trait Commands: Send + Sync {
    /// Runs a program and everything that it starts to their end.
    async fn run(&self, command: Command) -> Ended;
}

/// Characters of the output in a message.
const MESSAGE_CHARS: usize = 300;

/// Characters of the output in the details.
const OUTPUT_CHARS: usize = 4_096;

pub(super) fn judged(
    check: &Check,
    passed: Checked,
    ended: Ended,
    hides: bool,
    plan: &Plan,
) -> Checked {
    let tell = |output: &str, chars: usize| {
        if hides {
            return shown::MASK.to_owned();
        }
        let lines: Vec<&str> = output.lines().filter(|line| !line.trim().is_empty()).collect();
        // Whoever passed a password on may have printed it.
        shown::bounded(&plan.redact(&lines.join(" | ")), chars)
    };
    let detailed = |code: Option<i32>, output: &str| {
        json!({
            "severity": severity(check), "on": on(check), "exit": code,
            "output": tell(output, OUTPUT_CHARS),
        })
    };
    match ended {
        Ended::Exited(Some(0), output) => Checked { details: detailed(Some(0), &output), ..passed },
        Ended::Exited(Some(code @ (126 | 127)), output) => {
            let message =
                format!("the command did not run (exit {code}): {}", tell(&output, MESSAGE_CHARS));
            Checked { details: detailed(Some(code), &output), ..passed }
                .ended(Status::Unverified, message)
        }
        Ended::Exited(Some(code), output) => {
            let status = match check.severity {
                CheckSeverity::Error => Status::Failed,
                CheckSeverity::Warning => Status::Noted,
            };
            let said = tell(&output, MESSAGE_CHARS);
            let said = if said.is_empty() { said } else { format!(": {said}") };
            Checked { details: detailed(Some(code), &output), ..passed }
                .ended(status, format!("the command ended with {code}{said}"))
        }
        Ended::Exited(None, output) => {
            let said = tell(&output, MESSAGE_CHARS);
            Checked { details: detailed(None, &output), ..passed }
                .ended(Status::Unverified, format!("the command was ended by a signal: {said}"))
        }
        Ended::TimedOut(output) => Checked { details: detailed(None, &output), ..passed }
            .ended(Status::Unverified, format!("it took longer than {:?}", check.timeout)),
        Ended::NotStarted(why) => {
            let message = format!("the command did not start: {}", tell(&why, MESSAGE_CHARS));
            passed.ended(Status::Unverified, message)
        }
    }
}
