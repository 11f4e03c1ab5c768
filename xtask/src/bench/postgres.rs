//! `bench load-postgres`: a whole `migrate` against `psql \copy` of the same CSV, and pgloader.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use whimbrel_testkit::servers::{Database, Engine};

use super::Bench;
use super::data::Data;
use super::figures::Figure;
use super::load::{Peer, against};
use super::place::{Reach, durable_server, version};

/// Both kinds of data.
pub(super) fn load(bench: &Bench) -> Result<Vec<Figure>> {
    let server = durable_server(Engine::Postgres)?;
    let mut peers = vec![Peer { name: "psql \\copy", command: &copy, once: false }];
    match version("pgloader") {
        Some(version) => {
            println!("pgloader           {version}; it runs once");
            peers.push(Peer { name: "pgloader", command: &pgloader, once: true });
        }
        None => println!("pgloader           skipped: it is not installed"),
    }
    against(bench, &server, &peers)
}

/// What the CSV writes for NULL.
fn null(data: Data) -> &'static str {
    match data {
        Data::Telemetry => "NAN",
        Data::Flights => "NA",
    }
}

/// The peer: the same file into a table of the same types and key, by the engine's own client.
pub(super) fn copy(database: &Database<'_>, data: Data, csv: &Path) -> Result<Command> {
    let mut psql = Reach::near(database, Engine::Postgres)?.psql();
    let (table, null, csv) = (data.table(), null(data), csv.display());
    psql.arg("-c")
        .arg(format!("\\copy {table} FROM '{csv}' WITH (FORMAT csv, HEADER, NULL '{null}')"));
    Ok(psql)
}

/// pgloader takes the fields by the names of the columns, in the order of the file.
fn pgloader(database: &Database<'_>, data: Data, csv: &Path) -> Result<Command> {
    let null = null(data);
    let fields: Vec<String> =
        data.columns().iter().map(|name| format!("{name} [null if '{null}']")).collect();
    let script = format!(
        "LOAD CSV FROM '{}' ({}) INTO {} TARGET TABLE {} WITH skip header = 1, \
         fields terminated by ',';\n",
        csv.display(),
        fields.join(", "),
        Reach::tcp(database, Engine::Postgres)?.pgloader(),
        data.table(),
    );
    let file = csv.with_extension("load");
    fs::write(&file, script)?;
    let mut command = Command::new("pgloader");
    command.arg("--root-dir").arg(csv.with_extension("pgloader")).arg(file);
    Ok(command)
}
