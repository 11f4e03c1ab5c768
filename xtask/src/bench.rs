//! `bench load-sqlite`: a whole `migrate` against `sqlite3 .import` of the same CSV, in turns.
//!
//! Owns the benchmark's data, plan and schema, all in a temporary folder. What the figures were on
//! one machine, and what limits them, is told in `docs/benchmarks.md`.
//!
//! ```text
//! telemetry.csv ─┬─ whimbrel migrate ─┐ in turns, each into a new database,
//!                └─ sqlite3 .import  ─┘ one pair a run
//! bad.csv (3 %)  ── whimbrel migrate       against its own time for the clean file
//! 10,000 *.md    ── whimbrel migrate       files a second
//! ```

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::Connection;
use whimbrel_testkit::{DEFAULT_SEED, content, telemetry};

use crate::binary::{Build, build};
use crate::flag;

/// `--check` fails above this ratio to `sqlite3 .import` …
const IMPORT_RATIO_MAX: f64 = 1.0;
/// … above this ratio of the run with bad rows to the clean one …
const BAD_RATIO_MAX: f64 = 1.3;
/// … from this peak memory on, whatever is loaded …
const PEAK_BYTES_MAX: u64 = 100_000_000;
/// … and below this many small files a second.
const FILES_PER_SECOND_MIN: f64 = 20_000.0;
/// Machines differ from minute to minute: `--check` allows this much above the ratios …
const TOLERANCE: f64 = 1.15;
/// … and, since they differ from one another as well, a speed divided by this.
const SPEED_TOLERANCE: f64 = 2.0;

const MARKDOWN_FILES: u64 = 10_000;

const TABLE: &str = "\
CREATE TABLE samples (
    sample      INTEGER          NOT NULL PRIMARY KEY,
    recorded_at TIMESTAMPTZ      NOT NULL,
    time_text   TEXT             NOT NULL,
    status      TEXT             NOT NULL,
    t1_feed     DOUBLE PRECISION,
    t2_mid      DOUBLE PRECISION,
    t3_nozzle   DOUBLE PRECISION,
    t_motor     DOUBLE PRECISION,
    target_z1   DOUBLE PRECISION,
    pwr_z1_pct  DOUBLE PRECISION,
    rpm_main    DOUBLE PRECISION,
    note        TEXT";

const PLAN: &str = r#"name     = "bench"
target   = "sqlite:bench.db"
schema   = "schema"
timezone = "UTC"

[source.telemetry]
csv  = "legacy/*.csv"
null = ["", "NAN"]

[[table]]
into = "samples"
from = "telemetry"
key  = ["sample"]
[table.columns]
sample      = "Sample"
recorded_at = { from = "Timestamp", timestamp = "unix" }
time_text   = "Time_Str"
status      = "Status"
t1_feed     = "T1_Feed"
t2_mid      = "T2_Mid"
t3_nozzle   = "T3_Nozzle"
t_motor     = "T_Motor"
target_z1   = "Target_Z1"
pwr_z1_pct  = "Pwr_Z1_%"
rpm_main    = "RPM_Main"
note        = "Note"
partial     = { cel = "Status.endsWith('_PARTIAL')" }
"#;

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
target   = "sqlite:bench.db"
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

/// What one run took.
#[derive(Clone, Copy, Debug)]
struct Took {
    wall: Duration,
    /// Processor time, of all threads.
    cpu: Duration,
    /// The most memory that was resident, in KiB (`VmHWM`).
    peak_kib: u64,
}

/// Runs the benchmark: `[--rows N] [--runs N] [--check]`.
pub fn load_sqlite(arguments: &[&str]) -> Result<()> {
    let rows = flag(arguments, "--rows", 1_000_000)?;
    let runs = flag(arguments, "--runs", 5)?;
    ensure!(rows > 0 && runs > 0, "--rows and --runs begin at 1");
    let check = arguments.contains(&"--check");
    let binary = build(Build::Release)?;
    let scratch = tempfile::tempdir()?;
    let bench = Bench { binary, folder: scratch.path().to_owned(), runs };

    let mut broken = bench.telemetry(rows)?;
    broken.extend(bench.markdown()?);
    for sentence in &broken {
        println!("missed     {sentence}");
    }
    ensure!(!check || broken.is_empty(), "{} beyond tolerance", broken.join("; "));
    Ok(())
}

struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    runs: u64,
}

impl Bench {
    /// Clean and bad telemetry; returns the targets that were missed.
    fn telemetry(&self, rows: u64) -> Result<Vec<String>> {
        let clean = self.set_up("clean", PLAN, &schema())?;
        let bad = self.set_up("bad", PLAN, &schema())?;
        let csv = clean.join("legacy/telemetry.csv");
        let written = telemetry::write_csv(&csv, rows, 0.0, DEFAULT_SEED)?;
        let spoiled =
            telemetry::write_csv(&bad.join("legacy/telemetry.csv"), rows, 0.03, DEFAULT_SEED)?;
        println!(
            "data       {rows} rows x 12 columns, {:.1} MB; with {} bad rows in the second file",
            written.bytes as f64 / 1e6,
            spoiled.bad
        );
        let sqlite3 = sqlite3_version();
        match &sqlite3 {
            Some(version) => println!("sqlite3    {version}"),
            None => println!("sqlite3    skipped: it is not installed"),
        }

        let (mut ours, mut theirs, mut with_bad) = (Vec::new(), Vec::new(), Vec::new());
        for _run in 0..self.runs {
            ours.push(self.migrate(&clean, 0, "samples", written.good)?);
            if sqlite3.is_some() {
                theirs.push(import(&clean, &csv, written.good)?);
            }
            with_bad.push(self.migrate(&bad, 3, "samples", spoiled.good)?);
        }
        print_times("whimbrel", &ours, rows, "rows");
        print_times("3% bad", &with_bad, rows, "rows");
        let mut missed = Vec::new();
        if sqlite3.is_some() {
            print_times("sqlite3", &theirs, rows, "rows");
            let ratio = print_ratio("whimbrel / sqlite3", &ours, &theirs);
            missed.extend(beyond("whimbrel / sqlite3", ratio, IMPORT_RATIO_MAX));
        }
        let ratio = print_ratio("3% bad / clean", &with_bad, &ours);
        missed.extend(beyond("3% bad / clean", ratio, BAD_RATIO_MAX));
        missed.extend(too_large("telemetry", ours.iter().chain(&with_bad)));
        Ok(missed)
    }

    /// Small Markdown files, read once before the clock runs; returns the targets that were missed.
    fn markdown(&self) -> Result<Vec<String>> {
        let folder = self.set_up("notes", NOTES_PLAN, NOTES_SCHEMA)?;
        content::write_small_markdown(&folder.join("legacy"), MARKDOWN_FILES, DEFAULT_SEED)?;
        self.migrate(&folder, 0, "notes", MARKDOWN_FILES)?;
        let mut times = Vec::new();
        for _run in 0..self.runs {
            times.push(self.migrate(&folder, 0, "notes", MARKDOWN_FILES)?);
        }
        println!("data       {MARKDOWN_FILES} Markdown files, warm");
        let speed = print_times("whimbrel", &times, MARKDOWN_FILES, "files");
        let mut missed = Vec::new();
        if speed < FILES_PER_SECOND_MIN / SPEED_TOLERANCE {
            missed.push(format!("{speed:.0} files/s (target {FILES_PER_SECOND_MIN:.0})"));
        }
        missed.extend(too_large("Markdown", times.iter()));
        Ok(missed)
    }

    fn set_up(&self, name: &str, plan: &str, schema: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(folder.join("legacy"))?;
        fs::create_dir_all(folder.join("schema/sqlite"))?;
        fs::write(folder.join("whimbrel.toml"), plan)?;
        fs::write(folder.join("schema/sqlite/001_bench.sql"), schema)?;
        Ok(folder)
    }

    /// One whole `migrate` into a new database, and whether the table holds what it has to.
    fn migrate(&self, folder: &Path, code: i32, table: &str, rows: u64) -> Result<Took> {
        remove_database(&folder.join("bench.db"))?;
        let mut command = Command::new(&self.binary);
        command
            .current_dir(folder)
            .args(["migrate", "--yes"])
            .env_remove("TARGET")
            .env("WHIMBREL_PROGRESS", "none");
        let took = timed(&mut command, None, code)?;
        holds(&folder.join("bench.db"), table, rows)?;
        Ok(took)
    }
}

fn schema() -> String {
    format!("{TABLE},\n    partial     BOOLEAN          NOT NULL\n);\n")
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
    let script = format!("{TABLE}\n);\n.mode csv\n.import --skip 1 '{}' samples\n", csv.display());
    let mut command = Command::new("sqlite3");
    command.arg("-batch").arg(&database);
    let took = timed(&mut command, Some(&script), 0)?;
    holds(&database, "samples", rows)?;
    Ok(took)
}

fn remove_database(path: &Path) -> Result<()> {
    for ending in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        match fs::remove_file(&name) {
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

/// Runs a command to its end, fed with `script`, and looks at its memory meanwhile.
fn timed(command: &mut Command, script: Option<&str>, code: i32) -> Result<Took> {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command.stdin(if script.is_some() { Stdio::piped() } else { Stdio::null() });
    let cpu_before = children_cpu()?;
    let began = Instant::now();
    let mut child = command.spawn().context("the program could not be started")?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    if let (Some(script), Some(mut stdin)) = (script, child.stdin.take()) {
        stdin.write_all(script.as_bytes())?;
    }
    let (ended, end) = channel::<()>();
    let (output, wall, peak_kib) = std::thread::scope(|scope| {
        let watch = scope.spawn(move || {
            let mut peak = 0;
            while end.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
                peak = peak.max(high_water_kib(&status).unwrap_or(0));
            }
            peak
        });
        let output = child.wait_with_output();
        let wall = began.elapsed();
        drop(ended);
        (output, wall, watch.join().unwrap_or(0))
    });
    let output = output?;
    if output.status.code() != Some(code) {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {:?} instead of {code}\n{stderr}", output.status.code());
    }
    let cpu = children_cpu()?.saturating_sub(cpu_before);
    Ok(Took { wall, cpu, peak_kib })
}

/// Processor time of all children that have ended, from proc_pid_stat(5): `cutime` and `cstime`, in
/// hundredths of a second on every Linux.
fn children_cpu() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything, also blanks.
    let after = stat.rsplit_once(')').map(|(_name, rest)| rest).context("/proc/self/stat")?;
    let ticks: Vec<u64> =
        after.split_whitespace().skip(13).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(10 * ticks.iter().sum::<u64>()))
}

/// `VmHWM` of proc_pid_status(5).
fn high_water_kib(status: &Path) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Prints the times and returns how many a second there were by the median.
fn print_times(name: &str, times: &[Took], count: u64, unit: &str) -> f64 {
    let seconds = sorted(times.iter().map(|took| took.wall.as_secs_f64()));
    let median = seconds[seconds.len() / 2];
    let cpu = sorted(times.iter().map(|took| took.cpu.as_secs_f64()));
    let speed = count as f64 / median;
    println!(
        "{name:<10} min {:.2} s, median {median:.2} s, max {:.2} s; processor {:.2} s; \
         {speed:.0} {unit}/s; peak {:.1} MB",
        seconds[0],
        seconds[seconds.len() - 1],
        cpu[cpu.len() / 2],
        megabytes(peak(times.iter()))
    );
    speed
}

/// Prints the ratios of each pair, and returns the median of those of wall time.
fn print_ratio(name: &str, upper: &[Took], lower: &[Took]) -> f64 {
    let pairs = || upper.iter().zip(lower);
    let ratios = sorted(pairs().map(|(a, b)| a.wall.as_secs_f64() / b.wall.as_secs_f64()));
    let cpu = sorted(pairs().map(|(a, b)| a.cpu.as_secs_f64() / b.cpu.as_secs_f64()));
    let median = ratios[ratios.len() / 2];
    println!(
        "ratio      {name}: min {:.2}, median {median:.2}, max {:.2}; processor {:.2}",
        ratios[0],
        ratios[ratios.len() - 1],
        cpu[cpu.len() / 2]
    );
    median
}

fn peak<'a>(times: impl Iterator<Item = &'a Took>) -> u64 {
    times.map(|took| took.peak_kib * 1024).max().unwrap_or(0)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn too_large<'a>(name: &str, times: impl Iterator<Item = &'a Took>) -> Option<String> {
    let peak = peak(times);
    (peak >= PEAK_BYTES_MAX).then(|| {
        let (peak, max) = (megabytes(peak), megabytes(PEAK_BYTES_MAX));
        format!("{name}: peak memory {peak:.1} MB (target below {max:.0})")
    })
}

fn beyond(name: &str, ratio: f64, max: f64) -> Option<String> {
    (ratio > max * TOLERANCE).then(|| format!("{name} {ratio:.2} (target {max:.1})"))
}
