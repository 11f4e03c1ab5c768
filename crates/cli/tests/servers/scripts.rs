//! SQL of the plan that would end the transaction it is part of, found before anything is written; and an
//! undo that the server does not take.

use whimbrel_testkit::servers::Engine;

use super::place::{Folder, number, said, server};

const PARTS: [&str; 3] = ["sql", "undo", "check"];

/// One step of which this part is this text.
fn step(part: &str, text: &str) -> String {
    let of = |key: &str| match key {
        _ if key == part => text,
        "sql" => "UPDATE people SET name = name",
        "undo" => "SELECT 1",
        _ => "SELECT 1 FROM people WHERE id < 0",
    };
    let texts: String = PARTS.map(|key| format!("{key} = '''\n{}'''\n", of(key))).concat();
    format!("[[relate]]\nname = \"names\"\nwrites = [\"people\"]\n{texts}")
}

fn refused(engine: Engine, texts: &[&str]) {
    let Some(server) = server(engine) else { return };
    let database = server.database("scripts").unwrap();
    let url = database.tcp_url().unwrap();
    database.run("CREATE TABLE people (id bigint PRIMARY KEY, name varchar(20))").unwrap();
    let folder = Folder::on(&database, &url);
    let some = texts.iter().map(|text| ("sql", *text));
    for (part, text) in some.chain([("undo", texts[0]), ("check", texts[0])]) {
        folder.aim(&url, &step(part, &format!("SELECT 1;\n{text}")));
        let place = format!("relate `names`, {part}:2: not allowed");
        let validated = folder.run(&["validate", "--format", "json"]);
        assert_eq!(validated.status.code(), Some(2), "{text}: {}", said(&validated));
        assert!(said(&validated).contains("\"WB0421\""), "{text}: {}", said(&validated));
        for verb in ["plan", "migrate"] {
            let output = folder.run(&[verb]);
            assert_eq!(output.status.code(), Some(2), "{text}: {}", said(&output));
            assert!(said(&output).contains("error[WB0421]"), "{text}: {}", said(&output));
            assert!(said(&output).contains(&place), "{text}: {}", said(&output));
        }
        assert_eq!(number(&database, "SELECT count(*) FROM people"), 0, "{text}");
    }
    // What only looks like it is done.
    folder.aim(&url, &step("sql", "UPDATE people SET name = 'a; COMMIT' /* ; COMMIT */ -- ; END"));
    let output = folder.run(&["migrate"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let marked = "SELECT count(*) FROM people WHERE name = 'a; COMMIT'";
    assert_eq!(number(&database, marked), 2);
}

#[test]
fn a_step_may_not_end_the_transaction_of_postgresql() {
    refused(
        Engine::Postgres,
        &[
            "COMMIT",
            "END",
            "ABORT",
            "/* a /* b */ */ cOmMiT AND CHAIN",
            "START TRANSACTION",
            "SAVEPOINT mine",
            "ROLLBACK TO whimbrel_write",
            "PREPARE TRANSACTION 'mine'",
            "DO $$ BEGIN COMMIT; END $$",
            "SELECT $q$;$q$; COMMIT",
        ],
    );
}

#[test]
fn a_step_may_not_end_the_transaction_of_mariadb() {
    refused(
        Engine::Mysql,
        &[
            "COMMIT",
            "/* a */ cOmMiT",
            "/*!50000 COMMIT */",
            "/*M!100000 COMMIT */",
            "START TRANSACTION",
            "SAVEPOINT mine",
            "LOCK TABLES people WRITE",
            "XA BEGIN 'mine'",
            "SET @@autocommit = 1",
            "BEGIN NOT ATOMIC COMMIT; END",
        ],
    );
}

/// An undo of the plan that the server refuses, and which gives way to this one.
fn mended(engine: Engine, sql: &str, wrong: &str, right: &str) {
    let Some(server) = server(engine) else { return };
    let database = server.database("undone").unwrap();
    let url = database.tcp_url().unwrap();
    database.run("CREATE TABLE people (id bigint PRIMARY KEY, name varchar(20))").unwrap();
    let folder = Folder::on(&database, &url);
    let step = |undo: &str| {
        format!("[[relate]]\nname = \"ids\"\nwrites = \"ids\"\nsql = '{sql}'\nundo = '{undo}'\n")
    };
    folder.aim(&url, &step(wrong));
    let loaded = folder.run(&["migrate"]);
    assert_eq!(loaded.status.code(), Some(0), "{}", said(&loaded));
    folder.write("people.csv", "id,name\n1,Ann\n2,Ben\n3,Cid\n");
    let refused = folder.run(&["migrate", "--incremental"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("error[WB0423]"), "{}", said(&refused));
    assert!(said(&refused).contains("`whimbrel migrate --adopt`"), "{}", said(&refused));
    folder.aim(&url, &step(right));
    let unadopted = folder.run(&["migrate"]);
    assert_eq!(unadopted.status.code(), Some(2), "{}", said(&unadopted));
    let adopted = folder.run(&["migrate", "--adopt"]);
    assert_eq!(adopted.status.code(), Some(0), "{}", said(&adopted));
    let audited = said(&folder.run(&["audit"]));
    assert!(audited.contains("recorded_undo WB0423, step relate:ids"), "{audited}");
    assert_eq!(number(&database, "SELECT count(*) FROM ids"), 3);
    folder.write("people.csv", "id,name\n1,Ann\n2,Ben\n3,Cid\n4,Dan\n");
    let again = folder.run(&["migrate", "--incremental"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert_eq!(number(&database, "SELECT count(*) FROM ids"), 4);
}

const IDS: &str = "CREATE TABLE ids (id bigint PRIMARY KEY); INSERT INTO ids SELECT id FROM people";

#[test]
fn an_undo_that_postgresql_refuses_gives_way_to_the_plans() {
    mended(Engine::Postgres, IDS, "DROP TABLE ids; SELEC 1", "DROP TABLE ids");
    mended(Engine::Postgres, IDS, "DROP TABLE id", "DROP TABLE ids");
}

#[test]
fn an_undo_that_mariadb_refuses_gives_way_to_the_plans() {
    // What the recorded one has done of definitions stays done, and is not done twice.
    mended(Engine::Mysql, IDS, "DROP TABLE ids; SELEC 1", "DROP TABLE ids; SELECT 1");
    mended(Engine::Mysql, IDS, "DROP TABLE ids; SELEC 1", "SELECT 1; DROP TABLE IF EXISTS ids");
    mended(Engine::Mysql, IDS, "DROP TABLE id", "DROP TABLE ids");
    let rows = "CREATE TABLE IF NOT EXISTS ids (id bigint PRIMARY KEY); \
                INSERT INTO ids SELECT id FROM people";
    mended(Engine::Mysql, rows, "DELETE FROM ids; SELEC 1", "DELETE FROM ids");
}
