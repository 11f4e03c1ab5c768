//! Verification of what runs have loaded: level by level, against the ledger and against the rows.
//!
//! ```text
//! ledger ─▶ what was loaded into each table, by which runs ─┐
//! target ─▶ one snapshot: structure, counts ────────────────┼─▶ checks, each passed, failed, noted
//!           every row: digests, NULLs, kinds, orphans ──────┘   or not possible
//! ```
//! The ledger says what should stand in a table: sums of digests, and in the undo journal the digest of
//! every row. What stands there is read back on connections of its own, after everything was committed.
//! Nothing is written here; whoever asked writes down what came of it.

mod basic;
mod beside;
mod explained;
mod fates;
pub(crate) mod filled;
mod forensic;
mod journal;
mod mappings;
mod profile;
pub(crate) mod remembered;
mod rigorous;
mod standard;
mod vouched;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value as Json, json};
use whimbrel_endpoint::{EndpointError, Snapshot, Target};
use whimbrel_ledger::{Check, CheckStatus, Run, audit, check};

use crate::codes;
use crate::compare::Found;
use crate::lineage::Sealed;
use crate::rules::Rules;
use crate::sorter::Room;

pub use filled::{Filled, Load, filled};
pub use forensic::{row_digest, row_key, source_key};
pub use rigorous::Again;

/// How closely is looked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Counts, conservation, structure.
    Basic,
    /// Also a digest of every row, read back; references, NULLs, kinds.
    Standard,
    /// Also every row derived anew from the sources, and compared cell by cell.
    Rigorous,
    /// Also what became of every record, written down as a lineage; the audit log.
    Forensic,
}

impl Level {
    /// Every level, the closest last.
    pub const ALL: [Self; 4] = [Self::Basic, Self::Standard, Self::Rigorous, Self::Forensic];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Rigorous => "rigorous",
            Self::Forensic => "forensic",
        }
    }

    /// The level of that name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.word() == word)
    }
}

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// As it should be.
    Passed,
    /// It is not.
    Failed,
    /// Nothing is wrong, but somebody should know.
    Noted,
    /// Whether it is could not be found out.
    Unverified,
}

/// A check and its outcome.
#[derive(Clone, PartialEq, Debug)]
pub struct Checked {
    /// `structure`, `conservation`, `count`, `digest`, `reference` …
    pub kind: &'static str,
    /// What was checked: a table, `table.column` …
    pub name: String,
    /// What came of it.
    pub status: Status,
    /// What was expected, where it is a count.
    pub expected: Option<u64>,
    /// What was found.
    pub actual: Option<u64>,
    /// What is wrong, or should be known.
    pub message: Option<String>,
    /// For programs.
    pub details: Json,
}

impl Checked {
    /// A check that passed.
    pub fn passed(kind: &'static str, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            status: Status::Passed,
            expected: None,
            actual: None,
            message: None,
            details: Json::Null,
        }
    }

    pub(crate) fn ended(self, status: Status, message: impl Into<String>) -> Self {
        Self { status, message: Some(message.into()), ..self }
    }

    /// As a row of the ledger.
    pub fn as_row(&self, run: &str, seq: u64, phase: &str, now: &str) -> Check {
        Check {
            run: run.to_owned(),
            seq,
            phase: phase.to_owned(),
            check_type: self.kind.to_owned(),
            check_name: self.name.clone(),
            status: match self.status {
                Status::Passed => CheckStatus::Passed,
                Status::Failed => CheckStatus::Failed,
                Status::Unverified => CheckStatus::Unverified,
                Status::Noted => CheckStatus::Noted,
            },
            expected_count: self.expected,
            actual_count: self.actual,
            details: (!self.details.is_null()).then(|| self.details.to_string()),
            error_message: self.message.clone(),
            created_at: now.to_owned(),
        }
    }

    pub(crate) fn counts(self, expected: u64, actual: u64) -> Self {
        Self { expected: Some(expected), actual: Some(actual), ..self }
    }
}

/// What came of a verification.
#[derive(Debug)]
pub struct Verification {
    /// How closely was looked.
    pub level: Level,
    /// As a phase of the run.
    pub within_run: bool,
    /// Every check.
    pub checks: Vec<Checked>,
    /// Rows that differ, by table: the first of each.
    pub found: Vec<(String, Found)>,
    /// Rows in the tables, and how many of them were proved one by one.
    pub coverage: Coverage,
    /// The leaves of `forensic`, whose head is still to be made.
    pub lineage: Option<Sealed>,
    /// The end of the audit log, where that was verified.
    pub audit: Option<audit::Head>,
}

/// How much of what stands in the tables was proved.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Coverage {
    /// Rows that were read.
    pub rows: u64,
    /// Of these, rows whose digest is the one that the load has written down.
    pub proved: u64,
    /// Of these, rows that were derived from the sources again, and are equal.
    pub derived: u64,
    /// Of these, rows in tables that SQL of the plan has written: as they were when that had run.
    pub attested: u64,
}

impl Verification {
    /// Nothing failed, and everything was looked at.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| matches!(check.status, Status::Passed | Status::Noted))
    }

    /// Something differs.
    pub fn failed(&self) -> bool {
        self.checks.iter().any(|check| check.status == Status::Failed)
    }
}

/// What is verified.
pub struct Request<'a> {
    /// The target.
    pub target: &'a dyn Target,
    /// The newest run of a plan; everything that its line has loaded is verified.
    pub run: &'a Run,
    /// How closely.
    pub level: Level,
    /// It is a phase of the run: what it has loaded itself is verified. Of rows that stood there before,
    /// others may have changed some, and add more meanwhile.
    pub within_run: bool,
    /// What rows are derived from, for `rigorous`.
    pub again: Option<Again<'a>>,
    /// The folder of lineages, for `forensic`.
    pub lineage: Option<&'a Path>,
    /// The plan's own rules.
    pub rules: Option<&'a Rules<'a>>,
    /// Where rows are sorted, if they have to be.
    pub room: Room,
    /// Rows that differ, of each table.
    pub samples: usize,
}

/// Verifies everything that the line of a run has loaded, or the run alone as a phase of it.
///
/// Errors of the target are errors here: neither passed nor failed. Class `Changed`, code `WB0301`: the
/// ledger itself is damaged.
pub async fn verify(request: &Request<'_>) -> Result<Verification, EndpointError> {
    let target = request.target;
    let tables = filled(target, request.run, request.within_run).await?;
    let mut verification = Verification {
        level: request.level,
        within_run: request.within_run,
        checks: if request.within_run {
            // Its end looks at the accounts itself.
            Vec::new()
        } else {
            basic::ledger(target, &tables).await?
        },
        found: Vec::new(),
        coverage: Coverage::default(),
        lineage: None,
        audit: None,
    };
    let snapshot = target.snapshot()?;
    for table in &tables {
        if table.loads.is_empty() {
            if request.level >= Level::Standard {
                standard::rest(request, &*snapshot, table, &mut verification).await?;
            }
            continue;
        }
        let there = basic::structure(&*snapshot, table, &mut verification.checks).await?;
        if !there {
            continue;
        }
        basic::count(request, &*snapshot, table, &mut verification.checks).await?;
        if request.level >= Level::Standard {
            standard::table(request, &*snapshot, table, &mut verification).await?;
            standard::rest(request, &*snapshot, table, &mut verification).await?;
        }
    }
    if request.level >= Level::Standard {
        references(&*snapshot, &tables, &mut verification).await?;
        vouched::counters(request, &*snapshot, &tables, &mut verification).await?;
    }
    if request.level >= Level::Rigorous {
        vouched::constraints(&*snapshot, &tables, &mut verification).await?;
    }
    if let Some(again) = request.again.filter(|_| request.level >= Level::Rigorous) {
        rigorous::tables(request, again, &*snapshot, &tables, &mut verification).await?;
    }
    if let Some(rules) = request.rules {
        verification.checks.extend(rules.of_target(request.level, &*snapshot).await?);
        if request.level >= Level::Rigorous && !request.within_run {
            verification.checks.extend(rules.in_time(&*snapshot).await?);
        }
    }
    if request.level >= Level::Forensic && verification.lineage.is_none() {
        let check = Checked::passed("lineage", &request.run.id);
        let message = "no record could be derived anew; the checks before say why";
        verification.checks.push(check.ended(Status::Unverified, message));
    }
    Ok(verification)
}

/// Every declared reference of the tables, whether or not the engine enforces it.
async fn references(
    snapshot: &dyn Snapshot,
    tables: &[Filled],
    verification: &mut Verification,
) -> Result<(), EndpointError> {
    let catalogue = match snapshot.catalogue().await {
        Err(error) if error.code == whimbrel_endpoint::codes::UNSUPPORTED => return Ok(()),
        catalogue => catalogue?,
    };
    let names: BTreeSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    for entry in catalogue.tables.iter().filter(|entry| names.contains(entry.name.as_str())) {
        let Some(table) = snapshot.describe(&entry.name).await? else { continue };
        for reference in entry.references.iter().filter(|reference| !reference.guessed) {
            let name = format!("{}.{}", entry.name, reference.columns.join("+"));
            let check = Checked::passed("reference", name);
            if snapshot.describe(&reference.parent).await?.is_none() {
                let message = format!("there is no table `{}`", reference.parent);
                verification.checks.push(check.ended(Status::Failed, message));
                continue;
            }
            let orphans = snapshot.orphans(&table, reference).await?;
            let check = check.counts(0, orphans.rows);
            verification.checks.push(if orphans.rows == 0 {
                check
            } else {
                let message = format!(
                    "{} of `{}` point to a row of `{}` that is not there",
                    counted(orphans.rows, "row"),
                    entry.name,
                    reference.parent
                );
                check.ended(Status::Failed, message)
            });
        }
    }
    Ok(())
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// The number of the first check of the phase of a run: those of its other phases stand before it.
pub const FIRST: u64 = 1_000_000;

/// The checks as rows of the ledger, and one that says what came of all of them. A run's own phase numbers
/// them from [`FIRST`], in the place of what an attempt before has left there; others come behind.
pub async fn as_rows(
    target: &dyn Target,
    run: &Run,
    verification: &Verification,
    now: &str,
) -> Result<Vec<Check>, EndpointError> {
    let known = check::of_run(target, &run.id).await?;
    let behind = known.last().map_or(0, |last| last.seq + 1);
    let first = if verification.within_run { FIRST } else { behind.max(FIRST) };
    let row = |(index, checked): (usize, &Checked)| {
        checked.as_row(&run.id, first + index as u64, "verify", now)
    };
    let mut rows: Vec<Check> = verification.checks.iter().enumerate().map(row).collect();
    let Coverage { rows: all, proved, derived, attested } = verification.coverage;
    let whole = Checked {
        details: json!({ "rows": all, "proved": proved, "derived": derived, "attested": attested }),
        ..Checked::passed(VERDICT, verification.level.word())
    };
    let of = |status: Status| {
        let checks = verification.checks.iter();
        counted(checks.filter(|check| check.status == status).count() as u64, "check")
    };
    let whole = if verification.passed() {
        whole
    } else if verification.failed() {
        whole.ended(Status::Failed, format!("{} failed", of(Status::Failed)))
    } else {
        let message = format!("{} could not be made", of(Status::Unverified));
        whole.ended(Status::Unverified, message)
    };
    rows.push(row((rows.len(), &whole)));
    Ok(rows)
}

/// The type of the check that says what came of a whole verification.
pub const VERDICT: &str = "verification";

/// Code of the refusal to go on after a verification that failed.
pub const STANDS_FAILED: &str = codes::STANDS_FAILED;
