//! A compiled expression and its evaluation on one record.
//!
//! ```text
//! base ─▶ null, trim, lower, newlines, strip ─▶ map ─▶ list, matches, max_chars ─▶ timestamp, type
//!      ─▶ default ─▶ the column's kind            (a failure on the way: `invalid`)
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;
use whimbrel_model::plan::{Fact, Fold, HashAlgorithm, Invalid, ListRule, MapOther, MissingRef};
use whimbrel_model::{ChunkBuilder, DateTime, Row, SourceChunk, Time, Value, ValueRef};

use crate::aggregate::Aggregated;
use crate::cel::Program;
use crate::codes;
use crate::facts::PartitionFacts;
use crate::lookups::{Lookups, Parent};
use crate::notes::Pending;
use crate::op::kind::{Cell, Conversion, Converted, append_json};
use crate::op::text::{self, UNIT_SEPARATOR};
use crate::op::timestamp::{Format, Moment, not_a_time, written};
use crate::op::value_map::Map;
use crate::op::zone::Zone;
use crate::op::{Fault, canonical_json, hash, list, split, uuid5};
use crate::reason::{MASK, Reason, excerpt, excerpt_text};
use crate::step::Step;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) base: Base,
    pub(crate) ops: Option<Box<Ops>>,
    pub(crate) parse: Option<Box<Parse>>,
    /// `type`, where it is said inside of another expression.
    pub(crate) kind: Option<Box<Conversion>>,
    /// In its final kind.
    pub(crate) default: Option<Box<Value>>,
    /// The column's kind.
    pub(crate) target: Option<Box<Conversion>>,
    pub(crate) invalid: Invalid,
    /// Column or `let`, for reasons and notes.
    pub(crate) label: Arc<str>,
    /// The source field, where the value is one.
    pub(crate) field: Option<Arc<str>>,
    /// True where something sensitive goes into it: nothing of it is shown.
    pub(crate) sensitive: bool,
}

/// Where the value comes from.
#[derive(Debug)]
pub(crate) enum Base {
    Field(usize),
    Let(usize),
    Fact(Fact),
    Value(Value),
    First(Vec<Node>),
    Concat { parts: Vec<Node>, separator: String },
    Split { of: Box<Node>, by: String, part: i64 },
    Uuid5 { namespace: [u8; 16], parts: Vec<Node> },
    Ref { table: String, by: Vec<Node>, missing: MissingRef },
    Cel(Program<Input>),
    Aggregate(usize),
    Clock(usize),
    BySource(Vec<Option<Node>>),
    Hash { algorithm: HashAlgorithm, parts: Vec<Node> },
    Object(Vec<(String, Node)>),
    JsonChecksum(Box<Node>),
}

/// What a name in CEL stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Input {
    Field(usize),
    Let(usize),
    New(usize),
}

/// Operations on text, a map, a list, checks.
#[derive(Debug, Default)]
pub(crate) struct Ops {
    pub(crate) null: Vec<String>,
    pub(crate) trim: bool,
    pub(crate) lower: bool,
    pub(crate) newlines: bool,
    pub(crate) strip_prefix: Option<String>,
    pub(crate) strip_suffix: Option<String>,
    pub(crate) map: Option<(Arc<Map>, MapOther)>,
    pub(crate) list: Option<ListRule>,
    pub(crate) matches: Option<Regex>,
    pub(crate) max_chars: Option<u64>,
}

/// `timestamp`.
#[derive(Debug)]
pub(crate) struct Parse {
    pub(crate) formats: Vec<Format>,
    pub(crate) zone: Zone,
    pub(crate) fold: Fold,
    /// Local times stay local: the column has no zone.
    pub(crate) zoneless: bool,
}

/// Why there is no value.
#[derive(Clone, Debug)]
pub(crate) enum Failure {
    /// The expression's own operation: `invalid` decides.
    Own(Fault),
    /// The unit is refused.
    Final(Box<Reason>),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Own(fault)
    }
}

/// What a clock of the step made of the record.
#[derive(Clone, Debug)]
pub(crate) enum ClockValue {
    Null,
    At(DateTime),
    Failed(Fault, Option<String>),
    Refused(Box<Reason>),
}

pub(crate) type LetValue<'a> = Result<Cell<'a>, Box<Reason>>;

/// What an expression may look at.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a, 'c> {
    pub(crate) step: &'a Step,
    pub(crate) source: usize,
    pub(crate) facts: &'a PartitionFacts,
    pub(crate) record: Option<RecordView<'a>>,
    /// Number and value of the element, for `each = "/pointer"`.
    pub(crate) element: Option<(u64, &'c Cell<'a>)>,
    pub(crate) lookups: &'a Lookups,
    pub(crate) lets: &'c [LetValue<'a>],
    pub(crate) clocks: &'c [ClockValue],
    pub(crate) aggregates: &'c [Aggregated],
    /// The row under construction, for `new.COLUMN`.
    pub(crate) rows: Option<&'c ChunkBuilder>,
}

/// One record of a chunk.
#[derive(Clone, Copy)]
pub(crate) struct RecordView<'a> {
    pub(crate) chunk: &'a SourceChunk,
    pub(crate) row: Row<'a>,
    pub(crate) index: usize,
}

impl<'a: 'c, 'c> Context<'a, 'c> {
    /// The value of a field slot; NULL where the source does not have it.
    #[inline]
    pub(crate) fn field(&self, slot: usize) -> ValueRef<'a> {
        match (self.record, self.step.column_of(self.source, slot)) {
            (Some(record), Some(column)) => record.row.get(column),
            (_, _) => ValueRef::Null,
        }
    }

    /// What a name in CEL has on this record.
    pub(crate) fn input(&self, input: Input) -> Result<Cell<'c>, Failure> {
        match input {
            Input::Field(slot) => self.declared_field(slot),
            Input::Let(index) => match self.lets.get(index) {
                Some(Ok(value)) => Ok(Cell::Ref(value.as_ref())),
                Some(Err(reason)) => Err(Failure::Final(reason.clone())),
                None => Ok(Cell::NULL),
            },
            Input::New(column) => {
                Ok(self.rows.map_or(Cell::NULL, |rows| Cell::Ref(rows.current(column))))
            }
        }
    }

    /// A field as its source declares it.
    fn declared_field(&self, slot: usize) -> Result<Cell<'a>, Failure> {
        let value = Cell::Ref(self.field(slot));
        let Some(conversion) = self.step.declared_of(self.source, slot) else {
            return Ok(value);
        };
        let converted = conversion.apply(value).map_err(|fault| {
            let name = self.step.field_name(slot);
            Fault::new(codes::CEL_FAILED, format!("field `{name}`: {}", fault.message))
        });
        Ok(converted?.cell)
    }

    fn let_value(&self, index: usize) -> Result<Cell<'a>, Failure> {
        match self.lets.get(index) {
            Some(Ok(Cell::Ref(value))) => Ok(Cell::Ref(*value)),
            Some(Ok(Cell::Owned(value))) => Ok(Cell::Owned(value.clone())),
            Some(Err(reason)) => Err(Failure::Final(reason.clone())),
            None => Ok(Cell::NULL),
        }
    }

    fn fact(&self, fact: Fact) -> Result<Cell<'a>, Failure> {
        let text = |text: &'a str| Ok(Cell::Ref(ValueRef::Text(text)));
        let int = |value: u64| Ok(Cell::Ref(ValueRef::Int(value.into())));
        let position = self.record.map(|record| record.chunk.records[record.index].position);
        let hash = |hash: &'a Option<String>| match hash {
            Some(hash) => text(hash),
            None => Err(Fault::new(codes::NO_FILE_TEXT, "the file's hash is not known").into()),
        };
        match fact {
            Fact::FilePath => text(&self.facts.id.path),
            Fact::FileName => text(&self.facts.file.name),
            Fact::FileStem => text(&self.facts.file.stem),
            Fact::FileDir => text(&self.facts.file.dir),
            Fact::FileSuffix => text(&self.facts.file.suffix),
            Fact::FileMtime => match DateTime::from_unix_nanos(self.facts.file.mtime_nanos) {
                Some(at) => Ok(Cell::Ref(ValueRef::TimestampTz(at))),
                None => Err(not_a_time().into()),
            },
            Fact::FileSize => int(self.facts.file.size),
            Fact::FileSha256 => hash(&self.facts.sha256),
            Fact::FileBlake3 => hash(&self.facts.blake3),
            Fact::FileText => match &self.facts.text {
                Some(Ok(whole)) => text(whole),
                Some(Err(message)) => Err(Fault::new(codes::NO_FILE_TEXT, message.clone()).into()),
                None => Err(Fault::new(codes::NO_FILE_TEXT, "the file's text is not known").into()),
            },
            Fact::RecordNumber => position.map_or(Ok(Cell::NULL), |position| int(position.record)),
            Fact::RecordLine => position.map_or(Ok(Cell::NULL), |position| int(position.line)),
            Fact::RecordText => match self
                .record
                .map(|record| std::str::from_utf8(record.chunk.bytes(record.index)))
            {
                Some(Ok(whole)) => text(whole),
                Some(Err(_)) => {
                    Err(Fault::new(codes::NOT_UTF8, "the record's bytes are not UTF-8").into())
                }
                None => Ok(Cell::NULL),
            },
            Fact::RecordJson => {
                Ok(self.step.json_slot().map_or(Cell::NULL, |slot| Cell::Ref(self.field(slot))))
            }
            Fact::ElementNumber => self.element.map_or(Ok(Cell::NULL), |(number, _)| int(number)),
            Fact::Element => Ok(match self.element {
                Some((_, Cell::Ref(value))) => Cell::Ref(*value),
                Some((_, Cell::Owned(value))) => Cell::Owned(value.clone()),
                None => Cell::NULL,
            }),
            Fact::SourceName => text(self.step.source_name(self.source)),
            Fact::SourceOrdinal => int(self.facts.ordinal
                + position.map_or(0, |position| position.record.saturating_sub(1))),
            Fact::PlanTimezone => text(self.step.timezone()),
        }
    }
}

impl Node {
    /// The value on a record, or why the unit is refused.
    #[inline]
    pub(crate) fn eval<'a>(
        &'a self,
        cx: &Context<'a, '_>,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Box<Reason>> {
        let value = match self.base(cx, pending) {
            Ok(value) => value,
            Err(Failure::Final(reason)) => return Err(reason),
            Err(Failure::Own(fault)) => return self.on_invalid(fault, None, pending),
        };
        if self.ops.is_none()
            && self.parse.is_none()
            && self.kind.is_none()
            && self.default.is_none()
        {
            return match (&self.target, value) {
                (None, value) => Ok(value),
                (Some(target), value) => self.convert(target, value, pending),
            };
        }
        self.operate(&value, pending)
    }

    fn operate<'a>(
        &'a self,
        base: &Cell<'a>,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Box<Reason>> {
        let mut value = base.clone();
        if let Some(ops) = &self.ops {
            value = match ops.apply(value, self, pending) {
                Ok(value) => value,
                Err(Failure::Final(reason)) => return Err(reason),
                Err(Failure::Own(fault)) => return self.on_invalid(fault, Some(base), pending),
            };
        }
        if let Some(parse) = &self.parse {
            value = match parse.apply(value) {
                Ok(value) => value,
                Err(fault) => return self.on_invalid(fault, Some(base), pending),
            };
        }
        if let Some(kind) = &self.kind {
            value = match kind.apply(value) {
                Ok(converted) => self.note(converted, Some(base), pending),
                Err(fault) => return self.on_invalid(fault, Some(base), pending),
            };
        }
        if let (true, Some(default)) = (value.is_null(), &self.default) {
            return Ok(Cell::Ref(default.as_ref().as_ref()));
        }
        match &self.target {
            None => Ok(value),
            Some(target) => match target.apply(value) {
                Ok(converted) => Ok(self.note(converted, Some(base), pending)),
                Err(fault) => self.on_invalid(fault, Some(base), pending),
            },
        }
    }

    #[inline]
    fn convert<'a>(
        &'a self,
        target: &Conversion,
        value: Cell<'a>,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Box<Reason>> {
        let original =
            if let Cell::Ref(value) = &value { Cell::Ref(*value) } else { value.clone() };
        match target.apply(value) {
            Ok(Converted { cell, note: None }) => Ok(cell),
            Ok(converted) => Ok(self.note(converted, Some(&original), pending)),
            Err(fault) => self.on_invalid(fault, Some(&original), pending),
        }
    }

    fn note<'a>(
        &self,
        converted: Converted<'a>,
        original: Option<&Cell<'_>>,
        pending: &mut Pending,
    ) -> Cell<'a> {
        if let Some(code) = converted.note {
            let shown = || original.map(|original| self.shown(original.as_ref()));
            pending.convert(code, &self.label, shown);
        }
        converted.cell
    }

    /// What `invalid` says of a failure.
    fn on_invalid<'a>(
        &'a self,
        fault: Fault,
        original: Option<&Cell<'_>>,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Box<Reason>> {
        let shown = || {
            original
                .filter(|original| !original.is_null())
                .map(|original| self.shown(original.as_ref()))
        };
        // Without a single original value, as in CEL, the sample says what failed.
        let shown_or_why = || shown().or_else(|| Some(self.said(&fault)));
        match self.invalid {
            Invalid::Reject => Err(self.refuse(fault, shown())),
            Invalid::Null => {
                pending.convert(codes::INVALID_NULL, &self.label, shown_or_why);
                Ok(Cell::NULL)
            }
            Invalid::Default => {
                pending.convert(codes::INVALID_DEFAULT, &self.label, shown_or_why);
                Ok(self
                    .default
                    .as_ref()
                    .map_or(Cell::NULL, |default| Cell::Ref(default.as_ref().as_ref())))
            }
        }
    }

    /// A value as it may be shown.
    pub(crate) fn shown(&self, value: ValueRef<'_>) -> String {
        if self.sensitive { MASK.to_owned() } else { excerpt(value) }
    }

    /// What failed, in the place of a value.
    fn said(&self, fault: &Fault) -> String {
        if self.sensitive { MASK.to_owned() } else { excerpt_text(&fault.message) }
    }

    pub(crate) fn refuse(&self, fault: Fault, value: Option<String>) -> Box<Reason> {
        let mut reason = Reason::of_fault(if self.sensitive { fault.masked() } else { fault });
        reason.column = Some(self.label.to_string());
        reason.field = self.field.as_deref().map(str::to_owned);
        reason.value = value;
        reason
    }

    #[inline]
    fn base<'a>(
        &'a self,
        cx: &Context<'a, '_>,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Failure> {
        match &self.base {
            Base::Field(slot) => Ok(Cell::Ref(cx.field(*slot))),
            Base::Let(index) => cx.let_value(*index),
            Base::Fact(fact) => cx.fact(*fact),
            Base::Value(value) => Ok(Cell::Ref(value.as_ref())),
            Base::Clock(slot) => {
                self.clock(cx.clocks.get(*slot).unwrap_or(&ClockValue::Null), pending)
            }
            Base::Uuid5 { namespace, parts } => {
                let name = self.join(parts, cx, pending)?;
                Ok(Cell::Ref(ValueRef::Uuid(uuid5::of_name(namespace, &name))))
            }
            Base::Cel(program) => program.run(|input| cx.input(input)),
            Base::First(_)
            | Base::Concat { .. }
            | Base::Split { .. }
            | Base::Ref { .. }
            | Base::Aggregate(_)
            | Base::BySource(_)
            | Base::Hash { .. }
            | Base::Object(_)
            | Base::JsonChecksum(_) => self.composed(cx, pending),
        }
    }

    fn composed<'a>(
        &'a self,
        cx: &Context<'a, '_>,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Failure> {
        match &self.base {
            Base::First(parts) => {
                for part in parts {
                    let value = part.eval(cx, pending).map_err(Failure::Final)?;
                    if !value.is_null() {
                        return Ok(value);
                    }
                }
                Ok(Cell::NULL)
            }
            Base::BySource(branches) => match &branches[cx.source] {
                Some(branch) => branch.eval(cx, pending).map_err(Failure::Final),
                None => Ok(Cell::NULL),
            },
            Base::Concat { parts, separator } => concat(parts, separator, cx, pending),
            Base::Split { of, by, part } => {
                let value = of.eval(cx, pending).map_err(Failure::Final)?;
                if let Cell::Ref(ValueRef::Text(text)) = value {
                    return Ok(split::part(text, by, *part)
                        .map_or(Cell::NULL, |part| Cell::Ref(ValueRef::Text(part))));
                }
                let form = text::form(value.as_ref());
                let part = form.as_deref().and_then(|form| split::part(form, by, *part));
                Ok(part.map_or(Cell::NULL, |part| Cell::Owned(Value::Text(part.to_owned()))))
            }
            Base::Ref { table, by, missing } => self.parent(table, by, *missing, cx, pending),
            Base::Aggregate(index) => {
                Ok(Cell::Owned(cx.step.aggregation(*index).result(&cx.aggregates[*index])?))
            }
            Base::Hash { algorithm, parts } => {
                let joined = self.join(parts, cx, pending)?;
                Ok(Cell::Owned(Value::Text(hash::hex(*algorithm, joined.as_bytes()))))
            }
            Base::Object(members) => object(members, cx, pending),
            Base::JsonChecksum(of) => {
                let value = of.eval(cx, pending).map_err(Failure::Final)?;
                match text::form(value.as_ref()) {
                    Some(text) => Ok(Cell::Owned(Value::Text(canonical_json::checksum(&text)?))),
                    None => Ok(Cell::NULL),
                }
            }
            Base::Field(_)
            | Base::Let(_)
            | Base::Fact(_)
            | Base::Value(_)
            | Base::Clock(_)
            | Base::Uuid5 { .. }
            | Base::Cel(_) => self.base(cx, pending),
        }
    }

    fn clock<'a>(&'a self, clock: &ClockValue, pending: &mut Pending) -> Result<Cell<'a>, Failure> {
        match clock {
            ClockValue::Null => Ok(Cell::NULL),
            ClockValue::At(at) => Ok(Cell::Ref(ValueRef::TimestampTz(*at))),
            ClockValue::Refused(reason) => Err(Failure::Final(reason.clone())),
            ClockValue::Failed(fault, value) => match self.invalid {
                Invalid::Reject => Err(Failure::Final(self.refuse(fault.clone(), value.clone()))),
                Invalid::Null => {
                    pending.convert(codes::INVALID_NULL, &self.label, || value.clone());
                    Ok(Cell::NULL)
                }
                Invalid::Default => {
                    pending.convert(codes::INVALID_DEFAULT, &self.label, || value.clone());
                    Ok(self
                        .default
                        .as_ref()
                        .map_or(Cell::NULL, |default| Cell::Ref(default.as_ref().as_ref())))
                }
            },
        }
    }

    /// The parts' text forms, joined; NULL in one refuses the unit.
    fn join<'a>(
        &'a self,
        parts: &'a [Node],
        cx: &Context<'a, '_>,
        pending: &mut Pending,
    ) -> Result<String, Failure> {
        let mut joined = String::with_capacity(64);
        append_parts(&mut joined, parts, cx, pending).map_err(|failure| match failure {
            Failure::Own(fault) => Failure::Final(self.refuse(fault, None)),
            Failure::Final(reason) => Failure::Final(reason),
        })?;
        Ok(joined)
    }

    fn parent<'a>(
        &'a self,
        table: &str,
        by: &'a [Node],
        missing: MissingRef,
        cx: &Context<'a, '_>,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Failure> {
        let key = match (self.join(by, cx, pending), missing) {
            (Ok(key), _) => key,
            (Err(Failure::Final(reason)), MissingRef::Null) if reason.code == codes::NULL_PART => {
                return Ok(Cell::NULL);
            }
            (Err(failure), _) => return Err(failure),
        };
        let shown = || self.shown(ValueRef::Text(&key)).replace("\\u{1f}", " · ");
        match (cx.lookups.get(table, &key), missing) {
            (Some(Parent::Key(value)), _) => Ok(Cell::Ref(value.as_ref())),
            (Some(Parent::Several(places)), _) => {
                let message =
                    format!("records with this key became different rows of `{table}`: {places}");
                let fault = Fault::new(codes::SEVERAL_PARENTS, message);
                Err(Failure::Final(self.refuse(fault, Some(shown()))))
            }
            (Some(Parent::Unreadable), _) => {
                let fault = Fault::new(
                    codes::NO_PARENT,
                    format!("the key of the row in `{table}` cannot be read"),
                );
                Err(Failure::Final(self.refuse(fault, Some(shown()))))
            }
            (None, MissingRef::Reject) => {
                let fault = Fault::new(
                    codes::NO_PARENT,
                    format!("no row of `{table}` was made from this record"),
                );
                Err(Failure::Final(self.refuse(fault, Some(shown()))))
            }
            (None, MissingRef::Null) => {
                pending.convert(codes::PARENT_NULL, &self.label, || Some(shown()));
                Ok(Cell::NULL)
            }
        }
    }

    /// Calls `visit` for every reference in the expression.
    pub(crate) fn references<'n>(&'n self, visit: &mut dyn FnMut(&'n str, &'n [Node])) {
        if let Base::Ref { table, by, .. } = &self.base {
            visit(table, by);
        }
        for part in self.parts() {
            part.references(visit);
        }
    }

    /// True where every record of a file gives the same.
    pub(crate) fn is_of_the_file(&self) -> bool {
        match &self.base {
            Base::Value(_) => true,
            Base::Fact(fact) => is_of_the_file(*fact),
            Base::Field(_)
            | Base::Let(_)
            | Base::Cel(_)
            | Base::Aggregate(_)
            | Base::Clock(_)
            | Base::Ref { .. } => false,
            Base::First(_)
            | Base::Concat { .. }
            | Base::Split { .. }
            | Base::Uuid5 { .. }
            | Base::BySource(_)
            | Base::Hash { .. }
            | Base::Object(_)
            | Base::JsonChecksum(_) => self.parts().into_iter().all(Node::is_of_the_file),
        }
    }

    fn parts(&self) -> Vec<&Node> {
        match &self.base {
            Base::First(parts)
            | Base::Concat { parts, .. }
            | Base::Uuid5 { parts, .. }
            | Base::Hash { parts, .. }
            | Base::Ref { by: parts, .. } => parts.iter().collect(),
            Base::Split { of, .. } | Base::JsonChecksum(of) => vec![of],
            Base::BySource(branches) => branches.iter().flatten().collect(),
            Base::Object(members) => members.iter().map(|(_, node)| node).collect(),
            Base::Field(_)
            | Base::Let(_)
            | Base::Fact(_)
            | Base::Value(_)
            | Base::Cel(_)
            | Base::Aggregate(_)
            | Base::Clock(_) => Vec::new(),
        }
    }
}

fn is_of_the_file(fact: Fact) -> bool {
    match fact {
        Fact::FilePath
        | Fact::FileName
        | Fact::FileStem
        | Fact::FileDir
        | Fact::FileSuffix
        | Fact::FileMtime
        | Fact::FileSize
        | Fact::FileSha256
        | Fact::FileBlake3
        | Fact::FileText
        | Fact::SourceName
        | Fact::PlanTimezone => true,
        Fact::RecordNumber
        | Fact::RecordLine
        | Fact::RecordText
        | Fact::RecordJson
        | Fact::ElementNumber
        | Fact::Element
        | Fact::SourceOrdinal => false,
    }
}

/// Appends the parts' text forms with U+001F between them; [`codes::NULL_PART`] where one is NULL,
/// [`codes::PART_SEPARATOR`] where one of several holds that character.
pub(crate) fn append_parts<'a>(
    out: &mut String,
    parts: &'a [Node],
    cx: &Context<'a, '_>,
    pending: &mut Pending,
) -> Result<(), Failure> {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.push(UNIT_SEPARATOR);
        }
        let start = out.len();
        let value = part.eval(cx, pending).map_err(Failure::Final)?;
        if !text::append(out, value.as_ref()) {
            let which = match &part.field {
                Some(field) => format!("`{field}`"),
                None => format!("number {}", index + 1),
            };
            return Err(Fault::new(codes::NULL_PART, format!("part {which} is NULL")).into());
        }
        if parts.len() > 1 && out[start..].contains(UNIT_SEPARATOR) {
            let what = "a part holds the character U+001F, which stands between parts";
            return Err(Fault::new(codes::PART_SEPARATOR, what.to_owned()).into());
        }
    }
    Ok(())
}

fn concat<'a>(
    parts: &'a [Node],
    separator: &str,
    cx: &Context<'a, '_>,
    pending: &mut Pending,
) -> Result<Cell<'a>, Failure> {
    let mut out = None::<String>;
    for part in parts {
        let value = part.eval(cx, pending).map_err(Failure::Final)?;
        if value.is_null() {
            continue;
        }
        let out = match &mut out {
            Some(out) => {
                out.push_str(separator);
                out
            }
            None => out.insert(String::new()),
        };
        text::append(out, value.as_ref());
    }
    Ok(out.map_or(Cell::NULL, |out| Cell::Owned(Value::Text(out))))
}

fn object<'a>(
    members: &'a [(String, Node)],
    cx: &Context<'a, '_>,
    pending: &mut Pending,
) -> Result<Cell<'a>, Failure> {
    let mut out = String::from("{");
    for (index, (key, node)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        whimbrel_model::json::write_string(&mut out, key);
        out.push(':');
        let value = node.eval(cx, pending).map_err(Failure::Final)?;
        if !append_json(&mut out, value.as_ref()) {
            let message = format!("`{key}`: {} has no form as JSON", value.as_ref().noun());
            return Err(Fault::new(codes::WRONG_KIND, message).into());
        }
    }
    out.push('}');
    Ok(Cell::Owned(Value::Json(out)))
}

/// Applies a text operation without copying where the text stays the same or becomes shorter.
fn on_text<'a>(cell: Cell<'a>, op: impl for<'t> Fn(&'t str) -> Cow<'t, str>) -> Cell<'a> {
    match cell {
        Cell::Ref(ValueRef::Text(text)) => match op(text) {
            Cow::Borrowed(text) => Cell::Ref(ValueRef::Text(text)),
            Cow::Owned(text) => Cell::Owned(Value::Text(text)),
        },
        Cell::Owned(Value::Text(text)) => {
            let made = op(&text).into_owned();
            Cell::Owned(Value::Text(made))
        }
        Cell::Ref(_) | Cell::Owned(_) => cell,
    }
}

impl Ops {
    fn apply<'a>(
        &'a self,
        cell: Cell<'a>,
        node: &'a Node,
        pending: &mut Pending,
    ) -> Result<Cell<'a>, Failure> {
        let mut cell = cell;
        if !self.null.is_empty() && self.means_null(&cell) {
            return Ok(Cell::NULL);
        }
        if self.trim {
            cell = on_text(cell, |text| Cow::Borrowed(text::trim(text)));
        }
        if self.lower {
            cell = on_text(cell, text::lower);
        }
        if self.newlines {
            cell = on_text(cell, text::newlines);
        }
        if let Some(prefix) = &self.strip_prefix {
            cell = on_text(cell, |text| Cow::Borrowed(text::strip_prefix(text, prefix)));
        }
        if let Some(suffix) = &self.strip_suffix {
            cell = on_text(cell, |text| Cow::Borrowed(text::strip_suffix(text, suffix)));
        }
        if let Some((map, other)) = &self.map {
            cell = mapped(cell, map, *other, node, pending)?;
        }
        if cell.is_null() {
            return Ok(cell);
        }
        if let Some(rule) = &self.list {
            cell = Cell::Owned(Value::Json(list::apply(cell.as_ref(), rule)?));
        }
        self.check(&cell)?;
        Ok(cell)
    }

    fn means_null(&self, cell: &Cell<'_>) -> bool {
        let form = text::form(cell.as_ref());
        form.is_some_and(|form| self.null.iter().any(|null| *null == form))
    }

    fn check(&self, cell: &Cell<'_>) -> Result<(), Fault> {
        if self.matches.is_none() && self.max_chars.is_none() {
            return Ok(());
        }
        let form = text::form(cell.as_ref()).unwrap_or_default();
        if self.matches.as_ref().is_some_and(|matches| !matches.is_match(&form)) {
            return Err(Fault::new(codes::NO_MATCH, "the text does not match"));
        }
        if let Some(most) = self.max_chars {
            let count = form.chars().count() as u64;
            if count > most {
                return Err(Fault::new(
                    codes::TOO_LONG,
                    format!("{count} characters, at most {most} are wanted"),
                ));
            }
        }
        Ok(())
    }
}

fn mapped<'a>(
    cell: Cell<'a>,
    map: &'a Map,
    other: MapOther,
    node: &'a Node,
    pending: &mut Pending,
) -> Result<Cell<'a>, Failure> {
    let found = match text::form(cell.as_ref()) {
        None => return Ok(Cell::NULL),
        Some(form) => map.get(&form),
    };
    if let Some(value) = found {
        return Ok(Cell::Ref(value.as_ref()));
    }
    let shown = node.shown(cell.as_ref());
    match other {
        MapOther::Reject => {
            let fault = Fault::new(codes::NOT_IN_MAP, "the value is not in its map");
            Err(Failure::Final(node.refuse(fault, Some(shown))))
        }
        MapOther::Keep => {
            pending.convert(codes::MAP_KEPT, &node.label, || Some(shown));
            Ok(cell)
        }
        MapOther::Null => {
            pending.convert(codes::MAP_NULL, &node.label, || Some(shown));
            Ok(Cell::NULL)
        }
    }
}

/// The first format that reads the text; else the most telling of their faults.
pub(crate) fn parse_any(formats: &[Format], text: &str) -> Result<Moment, Fault> {
    let mut fault = not_a_time();
    for format in formats {
        match format.parse(text) {
            Ok(moment) => return Ok(moment),
            Err(other) if other.code != codes::NOT_A_TIME => fault = other,
            Err(_) => {}
        }
    }
    Err(fault)
}

impl Parse {
    fn apply<'a>(&self, cell: Cell<'a>) -> Result<Cell<'a>, Fault> {
        match cell.as_ref() {
            ValueRef::Null
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::TimestampTz(_) => return Ok(cell),
            ValueRef::Bool(_)
            | ValueRef::Int(_)
            | ValueRef::Decimal(_)
            | ValueRef::Float(_)
            | ValueRef::Text(_)
            | ValueRef::Bytes(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_) => {}
        }
        let text = written(cell.as_ref()).ok_or_else(not_a_time)?;
        Ok(Cell::Ref(match parse_any(&self.formats, &text)? {
            Moment::Instant(at) => ValueRef::TimestampTz(at),
            Moment::Local(at) if self.zoneless => ValueRef::Timestamp(at),
            Moment::Local(at) => ValueRef::TimestampTz(self.zone.instant(at, self.fold)?),
            Moment::Clock(nanos) => ValueRef::Time(Time { nanos: nanos as i64 }),
        }))
    }
}
