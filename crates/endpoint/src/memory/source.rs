//! Partitions of given records, with marks that remember what was before them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sha2::Digest as _;
use whimbrel_model::plan::HashAlgorithm;
use whimbrel_model::{
    ChunkBuilder, Defect, Digest, PartitionId, Position, Record, SourceChunk, SourceMark, Value,
    ValueRef, json,
};

use crate::{
    Discovery, EndpointError, ErrorClass, Field, FileFacts, Freshness, Limit, Partition, Reader,
    ReaderEnd, Shape, ShapeColumn, Source, Unreadable, codes,
};

/// One record as it is given.
#[derive(Clone, Debug)]
pub struct MemoryRecord {
    /// In the order of the source's columns.
    pub values: Vec<Value>,
    /// Its original bytes.
    pub raw: Vec<u8>,
    /// What ails it; its values are then NULL.
    pub defect: Option<Arc<Defect>>,
}

impl MemoryRecord {
    /// A sound record; its bytes are its values, joined by commas, and a newline.
    pub fn new(values: Vec<Value>) -> Self {
        let cells: Vec<String> = values.iter().map(|value| value.as_ref().to_string()).collect();
        let raw = (cells.join(",") + "\n").into_bytes();
        Self { values, raw, defect: None }
    }

    /// A record that cannot be used, with its bytes.
    pub fn defective(raw: impl Into<Vec<u8>>, defect: Defect) -> Self {
        Self { values: Vec::new(), raw: raw.into(), defect: Some(Arc::new(defect)) }
    }
}

/// A source in memory. A clone shows the same partitions, also when they change.
#[derive(Clone, Debug)]
pub struct MemorySource {
    name: String,
    columns: Arc<[String]>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    partitions: BTreeMap<String, Arc<Vec<MemoryRecord>>>,
    unreadable: Vec<Unreadable>,
    name: Option<String>,
}

impl MemorySource {
    /// A source with these columns and no partitions.
    pub fn new(name: &str, columns: &[&str]) -> Self {
        Self {
            name: name.to_owned(),
            columns: columns.iter().map(|&column| column.to_owned()).collect(),
            state: Arc::default(),
        }
    }

    /// Sets a partition's records; a partition that was there is another version from now on.
    pub fn set(&self, path: &str, records: Vec<MemoryRecord>) {
        self.lock().partitions.insert(path.to_owned(), Arc::new(records));
    }

    /// Appends a record to a partition.
    pub fn append(&self, path: &str, record: MemoryRecord) {
        let mut state = self.lock();
        let partition = state.partitions.entry(path.to_owned()).or_default();
        Arc::make_mut(partition).push(record);
    }

    /// Takes a partition away.
    pub fn take_away(&self, path: &str) {
        self.lock().partitions.remove(path);
    }

    /// Adds a path that discovery reports as unreadable.
    pub fn add_unreadable(&self, path: &str, reason: &str) {
        let unreadable = Unreadable { path: path.to_owned(), reason: reason.to_owned() };
        self.lock().unreadable.push(unreadable);
    }

    /// Names the state in which the partitions are, as a database does; what a name stands for is
    /// for the caller to keep.
    pub fn name_state(&self, name: &str) {
        self.lock().name = Some(name.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn records(&self, path: &str) -> Result<Arc<Vec<MemoryRecord>>, EndpointError> {
        self.lock().partitions.get(path).cloned().ok_or_else(|| {
            EndpointError::new(
                ErrorClass::Changed,
                codes::SOURCE_CHANGED,
                format!("the partition is gone: `{path}`"),
            )
        })
    }
}

#[async_trait]
impl Source for MemorySource {
    fn name(&self) -> &str {
        &self.name
    }

    async fn partitions(&self) -> Result<Discovery, EndpointError> {
        let state = self.lock();
        let partition = |(path, records): (&String, &Arc<Vec<MemoryRecord>>)| Partition {
            id: PartitionId { source: self.name.clone(), path: path.clone() },
            facts: Arc::new(FileFacts {
                name: path.rsplit('/').next().unwrap_or_default().to_owned(),
                size: records.iter().map(|record| record.raw.len() as u64).sum(),
                ..FileFacts::default()
            }),
        };
        Ok(Discovery {
            partitions: state.partitions.iter().map(partition).collect(),
            unreadable: state.unreadable.clone(),
        })
    }

    async fn state(&self) -> Result<Option<String>, EndpointError> {
        Ok(self.lock().name.clone())
    }

    async fn describe(&self, _partition: &Partition) -> Result<Shape, EndpointError> {
        let column = |name: &String| ShapeColumn { name: name.clone(), kind: None };
        Ok(Shape {
            columns: self.columns.iter().map(column).collect(),
            closed: true,
            format: "memory".to_owned(),
        })
    }

    async fn open(
        &self,
        partition: &Partition,
        fields: &[Field],
        after: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError> {
        let records = self.records(&partition.id.path)?;
        let mut reader = MemoryReader {
            source: self.clone(),
            path: partition.id.path.clone(),
            fields: fields.iter().map(|field| self.lookup(field)).collect(),
            records,
            at: 0,
            position: Position { record: 0, line: 1, byte: 0 },
            digest: blake3::Hasher::new(),
        };
        if let Some(mark) = after {
            reader.skip(mark)?;
        }
        Ok(Box::new(reader))
    }

    async fn parse(
        &self,
        partition: &Partition,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        let own = self.records(&partition.id.path)?;
        let lookups: Vec<Lookup> = fields.iter().map(|field| self.lookup(field)).collect();
        let mut out = Out::new(lookups.len());
        for (position, bytes) in records {
            let known = own.iter().find(|record| line(&record.raw) == line(bytes));
            let mut record = known.cloned().unwrap_or_else(|| self.parsed(bytes));
            record.raw.clone_from(bytes);
            out.push(self, &lookups, &record, *position);
        }
        Ok(out.finish(SourceMark::default()))
    }

    async fn checksum(
        &self,
        partition: &Partition,
        algorithm: HashAlgorithm,
    ) -> Result<String, EndpointError> {
        let records = self.records(&partition.id.path)?;
        Ok(match algorithm {
            HashAlgorithm::Blake3 => digest(&records).to_hex(),
            HashAlgorithm::Sha256 => Digest(sha2::Sha256::digest(bytes(&records)).into()).to_hex(),
        })
    }

    async fn text(&self, partition: &Partition) -> Result<String, EndpointError> {
        let path = &partition.id.path;
        String::from_utf8(bytes(&self.records(path)?)).map_err(|error| {
            EndpointError::new(
                ErrorClass::Data,
                codes::NOT_TEXT,
                format!("the partition is not UTF-8: `{path}`"),
            )
            .because(error)
        })
    }

    async fn compare(
        &self,
        partition: &Partition,
        mark: &SourceMark,
    ) -> Result<Freshness, EndpointError> {
        let records = self.records(&partition.id.path)?;
        let behind = usize::try_from(mark.records).unwrap_or(usize::MAX);
        Ok(match records.get(..behind) {
            Some(prefix) if digest(prefix).0[..] == mark.token => {
                if prefix.len() == records.len() {
                    Freshness::Same
                } else {
                    Freshness::Appended
                }
            }
            Some(_) | None => Freshness::Changed,
        })
    }
}

/// A requested field, looked up.
#[derive(Clone, Copy, Debug)]
enum Lookup {
    Column(usize),
    Missing,
    Whole,
}

impl MemorySource {
    fn lookup(&self, field: &Field) -> Lookup {
        let name = match field {
            Field::Json => return Lookup::Whole,
            Field::Column(name) => name.clone(),
            // Records are flat: a pointer leads to a column, or nowhere.
            Field::Pointer(pointer) => match pointer.strip_prefix('/') {
                Some(token) if !token.contains('/') => token.replace("~1", "/").replace("~0", "~"),
                Some(_) | None => return Lookup::Missing,
            },
        };
        let column = self.columns.iter().position(|column| *column == name);
        column.map_or(Lookup::Missing, Lookup::Column)
    }

    /// What a line of cells says, in the form in which [`MemoryRecord::new`] writes one. It does
    /// not tell kinds, so that all cells are text, where no record of the partition is the same.
    fn parsed(&self, bytes: &[u8]) -> MemoryRecord {
        let defective = |message: &str| {
            let message = message.to_owned();
            MemoryRecord::defective(bytes, Defect { code: codes::NO_RECORD, column: 0, message })
        };
        let Ok(text) = std::str::from_utf8(bytes) else {
            return defective("the bytes are not valid utf-8");
        };
        let mut lines = text.lines().filter(|line| !line.is_empty());
        let Some(line) = lines.next() else { return defective("there is no record") };
        if lines.next().is_some() {
            return defective("there is more than one record");
        }
        let cells: Vec<Value> = line.split(',').map(|cell| Value::Text(cell.to_owned())).collect();
        if cells.len() != self.columns.len() {
            return defective("there are more or fewer cells than columns");
        }
        MemoryRecord { values: cells, raw: bytes.to_vec(), defect: None }
    }

    fn push(&self, chunk: &mut ChunkBuilder, lookup: Lookup, record: &MemoryRecord) {
        match lookup {
            Lookup::Missing => chunk.push(ValueRef::Null),
            Lookup::Column(column) => {
                chunk.push(record.values.get(column).map_or(ValueRef::Null, Value::as_ref));
            }
            Lookup::Whole if record.defect.is_some() => chunk.push(ValueRef::Null),
            Lookup::Whole => chunk.push(ValueRef::Json(&self.object(record))),
        }
    }

    fn object(&self, record: &MemoryRecord) -> String {
        let mut text = "{".to_owned();
        for (column, value) in self.columns.iter().zip(&record.values) {
            if text.len() > 1 {
                text.push(',');
            }
            json::write_string(&mut text, column);
            text.push(':');
            match value {
                Value::Null => text.push_str("null"),
                Value::Bool(_) | Value::Int(_) | Value::Json(_) => {
                    text.push_str(&value.as_ref().to_string());
                }
                other => json::write_string(&mut text, &other.as_ref().to_string()),
            }
        }
        text + "}"
    }
}

struct MemoryReader {
    source: MemorySource,
    path: String,
    fields: Vec<Lookup>,
    records: Arc<Vec<MemoryRecord>>,
    /// Records behind us, and their digest.
    at: usize,
    digest: blake3::Hasher,
    /// Of the last record behind us, but line and byte of the next.
    position: Position,
}

impl MemoryReader {
    fn skip(&mut self, mark: &SourceMark) -> Result<(), EndpointError> {
        let behind = usize::try_from(mark.records).unwrap_or(usize::MAX);
        let records = Arc::clone(&self.records);
        let prefix = records.get(..behind).ok_or_else(|| self.changed())?;
        for record in prefix {
            self.pass(record);
        }
        if self.mark().token == mark.token { Ok(()) } else { Err(self.changed()) }
    }

    fn pass(&mut self, record: &MemoryRecord) {
        self.digest.update(&record.raw);
        self.at += 1;
        self.position.record += 1;
        self.position.byte += record.raw.len() as u64;
        self.position.line += record.raw.split(|byte| *byte == b'\n').count() as u64 - 1;
    }

    fn mark(&self) -> SourceMark {
        SourceMark { records: self.at as u64, token: self.digest.finalize().as_bytes().to_vec() }
    }

    fn changed(&self) -> EndpointError {
        EndpointError::new(
            ErrorClass::Changed,
            codes::SOURCE_CHANGED,
            format!("the partition changed since it was read: `{}`", self.path),
        )
    }
}

#[async_trait]
impl Reader for MemoryReader {
    async fn next(&mut self, limit: Limit) -> Result<Option<SourceChunk>, EndpointError> {
        let all = Arc::clone(&self.records);
        let mut out = Out::new(self.fields.len());
        for record in all.iter().skip(self.at) {
            let full =
                out.rows.len() >= limit.rows || out.raw.len() + record.raw.len() > limit.bytes;
            if full && !out.rows.is_empty() {
                break;
            }
            let position = Position { record: self.position.record + 1, ..self.position };
            out.push(&self.source, &self.fields, record, position);
            self.pass(record);
        }
        if out.records.is_empty() {
            return Ok(None);
        }
        Ok(Some(out.finish(self.mark())))
    }

    async fn finish(self: Box<Self>) -> Result<ReaderEnd, EndpointError> {
        let now = digest(&self.source.records(&self.path)?);
        if now != digest(&self.records) {
            return Err(self.changed());
        }
        Ok(ReaderEnd {
            mark: self.mark(),
            skipped_lines: 0,
            lines: self.position.line - 1,
            bytes: self.position.byte,
            digest: Some(Digest(*self.digest.finalize().as_bytes())),
        })
    }
}

/// A chunk in the making.
struct Out {
    rows: ChunkBuilder,
    records: Vec<Record>,
    raw: Vec<u8>,
}

impl Out {
    fn new(width: usize) -> Self {
        Self { rows: ChunkBuilder::new(width), records: Vec::new(), raw: Vec::new() }
    }

    fn push(
        &mut self,
        source: &MemorySource,
        fields: &[Lookup],
        record: &MemoryRecord,
        position: Position,
    ) {
        for field in fields {
            source.push(&mut self.rows, *field, record);
        }
        self.rows.end_row();
        let start = self.raw.len();
        self.raw.extend_from_slice(&record.raw);
        let defect = record.defect.clone();
        self.records.push(Record { position, raw: (start, self.raw.len()), defect });
    }

    fn finish(self, mark: SourceMark) -> SourceChunk {
        let Self { rows, records, raw } = self;
        SourceChunk { rows: rows.finish(), records, raw, mark, repairs: Vec::new() }
    }
}

/// Without the line end.
fn line(raw: &[u8]) -> &[u8] {
    raw.strip_suffix(b"\n").unwrap_or(raw)
}

/// The partition's bytes: those of its records, one after the other.
fn bytes(records: &[MemoryRecord]) -> Vec<u8> {
    records.iter().flat_map(|record| record.raw.iter().copied()).collect()
}

fn digest(records: &[MemoryRecord]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for record in records {
        hasher.update(&record.raw);
    }
    Digest(*hasher.finalize().as_bytes())
}
