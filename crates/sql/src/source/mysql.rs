//! MariaDB and MySQL as sources.
//!
//! ```text
//! look      catalogue, KILL QUERY
//! reader 1  START TRANSACTION WITH CONSISTENT SNAPSHOT ┐ all at once; nobody writes in between,
//! reader 2  START TRANSACTION WITH CONSISTENT SNAPSHOT ┘ else again, and then commits are held up
//! ```
//! These servers cannot hand a snapshot from one session to another. So as many readers as the sources
//! of the URL need (at most [`READERS_MAX`], one to spare) take theirs together, and the server's count
//! of those who write tells whether all of them see one state. On a busy server it does not stand still;
//! then commits are held up for that moment, where the user may do that (see [`held`]). Where not,
//! [`Engine::inspect`] says so. A session is used for one reader after another: one that stops early has
//! its query ended, not its session.
//!
//! Values come by the binary protocol and are decoded from their bytes. Text is ordered by its bytes
//! (`CAST(… AS BINARY)`), for which the server sorts. `BIT(1)` is a boolean, other `BIT`s and geometry
//! are bytes, `ENUM` and `SET` text. Sessions run at UTC, with the server's own `sql_mode`.

use std::pin::pin;
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Executor as _, SqlSafeStr as _,
    Statement as _, TypeInfo as _,
};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed, Finding};
use whimbrel_model::{ChunkBuilder, Kind};

use super::Read;
use super::engine::Engine;
use super::held::{self, Unheld};
use super::layout::{Carried, Known, Layout, SourceColumn, Told, Wanted, inner, no_table, refused};
use super::pump::{Gone, Pipe, Pump, is_full, taken};
use crate::dialect::Dialect;
use crate::mysql::decode::{self, Wire};
use crate::mysql::fault;
use crate::shown::Shown;
use crate::{codes, sockets};

/// Sessions that read at the same time, at most.
const READERS_MAX: usize = 8;

/// How often the snapshots are taken again where something was committed in between.
const ATTEMPTS: usize = 5;

/// How long a session may take to come about, and to become free.
const CONNECT: Duration = Duration::from_secs(15);
const FREE: Duration = Duration::from_mins(2);

/// Names of unknown settings differ between the two servers.
const SESSION: &str = "SET SESSION net_write_timeout = 31536000, wait_timeout = 31536000,
    max_sort_length = 4096, time_zone = '+00:00'";
const SESSION_MARIADB: &str = "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0,
    idle_readonly_transaction_timeout = 0";
/// Before 8.0 the catalogue has no figures that are old.
const SESSION_MYSQL: &str =
    "SET SESSION max_execution_time = 0 /*!80000 , SESSION information_schema_stats_expiry = 0 */";

/// A database of a server.
pub(super) struct MysqlEngine {
    options: MySqlConnectOptions,
    shown: Shown,
    readers: usize,
    snapshot: Mutex<Option<Arc<Snapshot>>>,
    /// What fetches rows, or puts a session in order after it.
    tasks: StdMutex<JoinSet<()>>,
}

/// Sessions that see one state.
struct Snapshot {
    look: Mutex<MySqlConnection>,
    free: StdMutex<Vec<Session>>,
    turns: Arc<Semaphore>,
    /// Why others may have committed while they were opened; `None` where nobody has.
    doubt: Option<Unheld>,
    /// The state's name.
    state: String,
    /// A session was lost, and its share of the state.
    is_lost: AtomicBool,
}

struct Session {
    connection: MySqlConnection,
    id: u64,
}

type Answer<T> = Result<T, EndpointError>;

impl MysqlEngine {
    pub(super) fn new(url: &str, shown: Shown, sources: usize) -> Answer<Self> {
        // The driver's words may repeat the URL.
        let options = MySqlConnectOptions::from_str(url)
            .map_err(|_| refused(codes::URL, format!("the URL is not understood: `{shown}`")))?;
        // The plan's query means what it means at the server.
        let options = options
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .disable_statement_logging();
        Ok(Self {
            options,
            shown,
            readers: sources.min(READERS_MAX) + 1,
            snapshot: Mutex::new(None),
            tasks: StdMutex::new(JoinSet::new()),
        })
    }

    fn failed(&self, doing: &str, error: sqlx::Error) -> EndpointError {
        failed(&self.shown, doing, error)
    }

    async fn connect(&self) -> Answer<MySqlConnection> {
        let connected = tokio::time::timeout(CONNECT, self.options.connect()).await;
        let connected = connected
            .unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()));
        let mut connection =
            connected.map_err(|error| fault::unreachable(&self.shown, false, error))?;
        sockets::set(self.options.get_port());
        let set_up = async {
            let row = one(&mut connection, "SELECT VERSION()").await?;
            let version = decode::text(&row, 0).unwrap_or_default();
            sqlx::raw_sql(SESSION).execute(&mut connection).await?;
            let own = if version.contains("MariaDB") { SESSION_MARIADB } else { SESSION_MYSQL };
            sqlx::raw_sql(own).execute(&mut connection).await
        };
        set_up.await.map_err(|error| self.failed("set the session up", error))?;
        Ok(connection)
    }

    /// The sessions that see one state; taken anew where one of them was lost.
    async fn snapshot(&self) -> Answer<Arc<Snapshot>> {
        let mut kept = self.snapshot.lock().await;
        if let Some(snapshot) = &*kept
            && !snapshot.is_lost.load(Ordering::Relaxed)
        {
            return Ok(Arc::clone(snapshot));
        }
        let snapshot = Arc::new(self.take().await?);
        *kept = Some(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    async fn take(&self) -> Answer<Snapshot> {
        let doing = "take a snapshot";
        let mut look = self.connect().await?;
        let mut sessions = Vec::with_capacity(self.readers);
        for _ in 0..self.readers {
            let mut connection = self.connect().await?;
            let row = one(&mut connection, "SELECT CONNECTION_ID()").await;
            let row = row.map_err(|error| self.failed(doing, error))?;
            let id = decode::integer(&row, 0).and_then(|id| u64::try_from(id).ok()).unwrap_or(0);
            sessions.push(Session { connection, id });
        }
        let mut same = None;
        for _ in 0..ATTEMPTS {
            let attempt = async {
                let before = Count::of(&mut look).await?;
                sessions = begun(std::mem::take(&mut sessions)).await?;
                let after = Count::of(&mut look).await?;
                Ok((before == after).then_some(after))
            };
            same = attempt.await.map_err(|error| self.failed(doing, error))?;
            if same.is_some() {
                break;
            }
        }
        let together = match same {
            Some(count) => Ok(count),
            None => {
                let taken = Self::held(&mut look, &mut sessions).await;
                taken.map_err(|error| self.failed(doing, error))?
            }
        };
        let (doubt, state) = match together {
            Ok(count) => (None, count.state()),
            Err(doubt) => (Some(doubt), None),
        };
        let state = match state {
            Some(state) => state,
            None => {
                let row = one(&mut look, "SELECT UUID()").await;
                let row = row.map_err(|error| self.failed(doing, error))?;
                decode::text(&row, 0).unwrap_or_default()
            }
        };
        Ok(Snapshot {
            look: Mutex::new(look),
            turns: Arc::new(Semaphore::new(sessions.len())),
            free: StdMutex::new(sessions),
            doubt,
            state,
            is_lost: AtomicBool::new(false),
        })
    }
}

impl MysqlEngine {
    /// Takes the snapshots while commits are held up; where this fails `look` is to be dropped.
    async fn held(
        look: &mut MySqlConnection,
        sessions: &mut Vec<Session>,
    ) -> Result<Result<Count, Unheld>, sqlx::Error> {
        if let Err(why) = held::hold(look).await? {
            return Ok(Err(why));
        }
        let take = tokio::time::timeout(held::HOLD, async {
            *sessions = begun(std::mem::take(sessions)).await?;
            Count::of(look).await
        });
        let late = |_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into());
        let count = take.await.unwrap_or_else(late)?;
        held::let_go(look).await?;
        Ok(Ok(count))
    }
}

impl Snapshot {
    /// Takes a session for a reader.
    async fn session(&self, shown: &str) -> Answer<(Session, OwnedSemaphorePermit)> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        let turn = tokio::time::timeout(FREE, turn).await.ok().and_then(Result::ok);
        let session = turn.and_then(|turn| Some((self.free().pop()?, turn)));
        session.ok_or_else(|| {
            EndpointError::new(
                ErrorClass::Transient,
                codes::CONNECTIONS,
                format!("all sessions of the snapshot are in use: `{shown}`"),
            )
        })
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Engine for MysqlEngine {
    async fn layout(&self, read: &Read, wanted: &Wanted) -> Answer<Layout> {
        let snapshot = self.snapshot().await?;
        let looked = self.look(&mut *snapshot.look.lock().await, read, wanted).await;
        if looked.as_ref().is_err_and(|error| error.code == codes::CONNECTION_LOST) {
            snapshot.is_lost.store(true, Ordering::Relaxed);
        }
        looked
    }

    async fn state(&self) -> Answer<String> {
        Ok(self.snapshot().await?.state.clone())
    }

    async fn rows(&self, layout: &Layout) -> Answer<Box<dyn Feed>> {
        let snapshot = self.snapshot().await?;
        let (session, turn) = snapshot.session(&self.shown).await?;
        let pour = Pour {
            snapshot,
            shown: self.shown.clone(),
            sql: layout.sql.clone(),
            kinds: layout.columns.iter().map(|column| column.kind).collect(),
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        Ok(Box::new(Pump::start_in(&mut tasks, |pipe| pour.run(session, turn, pipe))))
    }

    async fn inspect(&self, read: &Read) -> Answer<Vec<Finding>> {
        let snapshot = self.snapshot().await?;
        let mut findings = Vec::new();
        let mut find = |message| {
            findings.push(Finding { code: codes::SOURCE_SNAPSHOT, blocks: false, message });
        };
        if let Some(doubt) = snapshot.doubt {
            let advice = doubt.advice();
            find(format!(
                "the sessions that read took their snapshots while others were committing: tables \
                 may be read as of slightly different moments; {advice}, or run it when fewer \
                 programs write: `{}`",
                self.shown
            ));
        }
        if let Read::Table(name) = read {
            let (schema, table) = Dialect::Mysql.place(name);
            let mut look = snapshot.look.lock().await;
            let row = sqlx::query(
                "SELECT engine FROM information_schema.tables
                 WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?",
            )
            .bind(schema.as_deref())
            .bind(table.as_ref())
            .fetch_optional(&mut *look)
            .await
            .map_err(|error| self.failed("look at the source", error))?;
            if let Some(engine) = row.and_then(|row| decode::text(&row, 0))
                && !["InnoDB", "ROCKSDB"].iter().any(|own| engine.eq_ignore_ascii_case(own))
            {
                find(format!(
                    "the table's engine `{engine}` knows no snapshots: what others write while it \
                     is read shows or does not; stop them meanwhile: `{name}`"
                ));
            }
        }
        Ok(findings)
    }
}

impl MysqlEngine {
    async fn look(
        &self,
        look: &mut MySqlConnection,
        read: &Read,
        wanted: &Wanted,
    ) -> Answer<Layout> {
        let known = match read {
            Read::Table(name) => self.table(look, name).await?,
            Read::Query(query) => {
                let columns = columns(look, inner(query)).await;
                let columns = columns.map_err(|error| self.failed("prepare the query", error))?;
                known(columns, Vec::new(), "query")
            }
        };
        let layout = Layout::new(known, read, wanted)?;
        let prepared = look.prepare(AssertSqlSafe(layout.sql.clone()).into_sql_str()).await;
        prepared.map_err(|error| self.failed("prepare to read the source", error))?;
        Ok(layout)
    }

    async fn table(&self, look: &mut MySqlConnection, name: &str) -> Answer<Known> {
        let doing = "read the catalogue";
        let declared = declared(look, name).await.map_err(|error| self.failed(doing, error))?;
        // `*` leaves columns out that are INVISIBLE.
        let quoted = |column: &DeclaredColumn| Dialect::Mysql.quote(&column.name);
        let all: Vec<String> = declared.columns.iter().map(quoted).collect();
        let all = if all.is_empty() { "*".to_owned() } else { all.join(", ") };
        let sql = format!("SELECT {all} FROM {}", Dialect::Mysql.table(name));
        let mut told = match columns(look, &sql).await {
            Ok(told) => told,
            Err(error) if matches!(fault::number(&error), Some(1146 | 1049)) => {
                let names = names(look).await.map_err(|error| self.failed(doing, error))?;
                return Err(no_table(name, &self.shown, names.iter().map(String::as_str)));
            }
            Err(error) => return Err(fault::failed(&self.shown, doing, error)),
        };
        for told in &mut told {
            let Some(facts) = declared.columns.iter().find(|facts| facts.name == told.column.name)
            else {
                continue;
            };
            told.nullable = facts.nullable;
            let kind = Dialect::Mysql.kind_of(&facts.declared);
            let is_document = declared.documents.contains(&facts.name);
            told.column.kind = match kind {
                _ if is_document => Kind::Json,
                // What has no kind of its own came with one that its bytes have.
                Kind::Any => told.column.kind,
                kind => kind,
            };
        }
        Ok(known(told, declared.unique, &declared.what))
    }
}

fn known(columns: Vec<Told>, unique: Vec<Vec<String>>, what: &str) -> Known {
    Known { engine: "mysql", dialect: Dialect::Mysql, columns, unique, what: what.to_owned() }
}

/// What the server has against a statement of the plan is the plan's mistake.
fn failed(shown: &Shown, doing: &str, error: sqlx::Error) -> EndpointError {
    match fault::number(&error) {
        Some(
            1052
            | 1054..=1056
            | 1060
            | 1064
            | 1065
            | 1111
            | 1140
            | 1146
            | 1222
            | 1235
            | 1305
            | 1241
            | 1248
            | 1295
            | 1582
            | 1792,
        ) => refused(
            codes::SOURCE_QUERY,
            format!("the server does not take it: {}: `{shown}`", fault::told(&error, shown)),
        ),
        // Its definition is newer than the snapshot.
        Some(1412) => EndpointError::new(
            ErrorClass::Changed,
            whimbrel_endpoint::codes::SOURCE_CHANGED,
            format!("a table was altered while it was read: `{shown}`"),
        ),
        _ => fault::failed(shown, doing, error),
    }
}

/// What fetches rows.
struct Pour {
    snapshot: Arc<Snapshot>,
    shown: Shown,
    sql: String,
    kinds: Vec<Kind>,
}

/// How fetching ended.
enum Ended {
    /// The session is at rest.
    Rested,
    /// The session is of no use.
    Lost,
}

impl Pour {
    async fn run(self, mut session: Session, turn: OwnedSemaphorePermit, pipe: Pipe) {
        match self.fetch(&mut session, &pipe).await {
            Ended::Rested => self.snapshot.free().push(session),
            Ended::Lost => {
                self.snapshot.is_lost.store(true, Ordering::Relaxed);
                turn.forget();
            }
        }
    }

    async fn fetch(&self, session: &mut Session, pipe: &Pipe) -> Ended {
        let Session { connection, id } = session;
        let query = sqlx::query(AssertSqlSafe(self.sql.clone())).persistent(false);
        let mut rows = query.fetch(connection);
        let mut closed = pin!(pipe.closed());
        let mut batch = ChunkBuilder::new(self.kinds.len());
        let mut wires: Vec<Wire> = Vec::new();
        let mut spelled = String::new();
        loop {
            let next = std::future::poll_fn(|context| match rows.as_mut().poll_next(context) {
                Poll::Pending => closed.as_mut().poll(context).map(|()| Err(Gone)),
                Poll::Ready(next) => Poll::Ready(Ok(next)),
            });
            let sent = match next.await {
                Ok(Some(Ok(row))) => {
                    if wires.is_empty() {
                        wires = decode::wires(&row);
                    }
                    decode::push(&row, &self.kinds, &wires, &mut spelled, &mut batch);
                    // A large row is not kept twice while it waits.
                    drop(row);
                    if !is_full(&batch) {
                        continue;
                    }
                    pipe.send(taken(&mut batch, self.kinds.len())).await
                }
                Ok(None) => {
                    let rest = batch.finish();
                    if !rest.is_empty() {
                        let _ = pipe.send(rest).await;
                    }
                    pipe.end().await;
                    return Ended::Rested;
                }
                Ok(Some(Err(error))) => {
                    let is_lost = fault::ends_session(&error);
                    pipe.fail(failed(&self.shown, "read rows", error)).await;
                    return if is_lost { Ended::Lost } else { Ended::Rested };
                }
                Err(Gone) => Err(Gone),
            };
            if sent.is_err() {
                if self.kill(*id).await.is_err() {
                    return Ended::Lost;
                }
                // What is on its way, and then that the query was ended.
                return loop {
                    match std::future::poll_fn(|context| rows.as_mut().poll_next(context)).await {
                        Some(Ok(_)) => {}
                        None => break Ended::Rested,
                        Some(Err(error)) if fault::number(&error) == Some(1317) => {
                            break Ended::Rested;
                        }
                        Some(Err(_)) => break Ended::Lost,
                    }
                };
            }
        }
    }

    async fn kill(&self, id: u64) -> Result<(), sqlx::Error> {
        let mut look = self.snapshot.look.lock().await;
        sqlx::raw_sql(AssertSqlSafe(format!("KILL QUERY {id}"))).execute(&mut *look).await.map(drop)
    }
}

/// Has all sessions take their snapshots at the same time.
async fn begun(sessions: Vec<Session>) -> Result<Vec<Session>, sqlx::Error> {
    let mut tasks = JoinSet::new();
    for mut session in sessions {
        tasks.spawn(async move {
            let begin = "ROLLBACK; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;
                START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";
            sqlx::raw_sql(begin).execute(&mut session.connection).await?;
            Ok(session)
        });
    }
    tasks.join_all().await.into_iter().collect()
}

async fn one(connection: &mut MySqlConnection, sql: &'static str) -> Result<MySqlRow, sqlx::Error> {
    sqlx::query(sql).persistent(false).fetch_one(connection).await
}

/// What a server counts of those who write.
#[derive(PartialEq, Eq)]
enum Count {
    /// MariaDB: transactions of InnoDB, when they first write and when they commit, since the server
    /// started; and whether all tables are InnoDB's.
    Written { count: String, whole: bool },
    /// How often the engines have committed. (MariaDB counts the taking of a snapshot, too.)
    Committed(Option<String>),
}

impl Count {
    async fn of(connection: &mut MySqlConnection) -> Result<Self, sqlx::Error> {
        let row = one(connection, "SELECT VERSION()").await?;
        if decode::text(&row, 0).unwrap_or_default().contains("MariaDB") {
            let row = one(connection, WRITTEN).await?;
            if let Some(count) = decode::text(&row, 0) {
                return Ok(Self::Written { count, whole: decode::integer(&row, 1) == Some(0) });
            }
        }
        let row = one(connection, "SHOW GLOBAL STATUS LIKE 'Handler_commit'").await?;
        Ok(Self::Committed(decode::text(&row, 1)))
    }

    /// The name of the state, where equal counts are of equal content: reading counts as committing,
    /// and other engines' tables are written uncounted.
    fn state(self) -> Option<String> {
        match self {
            Self::Written { count, whole: true } => Some(count),
            Self::Written { whole: false, .. } | Self::Committed(_) => None,
        }
    }
}

/// NULL where something of it is not known.
const WRITTEN: &str = "SELECT CONCAT(@@hostname, ' ', @@port, ' ', COALESCE(DATABASE(), ''), ' ',
        (SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
         WHERE VARIABLE_NAME = 'UPTIME'), ' ',
        (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS
         WHERE VARIABLE_NAME = 'INNODB_MAX_TRX_ID')),
    (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_TYPE = 'BASE TABLE'
        AND ENGINE <> 'InnoDB'
        AND TABLE_SCHEMA NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys'))";

/// What a statement answers.
async fn columns(connection: &mut MySqlConnection, sql: &str) -> Result<Vec<Told>, sqlx::Error> {
    let statement = connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await?;
    let told = |column: &sqlx::mysql::MySqlColumn| {
        let wire = Wire::of(column.type_info());
        let name = Dialect::Mysql.quote(column.name());
        let type_name = column.type_info().name();
        let kind = match (Dialect::Mysql.kind_of(type_name), wire) {
            // The driver's word for `TINYINT(1)`.
            _ if type_name == "BOOLEAN" => Kind::Bool,
            (_, Wire::Json) => Kind::Json,
            (Kind::Any, Wire::Bytes) => Kind::Bytes,
            (Kind::Any, Wire::Text) => Kind::Text(None),
            (kind, _) => kind,
        };
        let ordered = match wire {
            Wire::Text | Wire::Json => format!("CAST({name} AS BINARY)"),
            _ => name.clone(),
        };
        let column = SourceColumn {
            name: column.name().to_owned(),
            kind,
            selected: name,
            ordered,
            carried: Carried::Bytes,
        };
        Told { column, nullable: true }
    };
    Ok(statement.columns().iter().map(told).collect())
}

async fn names(connection: &mut MySqlConnection) -> Result<Vec<String>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT IF(table_schema = DATABASE(), table_name, CONCAT(table_schema, '.', table_name))
         FROM information_schema.tables
         WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
         ORDER BY 1",
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.iter().filter_map(|row| decode::text(row, 0)).collect())
}

/// What the catalogue says of a table.
struct Declared {
    what: String,
    columns: Vec<DeclaredColumn>,
    unique: Vec<Vec<String>>,
    /// Columns that a check keeps JSON: MariaDB has no type of its own for it.
    documents: Vec<String>,
}

struct DeclaredColumn {
    name: String,
    declared: String,
    nullable: bool,
}

/// Servers without checks, or that tell nobody of them, have no such table in the catalogue.
fn has_no_such_catalogue(error: &sqlx::Error) -> bool {
    matches!(fault::number(error), Some(1109 | 1146))
}

async fn declared(connection: &mut MySqlConnection, name: &str) -> Result<Declared, sqlx::Error> {
    let (schema, table) = Dialect::Mysql.place(name);
    let mut ask = async |sql: &'static str| {
        sqlx::query(sql)
            .bind(schema.as_deref())
            .bind(table.as_ref())
            .persistent(false)
            .fetch_all(&mut *connection)
            .await
    };
    let text = |row: &MySqlRow, index| decode::text(row, index).unwrap_or_default();
    let types = ask("SELECT table_type FROM information_schema.tables
         WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ?");
    let types = types.await?;
    let is_view = types.first().is_some_and(|row| text(row, 0).contains("VIEW"));
    let columns = ask(
        "SELECT column_name, column_type, is_nullable FROM information_schema.columns
         WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? ORDER BY ordinal_position",
    );
    let rows = columns.await?;
    let columns = rows.iter().map(|row| DeclaredColumn {
        name: text(row, 0),
        declared: text(row, 1),
        nullable: text(row, 2) != "NO",
    });
    let columns: Vec<DeclaredColumn> = columns.collect();
    // An expression has no column, and a prefix does not tell all.
    let parts = ask("SELECT index_name, column_name, sub_part FROM information_schema.statistics
         WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0
         ORDER BY index_name <> 'PRIMARY', index_name, seq_in_index");
    let mut unique: Vec<(String, Option<Vec<String>>)> = Vec::new();
    for row in &parts.await? {
        let (index, column) = (text(row, 0), decode::text(row, 1));
        let column = column.filter(|_| decode::raw(row, 2).is_none());
        match unique.last_mut() {
            Some((last, set)) if *last == index => {
                *set = set.take().zip(column).map(|(mut set, column)| {
                    set.push(column);
                    set
                });
            }
            _ => unique.push((index, column.map(|column| vec![column]))),
        }
    }
    let checks = ask("SELECT c.check_clause FROM information_schema.check_constraints AS c
            JOIN information_schema.table_constraints AS t
                ON t.constraint_schema = c.constraint_schema
                AND t.constraint_name = c.constraint_name AND t.constraint_type = 'CHECK'
         WHERE t.table_schema = COALESCE(?, DATABASE()) AND t.table_name = ?");
    let checks = match checks.await {
        Err(error) if has_no_such_catalogue(&error) => Vec::new(),
        checks => checks?,
    };
    let documents = checks.iter().filter_map(|row| {
        let clause = text(row, 0).to_lowercase();
        let is_of = |column: &&DeclaredColumn| {
            let valid =
                format!("json_valid({})", Dialect::Mysql.quote(&column.name.to_lowercase()));
            clause == valid || clause == format!("({valid})")
        };
        columns.iter().find(is_of).map(|column| column.name.clone())
    });
    let documents = documents.collect();
    Ok(Declared {
        what: if is_view { "view" } else { "table" }.to_owned(),
        columns,
        unique: unique.into_iter().filter_map(|(_, set)| set).collect(),
        documents,
    })
}

#[cfg(test)]
mod tests {
    use sqlx::Connection as _;
    use whimbrel_testkit::servers;

    use super::*;

    #[tokio::test]
    async fn only_a_catalogue_that_is_not_there_passes_for_one_without_checks() {
        let Some(server) = servers::mysql_or_skip() else { return };
        let database = server.database("checks").unwrap();
        let mut look = MySqlConnection::connect(&database.url()).await.unwrap();
        let mut passes = async |sql: &'static str| {
            let error = one(&mut look, sql).await.unwrap_err();
            has_no_such_catalogue(&error)
        };
        assert!(passes("SELECT 1 FROM information_schema.no_such_table").await);
        assert!(!passes("SELECT no_such_column FROM information_schema.tables").await);
        assert!(!passes("KILL QUERY CONNECTION_ID()").await);
        assert!(!passes("KILL CONNECTION_ID()").await);
        assert!(!passes("SELECT 1").await);
    }
}
