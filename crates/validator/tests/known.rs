//! What only the ledger knows changes what is derived: who has read what, refused units, mended records.

#![allow(clippy::unwrap_used)] // tests

use std::collections::BTreeMap;
use std::sync::Arc;

use whimbrel_endpoint::memory::{MemoryRecord, MemorySource};
use whimbrel_endpoint::{EndpointError, Limit, Source};
use whimbrel_model::plan::{Plan, decode};
use whimbrel_model::{Column, Kind, Table, Value};
use whimbrel_validator::interpret::{
    Derived, Fate, Holds, Interpreter, Known, REFUSED, Summary, Told, Turn,
};

const PLAN: &str = r#"
    name   = "t"
    target = "sqlite:t.db"
    [source.p]
    csv = "p*"
    [source.c]
    csv = "c*"
    [[table]]
    into = "child"
    from = "c"
    key  = ["id"]
    columns = { id = "id", parent = { ref = "parent", by = "parent" } }
    [[table]]
    into = "parent"
    from = "p"
    key  = ["id"]
    duplicates = { by = ["name"] }
    columns = { id = "id", name = "name", place = { fact = "source.ordinal" } }
"#;

/// What the ledger says, by the path of a file.
#[derive(Debug, Default)]
struct Ledger(BTreeMap<&'static str, Told>);

impl Known for Ledger {
    fn of(&self, _: &str, _: &str, path: &str) -> Option<&Told> {
        self.0.get(path)
    }
}

/// Read by one run.
fn told(ordinal: u64) -> Told {
    let turns = vec![Turn::whole(1)];
    Told { ordinal, turns, ..Told::default() }
}

/// Everything as run 1 has read it.
fn first_run() -> Ledger {
    Ledger(BTreeMap::from([("p1", told(0)), ("p2", told(1)), ("c", told(0))]))
}

impl Ledger {
    fn told(&mut self, path: &str) -> &mut Told {
        self.0.get_mut(path).unwrap()
    }
}

fn plan() -> Plan {
    let no_file = |_: &str| Err(std::io::Error::other("no files"));
    decode(PLAN, &|_| None, &no_file).unwrap()
}

fn table(name: &str, columns: &[(&str, Kind)]) -> (String, Table) {
    let column = |(name, kind): &(&str, Kind)| Column {
        name: (*name).to_owned(),
        kind: *kind,
        nullable: true,
        has_default: false,
    };
    let columns = columns.iter().map(column).collect();
    (name.to_owned(), Table { name: name.to_owned(), columns, key: vec![0] })
}

fn source(name: &str, columns: &[&str], files: &[(&str, &[&str])]) -> (String, Arc<dyn Source>) {
    let source = MemorySource::new(name, columns);
    for (path, lines) in files {
        let cells = |line: &&str| line.split(',').map(Value::from).collect();
        source.set(path, lines.iter().map(|line| MemoryRecord::new(cells(line))).collect());
    }
    (name.to_owned(), Arc::new(source))
}

/// Parents and children as lines, a unit each, and how many there are.
fn derive(known: Ledger) -> (Vec<String>, Summary) {
    let plan = plan();
    let whole = Kind::parse("integer").unwrap();
    let targets = BTreeMap::from([
        table("parent", &[("id", whole), ("name", Kind::Text(None)), ("place", whole)]),
        table("child", &[("id", whole), ("parent", whole)]),
    ]);
    let sources = BTreeMap::from([
        source("p", &["id", "name"], &[("p1", &["1,a", "2,b", "x,c"]), ("p2", &["4,a", "5,e"])]),
        source("c", &["id", "parent"], &[("c", &["1,1", "2,2", "3,x", "4,4", "5,5"])]),
    ]);
    let holds = Holds::of_engine("memory").unwrap();
    let mut interpreter =
        Interpreter::new(&plan, &targets, holds).unwrap().knowing(Arc::new(known));
    let mut lines = Vec::new();
    let mut last = Summary::default();
    for index in plan.order() {
        let mut sink = |derived: Derived<'_>| {
            let fate = match derived.fate {
                Fate::Rows(rows) => {
                    let cells = rows[0].iter().map(|value| value.as_ref().to_string());
                    cells.collect::<Vec<_>>().join(" ")
                }
                Fate::Rejected { reason, .. } => reason.to_owned(),
                Fate::Filtered(_) => "filtered".to_owned(),
                Fate::Duplicate => "duplicate".to_owned(),
            };
            lines.push(format!("{}:{} {fate}", derived.path, derived.position.record));
            Ok::<(), EndpointError>(())
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        last = runtime.block_on(interpreter.derive(&sources, index, &mut sink)).unwrap();
    }
    (lines, last)
}

#[test]
fn nothing_known_is_a_first_run() {
    let (lines, children) = derive(Ledger::default());
    let expected = [
        "p1:1 1 a 1",
        "p1:2 2 b 2",
        "p1:3 WB0230",
        "p2:1 duplicate",
        "p2:2 5 e 4294967298",
        "c:1 1 1",
        "c:2 2 2",
        "c:3 WB0247",
        "c:4 4 1",
        "c:5 5 5",
    ];
    assert_eq!(lines, expected);
    assert_eq!((children.units, children.with_rows, children.rejected), (5, 4, 1));
}

#[test]
fn what_the_target_refused_is_no_parent_and_wins_nothing() {
    let mut known = first_run();
    known.told("p1").refused.insert(1);
    known.told("p2").refused.insert(2);
    let (lines, _) = derive(known);
    let refused = format!("p1:1 {REFUSED}");
    let expected = [
        refused.as_str(),
        "p1:2 2 b 2",
        "p1:3 WB0230",
        "p2:1 4 a 4294967297",
        "p2:2 refused",
        "c:1 WB0247",
        "c:2 2 2",
        "c:3 WB0247",
        "c:4 4 4",
        "c:5 WB0247",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn mended_bytes_count_in_the_run_that_reads_the_record_again() {
    let mut known = first_run();
    let mended = |bytes: &str| vec![(2, bytes.as_bytes().to_vec())];
    known.told("p1").repaired.insert(3, mended("3,c\n"));
    known.told("p1").again.insert(3, 2);
    known.told("c").repaired.insert(3, mended("3,3\n"));
    let (lines, _) = derive(known);
    let expected =
        ["p1:1 1 a 1", "p1:2 2 b 2", "p2:1 duplicate", "p2:2 5 e 4294967298", "p1:3 3 c 3"];
    assert_eq!(lines[..5], expected);
    assert_eq!(lines[7], "c:3 WB0247", "run 1 has read it as it stood");
}

#[test]
fn what_a_later_run_has_read_is_no_parent_before() {
    let mut known = first_run();
    known.told("p2").turns[0].run = 2;
    let (lines, _) = derive(known);
    assert_eq!(lines[5..], ["c:1 1 1", "c:2 2 2", "c:3 WB0247", "c:4 WB0247", "c:5 WB0247"]);
    let mut known = first_run();
    known.told("p2").turns[0].run = 2;
    known.told("c").again.extend([(4, 2), (5, 2)]);
    let (lines, _) = derive(known);
    assert_eq!(lines[5..], ["c:1 1 1", "c:2 2 2", "c:3 WB0247", "c:4 4 1", "c:5 5 5"]);
}

#[test]
fn what_was_appended_comes_behind_what_other_files_held() {
    let mut known = first_run();
    let (_, source) = source("p", &["id", "name"], &[("p2", &["4,a", "5,e"])]);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let first = async {
        let partition = &source.partitions().await?.partitions[0];
        let limit = Limit { rows: 1, ..Limit::default() };
        source.open(partition, &[], None).await?.next(limit).await
    };
    let mark = runtime.block_on(first).unwrap().unwrap().mark;
    known.told("p2").turns[0].until = Some(1);
    known.told("p2").turns.push(Turn { after: Some(mark), ..Turn::whole(3) });
    known.told("p1").turns[0].run = 2;
    let (lines, _) = derive(known);
    let expected = [
        "p2:1 4 a 4294967297",
        "p1:1 duplicate",
        "p1:2 2 b 2",
        "p1:3 WB0230",
        "p2:2 5 e 4294967298",
    ];
    assert_eq!(lines[..5], expected);
}

#[test]
fn what_nobody_has_read_is_left_out() {
    let mut known = first_run();
    known.told("p2").turns.clear();
    let (lines, _) = derive(known);
    assert_eq!(lines[..3], ["p1:1 1 a 1", "p1:2 2 b 2", "p1:3 WB0230"]);
    assert_eq!(lines.len(), 8);
}

#[test]
fn items_come_in_the_ledger_s_order_and_unknown_ones_behind() {
    let (lines, _) = derive(Ledger(BTreeMap::from([("p2", told(3))])));
    let expected =
        ["p2:1 4 a 12884901889", "p2:2 5 e 12884901890", "p1:1 duplicate", "p1:2 2 b 17179869186"];
    assert_eq!(lines[..4], expected);
    assert_eq!(lines[5], "c:1 1 4", "the duplicate's old key leads to the winner");
}

#[test]
fn a_plan_that_does_not_fit_its_target_is_a_problem_with_its_place() {
    let targets = BTreeMap::from([table("parent", &[("id", Kind::Text(None))])]);
    let problem =
        Interpreter::new(&plan(), &targets, Holds::of_engine("sqlite").unwrap()).unwrap_err();
    assert_eq!(problem.message, "the target has no table `child`");
    assert_eq!(&PLAN[problem.span.unwrap()], "\"child\"");
}
