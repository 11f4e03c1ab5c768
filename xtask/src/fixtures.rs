//! `migrate-fixtures`: each system from an empty target to its expected content, again, and
//! through a crash.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use whimbrel_testkit::DEFAULT_SEED;

use crate::binary::{Build, build, expect, root, run_armed};
use crate::{checker, exactness};

/// A fixture system.
pub struct System {
    /// Folder below `fixtures/`.
    pub name: &'static str,
    /// The target that its plan names.
    pub database: &'static str,
}

/// All fixture systems.
pub const SYSTEMS: &[System] = &[
    System { name: "extruder", database: "extruder.db" },
    System { name: "content", database: "content.db" },
];

impl System {
    /// The fixture's folder.
    pub fn folder(&self) -> PathBuf {
        root().join("fixtures").join(self.name)
    }

    /// A working copy: plan, schema, and legacy data made on the spot.
    pub fn set_up(&self, to: &Path) -> Result<()> {
        let from = self.folder();
        fs::copy(from.join("whimbrel.toml"), to.join("whimbrel.toml"))?;
        copy_folder(&from.join("schema"), &to.join("schema"))?;
        let legacy = to.join("legacy");
        match self.name {
            "extruder" => {
                let size = whimbrel_testkit::extruder::Size::Small;
                whimbrel_testkit::extruder::write(&legacy, size, DEFAULT_SEED)?;
            }
            _ => whimbrel_testkit::content::write(&legacy, 0, DEFAULT_SEED)?,
        }
        Ok(())
    }

    /// Compares a finished target with what was written down.
    pub fn check(&self, folder: &Path) -> Result<String> {
        let database = folder.join(self.database);
        let expected = self.folder().join("expected");
        let tables = checker::dump(&database, &self.folder().join("dump.sql"))?;
        let rows = checker::compare(&tables, &expected)?;
        let reasons = root().join("fixtures/reasons.tsv");
        let rejects = checker::compare_rejects(&database, &expected.join("rejects.tsv"), &reasons)?;
        let files = checker::compare_accounts(&database, &expected.join("accounts.tsv"))?;
        checker::conservation(&database)?;
        Ok(format!(
            "{} tables, {rows} rows, {rejects} rejects, {files} accounts of files",
            tables.len()
        ))
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("{}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Runs all systems.
pub fn run() -> Result<()> {
    let binary = build(Build::Failpoints)?;
    for system in SYSTEMS {
        let figures =
            migrate(&binary, system).with_context(|| format!("fixture `{}`", system.name))?;
        println!("{:<10} sqlite  {figures}", system.name);
    }
    let inputs = exactness::run(&binary)?;
    println!("exactness  sqlite  {inputs} inputs");
    Ok(())
}

fn migrate(binary: &Path, system: &System) -> Result<String> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    system.set_up(folder)?;
    let legacy = tree(&folder.join("legacy"))?;
    let database = folder.join(system.database);

    expect(binary, folder, &["plan", "--check"], &[5])?;
    expect(binary, folder, &["validate"], &[0])?;
    expect(binary, folder, &["migrate", "--dry-run"], &[3])?;
    ensure!(!database.exists(), "a dry run has created the target");

    expect(binary, folder, &["migrate", "--yes"], &[3])?;
    let figures = system.check(folder)?;
    let undisturbed = checker::fingerprint(&database)?;

    expect(binary, folder, &["migrate", "--yes"], &[0])?;
    expect(binary, folder, &["plan", "--check"], &[0])?;
    expect(binary, folder, &["check-incremental"], &[0])?;
    let again = checker::fingerprint(&database)?;
    checker::same_lines("a second migrate", &again, &undisturbed)?;

    let crashed = tempfile::tempdir()?;
    let folder = crashed.path();
    system.set_up(folder)?;
    let killed = run_armed(
        binary,
        folder,
        &["migrate", "--yes", "--batch-size", "7"],
        "core.batch.before_commit:9",
    )?;
    ensure!(killed.code.is_none(), "the failpoint did not end the process: {:?}", killed.code);
    expect(binary, folder, &["migrate", "--yes"], &[3])?;
    system.check(folder)?;
    let resumed = checker::fingerprint(&folder.join(system.database))?;
    checker::same_lines("the target after a crash", &resumed, &undisturbed)?;
    ensure!(tree(&scratch.path().join("legacy"))? == legacy, "the legacy data was touched");
    Ok(figures)
}

/// Every path below a folder with its size and time of change.
fn tree(folder: &Path) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let about = entry.path().symlink_metadata()?;
            lines.push(format!(
                "{} {} {:?}",
                entry.path().display(),
                about.len(),
                about.modified()?
            ));
            if about.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    lines.sort_unstable();
    Ok(lines)
}
