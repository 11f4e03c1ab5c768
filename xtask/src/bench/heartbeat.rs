//! `bench heartbeat`: the polling service with a million results, moved whole within its window.
//!
//! ```text
//! legacy.db          ─┬─▶ SQLite, PostgreSQL, MariaDB      whimbrel migrate --deadline 30m
//! legacy PostgreSQL  ─┴─▶ PostgreSQL
//! ```

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use whimbrel_testkit::servers::{Database, Engine, Server};
use whimbrel_testkit::{DEFAULT_SEED, heartbeat};

use super::Bench;
use super::figures::Figure;
use super::load::calm;
use super::measure::{Course, peak_memory, print_times, sorted};
use super::place::{ServerProcess, durable_server};
use super::sqlite::remove_database;
use crate::binary::root;

/// The window that the service can be without its database; of this the move is to take a tenth.
const WINDOW: &str = "30m";

/// To each engine, and from PostgreSQL to PostgreSQL.
pub(super) fn moves(bench: &Bench) -> Result<Vec<Figure>> {
    let folder = bench.folder().join("heartbeat");
    copy_plan(&root().join("fixtures/heartbeat"), &folder)?;
    let dumps = folder.join("legacy");
    heartbeat::write(&dumps, bench.rows, DEFAULT_SEED)?;
    let legacy = folder.join("legacy.db");
    remove_database(&legacy)?;
    Connection::open(&legacy)?
        .execute_batch(&fs::read_to_string(dumps.join("legacy.sqlite.sql"))?)?;
    let postgres = durable_server(Engine::Postgres)?;
    let mysql = durable_server(Engine::Mysql)?;
    let old = postgres.database("old")?;
    old.run_file(&dumps.join("legacy.postgres.sql"))?;
    fs::remove_dir_all(&dumps)?;
    println!("data               about {} results of checks", bench.rows);

    let (from_file, from_server) = ("sqlite:legacy.db".to_owned(), old.url());
    let mut figures = Vec::new();
    for (name, legacy, server) in [
        ("SQLite to SQLite", &from_file, None),
        ("SQLite to PostgreSQL", &from_file, Some(&postgres)),
        ("SQLite to MariaDB", &from_file, Some(&mysql)),
        ("PG to PG", &from_server, Some(&postgres)),
    ] {
        let mut times = Vec::new();
        for _run in 0..bench.runs {
            times.push(moved(bench, &folder, legacy, server)?);
        }
        print_times(name, &times, bench.rows, "results");
        let seconds = sorted(times.iter().map(|took| took.wall.as_secs_f64()));
        figures.push(Figure::new(format!("{name}: slowest, s"), seconds[seconds.len() - 1]));
        figures.push(peak_memory(name, times.iter()));
    }
    Ok(figures)
}

/// One whole move into a new database. Some of the fixture's rows are dirty, so it ends with 3.
fn moved(
    bench: &Bench,
    folder: &Path,
    legacy: &str,
    server: Option<&Server>,
) -> Result<super::measure::Took> {
    let file = folder.join("heartbeat.db");
    remove_database(&file)?;
    let database = server.map(|server| server.database("heartbeat")).transpose()?;
    let target = database.as_ref().map_or("sqlite:heartbeat.db".to_owned(), Database::url);
    let processes: Vec<ServerProcess> =
        server.map(ServerProcess::of).transpose()?.into_iter().collect();
    if let Some(server) = server {
        calm(server)?;
    }
    let mut course = bench.migrate(folder, &target, 3);
    course.command.args(["--deadline", WINDOW]).env("LEGACY", legacy);
    let watched: Vec<&ServerProcess> = processes.iter().collect();
    let took = Course { servers: &watched, ..course }.timed()?;

    let count =
        "SELECT (SELECT count(*) FROM heartbeat_event) + (SELECT count(*) FROM failed_check)";
    let count: String = match &database {
        None => {
            Connection::open(&file)?.query_row(count, [], |row| row.get::<_, i64>(0))?.to_string()
        }
        Some(database) => {
            let cell = database.rows(count)?.into_iter().flatten().flatten().next();
            String::from_utf8_lossy(&cell.context("a count is one row")?).into_owned()
        }
    };
    let count: u64 = count.parse()?;
    ensure!(count >= bench.rows, "{count} results have arrived of {}", bench.rows);
    Ok(took)
}

/// Plan and schema of a fixture.
fn copy_plan(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    fs::copy(from.join("whimbrel.toml"), to.join("whimbrel.toml"))?;
    for engine in fs::read_dir(from.join("schema"))? {
        let engine = engine?;
        let folder = to.join("schema").join(engine.file_name());
        fs::create_dir_all(&folder)?;
        for file in fs::read_dir(engine.path())? {
            let file = file?;
            fs::copy(file.path(), folder.join(file.file_name()))?;
        }
    }
    Ok(())
}
