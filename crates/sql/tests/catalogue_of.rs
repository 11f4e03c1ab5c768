//! `catalogue(url)`: what a database holds, on SQLite. The servers' catalogues are asked the same
//! in `catalogue_servers.rs`.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

mod told;

use expect_test::{Expect, expect};
use told::told;
use whimbrel_model::catalogue::{Catalogue, Rows};
use whimbrel_sql::{Look, Options, catalogue};

async fn read(sql: &str, look: Look) -> (Catalogue, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.db");
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    connection.execute_batch(sql).unwrap();
    drop(connection);
    let options = Options { base: folder.path().to_owned(), ..Options::default() };
    (catalogue("sqlite:a.db", options, look).await.unwrap(), folder)
}

async fn check(sql: &str, expect: Expect) {
    let (catalogue, _folder) = read(sql, Look::default()).await;
    expect.assert_eq(&told(&catalogue));
}

#[tokio::test]
async fn tables_keys_and_references_with_their_orphans() {
    check(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER NOT NULL REFERENCES USERS (ID),
            note VARCHAR(3) DEFAULT 'x', at DATETIME, total AS (user * 2), CHECK (user > 0));
         CREATE TABLE users (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, boss INTEGER REFERENCES users);
         CREATE UNIQUE INDEX some ON users (mail) WHERE mail <> '';
         CREATE TABLE tags (order_id INTEGER, name TEXT, PRIMARY KEY (order_id, name));
         CREATE TRIGGER t AFTER INSERT ON tags BEGIN SELECT 1; END;
         CREATE VIEW v AS SELECT 1;
         CREATE VIRTUAL TABLE f USING fts5(body);
         CREATE TABLE whimbrel_migration_runs (id TEXT);
         CREATE VIEW whimbrel_migration_log AS SELECT 1;
         CREATE TABLE migration_log (id TEXT NOT NULL PRIMARY KEY);
         INSERT INTO users VALUES (1, 'a@b', NULL), (2, NULL, 9);
         INSERT INTO orders VALUES (1, 1, 'abcd', '0000-00-00 00:00:00'), (2, 5, x'00', 17);
         INSERT INTO tags VALUES (1, 'x'), (7, 'y'), (NULL, 'z');",
        expect![[r#"
            migration_log: Exact(0), key ["id"]
              id "TEXT" text not null ByRow nulls 0 chars None
            users: Exact(2), key ["id"], unique [["mail"]] and 1
              id "INTEGER" integer not null Identity nulls 0 chars None
              mail "TEXT" text ByRow nulls 1 chars Some(3)
              boss "INTEGER" integer ByRow nulls 1 chars None
              ["boss"] -> users ["id"]: Some(1)
            orders: Exact(2), key ["id"], checks, triggers, NULL keys (1, 0, 0)
              id "INTEGER" integer not null Identity nulls 0 chars None
              user "INTEGER" integer not null ByRow nulls 0 chars None
              note "VARCHAR(3)" text(3) ByRow nulls 0 chars Some(4) default 'x' [(Class("blob"), 1), (TooLong, 1)]
              at "DATETIME" timestamp ByRow nulls 0 chars None [(Class("integer"), 1), (ZeroDate, 1)]
              total "" any Generated nulls 0 chars None
              ["user"] -> users ["id"]: Some(1)
            tags: Exact(3), key ["order_id", "name"], checks, triggers, NULL keys (0, 1, 1)
              order_id "INTEGER" integer ByRow nulls 1 chars None
              name "TEXT" text ByRow nulls 0 chars Some(1)
              ["order_id"] ->? orders ["id"]: Some(1)
            circle ["users"]
            left out: virtual table f
            left out: view v
        "#]],
    )
    .await;
}

#[tokio::test]
async fn tables_that_are_only_named_like_the_ledgers_are_shown() {
    check(
        "CREATE TABLE whimbrel_runs (id INTEGER PRIMARY KEY);
         CREATE TABLE whimbrel_definitions (id INTEGER PRIMARY KEY);
         CREATE VIEW whimbrel_nests AS SELECT 1;
         CREATE TABLE whimbrel_seen (digest BLOB);
         INSERT INTO whimbrel_runs VALUES (1), (2);",
        expect![[r#"
            whimbrel_definitions: Exact(0), key ["id"]
              id "INTEGER" integer not null Identity nulls 0 chars None
            whimbrel_runs: Exact(2), key ["id"]
              id "INTEGER" integer not null Identity nulls 0 chars None
            left out: view whimbrel_nests
        "#]],
    )
    .await;
}

#[tokio::test]
async fn values_of_other_storage_classes_are_counted_by_class() {
    check(
        "CREATE TABLE odd (id TEXT PRIMARY KEY, n INTEGER, d DECIMAL(10,2), f REAL, b BLOB, any_thing);
         INSERT INTO odd VALUES ('a', '12abc', '1,5', 9e999, 'text', 1),
            ('b' || char(0), x'01', 1.5, 'nan', x'01', 'x'), (NULL, 5, 7, 1, NULL, NULL);",
        expect![[r#"
            odd: Exact(3), key ["id"], checks, triggers, NULL keys (0, 0, 1)
              id "TEXT" text ByRow nulls 1 chars Some(1) [(Nul, 1)]
              n "INTEGER" integer ByRow nulls 0 chars None [(Class("text"), 1), (Class("blob"), 1)]
              d "DECIMAL(10,2)" decimal(10,2) ByRow nulls 0 chars None [(Class("text"), 1)]
              f "REAL" double ByRow nulls 0 chars None [(Class("text"), 1), (NotFinite, 1)]
              b "BLOB" bytes ByRow nulls 1 chars None [(Class("text"), 1)]
              any_thing "" any ByRow nulls 1 chars None
        "#]],
    )
    .await;
}

#[tokio::test]
async fn an_empty_database_has_an_empty_catalogue() {
    check("PRAGMA user_version = 1", expect![[r#""#]]).await;
}

#[tokio::test]
async fn an_estimate_is_taken_where_a_table_is_larger_than_asked_for() {
    let sql = "CREATE TABLE big (id INTEGER PRIMARY KEY, x INT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
         INSERT INTO big SELECT i, i FROM n;
         CREATE INDEX i ON big (x);
         ANALYZE;
         DELETE FROM big WHERE id > 4000;";
    let (catalogue, _folder) = read(sql, Look::Rows { estimate_above: Some(100) }).await;
    assert_eq!(catalogue.tables[0].rows, Rows::Estimate(5000));
    let (catalogue, _folder) = read(sql, Look::default()).await;
    assert_eq!(catalogue.tables[0].rows, Rows::Exact(4000));
    assert!(catalogue.tables[0].bytes.unwrap() > 4096);
}

#[tokio::test]
async fn looking_changes_nothing_and_creates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { base: folder.path().to_owned(), ..Options::default() };
    let error = catalogue("sqlite:none.db", options, Look::default()).await.unwrap_err();
    assert_eq!(error.code, "WB0401");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_is_declared_can_be_read_without_its_rows() {
    let sql = "CREATE TABLE parents (id INTEGER PRIMARY KEY);
        CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id));
        INSERT INTO children VALUES (1, 7);";
    let (catalogue, _folder) = read(sql, Look::Declarations).await;
    let children = catalogue.tables.iter().find(|table| table.name == "children").unwrap();
    assert_eq!(children.rows, Rows::Estimate(0));
    assert_eq!(
        (children.references[0].parent.as_str(), children.references[0].orphans),
        ("parents", None)
    );
}
