//! The nouns of Whimbrel: values, chunks, marks, accounts, digests and the plan document.
//!
//! ```text
//! record ──▶ SourceChunk ──▶ Out (units + target rows) ──▶ batch (rows, undo, mark) ──▶ Account
//! ```
//! This crate is pure: no clock, no IO, no async, no engine. Everything here is plain data whose
//! meaning is the same for every source and target.

pub mod account;
pub mod catalogue;
pub mod chunk;
pub mod decimal;
pub mod digest;
pub mod json;
pub mod kind;
pub mod plan;
pub mod record;
pub mod time;
pub mod value;
pub mod wce;

pub use account::{Account, Class, RowAccount, RowClass};
pub use chunk::{Chunk, ChunkBuilder, Row};
pub use digest::{Digest, Sum};
pub use kind::{Column, Kind, Table};
pub use record::{
    Defect, Field, FileFacts, PartitionId, Position, Record, Shape, ShapeColumn, SourceChunk,
    SourceMark,
};
pub use time::{Date, DateTime, Time};
pub use value::{Value, ValueRef};
