//! The right to write: one row, read and changed under its lock, by the server's clock.
//!
//! ```text
//! writer    BEGIN … rows … SELECT fence LOCK IN SHARE MODE ─ COMMIT
//! takeover  KILL the writer ─ SELECT … FOR UPDATE (waits for a COMMIT under way) ─ UPDATE fence
//! ```
//! Whoever has the row's exclusive lock knows that every transaction which passed an older fence has
//! ended: only then do the marks say all. A writer is found by the advisory lock that it holds.

use sqlx::mysql::MySqlRow;
use whimbrel_endpoint::{EndpointError, Fence, Holder, LeaseAnswer, LeaseRequest};

use super::encode::Param;
use super::session::{Place, Session, bound, none};
use super::{decode, fault};
pub(crate) use crate::right::fenced;
use crate::right::{self, Lease};
use crate::shown::Shown;

/// The advisory lock of the session that writes rows.
pub(crate) const WRITER: &str = "w";
/// The advisory lock of the session that runs definitions.
pub(crate) const DEFINER: &str = "d";

/// The row, held by nobody.
const FIRST: &str = "INSERT INTO whimbrel_lease (id, fence, expires_ms) VALUES (1, 0, 0) \
                     ON DUPLICATE KEY UPDATE id = id";

/// Takes or renews the right in a transaction of its own.
pub(crate) async fn ask(
    session: &mut Session,
    request: &LeaseRequest,
    place: &Place,
) -> Result<LeaseAnswer, EndpointError> {
    let doing = "ask for the right to write";
    let answer = match request.renew {
        Some(_) => renew(session, request, place).await,
        None => take(session, request, place).await,
    };
    match answer {
        Ok(answer) => {
            session.command("COMMIT").await.map_err(|error| place.failed(doing, error))?;
            Ok(answer)
        }
        Err(error) => {
            // Where even this fails, the session's end undoes it.
            if session.command("ROLLBACK").await.is_err() {
                session.discard();
            }
            Err(error)
        }
    }
}

async fn renew(
    session: &mut Session,
    request: &LeaseRequest,
    place: &Place,
) -> Result<LeaseAnswer, EndpointError> {
    let failed = |error| place.failed("renew the right to write", error);
    session.begin().await.map_err(failed)?;
    let lease = read(session, " FOR UPDATE").await.map_err(failed)?;
    match right::decide(lease, request)? {
        Ok(fence) => {
            write(session, fence, request).await.map_err(failed)?;
            Ok(LeaseAnswer::Granted(fence))
        }
        Err(held) => Ok(held),
    }
}

async fn take(
    session: &mut Session,
    request: &LeaseRequest,
    place: &Place,
) -> Result<LeaseAnswer, EndpointError> {
    let failed = |error| place.failed("ask for the right to write", error);
    // Without a lock first: a writer that may be replaced is ended before anyone waits for it.
    let lease = read(session, "").await.map_err(failed)?;
    if let Err(held) = right::taken(lease, request) {
        return Ok(held);
    }
    end_writers(session).await.map_err(failed)?;
    session.begin().await.map_err(failed)?;
    let lease = match read(session, " FOR UPDATE").await.map_err(failed)? {
        Some(lease) => Some(lease),
        // Only a row that is there can be locked: two who find none would both take the first fence.
        None => {
            session.run(FIRST, none()).await.map_err(failed)?;
            read(session, " FOR UPDATE").await.map_err(failed)?
        }
    };
    match right::taken(lease, request) {
        Ok(fence) => {
            write(session, fence, request).await.map_err(failed)?;
            Ok(LeaseAnswer::Granted(fence))
        }
        Err(held) => Ok(held),
    }
}

/// Ends the sessions of the writer that is replaced: first the one that holds the fence, then the
/// one that runs its definitions, which began only after that.
async fn end_writers(session: &mut Session) -> Result<(), sqlx::Error> {
    for what in [WRITER, DEFINER] {
        let name = session.server.lock(what);
        if let Some(id) = session.holder(&name).await? {
            session.kill(id).await?;
        }
    }
    Ok(())
}

/// Gives the right back, if it is still held under this fence.
pub(crate) async fn release(
    session: &mut Session,
    fence: Fence,
    place: &Place,
) -> Result<(), EndpointError> {
    session
        .run(
            "UPDATE whimbrel_lease SET run = NULL, host = NULL, boot = NULL, pid = NULL, \
             started = NULL, expires_ms = 0 WHERE id = 1 AND fence = ?",
            bound([Param::Unsigned(fence.0)]),
        )
        .await
        .map(drop)
        .map_err(|error| place.failed("give back the right to write", error))
}

/// An error of class `Fenced` unless the right is held under this fence; the row stays locked
/// against takeovers until the transaction ends.
pub(crate) async fn check(
    session: &mut Session,
    fence: Fence,
    shown: &Shown,
) -> Result<(), EndpointError> {
    let current = session
        .number(
            "SELECT fence FROM whimbrel_lease WHERE id = 1 AND run IS NOT NULL LOCK IN SHARE MODE",
            none(),
        )
        .await
        .map_err(|error| fault::failed(shown, "check the fence", error))?;
    if current == Some(fence.0.into()) { Ok(()) } else { Err(fenced()) }
}

/// Whether the right is held under this fence now.
pub(crate) async fn is_current(session: &mut Session, fence: Fence) -> Result<bool, sqlx::Error> {
    let sql = "SELECT fence FROM whimbrel_lease WHERE id = 1 AND run IS NOT NULL";
    Ok(session.number(sql, none()).await? == Some(fence.0.into()))
}

/// The run that holds the right.
pub(crate) async fn run(session: &mut Session) -> Result<Option<String>, sqlx::Error> {
    let rows = session.rows("SELECT run FROM whimbrel_lease WHERE id = 1", none()).await?;
    Ok(rows.first().and_then(|row| decode::text(row, 0)))
}

async fn read(session: &mut Session, lock: &str) -> Result<Option<Lease>, sqlx::Error> {
    let sql = format!(
        "SELECT fence, run, host, boot, pid, started, \
         expires_ms - CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) \
         FROM whimbrel_lease WHERE id = 1{lock}"
    );
    let rows = session.rows(&sql, none()).await?;
    Ok(rows.first().map(lease))
}

fn lease(row: &MySqlRow) -> Lease {
    let text = |index| decode::text(row, index).unwrap_or_default();
    let number = |index| decode::integer(row, index).unwrap_or_default();
    let holder = decode::text(row, 1).map(|run| Holder {
        run,
        host: text(2),
        boot: text(3),
        pid: number(4) as u32,
        started: number(5) as u64,
    });
    Lease { fence: Fence(number(0) as u64), holder, expires_in_ms: number(6) as i64 }
}

async fn write(
    session: &mut Session,
    fence: Fence,
    request: &LeaseRequest,
) -> Result<(), sqlx::Error> {
    let Holder { run, host, boot, pid, started } = &request.holder;
    let ttl = right::millis(request.ttl);
    session
        .run(
            "UPDATE whimbrel_lease SET fence = ?, run = ?, host = ?, boot = ?, pid = ?, \
             started = ?, expires_ms = ? + CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) \
             WHERE id = 1",
            bound([
                Param::Unsigned(fence.0),
                Param::Text(run),
                Param::Text(host),
                Param::Text(boot),
                Param::Int((*pid).into()),
                Param::Int(*started as i64),
                Param::Int(ttl),
            ]),
        )
        .await
        .map(drop)
}
