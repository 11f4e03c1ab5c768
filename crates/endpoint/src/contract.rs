//! What every adapter must do, as tests that adapters run on themselves.
//!
//! [`target_contract`] and [`source_contract`] go through the sentences of the traits'
//! documentation, each as a claim on a fresh endpoint; [`orphan_contract`] is for engines that know
//! foreign keys. A claim that does not hold panics, naming
//! itself. Adapters add tests for what is theirs alone.

mod orphans;
mod snapshot;
mod source;
mod target;

pub use orphans::orphan_contract;
pub use source::{SourceUnderTest, parse_equals_reading, source_contract};
pub use target::{Connect, holder, target_contract};
