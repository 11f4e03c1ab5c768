//! Rows that a server is given ahead of their books: nothing but the time shows that they were.

use std::process::Command;

use whimbrel_testkit::servers::{Database, Engine};

use super::locked::Holder;
use super::place::{Folder, error, number, said, server, wait_until};

/// Rows that readers are asked for at a time, where the target is a server.
const CHUNK: usize = 6_144;

const ENGINES: [Engine; 2] = [Engine::Postgres, Engine::Mysql];

/// `kids`, by whom `toys` are found; the batch is not closed by the time that a slow machine takes.
fn folder(database: &Database<'_>, filter: &str) -> Folder {
    let url = database.tcp_url().unwrap();
    let folder = Folder::on(database, &url);
    let plan = format!(
        r#"name = "kids"
target = "{url}"
[source.kids]
csv = "kids.csv"
[source.toys]
csv = "toys.csv"
[[table]]
into = "kids"
from = "kids"
key = ["id"]
legacy_key = ["id"]
{filter}
[table.columns]
id = {{ from = "id", type = "integer" }}
parent = {{ from = "parent", type = "integer" }}
[[table]]
into = "toys"
from = "toys"
key = ["id"]
[table.columns]
id = {{ from = "id", type = "integer" }}
kid = {{ ref = "kids", by = "kid" }}
[run]
retries = 0
batch_timeout = "1h"
[rejects]
max = "100%"
"#
    );
    folder.write("whimbrel.toml", &plan);
    let tables = "CREATE TABLE parents (id bigint PRIMARY KEY); INSERT INTO parents VALUES (1); \
                  CREATE TABLE kids (id bigint PRIMARY KEY, parent bigint NOT NULL, \
                  CONSTRAINT parent_of FOREIGN KEY (parent) REFERENCES parents (id)); \
                  CREATE TABLE toys (id bigint PRIMARY KEY, kid bigint NOT NULL)";
    database.run(tables).unwrap();
    folder
}

/// So many chunks of kids, each with a parent; and a toy for every hundredth.
fn kids(folder: &Folder, chunks: usize, parent: impl Fn(usize) -> u64) {
    let all = 0..chunks * CHUNK;
    let kids = all.clone().map(|id| format!("{id},{}\n", parent(id))).collect::<Vec<_>>();
    folder.write("kids.csv", &format!("id,parent\n{}", kids.concat()));
    let toys = all.step_by(100).map(|id| format!("{id},{id}\n")).collect::<Vec<_>>();
    folder.write("toys.csv", &format!("id,kid\n{}", toys.concat()));
}

#[test]
fn a_stretch_of_records_that_are_left_out_does_not_write_those_behind_it_twice() {
    for engine in ENGINES {
        let Some(server) = server(engine) else { continue };
        let database = server.database("ahead").unwrap();
        let folder = folder(&database, "where = 'parent == \"1\"'");
        // The last of five chunks, and those before that are left out.
        let left_out = |id: usize| matches!(id / CHUNK, 1 | 3);
        kids(&folder, 5, |id| if left_out(id) { 2 } else { 1 });
        let output = folder.run(&["migrate"]);
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", said(&output));
        let loaded = (0..5 * CHUNK).filter(|id| !left_out(*id)).count();
        assert_eq!(number(&database, "SELECT count(*) FROM kids"), loaded as i64);
    }
}

#[test]
fn what_rows_were_made_from_is_known_also_where_all_rows_after_them_are_refused() {
    for engine in ENGINES {
        let Some(server) = server(engine) else { continue };
        let database = server.database("ahead").unwrap();
        let folder = folder(&database, "");
        // None of a chunk goes in, and of the one behind it all but one.
        let is_orphan = |id: usize| id / CHUNK == 4 || id == 5 * CHUNK + 5;
        kids(&folder, 7, |id| if is_orphan(id) { 99 } else { 1 });
        let output = folder.run(&["migrate"]);
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        let loaded = (0..7 * CHUNK).filter(|id| !is_orphan(*id));
        assert_eq!(number(&database, "SELECT count(*) FROM kids"), loaded.clone().count() as i64);
        let toys = loaded.filter(|id| id % 100 == 0).count();
        assert_eq!(number(&database, "SELECT count(*) FROM toys"), toys as i64);
    }
}

#[test]
fn who_holds_a_lock_on_rows_that_were_begun_is_named() {
    for engine in ENGINES {
        let Some(server) = server(engine) else { continue };
        let database = server.database("ahead").unwrap();
        let folder = folder(&database, "");
        kids(&folder, 6, |_| 1);
        let row = 5 * CHUNK;
        let holder =
            Holder::new(engine, &database, &format!("BEGIN; INSERT INTO kids VALUES ({row}, 1)"));
        let output = folder.run(&["migrate"]);
        holder.end();
        assert_eq!(output.status.code(), Some(75), "{}", said(&output));
        let told = error(&folder.shown(&output));
        assert!(told.starts_with("error[WB0407]: writing to `kids`"), "{told}");
        assert!(told.contains("caused by: write to `kids`: another session"), "{told}");
        assert!(told.contains("held by"), "{told}");
        assert_eq!(number(&database, "SELECT count(*) FROM kids"), 0);
        let output = folder.run(&["migrate"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }
}

#[test]
fn who_asks_for_a_stop_is_heard_while_rows_are_owed() {
    let Some(server) = server(Engine::Postgres) else { return };
    let database = server.database("ahead").unwrap();
    let folder = folder(&database, "");
    let chunks = 30;
    kids(&folder, chunks, |_| 1);
    let plan = std::fs::read_to_string(folder.path().join("whimbrel.toml")).unwrap();
    let plan = plan.replace("[run]", "[run]\nbatch_size = 100_000_000\nbatch_bytes = \"9GiB\"");
    folder.write("whimbrel.toml", &plan);
    let mut migrating = folder.start(&["migrate"]);
    // What is not committed is on its pages all the same.
    wait_until("rows come", || number(&database, "SELECT pg_relation_size('kids')") > 0);
    let pid = migrating.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let code = migrating.wait().unwrap().code();
    assert_eq!(code, Some(130));
    let loaded = number(&database, "SELECT count(*) FROM kids");
    assert!(loaded > 0 && loaded < (chunks / 2 * CHUNK) as i64, "{loaded}");
    let output = folder.run(&["migrate"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(number(&database, "SELECT count(*) FROM kids"), (chunks * CHUNK) as i64);
}
