//! `bench copy-database`: the rows of one database into a table of another, against the tools by
//! which they are usually carried over.
//!
//! ```text
//! PostgreSQL ─┐                ┌─ whimbrel migrate                    ─┐
//!             ├─ 1 M samples ──┼─ pg_dump | psql,  mariadb | psql \copy ├─▶ PostgreSQL
//! MariaDB ────┘                └─ pgloader, once                      ─┘
//! ```

use std::fs;
use std::process::Command;

use anyhow::Result;
use whimbrel_testkit::servers::{Database, Engine, Server};

use super::data::{self, Data};
use super::figures::Figure;
use super::load::{calm, holds};
use super::measure::{Course, Took, peak_memory, print_ratio, print_times};
use super::place::{Reach, ServerProcess, durable_server, version};
use super::{Bench, mysql, postgres};

const PLAN: &str = r#"name     = "bench-copy"
target   = "${TARGET}"
schema   = "schema"
timezone = "UTC"

[source.old]
database = "${OLD}"
table    = "samples"

[[table]]
into = "samples"
from = "old"
key  = ["sample"]
[table.columns]
"#;

/// From both engines.
pub(super) fn databases(bench: &Bench) -> Result<Vec<Figure>> {
    let target = durable_server(Engine::Postgres)?;
    let mut figures = from_postgres(bench, &target)?;
    figures.extend(from_mariadb(bench, &target)?);
    Ok(figures)
}

fn from_postgres(bench: &Bench, target: &Server) -> Result<Vec<Figure>> {
    let old = target.database("old")?;
    fill(bench, &old, Engine::Postgres)?;
    let ground = Ground::new(bench, target, &old, &[target])?;
    ground.copy("pg_dump to psql", &|new| {
        let mut shell = pipe("pg_dump --no-owner --table=samples \"$OLD\" | psql -X -q");
        let (old, new) =
            (Reach::near(&old, Engine::Postgres)?, Reach::near(new, Engine::Postgres)?);
        new.told(&mut shell);
        shell.env("OLD", old.database());
        Ok(shell)
    })
}

fn from_mariadb(bench: &Bench, target: &Server) -> Result<Vec<Figure>> {
    let source = durable_server(Engine::Mysql)?;
    let old = source.database("old")?;
    fill(bench, &old, Engine::Mysql)?;
    let ground = Ground::new(bench, target, &old, &[target, &source])?;
    ground.copy("mariadb to psql", &|new| {
        let client = Reach::near(&old, Engine::Mysql)?.mariadb();
        // What the client is told stands before the script's own words.
        let mut shell = pipe(
            "\"$@\" --batch --quick --skip-column-names -e 'SELECT * FROM samples' | psql -X -q -c \
             \"\\copy samples FROM pstdin WITH (NULL 'NULL')\"",
        );
        shell.arg("sh").arg(client.get_program()).args(client.get_args());
        shell.envs(client.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Reach::near(new, Engine::Postgres)?.told(&mut shell);
        new.run(&Data::Telemetry.plain_schema("postgres"))?;
        Ok(shell)
    })
}

/// Fills the old table by the engine's own loader.
fn fill(bench: &Bench, old: &Database<'_>, engine: Engine) -> Result<()> {
    let csv = bench.folder().join("samples.csv");
    let written = Data::Telemetry.write(&csv, bench.rows, 0.0)?;
    old.run(&Data::Telemetry.plain_schema(engine.name()))?;
    let command = match engine {
        Engine::Postgres => postgres::copy(old, Data::Telemetry, &csv)?,
        Engine::Mysql => mysql::load_data(old, Data::Telemetry, &csv)?,
    };
    Course::new(command).timed()?;
    fs::remove_file(&csv)?;
    holds(old, "samples", written.good)?;
    // As a table stands that has been there for a while.
    old.run(match engine {
        Engine::Postgres => "VACUUM ANALYZE samples",
        Engine::Mysql => "ANALYZE TABLE samples",
    })?;
    println!("data               {} rows x 12 columns in {engine}", bench.rows);
    Ok(())
}

/// A shell that fails where any part of a pipe fails.
fn pipe(script: &str) -> Command {
    let mut shell = Command::new("bash");
    shell.args(["-o", "pipefail", "-c", script]);
    shell
}

struct Ground<'a> {
    bench: &'a Bench,
    target: &'a Server,
    old: &'a Database<'a>,
    engine: Engine,
    processes: Vec<ServerProcess>,
}

impl<'a> Ground<'a> {
    fn new(
        bench: &'a Bench,
        target: &'a Server,
        old: &'a Database<'a>,
        servers: &[&Server],
    ) -> Result<Self> {
        let processes = servers.iter().map(|server| ServerProcess::of(server));
        let engine = servers.last().map_or(Engine::Postgres, |server| server.engine());
        Ok(Self { bench, target, old, engine, processes: processes.collect::<Result<_>>()? })
    }

    /// Ours and the peer's in turns; returns what is watched.
    fn copy(
        &self,
        name: &str,
        peer: &dyn Fn(&Database<'_>) -> Result<Command>,
    ) -> Result<Vec<Figure>> {
        let columns = Data::Telemetry.columns().iter().map(|name| format!("{name} = \"{name}\""));
        let plan = format!("{PLAN}{}\n", columns.collect::<Vec<_>>().join("\n"));
        let schema = Data::Telemetry.plain_schema("postgres");
        let folder = format!("copy-{}", self.engine.name());
        let folder = data::folder(self.bench.folder(), &folder, &plan, "postgres", &schema)?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _run in 0..self.bench.runs {
            ours.push(self.run(|new| {
                let mut course = self.bench.migrate(&folder, &new.url(), 0);
                course.command.env("OLD", self.old.url());
                Ok(course.command)
            })?);
            theirs.push(self.run(peer)?);
        }
        let rows = self.bench.rows;
        print_times("whimbrel", &ours, rows, "rows");
        print_times(name, &theirs, rows, "rows");
        let ratio = print_ratio(&format!("whimbrel / {name}"), &ours, &theirs);
        if version("pgloader").is_some() {
            let times = [self.run(|new| self.pgloader(new))?];
            print_times("pgloader", &times, rows, "rows");
            print_ratio("whimbrel / pgloader", &ours, &times);
        } else {
            println!("pgloader           skipped: it is not installed");
        }
        let from = format!("from {}", self.engine);
        let ratio = Figure::new(format!("{from}: whimbrel / {name}"), ratio);
        Ok(vec![ratio, peak_memory(&from, ours.iter())])
    }

    fn run(&self, command: impl FnOnce(&Database<'_>) -> Result<Command>) -> Result<Took> {
        let new = self.target.database("new")?;
        let command = command(&new)?;
        calm(self.target)?;
        let servers: Vec<&ServerProcess> = self.processes.iter().collect();
        let took = Course { servers: &servers, ..Course::new(command) }.timed()?;
        let table = match new.rows("SELECT to_regclass('samples') IS NULL")?.as_slice() {
            // pgloader names PostgreSQL's schema after MariaDB's database.
            [row] if row == &[Some(b"t".to_vec())] => format!("{}.samples", self.old.name()),
            _ => "samples".to_owned(),
        };
        holds(&new, &table, self.bench.rows)?;
        Ok(took)
    }

    fn pgloader(&self, new: &Database<'_>) -> Result<Command> {
        let mut command = Command::new("pgloader");
        command
            .arg("--root-dir")
            .arg(self.bench.folder().join("pgloader"))
            // By default a million rows exhaust its heap.
            .args(["--with", "prefetch rows = 10000"])
            .arg(Reach::tcp(self.old, self.engine)?.pgloader())
            .arg(Reach::tcp(new, Engine::Postgres)?.pgloader());
        Ok(command)
    }
}
