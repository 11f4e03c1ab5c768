//! Queries of the plan against their budgets.

use std::time::{Duration, Instant};

use serde_json::json;
use whimbrel_endpoint::{EndpointError, Script, Snapshot};
use whimbrel_model::plan::{CheckSeverity, Query};

use super::{AFTERWARDS, Trouble, shown};
use crate::verify::{Checked, Status};

/// How often a query is asked: the first time may have to fetch from the disk what later ones find.
const TIMES: u32 = 3;

/// A query that takes so many times its budget is given up, but not before a second.
const GIVEN_UP: u32 = 10;

pub(super) async fn timed(
    query: &Query,
    snapshot: &dyn Snapshot,
    engine: &str,
) -> Result<Checked, EndpointError> {
    let passed = Checked::passed("query", &query.name.value);
    let Some(sql) = query.sql.for_engine(engine) else {
        return Ok(passed.ended(Status::Unverified, format!("it has no SQL for {engine}")));
    };
    let name = format!("query `{}`", shown::text(&query.name.value));
    let script = Script { name, sql: sql.to_owned() };
    let most = (query.budget * GIVEN_UP).max(Duration::from_secs(1));
    let mut fastest: Option<(Duration, u64)> = None;
    for _ in 0..TIMES {
        match tokio::time::timeout(most, once(&script, snapshot, most)).await {
            Err(_) => break,
            Ok(Ok(told)) => {
                fastest = Some(fastest.map_or(told, |known| known.min(told)));
                if told.0 <= query.budget {
                    break;
                }
            }
            Ok(Err(error)) => match Trouble::from(error) {
                Trouble::Lost(error) => return Err(error),
                Trouble::Own(why) => return Ok(passed.ended(Status::Unverified, why)),
            },
        }
    }
    let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
    let details = json!({
        "budget_ms": millis(query.budget), "rows": fastest.map(|(_, rows)| rows),
        "fastest_ms": fastest.map(|(time, _)| millis(time)),
    });
    let checked = Checked { details, ..passed };
    let told = match fastest {
        Some((time, _)) if time <= query.budget => return Ok(checked),
        Some((time, rows)) => format!("{:.1} ms for {rows} rows", millis(time)),
        None => format!("more than {most:?}"),
    };
    let status = match query.severity {
        CheckSeverity::Error => Status::Failed,
        CheckSeverity::Warning => Status::Noted,
    };
    Ok(checked.ended(status, format!("{told}, over its budget of {:?}", query.budget)))
}

async fn once(
    script: &Script,
    snapshot: &dyn Snapshot,
    most: Duration,
) -> Result<(Duration, u64), EndpointError> {
    let begun = Instant::now();
    let (_, mut feed) = snapshot.query(script, most + AFTERWARDS).await?;
    let mut rows = 0;
    while let Some(chunk) = feed.next().await? {
        rows += chunk.len() as u64;
    }
    Ok((begun.elapsed(), rows))
}
