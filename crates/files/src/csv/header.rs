//! Names of columns: from the first record, from the plan, or counted.

use std::collections::BTreeMap;

use super::scan::{FIELDS_MAX, Scanned};
use super::{CsvReader, Form};
use crate::discovery::escape;
use crate::input::ReadError;

impl CsvReader {
    pub(super) fn read_columns(&mut self) -> Result<Vec<String>, ReadError> {
        let read = if self.options.header { self.read_header() } else { self.count_columns() };
        let names = read.and_then(|names| check_unique(&names).map(|()| names));
        match names {
            Err(ReadError::Header { .. } | ReadError::DuplicateColumn { .. })
                if self.options.header && self.is_torn() =>
            {
                self.pass_torn_header()
            }
            names => names,
        }
    }

    /// Whether the file ends in or right after the header's first line, without a line end: it may
    /// still be written.
    fn is_torn(&self) -> bool {
        let rest = self.input.unread();
        self.input.ended()
            && memchr::memchr2(b'\n', b'\r', rest).is_none()
            && (!rest.is_empty() || !self.terminated)
    }

    /// Goes on as in an empty file: there is nothing yet that could be lost.
    fn pass_torn_header(&mut self) -> Result<Vec<String>, ReadError> {
        self.take_line(None)?;
        self.terminated = false;
        let names = self.options.names.clone();
        check_unique(&names)?;
        Ok(names)
    }

    /// The first record, taken off the input; its names, unless others are declared.
    fn read_header(&mut self) -> Result<Vec<String>, ReadError> {
        let Some(First { line, length, whole, lines, .. }) = self.first_record()? else {
            return Ok(self.options.names.clone());
        };
        let names = self.names(length).ok_or_else(|| {
            let reason = "it is not valid text".to_owned();
            ReadError::Header { line, reason }
        })?;
        self.terminated = whole > length;
        self.input.consume(whole, lines);
        let declared = &self.options.names;
        if declared.is_empty() {
            return Ok(names);
        }
        if declared.len() != names.len() {
            let reason = format!("{} names are declared, it has {}", declared.len(), names.len());
            return Err(ReadError::Header { line, reason });
        }
        Ok(declared.clone())
    }

    fn count_columns(&mut self) -> Result<Vec<String>, ReadError> {
        if !self.options.names.is_empty() {
            return Ok(self.options.names.clone());
        }
        let width = match self.first_record() {
            Ok(first) => first.map_or(0, |first| first.fields),
            // Its lines are rejected as records, and there is no other.
            Err(ReadError::Header { .. }) if self.is_torn() || self.still_open()? => 1,
            Err(why) => return Err(why),
        };
        Ok((1..=width).map(column_name).collect())
    }

    /// The first record that is neither blank nor a comment; it stays ahead.
    fn first_record(&mut self) -> Result<Option<First>, ReadError> {
        loop {
            if self.at_end()? {
                return Ok(None);
            }
            if self.options.comment.is_some_and(|comment| self.input.unread()[0] == comment) {
                self.take_line(None)?;
                self.skipped += 1;
                continue;
            }
            let line = self.input.line();
            let refuse = |reason: &str| ReadError::Header { line, reason: reason.to_owned() };
            match self.scan() {
                Scanned::Record { length: 0, whole, lines, .. } => {
                    self.input.consume(whole, lines);
                    self.skipped += 1;
                }
                Scanned::Record { length, whole, lines, fields, .. } => {
                    if length > self.options.record_bytes_max || fields > FIELDS_MAX {
                        return Err(refuse("it has more than 65536 columns or is too long"));
                    }
                    return Ok(Some(First { line, length, whole, lines, fields }));
                }
                Scanned::More
                    if self.input.unread().len() <= self.options.record_bytes_max + HALF =>
                {
                    self.input.fill_more()?;
                }
                Scanned::More => return Err(refuse("it is too long")),
                Scanned::AfterQuote { .. } => return Err(refuse("text follows a closing quote")),
                Scanned::Open { .. } => return Err(refuse("a quote is never closed")),
            }
        }
    }

    fn names(&self, length: usize) -> Option<Vec<String>> {
        if self.input.misfit(length).is_some() {
            return None;
        }
        let text = std::str::from_utf8(&self.input.unread()[..length]).ok()?;
        let name = |(index, span): (usize, &super::Span)| {
            let field = &text[span.start as usize..span.end as usize];
            let mut name = String::new();
            match span.form {
                Form::Plain | Form::Quoted => name.push_str(field),
                Form::Escaped => self.scanner.unescape(field, &mut name),
            }
            if name.is_empty() { column_name(index + 1) } else { name }
        };
        Some(self.spans.iter().enumerate().map(name).collect())
    }
}

/// What stands for half a character where a file breaks off: its line end may be there.
const HALF: usize = char::REPLACEMENT_CHARACTER.len_utf8();

/// The record that names or counts the columns.
struct First {
    line: u64,
    /// Without its line end.
    length: usize,
    /// With it.
    whole: usize,
    lines: u64,
    fields: usize,
}

fn column_name(number: usize) -> String {
    format!("column_{number}")
}

fn check_unique(names: &[String]) -> Result<(), ReadError> {
    let mut seen = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(first) = seen.insert(name, index + 1) {
            let bounded: String = name.chars().take(100).collect();
            let name = escape(bounded.as_bytes());
            return Err(ReadError::DuplicateColumn { name, first, second: index + 1 });
        }
    }
    Ok(())
}
