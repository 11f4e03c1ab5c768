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
pub(crate) const SCRIPT: &str = "WB0423";
pub(crate) const LEDGER_NEWER: &str = "WB0430";
pub(crate) const LEDGER_DAMAGED: &str = "WB0431";
pub(crate) const ROLLED_BACK: &str = "WB0440";
pub(crate) const COMMIT_UNKNOWN: &str = "WB0441";
pub(crate) const MEMORY: &str = "WB0442";
pub(crate) const ENGINE: &str = "WB0443";
pub(crate) const CONNECTION_GONE: &str = "WB0444";
pub(crate) const UNREACHABLE: &str = "WB0450";
pub(crate) const LOGIN: &str = "WB0451";
pub(crate) const NO_SUCH_DATABASE: &str = "WB0452";
pub(crate) const PRIVILEGE: &str = "WB0453";
pub(crate) const TLS: &str = "WB0454";
pub(crate) const CONNECTION_LOST: &str = "WB0455";
pub(crate) const CONFLICT: &str = "WB0456";
pub(crate) const CONNECTIONS: &str = "WB0457";
pub(crate) const TOO_LONG: &str = "WB0470";
pub(crate) const PACKET: &str = "WB0472";
pub(crate) const DEFINITION: &str = "WB0473";
pub(crate) const SETTING: &str = "WB0474";
pub(crate) const VERSION: &str = "WB0475";
pub(crate) const NOT_TRANSACTIONAL: &str = "WB0476";
pub(crate) const TRIGGERS: &str = "WB0477";
pub(crate) const DEFERRED: &str = "WB0478";
pub(crate) const SOURCE_TABLE: &str = "WB0490";
pub(crate) const SOURCE_COLUMN: &str = "WB0491";
pub(crate) const SOURCE_QUERY: &str = "WB0492";
pub(crate) const SOURCE_KEY: &str = "WB0494";
pub(crate) const SOURCE_NO_KEY: &str = "WB0496";
pub(crate) const SOURCE_SNAPSHOT: &str = "WB0497";
pub(crate) const SOURCE_RECORD: &str = "WB0498";

/// Every code of this crate, for `explain`.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        URL,
        "the target's URL is not understood",
        "A target is written `sqlite:FILE`, as `sqlite:extruder.db` (relative to the plan) or \
         `sqlite:///var/data/extruder.db`; on a server `postgres://USER@HOST/DATABASE` or \
         `mysql://USER@HOST/DATABASE`. A bare path is refused so that a typing mistake does not \
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
        "Another process or session holds a lock on the database, or on rows or a table of it, for \
         longer than the time we wait. The message names who, where the system or the server tells \
         (MariaDB and MySQL: to users with the privilege PROCESS). Let it finish or stop it (a \
         forgotten shell with an open transaction is a common one), then run again.",
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
         before (order of `[[table]]`), or see why the parent was rejected. Also keys that the schema \
         declares `INITIALLY DEFERRED` are checked while rows are loaded.",
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
        "the column cannot hold this value",
        "The value is out of the range of the column or of the engine: a number or a day that is too \
         large, a text that is too long, a NUL character in text on PostgreSQL. SQLite's integers have \
         64 bits; it stores NaN as NULL, and -0.0 in a REAL column as 0.0. Map the value to text or to \
         a decimal, or declare what becomes of it (`invalid = \"null\"`).",
    ),
    (
        WOULD_CHANGE,
        "the column would change the value",
        "The declared type of the column makes the engine convert the value, and the result would \
         differ from it: more digits than the column keeps, parts of a second that it rounds, blanks at \
         the end of a `char(n)`. Declare a wider column, or the conversion in the plan. On SQLite also \
         a decimal with more digits than a double has, or text such as `007` in a number column: \
         declare the column so that it keeps text (`DECIMAL_TEXT(10,2)`, `TEXT`, `JSON_TEXT`).",
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
         cannot begin or end transactions, attach databases, VACUUM, set PRAGMAs or become another \
         role; nor can the SQL of `[[relate]]`. Remove the statement (dumps of `sqlite3 .dump` begin \
         with `PRAGMA` and `BEGIN` and end with `COMMIT`).",
    ),
    (
        NOT_A_TABLE,
        "not a table",
        "The name belongs to a view or a virtual table. Rows are loaded into tables only.",
    ),
    (
        SCRIPT,
        "SQL of the plan failed",
        "A statement of a `[[relate]]` step, of a check or of a source's query was refused by the \
         engine; its message follows. The transaction of the step was undone. On MariaDB and MySQL \
         definitions (`CREATE`, `ALTER` …) commit by themselves, with what the step did before them: those \
         stay. A step that was done is taken back with the `undo` that was recorded then; where the \
         engine refuses that one, correct `undo` in the plan and go on with `--adopt`: the plan's takes \
         its place, and the audit log says so. A step that is not in the plan any more is put back for \
         that.",
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
        "The thread that owns the database connection, or the task that reads rows of it, has ended \
         before its work was done. This is a defect; please report it with the log.",
    ),
    (
        UNREACHABLE,
        "the server cannot be reached",
        "No server answers under the host and port of the URL: the name is unknown, nothing \
         listens there, or a firewall drops the packets. Check host and port in the URL, and that \
         the server runs and listens for connections from this machine.",
    ),
    (
        LOGIN,
        "the server refuses the login",
        "The server answered, but does not accept the user, the password or the host that the \
         connection comes from. Check the URL and the server's rules for logins; a password in a \
         URL is written with percent signs where it has special characters (`@` is `%40`).",
    ),
    (
        NO_SUCH_DATABASE,
        "the server has no such database",
        "The server was reached, but has no database of the name in the URL. Whimbrel creates \
         tables, not databases: create it (`CREATE DATABASE`), or correct the name.",
    ),
    (
        PRIVILEGE,
        "a privilege is missing",
        "The user of the URL may not do this. The message names the privilege or the statement; \
         have it granted, or use another user.",
    ),
    (
        TLS,
        "encryption failed or is required",
        "The server accepts encrypted connections only, or the encrypted connection could not be \
         made: an unknown certificate authority, another host name in the certificate, an old \
         protocol. Set the URL's parameters for TLS (`sslmode`, `ssl-mode`, and the certificate of \
         the authority).",
    ),
    (
        CONNECTION_LOST,
        "the connection to the server broke",
        "The connection ended in the middle: the server was restarted, the session was ended there, \
         or the network failed. The open transaction was undone by the server. The run goes on \
         from its last mark as soon as the server answers again.",
    ),
    (
        CONFLICT,
        "another session was in the way",
        "The server ended a statement because of another session: a deadlock, a lock that was \
         waited for too long, a serialisation failure. The batch is written again.",
    ),
    (
        CONNECTIONS,
        "the server takes no more connections",
        "The server's limit of connections is reached, for all or for this user. Close other \
         programs' connections or raise the limit; Whimbrel needs about four.",
    ),
    (
        TOO_LONG,
        "the value is longer than the column",
        "The text has more characters, or the bytes are more, than the column's declared type \
         holds. Nothing is cut. Widen the column, shorten the value in the plan, or leave the \
         record out.",
    ),
    (
        PACKET,
        "a row is larger than the server's packet",
        "MariaDB and MySQL take statements of at most `max_allowed_packet` bytes. One row, or one \
         value of the ledger, is larger. Raise the setting on the server \
         (`SET GLOBAL max_allowed_packet = 67108864`, and in its configuration).",
    ),
    (
        DEFINITION,
        "a definition cannot be run here",
        "MariaDB and MySQL commit definitions (CREATE, ALTER, DROP …) by themselves. Whimbrel runs \
         them one by one on a connection of their own and notes each before and after, so that each \
         happens once: after a crash it compares the definitions, or whether the names are there. What \
         does not survive a lost connection (temporary tables, locked tables) cannot be part of such a \
         file, nor what trades places and looks the same afterwards: RENAME TABLE a TO t, b TO a, t TO \
         b; columns that trade names and places; EXCHANGE PARTITION. Give each its new name in a \
         statement of its own; move rows with INSERT … SELECT. Where a crash of the server left a \
         statement done in part (DROP TABLE a, b), finish it by hand and type the same command again.",
    ),
    (
        SETTING,
        "a setting of the server",
        "A setting of the server is in the way of the load, or should be known before it; the \
         message says which and what to do.",
    ),
    (
        VERSION,
        "the server is too old",
        "Whimbrel needs PostgreSQL 14 or newer, MariaDB 10.6 or newer, or MySQL 8.0 or newer: older \
         ones lack statements that it uses, and those of MariaDB and MySQL do not make definitions all \
         or nothing.",
    ),
    (
        NOT_TRANSACTIONAL,
        "a table without transactions",
        "The table's storage engine (MyISAM, Aria, MEMORY …) has no transactions: rows would stay \
         when a batch is undone, and be written twice. Convert it: `ALTER TABLE … ENGINE = InnoDB`.",
    ),
    (
        TRIGGERS,
        "a table has triggers",
        "Triggers of the table run for every row that is loaded, and what they write is neither \
         counted nor undone on its own. Drop or disable them for the load if that is not wanted.",
    ),
    (
        DEFERRED,
        "a constraint of a table waits for the commit",
        "Constraints that are checked at the commit of a batch refuse the batch, not a row. Unique \
         keys and foreign keys to other tables are checked with each statement instead while rows are \
         loaded, whatever the schema says. A reference of a table to itself keeps waiting: rows of a \
         batch may come in any order, and those that have no parent at its end are rejected; a parent \
         in a later batch comes too late. What a constraint trigger refuses at the commit cannot be \
         put down to a row: the run stops there.",
    ),
    (
        SOURCE_TABLE,
        "the source's table is not there",
        "The database has no table or view of the name that `table` of the source gives. On servers a \
         table outside of the default schema is written `schema.table`.",
    ),
    (
        SOURCE_COLUMN,
        "the source's key names an unknown column",
        "A column in `key` of the source is none of the columns of the table or query.",
    ),
    (
        SOURCE_QUERY,
        "a query cannot be used",
        "The database does not take a query of the plan (of a source, a `[[check]]`, a `[[query]]`), or its \
         columns cannot be told apart. It is one SELECT that only reads; give every column a name of its \
         own (`AS`).",
    ),
    (
        SOURCE_KEY,
        "the source's key does not tell rows apart",
        "Two rows of the source have the same values in the columns of its `key`, so the order of the \
         rows is not fixed and a run could not go on where it stopped. Name more columns, or leave \
         `key` away: then the rows are ordered by all their columns.",
    ),
    (
        SOURCE_NO_KEY,
        "the source has no key",
        "No columns are known to tell the rows apart (no primary key, no unique index over columns that \
         are never NULL, and no `key` in the plan). The rows are read in the order of all their columns. \
         That is as safe, but the database has to sort all of them first, and a row that is added later \
         mostly stands before others: an incremental run then takes the table anew.",
    ),
    (
        SOURCE_SNAPSHOT,
        "what reading in one state costs, or why there is none",
        "All sources with the same URL are read in one state of the database, which has to be kept as \
         long as the reading lasts. The message says what that means for this one.",
    ),
    (
        SOURCE_RECORD,
        "bytes are not one row of the source",
        "A record of a database source is one JSON object with one member for each column, as \
         `rejects show` prints it: text in quotes, numbers as digits, bytes as \
         `{\"$bytes\":\"00ff\"}`. Give one such object, with all columns and no others.",
    ),
];

/// What to do about an error at the server or on the way to it.
pub fn hint(code: &str) -> Option<&'static str> {
    match code {
        UNREACHABLE => Some("check host and port in the URL, and that the server runs"),
        LOGIN => Some(
            "check user and password in the URL; signs of a password that mean something in URLs are \
             written with percent signs, as `%40` for `@`",
        ),
        NO_SUCH_DATABASE => Some("create it, as `CREATE DATABASE`, or correct its name in the URL"),
        PRIVILEGE => Some("`whimbrel validate` names what is missing and the GRANT for it"),
        LOCKED => Some("let the other one finish, or end it"),
        TLS => Some("the section TLS of docs/databases.md has the parameters"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn codes_rise() {
        assert!(super::CODES.is_sorted_by(|a, b| a.0 < b.0));
    }
}
