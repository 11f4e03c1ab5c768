//! `basic`: the ledger agrees with itself, the tables are there, and they have as many rows as they should.

use whimbrel_endpoint::{EndpointError, Snapshot, Target};
use whimbrel_ledger::{Counts, ItemStatus, StepStatus, item, reject};
use whimbrel_model::{Account, Class, RowAccount};

use super::filled::{Filled, Load};
use super::{Checked, Request, Status, counted};

/// Conservation: every batch balances, files and rejects say the same as batches.
pub(super) async fn ledger(
    target: &dyn Target,
    tables: &[Filled],
) -> Result<Vec<Checked>, EndpointError> {
    let mut checks = Vec::new();
    for table in tables {
        for load in &table.loads {
            checks.push(conservation(target, table, load).await?);
        }
    }
    Ok(checks)
}

async fn conservation(
    target: &dyn Target,
    table: &Filled,
    load: &Load,
) -> Result<Checked, EndpointError> {
    let mut units = Account::default();
    let mut rows = RowAccount::default();
    let mut wrong = Vec::new();
    for (place, batch) in load.batches.iter().enumerate() {
        if batch.batch != place as u64 {
            wrong.push(format!("batch {place} is not there"));
            break;
        }
        if !batch.units.balances() || !batch.rows.balances() {
            wrong.push(format!("batch {} does not balance", batch.batch));
        }
        units.merge(&batch.units);
        rows.merge(&batch.rows);
    }
    let mut counts = Counts::default();
    let mut unfinished = 0;
    for item in item::of_step(target, &load.run.id, load.step.step).await? {
        counts.add(&item.counts);
        unfinished += u64::from(item.status != ItemStatus::Completed);
    }
    if counts != Counts::of(&units) {
        let (files, batches) = (counts.read, units.read.n());
        wrong.push(format!("files account for {files} units, batches for {batches}"));
    }
    if load.step.status == StepStatus::Completed && unfinished > 0 {
        wrong.push(format!("{} not finished, the step is", counted(unfinished, "file")));
    }
    let rejected = units.class(Class::Rejected).n();
    let mut kept = 0;
    let mut pages = reject::Pages::of(target, &load.run.id, load.step.step);
    while let Some(page) = pages.next().await? {
        kept += page.len() as u64;
    }
    if kept != rejected {
        wrong.push(format!("{} kept, {rejected} accounted for", counted(kept, "reject")));
    }
    let classes: u64 = units.classes.iter().map(whimbrel_model::Sum::n).sum();
    let name = format!("{} of run {}", table.name, load.run.id);
    let check = Checked::passed("conservation", name).counts(units.read.n(), classes);
    Ok(if wrong.is_empty() { check } else { check.ended(Status::Failed, wrong.join("; ")) })
}

/// Whether the table is there with the columns that were filled; what follows needs it.
pub(super) async fn structure(
    snapshot: &dyn Snapshot,
    table: &Filled,
    checks: &mut Vec<Checked>,
) -> Result<bool, EndpointError> {
    let check = Checked::passed("structure", &table.name);
    let Some(stands) = snapshot.describe(&table.name).await? else {
        checks.push(check.ended(Status::Failed, format!("there is no table `{}`", table.name)));
        return Ok(false);
    };
    let Some(filled) = table.table() else {
        let nothing = table.loads.iter().all(|load| load.batches.is_empty());
        if !nothing {
            let message = "it was loaded by a version that did not write its columns down";
            checks.push(check.ended(Status::Unverified, message));
        }
        return Ok(false);
    };
    let mut wrong = Vec::new();
    for column in &filled.columns {
        // Kinds are not compared: values are, as the kinds that were loaded.
        if !stands.columns.iter().any(|own| own.name == column.name) {
            wrong.push(format!("column `{}` is not there", column.name));
        }
    }
    let is_whole = wrong.is_empty();
    checks.push(if is_whole { check } else { check.ended(Status::Failed, wrong.join("; ")) });
    Ok(is_whole)
}

/// As many rows as were there before and came in since.
pub(super) async fn count(
    request: &Request<'_>,
    snapshot: &dyn Snapshot,
    table: &Filled,
    checks: &mut Vec<Checked>,
) -> Result<(), EndpointError> {
    let check = Checked::passed("count", &table.name);
    let Some(actual) = snapshot.count(&table.name).await? else {
        checks.push(check.ended(Status::Failed, "the table is gone"));
        return Ok(());
    };
    let Some(before) = table.rows_before() else {
        let message = "how many rows were there before is not known";
        checks.push(Checked { actual: Some(actual), ..check.ended(Status::Noted, message) });
        return Ok(());
    };
    let expected = before + table.inserted();
    let check = check.counts(expected, actual);
    checks.push(if expected == actual {
        check
    } else if request.within_run && before > 0 {
        check.ended(Status::Noted, "others write to it too")
    } else if table.written_by.is_empty() {
        let difference = actual.abs_diff(expected);
        let word = if actual > expected { "too many" } else { "missing" };
        check.ended(Status::Failed, format!("{} {word}", counted(difference, "row")))
    } else {
        let by = table.written_by.join("`, `");
        check.ended(Status::Noted, format!("SQL of the plan writes it too: `{by}`"))
    });
    Ok(())
}
