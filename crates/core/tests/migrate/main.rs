//! Whole runs over memory endpoints: what is promised of a load, on whatever target.
//!
//! ```text
//! world: plan, files, target ─▶ process, and what befalls it ─▶ what is committed, as text
//! ```

mod fresh;
mod incremental;
mod invariance;
mod lease;
mod ledger;
mod legacy;
mod life;
mod limits;
mod pace;
mod ports;
mod relate;
mod resume;
mod retry;
mod states;
mod trouble;
mod troubled;
mod waive;
mod world;
