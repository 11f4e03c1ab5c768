//! A CSV into a server: ours, the peer's, ours with bad rows, in turns.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use whimbrel_testkit::servers::{Database, Engine, Server};

use super::data::Data;
use super::figures::Figure;
use super::measure::{Course, Took, peak_memory, print_ratio, print_times};
use super::place::ServerProcess;
use super::{Bench, Files};

/// Another loader of the same file.
pub(super) struct Peer<'a> {
    pub(super) name: &'static str,
    /// Its command line, for a database in which the table stands ready.
    pub(super) command: &'a dyn Fn(&Database<'_>, Data, &Path) -> Result<Command>,
    /// Runs once, for comparison, and is not watched.
    pub(super) once: bool,
}

/// Loads both kinds of data, in turns with the peers; returns what is watched.
pub(super) fn against(bench: &Bench, server: &Server, peers: &[Peer<'_>]) -> Result<Vec<Figure>> {
    let ground = Ground { bench, server, process: ServerProcess::of(server)? };
    let mut figures = Vec::new();
    for data in [Data::Telemetry, Data::Flights] {
        let files = bench.files(data, server.engine().name())?;
        figures.extend(ground.load(&files, peers)?);
    }
    Ok(figures)
}

struct Ground<'a> {
    bench: &'a Bench,
    server: &'a Server,
    process: ServerProcess,
}

impl Ground<'_> {
    fn load(&self, files: &Files, peers: &[Peer<'_>]) -> Result<Vec<Figure>> {
        let (mut ours, mut with_bad) = (Vec::new(), Vec::new());
        let mut theirs: Vec<Vec<Took>> = peers.iter().map(|_| Vec::new()).collect();
        for run in 0..self.bench.runs {
            ours.push(self.migrate(files, &files.clean, 0, files.written.good)?);
            for (peer, times) in peers.iter().zip(&mut theirs) {
                if run == 0 || !peer.once {
                    times.push(self.peer(files, peer)?);
                }
            }
            with_bad.push(self.migrate(files, &files.bad, 3, files.spoiled.good)?);
        }

        let (data, rows) = (files.data.name(), self.bench.rows);
        print_times("whimbrel", &ours, rows, "rows");
        print_times("3% bad", &with_bad, rows, "rows");
        let mut figures = Vec::new();
        for (peer, times) in peers.iter().zip(&theirs) {
            print_times(peer.name, times, rows, "rows");
            let ratio = print_ratio(&format!("whimbrel / {}", peer.name), &ours, times);
            if !peer.once {
                figures.push(Figure::new(format!("{data}: whimbrel / {}", peer.name), ratio));
            }
        }
        let ratio = print_ratio("3% bad / clean", &with_bad, &ours);
        figures.push(Figure::new(format!("{data}: 3% bad / clean"), ratio));
        figures.push(peak_memory(data, ours.iter().chain(&with_bad)));
        Ok(figures)
    }

    fn migrate(&self, files: &Files, folder: &Path, code: i32, rows: u64) -> Result<Took> {
        let database = self.server.database("bench")?;
        calm(self.server)?;
        let course = self.bench.migrate(folder, &database.url(), code);
        let took = Course { servers: &[&self.process], ..course }.timed()?;
        holds(&database, files.data.table(), rows)?;
        Ok(took)
    }

    fn peer(&self, files: &Files, peer: &Peer<'_>) -> Result<Took> {
        let database = self.server.database("peer")?;
        database.run(&files.data.plain_schema(self.server.engine().name()))?;
        let command = (peer.command)(&database, files.data, &files.csv())?;
        calm(self.server)?;
        let took = Course { servers: &[&self.process], ..Course::new(command) }.timed()?;
        holds(&database, files.data.table(), files.written.good)?;
        Ok(took)
    }
}

/// What one run left in memory is not written at the next one's cost.
pub(super) fn calm(server: &Server) -> Result<()> {
    match server.engine() {
        Engine::Postgres => server.run("CHECKPOINT")?,
        Engine::Mysql => {
            server.run("SET GLOBAL innodb_max_dirty_pages_pct = 0")?;
            let database = server.database("calm")?;
            let pages = "SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'";
            for _look in 0..300 {
                let rows = database.rows(pages)?;
                let dirty = rows.first().and_then(|row| row.last()?.clone()).unwrap_or_default();
                if dirty == b"0" {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
            server.run("SET GLOBAL innodb_max_dirty_pages_pct = 90")?;
        }
    }
    Ok(())
}

/// Whether a table holds as many rows as it has to.
pub(super) fn holds(database: &Database<'_>, table: &str, rows: u64) -> Result<()> {
    let found = database.rows(&format!("SELECT count(*) FROM {table}"))?;
    let count = found.into_iter().flatten().flatten().next().context("a count is one row")?;
    let count = String::from_utf8_lossy(&count).into_owned();
    ensure!(count == rows.to_string(), "`{table}` holds {count} rows instead of {rows}");
    Ok(())
}
