//! MariaDB and MySQL.

use whimbrel_endpoint::contract::{parse_equals_reading, source_contract};
use whimbrel_endpoint::{EndpointError, ErrorClass, Field, Freshness, Limit};
use whimbrel_model::time::{Date, DateTime, Time};
use whimbrel_model::{Kind, Value};
use whimbrel_sql::{Options, SourceSpec, sources};
use whimbrel_testkit::servers::{self, Database};

use crate::world::{Renewed, firsts, partition, query, rows, source, table};

const SIX: &str = "CREATE TABLE t (id varchar(9) PRIMARY KEY, note text);
    INSERT INTO t VALUES ('r3','c'),('r1','a'),('r2','b'),('r6','f'),('r5','e'),('r4','d');";

fn renewed(database: Database<'static>, spec: SourceSpec) -> Renewed<impl Fn(&str) + Send + Sync> {
    Renewed::new(spec, "t", move |sql| database.run(sql).unwrap())
}

#[tokio::test]
async fn a_table_keeps_the_contract() {
    let Some(server) = servers::mysql_or_skip() else { return };
    source_contract(|| {
        let database = server.database("source").unwrap();
        database.run(SIX).unwrap();
        let spec = table(&database.url(), "t");
        renewed(database, spec)
    })
    .await;
}

#[tokio::test]
async fn a_query_keeps_the_contract() {
    let Some(server) = servers::mysql_or_skip() else { return };
    source_contract(|| {
        let database = server.database("source").unwrap();
        database.run(&SIX.replace("PRIMARY KEY", "")).unwrap();
        let sql = "WITH all_of AS (SELECT id, note FROM t) SELECT *, 1 AS n FROM all_of -- all";
        let spec = query(&database.url(), sql, &["id"]);
        renewed(database, spec)
    })
    .await;
}

#[tokio::test]
async fn a_table_without_a_key_keeps_the_contract() {
    let Some(server) = servers::mysql_or_skip() else { return };
    source_contract(|| {
        let database = server.database("source").unwrap();
        database.run(&SIX.replace("PRIMARY KEY", "")).unwrap();
        let spec = table(&database.url(), "t");
        renewed(database, spec)
    })
    .await;
}

fn at(year: i32, month: u8, day: u8, nanos: u64) -> DateTime {
    DateTime { days: Date::from_ymd(year, month, day).unwrap().days, nanos }
}

fn date(year: i32, month: u8, day: u8) -> Value {
    Value::Date(Date::from_ymd(year, month, day).unwrap())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn decimal(text: &str) -> Value {
    Value::Decimal(text.to_owned())
}

/// `(type, SQL expression, what it is)`
fn tortures() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("tinyint", "-128", Value::Int(-128)),
        ("tinyint(1)", "1", Value::Bool(true)),
        ("tinyint(1)", "2", Value::Int(2)),
        ("tinyint unsigned", "255", Value::Int(255)),
        ("smallint unsigned", "65535", Value::Int(65535)),
        ("mediumint", "-8388608", Value::Int(-8_388_608)),
        ("int unsigned", "4294967295", Value::Int(4_294_967_295)),
        ("int(5) zerofill", "42", Value::Int(42)),
        ("bigint", "-9223372036854775808", Value::Int(i64::MIN.into())),
        ("bigint unsigned", "18446744073709551615", Value::Int(u64::MAX.into())),
        (
            "decimal(65,30)",
            "-12345678901234567890123456789012345.123456789012345678901234567890",
            decimal("-12345678901234567890123456789012345.123456789012345678901234567890"),
        ),
        ("decimal(10,2)", "12.5", decimal("12.50")),
        ("decimal(8,2) zerofill", "42.5", decimal("42.50")),
        ("decimal(8,2) zerofill", "0", decimal("0.00")),
        ("double zerofill", "1.5", Value::Float(1.5)),
        ("double", "1e308", Value::Float(1e308)),
        ("float", "16777216", Value::Float(16_777_216.0)),
        ("float", "0.1", Value::Float(0.1)),
        ("bit(1)", "b'1'", Value::Bool(true)),
        ("bit(12)", "b'101000000001'", Value::Bytes(vec![0x0a, 0x01])),
        ("year", "1901", Value::Int(1901)),
        ("year", "0", Value::Int(0)),
        ("char(5)", "'ab '", text("ab")),
        ("varchar(9)", "'ab '", text("ab ")),
        ("varchar(9) character set latin1", "'é'", text("é")),
        ("varchar(9) character set utf8mb4", "'😀'", text("😀")),
        ("text", "'a\\0b\\n\"'", text("a\0b\n\"")),
        ("longtext", "''", text("")),
        ("varbinary(9)", "x'00ff'", Value::Bytes(vec![0, 255])),
        ("binary(3)", "x'01'", Value::Bytes(vec![1, 0, 0])),
        ("blob", "''", Value::Bytes(vec![])),
        ("enum('a','b c')", "'b c'", text("b c")),
        ("enum('a','b c')", "0", text("")),
        ("set('z','a')", "'a,z'", text("z,a")),
        ("date", "'0000-00-00'", text("0000-00-00")),
        ("date", "'2024-02-00'", text("2024-02-00")),
        ("date", "'0001-01-01'", date(1, 1, 1)),
        ("date", "'9999-12-31'", date(9999, 12, 31)),
        ("time(6)", "'-838:59:58.999999'", Value::Time(Time { nanos: -3_020_398_999_999_000 })),
        ("time", "'00:00:00'", Value::Time(Time { nanos: 0 })),
        (
            "datetime(6)",
            "'2024-01-01 12:00:00.000001'",
            Value::Timestamp(at(2024, 1, 1, 43_200_000_001_000)),
        ),
        ("datetime", "'0000-00-00 00:00:00'", text("0000-00-00T00:00:00")),
        (
            "timestamp NULL",
            "'2024-01-01 12:00:00'",
            Value::TimestampTz(at(2024, 1, 1, 23_400_000_000_000)),
        ),
        ("timestamp NULL", "0", text("0000-00-00T00:00:00")),
        (
            "json",
            "'{\"b\": 1.10, \"a\": [null]}'",
            Value::Json("{\"b\": 1.10, \"a\": [null]}".to_owned()),
        ),
        ("json", "'7'", Value::Json("7".to_owned())),
        (
            "point",
            "ST_GeomFromText('POINT(1 2)', 4326)",
            Value::Bytes(vec![
                0xe6, 0x10, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0,
                0x40,
            ]),
        ),
    ]
}

/// Of MariaDB alone.
fn tortures_of_mariadb() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        (
            "uuid",
            "'00112233-4455-6677-8899-aabbccddeeff'",
            Value::Uuid(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
        ),
        ("inet6", "'::1'", text("::1")),
    ]
}

#[tokio::test]
async fn every_type_comes_as_what_it_is_and_back() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("types").unwrap();
    let mut tortures = tortures();
    let version = database.rows("SELECT VERSION()").unwrap().remove(0).remove(0).unwrap();
    if String::from_utf8(version).unwrap().contains("MariaDB") {
        tortures.extend(tortures_of_mariadb());
    }
    let mut sql = "SET sql_mode = '', time_zone = '+05:30';".to_owned();
    for (number, (declared, expression, _)) in tortures.iter().enumerate() {
        sql.push_str(&format!(
            "CREATE TABLE t{number} (id int PRIMARY KEY, v {declared});
             INSERT INTO t{number} VALUES (1, {expression});
             INSERT INTO t{number} VALUES (2, NULL);"
        ));
    }
    database.run(&sql).unwrap();
    for (number, (declared, expression, expected)) in tortures.iter().enumerate() {
        let name = format!("t{number}");
        let by_query = format!("SELECT v, id FROM t{number} -- of it");
        let specs = vec![table(&database.url(), &name), query(&database.url(), &by_query, &["id"])];
        let sources = sources(specs, Options::default()).unwrap();
        let found = rows(&*sources[0]).await.unwrap();
        assert_eq!(found[0][1], *expected, "{expression} in {declared}");
        assert_eq!(found[1][1], Value::Null, "{declared}");
        let found = rows(&*sources[1]).await.unwrap();
        // A query does not tell how many bits there are, nor what a check says.
        if !matches!(*declared, "bit(1)" | "json" | "uuid") {
            assert_eq!(found[0][0], *expected, "{expression} in {declared} by a query");
        }
        for source in &sources {
            parse_equals_reading(&**source, &[]).await;
        }
    }
}

#[tokio::test]
async fn the_shape_has_the_declared_kinds() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("shape").unwrap();
    database
        .run(
            "CREATE TABLE t (id bigint unsigned PRIMARY KEY, v varchar(9), p decimal(10,2),
                g int AS (length(v)) STORED, j json, t timestamp NULL, e enum('a'), u tinyint(1));
             CREATE VIEW w AS SELECT id, v FROM t;",
        )
        .unwrap();
    let kinds = async |spec: &SourceSpec| {
        let source = source(spec);
        let partition = partition(&*source).await.unwrap();
        let shape = source.describe(&partition).await.unwrap();
        let kinds = shape.columns.into_iter().map(|column| column.kind.map(Kind::name).unwrap());
        (kinds.collect::<Vec<_>>().join(" "), shape.format)
    };
    let of_table = "unsigned text(9) decimal(10,2) int json timestamptz text boolean";
    assert_eq!(
        kinds(&table(&database.url(), "t")).await,
        (of_table.to_owned(), "mysql, table".to_owned())
    );
    assert_eq!(
        kinds(&table(&database.url(), "w")).await,
        ("unsigned text(9)".to_owned(), "mysql, view".to_owned())
    );
    let sql = "SELECT p, count(*) AS n FROM t GROUP BY 1";
    assert_eq!(kinds(&query(&database.url(), sql, &["p"])).await.0, "decimal integer");
}

#[tokio::test]
async fn rows_come_in_the_order_of_the_key_by_bytes() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("order").unwrap();
    database
        .run(
            "CREATE TABLE t (k varchar(9) COLLATE utf8mb4_general_ci, n int, PRIMARY KEY (k, n));
             INSERT INTO t VALUES ('b',1),('B',2),('a',10),('a',9),('Z',1),('é',1),('',1),('a b',1);
             CREATE TABLE u (k varchar(9) UNIQUE); INSERT INTO u VALUES ('b'),(NULL),('a'),(NULL);",
        )
        .unwrap();
    let found = firsts(&*source(&table(&database.url(), "t"))).await;
    assert_eq!(found, ["", "B", "Z", "a", "a", "a b", "b", "é"]);
    let u = source(&table(&database.url(), "u"));
    assert_eq!(firsts(&*u).await, ["NULL", "NULL", "a", "b"]);
    assert_eq!(u.inspect().await.unwrap()[0].code, "WB0496");
    let error =
        rows(&*source(&query(&database.url(), "SELECT * FROM u", &["k"]))).await.unwrap_err();
    assert_eq!(error.code, "WB0494");
}

#[tokio::test]
async fn sources_with_one_url_see_one_state() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("state").unwrap();
    database
        .run(
            "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY);
             INSERT INTO a VALUES (1); INSERT INTO b VALUES (1);",
        )
        .unwrap();
    let specs = vec![table(&database.url(), "a"), table(&database.url(), "b")];
    let sources = sources(specs, Options::default()).unwrap();
    assert_eq!(firsts(&*sources[0]).await, ["1"]);
    database.run("INSERT INTO a VALUES (2); INSERT INTO b VALUES (2);").unwrap();
    assert_eq!(firsts(&*sources[1]).await, ["1"]);
    assert_eq!(firsts(&*sources[0]).await, ["1"]);
    assert_eq!(firsts(&*source(&table(&database.url(), "b"))).await, ["1", "2"]);
}

#[tokio::test]
async fn a_reader_that_stops_early_keeps_its_session_and_the_state() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("early").unwrap();
    database
        .run(
            "CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT, v text); INSERT INTO t (v) VALUES (REPEAT('x', 200));
             INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t;
             INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t;
             INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t;
             INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t;
             INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t; INSERT INTO t (v) SELECT v FROM t;",
        )
        .unwrap();
    let source = source(&table(&database.url(), "t"));
    let partition = partition(&*source).await.unwrap();
    let id = [Field::Column("id".to_owned())];
    let limit = Limit { rows: 10_000, bytes: usize::MAX };
    let mut mark = None;
    for _ in 0..6 {
        let mut reader = source.open(&partition, &id, None).await.unwrap();
        mark = Some(reader.next(limit).await.unwrap().unwrap().mark);
    }
    database.run("DELETE FROM t WHERE id = 1").unwrap();
    let mark = mark.unwrap();
    let mut rest = source.open(&partition, &id, Some(&mark)).await.unwrap();
    let next = rest.next(limit).await.unwrap().unwrap();
    assert_eq!(next.records[0].position.record, 10_001);
    assert_eq!(source.compare(&partition, &mark).await.unwrap(), Freshness::Appended);
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_is_transient_and_reading_goes_on() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("ended").unwrap();
    database
        .run(
            "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t WITH RECURSIVE n(i) AS
                (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) SELECT i, REPEAT('x', 2000) FROM n;
             INSERT INTO t SELECT t.id * 1000 + o.id, t.v FROM t JOIN t AS o ON o.id <= 40;",
        )
        .unwrap();
    let source = source(&table(&database.url(), "t"));
    let partition = partition(&*source).await.unwrap();
    let id = [Field::Column("id".to_owned())];
    let mut reader = source.open(&partition, &id, None).await.unwrap();
    let mark = reader.next(Limit::default()).await.unwrap().unwrap().mark;
    let sessions = database
        .rows("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        .unwrap();
    for session in sessions {
        let id = String::from_utf8(session[0].clone().unwrap()).unwrap();
        database.run(&format!("KILL {id}")).unwrap();
    }
    let ended = async {
        while reader.next(Limit::default()).await?.is_some() {}
        Ok::<_, EndpointError>(())
    };
    let error = ended.await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Transient, "WB0455"), "{error:?}");
    let mut attempts = 0;
    let mut rest = loop {
        attempts += 1;
        match source.open(&partition, &id, Some(&mark)).await {
            Ok(rest) => break rest,
            Err(error) => assert_eq!(error.class, ErrorClass::Transient, "{error:?}"),
        }
        assert!(attempts < 3);
    };
    let next = rest.next(Limit::default()).await.unwrap().unwrap();
    assert_eq!(next.records[0].position.record, mark.records + 1);
}

#[tokio::test]
async fn a_column_that_was_altered_when_the_state_was_lost_is_read_as_what_it_is_now() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("altered").unwrap();
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, '[7]');")
        .unwrap();
    let source = source(&table(&database.url(), "t"));
    assert_eq!(rows(&*source).await.unwrap()[0][1], text("[7]"));
    let sessions = database
        .rows("SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()")
        .unwrap();
    for session in sessions {
        let id = String::from_utf8(session[0].clone().unwrap()).unwrap();
        database.run(&format!("KILL {id}")).unwrap();
    }
    database.run("ALTER TABLE t MODIFY v json").unwrap();
    // Those who read learn that the state is lost.
    let mut attempts = 0;
    let found = loop {
        attempts += 1;
        match rows(&*source).await {
            Ok(found) => break found,
            Err(error) => assert_eq!(error.class, ErrorClass::Transient, "{error:?}"),
        }
        assert!(attempts < 5);
    };
    assert_eq!(found[0][1], Value::Json("[7]".to_owned()));
}

async fn refusal(spec: &SourceSpec) -> EndpointError {
    match sources(vec![spec.clone()], Options::default()) {
        Err(error) => error,
        Ok(mut sources) => rows(&*sources.remove(0)).await.unwrap_err(),
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("mistakes").unwrap();
    database
        .run("CREATE TABLE orders (id int PRIMARY KEY, v text); INSERT INTO orders VALUES (1, 'a'), (2, 'a');")
        .unwrap();
    let url = database.url();
    let check = async |spec: SourceSpec, code: &str, words: &str| {
        let error = refusal(&spec).await;
        assert_eq!((error.code, error.class), (code, ErrorClass::Configuration), "{error:?}");
        assert!(error.what.contains(words), "{}", error.what);
    };
    check(table(&url, "order"), "WB0490", "did you mean `orders`?").await;
    check(query(&url, "SELECT * FROM orders", &["ib"]), "WB0491", "did you mean `id`?").await;
    check(query(&url, "SELEC 1", &[]), "WB0492", "near 'SELEC 1'").await;
    check(query(&url, "SELECT nope FROM orders", &[]), "WB0492", "'nope'").await;
    check(query(&url, "SELECT id, v AS id FROM orders", &[]), "WB0492", "one name").await;
    check(query(&url, "SELECT 1; SELECT 2", &[]), "WB0492", "near").await;
    check(query(&url, "DELETE FROM orders", &[]), "WB0492", "no columns").await;
    check(query(&url, "SELECT * FROM orders", &["v"]), "WB0494", "rows 1 and 2").await;
}

#[tokio::test]
async fn what_should_be_known_is_said() {
    let Some(server) = servers::mysql_or_skip() else { return };
    let database = server.database("known").unwrap();
    database.run("CREATE TABLE t (id int PRIMARY KEY) ENGINE = MyISAM").unwrap();
    let findings = source(&table(&database.url(), "t")).inspect().await.unwrap();
    assert!(findings.iter().any(|finding| finding.message.contains("MyISAM")), "{findings:?}");
}
