//! The transaction: rows in, rows out, and the commit that checks the fence last.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::OwnedMutexGuard;
use whimbrel_endpoint::{
    Coming, EndpointError, ErrorClass, Fence, Index, Query, RowFate, Rows, SchemaFile, Script, Txn,
    WriteMode, failpoint,
};
use whimbrel_model::{Chunk, Table, Value};

use super::catalogue::{self, Facts};
use super::link::{Bound, Kept, Link};
use super::write::{Ahead, Prepared, Savepoint, Way};
use super::{Shared, Writer, deferred, fault, holders, indexes, keyed, lease, read, schema, write};
use crate::begun::{Begun, Fates};
use crate::codes;
use crate::dialect::Dialect;
use crate::waiting::{Waiting, undecided};

const WORDS: Dialect = Dialect::Postgres;

/// The transaction of the writing connection; undone when dropped.
pub(crate) struct PostgresTxn {
    shared: Arc<Shared>,
    /// The gate, held until the transaction has ended.
    gate: Option<OwnedMutexGuard<Writer>>,
    /// Taken out for the time of a call: one that is dropped in the middle closes the connection.
    link: Option<Link>,
    fence: Fence,
    /// What is known of the tables; a change of the schema forgets it.
    tables: HashMap<String, Option<Arc<Facts>>>,
    ways: Vec<Arc<Way>>,
    savepoint: Savepoint,
    /// Constraints wait for the commit, or may.
    defers: bool,
    /// Rows of tables that refer to themselves by such.
    waiting: Waiting,
    /// Tables of which no index is parked any more.
    unparked: Vec<String>,
    /// What is prepared for the write after the next one, and the next one where it was begun.
    ahead: Option<Ahead>,
    begun: Begun<(Link, Savepoint)>,
}

impl std::fmt::Debug for PostgresTxn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PostgresTxn").field("fence", &self.fence).finish_non_exhaustive()
    }
}

fn ended() -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        whimbrel_endpoint::codes::TRANSACTION,
        "the transaction has ended",
    )
}

impl PostgresTxn {
    pub(crate) fn new(
        shared: Arc<Shared>,
        gate: OwnedMutexGuard<Writer>,
        link: Link,
        fence: Fence,
    ) -> Self {
        Self {
            shared,
            gate: Some(gate),
            link: Some(link),
            fence,
            tables: HashMap::new(),
            ways: Vec::new(),
            savepoint: Savepoint::None,
            defers: false,
            waiting: Waiting::default(),
            unparked: Vec::new(),
            ahead: None,
            begun: Begun::default(),
        }
    }

    /// Waits for the write that was begun, and has the connection back.
    async fn await_begun(&mut self) {
        if let Some((link, savepoint)) = self.begun.wait().await {
            self.link = Some(link);
            self.savepoint = savepoint;
            // Whoever waits for it does something else, which an attempt after it may not undo.
            self.savepoint.passed();
        }
    }

    /// The connection, for one call; an error where the transaction can do nothing any more.
    async fn take(&mut self) -> Result<Link, EndpointError> {
        self.await_begun().await;
        if let Some((table, error)) = self.begun.failed() {
            return self.named(&table.name, Err(error)).await;
        }
        let link = self.link.take().ok_or_else(ended)?;
        match &link.aborted {
            None => Ok(link),
            Some((class, code, what)) => {
                let aborted = EndpointError::new(
                    *class,
                    code,
                    format!("the transaction was aborted before: {what}"),
                );
                self.link = Some(link);
                Err(aborted)
            }
        }
    }

    /// What is known of a table; `None` where there is none.
    async fn facts(
        &mut self,
        link: &mut Link,
        table: &str,
    ) -> Result<Option<Arc<Facts>>, EndpointError> {
        if let Some(known) = self.tables.get(table) {
            return Ok(known.clone());
        }
        let facts = match self.shared.ledger_facts(table) {
            Some(facts) => Some(facts),
            None => {
                let found = catalogue::facts(link, table).await?.map(Arc::new);
                self.shared.remember_ledger(table, found.as_ref());
                found
            }
        };
        self.tables.insert(table.to_owned(), facts.clone());
        Ok(facts)
    }

    async fn existing(
        &mut self,
        link: &mut Link,
        table: &str,
    ) -> Result<Arc<Facts>, EndpointError> {
        self.facts(link, table).await?.ok_or_else(|| read::no_table(table))
    }

    async fn way(&mut self, link: &mut Link, table: &Table) -> Result<Arc<Way>, EndpointError> {
        if let Some(known) = self.ways.iter().find(|known| known.table == *table) {
            return Ok(Arc::clone(known));
        }
        let facts = self.existing(link, &table.name).await?;
        let way = Arc::new(Way::new(table, facts)?);
        way.prepare(link).await?;
        deferred::hasten(link, &way.facts, &table.name).await?;
        self.savepoint.passed();
        self.defers |= way.facts.defers;
        self.waiting.watch(table, &way.facts.own_keys());
        self.ways.push(Arc::clone(&way));
        Ok(way)
    }

    fn forget(&mut self) {
        self.tables.clear();
        self.ways.clear();
    }

    /// These rows as the server takes them; those that are expected after them are prepared meanwhile.
    async fn prepared(
        &mut self,
        ahead: Option<Ahead>,
        way: &Arc<Way>,
        rows: &Arc<Chunk>,
    ) -> Prepared {
        let prepared = Prepared::of(ahead, way, rows).await;
        self.prepare_next(way);
        prepared
    }

    fn prepare_next(&mut self, way: &Arc<Way>) {
        self.ahead = self.begun.laid_out_next(&way.table).map(|rows| Ahead::start(way, rows));
    }

    /// What became of rows whose write was begun before it was asked for.
    async fn written_before(&mut self, table: &Table, rows: &Arc<Chunk>) -> Option<Fates> {
        if self.begun.is_of(table, rows) {
            if let Some(way) = self.ways.iter().find(|way| way.table == *table).cloned() {
                self.prepare_next(&way);
            }
            self.await_begun().await;
        }
        self.begun.take(table, rows)
    }

    /// Begins the write that is certain to come next, if nothing else has to be done before it.
    fn begin_next(&mut self, fates: &[RowFate]) {
        let Some(next) = self.begun.next(fates) else { return };
        let way = self.ways.iter().find(|way| way.table == next.table);
        let is_plain = !self.waiting.watches(&next.table)
            && (self.unparked.contains(&next.table.name) || !indexes::has_long_row(&next.rows));
        let (Some(way), true) = (way.cloned(), is_plain) else { return };
        let sound = |link: &mut Link| link.aborted.is_none() && !link.lost;
        let Some(mut link) = self.link.take_if(sound) else { return };
        let (mut savepoint, ahead, rows) =
            (self.savepoint, self.ahead.take(), Arc::clone(&next.rows));
        self.begun.start(next, async move {
            let prepared = Prepared::of(ahead, &way, &rows).await;
            let fates = write::write(&mut link, &mut savepoint, &way, &rows, prepared).await;
            if let Err(error) = &fates {
                let what = (error.class, error.code, error.what.clone());
                link.aborted.get_or_insert(what);
            }
            ((link, savepoint), fates)
        });
    }

    async fn write_to(
        &mut self,
        link: &mut Link,
        table: &Table,
        rows: &Arc<Chunk>,
    ) -> Result<Vec<RowFate>, EndpointError> {
        let ahead = self.ahead.take();
        keyed::fits(table.columns.len(), rows)?;
        let way = self.way(link, table).await?;
        self.unpark(link, &table.name, way.facts.oid, rows).await?;
        if !self.waiting.watches(table) {
            let prepared = self.prepared(ahead, &way, rows).await;
            return write::write(link, &mut self.savepoint, &way, rows, prepared).await;
        }
        let mut fates: Vec<Option<RowFate>> = {
            let learnt = self.shared.learnt();
            let refused = |row| self.waiting.refused(&learnt, table, row).cloned();
            rows.rows().map(refused).collect()
        };
        let rest;
        let open = if fates.iter().all(Option::is_none) {
            rows
        } else {
            rest = undecided(rows, &fates);
            &rest
        };
        let prepared = Prepared::new(&way, open);
        let written = write::write(link, &mut self.savepoint, &way, open, prepared).await?;
        let mut written = written.into_iter();
        for (row, fate) in rows.rows().zip(&mut fates).filter(|(_, fate)| fate.is_none()) {
            *fate = written.next();
            if *fate == Some(RowFate::Inserted) {
                self.waiting.note(table, row);
            }
        }
        Ok(fates.into_iter().map(|fate| fate.expect("every row was decided on")).collect())
    }

    async fn update_to(
        &mut self,
        link: &mut Link,
        table: &Table,
        rows: &Chunk,
    ) -> Result<Vec<RowFate>, EndpointError> {
        let facts = self.existing(link, &table.name).await?;
        self.defers |= facts.defers;
        self.waiting.watch(table, &facts.own_keys());
        self.unpark(link, &table.name, facts.oid, rows).await?;
        let fates = keyed::update(link, &mut self.savepoint, &facts, table, rows).await?;
        let updated = rows.rows().zip(&fates).filter(|(_, fate)| **fate == RowFate::Updated);
        updated.for_each(|(row, _)| self.waiting.note(table, row));
        Ok(fates)
    }

    /// Before a row that an index might refuse is written, indexes are there.
    async fn unpark(
        &mut self,
        link: &mut Link,
        table: &str,
        oid: u32,
        rows: &Chunk,
    ) -> Result<(), EndpointError> {
        if self.unparked.iter().any(|known| known == table) || !indexes::has_long_row(rows) {
            return Ok(());
        }
        self.savepoint.passed();
        indexes::unpark(link, table, oid).await?;
        self.unparked.push(table.to_owned());
        Ok(())
    }

    async fn end_with_commit(&mut self, link: &mut Link) -> Result<(), EndpointError> {
        if self.defers {
            deferred::check(link, &self.shared, &self.waiting).await?;
        }
        lease::check(link, self.fence, true).await?;
        failpoint!("sql.commit.before");
        match link.simple("COMMIT").await {
            Ok(_) => {}
            // The server has answered: the transaction was undone.
            Err(error) if !link.lost && fault::server(&error).is_some() => {
                return Err(link.told("commit", error));
            }
            Err(error) => {
                let shown = &link.place.shown;
                let what = format!("it is not known whether the commit succeeded: `{shown}`");
                let told = fault::failed(shown, "commit", error);
                return Err(EndpointError::new(ErrorClass::Unknown, codes::COMMIT_UNKNOWN, what)
                    .because(told));
            }
        }
        failpoint!("sql.commit.after");
        Ok(())
    }

    /// The connection went before anything was committed: was it a successor who ended it?
    async fn after_loss(&self, error: EndpointError) -> EndpointError {
        match self.shared.is_fenced(self.fence).await {
            Ok(false) => error,
            Ok(true) => lease::fenced().because(error),
            Err(_) => error,
        }
    }

    /// Names who is in the way, where an error is about a lock on the table.
    async fn named<T>(
        &self,
        table: &str,
        outcome: Result<T, EndpointError>,
    ) -> Result<T, EndpointError> {
        let writer = self.link.as_ref().map_or(0, |link| link.pid);
        match outcome {
            Ok(done) => Ok(done),
            Err(error) => Err(holders::named(&self.shared, table, writer, error).await),
        }
    }

    /// Gives the connection back, or lets it go where it is of no use.
    fn give_back(&mut self, link: Option<Link>) {
        self.shared.closed();
        let Some(mut gate) = self.gate.take() else { return };
        match link {
            Some(link) if !link.lost => gate.link = Some(link),
            Some(link) => {
                // Whoever sees this transaction fail reads the marks again.
                gate.has_committed = false;
                gate.left_behind.push(link.pid);
            }
            None => gate.has_committed = false,
        }
    }
}

impl Drop for PostgresTxn {
    fn drop(&mut self) {
        let Some(mut gate) = self.gate.take() else { return };
        self.shared.closed();
        self.begun = Begun::default();
        match self.link.take() {
            Some(link) if !link.lost => {
                gate.link = Some(link);
                gate.must_undo = true;
                // Locks go now, where they can; else with the next transaction.
                if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                    runtime.spawn(async move { gate.undo().await });
                }
            }
            Some(link) => {
                gate.has_committed = false;
                gate.left_behind.push(link.pid);
            }
            // Dropped in the middle of a call: the connection went with its future.
            None => {
                gate.has_committed = false;
                let pid = gate.pid;
                gate.left_behind.push(pid);
            }
        }
    }
}

/// Runs a call with the connection taken out; notes where the transaction went wrong.
macro_rules! within {
    ($self:ident, $link:ident, $work:expr) => {{
        let mut held = $self.take().await?;
        let $link = &mut held;
        let outcome = $work;
        $self.link = Some(held);
        outcome
    }};
}

#[async_trait]
impl Txn for PostgresTxn {
    async fn write(
        &mut self,
        table: &Table,
        rows: Arc<Chunk>,
        mode: WriteMode,
    ) -> Result<Vec<RowFate>, EndpointError> {
        let WriteMode::Insert = mode;
        self.begun.asked(table, &rows);
        let outcome = match self.written_before(table, &rows).await {
            Some(outcome) => outcome,
            None => within!(self, link, self.write_to(link, table, &rows).await),
        };
        let fates = self.named(&table.name, outcome).await?;
        self.begin_next(&fates);
        Ok(fates)
    }

    fn expect(&mut self, table: &Table, rows: &Arc<Chunk>, coming: Coming) {
        self.begun.expect(table, rows, coming);
    }

    async fn put(&mut self, table: &Table, rows: &Chunk) -> Result<(), EndpointError> {
        keyed::fits(table.columns.len(), rows)?;
        self.savepoint.passed();
        within!(self, link, {
            match self.existing(link, &table.name).await {
                Ok(facts) => {
                    let shown = read::for_ledger(&table.name, rows);
                    keyed::put(link, &facts, table, shown.as_ref().unwrap_or(rows)).await
                }
                Err(error) => Err(error),
            }
        })
    }

    async fn delete(&mut self, query: &Query) -> Result<u64, EndpointError> {
        self.savepoint.passed();
        within!(self, link, {
            match self.existing(link, &query.table).await {
                Ok(facts) => read::delete(link, &facts, query).await,
                Err(error) => Err(error),
            }
        })
    }

    async fn select(&mut self, query: &Query) -> Result<Rows, EndpointError> {
        within!(self, link, {
            match self.existing(link, &query.table).await {
                Ok(facts) => read::select(link, &facts, query, Kept::Yes).await,
                Err(error) => Err(error),
            }
        })
    }

    async fn read_for_update(
        &mut self,
        table: &Table,
        keys: &Chunk,
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
        keyed::fits(table.key.len(), keys)?;
        keyed::keyed(table)?;
        self.savepoint.passed();
        let outcome = within!(self, link, {
            match self.existing(link, &table.name).await {
                Ok(facts) => keyed::read_for_update(link, &facts, table, keys).await,
                Err(error) => Err(error),
            }
        });
        self.named(&table.name, outcome).await
    }

    async fn update(&mut self, table: &Table, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError> {
        keyed::fits(table.columns.len(), rows)?;
        keyed::keyed(table)?;
        let outcome = within!(self, link, self.update_to(link, table, rows).await);
        self.named(&table.name, outcome).await
    }

    async fn remove(&mut self, table: &Table, keys: &Chunk) -> Result<u64, EndpointError> {
        keyed::fits(table.key.len(), keys)?;
        keyed::keyed(table)?;
        self.savepoint.passed();
        let outcome = within!(self, link, {
            match self.existing(link, &table.name).await {
                Ok(facts) => {
                    self.defers |= facts.defers;
                    keyed::remove(link, &facts, table, keys).await
                }
                Err(error) => Err(error),
            }
        });
        self.named(&table.name, outcome).await
    }

    async fn create_table(&mut self, table: &Table) -> Result<(), EndpointError> {
        self.savepoint.passed();
        self.forget();
        within!(self, link, {
            match self.facts(link, &table.name).await {
                Ok(None) => {
                    self.forget();
                    let doing = format!("create `{}`", table.name);
                    link.run(&doing, &WORDS.create_table(table)).await.map(drop)
                }
                Ok(Some(_)) => Err(EndpointError::new(
                    ErrorClass::Configuration,
                    whimbrel_endpoint::codes::TABLE_EXISTS,
                    format!("the table exists already: `{}`", table.name),
                )),
                Err(error) => Err(error),
            }
        })
    }

    async fn apply_schema(&mut self, file: &SchemaFile) -> Result<(), EndpointError> {
        self.savepoint.passed();
        self.forget();
        self.defers = true;
        within!(self, link, schema::apply(link, file).await)
    }

    async fn execute(&mut self, script: &Script) -> Result<u64, EndpointError> {
        self.savepoint.passed();
        self.forget();
        self.defers = true;
        within!(self, link, schema::execute(link, script).await)
    }

    async fn query(
        &mut self,
        script: &Script,
        limit: u64,
    ) -> Result<(Vec<String>, Rows), EndpointError> {
        self.savepoint.passed();
        within!(self, link, schema::query(link, script, limit).await)
    }

    async fn count(&mut self, table: &str) -> Result<Option<u64>, EndpointError> {
        let counted = within!(self, link, {
            match self.facts(link, table).await {
                Ok(None) => Ok(None),
                Ok(Some(facts)) => count(link, table, facts.oid).await.map(Some),
                Err(error) => Err(error),
            }
        });
        self.named(table, counted).await
    }

    async fn advance_counters(&mut self, table: &Table) -> Result<Vec<String>, EndpointError> {
        self.savepoint.passed();
        within!(self, link, {
            match self.existing(link, &table.name).await {
                Ok(facts) => advance(link, &facts, &table.name).await,
                Err(error) => Err(error),
            }
        })
    }

    async fn parkable_indexes(&mut self, table: &str) -> Result<Vec<Index>, EndpointError> {
        self.savepoint.passed();
        within!(self, link, {
            match self.existing(link, table).await {
                Ok(facts) => indexes::parkable(link, table, facts.oid).await,
                Err(error) => Err(error),
            }
        })
    }

    async fn drop_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        self.savepoint.passed();
        within!(self, link, {
            match self.existing(link, table).await {
                Ok(facts) => indexes::drop_all(link, table, facts.oid, indexes).await,
                Err(error) => Err(error),
            }
        })
    }

    async fn create_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        self.savepoint.passed();
        within!(self, link, {
            match self.facts(link, table).await {
                Ok(Some(facts)) => indexes::create_all(link, table, facts.oid, indexes).await,
                Ok(None) => Ok(Vec::new()),
                Err(error) => Err(error),
            }
        })
    }

    async fn update_statistics(&mut self, table: &str) -> Result<bool, EndpointError> {
        self.savepoint.passed();
        within!(self, link, {
            match self.existing(link, table).await {
                Ok(facts) => indexes::analyze(link, table, facts.oid).await,
                Err(error) => Err(error),
            }
        })
    }

    async fn commit(mut self: Box<Self>) -> Result<(), EndpointError> {
        let mut link = match self.take().await {
            Ok(link) => link,
            Err(error) => {
                let is_lost = self.link.as_ref().is_some_and(|link| link.lost);
                let error = if is_lost { self.after_loss(error).await } else { error };
                self.end_undone().await;
                return Err(error);
            }
        };
        let outcome = match self.begun.owes_nothing() {
            Ok(()) => self.end_with_commit(&mut link).await,
            Err(error) => Err(error),
        };
        link.aborted = None;
        match outcome {
            Ok(()) => {
                if let Some(gate) = &mut self.gate {
                    gate.has_committed = true;
                }
                self.shared.learnt().forget(&self.waiting);
                self.give_back(Some(link));
                Ok(())
            }
            Err(error) => {
                let error = if link.lost && error.class != ErrorClass::Unknown {
                    self.after_loss(error).await
                } else {
                    error
                };
                self.link = Some(link);
                self.end_undone().await;
                Err(error)
            }
        }
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), EndpointError> {
        self.end_undone().await;
        Ok(())
    }
}

impl PostgresTxn {
    /// Undoes everything; a connection on which that fails is closed, which undoes it as well.
    async fn end_undone(&mut self) {
        self.await_begun().await;
        let Some(mut link) = self.link.take() else {
            self.give_back(None);
            return;
        };
        link.aborted = None;
        if !link.lost && link.simple("ROLLBACK").await.is_err() {
            link.lost = true;
        }
        self.give_back(Some(link));
    }
}

/// Sequences behind columns go on after the largest value; one that is ahead stays.
async fn advance(
    link: &mut Link,
    facts: &Facts,
    table: &str,
) -> Result<Vec<String>, EndpointError> {
    let doing = format!("advance the counters of `{table}`");
    // Owned sequences (serial, identity), and those that a default names.
    let sql = "SELECT DISTINCT a.attname::text, s.seqrelid::regclass::text, s.seqincrement, \
                      s.seqmin, s.seqmax, a.attnum \
               FROM pg_catalog.pg_depend d \
               JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.objid \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid \
               WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.refobjid = $1 \
                 AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i') \
               UNION \
               SELECT a.attname::text, s.seqrelid::regclass::text, s.seqincrement, \
                      s.seqmin, s.seqmax, a.attnum \
               FROM pg_catalog.pg_attrdef f \
               JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass \
                    AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass \
               JOIN pg_catalog.pg_sequence s ON s.seqrelid = d.refobjid \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum \
               WHERE f.adrelid = $1 ORDER BY 6";
    let found = link.rows(&doing, sql, vec![Bound::oid(facts.oid)], Kept::No).await?;
    let mut set = Vec::new();
    for row in found {
        let (Some(column), Some(sequence)) = (row[0].as_text(), row[1].as_text()) else { continue };
        let step = row[2].as_int().unwrap_or(1);
        let edge = if step < 0 { "min" } else { "max" };
        let beyond = if step < 0 { "<" } else { ">" };
        // The value that comes next, now and after the load.
        let sql = format!(
            "SELECT setval($1::text::regclass, l.edge, true) + {step} \
             FROM (SELECT {edge}({name})::int8 AS edge FROM {table}) AS l, \
                  (SELECT last_value, is_called FROM {sequence}) AS q \
             WHERE l.edge IS NOT NULL AND l.edge BETWEEN {least} AND {most} \
               AND (l.edge {beyond} q.last_value OR (l.edge = q.last_value AND NOT q.is_called))",
            name = WORDS.quote(column),
            table = WORDS.table(table),
            least = row[3].as_int().unwrap_or(i64::MIN.into()),
            most = row[4].as_int().unwrap_or(i64::MAX.into()),
        );
        let bound = vec![Bound::text(sequence)];
        let next = link.rows(&doing, &sql, bound, Kept::No).await?;
        if let Some(next) = next.first().and_then(|row| row[0].as_int()) {
            set.push(format!("{column} = {next}"));
        }
    }
    Ok(set)
}

/// The rows of a table or view. A materialized view that was never filled cannot be read: it has
/// none.
async fn count(link: &mut Link, table: &str, oid: u32) -> Result<u64, EndpointError> {
    let doing = format!("count `{table}`");
    let sql = "SELECT c.relispopulated FROM pg_catalog.pg_class c WHERE c.oid = $1";
    let found = link.rows(&doing, sql, vec![Bound::oid(oid)], Kept::No).await?;
    if found.first().is_some_and(|row| row[0] == Value::Bool(false)) {
        return Ok(0);
    }
    let sql = format!("SELECT count(*) FROM {}", WORDS.table(table));
    let found = link.rows(&doing, &sql, vec![], Kept::No).await?;
    Ok(found.first().and_then(|row| row[0].as_int()).map_or(0, |rows| rows as u64))
}
