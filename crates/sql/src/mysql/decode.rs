//! Values as the binary protocol carries them, read by the declared kind: the server's bytes, never
//! the driver's own types (it calls zero dates NULL and inverts the sign of times).
//!
//! ```text
//! DATE, DATETIME, TIMESTAMP   length, year (2), month, day │ hour, minute, second │ microseconds (4)
//! TIME                        length, sign, days (4), hours, minutes, seconds │ microseconds (4)
//! integers, floats            little-endian         DECIMAL   its digits         BIT   big-endian
//! ```
//! What is not of its column's kind comes back as what it is: a date that names no day (`0000-00-00`,
//! `2024-02-00`) is text.

use std::fmt::Write as _;

use sqlx::mysql::{MySql, MySqlRow, MySqlTypeInfo};
use sqlx::{Column as _, Decode, Row as _, Type, TypeInfo as _};
use whimbrel_model::decimal::Numeric;
use whimbrel_model::time::{Date, DateTime, Time};
use whimbrel_model::{ChunkBuilder, Kind, ValueRef};

use crate::single::widened;

/// How the server sends a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wire {
    /// An integer of so many bytes.
    Int {
        bytes: u8,
        unsigned: bool,
    },
    /// Four bytes.
    Float,
    /// Eight bytes.
    Double,
    /// Digits.
    Decimal,
    Date,
    /// `DATETIME`: a day and a time without a zone.
    DateTime,
    /// `TIMESTAMP`: an instant, in the session's zone, which is UTC.
    Instant,
    Time,
    Bit,
    Text,
    Json,
    Bytes,
}

impl Wire {
    /// How values of this type are sent.
    pub(crate) fn of(info: &MySqlTypeInfo) -> Self {
        let unsigned = <u64 as Type<MySql>>::compatible(info);
        match info.name() {
            "BOOLEAN" | "TINYINT" | "TINYINT UNSIGNED" => Self::Int { bytes: 1, unsigned },
            "SMALLINT" | "SMALLINT UNSIGNED" => Self::Int { bytes: 2, unsigned },
            "YEAR" => Self::Int { bytes: 2, unsigned: true },
            "INT" | "INT UNSIGNED" | "MEDIUMINT" | "MEDIUMINT UNSIGNED" => {
                Self::Int { bytes: 4, unsigned }
            }
            "BIGINT" | "BIGINT UNSIGNED" => Self::Int { bytes: 8, unsigned },
            "FLOAT" => Self::Float,
            "DOUBLE" => Self::Double,
            "DECIMAL" => Self::Decimal,
            "DATE" => Self::Date,
            "DATETIME" => Self::DateTime,
            "TIMESTAMP" => Self::Instant,
            "TIME" => Self::Time,
            "BIT" => Self::Bit,
            "JSON" => Self::Json,
            "SET" => Self::Text,
            // `GEOMETRY`, `NULL` and what has the collation `binary`.
            _ if !<str as Type<MySql>>::compatible(info) => Self::Bytes,
            _ => Self::Text,
        }
    }
}

/// How the columns of a row are sent, and their names.
pub(crate) fn wires(row: &MySqlRow) -> Vec<Wire> {
    row.columns().iter().map(|column| Wire::of(column.type_info())).collect()
}

/// The bytes of a column, `None` for NULL.
pub(crate) fn raw(row: &MySqlRow, index: usize) -> Option<&[u8]> {
    // `is_null` would say so of zero dates, too; only a value that is absent fails to decode.
    row.try_get_raw(index).ok().and_then(|value| Decode::<MySql>::decode(value).ok())
}

/// The text of a column of the catalogue.
pub(crate) fn text(row: &MySqlRow, index: usize) -> Option<String> {
    raw(row, index).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The integer in a column of the binary protocol.
pub(crate) fn integer(row: &MySqlRow, index: usize) -> Option<i128> {
    let wire = row.columns().get(index).map(|column| Wire::of(column.type_info()))?;
    let bytes = raw(row, index)?;
    match wire {
        Wire::Int { unsigned, .. } => Some(whole(bytes, unsigned)),
        Wire::Decimal | Wire::Text | Wire::Bytes => std::str::from_utf8(bytes).ok()?.parse().ok(),
        Wire::Float
        | Wire::Double
        | Wire::Date
        | Wire::DateTime
        | Wire::Instant
        | Wire::Time
        | Wire::Bit
        | Wire::Json => None,
    }
}

/// Appends a row's values, the first `kinds.len()` of them.
pub(crate) fn push(
    row: &MySqlRow,
    kinds: &[Kind],
    wires: &[Wire],
    scratch: &mut String,
    rows: &mut ChunkBuilder,
) {
    for (index, (kind, wire)) in kinds.iter().zip(wires).enumerate() {
        rows.push(match raw(row, index) {
            None => ValueRef::Null,
            Some(bytes) => value(*kind, *wire, bytes, scratch),
        });
    }
    rows.end_row();
}

/// A value as its column's kind, or as what it is. `scratch` holds what has to be spelled.
pub(crate) fn value<'a>(
    kind: Kind,
    wire: Wire,
    bytes: &'a [u8],
    scratch: &'a mut String,
) -> ValueRef<'a> {
    match wire {
        Wire::Int { unsigned, .. } => integral(kind, whole(bytes, unsigned), scratch),
        Wire::Bit => match kind {
            Kind::Bool | Kind::Int(_) => integral(kind, big_endian(bytes), scratch),
            _ => ValueRef::Bytes(bytes),
        },
        Wire::Float => bytes.try_into().map_or(ValueRef::Bytes(bytes), |bytes| {
            ValueRef::Float(widened(f32::from_le_bytes(bytes)))
        }),
        Wire::Double => bytes
            .try_into()
            .map_or(ValueRef::Bytes(bytes), |bytes| ValueRef::Float(f64::from_le_bytes(bytes))),
        Wire::Decimal => match (kind, std::str::from_utf8(unfilled(bytes))) {
            (Kind::Int(_), Ok(digits)) => {
                digits.parse().map_or(ValueRef::Decimal(digits), ValueRef::Int)
            }
            (_, Ok(digits)) => ValueRef::Decimal(digits),
            (_, Err(_)) => ValueRef::Bytes(bytes),
        },
        Wire::Date => match calendar(bytes) {
            Some(Calendar { day: Some(days), .. }) => ValueRef::Date(days),
            other => ValueRef::Text(no_day(other, false, scratch)),
        },
        Wire::DateTime | Wire::Instant => match calendar(bytes) {
            Some(Calendar { day: Some(day), nanos, .. }) => {
                let at = DateTime { days: day.days, nanos };
                match (kind, wire) {
                    (Kind::TimestampTz, _) | (Kind::Any, Wire::Instant) => {
                        ValueRef::TimestampTz(at)
                    }
                    (_, _) => ValueRef::Timestamp(at),
                }
            }
            other => ValueRef::Text(no_day(other, true, scratch)),
        },
        Wire::Time => duration(bytes).map_or(ValueRef::Bytes(bytes), ValueRef::Time),
        Wire::Text | Wire::Json => match std::str::from_utf8(bytes) {
            Ok(text) => written(kind, wire, text),
            Err(_) => ValueRef::Bytes(bytes),
        },
        Wire::Bytes => match (kind, <[u8; 16]>::try_from(bytes)) {
            (Kind::Uuid, Ok(uuid)) => ValueRef::Uuid(uuid),
            (_, _) => ValueRef::Bytes(bytes),
        },
    }
}

/// Digits without the zeros that `ZEROFILL` puts before them.
fn unfilled(digits: &[u8]) -> &[u8] {
    match digits {
        [b'0', rest @ ..] if rest.first().is_some_and(u8::is_ascii_digit) => unfilled(rest),
        digits => digits,
    }
}

fn integral(kind: Kind, value: i128, scratch: &mut String) -> ValueRef<'_> {
    match (kind, value) {
        (Kind::Bool, 0 | 1) => ValueRef::Bool(value == 1),
        (Kind::Decimal(_), _) => {
            scratch.clear();
            write!(scratch, "{value}").expect("a String takes any text");
            ValueRef::Decimal(scratch)
        }
        (_, _) => ValueRef::Int(value),
    }
}

fn whole(bytes: &[u8], unsigned: bool) -> i128 {
    let mut wide = [0; 8];
    let len = bytes.len().min(8);
    wide[..len].copy_from_slice(&bytes[..len]);
    let value = u64::from_le_bytes(wide);
    if unsigned || len == 0 {
        return value.into();
    }
    let spare = 64 - 8 * len as u32;
    (((value << spare) as i64) >> spare).into()
}

fn big_endian(bytes: &[u8]) -> i128 {
    bytes.iter().take(8).fold(0, |value, byte| value << 8 | i128::from(*byte))
}

fn written(kind: Kind, wire: Wire, text: &str) -> ValueRef<'_> {
    let typed = match kind {
        Kind::Json => Some(ValueRef::Json(text)),
        Kind::Any if wire == Wire::Json => Some(ValueRef::Json(text)),
        Kind::Uuid => uuid(text).map(ValueRef::Uuid),
        Kind::Decimal(_) => Numeric::parse(text).ok().map(|_| ValueRef::Decimal(text)),
        Kind::Bool
        | Kind::Int(_)
        | Kind::Float
        | Kind::Text(_)
        | Kind::Bytes
        | Kind::Date
        | Kind::Time
        | Kind::Timestamp
        | Kind::TimestampTz
        | Kind::Any => None,
    };
    typed.unwrap_or(ValueRef::Text(text))
}

/// `8-4-4-4-12` hexadecimal digits in lower case, as the server spells them.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut value = [0; 16];
    let mut digits = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let digit = match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            (_, _) => return None,
        };
        value[digits / 2] |= if digits % 2 == 0 { digit << 4 } else { digit };
        digits += 1;
    }
    Some(value)
}

/// A day as it was sent, and the time of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Calendar {
    ymd: (u16, u8, u8),
    /// `None` where year, month and day name none.
    day: Option<Date>,
    nanos: u64,
}

fn calendar(bytes: &[u8]) -> Option<Calendar> {
    let (len, rest) = bytes.split_first()?;
    let (ymd, clock) = match (len, rest) {
        (0, _) => ((0, 0, 0), rest),
        (4 | 7 | 11, [y0, y1, month, day, clock @ ..]) => {
            ((u16::from_le_bytes([*y0, *y1]), *month, *day), clock)
        }
        (_, _) => return None,
    };
    let (clock, micros) = match *clock {
        [] => ([0; 3], [0; 4]),
        [hour, minute, second] => ([hour, minute, second], [0; 4]),
        [hour, minute, second, ref micros @ ..] => {
            ([hour, minute, second], micros.try_into().ok()?)
        }
        _ => return None,
    };
    let nanos = nanos(clock.map(u64::from), micros);
    Some(Calendar { ymd, day: Date::from_ymd(ymd.0.into(), ymd.1, ymd.2), nanos })
}

fn no_day(sent: Option<Calendar>, clock: bool, scratch: &mut String) -> &str {
    let (ymd, nanos) = sent.map_or(((0, 0, 0), 0), |sent| (sent.ymd, sent.nanos));
    scratch.clear();
    let (year, month, day) = ymd;
    write!(scratch, "{year:04}-{month:02}-{day:02}").expect("a String takes any text");
    if clock {
        write!(scratch, "T{}", Time { nanos: nanos as i64 }).expect("a String takes any text");
    }
    scratch
}

fn duration(bytes: &[u8]) -> Option<Time> {
    let (len, rest) = bytes.split_first()?;
    if *len == 0 {
        return Some(Time { nanos: 0 });
    }
    let (sign, rest) = rest.split_first()?;
    let (days, rest) = rest.split_first_chunk::<4>()?;
    let (clock, rest) = rest.split_first_chunk::<3>()?;
    let micros = if rest.is_empty() { [0; 4] } else { rest.try_into().ok()? };
    let [hours, minutes, seconds] = clock.map(u64::from);
    let hours = u64::from(u32::from_le_bytes(*days)) * 24 + hours;
    let nanos = i64::try_from(nanos([hours, minutes, seconds], micros)).ok()?;
    Some(Time { nanos: if *sign == 0 { nanos } else { -nanos } })
}

/// Hours, minutes, seconds and little-endian microseconds as nanoseconds.
fn nanos([hours, minutes, seconds]: [u64; 3], micros: [u8; 4]) -> u64 {
    let seconds = hours * 3600 + minutes * 60 + seconds;
    seconds * 1_000_000_000 + u64::from(u32::from_le_bytes(micros)) * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::kind::IntWidth;

    fn check(kind: Kind, wire: Wire, bytes: &[u8], expected: ValueRef<'_>) {
        assert_eq!(value(kind, wire, bytes, &mut String::new()), expected, "{wire:?} {bytes:?}");
    }

    #[test]
    fn integers_keep_their_sign() {
        let int = |bytes, unsigned| Wire::Int { bytes, unsigned };
        let any = Kind::Any;
        check(any, int(1, false), &[0xff], ValueRef::Int(-1));
        check(any, int(1, true), &[0xff], ValueRef::Int(255));
        check(any, int(4, false), &[0, 0, 0, 0x80], ValueRef::Int(i32::MIN.into()));
        check(any, int(8, true), &[0xff; 8], ValueRef::Int(u64::MAX.into()));
        check(any, int(8, false), &[0xff; 8], ValueRef::Int(-1));
        check(Kind::Bool, int(1, false), &[1], ValueRef::Bool(true));
        check(Kind::Bool, int(1, false), &[2], ValueRef::Int(2));
    }

    #[test]
    fn a_zero_date_is_text_and_not_null() {
        check(Kind::Date, Wire::Date, &[0], ValueRef::Text("0000-00-00"));
        check(Kind::Date, Wire::Date, &[4, 0xe8, 7, 2, 0], ValueRef::Text("2024-02-00"));
        check(Kind::Timestamp, Wire::DateTime, &[0], ValueRef::Text("0000-00-00T00:00:00"));
    }

    #[test]
    fn days_and_times_are_read_by_kind() {
        let at = DateTime { days: 0, nanos: 3_723_000_004_000 };
        let bytes = [11, 0xb2, 7, 1, 1, 1, 2, 3, 4, 0, 0, 0];
        check(Kind::Timestamp, Wire::DateTime, &bytes, ValueRef::Timestamp(at));
        check(Kind::TimestampTz, Wire::DateTime, &bytes, ValueRef::TimestampTz(at));
        check(Kind::Any, Wire::Instant, &bytes, ValueRef::TimestampTz(at));
        let day = Date { days: 0 };
        check(Kind::Date, Wire::Date, &[4, 0xb2, 7, 1, 1], ValueRef::Date(day));
    }

    #[test]
    fn a_time_is_signed_and_may_have_days() {
        let time = |nanos| ValueRef::Time(Time { nanos });
        check(Kind::Time, Wire::Time, &[0], time(0));
        check(Kind::Time, Wire::Time, &[8, 1, 1, 0, 0, 0, 0, 0, 1], time(-86_401_000_000_000));
        let bytes = [12, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        check(Kind::Time, Wire::Time, &bytes, time(1_000));
    }

    #[test]
    fn digits_are_integers_where_the_column_is_one() {
        let wide = Kind::Int(IntWidth::I128);
        let digits = b"-170141183460469231731687303715884105728";
        check(wide, Wire::Decimal, digits, ValueRef::Int(i128::MIN));
        check(Kind::Decimal(None), Wire::Decimal, b"1.50", ValueRef::Decimal("1.50"));
    }

    #[test]
    fn a_uuid_is_read_from_text_and_bytes() {
        let text = b"30313233-3435-3637-3839-616263646566";
        let uuid = ValueRef::Uuid(*b"0123456789abcdef");
        check(Kind::Uuid, Wire::Text, text, uuid);
        check(Kind::Uuid, Wire::Bytes, b"0123456789abcdef", uuid);
        check(Kind::Uuid, Wire::Text, b"30313233", ValueRef::Text("30313233"));
    }
}
