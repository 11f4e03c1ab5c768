//! A text with separators, or a JSON array, to a JSON array of texts.

use std::collections::HashSet;

use whimbrel_model::ValueRef;
use whimbrel_model::json::{self, Json, write_string};
use whimbrel_model::plan::ListRule;

use super::Fault;
use crate::codes;

/// The list as compact JSON. Parts are trimmed, empty ones and nulls go, order stays. No inverse.
///
/// An array's texts are taken whole (they are not split), its numbers as written, its booleans as
/// words; arrays and objects in it refuse the whole.
pub fn apply(value: ValueRef<'_>, rule: &ListRule) -> Result<String, Fault> {
    let mut list = Texts { out: String::from("["), seen: rule.unique.then(HashSet::new) };
    match value {
        ValueRef::Text(text) => list.split(text, &rule.split),
        ValueRef::Decimal(text) => list.push(text),
        ValueRef::Json(text) => list.array(text)?,
        ValueRef::Bool(value) => list.push(super::boolean::to_text(value)),
        ValueRef::Int(value) => list.push(&value.to_string()),
        ValueRef::Null
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => return Err(not_a_list()),
    }
    list.out.push(']');
    Ok(list.out)
}

struct Texts {
    out: String,
    seen: Option<HashSet<String>>,
}

impl Texts {
    fn push(&mut self, part: &str) {
        let part = part.trim();
        if part.is_empty() || self.seen.as_mut().is_some_and(|seen| !seen.insert(part.to_owned())) {
            return;
        }
        if self.out.len() > 1 {
            self.out.push(',');
        }
        write_string(&mut self.out, part);
    }

    fn split(&mut self, text: &str, separators: &[String]) {
        let mut rest = text;
        loop {
            let next = separators
                .iter()
                .filter(|separator| !separator.is_empty())
                .filter_map(|separator| {
                    rest.find(separator.as_str()).map(|at| (at, separator.len()))
                })
                .min_by_key(|(at, len)| (*at, usize::MAX - len));
            let Some((at, len)) = next else {
                break self.push(rest);
            };
            self.push(&rest[..at]);
            rest = &rest[at + len..];
        }
    }

    fn array(&mut self, text: &str) -> Result<(), Fault> {
        let json = json::parse(text.as_bytes()).map_err(|_| not_a_list())?;
        for element in json.as_array().ok_or_else(not_a_list)? {
            match element {
                Json::Null => {}
                Json::Bool(value) => self.push(super::boolean::to_text(*value)),
                Json::Number(number) => self.push(number.as_str()),
                Json::String(text) => self.push(text),
                Json::Array(_) | Json::Object(_) => return Err(not_a_list()),
            }
        }
        Ok(())
    }
}

fn not_a_list() -> Fault {
    Fault::new(codes::NOT_A_LIST, "not a text or an array of texts")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: ValueRef<'_>, expected: &str) {
        let rule = ListRule { split: vec![",".into(), ";".into()], unique: true };
        let got = apply(value, &rule).unwrap_or_else(|fault| fault.code.into());
        assert_eq!(got, expected);
    }

    #[test]
    fn text_is_split_trimmed_and_made_unique() {
        check(ValueRef::Text("a, b;a ,, c"), r#"["a","b","c"]"#);
        check(ValueRef::Text(""), "[]");
        check(ValueRef::Text("say \"x\""), r#"["say \"x\""]"#);
    }

    #[test]
    fn arrays_keep_their_texts_whole() {
        check(
            ValueRef::Json(r#"["a,b", " c ", null, 1.50, true, "c"]"#),
            r#"["a,b","c","1.50","true"]"#,
        );
        check(ValueRef::Json(r#"[["a"]]"#), codes::NOT_A_LIST);
        check(ValueRef::Json(r#"{"a":1}"#), codes::NOT_A_LIST);
    }
}
