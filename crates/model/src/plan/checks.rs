//! `[[check]]`: rules of the user's own, on what was loaded or on what is to be loaded.

use std::time::Duration;

use super::keys::{self, Shape};
use super::read::{Reader, or, quoted};
use super::{At, Budget, ByEngine, Span, SqlText, Verify, codes, quantity};

/// How long a rule may take where the plan does not say.
const TIMEOUT: Duration = Duration::from_mins(5);

/// `[[check]]`: one rule.
#[derive(Clone, PartialEq, Debug)]
pub struct Check {
    /// `name`, unique in the plan.
    pub name: At<String>,
    /// `on`: whether it is the target that is looked at, or a source.
    pub on: CheckOn,
    /// `level`: the first level of verification at which it is evaluated; never `none`.
    pub level: Verify,
    /// `severity`.
    pub severity: CheckSeverity,
    /// `allow`: how many violations are none yet.
    pub allow: Budget,
    /// `timeout`: how long it may take.
    pub timeout: Duration,
    /// What must hold.
    pub asks: Asks,
    /// Where the `[[check]]` stands.
    pub span: Span,
}

/// `[[query]]`: what the new schema must answer in time.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// `name`, unique in the plan.
    pub name: At<String>,
    /// `sql`: what is asked.
    pub sql: SqlText,
    /// `budget`: how long it may take.
    pub budget: Duration,
    /// `severity`.
    pub severity: CheckSeverity,
    /// Where the `[[query]]` stands.
    pub span: Span,
}

/// What a rule looks at.
#[derive(Clone, PartialEq, Debug)]
pub enum CheckOn {
    /// The target, after the load.
    Target,
    /// `source`: this source, before the load.
    Source(At<String>),
}

/// What a broken rule does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CheckSeverity {
    /// The verification fails (default).
    Error,
    /// It is shown.
    Warning,
}

/// What a rule asks: exactly one of these. `table` is the target's; on a source it is not there.
#[derive(Clone, PartialEq, Debug)]
pub enum Asks {
    /// `rows`: CEL that must hold for each row.
    Rows {
        /// The target's table.
        table: Option<At<String>>,
        /// The expression.
        cel: At<String>,
    },
    /// `sql`: each row that it returns is a violation.
    Sql(SqlText),
    /// `command`: a program that ends with 0 where all is well.
    Command {
        /// The program and its arguments.
        words: Vec<At<String>>,
        /// `pass`: names of environment variables that it gets.
        pass: Vec<At<String>>,
    },
    /// `kind`: a rule that many plans need.
    Ready {
        /// The target's table.
        table: Option<At<String>>,
        /// Which.
        ready: Ready,
    },
}

/// Rules that many plans need.
#[derive(Clone, PartialEq, Debug)]
pub enum Ready {
    /// `kind = "orphans"`: rows whose `columns` lead to no row of another table.
    Orphans {
        /// The columns, none of them NULL in a row that counts.
        columns: Vec<At<String>>,
        /// The other table, or source.
        references: At<String>,
        /// `key`: the columns there; of a table by default its key.
        key: Vec<At<String>>,
    },
    /// `kind = "self-parents"`: rows that are their own parent.
    SelfParents {
        /// What identifies a row.
        key: At<String>,
        /// The same of its parent.
        parent: At<String>,
    },
    /// `kind = "cycles"`: rows whose parents lead in a circle.
    Cycles {
        /// What identifies a row.
        key: At<String>,
        /// The same of its parent.
        parent: At<String>,
    },
    /// `kind = "dates"`: days and instants that cannot be.
    Dates {
        /// What must lie within `after` and `before`.
        columns: Vec<At<String>>,
        /// Not before this.
        after: Option<At<String>>,
        /// Not after this.
        before: Option<At<String>>,
        /// Two columns, the first not after the second.
        span: Option<(At<String>, At<String>)>,
    },
    /// `kind = "overlaps"`: rows of one group whose times overlap.
    Overlaps {
        /// The group.
        by: Vec<At<String>>,
        /// From when on.
        start: At<String>,
        /// Until when, itself not included; NULL has no end.
        end: At<String>,
    },
}

impl Ready {
    /// Its word in plans.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Orphans { .. } => "orphans",
            Self::SelfParents { .. } => "self-parents",
            Self::Cycles { .. } => "cycles",
            Self::Dates { .. } => "dates",
            Self::Overlaps { .. } => "overlaps",
        }
    }

    /// Every column that it names, of the table that is looked at.
    pub fn columns(&self) -> Vec<&At<String>> {
        match self {
            Self::Orphans { columns, .. } => columns.iter().collect(),
            Self::SelfParents { key, parent } | Self::Cycles { key, parent } => vec![key, parent],
            Self::Dates { columns, span, .. } => {
                let ends = span.iter().flat_map(|(start, end)| [start, end]);
                columns.iter().chain(ends).collect()
            }
            Self::Overlaps { by, start, end } => by.iter().chain([start, end]).collect(),
        }
    }
}

impl Check {
    /// The target's table or the source that it looks at, where it is one.
    pub fn subject(&self) -> Option<&At<String>> {
        match (&self.on, &self.asks) {
            (CheckOn::Source(source), _) => Some(source),
            (CheckOn::Target, Asks::Rows { table, .. } | Asks::Ready { table, .. }) => {
                table.as_ref()
            }
            (CheckOn::Target, Asks::Sql(_) | Asks::Command { .. }) => None,
        }
    }
}

/// Reads every `[[check]]`.
pub(super) fn checks(root: &Reader<'_>) -> Vec<Check> {
    let checks = root.many("check", &keys::CHECK);
    checks
        .into_iter()
        .map(|(check, span)| {
            let place = "`[[check]]`".to_owned();
            let reader = Reader::open(root.notes, &keys::CHECK, place, check, span.clone());
            one(&reader, span)
        })
        .collect()
}

fn one(reader: &Reader<'_>, span: Span) -> Check {
    let nothing = || At { value: String::new(), span: span.clone() };
    Check {
        name: reader.text("name").unwrap_or_else(nothing),
        on: on(reader),
        level: reader.word("level", LEVEL).unwrap_or(Verify::Basic),
        severity: reader.word("severity", SEVERITY).unwrap_or(CheckSeverity::Error),
        allow: allow(reader),
        timeout: some_time(reader, "timeout").unwrap_or(TIMEOUT),
        asks: asks(reader),
        span,
    }
}

/// A time in which something can be done.
fn some_time(reader: &Reader<'_>, name: &str) -> Option<Duration> {
    let time = reader.duration(name)?;
    if time.is_zero() {
        let span = reader.get(name, Shape::Duration).map(toml::Spanned::span);
        let message = format!("`{name}` is no time at all: nothing is ever done in it");
        let span = span.unwrap_or_else(|| reader.span.clone());
        reader.notes.error(codes::DURATION, span, message, None);
        return None;
    }
    Some(time)
}

/// Of what `sql` looks at only violations are known, and a command has none.
fn allow(reader: &Reader<'_>) -> Budget {
    let Some(allow) = reader.budget("allow") else { return Budget::Count(0) };
    let present = reader.present(&["allow", "sql", "command"]);
    let place = |key: &str| present.iter().find(|(name, _)| *name == key);
    let Some((_, span)) = place("allow") else { return allow };
    let wrong = match allow {
        _ if place("command").is_some() => "a `command` holds or not: it has no `allow`",
        Budget::Ratio(_) if place("sql").is_some() => {
            "`allow` of `sql` is a count: how many rows it looks at is not known"
        }
        Budget::Ratio(_) | Budget::Count(_) => return allow,
    };
    reader.notes.error(codes::BUDGET, span.clone(), wrong.to_owned(), None);
    Budget::Count(0)
}

const LEVEL: &[(&str, Verify)] =
    &[("basic", Verify::Basic), ("standard", Verify::Standard), ("rigorous", Verify::Rigorous)];

const SEVERITY: &[(&str, CheckSeverity)] =
    &[("error", CheckSeverity::Error), ("warning", CheckSeverity::Warning)];

const ON: &[(&str, bool)] = &[("target", false), ("source", true)];

/// A source is named by `source`; `on` may say so too.
fn on(reader: &Reader<'_>) -> CheckOn {
    let said = reader.word("on", ON);
    let source = reader.text("source");
    match (said, source) {
        (None | Some(false), None) => CheckOn::Target,
        (None | Some(true), Some(source)) => CheckOn::Source(source),
        (Some(true), None) => {
            let message = format!("`source` is missing in {}: which one is meant?", reader.place);
            reader.notes.error(codes::MISSING, reader.span.clone(), message, None);
            CheckOn::Source(At { value: String::new(), span: reader.span.clone() })
        }
        (Some(false), Some(source)) => {
            let message = "`source` means nothing with `on = \"target\"`".to_owned();
            reader.notes.error(codes::NEEDS, source.span, message, None);
            CheckOn::Target
        }
    }
}

const FORMS: &[&str] = &["rows", "sql", "command", "kind"];

fn asks(reader: &Reader<'_>) -> Asks {
    let present = reader.present(FORMS);
    if let [_, (second, span), ..] = present.as_slice() {
        let message = format!("{} asks two things: `{second}` is the second", reader.place);
        let help = "make two checks of it".to_owned();
        reader.notes.error(codes::TWICE, span.clone(), message, Some(help));
    }
    let form = present.first().map(|(form, _)| *form);
    if form.is_none() && !reader.has_or_means(FORMS) {
        let message = format!("{} asks nothing", reader.place);
        let help = format!("add {}", or(FORMS));
        reader.notes.error(codes::MISSING, reader.span.clone(), message, Some(help));
    }
    let nothing = || At { value: String::new(), span: reader.span.clone() };
    match form {
        Some("sql") => {
            let nothing = || SqlText { by: ByEngine::Each(Vec::new()), span: reader.span.clone() };
            Asks::Sql(reader.sql("sql", &keys::SQL).unwrap_or_else(nothing))
        }
        Some("command") => {
            let words = reader.words("command");
            if let Some(value) = reader.get("command", Shape::TextList)
                && words.is_empty()
            {
                reader.empty("command", value.span());
            }
            Asks::Command { words, pass: reader.texts("pass") }
        }
        Some("kind") => Asks::Ready { table: reader.text("table"), ready: ready(reader) },
        Some(_) | None => Asks::Rows {
            table: reader.text("table"),
            cel: reader.text("rows").unwrap_or_else(nothing),
        },
    }
}

/// Keys of single kinds.
const OF_KINDS: &[&str] =
    &["columns", "references", "key", "parent", "after", "before", "by", "start", "end"];

/// Which keys each kind takes: those that must stand, then those that may.
const KINDS: &[(&str, &[&str], &[&str])] = &[
    ("orphans", &["columns", "references"], &["key"]),
    ("self-parents", &["key", "parent"], &[]),
    ("cycles", &["key", "parent"], &[]),
    ("dates", &[], &["columns", "after", "before", "start", "end"]),
    ("overlaps", &["by", "start", "end"], &[]),
];

fn ready(reader: &Reader<'_>) -> Ready {
    let nothing = || At { value: String::new(), span: reader.span.clone() };
    let text = |name: &str| reader.text(name).unwrap_or_else(nothing);
    let kind = reader.one_of("kind").map_or("dates".to_owned(), |kind| kind.value);
    let known = KINDS.iter().find(|(name, ..)| *name == kind);
    if let Some((_, must, may)) = known.filter(|_| reader.one_of("kind").is_some()) {
        for (key, span) in reader.present(OF_KINDS) {
            if !must.contains(&key) && !may.contains(&key) {
                let message = format!("`{key}` means nothing with `kind = \"{kind}\"`");
                let takes: Vec<&str> = must.iter().chain(*may).copied().collect();
                let help = format!("it takes {}", quoted(&takes));
                reader.notes.error(codes::NEEDS, span, message, Some(help));
            }
        }
        for key in must.iter().filter(|key| !reader.has_or_means(&[key])) {
            let message = format!("`{key}` is missing in {}: `kind = \"{kind}\"`", reader.place);
            reader.notes.error(codes::MISSING, reader.span.clone(), message, None);
        }
    }
    match kind.as_str() {
        "orphans" => Ready::Orphans {
            columns: reader.texts("columns"),
            references: text("references"),
            key: reader.texts("key"),
        },
        "self-parents" => Ready::SelfParents { key: single(reader), parent: text("parent") },
        "cycles" => Ready::Cycles { key: single(reader), parent: text("parent") },
        "overlaps" => {
            Ready::Overlaps { by: reader.texts("by"), start: text("start"), end: text("end") }
        }
        _ => dates(reader),
    }
}

/// The key that a row and its parent are told by is one column.
fn single(reader: &Reader<'_>) -> At<String> {
    let mut columns = reader.texts("key");
    if let [_, second, ..] = columns.as_slice() {
        let message = "`key` is one column here, since `parent` is one".to_owned();
        reader.notes.error(codes::BY_PARTS, second.span.clone(), message, None);
    }
    let nothing = At { value: String::new(), span: reader.span.clone() };
    if columns.is_empty() { nothing } else { columns.swap_remove(0) }
}

fn dates(reader: &Reader<'_>) -> Ready {
    let (columns, after, before) =
        (reader.texts("columns"), reader.text("after"), reader.text("before"));
    let span = match (reader.text("start"), reader.text("end")) {
        (Some(start), Some(end)) => Some((start, end)),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            let message = "`start` and `end` go together".to_owned();
            reader.notes.error(codes::NEEDS, one.span, message, None);
            None
        }
    };
    for day in [&after, &before].into_iter().flatten() {
        if day.value != TODAY && quantity::day(&day.value).is_none() {
            let message = format!(
                "a day is written `\"1990-01-31\"` or `\"{TODAY}\"`, not {}",
                reader.notes.shown(day)
            );
            reader.notes.error(codes::DAY, day.span.clone(), message, None);
        }
    }
    let is_dates = reader.one_of("kind").is_some_and(|kind| kind.value == "dates");
    let has_bounds = after.is_some() || before.is_some();
    if is_dates && has_bounds == columns.is_empty() && !reader.has_or_means(&["start", "end"]) {
        let message =
            "`kind = \"dates\"` needs `columns` with `after` or `before`, or `start` and `end`";
        reader.notes.error(codes::MISSING, reader.span.clone(), message.to_owned(), None);
    } else if is_dates && has_bounds == columns.is_empty() {
        let message = "`columns` go with `after` or `before`, and these with `columns`".to_owned();
        reader.notes.error(codes::NEEDS, reader.span.clone(), message, None);
    }
    Ready::Dates { columns, after, before, span }
}

/// Reads every `[[query]]`.
pub(super) fn queries(root: &Reader<'_>) -> Vec<Query> {
    let queries = root.many("query", &keys::QUERY);
    queries
        .into_iter()
        .map(|(query, span)| {
            let place = "`[[query]]`".to_owned();
            let reader = Reader::open(root.notes, &keys::QUERY, place, query, span.clone());
            let nothing = || SqlText { by: ByEngine::Each(Vec::new()), span: span.clone() };
            let unnamed = || At { value: String::new(), span: span.clone() };
            Query {
                name: reader.text("name").unwrap_or_else(unnamed),
                sql: reader.sql("sql", &keys::SQL).unwrap_or_else(nothing),
                budget: reader.duration("budget").unwrap_or_default(),
                severity: reader.word("severity", SEVERITY).unwrap_or(CheckSeverity::Warning),
                span,
            }
        })
        .collect()
}

/// The day on which is looked, by the clock of UTC.
pub const TODAY: &str = "today";
