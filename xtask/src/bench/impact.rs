//! `bench impact`: how much a live workload on the same server notices of a load.
//!
//! A transaction is due every 4 ms, on four connections: an update, a row of history, two look-ups,
//! one of them in the table that is being loaded. Those count that were due while a load was going on.
//! What is beside it takes turns, and a load that is over soon is done again.
//!
//! ```text
//! workload  ├──────────────────────────────────────┤
//! load          ├── latencies count ──┤
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use whimbrel_testkit::servers::{Database, Engine, Server};
use whimbrel_testkit::{DEFAULT_SEED, Dice};

use super::data::{self, Data};
use super::figures::Figure;
use super::load::{calm, holds};
use super::measure::{Course, sorted};
use super::place::{Reach, durable_server};
use super::workload::{Done, Session, Workload};
use super::{Bench, mysql, postgres};

const EVERY: Duration = Duration::from_millis(4);
const CONNECTIONS: usize = 4;
const ACCOUNTS: i64 = 100_000;
/// How long the workload is there before the load begins.
const BEFORE: Duration = Duration::from_secs(1);
/// So long, in all, is each looked at in a round …
const LOOK: Duration = Duration::from_secs(6);
/// … but not more often than this.
const LOADS_MAX: u32 = 4;
/// `max_rate`, in rows a second.
const RATES: [u64; 2] = [50_000, 10_000];

/// What goes on beside the workload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Beside {
    Nothing,
    /// The engine's own loader.
    Peer,
    /// As fast as it goes, less where it finds that others have to wait.
    Whimbrel,
    /// And at most so many rows a second.
    Limited(u64),
}

impl Beside {
    fn all() -> Vec<Self> {
        let limited = RATES.map(Self::Limited);
        [&[Self::Nothing, Self::Peer, Self::Whimbrel], &limited[..]].concat()
    }

    fn name(self, engine: Engine) -> String {
        match (self, engine) {
            (Self::Nothing, _) => "nothing".to_owned(),
            (Self::Peer, Engine::Postgres) => "psql \\copy".to_owned(),
            (Self::Peer, Engine::Mysql) => "LOAD DATA".to_owned(),
            (Self::Whimbrel, _) => "whimbrel".to_owned(),
            (Self::Limited(rate), _) => format!("whimbrel, {rate}/s"),
        }
    }

    /// Rows of its file: a load that is limited would take too long otherwise.
    fn rows(self, rows: u64) -> u64 {
        match self {
            Self::Limited(rate) => rows.min(rate * LOOK.as_secs()),
            Self::Nothing | Self::Peer | Self::Whimbrel => rows,
        }
    }
}

/// What was seen beside one of them, of one or several rounds.
#[derive(Clone, Default, Debug)]
struct Seen {
    /// In milliseconds, from the lowest.
    latencies: Vec<f64>,
    rows: u64,
    wall: Duration,
    /// How often a load found that others have to wait.
    strains: usize,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        let all = [&self.latencies[..], &other.latencies].concat();
        self.latencies = sorted(all.into_iter());
        self.rows += other.rows;
        self.wall += other.wall;
        self.strains += other.strains;
    }

    /// The latency that so many in a hundred do not exceed (the nearest rank).
    fn percentile(&self, hundredths: usize) -> f64 {
        let rank = (self.latencies.len() * hundredths).div_ceil(100);
        self.latencies[rank.max(1) - 1]
    }
}

/// On both servers.
pub(super) fn latencies(bench: &Bench) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for engine in Engine::ALL {
        figures.extend(on(engine, bench)?);
    }
    Ok(figures)
}

fn on(engine: Engine, bench: &Bench) -> Result<Vec<Figure>> {
    let server = durable_server(engine)?;
    let ground = Ground { bench, server: &server, engine };
    let besides = Beside::all();
    let mut rounds: Vec<Vec<Seen>> = besides.iter().map(|_| Vec::new()).collect();
    for _round in 0..bench.runs {
        for (beside, seen) in besides.iter().zip(&mut rounds) {
            let what = || format!("beside {}", beside.name(engine));
            seen.push(ground.beside(*beside).with_context(what)?);
        }
    }
    let rate = Duration::from_secs(1).as_millis() / EVERY.as_millis();
    println!("workload           {rate} transactions/s on {CONNECTIONS} connections of {engine}");
    print(engine, &besides, &rounds);
    Ok(figures(engine, &besides, &rounds))
}

fn print(engine: Engine, besides: &[Beside], rounds: &[Vec<Seen>]) {
    println!(
        "{:<20} {:>7} {:>9} {:>9} {:>9}  {:>5} {:>5}  {:>8}  {:>8}",
        "beside", "counted", "p50", "p99", "longest", "p50 ×", "p99 ×", "rows/s", "strained"
    );
    let alone = rounds.first().map(|alone| together(alone));
    for (beside, seen) in besides.iter().zip(rounds) {
        let seen = together(seen);
        let times = |hundredths: usize| {
            let alone = alone.as_ref().map_or(f64::NAN, |alone| alone.percentile(hundredths));
            seen.percentile(hundredths) / alone
        };
        let speed = seen.rows as f64 / seen.wall.as_secs_f64();
        println!(
            "{:<20} {:>7} {:>6.2} ms {:>6.2} ms {:>6.1} ms  {:>5.2} {:>5.2}  {speed:>8.0}  {:>8}",
            beside.name(engine),
            seen.latencies.len(),
            seen.percentile(50),
            seen.percentile(99),
            seen.percentile(100),
            times(50),
            times(99),
            seen.strains
        );
    }
}

fn together(rounds: &[Seen]) -> Seen {
    let mut all = Seen::default();
    for seen in rounds {
        all.add(seen);
    }
    all
}

/// Ratios of p99 in the same round; of those the median.
fn figures(engine: Engine, besides: &[Beside], rounds: &[Vec<Seen>]) -> Vec<Figure> {
    let of = |wanted: Beside| {
        besides.iter().zip(rounds).find(|(beside, _)| **beside == wanted).map(|(_, seen)| seen)
    };
    let mut pairs = vec![(Beside::Whimbrel, Beside::Peer), (Beside::Whimbrel, Beside::Nothing)];
    pairs.extend(RATES.map(|rate| (Beside::Limited(rate), Beside::Nothing)));
    let figure = |(upper, lower): (Beside, Beside)| {
        let ratios = of(upper)?.iter().zip(of(lower)?);
        let ratios = sorted(ratios.map(|(a, b)| a.percentile(99) / b.percentile(99)));
        let name = format!("{engine}: p99 beside {} / {}", upper.name(engine), lower.name(engine));
        Some(Figure::new(name, *ratios.get(ratios.len() / 2)?))
    };
    pairs.into_iter().filter_map(figure).collect()
}

struct Ground<'a> {
    bench: &'a Bench,
    server: &'a Server,
    engine: Engine,
}

impl Ground<'_> {
    /// One round beside one of them: loads until they have taken long enough.
    fn beside(&self, beside: Beside) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut loads = 0;
        while seen.wall < LOOK && loads < LOADS_MAX {
            seen.add(&self.once(beside)?);
            loads += 1;
        }
        ensure!(!seen.latencies.is_empty(), "no transaction was due: load more rows");
        Ok(seen)
    }

    /// One load, into a database of its own.
    fn once(&self, beside: Beside) -> Result<Seen> {
        let rows = beside.rows(self.bench.rows);
        let database = self.server.database("impact")?;
        database.run(&live_tables())?;
        let load = self.load(beside, rows, &database)?;
        calm(self.server)?;
        let workload = self.workload(&database)?;
        std::thread::sleep(BEFORE);

        let began = Instant::now();
        let strains = match load {
            None => {
                std::thread::sleep(LOOK);
                0
            }
            Some(load) => strains(&load.heard()?.1),
        };
        let wall = began.elapsed();
        let done = workload.end()?;
        holds(&database, "live_history", u64::try_from(done.len())?)?;
        let rows = if beside == Beside::Nothing { 0 } else { rows };
        holds(&database, Data::Telemetry.table(), rows)?;
        Ok(Seen { latencies: counted(&done, began, began + wall), rows, wall, strains })
    }

    fn workload(&self, database: &Database<'_>) -> Result<Workload> {
        let reach = Reach::near(database, self.engine)?;
        let rows = self.bench.rows;
        let connection = |_| {
            let mut client = match self.engine {
                Engine::Postgres => reach.psql(),
                Engine::Mysql => reach.mariadb(),
            };
            match self.engine {
                Engine::Postgres => client.args(["-A", "-t"]),
                Engine::Mysql => client.args(["--batch", "--unbuffered", "--skip-column-names"]),
            };
            let mut session = Session::open(client)?;
            Ok(move |number| session.tell(&transaction(number, rows)))
        };
        let connections = (0..CONNECTIONS).map(connection).collect::<Result<Vec<_>>>()?;
        Ok(Workload::begin(EVERY, connections))
    }

    /// What loads the table, which stands ready.
    fn load(
        &self,
        beside: Beside,
        rows: u64,
        database: &Database<'_>,
    ) -> Result<Option<Course<'static>>> {
        let engine = self.engine.name();
        let limit = match beside {
            Beside::Nothing | Beside::Whimbrel => None,
            Beside::Limited(rate) => Some(rate),
            Beside::Peer => {
                database.run(&Data::Telemetry.plain_schema(engine))?;
                let csv = self.csv(rows)?;
                let command = match self.engine {
                    Engine::Postgres => postgres::copy(database, Data::Telemetry, &csv)?,
                    Engine::Mysql => mysql::load_data(database, Data::Telemetry, &csv)?,
                };
                return Ok(Some(Course::new(command)));
            }
        };
        let schema = Data::Telemetry.schema(engine);
        database.run(&schema)?;
        if beside == Beside::Nothing {
            return Ok(None);
        }
        let there = schema.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS");
        let folder = self.bench.folder();
        let folder = data::folder(folder, "impact", Data::Telemetry.plan(), engine, &there)?;
        link(&self.csv(rows)?, &folder.join("legacy/telemetry.csv"))?;
        let mut load = self.bench.migrate(&folder, &database.url(), 0);
        load.command.env("WHIMBREL_PROGRESS", "json");
        if let Some(rate) = limit {
            load.command.arg("--max-rate").arg(format!("{rate}/s"));
        }
        Ok(Some(load))
    }

    /// The file with so many rows.
    fn csv(&self, rows: u64) -> Result<PathBuf> {
        let csv = self.bench.folder().join(format!("telemetry-{rows}.csv"));
        if !csv.exists() {
            Data::Telemetry.write(&csv, rows, 0.0)?;
        }
        Ok(csv)
    }
}

/// The workload's own tables.
fn live_tables() -> String {
    let digits: Vec<String> = (0..10).map(|digit| format!("({digit})")).collect();
    format!(
        "CREATE TABLE live_accounts (id INTEGER NOT NULL PRIMARY KEY, balance INTEGER NOT NULL, \
         filler CHAR(84) NOT NULL);\n\
         CREATE TABLE live_history (number INTEGER NOT NULL PRIMARY KEY, account INTEGER NOT NULL, \
         delta INTEGER NOT NULL);\n\
         CREATE TABLE live_digits (d INTEGER NOT NULL);\n\
         INSERT INTO live_digits VALUES {};\n\
         INSERT INTO live_accounts SELECT 1 + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d, \
         0, 'of no account' FROM live_digits a, live_digits b, live_digits c, live_digits e, \
         live_digits f;\n",
        digits.join(", ")
    )
}

/// A transaction: the same for the same number.
fn transaction(number: u64, rows: u64) -> String {
    let mut dice = Dice::new(DEFAULT_SEED.wrapping_add(number), "live");
    let (account, delta) = (dice.between(1, ACCOUNTS), dice.between(-5_000, 5_000));
    let sample = dice.below(rows);
    format!(
        "BEGIN; UPDATE live_accounts SET balance = balance + {delta} WHERE id = {account}; \
         SELECT balance FROM live_accounts WHERE id = {account}; \
         SELECT note FROM samples WHERE sample = {sample}; \
         INSERT INTO live_history VALUES ({number}, {account}, {delta}); COMMIT;"
    )
}

/// Latencies in milliseconds of what was due in this time.
fn counted(done: &[Done], from: Instant, to: Instant) -> Vec<f64> {
    let due = done.iter().filter(|done| (from..to).contains(&done.due));
    sorted(due.map(|done| done.latency.as_secs_f64() * 1000.0))
}

/// How often the load became slower because others had to wait, of its events.
fn strains(events: &str) -> usize {
    let events = events.lines().filter_map(|line| serde_json::from_str(line).ok());
    let is_strain = |event: &serde_json::Value| {
        event["type"] == "pressure" && event["strain"].as_u64().is_some_and(|strain| strain > 0)
    };
    events.filter(is_strain).count()
}

/// Puts a file at a place where another may be.
fn link(file: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_file(to)?;
    }
    Ok(fs::hard_link(file, to)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(latencies: &[f64]) -> Seen {
        Seen { latencies: sorted(latencies.iter().copied()), ..Seen::default() }
    }

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let hundred: Vec<f64> = (1..=200).map(f64::from).collect();
        let seen = seen(&hundred);
        let found = [50, 99, 100].map(|hundredths| seen.percentile(hundredths));
        assert!(found.iter().zip([100.0, 198.0, 200.0]).all(|(a, b)| (a - b).abs() < 1e-9));
    }

    #[test]
    fn few_transactions_are_enough() {
        let seen = seen(&[3.0]);
        assert!([1, 50, 99, 100].iter().all(|at| (seen.percentile(*at) - 3.0).abs() < 1e-9));
    }

    #[test]
    fn only_what_was_due_beside_the_load_counts() {
        let began = Instant::now();
        let at = |millis| began + Duration::from_millis(millis);
        let done = |due, latency| Done { due: at(due), latency: Duration::from_millis(latency) };
        // The third was due during the load and ended after it.
        let all = [done(0, 1), done(10, 2), done(19, 400), done(20, 3)];
        assert_eq!(counted(&all, at(10), at(20)), [2.0, 400.0]);
    }

    #[test]
    fn ratios_are_of_rounds() {
        let besides = Beside::all();
        let of = |value: f64| vec![seen(&[value]), seen(&[2.0 * value]), seen(&[50.0])];
        let rounds = [of(2.0), of(4.0), of(6.0), of(3.0), of(2.0)];
        let found: Vec<String> = figures(Engine::Postgres, &besides, &rounds)
            .iter()
            .map(|figure| format!("{}: {:.2}", figure.name, figure.value))
            .collect();
        assert_eq!(
            found,
            [
                "PostgreSQL: p99 beside whimbrel / psql \\copy: 1.50",
                "PostgreSQL: p99 beside whimbrel / nothing: 3.00",
                "PostgreSQL: p99 beside whimbrel, 50000/s / nothing: 1.50",
                "PostgreSQL: p99 beside whimbrel, 10000/s / nothing: 1.00",
            ]
        );
    }

    #[test]
    fn transactions_are_the_same_every_time() {
        assert_eq!(transaction(7, 100), transaction(7, 100));
        assert_ne!(transaction(7, 100), transaction(8, 100));
    }

    #[test]
    fn a_load_that_has_room_again_is_not_strained() {
        let events = r#"{"seq":1,"type":"pressure","strain":1}
{"seq":2,"type":"pressure","strain":0}
{"seq":3,"type":"checkpoint"}
not an event"#;
        assert_eq!(strains(events), 1);
    }
}
