//! The right to write: one row, locked, read and changed by the server's clock.
//!
//! A writer's transaction holds an advisory lock; so a successor finds its session and ends it, and
//! no row lock of a run that is gone stands in the way. What makes the marks the truth is the row
//! itself: a commit holds it shared from its check until it ends, a takeover changes it.

use whimbrel_endpoint::{EndpointError, Fence, Holder, LeaseAnswer, LeaseRequest};
use whimbrel_model::Value;

use super::link::{Bound, Kept, Link};
use crate::codes::LOCKED;
pub(crate) use crate::right::fenced;
use crate::right::{self, Lease};

const DOING: &str = "ask for the right to write";

/// The advisory lock of the one writer of a database: `whmb`, and which of ours.
const WRITER: &str = "2003332450, 0";

/// Takes or renews the right.
pub(crate) async fn ask(
    link: &mut Link,
    request: &LeaseRequest,
) -> Result<LeaseAnswer, EndpointError> {
    match once(link, request).await {
        // A commit of the holder that hangs keeps the row. Where the holder is to be replaced, its
        // session is what to end.
        Err(error) if error.code == LOCKED && request.renew.is_none() => {
            let lease = read(link, "").await?;
            if right::taken(lease, request).is_err() {
                return Err(error);
            }
            end_writers(link).await?;
            once(link, request).await
        }
        answer => answer,
    }
}

async fn once(link: &mut Link, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError> {
    link.run(DOING, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let outcome = decide(link, request).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = link.run(DOING, end).await;
    link.aborted = None;
    let answer = outcome?;
    ended?;
    if let LeaseAnswer::Granted(_) = answer
        && request.renew.is_none()
    {
        end_writers(link).await?;
    }
    Ok(answer)
}

async fn decide(link: &mut Link, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError> {
    // The first of all has no row to lock.
    let first = "INSERT INTO whimbrel.lease (id, fence, expires_ms) VALUES (1, 0, 0) \
                 ON CONFLICT (id) DO NOTHING";
    let mut lease = read(link, " FOR UPDATE").await?;
    if lease.is_none() && request.renew.is_none() {
        link.run(DOING, first).await?;
        lease = read(link, " FOR UPDATE").await?;
    }
    match right::decide(lease, request)? {
        Ok(fence) => {
            write(link, fence, request).await?;
            Ok(LeaseAnswer::Granted(fence))
        }
        Err(held) => Ok(held),
    }
}

/// Gives the right back, if it is still held under this fence.
pub(crate) async fn release(link: &mut Link, fence: Fence) -> Result<(), EndpointError> {
    let sql = "UPDATE whimbrel.lease SET run = NULL, host = NULL, boot = NULL, pid = NULL, \
                      started = NULL, expires_ms = 0 \
               WHERE id = 1 AND fence = $1";
    let outcome = link
        .rows("give back the right to write", sql, vec![Bound::int(fence.0 as i64)], Kept::No)
        .await;
    link.aborted = None;
    outcome.map(drop)
}

/// An error of class `Fenced` unless the right is held under this fence. `locked`: it stays so
/// until the transaction ends.
pub(crate) async fn check(
    link: &mut Link,
    fence: Fence,
    locked: bool,
) -> Result<(), EndpointError> {
    let sql = if locked {
        "SELECT fence FROM whimbrel.lease WHERE id = 1 AND run IS NOT NULL FOR SHARE"
    } else {
        "SELECT fence FROM whimbrel.lease WHERE id = 1 AND run IS NOT NULL"
    };
    let found = link.rows("check the fence", sql, vec![], Kept::Yes).await?;
    let current = found.first().and_then(|row| row[0].as_int());
    if current == Some(fence.0.into()) { Ok(()) } else { Err(fenced()) }
}

/// Becomes the one writer until the transaction ends; false where another session is.
pub(crate) async fn enter(link: &mut Link) -> Result<bool, EndpointError> {
    let sql = format!("SELECT pg_try_advisory_xact_lock({WRITER})");
    let found = link.rows("begin a transaction", &sql, vec![], Kept::Yes).await?;
    Ok(found.first().is_some_and(|row| row[0] == Value::Bool(true)))
}

/// Ends the sessions that are writing. One of another user may stay: then the next transaction
/// cannot begin before it has ended.
async fn end_writers(link: &mut Link) -> Result<(), EndpointError> {
    let sql = "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_catalog.pg_locks l \
               WHERE l.locktype = 'advisory' AND l.classid = 2003332450 AND l.objid = 0 \
                 AND l.objsubid = 2 AND l.granted AND l.pid <> pg_backend_pid() \
                 AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d \
                                   WHERE d.datname = current_database())";
    let outcome = link.rows("end the sessions of the run before", sql, vec![], Kept::No).await;
    match outcome {
        Err(error) if error.code == crate::codes::PRIVILEGE => {
            link.aborted = None;
            tracing::warn!(%error, "the session of the run before was not ended");
            Ok(())
        }
        outcome => outcome.map(drop),
    }
}

async fn read(link: &mut Link, lock: &str) -> Result<Option<Lease>, EndpointError> {
    let sql = format!(
        "SELECT fence, run, host, boot, pid, started, \
                expires_ms - (extract(epoch FROM clock_timestamp()) * 1000)::int8 \
         FROM whimbrel.lease WHERE id = 1{lock}"
    );
    let found = link.rows(DOING, &sql, vec![], Kept::No).await?;
    let Some([fence, run, host, boot, pid, started, expires]) = found.first().map(Vec::as_slice)
    else {
        return Ok(None);
    };
    let text = |value: &Value| value.as_text().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_int().unwrap_or(0) as i64;
    let holder = run.as_text().map(|run| Holder {
        run: run.to_owned(),
        host: text(host),
        boot: text(boot),
        pid: number(pid) as u32,
        started: number(started) as u64,
    });
    Ok(Some(Lease { fence: Fence(number(fence) as u64), holder, expires_in_ms: number(expires) }))
}

async fn write(link: &mut Link, fence: Fence, request: &LeaseRequest) -> Result<(), EndpointError> {
    let Holder { run, host, boot, pid, started } = &request.holder;
    let ttl = right::millis(request.ttl);
    let sql = "UPDATE whimbrel.lease SET fence = $1, run = $2, host = $3, boot = $4, pid = $5, \
                      started = $6, \
                      expires_ms = $7 + (extract(epoch FROM clock_timestamp()) * 1000)::int8 \
               WHERE id = 1";
    let binds = vec![
        Bound::int(fence.0 as i64),
        Bound::text(run),
        Bound::text(host),
        Bound::text(boot),
        Bound::int((*pid).into()),
        Bound::int(*started as i64),
        Bound::int(ttl),
    ];
    link.rows(DOING, sql, binds, Kept::Yes).await.map(drop)
}
