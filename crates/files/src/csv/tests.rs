//! What comes of every kind of well-formed and broken file.

use std::fmt::Write as _;
use std::io::Cursor;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::Encoding;
use crate::encoding::encode;
use crate::input::drip::Drip;

fn open(bytes: &[u8], options: CsvOptions) -> Result<CsvReader, ReadError> {
    let input = Input::new(Box::new(Cursor::new(bytes.to_vec())), None).unwrap();
    CsvReader::new(input, options)
}

/// One line a record: number, line and byte, then fields (`'…'` if quoted) or the defect.
fn show(record: &CsvRecord<'_>) -> String {
    let Position { record: number, line, byte } = record.position;
    let mut out = format!("{number} @{line}:{byte} ");
    if let Some(defect) = &record.defect {
        let raw: String = String::from_utf8_lossy(record.raw).chars().take(40).collect();
        let _ = write!(
            out,
            "{} col {}: {} ⟨{}⟩",
            defect.code,
            defect.column,
            defect.message,
            raw.escape_debug()
        );
    } else {
        let field = |field: CsvField<'_>| {
            let quote = if field.quoted { "'" } else { "" };
            format!("{quote}{}{quote}", field.text.escape_debug())
        };
        out += &record.fields().map(field).collect::<Vec<_>>().join(" | ");
    }
    if let Some(repair) = record.repair {
        let _ = write!(out, " [{repair}]");
    }
    if !record.terminated {
        out += " [unterminated]";
    }
    out
}

fn read(bytes: &[u8], options: CsvOptions) -> Vec<String> {
    let mut reader = match open(bytes, options) {
        Ok(reader) => reader,
        Err(error) => return vec![format!("{}: {error}", error.code())],
    };
    let mut out = vec![reader.columns().join(" | ")];
    while let Some(record) = reader.next().unwrap() {
        out.push(show(&record));
    }
    out.push(format!("{} lines, {} skipped", reader.lines(), reader.skipped_lines()));
    out
}

fn check_with(options: CsvOptions, bytes: impl AsRef<[u8]>, expect: &Expect) {
    expect.assert_eq(&(read(bytes.as_ref(), options).join("\n") + "\n"));
}

fn check(bytes: impl AsRef<[u8]>, expect: &Expect) {
    check_with(CsvOptions::default(), bytes, expect);
}

#[test]
fn empty_quoted_and_markers_stay_apart() {
    check(
        "a,b,c,d\n,\"\",NA,\"NA\"\n",
        &expect![[r#"
        a | b | c | d
        1 @2:8  | '' | NA | 'NA'
        2 lines, 0 skipped
    "#]],
    );
}

#[test]
fn line_ends_may_be_mixed() {
    check(
        "a,b\r\n1,2\n3,4\r5,6\r\n",
        &expect![[r#"
        a | b
        1 @2:5 1 | 2
        2 @3:9 3 | 4
        3 @4:13 5 | 6
        4 lines, 0 skipped
    "#]],
    );
}

#[test]
fn cells_may_span_lines_and_hold_delimiters_and_quotes() {
    check(
        "a,b\n\"x\r\ny\",\"1,\"\"2\"\"\"\n3,4\n",
        &expect![[r#"
        a | b
        1 @2:4 'x\r\ny' | '1,\"2\"'
        2 @4:21 3 | 4
        4 lines, 0 skipped
    "#]],
    );
}

#[test]
fn an_empty_file_has_no_columns_and_no_records() {
    check(
        "",
        &expect![[r#"

        0 lines, 0 skipped
    "#]],
    );
    check(
        "\u{FEFF}",
        &expect![[r#"

        0 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_header_alone_has_no_records() {
    check(
        "a,b\n",
        &expect![[r#"
        a | b
        1 lines, 0 skipped
    "#]],
    );
    check(
        "a,b",
        &expect![[r#"
        a | b
        1 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_torn_last_line_is_ragged_or_marked() {
    check(
        "a,b\n1,2\n3",
        &expect![[r#"
        a | b
        1 @2:4 1 | 2
        2 @3:8 WB0101 col 0: 1 field, the header has 2 ⟨3⟩ [unterminated]
        3 lines, 0 skipped
    "#]],
    );
    check(
        "a,b\n1,2\n3,4",
        &expect![[r#"
        a | b
        1 @2:4 1 | 2
        2 @3:8 3 | 4 [unterminated]
        3 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_torn_quote_at_the_end_rejects_that_line() {
    check(
        "a,b\n1,2\n3,\"tor",
        &expect![[r#"
        a | b
        1 @2:4 1 | 2
        2 @3:8 WB0104 col 3: the quote opened on line 3 is never closed ⟨3,\"tor⟩ [unterminated]
        3 lines, 0 skipped
    "#]],
    );
}

#[test]
fn ragged_records_are_rejected_with_counts() {
    check(
        "a,b\n1\n1,2,3\n1,2\n",
        &expect![[r#"
        a | b
        1 @2:4 WB0101 col 0: 1 field, the header has 2 ⟨1⟩
        2 @3:6 WB0102 col 5: 3 fields, the header has 2 ⟨1,2,3⟩
        3 @4:12 1 | 2
        4 lines, 0 skipped
    "#]],
    );
}

#[test]
fn ragged_records_are_repaired_only_as_declared() {
    let pad = CsvOptions { ragged: Ragged::Pad, ..CsvOptions::default() };
    check_with(
        pad,
        "a,b\n1\n1,2,3\n",
        &expect![[r#"
        a | b
        1 @2:4 1 [WB0121]
        2 @3:6 WB0102 col 5: 3 fields, the header has 2 ⟨1,2,3⟩
        3 lines, 0 skipped
    "#]],
    );
    let truncate = CsvOptions { ragged: Ragged::Truncate, ..CsvOptions::default() };
    check_with(
        truncate,
        "a,b\n1\n1,2,3\n",
        &expect![[r#"
        a | b
        1 @2:4 WB0101 col 0: 1 field, the header has 2 ⟨1⟩
        2 @3:6 1 | 2 [WB0122]
        3 lines, 0 skipped
    "#]],
    );
}

#[test]
fn blank_lines_are_skipped_unless_there_is_one_column() {
    check(
        "\n\na,b\n\n1,2\n\n",
        &expect![[r#"
        a | b
        1 @5:7 1 | 2
        6 lines, 4 skipped
    "#]],
    );
    check(
        "a\n\n1\n",
        &expect![[r#"
        a
        1 @2:2 
        2 @3:3 1
        3 lines, 0 skipped
    "#]],
    );
}

#[test]
fn comments_and_leading_lines_are_skipped_and_counted() {
    let options = CsvOptions { comment: Some(b'#'), skip_lines: 1, ..CsvOptions::default() };
    check_with(
        options,
        "made by \"x\n# c, \"\na,b\n#\n1,#2\n",
        &expect![[r#"
        a | b
        1 @5:24 1 | #2
        5 lines, 3 skipped
    "#]],
    );
}

#[test]
fn a_stray_quote_costs_the_lines_it_touches_and_no_more() {
    check(
        "a,b\n1,\"stray\n2,x\n3,\"fine\"\n4,y\n",
        &expect![[r#"
        a | b
        1 @2:4 WB0103 col 0: text after a closing quote, on line 4 ⟨1,\"stray⟩
        2 @3:13 WB0105 col 0: it belongs to the record with broken quoting on line 2 ⟨2,x⟩
        3 @4:17 WB0105 col 0: it belongs to the record with broken quoting on line 2 ⟨3,\"fine\"⟩
        4 @5:26 4 | y
        5 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_stray_quote_to_the_end_of_the_file_rejects_each_line() {
    check(
        "a,b\n1,\"stray\n2,x\n3,y\n",
        &expect![[r#"
        a | b
        1 @2:4 WB0104 col 3: the quote opened on line 2 is never closed ⟨1,\"stray⟩
        2 @3:13 WB0105 col 0: it belongs to the record with broken quoting on line 2 ⟨2,x⟩
        3 @4:17 WB0105 col 0: it belongs to the record with broken quoting on line 2 ⟨3,y⟩
        4 lines, 0 skipped
    "#]],
    );
}

#[test]
fn text_after_a_closing_quote_is_a_defect_of_its_line() {
    check(
        "a,b\n\"1\"x,2\n3,4\n",
        &expect![[r#"
        a | b
        1 @2:4 WB0103 col 4: text after a closing quote, on line 2 ⟨\"1\"x,2⟩
        2 @3:11 3 | 4
        3 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_quote_inside_an_unquoted_cell_is_a_character() {
    check(
        "a,b\n5\" pipe, \"x\"\n",
        &expect![[r#"
        a | b
        1 @2:4 5\" pipe |  \"x\"
        2 lines, 0 skipped
    "#]],
    );
}

#[test]
fn without_quotes_they_are_characters() {
    let options = CsvOptions { quote: None, delimiter: b'\t', ..CsvOptions::default() };
    check_with(
        options,
        "a\tb\n\"1\t2\"\n",
        &expect![[r#"
        a | b
        1 @2:4 \"1 | 2\"
        2 lines, 0 skipped
    "#]],
    );
}

#[test]
fn an_escape_counts_before_a_quote_and_itself_only() {
    let options = CsvOptions { escape: Some(b'\\'), ..CsvOptions::default() };
    check_with(
        options,
        r#"a,b
"x\"y","c:\\d\n"
\N,"a""b"
"#,
        &expect![[r#"
    a | b
    1 @2:4 'x\"y' | 'c:\\d\\n'
    2 @3:21 \\N | 'a\"b'
    3 lines, 0 skipped
"#]],
    );
}

#[test]
fn nul_bytes_are_kept_and_can_be_asked_for() {
    let mut reader = open(b"a,b\n1,\0\n2,3\n", CsvOptions::default()).unwrap();
    let record = reader.next().unwrap().unwrap();
    assert!(record.has_nul());
    assert_eq!(record.get(1).unwrap().text, "\0");
    assert!(!reader.next().unwrap().unwrap().has_nul());
}

#[test]
fn bytes_that_are_not_utf_8_are_a_defect_of_their_record() {
    check(
        b"a,b\n1,caf\xE9\n2,x\n",
        &expect![[r#"
        a | b
        1 @2:4 WB0107 col 6: the bytes here are not valid utf-8 ⟨1,caf�⟩
        2 @3:11 2 | x
        3 lines, 0 skipped
    "#]],
    );
}

#[test]
fn utf_16_is_read_with_offsets_and_bytes_of_the_file() {
    let text = "\u{FEFF}a,b\r\n1,né\r\n2,\"x\ny\"\r\n3\r\n";
    check(
        encode(text, Encoding::Utf16Le).unwrap(),
        &expect![[r#"
        a | b
        1 @2:12 1 | né
        2 @3:24 2 | 'x\ny'
        3 @5:42 WB0101 col 0: 1 field, the header has 2 ⟨3\0⟩
        5 lines, 0 skipped
    "#]],
    );
    check(
        encode(text, Encoding::Utf16Be).unwrap(),
        &expect![[r#"
        a | b
        1 @2:12 1 | né
        2 @3:24 2 | 'x\ny'
        3 @5:42 WB0101 col 0: 1 field, the header has 2 ⟨\03⟩
        5 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_lone_surrogate_is_a_defect_and_its_bytes_are_kept() {
    let mut bytes = encode("\u{FEFF}a\n", Encoding::Utf16Le).unwrap();
    bytes.extend([b'x', 0, 0x00, 0xD8, b'\n', 0, b'y', 0, b'\n', 0]);
    check(
        &bytes,
        &expect![[r#"
        a
        1 @2:6 WB0107 col 2: the bytes here are not valid utf-16le ⟨x\0\0�⟩
        2 @3:12 y
        3 lines, 0 skipped
    "#]],
    );
    let mut reader = open(&bytes, CsvOptions::default()).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().raw, [b'x', 0, 0x00, 0xD8]);
}

#[test]
fn names_that_are_missing_are_counted_and_duplicates_refused() {
    check(
        "a,,c\n1,2,3\n",
        &expect![[r#"
        a | column_2 | c
        1 @2:5 1 | 2 | 3
        2 lines, 0 skipped
    "#]],
    );
    check(
        "a,b,a\n",
        &expect![[r#"
        WB0138: name the columns: `a` stands at column 1 and at column 3
    "#]],
    );
    let names = ["x", "y", "z"].map(str::to_owned).to_vec();
    let options = CsvOptions { names, ..CsvOptions::default() };
    check_with(
        options.clone(),
        "a,b,a\n1,2,3\n",
        &expect![[r#"
        x | y | z
        1 @2:6 1 | 2 | 3
        2 lines, 0 skipped
    "#]],
    );
    check_with(
        options,
        "a,b\n",
        &expect![[r#"
        WB0139: read the header at line 1: 3 names are declared, it has 2
    "#]],
    );
}

#[test]
fn headers_that_cannot_be_read_are_errors_with_a_line() {
    check(
        "\n\"a,b\n1,2\n",
        &expect![[r#"
        WB0139: read the header at line 2: a quote is never closed
    "#]],
    );
    check(
        b"caf\xE9,b\n",
        &expect![[r#"
        WB0139: read the header at line 1: it is not valid text
    "#]],
    );
}

#[test]
fn a_file_without_header_has_declared_or_counted_names() {
    let options = CsvOptions { header: false, ..CsvOptions::default() };
    check_with(
        options.clone(),
        "1,2\n3,4\n",
        &expect![[r#"
        column_1 | column_2
        1 @1:0 1 | 2
        2 @2:4 3 | 4
        2 lines, 0 skipped
    "#]],
    );
    let names = ["x", "y"].map(str::to_owned).to_vec();
    check_with(
        CsvOptions { names, ..options },
        "1,2\n3\n",
        &expect![[r#"
        x | y
        1 @1:0 1 | 2
        2 @2:4 WB0101 col 0: 1 field, the header has 2 ⟨3⟩
        2 lines, 0 skipped
    "#]],
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    check_with(
        CsvOptions { quote: Some(b','), ..CsvOptions::default() },
        "",
        &expect![[r#"
        WB0140: use the options of the format: the delimiter is also the quote or the escape
    "#]],
    );
    check_with(
        CsvOptions { delimiter: 0xA7, ..CsvOptions::default() },
        "",
        &expect![[r#"
        WB0140: use the options of the format: delimiter, quote, escape and comment are ASCII and no line ends
    "#]],
    );
}

#[test]
fn a_record_that_is_too_long_is_a_defect_and_reading_goes_on() {
    let options = CsvOptions { record_bytes_max: 10, ..CsvOptions::default() };
    check_with(
        options.clone(),
        "a,b\n1,23456789\n1,234567890\n3,4\n",
        &expect![[r#"
        a | b
        1 @2:4 1 | 23456789
        2 @3:15 WB0106 col 0: the record that began on line 3 is longer than 10 bytes; this line has 11 ⟨1,234567890⟩
        3 @4:27 3 | 4
        4 lines, 0 skipped
    "#]],
    );
    check_with(
        options,
        "a,b\n1,\"345\n678\n\",\"x\n\"\n3,4\n",
        &expect![[r#"
        a | b
        1 @2:4 WB0106 col 0: the record that began on line 2 is longer than 10 bytes; this line has 6 ⟨1,\"345⟩
        2 @3:11 WB0106 col 0: the record that began on line 2 is longer than 10 bytes; this line has 3 ⟨678⟩
        3 @4:15 WB0106 col 0: the record that began on line 2 is longer than 10 bytes; this line has 4 ⟨\",\"x⟩
        4 @5:20 WB0106 col 0: the record that began on line 2 is longer than 10 bytes; this line has 1 ⟨\"⟩
        5 @6:22 3 | 4
        6 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_hundred_megabytes_in_one_field_are_one_defect_or_one_record() {
    let mut bytes = b"a,b\n1,".to_vec();
    bytes.resize(100 << 20, b'x');
    bytes.extend(b"\n2,3\n");
    let mut reader = open(&bytes, CsvOptions::default()).unwrap();
    let long = reader.next().unwrap().unwrap();
    assert_eq!(long.defect.unwrap().code, codes::RECORD_TOO_LONG);
    assert_eq!(long.raw.len(), KEPT_OF_TOO_LONG);
    assert_eq!(reader.next().unwrap().unwrap().position.line, 3);

    let options = CsvOptions { record_bytes_max: 200 << 20, ..CsvOptions::default() };
    let mut reader = open(&bytes, options).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().get(1).unwrap().text.len(), (100 << 20) - 6);
    assert!(reader.next().unwrap().is_some());
}

#[derive(Clone, Debug)]
struct Dialect {
    options: CsvOptions,
    line_end: &'static str,
    always_quote: bool,
    encoding: Encoding,
}

fn dialects() -> impl Strategy<Value = Dialect> {
    let bytes = (prop::sample::select(b",;\t|".to_vec()), prop::sample::select(b"\"'".to_vec()));
    let ends = prop::sample::select(vec!["\n", "\r\n", "\r"]);
    (bytes, prop::option::of(Just(b'\\')), ends, any::<bool>(), 0usize..5).prop_map(
        |((delimiter, quote), escape, line_end, always_quote, encoding)| Dialect {
            options: CsvOptions { delimiter, quote: Some(quote), escape, ..CsvOptions::default() },
            line_end,
            always_quote,
            encoding: Encoding::ALL[encoding],
        },
    )
}

fn write(table: &[Vec<String>], dialect: &Dialect) -> Vec<u8> {
    let CsvOptions { delimiter, quote, escape, .. } = dialect.options;
    let (delimiter, quote) = (char::from(delimiter), char::from(quote.unwrap()));
    let mut out = String::new();
    for row in table {
        for (index, cell) in row.iter().enumerate() {
            if index > 0 {
                out.push(delimiter);
            }
            let special = |c: char| c == delimiter || c == '\n' || c == '\r';
            if !dialect.always_quote && !cell.contains(special) && !cell.starts_with(quote) {
                out.push_str(cell);
                continue;
            }
            out.push(quote);
            for c in cell.chars() {
                match escape.map(char::from) {
                    Some(escape) if c == quote || c == escape => out.extend([escape, c]),
                    _ if c == quote => out.extend([c, c]),
                    _ => out.push(c),
                }
            }
            out.push(quote);
        }
        out.push_str(dialect.line_end);
    }
    let mut bytes = match dialect.encoding {
        Encoding::Utf16Le => vec![0xFF, 0xFE],
        Encoding::Utf16Be => vec![0xFE, 0xFF],
        Encoding::Utf8 | Encoding::Latin1 | Encoding::Windows1252 => vec![],
    };
    bytes.extend(encode(&out, dialect.encoding).unwrap_or_else(|| out.into_bytes()));
    bytes
}

fn tables() -> impl Strategy<Value = Vec<Vec<String>>> {
    let cell = prop_oneof![
        4 => "[a-c0-9 .]{0,12}".boxed(),
        2 => "[ab\",';|\t\\\\\r\n\u{e9}]{0,8}".boxed(),
        1 => Just(String::new()).boxed(),
    ];
    (2usize..5).prop_flat_map(move |width| {
        prop::collection::vec(prop::collection::vec(cell.clone(), width), 0..12)
    })
}

fn open_dialect(bytes: &[u8], dialect: &Dialect, width: usize) -> CsvReader {
    let input = Input::new(Box::new(Cursor::new(bytes.to_vec())), Some(dialect.encoding)).unwrap();
    let names = (0..width).map(|n| format!("n{n}")).collect();
    let options = CsvOptions { header: false, names, ..dialect.options.clone() };
    CsvReader::new(input, options).unwrap()
}

proptest! {
    #[test]
    fn what_was_written_is_read(table in tables(), dialect in dialects()) {
        let bytes = write(&table, &dialect);
        let width = table.first().map_or(1, Vec::len);
        let mut reader = open_dialect(&bytes, &dialect, width);
        let mut read = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            prop_assert_eq!(&record.defect, &None, "{:?}", String::from_utf8_lossy(&bytes));
            read.push(record.fields().map(|field| field.text.to_owned()).collect::<Vec<_>>());
            let from = record.position.byte as usize;
            prop_assert_eq!(record.raw, &bytes[from..from + record.raw.len()]);
        }
        prop_assert_eq!(read, table);
    }

    #[test]
    fn reading_on_from_any_mark_gives_the_same(
        bytes in prop::collection::vec(prop::sample::select(b"ab,,\"\"\n\n\r\xC3\xA9".to_vec()), 0..80),
        max in 4usize..30,
        piece in 1usize..9,
    ) {
        let options = CsvOptions { record_bytes_max: max, header: false,
            names: vec!["x".into(), "y".into()], ..CsvOptions::default() };
        let mut reader = open(&bytes, options.clone()).unwrap();
        let mut marks = vec![(reader.mark(), reader.digest())];
        let mut all = Vec::new();
        let mut covered = vec![0u8; bytes.len()];
        while let Some(record) = reader.next().unwrap() {
            let from = record.position.byte as usize;
            prop_assert_eq!(record.raw, &bytes[from..from + record.raw.len()]);
            covered[from..from + record.raw.len()].iter_mut().for_each(|seen| *seen += 1);
            all.push(show(&record));
            marks.push((reader.mark(), reader.digest()));
        }
        // Every byte that is no line end stands in exactly one record.
        for (at, seen) in covered.iter().enumerate() {
            prop_assert!(*seen == 1 || matches!(bytes[at], b'\n' | b'\r'), "{at} {seen}");
        }
        let dripping = Box::new(Drip { bytes: bytes.clone(), at: 0, piece });
        let mut dripped = CsvReader::new(Input::new(dripping, None).unwrap(), options.clone()).unwrap();
        let mut again = Vec::new();
        while let Some(record) = dripped.next().unwrap() {
            again.push(show(&record));
        }
        prop_assert_eq!(&again, &all, "in pieces of {}", piece);
        for (index, (mark, digest)) in marks.into_iter().enumerate() {
            let mut later = open(&bytes, options.clone()).unwrap();
            let mark = Mark::from_numbers(mark.to_numbers());
            prop_assert!(later.resume(&mark, &digest).unwrap());
            let mut rest = Vec::new();
            while let Some(record) = later.next().unwrap() {
                rest.push(show(&record));
            }
            prop_assert_eq!(&rest[..], &all[index..]);
            prop_assert_eq!(later.lines(), reader.lines());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        dialect in dialects(),
        max in 1usize..200,
    ) {
        let input = Input::new(Box::new(Cursor::new(bytes)), Some(dialect.encoding)).unwrap();
        let options = CsvOptions { record_bytes_max: max, ..dialect.options };
        if let Ok(mut reader) = CsvReader::new(input, options) {
            while reader.next().unwrap().is_some() {}
        }
    }

    #[test]
    fn it_reads_what_csv_core_reads(table in tables()) {
        let dialect = Dialect { options: CsvOptions::default(), line_end: "\n", always_quote: false, encoding: Encoding::Utf8 };
        let bytes = write(&table, &dialect);
        let mut parser = csv_core::Reader::new();
        let (mut out, mut ends, mut rest, mut expect) = ([0; 4096], [0; 64], &bytes[..], Vec::new());
        loop {
            let (result, read, _, fields) = parser.read_record(rest, &mut out, &mut ends);
            rest = &rest[read..];
            match result {
                csv_core::ReadRecordResult::Record => {
                    let starts = std::iter::once(0).chain(ends).take(fields);
                    let cells = starts.zip(ends).map(|(from, to)| String::from_utf8_lossy(&out[from..to]).into_owned());
                    expect.push(cells.collect::<Vec<_>>());
                }
                csv_core::ReadRecordResult::End => break,
                _ => prop_assert!(rest.is_empty()),
            }
        }
        let mut reader = open_dialect(&bytes, &dialect, table.first().map_or(1, Vec::len));
        let mut read = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            read.push(record.fields().map(|field| field.text.to_owned()).collect::<Vec<_>>());
        }
        prop_assert_eq!(read, expect);
    }
}

#[test]
fn a_grown_file_is_read_again_from_the_last_final_record() {
    let check = |text: &str, byte: u64, records: u64| {
        let mut reader = open(text.as_bytes(), CsvOptions::default()).unwrap();
        while reader.next().unwrap().is_some() {}
        let (mark, digest) = reader.settled();
        assert_eq!((mark.byte, mark.records), (byte, records), "{text:?}");
        assert_eq!(digest, *blake3::hash(&text.as_bytes()[..byte as usize]).as_bytes());
    };
    check("a,b\n1,2\n", 8, 1);
    check("a,b\n1,2\n3,", 8, 1);
    check("a,b\n1,2\n3,\"x\ny\n", 8, 1);
    check("a,b\n1,\"x\"y\n3,4\n", 15, 2);
    check("a,b", 3, 0);
}

#[test]
fn a_mark_holds_only_if_what_was_read_still_stands() {
    let mut reader = open(b"a,b\n1,2\n3,4", CsvOptions::default()).unwrap();
    while reader.next().unwrap().is_some() {}
    let (mark, digest) = (reader.mark(), reader.digest());
    let resume = |text: &str| {
        let mut reader = open(text.as_bytes(), CsvOptions::default()).unwrap();
        reader.resume(&mark, &digest).unwrap().then(|| {
            let next = reader.next().unwrap();
            next.map(|record| show(&record))
        })
    };
    assert_eq!(resume("a,b\n1,2\n3,4"), Some(None));
    assert_eq!(resume("a,b\n1,2\n3,4\n"), Some(None));
    assert_eq!(resume("a,b\n1,2\n3,4\r\n5,6\n"), Some(Some("3 @4:13 5 | 6".into())));
    assert_eq!(resume("a,b\n1,2\n3,45\n"), None);
    assert_eq!(resume("a,b\n1,2\n3,5"), None);
    assert_eq!(resume("a,b\n1,2\n"), None);
}
