//! What a leaf says: a record, what became of it in one table, and why.

use serde::{Deserialize, Serialize};

/// A leaf. Its bytes are the line of JSON that [`Leaf::to_text`] writes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Leaf {
    /// Its number, from 0.
    pub n: u64,
    /// The target table whose mapping judged the record.
    pub table: String,
    /// The record; `None` where no record made the rows, but SQL of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Origin>,
    /// What became of it.
    pub fate: LeafFate,
    /// Of a reject: a code that `explain` knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What decided it: a rule of the table by its name, `where`, `large_files`, `each`; of attested rows
    /// the `[[relate]]` steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The record before it that it counts as, whose row it makes once more, or that has taken its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Unit>,
    /// Its rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<MadeRow>,
    /// Sixteen bytes in hex, so that who sees this leaf cannot guess its neighbours from their hashes.
    pub salt: String,
}

/// A record's place.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Unit {
    /// Name of the source.
    pub source: String,
    /// Path of the file, or name of the rows.
    pub path: String,
    /// Record in its file, from 1; 0 for a whole file.
    pub record: u64,
}

/// A record: its place, and its bytes.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Origin {
    /// Where it stands.
    #[serde(flatten)]
    pub unit: Unit,
    /// Physical line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The key under which an old database has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// SHA-256 of its bytes, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-256 of the bytes that a person has put in their place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mended: Option<String>,
}

/// A row.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
pub struct MadeRow {
    /// The values of its key; none where the table has no key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// SHA-256 of its encoding (WCE-1), in hex.
    pub sha256: String,
}

/// What became of a record, in the words of the ledger's accounts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
pub enum LeafFate {
    /// Its rows stand in the table.
    Loaded,
    /// Its rows were there already, made by a record before it.
    Unchanged,
    /// It stayed out, with a reason.
    Rejected,
    /// The plan leaves it out.
    Filtered,
    /// It counts as one before it.
    Duplicate,
    /// No record: a row as SQL of the plan has left it.
    Attested,
    /// No record: a row that SQL of the plan has taken away.
    Removed,
}

impl LeafFate {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Filtered => "filtered",
            Self::Duplicate => "duplicate",
            Self::Attested => "attested",
            Self::Removed => "removed",
        }
    }
}

impl Leaf {
    /// Its bytes, without the end of the line.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are JSON")
    }
}
