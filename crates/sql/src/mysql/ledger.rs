//! The ledger's schema in the database: its version, and the steps that lead to it.
//!
//! Definitions commit by themselves, so a step is statements that may be repeated, and its version
//! is written down last. An advisory lock keeps those apart who prepare at once.

use whimbrel_endpoint::{EndpointError, ErrorClass, failpoint};

use super::encode::Param;
use super::session::{Place, Session, bound};
use super::{catalogue, decode, script};
use crate::codes;
use crate::steps::{self, Step};

const STEPS: &[Step] = &[
    Step {
        version: 1,
        sql: include_str!("../../../../migrations/mysql/0001_ledger.sql"),
        probe: "whimbrel_undo_updates",
    },
    Step {
        version: 2,
        sql: include_str!("../../../../migrations/mysql/0002_parked_indexes.sql"),
        probe: "whimbrel_parked_indexes",
    },
];

const VERSION: &str = "ledger_version";

/// How long another's preparations are waited for.
const PATIENCE_SECONDS: u64 = 30;

/// Creates or upgrades the ledger.
pub(crate) async fn prepare(session: &mut Session, place: &Place) -> Result<(), EndpointError> {
    let unread = |error| place.failed("read the ledger's version", error);
    if missing(session).await.map_err(unread)??.is_empty() {
        return Ok(());
    }
    let failed = |error| place.failed("create the ledger", error);
    let lock = session.server.lock("l");
    if !session.lock(&lock, PATIENCE_SECONDS).await.map_err(failed)? {
        return Err(EndpointError::new(
            ErrorClass::Transient,
            codes::LOCKED,
            format!("create the ledger: another run is creating it: `{}`", place.shown),
        ));
    }
    let outcome = create(session, place).await;
    // Where this fails the session has ended, and the lock with it.
    if session.unlock(&lock).await.is_err() {
        session.discard();
    }
    outcome
}

async fn create(session: &mut Session, place: &Place) -> Result<(), EndpointError> {
    let failed = |error| place.failed("create the ledger", error);
    // Another process may have been faster.
    for step in missing(session).await.map_err(failed)?? {
        let sql = session.server.spelled(step.sql);
        let statements = script::statements(&sql).expect("the ledger's schema can be cut");
        for statement in statements {
            session.command(statement.sql).await.map_err(failed)?;
            failpoint!("sql.ledger.statement");
        }
        record(session, step.version).await.map_err(failed)?;
        failpoint!("sql.ledger.step");
    }
    Ok(())
}

/// True where a ledger of any version stands.
pub(crate) async fn stands(session: &mut Session) -> Result<bool, sqlx::Error> {
    Ok(version(session).await?.is_some())
}

/// The steps still to be taken, or why none can be.
async fn missing(
    session: &mut Session,
) -> Result<Result<Vec<&'static Step>, EndpointError>, sqlx::Error> {
    let recorded = version(session).await?.unwrap_or(0);
    let mut stands = Vec::with_capacity(STEPS.len());
    for step in STEPS {
        stands.push(catalogue::exists(session, step.probe).await?);
    }
    Ok(steps::missing(STEPS, recorded, &stands))
}

async fn version(session: &mut Session) -> Result<Option<u32>, sqlx::Error> {
    if !catalogue::exists(session, "whimbrel_meta").await? {
        return Ok(None);
    }
    let arguments = bound([Param::Text(VERSION)]);
    let rows = session.rows("SELECT value FROM whimbrel_meta WHERE name = ?", arguments).await?;
    Ok(rows.first().and_then(|row| decode::text(row, 0)?.parse().ok()))
}

async fn record(session: &mut Session, version: u32) -> Result<(), sqlx::Error> {
    session
        .run(
            "INSERT INTO whimbrel_meta (name, value) VALUES (?, ?) \
             ON DUPLICATE KEY UPDATE value = VALUES(value)",
            bound([Param::Text(VERSION), Param::Text(&version.to_string())]),
        )
        .await
        .map(drop)
}
