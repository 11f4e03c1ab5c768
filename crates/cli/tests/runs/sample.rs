//! `--sample N`: a small, repeatable part of the data that stands on its own.

use expect_test::expect;

use crate::project::Project;

/// Files, their lines, and what is said of a line: a line needs its file, a remark its line.
const REMARKS: &str = r#"name = "remarks"
target = "sqlite:people.db"

[source.lines]
csv = "data/lines_*.csv"

[source.remarks]
csv = "data/remarks.csv"

[[table]]
into = "files"
from = "lines"
each = "file"
key = ["id"]
[table.columns]
id = { uuid5 = [{ fact = "file.name" }] }
name = { fact = "file.name" }

[[table]]
into = "lines"
from = "lines"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
file = { ref = "files", by = { fact = "file.name" } }

[[table]]
into = "remarks"
from = "remarks"
where = "text != 'skip'"
key = ["id"]
[table.columns]
id = { from = "id", type = "integer" }
line = { ref = "lines", by = "line" }
text = "text"
"#;

/// Fifty files of twenty lines, and a remark on every line.
fn project() -> Project {
    let project = Project::new(REMARKS);
    for file in 0..50 {
        let lines: Vec<String> = (0..20).map(|line| format!("{}\n", file * 20 + line)).collect();
        project.write(&format!("data/lines_{file:02}.csv"), format!("id\n{}", lines.concat()));
    }
    let text = |number: usize| if number.is_multiple_of(10) { "skip" } else { "said" };
    let remarks: Vec<String> =
        (0..1000).map(|number| format!("{number},{number},{}\n", text(number))).collect();
    project.write("data/remarks.csv", format!("id,line,text\n{}", remarks.concat()));
    project
}

fn check_counts(project: &Project, expected: [std::ops::RangeInclusive<i64>; 3]) {
    for (table, range) in ["files", "lines", "remarks"].into_iter().zip(expected) {
        let count: i64 = project.value(&format!("SELECT count(*) FROM {table}"));
        assert!(range.contains(&count), "{table}: {count}, not in {range:?}");
    }
}

#[test]
fn a_sample_brings_what_it_refers_to_and_counts_the_rest_as_filtered() {
    let project = project();
    let ended = project.run(&["migrate", "--sample", "10"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Ten remarks need ten lines, which with ten more need at most twenty files, and ten more.
    check_counts(&project, [10..=30, 10..=20, 10..=10]);
    let orphans: i64 = project.value(
        "SELECT (SELECT count(*) FROM lines WHERE file NOT IN (SELECT id FROM files))
              + (SELECT count(*) FROM remarks WHERE line NOT IN (SELECT id FROM lines))",
    );
    assert_eq!(orphans, 0);
    let rest: i64 = project.value(
        "SELECT sum(filtered) FROM whimbrel_migration_batches b
         JOIN whimbrel_migration_steps s USING (run, step) WHERE target_table = 'remarks'",
    );
    assert_eq!(rest, 990);
    let notes: String = project.value("SELECT group_concat(notes) FROM whimbrel_migration_batches");
    assert!(notes.contains("--sample"), "{notes}");
    project.holds();
}

#[test]
fn a_sample_is_the_same_with_any_number_of_threads_and_after_a_stop() {
    let one = project();
    one.finish(&["--sample", "25", "--workers", "1"]);
    let other = project();
    other.replan("[source.lines]", "[run]\ndeadline = \"1ms\"\n\n[source.lines]");
    assert_eq!(other.run(&["migrate", "--sample", "25", "--batch-size", "3"]).code, Some(75));
    other.replan("deadline = \"1ms\"\n", "");
    other.finish(&["--workers", "4"]);
    assert_eq!(one.holds(), other.holds());
}

#[test]
fn a_run_without_it_loads_the_rest() {
    let project = project();
    project.finish(&["--sample", "10"]);
    assert_eq!(project.run(&["migrate", "--sample", "10"]).code, Some(0));
    assert_eq!(project.run(&["plan", "--check"]).code, Some(5));
    assert_eq!(project.run(&["migrate"]).code, Some(0));
    check_counts(&project, [50..=50, 1000..=1000, 900..=900]);
    let again: i64 = project.value(
        "SELECT sum(unchanged) FROM whimbrel_migration_batches b
         JOIN whimbrel_migration_steps s USING (run, step) WHERE target_table = 'remarks'",
    );
    assert_eq!(again, 10, "what the sample had loaded is found again");
    project.holds();
}

#[test]
fn a_sample_of_what_is_loaded_is_refused() {
    let project = project();
    project.finish(&[]);
    project.run(&["migrate", "--sample", "10", "--format", "json"]).refused(
        6,
        expect![[r#"
        error[WB0627]: run `RUN` has loaded everything; a sample is for a target without it
          hint: name another target for the sample, as `sqlite:sample.db`
          more: whimbrel explain WB0627
    "#]],
    );
    assert_eq!(project.run(&["migrate"]).code, Some(0));
}

#[test]
fn after_a_sample_everything_else_is_still_to_do() {
    let project = project();
    project.finish(&["--sample", "10"]);
    project.run(&["check-incremental"]).check(
        5,
        expect![[r#"
        Run RUN took a sample of 10; everything else is to be taken.
        Next: whimbrel migrate
    "#]],
    );
}
