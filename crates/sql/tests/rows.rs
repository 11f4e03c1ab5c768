//! What becomes of rows and values in tables that others made.

#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

mod place;

use place::{Place, all, chunk, described, told, values, write};
use whimbrel_endpoint::{ErrorClass, Needs, Operator, Order, Query, RowFate, Script, Txn};
use whimbrel_model::{Date, DateTime, Kind, Time, Value, ValueRef as V};

/// Code and subject of a refused row.
fn refusal(fate: &RowFate) -> (&'static str, Option<&str>, &str) {
    match fate {
        RowFate::Refused { code, subject, message } => (*code, subject.as_deref(), message),
        RowFate::Inserted | RowFate::Taken | RowFate::Updated => panic!("not refused: {fate:?}"),
    }
}

async fn begun(place: &Place, schema: &str) -> (Box<dyn whimbrel_endpoint::Target>, Box<dyn Txn>) {
    let (target, fence) = place.ready(schema).await;
    let txn = target.begin(fence).await.unwrap();
    (target, txn)
}

#[tokio::test]
async fn a_constraint_refuses_its_row_only() {
    let place = Place::new();
    let (target, mut txn) = begun(
        &place,
        "CREATE TABLE parents (id TEXT PRIMARY KEY);
         INSERT INTO parents VALUES ('p');
         CREATE TABLE t (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            email TEXT UNIQUE,
            size INTEGER CONSTRAINT positive CHECK (size > 0),
            parent TEXT REFERENCES parents
         );",
    )
    .await;
    let table = described(&*target, "t").await;
    let fates = write(
        &mut txn,
        &table,
        &[
            &[V::Int(1), V::Text("a"), V::Text("a@x"), V::Int(1), V::Text("p")],
            &[V::Int(2), V::Null, V::Null, V::Null, V::Null],
            &[V::Int(3), V::Text("c"), V::Text("a@x"), V::Null, V::Null],
            &[V::Int(4), V::Text("d"), V::Null, V::Int(-1), V::Null],
            &[V::Int(5), V::Text("e"), V::Null, V::Null, V::Text("nobody")],
            &[V::Text("six"), V::Text("f"), V::Null, V::Null, V::Null],
            &[V::Int(7), V::Text("g"), V::Text("g@x"), V::Int(7), V::Null],
        ],
    )
    .await;
    assert_eq!(fates[0], RowFate::Inserted);
    assert_eq!(refusal(&fates[1]), ("WB0398", Some("name"), "NOT NULL constraint failed: t.name"));
    assert_eq!(refusal(&fates[2]), ("WB0410", Some("email"), "UNIQUE constraint failed: t.email"));
    assert_eq!(
        refusal(&fates[3]),
        ("WB0411", Some("positive"), "CHECK constraint failed: positive")
    );
    assert_eq!(
        refusal(&fates[4]),
        ("WB0412", Some("parent → parents"), "FOREIGN KEY constraint failed")
    );
    assert_eq!(refusal(&fates[5]), ("WB0414", None, "datatype mismatch"));
    assert_eq!(fates[6], RowFate::Inserted);
    txn.commit().await.unwrap();
    assert_eq!(all(&*target, "t", &["id"]).await, [[Value::Int(1)], [Value::Int(7)]]);
}

#[tokio::test]
async fn a_strict_table_refuses_other_types() {
    let place = Place::new();
    let (target, mut txn) =
        begun(&place, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, a ANY) STRICT").await;
    let table = described(&*target, "t").await;
    let fates = write(
        &mut txn,
        &table,
        &[&[V::Int(1), V::Text("abc"), V::Null], &[V::Int(2), V::Int(5), V::Text("007")]],
    )
    .await;
    assert_eq!(
        refusal(&fates[0]),
        ("WB0414", Some("n"), "cannot store TEXT value in INTEGER column t.n")
    );
    assert_eq!(fates[1], RowFate::Inserted);
    let found = txn.select(&Query::table("t", &["n", "a"])).await.unwrap();
    assert_eq!(values(&found), [[Value::Int(5), Value::from("007")]]);
}

#[tokio::test]
async fn a_taken_key_counts_before_other_unique_columns() {
    let place = Place::new();
    let (target, mut txn) = begun(
        &place,
        "CREATE TABLE t (a TEXT UNIQUE, k TEXT PRIMARY KEY, b TEXT UNIQUE);
         CREATE TABLE i (a TEXT UNIQUE, k INTEGER PRIMARY KEY, b TEXT UNIQUE);
         CREATE TABLE w (a TEXT UNIQUE, k TEXT PRIMARY KEY, b TEXT UNIQUE) WITHOUT ROWID;",
    )
    .await;
    for name in ["t", "i", "w"] {
        let table = described(&*target, name).await;
        let row: &[V<'_>] = &[V::Text("a"), V::Int(1), V::Text("b")];
        let text: &[V<'_>] = &[V::Text("a"), V::Text("1"), V::Text("b")];
        let row = if name == "i" { row } else { text };
        let fates = write(&mut txn, &table, &[row, row]).await;
        assert_eq!(fates, [RowFate::Inserted, RowFate::Taken], "{name}");
    }
}

#[tokio::test]
async fn conflict_clauses_of_the_table_delete_nothing() {
    let place = Place::new();
    let (target, mut txn) = begun(
        &place,
        "CREATE TABLE t (
            id INTEGER PRIMARY KEY ON CONFLICT REPLACE,
            email TEXT UNIQUE ON CONFLICT REPLACE,
            name TEXT NOT NULL ON CONFLICT IGNORE)",
    )
    .await;
    let table = described(&*target, "t").await;
    let fates = write(
        &mut txn,
        &table,
        &[
            &[V::Int(1), V::Text("x"), V::Text("first")],
            &[V::Int(1), V::Text("y"), V::Text("second")],
            &[V::Int(2), V::Text("x"), V::Text("third")],
            &[V::Int(3), V::Text("z"), V::Null],
        ],
    )
    .await;
    assert_eq!(fates[..2], [RowFate::Inserted, RowFate::Taken]);
    assert_eq!(refusal(&fates[2]).0, "WB0410");
    assert_eq!(refusal(&fates[3]).0, "WB0398");
    txn.commit().await.unwrap();
    assert_eq!(all(&*target, "t", &["name"]).await, [[Value::from("first")]]);
}

const TRIGGERS: &str = "
    CREATE TABLE log (what TEXT);
    CREATE TABLE t (id INTEGER PRIMARY KEY, what TEXT);
    CREATE TRIGGER guard AFTER INSERT ON t BEGIN
        INSERT INTO log VALUES (new.what);
        SELECT CASE new.what
            WHEN 'abort' THEN RAISE(ABORT, 'not this one')
            WHEN 'fail' THEN RAISE(FAIL, 'half done')
            WHEN 'rollback' THEN RAISE(ROLLBACK, 'all of it')
        END;
    END;
    CREATE TRIGGER skip BEFORE INSERT ON t WHEN new.what = 'ignore' BEGIN
        SELECT RAISE(IGNORE);
    END;";

#[tokio::test]
async fn a_trigger_refuses_its_row_and_leaves_nothing_of_it() {
    let place = Place::new();
    let (target, mut txn) = begun(&place, TRIGGERS).await;
    let table = described(&*target, "t").await;
    let fates = write(
        &mut txn,
        &table,
        &[
            &[V::Int(1), V::Text("fine")],
            &[V::Int(2), V::Text("abort")],
            &[V::Int(3), V::Text("fail")],
            &[V::Int(4), V::Text("ignore")],
            &[V::Int(1), V::Text("again")],
            &[V::Int(5), V::Text("last")],
        ],
    )
    .await;
    assert_eq!(fates[0], RowFate::Inserted);
    assert_eq!(refusal(&fates[1]), ("WB0413", None, "not this one"));
    assert_eq!(refusal(&fates[2]), ("WB0413", None, "half done"));
    assert_eq!(refusal(&fates[3]), ("WB0413", None, "a trigger skipped the row"));
    assert_eq!(fates[4..], [RowFate::Taken, RowFate::Inserted]);
    txn.commit().await.unwrap();
    assert_eq!(all(&*target, "t", &["id"]).await, [[Value::Int(1)], [Value::Int(5)]]);
    assert_eq!(
        all(&*target, "log", &["what"]).await,
        [["fine"], ["last"]].map(|[w]| [Value::from(w)])
    );
}

#[tokio::test]
async fn a_trigger_that_rolls_back_ends_the_transaction() {
    let place = Place::new();
    let (target, mut txn) = begun(&place, TRIGGERS).await;
    let table = described(&*target, "t").await;
    let rows = chunk(&[&[V::Int(1), V::Text("fine")], &[V::Int(2), V::Text("rollback")]]);
    let error =
        txn.write(&table, rows.into(), whimbrel_endpoint::WriteMode::Insert).await.unwrap_err();
    let (class, code, text) = told(&error);
    assert_eq!((class, code), (ErrorClass::Constraint, "WB0440"), "{text}");
    assert!(text.contains("all of it"), "{text}");
    let error = txn.commit().await.unwrap_err();
    assert_eq!(told(&error).1, "WB0395");
    assert!(all(&*target, "t", &["id"]).await.is_empty());
}

const DEFERRED: &str = "CREATE TABLE p (id INTEGER PRIMARY KEY);
    CREATE TABLE t (id INTEGER PRIMARY KEY, v REFERENCES p, w INTEGER,
        up INTEGER REFERENCES T (ID) DEFERRABLE INITIALLY DEFERRED,
        FOREIGN KEY (w) REFERENCES P DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE log (id INTEGER);
    INSERT INTO p VALUES (1);";

fn four(rows: &[[i64; 4]]) -> Vec<[V<'static>; 4]> {
    let value = |n: i64| if n == 0 { V::Null } else { V::Int(n.into()) };
    rows.iter().map(|row| row.map(value)).collect()
}

#[tokio::test]
async fn a_deferred_parent_is_looked_for_with_its_row() {
    let trigger =
        "CREATE TRIGGER note AFTER INSERT ON t BEGIN INSERT INTO log VALUES (NEW.id); END;";
    for schema in [DEFERRED.to_owned(), format!("{DEFERRED}{trigger}")] {
        let place = Place::new();
        let (target, mut txn) = begun(&place, &schema).await;
        let table = described(&*target, "t").await;
        let rows = four(&[[1, 1, 1, 0], [2, 1, 9, 0], [3, 9, 1, 0], [4, 0, 0, 0], [1, 1, 9, 0]]);
        let rows: Vec<&[V<'_>]> = rows.iter().map(<[_; 4]>::as_slice).collect();
        let fates = write(&mut txn, &table, &rows).await;
        assert_eq!(fates[0], RowFate::Inserted);
        let words = "FOREIGN KEY constraint failed";
        assert_eq!(refusal(&fates[1]), ("WB0412", Some("w → P"), words));
        assert_eq!(refusal(&fates[2]), ("WB0412", Some("v → p"), words));
        assert_eq!(fates[3..], [RowFate::Inserted, RowFate::Taken]);
        txn.commit().await.unwrap();
        assert_eq!(all(&*target, "t", &["id"]).await, [[Value::Int(1)], [Value::Int(4)]]);
        let noted = all(&*target, "log", &["id"]).await.len();
        assert_eq!(noted, if schema.len() > DEFERRED.len() { 2 } else { 0 });
    }
}

#[tokio::test]
async fn a_deferred_reference_to_the_table_itself_costs_its_rows_and_is_told_before() {
    let place = Place::new();
    let (target, mut txn) = begun(&place, DEFERRED).await;
    let needs = Needs { tables: vec!["t".to_owned(), "p".to_owned()], ..Needs::default() };
    let findings = target.inspect(&needs).await.unwrap();
    let [finding] = &findings[..] else { panic!("{findings:?}") };
    assert_eq!((finding.code, finding.blocks), ("WB0478", false));
    assert!(finding.message.contains("by `up → T`"), "{}", finding.message);
    let new = DEFERRED.replace(" t (", " crew (").replace(" T (", " Crew (");
    let schema = vec![place::file(&new)];
    let needs = Needs { creates: vec!["crew".to_owned()], schema, ..Needs::default() };
    let findings = target.inspect(&needs).await.unwrap();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].message.contains("`crew` refers to itself by `up → Crew`"), "{findings:?}");
    let table = described(&*target, "t").await;
    let rows = four(&[[1, 0, 0, 2], [2, 0, 0, 3], [4, 0, 0, 5], [5, 0, 0, 0]]);
    let rows: Vec<&[V<'_>]> = rows.iter().map(<[_; 4]>::as_slice).collect();
    assert_eq!(write(&mut txn, &table, &rows).await, vec![RowFate::Inserted; 4]);
    let error = txn.commit().await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Transient, "WB0387"), "{error}");
    assert!(all(&*target, "t", &["id"]).await.is_empty());
    let fence = place::lease(&*target).await;
    let mut txn = target.begin(fence).await.unwrap();
    let fates = write(&mut txn, &table, &rows).await;
    for fate in &fates[..2] {
        let words = "FOREIGN KEY constraint failed";
        assert_eq!(refusal(fate), ("WB0412", Some("up → T"), words));
    }
    txn.commit().await.unwrap();
    assert_eq!(all(&*target, "t", &["id"]).await, [[Value::Int(4)], [Value::Int(5)]]);
}

/// What a script breaks is no row's fault.
#[tokio::test]
async fn a_reference_that_a_script_breaks_is_an_error_of_the_commit() {
    let place = Place::new();
    let (target, mut txn) = begun(&place, DEFERRED).await;
    let script = |sql: &str| Script { name: "relate \"x\"".to_owned(), sql: sql.to_owned() };
    let error = txn.execute(&script("PRAGMA defer_foreign_keys = ON")).await.unwrap_err();
    assert_eq!(told(&error).1, "WB0421");
    txn.execute(&script("INSERT INTO t (id, up) VALUES (1, 9)")).await.unwrap();
    let error = txn.commit().await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Constraint, "WB0412"));
    let fence = place::lease(&*target).await;
    target.begin(fence).await.unwrap().commit().await.unwrap();
}

/// What a column of this type makes of a value: how it comes back, or the code of its refusal.
async fn stored(declared: &str, value: V<'_>) -> Result<Value, &'static str> {
    let place = Place::new();
    let schema = format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v {declared})");
    let (target, mut txn) = begun(&place, &schema).await;
    let table = described(&*target, "t").await;
    match &write(&mut txn, &table, &[&[V::Int(1), value]]).await[..] {
        [RowFate::Inserted] => {
            let keys = chunk(&[&[V::Int(1)]]);
            let read = txn.read_for_update(&table, &keys).await.unwrap();
            let read = read[0].clone().unwrap().remove(1);
            let selected = values(&txn.select(&Query::table("t", &["v"])).await.unwrap());
            assert_eq!(selected[0][0], read, "both ways of reading agree");
            Ok(read)
        }
        fates => Err(refusal(&fates[0]).0),
    }
}

async fn check(declared: &str, value: V<'_>, expected: Result<Value, &'static str>) {
    assert_eq!(stored(declared, value).await, expected, "{value:?} in {declared:?}");
}

async fn kept(declared: &str, value: V<'_>) {
    check(declared, value, Ok(value.to_owned())).await;
}

async fn changed(declared: &str, value: V<'_>) {
    check(declared, value, Err("WB0416")).await;
}

async fn unholdable(declared: &str, value: V<'_>) {
    check(declared, value, Err("WB0415")).await;
}

#[tokio::test]
async fn numbers_keep_their_value_or_are_refused() {
    let decimal = |text: &str| Ok(Value::Decimal(text.to_owned()));
    check("NUMERIC(10,2)", V::Decimal("12.50"), decimal("12.5")).await;
    check("NUMERIC(10,2)", V::Decimal("12.00"), decimal("12")).await;
    check("DECIMAL(20,0)", V::Decimal("9223372036854775807"), decimal("9223372036854775807")).await;
    check("DECIMAL", V::Decimal("-0.1"), decimal("-0.1")).await;
    check("DECIMAL", V::Decimal("1e300"), decimal("1e300")).await;
    kept("NUMERIC", V::Decimal("NaN")).await;
    changed("NUMERIC(10,2)", V::Decimal("0.10000000000000000001")).await;
    changed("NUMERIC(30,0)", V::Decimal("9223372036854775809")).await;
    changed("NUMERIC", V::Decimal("1e400")).await;
    kept("DECIMAL_TEXT(10,2)", V::Decimal("12.50")).await;
    kept("INTEGER", V::Int(i64::MAX.into())).await;
    unholdable("INTEGER", V::Int(i128::from(i64::MAX) + 1)).await;
    kept("UNSIGNED_TEXT", V::Int(u64::MAX.into())).await;
    changed("TEXT", V::Int(5)).await;
    changed("REAL", V::Int(5)).await;
}

#[tokio::test]
async fn doubles_keep_their_bits_or_are_refused() {
    kept("REAL", V::Float(0.1)).await;
    kept("REAL", V::Float(5.0)).await;
    kept("REAL", V::Float(1e18)).await;
    kept("DOUBLE", V::Float(f64::INFINITY)).await;
    kept("", V::Float(5.0)).await;
    unholdable("REAL", V::Float(f64::NAN)).await;
    changed("INTEGER", V::Float(5.0)).await;
    kept("INTEGER", V::Float(5.5)).await;
    changed("TEXT", V::Float(0.5)).await;
    kept("", V::Float(-0.0)).await;
    unholdable("REAL", V::Float(-0.0)).await;
}

#[tokio::test]
async fn text_is_never_taken_for_a_number() {
    for text in ["007", "1e5", " 5 ", "1.10", "9007199254740993"] {
        kept("TEXT", V::Text(text)).await;
        kept("", V::Text(text)).await;
        kept("VARCHAR(100)", V::Text(text)).await;
        changed("INTEGER", V::Text(text)).await;
        changed("NUMERIC", V::Text(text)).await;
        changed("STRING", V::Text(text)).await;
    }
    kept("STRING", V::Text("abc")).await;
    kept("TEXT", V::Text("a\0b")).await;
    kept("INTEGER", V::Text("nan")).await;
}

#[tokio::test]
async fn json_keeps_its_text_or_is_refused() {
    kept("JSON_TEXT", V::Json("1.10")).await;
    kept("JSON", V::Json("{\"a\": 1.10}")).await;
    kept("JSON", V::Json("17")).await;
    changed("JSON", V::Json("1.10")).await;
    changed("JSON", V::Json(" 17")).await;
    changed("JSON", V::Json("1e2")).await;
}

#[tokio::test]
async fn times_and_uuids_are_text_in_their_one_spelling() {
    let at = DateTime { days: 19_723, nanos: 250_000_000 };
    kept("TIMESTAMP", V::Timestamp(at)).await;
    kept("TIMESTAMPTZ", V::TimestampTz(at)).await;
    kept("DATE", V::Date(Date { days: -1 })).await;
    kept("TIME", V::Time(Time { nanos: -1_500_000_000 })).await;
    kept("UUID", V::Uuid([7; 16])).await;
    kept("UUID_BLOB", V::Uuid([7; 16])).await;
    let text = |text: &str| Ok(Value::from(text));
    check("TEXT", V::TimestampTz(at), text("2024-01-01T00:00:00.250Z")).await;
    check("TEXT", V::Timestamp(at), text("2024-01-01T00:00:00.250")).await;
    check("TEXT", V::Uuid([7; 16]), text("07070707-0707-0707-0707-070707070707")).await;
    check("BLOB", V::Uuid([7; 16]), Ok(Value::Bytes(vec![7; 16]))).await;
    check("INTEGER", V::Bool(true), Ok(Value::Int(1))).await;
    kept("BOOLEAN", V::Bool(true)).await;
    changed("TEXT", V::Bool(true)).await;
}

#[tokio::test]
async fn what_others_stored_comes_back_as_what_it_is() {
    let place = Place::new();
    let (target, _) = place
        .ready(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, d DATE, at TIMESTAMPTZ, b BOOLEAN, n INTEGER, x DECIMAL, u TEXT);
             INSERT INTO t VALUES
                (1, '2024-01-01', '2024-01-01T00:00:00Z', 1, 5, '1.50', 'u'),
                (2, '1.1.2024', '2024-01-01 00:00:00', 'yes', 'five', 'much', CAST(x'ff' AS TEXT)),
                (3, 1704067200, 1704067200.5, 2, 5.5, x'00', NULL);",
        )
        .await;
    let found = all(&*target, "t", &["d", "at", "b", "n", "x", "u"]).await;
    let day = Date::from_ymd(2024, 1, 1).unwrap();
    assert_eq!(
        found,
        [
            vec![
                Value::Date(day),
                Value::TimestampTz(DateTime { days: day.days, nanos: 0 }),
                Value::Bool(true),
                Value::Int(5),
                Value::Decimal("1.5".to_owned()),
                Value::from("u"),
            ],
            vec![
                Value::from("1.1.2024"),
                Value::from("2024-01-01 00:00:00"),
                Value::from("yes"),
                Value::from("five"),
                Value::from("much"),
                Value::Bytes(vec![255]),
            ],
            vec![
                Value::Int(1_704_067_200),
                Value::Float(1_704_067_200.5),
                Value::Int(2),
                Value::Float(5.5),
                Value::Bytes(vec![0]),
                Value::Null,
            ],
        ]
    );
}

#[tokio::test]
async fn a_key_of_another_case_is_taken_where_the_column_says_so() {
    let place = Place::new();
    let (target, mut txn) =
        begun(&place, "CREATE TABLE t (k TEXT COLLATE NOCASE PRIMARY KEY, v TEXT)").await;
    let table = described(&*target, "t").await;
    let fates =
        write(&mut txn, &table, &[&[V::Text("a"), V::Text("1")], &[V::Text("A"), V::Text("2")]])
            .await;
    assert_eq!(fates, [RowFate::Inserted, RowFate::Taken]);
    let found = txn.read_for_update(&table, &chunk(&[&[V::Text("A")]])).await.unwrap();
    assert_eq!(found, [Some(vec![Value::from("a"), Value::from("1")])]);
    // Conditions and order compare bytes all the same.
    let query = Query::table("t", &["v"]).that("k", Operator::In, vec![Value::from("A")]);
    assert!(txn.select(&query.by("k", Order::Rising)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_key_that_nothing_makes_unique_is_found_before() {
    let check = async |schema: &str, key: &[&str], unique: bool| {
        let place = Place::new();
        let (target, txn) = begun(&place, schema).await;
        txn.rollback().await.unwrap();
        let name = || "t".to_owned();
        let keys = [(name(), key.iter().map(|name| (*name).to_owned()).collect())].into();
        let stands = Needs { tables: vec![name()], keys, ..Needs::default() };
        let files = vec![place::file(&schema.replace(" t (", " T ("))];
        let comes =
            Needs { tables: vec![], creates: vec![name()], schema: files, ..stands.clone() };
        for needs in [stands, comes] {
            let findings = target.inspect(&needs).await.unwrap();
            let codes: Vec<_> = findings.iter().map(|it| (it.code, it.blocks)).collect();
            let expected: &[_] = if unique { &[] } else { &[("WB0418", true)] };
            assert_eq!(codes, expected, "{schema:?} {key:?} {findings:?}");
        }
    };
    let table = "CREATE TABLE t (id INTEGER PRIMARY KEY, \"a b\" TEXT, v TEXT NOT NULL); ";
    check(table, &["id"], true).await;
    check(table, &["a b"], false).await;
    check(table, &["id", "a b"], false).await;
    check(&format!("{table} CREATE UNIQUE INDEX u ON t (\"a b\", v)"), &["v", "a b"], true).await;
    check(&format!("{table} CREATE UNIQUE INDEX u ON t (v) WHERE v <> ''"), &["v"], false).await;
    let generated = "CREATE TABLE t (id INTEGER, g INTEGER AS (id + 1) STORED UNIQUE)";
    check(generated, &["id"], false).await;
    check("CREATE TABLE t (id INTEGER UNIQUE, v TEXT) STRICT", &["id"], true).await;
}

#[tokio::test]
async fn a_unique_index_can_be_the_key() {
    let place = Place::new();
    let (target, mut txn) = begun(
        &place,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, run TEXT NOT NULL, line INTEGER NOT NULL, v TEXT);
         CREATE UNIQUE INDEX t_key ON t (line, run);
         CREATE UNIQUE INDEX t_partial ON t (v) WHERE v <> '';",
    )
    .await;
    let mut table = described(&*target, "t").await;
    table.columns.remove(0);
    table.key = vec![0, 1];
    let row: &[V<'_>] = &[V::Text("r"), V::Int(1), V::Text("v")];
    assert_eq!(write(&mut txn, &table, &[row, row]).await, [RowFate::Inserted, RowFate::Taken]);
    table.key = vec![2];
    let error = txn
        .write(&table, chunk(&[row]).into(), whimbrel_endpoint::WriteMode::Insert)
        .await
        .unwrap_err();
    let (class, code, text) = told(&error);
    assert_eq!((class, code), (ErrorClass::Configuration, "WB0418"), "{text}");
    assert!(text.contains("key of `t`") && text.contains("`v`"), "{text}");
}

#[tokio::test]
async fn many_lookups_use_the_index() {
    let place = Place::new();
    let (target, _) = place.ready("SELECT 1").await;
    drop(target);
    let stranger = place.stranger();
    rusqlite::vtab::array::load_module(&stranger).unwrap();
    let query = Query::table("whimbrel_legacy_mappings", &["new_id"])
        .is("legacy_type", "users")
        .that("legacy_id", Operator::In, vec![Value::from("1")]);
    let statement = whimbrel_sql::dialect::Dialect::Sqlite.select(&query, &|_| false);
    let mut plan = stranger.prepare(&format!("EXPLAIN QUERY PLAN {}", statement.sql)).unwrap();
    let lines: Vec<String> =
        plan.query_map(["users", "1"], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
    assert!(
        lines.iter().any(|line| line.contains("PRIMARY KEY (legacy_type=? AND legacy_id=?)")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_column_without_a_type_keeps_each_value() {
    let place = Place::new();
    let (target, mut txn) = begun(&place, "CREATE TABLE t (id INTEGER PRIMARY KEY, v)").await;
    let table = described(&*target, "t").await;
    assert_eq!(table.columns[1].kind, Kind::Any);
    let rows: Vec<Vec<V<'_>>> = [V::Int(5), V::Text("5"), V::Float(5.0), V::Bytes(b"5"), V::Null]
        .into_iter()
        .enumerate()
        .map(|(id, value)| vec![V::Int(id as i128), value])
        .collect();
    let rows: Vec<&[V<'_>]> = rows.iter().map(Vec::as_slice).collect();
    write(&mut txn, &table, &rows).await;
    txn.commit().await.unwrap();
    assert_eq!(
        all(&*target, "t", &["v"]).await,
        [
            [Value::Int(5)],
            [Value::from("5")],
            [Value::Float(5.0)],
            [Value::Bytes(b"5".to_vec())],
            [Value::Null],
        ]
    );
}
