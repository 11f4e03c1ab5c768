//! Legacy folders made on the spot, byte for byte the same for the same seed.
//!
//! Owns the generators of the fixtures ([`extruder`], [`content`]), of large inputs
//! ([`telemetry`]) and what they stand on: a folder whose times are set ([`Folder`]) and a small
//! random sequence ([`Dice`]). Nothing here reads a plan or knows what becomes of the data: what a
//! migration must make of it is computed elsewhere, by other means (`fixtures/*/expect.py`).

mod calendar;
pub mod content;
mod dice;
pub mod extruder;
mod folder;
pub mod telemetry;

pub use dice::Dice;
pub use folder::Folder;

/// The seed of the committed expectations.
pub const DEFAULT_SEED: u64 = 2024;
