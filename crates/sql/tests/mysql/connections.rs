//! Servers that refuse, sessions that end, and runs that take over.

use std::time::Duration;

use whimbrel_endpoint::contract::holder;
use whimbrel_endpoint::{ErrorClass, LeaseAnswer, LeaseRequest, Needs, Query, RowFate};
use whimbrel_model::ValueRef;
use whimbrel_sql::{Options, open};
use whimbrel_testkit::servers::{Engine, Options as Settings, private_or_skip};

use crate::place::{Place, described, lease, opened, refusal, write};

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY) ENGINE=InnoDB";
const ONE: &[&[ValueRef<'_>]] = &[&[ValueRef::Int(1)]];

#[tokio::test]
async fn a_server_that_cannot_be_used_is_told_why() {
    use ErrorClass::{Configuration, Transient};
    let Some(place) = Place::new("refused") else { return };
    let url = place.database.tcp_url().unwrap();
    let (start, rest) = url.split_once("://").unwrap();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let at = host.split('/').next().unwrap();
    let check = async |url: String, class, code: &str, word: &str| {
        let error = match open(&url, Options::default()).await {
            Ok(target) => target.facts().await.expect_err("it was reached"),
            Err(error) => error,
        };
        assert_eq!((error.class, error.code), (class, code), "{error:?}");
        assert!(error.what.contains(word), "{}", error.what);
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    };
    check(format!("{start}://nobody:canary@{host}"), Configuration, "WB0451", "refuses the login")
        .await;
    check(format!("{start}://root@no-such-host.invalid/db"), Configuration, "WB0450", "name").await;
    check(format!("{start}://root@127.0.0.1:1/db"), Transient, "WB0450", "listens").await;
    check(format!("{start}://root@{at}"), Configuration, "WB0400", "no database").await;
    let missing = url.replace(place.database.name(), "nowhere_to_be_found");
    check(missing, Configuration, "WB0452", "Unknown database").await;
    let tls = if url.contains('?') {
        format!("{url}&ssl-mode=REQUIRED")
    } else {
        format!("{url}?ssl-mode=REQUIRED")
    };
    if !place.rows("SELECT @@have_ssl").contains(&"YES".to_owned()) {
        check(tls, Configuration, "WB0454", "does not encrypt").await;
    }
}

#[tokio::test]
async fn a_session_that_was_ended_is_a_transient_error() {
    let Some(place) = Place::new("ended") else { return };
    let (target, fence) = place.ready(TABLE).await;
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, ONE).await;
    end_sessions(&place);
    assert_eq!(refusal(txn.commit().await).0, ErrorClass::Transient);
    let mut txn = target.begin(fence).await.unwrap();
    assert_eq!(write(&mut txn, &table, ONE).await, [RowFate::Inserted]);
    txn.commit().await.unwrap();
    assert_eq!(target.select(&Query::table("t", &["id"])).await.unwrap().len(), 1);
}

fn end_sessions(place: &Place) {
    let name = place.database.name();
    let ids = place.rows(&format!(
        "SELECT id FROM information_schema.processlist WHERE db = '{name}' AND id <> CONNECTION_ID() \
         AND command = 'Sleep'"
    ));
    for id in ids {
        place.sql(&format!("KILL {id}"));
    }
}

#[tokio::test]
async fn nothing_is_sent_after_a_deadlock() {
    let Some(place) = Place::new("deadlock") else { return };
    let (target, fence) = place.ready(TABLE).await;
    let table = described(&*target, "t").await;
    place.sql("INSERT INTO t VALUES (100), (200)");
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, ONE).await;
    let locked = crate::place::chunk(&[&[ValueRef::Int(100)]]);
    txn.read_for_update(&table, &locked).await.unwrap();
    // Another session has 200 and has changed much: it is not the one that is undone.
    let url = place.database.url();
    let name = place.database.name().to_owned();
    let other = tokio::task::spawn_blocking(move || {
        let place = Place::new("other").unwrap();
        place.database.run(&format!(
            "USE {name}; BEGIN; UPDATE t SET id = 200 WHERE id = 200; \
             INSERT INTO t SELECT seq FROM seq_1000_to_9000; \
             SELECT id FROM t WHERE id = 100 FOR UPDATE; ROLLBACK"
        ))
    });
    let watcher = opened(&url).await;
    // The other waits for 100.
    let waiting = async {
        while watcher.pressure().await.unwrap().lock_waits == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the other waits");
    let keys = crate::place::chunk(&[&[ValueRef::Int(200)]]);
    let (class, code, _) = refusal(txn.read_for_update(&table, &keys).await);
    assert_eq!((class, code), (ErrorClass::Transient, "WB0456"));
    let rows = std::sync::Arc::new(crate::place::chunk(&[&[ValueRef::Int(2)]]));
    let again = txn.write(&table, rows, whimbrel_endpoint::WriteMode::Insert).await;
    assert_eq!(refusal(again).0, ErrorClass::Transient);
    assert_eq!(refusal(txn.commit().await).0, ErrorClass::Transient);
    other.await.unwrap().unwrap();
    assert_eq!(place.rows("SELECT id FROM t ORDER BY id"), ["100", "200"]);
}

#[tokio::test]
async fn a_takeover_ends_a_writer_that_holds_locks() {
    let Some(place) = Place::new("takeover") else { return };
    let (target, fence) = place.ready(TABLE).await;
    let table = described(&*target, "t").await;
    let mut stuck = target.begin(fence).await.unwrap();
    write(&mut stuck, &table, ONE).await;
    let other = place.target().await;
    let request = LeaseRequest {
        holder: holder("second"),
        ttl: Duration::from_mins(1),
        renew: None,
        dead: Some(holder("run")),
    };
    let LeaseAnswer::Granted(newer) = other.lease(&request).await.unwrap() else {
        panic!("a dead holder was kept")
    };
    let mut txn = other.begin(newer).await.unwrap();
    assert_eq!(write(&mut txn, &table, ONE).await, [RowFate::Inserted]);
    txn.commit().await.unwrap();
    assert_eq!(refusal(stuck.commit().await).0, ErrorClass::Fenced);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_was_given_up_leaves_nothing() {
    let Some(place) = Place::new("given_up") else { return };
    let (target, fence) = place.ready(TABLE).await;
    let table = described(&*target, "t").await;
    let mut rows = whimbrel_model::ChunkBuilder::new(1);
    for id in 0..200_000 {
        rows.push(ValueRef::Int(id));
        rows.end_row();
    }
    let rows = std::sync::Arc::new(rows.finish());
    let mut txn = target.begin(fence).await.unwrap();
    let writing = txn.write(&table, rows, whimbrel_endpoint::WriteMode::Insert);
    assert!(tokio::time::timeout(Duration::from_millis(30), writing).await.is_err());
    drop(txn);
    let mut txn = target.begin(fence).await.unwrap();
    assert_eq!(write(&mut txn, &table, ONE).await, [RowFate::Inserted]);
    txn.commit().await.unwrap();
    assert_eq!(place.rows("SELECT COUNT(*) FROM t"), ["1"]);
}

#[tokio::test]
async fn missing_privileges_are_named_before_the_load() {
    let Some(place) = Place::new("privileges") else { return };
    let (_, fence) = place.ready(TABLE).await;
    let name = place.database.name();
    let user = format!("u_{}", std::process::id());
    place.sql(&format!(
        "CREATE USER '{user}'@'%' IDENTIFIED BY 'canary'; CREATE USER '{user}'@'localhost' IDENTIFIED BY 'canary'; \
         GRANT SELECT ON `{name}`.* TO '{user}'@'%'; GRANT SELECT ON `{name}`.* TO '{user}'@'localhost'"
    ));
    let url = place.database.tcp_url().unwrap();
    let (start, rest) = url.split_once("://").unwrap();
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let target = opened(&format!("{start}://{user}:canary@{host}")).await;
    let needs = Needs { tables: vec!["t".to_owned()], ..Needs::default() };
    let found = target.inspect(&needs).await.unwrap();
    let told: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
    assert!(told.iter().any(|told| told.contains("GRANT INSERT, UPDATE, DELETE")), "{told:?}");
    let file = crate::place::file("CREATE TABLE a (id int)");
    let (_, code, what) = refusal(target.describe_schema(&[file]).await);
    assert_eq!(code, "WB0453");
    assert!(what.contains("GRANT ALL ON `whimbrel\\_scratch\\_%`"), "{what}");
    let (class, code, what) = refusal(target.release(fence).await);
    assert_eq!((class, code), (ErrorClass::Configuration, "WB0453"), "{what}");
    assert!(!what.contains("canary"));
    place.sql(&format!("DROP USER '{user}'@'%'; DROP USER '{user}'@'localhost'"));
}

#[tokio::test]
async fn what_should_be_known_before_a_load_is_told() {
    let Some(place) = Place::new("inspect") else { return };
    let (target, _) = place
        .ready(
            "CREATE TABLE m (id int PRIMARY KEY) ENGINE=MyISAM;
             CREATE TABLE g (id int PRIMARY KEY) ENGINE=InnoDB;
             CREATE TRIGGER h BEFORE INSERT ON g FOR EACH ROW SET NEW.id = NEW.id",
        )
        .await;
    let needs = Needs { tables: vec!["m".to_owned(), "g".to_owned()], ..Needs::default() };
    let found = target.inspect(&needs).await.unwrap();
    let codes: Vec<(&str, bool)> = found
        .iter()
        .filter(|found| found.code != "WB0472")
        .map(|found| (found.code, found.blocks))
        .collect();
    assert_eq!(codes, [("WB0476", true), ("WB0477", false)]);
    let pressure = target.pressure().await.unwrap();
    assert!(pressure.round_trip > Duration::ZERO && pressure.replica_lag.is_none());
}

#[tokio::test]
async fn a_server_that_was_killed_is_found_again() {
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let database = server.database("killed").unwrap();
    let target = opened(&database.url()).await;
    target.prepare_ledger().await.unwrap();
    let fence = lease(&*target, "run").await;
    database.run(TABLE).unwrap();
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, ONE).await;
    server.kill().unwrap();
    assert_eq!(refusal(txn.commit().await).0, ErrorClass::Transient);
    assert_eq!(refusal(target.begin(fence).await).0, ErrorClass::Transient);
    server.restart().unwrap();
    let mut txn = target.begin(fence).await.unwrap();
    assert_eq!(write(&mut txn, &table, ONE).await, [RowFate::Inserted]);
    txn.commit().await.unwrap();
}

/// A server may be set not to flush each commit: what it acknowledged may be gone when it is back.
#[tokio::test]
async fn a_server_that_fell_after_a_commit_is_not_taken_for_the_same() {
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let database = server.database("fell").unwrap();
    let target = opened(&database.url()).await;
    target.prepare_ledger().await.unwrap();
    let fence = lease(&*target, "run").await;
    target.begin(fence).await.unwrap().commit().await.unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    let (class, ..) = refusal(target.begin(fence).await);
    assert_eq!(class, ErrorClass::Transient);
    target.begin(fence).await.unwrap().commit().await.unwrap();
}
