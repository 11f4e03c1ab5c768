//! Rows that are not derived, and why nothing is wrong with them: whose load has written them last, and
//! that they are as that has left them.
//!
//! ```text
//! rows that differ ─▶ undo journal: the last load of each ─┬ of another plan, of a mapping or a version of
//!                                                         │ a file that is gone: explained
//!                                                         └ anything else: a difference
//! ```
//! A run that reads a changed file anew leaves the rows of its earlier version that have no successor, and
//! the bytes they came from are gone. That such a row is what was loaded then, its digest says.

use std::collections::BTreeMap;

use whimbrel_endpoint::{EndpointError, Feed};
use whimbrel_model::plan::Existing;
use whimbrel_model::{Table, wce};

use super::filled::Filled;
use super::journal::{self, Writer};
use super::remembered::Breaks;
use super::{Request, counted};
use crate::compare::{Found, How, found};
use crate::merge::{Difference, Tally};
use crate::sorter::Sorter;

/// Rows that differ and whose columns are kept until it is known which of them are explained.
const KEPT: usize = 1_000;

/// What may explain that a row differs.
#[derive(Clone, Copy)]
pub(super) struct Reasons<'a> {
    pub(super) filled: &'a Filled,
    /// The plan's name.
    pub(super) plan: &'a str,
    pub(super) breaks: Breaks,
    pub(super) existing: Existing,
}

impl Reasons<'_> {
    /// Whether any row may be explained.
    pub(super) fn are_any(&self) -> bool {
        !self.breaks.are_none() || self.has_others() || self.keeps()
    }

    fn has_others(&self) -> bool {
        self.filled.loads.iter().any(|load| load.run.plan != self.plan && !load.batches.is_empty())
    }

    /// Whether what stood there before the first load stays as it is.
    fn keeps(&self) -> bool {
        self.existing == Existing::Keep && self.filled.rows_before() != Some(0)
    }

    fn of(&self, writer: Writer, how: How) -> Option<&'static str> {
        let Self { filled, plan, breaks, .. } = *self;
        match writer {
            Writer::Nobody if how == How::Changed && self.keeps() => {
                Some("that was there and is kept")
            }
            Writer::Nobody | Writer::Other => None,
            Writer::Load(place) => {
                let load = filled.loads.get(place)?;
                let is_before = |turn: Option<u64>| turn.is_some_and(|turn| load.run.seq < turn);
                if load.run.plan != plan {
                    Some("that other plans have loaded")
                } else if is_before(breaks.renewed) {
                    Some("of earlier versions of the source")
                } else if is_before(breaks.remapped) {
                    Some("of the plan as it was before")
                } else {
                    None
                }
            }
        }
    }
}

/// Rows that differ, until it is known which of them are explained.
pub(super) struct Differing<'a> {
    reasons: Reasons<'a>,
    table: &'a Table,
    /// Rows that other values were derived for, as they stand.
    changed: Sorter,
    /// Rows that nothing was derived for.
    extra: Sorter,
    /// The first of both, by their encoded keys.
    kept: BTreeMap<Vec<u8>, Found>,
    failed: Option<EndpointError>,
}

/// Rows that differ, explained and not.
#[derive(Default)]
pub(super) struct Explained {
    /// How many of them for each reason.
    by: BTreeMap<&'static str, u64>,
    changed: u64,
    extra: u64,
    /// Of the others the first.
    pub(super) rest: Vec<Found>,
}

impl Explained {
    /// What differs without an explanation.
    pub(super) fn without(&self, tally: Tally) -> Tally {
        Tally { changed: tally.changed - self.changed, extra: tally.extra - self.extra, ..tally }
    }

    /// `2 rows of the plan as it was before`
    pub(super) fn said(&self) -> Vec<String> {
        let said =
            |(why, count): (&&'static str, &u64)| format!("{} {why}", counted(*count, "row"));
        self.by.iter().map(said).collect()
    }
}

impl<'a> Differing<'a> {
    pub(super) fn new(request: &Request<'_>, reasons: Reasons<'a>, table: &'a Table) -> Self {
        let sorter = || Sorter::new(request.room.clone(), table.columns.len(), &table.key);
        let (changed, extra) = (sorter(), sorter());
        Self { reasons, table, changed, extra, kept: BTreeMap::new(), failed: None }
    }

    /// Takes a row that differs.
    pub(super) fn take(&mut self, difference: Difference<'_>) {
        let (sorter, row) = match difference {
            Difference::Missing(_) => return,
            Difference::Extra(row) => (&mut self.extra, row),
            Difference::Changed { right, .. } => (&mut self.changed, right),
        };
        if let Err(error) = sorter.push(row) {
            self.failed.get_or_insert(error);
        }
        if self.kept.len() < KEPT {
            let mut key = Vec::new();
            for &column in &self.table.key {
                wce::cell(&mut key, self.table.columns[column].kind, row.get(column));
            }
            self.kept.insert(key, found(self.table, difference));
        }
    }

    /// Which of them are explained; `None` where it cannot be told.
    pub(super) async fn explained(
        self,
        request: &Request<'_>,
    ) -> Result<Option<Explained>, EndpointError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Self { reasons, table, changed, extra, mut kept, .. } = self;
        let mut explained = Explained::default();
        for (how, rows) in [(How::Changed, changed), (How::Extra, extra)] {
            let mut sink = |key: &[u8], writer| {
                if let Some(why) = reasons.of(writer, how) {
                    *explained.by.entry(why).or_default() += 1;
                    match how {
                        How::Changed => explained.changed += 1,
                        How::Extra | How::Missing => explained.extra += 1,
                    }
                    return;
                }
                // Of those that stood there before there may be any.
                let is_anybodys = how == How::Extra && reasons.filled.rows_before() != Some(0);
                if is_anybodys || explained.rest.len() >= request.samples {
                    return;
                }
                let bare = || Found {
                    how,
                    key: journal::key_values(key),
                    cells: Vec::new(),
                    unstable: false,
                };
                explained.rest.push(kept.remove(key).unwrap_or_else(bare));
            };
            let rows: Box<dyn Feed> = Box::new(rows.finish()?);
            let told = journal::writers(request, reasons.filled, table, rows, &mut sink).await?;
            if told.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(explained))
    }
}
