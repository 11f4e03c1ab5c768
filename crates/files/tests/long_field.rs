//! A hundred megabytes in one field: rejected, or loaded where the plan allows it, with memory for
//! the longest record that is allowed and not for the field. Alone in its process, whose peak it
//! looks at.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests are no test functions to clippy

use std::io::Write as _;
use std::path::Path;

use flate2::write::GzEncoder;
use whimbrel_endpoint::{Limit, Source};
use whimbrel_files::csv::{CsvOptions, RECORD_MAX_DEFAULT};
use whimbrel_files::{FileOptions, FileSource, Format, codes};
use whimbrel_model::{Field, ValueRef};

const FIELD: usize = 100 << 20;

#[tokio::test]
async fn a_hundred_megabytes_in_one_field_take_the_memory_that_max_record_size_allows() {
    let folder = tempfile::tempdir().unwrap();
    let csv = || Format::Csv(CsvOptions::default());
    let cases = [
        ("a.csv.gz", csv(), "a,b\n", ",2\n3,4\n"),
        ("quoted.csv.gz", csv(), "a,b\n\"", "\",2\n3,4\n"),
        ("a.jsonl.gz", Format::JsonLines, "{\"a\": \"", "\"}\n{\"a\": \"3\"}\n"),
        ("a.json.gz", Format::Json(None), "[{\"a\": \"", "\"}, {\"a\": \"3\"}]"),
        ("a.md.gz", Format::Markdown, "---\na: ", "\n---\n"),
        ("a.txt.gz", Format::Text, "", ""),
    ];
    for (name, _, front, back) in &cases {
        write(&folder.path().join(name), front, back);
    }
    let before = status("VmRSS");
    // Rising, since the peak only rises.
    for max in [1 << 20, RECORD_MAX_DEFAULT, 200 << 20] {
        for (name, format, ..) in &cases {
            let source = source(folder.path(), name, format.clone(), max);
            let seen = read(&source).await;
            let records = if name.contains("csv") || name.contains("json") { 2 } else { 1 };
            if max < FIELD {
                // The record after it is read as ever.
                let short = if records == 2 { vec![1] } else { vec![] };
                assert_eq!(seen, (vec![codes::RECORD_TOO_LONG], short), "{name}, {max}");
            } else {
                let mut lengths = vec![FIELD, 1];
                lengths.truncate(records);
                assert_eq!(seen, (vec![], lengths), "{name}, {max}");
            }
            // The window that grows by doubling, the record's bytes, its values.
            let (allowed, rise) = (5 * max.min(FIELD) + (16 << 20), status("VmHWM") - before);
            assert!(rise <= allowed, "{name}: {rise} bytes of memory for records of {max}");
        }
    }
}

fn source(root: &Path, name: &str, format: Format, max: usize) -> FileSource {
    let mut options = FileOptions::new(format, &[name]);
    options.record_bytes_max = max;
    if let Format::Csv(csv) = &mut options.format {
        csv.record_bytes_max = max;
    }
    FileSource::new("s", root, options)
}

fn write(path: &Path, front: &str, back: &str) {
    let file = std::fs::File::create(path).unwrap();
    let mut packed = GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(front.as_bytes()).unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..FIELD / block.len() {
        packed.write_all(&block).unwrap();
    }
    packed.write_all(back.as_bytes()).unwrap();
    packed.finish().unwrap();
}

/// Codes of the defects, and how long the texts of the others are.
async fn read(source: &FileSource) -> (Vec<&'static str>, Vec<usize>) {
    let partition = source.partitions().await.unwrap().partitions.remove(0);
    let fields = ["a", "body"].map(|name| Field::Column(name.to_owned()));
    let mut reader = source.open(&partition, &fields, None).await.unwrap();
    let (mut defects, mut lengths) = (Vec::new(), Vec::new());
    while let Some(chunk) = reader.next(Limit::default()).await.unwrap() {
        for (row, record) in chunk.rows.rows().zip(&chunk.records) {
            match &record.defect {
                Some(defect) => defects.push(defect.code),
                None => lengths.push(row.values().map(length).sum()),
            }
        }
    }
    (defects, lengths)
}

fn length(value: ValueRef<'_>) -> usize {
    if let ValueRef::Text(text) = value { text.len() } else { 0 }
}

/// Bytes, from what the kernel says of this process.
fn status(key: &str) -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<usize>().unwrap() << 10
}
