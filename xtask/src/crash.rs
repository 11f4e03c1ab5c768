//! Crashes: every failpoint in every step of the course, then kills at random moments; each time the
//! same command is run again until it is done, and the target must be as if nothing had happened.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use whimbrel_testkit::Dice;

use crate::binary::{Build, build, expect, root, run_armed, run_killed};
use crate::course::{COURSE, Step};
use crate::cuts;
use crate::engine::{Engine, Ground};
use crate::fixtures::{Legacy, Stage, System};
use crate::site::Site;
use crate::tally::{Kills, Tally, table};
use crate::{checker, flag};

/// What a whole course leaves in the ledger.
const KINDS: &[&str] = &["full", "incremental", "retry", "retry"];
/// Small batches: many places to be killed at.
pub const BATCH_SIZE: u64 = 11;

/// `crash`: a timed share on each engine.
pub fn run(arguments: &[&str]) -> Result<()> {
    let binary = build(Build::Failpoints)?;
    let grounds = Ground::of(&Engine::wanted(arguments)?)?;
    run_on(&binary, &System::wanted(arguments)?, &grounds, arguments)
}

/// The same, on these engines.
pub fn run_on(
    binary: &Path,
    systems: &[&'static System],
    grounds: &[Ground],
    arguments: &[&str],
) -> Result<()> {
    let seconds = flag(arguments, "--seconds", 120)?;
    let seed = flag(arguments, "--seed", clock_seed())?;
    let undisturbed = undisturbed(binary, systems, grounds)?;
    for ground in grounds {
        at_failpoints(binary, &undisturbed, ground.engine)?;
    }
    let mut storm = Storm::new("crash", seed, binary, &undisturbed);
    let result = storm.share(Instant::now() + Duration::from_secs(seconds));
    storm.print();
    result
}

/// `soak`: by number.
pub fn soak(arguments: &[&str]) -> Result<()> {
    let wanted = flag(arguments, "--kills", 200)?;
    let wanted_cuts = flag(arguments, "--cuts", 200)?;
    let seed = flag(arguments, "--seed", clock_seed())?;
    let binary = build(Build::Failpoints)?;
    let grounds = Ground::of(&Engine::wanted(arguments)?)?;
    let undisturbed = undisturbed(&binary, &System::wanted(arguments)?, &grounds)?;
    let mut storm = Storm::new("soak", seed, &binary, &undisturbed);
    let result = storm.number(wanted, wanted_cuts);
    storm.print();
    result
}

/// What disturbs a course.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fault {
    /// The process is killed.
    Kill,
    /// A connection to the server is cut.
    Cut,
}

/// Each server and each file meets at least so many kills in a timed share, and each server as many
/// cuts, of which one is at COMMIT …
const LEAST: u64 = 3;
/// … in at most so many courses.
const COURSES_MAX: u64 = 10;
/// So often one command is killed before it is let through: in a timed share, …
const KILLS_SHARE: u64 = 8;
/// … and by number.
const KILLS_MAX: u64 = 40;

/// Random faults, and what came of them.
struct Storm<'a> {
    chore: &'static str,
    seed: u64,
    binary: &'a Path,
    courses: &'a [Course<'a>],
    /// Of each course.
    tallies: Vec<Tally>,
    /// Of each course: for kills, for cuts. So one does not change the other.
    dice: Vec<(Dice, Dice)>,
}

impl<'a> Storm<'a> {
    fn new(chore: &'static str, seed: u64, binary: &'a Path, courses: &'a [Course<'a>]) -> Self {
        let tally = |course: &Course<'_>| Tally::new(course.system.name, course.ground.engine);
        let dice = |course: &Course<'_>| {
            let of = |fault| format!("{} on {}, {fault}", course.system.name, course.ground.engine);
            (Dice::new(seed, &of("kills")), Dice::new(seed, &of("cuts")))
        };
        let tallies = courses.iter().map(tally).collect();
        let dice = courses.iter().map(dice).collect();
        Self { chore, seed, binary, courses, tallies, dice }
    }

    /// One course in turn until the time is up, and until each engine has met enough.
    fn share(&mut self, end: Instant) -> Result<()> {
        let turns: Vec<(usize, Fault)> = (0..self.courses.len())
            .flat_map(|at| [(at, Fault::Kill), (at, Fault::Cut)])
            .filter(|(at, fault)| *fault == Fault::Kill || self.engine(*at) != Engine::Sqlite)
            .collect();
        for (at, fault) in turns.into_iter().cycle() {
            let is_over = Instant::now() >= end;
            if is_over && self.tallies.iter().all(|tally| self.has_met_enough(tally.engine)) {
                break;
            }
            let engine = self.engine(at);
            if !is_over || !self.has_met_enough(engine) {
                self.course(at, fault, KILLS_SHARE)?;
                let tally = &self.tallies[at];
                let courses = tally.kills.courses.max(tally.cuts.courses);
                let is_enough = courses < COURSES_MAX || self.has_met_enough(engine);
                ensure!(is_enough, "{engine}: too few faults in {courses} courses");
            }
        }
        Ok(())
    }

    /// So many kills and cuts of each course.
    fn number(&mut self, kills: u64, cuts: u64) -> Result<()> {
        for at in 0..self.courses.len() {
            while self.tallies[at].kills.total() < kills {
                self.course(at, Fault::Kill, KILLS_MAX)?;
            }
            while self.engine(at) != Engine::Sqlite && self.tallies[at].cuts.total < cuts {
                self.course(at, Fault::Cut, KILLS_MAX)?;
            }
            let Tally { system, engine, cuts, .. } = &self.tallies[at];
            // A quarter at least must be of the kind that only the ledger can settle.
            let is_enough = cuts.at_commit * 4 >= cuts.total;
            ensure!(is_enough, "{system} on {engine}: too few cuts at COMMIT");
            println!("{system} on {engine}: done");
        }
        Ok(())
    }

    /// One course with kills or cuts in every step.
    fn course(&mut self, at: usize, fault: Fault, kills_max: u64) -> Result<()> {
        let (course, tally) = (&self.courses[at], &mut self.tallies[at]);
        let (of_kills, of_cuts) = &mut self.dice[at];
        let began = Instant::now();
        let result = match fault {
            Fault::Kill => at_random(self.binary, course, of_kills, &mut tally.kills, kills_max),
            Fault::Cut => cuts::course(self.binary, course, of_cuts, &mut tally.cuts),
        };
        tally.time += began.elapsed();
        tally.breaks += u64::from(result.is_err());
        let (chore, seed) = (self.chore, self.seed);
        result.with_context(|| format!("reproduce with: cargo xtask {chore} --seed {seed}"))
    }

    fn engine(&self, at: usize) -> Engine {
        self.courses[at].ground.engine
    }

    fn has_met_enough(&self, engine: Engine) -> bool {
        let of = |count: fn(&Tally) -> u64| {
            self.tallies.iter().filter(|it| it.engine == engine).map(count).sum::<u64>()
        };
        let cuts = match engine {
            Engine::Sqlite => true,
            Engine::Postgres | Engine::Mysql => {
                of(|tally| tally.cuts.total) >= LEAST && of(|tally| tally.cuts.at_commit) > 0
            }
        };
        cuts && of(|tally| tally.kills.total()) >= LEAST
    }

    fn print(&self) {
        print!("random faults, seed {}:\n{}", self.seed, table(&self.tallies));
    }
}

/// A seed that nobody has used, to be printed.
pub fn clock_seed() -> u64 {
    #[allow(clippy::disallowed_methods)] // a seed, printed with the result
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_secs())
}

/// A system's course as nobody disturbed it.
pub struct Course<'a> {
    pub system: &'static System,
    pub ground: &'a Ground,
    pub scenes: Vec<Scene<'a>>,
}

/// One step of it.
pub struct Scene<'a> {
    pub step: Step,
    /// How long its command takes.
    took: Duration,
    /// Where everything is ready for the command.
    ready: Site<'a>,
    /// What the target holds after it.
    wanted: Vec<String>,
}

impl Scene<'_> {
    /// Compares a target with what it must hold after this step.
    pub fn compare(&self, system: &System, site: &Site<'_>) -> Result<()> {
        match self.step {
            Step::Migrate => system.check(site, Stage::Migrated).map(|_figures| ())?,
            Step::Again => system.check(site, Stage::Changed).map(|_figures| ())?,
            // What was written down is of a course in another order.
            Step::Incremental | Step::Mended => {
                checker::conservation(&site.look()?)?;
            }
        }
        let actual = checker::fingerprint(&site.look()?)?;
        checker::same_lines("the target and its ledger", &actual, &self.wanted)
    }
}

fn undisturbed<'a>(
    binary: &Path,
    systems: &[&'static System],
    grounds: &'a [Ground],
) -> Result<Vec<Course<'a>>> {
    let mut courses = Vec::new();
    // Engine after engine in turn, so that a share of time reaches all of them.
    for system in systems.iter().filter(|system| matches!(system.legacy, Legacy::Folder)) {
        for ground in grounds {
            let what = || format!("`{}` on {}", system.name, ground.engine);
            courses.push(play(binary, system, ground).with_context(what)?);
        }
    }
    ensure!(!courses.is_empty(), "crashes are of systems whose legacy data is a folder");
    Ok(courses)
}

fn play<'a>(binary: &Path, system: &'static System, ground: &'a Ground) -> Result<Course<'a>> {
    let site = Site::of(system, ground, Some(BATCH_SIZE))?;
    let mut scenes = Vec::new();
    for step in COURSE {
        step.prepare(binary, system, &site)?;
        let ready = site.copy()?;
        let began = Instant::now();
        expect(binary, &site, step.command(), &[3])?;
        let took = began.elapsed();
        let wanted = checker::fingerprint(&site.look()?)?;
        let scene = Scene { step, took, ready, wanted };
        scene.compare(system, &site).with_context(|| step.name().to_owned())?;
        scenes.push(scene);
    }
    Ok(Course { system, ground, scenes })
}

/// Whether a step has no reason to pass a failpoint.
fn is_beside(step: Step, point: &str) -> bool {
    match step {
        Step::Migrate => point == "core.retry.chunk_read",
        Step::Incremental => point == "core.retry.chunk_read" || is_done(point),
        // Single records are read, no whole file.
        Step::Mended => point == "core.load.chunk_read" || is_done(point),
        Step::Again => is_done(point),
    }
}

/// Whether a point is of what the first step does once for all: the ledger, the tables.
fn is_done(point: &str) -> bool {
    point.contains("ledger")
        || point.starts_with("core.prepare.")
        || point.starts_with("sql.definition.")
}

fn at_failpoints(binary: &Path, undisturbed: &[Course<'_>], engine: Engine) -> Result<()> {
    let points = failpoints(engine)?;
    let mut killed = 0;
    for (index, step) in COURSE.into_iter().enumerate() {
        let mut passed = BTreeSet::new();
        for course in undisturbed.iter().filter(|course| course.ground.engine == engine) {
            for point in &points {
                let kills = at_failpoint(binary, course.system, &course.scenes[index], point)?;
                if kills > 0 {
                    passed.insert(point.as_str());
                }
                killed += kills;
            }
        }
        let missed = points.iter().map(String::as_str).filter(|point| !passed.contains(point));
        let missed: Vec<&str> = missed.filter(|point| !is_beside(step, point)).collect();
        let step = step.name();
        ensure!(
            missed.is_empty(),
            "{step} on {engine}: failpoints that nothing passes: {missed:?}"
        );
    }
    let points = points.len();
    println!(
        "failpoints on {engine}: {killed} kills at {points} points, in each step of each course"
    );
    Ok(())
}

/// Whether a point is one of steps that no course has: systems whose legacy data is a database are
/// killed at those of relate steps, tests of their own at those around parked indexes and around tables
/// that are undone.
fn is_elsewhere(point: &str) -> bool {
    let elsewhere = ["core.relate.", "core.indexes.", "sql.indexes.", "sql.undo."];
    elsewhere.iter().any(|steps| point.starts_with(steps))
}

/// Every name in a `failpoint!("…")` of the sources but those of other engines, and those of steps
/// that no course has.
fn failpoints(engine: Engine) -> Result<Vec<String>> {
    let others = Engine::ALL.into_iter().filter(|other| *other != engine);
    let others: Vec<PathBuf> =
        others.map(|other| root().join("crates/sql/src").join(other.name())).collect();
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> = vec![root().join("crates")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                if !others.contains(&path) {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path)?;
                let names_here =
                    text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split_once('"'));
                names.extend(
                    names_here
                        .map(|(name, _)| name.to_owned())
                        .filter(|name| name.contains('.') && !is_elsewhere(name)),
                );
            }
        }
    }
    ensure!(!names.is_empty(), "no failpoints found");
    Ok(names.into_iter().collect())
}

/// Kills at a failpoint, at its first and at a later pass; returns how often it was passed.
fn at_failpoint(binary: &Path, system: &System, scene: &Scene<'_>, point: &str) -> Result<u64> {
    let command = scene.step.command();
    let mut kills = 0;
    for pass in [1, 4] {
        let site = &scene.ready.copy()?;
        let armed = format!("{point}:{pass}");
        let killed = run_armed(binary, site, command, &armed)?;
        match killed.code {
            None => kills += 1,
            // It is not passed that often, and that the command works is known.
            Some(3) => break,
            Some(code) => bail!("{armed} ended with {code}\n{}", killed.stderr),
        }
        let what = || {
            format!(
                "a kill at {armed} in `{}` on {}, {}",
                system.name,
                site.engine(),
                scene.step.name()
            )
        };
        expect(binary, site, command, &[0, 3]).with_context(what)?;
        scene.compare(system, site).with_context(what)?;
    }
    Ok(kills)
}

/// Kills at random moments of every step until it gets through.
fn at_random(
    binary: &Path,
    course: &Course<'_>,
    dice: &mut Dice,
    kills: &mut Kills,
    kills_max: u64,
) -> Result<()> {
    let system = course.system;
    let site = &Site::of(system, course.ground, Some(BATCH_SIZE))?;
    for scene in &course.scenes {
        scene.step.prepare(binary, system, site)?;
        let mut moments = Vec::new();
        let killed = until_done(binary, site, scene, dice, kills_max, &mut moments)
            .and_then(|killed| scene.compare(system, site).map(|()| killed));
        let what = || {
            format!(
                "`{}` on {}, {}, kills at {moments:?}",
                system.name,
                site.engine(),
                scene.step.name()
            )
        };
        *kills.steps.entry(scene.step).or_default() += killed.with_context(what)?;
    }
    kills.courses += 1;
    Ok(())
}

/// Runs the command of a step again and again, killed at random moments, until it gets through;
/// returns how often it was killed.
fn until_done(
    binary: &Path,
    site: &Site<'_>,
    scene: &Scene<'_>,
    dice: &mut Dice,
    kills_max: u64,
    moments: &mut Vec<Duration>,
) -> Result<u64> {
    let (mut kills, step) = (0, scene.step);
    let took = u64::try_from(scene.took.as_micros())?;
    while kills < kills_max {
        // Most kills early, where schema and ledger come into being; some until after its end.
        let span = [5_000, took / 4 + 1, took * 5 / 4 + 1][usize::try_from(dice.below(3))?];
        let after = Duration::from_micros(dice.below(span) + 500);
        moments.push(after);
        let run = run_killed(binary, site, step.command(), after)?;
        match run.code {
            None => kills += 1,
            Some(0 | 3) => return Ok(kills),
            Some(code) => bail!("it ended with {code}\n{}", run.stderr),
        }
        // Whoever retries all again asks for another run: killed after its end, it has ended.
        if step == Step::Again
            && site.look().and_then(|target| checker::runs(&target, KINDS)).is_ok()
        {
            return Ok(kills);
        }
    }
    expect(binary, site, step.command(), &[0, 3])?;
    Ok(kills)
}
