//! `rigorous`: the sources are read again, an interpreter that shares nothing with the load path says
//! what should stand in each table, and every row of both is compared, cell by cell.
//!
//! ```text
//! sources ─▶ interpreter ─▶ rows, sorted by key, the last of each ─┐
//!               ▲                                                  ├─ merged: equal, changed, missing, extra
//! ledger ───────┘ runs, refusals       target ─▶ rows by key ──────┘
//! ```
//! Rows are derived run by run, as the ledger says who has read what. Files that have changed since cannot be
//! derived, and nothing that rests on them; what was appended to files, or is new, is left out.
//! What of a table only SQL of the plan decides is *attested* (`standard` compares it with what it was when
//! that had run); all else is derived anew, or the level fails.

use std::collections::BTreeMap;
use std::panic;
use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;
use whimbrel_endpoint::{EndpointError, RowOrder, Snapshot, Source};
use whimbrel_model::plan::{Existing, Plan, TableMapping};
use whimbrel_model::wce::RowLayout;
use whimbrel_model::{ChunkBuilder, Kind, Table, Value, ValueRef};

use super::explained::{Differing, Explained, Reasons};
use super::fates::Fates;
use super::filled::{Filled, filled};
use super::forensic::{Leaves, Recorder};
use super::mappings::{KeyOf, Mappings, Origin};
use super::remembered::{Breaks, Changes, Remembered, Sight};
use super::{Checked, Request, Status, Verification, counted};
use crate::ahead::{Ahead, Sorting};
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

/// Rows and bytes of a piece that is handed on.
const PIECE_ROWS: usize = 512;
const PIECE_BYTES: usize = 512 << 10;

/// Derives every table anew and compares.
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
    let mut known = Remembered::of(request.target, whole, plan, Sight::AsRead).await?;
    let mut lost = BTreeMap::new();
    for (name, source) in sources {
        let changes = known.look_at(name, source).await?;
        verification.checks.push(source_check(name, &changes));
        if let Some((path, what)) = changes.lost.first() {
            lost.insert(name.as_str(), format!("`{path}` {what} since it was read"));
        }
    }
    // A run may refer to tables that it has not loaded into itself.
    let described: BTreeMap<String, Table> =
        whole.iter().filter_map(|filled| Some((filled.name.clone(), filled.table()?))).collect();
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
    let mut mappings = Mappings::new(&request.room);
    let mut grounds = Grounds { plan, known: &known, lost, ..Grounds::of(plan, &known) };
    for index in plan.order() {
        let mapping = &plan.tables[index];
        let name = &mapping.into.value;
        let of_name = |filled: &&Filled| filled.name == *name;
        let line = whole.iter().find(of_name);
        let breaks = grounds.breaks(&interpreter, index);
        if let Some(why) = grounds.missing(&interpreter, index, line) {
            let check = Checked::passed("rows", name);
            let message = format!("not derived: {why}");
            verification.checks.push(check.ended(Status::Unverified, message));
            grounds.unfounded.insert(name, why);
            continue;
        }
        // Said already, and nothing can be read.
        let is_broken = |check: &Checked| {
            check.kind == "structure" && check.name == *name && check.status == Status::Failed
        };
        if verification.checks.iter().any(is_broken) {
            grounds.unfounded.insert(name, format!("`{name}` cannot be read"));
            continue;
        }
        let has_loaded = |filled: &&Filled| filled.loads.iter().any(|it| !it.batches.is_empty());
        let filled = tables.iter().find(of_name).filter(has_loaded);
        let (Some(filled), Some(line), Some(table)) = (filled, line, described.get(name)) else {
            if described.contains_key(name) {
                // Nothing of this run; others may refer to it.
                let mut sink = |_: Derived<'_>| Ok::<(), EndpointError>(());
                interpreter.derive(sources, index, &mut sink).await?;
            }
            continue;
        };
        let plan = plan.name.value.as_str();
        let reasons = Reasons { filled: line, plan, breaks, existing: mapping.existing };
        let job = Job { request, again, snapshot, filled, table, known: &known, reasons };
        let kept = (recorder.as_mut(), &mut mappings);
        job.carry_out(&mut interpreter, index, kept, verification).await?;
    }
    let loads = whole.iter().flat_map(|table| &table.loads);
    let runs = loads.map(|load| {
        let is_own = load.run.plan == plan.name.value;
        (load.run.id.as_str(), if is_own { Origin::Own(load.run.seq) } else { Origin::Other })
    });
    verification.checks.extend(mappings.checks(snapshot, &runs.collect()).await?);
    let Some(mut recorder) = recorder else { return Ok(()) };
    for filled in tables.iter().filter(|filled| filled.loads.is_empty()) {
        recorder.attest_whole(request, snapshot, filled).await?;
    }
    recorder.end(request, verification).await
}

/// How the files of a source stand against what was read.
fn source_check(name: &str, changes: &Changes) -> Checked {
    let check = Checked::passed("source", name);
    let said = |changes: &[(String, &'static str)], others: &str| {
        let (path, what) = changes.first()?;
        let more = changes.len() as u64 - 1;
        let more = if more == 0 {
            String::new()
        } else {
            format!(", and {} {others}", counted(more, "more file"))
        };
        Some(format!("`{path}` {what} since it was read{more}"))
    };
    match (said(&changes.lost, "gone or changed"), said(&changes.more, "new or longer")) {
        (Some(lost), _) => {
            let message = format!("{lost}: what rests on the source cannot be derived");
            check.ended(Status::Unverified, message)
        }
        (None, Some(more)) => check.ended(Status::Noted, format!("{more}: that is left out")),
        (None, None) => check,
    }
}

/// What rows can be derived from.
struct Grounds<'a> {
    plan: &'a Plan,
    known: &'a Remembered,
    /// Sources with files that are gone or another, and what is the matter.
    lost: BTreeMap<&'a str, String>,
    /// Tables that were not derived, and why.
    unfounded: BTreeMap<&'a str, String>,
    /// What has changed of tables while runs went on, and of those that they refer to.
    breaks: BTreeMap<&'a str, Breaks>,
}

impl<'a> Grounds<'a> {
    fn of(plan: &'a Plan, known: &'a Remembered) -> Self {
        let (lost, unfounded, breaks) = Default::default();
        Self { plan, known, lost, unfounded, breaks }
    }

    /// What has changed for a table; tables come in the order of the plan.
    fn breaks(&mut self, interpreter: &Interpreter, table: usize) -> Breaks {
        let name = self.plan.tables[table].into.value.as_str();
        let parents = interpreter.refers_to(table).filter(|parent| *parent != name);
        let parents = parents.filter_map(|parent| self.breaks.get(parent).copied());
        let breaks = parents.fold(self.known.breaks(name), Breaks::and);
        self.breaks.insert(name, breaks);
        breaks
    }

    /// Why a table cannot be derived, where it cannot.
    fn missing(
        &self,
        interpreter: &Interpreter,
        table: usize,
        filled: Option<&Filled>,
    ) -> Option<String> {
        let mapping = &self.plan.tables[table];
        let name = mapping.into.value.as_str();
        let lost = mapping.from.iter().find_map(|from| self.lost.get(from.value.as_str()));
        if let Some(lost) = lost {
            return Some(lost.clone());
        }
        if let Some(run) = filled.and_then(|filled| replanned(self.plan, mapping, filled)) {
            return Some(format!("its mapping has changed since run `{run}`"));
        }
        let grown = self.known.grown(name).filter(|_| interpreter.tells_of_whole_files(table));
        if let Some(path) = grown {
            return Some(format!("`{path}` has grown since it was read first"));
        }
        let touched = self.known.touched(name);
        if let Some(path) = touched.filter(|_| interpreter.tells_of_changing_facts(table)) {
            return Some(format!("`{path}` was changed or touched, before or after a retry"));
        }
        let mut parents = interpreter.refers_to(table).filter(|parent| *parent != name);
        parents.find_map(|parent| self.unfounded.get(parent)).cloned()
    }
}

/// The last run, where it has carried out another mapping than the plan has now.
fn replanned<'f>(plan: &Plan, mapping: &TableMapping, filled: &'f Filled) -> Option<&'f str> {
    let mut own = filled.loads.iter().rev().filter(|load| load.run.plan == plan.name.value);
    let last = own.next()?;
    let differs = last.step.digest.as_ref().is_some_and(|digest| *digest != plan.digest(mapping));
    differs.then_some(last.run.id.as_str())
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
    reasons: Reasons<'a>,
}

impl Job<'_> {
    async fn carry_out(
        &self,
        interpreter: &mut Interpreter,
        index: usize,
        (mut recorder, mappings): (Option<&mut Recorder>, &mut Mappings),
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
        let sorting = Sorting::new(Sorter::new(self.request.room.clone(), width + 1, &key));
        let mut out = ChunkBuilder::new(width + 1);
        let mut fates = Fates::new(self.filled, self.known);
        let mut stands = self.stands(&key).await?;
        let sources = self.again.sources;
        if let Some(recorder) = &mut recorder {
            recorder.hash_files(self.again.plan, mapping, sources).await?;
        }
        let mut leaves =
            recorder.as_deref_mut().map(|recorder| Leaves::of(recorder, self.table, self.known));
        let plan_key: Vec<&str> = mapping.key.iter().map(|key| key.value.as_str()).collect();
        let key_of = KeyOf::new(self.table, &plan_key, mapping.existing == Existing::Keep);
        if interpreter.keeps_old_keys(index) {
            let keeps = mapping.existing == Existing::Keep;
            mappings.begin(&self.filled.name, self.reasons.breaks, keeps);
        }
        let mut sink = |derived: Derived<'_>| -> Result<(), EndpointError> {
            fates.take(&derived);
            mappings.take(&key_of, &derived)?;
            if let Some(leaves) = &mut leaves {
                leaves.take(&derived, &places)?;
            }
            let Fate::Rows(rows) = &derived.fate else { return Ok(()) };
            for row in rows {
                for place in &places {
                    let value = place.and_then(|place| row.get(place));
                    out.push(value.map_or(ValueRef::Null, Value::as_ref));
                }
                out.push(ValueRef::Int(derived.ordinal.into()));
                out.end_row();
            }
            if out.len() >= PIECE_ROWS || out.size() >= PIECE_BYTES {
                sorting.push(std::mem::replace(&mut out, ChunkBuilder::new(width + 1)).finish());
            }
            Ok(())
        };
        interpreter.derive::<EndpointError>(sources, index, &mut sink).await?;
        let own = [Some(fates.check()), leaves.map(Leaves::check)];
        let doubtful = !self.reasons.breaks.are_none() && self.is_proved(verification);
        verification.checks.extend(own.into_iter().flatten().map(|check| match check.status {
            Status::Failed if doubtful => unsure(check),
            _ => check,
        }));
        sorting.push(out.finish());
        let derived = sorting.finish().await?;
        let derived = Latest::new(derived, width, &key, !self.table.key.is_empty());
        let stands = stands.join_next().await.expect("it was begun above");
        let stands = stands.unwrap_or_else(|lost| panic::resume_unwind(lost.into_panic()))?;
        let compared = self.merged(derived, stands, recorder).await?;
        self.judge(compared, verification);
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
    ) -> Result<Compared, EndpointError> {
        let kinds: Vec<Kind> = self.table.columns.iter().map(|column| column.kind).collect();
        let mut samples: Vec<Found> = Vec::new();
        let mut differing =
            self.reasons.are_any().then(|| Differing::new(self.request, self.reasons, self.table));
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
            if let Some(differing) = &mut differing {
                differing.take(difference);
            }
            // Rows that stood there before are shown only where there should be none.
            let is_shown =
                !matches!(difference, Difference::Extra(_)) || self.filled.rows_before() == Some(0);
            if is_shown && samples.len() < self.request.samples {
                samples.push(found(self.table, difference));
            }
        };
        let (mut left, mut right) = (Ahead::of(derived), Ahead::of(stands));
        let merged = merge(&mut left, &mut right, &kinds, &self.table.key, &mut sink).await;
        attested?;
        let tally = match merged {
            Ok(tally) => tally,
            Err(MergeError::Read(_, error)) => return Err(error),
            Err(MergeError::Disorder(_)) => unreachable!("both sides were sorted here"),
        };
        let differs = tally.changed + tally.extra > 0;
        let explained = match differing.filter(|_| differs && self.filled.written_by.is_empty()) {
            // A journal that is damaged explains nothing, and `journal` says so.
            Some(differing) => match differing.explained(self.request).await {
                Err(error) if error.code == whimbrel_ledger::DAMAGED => None,
                explained => explained?,
            },
            None => None,
        };
        Ok(Compared { tally, samples, explained })
    }

    /// Whether the digest of every row is the one that its load has written down.
    fn is_proved(&self, verification: &Verification) -> bool {
        let is_proof = |check: &Checked| {
            check.kind == "digest"
                && check.name == self.filled.name
                && matches!(check.status, Status::Passed | Status::Noted)
        };
        verification.checks.iter().any(is_proof)
    }

    fn judge(&self, compared: Compared, verification: &mut Verification) {
        let Compared { tally, mut samples, explained } = compared;
        let check = Checked::passed("rows", &self.filled.name).counts(tally.left, tally.right);
        let details = json!({
            "equal": tally.equal,
            "changed": tally.changed,
            "missing": tally.missing,
            "extra": tally.extra,
        });
        let check = Checked { details, ..check };
        verification.coverage.derived += tally.equal;
        if tally.is_equal() {
            verification.checks.push(check);
            return;
        }
        if !self.filled.written_by.is_empty() {
            self.attested(tally, check, &samples, verification);
            return;
        }
        let mut noted = Vec::new();
        let mut rest = tally;
        if let Some(explained) = explained {
            rest = explained.without(tally);
            noted = explained.said();
            samples.retain(|found| found.how == How::Missing);
            samples.extend(explained.rest);
            samples.truncate(self.request.samples);
        }
        let before = self.filled.rows_before().unwrap_or(0);
        let surplus = rest.extra.saturating_sub(before);
        if rest.extra > surplus {
            noted.push(format!("{} stood there before", counted(rest.extra - surplus, "row")));
        }
        let mut wrong = Vec::new();
        for (count, what) in
            [(rest.changed, "with other values"), (rest.missing, "missing"), (surplus, "too many")]
        {
            if count > 0 {
                wrong.push(format!("{} {what}", counted(count, "row")));
            }
        }
        if wrong.is_empty() {
            verification.checks.push(check.ended(Status::Noted, noted.join(", ")));
            return;
        }
        let columns = columns(&samples);
        if !columns.is_empty() {
            wrong.push(format!("in `{}`", columns.join("`, `")));
        }
        let check = check.ended(Status::Failed, wrong.join(", "));
        if !self.reasons.breaks.are_none() && self.is_proved(verification) {
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

    /// A table that SQL of the plan writes too.
    fn attested(
        &self,
        tally: Tally,
        check: Checked,
        samples: &[Found],
        verification: &mut Verification,
    ) {
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
    }
}

/// What came of comparing what is derived with what stands there.
struct Compared {
    tally: Tally,
    /// The first rows that differ.
    samples: Vec<Found>,
    explained: Option<Explained>,
}

/// A difference that the derivation itself may have made.
fn unsure(check: Checked) -> Checked {
    let message = check.message.clone().unwrap_or_default();
    check.ended(
        Status::Unverified,
        format!(
            "{message}; or nothing is wrong: files or the plan have changed while runs went on, or other \
             plans load here, and the digests of these rows hold"
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
