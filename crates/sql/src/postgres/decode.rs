//! Values of PostgreSQL's binary formats, as ours. Pure.
//!
//! | type | value |
//! |---|---|
//! | integers, `oid` | integer |
//! | `real` | the double whose shortest spelling is the same: 0.1 stays 0.1 |
//! | `numeric` | decimal with its scale, `NaN`, `Infinity` |
//! | `char(n)` | text without the blanks at its end |
//! | `date`, `timestamp`, `timestamptz` | the same; `infinity` and `-infinity` as text |
//! | `time` | time; 24:00:00 is one |
//! | `timetz`, `interval` (ISO 8601), addresses, bits | text |
//! | `json`, `jsonb` | JSON as the server spells it |
//! | arrays | JSON; with other bounds than from 1, and where one has JSON's `null` among its documents, |
//! | | which is not NULL, as the literal `[0:1]={…}` |
//! | what has no form | text, where it is some; else bytes |

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use whimbrel_model::time::{Date, DateTime, Time};
use whimbrel_model::value::UuidText;
use whimbrel_model::{ValueRef, json};

use super::form::{DAY_MICROS, EPOCH_DAYS, Form};
use crate::single::widened;

/// Bytes that are not what their type says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server sent bytes that are not of the type that it announced")
    }
}

impl std::error::Error for Damaged {}

/// A value of this form. `spelled` holds what has to be spelled out.
#[inline]
pub(crate) fn decode<'a>(
    form: &Form,
    bytes: &'a [u8],
    spelled: &'a mut String,
) -> Result<ValueRef<'a>, Damaged> {
    Ok(match form {
        Form::Bool => ValueRef::Bool(fixed::<1>(bytes)? != [0]),
        Form::Int2 => ValueRef::Int(i16::from_be_bytes(fixed(bytes)?).into()),
        Form::Int4 => ValueRef::Int(i32::from_be_bytes(fixed(bytes)?).into()),
        Form::Int8 => ValueRef::Int(i64::from_be_bytes(fixed(bytes)?).into()),
        Form::Oid => ValueRef::Int(u32::from_be_bytes(fixed(bytes)?).into()),
        Form::Float4 => ValueRef::Float(widened(f32::from_be_bytes(fixed(bytes)?))),
        Form::Float8 => ValueRef::Float(f64::from_be_bytes(fixed(bytes)?)),
        Form::Numeric(_) => {
            spelled.clear();
            numeric(bytes, spelled)?;
            ValueRef::Decimal(spelled)
        }
        Form::Text(_) => ValueRef::Text(text(bytes)?),
        Form::Blank(_) => ValueRef::Text(text(bytes)?.trim_end_matches(' ')),
        Form::Letter => {
            let [byte] = fixed::<1>(bytes)?;
            spelled.clear();
            match byte {
                0 => {}
                1..=127 => spelled.push(byte.into()),
                128.. => put(spelled, format_args!("\\{byte:03o}")),
            }
            ValueRef::Text(spelled)
        }
        Form::Bytea => ValueRef::Bytes(bytes),
        Form::Date => match i32::from_be_bytes(fixed(bytes)?) {
            i32::MAX => ValueRef::Text(INFINITY),
            i32::MIN => ValueRef::Text(MINUS_INFINITY),
            days => ValueRef::Date(Date { days: days.checked_add(EPOCH_DAYS).ok_or(Damaged)? }),
        },
        Form::Time(_) => ValueRef::Time(Time { nanos: micros(bytes)? * 1_000 }),
        Form::TimeTz(_) => {
            let (clock, zone) = bytes.split_at_checked(8).ok_or(Damaged)?;
            spelled.clear();
            put(spelled, Time { nanos: micros(clock)? * 1_000 });
            zone_of(i32::from_be_bytes(fixed(zone)?), spelled);
            ValueRef::Text(spelled)
        }
        Form::Timestamp(_) => match instant(bytes)? {
            Ok(at) => ValueRef::Timestamp(at),
            Err(infinite) => ValueRef::Text(infinite),
        },
        Form::TimestampTz(_) => match instant(bytes)? {
            Ok(at) => ValueRef::TimestampTz(at),
            Err(infinite) => ValueRef::Text(infinite),
        },
        Form::Interval => {
            spelled.clear();
            interval(bytes, spelled)?;
            ValueRef::Text(spelled)
        }
        Form::Uuid => ValueRef::Uuid(fixed(bytes)?),
        Form::Json => ValueRef::Json(text(bytes)?),
        Form::Jsonb => match bytes {
            [1, document @ ..] => ValueRef::Json(text(document)?),
            _ => return Err(Damaged),
        },
        Form::Inet | Form::Cidr => {
            spelled.clear();
            address(bytes, spelled)?;
            ValueRef::Text(spelled)
        }
        Form::Mac => mac(&fixed::<6>(bytes)?, spelled),
        Form::Mac8 => mac(&fixed::<8>(bytes)?, spelled),
        Form::Bits { .. } => {
            spelled.clear();
            bits(bytes, spelled)?;
            ValueRef::Text(spelled)
        }
        Form::Array { element, .. } => {
            spelled.clear();
            if array(element, bytes, spelled)? {
                ValueRef::Json(spelled)
            } else {
                ValueRef::Text(spelled)
            }
        }
        Form::Spelled => std::str::from_utf8(bytes).map_or(ValueRef::Bytes(bytes), ValueRef::Text),
    })
}

const INFINITY: &str = "infinity";
const MINUS_INFINITY: &str = "-infinity";

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Damaged> {
    bytes.try_into().map_err(|_| Damaged)
}

fn text(bytes: &[u8]) -> Result<&str, Damaged> {
    std::str::from_utf8(bytes).map_err(|_| Damaged)
}

fn put(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a String takes any text");
}

fn micros(bytes: &[u8]) -> Result<i64, Damaged> {
    let micros = i64::from_be_bytes(fixed(bytes)?);
    if (0..=DAY_MICROS).contains(&micros) { Ok(micros) } else { Err(Damaged) }
}

fn instant(bytes: &[u8]) -> Result<Result<DateTime, &'static str>, Damaged> {
    let micros = i64::from_be_bytes(fixed(bytes)?);
    Ok(match micros {
        i64::MAX => Err(INFINITY),
        i64::MIN => Err(MINUS_INFINITY),
        _ => {
            let days = micros.div_euclid(DAY_MICROS) + i64::from(EPOCH_DAYS);
            let days = i32::try_from(days).map_err(|_| Damaged)?;
            Ok(DateTime { days, nanos: micros.rem_euclid(DAY_MICROS) as u64 * 1_000 })
        }
    })
}

/// Seconds west of Greenwich as `+02`, `-03:30`, as PostgreSQL spells them.
fn zone_of(west: i32, out: &mut String) {
    let (sign, seconds) = if west > 0 { ('-', west) } else { ('+', -west) };
    put(out, format_args!("{sign}{:02}", seconds / 3600));
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    if minutes != 0 || seconds != 0 {
        put(out, format_args!(":{minutes:02}"));
    }
    if seconds != 0 {
        put(out, format_args!(":{seconds:02}"));
    }
}

/// ISO 8601, each part with its own sign: `P1Y-2M3DT-4H5M6.7S`; `PT0S` for nothing.
fn interval(bytes: &[u8], out: &mut String) -> Result<(), Damaged> {
    let bytes: [u8; 16] = fixed(bytes)?;
    let (clock, rest) = bytes.split_first_chunk::<8>().expect("16 bytes begin with 8");
    let (days, months) = rest.split_first_chunk::<4>().expect("8 bytes begin with 4");
    let (micros, days) = (i64::from_be_bytes(*clock), i32::from_be_bytes(*days));
    let months = i32::from_be_bytes(fixed(months)?);
    if (micros, days, months) == (0, 0, 0) {
        out.push_str("PT0S");
        return Ok(());
    }
    out.push('P');
    let mut part = |value: i64, unit: char| {
        if value != 0 {
            put(out, format_args!("{value}{unit}"));
        }
    };
    part((months / 12).into(), 'Y');
    part((months % 12).into(), 'M');
    part(days.into(), 'D');
    if micros == 0 {
        return Ok(());
    }
    out.push('T');
    let (hours, rest) = (micros / 3_600_000_000, micros % 3_600_000_000);
    let (minutes, rest) = (rest / 60_000_000, rest % 60_000_000);
    if hours != 0 {
        put(out, format_args!("{hours}H"));
    }
    if minutes != 0 {
        put(out, format_args!("{minutes}M"));
    }
    if rest != 0 {
        let (sign, rest) = if rest < 0 { ("-", -rest) } else { ("", rest) };
        put(out, format_args!("{sign}{}", rest / 1_000_000));
        if rest % 1_000_000 != 0 {
            let digits = format!("{:06}", rest % 1_000_000);
            put(out, format_args!(".{}", digits.trim_end_matches('0')));
        }
        out.push('S');
    }
    Ok(())
}

/// `count weight sign scale`, then groups of four digits.
fn numeric(bytes: &[u8], out: &mut String) -> Result<(), Damaged> {
    let (head, groups) = bytes.split_first_chunk::<8>().ok_or(Damaged)?;
    let word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    let (count, weight, sign, scale) =
        (usize::from(word(0)), i32::from(word(2) as i16), word(4), usize::from(word(6)));
    match sign {
        0xc000 => out.push_str("NaN"),
        0xd000 => out.push_str("Infinity"),
        0xf000 => out.push_str("-Infinity"),
        0 | 0x4000 => {
            if groups.len() != count * 2 {
                return Err(Damaged);
            }
            let group = |place: i32| -> u16 {
                usize::try_from(place)
                    .ok()
                    .and_then(|place| groups.get(place * 2..place * 2 + 2))
                    .map_or(0, |pair| u16::from_be_bytes([pair[0], pair[1]]))
            };
            if sign == 0x4000 && count > 0 {
                out.push('-');
            }
            if weight < 0 {
                out.push('0');
            } else {
                put(out, group(0));
                for place in 1..=weight {
                    four(out, group(place));
                }
            }
            if scale > 0 {
                out.push('.');
                let end = out.len() + scale;
                let mut place = weight + 1;
                // Groups between the point and the first digit are zero and not sent.
                let mut lead = if weight < -1 { -1 - weight } else { 0 };
                if weight < 0 {
                    place = 0;
                }
                while out.len() < end {
                    if lead > 0 {
                        lead -= 1;
                        four(out, 0);
                    } else {
                        four(out, group(place));
                        place += 1;
                    }
                }
                out.truncate(end);
            }
        }
        _ => return Err(Damaged),
    }
    Ok(())
}

fn four(out: &mut String, group: u16) {
    for unit in [1000, 100, 10, 1] {
        out.push((b'0' + (group / unit % 10) as u8).into());
    }
}

/// `family prefix is_cidr length address`.
fn address(bytes: &[u8], out: &mut String) -> Result<(), Damaged> {
    let (&[family, prefix, is_cidr, length], address) =
        bytes.split_first_chunk::<4>().ok_or(Damaged)?;
    if usize::from(length) != address.len() {
        return Err(Damaged);
    }
    let whole = match family {
        2 => {
            put(out, Ipv4Addr::from(fixed::<4>(address)?));
            32
        }
        3 => {
            put(out, Ipv6Addr::from(fixed::<16>(address)?));
            128
        }
        _ => return Err(Damaged),
    };
    if is_cidr != 0 || prefix != whole {
        put(out, format_args!("/{prefix}"));
    }
    Ok(())
}

fn mac<'a>(bytes: &[u8], spelled: &'a mut String) -> ValueRef<'a> {
    spelled.clear();
    for (index, byte) in bytes.iter().enumerate() {
        put(spelled, format_args!("{}{byte:02x}", if index == 0 { "" } else { ":" }));
    }
    ValueRef::Text(spelled)
}

fn bits(bytes: &[u8], out: &mut String) -> Result<(), Damaged> {
    let (count, bytes) = bytes.split_first_chunk::<4>().ok_or(Damaged)?;
    let count = u32::from_be_bytes(*count) as usize;
    if bytes.len() != count.div_ceil(8) {
        return Err(Damaged);
    }
    for bit in 0..count {
        let set = bytes[bit / 8] & (0x80 >> (bit % 8)) != 0;
        out.push(if set { '1' } else { '0' });
    }
    Ok(())
}

/// An array as JSON (true), or as PostgreSQL's literal where its bounds are not from 1.
fn array(element: &Form, bytes: &[u8], out: &mut String) -> Result<bool, Damaged> {
    let mut bytes = Bytes(bytes);
    let count = bytes.word()?;
    let (_nulls, _oid) = (bytes.word()?, bytes.word()?);
    let mut dimensions = Vec::new();
    for _ in 0..count {
        let (length, first) = (bytes.word()?, bytes.word()?);
        dimensions.push((usize::try_from(length).map_err(|_| Damaged)?, first));
    }
    let is_plain = dimensions.iter().all(|(_, first)| *first == 1)
        && !(matches!(element, Form::Json | Form::Jsonb) && has_json_null(element, bytes.0)?);
    if is_plain {
        if dimensions.is_empty() {
            out.push_str("[]");
        } else {
            items(element, &mut bytes, &dimensions, Brackets::JSON, out)?;
        }
    } else {
        for (length, first) in &dimensions {
            put(out, format_args!("[{first}:{}]", i64::from(*first) + *length as i64 - 1));
        }
        out.push('=');
        items(element, &mut bytes, &dimensions, Brackets::LITERAL, out)?;
    }
    if bytes.0.is_empty() { Ok(is_plain) } else { Err(Damaged) }
}

/// Whether one of the documents that are left is `null`.
fn has_json_null(element: &Form, items: &[u8]) -> Result<bool, Damaged> {
    let (mut items, mut unused) = (Bytes(items), String::new());
    while !items.0.is_empty() {
        if let Some(item) = items.item()?
            && let ValueRef::Json(document) = decode(element, item, &mut unused)?
            && document.trim() == "null"
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[derive(Clone, Copy)]
struct Brackets {
    open: char,
    close: char,
    is_json: bool,
}

impl Brackets {
    const JSON: Self = Self { open: '[', close: ']', is_json: true };
    const LITERAL: Self = Self { open: '{', close: '}', is_json: false };
}

fn items(
    element: &Form,
    bytes: &mut Bytes<'_>,
    dimensions: &[(usize, i32)],
    brackets: Brackets,
    out: &mut String,
) -> Result<(), Damaged> {
    let Some(((length, _), inner)) = dimensions.split_first() else {
        return match bytes.item()? {
            None => {
                out.push_str(if brackets.is_json { "null" } else { "NULL" });
                Ok(())
            }
            Some(item) => {
                let mut spelled = String::new();
                let value = decode(element, item, &mut spelled)?;
                if brackets.is_json {
                    as_json(value, out);
                } else {
                    as_literal(value, out);
                }
                Ok(())
            }
        };
    };
    out.push(brackets.open);
    for index in 0..*length {
        if index > 0 {
            out.push(',');
        }
        items(element, bytes, inner, brackets, out)?;
    }
    out.push(brackets.close);
    Ok(())
}

/// A value inside a JSON array: numbers as numbers, where JSON has them; all else as its text.
fn as_json(value: ValueRef<'_>, out: &mut String) {
    match value {
        ValueRef::Null => out.push_str("null"),
        ValueRef::Bool(value) => put(out, value),
        ValueRef::Int(value) => put(out, value),
        ValueRef::Decimal(text) if text.ends_with(|last: char| last.is_ascii_digit()) => {
            out.push_str(text);
        }
        ValueRef::Float(value) if value.is_finite() => put(out, format_args!("{value:?}")),
        ValueRef::Json(text) => out.push_str(text),
        other => json::write_string(out, &in_array(other)),
    }
}

fn as_literal(value: ValueRef<'_>, out: &mut String) {
    out.push('"');
    for letter in in_array(value).chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

/// The text of a value inside an array, as the server would read it.
fn in_array(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Float(value) if value.is_nan() => "NaN".to_owned(),
        ValueRef::Float(value) if value.is_infinite() => {
            if value > 0.0 {
                "Infinity".to_owned()
            } else {
                "-Infinity".to_owned()
            }
        }
        ValueRef::Bytes(bytes) => {
            let mut text = "\\x".to_owned();
            bytes.iter().for_each(|byte| put(&mut text, format_args!("{byte:02x}")));
            text
        }
        ValueRef::Uuid(value) => UuidText(&value).to_string(),
        other => other.to_string(),
    }
}

/// Bytes that are read from their front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn word(&mut self) -> Result<i32, Damaged> {
        let (word, rest) = self.0.split_first_chunk::<4>().ok_or(Damaged)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*word))
    }

    /// A length and so many bytes; -1 is NULL.
    fn item(&mut self) -> Result<Option<&'a [u8]>, Damaged> {
        let length = self.word()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| Damaged)?;
        let (item, rest) = self.0.split_at_checked(length).ok_or(Damaged)?;
        self.0 = rest;
        Ok(Some(item))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_model::Value;
    use whimbrel_model::decimal::Numeric;

    use super::super::encode::{encode, field};
    use super::*;

    fn there_and_back(form: &Form, value: ValueRef<'_>) -> Value {
        let mut bytes = Vec::new();
        encode(form, value, &mut bytes).expect("the form holds the value");
        decode(form, &bytes, &mut String::new()).expect("it is undamaged").to_owned()
    }

    /// A value of a built-in type; of another type its text, or its bytes where they are none.
    fn decode_type(oid: u32, bytes: &[u8]) -> Result<Value, Damaged> {
        let form = Form::builtin(oid).unwrap_or(Form::Spelled);
        decode(&form, bytes, &mut String::new()).map(ValueRef::to_owned)
    }

    fn array(oid: u32) -> Form {
        Form::builtin(oid).expect("a built-in array")
    }

    /// As `numeric_send` of PostgreSQL 15 wrote them.
    #[test]
    fn numerics_are_read_as_the_server_writes_them() {
        let check = |bytes: &[u8], expected: &str| {
            let value = decode(&Form::Numeric(None), bytes, &mut String::new()).unwrap().to_owned();
            assert_eq!(value, Value::Decimal(expected.to_owned()));
        };
        check(&[0, 0, 0, 0, 0, 0, 0, 0], "0");
        check(&[0, 0, 0, 0, 0, 0, 0, 2], "0.00");
        check(&[0, 2, 0, 0, 0, 0, 0, 2, 0, 12, 0x13, 0x88], "12.50");
        check(&[0, 1, 0, 1, 0x40, 0, 0, 0, 0, 1], "-10000");
        check(&[0, 1, 0xff, 0xfe, 0, 0, 0, 5, 0x03, 0xe8], "0.00001");
        check(&[0, 0, 0, 0, 0xc0, 0, 0, 0], "NaN");
    }

    #[test]
    fn damaged_bytes_are_an_error_for_every_form() {
        let forms = [20, 23, 700, 1082, 1114, 1186, 1266, 1560, 1700, 2950, 3802, 869, 829, 1007];
        for oid in forms {
            let form = array_or_scalar(oid);
            for length in 0..5 {
                let has_four = matches!(form, Form::Int4 | Form::Float4 | Form::Date);
                let is_read = decode(&form, &vec![0xee; length], &mut String::new()).is_ok();
                assert_eq!(is_read, has_four && length == 4, "{form:?} {length}");
            }
        }
    }

    fn array_or_scalar(oid: u32) -> Form {
        Form::builtin(oid).expect("a built-in type")
    }

    #[test]
    fn an_array_of_arrays_keeps_its_shape() {
        let json = |text: &str| Value::Json(text.to_owned());
        let check = |oid: u32, given: &str, expected: Value| {
            assert_eq!(there_and_back(&array(oid), ValueRef::Text(given)), expected, "{given}");
        };
        check(1007, "{{1,2},{3,NULL}}", json("[[1,2],[3,null]]"));
        check(1007, "[[1,2],[3,null]]", json("[[1,2],[3,null]]"));
        check(1009, r#"["a","{b}"]"#, json(r#"["a","{b}"]"#));
        check(1009, r#"{"a b",c}"#, json(r#"["a b","c"]"#));
        check(1016, "{}", json("[]"));
        check(1007, "[2:3]={1,2}", Value::Text("[2:3]={\"1\",\"2\"}".to_owned()));
    }

    proptest! {
        #[test]
        fn a_decimal_comes_back(
            negative: bool,
            whole in "0|[1-9][0-9]{0,60}",
            fraction in proptest::option::of("[0-9]{1,40}"),
        ) {
            let mut text = whole;
            if let Some(fraction) = fraction {
                text = format!("{text}.{fraction}");
            }
            let is_zero = text.bytes().all(|byte| matches!(byte, b'0' | b'.'));
            if negative && !is_zero {
                text.insert(0, '-');
            }
            let back = there_and_back(&Form::Numeric(None), ValueRef::Decimal(&text));
            prop_assert_eq!(back, Value::Decimal(text));
        }

        #[test]
        fn a_decimal_with_an_exponent_keeps_its_value(digits in 1..1_000_000_000u64, exponent in -50..50i32) {
            let text = format!("{digits}e{exponent}");
            let back = there_and_back(&Form::Numeric(None), ValueRef::Decimal(&text));
            let Value::Decimal(back) = back else { panic!("{back:?}") };
            prop_assert_eq!(Numeric::parse(&back).unwrap(), Numeric::parse(&text).unwrap());
        }

        #[test]
        fn an_instant_comes_back(days in -2_440_588..106_762_939i32, micros in 0..86_400_000_000u64) {
            let at = DateTime { days, nanos: micros * 1_000 };
            let back = there_and_back(&Form::TimestampTz(None), ValueRef::TimestampTz(at));
            prop_assert_eq!(back, Value::TimestampTz(at));
        }

        #[test]
        fn an_interval_comes_back(months: i32, days: i32, micros in -1_000_000_000_000_000..1_000_000_000_000_000i64) {
            let mut bytes = micros.to_be_bytes().to_vec();
            bytes.extend(days.to_be_bytes());
            bytes.extend(months.to_be_bytes());
            let mut spelled = String::new();
            let value = decode(&Form::Interval, &bytes, &mut spelled).unwrap().to_owned();
            let mut again = Vec::new();
            encode(&Form::Interval, value.as_ref(), &mut again).unwrap();
            prop_assert_eq!(again, bytes, "{}", value.as_text().unwrap());
        }

        #[test]
        fn a_single_float_comes_back(bits: u32) {
            let single = f32::from_bits(bits);
            let double = widened(single);
            let mut bytes = Vec::new();
            encode(&Form::Float4, ValueRef::Float(double), &mut bytes).unwrap();
            let back = f32::from_be_bytes(bytes.try_into().unwrap());
            prop_assert!(back.to_bits() == bits || (back.is_nan() && single.is_nan()));
        }

        #[test]
        fn texts_in_an_array_come_back(texts in proptest::collection::vec("[^\0]{0,8}", 0..5)) {
            let mut document = "[".to_owned();
            for (index, text) in texts.iter().enumerate() {
                document.push_str(if index == 0 { "" } else { "," });
                json::write_string(&mut document, text);
            }
            document.push(']');
            let back = there_and_back(&array(1009), ValueRef::Json(&document));
            prop_assert_eq!(back, Value::Json(document));
        }

        #[test]
        fn no_bytes_make_it_panic(oid in proptest::sample::select(vec![
            16u32, 17, 18, 20, 21, 23, 25, 26, 114, 650, 700, 701, 774, 829, 869, 1042, 1082, 1083,
            1114, 1184, 1186, 1266, 1560, 1562, 1700, 2950, 3802, 1007, 1009, 1231, 1185,
        ]), bytes: Vec<u8>) {
            let _ = decode_type(oid, &bytes);
        }

        #[test]
        fn no_text_makes_it_panic(oid in proptest::sample::select(vec![
            16u32, 18, 20, 26, 114, 650, 701, 774, 829, 869, 1042, 1082, 1114, 1186, 1266, 1560,
            1700, 2950, 3802, 1007, 1009, 1231, 1185, 1187,
        ]), text in "\\PC{0,12}|[-0-9PTYMDHS:+.{}\\[\\]\",=]{0,20}") {
            let form = array_or_scalar(oid);
            for value in [ValueRef::Text(&text), ValueRef::Json(&text), ValueRef::Decimal(&text)] {
                let mut bytes = Vec::new();
                if field(&form, value, &mut bytes).is_ok() {
                    prop_assert!(decode(&form, &bytes[4..], &mut String::new()).is_ok());
                }
            }
        }
    }
}
