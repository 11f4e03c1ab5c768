//! Two feeds in the order of one key, row by row, cell by cell.
//!
//! ```text
//! left    a 1   b 2   c 3         e 5        a = a      b ≠ b: changed, column 2
//! right   a 1   b 9         d 4   e 5        c: missing on the right      d: extra
//! ```
//! Every row of both sides is compared or counted as missing or extra; nothing is sampled. Where several
//! rows have one key they are matched in turn, so repeated rows are seen as often as they are too many.
//! That the order holds is checked: a side whose keys go back is an error, and the caller sorts it.

use std::cmp::Ordering;

use whimbrel_endpoint::{EndpointError, Feed};
use whimbrel_model::decimal::Numeric;
use whimbrel_model::{Chunk, Kind, Row, Value, ValueRef, wce};

use crate::order;

/// One of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// What should be.
    Left,
    /// What is.
    Right,
}

/// Why two feeds could not be compared to their end.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// Reading failed.
    #[error("reading the rows of one side")]
    Read(Side, #[source] EndpointError),
    /// Rows do not come in the order of their key.
    #[error("rows do not come in the order of their key")]
    Disorder(Side),
}

/// A difference between two rows, or a row that the other side has not.
#[derive(Clone, Copy, Debug)]
pub enum Difference<'a> {
    /// Only on the left.
    Missing(Row<'a>),
    /// Only on the right.
    Extra(Row<'a>),
    /// On both sides, with other values in these columns.
    Changed {
        /// As it should be.
        left: Row<'a>,
        /// As it is.
        right: Row<'a>,
        /// Indexes of the columns that differ.
        columns: &'a [usize],
    },
}

/// How many rows there were, and what came of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Rows on the left.
    pub left: u64,
    /// Rows on the right.
    pub right: u64,
    /// Rows that are the same on both sides.
    pub equal: u64,
    /// Rows on both sides with other values.
    pub changed: u64,
    /// Rows that the right has not.
    pub missing: u64,
    /// Rows that the left has not.
    pub extra: u64,
}

impl Tally {
    /// Nothing differs.
    pub fn is_equal(&self) -> bool {
        self.changed == 0 && self.missing == 0 && self.extra == 0
    }

    /// Rows that differ, on whichever side.
    pub fn differing(&self) -> u64 {
        self.changed + self.missing + self.extra
    }

    /// Every row of both sides is in one class.
    pub fn balances(&self) -> bool {
        self.left == self.equal + self.changed + self.missing
            && self.right == self.equal + self.changed + self.extra
    }
}

/// Compares the rows of two feeds; `kinds` are those of the columns, `key` the columns that rows are
/// ordered and matched by: without one, all of them.
pub async fn merge(
    left: &mut dyn Feed,
    right: &mut dyn Feed,
    kinds: &[Kind],
    key: &[usize],
    sink: &mut (dyn FnMut(Difference<'_>) + Send),
) -> Result<Tally, MergeError> {
    let all: Vec<usize> = (0..kinds.len()).collect();
    let key = if key.is_empty() { &all } else { key };
    let mut left = Cursor::new(left, key, Side::Left);
    let mut right = Cursor::new(right, key, Side::Right);
    let mut tally = Tally::default();
    let mut columns = Vec::new();
    loop {
        if !left.stands() {
            left.refill().await?;
        }
        if !right.stands() {
            right.refill().await?;
        }
        // As far as both sides reach without waiting.
        while let (Some(a), Some(b)) = (left.row(), right.row()) {
            match order::rows(a, b, key) {
                Ordering::Less => {
                    tally.missing += 1;
                    sink(Difference::Missing(a));
                    left.step()?;
                }
                Ordering::Greater => {
                    tally.extra += 1;
                    sink(Difference::Extra(b));
                    right.step()?;
                }
                Ordering::Equal => {
                    columns.clear();
                    let differ =
                        |column: &usize| !same(kinds[*column], a.get(*column), b.get(*column));
                    columns.extend((0..kinds.len()).filter(differ));
                    if columns.is_empty() {
                        tally.equal += 1;
                    } else {
                        tally.changed += 1;
                        sink(Difference::Changed { left: a, right: b, columns: &columns });
                    }
                    left.step()?;
                    right.step()?;
                }
            }
        }
        match (left.ended, right.ended) {
            (true, true) => break,
            (true, false) => {
                while let Some(row) = right.row() {
                    tally.extra += 1;
                    sink(Difference::Extra(row));
                    right.step()?;
                }
            }
            (false, true) => {
                while let Some(row) = left.row() {
                    tally.missing += 1;
                    sink(Difference::Missing(row));
                    left.step()?;
                }
            }
            (false, false) => {}
        }
    }
    tally.left = left.rows;
    tally.right = right.rows;
    debug_assert!(tally.balances());
    Ok(tally)
}

/// Whether two values of a column are one: as WCE-1 says, by the column's kind.
#[inline]
pub fn same(kind: Kind, a: ValueRef<'_>, b: ValueRef<'_>) -> bool {
    match (a, b) {
        (ValueRef::Null, ValueRef::Null) => true,
        (ValueRef::Int(a), ValueRef::Int(b)) => a == b,
        (ValueRef::Text(a), ValueRef::Text(b)) if kind != Kind::Json => a == b,
        (ValueRef::Uuid(a), ValueRef::Uuid(b)) => a == b,
        (ValueRef::Bool(a), ValueRef::Bool(b)) => a == b,
        (ValueRef::Bytes(a), ValueRef::Bytes(b)) => a == b,
        (ValueRef::Timestamp(a), ValueRef::Timestamp(b))
        | (ValueRef::TimestampTz(a), ValueRef::TimestampTz(b)) => a == b,
        (ValueRef::Date(a), ValueRef::Date(b)) => a == b,
        (ValueRef::Float(a), ValueRef::Float(b)) if a.to_bits() == b.to_bits() => true,
        (ValueRef::Json(a) | ValueRef::Text(a), ValueRef::Json(b) | ValueRef::Text(b))
            if kind == Kind::Json && a == b =>
        {
            true
        }
        (ValueRef::Decimal(a), ValueRef::Decimal(b)) => {
            a == b
                || matches!((Numeric::parse(a), Numeric::parse(b)), (Ok(a), Ok(b))
                    if a == b || matches!((a, b), (Numeric::NaN, Numeric::NaN)))
        }
        (a, b) => {
            let (mut left, mut right) = (Vec::new(), Vec::new());
            wce::cell(&mut left, kind, a);
            wce::cell(&mut right, kind, b);
            left == right
        }
    }
}

/// A feed, and where in it the merge stands.
struct Cursor<'f> {
    feed: &'f mut dyn Feed,
    key: &'f [usize],
    side: Side,
    chunk: Chunk,
    at: usize,
    /// The key of the last row of the chunk before.
    last: Option<Vec<Value>>,
    rows: u64,
    ended: bool,
}

impl<'f> Cursor<'f> {
    fn new(feed: &'f mut dyn Feed, key: &'f [usize], side: Side) -> Self {
        let chunk = Chunk::default();
        Self { feed, key, side, chunk, at: 0, last: None, rows: 0, ended: false }
    }

    fn stands(&self) -> bool {
        self.ended || self.at < self.chunk.len()
    }

    fn row(&self) -> Option<Row<'_>> {
        (self.at < self.chunk.len()).then(|| self.chunk.row(self.at))
    }

    async fn refill(&mut self) -> Result<(), MergeError> {
        if let Some(last) = self.chunk.len().checked_sub(1) {
            let row = self.chunk.row(last);
            self.last = Some(self.key.iter().map(|&column| row.get(column).to_owned()).collect());
        }
        let next = self.feed.next().await.map_err(|error| MergeError::Read(self.side, error))?;
        let Some(chunk) = next else {
            self.chunk = Chunk::default();
            self.at = 0;
            self.ended = true;
            return Ok(());
        };
        self.rows += chunk.len() as u64;
        self.chunk = chunk;
        self.at = 0;
        if let (Some(last), Some(first)) = (&self.last, self.row()) {
            let pairs = last.iter().zip(self.key);
            let order = pairs
                .map(|(last, &column)| order::compare(last.as_ref(), first.get(column)))
                .find(|order| order.is_ne());
            if order == Some(Ordering::Greater) {
                return Err(MergeError::Disorder(self.side));
            }
        }
        Ok(())
    }

    /// Goes on to the next row of the chunk.
    #[inline]
    fn step(&mut self) -> Result<(), MergeError> {
        self.at += 1;
        if self.at < self.chunk.len() {
            let (before, row) = (self.chunk.row(self.at - 1), self.chunk.row(self.at));
            if order::rows(before, row, self.key).is_gt() {
                return Err(MergeError::Disorder(self.side));
            }
        }
        Ok(())
    }
}
