//! `last`, `first_of`, `count`, `min`, `max`, `sum` over the records of a file.
//!
//! NULL and what `null` of the expression lists do not count. Numbers compare by value, instants by
//! time, texts by their bytes.

use std::cmp::Ordering;

use whimbrel_model::decimal::Decimal;
use whimbrel_model::plan::{Aggregate, Fold};
use whimbrel_model::{Value, ValueRef};

use crate::codes;
use crate::op::timestamp::{Format, Moment, written};
use crate::op::zone::Zone;
use crate::op::{Fault, text};
use crate::state::{self, Bytes, StateError, damaged};

/// Bytes of a value that a state carries, at most.
const VALUE_BYTES_MAX: usize = 8 << 10;
/// Bytes of all values of a state.
const VALUES_BYTES_MAX: usize = 48 << 10;

/// An aggregate of a step.
#[derive(Debug)]
pub(crate) struct Aggregation {
    pub(crate) of: Aggregate,
    /// The field; none for a count of records.
    pub(crate) slot: Option<usize>,
    pub(crate) null: Vec<String>,
    pub(crate) compare: Compare,
    /// Values that cannot be aggregated are left out, and noted.
    pub(crate) skip_invalid: bool,
    pub(crate) column: std::sync::Arc<str>,
    pub(crate) value_bytes_max: usize,
    /// What it sums up is not shown.
    pub(crate) sensitive: bool,
}

/// What values are compared as.
#[derive(Debug)]
pub(crate) enum Compare {
    Numbers,
    Texts,
    Instants {
        formats: Vec<Format>,
        zone: Zone,
        fold: Fold,
        /// The result is a day, which no zone moves.
        as_day: bool,
    },
}

/// How far an aggregate has come.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Aggregated {
    Nothing,
    Count(u64),
    Value(Value),
    Sum { mantissa: i128, scale: u32 },
    Failed { code: &'static str, message: String },
}

impl Aggregation {
    /// How many bytes each of `count` aggregates may carry.
    pub(crate) fn value_bytes_max(count: usize) -> usize {
        (VALUES_BYTES_MAX / count.max(1)).min(VALUE_BYTES_MAX)
    }

    /// Takes the next record's value; `Err` where it cannot be aggregated and is left out.
    pub(crate) fn take(&self, state: &mut Aggregated, value: ValueRef<'_>) -> Result<(), Fault> {
        if matches!(state, Aggregated::Failed { .. })
            || (self.slot.is_some() && self.is_null(value))
        {
            return Ok(());
        }
        match self.step(state, value) {
            Ok(next) => {
                if let Some(next) = next {
                    *state = next;
                }
                Ok(())
            }
            Err(fault) if self.skip_invalid => Err(fault),
            Err(fault) => {
                *state =
                    Aggregated::Failed { code: fault.code, message: fault.message.into_owned() };
                Ok(())
            }
        }
    }

    /// The result so far.
    pub(crate) fn result(&self, state: &Aggregated) -> Result<Value, Fault> {
        match state {
            Aggregated::Nothing if self.of == Aggregate::Count => Ok(Value::Int(0)),
            Aggregated::Nothing => Ok(Value::Null),
            Aggregated::Count(count) => Ok(Value::Int((*count).into())),
            Aggregated::Value(value) => Ok(value.clone()),
            Aggregated::Sum { mantissa, scale } => Ok(Value::Decimal(sum_text(*mantissa, *scale))),
            Aggregated::Failed { code, message } => Err(Fault::new(code, message.clone())),
        }
    }

    fn is_null(&self, value: ValueRef<'_>) -> bool {
        value.is_null()
            || (!self.null.is_empty()
                && text::form(value).is_some_and(|form| self.null.iter().any(|null| *null == form)))
    }

    fn step(&self, state: &Aggregated, value: ValueRef<'_>) -> Result<Option<Aggregated>, Fault> {
        match self.of {
            Aggregate::Count => {
                let count = if let Aggregated::Count(count) = state { *count } else { 0 };
                Ok(Some(Aggregated::Count(count + 1)))
            }
            Aggregate::Last => self.keep(value.to_owned()).map(Some),
            Aggregate::FirstOf => match state {
                Aggregated::Nothing => self.keep(value.to_owned()).map(Some),
                Aggregated::Count(_)
                | Aggregated::Value(_)
                | Aggregated::Sum { .. }
                | Aggregated::Failed { .. } => Ok(None),
            },
            Aggregate::Min => self.better(state, value, Ordering::Less),
            Aggregate::Max => self.better(state, value, Ordering::Greater),
            Aggregate::Sum => add(state, value).map(Some),
        }
    }

    fn keep(&self, value: Value) -> Result<Aggregated, Fault> {
        let bytes = match &value {
            Value::Text(text) | Value::Json(text) | Value::Decimal(text) => text.len(),
            Value::Bytes(bytes) => bytes.len(),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Timestamp(_)
            | Value::TimestampTz(_)
            | Value::Uuid(_) => 0,
        };
        if bytes > self.value_bytes_max {
            let message = format!("{bytes} bytes, a mark carries {}", self.value_bytes_max);
            return Err(Fault::new(codes::STATE_TOO_LARGE, message));
        }
        Ok(Aggregated::Value(value))
    }

    fn better(
        &self,
        state: &Aggregated,
        value: ValueRef<'_>,
        wanted: Ordering,
    ) -> Result<Option<Aggregated>, Fault> {
        let value = self.comparable(value)?;
        let Aggregated::Value(best) = state else {
            return self.keep(value).map(Some);
        };
        if Self::order(&value, best) == wanted { self.keep(value).map(Some) } else { Ok(None) }
    }

    /// The value in the form that it is compared and kept in.
    fn comparable(&self, value: ValueRef<'_>) -> Result<Value, Fault> {
        match &self.compare {
            Compare::Numbers => {
                let form = text::form(value).unwrap_or_default();
                Decimal::parse(&form).map_err(|_| not_a_number())?;
                Ok(Value::Decimal(form.into_owned()))
            }
            Compare::Texts => Ok(match value {
                ValueRef::Text(_) | ValueRef::Decimal(_) => value.to_owned(),
                ValueRef::Null
                | ValueRef::Bool(_)
                | ValueRef::Int(_)
                | ValueRef::Float(_)
                | ValueRef::Bytes(_)
                | ValueRef::Date(_)
                | ValueRef::Time(_)
                | ValueRef::Timestamp(_)
                | ValueRef::TimestampTz(_)
                | ValueRef::Uuid(_)
                | ValueRef::Json(_) => {
                    Value::Text(text::form(value).unwrap_or_default().into_owned())
                }
            }),
            Compare::Instants { formats, zone, fold, as_day } => {
                let form = written(value).ok_or_else(crate::op::timestamp::not_a_time)?;
                let moment = formats.iter().find_map(|format| format.parse(&form).ok());
                match moment.ok_or_else(crate::op::timestamp::not_a_time)? {
                    Moment::Instant(at) => Ok(Value::TimestampTz(at)),
                    Moment::Local(at) if *as_day => Ok(Value::Timestamp(at)),
                    Moment::Local(at) => zone.instant(at, *fold).map(Value::TimestampTz),
                    Moment::Clock(_) => Err(crate::op::timestamp::not_a_time()),
                }
            }
        }
    }

    fn order(a: &Value, b: &Value) -> Ordering {
        match (a, b) {
            (Value::TimestampTz(a), Value::TimestampTz(b))
            | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
            (Value::Decimal(a), Value::Decimal(b)) => {
                match (Decimal::parse(a), Decimal::parse(b)) {
                    (Ok(a), Ok(b)) => a.cmp(&b),
                    (_, _) => a.cmp(b),
                }
            }
            (a, b) => a.as_text().cmp(&b.as_text()),
        }
    }
}

fn add(state: &Aggregated, value: ValueRef<'_>) -> Result<Aggregated, Fault> {
    let form = text::form(value).unwrap_or_default();
    let number = Decimal::parse(&form).map_err(|_| not_a_number())?;
    let too_large = || Fault::new(codes::NO_SUM, "the sum has more than 38 digits");
    let (sum, scale) = match state {
        Aggregated::Sum { mantissa, scale } => (*mantissa, *scale),
        Aggregated::Nothing
        | Aggregated::Count(_)
        | Aggregated::Value(_)
        | Aggregated::Failed { .. } => (0, 0),
    };
    let own_scale = u32::try_from(number.scale()).map_err(|_| too_large())?;
    if number.digit_count() > 38 || number.exponent() > 38 || own_scale > 38 {
        return Err(too_large());
    }
    let digits = number.digits().fold(0i128, |sum, digit| sum * 10 + i128::from(digit));
    let digits = if number.is_negative() { -digits } else { digits };
    let wide = scale.max(own_scale);
    let raise =
        |value: i128, by: u32| 10i128.checked_pow(by).and_then(|factor| value.checked_mul(factor));
    let own_zeros = wide - own_scale + number.exponent().max(0) as u32;
    let mantissa =
        raise(sum, wide - scale).zip(raise(digits, own_zeros)).and_then(|(a, b)| a.checked_add(b));
    Ok(Aggregated::Sum { mantissa: mantissa.ok_or_else(too_large)?, scale: wide })
}

fn sum_text(mantissa: i128, scale: u32) -> String {
    let scale = scale as usize;
    let digits = format!("{:0width$}", mantissa.unsigned_abs(), width = scale + 1);
    let sign = if mantissa < 0 { "-" } else { "" };
    let (whole, part) = digits.split_at(digits.len() - scale);
    if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
}

fn not_a_number() -> Fault {
    Fault::new(codes::NO_SUM, "not a number")
}

impl Aggregated {
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nothing => out.push(0),
            Self::Count(count) => {
                out.push(1);
                out.extend(count.to_be_bytes());
            }
            Self::Value(value) => {
                out.push(2);
                state::put_value(out, value);
            }
            Self::Sum { mantissa, scale } => {
                out.push(3);
                out.extend(mantissa.to_be_bytes());
                out.extend(scale.to_be_bytes());
            }
            Self::Failed { code, message } => {
                out.push(4);
                state::put_sized(out, code.as_bytes());
                state::put_sized(out, message.as_bytes());
            }
        }
    }

    pub(crate) fn restore(bytes: &mut Bytes<'_>) -> Result<Self, StateError> {
        Ok(match bytes.byte()? {
            0 => Self::Nothing,
            1 => Self::Count(u64::from_be_bytes(bytes.take()?)),
            2 => Self::Value(state::take_value(bytes)?),
            3 => Self::Sum {
                mantissa: i128::from_be_bytes(bytes.take()?),
                scale: u32::from_be_bytes(bytes.take()?).min(76),
            },
            4 => {
                let code = bytes.text()?;
                let known = codes::CODES.iter().find(|(known, ..)| *known == code);
                let (code, ..) = known.ok_or_else(|| damaged("a code in it is unknown"))?;
                Self::Failed { code, message: bytes.text()? }
            }
            _ => return Err(damaged("an aggregate in it is of no known kind")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn aggregate(of: Aggregate, values: &[&str]) -> String {
        let aggregation = Aggregation {
            of,
            slot: Some(0),
            null: vec!["-".into()],
            compare: Compare::Numbers,
            skip_invalid: false,
            column: "c".into(),
            value_bytes_max: 20,
            sensitive: false,
        };
        let mut state = Aggregated::Nothing;
        for value in values {
            aggregation.take(&mut state, ValueRef::Text(value)).unwrap();
            let mut saved = Vec::new();
            state.save(&mut saved);
            assert_eq!(Aggregated::restore(&mut Bytes::of(&saved)).unwrap(), state);
        }
        aggregation
            .result(&state)
            .map_or_else(|fault| fault.code.to_owned(), |value| value.as_ref().to_string())
    }

    #[test]
    fn numbers_compare_by_value_and_add_exactly() {
        assert_eq!(aggregate(Aggregate::Min, &["10", "9", "-", "9.5"]), "9");
        assert_eq!(aggregate(Aggregate::Max, &["10", "9", "1e1"]), "10");
        assert_eq!(aggregate(Aggregate::Sum, &["0.1", "0.2", "-1e2"]), "-99.7");
        assert_eq!(aggregate(Aggregate::Sum, &["1", "x"]), codes::NO_SUM);
        assert_eq!(aggregate(Aggregate::Sum, &[]), "NULL");
        assert_eq!(
            aggregate(Aggregate::Sum, &["99999999999999999999999999999999999999", "9e38"]),
            codes::NO_SUM
        );
    }

    #[test]
    fn null_markers_do_not_count() {
        assert_eq!(aggregate(Aggregate::Last, &["a", "b", "-"]), "b");
        assert_eq!(aggregate(Aggregate::FirstOf, &["-", "a", "b"]), "a");
        assert_eq!(aggregate(Aggregate::Count, &["-", "a", "b"]), "2");
        assert_eq!(aggregate(Aggregate::Count, &[]), "0");
        assert_eq!(aggregate(Aggregate::Last, &["012345678901234567890"]), codes::STATE_TOO_LARGE);
    }

    proptest! {
        #[test]
        fn sums_are_exact(cents in proptest::collection::vec(-1_000_000i64..1_000_000, 1..20)) {
            let texts: Vec<String> = cents.iter().map(|cents| sum_text((*cents).into(), 2)).collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let sum = aggregate(Aggregate::Sum, &texts);
            let expected = sum_text(cents.iter().sum::<i64>().into(), 2);
            prop_assert_eq!(Decimal::parse(&sum).unwrap(), Decimal::parse(&expected).unwrap());
        }
    }
}
