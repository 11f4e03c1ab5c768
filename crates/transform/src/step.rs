//! A table's mapping, compiled: from records to rows, one unit at a time.
//!
//! ```text
//! record ─▶ defect? ─▶ lets ─▶ clocks ─▶ where ─▶ columns ─▶ key, NULL ─▶ rules ─▶ rows of the unit
//! ```
//! Nothing here fails: a record that cannot be used is a unit with a reason. A unit of which one row
//! is refused has no rows. What comes out depends on the records alone, not on how they are cut into
//! chunks.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use whimbrel_model::json::{self, Json, write_string};
use whimbrel_model::plan::{DuplicatesScope, Severity};
use whimbrel_model::{ChunkBuilder, Field, Position, SourceChunk, Table, Value, ValueRef, wce};

use crate::aggregate::{Aggregated, Aggregation};
use crate::cel::Program;
use crate::codes;
use crate::facts::PartitionFacts;
use crate::lookups::{Lookup, Lookups};
use crate::node::{
    ClockValue, Context, Failure, Input, LetValue, Node, RecordView, append_parts, parse_any,
};
use crate::notes::Pending;
use crate::op::Fault;
use crate::op::clock::ClockState;
use crate::op::kind::{Cell, Conversion, append_json};
use crate::op::timestamp::{Format, Moment, not_a_time, written};
use crate::op::zone::Zone;
use crate::out::{Out, Unit, UnitFate, UnitKind};
use crate::plain::Plain;
use crate::reason::{MASK, Reason, excerpt, unquoted};
use crate::state::{State, StateError};

/// What a step wants to know of a file beyond its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Needs {
    /// [`PartitionFacts::sha256`].
    pub sha256: bool,
    /// [`PartitionFacts::blake3`].
    pub blake3: bool,
    /// [`PartitionFacts::text`].
    pub text: bool,
    /// False where the file alone decides (`each = "file"` without aggregates): then records need
    /// not be given to [`Step::apply`].
    pub records: bool,
}

/// Bytes of a value that has to be weighed before it is stored.
pub(crate) const LONG: usize = 1 << 20;
/// Bytes that the rows of a chunk may take; their arena ends at 4 GiB.
const ROWS_BYTES_MAX: usize = 3 << 30;

/// A compiled mapping. It holds no data and is shared by threads.
#[derive(Debug)]
pub struct Step {
    pub(crate) table: Table,
    pub(crate) each: Each,
    pub(crate) sources: Vec<SourcePlan>,
    /// Names of the field slots that expressions refer to.
    pub(crate) slots: Vec<String>,
    pub(crate) json_slot: Option<usize>,
    pub(crate) lets: Vec<Let>,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) aggregations: Vec<Aggregation>,
    pub(crate) filter: Option<Condition>,
    pub(crate) columns: Vec<Node>,
    /// For each column whether it is a plain field.
    pub(crate) plain: Vec<Plain>,
    /// Columns that must not be NULL.
    pub(crate) required: Vec<usize>,
    pub(crate) rules: Vec<RowRule>,
    pub(crate) legacy_key: Option<Vec<Node>>,
    pub(crate) duplicates: Option<DuplicateKey>,
    pub(crate) timezone: String,
    pub(crate) needs: Needs,
}

/// What makes a unit and its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Each {
    Record,
    File,
    /// The slot of the array.
    Element(usize),
}

/// A source as the step reads it.
#[derive(Debug)]
pub(crate) struct SourcePlan {
    pub(crate) name: String,
    /// The projection.
    pub(crate) fields: Vec<Field>,
    /// For each slot its place in the projection.
    pub(crate) columns: Vec<Option<usize>>,
    /// For each slot the kind that the source declares for CEL.
    pub(crate) declared: Vec<Option<Conversion>>,
    /// Archived columns: name and place in the projection.
    pub(crate) archive: Vec<(String, usize)>,
    /// Whether some of its columns are not shown, and so no record as a whole.
    pub(crate) sensitive: bool,
}

#[derive(Debug)]
pub(crate) struct Let {
    pub(crate) node: Node,
    /// False where nothing refers to it.
    pub(crate) used: bool,
}

/// Times that count from a start.
#[derive(Debug)]
pub(crate) struct Clock {
    /// Indexes of the sources that have it; all where empty.
    pub(crate) sources: Vec<usize>,
    pub(crate) text: Node,
    pub(crate) formats: Vec<Format>,
    pub(crate) start: Node,
    pub(crate) zone: Zone,
    pub(crate) fold: whimbrel_model::plan::Fold,
}

#[derive(Debug)]
pub(crate) struct Condition {
    pub(crate) program: Program<Input>,
    pub(crate) source: Arc<str>,
    pub(crate) sensitive: bool,
}

#[derive(Debug)]
pub(crate) struct RowRule {
    pub(crate) name: Arc<str>,
    pub(crate) program: Program<Input>,
    pub(crate) severity: Severity,
    pub(crate) sensitive: bool,
}

#[derive(Debug)]
pub(crate) struct DuplicateKey {
    /// Columns compared; the record's bytes where empty.
    pub(crate) columns: Vec<usize>,
    pub(crate) scope: DuplicatesScope,
}

/// A unit whose rows are being made.
#[derive(Clone, Copy)]
struct Open<'a> {
    what: UnitKind,
    source: usize,
    path: &'a Arc<str>,
    position: Position,
    record: Option<RecordView<'a>>,
    /// Rows before it.
    first: usize,
}

/// How a unit ended.
enum Ended {
    Rows(u32),
    LeftOut(Arc<str>),
    Refused(Box<Reason>),
}

impl Step {
    /// The target table with the columns that rows carry, in their order, and their final kinds.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Whether something sensitive goes into the column of [`Step::table`] at `index`, so that its
    /// values must not be shown.
    pub fn is_sensitive(&self, index: usize) -> bool {
        self.columns[index].sensitive
    }

    /// Whether something sensitive goes into one of the columns.
    pub fn has_sensitive(&self) -> bool {
        self.columns.iter().any(|column| column.sensitive)
    }

    /// Whether records of one of its sources have sensitive columns, so that their bytes must not
    /// be shown.
    pub fn hides_records(&self) -> bool {
        self.sources.iter().any(|source| source.sensitive)
    }

    /// What to ask of the records of the step's source at `ordinal`.
    pub fn fields(&self, ordinal: usize) -> &[Field] {
        &self.sources[ordinal].fields
    }

    /// What to find out about each file.
    pub fn needs(&self) -> Needs {
        self.needs
    }

    /// True where legacy keys are to be stored with the rows.
    pub fn stores_mappings(&self) -> bool {
        self.legacy_key.is_some()
    }

    /// True where records must be given in order, because a clock or an aggregate carries over.
    pub fn has_state(&self) -> bool {
        !self.clocks.is_empty() || !self.aggregations.is_empty()
    }

    /// Begins a file of the step's source at `ordinal`, or goes on after what [`State::save`] gave.
    pub fn start(
        &self,
        ordinal: usize,
        facts: &PartitionFacts,
        saved: Option<&[u8]>,
    ) -> Result<State, StateError> {
        let mut state = State {
            source: ordinal,
            path: Arc::from(facts.id.path.as_str()),
            facts: Arc::new(facts.clone()),
            clocks: Vec::new(),
            aggregates: vec![Aggregated::Nothing; self.aggregations.len()],
        };
        let lookups = Lookups::default();
        let cx = self.file_context(ordinal, facts, &lookups, &[], &[]);
        state.clocks = self.clocks.iter().map(|clock| clock.begin(&cx)).collect();
        if let Some(saved) = saved {
            state.restore(saved)?;
        }
        Ok(state)
    }

    /// The keys of other tables that a chunk refers to; [`Step::apply`] wants what they lead to.
    pub fn lookups(&self, state: &State, chunk: &SourceChunk) -> Vec<Lookup> {
        if self.each == Each::File {
            return Vec::new();
        }
        let mut wanted = Wanted::new(self);
        if wanted.references.is_empty() {
            return Vec::new();
        }
        let lookups = Lookups::default();
        let facts = Arc::clone(&state.facts);
        for (index, row) in chunk.rows.rows().enumerate() {
            if wanted.is_settled() {
                break;
            }
            if chunk.records[index].defect.is_some() {
                continue;
            }
            let record = RecordView { chunk, row, index };
            let cx = Context {
                record: Some(record),
                // Keys made from a clock are not known before the clock is; those units find no parent.
                clocks: &[],
                ..self.file_context(state.source, &facts, &lookups, &[], &[])
            };
            match self.each {
                Each::Record | Each::File => self.want(&cx, &mut wanted),
                Each::Element(slot) => {
                    for (number, element) in
                        elements(cx.field(slot)).unwrap_or_default().iter().enumerate()
                    {
                        self.want(
                            &Context { element: Some((number as u64 + 1, element)), ..cx },
                            &mut wanted,
                        );
                    }
                }
            }
        }
        wanted.finish()
    }

    /// The keys of other tables that the row of a file refers to, for `each = "file"`; to be asked
    /// after the last record, for [`Step::finish`].
    pub fn finish_lookups(&self, state: &State) -> Vec<Lookup> {
        let mut wanted = Wanted::new(self);
        if self.each == Each::File && !wanted.references.is_empty() {
            let (lookups, facts) = (Lookups::default(), Arc::clone(&state.facts));
            self.want(
                &self.file_context(state.source, &facts, &lookups, &[], &state.aggregates),
                &mut wanted,
            );
        }
        wanted.finish()
    }

    fn want<'a, 'w: 'a>(&'a self, cx: &Context<'a, '_>, wanted: &mut Wanted<'w>) {
        let mut pending = Pending::default();
        let lets = self.lets(cx, &mut pending);
        let cx = Context { lets: &lets, ..*cx };
        for index in 0..wanted.references.len() {
            let mut key = String::new();
            let by = wanted.references[index].1;
            if append_parts(&mut key, by, &cx, &mut pending).is_ok() {
                wanted.add(index, key);
            }
        }
    }

    /// Makes units and rows of a chunk. Never fails: what cannot be used is a unit with its reason.
    pub fn apply(&self, state: &mut State, chunk: &SourceChunk, lookups: &Lookups, out: &mut Out) {
        self.apply_to(0..chunk.records.len(), state, chunk, lookups, out);
    }

    /// The same for some records of a chunk, which come next: so that the state can be looked at
    /// between two records.
    pub fn apply_to(
        &self,
        records: Range<usize>,
        state: &mut State,
        chunk: &SourceChunk,
        lookups: &Lookups,
        out: &mut Out,
    ) {
        match self.each {
            Each::File => self.collect(records, state, chunk, out),
            Each::Record | Each::Element(_) => {
                let facts = Arc::clone(&state.facts);
                let mut clocks = Vec::with_capacity(self.clocks.len());
                for index in records {
                    let record = RecordView { chunk, row: chunk.rows.row(index), index };
                    let cx = self.file_context(state.source, &facts, lookups, &[], &[]);
                    let cx = Context { record: Some(record), ..cx };
                    self.record(state, &cx, &mut clocks, record, out);
                }
            }
        }
    }

    /// Makes the unit of a file, for `each = "file"`; nothing otherwise.
    pub fn finish(&self, state: &mut State, lookups: &Lookups, out: &mut Out) {
        if self.each != Each::File {
            return;
        }
        let facts = Arc::clone(&state.facts);
        let cx = self.file_context(state.source, &facts, lookups, &[], &state.aggregates);
        let unit = Open {
            what: UnitKind::File,
            source: state.source,
            path: &state.path,
            position: Position::default(),
            record: None,
            first: out.rows.len(),
        };
        let ended = match out.leaves_out(0) {
            Some(rule) => Ended::LeftOut(rule),
            None => match self.row(&cx, out) {
                Ok(true) => Ended::Rows(1),
                Ok(false) => Ended::LeftOut(self.filter_rule()),
                Err(reason) => Ended::Refused(reason),
            },
        };
        self.end(&unit, ended, out);
    }

    fn file_context<'a, 'c>(
        &'a self,
        source: usize,
        facts: &'a PartitionFacts,
        lookups: &'a Lookups,
        clocks: &'c [ClockValue],
        aggregates: &'c [Aggregated],
    ) -> Context<'a, 'c> {
        let (record, element, rows) = (None, None, None);
        Context {
            step: self,
            source,
            facts,
            record,
            element,
            lookups,
            lets: &[],
            clocks,
            aggregates,
            rows,
        }
    }

    /// Adds the records of a chunk to the aggregates of their file.
    fn collect(
        &self,
        records: Range<usize>,
        state: &mut State,
        chunk: &SourceChunk,
        out: &mut Out,
    ) {
        let columns = &self.sources[state.source].columns;
        for index in records {
            let (record, row) = (&chunk.records[index], chunk.rows.row(index));
            if let Some(defect) = &record.defect {
                if !self.aggregations.is_empty() {
                    out.pending.convert(codes::RECORD_SKIPPED, &Arc::from(""), || {
                        Some(defect.code.to_owned())
                    });
                    out.pending.flush(&mut out.done.notes, &state.path, record.position);
                }
                continue;
            }
            out.pending.repairs(chunk, index);
            for (aggregation, aggregated) in self.aggregations.iter().zip(&mut state.aggregates) {
                let column = aggregation.slot.and_then(|slot| columns[slot]);
                let value = column.map_or(ValueRef::Null, |column| row.get(column));
                if aggregation.take(aggregated, value).is_err() {
                    let hidden = aggregation.sensitive;
                    let shown = || Some(if hidden { MASK.to_owned() } else { excerpt(value) });
                    out.pending.convert(codes::INVALID_NULL, &aggregation.column, shown);
                }
            }
            out.pending.flush(&mut out.done.notes, &state.path, record.position);
        }
    }

    fn record<'a>(
        &'a self,
        state: &mut State,
        cx: &Context<'a, '_>,
        clocks: &mut Vec<ClockValue>,
        record: RecordView<'a>,
        out: &mut Out,
    ) {
        let about = &record.chunk.records[record.index];
        let path = Arc::clone(&state.path);
        let unit = Open {
            what: UnitKind::Record(record.index),
            source: state.source,
            path: &path,
            position: about.position,
            record: Some(record),
            first: out.rows.len(),
        };
        let left_out = out.leaves_out(about.position.record);
        if let (Some(defect), None) = (&about.defect, &left_out) {
            let hidden = self.sources[state.source].sensitive;
            let message = if hidden { unquoted(&defect.message) } else { defect.message.clone() };
            let reason = Reason::new(defect.code, message);
            return self.end(&unit, Ended::Refused(reason), out);
        }
        if !self.clocks.is_empty() && about.defect.is_none() {
            self.read_clocks(state, cx, clocks, &mut out.pending);
        }
        if let Some(rule) = left_out {
            return self.end(&unit, Ended::LeftOut(rule), out);
        }
        out.pending.repairs(record.chunk, record.index);
        let cx = Context { clocks, ..*cx };
        let ended = match self.each {
            Each::Record | Each::File => match self.row(&cx, out) {
                Ok(true) => Ended::Rows(1),
                Ok(false) => Ended::LeftOut(self.filter_rule()),
                Err(reason) => Ended::Refused(reason),
            },
            Each::Element(slot) => self.explode(&cx, slot, out),
        };
        self.end(&unit, ended, out);
    }

    /// One row per element; the unit is left out where every element is.
    fn explode(&self, cx: &Context<'_, '_>, slot: usize, out: &mut Out) -> Ended {
        let elements = match elements(cx.field(slot)) {
            Ok(elements) => elements,
            Err(fault) => {
                let mut reason = Reason::of_fault(fault);
                reason.field = Some(self.slots[slot].clone());
                let hidden = self.sources[cx.source].sensitive;
                let shown = if hidden { MASK.to_owned() } else { excerpt(cx.field(slot)) };
                reason.value = Some(shown);
                return Ended::Refused(reason);
            }
        };
        let mut rows = 0;
        for (number, element) in elements.iter().enumerate() {
            let cx = Context { element: Some((number as u64 + 1, element)), ..*cx };
            match self.row(&cx, out) {
                Ok(made) => rows += u32::from(made),
                Err(reason) => return Ended::Refused(reason),
            }
        }
        if rows == 0 && !elements.is_empty() {
            Ended::LeftOut(self.filter_rule())
        } else {
            Ended::Rows(rows)
        }
    }

    /// The plan's `where`.
    fn filter_rule(&self) -> Arc<str> {
        self.filter.as_ref().map_or_else(|| Arc::from(""), |filter| Arc::clone(&filter.source))
    }

    /// Reads every clock of the step, also for records that end nowhere: the day depends on them.
    fn read_clocks<'a>(
        &'a self,
        state: &mut State,
        cx: &Context<'a, '_>,
        values: &mut Vec<ClockValue>,
        pending: &mut Pending,
    ) {
        values.clear();
        // A clock's text may be a `let`; one that counts from a clock itself is refused when compiled.
        let lets = self.lets(cx, pending);
        pending.clear();
        let cx = Context { lets: &lets, ..*cx };
        for (clock, progress) in self.clocks.iter().zip(&mut state.clocks) {
            let here = clock.sources.is_empty() || clock.sources.contains(&cx.source);
            values.push(if here { clock.read(progress, &cx, pending) } else { ClockValue::Null });
        }
    }

    fn lets<'a>(&'a self, cx: &Context<'a, '_>, pending: &mut Pending) -> Vec<LetValue<'a>> {
        let mut values: Vec<LetValue<'a>> = Vec::with_capacity(self.lets.len());
        for each in &self.lets {
            let value = if each.used {
                each.node.eval(&Context { lets: &values, ..*cx }, pending)
            } else {
                Ok(Cell::NULL)
            };
            values.push(value);
        }
        values
    }

    /// Makes one row; false where the plan leaves it out.
    fn row(&self, cx: &Context<'_, '_>, out: &mut Out) -> Result<bool, Box<Reason>> {
        if out.rows.size() > ROWS_BYTES_MAX {
            let message = "the rows would take too much memory";
            return Err(Reason::new(codes::ROWS_TOO_LARGE, message));
        }
        let lets = self.lets(cx, &mut out.pending);
        let cx = Context { lets: &lets, ..*cx };
        if let Some(filter) = &self.filter
            && !filter.holds(&cx)?
        {
            return Ok(false);
        }
        for (node, plain) in self.columns.iter().zip(&self.plain) {
            if plain.push(&cx, &mut out.rows) {
                continue;
            }
            let value = node.eval(&cx, &mut out.pending)?;
            let bytes = length(value.as_ref());
            if bytes > LONG && out.rows.size() + bytes > ROWS_BYTES_MAX {
                let fault =
                    Fault::new(codes::ROWS_TOO_LARGE, "the rows would take too much memory");
                return Err(node.refuse(fault, None));
            }
            out.rows.push(value.as_ref());
        }
        self.check_nulls(&out.rows)?;
        self.check_rules(&cx, out)?;
        if let Some(parts) = &self.legacy_key {
            let mut key = String::new();
            append_parts(&mut key, parts, &cx, &mut out.pending).map_err(
                |failure| match failure {
                    Failure::Own(fault) => Reason::of_fault(fault),
                    Failure::Final(reason) => reason,
                },
            )?;
            out.done.legacy_keys.push(key);
        }
        if let Some(duplicates) = &self.duplicates {
            duplicates.encode(&self.table, &out.rows, &mut out.compared);
        }
        out.rows.end_row();
        Ok(true)
    }

    fn check_nulls(&self, rows: &ChunkBuilder) -> Result<(), Box<Reason>> {
        for index in &self.required {
            if !rows.current(*index).is_null() {
                continue;
            }
            let fault = if self.table.key.contains(index) {
                Fault::new(codes::KEY_NULL, "a key column is NULL")
            } else {
                Fault::new(codes::REQUIRED_NULL, "a required column is NULL")
            };
            return Err(self.columns[*index].refuse(fault, None));
        }
        Ok(())
    }

    fn check_rules(&self, cx: &Context<'_, '_>, out: &mut Out) -> Result<(), Box<Reason>> {
        for rule in &self.rules {
            let cx = Context { rows: Some(&out.rows), ..*cx };
            match (rule.holds(&cx), rule.severity) {
                (Ok(true), _) => {}
                (Ok(false) | Err(_), Severity::Warn) => {
                    out.pending.rule(codes::RULE_WARNED, &rule.name);
                }
                (Ok(false), Severity::Reject) => {
                    let mut reason =
                        Reason::new(codes::RULE_BROKEN, "a rule of the plan is broken");
                    reason.rule = Some(rule.name.to_string());
                    return Err(reason);
                }
                (Err(mut reason), Severity::Reject) => {
                    reason.rule = Some(rule.name.to_string());
                    return Err(reason);
                }
            }
        }
        Ok(())
    }

    fn end(&self, unit: &Open<'_>, ended: Ended, out: &mut Out) {
        let mut has_rows = false;
        let fate = match ended {
            Ended::Rows(rows) => {
                let index = out.done.units.len() as u32;
                out.done.row_units.extend(std::iter::repeat_n(index, rows as usize));
                has_rows = rows > 0;
                UnitFate::Rows(rows)
            }
            Ended::LeftOut(rule) => {
                out.pending.clear();
                out.pending.rule(codes::FILTERED, &rule);
                UnitFate::Filtered { rule: rule.to_string() }
            }
            Ended::Refused(reason) => {
                out.pending.clear();
                UnitFate::Rejected(reason)
            }
        };
        if !has_rows {
            out.rows.truncate(unit.first);
            out.done.legacy_keys.truncate(unit.first);
        }
        out.pending.flush(&mut out.done.notes, unit.path, unit.position);
        if let Some(duplicates) = &self.duplicates {
            let digest = if has_rows { duplicates.digest(unit, &out.compared) } else { None };
            out.compared.clear();
            out.done.duplicates.push(digest);
        }
        if self.sources.iter().any(|source| !source.archive.is_empty()) {
            let record = unit.record.filter(|_| has_rows);
            out.done
                .archive
                .push(record.and_then(|record| self.sources[unit.source].archived(record)));
        }
        out.done.units.push(Unit { what: unit.what, fate });
    }

    /// Place of a slot in the projection of a source.
    #[inline]
    pub(crate) fn column_of(&self, source: usize, slot: usize) -> Option<usize> {
        self.sources[source].columns[slot]
    }

    pub(crate) fn declared_of(&self, source: usize, slot: usize) -> Option<&Conversion> {
        self.sources[source].declared[slot].as_ref()
    }

    pub(crate) fn field_name(&self, slot: usize) -> &str {
        &self.slots[slot]
    }

    pub(crate) fn json_slot(&self) -> Option<usize> {
        self.json_slot
    }

    pub(crate) fn source_name(&self, source: usize) -> &str {
        &self.sources[source].name
    }

    pub(crate) fn timezone(&self) -> &str {
        &self.timezone
    }

    pub(crate) fn aggregation(&self, index: usize) -> &Aggregation {
        &self.aggregations[index]
    }
}

impl SourcePlan {
    /// The archived columns of a record that are not NULL, as a JSON object.
    fn archived(&self, record: RecordView<'_>) -> Option<String> {
        let mut object = String::from("{");
        for (name, column) in &self.archive {
            let value = record.row.get(*column);
            if value.is_null() {
                continue;
            }
            if object.len() > 1 {
                object.push(',');
            }
            write_string(&mut object, name);
            object.push(':');
            if !append_json(&mut object, value) {
                write_string(&mut object, &value.to_string());
            }
        }
        object.push('}');
        (object.len() > 2).then_some(object)
    }
}

impl Clock {
    /// The state at the beginning of a file, from the file's facts.
    fn begin(&self, cx: &Context<'_, '_>) -> Result<ClockState, Fault> {
        let start = self.start.eval(cx, &mut Pending::default());
        match start.as_ref().map(Cell::as_ref) {
            Ok(ValueRef::TimestampTz(start)) => Ok(ClockState::new(start, &self.zone)),
            Ok(_) => Err(Fault::new(codes::NOT_A_TIME, "the file does not say when it began")),
            Err(reason) => Err(Fault::new(reason.code, format!("`start` of the file: {reason}"))),
        }
    }

    fn read(
        &self,
        progress: &mut Result<ClockState, Fault>,
        cx: &Context<'_, '_>,
        pending: &mut Pending,
    ) -> ClockValue {
        let value = match self.text.eval(cx, pending) {
            Ok(value) => value,
            Err(reason) => return ClockValue::Refused(reason),
        };
        match value.as_ref() {
            ValueRef::Null => return ClockValue::Null,
            ValueRef::TimestampTz(at) => return ClockValue::At(at),
            ValueRef::Bool(_)
            | ValueRef::Int(_)
            | ValueRef::Decimal(_)
            | ValueRef::Float(_)
            | ValueRef::Text(_)
            | ValueRef::Bytes(_)
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_) => {}
        }
        let moment = written(value.as_ref())
            .ok_or_else(not_a_time)
            .and_then(|text| parse_any(&self.formats, &text));
        let later = self.fold == whimbrel_model::plan::Fold::Later;
        let instant = moment.and_then(|moment| match (moment, progress) {
            (Moment::Instant(at), _) => Ok(at),
            (Moment::Local(at), _) => self.zone.instant(at, self.fold),
            (Moment::Clock(nanos), Ok(progress)) => progress.advance(nanos, &self.zone, later),
            (Moment::Clock(_), Err(fault)) => Err(fault.clone()),
        });
        match instant {
            Ok(at) => ClockValue::At(at),
            Err(fault) => ClockValue::Failed(fault, Some(self.text.shown(value.as_ref()))),
        }
    }
}

/// Whether a condition holds; neither true nor false refuses the unit.
fn holds(
    program: &Program<Input>,
    sensitive: bool,
    cx: &Context<'_, '_>,
) -> Result<bool, Box<Reason>> {
    match program.run(|input| cx.input(input)) {
        Ok(cell) => match cell.as_ref() {
            ValueRef::Bool(value) => Ok(value),
            other => {
                let message = format!("the condition gave {}", other.noun());
                Err(Reason::new(codes::NOT_A_CONDITION, message))
            }
        },
        Err(Failure::Own(fault)) => {
            Err(Reason::of_fault(if sensitive { fault.masked() } else { fault }))
        }
        Err(Failure::Final(reason)) => Err(reason),
    }
}

impl Condition {
    fn holds(&self, cx: &Context<'_, '_>) -> Result<bool, Box<Reason>> {
        holds(&self.program, self.sensitive, cx).map_err(|mut reason| {
            reason.rule = Some(format!("where {}", excerpt(ValueRef::Text(&self.source))));
            reason
        })
    }
}

impl RowRule {
    fn holds(&self, cx: &Context<'_, '_>) -> Result<bool, Box<Reason>> {
        holds(&self.program, self.sensitive, cx)
    }
}

/// What a unit's rows hold in the columns that duplicates are compared by.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    encoded: Vec<u8>,
    null: bool,
}

impl Compared {
    fn clear(&mut self) {
        self.encoded.clear();
        self.null = false;
    }
}

impl DuplicateKey {
    /// Adds the compared columns of the row under construction.
    fn encode(&self, table: &Table, rows: &ChunkBuilder, compared: &mut Compared) {
        for column in &self.columns {
            let value = rows.current(*column);
            compared.null |= value.is_null();
            wce::cell(&mut compared.encoded, table.columns[*column].kind, value);
        }
    }

    /// 16 bytes of BLAKE3; `None` where a compared column is NULL, which equals nothing.
    fn digest(&self, unit: &Open<'_>, compared: &Compared) -> Option<[u8; 16]> {
        let mut hasher = blake3::Hasher::new();
        match self.scope {
            DuplicatesScope::Table => {}
            DuplicatesScope::File => {
                hasher.update(&(unit.path.len() as u64).to_be_bytes());
                hasher.update(unit.path.as_bytes());
            }
        }
        if self.columns.is_empty() {
            let record = unit.record?;
            hasher.update(record.chunk.bytes(record.index));
        } else if compared.null {
            return None;
        } else {
            hasher.update(&compared.encoded);
        }
        hasher.finalize().as_bytes().first_chunk().copied()
    }
}

/// Bytes that a value takes in an arena.
#[inline]
fn length(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Text(text) | ValueRef::Json(text) | ValueRef::Decimal(text) => text.len(),
        ValueRef::Bytes(bytes) => bytes.len(),
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Float(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => 0,
    }
}

/// The elements of an array; none of NULL.
fn elements(value: ValueRef<'_>) -> Result<Vec<Cell<'static>>, Fault> {
    let not_an_array = || Fault::new(codes::NOT_AN_ARRAY, "not a JSON array");
    let text = match value {
        ValueRef::Null => return Ok(Vec::new()),
        ValueRef::Json(text) => text,
        ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Text(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => return Err(not_an_array()),
    };
    let json = json::parse(text.as_bytes()).map_err(|_| not_an_array())?;
    let Json::Array(elements) = json else {
        return Err(not_an_array());
    };
    let cell = |element: &Json<'_>| match element {
        Json::Null => Cell::NULL,
        Json::Bool(value) => Cell::Ref(ValueRef::Bool(*value)),
        Json::Number(number) => Cell::Owned(Value::Decimal(number.as_str().to_owned())),
        Json::String(text) => Cell::Owned(Value::Text(text.to_string())),
        Json::Array(_) | Json::Object(_) => Cell::Owned(Value::Json(element.to_text())),
    };
    Ok(elements.iter().map(cell).collect())
}

/// Keys of parents that are wanted.
struct Wanted<'a> {
    references: Vec<(&'a str, &'a [Node])>,
    keys: Vec<BTreeSet<String>>,
}

impl<'a> Wanted<'a> {
    fn new(step: &'a Step) -> Self {
        let mut references = Vec::new();
        let lets = step.lets.iter().filter(|each| each.used).map(|each| &each.node);
        for node in lets.chain(&step.columns).chain(step.legacy_key.iter().flatten()) {
            node.references(&mut |table, by| references.push((table, by)));
        }
        let keys = vec![BTreeSet::new(); references.len()];
        Self { references, keys }
    }

    fn is_settled(&self) -> bool {
        self.references
            .iter()
            .zip(&self.keys)
            .all(|((_, by), keys)| !keys.is_empty() && by.iter().all(Node::is_of_the_file))
    }

    fn add(&mut self, reference: usize, key: String) {
        if !self.keys[reference].contains(&key) {
            self.keys[reference].insert(key);
        }
    }

    fn finish(self) -> Vec<Lookup> {
        let mut tables: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for ((table, _), keys) in self.references.iter().zip(self.keys) {
            tables.entry(table).or_default().extend(keys);
        }
        let lookups = tables.into_iter().filter(|(_, keys)| !keys.is_empty());
        lookups
            .map(|(table, keys)| Lookup {
                table: table.to_owned(),
                keys: keys.into_iter().collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_shared_by_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Step>();
        shared::<State>();
        shared::<Out>();
    }
}
