//! From a plan's table to a [`Step`]: every mistake that can be known before a record is read.

mod expr;
mod fields;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use whimbrel_model::plan::did_you_mean;
use whimbrel_model::plan::{
    At, Base as PlanBase, DuplicateConflict, DuplicatesBy, Each as PlanEach, Existing, Expr, Fold,
    Format, Invalid, MapOther, MissingRef, Plan, Source, Span, TableMapping,
};
use whimbrel_model::{Column, Field, Kind, Shape, Table};

use crate::CompileError;
use crate::aggregate::Aggregation;
use crate::codes;
use crate::node::Node;
use crate::op::kind::{Conversion, Limits, can_become};
use crate::op::value_map::Map;
use crate::op::zone::Zone;
use crate::plain::Plain;
use crate::reason::excerpt_text;
use crate::step::{Clock, Condition, DuplicateKey, Each, Let, Needs, RowRule, SourcePlan, Step};
use expr::Wanted;

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
    /// The kinds of the keys of the tables that this one may refer to, where they have one column.
    pub keys: BTreeMap<String, Kind>,
}

/// What the files of a source look like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SourceShape {
    /// Name of the source in the plan.
    pub source: String,
    /// Distinct shapes.
    pub shapes: Vec<Shape>,
}

/// Nothing is known: the table is what the mapping makes of it, and holds every value.
impl Default for Environment<'_> {
    fn default() -> Self {
        Self {
            table: None,
            sources: Vec::new(),
            limits: Limits::NONE,
            referenced: false,
            keys: BTreeMap::new(),
        }
    }
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
    /// For each target column compiled so far whether something sensitive goes into it.
    sensitive_columns: Vec<bool>,
    /// Whether what `each` takes apart is sensitive.
    sensitive_elements: bool,
    errors: Vec<CompileError>,
}

/// A source and what its files look like.
struct SourceView<'a> {
    plan: &'a Source,
    /// Distinct headers, or keys seen.
    shapes: Vec<&'a Shape>,
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
    sensitive: bool,
    lets: BTreeSet<usize>,
}

impl Touched {
    fn merge(&mut self, other: &Self) {
        self.record |= other.record;
        self.element |= other.element;
        self.clock |= other.clock;
        self.aggregate |= other.aggregate;
        self.sensitive |= other.sensitive;
        self.lets.extend(&other.lets);
    }
}

impl<'a> Compiler<'a> {
    fn new(plan: &'a Plan, mapping: &'a TableMapping, environment: &'a Environment<'a>) -> Self {
        let view = |name: &At<String>| {
            let source = plan.source(&name.value)?;
            let shapes = environment.sources.iter().find(|shape| shape.source == name.value);
            let shapes = shapes.map_or(&[][..], |shape| shape.shapes.as_slice());
            // Only a header can be wrong; of an empty file there is none.
            let headers: Vec<&'a Shape> =
                shapes.iter().filter(|shape| !shape.columns.is_empty()).collect();
            let closed = match source.format {
                Format::Csv(_) | Format::Database(_) => {
                    !headers.is_empty() && headers.iter().all(|shape| shape.closed)
                }
                Format::Json { .. } | Format::JsonLines | Format::Markdown | Format::Text => false,
            };
            Some(SourceView { plan: source, shapes: headers, closed })
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
            maps: plan
                .maps
                .iter()
                .map(|map| (map.name.value.as_str(), Arc::new(Map::new(map))))
                .collect(),
            touched: Touched::default(),
            sensitive_columns: Vec::new(),
            sensitive_elements: false,
            errors: Vec::new(),
        };
        if let Some(zone) = &plan.timezone {
            compiler.zone = compiler.zone_named(zone);
        }
        compiler
    }

    fn error(
        &mut self,
        code: &'static str,
        span: &Span,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.errors.push(CompileError {
            code,
            message: message.into(),
            span: Some(span.clone()),
            help,
        });
    }

    fn step(&mut self) -> Step {
        let mapping = self.mapping;
        let each = self.each();
        self.compile_lets();
        let filter = mapping.filter.as_ref().and_then(|filter| {
            let (program, sensitive) = self.condition(filter, None)?;
            Some(Condition { program, source: Arc::from(filter.value.as_str()), sensitive })
        });
        let (table, columns) = self.columns();
        self.sensitive_columns = columns.iter().map(|column| column.sensitive).collect();
        let rules = mapping.rules.iter().filter_map(|rule| {
            let (program, sensitive) = self.condition(&rule.cel, Some(&table))?;
            Some(RowRule {
                name: Arc::from(rule.name.value.as_str()),
                program,
                severity: rule.severity,
                sensitive,
            })
        });
        let rules: Vec<RowRule> = rules.collect();
        let legacy_key = self.stores_mappings().then(|| {
            let label = Arc::from("legacy_key");
            let parts = mapping.legacy_key_parts();
            parts.into_iter().map(|part| self.node(part, &label, Wanted::PART).node).collect()
        });
        let duplicates = self.duplicates(&table);
        let archive = self.archive();
        self.check_settings();
        // Where a name is wrong already, the column it should have been looks unused.
        if self.errors.is_empty() {
            self.check_coverage();
        }
        self.end_carried();
        self.needs.records = each != Each::File || !self.aggregations.is_empty();
        let used = self.used_lets();
        let lets = std::mem::take(&mut self.lets).into_iter().enumerate();
        let lets = lets
            .map(|(index, each)| Let { node: each.node, used: used.contains(&index) })
            .collect();
        let is_required = |(index, column): (usize, &Column)| {
            (!column.nullable || table.key.contains(&index)).then_some(index)
        };
        Step {
            each,
            sources: archive
                .iter()
                .enumerate()
                .map(|(source, archive)| self.source_plan(source, archive))
                .collect(),
            json_slot: self.slots.iter().position(|slot| slot.field == Field::Json),
            slots: self.slots.iter().map(|slot| slot.name.clone()).collect(),
            lets,
            clocks: std::mem::take(&mut self.clocks),
            aggregations: std::mem::take(&mut self.aggregations),
            filter,
            plain: columns.iter().map(Plain::of).collect(),
            required: table.columns.iter().enumerate().filter_map(is_required).collect(),
            columns,
            table,
            rules,
            legacy_key,
            duplicates,
            timezone: self
                .plan
                .timezone
                .as_ref()
                .map_or_else(|| "UTC".to_owned(), |zone| zone.value.clone()),
            needs: self.needs,
        }
    }

    /// Shares the room of a mark among the aggregates.
    fn end_carried(&mut self) {
        let count = self.aggregations.len();
        for aggregation in &mut self.aggregations {
            aggregation.value_bytes_max = Aggregation::value_bytes_max(count);
        }
        if self.clocks.len() > CARRIED_MAX || count > CARRIED_MAX {
            let message = format!("more than {CARRIED_MAX} clocks or aggregates in one table");
            self.error(codes::BAD_RULE, &self.mapping.span, message, None);
        }
    }

    fn each(&mut self) -> Each {
        match &self.mapping.each {
            PlanEach::Record => Each::Record,
            PlanEach::File => Each::File,
            PlanEach::Element(pointer) => match self.field(&pointer.value) {
                Ok(slot) => {
                    self.sensitive_elements = self.touched.sensitive;
                    Each::Element(slot)
                }
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
        let sensitive = !view.plan.sensitive.is_empty();
        let name = view.plan.name.value.clone();
        SourcePlan { name, fields, columns, declared, archive, sensitive }
    }

    fn compile_lets(&mut self) {
        for (name, expr) in &self.mapping.lets {
            let label: Arc<str> = Arc::from(name.value.as_str());
            let (typed, touched) =
                self.watched(|compiler| compiler.node(expr, &label, Wanted::PART));
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
        let mut table =
            Table { name: mapping.into.value.clone(), columns: Vec::new(), key: Vec::new() };
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
            column.kind = self.environment.limits.held(guess.unwrap_or(Kind::Any));
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
            let message = format!(
                "`{}` holds {}, the expression gives {}",
                label,
                column.kind.name(),
                kind.name()
            );
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
        let help =
            did_you_mean(&name.value, table.columns.iter().map(|column| column.name.as_str()));
        self.error(codes::UNKNOWN_TARGET_COLUMN, &name.span, message, help);
        None
    }

    fn check_required(&mut self, table: &Table) {
        let Some(described) = self.environment.table else {
            return;
        };
        for column in &described.columns {
            if !column.nullable && !column.has_default && table.column(&column.name).is_none() {
                let message = format!(
                    "`{}.{}` is required, and nothing fills it",
                    described.name, column.name
                );
                self.error(codes::REQUIRED_COLUMN, &self.mapping.into.span, message, None);
            }
        }
    }

    fn key(&mut self, table: &Table) -> Vec<usize> {
        let mut key = Vec::new();
        for name in &self.mapping.key {
            if let Some(index) = table.column(&name.value) {
                key.push(index);
            } else {
                let message = format!("`key` names `{}`, which nothing fills", name.value);
                let help = did_you_mean(
                    &name.value,
                    table.columns.iter().map(|column| column.name.as_str()),
                );
                self.error(codes::KEY_NOT_FILLED, &name.span, message, help);
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

    /// References and duplicates look for them, and an update for whether a row is still as it was
    /// written.
    fn stores_mappings(&self) -> bool {
        let by_columns = self.mapping.duplicates.as_ref().is_some_and(|duplicates| {
            matches!(duplicates.by, DuplicatesBy::Columns(_))
                && duplicates.conflict == DuplicateConflict::Map
        });
        self.environment.referenced
            || self.mapping.legacy_key.is_some()
            || self.mapping.existing == Existing::Update
            || by_columns
    }

    fn duplicates(&mut self, table: &Table) -> Option<DuplicateKey> {
        let duplicates = self.mapping.duplicates.as_ref()?;
        let mut columns = Vec::new();
        if let DuplicatesBy::Columns(names) = &duplicates.by {
            for name in names {
                if let Some(index) = table.column(&name.value) {
                    columns.push(index);
                } else {
                    let message =
                        format!("`duplicates` names `{}`, which nothing fills", name.value);
                    self.error(codes::KEY_NOT_FILLED, &name.span, message, None);
                }
            }
        }
        Some(DuplicateKey { columns, scope: duplicates.scope })
    }

    /// Of the tables that take records of a source, the first one archives.
    fn archives(&self, source: usize) -> bool {
        let name = &self.sources[source].plan.name.value;
        let reads = |table: &&TableMapping| {
            table.each != PlanEach::File && table.from.iter().any(|from| from.value == *name)
        };
        let first = self.plan.tables.iter().find(reads);
        first.is_some_and(|first| first.span == self.mapping.span)
    }

    /// A misspelt `sensitive` would show what it was meant to hide, misspelt settings of a column would
    /// change nothing, without a word.
    fn check_settings(&mut self) {
        for source in 0..self.sources.len() {
            let (view, plan) = (&self.sources[source], self.sources[source].plan);
            let reads = |from: &At<String>| from.value == plan.name.value;
            let first = self.plan.tables.iter().find(|table| table.from.iter().any(reads));
            if !view.closed || first.is_none_or(|first| first.span != self.mapping.span) {
                continue;
            }
            let columns = || view.shapes.iter().flat_map(|shape| &shape.columns);
            let optional = plan.optional.iter().map(|name| name.value.as_str());
            let known: Vec<&str> =
                columns().map(|column| column.name.as_str()).chain(optional).collect();
            let is_known = |name: &str| {
                // A pointer leads into a document that stands in a column.
                let column = name.strip_prefix('/').and_then(|rest| rest.split('/').next());
                known.contains(&name) || column.is_some_and(|column| known.contains(&column))
            };
            let settings = plan.columns.iter().map(|column| &column.name);
            let named = plan.sensitive.iter().chain(settings);
            let wrong = named.filter(|name| !is_known(&name.value));
            let errors = wrong.map(|name| CompileError {
                code: codes::UNKNOWN_COLUMN,
                message: format!(
                    "`{}` has no column `{}`",
                    plan.name.value,
                    excerpt_text(&name.value)
                ),
                span: Some(name.span.clone()),
                help: did_you_mean(&name.value, known.iter().copied()),
            });
            let errors: Vec<CompileError> = errors.collect();
            self.errors.extend(errors);
        }
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
            let own = self.archives(source);
            for name in self.sources[source].plan.archive.iter().filter(|_| own) {
                match self.field(&name.value) {
                    Ok(slot) => slots.push((name.value.clone(), slot)),
                    Err(unknown) => {
                        self.error(
                            codes::UNKNOWN_COLUMN,
                            &name.span,
                            unknown.message,
                            unknown.help,
                        );
                    }
                }
            }
            archive.push(slots);
        }
        self.scope = whole;
        archive
    }
}
