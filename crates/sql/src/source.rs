//! Databases as sources: a table or a query is one partition, its rows are the records.
//!
//! ```text
//! sources(specs) ─▶ one engine per URL (one snapshot) ─┬─ rows in the order of the key ─▶ Reader
//!                                                      └─ rows of another source       ─▶ Reader
//! ```
//! All sources with one URL see one state of the database, however long the run takes: what is
//! committed meanwhile is not seen. The rows come in one streaming statement, ordered by the key with
//! text compared by its bytes, so that the order depends on no collation. A mark remembers a digest of
//! everything before it; going on after one reads the rows before it again and compares.
//!
//! A record's bytes are one JSON object of the row (see [`record`]): exact, and read back by
//! [`Source::parse`]. Values come as their column's kind; a value that its column should not hold
//! (`12abc` in an INTEGER column of SQLite, `0000-00-00`, `infinity`) comes as the text it is, and the
//! plan says what becomes of it.

mod engine;
mod held;
mod layout;
mod mysql;
mod postgres;
mod pump;
mod reader;
mod record;
pub(crate) mod snapshot;
mod sqlite;
mod token;
mod vouched;

use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use whimbrel_endpoint::{
    Discovery, EndpointError, ErrorClass, Feed, Field, FileFacts, Finding, Freshness, Partition,
    Reader, Shape, ShapeColumn, Source,
};
use whimbrel_model::plan::HashAlgorithm;
use whimbrel_model::{PartitionId, Position, SourceChunk, SourceMark};

use self::engine::Engine;
use self::layout::{Layout, Wanted};
use self::reader::RowReader;
use self::token::Token;
use crate::{Location, Options, codes};

/// The most bytes that a source is as one text (`file.text`).
const TEXT_BYTES_MAX: u64 = 64 << 20;

/// One source as the plan describes it.
#[derive(Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// Its name in the plan.
    pub name: String,
    /// The database, with whatever secrets it takes to get in.
    pub url: String,
    /// What is read of it.
    pub read: Read,
    /// The columns that tell rows apart; empty for the table's own key.
    pub key: Vec<String>,
}

/// Without the URL: it may hold a password.
impl std::fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, url: _, read, key } = self;
        f.debug_struct("SourceSpec")
            .field("name", name)
            .field("read", read)
            .field("key", key)
            .finish_non_exhaustive()
    }
}

/// What is read of a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// A table or a view; on servers `schema.name` too.
    Table(String),
    /// What a SELECT answers.
    Query(String),
}

impl Read {
    /// The partition's path: the table's name, or `query`.
    fn path(&self) -> &str {
        match self {
            Self::Table(name) => name,
            Self::Query(_) => "query",
        }
    }
}

/// The sources that the specs describe, in their order. Sources with the same URL share one snapshot,
/// taken when the first of them is looked at. Nothing is opened yet.
///
/// A URL that is not understood has class `Configuration` and code `WB0400`.
#[allow(clippy::needless_pass_by_value)] // as `open` takes them
pub fn sources(
    specs: Vec<SourceSpec>,
    options: Options,
) -> Result<Vec<Arc<dyn Source>>, EndpointError> {
    let locate = |spec: &SourceSpec| Location::parse(&spec.url, &options.base);
    let locations = specs.iter().map(locate).collect::<Result<Vec<_>, _>>()?;
    let mut engines: Vec<(&Location, Arc<dyn Engine>)> = Vec::new();
    let mut sources: Vec<Arc<dyn Source>> = Vec::new();
    for (spec, location) in specs.into_iter().zip(&locations) {
        let known = engines.iter().find(|(known, _)| *known == location);
        let engine = match known {
            Some((_, engine)) => Arc::clone(engine),
            None => {
                let readers = locations.iter().filter(|other| *other == location).count();
                let engine = engine::at(location, &options, readers)?;
                engines.push((location, Arc::clone(&engine)));
                engine
            }
        };
        sources.push(Arc::new(DatabaseSource { spec, engine, layout: Mutex::default() }));
    }
    Ok(sources)
}

/// A table or a query of a database.
struct DatabaseSource {
    spec: SourceSpec,
    engine: Arc<dyn Engine>,
    /// A state's name, and what is read of it and how: after a state was lost, tables may be others.
    layout: Mutex<Option<(String, Arc<Layout>)>>,
}

impl DatabaseSource {
    /// What is read and how, looked up once in each state.
    async fn layout(&self) -> Result<Arc<Layout>, EndpointError> {
        let mut known = self.layout.lock().await;
        let state = self.engine.state().await?;
        if let Some((of, layout)) = &*known
            && *of == state
        {
            return Ok(Arc::clone(layout));
        }
        let wanted = Wanted::Records { key: self.spec.key.clone() };
        let layout = Arc::new(self.engine.layout(&self.spec.read, &wanted).await?);
        *known = Some((state, Arc::clone(&layout)));
        Ok(layout)
    }

    /// The rows, and what they are: both of one state.
    async fn rows(&self) -> Result<(Arc<Layout>, Box<dyn Feed>), EndpointError> {
        let layout = self.layout().await?;
        let rows = self.engine.rows(&layout).await?;
        if !Arc::ptr_eq(&layout, &self.layout().await?) {
            return Err(EndpointError::new(
                ErrorClass::Transient,
                codes::CONNECTION_LOST,
                format!("the state was lost when reading began: `{}`", self.spec.read.path()),
            ));
        }
        Ok((layout, rows))
    }

    async fn reader(&self, fields: &[Field]) -> Result<RowReader, EndpointError> {
        let (layout, rows) = self.rows().await?;
        Ok(RowReader::new(layout, rows, fields, self.spec.read.path()))
    }

    fn changed(&self) -> EndpointError {
        reader::changed(self.spec.read.path())
    }
}

#[async_trait]
impl Source for DatabaseSource {
    fn name(&self) -> &str {
        &self.spec.name
    }

    async fn partitions(&self) -> Result<Discovery, EndpointError> {
        // What does not exist is said here and not in the middle of a run.
        self.layout().await?;
        let path = self.spec.read.path().to_owned();
        let partition = Partition {
            id: PartitionId { source: self.spec.name.clone(), path },
            facts: Arc::new(FileFacts::default()),
        };
        Ok(Discovery { partitions: vec![partition], unreadable: Vec::new() })
    }

    async fn inspect(&self) -> Result<Vec<Finding>, EndpointError> {
        let layout = self.layout().await?;
        let mut findings = layout.findings.clone();
        findings.extend(self.engine.inspect(&self.spec.read).await?);
        Ok(findings)
    }

    async fn state(&self) -> Result<Option<String>, EndpointError> {
        self.engine.state().await.map(Some)
    }

    /// Reads so many: a small table is read twice, of a large one only the beginning.
    async fn holds(&self, _: &Partition, records: u64) -> Result<bool, EndpointError> {
        let (_, mut rows) = self.rows().await?;
        let mut seen = 0;
        while seen < records {
            let Some(chunk) = rows.next().await? else { return Ok(false) };
            seen += chunk.len() as u64;
        }
        Ok(true)
    }

    async fn describe(&self, _: &Partition) -> Result<Shape, EndpointError> {
        let layout = self.layout().await?;
        let column = |column: &layout::SourceColumn| ShapeColumn {
            name: column.name.clone(),
            kind: Some(column.kind),
        };
        Ok(Shape {
            columns: layout.columns.iter().map(column).collect(),
            closed: true,
            format: layout.format.clone(),
        })
    }

    async fn key(&self) -> Result<Vec<String>, EndpointError> {
        let layout = self.layout().await?;
        if layout.findings.iter().any(|finding| finding.code == codes::SOURCE_NO_KEY) {
            return Ok(Vec::new());
        }
        let name = |&column: &usize| layout.columns[column].name.clone();
        Ok(layout.order.iter().map(name).collect())
    }

    async fn open(
        &self,
        _: &Partition,
        fields: &[Field],
        after: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError> {
        let mut reader = self.reader(fields).await?;
        if let Some(mark) = after {
            let token = Token::read(&mark.token).ok_or_else(|| self.changed())?;
            if !reader.skip_to(mark.records, &token).await? {
                return Err(self.changed());
            }
        }
        Ok(Box::new(reader))
    }

    async fn parse(
        &self,
        _: &Partition,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        Ok(reader::parse(&*self.layout().await?, fields, records))
    }

    async fn checksum(
        &self,
        _: &Partition,
        algorithm: HashAlgorithm,
    ) -> Result<String, EndpointError> {
        let mut reader = self.reader(&[]).await?;
        match algorithm {
            HashAlgorithm::Blake3 => {
                let mut hasher = blake3::Hasher::new();
                reader
                    .each(|line| {
                        hasher.update(line.as_bytes());
                    })
                    .await?;
                Ok(hasher.finalize().to_hex().to_string())
            }
            HashAlgorithm::Sha256 => {
                use sha2::Digest as _;
                let mut hasher = sha2::Sha256::new();
                reader.each(|line| hasher.update(line.as_bytes())).await?;
                Ok(hex(&hasher.finalize()))
            }
        }
    }

    async fn text(&self, partition: &Partition) -> Result<String, EndpointError> {
        let mut reader = self.reader(&[]).await?;
        let mut text = String::new();
        let mut size = 0;
        reader
            .each(|line| {
                size += line.len() as u64;
                if size <= TEXT_BYTES_MAX {
                    text.push_str(line);
                }
            })
            .await?;
        if size > TEXT_BYTES_MAX {
            return Err(EndpointError::new(
                ErrorClass::Data,
                whimbrel_endpoint::codes::NOT_TEXT,
                format!("the rows are too many bytes for one text: `{}`", partition.id.path),
            ));
        }
        Ok(text)
    }

    async fn compare(&self, _: &Partition, mark: &SourceMark) -> Result<Freshness, EndpointError> {
        let Some(token) = Token::read(&mark.token) else { return Ok(Freshness::Changed) };
        let mut reader = self.reader(&[]).await?;
        if !reader.skip_to(mark.records, &token).await? {
            return Ok(Freshness::Changed);
        }
        Ok(if reader.is_at_end().await? { Freshness::Same } else { Freshness::Appended })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes any text");
        text
    })
}
