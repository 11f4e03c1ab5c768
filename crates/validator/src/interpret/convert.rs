//! Values of one kind as values of another: exactly, or not at all.
//!
//! | from text | to |
//! |---|---|
//! | an optional minus and digits without leading zeros | integer |
//! | a number as JSON writes it, without exponent | decimal |
//! | a number as JSON writes it that a double says exactly | double |
//! | `true`, `false` | boolean |
//! | ISO 8601 | date, time, timestamps |
//! | 8-4-4-4-12 hexadecimal digits | UUID |
//! | a document | JSON |

use jiff::tz::TimeZone;
use whimbrel_model::decimal::{Decimal, Numeric};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::plan::Fold;
use whimbrel_model::{DateTime, Kind, Value};

use super::scene::Failure;
use super::{codes, moment, text};

/// What an engine's columns can hold beyond what their kinds say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Holds {
    /// Doubles keep the sign of zero.
    pub negative_zero: bool,
    /// Doubles and decimals may be NaN or infinite.
    pub not_finite: bool,
    /// Days and moments may be `infinity`.
    pub endless: bool,
    /// Texts may have U+0000.
    pub nul_in_text: bool,
    /// Columns of any kind know truth values, times, UUIDs and documents; else those are integers and
    /// texts there.
    pub kinds_in_any: bool,
}

impl Holds {
    /// What the engine of that name ([`whimbrel_endpoint::TargetFacts::engine`]) holds; `None` where
    /// there is no such engine.
    pub fn of_engine(engine: &str) -> Option<Self> {
        let none = Self {
            negative_zero: false,
            not_finite: false,
            endless: false,
            nul_in_text: false,
            kinds_in_any: false,
        };
        match engine {
            "sqlite" => Some(none),
            "postgres" => {
                Some(Self { negative_zero: true, not_finite: true, endless: true, ..none })
            }
            "mysql" => Some(Self { nul_in_text: true, ..none }),
            "memory" => Some(Self {
                negative_zero: true,
                not_finite: true,
                endless: true,
                nul_in_text: true,
                kinds_in_any: true,
            }),
            _ => None,
        }
    }
}

/// How times without a zone are read, and whether digits may go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner<'m> {
    pub(super) zone: &'m TimeZone,
    pub(super) fold: Fold,
    pub(super) round: bool,
    /// Of the engine, where the value goes into a column.
    pub(super) holds: Option<Holds>,
}

/// The value as one of that kind.
pub(super) fn to_kind(value: Value, kind: Kind, manner: Manner<'_>) -> Result<Value, Failure> {
    if value.as_ref().is_null() {
        return Ok(value);
    }
    match kind {
        Kind::Any => any(value, manner),
        Kind::Bool => boolean(&value),
        Kind::Int(width) => integer(&value, width),
        Kind::Decimal(bounds) => decimal(&value, bounds, manner),
        Kind::Float => double(&value, manner),
        Kind::Text(chars) => text(value, chars, manner),
        Kind::Bytes => match value {
            Value::Bytes(_) => Ok(value),
            _ => Err(wrong_kind()),
        },
        Kind::Date | Kind::Time | Kind::Timestamp | Kind::TimestampTz => time(value, kind, manner),
        Kind::Uuid => uuid(value),
        Kind::Json => document(value),
    }
}

fn fail<T>(code: &'static str) -> Result<T, Failure> {
    Err(Failure::new(code))
}

fn wrong_kind() -> Failure {
    Failure::new(codes::WRONG_KIND)
}

/// A column that keeps each value's own kind: whole JSON numbers as integers of 64 bits, others as
/// doubles where those say the same, else as decimals.
fn any(value: Value, manner: Manner<'_>) -> Result<Value, Failure> {
    match value {
        Value::Decimal(literal) => {
            let Ok(number) = Decimal::parse(&literal) else {
                return Ok(Value::Decimal(literal));
            };
            let whole = !literal.contains(['.', 'e', 'E']);
            if whole {
                let integer = number.to_i128_exact().and_then(|it| i64::try_from(it).ok());
                return Ok(integer.map_or(Value::Decimal(literal), Value::from));
            }
            match number.to_f64_exact() {
                Some(float) => double(&Value::Float(float), manner),
                None => Ok(Value::Decimal(literal)),
            }
        }
        Value::Float(_) => double(&value, manner),
        Value::Text(_) => text(value, None, manner),
        other if manner.holds.is_none_or(|holds| holds.kinds_in_any) => Ok(other),
        Value::Bool(flag) => Ok(Value::Int(flag.into())),
        Value::Null | Value::Int(_) | Value::Bytes(_) => Ok(value),
        Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::TimestampTz(_)
        | Value::Uuid(_)
        | Value::Json(_) => text(value, None, manner),
    }
}

fn boolean(value: &Value) -> Result<Value, Failure> {
    match value {
        Value::Bool(flag) => Ok(Value::Bool(*flag)),
        Value::Text(text) if text == "true" => Ok(Value::Bool(true)),
        Value::Text(text) if text == "false" => Ok(Value::Bool(false)),
        _ => fail(codes::NOT_A_BOOLEAN),
    }
}

/// The integer that a text is as a person writes it.
fn integer_of_text(text: &str) -> Result<i128, Failure> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || (digits.starts_with('0') && text != "0") {
        return fail(codes::NOT_AN_INTEGER);
    }
    text.parse().map_err(|_| Failure::new(codes::OUT_OF_RANGE))
}

/// The integer that a number is: `5.0` and `1e3` are some.
fn integer_of_number(literal: &str) -> Result<i128, Failure> {
    match Decimal::parse(literal) {
        Ok(number) if number.is_integer() => {
            number.to_i128_exact().ok_or(Failure::new(codes::OUT_OF_RANGE))
        }
        Ok(_) | Err(_) => fail(codes::NOT_AN_INTEGER),
    }
}

fn integer(value: &Value, width: IntWidth) -> Result<Value, Failure> {
    let integer = match value {
        Value::Int(integer) => *integer,
        Value::Text(text) => integer_of_text(text)?,
        Value::Decimal(literal) => integer_of_number(literal)?,
        Value::Float(number) if *number == 0.0 && number.is_sign_negative() => {
            return fail(codes::NOT_AN_INTEGER);
        }
        Value::Float(number) => {
            let integer = integer_of_number(&format!("{number:e}"))?;
            // Beyond 2^53 the spelling may be of a neighbour.
            if *number as i128 != integer {
                return fail(codes::NOT_EXACT);
            }
            integer
        }
        _ => return Err(wrong_kind()),
    };
    let (least, most) = width.range();
    if (least..=most).contains(&integer) {
        Ok(Value::Int(integer))
    } else {
        fail(codes::OUT_OF_RANGE)
    }
}

fn decimal(
    value: &Value,
    bounds: Option<(u16, u16)>,
    manner: Manner<'_>,
) -> Result<Value, Failure> {
    let literal = match value {
        Value::Int(integer) => integer.to_string(),
        Value::Decimal(literal) => literal.clone(),
        Value::Float(number) => match (number.is_finite(), number.is_nan(), *number > 0.0) {
            (true, _, _) => text::float(*number),
            (false, true, _) => "NaN".to_owned(),
            (false, false, true) => "Infinity".to_owned(),
            (false, false, false) => "-Infinity".to_owned(),
        },
        Value::Text(text) if Decimal::parse(text).is_ok() && !text.contains(['e', 'E']) => {
            text.clone()
        }
        Value::Text(_) => return fail(codes::NOT_A_NUMBER),
        _ => return Err(wrong_kind()),
    };
    match Numeric::parse(&literal) {
        Ok(Numeric::Finite(number)) => {
            let Some((precision, scale)) = bounds else {
                return Ok(Value::Decimal(literal));
            };
            if number.fits(precision.into(), scale.into()) {
                return Ok(Value::Decimal(literal));
            }
            let rounded = if manner.round { rounded(&number, scale.into()) } else { None };
            match rounded {
                Some(text)
                    if Decimal::parse(&text)
                        .is_ok_and(|it| it.fits(precision.into(), scale.into())) =>
                {
                    Ok(Value::Decimal(text))
                }
                _ => fail(codes::DIGITS_LOST),
            }
        }
        Ok(Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity) => {
            if manner.holds.is_some_and(|holds| !holds.not_finite) {
                fail(codes::NOT_FINITE)
            } else {
                Ok(Value::Decimal(literal))
            }
        }
        Err(_) => fail(codes::NOT_A_NUMBER),
    }
}

/// The number with at most `scale` digits behind the point, half to even.
fn rounded(number: &Decimal<'_>, scale: usize) -> Option<String> {
    const CHARS_MAX: usize = 200_000;
    let plain = number.to_plain_string(CHARS_MAX)?;
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    if fraction.len() <= scale {
        return Some(format!("{sign}{plain}"));
    }
    let (kept, gone) = fraction.split_at(scale);
    let mut digits: Vec<u8> = whole.bytes().chain(kept.bytes()).map(|byte| byte - b'0').collect();
    let half = gone.as_bytes()[0].cmp(&b'5').then_with(|| {
        let rest = gone[1..].bytes().any(|byte| byte != b'0');
        rest.cmp(&false)
    });
    let odd = digits.last().is_some_and(|digit| digit % 2 == 1);
    if half.is_gt() || (half.is_eq() && odd) {
        let mut at = digits.len();
        loop {
            if at == 0 {
                digits.insert(0, 1);
                break;
            }
            at -= 1;
            if digits[at] < 9 {
                digits[at] += 1;
                break;
            }
            digits[at] = 0;
        }
    }
    let point = digits.len() - scale;
    let mut out = sign.to_owned();
    for (index, digit) in digits.iter().enumerate() {
        if index == point {
            out.push('.');
        }
        out.push(char::from(b'0' + digit));
    }
    Some(out)
}

fn double(value: &Value, manner: Manner<'_>) -> Result<Value, Failure> {
    let number = match value {
        Value::Float(number) => *number,
        Value::Int(integer) => {
            let literal = integer.to_string();
            let number = exact(Decimal::parse(&literal).ok())?;
            if number as i128 != *integer {
                return fail(codes::NOT_EXACT);
            }
            number
        }
        Value::Text(literal) => exact(Decimal::parse(literal).ok())?,
        Value::Decimal(literal) => match Numeric::parse(literal) {
            Ok(Numeric::Finite(number)) => exact(Some(number))?,
            Ok(Numeric::NaN) => f64::NAN,
            Ok(Numeric::Infinity) => f64::INFINITY,
            Ok(Numeric::NegativeInfinity) => f64::NEG_INFINITY,
            Err(_) => return fail(codes::NOT_A_NUMBER),
        },
        _ => return Err(wrong_kind()),
    };
    match manner.holds {
        Some(holds) if !number.is_finite() && !holds.not_finite => fail(codes::NOT_FINITE),
        Some(holds) if number == 0.0 && !holds.negative_zero => Ok(Value::Float(0.0)),
        Some(_) | None => Ok(Value::Float(number)),
    }
}

fn exact(number: Option<Decimal<'_>>) -> Result<f64, Failure> {
    let number = number.ok_or(Failure::new(codes::NOT_A_NUMBER))?;
    number.to_f64_exact().ok_or(Failure::new(codes::NOT_EXACT))
}

fn text(value: Value, chars: Option<u32>, manner: Manner<'_>) -> Result<Value, Failure> {
    let written = match value {
        Value::Text(text) => text,
        other => text::form(&other).ok_or_else(wrong_kind)?,
    };
    if chars.is_some_and(|max| written.chars().count() > max as usize) {
        return fail(codes::TOO_LONG);
    }
    if manner.holds.is_some_and(|holds| !holds.nul_in_text) && written.contains('\0') {
        return fail(codes::NUL_IN_TEXT);
    }
    Ok(Value::Text(written))
}

fn time(value: Value, kind: Kind, manner: Manner<'_>) -> Result<Value, Failure> {
    let midnight = |days: i32| DateTime { days, nanos: 0 };
    let moment = match &value {
        Value::Date(date) => moment::Moment::Day(*date),
        Value::Timestamp(at) => moment::Moment::Local(*at),
        Value::TimestampTz(at) => moment::Moment::Instant(*at),
        // A duration of MySQL is a time too, below zero or beyond a day.
        Value::Time(_) if kind == Kind::Time => return Ok(value),
        Value::Time(_) => return Err(wrong_kind()),
        Value::Text(text) if endless(text) && kind != Kind::Time => {
            return match manner.holds {
                Some(holds) if !holds.endless => fail(codes::NOT_A_TIME),
                Some(_) | None => Ok(value),
            };
        }
        Value::Text(text) => {
            let read = moment::iso(text).filter(|read| match (kind, read) {
                (Kind::Date, moment::Moment::Day(_)) | (Kind::Time, moment::Moment::Clock(_)) => {
                    true
                }
                (Kind::Date | Kind::Time, _) | (_, moment::Moment::Clock(_)) => false,
                (_, _) => true,
            });
            read.ok_or(Failure::new(codes::NOT_A_TIME))?
        }
        _ => return Err(wrong_kind()),
    };
    let moment = match moment {
        moment::Moment::Day(day) if kind != Kind::Date => moment::Moment::Local(midnight(day.days)),
        other => other,
    };
    moment::to_value(moment, Some(kind), manner.zone, manner.fold).and_then(|made| {
        if kind == Kind::TimestampTz && matches!(made, Value::Time(_)) {
            fail(codes::WRONG_KIND)
        } else {
            Ok(made)
        }
    })
}

/// PostgreSQL's days and moments before and after all others.
fn endless(text: &str) -> bool {
    text == "infinity" || text == "-infinity"
}

fn uuid(value: Value) -> Result<Value, Failure> {
    match value {
        Value::Uuid(_) => Ok(value),
        Value::Text(text) => match uuid_of(&text) {
            Some(bytes) => Ok(Value::Uuid(bytes)),
            None => fail(codes::NOT_A_UUID),
        },
        _ => Err(wrong_kind()),
    }
}

fn uuid_of(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    if lengths != [8, 4, 4, 4, 12] {
        return None;
    }
    let digits: Vec<u8> = groups
        .concat()
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] * 16 + pair[1]).collect();
    bytes.try_into().ok()
}

fn document(value: Value) -> Result<Value, Failure> {
    match value {
        Value::Json(_) => Ok(value),
        Value::Text(text) => match text::parsed(&text) {
            Some(_) => Ok(Value::Json(text)),
            None => fail(codes::NOT_JSON),
        },
        other => match text::json_of(&other) {
            Some(document) => Ok(Value::Json(document)),
            None => Err(wrong_kind()),
        },
    }
}
