//! Statements that would change rows, with their values in the text: for people, who read them before
//! they run them through the engine's own client. Everywhere else values are bound.
//!
//! ```text
//! value ─▶ what the column holds unaltered, or a refusal ─▶ literal that no setting reads differently
//! ```
//! Whatever has no picture of its own (line ends, NUL, marks that turn the direction of text) is spelled
//! by its number, and so is a backslash where an engine may take it for an escape: a statement is one
//! line, and shows all that stands in it.

mod mysql;
mod postgres;
mod sqlite;

use whimbrel_endpoint::{Cell, Seen, Unsaid, Words};
use whimbrel_model::{Column, Kind, Table, ValueRef};

use crate::dialect::Dialect;

pub(crate) use mysql::Spelt as Mysql;
pub(crate) use postgres::Spelt as Postgres;
pub(crate) use sqlite::Spelt as Sqlite;

/// What stands around the statements of a file.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Statements before the first one; the last of them are in the transaction.
    pub before: &'static [&'static str],
    /// Statements behind the last one, before the transaction ends: they look at what would else be looked
    /// at only where it is kept.
    pub after: &'static [&'static str],
    /// How the engine's own client runs a file.
    pub run: &'static str,
}

/// What stands around statements for an engine; `None` where it is not known.
pub fn frame(engine: &str) -> Option<Frame> {
    match engine {
        "sqlite" => Some(Frame {
            before: &["PRAGMA foreign_keys = ON;", "BEGIN;", "PRAGMA defer_foreign_keys = ON;"],
            after: &["PRAGMA foreign_key_check;"],
            run: "sqlite3 -bail DATABASE < FILE",
        }),
        "postgres" => Some(Frame {
            before: &["SET client_encoding = 'UTF8';", "BEGIN;", "SET CONSTRAINTS ALL DEFERRED;"],
            after: &["SET CONSTRAINTS ALL IMMEDIATE;"],
            run: "psql -X -v ON_ERROR_STOP=1 -f FILE URL",
        }),
        "mysql" => Some(Frame {
            before: &[
                "SET NAMES utf8mb4;",
                "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
                 ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO', \
                 SESSION time_zone = '+00:00', SESSION sql_safe_updates = 0;",
                "BEGIN;",
            ],
            after: &[],
            run: "mariadb DATABASE < FILE",
        }),
        _ => None,
    }
}

/// How values of a column are said.
pub(crate) enum Spelt {
    Sqlite(Sqlite),
    Postgres(Postgres),
    Mysql(Mysql),
}

impl Spelt {
    fn literal(&self, value: ValueRef<'_>) -> Result<String, String> {
        match self {
            Self::Sqlite(column) => column.literal(value),
            Self::Postgres(column) => column.literal(value),
            Self::Mysql(column) => column.literal(value),
        }
    }

    /// That the column holds exactly this value, which is not NULL; of a key also in a way that finds it
    /// by an index.
    fn is(&self, name: &str, value: ValueRef<'_>, in_key: bool) -> Result<String, String> {
        match self {
            Self::Sqlite(column) => column.is(name, value),
            Self::Postgres(column) => column.is(name, value, in_key),
            Self::Mysql(column) => column.is(name, value, in_key),
        }
    }

    /// The engine gives the column another value whenever its row changes, unless it is told not to.
    fn renews(&self) -> bool {
        match self {
            Self::Mysql(column) => column.renews,
            Self::Sqlite(_) | Self::Postgres(_) => false,
        }
    }

    /// The engine takes a value of ours only where it is told to.
    fn counts_always(&self) -> bool {
        match self {
            Self::Postgres(column) => column.slot.always,
            Self::Sqlite(_) | Self::Mysql(_) => false,
        }
    }
}

/// The words for one table.
pub(crate) struct Spelled {
    dialect: Dialect,
    table: Table,
    /// How each of the table's columns is said.
    columns: Vec<Spelt>,
    /// Something makes the key unique.
    is_unique: bool,
    /// What leads to one of several rows that look alike, where the engine has it.
    row: Option<&'static str>,
    /// Why nothing of it is said.
    refuses: Option<String>,
}

impl Spelled {
    pub(crate) fn new(
        dialect: Dialect,
        table: Table,
        columns: Vec<Spelt>,
        is_unique: bool,
    ) -> Self {
        let row = match dialect {
            Dialect::Sqlite => sqlite::row_name(&table),
            Dialect::Postgres => Some("tableoid, ctid"),
            Dialect::Mysql => None,
        };
        let names = table.columns.iter().map(|column| &column.name);
        let unsafe_name = names.chain([&table.name]).find(|name| !is_plain(dialect, name));
        let refuses = unsafe_name
            .map(|_| "its name, or a column's, has characters that clients may misread".to_owned());
        Self { dialect, table, columns, is_unique, row, refuses }
    }

    /// Nothing can be said, for this reason.
    pub(crate) fn refused(dialect: Dialect, name: &str, why: String) -> Self {
        let table = Table { name: name.to_owned(), columns: Vec::new(), key: Vec::new() };
        Self {
            dialect,
            table,
            columns: Vec::new(),
            is_unique: false,
            row: None,
            refuses: Some(why),
        }
    }

    fn may(&self) -> Result<(), Unsaid> {
        self.refuses.as_ref().map_or(Ok(()), |why| Err(Unsaid::because(why.clone())))
    }

    fn column(&self, name: &str) -> Option<(&Column, &Spelt)> {
        let at = self.table.column(name)?;
        Some((&self.table.columns[at], &self.columns[at]))
    }

    /// Columns that can be written, and the values for them.
    fn literals<'c>(&self, cells: &[Cell<'c>]) -> Result<Vec<(&'c str, String)>, Unsaid> {
        let mut literals = Vec::with_capacity(cells.len());
        for (name, value) in cells {
            let Some((column, spelt)) = self.column(name) else { continue };
            if value.is_null() {
                if !column.nullable {
                    return Err(unsaid(name, "the column refuses NULL"));
                }
                literals.push((*name, "NULL".to_owned()));
                continue;
            }
            let literal = spelt.literal(zoned(column.kind, *value));
            literals.push((*name, literal.map_err(|why| unsaid(name, &why))?));
        }
        Ok(literals)
    }

    fn conditions(&self, cells: &[Cell<'_>], in_key: bool) -> Result<Vec<String>, Unsaid> {
        let mut conditions = Vec::with_capacity(cells.len());
        for (name, value) in cells {
            let Some((column, spelt)) = self.column(name) else { continue };
            let quoted = self.dialect.quote(name);
            if value.is_null() {
                conditions.push(format!("{quoted} IS NULL"));
                continue;
            }
            let condition = spelt.is(&quoted, zoned(column.kind, *value), in_key);
            conditions.push(condition.map_err(|why| unsaid(name, &why))?);
        }
        Ok(conditions)
    }

    /// `WHERE` that one row answers to, or none.
    fn guard(&self, seen: &Seen<'_>) -> Result<String, Unsaid> {
        let mut conditions = self.conditions(seen.key, true)?;
        conditions.extend(self.conditions(seen.values, false)?);
        let is_one = self.is_unique
            && !seen.key.is_empty()
            && seen.key.iter().all(|(_, value)| !value.is_null());
        if is_one {
            return Ok(format!("WHERE {}", conditions.join(" AND ")));
        }
        conditions.extend(self.conditions(seen.rest, false)?);
        let all = [seen.key, seen.values, seen.rest].concat();
        let is_seen = |column: &&Column| all.iter().any(|(name, _)| *name == column.name);
        if let Some(unseen) = self.table.columns.iter().find(|column| !is_seen(column)) {
            let why = "nothing makes the row unique, and rows that look alike may differ in a column that \
                       is not compared";
            return Err(unsaid(&unseen.name, why));
        }
        let conditions = conditions.join(" AND ");
        match (self.dialect, self.row) {
            (Dialect::Mysql, _) => Ok(format!("WHERE {conditions} LIMIT 1")),
            (Dialect::Sqlite | Dialect::Postgres, Some(row)) => {
                let table = self.dialect.table(&self.table.name);
                let one = format!("SELECT {row} FROM {table} WHERE {conditions} LIMIT 1");
                Ok(format!("WHERE ({row}) = ({one})"))
            }
            (Dialect::Sqlite | Dialect::Postgres, None) => {
                Err(Unsaid::because("nothing tells one of several rows that look alike"))
            }
        }
    }
}

impl Words for Spelled {
    fn table(&self) -> &Table {
        &self.table
    }

    fn insert(&self, row: &[Cell<'_>]) -> Result<String, Unsaid> {
        self.may()?;
        let literals = self.literals(row)?;
        let is_given = |column: &Column| literals.iter().any(|(name, _)| *name == column.name);
        let lacks = |column: &&Column| !column.nullable && !column.has_default && !is_given(column);
        if let Some(column) = self.table.columns.iter().find(lacks) {
            let why = "the column is not compared, refuses NULL and has no default";
            return Err(unsaid(&column.name, why));
        }
        if literals.is_empty() {
            return Err(Unsaid::because("none of the columns that are compared can be written"));
        }
        let (names, values): (Vec<&str>, Vec<String>) = literals.into_iter().unzip();
        let is_counted =
            |name: &&&str| self.column(name).is_some_and(|(_, spelt)| spelt.counts_always());
        let overriding = if names.iter().any(|name| is_counted(&name)) {
            " OVERRIDING SYSTEM VALUE"
        } else {
            ""
        };
        let names: Vec<String> = names.iter().map(|name| self.dialect.quote(name)).collect();
        Ok(format!(
            "{} {} ({}){overriding} VALUES ({});",
            match self.dialect {
                Dialect::Sqlite => "INSERT OR ABORT INTO",
                Dialect::Postgres | Dialect::Mysql => "INSERT INTO",
            },
            self.dialect.table(&self.table.name),
            names.join(", "),
            values.join(", ")
        ))
    }

    fn update(&self, values: &[Cell<'_>], seen: &Seen<'_>) -> Result<String, Unsaid> {
        self.may()?;
        let literals = self.literals(values)?;
        if literals.is_empty() {
            return Err(Unsaid::because("the engine computes what differs"));
        }
        let is_counted =
            |name: &str| self.column(name).is_some_and(|(_, spelt)| spelt.counts_always());
        if let Some((name, _)) = literals.iter().find(|(name, _)| is_counted(name)) {
            return Err(unsaid(
                name,
                "the engine numbers the column always and lets nobody change it",
            ));
        }
        let is_set = |column: &Column| literals.iter().any(|(name, _)| *name == column.name);
        let mut sets: Vec<String> = literals
            .iter()
            .map(|(name, value)| format!("{} = {value}", self.dialect.quote(name)))
            .collect();
        for (column, spelt) in self.table.columns.iter().zip(&self.columns) {
            if spelt.renews() && !is_set(column) {
                let name = self.dialect.quote(&column.name);
                sets.push(format!("{name} = {name}"));
            }
        }
        Ok(format!(
            "{} {} SET {} {};",
            match self.dialect {
                Dialect::Sqlite => "UPDATE OR ABORT",
                Dialect::Postgres | Dialect::Mysql => "UPDATE",
            },
            self.dialect.table(&self.table.name),
            sets.join(", "),
            self.guard(seen)?
        ))
    }

    fn delete(&self, seen: &Seen<'_>) -> Result<String, Unsaid> {
        self.may()?;
        let table = self.dialect.table(&self.table.name);
        Ok(format!("DELETE FROM {table} {};", self.guard(seen)?))
    }
}

fn unsaid(column: &str, why: &str) -> Unsaid {
    Unsaid { column: Some(column.to_owned()), why: why.to_owned() }
}

/// An instant for a column without zones, which holds it in UTC.
fn zoned(kind: Kind, value: ValueRef<'_>) -> ValueRef<'_> {
    match (kind, value) {
        (Kind::Timestamp, ValueRef::TimestampTz(at)) => ValueRef::Timestamp(at),
        (_, value) => value,
    }
}

/// Clients take a name apart themselves to find where a statement ends.
fn is_plain(dialect: Dialect, name: &str) -> bool {
    !name.chars().any(is_hidden) && (dialect != Dialect::Mysql || !name.contains('\\'))
}

/// What shows nothing, or shows other letters in other places than they stand.
pub fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Text between quotes, in which a quote is doubled.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |digit: u8| char::from(DIGITS[usize::from(digit)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
