//! Databases as sources whose state changes while a run is interrupted, or loses it.

use expect_test::{Expect, expect};
use whimbrel_core::{CoreError, Outcome, Outdated};
use whimbrel_ledger::check;

use crate::ledger::{newest, now};
use crate::troubled::{At, Trouble};
use crate::world::{Ended, Process, World};

const PLAN: &str = r#"
[source.users]
database = "sqlite:old.db"
table = "users"
[source.orders]
database = "sqlite:old.db"
table = "orders"
[source.tags]
database = "sqlite:old.db"
table = "tags"
[[table]]
into = "users"
from = "users"
key  = ["id"]
columns = { id = "id", name = "name" }
[[table]]
into = "orders"
from = "orders"
key  = ["id"]
columns = { id = "id", name = "name" }
[[table]]
into = "tags"
from = "tags"
key  = ["id"]
columns = { id = "id", name = "name" }
"#;

/// Two batches of users, three of orders, one of tags.
fn world() -> World {
    let sources = [("users", "id,name"), ("orders", "id,name"), ("tags", "id,name")];
    let world = World::new(PLAN, &sources)
        .file("users", "users", "1,Ada\n2,Ben\n3,Cy")
        .file("orders", "orders", "1,a\n2,b\n3,c\n4,d\n5,e")
        .file("tags", "tags", "1,new\n2,odd");
    world.in_state("A");
    world
}

/// Users are done, two orders are read.
fn begun() -> World {
    let world = world();
    let ended = world.process().trouble(At::Batch(4), Trouble::DeathBefore).run();
    assert!(ended.result.is_none(), "{:?}", ended.result);
    world
}

#[track_caller]
fn outdated(ended: &Ended) -> Vec<Outdated> {
    match &ended.result {
        Some(Ok(Outcome::Completed { outdated, .. })) => outdated.clone(),
        other => panic!("it is not complete: {other:?}"),
    }
}

fn of(source: &str, appended: bool) -> Outdated {
    Outdated { source: source.to_owned(), rows_of: source.to_owned(), appended }
}

/// What a process finds and says, what it compared, and what is loaded then.
#[track_caller]
fn check(world: &World, process: Process<'_>, expect: &Expect) {
    let ended = process.run();
    let mut told = format!("{:?}\n", ended.heard.warnings);
    for one in outdated(&ended) {
        let how = if one.appended { "appended" } else { "changed" };
        told.push_str(&format!("{how}: {} of {}\n", one.rows_of, one.source));
    }
    for check in now(check::of_run(&world.target, &newest(&world.target).id)) {
        if check.check_type == "sources" || check.check_type == "inspect" {
            let message = check.error_message.unwrap_or_default();
            let message = message.get(..6).unwrap_or_default();
            let status = check.status.word();
            told.push_str(format!("{status} {} {message}", check.check_name).trim_end());
            told.push('\n');
        }
    }
    expect.assert_eq(&(told + &world.told()));
}

#[test]
fn an_undisturbed_run_compares_nothing() {
    let world = world();
    check(
        &world,
        world.process(),
        &expect![[r#"
        []
        run 1 full completed
          step 1: 3 read = 3 loaded
          step 2: 5 read = 5 loaded
          step 3: 2 read = 2 loaded
        users
          1 | Ada
          2 | Ben
          3 | Cy
        orders
          1 | a
          2 | b
          3 | c
          4 | d
          5 | e
        tags
          1 | new
          2 | odd
    "#]],
    );
}

#[test]
fn the_same_state_is_not_compared() {
    let world = begun();
    check(
        &world,
        world.process(),
        &expect![[r#"
        []
        run 1 full completed
          step 1: 3 read = 3 loaded
          step 2: 5 read = 5 loaded
          step 3: 2 read = 2 loaded
        users
          1 | Ada
          2 | Ben
          3 | Cy
        orders
          1 | a
          2 | b
          3 | c
          4 | d
          5 | e
        tags
          1 | new
          2 | odd
    "#]],
    );
}

#[test]
fn a_newer_state_with_the_same_rows_is_no_alarm() {
    let world = begun();
    world.in_state("B");
    check(
        &world,
        world.process(),
        &expect![[r#"
            ["WB0633"]
            passed users
            noted source orders and 1 more WB0633
            run 1 full completed
              step 1: 3 read = 3 loaded
              step 2: 5 read = 5 loaded
              step 3: 2 read = 2 loaded
            users
              1 | Ada
              2 | Ben
              3 | Cy
            orders
              1 | a
              2 | b
              3 | c
              4 | d
              5 | e
            tags
              1 | new
              2 | odd
        "#]],
    );
}

#[test]
fn a_changed_row_of_a_finished_table_is_found() {
    let world = begun();
    world.set("users", "users", "1,Ada\n2,Bob\n3,Cy");
    world.in_state("B");
    check(
        &world,
        world.process(),
        &expect![[r#"
            ["WB0633", "WB0634"]
            changed: users of users
            failed users WB0634
            noted source orders and 1 more WB0633
            run 1 full completed
              step 1: 3 read = 3 loaded
              step 2: 5 read = 5 loaded
              step 3: 2 read = 2 loaded
            users
              1 | Ada
              2 | Ben
              3 | Cy
            orders
              1 | a
              2 | b
              3 | c
              4 | d
              5 | e
            tags
              1 | new
              2 | odd
        "#]],
    );
    assert!(matches!(world.migrate(), Ok(Outcome::SourcesChanged { .. })));
    assert!(matches!(world.migrate_incremental(), Ok(Outcome::Completed { .. })));
    assert!(matches!(world.migrate(), Ok(Outcome::NothingToDo { .. })));
}

#[test]
fn a_row_added_to_a_finished_table_is_found_and_taken() {
    let world = begun();
    world.append("users", "users", "4,Di");
    world.in_state("B");
    check(
        &world,
        world.process(),
        &expect![[r#"
            ["WB0633", "WB0634"]
            appended: users of users
            failed users WB0634
            noted source orders and 1 more WB0633
            run 1 full completed
              step 1: 3 read = 3 loaded
              step 2: 5 read = 5 loaded
              step 3: 2 read = 2 loaded
            users
              1 | Ada
              2 | Ben
              3 | Cy
            orders
              1 | a
              2 | b
              3 | c
              4 | d
              5 | e
            tags
              1 | new
              2 | odd
        "#]],
    );
    assert!(matches!(world.migrate_incremental(), Ok(Outcome::Completed { .. })));
    assert_eq!(world.target.rows("users").len(), 4);
}

#[test]
fn what_was_not_read_yet_is_read_as_it_is_now() {
    let world = begun();
    world.set("orders", "orders", "1,a\n2,b\n3,x\n4,d");
    world.set("tags", "tags", "9,late");
    world.in_state("B");
    check(
        &world,
        world.process(),
        &expect![[r#"
            ["WB0633"]
            passed users
            noted source orders and 1 more WB0633
            run 1 full completed
              step 1: 3 read = 3 loaded
              step 2: 4 read = 4 loaded
              step 3: 1 read = 1 loaded
            users
              1 | Ada
              2 | Ben
              3 | Cy
            orders
              1 | a
              2 | b
              3 | x
              4 | d
            tags
              9 | late
        "#]],
    );
}

#[test]
fn what_is_behind_a_mark_must_be_the_same() {
    let world = begun();
    world.set("orders", "orders", "1,a\n2,x\n3,c");
    world.in_state("B");
    let refused = world.migrate();
    assert!(matches!(refused, Err(CoreError::SourceChanged { .. })), "{refused:?}");
    world.set("orders", "orders", "1,a\n2,b\n3,c");
    let ended = world.process().run();
    assert_eq!(outdated(&ended), []);
}

#[test]
fn a_state_that_is_lost_while_the_process_lives_is_noticed() {
    let world = world();
    let elsewhere = world.clone();
    let process = world.process().meanwhile(3, move || {
        elsewhere.set("users", "users", "1,Ada\n2,Ben\n3,Cyd");
        elsewhere.in_state("B");
    });
    check(
        &world,
        process,
        &expect![[r#"
            ["WB0633", "WB0634"]
            changed: users of users
            passed orders
            failed users WB0634
            noted source orders and 2 more WB0633
            run 1 full completed
              step 1: 3 read = 3 loaded
              step 2: 5 read = 5 loaded
              step 3: 2 read = 2 loaded
            users
              1 | Ada
              2 | Ben
              3 | Cy
            orders
              1 | a
              2 | b
              3 | c
              4 | d
              5 | e
            tags
              1 | new
              2 | odd
        "#]],
    );
}

#[test]
fn a_state_that_is_lost_without_a_change_is_no_alarm() {
    let world = world();
    let elsewhere = world.clone();
    let process = world.process().meanwhile(3, move || elsewhere.in_state("B"));
    check(
        &world,
        process,
        &expect![[r#"
            ["WB0633"]
            passed orders
            passed users
            noted source orders and 2 more WB0633
            run 1 full completed
              step 1: 3 read = 3 loaded
              step 2: 5 read = 5 loaded
              step 3: 2 read = 2 loaded
            users
              1 | Ada
              2 | Ben
              3 | Cy
            orders
              1 | a
              2 | b
              3 | c
              4 | d
              5 | e
            tags
              1 | new
              2 | odd
        "#]],
    );
}

#[test]
fn a_change_is_found_however_often_the_run_dies_until_its_end() {
    let commits = begun().process().run().commits;
    for (commit, state) in (1..=commits).flat_map(|commit| [(commit, "B"), (commit, "C")]) {
        let world = begun();
        world.set("users", "users", "1,Ada\n2,Bob\n3,Cy");
        world.in_state("B");
        let first = world.process().trouble(At::Commit(commit), Trouble::DeathBefore).run();
        assert!(first.result.is_none(), "{:?} at commit {commit}", first.result);
        world.in_state(state);
        let ended = world.process().run();
        assert_eq!(outdated(&ended), [of("users", false)], "{state} after commit {commit}");
    }
}

#[test]
fn an_incremental_run_compares_what_its_parent_has_read() {
    let world = world();
    world.migrate_to_the_end();
    world.append("orders", "orders", "6,f\n7,g\n8,h\n9,i");
    world.in_state("B");
    let dies = world.process().incremental().trouble(At::Batch(2), Trouble::DeathBefore);
    assert!(dies.run().result.is_none());
    world.append("tags", "tags", "3,more");
    world.in_state("C");
    let ended = world.process().incremental().run();
    assert_eq!(outdated(&ended), [of("tags", true)]);
    assert_eq!(ended.heard.warnings, ["WB0633", "WB0634"]);
}
