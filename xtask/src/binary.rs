//! The `whimbrel` binary: built once, run in a folder, killed where a test says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the root").to_owned()
}

/// Which build.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Build {
    /// The development build, with failpoints.
    Failpoints,
    /// As operators run it.
    Release,
}

/// Builds the binary and says where it stands.
pub fn build(which: Build) -> Result<PathBuf> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root()).args(["build", "--quiet", "--package", "whimbrel-cli"]);
    match which {
        Build::Failpoints => cargo.args(["--features", "failpoints"]),
        Build::Release => cargo.arg("--release"),
    };
    let status = cargo.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("building whimbrel failed");
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    let folder = match which {
        Build::Failpoints => "debug",
        Build::Release => "release",
    };
    Ok(target.join(folder).join("whimbrel"))
}

/// One run of the binary.
pub struct Run {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

fn command(binary: &Path, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command
        .current_dir(folder)
        .args(arguments)
        .env_remove("TARGET")
        .env("WHIMBREL_PROGRESS", "none")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn finished(output: &Output) -> Run {
    Run {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs a command line to its end.
pub fn run(binary: &Path, folder: &Path, arguments: &[&str]) -> Result<Run> {
    let output =
        command(binary, folder, arguments).output().context("whimbrel could not be started")?;
    Ok(finished(&output))
}

/// Runs a command line that must end with one of these codes.
pub fn expect(binary: &Path, folder: &Path, arguments: &[&str], codes: &[i32]) -> Result<Run> {
    let run = run(binary, folder, arguments)?;
    if run.code.is_none_or(|code| !codes.contains(&code)) {
        bail!(
            "whimbrel {} ended with {:?} instead of {codes:?}\n{}\n{}",
            arguments.join(" "),
            run.code,
            run.stdout,
            run.stderr
        );
    }
    Ok(run)
}

/// Runs a command line with a failpoint armed.
pub fn run_armed(binary: &Path, folder: &Path, arguments: &[&str], point: &str) -> Result<Run> {
    let output = command(binary, folder, arguments)
        .env("WHIMBREL_FAILPOINT", point)
        .output()
        .context("whimbrel could not be started")?;
    Ok(finished(&output))
}

/// Runs a command line and kills it (SIGKILL) after a time, if it still runs.
pub fn run_killed(
    binary: &Path,
    folder: &Path,
    arguments: &[&str],
    after: Duration,
) -> Result<Run> {
    let mut child =
        command(binary, folder, arguments).spawn().context("whimbrel could not be started")?;
    let began = Instant::now();
    while began.elapsed() < after {
        if child.try_wait()?.is_some() {
            return Ok(finished(&child.wait_with_output()?));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
    child.kill()?;
    Ok(finished(&child.wait_with_output()?))
}
