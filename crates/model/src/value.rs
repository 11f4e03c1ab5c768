//! One value: owned ([`Value`]) or borrowed from a chunk ([`ValueRef`]).
//!
//! A value says what it *means*, not how an engine stores it. Decimals and JSON keep their text,
//! so that nothing is lost between reading and writing.

use crate::time::{Date, DateTime, Time};

/// A value borrowed from a chunk, a literal or a row: 32 bytes, `Copy`.
#[derive(Clone, Copy, Debug)]
pub enum ValueRef<'a> {
    /// SQL NULL; also a field that is absent.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of any width up to 128 bits.
    Int(i128),
    /// A decimal literal as written, see [`crate::decimal`]: `12.50`, `-1e5`, `NaN`, `Infinity`.
    Decimal(&'a str),
    /// A double; −0 and every NaN payload are kept.
    Float(f64),
    /// UTF-8 text, exactly as read: no trimming, no normalisation.
    Text(&'a str),
    /// Bytes without an encoding.
    Bytes(&'a [u8]),
    /// A calendar day.
    Date(Date),
    /// A time of day, or a signed duration where the engine's type is one.
    Time(Time),
    /// A date and time without a zone.
    Timestamp(DateTime),
    /// An instant, in UTC.
    TimestampTz(DateTime),
    /// A UUID, in network byte order.
    Uuid([u8; 16]),
    /// A JSON document as written (numbers keep their text, keys their order).
    Json(&'a str),
}

/// A value that owns its text and bytes: keys, literals, answers to queries.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // each variant means what its namesake in `ValueRef` says
pub enum Value {
    Null,
    Bool(bool),
    Int(i128),
    Decimal(String),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Date(Date),
    Time(Time),
    Timestamp(DateTime),
    TimestampTz(DateTime),
    Uuid([u8; 16]),
    Json(String),
}

impl ValueRef<'_> {
    /// Copies the value out of its chunk.
    pub fn to_owned(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(v),
            Self::Int(v) => Value::Int(v),
            Self::Decimal(v) => Value::Decimal(v.to_owned()),
            Self::Float(v) => Value::Float(v),
            Self::Text(v) => Value::Text(v.to_owned()),
            Self::Bytes(v) => Value::Bytes(v.to_owned()),
            Self::Date(v) => Value::Date(v),
            Self::Time(v) => Value::Time(v),
            Self::Timestamp(v) => Value::Timestamp(v),
            Self::TimestampTz(v) => Value::TimestampTz(v),
            Self::Uuid(v) => Value::Uuid(v),
            Self::Json(v) => Value::Json(v.to_owned()),
        }
    }

    /// True for [`ValueRef::Null`].
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What the value is, in one word, for messages: `text`, `integer`, …
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Decimal(_) => "number",
            Self::Float(_) => "double",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampTz(_) => "timestamp with zone",
            Self::Uuid(_) => "uuid",
            Self::Json(_) => "json",
        }
    }
}

impl Value {
    /// Borrows the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Bool(v) => ValueRef::Bool(*v),
            Self::Int(v) => ValueRef::Int(*v),
            Self::Decimal(v) => ValueRef::Decimal(v),
            Self::Float(v) => ValueRef::Float(*v),
            Self::Text(v) => ValueRef::Text(v),
            Self::Bytes(v) => ValueRef::Bytes(v),
            Self::Date(v) => ValueRef::Date(*v),
            Self::Time(v) => ValueRef::Time(*v),
            Self::Timestamp(v) => ValueRef::Timestamp(*v),
            Self::TimestampTz(v) => ValueRef::TimestampTz(*v),
            Self::Uuid(v) => ValueRef::Uuid(*v),
            Self::Json(v) => ValueRef::Json(v),
        }
    }

    /// Text of a text value; `None` for every other kind.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) | Self::Json(text) | Self::Decimal(text) => Some(text),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Bytes(_)
            | Self::Date(_)
            | Self::Time(_)
            | Self::Timestamp(_)
            | Self::TimestampTz(_)
            | Self::Uuid(_) => None,
        }
    }

    /// The integer, where the value is one.
    pub fn as_int(&self) -> Option<i128> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    /// The bytes, where the value is a byte string.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(value) = self { Some(value) } else { None }
    }
}

/// Identity of stored values: doubles by their bits, text by its bytes, decimals by their text.
impl PartialEq for ValueRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Int(a), Self::Int(b)) => a == b,
            (Self::Float(a), Self::Float(b)) => a.to_bits() == b.to_bits(),
            (Self::Decimal(a), Self::Decimal(b))
            | (Self::Text(a), Self::Text(b))
            | (Self::Json(a), Self::Json(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Date(a), Self::Date(b)) => a == b,
            (Self::Time(a), Self::Time(b)) => a == b,
            (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::TimestampTz(a), Self::TimestampTz(b)) => a == b,
            (Self::Uuid(a), Self::Uuid(b)) => a == b,
            (
                Self::Null
                | Self::Bool(_)
                | Self::Int(_)
                | Self::Float(_)
                | Self::Decimal(_)
                | Self::Text(_)
                | Self::Json(_)
                | Self::Bytes(_)
                | Self::Date(_)
                | Self::Time(_)
                | Self::Timestamp(_)
                | Self::TimestampTz(_)
                | Self::Uuid(_),
                _,
            ) => false,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref()
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident via $convert:expr;)*) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                #[allow(clippy::redundant_closure_call)]
                Self::$variant($convert(value))
            }
        })*
    };
}

from! {
    bool => Bool via |v| v;
    i64 => Int via i128::from;
    i32 => Int via i128::from;
    u32 => Int via i128::from;
    u64 => Int via i128::from;
    i128 => Int via |v| v;
    f64 => Float via |v| v;
    String => Text via |v| v;
    &str => Text via str::to_owned;
    Vec<u8> => Bytes via |v| v;
    &[u8] => Bytes via <[u8]>::to_vec;
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// As a person reads it in a report: unbounded, unescaped; callers bound and escape.
impl std::fmt::Display for ValueRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v:?}"),
            Self::Decimal(v) | Self::Text(v) | Self::Json(v) => f.write_str(v),
            Self::Bytes(v) => {
                f.write_str("0x")?;
                v.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::Date(v) => write!(f, "{v}"),
            Self::Time(v) => write!(f, "{v}"),
            Self::Timestamp(v) => write!(f, "{v}"),
            Self::TimestampTz(v) => write!(f, "{v}Z"),
            Self::Uuid(v) => write!(f, "{}", UuidText(v)),
        }
    }
}

/// A UUID in its hyphenated lower-case form.
#[derive(Clone, Copy, Debug)]
pub struct UuidText<'a>(pub &'a [u8; 16]);

impl std::fmt::Display for UuidText<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            text[at] = HEX[usize::from(byte >> 4)];
            text[at + 1] = HEX[usize::from(byte & 15)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&text).expect("hex digits are ASCII"))
    }
}
