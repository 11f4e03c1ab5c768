//! How fast rows reach a server: `cargo run --release -p whimbrel-sql --example load_server -- URL [ROWS] [CHUNK] [BATCH] [BAD]`.
//!
//! Writes ROWS rows (1,000,000) of 12 typed columns in chunks of CHUNK (1,000) and transactions of
//! BATCH rows (100,000) into the table `samples`, which is made anew, and prints the seconds that
//! writing and committing took. With BAD, every BAD-th row repeats a key.

#![allow(clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use whimbrel_endpoint::{EndpointError, Holder, LeaseAnswer, LeaseRequest, SchemaFile, WriteMode};
use whimbrel_model::{Chunk, ChunkBuilder, DateTime, ValueRef};

const TABLE: &str = "DROP TABLE IF EXISTS samples; CREATE TABLE samples ( \
    id bigint PRIMARY KEY, run text NOT NULL, at timestamptz, t1 float8, t2 float8, t3 float8, \
    power float8, speed numeric(10,3), status text, count bigint, partial boolean, note text)";

fn chunk(first: usize, rows: usize, bad: usize) -> Chunk {
    let mut chunk = ChunkBuilder::with_capacity(12, rows, rows * 60);
    for id in first..first + rows {
        let wave = (id % 10_007) as f64 / 16.0;
        let repeats = bad > 0 && id > 0 && id.is_multiple_of(bad);
        chunk.push(ValueRef::Int(if repeats { 0 } else { id as i128 }));
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
    let url = arguments.next().expect("the URL of a database is the first argument");
    let mut number =
        |default| arguments.next().map_or(default, |text| text.parse().expect("a number of rows"));
    let (rows, size, batch): (usize, usize, usize) =
        (number(1_000_000), number(1_000), number(100_000));
    let bad = number(0);

    let target = whimbrel_sql::open(&url, whimbrel_sql::Options::default()).await?;
    target.prepare_ledger().await?;
    let holder = Holder {
        run: "bench".to_owned(),
        host: "here".to_owned(),
        boot: "now".to_owned(),
        pid: std::process::id(),
        started: 0,
    };
    let request = LeaseRequest {
        holder: holder.clone(),
        ttl: Duration::from_mins(10),
        renew: None,
        dead: None,
    };
    let fence = match target.lease(&request).await? {
        LeaseAnswer::Granted(fence) => fence,
        LeaseAnswer::Held { by, .. } => {
            let dead = LeaseRequest { dead: Some(by), ..request };
            let LeaseAnswer::Granted(fence) = target.lease(&dead).await? else {
                panic!("the database is held by another run");
            };
            fence
        }
    };
    let mut txn = target.begin(fence).await?;
    let schema = SchemaFile { name: "samples.sql".to_owned(), sql: TABLE.to_owned() };
    txn.apply_schema(&schema).await?;
    txn.commit().await?;
    let table = target.describe("samples").await?.expect("it was just created");
    target.enter_load().await?;

    let begun = Instant::now();
    let (mut writing, mut committing, mut made) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut inserted = 0;
    for first in (0..rows).step_by(batch) {
        let mut txn = target.begin(fence).await?;
        let end = rows.min(first + batch);
        for at in (first..end).step_by(size) {
            let start = Instant::now();
            let chunk = Arc::new(chunk(at, size.min(end - at), bad));
            made += start.elapsed();
            let start = Instant::now();
            let fates = txn.write(&table, chunk, WriteMode::Insert).await?;
            writing += start.elapsed();
            let is_in = |fate: &&whimbrel_endpoint::RowFate| {
                matches!(fate, whimbrel_endpoint::RowFate::Inserted)
            };
            inserted += fates.iter().filter(is_in).count();
        }
        let start = Instant::now();
        txn.commit().await?;
        committing += start.elapsed();
    }
    target.leave_load().await?;
    target.release(fence).await?;
    println!(
        "{inserted} of {rows} rows in chunks of {size}: made {made:.2?}, written {writing:.2?}, \
         committed {committing:.2?}, together {:.2?}",
        begun.elapsed()
    );
    Ok(())
}
