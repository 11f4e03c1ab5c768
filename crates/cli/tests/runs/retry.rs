//! `rejects retry`: what a person has mended is loaded, the rest stays as it was, and every reject
//! is accounted for.

use std::fs;

use expect_test::expect;
use serde_json::Value as Json;

use crate::project::Project;

/// Folders and their papers: a paper whose folder was rejected is rejected too.
const PAPERS: &str = r#"name = "papers"
target = "sqlite:people.db"

[source.folders]
csv = "data/folders.csv"

[source.papers]
csv = "data/papers.csv"

[[table]]
into = "folders"
from = "folders"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
name = "name"

[[table]]
into = "papers"
from = "papers"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
folder = { ref = "folders", by = "folder" }
"#;

/// A project with two bad records of five, migrated.
fn migrated() -> Project {
    let project = Project::new(crate::project::PEOPLE);
    project.write("data/people.csv", "id,name\n1,Ann\nx,Ben\n3,Cy\ny,Di\n5,Eve\n");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    project
}

/// Exports the open rejects to `name` and puts `to` in place of `from` in each of them that has it.
fn mend(project: &Project, name: &str, from: &str, to: &str) {
    assert_eq!(project.run(&["rejects", "export", name]).code, Some(0));
    for entry in fs::read_dir(project.path(name)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "bytes") {
            let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
            fs::write(&path, text.replace(from, to)).unwrap();
        }
    }
}

fn statuses(project: &Project) -> Vec<(String, String)> {
    let target = project.target();
    let mut prepared = target
        .prepare(
            "SELECT r.kind || ' ' || j.source_file || ':' || j.line, j.status
             FROM whimbrel_migration_rejects j JOIN whimbrel_migration_runs r ON r.id = j.run
             ORDER BY r.seq, j.step, j.unit",
        )
        .unwrap();
    let rows = prepared.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn check_statuses(project: &Project, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> = expected
        .iter()
        .map(|(place, status)| ((*place).to_owned(), (*status).to_owned()))
        .collect();
    assert_eq!(statuses(project), expected);
}

#[test]
fn a_mended_record_is_loaded_and_the_others_are_left_alone() {
    let project = migrated();
    mend(&project, "fixes", "x,", "2,");
    project.run(&["rejects", "retry", "--from", "fixes"]).check(
        0,
        expect![[r#"
            Run RUN is complete.
              people: read 1 = loaded 1
            ! 1 reject open: whimbrel rejects list
            Next: whimbrel report
        "#]],
    );
    check_statuses(
        &project,
        &[("full data/people.csv:3", "fixed"), ("full data/people.csv:5", "open")],
    );
    let mended: String = project.value("SELECT name FROM people WHERE id = 2");
    assert_eq!(mended, "Ben");
    let bytes: Vec<u8> =
        project.value("SELECT fixed_bytes FROM whimbrel_migration_rejects WHERE status = 'fixed'");
    assert_eq!(bytes, b"2,Ben");
    project.holds();
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 4);
}

#[test]
fn a_folder_that_was_read_is_not_read_again() {
    let project = migrated();
    mend(&project, "fixes", "x,", "2,");
    let retry = ["rejects", "retry", "--from", "fixes"];
    assert_eq!(project.run(&retry).code, Some(0));
    let before = project.holds();
    project.run(&retry).check(
        0,
        expect![[r#"
        Nothing to do: run RUN has what was repaired in fixes.
    "#]],
    );
    assert_eq!(project.holds(), before);
}

#[test]
fn a_record_that_is_still_bad_is_a_reject_of_the_retry() {
    let project = migrated();
    mend(&project, "fixes", "x,", "z,");
    assert_eq!(project.run(&["rejects", "retry", "--from", "fixes"]).code, Some(3));
    check_statuses(
        &project,
        &[
            ("full data/people.csv:3", "superseded"),
            ("full data/people.csv:5", "open"),
            ("retry data/people.csv:3", "open"),
        ],
    );
    let shown = project.run(&["rejects", "list", "--all", "--format", "json"]).json();
    assert_eq!(shown["data"]["total"], 2, "{shown}");
    // What was mended badly is mended again: the export holds the last bytes.
    mend(&project, "again", "z,", "2,");
    assert_eq!(project.run(&["rejects", "retry", "--from", "again"]).code, Some(0));
    project.holds();
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 4);
}

#[test]
fn a_retry_reads_with_the_plan_as_it_is_now() {
    let project = migrated();
    project.replan(
        r#"{ from = "id", type = "integer" }"#,
        r#"{ cel = "int(id == 'x' ? '20' : id == 'y' ? '40' : id)" }"#,
    );
    let ended = project.run(&["rejects", "retry"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ids: String =
        project.value("SELECT group_concat(id, ' ') FROM (SELECT id FROM people ORDER BY id)");
    assert_eq!(ids, "1 3 5 20 40");
    project.holds();
}

#[test]
fn one_reject_alone_is_retried_by_its_name() {
    let project = migrated();
    mend(&project, "fixes", ",", "0,");
    let listed = project.run(&["rejects", "list", "--all", "--format", "json"]).json();
    let id = listed["data"]["rejects"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(project.run(&["rejects", "retry", &id]).code, Some(3));
    check_statuses(
        &project,
        &[
            ("full data/people.csv:3", "superseded"),
            ("full data/people.csv:5", "open"),
            ("retry data/people.csv:3", "open"),
        ],
    );
}

#[test]
fn children_follow_their_mended_parent() {
    let project = Project::new(PAPERS);
    project.write("data/folders.csv", "id,name\n1,a\nx,b\n");
    project.write("data/papers.csv", "id,folder\n10,1\n11,2\n12,2\n");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    mend(&project, "fixes", "x,", "2,");
    assert_eq!(project.run(&["rejects", "retry", "--from", "fixes"]).code, Some(0));
    check_statuses(
        &project,
        &[
            ("full data/folders.csv:3", "fixed"),
            ("full data/papers.csv:3", "open"),
            ("full data/papers.csv:4", "open"),
        ],
    );
    assert_eq!(project.run(&["rejects", "retry"]).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM papers WHERE folder = 2"), 2);
    project.holds();
}

#[test]
fn a_torn_last_line_is_completed_by_hand() {
    let project = Project::new(crate::project::PEOPLE);
    project.write("data/people.csv", "id,name\n1,Ann\n\"2,B");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    mend(&project, "fixes", "\"2,B", "2,Ben");
    let ended = project.run(&["rejects", "retry", "--from", "fixes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(project.value::<String>("SELECT name FROM people WHERE id = 2"), "Ben");
}

#[test]
fn two_records_in_the_place_of_one_are_refused() {
    let project = migrated();
    mend(&project, "fixes", "x,Ben", "2,Ben\n6,Flo");
    let ended = project.run(&["rejects", "retry", "--from", "fixes"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 3);
    project.holds();
}

#[test]
fn what_was_appended_since_waits_for_an_incremental_run() {
    let project = migrated();
    project.append("data/people.csv", "6,Flo\n");
    mend(&project, "fixes", "y,", "4,");
    assert_eq!(project.run(&["rejects", "retry", "--from", "fixes"]).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 4);
    assert_eq!(project.run(&["migrate"]).code, Some(5));
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 5);
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    project.holds();
}

#[test]
fn a_file_that_was_mended_itself_belongs_to_an_incremental_run() {
    let project = migrated();
    project.write("data/people.csv", "id,name\n1,Ann\n2,Ben\n3,Cy\n4,Di\n5,Eve\n");
    project.run(&["rejects", "retry", "--format", "json"]).refused(
        6,
        expect![[r#"
            error[WB0624]: `data/people.csv` is no longer what was rejected
              hint: if you mended the file itself: `whimbrel migrate --incremental`; else put it back, or waive its rejects
              more: whimbrel explain WB0624
        "#]],
    );
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    check_statuses(
        &project,
        &[("full data/people.csv:3", "superseded"), ("full data/people.csv:5", "superseded")],
    );
    project.holds();
}

#[test]
fn a_file_too_large_is_read_whole_once_it_may_be() {
    let project = Project::new(crate::project::PEOPLE);
    project.write("data/people.csv", "id,name\n1,Ann\n2,Ben\n");
    let small = ["migrate", "--max-file-size", "10B", "--large-files", "reject"];
    assert_eq!(project.run(&small).code, Some(3));
    let ended = project.run(&["rejects", "retry", "--max-file-size", "1MB"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 2);
    check_statuses(&project, &[("full data/people.csv:0", "fixed")]);
    project.holds();
}

#[test]
fn a_whole_document_is_mended_like_a_record() {
    let plan = crate::project::PEOPLE.replace(r#"csv = "data/*.csv""#, r#"markdown = "data/*.md""#);
    let project = Project::new(&plan);
    project.write("data/a.md", "---\nid: 1\nname: Ann\n---\ntext\n");
    project.write("data/b.md", "---\nid: [2\nname: Ben\n---\ntext\n");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    mend(&project, "fixes", "[2", "2");
    let ended = project.run(&["rejects", "retry", "--from", "fixes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(project.value::<String>("SELECT name FROM people WHERE id = 2"), "Ben");
}

#[test]
fn a_record_too_long_is_loaded_once_it_may_be() {
    let project = Project::new(crate::project::PEOPLE);
    project.replan("csv = \"data/*.csv\"", "csv = \"data/*.csv\"\nmax_record_size = \"100KB\"");
    let long = "n".repeat(200_000);
    project.write("data/people.csv", format!("id,name\n1,Ann\n2,{long}\n3,Cy\n"));
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    // Only its beginning was kept: to load what is mended there would lose the rest.
    mend(&project, "fixes", "2,", "4,");
    let retry = ["rejects", "retry", "--from", "fixes", "--format", "json"];
    project.run(&retry).refused(
        2,
        expect![[r#"
        error[WB0718]: only the beginning of record `data/people.csv:3` was kept
          hint: mend the file itself and take it with `whimbrel migrate --incremental`
          more: whimbrel explain WB0718
    "#]],
    );
    project.replan("100KB", "1MB");
    let ended = project.run(&["rejects", "retry"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(project.value::<i64>("SELECT length(name) FROM people WHERE id = 2"), 200_000);
    project.holds();
}

#[test]
fn what_cannot_be_retried_is_said() {
    let project = migrated();
    let refused = |arguments: &[&str], code: i32, expected| {
        project
            .run(&[&["rejects", "retry", "--format", "json"], arguments].concat())
            .refused(code, expected);
    };
    refused(
        &["9.9"],
        2,
        expect![[r#"
        error[WB0707]: no open reject of run RUN is meant by `9.9`
          hint: `whimbrel rejects list --all` names them
          more: whimbrel explain WB0707
    "#]],
    );
    refused(
        &["--from", "nowhere"],
        2,
        expect![[r#"
        error[WB0710]: the index of exported rejects cannot be read: `nowhere/index.jsonl`
          caused by: No such file or directory (os error 2)
          hint: `whimbrel rejects export FOLDER` writes it
          more: whimbrel explain WB0710
    "#]],
    );
    assert_eq!(project.run(&["rejects", "export", "same"]).code, Some(0));
    refused(
        &["--from", "same"],
        2,
        expect![[r#"
        error[WB0710]: no file in `same` differs from its open reject
          hint: edit the `.bytes` files, or read all again as they are: whimbrel rejects retry
          more: whimbrel explain WB0710
    "#]],
    );
    let waived = project.run(&["rejects", "waive", "all", "--reason", "test data"]);
    assert_eq!(waived.code, Some(0));
    project.run(&["rejects", "retry"]).check(
        0,
        expect![[r#"
        Nothing to do: no open reject of run RUN to read again.
    "#]],
    );
}

#[test]
fn a_stopped_retry_is_gone_on_with_by_either_command() {
    let project = Project::new(crate::project::PEOPLE);
    let bad: Vec<String> = (0..3000).map(|number| format!("x{number},n\n")).collect();
    project.write("data/people.csv", format!("id,name\n1,Ann\n{}", bad.concat()));
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    project.replan(
        r#"{ from = "id", type = "integer" }"#,
        r#"{ cel = "int(id.startsWith('x') ? '1' + id.substring(1) : id)" }"#,
    );
    project.replan("[source", "[run]\nbatch_size = 100\ndeadline = \"1ms\"\n\n[source");
    assert_eq!(project.run(&["rejects", "retry"]).code, Some(75));
    let history = project.run(&["status", "--format", "json"]).json();
    assert_eq!(history["data"]["kind"], "retry");
    let refused = project.run(&["rejects", "retry"]);
    assert!(matches!(refused.code, Some(75)), "{refused:?}");
    project.replan("deadline = \"1ms\"\n", "");
    let ended = project.run(&["migrate"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 3001);
    let open: Json = project.run(&["rejects", "list", "--format", "json"]).json();
    assert_eq!(open["data"]["total"], 0);
    project.holds();
}

#[test]
fn names_stay_apart_when_the_plan_gets_another_table() {
    let project = Project::new(crate::project::PEOPLE);
    project.write("data/people.csv", "id,name\nx,Ann\n");
    assert_eq!(project.run(&["migrate"]).code, Some(3));
    let plan = project.read("whimbrel.toml");
    let other = "[source.pets]\ncsv = \"pets/*.csv\"\n\n[[table]]\ninto = \"animals\"\nfrom = \"pets\"\nkey = [\"id\"]\n[table.columns]\nid = { from = \"id\", type = \"integer\" }\nname = \"name\"\n\n[[table]]";
    project.write("whimbrel.toml", plan.replacen("[[table]]", other, 1));
    project.write("pets/a.csv", "id,name\ny,Rex\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(3));
    mend(&project, "fixes", "y,", "9,");
    let ended = project.run(&["rejects", "retry", "--from", "fixes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(project.value::<String>("SELECT group_concat(id || name) FROM animals"), "9Rex");
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 0);
    let open = project.run(&["rejects", "list", "--format", "json"]).json();
    assert_eq!(open["data"]["total"], 1, "{open}");
}

#[test]
fn a_folder_that_was_exported_before_a_retry_is_still_good() {
    let project = migrated();
    assert_eq!(project.run(&["rejects", "export", "fixes"]).code, Some(0));
    assert_eq!(project.run(&["rejects", "retry", "people.2"]).code, Some(3));
    fs::write(project.path("fixes/people.2.bytes"), "2,Ben").unwrap();
    fs::write(project.path("fixes/people.4.bytes"), "4,Di").unwrap();
    let ended = project.run(&["rejects", "retry", "--from", "fixes"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 5);
    project.holds();
}

#[test]
fn a_stopped_retry_does_not_go_on_with_other_words() {
    let project = migrated();
    mend(&project, "fixes", "x,", "2,");
    project.replan("[source", "[run]\ndeadline = \"1ms\"\n\n[source");
    let retry = ["rejects", "retry", "--from", "fixes"];
    assert_eq!(project.run(&retry).code, Some(75));
    project.run(&["rejects", "retry", "people.4", "--format", "json"]).refused(6, expect![[r#"
        error[WB0617]: run `RUN` is unfinished and was started with other options: it has `--from fixes`, you gave `people.4`
          hint: leave the options out to go on with that run
          more: whimbrel explain WB0617
    "#]]);
    project.replan("deadline = \"1ms\"\n", "");
    assert_eq!(project.run(&retry).code, Some(0));
    check_statuses(
        &project,
        &[("full data/people.csv:3", "fixed"), ("full data/people.csv:5", "open")],
    );
}

#[test]
fn a_retry_under_another_mapping_says_so() {
    let project = migrated();
    project.replan("name = \"name\"", "name = { cel = \"name + '!'\" }");
    mend(&project, "fixes", "x,", "2,");
    let ended = project.run(&["rejects", "retry", "--from", "fixes"]);
    assert!(ended.stdout.contains("`people` has another mapping now"), "{ended:?}");
    assert_eq!(project.value::<String>("SELECT name FROM people WHERE id = 2"), "Ben!");
}

#[test]
fn every_word_has_to_mean_a_reject() {
    let project = migrated();
    let retry = ["rejects", "retry", "people.2", "people.9", "--format", "json"];
    project.run(&retry).refused(
        2,
        expect![[r#"
        error[WB0707]: no open reject of run RUN is meant by `people.9`
          hint: `whimbrel rejects list --all` names them
          more: whimbrel explain WB0707
    "#]],
    );
    let waive = ["rejects", "waive", "data/people.csv:3", "--reason", "test data"];
    assert_eq!(project.run(&waive).code, Some(0));
    check_statuses(
        &project,
        &[("full data/people.csv:3", "waived"), ("full data/people.csv:5", "open")],
    );
}

#[test]
fn a_table_that_was_dropped_by_hand_is_not_made_anew() {
    let project = migrated();
    project.target().execute_batch("DROP TABLE people").unwrap();
    project.run(&["rejects", "retry", "--format", "json"]).refused(
        6,
        expect![[r#"
        error[WB0626]: table `people` is gone; run `RUN`, or one before it, has filled it
          hint: put the table back, or name another target; nothing was written
          more: whimbrel explain WB0626
    "#]],
    );
    project.write("data/more.csv", "id,name\n7,Gus\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(6));
}
