//! One error for all adapters: what could not be done, of which class, and where.

use std::error::Error as StdError;

/// What an error is, for the decision whether to retry, reject, stop or ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorClass {
    /// The data is at fault: a value, a length, an encoding.
    Data,
    /// A constraint of the target refused a row.
    Constraint,
    /// The same call may succeed later: a lock, a cut connection, a deadlock.
    Transient,
    /// The machine is at fault: disk full, out of memory, permissions.
    System,
    /// What was asked cannot work: wrong path, wrong password, missing table.
    Configuration,
    /// The outcome of a commit is unknown: only the mark can tell.
    Unknown,
    /// Another run has taken over: nothing may be written any more.
    Fenced,
    /// Something changed since it was recorded: a file, a schema, a plan.
    Changed,
}

/// An adapter could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct EndpointError {
    /// What could not be done, with names in backticks and the place last.
    pub what: String,
    /// Of which class it is.
    pub class: ErrorClass,
    /// A code that `explain` knows, as `WB0301`.
    pub code: &'static str,
    /// Why.
    #[source]
    pub why: Option<Box<dyn StdError + Send + Sync>>,
}

impl EndpointError {
    /// An error without a deeper cause.
    pub fn new(class: ErrorClass, code: &'static str, what: impl Into<String>) -> Self {
        Self { what: what.into(), class, code, why: None }
    }

    /// The same with its cause.
    #[must_use]
    pub fn because(mut self, why: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.why = Some(why.into());
        self
    }
}
