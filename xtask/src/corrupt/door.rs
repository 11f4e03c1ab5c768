//! The way into a target, past Whimbrel: the engine's own client on servers, rusqlite for a file.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use whimbrel_testkit::servers::Database;

use crate::engine::Engine;

/// A value as its engine spells it, and for SQLite its storage class: an integer is not its digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cell {
    pub text: String,
    pub class: u8,
}

/// A value, unless it is NULL.
pub type Value = Option<Cell>;

/// A target that is open.
#[derive(Clone, Debug)]
pub enum Door<'d> {
    File(PathBuf),
    Database(&'d Database<'d>, Engine),
}

impl Door<'_> {
    pub fn engine(&self) -> Engine {
        match self {
            Door::File(_) => Engine::Sqlite,
            Door::Database(_, engine) => *engine,
        }
    }

    /// Runs statements, all or none of them, while no reference and no trigger of a server is enforced.
    pub fn run(&self, statements: &[String]) -> Result<()> {
        let script = statements.join(";\n");
        match self {
            Door::File(file) => {
                let connection = Connection::open(file)?;
                let all = format!("PRAGMA foreign_keys = OFF;\nBEGIN IMMEDIATE;\n{script};\nCOMMIT");
                connection.execute_batch(&all)?;
            }
            Door::Database(database, Engine::Postgres) => database.run(&format!(
                "SET session_replication_role = replica;\nSET TIME ZONE 'UTC';\nBEGIN;\n{script};\nCOMMIT;"
            ))?,
            Door::Database(database, _) => database.run(&format!(
                "SET foreign_key_checks = 0;\nSTART TRANSACTION;\n{script};\nCOMMIT;"
            ))?,
        }
        Ok(())
    }

    /// The rows of each query.
    pub fn ask(&self, queries: &[String]) -> Result<Vec<Vec<Vec<Value>>>> {
        match self {
            Door::File(file) => {
                let connection = Connection::open(file)?;
                queries.iter().map(|query| rows(&connection, query)).collect()
            }
            Door::Database(database, _) => {
                let queries: Vec<&str> = queries.iter().map(String::as_str).collect();
                let cell = |bytes: Vec<u8>| Cell {
                    text: String::from_utf8_lossy(&bytes).into_owned(),
                    class: 0,
                };
                let results = database.many_rows(&queries)?.into_iter().map(|rows| {
                    let row = |row: Vec<Option<Vec<u8>>>| {
                        row.into_iter().map(|own| own.map(cell)).collect()
                    };
                    rows.into_iter().map(row).collect()
                });
                Ok(results.collect())
            }
        }
    }

    /// The rows of one query, as texts; NULL is none.
    pub fn texts(&self, query: &str) -> Result<Vec<Vec<String>>> {
        let rows = self.ask(&[query.to_owned()])?.pop().unwrap_or_default();
        let text = |value: Value| value.map_or_else(String::new, |cell| cell.text);
        Ok(rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
    }

    /// A name in SQL.
    pub fn quoted(&self, name: &str) -> String {
        match self.engine() {
            Engine::Mysql => format!("`{name}`"),
            Engine::Postgres | Engine::Sqlite => format!("\"{name}\""),
        }
    }

    /// A table of the ledger in SQL.
    pub fn ledger(&self, name: &str) -> String {
        match self.engine() {
            Engine::Postgres => format!("whimbrel.{name}"),
            Engine::Sqlite | Engine::Mysql => format!("whimbrel_{name}"),
        }
    }

    /// The bytes of a column as hexadecimal digits.
    pub fn hex(&self, column: &str) -> String {
        match self.engine() {
            Engine::Postgres => format!("encode({}, 'hex')", self.quoted(column)),
            Engine::Sqlite | Engine::Mysql => format!("hex({})", self.quoted(column)),
        }
    }

    /// Hexadecimal digits as bytes.
    pub fn bytes(&self, digits: &str) -> String {
        match self.engine() {
            Engine::Postgres => format!("'\\x{digits}'::bytea"),
            Engine::Sqlite | Engine::Mysql => format!("x'{digits}'"),
        }
    }
}

/// Bytes as hexadecimal digits.
pub fn digits(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16).expect("half a byte is a digit");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn rows(connection: &Connection, query: &str) -> Result<Vec<Vec<Value>>> {
    let mut prepared = connection.prepare(query).with_context(|| query.to_owned())?;
    let width = prepared.column_count();
    let mut rows = prepared.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let cells = (0..width).map(|index| Ok(value(row.get_ref(index)?)));
        found.push(cells.collect::<Result<_>>()?);
    }
    Ok(found)
}

fn value(value: ValueRef<'_>) -> Value {
    let (class, text) = match value {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => (1, number.to_string()),
        ValueRef::Real(number) => (2, format!("{number:?}")),
        ValueRef::Text(bytes) => (3, String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => (4, digits(bytes)),
    };
    Some(Cell { text, class })
}
