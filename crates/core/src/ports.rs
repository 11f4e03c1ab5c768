//! What a run needs from outside: endpoints, a clock, a place for long rejects, and who it is.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, Holder, Source, Target};
use whimbrel_model::DateTime;
use whimbrel_validator::rules::Commands;

use crate::cancel::Cancel;
use crate::event::Emitter;

/// Everything outside of a run.
#[derive(Clone)]
pub struct Ports {
    /// The database that is loaded into.
    pub target: Arc<dyn Target>,
    /// The plan's sources, by name.
    pub sources: BTreeMap<String, Arc<dyn Source>>,
    /// What answers the SQL of checks of sources, by the names of the checks.
    pub asked: BTreeMap<String, Arc<dyn Source>>,
    /// What runs the programs of checks.
    pub commands: Arc<dyn Commands>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where bytes of rejects go that are too long for the ledger.
    pub spill: Arc<dyn Spill>,
    /// A folder for files without names, of rows that are sorted.
    pub scratch: PathBuf,
    /// The folder of lineages, one below it for each run that was verified so.
    pub lineage: PathBuf,
    /// Whether another process still lives.
    pub liveness: Arc<dyn Liveness>,
    /// Where events go.
    pub events: Emitter,
    /// Whether to stop.
    pub cancel: Cancel,
    /// Who runs.
    pub identity: Identity,
}

/// Who runs.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Process, for the lease; its `run` is filled in by the run.
    pub holder: Holder,
    /// User and host, for people.
    pub actor: String,
    /// Version of the program.
    pub tool_version: String,
}

/// Time, so that tests can set it.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> DateTime;

    /// Since some moment in the past; never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns after that time.
    async fn sleep(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// RFC 3339 text of an instant, in UTC.
pub fn rfc3339(instant: DateTime) -> String {
    format!("{instant}Z")
}

/// A place for bytes of rejects that are too long for the ledger.
pub trait Spill: Send + Sync {
    /// Keeps the bytes durably before it returns; returns the name they are found by. The same
    /// (run, step, unit) gets the same name.
    fn keep(&self, run: &str, step: u64, unit: u64, bytes: &[u8]) -> Result<String, EndpointError>;
}

/// Whether another process still lives.
pub trait Liveness: Send + Sync {
    /// True where the holder's process surely is dead: same host, and its pid is free, of another
    /// boot, or of a process that started later.
    fn is_dead(&self, holder: &Holder) -> bool;
}
