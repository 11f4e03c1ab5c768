//! Private servers: they come up, are killed, come back with what was committed, and leave nothing
//! behind, however their process ends.
#![cfg(unix)]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use whimbrel_testkit::servers::{Engine, Options, Row, private_or_skip, server_or_skip};

fn row(cells: &[Option<&str>]) -> Row {
    cells.iter().map(|cell| cell.map(|text| text.as_bytes().to_vec())).collect()
}

fn gone(what: &str, gone: impl Fn() -> bool) {
    let began = Instant::now();
    while !gone() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process works in the folder or names it in its command line.
fn is_used(folder: &Path) -> bool {
    let name = folder.to_string_lossy();
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.map(|entry| entry.path()).any(|process| {
        std::fs::read(process.join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(&*name))
    })
}

#[test]
fn what_was_committed_is_there_after_a_kill() {
    for engine in Engine::ALL {
        let Some(server) = private_or_skip(engine, &Options::default()) else { continue };
        let database = server.database("killed, and back").unwrap();
        database.run("CREATE TABLE t (a int)").unwrap();
        database.run("INSERT INTO t VALUES (1)").unwrap();
        server.kill().unwrap();
        database.run("SELECT 1").unwrap_err();
        server.restart().unwrap();
        assert_eq!(database.rows("SELECT a FROM t").unwrap(), [row(&[Some("1")])]);
    }
}

#[test]
fn nothing_is_left_when_a_server_goes() {
    for engine in Engine::ALL {
        let Some(server) = private_or_skip(engine, &Options::default()) else { continue };
        let folder = server.folder().unwrap();
        assert!(is_used(&folder));
        drop(server);
        assert!(!folder.exists());
        gone("a process", || !is_used(&folder));
    }
}

#[test]
fn nothing_is_left_when_a_test_panics() {
    for engine in Engine::ALL {
        let Some(server) = private_or_skip(engine, &Options::default()) else { continue };
        let folder = server.folder().unwrap();
        let panicked = std::panic::catch_unwind(move || {
            let _database = server.database("panics").unwrap();
            panic!("as tests do");
        });
        panicked.unwrap_err();
        assert!(!folder.exists());
        gone("a process", || !is_used(&folder));
    }
}

/// Runs in a process of its own, which the next test kills.
#[test]
fn a_server_that_waits_to_be_orphaned() {
    if std::env::var_os("WHIMBREL_TEST_ORPHAN").is_none() {
        return;
    }
    let servers = Engine::ALL.map(|engine| private_or_skip(engine, &Options::default()));
    for server in servers.iter().flatten() {
        let told = format!("\nfolder {}\n", server.folder().unwrap().display());
        std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes()).unwrap();
    }
    std::io::Write::write_all(&mut std::io::stdout(), b"\nready\n").unwrap();
    std::io::stdin().lines().for_each(drop);
}

#[test]
fn nothing_is_left_when_the_process_is_killed() {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_server_that_waits_to_be_orphaned", "--nocapture"])
        .env("WHIMBREL_TEST_ORPHAN", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut folders = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(folder) = line.strip_prefix("folder ") {
            folders.push(folder.to_owned());
        }
        if line == "ready" {
            break;
        }
    }
    assert!(folders.iter().all(|folder| is_used(Path::new(folder))));
    child.kill().unwrap();
    child.wait().unwrap();
    for folder in folders {
        gone("a process", || !is_used(Path::new(&folder)));
        gone("a folder", || !Path::new(&folder).exists());
    }
}

#[test]
fn cells_come_as_they_are() {
    for engine in Engine::ALL {
        let Some(server) = server_or_skip(engine) else { continue };
        let database = server.database("cells").unwrap();
        let text = "a\tb\nc\r\\N <b>&amp; \"é\" '</field>\u{1f426}\\.\n\\.\n";
        let null = "NULL";
        database.run("CREATE TABLE t (n int, a text, b text, c text)").unwrap();
        let quoted = match engine {
            Engine::Postgres => text.replace('\'', "''"),
            Engine::Mysql => text.replace('\\', "\\\\").replace('\'', "''"),
        };
        database.run(&format!("INSERT INTO t VALUES (1, '{quoted}', 'NULL', NULL)")).unwrap();
        database.run("INSERT INTO t VALUES (2, '', '\t', ' ')").unwrap();
        let found = database
            .many_rows(&["SELECT a, b, c FROM t ORDER BY n;", "SELECT n FROM t WHERE n > 2"])
            .unwrap();
        let wanted =
            vec![row(&[Some(text), Some(null), None]), row(&[Some(""), Some("\t"), Some(" ")])];
        assert_eq!(found, [wanted, Vec::new()]);
    }
}

#[test]
fn a_copy_holds_the_same_and_is_another() {
    for engine in Engine::ALL {
        let Some(server) = server_or_skip(engine) else { continue };
        let database = server.database("first").unwrap();
        database.run("CREATE TABLE t (a int)").unwrap();
        database.run("INSERT INTO t VALUES (7)").unwrap();
        let copy = database.copy("second").unwrap();
        database.run("DELETE FROM t").unwrap();
        assert_eq!(copy.rows("SELECT a FROM t").unwrap(), [row(&[Some("7")])]);
        assert_ne!(copy.url(), database.url());
    }
}

#[test]
fn a_database_goes_with_its_value() {
    for engine in Engine::ALL {
        let Some(server) = server_or_skip(engine) else { continue };
        let database = server.database("gone").unwrap();
        let name = database.name().to_owned();
        let other = server.database("other").unwrap();
        let list = match engine {
            Engine::Postgres => format!("SELECT datname FROM pg_database WHERE datname = '{name}'"),
            Engine::Mysql => format!(
                "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = '{name}'"
            ),
        };
        assert_eq!(other.rows(&list).unwrap().len(), 1);
        drop(database);
        assert_eq!(other.rows(&list).unwrap().len(), 0);
    }
}
