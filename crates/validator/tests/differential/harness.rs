//! One plan, records as text, and what each of the two makes of them, as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_endpoint::{
    Discovery, EndpointError, Freshness, Limit, Partition, Reader, ReaderEnd, Source,
};
use whimbrel_model::decimal::Decimal;
use whimbrel_model::json::{self, Json, Pointer};
use whimbrel_model::plan::{self, HashAlgorithm, Plan};
use whimbrel_model::{
    ChunkBuilder, Column, Defect, Field, FileFacts, Kind, PartitionId, Position, Record, Shape,
    ShapeColumn, SourceChunk, SourceMark, Table, Value, ValueRef,
};
use whimbrel_transform::{
    Environment, Limits, Lookups, Out, PartitionFacts, SourceShape, Step, UnitFate,
};
use whimbrel_validator::interpret::{Derived, Fate, Holds, Interpreter};

/// Records that begin with `{` are JSON; else the first line is a header and `|` separates, `~` is
/// NULL, `\0` a zero character, and `!!` begins a record with a defect.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) plan: String,
    /// `name kind`, with `!` behind required ones.
    pub(crate) table: String,
    pub(crate) stem: String,
    pub(crate) records: String,
}

pub(crate) const PATH: &str = "logs/run.csv";

impl Trial {
    /// One source `s` and one table `t` with these columns beside the key.
    pub(crate) fn columns(columns: &str, table: &str, records: &str) -> Self {
        Self::with("", columns, table, records)
    }

    /// The same, with more keys of the table before its columns.
    pub(crate) fn with(rest: &str, columns: &str, table: &str, records: &str) -> Self {
        let format = if records.starts_with('{') { "jsonl" } else { "csv" };
        let plan = format!(
            "name = \"t\"\ntarget = \"sqlite:t.db\"\ntimezone = \"Europe/Berlin\"\n[source.s]\n{format} = \"*\"\n\
             [[table]]\ninto = \"t\"\nfrom = \"s\"\nkey = [\"zz\"]\n{rest}[table.columns]\nzz = {{ fact = \"file.path\" }}\n{columns}"
        );
        let plan = if plan.contains("each = \"file\"") {
            plan
        } else if plan.contains("each = \"/") {
            let both = "concat = [{ fact = \"record.number\" }, { fact = \"element.number\" }], separator = \"-\"";
            plan.replacen("fact = \"file.path\"", both, 1)
        } else {
            plan.replace("fact = \"file.path\"", "fact = \"record.number\"")
        };
        let table = format!("zz any, {table}");
        Self { plan, table, stem: "run_20241027_013000".to_owned(), records: records.to_owned() }
    }

    pub(crate) fn stem(mut self, stem: &str) -> Self {
        stem.clone_into(&mut self.stem);
        self
    }

    fn decoded(&self) -> Plan {
        let no_file = |_: &str| Err(std::io::Error::other("no files"));
        plan::decode(&self.plan, &|_| None, &no_file).unwrap_or_else(|errors| {
            let shown: Vec<String> =
                errors.iter().map(|error| error.render("plan", &self.plan)).collect();
            panic!("{}", shown.join("\n"))
        })
    }

    fn target(&self) -> Table {
        let column = |text: &str| {
            let (text, nullable) =
                text.strip_suffix('!').map_or((text, true), |text| (text, false));
            let (name, kind) = text.split_once(' ').unwrap();
            let kind = Kind::parse(kind).unwrap();
            Column { name: name.into(), kind, nullable, has_default: false }
        };
        let columns = self.table.split(", ").map(column).collect();
        Table { name: "t".into(), columns, key: vec![0] }
    }

    fn is_json(&self) -> bool {
        self.records.starts_with('{')
    }

    fn header(&self) -> Vec<&str> {
        if self.is_json() {
            return Vec::new();
        }
        self.records.lines().next().unwrap_or_default().split('|').collect()
    }

    fn file(&self) -> FileFacts {
        FileFacts {
            name: format!("{}.csv", self.stem),
            stem: self.stem.clone(),
            dir: "logs".into(),
            suffix: "csv".into(),
            size: 10,
            mtime_nanos: 1_700_000_000_000_000_000,
            inode: 1,
        }
    }

    fn chunk(&self, fields: &[Field]) -> SourceChunk {
        let header = self.header();
        let mut rows = ChunkBuilder::new(fields.len());
        let (mut records, mut raw) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(self.records.lines().skip(usize::from(!self.is_json()))) {
            let start = raw.len();
            raw.extend_from_slice(line.as_bytes());
            let broken = line.starts_with("!!");
            for field in fields {
                if broken {
                    rows.push(ValueRef::Null);
                } else if self.is_json() {
                    push_json(&mut rows, line, field);
                } else {
                    push_cell(&mut rows, line, field, &header);
                }
            }
            rows.end_row();
            let defect = || Arc::new(Defect { code: "WB0101", column: 0, message: "torn".into() });
            records.push(Record {
                position: Position { record: number, line: number + 1, byte: 0 },
                raw: (start, raw.len()),
                defect: broken.then(defect),
            });
        }
        let mark = SourceMark::default();
        SourceChunk { rows: rows.finish(), records, raw, mark, repairs: Vec::new() }
    }

    /// Asks both. Returns whether the load path takes the plan.
    #[track_caller]
    pub(crate) fn agree(&self, holds: Holds) -> bool {
        let Ok(theirs) = self.theirs(holds) else { return false };
        let ours = self.ours(holds);
        let ours = ours.unwrap_or_else(|problem| panic!("{problem}\n{}", self.plan));
        let mut told = String::new();
        for index in 0..ours.len().max(theirs.len()) {
            let (ours, theirs) = (ours.get(index), theirs.get(index));
            // A count of seconds beyond all years is out of range, or no time at all.
            let beyond = |fate: Option<&String>| {
                fate.is_some_and(|fate| fate == "WB0231" || fate == "WB0236")
            };
            if self.plan.contains("unix") && beyond(ours) && beyond(theirs) {
                continue;
            }
            if ours != theirs {
                let record = self.records.lines().nth(index + usize::from(!self.is_json()));
                let _ = writeln!(told, "{record:?}\n  loaded  {theirs:?}\n  derived {ours:?}");
            }
        }
        assert!(
            told.is_empty(),
            "{told}of\n{}\n{}\nin {}\n{}",
            self.plan,
            self.table,
            self.stem,
            self.records
        );
        true
    }

    /// What the load path makes of it, or why it refuses the plan.
    fn theirs(&self, holds: Holds) -> Result<Vec<String>, String> {
        let plan = self.decoded();
        let table = self.target();
        let column = |name: &&str| ShapeColumn { name: (*name).to_owned(), kind: None };
        let columns: Vec<ShapeColumn> = self.header().iter().map(column).collect();
        let shape = Shape { columns, closed: !self.is_json(), format: String::new() };
        let mut plan_of_all = plan.clone();
        for source in &mut plan_of_all.sources {
            // Columns that the mapping does not use are left behind.
            source.ignore = self
                .header()
                .iter()
                .map(|name| plan::At { value: (*name).to_owned(), span: 0..0 })
                .collect();
        }
        let environment = Environment {
            table: Some(&table),
            sources: vec![SourceShape { source: "s".into(), shapes: vec![shape] }],
            limits: Limits {
                negative_zero: holds.negative_zero,
                nan: holds.not_finite,
                endless: holds.endless,
                nul_in_text: holds.nul_in_text,
                kinds_in_any: holds.kinds_in_any,
                unsigned: true,
                huge: true,
            },
            referenced: true,
            keys: BTreeMap::new(),
        };
        let step = Step::compile(&plan_of_all, &plan_of_all.tables[0], &environment)
            .map_err(|errors| format!("{}: {}", errors[0].code, errors[0].message))?;
        let id = PartitionId { source: "s".into(), path: PATH.into() };
        let mut facts = PartitionFacts::new(id, Arc::new(self.file()), 1);
        facts.text = Some(Ok(self.records.clone()));
        facts.sha256 = Some("5ha".into());
        facts.blake3 = Some("b1a".into());
        let mut state = step.start(0, &facts, None).unwrap();
        let lookups = Lookups::default();
        let mut out = Out::new(&step);
        step.apply(&mut state, &self.chunk(step.fields(0)), &lookups, &mut out);
        step.finish(&mut state, &lookups, &mut out);
        let out = out.finish();
        let names = plan.tables[0].columns.iter().map(|(name, _)| name.value.as_str());
        let order: Vec<(usize, Kind)> = names
            .map(|name| {
                let kind = table.columns[table.column(name).unwrap()].kind;
                (step.table().column(name).unwrap(), kind)
            })
            .collect();
        let mut lines = Vec::new();
        for (index, unit) in out.units.iter().enumerate() {
            let mut line = match &unit.fate {
                UnitFate::Filtered { .. } => "filtered".to_owned(),
                UnitFate::Rejected(reason) => reason.code.to_owned(),
                UnitFate::Rows(0) => "filtered".to_owned(),
                UnitFate::Rows(count) => format!("{count} rows"),
            };
            for (row, _) in
                out.row_units.iter().enumerate().filter(|(_, unit)| **unit == index as u32)
            {
                let row = out.rows.row(row);
                let kept: Vec<Value> = order
                    .iter()
                    .map(|(column, kind)| kept(row.get(*column), *kind, holds))
                    .collect();
                line += &shown(kept.iter().map(Value::as_ref));
            }
            lines.push(line);
        }
        Ok(lines)
    }

    /// What the interpreter makes of it.
    fn ours(&self, holds: Holds) -> Result<Vec<String>, String> {
        let plan = self.decoded();
        let targets = BTreeMap::from([("t".to_owned(), self.target())]);
        let mut interpreter =
            Interpreter::new(&plan, &targets, holds).map_err(|problem| problem.message)?;
        let source: Arc<dyn Source> = Arc::new(self.clone());
        let sources = BTreeMap::from([("s".to_owned(), source)]);
        let mut lines = Vec::new();
        let mut sink = |derived: Derived<'_>| {
            lines.push(match derived.fate {
                Fate::Filtered(_) => "filtered".to_owned(),
                Fate::Duplicate => "duplicate".to_owned(),
                Fate::Rejected { reason, .. } => reason.to_owned(),
                Fate::Rows(rows) => {
                    let all = rows.iter().map(|row| shown(row.iter().map(Value::as_ref)));
                    format!("{} rows{}", rows.len(), all.collect::<Vec<_>>().concat())
                }
            });
            Ok::<(), EndpointError>(())
        };
        block_on(interpreter.derive(&sources, 0, &mut sink)).unwrap();
        Ok(lines)
    }
}

/// What a column of any kind keeps of a value: the load path leaves some of that to the target.
fn kept(value: ValueRef<'_>, kind: Kind, holds: Holds) -> Value {
    match value {
        _ if kind != Kind::Any || holds.kinds_in_any => value.to_owned(),
        ValueRef::Bool(flag) => Value::Int(flag.into()),
        ValueRef::Decimal(literal) => match (literal.parse::<i64>(), Decimal::parse(literal)) {
            (Ok(whole), _) => whole.into(),
            (Err(_), Ok(number)) if literal.contains(['.', 'e', 'E']) => {
                number.to_f64_exact().map_or_else(|| value.to_owned(), Value::Float)
            }
            (Err(_), Ok(_) | Err(_)) => value.to_owned(),
        },
        ValueRef::Json(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => Value::Text(value.to_string()),
        other => other.to_owned(),
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn shown<'v>(values: impl Iterator<Item = ValueRef<'v>>) -> String {
    let cells = values.map(|value| format!(" | {}:{value:?}", value.noun()));
    cells.collect::<Vec<_>>().concat()
}

fn push_cell(rows: &mut ChunkBuilder, line: &str, field: &Field, header: &[&str]) {
    let cell = match field {
        Field::Column(name) => header.iter().position(|column| column == name),
        Field::Pointer(_) | Field::Json => None,
    };
    let cell = cell.and_then(|index| line.split('|').nth(index)).filter(|cell| *cell != "~");
    let cell = cell.map(|cell| cell.replace("\\0", "\0"));
    rows.push(cell.as_deref().map_or(ValueRef::Null, ValueRef::Text));
}

fn push_json(rows: &mut ChunkBuilder, line: &str, field: &Field) {
    let document = json::parse(line.as_bytes()).unwrap();
    let found = match field {
        Field::Column(name) => document.get(name),
        Field::Pointer(pointer) => document.at(&Pointer::parse(pointer).unwrap()),
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

#[async_trait]
impl Source for Trial {
    fn name(&self) -> &'static str {
        "s"
    }

    async fn partitions(&self) -> Result<Discovery, EndpointError> {
        let id = PartitionId { source: "s".into(), path: PATH.into() };
        let partition = Partition { id, facts: Arc::new(self.file()) };
        Ok(Discovery { partitions: vec![partition], unreadable: Vec::new() })
    }

    async fn describe(&self, _: &Partition) -> Result<Shape, EndpointError> {
        Ok(Shape::default())
    }

    async fn open(
        &self,
        _: &Partition,
        fields: &[Field],
        _: Option<&SourceMark>,
    ) -> Result<Box<dyn Reader>, EndpointError> {
        let chunk = self.chunk(fields);
        Ok(Box::new(Once((!chunk.records.is_empty()).then_some(chunk))))
    }

    async fn parse(
        &self,
        _: &Partition,
        fields: &[Field],
        _: &[(Position, Vec<u8>)],
    ) -> Result<SourceChunk, EndpointError> {
        Ok(self.chunk(fields))
    }

    async fn checksum(&self, _: &Partition, of: HashAlgorithm) -> Result<String, EndpointError> {
        Ok(match of {
            HashAlgorithm::Sha256 => "5ha".to_owned(),
            HashAlgorithm::Blake3 => "b1a".to_owned(),
        })
    }

    async fn text(&self, _: &Partition) -> Result<String, EndpointError> {
        Ok(self.records.clone())
    }

    async fn compare(&self, _: &Partition, _: &SourceMark) -> Result<Freshness, EndpointError> {
        Ok(Freshness::Same)
    }
}

/// All records at once.
struct Once(Option<SourceChunk>);

#[async_trait]
impl Reader for Once {
    async fn next(&mut self, _: Limit) -> Result<Option<SourceChunk>, EndpointError> {
        Ok(self.0.take())
    }

    async fn finish(self: Box<Self>) -> Result<ReaderEnd, EndpointError> {
        Ok(ReaderEnd::default())
    }
}
