//! A server's database as a SQLite database in memory, so that one set of checks does for all
//! engines.
//!
//! Rows come by the engine's own client, as texts; each is spelled as SQLite targets spell it, by the
//! type that the server's catalogue gives its column and by nothing else:
//!
//! | column | becomes |
//! |---|---|
//! | integers, MariaDB's truth values | an integer |
//! | PostgreSQL's truth values | 0, 1 |
//! | doubles, single floats | a double |
//! | bytes | bytes |
//! | instants (`timestamptz`, MariaDB's `timestamp`) | ISO 8601 in UTC, with 0, 3 or 6 digits |
//! | times without a zone | the same without `Z` |
//! | lists of UUIDs (`uuid[]`) | a JSON array |
//! | anything else | the text |
//!
//! What does not look like its type stays as it is spelled, and so is found by the checks. Columns of
//! the picture have no type: SQLite changes nothing. The schema `whimbrel` is the prefix `whimbrel_`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use rusqlite::Connection;
use rusqlite::types::Value;
use whimbrel_testkit::servers::{Database, Row};

use crate::engine::Engine;

/// A table of the server's, by its name in the picture.
pub struct Table {
    /// The name as SQL says it.
    quoted: String,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Integer,
    Truth,
    Double,
    Bytes,
    Instant,
    Timestamp,
    Ids,
    Text,
}

/// What PostgreSQL's catalogue says of tables and filled views, of people and of ours.
const POSTGRES: &str = "
    SELECT n.nspname, c.relname, a.attname, t.typname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relkind IN ('r', 'p', 'm') AND c.relispopulated AND NOT c.relispartition
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
    ORDER BY 1, 2, a.attnum";

const MYSQL: &str = "
    SELECT '', t.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE
    FROM information_schema.TABLES t
    JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
    WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE'
    ORDER BY 1, 2, c.ORDINAL_POSITION";

/// The tables of a database, by their names in the picture.
pub fn tables(database: &Database<'_>, engine: Engine) -> Result<BTreeMap<String, Table>> {
    let catalogue = match engine {
        Engine::Sqlite => return Ok(BTreeMap::new()),
        Engine::Postgres => POSTGRES,
        Engine::Mysql => MYSQL,
    };
    let mut tables = BTreeMap::new();
    for row in database.rows(catalogue)? {
        let [schema, table, column, kind] = texts(row)?;
        let (name, quoted) = match (engine, schema.as_str()) {
            (Engine::Sqlite | Engine::Mysql, _) => (table.clone(), format!("`{table}`")),
            (Engine::Postgres, "public") => (table.clone(), format!("\"public\".\"{table}\"")),
            (Engine::Postgres, "whimbrel") => {
                (format!("whimbrel_{table}"), format!("\"whimbrel\".\"{table}\""))
            }
            (Engine::Postgres, _) => {
                (format!("{schema}.{table}"), format!("\"{schema}\".\"{table}\""))
            }
        };
        let table = tables.entry(name).or_insert_with(|| Table { quoted, columns: Vec::new() });
        table.columns.push(Column { name: column, kind: Kind::of(engine, &kind) });
    }
    Ok(tables)
}

/// The picture of a database.
pub fn of(database: &Database<'_>, engine: Engine) -> Result<Connection> {
    let tables = tables(database, engine)?;
    let queries: Vec<String> = tables.values().map(|table| table.query(engine)).collect();
    let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
    let contents = database.many_rows(&queries)?;
    ensure!(contents.len() == tables.len(), "the client gave {} results", contents.len());
    let mut picture = Connection::open_in_memory()?;
    let transaction = picture.transaction()?;
    for ((name, table), rows) in tables.iter().zip(contents) {
        table.draw(&transaction, name, rows).with_context(|| name.clone())?;
    }
    transaction.commit()?;
    Ok(picture)
}

impl Table {
    fn query(&self, engine: Engine) -> String {
        let cell = |column: &Column| match (engine, column.kind) {
            (Engine::Mysql, Kind::Bytes) => format!("HEX(`{}`)", column.name),
            (Engine::Mysql, _) => format!("`{}`", column.name),
            (Engine::Postgres | Engine::Sqlite, _) => format!("\"{}\"", column.name),
        };
        let cells: Vec<String> = self.columns.iter().map(cell).collect();
        format!("SELECT {} FROM {}", cells.join(", "), self.quoted)
    }

    fn draw(&self, picture: &Connection, name: &str, rows: Vec<Row>) -> Result<()> {
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let names: Vec<String> = self.columns.iter().map(|column| quoted(&column.name)).collect();
        let name = quoted(name);
        picture.execute(&format!("CREATE TABLE {name} ({})", names.join(", ")), [])?;
        let marks = vec!["?"; names.len()].join(", ");
        let mut insert = picture.prepare(&format!("INSERT INTO {name} VALUES ({marks})"))?;
        for row in rows {
            ensure!(row.len() == names.len(), "a row of {} cells", row.len());
            let cells = row.into_iter().zip(&self.columns);
            let values = cells.map(|(cell, column)| column.kind.value(cell));
            insert.execute(rusqlite::params_from_iter(values))?;
        }
        Ok(())
    }
}

impl Kind {
    fn of(engine: Engine, name: &str) -> Self {
        match (engine, name) {
            (
                _,
                "int2" | "int4" | "int8" | "tinyint" | "smallint" | "mediumint" | "int" | "bigint",
            ) => Self::Integer,
            (_, "bool") => Self::Truth,
            (_, "float4" | "float8" | "float" | "double") => Self::Double,
            (
                _,
                "bytea" | "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob",
            ) => Self::Bytes,
            (Engine::Postgres, "timestamptz") | (Engine::Mysql, "timestamp") => Self::Instant,
            (Engine::Postgres, "timestamp") | (Engine::Mysql, "datetime") => Self::Timestamp,
            (Engine::Postgres, "_uuid") => Self::Ids,
            _ => Self::Text,
        }
    }

    fn value(self, cell: Option<Vec<u8>>) -> Value {
        let Some(cell) = cell else {
            return Value::Null;
        };
        let text = match String::from_utf8(cell) {
            Ok(text) => text,
            Err(error) => return Value::Blob(error.into_bytes()),
        };
        let spelled = match self {
            Self::Text => None,
            Self::Integer => text.parse().ok().map(Value::Integer),
            Self::Truth => match text.as_str() {
                "f" => Some(Value::Integer(0)),
                "t" => Some(Value::Integer(1)),
                _ => None,
            },
            Self::Double => text.parse().ok().map(Value::Real),
            Self::Bytes => bytes(&text).map(Value::Blob),
            Self::Instant => iso(text.strip_suffix("+00").unwrap_or(&text), "Z").map(Value::Text),
            Self::Timestamp => iso(&text, "").map(Value::Text),
            Self::Ids => ids(&text).map(Value::Text),
        };
        spelled.unwrap_or(Value::Text(text))
    }
}

/// Hexadecimal digits, with PostgreSQL's `\x` before them or without.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x").unwrap_or(text);
    let pair = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    (0..digits.len()).step_by(2).map(pair).collect()
}

/// `{ID,ID}` as a JSON array.
fn ids(text: &str) -> Option<String> {
    let list = text.strip_prefix('{')?.strip_suffix('}')?;
    let ids: Vec<String> =
        list.split(',').filter(|id| !id.is_empty()).map(|id| format!("\"{id}\"")).collect();
    let is_plain = |byte: u8| byte.is_ascii_hexdigit() || b"-,".contains(&byte);
    list.bytes().all(is_plain).then(|| format!("[{}]", ids.join(",")))
}

/// `2024-01-31 08:00:00[.123456]` with `T`, and with the fewest of 0, 3, 6 digits that are exact.
fn iso(text: &str, zone: &str) -> Option<String> {
    let (date, time) = text.split_once(' ')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let shape = |text: &str, lengths: &[usize], mark: char| {
        let parts: Vec<&str> = text.split(mark).collect();
        let digits = |part: &&str| part.bytes().all(|byte| byte.is_ascii_digit());
        parts.iter().map(|part| part.len()).eq(lengths.iter().copied()) && parts.iter().all(digits)
    };
    if !(shape(date, &[4, 2, 2], '-') && shape(time, &[2, 2, 2], ':')) || fraction.len() > 6 {
        return None;
    }
    let mut fraction = format!("{fraction:0<6}");
    while let Some(shorter) = fraction.strip_suffix("000") {
        fraction = shorter.to_owned();
    }
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{date}T{time}{point}{fraction}{zone}"))
}

/// A row of texts.
fn texts<const N: usize>(row: Row) -> Result<[String; N]> {
    let cells = row.into_iter().map(|cell| Ok(String::from_utf8(cell.unwrap_or_default())?));
    let cells: Vec<String> = cells.collect::<Result<_>>()?;
    cells.try_into().map_err(|cells| anyhow::anyhow!("{N} cells expected: {cells:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, cell: &str, expected: &Value) {
        assert_eq!(&kind.value(Some(cell.as_bytes().to_vec())), expected, "{kind:?} {cell}");
    }

    #[test]
    fn values_are_spelled_as_sqlite_targets_spell_them() {
        let text = |text: &str| Value::Text(text.to_owned());
        check(Kind::Instant, "2024-01-31 08:00:00+00", &text("2024-01-31T08:00:00Z"));
        check(Kind::Instant, "2024-01-31 08:00:00.51+00", &text("2024-01-31T08:00:00.510Z"));
        check(Kind::Instant, "2024-01-31 08:00:00.000001", &text("2024-01-31T08:00:00.000001Z"));
        check(Kind::Timestamp, "2024-01-31 08:00:00.000000", &text("2024-01-31T08:00:00"));
        check(Kind::Truth, "t", &Value::Integer(1));
        check(Kind::Double, "0.1", &Value::Real(0.1));
        check(Kind::Bytes, "\\x00ff", &Value::Blob(vec![0, 255]));
        check(Kind::Ids, "{0a-1,0b-2}", &text("[\"0a-1\",\"0b-2\"]"));
        check(Kind::Bytes, "00FF", &Value::Blob(vec![0, 255]));
        assert_eq!(Kind::Text.value(None), Value::Null);
    }

    #[test]
    fn what_does_not_look_like_its_type_stays() {
        for (kind, cell) in [
            (Kind::Instant, "infinity"),
            (Kind::Instant, "0044-03-15 00:00:00+00 BC"),
            (Kind::Integer, "18446744073709551615"),
            (Kind::Truth, "1"),
            (Kind::Bytes, "abc"),
            (Kind::Text, "2024-01-31 08:00:00+00"),
        ] {
            check(kind, cell, &Value::Text(cell.to_owned()));
        }
    }
}
