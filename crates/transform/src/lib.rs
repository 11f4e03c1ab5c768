//! The mapping compiled from a plan: values, rows, units.
//!
//! ```text
//! Plan + Table + shapes ──compile──▶ Step          (every mistake that can be known, with its place)
//! Step + facts of a file ──start──▶ State
//! State + SourceChunk + Lookups ──apply──▶ Out     (rows, fates of units, notes; never an error)
//! ```
//! [`op`] holds the operations on single values, for use without a plan. Nothing here does IO, waits,
//! or knows of endpoints, runs or engines.

mod aggregate;
mod cel;
pub mod codes;
mod compile;
mod facts;
mod lookups;
mod node;
mod notes;
pub mod op;
mod out;
mod plain;
mod reason;
mod state;
mod step;
mod suggest;

pub use codes::CODES;
pub use compile::{Environment, SourceShape};
pub use facts::PartitionFacts;
pub use lookups::{Lookup, Lookups};
pub use notes::{Note, NoteKey, Notes, SAMPLES_MAX, Sample};
pub use op::kind::Limits;
pub use op::zone;
pub use out::{Out, Output, Unit, UnitFate, UnitKind};
pub use reason::{EXCERPT_CHARS, Fault, Reason, excerpt, excerpt_text};
pub use state::{STATE_BYTES_MAX, State, StateError};
pub use step::{Needs, Step};
/// A mistake in a plan's mapping, with its place in the plan.
pub use whimbrel_model::plan::PlanError as CompileError;
