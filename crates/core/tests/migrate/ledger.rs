//! What is committed, as text: all of it for comparing, or the gist for reading.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use whimbrel_endpoint::memory::MemoryTarget;
use whimbrel_endpoint::{Holder, LeaseAnswer, LeaseRequest, Target};
use whimbrel_ledger::{Batch, Counts, Run, batch, run, tables, undo};
use whimbrel_model::plan::Plan;
use whimbrel_model::{Account, ChunkBuilder, Class, RowAccount, Table, Value, ValueRef};
use whimbrel_transform::SAMPLES_MAX;

/// Every row of the target and of the ledger, without what says how it came about: attempts,
/// fences, the borders of batches, and the log of who did what.
pub(crate) fn committed(target: &MemoryTarget, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for mapping in &plan.tables {
        let name = &mapping.into.value;
        lines.extend(target.rows(name).iter().map(|row| format!("{name}: {}", text(row))));
    }
    dump(target, &tables::RUNS, &["attempts"], &mut lines);
    let whole = [&*tables::STEPS, &tables::ITEMS, &tables::REJECTS, &tables::MAPPINGS];
    let more = [&*tables::SEEN, &tables::ARCHIVE, &tables::CHECKPOINTS, &tables::CHECKS];
    whole.into_iter().chain(more).for_each(|table| dump(target, table, &[], &mut lines));
    dump(target, &tables::UNDO_UPDATES, &["batch", "seq"], &mut lines);
    for run in runs(target) {
        for ((step, table), rows) in inserts(target, &run) {
            lines.extend(rows.iter().map(|row| format!("undo {} {step} {table}: {row}", run.id)));
        }
        for (step, sums) in totals(target, &run) {
            lines.push(format!("accounts {} {step}: {sums:?}", run.id));
        }
    }
    lines
}

/// The runs with their counts and rejects, then the rows of the plan's tables.
pub(crate) fn told(target: &MemoryTarget, plan: &Plan) -> String {
    let mut out = String::new();
    for run in runs(target) {
        let _ = writeln!(out, "run {} {} {}", run.seq, run.kind.word(), run.status.word());
        for (step, sums) in totals(target, &run) {
            let counts = Counts::of(&sums.units);
            let classes = Class::ALL.iter().filter(|class| counts.class(**class) > 0);
            let classes: Vec<String> =
                classes.map(|class| format!("{} {}", counts.class(*class), class.name())).collect();
            let read = counts.read;
            let _ = writeln!(out, "  step {step}: {read} read = {}", classes.join(" + "));
        }
        for row in target.rows(&tables::REJECTS.name) {
            let cell = |name: &str| cell(&tables::REJECTS, &row, name);
            if cell("run") == run.id {
                let (file, record) = (cell("source_file"), cell("record"));
                let (code, why) = (cell("code"), cell("message"));
                let _ = writeln!(out, "  {} {file}:{record} {code} {why}", cell("status"));
            }
        }
    }
    for mapping in &plan.tables {
        let _ = writeln!(out, "{}", mapping.into.value);
        for row in target.rows(&mapping.into.value) {
            let _ = writeln!(out, "  {}", text(&row));
        }
    }
    out
}

/// The newest run.
pub(crate) fn newest(target: &MemoryTarget) -> Run {
    runs(target).pop().expect("a run was recorded")
}

/// Units that the newest run has committed.
pub(crate) fn units(target: &MemoryTarget) -> u64 {
    totals(target, &newest(target)).values().map(|sums| sums.units.read.n()).sum()
}

/// Writes into the second column of the row under a key, as somebody else would.
pub(crate) fn edit(target: &MemoryTarget, table: &str, key: &str, value: &str) {
    let table = now(target.describe(table)).expect("the table is there");
    let holder = Holder {
        run: "somebody".to_owned(),
        host: "elsewhere".to_owned(),
        boot: "one".to_owned(),
        pid: 1,
        started: 0,
    };
    let request = LeaseRequest { holder, ttl: Duration::from_secs(1), renew: None, dead: None };
    let LeaseAnswer::Granted(fence) = now(target.lease(&request)) else { panic!("it is held") };
    let mut txn = now(target.begin(fence));
    let mut rows = ChunkBuilder::new(2);
    rows.push(ValueRef::Text(key));
    rows.push(ValueRef::Text(value));
    rows.end_row();
    now(txn.update(&table, &rows.finish()));
    now(txn.commit());
    now(target.release(fence));
}

/// All runs, oldest first.
pub(crate) fn runs(target: &MemoryTarget) -> Vec<Run> {
    if !now(target.has_ledger()) {
        return Vec::new();
    }
    let mut runs = now(run::all(target, None));
    runs.sort_by_key(|run| run.seq);
    runs
}

#[derive(Default, Debug)]
struct Totals {
    units: Account,
    #[allow(dead_code)] // shown with the others
    rows: RowAccount,
    #[allow(dead_code)] // shown with the others
    notes: BTreeMap<String, (u64, Vec<String>)>,
}

/// Sums over the batches of each step.
fn totals(target: &MemoryTarget, run: &Run) -> BTreeMap<u64, Totals> {
    let mut steps: BTreeMap<u64, Totals> = BTreeMap::new();
    for Batch { step, units, rows, notes, .. } in now(batch::of_run(target, &run.id)) {
        let totals = steps.entry(step).or_default();
        totals.units.merge(&units);
        totals.rows.merge(&rows);
        let notes: Vec<serde_json::Value> = serde_json::from_str(&notes).expect("JSON");
        for note in notes {
            let key = format!("{} {} {}", note["code"], note["column"], note["rule"]);
            let (count, samples) = totals.notes.entry(key).or_default();
            *count += note["count"].as_u64().expect("a count");
            let more = note["samples"].as_array().expect("samples").iter();
            samples.extend(more.map(ToString::to_string));
            samples.truncate(SAMPLES_MAX);
        }
    }
    steps
}

/// What the undo journal says of inserts, by step and table, over all batches.
fn inserts(target: &MemoryTarget, run: &Run) -> BTreeMap<(u64, String), Vec<String>> {
    let mut all: BTreeMap<(u64, String), Vec<String>> = BTreeMap::new();
    for batch in now(undo::inserts(target, &run.id)) {
        let rows = undo::decode(batch.rows, &batch.entries).expect("a sound journal");
        let shown = rows.iter().map(|(key, digest)| format!("{key:02x?} {digest:02x?}"));
        all.entry((batch.step, batch.target_table)).or_default().extend(shown);
    }
    all
}

fn dump(target: &MemoryTarget, table: &Table, without: &[&str], lines: &mut Vec<String>) {
    for row in target.rows(&table.name) {
        let columns = table.columns.iter().map(|column| column.name.as_str()).zip(&row);
        let kept: Vec<String> = columns
            .filter(|(name, value)| !without.contains(name) && !value.as_ref().is_null())
            .map(|(name, value)| format!("{name} {}", value.as_ref()))
            .collect();
        lines.push(format!("{}: {}", table.name, kept.join(", ")));
    }
}

fn cell(table: &Table, row: &[Value], name: &str) -> String {
    let place = table.columns.iter().position(|column| column.name == name);
    row[place.expect("a column of the table")].as_ref().to_string()
}

fn text(row: &[Value]) -> String {
    row.iter().map(|value| value.as_ref().to_string()).collect::<Vec<_>>().join(" | ")
}

/// The answer of a memory endpoint, which never waits.
pub(crate) fn now<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => answer.expect("the ledger can be read"),
        std::task::Poll::Pending => panic!("a memory endpoint waits"),
    }
}
