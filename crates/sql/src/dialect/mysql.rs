//! Types of MariaDB and MySQL.
//!
//! Declared types as `information_schema.columns.column_type` spells them, as read (`kind_of`) and
//! as written (`declared`).
//!
//! | kind | read from | written as |
//! |---|---|---|
//! | boolean | `tinyint(1)`, `bit(1)` | `tinyint(1)` |
//! | smallint, int, integer | `tinyint`, `smallint`, `mediumint`, `int`, `bigint` | `smallint`, `int`, `bigint` |
//! | unsigned, hugeint | `bigint unsigned` | `bigint unsigned`, `decimal(39,0)` |
//! | decimal(p,s) | `decimal(p,s)` | the same; without digits `decimal(65,30)` |
//! | double | `double`, `float` | `double` |
//! | text(n) | `varchar(n)`, `char(n)`, `text` …, `enum`, `set`, `inet4`, `inet6` | `longtext`, `varchar(n)` |
//! | bytes | `blob` …, `binary`, `varbinary`, `bit(n)` | `longblob` |
//! | date, time | `date`, `time` | `date`, `time(6)` |
//! | timestamp, timestamptz | `datetime`, `timestamp` | `datetime(6)` |
//! | uuid | `uuid`, `char(36)` by the mapping | `char(36)` |
//! | json | `json` | `json` |
//!
//! Where a type as written would be read as another kind, the column's comment says the kind:
//! `whimbrel:timestamptz`.

use whimbrel_model::kind::IntWidth;
use whimbrel_model::value::UuidText;
use whimbrel_model::{Kind, Table, Value, json};

use super::{Bind, precision, split_type};

/// Values that are given one by one; longer lists go as one JSON document.
const LIST_MAX: usize = 4096;

/// What a column's comment begins with where its declared type alone would mean another kind.
const NOTE: &str = "whimbrel:";

/// The kind that a column's comment says.
pub(crate) fn noted_kind(comment: &str) -> Option<Kind> {
    comment.strip_prefix(NOTE).and_then(Kind::parse)
}

/// A column of a table that the mapping creates. Text in a key has a length, since InnoDB's keys
/// have: 3072 bytes for all columns of one.
pub(crate) fn created(table: &Table, index: usize) -> String {
    let column = &table.columns[index];
    let in_key = table.key.contains(&index);
    let texts = table.key.iter().filter(|index| {
        matches!(table.columns[**index].kind, Kind::Text(_) | Kind::Any | Kind::Bytes | Kind::Json)
    });
    let bytes = 2800 / texts.count().max(1);
    let declared = match column.kind {
        Kind::Text(None) | Kind::Any | Kind::Json if in_key => format!("varchar({})", bytes / 4),
        Kind::Bytes if in_key => format!("varbinary({bytes})"),
        // Beyond that a row may not fit: the type that has no bound does.
        Kind::Text(Some(chars)) if chars > 4000 => "longtext".to_owned(),
        kind => declared(kind),
    };
    let required = if column.nullable && !in_key { "" } else { " NOT NULL" };
    let note = match column.kind {
        // The length in a key is the engine's, not the plan's.
        Kind::Text(None) => String::new(),
        kind if kind_of(&declared) == kind => String::new(),
        // MariaDB's `json` is text with a check, by which it is known.
        Kind::Json if !in_key => String::new(),
        kind => format!(" COMMENT '{NOTE}{}'", kind.name()),
    };
    format!("{declared}{required}{note}")
}

/// `column IN` many values of one kind: MySQL binds 65,535 at most, and reads a list of digits and
/// hexadecimal text in one.
pub(crate) fn one_of_many(column: &str, values: Vec<Value>, binds: &mut Vec<Bind>) -> String {
    let (declared, word) = match values.first() {
        Some(Value::Int(_)) if values.iter().all(is_bigint) => ("BIGINT", "v"),
        Some(Value::Int(_)) => ("DECIMAL(39,0)", "v"),
        Some(Value::Bytes(_)) => ("LONGTEXT", "UNHEX(v)"),
        Some(Value::Text(_)) if column.starts_with("CAST") => ("LONGTEXT", "UNHEX(v)"),
        // Both collations are the ledger's own; the name is put right where the server has another.
        Some(Value::Text(_)) => {
            ("LONGTEXT", "CONVERT(UNHEX(v) USING utf8mb4) COLLATE utf8mb4_nopad_bin")
        }
        _ => ("LONGTEXT", "v"),
    };
    binds.push(Bind::List(values));
    format!(
        "{column} IN (SELECT {word} FROM JSON_TABLE(?, '$[*]' COLUMNS (v {declared} PATH '$')) AS list)"
    )
}

fn is_bigint(value: &Value) -> bool {
    value.as_int().is_some_and(|value| i64::try_from(value).is_ok())
}

/// Whether a list is too long for a placeholder each.
pub(crate) fn is_long(values: &[Value]) -> bool {
    values.len() > LIST_MAX
}

/// The JSON document that [`one_of_many`] reads: numbers as such, text and bytes in hexadecimal.
pub(crate) fn document(values: &[Value]) -> String {
    let mut document = String::from("[");
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            document.push(',');
        }
        let hex = |document: &mut String, bytes: &[u8]| {
            document.push('"');
            bytes.iter().for_each(|byte| document.push_str(&format!("{byte:02X}")));
            document.push('"');
        };
        match value {
            Value::Null => document.push_str("null"),
            Value::Bool(value) => document.push_str(if *value { "1" } else { "0" }),
            Value::Int(value) => document.push_str(&value.to_string()),
            Value::Text(text) => hex(&mut document, text.as_bytes()),
            Value::Bytes(bytes) => hex(&mut document, bytes),
            Value::Uuid(uuid) => {
                json::write_string(&mut document, &UuidText(uuid).to_string());
            }
            Value::Decimal(_)
            | Value::Float(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Timestamp(_)
            | Value::TimestampTz(_)
            | Value::Json(_) => {
                json::write_string(&mut document, &value.as_ref().to_string().replace('T', " "));
            }
        }
    }
    document.push(']');
    document
}

/// A declared type's name in capitals, without what follows its arguments, and the arguments.
pub(crate) fn parts(declared: &str) -> (String, Vec<u32>) {
    let (name, arguments) = split_type(declared);
    let name = name.split(' ').next().unwrap_or_default().to_owned();
    (name, arguments)
}

/// The declared type of a column of this kind.
pub(crate) fn declared(kind: Kind) -> String {
    match kind {
        Kind::Bool => "tinyint(1)".to_owned(),
        Kind::Int(IntWidth::I16) => "smallint".to_owned(),
        Kind::Int(IntWidth::I32) => "int".to_owned(),
        Kind::Int(IntWidth::I64) => "bigint".to_owned(),
        Kind::Int(IntWidth::U64) => "bigint unsigned".to_owned(),
        Kind::Int(IntWidth::I128) => "decimal(39,0)".to_owned(),
        Kind::Decimal(None) => "decimal(65,30)".to_owned(),
        // Precision beyond the engine's is kept as text.
        Kind::Decimal(Some((precision, scale))) if precision > 65 || scale > 30 => {
            format!("varchar({})", u32::from(precision) + 2)
        }
        Kind::Decimal(Some((precision, scale))) => {
            // Only PostgreSQL knows fewer digits than a scale.
            format!("decimal({},{scale})", precision.max(scale))
        }
        Kind::Float => "double".to_owned(),
        Kind::Text(None) | Kind::Any => "longtext".to_owned(),
        Kind::Text(Some(chars)) => format!("varchar({chars})"),
        Kind::Bytes => "longblob".to_owned(),
        Kind::Date => "date".to_owned(),
        Kind::Time => "time(6)".to_owned(),
        Kind::Timestamp => "datetime(6)".to_owned(),
        // TIMESTAMP ends in 2038: instants are kept in UTC, and a comment says so.
        Kind::TimestampTz => "datetime(6)".to_owned(),
        Kind::Uuid => "char(36)".to_owned(),
        Kind::Json => "json".to_owned(),
    }
}

/// The kind that a declared type means.
pub(crate) fn kind_of(declared: &str) -> Kind {
    let (name, arguments) = split_type(declared);
    match name.trim_end_matches(" ZEROFILL") {
        "TINYINT" | "BIT" if arguments == [1] => Kind::Bool,
        "TINYINT" | "TINYINT UNSIGNED" | "SMALLINT" | "YEAR" => Kind::Int(IntWidth::I16),
        "SMALLINT UNSIGNED" | "MEDIUMINT" | "MEDIUMINT UNSIGNED" | "INT" => {
            Kind::Int(IntWidth::I32)
        }
        "INT UNSIGNED" | "BIGINT" => Kind::Int(IntWidth::I64),
        "BIGINT UNSIGNED" => Kind::Int(IntWidth::U64),
        "DECIMAL" | "DECIMAL UNSIGNED" => Kind::Decimal(precision(&arguments)),
        "DOUBLE" | "DOUBLE UNSIGNED" | "FLOAT" | "FLOAT UNSIGNED" => Kind::Float,
        "VARCHAR" | "CHAR" => Kind::Text(arguments.first().copied()),
        "TEXT" | "TINYTEXT" | "MEDIUMTEXT" | "LONGTEXT" | "ENUM" | "SET" | "INET4" | "INET6" => {
            Kind::Text(None)
        }
        "BLOB" | "TINYBLOB" | "MEDIUMBLOB" | "LONGBLOB" | "BINARY" | "VARBINARY" | "BIT" => {
            Kind::Bytes
        }
        "DATE" => Kind::Date,
        "TIME" => Kind::Time,
        "DATETIME" => Kind::Timestamp,
        "TIMESTAMP" => Kind::TimestampTz,
        "UUID" => Kind::Uuid,
        "JSON" => Kind::Json,
        _ => Kind::Any,
    }
}
