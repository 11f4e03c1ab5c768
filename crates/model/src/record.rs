//! Records as a source hands them over: values, where they stood, their bytes, and what ails them.

use std::ops::Range;
use std::sync::Arc;

use crate::chunk::{Chunk, ChunkBuilder};
use crate::kind::Kind;

/// A unit of reading: one file of a source (or a key range of a table).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PartitionId {
    /// Name of the source in the plan.
    pub source: String,
    /// Path relative to the source's root, `/`-separated, as the operator would type it.
    pub path: String,
}

/// Facts about a file at the time it was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FileFacts {
    /// File name.
    pub name: String,
    /// File name without its last suffix (and without `.gz`, `.zst` before that).
    pub stem: String,
    /// Folder, relative to the plan; empty for the plan's own.
    pub dir: String,
    /// Suffix in lower case, without the dot and without compression: `csv`.
    pub suffix: String,
    /// Size in bytes as stored.
    pub size: u64,
    /// Time of last change in nanoseconds since 1970.
    pub mtime_nanos: i128,
    /// Which file it is on its device, to notice replacement.
    pub inode: u64,
}

/// What a mapping wants of each record.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Field {
    /// A column of a CSV file, a top-level key of a JSON object, a front-matter key, `body` …
    /// NULL where the record has none.
    Column(String),
    /// A JSON Pointer (RFC 6901) into a JSON record or front matter.
    Pointer(String),
    /// The whole record as one JSON object text.
    Json,
}

/// What the beginning of a partition shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Shape {
    /// Columns in their order; for JSON and front matter the keys seen in the sample.
    pub columns: Vec<ShapeColumn>,
    /// True where every record has exactly these columns (CSV); false where keys may vary.
    pub closed: bool,
    /// Encoding, compression and dialect as found, for people.
    pub format: String,
}

/// A column of a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShapeColumn {
    /// Its name.
    pub name: String,
    /// Its kind where the source declares one (databases).
    pub kind: Option<Kind>,
}

/// Where a record stood.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Position {
    /// Ordinal of the record in its partition, from 1; a CSV header does not count.
    pub record: u64,
    /// Physical line of its first byte, from 1; 0 where lines mean nothing.
    pub line: u64,
    /// Offset of its first byte, from 0, in the decompressed file.
    pub byte: u64,
}

/// Why a record cannot be used as it stands. It is data, not an error of the run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Defect {
    /// A code that `explain` knows, as `WB0101`.
    pub code: &'static str,
    /// Column (in characters, from 1) within the record's line; 0 where unknown.
    pub column: u64,
    /// What is wrong, in one bounded sentence without the record's bytes.
    pub message: String,
}

/// What accompanies a record's values.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it stood.
    pub position: Position,
    /// Start and end of its bytes in [`SourceChunk::raw`].
    pub raw: (usize, usize),
    /// Set where the record must be rejected; its values are then all NULL.
    pub defect: Option<Arc<Defect>>,
}

/// Where reading can go on: opaque to everyone but the source that made it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SourceMark {
    /// Records read so far in the partition.
    pub records: u64,
    /// The source's own words (position, prefix digest, header): at most a few KiB.
    pub token: Vec<u8>,
}

/// A run of records of one partition, in order.
#[derive(Clone, Debug)]
pub struct SourceChunk {
    /// The requested fields, in the order they were requested; one row per record.
    pub rows: Chunk,
    /// One per row.
    pub records: Vec<Record>,
    /// Original bytes of the records.
    pub raw: Vec<u8>,
    /// Where reading goes on after the last record of this chunk.
    pub mark: SourceMark,
    /// What the source did to records (`ragged = "pad"` …), to be counted, in order of the records.
    pub repairs: Vec<Repair>,
}

/// A change that the plan allowed the source to make to a record, or a doubt about where the record
/// ends.
#[derive(Clone, Debug)]
pub struct Repair {
    /// A code that `explain` knows.
    pub code: &'static str,
    /// Index of the record in the chunk.
    pub record: usize,
    /// What was done.
    pub message: String,
}

impl SourceChunk {
    /// Original bytes of the record at `index`.
    pub fn bytes(&self, index: usize) -> &[u8] {
        let (start, end) = self.records[index].raw;
        &self.raw[start..end]
    }

    /// The records of that range by themselves, with the mark of the whole.
    ///
    /// # Panics
    /// Where the range reaches beyond the records.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> Self {
        let records = &self.records[range.clone()];
        let start = records.first().map_or(0, |record| record.raw.0);
        let end = records.last().map_or(0, |record| record.raw.1);
        let mut rows =
            ChunkBuilder::with_capacity(self.rows.width(), range.len(), self.rows.size());
        for index in range.clone() {
            self.rows.row(index).values().for_each(|value| rows.push(value));
            rows.end_row();
        }
        let moved = |record: &Record| {
            let raw = (record.raw.0 - start, record.raw.1 - start);
            Record { raw, ..record.clone() }
        };
        let repairs = self.repairs.iter().filter(|repair| range.contains(&repair.record));
        let repairs =
            repairs.map(|repair| Repair { record: repair.record - range.start, ..repair.clone() });
        Self {
            rows: rows.finish(),
            records: records.iter().map(moved).collect(),
            raw: self.raw[start..end].to_vec(),
            mark: self.mark.clone(),
            repairs: repairs.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ValueRef;

    #[test]
    fn a_slice_of_a_chunk_is_what_its_records_are_by_themselves() {
        let texts = ["one", "", "three", "four"];
        let mut rows = ChunkBuilder::new(1);
        let mut raw = Vec::new();
        let mut records = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            rows.push(ValueRef::Text(text));
            rows.end_row();
            let start = raw.len();
            raw.extend_from_slice(text.as_bytes());
            let position = Position { record: index as u64 + 1, ..Position::default() };
            records.push(Record { position, raw: (start, raw.len()), defect: None });
        }
        let repair = Repair { code: "WB0103", record: 2, message: "padded".to_owned() };
        let chunk = SourceChunk {
            rows: rows.finish(),
            records,
            raw,
            mark: SourceMark::default(),
            repairs: vec![repair],
        };
        let slice = chunk.slice(1..3);
        assert_eq!(slice.rows.len(), 2);
        assert_eq!(slice.rows.row(1).get(0), ValueRef::Text("three"));
        assert_eq!((slice.bytes(0), slice.bytes(1)), (&b""[..], &b"three"[..]));
        assert_eq!(slice.records[1].position.record, 3);
        assert_eq!(slice.repairs[0].record, 1);
        assert!(chunk.slice(4..4).records.is_empty());
    }
}
