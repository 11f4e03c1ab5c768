//! The ledger's schema in the database: its version, and the steps that lead to it.

use rusqlite::{Connection, OptionalExtension as _};
use whimbrel_endpoint::{EndpointError, failpoint};

use super::catalogue;
use super::session::Session;
use crate::steps::{self, Step};

const STEPS: &[Step] = &[
    Step {
        version: 1,
        sql: include_str!("../../../../migrations/sqlite/0001_ledger.sql"),
        probe: "whimbrel_undo_updates",
    },
    Step {
        version: 2,
        sql: include_str!("../../../../migrations/sqlite/0002_parked_indexes.sql"),
        probe: "whimbrel_parked_indexes",
    },
];

const VERSION: &str = "ledger_version";

/// Creates or upgrades the ledger in one transaction; creates the database with it.
pub(crate) fn prepare(session: &mut Session) -> Result<(), EndpointError> {
    session.idle("prepare the ledger")?;
    let connection = session.created()?;
    let missing =
        missing(connection).map_err(|error| session.failed("read the ledger's version", error))?;
    if missing?.is_empty() {
        return Ok(());
    }
    let path = session.path().to_owned();
    let failed = |error| super::fault::failed(&path, "create the ledger", error);
    session.atomically("create the ledger", |connection| {
        // Another process may have been faster.
        for step in self::missing(connection).map_err(failed)?? {
            connection.execute_batch(step.sql).map_err(failed)?;
            record(connection, step.version).map_err(failed)?;
            failpoint!("sql.ledger.step");
        }
        Ok(())
    })
}

/// True where a ledger of any version stands.
pub(crate) fn stands(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)?.is_some())
}

/// The steps still to be taken, or why none can be.
fn missing(connection: &Connection) -> rusqlite::Result<Result<Vec<&'static Step>, EndpointError>> {
    let recorded = version(connection)?.unwrap_or(0);
    let mut stands = Vec::with_capacity(STEPS.len());
    for step in STEPS {
        stands.push(catalogue::exists(connection, step.probe)?);
    }
    Ok(steps::missing(STEPS, recorded, &stands))
}

fn version(connection: &Connection) -> rusqlite::Result<Option<u32>> {
    if !catalogue::exists(connection, "whimbrel_meta")? {
        return Ok(None);
    }
    connection
        .query_row(
            "SELECT CAST(value AS INTEGER) FROM whimbrel_meta WHERE name = ?1",
            [VERSION],
            |row| row.get(0),
        )
        .optional()
}

fn record(connection: &Connection, version: u32) -> rusqlite::Result<()> {
    connection
        .execute(
            "INSERT INTO whimbrel_meta (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [VERSION, &version.to_string()],
        )
        .map(drop)
}
