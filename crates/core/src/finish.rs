//! `finish`: conservation over everything that is committed; and how a run is closed or marked as
//! stopped.

use std::collections::BTreeMap;

use serde_json::json;
use whimbrel_endpoint::Txn;
use whimbrel_ledger::{
    Check, CheckStatus, Counts, Item, ItemStatus, Phase, Run, RunKind, RunStatus, Step, StepStatus,
    batch, chain, check, item, reject, run, step,
};
use whimbrel_model::{Account, Class, RowAccount};

use crate::cancel::StopReason;
use crate::error::{CoreError, While};
use crate::event::Event;
use crate::lease::Lease;
use crate::load::{self, indexes};
use crate::migrate::Job;
use crate::patience::Patience;
use crate::ports::{Ports, rfc3339};
use crate::standing;
use crate::states::{self, Compared};
use crate::survey::Found;

/// Checks conservation over everything that is committed, and closes the run.
pub(crate) async fn finish(
    job: &Job<'_>,
    run: &mut Run,
    lease: &Lease,
    findings: &[Found],
    compared: &[Compared],
) -> Result<u64, CoreError> {
    let patience = Patience::new(job.ports, load::retries(job.plan), lease);
    let begun: &Run = run;
    let closing = patience.carry_out(async |unsure| {
        // Each time from the ledger as it stands: what an answer has promised may be gone.
        let closing = Closing::read(job, begun, findings, compared).await?;
        closing.close(lease, unsure).await?;
        Ok(closing)
    });
    let Closing { run: closed, rejects, failed, .. } = closing.await?;
    *run = closed;
    match failed {
        None => Ok(rejects),
        Some(check) => Err(CoreError::Unbalanced {
            table: check.check_name,
            detail: check.error_message.unwrap_or_default(),
        }),
    }
}

/// Accounts that do not balance are told before rows are looked at: then nothing says what these should be.
pub(crate) async fn balances(job: &Job<'_>, run: &Run) -> Result<(), CoreError> {
    let target = job.ports.target.as_ref();
    standing::before(target, run, job.survey.last_step()).await?;
    match Closing::read(job, run, &[], &[]).await?.failed {
        None => Ok(()),
        Some(check) => Err(CoreError::Unbalanced {
            table: check.check_name,
            detail: check.error_message.unwrap_or_default(),
        }),
    }
}

/// What the last transaction of a run holds.
struct Closing<'a> {
    job: &'a Job<'a>,
    /// Complete where no check has failed.
    run: Run,
    checks: Vec<Check>,
    failed: Option<Check>,
    tables: serde_json::Value,
    rejects: u64,
    /// Rows inserted, per step.
    inserted: Vec<u64>,
    now: String,
}

impl<'a> Closing<'a> {
    async fn read(
        job: &'a Job<'a>,
        run: &Run,
        findings: &[Found],
        compared: &[Compared],
    ) -> Result<Self, CoreError> {
        let Job { ports, survey, .. } = *job;
        let target = ports.target.as_ref();
        let batches = batch::of_run(target, &run.id).await.in_ledger()?;
        let items = item::of_run(target, &run.id).await.in_ledger()?;
        let now = rfc3339(ports.clock.now());
        let mut checks = Vec::new();
        let mut tables = serde_json::Map::new();
        let mut rejects = 0;
        let mut inserted = Vec::new();
        for (index, surveyed) in survey.steps.iter().enumerate() {
            let step = index as u64 + 1;
            let table = &surveyed.table.name;
            let (units, rows) = totals(&batches, step);
            inserted.push(rows.inserted.n());
            rejects += units.class(Class::Rejected).n();
            checks.push(conservation(run, &now, table, &units, &rows, checks.len() as u64));
            checks.push(items_agree(run, &now, table, &units, &items, step, checks.len() as u64));
            let detail = json!({
                "units": units.read.n(), "rows": rows.produced.n(), "sum": units.read.to_string(),
            });
            tables.insert(table.clone(), detail);
        }
        if run.kind == RunKind::Retry {
            let left = reject::taken_on(target, &run.id).await.in_ledger()?;
            checks.push(nothing_left(run, &now, left, checks.len() as u64));
        }
        let failed = checks.iter().find(|check| check.status == CheckStatus::Failed).cloned();
        // A source that has changed since is no gap in the accounts of what was read.
        checks.extend(states::checks(compared, run, &now, checks.len() as u64));
        checks.extend(noted(&survey.findings, run, &now, checks.len() as u64));
        checks.extend(noted(findings, run, &now, checks.len() as u64));
        let mut run = run.clone();
        if failed.is_none() {
            run.status = RunStatus::Completed;
            run.phase = Phase::Finish;
            run.ended_at = Some(now.clone());
        }
        Ok(Self { job, run, checks, failed, tables: tables.into(), rejects, inserted, now })
    }

    async fn close(&self, lease: &Lease, unsure: bool) -> Result<(), CoreError> {
        let Self { job, run, checks, tables, rejects, now, .. } = self;
        let target = job.ports.target.as_ref();
        let doing = || "closing the run".to_owned();
        let known = run::get(target, &run.id).await.in_ledger()?;
        if unsure && known.is_some_and(|known| known.status == RunStatus::Completed) {
            return Ok(());
        }
        let mut txn = target.begin(lease.fence).await.during(doing)?;
        let steps = step::of_run_in(txn.as_mut(), &run.id).await.during(doing)?;
        standing::check(run, &steps, job.survey.last_step())?;
        check::put(txn.as_mut(), checks).await.during(doing)?;
        if self.failed.is_none() {
            let counters = advance_counters(job, txn.as_mut()).await?;
            let analyzed = self.update_statistics(txn.as_mut()).await?;
            let row = finished_step(run, job.survey.last_step(), now, &counters, &analyzed);
            step::put(txn.as_mut(), &[row]).await.during(doing)?;
            run::put(txn.as_mut(), run).await.during(doing)?;
            let checkpoint =
                chain::checkpoint(txn.as_mut(), &run.id, "loaded", "load", tables, now)
                    .await
                    .during(doing)?;
            let checkpoint = blake3::Hash::from_slice(&checkpoint).map(|hash| hash.to_string());
            let detail = json!({
                "rejects": rejects,
                "retries": job.ports.events.retries(),
                "checkpoint": checkpoint.ok(),
            });
            let actor = &job.ports.identity.actor;
            chain::record(txn.as_mut(), now, actor, "run.completed", &run.id, &detail)
                .await
                .during(doing)?;
        }
        txn.commit().await.during(doing)
    }
}

impl Closing<'_> {
    /// The engine's own look at tables comes some time after they grew, or never where it is off;
    /// until then queries may be planned for empty ones.
    async fn update_statistics(&self, txn: &mut dyn Txn) -> Result<Vec<String>, CoreError> {
        let mut analyzed = Vec::new();
        for (surveyed, inserted) in self.job.survey.steps.iter().zip(&self.inserted) {
            let table = &surveyed.table.name;
            if *inserted < indexes::LARGE_ROWS || analyzed.contains(table) {
                continue;
            }
            let done = txn.update_statistics(table).await;
            if done.during(|| format!("updating the statistics of `{table}`"))? {
                analyzed.push(table.clone());
            }
        }
        Ok(analyzed)
    }
}

/// Lets the counters of every table go on behind what was loaded; what was set, by table.
async fn advance_counters(
    job: &Job<'_>,
    txn: &mut dyn Txn,
) -> Result<BTreeMap<String, Vec<String>>, CoreError> {
    let mut counters = BTreeMap::new();
    for surveyed in &job.survey.steps {
        let table = &surveyed.table;
        let advanced = txn.advance_counters(table).await;
        let advanced = advanced.during(|| format!("advancing the counters of `{}`", table.name))?;
        if !advanced.is_empty() {
            counters.insert(table.name.clone(), advanced);
        }
    }
    Ok(counters)
}

fn totals(batches: &[batch::Batch], step: u64) -> (Account, RowAccount) {
    let mut units = Account::default();
    let mut rows = RowAccount::default();
    for batch in batches.iter().filter(|batch| batch.step == step) {
        units.merge(&batch.units);
        rows.merge(&batch.rows);
    }
    (units, rows)
}

fn conservation(
    run: &Run,
    now: &str,
    table: &str,
    units: &Account,
    rows: &RowAccount,
    seq: u64,
) -> Check {
    let balanced = units.balances() && rows.balances();
    let classes: u64 = units.classes.iter().map(whimbrel_model::Sum::n).sum();
    let figures = Class::ALL.map(|class| format!("{} {}", class.name(), units.class(class).n()));
    Check {
        run: run.id.clone(),
        seq,
        phase: "finish".to_owned(),
        check_type: "conservation".to_owned(),
        check_name: table.to_owned(),
        status: if balanced { CheckStatus::Passed } else { CheckStatus::Failed },
        expected_count: Some(units.read.n()),
        actual_count: Some(classes),
        details: None,
        error_message: (!balanced)
            .then(|| format!("read {} against {}", units.read.n(), figures.join(", "))),
        created_at: now.to_owned(),
    }
}

fn items_agree(
    run: &Run,
    now: &str,
    table: &str,
    units: &Account,
    items: &[Item],
    step: u64,
    seq: u64,
) -> Check {
    let mut counts = Counts::default();
    let mut unfinished = 0u64;
    for item in items.iter().filter(|item| item.step == step) {
        match item.status {
            ItemStatus::Completed => counts.add(&item.counts),
            ItemStatus::Pending | ItemStatus::Running => unfinished += 1,
        }
    }
    let agree = unfinished == 0 && counts == Counts::of(units);
    Check {
        run: run.id.clone(),
        seq,
        phase: "finish".to_owned(),
        check_type: "files".to_owned(),
        check_name: table.to_owned(),
        status: if agree { CheckStatus::Passed } else { CheckStatus::Failed },
        expected_count: Some(units.read.n()),
        actual_count: Some(counts.read),
        details: None,
        error_message: (!agree).then(|| {
            format!(
                "files hold {} units, batches {}, {unfinished} unfinished",
                counts.read,
                units.read.n()
            )
        }),
        created_at: now.to_owned(),
    }
}

/// What endpoints wanted to be known.
fn noted(findings: &[Found], run: &Run, now: &str, first: u64) -> Vec<Check> {
    let check = |(index, found): (usize, &Found)| Check {
        run: run.id.clone(),
        seq: first + index as u64,
        phase: Phase::Preflight.word().to_owned(),
        check_type: "inspect".to_owned(),
        check_name: found.at.clone(),
        status: CheckStatus::Noted,
        expected_count: None,
        actual_count: None,
        details: None,
        error_message: Some(format!("{}: {}", found.code, found.message)),
        created_at: now.to_owned(),
    };
    findings.iter().enumerate().map(check).collect()
}

/// Every reject that a retry has taken on is resolved.
fn nothing_left(run: &Run, now: &str, left: u64, seq: u64) -> Check {
    Check {
        run: run.id.clone(),
        seq,
        phase: "finish".to_owned(),
        check_type: "retried".to_owned(),
        check_name: "rejects".to_owned(),
        status: if left == 0 { CheckStatus::Passed } else { CheckStatus::Failed },
        expected_count: Some(0),
        actual_count: Some(left),
        details: None,
        error_message: (left > 0).then(|| format!("{left} rejects were not read again")),
        created_at: now.to_owned(),
    }
}

fn finished_step(
    run: &Run,
    step: u64,
    now: &str,
    counters: &BTreeMap<String, Vec<String>>,
    analyzed: &[String],
) -> Step {
    let mut done = serde_json::Map::new();
    if !counters.is_empty() {
        done.insert("counters".to_owned(), json!(counters));
    }
    if !analyzed.is_empty() {
        done.insert("analyzed".to_owned(), json!(analyzed));
    }
    Step {
        run: run.id.clone(),
        step,
        migration_step: "finish".to_owned(),
        status: StepStatus::Completed,
        started_at: Some(now.to_owned()),
        completed_at: Some(now.to_owned()),
        error_message: None,
        rollback_data: (!done.is_empty()).then(|| serde_json::Value::from(done).to_string()),
        target_table: None,
        digest: None,
    }
}

/// How an attempt ended before the run was done.
pub(crate) enum Ended {
    /// At a checkpoint.
    Stopped(StopReason),
    /// By an error: its code, and the whole message.
    Failed(&'static str, String),
}

/// Records in the run and in the audit log how an attempt ended before the run was done.
pub(crate) async fn set_status(
    ports: &Ports,
    run: &mut Run,
    lease: &Lease,
    ended: Ended,
) -> Result<(), CoreError> {
    let doing = || "recording the state of the run".to_owned();
    let now = rfc3339(ports.clock.now());
    run.ended_at = Some(now.clone());
    // The message stays in the run's row: it may quote a database, and the log is for ever.
    let (phase, retries) = (run.phase.word(), ports.events.retries());
    let mut detail = json!({ "attempt": run.attempts, "phase": phase, "retries": retries });
    (run.status, run.error_code, run.error_message) = match ended {
        Ended::Stopped(reason) => {
            detail["reason"] = reason.word().into();
            (RunStatus::Interrupted, None, None)
        }
        Ended::Failed(code, message) => {
            detail["code"] = code.into();
            (RunStatus::Failed, Some(code.to_owned()), Some(message))
        }
    };
    let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
    run::put(txn.as_mut(), run).await.during(doing)?;
    if run.status == RunStatus::Failed {
        let mut steps = step::of_run(ports.target.as_ref(), &run.id).await.during(doing)?;
        steps.retain(|step| step.status == StepStatus::Running);
        for step in &mut steps {
            step.status = StepStatus::Failed;
            step.error_message.clone_from(&run.error_message);
        }
        step::put(txn.as_mut(), &steps).await.during(doing)?;
    }
    let action = format!("run.{}", run.status.word());
    let actor = &ports.identity.actor;
    chain::record(txn.as_mut(), &now, actor, &action, &run.id, &detail).await.during(doing)?;
    txn.commit().await.during(doing)
}

/// Records why a run failed, as far as the target still listens.
pub(crate) async fn note_failure(ports: &Ports, run: &mut Run, error: &CoreError) {
    if matches!(error, CoreError::Held { .. } | CoreError::MappingChanged { .. }) {
        return;
    }
    // A run that was never recorded has nothing to go on with.
    if !matches!(run::get(ports.target.as_ref(), &run.id).await, Ok(Some(_))) {
        return;
    }
    let Ok(Ok(lease)) = Lease::take(ports, &run.id).await else { return };
    // Once another process has gone on with the run, it is that one's to say how it stands.
    let recorded = run::get(ports.target.as_ref(), &run.id).await;
    if !matches!(recorded, Ok(Some(recorded)) if recorded.attempts <= run.attempts) {
        let _expires = lease.release().await;
        return;
    }
    let message = error_chain(error);
    let recorded = set_status(ports, run, &lease, Ended::Failed(error.code(), message)).await;
    let released = lease.release().await;
    if recorded.is_err() || released.is_err() {
        let message = "the failure could not be recorded in the ledger".to_owned();
        ports.events.emit(Event::Warning { code: "WB0606", message });
    }
}

fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
