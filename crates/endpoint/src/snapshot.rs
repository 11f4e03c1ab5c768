//! One state of a database, to be read for proof.

use std::time::Duration;

use async_trait::async_trait;
use whimbrel_model::catalogue::{Catalogue, Reference};
use whimbrel_model::{Chunk, Table, Value};

use crate::{EndpointError, Script};

/// One state of a database, on connections of its own: what is committed meanwhile is not seen.
///
/// It is taken with the first question and kept until it is dropped. Where it is lost with its
/// connection, the error has class `Transient`, and whoever compares has to begin again.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// What the database declares: tables but the ledger's own, their keys and references. Rows are not
    /// looked at; definitions are those of the moment.
    async fn catalogue(&self) -> Result<Catalogue, EndpointError>;

    /// What a table holds: the kinds of its columns as values come, its key in the table's order; `None`
    /// where there is no such table. Views are tables here.
    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError>;

    /// All rows of a table, with the given columns as the given kinds. A value outside its kind comes
    /// as what it is. Columns that are not there are an error of class `Changed`.
    async fn rows(&self, table: &Table, order: RowOrder) -> Result<Box<dyn Feed>, EndpointError>;

    /// How many rows a table has; `None` where there is no such table.
    async fn count(&self, table: &str) -> Result<Option<u64>, EndpointError>;

    /// Whether the engine takes a query of the plan, without running it.
    async fn prepare(&self, script: &Script) -> Result<(), EndpointError>;

    /// What a query of the plan answers: the names of its columns, and its rows. A statement that does
    /// anything but read is refused; one that takes longer than `most` is ended.
    async fn query(
        &self,
        script: &Script,
        most: Duration,
    ) -> Result<(Vec<String>, Box<dyn Feed>), EndpointError>;

    /// The rows of a table that point to a parent which is not there: how many, and some.
    async fn orphans(&self, table: &Table, reference: &Reference)
    -> Result<Orphans, EndpointError>;
}

/// Rows without their parents.
#[derive(Clone, Debug, Default)]
pub struct Orphans {
    /// How many.
    pub rows: u64,
    /// Some of them, with all columns.
    pub samples: Vec<Vec<Value>>,
}

/// In which order rows come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowOrder {
    /// By the table's key, text by its bytes, as far as the engine can: whoever relies on it compares
    /// neighbours.
    ByKey,
    /// As it comes.
    Any,
}

/// Rows on their way: a few hundred at a time, some of them ahead.
#[async_trait]
pub trait Feed: Send {
    /// The next rows, at least one; `None` at the end.
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError>;
}
