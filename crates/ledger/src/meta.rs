//! Names and values of the whole ledger.

use whimbrel_endpoint::{EndpointError, Query, Target, Txn};
use whimbrel_model::ChunkBuilder;

use crate::tables;

/// The value of a name, if it is set.
pub async fn get(target: &dyn Target, name: &str) -> Result<Option<String>, EndpointError> {
    let query = Query::table(tables::META.name.clone(), &["value"]).is("name", name);
    let rows = target.select(&query).await?;
    let value = rows.rows().next().map(|row| row.get(0).to_owned());
    Ok(value.and_then(|value| value.as_text().map(str::to_owned)))
}

/// Sets a name.
/// The key under which all digests of this ledger are made, see `whimbrel_model::digest`. It is made from
/// what the first run was given, so that whoever made the data did not know it.
pub async fn digest_key(target: &dyn Target) -> Result<[u8; 32], EndpointError> {
    let text = get(target, "project_key").await?;
    Ok(blake3::derive_key("whimbrel 2026 digest key", text.unwrap_or_default().as_bytes()))
}

/// Writes a value.
pub async fn put(txn: &mut dyn Txn, name: &str, value: &str) -> Result<(), EndpointError> {
    let mut row = ChunkBuilder::new(2);
    row.push(whimbrel_model::ValueRef::Text(name));
    row.push(whimbrel_model::ValueRef::Text(value));
    row.end_row();
    txn.put(&tables::META, &row.finish()).await
}
