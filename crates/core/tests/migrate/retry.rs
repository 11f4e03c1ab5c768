//! Rejects that are read again, alone.

use expect_test::expect;
use whimbrel_core::{Chosen, CoreError, Outcome};
use whimbrel_ledger::{Reject, RejectStatus, reject};

use crate::ledger::{newest, now};
use crate::legacy;
use crate::troubled::{At, Trouble};
use crate::world::{World, same};

const STRICT: &str = r#"
[source.people]
csv = "*.csv"
[[table]]
into = "people"
from = "people"
key  = ["id"]
columns = { id = { from = "id", type = "integer" }, age = { from = "age", type = "integer" } }
"#;

fn lenient() -> String {
    STRICT.replace("\"age\", type = \"integer\"", "\"age\", type = \"integer\", invalid = \"null\"")
}

/// Two sound records and three rejects behind it.
fn loaded() -> World {
    let world = World::new(STRICT, &[("people", "id,age")])
        .file("people", "a.csv", "1,36\n2,old\nx,7")
        .file("people", "b.csv", "3,young\n4,44");
    world.migrate_to_the_end();
    world
}

/// Rejects of a step of the newest run that wait.
fn open(world: &World, step: u64) -> Vec<Reject> {
    let run = newest(&world.target).id;
    let all = now(reject::page(&world.target, &run, step, None, 100));
    all.into_iter().filter(|reject| reject.status == RejectStatus::Open).collect()
}

fn chosen(rejects: &[Reject]) -> Chosen {
    rejects.iter().map(|reject| (reject.id(), None)).collect()
}

#[test]
fn a_mended_plan_loads_what_it_refused() {
    let world = loaded().with_plan(&lenient());
    let ended = world.process().retry(chosen(&open(&world, 1))).run().result;
    assert!(matches!(ended, Some(Ok(Outcome::Completed { rejects: 1, .. }))), "{ended:?}");
    expect![[r#"
        run 1 full completed
          step 1: 5 read = 2 loaded + 3 rejected
          fixed a.csv:2 WB0230 not an integer as it stands
          superseded a.csv:3 WB0230 not an integer as it stands
          fixed b.csv:1 WB0230 not an integer as it stands
        run 2 retry completed
          step 1: 3 read = 2 loaded + 1 rejected
          open a.csv:3 WB0230 not an integer as it stands
        people
          1 | 36
          2 | NULL
          3 | NULL
          4 | 44
    "#]]
    .assert_eq(&world.told());
}

#[test]
fn repaired_bytes_take_the_place_of_those_in_the_file() {
    let world = loaded();
    let rejects = open(&world, 1);
    let repaired = |reject: &Reject| {
        let bytes = String::from_utf8(reject.bytes.clone().expect("short")).expect("text");
        (reject.id(), Some(bytes.replace("old", "40").replace("young", "4").into_bytes()))
    };
    let ended = world.process().retry(rejects.iter().map(repaired).collect()).run().result;
    assert!(matches!(ended, Some(Ok(Outcome::Completed { rejects: 1, .. }))), "{ended:?}");
    expect![[r#"
        run 1 full completed
          step 1: 5 read = 2 loaded + 3 rejected
          fixed a.csv:2 WB0230 not an integer as it stands
          superseded a.csv:3 WB0230 not an integer as it stands
          fixed b.csv:1 WB0230 not an integer as it stands
        run 2 retry completed
          step 1: 3 read = 2 loaded + 1 rejected
          open a.csv:3 WB0230 not an integer as it stands
        people
          1 | 36
          2 | 40
          3 | 4
          4 | 44
    "#]]
    .assert_eq(&world.told());
}

#[test]
fn only_what_was_chosen_is_read_again() {
    let world = loaded().with_plan(&lenient());
    let mut rejects = open(&world, 1);
    rejects.truncate(1);
    world.process().retry(chosen(&rejects)).run();
    expect![[r#"
        run 1 full completed
          step 1: 5 read = 2 loaded + 3 rejected
          fixed a.csv:2 WB0230 not an integer as it stands
          open a.csv:3 WB0230 not an integer as it stands
          open b.csv:1 WB0230 not an integer as it stands
        run 2 retry completed
          step 1: 1 read = 1 loaded
        people
          1 | 36
          2 | NULL
          4 | 44
    "#]]
    .assert_eq(&world.told());
}

#[test]
fn a_repair_of_an_earlier_version_of_a_file_is_forgotten() {
    let world = loaded();
    let repaired = open(&world, 1)[0].id();
    let repaired = Chosen::from([(repaired, Some(b"2,40\n".to_vec()))]);
    world.process().retry(repaired).run();
    world.set("people", "a.csv", "1,36\n5,older");
    assert!(matches!(world.migrate_incremental(), Ok(Outcome::Completed { rejects: 1, .. })));
    let world = world.with_plan(&lenient());
    let ended = world.process().retry(chosen(&open(&world, 1))).run().result;
    assert!(matches!(ended, Some(Ok(Outcome::Completed { rejects: 0, .. }))), "{ended:?}");
    expect![[r#"
        run 1 full completed
          step 1: 5 read = 2 loaded + 3 rejected
          fixed a.csv:2 WB0230 not an integer as it stands
          superseded a.csv:3 WB0230 not an integer as it stands
          open b.csv:1 WB0230 not an integer as it stands
        run 2 retry completed
          step 1: 1 read = 1 loaded
        run 3 incremental completed
          step 1: 2 read = 1 unchanged + 1 rejected
          fixed a.csv:2 WB0230 not an integer as it stands
        run 4 retry completed
          step 1: 1 read = 1 loaded
        people
          1 | 36
          2 | 40
          4 | 44
          5 | NULL
    "#]]
    .assert_eq(&world.told());
}

#[test]
fn a_changed_file_is_refused_before_anything_is_taken_on() {
    let world = loaded();
    let (before, rejects) = (world.committed(), chosen(&open(&world, 1)));
    world.set("people", "a.csv", "1,36\n2,40\nx,7");
    let refused = world.process().retry(rejects).run().result;
    assert!(matches!(refused, Some(Err(CoreError::RejectChanged { .. }))), "{refused:?}");
    assert_eq!(world.committed(), before);
}

/// A small system after its run, with a plan that refuses less.
fn mended() -> (World, Chosen) {
    let world = legacy::small();
    world.migrate_to_the_end();
    let rejects: Vec<Reject> = (1..4).flat_map(|step| open(&world, step)).collect();
    let plan = legacy::PLAN
        .replace("decimal(6,2)", "decimal(12,3)")
        .replace("new.mail.contains('@')", "size(new.mail) > 0");
    (world.with_plan(&plan), chosen(&rejects))
}

#[test]
fn resume_of_a_retry_after_death_at_any_commit() {
    let (undisturbed, rejects) = mended();
    let commits = undisturbed.process().retry(rejects).run().commits;
    for commit in 1..=commits {
        for trouble in [Trouble::DeathBefore, Trouble::DeathAfter, Trouble::Unheard] {
            let (world, rejects) = mended();
            world.process().retry(rejects.clone()).trouble(At::Commit(commit), trouble).run();
            if commit == 1 {
                // Nothing may be recorded of the run yet, so that it has to be asked for again.
                world.process().retry(rejects).run();
            }
            world.migrate_to_the_end();
            assert_eq!(same(&undisturbed, &world), Ok(()), "{trouble:?} at commit {commit}");
        }
    }
}

#[test]
fn batches_and_workers_change_nothing_of_a_retry() {
    let (undisturbed, rejects) = mended();
    undisturbed.process().retry(rejects).batch_size(1_000).run();
    for rows in 1..6 {
        let (world, rejects) = mended();
        world.process().retry(rejects).batch_size(rows).workers(3).run();
        assert_eq!(same(&undisturbed, &world), Ok(()), "with batches of {rows}");
    }
}

#[test]
fn a_retry_needs_one_session_of_a_database() {
    let (undisturbed, rejects) = mended();
    undisturbed.process().retry(rejects).run();
    let (world, rejects) = mended();
    let ended = world.process().sessions(1).retry(rejects).run().result;
    assert!(matches!(ended, Some(Ok(Outcome::Completed { .. }))), "{ended:?}");
    assert_eq!(same(&undisturbed, &world), Ok(()));
}
