//! Rows and their fates, values of every type, statements of the plan.

use std::sync::Arc;

use whimbrel_endpoint::{ErrorClass, Finding, Needs, RowFate, Script, Target, Txn, WriteMode};
use whimbrel_model::{Chunk, ChunkBuilder, Date, DateTime, Kind, Table, Value, ValueRef};

use super::place::{all, chunk, database, described, file, ready, refusal, told, values, write};

use ValueRef::{Bytes, Decimal, Float, Int, Json, Null, Text};

async fn kept(txn: &mut Box<dyn Txn>, table: &Table, values: &[ValueRef<'_>]) -> Vec<Value> {
    let mut rows = ChunkBuilder::new(2);
    for (id, value) in values.iter().enumerate() {
        rows.push(Int(id as i128));
        rows.push(*value);
        rows.end_row();
    }
    let fates = txn.write(table, Arc::new(rows.finish()), WriteMode::Insert).await.unwrap();
    for (fate, value) in fates.iter().zip(values) {
        assert_eq!(*fate, RowFate::Inserted, "{} {value:?}", table.name);
    }
    let mut keys = ChunkBuilder::new(1);
    for id in 0..values.len() {
        keys.push(Int(id as i128));
        keys.end_row();
    }
    let found = txn.read_for_update(table, &keys.finish()).await.unwrap();
    found.into_iter().map(|row| row.unwrap().remove(1)).collect()
}

async fn txn_with(target: &dyn Target, fence: whimbrel_endpoint::Fence, sql: &str) -> Box<dyn Txn> {
    let mut txn = target.begin(fence).await.unwrap();
    txn.apply_schema(&file(sql)).await.unwrap();
    txn.commit().await.unwrap();
    target.begin(fence).await.unwrap()
}

/// A value, and what it comes back as where that is not the same.
type Case<'a> = (ValueRef<'a>, Option<Value>);

/// What is written comes back as it went in, or as the second value.
async fn returns(cases: &[(&str, &[Case<'_>])]) {
    let Some(database) = database("types") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); \
         CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE <= 100); \
         CREATE TYPE pair AS (a int, b text);",
    )
    .await;
    for (index, (declared, samples)) in cases.iter().enumerate() {
        let name = format!("t{index}");
        let sql = format!("CREATE TABLE {name} (id int PRIMARY KEY, v {declared});");
        let mut txn = txn_with(&*target, fence, &sql).await;
        let table = described(&*target, &name).await;
        let written: Vec<ValueRef<'_>> = samples.iter().map(|(value, _)| *value).collect();
        let found = kept(&mut txn, &table, &written).await;
        for ((value, expected), found) in samples.iter().zip(found) {
            let expected = expected.clone().unwrap_or_else(|| ValueRef::to_owned(*value));
            assert_eq!(found, expected, "{declared}: {value:?}");
        }
        // The other way of reading says the same.
        let query = whimbrel_endpoint::Query::table(&name, &["v"])
            .by("id", whimbrel_endpoint::Order::Rising);
        let selected = values(&txn.select(&query).await.unwrap());
        for ((value, expected), found) in samples.iter().zip(selected) {
            let expected = expected.clone().unwrap_or_else(|| ValueRef::to_owned(*value));
            assert_eq!(found[0], expected, "{declared}: {value:?}");
        }
        txn.commit().await.unwrap();
    }
}

#[allow(clippy::unnecessary_wraps)] // as the cases have it
fn text(value: &str) -> Option<Value> {
    Some(Value::Text(value.to_owned()))
}

#[allow(clippy::unnecessary_wraps)] // as the cases have it
fn json(value: &str) -> Option<Value> {
    Some(Value::Json(value.to_owned()))
}

#[allow(clippy::unnecessary_wraps)] // as the cases have it
fn decimal(value: &str) -> Option<Value> {
    Some(Value::Decimal(value.to_owned()))
}

#[tokio::test]
async fn numbers_come_back() {
    let zeros = format!("0.{}1", "0".repeat(40));
    let large = format!("-9{}.5", "0".repeat(60));
    returns(&[
        ("smallint", &[(Int(-32_768), None), (Int(32_767), None)]),
        ("integer", &[(Int(i32::MIN.into()), None), (Null, None)]),
        ("bigint", &[(Int(i64::MIN.into()), None), (Int(i64::MAX.into()), None)]),
        ("oid", &[(Int(4_294_967_295), None)]),
        ("real", &[(Float(0.1), None), (Float(-0.0), None), (Float(16_777_216.0), None)]),
        (
            "double precision",
            &[(Float(f64::NAN), None), (Float(f64::NEG_INFINITY), None), (Float(-0.0), None)],
        ),
        (
            "numeric",
            &[
                (Decimal("0"), None),
                (Decimal("0.00"), None),
                (Decimal("1.10"), None),
                (Decimal("10000"), None),
                (Decimal("-0.0001"), None),
                (Decimal("0.00001"), None),
                (Decimal("123456789012345678"), None),
                (Decimal("9999.9999"), None),
                (Decimal("1e5"), decimal("100000")),
                (Decimal("1e-5"), decimal("0.00001")),
                (Decimal(&zeros), None),
                (Decimal(&large), None),
                (Decimal("NaN"), None),
                (Decimal("-Infinity"), None),
                (Int(i128::MAX), decimal("170141183460469231731687303715884105727")),
            ],
        ),
        (
            "numeric(8,2)",
            &[(Decimal("-123456.7"), decimal("-123456.70")), (Int(5), decimal("5.00"))],
        ),
        ("percent", &[(Decimal("99.99"), None)]),
    ])
    .await;
}

#[tokio::test]
async fn texts_and_bytes_come_back() {
    returns(&[
        ("text", &[(Text(""), None), (Text("née 🦉\\N"), None), (Text("a\tb\r\n"), None)]),
        ("varchar(3)", &[(Text("ééé"), None)]),
        ("char(5)", &[(Text("ab"), None)]),
        ("\"char\"", &[(Text("x"), None)]),
        ("name", &[(Text("n"), None)]),
        ("bytea", &[(Bytes(&[]), None), (Bytes(&[0, 255]), None)]),
        ("mood", &[(Text("sad"), None), (Null, None)]),
        ("uuid", &[(ValueRef::Uuid([7; 16]), None)]),
        ("json", &[(Json("{\"a\" : 1.10}"), None)]),
        ("jsonb", &[(Json("{\"b\":1.10,\"a\":null}"), json("{\"a\": null, \"b\": 1.10}"))]),
        ("bit(3)", &[(Text("101"), None)]),
        ("varbit", &[(Text("1010101011"), None), (Text(""), None)]),
        ("inet", &[(Text("192.168.0.1"), None), (Text("10.0.0.1/8"), None), (Text("::1"), None)]),
        ("cidr", &[(Text("10.0.0.0/8"), None), (Text("2001:db8::/32"), None)]),
        (
            "macaddr",
            &[
                (Text("08:00:2b:01:02:03"), None),
                (Text("08002b-010203"), text("08:00:2b:01:02:03")),
            ],
        ),
        ("macaddr8", &[(Text("08:00:2b:01:02:03:04:05"), None)]),
    ])
    .await;
}

#[tokio::test]
async fn times_come_back() {
    let day = |year, month, day| Date::from_ymd(year, month, day).unwrap();
    let at = |date: Date, nanos| DateTime { days: date.days, nanos };
    let last = 86_399_999_999_000;
    returns(&[
        (
            "date",
            &[
                (ValueRef::Date(day(-4713, 11, 24)), None),
                (ValueRef::Date(day(0, 1, 1)), None),
                (ValueRef::Date(day(5_874_897, 12, 31)), None),
                (Text("infinity"), None),
                (Text("-infinity"), None),
            ],
        ),
        (
            "timestamp",
            &[
                (ValueRef::Timestamp(at(day(-4713, 11, 24), 0)), None),
                (ValueRef::Timestamp(at(day(1, 1, 1), last)), None),
                (ValueRef::Timestamp(at(day(294_276, 12, 31), last)), None),
                (Text("-infinity"), None),
            ],
        ),
        (
            "timestamptz",
            &[(ValueRef::TimestampTz(at(day(9999, 12, 31), last)), None), (Text("infinity"), None)],
        ),
        (
            "time",
            &[
                (ValueRef::Time(whimbrel_model::Time { nanos: 0 }), None),
                (ValueRef::Time(whimbrel_model::Time { nanos: 86_400_000_000_000 }), None),
            ],
        ),
        (
            "timetz",
            &[
                (Text("12:00:00+02"), None),
                (Text("00:00:00.500-03:30"), None),
                (Text("01:02Z"), text("01:02:00+00")),
            ],
        ),
        (
            "interval",
            &[
                (Text("P1Y2M3DT4H5M6.7S"), None),
                (Text("PT0S"), None),
                (Text("P-1DT-0.5S"), None),
                (Text("1 year 2 mons -3 days +04:05:06.7"), text("P1Y2M-3DT4H5M6.7S")),
                (ValueRef::Time(whimbrel_model::Time { nanos: -5_000_000_000 }), text("PT-5S")),
            ],
        ),
    ])
    .await;
}

#[tokio::test]
async fn arrays_and_types_that_only_the_server_reads_come_back() {
    returns(&[
        (
            "integer[]",
            &[
                (Json("[1,null,3]"), None),
                (Json("[]"), None),
                (Json("[[1,2],[3,4]]"), None),
                (Text("{5,6}"), json("[5,6]")),
                (Text("[0:1]={5,6}"), text("[0:1]={\"5\",\"6\"}")),
            ],
        ),
        (
            "text[]",
            &[
                (Json("[\"a\\\"b\",\"NULL\",\"\"]"), None),
                (Text("{a b,\"c,d\",NULL}"), json("[\"a b\",\"c,d\",null]")),
            ],
        ),
        ("numeric[]", &[(Json("[1.10,\"NaN\"]"), None)]),
        ("float8[]", &[(Json("[0.1,\"Infinity\"]"), None)]),
        ("mood[]", &[(Json("[\"sad\"]"), None)]),
        ("date[]", &[(Json("[\"2024-02-29\"]"), None)]),
        ("bytea[]", &[(Json("[\"\\\\x00ff\"]"), None)]),
        ("jsonb[]", &[(Json("[[1],{\"a\":2}]"), json("[[1],{\"a\": 2}]"))]),
        ("boolean[]", &[(Json("[true,false]"), None)]),
        ("int4range", &[(Text("[1,5)"), None), (Null, None)]),
        ("pair", &[(Text("(1,\"a b\")"), None)]),
        ("point", &[(Text("(1,2)"), None)]),
        ("tsvector", &[(Text("'a':1 'b'"), None)]),
        ("money", &[(Text("$1,234.50"), None)]),
        ("xml", &[(Text("<a>b</a>"), None)]),
    ])
    .await;
}

#[tokio::test]
async fn what_a_column_would_change_or_cannot_hold_is_refused_before_the_server_sees_it() {
    let Some(database) = database("refused") else { return };
    let (target, fence) = ready(&database, "").await;
    let cases: &[(&str, ValueRef<'_>, &str)] = &[
        ("smallint", Int(40_000), "WB0415"),
        ("bigint", Int(i128::from(i64::MAX) + 1), "WB0415"),
        ("integer", Text("12abc"), "WB0414"),
        ("real", Float(0.123_456_789), "WB0416"),
        ("numeric(5,2)", Decimal("1.234"), "WB0416"),
        ("numeric(5,2)", Decimal("1000"), "WB0415"),
        ("numeric(5,2)", Int(123_456), "WB0415"),
        ("text", Text("a\0b"), "WB0415"),
        ("varchar(3)", Text("abcd"), "WB0415"),
        ("char(5)", Text("ab "), "WB0416"),
        ("timestamp", ValueRef::Timestamp(DateTime { days: 0, nanos: 1 }), "WB0416"),
        ("timestamp(0)", ValueRef::Timestamp(DateTime { days: 0, nanos: 1_000_000 }), "WB0416"),
        ("date", ValueRef::Date(Date { days: i32::MIN }), "WB0415"),
        ("time", ValueRef::Time(whimbrel_model::Time { nanos: -1_000 }), "WB0415"),
        ("boolean", Text("yes"), "WB0414"),
        ("cidr", Text("10.0.0.1/8"), "WB0415"),
        ("integer[]", Json("[1,[2]]"), "WB0414"),
        ("interval", Text("soon"), "WB0414"),
    ];
    for (index, (declared, value, code)) in cases.iter().enumerate() {
        let name = format!("t{index}");
        let sql = format!("CREATE TABLE {name} (id int PRIMARY KEY, v {declared});");
        let mut txn = txn_with(&*target, fence, &sql).await;
        let table = described(&*target, &name).await;
        let fates = write(&mut txn, &table, &[&[Int(1), *value], &[Int(2), Null]]).await;
        assert_eq!(refusal(&fates[0]), (*code, "v"), "{declared} {value:?}: {:?}", fates[0]);
        assert_eq!(fates[1], RowFate::Inserted);
        txn.commit().await.unwrap();
    }
}

#[tokio::test]
async fn a_table_is_described_as_it_was_declared() {
    let Some(database) = database("described") else { return };
    let (target, _) = ready(
        &database,
        "CREATE SCHEMA sales; \
         CREATE DOMAIN code AS varchar(8) NOT NULL; \
         CREATE TABLE sales.orders ( \
             a bigint GENERATED ALWAYS AS IDENTITY, b code, c numeric(10,2) DEFAULT 1, \
             d text GENERATED ALWAYS AS (b || 'x') STORED, e int[], f char(3), g timestamptz(3), \
             PRIMARY KEY (b, a)); \
         CREATE VIEW seen AS SELECT 1 AS one;",
    )
    .await;
    let table = described(&*target, "sales.orders").await;
    let columns: Vec<(&str, String, bool, bool)> = table
        .columns
        .iter()
        .map(|c| (c.name.as_str(), c.kind.name(), c.nullable, c.has_default))
        .collect();
    let column =
        |name, kind: &str, nullable, has_default| (name, kind.to_owned(), nullable, has_default);
    assert_eq!(
        columns,
        [
            column("a", "integer", false, true),
            column("b", "text(8)", false, false),
            column("c", "decimal(10,2)", true, true),
            column("e", "json", true, false),
            column("f", "text(3)", true, false),
            column("g", "timestamptz", true, false),
        ]
    );
    assert_eq!(table.key, [1, 0]);
    assert_eq!(table.columns[1].kind, Kind::Text(Some(8)));
    assert_eq!(target.describe("orders").await.unwrap(), None);
    let error = target.describe("seen").await.unwrap_err();
    assert_eq!(told(&error).1, "WB0422");
}

fn numbered(rows: &[(i64, i64)]) -> Chunk {
    let mut chunk = ChunkBuilder::new(2);
    for (id, value) in rows {
        chunk.push(Int((*id).into()));
        chunk.push(Int((*value).into()));
        chunk.end_row();
    }
    chunk.finish()
}

#[tokio::test]
async fn refused_rows_are_told_apart_from_a_thousand_others() {
    let Some(database) = database("fates") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (0); \
         CREATE TABLE checked (id int PRIMARY KEY, v int CONSTRAINT small CHECK (v < 100)); \
         CREATE TABLE child (id int PRIMARY KEY, v int CONSTRAINT has_parent REFERENCES parent); \
         CREATE TABLE one (id int PRIMARY KEY, v int CONSTRAINT only_one UNIQUE); \
         CREATE TABLE tree (id int PRIMARY KEY, v int CONSTRAINT up REFERENCES tree); \
         CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.v = 7 THEN RAISE EXCEPTION 'seven of %', NEW.id; END IF; \
             IF NEW.v = 8 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
         CREATE TABLE guarded (id int PRIMARY KEY, v int); \
         CREATE TRIGGER odd BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION odd();",
    )
    .await;
    let bad = [3, 4, 500, 999];
    let check = async |name: &str,
                       good: &dyn Fn(i64) -> i64,
                       wrong: i64,
                       expected: (&str, &str)| {
        let table = described(&*target, name).await;
        let rows: Vec<(i64, i64)> =
            (0..1_000).map(|id| (id, if bad.contains(&id) { wrong } else { good(id) })).collect();
        let mut txn = target.begin(fence).await.unwrap();
        let fates = txn.write(&table, Arc::new(numbered(&rows)), WriteMode::Insert).await.unwrap();
        for (id, fate) in fates.iter().enumerate() {
            if bad.contains(&(id as i64)) {
                assert_eq!(refusal(fate), expected, "{name} {id}: {fate:?}");
            } else {
                assert_eq!(*fate, RowFate::Inserted, "{name} {id}");
            }
        }
        txn.commit().await.unwrap();
        assert_eq!(all(&*target, name, &["id"]).await.len(), 996, "{name}");
    };
    check("checked", &|_| 1, 100, ("WB0411", "small")).await;
    check("child", &|_| 0, 5, ("WB0412", "has_parent")).await;
    check("guarded", &|_| 1, 7, ("WB0413", "")).await;
    database.run("TRUNCATE guarded").unwrap();
    check("guarded", &|_| 1, 8, ("WB0413", "")).await;
    check("one", &|id| id, 0, ("WB0410", "only_one")).await;
    // Parents are among the rows, before and behind their children.
    check("tree", &|id| (id + 1) % 3, 5_000, ("WB0412", "up")).await;
}

#[tokio::test]
async fn refused_updates_are_found_among_a_thousand_rows() {
    let Some(database) = database("updates") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1); \
         CREATE TABLE t (id int PRIMARY KEY, v int CONSTRAINT small CHECK (v < 100), \
             u smallint CONSTRAINT only_one UNIQUE, up int CONSTRAINT has_parent REFERENCES p); \
         INSERT INTO t SELECT n, 0, n FROM generate_series(1, 1000) AS n; \
         CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.v = 7 THEN RETURN NULL; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER skip BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION skip();",
    )
    .await;
    let table = described(&*target, "t").await;
    let row = |id: i128| match id {
        100 => [Int(id), Int(100), Int(id), Int(1)],
        200 => [Int(id), Int(1), Int(999), Int(1)],
        300 => [Int(id), Int(1), Int(id), Int(9)],
        400 => [Int(id), Int(1), Int(70_000), Int(1)],
        500 => [Int(id), Int(7), Int(id), Int(1)],
        id => [Int(id), Int(1), Int(id), Int(1)],
    };
    let rows: Vec<[ValueRef<'_>; 4]> = (1..=1_000).map(row).collect();
    let rows: Vec<&[ValueRef<'_>]> = rows.iter().map(<[_; 4]>::as_slice).collect();
    let mut txn = target.begin(fence).await.unwrap();
    let fates = txn.update(&table, &chunk(&rows)).await.unwrap();
    txn.commit().await.unwrap();
    let refused: Vec<(usize, (&str, &str))> = (1..)
        .zip(&fates)
        .filter(|(_, fate)| **fate != RowFate::Updated)
        .map(|(id, fate)| (id, refusal(fate)))
        .collect();
    let expected = [
        (100, ("WB0411", "small")),
        (200, ("WB0410", "only_one")),
        (300, ("WB0412", "has_parent")),
        (400, ("WB0415", "u")),
        (500, ("WB0413", "")),
    ];
    assert_eq!(refused, expected);
    let query = whimbrel_endpoint::Query::table("t", &["id"]).is("v", 0i64);
    assert_eq!(target.select(&query).await.unwrap().len(), 5);
}

#[tokio::test]
async fn taken_keys_and_doubles_are_found_among_a_thousand_rows() {
    let Some(database) = database("taken") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 100)); \
         INSERT INTO t SELECT n, 0 FROM generate_series(0, 998, 2) AS n;",
    )
    .await;
    let table = described(&*target, "t").await;
    let mut rows: Vec<(i64, i64)> = (0..1_000).map(|id| (id, 1)).collect();
    // 1 again (taken), and 2001 first refused and then not.
    rows.extend([(1, 2), (2_001, 100), (2_001, 3), (2_001, 4)]);
    let mut txn = target.begin(fence).await.unwrap();
    let fates = txn.write(&table, Arc::new(numbered(&rows)), WriteMode::Insert).await.unwrap();
    txn.commit().await.unwrap();
    for (id, fate) in fates[..1_000].iter().enumerate() {
        let expected = if id % 2 == 0 { RowFate::Taken } else { RowFate::Inserted };
        assert_eq!(*fate, expected, "{id}");
    }
    assert_eq!(fates[1_000], RowFate::Taken);
    assert_eq!(refusal(&fates[1_001]).0, "WB0411");
    assert_eq!(fates[1_002..], [RowFate::Inserted, RowFate::Taken]);
    let query = whimbrel_endpoint::Query::table("t", &["v"]).is("id", 2_001i64);
    assert_eq!(values(&target.select(&query).await.unwrap()), [[Value::Int(3)]]);
}

#[tokio::test]
async fn what_was_put_before_a_refused_row_stays() {
    let Some(database) = database("savepoint") else { return };
    let (target, fence) =
        ready(&database, "CREATE TABLE t (id int PRIMARY KEY, v int CHECK (v < 100));").await;
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    assert_eq!(refusal(&write(&mut txn, &table, &[&[Int(1), Int(100)]]).await[0]).0, "WB0411");
    txn.put(&table, &chunk(&[&[Int(2), Int(1)]])).await.unwrap();
    assert_eq!(refusal(&write(&mut txn, &table, &[&[Int(3), Int(100)]]).await[0]).0, "WB0411");
    txn.commit().await.unwrap();
    assert_eq!(all(&*target, "t", &["id"]).await, [[Value::Int(2)]]);
}

/// What waits for the commit by its declaration costs a row, as what does not.
#[tokio::test]
async fn deferred_keys_refuse_their_rows_with_the_servers_words() {
    let Some(database) = database("deferred") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p SELECT n FROM generate_series(0, 999) n; \
         CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, \
             v int CONSTRAINT parent REFERENCES p DEFERRABLE INITIALLY DEFERRED, \
             place int CONSTRAINT place UNIQUE DEFERRABLE INITIALLY DEFERRED, \
             room int, CONSTRAINT room EXCLUDE (room WITH =) DEFERRABLE INITIALLY DEFERRED);",
    )
    .await;
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    let row = |id: i64, v: i64, place: i64, room: i64| [id, v, place, room].map(|n| Int(n.into()));
    let rows: Vec<[ValueRef<'_>; 4]> = (0..1_000)
        .map(|id| match id {
            400 => row(id, 5_000, id, id),
            500 => row(id, id, 3, id),
            600 => row(id, id, id, 4),
            700 => row(5, id, id, id),
            _ => row(id, id, id, id),
        })
        .collect();
    let rows: Vec<&[ValueRef<'_>]> = rows.iter().map(<[_; 4]>::as_slice).collect();
    let fates = write(&mut txn, &table, &rows).await;
    let odd: Vec<usize> = (0..1_000).filter(|at| fates[*at] != RowFate::Inserted).collect();
    assert_eq!(odd, [400, 500, 600, 700]);
    assert_eq!(refusal(&fates[400]), ("WB0412", "parent"));
    let RowFate::Refused { message, .. } = &fates[400] else { panic!("{:?}", fates[400]) };
    assert!(message.contains("violates foreign key constraint"), "{message}");
    assert_eq!(refusal(&fates[500]), ("WB0410", "place"));
    assert_eq!(refusal(&fates[600]), ("WB0410", "room"));
    assert_eq!(fates[700], RowFate::Taken);
    txn.commit().await.unwrap();
    assert_eq!(all(&*target, "t", &["id"]).await.len(), 996);
}

/// What cannot be put down to rows is an error of the commit, and is told before by its name.
#[tokio::test]
async fn what_still_waits_for_the_commit_is_told_before() {
    let Some(database) = database("waits") else { return };
    let schema = "CREATE TABLE t (id int PRIMARY KEY, up int CONSTRAINT later REFERENCES t \
             DEFERRABLE INITIALLY DEFERRED, now int CONSTRAINT at_once REFERENCES t DEFERRABLE); \
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.id = 7 THEN RAISE EXCEPTION 'no seven'; END IF; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION f(); \
         CREATE CONSTRAINT TRIGGER early AFTER INSERT ON t DEFERRABLE \
             FOR EACH ROW EXECUTE FUNCTION f(); \
         ALTER TABLE t DISABLE TRIGGER early;";
    let (target, fence) = ready(&database, "").await;
    let names = vec!["t".to_owned()];
    let before = Needs { creates: names.clone(), schema: vec![file(schema)], ..Needs::default() };
    let after = Needs { tables: names, ..Needs::default() };
    for needs in [before, after] {
        let findings = target.inspect(&needs).await.unwrap();
        let told: Vec<&Finding> = findings.iter().filter(|found| found.code == "WB0478").collect();
        assert_eq!(told.len(), 2, "{findings:#?}");
        assert!(told.iter().all(|found| !found.blocks), "{told:#?}");
        assert!(told[0].message.contains("`t` refers to itself by `later`"), "{told:#?}");
        assert!(told[1].message.ends_with(": `late`"), "{told:#?}");
        // The second time it is there.
        if target.describe("t").await.unwrap().is_none() {
            let mut txn = target.begin(fence).await.unwrap();
            txn.apply_schema(&file(schema)).await.unwrap();
            txn.commit().await.unwrap();
        }
    }
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[Int(7), Null, Null]]).await;
    let error = txn.commit().await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Constraint, "WB0413"), "{error}");
    // With an orphan besides: whatever is found first, a row is not blamed for the trigger.
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[Int(1), Int(2), Null], &[Int(2), Int(9), Null]]).await;
    let (class, code, text) = super::place::told(&txn.commit().await.unwrap_err());
    assert_eq!((class, code), (ErrorClass::Transient, "WB0387"), "{text}");
    assert!(text.contains("`later`"), "{text}");
    let mut txn = target.begin(fence).await.unwrap();
    let fates = write(&mut txn, &table, &[&[Int(1), Int(2), Null], &[Int(2), Int(9), Null]]).await;
    assert_eq!(fates.iter().map(refusal).collect::<Vec<_>>(), [("WB0412", "later"); 2]);
    txn.commit().await.unwrap();
}

/// An overwritten row that loses its parent is one that would have been refused.
#[tokio::test]
async fn an_overwritten_row_without_a_parent_is_found_like_a_new_one() {
    let Some(database) = database("overwritten") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE t (id text PRIMARY KEY, up text CONSTRAINT later REFERENCES t \
             DEFERRABLE INITIALLY DEFERRED); INSERT INTO t VALUES ('a', NULL), ('b', 'a');",
    )
    .await;
    let table = described(&*target, "t").await;
    let rows = [[Text("a"), Null], [Text("b"), Text("z")]];
    let rows: Vec<&[ValueRef<'_>]> = rows.iter().map(<[_; 2]>::as_slice).collect();
    let mut txn = target.begin(fence).await.unwrap();
    assert_eq!(write(&mut txn, &table, &rows).await, [RowFate::Taken, RowFate::Taken]);
    txn.update(&table, &chunk(&rows)).await.unwrap();
    assert_eq!(txn.commit().await.unwrap_err().code, "WB0387");
    let mut txn = target.begin(fence).await.unwrap();
    let fates = write(&mut txn, &table, &rows).await;
    assert_eq!(fates[0], RowFate::Taken);
    assert_eq!(refusal(&fates[1]), ("WB0412", "later"));
    txn.commit().await.unwrap();
}

#[tokio::test]
async fn counters_go_on_behind_what_was_loaded_and_never_back() {
    let Some(database) = database("counters") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, n int);",
    )
    .await;
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    let fates = write(&mut txn, &table, &[&[Int(41), Int(7), Null]]).await;
    assert_eq!(fates, [RowFate::Inserted]);
    assert_eq!(txn.advance_counters(&table).await.unwrap(), ["id = 42", "s = 8"]);
    assert!(txn.advance_counters(&table).await.unwrap().is_empty());
    txn.commit().await.unwrap();
    database.run("INSERT INTO t (n) VALUES (1)").unwrap();
    assert_eq!(all(&*target, "t", &["id", "s"]).await.len(), 2);
    let query = whimbrel_endpoint::Query::table("t", &["id", "s"]).is("n", 1i64);
    let found = values(&target.select(&query).await.unwrap());
    assert_eq!(found, [[Value::Int(42), Value::Int(8)]]);
}

#[tokio::test]
async fn scripts_change_rows_and_queries_do_not() {
    let Some(database) = database("scripts") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE t (id int PRIMARY KEY, v int4range); INSERT INTO t SELECT n FROM generate_series(1, 5) n;",
    )
    .await;
    let script = |sql: &str| Script { name: "relate \"x\"".to_owned(), sql: sql.to_owned() };
    let mut txn = target.begin(fence).await.unwrap();
    let changed = txn
        .execute(&script("SELECT 1; UPDATE t SET v = '[1,3)' WHERE id < 3;\nDELETE FROM t WHERE id = 5; CREATE TABLE u AS SELECT 1 AS a"))
        .await
        .unwrap();
    assert_eq!(changed, 4);
    let (names, rows) =
        txn.query(&script("SELECT id, v AS \"the range\" FROM t ORDER BY id;"), 2).await.unwrap();
    assert_eq!(names, ["id", "the range"]);
    let range = Value::Text("[1,3)".to_owned());
    assert_eq!(values(&rows), [[Value::Int(1), range.clone()], [Value::Int(2), range]]);
    for sql in ["DELETE FROM t", "SELECT 1; SELECT 2", "SELECT nothing", "SELECT nextval('x')"] {
        let error = txn.query(&script(sql), 5).await.unwrap_err();
        assert_eq!(told(&error).0, ErrorClass::Configuration, "{sql}: {:?}", told(&error));
    }
    assert_eq!(txn.count("t").await.unwrap(), Some(4));
    assert_eq!(txn.count("nothing").await.unwrap(), None);
    let error = txn.execute(&script("SELECT 1;\nCOMMIT;")).await.unwrap_err();
    assert_eq!(told(&error).1, "WB0421");
    assert!(told(&error).2.contains("relate \"x\":2"), "{:?}", told(&error));
    txn.commit().await.unwrap();
    let mut txn = target.begin(fence).await.unwrap();
    let error = txn.execute(&script("SELECT 1;\nSELECT\n  nothing;")).await.unwrap_err();
    assert_eq!(told(&error).1, "WB0423");
    assert!(told(&error).2.contains("relate \"x\":3"), "{:?}", told(&error));
    txn.rollback().await.unwrap();
}

/// The bookkeeping of a step, and the check of the fence, are the run's own user's.
#[tokio::test]
async fn a_script_cannot_leave_the_session_to_another_role() {
    let Some(database) = database("roles") else { return };
    let (target, fence) = ready(
        &database,
        "CREATE TABLE t (id int); \
         CREATE FUNCTION become(r text) RETURNS void LANGUAGE plpgsql AS \
             $$ BEGIN EXECUTE format('SET ROLE %I', r); END $$;",
    )
    .await;
    let script = |sql: &str| Script { name: "relate \"x\"".to_owned(), sql: sql.to_owned() };
    let read = [
        "SET ROLE pg_monitor",
        "SET LOCAL ROLE pg_monitor",
        "SET SESSION ROLE pg_monitor",
        "SET LOCAL SESSION AUTHORIZATION pg_monitor",
    ];
    let found = [
        "SET \"role\" = 'pg_monitor'",
        "SELECT set_config('role', 'pg_monitor', false)",
        "SELECT set_config('role', 'pg_monitor', true)",
        "SELECT become('pg_monitor')",
        "DO $$ BEGIN SET LOCAL ROLE pg_monitor; END $$",
    ];
    for sql in read.into_iter().chain(found) {
        let mut txn = target.begin(fence).await.unwrap();
        let script_sql = format!("INSERT INTO t VALUES (1);\n{sql};");
        let (class, code, text) = told(&txn.execute(&script(&script_sql)).await.unwrap_err());
        assert_eq!((class, code), (ErrorClass::Configuration, "WB0421"), "{sql}: {text}");
        assert!(text.contains("role") || text.contains("ROLE"), "{sql}: {text}");
        // What was read beforehand has done nothing; what has been done goes.
        assert_eq!(txn.commit().await.is_ok(), read.contains(&sql), "{sql}");
        let error = target.describe_schema(&[file(&script_sql)]).await.unwrap_err();
        assert_eq!(told(&error).1, "WB0421", "{sql}");
    }
    let mut txn = target.begin(fence).await.unwrap();
    let sql = "DO $$ BEGIN SET LOCAL ROLE pg_monitor; RESET ROLE; END $$; INSERT INTO t VALUES (2)";
    txn.execute(&script(sql)).await.unwrap();
    let own = "SELECT session_user = current_user AS own";
    assert_eq!(values(&txn.query(&script(own), 1).await.unwrap().1), [[Value::Bool(true)]]);
    txn.commit().await.unwrap();
    assert_eq!(all(&*target, "t", &["id"]).await, [[Value::Int(2)]]);
}

#[tokio::test]
async fn schema_files_are_tried_without_a_trace() {
    let Some(database) = database("scratch") else { return };
    let target = super::place::target(&database).await;
    database.run("CREATE TABLE a (other text)").unwrap();
    let files = [file(
        "SET search_path = pg_temp_none, public; SET search_path TO DEFAULT;\n\
         CREATE SCHEMA s; CREATE TABLE s.b (id int PRIMARY KEY); CREATE TYPE e AS ENUM ('x');",
    )];
    let tables = target.describe_schema(&files).await.unwrap();
    assert_eq!(tables.iter().map(|t| t.name.as_str()).collect::<Vec<_>>(), ["s.b"]);
    let plain = [file("CREATE TABLE a (id int PRIMARY KEY, e text NOT NULL);")];
    let tables = target.describe_schema(&plain).await.unwrap();
    assert_eq!(tables[0].name, "a");
    assert_eq!(tables[0].columns.len(), 2);
    let left = database
        .rows("SELECT nspname FROM pg_namespace WHERE nspname LIKE '%whimbrel%' OR nspname = 's'")
        .unwrap();
    assert!(left.is_empty(), "{left:?}");
    let error = target
        .describe_schema(&[file("CREATE TABLE x (\n  a int,\n  b nonsense)")])
        .await
        .unwrap_err();
    assert!(told(&error).2.contains("schema/001.sql:3"), "{:?}", told(&error));
}
