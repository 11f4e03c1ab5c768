//! One total order over all values: NULL, numbers by value, text by its bytes, bytes.

use std::cmp::Ordering;

use whimbrel_model::decimal::{Decimal, Numeric};
use whimbrel_model::{Value, ValueRef};

/// Compares two values as a query's order does: NULL first, then numbers, text, bytes. Dates,
/// times, UUIDs and JSON count as their text.
pub fn compare(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    rank(a).cmp(&rank(b)).then_with(|| within(a, b))
}

/// A row's key: equal where the values are, ordered by [`compare`].
#[derive(Clone, Debug)]
pub(crate) struct Key(pub(crate) Vec<Value>);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs
            .map(|(a, b)| compare(a.as_ref(), b.as_ref()))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

fn rank(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Bool(_) | ValueRef::Int(_) | ValueRef::Float(_) | ValueRef::Decimal(_) => 1,
        ValueRef::Text(_)
        | ValueRef::Json(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => 2,
        ValueRef::Bytes(_) => 3,
    }
}

fn within(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a, b) {
        (ValueRef::Null, _) => Ordering::Equal,
        (ValueRef::Text(a), ValueRef::Text(b)) => a.cmp(b),
        (ValueRef::Bytes(a), ValueRef::Bytes(b)) => a.cmp(b),
        (ValueRef::Int(a), ValueRef::Int(b)) => a.cmp(&b),
        (ValueRef::Bool(a), ValueRef::Bool(b)) => a.cmp(&b),
        (ValueRef::Float(a), ValueRef::Float(b)) => a.total_cmp(&b),
        (a, b) if rank(a) == 1 => number(a, b),
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}

/// Numbers of different kinds, by value; those without one (NaN, infinity) by their spelling.
fn number(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    let spelled = |value: ValueRef<'_>| match value {
        ValueRef::Bool(value) => u8::from(value).to_string(),
        ValueRef::Float(value) => format!("{value:e}"),
        other => other.to_string(),
    };
    let (a, b) = (spelled(a), spelled(b));
    match (edge(&a), edge(&b)) {
        (Edge::Number(a), Edge::Number(b)) => a.cmp(&b),
        (x, y) => x.place().cmp(&y.place()).then_with(|| a.cmp(&b)),
    }
}

enum Edge<'a> {
    Below,
    Number(Decimal<'a>),
    Above,
}

impl Edge<'_> {
    fn place(&self) -> u8 {
        match self {
            Self::Below => 0,
            Self::Number(_) => 1,
            Self::Above => 2,
        }
    }
}

fn edge(text: &str) -> Edge<'_> {
    match Numeric::parse(text) {
        Ok(Numeric::Finite(number)) => Edge::Number(number),
        Ok(Numeric::NegativeInfinity) => Edge::Below,
        Ok(Numeric::NaN | Numeric::Infinity) => Edge::Above,
        Err(_) if text == "-inf" => Edge::Below,
        Err(_) => Edge::Above,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_across_kinds() {
        let rising = [
            ValueRef::Null,
            ValueRef::Float(f64::NEG_INFINITY),
            ValueRef::Int(-5),
            ValueRef::Decimal("-1.5"),
            ValueRef::Int(0),
            ValueRef::Float(0.5),
            ValueRef::Decimal("0.51"),
            ValueRef::Int(i128::MAX),
            ValueRef::Float(1e300),
            ValueRef::Decimal("NaN"),
            ValueRef::Text(""),
            ValueRef::Text("Z"),
            ValueRef::Text("a"),
            ValueRef::Text("é"),
            ValueRef::Bytes(b""),
        ];
        for (at, a) in rising.iter().enumerate() {
            for (place, b) in rising.iter().enumerate() {
                assert_eq!(compare(*a, *b), at.cmp(&place), "{a} {b}");
            }
        }
    }
}
