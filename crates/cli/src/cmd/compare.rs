//! `compare`: two databases, or a plan and a database, row by row. Writes to neither.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use whimbrel_endpoint::{EndpointError, ErrorClass, Target};
use whimbrel_model::plan::quantity;
use whimbrel_model::{Value, ValueRef};
use whimbrel_transform::MASK;
use whimbrel_validator::compare::{
    Cell, Comparison, Found, How, Keyless, Mapped, Options, REREAD_MAX, TableComparison, Watch,
    compare, compare_mapped,
};
use whimbrel_validator::merge::Side;
use whimbrel_validator::sorter::Room;

use crate::args::{Compare, Format, Global};
use crate::cmd::masks::{Masks, is_sensitive};
use crate::cmd::repair::{self, Repair, Written};
use crate::cmd::verify::Silent;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, Shortfall, count, printable, thousands};
use crate::project::Project;

/// Bytes of rows in memory while they are sorted.
const SORT_BYTES: usize = 16 << 20;

/// Characters of a value that people see, and programs.
const SHOWN_CHARS: usize = 60;
const TOLD_CHARS: usize = 4_096;

pub(crate) async fn run(global: &Global, args: &Compare) -> Result<Answer, Failure> {
    let pause = quantity::duration(&args.wait).ok_or_else(|| {
        let message = format!("`--wait` is no time: `{}`", printable(&args.wait, 40));
        Failure::usage("WB0706", message, "write `500ms`, `2s` or `1m`")
    })?;
    args.repair.as_deref().map_or(Ok(()), repair::free)?;
    let options = Options {
        tables: args.table.clone(),
        without: args.without.clone(),
        attempts: args.attempts,
        pause,
        room: Room { folder: std::env::temp_dir(), bytes: SORT_BYTES },
        stands: args.repair.is_some(),
    };
    if args.all && args.list.is_none() && global.format == Format::Json {
        let hint = "add `--list FILE`, or take `--format jsonl`, a document a line";
        let message = "`--all` does not fit into one document";
        return Err(Failure::usage("WB0706", message, hint));
    }
    if Path::new(&args.left).extension().is_some_and(|extension| extension == "toml") {
        return plan_and_target(global, args, &options).await;
    }
    let Some(right) = &args.right else {
        let hint = "name two databases, or a plan: `whimbrel compare whimbrel.toml`";
        return Err(Failure::usage("WB0706", "there is nothing to compare with", hint));
    };
    let (left, right) = (opened(&args.left, false).await?, opened(right, false).await?);
    let mut listing = Listing::new(global, args, right.as_ref(), Masks::None).await?;
    let compared = compare(left.as_ref(), right.as_ref(), &options, &mut listing).await;
    let comparison = compared.map_err(unverified)?;
    listing.written()?;
    let shown = (shown(left.as_ref()).await, shown(right.as_ref()).await);
    let repair = listing.repaired(&comparison, &shown).await?;
    Ok(answer(&comparison, &listing, &shown, repair.as_ref()))
}

async fn plan_and_target(
    global: &Global,
    args: &Compare,
    options: &Options,
) -> Result<Answer, Failure> {
    let project = Project::open(Path::new(&args.left))?;
    let hides = is_sensitive(&project) && !args.show_sensitive;
    if hides && args.repair.is_some() {
        let message =
            "the plan has `sensitive` columns, whose values would stand in the file of `--repair`";
        let hint = "with `--show-sensitive` they do: keep the file accordingly";
        return Err(Failure::usage("WB0737", message, hint));
    }
    let mut ports = project.ports(Arc::new(Silent)).await?;
    let target: Arc<dyn Target> = match &args.right {
        Some(url) => Arc::from(opened(url, is_sensitive(&project)).await?),
        None => existing(Arc::clone(&ports.target)).await?,
    };
    ports.target = Arc::clone(&target);
    let masks = if hides { Masks::of(&project, &ports).await } else { Masks::None };
    let mapped = Mapped { plan: &project.plan, sources: &ports.sources, target: target.as_ref() };
    let mut listing = Listing::new(global, args, target.as_ref(), masks).await?;
    let comparison = compare_mapped(&mapped, options, &mut listing).await.map_err(unverified)?;
    listing.written()?;
    let left = format!("{}, as it maps its sources now", printable(&args.left, 200));
    let shown = (left, shown(target.as_ref()).await);
    let repair = listing.repaired(&comparison, &shown).await?;
    Ok(answer(&comparison, &listing, &shown, repair.as_ref()))
}

async fn opened(url: &str, hides_values: bool) -> Result<Box<dyn Target>, Failure> {
    let base = PathBuf::from(".");
    let options = whimbrel_sql::Options { base, hides_values, ..whimbrel_sql::Options::default() };
    let url = super::legacy::database_url(url);
    if !url.contains(':') && !Path::new(&url).exists() {
        return Err(nowhere(&url));
    }
    existing(whimbrel_sql::open(&url, options).await.map_err(unverified)?).await
}

fn nowhere(location: &str) -> Failure {
    let message = format!("there is no such database: `{}`", printable(location, 200));
    let hint = "name a database by its URL, or a file of SQLite by its path";
    Failure::usage("WB0734", message, hint)
}

/// The database, if there is one.
async fn existing<T: AsRef<dyn Target>>(target: T) -> Result<T, Failure> {
    let facts = target.as_ref().facts().await.map_err(unverified)?;
    if !facts.exists {
        return Err(nowhere(&facts.location));
    }
    Ok(target)
}

async fn shown(target: &dyn Target) -> String {
    let facts = target.facts().await;
    printable(&facts.map(|facts| facts.location).unwrap_or_default(), 200)
}

/// Code of the refusal to read what others own: nobody has compared it.
pub(super) const NO_RIGHT: &str = "WB0453";

/// The file of the list. Where it holds what is sensitive, its owner alone may read it.
fn created(file: &Path, args: &Compare) -> io::Result<File> {
    if !args.show_sensitive {
        return File::create(file);
    }
    let mut options = File::options();
    let created = options.write(true).create(true).truncate(true).mode(0o600).open(file)?;
    created.set_permissions(Permissions::from_mode(0o600))?;
    Ok(created)
}

/// What broke while rows were read is no answer: not equal, and not different either.
fn unverified(error: EndpointError) -> Failure {
    let is_mistake = error.class == ErrorClass::Configuration && error.code != NO_RIGHT;
    let failure = Failure::from(error);
    if is_mistake {
        return failure;
    }
    let hint = "nothing was written; run the same command again when both sides answer all of it";
    failure.with_exit(Exit::NotVerified).with_hint(hint)
}

/// Rows that differ: the first of them for the answer, all of them where that was asked for.
struct Listing<'t> {
    masks: Masks,
    /// Columns by which rows of a table are named.
    keys: BTreeMap<String, Vec<String>>,
    repair: Option<Repair<'t>>,
    /// Samples of each table.
    samples: Vec<(String, Found)>,
    /// How many of a table are kept.
    per_table: usize,
    stream: Option<Stream>,
    failed: Option<io::Error>,
}

struct Stream {
    out: Box<dyn io::Write + Send>,
    format: Format,
}

impl<'t> Listing<'t> {
    async fn new(
        global: &Global,
        args: &Compare,
        right: &'t dyn Target,
        masks: Masks,
    ) -> Result<Self, Failure> {
        let repair = match &args.repair {
            Some(file) => Some(Repair::new(file, right).await?),
            None => None,
        };
        let stream = if args.all {
            let out: Box<dyn io::Write + Send> = match &args.list {
                Some(file) => {
                    Box::new(io::BufWriter::new(created(file, args).map_err(|error| {
                        let message = format!("the list cannot be written: `{}`", file.display());
                        Failure::io("WB0735", message, &error).with_exit(Exit::Usage)
                    })?))
                }
                None => Box::new(io::stdout()),
            };
            let format = if args.list.is_some() { Format::Jsonl } else { global.format };
            Some(Stream { out, format })
        } else {
            None
        };
        let (keys, samples) = (BTreeMap::new(), Vec::new());
        Ok(Self { masks, keys, repair, samples, per_table: args.samples, stream, failed: None })
    }

    /// Writes the suggestions, where they were asked for.
    async fn repaired(
        &mut self,
        comparison: &Comparison,
        shown: &(String, String),
    ) -> Result<Option<Written>, Failure> {
        match self.repair.take() {
            Some(repair) => repair.finish(comparison, shown).await.map(Some),
            None => Ok(None),
        }
    }

    fn written(&mut self) -> Result<(), Failure> {
        let flushed = self.stream.as_mut().map_or(Ok(()), |stream| stream.out.flush());
        match self.failed.take().map_or(flushed, Err) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::io("WB0735", "the list of differences could not be written", &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn say(&mut self, document: &Json, text: &str) {
        let Some(stream) = &mut self.stream else { return };
        if self.failed.is_some() {
            return;
        }
        let line = match stream.format {
            Format::Text => format!("{text}\n"),
            Format::Json | Format::Jsonl => format!("{document}\n"),
        };
        self.failed = stream.out.write_all(line.as_bytes()).err();
    }
}

#[async_trait]
impl Watch for Listing<'_> {
    async fn wait(&mut self, pause: Duration) {
        tokio::time::sleep(pause).await;
    }

    async fn begins(&mut self, table: &TableComparison) -> Result<(), EndpointError> {
        let key = if table.key.is_empty() { &table.columns } else { &table.key };
        self.keys.insert(table.table.clone(), key.clone());
        match &mut self.repair {
            Some(repair) => repair.begins(table).await,
            None => Ok(()),
        }
    }

    fn differs(&mut self, table: &str, found: &Found, stands: Option<&[Value]>) {
        if let Some(repair) = &mut self.repair {
            repair.differs(table, found, stands);
        }
        let is_sample =
            self.samples.iter().filter(|(own, _)| own == table).count() < self.per_table;
        if !is_sample && self.stream.is_none() {
            return;
        }
        let found = self.masks.over(table, self.keys.get(table).map(Vec::as_slice), found);
        if self.stream.is_some() {
            let mut document = document(&found, TOLD_CHARS);
            document["table"] = printable(table, 200).into();
            let text = format!("{}: {}", printable(table, 60), line(&found));
            self.say(&document, &text);
        }
        if is_sample {
            self.samples.push((table.to_owned(), found));
        }
    }

    fn anew(&mut self, table: &str) {
        if let Some(repair) = &mut self.repair {
            repair.anew(table);
        }
        self.samples.retain(|(own, _)| own != table);
        let document = json!({ "table": printable(table, 200), "void": true });
        let text = format!("{}: what stands above is void, compared anew", printable(table, 60));
        self.say(&document, &text);
    }
}

fn told(value: ValueRef<'_>, chars: usize) -> String {
    match value {
        ValueRef::Text(MASK) => MASK.to_owned(),
        // Unlike NULL, `NULL` and nothing at all.
        ValueRef::Text(text) => format!("'{}'", printable(text, chars)),
        other => printable(&other.to_string(), chars),
    }
}

fn key_of(found: &Found, chars: usize) -> String {
    let parts: Vec<String> =
        found.key.iter().map(|value| printable(&value.as_ref().to_string(), chars)).collect();
    parts.join("/")
}

fn line(found: &Found) -> String {
    let side = |value: &Option<Value>| {
        value.as_ref().map_or_else(|| "-".to_owned(), |value| told(value.as_ref(), SHOWN_CHARS))
    };
    let cell = |cell: &Cell| {
        let (left, right) = (side(&cell.left), side(&cell.right));
        format!("{} {left} | {right}", printable(&cell.column, SHOWN_CHARS))
    };
    let cells: Vec<String> = found.cells.iter().map(cell).collect();
    let unstable = if found.unstable { ", still changing" } else { "" };
    let (how, key) = (found.how.word(), key_of(found, SHOWN_CHARS));
    match found.how {
        How::Changed => {
            format!("{how} {key}{unstable}: {}", cells.join(", "))
        }
        How::Missing | How::Extra => {
            format!("{how} {key}{unstable}")
        }
    }
}

fn document(found: &Found, chars: usize) -> Json {
    let side = |value: &Option<Value>| match value {
        None | Some(Value::Null) => Json::Null,
        Some(value) => printable(&value.as_ref().to_string(), chars).into(),
    };
    let cell = |cell: &Cell| {
        let (left, right) = (side(&cell.left), side(&cell.right));
        json!({ "column": printable(&cell.column, 200), "left": left, "right": right })
    };
    json!({
        "how": found.how.word(),
        "key": key_of(found, chars),
        "cells": found.cells.iter().map(cell).collect::<Vec<_>>(),
        "unstable": found.unstable,
    })
}

fn answer(
    comparison: &Comparison,
    listing: &Listing<'_>,
    shown: &(String, String),
    repair: Option<&Written>,
) -> Answer {
    let rows: u64 = comparison.tables.iter().map(|table| table.tally.left).sum();
    let differing: u64 = comparison.tables.iter().map(|table| table.tally.differing()).sum();
    let tables = count(comparison.tables.len() as u64, "table");
    let alone = (comparison.only_left.len() + comparison.only_right.len()) as u64;
    let apart = comparison.tables.iter().map(|table| table.apart.len() as u64).sum();
    let structure: Vec<String> = [(alone, "table"), (apart, "column")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!(", {} of one side only", count(number, what)))
        .collect();
    let message = if comparison.is_equal() {
        format!("Equal: {} in {tables}, every one compared", count(rows, "row"))
    } else if comparison.is_unsettled() {
        format!("Not settled: {} differ, but still change", count(differing, "row"))
    } else {
        let rows = count(differing, "row");
        let also = structure.concat();
        format!("Different: {rows} in {tables}{also}")
    };
    let repaired = repair.map(Written::text).unwrap_or_default();
    let text = format!("{message}.\n\n{}{repaired}", text(comparison, listing, shown));
    let mut data = json!({
        "left": shown.0,
        "right": shown.1,
        "equal": comparison.is_equal(),
        "tables": comparison.tables.iter().map(|table| of_table(table, listing)).collect::<Vec<_>>(),
        "only_left": comparison.only_left,
        "only_right": comparison.only_right,
    });
    if let Some(repair) = repair {
        data["repair"] = repair.document();
    }
    let answer = Answer::new(message, text, data);
    if comparison.is_equal() {
        answer
    } else if comparison.is_unsettled() {
        let hint =
            "run it again with more `--attempts` or a longer `--wait`, or when less is written";
        answer.falls_short(Exit::NotVerified, Shortfall { code: "WB0804", hint: hint.to_owned() })
    } else {
        let hint = match repair {
            Some(_) => {
                "read the file of `--repair` before you run it; nothing is repaired by itself"
            }
            None => {
                "`--all --list FILE` writes every row that differs, `--repair FILE` SQL that would \
                 mend the right side; nothing is repaired by itself"
            }
        };
        answer.falls_short(Exit::Differs, Shortfall { code: "WB0805", hint: hint.to_owned() })
    }
}

/// Why rows are matched by all columns.
fn keyless(why: &Keyless) -> String {
    let of = |key: &[String]| printable(&key.join("/"), SHOWN_CHARS);
    match why {
        Keyless::Undeclared => "neither side has a key".to_owned(),
        Keyless::MayBeNull(side, key) => {
            let (side, key) = (word(*side), of(key));
            format!("the key on the {side}, `{key}`, may be NULL: NOT NULL would make it one")
        }
        Keyless::NotCompared(side, key) => {
            format!("not all of the key on the {} is compared: `{}`", word(*side), of(key))
        }
    }
}

fn word(side: Side) -> &'static str {
    match side {
        Side::Left => "left",
        Side::Right => "right",
    }
}

fn of_table(table: &TableComparison, listing: &Listing<'_>) -> Json {
    let tally = &table.tally;
    let samples = listing.samples.iter().filter(|(own, _)| *own == table.table);
    let apart = |side: Side| -> Vec<&str> {
        let own = table.apart.iter().filter(|apart| apart.side == side);
        own.map(|apart| apart.column.as_str()).collect()
    };
    json!({
        "table": table.table,
        "key": table.key,
        "keyless": table.keyless.as_ref().map(keyless),
        "columns": table.columns,
        "columns_only_left": apart(Side::Left),
        "columns_only_right": apart(Side::Right),
        "left": tally.left,
        "right": tally.right,
        "equal": tally.equal,
        "changed": tally.changed,
        "missing": tally.missing,
        "extra": tally.extra,
        "unstable": table.unstable,
        "settled": table.settled,
        "reread": !table.not_reread,
        "rejected": table.rejected,
        "written_by": table.written_by,
        "sorted_here": table.sorted.iter().map(|side| word(*side)).collect::<Vec<_>>(),
        "samples": samples.map(|(_, found)| document(found, TOLD_CHARS)).collect::<Vec<_>>(),
    })
}

fn text(comparison: &Comparison, listing: &Listing<'_>, shown: &(String, String)) -> String {
    let mut out = format!("left   {}\nright  {}\n\n", shown.0, shown.1);
    let names = comparison.tables.iter().map(|table| printable(&table.table, SHOWN_CHARS));
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0).max(5);
    let _ = writeln!(
        out,
        "{:width$}  {:>13}  {:>13}  {:>11}  {:>11}  {:>11}",
        "table", "left", "right", "changed", "missing", "extra"
    );
    for table in &comparison.tables {
        let tally = &table.tally;
        let _ = writeln!(
            out,
            "{:width$}  {:>13}  {:>13}  {:>11}  {:>11}  {:>11}",
            printable(&table.table, SHOWN_CHARS),
            thousands(tally.left),
            thousands(tally.right),
            thousands(tally.changed),
            thousands(tally.missing),
            thousands(tally.extra)
        );
    }
    for (side, names) in [("left", &comparison.only_left), ("right", &comparison.only_right)] {
        for name in names {
            let _ = writeln!(out, "\nonly on the {side}: table `{}`", printable(name, SHOWN_CHARS));
        }
    }
    for table in &comparison.tables {
        remarks(table, listing, &mut out);
    }
    out.push('\n');
    out
}

/// What there is to say of a table beside its figures.
fn remarks(table: &TableComparison, listing: &Listing<'_>, out: &mut String) {
    let name = printable(&table.table, SHOWN_CHARS);
    let tells = matches!(table.keyless, Some(Keyless::MayBeNull(..) | Keyless::NotCompared(..)));
    if let Some(why) = table.keyless.as_ref().filter(|_| tells) {
        let _ = writeln!(out, "{name}: matched by all columns, as {}", keyless(why));
    }
    for apart in &table.apart {
        let side = word(apart.side);
        let column = printable(&apart.column, SHOWN_CHARS);
        let _ = writeln!(out, "\nonly on the {side}: column `{name}.{column}`");
    }
    let samples: Vec<&(String, Found)> =
        listing.samples.iter().filter(|(own, _)| *own == table.table).collect();
    if !samples.is_empty() {
        let key = if table.key.is_empty() { "all columns".to_owned() } else { table.key.join("/") };
        let _ = writeln!(out, "\n{name}, by {}:", printable(&key, SHOWN_CHARS));
        for (_, found) in &samples {
            let _ = writeln!(out, "  {}", line(found));
        }
        let more = table.tally.differing().saturating_sub(samples.len() as u64);
        if more > 0 {
            let _ = writeln!(out, "  and {}", count(more, "more row"));
        }
    }
    if table.rejected > 0 {
        let records = count(table.rejected, "record");
        let _ = writeln!(out, "{name}: the plan rejects {records}, which no row is expected of");
    }
    if !table.written_by.is_empty() && !table.tally.is_equal() {
        let steps: Vec<String> =
            table.written_by.iter().map(|step| printable(step, SHOWN_CHARS)).collect();
        let _ = writeln!(
            out,
            "{name}: SQL of the plan has written to it (`{}`), which is not derived here",
            steps.join("`, `")
        );
    }
    if table.settled > 0 {
        let _ = writeln!(
            out,
            "{name}: {} differed at first and were equal when they were read again",
            count(table.settled, "row")
        );
    }
    if table.not_reread && !table.tally.is_equal() {
        let _ = writeln!(
            out,
            "{name}: more than {} rows differ, so none was read again",
            thousands(REREAD_MAX as u64)
        );
    }
}
