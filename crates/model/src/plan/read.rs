//! Reading TOML values by the table of keys: one accessor for each shape.
//!
//! Every mistake is noted and reading goes on, so that a person sees all of them at once. An
//! accessor returns `None` for a key that is not there and for one whose value was wrong.

use std::cell::RefCell;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::PlanError;
use super::keys::{Key, SECTIONS, Section, Shape};
use super::suggest::{did_you_mean, nearest};
use super::variables::{VariableError, Variables};
use super::{
    At, Budget, ByEngine, ENGINES, Fact, Kind, Literal, Secret, Span, SqlText, TIMESTAMP_NAMES,
    codes, quantity,
};

/// A value of the TOML tree with its place.
pub(super) type Node<'a> = Spanned<DeValue<'a>>;

/// What all readers of one plan share.
pub(super) struct Notes<'a> {
    variables: Variables<'a>,
    errors: RefCell<Vec<PlanError>>,
    hidden: RefCell<Vec<(Span, Secret)>>,
}

impl<'a> Notes<'a> {
    pub(super) fn new(variables: Variables<'a>) -> Self {
        Self { variables, errors: RefCell::default(), hidden: RefCell::default() }
    }

    /// Notes an error.
    pub(super) fn error(
        &self,
        code: &'static str,
        span: Span,
        message: String,
        help: Option<String>,
    ) {
        self.errors.borrow_mut().push(PlanError { code, message, span: Some(span), help });
    }

    /// The errors in the order of the file, and the values that variables gave.
    pub(super) fn into_parts(self) -> (Vec<PlanError>, Vec<Secret>) {
        let mut errors = self.errors.into_inner();
        errors
            .sort_by_key(|error| error.span.clone().map_or((0, 0), |span| (span.start, span.end)));
        errors.dedup();
        let hidden = self.hidden.into_inner().into_iter().map(|(_, value)| value).collect();
        (errors, hidden)
    }

    /// A text of the plan as messages may show it: not if a variable went into it.
    pub(super) fn shown(&self, text: &At<String>) -> String {
        if self.hidden.borrow().iter().any(|(span, _)| *span == text.span) {
            return "the value of a variable".to_owned();
        }
        format!("`{}`", bounded(&text.value))
    }

    /// The text with its variables replaced.
    pub(super) fn expand(&self, text: &str, span: Span) -> Option<At<String>> {
        match self.variables.expand(text) {
            Ok(expanded) => {
                let hidden =
                    expanded.hidden.into_iter().map(|value| (span.clone(), Secret::new(value)));
                self.hidden.borrow_mut().extend(hidden);
                Some(At { value: expanded.text, span })
            }
            Err(error) => {
                let (code, message, help) = describe(error);
                self.error(code, span, message, help);
                None
            }
        }
    }
}

fn describe(error: VariableError) -> (&'static str, String, Option<String>) {
    match error {
        VariableError::Open => {
            let help = "write `$${` for a `${` that is meant as such".to_owned();
            (codes::VARIABLE, "`${` without its `}`".to_owned(), Some(help))
        }
        VariableError::Name(inner) => {
            let help = "letters, digits and `_`, as in `${NAME}` or `${NAME:-default}`".to_owned();
            (codes::VARIABLE, format!("`${{{}}}` names no variable", bounded(&inner)), Some(help))
        }
        VariableError::Unset(name) => {
            let help = format!("set it, or write `${{{name}:-default}}`");
            (codes::UNSET, format!("the variable `{name}` is not set"), Some(help))
        }
        VariableError::File { path, why } => {
            let help = "the path is relative to the plan".to_owned();
            (
                codes::UNREADABLE,
                format!("cannot read the file `{}`: {why}", bounded(&path)),
                Some(help),
            )
        }
    }
}

/// At most 60 characters of a text, controls escaped.
pub(super) fn bounded(text: &str) -> String {
    const CHARS_MAX: usize = 60;
    let mut shown = String::new();
    for c in text.chars().take(CHARS_MAX) {
        if c.is_control() {
            shown.extend(c.escape_debug());
        } else {
            shown.push(c);
        }
    }
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A section being read.
pub(super) struct Reader<'a> {
    pub(super) notes: &'a Notes<'a>,
    section: &'static Section,
    /// How messages call the section: "`[source.samples]`".
    pub(super) place: String,
    table: &'a DeTable<'a>,
    pub(super) span: Span,
    /// Keys that unknown ones were probably meant to be.
    meant: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// Opens a table, and notes unknown keys, missing ones, and ones without what they refine.
    pub(super) fn open(
        notes: &'a Notes<'a>,
        section: &'static Section,
        place: String,
        table: &'a DeTable<'a>,
        span: Span,
    ) -> Self {
        let names = || section.keys.iter().map(|key| key.name);
        let unknown = table.keys().filter(|name| section.key(name.get_ref()).is_none());
        let meant = unknown.filter_map(|name| nearest(name.get_ref(), names())).collect();
        let reader = Self { notes, section, place, table, span, meant };
        for name in table.keys() {
            match section.key(name.get_ref()) {
                Some(key) => reader.check_needs(key, name.span()),
                None => reader.unknown(name.get_ref(), name.span()),
            }
        }
        for key in
            section.keys.iter().filter(|key| key.required && !reader.has_or_means(&[key.name]))
        {
            reader.missing(key);
        }
        reader
    }

    fn unknown(&self, name: &str, span: Span) {
        let names = self.section.keys.iter().map(|key| key.name);
        let message = format!("unknown key `{}` in {}", bounded(name), self.place);
        let help = did_you_mean(name, names).or_else(|| elsewhere(name));
        self.notes.error(codes::UNKNOWN_KEY, span, message, help);
    }

    fn missing(&self, key: &Key) {
        let message = format!("`{}` is missing in {}", key.name, self.place);
        let example = key.example.lines().next().unwrap_or_default();
        let help = format!("for example `{example}`");
        self.notes.error(codes::MISSING, self.span.clone(), message, Some(help));
    }

    fn check_needs(&self, key: &Key, span: Span) {
        if key.needs.is_empty() || self.has_or_means(key.needs) {
            return;
        }
        let message =
            format!("`{}` means nothing in {} without {}", key.name, self.place, or(key.needs));
        self.notes.error(codes::NEEDS, span, message, None);
    }

    /// Whether the key stands there, well or badly.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether one of the keys stands there, or an unknown one that was probably meant to be it.
    pub(super) fn has_or_means(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.has(name) || self.meant.contains(name))
    }

    /// The keys of `names` that stand there, with their places.
    pub(super) fn present(&self, names: &[&str]) -> Vec<(&'a str, Span)> {
        let found = self.table.keys().filter(|key| names.contains(&key.get_ref().as_ref()));
        found.map(|key| (key.get_ref().as_ref(), key.span())).collect()
    }

    /// The value of a key, which the table of keys says has this shape.
    pub(super) fn get(&self, name: &str, shape: Shape) -> Option<&'a Node<'a>> {
        let key =
            self.section.key(name).expect("every key that is read stands in the table of keys");
        debug_assert_eq!(key.shape, shape, "the shape of `{name}`");
        self.table.get(name)
    }

    fn wrong(&self, name: &str, value: &Node<'_>, shape: Shape) {
        let message =
            format!("`{name}` must be {}, not {}", shape.expects(), type_of(value.get_ref()));
        self.notes.error(codes::WRONG_TYPE, value.span(), message, None);
    }

    /// A text that is a value by itself: notes a wrong type.
    fn text_of(&self, name: &str, value: &'a Node<'a>, shape: Shape) -> Option<At<String>> {
        match value.get_ref() {
            DeValue::String(text) => self.notes.expand(text, value.span()),
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.wrong(name, value, shape);
                None
            }
        }
    }

    fn parsed<T>(
        &self,
        name: &str,
        shape: Shape,
        code: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<At<T>> {
        let text = self.text_of(name, self.get(name, shape)?, shape)?;
        let Some(value) = parse(&text.value) else {
            let message =
                format!("`{name}` must be {}, not {}", shape.expects(), self.notes.shown(&text));
            self.notes.error(code, text.span, message, None);
            return None;
        };
        Some(At { value, span: text.span })
    }

    pub(super) fn bool(&self, name: &str) -> Option<bool> {
        let value = self.get(name, Shape::Bool)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(name, value, Shape::Bool);
        }
        found
    }

    /// Whether a key that can only be `true` stands there.
    pub(super) fn only_true(&self, name: &str) -> bool {
        let Some(value) = self.get(name, Shape::True) else {
            return false;
        };
        let found = value.get_ref().as_bool() == Some(true);
        if !found {
            self.wrong(name, value, Shape::True);
        }
        found
    }

    pub(super) fn count(&self, name: &str, least: u64) -> Option<u64> {
        let shape = Shape::Count(least);
        let value = self.get(name, shape)?;
        self.count_of(name, value, shape).filter(|count| {
            let enough = *count >= least;
            if !enough {
                let message = format!("`{name}` must be {}, not {count}", shape.expects());
                self.notes.error(codes::OUT_OF_RANGE, value.span(), message, None);
            }
            enough
        })
    }

    pub(super) fn count_u32(&self, name: &str, least: u64) -> Option<u32> {
        let count = self.count(name, least)?;
        let small = u32::try_from(count).ok();
        if let (None, Some(value)) = (small, self.table.get(name)) {
            let message = format!("`{name}` must be at most {}, not {count}", u32::MAX);
            self.notes.error(codes::OUT_OF_RANGE, value.span(), message, None);
        }
        small
    }

    fn count_of(&self, name: &str, value: &Node<'_>, shape: Shape) -> Option<u64> {
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong(name, value, shape);
            return None;
        };
        let parsed = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        // Whole numbers of TOML end at 2^63.
        let count = parsed.filter(|count| i64::try_from(*count).is_ok());
        if count.is_none() {
            let message = format!(
                "`{name}` must be {}, not {}",
                shape.expects(),
                bounded(&integer.to_string())
            );
            self.notes.error(codes::OUT_OF_RANGE, value.span(), message, None);
        }
        count
    }

    pub(super) fn integer(&self, name: &str) -> Option<At<i64>> {
        let value = self.get(name, Shape::Integer)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong(name, value, Shape::Integer);
            return None;
        };
        let parsed = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
        if parsed.is_none() {
            let message = format!("`{name}` does not fit into 64 bits");
            self.notes.error(codes::OUT_OF_RANGE, value.span(), message, None);
        }
        parsed.map(|number| At { value: number, span: value.span() })
    }

    /// A text, which must not be empty unless `empty` says so.
    pub(super) fn text(&self, name: &str) -> Option<At<String>> {
        let text = self.text_or_empty(name)?;
        if text.value.is_empty() {
            self.empty(name, text.span);
            return None;
        }
        Some(text)
    }

    pub(super) fn text_or_empty(&self, name: &str) -> Option<At<String>> {
        self.text_of(name, self.get(name, Shape::Text)?, Shape::Text)
    }

    /// What makes a row.
    pub(super) fn each(&self, name: &str) -> Option<At<String>> {
        self.text_of(name, self.get(name, Shape::Each)?, Shape::Each)
    }

    /// Whether a single text stands there.
    pub(super) fn is_text(&self, name: &str) -> bool {
        self.table.get(name).is_some_and(|value| value.get_ref().is_str())
    }

    /// Notes that there is nothing in a key.
    pub(super) fn empty(&self, name: &str, span: Span) {
        let message = format!("`{name}` in {} is empty", self.place);
        self.notes.error(codes::EMPTY, span, message, None);
    }

    /// One text or several, none of them empty, each once.
    pub(super) fn texts(&self, name: &str) -> Vec<At<String>> {
        self.names_in(name, Shape::Texts)
    }

    /// Several texts, none of them empty, each once.
    pub(super) fn names(&self, name: &str) -> Vec<At<String>> {
        self.names_in(name, Shape::TextList)
    }

    /// Several texts, of which several may be the same.
    pub(super) fn words(&self, name: &str) -> Vec<At<String>> {
        let value = self.get(name, Shape::TextList);
        value.map_or(Vec::new(), |value| self.texts_of(name, value, Shape::TextList))
    }

    fn names_in(&self, name: &str, shape: Shape) -> Vec<At<String>> {
        let Some(value) = self.get(name, shape) else {
            return Vec::new();
        };
        let found = self.texts_of(name, value, shape);
        if matches!(value.get_ref(), DeValue::Array(items) if items.is_empty())
            && shape == Shape::Texts
        {
            self.empty(name, value.span());
        }
        for (index, text) in found.iter().enumerate() {
            if text.value.is_empty() {
                self.empty(name, text.span.clone());
            } else if found[..index].iter().any(|before| before.value == text.value) {
                let message = format!("`{name}` holds {} twice", self.notes.shown(text));
                self.notes.error(codes::TWICE, text.span.clone(), message, None);
            }
        }
        found
    }

    /// Several texts, empty ones too; `None` where the key is left out.
    pub(super) fn markers(&self, name: &str) -> Option<Vec<String>> {
        let value = self.get(name, Shape::TextList)?;
        let texts = self.texts_of(name, value, Shape::TextList);
        Some(texts.into_iter().map(|text| text.value).collect())
    }

    fn texts_of(&self, name: &str, value: &'a Node<'a>, shape: Shape) -> Vec<At<String>> {
        match value.get_ref() {
            DeValue::Array(items) => {
                items.iter().filter_map(|item| self.text_of(name, item, shape)).collect()
            }
            DeValue::String(_) if shape != Shape::TextList => {
                self.text_of(name, value, shape).into_iter().collect()
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                self.wrong(name, value, shape);
                Vec::new()
            }
        }
    }

    /// One of some words, as what it means.
    pub(super) fn word<T: Clone>(
        &self,
        name: &str,
        words: &'static [(&'static str, T)],
    ) -> Option<T> {
        let key =
            self.section.key(name).expect("every key that is read stands in the table of keys");
        let Shape::Word(listed) = key.shape else {
            unreachable!("`{name}` is a word in the table of keys")
        };
        debug_assert!(words.iter().map(|(word, _)| word).eq(listed), "the words of `{name}`");
        let text = self.text_of(name, self.table.get(name)?, key.shape)?;
        let found = words.iter().find(|(word, _)| *word == text.value);
        if found.is_none() {
            let message = format!(
                "`{name}` must be {}, not {}",
                key.shape.expects(),
                self.notes.shown(&text)
            );
            let help = did_you_mean(&text.value, listed.iter().copied());
            self.notes.error(codes::WRONG_WORD, text.span, message, help);
        }
        found.map(|(_, meaning)| meaning.clone())
    }

    /// One of some words, itself.
    pub(super) fn one_of(&self, name: &str) -> Option<At<String>> {
        let key =
            self.section.key(name).expect("every key that is read stands in the table of keys");
        let Shape::Word(listed) = key.shape else {
            unreachable!("`{name}` is a word in the table of keys")
        };
        let text = self.text_of(name, self.table.get(name)?, key.shape)?;
        if !listed.contains(&text.value.as_str()) {
            let message = format!(
                "`{name}` must be {}, not {}",
                key.shape.expects(),
                self.notes.shown(&text)
            );
            let help = did_you_mean(&text.value, listed.iter().copied());
            self.notes.error(codes::WRONG_WORD, text.span, message, help);
            return None;
        }
        Some(text)
    }

    /// One ASCII character.
    pub(super) fn byte(&self, name: &str) -> Option<u8> {
        let shape = Shape::Byte { or_none: false };
        self.parsed(name, shape, codes::WRONG_WORD, ascii).map(|at| at.value)
    }

    /// One ASCII character, which an empty text takes away.
    pub(super) fn byte_or_none(&self, name: &str, default: u8) -> Option<u8> {
        let shape = Shape::Byte { or_none: true };
        let parse = |text: &str| {
            if text.is_empty() { Some(None) } else { ascii(text).map(Some) }
        };
        self.parsed(name, shape, codes::WRONG_WORD, parse).map_or(Some(default), |at| at.value)
    }

    pub(super) fn size(&self, name: &str) -> Option<u64> {
        let value = self.get(name, Shape::Size)?;
        if value.get_ref().is_integer() {
            return self.count_of(name, value, Shape::Size);
        }
        self.parsed(name, Shape::Size, codes::SIZE, quantity::size).map(|at| at.value)
    }

    pub(super) fn duration(&self, name: &str) -> Option<Duration> {
        self.parsed(name, Shape::Duration, codes::DURATION, quantity::duration).map(|at| at.value)
    }

    pub(super) fn rate(&self, name: &str) -> Option<u64> {
        self.parsed(name, Shape::Rate, codes::RATE, quantity::rate).map(|at| at.value)
    }

    /// SQL: a text, or a table with one for each engine; none of them empty.
    pub(super) fn sql(&self, name: &str, section: &'static Section) -> Option<SqlText> {
        let shape = Shape::Sql(section);
        let value = self.get(name, shape)?;
        let span = value.span();
        let DeValue::Table(table) = value.get_ref() else {
            let text = self.text_of(name, value, shape)?;
            if text.value.trim().is_empty() {
                self.empty(name, span);
                return None;
            }
            return Some(SqlText { by: ByEngine::Any(text.value), span });
        };
        let place = format!("`{name}` of {}", self.place);
        let reader = Reader::open(self.notes, section, place, table, span.clone());
        if table.is_empty() {
            self.empty(name, span.clone());
        }
        let engines =
            ENGINES.iter().filter_map(|engine| Some((*engine, reader.text(engine)?.value)));
        Some(SqlText { by: ByEngine::Each(engines.collect()), span })
    }

    pub(super) fn clock(&self, name: &str) -> Option<At<u32>> {
        self.parsed(name, Shape::Clock, codes::CLOCK, quantity::clock)
    }

    pub(super) fn budget(&self, name: &str) -> Option<Budget> {
        let value = self.get(name, Shape::Budget)?;
        if value.get_ref().is_integer() {
            return self.count_of(name, value, Shape::Budget).map(Budget::Count);
        }
        self.parsed(name, Shape::Budget, codes::BUDGET, quantity::percent).map(|at| at.value)
    }

    pub(super) fn uuid(&self, name: &str) -> Option<At<[u8; 16]>> {
        self.parsed(name, Shape::Uuid, codes::UUID, quantity::uuid)
    }

    pub(super) fn kind(&self, name: &str) -> Option<At<Kind>> {
        let text = self.text_of(name, self.get(name, Shape::Kind)?, Shape::Kind)?;
        let Some(kind) = Kind::parse(&text.value) else {
            let message = format!("unknown kind {}", self.notes.shown(&text));
            let help = did_you_mean(&text.value, Kind::NAMES.iter().copied())
                .unwrap_or_else(|| format!("kinds are {}", quoted(Kind::NAMES)));
            self.notes.error(codes::UNKNOWN_KIND, text.span, message, Some(help));
            return None;
        };
        Some(At { value: kind, span: text.span })
    }

    pub(super) fn fact(&self, name: &str) -> Option<At<Fact>> {
        let text = self.text_of(name, self.get(name, Shape::Fact)?, Shape::Fact)?;
        let names: Vec<&str> = Fact::ALL.iter().map(|(name, _)| *name).collect();
        let Some((_, fact)) = Fact::ALL.iter().find(|(name, _)| *name == text.value) else {
            let message = format!("unknown fact {}", self.notes.shown(&text));
            let help = did_you_mean(&text.value, names.iter().copied())
                .unwrap_or_else(|| format!("facts are {}", quoted(&names)));
            self.notes.error(codes::UNKNOWN_FACT, text.span, message, Some(help));
            return None;
        };
        Some(At { value: *fact, span: text.span })
    }

    pub(super) fn timestamps(&self, name: &str) -> Vec<At<String>> {
        let Some(value) = self.get(name, Shape::Timestamps) else {
            return Vec::new();
        };
        let formats = self.texts_of(name, value, Shape::Timestamps);
        if matches!(value.get_ref(), DeValue::Array(items) if items.is_empty()) {
            self.empty(name, value.span());
        }
        let names = || TIMESTAMP_NAMES.iter().map(|(name, _)| *name);
        let named = |text: &str| names().any(|name| name == text);
        for format in
            formats.iter().filter(|format| !format.value.contains('%') && !named(&format.value))
        {
            let message = format!("{} is not a timestamp format", self.notes.shown(format));
            let listed: Vec<&str> = names().collect();
            let help = did_you_mean(&format.value, names()).unwrap_or_else(|| {
                format!("write a pattern such as `%Y-%m-%d`, or {}", or(&listed))
            });
            self.notes.error(codes::TIMESTAMP, format.span.clone(), message, Some(help));
        }
        formats
    }

    pub(super) fn literal(&self, name: &str) -> Option<Literal> {
        self.literal_of(name, self.get(name, Shape::Literal)?)
    }

    /// A literal that is a value by itself.
    pub(super) fn literal_of(&self, name: &str, value: &'a Node<'a>) -> Option<Literal> {
        match value.get_ref() {
            DeValue::String(text) => {
                self.notes.expand(text, value.span()).map(|text| Literal::Text(text.value))
            }
            DeValue::Boolean(flag) => Some(Literal::Bool(*flag)),
            DeValue::Integer(integer) => {
                let number = i64::from_str_radix(integer.as_str(), integer.radix()).ok();
                if number.is_none() {
                    let message = format!("`{name}` does not fit into 64 bits");
                    let help = "write it as a text: the column's kind decides".to_owned();
                    self.notes.error(codes::OUT_OF_RANGE, value.span(), message, Some(help));
                }
                number.map(Literal::Int)
            }
            DeValue::Float(float) => {
                let number = float.as_str().parse().ok().filter(|number: &f64| number.is_finite());
                if number.is_none() {
                    let message = format!("`{name}` must be a finite number");
                    self.notes.error(codes::OUT_OF_RANGE, value.span(), message, None);
                }
                number.map(Literal::Float)
            }
            DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                self.wrong(name, value, Shape::Literal);
                None
            }
        }
    }

    /// The table under a key.
    pub(super) fn one(
        &self,
        name: &str,
        section: &'static Section,
        place: String,
    ) -> Option<Reader<'a>> {
        let value = self.get(name, Shape::One(section))?;
        let table = self.table_of(name, value, Shape::One(section))?;
        Some(Reader::open(self.notes, section, place, table, value.span()))
    }

    /// The tables of a list, with their places in the file.
    pub(super) fn many(
        &self,
        name: &str,
        section: &'static Section,
    ) -> Vec<(&'a DeTable<'a>, Span)> {
        let shape = Shape::Many(section);
        let Some(value) = self.get(name, shape) else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(name, value, shape);
            return Vec::new();
        };
        if items.is_empty() {
            self.empty(name, value.span());
        }
        let tables =
            items.iter().filter_map(|item| Some((self.table_of(name, item, shape)?, item.span())));
        tables.collect()
    }

    /// The names of a table and what stands under them.
    pub(super) fn named(&self, name: &str, shape: Shape) -> Vec<(At<String>, &'a Node<'a>)> {
        let Some(value) = self.get(name, shape) else {
            return Vec::new();
        };
        let Some(table) = self.table_of(name, value, shape) else {
            return Vec::new();
        };
        if table.is_empty() {
            self.empty(name, value.span());
        }
        table
            .iter()
            .map(|(key, value)| (At { value: key.get_ref().to_string(), span: key.span() }, value))
            .collect()
    }

    /// A table, or a note that there should be one.
    pub(super) fn table_of(
        &self,
        name: &str,
        value: &'a Node<'a>,
        shape: Shape,
    ) -> Option<&'a DeTable<'a>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong(name, value, shape);
        }
        table
    }
}

/// Where a key belongs that does not belong where it stands.
fn elsewhere(name: &str) -> Option<String> {
    let section = SECTIONS.iter().find(|section| section.key(name).is_some())?;
    Some(format!("`{name}` is a key of {}", section.shown()))
}

/// The byte of a text of one, which can stand in a line.
fn ascii(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Some(*byte),
        _ => None,
    }
}

/// What a TOML value is called in messages.
pub(super) fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// `` `a`, `b` ``.
pub(super) fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// `` `a`, `b` or `c` ``.
pub(super) fn or(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [most @ .., last] => format!("{} or `{last}`", quoted(most)),
    }
}
