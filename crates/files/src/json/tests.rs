//! What comes of every kind of JSON file.

use std::fmt::Write as _;
use std::io::Cursor;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;
use crate::encoding::encode;
use crate::input::drip::Drip;
use crate::jsonl::JsonLinesReader;

fn input(bytes: &[u8]) -> Input {
    Input::new(Box::new(Cursor::new(bytes.to_vec())), None).unwrap()
}

fn open(bytes: &[u8], pointer: Option<&str>, max: usize) -> JsonReader {
    JsonReader::new(input(bytes), pointer.map(|text| Pointer::parse(text).unwrap()), max)
}

fn show(record: &JsonRecord<'_>) -> String {
    let Position { record: number, line, byte } = record.position;
    let raw: String = String::from_utf8_lossy(record.raw).chars().take(30).collect();
    let raw = raw.escape_debug();
    match &record.defect {
        None => format!("{number} @{line}:{byte} {}", record.json),
        Some(defect) => format!(
            "{number} @{line}:{byte} {} col {}: {} ⟨{raw}⟩",
            defect.code, defect.column, defect.message
        ),
    }
}

fn read(reader: &mut JsonReader) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        out.push(show(&record));
    }
    out
}

fn check(bytes: impl AsRef<[u8]>, pointer: Option<&str>, expect: &Expect) {
    let mut reader = open(bytes.as_ref(), pointer, 1000);
    let mut out = read(&mut reader).join("\n");
    if !out.is_empty() {
        out.push('\n');
    }
    expect.assert_eq(&out);
}

fn check_lines(bytes: impl AsRef<[u8]>, expect: &Expect) {
    let mut reader = JsonLinesReader::new(input(bytes.as_ref()), 40);
    let mut out = String::new();
    while let Some(record) = reader.next().unwrap() {
        out += &(show(&record) + "\n");
    }
    let _ = writeln!(out, "{} lines, {} skipped", reader.lines(), reader.skipped_lines());
    expect.assert_eq(&out);
}

#[test]
fn a_document_is_one_record() {
    check(
        "\u{FEFF} {\n \"a\": 1.10,\n \"b\": 9007199254740993\n}\n",
        None,
        &expect![[r#"
        1 @1:4 {"a":1.10,"b":9007199254740993}
    "#]],
    );
    check(
        "42",
        None,
        &expect![[r#"
        1 @1:0 42
    "#]],
    );
}

#[test]
fn a_top_level_array_is_its_elements() {
    check(
        "[\n  {\"a\": 1},\n  [2, \"]\"],\n  \"x\\\"]\", 4 , null]",
        None,
        &expect![[r#"
        1 @2:4 {"a":1}
        2 @3:16 [2,"]"]
        3 @4:28 "x\"]"
        4 @4:36 4
        5 @4:40 null
    "#]],
    );
    check("[]", None, &expect![[""]]);
    check(" [ ] \n", None, &expect![[""]]);
}

#[test]
fn a_pointer_names_the_array() {
    let text = r#"{"meta": {"items": [0]}, "data": {"x": "]}", "items": [{"a": 1}, {"a": 2}], "y": 1}, "z": []}"#;
    check(
        text,
        Some("/data/items"),
        &expect![[r#"
        1 @1:55 {"a":1}
        2 @1:65 {"a":2}
    "#]],
    );
    check(
        "[[1], [2, 3]]",
        Some("/1"),
        &expect![[r#"
        1 @1:7 2
        2 @1:10 3
    "#]],
    );
    check(
        "[1, 2]",
        Some(""),
        &expect![[r#"
        1 @1:1 1
        2 @1:4 2
    "#]],
    );
}

#[test]
fn a_pointer_that_leads_nowhere_is_a_defect_of_the_file() {
    check(
        r#"{"a": 1}"#,
        Some("/items"),
        &expect![[r#"
        1 @1:0 WB0111 col 0: the path leads nowhere ⟨{\"a\": 1}⟩
    "#]],
    );
    check(
        r#"{"items": 1}"#,
        Some("/items"),
        &expect![[r#"
        1 @1:0 WB0111 col 0: what stands there is not an array ⟨{\"items\": 1}⟩
    "#]],
    );
    check(
        r#"{"items": {}}"#,
        Some("/items/0"),
        &expect![[r#"
        1 @1:0 WB0111 col 0: the path leads nowhere ⟨{\"items\": {}}⟩
    "#]],
    );
    check(
        r#""text""#,
        Some("/items"),
        &expect![[r#"
        1 @1:0 WB0111 col 0: the path leads into a plain value ⟨\"text\"⟩
    "#]],
    );
}

#[test]
fn an_empty_file_is_a_defect() {
    check(
        "",
        None,
        &expect![[r#"
        1 @1:0 WB0108 col 0: the file is empty ⟨⟩
    "#]],
    );
    check(
        " \n",
        Some("/a"),
        &expect![[r#"
        1 @2:2 WB0108 col 0: the file is empty ⟨⟩
    "#]],
    );
}

#[test]
fn a_bad_element_costs_only_itself() {
    check(
        "[{\"a\": 1}, {\"a\": tru}, {\"a\": NaN}, {\"a\": 1, \"a\": 2},\n 01, {\"a\": 3}]",
        None,
        &expect![[r#"
        1 @1:1 {"a":1}
        2 @1:11 WB0108 col 7: expected a value ⟨{\"a\": tru}⟩
        3 @1:23 WB0108 col 7: `NaN` and `Infinity` are not JSON ⟨{\"a\": NaN}⟩
        4 @1:35 WB0109 col 1: `a` stands twice in one object ⟨{\"a\": 1, \"a\": 2}⟩
        5 @2:54 WB0108 col 1: not a JSON number ⟨01⟩
        6 @2:58 {"a":3}
    "#]],
    );
}

#[test]
fn a_torn_file_keeps_its_whole_elements() {
    check(
        "[{\"a\": 1}, {\"a\": 2}, {\"a\": \"x",
        None,
        &expect![[r#"
        1 @1:1 {"a":1}
        2 @1:11 {"a":2}
        3 @1:21 WB0110 col 0: the file ends inside this value; 8 bytes from here on were not read ⟨{\"a\": \"x⟩
    "#]],
    );
    check(
        "[{\"a\": 1}, {\"a\": 2},",
        None,
        &expect![[r#"
        1 @1:1 {"a":1}
        2 @1:11 {"a":2}
        3 @1:20 WB0110 col 0: the file ends inside this value ⟨⟩
    "#]],
    );
    check(
        "[1, 2",
        None,
        &expect![[r#"
        1 @1:1 1
        2 @1:4 WB0110 col 0: the file ends inside this value; 1 byte from here on was not read ⟨2⟩
    "#]],
    );
    check(
        "[1, 2]",
        None,
        &expect![[r#"
        1 @1:1 1
        2 @1:4 2
    "#]],
    );
    check(
        "{\"items\": [1, 2]",
        Some("/items"),
        &expect![[r#"
        1 @1:11 1
        2 @1:14 2
        3 @1:16 WB0110 col 0: the file ends inside the document ⟨⟩
    "#]],
    );
    check(
        "{\"a\": {\"b\"",
        None,
        &expect![[r#"
        1 @1:0 WB0110 col 0: the file ends inside this value; 10 bytes from here on were not read ⟨{\"a\": {\"b\"⟩
    "#]],
    );
}

#[test]
fn broken_structure_rejects_the_rest() {
    check(
        "[1, {\"a\": [1}, 2, 3]",
        None,
        &expect![[r#"
        1 @1:1 1
        2 @1:4 WB0110 col 0: a bracket does not match; 16 bytes from here on were not read ⟨{\"a\": [1}, 2, 3]⟩
    "#]],
    );
    check(
        "[1 2]",
        None,
        &expect![[r#"
        1 @1:1 1
        2 @1:3 WB0110 col 0: expected `,` or `]` after an element; 2 bytes from here on were not read ⟨2]⟩
    "#]],
    );
    check(
        "[1,]",
        None,
        &expect![[r#"
        1 @1:1 1
        2 @1:3 WB0110 col 0: a comma before the end of the array; 1 byte from here on was not read ⟨]⟩
    "#]],
    );
    check(
        "[1] x",
        None,
        &expect![[r#"
        1 @1:1 1
        2 @1:4 WB0110 col 0: more text after the document; 1 byte from here on was not read ⟨x⟩
    "#]],
    );
    check(
        "{\"a\": 1} {\"a\": 2}",
        None,
        &expect![[r#"
        1 @1:0 {"a":1}
        2 @1:9 WB0110 col 0: more text after the document; 8 bytes from here on were not read ⟨{\"a\": 2}⟩
    "#]],
    );
    check(
        "{\"items\": [1]]",
        Some("/items"),
        &expect![[r#"
        1 @1:11 1
        2 @1:13 WB0110 col 0: a bracket does not match; 1 byte from here on was not read ⟨]⟩
    "#]],
    );
}

#[test]
fn values_on_lines_of_their_own_are_records() {
    check(
        "{\"a\": 1}\n{\"a\":\n 2}\n\n3\n",
        None,
        &expect![[r#"
        1 @1:0 {"a":1}
        2 @2:9 {"a":2}
        3 @5:20 3
    "#]],
    );
}

#[test]
fn a_long_element_is_a_defect_and_reading_goes_on() {
    let long = "x".repeat(2000);
    check(
        format!("[1, \"{long}\", 3]"),
        None,
        &expect![[r#"
        1 @1:1 1
        2 @1:4 WB0106 col 0: it has 2002 bytes, more than 1000 ⟨\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxx⟩
        3 @1:2008 3
    "#]],
    );
    check(
        format!("{{\"a\": \"{long}\"}}\n"),
        None,
        &expect![[r#"
        1 @1:0 WB0106 col 0: it has 2009 bytes, more than 1000 ⟨{\"a\": \"xxxxxxxxxxxxxxxxxxxxxxx⟩
    "#]],
    );
}

#[test]
fn utf_16_keeps_offsets_and_bytes_of_the_file() {
    check(
        encode("\u{FEFF}[\"é\", {\"a\": x}]", Encoding::Utf16Le).unwrap(),
        None,
        &expect![[r#"
        1 @1:4 "é"
        2 @1:14 WB0108 col 7: expected a value ⟨{\0\"\0a\0\"\0:\0 \0x\0}\0⟩
    "#]],
    );
}

#[test]
fn bytes_that_are_no_text_are_a_defect_of_their_element() {
    check(
        b"[\"a\", \"\xE9\", \"b\"]",
        None,
        &expect![[r#"
        1 @1:1 "a"
        2 @1:6 WB0107 col 2: the bytes here are not valid utf-8 ⟨\"�\"⟩
        3 @1:11 "b"
    "#]],
    );
}

#[test]
fn lines_are_records_and_bad_ones_defects() {
    check_lines(
        "{\"a\": 1}\r\n\n  \n{\"a\": x}\nnot json\n[1,\n2]\n\"\u{e9}\"\n{\"b\": \"01234567890123456789012345678901234567890123456789\"}\n{\"c\": 1e400}",
        &expect![[r#"
            1 @1:0 {"a":1}
            2 @4:14 WB0108 col 7: expected a value ⟨{\"a\": x}⟩
            3 @5:23 WB0108 col 1: expected a value ⟨not json⟩
            4 @6:32 WB0110 col 4: the document ends too early ⟨[1,⟩
            5 @7:36 WB0108 col 2: more text after the document ⟨2]⟩
            6 @8:39 "é"
            7 @9:44 WB0106 col 0: the line has 59 bytes, more than 40 ⟨{\"b\": \"01234567890123456789012⟩
            8 @10:104 {"c":1e400}
            10 lines, 2 skipped
        "#]],
    );
    check_lines(
        "",
        &expect![[r#"
        0 lines, 0 skipped
    "#]],
    );
    check_lines(
        b"\"\xE9\"\n1",
        &expect![[r#"
        1 @1:0 WB0107 col 2: the bytes here are not valid utf-8 ⟨\"�\"⟩
        2 @2:4 1
        2 lines, 0 skipped
    "#]],
    );
}

#[test]
fn a_line_is_as_long_as_it_is_without_its_line_end() {
    let (longest, longer) = ("1".repeat(40), "1".repeat(41));
    let text = format!("{longest}\r\n{longest}\n{longer}\r\n{}\n{longest}", " ".repeat(41));
    for piece in [1, 7, 1000] {
        let dripping = Drip { bytes: text.clone().into_bytes(), at: 0, piece };
        let mut reader = JsonLinesReader::new(Input::new(Box::new(dripping), None).unwrap(), 40);
        let mut defects = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            defects.push(record.defect.map(|defect| defect.message));
        }
        let long = Some("the line has 41 bytes, more than 40".to_owned());
        assert_eq!(defects, [None, None, long.clone(), long, None], "in pieces of {piece}");
    }
}

fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?",
        Just("null".to_owned()),
        Just("true".to_owned()),
        "[a-c\\[\\]{},:\u{e9} ]{0,6}".prop_map(|text| format!("\"{text}\"")),
        Just(r#""\"\\""#.to_owned()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(" , "))),
            prop::collection::vec(inner, 0..4).prop_map(|items| {
                let member = |(n, item): (usize, &String)| format!("\"k{n}\" :\n{item}");
                format!(
                    "{{{}}}",
                    items.iter().enumerate().map(member).collect::<Vec<_>>().join(",")
                )
            }),
        ]
    })
}

proptest! {
    #[test]
    fn elements_are_what_was_written(items in prop::collection::vec(values(), 0..8), deep in any::<bool>()) {
        let array = format!("[{}]", items.join(",\n "));
        let (text, pointer) = if deep {
            (format!("{{\"x\": {array}, \"a\": {{\"b\": {array}}}, \"c\": \"]\"}}"), Some("/a/b"))
        } else {
            (array, None)
        };
        let mut reader = open(text.as_bytes(), pointer, 10_000);
        let mut read = Vec::new();
        let mut marks = vec![(reader.mark(), reader.digest())];
        while let Some(record) = reader.next().unwrap() {
            prop_assert_eq!(&record.defect, &None);
            let from = record.position.byte as usize;
            prop_assert_eq!(record.raw, &text.as_bytes()[from..from + record.raw.len()]);
            read.push(record.text.to_owned());
            marks.push((reader.mark(), reader.digest()));
        }
        prop_assert_eq!(&read, &items);
        for (index, (mark, digest)) in marks.iter().enumerate() {
            let mut later = open(text.as_bytes(), pointer, 10_000);
            prop_assert!(later.resume(&Mark::from_numbers(mark.to_numbers()), digest).unwrap());
            let mut rest = Vec::new();
            while let Some(record) = later.next().unwrap() {
                rest.push(record.text.to_owned());
            }
            prop_assert_eq!(&rest[..], &items[index..]);
            prop_assert_eq!(later.lines(), reader.lines());
        }
    }

    #[test]
    fn every_cut_gives_whole_elements_then_one_defect(items in prop::collection::vec(values(), 1..5), cut in 0.0..1.0f64) {
        let text = format!("[{}]", items.join(", "));
        let mut at = (text.len() as f64 * cut) as usize;
        while !text.is_char_boundary(at) { at -= 1; }
        let mut reader = open(&text.as_bytes()[..at], None, 10_000);
        let mut read = Vec::new();
        let mut defects = 0;
        while let Some(record) = reader.next().unwrap() {
            match record.defect {
                None => read.push(record.text.to_owned()),
                Some(_) => defects += 1,
            }
        }
        prop_assert_eq!(defects, 1);
        prop_assert_eq!(&read[..], &items[..read.len()]);
    }

    #[test]
    fn no_bytes_make_it_panic(
        bytes in prop::collection::vec(prop::sample::select(b"[]{},:\"\\ \r\n\n0a-\xC3\xA9\xFF".to_vec()), 0..60),
        pointer in prop::sample::select(vec![None, Some("/a"), Some("/0/a")]),
        max in 1usize..30,
        piece in 1usize..9,
    ) {
        let dripping = || {
            let from = Box::new(Drip { bytes: bytes.clone(), at: 0, piece });
            Input::new(from, None).unwrap()
        };
        let path = pointer.map(|text| Pointer::parse(text).unwrap());
        let dripped = read(&mut JsonReader::new(dripping(), path, max));
        prop_assert_eq!(dripped, read(&mut open(&bytes, pointer, max)), "in pieces of {}", piece);
        let mut reader = open(&bytes, pointer, max);
        let mut all = 0;
        while let Some(record) = reader.next().unwrap() {
            let from = record.position.byte as usize;
            prop_assert_eq!(record.raw, &bytes[from..from + record.raw.len()]);
            all += 1;
            prop_assert!(all <= bytes.len() + 1);
        }
        let mut lines = JsonLinesReader::new(input(&bytes), max);
        let mut marks = vec![(lines.mark(), lines.digest())];
        let mut records = Vec::new();
        while let Some(record) = lines.next().unwrap() {
            let from = record.position.byte as usize;
            prop_assert_eq!(record.raw, &bytes[from..from + record.raw.len()]);
            records.push(show(&record));
            marks.push((lines.mark(), lines.digest()));
        }
        let mut dripped = JsonLinesReader::new(dripping(), max);
        for record in &records {
            prop_assert_eq!(&show(&dripped.next().unwrap().unwrap()), record);
        }
        prop_assert!(dripped.next().unwrap().is_none());
        for (index, (mark, digest)) in marks.iter().enumerate() {
            let mut later = JsonLinesReader::new(input(&bytes), max);
            prop_assert!(later.resume(mark, digest).unwrap());
            let mut rest = Vec::new();
            while let Some(record) = later.next().unwrap() {
                rest.push(show(&record));
            }
            prop_assert_eq!(&rest[..], &records[index..]);
        }
    }
}
