//! What a plan makes of its sources, derived a second time: an interpreter of plans that shares no
//! line with the load path.
//!
//! ```text
//! plan ──▶ Interpreter ──derive, one table after the other──▶ units: rows │ rejected │ filtered │ duplicate
//!              ▲                                                  in source order, each with its place
//! sources ─────┘  Known: what only the ledger knows (refused by the target, mended records, ordinals)
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

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, ErrorClass, Limit, Partition, Source, Unreadable};
use whimbrel_model::plan::{Each, Fact, HashAlgorithm, LargeFiles, Plan, Severity, Span};
use whimbrel_model::{Field, Position, SourceChunk, Table, Value};

pub use convert::Holds;
pub use known::{Known, Nothing};

use aggregate::Aggregating;
use memory::{Memory, Parents};
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

/// The reason of a unit whose rows the target itself refused, as [`Known::refused`] says.
pub const REFUSED: &str = "refused";

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
    /// The record's bytes as they were read, mended ones where [`Known::repaired`] gave some; `None`
    /// where the unit is a file.
    pub bytes: Option<&'a [u8]>,
    /// What stood there before the record was mended; `None` where it was not.
    pub unmended: Option<&'a [u8]>,
    /// What should have become of it.
    pub fate: Fate,
    /// The ordinal of the unit before it that decides that: which it counts as, whose rows it makes once
    /// more, or which has taken its key.
    pub first: Option<u64>,
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

    /// Derives a table, by its index in [`Plan::tables`]: every unit is handed to `sink`, in the order
    /// in which the load takes them.
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
            known: &*self.known,
            parents: &self.parents,
            memory: Memory::new(mapping),
            summary: Summary::default(),
            sink,
        };
        for item in items(mapping, sources, &*self.known, &mut work.summary).await? {
            work.item(&item).await?;
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
    ordinal: u64,
}

/// Everything a table is filled from, in the order in which it is taken: files that the ledger has
/// numbered by their numbers, then the others in source order.
async fn items<'s>(
    mapping: &Mapping,
    sources: &'s BTreeMap<String, Arc<dyn Source>>,
    known: &dyn Known,
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
            let ordinal = known.ordinal(&mapping.into, &reading.source, &partition.id.path);
            found.push((ordinal, index, &**source, partition));
        }
    }
    let mut next =
        found.iter().filter_map(|(ordinal, ..)| ordinal.map(|it| it + 1)).max().unwrap_or(0);
    let mut items: Vec<Item<'s>> = found
        .into_iter()
        .map(|(ordinal, reading, source, partition)| {
            let ordinal = ordinal.unwrap_or_else(|| {
                next += 1;
                next - 1
            });
            Item { reading, source, partition, ordinal }
        })
        .collect();
    items.sort_by_key(|item| item.ordinal);
    Ok(items)
}

/// One table on its way.
struct Work<'w, E> {
    mapping: &'w Mapping,
    holds: Holds,
    known: &'w dyn Known,
    parents: &'w Parents,
    memory: Memory<'w>,
    summary: Summary,
    sink: &'w mut (dyn FnMut(Derived<'_>) -> Result<(), E> + Send),
}

impl<'w, E: From<EndpointError>> Work<'w, E> {
    async fn item(&mut self, item: &Item<'_>) -> Result<(), E> {
        let reading = &self.mapping.readings[item.reading];
        let size = item.partition.facts.size;
        if reading.max_file_size.is_some_and(|max| size > max) {
            let fate = match reading.large_files {
                LargeFiles::Handle => None,
                LargeFiles::Skip => Some(Fate::Filtered(LeftOut::LargeFile)),
                LargeFiles::Reject => {
                    Some(Fate::Rejected { reason: codes::FILE_TOO_LARGE, column: None })
                }
            };
            if let Some(fate) = fate {
                return self.hand_on(item, Position::default(), Bytes::default(), (fate, None));
            }
        }
        let file = file_scene(reading, item).await?;
        match self.mapping.each {
            Each::File => self.file(item, reading, &file).await,
            Each::Record | Each::Element(_) => self.records(item, reading, &file).await,
        }
    }

    /// One row for the whole file.
    async fn file(
        &mut self,
        item: &Item<'_>,
        reading: &Reading,
        file: &FileScene,
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
        let mut scene = self.scene(reading, file, &clocks);
        scene.aggregates = &aggregates;
        scene.ordinal = item.ordinal + 1;
        let outcome = self.outcome(&mut scene, None);
        let fate = self.settle(item, Position::default(), None, outcome);
        self.hand_on(item, Position::default(), Bytes::default(), fate)
    }

    async fn records(
        &mut self,
        item: &Item<'_>,
        reading: &Reading,
        file: &FileScene,
    ) -> Result<(), E> {
        let clocks = reading.clocks.iter().map(|start| self.clock(reading, file, start));
        let clocks = RefCell::new(clocks.collect());
        let mut reader = item.source.open(&item.partition, &reading.fields, None).await?;
        while let Some(chunk) = reader.next(Limit::default()).await? {
            for index in 0..chunk.records.len() {
                let position = chunk.records[index].position;
                let path = &item.partition.id.path;
                match self.known.repaired(&reading.source, path, position.record) {
                    None => self.record(item, reading, file, &clocks, (&chunk, index), None)?,
                    Some(bytes) => {
                        let mended = [(position, bytes)];
                        let parsed =
                            item.source.parse(&item.partition, &reading.fields, &mended).await?;
                        let stood = Some(chunk.bytes(index));
                        self.record(item, reading, file, &clocks, (&parsed, 0), stood)?;
                    }
                }
            }
        }
        reader.finish().await?;
        Ok(())
    }

    fn record(
        &mut self,
        item: &Item<'_>,
        reading: &Reading,
        file: &FileScene,
        clocks: &RefCell<Clocks>,
        (chunk, index): (&SourceChunk, usize),
        unmended: Option<&[u8]>,
    ) -> Result<(), E> {
        let record = &chunk.records[index];
        let bytes = chunk.bytes(index);
        let all = Bytes { taken: Some(bytes), unmended };
        if let Some(defect) = &record.defect {
            let fate = Fate::Rejected { reason: defect.code, column: None };
            return self.hand_on(item, record.position, all, (fate, None));
        }
        let mut scene = self.scene(reading, file, clocks);
        scene.row = Some(chunk.rows.row(index));
        scene.position = record.position;
        scene.bytes = bytes;
        scene.ordinal = (item.ordinal << 32) + record.position.record;
        let outcome = match reading.elements(&scene) {
            None => self.outcome(&mut scene, None),
            Some(Ok(elements)) => self.outcome(&mut scene, Some(elements)),
            Some(Err(failure)) => Err(Outcome::rejected(failure, None)),
        };
        let fate = self.settle(item, record.position, Some(bytes), outcome);
        self.hand_on(item, record.position, all, fate)
    }

    fn scene<'s>(
        &self,
        reading: &'s Reading,
        file: &'s FileScene,
        clocks: &'s RefCell<Clocks>,
    ) -> Scene<'s>
    where
        'w: 's,
    {
        Scene::new(reading, file, clocks, self.parents, self.holds)
    }

    /// The clock of a file, from the instant where it begins.
    fn clock(
        &self,
        reading: &Reading,
        file: &FileScene,
        start: &ClockStart,
    ) -> Result<Clock, Failure> {
        let none = RefCell::default();
        let begun = self.scene(reading, file, &none).instant(&start.term)?;
        Clock::new(begun, &start.zone)
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
        position: Position,
        bytes: Option<&[u8]>,
        outcome: Result<Vec<Made>, Outcome>,
    ) -> (Fate, Option<u64>) {
        let rows = match outcome {
            Ok(rows) if rows.is_empty() => return (Fate::Filtered(LeftOut::NoElements), None),
            Ok(rows) => rows,
            Err(Outcome::Filtered) => return (Fate::Filtered(LeftOut::Where), None),
            Err(Outcome::Rejected { reason, column }) => {
                return (Fate::Rejected { reason, column }, None);
            }
        };
        let id = &item.partition.id;
        let refused = self.known.refused(&self.mapping.into, &id.source, &id.path, position.record);
        let unit = (item.ordinal << 32) + position.record;
        self.memory.settle(unit, (&id.source, &id.path), bytes, rows, refused)
    }

    fn hand_on(
        &mut self,
        item: &Item<'_>,
        position: Position,
        bytes: Bytes<'_>,
        (fate, first): (Fate, Option<u64>),
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
        let ordinal = (item.ordinal << 32) + position.record;
        let (source, path) = (id.source.as_str(), id.path.as_str());
        let Bytes { taken: bytes, unmended } = bytes;
        (self.sink)(Derived { source, path, ordinal, position, bytes, unmended, fate, first })
    }
}

/// Bytes of a unit: those that it was taken with, and those that stood there before it was mended.
#[derive(Clone, Copy, Default)]
struct Bytes<'b> {
    taken: Option<&'b [u8]>,
    unmended: Option<&'b [u8]>,
}

/// A row, and what the old system called its record, where somebody refers to it.
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
async fn file_scene(reading: &Reading, item: &Item<'_>) -> Result<FileScene, EndpointError> {
    let (source, partition) = (item.source, &item.partition);
    let wants = |fact| reading.facts.contains(&fact);
    let mut scene = FileScene::new(partition);
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
