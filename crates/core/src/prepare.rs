//! `prepare`: the target's tables exist, by the plan's schema or by its mapping.

use serde_json::json;
use whimbrel_ledger::{Phase, Run, StepStatus, chain, run, step};

use crate::error::{CoreError, While};
use crate::lease::Lease;
use crate::load;
use crate::migrate::Job;
use crate::patience::Patience;
use crate::ports::rfc3339;
use crate::survey::SurveyedStep;

/// Applies the schema, or creates the tables of the mapping, once.
pub(crate) async fn prepare(job: &Job<'_>, run: &mut Run, lease: &Lease) -> Result<(), CoreError> {
    let ports = job.ports;
    let patience = Patience::new(ports, load::retries(job.plan), lease);
    let done = patience.carry_out(async |unsure| once(job, run, lease, unsure).await).await?;
    if done {
        run.phase = Phase::Load;
    }
    Ok(())
}

/// One attempt; whether there was anything to do. After one without an answer, tables may be there
/// that the survey has not seen.
async fn once(job: &Job<'_>, run: &Run, lease: &Lease, unsure: bool) -> Result<bool, CoreError> {
    let Job { ports, survey, .. } = *job;
    let target = ports.target.as_ref();
    let mut steps = step::of_run(target, &run.id).await.in_ledger()?;
    let first = steps.first_mut().filter(|step| step.status != StepStatus::Completed);
    let Some(prepare) = first else { return Ok(false) };
    let doing = || "preparing the target's tables".to_owned();
    let started = rfc3339(ports.clock.now());
    let mut txn = target.begin(lease.fence).await.during(doing)?;
    let mut missing: Vec<&SurveyedStep> = Vec::new();
    for step in survey.steps.iter().filter(|step| step.created) {
        let there = unsure && target.describe(&step.table.name).await.during(doing)?.is_some();
        if !there {
            missing.push(step);
        }
    }
    let mut created: Vec<&str> = Vec::new();
    if survey.schema.is_empty() {
        for step in missing {
            txn.create_table(&step.table).await.during(doing)?;
            created.push(&step.table.name);
        }
    } else if !missing.is_empty() {
        for file in &survey.schema {
            txn.apply_schema(file).await.during(doing)?;
        }
        created.extend(missing.iter().map(|step| step.table.name.as_str()));
    }
    let schema: Vec<&str> = survey.schema.iter().map(|file| file.name.as_str()).collect();
    prepare.status = StepStatus::Completed;
    prepare.started_at = Some(started);
    prepare.completed_at = Some(rfc3339(ports.clock.now()));
    prepare.rollback_data = Some(json!({ "created": created, "schema": schema }).to_string());
    let row = prepare.clone();
    let run = Run { phase: Phase::Load, ..run.clone() };
    step::put(txn.as_mut(), &[row]).await.during(doing)?;
    run::put(txn.as_mut(), &run).await.during(doing)?;
    let now = rfc3339(ports.clock.now());
    chain::checkpoint(
        txn.as_mut(),
        &run.id,
        "prepared",
        "prepare",
        &json!({ "created": created }),
        &now,
    )
    .await
    .during(doing)?;
    txn.commit().await.during(doing)?;
    Ok(true)
}
