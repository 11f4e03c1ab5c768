//! What a database holds: tables, columns, keys, references and what is odd about the rows.
//!
//! ```text
//! url ─▶ catalogue of the engine ─▶ COUNT, aggregates and orphans by SQL ─▶ Catalogue, parents first
//! ```
//! Reads in one snapshot and changes nothing. Values never leave the engine: what comes back are
//! counts and lengths. The engine's own schemas and Whimbrel's ledger are left out.

mod guess;
mod look;
mod mysql;
mod postgres;
mod sqlite;

pub(crate) use look::without_parents;

use std::time::Duration;

use whimbrel_endpoint::EndpointError;
use whimbrel_model::catalogue::{Catalogue, Reference, TableEntry};

use crate::dialect::Dialect;
use crate::{Location, Options};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(15);

/// How closely a database is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// At what is declared; how many rows a table has is what its planner believes, or 0.
    Declarations,
    /// Also at every row.
    Rows {
        /// Of tables that the planner believes to have more rows than this, its estimate is taken,
        /// and their rows are not looked at; `None`: every row is.
        estimate_above: Option<u64>,
    },
}

impl Default for Look {
    fn default() -> Self {
        Self::Rows { estimate_above: None }
    }
}

impl Look {
    /// The number of rows to be taken without looking at them, where the planner believes in so many.
    fn taken(self, estimate: impl FnOnce() -> Option<u64>) -> Option<u64> {
        match self {
            Self::Declarations => Some(estimate().unwrap_or(0)),
            Self::Rows { estimate_above: None } => None,
            Self::Rows { estimate_above: Some(above) } => {
                estimate().filter(|estimate| *estimate > above)
            }
        }
    }
}

/// The tables of the database that `url` names, parents first.
///
/// A URL that is not understood has class `Configuration` and code `WB0400`.
pub async fn catalogue(
    url: &str,
    options: Options,
    look: Look,
) -> Result<Catalogue, EndpointError> {
    at(Location::parse(url, &options.base)?, options, look).await
}

pub(crate) async fn at(
    location: Location,
    options: Options,
    look: Look,
) -> Result<Catalogue, EndpointError> {
    let mut catalogue = match location {
        Location::Sqlite { path, shown } => sqlite::read(path, shown, options, look).await?,
        Location::Postgres { url, shown } => postgres::read(&url, shown, look).await?,
        Location::Mysql { url, shown } => mysql::read(&url, shown, look).await?,
    };
    catalogue.arrange();
    Ok(catalogue)
}

/// Spells columns in references as their tables do: engines compare names by other rules than we.
fn spell(tables: &mut [TableEntry]) {
    let known: Vec<(String, Vec<String>)> = tables
        .iter()
        .map(|table| {
            (table.name.clone(), table.columns.iter().map(|column| column.name.clone()).collect())
        })
        .collect();
    let right = |table: &str, names: &mut Vec<String>| {
        let Some((_, columns)) = known.iter().find(|(name, _)| name == table) else { return };
        for name in names {
            let same = columns.iter().find(|column| column.eq_ignore_ascii_case(name));
            same.into_iter().for_each(|column| name.clone_from(column));
        }
    };
    for table in tables {
        for reference in &mut table.references {
            right(&table.name, &mut reference.columns);
            right(&reference.parent, &mut reference.parent_columns);
        }
    }
}

/// Adds to every table the references that its columns' names suggest.
fn suggest(dialect: Dialect, tables: &mut [TableEntry]) {
    let suggested: Vec<Vec<Reference>> =
        tables.iter().map(|table| guess::references(dialect, table, tables)).collect();
    for (table, suggested) in tables.iter_mut().zip(suggested) {
        table.references.extend(suggested);
    }
}
