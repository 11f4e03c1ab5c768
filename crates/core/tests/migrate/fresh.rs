//! What a run makes of its sources.

use expect_test::expect;
use whimbrel_core::Outcome;

use crate::world::{World, check};

const PEOPLE: &str = r#"
[source.people]
csv = "*.csv"
[[table]]
into = "people"
from = "people"
key  = ["id"]
columns = { id = { from = "id", type = "integer" }, name = "name" }
"#;

fn people(settings: &str, lines: &str) -> World {
    let plan = PEOPLE.replace("key  = [\"id\"]", &format!("key  = [\"id\"]\n{settings}"));
    World::new(&plan, &[("people", "id,name")]).file("people", "a.csv", lines)
}

#[test]
fn every_record_is_accounted_for() {
    let world =
        people("", "1,Ada\n2,Grace\n!3,Al\n007,James").file("people", "b.csv", "~,Nobody\n1,Ada");
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 6 read = 2 loaded + 1 unchanged + 3 rejected
              open a.csv:3 WB0101 torn
              open a.csv:4 WB0230 not an integer as it stands
              open b.csv:1 WB0249 a key column is NULL
            people
              1 | Ada
              2 | Grace
        "#]],
    );
}

#[test]
fn a_second_run_finds_nothing_to_do() {
    let world = people("", "1,Ada\n2,Grace");
    world.migrate_to_the_end();
    let before = world.committed();
    let ended = world.migrate();
    assert!(matches!(ended, Ok(Outcome::NothingToDo { .. })), "{ended:?}");
    assert_eq!(world.committed(), before);
}

#[test]
fn a_preview_tells_what_a_run_will_do_and_writes_nothing() {
    let world = people("where = \"name != 'Al'\"", "1,Ada\n2,Grace\n!3,Al\n007,James\n4,Al");
    let preview = world.preview().expect("the plan fits");
    let units = preview.tables[0].units;
    assert_eq!((units.read, units.loaded, units.rejected, units.filtered), (5, 2, 2, 1));
    assert_eq!(world.told(), "people\n");
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 5 read = 2 loaded + 2 rejected + 1 filtered
              open a.csv:3 WB0101 torn
              open a.csv:4 WB0230 not an integer as it stands
            people
              1 | Ada
              2 | Grace
        "#]],
    );
}

#[test]
fn a_source_without_files_is_refused_before_the_ledger_is_made() {
    let world = World::new(PEOPLE, &[("people", "id,name")]);
    check(
        &world,
        &expect![[r#"
            people

            WB0612: source `people` matches no file: `*.csv`
        "#]],
    );
}

#[test]
fn the_first_of_two_records_with_one_key_stays() {
    check(
        &people("", "1,Ada\n1,Grace"),
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 rejected
              open a.csv:2 WB0602 the key is taken by a row with another content
            people
              1 | Ada
        "#]],
    );
}

#[test]
fn the_first_of_two_records_with_one_key_stays_where_rows_are_updated() {
    for sip in [1, 10] {
        check(
            &people("existing = \"update\"", "1,Ada\n1,Grace").sips(sip),
            &expect![[r#"
                run 1 full completed
                  step 1: 2 read = 1 loaded + 1 rejected
                  open a.csv:2 WB0603 the key belongs to another record of this run, `a.csv:1`
                people
                  1 | Ada
            "#]],
        );
    }
}

#[test]
fn a_row_that_is_kept_makes_its_rival_a_duplicate() {
    check(
        &people("existing = \"keep\"", "1,Ada\n1,Grace"),
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 duplicate
            people
              1 | Ada
        "#]],
    );
}

#[test]
fn whoever_lost_to_a_kept_row_has_losers_wherever_batches_end() {
    for rows in [1, 100] {
        let settings = "existing = \"keep\"\nduplicates = { by = [\"name\"] }";
        let plan = PEOPLE.replace("key  = [\"id\"]", &format!("key  = [\"id\"]\n{settings}"));
        let plan = format!("{plan}\n[run]\nbatch_size = {rows}\n");
        let world = World::new(&plan, &[("people", "id,name")]);
        check(
            &world.file("people", "a.csv", "1,Ada\n1,Grace\n2,Grace"),
            &expect![[r#"
                run 1 full completed
                  step 1: 3 read = 1 loaded + 2 duplicate
                people
                  1 | Ada
            "#]],
        );
    }
}

#[test]
fn a_filtered_record_is_counted_and_not_listed() {
    check(
        &people("where = \"name != 'Ada'\"", "1,Ada\n2,Grace"),
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 filtered
            people
              2 | Grace
        "#]],
    );
}

#[test]
fn a_broken_rule_rejects_and_a_warning_loads() {
    let rules = "rule = [{ name = \"short\", cel = \"size(new.name) < 6\" }, \
                 { name = \"no x\", cel = \"!new.name.contains('x')\", severity = \"warn\" }]";
    check(
        &people(rules, "1,Ada\n2,Grace Hopper\n3,Max"),
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 2 loaded + 1 rejected
              open a.csv:2 WB0251 a rule of the plan is broken
            people
              1 | Ada
              3 | Max
        "#]],
    );
}

#[test]
fn a_duplicate_leads_to_the_first() {
    let world = people("duplicates = { by = [\"name\"] }", "1,Ada\n2,Grace\n3,Ada").file(
        "people",
        "b.csv",
        "4,Ada\n5,Alan",
    );
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 5 read = 3 loaded + 2 duplicate
            people
              1 | Ada
              2 | Grace
              5 | Alan
        "#]],
    );
}

#[test]
fn a_duplicate_is_rejected_where_the_plan_says_so() {
    let world = people("duplicates = { by = [\"name\"], conflict = \"reject\" }", "1,Ada\n2,Ada");
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 rejected
              open a.csv:2 WB0601 the same was read before, as record `a.csv:1`
            people
              1 | Ada
        "#]],
    );
}

/// It would lead to a row that is not there.
#[test]
fn a_record_that_was_refused_has_no_duplicates() {
    let world = people("duplicates = { by = [\"name\"] }", "1,Ada\n1,Grace\n2,Grace").sips(10);
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 2 loaded + 1 rejected
              open a.csv:2 WB0602 the key is taken by a row with another content
            people
              1 | Ada
              2 | Grace
        "#]],
    );
}

const FAMILIES: &str = r#"
[source.parents]
csv = "p*.csv"
[source.children]
csv = "c*.csv"
[[table]]
into = "children"
from = "children"
key  = ["id"]
columns = { id = "id", parent = { ref = "parents", by = "parent" } }
[[table]]
into = "parents"
from = "parents"
key  = ["id"]
legacy_key = ["id"]
columns = { id = { uuid5 = ["id"] }, born = { from = "born", type = "date" } }
"#;

#[test]
fn a_rejected_parent_rejects_its_children() {
    let world = World::new(FAMILIES, &[("parents", "id,born"), ("children", "id,parent")])
        .file("parents", "p.csv", "ann,1970-01-01\nbob,soon")
        .file("children", "c.csv", "1,ann\n2,bob\n3,nobody");
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 rejected
              step 2: 3 read = 1 loaded + 2 rejected
              open p.csv:2 WB0236 not a date or time in the expected form
              open c.csv:2 WB0247 no row of `parents` was made from this record
              open c.csv:3 WB0247 no row of `parents` was made from this record
            children
              1 | 7a137c20-344a-5d36-94cd-2006a936d390
            parents
              7a137c20-344a-5d36-94cd-2006a936d390 | 1970-01-01
        "#]],
    );
}

#[test]
fn a_child_refers_to_the_row_that_a_duplicate_parent_leads_to() {
    let plan = FAMILIES
        .replace("into = \"parents\"", "into = \"parents\"\nduplicates = { by = [\"born\"] }");
    let world = World::new(&plan, &[("parents", "id,born"), ("children", "id,parent")])
        .file("parents", "p.csv", "ann,1970-01-01\nbob,1970-01-01")
        .file("children", "c.csv", "1,ann\n2,bob");
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 duplicate
              step 2: 2 read = 2 loaded
            children
              1 | 7a137c20-344a-5d36-94cd-2006a936d390
              2 | 7a137c20-344a-5d36-94cd-2006a936d390
            parents
              7a137c20-344a-5d36-94cd-2006a936d390 | 1970-01-01
        "#]],
    );
}

#[test]
fn the_bytes_of_a_long_reject_are_spilled_whole() {
    let world = people("", "");
    let long = format!("!{}", "x".repeat(70_000));
    let world = world.file("people", "a.csv", &format!("1,Ada\n{long}"));
    check(
        &world,
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 rejected
              open a.csv:2 WB0101 torn
            people
              1 | Ada
        "#]],
    );
    let kept: Vec<Vec<u8>> = world.spilled.all().into_values().collect();
    assert_eq!(kept, [format!("{long}\n").into_bytes()]);
}

const ELEMENTS: &str = r#"
[source.docs]
jsonl = "*.jsonl"
[[table]]
into = "tags"
from = "docs"
each = "/tags"
key  = ["tag"]
columns = { tag = { fact = "element" }, doc = "id" }
"#;

/// The second record's tag `a` is taken, so that its `c` is free for the last.
fn tags() -> World {
    let records = [("1", "[\"a\",\"b\"]"), ("2", "[\"c\",\"a\"]"), ("3", "[]"), ("4", "[\"c\"]")];
    World::new(ELEMENTS, &[("docs", "id,tags")]).documents("docs", "a.jsonl", &records)
}

#[test]
fn a_record_of_several_rows_is_loaded_whole_or_not_at_all() {
    check(
        &tags().sips(1),
        &expect![[r#"
            run 1 full completed
              step 1: 4 read = 2 loaded + 1 rejected + 1 filtered
              open a.jsonl:2 WB0602 the key is taken by a row with another content
            tags
              a | 1
              b | 1
              c | 4
        "#]],
    );
}

#[test]
fn what_a_refused_record_would_have_taken_is_free_also_in_one_chunk() {
    check(
        &tags().sips(10),
        &expect![[r#"
            run 1 full completed
              step 1: 4 read = 2 loaded + 1 rejected + 1 filtered
              open a.jsonl:2 WB0602 the key is taken by a row with another content
            tags
              a | 1
              b | 1
              c | 4
        "#]],
    );
}

#[test]
fn a_file_that_is_too_large_is_left_out_or_rejected_as_a_whole() {
    let small = people("", "1,Ada").file("people", "b.csv", "2,Grace\n3,Alan");
    let large = |what: &str| {
        let plan = PEOPLE
            .replace("csv = ", &format!("max_file_size = 10\nlarge_files = \"{what}\"\ncsv = "));
        small.afresh().with_plan(&plan)
    };
    check(
        &large("skip"),
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 filtered
            people
              1 | Ada
        "#]],
    );
    check(
        &large("reject"),
        &expect![[r#"
            run 1 full completed
              step 1: 2 read = 1 loaded + 1 rejected
              open b.csv:0 WB0607 15 bytes, over the limit of 10
            people
              1 | Ada
        "#]],
    );
}
