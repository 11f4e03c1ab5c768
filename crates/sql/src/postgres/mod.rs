//! PostgreSQL as a target.
//!
//! ```text
//! PostgresTarget ─┬─ reader: describe, select, lease, inspect      (autocommit)
//!                 └─ writer: the one transaction; its gate is held by `PostgresTxn`
//! ```
//! Both connect with their first use and again when they are lost. `encode` and `decode` know the
//! binary formats, `catalogue` the tables, `write` how rows go in by COPY and which of them do not,
//! `lease` who may write, `fault` what an error means.

pub(crate) mod catalogue;
pub(crate) mod decode;
mod deferred;
pub(crate) mod encode;
pub(crate) mod fault;
pub(crate) mod form;
mod holders;
mod indexes;
mod inspect;
mod keyed;
mod lease;
mod ledger;
mod link;
mod read;
mod schema;
pub(crate) mod spelling;
mod statement;
mod txn;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Held, MutexGuard as HeldGuard};

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard};
use whimbrel_endpoint::{
    EndpointError, ErrorClass, Fence, Finding, LeaseAnswer, LeaseRequest, Needs, Pressure, Query,
    Rows, SchemaFile, Script, Snapshot, Target, TargetFacts, Txn, Words,
};
use whimbrel_model::{Table, Value};

use crate::dialect::Dialect;
use crate::waiting::Learnt;
use crate::words::Spelled;
use crate::{Location, Options, codes};
use catalogue::Facts;
use link::{Bound, Kept, Link, Place};
use txn::PostgresTxn;

/// Names the database; connects with the first use.
#[allow(clippy::unused_async)] // so that an engine may connect here
pub(crate) async fn open(
    url: &str,
    shown: &str,
    options: Options,
) -> Result<Box<dyn Target>, EndpointError> {
    let place = Arc::new(Place::new(url, shown, &options)?);
    let location = Location::Postgres { url: url.to_owned(), shown: shown.to_owned() };
    Ok(Box::new(PostgresTarget { shared: Arc::new(Shared::new(place)), location, options }))
}

/// A database of a PostgreSQL server.
#[derive(Debug)]
pub(crate) struct PostgresTarget {
    shared: Arc<Shared>,
    location: Location,
    options: Options,
}

/// What the target and its transaction both know.
#[derive(Debug)]
struct Shared {
    place: Arc<Place>,
    reader: Mutex<Option<Link>>,
    writer: Arc<Mutex<Writer>>,
    /// The transaction is open.
    is_open: AtomicBool,
    /// A load is under way: commits do not wait for the disk.
    is_loading: AtomicBool,
    /// The ledger's tables, which stay as they are.
    ledger: Held<HashMap<String, Arc<Facts>>>,
    /// Rows that the last commit was refused for.
    learnt: Held<Learnt>,
}

/// The writing connection between its transactions.
#[derive(Debug, Default)]
struct Writer {
    link: Option<Link>,
    /// The transaction on it was dropped and not yet undone.
    must_undo: bool,
    /// The process behind the connection that was used last.
    pid: i32,
    /// Processes of connections that were closed in the middle: they may not know it yet.
    left_behind: Vec<i32>,
    /// A commit was acknowledged on the connection. Commits of a load do not wait for the disk, so
    /// the server may have fallen and lost it; only on the same connection is that ruled out.
    has_committed: bool,
}

impl Writer {
    async fn undo(&mut self) {
        if !std::mem::take(&mut self.must_undo) {
            return;
        }
        let Some(mut link) = self.link.take() else { return };
        link.aborted = None;
        if link.simple("ROLLBACK").await.is_ok() {
            self.link = Some(link);
        } else {
            self.left_behind.push(link.pid);
            self.has_committed = false;
        }
    }

    /// The connection, ready for a transaction.
    async fn ready(&mut self, place: &Arc<Place>) -> Result<Link, EndpointError> {
        self.undo().await;
        let mut link = match self.link.take() {
            Some(mut link) => {
                if link.stands().await {
                    link
                } else {
                    self.renewed(place).await?
                }
            }
            None => self.renewed(place).await?,
        };
        for pid in std::mem::take(&mut self.left_behind) {
            // Where this is refused, the session ends by itself when it looks for its client.
            let sql = "SELECT pg_terminate_backend(a.pid, 2000) \
                       FROM pg_catalog.pg_stat_activity a \
                       WHERE a.pid = $1 AND a.application_name = 'whimbrel' \
                         AND a.pid <> pg_backend_pid()";
            let bound = Bound { oid: 23, bytes: Some(pid.to_be_bytes().to_vec()) };
            let _ = link.rows("end a session of ours", sql, vec![bound], Kept::No).await;
            link.aborted = None;
        }
        Ok(link)
    }

    /// A new connection. Where something was committed on the one before, the answer is an error
    /// first, of class `Transient`: whoever goes on has to read the marks again.
    async fn renewed(&mut self, place: &Arc<Place>) -> Result<Link, EndpointError> {
        let link = place.connect().await?;
        self.pid = link.pid;
        if !std::mem::take(&mut self.has_committed) {
            return Ok(link);
        }
        self.link = Some(link);
        Err(EndpointError::new(
            ErrorClass::Transient,
            codes::CONNECTION_LOST,
            format!(
                "the connection was lost between two transactions, and the server may have fallen: \
                 what it still has is looked up: `{}`",
                place.shown
            ),
        ))
    }
}

impl Shared {
    fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            reader: Mutex::new(None),
            writer: Arc::default(),
            is_open: AtomicBool::new(false),
            is_loading: AtomicBool::new(false),
            ledger: Held::default(),
            learnt: Held::default(),
        }
    }

    /// The transaction has ended, or is about to behind its gate.
    fn closed(&self) {
        self.is_open.store(false, Ordering::SeqCst);
    }

    fn idle(&self, doing: &str) -> Result<(), EndpointError> {
        if self.is_open.load(Ordering::SeqCst) {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                whimbrel_endpoint::codes::TRANSACTION,
                format!("{doing}: a transaction is open"),
            ));
        }
        Ok(())
    }

    /// The reading connection, for one call. It is taken out of its place, so that a call that is
    /// dropped in the middle closes it.
    async fn reading(&self) -> Result<Reading<'_>, EndpointError> {
        let mut place = self.reader.lock().await;
        let mut link = self.place.standing(place.take()).await?;
        link.aborted = None;
        Ok(Reading { place, link: Some(link) })
    }

    fn learnt(&self) -> HeldGuard<'_, Learnt> {
        self.learnt.lock().expect("nobody panics with it")
    }

    fn ledger_facts(&self, table: &str) -> Option<Arc<Facts>> {
        self.ledger.lock().expect("nobody panics with it").get(table).cloned()
    }

    fn remember_ledger(&self, table: &str, facts: Option<&Arc<Facts>>) {
        if let Some(facts) = facts
            && Dialect::Postgres.is_ledger(table)
        {
            let mut ledger = self.ledger.lock().expect("nobody panics with it");
            ledger.insert(table.to_owned(), Arc::clone(facts));
        }
    }

    async fn is_fenced(&self, fence: Fence) -> Result<bool, EndpointError> {
        let mut reading = self.reading().await?;
        let outcome = lease::check(reading.link(), fence, false).await;
        reading.done();
        match outcome {
            Ok(()) => Ok(false),
            Err(error) if error.class == ErrorClass::Fenced => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn facts_of(&self, link: &mut Link, table: &str) -> Result<Arc<Facts>, EndpointError> {
        if let Some(facts) = self.ledger_facts(table) {
            return Ok(facts);
        }
        let found = catalogue::facts(link, table).await?.map(Arc::new);
        self.remember_ledger(table, found.as_ref());
        found.ok_or_else(|| read::no_table(table))
    }
}

/// The reading connection in use.
struct Reading<'a> {
    place: MutexGuard<'a, Option<Link>>,
    link: Option<Link>,
}

impl Reading<'_> {
    fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("it is taken out by `done` alone")
    }

    /// Puts the connection back, unless it is of no use any more.
    fn done(mut self) {
        *self.place = self.link.take().filter(|link| !link.lost);
    }
}

#[async_trait]
impl Target for PostgresTarget {
    async fn facts(&self) -> Result<TargetFacts, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let sql = "SELECT current_setting('server_version'), pg_is_in_recovery(), \
                          current_setting('default_transaction_read_only') = 'on', \
                          CASE WHEN has_database_privilege(current_database(), 'CONNECT') \
                               THEN pg_database_size(current_database()) END";
        let found = reading.link().rows("look at the server", sql, vec![], Kept::No).await;
        reading.done();
        let found = found?;
        let cell = |index: usize| found.first().map_or(&Value::Null, |row| &row[index]);
        let is = |index: usize| *cell(index) == Value::Bool(true);
        let read_only = if is(1) {
            Some("the server is a standby".to_owned())
        } else {
            is(2).then(|| "`default_transaction_read_only` is on".to_owned())
        };
        Ok(TargetFacts {
            engine: "postgres",
            version: cell(0).as_text().unwrap_or_default().to_owned(),
            location: self.shared.place.shown.to_string(),
            exists: true,
            read_only,
            free_bytes: None,
            size_bytes: cell(3).as_int().map(|bytes| bytes as u64),
        })
    }

    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let described = catalogue::describe(reading.link(), table).await;
        reading.done();
        described
    }

    async fn describe_schema(&self, files: &[SchemaFile]) -> Result<Vec<Table>, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let described = schema::scratch(reading.link(), files).await;
        reading.done();
        described
    }

    fn look_over(&self, script: &Script) -> Result<(), EndpointError> {
        schema::look_over(script)
    }

    async fn prepare_ledger(&self) -> Result<(), EndpointError> {
        self.shared.idle("prepare the ledger")?;
        let mut reading = self.shared.reading().await?;
        let prepared = ledger::prepare(reading.link()).await;
        reading.done();
        self.shared.ledger.lock().expect("nobody panics with it").clear();
        prepared
    }

    async fn has_ledger(&self) -> Result<bool, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let stands = ledger::stands(reading.link()).await;
        reading.done();
        stands
    }

    async fn select(&self, query: &Query) -> Result<Rows, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let link = reading.link();
        let outcome = match self.shared.facts_of(link, &query.table).await {
            // A table of others may be another one the next time.
            Ok(facts) => {
                let is_ledger = Dialect::Postgres.is_ledger(&query.table);
                let kept = if is_ledger { Kept::Yes } else { Kept::No };
                read::select(link, &facts, query, kept).await
            }
            Err(error) => Err(error),
        };
        reading.done();
        outcome
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError> {
        if request.renew.is_none() {
            self.shared.idle("ask for the right to write")?;
        }
        let mut reading = self.shared.reading().await?;
        let answer = lease::ask(reading.link(), request).await;
        reading.done();
        answer
    }

    async fn release(&self, fence: Fence) -> Result<(), EndpointError> {
        self.shared.idle("give back the right to write")?;
        let mut reading = self.shared.reading().await?;
        let released = lease::release(reading.link(), fence).await;
        reading.done();
        released
    }

    async fn begin(&self, fence: Fence) -> Result<Box<dyn Txn>, EndpointError> {
        self.shared.idle("begin a transaction")?;
        let mut gate = Arc::clone(&self.shared.writer).lock_owned().await;
        self.shared.idle("begin a transaction")?;
        let mut link = gate.ready(&self.shared.place).await?;
        let begin = if self.shared.is_loading.load(Ordering::SeqCst) {
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off"
        } else {
            "BEGIN ISOLATION LEVEL READ COMMITTED"
        };
        if link.simple(begin).await.is_err() {
            // It went while it was idle: once more on a new one, which then says why.
            link = gate.renewed(&self.shared.place).await?;
            link.run("begin a transaction", begin).await?;
        }
        let entered = lease::enter(&mut link).await;
        if let Ok(true) = entered {
            self.shared.is_open.store(true, Ordering::SeqCst);
            return Ok(Box::new(PostgresTxn::new(Arc::clone(&self.shared), gate, link, fence)));
        }
        gate.link = Some(link);
        gate.must_undo = true;
        gate.undo().await;
        entered?;
        Err(EndpointError::new(
            ErrorClass::Transient,
            codes::LOCKED,
            format!(
                "begin a transaction: another session is writing here: `{}`",
                self.shared.place.shown
            ),
        ))
    }

    async fn inspect(&self, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let findings = inspect::inspect(reading.link(), needs).await;
        reading.done();
        findings
    }

    async fn pressure(&self) -> Result<Pressure, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let pressure = inspect::pressure(reading.link()).await;
        reading.done();
        pressure
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, EndpointError> {
        crate::source::snapshot::at(&self.location, &self.options)
    }

    async fn words(
        &self,
        table: &str,
        key: &[&str],
    ) -> Result<Option<Box<dyn Words>>, EndpointError> {
        let mut reading = self.shared.reading().await?;
        let facts = catalogue::facts(reading.link(), table).await;
        reading.done();
        let words = |facts: catalogue::Facts| -> Box<dyn Words> {
            let no_table = || {
                let why = "it is no table that rows can be written to".to_owned();
                Spelled::refused(Dialect::Postgres, table, why)
            };
            Box::new(facts.words(table, key).unwrap_or_else(no_table))
        };
        Ok(facts?.map(words))
    }

    fn rows_together(&self) -> usize {
        6_144
    }

    /// From here on commits do not wait for the disk. A crash of the server may take back the last
    /// of them, in their order: rows and marks together, so the run goes on from an older mark.
    async fn enter_load(&self) -> Result<(), EndpointError> {
        self.shared.is_loading.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// One commit that waits: the log is flushed in order, so everything before it is durable.
    async fn leave_load(&self) -> Result<(), EndpointError> {
        self.shared.idle("finish loading")?;
        self.shared.is_loading.store(false, Ordering::SeqCst);
        let mut gate = self.shared.writer.lock().await;
        // On the connection that has committed: that it stands proves that nothing is lost.
        let mut link = gate.ready(&self.shared.place).await?;
        let flush = "SET LOCAL synchronous_commit = on; \
                     INSERT INTO whimbrel.meta (name, value) VALUES ('flushed', '') \
                     ON CONFLICT (name) DO UPDATE SET value = excluded.value; \
                     DELETE FROM whimbrel.meta WHERE name = 'flushed'";
        let flush = format!("BEGIN; {flush}; COMMIT");
        let flushed = link.run("flush what was loaded", &flush).await;
        if flushed.is_err() && !link.lost {
            link.aborted = None;
            link.lost = link.simple("ROLLBACK").await.is_err();
        }
        if link.lost {
            gate.has_committed = false;
        } else {
            gate.link = Some(link);
        }
        flushed.map(drop)
    }
}
