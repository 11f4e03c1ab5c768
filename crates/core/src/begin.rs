//! The first transaction of a run, and the first of every later process that goes on with it.

use std::collections::BTreeMap;

use serde_json::json;
use whimbrel_endpoint::Partition;
use whimbrel_ledger::{
    Counts, Item, ItemKind, ItemStatus, Phase, Run, RunKind, RunStatus, Step, StepStatus, batch,
    chain, check, item, meta, run, step,
};
use whimbrel_model::plan::{Budget, Plan};

use crate::checks;
use crate::error::{CoreError, While};
use crate::event::Event;
use crate::incremental;
use crate::lease::Lease;
use crate::load;
use crate::migrate::Job;
use crate::options::Options;
use crate::patience::Patience;
use crate::ports::{Ports, rfc3339};
use crate::relate;
use crate::retry::{self, Chosen};
use crate::survey::{SourceSurvey, Survey, SurveyedStep};

/// What a new run takes.
pub(crate) enum Start {
    /// Every file of the plan's sources.
    Everything,
    /// What changed since this run.
    Changes(Run),
    /// Rejects of this run and those before it.
    Rejects(Run, Chosen),
}

impl Start {
    fn kind(&self) -> RunKind {
        match self {
            Self::Everything => RunKind::Full,
            Self::Changes(_) => RunKind::Incremental,
            Self::Rejects(_, _) => RunKind::Retry,
        }
    }

    fn parent(&self) -> Option<&Run> {
        match self {
            Self::Everything => None,
            Self::Changes(parent) | Self::Rejects(parent, _) => Some(parent),
        }
    }
}

/// A run that is not recorded yet.
pub(crate) fn new_run(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    options: &Options,
    start: &Start,
) -> Run {
    let now = ports.clock.now();
    let parent = start.parent();
    let seq = parent.map_or(1, |parent| parent.seq + 1);
    let sources: BTreeMap<&str, serde_json::Value> = survey
        .sources
        .iter()
        .map(|(name, source)| {
            let parts = source.partitions.len();
            let found = if let Some(state) = &source.state {
                json!({ "tables": parts, "files": 0, "bytes": 0, "state": state })
            } else if source.database {
                json!({ "tables": parts, "files": 0, "bytes": 0 })
            } else {
                json!({ "files": parts, "bytes": source.bytes })
            };
            (name.as_str(), found)
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
        kind: start.kind(),
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
    survey.relates.iter().for_each(|relate| {
        hasher.update(&relate.digest);
    });
    *hasher.finalize().as_bytes()
}

/// Records the run, its steps and every file before the first batch.
pub(crate) async fn begin(
    job: &Job<'_>,
    start: &Start,
    run: &mut Run,
    lease: &Lease,
) -> Result<Vec<String>, CoreError> {
    let Job { ports, survey, .. } = *job;
    let target = ports.target.as_ref();
    let newest = run::all(target, Some(1)).await.in_ledger()?;
    run.seq = newest.first().map_or(1, |newest| newest.seq + 1);
    run.attempts = 1;
    let steps = step_rows(job.plan, survey, run);
    let mut items = Vec::new();
    for (index, surveyed) in survey.steps.iter().enumerate() {
        let step = index as u64 + 1;
        let mut own = match start {
            Start::Everything => all_items(job.plan, survey, surveyed, run, step),
            Start::Changes(parent) => incremental::items(job, surveyed, run, parent, step).await?,
            Start::Rejects(_, chosen) => retry::items(job, surveyed, run, chosen, step).await?,
        };
        items.append(&mut own);
    }
    let adopted = match start.parent() {
        Some(parent) => adopted_since(job, parent).await?,
        None => Adopted::default(),
    };
    let first = First { start, run, steps, items, adopted };
    let patience = Patience::new(ports, load::retries(job.plan), lease);
    let recording = async |unsure| {
        let there = unsure && run::get(target, &run.id).await.in_ledger()?.is_some();
        if there { Ok(()) } else { first.record(job, lease).await }
    };
    patience.carry_out(recording).await?;
    ports.events.emit(Event::RunStarted {
        run: run.id.clone(),
        kind: run.kind.word(),
        resumed: false,
        committed: 0,
    });
    Ok(first.adopted.tables)
}

/// What goes on under another plan than it was done with before.
#[derive(Default)]
struct Adopted {
    tables: Vec<String>,
    relates: Vec<String>,
}

impl Adopted {
    /// The steps' names in the ledger.
    fn steps(&self) -> impl Iterator<Item = String> {
        let tables = self.tables.iter().map(|table| format!("load:{table}"));
        tables.chain(self.relates.iter().map(|name| relate::step_name(name)))
    }
}

async fn adopted_since(job: &Job<'_>, parent: &Run) -> Result<Adopted, CoreError> {
    let known = incremental::digests(job.ports, parent).await?;
    let differs = |surveyed: &&SurveyedStep| {
        known.get(&surveyed.table.name).is_some_and(|digest| *digest != surveyed.digest)
    };
    let remapped = job.survey.steps.iter().filter(differs);
    let relate::Standing { mut changed, mut removed, .. } =
        relate::changes(job.ports, job.plan, job.survey).await?;
    changed.append(&mut removed);
    Ok(Adopted {
        tables: remapped.map(|surveyed| surveyed.table.name.clone()).collect(),
        relates: changed,
    })
}

/// What the first transaction of a run holds.
struct First<'a> {
    start: &'a Start,
    run: &'a Run,
    steps: Vec<Step>,
    items: Vec<Item>,
    adopted: Adopted,
}

impl First<'_> {
    async fn record(&self, job: &Job<'_>, lease: &Lease) -> Result<(), CoreError> {
        let Self { start, run, steps, items, adopted } = self;
        let (ports, target) = (job.ports, job.ports.target.as_ref());
        let recording = || "recording the run".to_owned();
        let mut txn = target.begin(lease.fence).await.during(recording)?;
        if meta::get(target, "project_key").await.during(recording)?.is_none() {
            meta::put(txn.as_mut(), "project_key", &project_key(run)).await.during(recording)?;
        }
        run::put(txn.as_mut(), run).await.during(recording)?;
        step::put(txn.as_mut(), steps).await.during(recording)?;
        for items in items.chunks(10_000) {
            item::put(txn.as_mut(), items).await.during(recording)?;
        }
        let checked = checks::as_rows(&run.id, &job.survey.checked, &run.started_at);
        check::put(txn.as_mut(), &checked).await.during(recording)?;
        match start {
            Start::Everything => {}
            Start::Changes(_) => {
                incremental::supersede(job, txn.as_mut(), run, items).await?;
            }
            Start::Rejects(_, chosen) => retry::claim(ports, txn.as_mut(), chosen, run).await?,
        }
        let (at, actor) = (&run.started_at, &run.started_by);
        for step in adopted.steps() {
            let detail = json!({ "step": step });
            chain::record(txn.as_mut(), at, actor, "mapping.adopted", &run.id, &detail)
                .await
                .during(recording)?;
        }
        let options: serde_json::Value = serde_json::from_str(&run.options).unwrap_or_default();
        let mut detail = under(job);
        detail["kind"] = run.kind.word().into();
        detail["plan"] = run.plan.as_str().into();
        detail["options"] = options;
        if let Some(parent) = &run.parent {
            detail["parent"] = parent.as_str().into();
        }
        chain::record(txn.as_mut(), at, actor, "run.started", &run.id, &detail)
            .await
            .during(recording)?;
        txn.commit().await.during(recording)
    }
}

/// Under which plan and by which program a process works on a run.
fn under(job: &Job<'_>) -> serde_json::Value {
    let digest = whimbrel_model::Digest(plan_digest(job.survey)).to_hex();
    let mut detail = json!({ "plan_digest": digest, "program": job.ports.identity.tool_version });
    if job.options.adopt {
        detail["adopt"] = true.into();
    }
    detail["rejects_max"] = match job.plan.rejects.max {
        Some(Budget::Count(count)) => count.into(),
        Some(Budget::Ratio(ratio)) => ratio.into(),
        None => serde_json::Value::Null,
    };
    detail
}

/// A key for digests that nobody knew when the data was made: of the first run's id, time and
/// process.
fn project_key(run: &Run) -> String {
    let material = format!("{}\u{1f}{}\u{1f}{}", run.id, run.started_at, run.started_by);
    let key = blake3::derive_key("whimbrel 2026 project key", material.as_bytes());
    whimbrel_model::Digest(key).to_hex()
}

fn step_rows(plan: &Plan, survey: &Survey, run: &Run) -> Vec<Step> {
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
    for relate in &survey.relates {
        let name = relate::step_name(&plan.relates[relate.index].name.value);
        rows.push(Step { digest: Some(relate.digest.to_vec()), ..row(rows.len() as u64, name) });
    }
    rows.push(row(survey.last_step(), "finish".to_owned()));
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
            .map(|partition| new_item(run, step, source, partition))
            .chain(
                source.set_aside.iter().map(|aside| new_item(run, step, source, &aside.partition)),
            )
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
pub(crate) fn new_item(run: &Run, step: u64, source: &SourceSurvey, partition: &Partition) -> Item {
    Item {
        run: run.id.clone(),
        step,
        ordinal: 0,
        kind: if source.database { ItemKind::Table } else { ItemKind::File },
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
pub(crate) async fn reopen(
    job: &Job<'_>,
    run: &mut Run,
    lease: &Lease,
) -> Result<Vec<String>, CoreError> {
    let Job { ports, survey, options, .. } = *job;
    let target = ports.target.as_ref();
    let steps = step::of_run(target, &run.id).await.in_ledger()?;
    let batches = batch::of_run(target, &run.id).await.in_ledger()?;
    let mut adopted = adopt(survey, options, run, &steps, &batches)?;
    removed_are_adopted(job, run, &steps).await?;
    let taken_back = relate::dropped_when_taken_back(job, run, &steps).await?;
    let replanned = replan(job, run, &steps)?;
    if let Some(replanned) = &replanned {
        let again = |step: &&Step| step.status == StepStatus::Pending && relate::was_done(step);
        adopted.extend(replanned.iter().filter(again).cloned());
    }
    run.attempts += 1;
    run.status = RunStatus::Running;
    run.error_code = None;
    run.error_message = None;
    run.ended_at = None;
    let now = rfc3339(ports.clock.now());
    let doing = || "recording the attempt".to_owned();
    let run: &Run = run;
    let recording = async |unsure| {
        let known = run::get(target, &run.id).await.in_ledger()?;
        if unsure && known.is_some_and(|known| known.attempts == run.attempts) {
            return Ok(());
        }
        let mut txn = target.begin(lease.fence).await.during(doing)?;
        run::put(txn.as_mut(), run).await.during(doing)?;
        if let Some(replanned) = &replanned {
            let last_load = survey.steps.len() as u64;
            step::forget_behind(txn.as_mut(), &run.id, last_load).await.during(doing)?;
            step::put(txn.as_mut(), replanned).await.during(doing)?;
        }
        step::put(txn.as_mut(), &adopted).await.during(doing)?;
        step::put(txn.as_mut(), &taken_back).await.during(doing)?;
        let actor = &ports.identity.actor;
        for step in &adopted {
            let detail = json!({ "step": step.migration_step });
            chain::record(txn.as_mut(), &now, actor, "mapping.adopted", &run.id, &detail)
                .await
                .during(doing)?;
        }
        let mut detail = under(job);
        detail["attempt"] = run.attempts.into();
        chain::record(txn.as_mut(), &now, actor, "run.resumed", &run.id, &detail)
            .await
            .during(doing)?;
        txn.commit().await.during(doing)
    };
    Patience::new(ports, load::retries(job.plan), lease).carry_out(recording).await?;
    let committed = batches.iter().map(|batch| batch.units.read.n()).sum();
    ports.events.emit(Event::RunStarted {
        run: run.id.clone(),
        kind: run.kind.word(),
        resumed: true,
        committed,
    });
    Ok(adopted.into_iter().filter_map(|step| step.target_table).collect())
}

/// Refuses to go on where steps that an earlier run has done were taken out of the plan since this
/// one began, unless that is adopted, or where one cannot be taken back.
async fn removed_are_adopted(job: &Job<'_>, run: &Run, steps: &[Step]) -> Result<(), CoreError> {
    for removed in relate::removed(job.ports, job.plan, run.seq).await? {
        let name = relate::step_name(removed.name());
        let since = steps.iter().any(|step| step.migration_step == name);
        if since && !job.options.adopt {
            let step = removed.name().to_owned();
            return Err(CoreError::RelateRemoved { run: run.id.clone(), step });
        }
        removed.can_be_taken_back()?;
    }
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
    let loads = steps.iter().filter(|step| step.target_table.is_some()).count();
    let same_tables = loads == survey.steps.len()
        && survey.steps.iter().zip(&steps[1..]).all(|(surveyed, step)| {
            step.target_table.as_deref() == Some(surveyed.table.name.as_str())
        });
    if !same_tables {
        return Err(CoreError::ListChanged { run: run.id.clone(), what: "tables" });
    }
    let mut adopted = Vec::new();
    for (surveyed, step) in survey.steps.iter().zip(&steps[1..]) {
        let begun = batches.iter().any(|batch| batch.step == step.step);
        if begun && surveyed.created {
            let table = surveyed.table.name.clone();
            return Err(CoreError::TableGone { run: run.id.clone(), table });
        }
        if step.digest.as_deref() == Some(surveyed.digest.as_slice()) {
            continue;
        }
        if begun && !options.adopt {
            let table = surveyed.table.name.clone();
            return Err(CoreError::MappingChanged { run: run.id.clone(), table });
        }
        adopted.push(Step { digest: Some(surveyed.digest.to_vec()), ..step.clone() });
    }
    Ok(adopted)
}

/// The steps of SQL and the end, where the plan has others than the run began with; `None` where it
/// has the same. What is done already must stand in the plan as it was done, unless it is adopted:
/// then it is taken back and done again.
fn replan(job: &Job<'_>, run: &Run, steps: &[Step]) -> Result<Option<Vec<Step>>, CoreError> {
    let changed = |table: String| CoreError::MappingChanged { run: run.id.clone(), table };
    let last_load = job.survey.steps.len();
    let recorded = &steps[(last_load + 1).min(steps.len())..];
    let mut planned = step_rows(job.plan, job.survey, run).split_off(last_load + 1);
    let same = |one: &Step, other: &Step| {
        one.migration_step == other.migration_step && one.digest == other.digest
    };
    if recorded.len() == planned.len() && recorded.iter().zip(&planned).all(|(a, b)| same(a, b)) {
        return Ok(None);
    }
    for done in recorded.iter().filter(|step| step.status == StepStatus::Completed) {
        let place = planned.iter().position(|step| step.step == done.step);
        let kept = place.filter(|place| planned[*place].migration_step == done.migration_step);
        let Some(place) = kept else {
            return Err(CoreError::ListChanged { run: run.id.clone(), what: "relate steps" });
        };
        if same(done, &planned[place]) {
            planned[place] = done.clone();
        } else if job.options.adopt {
            planned[place].rollback_data.clone_from(&done.rollback_data);
        } else {
            return Err(changed(done.migration_step.clone()));
        }
    }
    // What is taken back already, is not taken back once more.
    for begun in recorded.iter().filter(|step| step.status != StepStatus::Completed) {
        let same_name = |step: &&mut Step| step.migration_step == begun.migration_step;
        if let Some(step) = planned.iter_mut().find(same_name) {
            step.rollback_data.clone_from(&begun.rollback_data);
        }
    }
    Ok(Some(planned))
}
