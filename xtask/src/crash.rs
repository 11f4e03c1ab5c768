//! Crashes: every failpoint in every step of the course, then kills at random moments; each time the
//! same command is run again until it is done, and the target must be as if nothing had happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use whimbrel_testkit::Dice;

use crate::binary::{Build, build, expect, root, run_armed, run_killed};
use crate::course::{COURSE, Step};
use crate::fixtures::{SYSTEMS, Stage, System};
use crate::{checker, flag};

/// What a whole course leaves in the ledger.
const KINDS: &[&str] = &["full", "incremental", "retry", "retry"];
/// Small batches: many places to be killed at.
const BATCH_SIZE: u64 = 11;

/// `crash`: a timed share.
pub fn run(arguments: &[&str]) -> Result<()> {
    let seconds = flag(arguments, "--seconds", 120)?;
    let seed = flag(arguments, "--seed", clock_seed())?;
    let binary = build(Build::Failpoints)?;
    let undisturbed = undisturbed(&binary)?;
    at_failpoints(&binary, &undisturbed)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut kills = Kills::default();
    let mut dice = Dice::new(seed, "crash");
    while Instant::now() < end {
        let course = &undisturbed[kills.courses % undisturbed.len()];
        at_random(&binary, course, &mut dice, &mut kills)
            .with_context(|| format!("reproduce with: cargo xtask crash --seed {seed}"))?;
    }
    println!("random kills: {kills}, seed {seed}, 0 breaks");
    Ok(())
}

/// `soak`: by number.
pub fn soak(arguments: &[&str]) -> Result<()> {
    let wanted = flag(arguments, "--kills", 200)?;
    let seed = flag(arguments, "--seed", clock_seed())?;
    let binary = build(Build::Failpoints)?;
    for course in &undisturbed(&binary)? {
        let mut dice = Dice::new(seed, course.system.name);
        let mut kills = Kills::default();
        while kills.total() < wanted {
            at_random(&binary, course, &mut dice, &mut kills)
                .with_context(|| format!("reproduce with: cargo xtask soak --seed {seed}"))?;
        }
        println!("{}: {kills}, seed {seed}, 0 breaks", course.system.name);
    }
    Ok(())
}

/// How often a process was killed, by step.
#[derive(Default)]
struct Kills {
    courses: usize,
    steps: BTreeMap<Step, u64>,
}

impl Kills {
    fn total(&self) -> u64 {
        self.steps.values().sum()
    }
}

impl std::fmt::Display for Kills {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let steps: Vec<String> =
            self.steps.iter().map(|(step, kills)| format!("{} {kills}", step.name())).collect();
        write!(f, "{} in {} courses ({})", self.total(), self.courses, steps.join(", "))
    }
}

fn clock_seed() -> u64 {
    #[allow(clippy::disallowed_methods)] // a seed, printed with the result
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs())
}

/// A system's course as nobody disturbed it.
struct Course {
    system: &'static System,
    scenes: Vec<Scene>,
}

/// One step of it.
struct Scene {
    step: Step,
    /// A folder in which everything is ready for the command.
    ready: TempDir,
    /// What the target holds after it.
    wanted: Vec<String>,
}

impl Scene {
    fn compare(&self, system: &System, folder: &Path) -> Result<()> {
        match self.step {
            Step::Migrate => system.check(folder, Stage::Migrated).map(|_figures| ())?,
            Step::Again => system.check(folder, Stage::Changed).map(|_figures| ())?,
            // What was written down is of a course in another order.
            Step::Incremental | Step::Mended => {
                checker::conservation(&folder.join(system.database))?;
            }
        }
        let actual = checker::fingerprint(&folder.join(system.database))?;
        checker::same_lines("the target and its ledger", &actual, &self.wanted)
    }
}

fn undisturbed(binary: &Path) -> Result<Vec<Course>> {
    SYSTEMS.iter().map(|system| play(binary, system)).collect()
}

fn play(binary: &Path, system: &'static System) -> Result<Course> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    system.set_up(folder, Some(BATCH_SIZE))?;
    let mut scenes = Vec::new();
    for step in COURSE {
        step.prepare(binary, system, folder)?;
        let ready = tempfile::tempdir()?;
        copy(folder, ready.path())?;
        expect(binary, folder, step.command(), &[3])?;
        let wanted = checker::fingerprint(&folder.join(system.database))?;
        let scene = Scene { step, ready, wanted };
        scene.compare(system, folder).with_context(|| step.name().to_owned())?;
        scenes.push(scene);
    }
    Ok(Course { system, scenes })
}

/// Copies a folder in which a command is to be run. Legacy files are linked, since no run writes to
/// them, so that they are the same files to it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let kind = from.symlink_metadata()?.file_type();
        if kind.is_dir() {
            copy(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else if from.components().any(|part| part.as_os_str() == "legacy") {
            fs::hard_link(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

/// Failpoints that a step has no reason to pass.
fn beside(step: Step) -> &'static [&'static str] {
    match step {
        Step::Migrate => &["core.retry.chunk_read"],
        // The ledger is there already.
        Step::Incremental => &["core.retry.chunk_read", "sql.ledger.step"],
        // Single records are read, no whole file.
        Step::Mended => &["core.load.chunk_read", "sql.ledger.step"],
        Step::Again => &["sql.ledger.step"],
    }
}

fn at_failpoints(binary: &Path, undisturbed: &[Course]) -> Result<()> {
    let points = failpoints()?;
    let mut killed = 0;
    for (index, step) in COURSE.into_iter().enumerate() {
        let mut passed = BTreeSet::new();
        for course in undisturbed {
            for point in &points {
                let kills = at_failpoint(binary, course.system, &course.scenes[index], point)?;
                if kills > 0 {
                    passed.insert(point.as_str());
                }
                killed += kills;
            }
        }
        let missed: Vec<&str> =
            points.iter().map(String::as_str).filter(|point| !passed.contains(point)).collect();
        ensure!(
            missed == beside(step),
            "{}: failpoints that no fixture passes: {missed:?}",
            step.name()
        );
    }
    println!("failpoints: {killed} kills at {} points, in each step of each course", points.len());
    Ok(())
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

/// Kills at a failpoint, at its first and at a later pass; returns how often it was passed.
fn at_failpoint(binary: &Path, system: &System, scene: &Scene, point: &str) -> Result<u64> {
    let command = scene.step.command();
    let mut kills = 0;
    for pass in [1, 4] {
        let scratch = tempfile::tempdir()?;
        let folder = scratch.path();
        copy(scene.ready.path(), folder)?;
        let armed = format!("{point}:{pass}");
        let killed = run_armed(binary, folder, command, &armed)?;
        match killed.code {
            None => kills += 1,
            // It is not passed that often, and that the command works is known.
            Some(3) => break,
            Some(code) => bail!("{armed} ended with {code}\n{}", killed.stderr),
        }
        let what = || format!("a kill at {armed} in `{}`, {}", system.name, scene.step.name());
        expect(binary, folder, command, &[0, 3]).with_context(what)?;
        scene.compare(system, folder).with_context(what)?;
    }
    Ok(kills)
}

/// Kills at random moments of every step until it gets through.
fn at_random(binary: &Path, course: &Course, dice: &mut Dice, kills: &mut Kills) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = scratch.path();
    let system = course.system;
    system.set_up(folder, Some(BATCH_SIZE))?;
    for scene in &course.scenes {
        scene.step.prepare(binary, system, folder)?;
        let mut moments = Vec::new();
        let killed = until_done(binary, system, folder, scene.step, dice, &mut moments)
            .and_then(|killed| scene.compare(system, folder).map(|()| killed));
        let what = || format!("`{}`, {}, kills at {moments:?}", system.name, scene.step.name());
        *kills.steps.entry(scene.step).or_default() += killed.with_context(what)?;
    }
    kills.courses += 1;
    Ok(())
}

/// Runs the command of a step again and again, killed at random moments, until it gets through;
/// returns how often it was killed.
fn until_done(
    binary: &Path,
    system: &System,
    folder: &Path,
    step: Step,
    dice: &mut Dice,
    moments: &mut Vec<Duration>,
) -> Result<u64> {
    let mut kills = 0;
    while kills < 40 {
        // Most kills early, where schema and ledger come into being; some late.
        let span = [5_000, 40_000, 250_000][usize::try_from(dice.below(3))?];
        let after = Duration::from_micros(dice.below(span) + 500);
        moments.push(after);
        let run = run_killed(binary, folder, step.command(), after)?;
        match run.code {
            None => kills += 1,
            Some(0 | 3) => return Ok(kills),
            Some(code) => bail!("it ended with {code}\n{}", run.stderr),
        }
        // Whoever retries all again asks for another run: killed after its end, it has ended.
        if step == Step::Again && checker::runs(&folder.join(system.database), KINDS).is_ok() {
            return Ok(kills);
        }
    }
    expect(binary, folder, step.command(), &[0, 3])?;
    Ok(kills)
}
