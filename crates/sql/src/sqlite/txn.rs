//! The transaction: rows in, rows out, and the commit that checks the fence last.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use whimbrel_endpoint::{
    EndpointError, ErrorClass, Index, Query, RowFate, Rows, SchemaFile, Script, Txn, WriteMode,
    failpoint,
};
use whimbrel_model::{Chunk, Row, Table, Value, ValueRef};

use super::catalogue::{self, Facts};
use super::deferred::{self, Parent};
use super::lane::Lane;
use super::load::{self, Log};
use super::mover::Mover;
use super::session::Open;
use super::value::{Bound, Refusal, Scratch, Slot, form};
use super::{fault, indexes, lease, read, schema};
use crate::codes;
use crate::dialect::{Affinity, Dialect, Taken, rest};
use crate::keys;

const WORDS: Dialect = Dialect::Sqlite;

/// A transaction of the write lane; undone when dropped.
#[derive(Debug)]
pub(crate) struct SqliteTxn {
    lane: Arc<Lane>,
    mover: Arc<Mover>,
    number: u64,
    /// Tables that rows were given for: copied for the connection's thread once.
    tables: Vec<Arc<Table>>,
    finished: bool,
}

impl SqliteTxn {
    pub(crate) fn new(lane: Arc<Lane>, mover: Arc<Mover>, number: u64) -> Self {
        Self { lane, mover, number, tables: Vec::new(), finished: false }
    }

    fn shared(&mut self, table: &Table) -> Arc<Table> {
        if let Some(known) = self.tables.iter().find(|known| ***known == *table) {
            return Arc::clone(known);
        }
        let shared = Arc::new(table.clone());
        self.tables.push(Arc::clone(&shared));
        shared
    }

    async fn within<T, W>(&self, work: W) -> Result<T, EndpointError>
    where
        T: Send + 'static,
        W: FnOnce(&mut Place<'_>) -> Result<T, EndpointError> + Send + 'static,
    {
        let number = self.number;
        self.lane
            .run(move |session| {
                let hides_values = session.options().hides_values;
                session.within(number, |connection, open, path| {
                    work(&mut Place { connection, open, path, hides_values })
                })
            })
            .await
    }
}

impl Drop for SqliteTxn {
    fn drop(&mut self) {
        if !self.finished {
            let number = self.number;
            // An error here means that the engine has undone the transaction already.
            self.lane.post(move |session| drop(session.end(number, |_, _, _| Ok(()))));
        }
    }
}

#[async_trait]
impl Txn for SqliteTxn {
    async fn write(
        &mut self,
        table: &Table,
        rows: Arc<Chunk>,
        mode: WriteMode,
    ) -> Result<Vec<RowFate>, EndpointError> {
        let table = self.shared(table);
        match mode {
            WriteMode::Insert => self.within(move |place| place.write(&table, &rows)).await,
        }
    }

    async fn put(&mut self, table: &Table, rows: &Chunk) -> Result<(), EndpointError> {
        let (table, rows) = (self.shared(table), rows.clone());
        self.within(move |place| place.put(&table, &rows)).await
    }

    async fn delete(&mut self, query: &Query) -> Result<u64, EndpointError> {
        let statement = WORDS.delete(query, &|_| false);
        self.within(move |place| {
            read::execute(place.connection, &statement)
                .map_err(|trouble| trouble.told(place.path, "delete rows"))
        })
        .await
    }

    async fn select(&mut self, query: &Query) -> Result<Rows, EndpointError> {
        let statement = WORDS.select(query, &|_| false);
        self.within(move |place| {
            read::select(place.connection, &statement)
                .map_err(|trouble| trouble.told(place.path, "read rows"))
        })
        .await
    }

    async fn read_for_update(
        &mut self,
        table: &Table,
        keys: &Chunk,
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
        let (table, keys) = (self.shared(table), keys.clone());
        self.within(move |place| place.read_for_update(&table, &keys)).await
    }

    async fn update(&mut self, table: &Table, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError> {
        let (table, rows) = (self.shared(table), rows.clone());
        self.within(move |place| place.update(&table, &rows)).await
    }

    async fn remove(&mut self, table: &Table, keys: &Chunk) -> Result<u64, EndpointError> {
        let (table, keys) = (self.shared(table), keys.clone());
        self.within(move |place| place.remove(&table, &keys)).await
    }

    async fn create_table(&mut self, table: &Table) -> Result<(), EndpointError> {
        let table = table.clone();
        self.within(move |place| place.create_table(&table)).await
    }

    async fn apply_schema(&mut self, file: &SchemaFile) -> Result<(), EndpointError> {
        let file = file.clone();
        self.within(move |place| {
            place.open.forget();
            schema::apply(place.connection, &file, place.hides_values)
        })
        .await
    }

    async fn execute(&mut self, script: &Script) -> Result<u64, EndpointError> {
        let script = script.clone();
        self.within(move |place| {
            place.open.forget();
            schema::execute(place.connection, &script, place.hides_values)
        })
        .await
    }

    async fn query(
        &mut self,
        script: &Script,
        limit: u64,
    ) -> Result<(Vec<String>, Rows), EndpointError> {
        let script = script.clone();
        self.within(move |place| {
            schema::query(place.connection, &script, limit, place.hides_values)
        })
        .await
    }

    async fn count(&mut self, table: &str) -> Result<Option<u64>, EndpointError> {
        let table = table.to_owned();
        self.within(move |place| {
            let count = || {
                if !catalogue::exists(place.connection, &table)? {
                    return Ok(None);
                }
                let sql = format!("SELECT count(*) FROM {}", WORDS.table(&table));
                let count = place.connection.query_row(&sql, [], |row| row.get::<_, i64>(0))?;
                Ok(Some(count.cast_unsigned()))
            };
            count().map_err(|error| fault::failed(place.path, &format!("count `{table}`"), error))
        })
        .await
    }

    async fn parkable_indexes(&mut self, table: &str) -> Result<Vec<Index>, EndpointError> {
        let table = table.to_owned();
        self.within(move |place| {
            let found = indexes::parkable(place.connection, &table);
            found.map_err(|error| place.unindexed("look at", &table, error))
        })
        .await
    }

    async fn drop_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        let (table, indexes) = (table.to_owned(), indexes.to_vec());
        self.within(move |place| {
            place.open.forget();
            let dropped = indexes::drop_all(place.connection, &indexes);
            dropped.map_err(|error| place.unindexed("drop", &table, error))
        })
        .await
    }

    async fn create_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        let (table, indexes) = (table.to_owned(), indexes.to_vec());
        self.within(move |place| {
            place.open.forget();
            let created = indexes::create_all(place.connection, &table, &indexes);
            created.map_err(|error| place.unindexed("make", &table, error))
        })
        .await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), EndpointError> {
        self.finished = true;
        let number = self.number;
        let ended = self.lane.run(move |session| {
            session.end(number, |connection, open, path| {
                lease::check(connection, open.fence, path)?;
                failpoint!("sql.commit.before");
                commit(connection, open, path)?;
                failpoint!("sql.commit.after");
                Ok(())
            })?;
            Ok(load::log(session))
        });
        match ended.await? {
            Log::Short => Ok(()),
            Log::Long => {
                self.mover.start();
                Ok(())
            }
            Log::Full => self.mover.finish().await,
        }
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), EndpointError> {
        self.finished = true;
        let number = self.number;
        self.lane.run(move |session| session.end(number, |_, _, _| Ok(()))).await
    }
}

fn commit(connection: &Connection, open: &mut Open, path: &Path) -> Result<(), EndpointError> {
    let Err(error) = connection.execute_batch("COMMIT") else {
        open.learnt.forget(&open.waiting);
        return Ok(());
    };
    if fault::extended(&error) == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY
        && !connection.is_autocommit()
    {
        let learnt = deferred::learn(connection, open, &error);
        let learnt = learnt.map_err(|error| fault::failed(path, "look for missing parents", error));
        return Err(learnt?.unwrap_or_else(|| fault::failed(path, "commit", error)));
    }
    let is_unknown = fault::leaves_commit_unknown(&error);
    let told = fault::failed(path, "commit", error);
    if is_unknown {
        let what = format!("it is not known whether the commit succeeded: `{}`", path.display());
        return Err(
            EndpointError::new(ErrorClass::Unknown, codes::COMMIT_UNKNOWN, what).because(told)
        );
    }
    Err(told)
}

/// Where the transaction's work is done: its connection and what it knows.
struct Place<'a> {
    connection: &'a Connection,
    open: &'a mut Open,
    path: &'a Path,
    /// See [`crate::Options`].
    hides_values: bool,
}

/// How rows go into one table, worked out once a transaction.
#[derive(Debug)]
pub(crate) struct Insertion {
    table: Arc<Table>,
    taken: Taken,
    insert: String,
    /// Finds the row under a key.
    read: String,
    /// One per column.
    slots: Vec<Slot>,
    /// Finds the parents of a row, where SQLite would look for them with the commit only.
    parents: Vec<Parent>,
    /// Rows are undone one by one.
    is_careful: bool,
    /// Rows may be refused by the commit.
    waits: bool,
}

/// Why a row could not be bound or executed.
pub(super) enum Trouble {
    Refused(Refusal),
    Engine(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl Place<'_> {
    fn unindexed(&self, doing: &str, table: &str, error: rusqlite::Error) -> EndpointError {
        fault::failed(self.path, &format!("{doing} the indexes of `{table}`"), error)
    }

    fn failed(&self, doing: &str, table: &Table, error: rusqlite::Error) -> EndpointError {
        let doing = format!("{doing} `{}`", table.name);
        fault::told(self.path, &doing, error, self.hides_values)
    }

    fn facts(&mut self, table: &Table) -> Result<Arc<Facts>, EndpointError> {
        if let Some(facts) = self.open.tables.get(&table.name) {
            return Ok(Arc::clone(facts));
        }
        let facts = Facts::of(self.connection, &table.name)
            .map_err(|error| self.failed("look up", table, error))?;
        let facts = Arc::new(facts);
        self.open.tables.insert(table.name.clone(), Arc::clone(&facts));
        Ok(facts)
    }

    /// How the values of the columns at `indexes` are bound.
    fn slots(
        &mut self,
        table: &Table,
        indexes: impl Iterator<Item = usize>,
    ) -> Result<Vec<Slot>, EndpointError> {
        let facts = self.facts(table)?;
        indexes
            .map(|index| {
                let column = &table.columns[index];
                facts.slot(&column.name, column.kind).ok_or_else(|| {
                    EndpointError::new(
                        ErrorClass::Configuration,
                        whimbrel_endpoint::codes::MISSING,
                        format!("the target has no such column: `{}.{}`", table.name, column.name),
                    )
                })
            })
            .collect()
    }

    fn prepare(
        &self,
        doing: &str,
        table: &Table,
        sql: &str,
    ) -> Result<rusqlite::CachedStatement<'_>, EndpointError> {
        self.connection.prepare_cached(sql).map_err(|error| {
            if fault::is_without_unique(&error) {
                return keys::refused(table);
            }
            self.failed(doing, table, error)
        })
    }

    fn insertion(
        &mut self,
        table: &Arc<Table>,
        taken: Taken,
    ) -> Result<Arc<Insertion>, EndpointError> {
        let taken = if table.key.is_empty() { Taken::Impossible } else { taken };
        let known = self
            .open
            .insertions
            .iter()
            .find(|known| known.taken == taken && Arc::ptr_eq(&known.table, table));
        if let Some(known) = known {
            return Ok(Arc::clone(known));
        }
        let facts = self.facts(table)?;
        let own = deferred::own_keys(table, &facts);
        let parents = deferred::parents(table, &facts);
        self.open.waiting.watch(table, &own);
        let insertion = Arc::new(Insertion {
            table: Arc::clone(table),
            taken,
            insert: WORDS.insert(table, taken, 1),
            read: WORDS.read(table),
            slots: self.slots(table, 0..table.columns.len())?,
            is_careful: facts.has_triggers || !parents.is_empty(),
            parents,
            waits: !own.is_empty(),
        });
        self.open.insertions.push(Arc::clone(&insertion));
        Ok(insertion)
    }

    fn write(&mut self, table: &Arc<Table>, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError> {
        fits(table.columns.len(), rows)?;
        let into = self.insertion(table, Taken::Skip)?;
        let mut statement = self.prepare("write to", table, &into.insert)?;
        let mut scratch = Scratch::new();
        let mut fates = Vec::with_capacity(rows.len());
        let mut inserted = Vec::new();
        for row in rows.rows() {
            let refused = self.open.waiting.refused(&self.open.learnt, table, row);
            let fate = if let Some(fate) = refused {
                fate.clone()
            } else if into.is_careful {
                let write = || self.write_row(&into, row, &mut statement, &mut scratch);
                self.carefully(&into, write)?
            } else {
                self.write_row(&into, row, &mut statement, &mut scratch)?
            };
            if into.waits && fate == RowFate::Inserted {
                inserted.push(row);
            }
            fates.push(fate);
        }
        statement.clear_bindings();
        drop(statement);
        inserted.into_iter().for_each(|row| self.open.waiting.note(table, row));
        failpoint!("sql.write.after");
        Ok(fates)
    }

    fn write_row(
        &self,
        into: &Insertion,
        row: Row<'_>,
        statement: &mut rusqlite::Statement<'_>,
        scratch: &mut Scratch,
    ) -> Result<RowFate, EndpointError> {
        let table = &into.table;
        if let Some(&column) = table.key.iter().find(|&&index| row.get(index).is_null()) {
            return Ok(key_null(&table.columns[column].name));
        }
        for (index, slot) in into.slots.iter().enumerate() {
            match bind(statement, index, *slot, row.get(index), scratch) {
                Ok(()) => {}
                Err(Trouble::Refused(refusal)) => {
                    return Ok(RowFate::Refused {
                        code: refusal.code,
                        subject: Some(table.columns[index].name.clone()),
                        message: refusal.message,
                    });
                }
                Err(Trouble::Engine(error)) => return self.refused(into, row, error),
            }
        }
        match statement.raw_execute() {
            Ok(0) => self.skipped(into, row),
            Ok(_) => self.with_parents(into, row, RowFate::Inserted),
            Err(error) => self.refused(into, row, error),
        }
    }

    /// A row that was written stays where its parents are there.
    fn with_parents(
        &self,
        into: &Insertion,
        row: Row<'_>,
        written: RowFate,
    ) -> Result<RowFate, EndpointError> {
        for parent in &into.parents {
            let found = parent.stands(self.connection, &into.slots, row);
            if !found.map_err(|error| self.failed("look for the parents of", &into.table, error))? {
                return Ok(RowFate::Refused {
                    code: codes::FOREIGN_KEY,
                    subject: Some(parent.name.clone()),
                    message: "FOREIGN KEY constraint failed".to_owned(),
                });
            }
        }
        Ok(written)
    }

    /// Writes a row, but what was written for a refused one is undone: by triggers, as RAISE(FAIL)
    /// leaves it, and the row itself, where its parents are looked for afterwards.
    fn carefully(
        &self,
        into: &Insertion,
        write: impl FnOnce() -> Result<RowFate, EndpointError>,
    ) -> Result<RowFate, EndpointError> {
        let control = |sql: &str| {
            self.connection
                .prepare_cached(sql)
                .and_then(|mut statement| statement.raw_execute())
                .map_err(|error| self.failed("write to", &into.table, error))
        };
        control("SAVEPOINT whimbrel_row")?;
        let fate = write()?;
        if self.connection.is_autocommit() {
            return Ok(fate);
        }
        if matches!(fate, RowFate::Refused { .. }) {
            control("ROLLBACK TO whimbrel_row")?;
        }
        control("RELEASE whimbrel_row")?;
        Ok(fate)
    }

    /// Nothing was written and nothing failed: the key is taken, or a trigger ignored the row.
    fn skipped(&self, into: &Insertion, row: Row<'_>) -> Result<RowFate, EndpointError> {
        if self.is_taken(into, row)? {
            return Ok(RowFate::Taken);
        }
        Ok(skipped())
    }

    fn is_taken(&self, into: &Insertion, row: Row<'_>) -> Result<bool, EndpointError> {
        let table = &into.table;
        if table.key.is_empty() {
            return Ok(false);
        }
        let mut statement = self.prepare("read", table, &into.read)?;
        let mut scratch = Scratch::new();
        for (place, &index) in table.key.iter().enumerate() {
            match bind(&mut statement, place, into.slots[index], row.get(index), &mut scratch) {
                Ok(()) => {}
                Err(Trouble::Refused(_)) => return Ok(false),
                Err(Trouble::Engine(error)) => return Err(self.failed("read", table, error)),
            }
        }
        let found = statement.raw_query().next().map(|row| row.is_some());
        found.map_err(|error| self.failed("read", table, error))
    }

    /// What an error of the engine means for the new row that met it.
    fn refused(
        &self,
        into: &Insertion,
        row: Row<'_>,
        error: rusqlite::Error,
    ) -> Result<RowFate, EndpointError> {
        let is_unique = fault::primary(&error) == Some(rusqlite::ErrorCode::ConstraintViolation)
            && fault::constraint_code(fault::extended(&error)) == codes::UNIQUE;
        let fate = self.refusal("write to", into, row, error)?;
        // Where several unique constraints are violated, the key is the one that counts.
        if is_unique && self.is_taken(into, row)? { Ok(RowFate::Taken) } else { Ok(fate) }
    }

    fn refusal(
        &self,
        doing: &str,
        into: &Insertion,
        row: Row<'_>,
        error: rusqlite::Error,
    ) -> Result<RowFate, EndpointError> {
        use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
        let table = &into.table;
        if self.connection.is_autocommit() {
            return Err(self.failed(doing, table, error));
        }
        let (code, message) = match fault::primary(&error) {
            Some(ConstraintViolation) => {
                (fault::constraint_code(fault::extended(&error)), fault::words(&error))
            }
            Some(TypeMismatch) => (codes::STORED_TYPE, fault::words(&error)),
            Some(TooBig) => (codes::TOO_BIG, fault::words(&error)),
            _ => return Err(self.failed(doing, table, error)),
        };
        let subject = match code {
            codes::FOREIGN_KEY => self.missing_parent(into, row)?,
            _ => subject(table, &message),
        };
        Ok(RowFate::Refused { code, subject, message })
    }

    /// The first foreign key of the row whose parent is missing, as `columns → parent`.
    fn missing_parent(
        &self,
        into: &Insertion,
        row: Row<'_>,
    ) -> Result<Option<String>, EndpointError> {
        let table = &into.table;
        let failed = |error| self.failed("look up the foreign keys of", table, error);
        let keys = catalogue::foreign_keys(self.connection, &table.name).map_err(failed)?;
        for parent in keys.iter().filter_map(|key| Parent::of(table, key)) {
            if !parent.stands(self.connection, &into.slots, row).map_err(failed)? {
                return Ok(Some(parent.name));
            }
        }
        Ok(None)
    }

    fn put(&mut self, table: &Arc<Table>, rows: &Chunk) -> Result<(), EndpointError> {
        fits(table.columns.len(), rows)?;
        let into = self.insertion(table, Taken::Overwrite)?;
        let mut statement = self.prepare("write to", table, &into.insert)?;
        let order: Vec<usize> = (0..table.columns.len()).collect();
        for row in rows.rows() {
            self.execute("write to", table, &into.slots, &order, row, &mut statement)?;
        }
        statement.clear_bindings();
        Ok(())
    }

    fn update(&mut self, table: &Arc<Table>, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError> {
        fits(table.columns.len(), rows)?;
        keyed(table)?;
        let order: Vec<usize> = rest(table).chain(table.key.iter().copied()).collect();
        let into = self.insertion(table, Taken::Skip)?;
        let mut statement = self.prepare("update", table, &WORDS.update(table))?;
        let mut scratch = Scratch::new();
        let mut fates = Vec::with_capacity(rows.len());
        for row in rows.rows() {
            fates.push(if into.is_careful {
                let update = || self.update_row(&into, &order, row, &mut statement, &mut scratch);
                self.carefully(&into, update)?
            } else {
                self.update_row(&into, &order, row, &mut statement, &mut scratch)?
            });
        }
        statement.clear_bindings();
        drop(statement);
        let updated = rows.rows().zip(&fates).filter(|(_, fate)| **fate == RowFate::Updated);
        updated.for_each(|(row, _)| self.open.waiting.note(table, row));
        Ok(fates)
    }

    fn update_row(
        &self,
        into: &Insertion,
        order: &[usize],
        row: Row<'_>,
        statement: &mut rusqlite::Statement<'_>,
        scratch: &mut Scratch,
    ) -> Result<RowFate, EndpointError> {
        let table = &into.table;
        for (place, &index) in order.iter().enumerate() {
            match bind(statement, place, into.slots[index], row.get(index), scratch) {
                Ok(()) => {}
                Err(Trouble::Refused(refusal)) => {
                    return Ok(RowFate::Refused {
                        code: refusal.code,
                        subject: Some(table.columns[index].name.clone()),
                        message: refusal.message,
                    });
                }
                Err(Trouble::Engine(error)) => return self.refusal("update", into, row, error),
            }
        }
        match statement.raw_execute() {
            Ok(1) => self.with_parents(into, row, RowFate::Updated),
            Ok(_) if self.is_taken(into, row)? => Ok(skipped()),
            Ok(_) => Err(gone(table, row)),
            Err(error) => self.refusal("update", into, row, error),
        }
    }

    fn remove(&mut self, table: &Table, keys: &Chunk) -> Result<u64, EndpointError> {
        fits(table.key.len(), keys)?;
        keyed(table)?;
        let slots = self.slots(table, table.key.iter().copied())?;
        let mut statement = self.prepare("delete from", table, &WORDS.remove(table))?;
        let order: Vec<usize> = (0..table.key.len()).collect();
        let mut count = 0;
        for key in keys.rows() {
            count +=
                self.execute("delete from", table, &slots, &order, key, &mut statement)? as u64;
        }
        Ok(count)
    }

    /// Executes a statement for one row; what is refused here is an error, not a fate.
    fn execute(
        &self,
        doing: &str,
        table: &Table,
        slots: &[Slot],
        order: &[usize],
        row: Row<'_>,
        statement: &mut rusqlite::Statement<'_>,
    ) -> Result<usize, EndpointError> {
        let mut scratch = Scratch::new();
        let mut bound = || {
            for (place, (&index, slot)) in order.iter().zip(slots).enumerate() {
                bind(statement, place, *slot, row.get(index), &mut scratch)?;
            }
            Ok(statement.raw_execute()?)
        };
        bound().map_err(|trouble| match trouble {
            Trouble::Engine(error) => self.failed(doing, table, error),
            Trouble::Refused(refusal) => EndpointError::new(
                ErrorClass::Data,
                refusal.code,
                format!("{doing} `{}`: {}", table.name, refusal.message),
            ),
        })
    }

    fn read_for_update(
        &mut self,
        table: &Table,
        keys: &Chunk,
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
        fits(table.key.len(), keys)?;
        keyed(table)?;
        let slots = self.slots(table, table.key.iter().copied())?;
        let mut statement = self.prepare("read", table, &WORDS.read(table))?;
        let mut scratch = Scratch::new();
        let mut found = Vec::with_capacity(keys.len());
        for key in keys.rows() {
            let bound =
                key.values().zip(&slots).enumerate().try_for_each(|(place, (value, slot))| {
                    bind(&mut statement, place, *slot, value, &mut scratch)
                });
            found.push(match bound {
                Ok(()) => read::one(&mut statement, table)
                    .map_err(|error| self.failed("read", table, error))?,
                // What the column cannot hold is not in it.
                Err(Trouble::Refused(_)) => None,
                Err(Trouble::Engine(error)) => return Err(self.failed("read", table, error)),
            });
        }
        Ok(found)
    }

    fn create_table(&mut self, table: &Table) -> Result<(), EndpointError> {
        self.open.forget();
        let failed = |error| self.failed("create", table, error);
        if catalogue::exists(self.connection, &table.name).map_err(failed)? {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                whimbrel_endpoint::codes::TABLE_EXISTS,
                format!("the table exists already: `{}`", table.name),
            ));
        }
        self.connection.execute_batch(&WORDS.create_table(table)).map_err(failed)
    }
}

/// Binds one value. The four cases that most cells are go straight to the engine: going through
/// `form` costs them as much again.
pub(super) fn bind(
    statement: &mut rusqlite::Statement<'_>,
    place: usize,
    slot: Slot,
    value: ValueRef<'_>,
    scratch: &mut Scratch,
) -> Result<(), Trouble> {
    let place = place + 1;
    match (value, slot.affinity) {
        (ValueRef::Null, _) => statement.raw_bind_parameter(place, rusqlite::types::Null)?,
        (ValueRef::Text(text), Affinity::Text) => statement.raw_bind_parameter(place, text)?,
        (ValueRef::Int(value), Affinity::Integer) if i64::try_from(value).is_ok() => {
            statement.raw_bind_parameter(place, value as i64)?;
        }
        (ValueRef::Float(value), Affinity::Real) if value.is_normal() => {
            statement.raw_bind_parameter(place, value)?;
        }
        (value, _) => {
            let form = form(slot, value, scratch).map_err(Trouble::Refused)?;
            statement.raw_bind_parameter(place, Bound(form))?;
        }
    }
    Ok(())
}

fn skipped() -> RowFate {
    RowFate::Refused {
        code: codes::TRIGGER,
        subject: None,
        message: "a trigger skipped the row".to_owned(),
    }
}

fn gone(table: &Table, row: Row<'_>) -> EndpointError {
    let key: Vec<String> = table.key.iter().map(|&index| shown(row.get(index))).collect();
    EndpointError::new(
        ErrorClass::Changed,
        whimbrel_endpoint::codes::ROW_GONE,
        format!("no row to overwrite in `{}` under its key: `{}`", table.name, key.join(", ")),
    )
}

fn key_null(column: &str) -> RowFate {
    RowFate::Refused {
        code: whimbrel_endpoint::codes::KEY_NULL,
        subject: Some(column.to_owned()),
        message: "the key is NULL".to_owned(),
    }
}

/// The column or constraint that SQLite's message names: `UNIQUE constraint failed: t.a, t.b`.
fn subject(table: &Table, message: &str) -> Option<String> {
    let (_, named) =
        message.split_once("constraint failed: ").or_else(|| message.split_once(" column "))?;
    let prefix = format!("{}.", table.name);
    let columns: Vec<&str> =
        named.split(", ").map(|name| name.strip_prefix(&prefix).unwrap_or(name)).collect();
    Some(columns.join(", "))
}

fn shown(value: ValueRef<'_>) -> String {
    value.to_string().chars().take(80).collect()
}

fn fits(width: usize, rows: &Chunk) -> Result<(), EndpointError> {
    if rows.is_empty() || rows.width() == width {
        return Ok(());
    }
    Err(EndpointError::new(
        ErrorClass::Configuration,
        whimbrel_endpoint::codes::MISSING,
        format!("rows of {} values for {width} columns", rows.width()),
    ))
}

fn keyed(table: &Table) -> Result<(), EndpointError> {
    if !table.key.is_empty() {
        return Ok(());
    }
    Err(EndpointError::new(
        ErrorClass::Configuration,
        codes::KEY_NOT_UNIQUE,
        format!("the table has no key to find rows by: `{}`", table.name),
    ))
}
