//! Foreign keys that SQLite looks at with the commit only. It has no way to have them looked at
//! earlier: parents in other tables are looked for with each row; references of a table to itself
//! stay, and what the commit refuses is looked for then.

use rusqlite::Connection;
use whimbrel_endpoint::{EndpointError, Finding, RowFate};
use whimbrel_model::{Row, Table, ValueRef};

use super::catalogue::{self, Facts, ForeignKey};
use super::fault;
use super::session::Open;
use super::txn::{Trouble, bind};
use super::value::{Scratch, Slot};
use crate::codes;
use crate::dialect::Dialect;
use crate::waiting::{OwnKey, Pending, finding};

const WORDS: Dialect = Dialect::Sqlite;

/// How the parent of a row is found by one foreign key.
#[derive(Debug)]
pub(crate) struct Parent {
    pub(crate) name: String,
    sql: String,
    /// Of the row.
    columns: Vec<usize>,
}

impl Parent {
    /// `None` where rows leave columns of the key out.
    pub(crate) fn of(table: &Table, key: &ForeignKey) -> Option<Self> {
        let columns: Option<Vec<usize>> =
            key.columns.iter().map(|name| column(table, name)).collect();
        let sql = query(&key.parent, &key.parent_columns);
        Some(Self { name: key.name(), sql, columns: columns? })
    }

    /// Whether the row has its parent, or refers to none.
    pub(crate) fn stands(
        &self,
        connection: &Connection,
        slots: &[Slot],
        row: Row<'_>,
    ) -> rusqlite::Result<bool> {
        let values = self.columns.iter().map(|&index| (row.get(index), slots[index]));
        has_row(connection, &self.sql, values)
    }
}

fn query(table: &str, columns: &[String]) -> String {
    let terms: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{} = ?{}", WORDS.quote(name), index + 1))
        .collect();
    format!("SELECT 1 FROM {} WHERE {}", WORDS.quote(table), terms.join(" AND "))
}

/// True also where a value is NULL, or one that its column cannot hold.
fn has_row<'v>(
    connection: &Connection,
    sql: &str,
    values: impl Iterator<Item = (ValueRef<'v>, Slot)>,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut scratch = Scratch::new();
    for (place, (value, slot)) in values.enumerate() {
        if value.is_null() {
            return Ok(true);
        }
        match bind(&mut statement, place, slot, value, &mut scratch) {
            Ok(()) => {}
            Err(Trouble::Refused(_)) => return Ok(true),
            Err(Trouble::Engine(error)) => return Err(error),
        }
    }
    let found = statement.raw_query().next()?.is_some();
    statement.clear_bindings();
    Ok(found)
}

/// SQLite compares names without regard to case.
fn column(table: &Table, name: &str) -> Option<usize> {
    table.columns.iter().position(|column| column.name.eq_ignore_ascii_case(name))
}

/// The keys to other tables that wait for the commit.
pub(crate) fn parents(table: &Table, facts: &Facts) -> Vec<Parent> {
    let others = facts.deferred.iter().filter(|key| !key.is_own);
    others.filter_map(|key| Parent::of(table, key)).collect()
}

/// The keys to the table itself that do.
pub(crate) fn own_keys(table: &Table, facts: &Facts) -> Vec<OwnKey> {
    let spelled = |names: &[String]| -> Vec<String> {
        let own = |name| column(table, name).map(|index| &table.columns[index].name);
        names.iter().map(|name| own(name).unwrap_or(name).clone()).collect()
    };
    let own = facts.deferred.iter().filter(|key| key.is_own);
    own.map(|key| OwnKey {
        name: key.name(),
        columns: spelled(&key.columns),
        parent_columns: spelled(&key.parent_columns),
    })
    .collect()
}

/// What should be known of a table before rows are written to it.
pub(crate) fn inspect(connection: &Connection, table: &str) -> rusqlite::Result<Vec<Finding>> {
    let own = catalogue::foreign_keys(connection, table)?;
    let own = own.iter().filter(|key| key.is_own && key.is_deferred);
    Ok(own.map(|key| finding(table, &key.name())).collect())
}

/// Looks for the rows that the commit was refused for. The error that sends the batch back; `None`
/// where there are none that can be told apart.
pub(crate) fn learn(
    connection: &Connection,
    open: &mut Open,
    error: &rusqlite::Error,
) -> rusqlite::Result<Option<EndpointError>> {
    let mut learnt = None;
    for pending in open.waiting.all() {
        let facts = Facts::of(connection, &pending.table.name)?;
        let orphans = orphans(connection, &facts, pending)?;
        let fate = RowFate::Refused {
            code: codes::FOREIGN_KEY,
            subject: Some(pending.key.name.clone()),
            message: fault::words(error),
        };
        learnt = open.learnt.learn(pending, &orphans, fate).or(learnt);
    }
    Ok(learnt)
}

/// Which of the rows that are referred to are not there.
fn orphans(
    connection: &Connection,
    facts: &Facts,
    pending: &Pending,
) -> rusqlite::Result<Vec<usize>> {
    let key = &pending.key;
    let slot = |name: &String| {
        let column = &pending.table.columns[column(&pending.table, name)?];
        facts.slot(&column.name, column.kind)
    };
    let Some(slots) = key.columns.iter().map(slot).collect::<Option<Vec<Slot>>>() else {
        return Ok(Vec::new());
    };
    let sql = query(&pending.table.name, &key.parent_columns);
    let mut orphans = Vec::new();
    for (at, values) in pending.referred_to().into_iter().enumerate() {
        let values = values.iter().zip(&slots).map(|(value, slot)| (value.as_ref(), *slot));
        if !has_row(connection, &sql, values)? {
            orphans.push(at);
        }
    }
    Ok(orphans)
}
