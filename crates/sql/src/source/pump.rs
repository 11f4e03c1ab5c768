//! Rows that a task fetches ahead of who reads them.

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use whimbrel_endpoint::EndpointError;
use whimbrel_model::{Chunk, ChunkBuilder};

use super::engine::{BATCH_BYTES, BATCH_ROWS, Feed};

/// Batches that wait for the reader.
const AHEAD: usize = 2;

/// The reader's end of a task.
pub(super) struct Pump {
    batches: mpsc::Receiver<Result<Chunk, EndpointError>>,
    /// Ends a task of the reader's own when the reader goes.
    _task: JoinSet<()>,
}

/// The task's end.
pub(super) struct Pipe {
    batches: mpsc::Sender<Result<Chunk, EndpointError>>,
}

/// Nobody reads any more.
#[derive(Debug)]
pub(super) struct Gone;

impl Pump {
    /// Runs a task that fills the pipe, and ends it when the reader goes.
    pub(super) fn start<F>(fill: impl FnOnce(Pipe) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, batches) = mpsc::channel(AHEAD);
        let mut task = JoinSet::new();
        task.spawn(fill(Pipe { batches: sender }));
        Self { batches, _task: task }
    }

    /// Runs a task that fills the pipe, and has something to put in order when the reader goes.
    pub(super) fn start_in<F>(tasks: &mut JoinSet<()>, fill: impl FnOnce(Pipe) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, batches) = mpsc::channel(AHEAD);
        tasks.spawn(fill(Pipe { batches: sender }));
        Self { batches, _task: JoinSet::new() }
    }
}

#[async_trait]
impl Feed for Pump {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        self.batches.recv().await.transpose()
    }
}

impl Pipe {
    /// Hands a batch on as soon as there is room.
    pub(super) async fn send(&self, batch: Chunk) -> Result<(), Gone> {
        self.batches.send(Ok(batch)).await.map_err(|_| Gone)
    }

    /// Waits until nobody reads any more.
    pub(super) async fn closed(&self) {
        self.batches.closed().await;
    }

    /// Hands an error on; it is the last that the reader gets.
    pub(super) async fn fail(&self, error: EndpointError) {
        // Whoever reads may have gone.
        let _ = self.batches.send(Err(error)).await;
    }
}

/// True where a batch is to be handed on.
pub(super) fn is_full(batch: &ChunkBuilder) -> bool {
    batch.len() >= BATCH_ROWS || batch.size() >= BATCH_BYTES
}

/// Takes the finished rows and leaves room for as many.
pub(super) fn taken(batch: &mut ChunkBuilder, width: usize) -> Chunk {
    let fresh = ChunkBuilder::with_capacity(width, BATCH_ROWS, 0);
    std::mem::replace(batch, fresh).finish()
}
