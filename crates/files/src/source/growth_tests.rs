//! Files that break off at any byte and are completed later: what is read behind the mark at their
//! end is what reading the whole file anew gives there.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;
use whimbrel_endpoint::{Freshness, Limit, Source};
use whimbrel_model::{Field, SourceMark};

use super::{CsvOptions, FileOptions, FileSource, Format};
use crate::codes;
use crate::encoding::{Encoding, encode};

/// How the text becomes bytes; with a byte order mark in front, or declared in the plan.
const WRITTEN: [(Encoding, bool); 7] = [
    (Encoding::Utf8, false),
    (Encoding::Utf8, true),
    (Encoding::Utf16Le, false),
    (Encoding::Utf16Le, true),
    (Encoding::Utf16Be, false),
    (Encoding::Utf16Be, true),
    (Encoding::Latin1, false),
];

struct Growing {
    folder: TempDir,
    source: FileSource,
    whole: Vec<u8>,
}

/// Everything a reader shows: each record, the mark at the end, lines and skipped lines.
struct Shown {
    records: Vec<String>,
    mark: SourceMark,
    lines: (u64, u64),
}

impl Growing {
    /// `None` where the text cannot be written so.
    fn new(
        mut options: FileOptions,
        text: &str,
        (encoding, marked): (Encoding, bool),
    ) -> Option<Self> {
        let text = if marked { format!("\u{FEFF}{text}") } else { text.to_owned() };
        let whole = encode(&text, encoding)?;
        options.encoding = (!marked).then_some(encoding);
        let folder = tempfile::tempdir().unwrap();
        let source = FileSource::new("s", folder.path(), options);
        Some(Self { folder, source, whole })
    }

    fn write(&self, length: usize) {
        // A file of its own each time: the same stamp would be the same file.
        let (new, path) = (self.folder.path().join("new"), self.folder.path().join("file"));
        fs::write(&new, &self.whole[..length]).unwrap();
        fs::rename(new, path).unwrap();
    }

    async fn read(&self, after: Option<&SourceMark>, rows: usize) -> Shown {
        let partition = self.source.partitions().await.unwrap().partitions.remove(0);
        let fields = ["a", "b"].map(|name| Field::Column(name.to_owned()));
        let opened = self.source.open(&partition, &fields, after).await;
        let mut reader = opened.unwrap_or_else(|error| panic!("{error:?} after {after:?}"));
        let mut records = Vec::new();
        while let Some(chunk) = reader.next(Limit { rows, bytes: usize::MAX }).await.unwrap() {
            for (index, record) in chunk.records.iter().enumerate() {
                let row: Vec<_> =
                    chunk.rows.row(index).values().map(|v| format!("{v:?}")).collect();
                let code = record.defect.as_ref().map(|defect| defect.code);
                let repairs = chunk.repairs.iter().filter(|repair| repair.record == index);
                let repairs: Vec<_> = repairs.map(|repair| repair.code).collect();
                let raw = chunk.bytes(index);
                records.push(format!("{:?} {row:?} {code:?} {repairs:?} {raw:?}", record.position));
            }
        }
        let end = reader.finish().await.unwrap();
        Shown { records, mark: end.mark, lines: (end.lines, end.skipped_lines) }
    }

    /// Breaks off after `cut` bytes; then everything is there.
    async fn check(&self, cut: usize, whole: &Shown) {
        self.write(cut);
        let head = self.read(None, 1).await;
        self.write(self.whole.len());
        let partition = self.source.partitions().await.unwrap().partitions.remove(0);
        let freshness = self.source.compare(&partition, &head.mark).await.unwrap();
        let what = format!("{cut} of {:?}", String::from_utf8_lossy(&self.whole));
        assert_eq!(freshness, Freshness::Appended, "{what}");
        let rest = self.read(Some(&head.mark), 2).await;
        let known = head.mark.records as usize;
        assert!(known <= whole.records.len(), "{what}: {:?}", head.records);
        assert_eq!(head.records[..known], whole.records[..known], "{what}");
        assert_eq!(rest.records, whole.records[known..], "{what}");
        assert_eq!((rest.lines, rest.mark.records), (whole.lines, whole.mark.records), "{what}");
    }
}

fn csv(change: impl FnOnce(&mut CsvOptions)) -> FileOptions {
    let mut csv = CsvOptions { record_bytes_max: 24, ..CsvOptions::default() };
    change(&mut csv);
    FileOptions::new(Format::Csv(csv), &["file"])
}

fn json_lines() -> FileOptions {
    FileOptions { record_bytes_max: 24, ..FileOptions::new(Format::JsonLines, &["file"]) }
}

/// At every byte of every text, in every encoding.
async fn check_all(options: &FileOptions, texts: &[&str]) {
    for text in texts {
        for written in WRITTEN {
            let Some(file) = Growing::new(options.clone(), text, written) else { continue };
            file.write(file.whole.len());
            let whole = file.read(None, 3).await;
            for cut in 0..file.whole.len() {
                file.check(cut, &whole).await;
            }
        }
    }
}

#[tokio::test]
async fn wherever_csv_breaks_off_it_is_read_on_as_if_it_had_not() {
    let texts = [
        "a,b\n1,\"a \"\"q",
        "a,b\n1,\"a \"\"q\"\"\"\n2,\u{e9}\n",
        "a,b\r\n1,\"x\r\ny\"\r\n\r\n\"2\"\"\n\",\"\"\r\n3,4",
        "a,b\r1,2\r\r3,\"\r\"\r",
        "\"a\",\"b\"\n1,2\n\n\n",
        "a,b\n1,2\n3,\"x\"y\n4,5\n6,\"x\ny\"z\n7,8\n",
        "a,b\n1,\"never\n2,closed\n3,4\n",
        "a,b\n1,23456789012345678901234567890\n2,\"34567890123\n456789\n012345\"\n3,4\n",
        "a,b\n1,\u{1F426}\n\u{1F426},\"\u{1F426}\"\n",
        "a,b\n1\n2,3,4\n5,6\n",
        "a,\u{e9}\n1,2\n",
    ];
    check_all(&csv(|_| ()), &texts).await;
    check_all(&csv(|options| options.ragged = super::csv::Ragged::Pad), &texts[9..10]).await;
}

#[tokio::test]
async fn wherever_csv_of_other_dialects_breaks_off_it_is_read_on_as_if_it_had_not() {
    let comments = ["# first\na,b\n# c, \"\n1,2\n# d\r\n3,4\n# e", "a,b\n1,#2\n#\n"];
    check_all(&csv(|options| options.comment = Some(b'#')), &comments).await;
    let escaped = ["a,b\n1,\"x\\\"y\\\\\"\n2,\"\\", "a,b\n1,\"x\\\ny\"\n"];
    check_all(&csv(|options| options.escape = Some(b'\\')), &escaped).await;
    let narrow = ["a\n1\n\n2\r\n\r\n\"3\"\r\n", "a\r\n\r\n\r\n"];
    check_all(&csv(|_| ()), &narrow).await;
    // The last one begins with a record as long as one may be.
    let headless = [
        "1,\"2\n\"\n3,4\n",
        "\u{e9},1\r\n2,3\r\n",
        ",\u{1F426}a\u{e9}\\\"\u{e9},\\\\\u{1F426}\"\u{1F426}\r3,4\n",
    ];
    check_all(&csv(|options| options.header = false), &headless).await;
    let before = ["one\r\ntwo\na,b\n1,2\n"];
    check_all(&csv(|options| options.skip_lines = 2), &before).await;
}

#[tokio::test]
async fn wherever_json_lines_break_off_they_are_read_on_as_if_they_had_not() {
    let texts = [
        "{\"a\":1}\r\n\r\n{\"a\":\"\u{e9}\"}\n \n{\"b\":2}",
        "{\"a\":1}\n{\"a\":\"12345678901234567890\"}\nx\n\n\n",
        "{\"a\":\"\u{1F426}\"}\n1\n\n",
    ];
    check_all(&json_lines(), &texts).await;
}

proptest! {
    #[test]
    fn whatever_a_file_holds_it_is_read_on_where_it_broke_off(
        text in "[ab,,\"\"\n\n\r\\\\#\u{e9}\u{1F426}]{0,40}",
        dialect in 0usize..4,
        which in 0usize..7,
        cut in any::<prop::sample::Index>(),
    ) {
        let options = match dialect {
            0 => csv(|options| options.names = vec!["a".into(), "b".into()]),
            1 => csv(|options| {
                (options.escape, options.comment) = (Some(b'\\'), Some(b'#'));
            }),
            2 => csv(|options| options.header = false),
            _ => json_lines(),
        };
        let text = if dialect == 2 { text } else { format!("a,b\n{text}") };
        if let Some(file) = Growing::new(options, &text, WRITTEN[which])
            && !file.whole.is_empty()
        {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                file.write(file.whole.len());
                let partition = file.source.partitions().await.unwrap().partitions.remove(0);
                if file.source.open(&partition, &[], None).await.is_ok() {
                    let whole = file.read(None, 3).await;
                    file.check(cut.index(file.whole.len()), &whole).await;
                }
            });
        }
    }
}

#[tokio::test]
async fn a_header_that_is_torn_is_no_header_yet() {
    for (text, options) in [
        ("\"a\",\"b\"\n1,2\n", csv(|_| ())),
        ("aa,aab\n1,2\n", csv(|_| ())),
        ("\u{e9},\u{1F426}\n1,2\n", csv(|_| ())),
        ("a,b\n1,2\n", csv(|options| options.names = vec!["x".into(), "y".into()])),
    ] {
        let header = text.find('\n').unwrap();
        for written in WRITTEN {
            let Some(file) = Growing::new(options.clone(), text, written) else { continue };
            let front = if written.1 {
                format!("\u{FEFF}{}", &text[..header])
            } else {
                text[..header].to_owned()
            };
            for cut in 0..encode(&front, written.0).unwrap().len() {
                file.write(cut);
                let shown = file.read(None, 1).await;
                assert_eq!((shown.records.len(), shown.lines.1), (0, 0), "{text:?} {cut}");
            }
        }
    }
}

#[tokio::test]
async fn only_a_last_record_without_line_end_is_noted_as_such() {
    let notes = async |text: &str| {
        let file = Growing::new(csv(|_| ()), text, (Encoding::Utf8, false)).unwrap();
        file.write(file.whole.len());
        let shown = file.read(None, 2).await.records;
        let noted = |record: &&String| record.contains(codes::UNTERMINATED);
        (shown.iter().filter(noted).count(), shown.last().is_some_and(|last| noted(&last)))
    };
    for text in ["a,b\n1,2\n3,4", "a,b\r\n1,2", "a,b\n1,\"2\""] {
        assert_eq!(notes(text).await, (1, true), "{text:?}");
    }
    for text in ["a,b\n1,2\n", "a,b\n1,2\r", "a,b", "a,b\n1,2\n3", "a,b\n1,\"2", ""] {
        assert_eq!(notes(text).await, (0, false), "{text:?}");
    }
}
