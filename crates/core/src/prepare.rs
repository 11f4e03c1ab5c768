//! `prepare`: the target's tables exist, by the plan's schema or by its mapping.

use serde_json::json;
use whimbrel_endpoint::{Txn, codes, failpoint};
use whimbrel_ledger::{Phase, Run, Step, StepStatus, chain, run, step};

use crate::error::{CoreError, While};
use crate::lease::Lease;
use crate::load;
use crate::migrate::Job;
use crate::patience::Patience;
use crate::ports::rfc3339;
use crate::survey::{Survey, SurveyedStep};

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
    let steps = step::of_run(target, &run.id).await.in_ledger()?;
    let first = steps.into_iter().next().filter(|step| step.status != StepStatus::Completed);
    let Some(prepare) = first else { return Ok(false) };
    let prepare = intend(job, lease, prepare).await?;
    let doing = || "preparing the target's tables".to_owned();
    let mut txn = target.begin(lease.fence).await.during(doing)?;
    let created = if survey.schema.is_empty() {
        by_mapping(job, txn.as_mut(), &intended(&prepare), unsure).await?
    } else {
        by_schema(job, txn.as_mut(), &intended(&prepare), unsure).await?
    };
    let now = rfc3339(ports.clock.now());
    let detail = json!({ "created": created });
    let row = Step {
        status: StepStatus::Completed,
        completed_at: Some(now.clone()),
        error_message: None,
        rollback_data: Some(rollback_data(survey, &created)),
        ..prepare
    };
    let run = Run { phase: Phase::Load, ..run.clone() };
    step::put(txn.as_mut(), &[row]).await.during(doing)?;
    run::put(txn.as_mut(), &run).await.during(doing)?;
    chain::checkpoint(txn.as_mut(), &run.id, "prepared", "prepare", &detail, &now)
        .await
        .during(doing)?;
    if !created.is_empty() {
        let actor = &ports.identity.actor;
        chain::record(txn.as_mut(), &now, actor, "tables.created", &run.id, &detail)
            .await
            .during(doing)?;
    }
    txn.commit().await.during(doing)?;
    Ok(true)
}

/// Writes down what is to be created before anything is: where definitions commit by themselves, an
/// interrupted attempt leaves tables that the next survey takes for somebody else's.
async fn intend(job: &Job<'_>, lease: &Lease, prepare: Step) -> Result<Step, CoreError> {
    let Job { ports, survey, .. } = *job;
    if prepare.rollback_data.is_some() {
        return Ok(prepare);
    }
    let created: Vec<String> = missing(job).map(|step| step.table.name.clone()).collect();
    let begun = Step {
        status: StepStatus::Running,
        started_at: Some(rfc3339(ports.clock.now())),
        rollback_data: Some(rollback_data(survey, &created)),
        ..prepare
    };
    let doing = || "preparing the target's tables".to_owned();
    if !created.is_empty() {
        let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
        step::put(txn.as_mut(), std::slice::from_ref(&begun)).await.during(doing)?;
        txn.commit().await.during(doing)?;
        failpoint!("core.prepare.intended");
    }
    Ok(begun)
}

fn rollback_data(survey: &Survey, created: &[String]) -> String {
    let schema: Vec<&str> = survey.schema.iter().map(|file| file.name.as_str()).collect();
    json!({ "created": created, "schema": schema }).to_string()
}

/// The tables that the first attempt set out to create.
fn intended(prepare: &Step) -> Vec<String> {
    let data = prepare.rollback_data.as_deref().unwrap_or_default();
    let data: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    let names = data["created"].as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// The tables that the survey has not found.
fn missing<'a>(job: &Job<'a>) -> impl Iterator<Item = &'a SurveyedStep> {
    job.survey.steps.iter().filter(|step| step.created)
}

/// Creates the tables of the mapping; those that somebody else has made meanwhile stay his.
async fn by_mapping(
    job: &Job<'_>,
    txn: &mut dyn Txn,
    intended: &[String],
    unsure: bool,
) -> Result<Vec<String>, CoreError> {
    let mut created = Vec::new();
    for step in job.survey.steps.iter().filter(|step| intended.contains(&step.table.name)) {
        match txn.create_table(&step.table).await {
            Err(error) if error.code == codes::TABLE_EXISTS && (unsure || !step.created) => {}
            outcome => {
                outcome.during(|| "preparing the target's tables".to_owned())?;
                created.push(step.table.name.clone());
            }
        }
    }
    Ok(created)
}

/// Applies the files of the schema, where a table is missing or an interrupted attempt did not apply
/// all of them.
async fn by_schema(
    job: &Job<'_>,
    txn: &mut dyn Txn,
    intended: &[String],
    unsure: bool,
) -> Result<Vec<String>, CoreError> {
    let Job { ports, survey, .. } = *job;
    let doing = || "preparing the target's tables".to_owned();
    let mut created = Vec::new();
    for step in missing(job) {
        let name = &step.table.name;
        if !unsure || ports.target.describe(name).await.during(doing)?.is_none() {
            created.push(name.clone());
        }
    }
    for file in &survey.schema {
        if txn.is_half_applied(file).await.during(doing)? {
            created = intended.to_vec();
        }
    }
    if !created.is_empty() {
        for file in &survey.schema {
            txn.apply_schema(file).await.during(doing)?;
        }
    }
    Ok(created)
}
