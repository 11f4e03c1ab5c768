//! Rows in order, however many: what does not fit into memory waits in files.
//!
//! ```text
//! rows ─▶ memory, up to a budget ─▶ sorted run ─▶ unnamed file ┐
//!                                   sorted run ─▶ …            ├─ merged ─▶ rows in order
//!                                   the last one, in memory ───┘
//! ```
//! An external merge sort (Knuth, The Art of Computer Programming 3, §5.4). Rows are ordered by the
//! bytes of [`crate::order`]; equal ones keep the order in which they came. The files have no names, so
//! that nothing is left however the process ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed};
use whimbrel_model::{Chunk, ChunkBuilder, Row, ValueRef};

use crate::{codes, order, packed};

/// Rows in a piece that is handed out.
const PIECE_ROWS: usize = 512;

/// Bytes of a piece after which it ends early.
const PIECE_BYTES: usize = 512 << 10;

/// What the buffers of all runs may take when they are merged.
const BUFFERS: usize = 4 << 20;

/// Where rows wait, and how many bytes of them in memory.
#[derive(Clone, Debug)]
pub struct Room {
    /// A folder for files without names.
    pub folder: PathBuf,
    /// Bytes of rows in memory.
    pub bytes: usize,
}

/// Takes rows in any order.
#[derive(Debug)]
pub struct Sorter {
    room: Room,
    width: usize,
    /// The columns that rows are ordered by.
    key: Vec<usize>,
    /// Keys and rows, one behind the other.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    runs: Vec<File>,
}

/// A row in the sorter's bytes: key, then values.
#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    key: u32,
    row: u32,
}

impl Sorter {
    /// A sorter for rows of so many values, ordered by these columns.
    pub fn new(room: Room, width: usize, key: &[usize]) -> Self {
        let key = key.to_vec();
        Self { room, width, key, bytes: Vec::new(), entries: Vec::new(), runs: Vec::new() }
    }

    /// Takes a row.
    pub fn push(&mut self, row: Row<'_>) -> Result<(), EndpointError> {
        let start = self.bytes.len();
        for &column in &self.key {
            order::bytes(row.get(column), &mut self.bytes);
        }
        let key = self.bytes.len() - start;
        row.values().for_each(|value| packed::pack(value, &mut self.bytes));
        let row = self.bytes.len() - start - key;
        self.entries.push(Entry { start, key: key as u32, row: row as u32 });
        let taken = self.bytes.len() + self.entries.len() * size_of::<Entry>();
        if taken >= self.room.bytes {
            self.spill().map_err(|error| full(&self.room.folder, error))?;
        }
        Ok(())
    }

    /// The rows in order.
    pub fn finish(mut self) -> Result<Sorted, EndpointError> {
        self.sort();
        let folder = self.room.folder.clone();
        let buffer = (BUFFERS / (self.runs.len() + 1)).clamp(4 << 10, 256 << 10);
        let mut runs: Vec<Run> = Vec::with_capacity(self.runs.len() + 1);
        for mut file in self.runs {
            file.seek(SeekFrom::Start(0)).map_err(|error| full(&folder, error))?;
            runs.push(Run::File(BufReader::with_capacity(buffer, file)));
        }
        runs.push(Run::Memory { bytes: self.bytes, entries: self.entries, next: 0 });
        let mut sorted =
            Sorted { runs, heads: BinaryHeap::new(), rows: Vec::new(), width: self.width, folder };
        sorted.rows.resize(sorted.runs.len(), Vec::new());
        for run in 0..sorted.runs.len() {
            sorted.advance(run, Vec::new())?;
        }
        Ok(sorted)
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let key = |entry: &Entry| &bytes[entry.start..entry.start + entry.key as usize];
        self.entries.sort_by(|a, b| key(a).cmp(key(b)));
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let mut out = BufWriter::with_capacity(1 << 20, tempfile::tempfile_in(&self.room.folder)?);
        for entry in &self.entries {
            let (key, row) = (entry.key as usize, entry.row as usize);
            out.write_all(&entry.key.to_le_bytes())?;
            out.write_all(&entry.row.to_le_bytes())?;
            out.write_all(&self.bytes[entry.start..entry.start + key + row])?;
        }
        self.runs.push(out.into_inner().map_err(io::IntoInnerError::into_error)?);
        self.bytes.clear();
        self.entries.clear();
        Ok(())
    }
}

fn full(folder: &Path, error: io::Error) -> EndpointError {
    let what = format!("keeping rows in files while they are sorted: `{}`", folder.display());
    EndpointError::new(ErrorClass::System, codes::NO_ROOM, what).because(error)
}

#[derive(Debug)]
enum Run {
    File(BufReader<File>),
    Memory { bytes: Vec<u8>, entries: Vec<Entry>, next: usize },
}

impl Run {
    /// The next key and row, `None` at the end.
    fn next(&mut self, key: &mut Vec<u8>, row: &mut Vec<u8>) -> io::Result<Option<()>> {
        match self {
            Self::Memory { bytes, entries, next } => {
                let Some(entry) = entries.get(*next) else { return Ok(None) };
                *next += 1;
                let middle = entry.start + entry.key as usize;
                key.clear();
                key.extend_from_slice(&bytes[entry.start..middle]);
                row.clear();
                row.extend_from_slice(&bytes[middle..middle + entry.row as usize]);
            }
            Self::File(file) => {
                let mut lengths = [0; 8];
                match file.read_exact(&mut lengths) {
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                    read => read?,
                }
                let length = |bytes: &[u8]| {
                    u32::from_le_bytes(*bytes.first_chunk().expect("four bytes")) as usize
                };
                key.resize(length(&lengths[..4]), 0);
                file.read_exact(key)?;
                row.resize(length(&lengths[4..]), 0);
                file.read_exact(row)?;
            }
        }
        Ok(Some(()))
    }
}

/// Rows in order.
#[derive(Debug)]
pub struct Sorted {
    runs: Vec<Run>,
    /// The next key of every run that has one; of equal keys the earlier run's comes first.
    heads: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    /// The next row of every run.
    rows: Vec<Vec<u8>>,
    width: usize,
    folder: PathBuf,
}

impl Sorted {
    fn advance(&mut self, run: usize, mut key: Vec<u8>) -> Result<(), EndpointError> {
        let next = self.runs[run].next(&mut key, &mut self.rows[run]);
        if next.map_err(|error| full(&self.folder, error))?.is_some() {
            self.heads.push(Reverse((key, run)));
        }
        Ok(())
    }
}

#[async_trait]
impl Feed for Sorted {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        let mut piece = ChunkBuilder::with_capacity(self.width, PIECE_ROWS, 0);
        while piece.len() < PIECE_ROWS && piece.size() < PIECE_BYTES {
            let Some(Reverse((key, run))) = self.heads.pop() else { break };
            let mut rest = self.rows[run].as_slice();
            for _ in 0..self.width {
                piece.push(packed::unpack(&mut rest).unwrap_or(ValueRef::Null));
            }
            piece.end_row();
            self.advance(run, key)?;
        }
        Ok((!piece.is_empty()).then(|| piece.finish()))
    }
}

/// All rows of a feed, in the order of these columns.
pub async fn sorted(
    mut feed: Box<dyn Feed>,
    width: usize,
    key: &[usize],
    room: &Room,
) -> Result<Sorted, EndpointError> {
    let mut sorter = Sorter::new(room.clone(), width, key);
    while let Some(chunk) = feed.next().await? {
        for row in chunk.rows() {
            sorter.push(row)?;
        }
    }
    sorter.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_order(rows: &[(i64, String)], bytes: usize) -> Vec<(i64, String)> {
        let mut chunk = ChunkBuilder::new(2);
        for (number, text) in rows {
            chunk.push(ValueRef::Int((*number).into()));
            chunk.push(ValueRef::Text(text));
            chunk.end_row();
        }
        let chunk = chunk.finish();
        let room = Room { folder: std::env::temp_dir(), bytes };
        let mut sorter = Sorter::new(room, 2, &[0]);
        chunk.rows().for_each(|row| sorter.push(row).unwrap());
        let mut sorted = sorter.finish().unwrap();
        let mut out = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        while let Some(piece) = runtime.block_on(sorted.next()).unwrap() {
            out.extend(piece.rows().map(|row| {
                let (ValueRef::Int(number), ValueRef::Text(text)) = (row.get(0), row.get(1)) else {
                    panic!("a number and a text")
                };
                (number as i64, text.to_owned())
            }));
        }
        out
    }

    proptest! {
        #[test]
        fn rows_come_in_order_and_equal_ones_as_they_came(
            rows in prop::collection::vec((-5i64..5, "[a-z]{0,9}"), 0..200), bytes in 1usize..4_000,
        ) {
            let mut expected = rows.clone();
            expected.sort_by_key(|(number, _)| *number);
            prop_assert_eq!(in_order(&rows, bytes), expected);
        }
    }

    #[tokio::test]
    async fn a_folder_that_takes_no_files_is_an_error_and_no_loss() {
        let room = Room { folder: "/nowhere".into(), bytes: 1 };
        let mut sorter = Sorter::new(room, 1, &[0]);
        let mut chunk = ChunkBuilder::new(1);
        chunk.push(ValueRef::Int(1));
        chunk.end_row();
        let error = sorter.push(chunk.finish().row(0)).unwrap_err();
        assert_eq!((error.class, error.code), (ErrorClass::System, codes::NO_ROOM));
    }
}
