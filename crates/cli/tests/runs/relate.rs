//! Steps in the target's own SQL, and sources that are databases, as an operator meets them.

use expect_test::expect;
use rusqlite::Connection;

use crate::project::{PEOPLE, Project, people};

/// How many people there are for each last digit.
const STEP: &str = r#"
[[relate]]
name   = "digits"
sql    = """
CREATE TABLE IF NOT EXISTS digits (digit INTEGER PRIMARY KEY, people INTEGER NOT NULL);
INSERT INTO digits SELECT id % 10, count(*) FROM people GROUP BY 1;
"""
undo   = "DELETE FROM digits"
writes = "digits"
check  = "SELECT digit, people FROM digits WHERE people > 2"
"#;

fn project(step: &str) -> Project {
    let project = Project::new(&format!("{PEOPLE}{step}"));
    project.write("data/a.csv", people(0..12));
    project
}

fn digits(project: &Project) -> String {
    project.value("SELECT group_concat(digit || ':' || people, ' ') FROM digits")
}

#[test]
fn a_step_is_planned_done_and_reported() {
    let project = project(STEP);
    let planned = project.run(&["plan"]).stdout;
    assert!(planned.contains("> relate digits: writes digits; checked\n"), "{planned}");
    project.finish(&[]);
    assert_eq!(digits(&project), "0:2 1:2 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1");
    let told: String = project.value(
        "SELECT rollback_data FROM whimbrel_migration_steps WHERE migration_step = 'relate:digits'",
    );
    expect![[r#"{"checked":true,"rows":10,"undo":"DELETE FROM digits","writes":[{"after":10,"before":null,"table":"digits"}]}"#]].assert_eq(&told);
    let report = project.run(&["report"]).stdout;
    let told = "| `digits` | ✔ completed | 10 | `digits` 10 rows |";
    assert!(report.contains(told) && report.contains("| ✔ passed | recorded |"), "{report}");
    let status = project.run(&["status"]).stdout;
    let told = "  relate digits: completed, 10 rows changed; check passed; undo recorded\n";
    assert!(status.contains(told), "{status}");
    let document = project.run(&["status", "--format", "json"]).json();
    assert_eq!(document["data"]["relates"]["shown"][0]["check"], "passed");
    assert_eq!(project.run(&["migrate"]).code, Some(0));
}

#[test]
fn a_step_without_undo_is_warned_of() {
    let project = project(&STEP.replace("undo ", "# "));
    let validated = project.run(&["validate"]);
    assert_eq!(validated.code, Some(0));
    let warning = "warn  relate               `digits` has no `undo`";
    assert!(validated.stdout.contains(warning), "{}", validated.stdout);
    let planned = project.run(&["plan"]).stdout;
    assert!(
        planned.contains("! relate digits: writes digits; checked; cannot be undone"),
        "{planned}"
    );
    project.finish(&[]);
    project.append("data/a.csv", "12,Zoe\n");
    let refused = project.run(&["migrate", "--incremental"]);
    refused.check(6, expect![[r#"
        error[WB0629]: relate step `digits` was done by run `RUN` and cannot be done again: it has no `undo`
          hint: add `undo` to the step; `undo = "SELECT 1"` where its `sql` may simply be done again
          more: whimbrel explain WB0629
    "#]]);
}

#[test]
fn a_step_is_done_again_once_rows_have_come() {
    let project = project(STEP);
    project.finish(&[]);
    project.append("data/a.csv", "13,Zoe\n");
    assert_eq!(project.finish(&["--incremental"]).code, Some(0));
    assert_eq!(digits(&project), "0:2 1:2 2:1 3:2 4:1 5:1 6:1 7:1 8:1 9:1");
}

#[test]
fn a_check_that_finds_rows_takes_the_step_back() {
    let project = project(STEP);
    project.write("data/b.csv", people(20..22));
    let failed = project.run(&["migrate"]);
    failed.check(1, expect![[r#"
        error[WB0628]: the check of relate step `digits` returned rows: digit = 0, people = 3; digit = 1, people = 3
          run: RUN
          hint: correct the step's SQL or the rows, then run the same command again: it goes on with this step
          more: whimbrel explain WB0628
    "#]]);
    let tables: i64 = project.value("SELECT count(*) FROM sqlite_schema WHERE name = 'digits'");
    assert_eq!(tables, 0, "its table went with it");
    let status = project.run(&["status"]).stdout;
    assert!(status.contains("  relate digits: failed; check failed\n"), "{status}");
    project.replan("people > 2", "people > 3");
    project.finish(&[]);
    assert_eq!(digits(&project), "0:3 1:3 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1");
}

#[test]
fn sql_that_the_engine_does_not_understand_changes_nothing_and_the_same_command_goes_on() {
    let project = project(&STEP.replace("INSERT INTO digits", "INSRT INTO digits"));
    let failed = project.run(&["migrate"]);
    failed.check(2, expect![[r#"
        error[WB0423]: relate step `digits`
          caused by: relate `digits`, sql:2: near "INSRT": syntax error: `INSRT INTO digits SELECT id % 10, count(*) FROM people GROUP BY 1;`
          caused by: near "INSRT": syntax error in INSRT INTO digits SELECT id % 10, count(*) FROM people GROUP BY 1; at offset 0
          caused by: Error code 1: SQL logic error
          run: RUN
          hint: correct the step in the plan, then run the same command again: it goes on with this step
          more: whimbrel explain WB0423
    "#]]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 12);
    project.replan("INSRT", "INSERT");
    project.finish(&[]);
    assert_eq!(digits(&project), "0:2 1:2 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1");
}

#[test]
fn a_step_may_not_end_the_transaction() {
    let project = project(&STEP.replace("INSERT INTO digits", "COMMIT; INSERT INTO digits"));
    let validated = project.run(&["validate", "--format", "json"]);
    assert_eq!(validated.code, Some(2), "{validated:?}");
    assert!(validated.stdout.contains("WB0421"), "{validated:?}");
    for verb in ["plan", "migrate"] {
        let failed = project.run(&[verb]);
        assert_eq!(failed.code, Some(2), "{failed:?}");
        assert!(failed.stderr.contains("relate `digits`, sql:2: not allowed"), "{failed:?}");
    }
    assert!(!project.path("people.db").exists(), "nothing was written");
}

#[test]
fn a_step_without_a_text_for_the_targets_engine_is_shown_in_the_plan() {
    let project =
        project(&STEP.replace("\"DELETE FROM digits\"", "{ postgres = \"TRUNCATE digits\" }"));
    project.run(&["migrate"]).check(
        2,
        expect![[r#"
        error[WB0036]: `undo` of `[[relate]]` `digits` has no text for `sqlite`
          --> whimbrel.toml:21:10
            |
         21 | undo   = { postgres = "TRUNCATE digits" }
            |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
        help: add `sqlite = "…"`

        error[WB0036]: the plan does not fit: 1 error
          hint: correct the plan; nothing was written
          more: whimbrel explain WB0036
    "#]],
    );
    assert!(!project.path("people.db").exists());
}

#[test]
fn another_text_is_adopted_and_done_anew() {
    let project = project(STEP);
    project.finish(&[]);
    project.replan("id % 10", "id % 5");
    project.replan("people > 2", "people > 9");
    project.run(&["check-incremental"]).check(
        6,
        expect![[r#"
        changed   relate step `digits` (`whimbrel migrate --adopt` takes it back and does it again)
        Nothing to take since run RUN.
        Next: whimbrel migrate --adopt
    "#]],
    );
    assert_eq!(project.run(&["migrate"]).code, Some(6));
    project.finish(&["--adopt"]);
    assert_eq!(digits(&project), "0:3 1:3 2:2 3:2 4:2");
}

/// A second step, which rests on the first.
const HIGHEST: &str = r#"
[[relate]]
name   = "highest"
sql    = """
CREATE TABLE IF NOT EXISTS highest (people INTEGER NOT NULL);
INSERT INTO highest SELECT max(people) FROM digits;
"""
undo   = "DELETE FROM highest"
writes = "highest"
"#;

/// The plan without `digits`, or with this in its place.
fn without_digits(project: &Project, instead: &str) {
    let plan = project.read("whimbrel.toml");
    let end = plan.find(HIGHEST).unwrap_or(plan.len());
    let start = plan.find("\n[[relate]]").unwrap();
    project.write("whimbrel.toml", format!("{}{instead}{}", &plan[..start], &plan[end..]));
}

#[test]
fn a_removed_step_is_refused_until_it_is_adopted_and_then_taken_back_once() {
    let project = project(STEP);
    project.finish(&[]);
    without_digits(&project, "");
    project.run(&["migrate"]).check(
        6,
        expect![[r#"
            error[WB0615]: relate step `digits`, which run `RUN` or one before it has done, is not in the plan any more
              hint: put the step back, or have it taken back by its `undo`: `whimbrel migrate --adopt`
              more: whimbrel explain WB0615
        "#]],
    );
    project.run(&["check-incremental"]).check(
        6,
        expect![[r#"
            removed   relate step `digits` (`whimbrel migrate --adopt` takes it back)
            Nothing to take since run RUN.
            Next: whimbrel migrate --adopt
        "#]],
    );
    project.append("data/a.csv", "12,Zoe\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(6));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM digits"), 10);
    project.finish(&["--incremental", "--adopt"]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM digits"), 0);
    project.target().execute("INSERT INTO digits VALUES (77, 1)", []).unwrap();
    project.append("data/a.csv", "13,Max\n");
    project.finish(&["--incremental"]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM digits"), 1, "it was taken back already");
    let audited: i64 =
        project.value("SELECT count(*) FROM whimbrel_audit_log WHERE action = 'relate.taken_back'");
    assert_eq!(audited, 1);
}

#[test]
fn a_step_that_is_renamed_or_comes_back_is_done_once() {
    let project = project(STEP);
    project.finish(&[]);
    project.replan("name   = \"digits\"", "name   = \"numbers\"");
    assert_eq!(project.run(&["migrate"]).code, Some(6));
    project.run(&["migrate", "--adopt"]).check(
        6,
        expect![[r#"
            Since run RUN: 0 files new, 0 appended, 0 changed, 0 deleted; 1 relate step new; 1 relate step removed.
            Next: whimbrel check-incremental lists them, whimbrel migrate --incremental --adopt takes them.
        "#]],
    );
    project.finish(&["--incremental", "--adopt"]);
    let whole = "0:2 1:2 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1";
    assert_eq!(digits(&project), whole);
    project.replan("name   = \"numbers\"", "name   = \"digits\"");
    project.finish(&["--incremental", "--adopt"]);
    assert_eq!(digits(&project), whole);
    assert_eq!(project.run(&["migrate"]).code, Some(0), "nothing is left to do");
}

#[test]
fn what_was_done_behind_a_removed_step_is_done_again() {
    let project = project(&format!("{STEP}{HIGHEST}"));
    // The undo of the first counts what the second has left behind.
    project.replan(
        "\"DELETE FROM digits\"",
        "\"UPDATE digits SET people = 50 + (SELECT count(*) FROM highest)\"",
    );
    project.finish(&[]);
    without_digits(&project, "");
    for point in [
        "core.relate.removal.before_commit:1",
        "core.relate.removal.after_commit:1",
        "core.relate.before_commit:1",
    ] {
        let twin = Project::new(&project.read("whimbrel.toml"));
        std::fs::copy(project.path("people.db"), twin.path("people.db")).unwrap();
        twin.write("data/a.csv", project.read("data/a.csv"));
        let mut killed = twin.command(&["migrate", "--adopt"]);
        killed.env("WHIMBREL_FAILPOINT", point);
        let killed = crate::project::Ended::of(killed);
        assert!(!matches!(killed.code, Some(0 | 3 | 6)), "{point} {killed:?}");
        twin.finish(&[]);
        assert_eq!(twin.value::<i64>("SELECT min(people) FROM digits"), 50, "{point}");
        assert_eq!(twin.value::<i64>("SELECT max(people) FROM highest"), 50, "{point}");
        assert_eq!(twin.value::<i64>("SELECT count(*) FROM highest"), 1, "{point}");
    }
}

#[test]
fn a_removed_step_without_undo_is_refused_with_a_way_out() {
    let project = project(&STEP.replace("undo ", "# "));
    project.finish(&[]);
    let with_step = project.read("whimbrel.toml");
    without_digits(&project, "");
    project.run(&["migrate", "--adopt"]).check(
        6,
        expect![[r#"
            error[WB0636]: relate step `digits` was done by run `RUN` and is not in the plan any more, and cannot be taken back: it has no `undo`
              hint: put the step back with an `undo` (`undo = "SELECT 1"` where what it did may stay), `whimbrel migrate --adopt`, then take it out
              more: whimbrel explain WB0636
        "#]],
    );
    project.write("whimbrel.toml", with_step.replace("#   =", "undo = \"DELETE FROM digits\" #"));
    project.finish(&["--adopt"]);
    without_digits(&project, "");
    project.finish(&["--adopt"]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM digits"), 0);
}

#[test]
fn an_undo_that_cannot_be_carried_out_gives_way_to_the_plans_once_that_is_adopted() {
    let project = project(&STEP.replace("DELETE FROM digits", "DELTE FROM digits"));
    project.finish(&[]);
    project.append("data/a.csv", "13,Zoe\n");
    project.run(&["migrate", "--incremental"]).check(2, expect![[r#"
        error[WB0423]: relate step `digits`, the recorded `undo`
          caused by: relate `digits`, undo:1: near "DELTE": syntax error: `DELTE FROM digits`
          caused by: near "DELTE": syntax error in DELTE FROM digits at offset 0
          caused by: Error code 1: SQL logic error
          run: RUN
          hint: this `undo` was recorded when the step was done, and is tried first: let the target have what it needs; or correct `undo` in the plan, and go on with that: `whimbrel migrate --adopt`
          more: whimbrel explain WB0423
    "#]]);
    project.replan("DELTE FROM digits", "DELETE FROM digit");
    let unadopted = project.run(&["migrate"]);
    assert_eq!(unadopted.code, Some(2), "{unadopted:?}");
    assert!(unadopted.stderr.contains("`whimbrel migrate --adopt`"), "{unadopted:?}");
    project.run(&["migrate", "--adopt"]).check(
        2,
        expect![[r#"
        error[WB0423]: relate step `digits`, the plan's `undo`
          caused by: relate `digits`, undo:1: no such table: digit: `DELETE FROM digit`
          caused by: no such table: digit
          caused by: Error code 1: SQL logic error
          run: RUN
          hint: correct `undo` in the plan, then run the same command again
          more: whimbrel explain WB0423
    "#]],
    );
    assert_eq!(digits(&project), "0:2 1:2 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1", "nothing was undone");
    project.replan("DELETE FROM digit\"", "DELETE FROM digits\"");
    project.finish(&["--adopt"]);
    assert_eq!(digits(&project), "0:2 1:2 2:1 3:2 4:1 5:1 6:1 7:1 8:1 9:1");
    let audited: String = project.value(
        "SELECT json_remove(detail, '$.done_by') FROM whimbrel_audit_log WHERE action = 'relate.taken_back'",
    );
    expect![[r#"{"recorded_undo":"WB0423","step":"relate:digits"}"#]].assert_eq(&audited);
    project.append("data/a.csv", "14,Max\n");
    project.finish(&["--incremental"]);
    assert_eq!(
        digits(&project),
        "0:2 1:2 2:1 3:2 4:2 5:1 6:1 7:1 8:1 9:1",
        "the plan's is recorded"
    );
}

#[test]
fn a_removed_step_whose_undo_cannot_be_carried_out_is_put_back_to_be_mended() {
    let project = project(&STEP.replace("DELETE FROM digits", "DELTE FROM digits"));
    project.finish(&[]);
    let with_step = project.read("whimbrel.toml");
    without_digits(&project, "");
    let refused = expect![[r#"
        error[WB0423]: taking relate step `digits` back
          caused by: relate `digits`, undo:1: near "DELTE": syntax error: `DELTE FROM digits`
          caused by: near "DELTE": syntax error in DELTE FROM digits at offset 0
          caused by: Error code 1: SQL logic error
          run: RUN
          hint: this `undo` was recorded when the step was done: let the target have what it needs; or put the step back with another `undo` (`undo = "SELECT 1"` where what it did may stay), `whimbrel migrate --adopt`, then take it out
          more: whimbrel explain WB0423
    "#]];
    project.run(&["migrate", "--adopt"]).check(2, refused);
    project.write("whimbrel.toml", with_step.replace("DELTE", "DELETE"));
    project.finish(&["--adopt"]);
    assert_eq!(digits(&project), "0:2 1:2 2:1 3:1 4:1 5:1 6:1 7:1 8:1 9:1");
    without_digits(&project, "");
    project.finish(&["--adopt"]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM digits"), 0);
}

/// The tree that the documentation shows: a table that refers to itself, filled in two passes.
const TREE: &str = r#"name = "tree"
target = "sqlite:people.db"
schema = "schema"

[source.nodes]
csv = "data/*.csv"
null = [""]

[[table]]
into = "node"
from = "nodes"
key = ["id"]
legacy_key = ["id"]
[table.columns]
id = { uuid5 = ["id"] }
name = "name"

[[table]]
into = "node_parent"
from = "nodes"
where = "parent != null"
key = ["node"]
[table.columns]
node = { ref = "node", by = "id" }
parent = { ref = "node", by = "parent" }

[[relate]]
name = "parents"
sql = "UPDATE node SET parent = (SELECT p.parent FROM node_parent p WHERE p.node = node.id)"
undo = "UPDATE node SET parent = NULL"
writes = "node"
"#;

#[test]
fn a_table_that_refers_to_itself_is_filled_in_two_passes() {
    let project = Project::new(TREE);
    project.write(
        "schema/tree.sql",
        "CREATE TABLE node (id TEXT PRIMARY KEY, name TEXT, parent TEXT REFERENCES node(id));
         CREATE TABLE node_parent (node TEXT PRIMARY KEY, parent TEXT NOT NULL);",
    );
    // Children before parents, a circle, and one whose parent is nowhere.
    project.write("data/a.csv", "id,name,parent\n3,c,2\n2,b,1\n1,a,\n4,d,5\n5,e,4\n6,f,99\n");
    assert_eq!(project.finish(&[]).code, Some(3), "the parent that is nowhere");
    let tree: String = project.value(
        "SELECT group_concat(n.name || '<' || coalesce(p.name, '-'), ' ') FROM
         (SELECT * FROM node ORDER BY name) n LEFT JOIN node p ON p.id = n.parent",
    );
    assert_eq!(tree, "a<- b<a c<b d<e e<d f<-");
}

/// A database of old people, read into the target of [`PEOPLE`].
fn from_database(source: &str) -> Project {
    let project = Project::new(&PEOPLE.replace("csv = \"data/*.csv\"", source));
    let old = Connection::open(project.path("old.db")).unwrap();
    old.execute_batch("CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT)").unwrap();
    for id in 0..10 {
        old.execute("INSERT INTO person VALUES (?1, 'n' || ?1)", [id]).unwrap();
    }
    project
}

#[test]
fn a_table_of_a_database_is_planned_loaded_and_compared() {
    let project = from_database("database = \"sqlite:old.db\"\ntable = \"person\"");
    let planned = project.run(&["plan"]).stdout;
    assert!(planned.contains("+ people: 1 source table\n"), "{planned}");
    project.finish(&[]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 10);
    let kind: String = project.value("SELECT DISTINCT item_type FROM whimbrel_migration_items");
    assert_eq!(kind, "table");
    assert!(project.run(&["status"]).stdout.contains("source tables: 1 of 1 done"));
    assert_eq!(project.run(&["migrate"]).code, Some(0), "nothing has changed");

    let old = Connection::open(project.path("old.db")).unwrap();
    old.execute("INSERT INTO person VALUES (10, 'n10')", []).unwrap();
    project.run(&["check-incremental"]).check(
        5,
        expect![[r#"
        appended  person
        1 source table to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    project.finish(&["--incremental"]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 11);
    assert_eq!(project.run(&["migrate"]).code, Some(0));

    old.execute("UPDATE person SET name = 'other' WHERE id = 3", []).unwrap();
    project.run(&["check-incremental"]).check(
        5,
        expect![[r#"
        changed   person
        1 source table to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
}

#[test]
fn rows_that_are_called_by_their_numbers_are_not_taken_twice() {
    let project =
        from_database("database = \"sqlite:old.db\"\nquery = \"SELECT name FROM person\"");
    project
        .replan("id = { from = \"id\", type = \"integer\" }", "id = { fact = \"record.number\" }");
    project.finish(&[]);
    let old = Connection::open(project.path("old.db")).unwrap();
    old.execute("INSERT INTO person VALUES (20, 'z')", []).unwrap();
    project.finish(&["--incremental"]);
    assert_eq!(
        project.value::<i64>("SELECT count(*) FROM people"),
        11,
        "it came behind the others"
    );
    old.execute("INSERT INTO person VALUES (21, 'a')", []).unwrap();
    for verb in ["plan", "validate"] {
        let told = project.run(&[verb]).stdout;
        assert!(told.contains("`--incremental` would be refused: rows of `people`"), "{told}");
    }
    project.run(&["migrate", "--incremental"]).check(
        6,
        expect![[r#"
            error[WB0638]: rows of `people` are called by their numbers, and those of its source are not what they were in run `RUN`
              hint: give the old table a key, or load everything into another target
              more: whimbrel explain WB0638
        "#]],
    );
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 11);
}

#[test]
fn a_query_of_a_database_is_loaded() {
    let project = from_database(
        "database = \"sqlite:old.db\"\nquery = \"SELECT id * 2 AS id, name FROM person\"\nkey = \"id\"",
    );
    project.finish(&[]);
    assert_eq!(project.value::<i64>("SELECT max(id) FROM people"), 18);
}

#[test]
fn a_table_that_is_not_there_is_a_mistake_of_the_plan() {
    let project = from_database("database = \"sqlite:old.db\"\ntable = \"persons\"");
    let ended = project.run(&["migrate"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("persons"), "{ended:?}");
}
