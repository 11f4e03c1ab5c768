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
use crate::checker::Refused;
use crate::course::Step;
use crate::engine::{Engine, Ground};
use crate::site::Site;
use crate::{checker, corrupt, databases, exactness, oracle, proofs};

/// A fixture system.
#[derive(Debug)]
pub struct System {
    /// Its name in tables and on the command line.
    pub name: &'static str,
    /// Folder below `fixtures/`.
    folder: &'static str,
    /// The file of SQLite that its plan names as target.
    pub database: &'static str,
    pub legacy: Legacy,
}

/// What a system's legacy data is.
#[derive(Clone, Copy, Debug)]
pub enum Legacy {
    /// Files, which change, and of which records are mended.
    Folder,
    /// A database on one of the engines.
    Database(Engine),
}

/// All fixture systems.
pub const SYSTEMS: &[System] = &[
    System::new("extruder", "extruder", "extruder.db", Legacy::Folder),
    System::new("content", "content", "content.db", Legacy::Folder),
    System::new("heartbeat", "heartbeat", "heartbeat.db", Legacy::Database(Engine::Sqlite)),
    System::new("heartbeat2", "heartbeat", "heartbeat.db", Legacy::Database(Engine::Postgres)),
    System::new("chunks", "chunks", "chunks.db", Legacy::Database(Engine::Postgres)),
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
    /// One with its fixture in this folder.
    pub const fn new(
        name: &'static str,
        folder: &'static str,
        database: &'static str,
        legacy: Legacy,
    ) -> Self {
        Self { name, folder, database, legacy }
    }

    /// Those that are named among a chore's arguments; all where none is.
    pub fn wanted(arguments: &[&str]) -> Result<Vec<&'static Self>> {
        let Some(name) = arguments.first().filter(|argument| !argument.starts_with("--")) else {
            return Ok(SYSTEMS.iter().collect());
        };
        let system = SYSTEMS.iter().find(|system| system.name == *name);
        Ok(vec![system.with_context(|| format!("no such system: `{name}`"))?])
    }

    /// The fixture's folder.
    pub fn folder(&self) -> PathBuf {
        root().join("fixtures").join(self.folder)
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
        match self.folder {
            "extruder" => {
                let size = whimbrel_testkit::extruder::Size::Small;
                whimbrel_testkit::extruder::write(&legacy, size, DEFAULT_SEED)?;
            }
            "heartbeat" => whimbrel_testkit::heartbeat::write(&legacy, 0, DEFAULT_SEED)?,
            "chunks" => whimbrel_testkit::chunks::write(&legacy, 0, DEFAULT_SEED)?,
            "values" => {
                fs::create_dir_all(&legacy)?;
                fs::copy(from.join("dump.sql"), legacy.join("legacy.sqlite.sql"))?;
            }
            _ => whimbrel_testkit::content::write(&legacy, 0, DEFAULT_SEED)?,
        }
        Ok(())
    }

    /// The stages that it is taken through.
    pub fn stages(&self) -> &'static [Stage] {
        match self.legacy {
            Legacy::Folder => &[Stage::Migrated, Stage::Repaired, Stage::Changed],
            // What changes in a database is not in its fixture, and records of some cannot be mended.
            Legacy::Database(Engine::Sqlite) => &[Stage::Migrated, Stage::Repaired],
            Legacy::Database(Engine::Postgres | Engine::Mysql) => &[Stage::Migrated],
        }
    }

    /// Where it is written down what a stage holds.
    pub fn expected(&self, stage: Stage) -> PathBuf {
        let folder = self.folder();
        match self.legacy {
            Legacy::Folder => folder.join(stage.folder()),
            Legacy::Database(engine) => {
                let own = folder.join(format!("{}-from-{engine}", stage.folder()));
                if own.exists() { own } else { folder.join(stage.folder()) }
            }
        }
    }

    /// Compares a target that no run is working on with what was written down.
    pub fn check(&self, site: &Site<'_>, stage: Stage) -> Result<String> {
        let target = site.look()?;
        let expected = self.expected(stage);
        let tables = checker::dump(&target, &self.folder().join("dump.sql"))?;
        let refused = match site.engine() {
            Engine::Sqlite => Refused::default(),
            Engine::Postgres | Engine::Mysql => Refused::of(&self.folder(), &expected)?,
        };
        let rows = checker::compare(&tables, &expected, &refused)?;
        let reasons = root().join("fixtures/reasons.tsv");
        let rejects =
            checker::compare_rejects(&target, &expected.join("rejects.tsv"), &reasons, &refused)?;
        let led = checker::compare_duplicates(&target, &expected.join("duplicates.tsv"))?;
        let files = checker::compare_accounts(&target, &expected.join("accounts.tsv"), &refused)?;
        checker::conservation(&target)?;
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

/// `migrate-fixtures [SYSTEM] [--engine ENGINE]`: systems on engines, and a table of both.
pub fn run(arguments: &[&str]) -> Result<()> {
    let engines = Engine::wanted(arguments)?;
    let systems = System::wanted(arguments)?;
    let binary = build(Build::Failpoints)?;
    let grounds = Ground::of(&engines)?;
    run_on(&binary, &systems, &grounds)?;
    if arguments.is_empty() {
        let inputs = exactness::run(&binary)?;
        println!("exactness  sqlite    {inputs} inputs");
    }
    Ok(())
}

/// Runs systems on engines. All of them are run, and what failed is told at the end.
pub fn run_on(binary: &Path, systems: &[&System], grounds: &[Ground]) -> Result<()> {
    if !oracle::is_here() {
        println!("no python3 with time zones: what is expected is not computed anew");
    }
    let mut failures = Vec::new();
    let mut table = Vec::new();
    for system in systems {
        let mut cells = Vec::new();
        for ground in grounds {
            let engine = ground.engine;
            let figures = match system.legacy {
                Legacy::Folder => course(binary, system, ground),
                Legacy::Database(_) => databases::course(binary, system, ground),
            };
            match figures {
                Ok(figures) => {
                    for (stage, figures) in figures {
                        println!("{:<10} {engine:<9} {:<9} {figures}", system.name, stage.name());
                    }
                    cells.push("passed");
                }
                Err(error) => {
                    println!("{:<10} {engine:<9} FAILED", system.name);
                    failures.push(format!("`{}` on {engine}: {error:#}", system.name));
                    cells.push("FAILED");
                }
            }
        }
        table.push((system.name, cells));
    }
    let engines = grounds.iter().map(|ground| format!(" {:<9}", ground.engine));
    println!("{:<10}{}", "", engines.collect::<String>().trim_end());
    for (name, cells) in table {
        let cells = cells.iter().map(|cell| format!(" {cell:<9}"));
        println!("{name:<10}{}", cells.collect::<String>().trim_end());
    }
    ensure!(failures.is_empty(), "fixtures:\n{}", failures.join("\n"));
    Ok(())
}

/// Both ways through all steps; returns the figures of every stage.
fn course(binary: &Path, system: &System, ground: &Ground) -> Result<Vec<(Stage, String)>> {
    let site = Site::of(system, ground, None)?;
    if oracle::is_here() {
        oracle::agrees(system, site.folder())?;
    }
    let migrated = first_load(binary, system, &site)?;
    let undisturbed = checker::fingerprint(&site.look()?)?;
    verified(binary, &site, Stage::Migrated)?;
    let migrated = format!("{migrated}{}", proofs::asked(binary, system, &site)?);
    let [repaired, changed] =
        mended_first(binary, system, &site).context("mended before the changes")?;
    taken_first(binary, system, ground, &undisturbed).context("mended after the changes")?;
    Ok(vec![(Stage::Migrated, migrated), (Stage::Repaired, repaired), (Stage::Changed, changed)])
}

/// On top of the first load: records are mended, then the legacy folder changes.
fn mended_first(binary: &Path, system: &System, site: &Site<'_>) -> Result<[String; 2]> {
    let legacy = tree(&site.folder().join("legacy"))?;
    nothing_to_do(binary, site)?;
    killed(binary, system, site, Step::Mended, "core.batch.before_commit:2")?;
    killed(binary, system, site, Step::Again, "core.batch.after_commit:1")?;
    let repaired = system.check(site, Stage::Repaired)?;
    verified(binary, site, Stage::Repaired)?;
    nothing_to_do(binary, site)?;
    ensure!(tree(&site.folder().join("legacy"))? == legacy, "the legacy data was touched");
    changes(binary, system, site, "core.batch.before_commit:2")?;
    let changed = system.check(site, Stage::Changed)?;
    verified(binary, site, Stage::Changed)?;
    nothing_to_do(binary, site)?;
    checker::runs(&site.look()?, &["full", "retry", "retry", "incremental"])?;
    reports(binary, site)?;
    Ok([repaired, changed])
}

/// From an empty target, in small batches: the legacy folder changes before records are mended.
fn taken_first(
    binary: &Path,
    system: &System,
    ground: &Ground,
    undisturbed: &[String],
) -> Result<()> {
    let site = &Site::of(system, ground, Some(7))?;
    killed(binary, system, site, Step::Migrate, "core.batch.before_commit:9")?;
    system.check(site, Stage::Migrated)?;
    let resumed = checker::fingerprint(&site.look()?)?;
    checker::same_lines("the target after a crash", &resumed, undisturbed)?;
    verified(binary, site, Stage::Migrated)?;
    changes(binary, system, site, "core.batch.after_commit:4")?;
    killed(binary, system, site, Step::Mended, "core.batch.before_mark:2")?;
    killed(binary, system, site, Step::Again, "core.batch.before_commit:2")?;
    system.check(site, Stage::Changed)?;
    verified(binary, site, Stage::Changed)?;
    nothing_to_do(binary, site)?;
    checker::runs(&site.look()?, &["full", "incremental", "retry", "retry"])
}

/// `verify` says at every level that the target is as it should be; where files are gone that were read, that
/// their rows cannot be derived anew.
pub(crate) fn verified(binary: &Path, site: &Site<'_>, stage: Stage) -> Result<()> {
    let gone = stage == Stage::Changed;
    corrupt::untouched(binary, site, gone)
        .with_context(|| format!("verified when {}", stage.name()))
}

fn first_load(binary: &Path, system: &System, site: &Site<'_>) -> Result<String> {
    expect(binary, site, &["plan", "--check"], &[5])?;
    expect(binary, site, &["validate"], &[0])?;
    expect(binary, site, &["migrate", "--dry-run"], &[3])?;
    ensure!(site.is_untouched()?, "a dry run has created the target");
    expect(binary, site, Step::Migrate.command(), &[3])?;
    system.check(site, Stage::Migrated)
}

/// The legacy folder changes; that is told without being taken, and then taken, with a kill.
fn changes(binary: &Path, system: &System, site: &Site<'_>, point: &str) -> Result<()> {
    let before = checker::fingerprint(&site.look()?)?;
    Step::Incremental.prepare(binary, system, site)?;
    let told = expect(binary, site, &["check-incremental", "--format", "json"], &[5])?;
    Changes::of(&system.folder())?.compare_told(&told.stdout)?;
    expect(binary, site, Step::Migrate.command(), &[5])?;
    let after = checker::fingerprint(&site.look()?)?;
    checker::same_lines("changes that were only told", &after, &before)?;
    kill_and_repeat(binary, site, Step::Incremental, point)
}

pub(crate) fn killed(
    binary: &Path,
    system: &System,
    site: &Site<'_>,
    step: Step,
    point: &str,
) -> Result<()> {
    step.prepare(binary, system, site)?;
    kill_and_repeat(binary, site, step, point)
}

/// The command of a step, ended by a failpoint; then the same command again.
pub(crate) fn kill_and_repeat(
    binary: &Path,
    site: &Site<'_>,
    step: Step,
    point: &str,
) -> Result<()> {
    let killed = run_armed(binary, site, step.command(), point)?;
    let (name, code) = (step.name(), killed.code);
    ensure!(code.is_none(), "{name}: {point} did not end the process: {code:?}\n{}", killed.stderr);
    expect(binary, site, step.command(), &[3]).with_context(|| name.to_owned())?;
    Ok(())
}

/// Another `migrate` finds nothing to do and changes nothing.
fn nothing_to_do(binary: &Path, site: &Site<'_>) -> Result<()> {
    let before = checker::fingerprint(&site.look()?)?;
    expect(binary, site, Step::Migrate.command(), &[0])?;
    expect(binary, site, Step::Incremental.command(), &[0])?;
    expect(binary, site, &["check-incremental"], &[0])?;
    expect(binary, site, &["plan", "--check"], &[0])?;
    let after = checker::fingerprint(&site.look()?)?;
    checker::same_lines("a second migrate", &after, &before)
}

/// The report of every run balances, and says what became of its rejects since.
pub(crate) fn reports(binary: &Path, site: &Site<'_>) -> Result<()> {
    for (run, statuses) in checker::reject_statuses(&site.look()?)? {
        let report = expect(binary, site, &["report", &run, "--format", "json"], &[0])?;
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
