//! Work beside whoever waits for it: a feed whose next pieces are made ahead, and a sort of rows that still come.
//!
//! ```text
//! feed ─▶ task ─▶ a few pieces ─▶ next()          push() ─▶ a few pieces ─▶ task: sorted
//! ```

use std::panic;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use whimbrel_endpoint::{EndpointError, Feed};
use whimbrel_model::Chunk;

use crate::sorter::{Sorted, Sorter};

/// Pieces that wait.
const PIECES: usize = 4;

/// A feed that is read ahead in a task of its own.
pub(crate) struct Ahead {
    pieces: mpsc::Receiver<Result<Chunk, EndpointError>>,
    /// A set ends its task where it is dropped.
    task: JoinSet<()>,
}

impl Ahead {
    pub(crate) fn of(mut feed: impl Feed + 'static) -> Self {
        let (send, pieces) = mpsc::channel(PIECES);
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(piece) = feed.next().await.transpose() {
                let is_last = piece.is_err();
                if send.send(piece).await.is_err() || is_last {
                    break;
                }
            }
        });
        Self { pieces, task }
    }
}

#[async_trait]
impl Feed for Ahead {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        if let Some(piece) = self.pieces.recv().await {
            return piece.map(Some);
        }
        // At its end, or broken off: what is missing then is no end.
        match self.task.join_next().await {
            Some(Err(lost)) if lost.is_panic() => panic::resume_unwind(lost.into_panic()),
            Some(_) | None => Ok(None),
        }
    }
}

/// Rows that are sorted in a thread of their own while they come.
pub(crate) struct Sorting {
    send: SyncSender<Chunk>,
    thread: JoinSet<Result<Sorted, EndpointError>>,
}

impl Sorting {
    pub(crate) fn new(sorter: Sorter) -> Self {
        let (send, pieces) = sync_channel(PIECES);
        let mut thread = JoinSet::new();
        thread.spawn_blocking(move || sort(sorter, &pieces));
        Self { send, thread }
    }

    /// Takes rows. Where the thread has ended for an error, [`Self::finish`] returns it.
    pub(crate) fn push(&self, rows: Chunk) {
        let _ended = self.send.send(rows);
    }

    /// The rows in order.
    pub(crate) async fn finish(self) -> Result<Sorted, EndpointError> {
        let Self { send, mut thread } = self;
        drop(send);
        let sorted = thread.join_next().await.expect("the thread was begun");
        sorted.unwrap_or_else(|lost| panic::resume_unwind(lost.into_panic()))
    }
}

fn sort(mut sorter: Sorter, pieces: &Receiver<Chunk>) -> Result<Sorted, EndpointError> {
    for piece in pieces {
        piece.rows().try_for_each(|row| sorter.push(row))?;
    }
    sorter.finish()
}
