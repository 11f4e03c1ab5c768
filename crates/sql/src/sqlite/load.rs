//! Tuning for a load and back: WAL and fewer flushes while loading, everything on the medium after.
//!
//! The log is moved into the database by a connection of its own while the writer goes on (see
//! `mover`). It begins anew only where all of it is moved between two transactions, so past a bound
//! the writer waits for that.
//!
//! The journal mode that a database had is kept in `whimbrel_meta` until it is put back, so that
//! the successor of a crashed run does it.

use rusqlite::{Connection, OptionalExtension as _};
use whimbrel_endpoint::{EndpointError, ErrorClass, failpoint};

use super::fault;
use super::session::Session;
use crate::codes;

const REMEMBERED: &str = "journal_mode_before_load";

/// Pages in the log that are worth moving: 16 MiB of 4 KiB pages.
const LOG_PAGES_WORTH: i64 = 4096;

/// Pages in the log before the writer waits until all of them are moved: 64 MiB.
const LOG_PAGES_MAX: i64 = 16_384;

/// SQLite's own defaults: pages in the log before a commit moves them, and the cache.
const MOVED_AT_DEFAULT: i64 = 1000;
const CACHE_KIB_DEFAULT: i64 = 2000;

/// WAL and synchronous NORMAL: rows and mark are lost together at worst, and only to power loss.
pub(crate) fn enter(session: &mut Session) -> Result<(), EndpointError> {
    let path = session.path().to_owned();
    session.atomically("prepare for loading", |connection| {
        remember(connection).map_err(|error| fault::failed(&path, "prepare for loading", error))
    })?;
    failpoint!("sql.enter_load.remembered");
    let cache_kib = (session.options().cache_bytes / 1024) as i64;
    let connection = session.connection()?;
    tune(connection, cache_kib).map_err(|error| session.failed("prepare for loading", error))
}

fn remember(connection: &Connection) -> rusqlite::Result<()> {
    let mode = journal_mode(connection)?;
    if mode != "wal" {
        connection.execute(
            "INSERT OR IGNORE INTO whimbrel_meta (name, value) VALUES (?1, ?2)",
            [REMEMBERED, mode.as_str()],
        )?;
    }
    Ok(())
}

fn tune(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode == "wal" {
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        moved_at(connection, 0)?;
    } else {
        // A file system without shared memory keeps its journal, and full flushes with it.
        tracing::warn!(mode, "the database cannot use a write-ahead log here; loading is slower");
    }
    Ok(())
}

/// How many pages in the log make a commit move them; 0 leaves it to others.
fn moved_at(connection: &Connection, pages: i64) -> rusqlite::Result<()> {
    connection.query_row(&format!("PRAGMA wal_autocheckpoint = {pages}"), [], |_| Ok(()))
}

/// How much there is to move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Log {
    Short,
    /// It is worth the flushes.
    Long,
    /// It must not grow further.
    Full,
}

/// How long the log is, between two transactions.
pub(crate) fn log(session: &mut Session) -> Log {
    let pages = session.connection().ok().and_then(|connection| {
        // Moves nothing: pages in the log, and how many of them have been moved.
        let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)").ok()?;
        statement.query_row([], |row| Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))).ok()
    });
    match pages {
        Some((all, _)) if all >= LOG_PAGES_MAX => Log::Full,
        Some((all, moved)) if all - moved >= LOG_PAGES_WORTH => Log::Long,
        Some(_) | None => Log::Short,
    }
}

/// Moves what is committed, as far as nobody reads an older state.
pub(crate) fn move_log(session: &mut Session) {
    let pass = "PRAGMA wal_checkpoint(PASSIVE)";
    let moved = session.connection().map(|connection| connection.query_row(pass, [], |_| Ok(())));
    if let Err(error) = moved.and_then(|moved| {
        moved.map_err(|error| session.failed("move the log into the database", error))
    }) {
        // The same at the end of the load is an error; here the log only stays longer.
        tracing::debug!(%error, "the write-ahead log was not moved");
    }
}

/// Everything committed reaches the medium; the journal mode is as it was.
///
/// Where another program keeps the database open, the mode cannot be put back: everything is
/// durable all the same, and the next run tries again.
pub(crate) fn leave(session: &mut Session) -> Result<(), EndpointError> {
    session.idle("finish loading")?;
    let busy = flush(session.connection()?)
        .map_err(|error| session.failed("flush the database", error))?;
    if busy {
        return Err(EndpointError::new(
            ErrorClass::Transient,
            codes::LOCKED,
            format!(
                "flush the database: another program is reading it: `{}`",
                session.path().display()
            ),
        ));
    }
    failpoint!("sql.leave_load.flushed");
    let connection = session.connection()?;
    match put_back(connection) {
        Ok(()) => Ok(()),
        Err(error) if is_busy(&error) => {
            tracing::warn!(
                code = codes::LOCKED,
                path = %session.path().display(),
                "the journal mode stays WAL until no other program has the database open"
            );
            Ok(())
        }
        Err(error) => Err(session.failed("put back the journal mode", error)),
    }
}

/// True where readers kept the log from being moved into the database.
fn flush(connection: &Connection) -> rusqlite::Result<bool> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB_DEFAULT)?;
    for _again in 0..CHECKPOINT_AGAIN {
        match checkpoint(connection) {
            Err(error) if fault::primary(&error) == Some(rusqlite::ErrorCode::DatabaseLocked) => {
                connection.flush_prepared_statement_cache();
                std::thread::sleep(CHECKPOINT_WAIT);
            }
            other => return other,
        }
    }
    checkpoint(connection)
}

/// A connection that resumes after a crash and has written nothing since may answer its first
/// checkpoint with SQLITE_LOCKED although no statement of it is under way (seen once in some 100
/// kills); a later one succeeds.
const CHECKPOINT_AGAIN: usize = 40;
const CHECKPOINT_WAIT: std::time::Duration = std::time::Duration::from_millis(25);

fn checkpoint(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
}

fn put_back(connection: &Connection) -> rusqlite::Result<()> {
    moved_at(connection, MOVED_AT_DEFAULT)?;
    let before: Option<String> = connection
        .query_row("SELECT value FROM whimbrel_meta WHERE name = ?1", [REMEMBERED], |row| {
            row.get(0)
        })
        .optional()?;
    let Some(before) = before else { return Ok(()) };
    // The word comes from the database: only SQLite's own words are passed on.
    let word = ["delete", "truncate", "persist"].iter().find(|word| **word == before);
    let mode: String = connection.query_row(
        &format!("PRAGMA journal_mode = {}", word.unwrap_or(&"delete")),
        [],
        |row| row.get(0),
    )?;
    if mode == "wal" {
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
            None,
        ));
    }
    connection.execute("DELETE FROM whimbrel_meta WHERE name = ?1", [REMEMBERED]).map(drop)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(fault::primary(error), Some(DatabaseBusy | DatabaseLocked))
}

fn journal_mode(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))
}
