//! What goes wrong outside of the rows: logins, names, locks, sessions that end, privileges.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::contract::holder;
use whimbrel_endpoint::{ErrorClass, LeaseRequest, Needs, RowFate, WriteMode};
use whimbrel_model::{Value, ValueRef};
use whimbrel_sql::{Options, open};
use whimbrel_testkit::servers::{Engine, Options as Settings, private_or_skip};

use super::place::{
    all, chunk, database, described, granted, lease, ready, request, target, target_at, told, write,
};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, v int);";

async fn refused(url: &str) -> (ErrorClass, &'static str, String) {
    let target = open(url, Options::default()).await.unwrap();
    told(&target.facts().await.unwrap_err())
}

#[tokio::test]
async fn a_place_that_is_not_there_is_told_apart() {
    let Some(database) = database("places") else { return };
    let url = database.tcp_url().unwrap();
    let (class, code, text) = refused(&url.replace(database.name(), "canary_db")).await;
    assert_eq!((class, code), (ErrorClass::Configuration, "WB0452"), "{text}");
    assert!(text.contains("createdb canary_db"), "{text}");
    let (class, code, text) = refused("postgres://me:canary@127.0.0.1:1/db").await;
    assert_eq!((class, code), (ErrorClass::Transient, "WB0450"), "{text}");
    assert!(text.contains("nothing listens") && !text.contains("canary"), "{text}");
    let (class, code, text) = refused("postgres://me:canary@host.invalid/db").await;
    assert_eq!((class, code), (ErrorClass::Configuration, "WB0450"), "{text}");
    assert!(text.contains("host's name") && !text.contains("canary"), "{text}");
    let (_, code, text) = refused(&format!("{url}?sslmode=require")).await;
    assert_eq!(code, "WB0454", "{text}");
    let error = open("postgres://me:canary@host:port/db", Options::default()).await;
    let (class, code, text) = told(&error.err().unwrap());
    assert_eq!((class, code), (ErrorClass::Configuration, "WB0400"));
    assert!(!text.contains("canary"), "{text}");
}

#[tokio::test]
async fn a_wrong_password_is_told_without_it() {
    let Some(database) = database("password") else { return };
    let url = database.tcp_url().unwrap();
    let at = url.rfind('@').unwrap();
    let wrong = format!("postgres://whimbrel:canary{}", &url[at..]);
    let target = open(&wrong, Options::default()).await.unwrap();
    // A server that trusts everybody has nothing to tell.
    let Err(error) = target.facts().await else { return };
    let (class, code, text) = told(&error);
    assert_eq!((class, code), (ErrorClass::Configuration, "WB0451"), "{text}");
    assert!(!text.contains("canary"), "{text}");
}

fn end_sessions(database: &whimbrel_testkit::servers::Database<'_>) {
    database
        .run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE application_name = 'whimbrel' AND datname = current_database()",
        )
        .unwrap();
}

#[tokio::test]
async fn sessions_that_were_ended_come_again() {
    let Some(database) = database("ended") else { return };
    let (target, fence) = ready(&database, TABLE).await;
    let table = described(&*target, "t").await;
    // In the middle of a transaction: nothing of it stays, and the next one goes.
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[ValueRef::Int(1), ValueRef::Null]]).await;
    end_sessions(&database);
    let rows = Arc::new(chunk(&[&[ValueRef::Int(2), ValueRef::Null]]));
    let error = txn.write(&table, rows, WriteMode::Insert).await.unwrap_err();
    assert_eq!(told(&error).0, ErrorClass::Transient, "{:?}", told(&error));
    assert_eq!(txn.commit().await.unwrap_err().class, ErrorClass::Transient);
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[ValueRef::Int(1), ValueRef::Null]]).await;
    txn.commit().await.unwrap();
    // Between two transactions: whoever goes on has to look first what stands.
    end_sessions(&database);
    let error = target.begin(fence).await.err().expect("the connection is another one");
    assert_eq!(error.class, ErrorClass::Transient, "{error:?}");
    target.begin(fence).await.unwrap().commit().await.unwrap();
    // Before the commit.
    let txn = target.begin(fence).await.unwrap();
    end_sessions(&database);
    let error = txn.commit().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{:?}", told(&error));
    assert_eq!(all(&*target, "t", &["id"]).await, [[Value::Int(1)]]);
}

#[tokio::test]
async fn a_takeover_ends_the_session_that_holds_the_rows() {
    let Some(database) = database("takeover") else { return };
    let (first, fence) = ready(&database, TABLE).await;
    let table = described(&*first, "t").await;
    let mut txn = first.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[ValueRef::Int(1), ValueRef::Null]]).await;
    let second = target(&database).await;
    let dead = LeaseRequest { dead: Some(holder("run")), ..request("next") };
    let next = granted(second.lease(&dead).await.unwrap());
    // The key is free at once: no lock of the dead run is in the way.
    let mut other = second.begin(next).await.unwrap();
    let fates = write(&mut other, &table, &[&[ValueRef::Int(1), ValueRef::Int(5)]]).await;
    assert_eq!(fates, [RowFate::Inserted]);
    other.commit().await.unwrap();
    let error = txn.commit().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Fenced, "{:?}", told(&error));
    assert_eq!(all(&*second, "t", &["v"]).await, [[Value::Int(5)]]);
}

#[tokio::test]
async fn a_lock_of_others_is_waited_for_and_then_transient() {
    let Some(database) = database("locked") else { return };
    let (target, fence) = ready(&database, TABLE).await;
    let table = described(&*target, "t").await;
    let url = database.url();
    let holding = std::thread::spawn(move || {
        // The lock is held until the session is ended below.
        std::process::Command::new("psql")
            .args([url.as_str(), "-qc", "BEGIN; LOCK TABLE t; SELECT pg_sleep(30);"])
            .stderr(std::process::Stdio::null())
            .status()
    });
    let is_locked = "SELECT 1 FROM pg_locks WHERE relation = 't'::regclass \
                     AND mode = 'AccessExclusiveLock' AND granted";
    while database.rows(is_locked).unwrap().is_empty() {}
    let mut txn = target.begin(fence).await.unwrap();
    let rows = Arc::new(chunk(&[&[ValueRef::Int(1), ValueRef::Null]]));
    let error = txn.write(&table, rows, WriteMode::Insert).await.unwrap_err();
    let (class, code, text) = told(&error);
    assert_eq!((class, code), (ErrorClass::Transient, "WB0407"), "{text}");
    assert_eq!(txn.commit().await.unwrap_err().class, ErrorClass::Transient);
    database
        .run("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'")
        .unwrap();
    holding.join().unwrap().unwrap();
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[ValueRef::Int(1), ValueRef::Null]]).await;
    txn.commit().await.unwrap();
}

#[tokio::test]
async fn a_write_that_is_dropped_in_the_middle_leaves_nothing() {
    let Some(database) = database("dropped") else { return };
    let (target, fence) = ready(&database, TABLE).await;
    let table = described(&*target, "t").await;
    let mut rows = whimbrel_model::ChunkBuilder::new(2);
    for id in 0..200_000 {
        rows.push(ValueRef::Int(id));
        rows.push(ValueRef::Null);
        rows.end_row();
    }
    let rows = Arc::new(rows.finish());
    for _ in 0..5 {
        let mut txn = target.begin(fence).await.unwrap();
        let writing = txn.write(&table, Arc::clone(&rows), WriteMode::Insert);
        let _ = tokio::time::timeout(Duration::from_millis(30), writing).await;
        drop(txn);
        target.begin(fence).await.unwrap().commit().await.unwrap();
    }
    assert!(all(&*target, "t", &["id"]).await.is_empty());
}

#[tokio::test]
async fn a_ledger_is_prepared_by_several_at_once() {
    let Some(database) = database("several") else { return };
    let targets = [target(&database).await, target(&database).await, target(&database).await];
    let [a, b, c] = &targets;
    let (a, b, c) = tokio::join!(a.prepare_ledger(), b.prepare_ledger(), c.prepare_ledger());
    a.and(b).and(c).unwrap();
    database.run("UPDATE whimbrel.meta SET value = '99' WHERE name = 'ledger_version'").unwrap();
    let error = targets[0].prepare_ledger().await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Changed, "WB0430"));
}

#[tokio::test]
async fn a_user_of_the_ledgers_name_keeps_its_tables_apart() {
    let Some(database) = database("namesake") else { return };
    let (target, fence) = ready(&database, "CREATE TABLE archive (id int PRIMARY KEY);").await;
    assert_eq!(described(&*target, "archive").await.columns.len(), 1);
    assert_eq!(target.describe("seen").await.unwrap(), None);
    target.release(fence).await.unwrap();
    lease(&*target, "again").await;
}

#[tokio::test]
async fn missing_privileges_are_named_with_what_grants_them() {
    let Some(database) = database("privileges") else { return };
    let role = format!("r_{}", database.name());
    database
        .run(&format!(
            "CREATE TABLE t (id serial PRIMARY KEY, v int); CREATE UNLOGGED TABLE u (id int); \
             CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT SELECT ON t TO {role}; \
             REVOKE CREATE ON SCHEMA public FROM PUBLIC;"
        ))
        .unwrap();
    let url = database.tcp_url().unwrap();
    let at = url.rfind('@').unwrap();
    let target = target_at(&format!("postgres://{role}:x{}", &url[at..])).await;
    let needs = Needs {
        tables: vec!["t".to_owned(), "u".to_owned()],
        creates: vec!["new".to_owned()],
        bytes: Some(1 << 40),
        ..Needs::default()
    };
    let findings = target.inspect(&needs).await.unwrap();
    let has = |blocks: bool, words: &[&str]| {
        let found = findings.iter().any(|finding| {
            finding.blocks == blocks && words.iter().all(|word| finding.message.contains(word))
        });
        assert!(found, "{words:?} {findings:#?}");
    };
    has(true, &["GRANT CREATE ON DATABASE"]);
    has(true, &["may not create tables in the schema `public`"]);
    has(true, &["`t`", "missing: INSERT, UPDATE, DELETE"]);
    has(false, &["counters of `t`", "t_id_seq"]);
    has(false, &["`u` is unlogged"]);
    has(false, &["max_wal_size"]);
    let pressure = target.pressure().await.unwrap();
    assert!(pressure.round_trip > Duration::ZERO);
    let error = target.prepare_ledger().await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Configuration, "WB0453"));
    drop(target);
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role};")).unwrap();
}

/// Commits of a load do not wait for the disk: what a server acknowledged may be gone when it is back.
#[tokio::test]
async fn a_server_that_fell_after_a_commit_is_not_taken_for_the_same() {
    let Some(server) = private_or_skip(Engine::Postgres, &Settings::default()) else { return };
    let database = server.database("fell").unwrap();
    let (target, fence) = ready(&database, "CREATE TABLE t (id int PRIMARY KEY)").await;
    target.enter_load().await.unwrap();
    for is_at_the_end in [false, true] {
        target.begin(fence).await.unwrap().commit().await.unwrap();
        server.kill().unwrap();
        server.restart().unwrap();
        let error = if is_at_the_end {
            target.leave_load().await.unwrap_err()
        } else {
            target.begin(fence).await.err().expect("the connection is another one")
        };
        assert_eq!(error.class, ErrorClass::Transient, "{error:?}");
    }
    target.begin(fence).await.unwrap().commit().await.unwrap();
    target.leave_load().await.unwrap();
}
