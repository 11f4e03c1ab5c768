//! What becomes of rows in tables that others made.

use std::fmt::Write as _;
use std::sync::Arc;

use whimbrel_endpoint::{Operator, Order, Query, RowFate, WriteMode};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::{ChunkBuilder, Column, Date, DateTime, Kind, Table, Time, Value, ValueRef};

use whimbrel_testkit::servers::{Database, Engine, Options as Settings, private_or_skip};

use crate::place::{Place, chunk, described, lease, opened, told, write};

const INT: fn(i128) -> ValueRef<'static> = ValueRef::Int;

#[tokio::test]
async fn constraints_refuse_single_rows() {
    let Some(place) = Place::new("constraints") else { return };
    let (target, fence) = place
        .ready(
            "CREATE TABLE p (id int PRIMARY KEY) ENGINE=InnoDB; INSERT INTO p VALUES (1);
             CREATE TABLE t (
                 id int PRIMARY KEY, code varchar(10) NOT NULL, age int, parent int,
                 UNIQUE KEY by_code (code), CONSTRAINT grown CHECK (age >= 18),
                 FOREIGN KEY (parent) REFERENCES p (id)
             ) ENGINE=InnoDB;
             DELIMITER //
CREATE TRIGGER picky BEFORE INSERT ON t FOR EACH ROW
                 IF NEW.code = 'bad' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not this';
                 END IF//
DELIMITER ;",
        )
        .await;
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    let text = ValueRef::Text;
    let null = ValueRef::Null;
    let fates = write(
        &mut txn,
        &table,
        &[
            &[INT(1), text("a"), INT(20), INT(1)],
            &[INT(2), text("a"), null, null],
            &[INT(3), text("c"), INT(3), null],
            &[INT(4), text("d"), null, INT(9)],
            &[INT(5), text("bad"), null, null],
            &[INT(6), text("too long by one"), null, null],
            &[INT(7), null, null, null],
            &[INT(1), text("h"), null, null],
            &[INT(9), text("i"), null, null],
        ],
    )
    .await;
    let told: Vec<String> = fates.iter().map(told).collect();
    assert_eq!(
        told,
        [
            "inserted",
            "WB0410 by_code",
            "WB0411 grown",
            "WB0412 parent → p",
            "WB0413 -",
            "WB0470 code",
            "WB0398 code",
            "taken",
            "inserted",
        ]
    );
    txn.commit().await.unwrap();
    assert_eq!(place.rows("SELECT id, code FROM t ORDER BY id"), ["1,a", "9,i"]);
}

#[tokio::test]
async fn bad_rows_among_many_cost_little() {
    // A server of its own: it counts the statements of all sessions.
    let Some(server) = private_or_skip(Engine::Mysql, &Settings::default()) else { return };
    let database = server.database("bisection").unwrap();
    let target = opened(&database.url()).await;
    target.prepare_ledger().await.unwrap();
    let fence = lease(&*target, "run").await;
    database
        .run("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n % 100 <> 7)) ENGINE=InnoDB")
        .unwrap();
    let table = described(&*target, "t").await;
    let mut rows = ChunkBuilder::new(2);
    for id in 0..2_000 {
        rows.push(INT(id));
        rows.push(INT(id));
        rows.end_row();
    }
    let before = statements(&database);
    let mut txn = target.begin(fence).await.unwrap();
    let fates = txn.write(&table, Arc::new(rows.finish()), WriteMode::Insert).await.unwrap();
    txn.commit().await.unwrap();
    let sent = statements(&database) - before;
    for (id, fate) in fates.iter().enumerate() {
        assert_eq!(*fate == RowFate::Inserted, id % 100 != 7, "{id}: {fate:?}");
    }
    // 20 bad rows, each with nine halvings of 500 at most, two pieces a halving.
    assert!(sent < 20 * 2 * 9 + 40, "{sent} statements");
    let count = database.rows("SELECT COUNT(*) FROM t").unwrap();
    assert_eq!(count, [[Some(b"1980".to_vec())]]);
}

#[tokio::test]
async fn wide_rows_go_in_by_their_bytes_and_what_no_packet_carries_is_refused_alone() {
    // A server of its own, whose packets hold a mebibyte: statements take half of it.
    let settings = Settings::default().set("max-allowed-packet", "1M");
    let Some(server) = private_or_skip(Engine::Mysql, &settings) else { return };
    let database = server.database("packets").unwrap();
    let target = opened(&database.url()).await;
    target.prepare_ledger().await.unwrap();
    let fence = lease(&*target, "run").await;
    database.run("CREATE TABLE t (id int PRIMARY KEY, x longtext) ENGINE=InnoDB").unwrap();
    let table = described(&*target, "t").await;
    let (wide, over) = ("w".repeat(100_000), "o".repeat(1_048_576));
    let mut rows = ChunkBuilder::new(2);
    for id in 0..12 {
        let text = if [0, 5, 11].contains(&id) { &over } else { &wide };
        rows.push(if id == 7 { ValueRef::Null } else { INT(id) });
        rows.push(ValueRef::Text(text));
        rows.end_row();
    }
    let mut txn = target.begin(fence).await.unwrap();
    // The first write also looks at the table.
    assert_eq!(write(&mut txn, &table, &[&[INT(99), ValueRef::Null]]).await, [RowFate::Inserted]);
    let before = statements(&database);
    let fates = txn.write(&table, Arc::new(rows.finish()), WriteMode::Insert).await.unwrap();
    let sent = statements(&database) - before;
    txn.commit().await.unwrap();
    let told: Vec<String> = fates.iter().map(told).collect();
    let packet = "WB0472 -";
    let (fine, null) = ("inserted", "WB0397 id");
    assert_eq!(
        told,
        [packet, fine, fine, fine, fine, packet, fine, null, fine, fine, fine, packet]
    );
    // Five rows are the most that half a mebibyte holds, then three are left.
    assert_eq!(sent, 2);
    let stored =
        database.rows("SELECT GROUP_CONCAT(id ORDER BY id), SUM(LENGTH(x)) FROM t").unwrap();
    let cells = [b"1,2,3,4,6,8,9,10,99".to_vec(), b"800000".to_vec()];
    assert_eq!(stored, [cells.map(Some)]);
}

fn statements(database: &Database<'_>) -> i64 {
    let rows = database.rows("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'").unwrap();
    String::from_utf8(rows[0][1].clone().unwrap()).unwrap().parse().unwrap()
}

#[tokio::test]
async fn keys_that_are_taken_or_repeated_are_told_apart() {
    let Some(place) = Place::new("taken") else { return };
    let (target, fence) = place
        .ready("CREATE TABLE t (a int, b varchar(20) COLLATE utf8mb4_bin, PRIMARY KEY (a, b)) ENGINE=InnoDB")
        .await;
    let table = described(&*target, "t").await;
    let rows = |from: i128, to: i128| {
        let mut rows = ChunkBuilder::new(2);
        for id in from..to {
            rows.push(INT(id % 700));
            rows.push(ValueRef::Text("x"));
            rows.end_row();
        }
        Arc::new(rows.finish())
    };
    let mut txn = target.begin(fence).await.unwrap();
    let fates = txn.write(&table, rows(0, 300), WriteMode::Insert).await.unwrap();
    assert!(fates.iter().all(|fate| *fate == RowFate::Inserted));
    // 0 to 299 are there, 300 to 699 are new, and all come again behind them.
    let fates = txn.write(&table, rows(0, 1_400), WriteMode::Insert).await.unwrap();
    for (id, fate) in fates.iter().enumerate() {
        let expected = if (300..700).contains(&id) { RowFate::Inserted } else { RowFate::Taken };
        assert_eq!(*fate, expected, "{id}");
    }
    txn.commit().await.unwrap();
    assert_eq!(place.rows("SELECT COUNT(*) FROM t"), ["700"]);
}

#[tokio::test]
async fn a_key_that_only_the_collation_holds_equal_is_refused() {
    let Some(place) = Place::new("collation") else { return };
    let (target, fence) = place
        .ready(
            "CREATE TABLE t (k varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, n int)
             ENGINE=InnoDB",
        )
        .await;
    let table = described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    let text = ValueRef::Text;
    let rows: [&[ValueRef<'_>]; 4] =
        [&[text("a"), INT(1)], &[text("A"), INT(2)], &[text("a "), INT(3)], &[text("a"), INT(4)]];
    let fates = write(&mut txn, &table, &rows).await;
    let fates: Vec<String> = fates.iter().map(told).collect();
    assert_eq!(fates, ["inserted", "WB0410 PRIMARY", "WB0410 PRIMARY", "taken"]);
    let keys = chunk(&[&[text("A")], &[text("a")]]);
    let found = txn.read_for_update(&table, &keys).await.unwrap();
    assert_eq!(found, [None, Some(vec![Value::Text("a".to_owned()), Value::Int(1)])]);
    assert_eq!(txn.remove(&table, &keys).await.unwrap(), 1);
    txn.commit().await.unwrap();
}

/// One value in a column of this type, and what comes back.
async fn stored(place: &Place, declared: &str, value: ValueRef<'_>) -> Result<Value, String> {
    let (target, fence) = place.ready("DROP TABLE IF EXISTS v").await;
    place.sql(&format!("CREATE TABLE v (id int PRIMARY KEY, v {declared}) ENGINE=InnoDB"));
    let table = described(&*target, "v").await;
    let mut txn = target.begin(fence).await.unwrap();
    let fates = write(&mut txn, &table, &[&[INT(1), value]]).await;
    if fates[0] != RowFate::Inserted {
        return Err(told(&fates[0]));
    }
    let mut found = txn.read_for_update(&table, &chunk(&[&[INT(1)]])).await.unwrap();
    txn.commit().await.unwrap();
    Ok(found[0].take().unwrap().remove(1))
}

#[tokio::test]
async fn values_are_stored_as_they_are_or_refused() {
    let Some(place) = Place::new("types") else { return };
    let at = |days, nanos| ValueRef::Timestamp(DateTime { days, nanos });
    let tz = |days, nanos| ValueRef::TimestampTz(DateTime { days, nanos });
    let kept: &[(&str, ValueRef<'_>)] = &[
        ("tinyint unsigned", INT(255)),
        ("bigint unsigned", INT(u64::MAX.into())),
        ("mediumint", INT(-8_388_608)),
        ("year", INT(2155)),
        ("bit(9)", ValueRef::Bytes(&[1, 255])),
        ("decimal(10,2)", ValueRef::Decimal("-12.50")),
        ("float", ValueRef::Float(16_777_216.0)),
        ("float", ValueRef::Float(0.1)),
        ("double", ValueRef::Float(5e-324)),
        ("enum('a','b''c','')", ValueRef::Text("b'c")),
        ("set('x','y','z')", ValueRef::Text("x,z")),
        ("varchar(5) CHARACTER SET latin1", ValueRef::Text("é")),
        ("varbinary(4)", ValueRef::Bytes(&[0, 255])),
        ("json", ValueRef::Json("{\"b\": 1.10}")),
        ("date", ValueRef::Date(Date { days: -719_162 })),
        ("time(3)", ValueRef::Time(Time { nanos: -3_020_399_000_000_000 })),
        ("datetime(3)", at(19_000, 250_000_000)),
        ("timestamp(6)", tz(19_000, 1_000)),
        ("timestamp NULL", tz(0, 1_000_000_000)),
    ];
    for (declared, value) in kept {
        assert_eq!(
            stored(&place, declared, *value).await,
            Ok(ValueRef::to_owned(*value)),
            "{declared}"
        );
    }
    let refused: &[(&str, ValueRef<'_>, &str)] = &[
        ("tinyint", INT(128), "WB0415 v"),
        ("decimal(10,2)", ValueRef::Decimal("1.005"), "WB0415 v"),
        ("double", ValueRef::Float(-0.0), "WB0415 v"),
        ("float", ValueRef::Float(1.0 / 3.0), "WB0416 v"),
        ("enum('a')", ValueRef::Text("A"), "WB0415 v"),
        ("char(5)", ValueRef::Text("a "), "WB0416 v"),
        ("varchar(5) CHARACTER SET utf8mb3", ValueRef::Text("🦉"), "WB0415 v"),
        ("varchar(5) CHARACTER SET latin1", ValueRef::Text("漢"), "WB0415 v"),
        ("binary(3)", ValueRef::Bytes(&[1]), "WB0416 v"),
        ("json", ValueRef::Json("{"), "WB0411 v"),
        ("time", ValueRef::Time(Time { nanos: 1_500_000_000 }), "WB0416 v"),
        ("datetime", at(0, 1_000), "WB0416 v"),
        ("timestamp NULL", tz(-1, 0), "WB0415 v"),
        ("timestamp NOT NULL", ValueRef::Null, "WB0398 v"),
    ];
    for (declared, value, expected) in refused {
        assert_eq!(
            stored(&place, declared, *value).await,
            Err((*expected).to_owned()),
            "{declared}"
        );
    }
}

#[tokio::test]
async fn a_counter_takes_the_numbers_that_it_is_given() {
    let Some(place) = Place::new("counter") else { return };
    let (target, fence) = place
        .ready("CREATE TABLE t (id bigint AUTO_INCREMENT PRIMARY KEY, n int) ENGINE=InnoDB")
        .await;
    let table = described(&*target, "t").await;
    assert!(table.columns[0].has_default);
    let mut txn = target.begin(fence).await.unwrap();
    // A zero is a zero, NULL is refused: the server would put the next number for both.
    let rows: [&[ValueRef<'_>]; 3] =
        [&[INT(0), INT(1)], &[ValueRef::Null, INT(2)], &[INT(41), INT(3)]];
    let fates = write(&mut txn, &table, &rows).await;
    assert_eq!(fates.iter().map(told).collect::<Vec<_>>(), ["inserted", "WB0397 id", "inserted"]);
    assert_eq!(txn.advance_counters(&table).await.unwrap(), ["id = 42"]);
    txn.commit().await.unwrap();
    place.sql("INSERT INTO t (n) VALUES (9)");
    assert_eq!(place.rows("SELECT id FROM t ORDER BY id"), ["0", "41", "42"]);
}

#[tokio::test]
async fn what_no_row_can_carry_is_left_out_of_the_description() {
    let Some(place) = Place::new("generated") else { return };
    let (target, _) = place
        .ready(
            "CREATE TABLE t (id int PRIMARY KEY, a int, b int AS (a + 1) STORED, c int AS (a) VIRTUAL,
                 d int NOT NULL DEFAULT 4, j json, u uuid) ENGINE=InnoDB;
             CREATE VIEW v AS SELECT id FROM t",
        )
        .await;
    let table = described(&*target, "t").await;
    let column = |name: &str, kind, nullable, has_default| Column {
        name: name.to_owned(),
        kind,
        nullable,
        has_default,
    };
    let int = Kind::Int(IntWidth::I32);
    assert_eq!(
        table,
        Table {
            name: "t".to_owned(),
            columns: vec![
                column("id", int, false, false),
                column("a", int, true, false),
                column("d", int, false, true),
                column("j", Kind::Json, true, false),
                column("u", Kind::Uuid, true, false),
            ],
            key: vec![0],
        }
    );
    assert_eq!(target.describe("v").await.unwrap_err().code, "WB0422");
}

#[tokio::test]
async fn long_lists_are_found_by_every_kind() {
    let Some(place) = Place::new("lists") else { return };
    let (target, fence) = place.ready("").await;
    let column = |name: &str, kind| Column {
        name: name.to_owned(),
        kind,
        nullable: true,
        has_default: false,
    };
    let table = Table {
        name: "t".to_owned(),
        columns: vec![
            column("id", Kind::Int(IntWidth::I64)),
            column("name", Kind::Text(None)),
            column("bytes", Kind::Bytes),
        ],
        key: vec![0],
    };
    let mut txn = target.begin(fence).await.unwrap();
    txn.create_table(&table).await.unwrap();
    let names: Vec<String> = (0..5_000).map(|id| format!("näme'{id} ")).collect();
    let mut rows = ChunkBuilder::new(3);
    for (id, name) in names.iter().enumerate() {
        rows.push(INT(id as i128));
        rows.push(ValueRef::Text(name));
        rows.push(ValueRef::Bytes(&(id as u64).to_le_bytes()));
        rows.end_row();
    }
    txn.write(&table, Arc::new(rows.finish()), WriteMode::Insert).await.unwrap();
    let lists: [(&str, Vec<Value>); 3] = [
        ("id", (0..9_000).map(|id| Value::Int(id * 2)).collect()),
        ("name", (0..9_000).map(|id| Value::Text(format!("näme'{} ", id * 2))).collect()),
        ("bytes", (0..9_000u64).map(|id| Value::Bytes((id * 2).to_le_bytes().to_vec())).collect()),
    ];
    for (name, list) in lists {
        let query = Query::table("t", &["id"])
            .that(name, Operator::In, list)
            .by("id", Order::Falling)
            .at_most(3);
        let found = txn.select(&query).await.unwrap();
        let ids: Vec<Value> = found.rows().map(|row| row.get(0).to_owned()).collect();
        assert_eq!(ids, [4_998, 4_996, 4_994].map(Value::Int), "{name}");
    }
    txn.rollback().await.unwrap();
}

#[tokio::test]
async fn long_identifiers_in_the_ledger_stay_apart() {
    let Some(place) = Place::new("mappings") else { return };
    let (target, fence) = place.ready("").await;
    let text = Kind::Text(None);
    let names = [
        ("legacy_type", text),
        ("legacy_id", text),
        ("new_type", text),
        ("new_id", text),
        ("new_key", Kind::Bytes),
        ("content_hash", Kind::Bytes),
        ("source", text),
        ("source_file", text),
        ("record", Kind::Int(IntWidth::I64)),
        ("nth", Kind::Int(IntWidth::I64)),
        ("winner", Kind::Int(IntWidth::I64)),
        ("run", text),
    ];
    let columns = names.map(|(name, kind)| Column {
        name: name.to_owned(),
        kind,
        nullable: true,
        has_default: false,
    });
    let table = Table {
        name: "whimbrel_legacy_mappings".to_owned(),
        columns: columns.to_vec(),
        key: vec![0, 1, 6, 7, 8, 9],
    };
    let mut long = String::new();
    write!(long, "{}", "é".repeat(5_000)).unwrap();
    let ids = [long.clone(), format!("{long} "), long.to_uppercase(), "a".to_owned()];
    let mut rows = ChunkBuilder::new(12);
    for id in &ids {
        for value in ["t", id, "t", "new"] {
            rows.push(ValueRef::Text(value));
        }
        rows.push(ValueRef::Bytes(&[1; 600]));
        rows.push(ValueRef::Bytes(&[2; 32]));
        rows.push(ValueRef::Text("s"));
        rows.push(ValueRef::Text(&long));
        rows.push(INT(1));
        rows.push(INT(0));
        rows.push(INT(1));
        rows.push(ValueRef::Text("r"));
        rows.end_row();
    }
    let rows = rows.finish();
    let mut txn = target.begin(fence).await.unwrap();
    txn.put(&table, &rows).await.unwrap();
    txn.put(&table, &rows).await.unwrap();
    txn.commit().await.unwrap();
    let query = Query::table(&table.name, &["legacy_id"]).that(
        "legacy_id",
        Operator::In,
        ids.iter().cloned().map(Value::Text).collect(),
    );
    assert_eq!(target.select(&query).await.unwrap().len(), 4);
    let query = Query::table(&table.name, &["legacy_id"]).is("legacy_id", ids[2].as_str());
    assert_eq!(target.select(&query).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_table_that_is_called_like_the_ledger_needs_a_unique_key_all_the_same() {
    let Some(place) = Place::new("called_alike") else { return };
    let (target, fence) = place.ready("CREATE TABLE whimbrel_birds (id int) ENGINE=InnoDB").await;
    let table = Table { key: vec![0], ..described(&*target, "whimbrel_birds").await };
    let mut txn = target.begin(fence).await.unwrap();
    let rows = Arc::new(chunk(&[&[ValueRef::Int(1)]]));
    let (class, code, what) =
        crate::place::refusal(txn.write(&table, rows, WriteMode::Insert).await);
    assert_eq!((class, code), (whimbrel_endpoint::ErrorClass::Configuration, "WB0418"), "{what}");
    txn.rollback().await.unwrap();
}
