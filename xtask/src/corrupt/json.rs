//! Damage to JSON documents, and what is none.

use serde_json::{Map, Number, Value};

/// The same members the other way round: the same document.
pub fn other_order(old: &str) -> Option<String> {
    let Value::Object(members) = serde_json::from_str(old).ok()? else { return None };
    if members.len() < 2 || has_fractions(&Value::Object(members.clone())) {
        return None;
    }
    let mut members: Vec<(String, Value)> = members.into_iter().collect();
    let joined = |members: &[(String, Value)]| {
        let member =
            |(name, value): &(String, Value)| format!("{}:{value}", Value::from(name.as_str()));
        format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
    };
    members.reverse();
    let new = joined(&members);
    if new != old {
        return Some(new);
    }
    members.reverse();
    Some(joined(&members))
}

/// Numbers with a point would not come back as they were written.
fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_i64(),
        Value::Array(items) => items.iter().any(has_fractions),
        Value::Object(members) => members.values().any(has_fractions),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// One value within.
pub fn other_value(old: &str) -> Option<String> {
    let mut document: Value = serde_json::from_str(old).ok()?;
    change(&mut document, &mut |value| match value {
        Value::Bool(flag) => Some(Value::Bool(!*flag)),
        Value::Number(number) => {
            Some(Value::from(number.as_i64().filter(|it| *it < 1_000_000)? + 1))
        }
        Value::String(text) => Some(Value::from(format!("{text}x"))),
        Value::Null => Some(Value::from(0)),
        Value::Array(_) | Value::Object(_) => None,
    })
    .then(|| document.to_string())
}

/// `1` as `1.0`: the same number.
pub fn other_spelling(old: &str) -> Option<String> {
    let mut document: Value = serde_json::from_str(old).ok()?;
    if has_fractions(&document) {
        return None;
    }
    change(&mut document, &mut |value| {
        let number = value.as_i64().filter(|number| number.abs() < 1_000_000)?;
        #[allow(clippy::cast_precision_loss)]
        Number::from_f64(number as f64).map(Value::Number)
    })
    .then(|| document.to_string())
}

/// A member less.
pub fn without_member(old: &str) -> Option<String> {
    let Value::Object(members) = serde_json::from_str(old).ok()? else { return None };
    let last = members.keys().next_back()?.clone();
    let rest: Map<String, Value> = members.into_iter().filter(|(name, _)| *name != last).collect();
    Some(Value::Object(rest).to_string())
}

/// `null` where a member had another value.
pub fn null_member(old: &str) -> Option<String> {
    let Value::Object(mut members) = serde_json::from_str(old).ok()? else { return None };
    let member = members.values_mut().find(|value| !value.is_null())?;
    *member = Value::Null;
    Some(Value::Object(members).to_string())
}

/// Changes the first value that can be.
fn change(value: &mut Value, to: &mut impl FnMut(&Value) -> Option<Value>) -> bool {
    if let Some(new) = to(value) {
        *value = new;
        return true;
    }
    match value {
        Value::Array(items) => items.iter_mut().any(|item| change(item, to)),
        Value::Object(members) => members.values_mut().any(|member| change(member, to)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_or_one_spelling_is_changed() {
        let text = |new: Option<String>| new.unwrap();
        assert_eq!(text(other_value(r#"{"a":[1,2]}"#)), r#"{"a":[2,2]}"#);
        assert_eq!(text(other_spelling(r#"{"a":[1,2]}"#)), r#"{"a":[1.0,2]}"#);
        assert_eq!(text(other_order(r#"{"a":1,"b":2}"#)), r#"{"b":2,"a":1}"#);
        assert_eq!(text(without_member(r#"{"a":1,"b":2}"#)), r#"{"a":1}"#);
        assert_eq!(text(null_member(r#"{"a":1,"b":2}"#)), r#"{"a":null,"b":2}"#);
        assert_eq!(other_order("[1,2]"), None);
    }
}
