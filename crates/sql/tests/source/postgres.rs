//! PostgreSQL.

use whimbrel_endpoint::contract::{parse_equals_reading, source_contract};
use whimbrel_endpoint::{EndpointError, ErrorClass, Field, Freshness, Limit};
use whimbrel_model::time::{Date, DateTime, Time};
use whimbrel_model::{Kind, Value, ValueRef};
use whimbrel_sql::{Options, SourceSpec, sources};
use whimbrel_testkit::servers::{self, Database};

use crate::world::{Renewed, firsts, partition, query, rows, source, table};

const SIX: &str = "CREATE TABLE t (id text PRIMARY KEY, note text);
    INSERT INTO t VALUES ('r3','c'),('r1','a'),('r2','b'),('r6','f'),('r5','e'),('r4','d');";

fn renewed(database: Database<'static>, spec: SourceSpec) -> Renewed<impl Fn(&str) + Send + Sync> {
    Renewed::new(spec, "t", move |sql| database.run(sql).unwrap())
}

#[tokio::test]
async fn a_table_keeps_the_contract() {
    let Some(server) = servers::postgres_or_skip() else { return };
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
    let Some(server) = servers::postgres_or_skip() else { return };
    source_contract(|| {
        let database = server.database("source").unwrap();
        database.run(&SIX.replace("PRIMARY KEY", "")).unwrap();
        let sql = "WITH all_of AS (SELECT id, note FROM t) SELECT *, 1 AS n FROM all_of; -- all";
        let spec = query(&database.url(), &sql.replace("; --", " --"), &["id"]);
        renewed(database, spec)
    })
    .await;
}

#[tokio::test]
async fn a_table_without_a_key_keeps_the_contract() {
    let Some(server) = servers::postgres_or_skip() else { return };
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

fn json(text: &str) -> Value {
    Value::Json(text.to_owned())
}

/// `(type, SQL expression, what it is)`
fn tortures() -> Vec<(&'static str, &'static str, Value)> {
    let noon = 43_200_000_000_000;
    vec![
        ("bool", "true", Value::Bool(true)),
        ("int2", "-32768", Value::Int(-32768)),
        ("int8", "9223372036854775807", Value::Int(i64::MAX.into())),
        ("oid", "4294967295", Value::Int(4_294_967_295)),
        (
            "numeric",
            "'123456789012345678901234567890.12345678901234567890123456789000'",
            decimal("123456789012345678901234567890.12345678901234567890123456789000"),
        ),
        ("numeric", "'0.00000000000000000001'", decimal("0.00000000000000000001")),
        ("numeric", "'-1e30'", decimal("-1000000000000000000000000000000")),
        ("numeric", "'NaN'", decimal("NaN")),
        ("numeric", "'Infinity'", decimal("Infinity")),
        ("numeric(10,2)", "12.5", decimal("12.50")),
        ("numeric(20,0)", "18446744073709551615", decimal("18446744073709551615")),
        ("money", "'-1234.50'", decimal("-1234.50")),
        ("float4", "0.1", Value::Float(0.1)),
        ("float8", "'NaN'", Value::Float(f64::NAN)),
        ("float8", "'-Infinity'", Value::Float(f64::NEG_INFINITY)),
        ("float8", "'-0'", Value::Float(-0.0)),
        ("text", "E'a\\n\\t\"\\\\é'", text("a\n\t\"\\é")),
        ("char(5)", "'ab '", text("ab")),
        ("varchar(5)", "'ab '", text("ab ")),
        ("\"char\"", "'x'", text("x")),
        ("name", "'a name'", text("a name")),
        ("bytea", "'\\x00ff'", Value::Bytes(vec![0, 255])),
        ("bytea", "''", Value::Bytes(vec![])),
        ("date", "'0001-01-01'", date(1, 1, 1)),
        ("date", "'0044-03-15 BC'", date(-43, 3, 15)),
        ("date", "'5874897-12-31'", date(5_874_897, 12, 31)),
        ("date", "'infinity'", text("infinity")),
        ("date", "'-infinity'", text("-infinity")),
        ("time", "'24:00:00'", Value::Time(Time { nanos: 86_400_000_000_000 })),
        ("time", "'12:00:00.000001'", Value::Time(Time { nanos: 43_200_000_001_000 })),
        ("timetz", "'12:00:00+05:30'", text("12:00:00+05:30")),
        ("timestamp", "'294276-12-31 12:00:00'", Value::Timestamp(at(294_276, 12, 31, noon))),
        ("timestamp", "'4713-01-01 12:00:00 BC'", Value::Timestamp(at(-4712, 1, 1, noon))),
        ("timestamp", "'infinity'", text("infinity")),
        (
            "timestamptz",
            "'2024-01-01 12:00:00.5+05:30'",
            Value::TimestampTz(at(2024, 1, 1, 23_400_500_000_000)),
        ),
        ("timestamptz", "'-infinity'", text("-infinity")),
        ("interval", "'1 year -2 mons 3 days -04:05:06.7'", text("P10M3DT-4H-5M-6.7S")),
        ("interval", "'0'", text("PT0S")),
        (
            "uuid",
            "'00112233-4455-6677-8899-aabbccddeeff'",
            Value::Uuid(*b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"),
        ),
        (
            "json",
            "'{\"b\": 1.10,\n \"a\": null, \"b\": 2}'",
            json("{\"b\": 1.10,\n \"a\": null, \"b\": 2}"),
        ),
        ("json", "'{\"$bytes\": \"00\"}'", json("{\"$bytes\": \"00\"}")),
        ("jsonb", "'{\"b\": 1.10, \"a\": [null]}'", json("{\"a\": [null], \"b\": 1.10}")),
        ("jsonb", "'null'", json("null")),
        ("xml", "'<a>é</a>'", text("<a>é</a>")),
        ("inet", "'10.0.0.1/8'", text("10.0.0.1/8")),
        ("cidr", "'::/0'", text("::/0")),
        ("macaddr", "'08:00:2b:01:02:03'", text("08:00:2b:01:02:03")),
        ("bit(3)", "B'101'", text("101")),
        ("varbit", "B''", text("")),
        ("int4[]", "'{1,NULL,-3}'", json("[1,null,-3]")),
        ("int4[]", "'{{1,2},{3,4}}'", json("[[1,2],[3,4]]")),
        ("int4[]", "'{}'", json("[]")),
        ("int4[]", "'[0:1]={1,2}'", text("[0:1]={\"1\",\"2\"}")),
        ("text[]", "'{\"a,b\",\"\\\"\",NULL}'", json("[\"a,b\",\"\\\"\",null]")),
        ("int4range", "'[1,5)'", text("[1,5)")),
        ("tstzrange", "'[2024-01-01 00:00+02,)'", text("[\"2023-12-31 22:00:00+00\",)")),
        ("point", "'(1,2.5)'", text("(1,2.5)")),
        ("tsvector", "'a b'", text("'a' 'b'")),
        ("mood", "'it''s ok'", text("it's ok")),
        ("mood[]", "'{sad}'", json("[\"sad\"]")),
        ("short", "'abc'", text("abc")),
        ("pair", "'(1,\"x y\")'", text("(1,\"x y\")")),
        ("regclass", "'pg_class'", text("pg_class")),
    ]
}

#[tokio::test]
async fn every_type_comes_as_what_it_is_and_back() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("types").unwrap();
    let mut sql = "SET TIME ZONE 'Asia/Kolkata'; SET lc_monetary = 'C';
        CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
        CREATE DOMAIN short AS varchar(3) NOT NULL; CREATE TYPE pair AS (a int, b text);"
        .to_owned();
    let tortures = tortures();
    for (number, (declared, expression, _)) in tortures.iter().enumerate() {
        sql.push_str(&format!(
            "CREATE TABLE t{number} (id int PRIMARY KEY, v {declared});
             INSERT INTO t{number} VALUES (1, {expression});"
        ));
        if *declared != "short" {
            sql.push_str(&format!("INSERT INTO t{number} VALUES (2, NULL);"));
        }
    }
    database.run(&sql).unwrap();
    for (number, (declared, expression, expected)) in tortures.iter().enumerate() {
        let name = format!("t{number}");
        let by_query = format!("SELECT v, id FROM t{number} ORDER BY random()");
        let specs =
            vec![table(&database.url(), &name), query(&database.url(), &by_query, &["id", "v"])];
        let sources = sources(specs, Options::default()).unwrap();
        let found = rows(&*sources[0]).await.unwrap();
        assert_eq!(found[0][1], *expected, "{expression} in {declared}");
        if found.len() > 1 {
            assert_eq!(found[1][1], Value::Null);
        }
        let found = rows(&*sources[1]).await.unwrap();
        assert_eq!(found[0][0], *expected, "{expression} in {declared} by a query");
        for source in &sources {
            parse_equals_reading(&**source, &[]).await;
        }
    }
}

#[tokio::test]
async fn the_shape_has_the_declared_kinds() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("shape").unwrap();
    database
        .run(
            "CREATE SCHEMA s; CREATE DOMAIN price AS numeric(10,2);
             CREATE TABLE s.t (id bigint PRIMARY KEY, v varchar(9), p price, n numeric, c char(3),
                g int GENERATED ALWAYS AS (length(v)) STORED, a int[], j jsonb, t timestamptz);
             ALTER TABLE s.t DROP COLUMN n;
             CREATE VIEW w AS SELECT id, v FROM s.t;",
        )
        .unwrap();
    let kinds = async |spec: &SourceSpec| {
        let source = source(spec);
        let partition = partition(&*source).await.unwrap();
        let shape = source.describe(&partition).await.unwrap();
        let kinds = shape.columns.into_iter().map(|column| column.kind.map(Kind::name).unwrap());
        (kinds.collect::<Vec<_>>().join(" "), shape.format)
    };
    let of_table = "integer text(9) decimal(10,2) text(3) int json json timestamptz";
    assert_eq!(
        kinds(&table(&database.url(), "s.t")).await,
        (of_table.to_owned(), "postgres, table".to_owned())
    );
    assert_eq!(
        kinds(&table(&database.url(), "w")).await,
        ("integer text(9)".to_owned(), "postgres, view".to_owned())
    );
    let sql = "SELECT p, count(*) FROM s.t GROUP BY 1";
    assert_eq!(kinds(&query(&database.url(), sql, &["p"])).await.0, "decimal(10,2) integer");
}

#[tokio::test]
async fn rows_come_in_the_order_of_the_key_by_bytes() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("order").unwrap();
    database
        .run(
            "CREATE TABLE t (k text, n int, PRIMARY KEY (k, n));
             INSERT INTO t VALUES ('b',1),('B',2),('a',10),('a',9),('Z',1),('é',1),('',1),('a b',1);
             CREATE TABLE u (k text UNIQUE); INSERT INTO u VALUES ('b'),(NULL),('a'),(NULL);",
        )
        .unwrap();
    let found = firsts(&*source(&table(&database.url(), "t"))).await;
    assert_eq!(found, ["", "B", "Z", "a", "a", "a b", "b", "é"]);
    let u = source(&table(&database.url(), "u"));
    assert_eq!(firsts(&*u).await, ["NULL", "NULL", "a", "b"]);
    assert_eq!(u.inspect().await.unwrap()[0].code, "WB0496");
    let error = rows(&*source(&query(&database.url(), "TABLE u", &["k"]))).await.unwrap_err();
    assert_eq!(error.code, "WB0494");
}

#[tokio::test]
async fn sources_with_one_url_see_one_state() {
    let Some(server) = servers::postgres_or_skip() else { return };
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
async fn a_reader_that_stops_early_leaves_the_others_alone() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("early").unwrap();
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, 50000) AS n;")
        .unwrap();
    let source = source(&table(&database.url(), "t"));
    let partition = partition(&*source).await.unwrap();
    let id = [Field::Column("id".to_owned())];
    let limit = Limit { rows: 10_000, bytes: usize::MAX };
    let mut first = source.open(&partition, &id, None).await.unwrap();
    let mark = first.next(limit).await.unwrap().unwrap().mark;
    drop(first);
    let mut rest = source.open(&partition, &id, Some(&mark)).await.unwrap();
    let next = rest.next(limit).await.unwrap().unwrap();
    assert_eq!(next.rows.row(0).get(0).to_string(), "10001");
    assert_eq!(next.records[0].position.record, 10_001);
    assert_eq!(source.compare(&partition, &mark).await.unwrap(), Freshness::Appended);
}

#[tokio::test]
async fn a_session_that_ends_in_the_middle_is_transient_and_reading_goes_on() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("ended").unwrap();
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, 100000) AS n;")
        .unwrap();
    let source = source(&table(&database.url(), "t"));
    let partition = partition(&*source).await.unwrap();
    let id = [Field::Column("id".to_owned())];
    let mut reader = source.open(&partition, &id, None).await.unwrap();
    let mark = reader.next(Limit::default()).await.unwrap().unwrap().mark;
    database
        .run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .unwrap();
    let ended = async {
        while reader.next(Limit::default()).await?.is_some() {}
        Ok::<_, EndpointError>(())
    };
    let error = ended.await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Transient, "WB0455"), "{error:?}");
    // The state is gone with its holder: the first attempt says so, the next takes another one.
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

/// Ends the sessions that hold the state.
fn lose(database: &Database<'_>) {
    let sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.run(sql).unwrap();
}

#[tokio::test]
async fn a_column_that_was_altered_when_the_state_was_lost_is_read_as_what_it_is_now() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("altered").unwrap();
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, v bigint); INSERT INTO t VALUES (1, 7), (2, 8);")
        .unwrap();
    let source = source(&table(&database.url(), "t"));
    let partition = partition(&*source).await.unwrap();
    let v = [Field::Column("v".to_owned())];
    let mut reader = source.open(&partition, &v, None).await.unwrap();
    let one = Limit { rows: 1, bytes: usize::MAX };
    let first = reader.next(one).await.unwrap().unwrap();
    assert_eq!(first.rows.row(0).get(0), ValueRef::Int(7));
    drop(reader);
    lose(&database);
    database.run("ALTER TABLE t ALTER v TYPE double precision").unwrap();
    // The first to ask learns that the state is lost.
    let error = source.state().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Transient, "{error:?}");
    let mut reader = source.open(&partition, &v, None).await.unwrap();
    let now = reader.next(one).await.unwrap().unwrap();
    assert_eq!(now.rows.row(0).get(0), ValueRef::Float(7.0));
    let shape = source.describe(&partition).await.unwrap();
    assert_eq!(shape.columns[1].kind, Some(Kind::Float));
    let Err(error) = source.open(&partition, &v, Some(&first.mark)).await else {
        panic!("it goes on after rows that are others now")
    };
    assert_eq!((error.class, error.code), (ErrorClass::Changed, "WB0393"), "{error:?}");
}

#[tokio::test]
async fn a_table_that_was_emptied_or_rewritten_behind_the_state_is_no_empty_one() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("rewritten").unwrap();
    let after = async |spec: &SourceSpec, change: &str| {
        database
            .run(
                "DROP TABLE IF EXISTS t CASCADE; CREATE TABLE t (id int PRIMARY KEY, v bigint) PARTITION BY RANGE (id);
                 CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (2);
                 CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (2) TO (9);
                 CREATE VIEW w AS SELECT id, v + 1 AS n FROM t; INSERT INTO t VALUES (1, 7), (2, 8);",
            )
            .unwrap();
        let source = source(spec);
        source.state().await.unwrap();
        database.run(change).unwrap();
        rows(&*source).await.map(|rows| rows.len()).map_err(|error| (error.class, error.code))
    };
    let changed = Err((ErrorClass::Changed, "WB0393"));
    let url = database.url();
    for spec in [table(&url, "t"), table(&url, "w"), query(&url, "SELECT id FROM t", &["id"])] {
        assert_eq!(after(&spec, "TRUNCATE t").await, changed);
        assert_eq!(after(&spec, "TRUNCATE t2").await, changed);
        assert_eq!(after(&spec, "DELETE FROM t").await, Ok(2));
        assert_eq!(
            after(&spec, "ALTER TABLE t ADD x int; REINDEX TABLE t1; ANALYZE t").await,
            Ok(2)
        );
    }
    let spec = table(&url, "t");
    assert_eq!(after(&spec, "DROP VIEW w; ALTER TABLE t ALTER v TYPE int").await, changed);
}

async fn refusal(spec: &SourceSpec) -> EndpointError {
    match sources(vec![spec.clone()], Options::default()) {
        Err(error) => error,
        Ok(mut sources) => rows(&*sources.remove(0)).await.unwrap_err(),
    }
}

#[tokio::test]
async fn mistakes_are_named() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("mistakes").unwrap();
    database
        .run("CREATE TABLE orders (id int PRIMARY KEY, v text); INSERT INTO orders VALUES (1, 'a'), (2, 'a'); CREATE SCHEMA audit; CREATE TABLE audit.log (id int);")
        .unwrap();
    let url = database.url();
    let check = async |spec: SourceSpec, code: &str, words: &str| {
        let error = refusal(&spec).await;
        assert_eq!((error.code, error.class), (code, ErrorClass::Configuration), "{error:?}");
        assert!(error.what.contains(words), "{}", error.what);
    };
    check(table(&url, "order"), "WB0490", "did you mean `orders`?").await;
    check(table(&url, "log"), "WB0490", "did you mean `audit.log`?").await;
    check(query(&url, "SELECT * FROM orders", &["ib"]), "WB0491", "did you mean `id`?").await;
    check(query(&url, "SELEC 1", &[]), "WB0492", "at character 1: syntax error").await;
    check(query(&url, "SELECT nope FROM orders", &[]), "WB0492", "at character 8").await;
    check(query(&url, "SELECT id, v AS id FROM orders", &[]), "WB0492", "one name").await;
    check(query(&url, "SELECT 1; SELECT 2", &[]), "WB0492", "multiple commands").await;
    check(query(&url, "DELETE FROM orders RETURNING id", &[]), "WB0492", "syntax error").await;
    check(query(&url, "SELECT * FROM orders", &["v"]), "WB0494", "rows 1 and 2").await;
}

#[tokio::test]
async fn a_missing_privilege_blocks_and_policies_hide_nothing() {
    let Some(server) = servers::postgres_or_skip() else { return };
    let database = server.database("rights").unwrap();
    let role = format!("{}_reader", database.name());
    database
        .run(&format!(
            "CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE p (id int PRIMARY KEY);
             CREATE ROLE {role} LOGIN PASSWORD 'canary-7'; GRANT SELECT ON p TO {role};
             ALTER TABLE p ENABLE ROW LEVEL SECURITY;"
        ))
        .unwrap();
    let Some(tcp) = database.tcp_url() else { return };
    let (_, host) = tcp.rsplit_once('@').unwrap_or_else(|| tcp.split_once("://").unwrap());
    let url = format!("postgres://{role}:canary-7@{host}");
    let findings = source(&table(&url, "t")).inspect().await.unwrap();
    assert!(findings.iter().any(|finding| finding.code == "WB0453" && finding.blocks));
    assert!(findings.iter().all(|finding| !finding.message.contains("canary-7")));
    let error = rows(&*source(&table(&url, "p"))).await.unwrap_err();
    assert!(error.what.contains("row-level security"), "{error:?}");
    assert!(!format!("{error:?}").contains("canary-7"));
    let wrong = url.replace("canary-7", "canary-8");
    // A server that trusts its own machine asks for no password.
    if let Err(error) = source(&table(&wrong, "p")).partitions().await {
        assert_eq!((error.code, error.class), ("WB0451", ErrorClass::Configuration), "{error:?}");
        assert!(!format!("{error:?} {error}").contains("canary-8"));
    }
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).unwrap();
}
