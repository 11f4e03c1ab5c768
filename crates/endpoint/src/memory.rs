//! In-memory source and target, for tests and for whoever embeds the crates without a database.
//!
//! Both pass the contract suite. They keep every value as it is given; nothing survives the
//! process.

mod order;
mod snapshot;
mod source;
mod target;

pub use order::compare;
pub use source::{MemoryRecord, MemorySource};
pub use target::{Committed, MemoryTarget};
