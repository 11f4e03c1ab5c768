//! Separated values, record by record, with everything a person needs to find a bad one again.
//!
//! Owns dialects, headers, ragged rows and broken quoting. A field knows whether it was quoted, so
//! that `""`, an empty cell and `NA` stay three things.
//!
//! Quoting follows RFC 4180: a quote counts at the start of a field only, and after the closing one
//! comes a delimiter or a line end. LF, CR LF and CR end lines. What breaks these rules is never
//! guessed at:
//! ```text
//! 7,"stray        ◀ rejected: the quote opened here is never closed
//! 8,fine          ◀ rejected too, as a line of its own: a cell or a record? nobody can know
//! ```
//! So a stray quote never swallows a file unnoticed: every line it touches counts as a reject.

mod alone;
mod header;
mod scan;

use whimbrel_model::{Defect, Position};

use crate::codes;
use crate::input::{Input, ReadError, column};
use crate::mark::Mark;
pub(crate) use alone::{MORE_THAN_ONE, NO_RECORD, not_one_record};
use scan::{Form, Scanned, Scanner, Span, Track};

/// Bytes of a record unless told otherwise: 64 MiB.
pub const RECORD_MAX_DEFAULT: usize = 64 << 20;

/// Bytes of a record whatever one is told: 1 GiB.
pub const RECORD_MAX: usize = 1 << 30;

/// Bytes that are kept of a record that is too long.
pub const KEPT_OF_TOO_LONG: usize = whimbrel_endpoint::CUT_BYTES;

/// In a mark: the last line read had no line end.
const UNTERMINATED: u64 = 1 << 8;

/// How separated values are written, and what to do with records that are not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CsvOptions {
    /// Between fields; ASCII.
    pub delimiter: u8,
    /// Around fields; ASCII. `None`: quotes are characters like any other.
    pub quote: Option<u8>,
    /// Before a quote or itself inside a quoted field, beside doubling; ASCII. Before anything
    /// else it is a character like any other, so that `\n` stays `\n`.
    pub escape: Option<u8>,
    /// Records that begin with this byte are comments, skipped and counted; ASCII.
    pub comment: Option<u8>,
    /// Whether the first record names the columns.
    pub header: bool,
    /// Names instead of the header's. Without header and names, columns are `column_1` ….
    pub names: Vec<String>,
    /// Lines before the header, skipped and counted.
    pub skip_lines: u64,
    /// What becomes of a record whose number of fields is not the header's.
    pub ragged: Ragged,
    /// Longer records are rejected; at most [`RECORD_MAX`].
    pub record_bytes_max: usize,
}

/// What becomes of a record whose number of fields is not the header's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ragged {
    /// It is rejected.
    Reject,
    /// Missing fields are NULL; surplus ones reject.
    Pad,
    /// Surplus fields are dropped; missing ones reject.
    Truncate,
}

impl Default for CsvOptions {
    fn default() -> Self {
        Self {
            delimiter: b',',
            quote: Some(b'"'),
            escape: None,
            comment: None,
            header: true,
            names: Vec::new(),
            skip_lines: 0,
            ragged: Ragged::Reject,
            record_bytes_max: RECORD_MAX_DEFAULT,
        }
    }
}

impl CsvOptions {
    fn check(&self) -> Result<(), ReadError> {
        let special = [Some(self.delimiter), self.quote, self.escape, self.comment];
        let impossible = |byte: u8| !byte.is_ascii() || matches!(byte, 0 | b'\n' | b'\r');
        let fault = if special.into_iter().flatten().any(impossible) {
            "delimiter, quote, escape and comment are ASCII and no line ends"
        } else if Some(self.delimiter) == self.quote || Some(self.delimiter) == self.escape {
            "the delimiter is also the quote or the escape"
        } else if self.comment.is_some()
            && (self.comment == self.quote || self.comment == Some(self.delimiter))
        {
            "the comment is also the quote or the delimiter"
        } else if self.record_bytes_max == 0 || self.record_bytes_max > RECORD_MAX {
            "a record may have between 1 byte and 1 GiB"
        } else {
            return Ok(());
        };
        Err(ReadError::Options(fault))
    }
}

/// Reads the records of one file.
#[derive(Debug)]
pub struct CsvReader {
    input: Input,
    options: CsvOptions,
    scanner: Scanner,
    columns: Vec<String>,
    records: u64,
    skipped: u64,
    mode: Mode,
    spans: Vec<Span>,
    unescaped: String,
    kept: Vec<u8>,
    terminated: bool,
    /// Where to go on once the file has grown, where that is before what was read.
    settled: Option<(Mark, [u8; 32])>,
}

/// What the next line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// A record.
    Records,
    /// Part of a stretch with broken quoting that began on `line` and ends at or after the place
    /// `until` of the text.
    Broken { line: u64, until: u64 },
    /// Part of the record at `byte` on `line` that the file breaks off in: so is all the rest.
    Open { line: u64, byte: u64 },
    /// Part of a record that is too long and began on `line`.
    TooLong { line: u64, track: Track },
}

/// A record, borrowed until the next one.
#[derive(Debug)]
pub struct CsvRecord<'a> {
    /// Where it stands.
    pub position: Position,
    /// Its original bytes without line end; of a record that is too long, the first 64 KiB.
    pub raw: &'a [u8],
    /// Set where it must be rejected; it has no fields then.
    pub defect: Option<Defect>,
    /// Whether a declared repair was made: [`codes::PADDED`] or [`codes::TRUNCATED`].
    pub repair: Option<&'static str>,
    /// Whether a line end follows.
    pub terminated: bool,
    text: &'a str,
    spans: &'a [Span],
    unescaped: &'a str,
}

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CsvField<'a> {
    /// Its text, without the quotes around it.
    pub text: &'a str,
    /// Whether there were quotes around it.
    pub quoted: bool,
}

impl<'a> CsvRecord<'a> {
    /// Fields; of a padded record fewer than there are columns.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The field of a column, from 0; `None` where the record is too short or defective.
    #[inline]
    pub fn get(&self, column: usize) -> Option<CsvField<'a>> {
        let span = self.spans.get(column)?;
        let from = match span.form {
            Form::Plain | Form::Quoted => self.text,
            Form::Escaped => self.unescaped,
        };
        let text = &from[span.start as usize..span.end as usize];
        Some(CsvField { text, quoted: span.form != Form::Plain })
    }

    /// All fields in order.
    pub fn fields(&self) -> impl Iterator<Item = CsvField<'a>> + '_ {
        (0..self.spans.len()).filter_map(|column| self.get(column))
    }

    /// Whether a NUL stands in it: some targets cannot hold one.
    pub fn has_nul(&self) -> bool {
        memchr::memchr(0, self.text.as_bytes()).is_some()
    }
}

/// A record or line that was taken off the input.
struct Taken {
    position: Position,
    /// Bytes of its text, still in the input's buffer.
    length: usize,
    /// With its line end.
    whole: usize,
    /// Original bytes of both.
    original: (usize, usize),
    fields: usize,
    escaped: bool,
}

enum Step {
    End,
    Record(Taken),
    /// A line whose bytes are in `kept`.
    Rejected(Position, Defect),
}

impl CsvReader {
    /// Reads the header.
    pub fn new(input: Input, options: CsvOptions) -> Result<Self, ReadError> {
        options.check()?;
        let scanner = Scanner::new(&options);
        let mut reader = Self {
            input,
            scanner,
            columns: Vec::new(),
            records: 0,
            skipped: 0,
            mode: Mode::Records,
            spans: Vec::new(),
            unescaped: String::new(),
            kept: Vec::new(),
            terminated: true,
            settled: None,
            options,
        };
        for _ in 0..reader.options.skip_lines {
            if reader.take_line(None)?.is_some() {
                reader.skipped += 1;
            }
        }
        reader.columns = reader.read_columns()?;
        Ok(reader)
    }

    /// Names of the columns; empty where the file holds nothing at all.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The stream behind the reader.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Lines that were no records: blank, comments, before the header.
    pub fn skipped_lines(&self) -> u64 {
        self.skipped
    }

    /// Physical lines so far, the header included.
    pub fn lines(&self) -> u64 {
        self.input.line() - 1 + u64::from(!self.terminated)
    }

    /// Where to go on after the last record.
    pub fn mark(&self) -> Mark {
        let state = match self.mode {
            Mode::Records => [0, 0, 0],
            Mode::Broken { line, until } => [1, line, until],
            Mode::TooLong { line, track } => [2, line, track as u64],
            Mode::Open { line, byte } => [3, line, byte],
        };
        let state = [state[0] | if self.terminated { 0 } else { UNTERMINATED }, state[1], state[2]];
        Mark {
            byte: self.input.byte(),
            line: self.input.line(),
            records: self.records,
            skipped: self.skipped,
            state,
        }
    }

    /// BLAKE3 of all bytes before the mark.
    pub fn digest(&mut self) -> [u8; 32] {
        self.input.digest()
    }

    /// Where to go on when the file has grown: behind the last record that more bytes cannot
    /// change. The last line without line end, or a record inside whose quotes the file breaks off,
    /// is then read again.
    pub fn settled(&mut self) -> (Mark, [u8; 32]) {
        match self.settled {
            Some(settled) => settled,
            None => (self.mark(), self.digest()),
        }
    }

    /// Goes on, from a new reader, after a mark and its digest that a reader of the same file gave.
    ///
    /// False where the file is not the same up to there: its bytes differ, it is shorter, or its
    /// last line, which had no line end, has grown.
    pub fn resume(&mut self, mark: &Mark, digest: &[u8; 32]) -> Result<bool, ReadError> {
        let [kind, line, rest] = mark.state;
        let terminated = kind & UNTERMINATED == 0;
        let mode = match kind & !UNTERMINATED {
            1 => Mode::Broken { line, until: rest },
            2 => Mode::TooLong { line, track: track_from(rest) },
            3 => Mode::Open { line, byte: rest },
            _ => Mode::Records,
        };
        if let Mode::Open { line, byte } = mode {
            // Every line since then, the last one too, was rejected as a record.
            let rejected = (mark.line - line) + u64::from(!terminated);
            (self.records, self.skipped) = (mark.records.saturating_sub(rejected), mark.skipped);
            if !self.input.skip_to(byte, line)? || !self.still_open()? {
                return Ok(false);
            }
            self.settle();
        }
        if !self.input.skip_to(mark.byte, mark.line)? || self.digest() != *digest {
            return Ok(false);
        }
        (self.records, self.skipped) = (mark.records, mark.skipped);
        (self.mode, self.terminated) = (mode, terminated);
        if !terminated {
            return self.end_line();
        }
        self.input.end_return()?;
        Ok(true)
    }

    /// Whether the file still breaks off inside the record ahead.
    fn still_open(&mut self) -> Result<bool, ReadError> {
        loop {
            match self.scan() {
                Scanned::More => self.input.fill_more()?,
                Scanned::Open { .. } => return Ok(true),
                Scanned::AfterQuote { at } => return Ok(self.is_half_a_unit(at)),
                Scanned::Record { .. } => return Ok(false),
            };
        }
    }

    /// The last line had no end: now it may have one, and nothing else.
    fn end_line(&mut self) -> Result<bool, ReadError> {
        self.input.fill(2)?;
        let end = match self.input.unread() {
            [] => return Ok(true),
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            _ => return Ok(false),
        };
        self.input.consume(end, 1);
        self.terminated = true;
        Ok(true)
    }

    /// The next record; `None` at the end.
    #[allow(clippy::should_implement_trait)] // it lends from the reader
    pub fn next(&mut self) -> Result<Option<CsvRecord<'_>>, ReadError> {
        match self.step()? {
            Step::End => Ok(None),
            Step::Record(taken) => Ok(Some(self.lend(&taken))),
            Step::Rejected(position, defect) => {
                let terminated = self.terminated;
                Ok(Some(CsvRecord::rejected(position, &self.kept, defect, terminated)))
            }
        }
    }

    fn step(&mut self) -> Result<Step, ReadError> {
        match self.mode {
            Mode::Records => self.step_record(),
            Mode::Broken { line, until } => self.step_broken(line, until),
            Mode::Open { line, .. } => self.step_open(line),
            Mode::TooLong { line, track } => self.step_too_long(line, track),
        }
    }

    fn step_record(&mut self) -> Result<Step, ReadError> {
        loop {
            if self.input.unread().is_empty() && !self.input.fill(1)? {
                return Ok(Step::End);
            }
            if self.options.comment.is_some_and(|comment| self.input.unread()[0] == comment) {
                let before = self.before_line();
                self.take_line(None)?;
                self.settle_unended(before);
                self.skipped += 1;
                continue;
            }
            let max = self.options.record_bytes_max;
            match self.scan() {
                Scanned::Record { length: 0, whole, lines, .. } if self.columns.len() != 1 => {
                    self.input.consume(whole, lines);
                    self.skipped += 1;
                }
                Scanned::Record { length, whole, lines, fields, escaped } if length <= max => {
                    let taken = self.take(length, whole, lines);
                    return Ok(Step::Record(Taken { fields, escaped, ..taken }));
                }
                // One more than the longest record, so that a CR LF at its end is seen whole.
                Scanned::More if self.input.unread().len() <= max + 1 => {
                    self.input.fill_more()?;
                }
                Scanned::AfterQuote { at } if at <= max && self.is_half_a_unit(at) => {
                    return self.break_off(codes::BAD_ENCODING, at);
                }
                Scanned::AfterQuote { at } if at <= max => return self.break_at(at),
                Scanned::Open { at } if self.input.unread().len() <= max => {
                    return self.break_off(codes::QUOTE_NOT_CLOSED, at);
                }
                Scanned::Record { .. }
                | Scanned::More
                | Scanned::AfterQuote { .. }
                | Scanned::Open { .. } => return self.begin_too_long(),
            }
        }
    }

    fn scan(&mut self) -> Scanned {
        self.scanner.scan(self.input.unread(), self.input.ended(), &mut self.spans)
    }

    /// Whether what stands there is half a code unit, which may yet become anything.
    fn is_half_a_unit(&self, at: usize) -> bool {
        let rest = self.input.unread().len() - at;
        self.input.ends_in_half_a_unit() && rest == char::REPLACEMENT_CHARACTER.len_utf8()
    }

    /// What follows may not be final.
    fn settle(&mut self) {
        let here = (self.mark(), self.digest());
        self.settled.get_or_insert(here);
    }

    /// The mark before a line, where that line may be the last.
    fn before_line(&mut self) -> Option<(Mark, [u8; 32])> {
        let ends = memchr::memchr2(b'\n', b'\r', self.input.unread()).is_some();
        (!ends).then(|| (self.mark(), self.digest()))
    }

    /// A line that was taken and has no end may not be final.
    fn settle_unended(&mut self, before: Option<(Mark, [u8; 32])>) {
        if let (false, Some(before)) = (self.terminated, before) {
            self.settled.get_or_insert(before);
        }
    }

    fn position(&mut self) -> Position {
        self.records += 1;
        Position { record: self.records, line: self.input.line(), byte: self.input.byte() }
    }

    fn take(&mut self, length: usize, whole: usize, lines: u64) -> Taken {
        if whole == length {
            self.settle();
        }
        let position = self.position();
        let original = (self.input.original_len(length), self.input.original_len(whole));
        self.terminated = whole > length;
        self.input.consume(whole, lines);
        Taken { position, length, whole, original, fields: 0, escaped: false }
    }

    /// Makes a record of what was taken, or says what ails it.
    fn lend(&mut self, taken: &Taken) -> CsvRecord<'_> {
        let bytes = &self.input.consumed(taken.whole)[..taken.length];
        let raw = &self.input.consumed_original(taken.whole, taken.original.1)[..taken.original.0];
        let terminated = self.terminated;
        let reject = |defect| CsvRecord::rejected(taken.position, raw, defect, terminated);
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                return reject(bad_encoding(bytes, error.valid_up_to(), self.input.encoding()));
            }
        };
        if let Some(at) = self.input.consumed_misfit(taken.whole, taken.length) {
            return reject(bad_encoding(bytes, at, self.input.encoding()));
        }
        let width = self.columns.len();
        let repair = match (taken.fields.cmp(&width), self.options.ragged) {
            (std::cmp::Ordering::Equal, _) => None,
            (std::cmp::Ordering::Less, Ragged::Pad) => Some(codes::PADDED),
            (std::cmp::Ordering::Greater, Ragged::Truncate) => {
                self.spans.truncate(width);
                Some(codes::TRUNCATED)
            }
            (std::cmp::Ordering::Less, Ragged::Reject | Ragged::Truncate) => {
                return reject(ragged(codes::TOO_FEW_FIELDS, taken.fields, width, 0));
            }
            (std::cmp::Ordering::Greater, Ragged::Reject | Ragged::Pad) => {
                let first =
                    self.spans.get(width).map_or(0, |span| column(bytes, span.start as usize));
                return reject(ragged(codes::TOO_MANY_FIELDS, taken.fields, width, first));
            }
        };
        self.unescaped.clear();
        let spans = if taken.escaped { &mut self.spans[..] } else { &mut [] };
        for span in spans.iter_mut().filter(|span| span.form == Form::Escaped) {
            let start = self.unescaped.len() as u32;
            let field = &text[span.start as usize..span.end as usize];
            self.scanner.unescape(field, &mut self.unescaped);
            (span.start, span.end) = (start, self.unescaped.len() as u32);
        }
        CsvRecord {
            position: taken.position,
            raw,
            defect: None,
            repair,
            terminated,
            text,
            spans: &self.spans,
            unescaped: &self.unescaped,
        }
    }

    /// The quoting of the record ahead is broken at `at`.
    fn break_at(&mut self, at: usize) -> Result<Step, ReadError> {
        let (line, until) = (self.input.line(), self.input.text_at() + at as u64);
        let (within, column) = self.place(at);
        let message = format!("text after a closing quote, on line {}", line + within);
        let step = self.reject_line(Defect { code: codes::AFTER_QUOTE, column, message })?;
        if self.input.text_at() <= until && !self.at_end()? {
            self.mode = Mode::Broken { line, until };
        }
        Ok(step)
    }

    /// The file breaks off inside the quotes of the record ahead, or at half a character at `at`
    /// that may belong to them.
    fn break_off(&mut self, code: &'static str, at: usize) -> Result<Step, ReadError> {
        self.settle();
        let (line, byte) = (self.input.line(), self.input.byte());
        let (within, column) = self.place(at);
        let message = match code {
            codes::BAD_ENCODING => not_valid(self.input.encoding()),
            _ => format!("the quote opened on line {} is never closed", line + within),
        };
        let step = self.reject_line(Defect { code, column, message })?;
        self.mode = Mode::Open { line, byte };
        Ok(step)
    }

    /// Lines between the record ahead and `at` in it, and the column there if that is its line.
    fn place(&self, at: usize) -> (u64, u64) {
        let text = self.input.unread();
        match crate::input::line_ends(&text[..at]) {
            0 => (0, column(text, at)),
            within => (within, 0),
        }
    }

    /// Rejects the line ahead, the first of its record.
    fn reject_line(&mut self, defect: Defect) -> Result<Step, ReadError> {
        let before = self.before_line();
        let position = self.position();
        self.take_line(None)?.expect("a record stands here");
        self.settle_unended(before);
        Ok(Step::Rejected(position, defect))
    }

    fn step_broken(&mut self, line: u64, until: u64) -> Result<Step, ReadError> {
        let step = self.reject_rest(line)?;
        if self.input.text_at() > until {
            self.mode = Mode::Records;
        }
        Ok(step)
    }

    fn step_open(&mut self, line: u64) -> Result<Step, ReadError> {
        self.reject_rest(line)
    }

    /// Rejects a further line of the record that began on `line`.
    fn reject_rest(&mut self, line: u64) -> Result<Step, ReadError> {
        if self.at_end()? {
            return Ok(Step::End);
        }
        let message = format!("it belongs to the record with broken quoting on line {line}");
        self.reject_line(Defect { code: codes::BROKEN_QUOTING, column: 0, message })
    }

    fn begin_too_long(&mut self) -> Result<Step, ReadError> {
        if self.input.ends_in_half_a_unit() {
            // Once it is whole, the record may be short enough.
            self.settle();
        }
        self.step_too_long(self.input.line(), Track::FieldStart)
    }

    fn step_too_long(&mut self, line: u64, track: Track) -> Result<Step, ReadError> {
        let before = (self.mark(), self.digest());
        let position = self.position();
        let Some(taken) = self.take_line(Some(track))? else {
            self.records -= 1;
            return Ok(Step::End);
        };
        self.settle_unended(Some(before));
        let inside = taken.track.inside();
        self.mode = if inside { Mode::TooLong { line, track: taken.track } } else { Mode::Records };
        let max = self.options.record_bytes_max;
        let message = format!(
            "the record that began on line {line} is longer than {max} bytes; this line has {}",
            taken.original
        );
        Ok(Step::Rejected(position, Defect { code: codes::RECORD_TOO_LONG, column: 0, message }))
    }

    fn at_end(&mut self) -> Result<bool, ReadError> {
        Ok(self.input.unread().is_empty() && !self.input.fill(1)?)
    }

    /// Takes one physical line whatever stands in it; its original bytes are then in `kept`, all or,
    /// beyond the longest record, the first [`KEPT_OF_TOO_LONG`].
    fn take_line(&mut self, track: Option<Track>) -> Result<Option<Line>, ReadError> {
        let scanner = &self.scanner;
        let mut track = track.unwrap_or(Track::Broken);
        let keep = self.options.record_bytes_max.max(KEPT_OF_TOO_LONG);
        let mut follow = |stretch: &[u8]| track = scanner.follow(track, stretch);
        let line = crate::lines::take_line(
            &mut self.input,
            crate::lines::Ends::Any,
            &mut self.kept,
            (keep, KEPT_OF_TOO_LONG),
            &mut follow,
        )?;
        Ok(line.map(|line| {
            self.terminated = line.terminated;
            Line { original: line.original, track }
        }))
    }
}

struct Line {
    /// Original bytes, without line end.
    original: u64,
    track: Track,
}

fn track_from(number: u64) -> Track {
    let all = [Track::FieldStart, Track::Plain, Track::Quoted, Track::Escape, Track::QuoteSeen];
    all.into_iter().find(|track| *track as u64 == number).unwrap_or(Track::Broken)
}

impl<'a> CsvRecord<'a> {
    fn rejected(position: Position, raw: &'a [u8], defect: Defect, terminated: bool) -> Self {
        Self {
            position,
            raw,
            defect: Some(defect),
            repair: None,
            terminated,
            text: "",
            spans: &[],
            unescaped: "",
        }
    }
}

#[cold]
fn ragged(code: &'static str, found: usize, width: usize, column: u64) -> Defect {
    let fields = if found == 1 { "1 field".to_owned() } else { format!("{found} fields") };
    Defect { code, column, message: format!("{fields}, the header has {width}") }
}

#[cold]
pub(crate) fn bad_encoding(text: &[u8], at: usize, encoding: crate::Encoding) -> Defect {
    Defect { code: codes::BAD_ENCODING, column: column(text, at), message: not_valid(encoding) }
}

fn not_valid(encoding: crate::Encoding) -> String {
    format!("the bytes here are not valid {encoding}")
}

#[cfg(test)]
mod tests;
