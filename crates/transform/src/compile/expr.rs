//! Expressions of a plan to nodes: bases, operations, kinds, and what they look at.

use std::sync::Arc;

use whimbrel_model::kind::IntWidth;
use whimbrel_model::plan::did_you_mean;
use whimbrel_model::plan::{
    Aggregate, At, Base as PlanBase, Each as PlanEach, Expr, Fact, Invalid, Literal, MissingRef,
    Span,
};
use whimbrel_model::{Column, Field, Kind, Value};

use super::{Compiler, Touched};
use crate::aggregate::{Aggregation, Compare};
use crate::cel::{self, Unknown};
use crate::codes;
use crate::node::{Base, Node, Ops, Parse};
use crate::op::kind::{Cell, Conversion};
use crate::op::timestamp::{Format, Yields};
use crate::op::uuid5;
use crate::op::value_map::literal_value;
use crate::op::zone::Zone;
use crate::reason::excerpt_text;
use crate::step::Clock;

/// What an expression is for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'c> {
    /// The column that it fills, directly or as a branch of `first` or `by_source`.
    pub(super) column: Option<&'c Column>,
    /// True for the column's own expression: its `type` is the column's kind.
    pub(super) top: bool,
}

impl Wanted<'_> {
    pub(super) const PART: Self = Self { column: None, top: false };
}

/// A node, and the kind of its values where it is known.
pub(super) struct Typed {
    pub(super) node: Node,
    pub(super) kind: Option<Kind>,
}

impl Compiler<'_> {
    pub(super) fn node(&mut self, expr: &Expr, label: &Arc<str>, wanted: Wanted<'_>) -> Typed {
        let hint = if wanted.top { wanted.column.map(|column| column.kind) } else { None };
        let hint = expr
            .kind
            .as_ref()
            .map(|kind| kind.value)
            .or(hint)
            .or(wanted.column.map(|column| column.kind));
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
        let (base, touched) =
            self.watched(|compiler| compiler.base(expr, label, below, hint, &zone));
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
            sensitive: touched.sensitive,
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
                        let message = format!(
                            "`{}` has no day, and `start` is not said",
                            excerpt_text(&text.value)
                        );
                        self.error(codes::BAD_CLOCK, &text.span, message, None);
                    }
                    formats.push(format);
                }
                Err(why) => {
                    let message =
                        format!("format `{}`: {}", excerpt_text(&text.value), excerpt_text(&why));
                    self.error(codes::BAD_FORMAT, &text.span, message, None);
                }
            }
        }
        formats
    }

    /// Moves the text of a clock into the step's clocks; the node then reads the clock.
    fn clock(
        &mut self,
        expr: &Expr,
        node: Node,
        formats: Vec<Format>,
        zone: Zone,
        text: &Touched,
    ) -> Node {
        let Some(start) = &expr.start else {
            return node;
        };
        if !formats.iter().any(|format| format.yields() == Yields::Clock)
            && formats.len() == expr.timestamp.len()
        {
            let message = "`start` is only for formats without a day";
            self.error(codes::BAD_CLOCK, &start.span, message, None);
        }
        let label = Arc::clone(&node.label);
        let (typed, touched) = self.watched(|compiler| {
            let moment = Column {
                name: "start".into(),
                kind: Kind::TimestampTz,
                nullable: true,
                has_default: false,
            };
            compiler.node(start, &label, Wanted { column: Some(&moment), top: true })
        });
        let known =
            touched.lets.is_empty() && !touched.record && !touched.element && !touched.aggregate;
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
            sensitive: node.sensitive,
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
        let map = expr.map.as_ref().and_then(|name| {
            if let Some(map) = self.maps.get(name.value.as_str()) {
                return Some((Arc::clone(map), expr.map_other));
            }
            let help = did_you_mean(&name.value, self.maps.keys().copied());
            self.error(
                codes::UNKNOWN_MAP,
                &name.span,
                format!("unknown map `{}`", name.value),
                help,
            );
            None
        });
        let matches = expr.matches.as_ref().and_then(|pattern| match cel::regex(&pattern.value) {
            Ok(regex) => Some(regex),
            Err(why) => {
                self.error(
                    codes::BAD_REGEX,
                    &pattern.span,
                    format!("`matches`: {}", excerpt_text(&why)),
                    None,
                );
                None
            }
        });
        // Of an aggregate, `null` says which records' values do not count.
        let null = if matches!(expr.base, PlanBase::Aggregate { .. }) {
            Vec::new()
        } else {
            expr.null.clone()
        };
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
    fn literal(
        &mut self,
        literal: &Literal,
        conversion: Option<&Conversion>,
        span: &Span,
    ) -> Value {
        let value = literal_value(literal);
        let Some(conversion) = conversion else {
            return value;
        };
        match conversion.apply(Cell::Ref(value.as_ref())) {
            Ok(converted) => converted.cell.into_value(),
            Err(fault) => {
                let kind = conversion.kind.name();
                let message = format!(
                    "`{}` is no {kind}: {}",
                    excerpt_text(&value.as_ref().to_string()),
                    fault.message
                );
                self.error(codes::BAD_LITERAL, span, message, None);
                Value::Null
            }
        }
    }

    pub(super) fn zone_named(&mut self, name: &At<String>) -> Zone {
        Zone::named(&name.value).unwrap_or_else(|| {
            let message = format!("unknown time zone `{}`", excerpt_text(&name.value));
            self.error(codes::UNKNOWN_ZONE, &name.span, message, None);
            Zone::UTC
        })
    }

    fn base(
        &mut self,
        expr: &Expr,
        label: &Arc<str>,
        below: Wanted<'_>,
        hint: Option<Kind>,
        zone: &Zone,
    ) -> TypedBase {
        match &expr.base {
            PlanBase::Field(name) => self.field_or_let(name),
            PlanBase::Fact(fact) => self.fact(fact),
            PlanBase::Value(literal) => {
                let value = literal_value(literal);
                let kind = literal_kind(literal);
                TypedBase { base: Base::Value(value), kind: Some(kind) }
            }
            PlanBase::First(parts) => {
                let parts: Vec<Typed> =
                    parts.iter().map(|part| self.node(part, label, below)).collect();
                let kind = common_kind(parts.iter().map(|part| part.kind));
                TypedBase { base: Base::First(nodes(parts)), kind }
            }
            PlanBase::Concat { parts, separator } => {
                let parts = self.parts(parts, label);
                TypedBase::new(
                    Base::Concat { parts, separator: separator.clone() },
                    Kind::Text(None),
                )
            }
            PlanBase::Split { of, by, part } => {
                if *part == 0 || by.is_empty() {
                    let message =
                        "`split` needs a separator, and a `part` from 1 or, backwards, from -1";
                    self.error(codes::BAD_RULE, &expr.span, message, None);
                }
                let of = Box::new(self.node(of, label, Wanted::PART).node);
                TypedBase::new(Base::Split { of, by: by.clone(), part: *part }, Kind::Text(None))
            }
            PlanBase::Uuid5(parts) => {
                let namespace = self
                    .plan
                    .namespace
                    .as_ref()
                    .map_or(uuid5::NAMESPACE, |namespace| namespace.value);
                let parts = self.parts(parts, label);
                TypedBase::new(Base::Uuid5 { namespace, parts }, Kind::Uuid)
            }
            PlanBase::Ref { table, by, missing } => {
                self.reference(expr, table, by, *missing, label)
            }
            PlanBase::Cel(source) => match self.program(source, None) {
                Some(program) => TypedBase { base: Base::Cel(program), kind: None },
                None => TypedBase { base: Base::Value(Value::Null), kind: None },
            },
            PlanBase::Aggregate { of, field } => {
                self.aggregate(expr, *of, field.as_ref(), label, hint, zone)
            }
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

    fn by_source(
        &mut self,
        branches: &[(At<String>, Expr)],
        label: &Arc<str>,
        below: Wanted<'_>,
    ) -> TypedBase {
        let whole = self.scope.clone();
        let mut made: Vec<Option<Node>> = self.sources.iter().map(|_| None).collect();
        let mut kinds = Vec::new();
        for (name, expr) in branches {
            let source =
                self.sources.iter().position(|source| source.plan.name.value == name.value);
            let Some(source) = source else {
                let help = did_you_mean(
                    &name.value,
                    self.mapping.from.iter().map(|from| from.value.as_str()),
                );
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
                let help = did_you_mean(
                    &table.value,
                    self.plan.tables.iter().map(|table| table.into.value.as_str()),
                );
                let message = format!("no table of the plan fills `{}`", table.value);
                self.error(codes::BAD_REFERENCE, &table.span, message, help);
            }
            Some(parent) if parent.into.value == self.mapping.into.value => {
                self.error(
                    codes::BAD_REFERENCE,
                    &table.span,
                    "a row cannot refer to a row of its own table",
                    None,
                );
            }
            Some(parent) => {
                let parts = parent.legacy_key_parts().len();
                if parent.key.len() != 1 {
                    let message =
                        format!("`{}` has no key of a single column to refer to", table.value);
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
            self.error(
                codes::BAD_CLOCK,
                &expr.span,
                "a reference cannot be made of a clock time",
                None,
            );
        }
        self.touched.merge(&touched);
        let kind = self.environment.keys.get(&table.value).copied();
        TypedBase { base: Base::Ref { table: table.value.clone(), by, missing }, kind }
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
            self.error(
                codes::MISPLACED,
                &expr.span,
                message,
                Some("a table with `each = \"file\"` can say it".into()),
            );
        }
        let (slot, touched) = self.watched(|compiler| {
            let name = field?;
            match compiler.field(&name.value) {
                Ok(slot) => Some(slot),
                Err(unknown) => {
                    let Unknown { message, help } = unknown;
                    compiler.error(codes::UNKNOWN_COLUMN, &name.span, message, help);
                    None
                }
            }
        });
        self.touched.merge(&touched);
        let numeric = matches!(hint, Some(Kind::Int(_) | Kind::Decimal(_) | Kind::Float));
        // As texts, instants with different offsets would stand in another order.
        let own: &[&str] =
            if hint == Some(Kind::TimestampTz) { &["rfc3339", "iso8601"] } else { &[] };
        let said: Vec<&str> = expr.timestamp.iter().map(|text| text.value.as_str()).collect();
        let formats = if said.is_empty() { own } else { &said };
        let compare = if !formats.is_empty() {
            let formats = formats.iter().filter_map(|text| Format::compile(text).ok()).collect();
            let as_day = hint == Some(Kind::Date);
            Compare::Instants { formats, zone: zone.clone(), fold: expr.fold, as_day }
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
            sensitive: touched.sensitive,
        });
        let kind = match of {
            Aggregate::Count => Some(Kind::Int(IntWidth::I64)),
            Aggregate::Sum => Some(Kind::Decimal(None)),
            Aggregate::Last | Aggregate::FirstOf | Aggregate::Min | Aggregate::Max => None,
        };
        TypedBase { base: Base::Aggregate(self.aggregations.len() - 1), kind }
    }

    fn fact(&mut self, fact: &At<Fact>) -> TypedBase {
        let text = Kind::Text(None);
        let int = Kind::Int(IntWidth::I64);
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
                self.touch_records();
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
                self.touch_records();
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
                self.touched.sensitive |= self.sensitive_elements;
                None
            }
        };
        self.check_fact(fact);
        TypedBase { base: Base::Fact(fact.value), kind }
    }

    /// An expression holds whole records, with all their columns.
    fn touch_records(&mut self) {
        let hidden = |source: &usize| !self.sources[*source].plan.sensitive.is_empty();
        self.touched.sensitive |= self.scope.iter().any(hidden);
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
            self.error(
                codes::MISPLACED,
                &fact.span,
                "this fact is not known where a row stands for that",
                None,
            );
        }
    }
}

/// What a base gives, and of which kind where that is known.
pub(super) struct TypedBase {
    pub(super) base: Base,
    pub(super) kind: Option<Kind>,
}

impl TypedBase {
    fn new(base: Base, kind: Kind) -> Self {
        Self { base, kind: Some(kind) }
    }
}

fn nodes(parts: Vec<Typed>) -> Vec<Node> {
    parts.into_iter().map(|part| part.node).collect()
}

pub(super) fn common_kind(mut kinds: impl Iterator<Item = Option<Kind>>) -> Option<Kind> {
    let first = kinds.next().flatten()?;
    kinds.all(|kind| kind == Some(first)).then_some(first)
}

fn literal_kind(literal: &Literal) -> Kind {
    match literal {
        Literal::Bool(_) => Kind::Bool,
        Literal::Int(_) => Kind::Int(IntWidth::I64),
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
