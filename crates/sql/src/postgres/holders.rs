//! Who is in the way: sessions of others with locks on a table, for an error about a lock.

use whimbrel_endpoint::EndpointError;

use super::Shared;
use super::link::{Bound, Kept};
use crate::codes;
use crate::dialect::Dialect;

/// Names the holders in an error about a lock on a table; every other error stays as it is, and so
/// does this one where nobody can be named.
pub(crate) async fn named(
    shared: &Shared,
    table: &str,
    writer: i32,
    mut error: EndpointError,
) -> EndpointError {
    if error.code == codes::LOCKED
        && let Ok(holders) = holders(shared, table, writer).await
        && !holders.is_empty()
    {
        let place = format!(": `{}`", shared.place.shown);
        let what = error.what.strip_suffix(&place).unwrap_or(&error.what);
        error.what =
            format!("{what}; locks on `{table}` are held by {}{place}", holders.join(", "));
    }
    error
}

async fn holders(shared: &Shared, table: &str, writer: i32) -> Result<Vec<String>, EndpointError> {
    let mut reading = shared.reading().await?;
    // Another user's program is shown to some only; its process and name to all.
    let sql = "SELECT DISTINCT a.pid::int8, coalesce(a.usename::text, ''), \
                      coalesce(a.application_name, ''), \
                      coalesce(extract(epoch FROM clock_timestamp() - a.xact_start)::int8, 0) \
               FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
               WHERE l.relation = to_regclass($1) AND l.granted AND l.mode <> 'AccessShareLock' \
                 AND l.database = (SELECT oid FROM pg_catalog.pg_database \
                                   WHERE datname = current_database()) \
                 AND a.pid <> $2::int8 AND a.pid <> pg_backend_pid() ORDER BY 4 DESC LIMIT 3";
    let place = Dialect::Postgres.table(table);
    let binds = vec![Bound::text(&place), Bound::int(i64::from(writer))];
    let found = reading.link().rows("look for who holds a lock", sql, binds, Kept::No).await;
    reading.done();
    let told = found?.into_iter().map(|row| {
        let text = |index: usize| row[index].as_text().unwrap_or_default();
        let number = |index: usize| row[index].as_int().unwrap_or_default();
        format!(
            "process {} (user `{}`, program `{}`, in its transaction for {} s)",
            number(0),
            text(1),
            text(2),
            number(3)
        )
    });
    Ok(told.collect())
}
