//! A connection whose settings are ours, and a place that lends one out.
//!
//! A session that broke, or whose user was cancelled in the middle of an exchange, is not used
//! again: nobody knows what the server still has to say.

use std::ops::{Deref, DerefMut};
use std::str::FromStr as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlArguments, MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{
    Arguments as _, AssertSqlSafe, Column as _, ConnectOptions as _, Connection as _,
    Executor as _, SqlSafeStr as _, Statement as _,
};
use tokio::sync::{Mutex, MutexGuard};
use whimbrel_endpoint::{EndpointError, ErrorClass};

use super::encode::Param;
use super::{decode, fault};
use crate::shown::Shown;
use crate::{codes, sockets};

/// How long a server may take to answer a new connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);

/// A session that rested for longer is asked whether it is still there.
const REST: Duration = Duration::from_secs(5);

/// How long a transaction may rest before MariaDB ends it: one whose client is gone keeps its locks.
pub(crate) const IDLE_AT_MOST: &str = "SET SESSION idle_transaction_timeout = 600";

/// Where sessions lead, and how they are set.
pub(crate) struct Place {
    options: MySqlConnectOptions,
    pub(crate) shown: Shown,
    busy: Duration,
    /// The server has answered once.
    reached: AtomicBool,
}

/// Without the driver's options: they show the password.
impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Place {
    pub(crate) fn new(url: &str, shown: Shown, busy: Duration) -> Result<Self, EndpointError> {
        let refused = |why: &str| {
            EndpointError::new(ErrorClass::Configuration, codes::URL, format!("{why}: `{shown}`"))
        };
        let parsed = MySqlConnectOptions::from_str(url)
            .map_err(|_| refused("a server is named as `mysql://USER@HOST/DATABASE`"))?;
        if parsed.get_database().is_none() {
            return Err(refused("the URL names no database: `mysql://USER@HOST/DATABASE`"));
        }
        // The driver would add to whatever mode the server has; the mode is set as a whole below.
        let options = parsed
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .charset("utf8mb4")
            .timezone(Some("+00:00".to_owned()))
            .statement_cache_capacity(48)
            .disable_statement_logging();
        Ok(Self { options, shown, busy, reached: AtomicBool::new(false) })
    }

    pub(crate) fn failed(&self, doing: &str, error: sqlx::Error) -> EndpointError {
        fault::failed(&self.shown, doing, error)
    }

    /// There was a session, and there is none any more.
    pub(crate) fn lost(&self) -> EndpointError {
        let what = format!("the connection was lost: `{}`", self.shown);
        EndpointError::new(ErrorClass::Transient, codes::CONNECTION_LOST, what)
    }

    /// How long another's lock is waited for, in whole seconds as the servers count.
    pub(crate) fn busy_seconds(&self) -> u64 {
        self.busy.as_millis().div_ceil(1000).clamp(1, 3600) as u64
    }

    /// A new session.
    pub(crate) async fn open(&self) -> Result<Session, EndpointError> {
        let reached = self.reached.load(Ordering::Relaxed);
        let connecting = tokio::time::timeout(CONNECT_WAIT, self.options.connect()).await;
        let connection = connecting
            .map_err(|_| {
                let late = std::io::Error::from(std::io::ErrorKind::TimedOut);
                fault::no_answer(&self.shown, reached, &late)
            })?
            .map_err(|error| fault::unreachable(&self.shown, reached, error))?;
        if self.options.get_socket().is_none() {
            sockets::set(self.options.get_port());
        }
        let mut session = Session {
            connection,
            server: Server::default(),
            gone: false,
            undone: false,
            busy: false,
            rested: Instant::now(),
        };
        self.settle(&mut session).await.map_err(|error| self.failed("set up a session", error))?;
        self.reached.store(true, Ordering::Relaxed);
        Ok(session)
    }

    async fn settle(&self, session: &mut Session) -> Result<(), sqlx::Error> {
        let rows = session
            .rows(
                "SELECT VERSION(), CONNECTION_ID(), DATABASE(), @@max_allowed_packet, \
                 SHA1(DATABASE()), @@lower_case_table_names",
                none(),
            )
            .await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        let text = |index| decode::text(row, index).unwrap_or_default();
        let number = |index| decode::integer(row, index).unwrap_or_default();
        let version = text(0);
        session.server = Server {
            mariadb: version.to_ascii_lowercase().contains("mariadb"),
            number: numbers(&version),
            version,
            id: number(1) as u64,
            database: text(2),
            packet: usize::try_from(number(3)).unwrap_or(1 << 24),
            mark: text(4),
            folds_names: number(5) != 0,
        };
        let busy = self.busy_seconds();
        // NO_AUTO_VALUE_ON_ZERO: without it a 0 for an AUTO_INCREMENT column becomes the next number.
        session
            .command(&format!(
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
                 ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
                 SESSION time_zone = '+00:00', SESSION autocommit = 1, SESSION sql_notes = 1, \
                 SESSION innodb_lock_wait_timeout = {busy}, SESSION lock_wait_timeout = 30, \
                 SESSION wait_timeout = 28800, SESSION net_write_timeout = 600, \
                 SESSION sql_safe_updates = 0, SESSION sql_auto_is_null = 0"
            ))
            .await?;
        session.command("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED").await?;
        let patience = if session.server.mariadb {
            "SET SESSION max_statement_time = 0"
        } else {
            "SET SESSION max_execution_time = 0, SESSION information_schema_stats_expiry = 0"
        };
        session.command(patience).await?;
        if session.server.mariadb {
            session.command(IDLE_AT_MOST).await?;
        }
        Ok(())
    }
}

/// The first two numbers of a version.
fn numbers(version: &str) -> (u16, u16) {
    // Replication's sake: old MariaDB calls itself `5.5.5-10.x`.
    let version = version.strip_prefix("5.5.5-").unwrap_or(version);
    let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// What a session knows of its server.
#[derive(Clone, Default, Debug)]
pub(crate) struct Server {
    pub(crate) version: String,
    pub(crate) number: (u16, u16),
    pub(crate) mariadb: bool,
    /// The session's own number.
    pub(crate) id: u64,
    pub(crate) database: String,
    /// `max_allowed_packet`.
    pub(crate) packet: usize,
    /// The database in 40 digits: advisory locks belong to the server and have short names.
    pub(crate) mark: String,
    /// Names of tables are compared without regard to case.
    pub(crate) folds_names: bool,
}

impl Server {
    /// The collation that compares text by its bytes, trailing blanks included.
    pub(crate) fn bytewise(&self) -> &'static str {
        if self.mariadb { "utf8mb4_nopad_bin" } else { "utf8mb4_0900_bin" }
    }

    /// Statements for MariaDB as this server spells them.
    pub(crate) fn spelled(&self, sql: &str) -> String {
        sql.replace("utf8mb4_nopad_bin", self.bytewise())
    }

    /// The name of an advisory lock of this database.
    pub(crate) fn lock(&self, what: &str) -> String {
        format!("whimbrel_{what}_{}", self.mark)
    }
}

/// No values.
pub(crate) fn none() -> MySqlArguments {
    MySqlArguments::default()
}

/// Values in the order of their placeholders.
pub(crate) fn bound<'a>(params: impl IntoIterator<Item = Param<'a>>) -> MySqlArguments {
    let mut arguments = MySqlArguments::default();
    params.into_iter().for_each(|param| bind(&mut arguments, param));
    arguments
}

/// Appends one value.
pub(crate) fn bind(arguments: &mut MySqlArguments, param: Param<'_>) {
    arguments.add(param).expect("encoding a value into memory does not fail");
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Session {
    connection: MySqlConnection,
    pub(crate) server: Server,
    /// It broke.
    gone: bool,
    /// The server has undone the transaction, or may have.
    undone: bool,
    /// An exchange is under way; where its future was dropped, it stays so.
    busy: bool,
    rested: Instant,
}

impl Session {
    /// Executes a statement that stays prepared; returns how many rows it affected.
    pub(crate) async fn run(
        &mut self,
        sql: &str,
        arguments: MySqlArguments,
    ) -> Result<u64, sqlx::Error> {
        self.execute(sql, arguments, true).await
    }

    /// As `run`, for a statement that comes once.
    pub(crate) async fn run_once(
        &mut self,
        sql: &str,
        arguments: MySqlArguments,
    ) -> Result<u64, sqlx::Error> {
        self.execute(sql, arguments, false).await
    }

    async fn execute(
        &mut self,
        sql: &str,
        arguments: MySqlArguments,
        keep: bool,
    ) -> Result<u64, sqlx::Error> {
        let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments).persistent(keep);
        self.busy = true;
        let outcome = self.connection.execute(query).await;
        self.after(outcome.map(|done| done.rows_affected()))
    }

    /// All rows of a query that stays prepared.
    pub(crate) async fn rows(
        &mut self,
        sql: &str,
        arguments: MySqlArguments,
    ) -> Result<Vec<MySqlRow>, sqlx::Error> {
        self.fetch(sql, arguments, true).await
    }

    /// As `rows`, for a query that comes once.
    pub(crate) async fn rows_once(
        &mut self,
        sql: &str,
        arguments: MySqlArguments,
    ) -> Result<Vec<MySqlRow>, sqlx::Error> {
        self.fetch(sql, arguments, false).await
    }

    async fn fetch(
        &mut self,
        sql: &str,
        arguments: MySqlArguments,
        keep: bool,
    ) -> Result<Vec<MySqlRow>, sqlx::Error> {
        let query = sqlx::query_with(AssertSqlSafe(sql.to_owned()), arguments).persistent(keep);
        self.busy = true;
        let outcome = self.connection.fetch_all(query).await;
        self.after(outcome)
    }

    /// Executes a statement by the text protocol: not all can be prepared.
    pub(crate) async fn command(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.command_counted(sql).await.map(drop)
    }

    /// As `command`, with the number of rows that it affected.
    pub(crate) async fn command_counted(&mut self, sql: &str) -> Result<u64, sqlx::Error> {
        self.busy = true;
        let outcome =
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut self.connection).await;
        self.after(outcome.map(|done| done.rows_affected()))
    }

    /// All rows of a query by the text protocol: their values are text.
    pub(crate) async fn look(&mut self, sql: &str) -> Result<Vec<MySqlRow>, sqlx::Error> {
        self.busy = true;
        let outcome =
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut self.connection).await;
        self.after(outcome)
    }

    fn after<T>(&mut self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        self.busy = false;
        self.rested = Instant::now();
        if let Err(error) = &outcome
            && fault::ends_session(error)
        {
            self.gone = true;
        }
        if let Err(error) = &outcome
            && fault::ends_transaction(error)
        {
            self.undone = true;
        }
        outcome
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&mut self) -> Result<(), sqlx::Error> {
        self.undone = false;
        self.command("BEGIN").await
    }

    /// Whether an error has ended the transaction.
    pub(crate) fn is_undone(&self) -> bool {
        self.undone
    }

    /// The names of the columns that a statement would return; none for what is no query.
    pub(crate) async fn columns(&mut self, sql: &str) -> Result<Vec<String>, sqlx::Error> {
        self.busy = true;
        let outcome = self.connection.prepare(AssertSqlSafe(sql.to_owned()).into_sql_str()).await;
        let names = outcome.map(|statement| {
            statement.columns().iter().map(|column| column.name().to_owned()).collect()
        });
        self.after(names)
    }

    /// Whether it rested so long that it should be asked whether it is there.
    pub(crate) async fn is_there(&mut self) -> bool {
        self.rested.elapsed() < REST || self.connection.ping().await.is_ok()
    }

    /// One value of the first row, as an integer.
    pub(crate) async fn number(
        &mut self,
        sql: &str,
        arguments: MySqlArguments,
    ) -> Result<Option<i128>, sqlx::Error> {
        let rows = self.rows(sql, arguments).await?;
        Ok(rows.first().and_then(|row| decode::integer(row, 0)))
    }

    /// Takes an advisory lock, waiting for so many seconds; false where another session has it.
    pub(crate) async fn lock(&mut self, name: &str, seconds: u64) -> Result<bool, sqlx::Error> {
        let arguments = bound([Param::Text(name), Param::Unsigned(seconds)]);
        Ok(self.number("SELECT GET_LOCK(?, ?)", arguments).await? == Some(1))
    }

    /// Gives an advisory lock back.
    pub(crate) async fn unlock(&mut self, name: &str) -> Result<(), sqlx::Error> {
        self.number("SELECT RELEASE_LOCK(?)", bound([Param::Text(name)])).await.map(drop)
    }

    /// The session that holds an advisory lock.
    pub(crate) async fn holder(&mut self, name: &str) -> Result<Option<u64>, sqlx::Error> {
        let number = self.number("SELECT IS_USED_LOCK(?)", bound([Param::Text(name)])).await?;
        Ok(number.and_then(|number| u64::try_from(number).ok()))
    }

    /// Ends another session. One that is gone already, or another user's, is left alone.
    pub(crate) async fn kill(&mut self, id: u64) -> Result<(), sqlx::Error> {
        match self.command(&format!("KILL {id}")).await {
            Err(error) if matches!(fault::number(&error), Some(1094 | 1095)) => Ok(()),
            other => other,
        }
    }

    /// Whether it can be used on.
    pub(crate) fn is_sound(&self) -> bool {
        !self.gone && !self.busy
    }

    /// It is not to be used on.
    pub(crate) fn discard(&mut self) {
        self.gone = true;
    }
}

/// Lends one session at a time, opening it where there is none.
#[derive(Debug)]
pub(crate) struct Link {
    place: Arc<Place>,
    resting: Mutex<Option<Session>>,
}

impl Link {
    pub(crate) fn new(place: Arc<Place>) -> Self {
        Self { place, resting: Mutex::new(None) }
    }

    pub(crate) async fn lend(&self) -> Result<Lent<'_>, EndpointError> {
        let mut home = self.resting.lock().await;
        let rested = home.take();
        if let Some(mut session) = rested
            && session.is_there().await
        {
            return Ok(Lent { home, session: Some(session) });
        }
        let session = self.place.open().await?;
        Ok(Lent { home, session: Some(session) })
    }
}

/// A session that goes back when dropped, if it is sound.
pub(crate) struct Lent<'a> {
    home: MutexGuard<'a, Option<Session>>,
    session: Option<Session>,
}

impl Deref for Lent<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("a lent session stays until it is dropped")
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut Session {
        self.session.as_mut().expect("a lent session stays until it is dropped")
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        *self.home = self.session.take().filter(Session::is_sound);
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Place, Shown, numbers};

    #[test]
    fn a_place_shows_no_password() {
        let shown = Shown::new("mysql://me:***@h/d", false);
        let place = Place::new("mysql://me:canary@h/d", shown, Duration::ZERO);
        assert!(!format!("{:?}", place.unwrap()).contains("canary"));
    }

    #[test]
    fn versions_are_two_numbers() {
        assert_eq!(numbers("10.11.19-MariaDB-0+deb12u1"), (10, 11));
        assert_eq!(numbers("5.5.5-10.6.1-MariaDB"), (10, 6));
        assert_eq!(numbers("8.0.36"), (8, 0));
    }
}
