//! Tables as they stand, and schema files.

#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

mod place;

use place::{Place, file, told};
use whimbrel_endpoint::{ErrorClass, SchemaFile, Target};
use whimbrel_model::Table;

/// One line per column: name, kind, marks for required, default and key.
fn shown(table: &Table) -> Vec<String> {
    let line = |(index, column): (usize, &whimbrel_model::Column)| {
        let required = if column.nullable { "" } else { " required" };
        let default = if column.has_default { " default" } else { "" };
        let key = table.key.iter().position(|&key| key == index);
        let key = key.map(|place| format!(" key {place}")).unwrap_or_default();
        format!("{} {}{required}{default}{key}", column.name, column.kind.name())
    };
    table.columns.iter().enumerate().map(line).collect()
}

async fn check(schema: &str, expected: &[&str]) {
    let place = Place::new();
    let target = place.target().await;
    let tables = target.describe_schema(&[file(schema)]).await.unwrap();
    let scratch = tables.iter().find(|table| table.name == "t").expect("the table `t`");
    assert_eq!(shown(scratch), expected);
    assert!(!place.file().exists(), "describing creates nothing");
    let (target, _) = place.ready(schema).await;
    assert_eq!(target.describe("t").await.unwrap().as_ref(), Some(scratch));
    assert_eq!(target.describe("T").await.unwrap().as_ref(), Some(scratch));
}

#[tokio::test]
async fn columns_have_their_declared_kinds() {
    check(
        "CREATE TABLE t (
            a INTEGER PRIMARY KEY, b VARCHAR(500) NOT NULL, c DECIMAL(10, 2) DEFAULT 0,
            d TIMESTAMP WITH TIME ZONE, e, f BLOB, g double precision, h UUID, i JSON, j BOOLEAN NOT NULL DEFAULT 1)",
        &[
            "a integer required default key 0",
            "b text(500) required",
            "c decimal(10,2) default",
            "d timestamptz",
            "e any",
            "f bytes",
            "g double",
            "h uuid",
            "i json",
            "j boolean required default",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_composite_key_has_its_own_order() {
    check(
        "CREATE TABLE t (v TEXT, line INTEGER, run TEXT, PRIMARY KEY (run, line)) WITHOUT ROWID",
        &["v text", "line integer required key 1", "run text required key 0"],
    )
    .await;
}

#[tokio::test]
async fn a_table_with_rowid_may_hold_null_in_its_key() {
    check("CREATE TABLE t (k TEXT PRIMARY KEY)", &["k text key 0"]).await;
    check("CREATE TABLE t (k INT PRIMARY KEY)", &["k integer key 0"]).await;
}

#[tokio::test]
async fn generated_columns_are_left_out() {
    check(
        "CREATE TABLE t (a INTEGER, b AS (a + 1), c INTEGER GENERATED ALWAYS AS (a * 2) STORED, d TEXT)",
        &["a integer", "d text"],
    )
    .await;
}

#[tokio::test]
async fn odd_names_are_names() {
    check(
        "CREATE TABLE t (\"a b\" TEXT, [select] TEXT, `x\"y` TEXT, \"né;e\" TEXT PRIMARY KEY)",
        &["a b text", "select text", "x\"y text", "né;e text key 0"],
    )
    .await;
}

#[tokio::test]
async fn a_view_is_not_written_to() {
    let place = Place::new();
    let (target, _) = place.ready("CREATE VIEW v AS SELECT 1 AS a").await;
    let error = target.describe("v").await.unwrap_err();
    assert_eq!(told(&error).1, "WB0422");
    assert!(error.what.contains("view"), "{}", error.what);
}

/// What applying `sql` says; nothing of it stands afterwards.
async fn refused(sql: &str) -> (&'static str, String) {
    let place = Place::new();
    let (target, fence) = place.ready("CREATE TABLE old (a)").await;
    let mut txn = target.begin(fence).await.unwrap();
    let error = txn.apply_schema(&file(sql)).await.unwrap_err();
    let (class, code, text) = told(&error);
    assert_eq!(class, ErrorClass::Configuration, "{text}");
    txn.rollback().await.unwrap();
    assert_eq!(target.describe("fresh").await.unwrap(), None);
    let (_, scratch_code, _) = told(&scratch(&*target, sql).await);
    assert_eq!(scratch_code, code, "the scratch database refuses it as well");
    (code, text)
}

async fn scratch(target: &dyn Target, sql: &str) -> whimbrel_endpoint::EndpointError {
    let old = SchemaFile { name: "old.sql".to_owned(), sql: "CREATE TABLE old (a)".to_owned() };
    target.describe_schema(&[old, file(sql)]).await.unwrap_err()
}

#[tokio::test]
async fn statements_that_end_the_transaction_are_refused() {
    for (sql, word) in [
        ("CREATE TABLE fresh (a);\nCOMMIT;", "COMMIT"),
        ("CREATE TABLE fresh (a);\nBEGIN;", "BEGIN"),
        ("CREATE TABLE fresh (a);\nROLLBACK;", "ROLLBACK"),
        ("CREATE TABLE fresh (a);\nEND TRANSACTION;", "COMMIT"),
        ("CREATE TABLE fresh (a);\nSAVEPOINT x;", "SAVEPOINT"),
        ("CREATE TABLE fresh (a);\nRELEASE x;", "SAVEPOINT"),
        ("CREATE TABLE fresh (a);\nPRAGMA journal_mode = OFF;", "PRAGMA"),
        ("CREATE TABLE fresh (a);\nATTACH 'x.db' AS x;", "ATTACH"),
        ("CREATE TABLE fresh (a);\nDETACH x;", "DETACH"),
        ("CREATE TABLE fresh (a);\nVACUUM;", "VACUUM"),
        ("CREATE TABLE fresh (a);\nVACUUM INTO 'x.db';", "VACUUM"),
    ] {
        let (code, text) = refused(sql).await;
        assert_eq!(code, "WB0421", "{text}");
        assert!(text.contains("schema/001.sql:2: not allowed"), "{text}");
        assert!(text.contains(word), "{text}");
    }
}

#[tokio::test]
async fn what_exists_already_is_named() {
    let (code, text) =
        refused("CREATE TABLE fresh (a);\n\n-- again\nCREATE TABLE old (\n  b\n);").await;
    assert_eq!(code, "WB0396");
    assert!(
        text.starts_with("schema/001.sql:4: table old already exists: `CREATE TABLE old (`"),
        "{text}"
    );
}

#[tokio::test]
async fn a_broken_statement_has_its_line() {
    let (code, text) =
        refused("CREATE TABLE fresh (a);\nCREATE TABLE broken (\n  a,\n  b FROM\n);").await;
    assert_eq!(code, "WB0420");
    assert!(text.starts_with("schema/001.sql:4: near \"FROM\": syntax error"), "{text}");
    let (_, text) = refused("CREATE TABLE fresh (a);\nINSERT INTO nowhere VALUES (1);").await;
    assert!(text.starts_with("schema/001.sql:2: no such table: nowhere"), "{text}");
}

#[tokio::test]
async fn triggers_indexes_and_seed_rows_are_applied() {
    let place = Place::new();
    let (target, _) = place
        .ready(
            "/* schema */ CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT DEFAULT 'x;y');
             CREATE INDEX t_b ON t (b); -- by b
             CREATE TRIGGER after_t AFTER INSERT ON t BEGIN
                UPDATE t SET b = CASE WHEN b IS NULL THEN 'none' ELSE b END WHERE a = new.a;
             END;
             INSERT INTO t (b) VALUES (NULL);",
        )
        .await;
    assert_eq!(place::all(&*target, "t", &["b"]).await, [[whimbrel_model::Value::from("none")]]);
}

#[tokio::test]
async fn schema_files_build_on_each_other() {
    let place = Place::new();
    let target = place.target().await;
    let second = SchemaFile {
        name: "schema/002.sql".to_owned(),
        sql: "ALTER TABLE t ADD b TEXT".to_owned(),
    };
    let tables = target.describe_schema(&[file("CREATE TABLE t (a)"), second]).await.unwrap();
    assert_eq!(shown(&tables[0]), ["a any", "b text"]);
}
