//! `verify --level forensic` and `prove`, as a person runs them, on every engine: what is told of a record and
//! of a row, who can check it without Whimbrel, and that whatever is touched afterwards is found.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, clippy::print_stderr)] // tests

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use rusqlite::Connection;
use serde_json::{Value as Json, json};
use tempfile::TempDir;
use whimbrel_testkit::servers::{self, Database, Engine};

const PLAN: &str = r#"
name   = "shop"
target = "${TARGET}"

[source.people]
csv = "people.csv"

[source.orders]
csv = "orders.csv"

[source.old]
database = "sqlite:old.db"
table    = "stock"
ignore   = ["hall"]

[[table]]
into       = "people"
from       = "people"
key        = ["id"]
duplicates = { by = ["name"], conflict = "map" }
[table.columns]
id   = { from = "NO", type = "integer" }
name = { from = "NAME", type = "text(40)", trim = true }
[[table.rule]]
name = "nobody is called Eve"
cel  = "new.name != 'Eve'"

[[table]]
into  = "orders"
from  = "orders"
key   = ["person", "no"]
where = "STATE != 'void'"
[table.columns]
person = { ref = "people", by = "WHO" }
no     = { from = "NO", type = "text(9)" }
total  = { from = "TOTAL", type = "decimal(10,2)" }

[[table]]
into = "stock"
from = "old"
key  = ["ware"]
[table.columns]
ware = { from = "ware", type = "text(9)" }
many = { from = "many", type = "integer" }

[[relate]]
name   = "gifts"
sql    = """
UPDATE orders SET total = 0 WHERE no = 'b/1';
DELETE FROM orders WHERE no = 'e';
INSERT INTO orders (person, no, total) VALUES (1, 'gift', 0);
"""
undo   = "DELETE FROM orders WHERE no = 'gift'"
writes = "orders"
"#;

const PEOPLE: &str = "NO,NAME\n1, Ann \n2,Ben\n7,Ann\nx,Zoe\n5,Eve\n1,Ann\n";
const ORDERS: &str = "NO,WHO,TOTAL,STATE\na,1,10.50,paid\nb/1,2,7,open\nc,9,1,paid\nd,1,3,void\ne,7,2,open\n\"f\n\",1,1,open\ng,2,1.10,x\n";

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
        let old = Connection::open(shop.folder.path().join("old.db")).unwrap();
        old.execute_batch(
            "CREATE TABLE stock (hall INTEGER NOT NULL, ware TEXT NOT NULL, many INTEGER, PRIMARY KEY (hall, ware));
             INSERT INTO stock VALUES (1, 'nut', 3), (1, 'bolt', 4), (2, 'bolt', 9);",
        )
        .unwrap();
        shop
    }

    /// Migrated and verified, unless somebody signs.
    fn verified() -> Self {
        let shop = Self::on_sqlite();
        shop.ends(&["migrate", "--yes"], 3);
        shop.ends(&["verify", "--level", "forensic"], 0);
        shop
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn sql(&self, sql: &str) {
        match &self.database {
            Some(database) => database.run(sql).unwrap(),
            None => Connection::open(self.path("shop.db")).unwrap().execute_batch(sql).unwrap(),
        }
    }

    fn whimbrel(&self, arguments: &[&str]) -> Output {
        let target = self.database.as_ref().map_or("sqlite:shop.db".to_owned(), Database::url);
        Command::new(env!("CARGO_BIN_EXE_whimbrel"))
            .args(arguments)
            .current_dir(self.folder.path())
            .env("TARGET", target)
            .env("WHIMBREL_PROGRESS", "none")
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn ends(&self, arguments: &[&str], code: i32) -> String {
        let output = self.whimbrel(arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
        said
    }

    /// The proof of a record or a row, as a document.
    #[track_caller]
    fn proof(&self, flag: &str, name: &str, code: i32) -> Json {
        let output = self.whimbrel(&["prove", flag, name, "--format", "json"]);
        let answer: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{flag} {name}\n{answer:#}");
        answer["data"].clone()
    }

    /// The folder of the only lineage.
    fn lineage(&self) -> PathBuf {
        let all = fs::read_dir(self.path(".whimbrel/lineage")).unwrap();
        let mut all: Vec<PathBuf> = all.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn kept(&self, name: &str) -> String {
        fs::read_to_string(self.lineage().join(name)).unwrap()
    }

    fn root(&self) -> String {
        let head: Json = serde_json::from_str(&self.kept("head.json")).unwrap();
        head["root"].as_str().unwrap().to_owned()
    }
}

/// The shop on every engine that can be reached.
fn everywhere(test: impl Fn(&Shop<'_>)) {
    test(&Shop::on_sqlite());
    for engine in [Engine::Postgres, Engine::Mysql] {
        let Some(server) = servers::server_or_skip(engine) else { continue };
        let database = Some(server.database("prove").unwrap());
        let Shop { folder, .. } = Shop::on_sqlite();
        test(&Shop { folder, database });
    }
}

/// A line for each leaf of a proof.
fn told(proof: &Json) -> String {
    let mut lines = String::new();
    let states = |n: &Json| {
        let own = proof["now"].as_array().unwrap().iter().filter(|now| now["leaf"] == *n);
        let said = |now: &Json| {
            format!(" {}:{}", now["what"].as_str().unwrap(), now["state"].as_str().unwrap())
        };
        own.map(said).collect::<Vec<_>>().concat()
    };
    for (list, sign) in [("leaves", ""), ("decided_by", "< ")] {
        for proved in proof[list].as_array().unwrap() {
            let leaf: Json = serde_json::from_str(proved["leaf"].as_str().unwrap()).unwrap();
            let place = |of: &Json| format!("{}#{}", of["path"].as_str().unwrap(), of["record"]);
            let from = if leaf["from"].is_null() { "SQL".to_owned() } else { place(&leaf["from"]) };
            let word =
                |name: &str| leaf[name].as_str().map(|word| format!(" {word}")).unwrap_or_default();
            let of = if leaf["of"].is_null() {
                String::new()
            } else {
                format!(" of {}", place(&leaf["of"]))
            };
            let rows = leaf["rows"].as_array().into_iter().flatten();
            let rows = rows.map(|row| format!(" {}", row["key"])).collect::<Vec<_>>().concat();
            let fate = leaf["fate"].as_str().unwrap();
            let table = leaf["table"].as_str().unwrap();
            let _ = writeln!(
                lines,
                "{sign}{from} {table} {fate}{}{}{of}{rows}{}",
                word("code"),
                word("rule"),
                states(&leaf["n"])
            );
        }
    }
    lines
}

#[track_caller]
fn check(shop: &Shop<'_>, flag: &str, name: &str, expect: &Expect) {
    expect.assert_eq(&told(&shop.proof(flag, name, 0)));
}

#[test]
fn every_fate_of_a_record_is_told_on_every_engine() {
    let records = [
        ("people.csv:2", expect!["people.csv#1 people loaded [\"1\"] record:same row:same\n"]),
        (
            "people.csv#3",
            expect![[r#"
                people.csv#3 people duplicate of people.csv#1 record:same
                < people.csv#1 people loaded ["1"] row:same
            "#]],
        ),
        ("people.csv:5", expect!["people.csv#4 people rejected WB0230 record:same\n"]),
        (
            "people.csv:6",
            expect!["people.csv#5 people rejected WB0251 nobody is called Eve record:same\n"],
        ),
        ("orders.csv:4", expect!["orders.csv#3 orders rejected WB0247 record:same\n"]),
        ("orders.csv:5", expect!["orders.csv#4 orders filtered where record:same\n"]),
        (
            "old/1/bolt",
            expect![[r#"
            stock#1 stock loaded ["bolt"] record:same row:same
        "#]],
        ),
        (
            r#"old/[2, "bolt"]"#,
            expect![[r#"
                stock#3 stock rejected WB0602 of stock#1 record:same
                < stock#1 stock loaded ["bolt"] row:same
            "#]],
        ),
    ];
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.ends(&["verify", "--level", "forensic"], 0);
        for (name, expect) in &records {
            check(shop, "--record", name, expect);
        }
    });
}

#[test]
fn a_row_is_told_with_everything_that_it_was_made_of() {
    let rows = [
        (
            "people/1",
            expect![[r#"
                people.csv#1 people loaded ["1"] record:same row:same
                people.csv#3 people duplicate of people.csv#1 record:same
                people.csv#6 people duplicate of people.csv#1 record:same
            "#]],
        ),
        ("orders/1/a", expect!["orders.csv#1 orders loaded [\"1\",\"a\"] record:same row:same\n"]),
        // SQL of the plan has changed it since.
        (
            r#"orders/[2, "b/1"]"#,
            expect![[r#"
                orders.csv#2 orders loaded ["2","b/1"] record:same row:rewritten
                SQL orders attested gifts ["2","b/1"] row:same
            "#]],
        ),
        (
            "orders/1/e",
            expect![[r#"
                orders.csv#5 orders loaded ["1","e"] record:same row:rewritten
                SQL orders removed gifts ["1","e"] row:same
            "#]],
        ),
        ("orders/1/gift", expect!["SQL orders attested gifts [\"1\",\"gift\"] row:same\n"]),
    ];
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.ends(&["verify", "--level", "forensic"], 0);
        for (name, expect) in &rows {
            check(shop, "--row", name, expect);
        }
        check(
            shop,
            "--record",
            "orders.csv:6",
            &expect![[r#"
                orders.csv#5 orders loaded ["1","e"] record:same row:rewritten
                < SQL orders removed gifts ["1","e"]
            "#]],
        );
    });
}

#[test]
fn people_read_the_same_proof() {
    let shop = Shop::verified();
    let said = shop.ends(&["prove", "--record", "people.csv#3"], 0);
    let said: Vec<&str> = said.lines().take(9).collect();
    expect![[r#"
        people.csv:4 (record 3 of source `people`)
          table   people
          fate    duplicate
          of      it counts as `people.csv#1`
          record  as it was, sha256 5b96be88c58bd543…
          leaf    2 of 19; 5 hashes lead to the root

        people.csv:2 (record 1 of source `people`)
          table   people"#]]
    .assert_eq(&said.join("\n"));
}

#[test]
fn a_lineage_is_the_same_every_time() {
    let shop = Shop::verified();
    let (leaves, root) = (shop.kept("leaves.jsonl"), shop.root());
    shop.ends(&["verify", "--level", "forensic"], 0);
    assert_eq!((shop.kept("leaves.jsonl"), shop.root()), (leaves, root));
    shop.proof("--record", "people.csv:2", 0);
}

#[test]
fn a_run_verifies_itself_so_and_so_do_those_that_continue_it() {
    everywhere(|shop| {
        shop.write("whimbrel.toml", &format!("verify = \"forensic\"\n{PLAN}"));
        shop.ends(&["migrate", "--yes"], 3);
        check(
            shop,
            "--row",
            "people/2",
            &expect!["people.csv#2 people loaded [\"2\"] record:same row:same\n"],
        );
        // Rejects, duplicates and ordinals of the run before count still.
        shop.write("people.csv", &format!("{PEOPLE}8,Ben\n9,Gus\ny,Hal\n"));
        shop.ends(&["migrate", "--incremental", "--yes"], 3);
        check(
            shop,
            "--record",
            "people.csv:8",
            &expect![[r#"
            people.csv#7 people duplicate of people.csv#2 record:same
            < people.csv#2 people loaded ["2"] row:same
        "#]],
        );
        check(
            shop,
            "--record",
            "people.csv:5",
            &expect!["people.csv#4 people rejected WB0230 record:same\n"],
        );
        shop.ends(&["rejects", "export", "fixes"], 0);
        let fixes = fs::read_dir(shop.path("fixes")).unwrap();
        let mended = fixes
            .map(|entry| entry.unwrap().path())
            .find(|path| fs::read_to_string(path).is_ok_and(|text| text.contains("x,Zoe")));
        let mended = mended.unwrap();
        let text = fs::read_to_string(&mended).unwrap();
        fs::write(&mended, text.replace("x,Zoe", "4,Zoe")).unwrap();
        shop.ends(&["rejects", "retry", "--from", "fixes"], 0);
        check(
            shop,
            "--record",
            "people.csv:5",
            &expect!["people.csv#4 people loaded [\"4\"] record:same row:same\n"],
        );
    });
}

#[test]
fn what_is_not_there_is_told_with_what_comes_nearest() {
    let shop = Shop::on_sqlite();
    shop.ends(&["migrate", "--yes"], 3);
    let said = shop.ends(&["prove", "--record", "people.csv:2"], 8);
    assert!(said.contains("WB0822") && said.contains("whimbrel verify --level forensic"), "{said}");
    shop.ends(&["verify", "--level", "forensic"], 0);
    for (flag, name, near) in [
        ("--record", "orders.csv:8", "records begin in line 7 and in line 9"),
        ("--record", "people.csv:1", "the first one behind begins in line 2"),
        ("--record", "people.csv:99", "the last one before begins in line 7"),
        ("--record", "poeple.csv:2", "the nearest name is `people.csv`"),
        ("--record", "old/1/nuts", "the nearest name is `old/1/nut`"),
        ("--row", "orders/1/gifts", "the nearest key is `orders/1/gift`"),
        ("--row", "order/1", "tables are `orders`, `people`, `stock`"),
    ] {
        let said = shop.ends(&["prove", flag, name], 2);
        assert!(said.contains("WB0823") && said.contains(near), "{name}: {said}");
    }
    shop.sql("INSERT INTO people VALUES (33, 'Mallory')");
    let said = shop.ends(&["prove", "--row", "people/33"], 2);
    assert!(said.contains("stands in the target, and no record made it"), "{said}");
}

#[test]
fn a_key_with_a_slash_is_named_as_it_is_asked_for() {
    let shop = Shop::verified();
    let said = shop.ends(&["prove", "--row", "orders/2/b/1"], 2);
    assert!(said.contains(r#"where one has a `/`, as `["KEY", "KEY"]`"#), "{said}");
    assert!(!said.contains("the nearest key is `orders/2/b/1`"), "{said}");
    let said = shop.ends(&["prove", "--row", r#"orders/["2","b/1"]"#], 0);
    assert!(said.contains(r#"row     orders/["2","b/1"]"#), "{said}");
}

#[test]
fn a_proof_stands_where_its_row_cannot_be_read_any_more() {
    let shop = Shop::verified();
    shop.sql("ALTER TABLE people DROP COLUMN name");
    let proof = shop.proof("--row", "people/2", 0);
    assert_eq!(told(&proof), "people.csv#2 people loaded [\"2\"] record:same row:unread\n");
    shop.sql("DROP TABLE people");
    let proof = shop.proof("--row", "people/2", 4);
    assert_eq!(told(&proof), "people.csv#2 people loaded [\"2\"] record:same row:gone\n");
}

#[test]
fn rows_of_an_old_table_without_a_key_have_numbers_and_leave_no_values_behind() {
    let shop = Shop::on_sqlite();
    let old = Connection::open(shop.path("old.db")).unwrap();
    old.execute_batch("CREATE TABLE log (said TEXT); INSERT INTO log VALUES ('secret words')")
        .unwrap();
    shop.write(
        "log.toml",
        "name = \"log\"\ntarget = \"sqlite:log.db\"\n[source.log]\ndatabase = \"sqlite:old.db\"\ntable = \"log\"\n\
         [[table]]\ninto = \"log\"\nfrom = \"log\"\nkey = [\"id\"]\n[table.columns]\nid = { fact = \"record.number\" }\n\
         said = \"said\"\n",
    );
    shop.ends(&["migrate", "log.toml", "--yes"], 0);
    shop.ends(&["verify", "--plan", "log.toml", "--level", "forensic"], 0);
    assert!(!shop.kept("leaves.jsonl").contains("secret"), "{}", shop.kept("leaves.jsonl"));
    let said = shop.ends(&["prove", "--plan", "log.toml", "--record", "log#1"], 0);
    assert!(said.contains("row     log/1, as it was"), "{said}");
}

#[test]
fn what_has_changed_since_is_said_and_the_proof_stands() {
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.ends(&["verify", "--level", "forensic"], 0);
        shop.sql("UPDATE people SET name = 'Bob' WHERE id = 2; DELETE FROM orders WHERE no = 'a'; UPDATE orders SET total = 1 WHERE no = 'b/1';");
        let proof = shop.proof("--row", "people/2", 4);
        assert_eq!(told(&proof), "people.csv#2 people loaded [\"2\"] record:same row:changed\n");
        assert_eq!(proof["holds"], true);
        let proof = shop.proof("--row", "orders/1/a", 4);
        assert_eq!(told(&proof), "orders.csv#1 orders loaded [\"1\",\"a\"] record:same row:gone\n");
        shop.proof("--row", r#"orders/[2, "b/1"]"#, 4);
        let said = shop.ends(&["prove", "--row", "people/2"], 4);
        assert!(said.contains("CHANGED SINCE") && said.contains("WB0824"), "{said}");
        shop.write("people.csv", &PEOPLE.replace("5,Eve", "5,Eva"));
        assert_eq!(
            told(&shop.proof("--record", "people.csv:6", 4)),
            "people.csv#5 people rejected WB0251 nobody is called Eve record:changed\n"
        );
        fs::remove_file(shop.path("people.csv")).unwrap();
        assert_eq!(
            told(&shop.proof("--record", "people.csv:5", 4)),
            "people.csv#4 people rejected WB0230 record:gone\n"
        );
    });
}

/// What is done to a lineage or its ledger, and what is said of it.
fn tampered(done: impl Fn(&Shop<'_>), expect: Expect) {
    let shop = Shop::verified();
    done(&shop);
    let proof = shop.proof("--record", "people.csv:2", 4);
    assert_eq!(proof["holds"], false);
    let faults: Vec<String> = proof["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            let words = fault.as_str().unwrap().split(' ');
            let hidden =
                |word: &str| if word.trim_end_matches(',').len() == 64 { "HASH" } else { "" };
            words
                .map(|word| if hidden(word).is_empty() { word } else { "HASH" })
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    expect.assert_eq(&faults.join("\n"));
    let said = shop.ends(&["prove", "--row", "people/1"], 4);
    assert!(said.contains("nothing is proved") && said.contains("WB0821"), "{said}");
}

/// Rewrites the leaves.
fn leaves(shop: &Shop<'_>, with: impl Fn(&mut Vec<String>)) {
    let file = shop.lineage().join("leaves.jsonl");
    let mut lines: Vec<String> =
        fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    with(&mut lines);
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_leaf_that_was_edited_is_found() {
    let edit = |lines: &mut Vec<String>| lines[3] = lines[3].replace("WB0230", "WB0231");
    tampered(
        |shop| leaves(shop, edit),
        expect!["the leaves give the root HASH and the head names HASH"],
    );
}

#[test]
fn a_leaf_that_was_removed_is_found() {
    tampered(
        |shop| leaves(shop, |lines| drop(lines.remove(4))),
        expect![[r#"
            leaf 5 stands in the place of leaf 4
            there are 18 leaves, and the head names 19
            the leaves give the root HASH and the head names HASH"#]],
    );
    // The last one, too.
    tampered(
        |shop| leaves(shop, |lines| drop(lines.pop())),
        expect![[r#"
            there are 18 leaves, and the head names 19
            the leaves give the root HASH and the head names HASH"#]],
    );
}

#[test]
fn leaves_in_another_order_are_found() {
    tampered(
        |shop| leaves(shop, |lines| lines.swap(1, 2)),
        expect![[r#"
            leaf 2 stands in the place of leaf 1
            the leaves give the root HASH and the head names HASH"#]],
    );
}

#[test]
fn what_is_no_leaf_is_found() {
    tampered(
        |shop| leaves(shop, |lines| lines.push("\u{0}".to_owned())),
        expect![[r#"
            line 20 is no leaf
            there are 20 leaves, and the head names 19
            the leaves give the root HASH and the head names HASH"#]],
    );
}

#[test]
fn a_head_that_was_edited_is_found_although_it_fits_its_leaves() {
    tampered(
        |shop| {
            let head = shop.kept("head.json").replace("\"plan\":\"shop\"", "\"plan\":\"ship\"");
            fs::write(shop.lineage().join("head.json"), head).unwrap();
        },
        expect![[r#"
            the audit log names another head
            the checks of the run name no such head"#]],
    );
    tampered(
        |shop| fs::remove_file(shop.lineage().join("head.json")).unwrap(),
        expect![[r#"
            the head is missing
            the audit log names another head
            the checks of the run name no such head"#]],
    );
    tampered(
        |shop| fs::write(shop.lineage().join("head.json"), "{}").unwrap(),
        expect![[r#"
            the head is none
            the audit log names another head
            the checks of the run name no such head"#]],
    );
}

#[test]
fn leaves_that_are_gone_are_found() {
    tampered(
        |shop| fs::remove_file(shop.lineage().join("leaves.jsonl")).unwrap(),
        expect![[r#"
            the leaves are missing
            there are 0 leaves, and the head names 19
            the leaves give the root HASH and the head names HASH"#]],
    );
}

#[test]
fn an_audit_log_without_its_entry_is_found() {
    tampered(
        |shop| {
            shop.sql("DELETE FROM whimbrel_audit_log WHERE seq = (SELECT max(seq) FROM whimbrel_audit_log)");
        },
        expect!["the audit log names no head of this run"],
    );
    tampered(
        |shop| shop.sql("DELETE FROM whimbrel_audit_log WHERE seq = 2"),
        expect!["the audit log does not hold: `whimbrel audit verify` says where"],
    );
    tampered(
        |shop| shop.sql("DELETE FROM whimbrel_data_integrity_checks WHERE check_type = 'lineage'"),
        expect!["the checks of the run name no such head"],
    );
    let shop = Shop::verified();
    shop.sql("DELETE FROM whimbrel_audit_log WHERE seq = 2");
    let said = shop.ends(&["verify", "--level", "forensic"], 4);
    assert!(said.contains("audit") && said.contains("broken link"), "{said}");
}

#[test]
fn a_lineage_that_does_not_hold_what_the_ledger_says_is_none() {
    let shop = Shop::on_sqlite();
    shop.ends(&["migrate", "--yes"], 3);
    shop.sql("UPDATE whimbrel_migration_rejects SET code = 'WB0231' WHERE code = 'WB0230'");
    let said = shop.ends(&["verify", "--level", "forensic"], 4);
    assert!(
        said.contains(
            "record 4 of `people.csv` is rejected with WB0231, and should be with WB0230"
        ),
        "{said}"
    );
    assert!(!shop.path(".whimbrel/lineage").read_dir().unwrap().any(|_| true));
}

#[test]
fn a_row_that_belongs_to_no_leaf_fails_the_level_and_the_lineage_before_stays() {
    everywhere(|shop| {
        shop.ends(&["migrate", "--yes"], 3);
        shop.ends(&["verify", "--level", "forensic"], 0);
        let before = shop.kept("head.json");
        shop.sql("INSERT INTO people VALUES (33, 'Mallory')");
        let said = shop.ends(&["verify", "--level", "forensic"], 4);
        assert!(said.contains("loaded by nobody") && !said.contains("lineage of"), "{said}");
        assert_eq!(shop.kept("head.json"), before);
        shop.proof("--row", "people/1", 0);
    });
}

/// A key as OpenSSL makes it, and its public half.
fn keys(shop: &Shop<'_>, name: &str) -> [String; 2] {
    let (private, public) = (format!("{name}.pem"), format!("{name}.pub.pem"));
    openssl(shop, &["genpkey", "-algorithm", "ed25519", "-out", &private]);
    openssl(shop, &["pkey", "-in", &private, "-pubout", "-out", &public]);
    [private, public]
}

#[track_caller]
fn openssl(shop: &Shop<'_>, arguments: &[&str]) {
    let output =
        Command::new("openssl").args(arguments).current_dir(shop.folder.path()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What stands in docs/proofs.md in a language.
fn page(language: &str) -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/proofs.md");
    let page = fs::read_to_string(page).unwrap();
    let begin = format!("```{language}\n");
    page.split(&begin).nth(1).unwrap().split("```").next().unwrap().to_owned()
}

/// The program of docs/proofs.md.
fn checked(shop: &Shop<'_>, proof: &Json, arguments: &[&str]) -> Result<String, String> {
    let program = &page("python");
    shop.write("proof.json", &proof.to_string());
    let output = Command::new("python3")
        .args(["-c", program, "proof.json"])
        .args(arguments)
        .current_dir(shop.folder.path())
        .output()
        .unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(said(&output.stdout)) } else { Err(said(&output.stderr)) }
}

/// Whether a program can be run; where tests must not be left out, it has to be.
fn is_there(program: &str) -> bool {
    let argument = if program == "openssl" { "version" } else { "--version" };
    let output = Command::new(program).arg(argument).output();
    let is_there = output.is_ok_and(|output| output.status.success());
    assert!(is_there || std::env::var_os("CI").is_none(), "no {program}");
    if !is_there {
        eprintln!("skipped: there is no {program}");
    }
    is_there
}

#[test]
fn others_check_a_proof_and_refuse_one_that_was_touched() {
    if !is_there("python3") {
        return;
    }
    let shop = Shop::verified();
    let proof = shop.proof("--record", "people.csv#3", 0);
    let said = checked(&shop, &proof, &[&shop.root()]).unwrap();
    assert!(said.starts_with("people duplicate {"), "{said}");
    let [leaf, path, root] =
        ["leaf 2 is not in the tree", "leaf 2 is not in the tree", "another head"];
    let refused = |change: &dyn Fn(&mut Json), why: &str| {
        let mut proof = proof.clone();
        change(&mut proof);
        let error = checked(&shop, &proof, &[&shop.root()]).unwrap_err();
        assert!(error.contains(why), "{why}: {error}");
    };
    let replaced = |value: &Json, from: &str, to: &str| {
        let text = value.as_str().unwrap();
        assert!(text.contains(from));
        json!(text.replace(from, to))
    };
    refused(
        &|proof| {
            proof["leaves"][0]["leaf"] =
                replaced(&proof["leaves"][0]["leaf"], "duplicate", "loaded");
        },
        leaf,
    );
    refused(&|proof| proof["leaves"][0]["path"][1] = proof["leaves"][0]["path"][0].clone(), path);
    refused(&|proof| drop(proof["leaves"][0]["path"].as_array_mut().unwrap().pop()), path);
    refused(&|proof| proof["leaves"] = json!([]), "it proves nothing");
    let other = "0".repeat(64);
    refused(&|proof| proof["head"] = replaced(&proof["head"], &shop.root(), &other), root);
    refused(
        &|proof| proof["decided_by"][0]["leaf"] = proof["leaves"][0]["leaf"].clone(),
        "not in the tree",
    );
    let error = checked(&shop, &proof, &[&other]).unwrap_err();
    assert!(error.contains("another head"), "{error}");
}

#[test]
fn the_example_of_the_page_is_a_proof() {
    if !is_there("python3") {
        return;
    }
    let shop = Shop::on_sqlite();
    let example: Json = serde_json::from_str(&page("json")).unwrap();
    let root = "1d496ea4fca6f4b3b64c5ad3d9593a1b3f99406e35781a536178481fe431dda9";
    let said = checked(&shop, &example, &[root]).unwrap();
    assert!(page("console").contains("lineage of 5 leaves"));
    let head = "5ce2b4af5e2ae3ea0e6f8666b8892ca9abd7a04b2037b273a3aa9b040d1ee654";
    assert!(said.ends_with(&format!("run 317ecd69 leaves 5 head {head}\n")), "{said}");
}

#[test]
fn a_signed_head_is_checked_by_stock_openssl() {
    if !is_there("openssl") || !is_there("python3") {
        return;
    }
    let shop = Shop::on_sqlite();
    let [private, public] = keys(&shop, "auditor");
    let [other, other_public] = keys(&shop, "mallory");
    shop.ends(&["migrate", "--yes"], 3);
    let said = shop.ends(&["verify", "--level", "forensic", "--sign-key", &private], 0);
    assert!(said.contains("signed with the key "), "{said}");
    let lineage = shop.lineage();
    let file = |name: &str| lineage.join(name).display().to_string();
    openssl(
        &shop,
        &[
            "pkeyutl",
            "-verify",
            "-pubin",
            "-inkey",
            &public,
            "-rawin",
            "-in",
            &file("head.json"),
            "-sigfile",
            &file("head.sig"),
        ],
    );
    assert_eq!(fs::read(shop.path(&public)).unwrap(), fs::read(file("head.pub.pem")).unwrap());
    let proof = shop.proof("--record", "people.csv:2", 0);
    checked(&shop, &proof, &[&shop.root(), &public]).unwrap();
    let error = checked(&shop, &proof, &[&shop.root(), &other_public]).unwrap_err();
    assert!(error.contains("another signature"), "{error}");

    let fault = |why: &str| {
        let proof = shop.proof("--record", "people.csv:2", 4);
        assert!(proof["faults"].to_string().contains(why), "{why}: {}", proof["faults"]);
    };
    let signature = fs::read(file("head.sig")).unwrap();
    let mut bent = signature.clone();
    bent[7] ^= 1;
    fs::write(file("head.sig"), &bent).unwrap();
    fault("the signature is not of this head and this key");
    fs::remove_file(file("head.sig")).unwrap();
    fault("the head was signed, and its signature is gone");
    openssl(
        &shop,
        &[
            "pkeyutl",
            "-sign",
            "-inkey",
            &other,
            "-rawin",
            "-in",
            &file("head.json"),
            "-out",
            &file("head.sig"),
        ],
    );
    fs::copy(shop.path(&other_public), file("head.pub.pem")).unwrap();
    fault("the head was signed with another key");
}

#[test]
fn a_key_that_cannot_sign_is_refused_before_anything_is_read() {
    let shop = Shop::on_sqlite();
    shop.write("people.pem", PEOPLE);
    shop.ends(&["migrate", "--yes"], 3);
    let said = shop.ends(&["verify", "--level", "forensic", "--sign-key", "people.pem"], 2);
    assert!(said.contains("WB0825") && said.contains("no PKCS #8 private key"), "{said}");
    let said = shop.ends(&["verify", "--level", "forensic", "--sign-key", "nothing.pem"], 2);
    assert!(said.contains("WB0825"), "{said}");
    let said = shop.ends(&["verify", "--sign-key", "people.pem"], 2);
    assert!(said.contains("WB0706") || said.contains("WB0825"), "{said}");
    assert!(!shop.path(".whimbrel/lineage").exists());
}
