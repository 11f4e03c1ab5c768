//! What a mapping remembers of a file between chunks, and how that survives the process.

use std::sync::Arc;

use whimbrel_model::{Date, DateTime, Time, Value};

use crate::aggregate::Aggregated;
use crate::codes;
use crate::facts::PartitionFacts;
use crate::op::Fault;
use crate::op::clock::ClockState;

/// Where a mapping stands in a file.
#[derive(Clone, Debug)]
pub struct State {
    /// Index of the source among the step's.
    pub(crate) source: usize,
    pub(crate) facts: Arc<PartitionFacts>,
    pub(crate) path: Arc<str>,
    /// One per clock of the step; `Err` where the file does not say when it began.
    pub(crate) clocks: Vec<Result<ClockState, Fault>>,
    pub(crate) aggregates: Vec<Aggregated>,
}

/// A saved state that cannot be gone on with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateError {
    /// A code of [`crate::CODES`].
    pub code: &'static str,
    /// What is wrong.
    pub message: &'static str,
}

impl std::fmt::Display for StateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for StateError {}

/// The first byte of a saved state.
const VERSION: u8 = 1;

/// Bytes that a saved state stays below.
pub const STATE_BYTES_MAX: usize = 64 << 10;

impl State {
    /// What [`crate::Step::start`] goes on with, below [`STATE_BYTES_MAX`] bytes.
    pub fn save(&self) -> Vec<u8> {
        let mut out = vec![VERSION, self.clocks.len() as u8];
        for clock in &self.clocks {
            match clock {
                Ok(clock) => {
                    out.push(1);
                    out.extend(clock.local.days.to_be_bytes());
                    out.extend(clock.local.nanos.to_be_bytes());
                    out.push(u8::from(clock.later));
                    out.extend(clock.first_day.to_be_bytes());
                }
                Err(_) => out.push(0),
            }
        }
        out.push(self.aggregates.len() as u8);
        self.aggregates.iter().for_each(|aggregate| aggregate.save(&mut out));
        out
    }

    /// Puts back what was saved; clocks that the file's facts do not say stay as they are.
    pub(crate) fn restore(&mut self, saved: &[u8]) -> Result<(), StateError> {
        let mut bytes = Bytes(saved);
        if bytes.byte()? != VERSION || usize::from(bytes.byte()?) != self.clocks.len() {
            return Err(damaged("it was written by another version or another mapping"));
        }
        for clock in &mut self.clocks {
            if bytes.byte()? == 1 {
                let local = DateTime {
                    days: i32::from_be_bytes(bytes.take()?),
                    nanos: u64::from_be_bytes(bytes.take()?),
                };
                let restored = ClockState {
                    local,
                    later: bytes.byte()? == 1,
                    first_day: i32::from_be_bytes(bytes.take()?),
                };
                if let Ok(clock) = clock {
                    *clock = restored;
                }
            }
        }
        if usize::from(bytes.byte()?) != self.aggregates.len() {
            return Err(damaged("it was written by another mapping"));
        }
        for aggregate in &mut self.aggregates {
            *aggregate = Aggregated::restore(&mut bytes)?;
        }
        if bytes.0.is_empty() { Ok(()) } else { Err(damaged("it is longer than a state")) }
    }
}

pub(crate) fn damaged(message: &'static str) -> StateError {
    StateError { code: codes::BAD_STATE, message }
}

/// Bytes yet to be read.
pub(crate) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    #[cfg(test)]
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, StateError> {
        Ok(self.take::<1>()?[0])
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let (head, tail) =
            self.0.split_first_chunk::<N>().ok_or_else(|| damaged("it ends too early"))?;
        self.0 = tail;
        Ok(*head)
    }

    pub(crate) fn sized(&mut self) -> Result<&'a [u8], StateError> {
        let length = u32::from_be_bytes(self.take()?) as usize;
        let (head, tail) =
            self.0.split_at_checked(length).ok_or_else(|| damaged("it ends too early"))?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn text(&mut self) -> Result<String, StateError> {
        String::from_utf8(self.sized()?.to_vec()).map_err(|_| damaged("a text in it is not UTF-8"))
    }
}

pub(crate) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend((bytes.len() as u32).to_be_bytes());
    out.extend_from_slice(bytes);
}

/// A value, so that it comes back the same byte for byte (decimals and JSON keep their spelling).
pub(crate) fn put_value(out: &mut Vec<u8>, value: &Value) {
    let (tag, bytes): (u8, &[u8]) = match value {
        Value::Null => (0, &[]),
        Value::Bool(value) => (1, if *value { &[1] } else { &[0] }),
        Value::Int(value) => (2, &value.to_be_bytes()),
        Value::Decimal(text) => (3, text.as_bytes()),
        Value::Float(value) => (4, &value.to_bits().to_be_bytes()),
        Value::Text(text) => (5, text.as_bytes()),
        Value::Bytes(bytes) => (6, bytes),
        Value::Date(date) => (7, &date.days.to_be_bytes()),
        Value::Time(time) => (8, &time.nanos.to_be_bytes()),
        Value::Timestamp(at) => (9, &at.unix_nanos().to_be_bytes()),
        Value::TimestampTz(at) => (10, &at.unix_nanos().to_be_bytes()),
        Value::Uuid(uuid) => (11, uuid),
        Value::Json(text) => (12, text.as_bytes()),
    };
    out.push(tag);
    put_sized(out, bytes);
}

pub(crate) fn take_value(bytes: &mut Bytes<'_>) -> Result<Value, StateError> {
    let tag = bytes.byte()?;
    let mut body = Bytes(bytes.sized()?);
    let text = |body: &Bytes<'_>| {
        String::from_utf8(body.0.to_vec()).map_err(|_| damaged("a text in it is not UTF-8"))
    };
    let instant = |body: &mut Bytes<'_>| {
        DateTime::from_unix_nanos(i128::from_be_bytes(body.take()?))
            .ok_or_else(|| damaged("an instant in it is none"))
    };
    Ok(match tag {
        0 => Value::Null,
        1 => Value::Bool(body.byte()? == 1),
        2 => Value::Int(i128::from_be_bytes(body.take()?)),
        3 => Value::Decimal(text(&body)?),
        4 => Value::Float(f64::from_bits(u64::from_be_bytes(body.take()?))),
        5 => Value::Text(text(&body)?),
        6 => Value::Bytes(body.0.to_vec()),
        7 => Value::Date(Date { days: i32::from_be_bytes(body.take()?) }),
        8 => Value::Time(Time { nanos: i64::from_be_bytes(body.take()?) }),
        9 => Value::Timestamp(instant(&mut body)?),
        10 => Value::TimestampTz(instant(&mut body)?),
        11 => Value::Uuid(body.take()?),
        12 => Value::Json(text(&body)?),
        _ => return Err(damaged("a value in it is of no known kind")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_come_back_byte_for_byte() {
        let values: [Value; 6] = [
            Value::Decimal("1.50".into()),
            Value::Float(-0.0),
            Value::Json("{ }".into()),
            Value::TimestampTz(DateTime { days: -5, nanos: 7 }),
            Value::Uuid([9; 16]),
            Value::Int(i128::MIN),
        ];
        for value in values {
            let mut out = Vec::new();
            put_value(&mut out, &value);
            assert_eq!(take_value(&mut Bytes(&out)).unwrap(), value);
        }
    }

    proptest! {
        #[test]
        fn damaged_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = take_value(&mut Bytes(&bytes));
        }
    }
}
