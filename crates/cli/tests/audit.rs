//! The audit trail as an operator meets it: what it tells, what `audit verify` finds when somebody has
//! written to the ledger past Whimbrel, and what anchors add.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use rusqlite::Connection;
use serde_json::Value as Json;
use tempfile::TempDir;
use whimbrel_testkit::servers::{self, Engine};

const PLAN: &str = r#"name = "people"
verify = "none"
target = "${TARGET:-sqlite:people.db}"

[source.people]
csv = "data/*.csv"

[[table]]
into = "people"
from = "people"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
name = "name"

[rejects]
max = "50%"
"#;

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/people.csv"), "id,name\n1,Ann\n2,Ben\nx,Cy\n").unwrap();
    fs::write(folder.path().join("whimbrel.toml"), PLAN).unwrap();
    folder
}

/// A run with a reject that was waived: four entries, two checkpoints.
fn waived() -> TempDir {
    let folder = folder();
    assert_eq!(whimbrel(folder.path(), &["migrate"]).status.code(), Some(3));
    let waive = ["rejects", "waive", "all", "--reason", "known"];
    assert_eq!(whimbrel(folder.path(), &waive).status.code(), Some(0));
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
        .env("WHIMBREL_PROGRESS", "none")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn target(folder: &TempDir) -> Connection {
    Connection::open(folder.path().join("people.db")).unwrap()
}

fn sql(folder: &TempDir, statements: &str) {
    target(folder).execute_batch(statements).unwrap();
}

/// What was said and how it ended, without what differs from run to run.
fn said(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap()
        + &String::from_utf8(output.stderr.clone()).unwrap();
    let words = text.split_inclusive([' ', '\n', ',', '(']);
    let words = words.map(|word| {
        let bare = word.trim_end_matches([' ', '\n', ',', '…', ':', ')']);
        let hex = bare.len() >= 8 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        let time = (20..=27).contains(&bare.len()) && bare.starts_with("20") && bare.ends_with('Z');
        let name = match (time, hex) {
            (true, _) => "TIME",
            (_, true) => "HEX",
            (false, false) if bare.contains('@') => "WHO",
            (false, false) => bare,
        };
        format!("{name}{}", &word[bare.len()..])
    });
    format!("{}exit {}\n", words.collect::<String>(), output.status.code().unwrap())
}

fn check(folder: &TempDir, arguments: &[&str], expected: Expect) {
    expected.assert_eq(&said(&whimbrel(folder.path(), arguments)));
}

/// What `audit verify` says after these statements.
fn check_after(statements: &str, expected: Expect) {
    let folder = waived();
    sql(&folder, statements);
    check(&folder, &["audit", "verify"], expected);
}

fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout).unwrap()
}

fn actions(output: &Output) -> Vec<String> {
    let document = json(output);
    let entries = document["data"]["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_log_tells_who_did_what_when() {
    check(
        &waived(),
        &["audit"],
        expect![[r#"
             1  TIME  WHO  run.started        HEX  kind full, plan people, plan_digest HEX…, program 0.1.0, rejects_max 0.5
             2  TIME  WHO  tables.created     HEX  created people
             3  TIME  WHO  run.completed      HEX  checkpoint HEX…, rejects 1, retries 0
             4  TIME  WHO  rejects.waived     HEX  blake3 HEX…, count 1, reason known, rejects people.3, runs HEX
        4 entries. Next: whimbrel audit verify
        exit 0
    "#]],
    );
}

#[test]
fn nothing_was_done_where_there_is_no_ledger() {
    let folder = folder();
    check(
        &folder,
        &["audit"],
        expect![[r#"
        Nothing was done yet. `whimbrel migrate` begins a run.
        exit 0
    "#]],
    );
    let document = json(&whimbrel(folder.path(), &["audit", "--format", "json"]));
    assert_eq!(document["data"], serde_json::json!({ "entries": [], "run": null, "total": 0 }));
    check(
        &folder,
        &["audit", "verify"],
        expect![[r#"
        error[WB0730]: the target holds no ledger: nothing was verified
          hint: `whimbrel migrate` begins one
          more: whimbrel explain WB0730
        exit 8
    "#]],
    );
    check(
        &folder,
        &["audit", "anchor", "anchor.json"],
        expect![[r#"
        error[WB0730]: the target holds no ledger: nothing was verified
          hint: `whimbrel migrate` begins one
          more: whimbrel explain WB0730
        exit 8
    "#]],
    );
    check(
        &folder,
        &["audit", "abc"],
        expect![[r#"
        error[WB0620]: no run of plan `people` in `sqlite:people.db`
          hint: `whimbrel migrate` begins one
          more: whimbrel explain WB0620
        exit 2
    "#]],
    );
    assert!(
        !folder.path().join("people.db").exists() && !folder.path().join("anchor.json").exists()
    );
}

#[test]
fn programs_get_one_document_or_one_an_entry() {
    let folder = waived();
    let whole = whimbrel(folder.path(), &["audit", "--format", "json"]);
    let document = json(&whole);
    assert_eq!(
        actions(&whole),
        ["run.started", "tables.created", "run.completed", "rejects.waived"]
    );
    assert_eq!(document["data"]["total"], 4);
    assert_eq!((&document["success"], &document["exit_code"]), (&Json::from(true), &Json::from(0)));
    let lines = whimbrel(folder.path(), &["audit", "--format", "jsonl", "-o", "log.jsonl"]);
    assert_eq!((lines.status.code(), lines.stdout.len()), (Some(0), 0));
    let lines = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    let lines: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[..4], document["data"]["entries"].as_array().unwrap()[..]);
    assert_eq!((lines.len(), &lines[4]["data"]["total"]), (5, &Json::from(4)));
}

#[test]
fn of_a_run_only_what_touches_it_is_told() {
    let folder = waived();
    fs::write(folder.path().join("data/more.csv"), "id,name\n3,Dee\n").unwrap();
    assert_eq!(whimbrel(folder.path(), &["migrate", "--incremental"]).status.code(), Some(0));
    let runs = json(&whimbrel(folder.path(), &["history", "--format", "json"]));
    let run = |index: usize| runs["data"]["runs"][index]["run"].as_str().unwrap().to_owned();
    let of = |run: &str| actions(&whimbrel(folder.path(), &["audit", run, "--format", "json"]));
    assert_eq!(of(&run(0)), ["run.started", "run.completed"]);
    // The second run names the first one as its parent.
    let first = ["run.started", "tables.created", "run.completed", "rejects.waived", "run.started"];
    assert_eq!(of(&run(1)), first);
    assert_eq!(of(&run(1)[..4]), first);
    // A waiver names the runs of its rejects, whatever run it is done from.
    let plan = fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap();
    fs::write(folder.path().join("other.toml"), plan).unwrap();
    assert_eq!(
        actions(&whimbrel(folder.path(), &["audit", "--plan", "other.toml", "--format", "json"]))
            .len(),
        6
    );
}

#[test]
fn a_run_that_stops_or_fails_says_so() {
    let folder = folder();
    fs::write(
        folder.path().join("whimbrel.toml"),
        PLAN.replace("max = \"50%\"", "max = 0").replace(
            "[rejects]",
            "[[relate]]\nname = \"x\"\nsql = \"UPDATE people SET name = name\"\ncheck = \"SELECT * FROM people\"\nwrites = \"people\"\n\n[rejects]",
        ),
    )
    .unwrap();
    assert_eq!(whimbrel(folder.path(), &["migrate"]).status.code(), Some(7));
    let plan = fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap();
    fs::write(folder.path().join("whimbrel.toml"), plan.replace("max = 0", "max = 9")).unwrap();
    assert_eq!(whimbrel(folder.path(), &["migrate"]).status.code(), Some(1));
    check(
        &folder,
        &["audit"],
        expect![[r#"
             1  TIME  WHO  run.started        HEX  kind full, plan people, plan_digest HEX…, program 0.1.0, rejects_max 0
             2  TIME  WHO  tables.created     HEX  created people
             3  TIME  WHO  run.interrupted    HEX  attempt 1, phase load, reason reject_limit, retries 0
             4  TIME  WHO  run.resumed        HEX  attempt 2, plan_digest HEX…, program 0.1.0, rejects_max 9
             5  TIME  WHO  run.failed         HEX  attempt 2, code WB0628, phase relate, retries 0
        5 entries. Next: whimbrel audit verify
        exit 0
    "#]],
    );
}

#[test]
fn a_long_log_is_told_to_its_end() {
    let folder = waived();
    let more = "WITH RECURSIVE n (i) AS (SELECT 5 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
        INSERT INTO whimbrel_audit_log SELECT i, 'now', 'eve', 'x', 'y', '{}', x'', x'' FROM n";
    sql(&folder, more);
    assert_eq!(actions(&whimbrel(folder.path(), &["audit", "--format", "json"])).len(), 1500);
    let text = said(&whimbrel(folder.path(), &["audit"]));
    assert_eq!(text.lines().count(), 1502);
    // One that cannot be read to its end is a whole document all the same.
    sql(&folder, "UPDATE whimbrel_audit_log SET seq = 9000, detail = x'ff' WHERE seq = 1500");
    let text = said(&whimbrel(folder.path(), &["audit"]));
    assert!(text.lines().count() > 1_400 && text.contains("error[WB0301]"), "{text}");
    let output = whimbrel(folder.path(), &["audit", "--format", "json"]);
    let document = json(&output);
    assert_eq!(output.status.code(), Some(6), "{document}");
    assert!(document["data"]["entries"].as_array().unwrap().len() >= 1400);
    assert_eq!(
        (&document["success"], &document["error"]),
        (&Json::from(false), &Json::from("WB0301"))
    );
}

#[test]
fn text_of_the_ledger_cannot_steer_the_terminal() {
    let folder = waived();
    sql(
        &folder,
        "UPDATE whimbrel_audit_log SET actor = char(27) || '[2J', detail = '{\"a\":\"' || char(92) || 'u001b[2J' || \
         printf('%.9000c', 'x') || '\"}', object = 'a' || char(10) || 'b' WHERE seq = 2",
    );
    let output = whimbrel(folder.path(), &["audit"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 5, "{text}");
    assert!(!text.contains('\u{1b}') && text.len() < 2_000, "{text}");
    assert!(text.contains("\\u{1b}[2J") && text.contains("a\\nb"), "{text}");
}

#[test]
fn an_untouched_trail_holds_and_says_what_it_cannot_show() {
    check(
        &waived(),
        &["audit", "verify"],
        expect![[r#"
        ok    audit log    4 entries, head HEX
        ok    checkpoints  2 of 1 run
        ! the chain alone cannot show whether entries were cut off at its end, or recomputed from some entry on to its end; an anchor that is kept elsewhere can
        Next: whimbrel audit anchor FILE, and later whimbrel audit verify --anchor FILE
        exit 0
    "#]],
    );
}

#[test]
fn a_changed_entry_is_found() {
    check_after(
        "UPDATE whimbrel_audit_log SET actor = 'eve' WHERE seq = 2",
        expect![[r#"
        FAIL  audit log    4 entries, head HEX
              entry 2 was changed: its content does not give its hash
        ok    checkpoints  2 of 1 run
        The audit trail does not hold: 1 fault; whimbrel explain WB0729
        exit 4
    "#]],
    );
}

#[test]
fn removed_exchanged_and_inserted_entries_are_found() {
    check_after(
        "DELETE FROM whimbrel_audit_log WHERE seq IN (2, 3)",
        expect![[r#"
            FAIL  audit log    2 entries, head HEX
                  entries 2 to 3 are missing
            ok    checkpoints  2 of 1 run
            The audit trail does not hold: 1 fault; whimbrel explain WB0729
            exit 4
        "#]],
    );
    check_after(
        "UPDATE whimbrel_audit_log SET seq = seq + 100 WHERE seq IN (2, 3);
         UPDATE whimbrel_audit_log SET seq = CASE seq WHEN 102 THEN 3 ELSE 2 END WHERE seq > 100",
        expect![[r#"
            FAIL  audit log    4 entries, head HEX
                  entry 2 was written as 3
                  entry 3 was written as 2
                  entry 4 does not follow the one before: either was replaced
            ok    checkpoints  2 of 1 run
            The audit trail does not hold: 3 faults; whimbrel explain WB0729
            exit 4
        "#]],
    );
    check_after(
        "UPDATE whimbrel_audit_log SET seq = seq + 100 WHERE seq > 2;
         UPDATE whimbrel_audit_log SET seq = seq - 99 WHERE seq > 100;
         INSERT INTO whimbrel_audit_log SELECT 3, at, 'eve', action, object, detail, previous, hash
            FROM whimbrel_audit_log WHERE seq = 2",
        expect![[r#"
            FAIL  audit log    5 entries, head HEX
                  entry 3 was changed: its content does not give its hash
                  entry 4 was written as 3
                  entry 5 was written as 4
            ok    checkpoints  2 of 1 run
            The audit trail does not hold: 3 faults; whimbrel explain WB0729
            exit 4
        "#]],
    );
}

#[test]
fn changed_and_missing_checkpoints_are_found() {
    check_after(
        "UPDATE whimbrel_migration_checkpoints SET detail = '{}' WHERE seq = 0",
        expect![[r#"
            ok    audit log    4 entries, head HEX
            FAIL  checkpoints  2 of 1 run
                  run HEX, checkpoint 0 was changed: its content does not give its hash
            The audit trail does not hold: 1 fault; whimbrel explain WB0729
            exit 4
        "#]],
    );
    check_after(
        "DELETE FROM whimbrel_migration_checkpoints WHERE seq = 1",
        expect![[r#"
            ok    audit log    4 entries, head HEX
            FAIL  checkpoints  1 of 1 run
                  run HEX: its last checkpoint, which entry 3 of the audit log names, is missing: HEX
            The audit trail does not hold: 1 fault; whimbrel explain WB0729
            exit 4
        "#]],
    );
}

#[test]
fn a_ledger_that_cannot_be_read_is_not_verified() {
    let folder = waived();
    sql(&folder, "DROP TABLE whimbrel_audit_log");
    let output = whimbrel(folder.path(), &["audit", "verify"]);
    assert_eq!(output.status.code(), Some(8), "{}", said(&output));
    fs::write(folder.path().join("people.db"), "this is no database, only text that says so")
        .unwrap();
    let output = whimbrel(folder.path(), &["audit", "verify", "--format", "json"]);
    let document = json(&output);
    assert_eq!((output.status.code(), &document["exit_code"]), (Some(8), &Json::from(8)));
    assert_eq!(
        (&document["success"], &document["retryable"]),
        (&Json::from(false), &Json::from(false))
    );
}

#[test]
fn programs_are_told_what_is_broken() {
    let folder = waived();
    sql(&folder, "DELETE FROM whimbrel_audit_log WHERE seq IN (2, 3)");
    let document = json(&whimbrel(folder.path(), &["audit", "verify", "--format", "json"]));
    assert_eq!(
        (&document["error"], &document["exit_code"]),
        (&Json::from("WB0729"), &Json::from(4))
    );
    let fault = serde_json::json!({
        "chain": "audit", "run": null, "seq": 2, "to": 3, "what": "missing",
        "message": "entries 2 to 3 are missing",
    });
    assert_eq!(document["data"]["faults"], Json::from(vec![fault]));
}

#[test]
fn an_anchor_shows_what_was_cut_off() {
    let folder = waived();
    check(
        &folder,
        &["audit", "anchor", "anchor.json"],
        expect![[r#"
        anchor of 4 entries written to anchor.json
        ! keep it where nobody who can write to the target can change it
        Next: whimbrel audit verify --anchor anchor.json
        exit 0
    "#]],
    );
    check(
        &folder,
        &["audit", "verify", "--anchor", "anchor.json"],
        expect![[r#"
            ok    audit log    4 entries, head HEX
            ok    checkpoints  2 of 1 run
            ok    anchor       entry 4 (TIME) is in the log; 0 entries since
            exit 0
        "#]],
    );
    sql(&folder, "DELETE FROM whimbrel_audit_log WHERE seq = 4");
    assert_eq!(whimbrel(folder.path(), &["audit", "verify"]).status.code(), Some(0));
    check(
        &folder,
        &["audit", "verify", "--anchor", "anchor.json"],
        expect![[r#"
            ok    audit log    3 entries, head HEX
            ok    checkpoints  2 of 1 run
            FAIL  anchor       entry 4 (TIME) is not in the log, which ends with 3
            Entries were cut off at the end of the log; whimbrel explain WB0729
            exit 4
        "#]],
    );
    let before = fs::read(folder.path().join("anchor.json")).unwrap();
    check(
        &folder,
        &["audit", "anchor", "anchor.json"],
        expect![[r#"
            ok    audit log    3 entries, head HEX
            ok    checkpoints  2 of 1 run
            FAIL  anchor       entry 4 (TIME) is not in the log, which ends with 3
            Entries were cut off at the end of the log; no anchor was written
            exit 4
        "#]],
    );
    assert_eq!(fs::read(folder.path().join("anchor.json")).unwrap(), before);
}

#[test]
fn an_anchor_follows_its_log_and_no_other() {
    let folder = waived();
    let anchor = |name: &str| whimbrel(folder.path(), &["audit", "anchor", name]);
    assert_eq!(anchor("anchor.json").status.code(), Some(0));
    let first = fs::read(folder.path().join("anchor.json")).unwrap();
    fs::write(folder.path().join("data/more.csv"), "id,name\n3,Dee\n").unwrap();
    assert_eq!(whimbrel(folder.path(), &["migrate", "--incremental"]).status.code(), Some(0));
    check(
        &folder,
        &["audit", "verify", "--anchor", "anchor.json"],
        expect![[r#"
            ok    audit log    6 entries, head HEX
            ok    checkpoints  4 of 2 runs
            ok    anchor       entry 4 (TIME) is in the log; 2 entries since
            exit 0
        "#]],
    );
    assert_eq!(anchor("anchor.json").status.code(), Some(0));
    let second = fs::read(folder.path().join("anchor.json")).unwrap();
    assert_ne!(first, second);
    // Another target, with a log of its own.
    let other = self::folder();
    assert_eq!(whimbrel(other.path(), &["migrate"]).status.code(), Some(3));
    let elsewhere = folder.path().join("anchor.json");
    let elsewhere = elsewhere.to_str().unwrap();
    let verified = whimbrel(other.path(), &["audit", "verify", "--anchor", elsewhere]);
    let text = said(&verified);
    assert!(text.contains("of another ledger; whimbrel explain WB0732\nexit 4"), "{text}");
    let refused = whimbrel(other.path(), &["audit", "anchor", elsewhere]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert_eq!(fs::read(elsewhere).unwrap(), second);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        4,
        "nothing is left beside the anchor"
    );
}

#[test]
fn what_is_no_anchor_is_left_alone() {
    let folder = waived();
    fs::write(folder.path().join("notes.txt"), "dear diary").unwrap();
    check(
        &folder,
        &["audit", "anchor", "notes.txt"],
        expect![[r#"
        error[WB0731]: the file is no anchor: `notes.txt`; it was left alone
          hint: `whimbrel audit anchor FILE` writes one
          more: whimbrel explain WB0731
        exit 2
    "#]],
    );
    assert_eq!(fs::read_to_string(folder.path().join("notes.txt")).unwrap(), "dear diary");
    check(
        &folder,
        &["audit", "verify", "--anchor", "notes.txt"],
        expect![[r#"
        error[WB0731]: the file is no anchor: `notes.txt`; it was left alone
          hint: `whimbrel audit anchor FILE` writes one
          more: whimbrel explain WB0731
        exit 2
    "#]],
    );
    let missing = whimbrel(folder.path(), &["audit", "verify", "--anchor", "no/such.json"]);
    assert_eq!(missing.status.code(), Some(2));
    fs::rename(folder.path().join("whimbrel.toml"), folder.path().join("other.toml")).unwrap();
    let written = whimbrel(folder.path(), &["audit", "anchor", "new.json", "--plan", "other.toml"]);
    let text = said(&written);
    assert!(text.contains("audit verify --anchor new.json --plan other.toml\n"), "{text}");
    let verify = ["audit", "verify", "--anchor", "new.json", "-p", "other.toml"];
    assert_eq!(whimbrel(folder.path(), &verify).status.code(), Some(0));
    fs::rename(folder.path().join("other.toml"), folder.path().join("whimbrel.toml")).unwrap();
    let refused = whimbrel(folder.path(), &["audit", "anchor", "no/such.json"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
}

#[test]
fn the_trail_is_verified_on_every_engine() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = server.database("audit").unwrap();
        let folder = folder();
        let url = database.url();
        let run = |arguments: &[&str]| on(folder.path(), &url, arguments);
        assert_eq!(run(&["migrate"]).status.code(), Some(3));
        fs::write(folder.path().join("data/more.csv"), "id,name\n3,Dee\n").unwrap();
        assert_eq!(run(&["migrate", "--incremental"]).status.code(), Some(0));
        let verified = run(&["audit", "verify"]);
        let text = said(&verified);
        assert!(text.contains("ok    audit log    5 entries, head HEX\n"), "{text}");
        assert!(text.contains("ok    checkpoints  4 of 2 runs\n"), "{text}");
        assert_eq!(verified.status.code(), Some(0));
    }
}
