//! The codes of plan errors, with what `explain` says about them.

/// Code, title, explanation.
pub const CODES: &[(&str, &str, &str)] = &[
    (
        SYNTAX,
        "the plan is not TOML",
        "The file could not be read as TOML 1.1, so nothing in it was looked at further. The caret stands where the reader gave up; the mistake is there or just before it. Often a text lacks its closing quote, or the same key or section stands twice.",
    ),
    (
        MISSING,
        "a required key is missing",
        "A section lacks a key without which it means nothing. The message names it; the reference shows an example of every key.",
    ),
    (
        UNKNOWN_KEY,
        "unknown key",
        "A key is not one of its section's. Whimbrel refuses it rather than ignoring it, because a misspelt key would otherwise change what is loaded without a word. If the name is right, the key may belong to another section, or to a newer version.",
    ),
    (
        WRONG_TYPE,
        "wrong type",
        "A key's value is not of the type the key takes: a number where a text belongs, one value where a table belongs. TOML types are never converted: `\"3\"` is a text, `3` a number.",
    ),
    (
        WRONG_WORD,
        "not one of the values it may have",
        "The key takes one of a few words, and this is none of them. Words are compared exactly, in lower case.",
    ),
    (
        OUT_OF_RANGE,
        "a number is out of range",
        "The number is smaller or larger than the key can take. Whole numbers of a plan have at most 64 bits; a larger literal is written as a text, and the column's kind decides what becomes of it.",
    ),
    (
        UNSET,
        "a variable is not set",
        "The plan uses `${NAME}`, and the environment has no such variable. Set it, or write `${NAME:-default}`. The values of variables are never shown, neither here nor in logs.",
    ),
    (
        UNREADABLE,
        "a file named by `${file:…}` cannot be read",
        "The file is missing, is not readable for this user, or is not UTF-8. Its path is relative to the plan.",
    ),
    (
        VARIABLE,
        "a variable is not written properly",
        "Inside texts, `${NAME}`, `${NAME:-default}` and `${file:path}` are replaced; a NAME has letters, digits and `_`. A `${` that is meant as such is written `$${`.",
    ),
    (
        UNKNOWN_SOURCE,
        "unknown source",
        "A table reads from a source that the plan does not declare as `[source.NAME]`. Check the spelling in `from`, or add the source.",
    ),
    (
        UNKNOWN_TABLE,
        "unknown table",
        "A `ref` leads to a table that no `[[table]]` of the plan fills. References go through the old keys of rows that this plan loads.",
    ),
    (
        UNKNOWN_MAP,
        "unknown map",
        "A `map` is not declared as `[map.NAME]`. Check the spelling, or add the map with its pairs of old and new values.",
    ),
    (
        UNKNOWN_COLUMN,
        "unknown column",
        "`key` or `duplicates` names a column of the target that `[table.columns]` does not fill. A row can only be found again by values that the plan produces.",
    ),
    (
        CYCLE,
        "tables refer to each other in a circle",
        "A table can only be filled when the tables it refers to stand, so references must not come back to where they began, and a table cannot refer to itself. Take the key over unchanged; or load the column as NULL, let a second `[[table]]` take the pairs of row and parent (its `ref`s see every row), and write them into the column in a `[[relate]]`.",
    ),
    (
        BASE,
        "an expression must say once where its value comes from",
        "Exactly one of `from`, `fact`, `value`, `first`, `concat`, `split`, `uuid5`, `ref`, `cel`, `by_source`, `hash`, `object`, `canonical_json` or an aggregate must stand in it. With none there is no value; with two it would be unclear which one counts.",
    ),
    (
        NEEDS,
        "a key goes with another key",
        "The key refines another one that is not there, so it would have no effect: `map_other` without `map`, `delimiter` in a source of JSON. Whimbrel refuses keys without effect.",
    ),
    (
        UNKNOWN_FACT,
        "unknown fact",
        "`fact` takes one of a fixed list of facts about the place of a record: its file, its number, its source. The reference lists them. What stands in the record itself is a field, not a fact.",
    ),
    (
        UNKNOWN_KIND,
        "unknown kind",
        "`type` takes one of a fixed list of kinds, such as `integer`, `decimal(10,2)`, `text(100)` or `timestamptz`. The reference lists them. Without `type` the kind is the target column's.",
    ),
    (
        TIMESTAMP,
        "not a timestamp format",
        "A format is one of the named ones, or a pattern with `%` as in `strftime`. A format with neither would match nothing.",
    ),
    (
        SIZE,
        "not a size",
        "A size is a number of bytes, or a text of a whole number and a unit: `kB`, `MB`, `GB` are powers of 1000, `KiB`, `MiB`, `GiB` powers of 1024.",
    ),
    (
        DURATION,
        "not a duration",
        "A duration is a text of whole numbers and units, largest first: `d`, `h`, `m`, `s`, `ms`. A bare number is refused because it would be unclear what it counts.",
    ),
    (
        CLOCK,
        "not a time of day",
        "The opening and closing of the window are written with two digits each, `00:00` to `23:59`, in the plan's timezone. A window whose opening is its closing is refused: it could mean always or never.",
    ),
    (
        BUDGET,
        "not a count or percentage",
        "A budget is a whole number of records, or a text like `\"1%\"` for a part of the records read. `\"50\"` is neither: a count is a number without quotes.",
    ),
    (
        UUID,
        "not a UUID",
        "A UUID is written with hyphens, as in `6ba7b811-9dad-11d1-80b4-00c04fd430c8`. Upper and lower case are the same.",
    ),
    (
        FORMAT,
        "a source has one format",
        "Exactly one of `csv`, `tsv`, `json`, `jsonl`, `markdown`, `text` must stand in a source, with its globs, or `database` with one of `table` and `query`. Files of several formats are several sources; a table may read from all of them with `from = [\"a\", \"b\"]`.",
    ),
    (
        EACH,
        "does not fit what makes a row",
        "With `each = \"file\"` a row stands for a whole file: its values come from facts and from aggregates such as `last`, not from single records. Aggregates and `file.text` need `each = \"file\"`, `element` and `element.number` need `each = \"/pointer\"`.",
    ),
    (
        TWICE,
        "said twice",
        "Two entries claim the same thing: two tables fill one target table, a column is listed twice or both under `ignore` and under `archive`, the delimiter is also the quote. An ordered union (`from = [\"a\", \"b\"]` with `by_source`) fills one table from unlike sources.",
    ),
    (
        POINTER,
        "not a JSON Pointer",
        "A JSON Pointer (RFC 6901) begins with `/`; inside its parts, `~` is written `~0` and `/` is written `~1`. A bare text that begins with `/` is always one; a column whose name begins so is reached by CEL, `row['/x']`.",
    ),
    (
        BY_SOURCE,
        "does not fit the sources",
        "`by_source` needs one expression for each source in the table's `from`, and none for others. A source for which the column is NULL says `{ cel = \"null\" }`.",
    ),
    (
        BY_PARTS,
        "the reference has not as many parts as the key",
        "`by` is compared part by part with the old key of the table it refers to: its `legacy_key`, else the parts of its `uuid5` key, else its key columns. Both must have the same number of parts, in the same order.",
    ),
    (
        EMPTY,
        "nothing in it",
        "The list, text or table is empty, so nothing could come of it. Fill it, or leave the key out.",
    ),
    (
        NAME,
        "not a usable name",
        "Names of plans and sources stand in the ledger, in file names and in reports. A source's name has ASCII letters, digits, `-` and `_`; a plan's name is a single line of at most 100 characters.",
    ),
    (
        RESERVED,
        "the name is kept for the ledger",
        "Tables whose names begin with `whimbrel_`, or that stand in a schema `whimbrel`, in upper or lower case, are the ledger's, where a run writes down what became of every record. A plan that filled one would falsify the account of itself. Name another table.",
    ),
    (
        NO_FILE,
        "a database has no files",
        "The table reads from a database, and asks for something that only a file has: a fact such as `file.name` or `record.line`, or `each = \"file\"`. The rows of a database have columns, a place (`record.number`) and a source (`source.name`). In a union with files, `by_source` says what the column is for each.",
    ),
    (
        RATE,
        "not a rate",
        "A rate is a whole number of rows per second from 1, written with what it counts: `\"50000/s\"`. A bare number is refused because it would be unclear what it is per.",
    ),
    (
        NO_ENGINE,
        "no SQL for this engine",
        "A `[[relate]]` or `[[check]]` says its SQL for each engine, and has none for the engine of this plan's target. Add a text under the name in the message; where nothing is to be done there, `SELECT 1` does nothing.",
    ),
    (
        DAY,
        "not a day",
        "A day of a `[[check]]` is written year, month and day, as in `1990-01-31`, and must be one of the calendar. `today` is the day on which is looked, by the clock of UTC.",
    ),
    (
        NO_SQL,
        "the source has no SQL",
        "A `[[check]]` asks a source in SQL, and the source is files. What must hold for each record of files is said by `rows`, in CEL.",
    ),
];

pub(super) const SYNTAX: &str = "WB0001";
pub(super) const MISSING: &str = "WB0002";
pub(super) const UNKNOWN_KEY: &str = "WB0003";
pub(super) const WRONG_TYPE: &str = "WB0004";
pub(super) const WRONG_WORD: &str = "WB0005";
pub(super) const OUT_OF_RANGE: &str = "WB0006";
pub(super) const UNSET: &str = "WB0007";
pub(super) const UNREADABLE: &str = "WB0008";
pub(super) const VARIABLE: &str = "WB0009";
pub(super) const UNKNOWN_SOURCE: &str = "WB0010";
pub(super) const UNKNOWN_TABLE: &str = "WB0011";
pub(super) const UNKNOWN_MAP: &str = "WB0012";
pub(super) const UNKNOWN_COLUMN: &str = "WB0013";
pub(super) const CYCLE: &str = "WB0014";
pub(super) const BASE: &str = "WB0015";
pub(super) const NEEDS: &str = "WB0016";
pub(super) const UNKNOWN_FACT: &str = "WB0017";
pub(super) const UNKNOWN_KIND: &str = "WB0018";
pub(super) const TIMESTAMP: &str = "WB0019";
pub(super) const SIZE: &str = "WB0020";
pub(super) const DURATION: &str = "WB0021";
pub(super) const CLOCK: &str = "WB0022";
pub(super) const BUDGET: &str = "WB0023";
pub(super) const UUID: &str = "WB0024";
pub(super) const FORMAT: &str = "WB0025";
pub(super) const EACH: &str = "WB0026";
pub(super) const TWICE: &str = "WB0027";
pub(super) const POINTER: &str = "WB0028";
pub(super) const BY_SOURCE: &str = "WB0029";
pub(super) const BY_PARTS: &str = "WB0030";
pub(super) const EMPTY: &str = "WB0031";
pub(super) const NAME: &str = "WB0032";
pub(super) const RESERVED: &str = "WB0033";
pub(super) const NO_FILE: &str = "WB0034";
pub(super) const RATE: &str = "WB0035";
pub(super) const NO_ENGINE: &str = "WB0036";
pub(super) const DAY: &str = "WB0037";
pub(super) const NO_SQL: &str = "WB0038";
