//! Measures the CSV reader against `csv-core` on generated telemetry: 1 M records of 12 fields.
//!
//! `cargo run --release -p whimbrel-files --example csv_speed [RECORDS [READER]]`
#![allow(clippy::print_stdout)] // its purpose is to print

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use whimbrel_endpoint::{Limit, Source as _};
use whimbrel_files::csv::{CsvOptions, CsvReader};
use whimbrel_files::{FileOptions, FileSource, Format, Input};
use whimbrel_model::{Field, ValueRef};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let records = std::env::args().nth(1).map_or(Ok(1_000_000), |text| text.parse())?;
    let folder = std::env::temp_dir().join("whimbrel-csv-speed");
    std::fs::create_dir_all(&folder)?;
    for quoted in [false, true] {
        let path = folder.join(format!("{records}-{quoted}.csv"));
        if !path.exists() {
            generate(&path, records, quoted)?;
        }
        let bytes = std::fs::metadata(&path)?.len();
        println!("{}: {bytes} bytes, quoted text: {quoted}", path.display());
        let only = std::env::args().nth(2).unwrap_or_default();
        for (name, read) in READERS.iter().filter(|(name, _)| name.contains(&only)) {
            let best = (0..5).map(|_| timed(*read, &path)).collect::<Result<Vec<_>, _>>()?;
            let (time, sum) = best.into_iter().min().ok_or("no run")?;
            let rate = bytes as f64 / time.as_secs_f64() / 1e6;
            let per_record = time.as_nanos() as f64 / records as f64;
            println!("  {name:<28} {rate:>6.0} MB/s  {per_record:>5.0} ns a record  (sum {sum})");
        }
    }
    Ok(())
}

type Read = fn(&Path) -> Result<u64, Box<dyn std::error::Error>>;

const READERS: &[(&str, Read)] = &[
    ("whimbrel, fields", whimbrel),
    ("whimbrel, fields and digest", whimbrel_digest),
    ("whimbrel, chunks of a source", whimbrel_source),
    ("csv-core, fields", csv_core),
];

fn timed(read: Read, path: &Path) -> Result<(Duration, u64), Box<dyn std::error::Error>> {
    let start = Instant::now();
    let sum = read(path)?;
    Ok((start.elapsed(), sum))
}

/// About 165 bytes and 12 fields a record.
fn generate(path: &Path, records: u64, quoted: bool) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(File::create(path)?);
    let quote = if quoted { "\"" } else { "" };
    out.write_all(b"id,time,status,t1,t2,t3,motor,target,power,rpm,note,total\r\n")?;
    let mut line = String::new();
    for n in 0..records {
        let x = n.wrapping_mul(6_364_136_223_846_793_005) >> 20;
        line.clear();
        let _ = writeln!(
            line,
            "{n:012},2024-05-17T{:02}:{:02}:{:02}.{:03},{quote}RUNNING_STEADY{quote},{}.{:04},{}.{:04},{}.{:04},{}.{:03},{}.50000,{}.125000,{}.000,{quote}operator {} note{quote},{x:015}\r",
            n / 3600 % 24,
            n / 60 % 60,
            n % 60,
            x % 1000,
            180 + x % 50,
            x % 10_000,
            190 + x % 40,
            x % 9_999,
            200 + x % 30,
            x % 9_998,
            30 + x % 20,
            x % 997,
            210 + x % 5,
            x % 100,
            100 + x % 20,
            x % 100_000,
        );
        out.write_all(line.as_bytes())?;
    }
    out.flush()
}

fn whimbrel(path: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let input = Input::new(Box::new(File::open(path)?), None)?;
    let mut reader = CsvReader::new(input, CsvOptions::default())?;
    let mut sum = 0;
    while let Some(record) = reader.next()? {
        for field in record.fields() {
            sum += field.text.len() as u64;
        }
    }
    Ok(sum)
}

fn whimbrel_digest(path: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let input = Input::new(Box::new(File::open(path)?), None)?;
    let mut reader = CsvReader::new(input, CsvOptions::default())?;
    let mut sum = 0;
    loop {
        for _ in 0..1000 {
            let Some(record) = reader.next()? else { return Ok(sum) };
            sum += record.fields().map(|field| field.text.len() as u64).sum::<u64>();
        }
        std::hint::black_box(reader.digest());
    }
}

/// As a run reads: places, original bytes and all fields in chunks of 1,000 rows.
fn whimbrel_source(path: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("a name")?;
    let folder = path.parent().ok_or("a folder")?;
    let format = Format::Csv(CsvOptions::default());
    let source = FileSource::new("speed", folder, FileOptions::new(format, &[name]));
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let partition = source.partitions().await?.partitions.remove(0);
        let columns = source.describe(&partition).await?.columns;
        let fields: Vec<_> = columns.into_iter().map(|c| Field::Column(c.name)).collect();
        let mut reader = source.open(&partition, &fields, None).await?;
        let mut sum = 0;
        while let Some(chunk) = reader.next(Limit::default()).await? {
            for row in chunk.rows.rows() {
                for value in row.values() {
                    if let ValueRef::Text(text) = value {
                        sum += text.len() as u64;
                    }
                }
            }
        }
        reader.finish().await?;
        Ok(sum)
    })
}

fn csv_core(path: &Path) -> Result<u64, Box<dyn std::error::Error>> {
    let mut input = BufReader::with_capacity(256 << 10, File::open(path)?);
    let mut parser = csv_core::Reader::new();
    let (mut out, mut ends) = (vec![0; 64 << 10], vec![0; 64]);
    let (mut out_at, mut ends_at) = (0, 0);
    let (mut sum, mut header) = (0, true);
    loop {
        let block = input.fill_buf()?;
        let (result, read, written, ended) =
            parser.read_record(block, &mut out[out_at..], &mut ends[ends_at..]);
        input.consume(read);
        out_at += written;
        ends_at += ended;
        match result {
            csv_core::ReadRecordResult::Record => {
                let mut from = 0;
                for end in &ends[..ends_at] {
                    if !header {
                        sum += std::str::from_utf8(&out[from..*end])?.len() as u64;
                    }
                    from = *end;
                }
                (out_at, ends_at, header) = (0, 0, false);
            }
            csv_core::ReadRecordResult::InputEmpty => {}
            csv_core::ReadRecordResult::End => return Ok(sum),
            other @ (csv_core::ReadRecordResult::OutputFull
            | csv_core::ReadRecordResult::OutputEndsFull) => {
                return Err(format!("a record is too large: {other:?}").into());
            }
        }
    }
}
