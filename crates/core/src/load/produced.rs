//! What the transform threads hand to the writer: target rows, units, digests, and a mark.

use std::sync::Arc;

use whimbrel_ledger::Stage;
use whimbrel_model::{Chunk, ChunkBuilder, Digest, Position, SourceMark};
use whimbrel_transform::{Lookup, Notes};

/// A run of units of an item, or of several that follow one another, transformed and hashed, in
/// source order.
#[derive(Debug)]
pub(crate) struct Produced {
    /// The items, in order, and how far each has come with these units.
    pub(crate) items: Vec<Reached>,
    /// Source units, in order.
    pub(crate) units: Vec<Unit>,
    /// Original bytes of the units.
    pub(crate) raw: Vec<u8>,
    /// Target rows of the units, in order.
    pub(crate) rows: Arc<Rows>,
    /// What each unit refers to, where that was asked for; else empty.
    pub(crate) refers: Vec<Vec<Lookup>>,
    /// Conversions, warnings and filters.
    pub(crate) notes: Notes,
    /// Bytes of memory, about.
    pub(crate) size: usize,
}

impl Produced {
    /// The first of the items.
    pub(crate) fn item(&self) -> usize {
        self.items[0].item
    }

    /// What it counts for in a batch: rows, or units where those are more.
    pub(crate) fn counted(&self) -> u64 {
        self.rows.len().max(self.units.len()) as u64
    }

    /// Whether some of its rows are to be written, as far as the transform decides.
    pub(crate) fn is_written(&self) -> bool {
        self.rows.units.iter().any(|unit| self.has_rows(*unit))
    }

    /// Whether all of its rows are to be written.
    pub(crate) fn is_whole(&self) -> bool {
        self.rows.units.iter().all(|unit| self.has_rows(*unit))
    }

    fn has_rows(&self, unit: u32) -> bool {
        matches!(self.units[unit as usize].fate, Fate::Rows)
    }

    /// Takes what follows in source order, too.
    pub(crate) fn append(&mut self, next: Self) {
        let (units, raw) = (self.units.len(), self.raw.len());
        self.units.extend(next.units.into_iter().map(|unit| {
            let (start, end) = unit.raw;
            Unit { raw: (raw + start, raw + end), ..unit }
        }));
        self.raw.extend_from_slice(&next.raw);
        Arc::make_mut(&mut self.rows).append(&next.rows, units as u32);
        self.refers.extend(next.refers);
        self.notes.merge(next.notes);
        self.size += next.size;
        for reached in next.items {
            match self.items.last_mut().filter(|last| last.item == reached.item) {
                Some(last) => *last = reached,
                None => self.items.push(reached),
            }
        }
    }
}

/// How far an item has come.
#[derive(Debug)]
pub(crate) struct Reached {
    /// Index in the step's items.
    pub(crate) item: usize,
    /// Where reading goes on.
    pub(crate) mark: Option<SourceMark>,
    /// The transform's state there, where it is known.
    pub(crate) state: Option<Vec<u8>>,
    /// Set where nothing more comes of it.
    pub(crate) end: Option<ItemEnd>,
}

/// How an item ended.
#[derive(Debug, Clone)]
pub(crate) struct ItemEnd {
    /// Physical lines, where all of them were read.
    pub(crate) lines: Option<u64>,
    /// Lines that are no records, where all were read.
    pub(crate) skipped: Option<u64>,
    /// Why nothing of it was read.
    pub(crate) aside: Option<String>,
}

/// One source unit.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Index of its item in the step's.
    pub(crate) item: usize,
    /// Its ordinal in the step.
    pub(crate) ordinal: u64,
    pub(crate) position: Position,
    pub(crate) digest: Digest,
    /// Start and end of its bytes in [`Produced::raw`].
    pub(crate) raw: (usize, usize),
    pub(crate) fate: Fate,
    /// What `duplicates` compares, if the plan declares it.
    pub(crate) duplicate: Option<[u8; 16]>,
    /// Columns without a place in the target, as JSON.
    pub(crate) archive: Option<String>,
}

/// What the transform made of a unit.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It has rows (none where an array to explode is empty).
    Rows,
    /// The plan leaves it out.
    Filtered,
    /// It is refused.
    Rejected(Box<Refusal>),
}

/// Why a unit is refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) stage: Stage,
    pub(crate) code: String,
    pub(crate) column: Option<String>,
    pub(crate) field: Option<String>,
    pub(crate) value: Option<String>,
    pub(crate) rule: Option<String>,
    pub(crate) message: String,
}

/// Target rows with what the ledger needs of them.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    pub(crate) chunk: Arc<Chunk>,
    /// For each row the index of its unit in [`Produced::units`].
    pub(crate) units: Vec<u32>,
    pub(crate) digests: Vec<Digest>,
    /// Encoded bytes of each row, as its digest saw them.
    pub(crate) bytes: Vec<u32>,
    /// WCE-1 of each row's key, one after the other.
    pub(crate) keys: Vec<u8>,
    /// End of each key in `keys`.
    pub(crate) key_ends: Vec<u32>,
    /// Legacy key of each row, where the step stores mappings; else empty.
    pub(crate) legacy: Vec<String>,
}

impl Rows {
    /// No rows, of that many values each.
    pub(crate) fn none(width: usize) -> Self {
        Self {
            chunk: Arc::new(ChunkBuilder::new(width).finish()),
            units: Vec::new(),
            digests: Vec::new(),
            bytes: Vec::new(),
            keys: Vec::new(),
            key_ends: Vec::new(),
            legacy: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.units.len()
    }

    pub(crate) fn key(&self, row: usize) -> &[u8] {
        let start = row.checked_sub(1).map_or(0, |before| self.key_ends[before]);
        &self.keys[start as usize..self.key_ends[row] as usize]
    }

    /// Takes other rows, too, whose units stand behind `units` others.
    fn append(&mut self, other: &Self, units: u32) {
        Arc::make_mut(&mut self.chunk).append(&other.chunk);
        let keys = self.keys.len() as u32;
        self.units.extend(other.units.iter().map(|unit| units + unit));
        self.digests.extend_from_slice(&other.digests);
        self.bytes.extend_from_slice(&other.bytes);
        self.keys.extend_from_slice(&other.keys);
        self.key_ends.extend(other.key_ends.iter().map(|end| keys + end));
        self.legacy.extend_from_slice(&other.legacy);
    }

    /// Only the rows of units that `keep` says.
    pub(crate) fn retain(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut builder =
            ChunkBuilder::with_capacity(self.chunk.width(), self.len(), self.chunk.size());
        let mut kept = Self::none(self.chunk.width());
        for (row, values) in self.chunk.rows().enumerate() {
            if !keep(self.units[row] as usize) {
                continue;
            }
            values.values().for_each(|value| builder.push(value));
            builder.end_row();
            kept.units.push(self.units[row]);
            kept.digests.push(self.digests[row]);
            kept.bytes.push(self.bytes[row]);
            kept.keys.extend_from_slice(self.key(row));
            kept.key_ends.push(kept.keys.len() as u32);
            if let Some(legacy) = self.legacy.get(row) {
                kept.legacy.push(legacy.clone());
            }
        }
        kept.chunk = Arc::new(builder.finish());
        kept
    }
}
