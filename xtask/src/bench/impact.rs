//! `bench impact`: how much a live workload on the same server notices of a load.
//!
//! `pgbench` begins short transactions at a fixed rate on four connections: an update, a row of
//! history, two look-ups, one of them in the table that is being loaded. A latency counts from when
//! the transaction was due, so a stall is seen by all that had to wait. Only transactions that ended
//! while the load was going on count.
//!
//! ```text
//! pgbench  ├──────────────────────────────────────┤
//! load         ├── latencies count ──┤
//! ```

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use whimbrel_testkit::servers::{Database, Engine, Server};

use super::data::{self, Data};
use super::load::{calm, holds};
use super::measure::{Course, sorted};
use super::place::{Reach, durable_server};
use super::{Bench, postgres};

const TRANSACTIONS_PER_SECOND: u32 = 250;
/// How long the workload goes on; a load that takes longer is looked at for this long.
const WORKLOAD: Duration = Duration::from_secs(15);
/// How long it is there before the load begins.
const BEFORE: Duration = Duration::from_secs(2);
const ACCOUNTS: u32 = 500_000;
const RATES: [&str; 2] = ["100000/s", "50000/s"];

/// What goes on beside the workload.
#[derive(Clone, Copy, Debug)]
enum Beside {
    Nothing,
    Whimbrel { max_rate: Option<&'static str> },
    Copy,
}

impl Beside {
    fn name(self) -> String {
        match self {
            Self::Nothing => "nothing".to_owned(),
            Self::Whimbrel { max_rate: None } => "whimbrel".to_owned(),
            Self::Whimbrel { max_rate: Some(rate) } => format!("whimbrel, {rate}"),
            Self::Copy => "psql \\copy".to_owned(),
        }
    }
}

/// Prints latencies without a run and with one. It has no targets: which latency is small enough
/// depends on the workload.
pub(super) fn latencies(bench: &Bench) -> Result<Vec<String>> {
    let server = durable_server(Engine::Postgres)?;
    let csv = bench.folder().join("telemetry.csv");
    let written = Data::Telemetry.write(&csv, bench.rows, 0.0)?;
    println!(
        "workload           {TRANSACTIONS_PER_SECOND} transactions/s on 4 connections, beside a load \
         of {} rows, {:.1} MB",
        bench.rows,
        written.bytes as f64 / 1e6
    );
    let mut besides = vec![Beside::Nothing, Beside::Copy, Beside::Whimbrel { max_rate: None }];
    besides.extend(RATES.map(|rate| Beside::Whimbrel { max_rate: Some(rate) }));
    let mut found: Vec<Vec<f64>> = besides.iter().map(|_| Vec::new()).collect();
    let mut walls: Vec<Vec<f64>> = besides.iter().map(|_| Vec::new()).collect();
    for _run in 0..bench.runs {
        for ((beside, found), walls) in besides.iter().zip(&mut found).zip(&mut walls) {
            let (latencies, wall) = beside_workload(bench, &server, *beside, &csv)?;
            found.extend(latencies);
            walls.push(wall.as_secs_f64());
        }
    }
    for ((beside, latencies), walls) in besides.iter().zip(found).zip(walls) {
        let latencies = sorted(latencies.into_iter());
        let at = |hundredth: usize| latencies[(latencies.len() - 1) * hundredth / 100];
        let walls = sorted(walls.into_iter());
        println!(
            "{:<18} p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms of {} transactions; load {:.1} s",
            beside.name(),
            at(50),
            at(99),
            at(100),
            latencies.len(),
            walls[walls.len() / 2]
        );
    }
    Ok(Vec::new())
}

/// Latencies in milliseconds, and how long the load took.
fn beside_workload(
    bench: &Bench,
    server: &Server,
    beside: Beside,
    csv: &Path,
) -> Result<(Vec<f64>, Duration)> {
    let database = server.database("impact")?;
    let reach = Reach::near(&database, Engine::Postgres)?;
    let scale = (ACCOUNTS / 100_000).to_string();
    let mut tables = reach.postgres("pgbench");
    tables.args(["--initialize", "--quiet", "--scale", &scale]);
    Course::new(tables).timed().context("pgbench could not make its tables")?;
    let load = load(bench, &database, beside, csv)?;
    calm(server)?;

    let workload = Workload::begin(bench, &reach)?;
    std::thread::sleep(BEFORE);
    let began = now()?;
    let wall = match load {
        None => WORKLOAD.saturating_sub(BEFORE),
        Some(load) => {
            let took = load.timed()?;
            holds(&database, "samples", bench.rows)?;
            took.wall
        }
    };
    let latencies = workload.end(began, began + wall)?;
    Ok((latencies, wall))
}

/// What loads the table, which stands ready.
fn load(
    bench: &Bench,
    database: &Database<'_>,
    beside: Beside,
    csv: &Path,
) -> Result<Option<Course<'static>>> {
    let schema = Data::Telemetry.schema("postgres");
    let limited = match beside {
        Beside::Nothing => {
            database.run(&schema)?;
            return Ok(None);
        }
        Beside::Copy => {
            database.run(&Data::Telemetry.plain_schema("postgres"))?;
            return Ok(Some(Course::new(postgres::copy(database, Data::Telemetry, csv)?)));
        }
        Beside::Whimbrel { max_rate } => max_rate,
    };
    database.run(&schema)?;
    let limit = limited.map_or(String::new(), |rate| format!("\n[run]\nmax_rate = \"{rate}\"\n"));
    let plan = format!("{}{limit}", Data::Telemetry.plan());
    let there = schema.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
    let folder = data::folder(bench.folder(), "impact", &plan, "postgres", &there)?;
    let link = folder.join("legacy/telemetry.csv");
    if !link.exists() {
        fs::hard_link(csv, link)?;
    }
    Ok(Some(bench.migrate(&folder, &database.url(), 0)))
}

// The log of `pgbench` names moments by the wall clock.
#[allow(clippy::disallowed_methods)]
fn now() -> Result<Duration> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?)
}

/// `pgbench` at work.
struct Workload {
    child: Child,
    log: std::path::PathBuf,
}

impl Workload {
    fn begin(bench: &Bench, reach: &Reach) -> Result<Self> {
        let script = bench.folder().join("workload.sql");
        fs::write(
            &script,
            format!(
                "\\set aid random(1, {ACCOUNTS})\n\\set sample random(1, {})\n\
                 \\set delta random(-5000, 5000)\n\
                 BEGIN;\n\
                 UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;\n\
                 SELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n\
                 SELECT note FROM samples WHERE sample = :sample;\n\
                 INSERT INTO pgbench_history (tid, bid, aid, delta, mtime)\n\
                 VALUES (1, 1, :aid, :delta, CURRENT_TIMESTAMP);\n\
                 END;\n",
                bench.rows
            ),
        )?;
        let prefix = bench.folder().join("latency");
        let mut command: Command = reach.postgres("pgbench");
        command
            .args(["--client=4", "--jobs=1", "--no-vacuum", "--protocol=prepared", "--log"])
            .arg(format!("--rate={TRANSACTIONS_PER_SECOND}"))
            .arg(format!("--time={}", WORKLOAD.as_secs()))
            .arg(format!("--log-prefix={}", prefix.display()))
            .arg("--file")
            .arg(&script)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn().context("pgbench could not be started")?;
        let log = prefix.with_extension(child.id().to_string());
        Ok(Self { child, log })
    }

    /// Waits for its end; the latencies of what ended in this time.
    fn end(self, from: Duration, to: Duration) -> Result<Vec<f64>> {
        let output = self.child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pgbench failed: {}", said.trim());
        let text = fs::read_to_string(&self.log).context("pgbench's log")?;
        let mut latencies = Vec::new();
        for line in text.lines() {
            // Client, number, latency, script, seconds, microseconds, lag.
            let words: Vec<&str> = line.split_whitespace().collect();
            let number = |at: usize| -> Result<u64> {
                Ok(words.get(at).context("pgbench's log has another form")?.parse()?)
            };
            let at = Duration::from_secs(number(4)?) + Duration::from_micros(number(5)?);
            if from <= at && at <= to {
                latencies.push(number(2)? as f64 / 1000.0);
            }
        }
        fs::remove_file(&self.log)?;
        ensure!(!latencies.is_empty(), "no transaction ended beside the load");
        Ok(latencies)
    }
}
