//! The profile as plain data: what `analyze` says, as JSON, text or HTML.

use serde::Serialize;

use crate::database::{DatabaseProfile, TableProfile};
use crate::inspect::{Generation, Leftover};
use crate::sniff::Format;

/// Version of the JSON form; fields are only ever added.
pub const SCHEMA: &str = "whimbrel/profile/v1";

/// What a folder of legacy data looks like.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Profile {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The folder, as the operator named it.
    pub folder: String,
    /// Sources, in the order of the proposal.
    pub sources: Vec<SourceProfile>,
    /// Files that belong to none.
    pub leftovers: Vec<Leftover>,
    /// Files, records and bytes of all sources.
    pub totals: Totals,
    /// What loading all of it takes.
    pub estimate: Estimate,
    /// The database, where it is none of files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseProfile>,
}

impl Profile {
    /// The profile of a place where there is nothing to read.
    pub fn of_nothing(folder: &str) -> Self {
        crate::summary::whole(folder, Vec::new(), Vec::new(), 0.0)
    }
}

/// Sums.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize)]
pub struct Totals {
    /// Files.
    pub files: u64,
    /// Bytes as stored.
    pub bytes: u64,
    /// Records, defective ones included.
    pub records: u64,
    /// Defective records.
    pub defects: u64,
}

/// What loading takes, and from what that is concluded.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Estimate {
    /// Rows that the proposed plan would load.
    pub rows: u64,
    /// Bytes in the target, key index and ledger included.
    pub target_bytes: u64,
    /// Seconds that reading everything took for this profile.
    pub read_seconds: f64,
    /// Records per second, measured while reading; 0 where nothing was read.
    pub records_per_second: f64,
    /// Seconds that a load is expected to take, at the measured rate.
    pub load_seconds: f64,
    /// How the figures came about, for people.
    pub basis: String,
}

/// One source.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SourceProfile {
    /// Its name in the proposed plan.
    pub name: String,
    /// Its format.
    pub format: Format,
    /// Globs relative to the folder.
    pub globs: Vec<String>,
    /// Globs of what those leave out.
    pub exclude: Vec<String>,
    /// True where the globs match whatever the case of the letters.
    pub ignore_case: bool,
    /// True where a file, or a folder on its way, begins with a dot.
    pub hidden: bool,
    /// The encoding to declare, where one must be.
    pub encoding: Option<String>,
    /// Names of the columns, where the files have none or repeat them.
    pub names: Option<Vec<String>>,
    /// Files, records, bytes.
    pub totals: Totals,
    /// Physical lines.
    pub lines: u64,
    /// Encoding, compression and dialect as the reader found them, and in how many files.
    pub formats: Vec<Counted>,
    /// Files without any column: empty ones, where the format has a header.
    pub headerless: u64,
    /// Headers, the most frequent first.
    pub generations: Vec<Generation>,
    /// Columns: of the newest header first, then of older ones; keys of JSON as they came up.
    pub columns: Vec<ColumnProfile>,
    /// Columns without a repetition, and those called like keys.
    pub keys: Vec<KeyProfile>,
    /// What is unusual, the weightiest first.
    pub anomalies: Vec<Anomaly>,
    /// What the catalogue says, where it is a table of a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<TableProfile>,
}

/// Something and how often.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Counted {
    /// What.
    pub what: String,
    /// How often.
    pub count: u64,
}

/// A column and whether it identifies records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct KeyProfile {
    /// The column.
    pub column: String,
    /// True where every record has a value and all are different.
    pub unique: bool,
    /// False where the check ended before the last record.
    pub checked: bool,
    /// Repetitions found.
    pub repeats: u64,
    /// The first of them, as `path:line`.
    pub first_repeat: Option<String>,
}

/// Something that a person should look at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Anomaly {
    /// A code that `explain` knows.
    pub code: &'static str,
    /// What it is, in one bounded sentence without values.
    pub message: String,
    /// How many records, files or values.
    pub count: u64,
    /// The first, as `path:line` or a path.
    pub first: Option<String>,
    /// The column, where it is one column's.
    pub column: Option<String>,
}

/// One column.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct ColumnProfile {
    /// Its name in the source.
    pub name: String,
    /// The narrowest kind that holds for every value.
    pub kind: String,
    /// Format of its times.
    pub timestamp: Option<&'static str>,
    /// Words for true and false.
    pub words: Option<(&'static str, &'static str)>,
    /// Spellings of NULL that the plan has to declare, as cells are written.
    pub null: Vec<String>,
    /// What to know about that kind.
    pub notes: Vec<String>,
    /// Why it is not of the kind that most values have.
    pub doubt: Option<DoubtProfile>,
    /// Records, defective ones not counted.
    pub records: u64,
    /// Records without the column.
    pub absent: u64,
    /// NULL in the source itself.
    pub nulls: u64,
    /// Spellings of NULL found, quoted ones apart.
    pub markers: Vec<Counted>,
    /// Different values; an estimate beyond 256.
    pub distinct: u64,
    /// True where `distinct` is no estimate.
    pub distinct_exact: bool,
    /// Smallest value: a number, date or time; never text.
    pub min: Option<String>,
    /// Largest value.
    pub max: Option<String>,
    /// Fewest characters of a text.
    pub chars_min: Option<u64>,
    /// Most characters of a text.
    pub chars_max: Option<u64>,
    /// What `histogram` counts: `values`, `times` or `characters`.
    pub histogram_of: &'static str,
    /// 24 equal parts from smallest to largest.
    pub histogram: Vec<u64>,
    /// The most frequent values.
    pub top: Vec<TopValue>,
    /// Integers that no double holds.
    pub beyond_double: u64,
    /// Texts like `007`.
    pub leading_zeros: u64,
    /// Values of white space alone.
    pub blank: u64,
    /// Values with white space at an end.
    pub padded: u64,
    /// Values of several lines.
    pub multi_line: u64,
    /// Values with control characters other than U+0000.
    pub controls: u64,
    /// Values with U+0000, which SQLite cannot hold in text.
    pub nul: u64,
    /// The first of them, as `path:line`.
    pub first_nul: Option<String>,
    /// Bytes of a value on average.
    pub bytes_mean: f64,
}

/// A frequent value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TopValue {
    /// The value, bounded and escaped.
    pub value: String,
    /// How often.
    pub count: u64,
    /// How much the count may be too high.
    pub error: u64,
}

/// Why a column is not of the kind that most of its values have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DoubtProfile {
    /// What most values are.
    pub almost: String,
    /// The kind that would be.
    pub kind: String,
    /// Format of its times.
    pub timestamp: Option<&'static str>,
    /// How many values are.
    pub fits: u64,
    /// Of how many.
    pub of: u64,
    /// Why the first that is not is not.
    pub reason: &'static str,
    /// Where it stands, as `path:line`.
    pub place: String,
    /// The value, bounded and escaped: legacy data.
    pub value: String,
}
