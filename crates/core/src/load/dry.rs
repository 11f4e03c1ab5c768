//! A load that writes nothing: everything is read and transformed, and what would happen is
//! counted. No writer is ever made; only the target's own constraints stay untried.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use whimbrel_ledger::{Counts, Item, Run};
use whimbrel_model::plan::Plan;
use whimbrel_model::{Class, ValueRef};
use whimbrel_transform::{Notes, excerpt};

use super::gate::{Announced, Gate};
use super::produced::{Fate, Produced};
use super::stage::{self, ParentIndex, Part, Shared, Work};
use crate::error::{CoreError, While};
use crate::event::NamedCounts;
use crate::options::Options;
use crate::ports::Ports;
use crate::survey::{Survey, SurveyedStep};

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

/// Reads and transforms what a fresh run would take.
pub(crate) async fn dry(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
    options: &Options,
    run: &Run,
    depth: Depth,
) -> Result<Vec<DryTable>, CoreError> {
    let mut parents = BTreeMap::new();
    let mut tables = Vec::new();
    for (index, surveyed) in survey.steps.iter().enumerate() {
        let items = crate::begin::all_items(plan, survey, surveyed, run, index as u64 + 1);
        let depth = if surveyed.step.stores_mappings() { Depth::Everything } else { depth };
        let known = Arc::new(std::mem::take(&mut parents));
        let mut tally = Tally::new(ports, surveyed, Arc::clone(&known), depth);
        tally.run(ports, plan, survey, options, items).await?;
        let (table, own) = tally.finish();
        // The workers have dropped their share by now.
        parents = Arc::try_unwrap(known).unwrap_or_else(|shared| (*shared).clone());
        parents.extend(own);
        tables.push(table);
    }
    Ok(tables)
}

struct Tally<'a> {
    surveyed: &'a SurveyedStep,
    known: Arc<BTreeMap<(String, String), Vec<u8>>>,
    depth: Depth,
    counts: Counts,
    notes: Notes,
    seen: BTreeSet<[u8; 16]>,
    own: BTreeMap<(String, String), Vec<u8>>,
    causes: BTreeMap<(String, Option<String>, Option<String>), DryReject>,
    table: DryTable,
    began: Duration,
    now: Duration,
}

impl<'a> Tally<'a> {
    fn new(
        ports: &Ports,
        surveyed: &'a SurveyedStep,
        known: Arc<BTreeMap<(String, String), Vec<u8>>>,
        depth: Depth,
    ) -> Self {
        let now = ports.clock.monotonic();
        Self {
            surveyed,
            known,
            depth,
            counts: Counts::default(),
            notes: Notes::default(),
            seen: BTreeSet::new(),
            own: BTreeMap::new(),
            causes: BTreeMap::new(),
            table: DryTable {
                table: surveyed.table.name.clone(),
                created: surveyed.created,
                files: 0,
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

    async fn run(
        &mut self,
        ports: &Ports,
        plan: &Plan,
        survey: &Survey,
        options: &Options,
        items: Vec<Item>,
    ) -> Result<(), CoreError> {
        let works = works(survey, items);
        self.table.files = works.len() as u64;
        self.table.bytes = works.iter().map(Work::bytes).sum();
        let workers = options.workers(plan).min(works.len().max(1));
        let (gate, mut announced) = Gate::open(works);
        let parents = ParentIndex::Memory(Arc::clone(&self.known));
        let shared = Arc::new(Shared::new(ports, plan, self.surveyed, &[0; 32], gate, parents));
        let mut threads = tokio::task::JoinSet::new();
        for _worker in 0..workers {
            let shared = Arc::clone(&shared);
            let handle = tokio::runtime::Handle::current();
            threads.spawn_blocking(move || stage::work(&shared, &handle));
        }
        let result = self.feed(ports, &shared, &mut announced).await;
        shared.gate.close();
        drop(announced);
        while let Some(ended) = threads.join_next().await {
            if ended.is_err() && result.is_ok() {
                return Err(CoreError::ThreadLost(self.table.table.clone()));
            }
        }
        self.now = ports.clock.monotonic();
        result
    }

    async fn feed(
        &mut self,
        ports: &Ports,
        shared: &Shared,
        announced: &mut Announced,
    ) -> Result<(), CoreError> {
        while let Some(mut announcement) = announced.recv().await {
            while let Some(message) = announcement.produced.recv().await {
                let path = &announcement.path;
                let produced = message.during(|| format!("reading `{path}`"))?;
                self.note(path, produced);
                let enough = matches!(self.depth, Depth::Units(limit) if self.counts.read >= limit);
                if enough || ports.cancel.reason().is_some() {
                    self.table.complete = false;
                    return Ok(());
                }
            }
            shared.gate.drained(announcement.cost);
        }
        Ok(())
    }

    fn note(&mut self, path: &str, produced: Produced) {
        let mut classes = Vec::with_capacity(produced.units.len());
        for unit in &produced.units {
            let class = match &unit.fate {
                Fate::Rows if unit.duplicate.is_some_and(|digest| !self.seen.insert(digest)) => {
                    Class::Duplicate
                }
                Fate::Rows => Class::Loaded,
                Fate::Filtered => Class::Filtered,
                Fate::Rejected(refusal) => {
                    let place = place(path, unit.position.line);
                    let cause =
                        (refusal.code.clone(), refusal.column.clone(), refusal.rule.clone());
                    let known = self.causes.entry(cause).or_insert_with(|| DryReject {
                        code: refusal.code.clone(),
                        column: refusal.column.clone(),
                        rule: refusal.rule.clone(),
                        count: 0,
                        first: place,
                        message: refusal.message.clone(),
                        value: refusal.value.clone(),
                    });
                    known.count += 1;
                    Class::Rejected
                }
            };
            self.counts.read += 1;
            self.counts.classes[class as usize] += 1;
            classes.push(class);
        }
        self.table.bytes_read += produced.raw.len() as u64;
        for row in 0..produced.rows.len() {
            let index = produced.rows.units[row] as usize;
            if classes[index] != Class::Loaded {
                continue;
            }
            self.table.rows += 1;
            if let Some(legacy) = produced.rows.legacy.get(row) {
                let key = (self.table.table.clone(), legacy.clone());
                self.own.insert(key, produced.rows.key(row).to_vec());
            }
            if self.table.samples.len() < SAMPLES {
                let sample = self.sample(path, &produced, row, index);
                self.table.samples.push(sample);
            }
        }
        self.notes.merge(produced.notes);
    }

    fn sample(&self, path: &str, produced: &Produced, row: usize, unit: usize) -> DrySample {
        let about = &produced.units[unit];
        let bytes = &produced.raw[about.raw.0..about.raw.1];
        let before = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
        let values = produced.rows.chunk.row(row);
        let after = self.surveyed.table.columns.iter().enumerate().map(|(index, column)| {
            let value = values.get(index);
            let shown = match value {
                ValueRef::Null => None,
                value => Some(excerpt(value)),
            };
            (column.name.clone(), shown)
        });
        DrySample {
            place: place(path, about.position.line),
            before: excerpt(ValueRef::Text(&before)),
            after: after.collect(),
        }
    }

    fn finish(mut self) -> (DryTable, BTreeMap<(String, String), Vec<u8>>) {
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

fn works(survey: &Survey, items: Vec<Item>) -> Vec<Work> {
    let part = |item: &Item| {
        let source = &survey.sources[&item.source];
        let found = source.partitions.iter().find(|one| one.id.path == item.source_file);
        let aside = source.set_aside.iter().find(|one| one.partition.id.path == item.source_file);
        found
            .map(|partition| Part::File(partition.clone()))
            .or_else(|| aside.map(|aside| Part::Aside(aside.clone())))
            .expect("items are made from the survey")
    };
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| Work { index, part: part(&item), item, again: None })
        .collect()
}
