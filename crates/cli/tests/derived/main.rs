//! What the binary has loaded is what the interpreter of the validator, which shares no code with the
//! load path, derives from the same plan and sources: row by row, and every unit's fate.

#![allow(clippy::unwrap_used)] // tests

mod agreement;
mod fixtures;
mod plans;
