//! Reads one file into chunks.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, Freshness, Limit, Reader, ReaderEnd};
use whimbrel_model::json::Json;
use whimbrel_model::record::Repair;
use whimbrel_model::{
    ChunkBuilder, Defect, Digest, Field, Position, Record, Shape, SourceChunk, SourceMark,
};

use super::fields::{CsvFields, TreeFields};
use super::token::Token;
use super::{FileSource, Format, changed, columns, not_read};
use crate::codes;
use crate::compression::Compression;
use crate::csv::{CsvReader, CsvRecord};
use crate::fingerprint::Stamp;
use crate::input::{Input, ReadError};
use crate::json::{JsonReader, JsonRecord};
use crate::jsonl::JsonLinesReader;
use crate::mark::Mark;
use crate::markdown;
use crate::text::{WholeFile, read_whole};

/// Rows that room is made for at once, whatever the limit.
const ROWS_AHEAD: usize = 4096;

/// Bytes that room is made for at once.
const BYTES_AHEAD_MAX: usize = 2 << 20;

/// Records that [`FileReader::describe`] looks at where keys may vary.
const RECORDS_DESCRIBED: u64 = 100;

/// The reader of a format.
#[derive(Debug)]
pub(super) enum Records {
    Csv(CsvReader),
    Json(JsonReader),
    Lines(JsonLinesReader),
    Whole(Whole),
}

/// A file that is one record.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) markdown: bool,
    bytes_max: usize,
    state: WholeState,
}

#[derive(Debug)]
enum WholeState {
    Unread(Box<Input>),
    Read { bytes: u64, lines: u64, digest: [u8; 32] },
}

impl Records {
    pub(super) fn markdown(input: Input, bytes_max: usize) -> Self {
        let state = WholeState::Unread(Box::new(input));
        Self::Whole(Whole { markdown: true, bytes_max, state })
    }

    pub(super) fn text(input: Input, bytes_max: usize) -> Self {
        let state = WholeState::Unread(Box::new(input));
        Self::Whole(Whole { markdown: false, bytes_max, state })
    }

    fn mark(&self) -> Mark {
        match self {
            Self::Csv(reader) => reader.mark(),
            Self::Json(reader) => reader.mark(),
            Self::Lines(reader) => reader.mark(),
            Self::Whole(whole) => match whole.state {
                WholeState::Unread(_) => Mark { line: 1, ..Mark::default() },
                WholeState::Read { bytes, lines, .. } => {
                    Mark { byte: bytes, line: lines, records: 1, ..Mark::default() }
                }
            },
        }
    }

    fn digest(&mut self) -> [u8; 32] {
        match self {
            Self::Csv(reader) => reader.digest(),
            Self::Json(reader) => reader.digest(),
            Self::Lines(reader) => reader.digest(),
            Self::Whole(whole) => match &mut whole.state {
                WholeState::Unread(input) => input.digest(),
                WholeState::Read { digest, .. } => *digest,
            },
        }
    }

    /// Where to go on when the file has grown.
    fn settled(&mut self) -> (Mark, [u8; 32]) {
        match self {
            Self::Csv(reader) => reader.settled(),
            Self::Lines(reader) => reader.settled(),
            Self::Json(_) | Self::Whole(_) => (self.mark(), self.digest()),
        }
    }

    fn lines(&self) -> u64 {
        match self {
            Self::Csv(reader) => reader.lines(),
            Self::Json(reader) => reader.lines(),
            Self::Lines(reader) => reader.lines(),
            Self::Whole(_) => self.mark().line,
        }
    }

    fn skipped(&self) -> u64 {
        match self {
            Self::Csv(reader) => reader.skipped_lines(),
            Self::Lines(reader) => reader.skipped_lines(),
            Self::Json(_) | Self::Whole(_) => 0,
        }
    }

    fn resume(&mut self, mark: &Mark, digest: &[u8; 32]) -> Result<bool, ReadError> {
        match self {
            Self::Csv(reader) => reader.resume(mark, digest),
            Self::Json(reader) => reader.resume(mark, digest),
            Self::Lines(reader) => reader.resume(mark, digest),
            Self::Whole(_) if mark.records == 0 => Ok(true),
            Self::Whole(whole) => {
                let read = whole.read()?;
                Ok(read.is_some_and(|file| file.bytes == mark.byte && file.digest == *digest))
            }
        }
    }

    fn encoding(&self) -> Option<crate::Encoding> {
        match self {
            Self::Csv(reader) => Some(reader.input().encoding()),
            Self::Json(reader) => Some(reader.input().encoding()),
            Self::Lines(reader) => Some(reader.input().encoding()),
            Self::Whole(whole) => match &whole.state {
                WholeState::Unread(input) => Some(input.encoding()),
                WholeState::Read { .. } => None,
            },
        }
    }
}

impl Whole {
    /// The file, once.
    fn read(&mut self) -> Result<Option<WholeFile>, ReadError> {
        let read = WholeState::Read { bytes: 0, lines: 0, digest: [0; 32] };
        match std::mem::replace(&mut self.state, read) {
            WholeState::Unread(input) => {
                let file = read_whole(*input, self.bytes_max)?;
                let WholeFile { bytes, lines, digest, .. } = file;
                self.state = WholeState::Read { bytes, lines, digest };
                Ok(Some(file))
            }
            read @ WholeState::Read { .. } => {
                self.state = read;
                Ok(None)
            }
        }
    }
}

enum Fields {
    Csv(CsvFields),
    Tree(TreeFields),
}

/// See the module.
pub(super) struct FileReader {
    source: FileSource,
    path: String,
    records: Records,
    stamp: Stamp,
    compression: Compression,
    fields: Fields,
    width: usize,
    bytes_ahead: usize,
}

impl FileReader {
    pub(super) fn new(
        source: FileSource,
        path: &str,
        records: Records,
        (stamp, compression): (Stamp, Compression),
        fields: &[Field],
    ) -> Self {
        let own = match &records {
            Records::Csv(reader) => {
                Fields::Csv(CsvFields::new(fields, reader.columns(), &source.options))
            }
            Records::Json(_) | Records::Lines(_) | Records::Whole(_) => {
                Fields::Tree(TreeFields::new(fields))
            }
        };
        let path = path.to_owned();
        Self {
            source,
            path,
            records,
            stamp,
            compression,
            fields: own,
            width: fields.len(),
            bytes_ahead: 0,
        }
    }

    /// False where the file is not what the token remembers.
    pub(super) fn resume(&mut self, token: &Token) -> Result<bool, EndpointError> {
        let resumed = self.records.resume(&token.mark, &token.digest);
        resumed.map_err(|error| not_read(&self.path, &error))
    }

    /// Columns and format, from the header or the first records.
    pub(super) fn describe(mut self) -> Result<Shape, EndpointError> {
        let format = self.format();
        let shape = |names: Vec<String>, closed| Shape { columns: columns(names), closed, format };
        let keys = match &mut self.records {
            Records::Csv(reader) => return Ok(shape(reader.columns().to_vec(), true)),
            Records::Json(reader) => {
                let mut keys = Keys::default();
                while keys.records < RECORDS_DESCRIBED
                    && let Some(record) =
                        reader.next().map_err(|error| not_read(&self.path, &error))?
                {
                    keys.add(&record.json);
                }
                keys.names
            }
            Records::Lines(reader) => {
                let mut keys = Keys::default();
                while keys.records < RECORDS_DESCRIBED
                    && let Some(record) =
                        reader.next().map_err(|error| not_read(&self.path, &error))?
                {
                    keys.add(&record.json);
                }
                keys.names
            }
            Records::Whole(whole) if whole.markdown => {
                let file = whole.read().map_err(|error| not_read(&self.path, &error))?;
                let text = file.map(|file| file.text).unwrap_or_default();
                let mut keys = Keys::default();
                if let Ok(document) = markdown::parse(&text) {
                    keys.add(&Json::Object(document.front));
                }
                keys.add_name("heading");
                keys.add_name("body");
                keys.names
            }
            Records::Whole(_) => return Ok(shape(vec!["body".to_owned()], true)),
        };
        Ok(shape(keys, false))
    }

    /// For people: `csv, delimiter ;, utf-16le, gzip`.
    fn format(&self) -> String {
        let mut words = match &self.source.options.format {
            Format::Csv(options) => {
                vec!["csv".to_owned(), format!("delimiter {:?}", char::from(options.delimiter))]
            }
            Format::Json(None) => vec!["json".to_owned()],
            Format::Json(Some(pointer)) => vec!["json".to_owned(), format!("records {pointer}")],
            Format::JsonLines => vec!["json lines".to_owned()],
            Format::Markdown => vec!["markdown".to_owned()],
            Format::Text => vec!["text".to_owned()],
        };
        words.extend(self.records.encoding().map(|encoding| encoding.name().to_owned()));
        if self.compression != Compression::None {
            words.push(self.compression.name().to_owned());
        }
        words.join(", ")
    }

    fn read(&mut self, limit: Limit) -> Result<Option<SourceChunk>, ReadError> {
        let rows = limit.rows.min(ROWS_AHEAD);
        let mut out = Out::new(self.width, rows, self.bytes_ahead);
        match (&mut self.records, &mut self.fields) {
            (Records::Csv(reader), Fields::Csv(fields)) => out.read_csv(reader, fields, limit)?,
            (Records::Json(reader), Fields::Tree(fields)) => {
                while out.has_room(limit)
                    && let Some(record) = reader.next()?
                {
                    out.push_json(record, fields);
                }
            }
            (Records::Lines(reader), Fields::Tree(fields)) => {
                while out.has_room(limit)
                    && let Some(record) = reader.next()?
                {
                    out.push_json(record, fields);
                }
            }
            (Records::Whole(whole), Fields::Tree(fields)) => {
                if let Some(file) = whole.read()? {
                    out.push_whole(file, whole.markdown, fields);
                }
            }
            (Records::Csv(_), Fields::Tree(_))
            | (Records::Json(_) | Records::Lines(_) | Records::Whole(_), Fields::Csv(_)) => {
                unreachable!("fields are made for their format")
            }
        }
        if out.records.is_empty() {
            return Ok(None);
        }
        // The next chunk is likely to be as large as this one.
        self.bytes_ahead = out.raw.len().min(BYTES_AHEAD_MAX);
        let (mark, digest) = (self.records.mark(), self.records.digest());
        Ok(Some(out.finish(self.source_mark(mark, digest, (mark.byte, digest)))))
    }

    fn source_mark(&self, mark: Mark, digest: [u8; 32], end: (u64, [u8; 32])) -> SourceMark {
        let token = Token { stamp: self.stamp, mark, digest, end };
        SourceMark { records: mark.records, token: token.write() }
    }

    /// Whether the file is, as far as it was read, still the same.
    fn unchanged(&self, end: (u64, [u8; 32])) -> Result<bool, EndpointError> {
        let disk = self.source.root.join(&self.path);
        if Stamp::at(&disk).is_ok_and(|now| now == self.stamp) {
            return Ok(true);
        }
        if !disk.exists() {
            return Ok(false);
        }
        Ok(match self.source.compare_from(&self.path, end.0, &end.1)? {
            Freshness::Same => true,
            Freshness::Appended => self.source.grows(),
            Freshness::Changed => false,
        })
    }
}

#[async_trait]
impl Reader for FileReader {
    async fn next(&mut self, limit: Limit) -> Result<Option<SourceChunk>, EndpointError> {
        self.read(limit).map_err(|error| not_read(&self.path, &error))
    }

    async fn finish(mut self: Box<Self>) -> Result<ReaderEnd, EndpointError> {
        let end = (self.records.mark().byte, self.records.digest());
        if !self.unchanged(end)? {
            return Err(changed(&self.path));
        }
        let (mark, digest) = self.records.settled();
        Ok(ReaderEnd {
            mark: self.source_mark(mark, digest, end),
            skipped_lines: self.records.skipped(),
            lines: self.records.lines(),
            bytes: if self.compression == Compression::None { end.0 } else { self.stamp.size },
            digest: Some(Digest(end.1)),
        })
    }
}

/// A chunk in the making.
pub(super) struct Out {
    rows: ChunkBuilder,
    records: Vec<Record>,
    raw: Vec<u8>,
    repairs: Vec<Repair>,
}

impl Out {
    pub(super) fn new(width: usize, rows: usize, bytes: usize) -> Self {
        Self {
            rows: ChunkBuilder::with_capacity(width, rows, bytes),
            records: Vec::with_capacity(rows),
            raw: Vec::with_capacity(bytes),
            repairs: Vec::new(),
        }
    }

    pub(super) fn finish(self, mark: SourceMark) -> SourceChunk {
        let Self { rows, records, raw, repairs } = self;
        SourceChunk { rows: rows.finish(), records, raw, mark, repairs }
    }

    fn has_room(&self, limit: Limit) -> bool {
        self.records.is_empty() || (self.records.len() < limit.rows && self.raw.len() < limit.bytes)
    }

    fn read_csv(
        &mut self,
        reader: &mut CsvReader,
        fields: &mut CsvFields,
        limit: Limit,
    ) -> Result<(), ReadError> {
        while self.has_room(limit)
            && let Some(record) = reader.next()?
        {
            let unterminated = !record.terminated && record.defect.is_none();
            self.push_csv(record, fields);
            if unterminated {
                self.repair(self.records.len() - 1, codes::UNTERMINATED);
            }
        }
        Ok(())
    }

    fn repair(&mut self, record: usize, code: &'static str) {
        self.repairs.push(Repair { code, record, message: repair(code).to_owned() });
    }

    #[inline]
    pub(super) fn push_csv(&mut self, record: CsvRecord<'_>, fields: &mut CsvFields) {
        match &record.defect {
            None => fields.push(&record, &mut self.rows),
            Some(_) => fields.push_nulls(&mut self.rows),
        }
        if let Some(code) = record.repair {
            self.repair(self.records.len(), code);
        }
        self.record(record.position, record.raw, record.defect);
    }

    pub(super) fn push_json(&mut self, record: JsonRecord<'_>, fields: &mut TreeFields) {
        match &record.defect {
            None => fields.push_json(&record, &mut self.rows),
            Some(_) => fields.push_nulls(&mut self.rows),
        }
        self.record(record.position, record.raw, record.defect);
    }

    pub(super) fn push_whole(
        &mut self,
        file: WholeFile,
        is_markdown: bool,
        fields: &mut TreeFields,
    ) {
        let WholeFile { position, raw, text, mut defect, .. } = file;
        if defect.is_none() && is_markdown {
            match markdown::parse(&text) {
                Ok(document) => fields.push_document(document, &mut self.rows),
                Err(found) => defect = Some(found),
            }
        } else if defect.is_none() {
            fields.push_text(&text, &mut self.rows);
        }
        if defect.is_some() {
            fields.push_nulls(&mut self.rows);
        }
        self.record(position, &raw, defect);
    }

    #[inline]
    fn record(&mut self, position: Position, raw: &[u8], defect: Option<Defect>) {
        self.rows.end_row();
        let start = self.raw.len();
        self.raw.extend_from_slice(raw);
        let raw = (start, self.raw.len());
        self.records.push(Record { position, raw, defect: defect.map(Arc::new) });
    }
}

fn repair(code: &'static str) -> &'static str {
    match code {
        codes::PADDED => "missing fields were taken as NULL",
        codes::UNTERMINATED => "the last record, which has no line end, was taken as it stands",
        _ => "surplus fields were dropped",
    }
}

/// Keys in the order they are first seen.
#[derive(Default)]
struct Keys {
    names: Vec<String>,
    seen: BTreeSet<String>,
    records: u64,
}

impl Keys {
    fn add(&mut self, json: &Json<'_>) {
        self.records += 1;
        for (name, _) in json.as_object().unwrap_or_default() {
            self.add_name(name);
        }
    }

    fn add_name(&mut self, name: &str) {
        if !self.seen.contains(name) {
            self.seen.insert(name.to_owned());
            self.names.push(name.to_owned());
        }
    }
}
