//! Targets: one transaction holds rows, undo, bookkeeping and mark, and checks its fence last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_model::{Chunk, Table, Value};

use crate::{EndpointError, Query, Rows, Snapshot, Words};

/// A database that rows are loaded into.
///
/// One transaction is open at a time; reads see what is committed.
#[async_trait]
pub trait Target: Send + Sync {
    /// What it is and what it can do; opens nothing for writing.
    async fn facts(&self) -> Result<TargetFacts, EndpointError>;

    /// The table as it stands, or `None`. Columns in their order, kinds as declared.
    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError>;

    /// The tables that the schema files would create, without touching the target.
    async fn describe_schema(&self, files: &[SchemaFile]) -> Result<Vec<Table>, EndpointError>;

    /// Refuses what is not allowed in a script (see [`Txn::execute`]), as far as it can be seen without
    /// doing it: statements that begin or end transactions.
    fn look_over(&self, script: &Script) -> Result<(), EndpointError> {
        let _ = script;
        Ok(())
    }

    /// Creates or upgrades the ledger's tables. A newer ledger is refused with class `Changed`.
    async fn prepare_ledger(&self) -> Result<(), EndpointError>;

    /// True where the ledger's tables exist, without creating them.
    async fn has_ledger(&self) -> Result<bool, EndpointError>;

    /// Committed rows of a bookkeeping table. The table must exist.
    async fn select(&self, query: &Query) -> Result<Rows, EndpointError>;

    /// Takes or renews the right to write (see [`LeaseRequest`]). The holder itself, asking again,
    /// gets a larger fence. While the own transaction is open only a renewal is possible; where
    /// another connection's transaction locks the target, the error has class `Transient`.
    async fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError>;

    /// Gives the right to write back, if it is still held under this fence.
    async fn release(&self, fence: Fence) -> Result<(), EndpointError>;

    /// Begins the only transaction; it can commit only while `fence` is current. While another
    /// connection's is open the error has class `Transient`.
    async fn begin(&self, fence: Fence) -> Result<Box<dyn Txn>, EndpointError>;

    /// What stands in the way of such a load, and what should be known before it: privileges,
    /// settings, what else goes on there. Nothing is changed.
    async fn inspect(&self, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
        let _ = needs;
        Ok(Vec::new())
    }

    /// How hard the target is at work for others, where it can tell; asked while a batch
    /// is open, so that those who wait for its locks are seen.
    async fn pressure(&self) -> Result<Pressure, EndpointError> {
        Ok(Pressure::default())
    }

    /// The target as it is committed at the first question, on connections of its own. Nothing is
    /// opened yet.
    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, EndpointError>;

    /// How rows of a table, found by these columns, would be changed by hand; `None` where it has no such
    /// table, or one whose rows nobody can change so. `key` is empty where all values are what a row is
    /// found by.
    async fn words(
        &self,
        table: &str,
        key: &[&str],
    ) -> Result<Option<Box<dyn Words>>, EndpointError> {
        let (_, _) = (table, key);
        Ok(None)
    }

    /// How many rows [`Txn::write`] takes best at a time: where each call costs exchanges with a
    /// server, more of them.
    fn rows_together(&self) -> usize {
        2_048
    }

    /// Tunes the target for a load (SQLite: WAL, synchronous NORMAL), remembering what was.
    async fn enter_load(&self) -> Result<(), EndpointError>;

    /// Makes everything committed so far durable against power loss and puts back what
    /// [`Target::enter_load`] changed.
    async fn leave_load(&self) -> Result<(), EndpointError>;
}

/// SQL of the plan, which only the adapter reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// What it is, for messages: `relate "hierarchy", undo`.
    pub name: String,
    /// Its statements.
    pub sql: String,
}

/// An index that a load can do without, as the target would make it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its definition, in the words of the target.
    pub definition: String,
}

/// What a load will do to a target.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Needs {
    /// Existing tables that rows are written to.
    pub tables: Vec<String>,
    /// Tables that are created by the mapping or the schema files.
    pub creates: Vec<String>,
    /// Columns of the plan's key, by table, where it has one: something has to make them unique.
    pub keys: BTreeMap<String, Vec<String>>,
    /// The schema files.
    pub schema: Vec<SchemaFile>,
    /// Bytes that the load is expected to take, where it can be estimated.
    pub bytes: Option<u64>,
}

/// Something about an endpoint that people should know before a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// A code that `explain` knows.
    pub code: &'static str,
    /// True where the run would fail.
    pub blocks: bool,
    /// What it is and what to do, in a sentence or two.
    pub message: String,
}

/// How hard a target is at work; zero and `None` where it cannot tell.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Pressure {
    /// Sessions other than ours that wait for a lock.
    pub lock_waits: u64,
    /// How far the slowest replica is behind.
    pub replica_lag: Option<Duration>,
    /// How long the target took to answer.
    pub round_trip: Duration,
}

/// A file of the plan's `schema` folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SchemaFile {
    /// Its name, for messages.
    pub name: String,
    /// Its SQL, which only the adapter reads.
    pub sql: String,
}

/// How certain it is that rows will be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coming {
    /// They may yet become fewer, or come in another transaction.
    Likely,
    /// They will be written in this transaction, as they are, unless it is undone.
    Surely,
}

/// All or nothing: dropped without `commit`, it never was.
#[async_trait]
pub trait Txn: Send {
    /// Writes rows of a table that was described by the target; one fate per row, in order.
    ///
    /// A row that the target refuses (a constraint, a type) is a fate, not an error, and leaves
    /// the other rows as they are. A row whose key holds NULL is refused. A key that nothing in
    /// the target makes unique is an error of class `Configuration`; without a key (`table.key`
    /// empty) every row is new. Rows are shared, not copied, because they may cross threads.
    async fn write(
        &mut self,
        table: &Table,
        rows: Arc<Chunk>,
        mode: WriteMode,
    ) -> Result<Vec<RowFate>, EndpointError>;

    /// Says what the write after the next one will be given: a target may prepare it while it carries
    /// out the next, and, where it is [`Coming::Surely`], begin it as soon as all rows of the next one
    /// are in. Then bookkeeping that comes between the two sees its rows, and a commit without the write
    /// is refused. What is only likely may never come: nothing of it is ever in the table then. Rows that
    /// are written sooner than said are expected no more.
    fn expect(&mut self, _table: &Table, _rows: &Arc<Chunk>, _coming: Coming) {}

    /// Inserts or replaces bookkeeping rows by the table's key (`table.key` empty: inserts).
    /// Columns that `table` leaves out keep what they held.
    async fn put(&mut self, table: &Table, rows: &Chunk) -> Result<(), EndpointError>;

    /// Deletes bookkeeping rows that match all of the query's conditions; returns how many.
    async fn delete(&mut self, query: &Query) -> Result<u64, EndpointError>;

    /// Rows as this transaction sees them.
    async fn select(&mut self, query: &Query) -> Result<Rows, EndpointError>;

    /// The stored rows under these keys (a chunk of key columns in the table's key order), with
    /// all columns of `table`, `None` where there is none; locked until the end of the transaction.
    async fn read_for_update(
        &mut self,
        table: &Table,
        keys: &Chunk,
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError>;

    /// Overwrites existing rows by key with all columns of `table`; one fate per row, in order:
    /// [`RowFate::Updated`], or [`RowFate::Refused`], which leaves the row as it stood and the others
    /// as they are. Every key must exist, else the error has class `Changed`.
    async fn update(&mut self, table: &Table, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError>;

    /// Removes the rows under these keys (a chunk of key columns in the table's key order);
    /// returns how many there were.
    async fn remove(&mut self, table: &Table, keys: &Chunk) -> Result<u64, EndpointError>;

    /// Creates a table of the mapping, when the plan has no schema.
    async fn create_table(&mut self, table: &Table) -> Result<(), EndpointError>;

    /// Applies a schema file. Class `Configuration` names the file and the statement that failed.
    async fn apply_schema(&mut self, file: &SchemaFile) -> Result<(), EndpointError>;

    /// Whether an interrupted attempt of this run has left some of the file's definitions. Only
    /// engines whose definitions commit by themselves leave any; applying the file again completes
    /// them.
    async fn is_half_applied(&mut self, _file: &SchemaFile) -> Result<bool, EndpointError> {
        Ok(false)
    }

    /// Runs the statements of a script in this transaction; returns how many rows they changed
    /// altogether. Statements that begin or end transactions are refused (class `Configuration`).
    /// Where an engine commits definitions by itself (MySQL), they are done exactly once all the
    /// same: the adapter notes its intent first and looks afterwards.
    async fn execute(&mut self, script: &Script) -> Result<u64, EndpointError>;

    /// The rows that a query of the plan returns, at most `limit`, with the names of its columns.
    async fn query(
        &mut self,
        script: &Script,
        limit: u64,
    ) -> Result<(Vec<String>, Rows), EndpointError>;

    /// How many rows a table has, as this transaction sees them; `None` where there is no such table
    /// or the adapter cannot tell.
    async fn count(&mut self, table: &str) -> Result<Option<u64>, EndpointError> {
        let _ = table;
        Ok(None)
    }

    /// Lets identity columns, sequences and AUTO_INCREMENT of a table go on behind the largest
    /// value loaded; returns what was set, as `column = next value`. A counter that is ahead stays.
    async fn advance_counters(&mut self, table: &Table) -> Result<Vec<String>, EndpointError> {
        let _ = table;
        Ok(Vec::new())
    }

    /// The indexes of a table that decide no row's fate and can be made again exactly as they are;
    /// none where the adapter cannot tell, or where it gains nothing.
    async fn parkable_indexes(&mut self, table: &str) -> Result<Vec<Index>, EndpointError> {
        let _ = table;
        Ok(Vec::new())
    }

    /// Drops those of the indexes that are there; returns their names. Nothing else may have been
    /// done with the table in this transaction. Where an engine commits definitions by itself, what
    /// is dropped stays dropped.
    async fn drop_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        let (_, _) = (table, indexes);
        Ok(Vec::new())
    }

    /// Makes those of the indexes that are not there, none where the table is gone; returns their
    /// names. Else as [`Txn::drop_indexes`].
    async fn create_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        let (_, _) = (table, indexes);
        Ok(Vec::new())
    }

    /// Lets the engine look at a table anew, so that it plans queries well; whether it did. A refusal
    /// harms nothing.
    async fn update_statistics(&mut self, table: &str) -> Result<bool, EndpointError> {
        let _ = table;
        Ok(false)
    }

    /// Checks the fence last, then commits. Class `Fenced`: nothing was written. Class `Unknown`:
    /// the answer was lost; only the mark can tell. Code [`codes::WITHOUT_ORPHANS`]: nothing was
    /// written, and the same rows are to be written again, of which some are refused then.
    ///
    /// [`codes::WITHOUT_ORPHANS`]: crate::codes::WITHOUT_ORPHANS
    async fn commit(self: Box<Self>) -> Result<(), EndpointError>;

    /// Undoes everything.
    async fn rollback(self: Box<Self>) -> Result<(), EndpointError>;
}

/// What to do with a row whose key is taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteMode {
    /// Insert; a taken key is the fate [`RowFate::Taken`], which the caller then looks into.
    Insert,
}

/// What became of one row.
#[derive(Clone, PartialEq, Debug)]
pub enum RowFate {
    /// It is in the table now.
    Inserted,
    /// Its key is taken; nothing was written.
    Taken,
    /// It stands in the place of what its key had; of [`Txn::update`] only.
    Updated,
    /// The target refused it.
    Refused {
        /// A code that `explain` knows.
        code: &'static str,
        /// The constraint or column, where the engine names it.
        subject: Option<String>,
        /// The engine's reason, bounded.
        message: String,
    },
}

/// The number of a right to write: larger than every one before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fence(pub u64);

/// Who asks for the right to write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// Host name.
    pub host: String,
    /// Which boot of that host, so that a reused pid is not mistaken for its namesake.
    pub boot: String,
    /// Process id.
    pub pid: u32,
    /// When the process started, in the host's own clock ticks.
    pub started: u64,
}

/// Asks for the right to write, or renews it.
#[derive(Clone, Debug)]
pub struct LeaseRequest {
    /// Who asks.
    pub holder: Holder,
    /// How long the right holds without renewal, by the target's clock.
    pub ttl: Duration,
    /// A renewal: only if this is still the current fence, also after it ran out. Otherwise the
    /// answer is who holds it, or an error of class `Fenced` where nobody does.
    pub renew: Option<Fence>,
    /// The caller knows that the current holder's process is dead: take over at once, if the
    /// holder is still this one.
    pub dead: Option<Holder>,
}

/// The answer to a [`LeaseRequest`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LeaseAnswer {
    /// The right is held under this fence.
    Granted(Fence),
    /// Someone else holds it.
    Held {
        /// Who.
        by: Holder,
        /// Milliseconds until it runs out, by the target's clock.
        expires_in_ms: u64,
    },
}

/// What a target is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TargetFacts {
    /// `sqlite`, `postgres`, `mysql`, `memory`.
    pub engine: &'static str,
    /// Its version.
    pub version: String,
    /// URL without secrets, for people.
    pub location: String,
    /// False where the database does not exist yet and would be created.
    pub exists: bool,
    /// Why it cannot be written, if it cannot.
    pub read_only: Option<String>,
    /// Free bytes where it stores, if known.
    pub free_bytes: Option<u64>,
    /// Bytes it takes now, if known.
    pub size_bytes: Option<u64>,
}
