//! Codes of everything a file can have wrong, be repaired by, or fail with:
//! `(code, title, explanation)`.

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal, $explanation:literal;)*) => {
        $(#[doc = $title] pub const $name: &str = $code;)*

        /// Every code of this crate, for `explain`.
        pub const CODES: &[(&str, &str, &str)] = &[$(($code, $title, $explanation)),*];
    };
}

codes! {
    TOO_FEW_FIELDS = "WB0101", "the record has fewer fields than the header",
        "A line was cut (a crash, a full disk), a delimiter is missing, or an unquoted cell holds \
         a line break. Repair the line and retry it, or declare `ragged = \"pad\"` so that \
         missing fields are NULL.";
    TOO_MANY_FIELDS = "WB0102", "the record has more fields than the header",
        "An unquoted cell holds the delimiter (decimal commas, free text), or the file changed \
         its columns half way. Quote the cell and retry the record, correct `delimiter`, or \
         declare `ragged = \"truncate\"`.";
    AFTER_QUOTE = "WB0103", "text follows a closing quote",
        "A quote inside a quoted cell is not doubled, or a cell begins with a stray quote. Double \
         the inner quote and retry, set `escape` if the file writes \\\", or `quote = \"\"` if \
         quotes mean nothing.";
    QUOTE_NOT_CLOSED = "WB0104", "a quote is opened and never closed",
        "The file breaks off inside a quoted cell, or a cell begins with a stray quote. Close or \
         remove the quote and retry. The lines after it are rejected too, each by itself: which of \
         them were part of the cell only a person can tell.";
    BROKEN_QUOTING = "WB0105", "the line belongs to a record whose quoting is broken",
        "An earlier line opened a quote that is never properly closed; whether this line is a \
         record of its own cannot be known. If it is one, retry it alone; if it is the rest of a \
         cell, put it into the earlier record and waive it here. Where quotes mean nothing in \
         this file, declare `quote = \"\"`.";
    RECORD_TOO_LONG = "WB0106", "the record is longer than allowed",
        "A cell or document exceeds `max_record_size`, or a missing line end or quote joined many \
         records. Raise `max_record_size` if the record is right; only its first 64 KiB are kept \
         with the reject.";
    BAD_ENCODING = "WB0107", "bytes do not fit the encoding",
        "The file, or a part of it, was written in another encoding than the one declared (UTF-8 \
         by default). Declare `encoding`, or convert the record and retry it.";
    BAD_JSON = "WB0108", "the record is not valid JSON",
        "The text breaks RFC 8259: a missing quote or comma, `NaN`, a raw control character. \
         Repair the record at the named column and retry it.";
    DUPLICATE_KEY = "WB0109", "an object names the same key twice",
        "Two members of one object have the same name; taking either would silently drop the \
         other. Remove or rename one of them and retry.";
    TORN_JSON = "WB0110", "the JSON document breaks off or loses its structure",
        "The file was cut while it was written, or a bracket is missing; records before this \
         place were read. Complete the file; what follows this place was not read.";
    NO_RECORDS_ARRAY = "WB0111", "the file has no array at `records`",
        "The JSON Pointer leads nowhere in this file, or to something that is not an array. \
         Correct `records`, or exclude the file.";
    FRONT_MATTER_OPEN = "WB0112", "the front matter has no end",
        "The first line is `---` or `+++`, and no later line is exactly the same (or `...`). Add \
         the closing line, or put an empty line before a `---` that is a rule.";
    BAD_YAML = "WB0113", "the front matter is not valid YAML",
        "Often a value that contains `: ` without quotes, or a tab in the indentation. Quote the \
         value and retry.";
    BAD_TOML = "WB0114", "the front matter is not valid TOML",
        "The text between the `+++` lines breaks the TOML grammar. Repair it and retry.";
    FRONT_MATTER_SHAPE = "WB0115", "the front matter is not a mapping, or goes beyond its limits",
        "It is a list or a bare word, nests deeper than 128 levels, or its aliases expand to more \
         than 1 MiB. Write it as `key: value` lines.";
    NOT_ONE_RECORD = "WB0116", "the mended bytes are not one record",
        "What was given in place of a rejected record holds no record (it is empty, blank or a \
         comment), or more follows after the first. Give one record a reject: the header's line \
         does not belong to it, and JSON Lines are one line. What should become several records \
         belongs into the source.";
    PADDED = "WB0121", "missing fields were taken as NULL",
        "The plan declares `ragged = \"pad\"`. Nothing, if that is what the source means.";
    TRUNCATED = "WB0122", "surplus fields were dropped",
        "The plan declares `ragged = \"truncate\"`. Nothing, if that is what the source means.";
    UNTERMINATED = "WB0123", "the last record has no line end",
        "It was taken as it stands. Nothing, if the file just ends so; but where the file is still \
         being written, this may be half a record: `2,12` of `2,12.7`. Once the rest is there, run \
         with `--incremental`: the record is read again. Where the plan says `existing = \
         \"update\"` its row is replaced; otherwise the whole record is rejected with WB0602 and \
         the half one stays in the target.";
    BAD_GLOB = "WB0131", "a pattern for files cannot be used",
        "Brackets or braces are not closed, or the pattern is empty. Correct the pattern in the \
         plan.";
    ROOT_MISSING = "WB0132", "the folder of a pattern cannot be read",
        "It does not exist, is no folder, or permissions forbid it. Correct the path, or the \
         permissions.";
    UNREADABLE = "WB0133", "a file cannot be read",
        "Permissions, a vanished file, or a failing disk. See the cause; then run the same \
         command again.";
    CHANGED = "WB0134", "a file changed while it was read",
        "Something else writes to it. What was appended to CSV and JSON Lines files is no change. \
         Run again when the file is quiet, or from a copy.";
    PREFIX_CHANGED = "WB0135", "what stands before the mark is not what was read",
        "The file was rewritten or replaced since the mark was recorded. Restore the file, or \
         treat it as a new version with `--incremental`.";
    ARCHIVE_DAMAGED = "WB0136", "a compressed file is damaged or breaks off",
        "A download or copy was cut, or the medium failed. Fetch the file again; the offset says \
         how far it could be read.";
    TOO_LARGE_UNPACKED = "WB0137", "a compressed file unpacks to more than allowed",
        "It is larger than expected, or made to exhaust the machine. Raise the limit if the file \
         is trusted.";
    DUPLICATE_COLUMN = "WB0138", "two columns of the header have the same name",
        "The file repeats a name; a mapping could not say which one it means. Name the columns \
         with `names`.";
    BAD_HEADER = "WB0139", "the header cannot be used",
        "It is not valid text, its quoting is broken, or `names` has another number of columns. \
         Correct the file, `delimiter`, `encoding`, `skip_lines` or `names`. A header that breaks \
         off without a line end is no error: such a file has no records yet.";
    BAD_OPTIONS = "WB0140", "the options of a file format contradict each other",
        "For example the delimiter is also the quote, or there are no `names` although `header = \
         false`. Correct the options in the plan.";
    BAD_MARK = "WB0141", "a mark cannot be understood",
        "It was written by another version or for another file. Start the file anew as a new \
         version.";
}

#[cfg(test)]
mod tests {
    use super::CODES;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(CODES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
