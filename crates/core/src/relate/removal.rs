//! Steps that were done, still stand, and are not in the plan any more: they are taken back with what
//! was recorded as their undo, once all are that were done behind them.

use std::collections::BTreeSet;

use serde_json::json;
use whimbrel_endpoint::{Script, failpoint};
use whimbrel_ledger::{Run, Step, StepStatus, chain, run, step};
use whimbrel_model::plan::Plan;
use whimbrel_transform::excerpt_text;

use super::{Done, PREFIX, Task, recorded, runs_before, step_name, taken_back};
use crate::error::{CoreError, While};
use crate::event::Event;
use crate::lease::Lease;
use crate::migrate::Job;
use crate::ports::{Ports, rfc3339};

/// A step that a run has done, that still stands, and that the plan does not have any more.
pub(crate) struct Removed {
    step: Step,
    done: Done,
    /// Names of the steps that the run has done before it.
    before: BTreeSet<String>,
}

impl Removed {
    pub(crate) fn name(&self) -> &str {
        self.step.migration_step.strip_prefix(PREFIX).unwrap_or(&self.step.migration_step)
    }

    /// Refuses what was done without an undo.
    pub(crate) fn can_be_taken_back(&self) -> Result<(), CoreError> {
        if self.done.undo.is_some() {
            return Ok(());
        }
        let run = self.done.by.clone().unwrap_or_else(|| self.step.run.clone());
        Err(CoreError::RemovedWithoutUndo { step: self.name().to_owned(), run })
    }

    /// The first of these steps that the run had not done before it.
    pub(super) fn behind(&self, tasks: &[Task<'_>]) -> usize {
        let before = |task: &Task<'_>| self.before.contains(&step_name(task.name()));
        tasks.iter().position(|task| !before(task)).unwrap_or(tasks.len())
    }

    /// Takes it back, and says so in the row of the run that has done it.
    pub(super) async fn take_back(
        &self,
        ports: &Ports,
        run: &Run,
        lease: &Lease,
    ) -> Result<(), CoreError> {
        let name = excerpt_text(self.name());
        let doing = || format!("taking relate step `{name}` back");
        let sql = self.done.undo.clone().unwrap_or_default();
        let script = Script { name: format!("relate `{name}`, undo"), sql };
        let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
        txn.execute(&script).await.during(doing)?;
        run::put(txn.as_mut(), run).await.during(doing)?;
        step::put(txn.as_mut(), &[taken_back(&self.step)]).await.during(doing)?;
        let (now, actor) = (rfc3339(ports.clock.now()), &ports.identity.actor);
        let detail = json!({ "step": self.step.migration_step, "done_by": self.step.run });
        chain::record(txn.as_mut(), &now, actor, "relate.taken_back", &run.id, &detail)
            .await
            .during(doing)?;
        failpoint!("core.relate.removal.before_commit");
        txn.commit().await.during(doing)?;
        failpoint!("core.relate.removal.after_commit");
        ports.events.emit(Event::RelateTakenBack { step: self.name().to_owned() });
        Ok(())
    }
}

/// The steps that runs of the plan before `seq` have done and the plan does not have, the last one
/// first.
pub(crate) async fn removed(
    ports: &Ports,
    plan: &Plan,
    seq: u64,
) -> Result<Vec<Removed>, CoreError> {
    let mut known: BTreeSet<String> =
        plan.relates.iter().map(|relate| step_name(&relate.name.value)).collect();
    let mut removed = Vec::new();
    for run in runs_before(ports, &plan.name.value, seq).await? {
        let mut steps = step::of_run(ports.target.as_ref(), &run.id).await.in_ledger()?;
        steps.retain(|step| {
            step.migration_step.starts_with(PREFIX) && step.status == StepStatus::Completed
        });
        steps.sort_by_key(|step| step.step);
        for (index, step) in steps.iter().enumerate().rev() {
            let done = recorded(step);
            if known.insert(step.migration_step.clone()) && !done.taken_back {
                let before = steps[..index].iter().map(|step| step.migration_step.clone());
                removed.push(Removed { step: step.clone(), done, before: before.collect() });
            }
        }
    }
    Ok(removed)
}

/// Rows of earlier runs whose steps this run has taken back, and that it does not have any more.
pub(crate) async fn dropped_when_taken_back(
    job: &Job<'_>,
    run: &Run,
    recorded_steps: &[Step],
) -> Result<Vec<Step>, CoreError> {
    let removed = removed(job.ports, job.plan, run.seq).await?;
    let here = |removed: &&Removed| {
        recorded_steps.iter().any(|step| {
            step.migration_step == removed.step.migration_step && recorded(step).taken_back
        })
    };
    Ok(removed.iter().filter(here).map(|removed| taken_back(&removed.step)).collect())
}
