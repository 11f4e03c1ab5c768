//! What a mapping may know of the file it reads.

use std::sync::Arc;

use whimbrel_model::{FileFacts, PartitionId};

/// Facts about a partition, given to [`crate::Step::start`].
#[derive(Clone, Debug)]
pub struct PartitionFacts {
    /// Source and path.
    pub id: PartitionId,
    /// What discovery found.
    pub file: Arc<FileFacts>,
    /// `source.ordinal` of the partition's first unit, from 1.
    pub ordinal: u64,
    /// SHA-256 of the file as stored, in lower-case hex, where [`crate::Needs::sha256`].
    pub sha256: Option<String>,
    /// BLAKE3 of the file as stored, in lower-case hex, where [`crate::Needs::blake3`].
    pub blake3: Option<String>,
    /// The whole file, where [`crate::Needs::text`]; or why it could not be read as text.
    pub text: Option<Result<String, String>>,
}

impl PartitionFacts {
    /// Facts without hashes and text.
    pub fn new(id: PartitionId, file: Arc<FileFacts>, ordinal: u64) -> Self {
        Self { id, file, ordinal, sha256: None, blake3: None, text: None }
    }
}
