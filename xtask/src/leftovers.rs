//! What a chore leaves behind: nothing. It runs in a process of its own, whose temporary files and
//! whose children all carry a mark; when it has ended, no file and no process with the mark may be
//! there.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Names the folder of a chore to all of its children.
const MARK: &str = "WHIMBREL_XTASK_FOLDER";
/// Watchdogs of servers need a moment.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether this process is the one that is watched.
pub fn is_watched() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Runs the chore, and looks for what it has left.
pub fn watch(words: &[&str]) -> ExitCode {
    match watched(words) {
        Ok((code, left)) if left.is_empty() => code,
        Ok((_, left)) => {
            eprintln!("error: the chore has left something behind:\n  {}", left.join("\n  "));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn watched(words: &[&str]) -> Result<(ExitCode, Vec<String>)> {
    let folder = tempfile::Builder::new().prefix("whimbrel-xtask-").tempdir()?;
    // Servers run as users of their own.
    let passable = std::os::unix::fs::PermissionsExt::from_mode(0o711);
    fs::set_permissions(folder.path(), passable)?;
    let status = Command::new(std::env::current_exe()?)
        .args(words)
        .env("TMPDIR", folder.path())
        .env(MARK, folder.path())
        .status()
        .context("the chore could not be started")?;
    let began = Instant::now();
    let left = loop {
        let left = left(folder.path())?;
        if left.is_empty() || began.elapsed() > PATIENCE {
            break left;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let code = if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    };
    Ok((code, left))
}

/// Files in the folder, and processes that name it in their environment or command line.
fn left(folder: &Path) -> Result<Vec<String>> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder)? {
        left.push(format!("file {}", entry?.path().display()));
    }
    let name = folder.as_os_str().as_encoded_bytes();
    let own = std::process::id().to_string();
    // Where there is no such folder, files alone are looked for.
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let number = process.file_name().to_string_lossy().into_owned();
        if number == own || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let holds = |file: &str| {
            let text = fs::read(process.path().join(file)).unwrap_or_default();
            text.windows(name.len()).any(|window| window == name)
        };
        if holds("environ") || holds("cmdline") {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            left.push(format!("process {number}: {}", line.chars().take(200).collect::<String>()));
        }
    }
    Ok(left)
}
