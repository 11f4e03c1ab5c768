//! Servers that are not there, do not let us in, or take no writes; columns that hold something else.

use expect_test::{Expect, expect};
use whimbrel_testkit::servers::Engine;

use super::place::{Folder, server, url_of};

fn check(target: &str, expected: Expect) {
    Folder::new(target).check("migrate", expected);
}

#[test]
fn a_port_where_nothing_listens() {
    check(
        "postgres://me:canary@127.0.0.1:1/shop",
        expect![[r#"
        error[WB0450]: connect: nothing listens there: `postgres://me:***@127.0.0.1:1/shop`
          hint: check host and port in the URL, and that the server runs; then run the same command again; what is committed stays
          more: whimbrel explain WB0450
        exit 75, retryable
    "#]],
    );
    check(
        "mysql://me:canary@127.0.0.1:1/shop",
        expect![[r#"
        error[WB0450]: connect: nothing listens there: `mysql://me:***@127.0.0.1:1/shop`
          hint: check host and port in the URL, and that the server runs; then run the same command again; what is committed stays
          more: whimbrel explain WB0450
        exit 75, retryable
    "#]],
    );
}

#[test]
fn a_host_that_nobody_knows() {
    let mut folder = Folder::new("postgres://me:canary@no-such-host.invalid/shop");
    // Resolvers differ in their words.
    let hide = |folder: &mut Folder| {
        let told = folder.told("migrate");
        let words = told.split('(').nth(1).and_then(|rest| rest.split(')').next()).unwrap();
        let words = words.to_owned();
        folder.hide(&words, "why");
    };
    hide(&mut folder);
    folder.check("migrate", expect![[r#"
        error[WB0450]: connect: the host's name is unknown (why): `postgres://me:***@no-such-host.invalid/shop`
          hint: check host and port in the URL, and that the server runs
          more: whimbrel explain WB0450
        exit 2
    "#]]);
    folder.aim("mysql://me:canary@no-such-host.invalid/shop", "");
    folder.check("migrate", expect![[r#"
        error[WB0450]: connect: the host's name is unknown (why): `mysql://me:***@no-such-host.invalid/shop`
          hint: check host and port in the URL, and that the server runs
          more: whimbrel explain WB0450
        exit 2
    "#]]);
}

#[test]
fn a_socket_that_is_not_there() {
    check(
        "postgres://me@localhost/shop?host=/no/such/folder",
        expect![[r#"
        error[WB0450]: connect: there is no such socket: `postgres://me@localhost/shop?host=/no/such/folder`
          hint: check host and port in the URL, and that the server runs; then run the same command again; what is committed stays
          more: whimbrel explain WB0450
        exit 75, retryable
    "#]],
    );
    check(
        "mysql://me@localhost/shop?socket=/no/such/socket",
        expect![[r#"
        error[WB0450]: connect: there is no such socket: `mysql://me@localhost/shop?socket=/no/such/socket`
          hint: check host and port in the URL, and that the server runs; then run the same command again; what is committed stays
          more: whimbrel explain WB0450
        exit 75, retryable
    "#]],
    );
}

#[test]
fn a_parameter_that_nobody_knows() {
    check(
        "postgres://me:canary@localhost/shop?sslmod=require",
        expect![[r#"
        error[WB0400]: the URL has an unknown parameter, `sslmod`; known are `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `host`, `hostaddr`, `port`, `dbname`, `user`, `password`, `options`: `postgres://me:***@localhost/shop?sslmod=require`
          more: whimbrel explain WB0400
        exit 2
    "#]],
    );
    check(
        "mysql://me:canary@localhost/shop?charset=latin1",
        expect![[r#"
        error[WB0400]: the URL has an unknown parameter, `charset`; known are `ssl-mode`, `ssl-ca`, `ssl-cert`, `ssl-key`, `socket`: `mysql://me:***@localhost/shop?charset=latin1`
          more: whimbrel explain WB0400
        exit 2
    "#]],
    );
    check(
        "postgres://me:canary?4711@localhost/shop",
        expect![[r#"
        error[WB0400]: the URL has an unknown parameter; known are `sslmode`, `sslrootcert`, `sslcert`, `sslkey`, `host`, `hostaddr`, `port`, `dbname`, `user`, `password`, `options`: `postgres://***`
          more: whimbrel explain WB0400
        exit 2
    "#]],
    );
    check(
        "mysql://me:canary@localhost",
        expect![[r#"
        error[WB0400]: the URL names no database: `mysql://USER@HOST/DATABASE`: `mysql://me:***@localhost`
          more: whimbrel explain WB0400
        exit 2
    "#]],
    );
}

#[test]
fn a_wrong_password_on_postgresql() {
    let Some(server) = server(Engine::Postgres) else { return };
    let database = server.database("password").unwrap();
    let folder = Folder::on(&database, &url_of(&database, "whimbrel", "canary"));
    folder.check("migrate", expect![[r#"
        error[WB0451]: connect: the login was refused (password authentication failed for user "whimbrel"): `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE`
          caused by: PostgreSQL's SQLSTATE 28P01
          hint: check user and password in the URL; signs of a password that mean something in URLs are written with percent signs, as `%40` for `@`
          more: whimbrel explain WB0451
        exit 2
    "#]]);
    folder.check("validate", expect![[r#"
        ok    plan                 1 table from 1 source
        FAIL  target               connect: the login was refused (password authentication failed for user "whimbrel"): `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE` (WB0451)
              hint: check user and password in the URL; signs of a password that mean something in URLs are written with percent signs, as `%40` for `@`
        ok    working folder       .
        1 failed check; nothing was written
        exit 2
    "#]]);
    let answer = folder.run(&["migrate", "--format", "json"]);
    let mut json: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    json["timestamp"] = "TIME".into();
    let text = serde_json::to_string_pretty(&json).unwrap();
    let text = folder.hidden.iter().fold(text, |text, (from, to)| text.replace(from, to));
    expect![[r#"
        {
          "data": null,
          "details": {
            "causes": [
              "PostgreSQL's SQLSTATE 28P01"
            ],
            "errors": [],
            "hint": "check user and password in the URL; signs of a password that mean something in URLs are written with percent signs, as `%40` for `@`",
            "run": null
          },
          "error": "WB0451",
          "exit_code": 2,
          "message": "connect: the login was refused (password authentication failed for user \"whimbrel\"): `postgres://whimbrel:***@127.0.0.1:PORT/DATABASE`",
          "retryable": false,
          "success": false,
          "timestamp": "TIME"
        }"#]].assert_eq(&text);
}

#[test]
fn a_wrong_password_on_mariadb() {
    let Some(server) = server(Engine::Mysql) else { return };
    let database = server.database("password").unwrap();
    let folder = Folder::on(&database, &url_of(&database, "whimbrel", "canary"));
    folder.check("migrate", expect![[r#"
        error[WB0451]: connect: the server refuses the login (Access denied for user 'whimbrel'@'127.0.0.1' (using password: YES)): `mysql://whimbrel:***@127.0.0.1:PORT/DATABASE`
          caused by: the server's error 1045
          hint: check user and password in the URL; signs of a password that mean something in URLs are written with percent signs, as `%40` for `@`
          more: whimbrel explain WB0451
        exit 2
    "#]]);
}

#[test]
fn a_database_that_is_not_there() {
    for (engine, expected) in [
        (
            Engine::Postgres,
            expect![[r#"
        error[WB0452]: the server has no such database; create it: `createdb nowhere`: `postgres://whimbrel:***@127.0.0.1:PORT/nowhere`
          hint: create it, as `CREATE DATABASE`, or correct its name in the URL
          more: whimbrel explain WB0452
        exit 2
    "#]],
        ),
        (
            Engine::Mysql,
            expect![[r#"
            error[WB0452]: connect: Unknown database 'nowhere': `mysql://whimbrel:***@127.0.0.1:PORT/nowhere`
              caused by: the server's error 1049
              hint: create it, as `CREATE DATABASE`, or correct its name in the URL
              more: whimbrel explain WB0452
            exit 2
        "#]],
        ),
    ] {
        let Some(server) = server(engine) else { return };
        let database = server.database("missing").unwrap();
        let url = database.tcp_url().unwrap().replace(database.name(), "nowhere");
        let folder = Folder::on(&database, &url);
        folder.check("migrate", expected);
    }
}

#[test]
fn a_column_that_cannot_take_the_kind() {
    for (engine, expected) in [
        (
            Engine::Postgres,
            expect![[r#"
        error[WB0206]: `name` holds bytes, the expression gives text
          --> whimbrel.toml:13:8
            |
         13 | name = "name"
            |        ^^^^^^

        error[WB0206]: the plan does not fit: 1 error
          hint: correct the plan; nothing was written
          more: whimbrel explain WB0206
        exit 2
    "#]],
        ),
        (
            Engine::Mysql,
            expect![[r#"
            error[WB0206]: `name` holds bytes, the expression gives text
              --> whimbrel.toml:13:8
                |
             13 | name = "name"
                |        ^^^^^^

            error[WB0206]: the plan does not fit: 1 error
              hint: correct the plan; nothing was written
              more: whimbrel explain WB0206
            exit 2
        "#]],
        ),
    ] {
        let Some(server) = server(engine) else { return };
        let database = server.database("column").unwrap();
        let bytes = if engine == Engine::Postgres { "bytea" } else { "blob" };
        database.run(&format!("CREATE TABLE people (id date PRIMARY KEY, name {bytes})")).unwrap();
        let folder = Folder::on(&database, &database.tcp_url().unwrap());
        folder.check("migrate", expected);
    }
}

#[test]
fn a_server_that_takes_no_writes() {
    let Some(server) = server(Engine::Postgres) else { return };
    let database = server.database("readonly").unwrap();
    let name = database.name();
    database.run(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).unwrap();
    let folder = Folder::on(&database, &database.tcp_url().unwrap());
    folder.check("migrate", expect![[r#"
        error[WB0405]: target: the server takes no writes: it is a standby, or `default_transaction_read_only` is on; name the primary in the URL
          hint: mend it, then run the same command again; nothing was written
          more: whimbrel explain WB0405
        exit 2
    "#]]);
}

#[test]
fn a_server_that_became_read_only_in_mariadb() {
    let options = whimbrel_testkit::servers::Options::default();
    let Some(server) = whimbrel_testkit::servers::private_or_skip(Engine::Mysql, &options) else {
        return;
    };
    let database = server.database("readonly").unwrap();
    let name = database.name();
    database
        .run(&format!(
            "CREATE USER plain@'%' IDENTIFIED BY 'plain'; GRANT ALL ON {name}.* TO plain@'%'; \
             SET GLOBAL read_only = 1"
        ))
        .unwrap();
    let folder = Folder::on(&database, &url_of(&database, "plain", "plain"));
    folder.check(
        "migrate",
        expect![[r#"
        error[WB0405]: target: the server is read-only (read_only): a replica, or set so
          hint: mend it, then run the same command again; nothing was written
          more: whimbrel explain WB0405
        exit 2
    "#]],
    );
    database.run("SET GLOBAL read_only = 0").unwrap();
    folder.succeeds(&["migrate"]);
}
