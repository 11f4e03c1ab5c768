//! What becomes of bytes that a person gives in place of a record's own.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tempfile::TempDir;
use whimbrel_endpoint::contract::parse_equals_reading;
use whimbrel_endpoint::{Partition, Source};
use whimbrel_model::json::Pointer;

use super::*;
use crate::codes;
use crate::csv::{CsvOptions, Ragged};
use crate::encoding::encode;
use crate::source::{FileOptions, Format};

/// Defects that lines have for what stands around them: they may be records by themselves.
const OF_CSV: [&str; 3] = [codes::BROKEN_QUOTING, codes::RECORD_TOO_LONG, codes::UNTERMINATED];
/// As the last number of a file that ends inside an array.
const OF_JSON: [&str; 1] = [codes::TORN_JSON];

struct One {
    _folder: TempDir,
    source: FileSource,
    partition: Partition,
}

async fn one(options: FileOptions, name: &str, bytes: &[u8]) -> One {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let source = FileSource::new("s", folder.path(), options);
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    One { _folder: folder, source, partition }
}

fn csv(change: impl Fn(&mut CsvOptions)) -> FileOptions {
    let mut options = CsvOptions::default();
    change(&mut options);
    FileOptions::new(Format::Csv(options), &["*"])
}

fn json(pointer: Option<&str>) -> FileOptions {
    let pointer = pointer.map(|text| Pointer::parse(text).unwrap());
    FileOptions::new(Format::Json(pointer), &["*"])
}

/// Gives each of `mended` in place of the file's second record, in columns `a` and `b` and whole.
async fn show(options: FileOptions, file: &[u8], mended: &[&[u8]]) -> String {
    let name = "file";
    let One { source, partition, .. } = &one(options, name, file).await;
    // On line 7, where no record of these files stands: places in messages are the given ones.
    let place = Position { record: 2, line: 7, byte: 1 << 20 };
    show_at(source, partition, place, mended).await
}

async fn show_at(
    source: &FileSource,
    partition: &Partition,
    place: Position,
    mended: &[&[u8]],
) -> String {
    let fields = [Field::Column("a".into()), Field::Column("b".into()), Field::Json];
    let records: Vec<_> = mended.iter().map(|bytes| (place, bytes.to_vec())).collect();
    let chunk = source.parse(partition, &fields, &records).await.unwrap();
    let mut out = String::new();
    for (index, (row, record)) in chunk.rows.rows().zip(&chunk.records).enumerate() {
        assert_eq!((record.position, chunk.bytes(index)), (place, mended[index]));
        match &record.defect {
            Some(defect) => {
                assert!(row.values().all(|value| value.is_null()));
                let _ = write!(out, "{} col {}: {}", defect.code, defect.column, defect.message);
            }
            None => {
                let values: Vec<_> = row.values().map(|value| format!("{value:?}")).collect();
                out += &values.join(" ");
            }
        }
        for repair in chunk.repairs.iter().filter(|repair| repair.record == index) {
            let _ = write!(out, " [{} {}]", repair.code, repair.message);
        }
        out += "\n";
    }
    out
}

async fn check(options: FileOptions, file: impl AsRef<[u8]>, mended: &[&str], expect: &Expect) {
    let mended: Vec<&[u8]> = mended.iter().map(|text| text.as_bytes()).collect();
    expect.assert_eq(&show(options, file.as_ref(), &mended).await);
}

#[tokio::test]
async fn the_header_and_dialect_of_the_file_hold_for_mended_bytes() {
    let semicolon = csv(|options| {
        (options.delimiter, options.quote, options.skip_lines) = (b';', Some(b'\''), 1);
    });
    let mended = ["1;'x;y'", "b;a", "1,2"];
    check(
        semicolon,
        "made 2020\nb;a\n1;2\n",
        &mended,
        &expect![[r#"
        Text("x;y") Text("1") Json("{\"b\":\"1\",\"a\":\"x;y\"}")
        Text("a") Text("b") Json("{\"b\":\"b\",\"a\":\"a\"}")
        WB0101 col 0: 1 field, the header has 2
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_line_end_may_be_missing_or_added() {
    let mended = ["1,2", "1,2\n", "1,2\r\n", "1,2\r", "1,2\n\n\r\n", "\n1,2", "1,\"x\ny\"\n"];
    check(
        csv(|_| ()),
        "a,b\n",
        &mended,
        &expect![[r#"
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        Text("1") Text("x\ny") Json("{\"a\":\"1\",\"b\":\"x\\ny\"}")
    "#]],
    )
    .await;
}

#[tokio::test]
async fn what_is_not_one_record_is_a_defect() {
    let comment = csv(|options| options.comment = Some(b'#'));
    let mended = [
        "",
        "\n",
        "#c\n",
        "1,2\n3,4",
        "1,2\r\n3",
        "1,2\n#c\r\n\n#",
        "1,2\n,",
        "\u{FEFF}",
        "#\n1,2",
    ];
    check(
        comment,
        "a,b\n",
        &mended,
        &expect![[r#"
        WB0116 col 0: there is no record
        WB0116 col 0: there is no record
        WB0116 col 0: there is no record
        WB0116 col 0: more follows after the first record
        WB0116 col 0: more follows after the first record
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        WB0116 col 0: more follows after the first record
        WB0116 col 0: there is no record
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
    "#]],
    )
    .await;
}

#[tokio::test]
async fn in_a_file_of_one_column_an_empty_line_is_a_record() {
    let comment = csv(|options| options.comment = Some(b'#'));
    let mended = ["", "\n", "\r\n", "\n\n", "x\n", "x\n\n", "\n#\r\n", "#", "\u{FEFF}"];
    check(
        comment,
        "a\n",
        &mended,
        &expect![[r#"
        Text("") Null Json("{\"a\":\"\"}")
        Text("") Null Json("{\"a\":\"\"}")
        Text("") Null Json("{\"a\":\"\"}")
        WB0116 col 0: more follows after the first record
        Text("x") Null Json("{\"a\":\"x\"}")
        WB0116 col 0: more follows after the first record
        Text("") Null Json("{\"a\":\"\"}")
        WB0116 col 0: there is no record
        Text("") Null Json("{\"a\":\"\"}")
    "#]],
    )
    .await;
}

#[tokio::test]
async fn rules_for_ordinary_records_hold_for_mended_ones() {
    check(
        csv(|_| ()),
        "a,b\n",
        &["1", "1,2,3", "1,\"x", "1,\"x\"y", "\u{FFFD},\0"],
        &expect![[r#"
        WB0101 col 0: 1 field, the header has 2
        WB0102 col 5: 3 fields, the header has 2
        WB0104 col 3: the quote opened on line 7 is never closed
        WB0103 col 6: text after a closing quote, on line 7
        Text("�") Text("\0") Json("{\"a\":\"�\",\"b\":\"\\u0000\"}")
    "#]],
    )
    .await;
    let pad = csv(|options| options.ragged = Ragged::Pad);
    check(
        pad,
        "a,b\n",
        &["1,2", "1", "1,2,3", "\"1"],
        &expect![[r#"
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}")
        Text("1") Null Json("{\"a\":\"1\",\"b\":null}") [WB0121 missing fields were taken as NULL]
        WB0102 col 5: 3 fields, the header has 2
        WB0104 col 1: the quote opened on line 7 is never closed
    "#]],
    )
    .await;
    let truncate = csv(|options| options.ragged = Ragged::Truncate);
    check(
        truncate,
        "a,b\n",
        &["1,2,3", "1"],
        &expect![[r#"
        Text("1") Text("2") Json("{\"a\":\"1\",\"b\":\"2\"}") [WB0122 surplus fields were dropped]
        WB0101 col 0: 1 field, the header has 2
    "#]],
    )
    .await;
    let mut null = csv(|_| ());
    null.null = vec!["NA".to_owned()];
    null.null_of.insert("b".to_owned(), vec![String::new(), "\"\"".to_owned()]);
    check(
        null,
        "a,b\n",
        &["NA,", "\"NA\",\"\"", ",NA"],
        &expect![[r#"
        Null Null Json("{\"a\":null,\"b\":null}")
        Text("NA") Null Json("{\"a\":\"NA\",\"b\":null}")
        Text("") Text("NA") Json("{\"a\":\"\",\"b\":\"NA\"}")
    "#]],
    )
    .await;
    let short = csv(|options| options.record_bytes_max = 6);
    let mended = ["1,2345", "1,2345\r\n", "1,23456", "1,\"3456789", "1,\"34\n5\""];
    check(
        short,
        "a,b\n",
        &mended,
        &expect![[r#"
        Text("1") Text("2345") Json("{\"a\":\"1\",\"b\":\"2345\"}")
        Text("1") Text("2345") Json("{\"a\":\"1\",\"b\":\"2345\"}")
        WB0106 col 0: the record that began on line 7 is longer than 6 bytes; this line has 7
        WB0106 col 0: the record that began on line 7 is longer than 6 bytes; this line has 10
        WB0106 col 0: the record that began on line 7 is longer than 6 bytes; this line has 5
    "#]],
    )
    .await;
}

#[tokio::test]
async fn mended_bytes_are_in_the_encoding_of_the_file() {
    let in_utf_16 = async |encoding: Encoding| {
        let file = encode("\u{FEFF}a,b\r\n", encoding).unwrap();
        let mended = ["1,né\r\n", "\u{FEFF}1,\"x\ny\"", "1,2\n3,4\n", "", "1,né"];
        let mut mended = mended.map(|text| encode(text, encoding).unwrap());
        mended[4].push(b'x');
        show(csv(|_| ()), &file, &mended.each_ref().map(Vec::as_slice)).await
    };
    let shown = in_utf_16(Encoding::Utf16Le).await;
    expect![[r#"
        Text("1") Text("né") Json("{\"a\":\"1\",\"b\":\"né\"}")
        Text("1") Text("x\ny") Json("{\"a\":\"1\",\"b\":\"x\\ny\"}")
        WB0116 col 0: more follows after the first record
        WB0116 col 0: there is no record
        WB0107 col 5: the bytes here are not valid utf-16le
    "#]]
    .assert_eq(&shown);
    assert_eq!(in_utf_16(Encoding::Utf16Be).await, shown.replace("utf-16le", "utf-16be"));
    let mut latin = csv(|_| ());
    latin.encoding = Some(Encoding::Latin1);
    let shown = show(latin, b"a,b\n", &[b"1,caf\xE9\n", "\u{FEFF}1,café".as_bytes()]).await;
    expect![[r#"
        Text("1") Text("café") Json("{\"a\":\"1\",\"b\":\"café\"}")
        Text("1") Text("café") Json("{\"a\":\"1\",\"b\":\"café\"}")
    "#]]
    .assert_eq(&shown);
}

#[tokio::test]
async fn a_byte_order_mark_is_the_editors_unless_the_record_has_one() {
    // As `cat one.csv two.csv` makes it: the second file's mark and header stand in the middle.
    let text = "\u{FEFF}a,b\n1,2\n\u{FEFF}a,b\n3,4\n\u{FEFF}5,6\n".as_bytes();
    let One { source, partition, .. } = &one(csv(|_| ()), "a.csv", text).await;
    let marked = "\u{FEFF}3,4\n".as_bytes();
    let place = |record, line, byte| Position { record, line, byte };
    let mut shown = String::new();
    for place in [place(1, 2, 7), place(2, 3, 11), place(3, 4, 18), place(4, 5, 22)] {
        assert_eq!(text[place.byte as usize..].starts_with(b"\xEF\xBB\xBF"), place.record % 2 == 0);
        shown += &show_at(source, partition, place, &[marked]).await;
    }
    expect![[r#"
        Text("3") Text("4") Json("{\"a\":\"3\",\"b\":\"4\"}")
        Text("\u{feff}3") Text("4") Json("{\"a\":\"\u{feff}3\",\"b\":\"4\"}")
        Text("3") Text("4") Json("{\"a\":\"3\",\"b\":\"4\"}")
        Text("\u{feff}3") Text("4") Json("{\"a\":\"\u{feff}3\",\"b\":\"4\"}")
    "#]]
    .assert_eq(&shown);
}

#[tokio::test]
async fn json_lines_are_one_line() {
    let options =
        FileOptions { record_bytes_max: 20, ..FileOptions::new(Format::JsonLines, &["*"]) };
    let mended = [
        "{\"a\": 1.10}",
        "\n {\"a\": 1} \r\n\n",
        "\u{FEFF}{\"b\": null}",
        "{\"a\": 1}\n{\"a\": 2}",
        "{\n\"a\": 1\n}",
        "{\"a\": 1} {\"a\": 2}",
        "\n{\"a\": 1",
        " \n",
        "{\"a\": \"345678901\"}\r\n",
        "{\"a\": \"345678901234\"}",
    ];
    check(
        options,
        "",
        &mended,
        &expect![[r#"
            Decimal("1.10") Null Json("{\"a\": 1.10}")
            Int(1) Null Json("{\"a\": 1}")
            Null Null Json("{\"b\": null}")
            WB0116 col 0: more follows after the first record
            WB0116 col 0: more follows after the first record
            WB0108 col 10: more text after the document
            WB0110 col 8: the document ends too early
            WB0116 col 0: there is no record
            Text("345678901") Null Json("{\"a\": \"345678901\"}")
            WB0106 col 0: it has 21 bytes, more than 20
        "#]],
    )
    .await;
}

#[tokio::test]
async fn an_element_is_given_by_itself() {
    let mended = [
        "{\"a\": 1.10}",
        " [1, 2]\n",
        "{\n\"a\": [1}",
        "{\"a\": 1},",
        "{\"a\": 1}, {\"a\": 2}",
        "",
        "{\"x\": [{\"a\": 1}]}",
    ];
    let file = r#"{"x": [{"a": 0}, {"a": 1}]}"#;
    check(
        json(Some("/x")),
        file,
        &mended,
        &expect![[r#"
        Decimal("1.10") Null Json("{\"a\": 1.10}")
        Null Null Json("[1, 2]")
        WB0108 col 8: expected `,` or `]`, on line 8
        WB0108 col 9: more text after the document
        WB0108 col 9: more text after the document
        WB0116 col 0: there is no record
        Null Null Json("{\"x\": [{\"a\": 1}]}")
    "#]],
    )
    .await;
    check(
        json(None),
        "[[1], [2]]",
        &["[1, 2]"],
        &expect![[r#"
        Null Null Json("[1, 2]")
    "#]],
    )
    .await;
    let short = FileOptions { record_bytes_max: 3, ..json(None) };
    check(
        short,
        "[1]",
        &[" 123 ", "1234", "\"é\"", "\"ab\""],
        &expect![[r#"
        Null Null Json("123")
        WB0106 col 0: it has 4 bytes, more than 3
        WB0106 col 0: it has 4 bytes, more than 3
        WB0106 col 0: it has 4 bytes, more than 3
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_document_is_given_whole() {
    let first = Position { record: 1, line: 1, byte: 0 };
    let show = async |options, file: &str, mended: &[&str]| {
        let One { source, partition, .. } = &one(options, "a.json", file.as_bytes()).await;
        let mended: Vec<&[u8]> = mended.iter().map(|text| text.as_bytes()).collect();
        show_at(source, partition, first, &mended).await
    };
    let mended =
        ["{\"a\": 1}\n", "\u{FEFF}{}", "[{\"a\": 1}]", "[1, 2]", "{}\n{}", "[]", "{\"a\": 1", ""];
    expect![[r#"
        Int(1) Null Json("{\"a\": 1}")
        Null Null Json("{}")
        Int(1) Null Json("{\"a\": 1}")
        WB0116 col 0: more follows after the first record
        WB0116 col 0: more follows after the first record
        WB0116 col 0: there is no record
        WB0110 col 0: the file ends inside this value; 7 bytes from here on were not read
        WB0108 col 0: the file is empty
    "#]]
    .assert_eq(&show(json(None), "{\"a\": 1", &mended).await);
    let mended = ["{\"x\": [{\"a\": 1}]}", "{\"x\": [1, 2]}", "{\"x\": []}", "{\"a\": 1}"];
    expect![[r#"
        Int(1) Null Json("{\"a\": 1}")
        WB0116 col 0: more follows after the first record
        WB0116 col 0: there is no record
        WB0111 col 0: the path leads nowhere
    "#]]
    .assert_eq(&show(json(Some("/x")), "{\"y\": []}", &mended).await);
    let first_element = show(json(Some("/x")), "{\"x\": [0]}", &["{\"x\": [1]}"]).await;
    expect![[r#"
        Null Null Json("{\"x\": [1]}")
    "#]]
    .assert_eq(&first_element);
}

#[tokio::test]
async fn markdown_and_text_are_given_whole() {
    let first = Position { record: 1, line: 1, byte: 0 };
    let show = async |format, encoding, file: &[u8], mended: &[&[u8]]| {
        let mut options = FileOptions::new(format, &["*"]);
        (options.encoding, options.record_bytes_max) = (encoding, 40);
        let One { source, partition, .. } = &one(options, "a", file).await;
        show_at(source, partition, first, mended).await
    };
    let mended: [&[u8]; 6] = [
        b"---\na: 1.10\n---\n# H\n",
        b"---\na: b: c\n---\n",
        b"",
        b"\xEF\xBB\xBF---\nb: x\n---\n\n",
        b"one\ncaf\xE9",
        &[b'x'; 41],
    ];
    expect![[r##"
        Decimal("1.10") Null Json("{\"a\":1.10,\"heading\":\"H\",\"body\":\"# H\\n\"}")
        WB0113 col 5: mapping values are not allowed in this context, on line 2
        Null Null Json("{\"body\":\"\"}")
        Null Text("x") Json("{\"b\":\"x\",\"body\":\"\\n\"}")
        WB0107 col 4: the bytes here are not valid utf-8, on line 2
        WB0106 col 0: the file has 41 bytes, more than 40
    "##]]
    .assert_eq(&show(Format::Markdown, None, b"---\nx", &mended).await);
    let mended: [&[u8]; 3] = [b" one\r\n", b"caf\xE9", "\u{FEFF}café".as_bytes()];
    expect![[r#"
        Null Null Json("{\"body\":\" one\\r\\n\"}")
        Null Null Json("{\"body\":\"café\"}")
        Null Null Json("{\"body\":\"café\"}")
    "#]]
    .assert_eq(&show(Format::Text, Some(Encoding::Latin1), b"x", &mended).await);
}

#[tokio::test]
async fn mended_bytes_need_their_file() {
    let One { source, partition, .. } = &one(csv(|_| ()), "a.csv", b"a,a\n1,2\n").await;
    let record = [(Position { record: 1, line: 2, byte: 4 }, b"1,2".to_vec())];
    let error = source.parse(partition, &[], &record).await.unwrap_err();
    assert_eq!(error.code, codes::DUPLICATE_COLUMN);
    let gone = Partition { id: partition.id.clone(), ..partition.clone() };
    let source = FileSource::new("s", Path::new("/nonexistent"), csv(|_| ()));
    assert_eq!(source.parse(&gone, &[], &record).await.unwrap_err().code, codes::UNREADABLE);
}

#[tokio::test]
async fn own_bytes_of_every_kind_of_file_parse_as_they_were_read() {
    let check = async |options: FileOptions, bytes: &[u8]| {
        parse_equals_reading(&one(options, "f", bytes).await.source, &OF_CSV).await;
    };
    let marks = "\u{FEFF}\u{FEFF}a,b\r\n\u{FEFF}1,2\r\n3,4\r\u{FEFF}";
    for encoding in [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be] {
        check(csv(|_| ()), &encode(marks, encoding).unwrap()).await;
        let text = encode(marks, encoding).unwrap();
        check(FileOptions::new(Format::Text, &["*"]), &text).await;
    }
    let mut latin = csv(|_| ());
    latin.encoding = Some(Encoding::Windows1252);
    check(latin, b"a,b\n\xFF\xFEx,1\n\xEF\xBB\xBFx,2\n\xEF\xBB\xBF,\"3").await;
    let torn: &[u8] = b"a,b\n1,2\n3\n\"x\"y,5\n6,\"\n7,8\n";
    check(csv(|_| ()), torn).await;
    for text in ["---\na: 1\n---\n# H", "---\na: 1", "", "\n\n"] {
        check(FileOptions::new(Format::Markdown, &["*"]), text.as_bytes()).await;
        check(FileOptions::new(Format::Text, &["*"]), text.as_bytes()).await;
    }
}

fn encodings() -> impl Strategy<Value = Option<Encoding>> {
    (0..=Encoding::ALL.len()).prop_map(|index| Encoding::ALL.get(index).copied())
}

fn holds(options: FileOptions, bytes: &[u8], of_surroundings: &[&str]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let one = one(options, "file", bytes).await;
        parse_equals_reading(&one.source, of_surroundings).await;
    });
}

/// Text in an encoding as far as it can be said there, with any bytes behind it.
fn bytes(text: &str, encoding: Option<Encoding>, tail: &[u8]) -> Vec<u8> {
    let encoding = encoding.unwrap_or_default();
    let mut bytes = encode(text, encoding).unwrap_or_else(|| text.as_bytes().to_vec());
    bytes.extend(tail);
    bytes
}

proptest! {
    #[test]
    fn own_bytes_of_separated_values_parse_as_they_were_read(
        text in "([ab#é\\\\\0]{0,2}[,\"]{0,2}[a\u{FEFF}]{0,1}(\n|\r|\r\n|,)){0,14}[a,\"]{0,3}",
        tail in prop::collection::vec(prop::sample::select(b"a,\"\n\xFF\xFE\0\xD8".to_vec()), 0..4),
        encoding in encodings(),
        header in any::<bool>(),
        width in 1usize..4,
        ragged in prop::sample::select(vec![Ragged::Reject, Ragged::Pad, Ragged::Truncate]),
        max in 9usize..24,
    ) {
        let names: Vec<String> = (0..width).map(|n| format!("n{n}")).collect();
        let head = if header { names.join(",") + "\n" } else { String::new() };
        let mut options = csv(|csv| {
            csv.names.clone_from(&names);
            (csv.header, csv.ragged, csv.record_bytes_max) = (header, ragged, max);
            (csv.comment, csv.escape) = (Some(b'#'), Some(b'\\'));
        });
        options.encoding = encoding;
        holds(options, &bytes(&(head + &text), encoding, &tail), &OF_CSV);
    }

    #[test]
    fn own_bytes_of_json_parse_as_they_were_read(
        parts in prop::collection::vec(prop::sample::select(vec![
            "{\"a\":", "}", "[", "]", ",", " ", "\n", "\r\n", "1", "\"é\"", "\"", "{}", "[1, 2]", "\u{FEFF}", "null",
        ]), 0..14),
        front in prop::sample::select(vec!["", "[", "{\"a\": [", " [ 1,", "{\"a\": 1}\n"]),
        tail in prop::collection::vec(prop::sample::select(b"1]\xFF\xFE\0\xD8".to_vec()), 0..3),
        encoding in encodings(),
        pointer in prop::sample::select(vec![None, Some(""), Some("/a"), Some("/0")]),
        max in 3usize..20,
    ) {
        let content = bytes(&(front.to_owned() + &parts.concat()), encoding, &tail);
        let document = FileOptions { encoding, record_bytes_max: max, ..json(pointer) };
        holds(document.clone(), &content, &OF_JSON);
        holds(FileOptions { format: Format::JsonLines, ..document }, &content, &[]);
    }

    #[test]
    fn no_mended_bytes_make_it_panic(
        mended in prop::collection::vec(any::<u8>(), 0..40),
        encoding in encodings(),
        record in 1u64..3,
        max in 1usize..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let formats = [
            csv(|csv| csv.record_bytes_max = max).format,
            json(None).format,
            json(Some("/a")).format,
            Format::JsonLines,
            Format::Markdown,
            Format::Text,
        ];
        for format in formats {
            let mut options = FileOptions::new(format, &["*"]);
            (options.encoding, options.record_bytes_max) = (encoding, max);
            runtime.block_on(async {
                let file = bytes("{\"a\": [1", encoding, b"");
                let One { source, partition, .. } = &one(options, "f", &file).await;
                let place = Position { record, line: 1, byte: 0 };
                let given = [(place, mended.clone())];
                let fields = [Field::Json];
                match source.parse(partition, &fields, &given).await {
                    Ok(chunk) => assert_eq!((chunk.records.len(), &chunk.raw), (1, &mended)),
                    Err(error) => assert_eq!(error.code, codes::BAD_HEADER),
                }
            });
        }
    }
}
