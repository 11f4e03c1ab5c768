//! Logs that somebody has written to past Whimbrel: what each finding looks like, and where it is said.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use proptest::prelude::*;
use whimbrel_endpoint::memory::MemoryTarget;
use whimbrel_endpoint::{Holder, LeaseAnswer, LeaseRequest, Txn};

use super::*;
use crate::chain;

/// In memory nothing is waited for.
fn now<T>(future: impl Future<Output = Result<T, EndpointError>>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.expect("memory does not fail"),
        Poll::Pending => panic!("memory waits for nobody"),
    }
}

async fn write(
    target: &MemoryTarget,
    work: impl AsyncFnOnce(&mut dyn Txn) -> Result<(), EndpointError>,
) -> Result<(), EndpointError> {
    let holder = Holder {
        run: "r".to_owned(),
        host: "h".to_owned(),
        boot: "b".to_owned(),
        pid: 1,
        started: 1,
    };
    let request = LeaseRequest { holder, ttl: Duration::from_mins(1), renew: None, dead: None };
    let LeaseAnswer::Granted(fence) = target.lease(&request).await? else {
        panic!("nobody else is here")
    };
    let mut txn = target.begin(fence).await?;
    work(txn.as_mut()).await?;
    txn.commit().await
}

/// A log of `entries` entries, and two runs with three checkpoints each.
fn ledger(entries: u64) -> MemoryTarget {
    let target = MemoryTarget::new();
    now(target.prepare_ledger());
    now(write(&target, async |txn: &mut dyn Txn| {
        meta::put(txn, "project_key", "00ff").await?;
        let mut last = Vec::new();
        for run in ["aa", "bb"] {
            for name in ["prepared", "relate:x", "loaded"] {
                let detail = json!({ "name": name });
                last = chain::checkpoint(txn, run, name, "load", &detail, "2026").await?;
            }
        }
        for seq in 1..=entries {
            let (action, detail) = if seq == entries {
                ("run.completed", json!({ "checkpoint": hex(&last) }))
            } else {
                ("run.resumed", json!({ "attempt": seq }))
            };
            let object = if seq % 2 == entries % 2 { "bb" } else { "aa" };
            chain::record(txn, "2026", "ada@here", action, object, &detail).await?;
        }
        Ok(())
    }));
    target
}

fn put<T: Stored>(target: &MemoryTarget, rows: &[T]) {
    now(write(target, async |txn: &mut dyn Txn| cells::put(txn, rows).await));
}

fn remove(target: &MemoryTarget, seqs: std::ops::RangeInclusive<u64>) {
    now(write(target, async |txn: &mut dyn Txn| {
        let seqs = seqs.map(Value::from).collect();
        let of = Query::table(tables::AUDIT.name.clone(), &["seq"]);
        txn.delete(&of.that("seq", Operator::In, seqs)).await.map(|_removed| ())
    }));
}

fn log(target: &MemoryTarget) -> Vec<AuditEntry> {
    now(page(target, None, 10_000))
}

/// What is wrong, a line each.
fn faults(target: &MemoryTarget) -> Vec<String> {
    let verified = now(verify(target, None));
    assert_eq!(verified.is_intact(), verified.faults.is_empty());
    let line = |fault: &Fault| match &fault.chain {
        ChainId::Audit => format!("{} {:?}", fault.seq, fault.wrong),
        ChainId::Checkpoints(run) => format!("{run} {} {:?}", fault.seq, fault.wrong),
    };
    verified.faults.iter().map(line).collect()
}

fn check_edit(edit: impl Fn(&mut AuditEntry), expected: &[&str]) {
    let target = ledger(9);
    let mut entry = log(&target).swap_remove(4);
    edit(&mut entry);
    put(&target, &[entry]);
    assert_eq!(faults(&target), expected);
}

#[test]
fn an_untouched_ledger_is_intact_over_many_pages() {
    for entries in [1, 2, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE + 7] {
        let verified = now(verify(&ledger(entries), Some(1)));
        assert!(verified.is_intact(), "{:?}", verified.faults);
        assert_eq!((verified.entries, verified.runs, verified.checkpoints), (entries, 2, 6));
        assert_eq!(verified.head.map(|head| head.seq), Some(entries));
        assert_eq!(verified.at_anchor.map(|head| head.seq), Some(1));
    }
    let empty = MemoryTarget::new();
    now(empty.prepare_ledger());
    assert_eq!(now(verify(&empty, Some(1))), Verified::default());
}

#[test]
fn a_changed_entry_is_named_whatever_was_changed() {
    check_edit(|entry| entry.at = "2025".to_owned(), &["5 Changed"]);
    check_edit(|entry| entry.actor.push(' '), &["5 Changed"]);
    check_edit(|entry| entry.action = "run.completed".to_owned(), &["5 Changed"]);
    check_edit(|entry| entry.object = "b".to_owned(), &["5 Changed"]);
    check_edit(|entry| entry.detail = "{}".to_owned(), &["5 Changed"]);
    check_edit(|entry| entry.previous[0] ^= 1, &["5 Changed"]);
    check_edit(|entry| entry.hash[31] ^= 1, &["5 Changed", "6 Detached"]);
    // Text that goes from one field to the next.
    check_edit(
        |entry| {
            entry.actor.push_str(&entry.action);
            entry.action.clear();
        },
        &["5 Changed"],
    );
}

#[test]
fn an_entry_that_carries_the_hash_of_its_new_content_does_not_fit_the_next_one() {
    let rehash = |entry: &mut AuditEntry| {
        entry.actor = "eve@there".to_owned();
        entry.hash = entry.expected_hash();
    };
    check_edit(rehash, &["6 Detached"]);
}

#[test]
fn removed_entries_are_missing() {
    for (removed, expected) in [
        (5..=5, vec!["5 Missing { to: 5 }"]),
        (2..=7, vec!["2 Missing { to: 7 }"]),
        (1..=1, vec!["1 Missing { to: 1 }"]),
    ] {
        let target = ledger(9);
        remove(&target, removed);
        assert_eq!(faults(&target), expected);
    }
}

#[test]
fn removed_entries_are_found_where_the_others_were_given_new_numbers() {
    let target = ledger(9);
    let mut entries = log(&target);
    remove(&target, 1..=9);
    entries.remove(4);
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.seq = index as u64 + 1;
    }
    put(&target, &entries);
    let moved = |seq: u64| format!("{seq} Moved {{ from: {} }}", seq + 1);
    assert_eq!(faults(&target), (5..=8).map(moved).collect::<Vec<_>>());
    // And hashed anew: each fits the one before, but the first of them.
    entries[4..].iter_mut().for_each(|entry| entry.hash = entry.expected_hash());
    put(&target, &entries);
    assert_eq!(faults(&target), ["5 Detached", "6 Detached", "7 Detached", "8 Detached"]);
}

#[test]
fn entries_that_have_changed_places_are_named() {
    let target = ledger(9);
    let entries = log(&target);
    let swapped =
        |from: usize, to: usize| AuditEntry { seq: entries[to].seq, ..entries[from].clone() };
    put(&target, &[swapped(3, 6), swapped(6, 3)]);
    assert_eq!(
        faults(&target),
        ["4 Moved { from: 7 }", "5 Detached", "7 Moved { from: 4 }", "8 Detached"]
    );
}

#[test]
fn inserted_entries_are_found() {
    let target = ledger(9);
    let mut entries = log(&target);
    let mut inserted = AuditEntry { seq: 4, actor: "eve@there".to_owned(), ..entries[2].clone() };
    inserted.previous = entries[2].hash.clone();
    inserted.hash = inserted.expected_hash();
    entries[3..].iter_mut().for_each(|entry| entry.seq += 1);
    put(&target, &entries);
    put(&target, &[inserted]);
    let found = faults(&target);
    assert_eq!(found[0], "5 Moved { from: 4 }");
    assert_eq!(found.len(), 6, "{found:?}");
    let target = ledger(3);
    let first = AuditEntry { seq: 0, ..log(&target).swap_remove(0) };
    put(&target, &[first]);
    assert_eq!(faults(&target), ["0 BeforeTheFirst"]);
}

#[test]
fn what_was_cut_off_or_recomputed_is_shown_by_an_anchor_alone() {
    let target = ledger(9);
    let id = now(ledger_id(&target));
    let anchor = Anchor::of(&id, &now(verify(&target, None))).expect("the log is not empty");
    let anchor = Anchor::from_json(&anchor.to_json()).expect("it reads its own form");
    let how = |target: &MemoryTarget| {
        let verified = now(verify(target, Some(anchor.count)));
        assert!(verified.faults.iter().all(|fault| fault.chain != ChainId::Audit));
        anchor.check(&now(ledger_id(target)), &verified)
    };
    assert_eq!(how(&target), Anchored::Holds { since: 0 });
    now(write(&target, async |txn: &mut dyn Txn| {
        chain::record(txn, "2026", "ada@here", "run.resumed", "bb", &json!({})).await
    }));
    assert_eq!(how(&target), Anchored::Holds { since: 1 });
    let mut entries = log(&target);
    entries[6].detail = r#"{"attempt":99}"#.to_owned();
    for index in 6..entries.len() {
        entries[index].previous = entries[index - 1].hash.clone();
        entries[index].hash = entries[index].expected_hash();
    }
    put(&target, &entries);
    assert_eq!(how(&target), Anchored::Rewritten);
    remove(&target, 9..=10);
    assert_eq!(how(&target), Anchored::CutOff { entries: 8 });
    now(write(&target, async |txn: &mut dyn Txn| meta::put(txn, "project_key", "ff").await));
    assert_eq!(how(&target), Anchored::OtherLedger);
}

/// Computed by a program that shares nothing with this one; it stands in `docs/audit.md`.
#[test]
fn a_ledger_has_the_name_that_the_documentation_describes() {
    assert_eq!(now(ledger_id(&ledger(1))), "3e803da0daf3fb33270c5f74a4cdd819");
}

#[test]
fn what_is_no_anchor_is_not_taken_for_one() {
    let anchor = Anchor { ledger: "l".into(), count: 3, head: "0".repeat(64), at: "2026".into() };
    let good = anchor.to_json();
    assert_eq!(Anchor::from_json(&good), Some(anchor));
    for (from, to) in [
        ("anchor/v1", "anchor/v2"),
        ("\"count\":3", "\"count\":0"),
        ("\"count\":3", "\"count\":-1"),
        ("\"head\":\"0", "\"head\":\""),
        ("\"head\":\"0", "\"head\":\"g"),
        ("ledger\"", "ledge\""),
        ("{", "["),
    ] {
        assert_eq!(Anchor::from_json(&good.replace(from, to)), None, "{from} {to}");
    }
}

#[test]
fn checkpoints_are_verified_run_by_run() {
    let target = ledger(9);
    let mut links = now(chain::checkpoints(&target, "aa"));
    links[1].detail = "{}".to_owned();
    put(&target, &links);
    assert_eq!(faults(&target), ["aa 1 Changed"]);
}

#[test]
fn a_checkpoint_that_was_cut_off_is_named_by_the_audit_log() {
    for last in [1, 2] {
        let target = ledger(9);
        let hash = hex(&now(chain::checkpoints(&target, "bb"))[2].hash);
        now(write(&target, async |txn: &mut dyn Txn| {
            let of = Query::table(tables::CHECKPOINTS.name.clone(), &["seq"]).is("run", "bb");
            let cut =
                if last == 1 { of.that("seq", Operator::Above, vec![1u64.into()]) } else { of };
            txn.delete(&cut).await.map(|_removed| ())
        }));
        assert_eq!(faults(&target), [format!("bb 9 NoCheckpoint({hash:?})")]);
    }
}

#[test]
fn a_row_that_cannot_be_read_is_a_fault_of_its_place() {
    let target = ledger(3);
    let mut row = log(&target)[1].values();
    row[7] = Value::Null;
    let mut chunk = whimbrel_model::ChunkBuilder::new(row.len());
    row.iter().for_each(|value| chunk.push(value.as_ref()));
    chunk.end_row();
    let chunk = chunk.finish();
    now(write(&target, async |txn: &mut dyn Txn| txn.put(&tables::AUDIT, &chunk).await));
    let found = faults(&target);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with("2 Unreadable(\"the ledger holds no bytes in column `hash`"));
}

#[test]
fn faults_without_end_are_counted() {
    let target = ledger(FAULTS as u64 + 50);
    let mut entries = log(&target);
    entries.iter_mut().for_each(|entry| entry.actor.push('!'));
    put(&target, &entries);
    let verified = now(verify(&target, None));
    assert_eq!((verified.faults.len(), verified.more), (FAULTS, 50));
}

#[test]
fn an_entry_touches_the_runs_that_it_names() {
    let entry = |object: &str, detail: &str| AuditEntry {
        seq: 1,
        at: String::new(),
        actor: "bb".to_owned(),
        action: "relate.taken_back".to_owned(),
        object: object.to_owned(),
        detail: detail.to_owned(),
        previous: Vec::new(),
        hash: Vec::new(),
    };
    assert!(entry("aa", "{}").touches("aa"));
    assert!(entry("aa", r#"{"done_by":"bb"}"#).touches("bb"));
    assert!(entry("aa", r#"{"runs":[["x","bb"]]}"#).touches("bb"));
    assert!(!entry("aa", r#"{"step":"xbbx"}"#).touches("bb"));
    assert!(!entry("aa", r#"{"bb":1}"#).touches("bb"));
    assert!(!entry("aa", "bb").touches("bb"));
}

proptest! {
    #[test]
    fn any_change_of_any_entry_is_found_at_its_place(at in 0usize..9, field in 0usize..7, byte in 0u8..128) {
        let target = ledger(9);
        let mut entry = log(&target).swap_remove(at);
        let seq = entry.seq;
        match field {
            0 => entry.at.push(byte.into()),
            1 => entry.actor.insert(0, byte.into()),
            2 => entry.action.push(byte.into()),
            3 => entry.object.push(byte.into()),
            4 => entry.detail.push(byte.into()),
            5 => entry.previous.push(byte),
            _ => entry.hash[usize::from(byte) % 32] ^= byte | 1,
        }
        put(&target, &[entry]);
        let found = faults(&target);
        prop_assert_eq!(&found[0], &format!("{seq} Changed"));
    }
}
