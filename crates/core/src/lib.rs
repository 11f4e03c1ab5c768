//! The order of things: what a run does, in which order, and how it goes on after a crash.
//!
//! ```text
//! preflight ─▶ prepare ─▶ load (per table: batches) ─▶ relate ─▶ verify ─▶ finish
//!  survey       schema     read ∥ transform ∥ write     SQL       read back  conservation
//!                          └── rows, undo, mark: one transaction ──┘
//! ```
//! Functions over ports: no engine, no terminal, no environment, no wall clock is known here.

mod begin;
mod cancel;
mod checks;
mod codes;
mod error;
pub mod event;
mod finish;
mod incremental;
mod lease;
mod load;
mod migrate;
mod options;
mod patience;
mod ports;
mod prepare;
mod preview;
mod prove;
mod relate;
mod retry;
mod sample;
mod standing;
mod states;
mod survey;
mod verify;
mod waive;
pub mod window;

pub use cancel::{Cancel, StopReason};
pub use checks::check_sources;
pub use codes::CODES;
pub use error::{Changes, CoreError, Outcome};
pub use load::dry::{Depth, DryReject, DrySample, DryTable};
pub use migrate::{check_incremental, migrate};
pub use options::{Options, Selection};
pub use ports::{Clock, Identity, Liveness, Ports, Spill, rfc3339};
pub use preview::{Pending, Preview, RelatePreview, preview};
pub use prove::{Answered, Now, Proof, State, Thing, prove};
pub use retry::{Chosen, retry};
pub use states::Outdated;
pub use survey::{Found, SetAside, SourceSurvey, Survey, SurveyedRelate, SurveyedStep, survey};
pub use verify::{Verdict, verdict, verify_run, waive_verification};
pub use waive::waive;
