//! The plan's expressions with their names resolved, once for each source of a table.
//!
//! A term is an expression as the plan has it; only fields and `let`s are numbers here, and patterns,
//! formats, zones and CEL are compiled. `by_source` is the expression of the one source.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use regex::Regex;
use whimbrel_cel::{Mistake, Name, Program, Unknown};
use whimbrel_model::plan::{
    Aggregate, At, Base, DuplicateConflict, Duplicates, DuplicatesBy, Each, Existing, Expr, Fact,
    Fold, HashAlgorithm, Invalid, LargeFiles, ListRule, MapOther, MissingRef, Plan, Severity, Span,
    TableMapping,
};
use whimbrel_model::{Field, Kind, Table, Value};

use super::moment::Format;
use super::{PlanProblem, text};

/// One table of the plan.
#[derive(Debug)]
pub(super) struct Mapping {
    pub(super) into: String,
    pub(super) each: Each,
    /// Mapped columns, in the order of `[table.columns]`.
    pub(super) columns: Vec<Column>,
    /// Positions in `columns`.
    pub(super) key: Vec<usize>,
    pub(super) existing: Existing,
    pub(super) duplicates: Option<Duplicates>,
    /// One for each source, in their order.
    pub(super) readings: Vec<Reading>,
    /// Whether another table refers to it: then its old keys are kept until that is derived.
    pub(super) is_parent: bool,
    /// Tables that it refers to.
    pub(super) refers_to: BTreeSet<String>,
}

/// A mapped column of the target.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) nullable: bool,
}

/// How a table reads one of its sources.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) source: String,
    /// What is asked of a reader; terms name fields by their places here.
    pub(super) fields: Vec<Field>,
    /// What CEL sees of each, where the source declares it.
    pub(super) declared: Vec<Option<Kind>>,
    pub(super) facts: BTreeSet<Fact>,
    /// The array whose elements make the rows.
    pub(super) array: Option<usize>,
    pub(super) lets: Vec<Term>,
    pub(super) filter: Option<Program<Input>>,
    pub(super) columns: Vec<Term>,
    pub(super) rules: Vec<(Program<Input>, Severity)>,
    /// Where the ledger keeps old keys of the table.
    pub(super) old_key: Option<Vec<Term>>,
    pub(super) clocks: Vec<ClockStart>,
    pub(super) aggregates: Vec<Summing>,
    pub(super) max_file_size: Option<u64>,
    pub(super) large_files: LargeFiles,
    /// The plan's `timezone`, by its name.
    pub(super) zone_name: String,
    pub(super) zone: TimeZone,
    pub(super) namespace: [u8; 16],
}

/// Where a clock without a date begins.
#[derive(Debug)]
pub(super) struct ClockStart {
    pub(super) term: Term,
    pub(super) zone: TimeZone,
}

/// An aggregate over the records of a file.
#[derive(Debug)]
pub(super) struct Summing {
    pub(super) of: Aggregate,
    pub(super) slot: Option<usize>,
    /// The kind of the result, where one is said or wanted.
    pub(super) kind: Option<Kind>,
    /// The expression around it, without its base: what is done to each value.
    pub(super) term: Term,
}

/// What an expression of CEL looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Input {
    Field(usize),
    Let(usize),
    New(usize),
}

/// An expression.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) from: Origin,
    pub(super) null: Vec<String>,
    pub(super) trim: bool,
    pub(super) lower: bool,
    pub(super) newlines: bool,
    pub(super) strip_prefix: Option<String>,
    pub(super) strip_suffix: Option<String>,
    pub(super) map: Option<BTreeMap<String, Value>>,
    pub(super) map_other: MapOther,
    pub(super) list: Option<ListRule>,
    pub(super) matches: Option<Regex>,
    pub(super) max_chars: Option<u64>,
    pub(super) kind: Option<Kind>,
    pub(super) formats: Vec<Format>,
    /// Its place among the clocks, where it has a `start`.
    pub(super) clock: Option<usize>,
    pub(super) zone: TimeZone,
    pub(super) fold: Fold,
    pub(super) default: Option<Value>,
    pub(super) invalid: Invalid,
    pub(super) round: bool,
}

/// Where its value comes from.
#[derive(Debug)]
pub(super) enum Origin {
    Field(usize),
    Let(usize),
    Fact(Fact),
    /// `record.json`
    Record(usize),
    Value(Value),
    First(Vec<Term>),
    /// `by_source`: what this source has.
    Own(Box<Term>),
    Concat {
        parts: Vec<Term>,
        separator: String,
    },
    Split {
        of: Box<Term>,
        by: String,
        part: i64,
    },
    Uuid5(Vec<Term>),
    Ref {
        table: String,
        by: Vec<Term>,
        missing: MissingRef,
    },
    Cel(Program<Input>),
    /// Its place among the aggregates.
    Aggregate(usize),
    Hash {
        algorithm: HashAlgorithm,
        parts: Vec<Term>,
    },
    Object(Vec<(String, Term)>),
    Checksum(Box<Term>),
}

impl Term {
    /// Whether nothing is done to the value before its kind.
    pub(super) fn is_bare(&self) -> bool {
        self.null.is_empty()
            && !self.changes_text()
            && self.map.is_none()
            && self.list.is_none()
            && self.matches.is_none()
            && self.max_chars.is_none()
            && self.formats.is_empty()
    }

    /// Whether it makes another text of a text.
    pub(super) fn changes_text(&self) -> bool {
        self.trim
            || self.lower
            || self.newlines
            || self.strip_prefix.is_some()
            || self.strip_suffix.is_some()
    }

    /// The text behind `trim`, `lower`, `newlines`, `strip_prefix` and `strip_suffix`.
    pub(super) fn shaped(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if self.trim {
            text = text.trim().to_owned();
        }
        if self.lower {
            text = text.to_lowercase();
        }
        if self.newlines {
            text = text::newlines(&text);
        }
        if let Some(rest) = self.strip_prefix.as_ref().and_then(|prefix| text.strip_prefix(prefix))
        {
            text = rest.to_owned();
        }
        if let Some(rest) = self.strip_suffix.as_ref().and_then(|suffix| text.strip_suffix(suffix))
        {
            text = rest.to_owned();
        }
        text
    }

    /// Terms that this one is made from.
    pub(super) fn parts(&self) -> Vec<&Term> {
        match &self.from {
            Origin::First(parts)
            | Origin::Concat { parts, .. }
            | Origin::Uuid5(parts)
            | Origin::Ref { by: parts, .. }
            | Origin::Hash { parts, .. } => parts.iter().collect(),
            Origin::Own(term) | Origin::Checksum(term) | Origin::Split { of: term, .. } => {
                vec![term]
            }
            Origin::Object(members) => members.iter().map(|(_, term)| term).collect(),
            Origin::Field(_)
            | Origin::Let(_)
            | Origin::Fact(_)
            | Origin::Record(_)
            | Origin::Value(_)
            | Origin::Cel(_)
            | Origin::Aggregate(_) => Vec::new(),
        }
    }
}

/// Without a `namespace`: `uuid5(DNS, "whimbrel")`.
const NAMESPACE: [u8; 16] = [
    0x6b, 0x0d, 0xf3, 0x15, 0x24, 0xb7, 0x5e, 0x36, 0xa7, 0x3f, 0x7f, 0x9d, 0x2e, 0xbd, 0x96, 0xc7,
];

/// A table of the plan, for a target that looks so.
pub(super) fn mapping(
    plan: &Plan,
    index: usize,
    targets: &BTreeMap<String, Table>,
) -> Result<Mapping, PlanProblem> {
    let table = &plan.tables[index];
    let into = &table.into.value;
    let Some(target) = targets.get(into) else {
        return Err(problem(&table.into.span, format!("the target has no table `{into}`")));
    };
    let column = |(name, _): &(At<String>, Expr)| {
        let found = target.columns.iter().find(|column| column.name == name.value);
        let found = found.ok_or_else(|| {
            problem(&name.span, format!("table `{into}` has no column `{}`", name.value))
        })?;
        Ok(Column { name: found.name.clone(), kind: found.kind, nullable: found.nullable })
    };
    let columns: Vec<Column> = table.columns.iter().map(column).collect::<Result<_, _>>()?;
    let place = |name: &At<String>| {
        let place = columns.iter().position(|column| column.name == name.value);
        place.ok_or_else(|| problem(&name.span, format!("`{}` is not filled", name.value)))
    };
    let key = table.key.iter().map(place).collect::<Result<_, _>>()?;
    let mut refers_to = BTreeSet::new();
    each_expression(table, &mut |expr| {
        if let Base::Ref { table, .. } = &expr.base {
            refers_to.insert(table.value.clone());
        }
    });
    let mut is_parent = false;
    for other in &plan.tables {
        each_expression(other, &mut |expr| {
            is_parent |= matches!(&expr.base, Base::Ref { table, .. } if table.value == *into);
        });
    }
    let maps_duplicates = table.duplicates.as_ref().is_some_and(|rule| {
        matches!(rule.by, DuplicatesBy::Columns(_)) && rule.conflict == DuplicateConflict::Map
    });
    let keeps_old_keys = is_parent
        || table.legacy_key.is_some()
        || table.existing == Existing::Update
        || maps_duplicates;
    let readings = table
        .from
        .iter()
        .map(|source| Reader::new(plan, table, source, &columns)?.read(keeps_old_keys))
        .collect::<Result<_, _>>()?;
    Ok(Mapping {
        into: into.clone(),
        each: table.each.clone(),
        columns,
        key,
        existing: table.existing,
        duplicates: table.duplicates.clone(),
        readings,
        is_parent,
        refers_to,
    })
}

fn each_expression<'t>(table: &'t TableMapping, visit: &mut dyn FnMut(&'t Expr)) {
    let lets = table.lets.iter().map(|(_, expr)| expr);
    let columns = table.columns.iter().map(|(_, expr)| expr);
    for expr in lets.chain(columns).chain(table.legacy_key.iter().flatten()) {
        expr.walk(visit);
    }
}

fn problem(span: &Span, message: String) -> PlanProblem {
    PlanProblem { message, span: Some(span.clone()) }
}

/// Resolves the names of one table for one source.
struct Reader<'p> {
    plan: &'p Plan,
    table: &'p TableMapping,
    columns: &'p [Column],
    /// How many of the `let`s are visible, from the first on.
    visible: usize,
    /// The kind of the column whose expression is read.
    want: Option<Kind>,
    reading: Reading,
}

impl<'p> Reader<'p> {
    fn new(
        plan: &'p Plan,
        table: &'p TableMapping,
        name: &At<String>,
        columns: &'p [Column],
    ) -> Result<Self, PlanProblem> {
        let source = plan
            .source(&name.value)
            .ok_or_else(|| problem(&name.span, format!("unknown source `{}`", name.value)))?;
        let zone_name = plan.timezone.as_ref().map_or("UTC", |zone| zone.value.as_str());
        let span = plan.timezone.as_ref().map_or(0..0, |zone| zone.span.clone());
        let reading = Reading {
            source: name.value.clone(),
            fields: Vec::new(),
            declared: Vec::new(),
            facts: BTreeSet::new(),
            array: None,
            lets: Vec::new(),
            filter: None,
            columns: Vec::new(),
            rules: Vec::new(),
            old_key: None,
            clocks: Vec::new(),
            aggregates: Vec::new(),
            max_file_size: source.max_file_size,
            large_files: source.large_files,
            zone: zone(&At { value: zone_name.to_owned(), span })?,
            zone_name: zone_name.to_owned(),
            namespace: plan.namespace.as_ref().map_or(NAMESPACE, |namespace| namespace.value),
        };
        Ok(Self { plan, table, columns, visible: 0, want: None, reading })
    }

    fn read(mut self, keeps_old_keys: bool) -> Result<Reading, PlanProblem> {
        let table = self.table;
        if let Each::Element(pointer) = &table.each {
            self.reading.array = Some(self.slot(Field::Pointer(pointer.value.clone())));
        }
        for (_, expr) in &table.lets {
            let term = self.term(expr)?;
            self.reading.lets.push(term);
            self.visible += 1;
        }
        self.reading.filter =
            table.filter.as_ref().map(|filter| self.program(filter, false)).transpose()?;
        for ((_, expr), column) in table.columns.iter().zip(self.columns) {
            self.want = Some(column.kind);
            let term = self.term(expr)?;
            self.reading.columns.push(term);
        }
        self.want = None;
        for rule in &table.rules {
            let program = self.program(&rule.cel, true)?;
            self.reading.rules.push((program, rule.severity));
        }
        if keeps_old_keys {
            let parts = table.legacy_key_parts();
            let parts = parts.into_iter().map(|part| self.term(part));
            self.reading.old_key = Some(parts.collect::<Result<_, _>>()?);
        }
        Ok(self.reading)
    }

    /// The place of a field among those that a reader is asked for.
    fn slot(&mut self, field: Field) -> usize {
        if let Some(slot) = self.reading.fields.iter().position(|known| *known == field) {
            return slot;
        }
        let declared = match &field {
            Field::Column(name) => self.plan.source(&self.reading.source).and_then(|source| {
                let column = source.columns.iter().find(|column| column.name.value == *name)?;
                column.kind.as_ref().map(|kind| kind.value)
            }),
            Field::Pointer(_) | Field::Json => None,
        };
        self.reading.fields.push(field);
        self.reading.declared.push(declared);
        self.reading.fields.len() - 1
    }

    fn visible_let(&self, name: &str) -> Option<usize> {
        self.table.lets[..self.visible].iter().position(|(known, _)| known.value == name)
    }

    /// A field by its name in the plan: a `let`, a JSON Pointer, a column.
    fn field(&mut self, name: &str) -> Origin {
        if let Some(index) = self.visible_let(name) {
            return Origin::Let(index);
        }
        let field = if name.starts_with('/') {
            Field::Pointer(name.to_owned())
        } else {
            Field::Column(name.to_owned())
        };
        Origin::Field(self.slot(field))
    }

    fn program(&mut self, cel: &At<String>, is_rule: bool) -> Result<Program<Input>, PlanProblem> {
        let compiled = Program::compile(&cel.value, &mut |name| match name {
            Name::Plain(name) => Ok(match self.visible_let(name) {
                Some(index) => Input::Let(index),
                None => self.known_field(name)?,
            }),
            Name::New(name) => {
                let place = self.columns.iter().position(|column| column.name == name);
                let place = place.filter(|_| is_rule).map(Input::New);
                place.ok_or_else(|| unknown(format!("`new.{name}` is not known here")))
            }
        });
        compiled.map_err(|mistakes: Vec<Mistake>| {
            let message = mistakes.first().map_or("CEL", |mistake| mistake.message.as_str());
            problem(&cel.span, message.to_owned())
        })
    }

    /// A column that CEL names. Names of CEL's types are none where no column could be called so.
    fn known_field(&mut self, name: &str) -> Result<Input, Unknown> {
        const TYPES: &[&str] = &[
            "bool",
            "int",
            "uint",
            "double",
            "string",
            "bytes",
            "list",
            "map",
            "null_type",
            "type",
            "timestamp",
        ];
        let field = Field::Column(name.to_owned());
        if TYPES.contains(&name) && !self.is_declared(name) && !self.reading.fields.contains(&field)
        {
            return Err(unknown(format!("no column is called `{name}`")));
        }
        Ok(Input::Field(self.slot(field)))
    }

    fn is_declared(&self, name: &str) -> bool {
        let source = self.plan.source(&self.reading.source);
        source.is_some_and(|source| {
            source.columns.iter().any(|column| column.name.value == name)
                || source.optional.iter().any(|column| column.value == name)
        })
    }

    fn terms(&mut self, exprs: &[Expr]) -> Result<Vec<Term>, PlanProblem> {
        exprs.iter().map(|expr| self.term(expr)).collect()
    }

    fn term(&mut self, expr: &Expr) -> Result<Term, PlanProblem> {
        let zone = expr.timezone.as_ref().map_or(Ok(self.reading.zone.clone()), zone)?;
        let clock = match &expr.start {
            None => None,
            Some(start) => {
                let term = self.term(start)?;
                self.reading.clocks.push(ClockStart { term, zone: zone.clone() });
                Some(self.reading.clocks.len() - 1)
            }
        };
        let map = match &expr.map {
            None => None,
            Some(name) => {
                let map = self
                    .plan
                    .map(&name.value)
                    .ok_or_else(|| problem(&name.span, format!("unknown map `{}`", name.value)))?;
                let pair = |(old, new): &(String, _)| (old.clone(), text::literal(new));
                Some(map.pairs.iter().map(pair).collect())
            }
        };
        let matches = match &expr.matches {
            None => None,
            Some(pattern) => Some(
                whimbrel_cel::regex(&pattern.value).map_err(|why| problem(&pattern.span, why))?,
            ),
        };
        let from = self.from(expr)?;
        Ok(Term {
            from,
            null: expr.null.clone(),
            trim: expr.trim,
            lower: expr.lower,
            newlines: expr.newlines,
            strip_prefix: expr.strip_prefix.clone(),
            strip_suffix: expr.strip_suffix.clone(),
            map,
            map_other: expr.map_other,
            list: expr.list.clone(),
            matches,
            max_chars: expr.max_chars,
            kind: expr.kind.as_ref().map(|kind| kind.value),
            formats: expr.timestamp.iter().map(|format| Format::of(&format.value)).collect(),
            clock,
            zone,
            fold: expr.fold,
            default: expr.default.as_ref().map(text::literal),
            invalid: expr.invalid.clone(),
            round: expr.round,
        })
    }

    fn from(&mut self, expr: &Expr) -> Result<Origin, PlanProblem> {
        Ok(match &expr.base {
            Base::Field(name) => self.field(&name.value),
            Base::Fact(fact) => match fact.value {
                Fact::RecordJson => Origin::Record(self.slot(Field::Json)),
                fact => {
                    self.reading.facts.insert(fact);
                    Origin::Fact(fact)
                }
            },
            Base::Value(literal) => Origin::Value(text::literal(literal)),
            Base::First(parts) => Origin::First(self.terms(parts)?),
            Base::Concat { parts, separator } => {
                Origin::Concat { parts: self.terms(parts)?, separator: separator.clone() }
            }
            Base::Split { of, by, part } => {
                Origin::Split { of: Box::new(self.term(of)?), by: by.clone(), part: *part }
            }
            Base::Uuid5(parts) => Origin::Uuid5(self.terms(parts)?),
            Base::Ref { table, by, missing } => {
                Origin::Ref { table: table.value.clone(), by: self.terms(by)?, missing: *missing }
            }
            Base::Cel(cel) => Origin::Cel(self.program(cel, false)?),
            Base::Aggregate { of, field } => self.aggregate(expr, *of, field.as_ref())?,
            Base::BySource(named) => {
                let own = named.iter().find(|(name, _)| name.value == self.reading.source);
                let (_, own) = own.ok_or_else(|| {
                    problem(&expr.span, format!("nothing is said for `{}`", self.reading.source))
                })?;
                Origin::Own(Box::new(self.term(own)?))
            }
            Base::Hash { algorithm, parts } => {
                Origin::Hash { algorithm: *algorithm, parts: self.terms(parts)? }
            }
            Base::Object(members) => {
                let member =
                    |(name, expr): &(At<String>, Expr)| Ok((name.value.clone(), self.term(expr)?));
                Origin::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
            Base::JsonChecksum(of) => Origin::Checksum(Box::new(self.term(of)?)),
        })
    }

    fn aggregate(
        &mut self,
        expr: &Expr,
        of: Aggregate,
        field: Option<&At<String>>,
    ) -> Result<Origin, PlanProblem> {
        let slot = match field.map(|field| self.field(&field.value)) {
            Some(Origin::Field(slot)) => Some(slot),
            Some(_) => return Err(problem(&expr.span, "an aggregate looks at fields".to_owned())),
            None => None,
        };
        let around =
            Expr { base: Base::Value(whimbrel_model::plan::Literal::Bool(true)), ..expr.clone() };
        let term = self.term(&around)?;
        let kind = term.kind.or(self.want);
        self.reading.aggregates.push(Summing { of, slot, kind, term });
        Ok(Origin::Aggregate(self.reading.aggregates.len() - 1))
    }
}

fn unknown(message: String) -> Unknown {
    Unknown { message, help: None }
}

fn zone(name: &At<String>) -> Result<TimeZone, PlanProblem> {
    TimeZone::get(&name.value)
        .map_err(|_| problem(&name.span, format!("unknown time zone `{}`", name.value)))
}
