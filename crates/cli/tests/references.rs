//! Where references lead, through the binary: to the one row that was made from the legacy record, and
//! to none where several were, or where the record is another by now. What is expected was written down
//! by hand, and the target is asked in its own SQL.

#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::path::Path;
use std::process::Command;

use whimbrel_testkit::servers::{self, Engine};

const SCHEMA: &str =
    "CREATE TABLE people (id BIGINT NOT NULL PRIMARY KEY, name VARCHAR(20) NOT NULL);
    CREATE TABLE visits (id BIGINT NOT NULL PRIMARY KEY, person BIGINT NOT NULL);";

const PLAN: &str = r#"name = "people"
target = "${TARGET}"
[source.people]
csv = "people/*.csv"
[source.visits]
csv = "visits.csv"
[[table]]
into = "people"
from = "people"
key = ["id"]
legacy_key = ["code"]
existing = "update"
[table.columns]
id = "id"
name = "name"
[[table]]
into = "visits"
from = "visits"
key = ["id"]
[table.columns]
id = "id"
person = { ref = "people", by = "person" }
[rejects]
max = "90%"
"#;

fn ends(folder: &Path, url: &str, arguments: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(arguments)
        .current_dir(folder)
        .env("WHIMBREL_PROGRESS", "none")
        .env("TARGET", url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{url} {arguments:?}\n{said}");
    said
}

/// An empty target.
struct Target<'a> {
    url: String,
    run: &'a dyn Fn(&str),
    /// One column of text.
    rows: &'a dyn Fn(&str) -> Vec<String>,
}

impl Target<'_> {
    /// `visit>person`, for each visit that came.
    fn visits(&self) -> Vec<String> {
        (self.rows)("SELECT CONCAT(id, '>', person) FROM visits ORDER BY id")
    }
}

/// A folder with the plan, and the target's tables.
fn begun(target: &Target<'_>, plan: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    (target.run)(SCHEMA);
    fs::create_dir(folder.path().join("people")).unwrap();
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    folder
}

fn people(folder: &Path, file: &str, rows: &str) {
    fs::write(folder.join("people").join(file), format!("code,id,name\n{rows}")).unwrap();
}

fn visits(folder: &Path, rows: &str) {
    fs::write(folder.join("visits.csv"), format!("id,person\n{rows}")).unwrap();
}

/// Calls it with an empty target of each engine that is there.
fn on_each_engine(check: impl Fn(&Target<'_>)) {
    let file = tempfile::tempdir().unwrap();
    let path = file.path().join("target.db");
    let open = || rusqlite::Connection::open(&path).unwrap();
    let rows = |sql: &str| {
        let connection = open();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    };
    let run = |sql: &str| open().execute_batch(sql).unwrap();
    check(&Target { url: format!("sqlite:{}", path.display()), run: &run, rows: &rows });
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = server.database("references").unwrap();
        let text = |cell: &Option<Vec<u8>>| String::from_utf8(cell.clone().unwrap()).unwrap();
        let rows = |sql: &str| {
            database.rows(sql).unwrap().iter().map(|row| text(&row[0])).collect::<Vec<_>>()
        };
        let run = |sql: &str| database.run(sql).unwrap();
        check(&Target { url: database.url(), run: &run, rows: &rows });
    }
}

#[test]
fn a_key_that_became_two_rows_leads_to_neither_and_one_that_became_one_twice_leads_there() {
    on_each_engine(|target| {
        let folder = begun(target, PLAN);
        people(folder.path(), "a.csv", "A,1,Ann\nB,3,Bob\n");
        people(folder.path(), "b.csv", "C,4,Cy\nA,2,Ada\nB,3,Bob\n");
        visits(folder.path(), "1,A\n2,B\n3,C\n4,D\n");
        let looked = ends(folder.path(), &target.url, &["plan"], 0);
        assert!(looked.contains("WB0273"), "{looked}");
        ends(folder.path(), &target.url, &["migrate"], 3);
        assert_eq!(target.visits(), ["2>3", "3>4"], "{}", target.url);
        let listed = ends(folder.path(), &target.url, &["rejects", "list"], 0);
        let told = "first visits.csv:2: records with this key became different rows of `people`: \
                    `people/a.csv:1` and `people/b.csv:2`: `A`";
        assert!(listed.contains(told), "{listed}");
        assert!(listed.contains("first visits.csv:5: no row of `people` was made"), "{listed}");
    });
}

#[test]
fn where_a_reference_leads_does_not_depend_on_batches_threads_or_interruptions() {
    let rows = |range: std::ops::Range<u32>| -> String {
        range.map(|id| format!("P{},{id},n{id}\n", id % 40)).collect::<Vec<_>>().concat()
    };
    let all: Vec<String> = (0..60).map(|id| format!("{id},P{}\n", id % 50)).collect();
    let all = all.concat();
    // P0 to P19 became two rows, P20 to P39 one; there are none for the others.
    let expected: Vec<String> = (0..60)
        .filter(|id| (20..40).contains(&(id % 50)))
        .map(|id| format!("{id}>{}", id % 50))
        .collect();
    for run in ["workers = 1\nbatch_size = 1", "workers = 3\nbatch_size = 7", "workers = 2"] {
        for point in [None, Some("core.batch.after_commit:3"), Some("core.batch.after_write:2")] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("target.db");
            let open = || rusqlite::Connection::open(&file).unwrap();
            open().execute_batch(SCHEMA).unwrap();
            fs::create_dir(folder.path().join("people")).unwrap();
            fs::write(folder.path().join("whimbrel.toml"), format!("{PLAN}[run]\n{run}\n"))
                .unwrap();
            people(folder.path(), "a.csv", &rows(0..25));
            people(folder.path(), "b.csv", &rows(25..60));
            visits(folder.path(), &all);
            if let Some(point) = point {
                let mut killed = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
                killed.arg("migrate").current_dir(folder.path()).env("TARGET", "sqlite:target.db");
                killed.env("WHIMBREL_PROGRESS", "none").env("WHIMBREL_FAILPOINT", point);
                let _ended = killed.output().unwrap();
            }
            let ended = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
                .arg("migrate")
                .current_dir(folder.path())
                .env("TARGET", "sqlite:target.db")
                .env("WHIMBREL_PROGRESS", "none")
                .output()
                .unwrap();
            assert!(matches!(ended.status.code(), Some(0 | 3)), "{ended:?}");
            let connection = open();
            let mut found = connection
                .prepare("SELECT CONCAT(id, '>', person) FROM visits ORDER BY id")
                .unwrap();
            let found = found.query_map([], |row| row.get(0)).unwrap();
            let found: Vec<String> = found.collect::<Result<_, _>>().unwrap();
            assert_eq!(found, expected, "{run} {point:?}");
        }
    }
}

#[test]
fn a_row_of_an_earlier_run_and_one_of_this_are_two() {
    on_each_engine(|target| {
        let folder = begun(target, PLAN);
        people(folder.path(), "a.csv", "A,1,Ann\n");
        visits(folder.path(), "1,A\n");
        ends(folder.path(), &target.url, &["migrate"], 0);
        people(folder.path(), "b.csv", "A,2,Ada\n");
        visits(folder.path(), "1,A\n2,A\n");
        ends(folder.path(), &target.url, &["migrate", "--incremental"], 3);
        assert_eq!(target.visits(), ["1>1"], "{}", target.url);
        let listed = ends(folder.path(), &target.url, &["rejects", "list"], 0);
        assert!(listed.contains("WB0273"), "{listed}");
    });
}

#[test]
fn a_record_that_got_another_key_takes_its_references_along() {
    on_each_engine(|target| {
        let folder = begun(target, PLAN);
        people(folder.path(), "a.csv", "A,1,Ann\nB,2,Bob\nC,3,Cy\n");
        visits(folder.path(), "1,A\n2,B\n3,C\n");
        ends(folder.path(), &target.url, &["migrate"], 0);
        // A has a new key and another place, the row of B belongs to X, C is gone.
        people(folder.path(), "a.csv", "Z,9,Zoe\nA,5,Ann\nX,2,Bob\n");
        visits(folder.path(), "1,A\n2,B\n3,C\n4,A\n5,B\n6,C\n7,X\n8,Z\n");
        ends(folder.path(), &target.url, &["migrate", "--incremental"], 3);
        let expected = ["1>1", "2>2", "3>3", "4>5", "6>3", "7>2", "8>9"];
        assert_eq!(target.visits(), expected, "{}", target.url);
        let listed = ends(folder.path(), &target.url, &["rejects", "list"], 0);
        assert!(
            listed
                .contains("first visits.csv:6: no row of `people` was made from this record: `B`"),
            "{listed}"
        );
    });
}

#[test]
fn records_of_one_number_in_two_old_databases_are_two() {
    let folder = tempfile::tempdir().unwrap();
    for (old, name) in [("north", "Ann"), ("south", "Sue")] {
        let old = rusqlite::Connection::open(folder.path().join(format!("{old}.db"))).unwrap();
        let sql = format!(
            "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO person VALUES (1, '{name}')"
        );
        old.execute_batch(&sql).unwrap();
    }
    let plan = r#"name = "merged"
target = "sqlite:target.db"
[source.north]
database = "sqlite:north.db"
table = "person"
[source.south]
database = "sqlite:south.db"
table = "person"
[source.visits]
csv = "visits.csv"
[[table]]
into = "people"
from = ["north", "south"]
key = ["id"]
legacy_key = ["id"]
[table.columns]
id = { uuid5 = [{ fact = "source.name" }, "id"] }
name = "name"
[[table]]
into = "visits"
from = "visits"
key = ["id"]
[table.columns]
id = "id"
person = { ref = "people", by = "person" }
[rejects]
max = "100%"
"#;
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    visits(folder.path(), "1,1\n");
    ends(folder.path(), "", &["migrate"], 3);
    let listed = ends(folder.path(), "", &["rejects", "list"], 0);
    assert!(listed.contains("`person:1` of `north` and `person:1` of `south`"), "{listed}");
}

#[test]
fn rows_of_one_record_under_one_key_are_several() {
    let folder = tempfile::tempdir().unwrap();
    let plan = r#"name = "orders"
target = "sqlite:target.db"
[source.orders]
jsonl = "orders.jsonl"
[source.visits]
csv = "visits.csv"
[[table]]
into = "items"
from = "orders"
each = "/items"
key = ["id"]
legacy_key = ["order"]
[table.columns]
id = { fact = "element", type = "integer" }
[[table]]
into = "visits"
from = "visits"
key = ["id"]
[table.columns]
id = "id"
item = { ref = "items", by = "person" }
[rejects]
max = "100%"
"#;
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    let orders = "{\"order\":\"A\",\"items\":[1,2]}\n{\"order\":\"B\",\"items\":[3]}\n";
    fs::write(folder.path().join("orders.jsonl"), orders).unwrap();
    visits(folder.path(), "1,A\n2,B\n");
    ends(folder.path(), "", &["migrate"], 3);
    let listed = ends(folder.path(), "", &["rejects", "list"], 0);
    assert!(listed.contains("WB0273  `visits` column `item`\n"), "{listed}");
    assert!(listed.contains("of `items`: `orders.jsonl:1` alone: `A`"), "{listed}");
    assert!(!listed.contains("visits.csv:3"), "{listed}");
}

#[test]
fn the_old_keys_of_duplicates_lead_to_the_first_one_s_row_as_planned() {
    on_each_engine(|target| {
        let plan = PLAN.replace("existing = \"update\"", "duplicates = { by = [\"id\"] }");
        let folder = begun(target, &plan);
        people(folder.path(), "a.csv", "A,1,Ann\nB,1,Ann\n");
        people(folder.path(), "b.csv", "C,1,Ann\nD,2,Di\n");
        visits(folder.path(), "1,A\n2,B\n3,C\n4,D\n5,E\n");
        let looked = ends(folder.path(), &target.url, &["plan"], 0);
        assert!(looked.contains("5 read: 4 to load (4 rows), 1 rejected"), "{looked}");
        ends(folder.path(), &target.url, &["migrate"], 3);
        assert_eq!(target.visits(), ["1>1", "2>1", "3>1", "4>2"], "{}", target.url);
    });
}

#[test]
fn refused_duplicates_are_refused_in_the_preview_and_lead_nowhere() {
    on_each_engine(|target| {
        let duplicates = "duplicates = { by = [\"id\"], conflict = \"reject\" }";
        let folder = begun(target, &PLAN.replace("existing = \"update\"", duplicates));
        people(folder.path(), "a.csv", "A,1,Ann\nB,1,Ann\n");
        visits(folder.path(), "1,A\n2,B\n");
        let looked = ends(folder.path(), &target.url, &["plan"], 0);
        assert_eq!(looked.matches("2 read: 1 to load (1 row), 1 rejected").count(), 2, "{looked}");
        assert!(looked.contains("WB0601"), "{looked}");
        ends(folder.path(), &target.url, &["migrate"], 3);
        assert_eq!(target.visits(), ["1>1"], "{}", target.url);
    });
}
