//! How values of a column cross the wire: one form for each binary format that is spoken here.
//!
//! A type without a form of its own (composites, ranges, geometry, extensions) is [`Form::Spelled`]:
//! the server reads and writes it as text.

use whimbrel_model::Kind;
use whimbrel_model::kind::IntWidth;

/// The binary format of a type, with what its modifier allows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// One byte, 0 or 1.
    Bool,
    /// 16 bits.
    Int2,
    /// 32 bits.
    Int4,
    /// 64 bits.
    Int8,
    /// 32 bits without a sign.
    Oid,
    /// 32 bits.
    Float4,
    /// 64 bits.
    Float8,
    /// Groups of four digits; precision and scale where they are bounded.
    Numeric(Option<(u16, i16)>),
    /// UTF-8, at most this many characters: `text`, `varchar`, `name`, `citext`, enumerations.
    Text(Option<u32>),
    /// `char(n)`: blanks at the end are no part of the value.
    Blank(Option<u32>),
    /// `"char"`: one byte.
    Letter,
    /// Bytes.
    Bytea,
    /// Days since 2000-01-01.
    Date,
    /// Microseconds since midnight, rounded to so many digits.
    Time(Option<u8>),
    /// The same with seconds west of Greenwich.
    TimeTz(Option<u8>),
    /// Microseconds since 2000-01-01.
    Timestamp(Option<u8>),
    /// The same, in UTC.
    TimestampTz(Option<u8>),
    /// Microseconds, days, months.
    Interval,
    /// 16 bytes.
    Uuid,
    /// UTF-8.
    Json,
    /// A version byte, then UTF-8.
    Jsonb,
    /// An address, perhaps with the length of its network's prefix.
    Inet,
    /// A network.
    Cidr,
    /// Six bytes.
    Mac,
    /// Eight bytes.
    Mac8,
    /// `bit(n)`: exactly so many; `varbit(n)`: at most.
    Bits {
        /// How many, where bounded.
        count: Option<u32>,
        /// At most so many, not exactly.
        varying: bool,
    },
    /// An array.
    Array {
        /// The type of its elements.
        oid: u32,
        /// Their form, never an array and never [`Form::Spelled`].
        element: Box<Form>,
    },
    /// As text, through the server.
    Spelled,
}

impl Form {
    /// The form of a built-in type; `None` where only the catalogue can tell.
    pub(crate) fn builtin(oid: u32) -> Option<Self> {
        if let Some((_, element)) = ARRAYS.iter().find(|(array, _)| *array == oid) {
            let form = Self::scalar(*element)?;
            return Some(Self::Array { oid: *element, element: Box::new(form) });
        }
        Self::scalar(oid)
    }

    fn scalar(oid: u32) -> Option<Self> {
        Some(match oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            18 => Self::Letter,
            19 | 25 | 1043 => Self::Text(None),
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 => Self::Oid,
            114 => Self::Json,
            650 => Self::Cidr,
            700 => Self::Float4,
            701 => Self::Float8,
            774 => Self::Mac8,
            829 => Self::Mac,
            869 => Self::Inet,
            1042 => Self::Blank(None),
            1082 => Self::Date,
            1083 => Self::Time(None),
            1114 => Self::Timestamp(None),
            1184 => Self::TimestampTz(None),
            1186 => Self::Interval,
            1266 => Self::TimeTz(None),
            1560 => Self::Bits { count: None, varying: false },
            1562 => Self::Bits { count: None, varying: true },
            1700 => Self::Numeric(None),
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            _ => return None,
        })
    }

    /// The form with what a type modifier (`atttypmod`) bounds; -1 bounds nothing.
    #[must_use]
    pub(crate) fn bounded(self, modifier: i32) -> Self {
        if modifier < 0 {
            return self;
        }
        let chars = u32::try_from(modifier - 4).ok();
        let digits = u8::try_from(modifier).ok();
        match self {
            Self::Text(_) => Self::Text(chars),
            Self::Blank(_) => Self::Blank(chars),
            Self::Numeric(_) => {
                let packed = modifier - 4;
                // Eleven bits with a sign, since 15.
                let scale = ((packed & 0x7ff) ^ 1024) - 1024;
                Self::Numeric(Some((((packed >> 16) & 0xffff) as u16, scale as i16)))
            }
            Self::Time(_) => Self::Time(digits),
            Self::TimeTz(_) => Self::TimeTz(digits),
            Self::Timestamp(_) => Self::Timestamp(digits),
            Self::TimestampTz(_) => Self::TimestampTz(digits),
            Self::Bits { varying, .. } => {
                Self::Bits { count: u32::try_from(modifier).ok(), varying }
            }
            Self::Array { oid, element } => {
                Self::Array { oid, element: Box::new(element.bounded(modifier)) }
            }
            Self::Bool
            | Self::Int2
            | Self::Int4
            | Self::Int8
            | Self::Oid
            | Self::Float4
            | Self::Float8
            | Self::Letter
            | Self::Bytea
            | Self::Date
            | Self::Interval
            | Self::Uuid
            | Self::Json
            | Self::Jsonb
            | Self::Inet
            | Self::Cidr
            | Self::Mac
            | Self::Mac8
            | Self::Spelled => self,
        }
    }

    /// What a column of this form holds, in our words.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Bool => Kind::Bool,
            Self::Int2 => Kind::Int(IntWidth::I16),
            Self::Int4 => Kind::Int(IntWidth::I32),
            Self::Int8 | Self::Oid => Kind::Int(IntWidth::I64),
            Self::Float4 | Self::Float8 => Kind::Float,
            Self::Numeric(bounds) => Kind::Decimal(
                bounds.and_then(|(digits, scale)| Some((digits, u16::try_from(scale).ok()?))),
            ),
            Self::Text(chars) | Self::Blank(chars) => Kind::Text(*chars),
            Self::Letter
            | Self::TimeTz(_)
            | Self::Interval
            | Self::Inet
            | Self::Cidr
            | Self::Mac
            | Self::Mac8
            | Self::Bits { .. }
            | Self::Spelled => Kind::Text(None),
            Self::Bytea => Kind::Bytes,
            Self::Date => Kind::Date,
            Self::Time(_) => Kind::Time,
            Self::Timestamp(_) => Kind::Timestamp,
            Self::TimestampTz(_) => Kind::TimestampTz,
            Self::Uuid => Kind::Uuid,
            Self::Json | Self::Jsonb | Self::Array { .. } => Kind::Json,
        }
    }

    /// What a person calls it.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Oid => "oid",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric(_) => "numeric",
            Self::Text(_) => "text",
            Self::Blank(_) => "char(n)",
            Self::Letter => "\"char\"",
            Self::Bytea => "bytea",
            Self::Date => "date",
            Self::Time(_) => "time",
            Self::TimeTz(_) => "time with time zone",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampTz(_) => "timestamp with time zone",
            Self::Interval => "interval",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Inet => "inet",
            Self::Cidr => "cidr",
            Self::Mac => "macaddr",
            Self::Mac8 => "macaddr8",
            Self::Bits { .. } => "bit",
            Self::Array { .. } => "array",
            Self::Spelled => "type",
        }
    }
}

/// Built-in array types and their elements' types.
const ARRAYS: &[(u32, u32)] = &[
    (199, 114),
    (651, 650),
    (775, 774),
    (1000, 16),
    (1001, 17),
    (1002, 18),
    (1003, 19),
    (1005, 21),
    (1007, 23),
    (1009, 25),
    (1014, 1042),
    (1015, 1043),
    (1016, 20),
    (1021, 700),
    (1022, 701),
    (1028, 26),
    (1040, 829),
    (1041, 869),
    (1115, 1114),
    (1182, 1082),
    (1183, 1083),
    (1185, 1184),
    (1187, 1186),
    (1231, 1700),
    (1270, 1266),
    (1561, 1560),
    (1563, 1562),
    (2951, 2950),
    (3807, 3802),
];

/// Days from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
pub(crate) const EPOCH_DAYS: i32 = 10_957;

/// Microseconds of a day.
pub(crate) const DAY_MICROS: i64 = 86_400_000_000;
