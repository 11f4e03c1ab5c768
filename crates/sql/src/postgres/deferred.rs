//! Constraints that wait for the commit: most are checked with each statement instead, so that they
//! refuse rows and not batches. References of a table to itself stay; what they would refuse is looked
//! for before the commit.

use whimbrel_endpoint::{EndpointError, Finding};

use super::catalogue::Facts;
use super::keyed::{ROWS_MAX, bound_rows};
use super::link::{Bound, Kept, Link};
use super::read::list;
use super::{Shared, catalogue, fault, write};
use crate::codes;
use crate::dialect::Dialect;
use crate::waiting::{Pending, Waiting, finding};

const WORDS: Dialect = Dialect::Postgres;
const DOING: &str = "check the constraints";

/// Has the constraints of a table that need not wait checked with each statement, until the end of
/// the transaction.
pub(crate) async fn hasten(
    link: &mut Link,
    facts: &Facts,
    table: &str,
) -> Result<(), EndpointError> {
    if facts.hastened.is_empty() {
        return Ok(());
    }
    let sql = format!("SET CONSTRAINTS {} IMMEDIATE", facts.hastened.join(", "));
    link.run(&format!("write to `{table}`"), &sql).await.map(drop)
}

/// What should be known of a table before rows are written to it.
pub(crate) async fn inspect(
    link: &mut Link,
    facts: &Facts,
    table: &str,
) -> Result<Vec<Finding>, EndpointError> {
    let mut findings: Vec<Finding> = facts.waiting_keys().map(|key| finding(table, key)).collect();
    let sql = "SELECT string_agg(t.tgname::text, ', ' ORDER BY t.tgname) \
               FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1 \
                 AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tginitdeferred";
    let found = link.rows("look at triggers", sql, vec![Bound::oid(facts.oid)], Kept::No).await?;
    findings.extend(found.iter().filter_map(|row| row[0].as_text()).map(|triggers| Finding {
        code: codes::DEFERRED,
        blocks: false,
        message: format!(
            "constraint triggers of `{table}` wait for the commit, and what they refuse there ends \
             the run; created `INITIALLY IMMEDIATE` it is a reject: `{triggers}`"
        ),
    }));
    Ok(findings)
}

/// Checks whatever waits. Where a table's reference to itself is broken and it can be told by which
/// rows, the error is one that sends the batch back.
pub(crate) async fn check(
    link: &mut Link,
    shared: &Shared,
    waiting: &Waiting,
) -> Result<(), EndpointError> {
    let all = "SET CONSTRAINTS ALL IMMEDIATE";
    if waiting.is_empty() {
        return link.run(DOING, all).await.map(drop);
    }
    link.run(DOING, "SAVEPOINT whimbrel_check").await?;
    let Err(error) = link.simple(all).await else { return Ok(()) };
    let named = fault::server(&error).and_then(|told| told.constraint());
    let pending = waiting.all().iter().find(|pending| Some(pending.key.name.as_str()) == named);
    let (false, Some(pending), Some(fate)) = (link.lost, pending, fault::fate(&error)) else {
        return Err(link.told(DOING, error));
    };
    link.run(DOING, "ROLLBACK TO SAVEPOINT whimbrel_check").await?;
    let orphans = orphans(link, pending).await?;
    let learnt = shared.learnt().learn(pending, &orphans, write::fate_of_orphan(&fate));
    Err(learnt.unwrap_or_else(|| link.told(DOING, error)))
}

/// Which of the rows that are referred to are not there.
async fn orphans(link: &mut Link, pending: &Pending) -> Result<Vec<usize>, EndpointError> {
    let Some(facts) = catalogue::facts(link, &pending.table.name).await? else {
        return Ok(Vec::new());
    };
    let slots: Vec<_> = pending.key.columns.iter().filter_map(|name| facts.slot(name)).collect();
    let same: Vec<String> = pending
        .key
        .parent_columns
        .iter()
        .enumerate()
        .map(|(index, name)| format!("t.{} = s.c{index}", WORDS.quote(name)))
        .collect();
    let sql = format!(
        "SELECT s.n FROM {} WHERE NOT EXISTS (SELECT FROM {} AS t WHERE {}) ORDER BY s.n",
        bound_rows(slots.len()),
        WORDS.table(&pending.table.name),
        same.join(" AND ")
    );
    let mut orphans = Vec::new();
    for (at, part) in pending.referred_to().chunks(ROWS_MAX).enumerate() {
        let binds = slots
            .iter()
            .enumerate()
            .map(|(column, slot)| list(slot, part.iter().map(|values| values[column].as_ref())))
            .collect::<Result<Vec<_>, _>>();
        // What the column cannot hold was not written.
        let Ok(binds) = binds else { return Ok(Vec::new()) };
        for row in link.rows(DOING, &sql, binds, Kept::No).await? {
            let number = row[0].as_int().and_then(|number| usize::try_from(number - 1).ok());
            orphans.extend(number.map(|number| at * ROWS_MAX + number));
        }
    }
    Ok(orphans)
}
