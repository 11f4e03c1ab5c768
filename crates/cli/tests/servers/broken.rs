//! Servers that die in the middle of a load, and sessions that somebody ends: nothing is lost and
//! nothing stands twice.

use std::process::Child;

use expect_test::{Expect, expect};
use whimbrel_testkit::servers::{Database, Engine, Options, Server, private_or_skip};

use super::place::{Folder, error, number, people, said, server, wait_until};

const ROWS: usize = 4_000;

/// A load that takes some seconds, and is in its middle.
fn loading(folder: &Folder, database: &Database<'_>) -> Child {
    folder.many(ROWS, 20);
    folder.aim(&database.tcp_url().unwrap(), "[run]\nbatch_size = 100\nmax_rate = \"1000/s\"\n");
    let child = folder.start(&["migrate"]);
    wait_until("rows stand", || people(database) >= 300);
    child
}

fn is_right(database: &Database<'_>) {
    assert_eq!(people(database), ROWS as i64);
    assert_eq!(number(database, "SELECT sum(id) FROM people"), (ROWS * (ROWS - 1) / 2) as i64);
}

fn killed(engine: Engine, told: Expect) {
    let Some(server) = private_or_skip(engine, &Options::default()) else { return };
    let database = server.database("killed").unwrap();
    let folder = Folder::on(&database, &database.tcp_url().unwrap());
    let child = loading(&folder, &database);
    server.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(75), "{}", said(&output));
    told.assert_eq(&error(&folder.shown(&output)));
    server.restart().unwrap();
    // PostgreSQL takes back the last of what it had not flushed yet, rows and marks together.
    let before = people(&database);
    assert!(before < ROWS as i64, "{before}");
    folder.aim(&database.tcp_url().unwrap(), "[run]\nbatch_size = 100\n");
    folder.succeeds(&["migrate"]);
    is_right(&database);
}

#[test]
fn a_killed_postgresql_is_gone_on_with_when_it_stands_again() {
    killed(
        Engine::Postgres,
        expect![[r#"
        error[WB0450]: writing to `people`
          caused by: connect: nothing listens there: `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE`
          hint: check host and port in the URL, and that the server runs; then run the same command again; what is committed stays
          more: whimbrel explain WB0450
    "#]],
    );
}

#[test]
fn a_killed_mariadb_is_gone_on_with_when_it_stands_again() {
    killed(
        Engine::Mysql,
        expect![[r#"
        error[WB0450]: writing to `people`
          caused by: connect: nothing listens there: `mysql://whimbrel:***@127.0.0.1:PORT/DATABASE`
          hint: check host and port in the URL, and that the server runs; then run the same command again; what is committed stays
          more: whimbrel explain WB0450
    "#]],
    );
}

fn ended(engine: Engine, end: impl Fn(&Server, &Database<'_>)) {
    let Some(server) = server(engine) else { return };
    let database = server.database("ended").unwrap();
    let folder = Folder::on(&database, &database.tcp_url().unwrap());
    let child = loading(&folder, &database);
    end(server, &database);
    let before = people(&database);
    wait_until("the run goes on", || people(&database) > before);
    end(server, &database);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    is_right(&database);
}

#[test]
fn ended_backends_of_postgresql_are_replaced_by_the_run_itself() {
    ended(Engine::Postgres, |_, database| {
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
                   WHERE application_name = 'whimbrel' AND datname = current_database()";
        assert!(!database.rows(sql).unwrap().is_empty());
    });
}

#[test]
fn ended_sessions_of_mariadb_are_replaced_by_the_run_itself() {
    ended(Engine::Mysql, |_, database| {
        let name = database.name();
        let sql = format!(
            "SELECT id FROM information_schema.processlist WHERE db = '{name}' AND id <> CONNECTION_ID()"
        );
        for row in database.rows(&sql).unwrap() {
            let id = String::from_utf8(row[0].clone().unwrap()).unwrap();
            // One that has just ended by itself is as good.
            let _gone = database.run(&format!("KILL {id}"));
        }
    });
}
