//! What a worker sends to the writer: small things together, since each message costs the writer a
//! statement, and two threads a wake-up.
//!
//! ```text
//! items   a ─▶ ┐             d (large) ─▶ d₁ ─▶ d₂ with its end
//!         b ─▶ ├─▶ a b c     one message each
//!         c ─▶ ┘
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;
use whimbrel_endpoint::EndpointError;

use super::produced::Produced;

/// Bytes that are sent together.
pub(crate) const BYTES_TOGETHER: u64 = 512 << 10;

/// Units in source order, or why there are no more.
pub(crate) type Message = Result<Produced, Failed>;

/// An item could not be read on.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) path: String,
    pub(crate) error: EndpointError,
}

/// Nobody listens any more.
#[derive(Debug)]
pub(crate) struct Unheard;

/// Whether a worker has sent all of what it took. A channel that closes before has lost the worker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done(Arc<AtomicBool>);

impl Done {
    pub(crate) fn is_done(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The way from a worker to the writer, for the items that it took together.
pub(crate) struct Outbox {
    sender: mpsc::Sender<Message>,
    done: Done,
    units_together: u64,
    held: Option<Produced>,
}

impl Outbox {
    /// At most `units_together` units make a message, except where they come at once.
    pub(crate) fn new(sender: mpsc::Sender<Message>, done: Done, units_together: u64) -> Self {
        Self { sender, done, units_together, held: None }
    }

    /// Sends what follows in source order, now or with what comes after it.
    pub(crate) fn send(&mut self, next: Produced) -> Result<(), Unheard> {
        if let Some(held) = &mut self.held {
            let units = (held.units.len() + next.units.len()) as u64;
            let small = held.size + next.size <= BYTES_TOGETHER as usize;
            // What takes no memory is only the end of its item.
            if next.size == 0 || (small && units <= self.units_together) {
                held.append(next);
                return Ok(());
            }
        }
        let before = self.held.replace(next);
        self.pass(before.map(Ok))
    }

    /// Sends what is held back: nothing follows.
    pub(crate) fn finish(mut self) -> Result<(), Unheard> {
        let last = self.held.take();
        self.pass(last.map(Ok))?;
        self.done.0.store(true, Ordering::Release);
        Ok(())
    }

    /// Sends what is held back, and why nothing follows.
    pub(crate) fn fail(mut self, failed: Failed) -> Result<(), Unheard> {
        let last = self.held.take();
        self.pass(last.map(Ok))?;
        self.pass(Some(Err(failed)))
    }

    fn pass(&self, message: Option<Message>) -> Result<(), Unheard> {
        let Some(message) = message else { return Ok(()) };
        self.sender.blocking_send(message).map_err(|_unsent| Unheard)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use whimbrel_endpoint::ErrorClass;
    use whimbrel_model::{ChunkBuilder, Digest, Position, ValueRef};
    use whimbrel_transform::Notes;

    use super::super::produced::{Fate, ItemEnd, Reached, Rows, Unit};
    use super::*;

    /// Units of an item, each of one byte and one row.
    fn units(item: usize, raw: &[u8], size: usize, ended: bool) -> Produced {
        let mut chunk = ChunkBuilder::new(1);
        let mut rows = Rows::none(1);
        for (unit, byte) in raw.iter().enumerate() {
            chunk.push(ValueRef::Int((*byte).into()));
            chunk.end_row();
            rows.units.push(unit as u32);
            rows.digests.push(Digest([*byte; 32]));
            rows.bytes.push(1);
            rows.keys.extend([*byte, *byte]);
            rows.key_ends.push(2 * unit as u32 + 2);
        }
        rows.chunk = Arc::new(chunk.finish());
        let unit = |at: usize| Unit {
            item,
            ordinal: at as u64,
            position: Position::default(),
            digest: Digest([raw[at]; 32]),
            raw: (at, at + 1),
            fate: Fate::Rows,
            duplicate: None,
            archive: None,
        };
        let end = ended.then_some(ItemEnd { lines: None, skipped: None, aside: None });
        Produced {
            items: vec![Reached { item, mark: None, state: None, end }],
            units: (0..raw.len()).map(unit).collect(),
            raw: raw.to_vec(),
            rows: Arc::new(rows),
            refers: Vec::new(),
            notes: Notes::default(),
            size,
        }
    }

    /// Each message: its items, `!` where they have ended, and its units.
    fn sent(together: u64, all: Vec<Produced>) -> Vec<String> {
        let (sender, mut receiver) = mpsc::channel(100);
        let mut outbox = Outbox::new(sender, Done::default(), together);
        for one in all {
            outbox.send(one).unwrap();
        }
        outbox.finish().unwrap();
        std::iter::from_fn(|| receiver.blocking_recv()).map(|message| told(&message)).collect()
    }

    fn told(message: &Message) -> String {
        let Ok(produced) = message else { return "failed".to_owned() };
        let mut told = String::new();
        for reached in &produced.items {
            let ended = if reached.end.is_some() { "!" } else { "" };
            told.push_str(&format!("{}{ended} ", reached.item));
        }
        let rows = &produced.rows;
        for row in 0..rows.len() {
            let unit = &produced.units[rows.units[row] as usize];
            let byte = produced.raw[unit.raw.0];
            assert_eq!((unit.digest.0[0], rows.digests[row].0[0]), (byte, byte));
            assert_eq!((rows.key(row), rows.bytes[row]), (&[byte, byte][..], 1));
            assert_eq!(rows.chunk.row(row).get(0), ValueRef::Int(byte.into()));
            told.push_str(&format!("{}{}", unit.item, byte as char));
        }
        told
    }

    #[test]
    fn small_items_go_together() {
        let all = vec![units(3, b"ab", 9, true), units(4, b"", 9, true), units(6, b"c", 9, true)];
        assert_eq!(sent(100, all), ["3! 4! 6! 3a3b6c"]);
    }

    #[test]
    fn large_chunks_go_alone_and_the_end_with_the_last() {
        let large = BYTES_TOGETHER as usize;
        let all = vec![
            units(0, b"a", large, false),
            units(0, b"b", large, false),
            units(0, b"", 0, true),
            units(1, b"c", 1, true),
        ];
        assert_eq!(sent(100, all), ["0 0a", "0! 0b", "1! 1c"]);
    }

    #[test]
    fn bytes_without_units_are_not_held_back() {
        let large = BYTES_TOGETHER as usize;
        let all =
            vec![units(0, b"", large, false), units(0, b"", large, false), units(0, b"a", 1, true)];
        assert_eq!(sent(100, all), ["0 ", "0 ", "0! 0a"]);
    }

    #[test]
    fn no_more_units_go_together_than_a_batch_may_have() {
        let all = vec![units(0, b"a", 1, true), units(1, b"b", 1, true), units(2, b"cd", 1, true)];
        assert_eq!(sent(2, all), ["0! 1! 0a1b", "2! 2c2d"]);
        let all = vec![units(0, b"ab", 1, false), units(0, b"", 0, true), units(1, b"c", 1, true)];
        assert_eq!(sent(1, all), ["0! 0a0b", "1! 1c"]);
    }

    #[test]
    fn a_failure_comes_after_what_was_held_back() {
        let (sender, mut receiver) = mpsc::channel(100);
        let mut outbox = Outbox::new(sender, Done::default(), 100);
        outbox.send(units(0, b"a", 1, true)).unwrap();
        let error = EndpointError::new(ErrorClass::System, "WB0622", "unreadable");
        outbox.fail(Failed { path: "b".to_owned(), error }).unwrap();
        let told: Vec<String> =
            std::iter::from_fn(|| receiver.blocking_recv()).map(|message| told(&message)).collect();
        assert_eq!(told, ["0! 0a", "failed"]);
    }

    #[test]
    fn only_who_has_sent_everything_is_done() {
        let (sender, mut receiver) = mpsc::channel(100);
        let done = Done::default();
        let mut outbox = Outbox::new(sender.clone(), done.clone(), 100);
        outbox.send(units(0, b"a", 1, true)).unwrap();
        drop(outbox);
        assert!(!done.is_done());
        let mut outbox = Outbox::new(sender, done.clone(), 100);
        outbox.send(units(0, b"a", 1, true)).unwrap();
        outbox.finish().unwrap();
        assert!(done.is_done());
        assert!(receiver.try_recv().is_ok());
    }

    #[test]
    fn nobody_listening_is_noticed() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let mut outbox = Outbox::new(sender, Done::default(), 1);
        outbox.send(units(0, b"a", 1, true)).unwrap();
        assert!(outbox.send(units(1, b"b", 1, true)).is_err());
        assert!(outbox.finish().is_err());
    }
}
