//! `migrate-fixtures`: each system from an empty target to its expected content, and further: mended,
//! taken along with its legacy folder, again, and through crashes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;
use whimbrel_testkit::DEFAULT_SEED;

use crate::binary::{Build, build, expect, root, run_armed};
use crate::changes::Changes;
use crate::course::Step;
use crate::{checker, exactness, oracle};

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

/// How far a target has come; for each stage it is written down what it must hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// After the first load.
    Migrated,
    /// And with the records mended and the plan edited.
    Repaired,
    /// And with what changed in the legacy folder, whether it was taken before or after that.
    Changed,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 3] = [Self::Migrated, Self::Repaired, Self::Changed];

    /// Where it is written down, below the fixture's folder.
    pub fn folder(self) -> &'static str {
        match self {
            Self::Migrated => "expected",
            Self::Repaired => "expected-repaired",
            Self::Changed => "expected-changed",
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Migrated => "migrated",
            Self::Repaired => "repaired",
            Self::Changed => "changed",
        }
    }
}

impl System {
    /// The fixture's folder.
    pub fn folder(&self) -> PathBuf {
        root().join("fixtures").join(self.name)
    }

    /// A working copy: plan, schema, and legacy data made on the spot. With a batch size of its own
    /// the plan says so.
    pub fn set_up(&self, to: &Path, batch_size: Option<u64>) -> Result<()> {
        let from = self.folder();
        let plan = fs::read_to_string(from.join("whimbrel.toml"))?;
        let limits = batch_size.map(|rows| format!("\n[run]\nbatch_size = {rows}\n"));
        fs::write(to.join("whimbrel.toml"), plan + &limits.unwrap_or_default())?;
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

    /// Compares a target that no run is working on with what was written down.
    pub fn check(&self, folder: &Path, stage: Stage) -> Result<String> {
        let database = folder.join(self.database);
        let expected = self.folder().join(stage.folder());
        let tables = checker::dump(&database, &self.folder().join("dump.sql"))?;
        let rows = checker::compare(&tables, &expected)?;
        let reasons = root().join("fixtures/reasons.tsv");
        let rejects = checker::compare_rejects(&database, &expected.join("rejects.tsv"), &reasons)?;
        let led = checker::compare_duplicates(&database, &expected.join("duplicates.tsv"))?;
        let files = checker::compare_accounts(&database, &expected.join("accounts.tsv"))?;
        checker::conservation(&database)?;
        Ok(format!(
            "tables {}, rows {rows}, open rejects {rejects}, duplicates led {led}, accounts of files {files}",
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
    if !oracle::is_here() {
        println!("no python3 with time zones: what is expected is not computed anew");
    }
    for system in SYSTEMS {
        let shown = |figures: [(Stage, String); 3]| {
            for (stage, figures) in figures {
                println!("{:<10} sqlite  {:<9} {figures}", system.name, stage.name());
            }
        };
        course(&binary, system).map(shown).with_context(|| format!("fixture `{}`", system.name))?;
    }
    let inputs = exactness::run(&binary)?;
    println!("exactness  sqlite  {inputs} inputs");
    Ok(())
}

/// Both ways through all steps; returns the figures of every stage.
fn course(binary: &Path, system: &System) -> Result<[(Stage, String); 3]> {
    let scratch = tempfile::tempdir()?;
    system.set_up(scratch.path(), None)?;
    if oracle::is_here() {
        oracle::agrees(system, scratch.path())?;
    }
    let migrated = first_load(binary, system, scratch.path())?;
    let undisturbed = checker::fingerprint(&scratch.path().join(system.database))?;
    let [repaired, changed] =
        mended_first(binary, system, scratch.path()).context("mended before the changes")?;
    taken_first(binary, system, &undisturbed).context("mended after the changes")?;
    Ok([(Stage::Migrated, migrated), (Stage::Repaired, repaired), (Stage::Changed, changed)])
}

/// On top of the first load: records are mended, then the legacy folder changes.
fn mended_first(binary: &Path, system: &System, folder: &Path) -> Result<[String; 2]> {
    let legacy = tree(&folder.join("legacy"))?;
    nothing_to_do(binary, system, folder)?;
    killed(binary, system, folder, Step::Mended, "core.batch.before_commit:2")?;
    killed(binary, system, folder, Step::Again, "core.batch.after_commit:1")?;
    let repaired = system.check(folder, Stage::Repaired)?;
    nothing_to_do(binary, system, folder)?;
    ensure!(tree(&folder.join("legacy"))? == legacy, "the legacy data was touched");
    changes(binary, system, folder, "core.batch.before_commit:2")?;
    let changed = system.check(folder, Stage::Changed)?;
    nothing_to_do(binary, system, folder)?;
    checker::runs(&folder.join(system.database), &["full", "retry", "retry", "incremental"])?;
    reports(binary, system, folder)?;
    Ok([repaired, changed])
}

/// From an empty target, in small batches: the legacy folder changes before records are mended.
fn taken_first(binary: &Path, system: &System, undisturbed: &[String]) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    system.set_up(folder, Some(7))?;
    killed(binary, system, folder, Step::Migrate, "core.batch.before_commit:9")?;
    system.check(folder, Stage::Migrated)?;
    let resumed = checker::fingerprint(&folder.join(system.database))?;
    checker::same_lines("the target after a crash", &resumed, undisturbed)?;
    changes(binary, system, folder, "core.batch.after_commit:4")?;
    killed(binary, system, folder, Step::Mended, "core.batch.before_mark:2")?;
    killed(binary, system, folder, Step::Again, "core.batch.before_commit:2")?;
    system.check(folder, Stage::Changed)?;
    nothing_to_do(binary, system, folder)?;
    checker::runs(&folder.join(system.database), &["full", "incremental", "retry", "retry"])
}

fn first_load(binary: &Path, system: &System, folder: &Path) -> Result<String> {
    expect(binary, folder, &["plan", "--check"], &[5])?;
    expect(binary, folder, &["validate"], &[0])?;
    expect(binary, folder, &["migrate", "--dry-run"], &[3])?;
    ensure!(!folder.join(system.database).exists(), "a dry run has created the target");
    expect(binary, folder, Step::Migrate.command(), &[3])?;
    system.check(folder, Stage::Migrated)
}

/// The legacy folder changes; that is told without being taken, and then taken, with a kill.
fn changes(binary: &Path, system: &System, folder: &Path, point: &str) -> Result<()> {
    let database = folder.join(system.database);
    let before = checker::fingerprint(&database)?;
    Step::Incremental.prepare(binary, system, folder)?;
    let told = expect(binary, folder, &["check-incremental", "--format", "json"], &[5])?;
    Changes::of(&system.folder())?.compare_told(&told.stdout)?;
    expect(binary, folder, Step::Migrate.command(), &[5])?;
    let after = checker::fingerprint(&database)?;
    checker::same_lines("changes that were only told", &after, &before)?;
    kill_and_repeat(binary, folder, Step::Incremental, point)
}

fn killed(binary: &Path, system: &System, folder: &Path, step: Step, point: &str) -> Result<()> {
    step.prepare(binary, system, folder)?;
    kill_and_repeat(binary, folder, step, point)
}

/// The command of a step, ended by a failpoint; then the same command again.
fn kill_and_repeat(binary: &Path, folder: &Path, step: Step, point: &str) -> Result<()> {
    let killed = run_armed(binary, folder, step.command(), point)?;
    let (name, code) = (step.name(), killed.code);
    ensure!(code.is_none(), "{name}: {point} did not end the process: {code:?}\n{}", killed.stderr);
    expect(binary, folder, step.command(), &[3]).with_context(|| name.to_owned())?;
    Ok(())
}

/// Another `migrate` finds nothing to do and changes nothing.
fn nothing_to_do(binary: &Path, system: &System, folder: &Path) -> Result<()> {
    let database = folder.join(system.database);
    let before = checker::fingerprint(&database)?;
    expect(binary, folder, Step::Migrate.command(), &[0])?;
    expect(binary, folder, Step::Incremental.command(), &[0])?;
    expect(binary, folder, &["check-incremental"], &[0])?;
    expect(binary, folder, &["plan", "--check"], &[0])?;
    let after = checker::fingerprint(&database)?;
    checker::same_lines("a second migrate", &after, &before)
}

/// The report of every run balances, and says what became of its rejects since.
fn reports(binary: &Path, system: &System, folder: &Path) -> Result<()> {
    for (run, statuses) in checker::reject_statuses(&folder.join(system.database))? {
        let report = expect(binary, folder, &["report", &run, "--format", "json"], &[0])?;
        let report: Json = serde_json::from_str(&report.stdout)?;
        let outcome = &report["data"]["outcome"];
        ensure!(outcome["balanced"] == true, "run {run}: {}", outcome["balanced"]);
        let told: BTreeMap<String, i64> =
            serde_json::from_value(outcome["rejects"]["statuses"].clone())?;
        let told: BTreeMap<String, i64> =
            told.into_iter().filter(|(_, count)| *count > 0).collect();
        ensure!(told == statuses, "rejects of run {run}: {told:?} instead of {statuses:?}");
    }
    Ok(())
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
