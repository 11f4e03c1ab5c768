//! The plan document: what a person wrote in `whimbrel.toml`, as plain data.
//!
//! Decoding ([`decode`]) keeps where each thing stood, so that every later error can point at it.
//! Nothing here knows how a step is carried out.

mod canonical;
mod check;
mod checks;
mod codes;
mod decode;
mod error;
mod expr;
mod keys;
pub mod quantity;
mod read;
mod reference;
mod relate;
mod schema;
mod suggest;
mod variables;

use std::ops::Range;
use std::time::Duration;

use crate::kind::Kind;

pub use checks::{Asks, Check, CheckOn, CheckSeverity, Query, Ready, TODAY};
pub use codes::CODES;
pub use decode::decode;
pub use error::PlanError;
pub use relate::{ByEngine, ENGINES, Relate, SqlText};
pub use suggest::did_you_mean;

/// Where something stands in the plan file: a range of bytes.
pub type Span = Range<usize>;

/// A thing and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct At<T> {
    /// The thing.
    pub value: T,
    /// Its place in the plan file.
    pub span: Span,
}

/// A whole plan.
#[derive(Clone, PartialEq)]
pub struct Plan {
    /// `name`: what runs of this plan are called in the ledger.
    pub name: At<String>,
    /// `target`: URL of the database.
    pub target: At<Secret>,
    /// `schema`: folder of SQL files applied in `prepare`, relative to the plan.
    pub schema: Option<At<String>>,
    /// `timezone`: IANA zone of times that carry none; UTC where it is left out.
    pub timezone: Option<At<String>>,
    /// `namespace`: the UUID that `uuid5` keys are made in.
    pub namespace: Option<At<[u8; 16]>>,
    /// `verify`: how closely a run is verified before it is complete.
    pub verify: Verify,
    /// `[source.NAME]`, in the order of the file.
    pub sources: Vec<Source>,
    /// `[map.NAME]`: value maps.
    pub maps: Vec<ValueMap>,
    /// `[[table]]`, in the order of the file.
    pub tables: Vec<TableMapping>,
    /// `[[relate]]`, in the order of the file.
    pub relates: Vec<Relate>,
    /// `[[check]]`, in the order of the file.
    pub checks: Vec<Check>,
    /// `[[query]]`, in the order of the file.
    pub queries: Vec<Query>,
    /// `[rejects]`.
    pub rejects: Rejects,
    /// `[window]`.
    pub window: Option<Window>,
    /// `[run]`: limits that do not change what is loaded.
    pub run: RunLimits,
    /// The values that variables gave; see [`Plan::redact`].
    pub hidden: Hidden,
}

/// How closely a run is verified before it is called complete.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum Verify {
    /// Not beyond its accounts.
    None,
    /// Counts and structure.
    Basic,
    /// Also a digest of every row, read back (default).
    #[default]
    Standard,
    /// Also every row derived from the sources again.
    Rigorous,
    /// Also what became of every record, written down.
    Forensic,
}

/// Values that came from variables and must not be shown.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Hidden(pub Vec<Secret>);

impl Hidden {
    /// The text with every one of the values replaced by `***`, also where it stands escaped.
    pub fn redact(&self, text: &str) -> String {
        let mut out = text.to_owned();
        let mut values: Vec<&str> =
            self.0.iter().map(Secret::expose).filter(|value| !value.is_empty()).collect();
        values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in values {
            out = out.replace(value, "***");
            let escaped = value.escape_debug().to_string();
            if escaped != value {
                out = out.replace(&escaped, "***");
            }
        }
        out
    }
}

impl Plan {
    /// The text with every value that came from a variable replaced by `***`.
    pub fn redact(&self, text: &str) -> String {
        self.hidden.redact(text)
    }

    /// The source of that name.
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.iter().find(|source| source.name.value == name)
    }

    /// Whether records of the source, or of one that the plan no longer has, must not be shown.
    pub fn hides_records(&self, source: &str) -> bool {
        match self.source(source) {
            Some(source) => !source.sensitive.is_empty(),
            None => self.sources.iter().any(|source| !source.sensitive.is_empty()),
        }
    }

    /// The map of that name.
    pub fn map(&self, name: &str) -> Option<&ValueMap> {
        self.maps.iter().find(|map| map.name.value == name)
    }

    /// The table that fills `into`.
    pub fn table(&self, into: &str) -> Option<&TableMapping> {
        self.tables.iter().find(|table| table.into.value == into)
    }

    /// Indexes into `tables` in the order they are filled: the order of the file, except that a
    /// table comes after those it refers to.
    pub fn order(&self) -> Vec<usize> {
        check::order(&self.tables)
    }
}

/// Without the values of variables: what a plan shows may end in a log.
impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            target,
            schema,
            timezone,
            namespace,
            verify,
            sources,
            maps,
            tables,
            relates,
            checks,
            queries,
            rejects,
            window,
            run,
            hidden,
        } = self;
        let shown = format!(
            "Plan {{ name: {name:?}, target: {target:?}, schema: {schema:?}, timezone: {timezone:?}, \
             namespace: {namespace:?}, verify: {verify:?}, sources: {sources:?}, maps: {maps:?}, tables: {tables:?}, \
             relates: {relates:?}, checks: {checks:?}, queries: {queries:?}, rejects: {rejects:?}, window: {window:?}, run: {run:?} }}"
        );
        f.write_str(&hidden.redact(&shown))
    }
}

/// Text that never prints: a URL with a password, a value that came from `${…}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the driver alone.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A database URL as people may see it: the password and everything after `?` starred.
    pub fn url_shown(&self) -> String {
        let (url, parameters) = match self.0.split_once('?') {
            Some((url, _)) => (url, "?***"),
            None => (self.0.as_str(), ""),
        };
        format!("{}{parameters}", error::without_passwords(url))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// `[source.NAME]`: a set of files of one format, or what a database holds.
#[derive(Clone, PartialEq, Debug)]
pub struct Source {
    /// The NAME.
    pub name: At<String>,
    /// Which format, and its globs relative to the plan.
    pub format: Format,
    /// `csv`, `json` …: the globs; none for a database.
    pub globs: Vec<At<String>>,
    /// `exclude`: globs of files left out.
    pub exclude: Vec<At<String>>,
    /// `hidden`: also files below folders that begin with a dot.
    pub hidden: bool,
    /// `ignore_case`: globs match whatever the case of the letters.
    pub ignore_case: bool,
    /// `follow_links`: go through symbolic links to folders.
    pub follow_links: bool,
    /// `encoding`: `utf-8` (default), `utf-16le`, `utf-16be`, `latin-1`, `windows-1252`; a byte
    /// order mark wins.
    pub encoding: Option<At<String>>,
    /// `null`: cells that mean NULL, as they are written in the file, quotes included.
    pub null: Vec<String>,
    /// `[source.NAME.columns]`: settings of single columns.
    pub columns: Vec<SourceColumn>,
    /// `optional`: columns that some files lack; they are NULL there.
    pub optional: Vec<At<String>>,
    /// `ignore`: columns that are knowingly not carried over.
    pub ignore: Vec<At<String>>,
    /// `archive`: columns without a place in the target, kept in the ledger's archive.
    pub archive: Vec<At<String>>,
    /// `sensitive`: columns, or JSON Pointers, whose values are not shown.
    pub sensitive: Vec<At<String>>,
    /// `max_file_size` in bytes.
    pub max_file_size: Option<u64>,
    /// `large_files`: what becomes of larger ones.
    pub large_files: LargeFiles,
    /// `max_record_size` in bytes; 64 MiB where it is left out.
    pub max_record_size: u64,
}

/// The format of a source's files, or the database that it is read from.
#[derive(Clone, PartialEq, Debug)]
pub enum Format {
    /// Separated values.
    Csv(CsvDialect),
    /// JSON documents; with `records`, the elements of the array at that pointer. Without it a
    /// top-level array is its elements, anything else one record.
    Json {
        /// `records`: a JSON Pointer.
        records: Option<At<String>>,
    },
    /// One JSON document a line.
    JsonLines,
    /// Markdown with optional front matter: its keys, `body`, `heading`.
    Markdown,
    /// Plain text: `body`.
    Text,
    /// Rows of a database.
    Database(Database),
}

/// `[source.NAME] database = "…"`: the rows of a table or of a query.
#[derive(Clone, PartialEq, Debug)]
pub struct Database {
    /// `database`: its URL.
    pub url: At<Secret>,
    /// `table` or `query`.
    pub rows: SourceRows,
    /// `key`: columns by which rows are told apart and read in parts; where it is left out, the
    /// table's primary key.
    pub key: Vec<At<String>>,
}

/// Which rows of a database a source has.
#[derive(Clone, PartialEq, Debug)]
pub enum SourceRows {
    /// `table`: all of a table's.
    Table(At<String>),
    /// `query`: what a query in the database's own SQL returns.
    Query(At<String>),
}

impl Source {
    /// Whether a column, or what a JSON Pointer leads to, is `sensitive`, holds something that is,
    /// or belongs to it.
    pub fn is_sensitive(&self, field: &str) -> bool {
        let path = |name: &str| -> Vec<String> {
            match name.strip_prefix('/') {
                Some(pointer) => pointer.split('/').map(unescaped).collect(),
                None => vec![name.to_owned()],
            }
        };
        let field_path = path(field);
        self.sensitive.iter().any(|sensitive| {
            let path = path(&sensitive.value);
            let shorter = path.len().min(field_path.len());
            sensitive.value == field || path[..shorter] == field_path[..shorter]
        })
    }

    /// The database it is read from, if it is one.
    pub fn database(&self) -> Option<&Database> {
        match &self.format {
            Format::Database(database) => Some(database),
            Format::Csv(_)
            | Format::Json { .. }
            | Format::JsonLines
            | Format::Markdown
            | Format::Text => None,
        }
    }
}

/// A reference token of a JSON Pointer (RFC 6901).
fn unescaped(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// How separated values are written.
#[derive(Clone, PartialEq, Debug)]
pub struct CsvDialect {
    /// `delimiter`: one byte; a comma, or a tab where the source says `tsv`.
    pub delimiter: u8,
    /// `quote`: one byte, `None` where quotes mean nothing (`quote = ""`).
    pub quote: Option<u8>,
    /// `escape`: a byte before a quote, beside doubling.
    pub escape: Option<u8>,
    /// `comment`: lines that begin with this byte are skipped and counted.
    pub comment: Option<u8>,
    /// `header = false`, then `names` gives the columns.
    pub header: bool,
    /// `names`: names of columns instead of, or over, the header's.
    pub names: Vec<String>,
    /// `skip_lines` before the header.
    pub skip_lines: u64,
    /// `ragged`: what becomes of records with too few or too many fields.
    pub ragged: Ragged,
}

/// What becomes of a record whose number of fields is not the header's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ragged {
    /// It is rejected (default).
    Reject,
    /// Missing fields are NULL; surplus ones reject.
    Pad,
    /// Surplus fields are dropped and counted; missing ones reject.
    Truncate,
}

/// What becomes of a file above `max_file_size`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LargeFiles {
    /// It is read like any other (default).
    Handle,
    /// It is left out and counted as filtered.
    Skip,
    /// It is rejected as a whole.
    Reject,
}

/// `[source.NAME.columns] COLUMN = { … }`.
#[derive(Clone, PartialEq, Debug)]
pub struct SourceColumn {
    /// The column.
    pub name: At<String>,
    /// `null`: markers of this column, instead of the source's.
    pub null: Option<Vec<String>>,
    /// `type`: what CEL sees; text where it is left out.
    pub kind: Option<At<Kind>>,
}

/// `[map.NAME]`: legacy value → new value. Keys are compared as text, exactly as written.
#[derive(Clone, PartialEq, Debug)]
pub struct ValueMap {
    /// The NAME.
    pub name: At<String>,
    /// Pairs, in the order of the file.
    pub pairs: Vec<(String, Literal)>,
}

/// A value written in the plan.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs)] // TOML's own types; there is no TOML null: `"null"` is said by `invalid`
pub enum Literal {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

/// `[[table]]`: one step; it fills one table from one source or an ordered union of sources.
#[derive(Clone, PartialEq, Debug)]
pub struct TableMapping {
    /// `into`: the target table.
    pub into: At<String>,
    /// `from`: sources, in the order they are read.
    pub from: Vec<At<String>>,
    /// `each`: what makes a source unit.
    pub each: Each,
    /// `where`: CEL; records for which it is false are filtered.
    pub filter: Option<At<String>>,
    /// `key`: target columns that identify a row.
    pub key: Vec<At<String>>,
    /// `legacy_key`: what `ref … by` of other tables is compared with. Where it is left out, see
    /// [`TableMapping::legacy_key_parts`].
    pub legacy_key: Option<Vec<Expr>>,
    /// `existing`: what becomes of a row whose key stands in the target with another content.
    pub existing: Existing,
    /// `duplicates`: which units count as one.
    pub duplicates: Option<Duplicates>,
    /// `[table.let]`: named expressions that `where`, rules, CEL and columns can use as fields.
    pub lets: Vec<(At<String>, Expr)>,
    /// `[table.columns]`, in the order of the file.
    pub columns: Vec<(At<String>, Expr)>,
    /// `[[table.rule]]`: row rules, checked before loading.
    pub rules: Vec<Rule>,
    /// Where the `[[table]]` stands.
    pub span: Span,
}

impl TableMapping {
    /// The expression of a target column.
    pub fn column(&self, name: &str) -> Option<&Expr> {
        self.columns.iter().find(|(column, _)| column.value == name).map(|(_, expr)| expr)
    }

    /// What `ref … by` of other tables is compared with, part by part: `legacy_key` where it is
    /// said, else the parts of a single `uuid5` key column, else the key columns' own expressions.
    pub fn legacy_key_parts(&self) -> Vec<&Expr> {
        if let Some(parts) = &self.legacy_key {
            return parts.iter().collect();
        }
        let own: Vec<&Expr> = self.key.iter().filter_map(|key| self.column(&key.value)).collect();
        match own.as_slice() {
            [Expr { base: Base::Uuid5(parts), .. }] => parts.iter().collect(),
            _ => own,
        }
    }
}

/// What makes a source unit.
#[derive(Clone, PartialEq, Debug)]
pub enum Each {
    /// A record (default).
    Record,
    /// `each = "file"`: one row per file.
    File,
    /// `each = "/tags"`: one row per element of the array at this JSON Pointer.
    Element(At<String>),
}

/// What becomes of a row whose key stands in the target already with another content.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Existing {
    /// The unit is rejected (default).
    Reject,
    /// The row is updated, unless someone else has edited it since Whimbrel wrote it.
    Update,
    /// The target's row stays; the unit counts as a duplicate.
    Keep,
}

/// `duplicates = { by = …, scope = …, conflict = … }`: the first in source order wins.
#[derive(Clone, PartialEq, Debug)]
pub struct Duplicates {
    /// `by = "record"` (the record's bytes) or target columns.
    pub by: DuplicatesBy,
    /// `scope = "table"` (default) or `"file"`.
    pub scope: DuplicatesScope,
    /// `conflict`: what becomes of a later unit with the same `by`, whatever its other columns.
    pub conflict: DuplicateConflict,
}

/// What later units are compared by.
#[derive(Clone, PartialEq, Debug)]
pub enum DuplicatesBy {
    /// The bytes of the record.
    Record,
    /// These target columns.
    Columns(Vec<At<String>>),
}

/// How far duplicates are looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DuplicatesScope {
    /// Over everything the table is filled from.
    Table,
    /// Within one file.
    File,
}

/// What becomes of a later unit with the same `by` columns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DuplicateConflict {
    /// It counts as a duplicate, and its legacy id leads to the winner's row (default).
    Map,
    /// It is rejected.
    Reject,
}

/// `[[table.rule]]`: must be true for a row to be loaded.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// `name`, as reports show it.
    pub name: At<String>,
    /// `cel` over source fields and `[table.let]` names; `new.COLUMN` is the produced value.
    pub cel: At<String>,
    /// `severity`: `reject` (default) or `warn` (counted and sampled).
    pub severity: Severity,
    /// `max`: how many violations are allowed before the run stops; none: as many as there are.
    pub max: Option<Budget>,
}

/// What a broken rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The unit is rejected.
    Reject,
    /// It is loaded, counted and sampled.
    Warn,
}

/// An expression for a column: where the value comes from, then what is done to it, always in
/// this order: null → trim, lower, newlines → strip → map → list → matches, max_chars → the kind
/// (`timestamp`) → default. A literal `default` is made the column's kind once, with the plan.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// Where the value comes from.
    pub base: Base,
    /// `null = [..]`: texts that mean NULL here.
    pub null: Vec<String>,
    /// `trim = true`: white space at both ends is removed.
    pub trim: bool,
    /// `lower = true`: Unicode lower case.
    pub lower: bool,
    /// `newlines = true`: CR LF and CR become LF; a leading BOM goes.
    pub newlines: bool,
    /// `strip_prefix`.
    pub strip_prefix: Option<String>,
    /// `strip_suffix`.
    pub strip_suffix: Option<String>,
    /// `map = "NAME"` of a `[map.NAME]`; values that are not in it: `map_other`.
    pub map: Option<At<String>>,
    /// `map_other = "reject"` (default), `"keep"` or `"null"`.
    pub map_other: MapOther,
    /// `list`: text or JSON array → JSON array of texts.
    pub list: Option<ListRule>,
    /// `matches`: a regular expression that text must match as a whole or in part as written.
    pub matches: Option<At<String>>,
    /// `max_chars`: longer text is invalid.
    pub max_chars: Option<u64>,
    /// `type`: the kind, where it is not the target column's.
    pub kind: Option<At<Kind>>,
    /// `timestamp`: formats, tried in order: a name of [`TIMESTAMP_NAMES`] or a pattern with `%`.
    pub timestamp: Vec<At<String>>,
    /// `start`: the instant from which clock-only times count (S3's files name it).
    pub start: Option<Box<Expr>>,
    /// `timezone` of this column's times that carry none.
    pub timezone: Option<At<String>>,
    /// `fold`: which of two instants a repeated local time means.
    pub fold: Fold,
    /// `default`: instead of NULL.
    pub default: Option<Literal>,
    /// `invalid`: what becomes of a value that cannot be converted.
    pub invalid: Invalid,
    /// `round = true`: a decimal may lose digits that the target cannot hold; counted.
    pub round: bool,
    /// Where the expression stands.
    pub span: Span,
}

/// Formats of `timestamp` that have a name; everything else is a `strftime` pattern.
pub const TIMESTAMP_NAMES: &[(&str, &str)] = &[
    ("rfc3339", "an instant, `2024-03-31T01:59:59.25+02:00`, also with a blank for the `T`"),
    (
        "iso8601",
        "the same without a zone, `2024-03-31T01:59:59.25`: a local time; a day alone is its midnight",
    ),
    (
        "unix",
        "seconds since 1970-01-01T00:00:00Z, a number as JSON writes it, with at most nine digits behind the point; like all formats, for years of four digits",
    ),
    ("unix_ms", "milliseconds since 1970-01-01T00:00:00Z"),
    ("unix_us", "microseconds since 1970-01-01T00:00:00Z"),
];

/// Where an expression's value comes from: exactly one of these keys.
#[derive(Clone, PartialEq, Debug)]
pub enum Base {
    /// A bare string, or `from`: a source column, a `let` name, or a JSON Pointer (`/a/b`).
    Field(At<String>),
    /// `fact`: see [`Fact`].
    Fact(At<Fact>),
    /// `value`: a literal.
    Value(Literal),
    /// `first = [..]`: the first that is not NULL.
    First(Vec<Expr>),
    /// `concat = [..]`, joined by `separator`; NULL parts are left out.
    Concat {
        /// The parts.
        parts: Vec<Expr>,
        /// Between them.
        separator: String,
    },
    /// `split = ..`, `by = ","`, `part = 1`: one part of a text, from 1; negative from the end.
    Split {
        /// The text.
        of: Box<Expr>,
        /// The separator.
        by: String,
        /// Which part.
        part: i64,
    },
    /// `uuid5 = [..]`: parts joined by U+001F; NULL in a part rejects.
    Uuid5(Vec<Expr>),
    /// `ref = "TABLE"`, `by = ..`: the new key of the row of that table whose legacy key is `by`.
    Ref {
        /// The parent table.
        table: At<String>,
        /// Its legacy key: what the parent's `uuid5` parts or key columns were made from.
        by: Vec<Expr>,
        /// `missing = "reject"` (default) or `"null"`.
        missing: MissingRef,
    },
    /// `cel`: a CEL expression over source fields and `let` names.
    Cel(At<String>),
    /// `last`, `first_of`, `count`, `min`, `max`, `sum` of a field, for `each = "file"`.
    Aggregate {
        /// Which.
        of: Aggregate,
        /// The field; none for `count`.
        field: Option<At<String>>,
    },
    /// `by_source = { a = .., b = .. }`: one expression per source of a union.
    BySource(Vec<(At<String>, Expr)>),
    /// `hash = "sha256"|"blake3"`, `of = [..]`: lower-case hex over the parts' UTF-8 bytes, joined
    /// by U+001F.
    Hash {
        /// Which.
        algorithm: HashAlgorithm,
        /// The parts.
        parts: Vec<Expr>,
    },
    /// `object = { key = .. }`: a JSON object.
    Object(Vec<(At<String>, Expr)>),
    /// `canonical_json = ..`: SHA-256 of a JSON text's canonical form, in lower-case hex.
    JsonChecksum(Box<Expr>),
}

/// A fact about the record's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fact {
    /// `file.path`, relative to the plan.
    FilePath,
    /// `file.name`.
    FileName,
    /// `file.stem`.
    FileStem,
    /// `file.dir`.
    FileDir,
    /// `file.suffix`.
    FileSuffix,
    /// `file.mtime`, an instant.
    FileMtime,
    /// `file.size` in bytes.
    FileSize,
    /// `file.sha256` of the file's bytes as stored, lower-case hex.
    FileSha256,
    /// `file.blake3` of the file's bytes as stored, lower-case hex.
    FileBlake3,
    /// `file.text`: the whole file, for `each = "file"`.
    FileText,
    /// `record.number`, from 1, in its file.
    RecordNumber,
    /// `record.line`, from 1.
    RecordLine,
    /// `record.text`: the record as written.
    RecordText,
    /// `record.json`: the record as a JSON object.
    RecordJson,
    /// `element.number`, from 1, for `each = "/pointer"`.
    ElementNumber,
    /// `element`: the element itself, for `each = "/pointer"`.
    Element,
    /// `source.name`.
    SourceName,
    /// `source.ordinal`: of the unit within the table's sources, from 1; gaps are possible.
    SourceOrdinal,
    /// `plan.timezone`.
    PlanTimezone,
}

impl Fact {
    /// Every fact with its name in plans.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("file.path", Self::FilePath),
        ("file.name", Self::FileName),
        ("file.stem", Self::FileStem),
        ("file.dir", Self::FileDir),
        ("file.suffix", Self::FileSuffix),
        ("file.mtime", Self::FileMtime),
        ("file.size", Self::FileSize),
        ("file.sha256", Self::FileSha256),
        ("file.blake3", Self::FileBlake3),
        ("file.text", Self::FileText),
        ("record.number", Self::RecordNumber),
        ("record.line", Self::RecordLine),
        ("record.text", Self::RecordText),
        ("record.json", Self::RecordJson),
        ("element.number", Self::ElementNumber),
        ("element", Self::Element),
        ("source.name", Self::SourceName),
        ("source.ordinal", Self::SourceOrdinal),
        ("plan.timezone", Self::PlanTimezone),
    ];
}

/// What becomes of a value that is not in its map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // said at `Expr::map_other`
pub enum MapOther {
    Reject,
    Keep,
    Null,
}

/// What becomes of a reference whose parent is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // said at `Base::Ref`
pub enum MissingRef {
    Reject,
    Null,
}

/// What becomes of a value that cannot be converted (the original is counted and sampled).
#[derive(Clone, PartialEq, Debug)]
pub enum Invalid {
    /// The record is rejected (default).
    Reject,
    /// `invalid = "null"`.
    Null,
    /// `invalid = "default"`: the column's `default`.
    Default,
}

/// Which of two instants a repeated local time means (the end of daylight saving).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fold {
    /// The value is invalid (default for single times).
    Reject,
    /// The earlier one; for clock-only times with `start`, order decides first.
    Earlier,
    /// The later one.
    Later,
}

/// `list = { split = [",", ";"], unique = true }`.
#[derive(Clone, PartialEq, Debug)]
pub struct ListRule {
    /// Separators of a text; each part is trimmed, empty ones go.
    pub split: Vec<String>,
    /// Later equal elements go.
    pub unique: bool,
}

/// Aggregates over the records of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the names are the functions
pub enum Aggregate {
    Last,
    FirstOf,
    Count,
    Min,
    Max,
    Sum,
}

/// Hashes that a column may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the names are the algorithms
pub enum HashAlgorithm {
    Sha256,
    Blake3,
}

/// `[rejects]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Rejects {
    /// `max`: a count or a ratio; past it the run stops at a checkpoint (exit 7).
    pub max: Option<Budget>,
    /// `after`: a ratio counts only from this many units on (default 1000).
    pub after: u64,
}

/// A count (`50`) or a ratio (`"1%"`).
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Budget {
    /// At most this many.
    Count(u64),
    /// At most this part of the units read, 0 to 1.
    Ratio(f64),
}

/// `[window]`: when the run may write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// `open`: minutes since local midnight in the plan's timezone.
    pub open: u32,
    /// `close`: minutes since midnight; before `open` it means the next day.
    pub close: u32,
    /// `outside`.
    pub outside: Outside,
}

/// What happens outside the window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outside {
    /// The run does not start (default).
    Refuse,
    /// It waits for the opening.
    Wait,
}

/// `[run]`: limits; a change of them is not a change of the mapping.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RunLimits {
    /// `workers`: threads that transform; from the machine where it is left out.
    pub workers: Option<u32>,
    /// `batch_size`: rows per transaction; adaptive where it is left out.
    pub batch_size: Option<u64>,
    /// `batch_bytes` per transaction (default 64 MiB).
    pub batch_bytes: Option<u64>,
    /// `batch_timeout`: a batch is committed after this time at the latest (default 2 s).
    pub batch_timeout: Option<Duration>,
    /// `retries` of a batch after a transient error (default 3).
    pub retries: Option<u32>,
    /// `max_rate`: rows per second that are written at most.
    pub max_rate: Option<u64>,
    /// `indexes`: whether they are there while a table that was empty is loaded.
    pub indexes: Indexes,
    /// `deadline`: after this long the run stops at a checkpoint (exit 75).
    pub deadline: Option<Duration>,
}

/// What happens to indexes that a load can do without, while a table that was empty is loaded.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Indexes {
    /// They are parked where the load is large (default).
    #[default]
    Auto,
    /// They stay.
    Keep,
    /// They are dropped, and made again when the rows are complete.
    Park,
}
