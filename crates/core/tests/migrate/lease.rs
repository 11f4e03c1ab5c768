//! One run at a time: who holds the target commits, everybody else does not.

use std::sync::mpsc;
use std::time::Duration;

use whimbrel_core::{CoreError, Outcome};
use whimbrel_endpoint::ErrorClass;

use crate::legacy;
use crate::world::{Ended, World, same};

/// Runs a process to which something happens after its first batch; in the end, the target is as
/// if nothing had happened.
#[track_caller]
fn check(happens: impl FnOnce(World) + Send + 'static) -> Ended {
    let undisturbed = legacy::small();
    undisturbed.migrate_to_the_end();
    let world = undisturbed.afresh();
    let elsewhere = world.clone();
    let ended = world.process().meanwhile(1, move || happens(elsewhere)).run();
    assert_eq!(same(&undisturbed, &world), Ok(()));
    ended
}

fn is_fenced(ended: &Ended) -> bool {
    match &ended.result {
        Some(Err(CoreError::Endpoint { source, .. })) => source.class == ErrorClass::Fenced,
        Some(_) | None => false,
    }
}

#[test]
fn a_second_process_is_refused_while_the_first_lives() {
    let first = check(|world| {
        let second = world.migrate();
        assert!(matches!(second, Err(CoreError::Held { .. })), "{second:?}");
    });
    assert!(matches!(first.result, Some(Ok(Outcome::Completed { .. }))), "{:?}", first.result);
}

#[test]
fn a_process_taken_for_dead_commits_nothing_once_another_has_finished() {
    let first = check(|world| {
        world.declare_dead(1);
        world.migrate_to_the_end();
    });
    assert!(is_fenced(&first), "{:?}", first.result);
}

#[test]
fn a_process_whose_lease_ran_out_commits_nothing_once_another_has_finished() {
    let first = check(|world| {
        world.target.advance(Duration::from_mins(2));
        world.migrate_to_the_end();
    });
    assert!(is_fenced(&first), "{:?}", first.result);
}

/// ```text
/// first    batch ─ ─ ─ ─ ─ ─ ─ ─ ─ ─▶ batch refused
/// second           batch ─▶ waits ─ ─ ─ ─ ─ ─ ─ ─ ─ ─▶ batches, finish
/// ```
#[test]
fn a_process_taken_for_dead_commits_nothing_while_another_works() {
    let undisturbed = legacy::small();
    undisturbed.migrate_to_the_end();
    let world = undisturbed.afresh();
    let (working, works) = mpsc::channel();
    let (ending, ended) = mpsc::channel::<()>();
    let (starting, started) = mpsc::channel();
    let elsewhere = world.clone();
    let first = world
        .process()
        .meanwhile(1, move || {
            elsewhere.declare_dead(1);
            let second = std::thread::spawn(move || {
                let meets = move || {
                    working.send(()).expect("the first listens");
                    ended.recv().expect("the first says when it ends");
                };
                elsewhere.process().meanwhile(1, meets).run().result
            });
            starting.send(second).expect("the test listens");
            works.recv().expect("the second works");
        })
        .run();
    assert!(is_fenced(&first), "{:?}", first.result);
    ending.send(()).expect("the second listens");
    let second = started.recv().expect("the second was started").join().expect("it lives");
    assert!(matches!(second, Some(Ok(Outcome::Completed { .. }))), "{second:?}");
    assert_eq!(same(&undisturbed, &world), Ok(()));
}
