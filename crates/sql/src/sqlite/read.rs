//! Reading rows: statements with bound values in, chunks of typed values out.

use std::path::Path;
use std::rc::Rc;

use rusqlite::Connection;
use rusqlite::types::Value as Owned;
use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_model::{Chunk, ChunkBuilder, Kind, Table, Value};

use super::fault;
use super::value::{Bound, Refusal, Scratch, Slot, form, read};
use crate::dialect::{Affinity, Bind, Dialect, Statement};

/// Why a query could not be asked.
pub(crate) enum Trouble {
    /// A value that SQLite cannot compare with.
    Refused(Refusal),
    Engine(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Engine(error)
    }
}

impl Trouble {
    pub(crate) fn told(self, path: &Path, doing: &str) -> EndpointError {
        match self {
            Self::Engine(error) => fault::failed(path, doing, error),
            Self::Refused(refusal) => EndpointError::new(
                ErrorClass::Data,
                refusal.code,
                format!("{doing}: {}", refusal.message),
            ),
        }
    }
}

/// Values in conditions take their natural form; the column's affinity does the rest.
const NATURAL: Slot = Slot { kind: Kind::Any, affinity: Affinity::Blob, bytes: false };

/// All rows of a query, typed by the declared types of its columns.
pub(crate) fn select(connection: &Connection, query: &Statement) -> Result<Chunk, Trouble> {
    let mut statement = connection.prepare_cached(&query.sql)?;
    bind(&mut statement, &query.binds)?;
    let kinds = kinds(&statement);
    let mut chunk = ChunkBuilder::new(kinds.len());
    let mut spelled = String::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        for (index, kind) in kinds.iter().enumerate() {
            chunk.push(read(*kind, row.get_ref(index)?, &mut spelled));
        }
        chunk.end_row();
    }
    drop(rows);
    statement.clear_bindings();
    Ok(chunk.finish())
}

/// Executes a statement; returns how many rows it changed.
pub(crate) fn execute(connection: &Connection, command: &Statement) -> Result<u64, Trouble> {
    let mut statement = connection.prepare_cached(&command.sql)?;
    bind(&mut statement, &command.binds)?;
    let count = statement.raw_execute()?;
    statement.clear_bindings();
    Ok(count as u64)
}

/// The first row of a bound statement that reads all columns of `table`.
pub(crate) fn one(
    statement: &mut rusqlite::Statement<'_>,
    table: &Table,
) -> rusqlite::Result<Option<Vec<Value>>> {
    let mut spelled = String::new();
    let mut rows = statement.raw_query();
    let Some(row) = rows.next()? else { return Ok(None) };
    let values = table.columns.iter().enumerate().map(|(index, column)| {
        row.get_ref(index).map(|stored| read(column.kind, stored, &mut spelled).to_owned())
    });
    values.collect::<rusqlite::Result<Vec<Value>>>().map(Some)
}

fn kinds(statement: &rusqlite::Statement<'_>) -> Vec<Kind> {
    let declared = |column: &rusqlite::Column<'_>| column.decl_type().map(str::to_owned);
    statement
        .columns()
        .iter()
        .map(|column| Dialect::Sqlite.kind_of(&declared(column).unwrap_or_default()))
        .collect()
}

fn bind(statement: &mut rusqlite::Statement<'_>, binds: &[Bind]) -> Result<(), Trouble> {
    let mut scratch = Scratch::new();
    for (index, bind) in binds.iter().enumerate() {
        match bind {
            Bind::One(value) => {
                let form = form(NATURAL, value.as_ref(), &mut scratch).map_err(Trouble::Refused)?;
                statement.raw_bind_parameter(index + 1, Bound(form))?;
            }
            Bind::List(values) => {
                let mut list = Vec::with_capacity(values.len());
                for value in values {
                    let form =
                        form(NATURAL, value.as_ref(), &mut scratch).map_err(Trouble::Refused)?;
                    list.push(Owned::try_from(form).map_err(rusqlite::Error::from)?);
                }
                statement.raw_bind_parameter(index + 1, Rc::new(list))?;
            }
        }
    }
    Ok(())
}
