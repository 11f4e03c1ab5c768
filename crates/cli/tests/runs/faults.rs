//! What is wrong around a run: sources, plans and databases that are missing, damaged, locked,
//! full, or change under it. Each ends with its words and its exit code, and once it is mended the
//! same command finishes.
//!
//! Some need the right to mount file systems, others to become an ordinary user; where that is
//! missing the test says so, captured or not.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use expect_test::{Expect, expect};

use crate::project::{Ended, PEOPLE, Project, people};

/// `migrate` is refused with these words; nothing is written. Mended, it finishes.
fn check_mended(project: &Project, code: i32, expected: Expect, mend: impl FnOnce()) {
    project.run(&["migrate", "--format", "json"]).refused(code, expected);
    assert!(!project.path("people.db").exists(), "nothing was written");
    mend();
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

/// Said past the capture of tests, where `xtask test` counts it: what is skipped must be seen.
fn skipped(test: &str, reason: &str) {
    let _heard = writeln!(std::io::stdout(), "\nskipped: {test}: {reason}");
}

#[test]
fn a_folder_that_is_missing() {
    let project = Project::new(PEOPLE);
    let expected = expect![[r#"
        error[WB0132]: looking for the files of `people`
          caused by: read the folder `data/`
          caused by: No such file or directory (os error 2)
          more: whimbrel explain WB0132
    "#]];
    check_mended(&project, 2, expected, || project.write("data/people.csv", people(0..3)));
}

#[test]
fn a_folder_without_a_file_that_matches() {
    let project = Project::new(PEOPLE);
    project.write("data/people.txt", "id,name\n");
    let expected = expect![[r#"
        error[WB0612]: source `people` matches no file: `data/*.csv`
          hint: paths in a plan are relative to the plan's folder
          more: whimbrel explain WB0612
    "#]];
    check_mended(&project, 2, expected, || project.write("data/people.csv", people(0..3)));
}

#[test]
fn a_schema_folder_that_is_missing_or_empty() {
    let project = Project::of_one_file(3);
    project.replan("target =", "schema = \"schema\"\ntarget =");
    project.run(&["migrate", "--format", "json"]).refused(
        2,
        expect![[r#"
        error[WB0702]: the plan's schema folder cannot be read: `./schema`
          caused by: No such file or directory (os error 2)
          more: whimbrel explain WB0702
    "#]],
    );
    let expected = expect![[r#"
        error[WB0702]: no SQL file in the plan's schema folder: `./schema`
          hint: leave `schema` out to create tables from the mapping
          more: whimbrel explain WB0702
    "#]];
    fs::create_dir(project.path("schema")).unwrap();
    project.run(&["migrate", "--format", "json"]).refused(2, expected);
    assert!(!project.path("people.db").exists(), "nothing was written");
    let schema = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);";
    project.write("schema/tables.sql", schema);
    project.finish(&[]);
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 3);
    project.holds();
}

#[test]
fn a_link_that_leads_nowhere() {
    let project = Project::of_one_file(3);
    let link = project.path("data/more.csv");
    symlink("/no/such/file.csv", &link).unwrap();
    let expected = expect![[r#"
        error[WB0613]: `data/more.csv` cannot be read: broken link: No such file or directory (os error 2)
          hint: give the user who runs whimbrel the right to read them, or `exclude` them
          more: whimbrel explain WB0613
    "#]];
    check_mended(&project, 2, expected, || fs::remove_file(&link).unwrap());
}

#[test]
fn several_paths_that_cannot_be_read_are_listed_up_to_five() {
    let project = Project::of_one_file(3);
    let link = |name: &str| symlink("/no/such/file.csv", project.path(name)).unwrap();
    ["data/a.csv", "data/b.csv"].into_iter().for_each(link);
    Ended::of(project.command(&["migrate", "--format", "json"])).refused(
        2,
        expect![[r#"
        `data/a.csv`: broken link: No such file or directory (os error 2)

        `data/b.csv`: broken link: No such file or directory (os error 2)

        error[WB0613]: 2 matching paths cannot be read
          hint: give the user who runs whimbrel the right to read them, or `exclude` them
          more: whimbrel explain WB0613
    "#]],
    );
    ["data/c.csv", "data/d.csv", "data/e.csv", "data/f.csv", "data/g.csv"]
        .into_iter()
        .for_each(link);
    Ended::of(project.command(&["migrate", "--format", "json"])).refused(
        2,
        expect![[r#"
        `data/a.csv`: broken link: No such file or directory (os error 2)

        `data/b.csv`: broken link: No such file or directory (os error 2)

        `data/c.csv`: broken link: No such file or directory (os error 2)

        `data/d.csv`: broken link: No such file or directory (os error 2)

        `data/e.csv`: broken link: No such file or directory (os error 2)

        and 2 more paths

        error[WB0613]: 7 matching paths cannot be read
          hint: give the user who runs whimbrel the right to read them, or `exclude` them
          more: whimbrel explain WB0613
    "#]],
    );
}

#[test]
fn a_pipe_in_the_place_of_a_file() {
    let project = Project::of_one_file(3);
    let pipe = project.path("data/more.csv");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let expected = expect![[r#"
        error[WB0613]: `data/more.csv` cannot be read: it is a pipe, socket or device
          hint: give the user who runs whimbrel the right to read them, or `exclude` them
          more: whimbrel explain WB0613
    "#]];
    check_mended(&project, 2, expected, || fs::remove_file(&pipe).unwrap());
}

/// The command as a user whom permissions bind; `None` where there is no such user.
fn as_an_ordinary_user(project: &Project, arguments: &[&str]) -> Option<Command> {
    let command = project.command(arguments);
    if !rustix::process::geteuid().is_root() {
        return Some(command);
    }
    let ordinary = |arguments: &[&str]| {
        let mut ordinary = Command::new("setpriv");
        ordinary.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        ordinary.arg(command.get_program()).args(arguments);
        ordinary.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
        ordinary.env("WHIMBREL_PROGRESS", "none");
        ordinary
    };
    let works = ordinary(&["explain", "WB0613"]).output().ok()?.status.success();
    works.then(|| ordinary(arguments))
}

/// Every folder and file of a project can be read and written by anyone.
fn open_to_all(project: &Project) {
    let mut folders = vec![project.path("")];
    while let Some(folder) = folders.pop() {
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
            }
        }
    }
}

fn set(path: PathBuf, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

const NO_ORDINARY_USER: &str = "this user may open every file and cannot become another";

#[test]
fn a_file_and_a_folder_that_may_not_be_read() {
    let project = Project::of_one_file(3);
    let migrate = &["migrate", "--format", "json"];
    let Some(mut command) = as_an_ordinary_user(&project, migrate) else {
        return skipped("a_file_and_a_folder_that_may_not_be_read", NO_ORDINARY_USER);
    };
    open_to_all(&project);
    set(project.path("data/people.csv"), 0o000);
    Ended::of(command).refused(
        2,
        expect![[r#"
        error[WB0613]: `data/people.csv` cannot be read: Permission denied (os error 13)
          hint: give the user who runs whimbrel the right to read them, or `exclude` them
          more: whimbrel explain WB0613
    "#]],
    );
    set(project.path("data/people.csv"), 0o666);
    set(project.path("data"), 0o000);
    command = as_an_ordinary_user(&project, migrate).unwrap();
    Ended::of(command).refused(
        2,
        expect![[r#"
        error[WB0132]: looking for the files of `people`
          caused by: read the folder `data/`
          caused by: Permission denied (os error 13)
          more: whimbrel explain WB0132
    "#]],
    );
    set(project.path("data"), 0o777);
    assert!(!project.path("people.db").exists(), "nothing was written");
    command = as_an_ordinary_user(&project, migrate).unwrap();
    assert_eq!(Ended::of(command).code, Some(0));
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_database_and_a_folder_that_may_not_be_written() {
    let project = Project::of_one_file(3);
    let migrate = &["migrate", "--incremental", "--format", "json"];
    let Some(mut command) = as_an_ordinary_user(&project, migrate) else {
        return skipped("a_database_and_a_folder_that_may_not_be_written", NO_ORDINARY_USER);
    };
    open_to_all(&project);
    set(project.path(""), 0o555);
    Ended::of(command).refused(2, expect![[r#"
        error[WB0404]: preparing the ledger
          caused by: open the database: its folder cannot be written: Permission denied (os error 13): `./people.db`
          caused by: SQLite's result code 14
          more: whimbrel explain WB0404
    "#]]);
    assert!(!project.path("people.db").exists());
    command = as_an_ordinary_user(&project, &["validate"]).unwrap();
    let checks = Ended::of(command);
    let said = |line: &str| checks.stdout.lines().any(|said| said == line);
    assert!(
        said("FAIL  working folder       . cannot be written: Permission denied (os error 13)"),
        "{checks:?}"
    );
    set(project.path(""), 0o777);
    command = as_an_ordinary_user(&project, migrate).unwrap();
    assert_eq!(Ended::of(command).code, Some(0));
    project.write("data/more.csv", people(3..6));
    open_to_all(&project);
    set(project.path("people.db"), 0o444);
    command = as_an_ordinary_user(&project, migrate).unwrap();
    Ended::of(command).refused(
        2,
        expect![[r#"
            error[WB0405]: taking the lease
              caused by: ask for the right to write: the database is read-only: `./people.db`
              caused by: SQLite's result code 8
              more: whimbrel explain WB0405
        "#]],
    );
    set(project.path("people.db"), 0o666);
    set(project.path(""), 0o555);
    command = as_an_ordinary_user(&project, migrate).unwrap();
    Ended::of(command).refused(
        2,
        expect![[r#"
            error[WB0405]: taking the lease
              caused by: ask for the right to write: the database is read-only: `./people.db`
              caused by: SQLite's result code 1544
              more: whimbrel explain WB0405
        "#]],
    );
    set(project.path(""), 0o777);
    command = as_an_ordinary_user(&project, migrate).unwrap();
    assert_eq!(Ended::of(command).code, Some(0));
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 6);
    project.holds();
}

/// A small file system of its own; unmounted when dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(at: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(&at).stderr(Stdio::null());
        mount.status().ok()?.success().then_some(Self(at))
    }

    fn again(&self, options: &str) {
        let mut mount = Command::new("mount");
        let options = format!("remount,{options}");
        assert!(mount.args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

const NO_MOUNT: &str = "a tmpfs cannot be mounted here";

#[test]
fn a_full_disk() {
    let project = Project::of_one_file(30_000);
    let wanted = project.undisturbed();
    let Some(disk) = Mounted::new(project.path("disk"), "size=600k") else {
        return skipped("a_full_disk", NO_MOUNT);
    };
    project.replan("sqlite:people.db", "sqlite:disk/people.db");
    let full = project.run(&["migrate", "--batch-size", "2000", "--format", "json"]);
    full.refused(
        1,
        expect![[r#"
            error[WB0406]: writing to `people`
              caused by: commit: the disk is full: `./disk/people.db`
              caused by: SQLite's result code 13
              run: RUN
              hint: mend the cause, then run the same command again; what is committed stays
              more: whimbrel explain WB0406
        "#]],
    );
    disk.again("size=16m");
    project.finish(&[]);
    fs::copy(project.path("disk/people.db"), project.path("people.db")).unwrap();
    assert_eq!(project.holds(), wanted);
}

#[test]
fn a_disk_that_is_read_only() {
    let project = Project::of_one_file(3);
    let wanted = project.undisturbed();
    let Some(disk) = Mounted::new(project.path("disk"), "size=4m") else {
        return skipped("a_disk_that_is_read_only", NO_MOUNT);
    };
    project.replan("sqlite:people.db", "sqlite:disk/people.db");
    disk.again("ro");
    project.run(&["migrate", "--format", "json"]).refused(2, expect![[r#"
        error[WB0404]: preparing the ledger
          caused by: open the database: its folder cannot be written: Read-only file system (os error 30): `./disk/people.db`
          caused by: SQLite's result code 14
          more: whimbrel explain WB0404
    "#]]);
    project.run(&["validate"]).check(2, expect![[r#"
        ok    plan                 1 table from 1 source
        FAIL  target               sqlite:disk/people.db cannot be written: its folder cannot be written: Read-only file system (os error 30)
        ok    working folder       .
        1 failed check; nothing was written
    "#]]);
    disk.again("rw");
    project.finish(&[]);
    fs::copy(project.path("disk/people.db"), project.path("people.db")).unwrap();
    assert_eq!(project.holds(), wanted);
}

#[test]
fn a_target_whose_folder_is_missing() {
    let project = Project::of_one_file(3);
    project.replan("sqlite:people.db", "sqlite:no/people.db");
    project.run(&["migrate", "--format", "json"]).refused(
        2,
        expect![[r#"
            error[WB0401]: preparing the ledger
              caused by: open the database: there is no folder `./no`: `./no/people.db`
              caused by: SQLite's result code 14
              more: whimbrel explain WB0401
        "#]],
    );
    assert!(!project.path("no").exists());
}

#[test]
fn a_target_that_is_a_folder() {
    let project = Project::of_one_file(3);
    project.replan("sqlite:people.db", "sqlite:data");
    project.run(&["migrate", "--format", "json"]).refused(
        2,
        expect![[r#"
            error[WB0408]: looking for the ledger
              caused by: open the database: the target is a folder, not a file: `./data`
              caused by: SQLite's result code 14
              more: whimbrel explain WB0408
        "#]],
    );
}

#[test]
fn a_target_that_is_not_understood() {
    let project = Project::of_one_file(3);
    project.replan("sqlite:people.db", "oracle:people");
    project.run(&["migrate", "--format", "json"]).refused(
        2,
        expect![[r#"
        error[WB0400]: a target says its engine; write `sqlite:oracle:people`: `oracle:people`
          more: whimbrel explain WB0400
    "#]],
    );
}

#[test]
fn a_target_that_is_no_database() {
    let project = Project::of_one_file(3);
    let text = "id,name\n1,this is a CSV file, not a database\n".repeat(50);
    project.write("people.db", &text);
    project.run(&["migrate", "--format", "json"]).refused(
        2,
        expect![[r#"
            error[WB0402]: open the database: the file is not a SQLite database: `./people.db`
              caused by: SQLite's result code 26
              more: whimbrel explain WB0402
        "#]],
    );
    assert_eq!(project.read("people.db"), text);
    fs::remove_file(project.path("people.db")).unwrap();
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

/// Takes the write lock of the target as another program would.
fn locked(project: &Project) -> rusqlite::Connection {
    let other = project.target();
    other.busy_timeout(std::time::Duration::from_mins(1)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    other
}

#[test]
fn a_database_that_is_locked_before_the_run() {
    let project = Project::of_one_file(3);
    let lock = locked(&project);
    let refused = project.run(&["migrate", "--format", "json"]);
    refused.refused(
        75,
        expect![[r#"
            error[WB0407]: preparing the ledger
              caused by: create the ledger: the database is locked by process PID (NAME): `./people.db`
              caused by: SQLite's result code 5
              hint: let the other one finish, or end it; then run the same command again; what is committed stays
              more: whimbrel explain WB0407
        "#]],
    );
    drop(lock);
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_database_that_is_locked_for_a_while_is_tried_again() {
    let project = Project::of_many_files(120);
    let mut run = project.start(&["migrate", "--batch-size", "1"]);
    run.until("checkpoint");
    let lock = locked(&project);
    let retry = run.until("retry");
    assert_eq!(retry["attempt"], 1);
    assert!(retry["message"].as_str().unwrap().contains("the database is locked"), "{retry}");
    drop(lock);
    assert_eq!(run.end().code, Some(3));
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_database_that_stays_locked_ends_the_run_at_its_checkpoint() {
    let project = Project::of_many_files(120);
    let wanted = project.undisturbed();
    project.write("whimbrel.toml", format!("{PEOPLE}\n[run]\nretries = 1\n"));
    let mut run = project.start(&["migrate", "--batch-size", "1"]);
    run.until("checkpoint");
    let lock = locked(&project);
    let ended = run.end();
    ended.refused(75, expect![[r#"
        error[WB0407]: writing to `people`
          caused by: ask for the right to write: the database is locked by process PID (NAME): `./people.db`
          caused by: SQLite's result code 5
          run: RUN
          hint: let the other one finish, or end it; then run the same command again; what is committed stays
          more: whimbrel explain WB0407
    "#]]);
    drop(lock);
    project.finish(&[]);
    assert_eq!(project.holds(), wanted);
}

/// A run that stopped with one of several parts of its file committed.
fn unfinished() -> Project {
    let project = Project::of_one_file(9_000);
    let stopped = project.run(&["migrate", "--batch-size", "2000", "--deadline", "1ms"]);
    assert_eq!(stopped.code, Some(75), "{stopped:?}");
    project
}

#[test]
fn a_source_that_changed_between_two_attempts() {
    let project = unfinished();
    let before = project.read("data/people.csv");
    project.write("data/people.csv", before.replacen("n1\n", "n9\n", 1));
    let refused = project.run(&["migrate", "--format", "json"]);
    refused.refused(
        6,
        expect![[r#"
            error[WB0616]: `data/people.csv` changed since run `RUN` began to read it
              run: RUN
              hint: put it back as it was and run the same command again
              more: whimbrel explain WB0616
        "#]],
    );
    fs::rename(project.path("data/people.csv"), project.path("away.csv")).unwrap();
    project.write("data/other.csv", "id,name\n");
    let refused = project.run(&["migrate", "--format", "json"]);
    refused.refused(
        6,
        expect![[r#"
            error[WB0616]: `data/people.csv` changed since run `RUN` began to read it
              run: RUN
              hint: put it back as it was and run the same command again
              more: whimbrel explain WB0616
        "#]],
    );
    fs::remove_file(project.path("data/other.csv")).unwrap();
    project.write("data/people.csv", before);
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_source_that_changes_while_it_is_read() {
    let project = Project::of_one_file(120_000);
    let before = project.read("data/people.csv");
    let mut run = project.start(&["migrate", "--batch-size", "2000"]);
    run.until("checkpoint");
    // What was read already is changed; the rest of the file is still to be read.
    project.write("data/people.csv", before.replacen("n1\n", "n9\n", 1));
    run.end().refused(
        6,
        expect![[r#"
            error[WB0616]: `data/people.csv` changed since run `RUN` began to read it
              run: RUN
              hint: put it back as it was and run the same command again
              more: whimbrel explain WB0616
        "#]],
    );
    project.write("data/people.csv", before);
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_source_that_grows_while_it_is_read() {
    let project = Project::of_one_file(120_000);
    let mut run = project.start(&["migrate", "--batch-size", "2000"]);
    run.until("checkpoint");
    project.append("data/people.csv", "120000,n120000\n");
    let ended = run.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // Whether the run saw it or not: nothing is lost, and nothing comes twice.
    project.run(&["migrate", "--incremental"]);
    project.holds();
    assert_eq!(project.value::<i64>("SELECT count(*) FROM people"), 120_001);
}

#[test]
fn a_mapping_that_changed_under_an_unfinished_run() {
    let project = unfinished();
    project.replan("name = \"name\"", "name = { from = \"name\", lower = true }");
    let refused = project.run(&["migrate", "--format", "json"]);
    refused.refused(
        6,
        expect![[r#"
        error[WB0615]: the mapping of `people` changed since run `RUN` began to load it
          hint: put the mapping back, or go on with it: `whimbrel migrate --adopt`
          more: whimbrel explain WB0615
    "#]],
    );
    project.replan("name = { from = \"name\", lower = true }", "name = \"name\"");
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

#[test]
fn a_mapping_that_is_adopted_goes_on_and_stands_in_the_audit_log() {
    let project = unfinished();
    let committed: i64 = project.value("SELECT count(*) FROM people");
    project.replan("name = \"name\"", "name = { concat = [\"name\", { value = \"!\" }] }");
    project.finish(&["--adopt"]);
    project.holds();
    let old: i64 = project.value("SELECT count(*) FROM people WHERE name NOT LIKE '%!'");
    let all: i64 = project.value("SELECT count(*) FROM people");
    assert_eq!((old, all), (committed, 9_000), "what was committed stays as it was");
    let audited: String = project.value(
        "SELECT action || ' ' || detail FROM whimbrel_audit_log WHERE action = 'mapping.adopted'",
    );
    expect![[r#"mapping.adopted {"step":"load:people"}"#]].assert_eq(&audited);
}

#[test]
fn bytes_of_a_reject_that_cannot_be_kept() {
    let project = Project::new(PEOPLE);
    project.write("data/people.csv", format!("id,name\n1,Ann\nx,{}\n2,Ben\n", "y".repeat(70_000)));
    let wanted = project.undisturbed();
    project.write(".whimbrel", "in the way");
    let checks = project.run(&["validate"]);
    assert_eq!(checks.code, Some(2), "{checks:?}");
    assert!(checks.stdout.contains("./.whimbrel is in the way: it is no folder"), "{checks:?}");
    project.run(&["migrate", "--format", "json"]).refused(
        1,
        expect![[r#"
        error[WB0701]: writing to `people`
          caused by: keeping the bytes of a reject in `./.whimbrel/runs/RUN/rejects/1.2.bytes`
          caused by: Not a directory (os error 20)
          run: RUN
          hint: mend the cause, then run the same command again; what is committed stays
          more: whimbrel explain WB0701
    "#]],
    );
    fs::remove_file(project.path(".whimbrel")).unwrap();
    project.finish(&[]);
    assert_eq!(project.holds(), wanted);
}

#[test]
fn accounts_that_do_not_balance_end_the_run_as_failed() {
    let project = unfinished();
    let damage = "UPDATE whimbrel_migration_items SET read = read + 1, loaded = loaded + 1";
    project.target().execute(damage, []).unwrap();
    project.run(&["migrate", "--format", "json"]).refused(1, expect![[r#"
        error[WB0618]: the accounts of `people` do not balance: files hold 9001 units, batches 9000, 0 unfinished
          run: RUN
          more: whimbrel explain WB0618
    "#]]);
    let status = project.run(&["status", "--format", "json"]).json();
    assert_eq!(status["data"]["status"], "failed");
}

#[test]
fn a_damaged_archive() {
    let project = Project::new(PEOPLE);
    project.write("data/people.csv.gz", &WHOLE_ARCHIVE[..20]);
    project.replan("data/*.csv", "data/*.csv.gz");
    project.run(&["migrate", "--format", "json"]).refused(
        1,
        expect![[r#"
        error[WB0136]: reading `data/people.csv.gz`
          caused by: unpack the file at byte 9 of its text: `data/people.csv.gz`
          caused by: the archive breaks off
          run: RUN
          hint: mend the cause, then run the same command again; what is committed stays
          more: whimbrel explain WB0136
    "#]],
    );
    project.write("data/people.csv.gz", WHOLE_ARCHIVE);
    project.finish(&[]);
    assert_eq!(project.holds(), project.undisturbed());
}

/// `people(0..3)`, compressed.
const WHOLE_ARCHIVE: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcbL\xd1\xc9K\xccM\xe52\xd0\xc93\xe02\xd4\xc93\xe42\xd2\xc93\xe2\
      \x02\x00\xd3\xc2\xaac\x17\x00\x00\x00";

/// The command with the `nth` flush to the medium failing, as it does where a disk gives up;
/// `None` where processes cannot be traced.
fn with_a_failing_flush(project: &Project, nth: usize) -> Option<Ended> {
    let command = project.command(&["migrate", "--format", "json"]);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o"]).arg(project.path("trace.txt"));
    traced.args(["-e", "trace=fsync,fdatasync", "-e"]);
    traced.arg(format!("inject=fsync,fdatasync:error=EIO:when={nth}"));
    traced.arg(command.get_program()).args(command.get_args());
    traced.current_dir(command.get_current_dir().unwrap()).stdin(Stdio::null());
    traced.env("WHIMBREL_PROGRESS", "none");
    let output = traced.output().ok()?;
    let traces = output.status.success() || !output.stdout.is_empty();
    traces.then(|| Ended::from(output))
}

#[test]
fn a_medium_that_fails_once_at_any_flush() {
    let project = Project::of_many_files(10);
    let wanted = project.undisturbed();
    let mut codes = BTreeSet::new();
    for nth in (1..40).step_by(3) {
        let project = project.twin();
        let Some(failed) = with_a_failing_flush(&project, nth) else {
            return skipped(
                "a_medium_that_fails_once_at_any_flush",
                "processes cannot be traced here",
            );
        };
        let answer = failed.json();
        match failed.code {
            // A folder that is not flushed is not worth a failure to SQLite.
            Some(3) => {}
            Some(1 | 75) => {
                codes.insert(answer["error"].as_str().unwrap().to_owned());
            }
            Some(_) | None => panic!("flush {nth}: {failed:?}"),
        }
        project.finish(&[]);
        assert_eq!(project.holds(), wanted, "after a failure at flush {nth}");
    }
    // Where the answer to a commit is lost (WB0441), the run looks and goes on by itself.
    assert_eq!(codes.into_iter().collect::<Vec<_>>(), ["WB0409"]);
}
