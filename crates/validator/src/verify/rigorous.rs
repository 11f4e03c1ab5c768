//! `rigorous`: the sources are read again, an interpreter that shares nothing with the load path says
//! what should stand in each table, and every row of both is compared, cell by cell.
//!
//! ```text
//! sources ─▶ interpreter ─▶ rows, sorted by key, the last of each ─┐
//!               ▲                                                  ├─ merged: equal, changed, missing, extra
//! ledger ───────┘ refused, mended      target ─▶ rows by key ──────┘
//! ```
//! What of a table only SQL of the plan decides is *attested* (`standard` compares it with what it was when
//! that had run); all else is derived anew, or the level fails.

use std::collections::BTreeMap;
use std::panic;
use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use whimbrel_endpoint::{EndpointError, RowOrder, Snapshot, Source};
use whimbrel_ledger::{RunKind, Stage};
use whimbrel_model::plan::Plan;
use whimbrel_model::wce::RowLayout;
use whimbrel_model::{ChunkBuilder, Kind, Table, Value, ValueRef};

use super::filled::{Filled, filled};
use super::forensic::{Leaves, Recorder};
use super::remembered::{Remembered, UnitId};
use super::{Checked, Request, Status, Verification, counted};
use crate::compare::{Found, How, found};
use crate::interpret::{Derived, Fate, Holds, Interpreter};
use crate::latest::Latest;
use crate::lineage::LeafFate;
use crate::merge::{Difference, MergeError, Tally, merge};
use crate::sorter::{Sorted, Sorter, sorted};

/// What is derived from.
#[derive(Clone, Copy)]
pub struct Again<'a> {
    /// The plan, as it was carried out.
    pub plan: &'a Plan,
    /// Its sources, by name.
    pub sources: &'a BTreeMap<String, Arc<dyn Source>>,
    /// What the target's engine is called.
    pub engine: &'a str,
}

/// Derives every table anew and compares. Returns tables and, of their rows, how many were derived.
pub(super) async fn tables(
    request: &Request<'_>,
    again: Again<'_>,
    snapshot: &dyn Snapshot,
    tables: &[Filled],
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    if let Some(why) = sampled(request) {
        let check = Checked::passed("derived", &request.run.id);
        verification.checks.push(check.ended(Status::Unverified, why));
        return Ok(());
    }
    let Again { plan, sources, engine } = again;
    // Sources hold what earlier runs have read of them too.
    let line = if request.within_run && request.run.parent.is_some() {
        Some(filled(request.target, request.run, false).await?)
    } else {
        None
    };
    let whole = line.as_deref().unwrap_or(tables);
    let known = Remembered::of(request.target, whole, &plan.name.value).await?;
    let mut whole = true;
    for (name, source) in sources {
        let changed = known.changed(name, source).await?;
        let check = Checked::passed("source", name);
        verification.checks.push(match changed.first() {
            None => check,
            Some((path, what)) => {
                whole = false;
                let more = changed.len() as u64 - 1;
                let more = if more == 0 {
                    String::new()
                } else {
                    format!(", and {} too", counted(more, "other file"))
                };
                let message = format!("`{path}` {what} since it was read{more}");
                check.ended(Status::Unverified, message)
            }
        });
    }
    if !whole {
        return Ok(());
    }
    let described: BTreeMap<String, Table> =
        tables.iter().filter_map(|filled| Some((filled.name.clone(), filled.table()?))).collect();
    let targets = targets(request, plan, &described).await?;
    let holds = Holds::of_engine(engine);
    let interpreter = holds.map(|holds| Interpreter::new(plan, &targets, holds));
    let known = Arc::new(known);
    let mut interpreter = match interpreter {
        Some(Ok(interpreter)) => interpreter.knowing(Arc::clone(&known) as _),
        Some(Err(problem)) => {
            let check = Checked::passed("derived", &plan.name.value);
            let message = format!("the plan is not what it was: {problem}");
            verification.checks.push(check.ended(Status::Unverified, message));
            return Ok(());
        }
        None => return Ok(()),
    };
    let mut recorder = Recorder::begin(request, plan, sources).await?;
    for index in plan.order() {
        let name = &plan.tables[index].into.value;
        // Said already, and nothing can be read.
        let is_broken = |check: &Checked| {
            check.kind == "structure" && check.name == *name && check.status == Status::Failed
        };
        if verification.checks.iter().any(is_broken) {
            continue;
        }
        let filled = tables.iter().find(|filled| filled.name == *name);
        let Some((filled, table)) = filled.zip(described.get(name)) else { continue };
        let job = Job { request, again, snapshot, filled, table, known: &known };
        job.carry_out(&mut interpreter, index, recorder.as_mut(), verification).await?;
    }
    let Some(mut recorder) = recorder else { return Ok(()) };
    for filled in tables.iter().filter(|filled| filled.loads.is_empty()) {
        recorder.attest_whole(request, snapshot, filled).await?;
    }
    recorder.end(request, verification).await
}

/// Why rows cannot be derived where only some were taken.
fn sampled(request: &Request<'_>) -> Option<&'static str> {
    let options: serde_json::Value = serde_json::from_str(&request.run.options).unwrap_or_default();
    (!options["sample"].is_null())
        .then_some("only a sample was taken: which records it has, is not derived anew")
}

/// The tables as the target describes them, with the kinds that were loaded.
async fn targets(
    request: &Request<'_>,
    plan: &Plan,
    described: &BTreeMap<String, Table>,
) -> Result<BTreeMap<String, Table>, EndpointError> {
    let mut targets = BTreeMap::new();
    for mapping in &plan.tables {
        let name = &mapping.into.value;
        let stands = request.target.describe(name).await?;
        let mut table = match (stands, described.get(name)) {
            (Some(table), _) => table,
            (None, Some(table)) => table.clone(),
            (None, None) => continue,
        };
        if let Some(loaded) = described.get(name) {
            for column in &mut table.columns {
                let own = loaded.columns.iter().find(|own| own.name == column.name);
                own.into_iter().for_each(|own| column.kind = own.kind);
            }
        }
        targets.insert(name.clone(), table);
    }
    Ok(targets)
}

/// One table.
struct Job<'a> {
    request: &'a Request<'a>,
    again: Again<'a>,
    snapshot: &'a dyn Snapshot,
    filled: &'a Filled,
    table: &'a Table,
    known: &'a Remembered,
}

impl Job<'_> {
    async fn carry_out(
        &self,
        interpreter: &mut Interpreter,
        index: usize,
        mut recorder: Option<&mut Recorder>,
        verification: &mut Verification,
    ) -> Result<(), EndpointError> {
        let mapping = &self.again.plan.tables[index];
        let places: Vec<Option<usize>> = self
            .table
            .columns
            .iter()
            .map(|column| mapping.columns.iter().position(|(name, _)| name.value == column.name))
            .collect();
        let width = self.table.columns.len();
        let key: Vec<usize> =
            if self.table.key.is_empty() { (0..width).collect() } else { self.table.key.clone() };
        let mut sorter = Sorter::new(self.request.room.clone(), width + 1, &key);
        let mut fates = Fates::new(&self.filled.name, self.known);
        let mut stands = self.stands(&key).await?;
        let sources = self.again.sources;
        if let Some(recorder) = &mut recorder {
            recorder.hash_files(self.again.plan, mapping, sources).await?;
        }
        let mut leaves =
            recorder.as_deref_mut().map(|recorder| Leaves::of(recorder, self.table, self.known));
        let mut sink = |derived: Derived<'_>| -> Result<(), EndpointError> {
            fates.take(&derived);
            if let Some(leaves) = &mut leaves {
                leaves.take(&derived, &places)?;
            }
            let Fate::Rows(rows) = &derived.fate else { return Ok(()) };
            let mut out = ChunkBuilder::with_capacity(width + 1, rows.len(), 0);
            for row in rows {
                for place in &places {
                    let value = place.and_then(|place| row.get(place));
                    out.push(value.map_or(ValueRef::Null, Value::as_ref));
                }
                out.push(ValueRef::Int(derived.ordinal.into()));
                out.end_row();
            }
            out.finish().rows().try_for_each(|row| sorter.push(row))
        };
        interpreter.derive::<EndpointError>(sources, index, &mut sink).await?;
        let own = [Some(fates.check()), leaves.map(Leaves::check)];
        let doubtful = self.is_doubtful(verification);
        verification.checks.extend(own.into_iter().flatten().map(|check| match check.status {
            Status::Failed if doubtful => unsure(check),
            _ => check,
        }));
        let derived = Latest::new(sorter.finish()?, width, &key, !self.table.key.is_empty());
        let stands = stands.join_next().await.expect("it was begun above");
        let stands = stands.unwrap_or_else(|lost| panic::resume_unwind(lost.into_panic()))?;
        let (tally, samples) = self.merged(derived, stands, recorder).await?;
        self.judge(tally, samples, verification);
        Ok(())
    }

    /// What stands there, sorted here like what is derived: no engine's order is trusted. It is read
    /// while the other side is derived.
    async fn stands(
        &self,
        key: &[usize],
    ) -> Result<JoinSet<Result<Sorted, EndpointError>>, EndpointError> {
        let feed = self.snapshot.rows(self.table, RowOrder::Any).await?;
        let (width, key, room) =
            (self.table.columns.len(), key.to_vec(), self.request.room.clone());
        // A set ends its task where it is dropped: when the other side fails.
        let mut task = JoinSet::new();
        task.spawn(async move { sorted(feed, width, &key, &room).await });
        Ok(task)
    }

    /// Compares what is derived with what stands there.
    async fn merged(
        &self,
        derived: Latest,
        stands: Sorted,
        mut recorder: Option<&mut Recorder>,
    ) -> Result<(Tally, Vec<Found>), EndpointError> {
        let kinds: Vec<Kind> = self.table.columns.iter().map(|column| column.kind).collect();
        let mut samples: Vec<Found> = Vec::new();
        let layout = RowLayout::of_rows(self.table);
        let mut attested = Ok(());
        let mut sink = |difference: Difference<'_>| {
            let (fate, own) = match difference {
                Difference::Extra(row) | Difference::Changed { right: row, .. } => {
                    (LeafFate::Attested, row)
                }
                Difference::Missing(row) => (LeafFate::Removed, row),
            };
            if let Some(recorder) = &mut recorder
                && !self.filled.written_by.is_empty()
                && attested.is_ok()
            {
                attested = recorder.attest(fate, self.table, &layout, own, self.filled);
            }
            // Rows that stood there before are shown only where there should be none.
            let is_shown =
                !matches!(difference, Difference::Extra(_)) || self.filled.rows_before() == Some(0);
            if is_shown && samples.len() < self.request.samples {
                samples.push(found(self.table, difference));
            }
        };
        let (mut left, mut right) = (derived, stands);
        let merged = merge(&mut left, &mut right, &kinds, &self.table.key, &mut sink).await;
        attested?;
        match merged {
            Ok(tally) => Ok((tally, samples)),
            Err(MergeError::Read(_, error)) => Err(error),
            Err(MergeError::Disorder(_)) => unreachable!("both sides were sorted here"),
        }
    }

    /// Whether a difference may be one of the derivation: it takes all records as one run would, and
    /// where a later run took records of the same keys, or files that had changed, what stands is
    /// another thing. That it is what the loads have written, its digests say.
    fn is_doubtful(&self, verification: &Verification) -> bool {
        let is_later = |kind: RunKind| kind == RunKind::Incremental;
        let continued = is_later(self.request.run.kind)
            || self
                .filled
                .loads
                .iter()
                .any(|load| is_later(load.run.kind) && !load.batches.is_empty());
        let is_proof = |check: &Checked| {
            check.kind == "digest"
                && check.name == self.filled.name
                && matches!(check.status, Status::Passed | Status::Noted)
        };
        continued && verification.checks.iter().any(is_proof)
    }

    fn judge(&self, tally: Tally, samples: Vec<Found>, verification: &mut Verification) {
        let check = Checked::passed("rows", &self.filled.name).counts(tally.left, tally.right);
        let details = json!({
            "equal": tally.equal,
            "changed": tally.changed,
            "missing": tally.missing,
            "extra": tally.extra,
        });
        let check = Checked { details, ..check };
        verification.coverage.derived += tally.equal;
        let before = self.filled.rows_before().unwrap_or(0);
        let surplus = tally.extra.saturating_sub(before);
        if tally.is_equal() {
            verification.checks.push(check);
            return;
        }
        if !self.filled.written_by.is_empty() {
            let by = self.filled.written_by.join("`, `");
            let message = format!(
                "{} derived, {} as SQL of the plan has left them (`{by}`)",
                counted(tally.equal, "row"),
                tally.right - tally.equal
            );
            verification.checks.push(check.ended(Status::Noted, message));
            // Where SQL had changed nothing, `standard` has named rows: their cells say more.
            let own = |(table, _): &&mut (String, Found)| *table == self.filled.name;
            for (_, known) in verification.found.iter_mut().filter(own) {
                if let Some(found) = samples.iter().find(|found| found.key == known.key) {
                    known.clone_from(found);
                }
            }
            return;
        }
        let mut wrong = Vec::new();
        for (count, what) in [
            (tally.changed, "with other values"),
            (tally.missing, "missing"),
            (surplus, "too many"),
        ] {
            if count > 0 {
                wrong.push(format!("{} {what}", counted(count, "row")));
            }
        }
        if wrong.is_empty() {
            let message = format!("{} stood there before", counted(tally.extra, "row"));
            verification.checks.push(check.ended(Status::Noted, message));
            return;
        }
        let columns = columns(&samples);
        if !columns.is_empty() {
            wrong.push(format!("in `{}`", columns.join("`, `")));
        }
        let check = check.ended(Status::Failed, wrong.join(", "));
        if self.is_doubtful(verification) {
            verification.checks.push(unsure(check));
            return;
        }
        verification.checks.push(check);
        // Cells say more than the journal's digests of the same rows.
        let name = &self.filled.name;
        let is_full = samples.len() >= self.request.samples;
        verification.found.retain(|(table, found)| {
            table != name || !is_full && !samples.iter().any(|own| own.key == found.key)
        });
        verification.found.extend(samples.into_iter().map(|found| (name.clone(), found)));
    }
}

/// A difference that the derivation itself may have made.
fn unsure(check: Checked) -> Checked {
    let message = check.message.clone().unwrap_or_default();
    check.ended(
        Status::Unverified,
        format!(
            "{message}; or nothing is wrong: runs that continue others are derived as if they were one, \
             and the digests of these rows hold"
        ),
    )
}

/// The columns in which rows differ, of those that are shown.
fn columns(samples: &[Found]) -> Vec<String> {
    let mut names = Vec::new();
    let changed = samples.iter().filter(|found| found.how == How::Changed);
    for cell in changed.flat_map(|found| &found.cells) {
        if !names.contains(&cell.column) {
            names.push(cell.column.clone());
        }
    }
    names
}

/// Units against the ledger's rejects.
struct Fates<'a> {
    table: &'a str,
    known: &'a Remembered,
    /// Rejects of the table that the derivation has met.
    met: u64,
    wrong: Vec<String>,
    count: u64,
    units: u64,
}

/// Units whose fate differs that are named.
const NAMED: usize = 5;

impl<'a> Fates<'a> {
    fn new(table: &'a str, known: &'a Remembered) -> Self {
        Self { table, known, met: 0, wrong: Vec::new(), count: 0, units: 0 }
    }

    fn take(&mut self, derived: &Derived<'_>) {
        self.units += 1;
        let record = derived.position.record;
        let id: UnitId =
            (self.table.to_owned(), derived.source.to_owned(), derived.path.to_owned(), record);
        let stage = self.known.rejects.get(&id).map(|known| known.stage);
        self.met += u64::from(stage.is_some());
        let place = if record == 0 {
            format!("`{}`", derived.path)
        } else {
            format!("record {record} of `{}`", derived.path)
        };
        let said = match (&derived.fate, stage) {
            (Fate::Rejected { .. }, Some(_)) => return,
            (Fate::Rows(_) | Fate::Filtered(_) | Fate::Duplicate, None) => return,
            // It is for the target to say.
            (Fate::Rows(_) | Fate::Filtered(_) | Fate::Duplicate, Some(Stage::Target)) => return,
            (Fate::Rejected { reason, .. }, None) => {
                format!("{place} is no reject, and should be one ({reason})")
            }
            (Fate::Rows(_) | Fate::Filtered(_) | Fate::Duplicate, Some(stage)) => {
                format!("{place} is a reject ({}), and should be none", stage.word())
            }
        };
        self.count += 1;
        if self.wrong.len() < NAMED {
            self.wrong.push(said);
        }
    }

    fn check(mut self) -> Checked {
        let of_table = self.known.rejects.keys().filter(|(table, ..)| table == self.table);
        let all = of_table.count() as u64;
        if all > self.met {
            self.count += all - self.met;
            self.wrong.push(format!("{} of no record", counted(all - self.met, "reject")));
        }
        let check = Checked::passed("fates", self.table).counts(all, self.met);
        if self.wrong.is_empty() {
            return check;
        }
        let more = self.count.saturating_sub(self.wrong.len() as u64);
        if more > 0 {
            self.wrong.push(format!("and {more} more"));
        }
        check.ended(Status::Failed, self.wrong.join("; "))
    }
}
