//! Limits: a run that has too many rejects stops where it can go on.

use whimbrel_core::{Outcome, StopReason};

use crate::world::{World, same};

fn plan(rule: &str, rejects: &str) -> String {
    format!(
        r#"
[source.s]
csv = "*"
[[table]]
into = "t"
from = "s"
key  = ["id"]
columns = {{ id = {{ from = "id", type = "integer" }} }}
[[table.rule]]
name = "small"
cel  = "new.id < 10"
{rule}
[rejects]
{rejects}
"#
    )
}

const RULE: StopReason = StopReason::RuleLimit { table: 0, rule: 0 };

/// The run stops after so many units, at a checkpoint; with `relaxed` it goes on, and in the end
/// nobody can tell.
#[track_caller]
fn check(limited: &str, relaxed: &str, lines: &str, units: u64, expect: StopReason) {
    let undisturbed = World::new(relaxed, &[("s", "id")]).file("s", "a", lines).sips(1);
    undisturbed.migrate_to_the_end();
    let world = undisturbed.afresh().with_plan(limited);
    stops(&world, expect);
    assert_eq!(world.units(), units);
    let world = world.with_plan(relaxed);
    world.migrate_to_the_end();
    assert_eq!(same(&undisturbed, &world), Ok(()));
}

#[track_caller]
fn stops(world: &World, expect: StopReason) {
    let ended = world.process().batch_size(1).run();
    let Some(Ok(Outcome::Stopped { reason, .. })) = ended.result else {
        panic!("{:?}", ended.result)
    };
    assert_eq!(reason, expect);
}

#[test]
fn too_many_rejects_stop_the_run_at_a_checkpoint() {
    check(&plan("", "max = 1"), &plan("", ""), "1\nx\n2\ny\n3\nz", 4, StopReason::RejectLimit);
}

#[test]
fn too_large_a_part_of_rejects_stops_the_run_once_enough_is_read() {
    check(
        &plan("", "max = \"50%\"\nafter = 3"),
        &plan("", ""),
        "x\ny\n1\n2\n3",
        3,
        StopReason::RejectLimit,
    );
}

#[test]
fn too_many_violations_of_a_rule_stop_the_run() {
    check(&plan("max = 1", ""), &plan("", ""), "1\n10\nx\n11\n2", 4, RULE);
}

#[test]
fn too_many_warnings_stop_the_run() {
    let warn = "severity = \"warn\"\n";
    let limited = format!("{warn}max = 1");
    check(&plan(&limited, ""), &plan(warn, ""), "1\n10\nx\n11\n2", 4, RULE);
}

#[test]
fn as_many_rejects_as_allowed_do_not_stop_the_run() {
    let world = World::new(&plan("", "max = 3"), &[("s", "id")]).file("s", "a", "1\nx\n2\ny\n3\nz");
    assert!(matches!(world.migrate(), Ok(Outcome::Completed { rejects: 3, .. })));
}

#[test]
fn a_run_past_its_limit_loads_nothing_more_until_the_limit_is_raised() {
    let limits = [
        ("", "max = 1", StopReason::RejectLimit),
        ("", "max = \"50%\"\nafter = 3", StopReason::RejectLimit),
        ("max = 0", "", RULE),
    ];
    for (rule, rejects, expect) in limits {
        let plan = plan(rule, rejects);
        let world =
            World::new(&plan, &[("s", "id")]).file("s", "a", "x\n10\n1\n2\n3\n4\n5").sips(1);
        stops(&world, expect);
        let units = world.units();
        stops(&world, expect);
        assert_eq!(world.units(), units, "with `{rule}{rejects}`");
    }
}
