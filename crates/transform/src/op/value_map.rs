//! `[map.NAME]`: old words to new values, compared as text, exactly.

use std::collections::HashMap;

use whimbrel_model::Value;
use whimbrel_model::plan::{Literal, ValueMap};

/// A map made ready for looking up.
#[derive(Clone, Debug)]
pub struct Map {
    values: HashMap<String, Value>,
}

impl Map {
    /// From the pairs of the plan; of equal keys the first counts (the decoder refuses them).
    pub fn new(map: &ValueMap) -> Self {
        let mut values = HashMap::with_capacity(map.pairs.len());
        for (key, literal) in &map.pairs {
            values.entry(key.clone()).or_insert_with(|| literal_value(literal));
        }
        Self { values }
    }

    /// The new value.
    pub fn get(&self, text: &str) -> Option<&Value> {
        self.values.get(text)
    }

    /// The map that leads back, where no two keys have one value: new value as text → old text.
    pub fn inverse(&self) -> Option<HashMap<String, &str>> {
        let mut back = HashMap::with_capacity(self.values.len());
        for (key, value) in &self.values {
            let text = super::text::form(value.as_ref())?.into_owned();
            if back.insert(text, key.as_str()).is_some() {
                return None;
            }
        }
        Some(back)
    }
}

/// A literal of the plan as a value.
pub fn literal_value(literal: &Literal) -> Value {
    match literal {
        Literal::Bool(value) => Value::Bool(*value),
        Literal::Int(value) => Value::Int((*value).into()),
        Literal::Float(value) => Value::Float(*value),
        Literal::Text(value) => Value::Text(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::plan::At;

    fn map(pairs: &[(&str, &str)]) -> Map {
        Map::new(&ValueMap {
            name: At { value: "m".into(), span: 0..0 },
            pairs: pairs
                .iter()
                .map(|(old, new)| ((*old).into(), Literal::Text((*new).into())))
                .collect(),
        })
    }

    #[test]
    fn a_map_leads_back_only_where_it_is_one_to_one() {
        let one = map(&[("READY", "ready"), ("ALARM", "alarm")]);
        assert_eq!(one.inverse().unwrap()["alarm"], "ALARM");
        assert!(map(&[("a", "x"), ("b", "x")]).inverse().is_none());
        assert!(one.get("Ready").is_none());
    }
}
