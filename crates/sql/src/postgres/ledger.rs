//! The ledger's schema in the database: its version, and the steps that lead to it.

use whimbrel_endpoint::{EndpointError, failpoint};

use super::link::{Bound, Kept, Link};
use crate::steps::{self, Step};

const STEPS: &[Step] = &[
    Step {
        version: 1,
        sql: include_str!("../../../../migrations/postgres/0001_ledger.sql"),
        probe: "whimbrel.undo_updates",
    },
    Step {
        version: 2,
        sql: include_str!("../../../../migrations/postgres/0002_parked_indexes.sql"),
        probe: "whimbrel.parked_indexes",
    },
];

const DOING: &str = "prepare the ledger";

/// Creates or upgrades the ledger in one transaction. Whoever comes second waits and finds it done.
pub(crate) async fn prepare(link: &mut Link) -> Result<(), EndpointError> {
    if missing(link).await?.is_empty() {
        return Ok(());
    }
    // Two programs that create a schema at once would meet in its unique index. The lock is the
    // session's and comes before the transaction: within one, names that were looked up before and
    // not found stay so, whatever others commit meanwhile.
    let lock = "SET lock_timeout = '60s'; SELECT pg_advisory_lock(2003332450, 1)";
    link.run(DOING, lock).await?;
    let outcome = in_transaction(link).await;
    link.aborted = None;
    if !link.lost {
        link.run(DOING, "SELECT pg_advisory_unlock(2003332450, 1)").await?;
        link.set_up().await?;
    }
    outcome
}

async fn in_transaction(link: &mut Link) -> Result<(), EndpointError> {
    link.run(DOING, "BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    let outcome = create(link).await;
    let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = link.run(DOING, end).await;
    outcome?;
    ended.map(drop)
}

async fn create(link: &mut Link) -> Result<(), EndpointError> {
    for step in missing(link).await? {
        link.run(DOING, step.sql).await?;
        let record = "INSERT INTO whimbrel.meta (name, value) VALUES ('ledger_version', $1) \
                      ON CONFLICT (name) DO UPDATE SET value = excluded.value";
        let version = Bound::text(&step.version.to_string());
        link.rows(DOING, record, vec![version], Kept::No).await?;
        failpoint!("sql.ledger.step");
    }
    Ok(())
}

/// True where a ledger of any version stands.
pub(crate) async fn stands(link: &mut Link) -> Result<bool, EndpointError> {
    Ok(version(link).await?.is_some())
}

/// The steps still to be taken, or why none can be.
async fn missing(link: &mut Link) -> Result<Vec<&'static Step>, EndpointError> {
    let recorded = version(link).await?.unwrap_or(0);
    let mut stands = Vec::with_capacity(STEPS.len());
    for step in STEPS {
        stands.push(exists(link, step.probe).await?);
    }
    steps::missing(STEPS, recorded, &stands)
}

async fn exists(link: &mut Link, table: &str) -> Result<bool, EndpointError> {
    let sql = "SELECT to_regclass($1) IS NOT NULL";
    let found = link.rows(DOING, sql, vec![Bound::text(table)], Kept::No).await?;
    Ok(found.first().is_some_and(|row| row[0] == whimbrel_model::Value::Bool(true)))
}

async fn version(link: &mut Link) -> Result<Option<u32>, EndpointError> {
    if !exists(link, "whimbrel.meta").await? {
        return Ok(None);
    }
    let sql = "SELECT value FROM whimbrel.meta WHERE name = 'ledger_version'";
    let found = link.rows("read the ledger's version", sql, vec![], Kept::No).await?;
    Ok(found.first().and_then(|row| row[0].as_text()?.parse().ok()))
}
