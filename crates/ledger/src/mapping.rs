//! Mappings: which row a legacy record became, and what was seen already.

use std::collections::BTreeMap;

use whimbrel_endpoint::{EndpointError, Operator, Target, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::tables;

/// A row of `legacy_mappings`.
#[derive(Clone, PartialEq, Debug)]
pub struct Mapping {
    /// The target table that the mapping fills.
    pub legacy_type: String,
    /// The legacy key as text; parts joined by U+001F.
    pub legacy_id: String,
    /// The target table that holds the row.
    pub new_type: String,
    /// The new key, for people.
    pub new_id: String,
    /// WCE-1 of the new key's values.
    pub new_key: Vec<u8>,
    /// Output digest of the row when it was last written.
    pub content_hash: Vec<u8>,
    /// Name of the source.
    pub source: String,
    /// Path of the file.
    pub source_file: String,
    /// Record in its file.
    pub record: u64,
    /// Counts the rows of the record under this legacy key, from 0.
    pub nth: u64,
    /// True where the row was made from this record; false for a duplicate that leads to it.
    pub winner: bool,
    /// The run that wrote the mapping last.
    pub run: String,
}

/// A row of `seen`: the first unit with this digest.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// The table the duplicates rule belongs to.
    pub step_table: String,
    /// 16 bytes.
    pub digest: Vec<u8>,
    /// Name of the source.
    pub source: String,
    /// Path of the file.
    pub source_file: String,
    /// Record in its file.
    pub record: u64,
    /// WCE-1 of the winner's key.
    pub new_key: Vec<u8>,
}

impl Stored for Mapping {
    fn table() -> &'static Table {
        &tables::MAPPINGS
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.legacy_type.as_str().into(),
            self.legacy_id.as_str().into(),
            self.new_type.as_str().into(),
            self.new_id.as_str().into(),
            self.new_key.as_slice().into(),
            self.content_hash.as_slice().into(),
            self.source.as_str().into(),
            self.source_file.as_str().into(),
            self.record.into(),
            self.nth.into(),
            u64::from(self.winner).into(),
            self.run.as_str().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            legacy_type: cells.text()?,
            legacy_id: cells.text()?,
            new_type: cells.text()?,
            new_id: cells.text()?,
            new_key: cells.bytes()?,
            content_hash: cells.bytes()?,
            source: cells.text()?,
            source_file: cells.text()?,
            record: cells.int()?,
            nth: cells.int()?,
            winner: cells.int()? == 1,
            run: cells.text()?,
        })
    }
}

impl Stored for Seen {
    fn table() -> &'static Table {
        &tables::SEEN
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.step_table.as_str().into(),
            self.digest.as_slice().into(),
            self.source.as_str().into(),
            self.source_file.as_str().into(),
            self.record.into(),
            self.new_key.as_slice().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            step_table: cells.text()?,
            digest: cells.bytes()?,
            source: cells.text()?,
            source_file: cells.text()?,
            record: cells.int()?,
            new_key: cells.bytes()?,
        })
    }
}

/// Writes mappings, replacing those of the same record.
pub async fn put(txn: &mut dyn Txn, mappings: &[Mapping]) -> Result<(), EndpointError> {
    cells::put(txn, mappings).await
}

/// Writes what was seen.
pub async fn put_seen(txn: &mut dyn Txn, seen: &[Seen]) -> Result<(), EndpointError> {
    cells::put(txn, seen).await
}

/// The mappings of every record that has written the row under this key, as the transaction sees
/// them.
pub async fn of_key(
    txn: &mut dyn Txn,
    table: &str,
    new_key: &[u8],
) -> Result<Vec<Mapping>, EndpointError> {
    let query =
        cells::query::<Mapping>().is("new_type", table).is("new_key", new_key).is("winner", 1u64);
    cells::rows(&txn.select(&query).await?)
}

/// Whether any old key of the table is kept.
pub async fn any(target: &dyn Target, table: &str) -> Result<bool, EndpointError> {
    let query = cells::query::<Mapping>().is("legacy_type", table).at_most(1);
    Ok(!cells::select::<Mapping>(target, query).await?.is_empty())
}

/// Which of these digests were seen, as the transaction sees it.
pub async fn seen(
    txn: &mut dyn Txn,
    table: &str,
    digests: &[[u8; 16]],
) -> Result<BTreeMap<Vec<u8>, Seen>, EndpointError> {
    let mut found = BTreeMap::new();
    for digests in digests.chunks(500) {
        let digests = digests.iter().map(|digest| digest.as_slice().into()).collect();
        let query =
            cells::query::<Seen>().is("step_table", table).that("digest", Operator::In, digests);
        for seen in cells::rows::<Seen>(&txn.select(&query).await?)? {
            found.insert(seen.digest.clone(), seen);
        }
    }
    Ok(found)
}

/// Forgets what was seen in these files of a source, which are read anew.
pub async fn forget_seen(
    txn: &mut dyn Txn,
    table: &str,
    source: &str,
    files: Vec<Value>,
) -> Result<u64, EndpointError> {
    let query = cells::query::<Seen>().is("step_table", table).is("source", source).that(
        "source_file",
        Operator::In,
        files,
    );
    txn.delete(&query).await
}
