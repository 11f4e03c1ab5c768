//! A plan, records as text, and what comes out as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::Expect;
use whimbrel_model::json::{self, Json, Pointer};
use whimbrel_model::plan::{self, Plan};
use whimbrel_model::{
    ChunkBuilder, Column, Defect, Field, FileFacts, Kind, PartitionId, Position, Record, Shape,
    ShapeColumn, SourceChunk, SourceMark, Table, Value, ValueRef,
};
use whimbrel_transform::{
    Environment, Limits, Lookups, Notes, Out, Output, PartitionFacts, SourceShape, Step, UnitFate,
    UnitKind,
};

pub(crate) const SQLITE: Limits = Limits {
    negative_zero: false,
    nan: false,
    endless: false,
    nul_in_text: false,
    kinds_in_any: false,
    unsigned: true,
    huge: true,
};

/// One mapping and what it is tried on.
#[derive(Clone)]
pub(crate) struct Trial {
    pub(crate) plan: String,
    /// `name kind`, with `!` behind required ones; `None`: the table is created.
    pub(crate) table: Option<Vec<String>>,
    pub(crate) file: FileFacts,
    pub(crate) text: Option<Result<String, String>>,
    pub(crate) parents: Vec<(String, String, Value)>,
    /// Tables, legacy keys that lead to several of their rows, and the records' places.
    pub(crate) several: Vec<(String, String, String)>,
    pub(crate) limits: Limits,
    pub(crate) referenced: bool,
    /// Records of a chunk.
    pub(crate) chunk: usize,
    /// Save and restore the state between chunks.
    pub(crate) resume: bool,
    /// Which of the plan's tables.
    pub(crate) mapping: usize,
    /// Which of the table's sources the records are of.
    pub(crate) source: usize,
}

impl Trial {
    pub(crate) fn new(plan: &str) -> Self {
        let header = "name = \"t\"\ntarget = \"sqlite:t.db\"\n";
        let plan =
            if plan.contains("target =") { plan.to_owned() } else { format!("{header}{plan}") };
        let file = FileFacts {
            name: "run_20241027_013000.csv".into(),
            stem: "run_20241027_013000".into(),
            dir: "logs".into(),
            suffix: "csv".into(),
            size: 10,
            mtime_nanos: 1_700_000_000_000_000_000,
            inode: 1,
        };
        Self {
            plan,
            table: None,
            file,
            text: None,
            parents: Vec::new(),
            several: Vec::new(),
            limits: SQLITE,
            referenced: false,
            chunk: usize::MAX,
            resume: false,
            mapping: 0,
            source: 0,
        }
    }

    /// A CSV source `s` and a table `t` with these columns, of this kind each.
    pub(crate) fn columns(columns: &str, table: &str) -> Self {
        Self::filled("csv", columns, table)
    }

    /// The same with a source of JSON Lines.
    pub(crate) fn json(columns: &str, table: &str) -> Self {
        Self::filled("jsonl", columns, table)
    }

    /// The key is the record's number, and not shown.
    fn filled(format: &str, columns: &str, table: &str) -> Self {
        let plan = format!(
            "[source.s]\n{format} = \"*\"\n[[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\n[table.columns]\n\
             zz = {{ fact = \"record.number\" }}\n{columns}"
        );
        Self::new(&plan).table(&format!("zz integer, {table}"))
    }

    pub(crate) fn table(mut self, columns: &str) -> Self {
        self.table = Some(columns.split(", ").map(str::to_owned).collect());
        self
    }

    pub(crate) fn plan(&self) -> Plan {
        let env = |_: &str| None;
        let files = |_: &str| Err(std::io::Error::other("no files"));
        plan::decode(&self.plan, &env, &files).unwrap_or_else(|errors| {
            let shown: Vec<String> =
                errors.iter().map(|error| error.render("plan", &self.plan)).collect();
            panic!("{}", shown.join("\n"))
        })
    }

    /// Compiles the mapping against the header of the records.
    pub(crate) fn compile(&self, records: &str) -> Result<Step, String> {
        let plan = self.plan();
        let mapping = &plan.tables[self.mapping];
        let table = self.table.as_ref().map(|columns| table(&mapping.into.value, columns));
        let sources = mapping.from.iter().map(|from| SourceShape {
            source: from.value.clone(),
            shapes: shapes(&plan, &from.value, records),
        });
        let environment = Environment {
            table: table.as_ref(),
            sources: sources.collect(),
            limits: self.limits,
            referenced: self.referenced,
            keys: BTreeMap::new(),
        };
        Step::compile(&plan, mapping, &environment).map_err(|errors| {
            let lines = errors.iter().map(|error| {
                let place = error.span.as_ref().map_or("", |span| &self.plan[span.clone()]);
                let help = error.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
                format!("{} at `{place}`: {}{help}", error.code, error.message)
            });
            lines.collect::<Vec<_>>().join("\n")
        })
    }

    pub(crate) fn run(&self, records: &str) -> Result<Vec<Output>, String> {
        let step = self.compile(records)?;
        let id =
            PartitionId { source: step_source(&self.plan(), self), path: "logs/run.csv".into() };
        let mut facts = PartitionFacts::new(id, Arc::new(self.file.clone()), 1);
        facts.text.clone_from(&self.text);
        facts.sha256 = step.needs().sha256.then(|| "5ha".into());
        let mut state = step.start(self.source, &facts, None).expect("a fresh state");
        let mut lookups = Lookups::default();
        for (table, key, value) in &self.parents {
            lookups.insert_value(table, key, value.clone());
        }
        for (table, key, places) in &self.several {
            lookups.insert_several(table, key, places);
        }
        let mut outputs = Vec::new();
        for chunk in chunks(&step, self.source, records, self.chunk) {
            let mut out = Out::new(&step);
            step.apply(&mut state, &chunk, &lookups, &mut out);
            outputs.push(out.finish());
            if self.resume {
                let saved = state.save();
                state = step.start(self.source, &facts, Some(&saved)).expect("its own state");
            }
        }
        let mut out = Out::new(&step);
        step.finish(&mut state, &lookups, &mut out);
        outputs.push(out.finish());
        Ok(outputs)
    }

    /// The outcome as lines: rows, rejects, filtered units, notes.
    pub(crate) fn outcome(&self, records: &str) -> String {
        let outputs = match self.run(records) {
            Ok(outputs) => outputs,
            Err(errors) => return errors,
        };
        let mut lines = String::new();
        let mut notes = Notes::default();
        let mut number = 0;
        for output in outputs {
            show(&mut lines, &output, &mut number, usize::from(self.plan.contains("\nzz = ")));
            notes.merge(output.notes);
        }
        for (key, note) in notes.iter() {
            let samples: Vec<String> = note
                .samples
                .iter()
                .map(|sample| {
                    format!(
                        "{}:{:?}",
                        sample.position.record,
                        sample.value.as_deref().unwrap_or("")
                    )
                })
                .collect();
            let _ = writeln!(
                lines,
                "note {} {}{} × {}: {}",
                key.code,
                key.column,
                key.rule,
                note.count,
                samples.join(" ")
            );
        }
        lines.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn check(&self, records: &str, expected: &Expect) {
        expected.assert_eq(&self.outcome(records));
    }
}

fn step_source(plan: &Plan, trial: &Trial) -> String {
    plan.tables[trial.mapping].from[trial.source].value.clone()
}

fn show(lines: &mut String, output: &Output, number: &mut u64, skip: usize) {
    for (index, unit) in output.units.iter().enumerate() {
        let name = match unit.what {
            UnitKind::Record(_) => {
                *number += 1;
                number.to_string()
            }
            UnitKind::File => "file".to_owned(),
        };
        match &unit.fate {
            UnitFate::Rows(0) => _ = writeln!(lines, "{name}: no rows"),
            UnitFate::Rows(_) => {}
            UnitFate::Filtered { rule } => _ = writeln!(lines, "{name}: filtered by {rule}"),
            UnitFate::Rejected(reason) => _ = writeln!(lines, "{name}: {reason}"),
        }
        for (row, _) in
            output.row_units.iter().enumerate().filter(|(_, unit)| **unit == index as u32)
        {
            let values: Vec<String> =
                output.rows.row(row).values().skip(skip).map(value_text).collect();
            let _ = write!(lines, "{name}: {}", values.join(" | "));
            if let Some(key) = output.legacy_keys.get(row) {
                let _ = write!(lines, " key {}", key.replace('\u{1f}', "·"));
            }
            let _ = writeln!(lines);
        }
        if let Some(Some(archived)) = output.archive.get(index) {
            let _ = writeln!(lines, "{name}: archived {archived}");
        }
    }
}

pub(crate) fn value_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) => format!("{text:?}"),
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => value.to_string(),
    }
}

fn table(name: &str, columns: &[String]) -> Table {
    let column = |text: &String| {
        let (text, nullable) =
            text.strip_suffix('!').map_or((text.as_str(), true), |text| (text, false));
        let (name, kind) = text.split_once(' ').expect("`name kind`");
        let (kind, has_default) = kind.strip_suffix('=').map_or((kind, false), |kind| (kind, true));
        Column {
            name: name.into(),
            kind: Kind::parse(kind).expect("a kind"),
            nullable,
            has_default,
        }
    };
    Table { name: name.into(), columns: columns.iter().map(column).collect(), key: Vec::new() }
}

/// Records that begin with `{` are JSON, else the first line is a header and `|` separates.
fn shapes(plan: &Plan, source: &str, records: &str) -> Vec<Shape> {
    let is_csv =
        matches!(plan.source(source).expect("a source of the plan").format, plan::Format::Csv(_));
    if !is_csv || records.trim_start().starts_with('{') {
        return vec![Shape::default()];
    }
    let header = records.lines().next().unwrap_or_default();
    let columns =
        header.split('|').map(|name| ShapeColumn { name: name.into(), kind: None }).collect();
    vec![Shape { columns, closed: true, format: "csv".into() }]
}

pub(crate) fn chunks(step: &Step, source: usize, records: &str, size: usize) -> Vec<SourceChunk> {
    let json = records.trim_start().starts_with('{');
    let mut lines = records.lines();
    let header: Vec<&str> =
        if json { Vec::new() } else { lines.next().unwrap_or_default().split('|').collect() };
    let lines: Vec<(usize, &str)> = lines.enumerate().collect();
    let fields = step.fields(source);
    lines
        .chunks(size.min(lines.len()).max(1))
        .map(|lines| {
            let mut rows = ChunkBuilder::new(fields.len());
            let mut chunk = SourceChunk {
                rows: rows_of(0),
                records: Vec::new(),
                raw: Vec::new(),
                mark: SourceMark::default(),
                repairs: Vec::new(),
            };
            for (number, line) in lines {
                let start = chunk.raw.len();
                chunk.raw.extend_from_slice(line.as_bytes());
                let broken = line.starts_with("!!");
                for field in fields {
                    if broken {
                        rows.push(ValueRef::Null);
                    } else if json {
                        push_json(&mut rows, line, field);
                    } else {
                        let cell = match field {
                            Field::Column(name) => header.iter().position(|column| column == name),
                            Field::Pointer(_) | Field::Json => None,
                        };
                        let cell = cell
                            .and_then(|index| line.split('|').nth(index))
                            .filter(|cell| *cell != "~");
                        let cell = cell.map(|cell| cell.replace("\\0", "\0"));
                        rows.push(cell.as_deref().map_or(ValueRef::Null, ValueRef::Text));
                    }
                }
                rows.end_row();
                let defect = broken.then(|| {
                    Arc::new(Defect { code: "WB0101", column: 0, message: "torn".into() })
                });
                chunk.records.push(Record {
                    position: Position {
                        record: *number as u64 + 1,
                        line: *number as u64 + 2,
                        byte: 0,
                    },
                    raw: (start, chunk.raw.len()),
                    defect,
                });
            }
            chunk.rows = rows.finish();
            chunk
        })
        .collect()
}

fn rows_of(width: usize) -> whimbrel_model::Chunk {
    ChunkBuilder::new(width).finish()
}

fn push_json(rows: &mut ChunkBuilder, line: &str, field: &Field) {
    let document = json::parse(line.as_bytes()).expect("sound JSON");
    let found = match field {
        Field::Column(name) => document.get(name),
        Field::Pointer(pointer) => document.at(&Pointer::parse(pointer).expect("a sound pointer")),
        Field::Json => Some(&document),
    };
    match found {
        None | Some(Json::Null) => rows.push(ValueRef::Null),
        Some(Json::Bool(value)) => rows.push(ValueRef::Bool(*value)),
        Some(Json::Number(number)) => rows.push(ValueRef::Decimal(number.as_str())),
        Some(Json::String(text)) => rows.push(ValueRef::Text(text)),
        Some(nested @ (Json::Array(_) | Json::Object(_))) => {
            rows.push(ValueRef::Json(&nested.to_text()));
        }
    }
}
