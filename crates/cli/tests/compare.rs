//! `compare`: two databases, row by row, on every engine and between them.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use expect_test::{Expect, expect};
use rusqlite::Connection;
use serde_json::Value as Json;
use tempfile::TempDir;
use whimbrel_testkit::servers::{self, Engine};

fn whimbrel(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    format!("{text}exit {}\n", output.status.code().unwrap())
}

/// Two files of SQLite with the same content, then what makes the right one another.
fn pair(both: &str, right: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["left.db", "right.db"] {
        Connection::open(folder.path().join(name)).unwrap().execute_batch(both).unwrap();
    }
    Connection::open(folder.path().join("right.db")).unwrap().execute_batch(right).unwrap();
    folder
}

fn check(both: &str, right: &str, flags: &[&str], expect: Expect) {
    let folder = pair(both, right);
    let arguments = [&["compare", "left.db", "right.db", "--wait", "1ms"], flags].concat();
    expect.assert_eq(&said(&whimbrel(folder.path(), &arguments)));
}

const SHOP: &str = "
    CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT, price DECIMAL(10,2));
    INSERT INTO shop VALUES (1, 'ann', '1.50'), (2, '', '2'), (3, 'NULL', NULL), (4, 'dan', '4');";

#[test]
fn equal_databases_are_equal() {
    check(
        SHOP,
        "UPDATE shop SET price = '1.5' WHERE id = 1",
        &[],
        expect![[r#"
        Equal: 4 rows in 1 table, every one compared.

        left   sqlite:left.db
        right  sqlite:right.db

        table           left          right      changed      missing        extra
        shop               4              4            0            0            0

        exit 0
    "#]],
    );
}

#[test]
fn rows_that_differ_are_named_with_their_cells() {
    check(
        SHOP,
        "UPDATE shop SET name = NULL WHERE id = 2; UPDATE shop SET name = NULL WHERE id = 3;
         DELETE FROM shop WHERE id = 4; INSERT INTO shop VALUES (5, 'eve', 5);",
        &[],
        expect![[r#"
            Different: 4 rows in 1 table.

            left   sqlite:left.db
            right  sqlite:right.db

            table           left          right      changed      missing        extra
            shop               4              4            2            1            1

            shop, by id:
              changed 2: name '' | NULL
              changed 3: name 'NULL' | NULL
              missing 4
              extra 5

            exit 4
        "#]],
    );
}

#[test]
fn rows_without_a_key_are_matched_by_all_they_hold_as_often_as_they_are_there() {
    check(
        "CREATE TABLE log (at TEXT, line TEXT);
         INSERT INTO log VALUES ('1', 'a'), ('1', 'a'), ('1', 'a'), (NULL, NULL);",
        "DELETE FROM log WHERE rowid = 1; INSERT INTO log VALUES ('2', 'b');",
        &[],
        expect![[r#"
            Different: 2 rows in 1 table.

            left   sqlite:left.db
            right  sqlite:right.db

            table           left          right      changed      missing        extra
            log                4              4            0            1            1

            log, by all columns:
              missing 1/a
              extra 2/b

            exit 4
        "#]],
    );
}

#[test]
fn rows_that_come_in_another_order_than_ours_are_sorted_here() {
    // Numbers among each other are ordered by SQLite, integers before doubles by us.
    let mixed = "CREATE TABLE mixed (k NOT NULL PRIMARY KEY, v TEXT);
        INSERT INTO mixed VALUES (1, 'a'), (1.5, 'b'), (2, 'c'), ('x', 'd');";
    let folder = pair(mixed, "UPDATE mixed SET v = 'other' WHERE k = 1.5");
    let arguments = ["compare", "left.db", "right.db", "--attempts", "0", "--format", "json"];
    let output = whimbrel(folder.path(), &arguments);
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    let table = &answer["data"]["tables"][0];
    assert_eq!(table["sorted_here"], serde_json::json!(["left", "right"]), "{answer:#}");
    assert_eq!((&table["changed"], &table["equal"]), (&Json::from(1), &Json::from(3)));
    assert_eq!(table["samples"][0]["key"], "1.5");
}

#[test]
fn tables_and_columns_of_one_side_are_differences_unless_they_are_left_out() {
    let right = "ALTER TABLE shop ADD COLUMN seen TEXT; CREATE TABLE new (id INTEGER PRIMARY KEY);";
    check(
        SHOP,
        right,
        &[],
        expect![[r#"
            Different: 0 rows in 1 table, 1 table of one side only, 1 column of one side only.

            left   sqlite:left.db
            right  sqlite:right.db

            table           left          right      changed      missing        extra
            shop               4              4            0            0            0

            only on the right: table `new`

            only on the right: column `shop.seen`

            exit 4
        "#]],
    );
    check(
        SHOP,
        right,
        &["--table", "shop", "--without", "shop.seen"],
        expect![[r#"
        Equal: 4 rows in 1 table, every one compared.

        left   sqlite:left.db
        right  sqlite:right.db

        table           left          right      changed      missing        extra
        shop               4              4            0            0            0

        exit 0
    "#]],
    );
}

#[test]
fn the_list_holds_every_row_that_differs() {
    let many = "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
        INSERT INTO shop SELECT i, 'n', i FROM n;";
    let folder = pair(&format!("{SHOP}{many}"), "UPDATE shop SET name = 'm' WHERE id > 10");
    let arguments = ["compare", "left.db", "right.db", "--all", "--list", "list.jsonl"];
    let output = whimbrel(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(4));
    let list = std::fs::read_to_string(folder.path().join("list.jsonl")).unwrap();
    let keys: Vec<i64> = list
        .lines()
        .map(|line| {
            let found: Json = serde_json::from_str(line).unwrap();
            assert_eq!(found["cells"][0]["right"], "m");
            found["key"].as_str().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(keys, (11..=3000).collect::<Vec<i64>>());
}

#[test]
fn a_row_on_its_way_is_read_again_and_does_not_count() {
    let folder = pair(SHOP, "UPDATE shop SET name = 'late' WHERE id = 4");
    let late = folder.path().join("right.db");
    let follows = thread::spawn(move || {
        thread::sleep(Duration::from_millis(700));
        let right = Connection::open(late).unwrap();
        right.execute("UPDATE shop SET name = 'dan' WHERE id = 4", []).unwrap();
    });
    let arguments = ["compare", "left.db", "right.db", "--wait", "2s", "--format", "json"];
    let output = whimbrel(folder.path(), &arguments);
    follows.join().unwrap();
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["data"]["tables"][0]["settled"], 1, "{answer}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_is_not_there_is_a_mistake_and_nothing_is_created() {
    let folder = pair(SHOP, "");
    for other in ["sqlite:gone.db", "gone.db", "postgres://nobody@127.0.0.1:1/none"] {
        let output = whimbrel(folder.path(), &["compare", "left.db", other]);
        assert!(matches!(output.status.code(), Some(2 | 8 | 75)), "{other}: {output:?}");
        assert!(!output.stderr.is_empty());
    }
    assert!(!folder.path().join("gone.db").exists());
}

const OF_ENGINES: &[(Engine, &str)] = &[
    (
        Engine::Postgres,
        "CREATE TABLE kinds (k varchar(20) PRIMARY KEY, u uuid, d numeric(20,4), f double precision, b boolean,
            t timestamp, z timestamptz, y date, x bytea, j jsonb, i bigint);
         INSERT INTO kinds VALUES
            ('a', '8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', 1.10, 0.1, true, '2024-03-31 01:59:59.25',
             '2024-03-31 01:59:59Z', '2024-02-29', '\\x00ff', '{\"b\": 1, \"a\": [1.0, null]}', 9007199254740993),
            ('B', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            ('ä', NULL, -0.5, 1e300, false, NULL, NULL, NULL, '', 'null', -1);",
    ),
    (
        Engine::Mysql,
        "CREATE TABLE kinds (k varchar(20) PRIMARY KEY, u char(36), d decimal(30,6), f double, b boolean,
            t datetime(6), z timestamp(6) NULL, y date, x blob, j json, i bigint) CHARACTER SET utf8mb4
            COLLATE utf8mb4_swedish_ci;
         INSERT INTO kinds VALUES
            ('a', '8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', 1.1, 0.1, true, '2024-03-31 01:59:59.25',
             '2024-03-31 01:59:59', '2024-02-29', X'00ff', '{\"a\": [1, null], \"b\": 1.0}', 9007199254740993),
            ('B', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
            ('ä', NULL, -0.5, 1e300, false, NULL, NULL, NULL, '', 'null', -1);",
    ),
];

#[test]
fn engines_keep_the_same_in_other_types_and_other_orders() {
    let folder = tempfile::tempdir().unwrap();
    Connection::open(folder.path().join("kinds.db"))
        .unwrap()
        .execute_batch(
            "CREATE TABLE kinds (k TEXT PRIMARY KEY, u UUID, d DECIMAL_TEXT, f REAL, b BOOLEAN,
                t TIMESTAMP, z TIMESTAMPTZ, y DATE, x BLOB, j JSON, i INTEGER);
             INSERT INTO kinds VALUES
                ('a', '8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', '1.1', 0.1, 1, '2024-03-31T01:59:59.25',
                 '2024-03-31T01:59:59Z', '2024-02-29', X'00ff', '{\"b\":1,\"a\":[1,null]}', 9007199254740993),
                ('B', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
                ('ä', NULL, '-0.5', 1e300, 0, NULL, NULL, NULL, X'', 'null', -1);",
        )
        .unwrap();
    let mut urls = vec!["sqlite:kinds.db".to_owned()];
    let mut databases = Vec::new();
    for (engine, sql) in OF_ENGINES {
        let Some(server) = servers::server_or_skip(*engine) else { continue };
        let database = server.database("compare").unwrap();
        database.run(sql).unwrap();
        urls.push(database.url());
        databases.push(database);
    }
    for left in &urls {
        for right in &urls {
            let output = whimbrel(folder.path(), &["compare", left, right, "--attempts", "0"]);
            let text = said(&output);
            assert_eq!(output.status.code(), Some(0), "{left} {right}: {text}");
        }
    }
    let Some(last) = databases.last() else { return };
    last.run("UPDATE kinds SET i = 9007199254740992 WHERE k = 'a'").unwrap();
    let output = whimbrel(folder.path(), &["compare", "kinds.db", &last.url(), "--wait", "1ms"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("i 9007199254740993 | 9007199254740992"), "{}", said(&output));
}

const PLAN: &str = r#"
name = "shop"
target = "sqlite:shop.db"

[source.old]
csv = "data/*.csv"

[[table]]
into = "shop"
from = "old"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
name = { from = "name" }
"#;

/// A plan whose data were migrated.
fn migrated(target: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/a.csv"), "id,name\n1,ann\n2,bob\nx,cyd\n4,dan\n")
        .unwrap();
    let plan = PLAN.replace("sqlite:shop.db", target);
    std::fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    let output = whimbrel(folder.path(), &["migrate"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    folder
}

#[test]
fn a_plan_is_compared_with_its_target_by_what_its_sources_say_now() {
    let folder = migrated("sqlite:shop.db");
    let compare = || whimbrel(folder.path(), &["compare", "whimbrel.toml", "--wait", "1ms"]);
    expect![[r#"
        Equal: 3 rows in 1 table, every one compared.

        left   whimbrel.toml, as it maps its sources now
        right  sqlite:shop.db

        table           left          right      changed      missing        extra
        shop               3              3            0            0            0
        shop: the plan rejects 1 record, which no row is expected of

        exit 0
    "#]]
    .assert_eq(&said(&compare()));
    std::fs::write(folder.path().join("data/a.csv"), "id,name\n1,ann\n2,bea\nx,cyd\n5,eve\n")
        .unwrap();
    expect![[r#"
        Different: 3 rows in 1 table.

        left   whimbrel.toml, as it maps its sources now
        right  sqlite:shop.db

        table           left          right      changed      missing        extra
        shop               3              3            1            1            1

        shop, by id:
          changed 2: name 'bea' | 'bob'
          extra 4
          missing 5
        shop: the plan rejects 1 record, which no row is expected of

        exit 4
    "#]]
    .assert_eq(&said(&compare()));
}

#[test]
fn a_record_that_reaches_the_target_meanwhile_does_not_count() {
    let folder = migrated("sqlite:shop.db");
    let data = folder.path().join("data/a.csv");
    std::fs::write(&data, "id,name\n1,ann\n2,bea\nx,cyd\n4,dan\n5,eve\n6,fay\n").unwrap();
    let target = folder.path().join("shop.db");
    let follows = thread::spawn(move || {
        thread::sleep(Duration::from_millis(700));
        // Two arrive in the target, the third goes back in the source.
        let sql = "UPDATE shop SET name = 'bea' WHERE id = 2; INSERT INTO shop VALUES (5, 'eve')";
        Connection::open(target).unwrap().execute_batch(sql).unwrap();
        std::fs::write(data, "id,name\n1,ann\n2,bea\nx,cyd\n4,dan\n5,eve\n").unwrap();
    });
    let arguments = ["compare", "whimbrel.toml", "--wait", "2s", "--format", "json"];
    let output = whimbrel(folder.path(), &arguments);
    follows.join().unwrap();
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    let table = &answer["data"]["tables"][0];
    assert_eq!((&table["settled"], &table["left"]), (&Json::from(3), &Json::from(4)), "{answer}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn what_the_target_refused_is_not_expected_of_it() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    std::fs::write(folder.path().join("data/a.csv"), "id,name\n1,ann\n2,ann\n3,cyd\n").unwrap();
    std::fs::write(folder.path().join("whimbrel.toml"), PLAN).unwrap();
    let shop = "CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT UNIQUE)";
    Connection::open(folder.path().join("shop.db")).unwrap().execute_batch(shop).unwrap();
    assert_eq!(whimbrel(folder.path(), &["migrate"]).status.code(), Some(3));
    let output = whimbrel(folder.path(), &["compare", "whimbrel.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("rejects 1 record"), "{}", said(&output));
}

#[test]
fn tables_of_the_plan_that_are_not_there_are_a_difference() {
    let folder = migrated("sqlite:shop.db");
    Connection::open(folder.path().join("shop.db"))
        .unwrap()
        .execute("DROP TABLE shop", [])
        .unwrap();
    let output = whimbrel(folder.path(), &["compare", "whimbrel.toml"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("only on the left: table `shop`"), "{}", said(&output));
}

#[test]
fn a_plan_is_compared_with_its_target_on_servers() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = server.database("parity").unwrap();
        let folder = migrated(&database.url());
        let output = whimbrel(folder.path(), &["compare", "whimbrel.toml"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        database.run("UPDATE shop SET name = 'dan ' WHERE id = 4").unwrap();
        let arguments = ["compare", "whimbrel.toml", "--wait", "1ms"];
        let output = whimbrel(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        assert!(said(&output).contains("changed 4: name 'dan' | 'dan '"), "{}", said(&output));
    }
}

#[test]
fn one_database_is_nothing_to_compare() {
    let folder = pair(SHOP, "");
    let output = whimbrel(folder.path(), &["compare", "left.db"]);
    assert_eq!(output.status.code(), Some(2));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("nothing to compare with"), "{message}");
}

#[test]
fn a_key_that_stands_twice_is_a_difference_whatever_stands_under_it() {
    for second in ["1", "7"] {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| Connection::open(folder.path().join(name)).unwrap();
        let left =
            "CREATE TABLE t (a INTEGER PRIMARY KEY, b INT); INSERT INTO t VALUES (1, 1), (2, 1)";
        open("left.db").execute_batch(left).unwrap();
        let right = "CREATE TABLE t (a INT, b INT); INSERT INTO t VALUES (1, 1), (2, 1), (2, ";
        open("right.db").execute_batch(&format!("{right}{second})")).unwrap();
        for pair in [["left.db", "right.db"], ["right.db", "left.db"]] {
            let arguments = [&["compare"][..], &pair, &["--wait", "1ms", "--format", "json"]];
            let output = whimbrel(folder.path(), &arguments.concat());
            let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(output.status.code(), Some(4), "{answer:#}");
            let table = &answer["data"]["tables"][0];
            let mut counts = [table["left"].as_u64(), table["right"].as_u64()];
            counts.sort_unstable();
            assert_eq!(counts, [Some(2), Some(3)], "{answer:#}");
        }
    }
}

#[test]
fn a_key_of_the_plan_that_stands_twice_in_its_target_is_a_difference() {
    let Some(server) = servers::server_or_skip(Engine::Postgres) else { return };
    let database = server.database("twice").unwrap();
    let folder = migrated(&database.url());
    database.run("ALTER TABLE shop DROP CONSTRAINT shop_pkey").unwrap();
    database.run("INSERT INTO shop VALUES (1, 'ann'), (2, 'other')").unwrap();
    let output = whimbrel(folder.path(), &["compare", "whimbrel.toml", "--wait", "1ms"]);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
}

#[test]
fn tables_that_share_a_name_and_nothing_else_differ() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Connection::open(folder.path().join(name)).unwrap();
    open("left.db").execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (1)").unwrap();
    open("right.db").execute_batch("CREATE TABLE t (b)").unwrap();
    let output = whimbrel(folder.path(), &["compare", "left.db", "right.db"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(said(&output).contains("only on the left: column `t.a`"), "{}", said(&output));
}

#[test]
fn tables_of_another_case_are_not_counted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Connection::open(folder.path().join(name)).unwrap();
    open("left.db").execute_batch("CREATE TABLE T (a)").unwrap();
    open("right.db").execute_batch("CREATE TABLE t (a)").unwrap();
    let output = whimbrel(folder.path(), &["compare", "left.db", "right.db", "--format", "json"]);
    let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(4), "{answer:#}");
    assert_eq!(
        (&answer["data"]["only_left"][0], &answer["data"]["only_right"][0]),
        (&"T".into(), &"t".into())
    );
}

#[test]
fn a_plan_whose_files_are_gone_has_nothing_to_be_compared() {
    let folder = migrated("sqlite:shop.db");
    std::fs::remove_file(folder.path().join("data/a.csv")).unwrap();
    let output = whimbrel(folder.path(), &["compare", "whimbrel.toml"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("`old` has no file"), "{output:?}");
}

#[test]
fn one_document_holds_no_list() {
    let folder = pair(SHOP, "DELETE FROM shop");
    let arguments = ["compare", "left.db", "right.db", "--all", "--format", "json"];
    assert_eq!(whimbrel(folder.path(), &arguments).status.code(), Some(2));
    let output = whimbrel(folder.path(), &[&arguments[..], &["--list", "list.jsonl"]].concat());
    assert_eq!(output.status.code(), Some(4));
    serde_json::from_slice::<Json>(&output.stdout).unwrap();
}

#[test]
fn a_key_that_is_spelled_in_another_way_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| Connection::open(folder.path().join(name)).unwrap();
    let table = "CREATE TABLE t (id UUID PRIMARY KEY NOT NULL, at TIMESTAMP)";
    open("left.db").execute_batch(table).unwrap();
    open("right.db").execute_batch(table).unwrap();
    let right =
        "INSERT INTO t VALUES ('8F14E45F-CEEA-467A-9B0C-1A2B3C4D5E6F', '2024-03-31 01:59:59')";
    open("right.db").execute_batch(right).unwrap();
    let arguments = ["compare", "left.db", "right.db", "--wait", "1ms"];
    let output = whimbrel(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    open("left.db").execute_batch(&right.to_lowercase()).unwrap();
    let output = whimbrel(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let other = "UPDATE t SET at = NULL";
    open("right.db").execute_batch(other).unwrap();
    let text = said(&whimbrel(folder.path(), &arguments));
    assert!(text.contains("changed 8f14e45f"), "{text}");
}

#[test]
fn a_column_to_leave_out_that_is_not_there_is_a_mistake() {
    let folder = pair(SHOP, "UPDATE shop SET name = 'x'");
    for stray in ["nmae", "shop.nmae", "shpo.name"] {
        let arguments = ["compare", "left.db", "right.db", "--without", stray];
        let output = whimbrel(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(2), "{stray}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(stray), "{output:?}");
    }
    let folder = migrated("sqlite:shop.db");
    let arguments = ["compare", "whimbrel.toml", "--without", "nmae"];
    assert_eq!(whimbrel(folder.path(), &arguments).status.code(), Some(2));
    let arguments = ["compare", "whimbrel.toml", "--without", "shop.name"];
    assert_eq!(whimbrel(folder.path(), &arguments).status.code(), Some(0));
}

#[test]
fn why_rows_are_matched_by_all_columns_is_said() {
    check(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')",
        "UPDATE t SET v = 'b'",
        &[],
        expect![[r#"
            Different: 2 rows in 1 table.

            left   sqlite:left.db
            right  sqlite:right.db

            table           left          right      changed      missing        extra
            t                  1              1            0            1            1
            t: matched by all columns, as the key on the left, `id`, may be NULL: NOT NULL would make it one

            t, by all columns:
              missing 1/a
              extra 1/b

            exit 4
        "#]],
    );
}
