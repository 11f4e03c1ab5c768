//! Waiving rejects.

use whimbrel_core::CoreError;
use whimbrel_ledger::{RejectStatus, audit, chain, reject};

use crate::ledger::{newest, now};
use crate::legacy;

#[test]
fn waived_rejects_name_who_waived_them_and_why() {
    let world = legacy::small();
    world.migrate_to_the_end();
    let run = newest(&world.target);
    let rejects = now(reject::page(&world.target, &run.id, 1, None, 100));
    let (waived, left) = rejects.split_at(1);
    let count =
        world.waive(&run, waived.to_vec(), "known to be broken").expect("nobody else is here");
    assert_eq!(count, 1);
    let after = now(reject::page(&world.target, &run.id, 1, None, 100));
    assert_eq!(after[0].status, RejectStatus::Waived);
    assert_eq!(after[0].resolved_by.as_deref(), Some("tester@here"));
    assert_eq!(after[0].resolution.as_deref(), Some("known to be broken"));
    assert_eq!(&after[1..], left);
}

#[test]
fn the_audit_log_is_a_chain_that_tells_of_the_waiver() {
    let world = legacy::small();
    world.process().stop_at(1).run();
    world.migrate_to_the_end();
    let run = newest(&world.target);
    let rejects = now(reject::page(&world.target, &run.id, 1, None, 100));
    world.waive(&run, rejects, "known to be broken").expect("nobody else is here");
    let log = now(chain::entries_of(&world.target, &run.id, 100));
    let actions: Vec<&str> = log.iter().map(|entry| entry.action.as_str()).collect();
    let begun = ["run.started", "tables.created", "run.interrupted"];
    let ended = ["run.resumed", "run.verified", "run.completed", "rejects.waived"];
    assert_eq!(actions, [&begun[..], &ended[..]].concat());
    let verified = now(audit::verify(&world.target, None));
    assert!(verified.is_intact() && verified.checkpoints == 2, "{verified:?}");
    let mut previous = Vec::new();
    for entry in log {
        assert_eq!((&entry.previous, &entry.hash), (&previous, &entry.expected_hash()));
        previous = entry.hash;
    }
}

#[test]
fn nothing_is_waived_while_a_run_holds_the_target() {
    let world = legacy::small();
    let elsewhere = world.clone();
    let ended = world
        .process()
        .meanwhile(1, move || {
            let run = newest(&elsewhere.target);
            let rejects = now(reject::page(&elsewhere.target, &run.id, 1, None, 100));
            let waived = elsewhere.waive(&run, rejects, "in a hurry");
            assert!(matches!(waived, Err(CoreError::Held { .. })), "{waived:?}");
        })
        .run();
    assert!(matches!(ended.result, Some(Ok(_))), "{:?}", ended.result);
}
