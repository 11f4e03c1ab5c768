//! What an engine does for its sources: one snapshot, layouts, rows.

use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, Feed, Finding};

use super::Read;
use super::layout::{Layout, Wanted};
use super::mysql::MysqlEngine;
use super::postgres::PostgresEngine;
use super::sqlite::SqliteEngine;
use crate::shown::Shown;
use crate::{Location, Options};

/// A database and the one state of it that every source sees.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    /// What a table or query holds, and the statement that reads it in a fixed order.
    async fn layout(&self, read: &Read, wanted: &Wanted) -> Result<Layout, EndpointError>;

    /// The name of that state, see [`whimbrel_endpoint::Source::state`].
    async fn state(&self) -> Result<String, EndpointError>;

    /// All rows of a layout, in its order, with all its columns. A very large row comes alone, and
    /// nothing is fetched behind it before it is asked for.
    async fn rows(&self, layout: &Layout) -> Result<Box<dyn Feed>, EndpointError>;

    /// What should be known of reading this.
    async fn inspect(&self, read: &Read) -> Result<Vec<Finding>, EndpointError>;
}

/// Rows in a batch of a feed, and bytes after which it is closed early, by the row that passes them.
pub(super) const BATCH_ROWS: usize = 512;
pub(super) const BATCH_BYTES: usize = 512 << 10;

/// The engine of a place that so many sources read. Nothing is opened yet.
pub(super) fn at(
    location: &Location,
    options: &Options,
    sources: usize,
) -> Result<Arc<dyn Engine>, EndpointError> {
    let named = |shown: &str| Shown::new(shown, options.hides_values);
    match location {
        Location::Sqlite { path, .. } => Ok(Arc::new(SqliteEngine::new(path, options))),
        Location::Postgres { url, shown } => Ok(Arc::new(PostgresEngine::new(url, named(shown))?)),
        Location::Mysql { url, shown } => {
            Ok(Arc::new(MysqlEngine::new(url, named(shown), sources)?))
        }
    }
}
