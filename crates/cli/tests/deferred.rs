//! Foreign keys that wait for the commit: through the binary, a row without a parent is a reject, and
//! the batches around it are loaded.

#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::path::Path;
use std::process::Command;

use whimbrel_testkit::servers;

const SCHEMA: &str = "CREATE TABLE ships (id BIGINT NOT NULL PRIMARY KEY);
    INSERT INTO ships VALUES (1);
    CREATE TABLE crew (id BIGINT NOT NULL PRIMARY KEY,
        ship BIGINT NOT NULL,
        boss BIGINT,
        CONSTRAINT crew_ship FOREIGN KEY (ship) REFERENCES ships (id) DEFERRABLE INITIALLY DEFERRED,
        CONSTRAINT crew_boss FOREIGN KEY (boss) REFERENCES crew (id) DEFERRABLE INITIALLY DEFERRED);";

const PLAN: &str = "name = \"crew\"\ntarget = \"${TARGET}\"\n[source.crew]\ncsv = \"crew.csv\"\n\
    null = [\"\"]\n[[table]]\ninto = \"crew\"\nfrom = \"crew\"\nkey = [\"id\"]\n[table.columns]\n\
    id = \"id\"\nship = \"ship\"\nboss = \"boss\"\n\
    [rejects]\nmax = \"50%\"\n[run]\nbatch_size = 100\nworkers = 1\nretries = 0\n";

/// Five hundred, whose bosses come after them; 7 and 320 have none, 50 hangs on 7, and the ship of 77
/// is unknown.
fn crew() -> String {
    let mut rows = "id,ship,boss\n".to_owned();
    for id in 1..=500 {
        let ship = if id == 77 { 9 } else { 1 };
        let boss = match id {
            7 => "9000".to_owned(),
            50 => "7".to_owned(),
            320 => "9001".to_owned(),
            _ if id % 10 == 0 => String::new(),
            _ => (id - id % 10 + 10).to_string(),
        };
        rows.push_str(&format!("{id},{ship},{boss}\n"));
    }
    rows
}

fn ends(folder: &Path, url: &str, arguments: &[&str], code: i32) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(arguments)
        .current_dir(folder)
        .env("WHIMBREL_PROGRESS", "none")
        .env("TARGET", url)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
    said
}

/// The run is done, with a reject for each row without its parent and for no other.
fn rejects_orphans(folder: &Path, url: &str, missing: impl Fn() -> Vec<String>) {
    fs::write(folder.join("crew.csv"), crew()).unwrap();
    fs::write(folder.join("whimbrel.toml"), PLAN).unwrap();
    let said = ends(folder, url, &["validate"], 0);
    assert!(said.contains("`crew` refers to itself by `"), "{said}");
    assert!(!said.contains("crew_ship") && !said.contains("→ ships"), "{said}");
    ends(folder, url, &["migrate"], 3);
    // With 50 and 320 go those whose boss they are.
    let gone = [7, 77].into_iter().chain(41..=50).chain(311..=320);
    let mut gone: Vec<String> = gone.map(|id: i32| id.to_string()).collect();
    gone.sort();
    let mut found = missing();
    found.sort();
    assert_eq!(found, gone);
    let listed = ends(folder, url, &["rejects", "list"], 0);
    assert!(listed.contains("WB0412"), "{listed}");
}

const MISSING: &str =
    "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 500)
    SELECT CAST(n.id AS TEXT) FROM n WHERE NOT EXISTS (SELECT 1 FROM crew c WHERE c.id = n.id)";

#[test]
fn sqlite_rejects_rows_and_not_batches() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crew.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    drop(connection);
    rejects_orphans(folder.path(), "sqlite:crew.db", || {
        let connection = rusqlite::Connection::open(&file).unwrap();
        let mut statement = connection.prepare(MISSING).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    });
}

#[test]
fn postgres_rejects_rows_and_not_batches() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let folder = tempfile::tempdir().unwrap();
    let database = server.database("crew").unwrap();
    database.run(SCHEMA).unwrap();
    rejects_orphans(folder.path(), &database.url(), || {
        let rows = database.rows(MISSING).unwrap();
        let text = |cell: &Option<Vec<u8>>| String::from_utf8(cell.clone().unwrap()).unwrap();
        rows.iter().map(|row| text(&row[0])).collect()
    });
}
