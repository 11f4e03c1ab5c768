//! References to other tables: which keys are wanted, and what they lead to.

use std::collections::HashMap;

use whimbrel_model::wce::{Decoded, decode};
use whimbrel_model::{Date, DateTime, Time, Value};

/// Legacy keys of a parent table that a chunk refers to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// The table that an earlier step filled.
    pub table: String,
    /// Legacy keys, each once, sorted; parts joined by U+001F.
    pub keys: Vec<String>,
}

/// The new keys that legacy keys lead to. What is not in it has no row.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    tables: Vec<(String, HashMap<String, Parent>)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Parent {
    Key(Value),
    /// Records with this legacy key became several rows; where they stand.
    Several(String),
    /// The stored key is no single value.
    Unreadable,
}

impl Lookups {
    /// Says which row the record with this legacy key became; `new_key` is WCE-1 of the row's key,
    /// as `legacy_mappings` holds it.
    pub fn insert(&mut self, table: &str, legacy_key: &str, new_key: &[u8]) {
        let parent = match decode(new_key).as_deref() {
            Ok([key]) => value_of(key).map_or(Parent::Unreadable, Parent::Key),
            Ok(_) | Err(_) => Parent::Unreadable,
        };
        self.put(table, legacy_key, parent);
    }

    /// [`Lookups::insert`] with the value itself.
    pub fn insert_value(&mut self, table: &str, legacy_key: &str, new_key: Value) {
        self.put(table, legacy_key, Parent::Key(new_key));
    }

    /// Says that records with this legacy key became different rows; `places` names two of these
    /// records, for people.
    pub fn insert_several(&mut self, table: &str, legacy_key: &str, places: &str) {
        self.put(table, legacy_key, Parent::Several(places.to_owned()));
    }

    fn put(&mut self, table: &str, legacy_key: &str, parent: Parent) {
        let at = self.tables.iter().position(|(name, _)| name == table).unwrap_or_else(|| {
            self.tables.push((table.to_owned(), HashMap::new()));
            self.tables.len() - 1
        });
        self.tables[at].1.insert(legacy_key.to_owned(), parent);
    }

    pub(crate) fn get(&self, table: &str, legacy_key: &str) -> Option<&Parent> {
        self.tables.iter().find(|(name, _)| name == table)?.1.get(legacy_key)
    }
}

/// Keys are of simple kinds; everything else is refused.
fn value_of(key: &Decoded) -> Option<Value> {
    match key {
        Decoded::Bool(value) => Some(Value::Bool(*value)),
        Decoded::Int(value) => Some(Value::Int(*value)),
        Decoded::Decimal(text) => Some(Value::Decimal(text.clone())),
        Decoded::Float64(bits) => Some(Value::Float(f64::from_bits(*bits))),
        Decoded::Text(text) => Some(Value::Text(text.clone())),
        Decoded::Bytes(bytes) => Some(Value::Bytes(bytes.clone())),
        Decoded::Date(days) => Some(Value::Date(Date { days: i32::try_from(*days).ok()? })),
        Decoded::Time(nanos) => Some(Value::Time(Time { nanos: i64::try_from(*nanos).ok()? })),
        Decoded::Timestamp(days, nanos) => {
            Some(Value::Timestamp(DateTime { days: i32::try_from(*days).ok()?, nanos: *nanos }))
        }
        Decoded::TimestampTz(days, nanos) => {
            Some(Value::TimestampTz(DateTime { days: i32::try_from(*days).ok()?, nanos: *nanos }))
        }
        Decoded::Uuid(uuid) => Some(Value::Uuid(*uuid)),
        Decoded::Null
        | Decoded::DecimalNaN
        | Decoded::DecimalInfinity { .. }
        | Decoded::Float32(_)
        | Decoded::DateInfinity { .. }
        | Decoded::DatePartial(..)
        | Decoded::TimestampInfinity { .. }
        | Decoded::TimestampPartial(..)
        | Decoded::Interval(..)
        | Decoded::Inet(..)
        | Decoded::Mac(_)
        | Decoded::Json(_)
        | Decoded::JsonText(_)
        | Decoded::Array(..)
        | Decoded::Enum(_)
        | Decoded::Set(_)
        | Decoded::Opaque(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::{Kind, wce};

    #[test]
    fn keys_come_back_from_their_encoding() {
        let mut lookups = Lookups::default();
        for (legacy, value) in [("a", Value::Uuid([7; 16])), ("b", "x".into()), ("c", 5i64.into())]
        {
            let mut encoded = Vec::new();
            wce::cell(&mut encoded, Kind::Any, value.as_ref());
            lookups.insert("t", legacy, &encoded);
            assert!(matches!(lookups.get("t", legacy), Some(Parent::Key(key)) if *key == value));
        }
        lookups.insert("t", "d", &[0xff, 0xff]);
        assert!(matches!(lookups.get("t", "d"), Some(Parent::Unreadable)));
        assert!(lookups.get("t", "e").is_none());
        assert!(lookups.get("u", "a").is_none());
    }
}
