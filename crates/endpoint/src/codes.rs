//! Codes of errors that every adapter shares: `(code, title, explanation)`.

/// A commit was refused for rows without parents; the target knows them now.
pub const WITHOUT_ORPHANS: &str = "WB0387";
/// Bytes that a person gave are not one record.
pub const NO_RECORD: &str = "WB0388";
/// A partition that was to be text is none.
pub const NOT_TEXT: &str = "WB0389";
/// Another run has taken over the right to write.
pub const FENCED: &str = "WB0390";
/// The ledger's tables are not there.
pub const NO_LEDGER: &str = "WB0391";
/// A table or column that was named is not there.
pub const MISSING: &str = "WB0392";
/// A partition differs from what a mark remembers.
pub const SOURCE_CHANGED: &str = "WB0393";
/// A row that was to be overwritten is not there.
pub const ROW_GONE: &str = "WB0394";
/// A transaction is open already, or the one used has ended.
pub const TRANSACTION: &str = "WB0395";
/// A table that was to be created is there already.
pub const TABLE_EXISTS: &str = "WB0396";
/// A key holds NULL.
pub const KEY_NULL: &str = "WB0397";
/// A column refuses NULL.
pub const NOT_NULL: &str = "WB0398";
/// What was asked, this endpoint does not do.
pub const UNSUPPORTED: &str = "WB0399";

/// Every code of this crate, for `explain`.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        WITHOUT_ORPHANS,
        "a batch is written again without rows whose parents are missing",
        "A table refers to itself by a foreign key that is checked at the commit. Rows of the batch \
         refer to rows that are neither in the table nor in the batch. It was undone and is written \
         again at once without them; each is a reject with the server's reason. A parent that comes \
         in a later batch comes too late: have parents come first, or fill the column in a second pass \
         (`[[relate]]`); `rejects retry` loads rows whose parents are there now.",
    ),
    (
        NO_RECORD,
        "bytes are not one record",
        "What was given in place of a record of the in-memory source is not one line with a cell \
         for each column. Give one line a record.",
    ),
    (
        NOT_TEXT,
        "a partition is no text",
        "The plan asks for the whole partition as text (`file.text`), but its bytes are no text in \
         the source's encoding.",
    ),
    (
        FENCED,
        "another run has taken over",
        "The right to write to the target passed to another run: this one was silent for longer \
         than its lease, or its process was found dead. The transaction was undone and nothing of \
         it was written. Let the other run finish; `whimbrel status` shows who holds the target.",
    ),
    (
        NO_LEDGER,
        "the target has no ledger",
        "The target holds no tables whose names begin with `whimbrel_`: no run has been started \
         there yet, or the URL names another database. `whimbrel migrate` creates them.",
    ),
    (
        MISSING,
        "a table or column is missing",
        "A table or column that the plan or the ledger names does not exist in the target. Compare \
         the name with the schema; names are compared as the engine compares them.",
    ),
    (
        SOURCE_CHANGED,
        "a source changed since it was read",
        "The part of the source that was read before differs from what was recorded then (or it \
         changed while it was being read). Going on would mix two versions. Put the old content \
         back, or start a new run with `--incremental`, which takes changed files as new versions.",
    ),
    (
        ROW_GONE,
        "a row to overwrite is not there",
        "A row that was read earlier in the same transaction, or that the undo journal names, no \
         longer exists under its key. Something deleted it outside of Whimbrel.",
    ),
    (
        TRANSACTION,
        "a transaction is open already, or has ended",
        "A target has one transaction at a time. A second one was begun, the lease was asked for \
         in the middle of one, or one was used after it had ended. This is a defect of the caller.",
    ),
    (
        TABLE_EXISTS,
        "the table exists already",
        "A table that the plan creates exists already. Name it in the plan's schema, drop it, or \
         let the plan fill another table.",
    ),
    (
        KEY_NULL,
        "a key value is NULL",
        "The row has NULL in a column of its key, so it could neither be found again nor be told \
         from others. Fill the column in the plan (`default`, `uuid5`) or leave such records out \
         with `where`.",
    ),
    (
        NOT_NULL,
        "a required column is NULL",
        "The target refuses NULL in this column. Give the column a `default` in the plan, or repair \
         the records.",
    ),
    (
        UNSUPPORTED,
        "this endpoint cannot do that",
        "The in-memory endpoint does not read SQL, and finds rows only by the key of their table.",
    ),
];
