//! `compare --repair`: what is written, run through the engines' own clients, makes the right side like the
//! left one; as it stands, and where a row has changed since, it does nothing.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a script with SQLite's own client.
fn sqlite(file: &Path, script: &str) {
    let mut client = Command::new("sqlite3")
        .args(["-batch", "-bail"])
        .arg(file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut client.stdin.take().unwrap(), script.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{script}");
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

/// Compares and writes suggestions to `repair.sql`; the answer's `data`.
fn suggested(folder: &Path, left: &str, right: &str) -> Json {
    let _before = fs::remove_file(folder.join("repair.sql"));
    let arguments =
        ["compare", left, right, "--wait", "1ms", "--repair", "repair.sql", "--format", "json"];
    let output = whimbrel(folder, &arguments);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let mut answer: Json = serde_json::from_slice(&output.stdout).unwrap();
    answer["data"].take()
}

fn script(folder: &Path) -> String {
    fs::read_to_string(folder.join("repair.sql")).unwrap()
}

/// The suggestions as somebody leaves them who has read them.
fn committing(folder: &Path) -> String {
    let script = script(folder);
    assert!(script.ends_with("\nROLLBACK;\n"), "{script}");
    script.replace("\nROLLBACK;\n", "\nCOMMIT;\n")
}

/// What differs after the suggestions have been run, as they stand and with COMMIT.
fn check_repaired(folder: &Path, left: &str, right: &str, run: &dyn Fn(&str)) {
    let compared = || whimbrel(folder, &["compare", left, right, "--attempts", "0"]);
    let before = said(&compared());
    run(&script(folder));
    assert_eq!(said(&compared()), before, "ROLLBACK keeps nothing");
    run(&committing(folder));
    let after = compared();
    assert_eq!(after.status.code(), Some(0), "{}\n{}", said(&after), script(folder));
}

const SHOP: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, score REAL);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INT REFERENCES customers (id), price DECIMAL(10,2));
    INSERT INTO customers VALUES (1, 'ann', 0.5), (2, 'bob', NULL), (3, 'cyd', 0.30000000000000004);
    INSERT INTO orders VALUES (1, 1, '1.50'), (2, 1, 2), (3, 3, NULL);";

/// What a script says but its times.
fn check_script(both: &str, right: &str, expect: Expect) {
    let folder = pair(both, right);
    suggested(folder.path(), "left.db", "right.db");
    let script = script(folder.path());
    let lines: Vec<&str> = script.lines().filter(|line| !line.starts_with("-- read:")).collect();
    expect.assert_eq(&format!("{}\n", lines.join("\n")));
}

#[test]
fn the_file_says_what_it_is_and_does_nothing_by_itself() {
    check_script(
        SHOP,
        "DELETE FROM orders WHERE id = 3; DELETE FROM customers WHERE id = 3;
         UPDATE customers SET name = 'b', score = 1 WHERE id = 2;
         INSERT INTO customers VALUES (7, 'new', NULL); INSERT INTO orders VALUES (7, 7, 1);",
        expect![[r#"
            -- Suggestions of `whimbrel compare --repair`: what would make the right side like the left one.
            -- Nothing of it has been run.
            -- left:  sqlite:left.db
            -- right: sqlite:right.db
            -- 5 statements: 2 inserts, 1 update, 2 deletes
            -- Each statement changes one row, and none where the row is no longer as it was read.
            -- Deletes come first where nothing refers to the table; then inserts, parents before children; then updates; then the other deletes, children first.
            -- To run it on the right side, once you have read it: sqlite3 -bail DATABASE < FILE

            PRAGMA foreign_keys = ON;
            BEGIN;
            PRAGMA defer_foreign_keys = ON;

            -- orders: 1 delete
            DELETE FROM `orders` WHERE `id` IS 7 AND `customer` IS 7 AND `price` IS 1;

            -- customers: 1 insert
            INSERT OR ABORT INTO `customers` (`id`, `name`, `score`) VALUES (3, 'cyd', (CAST(1351079888211149 AS REAL) / CAST(4503599627370496 AS REAL) /* 0.30000000000000004 */));

            -- orders: 1 insert
            INSERT OR ABORT INTO `orders` (`id`, `customer`, `price`) VALUES (3, 3, NULL);

            -- customers: 1 update
            UPDATE OR ABORT `customers` SET `name` = 'bob', `score` = NULL WHERE `id` IS 2 AND `name` COLLATE BINARY IS 'b' AND `score` IS 1.0;

            -- customers: 1 delete
            DELETE FROM `customers` WHERE `id` IS 7 AND `name` COLLATE BINARY IS 'new' AND `score` IS NULL;

            PRAGMA foreign_key_check;
            -- As it stands nothing is kept: replace ROLLBACK by COMMIT once you have read it.
            ROLLBACK;
        "#]],
    );
}

#[test]
fn what_the_engine_does_by_itself_is_named() {
    let folder = pair(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, above INT REFERENCES t (id));
         CREATE TABLE c (id INTEGER PRIMARY KEY, t INT REFERENCES t (id) ON DELETE CASCADE);
         CREATE TRIGGER seen AFTER INSERT ON c BEGIN SELECT 1; END; INSERT INTO c VALUES (5, NULL)",
        "INSERT INTO t VALUES (1, 1); DELETE FROM c",
    );
    suggested(folder.path(), "left.db", "right.db");
    let script = script(folder.path());
    for note in [
        "-- `c` has triggers, which will fire",
        "-- it refers to itself: where the engine refuses a row, the order is yours to find",
        "-- `c` refers to it: ON DELETE CASCADE",
    ] {
        assert!(script.contains(note), "{note}\n{script}");
    }
}

const HOSTILE: &[&str] = &[
    "it's",
    "\\",
    "\\'; DROP TABLE t; --",
    "*/ /* -- ; COMMIT;",
    "a\nROLLBACK;\n.quit\n\\q\nb",
    "\r\n\t",
    "${x} :x $1 ? %s",
    "\u{202e}evil\u{200b}",
    "",
    "NULL",
    "ä€🦉",
];

fn quoted(text: &str) -> String {
    text.replace('\'', "''")
}

#[test]
fn a_damaged_sqlite_database_is_like_the_other_one_again() {
    let mut both = SHOP.to_owned();
    both.push_str(
        "CREATE TABLE kinds (k TEXT PRIMARY KEY NOT NULL COLLATE NOCASE, t TEXT, b BLOB, f REAL, u UUID, z TIMESTAMPTZ, d DATE,
            n NUMERIC, o BOOLEAN, j JSON, x);
         INSERT INTO kinds VALUES ('all', 'x', X'00ff27', 1e300, '8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f',
            '2024-03-31 01:59:59.25Z', '2024-02-29', 12.5, 1, '{\"a\": [1, null]}', 9223372036854775807);
         INSERT INTO kinds (k) VALUES ('none');
         CREATE TABLE log (at TEXT, line TEXT);
         INSERT INTO log VALUES ('1', 'a'), ('1', 'a'), ('1', 'a'), (NULL, 'b');",
    );
    for (index, text) in HOSTILE.iter().enumerate() {
        both.push_str(&format!(
            "INSERT INTO kinds (k, t) VALUES ('{index}{0}', '{0}');",
            quoted(text)
        ));
    }
    both.push_str("INSERT INTO kinds (k, t) VALUES ('nul', 'a' || char(0) || 'b');");
    let damages = [
        "DELETE FROM orders; DELETE FROM customers; DELETE FROM kinds; DELETE FROM log;",
        "UPDATE kinds SET t = t || '''\\' || char(10, 0), b = X'', f = 0.1 + 0.2, u = NULL, z = 'never', d = 'x''',
            n = 0.1, o = 0, j = '[]', x = -9223372036854775808 WHERE k <> 'NUL';
         UPDATE customers SET name = 'X'; UPDATE orders SET customer = 2, price = 'abc';",
        "INSERT INTO kinds (k, t) SELECT 'extra' || k, t FROM kinds; INSERT INTO customers VALUES (9, 'z', -1e-320);
         INSERT INTO orders VALUES (9, 9, 1); UPDATE orders SET customer = 9 WHERE id = 1;
         INSERT INTO log SELECT * FROM log; INSERT INTO log VALUES ('2', NULL);",
    ];
    for damage in damages {
        let folder = pair(&both, damage);
        let answer = suggested(folder.path(), "left.db", "right.db");
        assert_eq!(answer["repair"]["not_suggested"], 0, "{answer:#}\n{}", script(folder.path()));
        let right = folder.path().join("right.db");
        check_repaired(folder.path(), "left.db", "right.db", &|script| sqlite(&right, script));
    }
}

#[test]
fn what_an_engine_holds_in_another_form_is_found_again() {
    let folder = pair(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u UUID, b BLOB, x, w INT);
         CREATE TABLE k (k UUID PRIMARY KEY NOT NULL, w INT);
         INSERT INTO t VALUES (1, X'8f14e45fceea467a9b0c1a2b3c4d5e6f', CAST(X'ff41' AS TEXT), CAST(X'fe' AS TEXT), 1),
            (2, '8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', X'ff41', X'41', 1);
         INSERT INTO k VALUES (X'8f14e45fceea467a9b0c1a2b3c4d5e6f', 1), ('00000000-ceea-467a-9b0c-1a2b3c4d5e6f', 1);",
        "UPDATE t SET w = 2; UPDATE k SET w = 2; INSERT INTO t SELECT id + 5, u, b, x, w FROM t;
         INSERT INTO k VALUES (X'0014e45fceea467a9b0c1a2b3c4d5e6f', 1)",
    );
    suggested(folder.path(), "left.db", "right.db");
    let right = folder.path().join("right.db");
    check_repaired(folder.path(), "left.db", "right.db", &|script| sqlite(&right, script));
}

#[test]
fn a_row_that_has_changed_since_is_left_alone() {
    let folder = pair(
        SHOP,
        "UPDATE customers SET name = 'x'; INSERT INTO orders VALUES (8, 1, 1), (9, 1, 1)",
    );
    suggested(folder.path(), "left.db", "right.db");
    let right = folder.path().join("right.db");
    let since = "UPDATE customers SET name = 'since' WHERE id = 2; UPDATE orders SET price = 7 WHERE id = 9;";
    sqlite(&right, since);
    sqlite(&right, &committing(folder.path()));
    let output = whimbrel(folder.path(), &["compare", "left.db", "right.db", "--attempts", "0"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("changed 2: name 'bob' | 'since'"), "{text}");
    assert!(text.contains("extra 9") && text.contains("Different: 2 rows"), "{text}");
}

#[test]
fn no_file_is_overwritten_and_none_is_written_where_nothing_differs() {
    let folder = pair(SHOP, "UPDATE customers SET name = 'x'");
    fs::write(folder.path().join("mine.sql"), "mine").unwrap();
    let output =
        whimbrel(folder.path(), &["compare", "left.db", "right.db", "--repair", "mine.sql"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("WB0736"), "{output:?}");
    assert_eq!(fs::read_to_string(folder.path().join("mine.sql")).unwrap(), "mine");
    let output =
        whimbrel(folder.path(), &["compare", "left.db", "right.db", "--repair", "no/x.sql"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    suggested(folder.path(), "left.db", "right.db");
    let mode = fs::metadata(folder.path().join("repair.sql")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let output = whimbrel(folder.path(), &["compare", "left.db", "left.db", "--repair", "new.sql"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(said(&output).contains("nothing to suggest"), "{}", said(&output));
    let mut left: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["left.db", "mine.sql", "repair.sql", "right.db"]);
}

#[test]
fn what_cannot_be_said_is_named_with_its_reason() {
    let folder = pair("", "");
    let open = |name: &str| Connection::open(folder.path().join(name)).unwrap();
    open("left.db")
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'x'), (2, 1)",
        )
        .unwrap();
    open("right.db")
        .execute_batch(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER NOT NULL, need TEXT NOT NULL DEFAULT '');
             CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT, w TEXT); INSERT INTO t VALUES (1, 5, '')",
        )
        .unwrap();
    open("left.db").execute_batch("INSERT INTO t VALUES (3, NULL), (4, '12')").unwrap();
    let answer = suggested(folder.path(), "left.db", "right.db");
    assert_eq!(answer["repair"]["not_suggested"], 2, "{answer:#}");
    let script = script(folder.path());
    assert!(
        script.contains("-- not suggested: missing 3, column `v`: the column refuses NULL"),
        "{script}"
    );
    assert!(
        script.contains("-- not suggested: missing 4, column `v`: the column's declared type"),
        "{script}"
    );
    assert!(script.contains("-- only on the right, nothing is suggested: table `u`"), "{script}");
    assert!(
        script.contains("-- only on the right, nothing is suggested: column `t.need`"),
        "{script}"
    );
}

#[test]
fn rows_that_look_alike_are_changed_one_by_one_or_not_at_all() {
    // What is a key on the left is none on the right.
    let folder = pair("", "");
    let open = |name: &str| Connection::open(folder.path().join(name)).unwrap();
    open("left.db")
        .execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        .unwrap();
    open("right.db")
        .execute_batch(
            "CREATE TABLE t (id INTEGER, v TEXT); INSERT INTO t VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, 'x')",
        )
        .unwrap();
    let answer = suggested(folder.path(), "left.db", "right.db");
    assert_eq!(answer["repair"]["deletes"], 2, "{answer:#}");
    let right = folder.path().join("right.db");
    check_repaired(folder.path(), "left.db", "right.db", &|script| sqlite(&right, script));
    open("right.db")
        .execute_batch("ALTER TABLE t ADD COLUMN note; INSERT INTO t VALUES (1, 'a', 'kept')")
        .unwrap();
    let answer = suggested(folder.path(), "left.db", "right.db");
    assert_eq!(
        (&answer["repair"]["deletes"], &answer["repair"]["not_suggested"]),
        (&0.into(), &1.into())
    );
    assert!(script(folder.path()).contains("column `note`: nothing makes the row unique"));
}

#[test]
fn rows_that_a_key_tells_apart_which_may_be_null_make_room_for_each_other() {
    let folder = pair(
        "CREATE TABLE t (id BIGINT PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (NULL, 'b')",
        "UPDATE t SET v = 'x'",
    );
    suggested(folder.path(), "left.db", "right.db");
    let right = folder.path().join("right.db");
    check_repaired(folder.path(), "left.db", "right.db", &|script| sqlite(&right, script));
}

#[test]
fn many_rows_are_all_said() {
    let many = "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
        INSERT INTO customers SELECT i, 'n' || i, i / 7.0 FROM n;";
    let folder = pair(
        &format!("{SHOP}{many}"),
        "UPDATE customers SET score = score + 0.1, name = 'm' WHERE id > 100 AND id < 3000;
         DELETE FROM customers WHERE id > 4000;",
    );
    let answer = suggested(folder.path(), "left.db", "right.db");
    let repair = &answer["repair"];
    assert_eq!((&repair["updates"], &repair["inserts"]), (&2899.into(), &1000.into()), "{repair}");
    let right = folder.path().join("right.db");
    check_repaired(folder.path(), "left.db", "right.db", &|script| sqlite(&right, script));
}

const OF_ENGINES: &[(Engine, &str)] = &[
    (
        Engine::Postgres,
        "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL);
         CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            customer int NOT NULL REFERENCES customers, price numeric(10,2));
         CREATE TABLE kinds (k text PRIMARY KEY, v varchar(200), c char(9), x bytea, f double precision, r real,
            n numeric, u uuid, b boolean, d date, t timestamp, z timestamptz, i interval, j json, jb jsonb,
            a int[], ta text[], ja json[], ip inet, bits bit(3), h time, twice int GENERATED ALWAYS AS (length(k) * 2) STORED);
         CREATE TABLE log (at int, line text);
         INSERT INTO customers VALUES (1, 'ann'), (2, 'bob');
         INSERT INTO orders (customer, price) VALUES (1, 1.10), (2, NULL);
         INSERT INTO kinds VALUES ('all', 'x', 'c', '\\x00ff27', 0.1, 0.1, 123456789012345678901234567890.10,
            '8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', true, '0044-03-15 BC', '2024-03-31 01:59:59.25',
            '12345-03-31 01:59:59.000001Z', '1 mon 2 days', '{\"a\" : 1}', '{\"a\": [1.0, \"\\\\\"]}',
            '{1,NULL,3}', '{\"a\\\"\\\\b\",NULL,\"NULL\"}',
            ARRAY['{\"z\" : 1.0,  \"a\":[]}', NULL]::json[], '10.0.0.1/8', '101', '24:00:00');
         INSERT INTO kinds (k, f, r, n, d, t) VALUES ('odd', 'NaN', '-Infinity', 'NaN', 'infinity', '-infinity'),
            ('zero', '-0', 1e-45, 0.000, '0001-01-01', NULL);
         INSERT INTO log VALUES (1, 'a'), (1, 'a'), (NULL, NULL);",
    ),
    (
        Engine::Mysql,
        "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL) CHARACTER SET utf8mb4;
         CREATE TABLE orders (id bigint PRIMARY KEY AUTO_INCREMENT, customer int NOT NULL,
            price decimal(10,2), seen timestamp(6) NULL ON UPDATE CURRENT_TIMESTAMP(6),
            FOREIGN KEY (customer) REFERENCES customers (id));
         CREATE TABLE kinds (k varchar(150) PRIMARY KEY, v varchar(200), c char(9), x blob, f double, r float,
            n decimal(40,10), u char(36), b boolean, d date, t datetime(6), z timestamp(6) NULL, j json,
            e enum('a','b''c'), s set('x','y'), bits bit(9), h time(3), l varchar(50) CHARACTER SET latin1,
            big bigint unsigned, y year) CHARACTER SET utf8mb4 COLLATE utf8mb4_swedish_ci;
         CREATE TABLE log (at int, line text) CHARACTER SET utf8mb4;
         INSERT INTO customers VALUES (1, 'ann'), (2, 'bob');
         INSERT INTO orders VALUES (1, 1, 1.10, NULL), (2, 2, NULL, '2024-01-01');
         INSERT INTO kinds VALUES ('all', 'x', 'c', X'00ff275c', 0.1, 0.1, 123456789012345678901234567890.10,
            '8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', true, '0044-03-15', '2024-03-31 01:59:59.25',
            '2024-03-31 01:59:59.000001', '{\"a\": 1}', 'b''c', 'x,y', b'100000001', '-838:59:59', 'ä',
            18446744073709551615, 2024);
         INSERT INTO kinds (k, f) VALUES ('odd', 5e-324);
         INSERT INTO log VALUES (1, 'a'), (1, 'a'), (NULL, NULL);",
    ),
];

const DAMAGES: &[&str] = &[
    "DELETE FROM orders; DELETE FROM customers; DELETE FROM kinds; DELETE FROM log;",
    "UPDATE kinds SET v = CONCAT(v, 'z'), c = NULL, x = NULL, f = 7, r = 7, n = 7, u = NULL, b = NULL, d = NULL, t = NULL,
        z = NULL, j = NULL, h = NULL;
     UPDATE customers SET name = CONCAT(name, ' '); UPDATE orders SET customer = 1, price = 3;",
    "INSERT INTO kinds (k, v) SELECT CONCAT('e', k), v FROM kinds;
     INSERT INTO customers VALUES (9, 'z'); UPDATE orders SET customer = 9 WHERE customer = 1;
     INSERT INTO log SELECT * FROM log; INSERT INTO log VALUES (2, NULL); DELETE FROM kinds WHERE k = 'all';",
];

/// Rows with texts that mean something to an engine, its client or whoever looks at them.
fn hostile(engine: Engine) -> String {
    let mut sql = String::new();
    for (index, text) in HOSTILE.iter().enumerate() {
        let literal = match engine {
            Engine::Postgres => format!("convert_from('\\x{}', 'UTF8')", hex(text)),
            Engine::Mysql => format!("_utf8mb4 X'{}'", hex(text)),
        };
        sql.push_str(&format!(
            "INSERT INTO kinds (k, v) VALUES (CONCAT('{index}', {literal}), {literal});\n"
        ));
    }
    sql
}

fn hex(text: &str) -> String {
    let digits: Vec<String> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

#[test]
fn a_damaged_database_of_a_server_is_like_the_other_one_again() {
    for (engine, sql) in OF_ENGINES {
        let Some(server) = servers::server_or_skip(*engine) else { continue };
        let left = server.database("left").unwrap();
        left.run(sql).unwrap();
        left.run(&hostile(*engine)).unwrap();
        for damage in DAMAGES {
            let folder = tempfile::tempdir().unwrap();
            let right = left.copy("right").unwrap();
            right.run(damage).unwrap();
            let answer = suggested(folder.path(), &left.url(), &right.url());
            let script = script(folder.path());
            assert_eq!(answer["repair"]["not_suggested"], 0, "{script}");
            assert!(!script.contains("whimbrel_password"), "{script}");
            let run =
                |script: &str| right.run(script).unwrap_or_else(|why| panic!("{why}\n{script}"));
            check_repaired(folder.path(), &left.url(), &right.url(), &run);
        }
    }
}

#[test]
fn a_row_of_a_server_that_has_changed_since_is_left_alone() {
    for (engine, sql) in OF_ENGINES {
        let Some(server) = servers::server_or_skip(*engine) else { continue };
        let (left, folder) = (server.database("left").unwrap(), tempfile::tempdir().unwrap());
        left.run(sql).unwrap();
        let right = left.copy("right").unwrap();
        right
            .run(
                "UPDATE customers SET name = 'x'; INSERT INTO customers VALUES (8, 'y'), (9, 'y');",
            )
            .unwrap();
        suggested(folder.path(), &left.url(), &right.url());
        // Another case is another text, whatever the collation.
        right
            .run("UPDATE customers SET name = 'X' WHERE id = 2; UPDATE customers SET name = 'Y' WHERE id = 9;")
            .unwrap();
        right.run(&committing(folder.path())).unwrap();
        let output =
            whimbrel(folder.path(), &["compare", &left.url(), &right.url(), "--attempts", "0"]);
        let text = said(&output);
        assert!(text.contains("changed 2: name 'bob' | 'X'"), "{text}");
        assert!(text.contains("extra 9") && text.contains("Different: 2 rows"), "{text}");
    }
}

#[test]
fn one_engine_is_made_like_another_one() {
    let Some(postgres) = servers::server_or_skip(Engine::Postgres) else { return };
    let Some(mysql) = servers::server_or_skip(Engine::Mysql) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (postgres.database("one").unwrap(), mysql.database("other").unwrap());
    one.run(
        "CREATE TABLE t (id uuid PRIMARY KEY, b boolean, z timestamptz, n numeric(9,2), j jsonb, v text);
         INSERT INTO t VALUES ('8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', true, '2024-03-31 01:59:59.5Z', 1.1, '[1]', E'a\\\\b'),
            ('8f14e45f-ceea-467a-9b0c-1a2b3c4d5e70', NULL, NULL, NULL, NULL, NULL)",
    )
    .unwrap();
    other
        .run(
            "CREATE TABLE t (id char(36) PRIMARY KEY, b boolean, z datetime(6), n decimal(9,4), j json, v text)
                CHARACTER SET utf8mb4;
             INSERT INTO t VALUES ('8F14E45F-CEEA-467A-9B0C-1A2B3C4D5E6F', false, '2024-03-31', 1, '[2]', 'c'),
                ('8F14E45F-CEEA-467A-9B0C-1A2B3C4D5E71', NULL, NULL, NULL, NULL, NULL);",
        )
        .unwrap();
    suggested(folder.path(), &one.url(), &other.url());
    let run = |script: &str| other.run(script).unwrap_or_else(|why| panic!("{why}\n{script}"));
    check_repaired(folder.path(), &one.url(), &other.url(), &run);
    other.run("DELETE FROM t; INSERT INTO t (id, v) VALUES ('8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f', 'x\\n')").unwrap();
    suggested(folder.path(), &other.url(), &one.url());
    let run = |script: &str| one.run(script).unwrap_or_else(|why| panic!("{why}\n{script}"));
    check_repaired(folder.path(), &other.url(), &one.url(), &run);
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
secret = { from = "secret" }
"#;

fn laid_out(plan: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let data = "id,name,secret\n1,ann,s-one\n2,bob,s-two\n3,cyd,s-three\n";
    fs::write(folder.path().join("data/a.csv"), data).unwrap();
    fs::write(folder.path().join("whimbrel.toml"), plan).unwrap();
    folder
}

fn migrated(plan: &str) -> TempDir {
    let folder = laid_out(plan);
    let output = whimbrel(folder.path(), &["migrate"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    folder
}

const DAMAGED: &str =
    "DELETE FROM shop WHERE id = 1; UPDATE shop SET secret = 's-else' WHERE id = 2;
    INSERT INTO shop VALUES (4, 'dan', 's-four');";

#[test]
fn a_target_is_made_what_its_plan_says() {
    let folder = migrated(PLAN);
    let target = folder.path().join("shop.db");
    sqlite(&target, DAMAGED);
    let arguments = ["compare", "whimbrel.toml", "--wait", "1ms", "--repair", "repair.sql"];
    let output = whimbrel(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let text = said(&output);
    assert!(text.contains("repair: 3 statements in `repair.sql`; nothing has been run"), "{text}");
    sqlite(&target, &committing(folder.path()));
    let output = whimbrel(folder.path(), &["compare", "whimbrel.toml", "--wait", "1ms"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn what_is_sensitive_is_neither_shown_nor_written_unasked() {
    let folder = migrated(&PLAN.replace("csv\"\n", "csv\"\nsensitive = [\"secret\"]\n"));
    sqlite(&folder.path().join("shop.db"), DAMAGED);
    let compare = ["compare", "whimbrel.toml", "--wait", "1ms"];
    let more: [&[&str]; 4] =
        [&[], &["--format", "json"], &["--all", "--format", "jsonl"], &["--all"]];
    for more in more {
        let output = whimbrel(folder.path(), &[&compare[..], more].concat());
        let text = said(&output);
        assert!(!text.contains("s-") && text.contains("***"), "{more:?}: {text}");
        assert_eq!(output.status.code(), Some(4));
    }
    for level in ["standard", "rigorous"] {
        for format in ["text", "json"] {
            let arguments = ["verify", "--level", level, "--format", format];
            let output = whimbrel(folder.path(), &arguments);
            let text = said(&output);
            assert!(!text.contains("s-"), "{text}");
            assert_eq!(output.status.code(), Some(4), "{text}");
        }
    }
    let repair = [&compare[..], &["--repair", "repair.sql"]].concat();
    let output = whimbrel(folder.path(), &repair);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("WB0737"), "{output:?}");
    assert!(!folder.path().join("repair.sql").exists());
    let output = whimbrel(folder.path(), &[&repair[..], &["--show-sensitive"]].concat());
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(script(folder.path()).contains("s-one") && said(&output).contains("s-else"));
}

#[test]
fn the_key_of_a_row_is_masked_where_it_is_sensitive() {
    let folder = migrated(&PLAN.replace("csv\"\n", "csv\"\nsensitive = [\"id\"]\n"));
    sqlite(&folder.path().join("shop.db"), "UPDATE shop SET name = 'x' WHERE id = 2");
    for arguments in
        [&["compare", "whimbrel.toml", "--wait", "1ms"][..], &["verify", "--level", "rigorous"]]
    {
        let text = said(&whimbrel(folder.path(), arguments));
        assert!(text.contains("changed ***: name"), "{text}");
        assert!(!text.contains("changed 2"), "{text}");
    }
}

#[test]
fn rows_of_types_that_the_database_has_made_are_read_again() {
    let Some(server) = servers::server_or_skip(Engine::Postgres) else { return };
    let (left, folder) = (server.database("left").unwrap(), tempfile::tempdir().unwrap());
    left.run(
        "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE place AS (x int, y int);
         CREATE TABLE x (id int PRIMARY KEY, w int, v mood, a mood[], p place);
         CREATE TABLE k (v mood PRIMARY KEY, w int);
         INSERT INTO x VALUES (1, 1, 'ok', '{ok,NULL}', '(1,2)'), (2, 2, 'sad', '{}', NULL);
         INSERT INTO k VALUES ('ok', 1), ('sad', 2);",
    )
    .unwrap();
    let right = left.copy("right").unwrap();
    right.run("UPDATE x SET w = 9; UPDATE x SET v = 'sad', a = '{sad}', p = '(3,4)' WHERE id = 1; UPDATE k SET w = 9;").unwrap();
    let answer = suggested(folder.path(), &left.url(), &right.url());
    assert_eq!(answer["repair"]["updates"], 4, "{answer:#}");
    let run = |script: &str| right.run(script).unwrap_or_else(|why| panic!("{why}\n{script}"));
    check_repaired(folder.path(), &left.url(), &right.url(), &run);
}

#[test]
fn what_the_engine_would_refuse_or_read_otherwise_is_not_suggested() {
    let Some(server) = servers::server_or_skip(Engine::Postgres) else { return };
    let (left, folder) = (server.database("left").unwrap(), tempfile::tempdir().unwrap());
    left.run(
        "CREATE TABLE above (id int PRIMARY KEY, v text); CREATE TABLE below () INHERITS (above);
         CREATE TABLE parts (id int PRIMARY KEY, v text) PARTITION BY RANGE (id);
         CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (9);
         CREATE TABLE counted (id int PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY);
         CREATE TABLE serial (id serial PRIMARY KEY, v text);
         CREATE TABLE days (id int PRIMARY KEY, a date[]);
         INSERT INTO above VALUES (1, 'a'); INSERT INTO below VALUES (2, 'b'); INSERT INTO parts VALUES (1, 'a');
         INSERT INTO counted (id) VALUES (1), (2); INSERT INTO serial (v) VALUES ('x');
         INSERT INTO days VALUES (1, '{2024-02-29,infinity}'), (2, '{0044-03-15 BC}'), (3, '{12345-01-01}');",
    )
    .unwrap();
    let right = left.copy("right").unwrap();
    right
        .run(
            "UPDATE above SET v = 'x'; UPDATE parts SET v = 'x'; DELETE FROM counted; DELETE FROM serial;
             INSERT INTO counted (id) VALUES (1), (2); UPDATE days SET a = NULL;",
        )
        .unwrap();
    let answer = suggested(folder.path(), &left.url(), &right.url());
    let script = script(folder.path());
    assert!(script.contains("-- not suggested: changed 1: tables inherit"), "{script}");
    let always = "changed 2, column `n`: the engine numbers the column always";
    assert!(script.contains(always), "{script}");
    assert!(script.contains("UPDATE \"parts\" SET \"v\" = 'a'"), "{script}");
    assert!(script.contains("-- not suggested: changed 2, column `a`"), "{script}");
    assert!(script.contains("-- not suggested: changed 3, column `a`"), "{script}");
    assert!(script.contains("'{\"2024-02-29\",\"infinity\"}'"), "{script}");
    assert!(script.contains("-- a sequence behind `id` is not moved"), "{script}");
    assert!(answer["repair"]["updates"].as_u64() >= Some(2), "{answer:#}");
    right.run(&committing(folder.path())).unwrap();
}

#[test]
fn references_are_looked_at_though_nothing_is_kept() {
    let Some(server) = servers::server_or_skip(Engine::Postgres) else { return };
    let (left, folder) = (server.database("left").unwrap(), tempfile::tempdir().unwrap());
    left.run(
        "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);
         CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p DEFERRABLE);",
    )
    .unwrap();
    let right = left.copy("right").unwrap();
    right.run("INSERT INTO p VALUES (2);").unwrap();
    suggested(folder.path(), &left.url(), &right.url());
    right.run("INSERT INTO c VALUES (1, 2);").unwrap();
    assert!(right.run(&script(folder.path())).is_err());
}

#[test]
fn keys_that_differ_in_their_letters_only_make_room_for_each_other() {
    let Some(server) = servers::server_or_skip(Engine::Mysql) else { return };
    let (left, folder) = (server.database("left").unwrap(), tempfile::tempdir().unwrap());
    left.run(
        "CREATE TABLE t (k varchar(20) PRIMARY KEY, v int) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;
         INSERT INTO t VALUES ('Ann', 1), ('bob', 2);",
    )
    .unwrap();
    let right = left.copy("right").unwrap();
    right.run("UPDATE t SET k = 'ANN' WHERE v = 1; UPDATE t SET k = 'bob ' WHERE v = 2;").unwrap();
    suggested(folder.path(), &left.url(), &right.url());
    let run = |script: &str| right.run(script).unwrap_or_else(|why| panic!("{why}\n{script}"));
    check_repaired(folder.path(), &left.url(), &right.url(), &run);
}

#[test]
fn no_row_without_a_key_is_removed_where_another_one_cannot_be_added() {
    let folder = pair("", "");
    let open = |name: &str, sql: &str| {
        Connection::open(folder.path().join(name)).unwrap().execute_batch(sql).unwrap();
    };
    open("left.db", "CREATE TABLE t (v TEXT); INSERT INTO t VALUES ('a'), ('new'), (NULL)");
    open("right.db", "CREATE TABLE t (v TEXT NOT NULL); INSERT INTO t VALUES ('a'), ('old')");
    let answer = suggested(folder.path(), "left.db", "right.db");
    let script = script(folder.path());
    let repair = &answer["repair"];
    assert_eq!(repair["deletes"], 0, "{script}");
    let said = "\n-- not suggested, as a row that is missing cannot be added: DELETE FROM `t`";
    assert_eq!((&repair["not_suggested"], &repair["inserts"]), (&2.into(), &1.into()), "{script}");
    assert!(script.contains(said) && !script.contains("\nDELETE"), "{script}");
}

/// What is suggested for the damaged target of a plan.
fn of_plan(folder: &Path) -> String {
    let arguments = ["compare", "whimbrel.toml", "--wait", "1ms", "--repair", "repair.sql"];
    let output = whimbrel(folder, &arguments);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    script(folder)
}

#[track_caller]
fn check_spared(folder: &Path, kinds: &[&str], why: &str) {
    let script = of_plan(folder);
    for (kind, verb) in [("missing", "INSERT"), ("changed", "UPDATE"), ("extra", "DELETE")] {
        let is_spared = kinds.contains(&kind);
        assert_eq!(script.contains(&format!("\n-- not suggested: {kind}")), is_spared, "{script}");
        assert_eq!(script.contains(&format!("\n{verb} ")), !is_spared, "{script}");
    }
    assert!(script.contains(why), "{script}");
}

#[test]
fn what_the_plan_writes_by_sql_is_left_alone() {
    let relate = "[[relate]]\nname = \"touch\"\nsql = \"UPDATE shop SET name = 'dan' WHERE id = 3\"\nwrites = \"shop\"\n";
    let folder = migrated(&format!("{PLAN}\n{relate}"));
    sqlite(&folder.path().join("shop.db"), DAMAGED);
    check_spared(
        folder.path(),
        &["missing", "changed", "extra"],
        "SQL of the plan writes to the table",
    );
}

#[test]
fn what_stood_there_before_a_plan_is_left_alone() {
    let shop = "CREATE TABLE shop (id INTEGER PRIMARY KEY, name TEXT, secret TEXT);";
    for (before, keep, why) in [
        (
            "INSERT INTO shop VALUES (9, 'own', 's-own');",
            "",
            "was empty before the plan's first load",
        ),
        ("", "existing = \"keep\"\n", "`existing = \"keep\"`"),
    ] {
        let folder =
            laid_out(&PLAN.replace("key = [\"id\"]\n", &format!("key = [\"id\"]\n{keep}")));
        let target = folder.path().join("shop.db");
        sqlite(&target, &format!("{shop}{before}"));
        let output = whimbrel(folder.path(), &["migrate"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        sqlite(&target, DAMAGED);
        check_spared(folder.path(), &["changed", "extra"], why);
        assert!(!script(folder.path()).contains("\nDELETE"));
    }
}

#[test]
fn what_sql_puts_into_a_table_is_masked() {
    let plan = PLAN.replace("csv\"\n", "csv\"\nsensitive = [\"secret\"]\n");
    let relate =
        "[[relate]]\nname = \"leak\"\nsql = \"UPDATE shop SET name = secret\"\nwrites = \"shop\"\n";
    let folder = migrated(&format!("{plan}\n{relate}"));
    let output = whimbrel(folder.path(), &["compare", "whimbrel.toml", "--wait", "1ms"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(text.contains("***") && !text.contains("s-one"), "{text}");
}

#[test]
fn a_list_of_what_is_sensitive_is_its_owners_alone() {
    let folder = migrated(&PLAN.replace("csv\"\n", "csv\"\nsensitive = [\"secret\"]\n"));
    sqlite(&folder.path().join("shop.db"), DAMAGED);
    fs::write(folder.path().join("rows.jsonl"), "").unwrap();
    let arguments = [
        "compare",
        "whimbrel.toml",
        "--wait",
        "1ms",
        "--all",
        "--list",
        "rows.jsonl",
        "--show-sensitive",
    ];
    let output = whimbrel(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let mode = fs::metadata(folder.path().join("rows.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}
