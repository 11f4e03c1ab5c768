//! Files through the traits: the contract of every source, and what is this one's alone.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;
use tempfile::TempDir;
use whimbrel_endpoint::Limit;
use whimbrel_endpoint::contract::{SourceUnderTest, source_contract};
use whimbrel_model::{SourceChunk, ValueRef};

use super::*;
use crate::encoding::encode;

/// How the bytes of a test's file come about.
#[derive(Clone, Copy)]
enum Pack {
    Plain,
    Gzip,
    Zstd,
    Utf16,
}

impl Pack {
    fn pack(self, text: &str) -> Vec<u8> {
        match self {
            Self::Plain => text.as_bytes().to_vec(),
            Self::Gzip => {
                let level = flate2::Compression::fast();
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
            Self::Zstd => zstd::encode_all(text.as_bytes(), 1).unwrap(),
            Self::Utf16 => encode(text, Encoding::Utf16Le).unwrap(),
        }
    }
}

struct Under {
    folder: TempDir,
    source: FileSource,
    pack: Pack,
    line: fn(u32) -> String,
}

impl Under {
    fn new(format: Format, name: &str, pack: Pack, head: &str, line: fn(u32) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = head.to_owned();
        (0..6).for_each(|n| text += &line(n));
        fs::write(folder.path().join(name), pack.pack(&text)).unwrap();
        fs::write(folder.path().join(format!("z-{name}")), pack.pack(&text)).unwrap();
        let mut options = FileOptions::new(format, &["*"]);
        if let Pack::Utf16 = pack {
            options.encoding = Some(Encoding::Utf16Le);
        }
        let source = FileSource::new("files", folder.path(), options);
        Self { folder, source, pack, line }
    }

    fn rewrite(&self, partition: &Partition, change: impl Fn(&str) -> String) {
        let (input, ..) = self.source.input(&partition.id.path).unwrap();
        let text = read_whole(input, 1 << 20).unwrap().text;
        let path = self.folder.path().join(&partition.id.path);
        fs::write(path, self.pack.pack(&change(&text))).unwrap();
    }
}

impl SourceUnderTest for Under {
    fn source(&self) -> &dyn Source {
        &self.source
    }

    fn append(&self, partition: &Partition) {
        let path = self.folder.path().join(&partition.id.path);
        let bytes = self.pack.pack(&(self.line)(99));
        fs::File::options().append(true).open(path).unwrap().write_all(&bytes).unwrap();
    }

    fn alter(&self, partition: &Partition) {
        self.rewrite(partition, |text| {
            let (from, to) = if text.contains("r0") { ("r0", "s0") } else { ("s0", "r0") };
            text.replacen(from, to, 1)
        });
    }

    fn empty(&self, partition: &Partition) {
        self.rewrite(partition, |_| String::new());
    }
}

fn csv_line(n: u32) -> String {
    format!("r{n},\"x\ny\"\r\n")
}

fn json_line(n: u32) -> String {
    format!("{{\"id\": \"r{n}\", \"x\": [1]}}\n")
}

fn csv() -> Format {
    Format::Csv(CsvOptions::default())
}

#[tokio::test]
async fn csv_files_keep_the_contract() {
    source_contract(|| Under::new(csv(), "a.csv", Pack::Plain, "id,b\r\n", csv_line)).await;
}

#[tokio::test]
async fn packed_csv_files_keep_the_contract() {
    source_contract(|| Under::new(csv(), "a.csv.gz", Pack::Gzip, "id,b\r\n", csv_line)).await;
    source_contract(|| Under::new(csv(), "a.csv.zst", Pack::Zstd, "id,b\r\n", csv_line)).await;
}

#[tokio::test]
async fn json_lines_keep_the_contract() {
    source_contract(|| Under::new(Format::JsonLines, "a.jsonl", Pack::Plain, "", json_line)).await;
}

/// Reads everything of a file of that name and shows it.
async fn show(options: FileOptions, name: &str, bytes: &[u8], fields: &[Field]) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), bytes).unwrap();
    let source = FileSource::new("s", folder.path(), options);
    match read(&source, fields).await {
        Ok(out) => out,
        Err(error) => {
            let why = error.why.map_or_else(String::new, |why| format!(" ({why})"));
            format!("{:?} {} {}{why}\n", error.class, error.code, error.what)
        }
    }
}

async fn read(source: &FileSource, fields: &[Field]) -> Result<String, EndpointError> {
    let partition = source.partitions().await?.partitions.remove(0);
    let shape = source.describe(&partition).await?;
    let names: Vec<_> = shape.columns.iter().map(|column| column.name.as_str()).collect();
    let mut out = format!("{} [{}]\n", shape.format, names.join(" "));
    let mut reader = source.open(&partition, fields, None).await?;
    while let Some(chunk) = reader.next(Limit::default()).await? {
        out += &shown(&chunk);
    }
    let end = reader.finish().await?;
    let _ = writeln!(
        out,
        "{} lines, {} skipped, {} bytes, mark {}",
        end.lines, end.skipped_lines, end.bytes, end.mark.records
    );
    Ok(out)
}

fn shown(chunk: &SourceChunk) -> String {
    let mut out = String::new();
    for (index, (row, record)) in chunk.rows.rows().zip(&chunk.records).enumerate() {
        let values: Vec<_> = row.values().map(|value| format!("{value:?}")).collect();
        out += &values.join(" ");
        if let Some(defect) = &record.defect {
            let _ = write!(out, " {} {}", defect.code, defect.message);
        }
        for repair in chunk.repairs.iter().filter(|repair| repair.record == index) {
            let _ = write!(out, " [{} {}]", repair.code, repair.message);
        }
        out += "\n";
    }
    out
}

fn fields(names: &[&str]) -> Vec<Field> {
    let field = |name: &&str| match *name {
        "*" => Field::Json,
        pointer if pointer.starts_with('/') => Field::Pointer(pointer.to_owned()),
        column => Field::Column(column.to_owned()),
    };
    names.iter().map(field).collect()
}

async fn check(options: FileOptions, name: &str, text: &str, names: &[&str], expect: &Expect) {
    expect.assert_eq(&show(options, name, text.as_bytes(), &fields(names)).await);
}

#[tokio::test]
async fn null_markers_are_compared_with_cells_as_written() {
    let text = "a,b\n,\nNA,\"NA\"\n\"\",nan\n";
    let mut options = FileOptions::new(csv(), &["*"]);
    check(
        options.clone(),
        "a.csv",
        text,
        &["a", "b", "*"],
        &expect![[r#"
        csv, delimiter ',', utf-8 [a b]
        Text("") Text("") Json("{\"a\":\"\",\"b\":\"\"}")
        Text("NA") Text("NA") Json("{\"a\":\"NA\",\"b\":\"NA\"}")
        Text("") Text("nan") Json("{\"a\":\"\",\"b\":\"nan\"}")
        4 lines, 0 skipped, 21 bytes, mark 3
    "#]],
    )
    .await;
    options.null = vec![String::new(), "NA".into()];
    options.null_of.insert("b".into(), vec!["\"NA\"".into(), "nan".into()]);
    check(
        options.clone(),
        "a.csv",
        text,
        &["a", "b", "*"],
        &expect![[r#"
        csv, delimiter ',', utf-8 [a b]
        Null Text("") Json("{\"a\":null,\"b\":\"\"}")
        Null Null Json("{\"a\":null,\"b\":null}")
        Text("") Null Json("{\"a\":\"\",\"b\":null}")
        4 lines, 0 skipped, 21 bytes, mark 3
    "#]],
    )
    .await;
    options.null = vec!["\"\"".into()];
    check(
        options,
        "a.csv",
        text,
        &["a"],
        &expect![[r#"
        csv, delimiter ',', utf-8 [a b]
        Text("")
        Text("NA")
        Null
        4 lines, 0 skipped, 21 bytes, mark 3
    "#]],
    )
    .await;
}

#[tokio::test]
async fn csv_records_are_flat_json_objects() {
    let options = FileOptions::new(csv(), &["*"]);
    check(options, "a.csv", "a,b/c,\"q\"\"\"\n1,\"x\ny\",\\\n2\n", &["/a", "/b~1c", "/a/b", "/x", "", "*"], &expect![[r#"
        csv, delimiter ',', utf-8 [a b/c q"]
        Text("1") Text("x\ny") Null Null Null Json("{\"a\":\"1\",\"b/c\":\"x\\ny\",\"q\\\"\":\"\\\\\"}")
        Null Null Null Null Null Null WB0101 1 field, the header has 3
        4 lines, 0 skipped, 24 bytes, mark 2
    "#]]).await;
}

#[tokio::test]
async fn declared_repairs_are_reported() {
    let pad = CsvOptions { ragged: csv::Ragged::Pad, ..CsvOptions::default() };
    let options = FileOptions::new(Format::Csv(pad), &["*"]);
    check(
        options,
        "a.csv",
        "a,b\n1\n1,2\n",
        &["b"],
        &expect![[r#"
        csv, delimiter ',', utf-8 [a b]
        Null [WB0121 missing fields were taken as NULL]
        Text("2")
        3 lines, 0 skipped, 10 bytes, mark 2
    "#]],
    )
    .await;
}

#[tokio::test]
async fn json_values_keep_their_kind_and_text() {
    let text = r#"[{"a": 9007199254740993, "b": 1.10, "c": "x", "d": null, "e": true, "f": {"g": [1e5]}}, {"a": -0}, 7, {"a": 1]"#;
    let options = FileOptions::new(Format::Json(None), &["*"]);
    check(options.clone(), "a.json", text, &["a", "b", "c", "d", "e", "f", "/f/g/0", "*"], &expect![[r#"
        json, utf-8 [a b c d e f]
        Int(9007199254740993) Decimal("1.10") Text("x") Null Bool(true) Json("{\"g\":[1e5]}") Decimal("1e5") Json("{\"a\": 9007199254740993, \"b\": 1.10, \"c\": \"x\", \"d\": null, \"e\": true, \"f\": {\"g\": [1e5]}}")
        Decimal("-0") Null Null Null Null Null Null Json("{\"a\": -0}")
        Null Null Null Null Null Null Null Json("7")
        Null Null Null Null Null Null Null Null WB0110 a bracket does not match; 8 bytes from here on were not read
        1 lines, 0 skipped, 110 bytes, mark 4
    "#]]).await;
    check(
        options,
        "a.json",
        "",
        &["a"],
        &expect![[r#"
        json, utf-8 []
        Null WB0108 the file is empty
        0 lines, 0 skipped, 0 bytes, mark 1
    "#]],
    )
    .await;
}

#[tokio::test]
async fn markdown_gives_keys_heading_and_body() {
    let options = FileOptions::new(Format::Markdown, &["*"]);
    let text = "---\ntitle: 2024-01-01\ntags: [a, b]\nmeta: {x: 1}\n---\n# H\nbody\n";
    let names = ["title", "tags", "/meta/x", "heading", "body", "none", "*"];
    check(options.clone(), "a.md", text, &names, &expect![[r##"
        markdown, utf-8 [title tags meta heading body]
        Text("2024-01-01") Json("[\"a\",\"b\"]") Int(1) Text("H") Text("# H\nbody\n") Null Json("{\"title\":\"2024-01-01\",\"tags\":[\"a\",\"b\"],\"meta\":{\"x\":1},\"heading\":\"H\",\"body\":\"# H\\nbody\\n\"}")
        7 lines, 0 skipped, 61 bytes, mark 1
    "##]]).await;
    check(
        options.clone(),
        "a.md",
        "---\nheading: own\n---\n# H",
        &["heading", "*"],
        &expect![[r##"
        markdown, utf-8 [heading body]
        Text("own") Json("{\"heading\":\"own\",\"body\":\"# H\"}")
        4 lines, 0 skipped, 24 bytes, mark 1
    "##]],
    )
    .await;
    check(options, "a.md", "---\na: b: c\n---\n", &names, &expect![[r#"
        markdown, utf-8 [heading body]
        Null Null Null Null Null Null Null WB0113 mapping values are not allowed in this context, on line 2
        3 lines, 0 skipped, 16 bytes, mark 1
    "#]]).await;
}

#[tokio::test]
async fn text_is_one_record_a_file() {
    let options = FileOptions::new(Format::Text, &["*"]);
    check(
        options.clone(),
        "a.txt",
        " one\r\n\r\ntwo",
        &["body", "title", "*"],
        &expect![[r#"
        text, utf-8 [body]
        Text(" one\r\n\r\ntwo") Null Json("{\"body\":\" one\\r\\n\\r\\ntwo\"}")
        3 lines, 0 skipped, 11 bytes, mark 1
    "#]],
    )
    .await;
    check(
        options,
        "a.txt",
        "",
        &["body"],
        &expect![[r#"
        text, utf-8 [body]
        Text("")
        0 lines, 0 skipped, 0 bytes, mark 1
    "#]],
    )
    .await;
}

#[tokio::test]
async fn files_that_cannot_be_read_are_errors_with_class_and_code() {
    let options = FileOptions::new(csv(), &["*"]);
    check(
        options.clone(),
        "a.csv",
        "a,a\n",
        &[],
        &expect![[r#"
        Data WB0138 name the columns: `a` stands at column 1 and at column 2: `a.csv`
    "#]],
    )
    .await;
    check(options.clone(), "a.csv.gz", "a,b\n", &[], &expect![[r#"
        Data WB0136 unpack the file at byte 0 of its text: `a.csv.gz` (the file is named as gzip but does not begin so)
    "#]]).await;
    let mut text = String::from("a,b\n");
    for n in 0..40_000u32 {
        let _ = writeln!(text, "{n},{}", n.wrapping_mul(2_654_435_761));
    }
    let mut packed = Pack::Gzip.pack(&text);
    packed.truncate(packed.len() / 2);
    let cut = show(options.clone(), "a.csv.gz", &packed, &[]).await;
    assert!(cut.starts_with("Data WB0136 unpack the file at byte "), "{cut}");
    let bounded = FileOptions { unpacked_bytes_max: 1000, ..options.clone() };
    let large = show(bounded, "a.csv.gz", &Pack::Gzip.pack(&text), &[]).await;
    assert!(large.starts_with("Data WB0137 "), "{large}");
    let nowhere = FileSource::new("s", Path::new("/nonexistent"), options);
    let error = nowhere.partitions().await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Configuration, codes::ROOT_MISSING));
}

#[tokio::test]
async fn a_file_that_vanished_or_is_replaced_while_read_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "a\n1\n2\n").unwrap();
    let source = FileSource::new("s", folder.path(), FileOptions::new(csv(), &["*.csv"]));
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    let drained = async || {
        let mut reader = source.open(&partition, &[], None).await.unwrap();
        while reader.next(Limit::default()).await.unwrap().is_some() {}
        reader
    };
    let reader = drained().await;
    fs::remove_file(&path).unwrap();
    assert_eq!(reader.finish().await.unwrap_err().class, ErrorClass::Changed);
    fs::write(&path, "a\n1\n2\n").unwrap();
    let reader = drained().await;
    fs::write(&path, "a\n1\n2\n").unwrap();
    assert!(reader.finish().await.is_ok(), "the same bytes are the same file");
    let reader = drained().await;
    fs::write(&path, "a\n9\n2\n").unwrap();
    let error = reader.finish().await.unwrap_err();
    assert_eq!((error.class, error.code), (ErrorClass::Changed, codes::CHANGED));
    fs::write(&path, "a\n1\n2\n").unwrap();
    let reader = drained().await;
    fs::write(&path, "a\n1\n2\n3\n").unwrap();
    assert!(reader.finish().await.is_ok(), "logs may grow while they are read");
}

#[tokio::test]
async fn a_torn_last_line_is_read_again_once_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    fs::write(&path, "a,b\n1,2\n3,4").unwrap();
    let source = FileSource::new("s", folder.path(), FileOptions::new(csv(), &["*.csv"]));
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    let mut reader = source.open(&partition, &[], None).await.unwrap();
    let chunk = reader.next(Limit::default()).await.unwrap().unwrap();
    assert_eq!(chunk.records.len(), 2);
    assert!(reader.next(Limit::default()).await.unwrap().is_none());
    let end = reader.finish().await.unwrap();
    assert_eq!(end.mark.records, 1);
    assert_eq!(source.compare(&partition, &end.mark).await.unwrap(), Freshness::Same);
    fs::write(&path, "a,b\n1,2\n3,45\n").unwrap();
    assert_eq!(source.compare(&partition, &end.mark).await.unwrap(), Freshness::Appended);
    let mut reader = source.open(&partition, &fields(&["b"]), Some(&end.mark)).await.unwrap();
    let tail = reader.next(Limit::default()).await.unwrap().unwrap();
    assert_eq!(tail.rows.row(0).get(0), ValueRef::Text("45"));
    assert_eq!(tail.records[0].position.record, 2);
    let error = source.open(&partition, &[], Some(&chunk.mark)).await.err().unwrap();
    let told = (error.class, error.code);
    assert_eq!(
        told,
        (ErrorClass::Changed, codes::PREFIX_CHANGED),
        "behind the mark stands half a line"
    );
}

#[tokio::test]
async fn a_file_grows_from_nothing_and_from_a_torn_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let source = FileSource::new("s", folder.path(), FileOptions::new(csv(), &["*.csv"]));
    for first in ["", "a", "a,b", "a,b\r", "a,b\r\n"] {
        fs::write(&path, first).unwrap();
        let partition = source.partitions().await.unwrap().partitions.remove(0);
        let mut reader = source.open(&partition, &[], None).await.unwrap();
        assert!(reader.next(Limit::default()).await.unwrap().is_none());
        let end = reader.finish().await.unwrap();
        fs::write(&path, "a,b\r\n1,2\r\n").unwrap();
        let compared = source.compare(&partition, &end.mark).await.unwrap();
        assert_eq!(compared, Freshness::Appended, "{first:?}");
        let mut reader = source.open(&partition, &fields(&["b"]), Some(&end.mark)).await.unwrap();
        let tail = reader.next(Limit::default()).await.unwrap().unwrap();
        assert_eq!(tail.rows.row(0).get(0), ValueRef::Text("2"), "{first:?}");
        assert_eq!(reader.finish().await.unwrap().lines, 2, "{first:?}");
        fs::write(&path, "c,d\r\n1,2\r\n").unwrap();
        let other = source.open(&partition, &[], Some(&end.mark)).await.err();
        assert_eq!(other.is_some(), !first.is_empty(), "{first:?}");
    }
}

#[tokio::test]
async fn a_document_that_grew_is_another_version() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.md");
    fs::write(&path, "one\n").unwrap();
    let source = FileSource::new("s", folder.path(), FileOptions::new(Format::Markdown, &["*.md"]));
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    let mut reader = source.open(&partition, &[], None).await.unwrap();
    while reader.next(Limit::default()).await.unwrap().is_some() {}
    let end = reader.finish().await.unwrap();
    fs::write(&path, "one\ntwo\n").unwrap();
    assert_eq!(source.compare(&partition, &end.mark).await.unwrap(), Freshness::Changed);
    fs::write(&path, "one\n").unwrap();
    assert_eq!(source.compare(&partition, &end.mark).await.unwrap(), Freshness::Same);
}

#[tokio::test]
async fn a_mark_of_another_make_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), "a\n1\n").unwrap();
    let source = FileSource::new("s", folder.path(), FileOptions::new(csv(), &["*.csv"]));
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    let mark = SourceMark { records: 1, token: b"else".to_vec() };
    let error = source.open(&partition, &[], Some(&mark)).await.err().unwrap();
    assert_eq!((error.class, error.code), (ErrorClass::Changed, codes::BAD_MARK));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn resuming_at_any_chunk_gives_the_same_rows(
        text in "([a-c]{0,3},[a-c\"]{0,4}\r?\n){0,12}[a-c,]{0,4}",
        rows in 1usize..4,
        pack in 0usize..4,
    ) {
        let pack = [Pack::Plain, Pack::Gzip, Pack::Zstd, Pack::Utf16][pack];
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.csv"), pack.pack(&format!("x,y\n{text}"))).unwrap();
        let mut options = FileOptions::new(csv(), &["*.csv"]);
        if let Pack::Utf16 = pack {
            options.encoding = Some(Encoding::Utf16Le);
        }
        let source = FileSource::new("s", folder.path(), options);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let partition = source.partitions().await.unwrap().partitions.remove(0);
            let limit = Limit { rows, bytes: 1 << 20 };
            let read = async |after: Option<&SourceMark>| {
                let mut reader = source.open(&partition, &fields(&["x", "y"]), after).await.unwrap();
                let (mut chunks, mut marks) = (Vec::new(), Vec::new());
                while let Some(chunk) = reader.next(limit).await.unwrap() {
                    let places = chunk.records.iter().map(|r| format!("{:?}", r.position));
                    chunks.push((places.collect::<Vec<_>>(), shown(&chunk), chunk.raw));
                    marks.push(chunk.mark);
                }
                (chunks, marks, reader.finish().await.unwrap())
            };
            let (all, marks, end) = read(None).await;
            for (index, mark) in marks.iter().enumerate() {
                let (rest, _, other) = read(Some(mark)).await;
                assert_eq!(rest, all[index + 1..]);
                assert_eq!((other.lines, other.skipped_lines, other.digest), (end.lines, end.skipped_lines, end.digest));
            }
        });
    }
}
