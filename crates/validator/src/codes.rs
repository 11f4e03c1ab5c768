//! Codes of this crate's errors: code, title, explanation.

/// Files for sorting could not be written.
pub const NO_ROOM: &str = "WB0801";
/// Nothing to compare.
pub const NO_TABLE: &str = "WB0803";
/// A check could not be carried out.
pub const UNVERIFIED: &str = "WB0807";
/// The last verification failed, and nothing has settled it.
pub const STANDS_FAILED: &str = "WB0806";

/// A check of the plan does not fit what it looks at.
pub const CHECK_FITS: &str = "WB0820";

/// Every code of this crate, for `explain`.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        NO_ROOM,
        "no room for the files of a sort",
        "Rows that do not come in the order of their key, or of a table without one, are sorted by \
         Whimbrel itself; what does not fit into memory waits in files without names, and these could \
         not be written. Nothing was changed. Make room, or name another folder by TMPDIR.",
    ),
    (
        NO_TABLE,
        "there is nothing to compare",
        "Neither side has a table, or none of the name that was given. Tables are compared by their \
         names, as each side's catalogue spells them (with the schema where that is not the usual one); \
         Whimbrel's own are left out. Look at the names with `whimbrel analyze URL`.",
    ),
    (
        STANDS_FAILED,
        "the last verification failed",
        "What stands in the target differed from what was loaded when it was verified last, and since then \
         it was neither verified with success nor waived. Loading more on top would bury the difference, so \
         the run does not go on. Look at `whimbrel report` or run `whimbrel verify` for the rows; mend \
         them and verify again, or take the responsibility with `whimbrel verify --waive REASON`, which is \
         audited.",
    ),
    (
        UNVERIFIED,
        "a check could not be carried out",
        "Nothing that was looked at differs, but something could not be looked at: the check says why. That \
         is not a pass.",
    ),
    (
        CHECK_FITS,
        "a check does not fit what it looks at",
        "A `[[check]]` names a table or a column that is not there, in the target, in the schema that the plan \
         applies or in the source. It is said before anything is written. Mend the name; a table that only SQL \
         of the plan creates is made in the plan's schema folder, where it is known beforehand.",
    ),
];
