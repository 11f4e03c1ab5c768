//! SQLite as a source: one connection on a thread of its own, opened read-only, in one transaction.
//!
//! ```text
//! catalogue ┐                 ┌ statement 1, where it stands
//! fetch 1   ├─▶ queue ─▶ thread ─ statement 2 …
//! fetch 2   ┘                 └ all in one read transaction
//! ```
//! Readers ask the thread for rows, some of them ahead, so that it works while the rows before are
//! made into records; behind a large one only when they need the next. While the transaction lasts, a database with a rollback journal cannot be
//! written by others.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::types::ValueRef as Stored;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Rows};
use tokio::sync::oneshot;
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed, Finding};
use whimbrel_model::json::{self, Limits};
use whimbrel_model::{Chunk, ChunkBuilder, Kind, ValueRef};

use super::Read;
use super::engine::{BATCH_BYTES, BATCH_ROWS, Engine};
use super::layout::{Carried, Known, Layout, SourceColumn, Told, Wanted, inner, no_table, refused};
use crate::dialect::Dialect;
use crate::sqlite::{fault, value};
use crate::{Options, codes};

/// Batches that are asked for ahead.
const AHEAD: usize = 2;

/// Behind a batch of so many bytes none is made ahead.
const LARGE: usize = 2 * BATCH_BYTES;

/// Steps of the engine between two looks at the clock.
const STEPS: i32 = 10_000;

/// A file of SQLite.
pub(super) struct SqliteEngine {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// The state's name, once there is a connection.
    state: Arc<OnceLock<String>>,
}

enum Job {
    /// Looks at the catalogue.
    Look(Look),
    /// Opens a statement under a number.
    Open { number: u64, work: Work, reply: oneshot::Sender<Answer<()>> },
    /// The next rows of the statement.
    Fetch { number: u64, when: When, reply: oneshot::Sender<Answer<Fetched>> },
    /// The statement is no longer needed.
    Close { number: u64 },
}

/// A statement to be opened.
struct Work {
    sql: String,
    kinds: Vec<Kind>,
    /// How long it may take.
    most: Option<Duration>,
}

/// Whether the reader needs rows now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Now,
    Ahead,
}

enum Fetched {
    Rows(Chunk),
    /// The rows before were large: these are to be asked for when they are needed.
    Later,
    End,
}

type Look = Box<dyn FnOnce(Answer<&Connection>) + Send>;
type Answer<T> = Result<T, EndpointError>;

impl SqliteEngine {
    pub(super) fn new(path: &Path, options: &Options) -> Self {
        let (jobs, queue) = mpsc::channel();
        let state = Arc::default();
        let (path, named) = (path.to_owned(), Arc::clone(&state));
        let owner = Owner { path: path.clone(), busy: options.busy, queue, state: named };
        let thread = std::thread::spawn(move || owner.run());
        Self { path, jobs: Some(jobs), thread: Mutex::new(Some(thread)), state }
    }

    fn jobs(&self) -> &mpsc::Sender<Job> {
        self.jobs.as_ref().expect("the queue is open until the engine is dropped")
    }

    async fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection, &Path) -> Answer<T> + Send + 'static,
    ) -> Answer<T> {
        let (reply, answer) = oneshot::channel();
        let path = self.path.clone();
        let job = Job::Look(Box::new(move |connection| {
            // Whoever asked may have gone.
            let _ = reply.send(connection.and_then(|connection| work(connection, &path)));
        }));
        let _ = self.jobs().send(job);
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Drop for SqliteEngine {
    fn drop(&mut self) {
        drop(self.jobs.take());
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        // A reader that outlives its source keeps the queue, and the thread with it.
        drop(thread.take());
    }
}

#[async_trait]
impl Engine for SqliteEngine {
    async fn layout(&self, read: &Read, wanted: &Wanted) -> Answer<Layout> {
        let (read, wanted) = (read.clone(), wanted.clone());
        self.look(move |connection, path| {
            let known = match &read {
                Read::Table(name) => of_table(connection, path, name)?,
                Read::Query(query) => of_query(connection, path, query)?,
            };
            let layout = Layout::new(known, &read, &wanted)?;
            // What the engine has against the whole statement is said now.
            connection.prepare(&layout.sql).map_err(|error| refusal(path, error))?;
            Ok(layout)
        })
        .await
    }

    async fn state(&self) -> Answer<String> {
        // With a connection it has a name.
        self.look(|_, _| Ok(())).await?;
        Ok(self.state.get().cloned().unwrap_or_default())
    }

    async fn rows(&self, layout: &Layout) -> Answer<Box<dyn Feed>> {
        static NUMBERS: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        let kinds = layout.columns.iter().map(|column| column.kind).collect();
        let work = Work { sql: layout.sql.clone(), kinds, most: layout.most };
        let _ = self.jobs().send(Job::Open { number, work, reply });
        answer.await.unwrap_or_else(|_| Err(gone()))?;
        Ok(Box::new(SqliteFeed {
            number,
            jobs: self.jobs().clone(),
            asked: VecDeque::new(),
            ended: false,
        }))
    }

    async fn inspect(&self, _: &Read) -> Answer<Vec<Finding>> {
        self.look(|connection, path| {
            let mode: String = connection
                .query_row("PRAGMA journal_mode", [], |row| row.get(0))
                .map_err(|error| fault::failed(path, "read the journal mode", error))?;
            if mode.eq_ignore_ascii_case("wal") {
                return Ok(Vec::new());
            }
            Ok(vec![Finding {
                code: codes::SOURCE_SNAPSHOT,
                blocks: false,
                message: format!(
                    "the source has a rollback journal (`{mode}`): while it is read, other programs \
                     cannot commit to it: `{}`",
                    path.display()
                ),
            }])
        })
        .await
    }
}

/// Rows of one statement.
struct SqliteFeed {
    number: u64,
    jobs: mpsc::Sender<Job>,
    asked: VecDeque<oneshot::Receiver<Answer<Fetched>>>,
    ended: bool,
}

#[async_trait]
impl Feed for SqliteFeed {
    async fn next(&mut self) -> Answer<Option<Chunk>> {
        while !self.ended {
            if self.asked.is_empty() {
                self.ask(When::Now);
            }
            let answer = self.asked.pop_front().expect("one was asked for above");
            match answer.await.unwrap_or_else(|_| Err(gone()))? {
                Fetched::Rows(rows) => {
                    while rows.size() < LARGE && self.asked.len() < AHEAD {
                        self.ask(When::Ahead);
                    }
                    return Ok(Some(rows));
                }
                Fetched::Later => {}
                Fetched::End => self.ended = true,
            }
        }
        Ok(None)
    }
}

impl SqliteFeed {
    fn ask(&mut self, when: When) {
        let (reply, answer) = oneshot::channel();
        let _ = self.jobs.send(Job::Fetch { number: self.number, when, reply });
        self.asked.push_back(answer);
    }
}

impl Drop for SqliteFeed {
    fn drop(&mut self) {
        let _ = self.jobs.send(Job::Close { number: self.number });
    }
}

fn gone() -> EndpointError {
    EndpointError::new(
        ErrorClass::System,
        codes::CONNECTION_GONE,
        "the thread that owns the database connection has ended",
    )
}

/// The thread's own.
struct Owner {
    path: PathBuf,
    busy: Duration,
    queue: mpsc::Receiver<Job>,
    state: Arc<OnceLock<String>>,
}

/// What tells of the database and its write-ahead log whether they were written: size, times and place
/// of both files. They are not opened, which would let go of the locks that this process has on them.
/// When the log's inode changed tells nothing: readers that are root give it to the database's owner.
#[cfg(unix)]
fn stamp(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let of = |file: &std::fs::Metadata| {
        format!(
            "{} {} {} {}.{}",
            file.dev(),
            file.ino(),
            file.size(),
            file.mtime(),
            file.mtime_nsec()
        )
    };
    let database = std::fs::canonicalize(path).ok()?;
    let mut log = database.clone().into_os_string();
    log.push("-wal");
    // An empty one comes and goes with those who read.
    let log = std::fs::metadata(log).ok().filter(|log| log.size() > 0);
    let log = log.as_ref().map_or(String::new(), of);
    let file = std::fs::metadata(database).ok()?;
    Some(format!("{} {}.{}, {log}", of(&file), file.ctime(), file.ctime_nsec()))
}

/// Without inodes nothing tells surely.
#[cfg(not(unix))]
fn stamp(_: &Path) -> Option<String> {
    None
}

/// Why serving ended.
#[derive(PartialEq, Eq)]
enum Ended {
    /// Nobody is left to ask.
    Queue,
    /// The innermost statements are closed.
    Statement,
}

impl Owner {
    /// Opens the connection when it is first needed, again where that failed.
    fn run(self) {
        while let Ok(job) = self.queue.recv() {
            match self.connected() {
                Ok(connection) => {
                    self.serve(&connection, Some(job), &mut NoCursor);
                    return;
                }
                Err(error) => match job {
                    Job::Look(work) => work(Err(error)),
                    Job::Open { reply, .. } => drop(reply.send(Err(error))),
                    Job::Fetch { reply, .. } => drop(reply.send(Err(error))),
                    Job::Close { .. } => {}
                },
            }
        }
    }

    /// A connection in a read transaction that has seen the database.
    fn connected(&self) -> Answer<Connection> {
        if self.path.is_dir() || !self.path.exists() {
            return Err(refused(
                if self.path.is_dir() { codes::DIRECTORY } else { codes::NO_DATABASE },
                format!("there is no such database: `{}`", self.path.display()),
            ));
        }
        let before = stamp(&self.path);
        let open = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(self.busy)?;
            connection.pragma_update(None, "query_only", true)?;
            connection.execute_batch("BEGIN")?;
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            // Where nothing was written since, what the files were is what the transaction sees.
            let same = before.filter(|before| Some(before) == stamp(&self.path).as_ref());
            let state = match same {
                Some(stamp) => stamp,
                None => connection.query_row("SELECT hex(randomblob(16))", [], |row| row.get(0))?,
            };
            self.state.get_or_init(|| state);
            Ok(connection)
        };
        open().map_err(|error| fault::failed(&self.path, "open the source", error))
    }

    /// Answers until nobody asks. Every open statement is a frame on the stack, since it borrows
    /// from the connection; closed ones below others wait for those.
    fn serve(
        &self,
        connection: &Connection,
        mut first: Option<Job>,
        cursors: &mut dyn Cursors,
    ) -> Ended {
        while let Some(job) = first.take().or_else(|| self.queue.recv().ok()) {
            match job {
                Job::Look(work) => work(Ok(connection)),
                Job::Fetch { number, when, reply } => {
                    let _ = reply.send(cursors.fetch(number, when, &self.path));
                }
                Job::Close { number } => {
                    cursors.close(number);
                    if cursors.is_closed() {
                        return Ended::Statement;
                    }
                }
                Job::Open { number, work: Work { sql, kinds, most }, reply } => {
                    let until = most.and_then(|most| Instant::now().checked_add(most));
                    let mut statement = match connection.prepare(&sql) {
                        Ok(statement) => statement,
                        Err(error) => {
                            let _ = reply.send(Err(refusal(&self.path, error)));
                            continue;
                        }
                    };
                    let rows = Some(statement.raw_query());
                    let spelled = String::new();
                    let below = &mut *cursors;
                    let mut cursor = Cursor {
                        connection,
                        until,
                        number,
                        kinds,
                        rows,
                        spelled,
                        large: false,
                        below,
                    };
                    let _ = reply.send(Ok(()));
                    if self.serve(connection, None, &mut cursor) == Ended::Queue {
                        return Ended::Queue;
                    }
                    drop(cursor);
                    if cursors.is_closed() {
                        return Ended::Statement;
                    }
                }
            }
        }
        Ended::Queue
    }
}

/// The open statements.
trait Cursors {
    fn fetch(&mut self, number: u64, when: When, path: &Path) -> Answer<Fetched>;
    fn close(&mut self, number: u64);
    /// The innermost is closed.
    fn is_closed(&self) -> bool;
}

/// Below the last one.
struct NoCursor;

impl Cursors for NoCursor {
    /// A statement that is not open has no end either.
    fn fetch(&mut self, _: u64, _: When, _: &Path) -> Answer<Fetched> {
        Err(gone())
    }

    fn close(&mut self, _: u64) {}

    fn is_closed(&self) -> bool {
        false
    }
}

/// A statement, where it stands, and those that were opened before it.
struct Cursor<'below, 'statement> {
    connection: &'statement Connection,
    /// When the engine gives it up.
    until: Option<Instant>,
    number: u64,
    kinds: Vec<Kind>,
    rows: Option<Rows<'statement>>,
    spelled: String,
    /// The last batch was.
    large: bool,
    below: &'below mut dyn Cursors,
}

impl Cursors for Cursor<'_, '_> {
    fn fetch(&mut self, number: u64, when: When, path: &Path) -> Answer<Fetched> {
        if number != self.number {
            return self.below.fetch(number, when, path);
        }
        let Some(rows) = &mut self.rows else { return Ok(Fetched::End) };
        if self.large && when == When::Ahead {
            return Ok(Fetched::Later);
        }
        if let Some(until) = self.until {
            let watch = Some(move || Instant::now() > until);
            let watched = self.connection.progress_handler(STEPS, watch);
            watched.map_err(|error| fault::failed(path, "watch the clock", error))?;
        }
        let batch = batch(rows, &self.kinds, &mut self.spelled);
        if self.until.is_some() {
            let unwatched = self.connection.progress_handler(STEPS, None::<fn() -> bool>);
            unwatched.map_err(|error| fault::failed(path, "watch the clock", error))?;
        }
        let batch = batch.map_err(|error| fault::failed(path, "read rows", error))?;
        if batch.len() < BATCH_ROWS && batch.size() < BATCH_BYTES {
            // To step a statement past its end would begin it again.
            self.rows = None;
        }
        self.large = batch.size() >= LARGE;
        Ok(if batch.is_empty() { Fetched::End } else { Fetched::Rows(batch) })
    }

    fn close(&mut self, number: u64) {
        if number == self.number {
            self.rows = None;
            // It is the number that tells it from one that has come to its end.
            self.number = u64::MAX;
        } else {
            self.below.close(number);
        }
    }

    fn is_closed(&self) -> bool {
        self.number == u64::MAX
    }
}

fn batch(rows: &mut Rows<'_>, kinds: &[Kind], spelled: &mut String) -> rusqlite::Result<Chunk> {
    let mut batch = ChunkBuilder::with_capacity(kinds.len(), BATCH_ROWS, 0);
    while batch.len() < BATCH_ROWS && batch.size() < BATCH_BYTES {
        let Some(row) = rows.next()? else { break };
        for (index, kind) in kinds.iter().enumerate() {
            batch.push(decoded(*kind, row.get_ref(index)?, spelled));
        }
        batch.end_row();
    }
    Ok(batch.finish())
}

/// A stored value as its column's kind, or as what it is.
fn decoded<'a>(kind: Kind, stored: Stored<'a>, spelled: &'a mut String) -> ValueRef<'a> {
    match value::read(kind, stored, spelled) {
        ValueRef::Json(text) if json::validate(text.as_bytes(), Limits::default()).is_err() => {
            ValueRef::Text(text)
        }
        value => value,
    }
}

/// A statement that the engine does not take: the query of the plan is in it.
fn refusal(path: &Path, error: rusqlite::Error) -> EndpointError {
    if fault::primary(&error) != Some(rusqlite::ErrorCode::Unknown) {
        return fault::failed(path, "read the source", error);
    }
    refused(
        codes::SOURCE_QUERY,
        format!("SQLite does not take the query: {}: `{}`", fault::words(&error), path.display()),
    )
}

/// Whether SQLite understands a query whose database is not there yet; names it cannot know then.
pub(super) fn understood(query: &str) -> Answer<()> {
    let nowhere = Path::new("a database that is not there yet");
    let connection = Connection::open_in_memory()
        .map_err(|error| fault::failed(nowhere, "open a database in memory", error))?;
    let whole = format!("SELECT * FROM ({}\n) AS q", inner(query));
    match connection.prepare(&whole) {
        Ok(_) => Ok(()),
        Err(error) if fault::words(&error).starts_with("no such ") => Ok(()),
        Err(error) => Err(refusal(nowhere, error)),
    }
}

fn of_table(connection: &Connection, path: &Path, name: &str) -> Answer<Known> {
    let catalogue = |error| fault::failed(path, "read the catalogue", error);
    let found: Option<(String, String)> = connection
        .query_row(
            "SELECT name, type FROM pragma_table_list
             WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(catalogue)?;
    let Some((name, what)) = found else {
        let names = names(connection).map_err(catalogue)?;
        let database = path.display().to_string();
        return Err(no_table(name, &database, names.iter().map(String::as_str)));
    };
    let sql = format!("SELECT * FROM {}", Dialect::Sqlite.table(&name));
    let mut columns = columns(connection, path, &sql)?;
    let (required, unique) = keys(connection, &name).map_err(catalogue)?;
    for told in &mut columns {
        told.nullable = !required.contains(&told.column.name);
    }
    Ok(Known { engine: "sqlite", dialect: Dialect::Sqlite, columns, unique, what })
}

fn of_query(connection: &Connection, path: &Path, query: &str) -> Answer<Known> {
    let columns = columns(connection, path, inner(query))?;
    let what = "query".to_owned();
    Ok(Known { engine: "sqlite", dialect: Dialect::Sqlite, columns, unique: Vec::new(), what })
}

fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(
        "SELECT name FROM pragma_table_list
         WHERE schema = 'main' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

fn columns(connection: &Connection, path: &Path, sql: &str) -> Answer<Vec<Told>> {
    let statement = connection.prepare(sql).map_err(|error| refusal(path, error))?;
    if !statement.readonly() {
        return Err(refused(codes::SOURCE_QUERY, "a query only reads here; this one would write"));
    }
    let told = |column: &rusqlite::Column<'_>| {
        let name = Dialect::Sqlite.quote(column.name());
        let kind = Dialect::Sqlite.kind_of(column.decl_type().unwrap_or_default());
        // The order of numbers knows no collation, and naming one would keep the rowid from serving.
        let ordered = match kind {
            Kind::Int(_) | Kind::Float => name.clone(),
            _ => format!("{name} COLLATE BINARY"),
        };
        let column = SourceColumn {
            name: column.name().to_owned(),
            kind,
            selected: name,
            ordered,
            carried: Carried::Stored,
        };
        Told { column, nullable: true }
    };
    Ok(statement.columns().iter().map(told).collect())
}

/// Columns that are never NULL, and sets of columns that no two rows share.
fn keys(connection: &Connection, table: &str) -> rusqlite::Result<(Vec<String>, Vec<Vec<String>>)> {
    let mut statement = connection.prepare(
        "SELECT c.name, c.type, c.\"notnull\", c.pk, l.wr
         FROM pragma_table_xinfo(?1, 'main') AS c, pragma_table_list AS l
         WHERE l.schema = 'main' AND l.name = ?1 ORDER BY c.pk",
    )?;
    let facts = statement.query_map([table], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, bool>(2)?,
            row.get::<_, u32>(3)?,
            row.get::<_, bool>(4)?,
        ))
    })?;
    let facts: Vec<_> = facts.collect::<Result<_, _>>()?;
    let primary: Vec<String> =
        facts.iter().filter(|fact| fact.3 > 0).map(|fact| fact.0.clone()).collect();
    let lone = primary.len() == 1;
    let required = facts.iter().filter(|(_, declared, required, key, without_rowid)| {
        let rowid = lone && declared.eq_ignore_ascii_case("INTEGER");
        *required || (*key > 0 && (rowid || *without_rowid))
    });
    let required = required.map(|fact| fact.0.clone()).collect();
    let mut unique = vec![primary];
    let mut indexes = connection.prepare(
        "SELECT name FROM pragma_index_list(?1, 'main')
         WHERE \"unique\" AND NOT partial ORDER BY name",
    )?;
    let indexes: Vec<String> =
        indexes.query_map([table], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for index in indexes {
        let mut parts =
            connection.prepare("SELECT name FROM pragma_index_info(?1, 'main') ORDER BY seqno")?;
        let parts: Vec<Option<String>> =
            parts.query_map([&index], |row| row.get(0))?.collect::<Result<_, _>>()?;
        // An expression has no name.
        unique.extend(parts.into_iter().collect::<Option<Vec<String>>>());
    }
    unique.retain(|set| !set.is_empty());
    Ok((required, unique))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn behind_a_large_row_nothing_is_made_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        let rows = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB);
             INSERT INTO t VALUES (1, zeroblob({LARGE})), (2, zeroblob({LARGE})), (3, 'small')"
        );
        Connection::open(&path).unwrap().execute_batch(&rows).unwrap();
        let engine = SqliteEngine::new(&path, &Options::default());
        let (reply, answer) = oneshot::channel();
        let (sql, kinds) = ("SELECT v FROM t ORDER BY id".to_owned(), vec![Kind::Any]);
        engine
            .jobs()
            .send(Job::Open { number: 1, work: Work { sql, kinds, most: None }, reply })
            .unwrap();
        answer.await.unwrap().unwrap();
        let mut told = Vec::new();
        for when in [When::Ahead, When::Ahead, When::Now, When::Ahead, When::Now, When::Ahead] {
            let (reply, answer) = oneshot::channel();
            engine.jobs().send(Job::Fetch { number: 1, when, reply }).unwrap();
            told.push(match answer.await.unwrap().unwrap() {
                Fetched::Rows(rows) => rows.len().to_string(),
                Fetched::Later => "later".to_owned(),
                Fetched::End => "end".to_owned(),
            });
        }
        assert_eq!(told, ["1", "later", "1", "later", "1", "end"]);
        let (reply, answer) = oneshot::channel();
        engine.jobs().send(Job::Fetch { number: 2, when: When::Now, reply }).unwrap();
        assert!(answer.await.unwrap().is_err(), "there is no such statement");
    }
}
