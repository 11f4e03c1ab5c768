//! What `analyze` and `init` look at: a folder of files, or a database.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, ErrorClass, ShapeColumn, Source};
use whimbrel_model::catalogue::{Catalogue, LeftOut, Rows};
use whimbrel_profile::database;
use whimbrel_profile::inspect::ProposedSource;
use whimbrel_profile::schema::Engine;
use whimbrel_sql::dialect::Dialect;
use whimbrel_sql::{Location, Look, Read, SourceSpec};

use crate::failure::Failure;

/// Where legacy data is.
#[derive(Debug)]
pub(crate) enum Legacy<'a> {
    /// A folder of files.
    Folder(&'a Path),
    /// A database, by its URL: with whatever secrets it takes to get in.
    Database(String),
}

/// The first bytes of every SQLite database.
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

impl<'a> Legacy<'a> {
    /// A URL, or the path of a SQLite file, is a database; anything else is a folder.
    pub(crate) fn of(path: &'a Path) -> Self {
        let scheme = |text: &str| {
            text.split_once(':').is_some_and(|(scheme, _)| Engine::of_scheme(scheme).is_some())
        };
        match path.to_str() {
            Some(text) if scheme(text) => Self::Database(text.to_owned()),
            Some(text) if is_sqlite(path) => Self::Database(format!("sqlite:{text}")),
            Some(_) | None => Self::Folder(path),
        }
    }
}

/// The URL of a database, which may be named by the path of a SQLite file.
pub(crate) fn database_url(said: &str) -> String {
    match Legacy::of(Path::new(said)) {
        Legacy::Database(url) => url,
        Legacy::Folder(_) => said.to_owned(),
    }
}

fn is_sqlite(path: &Path) -> bool {
    let begins = |mut file: File| {
        let mut head = [0; 16];
        file.read_exact(&mut head).is_ok() && head == *SQLITE_MAGIC
    };
    path.is_file() && File::open(path).is_ok_and(begins)
}

/// A table as a source that is read for a profile, and its reader.
pub(crate) type Opened = (ProposedSource, Arc<dyn Source>);

/// The catalogue of a database, and a source for each table whose rows are looked at; relative files
/// start from the working folder. Columns have the kinds that reading gives them; a table that cannot
/// be read is left out.
pub(crate) async fn database(url: &str, look: Look) -> Result<(Catalogue, Vec<Opened>), Failure> {
    let options =
        || whimbrel_sql::Options { base: PathBuf::from("."), ..whimbrel_sql::Options::default() };
    let mut catalogue = whimbrel_sql::catalogue(url, options(), look).await?;
    let specs = database::source_names(&catalogue).into_iter().zip(&catalogue.tables).map(
        |(name, table)| SourceSpec {
            name,
            url: url.to_owned(),
            read: Read::Table(table.name.clone()),
            key: Vec::new(),
        },
    );
    let sources = whimbrel_sql::sources(specs.collect(), options())?;
    let mut opened = Vec::new();
    let mut tables = Vec::new();
    for (mut table, source) in std::mem::take(&mut catalogue.tables).into_iter().zip(sources) {
        match columns(source.as_ref()).await {
            Ok(columns) => {
                for column in &mut table.columns {
                    let read = columns.iter().find(|one| one.name == column.name);
                    column.kind = read.and_then(|one| one.kind).unwrap_or(column.kind);
                }
                if matches!(table.rows, Rows::Exact(_)) {
                    opened.push((database::proposed(source.name(), &table), source));
                }
                tables.push(table);
            }
            Err(error) if error.class == ErrorClass::Configuration => {
                tracing::warn!(table = %table.name, %error, "left out");
                let what = "table that cannot be read";
                catalogue.left_out.push(LeftOut { name: table.name, what });
            }
            Err(error) => return Err(error.into()),
        }
    }
    catalogue.tables = tables;
    Ok((catalogue, opened))
}

async fn columns(source: &dyn Source) -> Result<Vec<ShapeColumn>, EndpointError> {
    let mut columns = Vec::new();
    for partition in source.partitions().await?.partitions {
        columns.extend(source.describe(&partition).await?.columns);
    }
    Ok(columns)
}

/// The words of an engine.
pub(crate) fn dialect(engine: Engine) -> Dialect {
    match engine {
        Engine::Sqlite => Dialect::Sqlite,
        Engine::Postgres => Dialect::Postgres,
        Engine::Mysql => Dialect::Mysql,
    }
}

/// A URL as a plan may say it: as the default of a variable, or the variable alone where the URL
/// holds a secret or a sign that a default cannot.
pub(crate) fn as_variable(variable: &str, url: &str) -> String {
    let shown = Location::parse(url, Path::new(".")).map(|location| location.shown().to_owned());
    let is_server = Engine::of_scheme(url.split_once(':').map_or("", |(scheme, _)| scheme))
        .is_some_and(|engine| engine != Engine::Sqlite);
    let secret = is_server && shown.map_or(true, |shown| shown != url);
    if secret || url.contains(['$', '{', '}']) {
        format!("${{{variable}}}")
    } else {
        format!("${{{variable}:-{url}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_becomes_a_variable() {
        assert_eq!(as_variable("SOURCE", "postgres://me:canary@h/db"), "${SOURCE}");
        assert_eq!(as_variable("SOURCE", "mysql://me@h/db?password=canary"), "${SOURCE}");
        assert_eq!(as_variable("SOURCE", "mysql://me@h/db"), "${SOURCE:-mysql://me@h/db}");
        assert_eq!(as_variable("SOURCE", "sqlite:a.db"), "${SOURCE:-sqlite:a.db}");
        assert_eq!(as_variable("SOURCE", "sqlite:a}.db"), "${SOURCE}");
    }

    #[test]
    fn urls_are_databases_and_paths_are_folders() {
        assert!(matches!(Legacy::of(Path::new("mariadb://h/db")), Legacy::Database(_)));
        assert!(matches!(Legacy::of(Path::new("legacy")), Legacy::Folder(_)));
        assert!(matches!(Legacy::of(Path::new("c:legacy")), Legacy::Folder(_)));
    }
}
