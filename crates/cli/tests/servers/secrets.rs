//! Passwords in URLs, from the environment, from files, and in the plan itself: none of them stands
//! in anything that a run says, logs, reports or keeps.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use whimbrel_testkit::servers::{Database, Engine};

use super::place::{Folder, said, server};

const TARGET: &str = "canary-t4711";
const SOURCE: &str = "canary-s4712";

/// Everything that was seen.
#[derive(Default)]
struct Seen(Vec<(String, Vec<u8>)>);

impl Seen {
    fn of(&mut self, what: &str, bytes: Vec<u8>) {
        self.0.push((what.to_owned(), bytes));
    }

    /// All files below a folder, except those that hold the secret for us.
    fn files(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                self.files(&path);
            } else if !["secret.txt", "written.toml"].iter().any(|name| path.ends_with(name)) {
                self.of(&path.display().to_string(), fs::read(&path).unwrap());
            }
        }
    }

    fn has_no(&self, secret: &str) {
        let length = secret.len();
        for (what, bytes) in &self.0 {
            let found = bytes.windows(length).position(|window| window == secret.as_bytes());
            let around =
                found.map(|at| &bytes[at.saturating_sub(200)..bytes.len().min(at + length)]);
            let around = around.map(String::from_utf8_lossy);
            assert!(around.is_none(), "{what}: {around:?}");
        }
        assert!(self.0.len() > 20 && self.0.iter().any(|(_, bytes)| bytes.len() > 10_000));
    }
}

fn run(folder: &Folder, seen: &mut Seen, arguments: &[&str]) -> Output {
    let mut command = folder.command(arguments);
    command.env("PASSWORD", TARGET).env("RUST_BACKTRACE", "1").env("WHIMBREL_PROGRESS", "log");
    let output = command.output().unwrap();
    let what = arguments.join(" ");
    seen.of(&format!("{what}: output"), output.stdout.clone());
    seen.of(&format!("{what}: errors"), output.stderr.clone());
    output
}

fn dump(engine: Engine, database: &Database<'_>) -> Vec<u8> {
    let url = database.url();
    let mut client = match engine {
        Engine::Postgres => {
            let mut client = Command::new("pg_dump");
            client.arg(&url);
            client
        }
        Engine::Mysql => {
            let (_, socket) = url.split_once("socket=").unwrap();
            let rest = url.split_once("://").unwrap().1;
            let mut client = Command::new("mariadb-dump");
            client.args(["--no-defaults", "--skip-lock-tables", "-uwhimbrel", "-S", socket]);
            client.arg(database.name()).env("MYSQL_PWD", rest.split(['@', ':']).nth(1).unwrap());
            client
        }
    };
    let output = client.output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    output.stdout
}

/// The plan: people from files, some of them refused, and parents from an old database.
fn plan(target: &str, source: &str) -> String {
    format!(
        "name = \"secrets\"\ntarget = \"{target}\"\n\n[source.people]\ncsv = \"people.csv\"\n\n\
         [source.old]\ndatabase = \"{source}\"\ntable = \"old\"\n\n\
         [[table]]\ninto = \"old\"\nfrom = \"old\"\nkey = [\"id\"]\n[table.columns]\n\
         id = \"id\"\nname = \"name\"\n\n\
         [[table]]\ninto = \"people\"\nfrom = \"people\"\nkey = [\"id\"]\n[table.columns]\n\
         id = {{ from = \"id\", type = \"integer\" }}\nname = \"name\"\n\n\
         [[relate]]\nname = \"count\"\nsql = \"UPDATE people SET name = name\"\n\
         undo = \"UPDATE people SET name = name\"\nwrites = [\"people\"]\n\n\
         [rejects]\nmax = \"90%\"\n"
    )
}

fn check(engine: Engine) {
    let Some(server) = server(engine) else { return };
    let database = server.database("secrets").unwrap();
    let old = server.database("old").unwrap();
    old.run("CREATE TABLE old (id bigint PRIMARY KEY, name varchar(20)); INSERT INTO old VALUES (1, 'a'), (2, 'b')")
        .unwrap();
    let (writer, reader) = (format!("w{}", std::process::id()), format!("r{}", std::process::id()));
    let (name, old_name) = (database.name(), old.name());
    let users = match engine {
        Engine::Postgres => format!(
            "CREATE ROLE {writer} LOGIN PASSWORD '{TARGET}'; CREATE ROLE {reader} LOGIN PASSWORD '{SOURCE}'; \
             GRANT CREATE ON DATABASE {name} TO {writer}; GRANT CREATE ON SCHEMA public TO {writer}"
        ),
        Engine::Mysql => format!(
            "CREATE USER {writer}@'%' IDENTIFIED BY '{TARGET}'; CREATE USER {reader}@'%' IDENTIFIED BY '{SOURCE}'; \
             GRANT ALL ON {name}.* TO {writer}@'%'; GRANT SELECT ON {old_name}.* TO {reader}@'%'"
        ),
    };
    database.run(&users).unwrap();
    if engine == Engine::Postgres {
        old.run(&format!("GRANT SELECT ON old TO {reader}")).unwrap();
    }
    let place = |database: &Database<'_>| {
        let url = database.tcp_url().unwrap();
        url.rsplit_once('@').unwrap().1.to_owned()
    };
    let (at, old_at, scheme) = (place(&database), place(&old), engine.name());
    let target = format!("{scheme}://{writer}:${{PASSWORD}}@{at}");
    let source = format!("{scheme}://{reader}:${{file:secret.txt}}@{old_at}");
    let folder = Folder::new("sqlite:none.db");
    folder.write("secret.txt", &format!("{SOURCE}\n"));
    folder.write("people.csv", "id,name\n1,Ann\nx,Ben\n3,Cy\n");
    folder.write("whimbrel.toml", &plan(&target, &source));
    let mut seen = Seen::default();
    let seen = &mut seen;
    // Wrong in many ways, each with all that there is to say.
    let broken = |from: &str, to: &str| {
        folder.write("broken.toml", &plan(&target, &source).replace(from, to));
    };
    for (from, to) in [
        (name, "nowhere"),
        (old_name, "nowhere"),
        (writer.as_str(), "nobody"),
        (reader.as_str(), "nobody"),
        (at.as_str(), "127.0.0.1:1/shop"),
        (old_at.as_str(), "127.0.0.1:1/shop"),
        (at.as_str(), "no-such-host.invalid/shop"),
        (at.as_str(), "127.0.0.1:port/shop"),
        (old_at.as_str(), "127.0.0.1:port/shop"),
        ("${PASSWORD}@", "${PASSWORD}?@"),
        ("${file:secret.txt}@", "${file:secret.txt}?@"),
        ("${file:secret.txt}@", "${file:secret.txt}#@"),
        ("key = [\"id\"]", "keyy = 1"),
        ("table = \"old\"", "table = \"nothing\""),
        ("table = \"old\"", "query = \"SELECT nothing FROM old\""),
        ("UPDATE people", "UPDTE people"),
    ] {
        assert!(plan(&target, &source).contains(from), "{from}");
        broken(from, to);
        for verb in ["validate", "plan", "status", "migrate"] {
            // A run that the SQL of a step ends would be the one that the others go on with.
            if from != "UPDATE people" || verb != "migrate" {
                let plan: &[&str] =
                    if verb == "status" { &["--plan", "broken.toml"] } else { &["broken.toml"] };
                let most = ["-vv", "--log-format", "json"];
                run(&folder, seen, &[&[verb], plan, &most].concat());
            }
        }
        run(&folder, seen, &["validate", "broken.toml", "--format", "json"]);
    }
    let done = |output: Output| {
        assert!(matches!(output.status.code(), Some(0 | 3 | 5)), "{}", said(&output));
    };
    done(run(&folder, seen, &["validate", "-vv"]));
    done(run(&folder, seen, &["plan", "-vv"]));
    done(run(&folder, seen, &["plan", "--format", "json"]));
    done(run(&folder, seen, &["migrate", "--dry-run", "-vv"]));
    done(run(&folder, seen, &["migrate", "-vv", "--progress", "json"]));
    folder.write("people.csv", "id,name\n1,Ann\nx,Ben\n3,Cy\n4,Di\ny,Ed\n");
    done(run(&folder, seen, &["check-incremental", "-vv"]));
    done(run(
        &folder,
        seen,
        &["migrate", "--incremental", "-vv", "--log-format", "json", "--format", "jsonl"],
    ));
    for form in ["md", "html", "json"] {
        done(run(&folder, seen, &["report", "--form", form]));
    }
    for arguments in [
        &["status"][..],
        &["history", "--format", "json"],
        &["rejects", "list", "--all", "--format", "json"],
        &["rejects", "show", "people.csv:3"],
        &["rejects", "export", "mended"],
        &["rejects", "retry", "-vv"],
        &["rejects", "waive", "all", "--reason", "because"],
        &["report", "--format", "json", "--output", "report.json"],
    ] {
        done(run(&folder, seen, arguments));
    }
    // The URL itself as an argument, and plans that are made from it.
    let written = format!("{scheme}://{reader}:{SOURCE}@{old_at}");
    done(run(&folder, seen, &["analyze", &written, "--html", "old.html", "-vv"]));
    done(run(&folder, seen, &["analyze", &written, "--format", "json"]));
    let target_written = format!("{scheme}://{writer}:{TARGET}@{at}");
    done(run(
        &folder,
        seen,
        &["init", &written, "--target", &target_written, "--out", "init.toml"],
    ));
    // The arguments are in the list of what was seen as its names only.
    folder.write("written.toml", &plan(&target_written, &written));
    done(run(&folder, seen, &["migrate", "written.toml", "--incremental", "-vv"]));
    seen.files(folder.path());
    let content = dump(engine, &database);
    assert!(String::from_utf8_lossy(&content).contains("Ann"), "the dump holds the rows");
    seen.of("the target's dump", content);
    seen.has_no(TARGET);
    seen.has_no(SOURCE);
    seen.has_no("canary-");
    drop((database, old));
    let (one, two) = match engine {
        Engine::Postgres => (writer, reader),
        Engine::Mysql => (format!("{writer}@'%'"), format!("{reader}@'%'")),
    };
    let sort = if engine == Engine::Postgres { "ROLE" } else { "USER" };
    server.run(&format!("DROP {sort} {one}, {two}")).unwrap();
}

#[test]
fn no_password_of_postgresql_stands_anywhere() {
    check(Engine::Postgres);
}

#[test]
fn no_password_of_mariadb_stands_anywhere() {
    check(Engine::Mysql);
}

/// What a step's SQL runs into quotes a mail address.
fn quoting(engine: Engine, statements: &[(&str, &str)]) {
    let Some(server) = server(engine) else { return };
    let database = server.database("quoting").unwrap();
    database
        .run("CREATE TABLE mails (mail varchar(50) UNIQUE); CREATE TABLE numbers (n int NOT NULL)")
        .unwrap();
    let folder = Folder::new("sqlite:none.db");
    folder.write("people.csv", "id,mail\n1,canary-mail\n2,canary-mail\n");
    let aim = |sensitive: &str, sql: &str| {
        let plan = format!(
            "name = \"quoting\"\ntarget = \"{}\"\n\n[source.people]\ncsv = \"people.csv\"\n\
             {sensitive}\n\n[[table]]\ninto = \"people\"\nfrom = \"people\"\nkey = [\"id\"]\n\
             [table.columns]\nid = {{ from = \"id\", type = \"integer\" }}\nmail = \"mail\"\n\n\
             [[relate]]\nname = \"step\"\nsql = \"\"\"{sql}\"\"\"\nundo = \"DELETE FROM mails\"\n\
             writes = [\"mails\"]\n",
            database.url(),
        );
        folder.write("whimbrel.toml", &plan);
    };
    for (sql, words) in statements {
        aim("sensitive = [\"mail\"]", sql);
        let failed = folder.run(&["migrate", "-vv", "--log-format", "json"]);
        assert_eq!(failed.status.code(), Some(2), "{}", said(&failed));
        assert!(said(&failed).contains(words), "{words}: {}", said(&failed));
        let status = folder.run(&["status", "--format", "json"]);
        let report = folder.run(&["report", "--form", "json"]);
        for output in [&failed, &status, &report] {
            assert!(!said(output).contains("canary"), "{sql}: {}", said(output));
        }
    }
    // The ledger's own words of why the run stopped.
    let ledger =
        if engine == Engine::Postgres { "whimbrel.migration_" } else { "whimbrel_migration_" };
    let why = format!("SELECT error_message FROM {ledger}runs");
    let why = String::from_utf8(database.rows(&why).unwrap()[0][0].clone().unwrap()).unwrap();
    assert!(why.contains("step") && !why.contains("canary"), "{why}");
    for (sql, _) in statements {
        aim("", sql);
        let failed = folder.run(&["migrate"]);
        assert!(said(&failed).contains("canary-mail"), "{sql}: {}", said(&failed));
    }
}

#[test]
fn postgresql_quotes_no_sensitive_column_for_a_whole_statement() {
    quoting(
        Engine::Postgres,
        &[
            (
                "INSERT INTO mails SELECT mail FROM people",
                "duplicate key value violates unique constraint",
            ),
            (
                "INSERT INTO numbers SELECT mail::int FROM people",
                "what the database says of it may quote a sensitive column",
            ),
            (
                "DO 'BEGIN RAISE ''no %'', (SELECT min(mail) FROM people); END'",
                "what the database says of it may quote a sensitive column",
            ),
        ],
    );
}

#[test]
fn mariadb_quotes_no_sensitive_column_for_a_whole_statement() {
    quoting(
        Engine::Mysql,
        &[
            (
                "INSERT INTO mails SELECT mail FROM people",
                "what the database says of it may quote a sensitive column (about `mail`)",
            ),
            (
                "INSERT INTO numbers SELECT mail FROM people",
                "what the database says of it may quote a sensitive column",
            ),
        ],
    );
}
