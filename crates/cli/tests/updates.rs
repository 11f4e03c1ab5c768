//! Changed records whose rows the target refuses to update: through the binary, each is a reject, and
//! the others are updated.

#![allow(clippy::unwrap_used)] // tests

use std::fs;
use std::path::Path;
use std::process::Command;

use whimbrel_testkit::servers::{self, Engine};

const SCHEMA: &str = "CREATE TABLE levels (level INT NOT NULL PRIMARY KEY);
    INSERT INTO levels VALUES (1), (2);
    CREATE TABLE people (id BIGINT NOT NULL PRIMARY KEY, score INT NOT NULL, level INT NOT NULL,
        CONSTRAINT people_score CHECK (score < 100),
        CONSTRAINT people_level FOREIGN KEY (level) REFERENCES levels (level));";

const PLAN: &str = "name = \"people\"\ntarget = \"${TARGET}\"\n[source.people]\n\
    csv = \"people.csv\"\n[[table]]\ninto = \"people\"\nfrom = \"people\"\nkey = [\"id\"]\n\
    existing = \"update\"\n[table.columns]\nid = \"id\"\nscore = \"score\"\nlevel = \"level\"\n\
    [rejects]\nmax = \"90%\"\n[run]\nworkers = 1\nretries = 0\n";

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
    assert_eq!(output.status.code(), Some(code), "{url} {arguments:?}\n{said}");
    said
}

/// `people` is told as `id score level`, row by row.
fn rejects_rows_and_updates_the_others(
    folder: &Path,
    url: &str,
    run: impl Fn(&str),
    people: impl Fn() -> Vec<String>,
) {
    let write = |rows: &str| {
        fs::write(folder.join("people.csv"), format!("id,score,level\n{rows}")).unwrap();
    };
    run(SCHEMA);
    fs::write(folder.join("whimbrel.toml"), PLAN).unwrap();
    write("1,10,1\n2,20,1\n3,30,1\n4,40,1\n5,50,1\n");
    ends(folder, url, &["migrate"], 0);
    write("1,11,1\n2,200,1\n3,31,2\n4,41,7\n5,51,1\n");
    ends(folder, url, &["migrate", "--incremental"], 3);
    assert_eq!(people(), ["1 11 1", "2 20 1", "3 31 2", "4 40 1", "5 51 1"], "{url}");
    let listed = ends(folder, url, &["rejects", "list"], 0);
    assert!(listed.contains("WB0411") && listed.contains("WB0412"), "{url} {listed}");
    ends(folder, url, &["migrate", "--incremental"], 0);
    run("INSERT INTO levels VALUES (7)");
    ends(folder, url, &["rejects", "retry"], 3);
    assert_eq!(people(), ["1 11 1", "2 20 1", "3 31 2", "4 41 7", "5 51 1"], "{url}");
    let listed = ends(folder, url, &["rejects", "list"], 0);
    assert!(listed.contains("WB0411") && !listed.contains("WB0412"), "{url} {listed}");
}

const PEOPLE: &str = "SELECT id, score, level FROM people ORDER BY id";

#[test]
fn sqlite_rejects_rows_and_updates_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let open = || rusqlite::Connection::open(folder.path().join("new.db")).unwrap();
    let people = || {
        let connection = open();
        let mut statement = connection.prepare(PEOPLE).unwrap();
        let line = |row: &rusqlite::Row<'_>| {
            let cell = |index| row.get::<_, i64>(index);
            Ok(format!("{} {} {}", cell(0)?, cell(1)?, cell(2)?))
        };
        statement.query_map([], line).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let run = |sql: &str| open().execute_batch(sql).unwrap();
    rejects_rows_and_updates_the_others(folder.path(), "sqlite:new.db", run, people);
}

#[test]
fn servers_reject_rows_and_update_the_others() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = server.database("updates").unwrap();
        let people = || {
            let text = |cell: &Option<Vec<u8>>| String::from_utf8(cell.clone().unwrap()).unwrap();
            let line = |row: &servers::Row| row.iter().map(text).collect::<Vec<_>>().join(" ");
            database.rows(PEOPLE).unwrap().iter().map(line).collect()
        };
        let folder = tempfile::tempdir().unwrap();
        let run = |sql: &str| database.run(sql).unwrap();
        rejects_rows_and_updates_the_others(folder.path(), &database.url(), run, people);
    }
}
