//! The ledger's version, and the tuning of a load.

#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

mod place;

use place::{Place, told, write};
use whimbrel_endpoint::{ErrorClass, Fence, Target};
use whimbrel_model::ValueRef as V;

fn journal_mode(place: &Place) -> String {
    place.stranger().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap()
}

fn remembered(place: &Place) -> i64 {
    place
        .stranger()
        .query_row(
            "SELECT count(*) FROM whimbrel_meta WHERE name = 'journal_mode_before_load'",
            [],
            |row| row.get(0),
        )
        .unwrap()
}

#[tokio::test]
async fn the_ledger_records_its_version() {
    let place = Place::new();
    let target = place.target().await;
    target.prepare_ledger().await.unwrap();
    let version: String = place
        .stranger()
        .query_row("SELECT value FROM whimbrel_meta WHERE name = 'ledger_version'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert_eq!(version, "2");
}

#[tokio::test]
async fn a_ledger_of_version_1_is_upgraded() {
    let place = Place::new();
    place.target().await.prepare_ledger().await.unwrap();
    let stranger = place.stranger();
    stranger
        .execute_batch(
            "DROP TABLE whimbrel_parked_indexes;
             UPDATE whimbrel_meta SET value = '1' WHERE name = 'ledger_version';
             INSERT INTO whimbrel_meta VALUES ('kept', 'yes');",
        )
        .unwrap();
    let target = place.target().await;
    target.prepare_ledger().await.unwrap();
    let found = "SELECT group_concat(value) FROM (SELECT value FROM whimbrel_meta ORDER BY name)";
    let found: String = stranger.query_row(found, [], |row| row.get(0)).unwrap();
    assert_eq!(found, "yes,2");
    assert!(target.describe("whimbrel_parked_indexes").await.unwrap().is_some());
}

#[tokio::test]
async fn a_newer_ledger_is_refused() {
    let place = Place::new();
    place.target().await.prepare_ledger().await.unwrap();
    place.stranger().execute("UPDATE whimbrel_meta SET value = '3'", []).unwrap();
    let error = place.target().await.prepare_ledger().await.unwrap_err();
    let (class, code, text) = told(&error);
    assert_eq!((class, code), (ErrorClass::Changed, "WB0430"));
    assert!(text.contains("version 3") && text.contains("`2`"), "{text}");
}

#[tokio::test]
async fn a_ledger_without_its_tables_is_refused() {
    let place = Place::new();
    place.target().await.prepare_ledger().await.unwrap();
    place.stranger().execute("DROP TABLE whimbrel_undo_updates", []).unwrap();
    let error = place.target().await.prepare_ledger().await.unwrap_err();
    assert_eq!(told(&error).1, "WB0431");
}

#[tokio::test]
async fn a_current_ledger_needs_no_lock() {
    let place = Place::new();
    place.target().await.prepare_ledger().await.unwrap();
    let stranger = place.stranger();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    place.target().await.prepare_ledger().await.unwrap();
}

#[tokio::test]
async fn the_journal_mode_is_put_back() {
    let place = Place::new();
    let (target, _) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    assert_eq!(journal_mode(&place), "delete");
    target.enter_load().await.unwrap();
    assert_eq!((journal_mode(&place), remembered(&place)), ("wal".to_owned(), 1));
    target.leave_load().await.unwrap();
    assert_eq!((journal_mode(&place), remembered(&place)), ("delete".to_owned(), 0));
    assert!(!place.folder.join("target.db-wal").exists());
}

#[tokio::test]
async fn a_log_that_was_there_before_stays() {
    let place = Place::new();
    let (target, _) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    place.stranger().query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    target.enter_load().await.unwrap();
    target.leave_load().await.unwrap();
    assert_eq!((journal_mode(&place), remembered(&place)), ("wal".to_owned(), 0));
}

#[tokio::test]
async fn a_successor_puts_back_what_a_crashed_run_changed() {
    let place = Place::new();
    let (target, _) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    target.enter_load().await.unwrap();
    drop(target);
    assert_eq!(journal_mode(&place), "wal");
    let target = place.target().await;
    target.enter_load().await.unwrap();
    target.leave_load().await.unwrap();
    assert_eq!(journal_mode(&place), "delete");
}

#[tokio::test]
async fn another_reader_does_not_fail_the_end_of_a_load() {
    let place = Place::new();
    let (target, fence) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    target.enter_load().await.unwrap();
    let stranger = place.stranger();
    stranger.query_row("SELECT count(*) FROM t", [], |_| Ok(())).unwrap();
    let table = place::described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[V::Int(1)]]).await;
    txn.commit().await.unwrap();
    target.leave_load().await.unwrap();
    // Everything is in the database itself; only the mode waits for the reader to go.
    assert_eq!(std::fs::metadata(place.folder.join("target.db-wal")).unwrap().len(), 0);
    assert_eq!(remembered(&place), 1);
    drop(stranger);
    target.leave_load().await.unwrap();
    assert_eq!((journal_mode(&place), remembered(&place)), ("delete".to_owned(), 0));
}

#[tokio::test]
async fn an_open_read_keeps_the_log_and_says_so() {
    let place = Place::new();
    let (target, fence) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    target.enter_load().await.unwrap();
    let stranger = place.stranger();
    stranger.execute_batch("BEGIN; SELECT count(*) FROM t;").unwrap();
    let table = place::described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[V::Int(1)]]).await;
    txn.commit().await.unwrap();
    let error = target.leave_load().await.unwrap_err();
    assert_eq!((told(&error).0, told(&error).1), (ErrorClass::Transient, "WB0407"));
    stranger.execute_batch("COMMIT").unwrap();
    drop(stranger);
    target.leave_load().await.unwrap();
    assert_eq!(journal_mode(&place), "delete");
}

/// Batches of rows of 20 kB: some 20 MB each.
async fn load_batches(target: &dyn Target, fence: Fence, batches: std::ops::Range<i64>) {
    let table = place::described(target, "t").await;
    let text = "x".repeat(20_000);
    for batch in batches {
        let mut txn = target.begin(fence).await.unwrap();
        for id in 0..1_000 {
            let id = V::Int((batch * 1_000 + id).into());
            write(&mut txn, &table, &[&[id, V::Text(&text)]]).await;
        }
        txn.commit().await.unwrap();
    }
}

fn bytes(place: &Place, name: &str) -> u64 {
    std::fs::metadata(place.folder.join(name)).unwrap().len()
}

#[tokio::test]
async fn the_log_reaches_the_database_while_the_load_goes_on() {
    let place = Place::new();
    let (target, fence) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)").await;
    target.enter_load().await.unwrap();
    load_batches(&*target, fence, 0..1).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while bytes(&place, "target.db") < 19_000_000 {
        assert!(std::time::Instant::now() < deadline, "nothing moves the log");
        tokio::task::yield_now().await;
    }
    target.leave_load().await.unwrap();
    assert_eq!(journal_mode(&place), "delete");
}

#[tokio::test]
async fn the_log_does_not_grow_with_what_is_loaded() {
    let place = Place::new();
    let (target, fence) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)").await;
    target.enter_load().await.unwrap();
    load_batches(&*target, fence, 0..8).await;
    // 64 MiB, and the batch that went beyond.
    assert!(bytes(&place, "target.db-wal") < 90_000_000, "{}", bytes(&place, "target.db-wal"));
    target.leave_load().await.unwrap();
    let rows: i64 =
        place.stranger().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!((rows, journal_mode(&place)), (8_000, "delete".to_owned()));
}

#[tokio::test]
async fn loading_needs_a_ledger() {
    let place = Place::new();
    drop(place.stranger());
    let target: Box<dyn Target> = place.target().await;
    let error = target.enter_load().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Configuration);
    place.stranger().execute_batch("CREATE TABLE t (a)").unwrap();
    let error = target.enter_load().await.unwrap_err();
    assert_eq!(told(&error).1, "WB0391");
    let error = target.lease(&request()).await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Configuration, "WB0391"), "{error:?}");
}

fn request() -> whimbrel_endpoint::LeaseRequest {
    whimbrel_endpoint::LeaseRequest {
        holder: whimbrel_endpoint::contract::holder("run"),
        ttl: std::time::Duration::from_secs(1),
        renew: None,
        dead: None,
    }
}

#[tokio::test]
async fn a_lease_runs_by_the_clock_of_the_database() {
    let place = Place::new();
    let (_target, _) = place.ready("CREATE TABLE t (a)").await;
    let left: f64 = place
        .stranger()
        .query_row(
            "SELECT expires_ms / 1000.0 - unixepoch('now', 'subsec') FROM whimbrel_lease",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!((50.0..=60.0).contains(&left), "{left}");
}
