//! The tour of the README, typed: every command, in its order, says what stands there.

#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use whimbrel_testkit::{DEFAULT_SEED, extruder};

/// A command of the README and what it is said to print.
struct Shown {
    line: String,
    output: Vec<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of the README's consoles, in order.
fn tour() -> Vec<Shown> {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let consoles = text.split("```console\n").skip(1);
    let lines = consoles.flat_map(|console| console.split("```").next().unwrap().lines());
    let mut tour: Vec<Shown> = Vec::new();
    for line in lines {
        match line.strip_prefix("$ ") {
            Some(line) => tour.push(Shown { line: line.to_owned(), output: Vec::new() }),
            None => tour.last_mut().unwrap().output.push(line.to_owned()),
        }
    }
    tour
}

/// The folder in which the tour begins.
fn beginning() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fixture = root().join("fixtures/extruder");
    let at = |name: &str| folder.path().join(name);
    fs::copy(fixture.join("whimbrel.toml"), at("whimbrel.toml")).unwrap();
    fs::create_dir_all(at("schema/sqlite")).unwrap();
    for entry in fs::read_dir(fixture.join("schema/sqlite")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), at("schema/sqlite").join(entry.file_name())).unwrap();
    }
    extruder::write(&at("legacy"), extruder::Size::Small, DEFAULT_SEED).unwrap();
    folder
}

fn whimbrel(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.current_dir(folder).stdin(Stdio::null()).env_remove("TARGET");
    command.env_remove("WHIMBREL_PROGRESS");
    command
}

/// What a line prints, and its exit code.
fn typed(folder: &Path, line: &str, before: i32) -> (String, i32) {
    if line == "echo $?" {
        return (format!("{before}\n"), 0);
    }
    if let Some(query) = line.strip_prefix("sqlite3 extruder.db ") {
        return (queried(folder, query.trim_matches('"')), 0);
    }
    if line.starts_with("timeout -s KILL ") {
        let (_, line) = line.split_once("whimbrel ").unwrap();
        return (killed(folder, line), 137);
    }
    let arguments = line.strip_prefix("whimbrel ").unwrap_or_else(|| panic!("not typed: {line}"));
    let output = whimbrel(folder).args(arguments.split(' ')).output().unwrap();
    let text = String::from_utf8([output.stderr, output.stdout].concat()).unwrap();
    (text, output.status.code().unwrap())
}

/// Kills a load once a few batches are committed, however fast the machine is.
fn killed(folder: &Path, line: &str) -> String {
    let mut child = whimbrel(folder)
        .args(line.split(' '))
        .args(["--progress", "json"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let events = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let checkpoints = events.filter(|event| event.contains("\"type\":\"checkpoint\""));
    assert_eq!(checkpoints.take(40).count(), 40, "the load has many batches");
    child.kill().unwrap();
    child.wait().unwrap();
    "Run 00000000 (full)\n".to_owned()
}

/// Rows as the `sqlite3` shell prints them.
fn queried(folder: &Path, sql: &str) -> String {
    let database = rusqlite::Connection::open(folder.join("extruder.db")).unwrap();
    let mut statement = database.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| {
        let (status, count): (String, i64) = (row.get(0)?, row.get(1)?);
        Ok(format!("{status}|{count}\n"))
    });
    rows.unwrap().map(Result::unwrap).collect::<Vec<_>>().concat()
}

/// A line without what differs from machine to machine and from kill to kill.
fn steady(line: &str) -> String {
    let hexadecimal = |word: &str| word.len() == 8 && u32::from_str_radix(word, 16).is_ok();
    let time = |word: &str| word.ends_with('Z') && word.starts_with("20");
    let words = line.split_inclusive([' ', ':']).map(|part| {
        let word = part.trim_end_matches([' ', ':']);
        if hexadecimal(word) { part.replace(word, "RUN") } else { part.to_owned() }
    });
    let line = words.collect::<Vec<_>>().concat();
    for (before, after) in [
        ("ok    target               sqlite ", ", "),
        ("ok    disk                 about ", ""),
        ("Resuming run RUN: ", " records"),
        ("  files: ", " done"),
    ] {
        if let Some(rest) = line.strip_prefix(before) {
            let at = if after.is_empty() { rest.len() } else { rest.find(after).unwrap() };
            return format!("{before}…{}", &rest[at..]);
        }
    }
    let parts = line.split(' ').map(|part| if time(part) { "TIME" } else { part });
    let line = parts.collect::<Vec<_>>().join(" ");
    line.split(" by ").next().unwrap_or_default().to_owned()
}

/// Compares line by line; a line `…` stands for any number of lines.
fn agree(shown: &[String], said: &str) -> bool {
    let shown: Vec<String> = shown.iter().map(|line| steady(line)).collect();
    let said: Vec<String> = said.lines().map(steady).collect();
    match shown.iter().position(|line| line == "…") {
        None => shown == said,
        Some(at) => said.starts_with(&shown[..at]) && said.ends_with(&shown[at + 1..]),
    }
}

#[test]
fn every_command_of_the_tour_says_what_the_readme_shows() {
    let folder = beginning();
    let tour = tour();
    assert!(tour.len() > 10, "the tour was found");
    let (mut code, mut was_killed) = (0, false);
    for shown in &tour {
        let (said, ended) = typed(folder.path(), &shown.line, code);
        let agreed = if was_killed {
            // Where a killed run stands differs from kill to kill; how it is said does not.
            let first = |text: &str| text.lines().next().map(steady);
            let last = |text: &str| text.lines().last().map(steady);
            let shown = shown.output.join("\n");
            first(&shown) == first(&said) && last(&shown) == last(&said)
        } else {
            agree(&shown.output, &said)
        };
        assert!(
            agreed,
            "$ {}\n{}\n--- the README ---\n{}",
            shown.line,
            said,
            shown.output.join("\n")
        );
        was_killed = shown.line.starts_with("timeout ");
        code = ended;
    }
    assert!(folder.path().join("report.html").exists());
}
