//! Files as sources: every record with its exact place, its original bytes, and what ails it.
//!
//! ```text
//! globs ─▶ discovery ─▶ file ─▶ compression ─▶ encoding ─▶ csv │ json │ jsonl │ markdown │ text ─▶ records
//!                         └─ fingerprint: is it still the file that was read?
//! ```
//! Readers are synchronous and hold one record at a time; a bad record is data ([`Defect`]), never
//! an error of the run. Positions count the decompressed, not yet decoded bytes of the file.
//! Nothing here knows of plans, runs or SQL. The trait that sources implement is async; their futures
//! wait for nothing but the file system, so [`block_on`] is all the runtime that they need.

mod block_on;
pub mod codes;
pub mod compression;
pub mod csv;
pub mod discovery;
pub mod encoding;
pub mod fingerprint;
pub mod input;
pub mod json;
pub mod jsonl;
mod lines;
pub mod mark;
pub mod markdown;
mod source;
pub mod text;
pub mod yaml;

pub use block_on::block_on;
pub use codes::CODES;
pub use compression::Compression;
pub use encoding::Encoding;
pub use input::{Input, ReadError};
pub use mark::Mark;
pub use source::{FileOptions, FileSource, Format, open};
pub use whimbrel_model::{Defect, Position};
/// The crates whose types stand in the signatures here.
pub use {whimbrel_endpoint as endpoint, whimbrel_model as model};
