//! What changed since a complete run, and the items of a run that takes just that.
//!
//! ```text
//! remembered file  ══════════════▶ mark      same size, time, inode, or same bytes up to the mark:
//! file today       ══════════════▶────────   same · appended (goes on at the mark) · changed (anew)
//! ```

use std::collections::BTreeMap;

use serde_json::Value as Json;
use whimbrel_endpoint::{EndpointError, Freshness, Partition, Txn};
use whimbrel_ledger::{
    Counts, Item, ItemKind, ItemStatus, Reject, RejectStatus, Run, item, mapping,
    reject::{self, Pages},
    run,
};
use whimbrel_model::Class;

use whimbrel_model::plan::{Base, Each, Expr, Fact, Plan, TableMapping};

use crate::begin::{facts_json, new_item, number};
use crate::error::{Changes, CoreError, While};
use crate::migrate::Job;
use crate::ports::Ports;
use crate::relate;
use crate::retry;
use crate::survey::{SourceSurvey, Survey, SurveyedStep, references};

/// Everything that the run and its ancestors have read completely, newest first per file.
struct Memory {
    /// By (table, source, path).
    items: BTreeMap<(String, String, String), Item>,
    /// How many units of each came into the table, over all runs.
    loaded: BTreeMap<(String, String, String), u64>,
}

impl Memory {
    /// How many records of a file stand in the target: in the table that has most of them.
    fn records(&self, source: &str, path: &str) -> u64 {
        let of_file = |key: &(String, String, String)| key.1 == source && key.2 == path;
        let tables = self.loaded.iter().filter(|(key, _)| of_file(key));
        tables.map(|(_, loaded)| *loaded).max().unwrap_or(0)
    }
}

async fn remember(ports: &Ports, last: &Run) -> Result<Memory, CoreError> {
    let target = ports.target.as_ref();
    let mut items = BTreeMap::new();
    let mut loaded: BTreeMap<_, u64> = BTreeMap::new();
    for one in run::lineage(target, last).await.in_ledger()?.iter().rev() {
        let steps = whimbrel_ledger::step::of_run(target, &one.id).await.in_ledger()?;
        for item in item::of_run(target, &one.id).await.in_ledger()? {
            let step = steps.iter().find(|step| step.step == item.step);
            let table = step.and_then(|step| step.target_table.clone()).unwrap_or_default();
            if item.status == ItemStatus::Completed {
                let key = (table, item.source.clone(), item.source_file.clone());
                *loaded.entry(key.clone()).or_default() += item.counts.class(Class::Loaded);
                items.entry(key).or_insert(item);
            }
        }
    }
    Ok(Memory { items, loaded })
}

/// What the run and its ancestors have read of databases completely, as it was read last.
pub(crate) async fn read_whole(ports: &Ports, last: &Run) -> Result<Vec<Item>, CoreError> {
    let items = remember(ports, last).await?.items.into_values();
    Ok(items.filter(|item| item.kind == ItemKind::Table).collect())
}

/// A file that is there.
struct Present<'a> {
    partition: &'a Partition,
    /// Left out or rejected as a whole: it is larger than the limit.
    aside: bool,
}

/// How one file stands against what is remembered of it.
async fn freshness(
    ports: &Ports,
    present: &Present<'_>,
    item: &Item,
) -> Result<Freshness, CoreError> {
    let partition = present.partition;
    let Some(mark) = &item.mark else {
        // Nothing of it was read: its facts are all there is to compare. Where it may be read now,
        // nothing is the same.
        let same_size = size(&item.facts) == Some(partition.facts.size);
        let same = present.aside && same_size;
        return Ok(if same { Freshness::Same } else { Freshness::Changed });
    };
    // What is no file has no facts that could tell.
    if item.kind == ItemKind::File && item.facts == facts_json(partition) {
        return Ok(Freshness::Same);
    }
    let source = &ports.sources[&partition.id.source];
    let compared = source
        .compare(partition, mark)
        .await
        .during(|| format!("comparing `{}` with what was read", partition.id.path))?;
    Ok(match compared {
        // What is not read has no place to go on from.
        Freshness::Appended if present.aside => Freshness::Changed,
        Freshness::Same | Freshness::Appended | Freshness::Changed => compared,
    })
}

fn size(facts: &str) -> Option<u64> {
    serde_json::from_str::<Json>(facts).ok()?.get("size")?.as_u64()
}

/// The digest of the mapping with which each table was filled last, by the run or those before it.
pub(crate) async fn digests(
    ports: &Ports,
    last: &Run,
) -> Result<BTreeMap<String, Vec<u8>>, CoreError> {
    let target = ports.target.as_ref();
    let mut digests = BTreeMap::new();
    for one in run::lineage(target, last).await.in_ledger()? {
        for step in whimbrel_ledger::step::of_run(target, &one.id).await.in_ledger()? {
            if let (Some(table), Some(digest)) = (step.target_table, step.digest) {
                digests.insert(table, digest);
            }
        }
    }
    Ok(digests)
}

/// How the sources differ from what the run and its ancestors have read.
pub(crate) async fn changes(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    last: &Run,
) -> Result<Changes, CoreError> {
    let memory = remember(ports, last).await?;
    let relates = relate::changes(ports, plan, survey).await?;
    let mut changes = Changes {
        relates_new: relates.new,
        relates_changed: relates.changed,
        relates_removed: relates.removed,
        ..Changes::default()
    };
    let digests = digests(ports, last).await?;
    for surveyed in &survey.steps {
        let table = surveyed.table.name.clone();
        match digests.get(&table) {
            None => changes.tables_new.push(table),
            Some(digest) if *digest != surveyed.digest => changes.tables_remapped.push(table),
            Some(_) => {}
        }
    }
    for (name, source) in &survey.sources {
        let known: BTreeMap<&str, &Item> = memory
            .items
            .iter()
            .filter(|((_, source, _), _)| source == name)
            .map(|((_, _, path), item)| (path.as_str(), item))
            .collect();
        for present in present(source) {
            let path = &present.partition.id.path;
            let place = match known.get(path.as_str()) {
                None => &mut changes.new,
                Some(item) => match freshness(ports, &present, item).await? {
                    Freshness::Same => continue,
                    Freshness::Appended => &mut changes.appended,
                    Freshness::Changed if item.mark.is_none() => &mut changes.new,
                    Freshness::Changed => &mut changes.changed,
                },
            };
            place.push(path.clone());
            changes.databases += usize::from(source.database);
        }
        for path in known.into_keys() {
            if !present(source).any(|present| present.partition.id.path == path) {
                changes.deleted.push((path.to_owned(), memory.records(name, path)));
            }
        }
    }
    Ok(changes)
}

/// The first table whose rows are called by their numbers and would be read from a database anew:
/// rows that were put in or taken out between others have moved those behind them, which would be
/// taken for new ones.
pub(crate) fn renumbered(plan: &Plan, survey: &Survey, changes: &Changes) -> Option<String> {
    let is_renumbered = |surveyed: &&SurveyedStep| {
        let mapping = &plan.tables[surveyed.mapping];
        let read_anew = mapping.from.iter().any(|from| {
            let source = &survey.sources[&from.value];
            let mut parts = source.partitions.iter();
            source.database && parts.any(|part| changes.changed.contains(&part.id.path))
        });
        read_anew && has_numbers_for_keys(mapping)
    };
    survey.steps.iter().find(is_renumbered).map(|surveyed| surveyed.table.name.clone())
}

/// Whether the key is made of the number of the record.
fn has_numbers_for_keys(mapping: &TableMapping) -> bool {
    let numbers = |expr: &Expr, lets: &[&str]| {
        let mut found = false;
        expr.walk(&mut |expr| {
            found |= match &expr.base {
                Base::Fact(fact) => fact.value == Fact::RecordNumber,
                Base::Field(name) => lets.contains(&name.value.as_str()),
                _ => false,
            };
        });
        found
    };
    let mut lets: Vec<&str> = Vec::new();
    for (name, expr) in &mapping.lets {
        if numbers(expr, &lets) {
            lets.push(&name.value);
        }
    }
    let is_key = |name: &str| mapping.key.iter().any(|key| key.value == name);
    mapping.columns.iter().any(|(name, expr)| is_key(&name.value) && numbers(expr, &lets))
}

/// Refuses references to tables whose rows were loaded when nothing referred to them: nobody knows then which
/// record each came from.
pub(crate) async fn old_keys_stand(job: &Job<'_>, last: &Run) -> Result<(), CoreError> {
    let memory = remember(job.ports, last).await?;
    let target = job.ports.target.as_ref();
    for surveyed in &job.survey.steps {
        for parent in references(&job.plan.tables[surveyed.mapping]) {
            let of_parent = memory.loaded.iter().filter(|((table, ..), _)| table == parent);
            let loaded: u64 = of_parent.map(|(_, loaded)| *loaded).sum();
            if loaded > 0 && !mapping::any(target, parent).await.in_ledger()? {
                let (child, parent) = (surveyed.table.name.clone(), parent.to_owned());
                return Err(CoreError::NoOldKeys { child, parent });
            }
        }
    }
    Ok(())
}

fn present(source: &SourceSurvey) -> impl Iterator<Item = Present<'_>> {
    let read = source.partitions.iter().map(|partition| Present { partition, aside: false });
    let aside = source.set_aside.iter();
    read.chain(aside.map(|aside| Present { partition: &aside.partition, aside: true }))
}

/// The items of one step of an incremental run: new and changed files anew, appended ones from
/// their mark on.
pub(crate) async fn items(
    job: &Job<'_>,
    surveyed: &SurveyedStep,
    run: &Run,
    parent: &Run,
    step: u64,
) -> Result<Vec<Item>, CoreError> {
    let Job { ports, plan, survey, .. } = *job;
    let memory = remember(ports, parent).await?;
    let table = &surveyed.table.name;
    let mut anew = Vec::new();
    let mut appended = Vec::new();
    for from in &plan.tables[surveyed.mapping].from {
        let source = &survey.sources[&from.value];
        for present in present(source) {
            let partition = present.partition;
            let key = (table.clone(), from.value.clone(), partition.id.path.clone());
            let Some(known) = memory.items.get(&key) else {
                anew.push(new_item(run, step, source, partition));
                continue;
            };
            match freshness(ports, &present, known).await? {
                Freshness::Same => {}
                Freshness::Changed => anew.push(new_item(run, step, source, partition)),
                Freshness::Appended => appended.push(continued(run, step, partition, known)),
            }
        }
    }
    let highest = memory
        .items
        .iter()
        .filter(|((known, _, _), _)| known == table)
        .map(|(_, item)| item.ordinal + 1)
        .max();
    number(&mut anew, highest.unwrap_or(0));
    appended.append(&mut anew);
    appended.sort_by_key(|item| item.ordinal);
    Ok(appended)
}

fn continued(run: &Run, step: u64, partition: &Partition, known: &Item) -> Item {
    Item {
        run: run.id.clone(),
        step,
        status: ItemStatus::Pending,
        facts: facts_json(partition),
        counts: Counts::default(),
        lines: None,
        skipped: None,
        error_message: None,
        ..known.clone()
    }
}

/// Rejects of units that are read again wait no longer: those of files that are read anew, which
/// count their units under other ordinals, and of what stands behind the mark of a file that has
/// grown, where a torn last record may turn out to be another one, or part of one.
pub(crate) async fn supersede(
    job: &Job<'_>,
    txn: &mut dyn Txn,
    run: &Run,
    items: &[Item],
) -> Result<(), CoreError> {
    let doing = || "reading the rejects of changed files".to_owned();
    let target = job.ports.target.as_ref();
    for (index, surveyed) in job.survey.steps.iter().enumerate() {
        let again: BTreeMap<(&str, &str), &Item> = items
            .iter()
            .filter(|item| item.step == index as u64 + 1)
            .map(|item| ((item.source.as_str(), item.source_file.as_str()), item))
            .collect();
        let per_file = job.plan.tables[surveyed.mapping].each == Each::File;
        let table = &surveyed.table.name;
        let anew = again.iter().filter(|(_, item)| item.mark.is_none()).map(|(file, _)| *file);
        forget_seen(txn, table, anew).await.during(doing)?;
        for (origin, step) in retry::steps_before(target, run, table).await.during(doing)? {
            let mut pages = Pages::of(target, &origin, step);
            while let Some(page) = pages.next().await.during(doing)? {
                let old = |reject: &Reject| {
                    let file = (reject.source.as_str(), reject.source_file.as_str());
                    let Some(item) = again.get(&file) else { return false };
                    let read_again = match &item.mark {
                        None => reject.unit < item.first_unit,
                        Some(mark) => {
                            let behind = per_file || reject.record > mark.records;
                            reject.unit >= item.first_unit && behind
                        }
                    };
                    reject.status == RejectStatus::Open && read_again
                };
                let superseded: Vec<Reject> = page
                    .into_iter()
                    .filter(old)
                    .map(|reject| Reject {
                        status: RejectStatus::Superseded,
                        resolved_by: Some(run.id.clone()),
                        resolution: Some("the file has changed, and this is read again".to_owned()),
                        resolved_at: Some(run.started_at.clone()),
                        ..reject
                    })
                    .collect();
                reject::put(txn, &superseded).await.during(doing)?;
            }
        }
    }
    Ok(())
}

/// What a file held before it was changed is no winner over what is read now.
async fn forget_seen(
    txn: &mut dyn Txn,
    table: &str,
    anew: impl Iterator<Item = (&str, &str)>,
) -> Result<(), EndpointError> {
    let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    anew.for_each(|(source, file)| by_source.entry(source).or_default().push(file));
    for (source, files) in by_source {
        for files in files.chunks(500) {
            let files = files.iter().map(|file| (*file).into()).collect();
            mapping::forget_seen(txn, table, source, files).await?;
        }
    }
    Ok(())
}
