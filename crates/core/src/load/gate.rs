//! The queue of items: taken in source order, small ones several at a time, announced to the writer
//! in that order, and bounded by the bytes that are on their way.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::outbox::{BYTES_TOGETHER, Done, Message, Outbox};
use super::work::Work;

/// Bytes of items that are taken and not yet written.
const BUDGET: u64 = 16 << 20;
/// An item counts at most this much: its channel bounds the rest.
const COST_MAX: u64 = 4 << 20;
/// Rows that wait in a channel, as whole chunks, at least two.
const ROWS_WAITING: usize = 12_288;
/// Items that are taken together at most.
const ITEMS_TOGETHER: u64 = 100;

/// The writer's side: items in source order.
pub(crate) type Announced = mpsc::UnboundedReceiver<Announcement>;

/// Items that a worker has taken.
pub(crate) struct Announcement {
    pub(crate) cost: u64,
    pub(crate) produced: mpsc::Receiver<Message>,
    pub(crate) done: Done,
}

/// Hands out items.
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    together: u64,
    /// Chunks that wait in a channel.
    chunks: usize,
}

struct State {
    queue: VecDeque<Work>,
    in_flight: u64,
    announce: Option<mpsc::UnboundedSender<Announcement>>,
}

impl Gate {
    /// Up to `together` units go to the writer in one message, and so no more items are taken at a
    /// time. Readers are asked for `chunk` rows at a time.
    pub(crate) fn open(works: Vec<Work>, together: u64, chunk: usize) -> (Self, Announced) {
        let chunks = (ROWS_WAITING / chunk.max(1)).max(2);
        let (announce, announced) = mpsc::unbounded_channel();
        let announce = (!works.is_empty()).then_some(announce);
        let state = State { queue: works.into(), in_flight: 0, announce };
        (Self { state: Mutex::new(state), changed: Condvar::new(), together, chunks }, announced)
    }

    /// The next items, once there is room for them.
    pub(crate) fn take(&self) -> Option<(Vec<Work>, Outbox)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let (count, cost) = state.next(self.together.min(ITEMS_TOGETHER) as usize)?;
            if state.in_flight == 0 || state.in_flight + cost <= BUDGET {
                let works = state.queue.drain(..count).collect();
                let (sender, produced) = mpsc::channel(self.chunks);
                state.in_flight += cost;
                let done = Done::default();
                let announcement = Announcement { cost, produced, done: done.clone() };
                let heard = state.announce.as_ref()?.send(announcement).is_ok();
                if state.queue.is_empty() {
                    state.announce = None;
                    self.changed.notify_all();
                }
                return heard.then(|| (works, Outbox::new(sender, done, self.together)));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The writer has taken everything of them.
    pub(crate) fn drained(&self, cost: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.in_flight -= cost;
        self.changed.notify_all();
    }

    /// Nobody listens any more: whoever waits gets nothing.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.queue.clear();
        state.announce = None;
        self.changed.notify_all();
    }
}

impl State {
    /// How many items come next, and what they cost; `None` where none are left. Towards the end they
    /// are fewer, so that no worker waits for another.
    fn next(&self, together: usize) -> Option<(usize, u64)> {
        let together = together.min(self.queue.len() / 8 + 1);
        let cost = |work: &Work| work.bytes().clamp(4096, COST_MAX);
        let first = self.queue.front()?;
        let (mut count, mut bytes, mut sum) = (1, first.bytes(), cost(first));
        for work in self.queue.iter().take(together).skip(1) {
            bytes += work.bytes();
            if bytes > BYTES_TOGETHER {
                break;
            }
            count += 1;
            sum += cost(work);
        }
        Some((count, sum))
    }
}
