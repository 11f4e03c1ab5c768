//! Locks of others on the target: waited for, tried again, and named.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use expect_test::expect;
use whimbrel_testkit::servers::{Database, Engine};

use super::place::{Folder, error, people, said, server};

/// A session of the engine's own client that holds a lock as long as it stands.
pub(crate) struct Holder {
    client: Child,
    input: Option<ChildStdin>,
}

impl Holder {
    pub(crate) fn new(engine: Engine, database: &Database<'_>, sql: &str) -> Self {
        let url = database.url();
        let mut client = match engine {
            Engine::Postgres => {
                let mut client = Command::new("psql");
                client.args(["-XqAt", "-v", "ON_ERROR_STOP=1", &url]);
                client
            }
            Engine::Mysql => {
                let mut client = Command::new("mariadb");
                let (_, socket) = url.split_once("socket=").unwrap();
                let rest = url.split_once("://").unwrap().1;
                let password = rest.split(['@', ':']).nth(1).unwrap();
                client.args(["--no-defaults", "--unbuffered", "-N", "-uwhimbrel", "-S", socket]);
                client.arg(database.name()).env("MYSQL_PWD", password);
                client
            }
        };
        let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = client.stdin.take().unwrap();
        writeln!(input, "{sql}; SELECT 'locked';").unwrap();
        input.flush().unwrap();
        let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "locked"));
        Self { client, input: Some(input) }
    }

    pub(crate) fn end(mut self) {
        drop(self.input.take());
        self.client.wait().unwrap();
    }
}

/// Numbers of sessions and seconds differ; they stand between blanks.
fn without_numbers(text: &str) -> String {
    let word = |word: &str| {
        let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { "N".to_owned() } else { word.to_owned() }
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect()
}

fn check(engine: Engine, lock: &str, held: &str, told: expect_test::Expect) {
    let Some(server) = server(engine) else { return };
    let database = server.database("locked").unwrap();
    database
        .run(
            "CREATE TABLE people (id bigint PRIMARY KEY, name text); \
             INSERT INTO people VALUES (2, 'Old')",
        )
        .unwrap();
    let folder = Folder::on(&database, &database.tcp_url().unwrap());
    folder.aim(&database.tcp_url().unwrap(), "[run]\nretries = 1\n");
    let holder = Holder::new(engine, &database, lock);
    let output = folder.run(&["migrate", "--progress", "log"]);
    holder.end();
    assert_eq!(output.status.code(), Some(75), "{}", said(&output));
    let shown = folder.shown(&output);
    let again = ["attempt 1 failed", "attempt 2 failed"].map(|words| shown.matches(words).count());
    assert_eq!(again, [1, 0], "{shown}");
    told.assert_eq(&without_numbers(&error(&shown)));
    assert!(shown.contains(held), "{shown}");
    // It goes, and so does the same command; the row that stood there is a reject or was taken.
    let output = folder.run(&["migrate"]);
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
    assert_eq!(people(&database), 2);
}

#[test]
fn a_locked_table_of_postgresql_is_named_with_who_holds_it() {
    check(
        Engine::Postgres,
        "BEGIN; LOCK TABLE people",
        "program `psql`",
        expect![[r#"
            error[WB0407]: beginning to load `people`
              caused by: count `people`: another session holds a lock (canceling statement due to lock timeout); locks on `people` are held by process N (user `whimbrel`, program `psql`, in its transaction for N s): `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE`
              caused by: PostgreSQL's SQLSTATE 55P03
              hint: let the other one finish, or end it; then run the same command again; what is committed stays
              more: whimbrel explain WB0407
        "#]],
    );
}

#[test]
fn a_locked_row_of_mariadb_is_named_with_who_holds_it() {
    check(
        Engine::Mysql,
        "BEGIN; UPDATE people SET name = 'Newer' WHERE id = 2",
        "user `whimbrel` from `localhost`",
        expect![[r#"
            error[WB0407]: writing to `people`
              caused by: write to `people`: another session holds a lock (Lock wait timeout exceeded; try restarting transaction); locks are held by session N (user `whimbrel` from `localhost`, in its transaction for N s): `mysql://whimbrel:***@127.0.0.1:PORT/DATABASE`
              caused by: the server's error N
              hint: let the other one finish, or end it; then run the same command again; what is committed stays
              more: whimbrel explain WB0407
        "#]],
    );
}
