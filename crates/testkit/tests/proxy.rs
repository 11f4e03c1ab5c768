//! The proxy in front of real servers: what is cut where, and what the server has then done.
#![cfg(unix)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use whimbrel_testkit::proxy::{Cut, Direction, Moment, Proxy};
use whimbrel_testkit::servers::{Database, Engine, Server, server_or_skip};

/// A script by the engine's client, through the proxy.
fn client(engine: Engine, url: &str, script: &str) -> Output {
    let parts = |text: &str, mark: &str| {
        let (before, after) = text.split_once(mark).expect("a URL of a server has all parts");
        (before.to_owned(), after.to_owned())
    };
    let (_, rest) = parts(url, "://");
    let (user, rest) = parts(&rest, "@");
    let (user, password) = parts(&user, ":");
    let (address, database) = parts(&rest, "/");
    let (host, port) = parts(&address, ":");
    let database = database.split('?').next().unwrap_or_default();
    match engine {
        Engine::Postgres => Command::new("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", &host, "-p", &port, "-U", &user])
            .args(["-d", database, "-c", "BEGIN"])
            .args(script.split(';').flat_map(|statement| ["-c", statement]))
            .env("PGPASSWORD", password)
            .output(),
        Engine::Mysql => Command::new("mariadb")
            .args(["--no-defaults", "--protocol=tcp", "-h", &host, "-P", &port, "-u", &user])
            .args([database, "-e", &format!("BEGIN;{script}")])
            .env("MYSQL_PWD", password)
            .output(),
    }
    .expect("the client is installed where a server is")
}

fn rows(database: &Database<'_>) -> usize {
    database.rows("SELECT a FROM t").expect("the server is there").len()
}

fn each(test: impl Fn(Engine, &'static Server, Database<'_>, Proxy)) {
    for engine in Engine::ALL {
        let Some(server) = server_or_skip(engine) else { continue };
        let database = server.database("proxy").expect("the server is there");
        database.run("CREATE TABLE t (a int)").expect("the database is empty");
        let proxy = Proxy::start(engine, server.upstream()).expect("a port is free");
        test(engine, server, database, proxy);
    }
}

const SCRIPT: &str = "INSERT INTO t VALUES (1);COMMIT";

#[test]
fn what_nobody_cuts_passes() {
    each(|engine, _, database, proxy| {
        let output = client(engine, &database.url_at_port(proxy.port()), SCRIPT);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((rows(&database), proxy.cuts(), proxy.connections()), (1, 0, 1));
    });
}

#[test]
fn a_commit_that_is_cut_before_or_within_does_not_take_place() {
    each(|engine, _, database, proxy| {
        for (index, cut) in
            [Cut::Before(Moment::Commit), Cut::Within(Moment::Commit)].into_iter().enumerate()
        {
            proxy.arm(cut);
            let output = client(engine, &database.url_at_port(proxy.port()), SCRIPT);
            assert!(!output.status.success());
            assert_eq!(proxy.cuts(), index as u64 + 1);
            assert_eq!(rows(&database), 0);
        }
    });
}

#[test]
fn a_commit_that_is_not_answered_has_taken_place() {
    each(|engine, _, database, proxy| {
        proxy.arm(Cut::Unanswered(Moment::Commit));
        let output = client(engine, &database.url_at_port(proxy.port()), SCRIPT);
        assert!(!output.status.success());
        assert_eq!((rows(&database), proxy.cuts()), (1, 1));
    });
}

#[test]
fn a_late_commit_takes_place_after_the_client_was_cut() {
    each(|engine, _, database, proxy| {
        proxy.arm(Cut::Late(Moment::Commit, Duration::from_millis(400)));
        let output = client(engine, &database.url_at_port(proxy.port()), SCRIPT);
        assert!(!output.status.success());
        assert_eq!((rows(&database), proxy.cuts()), (0, 1));
        let began = Instant::now();
        while rows(&database) == 0 {
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

#[test]
fn so_many_bytes_pass_and_no_more() {
    each(|engine, _, database, proxy| {
        for direction in [Direction::Request, Direction::Reply] {
            proxy.arm(Cut::After(direction, 30));
            let output = client(engine, &database.url_at_port(proxy.port()), SCRIPT);
            assert!(!output.status.success());
        }
        assert_eq!((rows(&database), proxy.cuts()), (0, 2));
    });
}

#[test]
fn a_cut_waits_for_as_many_passes_as_it_was_told() {
    each(|engine, _, database, proxy| {
        proxy.arm_after(Cut::Before(Moment::Statement("insert into")), 1);
        let url = database.url_at_port(proxy.port());
        assert!(client(engine, &url, SCRIPT).status.success());
        assert!(!client(engine, &url, SCRIPT).status.success());
        assert_eq!((rows(&database), proxy.cuts()), (1, 1));
    });
}

#[test]
fn whoever_is_connected_is_cut_when_the_proxy_goes() {
    each(|_, _, _database, proxy| {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
        let began = Instant::now();
        while proxy.connections() < 1 {
            assert!(began.elapsed() < Duration::from_secs(10));
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(proxy);
        stream.write_all(b"anything").ok();
        // What the server said first may have come through; then it ends.
        stream.read_to_end(&mut Vec::new()).ok();
    });
}
