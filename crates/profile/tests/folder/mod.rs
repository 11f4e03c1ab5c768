//! A folder in memory and a small reader of it, written for these tests alone: separated values
//! with quotes, JSON documents and lines, Markdown with flat front matter, text.

use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_endpoint::{
    Discovery, EndpointError, ErrorClass, Field, FileFacts, Freshness, Limit, Partition, Reader,
    ReaderEnd, Shape, ShapeColumn, Source, Unreadable,
};
use whimbrel_model::json::{self, Json};
use whimbrel_model::plan::HashAlgorithm;
use whimbrel_model::{
    ChunkBuilder, Defect, PartitionId, Position, Record, SourceChunk, SourceMark, ValueRef,
};
use whimbrel_profile::inspect::ProposedSource;
use whimbrel_profile::sniff::{Format, FoundFile};

pub(crate) type Files = Vec<(&'static str, Vec<u8>)>;

/// Files as discovery would find them.
pub(crate) fn found(files: &Files) -> Vec<FoundFile> {
    files
        .iter()
        .map(|(path, bytes)| FoundFile {
            path: (*path).to_owned(),
            size: bytes.len() as u64,
            head: bytes.clone(),
            ..FoundFile::default()
        })
        .collect()
}

pub(crate) struct Folder {
    proposed: ProposedSource,
    files: Files,
}

impl Folder {
    pub(crate) fn source(proposed: &ProposedSource, files: &Files) -> Arc<dyn Source> {
        Arc::new(Self { proposed: proposed.clone(), files: files.clone() })
    }

    fn bytes(&self, partition: &Partition) -> &[u8] {
        let file = self.files.iter().find(|(path, _)| *path == partition.id.path);
        &file.expect("a partition is a file").1
    }
}

/// A record: position, bytes with their range, and its fields or what ails it.
pub(crate) struct Parsed {
    pub(crate) position: Position,
    pub(crate) raw: Vec<u8>,
    pub(crate) fields: Result<Fields, &'static str>,
    pub(crate) terminated: bool,
}

pub(crate) enum Fields {
    Cells(Vec<(String, String)>),
    Object(String),
}

/// Header and records of a file.
pub(crate) fn parse(
    format: &Format,
    names: Option<Vec<String>>,
    bytes: &[u8],
) -> (Vec<String>, Vec<Parsed>) {
    match format {
        Format::Csv { delimiter, header } => {
            let mut rows = lines(bytes).into_iter();
            let mut columns = names.unwrap_or_default();
            if *header {
                let Some((_, raw, _)) = rows.next() else {
                    return (Vec::new(), Vec::new());
                };
                if columns.is_empty() {
                    columns = cells(&String::from_utf8_lossy(&raw), *delimiter);
                }
            }
            let records = rows.enumerate().map(|(at, (position, raw, terminated))| {
                let text = String::from_utf8_lossy(&raw).into_owned();
                let cells = cells(&text, *delimiter);
                let fields = if cells.len() == columns.len() {
                    Ok(Fields::Cells(columns.iter().cloned().zip(cells).collect()))
                } else {
                    Err("the number of fields is not the header's")
                };
                let position = Position { record: at as u64 + 1, ..position };
                Parsed { position, raw, fields, terminated }
            });
            let records = records.collect();
            (columns, records)
        }
        Format::JsonLines => {
            let rows = lines(bytes).into_iter().enumerate();
            let records = rows.map(|(at, (position, raw, terminated))| {
                let position = Position { record: at as u64 + 1, ..position };
                let fields = object(&raw);
                Parsed { position, raw, fields, terminated }
            });
            (Vec::new(), records.collect())
        }
        Format::Json => {
            let position = Position { record: 1, line: 1, byte: 0 };
            let fields = object(bytes);
            (Vec::new(), vec![Parsed { position, raw: bytes.to_vec(), fields, terminated: true }])
        }
        Format::Markdown => {
            let text = String::from_utf8_lossy(bytes);
            let (front, body) =
                match text.strip_prefix("---\n").and_then(|rest| rest.split_once("---\n")) {
                    Some((front, body)) => (front, body),
                    None => ("", &*text),
                };
            let mut members: Vec<String> = front
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(key, value)| format!("{}:{}", quoted(key), quoted(value)))
                .collect();
            members.push(format!("\"body\":{}", quoted(body)));
            let position = Position { record: 1, line: 1, byte: 0 };
            let fields = Ok(Fields::Object(format!("{{{}}}", members.join(","))));
            (Vec::new(), vec![Parsed { position, raw: bytes.to_vec(), fields, terminated: true }])
        }
        Format::Text | Format::Table => {
            let body = String::from_utf8_lossy(bytes).into_owned();
            let fields = Ok(Fields::Cells(vec![("body".to_owned(), body)]));
            let position = Position { record: 1, line: 1, byte: 0 };
            (
                vec!["body".to_owned()],
                vec![Parsed { position, raw: bytes.to_vec(), fields, terminated: true }],
            )
        }
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    json::write_string(&mut out, text);
    out
}

fn object(raw: &[u8]) -> Result<Fields, &'static str> {
    match json::parse(raw) {
        Ok(json) => Ok(Fields::Object(json.to_text())),
        Err(_) => Err("not JSON"),
    }
}

/// Physical lines, joined where a quote is open: position, bytes without the end, terminated.
fn lines(bytes: &[u8]) -> Vec<(Position, Vec<u8>, bool)> {
    let mut out = Vec::new();
    let (mut start, mut line, mut first_line, mut quoted) = (0, 1, 1, false);
    for at in 0..bytes.len() {
        match bytes[at] {
            b'"' => quoted = !quoted,
            b'\n' => {
                line += 1;
                if !quoted {
                    let end = if at > start && bytes[at - 1] == b'\r' { at - 1 } else { at };
                    let position = Position { record: 0, line: first_line, byte: start as u64 };
                    if end > start {
                        out.push((position, bytes[start..end].to_vec(), true));
                    }
                    (start, first_line) = (at + 1, line);
                }
            }
            _ => {}
        }
    }
    if start < bytes.len() {
        let position = Position { record: 0, line: first_line, byte: start as u64 };
        out.push((position, bytes[start..].to_vec(), false));
    }
    out
}

fn cells(text: &str, delimiter: char) -> Vec<String> {
    let mut out = vec![String::new()];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let cell = out.last_mut().expect("there is a cell");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            letter if letter == delimiter && !quoted => out.push(String::new()),
            letter => cell.push(letter),
        }
    }
    out
}

#[async_trait]
impl Source for Folder {
    fn name(&self) -> &str {
        &self.proposed.name
    }

    async fn partitions(&self) -> Result<Discovery, EndpointError> {
        let mut discovery = Discovery::default();
        for path in &self.proposed.files {
            let (_, bytes) = self.files.iter().find(|(own, _)| own == path).expect("a file found");
            if bytes.ends_with(b"UNREADABLE\n") {
                discovery.unreadable.push(Unreadable {
                    path: path.clone(),
                    reason: "permission denied".to_owned(),
                });
                continue;
            }
            discovery.partitions.push(Partition {
                id: PartitionId { source: self.proposed.name.clone(), path: path.clone() },
                facts: Arc::new(FileFacts { size: bytes.len() as u64, ..FileFacts::default() }),
            });
        }
        Ok(discovery)
    }

    async fn describe(&self, partition: &Partition) -> Result<Shape, EndpointError> {
        let (columns, _) =
            parse(&self.proposed.format, self.proposed.names(), self.bytes(partition));
        let columns = columns.into_iter().map(|name| ShapeColumn { name, kind: None }).collect();
        Ok(Shape { columns, closed: !self.proposed.format.is_typed(), format: "utf-8".to_owned() })
    }

    async fn open(
        &self,
        partition: &Partition,
        fields: &[Field],
        _after: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError> {
        let bytes = self.bytes(partition);
        let (_, records) = parse(&self.proposed.format, self.proposed.names(), bytes);
        let terminated = records.iter().filter(|record| record.terminated).count() as u64;
        let lines = bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        let end = ReaderEnd {
            mark: SourceMark { records: terminated, token: Vec::new() },
            skipped_lines: 0,
            lines,
            bytes: bytes.len() as u64,
            digest: None,
        };
        Ok(Box::new(Rest { records: records.into_iter(), fields: fields.to_vec(), end }))
    }

    async fn parse(
        &self,
        _: &Partition,
        _: &[Field],
        _: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        Err(EndpointError::new(ErrorClass::Configuration, "WB0399", "mend files in memory"))
    }

    async fn checksum(&self, _: &Partition, _: HashAlgorithm) -> Result<String, EndpointError> {
        Err(EndpointError::new(ErrorClass::Configuration, "WB0399", "hash files in memory"))
    }

    async fn text(&self, partition: &Partition) -> Result<String, EndpointError> {
        Ok(String::from_utf8_lossy(self.bytes(partition)).into_owned())
    }

    async fn compare(&self, _: &Partition, _: &SourceMark) -> Result<Freshness, EndpointError> {
        Err(EndpointError::new(ErrorClass::Configuration, "WB0399", "compare files in memory"))
    }
}

struct Rest {
    records: std::vec::IntoIter<Parsed>,
    fields: Vec<Field>,
    end: ReaderEnd,
}

#[async_trait]
impl Reader for Rest {
    async fn next(&mut self, _limit: Limit) -> Result<Option<SourceChunk>, EndpointError> {
        let mut rows = ChunkBuilder::new(self.fields.len());
        let (mut records, mut raw) = (Vec::new(), Vec::new());
        for parsed in self.records.by_ref().take(7) {
            let start = raw.len();
            raw.extend_from_slice(&parsed.raw);
            let defect = parsed.fields.as_ref().err().map(|message| {
                Arc::new(Defect { code: "WB0101", column: 0, message: (*message).to_owned() })
            });
            for field in &self.fields {
                rows.push(value(&parsed, field));
            }
            rows.end_row();
            records.push(Record { position: parsed.position, raw: (start, raw.len()), defect });
        }
        if records.is_empty() {
            return Ok(None);
        }
        let mark = SourceMark::default();
        Ok(Some(SourceChunk { rows: rows.finish(), records, raw, mark, repairs: Vec::new() }))
    }

    async fn finish(self: Box<Self>) -> Result<ReaderEnd, EndpointError> {
        Ok(self.end)
    }
}

fn value<'a>(parsed: &'a Parsed, field: &Field) -> ValueRef<'a> {
    match (&parsed.fields, field) {
        (Ok(Fields::Cells(cells)), Field::Column(name)) => {
            let cell = cells.iter().find(|(own, _)| own == name);
            cell.map_or(ValueRef::Null, |(_, text)| ValueRef::Text(text))
        }
        (Ok(Fields::Object(text)), Field::Json) => ValueRef::Json(text),
        (_, _) => ValueRef::Null,
    }
}

/// Top-level members of a record as texts with the kind that JSON gives them.
pub(crate) fn members(fields: &Fields) -> Vec<(String, Option<Json<'static>>)> {
    match fields {
        Fields::Cells(cells) => cells
            .iter()
            .map(|(name, text)| (name.clone(), Some(Json::String(text.clone().into()))))
            .collect(),
        Fields::Object(text) => {
            let json = json::parse(text.as_bytes()).expect("it was parsed before").into_owned();
            let members = json.as_object().unwrap_or_default().to_vec();
            members
                .into_iter()
                .map(|(key, value)| (key.into_owned(), (!value.is_null()).then_some(value)))
                .collect()
        }
    }
}
