//! What the engine itself is asked of the tables: counters that give keys (`standard`); constraints that it
//! does not vouch for, and references that it has no index for (`rigorous`).

use serde_json::json;
use whimbrel_endpoint::{EndpointError, Snapshot};

use super::filled::Filled;
use super::{Checked, Request, Status, Verification, counted};

/// The next key of each counter is free. A run's own phase does not ask: counters are set when it ends.
pub(super) async fn counters(
    request: &Request<'_>,
    snapshot: &dyn Snapshot,
    tables: &[Filled],
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    if request.within_run {
        return Ok(());
    }
    for table in tables {
        if snapshot.describe(&table.name).await?.is_none() {
            continue;
        }
        for counter in snapshot.counters(&table.name).await? {
            let name = format!("{}.{}", table.name, counter.column);
            let check = Checked::passed("counter", name);
            let check = Checked { details: json!({ "next": counter.next.to_string() }), ..check };
            let taken = counter.highest.filter(|highest| {
                if counter.step < 0 { counter.next >= *highest } else { counter.next <= *highest }
            });
            verification.checks.push(match taken {
                None => check,
                Some(highest) => {
                    let message = format!(
                        "it gives {} next, and keys go up to {highest}: a row that is put in may be refused",
                        counter.next
                    );
                    check.ended(Status::Failed, message)
                }
            });
        }
    }
    Ok(())
}

/// Constraints and indexes are what their names promise, and references have indexes.
pub(super) async fn constraints(
    snapshot: &dyn Snapshot,
    tables: &[Filled],
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    for table in tables {
        if snapshot.describe(&table.name).await?.is_none() {
            continue;
        }
        let check = Checked::passed("constraint", &table.name);
        let doubts = snapshot.doubts(&table.name).await?;
        verification.checks.push(if doubts.is_empty() {
            check
        } else {
            const NAMED: usize = 5;
            let mut told: Vec<String> = doubts
                .iter()
                .take(NAMED)
                .map(|doubt| format!("`{}`: {}", doubt.name, doubt.what))
                .collect();
            if doubts.len() > NAMED {
                told.push(format!("and {}", counted((doubts.len() - NAMED) as u64, "other")));
            }
            check.counts(0, doubts.len() as u64).ended(Status::Failed, told.join("; "))
        });
    }
    unindexed(snapshot, tables, verification).await
}

/// A reference without an index makes every deletion of a parent, and every join, read the whole table.
async fn unindexed(
    snapshot: &dyn Snapshot,
    tables: &[Filled],
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    let catalogue = match snapshot.catalogue().await {
        Err(error) if error.code == whimbrel_endpoint::codes::UNSUPPORTED => return Ok(()),
        catalogue => catalogue?,
    };
    let is_own = |name: &str| tables.iter().any(|table| table.name == name);
    for entry in catalogue.tables.iter().filter(|entry| is_own(&entry.name)) {
        let declared: Vec<_> =
            entry.references.iter().filter(|reference| !reference.guessed).collect();
        if declared.is_empty() {
            continue;
        }
        let mut indexes = snapshot.indexes(&entry.name).await?;
        // SQLite's own key has none in its catalogue where it is the row's number.
        indexes.push(entry.key.clone());
        for reference in declared {
            let wanted = &reference.columns;
            let serves = |index: &Vec<String>| {
                let leading = index.get(..wanted.len());
                leading.is_some_and(|leading| wanted.iter().all(|name| leading.contains(name)))
            };
            if !indexes.iter().any(serves) {
                let name = format!("{}.{}", entry.name, wanted.join("+"));
                let message = format!(
                    "the reference to `{}` has no index: to delete there, and to join, reads all of `{}`",
                    reference.parent, entry.name
                );
                verification
                    .checks
                    .push(Checked::passed("index", name).ended(Status::Noted, message));
            }
        }
    }
    Ok(())
}
