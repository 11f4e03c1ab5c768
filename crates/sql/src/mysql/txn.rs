//! The transaction: rows in, rows out, and the commit that checks the fence last.
//!
//! An error that may have undone the transaction poisons it: the next statement would commit by
//! itself (MariaDB ends a transaction with error 1213), so none is sent but ROLLBACK.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_endpoint::{
    Coming, EndpointError, ErrorClass, Fence, Index, Query, RowFate, Rows, SchemaFile, Script, Txn,
    WriteMode, failpoint,
};
use whimbrel_model::{Chunk, Table, Value};

use super::catalogue::Facts;
use super::definition::{self, Words};
use super::lane::{Lane, Out};
use super::session::{Place, Session};
use super::write::{self, Insertion};
use super::{catalogue, fault, holders, indexes, lease, read};
use crate::begun::{Begun, Fates};
use crate::codes;
use crate::dialect::{Dialect, Taken};
use crate::keys;

const WORDS: Dialect = Dialect::Mysql;

/// A transaction of the writing session; undone when dropped.
#[derive(Debug)]
pub(crate) struct MysqlTxn {
    out: Out,
    fence: Fence,
    /// Class, code and words of the error after which nothing is sent any more.
    poison: Option<(ErrorClass, &'static str, String)>,
    insertions: Vec<Arc<Insertion>>,
    /// Tables that this transaction created; they go when it is undone.
    created: Vec<String>,
    /// How often words of this name were run.
    ran: BTreeMap<String, u32>,
    /// Notes of definitions that its commit settles.
    notes: Vec<String>,
    /// The next write, where it was begun.
    begun: Begun<Session>,
}

impl MysqlTxn {
    pub(crate) fn new(out: Out, fence: Fence) -> Self {
        Self {
            out,
            fence,
            poison: None,
            insertions: Vec::new(),
            created: Vec::new(),
            ran: BTreeMap::new(),
            notes: Vec::new(),
            begun: Begun::default(),
        }
    }

    /// Waits for the write that was begun, and has the session back.
    async fn await_begun(&mut self) {
        if let Some(session) = self.begun.wait().await {
            self.out.back(session);
        }
        if let Some(error) = self.begun.error() {
            let (class, code, what) = (error.class, error.code, error.what.clone());
            self.poison.get_or_insert((class, code, what));
        }
    }

    /// The session and where it leads, as long as the transaction stands.
    async fn parts(&mut self) -> Result<(&Lane, &mut Session), EndpointError> {
        self.await_begun().await;
        if let Some((_, error)) = self.begun.failed() {
            return self.written(Err(error)).await;
        }
        if let Some((class, code, what)) = &self.poison {
            return Err(EndpointError::new(*class, code, what.clone()));
        }
        match &mut self.out.session {
            Some(session) if session.is_sound() => Ok((&self.out.lane, session)),
            Some(_) | None => Err(self.out.lane.place.lost()),
        }
    }

    /// After an error that may have undone something, nothing more is sent.
    fn judged<T>(&mut self, outcome: Result<T, EndpointError>) -> Result<T, EndpointError> {
        let undone = self.out.session.as_ref().is_none_or(|it| it.is_undone() || !it.is_sound());
        if let Err(error) = &outcome {
            if undone {
                self.poison(error);
            }
            // A table may have changed since it was looked at.
            if error.class == ErrorClass::Configuration {
                self.out.lane.forget();
                self.insertions.clear();
            }
        }
        outcome
    }

    /// As `judged`, for what may have been done in part.
    fn whole<T>(&mut self, outcome: Result<T, EndpointError>) -> Result<T, EndpointError> {
        if let Err(error) = &outcome
            && error.class != ErrorClass::Configuration
        {
            self.poison(error);
        }
        self.judged(outcome)
    }

    /// As `whole`; who is in the way is named.
    async fn written<T>(&mut self, outcome: Result<T, EndpointError>) -> Result<T, EndpointError> {
        let error = match self.whole(outcome) {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let writer = self.out.session.as_ref().map_or(0, |session| session.server.id);
        Err(holders::named(&self.out.lane, writer, error).await)
    }

    fn poison(&mut self, error: &EndpointError) {
        if self.poison.is_none() {
            self.poison = Some((error.class, error.code, error.what.clone()));
        }
    }

    async fn facts(&mut self, table: &str) -> Result<Arc<Facts>, EndpointError> {
        let (lane, session) = self.parts().await?;
        let outcome = lane.facts(session, table).await;
        self.judged(outcome)
    }

    async fn insertion(
        &mut self,
        table: &Table,
        taken: Taken,
    ) -> Result<Arc<Insertion>, EndpointError> {
        if let Some(known) = self.insertions.iter().find(|known| known.is(table, taken)) {
            return Ok(Arc::clone(known));
        }
        let facts = self.facts(&table.name).await?;
        let insertion = Arc::new(Insertion::new(table, &facts, taken)?);
        let key: Vec<&str> =
            table.key.iter().map(|&index| table.columns[index].name.as_str()).collect();
        // Some of the ledger's keys are longer than an index can be: a digest makes them unique.
        let by_digest = WORDS.is_ledger(&table.name);
        if !key.is_empty() && !by_digest && facts.unique_by(&key).is_none() {
            return Err(keys::refused(table));
        }
        self.insertions.push(Arc::clone(&insertion));
        Ok(insertion)
    }

    /// What became of rows whose write was begun before it was asked for.
    async fn written_before(&mut self, table: &Table, rows: &Arc<Chunk>) -> Option<Fates> {
        if self.begun.is_of(table, rows) {
            self.await_begun().await;
        }
        self.begun.take(table, rows)
    }

    /// Begins the write that is certain to come next, if nothing else has to be done before it.
    fn begin_next(&mut self, fates: &[RowFate]) {
        let Some(next) = self.begun.next(fates) else { return };
        let into = self.insertions.iter().find(|known| known.is(&next.table, Taken::Skip)).cloned();
        let (Some(into), None) = (into, &self.poison) else { return };
        let place = Arc::clone(&self.out.lane.place);
        if let Some(session) = self.out.lent() {
            let rows = Arc::clone(&next.rows);
            self.begun.start(next, insert(session, into, rows, place));
        }
    }

    async fn keyed(&mut self, table: &Table) -> Result<Arc<Insertion>, EndpointError> {
        if table.key.is_empty() {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                codes::KEY_NOT_UNIQUE,
                format!("the table has no key to find rows by: `{}`", table.name),
            ));
        }
        self.insertion(table, Taken::Impossible).await
    }

    /// Runs words of the plan; the same ones a second time are others.
    async fn run(
        &mut self,
        name: &str,
        sql: &str,
        code: &'static str,
    ) -> Result<u64, EndpointError> {
        let count = self.ran.entry(name.to_owned()).or_insert(0);
        *count += 1;
        let note = note_of_words(name, *count);
        let fence = self.fence;
        self.insertions.clear();
        let (lane, session) = self.parts().await?;
        let words = Words { name, sql, code, note: &note };
        let outcome = definition::run(lane, session, fence, words).await;
        let (rows, noted) = self.judged(outcome)?;
        if noted {
            self.notes.push(note);
        }
        Ok(rows)
    }

    /// Alters a table. Also where nothing is left to do, an earlier attempt may have left its note.
    async fn index(
        &mut self,
        doing: &str,
        alter: Option<(String, Vec<String>)>,
    ) -> Result<Vec<String>, EndpointError> {
        // Notes are looked up by the beginning of long names.
        let note: String = doing.chars().take(500).collect();
        self.notes.push(note.clone());
        self.insertions.clear();
        let Some((sql, names)) = alter else { return Ok(Vec::new()) };
        let fence = self.fence;
        let (lane, session) = self.parts().await?;
        let words = Words { name: doing, sql: &sql, code: codes::ENGINE, note: &note };
        let outcome = definition::run(lane, session, fence, words).await;
        self.judged(outcome)?;
        Ok(names)
    }

    /// Nothing was committed; why this transaction's session is gone.
    async fn lost(&self, error: EndpointError) -> EndpointError {
        if error.class == ErrorClass::Fenced {
            return error;
        }
        let lane = &self.out.lane;
        match lane.read.lend().await {
            Ok(mut reader) => match lease::is_current(&mut reader, self.fence).await {
                Ok(false) => lease::fenced(),
                Ok(true) | Err(_) => error,
            },
            Err(_) => error,
        }
    }

    /// Undoes everything; new tables of the mapping too, unless somebody has put rows there.
    async fn undo(mut self) -> Result<(), EndpointError> {
        self.await_begun().await;
        let place = Arc::clone(&self.out.lane.place);
        let Some(session) = self.out.session.as_mut().filter(|session| session.is_sound()) else {
            // The server undoes what its client has left.
            self.out.lane.ended(false);
            return Ok(());
        };
        let undone = undo(session, &self.created).await;
        if !self.created.is_empty() {
            self.out.lane.forget();
        }
        self.out.give_back().await;
        undone.map_err(|error| place.failed("undo a transaction", error))
    }
}

async fn undo(session: &mut Session, created: &[String]) -> Result<(), sqlx::Error> {
    session.command("ROLLBACK").await?;
    for name in created {
        let table = WORDS.table(name);
        let any = format!("SELECT 1 FROM {table} LIMIT 1");
        if session.rows_once(&any, super::session::none()).await?.is_empty() {
            let note = [note_of(name)];
            // A note that says `done` of a table that is not there would keep it from being made.
            definition::doubt(session, &note).await?;
            failpoint!("sql.undo.doubted");
            session.command(&format!("DROP TABLE {table}")).await?;
            failpoint!("sql.undo.dropped");
            definition::settle(session, &note).await?;
        }
    }
    Ok(())
}

/// One write, with the session that it needs.
async fn insert(
    mut session: Session,
    into: Arc<Insertion>,
    rows: Arc<Chunk>,
    place: Arc<Place>,
) -> (Session, Fates) {
    let fates = write::insert(&mut session, &into, &rows, &place).await;
    (session, fates)
}

fn note_of(table: &str) -> String {
    format!("table {table}")
}

/// The note of words that run for the `count`th time. Long names are told apart by their end, where
/// the file's name is.
fn note_of_words(name: &str, count: u32) -> String {
    let letters: Vec<char> = name.chars().collect();
    let tail: String = letters[letters.len().saturating_sub(480)..].iter().collect();
    format!("{tail}#{count}")
}

#[async_trait]
impl Txn for MysqlTxn {
    async fn write(
        &mut self,
        table: &Table,
        rows: Arc<Chunk>,
        mode: WriteMode,
    ) -> Result<Vec<RowFate>, EndpointError> {
        let WriteMode::Insert = mode;
        fits(table.columns.len(), &rows)?;
        self.begun.asked(table, &rows);
        let outcome = match self.written_before(table, &rows).await {
            Some(outcome) => outcome,
            None => {
                let into = self.insertion(table, Taken::Skip).await?;
                let place = Arc::clone(&self.parts().await?.0.place);
                let exchange = |session| insert(session, into, rows, place);
                self.out.apart(exchange).await.flatten()
            }
        };
        let fates = self.written(outcome).await?;
        failpoint!("sql.write.after");
        self.begin_next(&fates);
        Ok(fates)
    }

    fn expect(&mut self, table: &Table, rows: &Arc<Chunk>, coming: Coming) {
        self.begun.expect(table, rows, coming);
    }

    async fn put(&mut self, table: &Table, rows: &Chunk) -> Result<(), EndpointError> {
        fits(table.columns.len(), rows)?;
        let taken = if table.key.is_empty() { Taken::Impossible } else { Taken::Overwrite };
        let into = self.insertion(table, taken).await?;
        let (lane, session) = self.parts().await?;
        let outcome = write::put(session, &into, rows, &lane.place).await;
        self.whole(outcome)
    }

    async fn delete(&mut self, query: &Query) -> Result<u64, EndpointError> {
        let facts = self.facts(&query.table).await?;
        let (lane, session) = self.parts().await?;
        let outcome = read::delete(session, &facts, query, &lane.place).await;
        self.whole(outcome)
    }

    async fn select(&mut self, query: &Query) -> Result<Rows, EndpointError> {
        let facts = self.facts(&query.table).await?;
        let (lane, session) = self.parts().await?;
        let outcome = read::select(session, &facts, query, &lane.place).await;
        self.judged(outcome)
    }

    async fn read_for_update(
        &mut self,
        table: &Table,
        keys: &Chunk,
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
        fits(table.key.len(), keys)?;
        let from = self.keyed(table).await?;
        let (lane, session) = self.parts().await?;
        let outcome = write::read_for_update(session, &from, keys, &lane.place).await;
        self.written(outcome).await
    }

    async fn update(&mut self, table: &Table, rows: &Chunk) -> Result<Vec<RowFate>, EndpointError> {
        fits(table.columns.len(), rows)?;
        let into = self.keyed(table).await?;
        let (lane, session) = self.parts().await?;
        let outcome = write::update(session, &into, rows, &lane.place).await;
        self.written(outcome).await
    }

    async fn remove(&mut self, table: &Table, keys: &Chunk) -> Result<u64, EndpointError> {
        fits(table.key.len(), keys)?;
        let from = self.keyed(table).await?;
        let (lane, session) = self.parts().await?;
        let outcome = write::remove(session, &from, keys, &lane.place).await;
        self.written(outcome).await
    }

    async fn create_table(&mut self, table: &Table) -> Result<(), EndpointError> {
        let note = note_of(&table.name);
        let fence = self.fence;
        let again = self.created.contains(&table.name);
        let (lane, session) = self.parts().await?;
        let looked = async {
            let exists = catalogue::exists(session, &table.name).await?;
            // Where an interrupted attempt of this run has made it, it is this transaction's.
            Ok(exists && (again || !definition::is_noted(session, &note).await?))
        };
        let outcome: Result<bool, sqlx::Error> = looked.await;
        let outcome = outcome.map_err(|error| lane.place.failed("look for a table", error));
        if self.judged(outcome)? {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                whimbrel_endpoint::codes::TABLE_EXISTS,
                format!("the table exists already: `{}`", table.name),
            ));
        }
        let (lane, session) = self.parts().await?;
        let sql = session.server.spelled(&WORDS.create_table(table));
        let name = format!("create `{}`", table.name);
        let words = Words { name: &name, sql: &sql, code: codes::ENGINE, note: &note };
        let outcome = definition::run(lane, session, fence, words).await;
        self.judged(outcome)?;
        self.created.push(table.name.clone());
        self.notes.push(note);
        Ok(())
    }

    async fn apply_schema(&mut self, file: &SchemaFile) -> Result<(), EndpointError> {
        self.run(&file.name, &file.sql, codes::SCHEMA).await.map(drop)
    }

    async fn is_half_applied(&mut self, file: &SchemaFile) -> Result<bool, EndpointError> {
        let (lane, session) = self.parts().await?;
        let outcome = definition::is_noted(session, &note_of_words(&file.name, 1)).await;
        let outcome = outcome.map_err(|error| lane.place.failed("look for definitions", error));
        self.judged(outcome)
    }

    async fn execute(&mut self, script: &Script) -> Result<u64, EndpointError> {
        self.run(&script.name, &script.sql, codes::SCRIPT).await
    }

    async fn query(
        &mut self,
        script: &Script,
        limit: u64,
    ) -> Result<(Vec<String>, Rows), EndpointError> {
        let (lane, session) = self.parts().await?;
        let outcome = definition::query(lane, session, script, limit).await;
        self.judged(outcome)
    }

    /// InnoDB's counters follow what is written; here they are only told.
    async fn advance_counters(&mut self, table: &Table) -> Result<Vec<String>, EndpointError> {
        let facts = self.facts(&table.name).await?;
        let (lane, session) = self.parts().await?;
        let outcome = write::counter(session, &facts, &table.name).await;
        let outcome = outcome.map_err(|error| lane.place.failed("read the counter", error));
        Ok(self.judged(outcome)?.into_iter().collect())
    }

    async fn count(&mut self, table: &str) -> Result<Option<u64>, EndpointError> {
        let sql = format!("SELECT COUNT(*) FROM {}", WORDS.table(table));
        let (lane, session) = self.parts().await?;
        let outcome = match session.number(&sql, super::session::none()).await {
            Ok(count) => Ok(count.and_then(|count| u64::try_from(count).ok())),
            Err(error) if fault::number(&error) == Some(1146) => Ok(None),
            Err(error) => Err(lane.place.failed(&format!("count the rows of `{table}`"), error)),
        };
        self.judged(outcome)
    }

    async fn parkable_indexes(&mut self, table: &str) -> Result<Vec<Index>, EndpointError> {
        let (lane, session) = self.parts().await?;
        let outcome = indexes::parkable(session, table).await;
        let outcome = outcome.map_err(|error| lane.place.failed("look at indexes", error));
        self.judged(outcome)
    }

    async fn drop_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        let (lane, session) = self.parts().await?;
        let outcome = indexes::dropping(session, table, indexes).await;
        let outcome = outcome.map_err(|error| lane.place.failed("look at indexes", error));
        let alter = self.judged(outcome)?;
        self.index(&format!("drop the indexes of `{table}`"), alter).await
    }

    async fn create_indexes(
        &mut self,
        table: &str,
        indexes: &[Index],
    ) -> Result<Vec<String>, EndpointError> {
        let (lane, session) = self.parts().await?;
        let outcome = indexes::creating(session, table, indexes).await;
        let outcome = outcome.map_err(|error| lane.place.failed("look at indexes", error));
        let alter = self.judged(outcome)?;
        let made = self.index(&format!("make the indexes of `{table}`"), alter).await?;
        // A note that an interrupted attempt has left may say that it is done; what stands counts.
        let (lane, session) = self.parts().await?;
        let outcome = indexes::creating(session, table, indexes).await;
        let outcome = outcome.map_err(|error| lane.place.failed("look at indexes", error));
        match self.judged(outcome)? {
            None => Ok(made),
            left => self.index(&format!("make indexes of `{table}` again"), left).await,
        }
    }

    async fn commit(mut self: Box<Self>) -> Result<(), EndpointError> {
        let checked = self.check().await;
        if let Err(error) = checked {
            self.out.lane.ended(false);
            let error = self.lost(error).await;
            // What cannot be undone now, the server undoes with the session.
            drop(self.undo().await);
            return Err(error);
        }
        failpoint!("sql.commit.before");
        let (lane, session) = self.parts().await?;
        let place: Arc<Place> = Arc::clone(&lane.place);
        if let Err(error) = session.command("COMMIT").await {
            session.discard();
            lane.ended(false);
            let what = format!("it is not known whether the commit succeeded: `{}`", place.shown);
            let unknown = EndpointError::new(ErrorClass::Unknown, codes::COMMIT_UNKNOWN, what);
            return Err(unknown.because(place.failed("commit", error)));
        }
        failpoint!("sql.commit.after");
        self.out.lane.ended(true);
        self.out.give_back().await;
        Ok(())
    }

    async fn rollback(self: Box<Self>) -> Result<(), EndpointError> {
        self.undo().await
    }
}

impl MysqlTxn {
    /// Nothing but COMMIT comes after this.
    async fn check(&mut self) -> Result<(), EndpointError> {
        let notes = std::mem::take(&mut self.notes);
        let fence = self.fence;
        self.parts().await?;
        self.begun.owes_nothing()?;
        let (lane, session) = self.parts().await?;
        let settled = definition::settle(session, &notes).await;
        settled.map_err(|error| lane.place.failed("settle definitions", error))?;
        lease::check(session, fence, &lane.place.shown).await
    }
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
