//! The conservation law: what was read is accounted for, each unit once; what was produced too.

use crate::digest::Sum;

/// What became of a source unit (a record, or a file where the plan says `each = "file"`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// At least one of its rows was inserted.
    Loaded,
    /// None inserted, at least one updated.
    Updated,
    /// Its rows stood in the target already, equal.
    Unchanged,
    /// At least one of its rows was refused; none of them was written.
    Rejected,
    /// The plan leaves it out.
    Filtered,
    /// A unit before it won.
    Duplicate,
}

impl Class {
    /// Every class, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Loaded,
        Self::Updated,
        Self::Unchanged,
        Self::Rejected,
        Self::Filtered,
        Self::Duplicate,
    ];

    /// The name in the ledger and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Updated => "updated",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Filtered => "filtered",
            Self::Duplicate => "duplicate",
        }
    }
}

/// What became of a target row.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RowClass {
    /// It is new.
    Inserted,
    /// It replaced another content under its key.
    Updated,
    /// It stood there already, equal.
    Unchanged,
}

/// Source units of one table, in counts, bytes and digests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Account {
    /// Units read.
    pub read: Sum,
    /// Units per class, in the order of [`Class::ALL`].
    pub classes: [Sum; 6],
}

/// Target rows of one table.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct RowAccount {
    /// Rows that the transform produced for units that were not rejected.
    pub produced: Sum,
    /// New rows.
    pub inserted: Sum,
    /// Rows written over an older content.
    pub updated: Sum,
    /// Rows that stood there already.
    pub unchanged: Sum,
}

impl Account {
    /// The units of one class.
    pub fn class(&self, class: Class) -> &Sum {
        &self.classes[class as usize]
    }

    /// The units of one class, for adding to.
    pub fn class_mut(&mut self, class: Class) -> &mut Sum {
        &mut self.classes[class as usize]
    }

    /// Adds another account of the same table.
    pub fn merge(&mut self, other: &Self) {
        self.read.merge(&other.read);
        for (sum, other) in self.classes.iter_mut().zip(&other.classes) {
            sum.merge(other);
        }
    }

    /// True where read = loaded + updated + unchanged + rejected + filtered + duplicate, in
    /// counts, in bytes and in digests.
    pub fn balances(&self) -> bool {
        let mut total = Sum::default();
        self.classes.iter().for_each(|sum| total.merge(sum));
        total == self.read
    }
}

impl RowAccount {
    /// Adds another account of the same table.
    pub fn merge(&mut self, other: &Self) {
        self.produced.merge(&other.produced);
        self.inserted.merge(&other.inserted);
        self.updated.merge(&other.updated);
        self.unchanged.merge(&other.unchanged);
    }

    /// True where produced = inserted + updated + unchanged, in counts, bytes and digests.
    pub fn balances(&self) -> bool {
        let mut total = self.inserted;
        total.merge(&self.updated);
        total.merge(&self.unchanged);
        total == self.produced
    }
}
