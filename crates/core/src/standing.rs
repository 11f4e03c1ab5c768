//! Whether what was committed still stands: a server that fell may have forgotten its last commits.
//!
//! ```text
//! load: commits do not wait for the disk ─▶ leave the load ─▶ relate ─▶ finish
//!  ▲      └ of the steps before: still done?      └ all?        └ all?    └ all? ─▶ completed
//!  └──────────────────────── no: once more, from what the ledger has ─────┘
//! ```
//! Commits are forgotten from the last one back, so a step that is done stands with all its batches.

use whimbrel_endpoint::{EndpointError, Target};
use whimbrel_ledger::{Run, Step, StepStatus, step};

use crate::error::{CoreError, While};

/// Refuses to go on where a step of the run before this one is not done any more.
pub(crate) async fn before(target: &dyn Target, run: &Run, number: u64) -> Result<(), CoreError> {
    check(run, &step::of_run(target, &run.id).await.in_ledger()?, number)
}

/// The name of such a step, where there is one.
pub(crate) async fn forgotten_before(
    target: &dyn Target,
    run: &str,
    number: u64,
) -> Result<Option<String>, EndpointError> {
    Ok(forgotten(&step::of_run(target, run).await?, number))
}

/// The same with the steps as they were just read.
pub(crate) fn check(run: &Run, steps: &[Step], number: u64) -> Result<(), CoreError> {
    match forgotten(steps, number) {
        None => Ok(()),
        Some(step) => Err(CoreError::Forgotten { run: run.id.clone(), step }),
    }
}

fn forgotten(steps: &[Step], number: u64) -> Option<String> {
    let is_done = |step: &Step| step.status == StepStatus::Completed;
    let of = |number: u64| steps.iter().find(|step| step.step == number);
    let first = (0..number).find(|number| !of(*number).is_some_and(is_done))?;
    Some(of(first).map_or_else(|| format!("step {first}"), |step| step.migration_step.clone()))
}
