//! The command line as clap sees it: verbs, flags, and nothing that is not honoured.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Moves legacy data into a new schema: every record accounted for, any crash resumable.
#[derive(Parser, Debug)]
#[command(name = "whimbrel", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 done, or nothing to do · 1 failed · 2 usage or configuration · \
3 done, with rejects · 4 differences found · 5 there is something to do · 6 refused: \
something changed · 7 reject limit reached · 8 could not verify · 11 another run holds the target · \
75 interrupted: run again to resume · 130/143 stopped by a signal, checkpoint saved. `whimbrel explain CODE` explains every error code."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags of every verb.
#[derive(Args, Debug, Clone)]
pub(crate) struct Global {
    /// Form of the answer on standard output
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE instead of standard output
    #[arg(long, short = 'o', global = true, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Say more on standard error; twice says most
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// How progress is shown on standard error
    #[arg(long, global = true, value_enum, default_value_t = ProgressForm::Auto, env = "WHIMBREL_PROGRESS")]
    pub(crate) progress: ProgressForm,
    /// Form of log lines on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogForm::Text)]
    pub(crate) log_format: LogForm,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Colour::Auto)]
    pub(crate) color: Colour,
    /// Draw with ASCII characters only
    #[arg(long, global = true)]
    pub(crate) ascii: bool,
}

/// Form of the answer.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    /// For people
    Text,
    /// One document: success, message, data, timestamp
    Json,
    /// One document per event or item; the last is the result
    Jsonl,
}

/// How progress is shown.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProgressForm {
    /// A bar on a terminal, log lines elsewhere
    Auto,
    /// A bar
    Bar,
    /// A log line every ten seconds
    Log,
    /// Every event as a JSON line
    Json,
    /// Nothing
    None,
}

/// Form of log lines.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LogForm {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// When to use colours.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Show what legacy data holds, files or a database: types, ranges, anomalies
    Analyze(Analyze),
    /// Write a first plan and schema for a folder or a database
    Init(Init),
    /// Show the whole way on small legacy data, in a new folder
    Demo(Demo),
    /// Show what `migrate` would do, with samples and estimates
    Plan(PlanVerb),
    /// Check everything that can be checked before a run
    Validate(Validate),
    /// List what `migrate --incremental` would take
    CheckIncremental(OnPlan),
    /// Load what the plan says; the same command resumes
    Migrate(Migrate),
    /// Show how a run stands
    Status(OnRun),
    /// List the runs of the target
    History(History),
    /// Work with rejected records
    #[command(subcommand)]
    Rejects(Rejects),
    /// Report everything about a run: accounts, rejects, checks, times
    Report(Report),
    /// Prove that what was loaded stands in the target: read it back and compare
    Verify(VerifyVerb),
    /// Prove where a record went, or what a row was made of
    Prove(Prove),
    /// Compare two databases, or a plan's sources with its target, row by row
    Compare(Compare),
    /// Show who did what when, and prove that the log of it is whole
    Audit(Audit),
    /// Explain an error code, or list all
    Explain(Explain),
    /// Print the JSON Schema of a file that Whimbrel reads
    #[command(subcommand)]
    Schema(Schema),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// `analyze`.
#[derive(Args, Debug)]
pub(crate) struct Analyze {
    /// The folder, a SQLite file, or the URL of a database (`postgres://…`, `mysql://…`)
    pub(crate) path: PathBuf,
    /// Also write one offline HTML page, without raw data
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Also look into hidden folders
    #[arg(long)]
    pub(crate) hidden: bool,
    /// In a database, do not read tables that its planner believes to have more rows than this
    #[arg(long, value_name = "ROWS")]
    pub(crate) estimate_above: Option<u64>,
}

/// `verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyVerb {
    #[command(flatten)]
    pub(crate) on: OnRun,
    /// How closely to look
    #[arg(long, value_enum, default_value_t = LevelArg::Standard)]
    pub(crate) level: LevelArg,
    /// With `--level forensic`, sign the head of the lineage: an Ed25519 key, PKCS #8 in PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) sign_key: Option<PathBuf>,
    /// Let a verification that failed stand, with a reason; audited
    #[arg(long, value_name = "REASON", conflicts_with_all = ["level", "sign_key"])]
    pub(crate) waive: Option<String>,
}

/// `prove`.
#[derive(Args, Debug)]
#[command(group(clap::ArgGroup::new("asked").required(true).args(["record", "row"])))]
pub(crate) struct Prove {
    #[command(flatten)]
    pub(crate) on: OnRun,
    /// The record: FILE:LINE where it begins, FILE#NUMBER, FILE, or SOURCE/KEY of an old database
    #[arg(long, value_name = "RECORD")]
    pub(crate) record: Option<String>,
    /// The row: TABLE/KEY; a key of several columns as KEY/KEY, or as an array of JSON
    #[arg(long, value_name = "TABLE/KEY")]
    pub(crate) row: Option<String>,
}

/// `validate`.
#[derive(Args, Debug)]
pub(crate) struct Validate {
    #[command(flatten)]
    pub(crate) on: OnPlan,
    /// Which of the plan's checks of sources to evaluate; they read the sources
    #[arg(long, value_enum, default_value_t = SourceLevelArg::Standard)]
    pub(crate) level: SourceLevelArg,
}

/// Which checks of sources are evaluated.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SourceLevelArg {
    /// Those of level `basic`
    Basic,
    /// Also those of level `standard`
    Standard,
    /// All of them
    Rigorous,
}

/// How closely to look.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LevelArg {
    /// Counts, conservation, structure
    Basic,
    /// Also a digest of every row, references, NULLs, kinds
    Standard,
    /// Also every row derived from the sources again, compared cell by cell
    Rigorous,
    /// Also what became of every record, written down so that `prove` can show it; the audit log
    Forensic,
}

/// `compare`.
#[derive(Args, Debug)]
pub(crate) struct Compare {
    /// What should be: the URL of a database, a SQLite file, or a plan (`….toml`), whose sources are
    /// read as they are now
    pub(crate) left: String,
    /// What is: the URL of a database, or a SQLite file; the plan's target if left out
    pub(crate) right: Option<String>,
    /// Only this table; may be repeated
    #[arg(long, value_name = "TABLE")]
    pub(crate) table: Vec<String>,
    /// Leave a column out, as COLUMN or TABLE.COLUMN; may be repeated
    #[arg(long, value_name = "COLUMN")]
    pub(crate) without: Vec<String>,
    /// How often rows that differ are read again before they count; at most 1,000 a table are
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) attempts: u32,
    /// How long to wait before rows are read again
    #[arg(long, value_name = "TIME", default_value = "2s")]
    pub(crate) wait: String,
    /// Rows of a table that are shown
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) samples: usize,
    /// List every row that differs: on standard output before the answer, or in `--list`
    #[arg(long)]
    pub(crate) all: bool,
    /// Write the list to FILE, a JSON document a line
    #[arg(long, value_name = "FILE", requires = "all")]
    pub(crate) list: Option<PathBuf>,
    /// Write to FILE the SQL that would make the right side like the left one; nothing is run, and a file
    /// that is there is left alone
    #[arg(long, value_name = "FILE")]
    pub(crate) repair: Option<PathBuf>,
    /// Of a plan with `sensitive` columns, show their values too, and write them into the file of `--repair`
    #[arg(long)]
    pub(crate) show_sensitive: bool,
}

/// `init`.
#[derive(Args, Debug)]
pub(crate) struct Init {
    /// The folder, a SQLite file, or the URL of a database (`postgres://…`, `mysql://…`)
    pub(crate) path: PathBuf,
    /// URL of the target database
    #[arg(long, value_name = "URL")]
    pub(crate) target: Option<String>,
    /// The plan to write
    #[arg(long, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) out: PathBuf,
    /// Also look into hidden folders
    #[arg(long)]
    pub(crate) hidden: bool,
    /// In a database, do not look at tables that its planner believes to have more rows than this
    #[arg(long, value_name = "ROWS")]
    pub(crate) estimate_above: Option<u64>,
}

/// A verb on a plan.
#[derive(Args, Debug, Clone)]
pub(crate) struct OnPlan {
    /// The plan
    #[arg(value_name = "PLAN", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
}

/// What decides which records are taken.
#[derive(Args, Debug, Clone, Default)]
pub(crate) struct SelectionArgs {
    /// Treat files above this size (`50MB`) as `--large-files` says
    #[arg(long, value_name = "SIZE")]
    pub(crate) max_file_size: Option<String>,
    /// What becomes of files above `--max-file-size`
    #[arg(long, value_enum)]
    pub(crate) large_files: Option<LargeFilesArg>,
}

/// What becomes of larger files.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LargeFilesArg {
    /// Read them
    Handle,
    /// Leave them out, counted as filtered
    Skip,
    /// Reject them
    Reject,
}

/// `plan`.
#[derive(Args, Debug)]
pub(crate) struct PlanVerb {
    #[command(flatten)]
    pub(crate) on: OnPlan,
    /// Exit with 5 when there is something to do
    #[arg(long)]
    pub(crate) check: bool,
}

/// `migrate`.
#[derive(Args, Debug)]
pub(crate) struct Migrate {
    #[command(flatten)]
    pub(crate) on: OnPlan,
    /// Read and transform everything, write nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
    /// Take what changed since the last complete run
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) incremental: bool,
    /// Load about N records of each table, and whatever they refer to; the rest counts as filtered.
    /// The same records every time; a later run without it loads the rest
    #[arg(long, value_name = "N", conflicts_with_all = ["dry_run", "incremental"], value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,
    /// Threads that read and transform
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) workers: Option<u32>,
    /// Rows per transaction; adaptive if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) batch_size: Option<u64>,
    /// Write at most so many rows per second (`50000/s`), over the plan's
    #[arg(long, value_name = "RATE")]
    pub(crate) max_rate: Option<String>,
    /// Stop at a checkpoint after this time (`30m`); the same command resumes
    #[arg(long, value_name = "TIME")]
    pub(crate) deadline: Option<String>,
    /// Go on although the mapping changed since rows were loaded with it; audited
    #[arg(long)]
    pub(crate) adopt: bool,
    /// Do not ask; without a terminal nothing is asked
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// A verb on a run.
#[derive(Args, Debug, Clone)]
pub(crate) struct OnRun {
    /// The run, the newest if left out; or the plan, as a path that ends in `.toml`
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// Refused, with a hint: these verbs take the run without a flag
    #[arg(long = "run", value_name = "RUN", hide = true)]
    pub(crate) stray: Option<String>,
    /// The plan, which names the target
    #[arg(long, short, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
}

impl OnRun {
    /// The plan, however it is named.
    pub(crate) fn plan(&self) -> &Path {
        run_or_plan(self.run.as_deref(), &self.plan).1
    }

    /// The run that is named.
    pub(crate) fn wanted(&self) -> Option<&str> {
        run_or_plan(self.run.as_deref(), &self.plan).0
    }

    /// Two plans are named.
    pub(crate) fn is_torn(&self) -> bool {
        is_torn(self.run.as_deref(), &self.plan)
    }
}

/// The run, and the plan, where one may be named in the place of the other: runs have names without a
/// point.
pub(crate) fn run_or_plan<'a>(
    named: Option<&'a str>,
    plan: &'a Path,
) -> (Option<&'a str>, &'a Path) {
    let is_plan = |named: &&str| Path::new(named).extension().is_some_and(|end| end == "toml");
    match named.filter(is_plan) {
        Some(plan) => (None, Path::new(plan)),
        None => (named, plan),
    }
}

/// Whether two plans are named: one with `--plan`, and another one in the place of the run.
pub(crate) fn is_torn(named: Option<&str>, plan: &Path) -> bool {
    run_or_plan(named, plan).1 != plan && plan != Path::new("whimbrel.toml")
}

/// `history`.
#[derive(Args, Debug)]
pub(crate) struct History {
    /// The plan, as with `--plan`
    #[arg(value_name = "PLAN", conflicts_with = "plan")]
    pub(crate) named: Option<PathBuf>,
    /// The plan, which names the target
    #[arg(long, short, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
    /// At most this many runs
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
}

/// `report`.
#[derive(Args, Debug)]
pub(crate) struct Report {
    #[command(flatten)]
    pub(crate) on: OnRun,
    /// Form of the report; if left out, `md`, with `--format json` the JSON form
    #[arg(long, value_enum)]
    pub(crate) form: Option<ReportForm>,
    /// Write an archive for support instead (`NAME.tar.zst`): plan, report and ledger of the run, without
    /// secrets and without data of records
    #[arg(long, value_name = "FILE", conflicts_with = "form")]
    pub(crate) bundle: Option<PathBuf>,
}

/// Form of a report.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ReportForm {
    /// Markdown
    Md,
    /// One offline HTML file
    Html,
    /// JSON
    Json,
    /// JUnit's XML: one test case a check, for CI
    Junit,
}

/// `rejects`.
#[derive(Subcommand, Debug)]
pub(crate) enum Rejects {
    /// Group rejects by cause, or list them
    List(RejectsList),
    /// Show one reject with its original bytes
    Show(RejectsShow),
    /// Write the original bytes of open rejects to files that can be mended in an editor
    Export(RejectsExport),
    /// Read rejected records again: with the plan as it is now, or with what you have mended
    Retry(RejectsRetry),
    /// Say, with a reason, that rejects may stay out
    Waive(RejectsWaive),
}

/// `rejects list`.
#[derive(Args, Debug)]
pub(crate) struct RejectsList {
    /// Refused, with a hint: the verbs of `rejects` take the run by a flag
    #[arg(value_name = "RUN", hide = true)]
    pub(crate) stray: Option<String>,
    #[command(flatten)]
    pub(crate) on: OnRunFlag,
    /// One line per reject instead of one per cause
    #[arg(long)]
    pub(crate) all: bool,
    /// Also fixed and waived ones
    #[arg(long)]
    pub(crate) resolved: bool,
}

/// `rejects show`.
#[derive(Args, Debug)]
pub(crate) struct RejectsShow {
    /// The reject, as `rejects list --all` names it: `TABLE.UNIT`, or FILE:LINE
    pub(crate) reject: String,
    /// Print the records of sources with `sensitive` columns too
    #[arg(long)]
    pub(crate) show_sensitive: bool,
    #[command(flatten)]
    pub(crate) on: OnRunFlag,
}

/// A run given by a flag.
#[derive(Args, Debug, Clone)]
pub(crate) struct OnRunFlag {
    /// The run; the newest if left out
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The plan, which names the target
    #[arg(long, short, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
}

/// `rejects export`.
#[derive(Args, Debug)]
pub(crate) struct RejectsExport {
    /// A new folder for the files
    pub(crate) folder: PathBuf,
    #[command(flatten)]
    pub(crate) on: OnRunFlag,
}

/// `rejects retry`.
#[derive(Args, Debug)]
pub(crate) struct RejectsRetry {
    /// Rejects (`TABLE.UNIT`), or codes (`WB0214`); all open ones if left out
    pub(crate) which: Vec<String>,
    /// A folder that `rejects export` wrote: those whose bytes were changed there are read with the
    /// changed bytes, the others are left alone
    #[arg(long, value_name = "FOLDER")]
    pub(crate) from: Option<PathBuf>,
    /// Refused, with a hint: a retry continues the newest run
    #[arg(long = "run", value_name = "RUN", hide = true)]
    pub(crate) stray: Option<String>,
    /// The plan, which names the target
    #[arg(long, short, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
}

/// `rejects waive`.
#[derive(Args, Debug)]
pub(crate) struct RejectsWaive {
    /// Rejects (`TABLE.UNIT`), or a code (`WB0214`), or `all`
    #[arg(required = true)]
    pub(crate) which: Vec<String>,
    /// Why they may stay out
    #[arg(long)]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) on: OnRunFlag,
}

/// `audit`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) verb: Option<AuditVerb>,
    /// Only what touches this run, everything if left out; or the plan, as a path that ends in `.toml`
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<String>,
    /// The plan, which names the target
    #[arg(long, short, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
}

/// What can be done with the audit log beside reading it.
#[derive(Subcommand, Debug)]
pub(crate) enum AuditVerb {
    /// Recompute the hash chains of the log and of all runs' checkpoints; exit 4 where one is broken
    Verify(AuditVerify),
    /// Write count and head of the verified log to a file, to be kept where nobody who can write to
    /// the target can change it
    Anchor(AuditAnchor),
}

/// `audit verify`.
#[derive(Args, Debug)]
pub(crate) struct AuditVerify {
    /// Also look whether the log still holds what `audit anchor` has written to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// The plan, which names the target
    #[arg(long, short, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
}

/// `audit anchor`.
#[derive(Args, Debug)]
pub(crate) struct AuditAnchor {
    /// The file; an older anchor of the same log is replaced, anything else is left alone
    pub(crate) file: PathBuf,
    /// The plan, which names the target
    #[arg(long, short, value_name = "FILE", default_value = "whimbrel.toml")]
    pub(crate) plan: PathBuf,
}

/// `schema`.
#[derive(Subcommand, Debug)]
pub(crate) enum Schema {
    /// The JSON Schema of plan files, for editors
    Plan,
}

/// `completions`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// `explain`.
#[derive(Args, Debug)]
pub(crate) struct Explain {
    /// The code, as `WB0214`; all codes if left out
    pub(crate) code: Option<String>,
}

/// `demo`.
#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// A new folder
    #[arg(default_value = "whimbrel-demo")]
    pub(crate) folder: PathBuf,
}
