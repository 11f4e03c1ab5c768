//! From a plan's table to a [`Step`]: every mistake that can be known before a record is read.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use whimbrel_model::json::Pointer;
use whimbrel_model::plan::{
    Aggregate, At, Base as PlanBase, DuplicateConflict, DuplicatesBy, Each as PlanEach, Expr, Fact, Fold, Invalid,
    Literal, MapOther, MissingRef, Plan, Source, Span, TableMapping,
};
use whimbrel_model::{Column, Field, Kind, Shape, Table, Value};

use crate::CompileError;
use crate::aggregate::{Aggregation, Compare};
use crate::cel::{self, Mistake, Name, Program, Unknown};
use crate::codes;
use crate::node::{Base, Input, Node, Ops, Parse};
use crate::op::kind::{Cell, Conversion, Limits, can_become};
use crate::op::timestamp::{Format, Yields};
use crate::op::value_map::{Map, literal_value};
use crate::op::zone::Zone;
use crate::op::uuid5;
use crate::plain::Plain;
use crate::reason::excerpt_text;
use crate::step::{Clock, Condition, DuplicateKey, Each, Let, Needs, RowRule, SourcePlan, Step};
use crate::suggest::did_you_mean;

/// What is known of sources and target when a mapping is compiled.
#[derive(Clone, Debug)]
pub struct Environment<'a> {
    /// The target table as the engine describes it; `None` where it is created from the mapping.
    pub table: Option<&'a Table>,
    /// The shapes of the mapping's sources; of one that is missing nothing is checked.
    pub sources: Vec<SourceShape>,
    /// What the engine can hold.
    pub limits: Limits,
    /// True where another table refers to this one.
    pub referenced: bool,
}

/// What the files of a source look like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceShape {
    /// Name of the source in the plan.
    pub source: String,
    /// Distinct shapes.
    pub shapes: Vec<Shape>,
}

impl Step {
    /// Compiles a table of the plan, or says everything that is wrong with it.
    pub fn compile(
        plan: &Plan,
        mapping: &TableMapping,
        environment: &Environment<'_>,
    ) -> Result<Self, Vec<CompileError>> {
        let mut compiler = Compiler::new(plan, mapping, environment);
        let step = compiler.step();
        if compiler.errors.is_empty() { Ok(step) } else { Err(compiler.errors) }
    }
}

/// Clocks, and aggregates, of a step: their states share a mark.
const CARRIED_MAX: usize = 64;

struct Compiler<'a> {
    plan: &'a Plan,
    mapping: &'a TableMapping,
    environment: &'a Environment<'a>,
    zone: Zone,
    sources: Vec<SourceView<'a>>,
    slots: Vec<Slot>,
    lets: Vec<CompiledLet>,
    clocks: Vec<Clock>,
    aggregations: Vec<Aggregation>,
    needs: Needs,
    maps: HashMap<&'a str, Arc<Map>>,
    /// Indexes of the sources that the expression at hand is for.
    scope: Vec<usize>,
    touched: Touched,
    errors: Vec<CompileError>,
}

/// A source and what its files look like.
struct SourceView<'a> {
    plan: &'a Source,
    shapes: &'a [Shape],
    closed: bool,
}

struct Slot {
    name: String,
    field: Field,
    /// By source: whether it is read there.
    used: Vec<bool>,
}

struct CompiledLet {
    node: Node,
    kind: Option<Kind>,
    touched: Touched,
}

/// What an expression looks at.
#[derive(Clone, Debug, Default)]
struct Touched {
    record: bool,
    element: bool,
    clock: bool,
    aggregate: bool,
    lets: BTreeSet<usize>,
}

impl Touched {
    fn merge(&mut self, other: &Self) {
        self.record |= other.record;
        self.element |= other.element;
        self.clock |= other.clock;
        self.aggregate |= other.aggregate;
        self.lets.extend(&other.lets);
    }
}

/// What an expression is for.
#[derive(Clone, Copy)]
struct Wanted<'c> {
    /// The column that it fills, directly or as a branch of `first` or `by_source`.
    column: Option<&'c Column>,
    /// True for the column's own expression: its `type` is the column's kind.
    top: bool,
}

impl Wanted<'_> {
    const PART: Self = Self { column: None, top: false };
}

/// A node, and the kind of its values where it is known.
struct Typed {
    node: Node,
    kind: Option<Kind>,
}

impl<'a> Compiler<'a> {
    fn new(plan: &'a Plan, mapping: &'a TableMapping, environment: &'a Environment<'a>) -> Self {
        let view = |name: &At<String>| {
            let source = plan.source(&name.value)?;
            let shapes = environment.sources.iter().find(|shape| shape.source == name.value);
            let shapes = shapes.map_or(&[][..], |shape| shape.shapes.as_slice());
            let closed = !shapes.is_empty() && shapes.iter().all(|shape| shape.closed);
            Some(SourceView { plan: source, shapes, closed })
        };
        let sources: Vec<SourceView<'a>> = mapping.from.iter().filter_map(view).collect();
        let mut compiler = Self {
            plan,
            mapping,
            environment,
            zone: Zone::UTC,
            scope: (0..sources.len()).collect(),
            sources,
            slots: Vec::new(),
            lets: Vec::new(),
            clocks: Vec::new(),
            aggregations: Vec::new(),
            needs: Needs::default(),
            maps: plan.maps.iter().map(|map| (map.name.value.as_str(), Arc::new(Map::new(map)))).collect(),
            touched: Touched::default(),
            errors: Vec::new(),
        };
        if let Some(zone) = &plan.timezone {
            compiler.zone = compiler.zone_named(zone);
        }
        compiler
    }

    fn error(&mut self, code: &'static str, span: &Span, message: impl Into<String>, help: Option<String>) {
        self.errors.push(CompileError { code, message: message.into(), span: Some(span.clone()), help });
    }

    fn step(&mut self) -> Step {
        let mapping = self.mapping;
        let each = self.each();
        self.compile_lets();
        let filter = mapping.filter.as_ref().and_then(|filter| {
            let program = self.program(filter, None)?;
            Some(Condition { program, source: Arc::from(filter.value.as_str()) })
        });
        let (table, columns) = self.columns();
        let rules = mapping.rules.iter().filter_map(|rule| {
            let program = self.program(&rule.cel, Some(&table))?;
            Some(RowRule { name: Arc::from(rule.name.value.as_str()), program, severity: rule.severity })
        });
        let rules: Vec<RowRule> = rules.collect();
        let legacy_key = self.stores_mappings().then(|| {
            let label = Arc::from("legacy_key");
            let parts = mapping.legacy_key_parts();
            parts.into_iter().map(|part| self.node(part, &label, Wanted::PART).node).collect()
        });
        let duplicates = self.duplicates(&table);
        let archive = self.archive();
        // Where a name is wrong already, the column it should have been looks unused.
        if self.errors.is_empty() {
            self.check_coverage();
        }
        self.finish(each, table, columns, filter, rules, legacy_key, duplicates, archive)
    }

    #[allow(clippy::too_many_arguments)] // the parts of a step
    fn finish(
        &mut self,
        each: Each,
        table: Table,
        columns: Vec<Node>,
        filter: Option<Condition>,
        rules: Vec<RowRule>,
        legacy_key: Option<Vec<Node>>,
        duplicates: Option<DuplicateKey>,
        archive: Vec<Vec<(String, usize)>>,
    ) -> Step {
        let count = self.aggregations.len();
        for aggregation in &mut self.aggregations {
            aggregation.value_bytes_max = Aggregation::value_bytes_max(count);
        }
        if self.clocks.len() > CARRIED_MAX || count > CARRIED_MAX {
            let message = format!("more than {CARRIED_MAX} clocks or aggregates in one table");
            self.error(codes::BAD_RULE, &self.mapping.span, message, None);
        }
        self.needs.records = each != Each::File || count > 0;
        let used = self.used_lets();
        let sources = (0..self.sources.len()).map(|source| self.source_plan(source, &archive[source])).collect();
        let lets = std::mem::take(&mut self.lets).into_iter().enumerate();
        let lets = lets.map(|(index, each)| Let { node: each.node, used: used.contains(&index) }).collect();
        let is_required = |(index, column): (usize, &Column)| {
            (!column.nullable || table.key.contains(&index)).then_some(index)
        };
        let required = table.columns.iter().enumerate().filter_map(is_required).collect();
        Step {
            table,
            each,
            sources,
            json_slot: self.slots.iter().position(|slot| slot.field == Field::Json),
            slots: self.slots.iter().map(|slot| slot.name.clone()).collect(),
            lets,
            clocks: std::mem::take(&mut self.clocks),
            aggregations: std::mem::take(&mut self.aggregations),
            filter,
            plain: columns.iter().map(Plain::of).collect(),
            required,
            columns,
            rules,
            legacy_key,
            duplicates,
            timezone: self.plan.timezone.as_ref().map_or_else(|| "UTC".to_owned(), |zone| zone.value.clone()),
            needs: self.needs,
        }
    }

    fn each(&mut self) -> Each {
        match &self.mapping.each {
            PlanEach::Record => Each::Record,
            PlanEach::File => Each::File,
            PlanEach::Element(pointer) => match self.field(&pointer.value) {
                Ok(slot) => Each::Element(slot),
                Err(unknown) => {
                    self.error(codes::UNKNOWN_COLUMN, &pointer.span, unknown.message, unknown.help);
                    Each::Record
                }
            },
        }
    }

    /// What expressions outside of lets look at, and the lets that those lets look at.
    fn used_lets(&self) -> BTreeSet<usize> {
        let mut used = self.touched.lets.clone();
        for index in (0..self.lets.len()).rev() {
            if used.contains(&index) {
                used.extend(&self.lets[index].touched.lets);
            }
        }
        used
    }

    fn source_plan(&self, source: usize, archive: &[(String, usize)]) -> SourcePlan {
        let view = &self.sources[source];
        let mut fields = Vec::new();
        let mut columns = Vec::with_capacity(self.slots.len());
        let mut declared = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            columns.push(slot.used[source].then(|| {
                fields.push(slot.field.clone());
                fields.len() - 1
            }));
            let setting = view.plan.columns.iter().find(|column| column.name.value == slot.name);
            let kind = setting.and_then(|column| column.kind.as_ref()).map(|kind| kind.value);
            let zone = self.zone.clone();
            declared.push(kind.map(|kind| Conversion {
                kind,
                limits: Limits::NONE,
                round: false,
                zone,
                fold: Fold::Reject,
            }));
        }
        let place = |slot: usize| columns[slot].expect("archived columns are read");
        let archive = archive.iter().map(|(name, slot)| (name.clone(), place(*slot))).collect();
        SourcePlan { name: view.plan.name.value.clone(), fields, columns, declared, archive }
    }

    fn compile_lets(&mut self) {
        for (name, expr) in &self.mapping.lets {
            let label: Arc<str> = Arc::from(name.value.as_str());
            let (typed, touched) = self.watched(|compiler| compiler.node(expr, &label, Wanted::PART));
            self.lets.push(CompiledLet { node: typed.node, kind: typed.kind, touched });
        }
    }

    /// What an expression looks at, apart from everything before it.
    fn watched<T>(&mut self, compile: impl FnOnce(&mut Self) -> T) -> (T, Touched) {
        let before = std::mem::take(&mut self.touched);
        let made = compile(self);
        (made, std::mem::replace(&mut self.touched, before))
    }

    fn columns(&mut self) -> (Table, Vec<Node>) {
        let mapping = self.mapping;
        let mut table = Table { name: mapping.into.value.clone(), columns: Vec::new(), key: Vec::new() };
        let mut nodes = Vec::with_capacity(mapping.columns.len());
        for (name, expr) in &mapping.columns {
            let (column, node) = self.column(name, expr);
            table.columns.push(column);
            nodes.push(node);
        }
        self.check_required(&table);
        table.key = self.key(&table);
        (table, nodes)
    }

    fn column(&mut self, name: &At<String>, expr: &Expr) -> (Column, Node) {
        let label: Arc<str> = Arc::from(name.value.as_str());
        let described = self.described(name);
        let is_key = self.mapping.key.iter().any(|key| key.value == name.value);
        let said = expr.kind.as_ref().map(|kind| kind.value);
        let mut column = described.unwrap_or_else(|| Column {
            name: name.value.clone(),
            kind: Kind::Any,
            nullable: !is_key,
            has_default: false,
        });
        if let Some(kind) = said {
            column.kind = kind;
        } else if column.kind == Kind::Any {
            // What the expression gives decides; it is compiled twice so that it also knows.
            let errors = self.errors.len();
            let (clocks, aggregations) = (self.clocks.len(), self.aggregations.len());
            let guess = self.node(expr, &label, Wanted::PART).kind;
            self.errors.truncate(errors);
            self.clocks.truncate(clocks);
            self.aggregations.truncate(aggregations);
            column.kind = guess.unwrap_or(Kind::Any);
        }
        if is_key {
            self.check_key_expression(name, expr);
        }
        let wanted = Wanted { column: Some(&column), top: true };
        let errors = self.errors.len();
        let typed = self.node(expr, &label, wanted);
        if let Some(kind) = typed.kind
            && self.errors.len() == errors
            && !can_become(kind, column.kind)
        {
            let message = format!("`{}` holds {}, the expression gives {}", label, column.kind.name(), kind.name());
            self.error(codes::NEVER_CONVERTS, &expr.span, message, None);
        }
        (column, typed.node)
    }

    fn described(&mut self, name: &At<String>) -> Option<Column> {
        let table = self.environment.table?;
        if let Some(index) = table.column(&name.value) {
            return Some(table.columns[index].clone());
        }
        let message = format!("table `{}` has no column `{}`", table.name, name.value);
        let help = did_you_mean(&name.value, table.columns.iter().map(|column| column.name.as_str()));
        self.error(codes::UNKNOWN_TARGET_COLUMN, &name.span, message, help);
        None
    }

    fn check_required(&mut self, table: &Table) {
        let Some(described) = self.environment.table else { return };
        for column in &described.columns {
            if !column.nullable && !column.has_default && table.column(&column.name).is_none() {
                let message = format!("`{}.{}` is required, and nothing fills it", described.name, column.name);
                self.error(codes::REQUIRED_COLUMN, &self.mapping.into.span, message, None);
            }
        }
    }

    fn key(&mut self, table: &Table) -> Vec<usize> {
        let mut key = Vec::new();
        for name in &self.mapping.key {
            match table.column(&name.value) {
                Some(index) => key.push(index),
                None => {
                    let message = format!("`key` names `{}`, which nothing fills", name.value);
                    let help = did_you_mean(&name.value, table.columns.iter().map(|column| column.name.as_str()));
                    self.error(codes::KEY_NOT_FILLED, &name.span, message, help);
                }
            }
        }
        if !self.mapping.key.is_empty() {
            return key;
        }
        let described = self.environment.table.map(|described| {
            let names = described.key.iter().map(|index| &described.columns[*index].name);
            names.map(|name| table.column(name)).collect::<Option<Vec<usize>>>()
        });
        described.flatten().unwrap_or_default()
    }

    fn check_key_expression(&mut self, name: &At<String>, expr: &Expr) {
        let may_be_null = expr.default.is_none()
            && (expr.invalid == Invalid::Null
                || (expr.map.is_some() && expr.map_other == MapOther::Null)
                || matches!(expr.base, PlanBase::Ref { missing: MissingRef::Null, .. }));
        if may_be_null {
            let message = format!("key column `{}` could become NULL", name.value);
            self.error(codes::KEY_NULLABLE, &expr.span, message, None);
        }
    }

    fn stores_mappings(&self) -> bool {
        let by_columns = self.mapping.duplicates.as_ref().is_some_and(|duplicates| {
            matches!(duplicates.by, DuplicatesBy::Columns(_)) && duplicates.conflict == DuplicateConflict::Map
        });
        self.environment.referenced || self.mapping.legacy_key.is_some() || by_columns
    }

    fn duplicates(&mut self, table: &Table) -> Option<DuplicateKey> {
        let duplicates = self.mapping.duplicates.as_ref()?;
        let mut columns = Vec::new();
        if let DuplicatesBy::Columns(names) = &duplicates.by {
            for name in names {
                match table.column(&name.value) {
                    Some(index) => columns.push(index),
                    None => {
                        let message = format!("`duplicates` names `{}`, which nothing fills", name.value);
                        self.error(codes::KEY_NOT_FILLED, &name.span, message, None);
                    }
                }
            }
        }
        Some(DuplicateKey { columns, scope: duplicates.scope })
    }

    /// Slots of archived columns, by source.
    fn archive(&mut self) -> Vec<Vec<(String, usize)>> {
        if self.mapping.each == PlanEach::File {
            return vec![Vec::new(); self.sources.len()];
        }
        let whole = std::mem::take(&mut self.scope);
        let mut archive = Vec::with_capacity(self.sources.len());
        for source in 0..self.sources.len() {
            self.scope = vec![source];
            let mut slots = Vec::new();
            for name in &self.sources[source].plan.archive {
                match self.field(&name.value) {
                    Ok(slot) => slots.push((name.value.clone(), slot)),
                    Err(unknown) => self.error(codes::UNKNOWN_COLUMN, &name.span, unknown.message, unknown.help),
                }
            }
            archive.push(slots);
        }
        self.scope = whole;
        archive
    }

    // ------------------------------------------------------------------------------- expressions

    fn node(&mut self, expr: &Expr, label: &Arc<str>, wanted: Wanted<'_>) -> Typed {
        let hint = if wanted.top { wanted.column.map(|column| column.kind) } else { None };
        let hint = expr.kind.as_ref().map(|kind| kind.value).or(hint).or(wanted.column.map(|column| column.kind));
        let formats = self.formats(expr, hint);
        let zone = match &expr.timezone {
            Some(name) => self.zone_named(name),
            None => self.zone.clone(),
        };
        let ops = self.ops(expr);
        let operates = ops.is_some() || !expr.timestamp.is_empty();
        let below = match wanted.column {
            Some(column) if !operates && (wanted.top || expr.kind.is_none()) => {
                Wanted { column: Some(column), top: false }
            }
            Some(_) | None => Wanted::PART,
        };
        let (base, touched) = self.watched(|compiler| compiler.base(expr, label, below, hint, &zone));
        self.touched.merge(&touched);
        let conversion = |kind: Kind| Conversion {
            kind,
            limits: self.environment.limits,
            round: expr.round,
            zone: zone.clone(),
            fold: expr.fold,
        };
        let said = expr.kind.as_ref().filter(|_| !wanted.top).map(|kind| conversion(kind.value));
        let target = wanted.column.map(|column| conversion(column.kind));
        let zoneless = matches!(hint, Some(Kind::Timestamp | Kind::Date | Kind::Time));
        let parsed = parsed_kind(&formats, zoneless);
        let field = match &expr.base {
            PlanBase::Field(name) => Some(Arc::from(name.value.as_str())),
            _ => None,
        };
        let default = self.default(expr, target.as_ref().or(said.as_ref()));
        let listed = ops.as_ref().is_some_and(|ops| ops.list.is_some());
        let mapped = ops.as_ref().is_some_and(|ops| ops.map.is_some());
        let is_clock = expr.start.is_some();
        let is_aggregate = matches!(expr.base, PlanBase::Aggregate { .. });
        let made_kind = match (said.as_ref(), parsed) {
            (Some(said), _) => Some(said.kind),
            (None, _) if is_clock => Some(Kind::TimestampTz),
            (None, Some(parsed)) if !formats.is_empty() && !is_aggregate => Some(parsed),
            (None, _) if listed => Some(Kind::Json),
            (None, _) if mapped => None,
            (None, _) => base.kind,
        };
        let mut node = Node {
            base: base.base,
            ops: ops.map(Box::new),
            parse: None,
            kind: said.map(Box::new),
            default: default.map(Box::new),
            target: target.map(Box::new),
            invalid: expr.invalid.clone(),
            label: Arc::clone(label),
            field,
        };
        if is_clock {
            node = self.clock(expr, node, formats, zone, &touched);
        } else if !formats.is_empty() {
            node.parse = Some(Box::new(Parse { formats, zone, fold: expr.fold, zoneless }));
        }
        Typed { node, kind: made_kind }
    }

    fn formats(&mut self, expr: &Expr, hint: Option<Kind>) -> Vec<Format> {
        let mut formats = Vec::with_capacity(expr.timestamp.len());
        for text in &expr.timestamp {
            match Format::compile(&text.value) {
                Ok(format) => {
                    let clock_only = format.yields() == Yields::Clock;
                    if clock_only && expr.start.is_none() && hint != Some(Kind::Time) {
                        let message = format!("`{}` has no day, and `start` is not said", excerpt_text(&text.value));
                        self.error(codes::BAD_CLOCK, &text.span, message, None);
                    }
                    formats.push(format);
                }
                Err(why) => {
                    let message = format!("format `{}`: {}", excerpt_text(&text.value), excerpt_text(&why));
                    self.error(codes::BAD_FORMAT, &text.span, message, None);
                }
            }
        }
        formats
    }

    /// Moves the text of a clock into the step's clocks; the node then reads the clock.
    fn clock(&mut self, expr: &Expr, node: Node, formats: Vec<Format>, zone: Zone, text: &Touched) -> Node {
        let Some(start) = &expr.start else { return node };
        if !formats.iter().any(|format| format.yields() == Yields::Clock) && formats.len() == expr.timestamp.len() {
            let message = "`start` is only for formats without a day";
            self.error(codes::BAD_CLOCK, &start.span, message, None);
        }
        let label = Arc::clone(&node.label);
        let (typed, touched) = self.watched(|compiler| {
            let moment = Column { name: "start".into(), kind: Kind::TimestampTz, nullable: true, has_default: false };
            compiler.node(start, &label, Wanted { column: Some(&moment), top: true })
        });
        let known = touched.lets.is_empty() && !touched.record && !touched.element && !touched.aggregate;
        if !known || touched.clock || self.mapping.each == PlanEach::File {
            let message = "`start` is the same for all records of a file: it can only be made of the file's facts";
            self.error(codes::BAD_CLOCK, &start.span, message, None);
        }
        if text.clock || text.element {
            let message = "a clock cannot be read from an element or from another clock";
            self.error(codes::BAD_CLOCK, &expr.span, message, None);
        }
        self.touched.clock = true;
        self.touched.record = true;
        let whole = self.scope.len() == self.sources.len();
        let text = Node {
            base: node.base,
            ops: node.ops,
            parse: None,
            kind: None,
            default: None,
            target: None,
            invalid: expr.invalid.clone(),
            label: Arc::clone(&label),
            field: node.field.clone(),
        };
        self.clocks.push(Clock {
            sources: if whole { Vec::new() } else { self.scope.clone() },
            text,
            formats,
            start: typed.node,
            zone,
            fold: expr.fold,
        });
        Node { base: Base::Clock(self.clocks.len() - 1), ops: None, ..node }
    }

    fn ops(&mut self, expr: &Expr) -> Option<Ops> {
        let map = expr.map.as_ref().and_then(|name| match self.maps.get(name.value.as_str()) {
            Some(map) => Some((Arc::clone(map), expr.map_other)),
            None => {
                let help = did_you_mean(&name.value, self.maps.keys().copied());
                self.error(codes::UNKNOWN_MAP, &name.span, format!("unknown map `{}`", name.value), help);
                None
            }
        });
        let matches = expr.matches.as_ref().and_then(|pattern| match cel::regex(&pattern.value) {
            Ok(regex) => Some(regex),
            Err(why) => {
                self.error(codes::BAD_REGEX, &pattern.span, format!("`matches`: {}", excerpt_text(&why)), None);
                None
            }
        });
        // Of an aggregate, `null` says which records' values do not count.
        let null = if matches!(expr.base, PlanBase::Aggregate { .. }) { Vec::new() } else { expr.null.clone() };
        let nothing = null.is_empty()
            && !(expr.trim || expr.lower || expr.newlines)
            && expr.strip_prefix.is_none()
            && expr.strip_suffix.is_none()
            && map.is_none()
            && expr.list.is_none()
            && matches.is_none()
            && expr.max_chars.is_none();
        if nothing {
            return None;
        }
        Some(Ops {
            null,
            trim: expr.trim,
            lower: expr.lower,
            newlines: expr.newlines,
            strip_prefix: expr.strip_prefix.clone(),
            strip_suffix: expr.strip_suffix.clone(),
            map,
            list: expr.list.clone(),
            matches,
            max_chars: expr.max_chars,
        })
    }

    fn default(&mut self, expr: &Expr, conversion: Option<&Conversion>) -> Option<Value> {
        expr.default.as_ref().map(|literal| self.literal(literal, conversion, &expr.span))
    }

    /// A literal of the plan in the kind it is for.
    fn literal(&mut self, literal: &Literal, conversion: Option<&Conversion>, span: &Span) -> Value {
        let value = literal_value(literal);
        let Some(conversion) = conversion else { return value };
        match conversion.apply(Cell::Ref(value.as_ref())) {
            Ok(converted) => converted.cell.into_value(),
            Err(fault) => {
                let kind = conversion.kind.name();
                let message = format!("`{}` is no {kind}: {}", excerpt_text(&value.as_ref().to_string()), fault.message);
                self.error(codes::BAD_LITERAL, span, message, None);
                Value::Null
            }
        }
    }

    fn zone_named(&mut self, name: &At<String>) -> Zone {
        Zone::named(&name.value).unwrap_or_else(|| {
            let message = format!("unknown time zone `{}`", excerpt_text(&name.value));
            self.error(codes::UNKNOWN_ZONE, &name.span, message, None);
            Zone::UTC
        })
    }

    fn base(&mut self, expr: &Expr, label: &Arc<str>, below: Wanted<'_>, hint: Option<Kind>, zone: &Zone) -> TypedBase {
        match &expr.base {
            PlanBase::Field(name) => self.field_or_let(name),
            PlanBase::Fact(fact) => self.fact(fact),
            PlanBase::Value(literal) => {
                let value = literal_value(literal);
                let kind = literal_kind(literal);
                TypedBase { base: Base::Value(value), kind: Some(kind) }
            }
            PlanBase::First(parts) => {
                let parts: Vec<Typed> = parts.iter().map(|part| self.node(part, label, below)).collect();
                let kind = common_kind(parts.iter().map(|part| part.kind));
                TypedBase { base: Base::First(nodes(parts)), kind }
            }
            PlanBase::Concat { parts, separator } => {
                let parts = self.parts(parts, label);
                TypedBase::new(Base::Concat { parts, separator: separator.clone() }, Kind::Text(None))
            }
            PlanBase::Split { of, by, part } => {
                if *part == 0 || by.is_empty() {
                    let message = "`split` needs a separator, and a `part` from 1 or, backwards, from -1";
                    self.error(codes::BAD_RULE, &expr.span, message, None);
                }
                let of = Box::new(self.node(of, label, Wanted::PART).node);
                TypedBase::new(Base::Split { of, by: by.clone(), part: *part }, Kind::Text(None))
            }
            PlanBase::Uuid5(parts) => {
                let namespace = self.plan.namespace.as_ref().map_or(uuid5::NAMESPACE, |namespace| namespace.value);
                let parts = self.parts(parts, label);
                TypedBase::new(Base::Uuid5 { namespace, parts }, Kind::Uuid)
            }
            PlanBase::Ref { table, by, missing } => self.reference(expr, table, by, *missing, label),
            PlanBase::Cel(source) => match self.program(source, None) {
                Some(program) => TypedBase { base: Base::Cel(program), kind: None },
                None => TypedBase { base: Base::Value(Value::Null), kind: None },
            },
            PlanBase::Aggregate { of, field } => self.aggregate(expr, *of, field.as_ref(), label, hint, zone),
            PlanBase::BySource(branches) => self.by_source(branches, label, below),
            PlanBase::Hash { algorithm, parts } => {
                let parts = self.parts(parts, label);
                TypedBase::new(Base::Hash { algorithm: *algorithm, parts }, Kind::Text(None))
            }
            PlanBase::Object(members) => {
                let member = |compiler: &mut Self, (key, part): &(At<String>, Expr)| {
                    (key.value.clone(), compiler.node(part, label, Wanted::PART).node)
                };
                let members = members.iter().map(|each| member(self, each)).collect();
                TypedBase::new(Base::Object(members), Kind::Json)
            }
            PlanBase::JsonChecksum(of) => {
                let of = Box::new(self.node(of, label, Wanted::PART).node);
                TypedBase::new(Base::JsonChecksum(of), Kind::Text(None))
            }
        }
    }

    fn parts(&mut self, parts: &[Expr], label: &Arc<str>) -> Vec<Node> {
        parts.iter().map(|part| self.node(part, label, Wanted::PART).node).collect()
    }

    fn by_source(&mut self, branches: &[(At<String>, Expr)], label: &Arc<str>, below: Wanted<'_>) -> TypedBase {
        let whole = self.scope.clone();
        let mut made: Vec<Option<Node>> = self.sources.iter().map(|_| None).collect();
        let mut kinds = Vec::new();
        for (name, expr) in branches {
            let source = self.sources.iter().position(|source| source.plan.name.value == name.value);
            let Some(source) = source else {
                let help = did_you_mean(&name.value, self.mapping.from.iter().map(|from| from.value.as_str()));
                let message = format!("the table is not filled from a source `{}`", name.value);
                self.error(codes::MISPLACED, &name.span, message, help);
                continue;
            };
            self.scope = vec![source];
            let typed = self.node(expr, label, below);
            kinds.push(typed.kind);
            made[source] = Some(typed.node);
        }
        self.scope = whole;
        TypedBase { base: Base::BySource(made), kind: common_kind(kinds.into_iter()) }
    }

    fn reference(
        &mut self,
        expr: &Expr,
        table: &At<String>,
        by: &[Expr],
        missing: MissingRef,
        label: &Arc<str>,
    ) -> TypedBase {
        match self.plan.table(&table.value) {
            None => {
                let help = did_you_mean(&table.value, self.plan.tables.iter().map(|table| table.into.value.as_str()));
                let message = format!("no table of the plan fills `{}`", table.value);
                self.error(codes::BAD_REFERENCE, &table.span, message, help);
            }
            Some(parent) if parent.into.value == self.mapping.into.value => {
                self.error(codes::BAD_REFERENCE, &table.span, "a row cannot refer to a row of its own table", None);
            }
            Some(parent) => {
                let parts = parent.legacy_key_parts().len();
                if parent.key.len() != 1 {
                    let message = format!("`{}` has no key of a single column to refer to", table.value);
                    self.error(codes::BAD_REFERENCE, &table.span, message, None);
                } else if parts != by.len() {
                    let message = format!(
                        "`by` has {}, the legacy key of `{}` has {parts}",
                        count_of(by.len(), "part"),
                        table.value
                    );
                    self.error(codes::BAD_REFERENCE, &expr.span, message, None);
                }
            }
        }
        let (by, touched) = self.watched(|compiler| compiler.parts(by, label));
        if touched.clock || touched.lets.iter().any(|index| self.lets[*index].touched.clock) {
            self.error(codes::BAD_CLOCK, &expr.span, "a reference cannot be made of a clock time", None);
        }
        self.touched.merge(&touched);
        TypedBase { base: Base::Ref { table: table.value.clone(), by, missing }, kind: None }
    }

    fn aggregate(
        &mut self,
        expr: &Expr,
        of: Aggregate,
        field: Option<&At<String>>,
        label: &Arc<str>,
        hint: Option<Kind>,
        zone: &Zone,
    ) -> TypedBase {
        if self.mapping.each != PlanEach::File {
            let message = "an aggregate looks at all records of a file, this row stands for one";
            self.error(codes::MISPLACED, &expr.span, message, Some("a table with `each = \"file\"` can say it".into()));
        }
        let slot = field.and_then(|name| match self.field(&name.value) {
            Ok(slot) => Some(slot),
            Err(unknown) => {
                self.error(codes::UNKNOWN_COLUMN, &name.span, unknown.message, unknown.help);
                None
            }
        });
        let numeric = matches!(hint, Some(Kind::Int(_) | Kind::Decimal(_) | Kind::Float));
        let compare = if !expr.timestamp.is_empty() {
            let formats = expr.timestamp.iter().filter_map(|text| Format::compile(&text.value).ok()).collect();
            Compare::Instants { formats, zone: zone.clone(), fold: expr.fold }
        } else if numeric {
            Compare::Numbers
        } else {
            Compare::Texts
        };
        self.touched.aggregate = true;
        self.aggregations.push(Aggregation {
            of,
            slot,
            null: expr.null.clone(),
            compare,
            skip_invalid: expr.invalid == Invalid::Null,
            column: Arc::clone(label),
            value_bytes_max: 0,
        });
        let kind = match of {
            Aggregate::Count => Some(Kind::Int(whimbrel_model::kind::IntWidth::I64)),
            Aggregate::Sum => Some(Kind::Decimal(None)),
            Aggregate::Last | Aggregate::FirstOf | Aggregate::Min | Aggregate::Max => None,
        };
        TypedBase { base: Base::Aggregate(self.aggregations.len() - 1), kind }
    }

    fn fact(&mut self, fact: &At<Fact>) -> TypedBase {
        let text = Kind::Text(None);
        let int = Kind::Int(whimbrel_model::kind::IntWidth::I64);
        let kind = match fact.value {
            Fact::FilePath
            | Fact::FileName
            | Fact::FileStem
            | Fact::FileDir
            | Fact::FileSuffix
            | Fact::SourceName
            | Fact::PlanTimezone => Some(text),
            Fact::FileSha256 => {
                self.needs.sha256 = true;
                Some(text)
            }
            Fact::FileBlake3 => {
                self.needs.blake3 = true;
                Some(text)
            }
            Fact::FileText => {
                self.needs.text = true;
                Some(text)
            }
            Fact::FileMtime => Some(Kind::TimestampTz),
            Fact::FileSize => Some(int),
            Fact::SourceOrdinal | Fact::RecordNumber | Fact::RecordLine => {
                self.touched.record = true;
                Some(int)
            }
            Fact::RecordText => {
                self.touched.record = true;
                Some(text)
            }
            Fact::RecordJson => {
                self.touched.record = true;
                self.slot("record.json", &Field::Json);
                Some(Kind::Json)
            }
            Fact::ElementNumber => {
                self.touched.element = true;
                Some(int)
            }
            Fact::Element => {
                self.touched.element = true;
                None
            }
        };
        self.check_fact(fact);
        TypedBase { base: Base::Fact(fact.value), kind }
    }

    fn check_fact(&mut self, fact: &At<Fact>) {
        let is_element = matches!(self.mapping.each, PlanEach::Element(_));
        let is_file = self.mapping.each == PlanEach::File;
        let misplaced = match fact.value {
            Fact::Element | Fact::ElementNumber => !is_element,
            Fact::RecordNumber | Fact::RecordLine | Fact::RecordText | Fact::RecordJson => is_file,
            Fact::FileText => !is_file,
            Fact::FilePath
            | Fact::FileName
            | Fact::FileStem
            | Fact::FileDir
            | Fact::FileSuffix
            | Fact::FileMtime
            | Fact::FileSize
            | Fact::FileSha256
            | Fact::FileBlake3
            | Fact::SourceName
            | Fact::SourceOrdinal
            | Fact::PlanTimezone => false,
        };
        if misplaced {
            self.error(codes::MISPLACED, &fact.span, "this fact is not known where a row stands for that", None);
        }
    }

    fn field_or_let(&mut self, name: &At<String>) -> TypedBase {
        match self.resolve(&name.value) {
            Ok(Input::Let(index)) => TypedBase { base: Base::Let(index), kind: self.lets[index].kind },
            Ok(Input::Field(slot)) => TypedBase { base: Base::Field(slot), kind: self.field_kind(&name.value) },
            Ok(Input::New(_)) => TypedBase { base: Base::Value(Value::Null), kind: None },
            Err(unknown) => {
                self.error(codes::UNKNOWN_COLUMN, &name.span, unknown.message, unknown.help);
                TypedBase { base: Base::Value(Value::Null), kind: None }
            }
        }
    }

    /// A name of a let above, else of a field.
    fn resolve(&mut self, name: &str) -> Result<Input, Unknown> {
        let lets = self.mapping.lets.iter().take(self.lets.len());
        if let Some(index) = lets.rev().position(|(known, _)| known.value == name) {
            let index = self.lets.len() - 1 - index;
            let touched = self.lets[index].touched.clone();
            self.touched.merge(&touched);
            self.touched.lets.insert(index);
            return Ok(Input::Let(index));
        }
        if self.mapping.each == PlanEach::File {
            return Err(Unknown {
                message: format!("a file has no single `{}`", excerpt_text(name)),
                help: Some("say which record's: `{ last = … }`, `{ first_of = … }`, `{ max = … }`".into()),
            });
        }
        self.touched.record = true;
        self.field(name).map(Input::Field)
    }

    /// The slot of a field of the sources in scope.
    fn field(&mut self, name: &str) -> Result<usize, Unknown> {
        for source in self.scope.clone() {
            self.check_column(source, name)?;
        }
        let is_column = self.scope.iter().any(|source| self.sources[*source].has_column(name));
        if name.starts_with('/') && !is_column {
            if Pointer::parse(name).is_err() {
                return Err(Unknown { message: format!("`{}` is no JSON Pointer", excerpt_text(name)), help: None });
            }
            return Ok(self.slot(name, &Field::Pointer(name.to_owned())));
        }
        Ok(self.slot(name, &Field::Column(name.to_owned())))
    }

    /// A column of a source with a header must stand in every header, unless it is optional.
    fn check_column(&self, source: usize, name: &str) -> Result<(), Unknown> {
        let view = &self.sources[source];
        if !view.closed || view.plan.optional.iter().any(|optional| optional.value == name) {
            return Ok(());
        }
        let having = view.shapes.iter().filter(|shape| shape.columns.iter().any(|column| column.name == name)).count();
        if having == view.shapes.len() {
            return Ok(());
        }
        let source_name = &view.plan.name.value;
        if having > 0 {
            return Err(Unknown {
                message: format!("some files of `{source_name}` have no column `{}`", excerpt_text(name)),
                help: Some(format!("list it under `optional` of `[source.{source_name}]`: it is NULL there")),
            });
        }
        let columns = view.shapes.iter().flat_map(|shape| &shape.columns).map(|column| column.name.as_str());
        let lets = self.mapping.lets.iter().take(self.lets.len()).map(|(name, _)| name.value.as_str());
        Err(Unknown {
            message: format!("`{source_name}` has no column `{}`", excerpt_text(name)),
            help: did_you_mean(name, columns.chain(lets)),
        })
    }

    fn slot(&mut self, name: &str, field: &Field) -> usize {
        let at = self.slots.iter().position(|slot| slot.field == *field).unwrap_or_else(|| {
            let used = vec![false; self.sources.len()];
            self.slots.push(Slot { name: name.to_owned(), field: field.clone(), used });
            self.slots.len() - 1
        });
        for source in &self.scope {
            self.slots[at].used[*source] = true;
        }
        at
    }

    /// The kind of a field's values, where its sources agree: text where there is a header.
    fn field_kind(&self, name: &str) -> Option<Kind> {
        common_kind(self.scope.iter().map(|source| {
            let view = &self.sources[*source];
            let mut columns = view.shapes.iter().flat_map(|shape| &shape.columns);
            let declared = columns.find(|column| column.name == name).and_then(|column| column.kind);
            declared.or(view.closed.then_some(Kind::Text(None)))
        }))
    }

    /// Compiles CEL; with `new`, also names of target columns.
    fn program(&mut self, source: &At<String>, new: Option<&Table>) -> Option<Program<Input>> {
        let compiled = Program::compile(&source.value, &mut |name| match name {
            Name::Plain(name) => self.resolve(name),
            Name::New(name) => match new {
                Some(table) => table.column(name).map(Input::New).ok_or_else(|| Unknown {
                    message: format!("no target column `{}` is filled", excerpt_text(name)),
                    help: did_you_mean(name, table.columns.iter().map(|column| column.name.as_str())),
                }),
                None => Err(Unknown { message: "`new` is known in rules only".to_owned(), help: None }),
            },
        });
        match compiled {
            Ok(program) => Some(program),
            Err(mistakes) => {
                for Mistake { code, message, help, place } in mistakes {
                    let span = place.map_or_else(|| source.span.clone(), |place| inside(source, &place));
                    self.error(code, &span, message, help);
                }
                None
            }
        }
    }

    // ---------------------------------------------------------------------------------- coverage

    /// Every column of a source with a header is used by some table of the plan, ignored or archived.
    fn check_coverage(&mut self) {
        for source in 0..self.sources.len() {
            let view = &self.sources[source];
            let name = &view.plan.name.value;
            let first = self.plan.tables.iter().find(|table| table.from.iter().any(|from| from.value == *name));
            if !view.closed || first.is_none_or(|first| first.span != self.mapping.span) {
                continue;
            }
            let Some(used) = used_columns(self.plan, name) else { continue };
            let known = |column: &str| {
                used.contains(column)
                    || view.plan.ignore.iter().chain(&view.plan.archive).any(|name| name.value == column)
            };
            let mut missing = BTreeSet::new();
            let columns = view.shapes.iter().flat_map(|shape| &shape.columns).map(|column| &column.name);
            let unused: Vec<String> =
                columns.filter(|column| !known(column) && missing.insert(*column)).cloned().collect();
            let (span, name) = (view.plan.name.span.clone(), name.clone());
            for column in unused {
                let message = format!("column `{}` of `{name}` is carried nowhere", excerpt_text(&column));
                let help = format!("use it, or list it under `ignore` or `archive` of `[source.{name}]`");
                self.error(codes::UNMAPPED_COLUMN, &span, message, Some(help));
            }
        }
    }
}

impl SourceView<'_> {
    fn has_column(&self, name: &str) -> bool {
        self.shapes.iter().any(|shape| shape.columns.iter().any(|column| column.name == name))
    }
}

/// What a base gives, and of which kind where that is known.
struct TypedBase {
    base: Base,
    kind: Option<Kind>,
}

impl TypedBase {
    fn new(base: Base, kind: Kind) -> Self {
        Self { base, kind: Some(kind) }
    }
}

fn nodes(parts: Vec<Typed>) -> Vec<Node> {
    parts.into_iter().map(|part| part.node).collect()
}

fn common_kind(mut kinds: impl Iterator<Item = Option<Kind>>) -> Option<Kind> {
    let first = kinds.next().flatten()?;
    kinds.all(|kind| kind == Some(first)).then_some(first)
}

fn literal_kind(literal: &Literal) -> Kind {
    match literal {
        Literal::Bool(_) => Kind::Bool,
        Literal::Int(_) => Kind::Int(whimbrel_model::kind::IntWidth::I64),
        Literal::Float(_) => Kind::Float,
        Literal::Text(_) => Kind::Text(None),
    }
}

fn parsed_kind(formats: &[Format], zoneless: bool) -> Option<Kind> {
    let clocks = formats.iter().filter(|format| format.yields() == Yields::Clock).count();
    let local = formats.iter().filter(|format| format.yields() == Yields::Local).count();
    match (formats.len(), clocks, local) {
        (0, ..) => None,
        (all, clocks, _) if clocks == all => Some(Kind::Time),
        (all, 0, local) if zoneless && local == all => Some(Kind::Timestamp),
        (_, 0, _) if !zoneless => Some(Kind::TimestampTz),
        (..) => None,
    }
}

fn count_of(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The place of a part of a string in the plan: exact where the string is written without escapes,
/// else the whole string.
fn inside(source: &At<String>, place: &std::ops::Range<usize>) -> Span {
    let quotes = source.span.len().checked_sub(source.value.len());
    let before = match quotes {
        Some(0) => 0,
        Some(2) => 1,
        Some(6) => 3,
        // A line end after three quotes does not belong to the string.
        Some(7) => 4,
        Some(_) | None => return source.span.clone(),
    };
    let start = source.span.start + before;
    start + place.start..start + place.end.max(place.start + 1)
}

/// Columns of a source that some table reads by name; `None` where a table takes whole records.
fn used_columns(plan: &Plan, source: &str) -> Option<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    let mut whole = false;
    for table in plan.tables.iter().filter(|table| table.from.iter().any(|from| from.value == source)) {
        if let PlanEach::Element(pointer) = &table.each {
            used.insert(pointer.value.clone());
        }
        let exprs = table.lets.iter().chain(&table.columns).map(|(_, expr)| expr);
        for expr in exprs.chain(table.legacy_key.iter().flatten()) {
            expr.walk(&mut |expr| match &expr.base {
                PlanBase::Field(name) | PlanBase::Aggregate { field: Some(name), .. } => {
                    used.insert(name.value.clone());
                }
                PlanBase::Cel(source) => used.extend(names_in(&source.value)),
                PlanBase::Fact(fact) => {
                    whole |= matches!(fact.value, Fact::RecordJson | Fact::RecordText | Fact::FileText);
                }
                PlanBase::Value(_)
                | PlanBase::First(_)
                | PlanBase::Concat { .. }
                | PlanBase::Split { .. }
                | PlanBase::Uuid5(_)
                | PlanBase::Ref { .. }
                | PlanBase::Aggregate { field: None, .. }
                | PlanBase::BySource(_)
                | PlanBase::Hash { .. }
                | PlanBase::Object(_)
                | PlanBase::JsonChecksum(_) => {}
            });
        }
        let conditions = table.filter.iter().chain(table.rules.iter().map(|rule| &rule.cel));
        conditions.for_each(|cel| used.extend(names_in(&cel.value)));
    }
    if whole { None } else { Some(used) }
}

/// Names that a CEL expression refers to; none where it cannot be read.
fn names_in(source: &str) -> Vec<String> {
    let mut names = Vec::new();
    let compiled = Program::compile(source, &mut |name| {
        if let Name::Plain(name) = name {
            names.push(name.to_owned());
        }
        Ok(())
    });
    if compiled.is_ok() { names } else { Vec::new() }
}
