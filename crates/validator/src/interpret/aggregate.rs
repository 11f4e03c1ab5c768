//! Values over the records of a file: `last`, `first_of`, `count`, `min`, `max`, `sum`.

use std::cmp::Ordering;

use whimbrel_model::decimal::Decimal;
use whimbrel_model::plan::{Aggregate, Invalid};
use whimbrel_model::{DateTime, Kind, Row, Value};

use super::moment::{Format, Moment};
use super::scene::Failure;
use super::terms::{Reading, Summing};
use super::{codes, moment, text};

/// A longer value cannot be carried along a file, by the load path's own limit.
const BYTES_MAX: usize = 8 << 10;

/// A sum has at most so many digits behind the point; altogether as many as 127 bits hold.
const PLACES_MAX: u64 = 38;

/// The aggregates of one file on their way.
pub(super) struct Aggregating {
    values: Vec<Result<Value, Failure>>,
}

impl Aggregating {
    pub(super) fn new(reading: &Reading) -> Self {
        let first = |summing: &Summing| match summing.of {
            Aggregate::Count => Value::Int(0),
            Aggregate::Last
            | Aggregate::FirstOf
            | Aggregate::Min
            | Aggregate::Max
            | Aggregate::Sum => Value::Null,
        };
        Self { values: reading.aggregates.iter().map(|summing| Ok(first(summing))).collect() }
    }

    /// Takes a record without a defect.
    pub(super) fn take(&mut self, reading: &Reading, row: &Row<'_>) {
        for (summing, value) in reading.aggregates.iter().zip(&mut self.values) {
            if let Ok(before) = value {
                let next = summing.slot.map_or(Value::Null, |slot| row.get(slot).to_owned());
                *value = step(summing, std::mem::replace(before, Value::Null), next);
            }
        }
    }

    pub(super) fn finish(self) -> Vec<Result<Value, Failure>> {
        self.values
    }
}

fn step(summing: &Summing, before: Value, next: Value) -> Result<Value, Failure> {
    if summing.of == Aggregate::Count {
        return Ok(Value::Int(before.as_int().unwrap_or_default() + 1));
    }
    let is_marker = text::form(&next).is_some_and(|text| summing.term.null.contains(&text));
    if next.as_ref().is_null() || is_marker {
        return Ok(before);
    }
    match summing.of {
        Aggregate::Last => carried(next),
        Aggregate::FirstOf if before.as_ref().is_null() => carried(next),
        Aggregate::FirstOf | Aggregate::Count => Ok(before),
        Aggregate::Min | Aggregate::Max | Aggregate::Sum => {
            let taken = comparable(summing, next).and_then(|next| taken(summing.of, &before, next));
            match (taken, &summing.term.invalid) {
                (Ok(after), _) => Ok(after),
                (Err(failure), Invalid::Reject | Invalid::Default) => Err(failure),
                (Err(_), Invalid::Null) => Ok(before),
            }
        }
    }
}

/// The smallest, the largest or the sum, with one value more.
fn taken(of: Aggregate, before: &Value, next: Value) -> Result<Value, Failure> {
    let wanted = match of {
        Aggregate::Sum if before.as_ref().is_null() => {
            return sum(&Value::Decimal("0".to_owned()), &next);
        }
        Aggregate::Sum => return sum(before, &next),
        Aggregate::Min => Ordering::Less,
        Aggregate::Max => Ordering::Greater,
        Aggregate::Last | Aggregate::FirstOf | Aggregate::Count => return Ok(next),
    };
    let is_first = before.as_ref().is_null();
    if is_first || order(&next, before) == Some(wanted) { Ok(next) } else { Ok(before.clone()) }
}

fn carried(value: Value) -> Result<Value, Failure> {
    let too_long = text::form(&value).is_some_and(|text| text.len() > BYTES_MAX);
    if too_long { Err(Failure::new(codes::STATE_TOO_LARGE)) } else { Ok(value) }
}

/// What is compared and summed up: with formats, and where the result is one, instants; numbers where the
/// result is one; else texts, by their bytes.
fn comparable(summing: &Summing, value: Value) -> Result<Value, Failure> {
    let term = &summing.term;
    let is_time = matches!(
        value,
        Value::TimestampTz(_) | Value::Timestamp(_) | Value::Date(_) | Value::Time(_)
    );
    if is_time {
        return Ok(value);
    }
    let no_number = Failure::new(codes::NO_SUM);
    let written = text::form(&value).ok_or(no_number)?;
    let own = [Format::Rfc3339, Format::Iso8601];
    let formats: &[Format] = match summing.kind {
        _ if !term.formats.is_empty() => &term.formats,
        Some(Kind::TimestampTz) if summing.of != Aggregate::Sum => &own,
        _ => &[],
    };
    if !formats.is_empty() {
        let found = formats.iter().find_map(|format| format.read(&written));
        let found = found.ok_or(Failure::new(codes::NOT_A_TIME))??;
        return match (found, summing.kind) {
            (Moment::Day(day), Some(Kind::Date)) => Ok(Value::Timestamp(moment::midnight(day))),
            (Moment::Local(at), Some(Kind::Date)) => Ok(Value::Timestamp(at)),
            (Moment::Clock(_), _) => Err(Failure::new(codes::NOT_A_TIME)),
            (found, _) => moment::to_value(found, None, &term.zone, term.fold),
        };
    }
    let is_number = match (summing.of, summing.kind) {
        (Aggregate::Sum, _) | (_, Some(Kind::Int(_) | Kind::Decimal(_) | Kind::Float)) => true,
        (_, Some(Kind::Any) | None) => !matches!(value, Value::Text(_)),
        (_, Some(_)) => false,
    };
    match Decimal::parse(&written) {
        Ok(_) if is_number => Ok(Value::Decimal(written)),
        Err(_) if is_number => Err(no_number),
        Ok(_) | Err(_) => Ok(Value::Text(written)),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Decimal(a), Value::Decimal(b)) => {
            Some(Decimal::parse(a).ok()?.cmp(&Decimal::parse(b).ok()?))
        }
        (Value::TimestampTz(a), Value::TimestampTz(b))
        | (Value::Timestamp(a), Value::Timestamp(b)) => Some(DateTime::cmp(a, b)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Some(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// The exact sum of two numbers.
fn sum(a: &Value, b: &Value) -> Result<Value, Failure> {
    let no_sum = || Failure::new(codes::NO_SUM);
    let (Value::Decimal(a), Value::Decimal(b)) = (a, b) else {
        return Err(no_sum());
    };
    // The places that a sum has once had it keeps.
    let had = a.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let (a, b) =
        (Decimal::parse(a).map_err(|_| no_sum())?, Decimal::parse(b).map_err(|_| no_sum())?);
    let scale = a.scale().max(b.scale());
    if scale > PLACES_MAX {
        return Err(no_sum());
    }
    let scaled = |number: &Decimal<'_>| -> Option<i128> {
        let zeros = u64::try_from(number.exponent() + i64::try_from(scale).ok()?).ok()?;
        let mut whole = 0i128;
        let digits =
            number.digits().chain(std::iter::repeat_n(0, usize::try_from(zeros).ok()?.min(64)));
        for digit in digits {
            whole = whole.checked_mul(10)?.checked_add(digit.into())?;
        }
        Some(if number.is_negative() { -whole } else { whole })
    };
    let total =
        scaled(&a).zip(scaled(&b)).and_then(|(a, b)| a.checked_add(b)).ok_or_else(no_sum)?;
    let digits = total.unsigned_abs().to_string();
    let scale = usize::try_from(scale).map_err(|_| no_sum())?;
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if total < 0 { "-" } else { "" };
    let fraction = format!("{fraction:0<had$}");
    let point = if fraction.is_empty() { "" } else { "." };
    Ok(Value::Decimal(format!("{sign}{whole}{point}{fraction}")))
}
