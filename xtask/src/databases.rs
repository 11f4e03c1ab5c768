//! Systems whose legacy data is a database: migrated, killed in every part of it, mended.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::binary::{expect, run_armed};
use crate::checker;
use crate::course::Step;
use crate::engine::Ground;
use crate::fixtures::{Stage, System, killed, reports, verified};
use crate::oracle;
use crate::proofs;
use crate::site::Site;

/// Where a migration is killed, one after another, before it gets through: while loading and before
/// and after a step in SQL.
const KILLS: [&str; 4] = [
    "core.batch.before_commit:2",
    "core.batch.after_commit:9",
    "core.relate.before_commit:1",
    "core.relate.after_commit:1",
];

/// All steps; returns the figures of every stage.
pub fn course(binary: &Path, system: &System, ground: &Ground) -> Result<Vec<(Stage, String)>> {
    let site = Site::of(system, ground, None)?;
    if oracle::is_here() {
        oracle::agrees(system, site.folder())?;
    }
    expect(binary, &site, &["plan", "--check"], &[5])?;
    expect(binary, &site, &["validate"], &[0])?;
    expect(binary, &site, &["migrate", "--dry-run"], &[3])?;
    ensure!(site.is_untouched()?, "a dry run has created the target");
    expect(binary, &site, Step::Migrate.command(), &[3])?;
    let mut figures = vec![(Stage::Migrated, system.check(&site, Stage::Migrated)?)];
    let undisturbed = checker::fingerprint(&site.look()?)?;
    expect(binary, &site, Step::Migrate.command(), &[0])?;
    let again = checker::fingerprint(&site.look()?)?;
    checker::same_lines("a second migrate", &again, &undisturbed)?;
    verified(binary, &site, Stage::Migrated)?;
    figures[0].1.push_str(&proofs::asked(binary, system, &site)?);
    resumed(binary, system, ground, &undisturbed).context("killed")?;
    if system.stages().contains(&Stage::Repaired) {
        killed(binary, system, &site, Step::Mended, "core.batch.before_commit:1")?;
        killed(binary, system, &site, Step::Again, "core.batch.after_commit:1")?;
        figures.push((Stage::Repaired, system.check(&site, Stage::Repaired)?));
        verified(binary, &site, Stage::Repaired)?;
        checker::runs(&site.look()?, &["full", "retry", "retry"])?;
    }
    reports(binary, &site)?;
    Ok(figures)
}

/// In small batches, killed again and again.
fn resumed(binary: &Path, system: &System, ground: &Ground, undisturbed: &[String]) -> Result<()> {
    let site = Site::of(system, ground, Some(7))?;
    for point in KILLS {
        let run = run_armed(binary, &site, Step::Migrate.command(), point)?;
        ensure!(run.code.is_none(), "{point} ended with {:?}\n{}", run.code, run.stderr);
    }
    expect(binary, &site, Step::Migrate.command(), &[3])?;
    system.check(&site, Stage::Migrated)?;
    let target = checker::fingerprint(&site.look()?)?;
    checker::same_lines("the target after crashes", &target, undisturbed)?;
    verified(binary, &site, Stage::Migrated)
}
