//! What a column may hold: kinds, columns and tables, independent of any engine.

/// The declared kind of a column. Digests encode by the kind, never by the storage class.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Kind {
    /// True or false.
    Bool,
    /// A signed integer of this many bits (16, 32, 64 or 128), or unsigned 64.
    Int(IntWidth),
    /// An exact decimal with at most this many digits before and after the point; `None`: any.
    Decimal(Option<(u16, u16)>),
    /// A 64-bit float.
    Float,
    /// Text of at most this many characters; `None`: any.
    Text(Option<u32>),
    /// Bytes.
    Bytes,
    /// A calendar day.
    Date,
    /// A time of day.
    Time,
    /// A date and time without a zone.
    Timestamp,
    /// An instant.
    TimestampTz,
    /// A UUID.
    Uuid,
    /// A JSON document.
    Json,
    /// Anything: the column keeps each value's own kind (SQLite columns without a type).
    Any,
}

/// Range of an integer column.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // the names are the widths
pub enum IntWidth {
    I16,
    I32,
    I64,
    U64,
    I128,
}

impl IntWidth {
    /// Smallest and largest value the column can hold.
    pub fn range(self) -> (i128, i128) {
        match self {
            Self::I16 => (i16::MIN.into(), i16::MAX.into()),
            Self::I32 => (i32::MIN.into(), i32::MAX.into()),
            Self::I64 => (i64::MIN.into(), i64::MAX.into()),
            Self::U64 => (0, u64::MAX.into()),
            Self::I128 => (i128::MIN, i128::MAX),
        }
    }
}

impl Kind {
    /// The name used in plans, reports and messages.
    pub fn name(self) -> String {
        match self {
            Self::Bool => "boolean".to_owned(),
            Self::Int(IntWidth::I16) => "smallint".to_owned(),
            Self::Int(IntWidth::I32) => "int".to_owned(),
            Self::Int(IntWidth::I64) => "integer".to_owned(),
            Self::Int(IntWidth::U64) => "unsigned".to_owned(),
            Self::Int(IntWidth::I128) => "hugeint".to_owned(),
            Self::Decimal(None) => "decimal".to_owned(),
            Self::Decimal(Some((precision, scale))) => format!("decimal({precision},{scale})"),
            Self::Float => "double".to_owned(),
            Self::Text(None) => "text".to_owned(),
            Self::Text(Some(chars)) => format!("text({chars})"),
            Self::Bytes => "bytes".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Time => "time".to_owned(),
            Self::Timestamp => "timestamp".to_owned(),
            Self::TimestampTz => "timestamptz".to_owned(),
            Self::Uuid => "uuid".to_owned(),
            Self::Json => "json".to_owned(),
            Self::Any => "any".to_owned(),
        }
    }

    /// The kind of that name in a plan (`text(100)` and `decimal(10,2)` included).
    pub fn parse(name: &str) -> Option<Self> {
        let (base, arguments) = match name.split_once('(') {
            Some((base, rest)) => (base.trim(), Some(rest.strip_suffix(')')?)),
            None => (name.trim(), None),
        };
        match (base, arguments) {
            ("boolean" | "bool", None) => Some(Self::Bool),
            ("smallint", None) => Some(Self::Int(IntWidth::I16)),
            ("int", None) => Some(Self::Int(IntWidth::I32)),
            ("integer" | "bigint", None) => Some(Self::Int(IntWidth::I64)),
            ("unsigned", None) => Some(Self::Int(IntWidth::U64)),
            ("hugeint", None) => Some(Self::Int(IntWidth::I128)),
            ("decimal", None) => Some(Self::Decimal(None)),
            ("decimal", Some(arguments)) => {
                let (precision, scale) = arguments.split_once(',').unwrap_or((arguments, "0"));
                Some(Self::Decimal(Some((
                    precision.trim().parse().ok()?,
                    scale.trim().parse().ok()?,
                ))))
            }
            ("double" | "float", None) => Some(Self::Float),
            ("text", None) => Some(Self::Text(None)),
            ("text", Some(chars)) => Some(Self::Text(Some(chars.trim().parse().ok()?))),
            ("bytes", None) => Some(Self::Bytes),
            ("date", None) => Some(Self::Date),
            ("time", None) => Some(Self::Time),
            ("timestamp", None) => Some(Self::Timestamp),
            ("timestamptz", None) => Some(Self::TimestampTz),
            ("uuid", None) => Some(Self::Uuid),
            ("json", None) => Some(Self::Json),
            ("any", None) => Some(Self::Any),
            (_, _) => None,
        }
    }

    /// Names for documentation and suggestions.
    pub const NAMES: &'static [&'static str] = &[
        "boolean",
        "smallint",
        "int",
        "integer",
        "unsigned",
        "hugeint",
        "decimal",
        "decimal(p,s)",
        "double",
        "text",
        "text(n)",
        "bytes",
        "date",
        "time",
        "timestamp",
        "timestamptz",
        "uuid",
        "json",
        "any",
    ];
}

/// A column of a target table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Column {
    /// Its name, as the engine spells it.
    pub name: String,
    /// What it may hold.
    pub kind: Kind,
    /// False where NULL is refused.
    pub nullable: bool,
    /// True where the engine fills the column when it is left out.
    pub has_default: bool,
}

/// A target table: what rows are written by and digested by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The columns that rows carry, in the order of a chunk's cells.
    pub columns: Vec<Column>,
    /// Indexes into `columns` of the key that identifies a row; empty where there is none.
    pub key: Vec<usize>,
}

impl Table {
    /// Index of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}
