//! `compare --repair`: a file of SQL that would make the right side like the left one. Nothing is run.
//!
//! ```text
//! row that differs ─▶ statement in the right side's words ─▶ spools: inserts, updates, deletes
//!                                                            └─ tables in the order of their references ─▶ FILE
//! ```
//! Rows are said one by one as they are told, whatever their number. The file takes its name when it is
//! whole and on the disk, and never that of another one.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use tempfile::NamedTempFile;
use whimbrel_core::{Clock as _, rfc3339};
use whimbrel_endpoint::{Cell, EndpointError, Seen, Target, Unsaid, Words};
use whimbrel_model::catalogue::Catalogue;
use whimbrel_model::{Column, Kind, Value};
use whimbrel_sql::Frame;
use whimbrel_validator::compare::{Comparison, Found, How, Spared, TableComparison};
use whimbrel_validator::merge::Side;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::machine::SystemClock;
use crate::output::{count, printable};

/// Characters of a name, of a row's key, of a reason.
const CHARS: usize = 300;

/// The kinds of statements, in the order in which they stand in the file.
const KINDS: [(How, &str); 3] =
    [(How::Missing, "insert"), (How::Changed, "update"), (How::Extra, "delete")];

/// Suggestions on their way into a file.
pub(crate) struct Repair<'t> {
    right: &'t dyn Target,
    file: PathBuf,
    engine: &'static str,
    frame: Frame,
    spools: [Spool; 3],
    tables: BTreeMap<String, Told>,
    failed: Option<io::Error>,
}

/// Statements of one kind.
struct Spool {
    out: BufWriter<File>,
    bytes: u64,
}

/// What is told of a table.
struct Told {
    key: Vec<String>,
    columns: Vec<String>,
    words: Option<Box<dyn Words>>,
    /// Rows that may be right as they are.
    spared: Option<Spared>,
    /// Of rows without a key some cannot be added: so none is removed, as it may be what one of them was.
    withheld: bool,
    /// Where its statements stand, and how many they are, of each kind.
    parts: [Part; 3],
    unsaid: u64,
    unstable: u64,
}

/// A table's statements in a spool.
#[derive(Clone, Copy, Default)]
struct Part {
    start: u64,
    end: u64,
    statements: u64,
    unsaid: u64,
}

/// What came of the suggestions.
pub(crate) struct Written {
    file: PathBuf,
    /// There was something to say.
    stands: bool,
    /// Inserts, updates, deletes.
    statements: [u64; 3],
    unsaid: u64,
    unstable: u64,
}

/// Refuses a file that is there, before anything is opened.
pub(crate) fn free(file: &Path) -> Result<(), Failure> {
    if file.symlink_metadata().is_ok() { Err(taken(file)) } else { Ok(()) }
}

impl<'t> Repair<'t> {
    /// Refuses a folder that cannot be written to, before any row is read.
    pub(crate) async fn new(file: &Path, right: &'t dyn Target) -> Result<Self, Failure> {
        let engine = right.facts().await?.engine;
        let frame = whimbrel_sql::frame(engine).ok_or_else(|| {
            let message = format!("nothing is suggested in the words of `{engine}`");
            Failure::usage("WB0736", message, "leave `--repair` out")
        })?;
        drop(temporary(file)?);
        let spool =
            || Ok::<_, io::Error>(Spool { out: BufWriter::new(tempfile::tempfile()?), bytes: 0 });
        let spools = || Ok::<_, io::Error>([spool()?, spool()?, spool()?]);
        let spools = spools().map_err(|error| unwritable(file, &error))?;
        let (file, tables) = (file.to_owned(), BTreeMap::new());
        Ok(Self { right, file, engine, frame, spools, tables, failed: None })
    }

    pub(crate) async fn begins(&mut self, table: &TableComparison) -> Result<(), EndpointError> {
        let key: Vec<&str> = table.key.iter().map(String::as_str).collect();
        let told = Told {
            key: table.key.clone(),
            columns: table.columns.clone(),
            words: self.right.words(&table.table, &key).await?,
            spared: table.spared.clone(),
            withheld: false,
            parts: [Part::default(); 3],
            unsaid: 0,
            unstable: 0,
        };
        self.tables.insert(table.table.clone(), told);
        Ok(())
    }

    pub(crate) fn differs(&mut self, table: &str, found: &Found, stands: Option<&[Value]>) {
        let Some(told) = self.tables.get_mut(table) else { return };
        if found.unstable {
            told.unstable += 1;
            return;
        }
        let kind = KINDS.iter().position(|(how, _)| *how == found.how);
        let kind = kind.expect("all ways to differ have a kind");
        let statement = told.said(found, stands);
        let part = &mut told.parts[kind];
        let line = match statement {
            Ok(statement) => {
                part.statements += 1;
                statement
            }
            Err(why) => {
                part.unsaid += 1;
                told.unsaid += 1;
                unsaid(found, &why)
            }
        };
        let spool = &mut self.spools[kind];
        if part.start == part.end {
            part.start = spool.bytes;
        }
        let written =
            spool.out.write_all(line.as_bytes()).and_then(|()| spool.out.write_all(b"\n"));
        spool.bytes += line.len() as u64 + 1;
        part.end = spool.bytes;
        self.failed = self.failed.take().or(written.err());
    }

    /// What was told of a table is void.
    pub(crate) fn anew(&mut self, table: &str) {
        if let Some(told) = self.tables.get_mut(table) {
            (told.parts, told.unsaid, told.unstable) = ([Part::default(); 3], 0, 0);
        }
    }

    /// Writes the file, where there is anything to say.
    pub(crate) async fn finish(
        mut self,
        comparison: &Comparison,
        shown: &(String, String),
    ) -> Result<Written, Failure> {
        if let Some(error) = self.failed.take() {
            return Err(unwritable(&self.file, &error));
        }
        self.tables.values_mut().for_each(Told::withhold);
        let sum = |of: &dyn Fn(&Told) -> u64| self.tables.values().map(of).sum::<u64>();
        let statements = [0, 1, 2].map(|kind| sum(&|told| told.parts[kind].statements));
        let (unsaid, unstable) = (sum(&|told| told.unsaid), sum(&|told| told.unstable));
        let stands = statements.iter().sum::<u64>() + unsaid > 0;
        if stands {
            let mut catalogue = self.right.snapshot()?.catalogue().await?;
            catalogue.arrange();
            let totals = (statements, unsaid, unstable);
            let head = self.head(comparison, shown, totals);
            let written = self.write(&head, &catalogue, comparison);
            written.map_err(|error| {
                if error.kind() == io::ErrorKind::AlreadyExists {
                    taken(&self.file)
                } else {
                    unwritable(&self.file, &error)
                }
            })?;
        }
        Ok(Written { file: self.file, stands, statements, unsaid, unstable })
    }

    fn head(
        &self,
        comparison: &Comparison,
        shown: &(String, String),
        (statements, unsaid, unstable): ([u64; 3], u64, u64),
    ) -> Vec<String> {
        let kinds = KINDS.iter().zip(statements).filter(|(_, number)| *number > 0);
        let kinds: Vec<String> = kinds.map(|((_, kind), number)| count(number, kind)).collect();
        let mut head = vec![
            "Suggestions of `whimbrel compare --repair`: what would make the right side like the left one."
                .to_owned(),
            "Nothing of it has been run.".to_owned(),
            format!("left:  {}", shown.0),
            format!("right: {}", shown.1),
            format!("read:  until {}", rfc3339(SystemClock::new().now())),
            match statements.iter().sum() {
                0 => "no statement".to_owned(),
                number => format!("{}: {}", count(number, "statement"), kinds.join(", ")),
            },
        ];
        if unsaid > 0 {
            let rows = count(unsaid, "row");
            head.push(format!("{rows} not suggested: see `not suggested` below"));
        }
        if unstable > 0 {
            head.push(format!("{} left out, still changing", count(unstable, "row")));
        }
        let sides = [("left", &comparison.only_left), ("right", &comparison.only_right)];
        for (side, names) in sides {
            for name in names {
                head.push(format!("only on the {side}, nothing is suggested: table `{name}`"));
            }
        }
        for table in &comparison.tables {
            for apart in &table.apart {
                let side = if apart.side == Side::Left { "left" } else { "right" };
                let name = format!("{}.{}", table.table, apart.column);
                head.push(format!("only on the {side}, nothing is suggested: column `{name}`"));
            }
        }
        head.extend([
            "Each statement changes one row, and none where the row is no longer as it was read.".to_owned(),
            "Deletes come first where nothing refers to the table; then inserts, parents before children; \
             then updates; then the other deletes, children first."
                .to_owned(),
            format!("To run it on the right side, once you have read it: {}", self.frame.run),
        ]);
        head
    }

    /// In which order kinds of statements and tables stand. Rows that nothing refers to are removed before
    /// others are added: a key of theirs may stand in the way, in whatever letters.
    fn order(&self, catalogue: &Catalogue) -> Vec<(usize, String)> {
        let place = |name: &str| catalogue.tables.iter().position(|table| table.name == name);
        let mut names: Vec<&String> = self.tables.keys().collect();
        names.sort_by_key(|name| (place(name).unwrap_or(usize::MAX), (*name).clone()));
        let is_parent = |name: &str| {
            let mut references = catalogue.tables.iter().flat_map(|table| &table.references);
            references.any(|reference| reference.parent == name && !reference.guessed)
        };
        let is_free = |name: &str| !is_parent(name);
        let (inserts, updates, deletes) = (0, 1, 2);
        let first = names.iter().rev().filter(|name| is_free(name));
        let mut order: Vec<(usize, String)> =
            first.map(|name| (deletes, (*name).clone())).collect();
        order.extend(names.iter().map(|name| (inserts, (*name).clone())));
        order.extend(names.iter().map(|name| (updates, (*name).clone())));
        let last = names.iter().rev().filter(|name| !is_free(name));
        order.extend(last.map(|name| (deletes, (*name).clone())));
        order
    }

    /// That an engine goes on counting where it was, whatever numbers the rows have that are added.
    fn numbered(&self, name: &str) -> Option<String> {
        let told = &self.tables[name];
        if self.engine != "postgres" || told.parts[0].statements == 0 {
            return None;
        }
        let table = told.words.as_ref()?.table();
        let is_number = |column: &&Column| {
            let is_said = told.columns.contains(&column.name);
            is_said && column.has_default && matches!(column.kind, Kind::Int(_))
        };
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(is_number)
            .map(|column| format!("`{}`", column.name))
            .collect();
        (!columns.is_empty()).then(|| {
            let columns = columns.join(", ");
            format!(
                "a sequence behind {columns} is not moved: behind COMMIT set it with `setval` to the greatest value"
            )
        })
    }

    fn write(
        &mut self,
        head: &[String],
        catalogue: &Catalogue,
        comparison: &Comparison,
    ) -> io::Result<()> {
        let mut temporary = temporary_in(&self.file)?;
        let mut out = BufWriter::new(temporary.as_file_mut());
        for line in head {
            writeln!(out, "-- {}", printable(line, 2_000))?;
        }
        writeln!(out)?;
        for statement in self.frame.before {
            writeln!(out, "{statement}")?;
        }
        for (kind, name) in self.order(catalogue) {
            let part = self.tables[&name].parts[kind];
            if part.start == part.end {
                continue;
            }
            let (how, word) = KINDS[kind];
            let heading = match part.statements {
                0 => format!("{name}: no {word} is suggested"),
                statements => format!("{name}: {}", count(statements, word)),
            };
            writeln!(out, "\n-- {}", printable(&heading, CHARS))?;
            let numbered = (how == How::Missing).then(|| self.numbered(&name)).flatten();
            for note in notes(catalogue, comparison, &name, how).into_iter().chain(numbered) {
                writeln!(out, "-- {}", printable(&note, 2_000))?;
            }
            let spool = &mut self.spools[kind].out;
            spool.flush()?;
            let file = spool.get_mut();
            file.seek(SeekFrom::Start(part.start))?;
            let mut lines = BufReader::new(file).take(part.end - part.start);
            if how == How::Extra && self.tables[&name].withheld {
                withheld(lines, &mut out)?;
            } else {
                io::copy(&mut lines, &mut out)?;
            }
        }
        let end = "As it stands nothing is kept: replace ROLLBACK by COMMIT once you have read it.";
        writeln!(out)?;
        for statement in self.frame.after {
            writeln!(out, "{statement}")?;
        }
        writeln!(out, "-- {end}\nROLLBACK;")?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        temporary.persist_noclobber(&self.file).map_err(|error| error.error)?;
        File::open(folder_of(&self.file))?.sync_all()
    }
}

impl Told {
    /// The statement for a row.
    fn said(&self, found: &Found, stands: Option<&[Value]>) -> Result<String, Unsaid> {
        let spared = self.spared.as_ref();
        if let Some(spared) = spared.filter(|own| own.missing_too || found.how != How::Missing) {
            return Err(Unsaid::because(spared.why.clone()));
        }
        said(self.words.as_deref(), (&self.key, &self.columns), found, stands)
    }

    /// Takes back that rows without a key are removed, where one that should stand cannot be added: one
    /// that has changed would be lost.
    fn withhold(&mut self) {
        let [missing, _, extra] = &mut self.parts;
        if self.key.is_empty() && missing.unsaid > 0 && extra.statements > 0 {
            self.withheld = true;
            self.unsaid += extra.statements;
            extra.unsaid += std::mem::take(&mut extra.statements);
        }
    }
}

/// Statements as comments.
fn withheld(lines: impl BufRead, out: &mut impl io::Write) -> io::Result<()> {
    for line in lines.split(b'\n') {
        let line = line?;
        if !line.starts_with(b"--") {
            out.write_all(b"-- not suggested, as a row that is missing cannot be added: ")?;
        }
        out.write_all(&line)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// What should be known before a table's statements of a kind are run.
fn notes(catalogue: &Catalogue, comparison: &Comparison, name: &str, how: How) -> Vec<String> {
    let mut notes = Vec::new();
    let Some(table) = catalogue.table(name) else { return notes };
    if table.triggers > 0 {
        notes.push(format!("`{name}` has triggers, which will fire"));
    }
    let circle = catalogue.circles.iter().find(|circle| circle.iter().any(|own| own == name));
    if let Some(circle) = circle {
        let which = if circle.len() == 1 {
            "it refers to itself".to_owned()
        } else {
            format!("`{}` refer to each other in a circle", circle.join("`, `"))
        };
        notes.push(format!("{which}: where the engine refuses a row, the order is yours to find"));
    }
    if how == How::Extra {
        for child in &catalogue.tables {
            let own = child.references.iter().filter(|one| one.parent == name && !one.guessed);
            for reference in own {
                let is_compared = comparison.tables.iter().any(|one| one.table == child.name);
                let beside = if is_compared { "" } else { ", which was not compared," };
                if let Some(actions) = &reference.actions {
                    let child = &child.name;
                    notes.push(format!("`{child}`{beside} refers to it: {actions}"));
                }
            }
        }
    }
    notes
}

/// The statement for a row.
fn said(
    words: Option<&dyn Words>,
    (key, columns): (&[String], &[String]),
    found: &Found,
    stands: Option<&[Value]>,
) -> Result<String, Unsaid> {
    let words = words.ok_or_else(|| Unsaid::because("the right side has no such table"))?;
    let wanted: Vec<Cell<'_>> = found
        .cells
        .iter()
        .filter_map(|cell| Some((cell.column.as_str(), cell.left.as_ref()?.as_ref())))
        .collect();
    if found.how == How::Missing {
        return words.insert(&wanted);
    }
    let stands = stands.ok_or_else(|| Unsaid::because("what stands there was not read"))?;
    let row = || columns.iter().map(String::as_str).zip(stands.iter().map(Value::as_ref));
    let in_key = |column: &str| key.iter().any(|own| own == column);
    let is_changed = |column: &str| wanted.iter().any(|(own, _)| *own == column);
    let keyed: Vec<Cell<'_>> = row().filter(|(column, _)| in_key(column)).collect();
    let others: Vec<Cell<'_>> = row().filter(|(column, _)| !in_key(column)).collect();
    match found.how {
        How::Missing => unreachable!("it was said above"),
        How::Extra => words.delete(&Seen { key: &keyed, values: &others, rest: &[] }),
        How::Changed => {
            let (changed, rest): (Vec<Cell<'_>>, Vec<Cell<'_>>) =
                others.into_iter().partition(|(column, _)| is_changed(column));
            words.update(&wanted, &Seen { key: &keyed, values: &changed, rest: &rest })
        }
    }
}

/// A comment in the place of a statement.
fn unsaid(found: &Found, why: &Unsaid) -> String {
    let key: Vec<String> = found.key.iter().map(|value| value.as_ref().to_string()).collect();
    let key = printable(&key.join("/"), CHARS);
    let column =
        why.column.as_ref().map(|column| format!(", column `{}`", printable(column, CHARS)));
    let column = column.unwrap_or_default();
    format!("-- not suggested: {} {key}{column}: {}", found.how.word(), printable(&why.why, CHARS))
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file beside the one that is meant, which only its owner may read.
fn temporary_in(file: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".whimbrel-repair-").tempfile_in(folder_of(file))
}

fn temporary(file: &Path) -> Result<NamedTempFile, Failure> {
    temporary_in(file).map_err(|error| unwritable(file, &error).with_exit(Exit::Usage))
}

fn taken(file: &Path) -> Failure {
    let message = format!("a file of that name is there: `{}`", printable(&shown(file), CHARS));
    Failure::usage("WB0736", message, "name a file that does not exist yet")
}

fn unwritable(file: &Path, error: &io::Error) -> Failure {
    let what = format!("the suggestions cannot be written: `{}`", printable(&shown(file), CHARS));
    Failure::io("WB0736", what, error)
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

impl Written {
    /// One line for people.
    pub(crate) fn text(&self) -> String {
        let file = printable(&shown(&self.file), CHARS);
        let also = |number: u64, what: &str| {
            if number > 0 { format!(", {} {what}", count(number, "row")) } else { String::new() }
        };
        let unstable = also(self.unstable, "left out as it still changed");
        if !self.stands {
            return format!("repair: nothing to suggest{unstable}; `{file}` was not written\n");
        }
        let statements = count(self.statements.iter().sum(), "statement");
        let unsaid = also(self.unsaid, "not suggested for the reasons given there");
        format!("repair: {statements} in `{file}`{unsaid}{unstable}; nothing has been run\n")
    }

    /// The same for programs.
    pub(crate) fn document(&self) -> Json {
        let [inserts, updates, deletes] = self.statements;
        json!({
            "file": self.stands.then(|| shown(&self.file)),
            "statements": inserts + updates + deletes,
            "inserts": inserts,
            "updates": updates,
            "deletes": deletes,
            "not_suggested": self.unsaid,
            "still_changing": self.unstable,
        })
    }
}
