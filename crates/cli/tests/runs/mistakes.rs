//! Errors that people meet with rejects, files and words on the command line: code, words, exit code,
//! and what to do.

use std::fs;

use expect_test::expect;
use rusqlite::Connection;

use crate::project::{PEOPLE, Project};

/// One bad record of three.
fn rejected() -> Project {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n1,Ann\nx,Ben\n3,Cy\n");
    project.finish(&[]);
    project
}

#[test]
fn the_verbs_of_rejects_take_the_run_by_a_flag_and_the_others_without() {
    let project = rejected();
    let run: String = project.value("SELECT id FROM whimbrel_migration_runs");
    for good in [
        &["status", &run][..],
        &["report", &run],
        &["rejects", "list", "--run", &run],
        &["rejects", "show", "people.2", "--run", &run],
        &["rejects", "export", "out", "--run", &run],
        &["rejects", "waive", "people.2", "--reason", "none", "--run", &run],
    ] {
        let ended = project.run(good);
        assert_eq!(ended.code, Some(0), "{good:?}: {ended:?}");
    }
    for (stray, expected) in [
        (
            &["status", "--run", &run][..],
            expect![[r#"
            error[WB0727]: `status` takes the run without a flag: RUN
              hint: whimbrel status RUN
              more: whimbrel explain WB0727
        "#]],
        ),
        (
            &["report", "--run", &run],
            expect![[r#"
            error[WB0727]: `report` takes the run without a flag: RUN
              hint: whimbrel report RUN
              more: whimbrel explain WB0727
        "#]],
        ),
        (
            &["rejects", "list", &run],
            expect![[r#"
            error[WB0727]: `rejects list` takes the run by a flag: RUN
              hint: whimbrel rejects list --run RUN
              more: whimbrel explain WB0727
        "#]],
        ),
        (
            &["rejects", "retry", "--run", &run],
            expect![[r#"
            error[WB0727]: `rejects retry` takes no run: it continues the newest one
              hint: what waits of the runs before it is read too; name rejects (`TABLE.UNIT`) or codes to choose
              more: whimbrel explain WB0727
        "#]],
        ),
    ] {
        project.run(&[stray, &["--format", "json"]].concat()).refused(2, expected);
    }
}

#[test]
fn rejects_are_exported_into_new_folders_only() {
    let project = rejected();
    project.write("taken/file", "mine");
    project.run(&["rejects", "export", "taken", "--format", "json"]).refused(
        1,
        expect![[r#"
        error[WB0709]: rejects cannot be written to `taken`
          caused by: File exists (os error 17)
          hint: name a folder that does not exist yet
          more: whimbrel explain WB0709
    "#]],
    );
    assert_eq!(project.read("taken/file"), "mine");
    project.run(&["rejects", "export", "taken/file/out", "--format", "json"]).refused(
        1,
        expect![[r#"
        error[WB0709]: rejects cannot be written to `taken/file/out`
          caused by: File exists (os error 17)
          hint: check the space, and the permissions of the folder that it goes into
          more: whimbrel explain WB0709
    "#]],
    );
}

#[test]
fn rejects_of_tables_whose_names_no_file_can_have_are_mended() {
    let twice = |plan: &str| {
        let table = plan.split_once("[[table]]").unwrap().1;
        let other = table.replace("into = \"people\"", "into = \"中国\"");
        format!("{}\n[[table]]{other}", plan.replace("into = \"people\"", "into = \"日本\""))
    };
    let project = Project::new(&twice(PEOPLE));
    project.write("data/a.csv", "id,name\n1,Ann\nx,Ben\n");
    project.finish(&[]);
    let export = project.run(&["rejects", "export", "the rejects"]);
    assert_eq!(export.code, Some(0), "{export:?}");
    assert!(export.stdout.contains("retry --from 'the rejects'\n"), "{export:?}");
    let mut mended = 0;
    for entry in fs::read_dir(project.path("the rejects")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "bytes") {
            fs::write(path, "2,Ben\n").unwrap();
            mended += 1;
        }
    }
    assert_eq!(mended, 2);
    assert_eq!(project.run(&["rejects", "retry", "--from", "the rejects"]).code, Some(0));
    for table in ["日本", "中国"] {
        assert_eq!(project.value::<i64>(&format!("SELECT count(*) FROM \"{table}\"")), 2);
    }
}

#[test]
fn bytes_of_a_long_reject_that_are_gone_are_missed_where_they_are_needed() {
    let project = Project::new(PEOPLE);
    let long = "n".repeat(70_000);
    project.write("data/a.csv", format!("id,name\nx,{long}\n"));
    project.run(&["migrate"]);
    let spill: String = project.value("SELECT spill FROM whimbrel_migration_rejects");
    fs::rename(project.path(&format!(".whimbrel/{spill}")), project.path("elsewhere")).unwrap();
    let export = project.run(&["rejects", "export", "out", "--format", "json"]);
    assert_eq!(
        (export.code, export.json()["error"].as_str()),
        (Some(1), Some("WB0708")),
        "{export:?}"
    );
    assert!(!project.path("out").exists(), "a part would look like the whole");
    let shown = project.run(&["rejects", "show", "people.1", "--format", "json"]);
    assert_eq!(
        (shown.code, shown.json()["error"].as_str()),
        (Some(1), Some("WB0708")),
        "{shown:?}"
    );
    assert!(shown.stderr.contains("cannot be read: `./.whimbrel/"), "{}", shown.stderr);
    assert_eq!(project.run(&["rejects", "list"]).code, Some(0), "the ledger needs them not");
    fs::rename(project.path("elsewhere"), project.path(&format!(".whimbrel/{spill}"))).unwrap();
    assert_eq!(project.run(&["rejects", "show", "people.1"]).code, Some(0));
}

#[test]
fn one_record_is_not_repaired_in_two_ways() {
    let twice =
        PEOPLE.split_once("[[table]]").unwrap().1.replace("into = \"people\"", "into = \"more\"");
    let project = Project::new(&format!("{PEOPLE}\n[[table]]{twice}"));
    project.write("data/a.csv", "id,name\n1,Ann\nx,Ben\n");
    project.finish(&[]);
    assert_eq!(project.run(&["rejects", "export", "out"]).code, Some(0));
    project.write("out/people.2.bytes", "2,Ben\n");
    project.write("out/more.2.bytes", "22,Ben\n");
    let retry = ["rejects", "retry", "--from", "out", "--format", "json"];
    project.run(&retry).refused(2, expect![[r#"
        error[WB0711]: `people.2` and `more.2` are the same record, `data/a.csv:3`, repaired in two ways
          hint: let both files hold the same bytes
          more: whimbrel explain WB0711
    "#]]);
    project.write("out/more.2.bytes", "2,Ben\n");
    assert_eq!(project.run(&retry).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM more"), 2);
}

#[test]
fn a_row_of_a_database_is_repaired_as_one_object_with_all_its_columns() {
    let plan =
        PEOPLE.replace("csv = \"data/*.csv\"", "database = \"sqlite:old.db\"\ntable = \"old\"");
    let project = Project::new(&plan);
    let old = Connection::open(project.path("old.db")).unwrap();
    old.execute_batch(
        "CREATE TABLE old (nr INTEGER PRIMARY KEY, id TEXT, name TEXT);
         INSERT INTO old VALUES (1, '1', 'Ann'), (2, 'x', 'Ben');",
    )
    .unwrap();
    project.replan("table = \"old\"", "table = \"old\"\nignore = [\"nr\"]");
    project.finish(&[]);
    assert_eq!(project.run(&["rejects", "export", "out"]).code, Some(0));
    let file = "out/people.2.bytes";
    let whole = project.read(file);
    for (mended, why) in [
        ("{\"id\":", "it is no JSON object"),
        ("[1]", "it is a JSON array, no object"),
        ("{\"nr\":2,\"id\":\"2\"}", "the column is missing: `name`"),
        ("{\"nr\":2,\"id\":\"2\",\"name\":\"Ben\",\"age\":7}", "no column: `age`"),
    ] {
        project.write(file, mended);
        project.run(&["rejects", "retry", "--from", "out"]);
        let listed = project.run(&["rejects", "list", "--all"]).stdout;
        assert!(listed.contains("WB0498") && listed.contains(why), "{mended}: {listed}");
    }
    project.write(file, whole.replace("\"x\"", "\"2\""));
    assert_eq!(project.run(&["rejects", "retry", "--from", "out"]).code, Some(0));
    assert_eq!(project.value::<String>("SELECT name FROM people WHERE id = 2"), "Ben");
}

#[test]
fn rejects_wait_until_the_newest_run_is_complete() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n1,Ann\nx,Ben\n3,Cy\n");
    project.replan("[[table]]", "[rejects]\nmax = 0\n[[table]]");
    assert_eq!(project.run(&["migrate"]).code, Some(7));
    project.run(&["rejects", "retry", "--format", "json"]).refused(
        6,
        expect![[r#"
        error[WB0623]: run `RUN` is not complete
          hint: `whimbrel migrate` goes on with it
          more: whimbrel explain WB0623
    "#]],
    );
}

#[test]
fn rejects_of_a_table_that_the_plan_has_no_more_are_not_read_again() {
    let project = rejected();
    project.replan("into = \"people\"", "into = \"persons\"");
    project.run(&["rejects", "retry", "--format", "json"]).refused(
        6,
        expect![[r#"
        error[WB0621]: the plan does not fill `people` any more, so its rejects cannot be read again
          more: whimbrel explain WB0621
    "#]],
    );
}

#[test]
fn a_record_that_is_no_utf_8_is_no_text() {
    let project = Project::new(PEOPLE);
    project.replan("csv = \"data/*.csv\"", "csv = \"data/*.csv\"\nencoding = \"latin-1\"");
    project.replan("name = \"name\"", "name = { fact = \"record.text\" }");
    project.write("data/a.csv", b"id,name\n1,Zo\xeb\n2,Ben\n");
    project.finish(&[]);
    let listed = project.run(&["rejects", "list", "--all"]).stdout;
    assert!(
        listed.contains("WB0254 data/a.csv:2 name: the record's bytes are not UTF-8"),
        "{listed}"
    );
    assert_eq!(project.value::<String>("SELECT name FROM people"), "2,Ben");
}

#[test]
fn a_database_source_without_a_key_is_told_of_the_option() {
    let plan =
        PEOPLE.replace("csv = \"data/*.csv\"", "database = \"sqlite:old.db\"\ntable = \"old\"");
    let project = Project::new(&plan);
    let old = Connection::open(project.path("old.db")).unwrap();
    old.execute_batch("CREATE TABLE old (id INT, name TEXT); INSERT INTO old VALUES (1, 'Ann');")
        .unwrap();
    let planned = project.run(&["plan"]).stdout;
    let told = "name them by the option `key` of the source, as `key = [\"id\"]`";
    assert!(planned.contains(told) && planned.contains("WB0496"), "{planned}");
    project.replan("table = \"old\"", "table = \"old\"\nkey = [\"id\"]");
    let planned = project.run(&["plan"]).stdout;
    assert!(!planned.contains("WB0496"), "{planned}");
}

#[test]
fn a_reference_to_rows_whose_old_keys_nobody_kept_is_refused() {
    let folders = "name = \"papers\"\ntarget = \"sqlite:people.db\"\n[source.folders]\ncsv = \"data/folders.csv\"\n\
        [[table]]\ninto = \"folders\"\nfrom = \"folders\"\nkey = [\"id\"]\n[table.columns]\n\
        id = { from = \"id\", type = \"integer\" }\nname = \"name\"\n";
    let papers = "[source.papers]\ncsv = \"data/papers.csv\"\n[[table]]\ninto = \"papers\"\nfrom = \"papers\"\n\
        key = [\"id\"]\n[table.columns]\nid = { from = \"id\", type = \"integer\" }\n\
        folder = { ref = \"folders\", by = \"folder\" }\n";
    let project = Project::new(folders);
    project.write("data/folders.csv", "id,name\n1,Ann\n");
    project.write("data/papers.csv", "id,folder\n7,1\n");
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    project.write("whimbrel.toml", format!("{folders}{papers}"));
    project.run(&["migrate", "--incremental"]).check(6, expect![[r#"
        error[WB0647]: `papers` refers to `folders` now, whose rows were loaded before anything did: their old keys were not kept
          hint: load everything into another target, or fill the column by a `[[relate]]` step
          more: whimbrel explain WB0647
    "#]]);
}
