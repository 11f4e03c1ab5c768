//! What the states are called in which sources are read: by the same name as long as nothing is written.

use rusqlite::Connection;
use tempfile::TempDir;
use whimbrel_testkit::servers::{Database, Engine, Options as Settings, private_or_skip};

use crate::world::{rows, source, table};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, note varchar(20));
    INSERT INTO t VALUES (1, 'a'), (2, 'b');";

/// What another process calls the state now.
async fn name(url: &str) -> String {
    let source = source(&table(url, "t"));
    // The name is that of the rows, whenever it is asked for.
    assert!(!rows(source.as_ref()).await.unwrap().is_empty());
    source.state().await.unwrap().unwrap()
}

fn file(mode: &str) -> (TempDir, String, impl Fn(&str)) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.db");
    let url = format!("sqlite:{}", path.display());
    let run = move |sql: &str| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    run(&format!("PRAGMA journal_mode = {mode}; {TABLE}"));
    (folder, url, run)
}

#[tokio::test]
async fn sqlite_tells_by_the_files_whether_anything_was_written() {
    for mode in ["WAL", "DELETE"] {
        let (_folder, url, run) = file(mode);
        let first = name(&url).await;
        assert_eq!(name(&url).await, first, "{mode}");
        run("SELECT * FROM t");
        assert_eq!(name(&url).await, first, "{mode}");
        run("UPDATE t SET note = 'c' WHERE id = 1");
        assert_ne!(name(&url).await, first, "{mode}");
    }
}

#[tokio::test]
async fn sqlite_tells_what_stands_in_the_log_alone() {
    let (_folder, url, _) = file("WAL");
    let path = url.trim_start_matches("sqlite:");
    // The log stays as long as this is open.
    let open = Connection::open(path).unwrap();
    open.execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE t SET note = 'c'").unwrap();
    let first = name(&url).await;
    assert_eq!(name(&url).await, first);
    open.execute_batch("UPDATE t SET note = 'd'").unwrap();
    assert_ne!(name(&url).await, first);
}

#[tokio::test]
async fn a_state_keeps_its_name_while_others_write() {
    let (_folder, url, run) = file("WAL");
    let source = source(&table(&url, "t"));
    let first = source.state().await.unwrap();
    run("UPDATE t SET note = 'c'");
    assert_eq!(source.state().await.unwrap(), first);
}

/// What begins a transaction that outlives its session, and what commits it.
async fn server_tells(old: &Database<'_>, prepare: &str, commit: &str) {
    let url = old.url();
    old.run(TABLE).unwrap();
    let first = name(&url).await;
    assert_eq!(name(&url).await, first);
    old.run("SELECT * FROM t").unwrap();
    assert_eq!(name(&url).await, first);
    old.run("UPDATE t SET note = 'c' WHERE id = 1").unwrap();
    let second = name(&url).await;
    assert_ne!(second, first);
    old.run(prepare).unwrap();
    let before = name(&url).await;
    old.run(commit).unwrap();
    assert_ne!(name(&url).await, before);
}

#[tokio::test]
async fn postgres_tells_by_its_transactions() {
    let settings = Settings::default().set("autovacuum", "off");
    let settings = settings.set("max_prepared_transactions", "2");
    let Some(server) = private_or_skip(Engine::Postgres, &settings) else { return };
    let old = server.database("states").unwrap();
    let prepare = "BEGIN; UPDATE t SET note = 'd' WHERE id = 1; PREPARE TRANSACTION 'x'";
    server_tells(&old, prepare, "COMMIT PREPARED 'x'").await;
    // Another database of the same server has another name, whatever was written.
    let other = server.database("states").unwrap();
    other.run(TABLE).unwrap();
    assert_ne!(name(&old.url()).await, name(&other.url()).await);
    let before = name(&old.url()).await;
    server.restart().unwrap();
    assert_ne!(name(&old.url()).await, before);
}

#[tokio::test]
async fn mariadb_tells_by_its_transactions() {
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let old = server.database("states").unwrap();
    let version = old.rows("SELECT VERSION()").unwrap();
    if !String::from_utf8_lossy(version[0][0].as_deref().unwrap()).contains("MariaDB") {
        return;
    }
    let prepare = "XA START 'x'; UPDATE t SET note = 'd' WHERE id = 1; XA END 'x'; XA PREPARE 'x'";
    server_tells(&old, prepare, "XA COMMIT 'x'").await;
    let findings = source(&table(&old.url(), "t")).inspect().await.unwrap();
    assert!(findings.is_empty(), "nobody writes: {findings:?}");
    let other = server.database("states").unwrap();
    other.run(TABLE).unwrap();
    assert_ne!(name(&old.url()).await, name(&other.url()).await);
    // What is written into other engines is not counted, so that nothing is told of it.
    old.run("CREATE TABLE m (id int PRIMARY KEY) ENGINE = MyISAM").unwrap();
    assert_ne!(name(&old.url()).await, name(&old.url()).await);
}
