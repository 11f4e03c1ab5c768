//! Nanoseconds that a row costs: 12 columns with a timestamp rule, a rename, a null marker and one
//! CEL expression; and the parts of it, each alone.
//!
//! `cargo bench -p whimbrel-transform --bench rows`

#![allow(clippy::print_stdout, missing_docs)]

use std::sync::Arc;
use std::time::Instant;

use whimbrel_model::plan;
use whimbrel_model::{
    ChunkBuilder, Column, Field, FileFacts, Kind, PartitionId, Position, Record, Shape,
    ShapeColumn, SourceChunk, SourceMark, Table, ValueRef,
};
use whimbrel_transform::{Environment, Limits, Lookups, Out, PartitionFacts, SourceShape, Step};

const NAMES: [&str; 12] =
    ["ts", "id", "status", "t1", "t2", "t3", "p1", "p2", "rpm", "count", "name", "note"];
const KINDS: [&str; 12] = [
    "timestamptz",
    "integer",
    "text",
    "double",
    "double",
    "double",
    "double",
    "double",
    "double",
    "integer",
    "text",
    "text",
];
const RECORDS: usize = 1_000;
const ROUNDS: usize = 300;

fn main() {
    let plain = fields(&NAMES[1..]);
    let stamp =
        "ts = { from = \"ts\", timestamp = \"%Y-%m-%d %H:%M:%S%.f\", timezone = \"UTC\" }\n";
    let full = format!(
        "{stamp}{}",
        plain
            .replace(
                "name = \"name\"\n",
                "name = { cel = \"status.endsWith('_PARTIAL') ? 'p' : 'w'\" }\n"
            )
            .replace("note = \"note\"", "note = { from = \"note\", null = [\"NA\"] }")
    );
    report("12 columns, timestamp, null marker, CEL", &full);
    report(
        "the same without CEL",
        &format!(
            "{stamp}{}",
            plain.replace("note = \"note\"", "note = { from = \"note\", null = [\"NA\"] }")
        ),
    );
    report(
        "the same in Europe/Berlin",
        &format!("{}{plain}", stamp.replace("UTC", "Europe/Berlin")),
    );
    report("11 plain columns", &format!("{plain}ts = {{ value = \"2024-01-01T00:00:00Z\" }}"));
    report("8 doubles and integers", &fields(&NAMES[3..10]));
    report(
        "a uuid5 of two parts",
        "id = { uuid5 = [{ fact = \"file.name\" }, { fact = \"record.line\" }] }",
    );
    report("one CEL expression", "name = { cel = \"status.endsWith('_PARTIAL') ? 'p' : 'w'\" }");
    report("one timestamp", stamp);
    report(
        "a clock with start",
        "ts = { from = \"clock\", timestamp = [\"unix\", \"%H:%M:%S%.f\"], start = { value = \"2024-01-01T00:00:00Z\" } }",
    );
}

/// Columns that are the field of their name.
fn fields(names: &[&str]) -> String {
    names.iter().fold(String::new(), |all, name| all + name + " = \"" + name + "\"\n")
}

fn report(what: &str, columns: &str) {
    let text = format!(
        "name = \"b\"\ntarget = \"sqlite:b.db\"\ntimezone = \"Europe/Berlin\"\n[source.s]\ncsv = \"*.csv\"\n\
         ignore = [\"ts\", \"id\", \"status\", \"t1\", \"t2\", \"t3\", \"p1\", \"p2\", \"rpm\", \"count\", \"name\", \"note\", \"clock\"]\n\
         [[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"k\"]\n[table.columns]\nk = {{ fact = \"record.number\" }}\n{columns}"
    );
    let plan = plan::decode(&text, &|_| None, &|_| Err(std::io::Error::other("no files")))
        .expect("a sound plan");
    let names = NAMES.iter().chain(["clock"].iter());
    let shape = Shape {
        columns: names.map(|name| ShapeColumn { name: (*name).to_owned(), kind: None }).collect(),
        closed: true,
        format: String::new(),
    };
    let mapping = &plan.tables[0];
    let kind = |name: &str| {
        NAMES.iter().position(|known| *known == name).map_or("integer", |index| KINDS[index])
    };
    let column = |name: &str| Column {
        name: name.to_owned(),
        kind: if name == "id" && columns.contains("uuid5") {
            Kind::Uuid
        } else {
            Kind::parse(kind(name)).expect("a kind")
        },
        nullable: true,
        has_default: false,
    };
    let table = Table {
        name: "t".into(),
        columns: mapping.columns.iter().map(|(name, _)| column(&name.value)).collect(),
        key: vec![0],
    };
    let environment = Environment {
        table: Some(&table),
        sources: vec![SourceShape { source: "s".into(), shapes: vec![shape] }],
        limits: Limits::of_engine("sqlite"),
        ..Environment::default()
    };
    let compile = || Step::compile(&plan, mapping, &environment).expect("a sound mapping");
    compile();
    let began = Instant::now();
    let step = compile();
    let compiling = began.elapsed().as_micros();
    let chunk = chunk(step.fields(0));
    let id = PartitionId { source: "s".into(), path: "a.csv".into() };
    let facts = PartitionFacts::new(
        id,
        Arc::new(FileFacts { name: "a.csv".into(), ..FileFacts::default() }),
        1,
    );
    let lookups = Lookups::default();
    let mut best = f64::MAX;
    for _ in 0..5 {
        let mut state = step.start(0, &facts, None).expect("a fresh state");
        let began = Instant::now();
        for _ in 0..ROUNDS {
            let mut out = Out::new(&step);
            step.apply(&mut state, &chunk, &lookups, &mut out);
            assert_eq!(out.finish().rows.len(), RECORDS, "every record is a row");
        }
        best = best.min(began.elapsed().as_nanos() as f64 / (ROUNDS * RECORDS) as f64);
    }
    println!("{best:8.0} ns/row  {what} (compiled in {compiling} µs)");
}

fn chunk(fields: &[Field]) -> SourceChunk {
    let mut rows = ChunkBuilder::new(fields.len());
    let mut records = Vec::new();
    for number in 0..RECORDS {
        for field in fields {
            let Field::Column(name) = field else { panic!("columns only") };
            rows.push(ValueRef::Text(&cell(name, number)));
        }
        rows.end_row();
        let position = Position { record: number as u64 + 1, line: number as u64 + 2, byte: 0 };
        records.push(Record { position, raw: (0, 0), defect: None });
    }
    SourceChunk {
        rows: rows.finish(),
        records,
        raw: Vec::new(),
        mark: SourceMark::default(),
        repairs: Vec::new(),
    }
}

fn cell(name: &str, number: usize) -> String {
    let (second, milli) = (number % 60, number % 1_000);
    match name {
        "ts" => format!(
            "2024-05-{:02} 12:{:02}:{second:02}.{milli:03}",
            1 + number % 28,
            number / 60 % 60
        ),
        "clock" => format!("12:{:02}:{second:02}.{milli:03}", number / 60 % 60),
        "id" | "count" => (number * 7_919).to_string(),
        "status" => if number.is_multiple_of(9) { "RUNNING_PARTIAL" } else { "RUNNING" }.to_owned(),
        "note" => if number.is_multiple_of(3) { "NA" } else { "fine" }.to_owned(),
        "name" => format!("extruder {}", number % 5),
        _ => format!("{}.{:02}", 20 + number % 200, number % 100),
    }
}
