//! A load that writes nothing: everything is read and transformed, and what would happen is
//! counted. No writer is ever made; only the target's own constraints stay untried.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use whimbrel_ledger::{Counts, Item, ItemKind, Lead, Place, Run};
use whimbrel_model::plan::DuplicateConflict;
use whimbrel_model::{Class, ValueRef};
use whimbrel_transform::{MASK, Notes, excerpt};

use super::gate::{Announced, Gate};
use super::judge::read_before;
use super::produced::{Fate, Produced, Refusal, Unit};
use super::stage::{self, Choice, ParentIndex, Shared};
use super::work::works;
use crate::begin::all_items;
use crate::error::{CoreError, While};
use crate::event::NamedCounts;
use crate::migrate::Job;
use crate::ports::Ports;
use crate::survey::{SurveyedStep, referenced_tables};

/// How much is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Depth {
    /// Everything.
    Everything,
    /// About this many units of each table that no other refers to; of those, everything.
    Units(u64),
}

/// What would happen to one table.
#[derive(Debug, Serialize)]
pub struct DryTable {
    /// The table.
    pub table: String,
    /// True where it would be created.
    pub created: bool,
    /// Files of its sources.
    pub files: u64,
    /// Databases among its sources, each with the rows of a table or of a query.
    pub databases: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// True where all of it was read.
    pub complete: bool,
    /// Units by class; `loaded` are those that would be written.
    pub units: NamedCounts,
    /// Rows that would be written.
    pub rows: u64,
    /// Seconds that reading and transforming took.
    pub seconds: f64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Rejects by cause.
    pub rejects: Vec<DryReject>,
    /// Conversions, warnings and filters: see `Notes::to_json`.
    pub notes: serde_json::Value,
    /// The first records, before and after.
    pub samples: Vec<DrySample>,
}

/// Rejects of one cause.
#[derive(Debug, Serialize)]
pub struct DryReject {
    /// A code that `explain` knows.
    pub code: String,
    /// The target column.
    pub column: Option<String>,
    /// The rule.
    pub rule: Option<String>,
    /// How many.
    pub count: u64,
    /// `file:line` of the first.
    pub first: String,
    /// Why the first.
    pub message: String,
    /// The first's value, bounded.
    pub value: Option<String>,
}

/// A record and what becomes of it.
#[derive(Debug, Serialize)]
pub struct DrySample {
    /// `file:line`.
    pub place: String,
    /// The record's bytes, bounded and escaped.
    pub before: String,
    /// Column and value, bounded and escaped; NULL is `None`.
    pub after: Vec<(String, Option<String>)>,
}

/// Samples of each table.
const SAMPLES: usize = 3;

/// Where legacy keys lead, by (table, legacy key).
pub(crate) type ParentKeys = BTreeMap<(String, String), Lead>;

/// Reads and transforms what a fresh run would take.
pub(crate) async fn dry(
    job: &Job<'_>,
    run: &Run,
    depth: Depth,
) -> Result<Vec<DryTable>, CoreError> {
    let mut parents = ParentKeys::new();
    let mut tables = Vec::new();
    let referenced = referenced_tables(job.plan);
    for (index, surveyed) in job.survey.steps.iter().enumerate() {
        let items = all_items(job.plan, job.survey, surveyed, run, index as u64 + 1);
        // Whoever refers to a table has to find all of its rows.
        let all = referenced.contains(surveyed.table.name.as_str());
        let depth = if all { Depth::Everything } else { depth };
        let (table, known) = tally(job, surveyed, &items, parents, depth).await?;
        parents = known;
        tables.push(table);
    }
    Ok(tables)
}

/// The keys of a step's rows, with those of the steps before.
pub(crate) async fn parent_keys(
    job: &Job<'_>,
    surveyed: &SurveyedStep,
    items: &[Item],
    parents: ParentKeys,
) -> Result<ParentKeys, CoreError> {
    tally(job, surveyed, items, parents, Depth::Everything).await.map(|(_table, known)| known)
}

async fn tally(
    job: &Job<'_>,
    surveyed: &SurveyedStep,
    items: &[Item],
    parents: ParentKeys,
    depth: Depth,
) -> Result<(DryTable, ParentKeys), CoreError> {
    let known = Arc::new(parents);
    let mut tally = Tally::new(job, surveyed, depth);
    let databases = items.iter().filter(|item| item.kind == ItemKind::Table).count();
    tally.table.databases = databases as u64;
    tally.table.files = (items.len() - databases) as u64;
    tally.table.bytes = items.iter().filter_map(|item| job.survey.bytes_of(item)).sum();
    let mut see = |item: &Item, produced: Produced| tally.note(item, produced);
    let read = read_through(job, surveyed, items, &known, Choice::All, &mut see).await?;
    tally.table.complete = read == ControlFlow::Continue(());
    tally.now = job.ports.clock.monotonic();
    let (table, own) = tally.finish();
    // The workers have dropped their share by now.
    let mut parents = Arc::try_unwrap(known).unwrap_or_else(|shared| (*shared).clone());
    parents.extend(own);
    Ok((table, parents))
}

/// Takes what becomes of an item's next units; may say that it is enough.
pub(crate) type See<'a> = dyn FnMut(&Item, Produced) -> ControlFlow<()> + Send + 'a;

/// Reads and transforms the items of a step, writes nothing, and hands what comes of them to `see`
/// in source order, until that has seen enough or the run is to stop.
pub(crate) async fn read_through(
    job: &Job<'_>,
    surveyed: &SurveyedStep,
    items: &[Item],
    parents: &Arc<ParentKeys>,
    choice: Choice,
    see: &mut See<'_>,
) -> Result<ControlFlow<()>, CoreError> {
    let works = works(job.survey, items, BTreeMap::new());
    let works = works.map_err(|path| {
        let run = items.first().map(|item| item.run.clone()).unwrap_or_default();
        CoreError::SourceChanged { run, path }
    })?;
    let workers = job.options.workers(job.plan).min(works.len().max(1));
    // One at a time: whoever has seen enough stops after an item.
    let (gate, mut announced) = Gate::open(works, 1, job.ports.target.rows_together());
    let parents = ParentIndex::Memory(Arc::clone(parents));
    let shared = Shared::new(job.ports, job.plan, surveyed, &[0; 32], gate, parents, choice);
    let shared = Arc::new(shared);
    let mut threads = tokio::task::JoinSet::new();
    for _worker in 0..workers {
        let shared = Arc::clone(&shared);
        let handle = tokio::runtime::Handle::current();
        threads.spawn_blocking(move || stage::work(&shared, &handle));
    }
    let table = &surveyed.table.name;
    let result = feed(job.ports, table, items, &shared, &mut announced, see).await;
    shared.gate.close();
    drop(announced);
    while let Some(ended) = threads.join_next().await {
        if ended.is_err() && result.is_ok() {
            return Err(CoreError::ThreadLost(table.clone()));
        }
    }
    result
}

async fn feed(
    ports: &Ports,
    table: &str,
    items: &[Item],
    shared: &Shared,
    announced: &mut Announced,
    see: &mut See<'_>,
) -> Result<ControlFlow<()>, CoreError> {
    while let Some(mut announcement) = announced.recv().await {
        while let Some(message) = announcement.produced.recv().await {
            let produced = match message {
                Ok(produced) => produced,
                Err(failed) => {
                    return Err(failed.error).during(|| format!("reading `{}`", failed.path));
                }
            };
            let seen = see(&items[produced.item()], produced);
            if seen.is_break() || ports.cancel.reason().is_some() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if !announcement.done.is_done() {
            return Err(CoreError::ThreadLost(table.to_owned()));
        }
        shared.gate.drained(announcement.cost);
    }
    Ok(ControlFlow::Continue(()))
}

struct Tally<'a> {
    surveyed: &'a SurveyedStep,
    depth: Depth,
    /// What becomes of duplicates, where the plan declares them.
    conflict: Option<DuplicateConflict>,
    counts: Counts,
    notes: Notes,
    /// What duplicates are told by, with the key of the first one's row.
    seen: BTreeMap<[u8; 16], Vec<u8>>,
    own: ParentKeys,
    causes: BTreeMap<(String, Option<String>, Option<String>), DryReject>,
    table: DryTable,
    began: Duration,
    now: Duration,
}

impl<'a> Tally<'a> {
    fn new(job: &Job<'_>, surveyed: &'a SurveyedStep, depth: Depth) -> Self {
        let now = job.ports.clock.monotonic();
        let duplicates = job.plan.tables[surveyed.mapping].duplicates.as_ref();
        Self {
            surveyed,
            depth,
            conflict: duplicates.map(|duplicates| duplicates.conflict),
            counts: Counts::default(),
            notes: Notes::default(),
            seen: BTreeMap::new(),
            own: BTreeMap::new(),
            causes: BTreeMap::new(),
            table: DryTable {
                table: surveyed.table.name.clone(),
                created: surveyed.created,
                files: 0,
                databases: 0,
                bytes: 0,
                complete: true,
                units: NamedCounts::default(),
                rows: 0,
                seconds: 0.0,
                bytes_read: 0,
                rejects: Vec::new(),
                notes: serde_json::Value::Null,
                samples: Vec::new(),
            },
            began: now,
            now,
        }
    }

    fn note(&mut self, item: &Item, produced: Produced) -> ControlFlow<()> {
        let path = &item.source_file;
        let mut classes = Vec::with_capacity(produced.units.len());
        for unit in &produced.units {
            let class = match &unit.fate {
                Fate::Rows if self.is_first(unit) => Class::Loaded,
                Fate::Rows => match self.conflict {
                    Some(DuplicateConflict::Reject) => {
                        let before = read_before("the same was read before".to_owned());
                        self.refuse(&before, place(path, unit.position.line))
                    }
                    Some(DuplicateConflict::Map) | None => Class::Duplicate,
                },
                Fate::Filtered => Class::Filtered,
                Fate::Rejected(refusal) => self.refuse(refusal, place(path, unit.position.line)),
            };
            self.counts.read += 1;
            self.counts.classes[class as usize] += 1;
            classes.push(class);
        }
        self.table.bytes_read += produced.raw.len() as u64;
        for row in 0..produced.rows.len() {
            let index = produced.rows.units[row] as usize;
            let is_loaded = classes[index] == Class::Loaded;
            if !is_loaded && classes[index] != Class::Duplicate {
                continue;
            }
            self.lead(item, &produced, row, is_loaded);
            if !is_loaded {
                continue;
            }
            self.table.rows += 1;
            if self.table.samples.len() < SAMPLES {
                let sample = self.sample(path, &produced, row, index);
                self.table.samples.push(sample);
            }
        }
        self.notes.merge(produced.notes);
        match self.depth {
            Depth::Units(limit) if self.counts.read >= limit => ControlFlow::Break(()),
            Depth::Units(_) | Depth::Everything => ControlFlow::Continue(()),
        }
    }

    /// Whether no unit before was the same; then it is what others are duplicates of.
    fn is_first(&mut self, unit: &Unit) -> bool {
        match unit.duplicate.map(|digest| self.seen.entry(digest)) {
            Some(Entry::Occupied(_)) => false,
            Some(Entry::Vacant(free)) => {
                free.insert(Vec::new());
                true
            }
            None => true,
        }
    }

    fn refuse(&mut self, refusal: &Refusal, first: String) -> Class {
        let cause = (refusal.code.clone(), refusal.column.clone(), refusal.rule.clone());
        let known = self.causes.entry(cause).or_insert_with(|| DryReject {
            code: refusal.code.clone(),
            column: refusal.column.clone(),
            rule: refusal.rule.clone(),
            count: 0,
            first,
            message: refusal.message.clone(),
            value: refusal.value.clone(),
        });
        known.count += 1;
        Class::Rejected
    }

    /// Notes where a row's legacy key leads: to the row itself, or to that of which its record is a
    /// duplicate.
    fn lead(&mut self, item: &Item, produced: &Produced, row: usize, is_loaded: bool) {
        let Some(legacy) = produced.rows.legacy.get(row) else { return };
        let unit = &produced.units[produced.rows.units[row] as usize];
        let mut new_key = produced.rows.key(row);
        if let Some(first) = unit.duplicate.and_then(|digest| self.seen.get_mut(&digest)) {
            if !is_loaded {
                new_key = first;
            } else if first.is_empty() {
                first.extend_from_slice(new_key);
            }
        }
        let (source, source_file) = (item.source.clone(), item.source_file.clone());
        let place = Place { source, source_file, record: unit.position.record };
        match self.own.entry((self.table.table.clone(), legacy.to_owned())) {
            Entry::Occupied(mut known) => known.get_mut().add(new_key, || place),
            Entry::Vacant(free) => {
                free.insert(Lead::Row { new_key: new_key.to_vec(), place });
            }
        }
    }

    fn sample(&self, path: &str, produced: &Produced, row: usize, unit: usize) -> DrySample {
        let about = &produced.units[unit];
        let bytes = &produced.raw[about.raw.0..about.raw.1];
        let before = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        let step = &self.surveyed.step;
        let before = match (before.is_empty(), step.hides_records()) {
            (false, true) => MASK.to_owned(),
            (_, _) => excerpt(ValueRef::Text(&before)),
        };
        let values = produced.rows.chunk.row(row);
        let after = self.surveyed.table.columns.iter().enumerate().map(|(index, column)| {
            let value = values.get(index);
            let shown = match value {
                ValueRef::Null => None,
                _ if step.is_sensitive(index) => Some(MASK.to_owned()),
                value => Some(excerpt(value)),
            };
            (column.name.clone(), shown)
        });
        DrySample { place: place(path, about.position.line), before, after: after.collect() }
    }

    fn finish(mut self) -> (DryTable, ParentKeys) {
        self.table.units = NamedCounts::from(self.counts);
        self.table.seconds = self.now.saturating_sub(self.began).as_secs_f64();
        self.table.rejects = self.causes.into_values().collect();
        self.table.rejects.sort_by_key(|reject| std::cmp::Reverse(reject.count));
        self.table.notes =
            serde_json::from_str(&self.notes.to_json()).unwrap_or(serde_json::Value::Null);
        (self.table, self.own)
    }
}

fn place(path: &str, line: u64) -> String {
    if line == 0 { path.to_owned() } else { format!("{path}:{line}") }
}
