//! Proof: what should stand in a target, what does, and where they differ.
//!
//! Nothing here shares code with the load path but the plan document, the readers of sources, CEL and
//! the canonical encoding, each of which is pinned by vectors that were made by other means. It repairs
//! nothing.

pub mod agree;
mod ahead;
pub mod codes;
pub mod compare;
pub mod interpret;
mod latest;
pub mod lineage;
pub mod merge;
pub mod order;
mod packed;
pub mod rules;
pub mod sorter;
pub mod verify;

pub use codes::CODES;
pub use merge::{Difference, Side, Tally};
