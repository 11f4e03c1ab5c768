//! How fast a table of a database is read: `read URL TABLE [ROUNDS]`.
#![allow(clippy::print_stdout)] // a program for people

use std::time::Instant;

use whimbrel_endpoint::{EndpointError, Field, Limit};
use whimbrel_sql::{Options, Read, SourceSpec, sources};

#[tokio::main]
async fn main() -> Result<(), EndpointError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(table)) = (arguments.next(), arguments.next()) else {
        println!("usage: read URL TABLE [ROUNDS]");
        return Ok(());
    };
    let rounds = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let spec =
        SourceSpec { name: "old".to_owned(), url, read: Read::Table(table), key: Vec::new() };
    for _ in 0..rounds {
        let begun = Instant::now();
        let source = sources(vec![spec.clone()], Options::default())?.remove(0);
        let partition = source.partitions().await?.partitions.remove(0);
        let shape = source.describe(&partition).await?;
        let fields: Vec<Field> =
            shape.columns.into_iter().map(|column| Field::Column(column.name)).collect();
        let mut reader = source.open(&partition, &fields, None).await?;
        let mut rows = 0;
        while let Some(chunk) = reader.next(Limit { rows: 1_000, bytes: 1 << 20 }).await? {
            rows += chunk.records.len();
        }
        let end = reader.finish().await?;
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "{rows} rows, {} MB of records, {seconds:.2} s: {:.0} rows/s",
            end.bytes >> 20,
            rows as f64 / seconds
        );
    }
    Ok(())
}
