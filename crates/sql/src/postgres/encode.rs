//! Our values in PostgreSQL's binary formats. Pure.
//!
//! What the column could only hold altered is refused here, because the server would alter it
//! without a word: digits past a scale, fractions of microseconds, blanks at the end of a `char(n)`,
//! characters beyond a length. What it cannot hold at all is refused as well, so that it costs the
//! transaction nothing: NUL in text, numbers and days out of range.

use std::net::IpAddr;

use whimbrel_model::decimal::{Decimal, Numeric};
use whimbrel_model::json::Json;
use whimbrel_model::time::NANOS_PER_DAY;
use whimbrel_model::value::UuidText;
use whimbrel_model::{DateTime, ValueRef, json};

use super::form::{DAY_MICROS, EPOCH_DAYS, Form};
use super::spelling;
use crate::codes;
use crate::single::narrowed;

/// Why a value cannot be stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

type Encoded = Result<(), Refusal>;

/// Appends a value with its length in front, as COPY and Bind want it; NULL has length -1. What was
/// appended before a refusal is the caller's to cut off.
#[inline]
pub(crate) fn field(form: &Form, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    // Most cells are one of these; the rest goes the long way.
    match (value, form) {
        (ValueRef::Null, _) => out.extend_from_slice(&(-1i32).to_be_bytes()),
        (ValueRef::Int(value), Form::Int8) => match i64::try_from(value) {
            Ok(value) => sized(out, value.to_be_bytes()),
            Err(_) => return Err(out_of_range(form, value)),
        },
        (ValueRef::Float(value), Form::Float8) => sized(out, value.to_be_bytes()),
        (ValueRef::Bool(value), Form::Bool) => sized(out, [u8::from(value)]),
        (ValueRef::Text(value), Form::Text(None)) => {
            no_nul(value)?;
            out.extend_from_slice(&(value.len() as i32).to_be_bytes());
            out.extend_from_slice(value.as_bytes());
        }
        (value, form) => {
            let start = out.len();
            out.extend_from_slice(&[0; 4]);
            encode(form, value, out)?;
            let length = i32::try_from(out.len() - start - 4).map_err(|_| Refusal {
                code: codes::TOO_BIG,
                message: "the value is longer than PostgreSQL's limit of 1 GiB".to_owned(),
            })?;
            out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        }
    }
    Ok(())
}

fn sized<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N]) {
    out.extend_from_slice(&(N as i32).to_be_bytes());
    out.extend_from_slice(&bytes);
}

/// Appends the bytes of a value that is not NULL.
pub(crate) fn encode(form: &Form, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    match form {
        Form::Bool => match value {
            ValueRef::Bool(value) => out.push(value.into()),
            ValueRef::Int(value @ (0 | 1)) => out.push(value as u8),
            _ => return Err(mismatch(form, value)),
        },
        Form::Int2 => out.extend(integer::<i16>(form, value)?.to_be_bytes()),
        Form::Int4 => out.extend(integer::<i32>(form, value)?.to_be_bytes()),
        Form::Int8 => out.extend(integer::<i64>(form, value)?.to_be_bytes()),
        Form::Oid => out.extend(integer::<u32>(form, value)?.to_be_bytes()),
        Form::Float4 => out.extend(single(form, value)?.to_be_bytes()),
        Form::Float8 => out.extend(double(form, value)?.to_be_bytes()),
        Form::Numeric(bounds) => return numeric(form, *bounds, value, out),
        Form::Text(chars) => return text(form, *chars, value, out),
        Form::Blank(chars) => return blank(form, *chars, value, out),
        Form::Letter => return letter(form, value, out),
        Form::Bytea => match value {
            ValueRef::Bytes(bytes) => out.extend_from_slice(bytes),
            ValueRef::Uuid(bytes) => out.extend_from_slice(&bytes),
            _ => return Err(mismatch(form, value)),
        },
        Form::Date => out.extend(date(form, value)?.to_be_bytes()),
        Form::Time(digits) => out.extend(time(form, *digits, value)?.to_be_bytes()),
        Form::TimeTz(digits) => return time_tz(form, *digits, value, out),
        Form::Timestamp(digits) | Form::TimestampTz(digits) => {
            out.extend(instant(form, *digits, value)?.to_be_bytes());
        }
        Form::Interval => return interval(form, value, out),
        Form::Uuid => match value {
            ValueRef::Uuid(bytes) => out.extend_from_slice(&bytes),
            ValueRef::Text(text) => {
                out.extend(spelling::uuid(text).ok_or_else(|| mismatch(form, value))?);
            }
            _ => return Err(mismatch(form, value)),
        },
        Form::Json => out.extend_from_slice(document(form, value)?.as_bytes()),
        Form::Jsonb => {
            let document = document(form, value)?;
            if escapes_nul(document) {
                return Err(unholdable("jsonb holds no NUL characters: `\\u0000`"));
            }
            once_each(document)?;
            out.push(1);
            out.extend_from_slice(document.as_bytes());
        }
        Form::Inet | Form::Cidr => return address(form, value, out),
        Form::Mac => out.extend(mac::<6>(form, value)?),
        Form::Mac8 => out.extend(mac::<8>(form, value)?),
        Form::Bits { count, varying } => return bits(form, *count, *varying, value, out),
        Form::Array { oid, element } => return array(form, *oid, element, value, out),
        Form::Spelled => return spelled_out(form, value, out),
    }
    Ok(())
}

/// The bytes of a one-dimensional array: what a list is bound as.
pub(crate) fn list<'a>(
    element: &Form,
    oid: u32,
    values: impl ExactSizeIterator<Item = ValueRef<'a>>,
) -> Result<Vec<u8>, Refusal> {
    let mut out = Vec::with_capacity(20 + values.len() * 12);
    array_head(&mut out, oid, &[values.len()]);
    for value in values {
        field(element, value, &mut out)?;
    }
    Ok(out)
}

fn array_head(out: &mut Vec<u8>, oid: u32, lengths: &[usize]) {
    let lengths: &[usize] = if lengths.contains(&0) { &[] } else { lengths };
    out.extend_from_slice(&(lengths.len() as i32).to_be_bytes());
    // "There may be NULLs": the server looks for itself.
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    for length in lengths {
        out.extend_from_slice(&(*length as i32).to_be_bytes());
        out.extend_from_slice(&1i32.to_be_bytes());
    }
}

fn shown(value: impl std::fmt::Display) -> String {
    value.to_string().chars().take(80).collect()
}

fn mismatch(form: &Form, value: ValueRef<'_>) -> Refusal {
    Refusal {
        code: codes::STORED_TYPE,
        message: format!(
            "the column is of type {}, the value is {}: `{}`",
            form.noun(),
            value.noun(),
            shown(value)
        ),
    }
}

fn unholdable(message: impl Into<String>) -> Refusal {
    Refusal { code: codes::UNHOLDABLE, message: message.into() }
}

fn out_of_range(form: &Form, value: impl std::fmt::Display) -> Refusal {
    unholdable(format!("out of the range of {}: `{}`", form.noun(), shown(value)))
}

fn would_change(why: &str, value: impl std::fmt::Display) -> Refusal {
    Refusal { code: codes::WOULD_CHANGE, message: format!("{why}: `{}`", shown(value)) }
}

fn no_nul(text: &str) -> Encoded {
    if memchr(text.as_bytes()) {
        return Err(unholdable("PostgreSQL's text holds no NUL characters"));
    }
    Ok(())
}

/// Eight bytes at a time: text is short, and most of what is written is text.
#[inline]
fn memchr(bytes: &[u8]) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    let mut words = bytes.chunks_exact(8);
    let has_zero = |word: u64| word.wrapping_sub(LOW) & !word & (LOW << 7) != 0;
    let found = words.by_ref().any(|word| {
        has_zero(u64::from_le_bytes(word.try_into().expect("a chunk of eight has eight bytes")))
    });
    found || words.remainder().contains(&0)
}

fn integer<T: TryFrom<i128>>(form: &Form, value: ValueRef<'_>) -> Result<T, Refusal> {
    let whole = match value {
        ValueRef::Int(value) => Some(value),
        ValueRef::Bool(value) => Some(value.into()),
        ValueRef::Decimal(text) => {
            Decimal::parse(text).ok().and_then(|number| number.to_i128_exact())
        }
        _ => None,
    };
    let whole = whole.ok_or_else(|| mismatch(form, value))?;
    T::try_from(whole).map_err(|_| out_of_range(form, whole))
}

/// The single float that is spelled like the double: only then does it come back as it went in.
fn single(form: &Form, value: ValueRef<'_>) -> Result<f32, Refusal> {
    let double = double(form, value)?;
    narrowed(double).ok_or_else(|| {
        if double.abs() > f32::MAX.into() {
            out_of_range(form, format_args!("{double:?}"))
        } else {
            would_change("a real has fewer digits", format_args!("{double:?}"))
        }
    })
}

fn double(form: &Form, value: ValueRef<'_>) -> Result<f64, Refusal> {
    match value {
        ValueRef::Float(value) => Ok(value),
        ValueRef::Int(whole) => {
            let double = whole as f64;
            if double as i128 == whole && double.abs() < 1e38 {
                return Ok(double);
            }
            Err(would_change("a double has fewer digits", whole))
        }
        ValueRef::Decimal(literal) => match Numeric::parse(literal) {
            Ok(Numeric::Finite(number)) => number
                .to_f64_exact()
                .ok_or_else(|| would_change("a double has fewer digits", literal)),
            Ok(Numeric::NaN) => Ok(f64::NAN),
            Ok(Numeric::Infinity) => Ok(f64::INFINITY),
            Ok(Numeric::NegativeInfinity) => Ok(f64::NEG_INFINITY),
            Err(_) => Err(mismatch(form, value)),
        },
        _ => Err(mismatch(form, value)),
    }
}

const GROUP: u64 = 10_000;

fn numeric(
    form: &Form,
    bounds: Option<(u16, i16)>,
    value: ValueRef<'_>,
    out: &mut Vec<u8>,
) -> Encoded {
    match value {
        ValueRef::Decimal(literal) | ValueRef::Text(literal) => {
            if let Some((negative, digits, scale)) = short(literal)
                && fits_short(bounds, digits, scale)
            {
                small(negative, digits, scale, out);
                return Ok(());
            }
            long(form, bounds, literal, value, out)
        }
        ValueRef::Int(whole) => {
            if let Ok(digits) = u64::try_from(whole.unsigned_abs())
                && fits_short(bounds, digits, 0)
            {
                small(whole < 0, digits, 0, out);
                return Ok(());
            }
            let literal = whole.to_string();
            long(form, bounds, &literal, value, out)
        }
        ValueRef::Bool(value) => {
            small(false, value.into(), 0, out);
            Ok(())
        }
        ValueRef::Float(number) if number.is_finite() => {
            let literal = format!("{number:?}");
            let literal = literal.strip_suffix(".0").unwrap_or(&literal);
            long(form, bounds, literal, value, out)
        }
        ValueRef::Float(number) if number.is_nan() => long(form, bounds, "NaN", value, out),
        ValueRef::Float(number) if number > 0.0 => long(form, bounds, "Infinity", value, out),
        ValueRef::Float(_) => long(form, bounds, "-Infinity", value, out),
        _ => Err(mismatch(form, value)),
    }
}

/// Sign, digits and scale of a plain literal of up to 18 digits.
fn short(literal: &str) -> Option<(bool, u64, u16)> {
    let bytes = literal.as_bytes();
    let (negative, bytes) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if bytes.is_empty()
        || bytes.len() > 19
        || (bytes.len() > 1 && bytes[0] == b'0' && bytes[1] != b'.')
    {
        return None;
    }
    let (mut digits, mut scale, mut seen, mut point) = (0u64, 0u16, 0u32, false);
    for byte in bytes {
        match byte {
            b'0'..=b'9' => {
                digits = digits * 10 + u64::from(byte - b'0');
                seen += 1;
                scale += u16::from(point);
            }
            b'.' if !point && seen > 0 => point = true,
            _ => return None,
        }
    }
    (seen > 0 && seen <= 18 && (!point || scale > 0)).then_some((negative, digits, scale))
}

fn fits_short(bounds: Option<(u16, i16)>, digits: u64, scale: u16) -> bool {
    match bounds {
        None => true,
        Some((precision, most)) => {
            i32::from(scale) <= i32::from(most) && {
                // Of a scale beyond the precision, zeros behind the point are no digits.
                let places = i32::from(precision) - i32::from(most) + i32::from(scale);
                let places = u32::try_from(places).unwrap_or(0);
                let limit = 10u128.checked_pow(places);
                limit.is_none_or(|limit| u128::from(digits) < limit)
            }
        }
    }
}

fn small(negative: bool, digits: u64, scale: u16, out: &mut Vec<u8>) {
    if digits == 0 {
        head(out, 0, 0, 0, scale);
        return;
    }
    // Groups are counted from the point: pad the fraction to whole groups.
    let pad = (4 - scale % 4) % 4;
    let fraction_groups = i32::from(scale.div_ceil(4));
    let mut rest = u128::from(digits) * 10u128.pow(u32::from(pad));
    let mut groups = [0u16; 8];
    let mut count = 0;
    while rest > 0 {
        groups[count] = (rest % u128::from(GROUP)) as u16;
        rest /= u128::from(GROUP);
        count += 1;
    }
    let weight = count as i32 - 1 - fraction_groups;
    let low = groups[..count].iter().take_while(|group| **group == 0).count();
    head(out, count - low, weight, sign(negative), scale);
    for group in groups[low..count].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
}

fn sign(negative: bool) -> u16 {
    if negative { 0x4000 } else { 0 }
}

fn head(out: &mut Vec<u8>, count: usize, weight: i32, sign: u16, scale: u16) {
    out.extend_from_slice(&(count as u16).to_be_bytes());
    out.extend_from_slice(&(weight as i16).to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&scale.to_be_bytes());
}

/// What PostgreSQL's numeric holds: digits before the point and after it.
const WHOLE_MAX: i64 = 131_072;
const SCALE_MAX: u64 = 16_383;

fn long(
    form: &Form,
    bounds: Option<(u16, i16)>,
    literal: &str,
    value: ValueRef<'_>,
    out: &mut Vec<u8>,
) -> Encoded {
    let number = match Numeric::parse(literal) {
        Ok(Numeric::Finite(number)) => number,
        Ok(Numeric::NaN) => {
            head(out, 0, 0, 0xc000, 0);
            return Ok(());
        }
        Ok(Numeric::Infinity | Numeric::NegativeInfinity) if bounds.is_some() => {
            return Err(unholdable(format!(
                "only an unbounded numeric holds infinity: `{literal}`"
            )));
        }
        Ok(Numeric::Infinity) => {
            head(out, 0, 0, 0xd000, 0);
            return Ok(());
        }
        Ok(Numeric::NegativeInfinity) => {
            head(out, 0, 0, 0xf000, 0);
            return Ok(());
        }
        Err(_) => return Err(mismatch(form, value)),
    };
    let point = number.exponent().saturating_add(number.digit_count() as i64);
    if let Some((precision, scale)) = bounds {
        let (precision, scale) = (i64::from(precision), i64::from(scale));
        if !number.is_zero() && number.exponent() < -scale {
            return Err(would_change(
                &format!("the column keeps {scale} digits after the point"),
                literal,
            ));
        }
        if !number.is_zero() && point > precision - scale {
            return Err(unholdable(format!(
                "the column holds {} digits before the point: `{}`",
                precision - scale,
                shown(literal)
            )));
        }
    }
    if number.scale() > SCALE_MAX || (!number.is_zero() && point > WHOLE_MAX) {
        return Err(out_of_range(form, literal));
    }
    // The scale as it is spelled, so that `1.10` stays so.
    let scale = written_scale(literal).clamp(number.scale(), SCALE_MAX) as u16;
    if number.is_zero() {
        head(out, 0, 0, 0, scale);
        return Ok(());
    }
    // The place of the first digit counted from the point, in groups.
    let weight = (point - 1).div_euclid(4);
    let lead = (3 - (point - 1).rem_euclid(4)) as usize;
    let count = (lead + number.digit_count()).div_ceil(4);
    head(out, count, weight as i32, sign(number.is_negative()), scale);
    let mut group = 0u16;
    let mut filled = lead;
    for digit in number.digits() {
        group = group * 10 + u16::from(digit);
        filled += 1;
        if filled.is_multiple_of(4) {
            out.extend_from_slice(&group.to_be_bytes());
            group = 0;
        }
    }
    if !filled.is_multiple_of(4) {
        let shift = 10u16.pow((4 - filled % 4) as u32);
        out.extend_from_slice(&(group * shift).to_be_bytes());
    }
    Ok(())
}

/// Digits after the point, as a literal spells them.
fn written_scale(literal: &str) -> u64 {
    let (mantissa, exponent) =
        literal.split_once(['e', 'E']).map_or((literal, 0), |(mantissa, exponent)| {
            (mantissa, exponent.parse::<i64>().unwrap_or(0))
        });
    let fraction = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len() as i64);
    u64::try_from(fraction.saturating_sub(exponent)).unwrap_or(0)
}

/// The text of a value where a column takes text; bytes have none.
fn plain<'a>(
    form: &Form,
    value: ValueRef<'a>,
    spelled: &'a mut String,
) -> Result<&'a str, Refusal> {
    Ok(match value {
        ValueRef::Text(text) | ValueRef::Json(text) | ValueRef::Decimal(text) => text,
        ValueRef::Bytes(_) => return Err(mismatch(form, value)),
        ValueRef::Uuid(value) => {
            *spelled = UuidText(&value).to_string();
            spelled
        }
        other => {
            *spelled = other.to_string();
            spelled
        }
    })
}

fn text(form: &Form, chars: Option<u32>, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    if matches!(value, ValueRef::Int(_) | ValueRef::Decimal(_) | ValueRef::Float(_)) {
        // It would come back as text: whoever means that says so in the plan.
        let why = format!("the column's declared type would change the {}", value.noun());
        return Err(would_change(&why, value));
    }
    let mut spelled = String::new();
    let text = plain(form, value, &mut spelled)?;
    no_nul(text)?;
    if let Some(most) = chars
        && text.len() > most as usize
        && text.chars().count() > most as usize
    {
        return Err(unholdable(format!("longer than {most} characters: `{}`", shown(text))));
    }
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

fn blank(form: &Form, chars: Option<u32>, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    if let ValueRef::Text(text) = value
        && text.ends_with(' ')
    {
        return Err(would_change("char(n) does not keep blanks at the end", text));
    }
    text(form, chars, value, out)
}

fn letter(form: &Form, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    match value {
        ValueRef::Text("") => out.push(0),
        ValueRef::Text(text) if text.len() == 1 && text != "\0" => out.extend(text.bytes()),
        // Bytes that are no ASCII are spelled `\303`.
        ValueRef::Text(text) => {
            let byte = text.strip_prefix('\\').filter(|digits| digits.len() == 3);
            let byte = byte.and_then(|digits| u8::from_str_radix(digits, 8).ok());
            out.push(byte.filter(|byte| *byte > 127).ok_or_else(|| mismatch(form, value))?);
        }
        _ => return Err(mismatch(form, value)),
    }
    Ok(())
}

/// The first and the last day that a date holds, as days since 1970.
const DATE_RANGE: std::ops::RangeInclusive<i32> = -2_440_588..=2_145_042_905;
/// The same for a timestamp.
const TIMESTAMP_DAYS: std::ops::RangeInclusive<i32> = -2_440_588..=106_762_939;

fn infinite(text: &str) -> Option<bool> {
    match text {
        "infinity" => Some(true),
        "-infinity" => Some(false),
        _ => None,
    }
}

fn date(form: &Form, value: ValueRef<'_>) -> Result<i32, Refusal> {
    match value {
        ValueRef::Date(date) if DATE_RANGE.contains(&date.days) => Ok(date.days - EPOCH_DAYS),
        ValueRef::Date(date) => Err(out_of_range(form, date)),
        ValueRef::Timestamp(at) if at.nanos == 0 => date(form, ValueRef::Date(at.date())),
        ValueRef::Text(text) => match infinite(text) {
            Some(true) => Ok(i32::MAX),
            Some(false) => Ok(i32::MIN),
            None => Err(mismatch(form, value)),
        },
        _ => Err(mismatch(form, value)),
    }
}

/// Microseconds, where the column keeps all of them.
fn micros(nanos: i64, digits: Option<u8>, value: ValueRef<'_>) -> Result<i64, Refusal> {
    let digits = digits.unwrap_or(6).min(6);
    let unit = 10i64.pow(9 - u32::from(digits));
    if nanos % unit != 0 {
        let why = format!("the column keeps {digits} digits of a second");
        return Err(would_change(&why, value));
    }
    Ok(nanos / 1_000)
}

fn time(form: &Form, digits: Option<u8>, value: ValueRef<'_>) -> Result<i64, Refusal> {
    match value {
        ValueRef::Time(time) if (0..=NANOS_PER_DAY as i64).contains(&time.nanos) => {
            micros(time.nanos, digits, value)
        }
        ValueRef::Time(time) => Err(out_of_range(form, time)),
        _ => Err(mismatch(form, value)),
    }
}

fn time_tz(form: &Form, digits: Option<u8>, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    let ValueRef::Text(text) = value else {
        return Err(mismatch(form, value));
    };
    let (nanos, west) = spelling::time_tz(text).ok_or_else(|| mismatch(form, value))?;
    out.extend_from_slice(&micros(nanos, digits, value)?.to_be_bytes());
    out.extend_from_slice(&west.to_be_bytes());
    Ok(())
}

fn instant(form: &Form, digits: Option<u8>, value: ValueRef<'_>) -> Result<i64, Refusal> {
    let at: DateTime = match (form, value) {
        (Form::Timestamp(_), ValueRef::Timestamp(at)) => at,
        (Form::TimestampTz(_), ValueRef::TimestampTz(at)) => at,
        (Form::Timestamp(_), ValueRef::Date(date)) => DateTime { days: date.days, nanos: 0 },
        (_, ValueRef::Text(text)) => {
            return match infinite(text) {
                Some(true) => Ok(i64::MAX),
                Some(false) => Ok(i64::MIN),
                None => Err(mismatch(form, value)),
            };
        }
        (_, _) => return Err(mismatch(form, value)),
    };
    if !TIMESTAMP_DAYS.contains(&at.days) {
        return Err(out_of_range(form, at));
    }
    let clock = micros(at.nanos as i64, digits, value)?;
    Ok(i64::from(at.days - EPOCH_DAYS) * DAY_MICROS + clock)
}

fn interval(form: &Form, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    let (months, days, micros) = match value {
        ValueRef::Time(time) => (0, 0, micros(time.nanos, None, value)?),
        ValueRef::Text(text) => spelling::interval(text).ok_or_else(|| Refusal {
            code: codes::STORED_TYPE,
            message: format!(
                "not an interval as `P1Y2M3DT4H5M6S` or `1 year 2 mons 3 days 04:05:06`: `{}`",
                shown(text)
            ),
        })?,
        _ => return Err(mismatch(form, value)),
    };
    out.extend_from_slice(&micros.to_be_bytes());
    out.extend_from_slice(&days.to_be_bytes());
    out.extend_from_slice(&months.to_be_bytes());
    Ok(())
}

fn document<'a>(form: &Form, value: ValueRef<'a>) -> Result<&'a str, Refusal> {
    match value {
        ValueRef::Json(text) | ValueRef::Text(text) => {
            no_nul(text)?;
            Ok(text)
        }
        _ => Err(mismatch(form, value)),
    }
}

/// Of a member that stands twice `jsonb` keeps the last value, without a word. What is no document at
/// all the server refuses itself.
fn once_each(document: &str) -> Encoded {
    let Ok(parsed) = json::parse_with(document.as_bytes(), json::Limits::default()) else {
        return Ok(());
    };
    match parsed.duplicates.first {
        None => Ok(()),
        Some((key, _)) => Err(would_change("jsonb keeps one of two members of the same name", key)),
    }
}

/// Whether a document has the escape `\u0000`, not behind a backslash that is one itself.
fn escapes_nul(document: &str) -> bool {
    document.match_indices("\\u0000").any(|(at, _)| {
        let before = document.as_bytes()[..at].iter().rev();
        before.take_while(|byte| **byte == b'\\').count().is_multiple_of(2)
    })
}

fn address(form: &Form, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    let ValueRef::Text(text) = value else {
        return Err(mismatch(form, value));
    };
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, prefix.parse::<u8>().ok()),
        None => (text, Some(if text.contains(':') { 128 } else { 32 })),
    };
    let (Ok(address), Some(prefix)) = (address.parse::<IpAddr>(), prefix) else {
        return Err(mismatch(form, value));
    };
    let (family, whole, number): (u8, u8, u128) = match address {
        IpAddr::V4(address) => (2, 32, u32::from(address).into()),
        IpAddr::V6(address) => (3, 128, address.into()),
    };
    let host_bits = u32::from(whole).checked_sub(prefix.into());
    let Some(host_bits) = host_bits else {
        return Err(mismatch(form, value));
    };
    let is_cidr = *form == Form::Cidr;
    let host = if host_bits == 128 { number } else { number & ((1 << host_bits) - 1) };
    if is_cidr && host != 0 {
        return Err(unholdable(format!("a network has no bits behind its prefix: `{text}`")));
    }
    out.extend_from_slice(&[family, prefix, is_cidr.into(), whole / 8]);
    out.extend_from_slice(&number.to_be_bytes()[16 - usize::from(whole / 8)..]);
    Ok(())
}

fn mac<const N: usize>(form: &Form, value: ValueRef<'_>) -> Result<[u8; N], Refusal> {
    let ValueRef::Text(text) = value else {
        return Err(mismatch(form, value));
    };
    let digits: Vec<u8> = text
        .chars()
        .filter(|letter| !matches!(letter, ':' | '-' | '.'))
        .map_while(|letter| letter.to_digit(16).map(|digit| digit as u8))
        .collect();
    let letters = text.chars().filter(|letter| !matches!(letter, ':' | '-' | '.')).count();
    if digits.len() != 2 * N || letters != digits.len() {
        return Err(mismatch(form, value));
    }
    let mut mac = [0; N];
    for (byte, pair) in mac.iter_mut().zip(digits.chunks(2)) {
        *byte = pair[0] * 16 + pair[1];
    }
    Ok(mac)
}

fn bits(
    form: &Form,
    count: Option<u32>,
    varying: bool,
    value: ValueRef<'_>,
    out: &mut Vec<u8>,
) -> Encoded {
    let spelled = match value {
        ValueRef::Bool(value) => u8::from(value).to_string(),
        ValueRef::Text(text) if text.bytes().all(|byte| matches!(byte, b'0' | b'1')) => {
            text.to_owned()
        }
        _ => return Err(mismatch(form, value)),
    };
    let fits = count.is_none_or(|count| {
        let (have, count) = (spelled.len(), count as usize);
        if varying { have <= count } else { have == count }
    });
    if !fits {
        return Err(unholdable(format!(
            "not as many bits as the column has: `{}`",
            shown(&spelled)
        )));
    }
    out.extend_from_slice(&(spelled.len() as i32).to_be_bytes());
    for eight in spelled.as_bytes().chunks(8) {
        let byte = eight
            .iter()
            .enumerate()
            .fold(0u8, |byte, (place, bit)| byte | ((bit - b'0') << (7 - place)));
        out.push(byte);
    }
    Ok(())
}

/// An array from a JSON array, or from PostgreSQL's own literal `{1,2}`.
fn array(form: &Form, oid: u32, element: &Form, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    let (ValueRef::Json(text) | ValueRef::Text(text)) = value else {
        return Err(mismatch(form, value));
    };
    if text.trim_start().starts_with(['{', '['])
        && !text.trim_start().starts_with("[\"")
        && let Some(literal) = spelling::array(text)
    {
        array_literal(oid, element, &literal, out)
    } else {
        let document = json::parse(text.as_bytes()).map_err(|_| mismatch(form, value))?;
        let Json::Array(items) = &document else {
            return Err(mismatch(form, value));
        };
        let mut lengths = Vec::new();
        measure(items, &mut lengths, element);
        array_head(out, oid, &lengths);
        json_items(form, element, items, &lengths, value, out)
    }
}

fn array_literal(
    oid: u32,
    element: &Form,
    literal: &spelling::Array,
    out: &mut Vec<u8>,
) -> Encoded {
    let plain = literal.items.is_empty();
    let dimensions: &[(i32, usize)] = if plain { &[] } else { &literal.dimensions };
    out.extend_from_slice(&(dimensions.len() as i32).to_be_bytes());
    out.extend_from_slice(&1i32.to_be_bytes());
    out.extend_from_slice(&oid.to_be_bytes());
    for (first, length) in dimensions {
        out.extend_from_slice(&(*length as i32).to_be_bytes());
        out.extend_from_slice(&first.to_be_bytes());
    }
    for item in &literal.items {
        match item {
            None => field(element, ValueRef::Null, out)?,
            Some(text) => element_from_text(element, text, out)?,
        }
    }
    Ok(())
}

/// Lengths of the dimensions, as the first items show them.
fn measure(items: &[Json<'_>], lengths: &mut Vec<usize>, element: &Form) {
    lengths.push(items.len());
    if let Some(Json::Array(inner)) = items.first()
        && !matches!(element, Form::Json | Form::Jsonb)
    {
        measure(inner, lengths, element);
    }
}

fn json_items(
    form: &Form,
    element: &Form,
    items: &[Json<'_>],
    lengths: &[usize],
    whole: ValueRef<'_>,
    out: &mut Vec<u8>,
) -> Encoded {
    let Some((length, inner)) = lengths.split_first() else {
        return Ok(());
    };
    if items.len() != *length {
        return Err(mismatch(form, whole));
    }
    for item in items {
        match (item, inner.is_empty()) {
            (Json::Array(deeper), false) => json_items(form, element, deeper, inner, whole, out)?,
            (_, false) => return Err(mismatch(form, whole)),
            (item, true) => json_item(element, item, out)?,
        }
    }
    Ok(())
}

fn json_item(element: &Form, item: &Json<'_>, out: &mut Vec<u8>) -> Encoded {
    if item.is_null() {
        return field(element, ValueRef::Null, out);
    }
    if matches!(element, Form::Json | Form::Jsonb) {
        return field(element, ValueRef::Json(&item.to_text()), out);
    }
    if let Some(value) = item.as_bool() {
        return field(element, ValueRef::Bool(value), out);
    }
    if let Some(number) = item.as_number() {
        return match element {
            Form::Int2 | Form::Int4 | Form::Int8 | Form::Oid | Form::Float4 | Form::Float8 => {
                field(element, ValueRef::Decimal(number.as_str()), out)
            }
            _ => element_from_text(element, number.as_str(), out),
        };
    }
    match item.as_str() {
        Some(text) => element_from_text(element, text, out),
        None => element_from_text(element, &item.to_text(), out),
    }
}

/// An element that is given as text: in the spelling in which it would come back.
fn element_from_text(element: &Form, text: &str, out: &mut Vec<u8>) -> Encoded {
    match spelling::value(element, text) {
        Some(value) => field(element, value.as_ref(), out),
        None => Err(mismatch(element, ValueRef::Text(text))),
    }
}

/// What the server is to read: the text of the value, bytes as `\x…`.
fn spelled_out(form: &Form, value: ValueRef<'_>, out: &mut Vec<u8>) -> Encoded {
    match value {
        ValueRef::Bytes(bytes) => {
            out.extend_from_slice(b"\\x");
            for byte in bytes {
                out.extend_from_slice(format!("{byte:02x}").as_bytes());
            }
            Ok(())
        }
        value => text(form, None, value, out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jsonb_takes_no_member_twice() {
        let into = |form: &Form, text: &str| encode(form, ValueRef::Json(text), &mut Vec::new());
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"\u0061":1,"a":2}}]"#] {
            assert_eq!(into(&Form::Jsonb, text).unwrap_err().code, codes::WOULD_CHANGE, "{text}");
            assert_eq!(into(&Form::Json, text), Ok(()));
        }
        assert_eq!(into(&Form::Jsonb, r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#), Ok(()));
    }
}
