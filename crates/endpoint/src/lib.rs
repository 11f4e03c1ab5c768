//! What a source and a target can do, whatever they are made of.
//!
//! ```text
//!            partitions   open            next             begin   write …  commit
//! Source ──▶ Partition ──▶ Reader ──▶ SourceChunk ─ ─ ─ ▶ Target ──▶ Txn ──────────▶ durable
//! ```
//! Adapters (`files`, `sql`, [`memory`]) implement these traits and pass the same contract suite.
//! They know nothing of plans, runs or policies. No SQL of our own crosses this boundary:
//! bookkeeping is rows in tables, written by [`Txn::put`] and read by [`Target::select`]; SQL of the
//! plan ([`SchemaFile`], [`Script`]) passes through unread.

pub mod codes;
#[cfg(feature = "contract")]
pub mod contract;
mod error;
pub mod failpoint;
pub mod memory;
mod query;
mod snapshot;
mod source;
mod target;
mod words;

pub use error::{EndpointError, ErrorClass};
pub use query::{Condition, Operator, Order, Query, Rows};
pub use snapshot::{Counter, Doubt, Feed, Orphans, RowOrder, Snapshot};
pub use source::{
    CUT_BYTES, Discovery, Freshness, Limit, Partition, Reader, ReaderEnd, Source, Unreadable,
};
pub use target::{
    Coming, Fence, Finding, Holder, Index, LeaseAnswer, LeaseRequest, Needs, Pressure, RowFate,
    SchemaFile, Script, Target, TargetFacts, Txn, WriteMode,
};
pub use whimbrel_model::{Field, FileFacts, Shape, ShapeColumn};
pub use words::{Cell, Seen, Unsaid, Words};
