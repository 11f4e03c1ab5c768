//! Signals, kills, two runs at once, and outputs that nobody reads.

use expect_test::expect;
use rustix::process::Signal;
use serde_json::Value as Json;

use crate::project::{Project, Started, eventually};

/// `migrate` in small batches, some of them committed; it cannot be done before it is listened to.
fn under_way(project: &Project) -> Started {
    let mut run = project.start(&["migrate", "--batch-size", "1"]);
    for _some in 0..5 {
        run.until("checkpoint");
    }
    run
}

fn stopped_by(signal: Signal, code: i32, why: &str) {
    let project = Project::of_many_files(200);
    let run = under_way(&project);
    run.signal(signal);
    let ended = run.end();
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let answer = ended.json();
    assert_eq!((&answer["exit_code"], &answer["retryable"]), (&code.into(), &true.into()));
    assert_eq!((&answer["data"]["reason"], &answer["error"]), (&why.into(), &"WB0712".into()));
    let committed: i64 = project.value("SELECT count(*) FROM people");
    assert!((1..600).contains(&committed), "stopped in the middle: {committed}");
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn ctrl_c_saves_a_checkpoint_and_the_same_command_finishes() {
    stopped_by(Signal::INT, 130, "interrupted");
}

#[test]
fn sigterm_saves_a_checkpoint_and_the_same_command_finishes() {
    stopped_by(Signal::TERM, 143, "terminated");
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let project = Project::of_many_files(120);
        let mut run = under_way(&project);
        // It cannot go on by itself: nobody reads what it says.
        eventually("the process heard two signals", || {
            run.signal(signal);
            run.is_gone()
        });
        assert_eq!(run.end().code, Some(code));
        project.finish(&[]);
        assert_eq!(project.holds(), project.undisturbed());
    }
}

#[test]
fn two_runs_at_once_are_one_run_and_a_refusal() {
    let project = Project::of_many_files(120);
    let mut first = under_way(&project);
    let second = loop {
        let second = project.run(&["migrate", "--format", "json"]);
        // The first may be held up in the middle of a transaction; then it is let go on a little.
        if second.code != Some(75) {
            break second;
        }
        first.until("checkpoint");
    };
    assert!(second.stderr.contains(&format!("(pid {})", first.pid())), "{second:?}");
    second.refused(
        11,
        expect![[r#"
            error[WB0614]: run `RUN` on host `HOST` (pid PID) holds the target
              hint: wait until that run is done; if its process is dead, its right ends in SOME s
              more: whimbrel explain WB0614
        "#]],
    );
    assert_eq!(first.end().code, Some(3));
    assert_eq!(project.holds(), project.undisturbed());
}

/// The report of the newest run without what may differ: circumstances, and digests, which are
/// keyed by the first run of each target.
fn outcome(project: &Project) -> Json {
    let mut report = project.run(&["report", "--form", "json"]).json();
    let mut outcome = report["outcome"].take();
    without_digests(&mut outcome);
    outcome
}

fn without_digests(value: &mut Json) {
    match value {
        Json::Object(members) => {
            members.remove("digests");
            members.values_mut().for_each(without_digests);
        }
        Json::Array(elements) => elements.iter_mut().for_each(without_digests),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

#[test]
fn a_run_that_was_killed_and_resumed_reports_the_same() {
    let project = Project::of_many_files(120);
    let run = under_way(&project);
    run.signal(Signal::KILL);
    assert_eq!(run.end().signal, Some(9));
    let status = project.run(&["status", "--format", "json"]).json();
    assert_eq!(status["data"]["status"], "running", "nobody could say otherwise");
    project.finish(&[]);
    let twin = project.twin();
    twin.finish(&[]);
    assert_eq!(project.holds(), twin.holds());
    let (killed, undisturbed) = (outcome(&project), outcome(&twin));
    assert_eq!(killed["units"]["read"]["count"], 360, "{killed}");
    assert_eq!(killed, undisturbed);
}

#[test]
fn nobody_listening_does_not_stop_a_run() {
    let project = Project::of_many_files(120);
    let mut command = project.command(&["migrate", "--format", "jsonl", "--progress", "json"]);
    let (out, written) = std::io::pipe().unwrap();
    let (err, said) = std::io::pipe().unwrap();
    let mut child = command.stdout(written).stderr(said).spawn().unwrap();
    drop((command, out, err));
    assert_eq!(child.wait().unwrap().code(), Some(3));
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_run_can_be_looked_at_while_it_works() {
    let project = Project::of_many_files(120);
    let run = under_way(&project);
    let status = project.run(&["status", "--format", "json"]).json();
    assert_eq!((&status["success"], &status["data"]["status"]), (&true.into(), &"running".into()));
    for arguments in [&["history"][..], &["report"], &["rejects", "list"]] {
        let looked = project.run(arguments);
        assert_eq!(looked.code, Some(0), "{arguments:?}: {looked:?}");
    }
    assert_eq!(run.end().code, Some(3));
    assert_eq!(project.holds(), project.undisturbed());
}
