//! How fast rows reach a SQLite database: `cargo run --release -p whimbrel-sql --example load -- FILE [ROWS] [BATCH]`.
//!
//! Writes ROWS rows (1,000,000) of 12 typed columns in chunks of 1,000 and transactions of BATCH
//! rows (100,000), and prints the seconds that writing, committing and finishing took.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use whimbrel_endpoint::{EndpointError, Holder, LeaseAnswer, LeaseRequest, RowFate, WriteMode};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::{Chunk, ChunkBuilder, Column, DateTime, Kind, Table, ValueRef};

const CHUNK: usize = 1_000;

fn table(key: &str) -> Table {
    let column = |(name, kind): (&str, Kind)| Column {
        name: name.to_owned(),
        kind,
        nullable: name != "id",
        has_default: false,
    };
    let columns = [
        ("id", Kind::Int(IntWidth::I64)),
        ("run", Kind::Text(None)),
        ("at", Kind::TimestampTz),
        ("t1", Kind::Float),
        ("t2", Kind::Float),
        ("t3", Kind::Float),
        ("power", Kind::Float),
        ("speed", Kind::Decimal(Some((10, 3)))),
        ("status", Kind::Text(None)),
        ("count", Kind::Int(IntWidth::I64)),
        ("partial", Kind::Bool),
        ("note", Kind::Text(None)),
    ];
    Table {
        name: "samples".to_owned(),
        columns: columns.into_iter().map(column).collect(),
        key: if key == "none" {
            vec![]
        } else if key == "text" {
            vec![1, 0]
        } else {
            vec![0]
        },
    }
}

fn chunk(first: usize, rows: usize) -> Chunk {
    let mut chunk = ChunkBuilder::with_capacity(12, rows, rows * 60);
    for id in first..first + rows {
        let wave = (id % 10_007) as f64 / 16.0;
        chunk.push(ValueRef::Int(id as i128));
        chunk.push_text_with(|text| text.push_str("run_20240101_120000"));
        chunk.push(ValueRef::TimestampTz(DateTime {
            days: 19_700 + (id / 864_000) as i32,
            nanos: (id % 864_000) as u64 * 100_000_000,
        }));
        chunk.push(ValueRef::Float(180.0 + wave));
        chunk.push(ValueRef::Float(190.0 + wave));
        chunk.push(ValueRef::Float(200.0 + wave));
        chunk.push(ValueRef::Float(wave * 1.25));
        chunk.push(ValueRef::Decimal("12.500"));
        chunk.push_text_with(|text| text.push_str("RUNNING"));
        chunk.push(ValueRef::Int((id % 977) as i128));
        chunk.push(ValueRef::Bool(id.is_multiple_of(7)));
        chunk.push(if id.is_multiple_of(5) {
            ValueRef::Null
        } else {
            ValueRef::Text("zone 3 warm")
        });
        chunk.end_row();
    }
    chunk.finish()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), EndpointError> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().expect("the database to write is the first argument");
    let mut number =
        |default| arguments.next().map_or(default, |text| text.parse().expect("a number of rows"));
    let (rows, batch): (usize, usize) = (number(1_000_000), number(100_000));
    let key = arguments.next().unwrap_or_default();
    let table = table(&key);

    let target =
        whimbrel_sql::open(&format!("sqlite:{file}"), whimbrel_sql::Options::default()).await?;
    target.prepare_ledger().await?;
    let holder = Holder {
        run: "bench".to_owned(),
        host: "here".to_owned(),
        boot: "now".to_owned(),
        pid: std::process::id(),
        started: 0,
    };
    let request = LeaseRequest { holder, ttl: Duration::from_mins(10), renew: None, dead: None };
    let LeaseAnswer::Granted(fence) = target.lease(&request).await? else {
        panic!("the database is held by another run");
    };
    target.enter_load().await?;
    let mut txn = target.begin(fence).await?;
    txn.create_table(&table).await?;
    txn.commit().await?;

    let begun = Instant::now();
    let (mut writing, mut committing, mut made) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for first in (0..rows).step_by(batch) {
        let mut txn = target.begin(fence).await?;
        for at in (first..rows.min(first + batch)).step_by(CHUNK) {
            let start = Instant::now();
            let chunk = Arc::new(chunk(at, CHUNK.min(rows - at)));
            made += start.elapsed();
            let start = Instant::now();
            let fates = txn.write(&table, chunk, WriteMode::Insert).await?;
            writing += start.elapsed();
            assert!(fates.iter().all(|fate| *fate == RowFate::Inserted));
        }
        let start = Instant::now();
        txn.commit().await?;
        committing += start.elapsed();
    }
    let start = Instant::now();
    target.leave_load().await?;
    let leaving = start.elapsed();
    target.release(fence).await?;
    println!(
        "{rows} rows: made {made:.2?}, written {writing:.2?}, committed {committing:.2?}, \
         finished {leaving:.2?}, together {:.2?}",
        begun.elapsed()
    );
    Ok(())
}
