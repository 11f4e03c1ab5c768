//! Rows that a task fetches ahead of who reads them, bounded by their bytes.
//!
//! ```text
//! task ── batch ─▶ room for it? ─▶ channel ─▶ the reader's batch ── the next is asked for: room again
//! ```
//! A batch has its room until the reader asks for the one after it. One that takes all the room, as a
//! very large row does, is alone: the task fetches nothing while the reader is at it. The end is a
//! message too: a task that goes without one was lost, and rows with it.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use whimbrel_endpoint::{EndpointError, ErrorClass, Feed};
use whimbrel_model::{Chunk, ChunkBuilder};

use super::engine::{BATCH_BYTES, BATCH_ROWS};
use crate::codes;

/// Batches that wait for the reader.
const AHEAD: usize = 2;

/// Bytes of batches that wait, together with the reader's own.
const BYTES_AHEAD: usize = 4 * BATCH_BYTES;

enum Message {
    /// A batch and its room.
    Batch(Chunk, OwnedSemaphorePermit),
    /// There are no more.
    End,
    /// Why there are no more.
    Failed(EndpointError),
}

/// The reader's end of a task.
pub(super) struct Pump {
    batches: mpsc::Receiver<Message>,
    /// The room of the batch that the reader has.
    held: Option<OwnedSemaphorePermit>,
    /// The end was heard.
    ended: bool,
    /// Ends a task of the reader's own when the reader goes.
    _task: JoinSet<()>,
}

/// The task's end.
pub(super) struct Pipe {
    batches: mpsc::Sender<Message>,
    room: Arc<Semaphore>,
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
        let mut task = JoinSet::new();
        let pump = Self::start_in(&mut task, fill);
        Self { _task: task, ..pump }
    }

    /// Runs a task that fills the pipe, and has something to put in order when the reader goes.
    pub(super) fn start_in<F>(tasks: &mut JoinSet<()>, fill: impl FnOnce(Pipe) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, batches) = mpsc::channel(AHEAD);
        let room = Arc::new(Semaphore::new(BYTES_AHEAD));
        tasks.spawn(fill(Pipe { batches: sender, room }));
        Self { batches, held: None, ended: false, _task: JoinSet::new() }
    }
}

#[async_trait]
impl Feed for Pump {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        self.held = None;
        if self.ended {
            return Ok(None);
        }
        match self.batches.recv().await {
            Some(Message::Batch(batch, room)) => {
                self.held = Some(room);
                Ok(Some(batch))
            }
            Some(Message::End) => {
                self.ended = true;
                Ok(None)
            }
            Some(Message::Failed(error)) => Err(error),
            None => Err(lost()),
        }
    }
}

/// A panic ends a task without a word.
fn lost() -> EndpointError {
    EndpointError::new(
        ErrorClass::System,
        codes::CONNECTION_GONE,
        "the task that reads rows has ended before their end",
    )
}

impl Pipe {
    /// Hands a batch on as soon as there is room, and waits until there is some for another.
    pub(super) async fn send(&self, batch: Chunk) -> Result<(), Gone> {
        let room = self.room(batch.size().min(BYTES_AHEAD)).await?;
        self.batches.send(Message::Batch(batch, room)).await.map_err(|_| Gone)?;
        self.room(1).await.map(drop)
    }

    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Gone> {
        let room = Arc::clone(&self.room).acquire_many_owned(bytes as u32);
        // Whoever goes gives back what was held.
        room.await.map_err(|_| Gone)
    }

    /// Waits until nobody reads any more.
    pub(super) async fn closed(&self) {
        self.batches.closed().await;
    }

    /// Says that all rows were sent.
    pub(super) async fn end(&self) {
        // Whoever reads may have gone.
        let _ = self.batches.send(Message::End).await;
    }

    /// Hands an error on; it is the last that the reader gets.
    pub(super) async fn fail(&self, error: EndpointError) {
        // Whoever reads may have gone.
        let _ = self.batches.send(Message::Failed(error)).await;
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use whimbrel_model::ValueRef;

    use super::*;

    fn row(bytes: usize) -> Chunk {
        let mut row = ChunkBuilder::new(1);
        row.push(ValueRef::Text(&"x".repeat(bytes)));
        row.end_row();
        row.finish()
    }

    /// How many rows of so many bytes a task has fetched when it rests, for each that was read.
    async fn fetched(bytes: usize) -> Vec<usize> {
        let count = Arc::new(AtomicUsize::new(0));
        let own = Arc::clone(&count);
        let mut pump = Pump::start(async move |pipe| {
            for _ in 0..6 {
                own.fetch_add(1, Ordering::Relaxed);
                pipe.send(row(bytes)).await.unwrap();
            }
            pipe.end().await;
        });
        let mut fetched = Vec::new();
        while pump.next().await.unwrap().is_some() {
            // On one thread, the task comes to rest before this goes on.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            fetched.push(count.load(Ordering::Relaxed));
        }
        fetched
    }

    #[tokio::test]
    async fn large_rows_are_fetched_one_by_one_and_small_ones_ahead() {
        assert_eq!(fetched(BYTES_AHEAD).await, [1, 2, 3, 4, 5, 6]);
        assert_eq!(fetched(100).await[0], 4);
    }

    #[tokio::test]
    async fn after_the_end_there_is_nothing_however_often_it_is_asked_for() {
        let mut pump = Pump::start(async |pipe| pipe.end().await);
        assert!(pump.next().await.unwrap().is_none());
        assert!(pump.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_task_that_panics_is_an_error_and_not_the_end_of_the_rows() {
        let mut pump = Pump::start(async |pipe| {
            pipe.send(row(1)).await.unwrap();
            panic!("a defect");
        });
        assert_eq!(pump.next().await.unwrap().unwrap().len(), 1);
        let error = pump.next().await.unwrap_err();
        assert_eq!((error.class, error.code), (ErrorClass::System, "WB0444"));
        assert!(pump.next().await.is_err());
    }

    #[tokio::test]
    async fn a_task_that_waits_for_room_ends_when_the_reader_goes() {
        let mut tasks = JoinSet::new();
        let mut pump =
            Pump::start_in(
                &mut tasks,
                async |pipe| {
                    while pipe.send(row(BYTES_AHEAD)).await.is_ok() {}
                },
            );
        assert!(pump.next().await.unwrap().is_some());
        drop(pump);
        assert!(tasks.join_next().await.unwrap().is_ok());
    }
}
