//! What an expression gives for one record.
//!
//! ```text
//! base ─▶ null ─▶ trim, lower, newlines ─▶ strip ─▶ map ─▶ list ─▶ matches, max_chars ─▶ kind ─▶ default
//! ```

use std::cell::RefCell;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use whimbrel_cel::{Cell, Fault, Program};
use whimbrel_endpoint::Partition;
use whimbrel_model::json::{self, Json, write_string};
use whimbrel_model::plan::{Fact, HashAlgorithm, Invalid, MapOther, MissingRef};
use whimbrel_model::{DateTime, FileFacts, Kind, Position, Row, Value};

use super::convert::{Holds, Manner, to_kind};
use super::known::Stood;
use super::memory::{Lead, Parents};
use super::moment::{self, Clock, Moment};
use super::terms::{Input, Origin, Reading, Term};
use super::{codes, text};

/// Between the parts of keys.
const SEPARATOR: char = '\u{1f}';

/// Why an expression has no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    pub(super) code: &'static str,
    /// A value that could not be made, which is nothing that `invalid` decides about.
    pub(super) is_final: bool,
}

impl Failure {
    pub(super) fn new(code: &'static str) -> Self {
        Self { code, is_final: false }
    }

    /// Nothing that `invalid` decides about.
    fn at_last(code: &'static str) -> Self {
        Self { code, is_final: true }
    }
}

impl std::convert::From<Fault> for Failure {
    fn from(_: Fault) -> Self {
        Self::new(codes::CEL_FAILED)
    }
}

/// The clocks of a file, each with why it has none where it has none.
pub(super) type Clocks = Vec<Result<Clock, Failure>>;

/// What is the same for all records of a file.
#[derive(Debug)]
pub(super) struct FileScene {
    path: String,
    facts: Arc<FileFacts>,
    pub(super) sha256: String,
    pub(super) blake3: String,
    /// None where the file is no text.
    pub(super) text: Option<String>,
}

impl FileScene {
    /// The file as it is, or with the facts that it had.
    pub(super) fn new(partition: &Partition, stood: Option<Stood>) -> Self {
        let mut facts = Arc::clone(&partition.facts);
        if let Some(Stood { size, mtime_nanos }) = stood {
            let now = FileFacts::clone(&facts);
            facts = Arc::new(FileFacts { size, mtime_nanos, ..now });
        }
        Self {
            path: partition.id.path.clone(),
            facts,
            sha256: String::new(),
            blake3: String::new(),
            text: None,
        }
    }
}

/// The elements of a record's array, with their numbers from 1.
pub(super) type Elements = Vec<(u64, Value)>;

impl Reading {
    /// The elements that make the rows, where elements do.
    pub(super) fn elements(&self, scene: &Scene<'_>) -> Option<Result<Elements, Failure>> {
        let array = scene.field(self.array?);
        let wrong = || Failure::new(codes::NOT_AN_ARRAY);
        Some(match array {
            Value::Null => Ok(Vec::new()),
            Value::Json(document) => match json::parse(document.as_bytes()) {
                Ok(Json::Array(elements)) => {
                    Ok((1..).zip(elements.iter().map(text::of_json)).collect())
                }
                Ok(_) | Err(_) => Err(wrong()),
            },
            Value::Bool(_)
            | Value::Int(_)
            | Value::Decimal(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Bytes(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Timestamp(_)
            | Value::TimestampTz(_)
            | Value::Uuid(_) => Err(wrong()),
        })
    }
}

/// A record (or file, or element) and all that expressions can see of it.
pub(super) struct Scene<'s> {
    pub(super) reading: &'s Reading,
    file: &'s FileScene,
    pub(super) row: Option<Row<'s>>,
    pub(super) position: Position,
    pub(super) bytes: &'s [u8],
    /// `source.ordinal`
    pub(super) ordinal: u64,
    /// The run that decides about it: references lead where they led then.
    run: u64,
    pub(super) element: Option<(u64, Value)>,
    pub(super) aggregates: &'s [Result<Value, Failure>],
    /// The columns that were produced, for rules.
    pub(super) new: Vec<Value>,
    lets: Vec<Result<Value, Failure>>,
    clocks: &'s RefCell<Clocks>,
    /// What each clock shows for this record, once it was looked at.
    shown: RefCell<Vec<Option<Result<Moment, Failure>>>>,
    parents: &'s Parents,
    holds: Holds,
}

impl<'s> Scene<'s> {
    pub(super) fn new(
        reading: &'s Reading,
        file: &'s FileScene,
        clocks: &'s RefCell<Clocks>,
        (parents, run): (&'s Parents, u64),
        holds: Holds,
    ) -> Self {
        Self {
            reading,
            file,
            row: None,
            position: Position::default(),
            bytes: &[],
            ordinal: 0,
            run,
            element: None,
            aggregates: &[],
            new: Vec::new(),
            lets: Vec::new(),
            clocks,
            shown: RefCell::new(Vec::new()),
            parents,
            holds,
        }
    }

    /// Makes the `let`s, and lets every clock see the record: it counts on whatever becomes of it.
    pub(super) fn begin(&mut self) {
        *self.shown.borrow_mut() = vec![None; self.clocks.borrow().len()];
        self.lets.clear();
        for term in &self.reading.lets {
            let made = self.value(term, None);
            // Whoever uses it fails with it, for good.
            self.lets.push(made.map_err(|failure| Failure::at_last(failure.code)));
        }
        if !self.clocks.borrow().is_empty() {
            let old_key = self.reading.old_key.iter().flatten();
            for term in self.reading.lets.iter().chain(&self.reading.columns).chain(old_key) {
                self.look_at_clocks(term);
            }
        }
    }

    fn look_at_clocks(&self, term: &Term) {
        if term.clock.is_some()
            && let Ok(Some(written)) = self.before_kind(term, None)
        {
            let _ = self.moment(term, &written);
        }
        for part in term.parts() {
            self.look_at_clocks(part);
        }
    }

    /// A field of the record.
    pub(super) fn field(&self, slot: usize) -> Value {
        self.row.as_ref().map_or(Value::Null, |row| row.get(slot).to_owned())
    }

    /// Whether a condition holds.
    pub(super) fn holds(&self, condition: &Program<Input>) -> Result<bool, Failure> {
        match self.cel(condition)? {
            Value::Bool(holds) => Ok(holds),
            _ => Err(Failure::new(codes::NOT_A_CONDITION)),
        }
    }

    fn cel(&self, program: &Program<Input>) -> Result<Value, Failure> {
        program.run(|input| match input {
            Input::Field(slot) => {
                let value = self.field(slot);
                let Some(kind) = self.reading.declared[slot] else {
                    return Ok(Cell::Owned(value));
                };
                let manner = Manner {
                    zone: &self.reading.zone,
                    fold: whimbrel_model::plan::Fold::Reject,
                    round: false,
                    holds: None,
                };
                to_kind(value, kind, manner)
                    .map(Cell::Owned)
                    .map_err(|_| Failure::new(codes::CEL_FAILED))
            }
            Input::Let(index) => match self.lets.get(index) {
                Some(Ok(value)) => Ok(Cell::Owned(value.clone())),
                Some(Err(failure)) => Err(*failure),
                None => Ok(Cell::Owned(Value::Null)),
            },
            Input::New(index) => {
                Ok(Cell::Owned(self.new.get(index).cloned().unwrap_or(Value::Null)))
            }
        })
    }

    /// The instant that an expression gives: where a clock begins.
    pub(super) fn instant(&self, term: &Term) -> Result<DateTime, Failure> {
        match self.value(term, Some(Kind::TimestampTz))? {
            Value::TimestampTz(at) => Ok(at),
            _ => Err(Failure::new(codes::NOT_A_TIME)),
        }
    }

    /// The value of an expression, of that kind where one is wanted.
    pub(super) fn value(&self, term: &Term, want: Option<Kind>) -> Result<Value, Failure> {
        let made = match self.made(term, want) {
            Ok(value) => value,
            Err(failure) if failure.is_final => return Err(failure),
            Err(failure) => match term.invalid {
                Invalid::Reject => return Err(failure),
                Invalid::Null => return Ok(Value::Null),
                Invalid::Default => Value::Null,
            },
        };
        match &term.default {
            Some(default) if made.as_ref().is_null() => self.to_kinds(default.clone(), term, want),
            Some(_) | None => Ok(made),
        }
    }

    /// Everything but `default` and `invalid`.
    fn made(&self, term: &Term, want: Option<Kind>) -> Result<Value, Failure> {
        let Some(value) = self.before_kind(term, want)? else {
            return Ok(Value::Null);
        };
        let is_time = matches!(
            value,
            Value::Date(_) | Value::Time(_) | Value::Timestamp(_) | Value::TimestampTz(_)
        );
        if term.formats.is_empty() || is_time {
            return self.to_kinds(value, term, want);
        }
        let moment = self.moment(term, &value)?;
        let value = moment::to_value(moment, term.kind.or(want), &term.zone, term.fold)?;
        self.to_kinds(value, term, want)
    }

    /// The value as one of the expression's own kind, and then of the one that is wanted.
    fn to_kinds(&self, value: Value, term: &Term, want: Option<Kind>) -> Result<Value, Failure> {
        let holds = Some(self.holds);
        let manner = Manner { zone: &term.zone, fold: term.fold, round: term.round, holds };
        let value = match term.kind {
            Some(kind) => to_kind(value, kind, manner)?,
            None => value,
        };
        match want {
            Some(kind) => to_kind(value, kind, manner),
            None => Ok(value),
        }
    }

    /// The value as it is before it becomes one of its kind; `None` where it is NULL.
    fn before_kind(&self, term: &Term, want: Option<Kind>) -> Result<Option<Value>, Failure> {
        let inner = if term.is_bare() { term.kind.or(want) } else { None };
        let value = self.base(term, inner)?;
        if value.as_ref().is_null() {
            return Ok(None);
        }
        if term.null.is_empty() && term.is_bare() {
            return Ok(Some(value));
        }
        shaped(term, value)
    }

    /// The moment that a value is, by the first format that fits. A clock moves on at most once for a
    /// record.
    fn moment(&self, term: &Term, value: &Value) -> Result<Moment, Failure> {
        if let Some(slot) = term.clock
            && let Some(Some(shown)) = self.shown.borrow().get(slot)
        {
            return *shown;
        }
        let moment = self.read_moment(term, value);
        if let Some(slot) = term.clock
            && let Some(shown) = self.shown.borrow_mut().get_mut(slot)
        {
            *shown = Some(moment);
        }
        moment
    }

    fn read_moment(&self, term: &Term, value: &Value) -> Result<Moment, Failure> {
        let not_a_time = Failure::new(codes::NOT_A_TIME);
        let written = text::form(value).ok_or(Failure::new(codes::WRONG_KIND))?;
        let found =
            term.formats.iter().find_map(|format| format.read(&written)).ok_or(not_a_time)?;
        match (found?, term.clock) {
            (Moment::Clock(nanos), Some(slot)) => {
                let mut clocks = self.clocks.borrow_mut();
                let clock = clocks.get_mut(slot).ok_or(not_a_time)?.as_mut();
                clock.map_err(|failure| *failure)?.at(nanos, term.fold).map(Moment::Instant)
            }
            (found, _) => Ok(found),
        }
    }

    fn base(&self, term: &Term, want: Option<Kind>) -> Result<Value, Failure> {
        match &term.from {
            Origin::Field(slot) | Origin::Record(slot) => Ok(self.field(*slot)),
            Origin::Let(index) => self.lets.get(*index).cloned().unwrap_or(Ok(Value::Null)),
            Origin::Fact(fact) => self.fact(*fact),
            Origin::Value(value) => Ok(value.clone()),
            Origin::First(parts) => {
                for part in parts {
                    let value = self.inner(part, want)?;
                    if !value.as_ref().is_null() {
                        return Ok(value);
                    }
                }
                Ok(Value::Null)
            }
            Origin::Own(own) => self.inner(own, want),
            Origin::Concat { parts, separator } => {
                let mut texts = Vec::new();
                for part in parts {
                    texts.extend(self.part(part)?);
                }
                Ok(if texts.is_empty() { Value::Null } else { Value::Text(texts.join(separator)) })
            }
            Origin::Split { of, by, part } => {
                let Some(written) = self.part(of)? else {
                    return Ok(Value::Null);
                };
                let parts: Vec<&str> = written.split(by.as_str()).collect();
                let place = if *part > 0 { *part - 1 } else { parts.len() as i64 + *part };
                let part = usize::try_from(place).ok().and_then(|place| parts.get(place));
                Ok(part.map_or(Value::Null, |part| Value::Text((*part).to_owned())))
            }
            Origin::Uuid5(parts) => {
                let name = self.joined(parts)?.ok_or(Failure::at_last(codes::NULL_PART))?;
                let namespace = Uuid::from_bytes(self.reading.namespace);
                Ok(Value::Uuid(Uuid::new_v5(&namespace, name.as_bytes()).into_bytes()))
            }
            Origin::Ref { table, by, missing } => self.reference(table, by, *missing),
            Origin::Cel(program) => self.cel(program),
            Origin::Aggregate(place) => {
                self.aggregates.get(*place).cloned().unwrap_or(Ok(Value::Null))
            }
            Origin::Hash { algorithm, parts } => {
                let joined = self.joined(parts)?.ok_or(Failure::at_last(codes::NULL_PART))?;
                Ok(Value::Text(match algorithm {
                    HashAlgorithm::Sha256 => sha256(joined.as_bytes()),
                    HashAlgorithm::Blake3 => blake3::hash(joined.as_bytes()).to_hex().to_string(),
                }))
            }
            Origin::Object(members) => self.object(members),
            Origin::Checksum(of) => {
                let value = self.inner(of, None)?;
                if value.as_ref().is_null() {
                    return Ok(Value::Null);
                }
                let document = text::form(&value).ok_or(Failure::new(codes::WRONG_KIND))?;
                let parsed = text::parsed(&document).ok_or(Failure::new(codes::NOT_JSON))?;
                Ok(Value::Text(sha256(parsed.to_canonical_text().as_bytes())))
            }
        }
    }

    /// The value of an expression inside of another: its own `invalid` has the last word.
    fn inner(&self, term: &Term, want: Option<Kind>) -> Result<Value, Failure> {
        self.value(term, want).map_err(|failure| Failure::at_last(failure.code))
    }

    /// The text of a part; `None` where it is NULL.
    fn part(&self, term: &Term) -> Result<Option<String>, Failure> {
        let value = self.inner(term, None)?;
        if value.as_ref().is_null() {
            return Ok(None);
        }
        text::form(&value).map(Some).ok_or(Failure::new(codes::WRONG_KIND))
    }

    /// The parts of a key as one text; `None` where one of them is NULL.
    pub(super) fn joined(&self, parts: &[Term]) -> Result<Option<String>, Failure> {
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            let Some(text) = self.part(part)? else {
                return Ok(None);
            };
            if parts.len() > 1 && text.contains(SEPARATOR) {
                return Err(Failure::at_last(codes::PART_SEPARATOR));
            }
            texts.push(text);
        }
        Ok(Some(texts.join("\u{1f}")))
    }

    /// The key of the row that a record of another table became.
    fn reference(&self, table: &str, by: &[Term], missing: MissingRef) -> Result<Value, Failure> {
        let Some(old_key) = self.joined(by)? else {
            return match missing {
                MissingRef::Reject => Err(Failure::new(codes::NULL_PART)),
                MissingRef::Null => Ok(Value::Null),
            };
        };
        let lead =
            self.parents.get(table).map_or(Lead::Nowhere, |keys| keys.lead(&old_key, self.run));
        match (lead, missing) {
            (Lead::One(key), _) => Ok(key.clone()),
            (Lead::Several, _) => Err(Failure::at_last(codes::SEVERAL_PARENTS)),
            (Lead::Nowhere, MissingRef::Null) => Ok(Value::Null),
            (Lead::Nowhere, MissingRef::Reject) => Err(Failure::at_last(codes::NO_PARENT)),
        }
    }

    fn object(&self, members: &[(String, Term)]) -> Result<Value, Failure> {
        let mut out = "{".to_owned();
        for (index, (name, term)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_string(&mut out, name);
            out.push(':');
            let value = self.inner(term, None)?;
            out.push_str(&text::json_of(&value).ok_or(Failure::new(codes::WRONG_KIND))?);
        }
        out.push('}');
        Ok(Value::Json(out))
    }

    fn fact(&self, fact: Fact) -> Result<Value, Failure> {
        let file = self.file;
        let text = |text: &str| Value::Text(text.to_owned());
        Ok(match fact {
            Fact::FilePath => text(&file.path),
            Fact::FileName => text(&file.facts.name),
            Fact::FileStem => text(&file.facts.stem),
            Fact::FileDir => text(&file.facts.dir),
            Fact::FileSuffix => text(&file.facts.suffix),
            Fact::FileMtime => {
                let at = DateTime::from_unix_nanos(file.facts.mtime_nanos);
                Value::TimestampTz(at.ok_or(Failure::new(codes::NOT_A_TIME))?)
            }
            Fact::FileSize => Value::Int(file.facts.size.into()),
            Fact::FileSha256 => text(&file.sha256),
            Fact::FileBlake3 => text(&file.blake3),
            Fact::FileText => match &file.text {
                Some(whole) => text(whole),
                None => return Err(Failure::new(codes::NO_FILE_TEXT)),
            },
            Fact::RecordNumber => Value::Int(self.position.record.into()),
            Fact::RecordLine => Value::Int(self.position.line.into()),
            Fact::RecordText => match std::str::from_utf8(self.bytes) {
                Ok(record) => text(record),
                Err(_) => return Err(Failure::new(codes::NOT_UTF8)),
            },
            // A field of the reader.
            Fact::RecordJson => Value::Null,
            Fact::ElementNumber => Value::from(self.element.as_ref().map(|(number, _)| *number)),
            Fact::Element => self.element.as_ref().map_or(Value::Null, |(_, value)| value.clone()),
            Fact::SourceName => text(&self.reading.source),
            Fact::SourceOrdinal => Value::Int(self.ordinal.into()),
            Fact::PlanTimezone => text(&self.reading.zone_name),
        })
    }
}

/// From `null` to `max_chars`.
fn shaped(term: &Term, mut value: Value) -> Result<Option<Value>, Failure> {
    if !term.null.is_empty() && text::form(&value).is_some_and(|text| term.null.contains(&text)) {
        return Ok(None);
    }
    let wrong = || Failure::new(codes::WRONG_KIND);
    if let Value::Text(text) = &value {
        value = Value::Text(term.shaped(text));
    }
    if let Some(map) = &term.map {
        let written = text::form(&value).ok_or_else(wrong)?;
        match (map.get(&written), term.map_other) {
            (Some(new), _) => value = new.clone(),
            (None, MapOther::Keep) => {}
            (None, MapOther::Null) => return Ok(None),
            (None, MapOther::Reject) => return Err(Failure::at_last(codes::NOT_IN_MAP)),
        }
    }
    if let Some(rule) = &term.list {
        value = text::list(&value, rule)?;
    }
    if let Some(pattern) = &term.matches
        && !pattern.is_match(&text::form(&value).ok_or_else(wrong)?)
    {
        return Err(Failure::new(codes::NO_MATCH));
    }
    if let Some(max) = term.max_chars
        && text::form(&value).ok_or_else(wrong)?.chars().count() as u64 > max
    {
        return Err(Failure::new(codes::TOO_LONG));
    }
    Ok(Some(value))
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
