//! The ledger: runs, steps, items, batches, rejects, mappings, undo, checkpoints, checks, audit.
//!
//! ```text
//! one transaction of the target:  rows │ undo │ mappings │ rejects │ items (marks) │ batch │ fence
//! ```
//! Every row here is written through the same [`whimbrel_endpoint::Txn`] as the rows it accounts
//! for, so both are durable or neither is. The ledger knows nothing of what the rows mean, and
//! speaks no SQL: its tables are declared in [`tables`] and created from `migrations/`.

pub mod archive;
pub mod audit;
pub mod batch;
mod cells;
pub mod chain;
pub mod check;
pub mod item;
pub mod lead;
pub mod mapping;
pub mod meta;
pub mod pages;
pub mod parked;
pub mod reject;
pub mod run;
pub mod step;
pub mod tables;
pub mod undo;

pub use archive::Archived;
pub use audit::{Anchor, Anchored, ChainId, Fault, Verified, Wrong};
pub use batch::Batch;
pub use chain::{AuditEntry, Checkpoint};
pub use check::{Check, CheckStatus};
pub use item::{Counts, Item, ItemKind, ItemStatus};
pub use lead::{Lead, Place, Versions};
pub use mapping::{Mapping, Seen};
pub use pages::{ItemHead, RejectHead};
pub use parked::Parked;
pub use reject::{Reject, RejectId, RejectStatus, Stage};
pub use run::{Phase, Run, RunKind, RunStatus};
pub use step::{Layout, Step, StepStatus};

/// Code of errors that say: the ledger itself is not what was written.
pub const DAMAGED: &str = "WB0301";

/// Codes of this crate's errors: code, title, explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "WB0301",
        "the ledger holds something unreadable",
        "A row of the ledger in the target does not have the form that this version writes: it was \
         edited by hand, damaged, or written by another version. Nothing was changed. Compare the \
         row named in the message with the tables in `migrations/`, or restore the target.",
    ),
    (
        "WB0302",
        "the undo journal could not be compressed",
        "Memory ran out while a batch's undo journal was compressed. Nothing of the batch was \
         committed; run the same command again with a smaller `--batch-size`.",
    ),
];
