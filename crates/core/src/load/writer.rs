//! The single writer of a step: chunks in source order become batches of one transaction each.
//!
//! ```text
//! Produced ─▶ duplicates ─▶ write ─▶ taken? refused? ─▶ class of each unit ─▶ account
//!                                                                   │
//! batch full ─▶ undo, mappings, rejects, items (marks), batch row ──┴─▶ fence ─▶ commit
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::{EndpointError, Fence, RowFate, Txn, WriteMode, failpoint};
use whimbrel_ledger::undo::{InsertJournal, UndoUpdate};
use whimbrel_ledger::{
    Archived, Batch, Counts, Item, ItemStatus, Mapping, Reject, RejectStatus, Seen, Stage, archive,
    batch, item, mapping, reject, undo,
};
use whimbrel_model::plan::{DuplicateConflict, Existing};
use whimbrel_model::wce::{self, Decoded};
use whimbrel_model::{
    Account, ChunkBuilder, Class, Digest, RowAccount, RowClass, Table, Value, ValueRef,
};
use whimbrel_transform::Notes;

use super::digests::{RowDigester, key_text};
use super::produced::{Fate, Produced, Refusal, Rows, Unit};
use crate::ports::{Ports, rfc3339};

/// What a step writes, and how.
pub(crate) struct StepContext<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) run: &'a str,
    pub(crate) step: u64,
    pub(crate) fence: Fence,
    pub(crate) table: Table,
    pub(crate) existing: Existing,
    pub(crate) duplicates: Option<DuplicateConflict>,
    pub(crate) mappings: bool,
    pub(crate) digester: RowDigester,
}

/// The transaction under way and what it will account for.
pub(crate) struct Writer<'a> {
    context: StepContext<'a>,
    items: &'a mut [Item],
    next_batch: u64,
    open: Option<OpenBatch>,
    /// Units of the step by class, committed by all processes.
    pub(crate) committed: Counts,
}

struct OpenBatch {
    txn: Box<dyn Txn>,
    since: Duration,
    rows: u64,
    size: usize,
    units: Account,
    row_account: RowAccount,
    notes: Notes,
    undo_inserts: InsertJournal,
    undo_updates: Vec<UndoUpdate>,
    rejects: Vec<Reject>,
    /// Indexes of the items it has units of.
    touched: BTreeSet<usize>,
}

/// A committed batch, for the event.
pub(crate) struct Committed {
    pub(crate) batch: u64,
    pub(crate) units: u64,
    pub(crate) rows: u64,
    pub(crate) took: Duration,
    pub(crate) last_item: usize,
    /// Violations of each of the plan's rules.
    pub(crate) rules: BTreeMap<String, u64>,
}

/// How one unit ended.
enum UnitEnd {
    Class(Class),
    Refused(Box<Refusal>),
}

impl<'a> Writer<'a> {
    pub(crate) fn new(
        context: StepContext<'a>,
        items: &'a mut [Item],
        next_batch: u64,
        committed: Counts,
    ) -> Self {
        Self { context, items, next_batch, open: None, committed }
    }

    /// Rows and bytes of the open batch, and how long it has been open.
    pub(crate) fn load(&self) -> (u64, usize, Duration) {
        self.open.as_ref().map_or((0, 0, Duration::ZERO), |open| {
            (open.rows, open.size, self.context.ports.clock.monotonic().saturating_sub(open.since))
        })
    }

    /// The items, with what is committed of them.
    pub(crate) fn items(&self) -> &[Item] {
        self.items
    }

    /// Takes the next units of an item into the open batch.
    pub(crate) async fn accept(
        &mut self,
        item: usize,
        produced: Produced,
    ) -> Result<(), EndpointError> {
        if self.open.is_none() {
            self.open = Some(self.begin().await?);
        }
        let open = self.open.as_mut().expect("a batch was begun");
        open.take(&self.context, &mut self.items[item], item, produced).await
    }

    async fn begin(&self) -> Result<OpenBatch, EndpointError> {
        let txn = self.context.ports.target.begin(self.context.fence).await?;
        Ok(OpenBatch {
            txn,
            since: self.context.ports.clock.monotonic(),
            rows: 0,
            size: 0,
            units: Account::default(),
            row_account: RowAccount::default(),
            notes: Notes::default(),
            undo_inserts: InsertJournal::default(),
            undo_updates: Vec::new(),
            rejects: Vec::new(),
            touched: BTreeSet::new(),
        })
    }

    /// Commits the open batch: rows, undo, rejects, marks and accounts, or nothing of it.
    pub(crate) async fn commit(&mut self) -> Result<Option<Committed>, CommitError> {
        let Some(mut open) = self.open.take() else { return Ok(None) };
        if !open.units.balances() || !open.row_account.balances() {
            return Err(CommitError::Unbalanced {
                table: self.context.table.name.clone(),
                units: Box::new(open.units),
                rows: Box::new(open.row_account),
            });
        }
        failpoint!("core.batch.before_bookkeeping");
        let context = &self.context;
        let now = rfc3339(context.ports.clock.now());
        let touched: Vec<Item> =
            open.touched.iter().map(|&index| self.items[index].clone()).collect();
        let table = &context.table.name;
        open.undo_updates.iter_mut().for_each(|update| update.batch = self.next_batch);
        undo::put(
            open.txn.as_mut(),
            context.run,
            context.step,
            self.next_batch,
            table,
            &open.undo_inserts,
            &open.undo_updates,
        )
        .await?;
        reject::put(open.txn.as_mut(), &open.rejects).await?;
        failpoint!("core.batch.before_mark");
        item::put(open.txn.as_mut(), &touched).await?;
        let row = Batch {
            run: context.run.to_owned(),
            step: context.step,
            batch: self.next_batch,
            fence: context.fence.0,
            first_item: touched.first().map_or(0, |item| item.ordinal),
            last_item: touched.last().map_or(0, |item| item.ordinal),
            units: open.units,
            rows: open.row_account,
            notes: open.notes.to_json(),
            committed_at: now,
        };
        batch::put(open.txn.as_mut(), &row).await?;
        failpoint!("core.batch.before_commit");
        let rules = open.violations();
        open.txn.commit().await?;
        failpoint!("core.batch.after_commit");
        self.committed.add(&Counts::of(&open.units));
        self.next_batch += 1;
        Ok(Some(Committed {
            batch: row.batch,
            units: open.units.read.n(),
            rows: open.row_account.inserted.n() + open.row_account.updated.n(),
            took: context.ports.clock.monotonic().saturating_sub(open.since),
            last_item: open.touched.last().copied().unwrap_or(0),
            rules,
        }))
    }

    /// Drops the open batch; nothing of it was ever there.
    pub(crate) async fn abandon(&mut self) -> Result<(), EndpointError> {
        match self.open.take() {
            Some(open) => open.txn.rollback().await,
            None => Ok(()),
        }
    }
}

/// A batch could not be committed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    #[error("the accounts of a batch of `{table}` do not balance")]
    Unbalanced { table: String, units: Box<Account>, rows: Box<RowAccount> },
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
}

impl OpenBatch {
    /// How often each rule was broken: by rejected units and by warned ones.
    fn violations(&self) -> BTreeMap<String, u64> {
        let mut rules = BTreeMap::new();
        for reject in &self.rejects {
            if let Some(rule) = &reject.rule {
                *rules.entry(rule.clone()).or_default() += 1;
            }
        }
        for (key, note) in self.notes.iter().filter(|(key, _)| !key.rule.is_empty()) {
            *rules.entry(key.rule.to_string()).or_default() += note.count;
        }
        rules
    }

    async fn take(
        &mut self,
        context: &StepContext<'_>,
        item: &mut Item,
        index: usize,
        produced: Produced,
    ) -> Result<(), EndpointError> {
        self.size += produced.size;
        self.rows += produced.rows.len().max(produced.units.len()) as u64;
        let mut ends = self.foregone(&produced.units);
        let duplicates = self.find_duplicates(context, item, &produced, &mut ends).await?;
        let rows = wanted(&produced.rows, &ends);
        let written = self.write(context, item, &produced, rows, &mut ends).await?;
        if let Some(kept) = &duplicates {
            self.remember_seen(context, item, &produced, &ends, kept).await?;
        }
        if context.mappings {
            self.remember_mappings(context, item, &produced, &written, &ends, duplicates).await?;
        }
        self.archive(context, item, &produced.units, &ends).await?;
        self.account(context, item, index, &produced, ends)?;
        self.notes.merge(produced.notes);
        item.mark = produced.mark;
        item.state = Some(produced.state);
        item.status = ItemStatus::Running;
        if let Some(end) = produced.end {
            item.status = ItemStatus::Completed;
            item.lines = Some(end.lines);
            item.skipped = Some(end.skipped);
        }
        Ok(())
    }

    /// Units whose end the transform has decided.
    fn foregone(&self, units: &[Unit]) -> Vec<Option<UnitEnd>> {
        let _ = self;
        units
            .iter()
            .map(|unit| match &unit.fate {
                Fate::Rows => None,
                Fate::Filtered => Some(UnitEnd::Class(Class::Filtered)),
                Fate::Rejected(refusal) => Some(UnitEnd::Refused(Box::new((**refusal).clone()))),
            })
            .collect()
    }

    /// Ends the units that an earlier unit has won over; returns the winner's key by unit.
    async fn find_duplicates(
        &mut self,
        context: &StepContext<'_>,
        item: &Item,
        produced: &Produced,
        ends: &mut [Option<UnitEnd>],
    ) -> Result<Option<BTreeMap<usize, Vec<u8>>>, EndpointError> {
        let Some(conflict) = context.duplicates else { return Ok(None) };
        let digests: Vec<[u8; 16]> =
            produced.units.iter().filter_map(|unit| unit.duplicate).collect();
        let seen = mapping::seen(self.txn.as_mut(), &context.table.name, &digests).await?;
        let mut first_rows: BTreeMap<usize, usize> = BTreeMap::new();
        for (row, unit) in produced.rows.units.iter().enumerate() {
            first_rows.entry(*unit as usize).or_insert(row);
        }
        let mut here: BTreeMap<[u8; 16], usize> = BTreeMap::new();
        let mut winners = BTreeMap::new();
        for (index, unit) in produced.units.iter().enumerate() {
            let (None, Some(digest)) = (&ends[index], unit.duplicate) else { continue };
            let before = match seen.get(digest.as_slice()) {
                Some(seen) if is_itself(seen, item, unit) => None,
                Some(seen) => {
                    Some((seen.new_key.clone(), format!("{}:{}", seen.source_file, seen.record)))
                }
                None => here.get(&digest).map(|&first| {
                    let key = first_rows.get(&first).map(|&row| produced.rows.key(row).to_vec());
                    let place =
                        format!("{}:{}", item.source_file, produced.units[first].position.record);
                    (key.unwrap_or_default(), place)
                }),
            };
            let Some((key, place)) = before else {
                here.entry(digest).or_insert(index);
                continue;
            };
            ends[index] = Some(match conflict {
                DuplicateConflict::Map => UnitEnd::Class(Class::Duplicate),
                DuplicateConflict::Reject => UnitEnd::Refused(Box::new(Refusal {
                    stage: Stage::Transform,
                    code: "WB0601".to_owned(),
                    column: None,
                    field: None,
                    value: None,
                    rule: Some("duplicates".to_owned()),
                    message: format!("the same was read before, as record `{place}`"),
                })),
            });
            winners.insert(index, key);
        }
        Ok(Some(winners))
    }

    /// Writes the rows, looks into taken keys, and ends every unit that is still open.
    async fn write(
        &mut self,
        context: &StepContext<'_>,
        item: &Item,
        produced: &Produced,
        mut rows: Arc<Rows>,
        ends: &mut [Option<UnitEnd>],
    ) -> Result<Written, EndpointError> {
        loop {
            let fates = match rows.len() {
                0 => Vec::new(),
                _ => {
                    self.txn
                        .write(&context.table, Arc::clone(&rows.chunk), WriteMode::Insert)
                        .await?
                }
            };
            failpoint!("core.batch.after_write");
            let mut written = Written { classes: vec![None; rows.len()], rows };
            let mut updates = Vec::new();
            self.judge(context, item, produced, &fates, &mut written, &mut updates, ends).await?;
            let torn = written.torn(ends);
            if torn.is_empty() {
                self.apply_updates(context, &written, updates).await?;
                self.close(&written, produced, ends);
                return Ok(written);
            }
            // A unit of several rows was refused in part: take back what was inserted of this
            // chunk and write it again without that unit.
            self.take_back(context, &written).await?;
            let kept: BTreeSet<usize> =
                (0..produced.units.len()).filter(|unit| ends[*unit].is_none()).collect();
            rows = Arc::new(written.rows.retain(|unit| kept.contains(&unit)));
        }
    }

    /// Gives every row its class, or its unit a refusal.
    #[allow(clippy::too_many_arguments)]
    async fn judge(
        &mut self,
        context: &StepContext<'_>,
        item: &Item,
        produced: &Produced,
        fates: &[RowFate],
        written: &mut Written,
        updates: &mut Vec<Update>,
        ends: &mut [Option<UnitEnd>],
    ) -> Result<(), EndpointError> {
        let mut taken = Vec::new();
        for (row, fate) in fates.iter().enumerate() {
            match fate {
                RowFate::Inserted => written.classes[row] = Some(RowClass::Inserted),
                RowFate::Taken => taken.push(row),
                RowFate::Refused { code, subject, message } => {
                    let unit = written.rows.units[row] as usize;
                    ends[unit] = Some(UnitEnd::Refused(Box::new(Refusal {
                        stage: Stage::Target,
                        code: (*code).to_owned(),
                        column: subject.clone(),
                        field: None,
                        value: None,
                        rule: None,
                        message: message.clone(),
                    })));
                }
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let stored = self.stored(context, &written.rows, &taken).await?;
        for (row, before) in taken.into_iter().zip(stored) {
            let unit = written.rows.units[row] as usize;
            let Some(before) = before else {
                ends[unit] = Some(UnitEnd::Refused(Box::new(taken_elsewhere(context))));
                continue;
            };
            let (digest, image) = context.digester.stored(&before);
            if digest == written.rows.digests[row] {
                written.classes[row] = Some(RowClass::Unchanged);
                continue;
            }
            let key = written.rows.key(row).to_vec();
            let mine = mapping::of_key(self.txn.as_mut(), &context.table.name, &key).await?;
            match decide(context, item, &produced.units[unit], mine.as_ref(), &digest) {
                Decision::Update => {
                    written.classes[row] = Some(RowClass::Updated);
                    updates.push(Update { row, key, before: image });
                }
                Decision::Keep => {
                    if ends[unit].is_none() {
                        ends[unit] = Some(UnitEnd::Class(Class::Duplicate));
                    }
                }
                Decision::Refuse(refusal) => ends[unit] = Some(UnitEnd::Refused(Box::new(refusal))),
            }
        }
        Ok(())
    }

    async fn stored(
        &mut self,
        context: &StepContext<'_>,
        rows: &Rows,
        taken: &[usize],
    ) -> Result<Vec<Option<Vec<Value>>>, EndpointError> {
        let keys = key_chunk(&context.table, rows, taken.iter().copied());
        self.txn.read_for_update(&context.table, &keys).await
    }

    async fn take_back(
        &mut self,
        context: &StepContext<'_>,
        written: &Written,
    ) -> Result<(), EndpointError> {
        let inserted = written.of_class(RowClass::Inserted);
        let keys = key_chunk(&context.table, &written.rows, inserted);
        if keys.is_empty() {
            return Ok(());
        }
        self.txn.remove(&context.table, &keys).await.map(|_removed| ())
    }

    async fn apply_updates(
        &mut self,
        context: &StepContext<'_>,
        written: &Written,
        updates: Vec<Update>,
    ) -> Result<(), EndpointError> {
        if updates.is_empty() {
            return Ok(());
        }
        let chunk = &written.rows.chunk;
        let mut builder = ChunkBuilder::new(chunk.width());
        for update in updates {
            let row = chunk.row(update.row);
            row.values().for_each(|value| builder.push(value));
            builder.end_row();
            let mut after = Vec::new();
            context.digester.encode(row, &mut after);
            self.undo_updates.push(UndoUpdate {
                run: context.run.to_owned(),
                step: context.step,
                batch: 0,
                seq: self.undo_updates.len() as u64,
                target_table: context.table.name.clone(),
                row_key: update.key,
                before: update.before,
                after,
            });
        }
        self.txn.update(&context.table, &builder.finish()).await
    }

    /// Gives every unit that is still open its class, and books the rows.
    fn close(&mut self, written: &Written, produced: &Produced, ends: &mut [Option<UnitEnd>]) {
        let mut best: Vec<Option<RowClass>> = vec![None; produced.units.len()];
        for row in 0..written.rows.len() {
            let unit = written.rows.units[row] as usize;
            let Some(class) = written.classes[row] else { continue };
            let digest = &written.rows.digests[row];
            let bytes = u64::from(written.rows.bytes[row]);
            self.row_account.produced.add(digest, bytes);
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

    async fn remember_seen(
        &mut self,
        context: &StepContext<'_>,
        item: &Item,
        produced: &Produced,
        ends: &[Option<UnitEnd>],
        losers: &BTreeMap<usize, Vec<u8>>,
    ) -> Result<(), EndpointError> {
        let mut keys: BTreeMap<usize, &[u8]> = BTreeMap::new();
        for (row, unit) in produced.rows.units.iter().enumerate() {
            keys.entry(*unit as usize).or_insert_with(|| produced.rows.key(row));
        }
        let mut rows = Vec::new();
        for (index, unit) in produced.units.iter().enumerate() {
            let won = matches!(
                ends[index],
                Some(UnitEnd::Class(Class::Loaded | Class::Updated | Class::Unchanged))
            );
            let (true, false, Some(digest)) = (won, losers.contains_key(&index), unit.duplicate)
            else {
                continue;
            };
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

    async fn remember_mappings(
        &mut self,
        context: &StepContext<'_>,
        item: &Item,
        produced: &Produced,
        written: &Written,
        ends: &[Option<UnitEnd>],
        losers: Option<BTreeMap<usize, Vec<u8>>>,
    ) -> Result<(), EndpointError> {
        let table = &context.table.name;
        let losers = losers.unwrap_or_default();
        let entry =
            |unit: &Unit, legacy: &str, new_id: String, key: &[u8], digest: &Digest, winner| {
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
                    winner,
                    run: context.run.to_owned(),
                }
            };
        let mut rows = Vec::new();
        for row in 0..written.rows.len() {
            if written.classes[row].is_none() {
                continue;
            }
            let unit = &produced.units[written.rows.units[row] as usize];
            let digest = &written.rows.digests[row];
            let id = key_text(&context.table, written.rows.chunk.row(row));
            let legacy = &written.rows.legacy[row];
            rows.push(entry(unit, legacy, id, written.rows.key(row), digest, true));
        }
        for row in 0..produced.rows.len() {
            let index = produced.rows.units[row] as usize;
            let lost = matches!(ends[index], Some(UnitEnd::Class(Class::Duplicate)));
            if let (true, Some(key)) = (lost, losers.get(&index)) {
                let unit = &produced.units[index];
                let digest = &produced.rows.digests[row];
                let legacy = &produced.rows.legacy[row];
                rows.push(entry(unit, legacy, winner_text(key), key, digest, false));
            }
        }
        mapping::put(self.txn.as_mut(), &rows).await
    }

    async fn archive(
        &mut self,
        context: &StepContext<'_>,
        item: &Item,
        units: &[Unit],
        ends: &[Option<UnitEnd>],
    ) -> Result<(), EndpointError> {
        let mut rows = Vec::new();
        for (unit, end) in units.iter().zip(ends) {
            let refused = matches!(end, Some(UnitEnd::Refused(_)));
            if let (false, Some(content)) = (refused, &unit.archive) {
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

    /// Books every unit under its class, and makes rejects of the refused ones.
    fn account(
        &mut self,
        context: &StepContext<'_>,
        item: &mut Item,
        index: usize,
        produced: &Produced,
        ends: Vec<Option<UnitEnd>>,
    ) -> Result<(), EndpointError> {
        let mut booked = Account::default();
        for (unit, end) in produced.units.iter().zip(ends) {
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
        }
        self.units.merge(&booked);
        item.counts.add(&Counts::of(&booked));
        self.touched.insert(index);
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

/// Rows that were handed to the target, with the class of each that stands there now.
struct Written {
    rows: Arc<Rows>,
    classes: Vec<Option<RowClass>>,
}

struct Update {
    row: usize,
    key: Vec<u8>,
    before: Vec<u8>,
}

impl Written {
    /// Units that were refused, or lost, although some of their rows went in.
    fn torn(&self, ends: &[Option<UnitEnd>]) -> BTreeSet<u32> {
        let went_in = |row: &usize| self.classes[*row].is_some();
        (0..self.rows.len())
            .filter(went_in)
            .map(|row| self.rows.units[row])
            .filter(|unit| ends[*unit as usize].is_some())
            .collect()
    }

    fn of_class(&self, class: RowClass) -> impl Iterator<Item = usize> {
        (0..self.rows.len()).filter(move |row| self.classes[*row] == Some(class))
    }
}

fn wanted(rows: &Arc<Rows>, ends: &[Option<UnitEnd>]) -> Arc<Rows> {
    let all = rows.units.iter().all(|unit| ends[*unit as usize].is_none());
    if all { Arc::clone(rows) } else { Arc::new(rows.retain(|unit| ends[unit].is_none())) }
}

fn key_chunk(
    table: &Table,
    rows: &Rows,
    which: impl Iterator<Item = usize>,
) -> whimbrel_model::Chunk {
    let mut builder = ChunkBuilder::new(table.key.len());
    for row in which {
        let row = rows.chunk.row(row);
        table.key.iter().for_each(|&column| builder.push(row.get(column)));
        builder.end_row();
    }
    builder.finish()
}

fn is_itself(seen: &Seen, item: &Item, unit: &Unit) -> bool {
    seen.source == item.source
        && seen.source_file == item.source_file
        && seen.record == unit.position.record
}

enum Decision {
    Update,
    Keep,
    Refuse(Refusal),
}

/// What to do with a row whose key holds another content.
fn decide(
    context: &StepContext<'_>,
    item: &Item,
    unit: &Unit,
    mine: Option<&Mapping>,
    stored: &Digest,
) -> Decision {
    let refusal = |code: &str, message: String| {
        Decision::Refuse(Refusal {
            stage: Stage::Target,
            code: code.to_owned(),
            column: None,
            field: None,
            value: None,
            rule: None,
            message,
        })
    };
    match (context.existing, mine) {
        (Existing::Keep, _) => Decision::Keep,
        (Existing::Reject, _) => {
            refusal("WB0602", "the key is taken by a row with another content".to_owned())
        }
        (Existing::Update, None) => Decision::Update,
        (Existing::Update, Some(mine)) => {
            let same_record = mine.source_file == item.source_file
                && mine.source == item.source
                && mine.record == unit.position.record;
            if !same_record && mine.run == context.run {
                let place = format!("{}:{}", mine.source_file, mine.record);
                refusal(
                    "WB0603",
                    format!("the key belongs to another record of this run, `{place}`"),
                )
            } else if mine.content_hash != stored.0 {
                refusal(
                    "WB0604",
                    format!("the row was edited by someone else since run `{}` wrote it", mine.run),
                )
            } else {
                Decision::Update
            }
        }
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

fn taken_elsewhere(context: &StepContext<'_>) -> Refusal {
    Refusal {
        stage: Stage::Target,
        code: "WB0605".to_owned(),
        column: None,
        field: None,
        value: None,
        rule: None,
        message: format!(
            "`{}` refuses the row as a duplicate, but holds no row under its key",
            context.table.name
        ),
    }
}
