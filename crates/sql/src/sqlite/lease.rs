//! The right to write: one row, read and changed under SQLite's own write lock, by its clock.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _, params};
use whimbrel_endpoint::{EndpointError, Fence, Holder, LeaseAnswer, LeaseRequest};

use super::fault;
use crate::right::{self, Lease, fenced};

/// Takes or renews the right inside the caller's transaction.
pub(crate) fn ask(
    connection: &Connection,
    request: &LeaseRequest,
    path: &Path,
) -> Result<LeaseAnswer, EndpointError> {
    let failed = |error| fault::failed(path, "ask for the right to write", error);
    let lease = read(connection).map_err(failed)?;
    match right::decide(lease, request)? {
        Ok(fence) => {
            write(connection, fence, request).map_err(failed)?;
            Ok(LeaseAnswer::Granted(fence))
        }
        Err(held) => Ok(held),
    }
}

/// Gives the right back, if it is still held under this fence.
pub(crate) fn release(
    connection: &Connection,
    fence: Fence,
    path: &Path,
) -> Result<(), EndpointError> {
    connection
        .execute(
            "UPDATE whimbrel_lease SET run = NULL, host = NULL, boot = NULL, pid = NULL,
                    started = NULL, expires_ms = 0
             WHERE id = 1 AND fence = ?1",
            [fence.0 as i64],
        )
        .map(drop)
        .map_err(|error| fault::failed(path, "give back the right to write", error))
}

/// An error of class `Fenced` unless the right is held under this fence.
pub(crate) fn check(
    connection: &Connection,
    fence: Fence,
    path: &Path,
) -> Result<(), EndpointError> {
    let current: Option<i64> = connection
        .prepare_cached("SELECT fence FROM whimbrel_lease WHERE id = 1 AND run IS NOT NULL")
        .and_then(|mut statement| statement.query_row([], |row| row.get(0)).optional())
        .map_err(|error| fault::failed(path, "check the fence", error))?;
    if current == Some(fence.0 as i64) { Ok(()) } else { Err(fenced()) }
}

fn read(connection: &Connection) -> rusqlite::Result<Option<Lease>> {
    connection
        .prepare_cached(
            "SELECT fence, run, host, boot, pid, started,
                    expires_ms - CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER)
             FROM whimbrel_lease WHERE id = 1",
        )?
        .query_row([], |row| {
            let run: Option<String> = row.get(1)?;
            let holder = match run {
                None => None,
                Some(run) => Some(Holder {
                    run,
                    host: row.get(2)?,
                    boot: row.get(3)?,
                    pid: row.get(4)?,
                    started: row.get::<_, i64>(5)? as u64,
                }),
            };
            Ok(Lease {
                fence: Fence(row.get::<_, i64>(0)? as u64),
                holder,
                expires_in_ms: row.get(6)?,
            })
        })
        .optional()
}

fn write(connection: &Connection, fence: Fence, request: &LeaseRequest) -> rusqlite::Result<()> {
    let Holder { run, host, boot, pid, started } = &request.holder;
    let ttl = right::millis(request.ttl);
    connection
        .prepare_cached(
            "INSERT INTO whimbrel_lease (id, fence, run, host, boot, pid, started, expires_ms)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6,
                     ?7 + CAST(unixepoch('now', 'subsec') * 1000 AS INTEGER))
             ON CONFLICT (id) DO UPDATE SET
                 fence = excluded.fence, run = excluded.run, host = excluded.host,
                 boot = excluded.boot, pid = excluded.pid, started = excluded.started,
                 expires_ms = excluded.expires_ms",
        )?
        .execute(params![fence.0 as i64, run, host, boot, pid, *started as i64, ttl])
        .map(drop)
}
