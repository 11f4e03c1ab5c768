//! `rejects retry`: a run that reads only rejected units again, with what a person has repaired and
//! with the plan as it is now.
//!
//! ```text
//! open ─▶ open, taken on by the run ─┬▶ fixed        the unit found a place
//!         (with repaired bytes)      └▶ superseded   refused again: the run's own reject counts
//! ```
//! Taking on is part of the run's first transaction, resolving part of the batch that holds the
//! unit: a killed retry goes on with exactly the rejects that still wait.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_endpoint::{EndpointError, ErrorClass, Freshness, SchemaFile, Target, Txn};
use whimbrel_ledger::{
    Counts, Item, ItemStatus, Phase, Reject, RejectId, RejectStatus, Run, RunKind, RunStatus, item,
    reject::{self, Pages},
    run, step,
};
use whimbrel_model::Digest;
use whimbrel_model::plan::Plan;

use crate::begin::{Start, facts_json, new_run};
use crate::error::{CoreError, Outcome, While};
use crate::lease::Lease;
use crate::load::again::{Again, Wanted};
use crate::migrate::{Job, PhaseTimer, find_run, selection_of, tables_stand};
use crate::options::Options;
use crate::ports::Ports;
use crate::relate;
use crate::survey::{SurveyedStep, survey};
use crate::{incremental, verify, window};

/// Rejects to be read again, each with its repaired bytes where a person has repaired it.
pub type Chosen = BTreeMap<RejectId, Option<Vec<u8>>>;

/// Reads rejected units again: a run that continues the newest one. Where that is itself an
/// unfinished retry, it goes on with what that one has chosen.
pub async fn retry(
    ports: &Ports,
    plan: &Plan,
    schema: Vec<SchemaFile>,
    options: &Options,
    chosen: Chosen,
) -> Result<Outcome, CoreError> {
    let timer = PhaseTimer::begin(ports, Phase::Preflight);
    window::wait_or_refuse(ports, plan).await?;
    let Some(last) = find_run(ports, plan).await? else {
        let location = ports.target.facts().await.during(|| "looking at the target".to_owned())?;
        let (plan, location) = (plan.name.value.clone(), location.location);
        return Err(CoreError::NoRun { plan, location });
    };
    let options = &selection_of(Some(&last), options)?;
    match (last.status, last.kind) {
        (RunStatus::Completed, _) => {}
        (RunStatus::Running | RunStatus::Interrupted | RunStatus::Failed, RunKind::Retry) => {
            let survey = survey(ports, plan, schema, options).await?;
            let job = Job { ports, plan, survey: &survey, options };
            return job.carry_out(last, None, timer).await;
        }
        (
            RunStatus::Running | RunStatus::Interrupted | RunStatus::Failed,
            RunKind::Full | RunKind::Incremental,
        ) => return Err(unfinished(ports, last).await),
    }
    let chosen = waiting(ports.target.as_ref(), chosen).await.in_ledger()?;
    if chosen.is_empty() {
        return Ok(Outcome::NothingToDo { run: last.id });
    }
    let survey = survey(ports, plan, schema, options).await?;
    let job = Job { ports, plan, survey: &survey, options };
    tables_are_there(&job, &chosen).await?;
    tables_stand(&job, &last).await?;
    incremental::old_keys_stand(&job, &last).await?;
    verify::stands(ports, &last).await?;
    relate::can_be_repeated(&job).await?;
    let start = Start::Rejects(last, chosen);
    let run = new_run(ports, plan, &survey, options, &start);
    job.carry_out(run, Some(&start), timer).await
}

/// Why nothing can be retried yet: another process works on the newest run, or it has to be gone on
/// with.
async fn unfinished(ports: &Ports, last: Run) -> CoreError {
    match Lease::take(ports, &last.id).await.during(|| "looking at the lease".to_owned()) {
        Err(error) => error,
        Ok(Err(held)) => CoreError::Held { holder: held.holder, expires_in: held.expires_in },
        Ok(Ok(lease)) => {
            let released = lease.release().await.during(|| "giving the lease back".to_owned());
            released.err().unwrap_or(CoreError::Unfinished { run: last.id })
        }
    }
}

/// Those of the chosen rejects that still wait.
async fn waiting(target: &dyn Target, mut chosen: Chosen) -> Result<Chosen, EndpointError> {
    let mut waiting = Chosen::new();
    for (run, step) in steps_of(&chosen) {
        let see = |reject: Reject| {
            let id = reject.id();
            if let (RejectStatus::Open, Some(repaired)) = (reject.status, chosen.remove(&id)) {
                waiting.insert(id, repaired);
            }
        };
        each_reject(target, &run, step, see).await?;
    }
    Ok(waiting)
}

/// The steps that have refused them.
fn steps_of(chosen: &Chosen) -> BTreeSet<(String, u64)> {
    chosen.keys().map(|id| (id.run.clone(), id.step)).collect()
}

/// Refuses rejects of tables that the plan does not fill any more.
async fn tables_are_there(job: &Job<'_>, chosen: &Chosen) -> Result<(), CoreError> {
    let runs: BTreeSet<&str> = chosen.keys().map(|id| id.run.as_str()).collect();
    for run in runs {
        let steps = step::of_run(job.ports.target.as_ref(), run).await;
        for step in steps.in_ledger()? {
            let meant = chosen.keys().any(|id| id.run == run && id.step == step.step);
            let Some(table) = step.target_table.filter(|_| meant) else { continue };
            if !job.survey.steps.iter().any(|surveyed| surveyed.table.name == table) {
                let what = format!(
                    "the plan does not fill `{table}` any more, so its rejects cannot be read again"
                );
                return Err(CoreError::Refused(what));
            }
        }
    }
    Ok(())
}

/// Steps of the runs before this one that filled a table, oldest first.
pub(crate) async fn steps_before(
    target: &dyn Target,
    run: &Run,
    table: &str,
) -> Result<Vec<(String, u64)>, EndpointError> {
    let mut steps = Vec::new();
    for one in run::lineage(target, run).await?.into_iter().filter(|one| one.id != run.id) {
        for step in step::of_run(target, &one.id).await? {
            if step.target_table.as_deref() == Some(table) {
                steps.push((one.id.clone(), step.step));
            }
        }
    }
    Ok(steps)
}

/// Hands the rejects of a step to `see`, a page at a time.
async fn each_reject(
    target: &dyn Target,
    run: &str,
    step: u64,
    mut see: impl FnMut(Reject),
) -> Result<(), EndpointError> {
    let mut pages = Pages::of(target, run, step);
    while let Some(page) = pages.next().await? {
        page.into_iter().for_each(&mut see);
    }
    Ok(())
}

/// The items of one step of a retry: the files of the chosen rejects, under their old ordinals.
pub(crate) async fn items(
    job: &Job<'_>,
    surveyed: &SurveyedStep,
    run: &Run,
    chosen: &Chosen,
    step: u64,
) -> Result<Vec<Item>, CoreError> {
    let target = job.ports.target.as_ref();
    let steps = steps_of(chosen);
    let mut items: BTreeMap<u64, Item> = BTreeMap::new();
    for (origin, number) in steps_before(target, run, &surveyed.table.name).await.in_ledger()? {
        if !steps.contains(&(origin.clone(), number)) {
            continue;
        }
        let known = item::of_step(target, &origin, number).await.in_ledger()?;
        // The last wanted record of each file; 0 where the file itself is wanted.
        let mut wanted: BTreeMap<(String, String), u64> = BTreeMap::new();
        let see = |reject: Reject| {
            if chosen.contains_key(&reject.id()) && reject.status == RejectStatus::Open {
                let last = wanted.entry((reject.source, reject.source_file)).or_default();
                *last = reject.record.max(*last);
            }
        };
        each_reject(target, &origin, number, see).await.in_ledger()?;
        for item in known {
            let file = (item.source.clone(), item.source_file.clone());
            if let Some(last) = wanted.get(&file) {
                items.insert(item.ordinal, again_item(job, run, step, item, *last).await?);
            }
        }
    }
    Ok(items.into_values().collect())
}

async fn again_item(
    job: &Job<'_>,
    run: &Run,
    step: u64,
    known: Item,
    last: u64,
) -> Result<Item, CoreError> {
    let Some(partition) = job.survey.find(&known.source, &known.source_file) else {
        return Err(CoreError::RejectChanged { path: known.source_file });
    };
    let whole = last == 0;
    if let (false, Some(mark)) = (whole, &known.mark) {
        let compared = job.ports.sources[&known.source].compare(partition, mark).await;
        let doing = || format!("comparing `{}` with what was read", known.source_file);
        match compared.during(doing)? {
            Freshness::Same => {}
            // What stood behind the mark may be another record by now.
            Freshness::Appended if last <= mark.records => {}
            Freshness::Appended | Freshness::Changed => {
                return Err(CoreError::RejectChanged { path: known.source_file });
            }
        }
    }
    // What has been appended since belongs to an incremental run: it has to find the old facts.
    let facts = if whole { facts_json(partition) } else { known.facts };
    Ok(Item {
        run: run.id.clone(),
        step,
        status: ItemStatus::Pending,
        facts,
        mark: None,
        state: None,
        counts: Counts::default(),
        lines: None,
        skipped: None,
        error_message: None,
        ..known
    })
}

/// Takes the chosen rejects on: they stay open, in the name of this run, with their repaired bytes.
pub(crate) async fn claim(
    ports: &Ports,
    txn: &mut dyn Txn,
    chosen: &Chosen,
    run: &Run,
) -> Result<(), CoreError> {
    let doing = || "taking the rejects on".to_owned();
    for (origin, step) in steps_of(chosen) {
        let mut pages = Pages::of(ports.target.as_ref(), &origin, step);
        while let Some(page) = pages.next().await.during(doing)? {
            let taken: Vec<Reject> = page
                .into_iter()
                .filter(|reject| reject.status == RejectStatus::Open)
                .filter_map(|reject| {
                    let repaired = chosen.get(&reject.id())?.clone();
                    Some(Reject {
                        resolved_by: Some(run.id.clone()),
                        fixed_bytes: repaired.or(reject.fixed_bytes),
                        ..reject
                    })
                })
                .collect();
            reject::put(txn, &taken).await.during(doing)?;
        }
    }
    Ok(())
}

/// What a retry still has to read of each item of a table, by the item's index.
pub(crate) async fn again(
    ports: &Ports,
    run: &Run,
    table: &str,
    items: &[Item],
) -> Result<BTreeMap<usize, Again>, EndpointError> {
    let target = ports.target.as_ref();
    let indexes: BTreeMap<(&str, &str), usize> = items
        .iter()
        .enumerate()
        .map(|(index, item)| ((item.source.as_str(), item.source_file.as_str()), index))
        .collect();
    let mut found: BTreeMap<usize, Again> = (0..items.len())
        .map(|index| {
            let wanted = Wanted::Records(BTreeMap::new());
            (index, Again { wanted, repaired: BTreeMap::new(), mark: None })
        })
        .collect();
    for (origin, step) in steps_before(target, run, table).await? {
        let mut damaged = None;
        let see = |reject: Reject| {
            let file = (reject.source.as_str(), reject.source_file.as_str());
            let mine = reject.status == RejectStatus::Open
                && reject.resolved_by.as_deref() == Some(run.id.as_str());
            let (true, Some(index)) = (mine, indexes.get(&file)) else { return };
            let again = found.get_mut(index).expect("every item is there");
            match &mut again.wanted {
                wanted if reject.record == 0 => *wanted = Wanted::File,
                Wanted::Records(records) => match digest_of(&reject) {
                    Ok(digest) => drop(records.insert(reject.record, digest)),
                    Err(error) => damaged = Some(error),
                },
                Wanted::File => {}
            }
        };
        each_reject(target, &origin, step, see).await?;
        if let Some(error) = damaged {
            return Err(error);
        }
        for item in item::of_step(target, &origin, step).await? {
            let file = (item.source.as_str(), item.source_file.as_str());
            if let (Some(index), Some(_)) = (indexes.get(&file), &item.mark) {
                found.get_mut(index).expect("every item is there").mark = item.mark;
            }
        }
    }
    repairs(target, run, &indexes, &mut found).await?;
    Ok(found)
}

/// Adds what people have repaired of these files, in whichever table's reject; the newest repair
/// of a record counts, but what the file holds is told by the oldest. What was repaired in an
/// earlier version of a file went with it.
async fn repairs(
    target: &dyn Target,
    run: &Run,
    indexes: &BTreeMap<(&str, &str), usize>,
    found: &mut BTreeMap<usize, Again>,
) -> Result<(), EndpointError> {
    let mut repaired = Vec::new();
    // Ordinals of the newest version of each file, by table.
    let mut newest: BTreeMap<(String, usize), u64> = BTreeMap::new();
    for one in run::lineage(target, run).await? {
        for step in step::of_run(target, &one.id).await? {
            let Some(table) = step.target_table else { continue };
            repaired.extend(reject::repaired(target, &one.id, step.step).await?);
            for item in item::of_step(target, &one.id, step.step).await? {
                let file = (item.source.as_str(), item.source_file.as_str());
                if let Some(index) = indexes.get(&file) {
                    let ordinal = newest.entry((table.clone(), *index)).or_default();
                    *ordinal = item.ordinal.max(*ordinal);
                }
            }
        }
    }
    for reject in repaired {
        let file = (reject.source.as_str(), reject.source_file.as_str());
        let original = digest_of(&reject)?;
        let Some(index) = indexes.get(&file) else { continue };
        let current = newest.get(&(reject.target_table, *index)) == Some(&(reject.unit >> 32));
        let (true, Some(again), Some(bytes)) = (current, found.get_mut(index), reject.fixed_bytes)
        else {
            continue;
        };
        let first = again.repaired.insert(reject.record, bytes).is_none();
        if let (true, Wanted::Records(wanted)) = (first, &mut again.wanted)
            && let Some(digest) = wanted.get_mut(&reject.record)
        {
            *digest = original;
        }
    }
    Ok(())
}

/// The digest by which the record is recognised in its file; `None` where not all of its bytes were
/// kept.
fn digest_of(reject: &Reject) -> Result<Option<Digest>, EndpointError> {
    if reject.is_cut() {
        return Ok(None);
    }
    let digest = <[u8; 32]>::try_from(reject.digest.as_slice()).map_err(|_| {
        let what =
            format!("the ledger holds no digest of reject `{}.{}`", reject.step, reject.unit);
        EndpointError::new(ErrorClass::Changed, "WB0301", what)
    })?;
    Ok(Some(Digest(digest)))
}
