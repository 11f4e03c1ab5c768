//! JSON read exactly: number text, member order and duplicate keys survive.
//!
//! Owns the parser (RFC 8259, nothing beyond it), the tree, JSON Pointer (RFC 6901) and the two
//! writers: compact text, and the canonical text that checksums use. It decodes no other encoding
//! than UTF-8 and strips no byte order mark: that is the reader's declared business.
//!
//! ```text
//! bytes ──parse──▶ Json ──to_text──▶ same numbers, same order, no blanks
//!                       └─canonical──▶ sorted keys, last duplicate, one spelling per number
//! ```

use crate::decimal::{self, Decimal, DecimalError};
use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::{Deref, Range};

/// How deep documents may nest unless [`Limits`] say otherwise.
pub const DEPTH_DEFAULT: usize = 128;

/// How deep they may nest at all: the parser recurses, and the stack is finite.
pub const DEPTH_MAX: usize = 512;

/// A JSON value. Strings without escapes borrow from the input.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(Number<'a>),
    /// A string, its escapes decoded.
    String(Cow<'a, str>),
    /// Values in order.
    Array(Vec<Json<'a>>),
    /// Members in order, duplicates included; [`Json::get`] finds the last.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

/// The text of a JSON number: always a valid literal of [`Decimal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number<'a>(Cow<'a, str>);

/// What a parse found: the tree, and whether it says one thing twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<'a> {
    /// The document.
    pub json: Json<'a>,
    /// Keys that an object repeats.
    pub duplicates: Duplicates,
}

/// Members that a later member of the same object hides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// How many in the whole document.
    pub count: u64,
    /// The first repeated key, in the order objects end, and the byte where its object begins.
    pub first: Option<(String, usize)>,
}

/// Bounds on a document.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Arrays and objects inside each other; at most [`DEPTH_MAX`].
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: DEPTH_DEFAULT }
    }
}

/// Where and why bytes are not a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}, byte {byte}: {reason}")]
pub struct JsonError {
    /// Why.
    pub reason: Reason,
    /// Offset from the start, from 0.
    pub byte: usize,
    /// Lines end with a line feed; from 1.
    pub line: u64,
    /// Characters, not bytes; from 1.
    pub column: u64,
}

/// Why bytes are not a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nothing but blanks.
    #[error("empty document")]
    Empty,
    /// The document breaks off.
    #[error("the document ends too early")]
    UnexpectedEnd,
    /// A value had to begin here.
    #[error("expected a value")]
    ValueExpected,
    /// A member's key had to begin here.
    #[error("expected a key in double quotes")]
    KeyExpected,
    /// The colon between key and value.
    #[error("expected `:`")]
    ColonExpected,
    /// Between array elements.
    #[error("expected `,` or `]`")]
    CommaOrBracketExpected,
    /// Between members.
    #[error("expected `,` or `}}`")]
    CommaOrBraceExpected,
    /// `[1,]`
    #[error("trailing comma")]
    TrailingComma,
    /// The document is over, the bytes are not.
    #[error("more text after the document")]
    TrailingBytes,
    /// Python, JavaScript and loggers write these; JSON has no such number.
    #[error("`NaN` and `Infinity` are not JSON")]
    NotFinite,
    /// `+1`, `01`, `1.`, `.5`, …
    #[error("not a JSON number")]
    BadNumber,
    /// More digits or a larger exponent than [`crate::decimal`] takes.
    #[error("number beyond the supported range")]
    NumberOutOfRange,
    /// A raw control character; it must be escaped.
    #[error("control character in a string")]
    ControlCharacter,
    /// `\x` and the like.
    #[error("unknown escape")]
    BadEscape,
    /// `\u` without four hexadecimal digits.
    #[error("`\\u` needs four hexadecimal digits")]
    BadUnicodeEscape,
    /// Half of a UTF-16 pair stands alone.
    #[error("lone surrogate")]
    LoneSurrogate,
    /// Not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A byte order mark before the document.
    #[error("byte order mark")]
    ByteOrderMark,
    /// Deeper than the limit.
    #[error("nested too deep")]
    TooDeep,
}

/// Reads a whole document under the default limits.
pub fn parse(bytes: &[u8]) -> Result<Json<'_>, JsonError> {
    parse_with(bytes, Limits::default()).map(|parsed| parsed.json)
}

/// Reads a whole document; blanks may surround it, nothing else.
pub fn parse_with(bytes: &[u8], limits: Limits) -> Result<Parsed<'_>, JsonError> {
    read(bytes, limits, |reader| {
        let json = reader.value()?;
        reader.end()?;
        Ok(Parsed { json, duplicates: std::mem::take(&mut reader.duplicates) })
    })
}

/// Reads the document at the front of `bytes` and says where it ends (trailing blanks not taken).
///
/// A number at the very end of `bytes` counts as complete.
pub fn parse_prefix(bytes: &[u8], limits: Limits) -> Result<(Parsed<'_>, usize), JsonError> {
    read(bytes, limits, |reader| {
        let json = reader.value()?;
        let parsed = Parsed { json, duplicates: std::mem::take(&mut reader.duplicates) };
        Ok((parsed, reader.at))
    })
}

/// Checks a whole document without building it.
pub fn validate(bytes: &[u8], limits: Limits) -> Result<(), JsonError> {
    read(bytes, limits, |reader| {
        reader.skip()?;
        reader.end()
    })
}

/// The bytes of the value that `pointer` names, as they stand in the document.
///
/// Checks the whole document; of duplicate keys the last counts.
pub fn span(
    bytes: &[u8],
    pointer: &Pointer,
    limits: Limits,
) -> Result<Option<Range<usize>>, JsonError> {
    read(bytes, limits, |reader| {
        let found = reader.find(&pointer.tokens)?;
        reader.end()?;
        Ok(found)
    })
}

impl<'a> Json<'a> {
    /// The last member of that name, if this is an object that has one.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        let members = self.as_object()?;
        members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The value a JSON Pointer names.
    pub fn at(&self, pointer: &Pointer) -> Option<&Json<'a>> {
        pointer.tokens.iter().try_fold(self, |value, token| match value {
            Json::Object(_) => value.get(&token.text),
            Json::Array(items) => items.get(token.index?),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
        })
    }

    /// The word for messages: `null`, `boolean`, `number`, `string`, `array`, `object`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number's text, if this is one.
    pub fn as_number(&self) -> Option<&Number<'a>> {
        if let Self::Number(number) = self { Some(number) } else { None }
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// The elements, if this is an array.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        if let Self::Array(items) = self { Some(items) } else { None }
    }

    /// The members in document order, duplicates included, if this is an object.
    pub fn as_object(&self) -> Option<&[(Cow<'a, str>, Json<'a>)]> {
        if let Self::Object(members) = self { Some(members) } else { None }
    }

    /// A tree that borrows nothing.
    pub fn into_owned(self) -> Json<'static> {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(value),
            Self::Number(number) => Json::Number(number.into_owned()),
            Self::String(text) => Json::String(Cow::Owned(text.into_owned())),
            Self::Array(items) => Json::Array(items.into_iter().map(Json::into_owned).collect()),
            Self::Object(members) => Json::Object(
                members
                    .into_iter()
                    .map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned()))
                    .collect(),
            ),
        }
    }

    /// Compact text: numbers, order and duplicates as read.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out);
        out
    }

    /// Appends [`to_text`](Self::to_text).
    pub fn write_text(&self, out: &mut String) {
        self.write(out, Form::AsRead);
    }

    /// Canonical text: keys sorted by their UTF-8 bytes, the last of duplicates only, each number
    /// in [`Decimal`]'s canonical spelling, no blanks.
    pub fn to_canonical_text(&self) -> String {
        let mut out = String::new();
        self.write_canonical(&mut out);
        out
    }

    /// Appends [`to_canonical_text`](Self::to_canonical_text).
    pub fn write_canonical(&self, out: &mut String) {
        self.write(out, Form::Canonical);
    }

    fn write(&self, out: &mut String, form: Form) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => match form {
                Form::AsRead => out.push_str(number),
                Form::Canonical => {
                    write!(out, "{}", number.decimal()).expect("a String takes every character");
                }
            },
            Self::String(text) => write_string(out, text),
            Self::Array(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    separate(out, index);
                    item.write(out, form);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                match form {
                    Form::AsRead => write_members(out, members.iter(), form),
                    Form::Canonical => {
                        write_members(out, canonical_members(members).into_iter(), form);
                    }
                }
                out.push('}');
            }
        }
    }
}

/// The compact text.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

type Member<'a> = (Cow<'a, str>, Json<'a>);

#[derive(Clone, Copy)]
enum Form {
    AsRead,
    Canonical,
}

/// Members by key bytes, of duplicates the last.
pub(crate) fn canonical_members<'m, 'a>(members: &'m [Member<'a>]) -> Vec<&'m Member<'a>> {
    let mut sorted: Vec<&Member<'a>> = members.iter().rev().collect();
    sorted.sort_by(|left, right| left.0.cmp(&right.0));
    sorted.dedup_by(|later, kept| later.0 == kept.0);
    sorted
}

/// Appends `text` as a JSON string: only what must be escaped is.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut plain_from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(&text[plain_from..at]);
        plain_from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0C => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => write!(out, "\\u{control:04x}").expect("a String takes every character"),
        }
    }
    out.push_str(&text[plain_from..]);
    out.push('"');
}

fn write_members<'m, 'a: 'm>(
    out: &mut String,
    members: impl Iterator<Item = &'m Member<'a>>,
    form: Form,
) {
    for (index, (key, value)) in members.enumerate() {
        separate(out, index);
        write_string(out, key);
        out.push(':');
        value.write(out, form);
    }
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

impl<'a> Number<'a> {
    /// Takes a literal of JSON's number grammar.
    pub fn parse(text: &'a str) -> Result<Self, DecimalError> {
        Decimal::parse(text).map(|_| Self(Cow::Borrowed(text)))
    }

    /// The literal as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value.
    pub fn decimal(&self) -> Decimal<'_> {
        Decimal::parse(&self.0).expect("a Number holds a decimal literal")
    }

    /// A number that borrows nothing.
    pub fn into_owned(self) -> Number<'static> {
        Number(Cow::Owned(self.0.into_owned()))
    }
}

impl From<i128> for Number<'static> {
    fn from(value: i128) -> Self {
        Number(Cow::Owned(value.to_string()))
    }
}

impl Deref for Number<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Number<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A parsed JSON Pointer (RFC 6901): `""` is the whole document, `/a/0/b~1c` goes down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pointer {
    tokens: Vec<Token>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    /// What it means in an array: digits without a leading zero.
    index: Option<usize>,
}

/// Why a text is not a JSON Pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// It is neither empty nor absolute.
    #[error("a JSON Pointer begins with `/`")]
    SlashExpected,
    /// `~` stands for itself only as `~0`; `~1` is a slash.
    #[error("`~` must be followed by `0` or `1`, at byte {at}")]
    BadEscape {
        /// Byte offset of the tilde.
        at: usize,
    },
}

impl Pointer {
    /// Reads a pointer in its string form (not the URI fragment form).
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let rest = text.strip_prefix('/').ok_or(PointerError::SlashExpected)?;
        if let Some(at) = bad_tilde(text) {
            return Err(PointerError::BadEscape { at });
        }
        Ok(Self { tokens: rest.split('/').map(Token::new).collect() })
    }

    /// The decoded reference tokens.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.iter().map(|token| token.text.as_str())
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens()
            .try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

impl Token {
    fn new(escaped: &str) -> Self {
        let text = escaped.replace("~1", "/").replace("~0", "~");
        let canonical = text == "0" || (!text.starts_with('0') && !text.starts_with('+'));
        let index = if canonical { text.parse().ok() } else { None };
        Self { text, index }
    }
}

fn bad_tilde(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'~', bytes).find(|at| !matches!(bytes.get(at + 1), Some(b'0' | b'1')))
}

/// Runs `work` over the valid UTF-8 at the front of `bytes`; an error that comes first wins.
fn read<'a, T>(
    bytes: &'a [u8],
    limits: Limits,
    work: impl FnOnce(&mut Reader<'a>) -> Result<T, Fault>,
) -> Result<T, JsonError> {
    let (text, valid) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => {
            let front = &bytes[..error.valid_up_to()];
            (std::str::from_utf8(front).expect("the front was found valid"), false)
        }
    };
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        depth_left: limits.depth.min(DEPTH_MAX),
        duplicates: Duplicates::default(),
    };
    let outcome = reader.begin().and_then(|()| work(&mut reader));
    let invalid = Fault { reason: Reason::InvalidUtf8, at: text.len() };
    match outcome {
        Err(fault) if valid || fault.at < text.len() => Err(fault.located(bytes)),
        Err(_) => Err(invalid.located(bytes)),
        Ok(_) if !valid => Err(invalid.located(bytes)),
        Ok(found) => Ok(found),
    }
}

/// A reason and where, before anybody asked for the line.
struct Fault {
    reason: Reason,
    at: usize,
}

impl Fault {
    #[cold]
    fn located(&self, bytes: &[u8]) -> JsonError {
        let before = &bytes[..self.at.min(bytes.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        // Continuation bytes of UTF-8 begin no character.
        let characters = before[line_start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        JsonError {
            reason: self.reason,
            byte: self.at,
            line: memchr::memchr_iter(b'\n', before).count() as u64 + 1,
            column: characters as u64 + 1,
        }
    }
}

/// Whether a word begins here by which Python, JavaScript or C print what is no number.
fn is_not_finite(rest: &[u8]) -> bool {
    ["nan", "NaN", "NAN", "inf", "Inf"].iter().any(|word| rest.starts_with(word.as_bytes()))
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth_left: usize,
    duplicates: Duplicates,
}

impl<'a> Reader<'a> {
    fn fault<T>(&self, reason: Reason) -> Result<T, Fault> {
        let reason = if self.at < self.bytes.len() { reason } else { Reason::UnexpectedEnd };
        Err(Fault { reason, at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn begin(&mut self) -> Result<(), Fault> {
        if self.text.starts_with('\u{FEFF}') {
            return self.fault(Reason::ByteOrderMark);
        }
        self.blanks();
        if self.at == self.bytes.len() {
            return Err(Fault { reason: Reason::Empty, at: self.at });
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.blanks();
        if self.at < self.bytes.len() { self.fault(Reason::TrailingBytes) } else { Ok(()) }
    }

    fn value(&mut self) -> Result<Json<'a>, Fault> {
        match self.peek() {
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'{') => self.object(),
            Some(b'[') => self.array(),
            _ => self.scalar(),
        }
    }

    /// A value that is neither string, array nor object.
    fn scalar(&mut self) -> Result<Json<'a>, Fault> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Json::Bool(true)),
            Some(b'f') => self.word("false", Json::Bool(false)),
            Some(b'n') if !self.rest().starts_with(b"nan") => self.word("null", Json::Null),
            Some(b'n' | b'N' | b'I' | b'i') if is_not_finite(self.rest()) => {
                self.fault(Reason::NotFinite)
            }
            Some(b'+' | b'.') => self.fault(Reason::BadNumber),
            _ => self.fault(Reason::ValueExpected),
        }
    }

    fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, Fault> {
        let rest = self.rest();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(value);
        }
        if word.as_bytes().starts_with(rest) {
            self.at = self.bytes.len();
        }
        self.fault(Reason::ValueExpected)
    }

    fn number(&mut self) -> Result<Json<'a>, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') && is_not_finite(&self.bytes[start + 1..]) {
            return self.fault(Reason::NotFinite);
        }
        match decimal::scan(self.bytes, start) {
            Ok(parts) => self.at = parts.end,
            Err(error) => return Err(self.number_fault(error)),
        }
        Ok(Json::Number(Number(Cow::Borrowed(&self.text[start..self.at]))))
    }

    #[cold]
    fn number_fault(&self, error: DecimalError) -> Fault {
        let (reason, at) = match error {
            DecimalError::DigitExpected { at } if at >= self.bytes.len() => {
                (Reason::UnexpectedEnd, self.bytes.len())
            }
            DecimalError::DigitExpected { at }
            | DecimalError::LeadingZero { at }
            | DecimalError::Trailing { at } => (Reason::BadNumber, at),
            DecimalError::ExponentOutOfRange { at } | DecimalError::TooManyDigits { at } => {
                (Reason::NumberOutOfRange, at)
            }
        };
        Fault { reason, at }
    }

    fn array(&mut self) -> Result<Json<'a>, Fault> {
        let mut items = Vec::new();
        self.elements(|reader, _| {
            items.push(reader.value()?);
            Ok(())
        })?;
        Ok(Json::Array(items))
    }

    fn object(&mut self) -> Result<Json<'a>, Fault> {
        let start = self.at;
        let mut members: Vec<Member<'a>> = Vec::new();
        self.members(|reader, key| {
            let value = reader.value()?;
            members.push((key, value));
            Ok(())
        })?;
        self.note_duplicates(&members, start);
        Ok(Json::Object(members))
    }

    fn note_duplicates(&mut self, members: &[Member<'a>], start: usize) {
        const QUADRATIC_MAX: usize = 12;
        let repeated = if members.len() <= QUADRATIC_MAX {
            let seen_before = |(index, member): (usize, &Member<'a>)| {
                members[..index].iter().any(|m| m.0 == member.0)
            };
            members.iter().enumerate().filter(|pair| seen_before(*pair)).count()
        } else {
            members.len() - canonical_members(members).len()
        };
        if repeated == 0 {
            return;
        }
        self.duplicates.count += repeated as u64;
        if self.duplicates.first.is_none() {
            let mut keys: Vec<&str> = members.iter().map(|member| &*member.0).collect();
            keys.sort_unstable();
            let key = keys.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
            self.duplicates.first = key.map(|key| (key.to_owned(), start));
        }
    }

    /// Walks `[…]`, giving each element to `each`, which must take it whole.
    fn elements(
        &mut self,
        mut each: impl FnMut(&mut Self, usize) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.enter()?;
        if self.peek() == Some(b']') {
            self.leave();
            return Ok(());
        }
        for index in 0.. {
            each(self, index)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return self.fault(Reason::CommaOrBracketExpected),
            }
            self.blanks();
            if self.peek() == Some(b']') {
                return self.fault(Reason::TrailingComma);
            }
        }
        self.leave();
        Ok(())
    }

    /// Walks `{…}`, giving each key to `each`, which must take the value whole.
    fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Cow<'a, str>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.enter()?;
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(());
        }
        loop {
            let key = self.key()?;
            each(self, key)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return self.fault(Reason::CommaOrBraceExpected),
            }
            self.blanks();
            if self.peek() == Some(b'}') {
                return self.fault(Reason::TrailingComma);
            }
        }
        self.leave();
        Ok(())
    }

    fn enter(&mut self) -> Result<(), Fault> {
        if self.depth_left == 0 {
            return self.fault(Reason::TooDeep);
        }
        self.depth_left -= 1;
        self.at += 1;
        self.blanks();
        Ok(())
    }

    fn leave(&mut self) {
        self.depth_left += 1;
        self.at += 1;
    }

    fn key(&mut self) -> Result<Cow<'a, str>, Fault> {
        if self.peek() != Some(b'"') {
            return self.fault(Reason::KeyExpected);
        }
        let key = self.string()?;
        self.blanks();
        if self.peek() != Some(b':') {
            return self.fault(Reason::ColonExpected);
        }
        self.at += 1;
        self.blanks();
        Ok(key)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at + 1;
        let end = self.plain_end(start)?;
        if self.bytes[end] == b'"' {
            self.at = end + 1;
            return Ok(Cow::Borrowed(&self.text[start..end]));
        }
        let mut decoded = String::with_capacity(end - start + 16);
        let (mut from, mut to) = (start, end);
        loop {
            decoded.push_str(&self.text[from..to]);
            if self.bytes[to] == b'"' {
                self.at = to + 1;
                return Ok(Cow::Owned(decoded));
            }
            self.at = to;
            decoded.push(self.escape()?);
            from = self.at;
            to = self.plain_end(from)?;
        }
    }

    /// The first quote or backslash from `from` on.
    fn plain_end(&mut self, from: usize) -> Result<usize, Fault> {
        let rest = &self.bytes[from..];
        let special = |byte: &u8| *byte == b'"' || *byte == b'\\' || *byte < 0x20;
        let Some(length) = rest.iter().position(special) else {
            return Err(Fault { reason: Reason::UnexpectedEnd, at: self.bytes.len() });
        };
        if rest[length] < 0x20 {
            return Err(Fault { reason: Reason::ControlCharacter, at: from + length });
        }
        Ok(from + length)
    }

    /// Decodes the escape at the backslash and steps past it.
    fn escape(&mut self) -> Result<char, Fault> {
        let backslash = self.at;
        self.at += 1;
        let Some(letter) = self.peek() else { return self.fault(Reason::UnexpectedEnd) };
        let decoded = match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{C}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(backslash),
            _ => return Err(Fault { reason: Reason::BadEscape, at: backslash }),
        };
        self.at += 1;
        Ok(decoded)
    }

    fn unicode_escape(&mut self, backslash: usize) -> Result<char, Fault> {
        let lone = Fault { reason: Reason::LoneSurrogate, at: backslash };
        let first = self.hex_unit(backslash)?;
        if let Some(decoded) = char::from_u32(first) {
            return Ok(decoded);
        }
        if first >= 0xDC00 || !self.rest().starts_with(b"\\u") {
            return Err(lone);
        }
        let second_at = self.at;
        self.at += 1;
        let second = self.hex_unit(second_at)?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)).ok_or(lone)
    }

    /// Reads `u` with four hexadecimal digits and steps past it.
    fn hex_unit(&mut self, backslash: usize) -> Result<u32, Fault> {
        let bad = Fault { reason: Reason::BadUnicodeEscape, at: backslash };
        let Some(digits) = self.bytes.get(self.at + 1..self.at + 5) else {
            let hex = self.bytes[self.at + 1..].iter().all(u8::is_ascii_hexdigit);
            let at = self.bytes.len();
            return Err(if hex { Fault { reason: Reason::UnexpectedEnd, at } } else { bad });
        };
        let mut unit = 0;
        for digit in digits {
            let Some(value) = char::from(*digit).to_digit(16) else { return Err(bad) };
            unit = unit * 16 + value;
        }
        self.at += 5;
        Ok(unit)
    }

    /// Steps past a value, checking it like [`value`](Self::value) but building nothing.
    fn skip(&mut self) -> Result<(), Fault> {
        match self.peek() {
            Some(b'"') => self.skip_string(),
            Some(b'{') => self.members(|reader, _| reader.skip()),
            Some(b'[') => self.elements(|reader, _| reader.skip()),
            _ => self.scalar().map(drop),
        }
    }

    fn skip_string(&mut self) -> Result<(), Fault> {
        let mut end = self.plain_end(self.at + 1)?;
        while self.bytes[end] == b'\\' {
            self.at = end;
            self.escape()?;
            end = self.plain_end(self.at)?;
        }
        self.at = end + 1;
        Ok(())
    }

    /// Steps past a value and finds what the tokens name within it.
    fn find(&mut self, tokens: &[Token]) -> Result<Option<Range<usize>>, Fault> {
        let Some((token, below)) = tokens.split_first() else {
            let start = self.at;
            self.skip()?;
            return Ok(Some(start..self.at));
        };
        let mut found = None;
        match self.peek() {
            Some(b'{') => self.members(|reader, key| {
                if key == token.text {
                    found = reader.find(below)?;
                    Ok(())
                } else {
                    reader.skip()
                }
            })?,
            Some(b'[') => self.elements(|reader, index| {
                if Some(index) == token.index {
                    found = reader.find(below)?;
                    Ok(())
                } else {
                    reader.skip()
                }
            })?,
            _ => self.skip()?,
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(document: &[u8], expect: &Expect) {
        let found = match parse_with(document, Limits::default()) {
            Ok(Parsed { json, duplicates }) => match duplicates.first {
                None => json.to_text(),
                Some((key, byte)) => {
                    format!("{json} repeats {} first={key:?} in object at {byte}", duplicates.count)
                }
            },
            Err(error) => error.to_string(),
        };
        expect.assert_eq(&found);
    }

    #[test]
    fn numbers_and_order_survive() {
        check(
            b" {\"b\": 1.10, \"a\":[1e5, -0, 9007199254740993, 0.1000]} \r\n",
            &expect![[r#"{"b":1.10,"a":[1e5,-0,9007199254740993,0.1000]}"#]],
        );
    }

    #[test]
    fn duplicate_keys_are_kept_counted_and_named() {
        check(
            br#"[{"a":1,"b":2,"a":3,"a":4}]"#,
            &expect![[r#"[{"a":1,"b":2,"a":3,"a":4}] repeats 2 first="a" in object at 1"#]],
        );
        let json = parse(br#"{"a":1,"\u0061":2}"#).unwrap();
        assert_eq!(json.get("a").unwrap().to_text(), "2");
        assert_eq!(json.to_canonical_text(), r#"{"a":2}"#);
    }

    #[test]
    fn duplicates_are_found_in_large_objects() {
        let members: Vec<String> = (0..100).map(|i| format!("\"k{}\":{i}", i % 99)).collect();
        let text = format!("{{{}}}", members.join(","));
        let parsed = parse_with(text.as_bytes(), Limits::default()).unwrap();
        assert_eq!(parsed.duplicates, Duplicates { count: 1, first: Some(("k0".into(), 0)) });
    }

    #[test]
    fn escapes_decode_and_only_needed_ones_are_written() {
        check(
            br#""\u0041\/\"\\\b\f\n\r\t\u0000\ud83d\ude00\u007f""#,
            &expect![[r#""A/\"\\\b\f\n\r\t\u0000😀""#]],
        );
    }

    #[test]
    fn what_is_not_json_says_where_and_why() {
        check(b"", &expect!["line 1, column 1, byte 0: empty document"]);
        check(b" \n ", &expect!["line 2, column 2, byte 3: empty document"]);
        check(b"\xEF\xBB\xBF{}", &expect!["line 1, column 1, byte 0: byte order mark"]);
        check(b"{\"a\":1", &expect!["line 1, column 7, byte 6: the document ends too early"]);
        check(b"tru", &expect!["line 1, column 4, byte 3: the document ends too early"]);
        check(b"trux", &expect!["line 1, column 1, byte 0: expected a value"]);
        check(b"-", &expect!["line 1, column 2, byte 1: the document ends too early"]);
        check(b"[1,]", &expect!["line 1, column 4, byte 3: trailing comma"]);
        check(b"{\"a\":1,}", &expect!["line 1, column 8, byte 7: trailing comma"]);
        check(b"{a:1}", &expect!["line 1, column 2, byte 1: expected a key in double quotes"]);
        check(b"{\"a\" 1}", &expect!["line 1, column 6, byte 5: expected `:`"]);
        check(b"[1 2]", &expect!["line 1, column 4, byte 3: expected `,` or `]`"]);
        check(b"{\"a\":1 \"b\":2}", &expect!["line 1, column 8, byte 7: expected `,` or `}`"]);
        check(b"1 2", &expect!["line 1, column 3, byte 2: more text after the document"]);
        check(b"'a'", &expect!["line 1, column 1, byte 0: expected a value"]);
        check(b"01", &expect!["line 1, column 1, byte 0: not a JSON number"]);
        check(b"+1", &expect!["line 1, column 1, byte 0: not a JSON number"]);
        check(b"[.5]", &expect!["line 1, column 2, byte 1: not a JSON number"]);
        check(b"[5.]", &expect!["line 1, column 4, byte 3: not a JSON number"]);
        check(b"\"\\x\"", &expect!["line 1, column 2, byte 1: unknown escape"]);
        check(
            b"\"\\u12g4\"",
            &expect!["line 1, column 2, byte 1: `\\u` needs four hexadecimal digits"],
        );
        check(b"\"a\nb\"", &expect!["line 1, column 3, byte 2: control character in a string"]);
        check(
            b"1e9999999999999999999",
            &expect!["line 1, column 3, byte 2: number beyond the supported range"],
        );
    }

    #[test]
    fn columns_count_characters() {
        check(
            "[\"äöü€😀\", x]".as_bytes(),
            &expect!["line 1, column 11, byte 18: expected a value"],
        );
        check(
            b"{\n  \"a\": 1,\n  b\n}",
            &expect!["line 3, column 3, byte 14: expected a key in double quotes"],
        );
    }

    #[test]
    fn not_finite_literals_have_their_own_reason() {
        for text in ["NaN", "Infinity", "-Infinity", "nan", "-inf", "[1, NAN]"] {
            assert_eq!(parse(text.as_bytes()).unwrap_err().reason, Reason::NotFinite, "{text}");
        }
        assert_eq!(parse(b"Nope").unwrap_err().reason, Reason::ValueExpected);
    }

    #[test]
    fn lone_surrogates_are_refused() {
        for text in
            [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#, r#""\udc00\ud800""#]
        {
            assert_eq!(parse(text.as_bytes()).unwrap_err().reason, Reason::LoneSurrogate, "{text}");
        }
    }

    #[test]
    fn invalid_utf8_is_found_at_its_byte_unless_something_is_wrong_before_it() {
        check(b"[\"a\xFFb\"]", &expect!["line 1, column 4, byte 3: invalid UTF-8"]);
        check(b"[1\xFF]", &expect!["line 1, column 3, byte 2: invalid UTF-8"]);
        check(b"1 \xC3", &expect!["line 1, column 3, byte 2: invalid UTF-8"]);
        check(b"\xFF", &expect!["line 1, column 1, byte 0: invalid UTF-8"]);
        check(b"[x, \"\xFF\"]", &expect!["line 1, column 2, byte 1: expected a value"]);
    }

    #[test]
    fn depth_is_an_error_not_a_crash() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parse(&nested(128)).is_ok());
        let error = parse(&nested(129)).unwrap_err();
        assert_eq!((error.reason, error.byte), (Reason::TooDeep, 128));
        let open = vec![b'['; 1_000_000];
        let limits = Limits { depth: usize::MAX };
        assert_eq!(validate(&open, limits).unwrap_err().reason, Reason::TooDeep);
        assert!(parse_with(&nested(DEPTH_MAX), limits).is_ok());
        assert!(parse_with(br"[[1],[2],[3]]", Limits { depth: 2 }).is_ok());
    }

    #[test]
    fn pointers_follow_rfc_6901() {
        let document = br#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        let json = parse(document).unwrap();
        let at = |text: &str| json.at(&Pointer::parse(text).unwrap()).map(Json::to_text);
        for (text, value) in [
            ("/foo/0", "\"bar\""),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(at(text).as_deref(), Some(value), "{text}");
            let pointer = Pointer::parse(text).unwrap();
            let span = span(document, &pointer, Limits::default()).unwrap().unwrap();
            assert_eq!(std::str::from_utf8(&document[span]).unwrap(), value, "{text}");
            assert_eq!(pointer.to_string(), text);
        }
        assert_eq!(at("").as_deref(), Some(&*json.to_text()));
        for absent in ["/foo/2", "/foo/00", "/foo/+1", "/foo/-", "/foo/0/x", "/none"] {
            assert_eq!(at(absent), None, "{absent}");
            assert_eq!(
                span(document, &Pointer::parse(absent).unwrap(), Limits::default()),
                Ok(None)
            );
        }
        assert_eq!(Pointer::parse("foo"), Err(PointerError::SlashExpected));
        assert_eq!(Pointer::parse("/a~2"), Err(PointerError::BadEscape { at: 2 }));
        assert_eq!(Pointer::parse("/a~"), Err(PointerError::BadEscape { at: 2 }));
    }

    #[test]
    fn of_duplicates_the_span_too_is_the_last() {
        let document = br#"{"a":{"b":1},"a":{"c":2}}"#;
        let span =
            |text| span(document, &Pointer::parse(text).unwrap(), Limits::default()).unwrap();
        assert_eq!(span("/a/b"), None);
        assert_eq!(span("/a/c"), Some(22..23));
    }

    #[test]
    fn a_prefix_ends_where_its_value_ends() {
        let (parsed, end) = parse_prefix(b" {\"a\":1} , 2", Limits::default()).unwrap();
        assert_eq!((parsed.json.to_text().as_str(), end), ("{\"a\":1}", 8));
    }

    #[test]
    fn canonical_text_sorts_by_bytes_and_spells_numbers_one_way() {
        let json = parse("{\"ü\":1.0,\"b\":-0.0,\"Z\":1e2,\"a\":[1.50,12e-1]}".as_bytes()).unwrap();
        expect![[r#"{"Z":100,"a":[1.5,1.2],"b":0,"ü":1}"#]].assert_eq(&json.to_canonical_text());
    }

    fn documents() -> impl Strategy<Value = String> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?",
            any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
        ];
        scalar.prop_recursive(5, 60, 6, |inner| {
            let key = any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap());
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|v| format!("[ {} ]", v.join(" ,"))),
                prop::collection::vec((key, inner), 0..6).prop_map(|v| {
                    let members: Vec<_> =
                        v.into_iter().map(|(k, v)| format!("{k} :\t{v}")).collect();
                    format!("{{{}}}", members.join(",\n"))
                }),
            ]
        })
    }

    fn bent_documents() -> impl Strategy<Value = Vec<u8>> {
        let alphabet = prop::sample::select(b"{}[]:,\"\\u0dDeE+-.1ntf \n\x00\xC3\xA9\xFF".to_vec());
        prop_oneof![
            (documents(), any::<prop::sample::Index>(), alphabet.clone()).prop_map(
                |(text, at, byte)| {
                    let mut bytes = text.into_bytes();
                    let at = at.index(bytes.len());
                    bytes[at] = byte;
                    bytes
                }
            ),
            (documents(), any::<prop::sample::Index>())
                .prop_map(|(text, at)| { text.as_bytes()[..at.index(text.len())].to_vec() }),
            prop::collection::vec(alphabet, 0..40),
        ]
    }

    proptest! {
        #[test]
        fn text_parses_back_to_the_same_tree(document in documents()) {
            let json = parse(document.as_bytes()).unwrap();
            let text = json.to_text();
            prop_assert_eq!(&parse(text.as_bytes()).unwrap(), &json);
            let canonical = json.to_canonical_text();
            let again = parse(canonical.as_bytes()).unwrap();
            prop_assert_eq!(again.to_canonical_text(), canonical);
            prop_assert_eq!(json.clone().into_owned(), json);
        }

        #[test]
        fn trees_agree_with_serde_json(document in documents()) {
            let ours = parse(document.as_bytes()).unwrap().to_canonical_text();
            if let Ok(theirs) = serde_json::from_str::<serde_json::Value>(&document) {
                let again: serde_json::Value = serde_json::from_str(&ours).unwrap();
                prop_assert!(same(&theirs, &again), "{theirs} {again}");
            }
        }

        #[test]
        fn verdicts_agree_with_serde_json(bytes in bent_documents()) {
            let theirs = serde_json::from_slice::<&serde_json::value::RawValue>(&bytes);
            let ours = parse(&bytes);
            let stricter = matches!(&ours, Err(JsonError {
                reason: Reason::LoneSurrogate | Reason::NumberOutOfRange, ..
            }));
            prop_assert!(theirs.is_ok() == ours.is_ok() || stricter, "{ours:?} {theirs:?}");
            prop_assert_eq!(validate(&bytes, Limits::default()), ours.map(drop));
        }
    }

    /// Equal but for numbers, which serde_json rounds its own way.
    fn same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
        use serde_json::Value;
        match (a, b) {
            (Value::Number(a), Value::Number(b)) => {
                let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
                (a - b).abs() <= a.abs() * 1e-14 + f64::MIN_POSITIVE
            }
            (Value::Array(a), Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().all(|(k, a)| b.get(k).is_some_and(|b| same(a, b)))
            }
            _ => a == b,
        }
    }
}
