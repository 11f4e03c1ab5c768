//! Benchmarks: whole runs of the `whimbrel` binary against the engines' own tools, in turns.
//!
//! Owns their data, plans and schemas, all in a temporary folder, and the servers they run on. What
//! the figures were on one machine, and what limits them, is told in `docs/benchmarks.md`.
//!
//! ```text
//! load-sqlite     CSV, Markdown ─▶ SQLite                against `sqlite3 .import`
//! load-postgres   two CSVs ─▶ PostgreSQL                 against `psql \copy`, pgloader
//! load-mysql      two CSVs ─▶ MariaDB                    against `LOAD DATA LOCAL INFILE`
//! copy-database   PostgreSQL, MariaDB ─▶ PostgreSQL      against `pg_dump | psql`, pgloader
//! heartbeat       a fixture with a million rows          against its window
//! verify          two tables compared, loads verified    against reladiff, loads that are not
//! impact          latencies of a live workload           without a run, with one
//! ```
//! What they find is compared with what that page has recorded (`figures`).

mod copy;
mod data;
mod figures;
mod heartbeat;
mod impact;
mod load;
mod measure;
mod mysql;
mod place;
mod postgres;
mod sqlite;
mod verify;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use whimbrel_testkit::telemetry::Written;

use crate::binary::{Build, build};
use crate::flag;

use data::Data;
use figures::{Figure, Record};
use measure::Course;

const BAD_RATIO: f64 = 0.03;
/// Rows, where nothing else is said. The figures that are recorded are of as many.
const ROWS: u64 = 1_000_000;

/// One benchmark.
#[derive(Clone, Copy, Debug)]
struct Benchmark {
    name: &'static str,
    /// Prints what it measures; answers with what is compared.
    measure: fn(&Bench) -> Result<Vec<Figure>>,
    /// How often, where nothing else is said.
    runs: u64,
}

/// All of them, in this order.
const BENCHMARKS: &[Benchmark] = &[
    Benchmark { name: "load-sqlite", measure: sqlite::load, runs: 5 },
    Benchmark { name: "load-postgres", measure: postgres::load, runs: 5 },
    Benchmark { name: "load-mysql", measure: mysql::load, runs: 5 },
    Benchmark { name: "copy-database", measure: copy::databases, runs: 5 },
    Benchmark { name: "heartbeat", measure: heartbeat::moves, runs: 5 },
    Benchmark { name: "verify", measure: verify::proof, runs: 3 },
    Benchmark { name: "impact", measure: impact::latencies, runs: 3 },
];

/// Runs benchmarks: `[NAME] [--rows N] [--runs N] [--binary FILE] [--check] [--record]`.
pub fn run(arguments: &[&str]) -> Result<()> {
    let (chosen, rest) = chosen(arguments)?;
    let rows = flag(rest, "--rows", ROWS)?;
    ensure!(rows > 0 && flag(rest, "--runs", 1)? > 0, "--rows and --runs begin at 1");
    let (check, keep) = (rest.contains(&"--check"), rest.contains(&"--record"));
    let is_like = rows == ROWS;
    ensure!(is_like || !(check || keep), "--check and --record are for {ROWS} rows: no --rows");
    let mut record = Record::read()?;
    let binary = binary(rest)?;

    let mut worse = Vec::new();
    for benchmark in chosen {
        println!("== {}", benchmark.name);
        // A folder each: what one leaves does not fill the disk of the next.
        let (binary, scratch) = (binary.clone(), tempfile::tempdir()?);
        let runs = flag(rest, "--runs", benchmark.runs)?;
        let found = (benchmark.measure)(&Bench { binary, scratch, rows, runs })?;
        worse.extend(record.compare(benchmark.name, &found));
        record.keep(benchmark.name, &found);
    }
    if !is_like {
        println!("what is recorded is of {ROWS} rows, this of {rows}: they do not compare");
    }
    for sentence in worse.iter().filter(|_| is_like) {
        println!("worse              {sentence}");
    }
    ensure!(!check || worse.is_empty(), "worse than docs/benchmarks.md has it");
    if keep {
        record.write()?;
    }
    Ok(())
}

/// The benchmarks that are named, all without a name; the other arguments.
fn chosen<'a, 'b>(arguments: &'a [&'b str]) -> Result<(Vec<Benchmark>, &'a [&'b str])> {
    let (name, rest) = match arguments {
        [name, rest @ ..] if !name.starts_with("--") => (*name, rest),
        rest => return Ok((BENCHMARKS.to_vec(), rest)),
    };
    let Some(benchmark) = BENCHMARKS.iter().find(|benchmark| benchmark.name == name) else {
        let names: Vec<&str> = BENCHMARKS.iter().map(|benchmark| benchmark.name).collect();
        bail!("there is no such benchmark; there are {}", names.join(", "));
    };
    Ok((vec![*benchmark], rest))
}

/// What is measured: a release build of what is here, or another one that is named.
fn binary(arguments: &[&str]) -> Result<PathBuf> {
    let Some(at) = arguments.iter().position(|argument| *argument == "--binary") else {
        return build(Build::Release);
    };
    let file = arguments.get(at + 1).context("--binary needs a file")?;
    fs::canonicalize(file).with_context(|| (*file).to_owned())
}

struct Bench {
    binary: PathBuf,
    scratch: TempDir,
    rows: u64,
    runs: u64,
}

/// A clean and a spoiled file of the same kind, each in a folder with its plan.
struct Files {
    data: Data,
    clean: PathBuf,
    bad: PathBuf,
    written: Written,
    spoiled: Written,
}

impl Files {
    /// The clean file.
    fn csv(&self) -> PathBuf {
        csv(&self.clean, self.data)
    }
}

fn csv(folder: &Path, data: Data) -> PathBuf {
    folder.join("legacy").join(data.name()).with_extension("csv")
}

impl Bench {
    fn folder(&self) -> &Path {
        self.scratch.path()
    }

    /// Makes the files and their folders, and says what they hold.
    fn files(&self, data: Data, engine: &str) -> Result<Files> {
        let name = |kind: &str| format!("{}-{kind}", data.name());
        let folder = |kind| {
            data::folder(self.folder(), &name(kind), data.plan(), engine, &data.schema(engine))
        };
        let (clean, bad) = (folder("clean")?, folder("bad")?);
        let written = data.write(&csv(&clean, data), self.rows, 0.0)?;
        let spoiled = data.write(&csv(&bad, data), self.rows, BAD_RATIO)?;
        println!(
            "data               {}: {} rows x {} columns, {:.1} MB; with {} bad rows in the second \
             file",
            data.name(),
            self.rows,
            data.columns().len(),
            written.bytes as f64 / 1e6,
            spoiled.bad
        );
        Ok(Files { data, clean, bad, written, spoiled })
    }

    /// A whole `migrate` of the plan in a folder, to a target.
    fn migrate(&self, folder: &Path, target: &str, code: i32) -> Course<'static> {
        let mut command = Command::new(&self.binary);
        command
            .current_dir(folder)
            .args(["migrate", "--yes"])
            .env("TARGET", target)
            .env("WHIMBREL_PROGRESS", "none");
        Course { code, ..Course::new(command) }
    }
}
