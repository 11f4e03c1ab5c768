//! What a mapping makes of records: rows, the fate of every unit, and notes.

use std::collections::BTreeSet;
use std::sync::Arc;

use whimbrel_model::{Chunk, ChunkBuilder};

use crate::notes::{Notes, Pending};
use crate::reason::Reason;
use crate::step::{Compared, Step};

/// Collects what [`Step::apply`] makes of one chunk, or [`Step::finish`] of the end of a file.
#[derive(Debug)]
pub struct Out {
    pub(crate) rows: ChunkBuilder,
    pub(crate) done: Output,
    pub(crate) pending: Pending,
    pub(crate) compared: Compared,
    pub(crate) only: Option<Only>,
}

/// The units of one file that are wanted; the others are filtered.
#[derive(Clone, Debug)]
pub struct Only {
    /// Wanted units of all files, by ordinal.
    pub units: Arc<BTreeSet<u64>>,
    /// What is added to a record's number for its unit's ordinal; the ordinal of a unit that is a
    /// file.
    pub first: u64,
    /// Why the others are left out, for the notes.
    pub rule: Arc<str>,
}

impl Only {
    /// Why the record is left out, unless it is wanted; 0 is the file.
    pub(crate) fn leaves_out(&self, record: u64) -> Option<&Arc<str>> {
        if self.units.contains(&(self.first + record)) { None } else { Some(&self.rule) }
    }
}

/// The rows and units of one chunk.
#[derive(Debug, Default)]
pub struct Output {
    /// Target rows, in the order of [`Step::table`]'s columns.
    pub rows: Chunk,
    /// For each row the index of its unit in `units`.
    pub row_units: Vec<u32>,
    /// Every unit, in source order.
    pub units: Vec<Unit>,
    /// What was changed, warned about or left out.
    pub notes: Notes,
    /// For each row its legacy key, where [`Step::stores_mappings`]; else empty.
    pub legacy_keys: Vec<String>,
    /// For each unit what duplicates are compared by, where the plan declares them; else empty.
    /// `None` for units without rows, and where a compared column is NULL.
    pub duplicates: Vec<Option<[u8; 16]>>,
    /// For each unit its archived columns as a JSON object, where the source has some; else empty.
    pub archive: Vec<Option<String>>,
}

/// A source unit and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unit {
    /// What it is.
    pub what: UnitKind,
    /// What became of it.
    pub fate: UnitFate,
}

/// What a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitKind {
    /// The record at this index of the chunk.
    Record(usize),
    /// The file.
    File,
}

/// What became of a unit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UnitFate {
    /// This many rows; none where an array to explode is empty.
    Rows(u32),
    /// The plan leaves it out.
    Filtered {
        /// The condition.
        rule: String,
    },
    /// It is refused, with all of its rows.
    Rejected(Box<Reason>),
}

impl Out {
    /// For one chunk of a step.
    pub fn new(step: &Step) -> Self {
        Self::with_capacity(step, 0, 0)
    }

    /// With room for about so many units of a row each, and so many bytes of text in all of them.
    pub fn with_capacity(step: &Step, units: usize, text: usize) -> Self {
        let done = Output {
            units: Vec::with_capacity(units),
            row_units: Vec::with_capacity(units),
            ..Output::default()
        };
        Self {
            rows: ChunkBuilder::with_capacity(step.table().columns.len(), units, text),
            done,
            pending: Pending::default(),
            compared: Compared::default(),
            only: None,
        }
    }

    /// Takes only some units of the file; the others are filtered, but still seen by what the
    /// mapping remembers between records.
    #[must_use]
    pub fn only(mut self, only: Only) -> Self {
        self.only = Some(only);
        self
    }

    pub(crate) fn leaves_out(&self, record: u64) -> Option<Arc<str>> {
        self.only.as_ref()?.leaves_out(record).map(Arc::clone)
    }

    /// What was collected.
    pub fn finish(self) -> Output {
        Output { rows: self.rows.finish(), ..self.done }
    }
}
