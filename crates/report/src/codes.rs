//! Codes of what a report can say about the ledger it was read from.

/// Code, title, explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        "WB0550",
        "the notes of a batch cannot be read",
        "A batch's row in `migration_batches` holds notes (conversions, warnings, filters) that are \
         no JSON of the expected form: the row was edited by hand or damaged. The report counts what \
         it could read and names the first such batch. Accounts and rejects are not affected: they \
         are kept apart from notes.",
    ),
    (
        "WB0551",
        "there is no such run in the ledger",
        "A report was asked for by an id that the target's ledger does not hold. `whimbrel history` \
         lists the runs.",
    ),
    (
        "WB0552",
        "the chain of checkpoints is broken",
        "The checkpoints of a run are chained by hashes, and one of them does not fit: a row of \
         `migration_checkpoints` was edited, or one was removed. The rows of the target are not \
         affected, but the checkpoints prove nothing any more. Compare with the copy below \
         `.whimbrel/`.",
    ),
    (
        "WB0553",
        "what the run recorded of its options or sources cannot be read",
        "The columns `options` and `sources` of a run hold JSON. One of them holds something else: the \
         row was edited by hand or damaged. The report leaves it out.",
    ),
];

/// The notes of a batch cannot be read.
pub(crate) const NOTES_UNREADABLE: &str = "WB0550";
/// There is no such run in the ledger.
pub(crate) const NO_SUCH_RUN: &str = "WB0551";
/// The chain of checkpoints is broken.
pub(crate) const CHAIN_BROKEN: &str = "WB0552";
/// What the run recorded cannot be read.
pub(crate) const RUN_UNREADABLE: &str = "WB0553";
