//! Limits of a run: rules and rejects with a maximum, the deadline, the maintenance window, large
//! files, and the question before it begins.

use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use expect_test::{Expect, expect};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

use crate::project::{Ended, PEOPLE, Project, Started, eventually, people};

/// [`PEOPLE`] with more at the end of the plan, and one record in each of 20 files; every fourth
/// name is longer than three characters, every fifth number is none.
fn some_bad(more: &str) -> Project {
    let project = Project::new(&format!("{PEOPLE}{more}"));
    for number in 1..=20 {
        let id = if number % 5 == 0 { "x".to_owned() } else { number.to_string() };
        let name = if number % 4 == 0 { "Beatrix" } else { "Ann" };
        project.write(&format!("data/{number:02}.csv"), format!("id,name\n{id},{name}\n"));
    }
    project
}

const RULE: &str = r#"
[[table.rule]]
name = "short names"
cel = "size(new.name) <= 3"
"#;

/// Stops at its limit with these words when that many records are read; with the limit raised the
/// same command finishes as if there had been none.
fn check_limit(project: &Project, limit: (&str, &str), code: &str, read: i64, expected: Expect) {
    let stopped = project.run(&["migrate", "--batch-size", "1"]);
    stopped.check(7, expected);
    assert_eq!(project.value::<i64>("SELECT sum(read) FROM whimbrel_migration_batches"), read);
    let again = project.run(&["migrate", "--batch-size", "1", "--format", "json"]);
    let answer = again.json();
    assert_eq!((again.code, &answer["retryable"]), (Some(7), &false.into()), "{answer}");
    assert_eq!(answer["error"], code, "{answer}");
    project.replan(limit.0, limit.1);
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_rule_that_is_broken_too_often_stops_the_run() {
    let project = some_bad(&format!("{RULE}max = 2\n"));
    check_limit(
        &project,
        ("max = 2", "max = 5"),
        "WB0717",
        12,
        expect![[r#"
        Run RUN stopped at a checkpoint: the rule `short names` of `people` was broken more often than its `max` allows.
        Next: whimbrel report shows where; raise `max` and run the same command again; where the plan is mended too, with `--adopt`.
    "#]],
    );
}

#[test]
fn a_rule_that_is_mended_after_its_limit_is_adopted() {
    let project = some_bad(&format!("{RULE}max = 2\n"));
    assert_eq!(project.run(&["migrate", "--batch-size", "1"]).code, Some(7));
    project.replan("<= 3", "<= 7");
    assert_eq!(project.run(&["migrate"]).code, Some(6), "another mapping than before");
    let adopted = project.run(&["migrate", "--adopt"]);
    assert_eq!(adopted.code, Some(7), "what the old rule refused is still too much");
    project.replan("max = 2", "max = 5");
    project.finish(&["--adopt"]);
    project.holds();
    // What was rejected by the old rule stays rejected, to be retried or waived.
    let by_rule = "SELECT count(*) FROM whimbrel_migration_rejects WHERE rule = 'short names'";
    assert_eq!(project.value::<i64>(by_rule), 3);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 13);
}

#[test]
fn a_rule_that_only_warns_stops_the_run_too_where_it_has_a_limit() {
    let project = some_bad(&format!("{RULE}severity = \"warn\"\nmax = 1\n"));
    check_limit(
        &project,
        ("max = 1", "max = 5"),
        "WB0717",
        8,
        expect![[r#"
        Run RUN stopped at a checkpoint: the rule `short names` of `people` was broken more often than its `max` allows.
        Next: whimbrel report shows where; raise `max` and run the same command again; where the plan is mended too, with `--adopt`.
    "#]],
    );
}

#[test]
fn too_many_rejects_stop_the_run() {
    let project = some_bad("\n[rejects]\nmax = 1\n");
    check_limit(
        &project,
        ("max = 1", "max = 4"),
        "WB0715",
        10,
        expect![[r#"
        Run RUN stopped at a checkpoint: more rejects than `[rejects] max` allows.
        Next: whimbrel rejects list shows why; raise `max` and run the same command again; where the plan is mended too, with `--adopt`.
    "#]],
    );
}

#[test]
fn too_large_a_part_of_rejects_stops_the_run() {
    let project = some_bad("\n[rejects]\nmax = \"10%\"\nafter = 8\n");
    check_limit(
        &project,
        ("10%", "20%"),
        "WB0715",
        8,
        expect![[r#"
        Run RUN stopped at a checkpoint: more rejects than `[rejects] max` allows.
        Next: whimbrel rejects list shows why; raise `max` and run the same command again; where the plan is mended too, with `--adopt`.
    "#]],
    );
}

#[test]
fn a_deadline_stops_the_run_at_a_checkpoint_and_the_same_command_resumes_it() {
    let project = Project::of_one_file(9_000);
    let wanted = project.undisturbed();
    let stopped = project.run(&["migrate", "--batch-size", "2000", "--deadline", "1ms"]);
    stopped.check(
        75,
        expect![[r#"
        Run RUN stopped at a checkpoint: the deadline has passed.
        Next: the same command resumes it.
    "#]],
    );
    let committed: i64 = project.value("SELECT count(*) FROM people");
    assert!((1..9_000).contains(&committed), "{committed}");
    let answer = project
        .run(&["migrate", "--batch-size", "2000", "--deadline", "1ms", "--format", "json"])
        .json();
    assert_eq!((&answer["exit_code"], &answer["retryable"]), (&75.into(), &true.into()));
    assert_eq!(answer["error"], "WB0713", "{answer}");
    assert!(
        project.value::<i64>("SELECT count(*) FROM people") > committed,
        "each attempt gets on"
    );
    project.finish(&[]);
    assert_eq!(project.holds(), wanted);
}

#[test]
fn a_limit_that_is_not_understood_is_said_so() {
    let project = Project::of_one_file(3);
    let refused = project.run(&["migrate", "--deadline", "soon", "--format", "json"]);
    refused.refused(
        2,
        expect![[r#"
        error[WB0706]: `--deadline` is no time: `soon`
          hint: write `90s`, `30m` or `2h`
          more: whimbrel explain WB0706
    "#]],
    );
    let refused = project.run(&["migrate", "--max-file-size", "large", "--format", "json"]);
    refused.refused(
        2,
        expect![[r#"
        error[WB0706]: `--max-file-size` is no size: `large`
          hint: write `500KB`, `50MB` or `2GiB`
          more: whimbrel explain WB0706
    "#]],
    );
    assert!(!project.path("people.db").exists(), "nothing was written");
}

#[test]
fn the_plans_deadline_holds_where_the_command_line_says_none() {
    let project = Project::of_one_file(9_000);
    let wanted = project.undisturbed();
    project.write(
        "whimbrel.toml",
        format!("{PEOPLE}\n[run]\ndeadline = \"1ms\"\nbatch_size = 2000\n"),
    );
    assert_eq!(project.run(&["migrate"]).code, Some(75));
    assert_eq!(project.run(&["migrate", "--deadline", "1h"]).code, Some(0));
    assert_eq!(project.holds(), wanted);
}

/// A zone in which it is `clock` (hours, minutes, seconds) now: windows open and close to the
/// minute, and nobody wants to wait for one.
fn zone(project: &Project, clock: (i64, i64, i64)) {
    let wanted = clock.0 * 3600 + clock.1 * 60 + clock.2;
    let utc = now().as_secs() as i64 % 86_400;
    let offset = (wanted - utc + 43_200).rem_euclid(86_400) - 43_200;
    project.write("zones/Test/Clock", time_zone(offset));
}

/// Since 1970.
fn now() -> Duration {
    #[allow(clippy::disallowed_methods)] // the clock of a person who watches
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// A time zone file (RFC 8536) of a zone that never changes.
fn time_zone(offset: i64) -> Vec<u8> {
    let mut file = Vec::new();
    for _version in 0..2 {
        file.extend(b"TZif2");
        file.extend([0; 15]);
        // No leap seconds, no transitions; one type, four bytes of names.
        [0u32, 0, 0, 0, 1, 4].iter().for_each(|count| file.extend(count.to_be_bytes()));
        file.extend((offset as i32).to_be_bytes());
        file.extend([0, 0]);
        file.extend(b"TST\0");
    }
    // West is positive there.
    let (sign, east) = if offset < 0 { ("", -offset) } else { ("-", offset) };
    let (hours, minutes, seconds) = (east / 3600, east / 60 % 60, east % 60);
    file.extend(format!("\nTST{sign}{hours:02}:{minutes:02}:{seconds:02}\n").bytes());
    file
}

const WINDOW: &str = "\n[window]\nopen = \"02:00\"\nclose = \"04:00\"\n";

/// People with a window from two to four, in a zone where it is `clock`.
fn with_window(clock: (i64, i64, i64), outside: &str) -> Project {
    let project = Project::of_many_files(60);
    let plan = PEOPLE.replacen('\n', "\ntimezone = \"Test/Clock\"\n", 1);
    project.write("whimbrel.toml", format!("{plan}{WINDOW}outside = \"{outside}\"\n"));
    zone(&project, clock);
    project
}

fn run(project: &Project, arguments: &[&str]) -> Ended {
    let mut command = project.command(arguments);
    command.env("TZDIR", project.path("zones"));
    Ended::of(command)
}

fn start(project: &Project, arguments: &[&str]) -> Started {
    let mut command = project.command(&[arguments, &["--format", "jsonl"]].concat());
    command.env("TZDIR", project.path("zones"));
    Started::of(command, project)
}

#[test]
fn outside_the_window_a_run_is_refused_and_writes_nothing() {
    let project = with_window((4, 0, 0), "refuse");
    let refused = run(&project, &["migrate", "--format", "json"]);
    refused.refused(
        75,
        expect![[r#"
        error[WB0619]: the maintenance window is closed until 02:00 in Test/Clock (TIME)
          hint: `[window] outside = "wait"` in the plan waits for the opening
          more: whimbrel explain WB0619
    "#]],
    );
    assert!(!project.path("people.db").exists());
    zone(&project, (2, 0, 0));
    assert_eq!(run(&project, &["migrate"]).code, Some(3));
}

#[test]
fn outside_the_window_a_run_waits_and_begins_when_it_opens() {
    let project = with_window((1, 59, 57), "wait");
    let mut run = start(&project, &["migrate"]);
    let waiting = run.until("waiting");
    assert!(waiting["seconds"].as_u64().unwrap() <= 3, "{waiting}");
    assert!(!project.path("people.db").exists(), "nothing is written before the window opens");
    run.until("run_started");
    assert_eq!(run.end().code, Some(3));
}

#[test]
fn a_window_that_closes_stops_the_run_at_a_checkpoint() {
    let project = with_window((3, 59, 54), "refuse");
    let mut run = start(&project, &["migrate", "--batch-size", "1"]);
    run.until("checkpoint");
    // Held up by nobody listening, it is still in the middle when the window closes.
    let closes = now() + Duration::from_secs(7);
    eventually("the window has closed", || now() > closes);
    let stopped = run.end();
    assert_eq!(stopped.code, Some(75), "{stopped:?}");
    assert_eq!(stopped.json()["data"]["reason"], "the maintenance window has closed");
    assert_eq!(stopped.json()["error"], "WB0714");
    zone(&project, (2, 0, 0));
    assert_eq!(self::run(&project, &["migrate"]).code, Some(3));
    assert_eq!(project.holds(), Project::of_many_files(60).undisturbed());
}

#[test]
fn a_run_that_waits_for_its_window_hears_signals() {
    let project = with_window((4, 0, 0), "wait");
    let stopped_by = |signal| {
        let mut run = start(&project, &["migrate"]);
        run.until("waiting");
        run.signal(signal);
        run.end()
    };
    stopped_by(Signal::INT).refused(
        130,
        expect![[r#"
        error[WB0625]: stopped while waiting for the maintenance window
          hint: the same command waits again
          more: whimbrel explain WB0625
    "#]],
    );
    stopped_by(Signal::TERM).refused(
        143,
        expect![[r#"
        error[WB0625]: stopped while waiting for the maintenance window
          hint: the same command waits again
          more: whimbrel explain WB0625
    "#]],
    );
    assert!(!project.path("people.db").exists());
}

/// One file above 1 kB between two small ones.
fn with_a_large_file() -> Project {
    let project = Project::new(PEOPLE);
    project.write("data/a.csv", people(0..3));
    project.write("data/b.csv", people(3..303));
    project.write("data/c.csv", people(303..306));
    project
}

fn accounts(project: &Project) -> String {
    project.value(
        "SELECT group_concat(source_file || ' ' || read || ' ' || loaded || ' ' || rejected || ' ' || filtered, ', ')
         FROM whimbrel_migration_items",
    )
}

#[test]
fn a_file_above_the_limit_is_left_out_and_counted() {
    let project = with_a_large_file();
    project.run(&["migrate", "--max-file-size", "1kB"]).check(
        0,
        expect![[r#"
        Run RUN is complete.
          people: read 7 = loaded 6 + filtered 1
        Next: whimbrel report RUN
    "#]],
    );
    let said = project.twin();
    said.finish(&["--max-file-size", "1kB", "--large-files", "skip"]);
    assert_eq!(project.holds(), said.holds());
    assert_eq!(accounts(&project), "data/a.csv 3 3 0 0, data/b.csv 1 0 0 1, data/c.csv 3 3 0 0");
}

#[test]
fn a_file_above_the_limit_is_rejected_where_that_is_asked_for() {
    let project = with_a_large_file();
    let rejecting = &["--max-file-size", "1kB", "--large-files", "reject"];
    project.run(&[&["migrate"], &rejecting[..]].concat()).check(
        3,
        expect![[r#"
            Run RUN is complete.
              people: read 7 = loaded 6 + rejected 1
            ! 1 reject for you to look at: whimbrel rejects list --run RUN
            Next: whimbrel report RUN
        "#]],
    );
    project.holds();
    assert_eq!(accounts(&project), "data/a.csv 3 3 0 0, data/b.csv 1 0 1 0, data/c.csv 3 3 0 0");
    project.run(&["rejects", "list"]).check(0, expect![[r#"
                1  WB0607  `people` record
                   first data/b.csv: 2500 bytes, over the limit of 1000
        1 reject. Next: whimbrel rejects show TABLE.UNIT
              to mend them: whimbrel rejects export FOLDER, edit, whimbrel rejects retry --from FOLDER
    "#]]);
}

#[test]
fn a_file_above_the_limit_is_read_where_that_is_asked_for() {
    let project = with_a_large_file();
    project.finish(&["--max-file-size", "1kB", "--large-files", "handle"]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn the_plan_says_what_becomes_of_large_files_too() {
    let project = with_a_large_file();
    let limit = "csv = \"data/*.csv\"\nmax_file_size = \"1kB\"\nlarge_files = \"reject\"";
    project.replan("csv = \"data/*.csv\"", limit);
    assert_eq!(project.finish(&[]).code, Some(3));
    assert_eq!(accounts(&project), "data/a.csv 3 3 0 0, data/b.csv 1 0 1 0, data/c.csv 3 3 0 0");
    let project = project.twin();
    assert_eq!(project.finish(&["--large-files", "skip"]).code, Some(0), "the command line wins");
    assert_eq!(accounts(&project), "data/a.csv 3 3 0 0, data/b.csv 1 0 0 1, data/c.csv 3 3 0 0");
}

#[test]
fn a_file_that_was_left_out_can_be_taken_later() {
    let project = with_a_large_file();
    project.finish(&["--max-file-size", "1kB"]);
    project.run(&["check-incremental"]).check(
        5,
        expect![[r#"
        new       data/b.csv
        1 file to take since run RUN.
        Next: whimbrel migrate --incremental
    "#]],
    );
    project.finish(&["--incremental"]);
    project.holds();
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 306);
    assert_eq!(project.run(&["migrate"]).code, Some(0), "nothing to do");
}

#[test]
fn a_file_that_was_rejected_for_its_size_is_taken_when_the_limit_is_raised() {
    let project = with_a_large_file();
    let rejecting = ["--max-file-size", "1kB", "--large-files", "reject"];
    assert_eq!(project.finish(&rejecting).code, Some(3));
    let again = project.run(&[&["migrate"], &rejecting[..]].concat());
    assert_eq!(again.code, Some(0), "the limit is the same, there is nothing to do");
    let raised = ["--max-file-size", "1MB", "--large-files", "reject", "--incremental"];
    assert_eq!(project.finish(&raised).code, Some(0));
    project.holds();
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 306);
}

#[test]
fn an_unfinished_run_goes_on_with_the_options_it_began_with() {
    let project = with_a_large_file();
    let wanted = {
        let twin = project.twin();
        twin.finish(&["--max-file-size", "1kB"]);
        twin.holds()
    };
    let begun = ["migrate", "--max-file-size", "1kB", "--deadline", "1ms", "--batch-size", "1"];
    assert_eq!(project.run(&begun).code, Some(75));
    let refused = project.run(&["migrate", "--max-file-size", "2kB", "--format", "json"]);
    refused.refused(6, expect![[r#"
        error[WB0617]: run `RUN` is unfinished and was started with other options: it has `--max-file-size 1000`, you gave `--max-file-size 2000`
          hint: leave the options out to go on with that run
          more: whimbrel explain WB0617
    "#]]);
    project.finish(&[]);
    assert_eq!(project.holds(), wanted);
}

#[test]
fn a_plan_of_much_data_looks_at_a_part_of_it() {
    let project = Project::of_one_file(20_000);
    project.replan("key = ", "existing = \"update\"\nkey = ");
    let looked = project.run(&["plan"]);
    assert!(looked.stdout.contains("records looked at"), "{}", looked.stdout);
    let looked = project.run(&["migrate", "--dry-run"]);
    assert!(looked.stdout.contains("20,000 read: 20,000 to load"), "{}", looked.stdout);
    assert!(!project.path("people.db").exists(), "nothing was written");
}

#[test]
fn fewer_threads_and_smaller_batches_load_the_same() {
    let project = Project::of_many_files(30);
    project.finish(&["--workers", "1", "--batch-size", "7"]);
    assert_eq!(project.holds(), project.undisturbed());
}

/// A terminal on which these characters have been typed: both of its ends.
fn terminal(typed: &str) -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let theirs = ioctl_tiocgptpeer(&ours, OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    rustix::io::write(&ours, typed.as_bytes()).unwrap();
    (ours, theirs)
}

fn at_a_terminal(project: &Project, arguments: &[&str], typed: &str) -> Ended {
    let (_ours, theirs) = terminal(typed);
    let mut command = project.command(arguments);
    command.stdin(theirs);
    Ended::of(command)
}

#[test]
fn a_person_at_a_terminal_is_asked_and_nobody_else() {
    let project = Project::of_one_file(3);
    at_a_terminal(&project, &["migrate"], "n\n").check(
        2,
        expect![[r#"
        Load `people` into sqlite:people.db? [y/N] error[WB0728]: not confirmed; nothing was written
          hint: `--yes` does not ask
          more: whimbrel explain WB0728
    "#]],
    );
    for typed in ["\n", "\u{4}", "what?\n"] {
        let answered = at_a_terminal(&project, &["migrate"], typed);
        assert_eq!(answered.code, Some(2), "{typed:?}: {answered:?}");
    }
    assert!(!project.path("people.db").exists(), "nothing was written");
    let answered = at_a_terminal(&project, &["migrate"], "y\n");
    assert_eq!(answered.code, Some(0), "{answered:?}");
    assert_eq!(answered.stderr, "Load `people` into sqlite:people.db? [y/N] ");
    assert_eq!(project.holds(), project.undisturbed());
    let project = project.twin();
    let answered = at_a_terminal(&project, &["migrate", "--yes"], "");
    assert_eq!((answered.code, answered.stderr.as_str()), (Some(0), ""));
    let answered = project.twin().run(&["migrate"]);
    assert_eq!((answered.code, answered.stderr.as_str()), (Some(0), ""), "there is no terminal");
}

#[test]
fn ctrl_c_at_the_question_ends_it() {
    let project = Project::of_one_file(3);
    let (_ours, theirs) = terminal("");
    let mut command = project.command(&["migrate"]);
    command.stdin(theirs);
    let run = Started::of(command, &project);
    eventually("it asks", || project.read("stderr.txt").contains("[y/N]"));
    run.signal(Signal::INT);
    let ended = run.end();
    assert_eq!((ended.code, ended.signal), (None, Some(Signal::INT.as_raw())), "{ended:?}");
    assert!(!project.path("people.db").exists());
}
