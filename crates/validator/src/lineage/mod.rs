//! Lineage: for every source record what became of it, as leaves of a Merkle tree whose head stands in the
//! ledger and can be signed.
//!
//! ```text
//! record ─▶ leaf ─┐
//! record ─▶ leaf ─┴▶ node ─┐
//! row of SQL ─▶ leaf ──────┴▶ root ─▶ head: run, plan, root, audit log ─▶ ledger, signature
//! ```
//! A leaf is a line of JSON, hashed as it stands, so that nobody needs a canonical form to check it. The tree
//! has the shape of RFC 6962, with SHA-256, which every language brings along. Nothing here reads sources or
//! targets, nor decides what became of a record. `docs/proofs.md` describes the format.
//!
//! | file | owns |
//! |---|---|
//! | `tree` | hashes, root and paths of a tree that is read once, from the first leaf to the last |
//! | `leaf` | what a leaf says |
//! | `draft` | leaves on their way into files, which nobody takes for whole before they are |
//! | `sign` | signatures of heads, by OpenSSL's keys |
//! | `kept` | files that stand: read, recomputed, searched |

pub mod draft;
pub mod kept;
pub mod leaf;
pub mod sign;
pub mod tree;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use draft::{Draft, Sealed};
pub use kept::{Asked, Kept, Proved};
pub use leaf::{Leaf, LeafFate, MadeRow, Origin, Unit};
pub use sign::SignKey;

/// The form of a head.
pub const SCHEMA: &str = "whimbrel/lineage/v1";

/// Files of a lineage, in its folder.
pub mod files {
    /// The leaves, a line each.
    pub const LEAVES: &str = "leaves.jsonl";
    /// The head.
    pub const HEAD: &str = "head.json";
    /// The signature of the head's bytes.
    pub const SIGNATURE: &str = "head.sig";
    /// The key with which it is checked.
    pub const PUBLIC_KEY: &str = "head.pub.pem";
}

/// How many leaves of a table there are, by what became of the record.
pub type Counts = BTreeMap<String, BTreeMap<LeafFate, u64>>;

/// What a whole lineage comes down to. Its bytes are what is signed and what the ledger names.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Head {
    /// [`SCHEMA`].
    pub schema: String,
    /// The run that was verified: the newest of its line.
    pub run: String,
    /// Name of the plan.
    pub plan: String,
    /// Digest of the plan's mapping, in hex, as the run's row has it.
    pub plan_digest: String,
    /// Which ledger.
    pub ledger: String,
    /// The last entry of the audit log when it was verified.
    pub audit: Option<Entry>,
    /// How many leaves there are.
    pub leaves: u64,
    /// The root of the tree over them, in hex.
    pub root: String,
    /// By table and fate.
    pub counts: Counts,
    /// When it was verified, RFC 3339.
    pub at: String,
    /// Version of the program.
    pub program: String,
}

/// An entry of the audit log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// Its hash, in hex.
    pub hash: String,
}

impl Head {
    /// The head as it is written and signed: one line.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON") + "\n"
    }
}

/// SHA-256 in hex: of a head, of a record's bytes, of a row's encoding.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Signs heads.
pub trait Signer: Send + Sync {
    /// The signature of these bytes.
    fn sign(&self, head: &[u8]) -> Vec<u8>;
    /// The key with which it is checked: a SubjectPublicKeyInfo in PEM.
    fn public_key(&self) -> &str;
    /// The SHA-256 of that key's DER, in hex.
    fn fingerprint(&self) -> &str;
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    whimbrel_ledger::audit::hex(bytes)
}
