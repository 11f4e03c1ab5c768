//! JSON Lines (NDJSON): one document a line.
//!
//! Lines end with LF; a CR before it belongs to the line end. Blank lines are skipped and counted.
//! A line that is no JSON is a defect, and the next line is a record again.

use whimbrel_model::{Defect, Position};

use crate::codes;
use crate::csv::{KEPT_OF_TOO_LONG, MORE_THAN_ONE, NO_RECORD, not_one_record};
use crate::input::{Input, ReadError};
use crate::json::{JsonRecord, examine, is_blank, part_alone};
use crate::lines::{Ends, take_line};
use crate::mark::Mark;

/// Reads the records of one file.
#[derive(Debug)]
pub struct JsonLinesReader {
    input: Input,
    record_bytes_max: usize,
    records: u64,
    skipped: u64,
    kept: Vec<u8>,
    terminated: bool,
    settled: Option<(Mark, [u8; 32])>,
}

impl JsonLinesReader {
    /// A reader at the start; longer lines than `record_bytes_max` are defects.
    pub fn new(input: Input, record_bytes_max: usize) -> Self {
        Self {
            input,
            record_bytes_max,
            records: 0,
            skipped: 0,
            kept: Vec::new(),
            terminated: true,
            settled: None,
        }
    }

    /// The stream behind the reader.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Blank lines.
    pub fn skipped_lines(&self) -> u64 {
        self.skipped
    }

    /// Physical lines so far.
    pub fn lines(&self) -> u64 {
        self.input.line() - 1 + u64::from(!self.terminated)
    }

    /// Where to go on after the last record.
    pub fn mark(&self) -> Mark {
        Mark {
            byte: self.input.byte(),
            line: self.input.line(),
            records: self.records,
            skipped: self.skipped,
            state: [0, u64::from(!self.terminated), 0],
        }
    }

    /// BLAKE3 of all bytes before the mark.
    pub fn digest(&mut self) -> [u8; 32] {
        self.input.digest()
    }

    /// Where to go on when the file has grown: a last line without line end is then read again.
    pub fn settled(&mut self) -> (Mark, [u8; 32]) {
        match self.settled {
            Some(settled) => settled,
            None => (self.mark(), self.digest()),
        }
    }

    /// Goes on, from a new reader, after a mark and its digest that a reader of the same file gave.
    /// False where the file is not the same up to there, or its last line has grown.
    pub fn resume(&mut self, mark: &Mark, digest: &[u8; 32]) -> Result<bool, ReadError> {
        if !self.input.skip_to(mark.byte, mark.line)? || self.digest() != *digest {
            return Ok(false);
        }
        self.records = mark.records;
        self.skipped = mark.skipped;
        if mark.state[1] == 0 {
            return Ok(true);
        }
        self.terminated = false;
        self.input.fill(2)?;
        let end = match self.input.unread() {
            [] => return Ok(true),
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return Ok(false),
        };
        self.input.consume(end, 1);
        self.terminated = true;
        Ok(true)
    }

    /// The next record; `None` at the end.
    #[allow(clippy::should_implement_trait)] // it lends from the reader
    pub fn next(&mut self) -> Result<Option<JsonRecord<'_>>, ReadError> {
        let length = loop {
            if self.input.unread().is_empty() && !self.input.fill(1)? {
                return Ok(None);
            }
            let max = self.record_bytes_max;
            let unread = self.input.unread();
            match memchr::memchr(b'\n', unread) {
                Some(at) if without_return(&unread[..at]).len() > max => {
                    return self.too_long().map(Some);
                }
                Some(at) if blank(&unread[..at]) => {
                    self.input.consume(at + 1, 1);
                    self.skipped += 1;
                }
                Some(at) => break at,
                // One more than the longest line, for the CR of a line end that is not in sight.
                None if !self.input.ended() && unread.len() <= max + 1 => {
                    self.input.fill_more()?;
                }
                None if unread.len() > max => return self.too_long().map(Some),
                None if blank(unread) => {
                    self.terminated = false;
                    self.settled = Some((self.mark_final(), self.input.digest()));
                    let length = self.input.unread().len();
                    self.input.consume(length, 0);
                    self.skipped += 1;
                }
                None => break unread.len(),
            }
        };
        Ok(Some(self.take(length)))
    }

    fn mark_final(&self) -> Mark {
        Mark { state: [0, 0, 0], ..self.mark() }
    }

    fn position(&mut self) -> Position {
        self.records += 1;
        Position { record: self.records, line: self.input.line(), byte: self.input.byte() }
    }

    fn take(&mut self, length: usize) -> JsonRecord<'_> {
        let line_end = usize::from(length < self.input.unread().len());
        if line_end == 0 {
            self.settled = Some((self.mark(), self.digest()));
        }
        let position = self.position();
        let text = &self.input.unread()[..length];
        let returned = usize::from(line_end == 1 && text.last() == Some(&b'\r'));
        let (length, whole) = (length - returned, length + line_end);
        let misfit = self.input.misfit(length);
        let original = self.input.original_len(length);
        let original_whole = self.input.original_len(whole);
        self.terminated = line_end == 1;
        self.input.consume(whole, line_end as u64);
        let text = &self.input.consumed(whole)[..length];
        let raw = &self.input.consumed_original(whole, original_whole)[..original];
        examine(position, raw, text, misfit, self.input.encoding())
    }

    fn too_long(&mut self) -> Result<JsonRecord<'_>, ReadError> {
        let settled = (self.mark(), self.digest());
        let position = self.position();
        let max = self.record_bytes_max;
        let limits = (KEPT_OF_TOO_LONG, KEPT_OF_TOO_LONG);
        let line = take_line(&mut self.input, Ends::LineFeed, &mut self.kept, limits, &mut |_| {})?
            .expect("a line stands here");
        self.terminated = line.terminated;
        if !line.terminated {
            self.settled = Some(settled);
        }
        let message = format!("the line has {} bytes, more than {max}", line.original);
        let defect = Defect { code: codes::RECORD_TOO_LONG, column: 0, message };
        Ok(JsonRecord::rejected(position, &self.kept, defect))
    }
}

/// The only line of `input`, which is whole in memory; a defect where it has none, or more. It
/// stands at `position` and its bytes are `raw`.
pub(crate) fn line_alone<'a>(
    input: &'a Input,
    position: Position,
    raw: &'a [u8],
    max: usize,
) -> JsonRecord<'a> {
    let text = input.unread();
    let Some(first) = text.iter().position(|byte| !is_blank(*byte)) else {
        return JsonRecord::rejected(position, raw, not_one_record(NO_RECORD));
    };
    let begin = memchr::memrchr(b'\n', &text[..first]).map_or(0, |at| at + 1);
    let end = memchr::memchr(b'\n', &text[first..]).map_or(text.len(), |at| first + at);
    if !blank(&text[end..]) {
        return JsonRecord::rejected(position, raw, not_one_record(MORE_THAN_ONE));
    }
    let line = &text[begin..end];
    let line = if end < text.len() { without_return(line) } else { line };
    part_alone(input, (begin, begin + line.len()), position, raw, max)
}

/// A line whose LF stands behind it, without the CR that belongs to it.
fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn blank(text: &[u8]) -> bool {
    text.iter().all(|byte| is_blank(*byte))
}
