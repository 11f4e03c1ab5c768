//! What the beginning of one file shows: format, encoding, dialect, columns.
//!
//! A sniff proposes; it never decides about a value. Whatever it gets wrong is written in the plan
//! and can be changed there.

use std::borrow::Cow;

use serde::Serialize;

use crate::forms;

/// A file as discovery found it, with its first bytes.
#[derive(Clone, Debug, Default)]
pub struct FoundFile {
    /// Path relative to the folder that is looked at, `/`-separated.
    pub path: String,
    /// Size in bytes as stored.
    pub size: u64,
    /// The first bytes (64 KiB are plenty), decompressed where the name ends in `.gz` or `.zst`.
    pub head: Vec<u8>,
    /// The encoding, as plans name it, where the caller knows better than a sniff.
    pub encoding: Option<String>,
    /// Why the file could not be read, if it could not.
    pub problem: Option<String>,
}

/// A format and what a plan has to say about it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "name")]
pub enum Format {
    /// Separated values.
    Csv {
        /// What separates them.
        delimiter: char,
        /// False where the first line is data already.
        header: bool,
    },
    /// JSON documents.
    Json,
    /// One JSON document a line.
    JsonLines,
    /// Markdown.
    Markdown,
    /// Plain text.
    Text,
    /// A table of a database.
    Table,
}

impl Format {
    /// The key in plans.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Csv { delimiter: '\t', .. } => "tsv",
            Self::Csv { .. } => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonl",
            Self::Markdown => "markdown",
            Self::Text => "text",
            Self::Table => "table",
        }
    }

    /// True where values have kinds of their own.
    pub fn is_typed(&self) -> bool {
        match self {
            Self::Json | Self::JsonLines | Self::Markdown | Self::Table => true,
            Self::Csv { .. } | Self::Text => false,
        }
    }
}

/// What one file's beginning shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sniff {
    /// Its format.
    pub format: Format,
    /// Columns of a CSV header, top-level keys of JSON; empty where there are none.
    pub columns: Vec<String>,
    /// An encoding that a plan must name; `None` for UTF-8 and wherever a byte order mark tells.
    pub encoding: Option<String>,
}

/// The file's format, or why it has none that is read.
pub fn sniff(file: &FoundFile) -> Result<Sniff, String> {
    if let Some(problem) = &file.problem {
        return Err(problem.clone());
    }
    let name = file.path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let bare = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    let suffix = bare.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, s)| s);
    if let Some(what) = signature(&file.head) {
        return Err(format!("it is {what}"));
    }
    let (text, encoding) = decode(file);
    let Some(text) = text else {
        return Err("binary: it has NUL bytes among its first".to_owned());
    };
    let format = format_of(suffix, &text)?;
    let columns = match &format {
        Format::Csv { delimiter, header: true } => header(records(&text, *delimiter, 1).remove(0)),
        Format::Csv { delimiter, header: false } => {
            let count = records(&text, *delimiter, 1).remove(0).len();
            (1..=count).map(|number| format!("column_{number}")).collect()
        }
        Format::Json if is_broken(file, &text) => Vec::new(),
        Format::Json | Format::JsonLines => top_keys(&text),
        Format::Markdown | Format::Text | Format::Table => Vec::new(),
    };
    Ok(Sniff { format, columns, encoding })
}

/// A document that is here as a whole and is none: its keys would mislead.
fn is_broken(file: &FoundFile, text: &str) -> bool {
    let whole = file.head.len() as u64 == file.size;
    whole
        && whimbrel_model::json::validate(text.as_bytes(), whimbrel_model::json::Limits::default())
            .is_err()
}

/// A column without a name is called by its number, as the reader does; of an empty line nothing
/// is left.
fn header(names: Vec<String>) -> Vec<String> {
    if names.iter().all(String::is_empty) {
        return Vec::new();
    }
    let named = |(at, name): (usize, String)| {
        if name.is_empty() { format!("column_{}", at + 1) } else { name }
    };
    names.into_iter().enumerate().map(named).collect()
}

fn signature(head: &[u8]) -> Option<&'static str> {
    const SIGNATURES: &[(&[u8], &str)] = &[
        (b"SQLite format 3\0", "a SQLite database"),
        (b"PK\x03\x04", "a ZIP archive or an office document"),
        (b"%PDF-", "a PDF document"),
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"\x7fELF", "a program"),
        (b"\x1f\x8b", "compressed with gzip, but its name does not end in `.gz`"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd, but its name does not end in `.zst`"),
        (b"BZh", "compressed with bzip2"),
        (b"\xfd7zXZ", "compressed with xz"),
    ];
    SIGNATURES.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

/// The head as text (lossy at its cut end) and the encoding that a plan must name.
fn decode(file: &FoundFile) -> (Option<Cow<'_, str>>, Option<String>) {
    let head = file.head.as_slice();
    if let Some(rest) = head.strip_prefix(b"\xEF\xBB\xBF") {
        return (Some(String::from_utf8_lossy(rest)), None);
    }
    match head {
        [0xFF, 0xFE, rest @ ..] => return (Some(utf16(rest, u16::from_le_bytes)), None),
        [0xFE, 0xFF, rest @ ..] => return (Some(utf16(rest, u16::from_be_bytes)), None),
        _ => {}
    }
    let name = file.encoding.clone().or_else(|| guess_encoding(head).map(str::to_owned));
    match name.as_deref() {
        Some("utf-16le") => (Some(utf16(head, u16::from_le_bytes)), name),
        Some("utf-16be") => (Some(utf16(head, u16::from_be_bytes)), name),
        Some("latin-1" | "windows-1252") => {
            let text: String = head.iter().map(|byte| char::from(*byte)).collect();
            (Some(Cow::Owned(text)), name)
        }
        _ if is_binary(head) => (None, None),
        _ => (Some(String::from_utf8_lossy(head)), None),
    }
}

/// A few NUL bytes are damage in a text, and so are those behind it, where a file was given its
/// size before a crash; many are a binary format.
fn is_binary(head: &[u8]) -> bool {
    let used = head.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let text = &head[..used];
    (used == 0 && !head.is_empty()) || memchr::memchr_iter(0, text).count() * 50 > used
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    Cow::Owned(char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect())
}

fn guess_encoding(head: &[u8]) -> Option<&'static str> {
    let zeros =
        |start: usize| head.iter().skip(start).step_by(2).filter(|byte| **byte == 0).count();
    if head.len() >= 8 && zeros(1) * 4 > head.len() && zeros(0) * 50 < head.len() {
        return Some("utf-16le");
    }
    if head.len() >= 8 && zeros(0) * 4 > head.len() && zeros(1) * 50 < head.len() {
        return Some("utf-16be");
    }
    match std::str::from_utf8(head) {
        Ok(_) => None,
        // The head may end within a character.
        Err(error) if error.error_len().is_none() => None,
        Err(_) if head.contains(&0) => None,
        Err(_) if head.iter().any(|byte| (0x80..=0x9F).contains(byte)) => Some("windows-1252"),
        Err(_) => Some("latin-1"),
    }
}

fn format_of(suffix: &str, text: &str) -> Result<Format, String> {
    match suffix {
        "csv" | "psv" => Ok(csv(text, ',')),
        "tsv" | "tab" => Ok(csv(text, '\t')),
        "json" if is_json_lines(text) => Ok(Format::JsonLines),
        "json" => Ok(Format::Json),
        "jsonl" | "ndjson" => Ok(Format::JsonLines),
        "md" | "markdown" => Ok(Format::Markdown),
        "txt" | "text" => Ok(Format::Text),
        _ if is_json_lines(text) => Ok(Format::JsonLines),
        "dat" | "log" | "export" | "out" | "" => {
            table(text).ok_or_else(|| "its content fits no format".to_owned())
        }
        other => Err(format!(
            "the suffix `.{}` is of no format that is read",
            crate::shown::shown(other, 20)
        )),
    }
}

/// Two lines at least that are one JSON object each.
fn is_json_lines(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let object = |line: Option<&str>| {
        line.is_some_and(|line| {
            line.trim_start().starts_with('{')
                && whimbrel_model::json::validate(
                    line.as_bytes(),
                    whimbrel_model::json::Limits::default(),
                )
                .is_ok()
        })
    };
    object(lines.next()) && lines.next().is_some_and(|line| line.trim_start().starts_with('{'))
}

/// Separated values without a suffix that says so: two columns and three lines that agree.
fn table(text: &str) -> Option<Format> {
    let format = csv(text, ',');
    let Format::Csv { delimiter, .. } = format else {
        return None;
    };
    let rows = records(text, delimiter, 20);
    let width = rows.first().map_or(0, Vec::len);
    (width >= 2
        && rows.len() >= 3
        && rows.iter().take(rows.len() - 1).all(|row| row.len() == width))
    .then_some(format)
}

fn csv(text: &str, usual: char) -> Format {
    const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
    let score = |delimiter: char| {
        let rows = records(text, delimiter, 20);
        let width = rows[0].len();
        let agree = rows.iter().filter(|row| row.len() == width).count();
        // The header decides: without the delimiter in it, it is none.
        if width < 2 { (0, 0, false) } else { (agree, width, delimiter == usual) }
    };
    let best = DELIMITERS.into_iter().max_by_key(|delimiter| score(*delimiter)).unwrap_or(usual);
    let delimiter = if score(best) == (0, 0, false) { usual } else { best };
    let rows = records(text, delimiter, 3);
    Format::Csv { delimiter, header: !is_data(&rows) }
}

/// The first row has a date, a UUID or a fraction where the next one has one too.
fn is_data(rows: &[Vec<String>]) -> bool {
    let [first, second, ..] = rows else {
        return false;
    };
    first.iter().zip(second).any(|(a, b)| {
        let (a_forms, b_forms) = (forms::read(a).forms, forms::read(b).forms);
        let telling = |form: usize| match form {
            forms::DECIMAL => a.contains('.'),
            forms::UUID => true,
            form => {
                form >= forms::FIRST_PATTERN && !a.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            }
        };
        (0..forms::COUNT)
            .any(|form| forms::has(a_forms, form) && forms::has(b_forms, form) && telling(form))
    })
}

/// The first records of separated values: at least one, which may be empty. Quotes as in RFC 4180.
fn records(text: &str, delimiter: char, limit: usize) -> Vec<Vec<String>> {
    let mut rows = vec![vec![String::new()]];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let row = rows.last_mut().expect("there is always a row");
        let cell = row.last_mut().expect("a row has a cell");
        match letter {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            '\r' | '\n' if !quoted => {
                if letter == '\r' && letters.peek() == Some(&'\n') {
                    letters.next();
                }
                if letters.peek().is_none() || rows.len() == limit {
                    break;
                }
                rows.push(vec![String::new()]);
            }
            letter if letter == delimiter && !quoted => row.push(String::new()),
            letter => cell.push(letter),
        }
    }
    rows.truncate(limit);
    rows
}

/// Top-level keys of the first object, also where the text breaks off within it.
pub fn top_keys(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut keys = Vec::new();
    let mut depth = 0;
    // In an array of records the keys stand one level deeper.
    let level = if text.trim_start().starts_with('[') { 2 } else { 1 };
    let mut at = 0;
    while at < bytes.len() && keys.len() < 1_000 {
        match bytes[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                if depth == level && bytes[at] == b'}' {
                    break;
                }
                depth -= 1;
            }
            b'"' => {
                let end = string_end(bytes, at);
                let after =
                    bytes[end.min(bytes.len())..].iter().find(|byte| !byte.is_ascii_whitespace());
                if depth == level && after == Some(&b':') {
                    keys.push(unescape(&text[at..end]));
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    keys.dedup();
    keys
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn unescape(literal: &str) -> String {
    match whimbrel_model::json::parse(literal.as_bytes()) {
        Ok(json) => json.as_str().unwrap_or_default().to_owned(),
        Err(_) => literal.trim_matches('"').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[allow(clippy::needless_pass_by_value)] // an expectation is written where it is used
    fn check(path: &str, head: &[u8], expect: Expect) {
        let file = FoundFile {
            path: path.to_owned(),
            size: head.len() as u64,
            head: head.to_vec(),
            ..FoundFile::default()
        };
        let told = match sniff(&file) {
            Ok(Sniff { format, columns, encoding }) => {
                let encoding = encoding.map(|name| format!(" {name}")).unwrap_or_default();
                format!("{format:?} {columns:?}{encoding}")
            }
            Err(reason) => reason,
        };
        expect.assert_eq(&told);
    }

    #[test]
    fn the_header_decides_about_the_delimiter() {
        check(
            "a.csv",
            b"a;b\r\n1,5;2\r\n",
            expect![[r#"Csv { delimiter: ';', header: true } ["a", "b"]"#]],
        );
        check(
            "a.csv",
            b"c0\nv0\na;b\n",
            expect![[r#"Csv { delimiter: ',', header: true } ["c0"]"#]],
        );
        check(
            "a.tsv",
            b"a\tb\n1\t2\n",
            expect![[r#"Csv { delimiter: '\t', header: true } ["a", "b"]"#]],
        );
        check(
            "a.csv",
            b"\"a,b\",c\n1,2\n",
            expect![[r#"Csv { delimiter: ',', header: true } ["a,b", "c"]"#]],
        );
    }

    #[test]
    fn a_first_line_of_dates_is_no_header() {
        check(
            "a.csv",
            b"2024-01-01,5\n2024-01-02,6\n",
            expect![[r#"Csv { delimiter: ',', header: false } ["column_1", "column_2"]"#]],
        );
        check(
            "a.csv",
            b"country,2019\nDE,7\n",
            expect![[r#"Csv { delimiter: ',', header: true } ["country", "2019"]"#]],
        );
    }

    #[test]
    fn encodings_without_a_mark_are_named() {
        check(
            "a.csv",
            b"name\nM\xfcller\n",
            expect![[r#"Csv { delimiter: ',', header: true } ["name"] latin-1"#]],
        );
        check(
            "a.csv",
            b"\xff\xfea\0,\0b\0\n\0",
            expect![[r#"Csv { delimiter: ',', header: true } ["a", "b"]"#]],
        );
        check(
            "a.csv",
            b"\xef\xbb\xbfa,b\n",
            expect![[r#"Csv { delimiter: ',', header: true } ["a", "b"]"#]],
        );
        check(
            "a.csv",
            b"a\0,\0b\0\n\x001\0,\x002\0\n\0",
            expect![[r#"Csv { delimiter: ',', header: true } ["a", "b"] utf-16le"#]],
        );
    }

    #[test]
    fn json_lines_are_told_from_documents() {
        check("a.json", b"{\"a\":1}\n{\"a\":2}\n", expect![[r#"JsonLines ["a"]"#]]);
        check("a.json", b"{\n \"a\": {\"b\": \"}\"},\n \"c\": [1, {\"d\":1}]", expect!["Json []"]);
        check("a.json", b"[{\"a\":1,\"b\":2},{\"c\":1}]", expect![[r#"Json ["a", "b"]"#]]);
        check(
            "app.log",
            b"{\"level\":\"WARN\"}\n{\"level\":\"ERROR\"}\n",
            expect![[r#"JsonLines ["level"]"#]],
        );
    }

    #[test]
    fn what_is_no_format_says_why() {
        check("a.db", b"SQLite format 3\0....", expect!["it is a SQLite database"]);
        check(
            "a.csv",
            &[0, 1, 2, 0, 0, 0, 9, 0, 0, 1],
            expect!["binary: it has NUL bytes among its first"],
        );
        check("a.xyz", b"hello", expect!["the suffix `.xyz` is of no format that is read"]);
        check("README", b"hello", expect!["its content fits no format"]);
    }

    #[test]
    fn a_nul_after_a_power_cut_does_not_make_a_file_binary() {
        let mut head = b"a,b\n1,2\n".repeat(40);
        head.extend([0, 0]);
        check("a.csv", &head, expect![[r#"Csv { delimiter: ',', header: true } ["a", "b"]"#]]);
    }
}
