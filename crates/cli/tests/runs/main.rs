//! Runs as an operator meets them, through the binary: limits, signals, faults, and what changes
//! between runs. Whatever happens, the same command finishes in the end, and what stands in the
//! target then is looked at by plain SQL and compared with a run that nobody disturbed.

#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests; `Expect` is made to be handed over

mod faults;
mod incremental;
mod limits;
mod mistakes;
mod project;
mod relate;
mod retry;
mod sample;
mod sensitive;
mod signals;
mod troubles;
mod verified;
