//! Who is in the way: transactions of others that hold locks, for an error about a lock.

use whimbrel_endpoint::EndpointError;

use super::decode;
use super::encode::Param;
use super::lane::Lane;
use super::session::bound;
use crate::codes;

/// Names the holders in an error about a lock that was waited for; every other error stays as it is,
/// and so does this one where nobody can be named: it takes the privilege PROCESS.
pub(crate) async fn named(lane: &Lane, writer: u64, mut error: EndpointError) -> EndpointError {
    if error.code == codes::LOCKED
        && let Some(holders) = holders(lane, writer).await
        && !holders.is_empty()
    {
        let place = format!(": `{}`", lane.place.shown);
        let what = error.what.strip_suffix(&place).unwrap_or(&error.what);
        error.what = format!("{what}; locks are held by {}{place}", holders.join(", "));
    }
    error
}

async fn holders(lane: &Lane, writer: u64) -> Option<Vec<String>> {
    let mut reader = lane.read.lend().await.ok()?;
    let sql = "SELECT t.trx_mysql_thread_id, p.USER, p.HOST, \
                      TIMESTAMPDIFF(SECOND, t.trx_started, CURRENT_TIMESTAMP()) \
               FROM information_schema.INNODB_TRX t \
               JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id \
               WHERE t.trx_rows_locked > 0 AND t.trx_mysql_thread_id <> ? \
               ORDER BY t.trx_started LIMIT 3";
    let rows = reader.rows_once(sql, bound([Param::Unsigned(writer)])).await.ok()?;
    let told = rows.iter().map(|row| {
        let text = |index| decode::text(row, index).unwrap_or_default();
        let number = |index| decode::integer(row, index).unwrap_or_default();
        format!(
            "session {} (user `{}` from `{}`, in its transaction for {} s)",
            number(0),
            text(1),
            text(2),
            number(3)
        )
    });
    Some(told.collect())
}
