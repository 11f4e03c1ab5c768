//! Types of PostgreSQL.
//!
//! Declared types as `format_type` spells them, as read (`kind_of`) and as written (`declared`).
//!
//! | kind | read from | written as |
//! |---|---|---|
//! | boolean | `boolean` | `boolean` |
//! | smallint, int, integer | `smallint`, `integer`, `bigint` | the same |
//! | unsigned, hugeint | – | `numeric(20,0)`, `numeric(39,0)` |
//! | decimal(p,s) | `numeric`, `numeric(p,s)` | the same |
//! | double | `double precision`, `real` | `double precision` |
//! | text(n) | `text`, `character varying(n)`, `character(n)`, enumerations … | `text`, `varchar(n)` |
//! | bytes | `bytea` | `bytea` |
//! | date, time | `date`, `time without time zone` | `date`, `time` |
//! | timestamp, timestamptz | `timestamp without time zone`, `timestamp with time zone` | `timestamp`, `timestamptz` |
//! | uuid, json | `uuid`, `json`, `jsonb`, arrays | `uuid`, `jsonb` |
//! | any | what has no kind of its own | `text` |

use whimbrel_model::Kind;
use whimbrel_model::kind::IntWidth;

use super::{precision, split_type};

/// The declared type of a column of this kind.
pub(crate) fn declared(kind: Kind) -> String {
    match kind {
        Kind::Bool => "boolean".to_owned(),
        Kind::Int(IntWidth::I16) => "smallint".to_owned(),
        Kind::Int(IntWidth::I32) => "integer".to_owned(),
        Kind::Int(IntWidth::I64) => "bigint".to_owned(),
        Kind::Int(IntWidth::U64) => "numeric(20,0)".to_owned(),
        Kind::Int(IntWidth::I128) => "numeric(39,0)".to_owned(),
        Kind::Decimal(None) => "numeric".to_owned(),
        Kind::Decimal(Some((precision, scale))) => format!("numeric({precision},{scale})"),
        Kind::Float => "double precision".to_owned(),
        Kind::Text(None) | Kind::Any => "text".to_owned(),
        // Elsewhere a column may hold nothing but the empty text.
        Kind::Text(Some(chars)) => format!("varchar({})", chars.max(1)),
        Kind::Bytes => "bytea".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::Time => "time".to_owned(),
        Kind::Timestamp => "timestamp".to_owned(),
        Kind::TimestampTz => "timestamptz".to_owned(),
        Kind::Uuid => "uuid".to_owned(),
        Kind::Json => "jsonb".to_owned(),
    }
}

/// The kind that a declared type means.
pub(crate) fn kind_of(declared: &str) -> Kind {
    if declared.ends_with("[]") {
        return Kind::Json;
    }
    let (name, arguments) = split_type(declared);
    match name.as_str() {
        "BOOLEAN" | "BOOL" => Kind::Bool,
        "SMALLINT" | "INT2" => Kind::Int(IntWidth::I16),
        "INTEGER" | "INT" | "INT4" => Kind::Int(IntWidth::I32),
        "BIGINT" | "INT8" => Kind::Int(IntWidth::I64),
        "NUMERIC" | "DECIMAL" => Kind::Decimal(precision(&arguments)),
        "DOUBLE PRECISION" | "FLOAT8" | "REAL" | "FLOAT4" => Kind::Float,
        "TEXT" => Kind::Text(None),
        "CHARACTER VARYING" | "VARCHAR" | "CHARACTER" | "CHAR" => {
            Kind::Text(arguments.first().copied())
        }
        "BYTEA" => Kind::Bytes,
        "DATE" => Kind::Date,
        "TIME" | "TIME WITHOUT TIME ZONE" => Kind::Time,
        "TIMESTAMP" | "TIMESTAMP WITHOUT TIME ZONE" => Kind::Timestamp,
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" => Kind::TimestampTz,
        "UUID" => Kind::Uuid,
        "JSON" | "JSONB" => Kind::Json,
        _ => Kind::Any,
    }
}
