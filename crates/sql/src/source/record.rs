//! A row as the bytes of a record: one JSON object, exact, on one line wherever its values are.
//!
//! | value | in the object |
//! |---|---|
//! | NULL, boolean, integer, double | as JSON has them; NaN and infinities `{"$double":"NaN"}` |
//! | decimal, in a decimal column | the digits, as a number |
//! | text | a string |
//! | date, time, timestamp, UUID in a column of that kind | a string |
//! | JSON, in a JSON column | the document |
//! | bytes; text that is not UTF-8 | `{"$bytes":"00ff"}`, hexadecimal |
//! | any other value | `{"$KIND":"…"}`, as `{"$date":"2024-02-29"}` |
//!
//! What is written and read back under the same kinds is the same value. What a person has mended may
//! be written more loosely, as `5` in a column of doubles.

use std::fmt::Write as _;

use rusqlite::types::ValueRef as Stored;
use whimbrel_model::decimal::Numeric;
use whimbrel_model::json::{self, Json, Limits, Pointer, write_string};
use whimbrel_model::value::UuidText;
use whimbrel_model::{Chunk, ChunkBuilder, Defect, Kind, Row, Value, ValueRef};

use super::layout::SourceColumn;
use crate::codes;
use crate::sqlite::value;

/// Writes rows of one layout.
#[derive(Debug)]
pub(super) struct Writer {
    /// `{"name":` or `,"name":`, and the kind.
    columns: Vec<(String, Kind)>,
}

impl Writer {
    pub(super) fn new(columns: &[SourceColumn]) -> Self {
        let named = |(index, column): (usize, &SourceColumn)| {
            let mut text = if index == 0 { "{" } else { "," }.to_owned();
            write_string(&mut text, &column.name);
            text.push(':');
            (text, column.kind)
        };
        Self { columns: columns.iter().enumerate().map(named).collect() }
    }

    /// Appends the object of a row.
    pub(super) fn write(&self, out: &mut String, row: Row<'_>) {
        for ((name, kind), value) in self.columns.iter().zip(row.values()) {
            out.push_str(name);
            write_value(out, *kind, value);
        }
        out.push('}');
    }
}

fn write_value(out: &mut String, kind: Kind, value: ValueRef<'_>) {
    match (value, kind) {
        (ValueRef::Null, _) => out.push_str("null"),
        (ValueRef::Bool(value), Kind::Json) => tag(out, "bool", &value.to_string()),
        (ValueRef::Bool(true), _) => out.push_str("true"),
        (ValueRef::Bool(false), _) => out.push_str("false"),
        (ValueRef::Int(_), Kind::Decimal(_) | Kind::Float | Kind::Json) => {
            tag(out, "int", &value.to_string());
        }
        (ValueRef::Int(value), _) => match i64::try_from(value) {
            Ok(value) => put(out, value),
            Err(_) => put(out, value),
        },
        (ValueRef::Float(value), Kind::Float | Kind::Any | Kind::Int(_)) if value.is_finite() => {
            put(out, format_args!("{value:?}"));
        }
        (ValueRef::Float(value), _) => tag(out, "double", &format!("{value:?}")),
        (ValueRef::Decimal(text), Kind::Decimal(_)) if is_number(text) => out.push_str(text),
        (ValueRef::Decimal(text), _) => tag(out, "decimal", text),
        (ValueRef::Text(text), Kind::Json) => tag(out, "text", text),
        (ValueRef::Text(text), _) if is_text(kind, text) => write_string(out, text),
        (ValueRef::Text(text), _) => tag(out, "text", text),
        (ValueRef::Bytes(bytes), _) => {
            out.push_str("{\"$bytes\":\"");
            write_hex(out, bytes);
            out.push_str("\"}");
        }
        (ValueRef::Date(value), Kind::Date) => put(out, format_args!("\"{value}\"")),
        (ValueRef::Time(value), Kind::Time) => put(out, format_args!("\"{value}\"")),
        (ValueRef::Timestamp(value), Kind::Timestamp) => put(out, format_args!("\"{value}\"")),
        (ValueRef::TimestampTz(value), Kind::TimestampTz) => {
            put(out, format_args!("\"{value}Z\""));
        }
        (ValueRef::Uuid(value), Kind::Uuid) => put(out, format_args!("\"{}\"", UuidText(&value))),
        (ValueRef::Date(value), _) => tag(out, "date", &value.to_string()),
        (ValueRef::Time(value), _) => tag(out, "time", &value.to_string()),
        (ValueRef::Timestamp(value), _) => tag(out, "timestamp", &value.to_string()),
        (ValueRef::TimestampTz(value), _) => tag(out, "timestamptz", &format!("{value}Z")),
        (ValueRef::Uuid(value), _) => tag(out, "uuid", &UuidText(&value).to_string()),
        (ValueRef::Json(text), Kind::Json) if stands_for_itself(text) => out.push_str(text),
        (ValueRef::Json(text), _) => tag(out, "json", text),
    }
}

fn put(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a String takes any text");
}

fn tag(out: &mut String, name: &str, text: &str) {
    out.push_str("{\"$");
    out.push_str(name);
    out.push_str("\":");
    write_string(out, text);
    out.push('}');
}

fn write_hex(out: &mut String, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(HEX[usize::from(byte >> 4)] as char);
        out.push(HEX[usize::from(byte & 15)] as char);
    }
}

/// Whether a decimal's text is a number of JSON too: not `NaN`, `+1`, `.5`, `007`.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits > 0 && (digits == 1 || !unsigned.starts_with('0'));
    // Most have neither exponent nor oddities.
    let rest = &unsigned[digits..];
    let plain = rest.is_empty()
        || rest.strip_prefix('.').is_some_and(|fraction| {
            !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit())
        });
    whole && (plain || json::validate(text.as_bytes(), Limits::default()).is_ok())
}

/// Whether a string in a column of this kind is read back as text.
fn is_text(kind: Kind, text: &str) -> bool {
    matches!(string(kind, text), ValueRef::Text(_))
}

/// Whether a document stands in the object as it is, and comes back from there.
fn stands_for_itself(text: &str) -> bool {
    let tagged = text.starts_with('{') && text.contains("\"$");
    text != "null"
        && !tagged
        && text.trim_matches([' ', '\t', '\r', '\n']).len() == text.len()
        && json::validate(text.as_bytes(), Limits { depth: json::DEPTH_DEFAULT - 1 }).is_ok()
}

/// What a string means in a column of this kind.
fn string(kind: Kind, text: &str) -> ValueRef<'_> {
    match kind {
        Kind::Date | Kind::Time | Kind::Timestamp | Kind::TimestampTz | Kind::Uuid => {
            // These forms take no room of their own.
            let mut unused = String::new();
            match value::read(kind, Stored::Text(text.as_bytes()), &mut unused) {
                ValueRef::Date(value) => ValueRef::Date(value),
                ValueRef::Time(value) => ValueRef::Time(value),
                ValueRef::Timestamp(value) => ValueRef::Timestamp(value),
                ValueRef::TimestampTz(value) => ValueRef::TimestampTz(value),
                ValueRef::Uuid(value) => ValueRef::Uuid(value),
                _ => ValueRef::Text(text),
            }
        }
        Kind::Bool
        | Kind::Int(_)
        | Kind::Decimal(_)
        | Kind::Float
        | Kind::Text(_)
        | Kind::Bytes
        | Kind::Json
        | Kind::Any => ValueRef::Text(text),
    }
}

/// The row that bytes hold, as a chunk of one, or what ails them.
pub(super) fn parse(columns: &[SourceColumn], bytes: &[u8]) -> Result<Chunk, Defect> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let limits = Limits::default();
    let parsed = json::parse_with(bytes, limits)
        .map_err(|error| defect(format!("it is no JSON object: {error}")))?;
    let Some(members) = parsed.json.as_object() else {
        return Err(defect(format!("it is a JSON {}, no object", parsed.json.type_name())));
    };
    let twice =
        |(at, (name, _)): (usize, &(_, _))| members[..at].iter().any(|(own, _)| own == name);
    if members.iter().enumerate().any(twice) {
        return Err(defect("it names a column twice".to_owned()));
    }
    if let Some((name, _)) =
        members.iter().find(|(name, _)| columns.iter().all(|column| column.name != *name))
    {
        return Err(defect(format!("it has a member that is no column: `{}`", bounded(name))));
    }
    let mut row = ChunkBuilder::new(columns.len());
    for column in columns {
        let Some(member) = parsed.json.get(&column.name) else {
            return Err(defect(format!("the column is missing: `{}`", bounded(&column.name))));
        };
        row.push(read_value(column, member, bytes)?.as_ref());
    }
    row.end_row();
    Ok(row.finish())
}

fn bounded(text: &str) -> String {
    text.chars().take(80).collect()
}

fn defect(message: String) -> Defect {
    Defect { code: codes::SOURCE_RECORD, column: 0, message }
}

fn read_value(column: &SourceColumn, json: &Json<'_>, bytes: &[u8]) -> Result<Value, Defect> {
    Ok(match (json, column.kind) {
        (Json::Null, _) => Value::Null,
        (Json::Object(members), _)
            if let [(name, Json::String(text))] = members.as_slice()
                && let Some(tag) = name.strip_prefix('$') =>
        {
            tagged(tag, text).ok_or_else(|| {
                defect(format!("`{}` holds no `${}`", bounded(&column.name), bounded(tag)))
            })?
        }
        (_, Kind::Json) => Value::Json(document(column, bytes)?),
        (Json::Bool(value), _) => Value::Bool(*value),
        (Json::Number(number), kind) => self::number(kind, number),
        (Json::String(text), kind) => string(kind, text).to_owned(),
        (Json::Array(_) | Json::Object(_), _) => Value::Json(document(column, bytes)?),
    })
}

/// A member's document as it is spelled.
fn document(column: &SourceColumn, bytes: &[u8]) -> Result<String, Defect> {
    let name = column.name.replace('~', "~0").replace('/', "~1");
    let pointer = Pointer::parse(&format!("/{name}")).expect("its special characters are escaped");
    let span = json::span(bytes, &pointer, Limits::default()).ok().flatten();
    let span = span.and_then(|span| std::str::from_utf8(&bytes[span]).ok());
    span.map(str::to_owned).ok_or_else(|| defect("it is no JSON object".to_owned()))
}

fn number(kind: Kind, text: &str) -> Value {
    let integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    match (kind, text.parse::<i128>(), text.parse::<f64>()) {
        (Kind::Decimal(_), _, _) => Value::Decimal(text.to_owned()),
        (Kind::Float, _, Ok(double)) => Value::Float(double),
        (_, Ok(value), _) if integer => Value::Int(value),
        (Kind::Int(_) | Kind::Any, _, Ok(double)) if !integer => Value::Float(double),
        (_, _, _) => Value::Decimal(text.to_owned()),
    }
}

fn tagged(tag: &str, text: &str) -> Option<Value> {
    let of_kind = |kind| match string(kind, text) {
        ValueRef::Text(_) => None,
        value => Some(value.to_owned()),
    };
    match tag {
        "bytes" => unhex(text).map(Value::Bytes),
        "text" => Some(Value::Text(text.to_owned())),
        "json" => Some(Value::Json(text.to_owned())),
        "bool" => text.parse().ok().map(Value::Bool),
        "int" => text.parse().ok().map(Value::Int),
        "decimal" => Numeric::parse(text).ok().map(|_| Value::Decimal(text.to_owned())),
        "double" => text.parse().ok().map(Value::Float),
        "date" => of_kind(Kind::Date),
        "time" => of_kind(Kind::Time),
        "timestamp" => of_kind(Kind::Timestamp),
        "timestamptz" => of_kind(Kind::TimestampTz),
        "uuid" => of_kind(Kind::Uuid),
        _ => None,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_model::kind::IntWidth;
    use whimbrel_model::time::{Date, DateTime, NANOS_PER_DAY, Time};

    use super::super::layout::Carried;
    use super::*;

    fn column(name: &str, kind: Kind) -> SourceColumn {
        SourceColumn {
            name: name.to_owned(),
            kind,
            selected: String::new(),
            ordered: String::new(),
            carried: Carried::Stored,
        }
    }

    fn written(columns: &[SourceColumn], values: &[Value]) -> String {
        let mut row = ChunkBuilder::new(values.len());
        values.iter().for_each(|value| row.push(value.as_ref()));
        row.end_row();
        let mut text = String::new();
        Writer::new(columns).write(&mut text, row.finish().row(0));
        text
    }

    fn any_kind() -> impl Strategy<Value = Kind> {
        prop::sample::select(vec![
            Kind::Bool,
            Kind::Int(IntWidth::I64),
            Kind::Int(IntWidth::U64),
            Kind::Decimal(None),
            Kind::Float,
            Kind::Text(None),
            Kind::Bytes,
            Kind::Date,
            Kind::Time,
            Kind::Timestamp,
            Kind::TimestampTz,
            Kind::Uuid,
            Kind::Json,
            Kind::Any,
        ])
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i128>().prop_map(Value::Int),
            any::<i64>().prop_map(|value| Value::Int(value.into())),
            any::<f64>().prop_map(|value| Value::Float(if value.is_nan() {
                f64::NAN
            } else {
                value
            })),
            (-9i32..9).prop_map(|value| Value::Float(value.into())),
            prop::sample::select(vec!["NaN", "Infinity", "-Infinity", "-0", "1E5", "0.10"])
                .prop_map(|text| Value::Decimal(text.to_owned())),
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?"
                .prop_map(Value::Decimal),
            any::<String>().prop_map(Value::Text),
            prop::sample::select(vec![
                "2024-02-29",
                "12:00:00",
                "2024-02-29T12:00:00",
                "2024-02-29T12:00:00Z",
                "00112233-4455-6677-8899-aabbccddeeff",
                "null",
                "{\"$bytes\":\"00\"}",
                "12",
            ])
            .prop_map(|text| Value::Text(text.to_owned())),
            any::<Vec<u8>>().prop_map(Value::Bytes),
            any::<i32>().prop_map(|days| Value::Date(Date { days })),
            any::<i64>().prop_map(|nanos| Value::Time(Time { nanos })),
            (any::<i32>(), 0..NANOS_PER_DAY)
                .prop_map(|(days, nanos)| Value::Timestamp(DateTime { days, nanos })),
            (any::<i32>(), 0..NANOS_PER_DAY)
                .prop_map(|(days, nanos)| Value::TimestampTz(DateTime { days, nanos })),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            prop::sample::select(vec![
                "null",
                " null",
                "7",
                "\"$x\"",
                "{}",
                "{\"$bytes\":\"00\"}",
                "{\"$text\" : \"a\"}",
                "{ \"$date\":1}",
                "[{\"$bytes\":\"00\"}]",
                "{\"a\":1,\"a\":2}",
                "{\"a\":1}\n",
                "{broken",
                "",
            ])
            .prop_map(|text| Value::Json(text.to_owned())),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn a_row_comes_back_as_it_was_written(
            cells in prop::collection::vec((any_kind(), any_value()), 1..5),
            names in prop::collection::hash_set(any::<String>(), 5),
        ) {
            let (kinds, values): (Vec<Kind>, Vec<Value>) = cells.into_iter().unzip();
            let columns: Vec<SourceColumn> =
                kinds.into_iter().zip(&names).map(|(kind, name)| column(name, kind)).collect();
            let text = written(&columns, &values);
            let parsed = parse(&columns, text.as_bytes());
            let row = parsed.map_err(|defect| TestCaseError::fail(format!("{text}: {defect:?}")))?;
            let back: Vec<Value> = row.row(0).values().map(ValueRef::to_owned).collect();
            prop_assert_eq!(back, values, "{}", text);
        }
    }
}
