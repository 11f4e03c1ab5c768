//! `migrate`: preflight → prepare → load → finish, begun, resumed or found done.

use std::collections::BTreeMap;

use serde_json::json;
use whimbrel_endpoint::{Partition, SchemaFile};
use whimbrel_ledger::{
    Check, CheckStatus, Counts, Item, ItemStatus, Phase, Run, RunKind, RunStatus, Step, StepStatus,
    batch, chain, check, item, meta, run, step,
};
use whimbrel_model::plan::Plan;
use whimbrel_model::{Account, Class, RowAccount};

use crate::cancel::StopReason;
use crate::error::{Changes, CoreError, Outcome, While};
use crate::event::Event;
use crate::incremental;
use crate::lease::Lease;
use crate::load::{self, LoadEnd};
use crate::options::{Options, Selection};
use crate::ports::{Ports, rfc3339};
use crate::survey::{Survey, SurveyedStep, survey};
use crate::window;

/// Loads what the plan says, exactly once: begins a run, goes on with an unfinished one, or says
/// that there is nothing to do.
pub async fn migrate(
    ports: &Ports,
    plan: &Plan,
    schema: Vec<SchemaFile>,
    options: &Options,
) -> Result<Outcome, CoreError> {
    let mut timer = PhaseTimer::begin(ports, Phase::Preflight);
    window::wait_or_refuse(ports, plan).await?;
    let found = find_run(ports, plan).await?;
    let options = &selection_of(found.as_ref(), options)?;
    let survey = survey(ports, plan, schema, options).await?;
    let task = decide(ports, plan, &survey, found, options).await?;
    let (mut run, fresh) = match task {
        Task::Nothing(outcome) => return Ok(outcome),
        Task::Begin(run) => (run, true),
        Task::Resume(run) => (run, false),
    };
    timer.next(Phase::Prepare);
    let result = carry_out(ports, plan, &survey, options, &mut run, fresh, &mut timer).await;
    if let Err(error) = &result {
        note_failure(ports, &mut run, error).await;
    }
    let status = match &result {
        Ok(
            Outcome::Completed { .. }
            | Outcome::NothingToDo { .. }
            | Outcome::SourcesChanged { .. },
        ) => RunStatus::Completed,
        Ok(Outcome::Stopped { .. }) => RunStatus::Interrupted,
        Err(_) => run.status,
    };
    ports.events.emit(Event::RunFinished { run: run.id.clone(), status: status.word() });
    result
}

/// What `migrate` has to do.
enum Task {
    Nothing(Outcome),
    Begin(Run),
    Resume(Run),
}

pub(crate) async fn find_run(ports: &Ports, plan: &Plan) -> Result<Option<Run>, CoreError> {
    let facts = ports.target.facts().await.during(|| "looking at the target".to_owned())?;
    if !facts.exists {
        return Ok(None);
    }
    let ledger = ports.target.has_ledger().await;
    if !ledger.during(|| "looking for the ledger".to_owned())? {
        return Ok(None);
    }
    run::newest(ports.target.as_ref(), &plan.name.value)
        .await
        .during(|| "reading the ledger".to_owned())
}

/// An unfinished run goes on with the options it was started with; others are refused.
pub(crate) fn selection_of(found: Option<&Run>, options: &Options) -> Result<Options, CoreError> {
    let Some(run) = found.filter(|run| run.status != RunStatus::Completed) else {
        return Ok(options.clone());
    };
    let recorded: Selection = serde_json::from_str(&run.options).unwrap_or_default();
    let given = &options.selection;
    if *given != Selection::default() && *given != recorded {
        return Err(CoreError::OptionsChanged {
            run: run.id.clone(),
            difference: format!("it has {}, you gave {}", run.options, json!(given)),
        });
    }
    Ok(Options { selection: recorded, ..options.clone() })
}

async fn decide(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    found: Option<Run>,
    options: &Options,
) -> Result<Task, CoreError> {
    let Some(last) = found else {
        return Ok(Task::Begin(new_run(ports, plan, survey, options, None)));
    };
    if last.status != RunStatus::Completed {
        return Ok(Task::Resume(last));
    }
    let changes = incremental::changes(ports, survey, &last).await?;
    if changes.is_empty() {
        return Ok(Task::Nothing(Outcome::NothingToDo { run: last.id }));
    }
    if !options.incremental || !changes.anything_to_load() {
        return Ok(Task::Nothing(Outcome::SourcesChanged { run: last.id, changes }));
    }
    Ok(Task::Begin(new_run(ports, plan, survey, options, Some(&last))))
}

pub(crate) fn new_run(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    options: &Options,
    parent: Option<&Run>,
) -> Run {
    let now = ports.clock.now();
    let seq = parent.map_or(1, |parent| parent.seq + 1);
    let sources: BTreeMap<&str, serde_json::Value> = survey
        .sources
        .iter()
        .map(|(name, source)| {
            (name.as_str(), json!({ "files": source.partitions.len(), "bytes": source.bytes }))
        })
        .collect();
    let digest = plan_digest(survey);
    let holder = &ports.identity.holder;
    let salt = format!("{}{}{}{}{}", plan.name.value, rfc3339(now), holder.host, holder.pid, seq);
    Run {
        id: blake3::hash(salt.as_bytes()).to_hex()[..8].to_owned(),
        seq,
        plan: plan.name.value.clone(),
        plan_digest: digest.to_vec(),
        kind: if parent.is_some() { RunKind::Incremental } else { RunKind::Full },
        parent: parent.map(|parent| parent.id.clone()),
        status: RunStatus::Running,
        phase: Phase::Prepare,
        attempts: 0,
        options: json!(options.selection).to_string(),
        sources: json!(sources).to_string(),
        started_by: ports.identity.actor.clone(),
        tool_version: ports.identity.tool_version.clone(),
        started_at: rfc3339(now),
        ended_at: None,
        error_code: None,
        error_message: None,
    }
}

fn plan_digest(survey: &Survey) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    survey.steps.iter().for_each(|step| {
        hasher.update(&step.digest);
    });
    *hasher.finalize().as_bytes()
}

async fn carry_out(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    options: &Options,
    run: &mut Run,
    fresh: bool,
    timer: &mut PhaseTimer<'_>,
) -> Result<Outcome, CoreError> {
    let target = ports.target.as_ref();
    target.prepare_ledger().await.during(|| "preparing the ledger".to_owned())?;
    let lease = match Lease::take(ports, &run.id).await.during(|| "taking the lease".to_owned())? {
        Ok(lease) => lease,
        Err(held) => {
            return Err(CoreError::Held { holder: held.holder, expires_in: held.expires_in });
        }
    };
    let result = hold(ports, plan, survey, options, run, fresh, timer, &lease).await;
    let released = lease.release().await.during(|| "giving the lease back".to_owned());
    let outcome = result?;
    released?;
    Ok(outcome)
}

#[allow(clippy::too_many_arguments)]
async fn hold(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    options: &Options,
    run: &mut Run,
    fresh: bool,
    timer: &mut PhaseTimer<'_>,
    lease: &Lease,
) -> Result<Outcome, CoreError> {
    if fresh {
        begin(ports, plan, survey, run, lease).await?;
    } else {
        reopen(ports, survey, options, run, lease).await?;
    }
    prepare(ports, survey, run, lease).await?;
    timer.next(Phase::Load);
    ports.target.enter_load().await.during(|| "tuning the target for the load".to_owned())?;
    let loaded = load_steps(ports, plan, survey, options, run, lease).await;
    let left = ports.target.leave_load().await.during(|| "putting the target back".to_owned());
    let stopped = loaded?;
    left?;
    if let Some(reason) = stopped {
        set_status(ports, run, lease, RunStatus::Interrupted, None).await?;
        return Ok(Outcome::Stopped { run: run.id.clone(), reason });
    }
    timer.next(Phase::Finish);
    let rejects = finish(ports, survey, run, lease).await?;
    timer.end();
    Ok(Outcome::Completed { run: run.id.clone(), rejects })
}

/// Records the run, its steps and every file before the first batch.
async fn begin(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    run: &mut Run,
    lease: &Lease,
) -> Result<(), CoreError> {
    let target = ports.target.as_ref();
    let parent = run.parent.clone();
    let newest = run::all(target, Some(1)).await.during(|| "reading the ledger".to_owned())?;
    run.seq = newest.first().map_or(1, |newest| newest.seq + 1);
    run.attempts = 1;
    let steps = step_rows(survey, run);
    let mut items = Vec::new();
    for (index, surveyed) in survey.steps.iter().enumerate() {
        let step = index as u64 + 1;
        let mut own = match &parent {
            None => all_items(plan, survey, surveyed, run, step),
            Some(parent) => {
                incremental::items(ports, plan, survey, surveyed, run, parent, step).await?
            }
        };
        items.append(&mut own);
    }
    let recording = || "recording the run".to_owned();
    let mut txn = target.begin(lease.fence).await.during(recording)?;
    if meta::get(target, "project_key").await.during(recording)?.is_none() {
        meta::put(txn.as_mut(), "project_key", &project_key(run)).await.during(recording)?;
    }
    run::put(txn.as_mut(), run).await.during(recording)?;
    step::put(txn.as_mut(), &steps).await.during(recording)?;
    for items in items.chunks(10_000) {
        item::put(txn.as_mut(), items).await.during(recording)?;
    }
    let detail = json!({ "kind": run.kind.word(), "plan": run.plan, "options": run.options });
    chain::record(txn.as_mut(), &run.started_at, &run.started_by, "run.started", &run.id, &detail)
        .await
        .during(recording)?;
    txn.commit().await.during(recording)?;
    ports.events.emit(Event::RunStarted {
        run: run.id.clone(),
        kind: run.kind.word(),
        resumed: false,
        committed: 0,
    });
    Ok(())
}

/// A key for digests that nobody knew when the data was made: of the first run's id, time and
/// process.
fn project_key(run: &Run) -> String {
    let material = format!("{}\u{1f}{}\u{1f}{}", run.id, run.started_at, run.started_by);
    let key = blake3::derive_key("whimbrel 2026 project key", material.as_bytes());
    whimbrel_model::Digest(key).to_hex()
}

fn step_rows(survey: &Survey, run: &Run) -> Vec<Step> {
    let row = |step: u64, name: String| Step {
        run: run.id.clone(),
        step,
        migration_step: name,
        status: StepStatus::Pending,
        started_at: None,
        completed_at: None,
        error_message: None,
        rollback_data: None,
        target_table: None,
        digest: None,
    };
    let mut rows = vec![row(0, "prepare".to_owned())];
    for (index, surveyed) in survey.steps.iter().enumerate() {
        let table = &surveyed.table.name;
        rows.push(Step {
            target_table: Some(table.clone()),
            digest: Some(surveyed.digest.to_vec()),
            ..row(index as u64 + 1, format!("load:{table}"))
        });
    }
    rows.push(row(survey.steps.len() as u64 + 1, "finish".to_owned()));
    rows
}

pub(crate) fn all_items(
    plan: &Plan,
    survey: &Survey,
    surveyed: &SurveyedStep,
    run: &Run,
    step: u64,
) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for from in &plan.tables[surveyed.mapping].from {
        let source = &survey.sources[&from.value];
        let mut own: Vec<Item> = source
            .partitions
            .iter()
            .map(|partition| new_item(run, step, partition))
            .chain(source.set_aside.iter().map(|aside| new_item(run, step, &aside.partition)))
            .collect();
        own.sort_by(|a, b| a.source_file.as_bytes().cmp(b.source_file.as_bytes()));
        items.append(&mut own);
    }
    number(&mut items, 0);
    items
}

/// Gives items their ordinals from `first` on.
pub(crate) fn number(items: &mut [Item], first: u64) {
    for (index, item) in items.iter_mut().enumerate() {
        item.ordinal = first + index as u64;
        item.first_unit = item.ordinal << 32;
    }
}

/// An item of which nothing is read yet.
pub(crate) fn new_item(run: &Run, step: u64, partition: &Partition) -> Item {
    Item {
        run: run.id.clone(),
        step,
        ordinal: 0,
        source: partition.id.source.clone(),
        source_file: partition.id.path.clone(),
        status: ItemStatus::Pending,
        facts: facts_json(partition),
        first_unit: 0,
        mark: None,
        state: None,
        counts: Counts::default(),
        lines: None,
        skipped: None,
        error_message: None,
    }
}

/// What is remembered of a file: enough to see whether it is still the same.
pub(crate) fn facts_json(partition: &Partition) -> String {
    let facts = &partition.facts;
    json!({
        "size": facts.size,
        "mtime": facts.mtime_nanos.to_string(),
        "inode": facts.inode,
    })
    .to_string()
}

/// Goes on with a run that another process began.
async fn reopen(
    ports: &Ports,
    survey: &Survey,
    options: &Options,
    run: &mut Run,
    lease: &Lease,
) -> Result<(), CoreError> {
    let target = ports.target.as_ref();
    let reading = || "reading the ledger".to_owned();
    let steps = step::of_run(target, &run.id).await.during(reading)?;
    let batches = batch::of_run(target, &run.id).await.during(reading)?;
    let adopted = adopt(survey, options, run, &steps, &batches)?;
    run.attempts += 1;
    run.status = RunStatus::Running;
    run.error_code = None;
    run.error_message = None;
    run.ended_at = None;
    let now = rfc3339(ports.clock.now());
    let recording = || "recording the attempt".to_owned();
    let mut txn = target.begin(lease.fence).await.during(recording)?;
    run::put(txn.as_mut(), run).await.during(recording)?;
    step::put(txn.as_mut(), &adopted).await.during(recording)?;
    let actor = &ports.identity.actor;
    for step in &adopted {
        let detail = json!({ "step": step.migration_step });
        chain::record(txn.as_mut(), &now, actor, "mapping.adopted", &run.id, &detail)
            .await
            .during(recording)?;
    }
    let detail = json!({ "attempt": run.attempts });
    chain::record(txn.as_mut(), &now, actor, "run.resumed", &run.id, &detail)
        .await
        .during(recording)?;
    txn.commit().await.during(recording)?;
    let committed = batches.iter().map(|batch| batch.units.read.n()).sum();
    ports.events.emit(Event::RunStarted {
        run: run.id.clone(),
        kind: run.kind.word(),
        resumed: true,
        committed,
    });
    Ok(())
}

/// Steps whose mapping changed: refused where batches are committed, unless adopted.
fn adopt(
    survey: &Survey,
    options: &Options,
    run: &Run,
    steps: &[Step],
    batches: &[batch::Batch],
) -> Result<Vec<Step>, CoreError> {
    let same_tables = steps.len() == survey.steps.len() + 2
        && survey.steps.iter().zip(&steps[1..]).all(|(surveyed, step)| {
            step.target_table.as_deref() == Some(surveyed.table.name.as_str())
        });
    if !same_tables {
        let table = "the list of tables".to_owned();
        return Err(CoreError::MappingChanged { run: run.id.clone(), table });
    }
    let mut adopted = Vec::new();
    for (surveyed, step) in survey.steps.iter().zip(&steps[1..]) {
        if step.digest.as_deref() == Some(surveyed.digest.as_slice()) {
            continue;
        }
        let begun = batches.iter().any(|batch| batch.step == step.step);
        if begun && !options.adopt {
            let table = surveyed.table.name.clone();
            return Err(CoreError::MappingChanged { run: run.id.clone(), table });
        }
        adopted.push(Step { digest: Some(surveyed.digest.to_vec()), ..step.clone() });
    }
    Ok(adopted)
}

/// Applies the schema, or creates the tables of the mapping, once.
async fn prepare(
    ports: &Ports,
    survey: &Survey,
    run: &mut Run,
    lease: &Lease,
) -> Result<(), CoreError> {
    let target = ports.target.as_ref();
    let reading = || "reading the ledger".to_owned();
    let mut steps = step::of_run(target, &run.id).await.during(reading)?;
    let first = steps.first_mut().filter(|step| step.status != StepStatus::Completed);
    let Some(prepare) = first else { return Ok(()) };
    let doing = || "preparing the target's tables".to_owned();
    let started = rfc3339(ports.clock.now());
    let mut txn = target.begin(lease.fence).await.during(doing)?;
    let missing: Vec<&SurveyedStep> = survey.steps.iter().filter(|step| step.created).collect();
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
    run.phase = Phase::Load;
    step::put(txn.as_mut(), &[row]).await.during(doing)?;
    run::put(txn.as_mut(), run).await.during(doing)?;
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
    txn.commit().await.during(doing)
}

async fn load_steps(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    options: &Options,
    run: &Run,
    lease: &Lease,
) -> Result<Option<StopReason>, CoreError> {
    for (index, surveyed) in survey.steps.iter().enumerate() {
        let step = index as u64 + 1;
        match load::step(ports, plan, survey, surveyed, options, run, step, lease).await? {
            LoadEnd::Done => {}
            LoadEnd::Stopped(reason) => return Ok(Some(reason)),
        }
    }
    Ok(None)
}

/// Checks conservation over everything that is committed, and closes the run.
async fn finish(
    ports: &Ports,
    survey: &Survey,
    run: &mut Run,
    lease: &Lease,
) -> Result<u64, CoreError> {
    let target = ports.target.as_ref();
    let reading = || "reading the ledger".to_owned();
    let batches = batch::of_run(target, &run.id).await.during(reading)?;
    let items = item::of_run(target, &run.id).await.during(reading)?;
    let now = rfc3339(ports.clock.now());
    let mut checks = Vec::new();
    let mut tables = serde_json::Map::new();
    let mut rejects = 0;
    for (index, surveyed) in survey.steps.iter().enumerate() {
        let step = index as u64 + 1;
        let table = &surveyed.table.name;
        let (units, rows) = totals(&batches, step);
        rejects += units.class(Class::Rejected).n();
        checks.push(conservation(run, &now, table, &units, &rows, checks.len() as u64));
        checks.push(items_agree(run, &now, table, &units, &items, step, checks.len() as u64));
        let detail = json!({
            "units": units.read.n(), "rows": rows.produced.n(), "sum": units.read.to_string(),
        });
        tables.insert(table.clone(), detail);
    }
    let failed = checks.iter().find(|check| check.status == CheckStatus::Failed).cloned();
    if failed.is_none() {
        run.status = RunStatus::Completed;
        run.phase = Phase::Finish;
        run.ended_at = Some(now.clone());
    }
    let doing = || "closing the run".to_owned();
    let mut txn = target.begin(lease.fence).await.during(doing)?;
    check::put(txn.as_mut(), &checks).await.during(doing)?;
    if failed.is_none() {
        let last = survey.steps.len() as u64 + 1;
        let row = finished_step(run, last, &now);
        step::put(txn.as_mut(), &[row]).await.during(doing)?;
        run::put(txn.as_mut(), run).await.during(doing)?;
        let detail = serde_json::Value::Object(tables);
        chain::checkpoint(txn.as_mut(), &run.id, "loaded", "load", &detail, &now)
            .await
            .during(doing)?;
        let detail = json!({ "rejects": rejects });
        let actor = &ports.identity.actor;
        chain::record(txn.as_mut(), &now, actor, "run.completed", &run.id, &detail)
            .await
            .during(doing)?;
    }
    txn.commit().await.during(doing)?;
    match failed {
        None => Ok(rejects),
        Some(check) => Err(CoreError::Unbalanced {
            table: check.check_name,
            detail: check.error_message.unwrap_or_default(),
        }),
    }
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

fn finished_step(run: &Run, step: u64, now: &str) -> Step {
    Step {
        run: run.id.clone(),
        step,
        migration_step: "finish".to_owned(),
        status: StepStatus::Completed,
        started_at: Some(now.to_owned()),
        completed_at: Some(now.to_owned()),
        error_message: None,
        rollback_data: None,
        target_table: None,
        digest: None,
    }
}

async fn set_status(
    ports: &Ports,
    run: &mut Run,
    lease: &Lease,
    status: RunStatus,
    error: Option<(&str, String)>,
) -> Result<(), CoreError> {
    let doing = || "recording the state of the run".to_owned();
    run.status = status;
    run.ended_at = Some(rfc3339(ports.clock.now()));
    run.error_code = error.as_ref().map(|(code, _)| (*code).to_owned());
    run.error_message = error.map(|(_, message)| message);
    let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
    run::put(txn.as_mut(), run).await.during(doing)?;
    txn.commit().await.during(doing)
}

/// Records why a run failed, as far as the target still listens.
async fn note_failure(ports: &Ports, run: &mut Run, error: &CoreError) {
    if matches!(error, CoreError::Held { .. } | CoreError::MappingChanged { .. }) {
        return;
    }
    // A run that was never recorded has nothing to go on with.
    if !matches!(run::get(ports.target.as_ref(), &run.id).await, Ok(Some(_))) {
        return;
    }
    let Ok(Ok(lease)) = Lease::take(ports, &run.id).await else { return };
    let message = error_chain(error);
    let recorded =
        set_status(ports, run, &lease, RunStatus::Failed, Some((error.code(), message))).await;
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

/// Tells the phases and how long they took.
struct PhaseTimer<'a> {
    ports: &'a Ports,
    phase: Phase,
    since: std::time::Duration,
}

impl<'a> PhaseTimer<'a> {
    fn begin(ports: &'a Ports, phase: Phase) -> Self {
        ports.events.emit(Event::PhaseStarted { phase: phase.word() });
        Self { ports, phase, since: ports.clock.monotonic() }
    }

    fn next(&mut self, phase: Phase) {
        self.end();
        *self = Self::begin(self.ports, phase);
    }

    fn end(&self) {
        let seconds = self.ports.clock.monotonic().saturating_sub(self.since).as_secs_f64();
        self.ports.events.emit(Event::PhaseFinished { phase: self.phase.word(), seconds });
    }
}

/// Changes since the newest complete run of the plan: `check-incremental`.
pub async fn check_incremental(
    ports: &Ports,
    plan: &Plan,
    schema: Vec<SchemaFile>,
    options: &Options,
) -> Result<(Run, Changes), CoreError> {
    let Some(last) = find_run(ports, plan).await? else {
        let location =
            ports.target.facts().await.during(|| "looking at the target".to_owned())?.location;
        return Err(CoreError::NoRun { plan: plan.name.value.clone(), location });
    };
    let survey = survey(ports, plan, schema, options).await?;
    let changes = incremental::changes(ports, &survey, &last).await?;
    Ok((last, changes))
}
