//! What tests stand on: legacy folders made on the spot, byte for byte the same for the same seed,
//! and database servers of their own.
//!
//! Owns the generators of the fixtures ([`extruder`], [`content`], [`heartbeat`],
//! [`chunks`]), of large inputs ([`telemetry`]) and what they stand on: a folder whose times are set ([`Folder`]) and a small
//! random sequence ([`Dice`]). Nothing here reads a plan or knows what becomes of the data: what a
//! migration must make of it is computed elsewhere, by other means (`fixtures/*/expect.py`).
//! `servers` starts, kills and clears away database servers; `proxy` cuts connections to them.

mod calendar;
pub mod chunks;
pub mod content;
mod dice;
mod dump;
pub mod extruder;
mod folder;
pub mod heartbeat;
#[cfg(unix)]
pub mod proxy;
#[cfg(unix)]
pub mod servers;
pub mod telemetry;

pub use dice::Dice;
pub use folder::Folder;

/// The seed of the committed expectations.
pub const DEFAULT_SEED: u64 = 2024;
