//! What a plan makes of its sources, derived a second time: an interpreter of plans that shares no
//! line with the load path.
//!
//! ```text
//! plan ──▶ Interpreter ──derive, one table after the other──▶ units: rows │ rejected │ filtered │ duplicate
//!              ▲                                                  in source order, each with its place
//! sources ─────┘  Known: what only the ledger knows (which run has read what, refusals, mended records)
//! ```
//! It is written from the plan reference, not from `transform`, walks the expressions as they stand, and
//! owns every value it makes: slow, and easy to read. It keeps in memory, as digests of 16 bytes, the keys
//! of the table that is being derived and the old keys of tables that later ones refer to. It repairs
//! nothing and compares nothing; what of a record's fate only the target decides, [`Known`] tells.
//!
//! | file | owns |
//! |---|---|
//! | `terms` | expressions with their names resolved, for one source of a table |
//! | `scene` | what an expression gives for a record |
//! | `convert` | values of one kind as values of another, exactly or not at all |
//! | `moment` | formats, zones, clocks without a date |
//! | `aggregate` | values over the records of a file |
//! | `memory` | keys, duplicates, old keys |

mod aggregate;
mod convert;
mod known;
mod memory;
mod moment;
mod scene;
mod terms;
mod text;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, ErrorClass, Limit, Partition, Source, Unreadable};
use whimbrel_model::plan::{Each, Fact, HashAlgorithm, LargeFiles, Plan, Severity, Span};
use whimbrel_model::{Field, Position, SourceChunk, Table, Value};

pub use convert::Holds;
pub use known::{Aside, Known, NEXT_RUN, Nothing, Stood, Told, Turn};

use aggregate::Aggregating;
use memory::{Candidate, Memory, Parents, Settled};
use moment::Clock;
use scene::{Clocks, Elements, Failure, FileScene, Scene};
use terms::{ClockStart, Mapping, Reading};

/// Codes of fates, as the ledger's rejects have them; `explain` knows them.
mod codes {
    pub(super) const NOT_AN_INTEGER: &str = "WB0230";
    pub(super) const OUT_OF_RANGE: &str = "WB0231";
    pub(super) const NOT_A_NUMBER: &str = "WB0232";
    pub(super) const NOT_EXACT: &str = "WB0233";
    pub(super) const DIGITS_LOST: &str = "WB0234";
    pub(super) const NOT_A_BOOLEAN: &str = "WB0235";
    pub(super) const NOT_A_TIME: &str = "WB0236";
    pub(super) const TIME_GAP: &str = "WB0237";
    pub(super) const TIME_FOLD: &str = "WB0238";
    pub(super) const TOO_LONG: &str = "WB0239";
    pub(super) const NUL_IN_TEXT: &str = "WB0240";
    pub(super) const NOT_JSON: &str = "WB0241";
    pub(super) const NOT_A_UUID: &str = "WB0242";
    pub(super) const WRONG_KIND: &str = "WB0243";
    pub(super) const NOT_IN_MAP: &str = "WB0244";
    pub(super) const NO_MATCH: &str = "WB0245";
    pub(super) const NULL_PART: &str = "WB0246";
    pub(super) const NO_PARENT: &str = "WB0247";
    pub(super) const REQUIRED_NULL: &str = "WB0248";
    pub(super) const KEY_NULL: &str = "WB0249";
    pub(super) const CEL_FAILED: &str = "WB0250";
    pub(super) const RULE_BROKEN: &str = "WB0251";
    pub(super) const NOT_A_LIST: &str = "WB0252";
    pub(super) const NOT_AN_ARRAY: &str = "WB0253";
    pub(super) const NOT_UTF8: &str = "WB0254";
    pub(super) const NO_FILE_TEXT: &str = "WB0255";
    pub(super) const NO_SUM: &str = "WB0256";
    pub(super) const NOT_FINITE: &str = "WB0257";
    pub(super) const STATE_TOO_LARGE: &str = "WB0258";
    pub(super) const NOT_A_CONDITION: &str = "WB0259";
    pub(super) const PART_SEPARATOR: &str = "WB0272";
    pub(super) const SEVERAL_PARENTS: &str = "WB0273";
    pub(super) const AGAIN: &str = "WB0601";
    pub(super) const EXISTS: &str = "WB0602";
    pub(super) const SAME_KEY: &str = "WB0603";
    pub(super) const FILE_TOO_LARGE: &str = "WB0607";
}

/// The reason of a unit whose rows the target itself refused, as [`Told::refused`] says.
pub const REFUSED: &str = "refused";

/// Whether a reason is that another row has the key.
pub(crate) fn is_of_keys(reason: &str) -> bool {
    reason == codes::EXISTS || reason == codes::SAME_KEY
}

/// Why a plan cannot be interpreted. `validate` says the same, and better.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{message}")]
pub struct PlanProblem {
    /// What is wrong, with the table and column.
    pub message: String,
    /// Where in the plan.
    pub span: Option<Span>,
}

/// A unit of a table and what should have become of it.
#[derive(Debug)]
pub struct Derived<'a> {
    /// Name of the source.
    pub source: &'a str,
    /// Path of the file, or name of the rows, within the source.
    pub path: &'a str,
    /// Number of the unit in its table, as the ledger counts: the item's ordinal times 2³² plus the
    /// record's number. A file is a unit under its item's ordinal times 2³².
    pub ordinal: u64,
    /// Where the record stood; all zero where the unit is a file.
    pub position: Position,
    /// The record's bytes as they were read, mended ones where [`Told::repaired`] has some; `None`
    /// where the unit is a file.
    pub bytes: Option<&'a [u8]>,
    /// What stood there before the record was mended; `None` where it was not.
    pub unmended: Option<&'a [u8]>,
    /// What should have become of it.
    pub fate: Fate,
    /// The ordinal of the unit before it that decides that: which it counts as, whose rows it makes once
    /// more, or which has taken its key.
    pub first: Option<u64>,
    /// Where its old keys lead, for tables whose old keys the ledger keeps.
    pub led: Vec<Led>,
}

/// An old key and where it leads.
#[derive(Clone, PartialEq, Debug)]
pub struct Led {
    /// The parts of the key as one text.
    pub old_key: String,
    /// The key of the row, in the order of the plan's `key`.
    pub key: Vec<Value>,
    /// The row was made from this record, not only met or won by another one.
    pub winner: bool,
}

/// Why a unit is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeftOut {
    /// `where` is false for it.
    Where,
    /// `large_files = "skip"`.
    LargeFile,
    /// Its array has no elements.
    NoElements,
}

impl LeftOut {
    /// The plan's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Where => "where",
            Self::LargeFile => "large_files",
            Self::NoElements => "each",
        }
    }
}

/// What should have become of a unit.
#[derive(Clone, PartialEq, Debug)]
pub enum Fate {
    /// Its rows, at least one, with the mapped columns in the order of `[table.columns]`, each value of
    /// its target column's kind.
    ///
    /// A row whose key an earlier one has is that row again: the unit counts as unchanged.
    Rows(Vec<Vec<Value>>),
    /// It is not loaded.
    Rejected {
        /// A code that `explain` knows, or [`REFUSED`].
        reason: &'static str,
        /// The target column, where the reason lies in one.
        column: Option<String>,
    },
    /// The plan leaves it out.
    Filtered(LeftOut),
    /// It counts as one before it.
    Duplicate,
}

/// What came of a table's sources.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Summary {
    /// Units altogether.
    pub units: u64,
    /// Of these with rows.
    pub with_rows: u64,
    /// Rows.
    pub rows: u64,
    /// Units that are rejected.
    pub rejected: u64,
    /// Units that are left out.
    pub filtered: u64,
    /// Units that count as one before them.
    pub duplicates: u64,
    /// Files that could not be looked at, each with its source and the reason.
    pub unreadable: Vec<(String, String)>,
}

/// An interpreter of one plan. Tables are derived in the order of [`Plan::order`].
#[derive(Debug)]
pub struct Interpreter {
    tables: Vec<Mapping>,
    holds: Holds,
    known: Arc<dyn Known>,
    parents: Parents,
    /// Positions in `tables` that are still to be derived.
    ahead: BTreeSet<usize>,
}

impl Interpreter {
    /// An interpreter of the plan for targets that look so, under the names of `into`.
    ///
    /// # Errors
    /// Where the plan has a mistake that `validate` would find: a table that is not in `targets`, an
    /// expression, pattern, format or zone that cannot be used.
    pub fn new(
        plan: &Plan,
        targets: &BTreeMap<String, Table>,
        holds: Holds,
    ) -> Result<Self, PlanProblem> {
        let tables: Vec<Mapping> = (0..plan.tables.len())
            .map(|index| terms::mapping(plan, index, targets))
            .collect::<Result<_, _>>()?;
        let ahead = (0..tables.len()).collect();
        Ok(Self { tables, holds, known: Arc::new(Nothing), parents: Parents::default(), ahead })
    }

    /// The same with what only the ledger knows.
    #[must_use]
    pub fn knowing(self, known: Arc<dyn Known>) -> Self {
        Self { known, ..self }
    }

    /// What a reader is asked for: the fields of a source (its index in the table's `from`) that the
    /// table (its index in [`Plan::tables`]) looks at.
    pub fn fields(&self, table: usize, source: usize) -> &[Field] {
        self.tables
            .get(table)
            .and_then(|mapping| mapping.readings.get(source))
            .map_or(&[], |reading| &reading.fields)
    }

    /// Tables that a table (its index in [`Plan::tables`]) refers to.
    pub fn refers_to(&self, table: usize) -> impl Iterator<Item = &str> {
        let mapping = self.tables.get(table);
        mapping.into_iter().flat_map(|mapping| mapping.refers_to.iter().map(String::as_str))
    }

    /// Whether rows of a table say something of their files as a whole, which is another thing once these
    /// have grown.
    pub fn tells_of_whole_files(&self, table: usize) -> bool {
        let whole = [Fact::FileSha256, Fact::FileBlake3, Fact::FileText];
        self.readings(table).iter().any(|reading| {
            !reading.aggregates.is_empty() || whole.iter().any(|fact| reading.facts.contains(fact))
        })
    }

    /// Whether rows of a table say how large files were, or when they were changed.
    pub fn tells_of_changing_facts(&self, table: usize) -> bool {
        let changing = [Fact::FileSize, Fact::FileMtime];
        let tells = |reading: &Reading| changing.iter().any(|fact| reading.facts.contains(fact));
        self.readings(table).iter().any(tells)
    }

    fn readings(&self, table: usize) -> &[Reading] {
        self.tables.get(table).map_or(&[], |mapping| &mapping.readings)
    }

    /// Whether the ledger keeps what the old system called the records of a table.
    pub fn keeps_old_keys(&self, table: usize) -> bool {
        self.readings(table).iter().any(|reading| reading.old_key.is_some())
    }

    /// Derives a table, by its index in [`Plan::tables`]: every unit is handed to `sink` once, in the order
    /// of the runs that have decided them, and within a run in that of the load.
    ///
    /// Tables that it refers to must have been derived before: derive all in the order of
    /// [`Plan::order`], each once.
    ///
    /// # Errors
    /// Where a source cannot be read, with file and line; whatever `sink` returns.
    pub async fn derive<E: From<EndpointError>>(
        &mut self,
        sources: &BTreeMap<String, Arc<dyn Source>>,
        table: usize,
        sink: &mut (dyn FnMut(Derived<'_>) -> Result<(), E> + Send),
    ) -> Result<Summary, E> {
        let Some(mapping) = self.tables.get(table) else {
            return Err(wrong(format!("the plan has no table number {table}")).into());
        };
        let mut work = Work {
            mapping,
            holds: self.holds,
            parents: &self.parents,
            memory: Memory::new(mapping),
            clocks: BTreeMap::new(),
            summary: Summary::default(),
            sink,
        };
        let items = items(mapping, sources, &*self.known, &mut work.summary).await?;
        for pass in passes(mapping, &items) {
            work.pass(&items[pass.item], &pass).await?;
        }
        let Work { memory, summary, .. } = work;
        let made = memory.into_parents();
        self.ahead.remove(&table);
        if mapping.is_parent {
            self.parents.insert(mapping.into.clone(), made);
        }
        let needed: BTreeSet<&str> = self
            .ahead
            .iter()
            .flat_map(|index| self.tables[*index].refers_to.iter().map(String::as_str))
            .collect();
        self.parents.retain(|name, _| needed.contains(name.as_str()));
        Ok(summary)
    }
}

fn wrong(what: String) -> EndpointError {
    EndpointError::new(ErrorClass::Configuration, whimbrel_endpoint::codes::UNSUPPORTED, what)
}

/// A file of a table's sources, or the rows of one.
struct Item<'s> {
    reading: usize,
    source: &'s dyn Source,
    partition: Partition,
    told: Cow<'s, Told>,
}

/// Everything a table is filled from: what the ledger knows, and behind it the rest in source order.
async fn items<'s>(
    mapping: &Mapping,
    sources: &'s BTreeMap<String, Arc<dyn Source>>,
    known: &'s dyn Known,
    summary: &mut Summary,
) -> Result<Vec<Item<'s>>, EndpointError> {
    let mut found = Vec::new();
    for (index, reading) in mapping.readings.iter().enumerate() {
        let source = sources
            .get(&reading.source)
            .ok_or_else(|| wrong(format!("no source is called `{}`", reading.source)))?;
        let discovery = source.partitions().await?;
        for Unreadable { path, reason } in discovery.unreadable {
            summary.unreadable.push((format!("{}: {path}", reading.source), reason));
        }
        for partition in discovery.partitions {
            let told = known.of(&mapping.into, &reading.source, &partition.id.path);
            found.push((told, index, &**source, partition));
        }
    }
    let ordinals = found.iter().filter_map(|(told, ..)| told.map(|told| told.ordinal + 1));
    let mut next = ordinals.max().unwrap_or(0)..;
    let items = found.into_iter().map(|(told, reading, source, partition)| {
        let unread = || Cow::Owned(Told::unread(next.next().unwrap_or_default()));
        let told = told.map_or_else(unread, Cow::Borrowed);
        Item { reading, source, partition, told }
    });
    Ok(items.collect())
}

/// What one run takes of an item.
struct Pass {
    run: u64,
    /// The item's place among the items.
    item: usize,
    took: Took,
}

enum Took {
    /// A turn, by its place among the item's; and whether more come behind it.
    Turn { turn: usize, more: bool },
    /// Records that it decides once more.
    Again,
}

/// What runs have taken, in the order in which they took it.
fn passes(mapping: &Mapping, items: &[Item<'_>]) -> Vec<Pass> {
    let mut passes = Vec::new();
    for (item, Item { told, .. }) in items.iter().enumerate() {
        let turns = told.turns.len();
        // A file that is one unit is whole in each turn, and the last one counts.
        let first = if mapping.each == Each::File { turns.saturating_sub(1) } else { 0 };
        let turn = |turn: usize| {
            let took = Took::Turn { turn, more: turn + 1 < turns };
            Pass { run: told.turns[turn].run, item, took }
        };
        passes.extend((first..turns).map(turn));
        let again: BTreeSet<u64> = told.again.values().copied().collect();
        passes.extend(again.into_iter().map(|run| Pass { run, item, took: Took::Again }));
    }
    passes.sort_by_key(|pass| (pass.run, items[pass.item].told.ordinal));
    passes
}

/// One table on its way.
struct Work<'w, E> {
    mapping: &'w Mapping,
    holds: Holds,
    parents: &'w Parents,
    memory: Memory<'w>,
    /// Clocks of items that a later run goes on with, by the item's place.
    clocks: BTreeMap<usize, RefCell<Clocks>>,
    summary: Summary,
    sink: &'w mut (dyn FnMut(Derived<'_>) -> Result<(), E> + Send),
}

impl<'w, E: From<EndpointError>> Work<'w, E> {
    async fn pass(&mut self, item: &Item<'_>, pass: &Pass) -> Result<(), E> {
        let reading = &self.mapping.readings[item.reading];
        let size = item.partition.facts.size;
        let by_plan = || match reading.large_files {
            _ if reading.max_file_size.is_none_or(|max| size <= max) => Aside::No,
            LargeFiles::Handle => Aside::No,
            LargeFiles::Skip => Aside::LeftOut,
            LargeFiles::Reject => Aside::Rejected,
        };
        let fate = match item.told.aside.unwrap_or_else(by_plan) {
            Aside::No => None,
            Aside::LeftOut => Some(Fate::Filtered(LeftOut::LargeFile)),
            Aside::Rejected => Some(Fate::Rejected { reason: codes::FILE_TOO_LARGE, column: None }),
        };
        if let Some(fate) = fate {
            let settled = Settled::alone(fate);
            return self.hand_on(item, Position::default(), Bytes::default(), settled);
        }
        let turn = match pass.took {
            Took::Turn { turn, .. } => item.told.turns.get(turn),
            Took::Again => item.told.turns.iter().rfind(|turn| turn.run < pass.run),
        };
        let file = file_scene(reading, item, turn.and_then(|turn| turn.facts)).await?;
        match (&self.mapping.each, &pass.took) {
            (Each::File, _) => self.file(item, reading, &file, pass.run).await,
            (Each::Record | Each::Element(_), Took::Turn { turn, more }) => {
                let turn = &item.told.turns[*turn];
                self.turn(item, reading, &file, turn, (pass.item, *more)).await
            }
            (Each::Record | Each::Element(_), Took::Again) => {
                self.again(item, reading, &file, (pass.item, pass.run)).await
            }
        }
    }

    /// One row for the whole file.
    async fn file(
        &mut self,
        item: &Item<'_>,
        reading: &Reading,
        file: &FileScene,
        run: u64,
    ) -> Result<(), E> {
        let mut aggregating = Aggregating::new(reading);
        if !reading.aggregates.is_empty() {
            let mut reader = item.source.open(&item.partition, &reading.fields, None).await?;
            while let Some(chunk) = reader.next(Limit::default()).await? {
                for (index, record) in chunk.records.iter().enumerate() {
                    if record.defect.is_none() {
                        aggregating.take(reading, &chunk.rows.row(index));
                    }
                }
            }
            reader.finish().await?;
        }
        let aggregates = aggregating.finish();
        let clocks = RefCell::default();
        let mut scene = self.scene(reading, file, &clocks, run);
        scene.aggregates = &aggregates;
        scene.ordinal = item.told.ordinal + 1;
        let outcome = self.outcome(&mut scene, None);
        let settled = self.settle(item, run, Position::default(), None, outcome);
        self.hand_on(item, Position::default(), Bytes::default(), settled)
    }

    /// The records of a turn but for those that a later run decides. Clocks go on from one turn to the next.
    async fn turn(
        &mut self,
        item: &Item<'_>,
        reading: &Reading,
        file: &FileScene,
        turn: &Turn,
        (place, more): (usize, bool),
    ) -> Result<(), E> {
        let clocks = match self.clocks.remove(&place) {
            Some(clocks) => clocks,
            None => RefCell::new(self.clocks(reading, file, turn.run)),
        };
        let place_of = RecordsOf { item, reading, file, clocks: &clocks, run: turn.run };
        let mut reader =
            item.source.open(&item.partition, &reading.fields, turn.after.as_ref()).await?;
        'reading: while let Some(chunk) = reader.next(Limit::default()).await? {
            for index in 0..chunk.records.len() {
                let record = chunk.records[index].position.record;
                if turn.until.is_some_and(|until| record > until) {
                    break 'reading;
                }
                if item.told.again.contains_key(&record) {
                    self.pass_over(&place_of, &chunk, index);
                } else {
                    self.record(&place_of, (&chunk, index), None)?;
                }
            }
        }
        if turn.until.is_none() {
            reader.finish().await?;
        }
        if more {
            self.clocks.insert(place, clocks);
        }
        Ok(())
    }

    /// The records that a run decides once more. It reads the others too, for what clocks say; a turn behind it
    /// goes on with clocks that have seen what was mended.
    async fn again(
        &mut self,
        item: &Item<'_>,
        reading: &Reading,
        file: &FileScene,
        (place_of_item, run): (usize, u64),
    ) -> Result<(), E> {
        let clocks = RefCell::new(self.clocks(reading, file, run));
        let place = RecordsOf { item, reading, file, clocks: &clocks, run };
        let told = &item.told;
        let wanted = |record: u64| told.again.get(&record) == Some(&run);
        let Some(last) = told.again.keys().copied().filter(|record| wanted(*record)).max() else {
            return Ok(());
        };
        let keeps_time = !reading.clocks.is_empty();
        let next = told.turns.iter().find(|turn| turn.run > run).filter(|_| keeps_time);
        let next = next.and_then(|turn| turn.after.as_ref()).map(|mark| mark.records);
        let last = next.map_or(last, |next| next.max(last));
        let mut reader = item.source.open(&item.partition, &reading.fields, None).await?;
        'reading: while let Some(chunk) = reader.next(Limit::default()).await? {
            for index in 0..chunk.records.len() {
                let position = chunk.records[index].position;
                if position.record > last {
                    break 'reading;
                }
                if !wanted(position.record) && !keeps_time {
                    continue;
                }
                let Some(bytes) = told.repaired(position.record, run) else {
                    if wanted(position.record) {
                        self.record(&place, (&chunk, index), None)?;
                    } else {
                        self.pass_over(&place, &chunk, index);
                    }
                    continue;
                };
                let mended = [(position, bytes.to_vec())];
                let parsed = item.source.parse(&item.partition, &reading.fields, &mended).await?;
                if wanted(position.record) {
                    self.record(&place, (&parsed, 0), Some(chunk.bytes(index)))?;
                } else {
                    self.pass_over(&place, &parsed, 0);
                }
            }
        }
        if next.is_some() {
            self.clocks.insert(place_of_item, clocks);
        }
        Ok(())
    }

    /// Lets clocks see a record that is not taken here.
    fn pass_over(&self, place: &RecordsOf<'_>, chunk: &SourceChunk, index: usize) {
        if place.reading.clocks.is_empty() || chunk.records[index].defect.is_some() {
            return;
        }
        let mut scene = self.record_scene(place, chunk, index);
        let elements = match place.reading.elements(&scene) {
            None => vec![None],
            Some(Ok(elements)) => elements.into_iter().map(Some).collect(),
            Some(Err(_)) => return,
        };
        for element in elements {
            scene.element = element;
            scene.begin();
        }
    }

    fn record(
        &mut self,
        place: &RecordsOf<'_>,
        (chunk, index): (&SourceChunk, usize),
        unmended: Option<&[u8]>,
    ) -> Result<(), E> {
        let RecordsOf { item, reading, run, .. } = *place;
        let record = &chunk.records[index];
        let bytes = chunk.bytes(index);
        let all = Bytes { taken: Some(bytes), unmended };
        if let Some(defect) = &record.defect {
            let fate = Fate::Rejected { reason: defect.code, column: None };
            return self.hand_on(item, record.position, all, Settled::alone(fate));
        }
        let mut scene = self.record_scene(place, chunk, index);
        let outcome = match reading.elements(&scene) {
            None => self.outcome(&mut scene, None),
            Some(Ok(elements)) => self.outcome(&mut scene, Some(elements)),
            Some(Err(failure)) => Err(Outcome::rejected(failure, None)),
        };
        drop(scene);
        let settled = self.settle(item, run, record.position, Some(bytes), outcome);
        self.hand_on(item, record.position, all, settled)
    }

    fn record_scene<'s>(
        &self,
        place: &RecordsOf<'s>,
        chunk: &'s SourceChunk,
        index: usize,
    ) -> Scene<'s>
    where
        'w: 's,
    {
        let RecordsOf { item, reading, file, clocks, run } = *place;
        let mut scene = self.scene(reading, file, clocks, run);
        scene.row = Some(chunk.rows.row(index));
        scene.position = chunk.records[index].position;
        scene.bytes = chunk.bytes(index);
        scene.ordinal = (item.told.ordinal << 32) + scene.position.record;
        scene
    }

    fn scene<'s>(
        &self,
        reading: &'s Reading,
        file: &'s FileScene,
        clocks: &'s RefCell<Clocks>,
        run: u64,
    ) -> Scene<'s>
    where
        'w: 's,
    {
        Scene::new(reading, file, clocks, (self.parents, run), self.holds)
    }

    /// The clocks of a file, each from the instant where it begins.
    fn clocks(&self, reading: &Reading, file: &FileScene, run: u64) -> Clocks {
        let clock = |start: &ClockStart| {
            let none = RefCell::default();
            let begun = self.scene(reading, file, &none, run).instant(&start.term)?;
            Clock::new(begun, &start.zone)
        };
        reading.clocks.iter().map(clock).collect()
    }

    /// The rows of a unit with their old keys, before it is known what others made of theirs.
    fn outcome(
        &self,
        scene: &mut Scene<'_>,
        elements: Option<Elements>,
    ) -> Result<Vec<Made>, Outcome> {
        match elements {
            None => Ok(vec![self.row(scene)?]),
            Some(elements) => {
                let mut rows = Vec::new();
                for element in elements {
                    scene.element = Some(element);
                    rows.push(self.row(scene)?);
                }
                Ok(rows)
            }
        }
    }

    /// One row: `let`s, `where`, columns, what must not be NULL, rules, the old key.
    fn row(&self, scene: &mut Scene<'_>) -> Result<Made, Outcome> {
        let reading = scene.reading;
        scene.begin();
        if let Some(filter) = &reading.filter
            && !scene.holds(filter).map_err(|failure| Outcome::rejected(failure, None))?
        {
            return Err(Outcome::Filtered);
        }
        let mut values = Vec::with_capacity(reading.columns.len());
        for (term, column) in reading.columns.iter().zip(&self.mapping.columns) {
            let value = scene.value(term, Some(column.kind));
            let value = value.map_err(|failure| Outcome::rejected(failure, Some(&column.name)))?;
            values.push(value);
        }
        for (index, column) in self.mapping.columns.iter().enumerate() {
            if values[index].as_ref().is_null() {
                if self.mapping.key.contains(&index) {
                    return Err(Outcome::reject(codes::KEY_NULL, &column.name));
                }
                if !column.nullable {
                    return Err(Outcome::reject(codes::REQUIRED_NULL, &column.name));
                }
            }
        }
        scene.new = values;
        for (rule, severity) in &reading.rules {
            match (scene.holds(rule), severity) {
                (Ok(true), _) | (Ok(false) | Err(_), Severity::Warn) => {}
                (Ok(false), Severity::Reject) => {
                    return Err(Outcome::rejected(Failure::new(codes::RULE_BROKEN), None));
                }
                (Err(failure), Severity::Reject) => return Err(Outcome::rejected(failure, None)),
            }
        }
        let values = std::mem::take(&mut scene.new);
        let old_key = match &reading.old_key {
            None => None,
            Some(parts) => {
                let joined =
                    scene.joined(parts).map_err(|failure| Outcome::rejected(failure, None))?;
                let needed = || Outcome::rejected(Failure::new(codes::NULL_PART), None);
                Some(joined.ok_or_else(needed)?)
            }
        };
        Ok(Made { values, old_key })
    }

    /// What becomes of a unit's rows beside those of others.
    fn settle(
        &mut self,
        item: &Item<'_>,
        run: u64,
        position: Position,
        bytes: Option<&[u8]>,
        outcome: Result<Vec<Made>, Outcome>,
    ) -> Settled {
        let rows = match outcome {
            Ok(rows) if rows.is_empty() => {
                return Settled::alone(Fate::Filtered(LeftOut::NoElements));
            }
            Ok(rows) => rows,
            Err(Outcome::Filtered) => return Settled::alone(Fate::Filtered(LeftOut::Where)),
            Err(Outcome::Rejected { reason, column }) => {
                return Settled::alone(Fate::Rejected { reason, column });
            }
        };
        let (told, id) = (&item.told, &item.partition.id);
        let candidate = Candidate {
            unit: (told.ordinal << 32) + position.record,
            run,
            since: told.earlier.map_or(run, |earlier| run.min(earlier)),
            source: &id.source,
            path: &id.path,
            bytes,
            refused: told.refused.contains(&position.record),
        };
        self.memory.settle(&candidate, rows)
    }

    fn hand_on(
        &mut self,
        item: &Item<'_>,
        position: Position,
        bytes: Bytes<'_>,
        Settled { fate, first, led }: Settled,
    ) -> Result<(), E> {
        self.summary.units += 1;
        match &fate {
            Fate::Rows(rows) => {
                self.summary.with_rows += 1;
                self.summary.rows += rows.len() as u64;
            }
            Fate::Rejected { .. } => self.summary.rejected += 1,
            Fate::Filtered(_) => self.summary.filtered += 1,
            Fate::Duplicate => self.summary.duplicates += 1,
        }
        let id = &item.partition.id;
        let ordinal = (item.told.ordinal << 32) + position.record;
        let (source, path) = (id.source.as_str(), id.path.as_str());
        let Bytes { taken: bytes, unmended } = bytes;
        let derived =
            Derived { source, path, ordinal, position, bytes, unmended, fate, first, led };
        (self.sink)(derived)
    }
}

/// What records of an item are derived with.
#[derive(Clone, Copy)]
struct RecordsOf<'r> {
    item: &'r Item<'r>,
    reading: &'r Reading,
    file: &'r FileScene,
    clocks: &'r RefCell<Clocks>,
    run: u64,
}

/// Bytes of a unit: those that it was taken with, and those that stood there before it was mended.
#[derive(Clone, Copy, Default)]
struct Bytes<'b> {
    taken: Option<&'b [u8]>,
    unmended: Option<&'b [u8]>,
}

/// A row, and what the old system called its record, where the ledger keeps that.
struct Made {
    values: Vec<Value>,
    old_key: Option<String>,
}

/// Why a unit has no rows.
enum Outcome {
    Filtered,
    Rejected { reason: &'static str, column: Option<String> },
}

impl Outcome {
    fn rejected(failure: Failure, column: Option<&str>) -> Self {
        Self::Rejected { reason: failure.code, column: column.map(str::to_owned) }
    }

    fn reject(reason: &'static str, column: &str) -> Self {
        Self::Rejected { reason, column: Some(column.to_owned()) }
    }
}

/// The facts of a file, as far as the table asks for them.
async fn file_scene(
    reading: &Reading,
    item: &Item<'_>,
    stood: Option<Stood>,
) -> Result<FileScene, EndpointError> {
    let (source, partition) = (item.source, &item.partition);
    let wants = |fact| reading.facts.contains(&fact);
    let mut scene = FileScene::new(partition, stood);
    if wants(Fact::FileSha256) {
        scene.sha256 = source.checksum(partition, HashAlgorithm::Sha256).await?;
    }
    if wants(Fact::FileBlake3) {
        scene.blake3 = source.checksum(partition, HashAlgorithm::Blake3).await?;
    }
    if wants(Fact::FileText) {
        scene.text = match source.text(partition).await {
            Ok(text) => Some(text),
            Err(error) if error.class == ErrorClass::Data => None,
            Err(error) => return Err(error),
        };
    }
    Ok(scene)
}
