//! Where old keys lead: what the ledger says of each record against what is derived.
//!
//! ```text
//! derived units        (old key, record) ─▶ key of its row ─┐
//! legacy_mappings      (old key, record) ─▶ new_key ────────┴─ sorted here, merged
//! ```

use std::collections::{BTreeMap, BTreeSet};

use blake3::Hasher;
use whimbrel_endpoint::{EndpointError, RowOrder, Snapshot};
use whimbrel_ledger::tables;
use whimbrel_model::{ChunkBuilder, Kind, Table, ValueRef, wce};

use super::remembered::Breaks;
use super::{Checked, Status, counted};
use crate::interpret::{Derived, Led};
use crate::merge::{Difference, MergeError, merge};
use crate::sorter::{Room, Sorter};

/// Old key and record, where it leads, and for people: table, file, record; then the run.
const WIDTH: usize = 6;

/// Of these, what is compared.
const COMPARED: usize = 5;

/// Records that are named.
const NAMED: usize = 5;

/// The old keys of all tables that were derived.
pub(super) struct Mappings {
    derived: Sorter,
    room: Room,
    tables: BTreeMap<String, LookedAt>,
}

/// A table whose old keys are looked at.
#[derive(Clone, Copy)]
struct LookedAt {
    /// Earlier versions of its files may have left some.
    breaks: Breaks,
    /// Whose row an old key leads to, the record's own or one that it met, cannot be told.
    keeps: bool,
}

/// Whose a run is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// The plan's, with its sequence number.
    Own(u64),
    /// Another plan's.
    Other,
}

/// How the key of a row stands in the ledger.
pub(super) struct KeyOf<'t> {
    table: &'t Table,
    /// For each column of the table's key, its place in the plan's.
    places: Vec<Option<usize>>,
    /// Whose row it is, the record's own or one that it met, cannot be told.
    keeps: bool,
}

impl<'t> KeyOf<'t> {
    /// The plan's key is called so.
    pub(super) fn new(table: &'t Table, plan: &[&str], keeps: bool) -> Self {
        let place = |&column: &usize| {
            let name = &table.columns[column].name;
            plan.iter().position(|key| key == name)
        };
        Self { table, places: table.key.iter().map(place).collect(), keeps }
    }

    fn encode(&self, led: &Led, out: &mut Vec<u8>) {
        for (column, place) in self.table.key.iter().zip(&self.places) {
            let value = place.and_then(|place| led.key.get(place));
            let value = value.map_or(ValueRef::Null, |value| value.as_ref());
            wce::cell(out, self.table.columns[*column].kind, value);
        }
        out.push(u8::from(led.winner || self.keeps));
    }
}

impl Mappings {
    pub(super) fn new(room: &Room) -> Self {
        let derived = Sorter::new(room.clone(), WIDTH, &[0]);
        Self { derived, room: room.clone(), tables: BTreeMap::new() }
    }

    /// A table whose old keys are looked at; `keeps` where it cannot be told whose row one leads to.
    pub(super) fn begin(&mut self, table: &str, breaks: Breaks, keeps: bool) {
        self.tables.insert(table.to_owned(), LookedAt { breaks, keeps });
    }

    pub(super) fn take(
        &mut self,
        key: &KeyOf<'_>,
        derived: &Derived<'_>,
    ) -> Result<(), EndpointError> {
        // Several rows of a record under one old key are told apart by the number of their keys.
        let mut met: BTreeMap<&str, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for led in &derived.led {
            let mut leads = Vec::new();
            key.encode(led, &mut leads);
            let known = met.entry(&led.old_key).or_default();
            let is_again = known.contains(&leads) || !led.winner && !known.is_empty();
            if is_again {
                continue;
            }
            let entry = Entry {
                table: &key.table.name,
                old_key: &led.old_key,
                source: derived.source,
                path: derived.path,
                record: derived.position.record,
                nth: known.len() as u64,
                leads: &leads,
                run: 0,
            };
            entry.push(&mut self.derived)?;
            known.insert(leads);
        }
        Ok(())
    }

    /// Compares with what the ledger says, of what these runs have written, by their ids.
    pub(super) async fn checks(
        self,
        snapshot: &dyn Snapshot,
        runs: &BTreeMap<&str, Origin>,
    ) -> Result<Vec<Checked>, EndpointError> {
        let Self { derived, room, tables: looked_at } = self;
        if looked_at.is_empty() {
            return Ok(Vec::new());
        }
        let mut written = Sorter::new(room, WIDTH, &[0]);
        let mut feed = snapshot.rows(&tables::MAPPINGS, RowOrder::Any).await?;
        while let Some(chunk) = feed.next().await? {
            for row in chunk.rows() {
                let text = |column| match row.get(column) {
                    ValueRef::Text(text) => text,
                    _ => "",
                };
                let number = |column| match row.get(column) {
                    ValueRef::Int(number) => u64::try_from(number).unwrap_or_default(),
                    _ => 0,
                };
                let (table, run) = (text(LEGACY_TYPE), text(RUN));
                // A run that nobody knows has no sequence number, and nothing excuses it.
                let run = match runs.get(run) {
                    Some(Origin::Other) => continue,
                    Some(Origin::Own(run)) => *run,
                    None => u64::MAX,
                };
                let Some(own) = looked_at.get(table) else { continue };
                let mut leads = match row.get(NEW_KEY) {
                    ValueRef::Bytes(key) => key.to_vec(),
                    _ => Vec::new(),
                };
                leads.push(u8::from(number(WINNER) == 1 || own.keeps));
                if text(NEW_TYPE) != table {
                    leads.extend_from_slice(text(NEW_TYPE).as_bytes());
                }
                let entry = Entry {
                    table,
                    old_key: text(LEGACY_ID),
                    source: text(SOURCE),
                    path: text(SOURCE_FILE),
                    record: number(RECORD),
                    nth: number(NTH),
                    leads: &leads,
                    run,
                };
                entry.push(&mut written)?;
            }
        }
        let (mut left, mut right) = (derived.finish()?, written.finish()?);
        let mut wrong: BTreeMap<String, Wrong> = BTreeMap::new();
        let mut sink = |difference: Difference<'_>| {
            let (row, what) = match difference {
                Difference::Missing(row) => (row, What::Missing),
                Difference::Extra(row) => (row, What::Extra),
                Difference::Changed { right, .. } => (right, What::Changed),
            };
            let (ValueRef::Text(table), ValueRef::Text(path), ValueRef::Int(record)) =
                (row.get(2), row.get(3), row.get(4))
            else {
                return;
            };
            let ValueRef::Int(run) = row.get(5) else { return };
            let is_earlier = |own: &LookedAt| {
                let before = own.breaks.renewed.max(own.breaks.remapped);
                before.is_some_and(|before| run < before.into())
            };
            let wrong = wrong.entry(table.to_owned()).or_default();
            if what == What::Extra && looked_at.get(table).is_some_and(is_earlier) {
                wrong.earlier += 1;
            } else {
                wrong.note(what, path, record);
            }
        };
        let kinds = [Kind::Any; COMPARED];
        match merge(&mut left, &mut right, &kinds, &[0], &mut sink).await {
            Ok(_) => {}
            Err(MergeError::Read(_, error)) => return Err(error),
            Err(MergeError::Disorder(_)) => unreachable!("both sides were sorted here"),
        }
        let check = |(table, own): (&String, &LookedAt)| {
            let check = Checked::passed("mapping", table);
            match wrong.get(table) {
                None => check,
                Some(wrong) if wrong.count == 0 => {
                    let message =
                        format!("{} of earlier versions", counted(wrong.earlier, "old key"));
                    check.ended(Status::Noted, message)
                }
                Some(wrong) if own.breaks.are_none() => {
                    check.ended(Status::Failed, wrong.message())
                }
                Some(wrong) => check.ended(Status::Unverified, wrong.message()),
            }
        };
        Ok(looked_at.iter().map(check).collect())
    }
}

/// Places in the ledger's table.
const LEGACY_TYPE: usize = 0;
const LEGACY_ID: usize = 1;
const NEW_TYPE: usize = 2;
const NEW_KEY: usize = 4;
const SOURCE: usize = 6;
const SOURCE_FILE: usize = 7;
const RECORD: usize = 8;
const NTH: usize = 9;
const WINNER: usize = 10;
const RUN: usize = 11;

/// Where an old key of a record leads.
struct Entry<'e> {
    table: &'e str,
    old_key: &'e str,
    source: &'e str,
    path: &'e str,
    record: u64,
    nth: u64,
    leads: &'e [u8],
    run: u64,
}

impl Entry<'_> {
    fn push(&self, sorter: &mut Sorter) -> Result<(), EndpointError> {
        let mut place = Hasher::new();
        for text in [self.table, self.old_key, self.source, self.path] {
            place.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
        place.update(&self.record.to_le_bytes()).update(&self.nth.to_le_bytes());
        let mut row = ChunkBuilder::new(WIDTH);
        row.push(ValueRef::Bytes(&place.finalize().as_bytes()[..16]));
        row.push(ValueRef::Bytes(self.leads));
        row.push(ValueRef::Text(self.table));
        row.push(ValueRef::Text(self.path));
        row.push(ValueRef::Int(self.record.into()));
        row.push(ValueRef::Int(self.run.into()));
        row.end_row();
        sorter.push(row.finish().row(0))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Changed,
    Missing,
    Extra,
}

/// What is wrong with the mappings of a table.
#[derive(Default)]
struct Wrong {
    named: Vec<String>,
    count: u64,
    /// Old keys that records of earlier versions have left.
    earlier: u64,
}

impl Wrong {
    fn note(&mut self, what: What, path: &str, record: i128) {
        self.count += 1;
        if self.named.len() < NAMED {
            let place = if record == 0 {
                format!("`{path}`")
            } else {
                format!("record {record} of `{path}`")
            };
            self.named.push(match what {
                What::Changed => format!("an old key of {place} leads to another row"),
                What::Missing => format!("an old key of {place} leads nowhere"),
                What::Extra => format!("{place} has an old key that it should not have"),
            });
        }
    }

    fn message(&self) -> String {
        let more = self.count - self.named.len() as u64;
        let named = self.named.join("; ");
        if more == 0 { named } else { format!("{named}; and {} more", counted(more, "old key")) }
    }
}
