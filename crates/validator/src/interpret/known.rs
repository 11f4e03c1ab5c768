//! What of a migration only its ledger knows.

use std::fmt::Debug;

/// Answers of the ledger. Without one, everything is as a first run of the plan finds it.
pub trait Known: Debug + Send + Sync {
    /// Whether the target itself refused the rows of a unit, or rows that it had already: the unit is a
    /// reject then, and no parent and no winner of anything. Asked of units whose rows are sound by the
    /// plan; `record` is 0 where the unit is a file.
    fn refused(&self, table: &str, source: &str, path: &str, record: u64) -> bool {
        let (_, _, _, _) = (table, source, path, record);
        false
    }

    /// The bytes that a person has put in a record's place.
    fn repaired(&self, source: &str, path: &str, record: u64) -> Option<Vec<u8>> {
        let (_, _, _) = (source, path, record);
        None
    }

    /// The ordinal of an item (a file, or the rows of a database source) in a table's step, from 0.
    /// Items of later runs come behind those of earlier ones, whatever their names; items without an
    /// answer are numbered behind those with one, in source order.
    fn ordinal(&self, table: &str, source: &str, path: &str) -> Option<u64> {
        let (_, _, _) = (table, source, path);
        None
    }
}

/// Knows nothing: a first run into an empty target that refuses nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl Known for Nothing {}
