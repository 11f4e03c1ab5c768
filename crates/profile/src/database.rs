//! What a database's catalogue adds to a profile: keys, references with their orphans, circles, and
//! values that their column does not promise.

use std::collections::BTreeSet;

use serde::Serialize;
use whimbrel_model::catalogue::{
    Catalogue, ColumnEntry, Filled, Oddity, Reference, Rows, TableEntry,
};

use crate::codes;
use crate::inspect::ProposedSource;
use crate::names;
use crate::profile::{Anomaly, Profile, SourceProfile, Totals};
use crate::shown::{self, counted};
use crate::sniff::Format;

/// A database as a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DatabaseProfile {
    /// `sqlite`, `postgres` or `mysql`.
    pub engine: &'static str,
    /// Engine and version.
    pub version: String,
    /// Tables that refer to each other in a circle.
    pub circles: Vec<Vec<String>>,
    /// Views and what else is not read.
    pub left_out: Vec<NotRead>,
    /// What is unusual about the database as a whole.
    pub anomalies: Vec<Anomaly>,
}

/// Something with columns that is not read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct NotRead {
    /// Its name.
    pub name: String,
    /// What it is.
    pub what: &'static str,
}

/// What the catalogue says of a table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TableProfile {
    /// Its name, with its schema where that is not the usual one.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// True where that is the planner's estimate, and no row was read.
    pub estimated: bool,
    /// Bytes with indexes, where the engine tells.
    pub bytes: Option<u64>,
    /// Columns of the primary key.
    pub key: Vec<String>,
    /// Columns of further unique keys.
    pub uniques: Vec<Vec<String>>,
    /// Unique indexes over expressions, beginnings or some of the rows.
    pub partial_uniques: u64,
    /// References to other tables.
    pub references: Vec<ReferenceProfile>,
    /// CHECK constraints.
    pub checks: u64,
    /// Triggers.
    pub triggers: u64,
    /// Partitions.
    pub partitions: u64,
    /// Columns as they are declared.
    pub columns: Vec<DeclaredColumn>,
}

/// A column as it is declared.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DeclaredColumn {
    /// Its name.
    pub name: String,
    /// Its type, as the engine spells it.
    pub declared: String,
    /// True where NULL is allowed.
    pub nullable: bool,
    /// Its default, as the engine spells it.
    pub default: Option<String>,
    /// True where the engine counts.
    pub identity: bool,
    /// True where the engine computes it.
    pub generated: bool,
    /// Labels of an enumeration or set.
    pub labels: Vec<String>,
}

/// A reference and how many rows have no parent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ReferenceProfile {
    /// Columns.
    pub columns: Vec<String>,
    /// The table that they lead to.
    pub parent: String,
    /// The columns there.
    pub parent_columns: Vec<String>,
    /// True where only names suggest it.
    pub guessed: bool,
    /// Rows without a parent; nothing where nobody looked.
    pub orphans: Option<u64>,
}

/// Names of sources, one for each table in its order.
pub fn source_names(catalogue: &Catalogue) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let name = |table: &TableEntry| names::unique(&names::snake(&table.name), &mut taken);
    catalogue.tables.iter().map(name).collect()
}

/// A table as a source that is read for a profile.
pub fn proposed(name: &str, table: &TableEntry) -> ProposedSource {
    ProposedSource {
        name: name.to_owned(),
        format: Format::Table,
        globs: Vec::new(),
        exclude: Vec::new(),
        files: vec![table.name.clone()],
        bytes: table.bytes.unwrap_or(0),
        generations: Vec::new(),
        encoding: None,
        ignore_case: false,
        hidden: false,
    }
}

/// Adds what the catalogue says to a profile of its tables, made of sources named as [`source_names`]
/// says, and the tables that were not read; all in the catalogue's order.
pub fn describe(profile: &mut Profile, catalogue: &Catalogue) {
    let mut read = std::mem::take(&mut profile.sources);
    for (name, table) in source_names(catalogue).into_iter().zip(&catalogue.tables) {
        let at = read.iter().position(|source| source.name == name);
        let mut source = at.map_or_else(|| unread(name), |at| read.remove(at));
        source.totals.bytes = table.bytes.unwrap_or(0);
        let mut found = anomalies(catalogue, table);
        found.append(&mut source.anomalies);
        source.anomalies = found;
        source.table = Some(facts(table));
        profile.sources.push(source);
    }
    profile.totals.files = profile.sources.len() as u64;
    profile.totals.bytes = profile.sources.iter().map(|source| source.totals.bytes).sum();
    profile.database = Some(DatabaseProfile {
        engine: catalogue.engine,
        version: shown::shown(&catalogue.version, 80),
        circles: catalogue.circles.clone(),
        left_out: catalogue
            .left_out
            .iter()
            .map(|left| NotRead { name: left.name.clone(), what: left.what })
            .collect(),
        anomalies: catalogue.circles.iter().map(|circle| of_circle(circle)).collect(),
    });
}

fn unread(name: String) -> SourceProfile {
    SourceProfile {
        name,
        format: Format::Table,
        globs: Vec::new(),
        exclude: Vec::new(),
        ignore_case: false,
        hidden: false,
        encoding: None,
        names: None,
        totals: Totals { files: 1, ..Totals::default() },
        lines: 0,
        formats: Vec::new(),
        headerless: 0,
        generations: Vec::new(),
        columns: Vec::new(),
        keys: Vec::new(),
        anomalies: Vec::new(),
        table: None,
    }
}

fn facts(table: &TableEntry) -> TableProfile {
    let column = |column: &ColumnEntry| DeclaredColumn {
        name: column.name.clone(),
        declared: column.declared.clone(),
        nullable: column.nullable,
        default: column.default.clone(),
        identity: column.filled == Filled::Identity,
        generated: column.filled == Filled::Generated,
        labels: column.labels.clone(),
    };
    let reference = |one: &Reference| ReferenceProfile {
        columns: one.columns.clone(),
        parent: one.parent.clone(),
        parent_columns: one.parent_columns.clone(),
        guessed: one.guessed,
        orphans: one.orphans,
    };
    TableProfile {
        name: table.name.clone(),
        rows: table.rows.count(),
        estimated: matches!(table.rows, Rows::Estimate(_)),
        bytes: table.bytes,
        key: table.key.clone(),
        uniques: table.uniques.clone(),
        partial_uniques: table.partial_uniques,
        references: table.references.iter().map(reference).collect(),
        checks: table.checks,
        triggers: table.triggers,
        partitions: table.partitions,
        columns: table.columns.iter().map(column).collect(),
    }
}

fn of_circle(circle: &[String]) -> Anomaly {
    let names: Vec<String> =
        circle.iter().take(8).map(|name| format!("`{}`", shown::shown(name, 60))).collect();
    let message = match circle {
        [_] => format!("{} refers to itself", names.join("")),
        _ => format!("{} refer to each other in a circle", names.join(", ")),
    };
    anomaly(codes::CIRCLE, circle.len() as u64, None, message)
}

fn anomaly(code: &'static str, count: u64, column: Option<&str>, message: String) -> Anomaly {
    let column = column.map(|name| shown::shown(name, 60));
    Anomaly { code, message, count, first: None, column }
}

fn anomalies(catalogue: &Catalogue, table: &TableEntry) -> Vec<Anomaly> {
    let mut found = Vec::new();
    for reference in &table.references {
        if let Some(orphans) = reference.orphans.filter(|count| *count > 0) {
            let message = format!(
                "{} of {} without {}",
                counted(orphans, "row", "rows"),
                led(reference),
                if reference.guessed { "a parent, if that is a reference" } else { "its parent" }
            );
            found.push(anomaly(
                codes::ORPHANS,
                orphans,
                reference.columns.first().map(String::as_str),
                message,
            ));
        }
    }
    if table.identity().is_none() {
        let message = "no key: rows that are equal cannot be told apart".to_owned();
        found.push(anomaly(codes::NO_KEY, table.rows.count(), None, message));
    }
    if table.null_keys > 0 {
        let message = format!("{} with NULL in the key", counted(table.null_keys, "row", "rows"));
        found.push(anomaly(codes::NO_KEY, table.null_keys, None, message));
    }
    if let Some(storage) = &table.storage {
        let message = format!(
            "stored by {}, which knows no transactions: what is written meanwhile may be read in parts",
            shown::shown(storage, 40)
        );
        found.push(anomaly(codes::STORAGE, table.rows.count(), None, message));
    }
    for column in &table.columns {
        for (oddity, count) in &column.odd {
            let message = format!(
                "`{}`: {} {}",
                shown::shown(&column.name, 60),
                counted(*count, "value", "values"),
                told(*oddity, column)
            );
            found.push(anomaly(codes::ODD_VALUES, *count, Some(&column.name), message));
        }
    }
    let known = |reference: &&Reference| catalogue.table(&reference.parent).is_none();
    for reference in table.references.iter().filter(known) {
        let message = format!("{} leads to a table that is not here", led(reference));
        found.push(anomaly(codes::ORPHANS, 0, None, message));
    }
    found
}

/// `user_id` → `users.id`.
pub(crate) fn led(reference: &Reference) -> String {
    let names = |names: &[String]| shown::shown(&names.join(", "), 80);
    format!(
        "`{}` -> `{} ({})`",
        names(&reference.columns),
        shown::shown(&reference.parent, 60),
        names(&reference.parent_columns)
    )
}

/// What is odd, as it goes on after `3 values`.
pub(crate) fn told(oddity: Oddity, column: &ColumnEntry) -> String {
    let declared = shown::shown(&column.declared, 60);
    match oddity {
        Oddity::Class(class) => format!("stored as {class} in a column declared `{declared}`"),
        Oddity::TooLong => format!("longer than `{declared}` says"),
        Oddity::ZeroDate => "with a year, month or day of zero".to_owned(),
        Oddity::Nul => "with U+0000".to_owned(),
        Oddity::NotFinite => "not finite: NaN or an infinity".to_owned(),
        Oddity::Endless => "at infinity".to_owned(),
        Oddity::OutsideYears => "outside of the years 1 to 9999".to_owned(),
        Oddity::OutsideUnix => {
            "outside of 1970-01-01 00:00:01 to 2038-01-19 03:14:07 UTC".to_owned()
        }
        Oddity::OutsideDay => "below zero or past 24 hours".to_owned(),
    }
}
