//! Codes of what a profile finds unusual: `(code, title, explanation)`.

/// Records that the reader could not take apart.
pub const DEFECTS: &str = "WB0500";
/// A column that looks like a key repeats values.
pub const KEY_REPEATS: &str = "WB0501";
/// Whole records stand there again.
pub const RECORD_REPEATS: &str = "WB0502";
/// The last line of a file has no line end.
pub const TORN_LINE: &str = "WB0503";
/// Files of one source have different headers.
pub const GENERATIONS: &str = "WB0504";
/// Files of one source have different encodings or dialects.
pub const ENCODINGS: &str = "WB0505";
/// Lines end in different ways.
pub const LINE_ENDS: &str = "WB0506";
/// NUL bytes.
pub const NUL_BYTES: &str = "WB0507";
/// Numbers far away from all others.
pub const OUTLIERS: &str = "WB0508";
/// A clock that goes backwards.
pub const BACKWARDS: &str = "WB0509";
/// A file with a header and no record.
pub const HEADER_ONLY: &str = "WB0510";
/// A file without a byte.
pub const EMPTY_FILE: &str = "WB0511";
/// A file that could not be read.
pub const UNREADABLE: &str = "WB0512";
/// Control characters within values.
pub const CONTROLS: &str = "WB0513";
/// JSON objects that say a key twice.
pub const JSON_KEYS: &str = "WB0514";
/// JSON records that are no objects.
pub const NOT_OBJECTS: &str = "WB0515";
/// U+0000 within values.
pub const NUL_IN_TEXT: &str = "WB0517";
/// Uniqueness could not be checked to the end.
pub const UNCHECKED: &str = "WB0516";

/// Rows of a database that refer to a row that is not there.
pub const ORPHANS: &str = "WB0530";
/// Tables that refer to each other in a circle.
pub const CIRCLE: &str = "WB0531";
/// Rows of a table that nothing tells apart.
pub const NO_KEY: &str = "WB0532";
/// Values that their column's type does not promise, or that not every engine holds.
pub const ODD_VALUES: &str = "WB0533";
/// A table without transactions.
pub const STORAGE: &str = "WB0534";

/// There is nothing to look at.
pub const NOTHING_FOUND: &str = "WB0520";
/// No schema can be written for the target's engine.
pub const NO_SCHEMA: &str = "WB0521";

/// Every code of this crate, for `explain`.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        DEFECTS,
        "records that cannot be taken apart",
        "These records have too many or too few fields, broken quoting, invalid JSON or bytes that \
         do not fit the encoding. `migrate` rejects them with their original bytes; `whimbrel \
         rejects` lists them, and they can be mended and retried alone. Where many records have \
         the same defect, look at `delimiter`, `quote`, `ragged` and `encoding` of the source.",
    ),
    (
        KEY_REPEATS,
        "values of a key that repeat",
        "The column is called like a key, but some of its values stand in more than one record. \
         The plan that `init` writes therefore makes a key of its own. To use the column, decide \
         what becomes of the later records: `duplicates = { by = [\"id\"] }` keeps the first.",
    ),
    (
        RECORD_REPEATS,
        "records that repeat byte for byte",
        "Often a block that was written twice after an error. `duplicates = { by = \"record\" }` \
         loads the first of equal records and counts the others.",
    ),
    (
        TORN_LINE,
        "a last line without its end",
        "The writer was stopped, or is still writing. The line is read like any other; where it \
         has too few fields it is rejected. An incremental run reads it again once it is complete.",
    ),
    (
        GENERATIONS,
        "different headers in one source",
        "The files were written by different versions of a program. Columns are matched by name, \
         never by position; a column that some files lack is listed as `optional` and is NULL \
         there.",
    ),
    (
        ENCODINGS,
        "different encodings or dialects in one source",
        "A byte order mark decides for its own file; all other files of a source are read with its \
         one `encoding`. Give files of another encoding a source of their own.",
    ),
    (
        LINE_ENDS,
        "different line ends",
        "LF, CR LF and CR all end lines, also mixed in one file; nothing is lost. It often shows \
         that a file was edited by hand or joined from two.",
    ),
    (
        NUL_BYTES,
        "NUL bytes",
        "Mostly the trace of a power cut: the file system kept the length of a file, not its \
         content. Where they stand in values, those columns are named too.",
    ),
    (
        OUTLIERS,
        "numbers far away from the others",
        "They are at most one in a hundred and lie further from the middle half of the values \
         than ten times its range. They are loaded as they are; a `[[table.rule]]` can reject or \
         count them.",
    ),
    (
        BACKWARDS,
        "a time that goes backwards",
        "Within one file a record is earlier than the one before. A clock without a date passed \
         midnight (`start` says on which day a file begins), daylight saving ended, or the \
         machine's clock was set.",
    ),
    (
        HEADER_ONLY,
        "a file with a header and no record",
        "It is read and counted with zero records. For `each = \"file\"` it still makes a row.",
    ),
    (EMPTY_FILE, "a file without a byte", "It is counted with zero records."),
    (
        UNREADABLE,
        "a file that cannot be read",
        "The reason stands beside its name. `migrate` stops at such a file rather than leave it out.",
    ),
    (
        CONTROLS,
        "control characters in values",
        "Characters below U+0020 other than tab, line ends and U+0000. They are loaded as they are and \
         escaped wherever Whimbrel shows them.",
    ),
    (
        JSON_KEYS,
        "keys that a JSON object says twice",
        "The last one counts, as in most parsers. The first is lost unless the whole record is \
         kept, as `{ fact = \"record.json\" }` or `{ fact = \"record.text\" }`.",
    ),
    (
        NOT_OBJECTS,
        "JSON records that are no objects",
        "They have no keys that columns could come from.",
    ),
    (
        NUL_IN_TEXT,
        "U+0000 in values",
        "SQLite ends a text at U+0000 in many of its functions and tools, so a load rejects such a \
         record (WB0240) rather than keep what few can read. The plan that `init` writes says so \
         above the column, with two ways to load the records all the same: without the character, \
         or without the value.",
    ),
    (
        UNCHECKED,
        "uniqueness not checked to the end",
        "Comparing every value of a large column with every other takes memory that grows with \
         it. The profile compares as many as its memory allows, and whole numbers that rise \
         throughout without limit. The database's own unique key checks all of them at load.",
    ),
    (
        NOTHING_FOUND,
        "no file that can be read",
        "The folder holds no file of a format that Whimbrel reads: CSV, TSV, JSON, JSON Lines, \
         Markdown, text, each also compressed with gzip or zstd.",
    ),
    (
        NO_SCHEMA,
        "no schema for that engine",
        "`init` writes the tables for SQLite, PostgreSQL, MariaDB and MySQL. Name the target by its \
         URL: `--target sqlite:new.db`, `--target postgres://USER@HOST/DATABASE`, `--target \
         mysql://USER@HOST/DATABASE`; or leave `--target` out for a SQLite file beside the plan.",
    ),
    (
        ORPHANS,
        "rows without their parent",
        "These rows lead to a row of another table that is not there. The plan that `init` writes \
         keeps declared references, so the target refuses such rows: they are rejected with \
         everything they hold, and so are the rows that lead to them. To load them, take the \
         reference out of the schema, or say in the plan what the column holds instead. A reference \
         that is only guessed, by names such as `user_id`, is in neither.",
    ),
    (
        CIRCLE,
        "tables in a circle",
        "These tables refer to each other, or one to itself, so that no order has every parent \
         before its children. The plan loads them without those references; what it says in their \
         place stands there.",
    ),
    (
        NO_KEY,
        "rows without a key",
        "Nothing in the table is different for every row and never NULL. Such a table is read in \
         one go, and the plan gives each row a number of its own. Rows with NULL in a declared key \
         (SQLite allows it) are rejected.",
    ),
    (
        ODD_VALUES,
        "values that the column does not promise",
        "SQLite stores any value in any column; MySQL dates may have a day of zero; PostgreSQL has \
         infinite dates and years before Christ. What the target's column cannot hold exactly is \
         rejected, record by record, unless the plan says otherwise for the column: \
         `{ from = \"born\", invalid = \"null\" }`.",
    ),
    (
        STORAGE,
        "a table without transactions",
        "The table's storage engine (MyISAM, Aria, MEMORY …) has no snapshots. What others write \
         while the table is read may be seen in part, and a resume may find the table changed. \
         Stop its writers during the run, or `ALTER TABLE … ENGINE = InnoDB` on a copy.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_different_and_in_their_range() {
        let codes: std::collections::BTreeSet<_> = CODES.iter().map(|(code, _, _)| *code).collect();
        assert_eq!(codes.len(), CODES.len());
        assert!(codes.iter().all(|code| ("WB0500".."WB0550").contains(code)));
    }
}
