//! What legacy data looks like (`analyze`), and a first plan and schema for it (`init`).
//!
//! ```text
//! files ─▶ propose ─▶ sources ─▶ profile ─▶ Profile ─▶ text, JSON, HTML
//!                        ▲                     └─────▶ plan + schema that load it unedited
//! Catalogue of a database ┴─────────────────────────▶ the same, table by table
//! ```
//! Pure computation over what a [`whimbrel_endpoint::Source`] hands over: this crate opens no
//! file, writes none and reads no clock. Memory does not grow with the number of records.

pub mod cells;
pub mod codes;
pub mod column;
pub mod database;
pub mod database_plan;
pub mod forms;
pub mod infer;
pub mod init;
pub mod inspect;
mod kept;
pub mod keys;
pub mod names;
pub mod profile;
pub mod read;
pub mod render;
pub mod schema;
pub mod shown;
pub mod sketch;
pub mod sniff;
pub mod stamps;
mod summary;
