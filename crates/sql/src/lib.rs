//! Databases as targets. The only door through which SQL reaches a driver.
//!
//! ```text
//! open(url) ─▶ Target ─┬─ read lane  (thread, connection): describe, select, facts
//!                      ├─ write lane (thread, connection): ledger, lease, the one transaction
//!                      └─ mover      (thread, connection): the write-ahead log, while loading
//! ```
//! [`dialect`] has the words (pure), [`sqlite`] the wire. This crate knows neither plans nor
//! transforms, and decides nothing: what the engine refuses becomes a fate or a classified error.

pub mod begun;
mod catalogue;
pub mod codes;
pub mod dialect;
mod keys;
mod mysql;
mod parameters;
mod postgres;
mod right;
mod shown;
mod single;
mod sockets;
mod source;
pub mod sqlite;
mod steps;
mod tls;
mod url;
mod waiting;
mod words;

use std::path::PathBuf;
use std::time::Duration;

use whimbrel_endpoint::{EndpointError, Target};

pub use catalogue::{Look, catalogue};
pub use codes::{CODES, hint};
pub use source::{Read, SourceSpec, sources};
pub use url::Location;
pub use words::{Frame, frame, is_hidden};

/// How to connect.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder that relative paths in a URL start from: the plan's.
    pub base: PathBuf,
    /// How long to wait for another process's lock.
    pub busy: Duration,
    /// Bytes of pages that the writing connection keeps in memory while loading.
    pub cache_bytes: usize,
    /// What the engine says of a statement is left out where it may quote a value: columns of the
    /// plan are `sensitive`. What it says of a row is told: whoever asked knows its columns.
    pub hides_values: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            base: PathBuf::from("."),
            busy: Duration::from_secs(2),
            cache_bytes: 24 << 20,
            hides_values: false,
        }
    }
}

/// Opens the target that `url` names. Nothing is created and nothing is read yet: a database that
/// does not exist comes into being with [`Target::prepare_ledger`].
///
/// A URL that is not understood has class `Configuration` and code `WB0400`.
pub async fn open(url: &str, options: Options) -> Result<Box<dyn Target>, EndpointError> {
    match Location::parse(url, &options.base)? {
        Location::Sqlite { path, shown } => {
            Ok(Box::new(sqlite::SqliteTarget::new(path, shown, options)))
        }
        Location::Postgres { url, shown } => postgres::open(&url, &shown, options).await,
        Location::Mysql { url, shown } => mysql::open(&url, &shown, options).await,
    }
}
