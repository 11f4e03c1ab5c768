//! Requested fields, looked up once, then taken from each record without an allocation per value.

use std::borrow::Cow;

use whimbrel_model::json::{Json, Pointer, write_string};
use whimbrel_model::{ChunkBuilder, Field, ValueRef};

use super::{FileOptions, Format};
use crate::csv::{CsvField, CsvRecord};
use crate::json::JsonRecord;
use crate::markdown::{Document, heading};

/// Requested fields of separated values.
#[derive(Debug)]
pub(super) struct CsvFields {
    takes: Vec<CsvTake>,
    names: Vec<String>,
    markers: Vec<Markers>,
    scratch: String,
}

#[derive(Clone, Copy, Debug)]
enum CsvTake {
    Column(usize),
    Absent,
    Object,
}

/// Texts that mean NULL in a column.
#[derive(Clone, Debug, Default)]
struct Markers {
    plain: Vec<String>,
    quoted: Vec<String>,
}

impl Markers {
    /// Markers are written as cells are: in quotes they match quoted cells only.
    fn new(markers: &[String], quote: Option<u8>) -> Self {
        let quote = quote.map(char::from);
        let mut own = Self::default();
        for marker in markers {
            let inside = quote.and_then(|quote| {
                let inside = marker.strip_prefix(quote)?.strip_suffix(quote)?;
                Some(inside.replace(&format!("{quote}{quote}"), &quote.to_string()))
            });
            match inside {
                Some(inside) => own.quoted.push(inside),
                None => own.plain.push(marker.clone()),
            }
        }
        own
    }

    #[inline]
    fn mean_null(&self, field: CsvField<'_>) -> bool {
        let markers = if field.quoted { &self.quoted } else { &self.plain };
        markers.iter().any(|marker| marker == field.text)
    }
}

impl CsvFields {
    pub(super) fn new(fields: &[Field], names: &[String], options: &FileOptions) -> Self {
        let quote = match &options.format {
            Format::Csv(csv) => csv.quote,
            Format::Json(_) | Format::JsonLines | Format::Markdown | Format::Text => None,
        };
        let markers =
            |name: &String| Markers::new(options.null_of.get(name).unwrap_or(&options.null), quote);
        let column = |name: &str| {
            let found = names.iter().position(|own| own == name);
            found.map_or(CsvTake::Absent, CsvTake::Column)
        };
        let take = |field: &Field| match field {
            Field::Column(name) => column(name),
            // As a JSON object a record is flat: a pointer names a column, or nothing.
            Field::Pointer(text) => match Pointer::parse(text) {
                Ok(pointer) if pointer.tokens().count() == 1 => {
                    pointer.tokens().next().map_or(CsvTake::Absent, column)
                }
                Ok(pointer) if pointer.tokens().count() == 0 => CsvTake::Object,
                Ok(_) | Err(_) => CsvTake::Absent,
            },
            Field::Json => CsvTake::Object,
        };
        Self {
            takes: fields.iter().map(take).collect(),
            names: names.to_vec(),
            markers: names.iter().map(markers).collect(),
            scratch: String::new(),
        }
    }

    #[inline]
    pub(super) fn push(&mut self, record: &CsvRecord<'_>, rows: &mut ChunkBuilder) {
        for take in &self.takes {
            match take {
                CsvTake::Column(column) => match text(record, *column, &self.markers) {
                    Some(text) => rows.push_text_with(|out| out.push_str(text)),
                    None => rows.push(ValueRef::Null),
                },
                CsvTake::Absent => rows.push(ValueRef::Null),
                CsvTake::Object => {
                    self.scratch.clear();
                    object(record, &self.names, &self.markers, &mut self.scratch);
                    rows.push(ValueRef::Json(&self.scratch));
                }
            }
        }
    }

    pub(super) fn push_nulls(&self, rows: &mut ChunkBuilder) {
        self.takes.iter().for_each(|_| rows.push(ValueRef::Null));
    }
}

/// The cell of a column, unless it is missing or means NULL.
#[inline]
fn text<'a>(record: &CsvRecord<'a>, column: usize, markers: &[Markers]) -> Option<&'a str> {
    let field = record.get(column)?;
    (!markers[column].mean_null(field)).then_some(field.text)
}

fn object(record: &CsvRecord<'_>, names: &[String], markers: &[Markers], out: &mut String) {
    out.push('{');
    for (column, name) in names.iter().enumerate() {
        if column > 0 {
            out.push(',');
        }
        write_string(out, name);
        out.push(':');
        match text(record, column, markers) {
            Some(text) => write_string(out, text),
            None => out.push_str("null"),
        }
    }
    out.push('}');
}

/// Requested fields of JSON, front matter and text.
#[derive(Debug)]
pub(super) struct TreeFields {
    takes: Vec<TreeTake>,
    scratch: String,
}

#[derive(Debug)]
enum TreeTake {
    Member(String),
    Pointer(Pointer),
    Absent,
    Whole,
}

impl TreeFields {
    pub(super) fn new(fields: &[Field]) -> Self {
        let take = |field: &Field| match field {
            Field::Column(name) => TreeTake::Member(name.clone()),
            Field::Pointer(text) => match Pointer::parse(text) {
                Ok(pointer) if text.is_empty() => {
                    debug_assert_eq!(pointer.tokens().count(), 0);
                    TreeTake::Whole
                }
                Ok(pointer) => TreeTake::Pointer(pointer),
                Err(_) => TreeTake::Absent,
            },
            Field::Json => TreeTake::Whole,
        };
        Self { takes: fields.iter().map(take).collect(), scratch: String::new() }
    }

    pub(super) fn push_nulls(&self, rows: &mut ChunkBuilder) {
        self.takes.iter().for_each(|_| rows.push(ValueRef::Null));
    }

    pub(super) fn push_json(&mut self, record: &JsonRecord<'_>, rows: &mut ChunkBuilder) {
        for take in &self.takes {
            let found = match take {
                TreeTake::Member(name) => record.json.get(name),
                TreeTake::Pointer(pointer) => record.json.at(pointer),
                TreeTake::Absent => None,
                TreeTake::Whole => {
                    rows.push(ValueRef::Json(record.text.trim_matches([' ', '\t', '\r', '\n'])));
                    continue;
                }
            };
            push(found, rows, &mut self.scratch);
        }
    }

    pub(super) fn push_document(&mut self, document: Document<'_>, rows: &mut ChunkBuilder) {
        let Document { front, body } = document;
        let front = Json::Object(front);
        for take in &self.takes {
            match take {
                TreeTake::Member(name) if name == "body" => rows.push(ValueRef::Text(body)),
                TreeTake::Member(name) if name == "heading" && front.get(name).is_none() => {
                    let heading = heading(body);
                    rows.push(heading.as_deref().map_or(ValueRef::Null, ValueRef::Text));
                }
                TreeTake::Member(name) => push(front.get(name), rows, &mut self.scratch),
                TreeTake::Pointer(pointer) => push(front.at(pointer), rows, &mut self.scratch),
                TreeTake::Absent => rows.push(ValueRef::Null),
                TreeTake::Whole => {
                    self.scratch.clear();
                    whole_document(&front, body).write_text(&mut self.scratch);
                    rows.push(ValueRef::Json(&self.scratch));
                }
            }
        }
    }

    pub(super) fn push_text(&mut self, text: &str, rows: &mut ChunkBuilder) {
        self.push_document(Document { front: Vec::new(), body: text }, rows);
    }
}

/// Front matter first; a heading that was found, and the body, after it.
fn whole_document<'a>(front: &Json<'a>, body: &'a str) -> Json<'a> {
    let mut members = front.as_object().unwrap_or_default().to_vec();
    if front.get("heading").is_none()
        && let Some(heading) = heading(body)
    {
        members.push((Cow::Borrowed("heading"), Json::String(Cow::Owned(heading))));
    }
    members.push((Cow::Borrowed("body"), Json::String(Cow::Borrowed(body))));
    Json::Object(members)
}

fn push(json: Option<&Json<'_>>, rows: &mut ChunkBuilder, scratch: &mut String) {
    let value = match json {
        None | Some(Json::Null) => ValueRef::Null,
        Some(Json::Bool(value)) => ValueRef::Bool(*value),
        Some(Json::Number(number)) => match integer(number.as_str()) {
            Some(integer) => ValueRef::Int(integer),
            None => ValueRef::Decimal(number.as_str()),
        },
        Some(Json::String(text)) => ValueRef::Text(text),
        Some(json @ (Json::Array(_) | Json::Object(_))) => {
            scratch.clear();
            json.write_text(scratch);
            ValueRef::Json(scratch)
        }
    };
    rows.push(value);
}

/// Only literals that the integer alone gives back: not `-0`, `1e5`, `1.0`.
fn integer(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0";
    if canonical { text.parse().ok() } else { None }
}
