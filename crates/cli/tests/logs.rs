//! What stands on standard error while a run goes on: log lines in both forms, progress in all of
//! them, and that nobody has to listen.

#![allow(clippy::unwrap_used)] // tests

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
"#;

/// Records that take longer to load than the time between two words on how it goes.
const MANY: u32 = 300_000;

/// A plan and a file of so many records, of which the last is bad.
fn folder(records: u32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let mut text = "id,name\n".to_owned();
    (1..records).for_each(|number| text.push_str(&format!("{number},Ann {number}\n")));
    text.push_str("x,Cy\n");
    fs::write(folder.path().join("data/a b.csv"), text).unwrap();
    fs::write(folder.path().join("whimbrel.toml"), PLAN).unwrap();
    folder
}

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("WHIMBREL_PROGRESS");
    command
}

fn whimbrel(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Every line of standard error as a document.
fn documents(output: &Output) -> Vec<Json> {
    let parse =
        |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    stderr(output).lines().map(parse).collect()
}

/// The run of a folder whose run has begun.
fn run_of(folder: &Path) -> String {
    let output = whimbrel(folder, &["status", "--format", "json"]);
    let status: Json = serde_json::from_slice(&output.stdout).unwrap();
    status["data"]["run"].as_str().unwrap().to_owned()
}

#[test]
fn every_json_line_of_a_run_names_the_run_and_its_position() {
    let folder = folder(MANY);
    let arguments = ["migrate", "-vv", "--log-format", "json", "--batch-size", "50000"];
    let output = whimbrel(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let lines = documents(&output);
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["message"].is_string(), "{line}");
        assert!(["info", "debug", "trace"].contains(&line["level"].as_str().unwrap()), "{line}");
    }
    let begun = lines.iter().position(|line| line["message"] == "run started").unwrap();
    let run = run_of(folder.path());
    assert!(lines[begun..].iter().all(|line| line["run"] == run.as_str()), "{lines:?}");
    let said = |what: &str| lines.iter().filter(|line| line["message"] == what).collect::<Vec<_>>();
    let batches = said("batch committed");
    assert!(batches.len() > 1, "{lines:?}");
    let records = batches.iter().map(|line| {
        assert_eq!((&line["table"], &line["file"]), (&"people".into(), &"data/a b.csv".into()));
        line["record"].as_u64().unwrap()
    });
    assert!(records.is_sorted());
    let progress = said("progress");
    assert!(!progress.is_empty(), "{lines:?}");
    for line in progress {
        assert_eq!((&line["table"], &line["file"]), (&"people".into(), &"data/a b.csv".into()));
        assert!(line["rate"].is_number() && line["bytes_total"].is_number(), "{line}");
        let stage = line["bottleneck"].as_str().unwrap();
        assert!(["read", "transform", "write"].contains(&stage), "{line}");
    }
    assert!(lines.iter().any(|line| line["eta_seconds"].is_number()), "{lines:?}");
}

#[test]
fn every_text_line_of_a_run_names_the_run_and_its_position() {
    let folder = folder(MANY);
    let output = whimbrel(folder.path(), &["migrate", "-vv", "--batch-size", "50000"]);
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    let run = run_of(folder.path());
    let told = stderr(&output);
    let lines: Vec<&str> = told.lines().collect();
    let begun = lines.iter().position(|line| line.contains("] run started ")).unwrap();
    for line in &lines[begun..] {
        let (about, _) = line.split_once("] ").unwrap();
        assert!(about.starts_with("[20") && about.contains(&format!("Z {run}")), "{line}");
    }
    let batches: Vec<&&str> =
        lines.iter().filter(|line| line.contains("] batch committed ")).collect();
    assert!(batches.len() > 1, "{told}");
    assert!(batches.iter().all(|line| line.contains(" people data/a b.csv record ")), "{told}");
    let progress: Vec<&&str> = lines.iter().filter(|line| line.contains("] progress ")).collect();
    assert!(!progress.is_empty(), "{told}");
    for line in progress {
        assert!(line.contains(" people data/a b.csv] "), "{line}");
        assert!(line.contains(" rate=") && line.contains(" bottleneck="), "{line}");
    }
    assert!(told.contains(" eta_seconds="), "{told}");
}

#[test]
fn a_run_of_few_words_is_named_in_a_sentence() {
    let folder = folder(3);
    let output = whimbrel(folder.path(), &["migrate"]);
    assert_eq!(stderr(&output), format!("Run {} (full)\n", run_of(folder.path())));
}

#[test]
fn progress_as_json_is_every_event_with_its_run() {
    let folder = folder(MANY);
    let output = whimbrel(folder.path(), &["migrate", "--progress", "json"]);
    let events = documents(&output);
    let begun = events.iter().position(|event| event["type"] == "run_started").unwrap();
    let run = run_of(folder.path());
    assert!(events[begun..].iter().all(|event| event["run"] == run.as_str()), "{events:?}");
    let progress: Vec<&Json> = events.iter().filter(|event| event["type"] == "progress").collect();
    assert!(!progress.is_empty(), "{events:?}");
    for event in progress {
        let stage = event["bottleneck"].as_str().unwrap();
        assert!(["read", "transform", "write"].contains(&stage), "{event}");
        assert!(event["rate"].is_number() && event.get("eta").is_some(), "{event}");
    }
}

#[test]
fn events_on_standard_output_name_their_run_too() {
    let folder = folder(3);
    let output = whimbrel(folder.path(), &["migrate", "--format", "jsonl"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (answer, events) = lines.split_last().unwrap();
    let run = &answer["data"]["run"];
    let begun = events.iter().position(|event| event["type"] == "run_started").unwrap();
    assert!(events[begun..].iter().all(|event| event["run"] == *run), "{text}");
}

/// A run that stopped at a checkpoint, after which what lies behind the mark was changed.
fn changed_behind_the_mark() -> (TempDir, String) {
    let folder = folder(9_000);
    let stopped = whimbrel(folder.path(), &["migrate", "--batch-size", "1", "--deadline", "1ms"]);
    assert_eq!(stopped.status.code(), Some(75), "{}", stderr(&stopped));
    let file = folder.path().join("data/a b.csv");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("Ann 1\n", "Bob 1\n", 1)).unwrap();
    let run = run_of(folder.path());
    (folder, run)
}

#[test]
fn a_run_that_fails_is_named_with_the_reason() {
    let (folder, run) = changed_behind_the_mark();
    let output = whimbrel(folder.path(), &["migrate", "--format", "json"]);
    assert_eq!(output.status.code(), Some(6), "{}", stderr(&output));
    assert!(stderr(&output).contains(&format!("\n  run: {run}\n")), "{}", stderr(&output));
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["details"]["run"], run.as_str());
    let output = whimbrel(folder.path(), &["migrate", "--log-format", "json"]);
    let lines = documents(&output);
    let last = lines.last().unwrap();
    assert_eq!((&last["level"], &last["code"]), (&"error".into(), &"WB0616".into()));
    assert_eq!((&last["run"], &last["table"]), (&run.as_str().into(), &"people".into()));
}

#[test]
fn where_logs_are_json_everything_on_standard_error_is() {
    let folder = folder(3);
    let broken = folder.path().join("broken.toml");
    fs::write(&broken, PLAN.replace("key =", "keyy =")).unwrap();
    for (arguments, code) in [
        (&["migrate"][..], 3),
        (&["migrate", "-v", "--progress", "bar"], 0),
        (&["migrate", "--progress", "log"], 0),
        (&["status", "-v"], 0),
        (&["analyze", "data"], 0),
        (&["status", "nothing"], 2),
        (&["migrate", "broken.toml"], 2),
        (&["statsu"], 2),
        (&["migrate", "--workers", "many"], 2),
        (&["explain", "--output", "no/such/folder"], 1),
    ] {
        let output = whimbrel(folder.path(), &[arguments, &["--log-format", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        let lines = documents(&output);
        assert!(lines.iter().all(Json::is_object), "{arguments:?}");
        if matches!(code, 1 | 2) {
            let last = lines.last().unwrap();
            assert!(last["code"].as_str().unwrap().starts_with("WB"), "{last}");
            assert_eq!(last["exit_code"], code, "{last}");
        }
    }
}

#[test]
fn words_are_asked_for() {
    let folder = folder(3);
    let said = |arguments: &[&str]| stderr(&whimbrel(folder.path(), arguments));
    assert_eq!(said(&["validate"]), "");
    assert!(said(&["validate", "-v"]).contains("] plan read plan=whimbrel.toml"));
    whimbrel(folder.path(), &["migrate"]);
    assert_eq!(said(&["status"]), "");
    let run = run_of(folder.path());
    assert!(said(&["status", "-v"]).contains(&format!(" {run}] run found status=completed")));
}

#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    for form in ["text", "json"] {
        let folder = folder(20_000);
        let arguments = ["migrate", "-vv", "--log-format", form, "--batch-size", "1"];
        let mut child = command(folder.path(), &arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(3), "{form}");
        let full = File::options().write(true).open("/dev/full").unwrap();
        let again = command(folder.path(), &["migrate", "-vv", "--log-format", form])
            .stdout(Stdio::null())
            .stderr(full)
            .status()
            .unwrap();
        assert_eq!(again.code(), Some(0), "{form}");
    }
}
