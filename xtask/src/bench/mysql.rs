//! `bench load-mysql`: a whole `migrate` against the client's `LOAD DATA LOCAL INFILE`.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use whimbrel_testkit::servers::{Database, Engine};

use super::Bench;
use super::data::Data;
use super::figures::Figure;
use super::load::{Peer, against};
use super::place::{Reach, durable_server};

/// Both kinds of data.
pub(super) fn load(bench: &Bench) -> Result<Vec<Figure>> {
    let server = durable_server(Engine::Mysql)?;
    let peer = Peer { name: "LOAD DATA", command: &load_data, once: false };
    against(bench, &server, &[peer])
}

/// The peer: the same file into a table of the same types and key, by the engine's own client.
///
/// Cells that mean NULL are said to be NULL, and instants lose their `Z`: otherwise the statement
/// stores zeros and warns a million times.
pub(super) fn load_data(database: &Database<'_>, data: Data, csv: &Path) -> Result<Command> {
    let (null, nullable, lines): (_, &[&str], _) = match data {
        Data::Telemetry => ("NAN", &["t1_feed", "t2_mid", "t3_nozzle", "t_motor"], "\\r\\n"),
        Data::Flights => (
            "NA",
            &["dep_time", "dep_delay", "arr_time", "arr_delay", "tailnum", "air_time"],
            "\\n",
        ),
    };
    let (mut columns, mut settings) = (Vec::new(), Vec::new());
    for name in data.columns() {
        if nullable.contains(name) {
            settings.push(format!("{name} = NULLIF(@{name}, '{null}')"));
        } else if *name == "time_hour" {
            settings.push(format!("{name} = LEFT(@{name}, 19)"));
        } else {
            columns.push((*name).to_owned());
            continue;
        }
        columns.push(format!("@{name}"));
    }
    let mut client = Reach::near(database, Engine::Mysql)?.mariadb();
    let (columns, settings) = (columns.join(", "), settings.join(", "));
    let (table, csv) = (data.table(), csv.display());
    client.arg("-e").arg(format!(
        "LOAD DATA LOCAL INFILE '{csv}' INTO TABLE {table} FIELDS TERMINATED BY ',' \
         OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '{lines}' IGNORE 1 LINES \
         ({columns}) SET {settings}"
    ));
    Ok(client)
}
