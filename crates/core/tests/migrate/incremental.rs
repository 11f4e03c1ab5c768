//! Runs that take what changed.

use expect_test::{Expect, expect};
use proptest::collection::vec;
use proptest::prelude::*;
use whimbrel_core::{Changes, Outcome};

use crate::troubled::{At, Trouble};
use crate::world::{World, same};

fn world(settings: &str) -> World {
    let plan = format!(
        r#"
[source.people]
csv = "*.csv"
[[table]]
into = "people"
from = "people"
key  = ["id"]
columns = {{ id = "id", name = "name" }}
{settings}
"#
    );
    World::new(&plan, &[("people", "id,name")])
        .file("people", "a.csv", "1,Ada\n2,Grace")
        .file("people", "b.csv", "3,Alan")
}

/// Loads, changes the files, loads what changed.
#[track_caller]
fn check(world: &World, change: impl FnOnce(&World), expect: &Expect) {
    world.migrate_to_the_end();
    change(world);
    let ended = world.migrate_incremental();
    assert!(matches!(ended, Ok(Outcome::Completed { .. })), "{ended:?}");
    expect.assert_eq(&world.told());
}

#[test]
fn new_and_appended_records_are_taken_alone() {
    check(
        &world(""),
        |world| {
            world.append("people", "a.csv", "4,Edsger\n2,Hopper");
            world.set("people", "c.csv", "5,Barbara");
        },
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 3 loaded
            run 2 incremental completed
              step 1: 3 read = 2 loaded + 1 rejected
              open a.csv:4 WB0602 the key is taken by a row with another content
            people
              1 | Ada
              2 | Grace
              3 | Alan
              4 | Edsger
              5 | Barbara
        "#]],
    );
}

#[test]
fn a_changed_file_is_read_anew_and_its_rows_updated() {
    check(
        &world("existing = \"update\""),
        |world| world.set("people", "a.csv", "1,Ada\n2,Hopper\n4,Edsger"),
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 3 loaded
            run 2 incremental completed
              step 1: 3 read = 1 loaded + 1 updated + 1 unchanged
            people
              1 | Ada
              2 | Hopper
              3 | Alan
              4 | Edsger
        "#]],
    );
}

#[test]
fn a_changed_file_overwrites_nothing_unless_the_plan_says_so() {
    check(
        &world(""),
        |world| world.set("people", "a.csv", "1,Ada\n2,Hopper\n4,Edsger"),
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 3 loaded
            run 2 incremental completed
              step 1: 3 read = 1 loaded + 1 unchanged + 1 rejected
              open a.csv:2 WB0602 the key is taken by a row with another content
            people
              1 | Ada
              2 | Grace
              3 | Alan
              4 | Edsger
        "#]],
    );
}

#[test]
fn a_row_that_somebody_edited_is_not_overwritten() {
    check(
        &world("existing = \"update\""),
        |world| {
            world.edit("people", "2", "Admiral");
            world.set("people", "a.csv", "1,Ada\n2,Hopper");
        },
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 3 loaded
            run 2 incremental completed
              step 1: 2 read = 1 unchanged + 1 rejected
              open a.csv:2 WB0604 the row was edited by someone else since it was written
            people
              1 | Ada
              2 | Admiral
              3 | Alan
        "#]],
    );
}

#[test]
fn an_update_that_the_target_refuses_costs_its_record() {
    for sip in [1, 10] {
        check(
            &world("existing = \"update\"").sips(sip),
            |world| world.set("people", "a.csv", "1,Ada L.\n2,unfit\n4,Edsger"),
            &expect![[r#"
                run 1 full completed
                  step 1: 3 read = 3 loaded
                run 2 incremental completed
                  step 1: 3 read = 1 loaded + 1 updated + 1 rejected
                  open a.csv:2 WB0411 the row is unfit
                people
                  1 | Ada L.
                  2 | Grace
                  3 | Alan
                  4 | Edsger
            "#]],
        );
    }
}

#[test]
fn what_rests_on_a_refused_update_is_judged_without_it() {
    for sip in [1, 10] {
        check(
            &world("existing = \"update\"").sips(sip),
            |world| world.set("people", "a.csv", "2,unfit\n2,unfit\n2,Hopper"),
            &expect![[r#"
                run 1 full completed
                  step 1: 3 read = 3 loaded
                run 2 incremental completed
                  step 1: 3 read = 1 updated + 2 rejected
                  open a.csv:1 WB0411 the row is unfit
                  open a.csv:2 WB0411 the row is unfit
                people
                  1 | Ada
                  2 | Hopper
                  3 | Alan
            "#]],
        );
    }
}

const TAGS: &str = r#"
[source.docs]
jsonl = "*.jsonl"
[[table]]
into = "tags"
from = "docs"
each = "/tags"
key  = ["tag"]
existing = "update"
columns = { tag = { fact = "element" }, doc = "id" }
"#;

#[test]
fn a_record_of_several_rows_is_updated_whole_or_not_at_all() {
    for sip in [1, 10] {
        let records = [("1", "[\"a\",\"b\"]"), ("2", "[\"c\",\"d\"]")];
        let old = World::new(TAGS, &[("docs", "id,tags")]).documents("docs", "a.jsonl", &records);
        // When the second record's `c` is refused, its `e` is the third's.
        let changed = [("3", "[\"a\",\"b\"]"), ("unfit", "[\"e\",\"c\"]"), ("4", "[\"e\",\"d\"]")];
        check(
            &old.sips(sip),
            |world| drop(world.clone().documents("docs", "a.jsonl", &changed)),
            &expect![[r#"
                run 1 full completed
                  step 1: 2 read = 2 loaded
                run 2 incremental completed
                  step 1: 3 read = 1 loaded + 1 updated + 1 rejected
                  open a.jsonl:2 WB0411 the row is unfit
                tags
                  a | 3
                  b | 3
                  c | 2
                  d | 4
                  e | 4
            "#]],
        );
    }
}

#[test]
fn the_first_of_two_records_with_one_key_stays_in_a_changed_file_too() {
    check(
        &world("existing = \"update\"\nlegacy_key = [\"id\"]").sips(10),
        |world| world.set("people", "a.csv", "2,Grace B.\n2,Hopper"),
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 3 loaded
            run 2 incremental completed
              step 1: 2 read = 1 updated + 1 rejected
              open a.csv:2 WB0603 the key belongs to another record of this run, `a.csv:1`
            people
              1 | Ada
              2 | Grace B.
              3 | Alan
        "#]],
    );
}

#[test]
fn a_record_that_equals_what_a_changed_record_was_is_no_duplicate() {
    check(
        &world("existing = \"update\"\nduplicates = { by = [\"name\"] }"),
        |world| world.set("people", "a.csv", "1,Ada L.\n2,Grace\n4,Ada"),
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 3 loaded
            run 2 incremental completed
              step 1: 3 read = 1 loaded + 1 updated + 1 unchanged
            people
              1 | Ada L.
              2 | Grace
              3 | Alan
              4 | Ada
        "#]],
    );
}

#[test]
fn a_duplicate_of_an_earlier_run_is_one() {
    check(
        &world("duplicates = { by = [\"name\"] }"),
        |world| world.append("people", "b.csv", "4,Ada"),
        &expect![[r#"
            run 1 full completed
              step 1: 3 read = 3 loaded
            run 2 incremental completed
              step 1: 1 read = 1 duplicate
            people
              1 | Ada
              2 | Grace
              3 | Alan
        "#]],
    );
}

#[test]
fn changes_are_told_and_not_taken_unasked() {
    let world = world("");
    world.migrate_to_the_end();
    let before = world.committed();
    world.append("people", "a.csv", "4,Edsger");
    world.set("people", "c.csv", "5,Barbara");
    world.delete("people", "b.csv");
    let Ok(Outcome::SourcesChanged { changes, .. }) = world.migrate() else { panic!() };
    let expected = Changes {
        new: vec!["c.csv".to_owned()],
        appended: vec!["a.csv".to_owned()],
        changed: Vec::new(),
        deleted: vec![("b.csv".to_owned(), 1)],
        ..Changes::default()
    };
    assert_eq!(changes, expected);
    assert_eq!(world.committed(), before);
}

#[test]
fn deletions_alone_are_told_and_nothing_is_taken() {
    let world = world("");
    world.migrate_to_the_end();
    world.delete("people", "b.csv");
    let Ok(Outcome::SourcesChanged { changes, .. }) = world.migrate_incremental() else { panic!() };
    assert_eq!(changes.deleted, [("b.csv".to_owned(), 1)]);
    assert_eq!(world.target.rows("people").len(), 3);
}

#[test]
fn what_was_taken_is_not_taken_again() {
    let world = world("");
    world.migrate_to_the_end();
    world.append("people", "a.csv", "4,Edsger");
    assert!(matches!(world.migrate_incremental(), Ok(Outcome::Completed { .. })));
    let ended = world.migrate_incremental();
    assert!(matches!(ended, Ok(Outcome::NothingToDo { .. })), "{ended:?}");
    world.append("people", "a.csv", "5,Barbara");
    assert!(matches!(world.migrate_incremental(), Ok(Outcome::Completed { .. })));
    assert_eq!(world.target.rows("people").len(), 5);
}

/// A world whose files have changed since its run.
fn changed() -> World {
    let world = world("existing = \"update\"");
    world.migrate_to_the_end();
    world.append("people", "b.csv", "4,Edsger\n5,Barbara\n!torn");
    world.set("people", "a.csv", "1,Ada L.\n2,Grace\n6,Leslie");
    world.set("people", "c.csv", "7,Donald\n8,Tony\n9,John");
    world
}

#[test]
fn resume_of_an_incremental_run_after_death_at_any_commit() {
    let undisturbed = changed();
    let commits = undisturbed.process().incremental().run().commits;
    for commit in 1..=commits {
        for trouble in [Trouble::DeathBefore, Trouble::DeathAfter] {
            let world = changed();
            world.process().incremental().trouble(At::Commit(commit), trouble).run();
            let ended = world.migrate_incremental();
            assert!(ended.is_ok(), "{ended:?}");
            assert_eq!(same(&undisturbed, &world), Ok(()), "{trouble:?} at commit {commit}");
        }
    }
}

const NUMBERS: &str = r#"
[source.s]
csv = "*"
[[table]]
into = "numbers"
from = "s"
key  = ["id"]
existing = "update"
columns = { id = { from = "id", type = "integer" }, value = "value" }
[[table]]
into = "files"
from = "s"
each = "file"
key  = ["path"]
existing = "update"
columns = { path = { fact = "file.path" }, records = { count = true }, last = { last = "value" } }
"#;

/// For each file its values; the keys of its records are its own.
fn numbers(files: &[Vec<u8>]) -> World {
    let mut world = World::new(NUMBERS, &[("s", "id,value")]);
    for (file, values) in files.iter().enumerate() {
        let lines =
            values.iter().enumerate().map(|(at, value)| format!("{},{value}", file * 10 + at));
        world = world.file("s", &file.to_string(), &lines.collect::<Vec<_>>().join("\n"));
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_changed_taken_alone_leaves_what_a_full_load_leaves(
        before in vec(vec(0..4u8, 1..6), 1..4),
        edits in vec((0..3usize, 0..6usize, 0..4u8), 0..4),
        more in vec(vec(0..4u8, 1..6), 0..3),
    ) {
        let mut after = before.clone();
        for (file, at, value) in edits {
            let Some(values) = after.get_mut(file) else { continue };
            match values.get_mut(at) {
                Some(old) => *old = value,
                None => values.push(value),
            }
        }
        after.extend(more);
        let full = numbers(&after);
        full.migrate_to_the_end();
        let world = numbers(&before);
        world.migrate_to_the_end();
        let world = full.on(&world);
        let ended = world.migrate_incremental();
        prop_assert!(ended.is_ok(), "{:?}", ended);
        for table in ["numbers", "files"] {
            prop_assert_eq!(rows(&world, table), rows(&full, table));
        }
        let ended = world.migrate_incremental();
        prop_assert!(matches!(ended, Ok(Outcome::NothingToDo { .. })), "{:?}", ended);
    }
}

fn rows(world: &World, table: &str) -> Vec<String> {
    world.target.rows(table).iter().map(|row| format!("{row:?}")).collect()
}
