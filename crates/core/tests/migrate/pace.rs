//! A load leaves room for others: at most so many rows a second, and less under pressure.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_core::{Clock, CoreError, Outcome};
use whimbrel_endpoint::{Finding, Pressure};

use crate::ports::Asleep;
use crate::world::{World, same};

/// Twenty rows, in batches of what the plan says.
fn world(run: &str) -> World {
    let plan = format!(
        "[source.s]\ncsv = '*'\n[[table]]\ninto = 't'\nfrom = 's'\nkey = ['id']\ncolumns = {{ id = 'id' }}\n[run]\n{run}\n"
    );
    let rows: Vec<String> = (0..20).map(|row| row.to_string()).collect();
    World::new(&plan, &[("s", "id")]).file("s", "a", &rows.join("\n")).sips(1)
}

/// How long a run takes on a clock that only sleeping moves.
fn seconds(world: &World, of: impl Fn(&mut whimbrel_core::Options)) -> f64 {
    let clock = Arc::new(Asleep::default());
    let mut process = world.process().clock(Arc::clone(&clock) as _);
    process.options.batch_size = None;
    of(&mut process.options);
    assert!(matches!(process.run().result, Some(Ok(Outcome::Completed { .. }))));
    clock.monotonic().as_secs_f64()
}

#[test]
fn a_rate_is_kept_over_the_whole_load() {
    let took = seconds(&world("max_rate = '4/s'"), |_| {});
    assert!((took - 5.0).abs() < 0.01, "20 rows at 4 a second took {took} s");
}

#[test]
fn the_command_line_says_a_rate_over_the_plans() {
    let took = seconds(&world("max_rate = '4/s'"), |options| options.max_rate = Some(2));
    assert!((took - 10.0).abs() < 0.01, "20 rows at 2 a second took {took} s");
}

#[test]
fn without_a_rate_nobody_sleeps() {
    assert!(seconds(&world(""), |_| {}) < f64::EPSILON);
}

#[test]
fn a_rate_changes_nothing_but_the_time() {
    let (free, slow) = (world(""), world("max_rate = '3/s'"));
    free.migrate_to_the_end();
    seconds(&slow, |_| {});
    assert_eq!(free.target.rows("t"), slow.target.rows("t"));
}

/// What was told of strain, where the target answers so when it is asked.
fn strained(answers: &[Pressure]) -> (Vec<(u32, f64, u64)>, Duration) {
    // A rate of two batches a second lets a second go by between two questions at most.
    let world = world("max_rate = '1/s'\nbatch_size = 1");
    let clock = Arc::new(Asleep::default());
    let mut process = world.process().clock(Arc::clone(&clock) as _);
    process.options.batch_size = Some(16);
    process.script.pressures = std::sync::Mutex::new(answers.iter().copied().collect());
    let ended = process.run();
    assert!(matches!(ended.result, Some(Ok(Outcome::Completed { .. }))), "{:?}", ended.result);
    let undisturbed = world.afresh();
    undisturbed.process().clock(Arc::new(Asleep::default())).run();
    assert_eq!(same(&undisturbed, &world), Ok(()));
    (ended.heard.pressures, clock.monotonic())
}

#[test]
fn lock_waits_make_the_load_rest_until_they_are_gone() {
    let waits = Pressure { lock_waits: 2, ..Pressure::default() };
    let calm = Pressure::default();
    let (told, _) = strained(&[calm, waits, waits, calm, calm]);
    let levels: Vec<(u32, f64)> = told.iter().map(|(strain, rest, _)| (*strain, *rest)).collect();
    assert_eq!(levels, [(1, 0.2), (2, 0.4), (1, 0.2), (0, 0.0)]);
}

#[test]
fn a_replica_that_is_far_behind_is_pressure() {
    let behind = |seconds| Pressure {
        replica_lag: Some(Duration::from_secs(seconds)),
        ..Pressure::default()
    };
    assert!(strained(&[behind(4), behind(5)]).0.is_empty());
    assert_eq!(strained(&[behind(6)]).0.len(), 2);
}

#[test]
fn answers_far_slower_than_the_best_are_pressure() {
    let answers = |millis: &[u64]| -> Vec<Pressure> {
        let answer = |millis: &u64| Pressure {
            round_trip: Duration::from_millis(*millis),
            ..Pressure::default()
        };
        millis.iter().map(answer).collect()
    };
    assert!(strained(&answers(&[1, 15, 2])).0.is_empty(), "quick all the same");
    assert!(strained(&answers(&[10, 70, 10])).0.is_empty(), "not far slower");
    assert_eq!(strained(&answers(&[10, 200, 10])).0.len(), 2);
}

#[test]
fn pressure_never_stops_a_load() {
    let waits = Pressure { lock_waits: 2, ..Pressure::default() };
    let (told, _) = strained(&[waits; 100]);
    let strains: Vec<u32> = told.iter().map(|(strain, ..)| *strain).collect();
    assert_eq!(strains, [1, 2, 3, 4]);
}

#[test]
fn what_stands_in_the_way_is_refused_before_anything_is_written() {
    let world = world("");
    let finding = |blocks| Finding { code: "WB0630", blocks, message: "so it is".to_owned() };
    let mut process = world.process();
    process.script.findings = vec![finding(true), finding(false)];
    let Some(Err(CoreError::Blocked(found))) = process.run().result else {
        panic!("it is refused")
    };
    assert_eq!(found[0].message, "so it is");
    assert!(world.target.rows("t").is_empty());
    let mut process = world.process();
    process.script.findings = vec![finding(false)];
    let ended = process.run();
    assert!(matches!(ended.result, Some(Ok(_))));
    assert_eq!(ended.heard.warnings, ["WB0630"]);
}
