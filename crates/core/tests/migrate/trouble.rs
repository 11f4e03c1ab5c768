//! Errors that may pass are tried again, others are not; and a target that lies is found out.

use expect_test::expect;
use whimbrel_core::CoreError;
use whimbrel_endpoint::ErrorClass;
use whimbrel_ledger::tables;

use crate::ledger::newest;
use crate::legacy;
use crate::troubled::{At, Lie, Trouble};
use crate::world::{Ended, World, same};

/// Three batches of one row.
fn world(retries: &str) -> World {
    let plan = format!(
        r#"
[source.s]
csv = "*"
[[table]]
into = "t"
from = "s"
key  = ["id"]
columns = {{ id = "id" }}
[run]
{retries}
"#
    );
    World::new(&plan, &[("s", "id")]).file("s", "a", "1\n2\n3").sips(1)
}

/// Retries until all is loaded, or until the process gives up, where the target is locked at these
/// attempts at a batch.
#[track_caller]
fn check(retries: &str, locked: &[u64], expect: Result<u32, u32>) {
    let world = world(retries);
    let trouble = Trouble::Refused(ErrorClass::Transient);
    let process = world.process().batch_size(1);
    let process =
        locked.iter().fold(process, |process, at| process.trouble(At::Batch(*at), trouble));
    let ended = process.run();
    let told = match ended.result {
        Some(Ok(_)) => Ok(ended.heard.retries),
        Some(Err(CoreError::Endpoint { source, .. })) if source.class == ErrorClass::Transient => {
            Err(ended.heard.retries)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told, expect);
    world.migrate_to_the_end();
    assert_eq!(world.target.rows("t").len(), 3);
}

#[test]
fn a_locked_target_is_tried_three_more_times() {
    check("", &[1, 2, 3], Ok(3));
}

#[test]
fn a_target_that_stays_locked_ends_the_run_for_now() {
    check("", &[1, 2, 3, 4], Err(3));
}

#[test]
fn the_plan_says_how_often_to_try_again() {
    check("retries = 1", &[1], Ok(1));
    check("retries = 1", &[1, 2], Err(1));
    check("retries = 0", &[1], Err(0));
}

#[test]
fn retries_are_counted_for_each_batch_anew() {
    check("retries = 1", &[1, 3, 5], Ok(3));
}

#[test]
fn a_full_disk_is_not_tried_again() {
    let world = world("");
    let ended = world.process().trouble(At::Batch(2), Trouble::Refused(ErrorClass::System)).run();
    assert!(matches!(ended.result, Some(Err(CoreError::Endpoint { .. }))), "{:?}", ended.result);
    assert_eq!(ended.heard.retries, 0);
    world.migrate_to_the_end();
    assert_eq!(world.target.rows("t").len(), 3);
}

#[test]
fn a_source_that_stutters_is_read_again() {
    let undisturbed = legacy::small();
    undisturbed.migrate_to_the_end();
    for read in 1..20 {
        let world = undisturbed.afresh();
        let stutter = Trouble::Refused(ErrorClass::Transient);
        let ended = world.process().workers(2).trouble(At::Read(read), stutter).run();
        assert!(matches!(ended.result, Some(Ok(_))), "at read {read}: {:?}", ended.result);
        assert_eq!(ended.heard.retries, 1, "at read {read}");
        assert_eq!(same(&undisturbed, &world), Ok(()), "at read {read}");
    }
}

#[test]
fn a_source_that_breaks_ends_the_run_where_it_can_go_on() {
    let undisturbed = legacy::small();
    undisturbed.migrate_to_the_end();
    for read in 1..20 {
        let world = undisturbed.afresh();
        let broken = Trouble::Refused(ErrorClass::System);
        let ended = world.process().workers(2).trouble(At::Read(read), broken).run();
        assert!(matches!(ended.result, Some(Err(CoreError::Endpoint { .. }))), "at read {read}");
        world.migrate_to_the_end();
        assert_eq!(same(&undisturbed, &world), Ok(()), "at read {read}");
    }
}

#[test]
fn a_thread_that_panics_ends_the_run_where_it_can_go_on() {
    let undisturbed = legacy::small();
    undisturbed.migrate_to_the_end();
    for read in 1..20 {
        for workers in [1, 3] {
            let world = undisturbed.afresh();
            let process = world.process().workers(workers).batch_size(1);
            let ended = process.trouble(At::Read(read), Trouble::Panic).run();
            assert!(matches!(ended.result, Some(Err(CoreError::ThreadLost(_)))), "at read {read}");
            assert_eq!(newest(&world.target).error_code.as_deref(), Some("WB0622"));
            world.migrate_to_the_end();
            assert_eq!(same(&undisturbed, &world), Ok(()), "at read {read}");
        }
    }
}

#[test]
fn behind_what_a_thread_has_lost_nothing_is_written() {
    let plan = r#"
[source.s]
csv = "*"
[[table]]
into = "t"
from = "s"
key  = ["id"]
columns = { id = "id" }
"#;
    for read in 1..8 {
        let world = "abcdefgh"
            .split_inclusive(|_: char| true)
            .fold(World::new(plan, &[("s", "id")]), |world, name| world.file("s", name, name));
        let process = world.process().workers(3).batch_size(1);
        let ended = process.trouble(At::Read(read), Trouble::Panic).run();
        assert!(matches!(ended.result, Some(Err(CoreError::ThreadLost(_)))), "{:?}", ended.result);
        let loaded: String =
            world.target.rows("t").iter().map(|row| row[0].as_ref().to_string()).collect();
        assert!("abcdefgh".starts_with(&loaded) && loaded.len() < 8, "{loaded}");
        world.migrate_to_the_end();
        assert_eq!(world.target.rows("t").len(), 8);
    }
}

/// The run failed for its accounts, and goes on well once the target speaks the truth.
#[track_caller]
fn check_found_out(ended: &Ended, world: &World) {
    assert!(matches!(ended.result, Some(Err(_))), "{:?}", ended.result);
    assert_eq!(newest(&world.target).error_code.as_deref(), Some("WB0618"));
    let undisturbed = world.afresh();
    undisturbed.migrate_to_the_end();
    world.migrate_to_the_end();
    assert_eq!(same(&undisturbed, world), Ok(()));
}

#[test]
fn a_target_that_is_silent_about_a_row_is_found_out() {
    let world = legacy::small();
    let ended = world.process().lie(Lie::Silence).run();
    check_found_out(&ended, &world);
}

#[test]
fn a_target_that_tells_of_a_row_too_many_is_found_out() {
    let world = legacy::small();
    let ended = world.process().lie(Lie::Surplus).run();
    check_found_out(&ended, &world);
}

#[test]
fn a_row_whose_taken_key_holds_nothing_is_rejected() {
    let world = world("");
    world.process().lie(Lie::Taken).run();
    expect![[r#"
        run 1 full completed
          step 1: 3 read = 3 rejected
          open a:1 WB0605 `t` refuses the row as a duplicate, but holds no row under its key
          open a:2 WB0605 `t` refuses the row as a duplicate, but holds no row under its key
          open a:3 WB0605 `t` refuses the row as a duplicate, but holds no row under its key
        t
    "#]]
    .assert_eq(&world.told());
}

#[test]
fn a_lost_row_of_the_ledger_fails_the_run() {
    for table in [&tables::BATCHES, &tables::ITEMS] {
        let world = legacy::small();
        let ended = world.process().forget(&table.name, 3).run();
        let found = matches!(ended.result, Some(Err(CoreError::Unbalanced { .. })));
        assert!(found, "without `{}`: {:?}", table.name, ended.result);
    }
}
