//! Decoding a plan: TOML text → [`Plan`], or everything that is wrong with it.
//!
//! ```text
//! text ──toml──▶ tree with places ──keys──▶ Plan ──check──▶ Plan
//!                                    └───────────┴──▶ errors, all of them
//! ```
//! Owns the meaning of every section. Checks that need data, a database or a compiled expression
//! belong to others.

use std::io;

use toml::de::DeTable;

use super::checks::{checks, queries};
use super::error::PlanError;
use super::expr::{check_pointer, exprs, named_exprs};
use super::keys::{self, FORMATS, Shape};
use super::read::{Notes, Reader, or};
use super::suggest::did_you_mean;
use super::variables::Variables;
use super::{
    At, Budget, ByEngine, CsvDialect, Database, DuplicateConflict, Duplicates, DuplicatesBy,
    DuplicatesScope, Each, Existing, Format, Hidden, Indexes, LargeFiles, Outside, Plan, Ragged,
    Rejects, Relate, Rule, RunLimits, Secret, Severity, Source, SourceColumn, SourceRows, Span,
    SqlText, TableMapping, ValueMap, Verify, Window, check, codes,
};

pub(super) const MAX_RECORD_SIZE: u64 = 64 << 20;
const REJECTS_AFTER: u64 = 1000;

/// Reads a plan.
///
/// `env` gives the value of a variable, `read_file` the text of a file named by `${file:…}`, whose
/// path is relative to the plan. The errors are in the order of the file, and hold no value that
/// came from either.
pub fn decode(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    read_file: &dyn Fn(&str) -> io::Result<String>,
) -> Result<Plan, Vec<PlanError>> {
    let (tree, syntax) = DeTable::parse_recoverable(text);
    if !syntax.is_empty() {
        return Err(syntax_errors(text, &syntax));
    }
    let notes = Notes::new(Variables { env, read_file });
    let plan = plan(&notes, tree.get_ref());
    check::check(&plan, &notes);
    let (errors, hidden) = notes.into_parts();
    if errors.is_empty() { Ok(Plan { hidden: Hidden(hidden), ..plan }) } else { Err(errors) }
}

/// The first error of each line: what the reader says after it mostly follows from it.
fn syntax_errors(text: &str, errors: &[toml::de::Error]) -> Vec<PlanError> {
    let mut errors: Vec<PlanError> = errors.iter().map(syntax_error).collect();
    errors.sort_by_key(|error| error.span.clone().map_or(0, |span| span.start));
    errors.dedup_by_key(|error| error.line_column(text).map_or(0, |(line, _)| line));
    errors
}

fn syntax_error(error: &toml::de::Error) -> PlanError {
    let span = error.span();
    PlanError {
        code: codes::SYNTAX,
        message: error.message().replace('\n', ", "),
        span,
        help: None,
    }
}

/// The plan. What was wrong is noted, and something stands in for it that keeps names what they
/// are, so that the checks find no mistakes that follow from others.
fn plan<'a>(notes: &'a Notes<'a>, tree: &'a DeTable<'a>) -> Plan {
    let root = Reader::open(notes, &keys::ROOT, "the plan".to_owned(), tree, 0..0);
    let name = root.text("name");
    let target = root.text("target").map(secret);
    Plan {
        name: name.unwrap_or(At { value: String::new(), span: 0..0 }),
        target: target.unwrap_or(At { value: Secret::new(String::new()), span: 0..0 }),
        schema: root.text("schema"),
        timezone: root.text("timezone"),
        namespace: root.uuid("namespace"),
        verify: root.word("verify", VERIFY).unwrap_or_default(),
        sources: sources(&root),
        maps: maps(&root),
        tables: tables(&root),
        relates: relates(&root),
        checks: checks(&root),
        queries: queries(&root),
        rejects: rejects(&root),
        window: window(&root),
        run: run_limits(&root),
        hidden: Hidden::default(),
    }
}

const VERIFY: &[(&str, Verify)] = &[
    ("none", Verify::None),
    ("basic", Verify::Basic),
    ("standard", Verify::Standard),
    ("rigorous", Verify::Rigorous),
    ("forensic", Verify::Forensic),
];

fn secret(text: At<String>) -> At<Secret> {
    At { value: Secret::new(text.value), span: text.span }
}

fn sources(root: &Reader<'_>) -> Vec<Source> {
    let shape = Shape::Named(&keys::SOURCE);
    let named = root.named("source", shape);
    named
        .into_iter()
        .filter_map(|(name, node)| {
            let table = root.table_of(&format!("source.{}", name.value), node, shape)?;
            let place = format!("`[source.{}]`", name.value);
            let reader = Reader::open(root.notes, &keys::SOURCE, place, table, node.span());
            Some(source(name, &reader))
        })
        .collect()
}

fn source(name: At<String>, reader: &Reader<'_>) -> Source {
    let (format, globs) = format(&name, reader);
    Source {
        format,
        globs,
        exclude: reader.texts("exclude"),
        hidden: reader.bool("hidden").unwrap_or(false),
        ignore_case: reader.bool("ignore_case").unwrap_or(false),
        follow_links: reader.bool("follow_links").unwrap_or(false),
        encoding: reader.one_of("encoding"),
        null: reader.markers("null").unwrap_or_default(),
        columns: source_columns(reader),
        optional: reader.names("optional"),
        ignore: reader.names("ignore"),
        archive: reader.names("archive"),
        sensitive: reader.names("sensitive"),
        max_file_size: reader.size("max_file_size"),
        large_files: reader.word("large_files", LARGE_FILES).unwrap_or(LargeFiles::Handle),
        max_record_size: reader.size("max_record_size").unwrap_or(MAX_RECORD_SIZE),
        name,
    }
}

const LARGE_FILES: &[(&str, LargeFiles)] =
    &[("handle", LargeFiles::Handle), ("skip", LargeFiles::Skip), ("reject", LargeFiles::Reject)];

/// The one format of a source, and its globs.
fn format(name: &At<String>, reader: &Reader<'_>) -> (Format, Vec<At<String>>) {
    let present = reader.present(FORMATS);
    let word = match present.as_slice() {
        [] if reader.has_or_means(FORMATS) => "text",
        [] => {
            let message = format!("{} says no format", reader.place);
            let help = format!("add {}", or(FORMATS));
            reader.notes.error(codes::FORMAT, name.span.clone(), message, Some(help));
            "text"
        }
        [(word, _)] => word,
        [(first, _), (second, span), ..] => {
            let message = format!("{} has two formats, `{first}` and `{second}`", reader.place);
            let help = "make two sources of it; `from = [\"a\", \"b\"]` reads both".to_owned();
            reader.notes.error(codes::FORMAT, span.clone(), message, Some(help));
            first
        }
    };
    let format = match word {
        "csv" => Format::Csv(dialect(reader, b',')),
        "tsv" => Format::Csv(dialect(reader, b'\t')),
        "json" => Format::Json { records: records(reader) },
        "jsonl" => Format::JsonLines,
        "markdown" => Format::Markdown,
        "database" => return (Format::Database(database(reader)), Vec::new()),
        _ => Format::Text,
    };
    (format, if present.is_empty() { Vec::new() } else { reader.texts(word) })
}

fn database(reader: &Reader<'_>) -> Database {
    let url = reader.text("database").map(secret);
    let (table, query) = (reader.text("table"), reader.text("query"));
    if let (Some(_), Some(query)) = (&table, &query) {
        let message = format!("{} has both `table` and `query`", reader.place);
        let help = "one of them says which rows are read".to_owned();
        reader.notes.error(codes::FORMAT, query.span.clone(), message, Some(help));
    }
    let nothing = || At { value: String::new(), span: reader.span.clone() };
    Database {
        url: url.unwrap_or_else(|| secret(nothing())),
        rows: match (table, query) {
            (None, Some(query)) => SourceRows::Query(query),
            (table, _) => SourceRows::Table(table.unwrap_or_else(nothing)),
        },
        key: reader.texts("key"),
    }
}

fn records(reader: &Reader<'_>) -> Option<At<String>> {
    let pointer = reader.text("records")?;
    check_pointer(reader.notes, &pointer);
    Some(pointer)
}

fn dialect(reader: &Reader<'_>, delimiter: u8) -> CsvDialect {
    CsvDialect {
        delimiter: reader.byte("delimiter").unwrap_or(delimiter),
        quote: reader.byte_or_none("quote", b'"'),
        escape: reader.byte("escape"),
        comment: reader.byte("comment"),
        header: reader.bool("header").unwrap_or(true),
        names: reader.names("names").into_iter().map(|name| name.value).collect(),
        skip_lines: reader.count("skip_lines", 0).unwrap_or(0),
        ragged: reader.word("ragged", RAGGED).unwrap_or(Ragged::Reject),
    }
}

const RAGGED: &[(&str, Ragged)] =
    &[("reject", Ragged::Reject), ("pad", Ragged::Pad), ("truncate", Ragged::Truncate)];

fn source_columns(reader: &Reader<'_>) -> Vec<SourceColumn> {
    let shape = Shape::Named(&keys::SOURCE_COLUMN);
    let named = reader.named("columns", shape);
    named
        .into_iter()
        .filter_map(|(name, node)| {
            let place = format!("column {} of {}", reader.notes.shown(&name), reader.place);
            let table = reader.table_of(&name.value, node, shape)?;
            let column =
                Reader::open(reader.notes, &keys::SOURCE_COLUMN, place, table, node.span());
            Some(SourceColumn { null: column.markers("null"), kind: column.kind("type"), name })
        })
        .collect()
}

fn maps(root: &Reader<'_>) -> Vec<ValueMap> {
    let named = root.named("map", Shape::NamedPairs);
    named
        .into_iter()
        .filter_map(|(name, node)| {
            let table = root.table_of(&format!("map.{}", name.value), node, Shape::Pairs)?;
            if table.is_empty() {
                root.notes.error(
                    codes::EMPTY,
                    node.span(),
                    format!("`[map.{}]` is empty", name.value),
                    None,
                );
            }
            let pairs = table.iter().filter_map(|(old, new)| {
                let old = old.get_ref().to_string();
                let literal = root.literal_of(&old, new)?;
                Some((old, literal))
            });
            Some(ValueMap { pairs: pairs.collect(), name })
        })
        .collect()
}

fn tables(root: &Reader<'_>) -> Vec<TableMapping> {
    let tables = root.many("table", &keys::TABLE);
    tables
        .into_iter()
        .map(|(table, span)| {
            let place = match table.get("into").and_then(|into| into.get_ref().as_str()) {
                Some(into) if !into.contains('$') => {
                    format!("`[[table]]` `{}`", super::read::bounded(into))
                }
                Some(_) | None => "`[[table]]`".to_owned(),
            };
            let reader = Reader::open(root.notes, &keys::TABLE, place, table, span.clone());
            table_mapping(&reader, span)
        })
        .collect()
}

fn table_mapping(reader: &Reader<'_>, span: Span) -> TableMapping {
    let into = reader.text("into").unwrap_or(At { value: String::new(), span: span.clone() });
    TableMapping {
        into,
        from: reader.texts("from"),
        each: each(reader),
        filter: reader.text("where"),
        key: reader.texts("key"),
        legacy_key: reader.has("legacy_key").then(|| exprs(reader, "legacy_key")),
        existing: reader.word("existing", EXISTING).unwrap_or(Existing::Reject),
        duplicates: duplicates(reader),
        lets: named_exprs(reader, "let", "`let`"),
        columns: named_exprs(reader, "columns", "column"),
        rules: rules(reader),
        span,
    }
}

const EXISTING: &[(&str, Existing)] =
    &[("reject", Existing::Reject), ("update", Existing::Update), ("keep", Existing::Keep)];

fn each(reader: &Reader<'_>) -> Each {
    let Some(text) = reader.each("each") else {
        return Each::Record;
    };
    match text.value.as_str() {
        "record" => Each::Record,
        "file" => Each::File,
        pointer if pointer.starts_with('/') => {
            check_pointer(reader.notes, &text);
            Each::Element(text)
        }
        other => {
            let message = format!(
                "`each` must be {}, not {}",
                Shape::Each.expects(),
                reader.notes.shown(&text)
            );
            let help = did_you_mean(other, ["record", "file"]);
            reader.notes.error(codes::WRONG_WORD, text.span.clone(), message, help);
            Each::Record
        }
    }
}

fn duplicates(reader: &Reader<'_>) -> Option<Duplicates> {
    let place = format!("`duplicates` of {}", reader.place);
    let reader = reader.one("duplicates", &keys::DUPLICATES, place)?;
    let columns = reader.texts("by");
    // A column that is called `record` is still to be had: `by = ["record"]`.
    let by_record = reader.is_text("by") && columns.iter().any(|column| column.value == "record");
    Some(Duplicates {
        by: if by_record { DuplicatesBy::Record } else { DuplicatesBy::Columns(columns) },
        scope: reader.word("scope", SCOPE).unwrap_or(DuplicatesScope::Table),
        conflict: reader.word("conflict", CONFLICT).unwrap_or(DuplicateConflict::Map),
    })
}

const SCOPE: &[(&str, DuplicatesScope)] =
    &[("table", DuplicatesScope::Table), ("file", DuplicatesScope::File)];

const CONFLICT: &[(&str, DuplicateConflict)] =
    &[("map", DuplicateConflict::Map), ("reject", DuplicateConflict::Reject)];

fn rules(table: &Reader<'_>) -> Vec<Rule> {
    let rules = table.many("rule", &keys::RULE);
    rules
        .into_iter()
        .filter_map(|(rule, span)| {
            let place = format!("`[[table.rule]]` of {}", table.place);
            let reader = Reader::open(table.notes, &keys::RULE, place, rule, span);
            let severity = reader.word("severity", SEVERITY).unwrap_or(Severity::Reject);
            let max = reader.budget("max");
            Some(Rule { name: reader.text("name")?, cel: reader.text("cel")?, severity, max })
        })
        .collect()
}

const SEVERITY: &[(&str, Severity)] = &[("reject", Severity::Reject), ("warn", Severity::Warn)];

fn relates(root: &Reader<'_>) -> Vec<Relate> {
    let relates = root.many("relate", &keys::RELATE);
    relates
        .into_iter()
        .map(|(relate, span)| {
            let place = "`[[relate]]`".to_owned();
            let reader = Reader::open(root.notes, &keys::RELATE, place, relate, span.clone());
            let nothing = || SqlText { by: ByEngine::Each(Vec::new()), span: span.clone() };
            Relate {
                name: reader
                    .text("name")
                    .unwrap_or(At { value: String::new(), span: span.clone() }),
                sql: reader.sql("sql", &keys::SQL).unwrap_or_else(nothing),
                undo: reader.sql("undo", &keys::SQL),
                writes: reader.texts("writes"),
                check: reader.sql("check", &keys::SQL),
                span: span.clone(),
            }
        })
        .collect()
}

fn rejects(root: &Reader<'_>) -> Rejects {
    let Some(reader) = root.one("rejects", &keys::REJECTS, "`[rejects]`".to_owned()) else {
        return Rejects { max: None, after: REJECTS_AFTER };
    };
    let max: Option<Budget> = reader.budget("max");
    Rejects { max, after: reader.count("after", 0).unwrap_or(REJECTS_AFTER) }
}

fn window(root: &Reader<'_>) -> Option<Window> {
    let reader = root.one("window", &keys::WINDOW, "`[window]`".to_owned())?;
    let outside = reader.word("outside", OUTSIDE).unwrap_or(Outside::Refuse);
    let (open, close) = (reader.clock("open")?, reader.clock("close")?);
    if open.value == close.value {
        let message = "the window closes when it opens".to_owned();
        reader.notes.error(codes::CLOCK, close.span, message, None);
    }
    Some(Window { open: open.value, close: close.value, outside })
}

const OUTSIDE: &[(&str, Outside)] = &[("refuse", Outside::Refuse), ("wait", Outside::Wait)];

fn run_limits(root: &Reader<'_>) -> RunLimits {
    let Some(reader) = root.one("run", &keys::RUN, "`[run]`".to_owned()) else {
        return RunLimits::default();
    };
    RunLimits {
        workers: reader.count_u32("workers", 1),
        batch_size: reader.count("batch_size", 1),
        batch_bytes: reader.size("batch_bytes"),
        batch_timeout: reader.duration("batch_timeout"),
        retries: reader.count_u32("retries", 0),
        max_rate: reader.rate("max_rate"),
        indexes: reader.word("indexes", INDEXES).unwrap_or_default(),
        deadline: reader.duration("deadline"),
    }
}

const INDEXES: &[(&str, Indexes)] =
    &[("auto", Indexes::Auto), ("keep", Indexes::Keep), ("park", Indexes::Park)];
