//! Whatever befalls a process: the next one goes on, and in the end nobody can tell.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use whimbrel_core::{CoreError, Outcome, StopReason};
use whimbrel_endpoint::ErrorClass;
use whimbrel_ledger::{RunStatus, chain, tables};

use crate::ledger::{newest, now, runs};
use crate::legacy;
use crate::troubled::{At, Flush, Trouble};
use crate::world::{World, same};

/// Lets it happen at each commit of a run, one after the other, each time in a world of its own.
#[track_caller]
fn check(trouble: Trouble) {
    let undisturbed = legacy::small();
    let commits = undisturbed.process().run().commits;
    assert!(commits > 12, "the run has few commits: {commits}");
    for commit in 1..=commits {
        let world = undisturbed.afresh();
        world.process().trouble(At::Commit(commit), trouble).run();
        world.migrate_to_the_end();
        assert_eq!(same(&undisturbed, &world), Ok(()), "{trouble:?} at commit {commit}");
    }
}

#[test]
fn resume_after_death_before_any_commit() {
    check(Trouble::DeathBefore);
}

#[test]
fn resume_after_death_after_any_commit() {
    check(Trouble::DeathAfter);
}

#[test]
fn resume_after_a_full_disk_at_any_commit() {
    check(Trouble::Refused(ErrorClass::System));
}

#[test]
fn resume_after_the_lease_was_lost_at_any_commit() {
    check(Trouble::Refused(ErrorClass::Fenced));
}

#[test]
fn resume_after_a_locked_target_at_any_commit() {
    check(Trouble::Refused(ErrorClass::Transient));
}

#[test]
fn a_lost_answer_is_settled_where_the_commit_had_been_carried_out() {
    check(Trouble::Unheard);
}

#[test]
fn a_lost_answer_is_settled_where_the_commit_had_not_been_carried_out() {
    check(Trouble::Refused(ErrorClass::Unknown));
}

#[test]
fn resume_after_a_stop_at_any_checkpoint() {
    let undisturbed = legacy::small();
    let checkpoints = undisturbed.process().run().heard.checkpoints;
    for checkpoint in 1..checkpoints {
        let world = undisturbed.afresh();
        let ended = world.process().stop_at(checkpoint).run().result;
        let Some(Ok(Outcome::Stopped { reason, .. })) = ended else { panic!("{ended:?}") };
        assert_eq!(reason, StopReason::Interrupt);
        world.migrate_to_the_end();
        assert_eq!(same(&undisturbed, &world), Ok(()), "stopped at checkpoint {checkpoint}");
    }
}

#[test]
fn resume_after_every_deadline() {
    let undisturbed = legacy::small();
    undisturbed.migrate_to_the_end();
    let world = undisturbed.afresh();
    let mut stops = 0;
    loop {
        let mut process = world.process();
        process.options.deadline_at = Some(Duration::ZERO);
        match process.run().result {
            Some(Ok(Outcome::Stopped { reason: StopReason::Deadline, .. })) => stops += 1,
            Some(Ok(Outcome::Completed { .. })) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(stops > 5, "the run stops seldom: {stops}");
    assert_eq!(same(&undisturbed, &world), Ok(()));
}

/// A server that falls at each commit of a run, one after the other.
#[track_caller]
fn check_fallen(undisturbed: &World, flush: Flush) {
    let commits = undisturbed.process().run().commits;
    for trouble in [Trouble::FallBefore, Trouble::FallAfter] {
        for commit in 1..=commits {
            let world = undisturbed.afresh();
            let ended = world.process().flush(flush).trouble(At::Commit(commit), trouble).run();
            let at = format!("{trouble:?} at commit {commit}, flushed {flush:?}");
            if flush == Flush::WhenTheLoadIsLeft {
                let completed = matches!(ended.result, Some(Ok(Outcome::Completed { .. })));
                assert!(completed, "{at}: {:?}", ended.result);
            }
            let run = runs(&world.target).pop();
            if run.is_some_and(|run| run.status == RunStatus::Completed) {
                assert_eq!(same(undisturbed, &world), Ok(()), "{at}: it is called complete");
            }
            world.migrate_to_the_end();
            assert_eq!(same(undisturbed, &world), Ok(()), "{at}");
        }
    }
}

#[test]
fn a_server_that_falls_while_tables_are_loaded_loses_nothing() {
    check_fallen(&legacy::small(), Flush::WhenTheLoadIsLeft);
}

#[test]
fn no_run_is_called_complete_that_a_server_has_forgotten_a_part_of() {
    check_fallen(&legacy::small(), Flush::Never);
}

const FAMILY: &str = r#"
[source.p]
csv = "*"
[source.c]
csv = "*"
[[table]]
into = "parents"
from = "p"
key  = ["id"]
columns = { id = "id" }
[[table]]
into = "children"
from = "c"
key  = ["id"]
columns = { id = "id", parent = { ref = "parents", by = "parent" } }
"#;

#[test]
fn children_wait_for_parents_that_a_fallen_server_has_forgotten() {
    let world = World::new(FAMILY, &[("p", "id"), ("c", "id,parent")])
        .file("p", "a", "1\n2\n3")
        .file("c", "b", "1,3\n2,1");
    for flush in [Flush::WhenTheLoadIsLeft, Flush::Never] {
        check_fallen(&world, flush);
    }
    world.migrate_to_the_end();
    assert_eq!(world.target.rows("children").len(), 2, "no child is an orphan");
}

/// `WB0635`: where a run may try nothing again, it says what the server has forgotten.
#[test]
fn a_forgotten_step_is_told_where_there_are_no_retries() {
    let plan = format!("{FAMILY}[run]\nretries = 0\n");
    let undisturbed = World::new(&plan, &[("p", "id"), ("c", "id,parent")])
        .file("p", "a", "1\n2\n3")
        .file("c", "b", "1,3\n2,1");
    let mut told = 0;
    for commit in 1..=undisturbed.process().run().commits {
        let world = undisturbed.afresh();
        let process = world.process().flush(Flush::Never);
        let ended = process.trouble(At::Commit(commit), Trouble::FallAfter).run();
        told += usize::from(matches!(ended.result, Some(Err(CoreError::Forgotten { .. }))));
        world.migrate_to_the_end();
        assert_eq!(same(&undisturbed, &world), Ok(()), "after commit {commit}");
    }
    assert!(told > 0, "nothing was forgotten");
}

#[test]
fn leaving_the_load_is_tried_again() {
    let world = legacy::small();
    let trouble = Trouble::Refused(ErrorClass::Transient);
    let ended = world.process().trouble(At::Leave(1), trouble).run();
    assert!(matches!(ended.result, Some(Ok(Outcome::Completed { .. }))), "{:?}", ended.result);
    assert_eq!((ended.heard.retries, ended.loading), (1, false));
}

#[test]
fn the_load_is_left_where_nothing_could_be_loaded() {
    let world = legacy::small();
    let mut process = world.process();
    process.script.unreadable = Some(tables::PARKED_INDEXES.name.as_str());
    let ended = process.run();
    assert!(matches!(ended.result, Some(Err(CoreError::Endpoint { .. }))), "{:?}", ended.result);
    assert!(!ended.loading);
    world.migrate_to_the_end();
}

const SHORT: &str = r#"
[source.s]
csv = "*"
[[table]]
into = "t"
from = "s"
key  = ["id"]
columns = { id = "id" }
"#;

/// A world in which a part of the first file is loaded.
fn begun() -> World {
    let world =
        World::new(SHORT, &[("s", "id")]).file("s", "a", "1\n2\n3").file("s", "b", "4").sips(1);
    world.process().batch_size(1).stop_at(1).run();
    world
}

#[test]
fn a_changed_mapping_is_refused_unless_it_is_adopted() {
    let world =
        begun().with_plan(&SHORT.replace("= \"id\" }", "= { from = \"id\", lower = true } }"));
    let refused = world.migrate();
    assert!(matches!(refused, Err(CoreError::MappingChanged { .. })), "{refused:?}");
    let mut process = world.process();
    process.options.adopt = true;
    let adopted = process.run().result;
    assert!(matches!(adopted, Some(Ok(Outcome::Completed { .. }))), "{adopted:?}");
    let log = now(chain::entries_of(&world.target, &newest(&world.target).id, 100));
    assert!(log.iter().any(|entry| entry.action == "mapping.adopted"), "{log:?}");
}

#[test]
fn a_changed_file_is_refused_until_it_is_put_back() {
    let world = begun();
    let before = world.target.rows("t");
    world.set("s", "a", "1\n5\n3");
    let refused = world.migrate();
    assert!(matches!(refused, Err(CoreError::SourceChanged { .. })), "{refused:?}");
    assert_eq!(world.target.rows("t"), before);
    world.set("s", "a", "1\n2\n3");
    world.migrate_to_the_end();
    assert_eq!(world.target.rows("t").len(), 4);
}

#[test]
fn a_file_that_went_away_is_refused_until_it_is_put_back() {
    let world = begun();
    world.delete("s", "b");
    let refused = world.migrate();
    assert!(matches!(refused, Err(CoreError::SourceChanged { .. })), "{refused:?}");
    world.set("s", "b", "4");
    world.migrate_to_the_end();
    assert_eq!(world.target.rows("t").len(), 4);
}

#[test]
fn other_options_are_refused_while_a_run_is_unfinished() {
    let world = begun();
    let mut process = world.process();
    process.options.selection.max_file_size = Some(1);
    let refused = process.run().result;
    assert!(matches!(refused, Some(Err(CoreError::OptionsChanged { .. }))), "{refused:?}");
    world.migrate_to_the_end();
}

/// Anything that may befall a process at a commit.
pub(crate) fn trouble() -> impl Strategy<Value = Trouble> {
    select(vec![
        Trouble::DeathBefore,
        Trouble::DeathAfter,
        Trouble::Unheard,
        Trouble::Refused(ErrorClass::Unknown),
        Trouble::Refused(ErrorClass::Transient),
        Trouble::Refused(ErrorClass::System),
        Trouble::Refused(ErrorClass::Fenced),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_ends_like_none(
        files in legacy::files(),
        history in vec((1..12u64, trouble(), 1..20u64, 1..4u32), 1..5),
    ) {
        let undisturbed = legacy::world(&files);
        undisturbed.migrate_to_the_end();
        let world = undisturbed.afresh();
        for (commit, trouble, rows, workers) in &history {
            world.process().trouble(At::Commit(*commit), *trouble).batch_size(*rows).workers(*workers).run();
        }
        world.migrate_to_the_end();
        same(&undisturbed, &world).map_err(TestCaseError::fail)?;
    }
}
