//! Where a reader can go on.

/// A place between two records of a file, for [`crate::csv::CsvReader::resume`] and its like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Mark {
    /// Offset of the next byte, in the unpacked file.
    pub byte: u64,
    /// Its line, from 1.
    pub line: u64,
    /// Records so far.
    pub records: u64,
    /// Lines so far that were no records: blank, comments, before the header.
    pub skipped: u64,
    /// The reader's own.
    pub(crate) state: [u64; 3],
}

impl Mark {
    /// As numbers, to be stored.
    pub fn to_numbers(self) -> [u64; 7] {
        let [a, b, c] = self.state;
        [self.byte, self.line, self.records, self.skipped, a, b, c]
    }

    /// From numbers that [`Mark::to_numbers`] gave.
    pub fn from_numbers([byte, line, records, skipped, a, b, c]: [u64; 7]) -> Self {
        Self { byte, line, records, skipped, state: [a, b, c] }
    }
}
