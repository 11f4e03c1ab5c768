//! What stands in a target: its tables, columns, keys, references and rows, as the engine's catalogue
//! and client tell them; and what is different there after something was done to it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};

use super::door::{Door, Value, digits};
use super::instant::Instant;
use crate::engine::Engine;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    Int,
    Bool,
    Float,
    Decimal,
    Text,
    Uuid,
    Json,
    Instant,
    Date,
    Bytes,
    Other,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub sort: Sort,
    /// Its type, without length.
    declared: String,
    pub nullable: bool,
    /// Whether the plan fills it.
    pub filled: bool,
    /// The table that it refers to.
    pub parent: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// Places of the key's columns.
    pub key: Vec<usize>,
    pub rows: Vec<Vec<Value>>,
    /// Who fills it.
    pub by: By,
}

/// Who fills a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The plan's mappings alone.
    Mapping,
    /// Its mappings, and its SQL after them.
    Both,
    /// Its SQL alone.
    Sql,
    /// Nobody: what stands there is the application's.
    Nobody,
}

/// Columns that no mapping fills.
const UNFILLED: &[(&str, &[&str])] = &[
    ("runs", &["config_profile_id"]),
    ("logger_events", &["run_id"]),
    (
        "content_items",
        &["metadata", "processing_state", "processed_at", "media_content", "vision_model_used"],
    ),
    (
        "knowledge_items",
        &["summary", "markdown_content", "readme_section", "generation_model_used"],
    ),
    ("application", &["last_heartbeat"]),
    ("items", &["kept"]),
];

/// Columns of JSON: MariaDB's catalogue calls them texts.
const JSON: &[(&str, &str)] = &[
    ("config_profiles", "config"),
    ("logger_events", "context"),
    ("content_items", "tags"),
    ("graph_nodes", "properties"),
    ("graph_edges", "properties"),
    ("stray_rows", "content"),
    ("application_alert_config", "configuration"),
    ("chunks", "tags"),
    ("chunks", "metadata"),
    ("chunks", "vector"),
    ("chunks", "vector_metadata"),
    ("items", "doc"),
];

/// Columns of a text that must look like a text of its own kind, so not for what befalls texts.
const SPECIAL: &[(&str, &str)] = &[("content_items", "raw_data"), ("chunk_hierarchy", "path_ids")];

impl By {
    fn of(table: &str) -> Self {
        match table {
            "chunks" | "application" => Self::Both,
            "chunk_hierarchy" | "tag_statistics" => Self::Sql,
            "config_applied_events"
            | "embeddings"
            | "synthesis_documents"
            | "chunk_search_cache" => Self::Nobody,
            _ => Self::Mapping,
        }
    }
}

/// A row that is not what it was.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Hit {
    pub table: String,
    /// Values of the key between slashes.
    pub key: String,
    pub how: How,
    /// Columns that changed, of those that the plan fills.
    pub columns: BTreeSet<String>,
    /// Whether the plan fills what changed.
    pub filled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    Changed,
    Missing,
    Extra,
}

/// The tables of a target, by name.
pub fn tables(door: &Door<'_>) -> Result<Vec<Table>> {
    let [columns, links] = match door.engine() {
        Engine::Sqlite => SQLITE,
        Engine::Postgres => POSTGRES,
        Engine::Mysql => MYSQL,
    };
    let links: BTreeMap<(String, String), String> = door
        .texts(links)?
        .into_iter()
        .filter_map(|row| {
            let [table, column, parent] = row.try_into().ok()?;
            Some(((table, column), parent))
        })
        .collect();
    let mut tables: BTreeMap<String, (Table, Vec<(usize, usize)>)> = BTreeMap::new();
    for row in door.texts(columns)? {
        let [name, column, declared, not_null, place] =
            row.try_into().ok().context("five columns of the catalogue")?;
        let (table, key) = tables.entry(name.clone()).or_insert_with(|| {
            let by = By::of(&name);
            let (columns, rows) = (Vec::new(), Vec::new());
            (Table { name: name.clone(), columns, key: Vec::new(), rows, by }, Vec::new())
        });
        let place: usize = place.parse()?;
        if place > 0 {
            key.push((place, table.columns.len()));
        }
        let is_of = |list: &[(&str, &str)]| list.contains(&(name.as_str(), column.as_str()));
        let sort = if is_of(JSON) {
            Sort::Json
        } else if is_of(SPECIAL) {
            Sort::Other
        } else {
            sort(&declared)
        };
        let unfilled = UNFILLED.iter().find(|(table, _)| *table == name);
        table.columns.push(Column {
            sort,
            nullable: not_null == "0" && place == 0,
            filled: unfilled.is_none_or(|(_, columns)| !columns.contains(&column.as_str())),
            parent: links.get(&(name, column.clone())).cloned(),
            name: column,
            declared,
        });
    }
    let mut tables: Vec<Table> = tables
        .into_values()
        .map(|(mut table, mut key)| {
            key.sort_unstable();
            table.key = key.into_iter().map(|(_, column)| column).collect();
            table
        })
        .collect();
    let queries: Vec<String> = tables.iter().map(|table| table.query(door)).collect();
    for (table, rows) in tables.iter_mut().zip(door.ask(&queries)?) {
        table.rows = rows;
        for at in 0..table.columns.len() {
            let looks = |row: &Vec<Value>| row[at].as_ref().is_none_or(|cell| is_uuid(&cell.text));
            let column = &mut table.columns[at];
            let is_filled = table.rows.iter().any(|row| row[at].is_some());
            if column.sort == Sort::Text && is_filled && table.rows.iter().all(looks) {
                column.sort = Sort::Uuid;
            }
        }
    }
    Ok(tables)
}

/// What is different, and what brings it back.
#[derive(Default)]
pub struct Difference {
    pub hits: Vec<Hit>,
    pub mend: Vec<String>,
}

/// Compares what stands there now with what stood there.
pub fn difference(door: &Door<'_>, before: &[Table]) -> Result<Difference> {
    let queries: Vec<String> = before.iter().map(|table| table.query(door)).collect();
    let now = door.ask(&queries)?;
    let mut different = Difference::default();
    for (table, now) in before.iter().zip(now) {
        let first = different.hits.len();
        table.compare(&now, &mut different.hits);
        let keys: BTreeSet<&str> =
            different.hits[first..].iter().map(|hit| hit.key.as_str()).collect();
        different.mend.extend(table.mend(door, &now, &keys));
    }
    different.hits.sort_unstable();
    Ok(different)
}

impl Table {
    fn query(&self, door: &Door<'_>) -> String {
        let cell = |column: &Column| {
            let is_bytes = column.sort == Sort::Bytes && door.engine() != Engine::Sqlite;
            if is_bytes { door.hex(&column.name) } else { door.quoted(&column.name) }
        };
        let cells: Vec<String> = self.columns.iter().map(cell).collect();
        let order: Vec<String> =
            self.key.iter().map(|&at| door.quoted(&self.columns[at].name)).collect();
        let order = if order.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", order.join(", "))
        };
        format!("SELECT {} FROM {}{order}", cells.join(", "), door.quoted(&self.name))
    }

    pub fn key_of(&self, row: &[Value]) -> String {
        let part = |at: &usize| row[*at].as_ref().map_or("", |cell| cell.text.as_str());
        self.key.iter().map(part).collect::<Vec<_>>().join("/")
    }

    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Whether one of its rows refers to another table's, or to another of its own.
    pub fn refers_to(&self, table: &str) -> bool {
        self.columns.iter().any(|column| column.parent.as_deref() == Some(table))
    }

    fn compare(&self, now: &[Vec<Value>], hits: &mut Vec<Hit>) {
        let by_key = |rows: &[Vec<Value>]| {
            let mut map: BTreeMap<String, Vec<Vec<Value>>> = BTreeMap::new();
            for row in rows {
                map.entry(self.key_of(row)).or_default().push(row.clone());
            }
            map
        };
        let (before, now) = (by_key(&self.rows), by_key(now));
        let keys: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
        for key in keys {
            let (old, new) = (before.get(key), now.get(key));
            let mut columns = BTreeSet::new();
            let how = match (old, new) {
                (Some(_), None) => How::Missing,
                (Some(old), Some(new)) if old == new => continue,
                (Some(old), Some(new)) if old.len() == new.len() => {
                    for (old, new) in old.iter().zip(new) {
                        let places = (0..self.columns.len())
                            .filter(|&at| !is_same(self.columns[at].sort, &old[at], &new[at]));
                        columns.extend(places);
                    }
                    if columns.is_empty() {
                        continue;
                    }
                    How::Changed
                }
                (Some(old), Some(new)) if old.len() > new.len() => How::Missing,
                (Some(_) | None, _) => How::Extra,
            };
            let filled: BTreeSet<String> = columns
                .iter()
                .filter(|&&at| self.columns[at].filled)
                .map(|&at| self.columns[at].name.clone())
                .collect();
            hits.push(Hit {
                table: self.name.clone(),
                key: key.clone(),
                how,
                filled: how != How::Changed || !filled.is_empty(),
                columns: filled,
            });
        }
    }

    /// A value in SQL, as its column takes it.
    pub fn literal(&self, door: &Door<'_>, at: usize, value: Option<&str>) -> String {
        let Some(text) = value else { return "NULL".to_owned() };
        let Column { sort, declared, .. } = &self.columns[at];
        let digits = digits(text.as_bytes());
        match (door.engine(), sort) {
            (_, Sort::Bytes) => door.bytes(text),
            (Engine::Postgres, _) => format!("convert_from('\\x{digits}', 'UTF8')::{declared}"),
            (_, Sort::Int | Sort::Bool | Sort::Float) => text.to_owned(),
            (Engine::Sqlite, _) => format!("CAST(x'{digits}' AS TEXT)"),
            (Engine::Mysql, Sort::Decimal | Sort::Instant | Sort::Date) => format!("'{text}'"),
            (Engine::Mysql, _) => format!("CONVERT(x'{digits}' USING utf8mb4)"),
        }
    }

    /// The condition that names a row.
    pub fn is(&self, door: &Door<'_>, row: &[Value]) -> String {
        let part = |&at: &usize| {
            let value = row[at].as_ref().map(|cell| cell.text.as_str());
            format!("{} = {}", door.quoted(&self.columns[at].name), self.literal(door, at, value))
        };
        self.key.iter().map(part).collect::<Vec<_>>().join(" AND ")
    }

    /// Sets cells of a row.
    pub fn update(
        &self,
        door: &Door<'_>,
        row: &[Value],
        cells: &[(usize, Option<String>)],
    ) -> String {
        let set = |(at, value): &(usize, Option<String>)| {
            let value = self.literal(door, *at, value.as_deref());
            format!("{} = {value}", door.quoted(&self.columns[*at].name))
        };
        let cells: Vec<String> = cells.iter().map(set).collect();
        let (name, is) = (door.quoted(&self.name), self.is(door, row));
        format!("UPDATE {name} SET {} WHERE {is}", cells.join(", "))
    }

    pub fn delete(&self, door: &Door<'_>, row: &[Value]) -> String {
        format!("DELETE FROM {} WHERE {}", door.quoted(&self.name), self.is(door, row))
    }

    pub fn insert(&self, door: &Door<'_>, row: &[Value]) -> String {
        let names: Vec<String> =
            self.columns.iter().map(|column| door.quoted(&column.name)).collect();
        let literal = |(at, value): (usize, &Value)| {
            self.literal(door, at, value.as_ref().map(|cell| cell.text.as_str()))
        };
        let values: Vec<String> = row.iter().enumerate().map(literal).collect();
        let name = door.quoted(&self.name);
        format!("INSERT INTO {name} ({}) VALUES ({})", names.join(", "), values.join(", "))
    }

    /// What brings rows back that are not what they were.
    fn mend(&self, door: &Door<'_>, now: &[Vec<Value>], keys: &BTreeSet<&str>) -> Vec<String> {
        let is_hit = |row: &&Vec<Value>| keys.contains(self.key_of(row).as_str());
        let mut statements: Vec<String> =
            now.iter().filter(is_hit).map(|row| self.delete(door, row)).collect();
        statements.extend(self.rows.iter().filter(is_hit).map(|row| self.insert(door, row)));
        statements
    }
}

/// Whether two spellings are of one value: a column that was given another type spells values otherwise.
fn is_same(sort: Sort, one: &Value, two: &Value) -> bool {
    let (Some(left), Some(right)) = (one, two) else { return one == two };
    let decimal = |text: &str| {
        let text = text.to_owned();
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    };
    one == two
        || left.class == right.class
            && match sort {
                Sort::Instant => {
                    let read = Instant::read(&left.text);
                    read.is_some() && read == Instant::read(&right.text)
                }
                Sort::Decimal => decimal(&left.text) == decimal(&right.text),
                Sort::Float => {
                    let bits = |text: &str| text.parse().map(f64::to_bits).ok();
                    bits(&left.text).is_some() && bits(&left.text) == bits(&right.text)
                }
                Sort::Int
                | Sort::Bool
                | Sort::Text
                | Sort::Uuid
                | Sort::Json
                | Sort::Date
                | Sort::Bytes
                | Sort::Other => false,
            }
}

fn sort(declared: &str) -> Sort {
    let name = declared.split('(').next().unwrap_or("").trim().to_ascii_uppercase();
    match name.as_str() {
        "INTEGER" | "BIGINT" | "INT" | "INT2" | "INT4" | "INT8" | "SMALLINT" => Sort::Int,
        "BOOLEAN" | "BOOL" | "TINYINT" => Sort::Bool,
        "DOUBLE PRECISION" | "DOUBLE" | "FLOAT8" => Sort::Float,
        "NUMERIC" | "DECIMAL" | "DECIMAL_TEXT" => Sort::Decimal,
        "TEXT" | "VARCHAR" | "CHAR" | "BPCHAR" | "LONGTEXT" => Sort::Text,
        "UUID" | "UUID_TEXT" => Sort::Uuid,
        "JSON" | "JSONB" | "JSON_TEXT" => Sort::Json,
        "TIMESTAMPTZ" | "TIMESTAMP" => Sort::Instant,
        "DATE" | "DATE_TEXT" => Sort::Date,
        "BYTEA" | "BLOB" | "LONGBLOB" => Sort::Bytes,
        _ => Sort::Other,
    }
}

/// Whether a text looks like a UUID.
pub fn is_uuid(text: &str) -> bool {
    let is_dash = |at: usize| [8, 13, 18, 23].contains(&at);
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if is_dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// Columns: table, name, type, whether it takes no NULL, place in the key from 1. References: table,
/// column, parent.
const SQLITE: [&str; 2] = [
    "SELECT m.name, p.name, p.type, p.\"notnull\", p.pk
     FROM sqlite_schema m JOIN pragma_table_info(m.name) p
     WHERE m.type = 'table' AND m.name NOT LIKE 'whimbrel\\_%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
     ORDER BY 1, p.cid",
    "SELECT m.name, p.\"from\", p.\"table\" FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) p
     WHERE m.type = 'table'",
];

const POSTGRES: [&str; 2] = [
    "SELECT c.relname, a.attname, t.typname, a.attnotnull::int,
            coalesce((SELECT array_position(k.conkey, a.attnum) FROM pg_constraint k
                      WHERE k.conrelid = c.oid AND k.contype = 'p'), 0)
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     JOIN pg_type t ON t.oid = a.atttypid
     WHERE c.relkind = 'r' AND n.nspname = 'public' ORDER BY 1, a.attnum",
    "SELECT c.relname, a.attname, p.relname FROM pg_constraint k
     JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     JOIN pg_class p ON p.oid = k.confrelid
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
     WHERE k.contype = 'f' AND n.nspname = 'public'",
];

const MYSQL: [&str; 2] = [
    "SELECT c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, c.IS_NULLABLE = 'NO', coalesce((
         SELECT k.ORDINAL_POSITION FROM information_schema.KEY_COLUMN_USAGE k
         WHERE k.TABLE_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME
           AND k.COLUMN_NAME = c.COLUMN_NAME AND k.CONSTRAINT_NAME = 'PRIMARY'), 0)
     FROM information_schema.COLUMNS c
     JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
     WHERE c.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE' AND c.TABLE_NAME NOT LIKE 'whimbrel\\_%'
     ORDER BY 1, c.ORDINAL_POSITION",
    "SELECT TABLE_NAME, COLUMN_NAME, REFERENCED_TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE
     WHERE TABLE_SCHEMA = DATABASE() AND REFERENCED_TABLE_NAME IS NOT NULL",
];
