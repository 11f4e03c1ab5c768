//! What becomes of rows at the target: written, taken, refused; and of units: won over by an earlier
//! one, torn, ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use whimbrel_endpoint::{EndpointError, ErrorClass, RowFate, WriteMode, failpoint};
use whimbrel_ledger::undo::UndoUpdate;
use whimbrel_ledger::{Item, Mapping, Seen, Stage, mapping};
use whimbrel_model::plan::{DuplicateConflict, Existing};
use whimbrel_model::{ChunkBuilder, Class, Digest, RowClass, Table, Value};

use super::produced::{Fate, Produced, Refusal, Rows, Unit};
use super::writer::{OpenBatch, StepContext, UnitEnd};

/// A chunk whose units all have their ends.
pub(super) struct Settled {
    pub(super) written: Written,
    pub(super) ends: Vec<Option<UnitEnd>>,
    /// Units that an earlier one has won over, where the plan declares duplicates.
    pub(super) losers: Option<Losers>,
}

/// By the index of the unit that lost.
pub(super) type Losers = BTreeMap<usize, Winner>;

/// What a duplicate leads to.
pub(super) struct Winner {
    /// WCE-1 of its row's key.
    pub(super) key: Vec<u8>,
    /// Its index, where it stands in the same chunk.
    unit: Option<usize>,
}

impl OpenBatch {
    /// Finds duplicates, writes the rows, and gives every unit its end.
    ///
    /// A unit may have been refused when others had already lost to it, or found a key taken by its
    /// rows. Then what was written of the chunk is taken back, and all of it is judged again
    /// without the first such unit: its own end rests on earlier units only, so it is final.
    pub(super) async fn settle(
        &mut self,
        context: &StepContext<'_>,
        items: &[Item],
        produced: &Produced,
    ) -> Result<Settled, EndpointError> {
        let mut without: BTreeMap<usize, UnitEnd> = BTreeMap::new();
        loop {
            let mut ends = foregone(&produced.units);
            without.iter().for_each(|(unit, end)| ends[*unit] = Some(end.clone()));
            let losers = self.find_duplicates(context, items, produced, &mut ends).await?;
            let rows = wanted(&produced.rows, &ends);
            let (mut written, updates) =
                self.write(context, items, produced, rows, &mut ends).await?;
            let mut refused = relied_upon(&written, losers.as_ref(), &ends);
            if refused.is_none() {
                self.apply_updates(context, &mut written, &updates, &mut ends).await?;
                refused = relied_upon(&written, losers.as_ref(), &ends);
                if refused.is_some() {
                    self.put_back(context, &written, &updates).await?;
                }
            }
            let Some((unit, end)) = refused else {
                self.journal(context, &written, updates);
                self.close(&written, produced, &mut ends);
                return Ok(Settled { written, ends, losers });
            };
            self.take_back(context, &written).await?;
            without.insert(unit, end);
        }
    }

    /// Ends the units that an earlier unit has won over.
    async fn find_duplicates(
        &mut self,
        context: &StepContext<'_>,
        items: &[Item],
        produced: &Produced,
        ends: &mut [Option<UnitEnd>],
    ) -> Result<Option<Losers>, EndpointError> {
        let Some(conflict) = context.duplicates else { return Ok(None) };
        let digests: Vec<[u8; 16]> =
            produced.units.iter().filter_map(|unit| unit.duplicate).collect();
        let seen = mapping::seen(self.txn.as_mut(), &context.table.name, &digests).await?;
        let mut first_rows: BTreeMap<usize, usize> = BTreeMap::new();
        for (row, unit) in produced.rows.units.iter().enumerate() {
            first_rows.entry(*unit as usize).or_insert(row);
        }
        let mut here: BTreeMap<[u8; 16], usize> = BTreeMap::new();
        let mut losers = Losers::new();
        for (index, unit) in produced.units.iter().enumerate() {
            let (None, Some(digest)) = (&ends[index], unit.duplicate) else { continue };
            let before = match seen.get(digest.as_slice()) {
                Some(seen) if is_itself(seen, &items[unit.item], unit) => None,
                Some(seen) => {
                    let place = format!("{}:{}", seen.source_file, seen.record);
                    Some((Winner { key: seen.new_key.clone(), unit: None }, place))
                }
                None => here.get(&digest).map(|&first| {
                    let key = first_rows.get(&first).map(|&row| produced.rows.key(row).to_vec());
                    let winner = &produced.units[first];
                    let file = &items[winner.item].source_file;
                    let place = format!("{file}:{}", winner.position.record);
                    (Winner { key: key.unwrap_or_default(), unit: Some(first) }, place)
                }),
            };
            let Some((winner, place)) = before else {
                here.entry(digest).or_insert(index);
                continue;
            };
            ends[index] = Some(match conflict {
                DuplicateConflict::Map => UnitEnd::Class(Class::Duplicate),
                DuplicateConflict::Reject => {
                    let message = format!("the same was read before, as record `{place}`");
                    UnitEnd::Refused(Box::new(read_before(message)))
                }
            });
            losers.insert(index, winner);
        }
        Ok(Some(losers))
    }

    /// Writes the rows and looks into taken keys; units that are refused have their end then.
    async fn write(
        &mut self,
        context: &StepContext<'_>,
        items: &[Item],
        produced: &Produced,
        rows: Arc<Rows>,
        ends: &mut [Option<UnitEnd>],
    ) -> Result<(Written, Vec<Update>), EndpointError> {
        let mut updates = Vec::new();
        let classes = vec![None; rows.len()];
        let mut written = Written { classes, rows, owners: BTreeSet::new() };
        if written.rows.len() == 0 {
            return Ok((written, updates));
        }
        let chunk = Arc::clone(&written.rows.chunk);
        let fates = self.txn.write(&context.table, chunk, WriteMode::Insert).await?;
        failpoint!("core.batch.after_write");
        one_each("rows it was given to write", fates.len(), written.rows.len())?;
        self.judge(context, items, produced, &fates, &mut written, &mut updates, ends).await?;
        Ok((written, updates))
    }

    /// Gives every row its class, or its unit a refusal.
    #[allow(clippy::too_many_arguments)]
    async fn judge(
        &mut self,
        context: &StepContext<'_>,
        items: &[Item],
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
                RowFate::Updated => return Err(untrue("updated", "insert")),
                RowFate::Refused { code, subject, message } => {
                    let unit = written.rows.units[row] as usize;
                    ends[unit] = Some(at_target(context, code, subject.as_ref(), message));
                }
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        let stored = self.stored(context, &written.rows, &taken).await?;
        let rows = Arc::clone(&written.rows);
        // The row of these that owns a key; where it updates, the table does not show it yet.
        let mut owners: BTreeMap<&[u8], usize> =
            written.of_class(RowClass::Inserted).map(|row| (rows.key(row), row)).collect();
        for (row, before) in taken.into_iter().zip(stored) {
            let unit = rows.units[row] as usize;
            if let Some(&owner) = owners.get(rows.key(row)) {
                written.owners.insert(rows.units[owner] as usize);
                if rows.digests[owner] == rows.digests[row] {
                    written.classes[row] = Some(RowClass::Unchanged);
                    continue;
                }
                if context.existing == Existing::Update {
                    let other = &produced.units[rows.units[owner] as usize];
                    let file = &items[other.item].source_file;
                    let refusal = of_another_record(file, other.position.record);
                    ends[unit] = Some(UnitEnd::Refused(Box::new(refusal)));
                    continue;
                }
            }
            let Some(before) = before else {
                ends[unit] = Some(UnitEnd::Refused(Box::new(taken_elsewhere(context))));
                continue;
            };
            let (digest, image) = context.digester.stored(&before);
            if digest == rows.digests[row] {
                written.classes[row] = Some(RowClass::Unchanged);
                owners.insert(rows.key(row), row);
                continue;
            }
            let key = rows.key(row).to_vec();
            let mine = mapping::of_key(self.txn.as_mut(), &context.table.name, &key).await?;
            let about = &produced.units[unit];
            match decide(context, &items[about.item], about, &mine, &digest) {
                Decision::Update => {
                    written.classes[row] = Some(RowClass::Updated);
                    owners.insert(rows.key(row), row);
                    updates.push(Update { row, key, before, image });
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
        let stored = self.txn.read_for_update(&context.table, &keys).await?;
        one_each("keys it was asked for", stored.len(), taken.len())?;
        Ok(stored)
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

    /// Overwrites rows; one that the target refuses ends its unit, and stands as it stood.
    async fn apply_updates(
        &mut self,
        context: &StepContext<'_>,
        written: &mut Written,
        updates: &[Update],
        ends: &mut [Option<UnitEnd>],
    ) -> Result<(), EndpointError> {
        if updates.is_empty() {
            return Ok(());
        }
        let chunk = &written.rows.chunk;
        let mut builder = ChunkBuilder::new(chunk.width());
        for update in updates {
            chunk.row(update.row).values().for_each(|value| builder.push(value));
            builder.end_row();
        }
        let fates = self.txn.update(&context.table, &builder.finish()).await?;
        one_each("rows it was given to update", fates.len(), updates.len())?;
        for (Update { row, .. }, fate) in updates.iter().zip(&fates) {
            match fate {
                RowFate::Updated => {}
                RowFate::Refused { code, subject, message } => {
                    written.classes[*row] = None;
                    let unit = written.rows.units[*row] as usize;
                    let end = || at_target(context, code, subject.as_ref(), message);
                    ends[unit].get_or_insert_with(end);
                }
                RowFate::Inserted => return Err(untrue("inserted", "update")),
                RowFate::Taken => return Err(untrue("taken", "update")),
            }
        }
        Ok(())
    }

    /// Gives the rows that were overwritten what they held before, the last one first: then each
    /// meets the rows that were there when it was overwritten.
    async fn put_back(
        &mut self,
        context: &StepContext<'_>,
        written: &Written,
        updates: &[Update],
    ) -> Result<(), EndpointError> {
        let mut builder = ChunkBuilder::new(written.rows.chunk.width());
        let is_updated = |update: &&Update| written.classes[update.row].is_some();
        for update in updates.iter().rev().filter(is_updated) {
            update.before.iter().for_each(|value| builder.push(value.as_ref()));
            builder.end_row();
        }
        let before = builder.finish();
        if before.is_empty() {
            return Ok(());
        }
        let fates = self.txn.update(&context.table, &before).await?;
        match fates.into_iter().find(|fate| *fate != RowFate::Updated) {
            None => Ok(()),
            Some(RowFate::Refused { code, message, .. }) => {
                let message = if context.sensitive { UNTOLD } else { message.as_str() };
                let table = &context.table.name;
                let what = format!("give a row of `{table}` back what it held: {message}");
                Err(EndpointError::new(ErrorClass::Constraint, code, what))
            }
            Some(RowFate::Inserted | RowFate::Taken | RowFate::Updated) => {
                Err(untrue("written", "update"))
            }
        }
    }

    /// Notes what was overwritten, for the undo.
    fn journal(&mut self, context: &StepContext<'_>, written: &Written, updates: Vec<Update>) {
        for update in updates {
            if written.classes[update.row].is_none() {
                continue;
            }
            let mut after = Vec::new();
            context.digester.encode(written.rows.chunk.row(update.row), &mut after);
            self.undo_updates.push(UndoUpdate {
                run: context.run.to_owned(),
                step: context.step,
                batch: 0,
                seq: self.undo_updates.len() as u64,
                target_table: context.table.name.clone(),
                row_key: update.key,
                before: update.image,
                after,
            });
        }
    }
}

/// Rows that were handed to the target, with the class of each that stands there now.
pub(super) struct Written {
    pub(super) rows: Arc<Rows>,
    pub(super) classes: Vec<Option<RowClass>>,
    /// Units whose rows own a key that other rows of the chunk have too.
    owners: BTreeSet<usize>,
}

impl Written {
    /// Units that were refused, or lost, although some of their rows went in.
    fn torn(&self, ends: &[Option<UnitEnd>]) -> impl Iterator<Item = usize> {
        let went_in = |row: &usize| self.classes[*row].is_some();
        (0..self.rows.len())
            .filter(went_in)
            .map(|row| self.rows.units[row] as usize)
            .filter(|unit| ends[*unit].is_some())
    }

    pub(super) fn of_class(&self, class: RowClass) -> impl Iterator<Item = usize> {
        (0..self.rows.len()).filter(move |row| self.classes[*row] == Some(class))
    }
}

struct Update {
    row: usize,
    key: Vec<u8>,
    before: Vec<Value>,
    /// The same as it is journalled.
    image: Vec<u8>,
}

/// The first unit that was refused although others rest on it, with its end.
fn relied_upon(
    written: &Written,
    losers: Option<&Losers>,
    ends: &[Option<UnitEnd>],
) -> Option<(usize, UnitEnd)> {
    let winners = losers.into_iter().flat_map(BTreeMap::values).filter_map(|winner| winner.unit);
    let refused = winners
        .chain(written.owners.iter().copied())
        .filter(|unit| matches!(ends[*unit], Some(UnitEnd::Refused(_))));
    let unit = written.torn(ends).chain(refused).min()?;
    ends[unit].clone().map(|end| (unit, end))
}

/// In the place of what a target says of a row with sensitive columns.
const UNTOLD: &str = "the target refused the row; its words may quote a sensitive column";

/// The end of a unit of which the target has refused a row.
fn at_target(
    context: &StepContext<'_>,
    code: &str,
    subject: Option<&String>,
    message: &str,
) -> UnitEnd {
    let message = if context.sensitive { UNTOLD } else { message };
    let refusal = refusal(code, message.to_owned());
    UnitEnd::Refused(Box::new(Refusal { column: subject.cloned(), ..refusal }))
}

/// A target that tells of what it was not asked for cannot be accounted for either.
fn untrue(told: &str, asked: &str) -> EndpointError {
    let message = format!("the target told of a row {told} that it was given to {asked}");
    EndpointError::new(ErrorClass::System, "WB0618", message)
}

/// A target that says nothing of a row, or too much, cannot be accounted for.
fn one_each(what: &str, told: usize, asked: usize) -> Result<(), EndpointError> {
    if told == asked {
        return Ok(());
    }
    let message = format!("the target told of {told}, not of the {asked} {what}");
    Err(EndpointError::new(ErrorClass::System, "WB0618", message))
}

/// Units whose end the transform has decided.
fn foregone(units: &[Unit]) -> Vec<Option<UnitEnd>> {
    units
        .iter()
        .map(|unit| match &unit.fate {
            Fate::Rows => None,
            Fate::Filtered => Some(UnitEnd::Class(Class::Filtered)),
            Fate::Rejected(refusal) => Some(UnitEnd::Refused(Box::new((**refusal).clone()))),
        })
        .collect()
}

/// Why a record is refused that is a duplicate of another.
pub(super) fn read_before(message: String) -> Refusal {
    Refusal {
        stage: Stage::Transform,
        rule: Some("duplicates".to_owned()),
        ..refusal("WB0601", message)
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
    mine: &[Mapping],
    stored: &Digest,
) -> Decision {
    match context.existing {
        Existing::Keep => Decision::Keep,
        Existing::Reject => {
            let message = "the key is taken by a row with another content".to_owned();
            Decision::Refuse(refusal("WB0602", message))
        }
        Existing::Update => {
            let other_of_this_run = |mine: &&Mapping| {
                mine.run == context.run
                    && (mine.source_file != item.source_file
                        || mine.source != item.source
                        || mine.record != unit.position.record)
            };
            if let Some(mine) = mine.iter().find(other_of_this_run) {
                return Decision::Refuse(of_another_record(&mine.source_file, mine.record));
            }
            // Rows that no run has written are anybody's; of several records, any may have been the
            // last to write it.
            if !mine.is_empty() && mine.iter().all(|mine| mine.content_hash != stored.0) {
                let message = "the row was edited by someone else since it was written".to_owned();
                return Decision::Refuse(refusal("WB0604", message));
            }
            Decision::Update
        }
    }
}

fn of_another_record(file: &str, record: u64) -> Refusal {
    let message = format!("the key belongs to another record of this run, `{file}:{record}`");
    refusal("WB0603", message)
}

fn taken_elsewhere(context: &StepContext<'_>) -> Refusal {
    let table = &context.table.name;
    let message =
        format!("`{table}` refuses the row as a duplicate, but holds no row under its key");
    refusal("WB0605", message)
}

fn refusal(code: &str, message: String) -> Refusal {
    Refusal {
        stage: Stage::Target,
        code: code.to_owned(),
        column: None,
        field: None,
        value: None,
        rule: None,
        message,
    }
}
