//! One total order over values, and bytes that have it: what rows are merged and sorted by.
//!
//! Engines order by collations of their own; nothing here trusts them. Text goes by its UTF-8 bytes,
//! numbers by their value whatever their form, doubles by IEEE 754's total order, days and instants by
//! time, UUIDs and bytes by their bytes, NULL first.
//!
//! ```text
//! compare(a, b)  ==  bytes(a).cmp(bytes(b))          (tested as a property)
//! ```

use std::cmp::Ordering;

use whimbrel_model::decimal::Numeric;
use whimbrel_model::time::DateTime;
use whimbrel_model::{Row, ValueRef};

/// Compares two values. Values of different sorts have a fixed order among them.
pub fn compare(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    match (a, b) {
        (ValueRef::Int(a), ValueRef::Int(b)) => a.cmp(&b),
        (ValueRef::Text(a), ValueRef::Text(b)) | (ValueRef::Json(a), ValueRef::Json(b)) => a.cmp(b),
        (ValueRef::Uuid(a), ValueRef::Uuid(b)) => a.cmp(&b),
        (ValueRef::Bytes(a), ValueRef::Bytes(b)) => a.cmp(b),
        (ValueRef::Bool(a), ValueRef::Bool(b)) => a.cmp(&b),
        (ValueRef::Float(a), ValueRef::Float(b)) => a.total_cmp(&b),
        (ValueRef::Date(a), ValueRef::Date(b)) => a.days.cmp(&b.days),
        (ValueRef::Time(a), ValueRef::Time(b)) => a.nanos.cmp(&b.nanos),
        (ValueRef::Timestamp(a), ValueRef::Timestamp(b))
        | (ValueRef::TimestampTz(a), ValueRef::TimestampTz(b)) => {
            (a.days, a.nanos).cmp(&(b.days, b.nanos))
        }
        (a, b) => match sort(a).cmp(&sort(b)) {
            Ordering::Equal => by_bytes(a, b),
            unequal => unequal,
        },
    }
}

/// Compares rows by some of their columns.
pub fn rows(a: Row<'_>, b: Row<'_>, columns: &[usize]) -> Ordering {
    let pairs = columns.iter().map(|&column| compare(a.get(column), b.get(column)));
    pairs.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn by_bytes(a: ValueRef<'_>, b: ValueRef<'_>) -> Ordering {
    let (mut left, mut right) = (Vec::new(), Vec::new());
    bytes(a, &mut left);
    bytes(b, &mut right);
    left.cmp(&right)
}

/// Values of one sort are compared with each other; numbers that are exact are one sort.
fn sort(value: ValueRef<'_>) -> u8 {
    match value {
        ValueRef::Null => 0,
        ValueRef::Bool(_) => 1,
        ValueRef::Int(_) | ValueRef::Decimal(_) => 2,
        ValueRef::Float(_) => 3,
        ValueRef::Date(_) => 4,
        ValueRef::Time(_) => 5,
        ValueRef::Timestamp(_) => 6,
        ValueRef::TimestampTz(_) => 7,
        ValueRef::Uuid(_) => 8,
        ValueRef::Text(_) => 9,
        ValueRef::Json(_) => 10,
        ValueRef::Bytes(_) => 11,
    }
}

/// Appends bytes that compare as the values do, also where other values follow.
pub fn bytes(value: ValueRef<'_>, out: &mut Vec<u8>) {
    out.push(sort(value));
    match value {
        ValueRef::Null => {}
        ValueRef::Bool(value) => out.push(value.into()),
        ValueRef::Int(value) => integer(value, out),
        ValueRef::Decimal(text) => decimal(text, out),
        ValueRef::Float(value) => {
            let bits = value.to_bits();
            // Negative ones are ordered the other way round.
            let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
            out.extend_from_slice(&ordered.to_be_bytes());
        }
        ValueRef::Date(value) => out.extend_from_slice(&rising(value.days.into())),
        ValueRef::Time(value) => out.extend_from_slice(&rising(value.nanos)),
        ValueRef::Timestamp(DateTime { days, nanos })
        | ValueRef::TimestampTz(DateTime { days, nanos }) => {
            out.extend_from_slice(&rising(days.into()));
            out.extend_from_slice(&nanos.to_be_bytes());
        }
        ValueRef::Uuid(value) => out.extend_from_slice(&value),
        ValueRef::Text(text) | ValueRef::Json(text) => ended(text.as_bytes(), out),
        ValueRef::Bytes(value) => ended(value, out),
    }
}

/// Big-endian with the sign turned: bytes rise as numbers do.
fn rising(value: i64) -> [u8; 8] {
    (value as u64 ^ 1 << 63).to_be_bytes()
}

/// Bytes with an end that is below every byte: 00 becomes 00 FF, the end is 00 00.
fn ended(bytes: &[u8], out: &mut Vec<u8>) {
    for part in bytes.split_inclusive(|byte| *byte == 0) {
        out.extend_from_slice(part);
        if part.ends_with(&[0]) {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

const BELOW: u8 = 0;
const NEGATIVE: u8 = 1;
const ZERO: u8 = 2;
const POSITIVE: u8 = 3;
const ABOVE: u8 = 4;
const NAN: u8 = 5;
const NO_NUMBER: u8 = 6;

fn integer(value: i128, out: &mut Vec<u8>) {
    decimal(&value.to_string(), out);
}

/// Sign, then the power of ten before which the digits stand, then the digits.
fn decimal(text: &str, out: &mut Vec<u8>) {
    let number = match Numeric::parse(text) {
        Ok(Numeric::Finite(number)) => number,
        Ok(Numeric::NegativeInfinity) => return out.push(BELOW),
        Ok(Numeric::Infinity) => return out.push(ABOVE),
        Ok(Numeric::NaN) => return out.push(NAN),
        Err(_) => {
            out.push(NO_NUMBER);
            return ended(text.as_bytes(), out);
        }
    };
    if number.is_zero() {
        return out.push(ZERO);
    }
    out.push(if number.is_negative() { NEGATIVE } else { POSITIVE });
    let start = out.len();
    let size = number.digit_count() as i64 + number.exponent();
    out.extend_from_slice(&rising(size));
    out.extend(number.digits().map(|digit| (digit & 0x0f) + 1));
    out.push(0);
    if number.is_negative() {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_model::time::{Date, Time};
    use whimbrel_model::{ChunkBuilder, Value};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let at = || (any::<i16>(), 0..86_400_000_000_000u64);
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i128>().prop_map(Value::Int),
            (-50i128..50).prop_map(Value::Int),
            "-?(0|[1-9][0-9]{0,4})(\\.[0-9]{1,4})?(e-?[0-9])?".prop_map(Value::Decimal),
            Just(Value::Decimal("NaN".to_owned())),
            Just(Value::Decimal("-Infinity".to_owned())),
            any::<f64>().prop_map(Value::Float),
            "[\\x00ab\u{e9}]{0,4}".prop_map(Value::Text),
            prop::collection::vec(0u8..3, 0..4).prop_map(Value::Bytes),
            any::<i32>().prop_map(|days| Value::Date(Date { days })),
            any::<i64>().prop_map(|nanos| Value::Time(Time { nanos })),
            at().prop_map(|(days, nanos)| Value::Timestamp(DateTime { days: days.into(), nanos })),
            at().prop_map(|(days, nanos)| Value::TimestampTz(DateTime {
                days: days.into(),
                nanos
            })),
            any::<[u8; 16]>().prop_map(Value::Uuid),
        ]
    }

    proptest! {
        #[test]
        fn bytes_are_ordered_as_values_are(
            a in prop::collection::vec(value(), 2), b in prop::collection::vec(value(), 2),
        ) {
            let mut chunk = ChunkBuilder::new(2);
            for row in [&a, &b] {
                row.iter().for_each(|value| chunk.push(value.as_ref()));
                chunk.end_row();
            }
            let chunk = chunk.finish();
            let of = |row: &[Value]| {
                let mut out = Vec::new();
                row.iter().for_each(|value| bytes(value.as_ref(), &mut out));
                out
            };
            prop_assert_eq!(rows(chunk.row(0), chunk.row(1), &[0, 1]), of(&a).cmp(&of(&b)));
        }

        #[test]
        fn numbers_are_ordered_by_value(a in "-?(0|[1-9][0-9]{0,6})(\\.[0-9]{1,6})?", b in -1_000_000i128..1_000_000) {
            let exact = |text: &str| -> i128 {
                let (whole, part) = text.split_once('.').unwrap_or((text, ""));
                format!("{whole}{part:0<6}").parse().unwrap()
            };
            let by_value = exact(&a).cmp(&(b * 1_000_000));
            prop_assert_eq!(compare(ValueRef::Decimal(&a), ValueRef::Int(b)), by_value);
        }
    }
}
