//! The queue of items: taken in source order, announced to the writer in that order, and bounded
//! by the bytes that are on their way.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};

use tokio::sync::mpsc;
use whimbrel_endpoint::EndpointError;

use super::produced::Produced;
use super::work::Work;

/// Bytes of items that are taken and not yet written.
const BUDGET: u64 = 16 << 20;
/// An item counts at most this much: its channel bounds the rest.
const COST_MAX: u64 = 4 << 20;
/// Chunks that wait in an item's channel.
const CHUNKS: usize = 10;

/// What a worker sends.
pub(crate) type Sender = mpsc::Sender<Result<Produced, EndpointError>>;

/// The writer's side: items in source order.
pub(crate) type Announced = mpsc::UnboundedReceiver<Announcement>;

/// An item that a worker has taken.
pub(crate) struct Announcement {
    pub(crate) index: usize,
    pub(crate) path: String,
    pub(crate) cost: u64,
    pub(crate) produced: mpsc::Receiver<Result<Produced, EndpointError>>,
}

/// Hands out items.
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    queue: VecDeque<Work>,
    in_flight: u64,
    announce: Option<mpsc::UnboundedSender<Announcement>>,
}

impl Gate {
    pub(crate) fn open(works: Vec<Work>) -> (Self, Announced) {
        let (announce, announced) = mpsc::unbounded_channel();
        let announce = (!works.is_empty()).then_some(announce);
        let state = State { queue: works.into(), in_flight: 0, announce };
        (Self { state: Mutex::new(state), changed: Condvar::new() }, announced)
    }

    /// The next item, once there is room for it.
    pub(crate) fn take(&self) -> Option<(Work, Sender)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let cost = state.queue.front().map(|work| work.bytes().clamp(4096, COST_MAX))?;
            if state.in_flight == 0 || state.in_flight + cost <= BUDGET {
                let work = state.queue.pop_front()?;
                let (sender, produced) = mpsc::channel(CHUNKS);
                state.in_flight += cost;
                let path = work.item.source_file.clone();
                let announcement = Announcement { index: work.index, path, cost, produced };
                let heard = state.announce.as_ref()?.send(announcement).is_ok();
                if state.queue.is_empty() {
                    state.announce = None;
                    self.changed.notify_all();
                }
                return heard.then_some((work, sender));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The writer has taken everything of an item.
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
