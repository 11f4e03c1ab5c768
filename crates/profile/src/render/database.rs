//! What the text and the page say of a database and its tables.

use crate::database::{DatabaseProfile, ReferenceProfile, TableProfile};
use crate::profile::{ColumnProfile, Profile};
use crate::shown::{self, counted};

/// `PostgreSQL 15.3: 12 tables, 1,234 rows`, after the URL.
pub(super) fn whole(database: &DatabaseProfile, profile: &Profile) -> String {
    let rows: u64 =
        profile.sources.iter().filter_map(|one| one.table.as_ref()).map(|table| table.rows).sum();
    format!(
        "{}, {}, {}, {}",
        database.version,
        counted(profile.sources.len() as u64, "table", "tables"),
        shown::bytes(profile.totals.bytes),
        counted(rows, "row", "rows")
    )
}

/// Rows, bytes, key, partitions of a table.
pub(super) fn table(table: &TableProfile) -> String {
    let about = if table.estimated { "about " } else { "" };
    let mut facts = vec![format!("{about}{}", counted(table.rows, "row", "rows"))];
    facts.extend(table.bytes.map(shown::bytes));
    if !table.key.is_empty() {
        facts.push(format!("key {}", names(&table.key)));
    }
    facts.extend(table.uniques.iter().map(|unique| format!("unique {}", names(unique))));
    let mut count = |number: u64, one: &str, many: &str| {
        if number > 0 {
            facts.push(counted(number, one, many));
        }
    };
    count(table.partial_uniques, "unique index of another sort", "unique indexes of another sort");
    count(table.partitions, "partition", "partitions");
    count(table.checks, "CHECK", "CHECKs");
    count(table.triggers, "trigger", "triggers");
    if table.estimated {
        facts.push("not read".to_owned());
    }
    facts.join(", ")
}

/// `user_id -> users (id): 3 rows without their parent`.
pub(super) fn reference(reference: &ReferenceProfile) -> String {
    let guessed = if reference.guessed { " (guessed by its name)" } else { "" };
    let orphans = match reference.orphans {
        Some(0) => String::new(),
        Some(count) => format!(": {} without it", counted(count, "row", "rows")),
        None => ": not looked at".to_owned(),
    };
    format!(
        "{} -> {} ({}){guessed}{orphans}",
        names(&reference.columns),
        shown::shown(&reference.parent, 60),
        names(&reference.parent_columns)
    )
}

/// What a column is declared as, where that says more than its kind.
pub(super) fn declared(table: Option<&TableProfile>, column: &ColumnProfile) -> Option<String> {
    let declared = table?.columns.iter().find(|one| one.name == column.name)?;
    let mut parts = Vec::new();
    let is_said = declared.declared.eq_ignore_ascii_case(&column.kind);
    if !is_said && !declared.declared.is_empty() {
        parts.push(shown::shown(&declared.declared, 60));
    }
    if !declared.nullable {
        parts.push("not null".to_owned());
    }
    if declared.identity {
        parts.push("counted by the engine".to_owned());
    }
    if declared.generated {
        parts.push("computed by the engine".to_owned());
    }
    parts.extend(declared.default.iter().map(|one| format!("default {}", shown::shown(one, 40))));
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `view a, view b`.
pub(super) fn left_out(database: &DatabaseProfile) -> Option<String> {
    const SHOWN: usize = 20;
    let names: Vec<String> = database
        .left_out
        .iter()
        .take(SHOWN)
        .map(|left| format!("{} {}", left.what, shown::shown(&left.name, 60)))
        .collect();
    let more = database.left_out.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| format!("{}{more}", names.join(", ")))
}

fn names(names: &[String]) -> String {
    shown::shown(&names.join(", "), 100)
}
