//! What undoing a batch needs, in the batch's own transaction.
//!
//! Inserts are one blob per batch: for each row, in the order they were written,
//! `varint(length of key) || WCE-1 of the key's values || 16 bytes of the output digest`,
//! compressed with zstd, in one frame or several, one behind the other. Updates keep both images, typed
//! by WCE-1.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use whimbrel_endpoint::{EndpointError, Operator, Order, Target, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::tables;

/// Bytes that become a frame. A large batch has several: compressed at its end only, they would let the
/// target wait.
const FRAME: usize = 512 << 10;

/// Collects the inserts of a batch, and compresses them beside.
#[derive(Default, Debug)]
pub struct InsertJournal {
    rows: u64,
    size: usize,
    frames: Vec<Frame>,
    entries: Vec<u8>,
}

/// A part of the entries: on its way, or compressed.
#[derive(Debug)]
enum Frame {
    Under(JoinHandle<io::Result<Vec<u8>>>),
    Done(io::Result<Vec<u8>>),
}

impl Frame {
    /// On a thread of its own, where there may be one more.
    fn new(entries: Vec<u8>) -> Self {
        let entries = Arc::new(entries);
        let its = Arc::clone(&entries);
        match Builder::new().name("undo".to_owned()).spawn(move || compress(&its)) {
            Ok(thread) => Self::Under(thread),
            Err(_) => Self::Done(compress(&entries)),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Under(thread) => {
                thread.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
            }
            Self::Done(outcome) => outcome,
        }
    }
}

fn compress(entries: &[u8]) -> io::Result<Vec<u8>> {
    zstd::bulk::compress(entries, 1)
}

impl InsertJournal {
    /// Notes one inserted row.
    pub fn push(&mut self, key: &[u8], digest: [u8; 16]) {
        let mut length = key.len();
        while length >= 0x80 {
            self.entries.push(length as u8 | 0x80);
            length >>= 7;
        }
        self.entries.push(length as u8);
        self.entries.extend_from_slice(key);
        self.entries.extend_from_slice(&digest);
        self.rows += 1;
        if self.entries.len() >= FRAME {
            self.size += self.entries.len();
            let next = Vec::with_capacity(self.entries.capacity());
            self.frames.push(Frame::new(std::mem::replace(&mut self.entries, next)));
        }
    }

    /// Rows noted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that were noted.
    pub fn size(&self) -> usize {
        self.size + self.entries.len()
    }

    fn compressed(self) -> Result<Vec<u8>, EndpointError> {
        let mut compressed = Vec::with_capacity(self.size / 2);
        let last = (!self.entries.is_empty() || self.frames.is_empty())
            .then(|| Frame::Done(compress(&self.entries)));
        for frame in self.frames.into_iter().chain(last) {
            compressed.extend(frame.finish().map_err(|error| {
                let class = whimbrel_endpoint::ErrorClass::System;
                EndpointError::new(class, "WB0302", "compressing the undo journal").because(error)
            })?);
        }
        Ok(compressed)
    }
}

/// The rows of an [`InsertJournal`] blob: (key, digest), in the order they were written; `None`
/// where the blob is damaged.
pub fn decode(rows: u64, entries: &[u8]) -> Option<Vec<(Vec<u8>, [u8; 16])>> {
    let plain = zstd::stream::decode_all(entries).ok()?;
    let mut rest = plain.as_slice();
    let mut decoded = Vec::new();
    while !rest.is_empty() {
        let (mut length, mut shift) = (0usize, 0);
        loop {
            let (&byte, after) = rest.split_first()?;
            rest = after;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
            if shift > 28 {
                return None;
            }
        }
        let (key, after) = rest.split_at_checked(length)?;
        let (digest, after) = after.split_first_chunk::<16>()?;
        decoded.push((key.to_vec(), *digest));
        rest = after;
    }
    (decoded.len() as u64 == rows).then_some(decoded)
}

/// A row of `undo_inserts`.
#[derive(Clone, PartialEq, Debug)]
pub struct UndoInserts {
    /// The run.
    pub run: String,
    /// The step.
    pub step: u64,
    /// The batch.
    pub batch: u64,
    /// The table.
    pub target_table: String,
    /// Rows in `entries`.
    pub rows: u64,
    /// See [`decode`].
    pub entries: Vec<u8>,
}

/// A row of `undo_updates`.
#[derive(Clone, PartialEq, Debug)]
pub struct UndoUpdate {
    /// The run.
    pub run: String,
    /// The step.
    pub step: u64,
    /// The batch.
    pub batch: u64,
    /// Order within the batch.
    pub seq: u64,
    /// The table.
    pub target_table: String,
    /// WCE-1 of the key's values.
    pub row_key: Vec<u8>,
    /// WCE-1 of the row before.
    pub before: Vec<u8>,
    /// WCE-1 of the row after.
    pub after: Vec<u8>,
}

impl Stored for UndoInserts {
    fn table() -> &'static Table {
        &tables::UNDO_INSERTS
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.step.into(),
            self.batch.into(),
            self.target_table.as_str().into(),
            self.rows.into(),
            self.entries.as_slice().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            run: cells.text()?,
            step: cells.int()?,
            batch: cells.int()?,
            target_table: cells.text()?,
            rows: cells.int()?,
            entries: cells.bytes()?,
        })
    }
}

impl Stored for UndoUpdate {
    fn table() -> &'static Table {
        &tables::UNDO_UPDATES
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.step.into(),
            self.batch.into(),
            self.seq.into(),
            self.target_table.as_str().into(),
            self.row_key.as_slice().into(),
            self.before.as_slice().into(),
            self.after.as_slice().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            run: cells.text()?,
            step: cells.int()?,
            batch: cells.int()?,
            seq: cells.int()?,
            target_table: cells.text()?,
            row_key: cells.bytes()?,
            before: cells.bytes()?,
            after: cells.bytes()?,
        })
    }
}

/// Writes the journal of a batch.
pub async fn put(
    txn: &mut dyn Txn,
    run: &str,
    step: u64,
    batch: u64,
    target_table: &str,
    inserts: InsertJournal,
    updates: &[UndoUpdate],
) -> Result<(), EndpointError> {
    if inserts.rows > 0 {
        let row = UndoInserts {
            run: run.to_owned(),
            step,
            batch,
            target_table: target_table.to_owned(),
            rows: inserts.rows,
            entries: inserts.compressed()?,
        };
        cells::put(txn, &[row]).await?;
    }
    cells::put(txn, updates).await
}

/// The inserts of a step behind a batch, the next batches first: as many as memory takes well.
pub async fn inserts_behind(
    target: &dyn Target,
    run: &str,
    step: u64,
    batch: Option<u64>,
) -> Result<Vec<UndoInserts>, EndpointError> {
    let mut query = cells::query::<UndoInserts>()
        .is("run", run)
        .is("step", step)
        .by("batch", Order::Rising)
        .at_most(4);
    if let Some(batch) = batch {
        query = query.that("batch", Operator::Above, vec![batch.into()]);
    }
    cells::select(target, query).await
}

/// The updates of one batch behind a number, in order.
pub async fn updates_behind(
    target: &dyn Target,
    run: &str,
    step: u64,
    batch: u64,
    seq: Option<u64>,
) -> Result<Vec<UndoUpdate>, EndpointError> {
    let mut query = cells::query::<UndoUpdate>()
        .is("run", run)
        .is("step", step)
        .is("batch", batch)
        .by("seq", Order::Rising)
        .at_most(2_000);
    if let Some(seq) = seq {
        query = query.that("seq", Operator::Above, vec![seq.into()]);
    }
    cells::select(target, query).await
}

/// The inserts of a run, by step and batch.
pub async fn inserts(target: &dyn Target, run: &str) -> Result<Vec<UndoInserts>, EndpointError> {
    let query = cells::query::<UndoInserts>()
        .is("run", run)
        .by("step", Order::Rising)
        .by("batch", Order::Rising);
    cells::select(target, query).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_large_journal_comes_back_from_several_frames() {
        let entries: Vec<(Vec<u8>, [u8; 16])> = (0..60_000u32)
            .map(|row| (row.to_be_bytes().repeat(5), [row.to_le_bytes()[0]; 16]))
            .collect();
        let mut journal = InsertJournal::default();
        entries.iter().for_each(|(key, digest)| journal.push(key, *digest));
        assert_eq!(journal.size(), 60_000 * (1 + 20 + 16));
        assert_eq!(journal.frames.len(), journal.size() / FRAME);
        let blob = journal.compressed().unwrap();
        assert_eq!(decode(60_000, &blob), Some(entries));
    }

    proptest! {
        #[test]
        fn a_journal_comes_back_in_order(
            entries in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 0..300), any::<[u8; 16]>()), 0..50,
            )
        ) {
            let mut journal = InsertJournal::default();
            entries.iter().for_each(|(key, digest)| journal.push(key, *digest));
            prop_assert_eq!(journal.rows(), entries.len() as u64);
            let blob = journal.compressed().unwrap();
            prop_assert_eq!(decode(entries.len() as u64, &blob), Some(entries));
        }

        #[test]
        fn damage_is_noticed_or_harmless_but_never_a_panic(blob in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(1, &blob);
        }
    }
}
