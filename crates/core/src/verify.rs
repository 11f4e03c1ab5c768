//! Verification as a phase of a run, and at any time after it; and that a failed one is remembered.
//!
//! ```text
//! loaded, related ─▶ verified ─┬ passed ─▶ finish
//!                     ▲        └ failed ─▶ the run stays unfinished, and is verified again when it is resumed
//!                     └─ waived with a reason: goes on, and the audit log says who
//! ```

use serde_json::json;
use whimbrel_endpoint::EndpointError;
use whimbrel_ledger::{Check, CheckStatus, Phase, Run, RunStatus, audit, chain, check, run};
use whimbrel_model::plan::{Plan, Verify};
use whimbrel_validator::lineage::{self, Signer};
use whimbrel_validator::rules;
use whimbrel_validator::sorter::Room;
use whimbrel_validator::verify::{self, Again, Checked, Level, Request, VERDICT, Verification};

use crate::checks;
use crate::error::{CoreError, While};
use crate::event::Event;
use crate::lease::Lease;
use crate::load;
use crate::migrate::{Job, find_run};
use crate::patience::{Patience, repeatedly};
use crate::ports::{Ports, rfc3339};

/// Bytes of rows that are sorted in memory.
pub(crate) const SORT_BYTES: usize = 16 << 20;

/// Rows that differ, of each table, that are told.
const SAMPLES: usize = 20;

/// How the last verification of a run has ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Verdict {
    /// Nobody has verified it.
    None,
    /// It passed, at this level.
    Passed(String),
    /// It failed, at this level, and stands so.
    Failed(String),
    /// It failed and was waived.
    Waived,
}

/// The verdict that a run's checks hold.
pub fn verdict(checks: &[Check]) -> Verdict {
    // One that could not look at everything says nothing new.
    let verdict = |check: &Check| match check.status {
        CheckStatus::Passed | CheckStatus::Noted => Some(Verdict::Passed(check.check_name.clone())),
        CheckStatus::Failed => Some(Verdict::Failed(check.check_name.clone())),
        CheckStatus::Waived => Some(Verdict::Waived),
        CheckStatus::Unverified => None,
    };
    let mut whole = checks.iter().rev().filter(|check| check.check_type == VERDICT);
    whole.find_map(verdict).unwrap_or(Verdict::None)
}

/// The level that the plan asks of every run.
fn level_of(plan: &Plan) -> Option<Level> {
    match plan.verify {
        Verify::None => None,
        Verify::Basic => Some(Level::Basic),
        Verify::Standard => Some(Level::Standard),
        Verify::Rigorous => Some(Level::Rigorous),
        Verify::Forensic => Some(Level::Forensic),
    }
}

/// The phase of a run.
pub(crate) async fn phase(job: &Job<'_>, run: &Run, lease: &Lease) -> Result<(), CoreError> {
    let Some(level) = level_of(job.plan) else { return Ok(()) };
    let target = job.ports.target.as_ref();
    let known = check::of_run(target, &run.id).await.in_ledger()?;
    if verdict(&known) == Verdict::Waived {
        return Ok(());
    }
    let retries = load::retries(job.plan);
    let looked = async || look(job.ports, job.plan, run, level, None).await;
    let mut verification = repeatedly(job.ports, retries, looked).await?;
    let patience = Patience::new(job.ports, retries, lease);
    let write = async |unsure| record(job.ports, run, lease, &verification, unsure).await;
    patience.carry_out(write).await?;
    keep(&mut verification)?;
    if verification.failed() {
        return Err(differs(run, &verification));
    }
    let is_unknown = |check: &&verify::Checked| {
        check.kind == rules::KIND && check.status == verify::Status::Unverified
    };
    let unknown: Vec<String> =
        verification.checks.iter().filter(is_unknown).map(checks::told).collect();
    if unknown.is_empty() { Ok(()) } else { Err(CoreError::NotEvaluated(unknown.join("; "))) }
}

/// Verifies everything that the line of a run has loaded, and writes down what came of it. A run that has
/// still to load is refused. The head of a lineage is signed where somebody signs.
pub async fn verify_run(
    ports: &Ports,
    plan: &Plan,
    run: Option<&str>,
    level: Level,
    signer: Option<&dyn Signer>,
) -> Result<(Run, Verification), CoreError> {
    let run = newest(ports, plan, run).await?;
    if run.status != RunStatus::Completed && run.phase != Phase::Verify {
        return Err(CoreError::Unfinished { run: run.id });
    }
    let lease = taken(ports, &run).await?;
    let done = async {
        let mut verification = look(ports, plan, &run, level, signer).await?;
        record(ports, &run, &lease, &verification, false).await?;
        keep(&mut verification)?;
        Ok(verification)
    };
    let done = done.await;
    let released = lease.release().await.during(|| "giving the lease back".to_owned());
    let verification = done?;
    released?;
    Ok((run, verification))
}

/// Takes the responsibility for a verification that failed.
pub async fn waive_verification(
    ports: &Ports,
    plan: &Plan,
    run: Option<&str>,
    reason: &str,
) -> Result<Run, CoreError> {
    let run = newest(ports, plan, run).await?;
    let target = ports.target.as_ref();
    let known = check::of_run(target, &run.id).await.in_ledger()?;
    let Verdict::Failed(level) = verdict(&known) else {
        let message = format!("no verification of run `{}` stands failed", run.id);
        return Err(CoreError::Refused(message));
    };
    let lease = taken(ports, &run).await?;
    let doing = || "waiving a verification".to_owned();
    let now = rfc3339(ports.clock.now());
    let waived = Check {
        run: run.id.clone(),
        seq: known.last().map_or(0, |last| last.seq + 1),
        phase: "verify".to_owned(),
        check_type: VERDICT.to_owned(),
        check_name: level,
        status: CheckStatus::Waived,
        expected_count: None,
        actual_count: None,
        details: None,
        error_message: Some(reason.to_owned()),
        created_at: now.clone(),
    };
    let done = async {
        let mut txn = target.begin(lease.fence).await.during(doing)?;
        check::put(txn.as_mut(), &[waived]).await.during(doing)?;
        let (actor, detail) = (&ports.identity.actor, json!({ "reason": reason }));
        chain::record(txn.as_mut(), &now, actor, "verification.waived", &run.id, &detail)
            .await
            .during(doing)?;
        txn.commit().await.during(doing)
    };
    let done = done.await;
    let released = lease.release().await.during(doing);
    done?;
    released?;
    Ok(run)
}

/// Refuses to load more behind a verification that stands failed.
pub(crate) async fn stands(ports: &Ports, last: &Run) -> Result<(), CoreError> {
    let checks = check::of_run(ports.target.as_ref(), &last.id).await.in_ledger()?;
    match verdict(&checks) {
        Verdict::Failed(level) => Err(CoreError::StandsFailed { run: last.id.clone(), level }),
        Verdict::None | Verdict::Passed(_) | Verdict::Waived => Ok(()),
    }
}

/// The newest run of the plan; another one that is named cannot be verified by itself.
async fn newest(ports: &Ports, plan: &Plan, wanted: Option<&str>) -> Result<Run, CoreError> {
    let Some(newest) = find_run(ports, plan).await? else {
        let facts = ports.target.facts().await.during(|| "looking at the target".to_owned())?;
        return Err(CoreError::NoRun { plan: plan.name.value.clone(), location: facts.location });
    };
    if let Some(wanted) = wanted.filter(|wanted| *wanted != newest.id) {
        let known = run::get(ports.target.as_ref(), wanted).await.in_ledger()?;
        if known.is_none() {
            return Err(CoreError::NoSuchRun(wanted.to_owned()));
        }
        let message = format!(
            "run `{}` has loaded since run `{wanted}`: what stands there now is verified by the newest run",
            newest.id
        );
        return Err(CoreError::Refused(message));
    }
    Ok(newest)
}

async fn taken(ports: &Ports, run: &Run) -> Result<Lease, CoreError> {
    let taken = Lease::take(ports, &run.id).await.during(|| "taking the lease".to_owned())?;
    taken.map_err(|held| CoreError::Held { holder: held.holder, expires_in: held.expires_in })
}

async fn look(
    ports: &Ports,
    plan: &Plan,
    run: &Run,
    level: Level,
    signer: Option<&dyn Signer>,
) -> Result<Verification, CoreError> {
    let room = Room { folder: ports.scratch.clone(), bytes: SORT_BYTES };
    let target = ports.target.as_ref();
    let facts = target.facts().await.during(|| "looking at the target".to_owned())?;
    let again = Again { plan, sources: &ports.sources, engine: facts.engine };
    let again = Some(again);
    let within_run = run.status != RunStatus::Completed;
    let lineage = Some(ports.lineage.as_path());
    let rules = checks::rules(ports, plan, facts.engine, Some(&run.id));
    let rules = Some(&rules);
    let samples = SAMPLES;
    let request = Request { target, run, level, within_run, again, lineage, rules, room, samples };
    let doing = || "verifying what was loaded".to_owned();
    let mut verification = verify::verify(&request).await.during(doing)?;
    if !verification.passed() {
        // What does not hold gets no head.
        verification.lineage = None;
    }
    if verification.lineage.is_some() {
        let ledger = audit::ledger_id(target).await.during(doing)?;
        close(ports, run, ledger, signer, &mut verification).during(doing)?;
    }
    Ok(verification)
}

/// Makes the head of a lineage, and the check that holds it.
fn close(
    ports: &Ports,
    run: &Run,
    ledger: String,
    signer: Option<&dyn Signer>,
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    let Some(lineage) = &verification.lineage else { return Ok(()) };
    let entry = |head: &audit::Head| lineage::Entry { seq: head.seq, hash: audit::hex(&head.hash) };
    let head = lineage::Head {
        schema: lineage::SCHEMA.to_owned(),
        run: run.id.clone(),
        plan: run.plan.clone(),
        plan_digest: audit::hex(&run.plan_digest),
        ledger,
        audit: verification.audit.as_ref().map(entry),
        leaves: lineage.leaves,
        root: lineage.root.clone(),
        counts: lineage.counts.clone(),
        at: rfc3339(ports.clock.now()),
        program: ports.identity.tool_version.clone(),
    };
    lineage.close(&head, signer)?;
    let mut check = Checked::passed("lineage", &run.id);
    check.expected = Some(head.leaves);
    check.actual = Some(head.leaves);
    check.details = json!({
        "head": lineage::sha256(head.to_text().as_bytes()),
        "root": head.root,
        "leaves": head.leaves,
        "key": signer.map(Signer::fingerprint),
    });
    verification.checks.push(check);
    Ok(())
}

/// Lets a lineage take its name, once the ledger has its head.
fn keep(verification: &mut Verification) -> Result<(), CoreError> {
    let Some(lineage) = verification.lineage.take() else { return Ok(()) };
    lineage.keep().map(|_| ()).during(|| "keeping the lineage".to_owned())
}

/// Writes the checks down, with what came of all of them and who asked.
async fn record(
    ports: &Ports,
    run: &Run,
    lease: &Lease,
    verification: &Verification,
    unsure: bool,
) -> Result<(), CoreError> {
    let doing = || "recording what was verified".to_owned();
    let target = ports.target.as_ref();
    let now = rfc3339(ports.clock.now());
    let rows = verify::as_rows(target, run, verification, &now).await.during(doing)?;
    if unsure {
        let known = check::of_run(target, &run.id).await.during(doing)?;
        // The answer to the commit before was lost, and it was carried out.
        if known.iter().skip_while(|check| check.seq < verify::FIRST).eq(&rows) {
            return Ok(());
        }
    }
    let mut txn = target.begin(lease.fence).await.during(doing)?;
    if verification.within_run {
        check::forget_from(txn.as_mut(), &run.id, verify::FIRST).await.during(doing)?;
    }
    check::put(txn.as_mut(), &rows).await.during(doing)?;
    let outcome = match (verification.passed(), verification.failed()) {
        (true, _) => "passed",
        (false, true) => "failed",
        (false, false) => "unverified",
    };
    let mut detail = json!({ "level": verification.level.word(), "outcome": outcome });
    if verification.lineage.is_some()
        && let Some(own) = verification.checks.iter().rfind(|check| check.kind == "lineage")
    {
        detail["lineage"] = own.details.clone();
    }
    let actor = &ports.identity.actor;
    chain::record(txn.as_mut(), &now, actor, "run.verified", &run.id, &detail)
        .await
        .during(doing)?;
    txn.commit().await.during(doing)?;
    if verification.failed() {
        let message = summary(verification);
        ports.events.emit(Event::Warning { code: verify::STANDS_FAILED, message });
    }
    Ok(())
}

fn differs(run: &Run, verification: &Verification) -> CoreError {
    CoreError::Differs { run: run.id.clone(), summary: summary(verification) }
}

/// The checks that failed, in a line.
fn summary(verification: &Verification) -> String {
    let failed = verification.checks.iter().filter(|check| {
        matches!(check.status, verify::Status::Failed | verify::Status::Unverified)
    });
    let told: Vec<String> = failed
        .map(|check| {
            let message = check.message.as_deref().unwrap_or("failed");
            format!("{} of `{}`: {message}", check.kind, check.name)
        })
        .collect();
    told.join("; ")
}
