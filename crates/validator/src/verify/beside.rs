//! Rows looked at beside their reading: while a piece is fetched, those before it are encoded and
//! digested on other threads.

use std::collections::VecDeque;
use std::panic;

use tokio::task::{JoinHandle, spawn_blocking};
use whimbrel_endpoint::{EndpointError, Feed};
use whimbrel_model::Chunk;

/// Pieces that are looked at while the next one is fetched.
const AT_ONCE: usize = 2;

/// Hands every piece of a feed to `look`, and what came of it to `take`, in the order of the feed.
pub(super) async fn each<T: Send + 'static>(
    mut feed: Box<dyn Feed>,
    look: impl Fn(Chunk) -> T + Clone + Send + 'static,
    mut take: impl FnMut(T) -> Result<(), EndpointError>,
) -> Result<(), EndpointError> {
    let mut looking: VecDeque<JoinHandle<T>> = VecDeque::with_capacity(AT_ONCE + 1);
    loop {
        let piece = feed.next().await?;
        let is_end = piece.is_none();
        if let Some(piece) = piece {
            let look = look.clone();
            looking.push_back(spawn_blocking(move || look(piece)));
        }
        while looking.len() > AT_ONCE || is_end {
            let Some(first) = looking.pop_front() else { return Ok(()) };
            take(first.await.unwrap_or_else(|lost| panic::resume_unwind(lost.into_panic())))?;
        }
    }
}
