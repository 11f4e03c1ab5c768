//! MariaDB and MySQL as a target: one session that reads what is committed, one that writes, one
//! for the right to write, and while definitions run one for them.
//!
//! Every session reads what is committed at each statement, in UTC and in strict mode; what strict
//! mode would still bend is refused before it is sent ([`encode`]). Nothing but [`Target::prepare_ledger`]
//! and a transaction changes the database; `describe_schema` makes one of its own ([`scratch`]).

mod catalogue;
pub(crate) mod decode;
mod definition;
pub(crate) mod encode;
pub(crate) mod fault;
mod holders;
mod indexes;
mod inspect;
mod lane;
mod lease;
mod ledger;
mod read;
mod scratch;
mod script;
pub(crate) mod session;
mod trace;
mod txn;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use whimbrel_endpoint::{
    EndpointError, ErrorClass, Fence, Finding, LeaseAnswer, LeaseRequest, Needs, Pressure, Query,
    Rows, SchemaFile, Script, Snapshot, Target, TargetFacts, Txn, Words,
};
use whimbrel_model::Table;

use self::catalogue::{Facts, Named};
use self::lane::Lane;
use self::session::{Link, Place, none};
use self::txn::MysqlTxn;
use crate::dialect::Dialect;
use crate::shown::Shown;
use crate::words::Spelled;
use crate::{Location, Options, keys};

/// Names the database; connects with the first use.
#[allow(clippy::unused_async)] // so that an engine may connect here
pub(crate) async fn open(
    url: &str,
    shown: &str,
    options: Options,
) -> Result<Box<dyn Target>, EndpointError> {
    let place = Arc::new(Place::new(url, Shown::new(shown, options.hides_values), options.busy)?);
    let lane = Arc::new(Lane::new(Arc::clone(&place)));
    let location = Location::Mysql { url: url.to_owned(), shown: shown.to_owned() };
    let lease = Link::new(Arc::clone(&place));
    let tried = Mutex::default();
    Ok(Box::new(MysqlTarget { place, lane, lease, location, options, tried }))
}

/// A database of a MariaDB or MySQL server as a target.
#[derive(Debug)]
struct MysqlTarget {
    place: Arc<Place>,
    lane: Arc<Lane>,
    lease: Link,
    location: Location,
    options: Options,
    tried: Mutex<Tried>,
}

/// What schema files were found to create, so that they need not be tried twice.
#[derive(Debug, Default)]
struct Tried {
    files: Vec<SchemaFile>,
    tables: Vec<Facts>,
}

impl MysqlTarget {
    /// Set whole, so that it is whole after a panic elsewhere too.
    fn tried(&self) -> MutexGuard<'_, Tried> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &str, error: sqlx::Error) -> EndpointError {
        self.place.failed(doing, error)
    }
}

#[async_trait]
impl Target for MysqlTarget {
    async fn facts(&self) -> Result<TargetFacts, EndpointError> {
        let mut session = self.lane.read.lend().await?;
        let failed = |error| self.failed("look at the server", error);
        let size = session
            .number(
                "SELECT CAST(COALESCE(SUM(data_length + index_length), 0) AS UNSIGNED) \
                 FROM information_schema.tables WHERE table_schema = DATABASE()",
                none(),
            )
            .await
            .map_err(failed)?;
        Ok(TargetFacts {
            engine: "mysql",
            version: session.server.version.clone(),
            location: self.place.shown.to_string(),
            exists: true,
            read_only: inspect::read_only(&mut session).await.map_err(failed)?,
            free_bytes: None,
            size_bytes: size.and_then(|size| u64::try_from(size).ok()),
        })
    }

    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError> {
        let mut session = self.lane.read.lend().await?;
        let named = catalogue::named(&mut session, table).await;
        match named.map_err(|error| self.failed("read the catalogue", error))? {
            Named::Nothing => Ok(None),
            Named::Table(facts) => Ok(Some(facts.table())),
            Named::Else(word) => Err(catalogue::not_a_table(table, &word)),
        }
    }

    async fn describe_schema(&self, files: &[SchemaFile]) -> Result<Vec<Table>, EndpointError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let tables = scratch::tables(&self.place, files).await?;
        let described = tables.iter().map(Facts::table).collect();
        *self.tried() = Tried { files: files.to_vec(), tables };
        Ok(described)
    }

    fn look_over(&self, script: &Script) -> Result<(), EndpointError> {
        definition::look_over(script)
    }

    async fn prepare_ledger(&self) -> Result<(), EndpointError> {
        let mut session = self.lease.lend().await?;
        self.lane.forget();
        ledger::prepare(&mut session, &self.place).await
    }

    async fn has_ledger(&self) -> Result<bool, EndpointError> {
        let mut session = self.lane.read.lend().await?;
        let stands = ledger::stands(&mut session).await;
        stands.map_err(|error| self.failed("read the ledger's version", error))
    }

    async fn select(&self, query: &Query) -> Result<Rows, EndpointError> {
        let mut session = self.lane.read.lend().await?;
        let facts = self.lane.facts(&mut session, &query.table).await?;
        let outcome = read::select(&mut session, &facts, query, &self.place).await;
        if outcome.is_err() {
            // A table may have changed since it was looked at.
            self.lane.forget();
        }
        outcome
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError> {
        if request.renew.is_none() && self.lane.is_open() {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                whimbrel_endpoint::codes::TRANSACTION,
                "the right to write was asked for in the middle of a transaction",
            ));
        }
        let mut session = self.lease.lend().await?;
        lease::ask(&mut session, request, &self.place).await
    }

    async fn release(&self, fence: Fence) -> Result<(), EndpointError> {
        let mut session = self.lease.lend().await?;
        lease::release(&mut session, fence, &self.place).await
    }

    async fn begin(&self, fence: Fence) -> Result<Box<dyn Txn>, EndpointError> {
        Ok(Box::new(MysqlTxn::new(self.lane.begin().await?, fence)))
    }

    async fn inspect(&self, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
        let mut session = self.lane.read.lend().await?;
        let found = inspect::inspect(&mut session, needs).await;
        let mut found = found.map_err(|error| self.failed("inspect the target", error))?;
        if !needs.schema.is_empty() && needs.creates.iter().any(|it| needs.keys.contains_key(it)) {
            if self.tried().files != needs.schema {
                self.describe_schema(&needs.schema).await?;
            }
            for facts in &self.tried().tables {
                if needs.creates.contains(&facts.name) {
                    let is_unique = |key: &[&str]| facts.unique_by(key).is_some();
                    found.extend(keys::inspect(needs, &facts.name, is_unique));
                }
            }
        }
        Ok(found)
    }

    async fn pressure(&self) -> Result<Pressure, EndpointError> {
        let mut session = self.lane.read.lend().await?;
        let found = inspect::pressure(&mut session).await;
        found.map_err(|error| self.failed("look at the server's load", error))
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, EndpointError> {
        crate::source::snapshot::at(&self.location, &self.options)
    }

    async fn words(
        &self,
        table: &str,
        key: &[&str],
    ) -> Result<Option<Box<dyn Words>>, EndpointError> {
        let mut session = self.lane.read.lend().await?;
        let named = catalogue::named(&mut session, table).await;
        Ok(match named.map_err(|error| self.failed("read the catalogue", error))? {
            Named::Nothing => None,
            Named::Table(facts) => Some(Box::new(facts.words(key))),
            Named::Else(word) => {
                Some(Box::new(Spelled::refused(Dialect::Mysql, table, format!("it is a {word}"))))
            }
        })
    }

    fn rows_together(&self) -> usize {
        6_144
    }

    /// InnoDB flushes each commit as the server is set; that is the operator's to change.
    async fn enter_load(&self) -> Result<(), EndpointError> {
        Ok(())
    }

    async fn leave_load(&self) -> Result<(), EndpointError> {
        Ok(())
    }
}
