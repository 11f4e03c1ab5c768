//! Conversions that keep the value or fail. They are written as their like in columns would be, and
//! share no code with those.

use whimbrel_model::decimal::Decimal;
use whimbrel_model::{Date, DateTime};

const NO_INTEGER: &str = "not an integer as it stands";
const NO_NUMBER: &str = "not a number as it stands";
const BEYOND_DOUBLE: &str = "a double cannot hold the number exactly";

/// An integer as a person writes it: `007`, `1e5`, `1.0`, `+1` and `-0` are none.
pub(crate) fn integer(text: &str) -> Result<i128, &'static str> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (digits.starts_with('0') && text != "0") {
        return Err(NO_INTEGER);
    }
    text.parse().map_err(|_| "outside of 128 bits")
}

/// The integer that a double is, by value and by spelling: `2.0` is one, `-0.0` and
/// `1.933615556632743e16`, which is 19336155566327432, are not.
pub(crate) fn integer_of_float(value: f64) -> Result<i128, &'static str> {
    if !value.is_finite() || value.fract() != 0.0 || (value == 0.0 && value.is_sign_negative()) {
        return Err(NO_INTEGER);
    }
    let by_value = value as i128;
    let spelt = format!("{value:e}");
    let by_spelling = Decimal::parse(&spelt).ok().and_then(|number| number.to_i128_exact());
    if by_spelling == Some(by_value) { Ok(by_value) } else { Err(NO_INTEGER) }
}

/// The double whose shortest spelling is this number.
pub(crate) fn double(text: &str) -> Result<f64, &'static str> {
    let number = Decimal::parse(text).map_err(|_| NO_NUMBER)?;
    number.to_f64_exact().ok_or(BEYOND_DOUBLE)
}

/// The double that is this integer and no other.
pub(crate) fn double_of_integer(value: i128) -> Result<f64, &'static str> {
    let double = value as f64;
    if integer_of_float(double) == Ok(value) { Ok(double) } else { Err(BEYOND_DOUBLE) }
}

/// A double as a JSON number; none for NaN and infinities.
pub(crate) fn json_number(value: f64) -> Option<String> {
    let shortest = format!("{value:?}");
    value.is_finite().then(|| shortest.strip_suffix(".0").unwrap_or(&shortest).to_owned())
}

/// An instant of RFC 3339, also with a blank for the `T`.
pub(crate) fn instant(text: &str) -> Option<DateTime> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4)?;
    mark(&mut rest, b"-")?;
    let month = number(&mut rest, 2)?;
    mark(&mut rest, b"-")?;
    let day = number(&mut rest, 2)?;
    mark(&mut rest, b"Tt ")?;
    let hour = number(&mut rest, 2)?;
    mark(&mut rest, b":")?;
    let minute = number(&mut rest, 2)?;
    mark(&mut rest, b":")?;
    let second = number(&mut rest, 2)?;
    let nanos = fraction(&mut rest)?;
    let offset = offset(&mut rest)?;
    if !rest.is_empty() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = Date::from_ymd(i32::try_from(year).ok()?, month as u8, day as u8)?;
    let seconds = i128::from(hour * 3600 + minute * 60 + second) - offset;
    let days = DateTime { days: date.days, nanos: 0 }.unix_nanos();
    DateTime::from_unix_nanos(days + seconds * 1_000_000_000 + nanos)
}

/// `.` and one to nine digits, as nanoseconds; nothing is none of them.
fn fraction(rest: &mut &[u8]) -> Option<i128> {
    if mark(rest, b".").is_none() {
        return Some(0);
    }
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&length) {
        return None;
    }
    let digits = number(rest, length)?;
    Some(i128::from(digits) * 10i128.pow(9 - length as u32))
}

/// `Z` or `±HH:MM`, in seconds.
fn offset(rest: &mut &[u8]) -> Option<i128> {
    if mark(rest, b"Zz").is_some() {
        return Some(0);
    }
    let sign = if mark(rest, b"+-")? == b'-' { -1 } else { 1 };
    let hours = number(rest, 2)?;
    mark(rest, b":")?;
    let minutes = number(rest, 2)?;
    (hours < 24 && minutes < 60).then(|| sign * i128::from(hours * 3600 + minutes * 60))
}

fn number(rest: &mut &[u8], digits: usize) -> Option<u32> {
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after;
    let digit = |sum: u32, byte: &u8| {
        Some(sum * 10 + u32::from(byte.is_ascii_digit().then(|| byte - b'0')?))
    };
    number.iter().try_fold(0, digit)
}

fn mark(rest: &mut &[u8], any: &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    if !any.contains(first) {
        return None;
    }
    *rest = after;
    Some(*first)
}
