//! An unfinished run and a plan whose list of tables has changed: refused, and the way out that the
//! refusal names.

use whimbrel_testkit::servers::{Database, Engine};

use super::place::{Folder, error, number, people, said, server};

const PEOPLE: &str = r#"[[table]]
into = "people"
from = "people"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
name = "name"
"#;

const PETS: &str = r#"[[table]]
into = "pets"
from = "pets"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
name = "name"
"#;

const VISITS: &str = r#"[[table]]
into = "visits"
from = "pets"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
"#;

fn plan(folder: &Folder, database: &Database<'_>, tables: &[&str]) {
    let url = database.tcp_url().unwrap();
    let tables = tables.concat();
    let plan = format!(
        "name = \"people\"\ntarget = \"{url}\"\n[source.people]\ncsv = \"people.csv\"\n\
         [source.pets]\ncsv = \"pets.csv\"\n{tables}[run]\nbatch_size = 1\n"
    );
    folder.write("whimbrel.toml", &plan);
}

/// Of three pets one is committed, and then the process is gone.
fn interrupted(database: &Database<'_>) -> Folder {
    let tables = "CREATE TABLE people (id bigint PRIMARY KEY, name varchar(20)); \
                  CREATE TABLE pets (id bigint PRIMARY KEY, name varchar(20)); \
                  CREATE TABLE visits (id bigint PRIMARY KEY)";
    database.run(tables).unwrap();
    let folder = Folder::on(database, &database.tcp_url().unwrap());
    folder.write("pets.csv", "id,name\n1,Rex\n2,Tom\n3,Ada\n");
    plan(&folder, database, &[PEOPLE, PETS]);
    // Two batches of people, and the second of pets.
    let mut killed = folder.command(&["migrate"]);
    let killed = killed.env("WHIMBREL_FAILPOINT", "core.batch.before_commit:4").output().unwrap();
    assert!(!killed.status.success(), "{}", said(&killed));
    assert_eq!((people(database), pets(database)), (2, 1));
    folder
}

fn pets(database: &Database<'_>) -> i64 {
    number(database, "SELECT count(*) FROM pets")
}

fn check(engine: Engine) {
    let Some(server) = server(engine) else { return };
    let database = server.database("list").unwrap();
    let folder = interrupted(&database);
    let others: [&[&str]; 4] = [&[PEOPLE], &[PETS], &[PETS, PEOPLE], &[PEOPLE, PETS, VISITS]];
    for tables in others {
        plan(&folder, &database, tables);
        for arguments in [&["migrate"][..], &["migrate", "--adopt"]] {
            let output = folder.run(arguments);
            assert_eq!(output.status.code(), Some(6), "{}", said(&output));
            let told = error(&folder.shown(&output));
            let (first, rest) = told.split_once('\n').unwrap();
            assert!(first.starts_with("error[WB0637]: run `"), "{told}");
            let hint = "  hint: put them back and finish the run: `whimbrel migrate`; then change the plan\n";
            assert!(rest.starts_with(hint), "{told}");
        }
    }
    // The table that cannot be loaded is left out by a filter: that is another mapping.
    let left_out = PETS.replace("key = ", "where = \"false\"\nkey = ");
    plan(&folder, &database, &[PEOPLE, &left_out]);
    let output = folder.run(&["migrate"]);
    assert_eq!(output.status.code(), Some(6), "{}", said(&output));
    assert!(said(&output).contains("error[WB0615]"), "{}", said(&output));
    let output = folder.run(&["migrate", "--adopt"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let told = said(&output);
    assert!(told.contains("pets: read 3 = loaded 1 + filtered 2"), "{told}");
    assert_eq!((people(&database), pets(&database)), (2, 1));
    // The run is done: now the plan may change.
    plan(&folder, &database, &[PEOPLE]);
    let output = folder.run(&["migrate"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!((people(&database), pets(&database)), (2, 1));
}

#[test]
fn an_unfinished_run_keeps_its_tables_on_postgresql() {
    check(Engine::Postgres);
}

#[test]
fn an_unfinished_run_keeps_its_tables_on_mariadb() {
    check(Engine::Mysql);
}
