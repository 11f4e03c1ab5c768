//! Text of values that have no literal of ours: intervals, arrays, times with zones. Pure.

use whimbrel_model::Value;
use whimbrel_model::decimal::{Decimal, Numeric};
use whimbrel_model::time::{Date, DateTime, NANOS_PER_DAY, Time};

use super::form::Form;

/// An array literal, its items in order; `None` is NULL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Array {
    /// First index and length of each dimension.
    pub(crate) dimensions: Vec<(i32, usize)>,
    pub(crate) items: Vec<Option<String>>,
}

/// Hyphens or none.
pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.bytes().filter(|byte| *byte != b'-');
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        let mut digit = || (digits.next()? as char).to_digit(16);
        *byte = (digit()? * 16 + digit()?) as u8;
    }
    digits.next().is_none().then_some(uuid)
}

/// `HH:MM[:SS[.f]]` in nanoseconds, up to 24:00.
fn clock(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let mut part = |must: bool| match parts.next() {
        Some(part) if part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit()) => {
            part.parse::<i64>().ok()
        }
        Some(_) => None,
        None if must => None,
        None => Some(0),
    };
    let (hours, minutes, seconds) = (part(true)?, part(true)?, part(false)?);
    if parts.next().is_some() || minutes > 59 || seconds > 59 {
        return None;
    }
    let nanos = (hours * 3600 + minutes * 60 + seconds) * 1_000_000_000 + nanos(fraction)?;
    (nanos <= NANOS_PER_DAY as i64).then_some(nanos)
}

/// Digits after the point as nanoseconds.
fn nanos(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let significant = fraction.trim_end_matches('0');
    if significant.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{significant:0<9}").parse().ok()
}

/// Seconds west of Greenwich of `Z`, `+02`, `-03:30`, `+00:19:32`.
fn zone(text: &str) -> Option<i32> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (-1, rest),
        ("-", rest) => (1, rest),
        _ => return None,
    };
    let mut seconds = 0;
    let mut unit = 3600;
    for part in rest.split(':') {
        if part.len() != 2 || unit == 0 {
            return None;
        }
        seconds += part.parse::<i32>().ok()? * unit;
        unit /= 60;
    }
    (seconds < 16 * 3600).then_some(sign * seconds)
}

/// Nanoseconds since midnight and seconds west of Greenwich.
pub(crate) fn time_tz(text: &str) -> Option<(i64, i32)> {
    let at = text.find(['+', '-', 'Z', 'z'])?;
    Some((clock(&text[..at])?, zone(&text[at..])?))
}

fn date(text: &str) -> Option<Date> {
    let (rest, day) = text.rsplit_once('-')?;
    let (year, month) = rest.rsplit_once('-')?;
    Date::from_ymd(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

fn date_time(text: &str) -> Option<DateTime> {
    let (day, time) = text.split_once(['T', ' '])?;
    let at = date(day)?;
    let nanos = clock(time)? as u64;
    (nanos < NANOS_PER_DAY).then_some(DateTime { days: at.days, nanos })
}

/// `2024-01-01 00:00:00+02`, with `Z`, or with neither.
fn instant(text: &str) -> Option<DateTime> {
    let clock_at = text.find(['T', ' '])?;
    let zone_at = text[clock_at..].find(['+', '-', 'Z', 'z']).map(|at| clock_at + at);
    let (local, west) = match zone_at {
        Some(at) => (&text[..at], zone(&text[at..])?),
        None => (text, 0),
    };
    let local = date_time(local)?;
    DateTime::from_unix_nanos(local.unix_nanos() + i128::from(west) * 1_000_000_000)
}

/// Months, days and microseconds of an ISO 8601 duration or of PostgreSQL's own spelling.
pub(crate) fn interval(text: &str) -> Option<(i32, i32, i64)> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('P') {
        return iso(rest);
    }
    verbose(text)
}

/// What is counted, and where it goes.
struct Sum {
    months: i64,
    days: i64,
    micros: i128,
}

impl Sum {
    const ZERO: Self = Self { months: 0, days: 0, micros: 0 };

    fn end(self) -> Option<(i32, i32, i64)> {
        Some((
            self.months.try_into().ok()?,
            self.days.try_into().ok()?,
            self.micros.try_into().ok()?,
        ))
    }
}

/// A signed number with at most six digits behind its point, in millionths.
fn millionths(text: &str) -> Option<i128> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty())
        || !are_digits(whole)
        || !are_digits(fraction)
        || fraction.len() > 6
        || whole.len() > 18
    {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i128 = format!("{fraction:0<6}").parse().ok()?;
    Some(sign * (whole * 1_000_000 + fraction))
}

fn whole(text: &str) -> Option<i64> {
    let millionths = millionths(text)?;
    (millionths % 1_000_000 == 0).then_some((millionths / 1_000_000) as i64)
}

fn iso(text: &str) -> Option<(i32, i32, i64)> {
    let mut sum = Sum::ZERO;
    let (mut rest, mut in_clock) = (text, false);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        if let Some(clock) = rest.strip_prefix('T') {
            if in_clock || clock.is_empty() {
                return None;
            }
            (rest, in_clock) = (clock, true);
            continue;
        }
        let end = rest.find(|letter: char| letter.is_ascii_alphabetic())?;
        let (number, unit) = (&rest[..end], &rest[end..=end]);
        match (unit, in_clock) {
            ("Y", false) => sum.months += whole(number)?.checked_mul(12)?,
            ("M", false) => sum.months += whole(number)?,
            ("W", false) => sum.days += whole(number)?.checked_mul(7)?,
            ("D", false) => sum.days += whole(number)?,
            ("H", true) => sum.micros += millionths(number)? * 3600,
            ("M", true) => sum.micros += millionths(number)? * 60,
            ("S", true) => sum.micros += millionths(number)?,
            _ => return None,
        }
        rest = &rest[end + 1..];
    }
    sum.end()
}

fn verbose(text: &str) -> Option<(i32, i32, i64)> {
    let mut sum = Sum::ZERO;
    let mut words = text.split_whitespace();
    let mut any = false;
    while let Some(number) = words.next() {
        any = true;
        if number.contains(':') {
            let (sign, digits) = match number.as_bytes()[0] {
                b'-' => (-1, &number[1..]),
                b'+' => (1, &number[1..]),
                _ => (1, number),
            };
            let mut parts = digits.split(':');
            let hours = whole(parts.next()?)?;
            let minutes = whole(parts.next()?).filter(|minutes| *minutes < 60)?;
            let seconds = millionths(parts.next().unwrap_or("0"))?;
            if parts.next().is_some() || seconds >= 60_000_000 {
                return None;
            }
            sum.micros += sign
                * (i128::from(hours) * 3_600_000_000 + i128::from(minutes) * 60_000_000 + seconds);
            continue;
        }
        match words.next()?.trim_end_matches('s') {
            "year" => sum.months += whole(number)?.checked_mul(12)?,
            "mon" | "month" => sum.months += whole(number)?,
            "week" => sum.days += whole(number)?.checked_mul(7)?,
            "day" => sum.days += whole(number)?,
            "hour" => sum.micros += millionths(number)? * 3600,
            "minute" | "min" => sum.micros += millionths(number)? * 60,
            "second" | "sec" => sum.micros += millionths(number)?,
            _ => return None,
        }
    }
    if any { sum.end() } else { None }
}

/// `{1,"a b",NULL}`, `{{1,2},{3,4}}`, `[0:1]={1,2}`; `None` where it is none or not rectangular.
pub(crate) fn array(text: &str) -> Option<Array> {
    let text = text.trim();
    let (bounds, body) = match text.strip_prefix('[') {
        Some(_) => {
            let (bounds, body) = text.split_once('=')?;
            (Some(bounds), body)
        }
        None => (None, text),
    };
    let mut reader = Reader { rest: body, items: Vec::new(), lengths: Vec::new() };
    reader.level(0)?;
    if !reader.rest.is_empty() {
        return None;
    }
    let mut dimensions: Vec<(i32, usize)> =
        reader.lengths.into_iter().map(|length| (1, length)).collect();
    if let Some(bounds) = bounds {
        let firsts = lower_bounds(bounds, &dimensions)?;
        for (dimension, first) in dimensions.iter_mut().zip(firsts) {
            dimension.0 = first;
        }
    }
    Some(Array { dimensions, items: reader.items })
}

/// The first index of each dimension of `[0:1][2:4]`, where the lengths agree.
fn lower_bounds(bounds: &str, dimensions: &[(i32, usize)]) -> Option<Vec<i32>> {
    let inner = bounds.strip_prefix('[')?.strip_suffix(']')?;
    let firsts: Option<Vec<i32>> = inner
        .split("][")
        .zip(dimensions)
        .map(|(range, (_, length))| {
            let (first, last) = range.split_once(':')?;
            let (first, last): (i32, i32) = (first.parse().ok()?, last.parse().ok()?);
            (i64::from(last) - i64::from(first) + 1 == *length as i64).then_some(first)
        })
        .collect();
    firsts.filter(|firsts| firsts.len() == dimensions.len())
}

struct Reader<'a> {
    rest: &'a str,
    items: Vec<Option<String>>,
    /// Length of each dimension, known once its first run has been read.
    lengths: Vec<usize>,
}

impl Reader<'_> {
    fn take(&mut self, letter: char) -> Option<()> {
        self.rest = self.rest.trim_start().strip_prefix(letter)?.trim_start();
        Some(())
    }

    fn level(&mut self, depth: usize) -> Option<()> {
        if depth > 6 {
            return None;
        }
        let known = self.lengths.get(depth).copied();
        if known.is_none() {
            self.lengths.push(0);
        }
        self.take('{')?;
        let mut count = 0;
        let is_deeper = self.rest.starts_with('{');
        if !is_deeper && self.lengths.len() > depth + 1 {
            return None;
        }
        while !self.rest.starts_with('}') {
            if count > 0 {
                self.take(',')?;
            }
            if is_deeper {
                self.level(depth + 1)?;
            } else {
                self.item()?;
            }
            count += 1;
            self.rest = self.rest.trim_start();
        }
        self.rest = &self.rest[1..];
        match known {
            Some(known) if known != count => None,
            Some(_) => Some(()),
            None => {
                self.lengths[depth] = count;
                Some(())
            }
        }
    }

    fn item(&mut self) -> Option<()> {
        let Some(quoted) = self.rest.strip_prefix('"') else {
            let end = self.rest.find([',', '}'])?;
            let bare = self.rest[..end].trim_end();
            if bare.is_empty() || bare.contains(['{', '"', '\\']) {
                return None;
            }
            let is_null = bare.eq_ignore_ascii_case("null");
            self.items.push((!is_null).then(|| bare.to_owned()));
            self.rest = &self.rest[end..];
            return Some(());
        };
        let mut text = String::new();
        let mut letters = quoted.char_indices();
        loop {
            match letters.next()? {
                (_, '\\') => text.push(letters.next()?.1),
                (at, '"') => {
                    self.rest = &quoted[at + 1..];
                    self.items.push(Some(text));
                    return Some(());
                }
                (_, letter) => text.push(letter),
            }
        }
    }
}

/// A value of an array's element from its text.
pub(crate) fn value(form: &Form, text: &str) -> Option<Value> {
    Some(match form {
        Form::Bool => Value::Bool(match text {
            "t" | "true" => true,
            "f" | "false" => false,
            _ => return None,
        }),
        Form::Int2 | Form::Int4 | Form::Int8 | Form::Oid => Value::Int(text.parse().ok()?),
        Form::Float4 | Form::Float8 => match text {
            "NaN" => Value::Float(f64::NAN),
            "Infinity" => Value::Float(f64::INFINITY),
            "-Infinity" => Value::Float(f64::NEG_INFINITY),
            text => {
                Decimal::parse(text).ok()?;
                Value::Decimal(text.to_owned())
            }
        },
        Form::Numeric(_) => {
            Numeric::parse(text).ok()?;
            Value::Decimal(text.to_owned())
        }
        Form::Bytea => Value::Bytes(hex(text.strip_prefix("\\x")?)?),
        Form::Date => match text {
            "infinity" | "-infinity" => Value::Text(text.to_owned()),
            text => Value::Date(date(text)?),
        },
        Form::Time(_) => Value::Time(Time { nanos: clock(text)? }),
        Form::Timestamp(_) => match text {
            "infinity" | "-infinity" => Value::Text(text.to_owned()),
            text => Value::Timestamp(date_time(text)?),
        },
        Form::TimestampTz(_) => match text {
            "infinity" | "-infinity" => Value::Text(text.to_owned()),
            text => Value::TimestampTz(instant(text)?),
        },
        Form::Uuid => Value::Uuid(uuid(text)?),
        Form::Json | Form::Jsonb => Value::Json(text.to_owned()),
        Form::Text(_)
        | Form::Blank(_)
        | Form::Letter
        | Form::TimeTz(_)
        | Form::Interval
        | Form::Inet
        | Form::Cidr
        | Form::Mac
        | Form::Mac8
        | Form::Bits { .. }
        | Form::Array { .. }
        | Form::Spelled => Value::Text(text.to_owned()),
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.is_ascii() {
        return None;
    }
    let digits = text.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
