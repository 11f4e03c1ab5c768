//! What of a migration only its ledger knows: which runs have read what, in which order, and what the
//! target has said.
//!
//! ```text
//! file      r1 r2 r3 r4 │ r5 r6        run 1 took up to r4, run 4 what was appended
//! again        ▲                       run 2 read r2 once more: there it counts, with what was mended
//! order     r1 r3 r4 │ r2 │ r5 r6
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use whimbrel_model::{FileFacts, SourceMark};

/// The number of a run that has not been yet: it comes behind all others.
pub const NEXT_RUN: u64 = u64::MAX;

/// Answers of the ledger. Without one, everything is as a first run of the plan finds it.
pub trait Known: Debug + Send + Sync {
    /// What runs have made of an item (a file, or the rows of a database source) of a table. Items without
    /// an answer are read by a run behind all others, in source order.
    fn of(&self, table: &str, source: &str, path: &str) -> Option<&Told> {
        let (_, _, _) = (table, source, path);
        None
    }
}

/// What the ledger tells of an item. Runs are numbered as they followed each other.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Told {
    /// Its ordinal in the table's step, from 0. What is read anew gets another one.
    pub ordinal: u64,
    /// Who has read it, one behind the other's end; nobody: it is left out.
    pub turns: Vec<Turn>,
    /// The first run that has read an earlier version of it, where there was one: what refers to a record may
    /// have found it since then.
    pub earlier: Option<u64>,
    /// Whether it was left out or rejected as a whole for its size; `None` where the plan says.
    pub aside: Option<Aside>,
    /// Records that a later run has decided once more, each with that run.
    pub again: BTreeMap<u64, u64>,
    /// Records whose rows the target itself has refused, or the plan as it was before: rejects, and no parent
    /// and no winner of anything.
    pub refused: BTreeSet<u64>,
    /// Bytes that a person has put in a record's place, from which run on; the later ones last.
    pub repaired: BTreeMap<u64, Vec<(u64, Vec<u8>)>>,
}

/// A run's reading of an item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// The run.
    pub run: u64,
    /// The mark behind which it began; `None` at the item's beginning.
    pub after: Option<SourceMark>,
    /// The last record that it took; `None` where it read to the end.
    pub until: Option<u64>,
    /// The file's facts as they were then; `None` where they are what they are now.
    pub facts: Option<Stood>,
}

/// What became of an item for its size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aside {
    /// Nothing: it was read.
    No,
    /// It is left out.
    LeftOut,
    /// It is a reject as a whole.
    Rejected,
}

/// Facts of a file that change while its content does not, or not all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stood {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 in UTC when it was changed last.
    pub mtime_nanos: i128,
}

impl Stood {
    /// A file's facts as they are.
    pub fn of(facts: &FileFacts) -> Self {
        Self { size: facts.size, mtime_nanos: facts.mtime_nanos }
    }
}

impl Turn {
    /// A run that reads an item from its beginning to its end.
    pub fn whole(run: u64) -> Self {
        Self { run, after: None, until: None, facts: None }
    }
}

impl Told {
    /// What a run makes of an item that nobody has read before it.
    pub fn unread(ordinal: u64) -> Self {
        let turns = vec![Turn::whole(NEXT_RUN)];
        Self { ordinal, turns, ..Self::default() }
    }

    /// Whether a run that has read records again may have seen facts of the file from before or after a
    /// change: nobody has written down which; `now` they are so.
    pub(crate) fn is_ambiguous(&self, now: Option<Stood>) -> bool {
        self.again.values().any(|run| {
            let before = self.turns.iter().rfind(|turn| turn.run < *run);
            let behind = self.turns.iter().find(|turn| turn.run > *run);
            let behind = behind.map_or(now, |turn| turn.facts);
            before.and_then(|turn| turn.facts).zip(behind).is_some_and(|(a, b)| a != b)
        })
    }

    /// The bytes in a record's place, as a run that reads it again finds them.
    pub fn repaired(&self, record: u64, run: u64) -> Option<&[u8]> {
        let known = self.repaired.get(&record)?;
        known.iter().rev().find(|(since, _)| *since <= run).map(|(_, bytes)| bytes.as_slice())
    }
}

/// Knows nothing: a first run into an empty target that refuses nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Known for Nothing {}
