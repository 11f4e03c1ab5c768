//! A connection on its thread: opened late, set up once, and the one transaction on it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use whimbrel_endpoint::{EndpointError, ErrorClass, Fence};

use super::catalogue::Facts;
use super::fault;
use super::txn::Insertion;
use crate::waiting::{Learnt, Waiting};
use crate::{Options, codes};

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    /// Reads what is committed; never writes.
    Read,
    /// Writes, one transaction at a time.
    Write,
    /// Moves the write-ahead log into the database while the other two go on.
    Move,
}

/// A connection and its transaction.
#[derive(Debug)]
pub(crate) struct Session {
    path: PathBuf,
    options: Options,
    role: Role,
    connection: Option<Connection>,
    open: Option<Open>,
    begun: u64,
    /// Rows that the last commit was refused for.
    learnt: Learnt,
}

/// The transaction that is open.
#[derive(Debug)]
pub(crate) struct Open {
    number: u64,
    pub(crate) fence: Fence,
    /// What is known of the tables written to; a schema change in the transaction forgets it.
    pub(crate) tables: HashMap<String, Arc<Facts>>,
    /// How rows go into them; forgotten alike.
    pub(crate) insertions: Vec<Arc<Insertion>>,
    /// Rows of tables that refer to themselves by a key that waits for the commit.
    pub(crate) waiting: Waiting,
    pub(crate) learnt: Learnt,
}

impl Open {
    /// A schema changes: nothing that is known holds any longer.
    pub(crate) fn forget(&mut self) {
        self.tables.clear();
        self.insertions.clear();
    }
}

impl Session {
    pub(crate) fn new(path: PathBuf, options: Options, role: Role) -> Self {
        Self {
            path,
            options,
            role,
            connection: None,
            open: None,
            begun: 0,
            learnt: Learnt::default(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    /// An error of SQLite, in this database's name.
    pub(crate) fn failed(&self, doing: &str, error: rusqlite::Error) -> EndpointError {
        fault::failed(&self.path, doing, error)
    }

    /// The connection, or `None` where the database does not exist.
    pub(crate) fn existing(&mut self) -> Result<Option<&Connection>, EndpointError> {
        if self.connection.is_none() && !self.stands()? {
            return Ok(None);
        }
        self.connect(OpenFlags::empty()).map(Some)
    }

    /// The connection; where the database does not exist, an error that says so.
    pub(crate) fn connection(&mut self) -> Result<&Connection, EndpointError> {
        if self.connection.is_none() && !self.stands()? {
            return Err(EndpointError::new(
                ErrorClass::Configuration,
                codes::NO_DATABASE,
                format!("the database does not exist: `{}`", self.path.display()),
            ));
        }
        self.connect(OpenFlags::empty())
    }

    /// The connection; the database is created if it does not exist.
    pub(crate) fn created(&mut self) -> Result<&Connection, EndpointError> {
        self.connect(OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// Closes the connection; the next use opens it again.
    pub(crate) fn close(&mut self) {
        self.connection = None;
    }

    fn stands(&self) -> Result<bool, EndpointError> {
        self.path.try_exists().map_err(|error| {
            EndpointError::new(
                ErrorClass::Configuration,
                codes::CANNOT_OPEN,
                format!("look for the database: `{}`", self.path.display()),
            )
            .because(error)
        })
    }

    fn connect(&mut self, create: OpenFlags) -> Result<&Connection, EndpointError> {
        if self.connection.is_none() {
            let connection = self.opened(create)?;
            self.connection = Some(connection);
        }
        Ok(self.connection.as_ref().expect("it was opened above"))
    }

    fn opened(&self, create: OpenFlags) -> Result<Connection, EndpointError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | create;
        let set_up = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            connection.busy_timeout(self.options.busy)?;
            connection.set_prepared_statement_cache_capacity(64);
            rusqlite::vtab::array::load_module(&connection)?;
            connection.pragma_update(None, "foreign_keys", true)?;
            connection.pragma_update(None, "query_only", self.role != Role::Write)?;
            // The first look at the file: here it shows whether it is a database at all.
            connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
            Ok(connection)
        };
        set_up().map_err(|error| self.failed("open the database", error))
    }

    /// Begins the transaction, taking the write lock at once.
    pub(crate) fn begin(&mut self, fence: Fence) -> Result<u64, EndpointError> {
        self.idle("begin a transaction")?;
        self.connection()?;
        let connection = self.connection.as_ref().expect("it was opened above");
        connection
            .execute_batch("BEGIN IMMEDIATE")
            .map_err(|error| self.failed("begin a transaction", error))?;
        self.begun += 1;
        self.open = Some(Open {
            number: self.begun,
            fence,
            tables: HashMap::new(),
            insertions: Vec::new(),
            waiting: Waiting::default(),
            learnt: std::mem::take(&mut self.learnt),
        });
        Ok(self.begun)
    }

    /// An error unless no transaction is open.
    pub(crate) fn idle(&self, doing: &str) -> Result<(), EndpointError> {
        match &self.open {
            None => Ok(()),
            Some(_) => Err(EndpointError::new(
                ErrorClass::Configuration,
                whimbrel_endpoint::codes::TRANSACTION,
                format!("{doing}: a transaction is open"),
            )),
        }
    }

    /// True while the transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Runs `work` in the transaction `number`, and notices where the engine undid it meanwhile.
    pub(crate) fn within<T>(
        &mut self,
        number: u64,
        work: impl FnOnce(&Connection, &mut Open, &Path) -> Result<T, EndpointError>,
    ) -> Result<T, EndpointError> {
        let (Some(connection), Some(open)) = (&self.connection, &mut self.open) else {
            return Err(ended());
        };
        if open.number != number {
            return Err(ended());
        }
        let outcome = work(connection, open, &self.path);
        if !connection.is_autocommit() {
            return outcome;
        }
        self.open = None;
        Err(match outcome {
            Err(error) if error.class == ErrorClass::System => error,
            Err(error) => rolled_back().because(error),
            Ok(_) => rolled_back(),
        })
    }

    /// Ends the transaction `number` by `work`, which leaves it undone where it fails.
    pub(crate) fn end(
        &mut self,
        number: u64,
        work: impl FnOnce(&Connection, &mut Open, &Path) -> Result<(), EndpointError>,
    ) -> Result<(), EndpointError> {
        self.within(number, |_, _, _| Ok(()))?;
        let mut open = self.open.take().expect("the transaction is open, as was just checked");
        let connection = self.connection.as_ref().expect("an open transaction has a connection");
        let outcome = work(connection, &mut open, &self.path);
        self.learnt = open.learnt;
        if !connection.is_autocommit() {
            connection
                .execute_batch("ROLLBACK")
                .map_err(|error| self.failed("undo the transaction", error))?;
        }
        outcome
    }

    /// Runs `work` in a short transaction of its own: all of it, or nothing.
    pub(crate) fn atomically<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&Connection) -> Result<T, EndpointError>,
    ) -> Result<T, EndpointError> {
        self.idle(doing)?;
        self.connection()?;
        let connection = self.connection.as_mut().expect("it was opened above");
        let path = &self.path;
        let failed = |error| fault::failed(path, doing, error);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let outcome = work(&transaction)?;
        transaction.commit().map_err(failed)?;
        Ok(outcome)
    }
}

fn ended() -> EndpointError {
    EndpointError::new(
        ErrorClass::Configuration,
        whimbrel_endpoint::codes::TRANSACTION,
        "the transaction has ended",
    )
}

fn rolled_back() -> EndpointError {
    EndpointError::new(
        ErrorClass::Constraint,
        codes::ROLLED_BACK,
        "the engine undid the whole transaction",
    )
}
