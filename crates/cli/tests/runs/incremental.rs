//! What changes in the sources between runs: new, appended, changed and deleted files, and how
//! they are told and taken.

use expect_test::{Expect, expect};

use crate::project::{PEOPLE, Project, people};

/// Two files, loaded.
fn loaded() -> Project {
    loaded_by(PEOPLE)
}

fn loaded_by(plan: &str) -> Project {
    let project = Project::new(plan);
    project.write("data/a.csv", people(0..3));
    project.write("data/b.csv", people(10..13));
    project.finish(&[]);
    project
}

/// `check-incremental` exits with this and says this, in words and as a document; without
/// `--incremental`, `migrate` only says so too.
fn check_changes(project: &Project, code: i32, expected: Expect) {
    let before = project.holds();
    let told = project.run(&["check-incremental"]);
    told.check(code, expected);
    let told = project.run(&["check-incremental", "--format", "json"]);
    assert_eq!((told.code, &told.json()["exit_code"]), (Some(code), &code.into()));
    assert_eq!(told.json()["success"], true);
    let migrate = project.run(&["migrate", "--format", "json"]);
    assert_eq!((migrate.code, &migrate.json()["exit_code"]), (Some(code), &code.into()));
    assert_eq!(project.holds(), before, "telling is not taking");
}

/// `migrate --incremental` takes the changes with these accounts; then there is nothing to do.
fn check_taken(project: &Project, code: i32, expected: Expect) {
    let taken = project.run(&["migrate", "--incremental"]);
    taken.check(code, expected);
    project.holds();
}

fn nothing_to_do(project: &Project) {
    for arguments in [&["check-incremental"][..], &["migrate"], &["migrate", "--incremental"]] {
        let ended = project.run(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    }
}

fn names(project: &Project) -> String {
    project.value("SELECT group_concat(id || name, ' ') FROM (SELECT * FROM people ORDER BY id)")
}

#[test]
fn nothing_changed() {
    let project = loaded();
    check_changes(
        &project,
        0,
        expect![[r#"
        Nothing has changed since run RUN.
    "#]],
    );
    nothing_to_do(&project);
}

#[test]
fn a_new_file() {
    let project = loaded();
    project.write("data/c.csv", "id,name\n20,New\nx,Bad\n");
    check_changes(
        &project,
        5,
        expect![[r#"
        new       data/c.csv
        1 file to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    check_taken(
        &project,
        3,
        expect![[r#"
            Run RUN is complete.
              people: read 2 = loaded 1 + rejected 1
            ! 1 reject for you to look at: whimbrel rejects list --run RUN
            Next: whimbrel report RUN
        "#]],
    );
    assert_eq!(names(&project), "0n0 1n1 2n2 10n10 11n11 12n12 20New");
    nothing_to_do(&project);
}

#[test]
fn records_appended_to_a_file() {
    let project = loaded();
    project.append("data/a.csv", "3,n3\nx,Bad\n4,n4\n");
    check_changes(
        &project,
        5,
        expect![[r#"
        appended  data/a.csv
        1 file to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    check_taken(
        &project,
        3,
        expect![[r#"
            Run RUN is complete.
              people: read 3 = loaded 2 + rejected 1
            ! 1 reject for you to look at: whimbrel rejects list --run RUN
            Next: whimbrel report RUN
        "#]],
    );
    assert_eq!(names(&project), "0n0 1n1 2n2 3n3 4n4 10n10 11n11 12n12");
    let place =
        "SELECT source_file || ':' || line || ' record ' || record FROM whimbrel_migration_rejects";
    assert_eq!(project.value::<String>(place), "data/a.csv:6 record 5");
    nothing_to_do(&project);
    project.append("data/a.csv", "5,n5\n");
    project.finish(&["--incremental"]);
    assert_eq!(names(&project), "0n0 1n1 2n2 3n3 4n4 5n5 10n10 11n11 12n12");
    nothing_to_do(&project);
}

#[test]
fn a_torn_last_line_that_is_completed_later() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n0,n0\n1");
    assert_eq!(project.finish(&[]).code, Some(3), "half a record is rejected, not guessed at");
    assert_eq!(names(&project), "0n0");
    project.append("data/a.csv", ",n1\n2,n2\n");
    check_changes(
        &project,
        5,
        expect![[r#"
        appended  data/a.csv
        1 file to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    check_taken(
        &project,
        0,
        expect![[r#"
        Run RUN is complete.
          people: read 2 = loaded 2
        Next: whimbrel report RUN
    "#]],
    );
    assert_eq!(names(&project), "0n0 1n1 2n2");
    nothing_to_do(&project);
    let resolved = "SELECT code || ' ' || line || ' ' || status FROM whimbrel_migration_rejects";
    assert_eq!(project.value::<String>(resolved), "WB0101 3 superseded", "it waits no longer");
}

#[test]
fn a_file_that_was_rejected_as_a_row_is_judged_again_when_it_grows() {
    let plan = PEOPLE.replace("from = \"people\"\n", "from = \"people\"\neach = \"file\"\n");
    let plan = plan.replace(
        "id = { from = \"id\", type = \"integer\" }",
        "id = { last = \"id\", type = \"integer\" }",
    );
    let project = Project::new(&plan.replace("name = \"name\"", "name = { last = \"name\" }"));
    project.write("data/a.csv", "id,name\n1,n1\nx,n2\n");
    assert_eq!(project.finish(&[]).code, Some(3));
    project.append("data/a.csv", "3,n3\n");
    check_taken(
        &project,
        0,
        expect![[r#"
        Run RUN is complete.
          people: read 1 = loaded 1
        Next: whimbrel report RUN
    "#]],
    );
    assert_eq!(names(&project), "3n3");
    let status = "SELECT status FROM whimbrel_migration_rejects";
    assert_eq!(project.value::<String>(status), "superseded");
}

#[test]
fn a_last_line_without_an_end_that_stays_as_it_was() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n0,n0\n1,n1");
    assert_eq!(project.finish(&[]).code, Some(0));
    project.append("data/a.csv", "\n2,n2\n");
    check_changes(
        &project,
        5,
        expect![[r#"
        appended  data/a.csv
        1 file to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    check_taken(
        &project,
        0,
        expect![[r#"
        Run RUN is complete.
          people: read 2 = loaded 1 + unchanged 1
        Next: whimbrel report RUN
    "#]],
    );
    assert_eq!(names(&project), "0n0 1n1 2n2");
    nothing_to_do(&project);
}

/// Of many files each breaks off at another byte, from `from` on, and is completed later: then they
/// hold what whole files hold, and nothing waits as a reject. `#` stands for the file's number.
fn check_completed(plan: &str, suffix: &str, whole: &str, from: usize) {
    let project = Project::new(plan);
    let files: Vec<(String, String, String)> = (from..whole.len())
        .filter(|cut| whole.is_char_boundary(*cut))
        .map(|cut| {
            let (first, rest) = whole.split_at(cut);
            let number = (cut + 10).to_string();
            let name = format!("data/{number}.{suffix}");
            (name, first.replace('#', &number), rest.replace('#', &number))
        })
        .collect();
    for (name, first, _rest) in &files {
        project.write(name, first);
    }
    project.finish(&[]);
    for (name, _first, rest) in &files {
        project.append(name, rest);
    }
    let changes =
        project.run(&["check-incremental", "--format", "json"]).json()["data"]["changes"].take();
    assert_eq!(changes["appended"].as_array().unwrap().len(), files.len(), "{changes}");
    project.finish(&["--incremental"]);
    nothing_to_do(&project);
    project.holds();
    let waiting = "SELECT count(*) FROM whimbrel_migration_rejects WHERE status = 'open'";
    assert_eq!(project.value::<i64>(waiting), 0);
    let twin = project.twin();
    assert_eq!(twin.finish(&[]).code, Some(0));
    assert_eq!(names(&project), names(&twin));
}

#[test]
fn wherever_a_csv_file_breaks_off_it_is_whole_once_it_is_complete() {
    let whole = "id,name\n#0,n0\n#1,\"quoted \"\"n1\"\"\r\nand on\"\r\n#2,n\u{e9}\n";
    // Half a value cannot be told from a whole one: it is loaded, and mended later.
    let plan = PEOPLE.replace("key = ", "existing = \"update\"\nkey = ");
    check_completed(&plan, "csv", whole, "id,name".len());
}

#[test]
fn wherever_a_file_of_json_lines_breaks_off_it_is_whole_once_it_is_complete() {
    let plan = PEOPLE.replace("csv = \"data/*.csv\"", "jsonl = \"data/*.jsonl\"");
    let whole = "{\"id\":#0,\"name\":\"n0\"}\n{\"id\":#1,\"name\":\"n\u{e9}\"}\n\n{\"id\":#2}\n";
    check_completed(&plan, "jsonl", whole, 1);
}

#[test]
fn a_last_value_that_goes_on_later_is_not_loaded_half() {
    let project = Project::new(&PEOPLE.replace("key = ", "existing = \"update\"\nkey = "));
    project.write("data/a.csv", "id,name\n0,n0\n1,n");
    assert_eq!(project.finish(&[]).code, Some(0));
    project.append("data/a.csv", "1\n2,n2\n");
    check_taken(
        &project,
        0,
        expect![[r#"
        Run RUN is complete.
          people: read 2 = loaded 1 + updated 1
        Next: whimbrel report RUN
    "#]],
    );
    assert_eq!(names(&project), "0n0 1n1 2n2");
    nothing_to_do(&project);
}

#[test]
fn a_changed_file_is_refused_row_by_row_unless_the_plan_says_update() {
    let project = loaded();
    project.write("data/a.csv", "id,name\n0,n0\n1,other\n2,n2\n3,n3\n");
    check_changes(
        &project,
        5,
        expect![[r#"
        changed   data/a.csv
        1 file to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    check_taken(
        &project,
        3,
        expect![[r#"
            Run RUN is complete.
              people: read 4 = loaded 1 + unchanged 2 + rejected 1
            ! 1 reject for you to look at: whimbrel rejects list --run RUN
            Next: whimbrel report RUN
        "#]],
    );
    assert_eq!(names(&project), "0n0 1n1 2n2 3n3 10n10 11n11 12n12");
    let reject: String = project
        .value("SELECT code || ' ' || source_file || ':' || line FROM whimbrel_migration_rejects");
    assert_eq!(reject, "WB0602 data/a.csv:3");
    nothing_to_do(&project);
}

#[test]
fn a_changed_file_updates_its_rows_where_the_plan_says_so() {
    let project = loaded_by(&PEOPLE.replace("key = ", "existing = \"update\"\nkey = "));
    project.write("data/a.csv", "id,name\n0,n0\n1,other\n2,n2\n3,n3\n");
    check_taken(
        &project,
        0,
        expect![[r#"
        Run RUN is complete.
          people: read 4 = loaded 1 + updated 1 + unchanged 2
        Next: whimbrel report RUN
    "#]],
    );
    assert_eq!(names(&project), "0n0 1other 2n2 3n3 10n10 11n11 12n12");
    nothing_to_do(&project);
}

#[test]
fn a_row_that_someone_edited_is_kept_and_the_record_rejected() {
    let project = loaded_by(&PEOPLE.replace("key = ", "existing = \"update\"\nkey = "));
    project.target().execute("UPDATE people SET name = 'mine' WHERE id = 1", []).unwrap();
    project.write("data/a.csv", "id,name\n0,n0\n1,other\n2,new\n");
    check_taken(
        &project,
        3,
        expect![[r#"
            Run RUN is complete.
              people: read 3 = updated 1 + unchanged 1 + rejected 1
            ! 1 reject for you to look at: whimbrel rejects list --run RUN
            Next: whimbrel report RUN
        "#]],
    );
    assert_eq!(names(&project), "0n0 1mine 2new 10n10 11n11 12n12");
    assert_eq!(project.value::<String>("SELECT code FROM whimbrel_migration_rejects"), "WB0604");
}

#[test]
fn a_row_that_several_records_wrote_in_turn_is_nobody_elses() {
    let project = loaded_by(&PEOPLE.replace("key = ", "existing = \"update\"\nkey = "));
    for name in ["second", "third"] {
        project.write(&format!("data/{name}.csv"), format!("id,name\n1,{name}\n"));
        assert_eq!(project.finish(&["--incremental"]).code, Some(0), "{name}");
        assert_eq!(names(&project), format!("0n0 1{name} 2n2 10n10 11n11 12n12"));
    }
    project.write("data/a.csv", "id,name\n0,n0\n1,first again\n2,n2\n");
    project.finish(&["--incremental"]);
    assert_eq!(names(&project), "0n0 1first again 2n2 10n10 11n11 12n12");
    assert_eq!(project.value::<i64>("SELECT count(*) FROM whimbrel_migration_rejects"), 0);
}

#[test]
fn two_records_of_one_run_do_not_update_each_other() {
    let project = Project::new(&PEOPLE.replace("key = ", "existing = \"update\"\nkey = "));
    project.write("data/a.csv", "id,name\n1,first\n2,n2\n1,later\n");
    assert_eq!(project.finish(&[]).code, Some(3));
    assert_eq!(names(&project), "1first 2n2");
    let reject = "SELECT code || ' ' || source_file || ':' || line FROM whimbrel_migration_rejects";
    assert_eq!(project.value::<String>(reject), "WB0603 data/a.csv:4");
    project.holds();
}

#[test]
fn a_deleted_file_is_reported_and_its_rows_stay() {
    let project = loaded();
    std::fs::remove_file(project.path("data/b.csv")).unwrap();
    check_changes(
        &project,
        0,
        expect![[r#"
            deleted   data/b.csv (3 records left in the target)
            Nothing to take since run RUN.
        "#]],
    );
    let told = project.run(&["migrate", "--incremental"]);
    told.check(0, expect![[r#"
        Nothing to do: run RUN is complete. Deleted since: 1 file; what was loaded stays in the target.
        Next: whimbrel check-incremental lists what is gone.
    "#]]);
    assert_eq!(names(&project), "0n0 1n1 2n2 10n10 11n11 12n12");
}

#[test]
fn a_touched_and_a_renamed_file() {
    let project = loaded();
    // Written again with the same bytes: another time, another inode, the same content.
    std::fs::remove_file(project.path("data/a.csv")).unwrap();
    project.write("data/a.csv", people(0..3));
    nothing_to_do(&project);
    std::fs::rename(project.path("data/b.csv"), project.path("data/c.csv")).unwrap();
    check_changes(
        &project,
        5,
        expect![[r#"
            new       data/c.csv
            deleted   data/b.csv (3 records left in the target)
            1 file to take since run RUN.
            Next: whimbrel migrate --incremental
        "#]],
    );
    check_taken(
        &project,
        0,
        expect![[r#"
        Run RUN is complete.
          people: read 3 = unchanged 3
        Next: whimbrel report RUN
    "#]],
    );
    assert_eq!(names(&project), "0n0 1n1 2n2 10n10 11n11 12n12");
}

#[test]
fn a_row_of_a_file_follows_the_records_appended_to_it() {
    let plan = r#"name = "runs"
target = "sqlite:people.db"

[source.samples]
csv = "data/*.csv"

[[table]]
into = "runs"
from = "samples"
each = "file"
key = ["file"]
existing = "update"
[table.columns]
file = { fact = "file.stem", type = "text" }
records = { count = true, type = "integer" }
status = { last = "status", type = "text" }

[[table]]
into = "samples"
from = "samples"
key = ["file", "number"]
[table.columns]
file = { ref = "runs", by = { fact = "file.stem" }, type = "text" }
number = { fact = "record.number", type = "integer" }
status = "status"
"#;
    let project = Project::new(plan);
    project.write("data/a.csv", "status\nstarting\nrunning\n");
    project.write("data/b.csv", "status\nready\n");
    project.finish(&[]);
    let runs = "SELECT group_concat(file || ' ' || records || ' ' || status) FROM runs";
    assert_eq!(project.value::<String>(runs), "a 2 running,b 1 ready");
    project.append("data/a.csv", "stopping\nready\n");
    check_changes(
        &project,
        5,
        expect![[r#"
        appended  data/a.csv
        1 file to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    check_taken(
        &project,
        0,
        expect![[r#"
        Run RUN is complete.
          runs: read 1 = updated 1
          samples: read 2 = loaded 2
        Next: whimbrel report RUN
    "#]],
    );
    assert_eq!(project.value::<String>(runs), "a 4 ready,b 1 ready");
    assert_eq!(project.value::<i64>("SELECT count(*) FROM samples"), 5);
    nothing_to_do(&project);
    std::fs::remove_file(project.path("data/a.csv")).unwrap();
    project.run(&["check-incremental"]).check(
        0,
        expect![[r#"
            deleted   data/a.csv (4 records left in the target)
            Nothing to take since run RUN.
        "#]],
    );
}

#[test]
fn an_incremental_run_that_is_interrupted_goes_on() {
    let project = Project::of_one_file(6_000);
    project.finish(&[]);
    project.append("data/people.csv", people(6_000..12_000).strip_prefix("id,name\n").unwrap());
    project.write("data/quite_new.csv", people(12_000..18_000));
    let stopped =
        project.run(&["migrate", "--incremental", "--batch-size", "2000", "--deadline", "1ms"]);
    assert_eq!(stopped.code, Some(75), "{stopped:?}");
    // The unfinished run goes on whether the flag is given again or not.
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    project.holds();
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 18_000);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM whimbrel_migration_runs"), 2);
    nothing_to_do(&project);
}

#[test]
fn what_does_not_fit_is_shown_in_the_plan() {
    let project = loaded();
    project.replan("from = \"id\"", "from = \"number\"");
    let told = project.run(&["check-incremental", "--format", "json"]);
    assert_eq!(told.code, Some(2));
    assert!(told.stderr.contains("whimbrel.toml:12:15"), "{told:?}");
    assert_eq!(told.json()["details"]["errors"].as_array().unwrap().len(), 1);
}

#[test]
fn nothing_can_be_incremental_to_no_run() {
    let project = Project::of_one_file(3);
    let told = project.run(&["check-incremental", "--format", "json"]);
    told.refused(
        2,
        expect![[r#"
        error[WB0620]: no run of plan `people` in `sqlite:people.db`
          hint: `whimbrel migrate` begins one
          more: whimbrel explain WB0620
    "#]],
    );
    project.finish(&["--incremental"]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_mapping_that_changed_after_the_run_is_adopted_before_it_is_used() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n1,Ann\n");
    project.finish(&[]);
    project.replan("name = \"name\"", "name = { cel = \"name + '!'\" }");
    project.run(&["migrate", "--format", "json"]).refused(
        6,
        expect![[r#"
        error[WB0615]: the mapping of `people` changed since run `RUN` began to load it
          hint: put the mapping back, or go on with it: `whimbrel migrate --adopt`
          more: whimbrel explain WB0615
    "#]],
    );
    assert_eq!(project.run(&["plan", "--check"]).code, Some(6));
    project.run(&["check-incremental"]).check(
        6,
        expect![[r#"
        remapped  table `people` (`whimbrel migrate --adopt` goes on with its new mapping)
        Nothing to take since run RUN.
        Next: whimbrel migrate --adopt
    "#]],
    );
    assert_eq!(project.run(&["migrate", "--adopt"]).code, Some(0));
    nothing_to_do(&project);
    project.write("data/b.csv", "id,name\n2,Ben\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    assert_eq!(names(&project), "1Ann 2Ben!", "what was loaded stays as it was");
    let audited: i64 =
        project.value("SELECT count(*) FROM whimbrel_audit_log WHERE action = 'mapping.adopted'");
    assert_eq!(audited, 1);
    project.holds();
}

#[test]
fn a_table_that_the_plan_has_got_since_is_filled() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n1,Ann\n");
    project.finish(&[]);
    let plan = project.read("whimbrel.toml");
    let more = "\n[[table]]\ninto = \"more\"\nfrom = \"people\"\nkey = [\"id\"]\n[table.columns]\nid = { from = \"id\", type = \"integer\" }\n";
    project.write("whimbrel.toml", format!("{plan}{more}"));
    project.run(&["migrate"]).check(
        5,
        expect![[r#"
        Since run RUN: 0 files new, 0 appended, 0 changed, 0 deleted; 1 table new.
        Next: whimbrel check-incremental lists them, whimbrel migrate --incremental takes them.
    "#]],
    );
    project.run(&["check-incremental"]).check(
        5,
        expect![[r#"
        new       table `more`
        1 new table to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM more"), 1);
    nothing_to_do(&project);
    project.holds();
}

/// One row a file: how many records, their sum, and the last word.
const SUMS: &str = r#"name = "sums"
target = "sqlite:people.db"

[source.people]
csv = "data/*.csv"

[[table]]
into = "sums"
from = "people"
each = "file"
existing = "update"
key = ["file"]
[table.columns]
file = { fact = "file.name" }
n = { count = true }
s = { sum = "a" }
l = { last = "b" }
"#;

#[test]
fn what_sums_up_a_file_goes_on_before_a_line_that_had_no_end() {
    for quoted in [false, true] {
        let project = Project::new(SUMS);
        let (first, rest) = if quoted {
            ("a,b\n1,x\n2,\"y\nz\nz\nz", "\"\n4,z\n")
        } else {
            ("a,b\n1,x\n2,x\n3,y", "0\n4,z\n")
        };
        project.write("data/1.csv", first);
        project.finish(&[]);
        project.append("data/1.csv", rest);
        project.finish(&["--incremental"]);
        let twin = project.twin();
        twin.finish(&[]);
        let sums = "SELECT file || ' ' || n || ' ' || coalesce(s, '-') || ' ' || l FROM sums";
        assert_eq!(project.value::<String>(sums), twin.value::<String>(sums));
    }
}

#[test]
fn a_quote_that_was_torn_over_several_lines_leaves_no_reject_behind() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n1,\"x\ny\nz");
    project.finish(&[]);
    project.append("data/a.csv", "\"\n2,ok\n");
    assert_eq!(project.run(&["migrate", "--incremental"]).code, Some(0));
    let open = "SELECT count(*) FROM whimbrel_migration_rejects WHERE status = 'open'";
    assert_eq!(project.value::<i64>(open), 0);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 2);
    nothing_to_do(&project);
}

#[test]
fn a_reject_at_the_end_of_a_file_that_grows_is_not_retried_but_read_again() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n1,Ann\n\"2,B");
    assert_eq!(project.finish(&[]).code, Some(3));
    project.append("data/a.csv", "en\",x\n3,Cy\n");
    project.run(&["rejects", "retry", "--format", "json"]).refused(6, expect![[r#"
        error[WB0624]: `data/a.csv` is no longer what was rejected
          hint: if you mended the file itself: `whimbrel migrate --incremental`; else put it back, or waive its rejects
          more: whimbrel explain WB0624
    "#]]);
    project.finish(&["--incremental"]);
    nothing_to_do(&project);
}

/// `text` as UTF-16, low byte first, without a byte order mark.
fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn wherever_a_file_in_utf_16_breaks_off_it_is_whole_once_it_is_complete() {
    let plan = PEOPLE.replace("*.csv\"\n", "*.csv\"\nencoding = \"utf-16le\"\n");
    let project = Project::new(&plan.replace("key = ", "existing = \"update\"\nkey = "));
    let header = utf_16("id,name").len();
    let whole = |cut: usize| {
        utf_16(&format!("id,name\r\n{cut}0,\"a \"\"q\"\"\n\"\r\n{cut}1,n\u{1F426}\r\n"))
    };
    let cuts = header..whole(10).len();
    for cut in cuts.clone() {
        project.write(&format!("data/{cut}.csv"), &whole(cut)[..cut]);
    }
    assert_eq!(project.finish(&[]).code, Some(3));
    for cut in cuts.clone() {
        project.write(&format!("data/{cut}.csv"), whole(cut));
    }
    let told = project.run(&["check-incremental", "--format", "json"]).json();
    let appended = told["data"]["changes"]["appended"].as_array().unwrap().len();
    assert_eq!(appended, cuts.len(), "{told}");
    assert_eq!(project.finish(&["--incremental"]).code, Some(0));
    nothing_to_do(&project);
    let waiting = "SELECT count(*) FROM whimbrel_migration_rejects WHERE status = 'open'";
    assert_eq!(project.value::<i64>(waiting), 0);
    let twin = project.twin();
    assert_eq!(twin.finish(&[]).code, Some(0));
    assert_eq!(names(&project), names(&twin));
}

#[test]
fn a_header_that_is_half_there_keeps_no_other_file_from_being_loaded() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", people(0..1));
    project.write("data/b.csv", b"\xFF\xFEi\0d\0,");
    project.write("data/c.csv", b"id,na\xC3");
    project.write("data/d.csv", "\"id\",\"na");
    assert_eq!(project.finish(&[]).code, Some(0));
    assert_eq!(names(&project), "0n0");
    project.write("data/b.csv", [&b"\xFF\xFE"[..], &utf_16("id,name\n1,n1\n")].concat());
    project.write("data/c.csv", "id,name\n2,n2\n");
    project.append("data/d.csv", "me\"\n3,n3\n");
    assert_eq!(project.finish(&["--incremental"]).code, Some(0));
    assert_eq!(names(&project), "0n0 1n1 2n2 3n3");
    nothing_to_do(&project);
}

#[test]
fn a_last_line_with_broken_quoting_that_goes_on_later_is_read_again() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n0,n0\n1,\"n\"1");
    assert_eq!(project.finish(&[]).code, Some(3));
    project.append("data/a.csv", "x\n2,n2\n");
    check_taken(
        &project,
        3,
        expect![[r#"
            Run RUN is complete.
              people: read 2 = loaded 1 + rejected 1
            ! 1 reject for you to look at: whimbrel rejects list --run RUN
            Next: whimbrel report RUN
        "#]],
    );
    assert_eq!(names(&project), "0n0 2n2");
    nothing_to_do(&project);
}

#[test]
fn a_line_end_that_comes_in_two_parts_is_one_line() {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\r\n0,n0\r");
    assert_eq!(project.finish(&[]).code, Some(0));
    project.append("data/a.csv", "\n1,n1\r\nx,Bad\r\n");
    assert_eq!(project.finish(&["--incremental"]).code, Some(3));
    assert_eq!(project.value::<i64>("SELECT line FROM whimbrel_migration_rejects"), 4);
}

#[test]
fn a_last_record_without_a_line_end_is_loaded_and_noted() {
    let notes = |project: &Project| {
        let report = project.run(&["report", "--format", "json"]).json();
        report["data"]["outcome"]["notes"]["shown"].clone()
    };
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", "id,name\n0,n0\n1,12");
    project.write("data/b.csv", "id,name\n2,n2\n");
    assert_eq!(project.finish(&[]).code, Some(0));
    let noted = notes(&project);
    assert_eq!(noted.as_array().map(Vec::len), Some(1), "{noted}");
    let code = (&noted[0]["code"], &noted[0]["count"], &noted[0]["effect"]);
    assert_eq!(code, (&"WB0123".into(), &1.into(), &"warned".into()), "{noted}");
    assert!(noted[0]["samples"].to_string().contains("data/a.csv:3"), "{noted}");
    project.append("data/a.csv", ".7\n");
    assert_eq!(project.finish(&["--incremental"]).code, Some(3));
    let code = "SELECT code FROM whimbrel_migration_rejects";
    assert_eq!(project.value::<String>(code), "WB0602", "the half record is not silently kept");
    assert_eq!(notes(&project).as_array().map(Vec::len), Some(0));
}
