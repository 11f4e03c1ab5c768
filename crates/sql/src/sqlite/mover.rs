//! Moves the write-ahead log into the database beside the writer.
//!
//! ```text
//! writer  batch 1 │ batch 2 │ batch 3 │ …     appends to the log
//! mover           └── 1 ──┘ └── 2 ──┘         flushes the log, copies its pages, flushes the database
//! ```
//! Nothing is lost without it: what it did not move, the end of the load does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use whimbrel_endpoint::EndpointError;

use super::lane::Lane;
use super::load;
use super::session::Role;
use crate::Options;

/// A connection that does nothing else.
#[derive(Debug)]
pub(crate) struct Mover {
    lane: Lane,
    under_way: Arc<AtomicBool>,
}

impl Mover {
    /// The connection is opened when it is first needed.
    pub(crate) fn new(path: PathBuf, options: Options) -> Self {
        let lane = Lane::start(path, options, Role::Move);
        Self { lane, under_way: Arc::default() }
    }

    /// Moves what is committed now, unless a move is under way. Returns at once.
    pub(crate) fn start(&self) {
        if self.under_way.swap(true, Ordering::AcqRel) {
            return;
        }
        let under_way = Arc::clone(&self.under_way);
        self.lane.post(move |session| {
            load::move_log(session);
            under_way.store(false, Ordering::Release);
        });
    }

    /// Moves all that is committed, and waits for it: the log can begin anew.
    pub(crate) async fn finish(&self) -> Result<(), EndpointError> {
        self.lane
            .run(|session| {
                load::move_log(session);
                Ok(())
            })
            .await
    }

    /// Waits for a move that is under way, and closes the connection.
    pub(crate) async fn stop(&self) -> Result<(), EndpointError> {
        self.lane
            .run(|session| {
                session.close();
                Ok(())
            })
            .await
    }
}
