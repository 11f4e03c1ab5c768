//! Rows against the undo journal, key by key.
//!
//! ```text
//! undo journal   (key, digest) of every row written, in order ─▶ sorted ─▶ the last of each key ─┐
//! table          (key, digest by each layout) of every row    ─▶ sorted ──────────────────────────┴▶ merged
//! ```

use std::collections::VecDeque;

use whimbrel_endpoint::{EndpointError, ErrorClass, Feed, RowOrder, Snapshot};
use whimbrel_ledger::Layout;
use whimbrel_ledger::undo;
use whimbrel_model::digest::{DigestKey, Domain};
use whimbrel_model::wce::{self, Decoded, RowLayout};
use whimbrel_model::{Chunk, ChunkBuilder, Row, Sum, Table, Value, ValueRef};

use super::beside;
use super::filled::Filled;
use super::standard::Seen;
use super::{Checked, Request, Status, counted};
use crate::ahead::Ahead;
use crate::compare::{Found, How};
use crate::merge::Tally;
use crate::sorter::{Sorted, Sorter};

/// Bytes of a digest that the journal keeps.
const DIGEST: usize = 16;

/// What came of the comparison; *left* is the journal, *right* the table.
pub(super) struct Compared {
    pub(super) tally: Tally,
    /// Rows that stood there before and that a load has updated.
    adopted: u64,
    pub(super) samples: Vec<Found>,
    /// The sum of the rows' digests by the first layout.
    pub(super) sum: Sum,
    /// What was seen of their values.
    pub(super) seen: Seen,
}

impl Compared {
    /// Rows that nobody has loaded are as many as stood there before, or anything where others write too.
    pub(super) fn is_equal(&self, filled: &Filled, others_write: bool) -> bool {
        let Tally { changed, missing, extra, .. } = self.tally;
        let before = filled.rows_before();
        let is_known = Some(extra + self.adopted) == before || others_write && before != Some(0);
        changed == 0 && missing == 0 && is_known
    }

    pub(super) fn check(&self, filled: &Filled, others_write: bool) -> Checked {
        let Tally { left, right, changed, missing, extra, .. } = self.tally;
        let check = Checked::passed("digest", &filled.name);
        if self.is_equal(filled, others_write) {
            let check = check.counts(left, right - extra);
            if extra == 0 {
                return check;
            }
            let message =
                format!("{} stood there before and are nobody's to prove", counted(extra, "row"));
            return check.ended(Status::Noted, message);
        }
        let surplus = (extra + self.adopted).saturating_sub(filled.rows_before().unwrap_or(0));
        let mut wrong = Vec::new();
        for (count, one, many) in [
            (changed, "row is not as it was loaded", "rows are not as they were loaded"),
            (missing, "row is missing", "rows are missing"),
            (surplus, "row was loaded by nobody", "rows were loaded by nobody"),
        ] {
            if count > 0 {
                wrong.push(format!("{count} {}", if count == 1 { one } else { many }));
            }
        }
        if wrong.is_empty() {
            wrong.push("rows that stood there before are gone".to_owned());
        }
        check.counts(left, right).ended(Status::Failed, wrong.join("; "))
    }
}

/// Compares a table with the journal of its loads; `None` where layouts disagree about the key.
pub(super) async fn compare(
    request: &Request<'_>,
    snapshot: &dyn Snapshot,
    filled: &Filled,
    table: &Table,
    layouts: &[&Layout],
    key: &DigestKey,
) -> Result<Option<Compared>, EndpointError> {
    if !are_of_one_key(layouts, table) {
        return Ok(None);
    }
    let rows = snapshot.rows(table, RowOrder::Any).await?;
    let (written, stored) =
        tokio::join!(written(request, filled, layouts), stored(request, rows, table, layouts, key));
    let (written, (stored, sum, seen)) = (written?, stored?);
    let mut journal = Last { sorted: Ahead::of(written), pending: VecDeque::new() };
    let mut stored = Rows { feed: Ahead::of(stored), chunk: Chunk::default(), at: 0 };
    let mut compared =
        Compared { tally: Tally::default(), adopted: 0, samples: Vec::new(), sum, seen };
    let mut entry = journal.next().await?;
    let mut row = stored.next().await?;
    loop {
        let order = match (&entry, &row) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(entry), Some(row)) => entry.key.cmp(&row.key),
        };
        let tally = &mut compared.tally;
        let (how, shown) = match order {
            std::cmp::Ordering::Less => {
                let own = entry.take().expect("it is there where it is less");
                compared.adopted += u64::from(own.stood);
                tally.left += 1;
                tally.missing += 1;
                entry = journal.next().await?;
                (How::Missing, own.key)
            }
            std::cmp::Ordering::Greater => {
                let own = row.take().expect("it is there where the other is greater");
                tally.right += 1;
                tally.extra += 1;
                row = stored.next().await?;
                (How::Extra, own.key)
            }
            std::cmp::Ordering::Equal => {
                let (own, stands) = (entry.take(), row.take());
                let (own, stands) = own.zip(stands).expect("both are there where they are equal");
                compared.adopted += u64::from(own.stood);
                tally.left += 1;
                tally.right += 1;
                entry = journal.next().await?;
                row = stored.next().await?;
                if stands.digests.get(own.layout) == Some(&own.digest) {
                    tally.equal += 1;
                    continue;
                }
                tally.changed += 1;
                (How::Changed, own.key)
            }
        };
        // Rows of others are shown only where the table was empty before.
        let is_shown = how != How::Extra || filled.rows_before() == Some(0);
        if is_shown && compared.samples.len() < request.samples {
            let key = key_values(&shown);
            compared.samples.push(Found { how, key, cells: Vec::new(), unstable: false });
        }
    }
    Ok(Some(compared))
}

/// Who has written a row last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Writer {
    /// No load.
    Nobody,
    /// A load has, and it is not as that has left it.
    Other,
    /// It is as this one of the table's loads has left it.
    Load(usize),
}

/// Who has written each of these rows last; `None` where that cannot be told, without a key or where
/// layouts disagree about it. `sink` is given keys in their encoding.
pub(super) async fn writers(
    request: &Request<'_>,
    filled: &Filled,
    table: &Table,
    rows: Box<dyn Feed>,
    sink: &mut (dyn FnMut(&[u8], Writer) + Send),
) -> Result<Option<()>, EndpointError> {
    let Some(layouts) = filled.layouts().filter(|layouts| are_of_one_key(layouts, table)) else {
        return Ok(None);
    };
    let project = whimbrel_ledger::meta::digest_key(request.target).await?;
    let key = DigestKey::derive(&project, Domain::Output, &filled.name);
    let (rows, _, _) = stored(request, rows, table, &layouts, &key).await?;
    let mut rows = Rows { feed: Ahead::of(rows), chunk: Chunk::default(), at: 0 };
    let sorted = written(request, filled, &layouts).await?;
    let mut journal = Last { sorted: Ahead::of(sorted), pending: VecDeque::new() };
    let mut entry = journal.next().await?;
    while let Some(row) = rows.next().await? {
        while entry.as_ref().is_some_and(|entry| entry.key < row.key) {
            entry = journal.next().await?;
        }
        let own = entry.as_ref().filter(|entry| entry.key == row.key);
        sink(
            &row.key,
            match own {
                None => Writer::Nobody,
                Some(own) if row.digests.get(own.layout) == Some(&own.digest) => {
                    Writer::Load(own.load)
                }
                Some(_) => Writer::Other,
            },
        );
    }
    Ok(Some(()))
}

fn are_of_one_key(layouts: &[&Layout], table: &Table) -> bool {
    layouts.windows(2).all(|pair| pair[0].key == pair[1].key) && !table.key.is_empty()
}

/// The rows, by key, each with its digest by each layout; their sum by the first layout.
async fn stored(
    request: &Request<'_>,
    feed: Box<dyn Feed>,
    table: &Table,
    layouts: &[&Layout],
    key: &DigestKey,
) -> Result<(Sorted, Sum, Seen), EndpointError> {
    let width = 1 + layouts.len();
    let encoders: Vec<RowLayout> = layouts.iter().map(|layout| encoder(layout, table)).collect();
    let nothing = Seen::new(table).profiled(request);
    let (key, table) = (key.clone(), table.clone());
    let mut seen = nothing.clone();
    let look = move |piece: Chunk| {
        let (mut sum, mut seen) = (Sum::default(), nothing.clone());
        let (mut encoded, mut own_key) = (Vec::new(), Vec::new());
        let mut out = ChunkBuilder::with_capacity(width, piece.len(), 0);
        for row in piece.rows() {
            seen.take(row);
            own_key.clear();
            for &column in &table.key {
                wce::cell(&mut own_key, table.columns[column].kind, row.get(column));
            }
            out.push(ValueRef::Bytes(&own_key));
            for (index, encoder) in encoders.iter().enumerate() {
                encoded.clear();
                encoder.encode(&mut encoded, |column| row.get(column));
                let digest = key.digest(&encoded);
                if index == 0 {
                    sum.add(&digest, encoded.len() as u64);
                }
                out.push(ValueRef::Bytes(&digest.truncated()));
            }
            out.end_row();
        }
        (out.finish(), sum, seen)
    };
    let mut sorter = Sorter::new(request.room.clone(), width, &[0]);
    let mut whole = Sum::default();
    beside::each(feed, look, |(rows, sum, piece)| {
        whole.merge(&sum);
        seen.merge(&piece);
        rows.rows().try_for_each(|row| sorter.push(row))
    })
    .await?;
    Ok((sorter.finish()?, whole, seen))
}

/// The columns of one layout, as the whole table has them.
fn encoder(layout: &Layout, table: &Table) -> RowLayout {
    let own = layout.table(&table.name);
    let place = |name: &str| table.columns.iter().position(|column| column.name == name);
    let columns = own.columns.iter().filter_map(|column| Some((place(&column.name)?, column)));
    RowLayout::new(columns)
}

/// Every row that the loads have written: key, order, digest, layout, whether it was updated, by which load;
/// sorted.
async fn written(
    request: &Request<'_>,
    filled: &Filled,
    layouts: &[&Layout],
) -> Result<Sorted, EndpointError> {
    let mut sorter = Sorter::new(request.room.clone(), 6, &[0, 1]);
    let mut number = 0i128;
    let damaged = |batch: u64, run: &str| {
        let message = format!("the undo journal of batch {batch} of run `{run}` is damaged");
        EndpointError::new(ErrorClass::Changed, "WB0301", message)
    };
    for (place, load) in filled.loads.iter().enumerate() {
        let (run, step) = (&load.run.id, load.step.step);
        let same = |known: &&Layout| {
            load.layout
                .as_ref()
                .is_some_and(|own| own.columns == known.columns && own.key == known.key)
        };
        let Some(layout) = layouts.iter().position(same) else { continue };
        let mut note = |key: &[u8], digest: &[u8], updated: bool| {
            let mut one = ChunkBuilder::new(6);
            one.push(ValueRef::Bytes(key));
            one.push(ValueRef::Int(number));
            one.push(ValueRef::Bytes(digest));
            one.push(ValueRef::Int(layout as i128));
            one.push(ValueRef::Bool(updated));
            one.push(ValueRef::Int(place as i128));
            one.end_row();
            number += 1;
            sorter.push(one.finish().row(0))
        };
        let project = whimbrel_ledger::meta::digest_key(request.target).await?;
        let keyed = DigestKey::derive(&project, Domain::Output, &filled.name);
        let mut last = None;
        let mut inserts = Vec::new().into_iter().peekable();
        for batch in &load.batches {
            if inserts.peek().is_none() && batch.rows.inserted.n() > 0 {
                let page = undo::inserts_behind(request.target, run, step, last).await?;
                inserts = page.into_iter().peekable();
            }
            if let Some(own) = inserts.next_if(|own| own.batch == batch.batch) {
                last = Some(own.batch);
                let entries = undo::decode(own.rows, &own.entries);
                for (key, digest) in entries.ok_or_else(|| damaged(batch.batch, run))? {
                    note(&key, &digest, false)?;
                }
            } else if batch.rows.inserted.n() > 0 {
                return Err(damaged(batch.batch, run));
            }
            let mut behind = None;
            let mut updates = 0;
            while updates < batch.rows.updated.n() {
                let page =
                    undo::updates_behind(request.target, run, step, batch.batch, behind).await?;
                let Some(end) = page.last() else { return Err(damaged(batch.batch, run)) };
                behind = Some(end.seq);
                updates += page.len() as u64;
                for update in &page {
                    note(&update.row_key, &keyed.digest(&update.after).truncated(), true)?;
                }
            }
        }
    }
    sorter.finish()
}

/// The values of a key, for people.
pub(super) fn key_values(key: &[u8]) -> Vec<Value> {
    let value = |value| match value {
        Decoded::Int(value) => Value::Int(value),
        Decoded::Text(text) => Value::Text(text),
        Decoded::Uuid(bytes) => Value::Uuid(bytes),
        Decoded::Bytes(bytes) => Value::Bytes(bytes),
        Decoded::Decimal(text) => Value::Decimal(text),
        Decoded::Bool(value) => Value::Bool(value),
        other => Value::Text(format!("{other:?}")),
    };
    // Both sides wrote it by the encoding.
    wce::decode(key).unwrap_or_default().into_iter().map(value).collect()
}

/// A row of the journal.
struct Entry {
    key: Vec<u8>,
    digest: [u8; DIGEST],
    layout: usize,
    /// Its place among the table's loads.
    load: usize,
    /// The first that was written of its key is an update: the row stood there before.
    stood: bool,
}

/// Of each key the entry that was written last.
struct Last {
    sorted: Ahead,
    pending: VecDeque<Entry>,
}

impl Last {
    async fn next(&mut self) -> Result<Option<Entry>, EndpointError> {
        let Some(mut entry) = self.one().await? else { return Ok(None) };
        loop {
            match self.one().await? {
                Some(later) if later.key == entry.key => {
                    entry = Entry { stood: entry.stood, ..later };
                }
                Some(other) => {
                    self.pending.push_front(other);
                    return Ok(Some(entry));
                }
                None => return Ok(Some(entry)),
            }
        }
    }

    async fn one(&mut self) -> Result<Option<Entry>, EndpointError> {
        if let Some(entry) = self.pending.pop_front() {
            return Ok(Some(entry));
        }
        let Some(chunk) = self.sorted.next().await? else { return Ok(None) };
        let entry = |row: Row<'_>| Entry {
            key: bytes(row.get(0)).to_vec(),
            digest: *bytes(row.get(2)).first_chunk().unwrap_or(&[0; DIGEST]),
            layout: number(row.get(3)),
            load: number(row.get(5)),
            stood: matches!(row.get(4), ValueRef::Bool(true)),
        };
        self.pending.extend(chunk.rows().map(entry));
        Ok(self.pending.pop_front())
    }
}

fn number(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Int(number) => number as usize,
        _ => 0,
    }
}

fn bytes(value: ValueRef<'_>) -> &[u8] {
    match value {
        ValueRef::Bytes(bytes) => bytes,
        _ => &[],
    }
}

/// A row of the table.
struct Stands {
    key: Vec<u8>,
    /// By each layout.
    digests: Vec<[u8; DIGEST]>,
}

struct Rows {
    feed: Ahead,
    chunk: Chunk,
    at: usize,
}

impl Rows {
    async fn next(&mut self) -> Result<Option<Stands>, EndpointError> {
        if self.at == self.chunk.len() {
            let Some(chunk) = self.feed.next().await? else { return Ok(None) };
            self.chunk = chunk;
            self.at = 0;
        }
        let row = self.chunk.row(self.at);
        self.at += 1;
        let digest = |value| *bytes(value).first_chunk().unwrap_or(&[0; DIGEST]);
        Ok(Some(Stands {
            key: bytes(row.get(0)).to_vec(),
            digests: row.values().skip(1).map(digest).collect(),
        }))
    }
}
