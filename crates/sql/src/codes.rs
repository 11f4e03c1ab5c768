//! Codes of this crate's errors and fates: `(code, title, explanation)`.

pub(crate) const URL: &str = "WB0400";
pub(crate) const NO_DATABASE: &str = "WB0401";
pub(crate) const NOT_A_DATABASE: &str = "WB0402";
pub(crate) const CORRUPT: &str = "WB0403";
pub(crate) const CANNOT_OPEN: &str = "WB0404";
pub(crate) const READ_ONLY: &str = "WB0405";
pub(crate) const DISK_FULL: &str = "WB0406";
pub(crate) const LOCKED: &str = "WB0407";
pub(crate) const DIRECTORY: &str = "WB0408";
pub(crate) const INPUT_OUTPUT: &str = "WB0409";
pub(crate) const UNIQUE: &str = "WB0410";
pub(crate) const CHECK: &str = "WB0411";
pub(crate) const FOREIGN_KEY: &str = "WB0412";
pub(crate) const TRIGGER: &str = "WB0413";
pub(crate) const STORED_TYPE: &str = "WB0414";
pub(crate) const UNHOLDABLE: &str = "WB0415";
pub(crate) const WOULD_CHANGE: &str = "WB0416";
pub(crate) const TOO_BIG: &str = "WB0417";
pub(crate) const KEY_NOT_UNIQUE: &str = "WB0418";
pub(crate) const SCHEMA: &str = "WB0420";
pub(crate) const SCHEMA_FORBIDDEN: &str = "WB0421";
pub(crate) const NOT_A_TABLE: &str = "WB0422";
pub(crate) const LEDGER_NEWER: &str = "WB0430";
pub(crate) const LEDGER_DAMAGED: &str = "WB0431";
pub(crate) const ROLLED_BACK: &str = "WB0440";
pub(crate) const COMMIT_UNKNOWN: &str = "WB0441";
pub(crate) const MEMORY: &str = "WB0442";
pub(crate) const ENGINE: &str = "WB0443";
pub(crate) const CONNECTION_GONE: &str = "WB0444";

/// Every code of this crate, for `explain`.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        URL,
        "the target's URL is not understood",
        "A target is written `sqlite:FILE`, as `sqlite:extruder.db` (relative to the plan) or \
         `sqlite:///var/data/extruder.db`. A bare path is refused so that a typing mistake does not \
         create a database; `:memory:` is refused because it would vanish with the process, and \
         with it the ledger that makes a run resumable.",
    ),
    (
        NO_DATABASE,
        "the database does not exist",
        "The file that the target names does not exist, or its folder does not. Reading never \
         creates it; `whimbrel migrate` creates the file, but no folders.",
    ),
    (
        NOT_A_DATABASE,
        "the file is not a database",
        "The file that the target names exists, but is no SQLite database (or an encrypted one). \
         It was not touched. Check the path in `target`.",
    ),
    (
        CORRUPT,
        "the database is damaged",
        "SQLite found the database file damaged. Nothing more was written. Keep a copy of the file \
         together with its `-wal` and `-journal` files, look at `PRAGMA integrity_check`, and \
         restore a backup.",
    ),
    (
        CANNOT_OPEN,
        "the database cannot be opened",
        "The operating system refused to open the database or one of the files beside it. SQLite \
         needs to write to the file and to create files in its folder. Check owner and permissions \
         of both.",
    ),
    (
        READ_ONLY,
        "the database is read-only",
        "The file, its folder or the file system is read-only for this user. Check permissions \
         (`ls -ld`), mounts (`findmnt -T`) and whether the file is marked immutable (`lsattr`).",
    ),
    (
        DISK_FULL,
        "the disk is full",
        "The file system that holds the target has no space left, or a quota or file size limit \
         was reached. The open transaction was undone; everything committed before it stands. Free \
         space and type the same command again: it resumes.",
    ),
    (
        LOCKED,
        "the database is locked",
        "Another process holds a lock on the database for longer than the time we wait. The \
         message names the processes where the system tells them. Let it finish or stop it (a \
         forgotten `sqlite3` shell with an open transaction is a common one), then run again.",
    ),
    (
        DIRECTORY,
        "the target is a folder",
        "The path that the target names is a folder. Name a file in it.",
    ),
    (
        INPUT_OUTPUT,
        "reading or writing the database failed",
        "The operating system reported an error while the database was read or written: a failing \
         disk, a network file system, a removed medium. The open transaction was undone. See the \
         system's log (`dmesg`).",
    ),
    (
        UNIQUE,
        "another row has this value already",
        "A unique column (or columns) other than the key of the mapping holds this value already, \
         in a row that was loaded before or stood in the table. See `rejects show`; decide in the \
         plan which record wins (`duplicates`) or map the value apart.",
    ),
    (
        CHECK,
        "a CHECK constraint refused the row",
        "The table's schema has a CHECK that this row does not satisfy; the constraint is named by \
         its name or its expression. Repair the records or the mapping.",
    ),
    (
        FOREIGN_KEY,
        "the parent row is missing",
        "A foreign key of the table points to a row that is not there. Load the parent table \
         before (order of `[[table]]`), or see why the parent was rejected.",
    ),
    (
        TRIGGER,
        "a trigger refused the row",
        "A trigger of the table refused or skipped the row; its message follows.",
    ),
    (
        STORED_TYPE,
        "the column refuses values of this type",
        "The table is STRICT, or the column is an INTEGER PRIMARY KEY, and the value has another \
         type. Declare the conversion in the plan.",
    ),
    (
        UNHOLDABLE,
        "SQLite cannot hold this value",
        "SQLite's integers have 64 bits; it stores NaN as NULL, and -0.0 in a REAL column as 0.0. Map \
         the value to text or to a decimal, or declare what becomes of it (`invalid = \"null\"`).",
    ),
    (
        WOULD_CHANGE,
        "the column would change the value",
        "The declared type of the column makes SQLite convert the value, and the result would \
         differ from it: a decimal with more digits than a double has, text such as `007` in a \
         number column. Declare the column so that it keeps text: `DECIMAL_TEXT(10,2)`, `TEXT`, \
         `JSON_TEXT`.",
    ),
    (
        TOO_BIG,
        "the row is too big",
        "A value or row exceeds SQLite's limit of 1,000,000,000 bytes.",
    ),
    (
        KEY_NOT_UNIQUE,
        "nothing makes the key unique",
        "The plan's `key` for this table is neither its primary key nor covered by a UNIQUE \
         constraint or index of exactly these columns, so the target could not tell whether a row \
         is there already. Add one to the schema, or name the primary key in the plan.",
    ),
    (
        SCHEMA,
        "a schema file failed",
        "A statement in a file of the plan's `schema` folder was refused by the engine. The \
         position is that of the statement. Nothing of the file was applied.",
    ),
    (
        SCHEMA_FORBIDDEN,
        "a statement is not allowed in a schema file",
        "Schema files run inside one transaction together with the ledger's bookkeeping, so they \
         cannot begin or end transactions, attach databases, VACUUM or set PRAGMAs. Remove the \
         statement (dumps of `sqlite3 .dump` begin with `PRAGMA` and `BEGIN` and end with \
         `COMMIT`).",
    ),
    (
        NOT_A_TABLE,
        "not a table",
        "The name belongs to a view or a virtual table. Rows are loaded into tables only.",
    ),
    (
        LEDGER_NEWER,
        "the ledger is newer than this program",
        "The target's ledger was written by a newer version of Whimbrel. Nothing was changed. Use \
         that version.",
    ),
    (
        LEDGER_DAMAGED,
        "the ledger is damaged",
        "The ledger says that it has a certain version, but tables of that version are missing. \
         Someone removed them, or a restore was incomplete.",
    ),
    (
        ROLLED_BACK,
        "the engine undid the transaction",
        "A trigger with RAISE(ROLLBACK), or the engine itself after a serious error, undid the \
         whole transaction in the middle. Nothing of the batch was written. Where it was a \
         trigger, change it to RAISE(ABORT): then only the one row is refused.",
    ),
    (
        COMMIT_UNKNOWN,
        "it is not known whether the commit succeeded",
        "The engine reported an error while it was committing. Whether the batch stands can be \
         told from the ledger: type the same command again, it looks there first.",
    ),
    (MEMORY, "out of memory", "The engine could not get memory. The open transaction was undone."),
    (
        ENGINE,
        "the engine refused a statement",
        "SQLite refused a statement for a reason that has no code of its own; its message follows.",
    ),
    (
        CONNECTION_GONE,
        "the connection has ended",
        "The thread that owns the database connection has ended. This is a defect; please report \
         it with the log.",
    ),
];

#[cfg(test)]
mod tests {
    #[test]
    fn codes_rise() {
        assert!(super::CODES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
