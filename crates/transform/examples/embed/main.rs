//! Two crates in a program of one's own: dirty CSV in, rows out, and every record that is no row
//! with its place and its reason.
//!
//! ```text
//! plan (text) ─▶ files: chunks of records, with positions ─▶ transform: rows, rejects, notes
//! ```
//! `cargo run -p whimbrel-transform --example embed`

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use whimbrel_files::endpoint::Limit;
use whimbrel_transform::model::{SourceChunk, plan};
use whimbrel_transform::{
    Environment, Lookups, Out, Output, PartitionFacts, SourceShape, Step, UnitFate, UnitKind,
    excerpt,
};

/// What a plan says of a source and a table. Its target is named, but never opened.
const PLAN: &str = r#"
name   = "embedded"
target = "none"

[source.orders]
csv  = "*.csv"
null = ["NA"]

[[table]]
into = "orders"
from = "orders"
key  = ["id"]
[table.columns]
id       = "order"
customer = { from = "customer", lower = true }
placed   = { from = "placed", timestamp = "%d.%m.%Y %H:%M", timezone = "Europe/Berlin", type = "timestamptz" }
total    = { from = "total", type = "decimal(10,2)" }
note     = "note"
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/embed");
    whimbrel_files::block_on(run(&folder, &mut io::stdout().lock()))
}

/// Maps the orders in a folder and prints what comes of each record.
async fn run(folder: &Path, to: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let plan = plan::decode(PLAN, &|_| None, &|_| Err(io::ErrorKind::NotFound.into()))
        .map_err(|errors| errors[0].render("plan", PLAN))?;
    let source = whimbrel_files::open(&plan.sources[0], folder)?;
    let files = source.partitions().await?.partitions;
    let mut headers = SourceShape { source: "orders".to_owned(), shapes: Vec::new() };
    for file in &files {
        headers.shapes.push(source.describe(file).await?);
    }
    let environment = Environment { sources: vec![headers], ..Environment::default() };
    let step = Step::compile(&plan, &plan.tables[0], &environment)
        .map_err(|errors| errors[0].render("plan", PLAN))?;
    for file in &files {
        let facts = PartitionFacts::new(file.id.clone(), file.facts.clone(), 1);
        let mut state = step.start(0, &facts, None)?;
        let mut reader = source.open(file, step.fields(0), None).await?;
        while let Some(chunk) = reader.next(Limit::default()).await? {
            let mut out = Out::new(&step);
            step.apply(&mut state, &chunk, &Lookups::default(), &mut out);
            show(&file.id.path, &chunk, &out.finish(), to)?;
        }
        reader.finish().await?;
    }
    Ok(())
}

fn show(path: &str, chunk: &SourceChunk, out: &Output, to: &mut impl Write) -> io::Result<()> {
    for row in out.rows.rows() {
        let values: Vec<String> = row.values().map(excerpt).collect();
        writeln!(to, "row     {}", values.join(" | "))?;
    }
    for unit in &out.units {
        if let (UnitKind::Record(index), UnitFate::Rejected(reason)) = (unit.what, &unit.fate) {
            let at = chunk.records[index].position;
            writeln!(to, "reject  {path}:{} byte {}: {reason}", at.line, at.byte)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_orders_are_rows_and_the_others_rejects_with_their_lines() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/embed");
        let mut shown = Vec::new();
        whimbrel_files::block_on(run(&folder, &mut shown)).expect("the orders can be read");
        expect_test::expect![[r#"
            row     00601 | ada | 1999-12-31T22:59:00Z | 12.50 | first\nof many
            row     603 | alan | 2000-01-02T09:00:00Z | 10 | NULL
            reject  orders.csv:4 byte 82: WB0234 column `total` field `total`: decimal(10,2) cannot hold it: `1.234`
            reject  orders.csv:6 byte 150: WB0102: 6 fields, the header has 5
            reject  orders.csv:7 byte 194: WB0236 column `placed` field `placed`: not a date or time in the expected form: `30.02.2000 12:00`
            reject  orders.csv:8 byte 229: WB0232 column `total` field `total`: not a decimal number as it stands: `abc`
            reject  orders.csv:9 byte 264: WB0104: the quote opened on line 9 is never closed
        "#]].assert_eq(&String::from_utf8(shown).expect("text"));
    }
}
