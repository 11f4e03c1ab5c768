//! Mappings: which row a legacy record became, and what was seen already.

use std::collections::BTreeMap;

use whimbrel_endpoint::{EndpointError, Operator, Txn};
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
    /// Set where path and record do not say it alone: other sources have something of this name,
    /// or this is not the first row of the record under this legacy key. Counts these from 0.
    pub nth: Option<u64>,
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
            stored_path(&self.source_file, &self.source, self.nth).into(),
            self.record.into(),
            u64::from(self.winner).into(),
            self.run.as_str().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        let legacy_type = cells.text()?;
        let legacy_id = cells.text()?;
        let new_type = cells.text()?;
        let new_id = cells.text()?;
        let new_key = cells.bytes()?;
        let content_hash = cells.bytes()?;
        let source = cells.text()?;
        let (source_file, nth) = read_path(cells.text()?, &source);
        Ok(Self {
            legacy_type,
            legacy_id,
            new_type,
            new_id,
            new_key,
            content_hash,
            source,
            source_file,
            nth,
            record: cells.int()?,
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

/// The path as the ledger's key holds it, which has neither the source nor a number: `path`,
/// `path//source`, `path//source//1`.
fn stored_path(path: &str, source: &str, nth: Option<u64>) -> String {
    match nth {
        None => path.to_owned(),
        Some(0) => format!("{path}//{source}"),
        Some(nth) => format!("{path}//{source}//{nth}"),
    }
}

/// The path and the number of a [`stored_path`].
fn read_path(stored: String, source: &str) -> (String, Option<u64>) {
    let (whole, nth) = match stored.rsplit_once("//").map(|(head, tail)| (head, tail.parse())) {
        Some((head, Ok(nth))) if nth > 0 => (head, nth),
        Some(_) | None => (stored.as_str(), 0),
    };
    match whole.strip_suffix(source).and_then(|path| path.strip_suffix("//")) {
        Some(path) => (path.to_owned(), Some(nth)),
        None => (stored, None),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_path_is_read_as_it_was() {
        for nth in [None, Some(0), Some(1), Some(12)] {
            for path in ["data/a.csv", "person", "person//7", "7"] {
                let stored = stored_path(path, "old", nth);
                assert_eq!(read_path(stored, "old"), (path.to_owned(), nth), "{path} {nth:?}");
            }
        }
    }
}
