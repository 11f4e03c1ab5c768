//! Definitions commit by themselves, and yet happen once.

use std::time::Duration;

use whimbrel_endpoint::contract::holder;
use whimbrel_endpoint::{ErrorClass, LeaseAnswer, LeaseRequest};
use whimbrel_model::{Column, Kind, Table};

use crate::place::{Place, file, lease, refusal, script};

const SCHEMA: &str = "CREATE TABLE a (id int PRIMARY KEY) ENGINE=InnoDB;\n\
     INSERT INTO a VALUES (1);\n\
     CREATE TABLE b (id int PRIMARY KEY) ENGINE=InnoDB;\n\
     CREATE INDEX by_id ON b (id);";

#[tokio::test]
async fn what_an_interrupted_attempt_defined_is_not_defined_again() {
    let Some(place) = Place::new("interrupted") else { return };
    let (target, fence) = place.ready("").await;
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(SCHEMA)).await.unwrap();
    drop(txn);
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(SCHEMA)).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(place.rows("SELECT COUNT(*) FROM a"), ["1"]);
    assert!(place.rows("SELECT * FROM whimbrel_definitions").is_empty());
    // Asked for once more, after that transaction, it is done once more.
    let mut txn = target.begin(fence).await.unwrap();
    let (class, _, what) = refusal(txn.apply_schema(&file(SCHEMA)).await);
    assert_eq!(class, ErrorClass::Configuration);
    assert!(what.contains("schema/001.sql:1") && what.contains("already exists"), "{what}");
    txn.rollback().await.unwrap();
}

#[tokio::test]
async fn another_run_begins_with_the_first_statement() {
    let Some(place) = Place::new("another_run") else { return };
    let (target, fence) = place.ready("").await;
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(SCHEMA)).await.unwrap();
    drop(txn);
    target.release(fence).await.unwrap();
    let fence = lease(&*target, "another").await;
    let mut txn = target.begin(fence).await.unwrap();
    assert!(refusal(txn.apply_schema(&file(SCHEMA)).await).2.contains("already exists"));
    txn.rollback().await.unwrap();
}

#[tokio::test]
async fn the_lease_is_renewed_however_long_definitions_take() {
    let Some(place) = Place::new("renewed") else { return };
    let (target, fence) = place.ready("").await;
    let mut txn = target.begin(fence).await.unwrap();
    place.sql("UPDATE whimbrel_lease SET expires_ms = 1");
    let slow = script("CREATE TABLE slow (n int); INSERT INTO slow SELECT SLEEP(2)");
    let renewal = LeaseRequest {
        holder: holder("run"),
        ttl: Duration::from_mins(1),
        renew: Some(fence),
        dead: None,
    };
    let renewed = async {
        while place.rows("SELECT 1 FROM whimbrel_definitions WHERE state = 'done'").is_empty() {
            tokio::task::yield_now().await;
        }
        target.lease(&renewal).await
    };
    let (executed, renewed) = tokio::join!(txn.execute(&slow), renewed);
    executed.unwrap();
    assert_eq!(renewed.unwrap(), LeaseAnswer::Granted(fence));
    let ahead = "SELECT expires_ms > UNIX_TIMESTAMP() * 1000 FROM whimbrel_lease";
    assert_eq!(place.rows(ahead), ["1"]);
    txn.commit().await.unwrap();
}

#[tokio::test]
async fn an_intent_is_settled_by_looking() {
    let Some(place) = Place::new("intent") else { return };
    let (target, fence) = place.ready("").await;
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(SCHEMA)).await.unwrap();
    drop(txn);
    // As after a crash behind the last statement, before it was noted.
    place.sql("UPDATE whimbrel_definitions SET state = 'intent' WHERE statement = 3");
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(SCHEMA)).await.unwrap();
    drop(txn);
    // As after a crash before it.
    place.sql(
        "DROP INDEX by_id ON b; UPDATE whimbrel_definitions SET state = 'intent' WHERE statement = 3",
    );
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(SCHEMA)).await.unwrap();
    txn.commit().await.unwrap();
    let indexes = place.rows("SHOW INDEX FROM b");
    assert_eq!(indexes.len(), 2, "{indexes:?}");
}

/// As after a crash behind the only statement, before it was noted.
fn as_if_killed(place: &Place) {
    place.sql("UPDATE whimbrel_definitions SET state = 'intent'");
}

#[tokio::test]
async fn tables_that_took_each_others_names_stay_so() {
    let Some(place) = Place::new("renamed") else { return };
    let two = "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE fresh (id int PRIMARY KEY);
        INSERT INTO a VALUES (1); INSERT INTO fresh VALUES (2);";
    let (target, fence) = place.ready(two).await;
    let renaming = script("RENAME TABLE a TO old, fresh TO a");
    let mut txn = target.begin(fence).await.unwrap();
    txn.execute(&renaming).await.unwrap();
    drop(txn);
    as_if_killed(&place);
    let mut txn = target.begin(fence).await.unwrap();
    txn.execute(&renaming).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(place.rows("SELECT id FROM a"), ["2"]);
    assert_eq!(place.rows("SELECT id FROM old"), ["1"]);
    assert!(place.rows("SELECT * FROM whimbrel_definitions").is_empty());
}

#[tokio::test]
async fn what_would_be_undone_when_done_twice_is_refused_before_it_is_done() {
    let Some(place) = Place::new("trades") else { return };
    let tables = "CREATE TABLE a (id int PRIMARY KEY) PARTITION BY RANGE (id)
            (PARTITION p VALUES LESS THAN (10), PARTITION q VALUES LESS THAN (20));
        CREATE TABLE b (id int PRIMARY KEY); INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);";
    let (target, fence) = place.ready(tables).await;
    let mut txn = target.begin(fence).await.unwrap();
    for (sql, advice) in [
        ("RENAME TABLE a TO t, b TO a, t TO b", "in a statement of its own"),
        ("ALTER TABLE a EXCHANGE PARTITION p WITH TABLE b", "INSERT … SELECT"),
        ("ALTER TABLE b CHANGE id n int FIRST, ADD id int", "in a statement of its own"),
    ] {
        let (class, code, what) = refusal(txn.execute(&script(sql)).await);
        assert_eq!((class, code), (ErrorClass::Configuration, "WB0473"), "{what}");
        assert!(what.contains(advice) && what.contains("relate \"tree\":1:"), "{what}");
        let (_, code, _) = refusal(target.describe_schema(&[file(sql)]).await);
        assert_eq!(code, "WB0473", "{sql}");
    }
    txn.rollback().await.unwrap();
    assert_eq!(place.rows("SELECT id FROM a"), ["1"]);
    assert_eq!(place.rows("SHOW COLUMNS FROM b LIKE 'id'").len(), 1);
}

#[tokio::test]
async fn what_was_done_in_part_is_named_and_gone_on_with_when_it_is_whole() {
    let Some(place) = Place::new("part") else { return };
    let (target, fence) = place.ready("CREATE TABLE a (id int); CREATE TABLE b (id int)").await;
    let dropping = script("DROP TABLE a, b");
    let mut txn = target.begin(fence).await.unwrap();
    txn.execute(&dropping).await.unwrap();
    drop(txn);
    // As after a crash of the server between the two.
    as_if_killed(&place);
    place.sql("CREATE TABLE b (id int)");
    let mut txn = target.begin(fence).await.unwrap();
    let (class, code, what) = refusal(txn.execute(&dropping).await);
    assert_eq!((class, code), (ErrorClass::Configuration, "WB0473"), "{what}");
    assert!(what.contains("`b` is there"), "{what}");
    drop(txn);
    place.sql("DROP TABLE b");
    let mut txn = target.begin(fence).await.unwrap();
    txn.execute(&dropping).await.unwrap();
    txn.commit().await.unwrap();
}

#[tokio::test]
async fn what_the_server_refused_is_done_once_it_can_be() {
    let Some(place) = Place::new("refused") else { return };
    let (target, fence) = place.ready("").await;
    let altering = script("ALTER TABLE t ADD COLUMN n int");
    let mut txn = target.begin(fence).await.unwrap();
    let (_, code, what) = refusal(txn.execute(&altering).await);
    assert_eq!(code, "WB0423", "{what}");
    drop(txn);
    place.sql("CREATE TABLE t (id int)");
    let mut txn = target.begin(fence).await.unwrap();
    txn.execute(&altering).await.unwrap();
    txn.commit().await.unwrap();
    assert_eq!(place.rows("SHOW COLUMNS FROM t LIKE 'n'").len(), 1);
}

#[tokio::test]
async fn a_procedure_that_commits_beside_definitions_is_found_out() {
    let Some(place) = Place::new("beside") else { return };
    let (target, fence) = place
        .ready(
            "DELIMITER //
CREATE PROCEDURE p() BEGIN CREATE TABLE n (id int); END//
DELIMITER ;",
        )
        .await;
    let mut txn = target.begin(fence).await.unwrap();
    let (_, code, _) = refusal(txn.execute(&script("CREATE TABLE t (id int); CALL p()")).await);
    assert_eq!(code, "WB0440");
    txn.rollback().await.unwrap();
}

/// A process of its own, killed at a point.
#[cfg(feature = "failpoints")]
mod killed {
    use std::process::Command;

    use whimbrel_endpoint::{Fence, failpoint};

    use super::*;
    use crate::place::opened;

    const RENAMING: &str = "RENAME TABLE a TO old, fresh TO a";
    const WHERE: &str = "WHIMBREL_TEST_KILLED_AT";

    /// What the process does; nothing in a run of all tests.
    #[tokio::test]
    #[allow(clippy::disallowed_methods)] // its parent's words
    async fn process() {
        let Ok(told) = std::env::var(WHERE) else { return };
        let [point, fence, url] = told.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        failpoint::arm(point.to_owned(), 1);
        let target = opened(url).await;
        let mut txn = target.begin(Fence(fence.parse().unwrap())).await.unwrap();
        txn.execute(&script(RENAMING)).await.unwrap();
    }

    const UNDONE_AT: &str = "WHIMBREL_TEST_UNDONE_AT";

    /// What the other process does; nothing in a run of all tests.
    #[tokio::test]
    #[allow(clippy::disallowed_methods)] // its parent's words
    async fn undoing() {
        let Ok(told) = std::env::var(UNDONE_AT) else { return };
        let [point, fence, url] = told.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        failpoint::arm(point.to_owned(), 1);
        let target = opened(url).await;
        let mut txn = target.begin(Fence(fence.parse().unwrap())).await.unwrap();
        txn.create_table(&table()).await.unwrap();
        txn.rollback().await.unwrap();
    }

    #[tokio::test]
    async fn anywhere_while_a_new_table_is_undone_it_is_made_again() {
        for point in ["sql.undo.doubted", "sql.undo.dropped"] {
            let Some(place) = Place::new("undone") else { return };
            let (target, fence) = place.ready("").await;
            let mut process = Command::new(std::env::current_exe().unwrap());
            process.args(["--exact", "definitions::killed::undoing"]);
            process.env(UNDONE_AT, format!("{point} {} {}", fence.0, place.database.url()));
            let output = process.output().unwrap();
            assert_eq!(output.status.code(), None, "{point} is not passed: {output:?}");
            let mut txn = target.begin(fence).await.unwrap();
            txn.create_table(&table()).await.unwrap();
            txn.commit().await.unwrap();
            assert_eq!(target.describe("t").await.unwrap(), Some(table()), "{point}");
            assert!(place.rows("SELECT * FROM whimbrel_definitions").is_empty(), "{point}");
        }
    }

    #[tokio::test]
    async fn anywhere_around_a_rename_it_is_made_once() {
        for point in ["sql.definition.intended", "sql.definition.made", "sql.definition.done"] {
            let Some(place) = Place::new("killed") else { return };
            let two =
                "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE fresh (id int PRIMARY KEY);
                INSERT INTO a VALUES (1); INSERT INTO fresh VALUES (2);";
            let (target, fence) = place.ready(two).await;
            let mut process = Command::new(std::env::current_exe().unwrap());
            process.args(["--exact", "definitions::killed::process"]);
            process.env(WHERE, format!("{point} {} {}", fence.0, place.database.url()));
            let output = process.output().unwrap();
            assert_eq!(output.status.code(), None, "{point} is not passed: {output:?}");
            let mut txn = target.begin(fence).await.unwrap();
            txn.execute(&script(RENAMING)).await.unwrap();
            txn.commit().await.unwrap();
            assert_eq!(place.rows("SELECT id FROM a"), ["2"], "{point}");
            assert_eq!(place.rows("SELECT id FROM old"), ["1"], "{point}");
        }
    }
}

/// Its column's kind is more than the declared type says.
fn table() -> Table {
    let column =
        Column { name: "id".to_owned(), kind: Kind::Uuid, nullable: false, has_default: false };
    Table { name: "t".to_owned(), columns: vec![column], key: vec![0] }
}

#[tokio::test]
async fn a_table_of_an_interrupted_attempt_is_adopted() {
    let Some(place) = Place::new("adopted") else { return };
    let (target, fence) = place.ready("").await;
    let table = table();
    let mut txn = target.begin(fence).await.unwrap();
    txn.create_table(&table).await.unwrap();
    drop(txn);
    let mut txn = target.begin(fence).await.unwrap();
    txn.create_table(&table).await.unwrap();
    assert_eq!(refusal(txn.create_table(&table).await).1, "WB0396");
    txn.commit().await.unwrap();
    assert_eq!(target.describe("t").await.unwrap(), Some(table));
}

#[tokio::test]
async fn scripts_without_definitions_are_part_of_the_transaction() {
    let Some(place) = Place::new("script") else { return };
    let (target, fence) = place.ready("CREATE TABLE t (id int PRIMARY KEY) ENGINE=InnoDB").await;
    let mut txn = target.begin(fence).await.unwrap();
    let insert = script("INSERT INTO t VALUES (1), (2);\nUPDATE t SET id = 3 WHERE id = 2;");
    assert_eq!(txn.execute(&insert).await.unwrap(), 3);
    let (names, rows) = txn.query(&script("SELECT id AS n, 'x' FROM t"), 1).await.unwrap();
    assert_eq!((names.as_slice(), rows.len()), (["n".to_owned(), "x".to_owned()].as_slice(), 1));
    let (names, rows) = txn.query(&script("SELECT id FROM t WHERE id = 9"), 5).await.unwrap();
    assert_eq!((names.len(), rows.len()), (1, 0));
    txn.rollback().await.unwrap();
    assert!(place.rows("SELECT * FROM t").is_empty());
}

#[tokio::test]
async fn what_would_end_the_transaction_is_refused_by_line() {
    let Some(place) = Place::new("forbidden") else { return };
    let (target, fence) = place.ready("CREATE TABLE t (id int PRIMARY KEY) ENGINE=InnoDB").await;
    let mut txn = target.begin(fence).await.unwrap();
    for (sql, code) in [
        ("SELECT 1;\nCOMMIT;", "WB0421"),
        ("SELECT 1;\nUSE mysql;", "WB0421"),
        ("SELECT 1;\nSET autocommit = 1;", "WB0421"),
        ("CREATE TABLE n (a int);\nCREATE TEMPORARY TABLE x (a int);", "WB0473"),
        ("SELECT 1;\nSELEC 1;", "WB0423"),
    ] {
        let (class, found, what) = refusal(txn.execute(&script(sql)).await);
        assert_eq!((class, found), (ErrorClass::Configuration, code), "{what}");
        assert!(what.contains("relate \"tree\":2:"), "{what}");
    }
    for sql in ["DELETE FROM t", "SELECT 1; SELECT 2", "CREATE TABLE n (a int)", "SET @a = 1"] {
        assert_eq!(refusal(txn.query(&script(sql), 1).await).1, "WB0423", "{sql}");
    }
    txn.commit().await.unwrap();
    assert_eq!(place.rows("SHOW TABLES LIKE 'n'"), Vec::<String>::new());
}

#[tokio::test]
async fn a_procedure_that_commits_is_found_out() {
    let Some(place) = Place::new("procedure") else { return };
    let (target, fence) = place
        .ready(
            "CREATE TABLE t (id int PRIMARY KEY) ENGINE=InnoDB;
             DELIMITER //
CREATE PROCEDURE p() BEGIN INSERT INTO t VALUES (1); COMMIT; END//
DELIMITER ;",
        )
        .await;
    let mut txn = target.begin(fence).await.unwrap();
    let (_, code, _) = refusal(txn.execute(&script("CALL p()")).await);
    assert_eq!(code, "WB0440");
    txn.rollback().await.unwrap();
}

#[tokio::test]
async fn routines_and_views_are_definitions_like_others() {
    let Some(place) = Place::new("routines") else { return };
    let (target, fence) =
        place.ready("CREATE TABLE t (id int PRIMARY KEY, n int) ENGINE=InnoDB").await;
    let sql = "CREATE VIEW v AS SELECT id FROM t;\n\
               CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW BEGIN\n\
                 IF NEW.n IS NULL THEN SET NEW.n = 1; END IF;\n\
               END;\n\
               INSERT INTO t (id) VALUES (1);";
    for _attempt in 0..2 {
        let mut txn = target.begin(fence).await.unwrap();
        txn.execute(&script(sql)).await.unwrap();
        drop(txn);
    }
    assert_eq!(place.rows("SELECT id, n FROM t"), ["1,1"]);
}
