//! The catalogue: tables as they stand.

use rusqlite::{Connection, OptionalExtension as _};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::{Column, Kind, Table};

use super::value::Slot;
use crate::dialect::{Affinity, Dialect, affinity};

/// What writing to a table needs to know of it.
#[derive(Debug)]
pub(crate) struct Facts {
    columns: Vec<(String, Affinity, bool)>,
    /// Triggers may skip rows, or refuse them after having written.
    pub(crate) has_triggers: bool,
}

impl Facts {
    /// Looks a table up; no columns where there is none.
    pub(crate) fn of(connection: &Connection, table: &str) -> rusqlite::Result<Self> {
        let strict = found(connection, table)?.is_some_and(|found| found.strict);
        let columns = declared(connection, table)?
            .into_iter()
            .map(|column| match column.type_name.as_str() {
                name if strict && name.eq_ignore_ascii_case("ANY") => {
                    (column.name, Affinity::Blob, false)
                }
                name => {
                    let affinity = affinity(name);
                    let bytes = affinity == Affinity::Blob && !name.is_empty();
                    (column.name, affinity, bytes)
                }
            })
            .collect();
        let has_triggers = connection.query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)
                 OR EXISTS (SELECT 1 FROM sqlite_temp_schema WHERE type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE)",
            [table],
            |row| row.get(0),
        )?;
        Ok(Self { columns, has_triggers })
    }

    /// How a value of this kind is bound for the column; `None` where there is no such column.
    pub(crate) fn slot(&self, name: &str, kind: Kind) -> Option<Slot> {
        let (_, affinity, bytes) =
            self.columns.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name))?;
        Some(Slot { kind, affinity: *affinity, bytes: *bytes })
    }
}

struct Declared {
    name: String,
    type_name: String,
    required: bool,
    default: Option<String>,
    /// Place in the primary key from 1; 0 outside it.
    key: u32,
    generated: bool,
}

/// What stands under a name.
pub(crate) enum Named {
    Nothing,
    Table(Table),
    /// A view or a virtual table; the word for it.
    Else(String),
}

/// What stands under this name; of a table the columns that can be written.
pub(crate) fn named(connection: &Connection, name: &str) -> rusqlite::Result<Named> {
    match found(connection, name)? {
        None => Ok(Named::Nothing),
        Some(found) if found.kind != "table" => Ok(Named::Else(found.kind)),
        Some(found) => read(connection, found).map(Named::Table),
    }
}

/// All tables that rows can be loaded into, by name; SQLite's own and virtual ones left out.
pub(crate) fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let mut statement = connection.prepare(
        "SELECT name, type, wr, strict FROM pragma_table_list
         WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         ORDER BY name",
    )?;
    let found: Vec<Found> = statement.query_map([], Found::from_row)?.collect::<Result<_, _>>()?;
    found.into_iter().map(|found| read(connection, found)).collect()
}

/// True where a table or anything else has this name.
pub(crate) fn exists(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    found(connection, name).map(|found| found.is_some())
}

struct Found {
    name: String,
    kind: String,
    without_rowid: bool,
    strict: bool,
}

impl Found {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            kind: row.get(1)?,
            without_rowid: row.get(2)?,
            strict: row.get(3)?,
        })
    }
}

fn found(connection: &Connection, name: &str) -> rusqlite::Result<Option<Found>> {
    connection
        .prepare_cached(
            "SELECT name, type, wr, strict FROM pragma_table_list
             WHERE schema = 'main' AND name = ?1 COLLATE NOCASE",
        )?
        .query_row([name], Found::from_row)
        .optional()
}

fn declared(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Declared>> {
    let mut statement = connection.prepare_cached(
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden
         FROM pragma_table_xinfo(?1, 'main') ORDER BY cid",
    )?;
    let rows = statement.query_map([table], |row| {
        Ok(Declared {
            name: row.get(0)?,
            type_name: row.get(1)?,
            required: row.get(2)?,
            default: row.get(3)?,
            key: row.get(4)?,
            generated: row.get::<_, i64>(5)? != 0,
        })
    })?;
    rows.collect()
}

fn read(connection: &Connection, found: Found) -> rusqlite::Result<Table> {
    let declared = declared(connection, &found.name)?;
    let alias = rowid_alias(&declared, found.without_rowid);
    let mut key: Vec<(u32, usize)> = Vec::new();
    let mut columns = Vec::new();
    for (at, column) in declared.iter().enumerate().filter(|(_, column)| !column.generated) {
        if column.key > 0 {
            key.push((column.key, columns.len()));
        }
        let is_alias = alias == Some(at);
        columns.push(Column {
            name: column.name.clone(),
            kind: if is_alias {
                Kind::Int(IntWidth::I64)
            } else {
                Dialect::Sqlite.kind_of(&column.type_name)
            },
            nullable: !column.required && !is_alias && (column.key == 0 || !found.without_rowid),
            has_default: is_alias || column.default.is_some(),
        });
    }
    key.sort_unstable();
    let key = key.into_iter().map(|(_, index)| index).collect();
    Ok(Table { name: found.name, columns, key })
}

/// The column that SQLite fills by itself: a lone key declared exactly `INTEGER`.
fn rowid_alias(declared: &[Declared], without_rowid: bool) -> Option<usize> {
    let mut keys = declared.iter().enumerate().filter(|(_, column)| column.key > 0);
    match (keys.next(), keys.next()) {
        (Some((at, column)), None)
            if !without_rowid && column.type_name.eq_ignore_ascii_case("INTEGER") =>
        {
            Some(at)
        }
        (_, _) => None,
    }
}

/// A foreign key of a table.
pub(crate) struct ForeignKey {
    pub(crate) columns: Vec<String>,
    pub(crate) parent: String,
    pub(crate) parent_columns: Vec<String>,
}

/// The foreign keys of a table; a parent named without columns means its primary key.
pub(crate) fn foreign_keys(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?1, 'main')
         ORDER BY id, seq",
    )?;
    let mut rows = statement.query([table])?;
    let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if keys.last().is_none_or(|(last, _)| *last != id) {
            let parent = row.get(1)?;
            keys.push((id, ForeignKey { columns: vec![], parent, parent_columns: vec![] }));
        }
        let (_, key) = keys.last_mut().expect("one was pushed above");
        key.columns.push(row.get(2)?);
        key.parent_columns.extend(row.get::<_, Option<String>>(3)?);
    }
    for (_, key) in &mut keys {
        if key.parent_columns.is_empty() {
            let mut parts: Vec<Declared> = declared(connection, &key.parent)?
                .into_iter()
                .filter(|part| part.key > 0)
                .collect();
            parts.sort_by_key(|part| part.key);
            key.parent_columns = parts.into_iter().map(|part| part.name).collect();
        }
    }
    Ok(keys.into_iter().map(|(_, key)| key).collect())
}
