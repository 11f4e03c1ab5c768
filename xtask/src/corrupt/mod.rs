//! `corrupt`: correctly migrated targets are damaged in one way after another, by plain SQL, and
//! `verify` must find each, name its row, and find nothing where nothing is.
//!
//! ```text
//! migrated ─▶ verify: nothing ─▶ ┌ damage ─▶ what differs now, by the engine's client ─▶ verify ─▶ compare ┐ ─▶ verify: nothing
//!                                └───────────────────────── as it was ◀───────────────────────────────────┘
//! ```
//! What must be found is not what was meant to be done, but what is different afterwards.

mod cells;
mod door;
mod instant;
mod json;
mod kinds;
mod matrix;
mod patient;
mod rows;
mod shape;
mod verdict;

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use whimbrel_testkit::Dice;

use self::cells::Scene;
use self::door::Door;
use self::kinds::{Finder, KINDS, Kind, Place};
use self::matrix::{Entry, Matrix};
use self::patient::{Difference, Table};
pub use self::verdict::untouched;
use self::verdict::{LEVELS, Look, Outcome};
use crate::binary::{Build, build, expect};
use crate::course::Step;
use crate::crash::clock_seed;
use crate::engine::{Engine, Ground};
use crate::fixtures::{Legacy, SYSTEMS, System};
use crate::site::Site;

/// A system of values that the others lack. Nothing else is done with it.
static VALUES: System =
    System::new("values", "values", "values.db", Legacy::Database(Engine::Sqlite));

/// A way to do damage.
pub struct Wound {
    statements: Vec<String>,
    /// Whether it cannot be undone row by row.
    on_a_copy: bool,
}

impl Wound {
    pub fn of(statements: Vec<String>) -> Self {
        Self { statements, on_a_copy: false }
    }

    pub fn on_a_copy(statements: Vec<String>) -> Self {
        Self { statements, on_a_copy: true }
    }
}

/// What is asked for.
struct Wanted<'a> {
    systems: Vec<&'static System>,
    kinds: Vec<&'static Kind>,
    levels: Vec<&'static str>,
    seed: u64,
    /// Every kind on every system, not on the first that has something for it.
    is_all: bool,
    engines: Vec<Engine>,
    binary: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    fn of(arguments: &[&'a str]) -> Result<Self> {
        let all: Vec<&System> = SYSTEMS.iter().chain([&VALUES]).collect();
        let mut wanted = Self {
            systems: Vec::new(),
            kinds: Vec::new(),
            levels: Vec::new(),
            seed: clock_seed(),
            is_all: false,
            engines: Vec::new(),
            binary: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if *word == "--all" {
                wanted.is_all = true;
                continue;
            }
            let value = words.next().with_context(|| format!("{word} needs a value"))?;
            match *word {
                "--system" => {
                    let system = all.iter().find(|system| system.name == *value);
                    wanted
                        .systems
                        .push(system.with_context(|| format!("no such system: {value}"))?);
                }
                "--engine" => wanted.engines.extend(Engine::wanted(&["--engine", value])?),
                "--kinds" => {
                    let is_meant = |kind: &&Kind| value.split(',').any(|it| kind.name.contains(it));
                    wanted.kinds.extend(KINDS.iter().filter(is_meant));
                    ensure!(!wanted.kinds.is_empty(), "no such kind: {value}");
                }
                "--level" => {
                    let level = LEVELS.into_iter().find(|level| level == value);
                    wanted.levels.push(level.with_context(|| format!("no such level: {value}"))?);
                }
                "--seed" => wanted.seed = value.parse().context("--seed needs a number")?,
                "--binary" => wanted.binary = Some(value),
                _ => bail!("corrupt does not know {word}"),
            }
        }
        if wanted.systems.is_empty() {
            wanted.systems = all;
        }
        if wanted.kinds.is_empty() {
            wanted.kinds = KINDS.iter().collect();
        }
        if wanted.levels.is_empty() {
            wanted.levels = if wanted.is_all { LEVELS.to_vec() } else { vec!["rigorous"] };
        }
        if wanted.engines.is_empty() {
            wanted.engines = Engine::ALL.to_vec();
        }
        Ok(wanted)
    }
}

/// `corrupt [--system S]… [--engine E]… [--kinds K,…] [--level L]… [--seed N] [--all]`
pub fn run(arguments: &[&str]) -> Result<()> {
    let wanted = Wanted::of(arguments)?;
    let binary = match wanted.binary {
        Some(path) => fs::canonicalize(path)?,
        None => build(Build::Failpoints)?,
    };
    let grounds = Ground::of(&wanted.engines)?;
    carry_out(&binary, &grounds, &wanted)
}

/// The part for every day: each kind once on each engine, on one of the systems in turn.
pub fn run_on(binary: &Path, grounds: &[Ground], arguments: &[&str]) -> Result<()> {
    carry_out(binary, grounds, &Wanted::of(arguments)?)
}

fn carry_out(binary: &Path, grounds: &[Ground], wanted: &Wanted<'_>) -> Result<()> {
    let began = Instant::now();
    println!("damage, seed {}", wanted.seed);
    let mut matrix = Matrix::new(&wanted.kinds, &wanted.levels);
    for ground in grounds {
        let began = Instant::now();
        let wards: Vec<Ward<'_>> =
            wanted.systems.iter().map(|system| Ward::new(system, ground)).collect();
        for (number, kind) in wanted.kinds.iter().enumerate() {
            let turn = (number + ground.engine as usize) % wards.len();
            let (head, tail) = wards.split_at(turn);
            for entry in one_kind(binary, kind, tail.iter().chain(head), wanted)? {
                matrix.add(kind, ground.engine, entry);
            }
        }
        for ward in &wards {
            if let Some(bed) = ward.bed.get() {
                let what = || format!("at the end, `{}` on {}", ward.system.name, ground.engine);
                untouched(binary, &bed.site, false).with_context(what)?;
            }
        }
        println!("{}: {:.0} s", ground.engine, began.elapsed().as_secs_f64());
    }
    print!("{}", matrix.table());
    println!("{:.0} s", began.elapsed().as_secs_f64());
    let failures = matrix.failures();
    let again = format!("reproduce with: cargo xtask corrupt --seed {}", wanted.seed);
    ensure!(failures.is_empty(), "{} of damage:\n{}\n{again}", failures.len(), failures.join("\n"));
    Ok(())
}

/// A kind on the first system that has something for it, or on all.
fn one_kind<'w, 'a: 'w>(
    binary: &Path,
    kind: &Kind,
    wards: impl Iterator<Item = &'w Ward<'a>>,
    wanted: &Wanted<'_>,
) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut reasons = Vec::new();
    for ward in wards {
        let (system, engine) = (ward.system, ward.ground.engine);
        let what = || format!("{} in `{}` on {engine}", kind.name, system.name);
        let bed = ward.bed(binary).with_context(|| format!("`{}` on {engine}", system.name))?;
        let mut dice = Dice::new(wanted.seed, &what());
        let treated = bed.treat(binary, kind, &mut dice, &wanted.levels).with_context(what)?;
        match treated {
            Treated::Done(outcomes, damage) => {
                entries.push(Entry::Done { system: system.name, outcomes, damage });
                if !wanted.is_all {
                    return Ok(entries);
                }
            }
            Treated::NotHere(reason) => reasons.push(reason),
        }
    }
    if entries.is_empty() {
        // What an engine refuses says more than that a system has no such value.
        reasons.sort_by_key(|reason| reason == NO_SUCH_VALUE);
        entries.push(Entry::NotHere(reasons.into_iter().next().unwrap_or_default()));
    }
    Ok(entries)
}

/// A system on an engine, migrated once it is needed.
struct Ward<'a> {
    system: &'static System,
    ground: &'a Ground,
    bed: OnceCell<Bed<'a>>,
}

impl<'a> Ward<'a> {
    fn new(system: &'static System, ground: &'a Ground) -> Self {
        Self { system, ground, bed: OnceCell::new() }
    }

    fn bed(&self, binary: &Path) -> Result<&Bed<'a>> {
        if self.bed.get().is_none() {
            let bed = Bed::new(binary, self.system, self.ground)?;
            ensure!(self.bed.set(bed).is_ok(), "it was empty");
        }
        self.bed.get().context("it was set")
    }
}

/// A migrated target.
struct Bed<'a> {
    site: Site<'a>,
    tables: Vec<Table>,
    /// Of SQLite, a copy of the file.
    whole: Option<PathBuf>,
}

/// What came of a kind on a system.
enum Treated {
    /// At each level; and what was done.
    Done(Vec<Outcome>, String),
    NotHere(String),
}

/// What came of one way to do damage.
struct One {
    /// At each level; why there are none, where the engine has refused it or keeps the value as it was.
    outcomes: Result<Vec<Outcome>, String>,
    /// What undoes it.
    mend: Vec<String>,
}

const NO_SUCH_VALUE: &str = "nothing there to which it could happen";

impl<'a> Bed<'a> {
    fn new(binary: &Path, system: &System, ground: &'a Ground) -> Result<Self> {
        // Small batches: a batch that is gone is not everything.
        let site = Site::of(system, ground, Some(50))?;
        expect(binary, &site, Step::Migrate.command(), &[3])?;
        untouched(binary, &site, false)?;
        let tables = patient::tables(&Self::door_of(&site)?)?;
        let copy = |file: &Path| -> Result<PathBuf> {
            let copy = file.with_extension("whole");
            fs::copy(file, &copy)?;
            Ok(copy)
        };
        let whole = site.file().map(copy).transpose()?;
        Ok(Self { site, tables, whole })
    }

    fn door_of<'s>(site: &'s Site<'_>) -> Result<Door<'s>> {
        match (site.database(), site.file()) {
            (Some(database), _) => Ok(Door::Database(database, site.engine())),
            (None, Some(file)) => Ok(Door::File(file.to_owned())),
            (None, None) => bail!("a target is a file or a database"),
        }
    }

    /// Does the damage, looks what it is, has it looked for, and undoes it.
    fn treat(
        &self,
        binary: &Path,
        kind: &Kind,
        dice: &mut Dice,
        levels: &[&str],
    ) -> Result<Treated> {
        let door = Self::door_of(&self.site)?;
        let scene = Scene { door: &door, tables: &self.tables };
        if kind.finder == Finder::Anchor {
            let _absent = fs::remove_file(self.site.folder().join("anchor.json"));
            expect(binary, &self.site, &["audit", "anchor", "anchor.json"], &[0])?;
        }
        let mut reason = NO_SUCH_VALUE.to_owned();
        for wound in (kind.ways)(&scene, dice) {
            let mut look = Look { binary, site: &self.site, target: None };
            let done = if let (Door::Database(database, engine), true) = (&door, wound.on_a_copy) {
                let spare = database.copy("spare")?;
                look.target = Some(spare.url());
                let door = Door::Database(&spare, *engine);
                self.one(&look, &door, kind, &wound, levels)?.outcomes
            } else {
                let done = self.one(&look, &door, kind, &wound, levels)?;
                self.restore(&door, &done.mend)?;
                done.outcomes
            };
            match done {
                Ok(outcomes) => return Ok(Treated::Done(outcomes, told(&wound.statements))),
                Err(refusal) => reason = refusal,
            }
        }
        Ok(Treated::NotHere(reason))
    }

    /// Damage of one way.
    fn one(
        &self,
        look: &Look<'_>,
        door: &Door<'_>,
        kind: &Kind,
        wound: &Wound,
        levels: &[&str],
    ) -> Result<One> {
        if let Err(error) = door.run(&wound.statements) {
            let outcomes = Err(refusal(&format!("{error:#}")));
            return Ok(One { outcomes, mend: Vec::new() });
        }
        let (found, is_readable) = match patient::difference(door, &self.tables) {
            Ok(found) => (found, true),
            // A table or a column is gone.
            Err(_) if wound.on_a_copy => (Difference::default(), false),
            Err(error) => return Err(error),
        };
        if kind.place != Place::Ledger && is_readable && found.hits.is_empty() {
            let outcomes = Err("the engine keeps the value as it was".to_owned());
            return Ok(One { outcomes, mend: found.mend });
        }
        let outcomes = Ok(verdict::of(look, kind, levels, &found.hits, &self.tables)?);
        Ok(One { outcomes, mend: found.mend })
    }

    /// As it was before the damage.
    fn restore(&self, door: &Door<'_>, mend: &[String]) -> Result<()> {
        if let (Some(whole), Door::File(file)) = (&self.whole, door) {
            for suffix in ["-wal", "-shm", "-journal"] {
                let mut name = file.clone().into_os_string();
                name.push(suffix);
                let _absent = fs::remove_file(name);
            }
            fs::copy(whole, file)?;
        } else if !mend.is_empty() {
            door.run(mend)?;
        }
        Ok(())
    }
}

/// What was done, for people.
fn told(statements: &[String]) -> String {
    let first = statements.first().map_or("", String::as_str);
    let mut first: String = first.split_whitespace().collect::<Vec<_>>().join(" ");
    if first.chars().count() > 400 {
        first = format!("{}…", first.chars().take(400).collect::<String>());
    }
    match statements.len() {
        0 | 1 => first,
        more => format!("{first} (and {} more)", more - 1),
    }
}

/// The last line of what a client says.
fn refusal(error: &str) -> String {
    let line = error.lines().find(|line| line.contains("ERROR")).or(error.lines().next());
    let line = line.unwrap_or_default();
    let line = line.split_once("ERROR").map_or(line, |(_, rest)| rest);
    let line: String = line.trim_start_matches([':', ' ']).chars().take(90).collect();
    format!("refused: {line}")
}
