//! `standard`: every row that stands in a table, against the digests that its loads have written down.
//!
//! ```text
//! sum of what stands  =  Σ inserted + Σ updated − Σ what updates replaced      equal: every row is proved
//!                     ≠                                                        row by row, by the journal
//! ```
//! The sum proves a table that was empty before in one pass and no memory; that it matches by accident
//! has odds of 2⁻²⁵⁶. Where it does not match, or the table held rows before, the undo journal says for
//! each key which digest its row has.

use serde_json::{Value as Json, json};
use whimbrel_endpoint::{EndpointError, RowOrder, Snapshot, Target};
use whimbrel_ledger::{CheckStatus, check, meta, undo};
use whimbrel_model::digest::{DigestKey, Domain};
use whimbrel_model::wce::RowLayout;
use whimbrel_model::{Chunk, Digest, Kind, Row, Sum, Table, ValueRef};

use super::beside;
use super::filled::Filled;
use super::journal::{self, Compared};
use super::profile::Profile;
use super::{Checked, Level, Request, Status, Verification, counted};

/// Reads every row of a table and compares.
pub(super) async fn table(
    request: &Request<'_>,
    snapshot: &dyn Snapshot,
    filled: &Filled,
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    let (Some(table), Some(layouts)) = (filled.table(), filled.layouts()) else { return Ok(()) };
    let key =
        DigestKey::derive(&meta::digest_key(request.target).await?, Domain::Output, &filled.name);
    let mut seen = Seen::new(&table).profiled(request);
    let check = Checked::passed("digest", &filled.name);
    let is_alone = layouts.len() == 1 && filled.rows_before() == Some(0);
    let by_key = async || journal::compare(request, snapshot, filled, &table, &layouts, &key).await;
    let mut sum = Sum::default();
    let mut compared = None;
    let mut is_summed = true;
    if is_alone {
        let expected = expected(request.target, filled, &key).await?;
        if request.level >= Level::Rigorous {
            compared = Some(match by_key().await {
                Err(error) if error.code != whimbrel_ledger::DAMAGED => return Err(error),
                compared => compared,
            });
        }
        if let Some(Ok(Some(compared))) = &compared {
            sum = compared.sum;
            seen = compared.seen.clone();
        } else {
            sum = read(snapshot, &table, &key, &mut seen).await?;
        }
        if sum == expected {
            let check = check.counts(expected.n(), sum.n());
            let details = json!({ "sum": Digest(sum.value()).to_hex() });
            verification.checks.push(Checked { details, ..check });
            verification.coverage.rows += sum.n();
            verification.coverage.proved += sum.n();
            seen.checks(&table, &mut verification.checks);
            if !filled.written_by.is_empty() {
                verification.checks.push(attested(request, filled, sum.n(), &sum).await?);
            }
            if let Some(compared) = compared {
                verification.checks.push(undo_journal(filled, compared)?);
            }
            return Ok(());
        }
        is_summed = false;
    }
    let compared = match compared {
        Some(compared) => compared,
        None => by_key().await,
    };
    let compared = match compared {
        Err(error) if error.code == whimbrel_ledger::DAMAGED => {
            verification.checks.push(undo_journal(filled, Err(error))?);
            return Ok(());
        }
        compared => compared?,
    };
    let Some(compared) = compared else {
        let message = "the columns of its key have changed between runs: rows cannot be told apart";
        verification.checks.push(check.ended(Status::Unverified, message));
        return Ok(());
    };
    if !is_alone {
        seen = compared.seen.clone();
    }
    seen.checks(&table, &mut verification.checks);
    verification.coverage.rows += compared.tally.right;
    verification.coverage.proved += compared.tally.equal;
    if !filled.written_by.is_empty() && !compared.is_equal(filled, request.within_run) {
        let sum = if is_alone {
            sum
        } else {
            read(snapshot, &table, &key, &mut Seen::new(&table)).await?
        };
        let attested = attested(request, filled, compared.tally.equal, &sum).await?;
        if attested.status != Status::Failed {
            verification.coverage.attested += compared.tally.right - compared.tally.equal;
        } else if attested.expected == attested.details["proved"].as_u64() {
            // SQL had changed nothing of what was loaded: what differs now has changed since.
            let rows = compared.samples.iter().map(|found| (filled.name.clone(), found.clone()));
            verification.found.extend(rows);
        }
        verification.checks.push(attested);
        return Ok(());
    }
    let rows = compared.samples.iter().map(|found| (filled.name.clone(), found.clone()));
    verification.found.extend(rows);
    let check = compared.check(filled, request.within_run);
    // What SQL has taken away and a later load has brought again is summed up twice.
    let is_summed = is_summed || !filled.written_by.is_empty();
    verification.checks.push(if is_summed || check.status == Status::Failed {
        check
    } else {
        let message =
            "the rows are as the undo journal has them, and their batches have summed up others";
        check.ended(Status::Failed, message)
    });
    Ok(())
}

/// The undo journal against rows that are known to be those that were loaded.
fn undo_journal(
    filled: &Filled,
    compared: Result<Option<Compared>, EndpointError>,
) -> Result<Checked, EndpointError> {
    let check = Checked::passed("journal", &filled.name);
    Ok(match compared {
        Err(error) if error.code == whimbrel_ledger::DAMAGED => {
            check.ended(Status::Failed, error.what)
        }
        Err(error) => return Err(error),
        Ok(None) => check,
        Ok(Some(Compared { tally, .. })) if tally.is_equal() => {
            check.counts(tally.right, tally.left)
        }
        Ok(Some(Compared { tally, .. })) => {
            let wrong = tally.changed + tally.missing + tally.extra;
            let message = format!(
                "the undo journal says otherwise of {}, which are as they were loaded",
                counted(wrong, "row")
            );
            check.counts(tally.right, tally.left).ended(Status::Failed, message)
        }
    })
}

/// The sum that the loads say should stand there.
async fn expected(
    target: &dyn Target,
    filled: &Filled,
    key: &DigestKey,
) -> Result<Sum, EndpointError> {
    let mut sum = Sum::default();
    for load in &filled.loads {
        for batch in &load.batches {
            sum.merge(&batch.rows.inserted);
            sum.merge(&batch.rows.updated);
            if batch.rows.updated.n() == 0 {
                continue;
            }
            let mut last = None;
            loop {
                let (run, step) = (&load.run.id, load.step.step);
                let page = undo::updates_behind(target, run, step, batch.batch, last).await?;
                let Some(end) = page.last() else { break };
                last = Some(end.seq);
                for update in &page {
                    sum.remove(&key.digest(&update.before), update.before.len() as u64);
                }
            }
        }
    }
    Ok(sum)
}

/// Reads the whole table; the sum of its rows' digests. `seen` has seen nothing yet.
async fn read(
    snapshot: &dyn Snapshot,
    table: &Table,
    key: &DigestKey,
    seen: &mut Seen,
) -> Result<Sum, EndpointError> {
    let feed = snapshot.rows(table, RowOrder::Any).await?;
    let (layout, key, nothing) = (RowLayout::of_rows(table), key.clone(), seen.clone());
    let look = move |piece: Chunk| {
        let (mut sum, mut seen) = (Sum::default(), nothing.clone());
        let mut encoded = Vec::with_capacity(512);
        for row in piece.rows() {
            encoded.clear();
            layout.encode(&mut encoded, |column| row.get(column));
            sum.add(&key.digest(&encoded), encoded.len() as u64);
            seen.take(row);
        }
        (sum, seen)
    };
    let mut whole = Sum::default();
    beside::each(feed, look, |(sum, piece)| {
        whole.merge(&sum);
        seen.merge(&piece);
        Ok(())
    })
    .await?;
    Ok(whole)
}

/// What is seen of values while rows go by.
#[derive(Clone)]
pub(super) struct Seen {
    /// For each column: its kind, NULLs, and values that are not of its kind.
    columns: Vec<(Kind, u64, u64)>,
    /// What values are like, for `rigorous`; and whether they must not be shown.
    profile: Option<(Profile, bool)>,
}

impl Seen {
    pub(super) fn new(table: &Table) -> Self {
        let columns = table.columns.iter().map(|column| (column.kind, 0, 0)).collect();
        Self { columns, profile: None }
    }

    pub(super) fn profiled(self, request: &Request<'_>) -> Self {
        if request.level < Level::Rigorous {
            return self;
        }
        // Which column came of a sensitive one, only the load knows.
        let sources = request.again.iter().flat_map(|again| &again.plan.sources);
        let hides = sources.into_iter().any(|source| !source.sensitive.is_empty());
        Self { profile: Some((Profile::of(self.columns.len()), hides)), ..self }
    }

    pub(super) fn take(&mut self, row: Row<'_>) {
        if let Some((profile, _)) = &mut self.profile {
            profile.take(row);
        }
        for (value, (kind, nulls, strange)) in row.values().zip(&mut self.columns) {
            if value.is_null() {
                *nulls += 1;
            } else if !is_of(*kind, value) {
                *strange += 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for ((_, nulls, strange), (_, others, stranger)) in
            self.columns.iter_mut().zip(&other.columns)
        {
            *nulls += others;
            *strange += stranger;
        }
        if let (Some((profile, _)), Some((other, _))) = (&mut self.profile, &other.profile) {
            profile.merge(other);
        }
    }

    /// Key columns hold no NULL, and columns only what their kind has.
    fn checks(&self, table: &Table, checks: &mut Vec<Checked>) {
        checks.extend(self.profile.iter().map(|(profile, hides)| profile.check(table, *hides)));
        for (index, (column, (_, nulls, strange))) in
            table.columns.iter().zip(&self.columns).enumerate()
        {
            let name = format!("{}.{}", table.name, column.name);
            if table.key.contains(&index) {
                let check = Checked::passed("not_null", &name).counts(0, *nulls);
                let message = format!("{} without a key", counted(*nulls, "row"));
                checks.push(if *nulls == 0 { check } else { check.ended(Status::Failed, message) });
            }
            if *strange > 0 {
                let check = Checked::passed("kind", &name).counts(0, *strange);
                let what = column.kind.name();
                let message = format!("{} no {what}", counted(*strange, "value"));
                checks.push(check.ended(Status::Noted, message));
            }
        }
    }
}

fn is_of(kind: Kind, value: ValueRef<'_>) -> bool {
    match (kind, value) {
        (Kind::Any, _) | (_, ValueRef::Null) => true,
        (Kind::Bool, ValueRef::Bool(_)) => true,
        (Kind::Int(width), ValueRef::Int(value)) => {
            let (least, most) = width.range();
            (least..=most).contains(&value)
        }
        (Kind::Decimal(_), ValueRef::Decimal(_) | ValueRef::Int(_)) => true,
        (Kind::Float, ValueRef::Float(_)) => true,
        (Kind::Text(None), ValueRef::Text(_)) => true,
        (Kind::Text(Some(most)), ValueRef::Text(text)) => {
            text.len() <= most as usize || text.chars().count() <= most as usize
        }
        (Kind::Bytes, ValueRef::Bytes(_)) => true,
        (Kind::Date, ValueRef::Date(_)) => true,
        (Kind::Time, ValueRef::Time(_)) => true,
        (Kind::Timestamp, ValueRef::Timestamp(_)) => true,
        (Kind::TimestampTz, ValueRef::TimestampTz(_)) => true,
        (Kind::Uuid, ValueRef::Uuid(_)) => true,
        (Kind::Json, ValueRef::Json(_)) => true,
        (_, _) => false,
    }
}

/// A table that SQL of the plan has written: what it held when that was verified first is what it must
/// hold now.
async fn attested(
    request: &Request<'_>,
    filled: &Filled,
    proved: u64,
    sum: &Sum,
) -> Result<Checked, EndpointError> {
    let by = filled.written_by.join("`, `");
    let first = format!(
        "{} are as they were loaded, {} as SQL of the plan has left them (`{by}`)",
        counted(proved, "row"),
        sum.n().saturating_sub(proved)
    );
    let differs = format!("it is not as SQL of the plan (`{by}`) has left it");
    as_before(request, "attested", &filled.name, proved, sum, &first, &differs).await
}

/// What no mapping fills: other columns of the table, or all of it where only SQL of the plan writes it.
/// Nothing says what it should be, so it must be what it was when the run was verified first.
pub(super) async fn rest(
    request: &Request<'_>,
    snapshot: &dyn Snapshot,
    filled: &Filled,
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    let Some(stands) = snapshot.describe(&filled.name).await? else { return Ok(()) };
    let mapped = filled.table();
    let is_mapped = |name: &str| {
        mapped.as_ref().is_some_and(|table| table.columns.iter().any(|column| column.name == name))
    };
    let others: Vec<&str> = stands
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| !is_mapped(name))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    let project = meta::digest_key(request.target).await?;
    let key = DigestKey::derive(&project, Domain::Output, &filled.name);
    let sum = read(snapshot, &stands, &key, &mut Seen::new(&stands)).await?;
    let what = match &mapped {
        Some(_) => format!("columns that no mapping fills: `{}`", others.join("`, `")),
        None => format!("written by SQL of the plan alone: `{}`", filled.written_by.join("`, `")),
    };
    if mapped.is_none() {
        verification.coverage.rows += sum.n();
        verification.coverage.attested += sum.n();
    }
    let first = format!("{} as they stand, {what}", counted(sum.n(), "row"));
    let differs = format!("it is not what it was when the run was verified first; {what}");
    let check = as_before(request, "whole", &filled.name, 0, &sum, &first, &differs).await?;
    verification.checks.push(check);
    Ok(())
}

/// Compares a sum with the one of the run's first verification, or notes it as that. Of its rows, `proved`
/// are as they were loaded.
async fn as_before(
    request: &Request<'_>,
    kind: &'static str,
    name: &str,
    proved: u64,
    sum: &Sum,
    first: &str,
    differs: &str,
) -> Result<Checked, EndpointError> {
    let own = Digest(sum.value()).to_hex();
    let check = Checked::passed(kind, name);
    let check =
        Checked { details: json!({ "sum": own, "rows": sum.n(), "proved": proved }), ..check };
    let known = check::of_run(request.target, &request.run.id).await?;
    let before = known.iter().find(|known| {
        let is_it = known.check_type == kind && known.check_name == name;
        is_it && known.status != CheckStatus::Failed && known.details.is_some()
    });
    let before: Option<Json> =
        before.and_then(|known| serde_json::from_str(known.details.as_deref()?).ok());
    // An attempt before this one was no end of the run.
    let before = before.filter(|_| !request.within_run);
    let Some(before) = before else { return Ok(check.ended(Status::Noted, first)) };
    if before["sum"].as_str() == Some(own.as_str()) && before["rows"].as_u64() == Some(sum.n()) {
        return Ok(check.counts(sum.n(), sum.n()));
    }
    let rows = before["rows"].as_u64().unwrap_or(0);
    let details = json!({ "proved": before["proved"] });
    Ok(Checked { details, ..check }.counts(rows, sum.n()).ended(Status::Failed, differs))
}
