//! Legacy data of a service that polls web addresses: checks, their results, and who is to be told,
//! as a SQLite and as a PostgreSQL database.
//!
//! ```text
//! legacy.sqlite.sql     types and lengths are wishes, foreign keys are off
//! legacy.postgres.sql   the same without what PostgreSQL cannot hold; the foreign keys came later
//! ```
//! Both were taken at 2024-07-01T12:00:00Z.

mod alerts;
mod checks;
mod results;

use std::io;
use std::path::Path;

use crate::calendar::utc;
use crate::dump::{Cell, Dump, Engine};
use crate::{Dice, Folder};

/// A second in microseconds.
const SECOND: i64 = 1_000_000;

/// When the data was taken, in microseconds: 2024-07-01T12:00:00Z.
fn taken() -> i64 {
    utc(2024, 7, 1, 12, 0, 0) * 1000
}

/// A row, and whether SQLite alone can hold it.
struct Row {
    cells: Vec<Cell>,
    sqlite_only: bool,
}

impl Row {
    fn new(cells: impl Into<Vec<Cell>>) -> Self {
        Self { cells: cells.into(), sqlite_only: false }
    }

    fn sqlite_only(cells: impl Into<Vec<Cell>>) -> Self {
        Self { cells: cells.into(), sqlite_only: true }
    }
}

/// Fills the folder, which must be empty or not there yet, with the dirty data and, beside it, about
/// `clean` results without damage.
pub fn write(folder: &Path, clean: u64, seed: u64) -> io::Result<()> {
    let folder = Folder::create(folder)?;
    write_dump(&folder, Engine::Sqlite, clean, seed)?;
    write_dump(&folder, Engine::Postgres, clean, seed)
}

fn write_dump(folder: &Folder, engine: Engine, clean: u64, seed: u64) -> io::Result<()> {
    let (path, before, after) = match engine {
        Engine::Sqlite => ("legacy.sqlite.sql", SQLITE_TABLES, SQLITE_END),
        Engine::Postgres => ("legacy.postgres.sql", POSTGRES_TABLES, POSTGRES_END),
    };
    let checks = checks::all(seed, clean);
    let results = results::dirty(seed, &checks);
    let alerts = alerts::all(seed);
    let checks: Vec<Row> = checks.into_iter().map(checks::Check::into_row).collect();
    let mut dump = Dump::create(folder, path, engine)?;
    dump.sql(before)?;
    dump.table("healthcheck", &checks::COLUMNS, held(&checks, engine))?;
    dump.begin("check_result", &results::COLUMNS)?;
    for row in held(&results, engine) {
        dump.row(row)?;
    }
    results::each_clean(seed, clean, |row| dump.row(row))?;
    dump.end()?;
    dump.table("alert_config", &alerts::COLUMNS, held(&alerts, engine))?;
    dump.sql(after)?;
    dump.close()
}

fn held(rows: &[Row], engine: Engine) -> impl Iterator<Item = &[Cell]> {
    let holds = move |row: &&Row| engine == Engine::Sqlite || !row.sqlite_only;
    rows.iter().filter(holds).map(|row| row.cells.as_slice())
}

fn dice(seed: u64, name: &str) -> Dice {
    Dice::new(seed, &format!("heartbeat/{name}"))
}

const SQLITE_TABLES: &str = "\
-- A polling service's database, for sqlite3.
PRAGMA foreign_keys = OFF;
BEGIN;

CREATE TABLE healthcheck (
    id             INTEGER NOT NULL PRIMARY KEY,
    name           VARCHAR(100) NOT NULL,
    url            VARCHAR(500) NOT NULL,
    expected_text  VARCHAR(500),
    check_interval INTEGER,
    timeout        INTEGER,
    is_active      BOOLEAN,
    created_at     DATETIME,
    updated_at     DATETIME
);

CREATE TABLE check_result (
    id             INTEGER NOT NULL PRIMARY KEY,
    healthcheck_id INTEGER NOT NULL REFERENCES healthcheck (id),
    status         VARCHAR(9) NOT NULL,
    response_time  FLOAT,
    status_code    INTEGER,
    error_message  TEXT,
    checked_at     DATETIME
);

CREATE TABLE alert_config (
    id             INTEGER NOT NULL PRIMARY KEY,
    healthcheck_id INTEGER NOT NULL REFERENCES healthcheck (id),
    alert_type     VARCHAR(50) NOT NULL,
    configuration  JSON NOT NULL,
    is_active      BOOLEAN,
    created_at     DATETIME
);
";

const SQLITE_END: &str = "\nCOMMIT;\n";

const POSTGRES_TABLES: &str = "\
-- A polling service's database, for psql.
SET client_encoding = 'UTF8';
SET timezone = 'UTC';
BEGIN;

CREATE TYPE healthcheckstatus AS ENUM ('HEALTHY', 'UNHEALTHY', 'UNKNOWN');

CREATE TABLE healthcheck (
    id             SERIAL PRIMARY KEY,
    name           VARCHAR(100) NOT NULL,
    url            VARCHAR(500) NOT NULL,
    expected_text  VARCHAR(500),
    check_interval INTEGER,
    timeout        INTEGER,
    is_active      BOOLEAN,
    created_at     TIMESTAMP WITHOUT TIME ZONE,
    updated_at     TIMESTAMP WITHOUT TIME ZONE
);

CREATE TABLE check_result (
    id             SERIAL PRIMARY KEY,
    healthcheck_id INTEGER NOT NULL,
    status         healthcheckstatus NOT NULL,
    response_time  DOUBLE PRECISION,
    status_code    INTEGER,
    error_message  TEXT,
    checked_at     TIMESTAMP WITHOUT TIME ZONE
);

CREATE TABLE alert_config (
    id             SERIAL PRIMARY KEY,
    healthcheck_id INTEGER NOT NULL,
    alert_type     VARCHAR(50) NOT NULL,
    configuration  JSON NOT NULL,
    is_active      BOOLEAN,
    created_at     TIMESTAMP WITHOUT TIME ZONE
);
";

// The rows came from a SQLite file first; nobody has looked at them since.
const POSTGRES_END: &str = "
ALTER TABLE check_result ADD FOREIGN KEY (healthcheck_id) REFERENCES healthcheck (id) NOT VALID;
ALTER TABLE alert_config ADD FOREIGN KEY (healthcheck_id) REFERENCES healthcheck (id) NOT VALID;
SELECT setval('healthcheck_id_seq', max(id)) FROM healthcheck;
SELECT setval('check_result_id_seq', max(id)) FROM check_result;
SELECT setval('alert_config_id_seq', max(id)) FROM alert_config;
COMMIT;
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn dumps(clean: u64) -> [String; 2] {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), clean, 1).unwrap();
        ["legacy.sqlite.sql", "legacy.postgres.sql"]
            .map(|name| fs::read_to_string(dir.path().join(name)).unwrap())
    }

    #[test]
    fn the_same_seed_gives_the_same_dumps() {
        assert_eq!(dumps(100), dumps(100));
    }

    #[test]
    fn what_postgres_cannot_hold_is_in_sqlite_alone() {
        let [sqlite, postgres] = dumps(0);
        for text in ["5 min", "yesterday", "DOWN", "{'to_email'"] {
            assert!(sqlite.contains(&text.replace('\'', "''")), "{text}");
            assert!(!postgres.contains(text), "{text}");
        }
    }

    #[test]
    fn clean_results_come_in_about_the_asked_for_number() {
        let lines =
            |clean| dumps(clean)[1].lines().filter(|line| line.contains("\tHEALTHY\t")).count();
        let more = lines(5_000) - lines(0);
        assert!((4_000..=5_000).contains(&more), "{more}");
    }
}
