//! The `whimbrel` binary: built once, run in a folder, killed where a test says so.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::site::Site;

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the root").to_owned()
}

/// With it, a process ends itself where a test says so.
pub const FAILPOINTS: &str = "whimbrel-cli/failpoints";

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
    cargo.current_dir(root()).args(["build", "--quiet"]);
    match which {
        // As `test` builds it, which then has it already: features of dependencies follow from which
        // packages are built, and from whether one of their tests is.
        Build::Failpoints => {
            cargo.args(["--workspace", "--features", FAILPOINTS, "--bin", "whimbrel"]);
            cargo.args(["--test", "readme"])
        }
        Build::Release => cargo.args(["--package", "whimbrel-cli", "--release"]),
    };
    let status = cargo.status().context("cargo could not be started")?;
    if !status.success() {
        bail!("building whimbrel failed");
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    match which {
        Build::Failpoints => set_aside(&target),
        Build::Release => Ok(target.join("release/whimbrel")),
    }
}

/// A copy that no other build overwrites: one without failpoints would stand in the same place.
fn set_aside(target: &Path) -> Result<PathBuf> {
    let folder = target.join("xtask");
    std::fs::create_dir_all(&folder)?;
    let bytes = std::fs::read(target.join("debug/whimbrel"))?;
    let name = b"WHIMBREL_FAILPOINT";
    let armed = bytes.windows(name.len()).any(|window| window == name);
    ensure!(armed, "another build has overwritten the binary with failpoints: try again");
    let mut copy = tempfile::NamedTempFile::new_in(&folder)?;
    std::io::Write::write_all(&mut copy, &bytes)?;
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    copy.as_file().set_permissions(executable)?;
    let path = folder.join("whimbrel");
    copy.persist(&path)?;
    Ok(path)
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

fn command(binary: &Path, site: &Site<'_>, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary);
    match site.target() {
        None => command.env_remove("TARGET"),
        Some(url) => command.env("TARGET", url),
    };
    match site.legacy() {
        None => command.env_remove("LEGACY"),
        Some(url) => command.env("LEGACY", url),
    };
    command
        .current_dir(site.folder())
        .args(arguments)
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
pub fn run(binary: &Path, site: &Site<'_>, arguments: &[&str]) -> Result<Run> {
    let output =
        command(binary, site, arguments).output().context("whimbrel could not be started")?;
    Ok(finished(&output))
}

/// The same, with another target than the site's.
pub fn run_on(
    binary: &Path,
    site: &Site<'_>,
    target: Option<&str>,
    arguments: &[&str],
) -> Result<Run> {
    let mut command = command(binary, site, arguments);
    if let Some(url) = target {
        command.env("TARGET", url);
    }
    Ok(finished(&command.output().context("whimbrel could not be started")?))
}

/// Runs a command line that must end with one of these codes.
pub fn expect(binary: &Path, site: &Site<'_>, arguments: &[&str], codes: &[i32]) -> Result<Run> {
    let run = run(binary, site, arguments)?;
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
pub fn run_armed(binary: &Path, site: &Site<'_>, arguments: &[&str], point: &str) -> Result<Run> {
    let output = command(binary, site, arguments)
        .env("WHIMBREL_FAILPOINT", point)
        .output()
        .context("whimbrel could not be started")?;
    Ok(finished(&output))
}

/// Runs a command line and kills it (SIGKILL) after a time, if it still runs.
pub fn run_killed(
    binary: &Path,
    site: &Site<'_>,
    arguments: &[&str],
    after: Duration,
) -> Result<Run> {
    let mut child =
        command(binary, site, arguments).spawn().context("whimbrel could not be started")?;
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
