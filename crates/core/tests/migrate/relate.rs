//! Steps of SQL after the load: done once, done again where rows have come, and never half.

use expect_test::expect;
use whimbrel_core::{CoreError, Outcome};
use whimbrel_endpoint::ErrorClass;
use whimbrel_ledger::{RunStatus, tables};

use crate::ledger::newest;
use crate::troubled::{At, Flush, Trouble};
use crate::world::{Process, World, check, same};

/// People are loaded; their copies are made by a step.
const TABLES: &str = r#"
[source.people]
csv = "people/*"
[source.none]
csv = "none/*"
[[table]]
into = "people"
from = "people"
key  = ["id"]
columns = { id = "id" }
[[table]]
into = "copies"
from = "none"
key  = ["id"]
columns = { id = "id" }
[[table]]
into = "wrong"
from = "none"
key  = ["id"]
columns = { id = "id" }
"#;

const STEP: &str = r#"
[[relate]]
name   = "copies"
sql    = "copy people copies"
undo   = "clear copies"
writes = ["copies"]
check  = "rows of wrong"
"#;

fn with(steps: &str) -> World {
    let plan = format!("{TABLES}{steps}");
    World::new(&plan, &[("people", "id"), ("none", "id")])
        .file("people", "a", "1\n2\n3")
        .file("none", "n", "")
}

/// What the newest run says of its steps of SQL.
fn steps(world: &World) -> Vec<String> {
    let run = newest(&world.target).id;
    let place = |name: &str| {
        let columns = &tables::STEPS.columns;
        columns.iter().position(|column| column.name == name).expect("a column of steps")
    };
    let rows = world.target.rows(&tables::STEPS.name).into_iter();
    let text = |row: &[whimbrel_model::Value], name: &str| match &row[place(name)] {
        whimbrel_model::Value::Text(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let of_run = rows.filter(|row| text(row, "run") == run);
    let lines = of_run.map(|row| {
        let cells = ["migration_step", "status", "rollback_data"].map(|name| text(&row, name));
        cells.join(" ").replace(&newest(&world.target).id, "THIS")
    });
    lines.filter(|line| line.starts_with("relate:")).collect()
}

fn code(result: Result<Outcome, CoreError>) -> &'static str {
    result.expect_err("the run is refused").code()
}

#[test]
fn a_step_is_done_after_the_load_and_says_what_it_changed() {
    let world = with(STEP);
    check(
        &world,
        &expect![[r#"
        run 1 full completed
          step 1: 3 read = 3 loaded
          step 2: 0 read = 
          step 3: 0 read = 
        people
          1
          2
          3
        copies
          1
          2
          3
        wrong
    "#]],
    );
    expect![[r#"
        [
            "relate:copies completed {\"checked\":true,\"rows\":3,\"undo\":\"clear copies\",\"writes\":[{\"after\":3,\"before\":0,\"table\":\"copies\"}]}",
        ]
    "#]].assert_debug_eq(&steps(&world));
    assert!(matches!(world.migrate(), Ok(Outcome::NothingToDo { .. })));
}

#[test]
fn whatever_happens_at_any_commit_nobody_can_tell_in_the_end() {
    let twice = format!("{STEP}[[relate]]\nname = 'more'\nsql = 'nothing'\nwrites = 'wrong'\n");
    let undisturbed = with(&twice);
    let commits = undisturbed.process().run().commits;
    for trouble in [
        Trouble::DeathBefore,
        Trouble::DeathAfter,
        Trouble::Refused(ErrorClass::System),
        Trouble::Refused(ErrorClass::Fenced),
    ] {
        for commit in 1..=commits {
            let world = undisturbed.afresh();
            world.process().trouble(At::Commit(commit), trouble).run();
            world.migrate_to_the_end();
            assert_eq!(same(&undisturbed, &world), Ok(()), "{trouble:?} at commit {commit}");
        }
    }
}

#[test]
fn what_may_pass_is_tried_again_at_every_commit_of_a_run() {
    let undisturbed = with(STEP);
    let commits = undisturbed.process().run().commits;
    for trouble in [
        Trouble::Unheard,
        Trouble::Refused(ErrorClass::Transient),
        Trouble::Refused(ErrorClass::Unknown),
    ] {
        for commit in 1..=commits {
            let world = undisturbed.afresh();
            let ended = world.process().trouble(At::Commit(commit), trouble).run();
            let completed = matches!(ended.result, Some(Ok(Outcome::Completed { .. })));
            assert!(completed, "{trouble:?} at commit {commit}: {:?}", ended.result);
            assert_eq!(ended.heard.retries, 1, "{trouble:?} at commit {commit}");
            assert_eq!(same(&undisturbed, &world), Ok(()), "{trouble:?} at commit {commit}");
        }
    }
}

#[test]
fn a_failed_check_takes_the_step_back_and_the_same_command_goes_on() {
    let world = with(STEP).file("none", "n", "7\n8");
    check(
        &world,
        &expect![[r#"
        run 1 full failed
          step 1: 3 read = 3 loaded
          step 2: 2 read = 2 loaded
          step 3: 2 read = 2 loaded
        people
          1
          2
          3
        copies
          7
          8
        wrong
          7
          8

        WB0628: the check of relate step `copies` returned rows: id = 7; id = 8
    "#]],
    );
    let mended = world.clone().with_plan(&format!("{TABLES}{}", STEP.replace("check ", "# ")));
    assert!(matches!(mended.migrate(), Ok(Outcome::Completed { .. })));
}

#[test]
fn rows_that_come_later_let_the_step_be_done_again() {
    let world = with(STEP);
    world.migrate_to_the_end();
    world.append("people", "a", "4");
    world.migrate_incremental().expect("what has come is taken");
    assert_eq!(world.target.rows("copies").len(), 4);
    expect![[r#"
        [
            "relate:copies completed {\"checked\":true,\"rows\":4,\"undo\":\"clear copies\",\"writes\":[{\"after\":4,\"before\":0,\"table\":\"copies\"}]}",
        ]
    "#]].assert_debug_eq(&steps(&world));
}

#[test]
fn a_run_that_loads_nothing_does_a_step_on_a_loaded_table_again_and_ends_alike() {
    let world = with(STEP);
    world.migrate_to_the_end();
    world.set("none", "empty", "");
    world.migrate_incremental().expect("an empty file is taken");
    assert_eq!(world.target.rows("copies").len(), 3);
    expect![[r#"
        [
            "relate:copies completed {\"checked\":true,\"rows\":3,\"undo\":\"clear copies\",\"writes\":[{\"after\":3,\"before\":0,\"table\":\"copies\"}]}",
        ]
    "#]].assert_debug_eq(&steps(&world));
}

#[test]
fn another_text_has_to_be_adopted_and_takes_back_what_the_old_one_did() {
    let world = with(STEP);
    world.migrate_to_the_end();
    let other = world.clone().with_plan(&format!(
        "{TABLES}{}",
        STEP.replace("copy people copies", "nothing").replace("clear copies", "nothing")
    ));
    assert_eq!(code(other.migrate()), "WB0615");
    let mut process = other.process();
    process.options.adopt = true;
    let ended = process.run();
    assert!(matches!(ended.result, Some(Ok(Outcome::Completed { .. }))), "{:?}", ended.result);
    assert_eq!(world.target.rows("copies").len(), 0, "the undo of then has been done");
}

#[test]
fn a_step_that_was_done_and_has_no_undo_is_not_done_again() {
    let world = with(&STEP.replace("undo ", "# "));
    world.migrate_to_the_end();
    world.append("people", "a", "4");
    assert_eq!(code(world.migrate_incremental()), "WB0629");
    assert_eq!(world.target.rows("people").len(), 3, "nothing was written");
    let with_undo = world.clone().with_plan(&format!("{TABLES}{STEP}"));
    let mut process = with_undo.process().incremental();
    process.options.adopt = true;
    assert!(matches!(process.run().result, Some(Ok(_))));
    assert_eq!(world.target.rows("copies").len(), 4);
}

#[test]
fn a_new_step_is_something_to_do() {
    let world = with("");
    world.migrate_to_the_end();
    let more = world.clone().with_plan(&format!("{TABLES}{STEP}"));
    let Ok(Outcome::SourcesChanged { changes, .. }) = more.migrate() else { panic!("it is told") };
    assert_eq!(changes.relates_new, ["copies"]);
    more.migrate_incremental().expect("the step is done");
    assert_eq!(world.target.rows("copies").len(), 3);
}

#[test]
fn steps_that_are_not_done_may_change_in_an_unfinished_run() {
    let world = with(STEP).file("none", "n", "7");
    assert_eq!(code(world.migrate()), "WB0628");
    let without = world.clone().with_plan(TABLES);
    without.migrate_to_the_end();
    assert_eq!(world.target.rows("copies").len(), 1);
    assert!(steps(&world).is_empty());
}

#[test]
fn a_step_without_a_text_for_the_engine_is_a_mistake_of_the_plan() {
    let world = with(&STEP.replace("\"copy people copies\"", "{ sqlite = \"copy\" }"));
    let Err(CoreError::Compile(errors)) = world.migrate() else { panic!("it is refused") };
    assert_eq!(errors[0].message, "`sql` of `[[relate]]` `copies` has no text for `memory`");
}

#[test]
fn a_preview_lists_the_steps() {
    let preview = with(&STEP.replace("undo ", "# ")).preview().expect("a preview");
    let step = &preview.relates[0];
    assert_eq!((step.name.as_str(), step.undo, step.check), ("copies", false, true));
}

/// Two steps, of which the second rests on the first: it copies the copies.
const CHAIN: &str = r#"
[[relate]]
name   = "copies"
sql    = "copy people copies"
undo   = "clear copies"
writes = "copies"
[[relate]]
name   = "wrong"
sql    = "copy copies wrong"
undo   = "needs copies; clear wrong"
writes = "wrong"
"#;

#[test]
fn steps_that_rest_on_others_are_taken_back_before_them() {
    let undisturbed = with(CHAIN);
    undisturbed.migrate_to_the_end();
    let append = |world: &World| world.append("people", "a", "4");
    append(&undisturbed);
    let commits = undisturbed.process().incremental().run().commits;
    assert_eq!(undisturbed.target.rows("wrong").len(), 4);
    for trouble in [
        Trouble::DeathBefore,
        Trouble::DeathAfter,
        Trouble::Unheard,
        Trouble::Refused(ErrorClass::System),
    ] {
        for commit in 1..=commits {
            let world = with(CHAIN);
            world.migrate_to_the_end();
            append(&world);
            world.process().incremental().trouble(At::Commit(commit), trouble).run();
            world.migrate_incremental().expect("the run goes on");
            assert_eq!(same(&undisturbed, &world), Ok(()), "{trouble:?} at commit {commit}");
        }
    }
}

/// Without how many rows there were before a step, which checkpoints hold too: none, where it was
/// taken back on its own.
fn committed(world: &World) -> Vec<String> {
    let lines = world.committed().into_iter();
    let lines = lines.filter(|line| !line.starts_with(&tables::CHECKPOINTS.name));
    lines.map(|line| line.replace("\"before\":0", "\"before\":3")).collect()
}

#[test]
fn a_server_that_falls_at_relate_steps_loses_none_of_them() {
    let undisturbed = with(CHAIN);
    undisturbed.migrate_to_the_end();
    undisturbed.append("people", "a", "4");
    let commits = undisturbed.process().incremental().run().commits;
    for flush in [Flush::WhenTheLoadIsLeft, Flush::Never] {
        for trouble in [Trouble::FallBefore, Trouble::FallAfter] {
            for commit in 1..=commits {
                let world = with(CHAIN);
                world.migrate_to_the_end();
                world.append("people", "a", "4");
                let process = world.process().incremental().flush(flush);
                let ended = process.trouble(At::Commit(commit), trouble).run();
                let at = format!("{trouble:?} at commit {commit}, flushed {flush:?}");
                let run = newest(&world.target);
                if (run.seq, run.status) == (2, RunStatus::Completed) {
                    let told = format!("{at}: it is called complete: {:?}", ended.result);
                    assert_eq!(committed(&world), committed(&undisturbed), "{told}");
                }
                world.migrate_incremental().expect("the run goes on");
                assert_eq!(committed(&world), committed(&undisturbed), "{at}");
            }
        }
    }
}

#[test]
fn a_step_behind_one_that_is_done_again_is_done_again_too() {
    let world = with(CHAIN);
    world.migrate_to_the_end();
    let other = CHAIN.replacen("undo   = \"clear copies\"", "undo = \"clear copies; nothing\"", 1);
    let other = world.clone().with_plan(&format!("{TABLES}{other}"));
    let mut process = other.process();
    process.options.adopt = true;
    let ended = process.run();
    assert!(matches!(ended.result, Some(Ok(Outcome::Completed { .. }))), "{:?}", ended.result);
    assert_eq!(world.target.rows("wrong").len(), 3);
    assert!(steps(&world).iter().all(|step| !step.contains("\"by\"")), "{:?}", steps(&world));
}

/// A world with rows to come, whose second step has an undo that the target refuses, and how it is
/// with the plan mended.
fn refused_undo() -> (World, World) {
    let world = with(&CHAIN.replace("needs copies; clear wrong", "clear wrong; refused"));
    world.migrate_to_the_end();
    world.append("people", "a", "4");
    assert_eq!(code(world.migrate_incremental()), "WB0423");
    let mended = world.clone().with_plan(&format!("{TABLES}{CHAIN}"));
    (world, mended)
}

fn adopting(world: &World) -> Process<'_> {
    let mut process = world.process();
    process.options.adopt = true;
    process
}

#[test]
fn the_plans_undo_takes_back_where_the_recorded_one_is_refused_and_nothing_disturbs_that() {
    let (_, undisturbed) = refused_undo();
    assert_eq!(code(undisturbed.migrate()), "WB0423", "it is not adopted");
    let ended = adopting(&undisturbed).run();
    assert!(matches!(ended.result, Some(Ok(Outcome::Completed { .. }))), "{:?}", ended.result);
    assert_eq!(undisturbed.target.rows("wrong").len(), 4);
    for trouble in [
        Trouble::DeathBefore,
        Trouble::DeathAfter,
        Trouble::Unheard,
        Trouble::Refused(ErrorClass::System),
        Trouble::Refused(ErrorClass::Transient),
    ] {
        for commit in 1..=ended.commits {
            let (_, world) = refused_undo();
            assert_eq!(code(world.migrate()), "WB0423");
            adopting(&world).trouble(At::Commit(commit), trouble).run();
            adopting(&world).run();
            let at = format!("{trouble:?} at commit {commit}");
            assert_eq!(committed(&world), committed(&undisturbed), "{at}");
        }
    }
}
