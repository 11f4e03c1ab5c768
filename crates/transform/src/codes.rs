//! Codes of everything a mapping can find wrong or change: `(code, title, explanation)`.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal, $explanation:literal;)*) => {
        $($(#[$doc])* #[doc = $title] pub const $name: &str = $code;)*

        /// Every code of this crate, for `explain`.
        pub const CODES: &[(&str, &str, &str)] = &[$(($code, $title, $explanation)),*];
    };
}

codes! {
    UNKNOWN_COLUMN = "WB0201", "the source has no such column",
        "A column that the plan reads stands in no header of the source. Names are compared exactly, \
         with their case. Correct the name, or list it under `optional` of the source where only some \
         files have it: it is NULL in the others.";
    UNMAPPED_COLUMN = "WB0202", "a source column is carried nowhere",
        "Every column of a source with a header has to be accounted for. Use it in a table, list it \
         under `ignore` of the source to leave it behind knowingly, or under `archive` to keep it \
         in the ledger.";
    UNKNOWN_TARGET_COLUMN = "WB0203", "the target table has no such column",
        "The plan fills a column that the target table does not have. Correct the name, or add the \
         column to the schema.";
    REQUIRED_COLUMN = "WB0204", "a required column is not filled",
        "The target refuses NULL in this column and has no default for it, but the plan does not fill \
         it: every row would be refused. Give it an expression.";
    KEY_NULLABLE = "WB0205", "a key column could become NULL",
        "A column of `key` says that it may become NULL (`invalid = \"null\"`, `map_other = \"null\"`, \
         `missing = \"null\"`) and has no default. A row with NULL in its key could not be found again.";
    NEVER_CONVERTS = "WB0206", "what the expression gives can never become what the column holds",
        "For example a UUID in a column of integers. Give the column another expression, or the \
         expression a `type`.";
    UNKNOWN_MAP = "WB0207", "there is no such map",
        "`map` names a `[map.NAME]` that the plan does not have.";
    CEL_SYNTAX = "WB0208", "a CEL expression cannot be read",
        "The position points into the expression. Strings stand in single or double quotes, `==` \
         compares, `&&` and `||` combine.";
    CEL_NAME = "WB0209", "a CEL expression uses a name that nobody declares",
        "CEL sees the fields of the source and the names of `[table.let]`, in rules also `new.COLUMN`. \
         A field whose name is no identifier is written `row['Pwr_Z1_%']`.";
    CEL_FORM = "WB0210", "a form of CEL that plans do not allow",
        "So that every reference can be checked beforehand and every expression ends: the name in \
         `row[…]` and the pattern of `matches` are literals, and loops (`all`, `exists`, `map`, \
         `filter`) nest at most twice.";
    BAD_FORMAT = "WB0211", "a timestamp format cannot be used",
        "A format is one of the names in the plan reference, or a pattern of `strftime` directives \
         such as `%Y-%m-%d %H:%M:%S%.f`, that together say a day, a clock time, or both.";
    BAD_REGEX = "WB0212", "a regular expression cannot be used",
        "The syntax is that of the Rust `regex` crate: no look-around, no back-references; matching \
         takes time linear in the text.";
    UNKNOWN_ZONE = "WB0213", "there is no such time zone",
        "A time zone is an IANA name such as `Europe/Berlin`, or `UTC`.";
    KEY_NOT_FILLED = "WB0214", "a key column is not filled by the mapping",
        "Every column of `key`, and of `duplicates`, must have an expression under `[table.columns]`.";
    BAD_REFERENCE = "WB0216", "a reference leads nowhere",
        "`ref` names a table that an earlier step of the plan fills, and `by` has as many parts as that \
         table's legacy key (`legacy_key`, the parts of its `uuid5` key, or its key columns).";
    BAD_LITERAL = "WB0217", "a literal does not fit its column",
        "A `value` or `default` of the plan cannot be stored in the column's kind.";
    MISPLACED = "WB0218", "not available here",
        "What makes a source unit decides what is known: a table with `each = \"file\"` sees facts of the \
         file and aggregates (`last`, `count`, …) but no single record; `element` exists only where \
         `each` is a JSON Pointer.";
    BAD_CLOCK = "WB0219", "a clock time without a date",
        "A format without a day can fill a column of kind `time`. For an instant it needs `start`: when \
         the file began, from facts of the file alone.";
    BAD_STATE = "WB0220", "a saved state cannot be read",
        "The mark of a file holds the state of the mapping at that place. It was written by another \
         version of Whimbrel or another mapping, or is damaged. Read the file from its beginning.";
    BAD_RULE = "WB0221", "an operation cannot be used as it stands",
        "An option of the expression cannot be honoured: `part` of `split` counts from 1 or, \
         backwards, from -1, and separators are not empty.";

    NOT_AN_INTEGER = "WB0230", "not an integer as it stands",
        "Text becomes an integer only where nothing is lost: an optional minus and digits without \
         leading zeros. `00601`, `+1`, `1e5`, `1.10` and `-0` are not integers, because reading them as \
         such would change them. Give the column a text kind, or say what becomes of such values \
         (`invalid`, `map`, CEL).";
    OUT_OF_RANGE = "WB0231", "outside the range of the column",
        "The number is right but the column cannot hold it. Widen the column.";
    NOT_A_NUMBER = "WB0232", "not a number as it stands",
        "A number is written as in JSON: no leading zeros, no `+`, a digit on both sides of the point. \
         `nan`, `--` and `1,5` are not numbers: list them under `null`, or say `invalid = \"null\"`.";
    NOT_EXACT = "WB0233", "a double cannot hold the number exactly",
        "Written back, the nearest double would be another decimal number (`9007199254740993`, \
         `0.10000000000000000001`). Use a decimal or text column.";
    DIGITS_LOST = "WB0234", "the column has too few digits",
        "A `decimal(p,s)` column holds p digits, s of them after the point. With `round = true` digits \
         after the point are rounded half to even and counted; digits before it never are.";
    NOT_A_BOOLEAN = "WB0235", "not a boolean",
        "Only `true` and `false` are. Use a `map` for other words.";
    NOT_A_TIME = "WB0236", "not a date or time in the expected form",
        "Without `timestamp`, dates and times are ISO 8601: `2024-03-31`, `01:59:59.250`, \
         `2024-03-31T01:59:59Z`. Give the formats that occur, in the order they are to be tried.";
    TIME_GAP = "WB0237", "a local time that never was",
        "Clocks were set forward over it (the start of daylight saving), so it names no instant. The \
         `timezone` may be wrong, or the logger kept another clock.";
    TIME_FOLD = "WB0238", "a local time that was twice",
        "Clocks were set back over it (the end of daylight saving). Say `fold = \"earlier\"` or \
         `fold = \"later\"`.";
    TOO_LONG = "WB0239", "too many characters",
        "Text is never cut. Widen the column, or say what becomes of such values with `invalid`.";
    NUL_IN_TEXT = "WB0240", "a NUL character in text",
        "The target's engine cannot hold U+0000 in text, or not reliably.";
    NOT_JSON = "WB0241", "not a JSON document",
        "The column holds JSON, and the text is none.";
    NOT_A_UUID = "WB0242", "not a UUID",
        "A UUID has 32 hexadecimal digits in groups of 8-4-4-4-12.";
    WRONG_KIND = "WB0243", "a value of this kind does not fit the column",
        "There is no conversion that would keep it exactly, for example of an array into an integer.";
    NOT_IN_MAP = "WB0244", "the value is not in its map",
        "Add it to the `[map.NAME]`, or say `map_other = \"keep\"` or `\"null\"`.";
    NO_MATCH = "WB0245", "the text does not match",
        "`matches` of the column says what the text has to look like.";
    NULL_PART = "WB0246", "a part of a key is NULL",
        "A key made of parts (`uuid5`, `ref … by`, `legacy_key`, `hash`) needs them all: with NULL in \
         one, different records would get the same key.";
    NO_PARENT = "WB0247", "the parent is not there",
        "The row refers to a legacy record that became no row: it is missing from the source, or was \
         rejected itself. Repair and retry the parent first; or say `missing = \"null\"`.";
    REQUIRED_NULL = "WB0248", "a required column is NULL",
        "The target refuses NULL in this column. Give it a `default`, or repair the record.";
    KEY_NULL = "WB0249", "a key column is NULL",
        "A row with NULL in its key could not be found again.";
    CEL_FAILED = "WB0250", "a CEL expression failed on the record",
        "CEL does not coerce: comparing text with a number, a method on NULL, an overflow or an inexact \
         `int(…)` end the expression. Test for `null` first, or convert explicitly.";
    RULE_BROKEN = "WB0251", "a rule of the plan is broken",
        "The rule was false for the row. It is named with the reject.";
    NOT_A_LIST = "WB0252", "not a list of texts",
        "`list` takes a text with separators or a JSON array of texts, numbers and booleans.";
    NOT_AN_ARRAY = "WB0253", "not a JSON array",
        "`each` makes one row per element of an array; the record has something else there.";
    NOT_UTF8 = "WB0254", "the record's bytes are not UTF-8",
        "`record.text` is the record as written, which only UTF-8 files have as text.";
    NO_FILE_TEXT = "WB0255", "the file cannot be read as text",
        "`file.text` needs the whole file as text in the source's encoding.";
    NO_SUM = "WB0256", "the aggregate cannot be computed",
        "`sum`, `min` and `max` need numbers (or dates, with `timestamp`) throughout; a sum has at most \
         38 digits.";
    NOT_FINITE = "WB0257", "not a finite number",
        "The column or the engine cannot hold NaN or infinity. Say `invalid = \"null\"` where they mean \
         that nothing was measured.";
    STATE_TOO_LARGE = "WB0258", "a value is too long to be carried along",
        "Aggregates over a file are part of its mark, so that a killed run can go on; they hold values \
         of up to 8 KiB.";
    NOT_A_CONDITION = "WB0259", "a condition is neither true nor false",
        "`where` and rules are boolean expressions.";

    INVALID_NULL = "WB0260", "values that could not be converted became NULL",
        "The column says `invalid = \"null\"`. The samples show the original values.";
    INVALID_DEFAULT = "WB0261", "values that could not be converted became the default",
        "The column says `invalid = \"default\"`. The samples show the original values.";
    NEGATIVE_ZERO = "WB0262", "the sign of a zero was dropped",
        "The engine stores -0 as 0; they compare as equal.";
    ROUNDED = "WB0263", "numbers were rounded",
        "The column says `round = true` and has fewer digits after the point. Rounding is half to even.";
    NUMBER_AS_TEXT = "WB0264", "numbers or booleans were written as text",
        "The source's values are JSON numbers or booleans, the column holds text. They keep the form in \
         which they were written.";
    MAP_NULL = "WB0265", "values that are not in their map became NULL",
        "The column says `map_other = \"null\"`.";
    MAP_KEPT = "WB0266", "values that are not in their map were kept",
        "The column says `map_other = \"keep\"`.";
    RULE_WARNED = "WB0267", "rows that break a rule were loaded",
        "The rule has `severity = \"warn\"`.";
    FILTERED = "WB0268", "units were left out",
        "`where` of the table was false for them.";
    ZONE_DROPPED = "WB0269", "instants were written without their zone",
        "The column holds a clock time without a zone: it shows the clock of the column's `timezone`, or \
         the plan's.";
    PARENT_NULL = "WB0270", "references to rows that are not there became NULL",
        "The column says `missing = \"null\"`.";
    RECORD_SKIPPED = "WB0271", "records that cannot be read did not count in their file's aggregates",
        "The file became a row all the same. A table that takes the records themselves rejects them one \
         by one.";
    PART_SEPARATOR = "WB0272", "a part of a key holds the character between the parts",
        "The parts of a key (`uuid5`, `ref … by`, `legacy_key`, `hash`) are joined by U+001F: with that \
         character in one of several, different records would get the same key.";
    SEVERAL_PARENTS = "WB0273", "the reference leads to several rows",
        "Records with the same legacy key became different rows of the table that `ref` names, so nobody \
         can say which of them is meant; the message names the records of two. Add to `legacy_key` of that \
         table, and to `by`, what tells them apart (`{ fact = \"source.name\" }` where two old systems are \
         merged), or declare `duplicates` where they are the same; then load into another target. Or mend \
         the records and retry.";
    ROWS_TOO_LARGE = "WB0280", "the rows of one record are too large",
        "Together with those before it they would take more than 3 GiB of memory at once, for example \
         because a long text is repeated for every element of an array. Leave the text to a table of its \
         own, or lower `max_record_size`.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_rise() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(CODES.iter().all(|(code, ..)| code.starts_with("WB02") && code.len() == 6));
    }
}
