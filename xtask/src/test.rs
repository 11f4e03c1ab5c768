//! `test`: the one command that passes everything.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::binary::root;
use crate::{crash, fixtures, tidy};

/// Runs everything; stops at the first failure.
pub fn run() -> Result<()> {
    let began = Instant::now();
    let stage = |name: &str| println!("── {name} ({:.0} s)", began.elapsed().as_secs_f64());
    stage("format");
    cargo(&["fmt", "--all", "--check"])?;
    stage("tidy");
    tidy::run()?;
    stage("lints");
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    stage("unit, contract and command-line tests");
    cargo(&["test", "--workspace", "--quiet"])?;
    stage("documentation");
    documentation()?;
    stage("fixtures");
    fixtures::run()?;
    stage("faults");
    crash::run(&["--seconds", "60"])?;
    stage("done");
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let status =
        cargo.current_dir(root()).args(arguments).status().context("cargo could not be started")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}

fn documentation() -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let status = cargo
        .current_dir(root())
        .args(["doc", "--workspace", "--no-deps", "--quiet"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .status()
        .context("cargo could not be started")?;
    if !status.success() {
        bail!("cargo doc failed");
    }
    Ok(())
}
