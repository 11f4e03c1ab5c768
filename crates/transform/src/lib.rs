//! The mapping compiled from a plan.

mod cel;
pub mod codes;
mod facts;
mod notes;
pub mod op;
mod reason;
mod suggest;

pub use codes::CODES;
pub use facts::PartitionFacts;
pub use notes::{Note, NoteKey, Notes, Sample};
pub use reason::{Fault, Reason, excerpt, excerpt_text};
