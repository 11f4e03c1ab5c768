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
//! impact          latencies of a live workload           without a run, with one
//! ```

mod copy;
mod data;
mod heartbeat;
mod impact;
mod load;
mod measure;
mod mysql;
mod place;
mod postgres;
mod sqlite;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail, ensure};
use tempfile::TempDir;
use whimbrel_testkit::telemetry::Written;

use crate::binary::{Build, build};
use crate::flag;

use data::Data;
use measure::Course;

/// A run with 3 % bad rows takes at most this many times its own time for clean ones.
const BAD_RATIO_MAX: f64 = 1.3;
const BAD_RATIO: f64 = 0.03;

/// One benchmark; answers which targets it missed.
type Benchmark = fn(&Bench) -> Result<Vec<String>>;

/// Those that have targets: `bench` without a name runs all of them.
const BENCHMARKS: &[(&str, Benchmark)] = &[
    ("load-sqlite", sqlite::load),
    ("load-postgres", postgres::load),
    ("load-mysql", mysql::load),
    ("copy-database", copy::databases),
    ("heartbeat", heartbeat::moves),
];

/// Runs benchmarks: `[NAME] [--rows N] [--runs N] [--check]`.
pub fn run(arguments: &[&str]) -> Result<()> {
    let (name, rest) = match arguments {
        [name, rest @ ..] if !name.starts_with("--") => (Some(*name), rest),
        rest => (None, rest),
    };
    let chosen: Vec<(&str, Benchmark)> = match name {
        None => BENCHMARKS.to_vec(),
        Some("impact") => vec![("impact", impact::latencies as Benchmark)],
        Some(name) => BENCHMARKS.iter().filter(|(known, _)| *known == name).copied().collect(),
    };
    if chosen.is_empty() {
        let names: Vec<&str> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
        bail!("there is no such benchmark; there are {}, impact", names.join(", "));
    }
    let rows = flag(rest, "--rows", 1_000_000)?;
    let runs = flag(rest, "--runs", 5)?;
    ensure!(rows > 0 && runs > 0, "--rows and --runs begin at 1");
    let check = rest.contains(&"--check");
    let binary = build(Build::Release)?;

    let mut missed = Vec::new();
    for (name, benchmark) in chosen {
        println!("== {name}");
        // A folder each: what one leaves does not fill the disk of the next.
        let bench = Bench { binary: binary.clone(), scratch: tempfile::tempdir()?, rows, runs };
        missed.extend(benchmark(&bench)?.into_iter().map(|sentence| format!("{name}: {sentence}")));
    }
    for sentence in &missed {
        println!("missed             {sentence}");
    }
    ensure!(!check || missed.is_empty(), "{} beyond tolerance", missed.join("; "));
    Ok(())
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
