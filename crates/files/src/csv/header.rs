//! Names of columns: from the first record, from the plan, or counted.

use std::collections::BTreeMap;

use super::scan::{FIELDS_MAX, Scanned};
use super::{CsvReader, Form};
use crate::discovery::escape;
use crate::input::ReadError;

impl CsvReader {
    pub(super) fn read_columns(&mut self) -> Result<Vec<String>, ReadError> {
        let names = if self.options.header { self.read_header()? } else { self.count_columns()? };
        check_unique(&names)?;
        Ok(names)
    }

    /// The first record, taken off the input; its names, unless others are declared.
    fn read_header(&mut self) -> Result<Vec<String>, ReadError> {
        let Some((line, names)) = self.first_record(true)? else {
            return Ok(self.options.names.clone());
        };
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
        let first = self.first_record(false)?;
        let width = first.map_or(0, |(_, names)| names.len());
        Ok((1..=width).map(column_name).collect())
    }

    /// The first record that is neither blank nor a comment, and its line.
    fn first_record(&mut self, take: bool) -> Result<Option<(u64, Vec<String>)>, ReadError> {
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
                    let names = self.names(length).ok_or_else(|| refuse("it is not valid text"))?;
                    if take {
                        self.terminated = whole > length;
                        self.input.consume(whole, lines);
                    }
                    return Ok(Some((line, names)));
                }
                Scanned::More if self.input.unread().len() <= self.options.record_bytes_max => {
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
