//! Indexes that a large load can do without: recorded, dropped, and made again when the rows of their
//! table are complete, or the run ends without them.
//!
//! ```text
//! record, COMMIT ─▶ drop, COMMIT ─▶ batches … ─▶ make again and forget the record, COMMIT
//!                                     └ stopped, failed: the same    └ killed: the next process
//! ```
//! Every transaction is under the lease's fence. What is recorded is made again where it is not there;
//! where it is, only the record goes: so it does not matter where a process was killed.

use whimbrel_endpoint::{EndpointError, ErrorClass, Index, Query, failpoint};
use whimbrel_ledger::{Item, Parked, Run, RunKind, StepStatus, item, parked, step};
use whimbrel_model::plan::{Indexes, Plan};

use super::{Task, retries};
use crate::error::{CoreError, While};
use crate::event::Event;
use crate::lease::Lease;
use crate::migrate::Job;
use crate::patience::{Patience, repeatedly};
use crate::ports::{Ports, rfc3339};

/// From so many bytes of sources on a load is large: below, three indexes are kept in less than a
/// second or two, and nobody's queries shall lose them for that.
const LARGE_BYTES: u64 = 32 << 20;
/// The same of a database, whose bytes nobody knows.
pub(crate) const LARGE_ROWS: u64 = 100_000;

/// Takes the indexes of the step's table away, where that is asked for and the table is empty.
pub(super) async fn park(task: &Task<'_>) -> Result<(), CoreError> {
    if !is_wanted(task).await? {
        return Ok(());
    }
    let (ports, table) = (task.ports, &task.surveyed.table.name);
    let patience = Patience::new(ports, retries(task.plan), task.lease);
    let began = ports.clock.monotonic();
    let recorded = patience.carry_out(async |_| record(task).await).await?;
    if recorded.is_empty() {
        return Ok(());
    }
    failpoint!("core.indexes.after_record");
    let indexes = definitions(&recorded);
    let doing = || format!("dropping the indexes of `{table}` for its load");
    let drop = async |_| {
        let mut txn = ports.target.begin(task.lease.fence).await.during(doing)?;
        let dropped = txn.drop_indexes(table, &indexes).await.during(doing)?;
        txn.commit().await.during(doing)?;
        Ok(dropped)
    };
    let dropped = patience.carry_out(drop).await;
    failpoint!("core.indexes.after_drop");
    match dropped {
        Ok(_) => {
            let seconds = ports.clock.monotonic().saturating_sub(began).as_secs_f64();
            let names = recorded.into_iter().map(|index| index.name).collect();
            let table = table.clone();
            ports.events.emit(Event::Indexes { table, names, parked: true, seconds });
            Ok(())
        }
        Err(error) if is_fenced(&error) => Err(error),
        Err(error) => {
            // It is faster without them, not impossible with them.
            let message = format!("the indexes of `{table}` stay while it is loaded: {error}");
            ports.events.emit(Event::Warning { code: "WB0631", message });
            restore_one(ports, &patience, task.lease, &recorded).await
        }
    }
}

async fn is_wanted(task: &Task<'_>) -> Result<bool, CoreError> {
    let whole = match task.run.kind {
        RunKind::Full | RunKind::Incremental => task.sample.is_none(),
        RunKind::Retry => false,
    };
    Ok(match task.plan.run.indexes {
        Indexes::Keep => false,
        Indexes::Park => whole,
        Indexes::Auto => whole && is_large(task).await?,
    })
}

/// Whether what is still to be read is much.
async fn is_large(task: &Task<'_>) -> Result<bool, CoreError> {
    let target = task.ports.target.as_ref();
    let items = item::of_step(target, &task.run.id, task.step).await.in_ledger()?;
    let bytes = |item: &Item| task.survey.bytes_of(item);
    if items.iter().filter_map(bytes).sum::<u64>() >= LARGE_BYTES {
        return Ok(true);
    }
    for item in &items {
        let survey = &task.survey.sources[&item.source];
        let found = survey.partitions.iter().find(|one| one.id.path == item.source_file);
        let Some(partition) = found.filter(|_| survey.database) else { continue };
        let source = &task.ports.sources[&item.source];
        let counting = async || {
            let holds = source.holds(partition, LARGE_ROWS).await;
            holds.during(|| format!("counting the rows of `{}`", item.source))
        };
        if repeatedly(task.ports, retries(task.plan), counting).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Records the indexes of an empty table; none where there is nothing to take away.
async fn record(task: &Task<'_>) -> Result<Vec<Parked>, CoreError> {
    let (target, table) = (task.ports.target.as_ref(), &task.surveyed.table);
    let doing = || format!("looking at the indexes of `{}`", table.name);
    let mut txn = target.begin(task.lease.fence).await.during(doing)?;
    let first = table.columns.first().map_or("", |column| column.name.as_str());
    let any = Query::table(table.name.clone(), &[first]).at_most(1);
    let indexes = if txn.select(&any).await.during(doing)?.is_empty() {
        txn.parkable_indexes(&table.name).await.during(doing)?
    } else {
        Vec::new()
    };
    let created_at = rfc3339(task.ports.clock.now());
    let recorded: Vec<Parked> = indexes
        .into_iter()
        .zip(0..)
        .map(|(Index { name, definition }, seq)| Parked {
            run: task.run.id.clone(),
            step: task.step,
            target_table: table.name.clone(),
            name,
            seq,
            definition,
            created_at: created_at.clone(),
        })
        .collect();
    if recorded.is_empty() {
        txn.rollback().await.during(doing)?;
    } else {
        parked::put(txn.as_mut(), &recorded).await.during(doing)?;
        txn.commit().await.during(doing)?;
    }
    Ok(recorded)
}

/// Makes those recorded indexes again that `which` takes, table by table.
pub(crate) async fn restore(
    ports: &Ports,
    retries: u32,
    lease: &Lease,
    which: impl Fn(&Parked) -> bool,
) -> Result<(), CoreError> {
    let patience = Patience::new(ports, retries, lease);
    let reading = || "reading which indexes are parked".to_owned();
    let mut recorded = patience
        .carry_out(async |_| parked::all(ports.target.as_ref()).await.during(reading))
        .await?;
    recorded.retain(which);
    for of_table in recorded.chunk_by(|one, other| one.target_table == other.target_table) {
        restore_one(ports, &patience, lease, of_table).await?;
    }
    Ok(())
}

/// Makes the indexes of one table again, where they are not there, and forgets them.
async fn restore_one(
    ports: &Ports,
    patience: &Patience<'_>,
    lease: &Lease,
    recorded: &[Parked],
) -> Result<(), CoreError> {
    let Some(Parked { target_table: table, .. }) = recorded.first() else { return Ok(()) };
    failpoint!("core.indexes.before_restore");
    let indexes = definitions(recorded);
    let began = ports.clock.monotonic();
    let doing = || {
        format!("making the indexes of `{table}` again that `whimbrel_parked_indexes` has recorded")
    };
    let make = async |_| {
        let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
        let made = txn.create_indexes(table, &indexes).await.during(doing)?;
        failpoint!("core.indexes.after_restore");
        parked::forget(txn.as_mut(), recorded).await.during(doing)?;
        txn.commit().await.during(doing)?;
        Ok(made)
    };
    let names = patience.carry_out(make).await?;
    if !names.is_empty() {
        let seconds = ports.clock.monotonic().saturating_sub(began).as_secs_f64();
        let table = table.clone();
        ports.events.emit(Event::Indexes { table, names, parked: false, seconds });
    }
    Ok(())
}

/// Makes again what other runs have left, and this one where its step is done.
pub(crate) async fn leftovers(job: &Job<'_>, run: &Run, lease: &Lease) -> Result<(), CoreError> {
    let steps = step::of_run(job.ports.target.as_ref(), &run.id).await.in_ledger()?;
    let is_done = |number: u64| {
        steps.iter().any(|step| step.step == number && step.status == StepStatus::Completed)
    };
    let which = |index: &Parked| index.run != run.id || is_done(index.step);
    restore(job.ports, retries(job.plan), lease, which).await
}

/// Makes everything again, as far as that is possible at the end of a run that goes no further.
pub(crate) async fn at_the_end(job: &Job<'_>, lease: &Lease, failure: Option<&CoreError>) {
    if failure.is_some_and(is_fenced) {
        return;
    }
    if let Err(error) = restore(job.ports, 1, lease, |_| true).await {
        let message = format!("indexes are parked still, the next run makes them again: {error}");
        job.ports.events.emit(Event::Warning { code: "WB0632", message });
    }
}

/// Whatever a server that fell has forgotten of it: no run is closed while an index is parked.
pub(crate) async fn at_the_close(job: &Job<'_>, lease: &Lease) -> Result<(), CoreError> {
    restore(job.ports, retries(job.plan), lease, |_| true).await
}

/// Where there is nothing to load, but indexes are gone: makes them again, unless somebody else is at
/// work here, who will.
pub(crate) async fn alone(ports: &Ports, plan: &Plan, run: &str) -> Result<(), CoreError> {
    let reading = || "reading which indexes are parked".to_owned();
    if parked::all(ports.target.as_ref()).await.during(reading)?.is_empty() {
        return Ok(());
    }
    let taking = || "taking the lease".to_owned();
    let Ok(lease) = Lease::take(ports, run).await.during(taking)? else { return Ok(()) };
    let restored = restore(ports, retries(plan), &lease, |_| true).await;
    let released = lease.release().await.during(|| "giving the lease back".to_owned());
    restored?;
    released
}

fn definitions(recorded: &[Parked]) -> Vec<Index> {
    let index = |parked: &Parked| Index {
        name: parked.name.clone(),
        definition: parked.definition.clone(),
    };
    recorded.iter().map(index).collect()
}

fn is_fenced(error: &CoreError) -> bool {
    matches!(
        error,
        CoreError::Endpoint { source: EndpointError { class: ErrorClass::Fenced, .. }, .. }
    )
}
