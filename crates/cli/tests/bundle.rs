//! `report --bundle`: what is in the archive, and that nothing of a record, no secret and no word that may
//! quote one is.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use rusqlite::Connection;
use serde_json::Value as Json;
use tempfile::TempDir;
use whimbrel_testkit::servers::{self, Engine};

/// What stands in every cell, secret and message that must not be shown.
const CANARY: &str = "canary";

/// Values are loaded, converted, masked, archived, refused by mapping, rule, map, reference, target and
/// duplicates; secrets stand in variables, files, URLs, SQL and comments.
const PLAN: &str = r#"# canary-comment
name = "people"
verify = "none"
target = "${TARGET:-sqlite:canary-default.db}"

[source.people]
csv = "data/*.csv"
archive = ["note"]
sensitive = ["token"]

[source.old]
database = "sqlite:old.db"
query = "SELECT id, name, 'canary-literal' AS extra FROM old"
key = ["id"]
ignore = ["extra"]

[map.kind]
a = "A"

[[table]]
into = "old"
from = "old"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
name = "name"

[[table]]
into = "people"
from = "people"
key = ["id"]
duplicates = { by = ["name"], conflict = "reject" }
[table.columns]
id = { from = "id", type = "integer" }
name = "name"
kind = { from = "kind", map = "kind" }
born = { from = "born", type = "date", invalid = "null" }
token = { from = "token", max_chars = 30 }
secret = { value = "${SECRET}" }
file = { value = "${file:secret.txt}" }

[[table.rule]]
name = "short"
cel = "size(new.name) < 20"

[[relate]]
name = "touch"
sql = "UPDATE people SET name = name || 'canary-sql' WHERE id = -1 -- canary's"
undo = "UPDATE people SET name = name WHERE name = 'canary-undo'"
writes = "people"
check = "SELECT id, name FROM people WHERE 'canary-check' <> name"

[rejects]
max = "99%"
"#;

const PEOPLE: &str = "id,name,kind,born,token,note\n\
    1,canary-loaded,a,canary-born,canary-token,canary-note\n\
    canary-id,Ben,a,2020-01-01,t,n\n\
    3,canary-much-too-long-for-it,a,2020-01-01,t,n\n\
    4,Dee,canary-kind,2020-01-01,t,n\n\
    5,canary-loaded,a,2020-01-02,t,n\n\
    6,Fay,a,2020-01-01,canary-token-much-too-long-for-it,n\n\
    7,Guy,a,2020-01-01,t,\"canary-broken\n";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    write("data/people.csv", PEOPLE);
    write("secret.txt", "canary-file\n");
    write("whimbrel.toml", PLAN);
    let old = Connection::open(folder.path().join("old.db")).unwrap();
    old.execute_batch(
        "CREATE TABLE old (id TEXT PRIMARY KEY, name TEXT);
         INSERT INTO old VALUES ('1', 'canary-old'), ('canary-key', 'x')",
    )
    .unwrap();
    folder
}

fn whimbrel(folder: &Path, arguments: &[&str]) -> Output {
    on(folder, "sqlite:people.db", arguments)
}

fn on(folder: &Path, target: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(arguments)
        .current_dir(folder)
        .env("TARGET", target)
        .env("SECRET", "canary-variable")
        .env("WHIMBREL_PROGRESS", "none")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Writes a bundle and opens it with the system's own `tar`: the folder in it, and all of it as one text.
fn bundle(folder: &Path, target: &str, name: &str) -> (PathBuf, String) {
    let output = on(folder, target, &["report", "--bundle", name]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(!said(&output).contains(CANARY), "{}", said(&output));
    let mode = fs::metadata(folder.join(name)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let into = folder.join(format!("{name}.unpacked"));
    fs::create_dir(&into).unwrap();
    let mut tar = Command::new("tar");
    tar.arg("--zstd").arg("-xf").arg(folder.join(name)).arg("-C").arg(&into);
    let tar = tar.output().unwrap();
    assert!(tar.status.success() && tar.stderr.is_empty(), "{}", said(&tar));
    let inner = fs::read_dir(&into).unwrap().next().unwrap().unwrap().path();
    let mut all = String::new();
    for entry in fs::read_dir(&inner).unwrap().map(Result::unwrap) {
        let text = fs::read_to_string(entry.path()).unwrap();
        all.push_str(&format!("== {}\n{text}", entry.file_name().display()));
    }
    (inner, all)
}

fn lines(folder: &Path, name: &str) -> Vec<Json> {
    let text = fs::read_to_string(folder.join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn without_canaries(all: &str) {
    let found = all.find(CANARY).map(|at| {
        let start = all[..at].rfind("== ").unwrap_or(0);
        format!(
            "{} … {}",
            all[start..].lines().next().unwrap(),
            &all[at.saturating_sub(120)..at + 40]
        )
    });
    assert_eq!(found, None);
}

/// A run that has failed at a check, whose message quotes a row.
fn failed() -> TempDir {
    let folder = folder();
    let output = whimbrel(folder.path(), &["migrate"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("canary-loaded"), "{}", said(&output));
    folder
}

/// How many rows of the ledger hold something that must not be shown: values and bytes of rejects,
/// notes, words of people.
fn hidden(folder: &TempDir) -> [i64; 4] {
    let target = Connection::open(folder.path().join("people.db")).unwrap();
    let count = |column: &str, table: &str| {
        let of = format!(
            "SELECT count(*) FROM whimbrel_{table} WHERE instr(CAST({column} AS TEXT), 'canary')"
        );
        target.query_row(&of, [], |row| row.get(0)).unwrap()
    };
    [
        count("value", "migration_rejects"),
        count("bytes", "migration_rejects"),
        count("notes", "migration_batches"),
        count("detail", "audit_log"),
    ]
}

#[test]
fn a_bundle_holds_what_support_needs_and_nothing_of_a_record() {
    let folder = failed();
    let (inner, all) = bundle(folder.path(), "sqlite:people.db", "failed.tar.zst");
    without_canaries(&all);
    let runs = lines(&inner, "runs.jsonl");
    assert_eq!(
        (&runs[0]["status"], &runs[0]["error_code"]),
        (&Json::from("failed"), &Json::from("WB0628"))
    );
    let plan = fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap();
    let plan = plan.replace("'canary-check' <> name", "id < 0");
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    assert_eq!(whimbrel(folder.path(), &["migrate"]).status.code(), Some(3));
    let waived = whimbrel(folder.path(), &["rejects", "waive", "all", "--reason", "canary-reason"]);
    assert_eq!(waived.status.code(), Some(0), "{}", said(&waived));
    assert_eq!(hidden(&folder), [3, 7, 1, 1]);
    let (inner, all) = bundle(folder.path(), "sqlite:people.db", "done.tar.zst");
    without_canaries(&all);
    let rejects = lines(&inner, "rejects.jsonl");
    assert!(rejects.len() > 4, "{rejects:?}");
    assert!(rejects.iter().all(|row| row["message"] == "***" && row["code"].is_string()));
    let actions = lines(&inner, "audit.jsonl");
    let actions: Vec<&str> = actions.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(
        actions,
        [
            "run.started",
            "tables.created",
            "run.failed",
            "run.resumed",
            "relate.done",
            "run.completed",
            "rejects.waived"
        ]
    );
    for name in ["steps", "items", "batches", "checks", "checkpoints", "inspect"] {
        let rows = lines(&inner, &format!("{name}.jsonl"));
        assert!(!rows.is_empty() || name == "inspect", "{name}");
    }
    let report: Json =
        serde_json::from_str(&fs::read_to_string(inner.join("report.json")).unwrap()).unwrap();
    assert_eq!(report["schema"], "whimbrel/report/v1");
    assert_eq!(report["outcome"]["rejects"]["total"], rejects.len());
    let about: Json =
        serde_json::from_str(&fs::read_to_string(inner.join("bundle.json")).unwrap()).unwrap();
    assert_eq!(
        (&about["schema"], &about["plan"]),
        (&Json::from("whimbrel/bundle/v1"), &Json::from("people"))
    );
    let target: Json =
        serde_json::from_str(&fs::read_to_string(inner.join("target.json")).unwrap()).unwrap();
    assert_eq!(target["engine"], "sqlite");
    let plan = fs::read_to_string(inner.join("plan.toml")).unwrap();
    for kept in ["cel = \"size(new.name) < 20\"", "${SECRET}", "${TARGET:-***}", "'***'"] {
        assert!(plan.contains(kept), "{kept}\n{plan}");
    }
}

#[test]
fn what_the_bundle_holds_is_said() {
    let folder = failed();
    let output = whimbrel(folder.path(), &["report", "--bundle", "b.tar.zst", "--format", "json"]);
    let document: Json = serde_json::from_slice(&output.stdout).unwrap();
    let data = &document["data"];
    assert_eq!(data["file"], "b.tar.zst");
    assert_eq!(data["bytes"], fs::metadata(folder.path().join("b.tar.zst")).unwrap().len());
    let files: Vec<&str> =
        data["files"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    expect![[r#"
        README.txt
        plan.toml
        bundle.json
        report.json
        runs.jsonl
        steps.jsonl
        items.jsonl
        batches.jsonl
        rejects.jsonl
        checks.jsonl
        checkpoints.jsonl
        audit.jsonl
        target.json
        inspect.jsonl"#]]
    .assert_eq(&files.join("\n"));
}

fn check(folder: &TempDir, arguments: &[&str], code: i32, expected: Expect) {
    let output = whimbrel(folder.path(), arguments);
    assert_eq!(output.status.code(), Some(code), "{}", said(&output));
    expected.assert_eq(&said(&output));
}

#[test]
fn no_file_is_overwritten_and_none_is_left_half() {
    let folder = failed();
    fs::write(folder.path().join("mine.tar.zst"), "mine").unwrap();
    check(
        &folder,
        &["report", "--bundle", "mine.tar.zst"],
        2,
        expect![[r#"
        error[WB0723]: there is a file already: `mine.tar.zst`
          hint: name another one for the bundle
          more: whimbrel explain WB0723
    "#]],
    );
    assert_eq!(fs::read_to_string(folder.path().join("mine.tar.zst")).unwrap(), "mine");
    std::os::unix::fs::symlink("nowhere", folder.path().join("link.tar.zst")).unwrap();
    assert_eq!(
        whimbrel(folder.path(), &["report", "--bundle", "link.tar.zst"]).status.code(),
        Some(2)
    );
    assert!(!folder.path().join("nowhere").exists());
    let nowhere = whimbrel(folder.path(), &["report", "--bundle", "no/such/b.tar.zst"]);
    assert_eq!(nowhere.status.code(), Some(1), "{}", said(&nowhere));
    let both = whimbrel(folder.path(), &["report", "--bundle", "b", "--form", "md"]);
    assert_eq!(both.status.code(), Some(2));
    check(
        &folder,
        &["report", "nobody", "--bundle", "b"],
        2,
        expect![[r#"
        error[WB0620]: no run `nobody` in `sqlite:people.db`
          hint: `whimbrel history` lists the runs
          more: whimbrel explain WB0620
    "#]],
    );
    assert!(!folder.path().join("b").exists());
}

#[test]
fn no_password_of_a_server_is_in_a_bundle() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = server.database("bundle").unwrap();
        let user = format!("bundle{}", std::process::id());
        let name = database.name();
        let statements = match engine {
            Engine::Postgres => format!(
                "CREATE ROLE {user} LOGIN PASSWORD 'canary/p@ss'; GRANT CREATE ON DATABASE {name} TO {user}; \
                 GRANT CREATE ON SCHEMA public TO {user}"
            ),
            Engine::Mysql => format!(
                "CREATE USER {user}@'%' IDENTIFIED BY 'canary/p@ss'; GRANT ALL ON {name}.* TO {user}@'%'"
            ),
        };
        database.run(&statements).unwrap();
        let url = database.tcp_url().unwrap();
        let (scheme, rest) = url.split_once("://").unwrap();
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
        let url = format!("{scheme}://{user}:canary%2Fp%40ss@{place}");
        let folder = folder();
        let plan = PLAN.replace("${TARGET:-sqlite:canary-default.db}", &url);
        let plan = plan.replace("'canary-check' <> name", "id < 0");
        fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
        let migrated = whimbrel(folder.path(), &["migrate"]);
        assert_eq!(migrated.status.code(), Some(3), "{}", said(&migrated));
        let (inner, all) = bundle(folder.path(), "unused", "b.tar.zst");
        without_canaries(&all);
        assert!(!all.contains("p@ss") && !all.contains("p%40ss"), "{all}");
        let plan = fs::read_to_string(inner.join("plan.toml")).unwrap();
        assert!(plan.contains(&format!("{scheme}://{user}:*")), "{plan}");
        let drop = match engine {
            Engine::Postgres => format!("DROP OWNED BY {user} CASCADE; DROP ROLE {user}"),
            Engine::Mysql => format!("DROP USER {user}@'%'"),
        };
        database.run(&drop).unwrap();
    }
}
