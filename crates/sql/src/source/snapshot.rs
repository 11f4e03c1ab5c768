//! A database to be read for proof: the readers of sources, with the columns and kinds of a table that was
//! described before.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_endpoint::{Counter, Doubt, EndpointError, Feed, Orphans, RowOrder, Script, Snapshot};
use whimbrel_model::catalogue::{Catalogue, Reference};
use whimbrel_model::decimal::Decimal;
use whimbrel_model::{Chunk, ChunkBuilder, Column, Kind, Table, ValueRef};

use super::Read;
use super::engine::{self, Engine};
use super::layout::{Layout, Wanted};
use super::sqlite;
use super::vouched::{self, Asked};
use crate::catalogue::{self, Look};
use crate::dialect::Dialect;
use crate::{Location, Options, codes};

/// Statements at a time: one streams, another one asks.
const READERS: usize = 2;

/// Orphans that are shown.
const ORPHANS_SHOWN: usize = 5;

/// The database at a place, in the state of the first question.
pub(crate) fn at(
    location: &Location,
    options: &Options,
) -> Result<Arc<dyn Snapshot>, EndpointError> {
    let engine = engine::at(location, options, READERS)?;
    let (location, options) = (location.clone(), options.clone());
    Ok(Arc::new(Database { engine, location, options }))
}

struct Database {
    engine: Arc<dyn Engine>,
    location: Location,
    options: Options,
}

impl Database {
    fn dialect(&self) -> Dialect {
        match self.location {
            Location::Sqlite { .. } => Dialect::Sqlite,
            Location::Postgres { .. } => Dialect::Postgres,
            Location::Mysql { .. } => Dialect::Mysql,
        }
    }

    async fn answer(&self, sql: String) -> Result<(Layout, Box<dyn Feed>), EndpointError> {
        let layout = self.engine.layout(&Read::Query(sql), &Wanted::Answer).await?;
        let feed = self.engine.rows(&layout).await?;
        Ok((layout, feed))
    }
}

#[async_trait]
impl Snapshot for Database {
    async fn catalogue(&self) -> Result<Catalogue, EndpointError> {
        catalogue::at(self.location.clone(), self.options.clone(), Look::Declarations).await
    }

    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError> {
        let read = Read::Table(table.to_owned());
        let layout = match self.engine.layout(&read, &Wanted::Records { key: Vec::new() }).await {
            Err(error) if error.code == codes::SOURCE_TABLE => return Ok(None),
            layout => layout?,
        };
        let column = |column: &super::layout::SourceColumn| Column {
            name: column.name.clone(),
            kind: column.kind,
            nullable: true,
            has_default: false,
        };
        let columns: Vec<Column> = layout.columns.iter().map(column).collect();
        // Without a key of its own it is ordered by all.
        let is_key = layout.findings.is_empty();
        let key = if is_key { layout.order } else { Vec::new() };
        Ok(Some(Table { name: table.to_owned(), key, columns }))
    }

    async fn rows(&self, table: &Table, order: RowOrder) -> Result<Box<dyn Feed>, EndpointError> {
        let read = Read::Table(table.name.clone());
        let layout = match self.engine.layout(&read, &Wanted::Stored(table.clone(), order)).await {
            Err(error) if error.code == codes::SOURCE_TABLE => {
                return Err(EndpointError::new(
                    whimbrel_endpoint::ErrorClass::Changed,
                    whimbrel_endpoint::codes::MISSING,
                    format!("the table is not there any more: `{}`", table.name),
                ));
            }
            layout => layout?,
        };
        let feed = self.engine.rows(&layout).await?;
        let wide = |(index, column): (usize, &Column)| {
            matches!(column.kind, Kind::Int(_)).then_some(index)
        };
        let wide: Vec<usize> = table.columns.iter().enumerate().filter_map(wide).collect();
        Ok(if wide.is_empty() { feed } else { Box::new(Typed { feed, wide }) })
    }

    async fn count(&self, table: &str) -> Result<Option<u64>, EndpointError> {
        if self.describe(table).await?.is_none() {
            return Ok(None);
        }
        let sql = format!("SELECT COUNT(*) AS n FROM {}", self.dialect().table(table));
        let (_, mut feed) = self.answer(sql).await?;
        let mut count = 0;
        while let Some(rows) = feed.next().await? {
            for row in rows.rows() {
                if let ValueRef::Int(n) = row.get(0) {
                    count = u64::try_from(n).unwrap_or(0);
                }
            }
        }
        Ok(Some(count))
    }

    async fn prepare(&self, script: &Script) -> Result<(), EndpointError> {
        let read = Read::Query(script.sql.clone());
        if let Location::Sqlite { path, .. } = &self.location
            && !path.exists()
        {
            return sqlite::understood(&script.sql);
        }
        match self.engine.layout(&read, &Wanted::Answer).await {
            Ok(_) => Ok(()),
            Err(error) if error.code == codes::SOURCE_QUERY && is_lacking(&error.what) => {
                Err(EndpointError { code: whimbrel_endpoint::codes::MISSING, ..error })
            }
            Err(error) => Err(error),
        }
    }

    async fn query(
        &self,
        script: &Script,
        most: Duration,
    ) -> Result<(Vec<String>, Box<dyn Feed>), EndpointError> {
        let read = Read::Query(script.sql.clone());
        let mut layout = self.engine.layout(&read, &Wanted::Answer).await?;
        layout.most = Some(most);
        let feed = self.engine.rows(&layout).await?;
        Ok((layout.columns.into_iter().map(|column| column.name).collect(), feed))
    }

    async fn counters(&self, table: &str) -> Result<Vec<Counter>, EndpointError> {
        vouched::counters(self, self.dialect(), table).await
    }

    async fn doubts(&self, table: &str) -> Result<Vec<Doubt>, EndpointError> {
        match &self.location {
            Location::Sqlite { path, .. } => {
                vouched::checked_by_sqlite(path, self.options.busy, table).await
            }
            Location::Postgres { .. } | Location::Mysql { .. } => {
                vouched::doubts(self, self.dialect(), table).await
            }
        }
    }

    async fn indexes(&self, table: &str) -> Result<Vec<Vec<String>>, EndpointError> {
        vouched::indexes(self, self.dialect(), table).await
    }

    async fn orphans(
        &self,
        table: &Table,
        reference: &Reference,
    ) -> Result<Orphans, EndpointError> {
        let dialect = self.dialect();
        // Under names of ours: SQLite takes a column `true` of a subquery for the value.
        let columns: Vec<String> = table
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| format!("c.{} AS c{index}", dialect.quote(&column.name)))
            .collect();
        let from = catalogue::without_parents(dialect, &table.name, reference);
        let (_, mut feed) = self.answer(format!("SELECT {} {from}", columns.join(", "))).await?;
        let mut orphans = Orphans::default();
        while let Some(rows) = feed.next().await? {
            let missing = ORPHANS_SHOWN.saturating_sub(orphans.samples.len());
            let shown = rows.rows().take(missing);
            orphans.samples.extend(shown.map(|row| row.values().map(ValueRef::to_owned).collect()));
            orphans.rows += rows.len() as u64;
        }
        Ok(orphans)
    }
}

#[async_trait]
impl Asked for Database {
    async fn ask(&self, sql: String) -> Result<Box<dyn Feed>, EndpointError> {
        self.answer(sql).await.map(|(_, feed)| feed)
    }
}

/// Whether the engine says of a statement only that what it names is not there. Engines look for names
/// after they have understood the whole.
fn is_lacking(words: &str) -> bool {
    const WORDS: [&str; 6] = [
        "no such table",
        "no such column",
        "no such function",
        "does not exist",
        "doesn't exist",
        "Unknown column",
    ];
    WORDS.iter().any(|lacking| words.contains(lacking))
}

/// Integers that an engine keeps in a decimal column come as the integers they are.
struct Typed {
    feed: Box<dyn Feed>,
    /// Columns of integers.
    wide: Vec<usize>,
}

#[async_trait]
impl Feed for Typed {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        let Some(chunk) = self.feed.next().await? else { return Ok(None) };
        let is_decimal = |&column: &usize| {
            chunk.rows().any(|row| matches!(row.get(column), ValueRef::Decimal(_)))
        };
        if !self.wide.iter().any(is_decimal) {
            return Ok(Some(chunk));
        }
        let mut typed = ChunkBuilder::with_capacity(chunk.width(), chunk.len(), chunk.size());
        for row in chunk.rows() {
            for (index, value) in row.values().enumerate() {
                typed.push(match value {
                    ValueRef::Decimal(text) if self.wide.contains(&index) => whole(text),
                    value => value,
                });
            }
            typed.end_row();
        }
        Ok(Some(typed.finish()))
    }
}

fn whole(text: &str) -> ValueRef<'_> {
    let number = Decimal::parse(text).ok().and_then(|number| number.to_i128_exact());
    number.map_or(ValueRef::Decimal(text), ValueRef::Int)
}
