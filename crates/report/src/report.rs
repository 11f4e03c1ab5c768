//! What a report says: plain data, every list bounded, every legacy text escaped and cut.

use serde::Serialize;
use serde_json::Value as Json;

/// The name of this form; fields are only ever added under it.
pub const SCHEMA: &str = "whimbrel/report/v1";

/// Everything about one run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RunReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What the run did. Equal for a run that was killed and resumed and one that was not.
    pub outcome: Outcome,
    /// Sums of digests per table. Keyed by the target's own project key: comparable between runs
    /// of one target, not between targets.
    pub digests: Listed<TableDigests>,
    /// Times, ids, attempts, borders of batches, and what to do next.
    pub circumstances: Circumstances,
}

/// The first of a list, and how many there are beyond.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Listed<T> {
    /// Those that are listed.
    pub shown: Vec<T>,
    /// How many more there are.
    pub more: u64,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { shown: Vec::new(), more: 0 }
    }
}

impl<T> Listed<T> {
    /// The first `max` of all.
    pub fn first(mut all: Vec<T>, max: usize) -> Self {
        let more = all.len().saturating_sub(max) as u64;
        all.truncate(max);
        Self { shown: all, more }
    }

    /// One more, if there is room for it.
    pub fn push(&mut self, max: usize, one: impl FnOnce() -> T) {
        if self.shown.len() < max {
            self.shown.push(one());
        } else {
            self.more += 1;
        }
    }
}

/// What the run did.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Outcome {
    /// Name of the plan.
    pub plan: String,
    /// Digest of the plan's mapping, in hex.
    pub plan_digest: String,
    /// `full` or `incremental`.
    pub kind: &'static str,
    /// `running`, `interrupted`, `failed`, `completed`.
    pub status: &'static str,
    /// `preflight`, `prepare`, `load`, `relate`, `finish`.
    pub phase: &'static str,
    /// The status, the rejects and the accounts in one word.
    pub verdict: Verdict,
    /// Version of the program that began the run.
    pub tool_version: String,
    /// What decides which records are taken, as JSON.
    pub options: Json,
    /// What stopped the run.
    pub error: Option<Stop>,
    /// What was found, per source.
    pub sources: Listed<SourceRow>,
    /// Source units of all tables together.
    pub units: UnitAccounts,
    /// Target rows of all tables together.
    pub rows: RowAccounts,
    /// True where every account of every table balances, in counts, bytes and digests, and every
    /// rejected unit is listed.
    pub balanced: bool,
    /// The accounts of each table, in the order of the steps.
    pub tables: Listed<TableRow>,
    /// The steps of the plan's own SQL, in their order.
    pub relates: Listed<RelateRow>,
    /// What the plan changed, warned about or left out, by table, code, column and rule.
    pub notes: Listed<NoteRow>,
    /// Files with the most rejects.
    pub worst_files: Listed<FileRow>,
    /// Files left out or rejected as a whole.
    pub set_aside: Listed<SetAside>,
    /// Rejects.
    pub rejects: Rejects,
    /// What was checked.
    pub checks: Listed<CheckRow>,
    /// Checkpoints by name.
    pub checkpoints: Listed<CheckpointRow>,
    /// What is odd about the ledger itself.
    pub remarks: Listed<Remark>,
}

/// How a run stands, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Complete, and every unit is where it should be or knowingly left out.
    Complete,
    /// Complete, with rejects that wait.
    CompleteWithRejects,
    /// The accounts do not balance.
    Unbalanced,
    /// Stopped because something is wrong.
    Failed,
    /// Stopped at a checkpoint.
    Interrupted,
    /// A process works on it, or died doing so.
    Running,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 6] = [
        Self::Complete,
        Self::CompleteWithRejects,
        Self::Unbalanced,
        Self::Failed,
        Self::Interrupted,
        Self::Running,
    ];

    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::CompleteWithRejects => "complete, with rejects",
            Self::Unbalanced => "the accounts do not balance",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Running => "not finished",
        }
    }
}

/// What stopped a run.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Stop {
    /// A code that `explain` knows.
    pub code: String,
    /// The message, bounded.
    pub message: String,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde hands over a reference
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What was found of a source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SourceRow {
    /// Its name in the plan.
    pub source: String,
    /// Files.
    pub files: u64,
    /// Where it is a database: the tables or queries that were read.
    #[serde(skip_serializing_if = "is_zero")]
    pub tables: u64,
    /// Bytes of all files.
    pub bytes: u64,
}

/// How many, and how many bytes they stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Figure {
    /// Units or rows.
    pub count: u64,
    /// Bytes: of the source for units, of the canonical encoding for rows.
    pub bytes: u64,
}

/// Source units: read = loaded + updated + unchanged + rejected + filtered + duplicate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)] // the classes of `whimbrel_model::Class`
pub struct UnitAccounts {
    pub read: Figure,
    pub loaded: Figure,
    pub updated: Figure,
    pub unchanged: Figure,
    pub rejected: Figure,
    pub filtered: Figure,
    pub duplicate: Figure,
}

impl UnitAccounts {
    /// The classes by name, in the order of reports.
    pub fn classes(&self) -> [(&'static str, Figure); 6] {
        [
            ("loaded", self.loaded),
            ("updated", self.updated),
            ("unchanged", self.unchanged),
            ("rejected", self.rejected),
            ("filtered", self.filtered),
            ("duplicate", self.duplicate),
        ]
    }
}

/// Target rows: produced = inserted + updated + unchanged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)] // the classes of `whimbrel_model::RowClass`
pub struct RowAccounts {
    pub produced: Figure,
    pub inserted: Figure,
    pub updated: Figure,
    pub unchanged: Figure,
}

/// One table of the plan.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct TableRow {
    /// Ordinal of its step.
    pub step: u64,
    /// The table.
    pub table: String,
    /// `pending`, `running`, `completed`, `failed`.
    pub status: &'static str,
    /// Source units.
    pub units: UnitAccounts,
    /// True where the units balance in counts, bytes and digests.
    pub units_balance: bool,
    /// Target rows.
    pub rows: RowAccounts,
    /// True where the rows balance in counts, bytes and digests.
    pub rows_balance: bool,
    /// Rejects in the ledger: one for each rejected unit.
    pub rejects_listed: u64,
    /// True where they are as many as the account says; not looked at while a run is under way.
    pub rejects_agree: bool,
    /// Its files.
    pub files: FilesOfTable,
}

/// How the files of a table stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FilesOfTable {
    /// All.
    pub total: u64,
    /// Committed whole.
    pub completed: u64,
    /// Committed in part.
    pub running: u64,
    /// Nothing committed.
    pub pending: u64,
    /// Physical lines of completed files, where lines mean something.
    pub lines: u64,
    /// Blank lines and comments of completed files.
    pub skipped: u64,
}

/// A step of the plan's own SQL.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RelateRow {
    /// Ordinal of its step.
    pub step: u64,
    /// Its name in the plan.
    pub name: String,
    /// `pending`, `running`, `completed`, `failed`.
    pub status: &'static str,
    /// True where an earlier run has done it and nothing has come since.
    pub left: bool,
    /// Rows that its statements have changed altogether, once it is done.
    pub rows: Option<u64>,
    /// The tables that it writes, once it is done.
    pub tables: Listed<RelateTable>,
    /// How its check ended.
    pub check: CheckOutcome,
    /// Whether the run has recorded how to undo it, once it is done.
    pub undo: Option<bool>,
}

/// A table that a step of SQL writes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RelateTable {
    /// The table.
    pub table: String,
    /// How many rows it had afterwards; `None` where there is no such table any more.
    pub rows_after: Option<u64>,
}

/// How the check of a step of SQL ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// It returned no rows.
    Passed,
    /// It returned rows, and the step was taken back.
    Failed,
    /// The step has none.
    None,
    /// The step is not done.
    NotYet,
    /// The ledger does not say whether the step has one.
    Unknown,
}

impl CheckOutcome {
    /// The outcome in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::None => "none",
            Self::NotYet => "not yet",
            Self::Unknown => "not recorded",
        }
    }
}

/// What a note says has happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A value became another, as the plan declares.
    Converted,
    /// A rule was broken and the row loaded all the same.
    Warned,
    /// A unit or record was left out, as the plan declares.
    LeftOut,
}

impl Effect {
    /// The effect in a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Converted => "converted",
            Self::Warned => "warned",
            Self::LeftOut => "left out",
        }
    }
}

/// Values or units that the plan changed, warned about or left out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NoteRow {
    /// The table.
    pub table: String,
    /// A code that `explain` knows.
    pub code: String,
    /// Its title, where it is known.
    pub title: Option<&'static str>,
    /// What has happened.
    pub effect: Effect,
    /// The target column, where it is about one.
    pub column: Option<String>,
    /// The rule, where there is one.
    pub rule: Option<String>,
    /// How many values or units.
    pub count: u64,
    /// The first of them in source order.
    pub samples: Vec<NoteSample>,
}

/// One value that a note is about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NoteSample {
    /// `file:line`, or `file` where lines mean nothing.
    pub place: String,
    /// Record in its file, from 1.
    pub record: u64,
    /// The original value; `None` where it was NULL or values are left out.
    pub value: Option<String>,
}

/// A file with rejects.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct FileRow {
    /// Path, relative to the plan.
    pub file: String,
    /// Its source.
    pub source: String,
    /// The table it was read for.
    pub table: String,
    /// `pending`, `running`, `completed`.
    pub status: &'static str,
    /// Units read.
    pub read: u64,
    /// Units rejected.
    pub rejected: u64,
}

/// A file left out or rejected as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SetAside {
    /// Path, relative to the plan.
    pub file: String,
    /// The table it was meant for.
    pub table: String,
    /// Its size when it was found.
    pub bytes: Option<u64>,
    /// `left out` or `rejected`.
    pub fate: &'static str,
    /// Why, where the ledger says so.
    pub reason: Option<String>,
}

/// Rejects of the run.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Rejects {
    /// All.
    pub total: u64,
    /// By what has become of them.
    pub statuses: StatusCounts,
    /// By table, code, column and rule; most frequent first.
    pub groups: Listed<RejectGroup>,
    /// Rejects of groups that are not listed.
    pub unlisted: u64,
    /// By code; most frequent first.
    pub by_code: Listed<CodeRejects>,
    /// By table and column; most frequent first.
    pub by_column: Listed<ColumnRejects>,
    /// By source.
    pub by_source: Listed<SourceRejects>,
    /// By stage.
    pub by_stage: Vec<StageRejects>,
    /// Why rejects were waived.
    pub waivers: Listed<Waiver>,
}

impl StatusCounts {
    /// How many were read again.
    pub fn retried(&self) -> u64 {
        self.fixed + self.superseded
    }
}

/// What has become of rejects.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs)] // the words of `whimbrel_ledger::RejectStatus`
pub struct StatusCounts {
    pub open: u64,
    pub fixed: u64,
    pub superseded: u64,
    pub waived: u64,
}

/// Rejects with one cause.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RejectGroup {
    /// The table they were meant for.
    pub table: String,
    /// A code that `explain` knows.
    pub code: String,
    /// Its title, where it is known.
    pub title: Option<&'static str>,
    /// The column, where one is at fault.
    pub column: Option<String>,
    /// The rule, where the plan's own rule refused them.
    pub rule: Option<String>,
    /// How many.
    pub count: u64,
    /// What has become of them.
    pub statuses: StatusCounts,
    /// The first of them in source order.
    pub samples: Vec<RejectSample>,
}

/// One reject.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RejectSample {
    /// `TABLE.UNIT`, as `whimbrel rejects show` takes it.
    pub reject: String,
    /// `file:line`, or `file` where lines mean nothing.
    pub place: String,
    /// Record in its file, from 1; 0 for a whole file.
    pub record: u64,
    /// Offset of its first byte.
    pub byte_offset: u64,
    /// Length of its bytes.
    pub byte_len: u64,
    /// The source field, where one is at fault.
    pub field: Option<String>,
    /// The offending value; `None` where there is none or values are left out.
    pub value: Option<String>,
    /// Why; `None` where values are left out, because engines quote them.
    pub message: Option<String>,
}

/// Rejects of one code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CodeRejects {
    /// A code that `explain` knows.
    pub code: String,
    /// Its title, where it is known.
    pub title: Option<&'static str>,
    /// How many.
    pub count: u64,
    /// What has become of them.
    pub statuses: StatusCounts,
}

/// Rejects of one column.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ColumnRejects {
    /// The table they were meant for.
    pub table: String,
    /// The column; `None` where the record as a whole is at fault.
    pub column: Option<String>,
    /// How many.
    pub count: u64,
    /// What has become of them.
    pub statuses: StatusCounts,
}

/// Rejects of one source.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SourceRejects {
    /// Its name in the plan.
    pub source: String,
    /// How many.
    pub count: u64,
    /// What has become of them.
    pub statuses: StatusCounts,
}

/// Rejects of one stage.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StageRejects {
    /// `read`, `transform`, `rule`, `target`.
    pub stage: &'static str,
    /// How many.
    pub count: u64,
}

/// A reason why rejects may stay out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Waiver {
    /// The reason that was given.
    pub reason: String,
    /// Who gave it.
    pub by: String,
    /// How many rejects.
    pub count: u64,
}

/// What was checked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CheckRow {
    /// The phase it belongs to.
    pub phase: String,
    /// `conservation`, `files` …
    pub kind: String,
    /// What was checked.
    pub name: String,
    /// `passed`, `failed`, `warning`.
    pub status: &'static str,
    /// What was expected, where it is a count.
    pub expected: Option<u64>,
    /// What was found.
    pub actual: Option<u64>,
    /// What is wrong.
    pub message: Option<String>,
    /// Of rules of the plan, queries and profiles: samples, figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

/// A checkpoint's name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CheckpointRow {
    /// Its name.
    pub name: String,
    /// The phase that ended.
    pub phase: String,
}

/// Something odd about the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Remark {
    /// A code of [`crate::CODES`].
    pub code: &'static str,
    /// What, in one sentence.
    pub message: String,
}

/// Sums of digests of one table, in hex.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[allow(missing_docs)] // the classes of `whimbrel_model::{Class, RowClass}`
pub struct TableDigests {
    pub table: String,
    pub read: String,
    pub loaded: String,
    pub updated: String,
    pub unchanged: String,
    pub rejected: String,
    pub filtered: String,
    pub duplicate: String,
    pub rows_produced: String,
    pub rows_inserted: String,
    pub rows_updated: String,
    pub rows_unchanged: String,
}

/// Times, ids, attempts, borders of batches.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Circumstances {
    /// The run.
    pub run: String,
    /// User and host.
    pub started_by: String,
    /// RFC 3339.
    pub started_at: String,
    /// RFC 3339.
    pub ended_at: Option<String>,
    /// From the start to the last thing the ledger knows of.
    pub elapsed_seconds: f64,
    /// The same without the pauses between attempts.
    pub active_seconds: f64,
    /// Where it was loaded.
    pub target: TargetRow,
    /// How many processes have worked on it.
    pub attempts: u64,
    /// Those processes.
    pub attempts_known: Listed<Attempt>,
    /// Attempts that ended before the run was done, by cause, phase and hour, as the audit log tells.
    pub ends: Listed<EndRow>,
    /// How often something was tried again after a passing fault, as far as the audit log tells.
    pub retries: u64,
    /// How long the steps of the plan's own SQL took.
    pub relates: Listed<RelateTimes>,
    /// Where the time went.
    pub phases: Listed<Phase>,
    /// Committed batches.
    pub batches: u64,
    /// How fast, over time.
    pub pace: Pace,
    /// Rejects by the hour in which they were committed.
    pub rejects_by_hour: Listed<HourRow>,
    /// Checkpoints with their times and hashes.
    pub checkpoints: Listed<CheckpointMark>,
    /// True where every checkpoint carries the hash that it must.
    pub checkpoints_intact: bool,
    /// Rejects whose bytes are too long for the ledger, by the file that holds them.
    pub spilled: Listed<SpilledReject>,
    /// The runs that this one continues, nearest first.
    pub ancestors: Listed<Related>,
    /// The runs that continue this one, oldest first.
    pub children: Listed<Related>,
    /// What to do next, most important first.
    pub next: Vec<NextStep>,
}

/// A target without its secrets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TargetRow {
    /// `sqlite` …
    pub engine: String,
    /// Its version.
    pub version: String,
    /// URL without secrets.
    pub location: String,
}

/// What one process did.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Attempt {
    /// From 1.
    pub attempt: u64,
    /// RFC 3339.
    pub started_at: String,
    /// Its start, in seconds since the start of the run.
    pub from_seconds: f64,
    /// The last thing it is known to have done.
    pub to_seconds: f64,
    /// Batches it committed.
    pub batches: u64,
    /// Units it committed.
    pub units: u64,
}

/// Attempts that ended in one way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EndRow {
    /// The code of the error; `None` where it stopped at a checkpoint.
    pub code: Option<String>,
    /// Its title, where it is known.
    pub title: Option<&'static str>,
    /// Why it stopped, where it did: `interrupt`, `deadline` …
    pub reason: Option<String>,
    /// `prepare`, `load`, `relate`, `finish`.
    pub phase: String,
    /// `2024-03-31T01:00Z`.
    pub hour: String,
    /// How many attempts.
    pub count: u64,
    /// How often these had tried something again.
    pub retries: u64,
}

/// When and by whom a step of SQL was done.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RelateTimes {
    /// Ordinal of its step.
    pub step: u64,
    /// The time in which a process worked on it.
    pub active_seconds: Option<f64>,
    /// The earlier run that has done it, where this one has left it as it was.
    pub done_by: Option<String>,
}

/// A stretch of the run.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Phase {
    /// Ordinal of its step.
    pub step: u64,
    /// `prepare`, `load:TABLE`, `relate:NAME`, `finish`.
    pub name: String,
    /// In seconds since the start of the run.
    pub from_seconds: f64,
    /// In seconds since the start of the run.
    pub to_seconds: f64,
    /// The part of it in which a process worked.
    pub active_seconds: f64,
    /// Units committed.
    pub units: u64,
    /// Batches committed.
    pub batches: u64,
}

/// How fast, over time.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Pace {
    /// Units per second over the active time.
    pub units_per_second: f64,
    /// Target rows per second over the active time.
    pub rows_per_second: f64,
    /// Source bytes per second over the active time.
    pub bytes_per_second: f64,
    /// The fastest batch, in units per second.
    pub units_per_second_max: f64,
    /// The median of the points, in units per second.
    pub units_per_second_median: f64,
    /// Neighbouring batches taken together, at most 200 points.
    pub points: Vec<PacePoint>,
}

/// Some neighbouring batches.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct PacePoint {
    /// Where they begin, in seconds since the start of the run.
    pub from_seconds: f64,
    /// The last commit.
    pub to_seconds: f64,
    /// Time in which a process worked on them.
    pub active_seconds: f64,
    /// How many.
    pub batches: u64,
    /// Units read.
    pub units: u64,
    /// Rows produced.
    pub rows: u64,
    /// Units rejected.
    pub rejected: u64,
    /// The slowest of them, in units per second.
    pub units_per_second_min: f64,
    /// The fastest of them, in units per second.
    pub units_per_second_max: f64,
}

/// Rejects of one hour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HourRow {
    /// `2024-03-31T01:00Z`.
    pub hour: String,
    /// How many.
    pub count: u64,
}

/// A checkpoint's time and hash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CheckpointMark {
    /// Its name.
    pub name: String,
    /// RFC 3339.
    pub created_at: String,
    /// In hex.
    pub hash: String,
}

/// A reject whose bytes are too long for the ledger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SpilledReject {
    /// `TABLE.UNIT`.
    pub reject: String,
    /// The file below `.whimbrel/` that holds its bytes, as the ledger names it.
    pub file: String,
    /// How many bytes.
    pub bytes: u64,
}

/// A run before or after this one.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Related {
    /// Its id.
    pub run: String,
    /// `full` or `incremental`.
    pub kind: &'static str,
    /// `running`, `interrupted`, `failed`, `completed`.
    pub status: &'static str,
    /// RFC 3339.
    pub started_at: String,
}

/// Something to do next.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NextStep {
    /// Why.
    pub why: String,
    /// The command, to be typed as it stands.
    pub command: String,
}

/// The report as JSON: the fields of [`RunReport`] under their names.
pub fn json(report: &RunReport) -> Json {
    serde_json::to_value(report).expect("a report has text keys and finite figures")
}
