//! SQLite's errors as classes, codes and sentences that say what to do.

use std::fmt::{self, Write as _};
use std::path::Path;

use rusqlite::ffi::{self, ErrorCode};
use whimbrel_endpoint::{EndpointError, ErrorClass};

use crate::{codes, shown};

/// What could not be done, where and why; SQLite's number for it as the cause, where it has one.
#[allow(clippy::needless_pass_by_value)] // made for `map_err`
pub(crate) fn failed(path: &Path, doing: &str, error: rusqlite::Error) -> EndpointError {
    let (class, code, reason) = classify(path, &error);
    let message = format!("{doing}: {reason}: `{}`", path.display());
    let failed = EndpointError::new(class, code, message);
    match extended(&error) {
        0 => failed,
        result => failed.because(ResultCode(result)),
    }
}

/// SQLite's extended result code. Its words stand in the message, or better ones: `rusqlite` would
/// say them again, and then once more.
#[derive(Debug)]
struct ResultCode(i32);

impl fmt::Display for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SQLite's result code {}", self.0)
    }
}

impl std::error::Error for ResultCode {}

/// As `failed`; SQLite's words are left out where values are hidden and they may quote one.
pub(crate) fn told(
    path: &Path,
    doing: &str,
    error: rusqlite::Error,
    hides_values: bool,
) -> EndpointError {
    let untold = hides_values && may_quote(&error);
    let failed = failed(path, doing, error);
    if !untold {
        return failed;
    }
    let what = format!("{doing}: {}: `{}`", shown::untold(None), path.display());
    EndpointError { what, ..failed }
}

/// Whether SQLite's words may have a value in them: a trigger says what it likes, and functions quote
/// what they were given.
pub(crate) fn may_quote(error: &rusqlite::Error) -> bool {
    let words = words(error);
    let names_only = words.starts_with("no such ") || words.ends_with(" already exists");
    extended(error) == ffi::SQLITE_CONSTRAINT_TRIGGER
        || matches!(error, rusqlite::Error::SqliteFailure(failure, _)
            if failure.code == ErrorCode::Unknown && !names_only)
}

/// Whether nothing makes the key unique that a statement names.
pub(crate) fn is_without_unique(error: &rusqlite::Error) -> bool {
    words(error).contains("ON CONFLICT clause does not match")
}

/// SQLite's own words, bounded, without its prefix.
pub(crate) fn words(error: &rusqlite::Error) -> String {
    let words = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    };
    words.chars().take(500).collect()
}

/// The primary error code, where SQLite gave one.
pub(crate) fn primary(error: &rusqlite::Error) -> Option<ErrorCode> {
    engine_error(error).map(|error| error.code)
}

/// The extended result code, 0 where there is none.
pub(crate) fn extended(error: &rusqlite::Error) -> i32 {
    engine_error(error).map_or(0, |error| error.extended_code)
}

fn engine_error(error: &rusqlite::Error) -> Option<&ffi::Error> {
    match error {
        rusqlite::Error::SqlInputError { error, .. } => Some(error),
        other => other.sqlite_error(),
    }
}

fn classify(path: &Path, error: &rusqlite::Error) -> (ErrorClass, &'static str, String) {
    use ErrorClass::{Configuration, Constraint, Data, System, Transient};
    let words = words(error);
    let Some(code) = primary(error) else {
        return (System, codes::ENGINE, words);
    };
    match code {
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => {
            (Transient, codes::LOCKED, format!("the database is locked{}", holders(path)))
        }
        ErrorCode::DiskFull => (System, codes::DISK_FULL, "the disk is full".to_owned()),
        ErrorCode::NotADatabase => {
            (Configuration, codes::NOT_A_DATABASE, "the file is not a SQLite database".to_owned())
        }
        ErrorCode::DatabaseCorrupt => {
            (System, codes::CORRUPT, format!("the database is damaged ({words})"))
        }
        ErrorCode::ReadOnly => {
            (Configuration, codes::READ_ONLY, "the database is read-only".to_owned())
        }
        ErrorCode::CannotOpen | ErrorCode::PermissionDenied => unopenable(path, &words),
        ErrorCode::OutOfMemory => (System, codes::MEMORY, "out of memory".to_owned()),
        ErrorCode::SystemIoFailure => {
            (System, codes::INPUT_OUTPUT, format!("{words} ({})", input_output(extended(error))))
        }
        ErrorCode::TooBig => (Data, codes::TOO_BIG, words),
        ErrorCode::ConstraintViolation => (Constraint, constraint_code(extended(error)), words),
        ErrorCode::TypeMismatch => (Data, codes::STORED_TYPE, words),
        ErrorCode::OperationInterrupted => (Transient, codes::ENGINE, words),
        _ if words.starts_with("no such table: whimbrel_") => (
            Configuration,
            whimbrel_endpoint::codes::NO_LEDGER,
            format!("the ledger is not there ({words})"),
        ),
        _ if words.starts_with("no such table")
            || words.contains("no such column")
            || words.contains("has no column named") =>
        {
            (Configuration, whimbrel_endpoint::codes::MISSING, words)
        }
        _ => (System, codes::ENGINE, words),
    }
}

/// Whether an error of COMMIT leaves open what a later reader will find: flushing, or ending the
/// journal, failed. Where writing fails, SQLite undoes the transaction.
pub(crate) fn leaves_commit_unknown(error: &rusqlite::Error) -> bool {
    matches!(
        extended(error),
        ffi::SQLITE_IOERR_FSYNC
            | ffi::SQLITE_IOERR_DIR_FSYNC
            | ffi::SQLITE_IOERR_DELETE
            | ffi::SQLITE_IOERR_TRUNCATE
            | ffi::SQLITE_IOERR_CLOSE
    )
}

/// The code of a constraint that refused a row.
pub(crate) fn constraint_code(extended: i32) -> &'static str {
    match extended {
        ffi::SQLITE_CONSTRAINT_CHECK => codes::CHECK,
        ffi::SQLITE_CONSTRAINT_NOTNULL => whimbrel_endpoint::codes::NOT_NULL,
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => codes::FOREIGN_KEY,
        ffi::SQLITE_CONSTRAINT_TRIGGER => codes::TRIGGER,
        ffi::SQLITE_CONSTRAINT_DATATYPE => codes::STORED_TYPE,
        ffi::SQLITE_CONSTRAINT_UNIQUE
        | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
        | ffi::SQLITE_CONSTRAINT_ROWID => codes::UNIQUE,
        _ => codes::ENGINE,
    }
}

fn input_output(extended: i32) -> &'static str {
    match extended {
        ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => "reading",
        ffi::SQLITE_IOERR_WRITE => "writing; a file size limit counts as well",
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => "flushing to the medium",
        ffi::SQLITE_IOERR_TRUNCATE => "truncating",
        ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_UNLOCK => "locking",
        _ => "in the operating system",
    }
}

/// Why a file could not be opened, looked up now.
fn unopenable(path: &Path, words: &str) -> (ErrorClass, &'static str, String) {
    use ErrorClass::Configuration;
    let folder = folder_of(path);
    if path.is_dir() {
        (Configuration, codes::DIRECTORY, "the target is a folder, not a file".to_owned())
    } else if !folder.is_dir() {
        let reason = format!("there is no folder `{}`", folder.display());
        (Configuration, codes::NO_DATABASE, reason)
    } else {
        let reason = match (refused(path, Wish::Read), unwritable(folder)) {
            (Some(reason), _) if path.exists() => reason,
            (_, Some(reason)) => format!("its folder cannot be written: {reason}"),
            (_, None) => words.to_owned(),
        };
        (Configuration, codes::CANNOT_OPEN, reason)
    }
}

/// The folder a file stands in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Why this user may not write to a file or folder, if that is so.
pub(crate) fn unwritable(path: &Path) -> Option<String> {
    refused(path, Wish::Write)
}

#[derive(Clone, Copy)]
enum Wish {
    Read,
    Write,
}

/// Why the system would refuse. Nothing is opened to find out: closing a second descriptor of a
/// database would drop SQLite's locks on it.
#[cfg(unix)]
fn refused(path: &Path, wish: Wish) -> Option<String> {
    let access = match wish {
        Wish::Read => rustix::fs::Access::READ_OK,
        Wish::Write => rustix::fs::Access::WRITE_OK,
    };
    rustix::fs::access(path, access).err().map(|error| std::io::Error::from(error).to_string())
}

/// Why the system would refuse, as far as a file's attributes tell.
#[cfg(not(unix))]
fn refused(path: &Path, wish: Wish) -> Option<String> {
    match (wish, std::fs::metadata(path)) {
        (_, Err(error)) => Some(error.to_string()),
        (Wish::Write, Ok(facts)) if facts.permissions().readonly() => {
            Some("it is marked read-only".to_owned())
        }
        (Wish::Read | Wish::Write, Ok(_)) => None,
    }
}

/// Who holds locks on the database, as a clause for a message; Linux tells, other systems do not.
fn holders(path: &Path) -> String {
    let pids = lock_holders(path);
    if pids.is_empty() {
        return format!("; `fuser {}` shows by whom", path.display());
    }
    let mut clause = " by ".to_owned();
    for (index, pid) in pids.iter().enumerate() {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        let separator = if index == 0 { "" } else { ", " };
        let _ = write!(clause, "{separator}process {pid} ({})", name.trim());
    }
    clause
}

#[cfg(target_os = "linux")]
fn lock_holders(path: &Path) -> Vec<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        std::fs::metadata(name).ok().map(|facts| facts.ino())
    };
    let inodes = [beside(""), beside("-shm")];
    let table = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut pids: Vec<u32> = table.lines().filter_map(|line| held_by(line, &inodes)).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.retain(|pid| *pid != std::process::id());
    pids
}

#[cfg(not(target_os = "linux"))]
fn lock_holders(_: &Path) -> Vec<u32> {
    Vec::new()
}

/// `7: POSIX  ADVISORY  WRITE 4242 08:01:131090 1073741824 1073742335`
#[cfg(target_os = "linux")]
fn held_by(line: &str, inodes: &[Option<u64>]) -> Option<u32> {
    let mut words = line.split_whitespace().skip(4);
    let pid = words.next()?.parse().ok()?;
    let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
    inodes.contains(&Some(inode)).then_some(pid)
}
