//! References that nothing declares: a column `user_id` and a table `users` with the key `id`.

use std::borrow::Cow;

use whimbrel_model::Kind;
use whimbrel_model::catalogue::{ColumnEntry, Reference, TableEntry};

use crate::dialect::Dialect;

/// References that the names of a table's columns suggest, beside the declared ones.
pub(super) fn references(
    dialect: Dialect,
    table: &TableEntry,
    tables: &[TableEntry],
) -> Vec<Reference> {
    let suggested = |column| reference(dialect, table, column, tables);
    table.columns.iter().filter_map(suggested).collect()
}

fn reference(
    dialect: Dialect,
    table: &TableEntry,
    column: &ColumnEntry,
    tables: &[TableEntry],
) -> Option<Reference> {
    let stem = stem(&column.name)?;
    let is_declared = table.references.iter().any(|one| one.columns.contains(&column.name));
    let is_own_key = table.key == [column.name.clone()];
    if is_declared || is_own_key {
        return None;
    }
    let schema = |name: &str| dialect.place(name).0.map(Cow::into_owned);
    // Schemas that are named may be copies of each other; the usual one is everybody's.
    let near = |parent: &TableEntry| {
        let there = schema(&parent.name);
        there.is_none() || there == schema(&table.name)
    };
    let fits = |parent: &&TableEntry| {
        let bare = dialect.place(&parent.name).1.to_lowercase();
        let named = if stem == "parent" { parent.name == table.name } else { means(&stem, &bare) };
        named && near(parent) && parent_column(parent, column).is_some()
    };
    let parent = tables.iter().find(fits)?;
    Some(Reference {
        columns: vec![column.name.clone()],
        parent: parent.name.clone(),
        parent_columns: vec![parent_column(parent, column)?.to_owned()],
        actions: None,
        guessed: true,
        orphans: None,
    })
}

/// `user_id`, `userId`, `USER_ID` → `user`.
fn stem(name: &str) -> Option<String> {
    let short = ["_id", "_ID", "_Id", "Id", "ID"].iter().find_map(|end| name.strip_suffix(end))?;
    (!short.is_empty()).then(|| short.to_lowercase())
}

/// Whether a table may be called so after one of its rows.
fn means(stem: &str, table: &str) -> bool {
    let plural = match stem.strip_suffix('y') {
        Some(short) => format!("{short}ies"),
        None => format!("{stem}s"),
    };
    table == stem || table == plural || table == format!("{stem}es")
}

/// The parent's key, where it is one column that is called `id` or like the child's.
fn parent_column<'a>(parent: &'a TableEntry, child: &ColumnEntry) -> Option<&'a str> {
    let [key] = parent.identity()? else { return None };
    let named = key.eq_ignore_ascii_case("id") || key.eq_ignore_ascii_case(&child.name);
    let comparable = match (parent.column(key)?.kind, child.kind) {
        (Kind::Int(_), Kind::Int(_)) | (Kind::Text(_), Kind::Text(_)) => true,
        (parent, child) => parent == child,
    };
    (named && comparable).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stem_is_what_stands_before_the_id() {
        assert_eq!(stem("user_id").as_deref(), Some("user"));
        assert_eq!(stem("userId").as_deref(), Some("user"));
        assert_eq!((stem("id"), stem("name")), (None, None));
    }

    #[test]
    fn tables_are_called_after_one_row_or_many() {
        assert!(means("user", "user") && means("user", "users") && means("box", "boxes"));
        assert!(means("category", "categories") && !means("user", "orders"));
    }
}
