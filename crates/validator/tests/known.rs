//! What only the ledger knows changes what is derived: refused units, mended records, ordinals.

#![allow(clippy::unwrap_used)] // tests

use std::collections::BTreeMap;
use std::sync::Arc;

use whimbrel_endpoint::memory::{MemoryRecord, MemorySource};
use whimbrel_endpoint::{EndpointError, Source};
use whimbrel_model::plan::{Plan, decode};
use whimbrel_model::{Column, Kind, Table, Value};
use whimbrel_validator::interpret::{Derived, Fate, Holds, Interpreter, Known, REFUSED, Summary};

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

/// What the ledger says, by the place of a record.
#[derive(Debug, Default)]
struct Ledger {
    refused: Vec<(&'static str, u64)>,
    repaired: Vec<(&'static str, u64, &'static str)>,
    ordinals: Vec<(&'static str, u64)>,
}

impl Known for Ledger {
    fn refused(&self, _: &str, _: &str, path: &str, record: u64) -> bool {
        self.refused.contains(&(path, record))
    }

    fn repaired(&self, _: &str, path: &str, record: u64) -> Option<Vec<u8>> {
        let found =
            self.repaired.iter().find(|(known, number, _)| *known == path && *number == record);
        found.map(|(_, _, bytes)| bytes.as_bytes().to_vec())
    }

    fn ordinal(&self, _: &str, _: &str, path: &str) -> Option<u64> {
        self.ordinals.iter().find(|(known, _)| *known == path).map(|(_, ordinal)| *ordinal)
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
    let (lines, _) = derive(Ledger { refused: vec![("p1", 1), ("p2", 2)], ..Ledger::default() });
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
fn mended_bytes_are_read_in_the_record_s_place() {
    let (lines, _) = derive(Ledger {
        repaired: vec![("p1", 3, "3,c\n"), ("c", 3, "3,3\n")],
        ..Ledger::default()
    });
    assert_eq!(lines[2], "p1:3 3 c 3");
    assert_eq!(lines[7], "c:3 3 3");
}

#[test]
fn items_come_in_the_ledger_s_order_and_unknown_ones_behind() {
    let (lines, _) = derive(Ledger { ordinals: vec![("p2", 3)], ..Ledger::default() });
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
