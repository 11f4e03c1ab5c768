//! Rows of a feed as records: requested fields, bytes, positions, marks.

use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed, Field, Limit, Reader, ReaderEnd};
use whimbrel_model::json::{self, Json, Pointer};
use whimbrel_model::{
    Chunk, ChunkBuilder, Digest, Position, Record, Row, SourceChunk, SourceMark, Value, ValueRef,
};

use super::layout::{Layout, refused};
use super::record::{self, Writer};
use super::token::Token;
use crate::codes;

/// Rows that room is made for at once.
const ROWS_AHEAD: usize = 4096;

/// A batch of so many bytes is handed on as it is.
const LARGE: usize = 1 << 20;

/// Reads the rows of a table or query.
pub(super) struct RowReader {
    layout: Arc<Layout>,
    digest: [u8; 16],
    rows: Box<dyn Feed>,
    takes: Vec<Take>,
    writer: Writer,
    path: String,
    /// Rows that came, and how many of them are behind us.
    batch: Chunk,
    at: usize,
    /// What is behind us: records, their bytes with line ends, and the digest of the chain.
    records: u64,
    bytes: u64,
    chain: [u8; 32],
    /// The key of the row behind us, where neighbours are compared.
    last: Option<Vec<Value>>,
}

/// A requested field, looked up.
#[derive(Debug)]
enum Take {
    Column(usize),
    /// Something within a JSON column.
    Within(usize, Pointer),
    Absent,
    Whole,
}

impl RowReader {
    pub(super) fn new(
        layout: Arc<Layout>,
        rows: Box<dyn Feed>,
        fields: &[Field],
        path: &str,
    ) -> Self {
        Self {
            takes: takes(&layout, fields),
            writer: Writer::new(&layout.columns),
            path: path.to_owned(),
            digest: layout.digest(),
            layout,
            rows,
            batch: Chunk::default(),
            at: 0,
            records: 0,
            bytes: 0,
            chain: [0; 32],
            last: None,
        }
    }

    /// True with a row at hand, false at the end.
    async fn fill(&mut self) -> Result<bool, EndpointError> {
        while self.at == self.batch.len() {
            // The rows behind us make room before others come.
            (self.batch, self.at) = (Chunk::default(), 0);
            let Some(batch) = self.rows.next().await? else { return Ok(false) };
            self.batch = batch;
        }
        Ok(true)
    }

    /// The row at hand is behind us; `raw` is its object.
    fn pass(&mut self, raw: &str) -> Result<(), EndpointError> {
        if self.layout.doubted {
            self.compare_with_last()?;
        }
        self.chain = link(&self.chain, raw.as_bytes());
        self.bytes += raw.len() as u64 + 1;
        self.records += 1;
        self.at += 1;
        Ok(())
    }

    /// The key of the row at hand must not be the key before it.
    fn compare_with_last(&mut self) -> Result<(), EndpointError> {
        let row = self.batch.row(self.at);
        let key = self.layout.order.iter().map(|column| row.get(*column));
        let same = match &self.last {
            Some(last) => key.clone().zip(last).all(|(value, last)| value == last.as_ref()),
            None => false,
        };
        if same {
            let names = self.layout.order.iter().map(|at| self.layout.columns[*at].name.as_str());
            let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
            return Err(refused(
                codes::SOURCE_KEY,
                format!(
                    "the key {} does not tell rows apart: rows {} and {} of `{}` have the same",
                    names.join(", "),
                    self.records,
                    self.records + 1,
                    self.path,
                ),
            ));
        }
        match &mut self.last {
            Some(last) => last.iter_mut().zip(key).for_each(|(last, value)| {
                if last.as_ref() != value {
                    *last = value.to_owned();
                }
            }),
            None => self.last = Some(key.map(ValueRef::to_owned).collect()),
        }
        Ok(())
    }

    /// Reads on to a mark; false where what lies before it is not what it was.
    pub(super) async fn skip_to(
        &mut self,
        records: u64,
        token: &Token,
    ) -> Result<bool, EndpointError> {
        if token.layout != self.digest {
            return Ok(false);
        }
        let mut raw = String::new();
        while self.records < records {
            if !self.fill().await? {
                return Ok(false);
            }
            raw.clear();
            self.writer.write(&mut raw, self.batch.row(self.at));
            self.pass(&raw)?;
            if self.bytes > token.bytes {
                return Ok(false);
            }
        }
        Ok(self.token() == *token)
    }

    /// True where no row follows.
    pub(super) async fn is_at_end(&mut self) -> Result<bool, EndpointError> {
        Ok(!self.fill().await?)
    }

    /// Hands on the object of every row that is left, each with a line end.
    pub(super) async fn each(&mut self, mut take: impl FnMut(&str)) -> Result<(), EndpointError> {
        let mut line = String::new();
        while self.fill().await? {
            line.clear();
            self.writer.write(&mut line, self.batch.row(self.at));
            self.pass(&line)?;
            line.push('\n');
            take(&line);
        }
        Ok(())
    }

    /// Spells the row at hand behind what is there.
    fn record(&self, raw: &mut String) -> Record {
        let start = raw.len();
        self.writer.write(raw, self.batch.row(self.at));
        let position = Position { record: self.records + 1, line: 0, byte: self.bytes };
        Record { position, raw: (start, raw.len()), defect: None }
    }

    /// The batch at hand as a chunk of its own: what is large in it is not copied.
    fn whole(&mut self) -> Result<SourceChunk, EndpointError> {
        let mut raw = String::with_capacity(self.batch.size());
        let mut records: Vec<Record> = Vec::with_capacity(self.batch.len());
        while self.at < self.batch.len() {
            let record = self.record(&mut raw);
            self.pass(&raw[record.raw.0..])?;
            records.push(record);
        }
        let batch = std::mem::take(&mut self.batch);
        self.at = 0;
        let rows = match selected(&self.takes) {
            Some(columns) => batch.select(&columns),
            None => {
                let mut out = ChunkBuilder::with_capacity(self.takes.len(), batch.len(), 0);
                for (row, record) in batch.rows().zip(&records) {
                    push(&self.takes, &mut out, row, &raw[record.raw.0..record.raw.1]);
                    out.end_row();
                }
                out.finish()
            }
        };
        Ok(self.chunk(rows, records, raw))
    }

    fn chunk(&self, rows: Chunk, records: Vec<Record>, raw: String) -> SourceChunk {
        let (raw, mark) = (raw.into_bytes(), self.mark());
        SourceChunk { rows, records, raw, mark, repairs: Vec::new() }
    }

    fn token(&self) -> Token {
        Token { layout: self.digest, bytes: self.bytes, chain: self.chain }
    }

    fn mark(&self) -> SourceMark {
        SourceMark { records: self.records, token: self.token().write() }
    }
}

#[async_trait]
impl Reader for RowReader {
    async fn next(&mut self, limit: Limit) -> Result<Option<SourceChunk>, EndpointError> {
        let rows = limit.rows.clamp(1, ROWS_AHEAD);
        let mut out = ChunkBuilder::with_capacity(self.takes.len(), rows, 0);
        let mut records: Vec<Record> = Vec::with_capacity(rows);
        let mut raw = String::new();
        while records.len() < limit.rows.max(1) && raw.len() < limit.bytes && self.fill().await? {
            let large = self.at == 0 && self.batch.size() >= limit.bytes.max(LARGE);
            if large && !records.is_empty() {
                break;
            }
            if large && self.batch.len() <= limit.rows {
                return self.whole().map(Some);
            }
            let record = self.record(&mut raw);
            let row = self.batch.row(self.at);
            push(&self.takes, &mut out, row, &raw[record.raw.0..]);
            out.end_row();
            self.pass(&raw[record.raw.0..])?;
            records.push(record);
        }
        if records.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.chunk(out.finish(), records, raw)))
    }

    /// A snapshot does not change.
    async fn finish(self: Box<Self>) -> Result<ReaderEnd, EndpointError> {
        Ok(ReaderEnd {
            mark: self.mark(),
            skipped_lines: 0,
            lines: 0,
            bytes: self.bytes,
            digest: Some(Digest(self.chain)),
        })
    }
}

/// Records made of other bytes, see [`whimbrel_endpoint::Source::parse`].
pub(super) fn parse(
    layout: &Layout,
    fields: &[Field],
    records: &[(Position, Vec<u8>)],
) -> SourceChunk {
    let takes = takes(layout, fields);
    let mut out = ChunkBuilder::new(takes.len());
    let mut raw = Vec::new();
    let mut parsed = Vec::with_capacity(records.len());
    for (position, bytes) in records {
        let defect = match record::parse(&layout.columns, bytes) {
            Ok(row) => {
                let text = String::from_utf8_lossy(bytes);
                let text = text.trim_start_matches('\u{feff}');
                push(&takes, &mut out, row.row(0), text.trim_matches([' ', '\t', '\r', '\n']));
                None
            }
            Err(defect) => {
                takes.iter().for_each(|_| out.push(ValueRef::Null));
                Some(Arc::new(defect))
            }
        };
        out.end_row();
        let start = raw.len();
        raw.extend_from_slice(bytes);
        parsed.push(Record { position: *position, raw: (start, raw.len()), defect });
    }
    SourceChunk {
        rows: out.finish(),
        records: parsed,
        raw,
        mark: SourceMark::default(),
        repairs: Vec::new(),
    }
}

fn takes(layout: &Layout, fields: &[Field]) -> Vec<Take> {
    let find = |name: &str| layout.columns.iter().position(|column| column.name == name);
    let take = |field: &Field| match field {
        Field::Json => Take::Whole,
        Field::Column(name) => find(name).map_or(Take::Absent, Take::Column),
        Field::Pointer(text) => within(text, &find),
    };
    fields.iter().map(take).collect()
}

/// A pointer begins at a column; what follows leads into its document.
fn within(text: &str, find: &dyn Fn(&str) -> Option<usize>) -> Take {
    let Ok(pointer) = Pointer::parse(text) else { return Take::Absent };
    let Some(name) = pointer.tokens().next() else { return Take::Whole };
    let Some(column) = find(name) else { return Take::Absent };
    match text[1..].find('/') {
        None => Take::Column(column),
        Some(end) => match Pointer::parse(&text[1 + end..]) {
            Ok(rest) => Take::Within(column, rest),
            Err(_) => Take::Absent,
        },
    }
}

/// The columns that are taken, `None` for one that is absent; nothing where some field has to be made.
fn selected(takes: &[Take]) -> Option<Vec<Option<usize>>> {
    let is_made = |take: &Take| matches!(take, Take::Within(..) | Take::Whole);
    let column = |take: &Take| if let Take::Column(column) = take { Some(*column) } else { None };
    (!takes.iter().any(is_made)).then(|| takes.iter().map(column).collect())
}

/// Pushes the fields of one row and leaves the row open.
fn push(takes: &[Take], out: &mut ChunkBuilder, row: Row<'_>, object: &str) {
    for take in takes {
        match take {
            Take::Column(column) => out.push(row.get(*column)),
            Take::Absent => out.push(ValueRef::Null),
            Take::Whole => out.push(ValueRef::Json(object)),
            Take::Within(column, pointer) => match row.get(*column) {
                ValueRef::Json(text) => push_within(out, text, pointer),
                _ => out.push(ValueRef::Null),
            },
        }
    }
}

fn push_within(out: &mut ChunkBuilder, text: &str, pointer: &Pointer) {
    let Ok(document) = json::parse(text.as_bytes()) else { return out.push(ValueRef::Null) };
    match document.at(pointer) {
        None | Some(Json::Null) => out.push(ValueRef::Null),
        Some(Json::Bool(value)) => out.push(ValueRef::Bool(*value)),
        Some(Json::Number(number)) => match number.parse::<i128>() {
            Ok(value) if value.to_string() == **number => out.push(ValueRef::Int(value)),
            Ok(_) | Err(_) => out.push(ValueRef::Decimal(number)),
        },
        Some(Json::String(text)) => out.push(ValueRef::Text(text)),
        Some(json @ (Json::Array(_) | Json::Object(_))) => {
            out.push(ValueRef::Json(&json.to_text()));
        }
    }
}

/// The digest of a chain with one more record.
fn link(before: &[u8; 32], raw: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    hasher.update(raw);
    *hasher.finalize().as_bytes()
}

/// What lies before a mark is not what it was.
pub(super) fn changed(path: &str) -> EndpointError {
    EndpointError::new(
        ErrorClass::Changed,
        whimbrel_endpoint::codes::SOURCE_CHANGED,
        format!("the rows changed since they were read: `{path}`"),
    )
}
