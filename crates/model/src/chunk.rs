//! Rows in memory: packed cells over two arenas, so that no value costs an allocation.
//!
//! ```text
//! cells  [r0c0 r0c1 r0c2 | r1c0 r1c1 r1c2 | …]     16 bytes each, row by row
//!          │         └──────────▶ text  "alphabeta…"       (one String)
//!          └────────────────────▶ bytes [00 ff …]          (one Vec<u8>)
//! ```
//! A chunk is about 1,000 rows or 1 MiB; it knows nothing of tables or sources.

use crate::time::{Date, DateTime, Time};
use crate::value::ValueRef;

/// A range of an arena. Arenas stay below 4 GiB because readers bound the size of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    #[inline]
    fn new(start: usize, len: usize) -> Self {
        Self {
            start: u32::try_from(start).expect("an arena stays below 4 GiB"),
            len: u32::try_from(len).expect("a value stays below 4 GiB"),
        }
    }

    /// The same range behind `before` bytes of another arena.
    fn behind(self, before: usize) -> Self {
        Self::new(before + self.start as usize, self.len as usize)
    }

    #[inline]
    fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

#[derive(Clone, Copy, Debug)]
enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Wide(u32),
    Decimal(Span),
    Float(f64),
    Text(Span),
    Bytes(Span),
    Date(i32),
    Time(i64),
    Timestamp { days: i32, nanos: u64 },
    TimestampTz { days: i32, nanos: u64 },
    Uuid(u32),
    Json(Span),
}

const _: () = assert!(size_of::<Cell>() == 16);

/// Finished rows of one width.
#[derive(Clone, Debug, Default)]
pub struct Chunk {
    width: usize,
    rows: usize,
    cells: Vec<Cell>,
    text: String,
    bytes: Vec<u8>,
    wide: Vec<i128>,
}

/// One row of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    chunk: &'a Chunk,
    first: usize,
}

/// Writes a chunk value by value, row by row.
#[derive(Debug, Default)]
pub struct ChunkBuilder {
    chunk: Chunk,
}

impl Chunk {
    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of memory the rows take, for bounding batches.
    pub fn size(&self) -> usize {
        self.cells.len() * size_of::<Cell>()
            + self.text.len()
            + self.bytes.len()
            + self.wide.len() * 16
    }

    /// Takes the rows of another chunk of the same width behind its own.
    ///
    /// # Panics
    /// Where the widths differ: a defect of the caller.
    pub fn append(&mut self, other: &Self) {
        assert_eq!(self.width, other.width, "width of a chunk");
        let (text, bytes, wide) = (self.text.len(), self.bytes.len(), self.wide.len());
        let at = |start: u32, before: usize| Span { start, len: 0 }.behind(before).start;
        self.cells.extend(other.cells.iter().map(|cell| match *cell {
            Cell::Decimal(span) => Cell::Decimal(span.behind(text)),
            Cell::Text(span) => Cell::Text(span.behind(text)),
            Cell::Json(span) => Cell::Json(span.behind(text)),
            Cell::Bytes(span) => Cell::Bytes(span.behind(bytes)),
            Cell::Uuid(start) => Cell::Uuid(at(start, bytes)),
            Cell::Wide(index) => Cell::Wide(at(index, wide)),
            Cell::Null
            | Cell::Bool(_)
            | Cell::Int(_)
            | Cell::Float(_)
            | Cell::Date(_)
            | Cell::Time(_)
            | Cell::Timestamp { .. }
            | Cell::TimestampTz { .. } => *cell,
        }));
        self.rows += other.rows;
        self.text.push_str(&other.text);
        self.bytes.extend_from_slice(&other.bytes);
        self.wide.extend_from_slice(&other.wide);
    }

    /// The same rows with other columns, `None` for one of NULLs. Nothing is copied but cells: what was
    /// long in the columns that are left out is kept, unseen.
    ///
    /// # Panics
    /// Where there is no such column: a defect of the caller.
    #[must_use]
    pub fn select(self, columns: &[Option<usize>]) -> Self {
        let width = self.width;
        let mut cells = Vec::with_capacity(self.rows * columns.len());
        for row in 0..self.rows {
            let row = &self.cells[row * width..(row + 1) * width];
            cells.extend(columns.iter().map(|at| at.map_or(Cell::Null, |at| row[at])));
        }
        Self { width: columns.len(), cells, ..self }
    }

    /// Bytes of all text.
    pub fn text_len(&self) -> usize {
        self.text.len()
    }

    /// The row at `index`, which must be below [`Chunk::len`].
    #[inline]
    pub fn row(&self, index: usize) -> Row<'_> {
        assert!(index < self.rows, "row {index} of a chunk of {}", self.rows);
        Row { chunk: self, first: index * self.width }
    }

    /// All rows in order.
    #[inline]
    pub fn rows(&self) -> impl ExactSizeIterator<Item = Row<'_>> {
        (0..self.rows).map(|index| Row { chunk: self, first: index * self.width })
    }

    // Where the caller looks at the value at once it never has to exist: out of line it is written to
    // memory and read back at another width, which stalls for longer than all the rest takes.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn value(&self, cell: Cell) -> ValueRef<'_> {
        match cell {
            Cell::Null => ValueRef::Null,
            Cell::Bool(v) => ValueRef::Bool(v),
            Cell::Int(v) => ValueRef::Int(v.into()),
            Cell::Wide(index) => ValueRef::Int(self.wide[index as usize]),
            Cell::Decimal(span) => ValueRef::Decimal(&self.text[span.range()]),
            Cell::Float(v) => ValueRef::Float(v),
            Cell::Text(span) => ValueRef::Text(&self.text[span.range()]),
            Cell::Bytes(span) => ValueRef::Bytes(&self.bytes[span.range()]),
            Cell::Date(days) => ValueRef::Date(Date { days }),
            Cell::Time(nanos) => ValueRef::Time(Time { nanos }),
            Cell::Timestamp { days, nanos } => ValueRef::Timestamp(DateTime { days, nanos }),
            Cell::TimestampTz { days, nanos } => ValueRef::TimestampTz(DateTime { days, nanos }),
            Cell::Uuid(start) => {
                let start = start as usize;
                let uuid = self.bytes[start..start + 16].try_into();
                ValueRef::Uuid(uuid.expect("a uuid is 16 bytes"))
            }
            Cell::Json(span) => ValueRef::Json(&self.text[span.range()]),
        }
    }
}

impl<'a> Row<'a> {
    /// The value in column `index`, which must be below the chunk's width.
    // As for `Chunk::value`.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    pub fn get(&self, index: usize) -> ValueRef<'a> {
        assert!(index < self.chunk.width, "column {index} of {}", self.chunk.width);
        self.chunk.value(self.chunk.cells[self.first + index])
    }

    /// All values in order.
    #[inline]
    pub fn values(&self) -> impl ExactSizeIterator<Item = ValueRef<'a>> + use<'a> {
        let chunk = self.chunk;
        chunk.cells[self.first..self.first + chunk.width].iter().map(|cell| chunk.value(*cell))
    }
}

impl ChunkBuilder {
    /// A builder for rows of `width` values.
    pub fn new(width: usize) -> Self {
        Self { chunk: Chunk { width, ..Chunk::default() } }
    }

    /// A builder that expects about `rows` rows with `bytes` of text.
    pub fn with_capacity(width: usize, rows: usize, bytes: usize) -> Self {
        let mut builder = Self::new(width);
        builder.chunk.cells.reserve(width * rows);
        builder.chunk.text.reserve(bytes);
        builder
    }

    /// Appends one value to the row under construction.
    #[inline]
    pub fn push(&mut self, value: ValueRef<'_>) {
        let cell = self.cell(value);
        self.chunk.cells.push(cell);
    }

    /// Appends text that the caller writes piece by piece, without an intermediate string.
    #[inline]
    pub fn push_text_with(&mut self, write: impl FnOnce(&mut String)) {
        let start = self.chunk.text.len();
        write(&mut self.chunk.text);
        let span = Span::new(start, self.chunk.text.len() - start);
        self.chunk.cells.push(Cell::Text(span));
    }

    /// Ends the row under construction.
    ///
    /// # Panics
    /// Where the row has not exactly the builder's width: a defect of the caller.
    #[inline]
    pub fn end_row(&mut self) {
        self.chunk.rows += 1;
        assert_eq!(self.chunk.cells.len(), self.chunk.rows * self.chunk.width, "width of a row");
    }

    /// Forgets the values of the row under construction. Their text stays in the arena, unseen.
    pub fn cancel_row(&mut self) {
        self.chunk.cells.truncate(self.chunk.rows * self.chunk.width);
    }

    /// Forgets the rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        self.chunk.rows = self.chunk.rows.min(rows);
        self.cancel_row();
    }

    /// Finished rows so far.
    pub fn len(&self) -> usize {
        self.chunk.rows
    }

    /// True without a finished row.
    pub fn is_empty(&self) -> bool {
        self.chunk.rows == 0
    }

    /// The value at `index` of the row under construction, which must have been pushed.
    #[inline]
    pub fn current(&self, index: usize) -> ValueRef<'_> {
        let first = self.chunk.rows * self.chunk.width;
        self.chunk.value(self.chunk.cells[first + index])
    }

    /// Bytes of memory so far.
    pub fn size(&self) -> usize {
        self.chunk.size()
    }

    /// The finished chunk; a row under construction is dropped.
    pub fn finish(mut self) -> Chunk {
        self.cancel_row();
        self.chunk
    }

    #[inline]
    fn text(&mut self, text: &str) -> Span {
        let span = Span::new(self.chunk.text.len(), text.len());
        self.chunk.text.push_str(text);
        span
    }

    // As for `Chunk::value`.
    #[allow(clippy::inline_always)]
    #[inline(always)]
    fn cell(&mut self, value: ValueRef<'_>) -> Cell {
        match value {
            ValueRef::Null => Cell::Null,
            ValueRef::Bool(v) => Cell::Bool(v),
            ValueRef::Int(v) => {
                if let Ok(v) = i64::try_from(v) {
                    Cell::Int(v)
                } else {
                    self.chunk.wide.push(v);
                    Cell::Wide((self.chunk.wide.len() - 1) as u32)
                }
            }
            ValueRef::Decimal(v) => Cell::Decimal(self.text(v)),
            ValueRef::Float(v) => Cell::Float(v),
            ValueRef::Text(v) => Cell::Text(self.text(v)),
            ValueRef::Bytes(v) => {
                let span = Span::new(self.chunk.bytes.len(), v.len());
                self.chunk.bytes.extend_from_slice(v);
                Cell::Bytes(span)
            }
            ValueRef::Date(v) => Cell::Date(v.days),
            ValueRef::Time(v) => Cell::Time(v.nanos),
            ValueRef::Timestamp(v) => Cell::Timestamp { days: v.days, nanos: v.nanos },
            ValueRef::TimestampTz(v) => Cell::TimestampTz { days: v.days, nanos: v.nanos },
            ValueRef::Uuid(v) => {
                let span = Span::new(self.chunk.bytes.len(), 16);
                self.chunk.bytes.extend_from_slice(&v);
                Cell::Uuid(span.start)
            }
            ValueRef::Json(v) => Cell::Json(self.text(v)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> [ValueRef<'static>; 13] {
        [
            ValueRef::Null,
            ValueRef::Bool(true),
            ValueRef::Int(i128::MAX),
            ValueRef::Int(-1),
            ValueRef::Decimal("1.10"),
            ValueRef::Float(-0.0),
            ValueRef::Text("née"),
            ValueRef::Bytes(&[0, 255]),
            ValueRef::Date(Date { days: -1 }),
            ValueRef::Time(Time { nanos: 5 }),
            ValueRef::TimestampTz(DateTime { days: 1, nanos: 2 }),
            ValueRef::Uuid([7; 16]),
            ValueRef::Json("{}"),
        ]
    }

    fn chunk(rows: usize) -> Chunk {
        let mut builder = ChunkBuilder::new(values().len());
        for _ in 0..rows {
            values().into_iter().for_each(|value| builder.push(value));
            builder.end_row();
        }
        builder.finish()
    }

    fn holds(chunk: &Chunk, rows: usize) {
        assert_eq!(chunk.len(), rows);
        for row in chunk.rows() {
            assert!(row.values().zip(values()).all(|(a, b)| a == b));
        }
    }

    #[test]
    fn values_come_back_as_they_went_in() {
        holds(&chunk(2), 2);
    }

    #[test]
    fn an_appended_chunk_keeps_its_values() {
        let mut whole = chunk(1);
        whole.append(&chunk(2));
        whole.append(&chunk(0));
        whole.append(&chunk(1));
        holds(&whole, 4);
        assert_eq!(whole.size(), chunk(4).size());
    }

    #[test]
    fn selected_columns_have_the_values_they_had() {
        let chunk = chunk(2).select(&[Some(6), None, Some(2), Some(6)]);
        assert_eq!((chunk.width(), chunk.len()), (4, 2));
        let row: Vec<ValueRef<'_>> = chunk.row(1).values().collect();
        let text = ValueRef::Text("née");
        assert_eq!(row, [text, ValueRef::Null, ValueRef::Int(i128::MAX), text]);
        assert_eq!(chunk.select(&[]).len(), 2);
    }

    #[test]
    fn a_cancelled_row_leaves_no_trace() {
        let mut builder = ChunkBuilder::new(2);
        builder.push(ValueRef::Int(1));
        builder.cancel_row();
        builder.push(ValueRef::Int(2));
        builder.push(ValueRef::Int(3));
        builder.end_row();
        let chunk = builder.finish();
        assert_eq!(chunk.len(), 1);
        assert_eq!(chunk.row(0).get(0), ValueRef::Int(2));
    }
}
