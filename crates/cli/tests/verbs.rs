//! What an operator sees of each verb: answers, envelopes, errors, exit codes.

// `allow-unwrap-in-tests` does not reach what tests share; `Expect` is made to be handed over.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use serde_json::Value as Json;
use tempfile::TempDir;

const PLAN: &str = r#"name = "people"
target = "sqlite:people.db"

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

/// Verbs that read and never write, on a plan that was migrated.
const READ_ONLY: &[&[&str]] = &[
    &["status"],
    &["history"],
    &["report"],
    &["report", "--form", "html"],
    &["report", "--form", "junit"],
    &["audit"],
    &["audit", "verify"],
    &["rejects", "list"],
    &["rejects", "list", "--all"],
    &["rejects", "show", "data/people.csv:4"],
    &["check-incremental"],
    &["analyze", "data"],
    &["validate"],
    &["plan"],
    &["plan", "--check"],
    &["migrate", "--dry-run"],
    &["explain"],
    &["explain", "WB0001"],
    &["schema", "plan"],
    &["completions", "bash"],
];

/// Those of them that need a plan.
const ON_PLAN: &[&[&str]] = &[
    &["status"],
    &["history"],
    &["report"],
    &["audit"],
    &["audit", "verify"],
    &["audit", "anchor", "anchor.json"],
    &["rejects", "list"],
    &["rejects", "show", "1.3"],
    &["check-incremental"],
    &["validate"],
    &["plan"],
    &["migrate", "--dry-run"],
    &["migrate"],
];

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/people.csv"), "id,name\n1,Ann\n2,Ben\nx,Cy\n").unwrap();
    fs::write(folder.path().join("whimbrel.toml"), PLAN).unwrap();
    folder
}

fn migrated() -> TempDir {
    let folder = folder();
    let output = whimbrel(folder.path(), &["migrate"]);
    assert_eq!(code(&output), 3, "{}", stderr(&output));
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
        .env("COLUMNS", "100")
        .env_remove("WHIMBREL_PROGRESS")
        .env_remove("WHIMBREL_NO_SUCH_VARIABLE");
    command
}

fn whimbrel(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(output: &Output) -> Json {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

/// Exit 2, nothing on standard output, and this on standard error.
fn check_refused(folder: &Path, arguments: &[&str], expected: Expect) {
    let output = whimbrel(folder, arguments);
    assert_eq!((code(&output), stdout(&output).as_str()), (2, ""), "{arguments:?}");
    expected.assert_eq(&stderr(&output));
}

/// What a plan with this edit is told.
fn check_plan(from: &str, to: &str, expected: Expect) {
    let folder = folder();
    assert!(PLAN.contains(from));
    fs::write(folder.path().join("whimbrel.toml"), PLAN.replace(from, to)).unwrap();
    check_refused(folder.path(), &["status"], expected);
}

fn check_help(arguments: &[&str], expected: Expect) {
    let folder = tempfile::tempdir().unwrap();
    let output = whimbrel(folder.path(), &[arguments, &["-h"]].concat());
    assert_eq!(code(&output), 0);
    let text = stdout(&output);
    let own = text.lines().take_while(|line| !line.starts_with("Options:"));
    expected
        .assert_eq(&own.map(|line| format!("{}\n", line.trim_end())).collect::<Vec<_>>().concat());
}

#[test]
fn an_unknown_key_is_shown_with_its_place_and_a_suggestion() {
    check_plan(
        "key = ",
        "keyy = ",
        expect![[r#"
        error[WB0003]: unknown key `keyy` in `[[table]]` `people`
          --> whimbrel.toml:10:1
            |
         10 | keyy = ["id"]
            | ^^^^
        help: did you mean `key`?

        error[WB0003]: the plan `whimbrel.toml` has 1 error
          hint: docs/plan-reference.md describes every key
          more: whimbrel explain WB0003
    "#]],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_its_place() {
    check_plan(
        "key = [\"id\"]",
        "key = 1",
        expect![[r#"
            error[WB0004]: `key` must be a text or a list of texts, not a whole number
              --> whimbrel.toml:10:7
                |
             10 | key = 1
                |       ^

            error[WB0004]: the plan `whimbrel.toml` has 1 error
              hint: docs/plan-reference.md describes every key
              more: whimbrel explain WB0004
        "#]],
    );
}

#[test]
fn a_plan_that_is_not_toml_is_shown_where_it_breaks_off() {
    check_plan(
        "name = \"people\"",
        "name = \"people",
        expect![[r#"
        error[WB0001]: invalid basic string, expected `"`
          --> whimbrel.toml:1:15
           |
         1 | name = "people
           |               ^

        error[WB0001]: the plan `whimbrel.toml` has 1 error
          hint: docs/plan-reference.md describes every key
          more: whimbrel explain WB0001
    "#]],
    );
}

#[test]
fn all_mistakes_of_a_plan_are_shown_at_once_also_those_of_its_data() {
    let folder = folder();
    let plan = PLAN.replace("from = \"id\"", "from = \"idd\"").replace("\"name\"", "\"nam\"");
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    check_refused(
        folder.path(),
        &["migrate"],
        expect![[r#"
        error[WB0201]: `people` has no column `idd`
          --> whimbrel.toml:12:15
            |
         12 | id = { from = "idd", type = "integer" }
            |               ^^^^^
        help: did you mean `id`?

        error[WB0201]: `people` has no column `nam`
          --> whimbrel.toml:13:8
            |
         13 | name = "nam"
            |        ^^^^^
        help: did you mean `name`?

        error[WB0201]: the plan does not fit: 2 errors
          hint: correct the plan; nothing was written
          more: whimbrel explain WB0201
    "#]],
    );
    assert!(!folder.path().join("people.db").exists());
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    check_plan(
        "sqlite:people.db",
        "${WHIMBREL_NO_SUCH_VARIABLE}",
        expect![[r#"
        error[WB0007]: the variable `WHIMBREL_NO_SUCH_VARIABLE` is not set
          --> whimbrel.toml:2:10
           |
         2 | target = "${WHIMBREL_NO_SUCH_VARIABLE}"
           |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        help: set it, or write `${WHIMBREL_NO_SUCH_VARIABLE:-default}`

        error[WB0007]: the plan `whimbrel.toml` has 1 error
          hint: docs/plan-reference.md describes every key
          more: whimbrel explain WB0007
    "#]],
    );
}

#[test]
fn a_missing_plan_is_a_matter_of_usage() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(
        folder.path(),
        &["status"],
        expect![[r#"
        error[WB0703]: the plan cannot be read: `whimbrel.toml`
          caused by: No such file or directory (os error 2)
          hint: `whimbrel init DIR` writes a plan from a folder of data, `whimbrel init URL` from a database
          more: whimbrel explain WB0703
    "#]],
    );
}

#[test]
fn a_target_that_is_no_database_is_refused_and_left_alone() {
    let folder = folder();
    let (plan, data) = (folder.path().join("whimbrel.toml"), folder.path().join("data/people.csv"));
    fs::write(plan, PLAN.replace("sqlite:people.db", "sqlite:data/people.csv")).unwrap();
    let before = fs::read(&data).unwrap();
    assert_eq!(code(&whimbrel(folder.path(), &["migrate"])), 2);
    assert_eq!(fs::read(&data).unwrap(), before);
    check_refused(
        folder.path(),
        &["status"],
        expect![[r#"
            error[WB0402]: open the database: the file is not a SQLite database: `./data/people.csv`
              caused by: SQLite's result code 26
              more: whimbrel explain WB0402
        "#]],
    );
}

#[test]
fn a_target_that_does_not_exist_is_not_made_by_looking() {
    let folder = folder();
    check_refused(
        folder.path(),
        &["status"],
        expect![[r#"
        error[WB0620]: no run of plan `people` in `sqlite:people.db`
          hint: `whimbrel migrate` begins one
          more: whimbrel explain WB0620
    "#]],
    );
    assert!(!folder.path().join("people.db").exists());
}

#[test]
fn a_run_that_is_not_there_is_said_so() {
    let folder = migrated();
    check_refused(
        folder.path(),
        &["report", "ffffffffff"],
        expect![[r#"
        error[WB0620]: no run `ffffffffff` in `sqlite:people.db`
          hint: `whimbrel history` lists the runs
          more: whimbrel explain WB0620
    "#]],
    );
}

#[test]
fn mistakes_of_usage_end_with_2() {
    let folder = folder();
    for arguments in [
        &["statsu"][..],
        &[],
        &["status", "--no-such-flag"],
        &["report", "--form", "pdf"],
        &["completions", "tcsh"],
        &["schema"],
        &["schema", "target"],
        &["explain", "WB9999"],
        &["migrate", "--workers", "0"],
        &["migrate", "--batch-size", "many"],
        &["migrate", "--deadline", "soon"],
        &["migrate", "--dry-run", "--incremental"],
        &["rejects", "waive", "1.3"],
    ] {
        let output = whimbrel(folder.path(), arguments);
        assert_eq!((code(&output), stdout(&output).as_str()), (2, ""), "{arguments:?}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
    assert!(!folder.path().join("people.db").exists(), "nothing was written");
}

#[test]
fn explain_knows_a_code_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let long = stdout(&whimbrel(folder.path(), &["explain", "WB0613"]));
    expect![[r#"
        WB0613: files cannot be read

        Files that match a source exist but cannot be opened. Check the permissions of
        the source directory for the user who runs Whimbrel, or `exclude` the files.
    "#]]
    .assert_eq(&long);
    for short in ["wb0613", "0613", "613"] {
        assert_eq!(stdout(&whimbrel(folder.path(), &["explain", short])), long);
    }
}

#[test]
fn explain_suggests_the_code_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(
        folder.path(),
        &["explain", "WB9613"],
        expect![[r#"
        error[WB0720]: no such code: `WB9613`
          hint: did you mean `WB0613` (files cannot be read)?
          more: whimbrel explain WB0720
    "#]],
    );
}

/// `"WB0101"` and `` `WB0101` `` in the sources and pages of the project.
fn mentioned(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("tests") && !path.ends_with("target") {
                mentioned(&path, codes);
            }
            continue;
        }
        let known =
            path.extension().is_some_and(|extension| extension == "rs" || extension == "md");
        if !known {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for rest in text.split("WB").skip(1) {
            let digits: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
            if digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                codes.insert(format!("WB{digits}"));
            }
        }
    }
}

#[test]
fn every_code_in_sources_and_pages_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let answer = json(&whimbrel(folder.path(), &["explain", "--format", "json"]));
    let explained: Vec<&str> = answer["data"]["codes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|code| code["code"].as_str().unwrap())
        .collect();
    let different: BTreeSet<&str> = explained.iter().copied().collect();
    assert_eq!(different.len(), explained.len(), "a code is explained twice");
    let mut codes = BTreeSet::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    mentioned(&root.join("crates"), &mut codes);
    mentioned(&root.join("docs"), &mut codes);
    let missing: Vec<_> = codes.iter().filter(|code| !different.contains(code.as_str())).collect();
    assert!(codes.len() > 100 && missing.is_empty(), "not explained: {missing:?}");
}

#[test]
fn an_answer_in_json_is_one_envelope() {
    let folder = migrated();
    for arguments in READ_ONLY {
        for format in ["json", "jsonl"] {
            // Its entries are lines of their own: `tests/audit.rs`.
            if (*arguments, format) == (&["audit"], "jsonl") {
                continue;
            }
            let output = whimbrel(folder.path(), &[*arguments, &["--format", format]].concat());
            let answer = json(&output);
            assert_eq!(answer["success"], true, "{arguments:?}");
            assert_eq!(answer["exit_code"], code(&output), "{arguments:?}");
            assert!(
                answer["message"].is_string() && answer["timestamp"].is_string(),
                "{arguments:?}"
            );
            assert!(
                answer["data"].is_object() && answer["retryable"].is_boolean(),
                "{arguments:?}"
            );
            assert!(answer.get("error").is_none(), "{arguments:?}");
            assert_eq!(stdout(&output).lines().count() == 1, format == "jsonl", "{arguments:?}");
        }
    }
}

#[test]
fn an_error_in_json_is_one_envelope_too() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in ON_PLAN.iter().chain(&[&["explain", "WB9999"][..]]) {
        let output = whimbrel(folder.path(), &[*arguments, &["--format", "json"]].concat());
        let answer = json(&output);
        assert_eq!((code(&output), &answer["exit_code"]), (2, &Json::from(2)), "{arguments:?}");
        assert_eq!(
            (&answer["success"], &answer["data"]),
            (&Json::from(false), &Json::Null),
            "{arguments:?}"
        );
        let error = answer["error"].as_str().unwrap();
        assert!(stderr(&output).contains(&format!("error[{error}]")), "{arguments:?}");
        assert!(answer["details"]["causes"].is_array(), "{arguments:?}");
    }
}

/// For each verb a line that fails, in a folder with a broken plan and plans whose records are all
/// bad.
const FAILING: &[(&[&str], i32)] = &[
    (&["analyze", "nowhere"], 2),
    (&["init", "nowhere"], 2),
    (&["init", "data"], 2),
    (&["demo", "data"], 2),
    (&["plan", "broken.toml"], 2),
    (&["plan", "nowhere.toml"], 2),
    (&["validate", "broken.toml"], 2),
    (&["validate", "cel.toml"], 2),
    (&["check-incremental", "broken.toml"], 2),
    (&["check-incremental", "new.toml"], 2),
    (&["migrate", "broken.toml"], 2),
    (&["migrate", "--deadline", "soon"], 2),
    (&["migrate"], 7),
    (&["migrate", "new.toml", "--deadline", "0s"], 75),
    (&["status", "nobody"], 2),
    (&["history", "--plan", "broken.toml"], 2),
    (&["rejects", "list", "nobody"], 2),
    (&["rejects", "show", "nothing"], 2),
    (&["rejects", "export", "data"], 1),
    (&["rejects", "retry", "WB9999"], 2),
    (&["rejects", "waive", "WB9999", "--reason", "old"], 2),
    (&["report", "nobody"], 2),
    (&["audit", "nobody"], 2),
    (&["audit", "verify", "--plan", "new.toml"], 8),
    (&["audit", "verify", "--anchor", "whimbrel.toml"], 2),
    (&["audit", "anchor", "whimbrel.toml"], 2),
    (&["verify", "nobody"], 2),
    (&["verify", "--waive", " "], 2),
    (&["prove", "nobody", "--row", "people/1"], 2),
    (&["prove", "--record", "data/people.csv:2"], 8),
    (&["compare", "sqlite:gone.db", "sqlite:people.db"], 2),
    (&["compare", "sqlite:people.db", "sqlite:people.db", "--wait", "soon"], 2),
    (&["explain", "WB9999"], 2),
    (&["schema", "nothing"], 2),
    (&["completions", "nothing"], 2),
];

/// The verbs below a verb, as its help lists them.
fn verbs(below: &[&str]) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let help = stdout(&whimbrel(folder.path(), &[below, &["-h"]].concat()));
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    list.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

#[test]
fn every_verb_answers_an_error_in_the_one_shape() {
    let folder = folder();
    let path = folder.path();
    fs::write(path.join("data/people.csv"), "id,name\nx,Ann\ny,Ben\n").unwrap();
    fs::write(path.join("whimbrel.toml"), PLAN.replace("\"50%\"", "0")).unwrap();
    fs::write(path.join("new.toml"), PLAN.replace("people.db", "new.db")).unwrap();
    fs::write(path.join("broken.toml"), PLAN.replace("key =", "keyy =")).unwrap();
    let fails = PLAN.replace("= \"name\"", "= { cel = \"name + 1\" }");
    fs::write(path.join("cel.toml"), fails.replace("\"integer\"", "\"text\"")).unwrap();
    let asked = |depth: usize| -> BTreeSet<String> {
        FAILING.iter().filter_map(|(line, _)| line.get(depth).map(ToString::to_string)).collect()
    };
    assert_eq!(asked(0), verbs(&[]));
    assert!(verbs(&["rejects"]).is_subset(&asked(1)), "{:?}", verbs(&["rejects"]));
    for (arguments, exit) in FAILING {
        for format in ["json", "jsonl"] {
            // A deadline ends a run at its first checkpoint, and this one's is its last too.
            let _gone = fs::remove_file(path.join("new.db"));
            let output = whimbrel(path, &[*arguments, &["--format", format]].concat());
            let text = stdout(&output);
            let text = if format == "json" { &text } else { text.lines().last().unwrap() };
            let answer: Json = serde_json::from_str(text).unwrap();
            assert_eq!((code(&output), &answer["exit_code"]), (*exit, &(*exit).into()), "{text}");
            let keys: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(
                keys,
                [
                    "data",
                    "details",
                    "error",
                    "exit_code",
                    "message",
                    "retryable",
                    "success",
                    "timestamp"
                ],
                "{text}"
            );
            assert_eq!(answer["success"], false, "{text}");
            assert_eq!(answer["retryable"], matches!(exit, 11 | 75 | 130 | 143), "{text}");
            assert!(answer["data"].is_null() || answer["data"].is_object(), "{text}");
            assert!(answer["timestamp"].is_string() && answer["message"].is_string(), "{text}");
            let details: Vec<&str> =
                answer["details"].as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(details, ["causes", "errors", "hint", "run"], "{text}");
            let error = answer["error"].as_str().unwrap();
            assert_eq!(code(&whimbrel(path, &["explain", error])), 0, "{text}");
        }
    }
}

#[test]
fn a_plan_that_is_not_utf8_is_told_by_its_byte() {
    let folder = folder();
    let told = |bytes: &[u8], expected: Expect| {
        fs::write(folder.path().join("whimbrel.toml"), bytes).unwrap();
        let output = whimbrel(folder.path(), &["validate"]);
        assert_eq!((code(&output), stdout(&output).as_str()), (2, ""));
        expected.assert_eq(&stderr(&output));
    };
    told(
        b"name = \"a\"\n# Z\xfcrich\n",
        expect![[r#"
        error[WB0703]: the plan is not UTF-8: `whimbrel.toml`
          caused by: byte 0xfc at offset 14, in line 2
          hint: write that character in UTF-8, or save the plan as UTF-8
          more: whimbrel explain WB0703
    "#]],
    );
    told(
        b"\xff\xfen\0a\0",
        expect![[r#"
        error[WB0703]: the plan is not UTF-8: `whimbrel.toml`
          caused by: byte 0xff at offset 0, in line 1
          hint: it begins like UTF-16: save it as UTF-8
          more: whimbrel explain WB0703
    "#]],
    );
}

#[test]
fn a_failed_check_says_its_code() {
    let folder = folder();
    fs::remove_file(folder.path().join("data/people.csv")).unwrap();
    let output = whimbrel(folder.path(), &["validate", "--format", "json"]);
    let answer = json(&output);
    assert_eq!((code(&output), &answer["error"]), (2, &Json::from("WB0716")));
    let checks = answer["data"]["checks"].as_array().unwrap();
    let failed: Vec<&Json> = checks.iter().filter(|check| check["ok"] == false).collect();
    assert_eq!(failed.len(), 1, "{answer}");
    assert_eq!(failed[0]["code"], "WB0612", "{answer}");
    assert_eq!(answer["message"], "1 failed check");
    let said = stdout(&whimbrel(folder.path(), &["validate"]));
    assert!(said.contains("matches no file: `data/*.csv` (WB0612)\n"), "{said}");
}

#[test]
fn nothing_in_a_plan_or_its_data_steers_the_terminal() {
    let folder = folder();
    let hostile = "\u{1b}[2J\u{9b}31m\u{202e}";
    let plan = PLAN
        .replace("into = \"people\"", r#"into = "\u001b[2J\u009b31m\u202e""#)
        .replace("name = \"name\"", r#""\u001b[2J\u009b31m\u202e" = "name""#);
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    let records = format!("id,name\n1,{hostile}\n2,Ben\n{hostile},Cy\n");
    fs::write(folder.path().join("data/people.csv"), records).unwrap();
    let beside: &[&[&str]] = &[
        &["migrate", "-v"],
        &["rejects", "export", hostile],
        &["rejects", "show", hostile],
        &["status", "--plan", hostile],
        &["status", hostile],
        &["explain", hostile],
        &["analyze", hostile],
        &["init", hostile],
        &["init", "data", "--out", hostile],
        &["validate"],
        &["plan"],
        &["migrate", "--dry-run"],
    ];
    for arguments in beside.iter().chain(READ_ONLY) {
        let output = whimbrel(folder.path(), arguments);
        let said = stdout(&output) + &stderr(&output);
        let steers = |character: char| "\u{1b}\u{9b}\u{202e}".contains(character);
        assert!(!said.contains(steers), "{arguments:?}: {said:?}");
    }
}

#[test]
fn settings_of_a_column_that_is_not_there_are_a_mistake() {
    let folder = folder();
    let plan = PLAN.replace("csv = ", "columns = { names = { null = [\"\"] } }\ncsv = ");
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    let output = whimbrel(folder.path(), &["migrate"]);
    let said = stderr(&output);
    assert_eq!(code(&output), 2, "{said}");
    assert!(said.contains("error[WB0201]: `people` has no column `names`"), "{said}");
    assert!(said.contains("help: did you mean `name`?"), "{said}");
}

/// The mapping's check of a plan over records, with its line and how `validate` ended.
fn mapping_checked(plan: &str, records: &str) -> (i32, String, Json) {
    let folder = folder();
    fs::write(folder.path().join("data/people.csv"), records).unwrap();
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    let said = stdout(&whimbrel(folder.path(), &["validate"]));
    let line = said.lines().find(|line| line.contains("  mapping  ")).unwrap().to_owned();
    let output = whimbrel(folder.path(), &["validate", "--format", "json"]);
    let checks = json(&output)["data"]["checks"].clone();
    let mut check = checks.as_array().unwrap().iter().filter(|it| it["name"] == "mapping");
    (code(&output), line, check.next().unwrap().clone())
}

#[test]
fn records_that_are_all_rejected_are_a_warning_with_the_code_of_most() {
    let (code, line, check) = mapping_checked(PLAN, "id,name\nx,Ann\ny,Ben\n");
    expect![[r#"
        warn  mapping              `people`: 2 records tried, 2 rejected; most often WB0230 not an integer as it stands"#]]
    .assert_eq(&line);
    assert_eq!((code, &check["ok"], &check["warning"]), (0, &true.into(), &true.into()));
    assert_eq!(check["code"], "WB0230", "{check}");
    let (code, line, check) = mapping_checked(PLAN, "id,name\n1,Ann\ny,Ben\n");
    assert!(line.starts_with("ok    mapping"), "{line}");
    assert_eq!((code, &check["ok"], &check["warning"]), (0, &true.into(), &false.into()));
    assert_eq!(check["code"], "WB0230", "{check}");
    let (_, _, check) = mapping_checked(PLAN, "id,name\n1,Ann\n");
    assert_eq!((&check["warning"], &check["code"]), (&false.into(), &Json::Null));
}

#[test]
fn an_expression_that_fails_on_every_record_is_a_mistake_of_the_plan() {
    let with = |cel: &str| PLAN.replace("= \"name\"", &format!("= {{ cel = \"{cel}\" }}"));
    let records = "id,name\n1,Ann\n2,Ben\n3,1\n";
    let (code, line, check) = mapping_checked(&with("name + 1"), records);
    expect![[r#"
        FAIL  mapping              `people`: 3 records tried, 3 rejected; the expression of column `name` fails on every record: WB0250 `+` does not take string and int"#]]
    .assert_eq(&line);
    assert_eq!((code, &check["ok"], &check["code"]), (2, &false.into(), &"WB0250".into()));
    let (code, line, _) = mapping_checked(&with("string(int(name))"), records);
    assert_eq!(code, 0, "one record is enough: {line}");
    // What the expression never sees says nothing about it.
    let unseen = "id,name\n1,Ann\n2,\"Ben\" x\n3,-\n";
    let filtered = with("name + 1").replace("key =", "where = \"name != '-'\"\nkey =");
    let (code, line, _) = mapping_checked(&filtered, unseen);
    assert!((code, line.contains("`name` fails on every record")) == (2, true), "{line}");
    let wheres = PLAN.replace("key =", "where = \"name == '-' ? false : int(name) > 0\"\nkey =");
    let (code, line, check) = mapping_checked(&wheres, "id,name\n1,-\n2,Ben\n");
    assert_eq!((code, &check["code"]), (0, &"WB0250".into()), "it left one out: {line}");
    let (code, line, _) = mapping_checked(&wheres, "id,name\n1,Ann\n2,Ben\n");
    assert!((code, line.contains("fails on every record")) == (2, true), "{line}");
}

#[test]
fn validate_tells_limits_of_time_in_the_words_of_plan() {
    let folder = folder();
    let said = |verb: &str, label: &str| {
        let said = stdout(&whimbrel(folder.path(), &[verb]));
        let line = said.lines().find_map(|line| line.split_once(label));
        line.unwrap_or_else(|| panic!("{said}")).1.trim().to_owned()
    };
    let limited = |limits: &str| {
        let plan = format!("timezone = \"UTC\"\n{PLAN}\n{limits}\n");
        fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    };
    limited("[run]\ndeadline = \"2h30s\"");
    assert_eq!(said("validate", "time "), "the deadline is 2h 0m; the run is expected to fit");
    // By now one is open and the other closed.
    for window in ["open = \"00:00\"\nclose = \"12:00\"", "open = \"12:00\"\nclose = \"00:00\""] {
        limited(&format!("[window]\n{window}"));
        let plan = || said("plan", "limits: ");
        let (before, validate, after) = (plan(), said("validate", "time "), plan());
        assert!(validate == before || validate == after, "{before}\n{validate}\n{after}");
        assert!(validate.contains(" window "), "{validate}");
    }
}

#[test]
fn a_line_that_is_not_understood_is_an_envelope_where_it_asks_for_json() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["statsu", "--format", "json"][..],
        &["--format=jsonl"],
        &["report", "--form", "pdf", "--format=json"],
        &["rejects", "waive", "1.3", "--format", "json"],
    ] {
        let output = whimbrel(folder.path(), arguments);
        let answer = json(&output);
        assert_eq!((code(&output), &answer["error"]), (2, &Json::from("WB0727")), "{arguments:?}");
        let message = answer["message"].as_str().unwrap();
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
    let text = whimbrel(folder.path(), &["statsu", "--format", "text", "--", "--format", "json"]);
    assert_eq!((code(&text), stdout(&text).as_str()), (2, ""));
}

#[test]
fn errors_of_a_plan_are_listed_in_json() {
    let folder = folder();
    fs::write(folder.path().join("whimbrel.toml"), PLAN.replace("csv = ", "cvs = ")).unwrap();
    let answer = json(&whimbrel(folder.path(), &["status", "--format", "json"]));
    let errors = answer["details"]["errors"].as_array().unwrap();
    assert!(
        errors.iter().any(|error| error.as_str().unwrap().contains("whimbrel.toml:5:1")),
        "{errors:?}"
    );
}

#[test]
fn output_takes_the_answer_from_standard_output() {
    let folder = migrated();
    for arguments in READ_ONLY {
        let wanted = whimbrel(folder.path(), arguments);
        let output = whimbrel(folder.path(), &[*arguments, &["--output", "answer"]].concat());
        assert_eq!((code(&output), stdout(&output).as_str()), (code(&wanted), ""), "{arguments:?}");
        let answer = fs::read_to_string(folder.path().join("answer")).unwrap();
        assert_eq!(unmeasured(&answer), unmeasured(&stdout(&wanted)), "{arguments:?}");
    }
}

/// An answer without the lines that say how fast this machine is, and how full.
fn unmeasured(answer: &str) -> Vec<&str> {
    let measured = |line: &&str| line.contains("records/s") || line.contains(" free");
    answer.lines().filter(|line| !measured(line)).collect()
}

/// Every file of a folder, with its bytes.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(contents(&path));
            files.insert(path, Vec::new());
        } else {
            let bytes = fs::read(&path).unwrap();
            files.insert(path, bytes);
        }
    }
    files
}

#[test]
fn verbs_that_read_write_nothing() {
    for folder in [folder(), migrated()] {
        let before = contents(folder.path());
        for arguments in READ_ONLY {
            whimbrel(folder.path(), arguments);
            assert!(contents(folder.path()) == before, "{arguments:?}");
        }
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let output = whimbrel(folder.path(), &["explain", "--output", "no/such/folder"]);
    assert_eq!(code(&output), 1);
    let said = stderr(&output);
    assert!(said.contains("error[WB0705]") && said.contains("`no/such/folder`: "), "{said}");
}

#[test]
fn answers_go_to_devices_and_pipes_too() {
    let folder = migrated();
    for device in ["/dev/null", "/dev/stdout"] {
        let output = whimbrel(folder.path(), &["status", "--output", device]);
        assert_eq!((code(&output), stderr(&output).as_str()), (0, ""), "{device}");
    }
}

#[test]
fn nothing_that_is_piped_has_colours() {
    let folder = migrated();
    let failing: &[&[&str]] =
        &[&["explain", "WB9999"], &["statsu"], &["status", "zzz"], &["migrate", "-h"]];
    for arguments in READ_ONLY.iter().chain(failing) {
        let output =
            command(folder.path(), arguments).env("TERM", "xterm-256color").output().unwrap();
        let escapes = output.stdout.iter().chain(&output.stderr).filter(|byte| **byte == 0x1b);
        assert_eq!(escapes.count(), 0, "{arguments:?}");
    }
}

#[test]
fn colours_come_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let output = whimbrel(folder.path(), &["status", "--color", "always"]);
    assert!(stderr(&output).starts_with("\u{1b}["));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = migrated();
    for arguments in READ_ONLY {
        let wanted = code(&whimbrel(folder.path(), arguments));
        let mut child = command(folder.path(), arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let ended = child.wait().unwrap().code();
        assert_eq!((ended, said.as_str()), (Some(wanted), ""), "{arguments:?}");
    }
}

#[test]
fn a_report_has_the_form_that_was_asked_for() {
    let folder = migrated();
    let report =
        |arguments: &[&str]| stdout(&whimbrel(folder.path(), &[&["report"], arguments].concat()));
    assert!(report(&[]).starts_with("# "));
    assert_eq!(report(&[]), report(&["--form", "md"]));
    assert!(report(&["--form", "html"]).to_lowercase().starts_with("<!doctype html>"));
    let checks = report(&["--form", "junit"]);
    assert!(checks.starts_with("<?xml ") && checks.contains("name=\"people\"/>"), "{checks}");
    let raw: Json = serde_json::from_str(&report(&["--form", "json"])).unwrap();
    assert_eq!(raw["schema"], "whimbrel/report/v1");
    let answer: Json = serde_json::from_str(&report(&["--format", "json"])).unwrap();
    assert_eq!(answer["data"], raw);
    let answer: Json =
        serde_json::from_str(&report(&["--format", "json", "--form", "md"])).unwrap();
    assert_eq!(answer["data"]["text"], report(&[]));
}

#[test]
fn a_report_names_the_plan_where_commands_need_it_and_the_titles_of_codes() {
    let folder = migrated();
    fs::rename(folder.path().join("whimbrel.toml"), folder.path().join("other.toml")).unwrap();
    let report = stdout(&whimbrel(folder.path(), &["report", "--plan", "other.toml"]));
    assert!(report.contains("--plan other.toml"), "{report}");
    let explained = stdout(&whimbrel(folder.path(), &["explain", "WB0230"]));
    let title = explained.lines().next().unwrap().strip_prefix("WB0230: ").unwrap();
    assert!(report.contains(title), "{report}");
}

#[test]
fn the_schema_of_plans_is_the_one_in_docs() {
    let folder = tempfile::tempdir().unwrap();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/plan.schema.json");
    let output = whimbrel(folder.path(), &["schema", "plan"]);
    assert_eq!(stdout(&output), fs::read_to_string(docs).unwrap());
}

#[test]
fn completions_name_every_verb_for_every_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = stdout(&whimbrel(folder.path(), &["completions", shell]));
        for verb in ["migrate", "check-incremental", "report", "explain"] {
            assert!(script.contains(verb), "{shell}: {verb}");
        }
    }
}

#[test]
fn help_of_report() {
    check_help(
        &["report"],
        expect![[r#"
            Report everything about a run: accounts, rejects, checks, times

            Usage: whimbrel report [OPTIONS] [RUN]

            Arguments:
              [RUN]  The run, the newest if left out; or the plan, as a path that ends in `.toml`

        "#]],
    );
}

#[test]
fn help_of_explain() {
    check_help(
        &["explain"],
        expect![[r#"
        Explain an error code, or list all

        Usage: whimbrel explain [OPTIONS] [CODE]

        Arguments:
          [CODE]  The code, as `WB0214`; all codes if left out

    "#]],
    );
}

#[test]
fn help_of_schema() {
    check_help(
        &["schema"],
        expect![[r#"
        Print the JSON Schema of a file that Whimbrel reads

        Usage: whimbrel schema [OPTIONS] <COMMAND>

        Commands:
          plan  The JSON Schema of plan files, for editors

    "#]],
    );
}

#[test]
fn help_of_completions() {
    check_help(
        &["completions"],
        expect![[r#"
        Print a completion script for a shell

        Usage: whimbrel completions [OPTIONS] <SHELL>

        Arguments:
          <SHELL>  The shell [possible values: bash, elvish, fish, powershell, zsh]

    "#]],
    );
}

#[test]
fn help_of_the_verbs_on_runs() {
    check_help(
        &["migrate"],
        expect![[r#"
        Load what the plan says; the same command resumes

        Usage: whimbrel migrate [OPTIONS] [PLAN]

        Arguments:
          [PLAN]  The plan [default: whimbrel.toml]

    "#]],
    );
    check_help(
        &["status"],
        expect![[r#"
            Show how a run stands

            Usage: whimbrel status [OPTIONS] [RUN]

            Arguments:
              [RUN]  The run, the newest if left out; or the plan, as a path that ends in `.toml`

        "#]],
    );
    check_help(
        &["history"],
        expect![[r#"
            List the runs of the target

            Usage: whimbrel history [OPTIONS] [PLAN]

            Arguments:
              [PLAN]  The plan, as with `--plan`

        "#]],
    );
    check_help(
        &["check-incremental"],
        expect![[r#"
        List what `migrate --incremental` would take

        Usage: whimbrel check-incremental [OPTIONS] [PLAN]

        Arguments:
          [PLAN]  The plan [default: whimbrel.toml]

    "#]],
    );
}

#[test]
fn two_plans_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["audit", "status", "report", "verify"] {
        let output = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args([verb, "--plan", "a.toml", "b.toml"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{verb}: {said}");
        assert!(said.contains("WB0727") && said.contains("two are named"), "{verb}: {said}");
    }
}
