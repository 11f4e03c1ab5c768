//! Sources: partitions, what they look like, and readers that can go on after a mark.

use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_model::plan::HashAlgorithm;
use whimbrel_model::{
    Digest, Field, FileFacts, PartitionId, Position, Shape, SourceChunk, SourceMark,
};

use crate::{EndpointError, Finding};

/// A set of records in partitions, each read in order.
#[async_trait]
pub trait Source: Send + Sync {
    /// The name in the plan.
    fn name(&self) -> &str;

    /// Finds the partitions, in source order (paths compared as bytes).
    async fn partitions(&self) -> Result<Discovery, EndpointError>;

    /// What should be known before a run: privileges, versions, tables without a key.
    async fn inspect(&self) -> Result<Vec<Finding>, EndpointError> {
        Ok(Vec::new())
    }

    /// The name of the one state in which everything of this source, and of those that share its
    /// database, is read now: states of the same name have the same content, whoever reads them. It
    /// is another one once that state was lost. `None` where there is no such state, as of files.
    async fn state(&self) -> Result<Option<String>, EndpointError> {
        Ok(None)
    }

    /// Whether a partition holds at least so many records, where that is quicker to know than to read
    /// it; else false.
    async fn holds(&self, partition: &Partition, records: u64) -> Result<bool, EndpointError> {
        let (_, _) = (partition, records);
        Ok(false)
    }

    /// Looks at the beginning of a partition: its columns and format, without reading it all.
    async fn describe(&self, partition: &Partition) -> Result<Shape, EndpointError>;

    /// The columns by which records are told apart, as members of the JSON object that a record's bytes are;
    /// none where records have places instead, as in files.
    async fn key(&self) -> Result<Vec<String>, EndpointError> {
        Ok(Vec::new())
    }

    /// Opens a partition for the given fields, after a mark that a reader of it returned.
    ///
    /// With a mark, everything before it must still be as it was read: otherwise the error has
    /// class [`crate::ErrorClass::Changed`]. Bytes appended after the mark are fine.
    async fn open(
        &self,
        partition: &Partition,
        fields: &[Field],
        after: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError>;

    /// Records made of other bytes than the partition's own, as if they stood at these places of
    /// it: what a person has mended. One row per entry, in order, with the given positions; the
    /// chunk's `raw` holds the given bytes, its mark is empty. Bytes that hold no record, or more
    /// than one, are a record with a defect. The partition is opened only for what records need of
    /// it (a CSV header, its encoding).
    ///
    /// A final line end may be there or not, and a byte order mark that an editor has put in front
    /// is no part of the record. Bytes are judged alone: what the partition's reader rejects for
    /// what stands around it (a line inside somebody else's open quote) may be a record here.
    async fn parse(
        &self,
        partition: &Partition,
        fields: &[Field],
        records: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError>;

    /// The hash of the partition's bytes as stored, in lower-case hex: `file.sha256`, `file.blake3`.
    async fn checksum(
        &self,
        partition: &Partition,
        algorithm: HashAlgorithm,
    ) -> Result<String, EndpointError>;

    /// The whole partition as text: `file.text`. Class `Data` where it is no text in the source's
    /// encoding or larger than a record may be.
    async fn text(&self, partition: &Partition) -> Result<String, EndpointError>;

    /// Whether the partition is still what the mark's token remembers, without reading further:
    /// used by incremental runs.
    async fn compare(
        &self,
        partition: &Partition,
        mark: &SourceMark,
    ) -> Result<Freshness, EndpointError>;
}

/// How a partition stands against a mark at its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// Byte for byte the same.
    Same,
    /// Everything up to the mark is the same, and there is more.
    Appended,
    /// Something before the mark differs: it is a new version.
    Changed,
}

/// Reads the records of one partition in order.
#[async_trait]
pub trait Reader: Send {
    /// The next records, at least one, at most `limit`; `None` at the end.
    async fn next(&mut self, limit: Limit) -> Result<Option<SourceChunk>, EndpointError>;

    /// To be called after `next` returned `None`: checks that the partition did not change while
    /// it was read (class `Changed` otherwise) and says what the whole was.
    async fn finish(self: Box<Self>) -> Result<ReaderEnd, EndpointError>;
}

/// Of a record that cannot be taken whole (too long, or not ended where it should be), a source
/// keeps at most this many bytes.
pub const CUT_BYTES: usize = 64 << 10;

/// How much a chunk may hold; one record may exceed `bytes` by itself.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Records.
    pub rows: usize,
    /// Bytes of records.
    pub bytes: usize,
}

impl Default for Limit {
    fn default() -> Self {
        Self { rows: 1_000, bytes: 1 << 20 }
    }
}

/// What a reader knows at the end of a partition.
#[derive(Clone, Debug, Default)]
pub struct ReaderEnd {
    /// Where incremental runs go on: after the last *terminated* record.
    pub mark: SourceMark,
    /// Lines that are no records (blank, comments), counted.
    pub skipped_lines: u64,
    /// Physical lines altogether, header included.
    pub lines: u64,
    /// Bytes as stored.
    pub bytes: u64,
    /// BLAKE3 of the bytes that were read, where the adapter hashes them anyway.
    pub digest: Option<Digest>,
}

/// Partitions and what could not be looked at.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// In source order.
    pub partitions: Vec<Partition>,
    /// Paths that match but could not be read, each with its reason: never dropped silently.
    pub unreadable: Vec<Unreadable>,
}

/// A path that could not be read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// The path, relative, escaped where it is not UTF-8.
    pub path: String,
    /// Why not.
    pub reason: String,
}

/// One partition and its facts.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Source and path.
    pub id: PartitionId,
    /// What is known about the file; all zero for partitions that are no files.
    pub facts: Arc<FileFacts>,
}
