//! SQLite.

use std::path::PathBuf;

use rusqlite::Connection;
use whimbrel_endpoint::contract::{parse_equals_reading, source_contract};
use whimbrel_endpoint::{EndpointError, ErrorClass, Field, Limit};
use whimbrel_model::time::{Date, DateTime, Time};
use whimbrel_model::{Kind, Value};
use whimbrel_sql::{Options, Read, SourceSpec, sources};

use crate::world::{Renewed, firsts, partition, query, rows, source, table};

/// A database file that goes with this value.
struct File {
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl File {
    fn new(schema: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.db");
        let file = Self { path, _folder: folder };
        file.run(&format!("PRAGMA journal_mode = WAL; {schema}"));
        file
    }

    fn run(&self, sql: &str) {
        Connection::open(&self.path).unwrap().execute_batch(sql).unwrap();
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }
}

const SIX: &str = "CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, note TEXT);
    INSERT INTO t VALUES ('r3','c'),('r1','a'),('r2','b'),('r6','f'),('r5','e'),('r4','d');";

#[tokio::test]
async fn a_table_keeps_the_contract() {
    source_contract(|| {
        let file = File::new(SIX);
        let spec = table(&file.url(), "t");
        Renewed::new(spec, "t", move |sql| file.run(sql))
    })
    .await;
}

#[tokio::test]
async fn a_query_keeps_the_contract() {
    source_contract(|| {
        let file = File::new(SIX);
        let spec = query(&file.url(), "SELECT id, note, length(note) AS n FROM t; ", &["id"]);
        Renewed::new(spec, "t", move |sql| file.run(sql))
    })
    .await;
}

#[tokio::test]
async fn a_table_without_a_key_keeps_the_contract() {
    source_contract(|| {
        let file = File::new(&SIX.replace("PRIMARY KEY NOT NULL", ""));
        let spec = table(&file.url(), "t");
        Renewed::new(spec, "t", move |sql| file.run(sql))
    })
    .await;
}

fn timestamp(year: i32, month: u8, day: u8, nanos: u64) -> DateTime {
    DateTime { days: Date::from_ymd(year, month, day).unwrap().days, nanos }
}

/// `(declared type, SQL literal, what it is)`
fn tortures() -> Vec<(&'static str, &'static str, Value)> {
    let text = |text: &str| Value::Text(text.to_owned());
    let decimal = |text: &str| Value::Decimal(text.to_owned());
    let json = |text: &str| Value::Json(text.to_owned());
    vec![
        ("INTEGER", "9223372036854775807", Value::Int(i64::MAX.into())),
        ("INTEGER", "-9223372036854775808", Value::Int(i64::MIN.into())),
        ("INTEGER", "9223372036854775808", Value::Float(9_223_372_036_854_775_808.0)),
        ("INTEGER", "'12abc'", text("12abc")),
        ("INTEGER", "''", text("")),
        ("INTEGER", "1.5", Value::Float(1.5)),
        ("INTEGER", "x'00ff'", Value::Bytes(vec![0, 255])),
        ("INTEGER", "NULL", Value::Null),
        ("UNSIGNED_TEXT", "'18446744073709551615'", Value::Int(u64::MAX.into())),
        ("BOOLEAN", "1", Value::Bool(true)),
        ("BOOLEAN", "2", Value::Int(2)),
        ("BOOLEAN", "'yes'", text("yes")),
        ("DECIMAL_TEXT(10,2)", "'12.50'", decimal("12.50")),
        ("DECIMAL(10,2)", "12.50", decimal("12.5")),
        ("DECIMAL(10,2)", "'12,50'", text("12,50")),
        ("NUMERIC", "1e300", decimal("1e300")),
        ("REAL", "0.1", Value::Float(0.1)),
        ("REAL", "1e400", Value::Float(f64::INFINITY)),
        ("REAL", "-1e400", Value::Float(f64::NEG_INFINITY)),
        ("REAL", "5", Value::Float(5.0)),
        ("REAL", "'n/a'", text("n/a")),
        ("TEXT", "'a' || char(0) || 'b'", text("a\0b")),
        ("TEXT", "char(233, 10, 34, 92)", text("é\n\"\\")),
        ("TEXT", "CAST(x'61ff62' AS TEXT)", Value::Bytes(vec![0x61, 0xff, 0x62])),
        ("TEXT", "''", text("")),
        ("TEXT", "x'0102'", Value::Bytes(vec![1, 2])),
        ("VARCHAR(3)", "'longer than three'", text("longer than three")),
        ("BLOB", "x''", Value::Bytes(vec![])),
        ("BLOB", "'text in a blob'", text("text in a blob")),
        ("", "1", Value::Int(1)),
        ("", "1.0", Value::Float(1.0)),
        ("", "'1'", text("1")),
        ("DATE", "'2024-02-29'", Value::Date(Date::from_ymd(2024, 2, 29).unwrap())),
        ("DATE", "'0001-01-01'", Value::Date(Date::from_ymd(1, 1, 1).unwrap())),
        ("DATE", "'0000-00-00'", text("0000-00-00")),
        ("DATE", "'29.02.2024'", text("29.02.2024")),
        ("DATE", "19782", Value::Int(19_782)),
        ("TIME", "'23:59:59'", Value::Time(Time { nanos: 86_399_000_000_000 })),
        (
            "DATETIME",
            "'2024-01-01T00:00:01'",
            Value::Timestamp(timestamp(2024, 1, 1, 1_000_000_000)),
        ),
        ("DATETIME", "'2024-01-01 00:00:01'", text("2024-01-01 00:00:01")),
        ("DATETIME", "1704067200", Value::Int(1_704_067_200)),
        (
            "TIMESTAMPTZ",
            "'9999-12-31T23:59:59Z'",
            Value::TimestampTz(timestamp(9999, 12, 31, 86_399_000_000_000)),
        ),
        (
            "UUID",
            "'00112233-4455-6677-8899-aabbccddeeff'",
            Value::Uuid(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
        ),
        ("UUID", "'00112233445566778899AABBCCDDEEFF'", text("00112233445566778899AABBCCDDEEFF")),
        ("JSON", "'{\"a\": 1.10,\n \"b\": null}'", json("{\"a\": 1.10,\n \"b\": null}")),
        ("JSON", "' [1]'", json(" [1]")),
        ("JSON", "'null'", json("null")),
        ("JSON", "'\"s\"'", json("\"s\"")),
        ("JSON", "'{\"$bytes\":\"00\"}'", json("{\"$bytes\":\"00\"}")),
        ("JSON", "'{broken'", text("{broken")),
        ("JSON", "7", json("7")),
    ]
}

#[tokio::test]
async fn every_type_comes_as_what_it_is_and_back() {
    for (declared, literal, expected) in tortures() {
        let file = File::new(&format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared});
             INSERT INTO t VALUES (1, {literal});"
        ));
        let source = source(&table(&file.url(), "t"));
        let found = rows(&*source).await.unwrap();
        assert_eq!(found[0][1], expected, "{literal} in {declared:?}");
        parse_equals_reading(&*source, &[]).await;
    }
}

#[tokio::test]
async fn mended_rows_may_be_written_loosely() {
    let file = File::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, d DATE, x REAL);
         INSERT INTO t VALUES (1, '12abc', '0000-00-00', 1);",
    );
    let source = source(&table(&file.url(), "t"));
    let partition = partition(&*source).await.unwrap();
    let fields = ["n", "d", "x"].map(|name| Field::Column(name.to_owned()));
    let mut reader = source.open(&partition, &fields, None).await.unwrap();
    let chunk = reader.next(Limit::default()).await.unwrap().unwrap();
    let raw = String::from_utf8(chunk.bytes(0).to_vec()).unwrap();
    assert_eq!(raw, r#"{"id":1,"n":"12abc","d":"0000-00-00","x":1.0}"#);
    let position = chunk.records[0].position;
    let mended = r#" { "id": 1, "n": 12, "d": "2024-01-02", "x": 2 } "#;
    let none_d = r#"{"id":1,"n":12,"x":2}"#;
    let other = r#"{"id":1,"n":12,"d":null,"x":2,"y":3}"#;
    let records = [mended, none_d, other].map(|text| (position, text.as_bytes().to_vec()));
    let parsed = source.parse(&partition, &fields, &records).await.unwrap();
    let row: Vec<Value> =
        parsed.rows.row(0).values().map(whimbrel_model::ValueRef::to_owned).collect();
    let day = Value::Date(Date::from_ymd(2024, 1, 2).unwrap());
    assert_eq!(row, [Value::Int(12), day, Value::Float(2.0)]);
    let defects: Vec<String> = parsed.records[1..]
        .iter()
        .map(|record| record.defect.as_ref().unwrap().message.clone())
        .collect();
    assert_eq!(defects, ["the column is missing: `d`", "it has a member that is no column: `y`"]);
}

#[tokio::test]
async fn rows_come_in_the_order_of_the_key_by_bytes() {
    let file = File::new(
        "CREATE TABLE t (k TEXT COLLATE NOCASE NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (k, n));
         INSERT INTO t VALUES ('b',1),('B',2),('a',10),('a',9),('Z',1),('é',1),('',1);",
    );
    assert_eq!(
        firsts(&*source(&table(&file.url(), "t"))).await,
        ["", "B", "Z", "a", "a", "b", "é"]
    );
}

#[tokio::test]
async fn the_rowid_serves_the_order() {
    let file = File::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    let connection = Connection::open(&file.path).unwrap();
    let plan: String = connection
        .query_row("EXPLAIN QUERY PLAN SELECT `id`, `v` FROM `t` ORDER BY `id`", [], |row| {
            row.get(3)
        })
        .unwrap();
    assert_eq!(plan, "SCAN t");
}

#[tokio::test]
async fn sources_with_one_url_see_one_state() {
    let file = File::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY);
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);",
    );
    let specs = vec![table(&file.url(), "a"), table(&file.url(), "b")];
    let sources = sources(specs, Options::default()).unwrap();
    assert_eq!(firsts(&*sources[0]).await, ["1"]);
    file.run("INSERT INTO a VALUES (2); INSERT INTO b VALUES (2); DROP TABLE IF EXISTS c;");
    assert_eq!(firsts(&*sources[1]).await, ["1"]);
    assert_eq!(firsts(&*sources[0]).await, ["1"]);
    assert_eq!(firsts(&*source(&table(&file.url(), "b"))).await, ["1", "2"]);
}

#[tokio::test]
async fn readers_of_one_connection_take_turns() {
    let file = File::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO t SELECT i FROM n;",
    );
    let source = source(&table(&file.url(), "t"));
    let partition = partition(&*source).await.unwrap();
    let id = [Field::Column("id".to_owned())];
    let mut readers = Vec::new();
    for _ in 0..4 {
        readers.push((0, source.open(&partition, &id, None).await.unwrap()));
    }
    // The first is dropped early, below the others.
    drop(readers.remove(0));
    let limit = Limit { rows: 700, bytes: usize::MAX };
    for _ in 0..5 {
        for (count, reader) in &mut readers {
            if let Some(chunk) = reader.next(limit).await.unwrap() {
                assert_eq!(chunk.rows.row(0).get(0).to_string(), (*count + 1).to_string());
                *count += chunk.records.len();
            }
        }
    }
    assert!(readers.iter().all(|(count, _)| *count == 3000));
    drop(readers);
    assert_eq!(firsts(&*source).await.len(), 3000);
}

async fn refusal(spec: &SourceSpec) -> EndpointError {
    match sources(vec![spec.clone()], Options::default()) {
        Err(error) => error,
        Ok(mut sources) => rows(&*sources.remove(0)).await.unwrap_err(),
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let file = File::new(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO orders VALUES (1, 'a'), (2, 'a')",
    );
    let url = file.url();
    let check = async |spec: SourceSpec, code: &str, words: &str| {
        let error = refusal(&spec).await;
        assert_eq!((error.code, error.class), (code, ErrorClass::Configuration), "{error:?}");
        assert!(error.what.contains(words), "{}", error.what);
    };
    check(table(&url, "order"), "WB0490", "did you mean `orders`?").await;
    check(query(&url, "SELECT * FROM orders", &["ib"]), "WB0491", "did you mean `id`?").await;
    check(query(&url, "SELEC 1", &[]), "WB0492", "syntax error").await;
    check(query(&url, "SELECT nope FROM orders", &[]), "WB0492", "no such column: nope").await;
    check(query(&url, "SELECT id, v AS id FROM orders", &[]), "WB0492", "one name").await;
    check(query(&url, "DELETE FROM orders RETURNING id", &[]), "WB0492", "only reads").await;
    check(query(&url, "SELECT * FROM orders", &["v"]), "WB0494", "rows 1 and 2").await;
    check(table("sqlite:/no/such/file.db", "t"), "WB0401", "/no/such/file.db").await;
}

#[tokio::test]
async fn what_should_be_known_is_said() {
    let file = File::new(
        "PRAGMA journal_mode = DELETE; CREATE TABLE t (v TEXT); CREATE VIEW w AS SELECT * FROM t;
        CREATE TABLE u (v TEXT NOT NULL UNIQUE)",
    );
    let codes = async |name: &str| {
        let findings = source(&table(&file.url(), name)).inspect().await.unwrap();
        findings.into_iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(codes("t").await, ["WB0496", "WB0497"]);
    assert_eq!(codes("w").await, ["WB0496", "WB0497"]);
    assert_eq!(codes("u").await, ["WB0497"]);
}

#[tokio::test]
async fn the_shape_has_the_declared_kinds() {
    let file = File::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR(9), g TEXT AS (v || 'x'), d DATE)",
    );
    let spec = SourceSpec {
        read: Read::Query("SELECT id, g, d, count(*) AS n FROM t GROUP BY id".to_owned()),
        ..table(&file.url(), "t")
    };
    let kinds = async |spec: &SourceSpec| {
        let source = source(spec);
        let partition = partition(&*source).await.unwrap();
        let shape = source.describe(&partition).await.unwrap();
        let kinds = shape.columns.into_iter().map(|column| column.kind.map(Kind::name).unwrap());
        kinds.collect::<Vec<_>>()
    };
    assert_eq!(kinds(&spec).await, ["integer", "text", "date", "any"]);
    assert_eq!(kinds(&table(&file.url(), "t")).await, ["integer", "text(9)", "text", "date"]);
}
