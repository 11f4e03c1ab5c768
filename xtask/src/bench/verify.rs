//! `bench verify`: what proof costs. Two tables of PostgreSQL compared, and loads that are verified.

use std::process::Command;

use anyhow::{Context as _, Result};
use whimbrel_testkit::servers::{Database, Engine, Server};

use super::Bench;
use super::data::Data;
use super::figures::Figure;
use super::measure::{Course, Took, median_seconds, peak_memory, print_ratio, print_times};
use super::place::{ServerProcess, durable_server, version};

/// Seven columns of the usual sorts.
const TABLE: &str = "CREATE TABLE compared (id bigint PRIMARY KEY, name text NOT NULL, mail text, \
    price numeric(12,2), seen timestamptz, open boolean, score double precision)";

/// How a right side differs from the left one.
#[derive(Clone, Copy, Debug)]
enum Differing {
    /// Not at all.
    None,
    /// One row in a hundred.
    Some,
    /// Every row.
    All,
}

impl Differing {
    fn name(self) -> &'static str {
        match self {
            Self::None => "compare, equal",
            Self::Some => "compare, 1% differ",
            Self::All => "compare, all differ",
        }
    }

    fn sql(self) -> &'static str {
        match self {
            Self::None => "SELECT 1",
            Self::Some => "UPDATE compared SET score = score + 1 WHERE id % 100 = 0",
            Self::All => "UPDATE compared SET score = score + 1",
        }
    }

    fn code(self) -> i32 {
        match self {
            Self::None => 0,
            Self::Some | Self::All => 4,
        }
    }
}

pub(super) fn proof(bench: &Bench) -> Result<Vec<Figure>> {
    let server = durable_server(Engine::Postgres)?;
    let mut figures = compare(bench, &server)?;
    for (target, server) in [("SQLite", None), ("PostgreSQL", Some(&server))] {
        figures.extend(levels(bench, target, server)?);
    }
    Ok(figures)
}

fn compare(bench: &Bench, server: &Server) -> Result<Vec<Figure>> {
    let process = ServerProcess::of(server)?;
    let side = |name: &str, differing: Differing| -> Result<Database<'_>> {
        let database = server.database(name)?;
        database.run(TABLE)?;
        database.run(&format!(
            "INSERT INTO compared SELECT i, 'name ' || md5(i::text), nullif('m' || i % 7, 'm0') || \
             '@example.org', (i % 100000) / 100.0, timestamptz '2024-01-01' + i * interval '1 s', \
             i % 3 = 0, i / 7.0 FROM generate_series(1, {}) AS i",
            bench.rows
        ))?;
        database.run(differing.sql())?;
        database.run("VACUUM (FREEZE, ANALYZE) compared")?;
        Ok(database)
    };
    let left = side("left", Differing::None)?;
    let kinds = [Differing::None, Differing::Some, Differing::All];
    let rights =
        kinds.map(|differing| side("right", differing).map(|database| (differing, database)));
    let mut times: Vec<Vec<Took>> = vec![Vec::new(); kinds.len()];
    for _ in 0..bench.runs {
        for (right, times) in rights.iter().zip(&mut times) {
            let (differing, right) = right.as_ref().map_err(|error| anyhow::anyhow!("{error}"))?;
            let mut command = Command::new(&bench.binary);
            command.args(["compare", &left.url(), &right.url()]);
            let course = Course { code: differing.code(), ..Course::new(command) };
            times.push(Course { servers: &[&process], ..course }.timed()?);
        }
    }
    for (differing, times) in kinds.iter().zip(&times) {
        print_times(differing.name(), times, bench.rows, "rows a side");
    }
    let [equal, some, all] = &times[..] else { unreachable!("three kinds") };
    let ratio = print_ratio("all differ / equal", all, equal);
    let micros = median_seconds(equal) * 1e6 / bench.rows as f64;
    println!("                   {micros:.2} µs a row of each side");
    match version("reladiff") {
        Some(version) => {
            println!("reladiff           {version}; it runs once on each");
            for (right, ours) in rights.iter().zip(&times) {
                let Ok((differing, right)) = right else { continue };
                // With every row other it takes a quarter of an hour.
                if matches!(differing, Differing::All) {
                    continue;
                }
                let theirs = reladiff(&left, right)?;
                let name = format!("reladiff, {}", differing.name());
                print_times(&name, &[theirs], bench.rows, "rows a side");
                print_ratio(&format!("whimbrel / {name}"), &ours[..1], &[theirs]);
            }
        }
        None => println!("reladiff           skipped: it is not installed"),
    }
    Ok(vec![
        Figure::new("compare: µs a row of each side", micros),
        Figure::new("compare: all differ / none", ratio),
        peak_memory("compare", equal.iter().chain(some).chain(all)),
    ])
}

fn reladiff(left: &Database<'_>, right: &Database<'_>) -> Result<Took> {
    let url = |database: &Database<'_>| -> Result<String> {
        let url = database.tcp_url().context("the server is not reached by TCP")?;
        Ok(url.replacen("postgres://", "postgresql://", 1))
    };
    let mut command = Command::new("reladiff");
    command.args([&url(left)?, "compared", &url(right)?, "compared"]);
    command.args(["-k", "id", "-c", "%", "--stats"]);
    Course::new(command).timed()
}

/// A load that is not verified, one that is, and closer verifications by themselves.
fn levels(bench: &Bench, name: &str, server: Option<&Server>) -> Result<Vec<Figure>> {
    let data = Data::Telemetry;
    let engine = server.map_or("sqlite", |server| server.engine().name());
    let files = bench.files(data, engine)?;
    let folder = &files.clean;
    let plan = folder.join("whimbrel.toml");
    let text = std::fs::read_to_string(&plan)?;
    let watched = server.map(ServerProcess::of).transpose()?;
    let watched: Vec<&ServerProcess> = watched.iter().collect();
    let (mut unproved, mut standard) = (Vec::new(), Vec::new());
    let closer = ["rigorous", "forensic"];
    let mut alone: [Vec<Took>; 2] = Default::default();
    for _ in 0..bench.runs {
        for (level, times) in [("none", &mut unproved), ("standard", &mut standard)] {
            let level = format!("verify = \"{level}\"");
            std::fs::write(&plan, text.replace("verify = \"none\"", &level))?;
            let database = server.map(|server| server.database("proof")).transpose()?;
            let file = folder.join("proof.db");
            let _ = std::fs::remove_file(&file);
            let target = database.as_ref().map_or("sqlite:proof.db".to_owned(), Database::url);
            let course = bench.migrate(folder, &target, 0);
            times.push(Course { servers: &watched, ..course }.timed()?);
            if !level.contains("standard") {
                continue;
            }
            for (level, times) in closer.iter().zip(&mut alone) {
                let mut command = Command::new(&bench.binary);
                command.current_dir(folder).args(["verify", "--level", level]);
                command.env("TARGET", &target);
                times.push(Course { servers: &watched, ..Course::new(command) }.timed()?);
            }
        }
    }
    std::fs::write(&plan, text)?;
    print_times(&format!("{name}, none"), &unproved, bench.rows, "rows");
    print_times(&format!("{name}, standard"), &standard, bench.rows, "rows");
    let added = print_ratio(&format!("{name}: standard / none"), &standard, &unproved);
    let mut figures = vec![Figure::new(format!("{name}: load verified at standard / not"), added)];
    for (level, times) in closer.iter().zip(&alone) {
        print_times(&format!("{name}, {level}"), times, bench.rows, "rows");
        let ratio = print_ratio(&format!("{name}: {level} / load"), times, &unproved);
        figures.push(Figure::new(format!("{name}: {level} verification / load"), ratio));
        figures.push(peak_memory(&format!("{name}: {level}"), times.iter()));
    }
    Ok(figures)
}
