//! Units that are read again: only they reach the writer, and where a person has repaired a record,
//! the repaired bytes take the place of the file's.
//!
//! ```text
//! file     r1 r2 r3 r4 r5 r6 …
//! wanted      ▲        ▲         r2 and r5 are transformed and sent
//! others   r1    r3 r4           are read for the state they leave, where the mapping keeps one
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_model::{ChunkBuilder, Digest, Position, Record, SourceChunk, SourceMark};

/// What is read again of one file.
#[derive(Clone, Debug)]
pub(crate) struct Again {
    pub(crate) wanted: Wanted,
    /// Repaired bytes, by record.
    pub(crate) repaired: BTreeMap<u64, Vec<u8>>,
    /// How far the file had been read; the file is the same up to here.
    pub(crate) mark: Option<SourceMark>,
}

/// Which units.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// The file, which was rejected as a whole.
    File,
    /// These records; each must have these bytes, told by their digest, where all of them are known.
    Records(BTreeMap<u64, Option<Digest>>),
}

/// A run of records that are all wanted, or none of them.
pub(crate) struct Stretch {
    pub(crate) wanted: bool,
    pub(crate) records: Range<usize>,
}

impl Again {
    /// Refuses a chunk that holds a wanted record with other bytes than those that were rejected.
    pub(crate) fn recognise(
        &self,
        path: &str,
        chunk: &SourceChunk,
        digests: &[Digest],
    ) -> Result<(), EndpointError> {
        let Wanted::Records(wanted) = &self.wanted else { return Ok(()) };
        for (record, digest) in chunk.records.iter().zip(digests) {
            let number = record.position.record;
            if wanted.get(&number).copied().flatten().is_some_and(|known| known != *digest) {
                let what = format!("record {number} is no longer what was rejected: `{path}`");
                return Err(EndpointError::new(ErrorClass::Changed, "WB0616", what));
            }
        }
        Ok(())
    }

    /// The repaired records of a chunk: index, place, bytes.
    pub(crate) fn repairs(&self, chunk: &SourceChunk) -> Vec<(usize, (Position, Vec<u8>))> {
        let place = |(index, record): (usize, &Record)| {
            let bytes = self.repaired.get(&record.position.record)?;
            Some((index, (record.position, bytes.clone())))
        };
        chunk.records.iter().enumerate().filter_map(place).collect()
    }

    /// Cuts a chunk into stretches, one ending where the mark stands.
    pub(crate) fn stretches(&self, chunk: &SourceChunk) -> Vec<Stretch> {
        let Wanted::Records(wanted) = &self.wanted else {
            return vec![Stretch { wanted: true, records: 0..chunk.records.len() }];
        };
        let marked = self.mark.as_ref().map(|mark| mark.records);
        let mut stretches: Vec<Stretch> = Vec::new();
        let mut before = None;
        for (index, record) in chunk.records.iter().enumerate() {
            let is_wanted = wanted.contains_key(&record.position.record);
            let cut = before.is_some() && before == marked;
            match stretches.last_mut().filter(|last| !cut && last.wanted == is_wanted) {
                Some(last) => last.records.end = index + 1,
                None => stretches.push(Stretch { wanted: is_wanted, records: index..index + 1 }),
            }
            before = Some(record.position.record);
        }
        stretches
    }

    /// True where single records are wanted.
    pub(crate) fn is_of_records(&self) -> bool {
        matches!(self.wanted, Wanted::Records(_))
    }

    /// True where nothing wanted comes after that record.
    pub(crate) fn done_after(&self, record: u64) -> bool {
        match &self.wanted {
            Wanted::File => false,
            Wanted::Records(wanted) => {
                wanted.last_key_value().is_none_or(|(last, _)| *last <= record)
            }
        }
    }
}

/// The chunk with some of its records replaced by those of `repaired`, in order; `at` are their
/// indexes.
pub(crate) fn replaced(chunk: &SourceChunk, at: &[usize], repaired: &SourceChunk) -> SourceChunk {
    let mut rows = ChunkBuilder::with_capacity(
        chunk.rows.width(),
        chunk.rows.len(),
        chunk.rows.size() + repaired.rows.size(),
    );
    let mut whole = SourceChunk {
        rows: ChunkBuilder::new(0).finish(),
        records: Vec::with_capacity(chunk.records.len()),
        raw: Vec::with_capacity(chunk.raw.len()),
        mark: chunk.mark.clone(),
        repairs: Vec::new(),
    };
    let mut next = 0;
    for index in 0..chunk.records.len() {
        let (from, place) = match at.get(next) {
            Some(repair) if *repair == index => {
                next += 1;
                (repaired, next - 1)
            }
            Some(_) | None => (chunk, index),
        };
        from.rows.row(place).values().for_each(|value| rows.push(value));
        rows.end_row();
        let start = whole.raw.len();
        whole.raw.extend_from_slice(from.bytes(place));
        let raw = (start, whole.raw.len());
        whole.records.push(Record { raw, ..from.records[place].clone() });
        let own = from.repairs.iter().filter(|repair| repair.record == place).cloned();
        whole.repairs.extend(own.map(|mut repair| {
            repair.record = index;
            repair
        }));
    }
    whole.rows = rows.finish();
    whole
}
