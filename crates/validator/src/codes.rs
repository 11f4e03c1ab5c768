//! Codes of this crate's errors: code, title, explanation.

/// Files for sorting could not be written.
pub const NO_ROOM: &str = "WB0801";
/// Nothing to compare.
pub const NO_TABLE: &str = "WB0803";
/// A check could not be carried out.
pub const UNVERIFIED: &str = "WB0807";
/// The last verification failed, and nothing has settled it.
pub const STANDS_FAILED: &str = "WB0806";

/// Files of a lineage could not be written or read.
pub const LINEAGE_FILES: &str = "WB0820";
/// A lineage does not hold.
pub const LINEAGE_BROKEN: &str = "WB0821";
/// No lineage was made.
pub const NO_LINEAGE: &str = "WB0822";
/// No such record or row.
pub const NOT_IN_LINEAGE: &str = "WB0823";
/// What was proved has changed since.
pub const CHANGED_SINCE: &str = "WB0824";
/// A check of the plan does not fit what it looks at.
pub const CHECK_FITS: &str = "WB0808";

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
        "Neither side has a table, or none of the name that was given, or no table that is compared has a \
         column that `--without` names. Tables are compared by their names, as each side's catalogue spells them (with the schema where that is not the usual one); \
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
        LINEAGE_FILES,
        "the lineage of a run could not be kept or read",
        "`verify --level forensic` writes a line for every source record to `.whimbrel/lineage/RUN/` beside \
         the plan, and `prove` reads them. The cause says why that failed; make room (about 300 bytes a \
         record and table) or mend the permissions, and run the same command again. What an earlier \
         verification has left there stays until a new one is whole.",
    ),
    (
        LINEAGE_BROKEN,
        "the lineage does not hold",
        "The leaves in `.whimbrel/lineage/RUN/` do not give the root that their head names, the head is not \
         the one that the ledger's audit log and checks name, its signature is not of it, or the audit log \
         itself does not hold: something was edited, removed, put in or exchanged since. Where the newest \
         verification was killed right before it put its files in place, its head stands in the ledger and \
         the files of the one before in the folder: `whimbrel verify --level forensic` makes them anew. \
         Where nothing was killed, compare with a copy (docs/proofs.md).",
    ),
    (
        NO_LINEAGE,
        "there is no lineage of that run",
        "`prove` answers from what `whimbrel verify --level forensic` has left in `.whimbrel/lineage/RUN/` \
         beside the plan. That run was not verified so, or on another machine: run it here, or copy the folder.",
    ),
    (
        NOT_IN_LINEAGE,
        "no leaf of such a record or row",
        "No mapping has judged a record of this name, or no row has this key. Records are named FILE:LINE (the \
         line in which the record begins, headers count), FILE#RECORD, FILE, or SOURCE/KEY where the source is \
         a database; rows TABLE/KEY, a key of several columns as its parts between `/`, or as an array of JSON.",
    ),
    (
        CHANGED_SINCE,
        "it has changed since it was proved",
        "The proof holds: this is what stood there when the run was verified. But the source record or the \
         target row, read again now, has another digest, or is gone. `whimbrel verify` says what differs as a \
         whole; where rows were changed on purpose, verify again.",
    ),
    (
        "WB0825",
        "a key that cannot sign",
        "`--sign-key` takes a private Ed25519 key as `openssl genpkey -algorithm ed25519 -out FILE` writes it \
         (PKCS #8 in PEM), without a password. The cause says what the file is instead. Nothing was verified.",
    ),
    (
        CHECK_FITS,
        "a check does not fit what it looks at",
        "A `[[check]]` names a table or a column that is not there, in the target, in the schema that the plan \
         applies or in the source. It is said before anything is written. Mend the name; a table that only SQL \
         of the plan creates is made in the plan's schema folder, where it is known beforehand.",
    ),
];
