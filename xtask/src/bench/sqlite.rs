//! `bench load-sqlite`: a whole `migrate` against `sqlite3 .import` of the same CSV, in turns.
//!
//! ```text
//! telemetry.csv ─┬─ whimbrel migrate ─┐ in turns, each into a new database,
//!                └─ sqlite3 .import  ─┘ one pair a run
//! bad.csv (3 %)  ── whimbrel migrate       against its own time for the clean file
//! 10,000 *.md    ── whimbrel migrate       files a second
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use whimbrel_testkit::{DEFAULT_SEED, content};

use super::Bench;
use super::data::{self, Data};
use super::figures::Figure;
use super::measure::{Course, Took, median_seconds, peak_memory, print_ratio, print_times};

const MARKDOWN_FILES: u64 = 10_000;

const NOTES_SCHEMA: &str = "\
CREATE TABLE notes (
    id         TEXT        NOT NULL PRIMARY KEY,
    title      TEXT        NOT NULL,
    category   TEXT,
    content    TEXT        NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL
);
";

const NOTES_PLAN: &str = r#"name     = "bench-notes"
target   = "${TARGET}"
schema   = "schema"
timezone = "UTC"

[source.notes]
markdown = "legacy/**/*.md"
ignore   = ["tags"]

[[table]]
into = "notes"
from = "notes"
key  = ["id"]
[table.columns]
id         = { uuid5 = [{ fact = "file.path" }] }
title      = "title"
category   = "category"
content    = "body"
updated_at = { fact = "file.mtime" }
"#;

/// Telemetry and small files.
pub(super) fn load(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = telemetry(bench)?;
    figures.extend(markdown(bench)?);
    Ok(figures)
}

fn telemetry(bench: &Bench) -> Result<Vec<Figure>> {
    let rows = bench.rows;
    let files = bench.files(Data::Telemetry, "sqlite")?;
    let sqlite3 = sqlite3_version();
    match &sqlite3 {
        Some(version) => println!("sqlite3            {version}"),
        None => println!("sqlite3            skipped: it is not installed"),
    }

    let (mut ours, mut theirs, mut with_bad) = (Vec::new(), Vec::new(), Vec::new());
    for _run in 0..bench.runs {
        ours.push(migrate(bench, &files.clean, 0, "samples", files.written.good)?);
        if sqlite3.is_some() {
            theirs.push(import(&files.clean, &files.csv(), files.written.good)?);
        }
        with_bad.push(migrate(bench, &files.bad, 3, "samples", files.spoiled.good)?);
    }
    print_times("whimbrel", &ours, rows, "rows");
    print_times("3% bad", &with_bad, rows, "rows");
    let mut figures = Vec::new();
    if sqlite3.is_some() {
        print_times("sqlite3", &theirs, rows, "rows");
        let ratio = print_ratio("whimbrel / sqlite3", &ours, &theirs);
        figures.push(Figure::new("telemetry: whimbrel / sqlite3", ratio));
    }
    let ratio = print_ratio("3% bad / clean", &with_bad, &ours);
    figures.push(Figure::new("telemetry: 3% bad / clean", ratio));
    figures.push(peak_memory("telemetry", ours.iter().chain(&with_bad)));
    Ok(figures)
}

/// Small Markdown files, read once before the clock runs.
fn markdown(bench: &Bench) -> Result<Vec<Figure>> {
    let folder = data::folder(bench.folder(), "notes", NOTES_PLAN, "sqlite", NOTES_SCHEMA)?;
    content::write_small_markdown(&folder.join("legacy"), MARKDOWN_FILES, DEFAULT_SEED)?;
    migrate(bench, &folder, 0, "notes", MARKDOWN_FILES)?;
    let mut times = Vec::new();
    for _run in 0..bench.runs {
        times.push(migrate(bench, &folder, 0, "notes", MARKDOWN_FILES)?);
    }
    println!("data               {MARKDOWN_FILES} Markdown files, warm");
    print_times("whimbrel", &times, MARKDOWN_FILES, "files");
    let seconds = Figure::new("10,000 Markdown files: s", median_seconds(&times));
    Ok(vec![seconds, peak_memory("10,000 Markdown files", times.iter())])
}

/// One whole `migrate` into a new database, and whether the table holds what it has to.
fn migrate(bench: &Bench, folder: &Path, code: i32, table: &str, rows: u64) -> Result<Took> {
    let database = folder.join("bench.db");
    remove_database(&database)?;
    let took = bench.migrate(folder, "sqlite:bench.db", code).timed()?;
    holds(&database, table, rows)?;
    Ok(took)
}

fn sqlite3_version() -> Option<String> {
    let output = Command::new("sqlite3").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// The peer: the same file into a table of the same types and key, by the engine's own tool.
fn import(folder: &Path, csv: &Path, rows: u64) -> Result<Took> {
    let database = folder.join("import.db");
    remove_database(&database)?;
    let table = Data::Telemetry.plain_schema("sqlite");
    let script = format!("{table}.mode csv\n.import --skip 1 '{}' samples\n", csv.display());
    let mut command = Command::new("sqlite3");
    command.arg("-batch").arg(&database);
    let took = Course { script: Some(&script), ..Course::new(command) }.timed()?;
    holds(&database, "samples", rows)?;
    Ok(took)
}

pub(super) fn remove_database(path: &Path) -> Result<()> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match fs::remove_file(PathBuf::from(&name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{}", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn holds(database: &Path, table: &str, rows: u64) -> Result<()> {
    let count: i64 = Connection::open(database)?.query_row(
        &format!("SELECT count(*) FROM {table}"),
        [],
        |row| row.get(0),
    )?;
    ensure!(u64::try_from(count) == Ok(rows), "`{table}` holds {count} rows instead of {rows}");
    Ok(())
}
