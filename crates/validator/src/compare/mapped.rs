//! What a plan makes of its sources, against its target: parity, while both may change.
//!
//! ```text
//! sources ─▶ interpreter ─▶ rows by key, the last of each ─┐
//!                                                          ├─ merged; keys that differ are derived
//! target ─▶ snapshot ─▶ rows by key ───────────────────────┘  and read again after a pause
//! ```
//! Unlike a verification it asks what the sources say now, not what they said when they were loaded,
//! and needs no run. Where there was one, its ledger tells what the target refused and which records
//! were mended.

use std::collections::BTreeMap;
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, RowOrder, Source, Target};
use whimbrel_ledger::run::{self, Run};
use whimbrel_model::plan::{Existing, Plan, TableMapping};
use whimbrel_model::{ChunkBuilder, Column, Table, Value, ValueRef};

use super::{
    Comparison, Gathered, Job, Kept, Leaves, Options, Pair, Reread, Spared, TableComparison, Watch,
    key_names, keyless, narrowed, nothing,
};
use crate::interpret::{Derived, Fate, Holds, Interpreter, Known, Nothing};
use crate::latest::Latest;
use crate::merge::{Difference, MergeError, merge};
use crate::order;
use crate::sorter::{Sorter, sorted};
use crate::verify::filled::{self, Filled};
use crate::verify::remembered::{Remembered, Sight};

/// The left side: a plan with its sources. The right side: its target.
#[derive(Clone, Copy)]
pub struct Mapped<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Its sources, by name.
    pub sources: &'a BTreeMap<String, Arc<dyn Source>>,
    /// What they are compared with.
    pub target: &'a dyn Target,
}

/// Compares what a plan makes of its sources with what stands in a target.
///
/// Class `Configuration`, code `WB0803`: a table that was named is not in the plan, or the plan is one
/// that `validate` refuses. Where the target lacks tables of the plan, these are [`Comparison::only_left`],
/// and nothing else is compared.
pub async fn compare_mapped(
    mapped: &Mapped<'_>,
    options: &Options,
    watch: &mut dyn Watch,
) -> Result<Comparison, EndpointError> {
    for (name, source) in mapped.sources {
        let is_database = mapped.plan.source(name).is_some_and(|own| own.database().is_some());
        if !is_database && source.partitions().await?.partitions.is_empty() {
            return Err(nothing(format!(
                "the source `{name}` has no file: nothing is known of its side"
            )));
        }
    }
    let work = Work::of(mapped).await?;
    let is_wanted = |mapping: &TableMapping| {
        options.tables.is_empty() || options.tables.contains(&mapping.into.value)
    };
    let nowhere = options
        .tables
        .iter()
        .find(|name| !mapped.plan.tables.iter().any(|mapping| mapping.into.value == **name));
    if let Some(name) = nowhere {
        return Err(nothing(format!("the plan fills no table of this name: `{name}`")));
    }
    let mut comparison = Comparison::default();
    let missing = |mapping: &&TableMapping| !work.targets.contains_key(&mapping.into.value);
    comparison.only_left = mapped
        .plan
        .tables
        .iter()
        .filter(missing)
        .map(|mapping| mapping.into.value.clone())
        .collect();
    if !comparison.only_left.is_empty() {
        return Ok(comparison);
    }
    let mut leaves = Leaves::new(&options.without);
    let mut wanted = BTreeMap::new();
    for (index, mapping) in mapped.plan.tables.iter().enumerate() {
        if is_wanted(mapping) {
            wanted.insert(index, work.job(mapping, options, &mut leaves));
        }
    }
    leaves.all_met()?;
    let mut interpreter = work.interpreter()?;
    let mut jobs: Vec<(usize, Job<'_>)> = Vec::new();
    for index in mapped.plan.order() {
        if let Some(job) = wanted.remove(&index) {
            watch.begins(&job.compared).await?;
            jobs.push((index, work.compare(job, &mut interpreter, index, watch).await?));
        } else {
            let mut sink = |_: Derived<'_>| Ok::<(), EndpointError>(());
            interpreter.derive(mapped.sources, index, &mut sink).await?;
        }
    }
    drop(interpreter);
    for _ in 0..options.attempts {
        if jobs.iter().all(|(_, job)| job.differing.is_empty()) {
            break;
        }
        watch.wait(options.pause).await;
        work.look_again(&mut jobs).await?;
    }
    for (_, job) in &mut jobs {
        job.tell(watch);
    }
    comparison.tables = jobs.into_iter().map(|(_, job)| job.compared).collect();
    Ok(comparison)
}

/// A row that is derived again, by the bytes of its key.
type Wanted = BTreeMap<Vec<u8>, Option<Vec<Value>>>;

struct Work<'a> {
    mapped: &'a Mapped<'a>,
    /// The target's tables, by name.
    targets: BTreeMap<String, Table>,
    holds: Holds,
    known: Arc<dyn Known>,
    /// What the ledger knows of the loads into each table.
    filled: Vec<Filled>,
}

impl<'a> Work<'a> {
    async fn of(mapped: &'a Mapped<'a>) -> Result<Self, EndpointError> {
        let mut targets = BTreeMap::new();
        for mapping in &mapped.plan.tables {
            let name = &mapping.into.value;
            if let Some(table) = mapped.target.describe(name).await? {
                targets.insert(name.clone(), table);
            }
        }
        let engine = mapped.target.facts().await?.engine;
        let holds = Holds::of_engine(engine)
            .ok_or_else(|| nothing(format!("nothing is known of the engine `{engine}`")))?;
        let mut known: Arc<dyn Known> = Arc::new(Nothing);
        let mut filled = Vec::new();
        let plan = &mapped.plan.name.value;
        let has_ledger = mapped.target.has_ledger().await?;
        let newest = if has_ledger { run::newest(mapped.target, plan).await? } else { None };
        if let Some(run) = newest {
            filled = filled::filled(mapped.target, &run, false).await?;
            let mut remembered =
                Remembered::of(mapped.target, &filled, mapped.plan, Sight::AsIs).await?;
            for (name, source) in mapped.sources {
                remembered.look_at(name, source).await?;
            }
            known = Arc::new(remembered);
        }
        Ok(Self { mapped, targets, holds, known, filled })
    }

    fn interpreter(&self) -> Result<Interpreter, EndpointError> {
        let interpreter = Interpreter::new(self.mapped.plan, &self.targets, self.holds);
        let interpreter = interpreter.map_err(|problem| {
            nothing(format!(
                "the plan cannot be followed: {problem}; `whimbrel validate` says more"
            ))
        })?;
        Ok(interpreter.knowing(Arc::clone(&self.known)))
    }

    /// What is compared of a table: the columns that the plan fills.
    fn job<'o>(
        &self,
        mapping: &TableMapping,
        options: &'o Options,
        leaves: &mut Leaves<'_>,
    ) -> Job<'o> {
        let name = &mapping.into.value;
        let whole = &self.targets[name];
        let kept = whole.columns.iter().filter(|column| !leaves.out(name, &column.name));
        let names: Vec<String> = kept
            .filter(|column| mapping.column(&column.name).is_some())
            .map(|column| column.name.clone())
            .collect();
        let said: Vec<String> = mapping.key.iter().map(|key| key.value.clone()).collect();
        let keys = [said, key_names(whole)];
        let key = keys
            .iter()
            .find(|key| !key.is_empty() && key.iter().all(|column| names.contains(column)));
        let keyless = key.is_none().then(|| {
            let declared = keys.each_ref().map(|key| (!key.is_empty()).then_some(key));
            keyless(declared, &names)
        });
        let table = narrowed(whole, &names, key.map_or(&[], Vec::as_slice));
        let kinds = table.columns.iter().map(|column| column.kind).collect();
        let pair = Pair { left: table.clone(), right: table, kinds, apart: Vec::new(), keyless };
        let job = Job::new(pair, options);
        let filled = self.filled.iter().find(|table| table.name == *name);
        let written_by = filled.map(|table| table.written_by.clone()).unwrap_or_default();
        let spared = self.spared(mapping, filled);
        let compared = TableComparison { written_by, spared, ..job.compared };
        Job { compared, ..job }
    }

    /// Which rows may be right though the plan does not make them as they stand: what somebody else has
    /// written, or what stood there before.
    fn spared(&self, mapping: &TableMapping, filled: Option<&Filled>) -> Option<Spared> {
        let Plan { name: plan, relates, .. } = self.mapped.plan;
        let table = &mapping.into.value;
        let mut steps: Vec<&str> =
            filled.iter().flat_map(|table| &table.written_by).map(String::as_str).collect();
        let writes =
            relates.iter().filter(|step| step.writes.iter().any(|own| own.value == *table));
        steps.extend(writes.map(|step| step.name.value.as_str()));
        if let Some(step) = steps.first() {
            let why =
                format!("SQL of the plan writes to the table, which is not derived: `{step}`");
            return Some(Spared { why, missing_too: true });
        }
        let loads = filled.map(|table| &table.loads[..]).unwrap_or_default();
        let is_of_another = |run: &Run| run.plan != plan.value;
        let why = if mapping.existing == Existing::Keep {
            "the plan keeps rows that it finds (`existing = \"keep\"`)"
        } else if loads.iter().any(|load| is_of_another(&load.run) && !load.batches.is_empty()) {
            "another plan has loaded into the table as well"
        } else if filled.and_then(Filled::rows_before) != Some(0) {
            "it is not known that the table was empty before the plan's first load"
        } else {
            return None;
        };
        // Where rows have no key, one that differs is a row to remove and one to add.
        let missing_too = mapping.key.is_empty() && self.targets[table].key.is_empty();
        Some(Spared { why: why.to_owned(), missing_too })
    }

    /// Every row of both sides, once.
    async fn compare<'o>(
        &self,
        mut job: Job<'o>,
        interpreter: &mut Interpreter,
        index: usize,
        watch: &mut dyn Watch,
    ) -> Result<Job<'o>, EndpointError> {
        let Pair { left: table, right, kinds, .. } = &job.pair;
        let width = table.columns.len();
        let key: Vec<usize> =
            if table.key.is_empty() { (0..width).collect() } else { table.key.clone() };
        let room = &job.options.room;
        let mut sorter = Sorter::new(room.clone(), width + 1, &key);
        let places = self.places(index, table);
        let mut rejected = 0;
        let mut sink = |derived: Derived<'_>| -> Result<(), EndpointError> {
            rejected += u64::from(matches!(derived.fate, Fate::Rejected { .. }));
            let Fate::Rows(rows) = &derived.fate else { return Ok(()) };
            let mut out = ChunkBuilder::with_capacity(width + 1, rows.len(), 0);
            for row in rows {
                for place in &places {
                    out.push(
                        place
                            .and_then(|place| row.get(place))
                            .map_or(ValueRef::Null, Value::as_ref),
                    );
                }
                out.push(ValueRef::Int(derived.ordinal.into()));
                out.end_row();
            }
            out.finish().rows().try_for_each(|row| sorter.push(row))
        };
        interpreter.derive(self.mapped.sources, index, &mut sink).await?;
        let mut left = Latest::new(sorter.finish()?, width, &key, !table.key.is_empty());
        let snapshot = self.mapped.target.snapshot()?;
        let stands = snapshot.rows(right, RowOrder::Any).await?;
        let mut stands = sorted(stands, width, &key, room).await?;
        let rereads = !table.key.is_empty() && job.options.attempts > 0;
        let mut found = Gathered {
            table,
            kept: Vec::new(),
            rereads,
            keeps: job.keeps,
            stands: job.options.stands,
            watch,
        };
        let mut sink = |difference: Difference<'_>| found.take(difference);
        let merged = merge(&mut left, &mut stands, kinds, &table.key, &mut sink).await;
        let tally = match merged {
            Ok(tally) => tally,
            Err(MergeError::Read(_, error)) => return Err(error),
            Err(MergeError::Disorder(_)) => unreachable!("both sides were sorted here"),
        };
        job.compared.not_reread = rereads && !found.rereads;
        job.differing = found.kept;
        job.compared.tally = tally;
        job.compared.rejected = rejected;
        Ok(job)
    }

    /// Where the values of a table's columns stand in what is derived.
    fn places(&self, index: usize, table: &Table) -> Vec<Option<usize>> {
        let mapping = &self.mapped.plan.tables[index];
        let place = |column: &Column| {
            mapping.columns.iter().position(|(name, _)| name.value == column.name)
        };
        table.columns.iter().map(place).collect()
    }

    /// Derives the rows that differ again, from the sources as they are now, and reads them again.
    async fn look_again(&self, jobs: &mut [(usize, Job<'_>)]) -> Result<(), EndpointError> {
        let mut interpreter = self.interpreter()?;
        for index in self.mapped.plan.order() {
            let job = jobs.iter_mut().find(|(own, _)| *own == index).map(|(_, job)| job);
            let mut wanted = Wanted::new();
            for Kept { found, .. } in job.iter().flat_map(|job| &job.differing) {
                wanted.insert(key_bytes(found.key.iter().map(Value::as_ref)), None);
            }
            let table = job.as_ref().map(|job| &job.pair.left);
            let places = table.map(|table| self.places(index, table)).unwrap_or_default();
            let key = table.map(|table| table.key.clone()).unwrap_or_default();
            let mut sink = |derived: Derived<'_>| -> Result<(), EndpointError> {
                let Fate::Rows(rows) = &derived.fate else { return Ok(()) };
                if wanted.is_empty() {
                    return Ok(());
                }
                for row in rows {
                    let value = |place: Option<usize>| {
                        place.and_then(|place| row.get(place)).map_or(ValueRef::Null, Value::as_ref)
                    };
                    let bytes = key_bytes(key.iter().map(|&column| value(places[column])));
                    if let Some(kept) = wanted.get_mut(&bytes) {
                        *kept = Some(places.iter().map(|place| value(*place).to_owned()).collect());
                    }
                }
                Ok(())
            };
            interpreter.derive(self.mapped.sources, index, &mut sink).await?;
            let Some(job) = job else { continue };
            for before in std::mem::take(&mut job.differing) {
                let key = &before.found.key;
                let bytes = key_bytes(key.iter().map(Value::as_ref));
                let left = wanted.get_mut(&bytes).and_then(Option::take);
                match job.row(self.mapped.target, &job.pair.right, key).await? {
                    Reread::Row(right) => job.settle(before, left, right),
                    Reread::Several => job.differing.push(before),
                }
            }
        }
        Ok(())
    }
}

fn key_bytes<'v>(values: impl Iterator<Item = ValueRef<'v>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    values.for_each(|value| order::bytes(value, &mut bytes));
    bytes
}
