//! `plan` and the limits that `validate` looks at: what would happen, what records become, how long
//! it would take and whether that fits.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use serde_json::Value as Json;
use tempfile::TempDir;
use whimbrel_model::plan::TIMESTAMP_NAMES;

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
name = { from = "name", trim = true, null = ["-"] }
"#;

fn folder(more: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    fs::write(folder.path().join("data/a.csv"), "id,name\n1, Ann\n2,-\nx,Cy\n").unwrap();
    fs::write(folder.path().join("whimbrel.toml"), format!("{PLAN}{more}")).unwrap();
    folder
}

fn whimbrel(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("WHIMBREL_PROGRESS", "none").output().unwrap()
}

fn code(folder: &Path, arguments: &[&str]) -> i32 {
    whimbrel(folder, arguments).status.code().unwrap()
}

/// Answer in words, without what was measured and the run's id.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let text = String::from_utf8(whimbrel(folder, arguments).stdout).unwrap();
    let hexadecimal = |word: &str| word.len() == 8 && u32::from_str_radix(word, 16).is_ok();
    let word = |word: &str| if hexadecimal(word) { "RUN".to_owned() } else { word.to_owned() };
    let line = |line: &str| {
        let line = line.split(" of ").next().unwrap();
        format!("{}\n", line.split(' ').map(word).collect::<Vec<_>>().join(" "))
    };
    text.lines().map(line).collect()
}

fn data(folder: &Path, arguments: &[&str]) -> Json {
    let output = whimbrel(folder, &[arguments, &["--format", "json"]].concat());
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    answer["data"].clone()
}

/// The line of `plan` about limits, and what its document says of them.
fn check_limits(more: &str, expected: Expect, fits: Json) {
    let folder = folder(more);
    let text = said(folder.path(), &["plan"]);
    let line = text.lines().find(|line| line.contains("limits: ")).unwrap();
    expected.assert_eq(line);
    assert_eq!(data(folder.path(), &["plan"])["fits"], fits);
}

#[test]
fn a_new_run_is_shown_with_what_records_become() {
    let folder = folder("");
    expect![[r#"
        A new run would begin.
        target sqlite:people.db (created)
        + people: 1 file, 24 bytes
            3 read: 2 to load (2 rows), 1 rejected, 0 filtered, 0 duplicate
            ! 1 WB0230 id: not an integer as it stands (first data/a.csv:4)
            data/a.csv:2
              - 1, Ann
              + id = 1
              + name = Ann
        estimate: 0.1s (reading and transforming as measured now, writing as long again), 48 bytes on disk
        limits: none, the plan has neither a window nor a deadline
        Next: whimbrel migrate
    "#]]
    .assert_eq(&said(folder.path(), &["plan"]));
    let data = data(folder.path(), &["plan"]);
    let samples = data["tables"][0]["samples"].as_array().unwrap();
    assert_eq!((&samples[1]["before"], &samples[1]["after"][1][1]), (&"2,-".into(), &Json::Null));
    assert!(!folder.path().join("people.db").exists(), "nothing was written");
}

#[test]
fn a_run_that_would_go_on_is_shown_over_everything() {
    let folder = folder("");
    let more: Vec<String> = (10..9_000).map(|id| format!("{id},n\n")).collect();
    fs::write(folder.path().join("data/b.csv"), format!("id,name\n{}", more.concat())).unwrap();
    assert_eq!(code(folder.path(), &["migrate", "--batch-size", "1", "--deadline", "1ms"]), 75);
    let text = said(folder.path(), &["plan"]);
    assert!(text.starts_with("Run RUN would go on from its last checkpoint.\n"), "{text}");
    assert!(text.contains("\nOver everything, what is committed included:\n~ people: "), "{text}");
    assert!(text.contains("\nestimate: at most "), "{text}");
    assert_eq!(code(folder.path(), &["plan", "--check"]), 5);
}

#[test]
fn a_complete_run_leaves_nothing_to_do_until_the_sources_change() {
    let folder = folder("");
    assert_eq!(code(folder.path(), &["plan", "--check"]), 5);
    assert_eq!(code(folder.path(), &["migrate"]), 3);
    assert_eq!(code(folder.path(), &["plan", "--check"]), 0);
    expect![[r#"
        Nothing to do: run RUN is complete and the sources are as they were.
        target sqlite:people.db
        Next: whimbrel report RUN
    "#]]
    .assert_eq(&said(folder.path(), &["plan"]));
    fs::write(folder.path().join("data/b.csv"), "id,name\n7,Di\n").unwrap();
    assert_eq!(code(folder.path(), &["plan", "--check"]), 5);
    assert_eq!(code(folder.path(), &["plan"]), 0);
    let text = said(folder.path(), &["plan"]);
    assert!(text.contains("since then 1 file new, 0 appended, 0 changed, 0 deleted.\n"), "{text}");
    assert!(text.contains("\nOver everything, as a new run would take it:\n"), "{text}");
    assert!(text.ends_with("Next: whimbrel migrate --incremental\n"), "{text}");
}

#[test]
fn without_window_and_deadline_there_is_nothing_to_fit() {
    check_limits(
        "",
        expect!["limits: none, the plan has neither a window nor a deadline"],
        Json::Null,
    );
}

#[test]
fn a_deadline_is_a_limit() {
    check_limits(
        "[run]\ndeadline = \"1h30m\"\n",
        expect!["limits: the deadline is 1h 29m; the run is expected to fit"],
        true.into(),
    );
}

#[test]
fn what_does_not_fit_is_said_and_fails_the_check() {
    let more = "[run]\ndeadline = \"1ms\"\n";
    check_limits(
        more,
        expect![
            "! limits: the deadline is 0s; the run is not expected to fit: it would stop at a checkpoint, and the same command would go on in the next"
        ],
        false.into(),
    );
    let folder = folder(more);
    assert_eq!(code(folder.path(), &["validate"]), 2);
    let checks = data(folder.path(), &["validate"])["checks"].clone();
    let time = checks.as_array().unwrap().iter().find(|check| check["name"] == "time").unwrap();
    assert_eq!(time["ok"], false, "{time}");
}

/// A window in UTC that opens and closes so many hours from now.
fn window(opens: i64, closes: i64, outside: &str) -> String {
    #[allow(clippy::disallowed_methods)] // the program under test has the same clock
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let hour = |from_now: i64| (now.as_secs() as i64 / 3600 + from_now).rem_euclid(24);
    let (open, close) = (hour(opens), hour(closes));
    format!(
        "[window]\nopen = \"{open:02}:00\"\nclose = \"{close:02}:00\"\noutside = \"{outside}\"\n"
    )
}

#[test]
fn a_window_is_a_limit_open_or_closed() {
    for (opens, closes, outside, wanted) in [
        (-2, 3, "refuse", "limits: the window is open for another "),
        (2, 5, "refuse", "limits: the window opens in "),
        (2, 5, "wait", "limits: the window opens in "),
    ] {
        let folder = folder(&window(opens, closes, outside));
        let text = said(folder.path(), &["plan"]);
        let line = text.lines().find(|line| line.starts_with("limits: ")).unwrap();
        assert!(line.starts_with(wanted), "{line}");
        assert!(line.ends_with("; the run is expected to fit"), "{line}");
        if opens > 0 {
            let until = if outside == "wait" { "a run waits;" } else { "a run is refused;" };
            assert!(line.contains(&format!(", until then {until}")), "{line}");
        }
        let data = data(folder.path(), &["plan"]);
        assert_eq!(data["fits"], true);
        assert_eq!(data["window_seconds"].is_number(), opens < 0);
        assert_eq!(data["window_opens_in"].is_number(), opens > 0);
    }
}

#[test]
fn a_rehearsal_reads_everything_and_shows_rejects() {
    let folder = folder("");
    let output = whimbrel(folder.path(), &["migrate", "--dry-run"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("    ! 1 WB0230 id: "), "{text}");
    assert!(!folder.path().join("people.db").exists(), "nothing was written");
}

#[test]
fn every_timestamp_format_with_a_name_is_read() {
    let read = [
        ("rfc3339", "2024-03-31T01:59:59.25+02:00", "2024-03-30T23:59:59.250Z"),
        ("iso8601", "2024-03-31T01:59:59.25", "2024-03-31T01:59:59.250Z"),
        ("unix", "1711842899.5", "2024-03-30T23:54:59.500Z"),
        ("unix_ms", "1711842899500", "2024-03-30T23:54:59.500Z"),
        ("unix_us", "1711842899500000", "2024-03-30T23:54:59.500Z"),
    ];
    let named: Vec<&str> = TIMESTAMP_NAMES.iter().map(|(name, _)| *name).collect();
    assert_eq!(named, read.map(|(name, _, _)| name));
    for (name, written, wanted) in read {
        let folder = folder("");
        fs::write(folder.path().join("data/a.csv"), format!("id,name\n1,{written}\n")).unwrap();
        let name =
            format!("name = {{ from = \"name\", timestamp = \"{name}\", type = \"timestamptz\" }}");
        let plan = PLAN.replace("name = { from = \"name\", trim = true, null = [\"-\"] }", &name);
        fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
        let data = data(folder.path(), &["plan"]);
        assert_eq!(data["tables"][0]["samples"][0]["after"][1][1], wanted, "{data}");
    }
}

#[test]
fn a_source_without_a_file_is_an_error_before_and_after_a_run() {
    let folder = folder("");
    let file = folder.path().join("data/a.csv");
    let text = fs::read(&file).unwrap();
    let refused = |arguments: &[&str]| {
        let output = whimbrel(folder.path(), &[arguments, &["--format", "json"]].concat());
        let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&answer["error"], &answer["exit_code"]), (&"WB0612".into(), &2.into()));
    };
    fs::remove_file(&file).unwrap();
    refused(&["plan"]);
    refused(&["migrate"]);
    fs::write(&file, text).unwrap();
    assert_eq!(code(folder.path(), &["migrate"]), 3);
    fs::remove_file(&file).unwrap();
    refused(&["migrate", "--incremental"]);
    refused(&["check-incremental"]);
}
