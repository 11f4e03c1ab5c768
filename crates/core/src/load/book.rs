//! What a batch says about its units and rows: accounts, rejects, mappings, and what was seen.

use std::collections::BTreeMap;

use whimbrel_endpoint::EndpointError;
use whimbrel_ledger::{
    Archived, Item, Mapping, Reject, RejectStatus, Seen, archive, mapping, reject,
};
use whimbrel_model::wce::{self, Decoded};
use whimbrel_model::{Account, Class, Digest, RowClass, ValueRef};

use super::digests::key_text;
use super::judge::{Losers, Winner, Written};
use super::produced::{Produced, Reached, Refusal, Rows, Unit};
use super::writer::{OpenBatch, StepContext, UnitEnd};

impl OpenBatch {
    /// Gives every unit that is still open its class, and books the rows.
    pub(super) fn close(
        &mut self,
        written: &Written,
        produced: &Produced,
        ends: &mut [Option<UnitEnd>],
    ) {
        let mut best: Vec<Option<RowClass>> = vec![None; produced.units.len()];
        for row in 0..written.rows.len() {
            let unit = written.rows.units[row] as usize;
            if ends[unit].is_some() {
                continue;
            }
            let digest = &written.rows.digests[row];
            let bytes = u64::from(written.rows.bytes[row]);
            // Booked by what the transform made, so that a row that the target forgot is a gap.
            self.row_account.produced.add(digest, bytes);
            let Some(class) = written.classes[row] else { continue };
            match class {
                RowClass::Inserted => {
                    self.row_account.inserted.add(digest, bytes);
                    self.undo_inserts.push(written.rows.key(row), digest.truncated());
                }
                RowClass::Updated => self.row_account.updated.add(digest, bytes),
                RowClass::Unchanged => self.row_account.unchanged.add(digest, bytes),
            }
            best[unit] = Some(best[unit].map_or(class, |before| before.min(class)));
        }
        for (end, best) in ends.iter_mut().zip(best) {
            if end.is_none() {
                *end = Some(UnitEnd::Class(match best {
                    Some(RowClass::Inserted) => Class::Loaded,
                    Some(RowClass::Updated) => Class::Updated,
                    Some(RowClass::Unchanged) => Class::Unchanged,
                    None => Class::Filtered,
                }));
            }
        }
    }

    pub(super) async fn remember_seen(
        &mut self,
        context: &StepContext<'_>,
        items: &[Item],
        produced: &Produced,
        ends: &[Option<UnitEnd>],
        losers: &Losers,
    ) -> Result<(), EndpointError> {
        let mut keys: BTreeMap<usize, &[u8]> = BTreeMap::new();
        for (row, unit) in produced.rows.units.iter().enumerate() {
            keys.entry(*unit as usize).or_insert_with(|| produced.rows.key(row));
        }
        let mut rows = Vec::new();
        for (index, unit) in produced.units.iter().enumerate() {
            let won = matches!(
                ends[index],
                Some(UnitEnd::Class(
                    Class::Loaded | Class::Updated | Class::Unchanged | Class::Duplicate
                ))
            );
            let (true, false, Some(digest)) = (won, losers.contains_key(&index), unit.duplicate)
            else {
                continue;
            };
            let item = &items[unit.item];
            rows.push(Seen {
                step_table: context.table.name.clone(),
                digest: digest.to_vec(),
                source: item.source.clone(),
                source_file: item.source_file.clone(),
                record: unit.position.record,
                new_key: keys.get(&index).map(|key| key.to_vec()).unwrap_or_default(),
            });
        }
        mapping::put_seen(self.txn.as_mut(), &rows).await
    }

    pub(super) async fn remember_mappings(
        &mut self,
        context: &StepContext<'_>,
        items: &[Item],
        produced: &Produced,
        written: &Written,
        ends: &[Option<UnitEnd>],
        losers: Option<Losers>,
    ) -> Result<(), EndpointError> {
        let table = &context.table.name;
        let losers = losers.unwrap_or_default();
        let entry = |unit: &Unit,
                     legacy: &str,
                     new_id: String,
                     key: &[u8],
                     digest: &Digest,
                     winner,
                     nth| {
            let item = &items[unit.item];
            Mapping {
                legacy_type: table.clone(),
                legacy_id: legacy.to_owned(),
                new_type: table.clone(),
                new_id,
                new_key: key.to_vec(),
                content_hash: digest.0.to_vec(),
                source: item.source.clone(),
                source_file: item.source_file.clone(),
                record: unit.position.record,
                nth,
                winner,
                run: context.run.to_owned(),
            }
        };
        let mut rows = Vec::new();
        let mut nth = Nth::default();
        for row in 0..written.rows.len() {
            if written.classes[row].is_none() {
                continue;
            }
            let unit = &produced.units[written.rows.units[row] as usize];
            let digest = &written.rows.digests[row];
            let id = key_text(&context.table, written.rows.chunk.row(row));
            let legacy = &written.rows.legacy[row];
            let key = written.rows.key(row);
            rows.push(entry(unit, legacy, id, key, digest, true, nth.of(&written.rows, row)));
        }
        for row in 0..produced.rows.len() {
            let index = produced.rows.units[row] as usize;
            if !matches!(ends[index], Some(UnitEnd::Class(Class::Duplicate))) {
                continue;
            }
            let unit = &produced.units[index];
            let digest = &produced.rows.digests[row];
            let legacy = &produced.rows.legacy[row];
            if let Some(Winner { key, .. }) = losers.get(&index) {
                rows.push(entry(unit, legacy, winner_text(key), key, digest, false, 0));
            } else if has_one_row(&produced.rows, row) {
                // `existing = "keep"`: the row that stands under its key. Of several some may not stand.
                let id = key_text(&context.table, produced.rows.chunk.row(row));
                rows.push(entry(unit, legacy, id, produced.rows.key(row), digest, false, 0));
            }
        }
        mapping::put(self.txn.as_mut(), &rows).await
    }

    pub(super) async fn archive(
        &mut self,
        context: &StepContext<'_>,
        items: &[Item],
        units: &[Unit],
        ends: &[Option<UnitEnd>],
    ) -> Result<(), EndpointError> {
        let mut rows = Vec::new();
        for (unit, end) in units.iter().zip(ends) {
            let refused = matches!(end, Some(UnitEnd::Refused(_)));
            if let (false, Some(content)) = (refused, &unit.archive) {
                let item = &items[unit.item];
                rows.push(Archived {
                    run: context.run.to_owned(),
                    step: context.step,
                    unit: unit.ordinal,
                    source: item.source.clone(),
                    source_file: item.source_file.clone(),
                    record: unit.position.record,
                    content: content.clone(),
                });
            }
        }
        archive::put(self.txn.as_mut(), &rows).await
    }

    /// Books every unit under its class, and makes rejects of the refused ones; returns the classes.
    pub(super) fn account(
        &mut self,
        context: &StepContext<'_>,
        items: &mut [Item],
        produced: &Produced,
        ends: Vec<Option<UnitEnd>>,
    ) -> Result<Vec<Class>, EndpointError> {
        let mut booked = Account::default();
        let mut classes = Vec::with_capacity(produced.units.len());
        for (unit, end) in produced.units.iter().zip(ends) {
            let item = &mut items[unit.item];
            let len = (unit.raw.1 - unit.raw.0) as u64;
            booked.read.add(&unit.digest, len);
            let class = match end.expect("every unit has an end") {
                UnitEnd::Class(class) => class,
                UnitEnd::Refused(refusal) => {
                    let bytes = &produced.raw[unit.raw.0..unit.raw.1];
                    self.rejects.push(Self::reject(context, item, unit, bytes, *refusal)?);
                    Class::Rejected
                }
            };
            booked.class_mut(class).add(&unit.digest, len);
            item.counts.count(class);
            classes.push(class);
        }
        self.units.merge(&booked);
        Ok(classes)
    }

    /// Rejects of earlier runs whose units were read again just now: fixed, or superseded by a
    /// reject of this run.
    pub(super) async fn resolve(
        &mut self,
        context: &StepContext<'_>,
        item: &Item,
        reached: &Reached,
        by_unit: BTreeMap<u64, Class>,
    ) -> Result<(), EndpointError> {
        let mut ranges = Vec::new();
        if let (Some((first, _)), Some((last, _))) =
            (by_unit.first_key_value(), by_unit.last_key_value())
        {
            ranges.push((*first, *last));
        }
        // A file that was rejected as a whole has its own reject, under the item's first unit.
        if reached.end.is_some() && !by_unit.contains_key(&item.first_unit) {
            ranges.push((item.first_unit, item.first_unit));
        }
        for (run, step) in &context.origins {
            for (first, last) in &ranges {
                let txn = self.txn.as_mut();
                for mut reject in reject::open_between(txn, run, *step, *first, *last).await? {
                    let whole = reject.unit == item.first_unit && reached.end.is_some();
                    let (status, resolution) = match by_unit.get(&reject.unit) {
                        Some(Class::Rejected) => (RejectStatus::Superseded, "rejected again"),
                        Some(class) => (RejectStatus::Fixed, class.name()),
                        None if whole => (RejectStatus::Fixed, "the file was read"),
                        None => continue,
                    };
                    reject.status = status;
                    reject.resolution = Some(resolution.to_owned());
                    reject.resolved_by = Some(context.run.to_owned());
                    self.resolved.push(reject);
                }
            }
        }
        Ok(())
    }

    fn reject(
        context: &StepContext<'_>,
        item: &Item,
        unit: &Unit,
        bytes: &[u8],
        refusal: Refusal,
    ) -> Result<Reject, EndpointError> {
        let spilled = bytes.len() > reject::INLINE_BYTES;
        let spill = if spilled {
            let spill = &context.ports.spill;
            Some(spill.keep(context.run, context.step, unit.ordinal, bytes)?)
        } else {
            None
        };
        Ok(Reject {
            run: context.run.to_owned(),
            step: context.step,
            unit: unit.ordinal,
            source: item.source.clone(),
            source_file: item.source_file.clone(),
            record: unit.position.record,
            line: unit.position.line,
            byte_offset: unit.position.byte,
            byte_len: bytes.len() as u64,
            stage: refusal.stage,
            code: refusal.code,
            target_table: context.table.name.clone(),
            target_column: refusal.column,
            source_field: refusal.field,
            value: refusal.value,
            rule: refusal.rule,
            message: refusal.message,
            digest: unit.digest.0.to_vec(),
            bytes: (!spilled).then(|| bytes.to_vec()),
            spill,
            status: RejectStatus::Open,
            fixed_bytes: None,
            resolved_by: None,
            resolution: None,
            resolved_at: None,
        })
    }
}

/// Whether the row is its record's only one.
fn has_one_row(rows: &Rows, row: usize) -> bool {
    let unit = rows.units[row];
    let is_other = |other: Option<&u32>| other != Some(&unit);
    is_other(row.checked_sub(1).and_then(|before| rows.units.get(before)))
        && is_other(rows.units.get(row + 1))
}

/// Counts the rows of a record under a legacy key, for records that become several rows.
#[derive(Default)]
struct Nth<'r> {
    unit: Option<u32>,
    keys: BTreeMap<&'r str, BTreeMap<&'r [u8], u64>>,
}

impl<'r> Nth<'r> {
    /// How many other rows the record has under the legacy key of this row, up to it.
    fn of(&mut self, rows: &'r Rows, row: usize) -> u64 {
        let unit = rows.units[row];
        let goes_on = self.unit == Some(unit);
        if !goes_on {
            self.unit = Some(unit);
            self.keys.clear();
        }
        if !goes_on && rows.units.get(row + 1) != Some(&unit) {
            return 0;
        }
        let keys = self.keys.entry(&rows.legacy[row]).or_default();
        let next = keys.len() as u64;
        *keys.entry(rows.key(row)).or_insert(next)
    }
}

/// A winner's key for people, from its encoding.
fn winner_text(key: &[u8]) -> String {
    let shown = |value: &Decoded| match value {
        Decoded::Int(value) => value.to_string(),
        Decoded::Text(text) | Decoded::Decimal(text) => text.clone(),
        Decoded::Uuid(uuid) => ValueRef::Uuid(*uuid).to_string(),
        other => format!("{other:?}"),
    };
    wce::decode(key).unwrap_or_default().iter().map(shown).collect::<Vec<_>>().join("/")
}
