//! What only the ledger knows of a migration: which run has read what, units that the target refused,
//! records that were mended; and whether the sources are still what was read.
//!
//! ```text
//! migration_items    ordinal, mark ─▶ turns of each file, run by run ─┐
//! migration_rejects  who resolved ─▶ records that a retry decides ────┼─▶ Told, for the interpreter
//!                    repaired bytes, from which run on ───────────────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, ErrorClass, Freshness, Partition, Source, Target};
use whimbrel_ledger::pages::RejectHead;
use whimbrel_ledger::{Item, ItemStatus, RejectStatus, RunKind, Stage, chain, item, pages, reject};
use whimbrel_model::plan::{Each, Plan};
use whimbrel_model::{Class, SourceMark};

use super::filled::{Filled, Load};
use crate::interpret::{Aside, Known, NEXT_RUN, Stood, Told, Turn};

/// Rejects in a page.
const PAGE: u64 = 5_000;

/// Entries of the audit log that are looked at for each run.
const ENTRIES: u64 = 10_000;

/// Table, source, path.
type ItemId = (String, String, String);

/// Where and why a unit was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) stage: Stage,
    pub(super) code: String,
    pub(super) rule: Option<String>,
    /// The run that has refused it.
    run: u64,
}

/// What runs have made of an item.
#[derive(Debug, Default)]
struct Read {
    told: Told,
    /// Rejects that stand, by record.
    rejects: BTreeMap<u64, Refusal>,
    /// Where the last turn has ended.
    mark: Option<SourceMark>,
    /// Units, as the ledger has counted them.
    units: u64,
    /// Of these, rejects behind the mark: a torn end.
    torn: u64,
    /// Its facts have changed, and a retry may have seen these or those.
    is_touched: bool,
}

/// Bytes that a person has put in a record's place.
struct Repaired {
    /// Whose reject it was.
    table: String,
    file: (String, String),
    unit: u64,
    record: u64,
    since: u64,
    bytes: Vec<u8>,
}

/// What has changed of how a table came about while runs went on: rows of earlier runs may be another thing
/// than what is derived now.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Breaks {
    /// The last run that has read a file anew that an earlier one had read.
    pub(super) renewed: Option<u64>,
    /// Another plan loads into the table: its rows, old keys and duplicates are met too.
    pub(super) shared: bool,
    /// The first run with nothing but the mapping as it is now, where earlier ones had another.
    pub(super) remapped: Option<u64>,
}

impl Breaks {
    /// Nothing has changed.
    pub(super) fn are_none(self) -> bool {
        self == Self::default()
    }

    /// With what has changed of a table that this one refers to.
    pub(super) fn and(self, parent: Self) -> Self {
        Self {
            renewed: self.renewed.max(parent.renewed),
            remapped: self.remapped.max(parent.remapped),
            shared: self.shared || parent.shared,
        }
    }
}

/// What sources that are no longer as they were read mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sight {
    /// What was read counts: what came since is left out.
    AsRead,
    /// What is there now counts, as a run would read it that comes next.
    AsIs,
}

/// How the files of a source stand against what was read.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Files that are gone or another, each with what is the matter.
    pub(super) lost: Vec<(String, &'static str)>,
    /// Files with more at their end, and new ones.
    pub(super) more: Vec<(String, &'static str)>,
}

/// The ledger's answers for the interpreter.
#[derive(Debug)]
pub(crate) struct Remembered {
    items: BTreeMap<ItemId, Read>,
    /// By table.
    breaks: BTreeMap<String, Breaks>,
    sight: Sight,
    /// Of what nobody has read.
    nobody: Told,
}

impl Known for Remembered {
    fn of(&self, table: &str, source: &str, path: &str) -> Option<&Told> {
        let id = (table.to_owned(), source.to_owned(), path.to_owned());
        match (self.items.get(&id), self.sight) {
            (Some(read), _) => Some(&read.told),
            (None, Sight::AsRead) => Some(&self.nobody),
            (None, Sight::AsIs) => None,
        }
    }
}

impl Remembered {
    /// Reads what the loads of one plan have left.
    pub(crate) async fn of(
        target: &dyn Target,
        tables: &[Filled],
        plan: &Plan,
        sight: Sight,
    ) -> Result<Self, EndpointError> {
        let (items, breaks) = (BTreeMap::new(), BTreeMap::new());
        let mut known = Self { items, breaks, sight, nobody: Told::default() };
        let own = |load: &&Load| load.run.plan == plan.name.value;
        let loads = tables.iter().flat_map(|table| &table.loads);
        let runs: BTreeMap<&str, (u64, RunKind)> = loads
            .filter(own)
            .map(|load| (load.run.id.as_str(), (load.run.seq, load.run.kind)))
            .collect();
        let mut adopted = BTreeSet::new();
        for run in runs.keys() {
            for step in adopted_within(target, run).await? {
                adopted.insert((*run, step));
            }
        }
        let mut repaired = Vec::new();
        for table in tables {
            let mapping = plan.tables.iter().find(|mapping| mapping.into.value == table.name);
            let whole = mapping.is_some_and(|mapping| mapping.each == Each::File);
            for load in table.loads.iter().filter(own) {
                for item in item::of_step(target, &load.run.id, load.step.step).await? {
                    known.take_item(&table.name, load, item, whole);
                }
                known.take_rejects(target, &table.name, load, &runs).await?;
                repaired.extend(mended(target, &table.name, load, &runs).await?);
            }
            let adopted = table.loads.iter().filter(own).rfind(|load| {
                adopted.contains(&(load.run.id.as_str(), load.step.migration_step.clone()))
            });
            // Of the rows of such a run it cannot be told which came before.
            let adopted = adopted.map(|load| load.run.seq + 1);
            let is_other = |load: &Load| !own(&load) && !load.batches.is_empty();
            known.breaks.entry(table.name.clone()).or_default().shared =
                table.loads.iter().any(is_other);
            if let Some(since) = remapped(table.loads.iter().filter(own)).max(adopted) {
                known.breaks.entry(table.name.clone()).or_default().remapped = Some(since);
                known.leave_refused(&table.name, since);
            }
        }
        known.take_repaired(repaired);
        Ok(known)
    }

    /// Takes what a run has read of an item; `whole` where a file is one unit.
    fn take_item(&mut self, table: &str, load: &Load, item: Item, whole: bool) {
        let run = load.run.seq;
        if item.status == ItemStatus::Pending && item.mark.is_none() {
            return;
        }
        let aside = Some(aside(&item));
        let id = (table.to_owned(), item.source, item.source_file);
        let facts = stood(&item.facts);
        let turn = |after| Turn { after, facts, ..Turn::whole(run) };
        if load.run.kind == RunKind::Retry {
            // A file that was rejected as a whole is read now; otherwise single records are.
            let is_read = |read: &&mut Read| whole || read.mark.is_none() && item.mark.is_some();
            if let Some(read) = self.items.get_mut(&id).filter(is_read) {
                (read.told.turns, read.told.aside) = (vec![turn(None)], aside);
                (read.mark, read.units) = (item.mark, item.counts.read);
            }
            return;
        }
        let Some(read) = self.items.get_mut(&id) else {
            let turns = vec![turn(None)];
            let told = Told { ordinal: item.ordinal, turns, aside, ..Told::default() };
            let read = Read { told, mark: item.mark, units: item.counts.read, ..Read::default() };
            self.items.insert(id, read);
            return;
        };
        let goes_on = load.run.kind != RunKind::Full && read.told.ordinal == item.ordinal;
        if goes_on && !whole {
            if let Some(mark) = read.mark.take() {
                let was_mended = read.leave_torn(mark.records);
                read.told.turns.push(turn(Some(mark)));
                if was_mended {
                    self.breaks.entry(table.to_owned()).or_default().renewed = Some(run);
                }
            }
            read.units += item.counts.read;
        } else {
            let was_read = read.told.aside == Some(Aside::No);
            let first = read.told.turns.first().filter(|_| was_read).map(|turn| turn.run);
            let earlier = read.told.earlier.or(first);
            let told = Told {
                ordinal: item.ordinal,
                turns: vec![turn(None)],
                earlier,
                aside,
                ..Told::default()
            };
            *read = Read { told, units: item.counts.read, ..Read::default() };
            if earlier.is_some() {
                self.breaks.entry(table.to_owned()).or_default().renewed = Some(run);
            }
        }
        read.mark = item.mark;
    }

    async fn take_rejects(
        &mut self,
        target: &dyn Target,
        table: &str,
        load: &Load,
        runs: &BTreeMap<&str, (u64, RunKind)>,
    ) -> Result<(), EndpointError> {
        let mut after = None;
        loop {
            let page = pages::rejects(target, &load.run.id, load.step.step, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.unit);
            page.into_iter().for_each(|head| self.take_reject(table, load, head, runs));
        }
    }

    fn take_reject(
        &mut self,
        table: &str,
        load: &Load,
        head: RejectHead,
        runs: &BTreeMap<&str, (u64, RunKind)>,
    ) {
        let id = (table.to_owned(), head.source, head.source_file);
        let Some(read) = self.items.get_mut(&id) else { return };
        let told = &mut read.told;
        let is_behind = read.mark.as_ref().is_some_and(|mark| head.record > mark.records);
        if is_behind && told.turns.last().is_some_and(|turn| turn.run == load.run.seq) {
            read.torn += 1;
        }
        // What was refused of an earlier version of the file went with it.
        if head.unit >> 32 != told.ordinal {
            return;
        }
        let decided = match head.status {
            RejectStatus::Open | RejectStatus::Waived => {
                if head.stage == Stage::Target {
                    told.refused.insert(head.record);
                }
                let Load { run, .. } = load;
                let refusal =
                    Refusal { stage: head.stage, code: head.code, rule: head.rule, run: run.seq };
                read.rejects.insert(head.record, refusal);
                Some((load.run.seq, load.run.kind))
            }
            RejectStatus::Fixed | RejectStatus::Superseded => {
                head.resolved_by.and_then(|run| runs.get(run.as_str()).copied())
            }
        };
        // Other runs decide where their turn comes.
        // A file that is read as a whole has its turn there.
        if let Some((run, RunKind::Retry)) = decided.filter(|_| head.record > 0) {
            let known = told.again.entry(head.record).or_default();
            *known = run.max(*known);
        }
    }

    /// What the plan had refused as it was before another run took it up is refused until it is retried.
    fn leave_refused(&mut self, table: &str, since: u64) {
        for (_, read) in self.items.iter_mut().filter(|((of, ..), _)| of == table) {
            let before = read.rejects.iter().filter(|(_, refusal)| refusal.run < since);
            read.told.refused.extend(before.map(|(record, _)| *record));
        }
    }

    /// What was mended counts for each table that reads the file, in the version that it was mended in.
    fn take_repaired(&mut self, mut repaired: Vec<Repaired>) {
        repaired.sort_by_key(|repaired| repaired.since);
        for repair in repaired {
            let (source, path) = repair.file;
            let id = (repair.table, source.clone(), path.clone());
            let is_current = |read: &Read| read.told.ordinal == repair.unit >> 32;
            if !self.items.get(&id).is_some_and(is_current) {
                continue;
            }
            let of_file = |id: &ItemId| id.1 == source && id.2 == path;
            for (_, read) in self.items.iter_mut().filter(|(id, _)| of_file(id)) {
                let known = read.told.repaired.entry(repair.record).or_default();
                known.push((repair.since, repair.bytes.clone()));
            }
        }
    }

    /// Compares the files of a source with what was read, and leaves out, or takes in, what came since.
    pub(crate) async fn look_at(
        &mut self,
        name: &str,
        source: &Arc<dyn Source>,
    ) -> Result<Changes, EndpointError> {
        let partitions: BTreeMap<String, Partition> = source
            .partitions()
            .await?
            .partitions
            .into_iter()
            .map(|partition| (partition.id.path.clone(), partition))
            .collect();
        let mut changes = Changes::default();
        // Files with the marks that they were compared with: tables mostly share them.
        let mut compared: BTreeMap<(String, Vec<u8>), Option<Freshness>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut has_marks = false;
        for ((_, _, path), read) in self.items.iter_mut().filter(|((_, of, _), _)| of == name) {
            seen.insert(path.clone());
            let Some(mark) = read.mark.clone() else {
                if !partitions.contains_key(path) {
                    note(&mut changes.lost, path, "is gone");
                }
                continue;
            };
            has_marks = true;
            let key = (path.clone(), mark.token.clone());
            let fresh = match compared.get(&key) {
                Some(fresh) => *fresh,
                None => {
                    let fresh = match partitions.get(path) {
                        None => None,
                        Some(partition) => Some(freshness(source, partition, &mark).await?),
                    };
                    compared.insert(key, fresh);
                    fresh
                }
            };
            match fresh {
                Some(Freshness::Same) => {
                    let now = partitions.get(path).map(|now| Stood::of(&now.facts));
                    read.is_touched = read.told.is_ambiguous(now);
                }
                Some(Freshness::Appended) => {
                    note(&mut changes.more, path, "has more at its end");
                    let now = partitions.get(path).map(|now| Stood::of(&now.facts));
                    read.is_touched = read.told.is_ambiguous(now);
                    read.grown(&mark, self.sight);
                }
                Some(Freshness::Changed) => {
                    note(&mut changes.lost, path, "has changed");
                    read.changed(self.sight);
                }
                None => note(&mut changes.lost, path, "is gone"),
            }
        }
        if has_marks {
            let new = partitions.into_keys().filter(|path| !seen.contains(path));
            changes.more.extend(new.map(|path| (path, "is new")));
        }
        Ok(changes)
    }

    /// The rejects of a file that stand, by record.
    pub(super) fn rejects_of(
        &self,
        table: &str,
        source: &str,
        path: &str,
    ) -> Option<&BTreeMap<u64, Refusal>> {
        let id = (table.to_owned(), source.to_owned(), path.to_owned());
        self.items.get(&id).map(|read| &read.rejects)
    }

    /// How many rejects of a table stand.
    pub(super) fn rejects(&self, table: &str) -> u64 {
        self.of_table(table).map(|read| read.rejects.len() as u64).sum()
    }

    /// How many units the ledger says were read for a table, of the newest version of each file.
    pub(super) fn read(&self, table: &str) -> u64 {
        self.of_table(table).map(|read| read.units).sum()
    }

    /// What has changed for a table while runs went on.
    pub(super) fn breaks(&self, table: &str) -> Breaks {
        self.breaks.get(table).copied().unwrap_or_default()
    }

    /// A file that runs have read while it grew, or that has grown since.
    pub(super) fn grown(&self, table: &str) -> Option<&str> {
        let grown = |read: &Read| read.told.turns.iter().any(|turn| turn.until.is_some());
        let own = self.items.iter().find(|((of, ..), read)| of == table && grown(read));
        own.map(|((_, _, path), _)| path.as_str())
    }

    /// A file whose size and time a retry has seen, which are other ones now.
    pub(super) fn touched(&self, table: &str) -> Option<&str> {
        let own = self.items.iter().find(|((of, ..), read)| of == table && read.is_touched);
        own.map(|((_, _, path), _)| path.as_str())
    }

    fn of_table(&self, table: &str) -> impl Iterator<Item = &Read> {
        self.items.iter().filter(move |((of, ..), _)| of == table).map(|(_, read)| read)
    }
}

impl Read {
    /// What stood torn behind a mark may be part of another record once there is more. Whether somebody had
    /// mended it before.
    fn leave_torn(&mut self, mark: u64) -> bool {
        if let Some(last) = self.told.turns.last_mut() {
            last.until = Some(mark);
        }
        self.units = self.units.saturating_sub(self.torn);
        self.torn = 0;
        self.rejects.split_off(&(mark + 1));
        self.told.refused.split_off(&(mark + 1));
        !self.told.again.split_off(&(mark + 1)).is_empty()
    }

    /// The file has more at its end than was read.
    fn grown(&mut self, mark: &SourceMark, sight: Sight) {
        self.leave_torn(mark.records);
        match sight {
            Sight::AsRead => {}
            Sight::AsIs => {
                let turn = Turn { after: Some(mark.clone()), ..Turn::whole(NEXT_RUN) };
                self.told.turns.push(turn);
            }
        }
    }

    /// The file is another one.
    fn changed(&mut self, sight: Sight) {
        if sight == Sight::AsIs {
            let earlier = self.told.turns.first().map(|turn| turn.run);
            let told = Told { earlier, ..Told::unread(self.told.ordinal) };
            *self = Self { told, ..Self::default() };
        }
    }
}

/// Whether an item was read, as the ledger has it.
fn aside(item: &Item) -> Aside {
    if item.mark.is_some() || item.error_message.is_none() {
        Aside::No
    } else if item.counts.class(Class::Filtered) > 0 {
        Aside::LeftOut
    } else {
        Aside::Rejected
    }
}

/// What the ledger says of a file's facts.
fn stood(facts: &str) -> Option<Stood> {
    let facts: serde_json::Value = serde_json::from_str(facts).ok()?;
    let mtime_nanos = facts["mtime"].as_str()?.parse().ok()?;
    Some(Stood { size: facts["size"].as_u64()?, mtime_nanos })
}

fn note(list: &mut Vec<(String, &'static str)>, path: &str, what: &'static str) {
    if !list.iter().any(|(known, _)| known == path) {
        list.push((path.to_owned(), what));
    }
}

async fn freshness(
    source: &Arc<dyn Source>,
    partition: &Partition,
    mark: &SourceMark,
) -> Result<Freshness, EndpointError> {
    match source.compare(partition, mark).await {
        Err(error) if error.class == ErrorClass::Changed => Ok(Freshness::Changed),
        compared => compared,
    }
}

/// Records of a step that people have mended.
async fn mended(
    target: &dyn Target,
    table: &str,
    load: &Load,
    runs: &BTreeMap<&str, (u64, RunKind)>,
) -> Result<Vec<Repaired>, EndpointError> {
    let rejects = reject::repaired(target, &load.run.id, load.step.step).await?;
    let repaired = rejects.into_iter().filter_map(|reject| {
        let (since, _) = *runs.get(reject.resolved_by?.as_str())?;
        Some(Repaired {
            table: table.to_owned(),
            file: (reject.source, reject.source_file),
            unit: reject.unit,
            record: reject.record,
            since,
            bytes: reject.fixed_bytes?,
        })
    });
    Ok(repaired.collect())
}

/// Steps whose mapping became another one when a run was gone on with.
async fn adopted_within(target: &dyn Target, run: &str) -> Result<Vec<String>, EndpointError> {
    let entries = chain::entries_of(target, run, ENTRIES).await?;
    let begun = entries.into_iter().skip_while(|entry| entry.action != "run.started");
    let adopted = begun.filter(|entry| entry.action == "mapping.adopted").filter_map(|entry| {
        let detail: serde_json::Value = serde_json::from_str(&entry.detail).ok()?;
        detail["step"].as_str().map(str::to_owned)
    });
    Ok(adopted.collect())
}

/// The first run with the mapping that the last one had, where there was another one before.
fn remapped<'l>(loads: impl Iterator<Item = &'l Load>) -> Option<u64> {
    let mut loads: Vec<&Load> = loads.collect();
    let last = loads.pop()?;
    let other = loads.iter().rposition(|load| load.step.digest != last.step.digest)?;
    Some(loads.get(other + 1).map_or(last.run.seq, |load| load.run.seq))
}
