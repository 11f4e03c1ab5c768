//! What goes wrong around a database, for real: each ends with its class, its code and its words.
//!
//! Some need the right to mount file systems, others need not to be root; where that is missing the
//! test prints that it was skipped, and why.

#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

mod place;

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use place::{Place, lease, told, write};
use whimbrel_endpoint::{EndpointError, ErrorClass, Query, RowFate, Target};
use whimbrel_model::ValueRef as V;

fn check(error: &EndpointError, class: ErrorClass, code: &str, words: &str) {
    let (found, found_code, text) = told(error);
    assert_eq!((found, found_code), (class, code), "{text}");
    assert!(text.contains(words), "{text}");
    assert!(whimbrel_sql::CODES.iter().any(|(known, _, _)| *known == code), "{code} is explained");
}

/// Said past the capture of tests, where `xtask test` counts it: what is skipped must be seen.
fn skipped(test: &str, reason: &str) {
    let _heard = writeln!(std::io::stdout(), "\nskipped: {test}: {reason}");
}

#[tokio::test]
async fn a_file_that_is_no_database() {
    let place = Place::new();
    std::fs::write(place.file(), "id,name\n1,this is a CSV file, not a database\n".repeat(50))
        .unwrap();
    let target = place.target().await;
    let words = "the file is not a SQLite database";
    for error in [
        target.facts().await.unwrap_err(),
        target.prepare_ledger().await.unwrap_err(),
        target.describe("t").await.unwrap_err(),
        target.has_ledger().await.unwrap_err(),
    ] {
        check(&error, ErrorClass::Configuration, "WB0402", words);
    }
    assert!(std::fs::read_to_string(place.file()).unwrap().starts_with("id,name"));
}

#[tokio::test]
async fn a_folder() {
    let place = Place::new();
    std::fs::create_dir(place.file()).unwrap();
    let target = place.target().await;
    assert!(target.facts().await.unwrap().read_only.unwrap().contains("folder"));
    let error = target.prepare_ledger().await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0408", "the target is a folder");
    let error = target.describe("t").await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0408", "the target is a folder");
}

#[tokio::test]
async fn a_folder_that_is_missing() {
    let place = Place::new();
    let target = place.target_at("no/such/folder/target.db").await;
    let facts = target.facts().await.unwrap();
    assert!(!facts.exists);
    assert!(facts.read_only.unwrap().contains("there is no folder"));
    let error = target.prepare_ledger().await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0401", "there is no folder");
    assert!(!place.folder.join("no").exists());
}

#[tokio::test]
async fn a_database_that_is_missing() {
    let place = Place::new();
    let target = place.target().await;
    let facts = target.facts().await.unwrap();
    assert_eq!((facts.exists, facts.read_only, facts.size_bytes), (false, None, None));
    assert!(facts.free_bytes.is_some_and(|bytes| bytes > 0));
    assert_eq!(facts.location, "sqlite:target.db");
    assert_eq!(target.describe("t").await.unwrap(), None);
    let error = target.select(&Query::table("t", &["a"])).await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0401", "does not exist");
    let error = target.begin(whimbrel_endpoint::Fence(1)).await.err().unwrap();
    check(&error, ErrorClass::Configuration, "WB0401", "does not exist");
    assert!(!place.file().exists());
}

#[tokio::test]
async fn a_damaged_database() {
    let place = Place::new();
    let (target, _) = place
        .ready(
            "CREATE TABLE t (a TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
             INSERT INTO t SELECT printf('%0200d', i) FROM n;",
        )
        .await;
    drop(target);
    let mut bytes = std::fs::read(place.file()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 16_384].fill(0x5a);
    std::fs::write(place.file(), bytes).unwrap();
    let target = place.target().await;
    let error = target.select(&Query::table("t", &["a"])).await.unwrap_err();
    check(&error, ErrorClass::System, "WB0403", "the database is damaged");
}

#[tokio::test]
async fn a_lock_of_another_process_is_named() {
    let place = Place::new();
    let (target, fence) = place.ready("CREATE TABLE t (id INTEGER PRIMARY KEY)").await;
    let mut child = child("hold_a_lock", &place.file())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("locked")));
    let error = target.begin(fence).await.err().unwrap();
    check(&error, ErrorClass::Transient, "WB0407", "the database is locked by");
    #[cfg(target_os = "linux")]
    check(&error, ErrorClass::Transient, "WB0407", &format!("process {}", child.id()));
    let error = target.lease(&request()).await.unwrap_err();
    check(&error, ErrorClass::Transient, "WB0407", "the database is locked");
    writeln!(child.stdin.take().unwrap(), "enough").unwrap();
    assert!(child.wait().unwrap().success());
    target.begin(fence).await.unwrap().commit().await.unwrap();
}

fn request() -> whimbrel_endpoint::LeaseRequest {
    whimbrel_endpoint::LeaseRequest {
        holder: whimbrel_endpoint::contract::holder("run"),
        ttl: std::time::Duration::from_mins(1),
        renew: None,
        dead: None,
    }
}

/// This test binary once more, as another process that does `what` to a database.
fn child(what: &str, database: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", what, "--nocapture"]).env("WHIMBREL_TEST_DATABASE", database);
    command
}

/// Not a test of its own: what `a_lock_of_another_process_is_named` starts.
#[test]
#[allow(clippy::print_stdout)]
fn hold_a_lock() {
    let Some(database) = std::env::var_os("WHIMBREL_TEST_DATABASE") else { return };
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    println!("locked");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Fills the database until that fails; the error, and how many rows were committed.
async fn fill(target: &dyn Target) -> (EndpointError, i64) {
    let fence = lease(target).await;
    let table = place::described(target, "t").await;
    let text = "x".repeat(1_000);
    let mut committed = 0;
    loop {
        let mut txn = target.begin(fence).await.unwrap();
        for chunk in 0..20i64 {
            let rows: Vec<[V<'_>; 2]> = (0..10)
                .map(|row| [V::Int((committed + chunk * 10 + row).into()), V::Text(&text)])
                .collect();
            let rows: Vec<&[V<'_>]> = rows.iter().map(<[V<'_>; 2]>::as_slice).collect();
            let written = txn
                .write(&table, place::chunk(&rows).into(), whimbrel_endpoint::WriteMode::Insert)
                .await;
            if let Err(error) = written {
                return (error, committed);
            }
        }
        if let Err(error) = txn.commit().await {
            return (error, committed);
        }
        committed += 200;
        assert!(committed < 100_000, "the disk was not full after all");
    }
}

async fn committed(target: &dyn Target) -> i64 {
    place::all(target, "t", &["id"]).await.len() as i64
}

const T: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)";

#[tokio::test]
async fn a_full_disk() {
    let place = Place::new();
    let disk = place.folder.join("disk");
    let Some(_mounted) = Mounted::new(&disk, "size=2m") else {
        return skipped("a_full_disk", "a tmpfs cannot be mounted here");
    };
    for tuned in [false, true] {
        let file = format!("disk/{tuned}.db");
        let target = place.target_at(&file).await;
        target.prepare_ledger().await.unwrap();
        let fence = lease(&*target).await;
        let mut txn = target.begin(fence).await.unwrap();
        txn.apply_schema(&place::file(T)).await.unwrap();
        txn.commit().await.unwrap();
        if tuned {
            target.enter_load().await.unwrap();
        }
        let (error, rows) = fill(&*target).await;
        check(&error, ErrorClass::System, "WB0406", "the disk is full");
        assert_eq!(committed(&*target).await, rows, "what was committed stands, and nothing else");
        // The target still answers, and goes on once there is room.
        drop(target);
        let target = place.target_at(&file).await;
        assert_eq!(committed(&*target).await, rows);
        drop(target);
        std::fs::remove_file(place.folder.join(&file)).unwrap();
        let _ = std::fs::remove_file(place.folder.join(format!("{file}-wal")));
        let _ = std::fs::remove_file(place.folder.join(format!("{file}-shm")));
    }
}

#[tokio::test]
async fn a_file_size_limit() {
    let place = Place::new();
    let (target, _) = place.ready(T).await;
    drop(target);
    let mut limited = Command::new("sh");
    let run =
        "trap '' XFSZ; ulimit -f 1024 && exec \"$0\" --exact meet_a_file_size_limit --nocapture";
    limited.args(["-c", run]).arg(std::env::current_exe().unwrap());
    let outcome = limited.env("WHIMBREL_TEST_DATABASE", &place.folder).output();
    let Ok(outcome) = outcome else {
        return skipped("a_file_size_limit", "there is no `sh` here");
    };
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    assert!(outcome.status.success(), "{said}{}", String::from_utf8_lossy(&outcome.stderr));
    let rows: i64 = said
        .lines()
        .find_map(|line| line.split("committed ").nth(1)?.trim().parse().ok())
        .unwrap_or_else(|| panic!("no count in: {said}"));
    assert!(rows > 0);
    assert_eq!(committed(&*place.target().await).await, rows);
}

/// Not a test of its own: what `a_file_size_limit` starts.
#[tokio::test]
#[allow(clippy::print_stdout)]
async fn meet_a_file_size_limit() {
    let Some(folder) = std::env::var_os("WHIMBREL_TEST_DATABASE") else { return };
    let options = whimbrel_sql::Options { base: folder.into(), ..Default::default() };
    let target = whimbrel_sql::open("sqlite:target.db", options).await.unwrap();
    let (error, rows) = fill(&*target).await;
    check(&error, ErrorClass::System, "WB0409", "file size limit");
    println!("committed {rows}");
}

#[tokio::test]
async fn a_read_only_file_system() {
    let place = Place::new();
    let disk = place.folder.join("disk");
    let Some(mounted) = Mounted::new(&disk, "size=4m") else {
        return skipped("a_read_only_file_system", "a tmpfs cannot be mounted here");
    };
    let target = place.target_at("disk/a.db").await;
    target.prepare_ledger().await.unwrap();
    drop(target);
    mounted.make_read_only();
    let target = place.target_at("disk/a.db").await;
    let facts = target.facts().await.unwrap();
    assert!(facts.read_only.unwrap().to_lowercase().contains("read-only"));
    assert!(target.has_ledger().await.unwrap(), "it can still be read");
    let error = target.lease(&request()).await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0405", "the database is read-only");
    let target = place.target_at("disk/new.db").await;
    assert!(target.facts().await.unwrap().read_only.unwrap().contains("folder cannot be written"));
    let error = target.prepare_ledger().await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0404", "its folder cannot be written");
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_without_permission() {
    use std::os::unix::fs::PermissionsExt as _;
    let place = Place::new();
    place.target().await.prepare_ledger().await.unwrap();
    let set = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.file(), mode).unwrap();
    };
    set(0o000);
    if std::fs::File::open(place.file()).is_ok() {
        return as_an_ordinary_user("a_file_without_permission");
    }
    let target = place.target().await;
    let error = target.has_ledger().await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0404", "Permission denied");
    set(0o400);
    let target = place.target().await;
    assert!(target.facts().await.unwrap().read_only.is_some());
    let error = target.lease(&request()).await.unwrap_err();
    check(&error, ErrorClass::Configuration, "WB0405", "the database is read-only");
}

/// Runs a test of this binary once more, as a user whom permissions bind.
#[cfg(unix)]
fn as_an_ordinary_user(test: &str) {
    let binary = std::env::current_exe().unwrap();
    // Ours may be one that the other user cannot write to.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
    let mut run = Command::new("setpriv");
    run.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(binary);
    run.env("TMPDIR", folder.path());
    let outcome = run.args(["--exact", test, "--nocapture"]).output();
    match outcome {
        Ok(outcome) if outcome.status.success() => {}
        Ok(outcome) if String::from_utf8_lossy(&outcome.stdout).contains("running 1 test") => {
            panic!("as an ordinary user: {}", String::from_utf8_lossy(&outcome.stderr));
        }
        Ok(_) | Err(_) => skipped(test, "this user may open every file and cannot become another"),
    }
}

/// A small file system of its own; unmounted when dropped.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn new(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir(at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).stderr(Stdio::null());
        mount.status().ok()?.success().then(|| Self(at.to_owned()))
    }

    fn make_read_only(&self) {
        let mut mount = Command::new("mount");
        assert!(mount.args(["-o", "remount,ro"]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}

#[tokio::test]
async fn rows_survive_beside_a_refused_batch() {
    let place = Place::new();
    let (target, fence) = place.ready(T).await;
    let table = place::described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[V::Int(1), V::Text("a")]]).await;
    txn.commit().await.unwrap();
    let mut txn = target.begin(fence).await.unwrap();
    let narrow = place::chunk(&[&[V::Int(2)]]);
    let error =
        txn.write(&table, narrow.into(), whimbrel_endpoint::WriteMode::Insert).await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Configuration);
    drop(txn);
    assert_eq!(committed(&*target).await, 1);
}

#[tokio::test]
async fn a_process_that_dies_in_a_transaction_leaves_nothing_of_it() {
    for tuned in ["plain", "tuned"] {
        let place = Place::new();
        let (target, _) = place.ready(T).await;
        drop(target);
        let mut dying = child("die_in_a_transaction", &place.folder);
        let status =
            dying.env("WHIMBREL_TEST_TUNED", tuned).stdout(Stdio::null()).status().unwrap();
        assert!(!status.success());
        // Pages of the transaction had reached the disk: a journal or a log has to be read first.
        let beside =
            place.folder.join(if tuned == "tuned" { "target.db-wal" } else { "target.db-journal" });
        assert!(std::fs::metadata(&beside).is_ok_and(|facts| facts.len() > 0), "{tuned}");
        let target = place.target().await;
        assert_eq!(committed(&*target).await, 1, "{tuned}");
        let takeover = whimbrel_endpoint::LeaseRequest {
            dead: Some(whimbrel_endpoint::contract::holder("run")),
            holder: whimbrel_endpoint::contract::holder("successor"),
            ..request()
        };
        let whimbrel_endpoint::LeaseAnswer::Granted(fence) = target.lease(&takeover).await.unwrap()
        else {
            panic!("the dead process still holds the target");
        };
        let table = place::described(&*target, "t").await;
        let mut txn = target.begin(fence).await.unwrap();
        let fates = write(&mut txn, &table, &[&[V::Int(1), V::Null], &[V::Int(2), V::Null]]).await;
        assert_eq!(fates, [RowFate::Taken, RowFate::Inserted]);
        txn.commit().await.unwrap();
        target.leave_load().await.unwrap();
        assert_eq!(committed(&*target).await, 2, "{tuned}");
    }
}

/// Not a test of its own: what `a_process_that_dies_in_a_transaction_leaves_nothing_of_it` starts.
#[tokio::test]
async fn die_in_a_transaction() {
    let Some(tuned) = std::env::var_os("WHIMBREL_TEST_TUNED") else { return };
    let folder = std::env::var_os("WHIMBREL_TEST_DATABASE").unwrap();
    let options = whimbrel_sql::Options {
        base: folder.into(),
        cache_bytes: 1 << 20,
        ..whimbrel_sql::Options::default()
    };
    let target = whimbrel_sql::open("sqlite:target.db", options).await.unwrap();
    if tuned == "tuned" {
        target.enter_load().await.unwrap();
    }
    let fence = lease(&*target).await;
    let table = place::described(&*target, "t").await;
    let mut txn = target.begin(fence).await.unwrap();
    write(&mut txn, &table, &[&[V::Int(1), V::Null]]).await;
    txn.commit().await.unwrap();
    let text = "x".repeat(1_000);
    let mut txn = target.begin(fence).await.unwrap();
    for id in 2..12_000i64 {
        write(&mut txn, &table, &[&[V::Int(id.into()), V::Text(&text)]]).await;
    }
    std::process::abort();
}
