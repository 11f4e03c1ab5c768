//! `verify`, as a person runs it, on every engine: what passes, what is found and how it is named, and
//! that a verification which failed is remembered.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use rusqlite::Connection;
use serde_json::Value as Json;
use tempfile::TempDir;
use whimbrel_testkit::proxy::{Cut, Direction, Proxy};
use whimbrel_testkit::servers::{self, Database, Engine};

const PLAN: &str = r#"
name     = "shop"
target   = "${TARGET}"
timezone = "Europe/Berlin"

[source.people]
csv  = "people.csv"
null = ["-"]

[source.orders]
csv = "orders.csv"

[[table]]
into = "people"
from = "people"
key  = ["id"]
[table.columns]
id   = { from = "NO", type = "integer" }
name = { from = "NAME", type = "text(40)", trim = true }
born = { from = "BORN", type = "date", timestamp = "%d.%m.%Y", invalid = "null" }

[[table]]
into  = "orders"
from  = "orders"
key   = ["id"]
where = "STATE != 'void'"
[table.columns]
id     = { uuid5 = ["NO"] }
person = { ref = "people", by = "WHO" }
total  = { from = "TOTAL", type = "decimal(10,2)" }
at     = { from = "AT", type = "timestamp", timestamp = "%Y-%m-%d %H:%M:%S" }
paid   = { cel = "STATE == 'paid'", type = "boolean" }
"#;

const PEOPLE: &str =
    "NO,NAME,BORN\n1, Ann ,01.02.1990\n2,Ben,-\n3,NULL,31.02.1999\nx,Eve,01.01.2000\n";
const ORDERS: &str = "NO,WHO,TOTAL,AT,STATE\na,1,10.50,2024-03-30 10:00:00,paid\nb,2,7,2024-03-31 12:00:00,open\n\
    c,9,1,2024-04-01 00:00:00,paid\nd,1,3,2024-04-01 00:00:00,void\ne,3,-2.25,2024-04-02 00:00:00.5,open\n\
    f,3,2.25,2024-04-02 00:00:00,open\n";

/// A folder with plan and sources, and a target that is empty.
struct Shop<'a> {
    folder: TempDir,
    database: Option<Database<'a>>,
}

impl Shop<'_> {
    fn on_sqlite() -> Self {
        let shop = Self { folder: tempfile::tempdir().unwrap(), database: None };
        shop.write("whimbrel.toml", PLAN);
        shop.write("people.csv", PEOPLE);
        shop.write("orders.csv", ORDERS);
        shop
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn target(&self) -> String {
        self.database.as_ref().map_or("sqlite:shop.db".to_owned(), Database::url)
    }

    fn sql(&self, sql: &str) {
        match &self.database {
            Some(database) => database.run(sql).unwrap(),
            None => {
                let file = self.folder.path().join("shop.db");
                Connection::open(file).unwrap().execute_batch(sql).unwrap();
            }
        }
    }

    fn whimbrel(&self, arguments: &[&str]) -> Output {
        command(self.folder.path(), arguments, &self.target()).output().unwrap()
    }

    #[track_caller]
    fn ends(&self, arguments: &[&str], code: i32) -> String {
        let output = self.whimbrel(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
        said
    }

    /// What a verification says in JSON.
    #[track_caller]
    fn verified(&self, level: &str, code: i32) -> Json {
        let output = self.whimbrel(&["verify", "--level", level, "--format", "json"]);
        let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{answer:#}");
        answer["data"].clone()
    }
}

fn command(folder: &Path, arguments: &[&str], target: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("TARGET", target)
        .env("WHIMBREL_PROGRESS", "none")
        .stdin(Stdio::null());
    command
}

/// The shop on every engine that can be reached.
fn everywhere(test: impl Fn(&Shop<'_>)) {
    test(&Shop::on_sqlite());
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = Some(server.database("verify").unwrap());
        let Shop { folder, .. } = Shop::on_sqlite();
        test(&Shop { folder, database });
    }
}

/// The checks that did not pass, a line each, and the rows that differ.
fn told(data: &Json) -> String {
    let mut lines = Vec::new();
    for check in data["checks"].as_array().unwrap() {
        let word = |key: &str| check[key].as_str().unwrap_or_default().to_owned();
        if word("status") != "passed" {
            lines.push(format!(
                "{} {} {}: {}",
                word("status"),
                word("type"),
                word("name"),
                word("message")
            ));
        }
    }
    for row in data["rows"].as_array().unwrap() {
        let word = |of: &Json, key: &str| match &of[key] {
            Json::String(text) => text.clone(),
            _ => "NULL".to_owned(),
        };
        let cells = row["cells"].as_array().unwrap().iter().map(|cell| {
            format!(
                " {} {} -> {}",
                word(cell, "column"),
                word(cell, "expected"),
                word(cell, "found")
            )
        });
        let cells: Vec<String> = cells.collect();
        lines.push(format!(
            "{} {} {}{}",
            word(row, "table"),
            word(row, "how"),
            word(row, "key"),
            cells.join(",")
        ));
    }
    lines.join("\n") + "\n"
}

#[test]
fn what_was_loaded_is_verified_at_every_level_on_every_engine() {
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        for level in ["basic", "standard", "rigorous", "forensic"] {
            let data = shop.verified(level, 0);
            assert_eq!(data["passed"], true);
        }
        let coverage = &shop.verified("rigorous", 0)["coverage"];
        assert_eq!(coverage["rows"], coverage["derived"], "{coverage}");
        assert_eq!(coverage["rows"], coverage["proved"], "{coverage}");
    });
}

/// Changes the target by hand, and looks what is said of it.
fn check(sql: &str, level: &str, expect: Expect) {
    let expect = &expect;
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.sql(sql);
        expect.assert_eq(&told(&shop.verified(level, 4)));
    });
}

#[test]
fn a_missing_row_is_missed_by_the_counts() {
    check(
        "DELETE FROM orders WHERE total = 7",
        "basic",
        expect![[r#"
        failed count orders: 1 row missing
    "#]],
    );
}

#[test]
fn a_changed_cell_has_another_digest_and_the_row_is_named() {
    check(
        "UPDATE people SET name = 'Ann ' WHERE id = 1",
        "standard",
        expect![[r#"
            failed digest people: 1 row is not as it was loaded
            people changed 1
        "#]],
    );
}

#[test]
fn rows_that_nobody_has_loaded_and_rows_that_are_gone_are_told_apart() {
    check(
        "DELETE FROM people WHERE id = 3; INSERT INTO people (id, name) VALUES (7, 'Gus');",
        "standard",
        expect![[r#"
            failed digest people: 1 row is missing; 1 row was loaded by nobody
            people missing 3
            people extra 7
        "#]],
    );
}

#[test]
fn rigorous_names_the_cells_and_what_they_should_be() {
    check(
        "UPDATE orders SET total = -total WHERE total = 2.25; UPDATE people SET name = NULL WHERE id = 3;",
        "rigorous",
        expect![[r#"
            failed digest people: 1 row is not as it was loaded
            failed digest orders: 1 row is not as it was loaded
            failed rows people: 1 row with other values, in `name`
            failed rows orders: 1 row with other values, in `total`
            people changed 3 name NULL -> NULL
            orders changed f3801a84-efc0-5a71-ad1f-469f04575a6f total 2.25 -> -2.25
        "#]],
    );
}

#[test]
fn a_run_that_others_disturb_is_not_complete_before_it_is_settled() {
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.sql("UPDATE people SET name = 'Bob' WHERE id = 2");
        shop.ends(&["verify"], 4);
        shop.write("people.csv", &format!("{PEOPLE}5,Fay,-\n"));
        let said = shop.ends(&["migrate", "--incremental", "--yes"], 4);
        assert!(said.contains("WB0806"), "{said}");
        let said = shop.ends(&["rejects", "retry"], 4);
        assert!(said.contains("WB0806"), "{said}");
        shop.sql("UPDATE people SET name = 'Ben' WHERE id = 2");
        shop.ends(&["verify"], 0);
        shop.ends(&["migrate", "--incremental", "--yes"], 0);
        shop.ends(&["verify", "--level", "rigorous"], 0);
    });
}

#[test]
fn a_waived_verification_stands_and_says_who() {
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        let said = shop.ends(&["verify", "--waive", "because"], 6);
        assert!(said.contains("no verification of run"), "{said}");
        shop.sql("UPDATE people SET name = 'Bob' WHERE id = 2");
        shop.ends(&["verify"], 4);
        shop.ends(&["verify", "--waive", "  "], 2);
        shop.ends(&["verify", "--waive", "Bob it is"], 0);
        // The next run verifies what it loads itself.
        shop.write("people.csv", &format!("{PEOPLE}5,Fay,-\n"));
        shop.ends(&["migrate", "--incremental", "--yes"], 0);
        shop.ends(&["verify"], 4);
        let said = shop.ends(&["audit"], 0);
        assert!(said.contains("verification.waived") && said.contains("Bob it is"), "{said}");
    });
}

#[test]
fn a_source_that_has_changed_proves_nothing() {
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.write("orders.csv", &ORDERS.replace("10.50", "10.51"));
        let data = shop.verified("rigorous", 8);
        assert!(
            told(&data).contains("unverified source orders: `orders.csv` has changed"),
            "{data:#}"
        );
        shop.verified("standard", 0);
    });
}

#[test]
fn the_plan_says_how_closely_a_run_is_verified() {
    let shop = Shop::on_sqlite();
    shop.write("whimbrel.toml", &format!("verify = \"none\"\n{PLAN}"));
    shop.ends(&["migrate", "--yes"], 3);
    let said = shop.ends(&["report"], 0);
    assert!(!said.contains("verification"), "{said}");
    let shop = Shop::on_sqlite();
    shop.write("whimbrel.toml", &format!("verify = \"rigorous\"\n{PLAN}"));
    shop.ends(&["migrate", "--yes"], 3);
    shop.write("whimbrel.toml", &format!("verify = \"rigourous\"\n{PLAN}"));
    let said = shop.ends(&["validate"], 2);
    assert!(said.contains("did you mean `rigorous`"), "{said}");
}

#[test]
fn a_run_that_has_still_to_load_is_not_called_verified() {
    let shop = Shop::on_sqlite();
    shop.ends(&["migrate", "--yes", "--deadline", "0s"], 75);
    let said = shop.ends(&["verify"], 6);
    assert!(said.contains("WB0623"), "{said}");
    shop.ends(&["migrate", "--yes"], 3);
    shop.ends(&["verify"], 0);
}

#[test]
fn without_a_run_there_is_nothing_to_verify() {
    let shop = Shop::on_sqlite();
    shop.ends(&["verify"], 2);
    assert!(!shop.folder.path().join("shop.db").exists());
}

#[test]
fn a_server_that_goes_away_is_neither_a_pass_nor_a_difference() {
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = server.database("cut").unwrap();
        let Shop { folder, .. } = Shop::on_sqlite();
        let shop = Shop { folder, database: Some(database) };
        shop.ends(&["migrate", "--yes"], 3);
        let proxy = Proxy::start(engine, server.upstream()).unwrap();
        let direct = shop.database.as_ref().unwrap().tcp_url().unwrap();
        let through = url_at(&direct, proxy.port());
        let mut unverified = 0;
        for bytes in (1..14).map(|turn| turn * turn * 300) {
            for arguments in
                [&["verify", "--level", "rigorous"][..], &["compare", &direct, &through][..]]
            {
                let before = proxy.cuts();
                proxy.arm(Cut::After(Direction::Reply, bytes));
                let output = command(shop.folder.path(), arguments, &through).output().unwrap();
                proxy.disarm();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let code = output.status.code().unwrap();
                match (code, proxy.cuts() > before) {
                    (8, true) => unverified += 1,
                    // Behind its last row, or before a read that can be done again.
                    (0, _) => {}
                    (code, cut) => panic!("{arguments:?}, {bytes} bytes, {cut}: {code}\n{said}"),
                }
            }
        }
        assert!(unverified >= 6, "{engine:?}: {unverified}");
        shop.ends(&["verify", "--level", "rigorous"], 0);
    }
}

/// The same URL at another port of this machine.
fn url_at(url: &str, port: u16) -> String {
    let (server, name) = url.rsplit_once('/').unwrap();
    let (host, _) = server.rsplit_once(':').unwrap();
    format!("{host}:{port}/{name}")
}

#[test]
fn what_may_not_be_read_is_neither_a_pass_nor_a_difference() {
    let Some(server) = servers::server_or_skip(Engine::Postgres) else { return };
    let database = server.database("rights").unwrap();
    let role = format!("r_{}", database.name());
    let Shop { folder, .. } = Shop::on_sqlite();
    let shop = Shop { folder, database: Some(database) };
    shop.ends(&["migrate", "--yes"], 3);
    shop.sql(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'p'; GRANT CREATE, USAGE ON SCHEMA whimbrel TO {role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA whimbrel TO {role};
         GRANT SELECT ON people TO {role}"
    ));
    let owner = shop.target();
    let direct = shop.database.as_ref().unwrap().tcp_url().unwrap();
    let (_, place) = direct.rsplit_once('@').unwrap();
    let blind = format!("postgres://{role}:p@{place}");
    for arguments in [&["verify"][..], &["compare", &owner, &blind][..]] {
        let output = command(shop.folder.path(), arguments, &blind).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(8), "{arguments:?}\n{said}");
        assert!(said.contains("orders"), "{said}");
    }
    shop.sql(&format!("GRANT SELECT ON orders TO {role}"));
    for arguments in [&["verify"][..], &["compare", &owner, &blind][..]] {
        let output = command(shop.folder.path(), arguments, &blind).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?} {output:?}");
    }
    shop.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn a_table_that_is_gone_is_a_difference() {
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.sql("DROP TABLE orders");
        for level in ["basic", "standard", "rigorous"] {
            let data = shop.verified(level, 4);
            assert!(told(&data).contains("failed structure orders"), "{}", told(&data));
        }
    });
}

/// A plan that updates rows which are there.
const UPDATES: &str = r#"
name   = "updates"
target = "${TARGET}"

[source.old]
csv = "a*.csv"

[[table]]
into     = "people"
from     = "old"
key      = ["id"]
existing = "update"
[table.columns]
id  = { from = "ID", type = "integer" }
age = { from = "AGE", type = "integer" }
"#;

#[test]
fn rows_that_stood_there_and_were_updated_are_not_gone() {
    everywhere(|shop| {
        shop.sql("CREATE TABLE people (id BIGINT NOT NULL PRIMARY KEY, age BIGINT)");
        shop.sql("INSERT INTO people VALUES (1, 7), (2, 20), (9, 9)");
        shop.write("whimbrel.toml", UPDATES);
        shop.write("a1.csv", "ID,AGE\n1,10\n2,20\n5,50\n");
        shop.ends(&["migrate", "--yes"], 0);
        for level in ["basic", "standard", "rigorous"] {
            let data = shop.verified(level, 0);
            assert!(data["passed"].as_bool().unwrap(), "{data:#}");
        }
        shop.sql("DELETE FROM people WHERE id = 9");
        let data = shop.verified("standard", 4);
        assert!(told(&data).contains("rows that stood there before are gone"), "{}", told(&data));
    });
}

#[test]
fn what_a_later_run_has_updated_is_not_called_damaged() {
    everywhere(|shop| {
        shop.write("whimbrel.toml", UPDATES);
        shop.write("a1.csv", "ID,AGE\n1,10\n2,20\n");
        shop.ends(&["migrate", "--yes"], 0);
        shop.write("a2.csv", "ID,AGE\n1,11\n3,30\n");
        shop.ends(&["migrate", "--incremental"], 0);
        shop.verified("standard", 0);
        let data = shop.verified("rigorous", 0);
        assert_eq!(data["coverage"]["derived"], 3, "{}", told(&data));
        shop.sql("UPDATE people SET age = 12 WHERE id = 1");
        let data = shop.verified("rigorous", 4);
        let cell = &data["rows"][0]["cells"][0];
        assert_eq!((&cell["expected"], &cell["found"]), (&"11".into(), &"12".into()), "{cell}");
    });
}

impl Shop<'_> {
    /// Rows of `people`, as `id age`.
    fn ages(&self) -> Vec<String> {
        let query = "SELECT id, age FROM people ORDER BY id";
        match &self.database {
            Some(database) => {
                let text = |cell: &Option<Vec<u8>>| {
                    cell.as_ref().map(|it| String::from_utf8_lossy(it).into_owned())
                };
                let rows = database.rows(query).unwrap();
                let shown = |row: &Vec<Option<Vec<u8>>>| {
                    row.iter().filter_map(text).collect::<Vec<_>>().join(" ")
                };
                rows.iter().map(shown).collect()
            }
            None => {
                let open = Connection::open(self.folder.path().join("shop.db")).unwrap();
                let mut rows = open.prepare(query).unwrap();
                let shown = |row: &rusqlite::Row<'_>| {
                    Ok(format!("{} {}", row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
                };
                rows.query_map([], shown).unwrap().map(Result::unwrap).collect()
            }
        }
    }
}

#[test]
fn a_later_load_meets_rows_as_the_load_before_has_left_them_and_not_as_sql_has() {
    everywhere(|shop| {
        let step = "[[relate]]\nname = \"older\"\nwrites = [\"people\"]\n\
            sql = \"UPDATE people SET age = age + 1\"\nundo = \"UPDATE people SET age = age - 1\"\n";
        shop.write("whimbrel.toml", &format!("{UPDATES}{step}"));
        shop.write("a1.csv", "ID,AGE\n1,10\n2,20\n4,40\n");
        shop.ends(&["migrate", "--yes"], 0);
        assert_eq!(shop.ages(), ["1 11", "2 21", "4 41"]);
        // As it stands after the step, another value, and a new row.
        shop.write("a2.csv", "ID,AGE\n1,11\n2,22\n3,30\n");
        for point in ["core.relate.undo.before_commit", "core.relate.undo.after_commit"] {
            let killed = command(shop.folder.path(), &["migrate", "--incremental"], &shop.target())
                .env("WHIMBREL_FAILPOINT", format!("{point}:1"))
                .output()
                .unwrap();
            assert_eq!(killed.status.code(), None, "{point} {killed:?}");
        }
        assert_eq!(
            shop.ages(),
            ["1 10", "2 20", "4 40"],
            "it is taken back, and nothing is loaded"
        );
        shop.ends(&["migrate", "--incremental"], 0);
        assert_eq!(shop.ages(), ["1 12", "2 23", "3 31", "4 41"]);
        shop.ends(&["migrate", "--incremental"], 0);
        assert_eq!(shop.ages(), ["1 12", "2 23", "3 31", "4 41"]);
        shop.verified("standard", 0);
    });
}
