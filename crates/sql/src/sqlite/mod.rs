//! SQLite: one connection that reads what is committed, one that writes, and while loading one that
//! moves the write-ahead log, each on its thread.
//!
//! Reads see what is committed also while a transaction is open (in a journal mode other than WAL
//! they may have to wait for it). Nothing but `prepare_ledger` creates the database.

pub(crate) mod catalogue;
mod deferred;
pub(crate) mod fault;
mod indexes;
pub(crate) mod lane;
mod lease;
mod ledger;
mod load;
mod mover;
mod read;
mod schema;
pub(crate) mod session;
mod txn;
pub(crate) mod value;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use whimbrel_endpoint::{
    EndpointError, ErrorClass, Fence, Finding, LeaseAnswer, LeaseRequest, Needs, Query, Rows,
    SchemaFile, Script, Snapshot, Target, TargetFacts, Txn, Words,
};
use whimbrel_model::Table;

use self::catalogue::Named;
use self::lane::Lane;
use self::mover::Mover;
use self::session::Role;
use self::txn::SqliteTxn;
use crate::dialect::Dialect;
use crate::{Location, Options, codes, keys};

/// A SQLite database as a target.
#[derive(Debug)]
pub struct SqliteTarget {
    path: PathBuf,
    shown: String,
    read: Lane,
    write: Arc<Lane>,
    mover: Arc<Mover>,
    options: Options,
}

impl SqliteTarget {
    pub(crate) fn new(path: PathBuf, shown: String, options: Options) -> Self {
        let read = Lane::start(path.clone(), options.clone(), Role::Read);
        let write = Arc::new(Lane::start(path.clone(), options.clone(), Role::Write));
        let mover = Arc::new(Mover::new(path.clone(), options.clone()));
        Self { path, shown, read, write, mover, options }
    }

    /// Why it cannot be written: the file where it stands, else the folder that is to hold it.
    fn read_only(&self, exists: bool) -> Option<String> {
        let folder = fault::folder_of(&self.path);
        if self.path.is_dir() {
            return Some(format!("it is a folder: `{}`", self.path.display()));
        }
        if !folder.is_dir() {
            return Some(format!("there is no folder `{}`", folder.display()));
        }
        let file = exists.then(|| fault::unwritable(&self.path)).flatten();
        // SQLite keeps its journal beside the database, so the folder counts as well.
        file.or_else(|| {
            let reason = fault::unwritable(folder)?;
            Some(format!("its folder cannot be written: {reason}"))
        })
    }
}

#[async_trait]
impl Target for SqliteTarget {
    async fn facts(&self) -> Result<TargetFacts, EndpointError> {
        let exists = self.path.exists();
        if exists && !self.path.is_dir() {
            // Says so where it is no database.
            self.read.run(|session| session.connection().map(drop)).await?;
        }
        Ok(TargetFacts {
            engine: "sqlite",
            version: rusqlite::version().to_owned(),
            location: self.shown.clone(),
            exists,
            read_only: self.read_only(exists),
            free_bytes: free_bytes(fault::folder_of(&self.path)),
            size_bytes: std::fs::metadata(&self.path).ok().map(|facts| facts.len()),
        })
    }

    async fn describe(&self, table: &str) -> Result<Option<Table>, EndpointError> {
        let table = table.to_owned();
        self.read
            .run(move |session| {
                let Some(connection) = session.existing()? else { return Ok(None) };
                let named = catalogue::named(connection, &table)
                    .map_err(|error| session.failed("read the catalogue", error))?;
                match named {
                    Named::Nothing => Ok(None),
                    Named::Table(table) => Ok(Some(table)),
                    Named::Else(word) => Err(EndpointError::new(
                        ErrorClass::Configuration,
                        codes::NOT_A_TABLE,
                        format!("rows cannot be loaded into a {word}: `{table}`"),
                    )),
                }
            })
            .await
    }

    async fn describe_schema(&self, files: &[SchemaFile]) -> Result<Vec<Table>, EndpointError> {
        let files = files.to_vec();
        self.read.run(move |_| schema::scratch(&files)).await
    }

    fn look_over(&self, script: &Script) -> Result<(), EndpointError> {
        schema::look_over(script)
    }

    async fn prepare_ledger(&self) -> Result<(), EndpointError> {
        self.write.run(ledger::prepare).await
    }

    async fn has_ledger(&self) -> Result<bool, EndpointError> {
        self.read
            .run(|session| {
                let Some(connection) = session.existing()? else { return Ok(false) };
                ledger::stands(connection)
                    .map_err(|error| session.failed("read the ledger's version", error))
            })
            .await
    }

    async fn select(&self, query: &Query) -> Result<Rows, EndpointError> {
        let statement = Dialect::Sqlite.select(query, &|_| false);
        self.read
            .run(move |session| {
                let connection = session.connection()?;
                read::select(connection, &statement)
                    .map_err(|trouble| trouble.told(session.path(), "read rows"))
            })
            .await
    }

    /// In the middle of the own transaction a renewal is part of it: nobody else can take over
    /// while it holds SQLite's write lock.
    async fn lease(&self, request: &LeaseRequest) -> Result<LeaseAnswer, EndpointError> {
        let request = request.clone();
        self.write
            .run(move |session| {
                let path = session.path().to_owned();
                if session.is_open() && request.renew.is_some() {
                    return lease::ask(session.connection()?, &request, &path);
                }
                session.atomically("ask for the right to write", |connection| {
                    lease::ask(connection, &request, &path)
                })
            })
            .await
    }

    async fn release(&self, fence: Fence) -> Result<(), EndpointError> {
        self.write
            .run(move |session| {
                let path = session.path().to_owned();
                session.atomically("give back the right to write", |connection| {
                    lease::release(connection, fence, &path)
                })
            })
            .await
    }

    async fn begin(&self, fence: Fence) -> Result<Box<dyn Txn>, EndpointError> {
        let number = self.write.run(move |session| session.begin(fence)).await?;
        Ok(Box::new(SqliteTxn::new(Arc::clone(&self.write), Arc::clone(&self.mover), number)))
    }

    async fn inspect(&self, needs: &Needs) -> Result<Vec<Finding>, EndpointError> {
        let needs = needs.clone();
        self.read
            .run(move |session| {
                let of = |connection: &Connection, tables: &[String]| {
                    let each = tables.iter().map(|table| {
                        let is_unique = |key: &[&str]| catalogue::is_unique(connection, table, key);
                        let mut findings = deferred::inspect(connection, table)?;
                        findings.extend(keys::inspect(&needs, table, is_unique));
                        Ok(findings)
                    });
                    Ok(each.collect::<rusqlite::Result<Vec<_>>>()?.concat())
                };
                let mut findings =
                    schema::in_scratch(&needs.schema, |scratch| of(scratch, &needs.creates))?;
                if let Some(connection) = session.existing()? {
                    let found = of(connection, &needs.tables);
                    findings.extend(
                        found.map_err(|error| session.failed("read the catalogue", error))?,
                    );
                }
                Ok(findings)
            })
            .await
    }

    fn snapshot(&self) -> Result<Arc<dyn Snapshot>, EndpointError> {
        let (path, shown) = (self.path.clone(), self.shown.clone());
        crate::source::snapshot::at(&Location::Sqlite { path, shown }, &self.options)
    }

    async fn words(
        &self,
        table: &str,
        key: &[&str],
    ) -> Result<Option<Box<dyn Words>>, EndpointError> {
        let table = table.to_owned();
        let key: Vec<String> = key.iter().map(|&name| name.to_owned()).collect();
        self.read
            .run(move |session| {
                let Some(connection) = session.existing()? else { return Ok(None) };
                let key: Vec<&str> = key.iter().map(String::as_str).collect();
                let words = catalogue::spelled(connection, &table, &key);
                let words = words.map_err(|error| session.failed("read the catalogue", error))?;
                Ok(words.map(|words| Box::new(words) as Box<dyn Words>))
            })
            .await
    }

    async fn enter_load(&self) -> Result<(), EndpointError> {
        self.write.run(load::enter).await
    }

    async fn leave_load(&self) -> Result<(), EndpointError> {
        // Other connections, even idle ones, would keep the journal mode from changing.
        self.mover.stop().await?;
        self.read
            .run(|session| {
                session.close();
                Ok(())
            })
            .await?;
        self.write.run(load::leave).await
    }
}

#[cfg(unix)]
fn free_bytes(folder: &std::path::Path) -> Option<u64> {
    let facts = rustix::fs::statvfs(folder).ok()?;
    facts.f_bavail.checked_mul(facts.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &std::path::Path) -> Option<u64> {
    None
}
