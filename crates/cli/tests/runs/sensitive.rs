//! A canary in a `sensitive` column: no verb prints it, no log line, report or row of the ledger
//! holds it, apart from what has to be whole.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rusqlite::Connection;

use crate::project::{Ended, Project};

/// Two halves that nothing may hold.
const CANARY: &str = "k4n`4ry";

fn has_canary(text: &str) -> bool {
    text.contains("k4n") || text.contains("4ry")
}

/// Alerts of a database, refused in every way: by the record, the mapping, a map, a rule, a reference,
/// a duplicate, the target; and values that the plan changes.
const PLAN: &str = r#"name = "alerts"
target = "sqlite:people.db"

[source.alerts]
database = "sqlite:legacy.db"
table = "alert"
archive = ["note"]
sensitive = ["configuration", "note"]

[source.files]
csv = "data/*.csv"
sensitive = ["token"]

[map.kind]
email = "EMAIL"

[[table]]
into = "alert"
from = "alerts"
key = ["id"]
where = "size(configuration) > 0"
[table.let]
all = { concat = ["kind", "configuration"] }
[table.columns]
id = { from = "id", type = "integer" }
kind = { from = "kind", map = "kind" }
configuration = "configuration"
label = { from = "configuration", max_chars = 12, invalid = "null" }
port = { from = "configuration", type = "integer", invalid = "null" }
number = { cel = "id == 4 ? int(all) : 1", type = "integer" }

[[table.rule]]
name = "short"
cel = "size(new.configuration) < 40"
severity = "warn"

[[table]]
into = "token"
from = "files"
key = ["id"]
duplicates = { by = ["token"], conflict = "reject" }
[table.columns]
id = { from = "id", type = "integer" }
token = { from = "token" }
owner = { ref = "alert", by = "token", missing = "null" }

[rejects]
max = "99%"
"#;

const RELATE: &str = r#"
[[relate]]
name = "totals"
sql = "UPDATE alert SET label = 'x' WHERE id = 1"
writes = "alert"
undo = "UPDATE alert SET label = NULL WHERE id = 1"
check = "SELECT id, configuration, max(configuration) AS most FROM alert"
"#;

fn project() -> Project {
    let project = Project::new(PLAN);
    let legacy = Connection::open(project.path("legacy.db")).unwrap();
    let alert = format!("{{\"token\":\"{CANARY}\"}}");
    legacy
        .execute_batch(&format!(
            "CREATE TABLE alert (id INTEGER PRIMARY KEY, kind TEXT, configuration TEXT, note TEXT);
             INSERT INTO alert VALUES (1, 'email', '{alert}', '{CANARY}'),
                (2, '{CANARY}', 'harmless', NULL), (3, 'pager', '{alert}', NULL),
                (4, 'email', '{alert}', NULL), (5, 'email', '', NULL),
                (6, 'email', '{CANARY} which the target refuses', NULL);"
        ))
        .unwrap();
    // The kind of the second alert is no secret: where it is said is looked at below.
    legacy.execute("UPDATE alert SET kind = 'letter' WHERE id = 2", []).unwrap();
    project
        .target()
        .execute_batch(
            "CREATE TABLE alert (id INTEGER PRIMARY KEY, kind TEXT, configuration TEXT, label TEXT,
                port INTEGER, number INTEGER);
             CREATE TRIGGER refuses BEFORE INSERT ON alert WHEN new.configuration LIKE '%refuses' BEGIN
                SELECT RAISE(ABORT, 'refused: k4n`4ry'); END;
             CREATE TABLE token (id INTEGER PRIMARY KEY, token TEXT, owner INTEGER);",
        )
        .unwrap();
    let torn =
        format!("id,token\n1,{CANARY}\n2,{CANARY}\nx,{CANARY}\n4,\"{CANARY}\"x\n5,{CANARY},6\n");
    project.write("data/a.csv", torn);
    project
}

#[track_caller]
fn silent(what: &str, ended: &Ended) {
    let said = format!("{}{}", ended.stdout, ended.stderr);
    assert!(!has_canary(&said), "{what}: {said}");
    assert!(said.len() > 20, "{what} says nothing");
}

/// Every cell of the ledger as text, but for what is kept whole.
fn ledger(project: &Project) -> String {
    const WHOLE: &[(&str, &str)] = &[
        ("whimbrel_migration_rejects", "bytes"),
        ("whimbrel_archive", "content"),
        ("whimbrel_legacy_mappings", "legacy_id"),
    ];
    let target = project.target();
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'whimbrel_%'";
    let mut tables = target.prepare(names).unwrap();
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let mut text = String::new();
    for table in tables {
        let mut rows = target.prepare(&format!("SELECT * FROM \"{table}\"")).unwrap();
        let columns: Vec<String> = rows.column_names().into_iter().map(str::to_owned).collect();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for (index, column) in columns.iter().enumerate() {
                if !WHOLE.contains(&(table.as_str(), column.as_str())) {
                    let cell = row.get_ref_unwrap(index);
                    let cell = cell.as_bytes().map(String::from_utf8_lossy).unwrap_or_default();
                    text.push_str(&format!("{table}.{column}: {cell}\n"));
                }
            }
        }
    }
    text
}

#[test]
fn no_verb_prints_a_canary_and_the_rejects_stay_whole() {
    let project = project();
    for verb in [
        &["plan"][..],
        &["plan", "--format", "json"],
        &["validate"],
        &["validate", "--format", "json"],
        &["check-incremental"],
        &["migrate", "--dry-run"],
        &["migrate", "--dry-run", "--format", "json"],
    ] {
        silent(&verb.join(" "), &project.run(verb));
    }
    let planned = project.run(&["plan"]).stdout;
    assert!(
        planned.contains("      - ***\n") && planned.contains("+ configuration = ***\n"),
        "{planned}"
    );
    assert!(planned.contains("+ kind = EMAIL\n"), "what is not sensitive is shown: {planned}");
    let loud =
        ["migrate", "-vv", "--log-format", "json", "--progress", "json", "--format", "jsonl"];
    let migrated = project.run(&loud);
    silent("migrate", &migrated);
    assert_eq!(migrated.code, Some(3), "{migrated:?}");
    for verb in [
        &["status"][..],
        &["status", "--format", "json"],
        &["history", "--format", "json"],
        &["report"],
        &["report", "--form", "html"],
        &["report", "--form", "json"],
        &["rejects", "list"],
        &["rejects", "list", "--format", "json"],
        &["rejects", "list", "--all"],
        &["rejects", "list", "--all", "--format", "json"],
        &["rejects", "show", "alert.3"],
        &["rejects", "show", "alert.3", "--format", "json"],
        &["rejects", "show", "data/a.csv:4"],
        &["plan", "--format", "json"],
        &["rejects", "retry"],
        &["check-incremental", "--format", "json"],
    ] {
        silent(&verb.join(" "), &project.run(verb));
    }
    let listed = project.run(&["rejects", "list", "--all"]).stdout;
    for code in ["WB0244", "WB0250", "WB0601", "WB0230", "WB0413"] {
        assert!(listed.contains(code), "{code} is tried: {listed}");
    }
    assert!(
        listed.contains("not in its map: `letter`"),
        "what is not sensitive is shown: {listed}"
    );
    let ledger = ledger(&project);
    let leaks: Vec<&str> = ledger.lines().filter(|line| has_canary(line)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    let whole = "SELECT count(*) FROM whimbrel_migration_rejects WHERE instr(bytes, 'k4n`4ry') > 0";
    assert!(project.value::<i64>(whole) >= 5, "what is rejected can be mended");
    let loaded = "SELECT configuration FROM alert WHERE id = 1";
    assert_eq!(project.value::<String>(loaded), format!("{{\"token\":\"{CANARY}\"}}"));
}

#[test]
fn what_is_hidden_is_shown_where_that_is_asked_for() {
    let project = project();
    project.finish(&[]);
    let hidden = project.run(&["rejects", "show", "data/a.csv:4"]).stdout;
    assert!(hidden.contains("  record    *** (`--show-sensitive` prints it)\n"), "{hidden}");
    let document = project.run(&["rejects", "show", "data/a.csv:4", "--format", "json"]).json();
    let reject = &document["data"]["rejects"][0];
    assert_eq!((&reject["text"], &reject["hidden"]), (&"***".into(), &true.into()));
    let shown = project.run(&["rejects", "show", "data/a.csv:4", "--show-sensitive"]).stdout;
    assert!(shown.contains(&format!("  record    x,{CANARY}\n")), "{shown}");
    let exported = project.run(&["rejects", "export", "out"]);
    assert!(exported.stdout.contains("with sensitive columns, in clear"), "{exported:?}");
    silent("rejects export", &exported);
    assert_eq!(project.path("out").metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!has_canary(&project.read("out/index.jsonl")));
    assert!(has_canary(&project.read("out/token.3.bytes")));
}

#[test]
fn a_check_of_a_relate_step_shows_no_sensitive_column() {
    let project = project();
    let plan = project.read("whimbrel.toml");
    project.write("whimbrel.toml", format!("{plan}{RELATE}"));
    let failed = project.run(&["migrate"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let said = "returned rows: id = 1, configuration = ***, most = ***";
    assert!(failed.stderr.contains(said), "{}", failed.stderr);
    silent("status", &project.run(&["status"]));
    silent("report", &project.run(&["report", "--form", "html"]));
}

#[test]
fn what_a_trigger_says_of_a_whole_statement_is_left_out() {
    let project = project();
    let plan = project.read("whimbrel.toml");
    let relate = "\n[[relate]]\nname = \"more\"\nsql = \"INSERT INTO alert (id, configuration) \
                  VALUES (99, 'it refuses')\"\nwrites = \"alert\"\nundo = \"DELETE FROM alert WHERE \
                  id = 99\"\n";
    project.write("whimbrel.toml", format!("{plan}{relate}"));
    let failed = project.run(&["migrate", "-vv"]);
    assert_eq!(failed.code, Some(2), "{failed:?}");
    let said = "relate `more`, sql:1: what the database says of it may quote a sensitive column";
    assert!(failed.stderr.contains(said), "{}", failed.stderr);
    silent("migrate", &failed);
    silent("status", &project.run(&["status", "--format", "json"]));
    let ledger = ledger(&project);
    let leaks: Vec<&str> = ledger.lines().filter(|line| has_canary(line)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
}

/// The alerts of a service as it was: the word `canary` stands in every secret of theirs.
#[test]
fn no_verb_prints_a_secret_of_the_heartbeat_fixture() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/heartbeat");
    let project = Project::new(&fs::read_to_string(fixture.join("whimbrel.toml")).unwrap());
    for file in fs::read_dir(fixture.join("schema/sqlite")).unwrap() {
        let file = file.unwrap();
        let name = format!("schema/sqlite/{}", file.file_name().display());
        project.write(&name, fs::read(file.path()).unwrap());
    }
    whimbrel_testkit::heartbeat::write(&project.path("dumps"), 0, whimbrel_testkit::DEFAULT_SEED)
        .unwrap();
    let dump = project.read("dumps/legacy.sqlite.sql");
    assert!(dump.matches("canary").count() > 10);
    Connection::open(project.path("legacy.db")).unwrap().execute_batch(&dump).unwrap();
    let mut said = String::new();
    for verb in [
        &["plan"][..],
        &["plan", "--format", "json"],
        &["validate", "--format", "json"],
        &["migrate", "-vv", "--log-format", "json", "--progress", "json", "--format", "jsonl"],
        &["status", "--format", "json"],
        &["report"],
        &["report", "--form", "html"],
        &["report", "--form", "json"],
        &["rejects", "list", "--all"],
        &["rejects", "list", "--all", "--format", "json"],
    ] {
        let ended = project.run(verb);
        assert!(matches!(ended.code, Some(0 | 3)), "{verb:?}: {ended:?}");
        said.push_str(&format!("{}{}", ended.stdout, ended.stderr));
    }
    let leaks: Vec<&str> = said.lines().filter(|line| line.contains("canary")).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    assert!(said.contains("application_alert_config") && said.contains("***"), "{said}");
}
