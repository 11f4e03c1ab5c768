//! Batches: what one transaction of the target accounted for.

use whimbrel_endpoint::{EndpointError, ErrorClass, Order, Target, Txn};
use whimbrel_model::{Account, RowAccount, Sum, Table, Value};

use crate::DAMAGED;
use crate::cells::{self, Cells, Stored};
use crate::item::Counts;
use crate::tables;

/// A row of `migration_batches`.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// The run.
    pub run: String,
    /// The step.
    pub step: u64,
    /// Ordinal within the step, from 0.
    pub batch: u64,
    /// The fence it was written under.
    pub fence: u64,
    /// Ordinal of the first item it touched.
    pub first_item: u64,
    /// Ordinal of the last item it touched.
    pub last_item: u64,
    /// Source units.
    pub units: Account,
    /// Target rows.
    pub rows: RowAccount,
    /// JSON: conversions, warnings and filters, counted and sampled.
    pub notes: String,
    /// RFC 3339.
    pub committed_at: String,
}

impl Batch {
    fn sums(&self) -> impl Iterator<Item = &Sum> {
        let rows =
            [&self.rows.produced, &self.rows.inserted, &self.rows.updated, &self.rows.unchanged];
        std::iter::once(&self.units.read).chain(&self.units.classes).chain(rows)
    }
}

impl Stored for Batch {
    fn table() -> &'static Table {
        &tables::BATCHES
    }

    fn values(&self) -> Vec<Value> {
        let accounts: Vec<u8> = self.sums().flat_map(Sum::to_bytes).collect();
        let mut values = vec![
            self.run.as_str().into(),
            self.step.into(),
            self.batch.into(),
            self.fence.into(),
            self.first_item.into(),
            self.last_item.into(),
            accounts.into(),
        ];
        values.extend(Counts::of(&self.units).values());
        values.extend(
            [self.rows.produced, self.rows.inserted, self.rows.updated, self.rows.unchanged]
                .map(|sum| Value::from(sum.n())),
        );
        values.extend([
            self.units.read.bytes().into(),
            self.notes.as_str().into(),
            self.committed_at.as_str().into(),
        ]);
        values
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        let run = cells.text()?;
        let step = cells.int()?;
        let batch = cells.int()?;
        let fence = cells.int()?;
        let first_item = cells.int()?;
        let last_item = cells.int()?;
        let damaged = || {
            let message =
                format!("the accounts of batch {batch} of step {step} in run `{run}` are damaged");
            EndpointError::new(ErrorClass::Changed, DAMAGED, message)
        };
        let (units, rows) = accounts(&cells.bytes()?).ok_or_else(damaged)?;
        // What people read says the same as what programs do.
        let counts = Counts::read(cells)?;
        let mut is_same = counts == Counts::of(&units);
        for sum in [rows.produced, rows.inserted, rows.updated, rows.unchanged] {
            is_same &= cells.int()? == sum.n();
        }
        is_same &= cells.int()? == units.read.bytes();
        if !is_same {
            return Err(damaged());
        }
        Ok(Self {
            run,
            step,
            batch,
            fence,
            first_item,
            last_item,
            units,
            rows,
            notes: cells.text()?,
            committed_at: cells.text()?,
        })
    }
}

fn accounts(bytes: &[u8]) -> Option<(Account, RowAccount)> {
    let (sums, rest) = bytes.as_chunks::<48>();
    let mut sums = sums.iter().map(Sum::from_bytes);
    let mut next = || sums.next().flatten();
    let mut units = Account { read: next()?, ..Account::default() };
    for class in &mut units.classes {
        *class = next()?;
    }
    let rows =
        RowAccount { produced: next()?, inserted: next()?, updated: next()?, unchanged: next()? };
    (rest.is_empty() && sums.next().is_none()).then_some((units, rows))
}

/// Writes a batch.
pub async fn put(txn: &mut dyn Txn, batch: &Batch) -> Result<(), EndpointError> {
    cells::put(txn, std::slice::from_ref(batch)).await
}

/// The batches of a run, by step and in order.
pub async fn of_run(target: &dyn Target, run: &str) -> Result<Vec<Batch>, EndpointError> {
    let query =
        cells::query::<Batch>().is("run", run).by("step", Order::Rising).by("batch", Order::Rising);
    cells::select(target, query).await
}
