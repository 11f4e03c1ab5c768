//! Indexes that are gone for the time of a load: recorded before they are dropped, until they are
//! made again.

use whimbrel_endpoint::{EndpointError, Order, Query, Target, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::tables;

/// A row of `parked_indexes`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parked {
    /// The run that took it away.
    pub run: String,
    /// The step for which it did.
    pub step: u64,
    /// The table.
    pub target_table: String,
    /// The index.
    pub name: String,
    /// Its place among the table's indexes, in which they are made again.
    pub seq: u64,
    /// How the target makes it again.
    pub definition: String,
    /// When it was recorded.
    pub created_at: String,
}

impl Stored for Parked {
    fn table() -> &'static Table {
        &tables::PARKED_INDEXES
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.step.into(),
            self.target_table.as_str().into(),
            self.name.as_str().into(),
            self.seq.into(),
            self.definition.as_str().into(),
            self.created_at.as_str().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            run: cells.text()?,
            step: cells.int()?,
            target_table: cells.text()?,
            name: cells.text()?,
            seq: cells.int()?,
            definition: cells.text()?,
            created_at: cells.text()?,
        })
    }
}

/// Records indexes.
pub async fn put(txn: &mut dyn Txn, rows: &[Parked]) -> Result<(), EndpointError> {
    cells::put(txn, rows).await
}

/// All that are recorded, by table and place; none where the ledger is older than they are.
pub async fn all(target: &dyn Target) -> Result<Vec<Parked>, EndpointError> {
    let table = &tables::PARKED_INDEXES;
    if target.describe(&table.name).await?.is_none() {
        return Ok(Vec::new());
    }
    let query = cells::query::<Parked>().by("target_table", Order::Rising);
    cells::select(target, query.by("seq", Order::Rising)).await
}

/// Removes the records of a table's indexes.
pub async fn forget(txn: &mut dyn Txn, rows: &[Parked]) -> Result<(), EndpointError> {
    for row in rows {
        let one = Query::table(tables::PARKED_INDEXES.name.clone(), &[]);
        let one = one.is("target_table", row.target_table.as_str()).is("name", row.name.as_str());
        txn.delete(&one).await?;
    }
    Ok(())
}
