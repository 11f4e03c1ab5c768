//! The catalogue: tables as they stand.

use rusqlite::{Connection, OptionalExtension as _};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::{Column, Kind, Table};

use super::fault;
use super::value::Slot;
use crate::dialect::{Affinity, Dialect, affinity};
use crate::words::{self, Spelled, Spelt};

/// What writing to a table needs to know of it.
#[derive(Debug)]
pub(crate) struct Facts {
    columns: Vec<(String, Affinity, bool)>,
    /// Triggers may skip rows, or refuse them after having written.
    pub(crate) has_triggers: bool,
    /// Foreign keys that SQLite looks at with the commit only.
    pub(crate) deferred: Vec<ForeignKey>,
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
        let mut deferred = foreign_keys(connection, table)?;
        deferred.retain(|key| key.is_deferred);
        Ok(Self { columns, has_triggers, deferred })
    }

    /// How a value of this kind is bound for the column; `None` where there is no such column.
    pub(crate) fn slot(&self, name: &str, kind: Kind) -> Option<Slot> {
        let (_, affinity, bytes) =
            self.columns.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(name))?;
        Some(Slot { kind, affinity: *affinity, bytes: *bytes })
    }
}

/// How rows of a table would be changed by hand; `None` where there is nothing of that name.
pub(crate) fn spelled(
    connection: &Connection,
    name: &str,
    key: &[&str],
) -> rusqlite::Result<Option<Spelled>> {
    let table = match named(connection, name)? {
        Named::Nothing => return Ok(None),
        Named::Table(table) => table,
        Named::Else(word) => {
            return Ok(Some(Spelled::refused(Dialect::Sqlite, name, format!("it is a {word}"))));
        }
    };
    let facts = Facts::of(connection, &table.name)?;
    let encoding: String = connection.pragma_query_value(None, "encoding", |row| row.get(0))?;
    let in_utf8 = encoding == "UTF-8";
    let spelt = |column: &Column| {
        let slot = facts.slot(&column.name, column.kind)?;
        Some(Spelt::Sqlite(words::Sqlite { slot, in_utf8 }))
    };
    let columns: Option<Vec<Spelt>> = table.columns.iter().map(spelt).collect();
    let is_unique = !key.is_empty() && is_unique(connection, &table.name, key);
    Ok(columns.map(|columns| Spelled::new(Dialect::Sqlite, table, columns, is_unique)))
}

/// Whether something makes these columns unique, as SQLite itself sees it; so it is where there is no
/// such table yet, or something else is wrong with it.
pub(crate) fn is_unique(connection: &Connection, table: &str, key: &[&str]) -> bool {
    let words = Dialect::Sqlite;
    let names: Vec<String> = key.iter().map(|name| words.quote(name)).collect();
    let (names, values) = (names.join(", "), vec!["NULL"; key.len()].join(", "));
    let sql = format!(
        "INSERT INTO {} ({names}) VALUES ({values}) ON CONFLICT ({names}) DO NOTHING",
        words.quote(table)
    );
    !connection.prepare(&sql).is_err_and(|error| fault::is_without_unique(&error))
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
#[derive(Debug)]
pub(crate) struct ForeignKey {
    pub(crate) columns: Vec<String>,
    pub(crate) parent: String,
    pub(crate) parent_columns: Vec<String>,
    /// The parent is the table itself.
    pub(crate) is_own: bool,
    /// It is checked with the commit.
    pub(crate) is_deferred: bool,
}

impl ForeignKey {
    /// As messages name it.
    pub(crate) fn name(&self) -> String {
        format!("{} → {}", self.columns.join(", "), self.parent)
    }
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
            let parent: String = row.get(1)?;
            let is_own = parent.eq_ignore_ascii_case(table);
            let key = ForeignKey {
                columns: vec![],
                parent,
                parent_columns: vec![],
                is_own,
                is_deferred: false,
            };
            keys.push((id, key));
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
    let mut keys: Vec<ForeignKey> = keys.into_iter().map(|(_, key)| key).collect();
    // They are listed from the last to the first.
    let deferred = deferred(&definition(connection, table)?);
    let is_told = deferred.len() == keys.len();
    for (key, is_deferred) in keys.iter_mut().zip(deferred.into_iter().rev()) {
        key.is_deferred = is_deferred && is_told;
    }
    Ok(keys)
}

fn definition(connection: &Connection, table: &str) -> rusqlite::Result<String> {
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE";
    let found = connection.prepare_cached(sql)?.query_row([table], |row| row.get(0)).optional()?;
    Ok(found.flatten().unwrap_or_default())
}

/// Of each foreign key in a table's definition, in their order, whether it waits for the commit. (No
/// pragma tells. `REFERENCES` and `DEFERRABLE` are words that SQLite keeps for itself.)
fn deferred(definition: &str) -> Vec<bool> {
    let mut keys = Vec::new();
    let mut before = [String::new(), String::new(), String::new()];
    for word in words(definition) {
        match word.as_str() {
            "REFERENCES" => keys.push(false),
            "DEFERRED" => {
                let [first, second, third] = &before;
                let waits = second == "DEFERRABLE" && third == "INITIALLY" && first != "NOT";
                if let Some(key) = keys.last_mut() {
                    *key |= waits;
                }
            }
            _ => {}
        }
        before.rotate_left(1);
        before[2] = word;
    }
    keys
}

/// The words of a statement, in upper case, without what is quoted, and without comments.
pub(crate) fn words(sql: &str) -> Vec<String> {
    let (mut found, mut rest) = (Vec::new(), sql);
    while let Some(first) = rest.chars().next() {
        let end = |close: &str| rest[1..].find(close).map_or(rest.len(), |at| at + 1 + close.len());
        let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let taken = match first {
            '\'' => end("'"),
            '"' => end("\""),
            '`' => end("`"),
            '[' => end("]"),
            '-' if rest.starts_with("--") => end("\n"),
            '/' if rest.starts_with("/*") => end("*/"),
            _ if word > 0 => {
                found.push(rest[..word].to_ascii_uppercase());
                word
            }
            other => other.len_utf8(),
        };
        rest = &rest[taken..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_definition_says_of_its_foreign_keys_is_read() {
        let check = |sql: &str, expected: &[bool]| assert_eq!(deferred(sql), expected, "{sql}");
        check("CREATE TABLE t (a REFERENCES p, b INT)", &[false]);
        check("CREATE TABLE t (a REFERENCES p DEFERRABLE INITIALLY DEFERRED)", &[true]);
        check("CREATE TABLE t (a REFERENCES p NOT DEFERRABLE INITIALLY DEFERRED)", &[false]);
        check("CREATE TABLE t (a REFERENCES p DEFERRABLE INITIALLY IMMEDIATE)", &[false]);
        check("CREATE TABLE t (a REFERENCES p DEFERRABLE)", &[false]);
        check(
            "CREATE TABLE t (a REFERENCES p, b REFERENCES p (x) ON DELETE CASCADE deferrable
                -- REFERENCES
                initially /* not */ deferred, \"REFERENCES\" TEXT DEFAULT 'REFERENCES',
                FOREIGN KEY (a, b) REFERENCES q)",
            &[false, true, false],
        );
    }
}
