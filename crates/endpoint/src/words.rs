//! Statements as text, for people who read them before they run them. Nothing is done here.

use whimbrel_model::{Table, ValueRef};

/// A column and a value for it.
pub type Cell<'a> = (&'a str, ValueRef<'a>);

/// How rows of a table would be changed, in the words of its engine.
///
/// Each statement is whole, ends with `;`, and stands in one line. It changes one row or none: where the
/// row is no longer as it was seen, or not the only one that looks so and nothing tells them apart, none.
/// No value leaves its literal, whatever stands in it, and each is read back as exactly what it was.
pub trait Words: Send + Sync {
    /// The table as rows can be written to it: computed columns are not there.
    fn table(&self) -> &Table;

    /// Adds a row.
    fn insert(&self, row: &[Cell<'_>]) -> Result<String, Unsaid>;

    /// Gives a row that is still as it was seen other values.
    fn update(&self, values: &[Cell<'_>], seen: &Seen<'_>) -> Result<String, Unsaid>;

    /// Removes a row that is still as it was seen.
    fn delete(&self, seen: &Seen<'_>) -> Result<String, Unsaid>;
}

/// A row, by what was seen of it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What it is found by; empty where all of its values are.
    pub key: &'a [Cell<'a>],
    /// What must be as it was.
    pub values: &'a [Cell<'a>],
    /// What else was seen: looked at only where several rows may look alike.
    pub rest: &'a [Cell<'a>],
}

/// Why there is no statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unsaid {
    /// The column whose value cannot be said, where it is one.
    pub column: Option<String>,
    /// Why; may quote the value.
    pub why: String,
}

impl Unsaid {
    /// For a reason that is no column's.
    pub fn because(why: impl Into<String>) -> Self {
        Self { column: None, why: why.into() }
    }
}
