//! `test`: the one command that passes everything.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::binary::{Build, build, root};
use crate::engine::{Engine, Ground};
use crate::fixtures::System;
use crate::{crash, engine, exactness, fixtures, tidy};

/// Runs everything; stops at the first stage that fails.
pub fn run() -> Result<()> {
    let began = Instant::now();
    let stage = |name: &str| println!("── {name} ({:.0} s)", began.elapsed().as_secs_f64());
    stage("format");
    cargo(&["fmt", "--all", "--check"])?;
    stage("tidy");
    tidy::run()?;
    stage("lints");
    cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])?;
    stage("servers");
    engine::install()?;
    let grounds = Ground::of(&Engine::ALL)?;
    stage("unit, contract and command-line tests");
    let (passed, skipped) = tests(&grounds)?;
    stage("documentation");
    documentation()?;
    let binary = build(Build::Failpoints)?;
    let systems = System::wanted(&[])?;
    stage("fixtures");
    fixtures::run_on(&binary, &systems, &grounds)?;
    let inputs = exactness::run(&binary)?;
    println!("exactness  sqlite    {inputs} inputs");
    stage("faults");
    crash::run_on(&binary, &systems, &grounds, &["--seconds", "60"])?;
    stage("done");
    for test in &skipped {
        println!("skipped: {test}");
    }
    println!("total: {passed} passed, 0 failed, {} skipped", skipped.len());
    Ok(())
}

/// Runs all tests; returns how many there were, and which could not do here what they are for. They
/// show as they come.
fn tests(grounds: &[Ground]) -> Result<(u64, Vec<String>)> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(root())
        .args(["test", "--workspace", "--quiet", "--no-fail-fast"])
        .stdout(Stdio::piped());
    cargo.envs(Ground::variables(grounds));
    let mut child = cargo.spawn().context("cargo could not be started")?;
    let stdout = child.stdout.take().context("standard output is piped")?;
    let (mut passed, mut skipped) = (0, Vec::new());
    for line in BufReader::new(stdout).lines() {
        let line = line?;
        println!("{line}");
        if let Some((_, counts)) = line.split_once("test result: ok. ") {
            passed += counts.split(' ').next().unwrap_or("").parse::<u64>().unwrap_or(0);
        }
        if let Some((_, test)) = line.split_once("skipped: ") {
            skipped.push(test.to_owned());
        }
    }
    if !child.wait()?.success() {
        bail!("cargo test failed");
    }
    Ok((passed, skipped))
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
