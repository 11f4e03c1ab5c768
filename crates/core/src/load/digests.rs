//! Digests of rows and keys, by the declared kinds of one table.

use whimbrel_model::digest::{DigestKey, Domain};
use whimbrel_model::wce::{self, RowLayout};
use whimbrel_model::{Digest, Row, Table, Value};

/// Encodes and digests the rows of one table.
#[derive(Clone, Debug)]
pub(crate) struct RowDigester {
    layout: RowLayout,
    key: DigestKey,
}

impl RowDigester {
    pub(crate) fn new(project_key: &[u8; 32], table: &Table) -> Self {
        Self {
            layout: RowLayout::of_rows(table),
            key: DigestKey::derive(project_key, Domain::Output, &table.name),
        }
    }

    /// WCE-1 of a row, appended.
    pub(crate) fn encode(&self, row: Row<'_>, out: &mut Vec<u8>) {
        self.layout.encode(out, |column| row.get(column));
    }

    /// Digest of an encoded row.
    pub(crate) fn digest(&self, encoded: &[u8]) -> Digest {
        self.key.digest(encoded)
    }

    /// Digest and encoding of a row as it stands in the target.
    pub(crate) fn stored(&self, values: &[Value]) -> (Digest, Vec<u8>) {
        let mut encoded = Vec::new();
        self.layout.encode(&mut encoded, |column| values[column].as_ref());
        (self.key.digest(&encoded), encoded)
    }
}

/// WCE-1 of a row's key values, in the order of the table's key, appended.
pub(crate) fn encode_key(table: &Table, row: Row<'_>, out: &mut Vec<u8>) {
    for &column in &table.key {
        wce::cell(out, table.columns[column].kind, row.get(column));
    }
}

/// A row's key for people: its values, joined by `/`.
pub(crate) fn key_text(table: &Table, row: Row<'_>) -> String {
    let values: Vec<String> = table.key.iter().map(|&column| row.get(column).to_string()).collect();
    values.join("/")
}
