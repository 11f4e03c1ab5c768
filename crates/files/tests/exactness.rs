//! Inputs that are easily read as something else, through a source as a plan would open it: what
//! each value is, or why the record is refused.

#![allow(clippy::unwrap_used)] // helpers of tests are no test functions to clippy

use std::fmt::Write as _;

use expect_test::{Expect, expect};
use whimbrel_endpoint::{Limit, Source};
use whimbrel_files::csv::CsvOptions;
use whimbrel_files::encoding::{Encoding, encode};
use whimbrel_files::{FileOptions, FileSource, Format};
use whimbrel_model::Field;

fn csv() -> FileOptions {
    FileOptions::new(Format::Csv(CsvOptions::default()), &["*"])
}

/// The values of columns `a` and `b` of each record, or its defect; then lines and skipped lines.
async fn show(options: FileOptions, bytes: impl AsRef<[u8]>) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), bytes).unwrap();
    let source = FileSource::new("s", folder.path(), options);
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    let fields = ["a", "b"].map(|name| Field::Column(name.to_owned()));
    let mut out = String::new();
    let mut reader = match source.open(&partition, &fields, None).await {
        Ok(reader) => reader,
        Err(error) => return format!("{} {}\n", error.code, error.what),
    };
    while let Some(chunk) = reader.next(Limit::default()).await.unwrap() {
        for (row, record) in chunk.rows.rows().zip(&chunk.records) {
            let _ = match &record.defect {
                Some(defect) => writeln!(out, "{} {}", defect.code, defect.message),
                None => writeln!(out, "{:?} {:?}", row.get(0), row.get(1)),
            };
        }
    }
    let end = reader.finish().await.unwrap();
    let _ = writeln!(out, "lines {}, skipped {}", end.lines, end.skipped_lines);
    out
}

async fn check(options: FileOptions, bytes: impl AsRef<[u8]>, expect: &Expect) {
    expect.assert_eq(&show(options, bytes).await);
}

/// Several files, each with its text before what comes of it.
async fn check_each(options: &FileOptions, texts: &[&str], expect: &Expect) {
    let mut out = String::new();
    for text in texts {
        let _ = writeln!(out, "{text:?}");
        out += &show(options.clone(), text).await;
    }
    expect.assert_eq(&out);
}

#[tokio::test]
async fn empty_quoted_and_every_marker_are_told_apart_column_by_column() {
    let cells = ["", "\"\"", "NA", "\"NA\"", "\\N", "\"\\N\"", "NULL"];
    let text =
        cells.iter().fold("a,b\n".to_owned(), |text, cell| text + &format!("{cell},{cell}\n"));
    check(
        csv(),
        &text,
        &expect![[r#"
        Text("") Text("")
        Text("") Text("")
        Text("NA") Text("NA")
        Text("NA") Text("NA")
        Text("\\N") Text("\\N")
        Text("\\N") Text("\\N")
        Text("NULL") Text("NULL")
        lines 8, skipped 0
    "#]],
    )
    .await;
    let mut options = csv();
    options.null = vec!["NA".to_owned(), "\\N".to_owned()];
    options.null_of.insert("b".to_owned(), vec![String::new(), "\"\\N\"".to_owned()]);
    check(
        options,
        &text,
        &expect![[r#"
        Text("") Null
        Text("") Text("")
        Null Text("NA")
        Text("NA") Text("NA")
        Null Text("\\N")
        Text("\\N") Null
        Text("NULL") Text("NULL")
        lines 8, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn one_text_in_five_encodings_is_the_same_text() {
    let text = "a,b\r\ncafé,\"ÿ\r\nþ\"\r\n";
    let shown = show(csv(), text).await;
    expect![[r#"
        Text("café") Text("ÿ\r\nþ")
        lines 3, skipped 0
    "#]]
    .assert_eq(&shown);
    for encoding in Encoding::ALL {
        let options = FileOptions { encoding: Some(encoding), ..csv() };
        assert_eq!(show(options, encode(text, encoding).unwrap()).await, shown, "{encoding}");
    }
    for encoding in [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be] {
        let marked = encode(&format!("\u{FEFF}{text}"), encoding).unwrap();
        assert_eq!(show(csv(), &marked).await, shown, "{encoding} with a mark");
        let declared = FileOptions { encoding: Some(Encoding::Latin1), ..csv() };
        assert_eq!(show(declared, &marked).await, shown, "the mark of {encoding} wins");
    }
}

#[tokio::test]
async fn bytes_of_another_encoding_are_refused_record_by_record_and_never_replaced() {
    check(
        csv(),
        b"a,b\ncaf\xE9,1\n\xEF\xBF\xBD,2\n",
        &expect![[r#"
        WB0107 the bytes here are not valid utf-8
        Text("�") Text("2")
        lines 3, skipped 0
    "#]],
    )
    .await;
    let options = FileOptions { encoding: Some(Encoding::Windows1252), ..csv() };
    check(
        options,
        b"a,b\n\x80,\x81\n",
        &expect![[r#"
        Text("€") Text("\u{81}")
        lines 2, skipped 0
    "#]],
    )
    .await;
    let options = FileOptions { encoding: Some(Encoding::Latin1), ..csv() };
    check(
        options,
        b"a,b\n\x80,\x81\n",
        &expect![[r#"
        Text("\u{80}") Text("\u{81}")
        lines 2, skipped 0
    "#]],
    )
    .await;
    let utf_16 = FileOptions { encoding: Some(Encoding::Utf16Le), ..csv() };
    let mut bytes = encode("a,b\n1,2\n3,4", Encoding::Utf16Le).unwrap();
    bytes.push(b'5');
    check(
        utf_16,
        bytes,
        &expect![[r#"
        Text("1") Text("2")
        WB0107 the bytes here are not valid utf-16le
        lines 3, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_the_first_name_or_value() {
    check(
        csv(),
        "\u{FEFF}a,b\n1,2\n",
        &expect![[r#"
        Text("1") Text("2")
        lines 2, skipped 0
    "#]],
    )
    .await;
    check(
        csv(),
        "\u{FEFF}\"a\",b\n\u{FEFF}1,2\n",
        &expect![[r#"
        Text("\u{feff}1") Text("2")
        lines 2, skipped 0
    "#]],
    )
    .await;
    let lines = FileOptions::new(Format::JsonLines, &["*"]);
    check(
        lines,
        "\u{FEFF}{\"a\": 1}\n\u{FEFF}{\"a\": 2}\n",
        &expect![[r#"
        Int(1) Null
        WB0108 byte order mark
        lines 2, skipped 0
    "#]],
    )
    .await;
    let markdown = FileOptions::new(Format::Markdown, &["*"]);
    check(
        markdown,
        "\u{FEFF}---\na: 1\n---\n",
        &expect![[r#"
        Int(1) Null
        lines 3, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn nul_is_a_character_where_the_format_allows_it() {
    check(
        csv(),
        "a,b\n\0,x\0y\n",
        &expect![[r#"
        Text("\0") Text("x\0y")
        lines 2, skipped 0
    "#]],
    )
    .await;
    let lines = FileOptions::new(Format::JsonLines, &["*"]);
    check(
        lines,
        "{\"a\": \"\\u0000\"}\n{\"a\": \"\0\"}\n\0\n",
        &expect![[r#"
        Text("\0") Null
        WB0108 control character in a string
        WB0108 expected a value
        lines 3, skipped 0
    "#]],
    )
    .await;
    let markdown = FileOptions::new(Format::Markdown, &["*"]);
    check(
        markdown,
        "---\na: \"\\0\"\n---\n\0",
        &expect![[r#"
        Text("\0") Null
        lines 4, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn line_ends_within_cells_are_kept_as_they_stand() {
    check(
        csv(),
        "a,b\r\"1\r2\",\"3\n4\"\r\n\"5\r\n6\",7\n8,9",
        &expect![[r#"
        Text("1\r2") Text("3\n4")
        Text("5\r\n6") Text("7")
        Text("8") Text("9")
        lines 7, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn names_of_the_header_are_given_once_or_counted() {
    let texts = ["a,a\n1,2\n", "a,\"a\"\n1,2\n", ",b,\n1,2,3\n", "A,b\n1,2\n"];
    check_each(
        &csv(),
        &texts,
        &expect![[r#"
        "a,a\n1,2\n"
        WB0138 name the columns: `a` stands at column 1 and at column 2: `file`
        "a,\"a\"\n1,2\n"
        WB0138 name the columns: `a` stands at column 1 and at column 2: `file`
        ",b,\n1,2,3\n"
        Null Text("2")
        lines 2, skipped 0
        "A,b\n1,2\n"
        Null Text("2")
        lines 2, skipped 0
    "#]],
    )
    .await;
    check(
        csv(),
        ",column_1\n1,2\n",
        &expect![[r#"
        WB0138 name the columns: `column_1` stands at column 1 and at column 2: `file`
    "#]],
    )
    .await;
}

#[tokio::test]
async fn files_without_records_have_none() {
    let texts = ["", "\u{FEFF}", "\n\r\n", "a,b", "a,b\r\n", "a,b\n\n"];
    check_each(
        &csv(),
        &texts,
        &expect![[r#"
        ""
        lines 0, skipped 0
        "\u{feff}"
        lines 0, skipped 0
        "\n\r\n"
        lines 2, skipped 2
        "a,b"
        lines 1, skipped 0
        "a,b\r\n"
        lines 1, skipped 0
        "a,b\n\n"
        lines 2, skipped 1
    "#]],
    )
    .await;
    let lines = FileOptions::new(Format::JsonLines, &["*"]);
    check_each(
        &lines,
        &["", "\n"],
        &expect![[r#"
        ""
        lines 0, skipped 0
        "\n"
        lines 1, skipped 1
    "#]],
    )
    .await;
    // A document that is not there is no document; an array may have no elements.
    let json = FileOptions::new(Format::Json(None), &["*"]);
    check_each(
        &json,
        &["", "\n", "[]"],
        &expect![[r#"
        ""
        WB0108 the file is empty
        lines 0, skipped 0
        "\n"
        WB0108 the file is empty
        lines 1, skipped 0
        "[]"
        lines 1, skipped 0
    "#]],
    )
    .await;
    // Where the file is the record, there is one even if nothing stands in it.
    let markdown = FileOptions::new(Format::Markdown, &["*"]);
    check_each(
        &markdown,
        &["", "\n"],
        &expect![[r#"
        ""
        Null Null
        lines 0, skipped 0
        "\n"
        Null Null
        lines 1, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_torn_last_line_is_a_record_if_it_can_be_one() {
    let texts = ["a,b\n1,2\n3,4", "a,b\n1,2\n3", "a,b\n1,2\n3,\"4", "a,b\n1,2\n3,\"4\n5,6\n"];
    check_each(
        &csv(),
        &texts,
        &expect![[r#"
        "a,b\n1,2\n3,4"
        Text("1") Text("2")
        Text("3") Text("4")
        lines 3, skipped 0
        "a,b\n1,2\n3"
        Text("1") Text("2")
        WB0101 1 field, the header has 2
        lines 3, skipped 0
        "a,b\n1,2\n3,\"4"
        Text("1") Text("2")
        WB0104 the quote opened on line 3 is never closed
        lines 3, skipped 0
        "a,b\n1,2\n3,\"4\n5,6\n"
        Text("1") Text("2")
        WB0104 the quote opened on line 3 is never closed
        WB0105 it belongs to the record with broken quoting on line 3
        lines 4, skipped 0
    "#]],
    )
    .await;
    let lines = FileOptions::new(Format::JsonLines, &["*"]);
    let texts = ["{\"a\": 1}\n{\"a\": 2}", "{\"a\": 1}\n{\"a\": 2"];
    check_each(
        &lines,
        &texts,
        &expect![[r#"
        "{\"a\": 1}\n{\"a\": 2}"
        Int(1) Null
        Int(2) Null
        lines 2, skipped 0
        "{\"a\": 1}\n{\"a\": 2"
        Int(1) Null
        WB0110 the document ends too early
        lines 2, skipped 0
    "#]],
    )
    .await;
    let json = FileOptions::new(Format::Json(None), &["*"]);
    let texts = ["[{\"a\": 1}, {\"a\": 2}", "[{\"a\": 1}, {\"a\": "];
    check_each(
        &json,
        &texts,
        &expect![[r#"
        "[{\"a\": 1}, {\"a\": 2}"
        Int(1) Null
        Int(2) Null
        WB0110 the file ends inside the array
        lines 1, skipped 0
        "[{\"a\": 1}, {\"a\": "
        Int(1) Null
        WB0110 the file ends inside this value; 6 bytes from here on were not read
        lines 1, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn numbers_of_json_and_front_matter_keep_their_text() {
    let numbers =
        ["9007199254740993", "1.10", "-0", "1e5", "1E+05", "18446744073709551616", "0.10e-3"];
    let text = numbers.map(|n| format!("{{\"a\": {n}, \"b\": [{n}]}}\n")).concat();
    let lines = FileOptions::new(Format::JsonLines, &["*"]);
    check(
        lines.clone(),
        &text,
        &expect![[r#"
        Int(9007199254740993) Json("[9007199254740993]")
        Decimal("1.10") Json("[1.10]")
        Decimal("-0") Json("[-0]")
        Decimal("1e5") Json("[1e5]")
        Decimal("1E+05") Json("[1E+05]")
        Int(18446744073709551616) Json("[18446744073709551616]")
        Decimal("0.10e-3") Json("[0.10e-3]")
        lines 7, skipped 0
    "#]],
    )
    .await;
    check(
        lines,
        "{\"a\": 01}\n{\"a\": .5}\n{\"a\": NaN}\n",
        &expect![[r#"
        WB0108 not a JSON number
        WB0108 not a JSON number
        WB0108 `NaN` and `Infinity` are not JSON
        lines 3, skipped 0
    "#]],
    )
    .await;
    let markdown = FileOptions::new(Format::Markdown, &["*"]);
    check(
        markdown,
        "---\na: 1.10\nb: 007\n---\n",
        &expect![[r#"
        Decimal("1.10") Text("007")
        lines 4, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn titles_that_yaml_could_take_for_something_else() {
    let titles = [
        "2024-01-01",
        "2024-01-01T10:00:00Z",
        "yes",
        "no",
        "on",
        "True",
        "true",
        "'true'",
        "null",
        "~",
        "1_000",
        "0o17",
        "12:30",
        "1e3",
        "a --- b",
        "'---'",
        "---",
        "a: b",
        "a: b'",
        "[x",
        "%x",
        "@x",
    ];
    let texts = titles.map(|title| format!("---\na: {title}\n---\n"));
    let markdown = FileOptions::new(Format::Markdown, &["*"]);
    check_each(
        &markdown,
        &texts.each_ref().map(String::as_str),
        &expect![[r#"
        "---\na: 2024-01-01\n---\n"
        Text("2024-01-01") Null
        lines 3, skipped 0
        "---\na: 2024-01-01T10:00:00Z\n---\n"
        Text("2024-01-01T10:00:00Z") Null
        lines 3, skipped 0
        "---\na: yes\n---\n"
        Text("yes") Null
        lines 3, skipped 0
        "---\na: no\n---\n"
        Text("no") Null
        lines 3, skipped 0
        "---\na: on\n---\n"
        Text("on") Null
        lines 3, skipped 0
        "---\na: True\n---\n"
        Text("True") Null
        lines 3, skipped 0
        "---\na: true\n---\n"
        Bool(true) Null
        lines 3, skipped 0
        "---\na: 'true'\n---\n"
        Text("true") Null
        lines 3, skipped 0
        "---\na: null\n---\n"
        Null Null
        lines 3, skipped 0
        "---\na: ~\n---\n"
        Null Null
        lines 3, skipped 0
        "---\na: 1_000\n---\n"
        Text("1_000") Null
        lines 3, skipped 0
        "---\na: 0o17\n---\n"
        Text("0o17") Null
        lines 3, skipped 0
        "---\na: 12:30\n---\n"
        Text("12:30") Null
        lines 3, skipped 0
        "---\na: 1e3\n---\n"
        Decimal("1e3") Null
        lines 3, skipped 0
        "---\na: a --- b\n---\n"
        Text("a --- b") Null
        lines 3, skipped 0
        "---\na: '---'\n---\n"
        Text("---") Null
        lines 3, skipped 0
        "---\na: ---\n---\n"
        Text("---") Null
        lines 3, skipped 0
        "---\na: a: b\n---\n"
        WB0113 mapping values are not allowed in this context, on line 2
        lines 3, skipped 0
        "---\na: a: b'\n---\n"
        WB0113 mapping values are not allowed in this context, on line 2
        lines 3, skipped 0
        "---\na: [x\n---\n"
        WB0113 unclosed bracket '[', on line 2
        lines 3, skipped 0
        "---\na: %x\n---\n"
        WB0113 unexpected character: `%', on line 2
        lines 3, skipped 0
        "---\na: @x\n---\n"
        WB0113 unexpected character: `@', on line 2
        lines 3, skipped 0
    "#]],
    )
    .await;
}

#[tokio::test]
async fn front_matter_ends_at_a_line_of_three_dashes_only() {
    let texts = [
        "---\na: |\n  x\n  ---\n  y\nb: 1\n---\n",
        "---\na: x ---\n--- \nb: 1\n---\n",
        "---\na: x\n----\nb: 1\n---\n",
        "---\na: x\n",
    ];
    let markdown = FileOptions::new(Format::Markdown, &["*"]);
    check_each(
        &markdown,
        &texts,
        &expect![[r#"
        "---\na: |\n  x\n  ---\n  y\nb: 1\n---\n"
        Text("x\n---\ny\n") Int(1)
        lines 7, skipped 0
        "---\na: x ---\n--- \nb: 1\n---\n"
        WB0115 a second document, on line 3
        lines 5, skipped 0
        "---\na: x\n----\nb: 1\n---\n"
        WB0113 simple key expected ':', on line 3
        lines 5, skipped 0
        "---\na: x\n"
        WB0112 the front matter that line 1 begins with `---` has no end
        lines 2, skipped 0
    "#]],
    )
    .await;
}
