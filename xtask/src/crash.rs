//! Crashes: every failpoint once, then kills at random moments; each time the same command is run
//! again until it is done, and the target must be as if nothing had happened.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use whimbrel_testkit::Dice;

use crate::binary::{Build, build, expect, root, run_armed, run_killed};
use crate::fixtures::{SYSTEMS, System};
use crate::{checker, flag};

const MIGRATE: &[&str] = &["migrate", "--yes", "--batch-size", "11"];

/// `crash`: a timed share.
pub fn run(arguments: &[&str]) -> Result<()> {
    let seconds = flag(arguments, "--seconds", 120)?;
    let seed = flag(arguments, "--seed", clock_seed())?;
    let binary = build(Build::Failpoints)?;
    let undisturbed = undisturbed(&binary)?;
    let points = failpoints()?;
    let mut passed = BTreeSet::new();
    for (system, wanted) in &undisturbed {
        for point in &points {
            if at_failpoint(&binary, system, wanted, point)? {
                passed.insert(point.clone());
            }
        }
    }
    let missed: Vec<&String> = points.iter().filter(|point| !passed.contains(*point)).collect();
    ensure!(missed.is_empty(), "failpoints that no fixture passes: {missed:?}");
    println!("failpoints: {} killed at, on {} systems", points.len(), undisturbed.len());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = 0;
    let mut migrations = 0;
    let mut dice = Dice::new(seed, "crash");
    while Instant::now() < end {
        let (system, wanted) = &undisturbed[migrations % undisturbed.len()];
        kills += at_random(&binary, system, wanted, &mut dice)
            .with_context(|| format!("reproduce with: cargo xtask crash --seed {seed}"))?;
        migrations += 1;
    }
    println!("random kills: {kills} in {migrations} migrations, seed {seed}, 0 breaks");
    Ok(())
}

/// `soak`: by number.
pub fn soak(arguments: &[&str]) -> Result<()> {
    let wanted_kills = flag(arguments, "--kills", 200)?;
    let seed = flag(arguments, "--seed", clock_seed())?;
    let binary = build(Build::Failpoints)?;
    for (system, wanted) in &undisturbed(&binary)? {
        let mut dice = Dice::new(seed, system.name);
        let (mut kills, mut migrations) = (0, 0);
        while kills < wanted_kills {
            kills += at_random(&binary, system, wanted, &mut dice)
                .with_context(|| format!("reproduce with: cargo xtask soak --seed {seed}"))?;
            migrations += 1;
        }
        println!(
            "{}: {kills} kills in {migrations} migrations, seed {seed}, 0 breaks",
            system.name
        );
    }
    Ok(())
}

fn clock_seed() -> u64 {
    #[allow(clippy::disallowed_methods)] // a seed, printed with the result
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs())
}

/// What each system looks like after a run that nobody disturbed.
fn undisturbed(binary: &Path) -> Result<Vec<(&'static System, Vec<String>)>> {
    let mut all = Vec::new();
    for system in SYSTEMS {
        let scratch = tempfile::tempdir()?;
        system.set_up(scratch.path())?;
        expect(binary, scratch.path(), MIGRATE, &[3])?;
        system.check(scratch.path())?;
        all.push((system, checker::fingerprint(&scratch.path().join(system.database))?));
    }
    Ok(all)
}

/// Every name in a `failpoint!("…")` of the sources.
fn failpoints() -> Result<Vec<String>> {
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                let names_here =
                    text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split_once('"'));
                names.extend(
                    names_here.map(|(name, _)| name.to_owned()).filter(|name| name.contains('.')),
                );
            }
        }
    }
    ensure!(!names.is_empty(), "no failpoints found");
    Ok(names.into_iter().collect())
}

/// Kills at a failpoint, at its first and at a later pass; false where the point was not passed.
fn at_failpoint(binary: &Path, system: &System, wanted: &[String], point: &str) -> Result<bool> {
    let mut hit = false;
    for pass in [1, 4] {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        system.set_up(folder)?;
        let armed = format!("{point}:{pass}");
        let killed = run_armed(binary, folder, MIGRATE, &armed)?;
        match killed.code {
            None => hit = true,
            Some(3) => {}
            Some(code) => bail!("{armed} ended with {code}\n{}", killed.stderr),
        }
        if killed.code.is_none() {
            expect(binary, folder, MIGRATE, &[0, 3])?;
        }
        compare(system, folder, wanted)
            .with_context(|| format!("after a kill at {armed} in `{}`", system.name))?;
    }
    Ok(hit)
}

/// Kills at random moments until the migration gets through; returns how often.
fn at_random(binary: &Path, system: &System, wanted: &[String], dice: &mut Dice) -> Result<u64> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    system.set_up(folder)?;
    let mut kills = 0;
    let mut moments = Vec::new();
    loop {
        // Most kills early, where schema and ledger come into being; some late.
        let span = [5_000, 40_000, 250_000][usize::try_from(dice.below(3))?];
        let after = Duration::from_micros(dice.below(span) + 500);
        moments.push(after);
        let (killed, run) = run_killed(binary, folder, MIGRATE, after)?;
        if killed {
            kills += 1;
        }
        match run.code {
            None if kills < 40 => {}
            None => {
                expect(binary, folder, MIGRATE, &[0, 3])?;
                break;
            }
            Some(0 | 3) => break,
            Some(code) => bail!("after kills at {moments:?} it ended with {code}\n{}", run.stderr),
        }
    }
    compare(system, folder, wanted)
        .with_context(|| format!("after kills at {moments:?} in `{}`", system.name))?;
    Ok(kills)
}

fn compare(system: &System, folder: &Path, wanted: &[String]) -> Result<()> {
    system.check(folder)?;
    let actual = checker::fingerprint(&folder.join(system.database))?;
    checker::same_lines("the target and its ledger", &actual, wanted)
}
