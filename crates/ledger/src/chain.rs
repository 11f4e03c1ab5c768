//! Rows that are chained by hashes: the audit log and the checkpoints.
//!
//! `hash = BLAKE3("whimbrel/chain/1" || previous || fields)`, each field preceded by its length as
//! eight big-endian bytes, so that no two lists of fields look alike (`docs/audit.md`). Cutting off
//! the tail of a chain cannot be seen from the chain alone; see [`crate::audit`].

use whimbrel_endpoint::{EndpointError, Order, Target, Txn};
use whimbrel_model::{Table, Value};

use crate::cells::{self, Cells, Stored};
use crate::tables;

/// A row of `audit_log`.
#[derive(Clone, PartialEq, Debug)]
pub struct AuditEntry {
    /// Order, from 1, without gaps.
    pub seq: u64,
    /// RFC 3339.
    pub at: String,
    /// User and host.
    pub actor: String,
    /// `run.started`, `rejects.waived` …
    pub action: String,
    /// What it was done to.
    pub object: String,
    /// JSON.
    pub detail: String,
    /// Hash of the entry before.
    pub previous: Vec<u8>,
    /// Hash of this entry.
    pub hash: Vec<u8>,
}

/// A row of `migration_checkpoints`.
#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    /// The run.
    pub run: String,
    /// Order within the run, from 0.
    pub seq: u64,
    /// Its name.
    pub name: String,
    /// The phase that ended.
    pub phase: String,
    /// JSON: counts and sums per table.
    pub detail: String,
    /// Hash of the checkpoint before.
    pub previous: Vec<u8>,
    /// Hash of this checkpoint.
    pub hash: Vec<u8>,
    /// RFC 3339.
    pub created_at: String,
}

/// Hash of a chain's link.
fn link(previous: &[u8], fields: &[&[u8]]) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"whimbrel/chain/1");
    for field in std::iter::once(&previous).chain(fields) {
        hasher.update(&(field.len() as u64).to_be_bytes());
        hasher.update(field);
    }
    hasher.finalize().as_bytes().to_vec()
}

impl AuditEntry {
    /// The hash that this entry must carry.
    pub fn expected_hash(&self) -> Vec<u8> {
        let seq = self.seq.to_be_bytes();
        let texts = [&self.at, &self.actor, &self.action, &self.object, &self.detail];
        let mut fields = vec![seq.as_slice()];
        fields.extend(texts.map(String::as_bytes));
        link(&self.previous, &fields)
    }
}

impl Checkpoint {
    /// The hash that this checkpoint must carry.
    pub fn expected_hash(&self) -> Vec<u8> {
        let seq = self.seq.to_be_bytes();
        let texts = [&self.run, &self.name, &self.phase, &self.detail, &self.created_at];
        let mut fields = vec![seq.as_slice()];
        fields.extend(texts.map(String::as_bytes));
        link(&self.previous, &fields)
    }
}

impl Stored for AuditEntry {
    fn table() -> &'static Table {
        &tables::AUDIT
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.seq.into(),
            self.at.as_str().into(),
            self.actor.as_str().into(),
            self.action.as_str().into(),
            self.object.as_str().into(),
            self.detail.as_str().into(),
            self.previous.as_slice().into(),
            self.hash.as_slice().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            seq: cells.int()?,
            at: cells.text()?,
            actor: cells.text()?,
            action: cells.text()?,
            object: cells.text()?,
            detail: cells.text()?,
            previous: cells.bytes()?,
            hash: cells.bytes()?,
        })
    }
}

impl Stored for Checkpoint {
    fn table() -> &'static Table {
        &tables::CHECKPOINTS
    }

    fn values(&self) -> Vec<Value> {
        vec![
            self.run.as_str().into(),
            self.seq.into(),
            self.name.as_str().into(),
            self.phase.as_str().into(),
            self.detail.as_str().into(),
            self.previous.as_slice().into(),
            self.hash.as_slice().into(),
            self.created_at.as_str().into(),
        ]
    }

    fn read(cells: &mut Cells<'_>) -> Result<Self, EndpointError> {
        Ok(Self {
            run: cells.text()?,
            seq: cells.int()?,
            name: cells.text()?,
            phase: cells.text()?,
            detail: cells.text()?,
            previous: cells.bytes()?,
            hash: cells.bytes()?,
            created_at: cells.text()?,
        })
    }
}

/// Appends an entry to the audit log.
pub async fn record(
    txn: &mut dyn Txn,
    at: &str,
    actor: &str,
    action: &str,
    object: &str,
    detail: &serde_json::Value,
) -> Result<(), EndpointError> {
    let query = cells::query::<AuditEntry>().by("seq", Order::Falling).at_most(1);
    let last = cells::rows::<AuditEntry>(&txn.select(&query).await?)?.pop();
    let mut entry = AuditEntry {
        seq: last.as_ref().map_or(1, |entry| entry.seq + 1),
        at: at.to_owned(),
        actor: actor.to_owned(),
        action: action.to_owned(),
        object: object.to_owned(),
        detail: detail.to_string(),
        previous: last.map(|entry| entry.hash).unwrap_or_default(),
        hash: Vec::new(),
    };
    entry.hash = entry.expected_hash();
    cells::put(txn, &[entry]).await
}

/// Appends a checkpoint to a run, unless the last one has that name already; returns its hash.
pub async fn checkpoint(
    txn: &mut dyn Txn,
    run: &str,
    name: &str,
    phase: &str,
    detail: &serde_json::Value,
    at: &str,
) -> Result<Vec<u8>, EndpointError> {
    let query = cells::query::<Checkpoint>().is("run", run).by("seq", Order::Falling).at_most(1);
    let last = cells::rows::<Checkpoint>(&txn.select(&query).await?)?.pop();
    if let Some(last) = last.as_ref().filter(|last| last.name == name) {
        return Ok(last.hash.clone());
    }
    let mut checkpoint = Checkpoint {
        run: run.to_owned(),
        seq: last.as_ref().map_or(0, |last| last.seq + 1),
        name: name.to_owned(),
        phase: phase.to_owned(),
        detail: detail.to_string(),
        previous: last.map(|last| last.hash).unwrap_or_default(),
        hash: Vec::new(),
        created_at: at.to_owned(),
    };
    checkpoint.hash = checkpoint.expected_hash();
    let hash = checkpoint.hash.clone();
    cells::put(txn, &[checkpoint]).await?;
    Ok(hash)
}

/// The checkpoints of a run, in order.
pub async fn checkpoints(target: &dyn Target, run: &str) -> Result<Vec<Checkpoint>, EndpointError> {
    cells::select(target, cells::query::<Checkpoint>().is("run", run).by("seq", Order::Rising))
        .await
}

/// What the audit log says of an object, oldest first, at most `limit`.
pub async fn entries_of(
    target: &dyn Target,
    object: &str,
    limit: u64,
) -> Result<Vec<AuditEntry>, EndpointError> {
    let query =
        cells::query::<AuditEntry>().is("object", object).by("seq", Order::Rising).at_most(limit);
    cells::select(target, query).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by a program that shares nothing with this one; it stands in `docs/audit.md`.
    #[test]
    fn the_chain_is_the_one_that_the_documentation_describes() {
        let log = [
            ("2026-11-21T05:55:53.854225Z", "ada@plant-7", "run.started", r#"{"kind":"full"}"#),
            ("2026-11-21T05:55:54Z", "ada@plant-7", "run.completed", r#"{"rejects":0}"#),
            (
                "2026-11-21T06:00:00Z",
                "zo\u{eb}@b\u{fc}ro",
                "rejects.waived",
                "{\"reason\":\"\u{2713} \\u0000 \\n\"}",
            ),
        ];
        let hashes = [
            "513bc0c4221587e73026b638c086e42f004b32b72212c2fc37ff87482bc1f6e4",
            "74d8b7a64cf1fcaa2acd806c659336da205ff75ec05b6af470818fa64b7eab59",
            "1df0472f5101e2e92db534800437a116583365ee754e45916864f4ed6bd68e6c",
        ];
        let mut previous = Vec::new();
        for (index, ((at, actor, action, detail), hash)) in log.into_iter().zip(hashes).enumerate()
        {
            let entry = AuditEntry {
                seq: index as u64 + 1,
                at: at.to_owned(),
                actor: actor.to_owned(),
                action: action.to_owned(),
                object: "7f3a2c11".to_owned(),
                detail: detail.to_owned(),
                previous,
                hash: Vec::new(),
            };
            previous = entry.expected_hash();
            assert_eq!(blake3::Hash::from_slice(&previous).unwrap().to_hex().as_str(), hash);
        }
        let checkpoints = [
            ("prepared", "prepare", "{}", "2026-11-21T05:55:53.9Z"),
            ("loaded", "load", r#"{"people":{"units":3}}"#, "2026-11-21T05:55:54Z"),
        ];
        let hashes = [
            "c73e419772debbb287e24bf2d3bda4bfa8311cc0304e516895c02a08575cac03",
            "8ce71e0c408f91a256fa7a8565a4263326731f744bc1833897d2243ed34d55b7",
        ];
        let mut previous = Vec::new();
        let links = checkpoints.into_iter().zip(hashes).enumerate();
        for (index, ((name, phase, detail, at), hash)) in links {
            let checkpoint = Checkpoint {
                run: "7f3a2c11".to_owned(),
                seq: index as u64,
                name: name.to_owned(),
                phase: phase.to_owned(),
                detail: detail.to_owned(),
                previous,
                hash: Vec::new(),
                created_at: at.to_owned(),
            };
            previous = checkpoint.expected_hash();
            assert_eq!(blake3::Hash::from_slice(&previous).unwrap().to_hex().as_str(), hash);
        }
    }
}
