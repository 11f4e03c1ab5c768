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

    /// Where identity columns, sequences, `AUTO_INCREMENT` and `AUTOINCREMENT` of a table stand.
    async fn counters(&self, table: &str) -> Result<Vec<Counter>, EndpointError> {
        let _ = table;
        Ok(Vec::new())
    }

    /// Constraints and indexes of a table that the engine does not vouch for: never validated, not valid,
    /// not enforced; or, where engines can be told not to look, broken by rows.
    async fn doubts(&self, table: &str) -> Result<Vec<Doubt>, EndpointError> {
        let _ = table;
        Ok(Vec::new())
    }

    /// The columns of each index of a table that covers all its rows, in the index's order; an expression
    /// is an empty name.
    async fn indexes(&self, table: &str) -> Result<Vec<Vec<String>>, EndpointError> {
        let _ = table;
        Ok(Vec::new())
    }

    /// The rows of a table that point to a parent which is not there: how many, and some.
    async fn orphans(&self, table: &Table, reference: &Reference)
    -> Result<Orphans, EndpointError>;
}

/// A counter that gives keys.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counter {
    /// The column that it fills.
    pub column: String,
    /// The value that it gives next.
    pub next: i128,
    /// The furthest value that stands there, in the direction of its steps; `None` without rows.
    pub highest: Option<i128>,
    /// Its steps.
    pub step: i128,
}

/// A constraint or an index that its engine does not vouch for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
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
