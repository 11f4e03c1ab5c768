//! The text of a value, and lists of texts.

use whimbrel_model::Value;
use whimbrel_model::json::{self, Json, Limits, write_string};
use whimbrel_model::plan::{ListRule, Literal};

use super::codes;
use super::scene::Failure;

/// How a value is written: numbers as they stand, instants as RFC 3339 has them. NULL and bytes have
/// no text.
pub(super) fn form(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bytes(_) => None,
        Value::Text(text) | Value::Decimal(text) | Value::Json(text) => Some(text.clone()),
        Value::Float(number) => Some(float(*number)),
        Value::Bool(_)
        | Value::Int(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::TimestampTz(_)
        | Value::Uuid(_) => Some(value.as_ref().to_string()),
    }
}

/// The shortest spelling that says the double, whole numbers without a point.
pub(super) fn float(number: f64) -> String {
    let shortest = format!("{number:?}");
    shortest.strip_suffix(".0").unwrap_or(&shortest).to_owned()
}

/// A literal of the plan.
pub(super) fn literal(literal: &Literal) -> Value {
    match literal {
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int((*value).into()),
        Literal::Float(value) => Value::Float(*value),
        Literal::Text(value) => Value::Text(value.clone()),
    }
}

/// CR LF and CR as LF, without a leading byte order mark.
pub(super) fn newlines(text: &str) -> String {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A text or a JSON array as a JSON array of texts: trimmed, without empty ones.
pub(super) fn list(value: &Value, rule: &ListRule) -> Result<Value, Failure> {
    let not_a_list = || Failure::new(codes::NOT_A_LIST);
    let parts: Vec<String> = match value {
        Value::Json(document) => {
            let document = json::parse(document.as_bytes()).map_err(|_| not_a_list())?;
            let elements = document.as_array().ok_or_else(not_a_list)?;
            elements.iter().map(element).collect::<Option<_>>().ok_or_else(not_a_list)?
        }
        Value::Text(_) | Value::Decimal(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) => {
            split(&form(value).ok_or_else(not_a_list)?, &rule.split)
        }
        Value::Null
        | Value::Bytes(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::TimestampTz(_)
        | Value::Uuid(_) => return Err(not_a_list()),
    };
    let mut kept: Vec<&str> = Vec::new();
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        if !rule.unique || !kept.contains(&part) {
            kept.push(part);
        }
    }
    let mut out = "[".to_owned();
    for (index, part) in kept.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(&mut out, part);
    }
    out.push(']');
    Ok(Value::Json(out))
}

fn element(element: &Json<'_>) -> Option<String> {
    match element {
        Json::String(text) => Some(text.to_string()),
        Json::Number(number) => Some(number.as_str().to_owned()),
        Json::Bool(value) => Some(value.to_string()),
        // Like an empty one.
        Json::Null => Some(String::new()),
        Json::Array(_) | Json::Object(_) => None,
    }
}

/// The text parted at every separator.
fn split(text: &str, separators: &[String]) -> Vec<String> {
    let mut parts = vec![text.to_owned()];
    for separator in separators {
        parts = parts
            .iter()
            .flat_map(|part| part.split(separator.as_str()).map(str::to_owned))
            .collect();
    }
    parts
}

/// A value as part of a JSON document; bytes, NaN and infinities are none.
pub(super) fn json_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some("null".to_owned()),
        Value::Bool(_) | Value::Int(_) | Value::Decimal(_) | Value::Json(_) => form(value),
        Value::Float(number) => number.is_finite().then(|| float(*number)),
        Value::Bytes(_) => None,
        Value::Text(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::TimestampTz(_)
        | Value::Uuid(_) => {
            let mut out = String::new();
            write_string(&mut out, &form(value)?);
            Some(out)
        }
    }
}

/// The JSON document that a text is; none where an object of it says a key twice.
pub(super) fn parsed(text: &str) -> Option<Json<'_>> {
    let parsed = json::parse_with(text.as_bytes(), Limits::default()).ok()?;
    (parsed.duplicates.count == 0).then_some(parsed.json)
}

/// The value that a JSON document says: texts as texts, numbers as they are written.
pub(super) fn of_json(json: &Json<'_>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Decimal(number.as_str().to_owned()),
        Json::String(text) => Value::Text(text.to_string()),
        Json::Array(_) | Json::Object(_) => Value::Json(json.to_text()),
    }
}
