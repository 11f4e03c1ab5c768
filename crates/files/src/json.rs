//! JSON files: a document as one record, or the elements of an array one after another.
//!
//! Owns finding where values begin and end in a stream; what a value means is
//! [`whimbrel_model::json`]'s. Only one element is in memory at a time.
//!
//! ```text
//! {"meta": {…}, "items": [ {…}, {…}, {…} ], "more": …}      records = "/items"
//!   skipped               ─1─  ─2─  ─3─     checked for structure to the end
//! ```
//! Without a pointer a top-level array is its elements; anything else is one record, and further
//! values on lines of their own are further records (JSON Lines under another name). An element
//! that is no JSON is a defect; once brackets do not match, the rest of the file is one.

use whimbrel_model::json::{Json, JsonError, Limits, Pointer, Reason, parse_with};
use whimbrel_model::{Defect, Position};

use crate::codes;
use crate::csv::{KEPT_OF_TOO_LONG, MORE_THAN_ONE, NO_RECORD, bad_encoding, not_one_record};
use crate::discovery::escape;
use crate::encoding::Encoding;
use crate::input::{Input, ReadError};
use crate::mark::Mark;

/// A record, borrowed until the next one.
#[derive(Debug)]
pub struct JsonRecord<'a> {
    /// Where its first character stands.
    pub position: Position,
    /// Its original bytes, without blanks around them; of what is too long, the first 64 KiB.
    pub raw: &'a [u8],
    /// Its text; empty where it is defective.
    pub text: &'a str,
    /// What it says; `null` where it is defective.
    pub json: Json<'a>,
    /// Set where it must be rejected.
    pub defect: Option<Defect>,
}

impl<'a> JsonRecord<'a> {
    pub(crate) fn rejected(position: Position, raw: &'a [u8], defect: Defect) -> Self {
        Self { position, raw, text: "", json: Json::Null, defect: Some(defect) }
    }
}

/// Parses a record, or says what ails it.
pub(crate) fn examine<'a>(
    position: Position,
    raw: &'a [u8],
    text: &'a [u8],
    misfit: Option<usize>,
    encoding: Encoding,
) -> JsonRecord<'a> {
    let reject = |defect| JsonRecord::rejected(position, raw, defect);
    let utf8 = match (std::str::from_utf8(text), misfit) {
        (Ok(utf8), None) => utf8,
        (Err(error), _) => return reject(bad_encoding(text, error.valid_up_to(), encoding)),
        (Ok(_), Some(at)) => return reject(bad_encoding(text, at, encoding)),
    };
    match parse_with(text, Limits::default()) {
        Err(error) => reject(bad_json(&error, position.line)),
        Ok(parsed) => match parsed.duplicates.first {
            None => JsonRecord { position, raw, text: utf8, json: parsed.json, defect: None },
            Some((key, at)) => reject(duplicate_key(&key, utf8, at)),
        },
    }
}

#[cold]
fn bad_json(error: &JsonError, first_line: u64) -> Defect {
    let code =
        if error.reason == Reason::UnexpectedEnd { codes::TORN_JSON } else { codes::BAD_JSON };
    let message = match error.line {
        1 => error.reason.to_string(),
        line => format!("{}, on line {}", error.reason, first_line + line - 1),
    };
    Defect { code, column: error.column, message }
}

#[cold]
fn duplicate_key(key: &str, text: &str, object: usize) -> Defect {
    let bounded: String = key.chars().take(100).collect();
    let message = format!("`{}` stands twice in one object", escape(bounded.as_bytes()));
    let column = crate::input::column(text.as_bytes(), object);
    Defect { code: codes::DUPLICATE_KEY, column, message }
}

/// The only value of `input`, which is whole in memory; it stands at `position` and its bytes are
/// `raw`.
pub(crate) fn value_alone<'a>(
    input: &'a Input,
    position: Position,
    raw: &'a [u8],
    max: usize,
) -> JsonRecord<'a> {
    let text = input.unread();
    let begin = blanks(text);
    let end = text.iter().rposition(|byte| !is_blank(*byte)).map_or(begin, |last| last + 1);
    if begin == end {
        return JsonRecord::rejected(position, raw, not_one_record(NO_RECORD));
    }
    part_alone(input, (begin, end), position, raw, max)
}

/// What stands between two places of `input`, as a record.
pub(crate) fn part_alone<'a>(
    input: &'a Input,
    (begin, end): (usize, usize),
    position: Position,
    raw: &'a [u8],
    max: usize,
) -> JsonRecord<'a> {
    let text = &input.unread()[begin..end];
    if text.len() > max {
        let length = input.encoding().original_len(text);
        let message = format!("it has {length} bytes, more than {max}");
        let defect = Defect { code: codes::RECORD_TOO_LONG, column: 0, message };
        return JsonRecord::rejected(position, raw, defect);
    }
    let line = position.line + newlines(&input.unread()[..begin]);
    let misfit = input.misfit(end).map(|at| at - begin);
    let record = examine(Position { line, ..position }, raw, text, misfit, input.encoding());
    JsonRecord { position, ..record }
}

/// Reads the records of one file.
#[derive(Debug)]
pub struct JsonReader {
    input: Input,
    pointer: Option<Pointer>,
    record_bytes_max: usize,
    records: u64,
    phase: Phase,
    /// Closing brackets around the array.
    outer: Vec<u8>,
    kept: Vec<u8>,
    /// How the file begins, in case the pointer leads nowhere.
    front: Vec<u8>,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// The document.
    Start,
    /// The first element, or the array's end.
    First,
    /// A comma and an element, or the array's end.
    Next,
    /// Further values on lines after this one.
    Values { line: u64 },
    /// Nothing.
    Done,
}

/// What to take as a record.
enum Found {
    /// A value of so many bytes of text.
    Value(usize),
    /// Something in `kept`.
    Fault(Position, Defect),
    /// The end.
    End,
}

impl JsonReader {
    /// A reader at the start. With a pointer, the records are the elements of the array there.
    pub fn new(input: Input, pointer: Option<Pointer>, record_bytes_max: usize) -> Self {
        Self {
            input,
            pointer,
            record_bytes_max,
            records: 0,
            phase: Phase::Start,
            outer: Vec::new(),
            kept: Vec::new(),
            front: Vec::new(),
        }
    }

    /// The stream behind the reader.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Physical lines so far.
    pub fn lines(&self) -> u64 {
        self.input.line() - 1 + u64::from(self.input.last().is_some_and(|last| last != b'\n'))
    }

    /// Where to go on after the last record.
    pub fn mark(&self) -> Mark {
        let state = match self.phase {
            Phase::Start => [0, 0, 0],
            Phase::First => [1, 0, 0],
            Phase::Next => [2, 0, 0],
            Phase::Values { line } => [3, line, 0],
            Phase::Done => [4, 0, 0],
        };
        Mark {
            byte: self.input.byte(),
            line: self.input.line(),
            records: self.records,
            skipped: 0,
            state,
        }
    }

    /// BLAKE3 of all bytes before the mark.
    pub fn digest(&mut self) -> [u8; 32] {
        self.input.digest()
    }

    /// Goes on, from a new reader, after a mark and its digest that a reader of the same file gave.
    /// False where the file is not the same up to there.
    pub fn resume(&mut self, mark: &Mark, digest: &[u8; 32]) -> Result<bool, ReadError> {
        let phase = match mark.state {
            [0, ..] => return Ok(true),
            [1, ..] => Phase::First,
            [2, ..] => Phase::Next,
            [3, line, _] => Phase::Values { line },
            _ => Phase::Done,
        };
        if matches!(phase, Phase::First | Phase::Next) && self.enter()?.is_some() {
            return Ok(false);
        }
        if !self.input.skip_to(mark.byte, mark.line)? || self.digest() != *digest {
            return Ok(false);
        }
        self.records = mark.records;
        self.phase = phase;
        Ok(true)
    }

    /// Whether the records are elements of an array: asked at the start, and nothing after it.
    pub(crate) fn is_array(&mut self) -> Result<bool, ReadError> {
        Ok(self.enter()?.is_none())
    }

    /// The only record of a document in place of the file's: `input` twice, whole in memory. It
    /// stands at `position` and its bytes are `raw`.
    pub(crate) fn document_alone<'a>(
        &'a mut self,
        [input, again]: [Input; 2],
        position: Position,
        raw: &'a [u8],
    ) -> Result<JsonRecord<'a>, ReadError> {
        let mut first = Self::new(input, self.pointer.clone(), self.record_bytes_max);
        let found = match (first.next()?.is_some(), first.next()?.is_some()) {
            (true, false) => None,
            (false, _) => Some(NO_RECORD),
            (true, true) => Some(MORE_THAN_ONE),
        };
        if let Some(found) = found {
            return Ok(JsonRecord::rejected(position, raw, not_one_record(found)));
        }
        *self = Self::new(again, self.pointer.take(), self.record_bytes_max);
        let record = self.next()?.expect("what was read once is there again");
        Ok(JsonRecord { position, raw, ..record })
    }

    /// The next record; `None` at the end.
    #[allow(clippy::should_implement_trait)] // it lends from the reader
    pub fn next(&mut self) -> Result<Option<JsonRecord<'_>>, ReadError> {
        match self.find()? {
            Found::End => Ok(None),
            Found::Value(length) => Ok(Some(self.take(length))),
            Found::Fault(position, defect) => {
                Ok(Some(JsonRecord::rejected(position, &self.kept, defect)))
            }
        }
    }

    fn find(&mut self) -> Result<Found, ReadError> {
        loop {
            match self.phase {
                Phase::Start => {
                    if let Some(found) = self.enter()? {
                        return Ok(found);
                    }
                    self.phase = Phase::First;
                }
                Phase::First => match self.peek()? {
                    Some(b']') => return self.leave(),
                    Some(_) => {
                        self.phase = Phase::Next;
                        return self.value(true);
                    }
                    None => return self.torn("the file ends inside the array"),
                },
                Phase::Next => match self.peek()? {
                    Some(b']') => return self.leave(),
                    Some(b',') => {
                        self.input.consume(1, 0);
                        if self.peek()? == Some(b']') {
                            return self.torn("a comma before the end of the array");
                        }
                        return self.value(true);
                    }
                    Some(_) => return self.torn("expected `,` or `]` after an element"),
                    None => return self.torn("the file ends inside the array"),
                },
                Phase::Values { line } => match self.peek()? {
                    None => self.phase = Phase::Done,
                    Some(_) if self.input.line() == line => {
                        return self.torn("more text after the document");
                    }
                    Some(_) => return self.value(false),
                },
                Phase::Done => return Ok(Found::End),
            }
        }
    }

    /// Goes into the array; or says what to do where there is none.
    fn enter(&mut self) -> Result<Option<Found>, ReadError> {
        self.outer.clear();
        if let Some(pointer) = self.pointer.take() {
            self.peek()?;
            self.front = self.front()?;
            let begin = (self.input.line(), self.input.byte());
            let found = self.descend(&pointer);
            self.pointer = Some(pointer);
            match found? {
                Some(found) => return Ok(Some(self.whole(found, begin))),
                None if self.peek()? != Some(b'[') => {
                    let found = self.no_array("what stands there is not an array")?;
                    return Ok(Some(self.whole(found, begin)));
                }
                None => {}
            }
        }
        match (self.peek()?, &self.pointer) {
            (Some(b'['), _) => {
                self.input.consume(1, 0);
                Ok(None)
            }
            (Some(_), _) => self.value(false).map(Some),
            (None, _) => self.empty().map(Some),
        }
    }

    fn descend(&mut self, pointer: &Pointer) -> Result<Option<Found>, ReadError> {
        for token in pointer.tokens() {
            let found = match self.peek()? {
                Some(b'{') => self.member(token)?,
                Some(b'[') => self.element(token)?,
                Some(_) => return self.no_array("the path leads into a plain value").map(Some),
                None if self.outer.is_empty() => return self.empty().map(Some),
                None => return self.torn("the file ends before the array").map(Some),
            };
            match found {
                Step::Into(close) => self.outer.push(close),
                Step::Missing => return self.no_array("the path leads nowhere").map(Some),
                Step::Torn => {
                    return self.torn("the file loses its structure before the array").map(Some);
                }
            }
        }
        Ok(None)
    }

    /// Stands before the member's value, if the object has it.
    fn member(&mut self, token: &str) -> Result<Step, ReadError> {
        self.input.consume(1, 0);
        if self.peek()? == Some(b'}') {
            return Ok(Step::Missing);
        }
        loop {
            if self.peek()? != Some(b'"') {
                return Ok(Step::Torn);
            }
            let Ends::At(length) = self.measure(self.record_bytes_max, true)? else {
                return Ok(Step::Torn);
            };
            let key = parse_with(&self.input.unread()[..length], Limits::default());
            let Ok(key) = key else { return Ok(Step::Torn) };
            let here = key.json.as_str() == Some(token);
            self.input.consume(length, 0);
            if self.peek()? != Some(b':') {
                return Ok(Step::Torn);
            }
            self.input.consume(1, 0);
            self.peek()?;
            if here {
                return Ok(Step::Into(b'}'));
            }
            if !self.skip_value()? {
                return Ok(Step::Torn);
            }
            match self.peek()? {
                Some(b',') => self.input.consume(1, 0),
                Some(b'}') => return Ok(Step::Missing),
                Some(_) | None => return Ok(Step::Torn),
            }
            self.peek()?;
        }
    }

    /// Stands before the element, if the array has it.
    fn element(&mut self, token: &str) -> Result<Step, ReadError> {
        let Ok(mut left) = token.parse::<u64>() else { return Ok(Step::Missing) };
        self.input.consume(1, 0);
        loop {
            match self.peek()? {
                Some(b']') => return Ok(Step::Missing),
                Some(_) if left == 0 => return Ok(Step::Into(b']')),
                Some(_) => {}
                None => return Ok(Step::Torn),
            }
            if !self.skip_value()? {
                return Ok(Step::Torn);
            }
            left -= 1;
            match self.peek()? {
                Some(b',') => self.input.consume(1, 0),
                Some(b']') => return Ok(Step::Missing),
                Some(_) | None => return Ok(Step::Torn),
            }
        }
    }

    /// The array has ended: the rest of the document must close what is open, and end.
    fn leave(&mut self) -> Result<Found, ReadError> {
        self.input.consume(1, 0);
        self.phase = Phase::Done;
        while let Some(close) = self.outer.pop() {
            loop {
                match self.peek()? {
                    Some(byte) if byte == close => break self.input.consume(1, 0),
                    Some(b',') => self.input.consume(1, 0),
                    Some(b':') if close == b'}' => self.input.consume(1, 0),
                    Some(b']' | b'}' | b':') => return self.torn("a bracket does not match"),
                    Some(_) if self.skip_value()? => {}
                    Some(_) | None => return self.torn("the file ends inside the document"),
                }
            }
        }
        match self.peek()? {
            None => Ok(Found::End),
            Some(_) => self.torn("more text after the document"),
        }
    }

    /// Measures the value that begins here.
    fn value(&mut self, in_array: bool) -> Result<Found, ReadError> {
        match self.measure(self.record_bytes_max, in_array)? {
            Ends::At(length) => {
                if !in_array {
                    let lines = newlines(&self.input.unread()[..length]);
                    self.phase = Phase::Values { line: self.input.line() + lines };
                }
                Ok(Found::Value(length))
            }
            Ends::Never => self.torn("the file ends inside this value"),
            Ends::Mismatch => self.torn("a bracket does not match"),
            Ends::TooFar => self.too_long(in_array),
        }
    }

    fn too_long(&mut self, in_array: bool) -> Result<Found, ReadError> {
        let position = self.position();
        self.kept = self.front()?;
        let max = self.record_bytes_max;
        let message = if self.skip_value()? {
            if !in_array {
                self.phase = Phase::Values { line: self.input.line() };
            }
            let length = self.input.byte() - position.byte;
            self.kept.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            format!("it has {length} bytes, more than {max}")
        } else {
            self.skip_rest()?;
            let length = self.input.byte() - position.byte;
            format!("it never ends and has {length} bytes, more than {max}")
        };
        Ok(Found::Fault(position, Defect { code: codes::RECORD_TOO_LONG, column: 0, message }))
    }

    /// A file without the array is rejected from its beginning.
    fn whole(&mut self, found: Found, (line, byte): (u64, u64)) -> Found {
        match found {
            Found::Fault(position, defect) if defect.code == codes::NO_RECORDS_ARRAY => {
                std::mem::swap(&mut self.kept, &mut self.front);
                Found::Fault(Position { line, byte, ..position }, defect)
            }
            Found::Fault(..) | Found::Value(_) | Found::End => found,
        }
    }

    fn torn(&mut self, reason: &str) -> Result<Found, ReadError> {
        self.rest(codes::TORN_JSON, reason)
    }

    fn no_array(&mut self, reason: &str) -> Result<Found, ReadError> {
        self.rest(codes::NO_RECORDS_ARRAY, reason)
    }

    fn empty(&mut self) -> Result<Found, ReadError> {
        self.rest(codes::BAD_JSON, "the file is empty")
    }

    /// Rejects everything that is left.
    fn rest(&mut self, code: &'static str, reason: &str) -> Result<Found, ReadError> {
        let position = self.position();
        self.kept = self.front()?;
        self.skip_rest()?;
        let length = self.input.byte() - position.byte;
        let message = match length {
            0 => reason.to_owned(),
            _ if code == codes::NO_RECORDS_ARRAY => reason.to_owned(),
            1 => format!("{reason}; 1 byte from here on was not read"),
            _ => format!("{reason}; {length} bytes from here on were not read"),
        };
        Ok(Found::Fault(position, Defect { code, column: 0, message }))
    }

    fn skip_rest(&mut self) -> Result<(), ReadError> {
        while !self.input.unread().is_empty() || self.input.fill(1)? {
            let length = self.input.unread().len();
            let lines = newlines(self.input.unread());
            self.input.consume(length, lines);
        }
        self.phase = Phase::Done;
        Ok(())
    }

    /// As much of what follows as is kept with a reject.
    fn front(&mut self) -> Result<Vec<u8>, ReadError> {
        self.input.fill(KEPT_OF_TOO_LONG)?;
        let length = self.input.floor(self.input.unread().len().min(KEPT_OF_TOO_LONG));
        Ok(self.input.original(length).to_vec())
    }

    fn position(&mut self) -> Position {
        self.records += 1;
        Position { record: self.records, line: self.input.line(), byte: self.input.byte() }
    }

    fn take(&mut self, length: usize) -> JsonRecord<'_> {
        let position = self.position();
        let misfit = self.input.misfit(length);
        let original = self.input.original_len(length);
        let lines = newlines(&self.input.unread()[..length]);
        self.input.consume(length, lines);
        let raw = self.input.consumed_original(length, original);
        examine(position, raw, self.input.consumed(length), misfit, self.input.encoding())
    }

    /// Skips blanks and looks at what follows.
    fn peek(&mut self) -> Result<Option<u8>, ReadError> {
        loop {
            let unread = self.input.unread();
            let blanks = blanks(unread);
            let next = unread.get(blanks).copied();
            let lines = newlines(&unread[..blanks]);
            self.input.consume(blanks, lines);
            if next.is_some() || !self.input.fill(1)? {
                return Ok(next);
            }
        }
    }

    /// How long the value that begins here is, if not longer than `max`.
    fn measure(&mut self, max: usize, in_array: bool) -> Result<Ends, ReadError> {
        let mut scan = Scan::default();
        loop {
            let ends = scan.go_on(self.input.unread());
            match ends {
                Some(Ends::At(length)) if length > max => return Ok(Ends::TooFar),
                Some(Ends::Mismatch) if scan.at > max => return Ok(Ends::TooFar),
                Some(ends) => return Ok(ends),
                None if scan.at > max => return Ok(Ends::TooFar),
                None => {}
            }
            if !self.input.fill_more()? {
                if self.input.unread().len() > max {
                    return Ok(Ends::TooFar);
                }
                let whole = scan.scalar && !in_array;
                return Ok(if whole { Ends::At(self.input.unread().len()) } else { Ends::Never });
            }
        }
    }

    /// Skips the value that begins here, however long; false where it never ends.
    fn skip_value(&mut self) -> Result<bool, ReadError> {
        let mut scan = Scan::default();
        loop {
            let ends = scan.go_on(self.input.unread());
            let passed = if let Some(Ends::At(length)) = ends { length } else { scan.at };
            let lines = newlines(&self.input.unread()[..passed]);
            self.input.consume(passed, lines);
            scan.at = 0;
            match ends {
                Some(Ends::At(_)) => return Ok(true),
                Some(Ends::Never | Ends::Mismatch | Ends::TooFar) => return Ok(false),
                None => {}
            }
            if !self.input.fill_more()? {
                return Ok(false);
            }
        }
    }
}

enum Step {
    /// The value is here; the bracket that closes what it lies in.
    Into(u8),
    Missing,
    Torn,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ends {
    At(usize),
    Never,
    Mismatch,
    TooFar,
}

/// Follows a value by its brackets and quotes.
#[derive(Default)]
struct Scan {
    /// Everything before is done with.
    at: usize,
    open: Vec<u8>,
    in_string: bool,
    scalar: bool,
}

impl Scan {
    /// Where the value ends, if that is in sight.
    fn go_on(&mut self, text: &[u8]) -> Option<Ends> {
        while let Some(byte) = text.get(self.at).copied() {
            if self.in_string {
                let Some(found) = memchr::memchr2(b'"', b'\\', &text[self.at..]) else {
                    self.at = text.len();
                    return None;
                };
                let found = self.at + found;
                if text[found] == b'\\' {
                    if found + 1 >= text.len() {
                        self.at = found;
                        return None;
                    }
                    self.at = found + 2;
                    continue;
                }
                self.at = found + 1;
                self.in_string = false;
                if self.open.is_empty() {
                    return Some(Ends::At(self.at));
                }
                continue;
            }
            match byte {
                b',' | b':' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r' if self.scalar => {
                    return Some(Ends::At(self.at));
                }
                b'"' if !self.scalar => self.in_string = true,
                b'{' if !self.scalar => self.open.push(b'}'),
                b'[' if !self.scalar => self.open.push(b']'),
                b'}' | b']' => match self.open.pop() {
                    Some(close) if close != byte => return Some(Ends::Mismatch),
                    Some(_) if self.open.is_empty() => return Some(Ends::At(self.at + 1)),
                    Some(_) => {}
                    None => return Some(Ends::At(self.at)),
                },
                b',' if self.open.is_empty() => return Some(Ends::At(self.at)),
                _ if self.open.is_empty() => self.scalar = true,
                _ => {}
            }
            self.at += 1;
        }
        None
    }
}

/// Blanks in front.
fn blanks(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_blank(*byte)).unwrap_or(text.len())
}

pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn newlines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

#[cfg(test)]
mod tests;
