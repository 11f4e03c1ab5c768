//! Units against the ledger's rejects: what should be one is one, and nothing else.

use std::collections::BTreeMap;

use whimbrel_ledger::Stage;

use super::filled::Filled;
use super::remembered::{Refusal, Remembered};
use super::{Checked, Status, counted};
use crate::interpret::{Derived, Fate, is_of_keys};

/// Units whose fate differs that are named.
const NAMED: usize = 5;

/// The rejects of one table that stand, asked for in the order of their files.
pub(super) struct Rejects<'k> {
    known: &'k Remembered,
    table: &'k str,
    /// The file that was asked for last.
    at: Option<(String, String, &'k BTreeMap<u64, Refusal>)>,
}

impl<'k> Rejects<'k> {
    pub(super) fn of(known: &'k Remembered, table: &'k str) -> Self {
        Self { known, table, at: None }
    }

    /// The reject of a unit.
    pub(super) fn find(&mut self, derived: &Derived<'_>) -> Option<&'k Refusal> {
        let Derived { source, path, position, .. } = *derived;
        if let Some((known, file, rejects)) = &self.at
            && known == source
            && file == path
        {
            return rejects.get(&position.record);
        }
        let rejects = self.known.rejects_of(self.table, source, path)?;
        self.at = Some((source.to_owned(), path.to_owned(), rejects));
        rejects.get(&position.record)
    }
}

/// Units against the ledger's rejects.
pub(super) struct Fates<'a> {
    table: &'a str,
    rejects: Rejects<'a>,
    /// SQL of the plan writes to the table: what a key meets there, the target alone knows.
    keys_are_others: bool,
    /// Rejects of the table that the derivation has met.
    met: u64,
    wrong: Vec<String>,
    count: u64,
}

impl<'a> Fates<'a> {
    pub(super) fn new(filled: &'a Filled, known: &'a Remembered) -> Self {
        let (table, keys_are_others) = (filled.name.as_str(), !filled.written_by.is_empty());
        let rejects = Rejects::of(known, table);
        Self { table, rejects, keys_are_others, met: 0, wrong: Vec::new(), count: 0 }
    }

    pub(super) fn take(&mut self, derived: &Derived<'_>) {
        let stage = self.rejects.find(derived).map(|known| known.stage);
        self.met += u64::from(stage.is_some());
        let record = derived.position.record;
        let place = || {
            if record == 0 {
                format!("`{}`", derived.path)
            } else {
                format!("record {record} of `{}`", derived.path)
            }
        };
        let said = match (&derived.fate, stage) {
            (Fate::Rejected { .. }, Some(_)) => return,
            (Fate::Rows(_) | Fate::Filtered(_) | Fate::Duplicate, None) => return,
            // It is for the target to say.
            (Fate::Rows(_) | Fate::Filtered(_) | Fate::Duplicate, Some(Stage::Target)) => return,
            (Fate::Rejected { reason, .. }, None) if self.keys_are_others && is_of_keys(reason) => {
                return;
            }
            (Fate::Rejected { reason, .. }, None) => {
                format!("{} is no reject, and should be one ({reason})", place())
            }
            (Fate::Rows(_) | Fate::Filtered(_) | Fate::Duplicate, Some(stage)) => {
                format!("{} is a reject ({}), and should be none", place(), stage.word())
            }
        };
        self.count += 1;
        if self.wrong.len() < NAMED {
            self.wrong.push(said);
        }
    }

    pub(super) fn check(mut self) -> Checked {
        let all = self.rejects.known.rejects(self.table);
        if all > self.met {
            self.count += all - self.met;
            self.wrong.push(format!("{} of no record", counted(all - self.met, "reject")));
        }
        let check = Checked::passed("fates", self.table).counts(all, self.met);
        if self.wrong.is_empty() {
            return check;
        }
        let more = self.count.saturating_sub(self.wrong.len() as u64);
        if more > 0 {
            self.wrong.push(format!("and {more} more"));
        }
        check.ended(Status::Failed, self.wrong.join("; "))
    }
}
