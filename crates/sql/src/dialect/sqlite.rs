//! Types of SQLite.
//!
//! Declared types, as read (`kind_of`) and as written (`declared`). Affinity is
//! SQLite's own rule over the name, so names with `TEXT` in them keep every character.
//!
//! | kind | read from | written as |
//! |---|---|---|
//! | boolean | `BOOL`, `BOOLEAN` | `BOOLEAN` |
//! | smallint | `TINYINT`, `SMALLINT`, `INT2` | `SMALLINT` |
//! | int | `MEDIUMINT`, `INT4` | `INT4` |
//! | integer | `INT`, `INTEGER`, `BIGINT`, `INT8`, and whatever else contains `INT` | `INTEGER` |
//! | unsigned, hugeint | `UNSIGNED_TEXT`, `HUGE_TEXT` | the same: the digits, as text |
//! | decimal(p,s) | `NUMERIC(p,s)`, `DECIMAL(p,s)`, `DECIMAL_TEXT(p,s)` | `DECIMAL_TEXT(p,s)` |
//! | double | `REAL`, `DOUBLE`, `DOUBLE PRECISION`, `FLOAT` | `DOUBLE` |
//! | text(n) | `TEXT`, `CLOB`, `VARCHAR(n)`, `CHAR(n)` … | `TEXT`, `VARCHAR(n)` |
//! | date, time | `DATE`, `TIME`, `DATE_TEXT`, `TIME_TEXT` | `DATE_TEXT`, `TIME_TEXT` |
//! | timestamp | `DATETIME`, `TIMESTAMP`, `TIMESTAMP_TEXT` | `TIMESTAMP_TEXT` |
//! | timestamptz | `TIMESTAMPTZ`, `TIMESTAMP WITH TIME ZONE`, `TIMESTAMPTZ_TEXT` | `TIMESTAMPTZ_TEXT` |
//! | uuid | `UUID`, `GUID`, `UUID_TEXT`, `UUID_BLOB` | `UUID_TEXT` |
//! | json | `JSON`, `JSONB`, `JSON_TEXT` | `JSON_TEXT` |
//! | bytes | `BLOB`, `BINARY`, `VARBINARY`, `BYTEA` | `BLOB` |
//! | any | no type, `ANY`, and names that SQLite takes for numbers by default | no type |

use whimbrel_model::Kind;
use whimbrel_model::kind::IntWidth;

use super::{precision, split_type};

/// What SQLite does to a value on its way into a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Affinity {
    /// Numbers become text.
    Text,
    /// Text that reads as a number becomes one; doubles without a fraction become integers.
    Numeric,
    /// The same as [`Affinity::Numeric`], but for casts.
    Integer,
    /// Numbers become doubles.
    Real,
    /// Nothing changes.
    Blob,
}

/// The declared type of a column of this kind.
pub(crate) fn declared(kind: Kind) -> String {
    match kind {
        Kind::Bool => "BOOLEAN".to_owned(),
        Kind::Int(IntWidth::I16) => "SMALLINT".to_owned(),
        Kind::Int(IntWidth::I32) => "INT4".to_owned(),
        Kind::Int(IntWidth::I64) => "INTEGER".to_owned(),
        Kind::Int(IntWidth::U64) => "UNSIGNED_TEXT".to_owned(),
        Kind::Int(IntWidth::I128) => "HUGE_TEXT".to_owned(),
        Kind::Decimal(None) => "DECIMAL_TEXT".to_owned(),
        Kind::Decimal(Some((precision, scale))) => {
            format!("DECIMAL_TEXT({precision},{scale})")
        }
        Kind::Float => "DOUBLE".to_owned(),
        Kind::Text(None) => "TEXT".to_owned(),
        Kind::Text(Some(chars)) => format!("VARCHAR({chars})"),
        Kind::Bytes => "BLOB".to_owned(),
        Kind::Date => "DATE_TEXT".to_owned(),
        Kind::Time => "TIME_TEXT".to_owned(),
        Kind::Timestamp => "TIMESTAMP_TEXT".to_owned(),
        Kind::TimestampTz => "TIMESTAMPTZ_TEXT".to_owned(),
        Kind::Uuid => "UUID_TEXT".to_owned(),
        Kind::Json => "JSON_TEXT".to_owned(),
        Kind::Any => String::new(),
    }
}

/// SQLite's rule (datatype3.html §3.1), in its order; in STRICT tables `ANY` changes nothing.
pub(crate) fn affinity(declared: &str) -> Affinity {
    let name = declared.to_ascii_uppercase();
    let contains = |part: &str| name.contains(part);
    if contains("INT") {
        Affinity::Integer
    } else if contains("CHAR") || contains("CLOB") || contains("TEXT") {
        Affinity::Text
    } else if contains("BLOB") || name.trim().is_empty() {
        Affinity::Blob
    } else if contains("REAL") || contains("FLOA") || contains("DOUB") {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// The kind that a declared type means.
pub(crate) fn kind_of(declared: &str) -> Kind {
    let (name, arguments) = split_type(declared);
    match name.as_str() {
        "" | "ANY" => Kind::Any,
        "BOOL" | "BOOLEAN" => Kind::Bool,
        "TINYINT" | "SMALLINT" | "INT2" => Kind::Int(IntWidth::I16),
        "MEDIUMINT" | "INT4" => Kind::Int(IntWidth::I32),
        "UNSIGNED_TEXT" => Kind::Int(IntWidth::U64),
        "HUGE_TEXT" => Kind::Int(IntWidth::I128),
        "NUMERIC" | "DECIMAL" | "DECIMAL_TEXT" => Kind::Decimal(precision(&arguments)),
        "DATE" | "DATE_TEXT" => Kind::Date,
        "TIME" | "TIME_TEXT" | "TIME WITHOUT TIME ZONE" => Kind::Time,
        "DATETIME" | "TIMESTAMP" | "TIMESTAMP_TEXT" | "TIMESTAMP WITHOUT TIME ZONE" => {
            Kind::Timestamp
        }
        "TIMESTAMPTZ" | "TIMESTAMPTZ_TEXT" | "TIMESTAMP WITH TIME ZONE" => Kind::TimestampTz,
        "UUID" | "GUID" | "UUID_TEXT" | "UUID_BLOB" => Kind::Uuid,
        "JSON" | "JSONB" | "JSON_TEXT" => Kind::Json,
        "BINARY" | "VARBINARY" | "BYTEA" => Kind::Bytes,
        _ => kind_by_affinity(declared, &arguments),
    }
}

fn kind_by_affinity(declared: &str, arguments: &[u32]) -> Kind {
    match affinity(declared) {
        Affinity::Integer => Kind::Int(IntWidth::I64),
        Affinity::Text => Kind::Text(arguments.first().copied()),
        Affinity::Blob => Kind::Bytes,
        Affinity::Real => Kind::Float,
        Affinity::Numeric => Kind::Any,
    }
}
