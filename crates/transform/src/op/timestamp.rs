//! Text to days, clock times, local times and instants, by declared formats.
//!
//! Named formats and patterns of fixed width are read by hand; every other pattern, and every text
//! that does not fit the fixed widths, by jiff's `strptime`, whose directives these are. Seconds have
//! 0 to 9 digits after the point; a tenth digit or a leap second (`:60`) is refused, not rounded.

use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::{civil, tz::Offset};
use whimbrel_model::decimal::Decimal;
use whimbrel_model::time::{Date, NANOS_PER_DAY};
use whimbrel_model::{DateTime, ValueRef};

use super::Fault;
use crate::codes;

const SECOND: u64 = 1_000_000_000;

/// What a text said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Moment {
    /// Nanoseconds since midnight, of an unknown day.
    Clock(u64),
    /// A date and time without a zone; midnight where the format has no time.
    Local(DateTime),
    /// An instant, in UTC.
    Instant(DateTime),
}

impl Moment {
    /// The local time, if that is what it is.
    pub fn local(self) -> Option<DateTime> {
        if let Self::Local(local) = self { Some(local) } else { None }
    }
}

/// What a format gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // as in `Moment`
pub enum Yields {
    Clock,
    Local,
    Instant,
}

/// A format of `timestamp`.
#[derive(Clone, Debug)]
pub struct Format(Form);

#[derive(Clone, Debug)]
enum Form {
    Rfc3339,
    Iso8601,
    /// This many digits of a second's fraction are before the point.
    Unix(u32),
    Pattern(Pattern),
}

#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    yields: Yields,
    fixed: Option<Vec<Item>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    /// `%f`: at least one digit.
    Fraction,
    /// `%.f`: nothing, or a point and at least one digit.
    PointFraction,
    Byte(u8),
}

impl Format {
    /// The format of a name or pattern; or what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "rfc3339" => Form::Rfc3339,
            "iso8601" => Form::Iso8601,
            "unix" => Form::Unix(0),
            "unix_ms" => Form::Unix(3),
            "unix_us" => Form::Unix(6),
            pattern => Form::Pattern(Pattern::compile(pattern)?),
        }))
    }

    /// What its texts give.
    pub fn yields(&self) -> Yields {
        match &self.0 {
            Form::Rfc3339 | Form::Unix(_) => Yields::Instant,
            Form::Iso8601 => Yields::Local,
            Form::Pattern(pattern) => pattern.yields,
        }
    }

    /// Reads a whole text.
    pub fn parse(&self, text: &str) -> Result<Moment, Fault> {
        match &self.0 {
            Form::Rfc3339 => match parse_iso(text)? {
                moment @ Moment::Instant(_) => Ok(moment),
                Moment::Local(_) | Moment::Clock(_) => Err(not_a_time()),
            },
            Form::Iso8601 => match parse_iso(text)? {
                moment @ Moment::Local(_) => Ok(moment),
                Moment::Instant(_) | Moment::Clock(_) => Err(not_a_time()),
            },
            Form::Unix(digits) => parse_unix(text, *digits),
            Form::Pattern(pattern) => pattern.parse(text),
        }
    }

    /// Writes a moment in the format: the inverse of [`Format::parse`] for what the format can say.
    pub fn print(&self, moment: Moment) -> Option<String> {
        match (&self.0, moment) {
            (Form::Rfc3339, Moment::Instant(at)) => Some(format!("{at}Z")),
            (Form::Iso8601, Moment::Local(at)) => Some(at.to_string()),
            (Form::Unix(digits), Moment::Instant(at)) => Some(print_unix(at, *digits)),
            (Form::Pattern(pattern), moment) => pattern.print(moment),
            (Form::Rfc3339 | Form::Iso8601 | Form::Unix(_), _) => None,
        }
    }
}

impl Pattern {
    fn compile(text: &str) -> Result<Self, String> {
        let directives = directives(text)?;
        let has = |letters: &str| directives.iter().any(|directive| letters.contains(*directive));
        let (day, clock) = (has("YyCGgDFmbBhjUVWdeAauw"), has("HIklMSTRfNpP"));
        let yields = match (day, clock, has("s"), has("zQ")) {
            (_, _, true, _) | (true, true, _, true) => Yields::Instant,
            (true, _, false, false) => Yields::Local,
            (false, true, false, false) => Yields::Clock,
            (_, _, _, true) => return Err("an offset needs a day and a clock time".to_owned()),
            (false, false, false, false) => {
                return Err("it says neither a day nor a time".to_owned());
            }
        };
        let pattern = Self { text: text.to_owned(), yields, fixed: fixed(text) };
        pattern.try_out()?;
        Ok(pattern)
    }

    /// Writes a moment and reads it again: a pattern that cannot is refused before any data is read.
    fn try_out(&self) -> Result<(), String> {
        let sample = civil::date(2024, 3, 5).at(16, 7, 9, 123_456_789);
        let zoned = sample.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| error.to_string())?;
        let written = strtime::format(&self.text, &zoned).map_err(|error| error.to_string())?;
        self.parse_any(&written).map(|_| ()).ok_or_else(|| {
            let parsed =
                BrokenDownTime::parse(&self.text, &written).and_then(|parts| parts.to_datetime());
            match parsed {
                Err(error) => error.to_string(),
                Ok(_) => "its parts do not say a whole day or clock time".to_owned(),
            }
        })
    }

    fn parse(&self, text: &str) -> Result<Moment, Fault> {
        if let Some(moment) =
            self.fixed.as_deref().and_then(|items| parse_fixed(items, self.yields, text))
        {
            return Ok(moment);
        }
        let moment = self.parse_any(text).filter(|moment| !self.is_leap_second(text, *moment));
        match moment.ok_or_else(not_a_time)? {
            Moment::Local(at) | Moment::Instant(at) if !in_years(&at) => Err(out_of_years()),
            moment => Ok(moment),
        }
    }

    fn parse_any(&self, text: &str) -> Option<Moment> {
        let parts = BrokenDownTime::parse(&self.text, text).ok()?;
        match self.yields {
            Yields::Clock => Some(Moment::Clock(nanos_of(parts.to_time().ok()?))),
            Yields::Instant => {
                let nanos = parts.to_timestamp().ok()?.as_nanosecond();
                Some(Moment::Instant(DateTime::from_unix_nanos(nanos)?))
            }
            Yields::Local => {
                let date = from_civil(parts.to_date().ok()?)?;
                let time = if parts.hour().is_some() {
                    parts.to_time().ok()?
                } else {
                    civil::Time::midnight()
                };
                Some(Moment::Local(DateTime { days: date.days, nanos: nanos_of(time) }))
            }
        }
    }

    /// jiff reads second 60 as 59. If replacing some `60` by `59` gives the same moment, that one
    /// was the second.
    fn is_leap_second(&self, text: &str, moment: Moment) -> bool {
        text.match_indices("60").any(|(at, _)| {
            let mut other = text.to_owned();
            other.replace_range(at..at + 2, "59");
            self.parse_any(&other) == Some(moment)
        })
    }

    fn print(&self, moment: Moment) -> Option<String> {
        match (self.yields, moment) {
            (Yields::Clock, Moment::Clock(nanos)) => {
                let at = to_civil(DateTime { days: 0, nanos })?;
                strtime::format(&self.text, at.time()).ok()
            }
            (Yields::Local, Moment::Local(at)) => strtime::format(&self.text, to_civil(at)?).ok(),
            (Yields::Instant, Moment::Instant(at)) => {
                let zoned = to_civil(at)?.to_zoned(Offset::UTC.to_time_zone()).ok()?;
                strtime::format(&self.text, &zoned).ok()
            }
            (Yields::Clock | Yields::Local | Yields::Instant, _) => None,
        }
    }
}

/// The directives of a pattern, without flags, widths and colons.
fn directives(pattern: &str) -> Result<Vec<char>, String> {
    let mut found = Vec::new();
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            continue;
        }
        let directive =
            chars.find(|char| !matches!(char, '_' | '-' | '0'..='9' | '^' | '#' | ':' | '.'));
        found.push(directive.ok_or("it ends with `%`")?);
    }
    found.retain(|directive| *directive != '%');
    Ok(found)
}

/// The pattern as items of fixed width, if it is one: each directive once, days and clocks whole.
fn fixed(pattern: &str) -> Option<Vec<Item>> {
    let mut items = Vec::new();
    let mut rest = pattern.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            // A blank matches any white space in jiff: other than one blank is read there.
            if !first.is_ascii() {
                return None;
            }
            items.push(Item::Byte(*first));
            continue;
        }
        let (directive, tail) = rest.split_first()?;
        rest = tail;
        match directive {
            b'Y' => items.push(Item::Year),
            b'm' => items.push(Item::Month),
            b'd' => items.push(Item::Day),
            b'H' => items.push(Item::Hour),
            b'M' => items.push(Item::Minute),
            b'S' => items.push(Item::Second),
            b'f' => items.push(Item::Fraction),
            b'F' => items.extend([
                Item::Year,
                Item::Byte(b'-'),
                Item::Month,
                Item::Byte(b'-'),
                Item::Day,
            ]),
            b'T' => items.extend([
                Item::Hour,
                Item::Byte(b':'),
                Item::Minute,
                Item::Byte(b':'),
                Item::Second,
            ]),
            b'.' if rest.first() == Some(&b'f') => {
                rest = &rest[1..];
                items.push(Item::PointFraction);
            }
            _ => return None,
        }
    }
    let count = |wanted: Item| items.iter().filter(|item| **item == wanted).count();
    let day = [Item::Year, Item::Month, Item::Day].map(count);
    let clock = [Item::Hour, Item::Minute, Item::Second].map(count);
    let whole = matches!(day, [0, 0, 0] | [1, 1, 1]) && matches!(clock, [0, 0, 0] | [1, 1, 1]);
    let fractions = count(Item::Fraction) + count(Item::PointFraction);
    (whole && fractions <= clock[2]).then_some(items)
}

fn parse_fixed(items: &[Item], yields: Yields, text: &str) -> Option<Moment> {
    let mut rest = text.as_bytes();
    let (mut year, mut month, mut day) = (0u32, 0u32, 0u32);
    let (mut hour, mut minute, mut second, mut nanos) = (0u32, 0u32, 0u32, 0u32);
    for item in items {
        match item {
            Item::Year => year = digits(&mut rest, 4)?,
            Item::Month => month = digits(&mut rest, 2)?,
            Item::Day => day = digits(&mut rest, 2)?,
            Item::Hour => hour = digits(&mut rest, 2)?,
            Item::Minute => minute = digits(&mut rest, 2)?,
            Item::Second => second = digits(&mut rest, 2)?,
            Item::Fraction => nanos = fraction(&mut rest)?,
            Item::PointFraction => {
                if rest.first() == Some(&b'.') {
                    rest = &rest[1..];
                    nanos = fraction(&mut rest)?;
                }
            }
            Item::Byte(byte) => {
                if rest.first() != Some(byte) {
                    return None;
                }
                rest = &rest[1..];
            }
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let clock = clock_nanos(hour, minute, second, nanos)?;
    match yields {
        Yields::Clock => Some(Moment::Clock(clock)),
        Yields::Local => {
            let date = Date::from_ymd(year as i32, month as u8, day as u8)?;
            Some(Moment::Local(DateTime { days: date.days, nanos: clock }))
        }
        Yields::Instant => None,
    }
}

/// Exactly `count` digits.
#[inline]
fn digits(rest: &mut &[u8], count: usize) -> Option<u32> {
    let (head, tail) = rest.split_at_checked(count)?;
    let mut value = 0;
    for byte in head {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    *rest = tail;
    Some(value)
}

/// 1 to 9 digits of a second's fraction, as nanoseconds; a tenth is refused.
#[inline]
fn fraction(rest: &mut &[u8]) -> Option<u32> {
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let value = digits(rest, count)?;
    Some(value * 10u32.pow(9 - count as u32))
}

fn clock_nanos(hour: u32, minute: u32, second: u32, nanos: u32) -> Option<u64> {
    (hour < 24 && minute < 60 && second < 60)
        .then(|| u64::from(hour * 3_600 + minute * 60 + second) * SECOND + u64::from(nanos))
}

/// ISO 8601 as databases and RFC 3339 write it: `2024-03-31`, with `T` or a blank and
/// `01:59:59[.fraction]`, with `Z` or `±HH:MM`. With an offset it is an instant, else a local time.
pub fn parse_iso(text: &str) -> Result<Moment, Fault> {
    iso(text).ok_or_else(not_a_time)
}

fn iso(text: &str) -> Option<Moment> {
    let mut rest = text.as_bytes();
    let date = iso_date(&mut rest)?;
    let Some((separator, tail)) = rest.split_first() else {
        return Some(Moment::Local(DateTime { days: date.days, nanos: 0 }));
    };
    rest = tail;
    if !matches!(separator, b'T' | b't' | b' ') {
        return None;
    }
    let local = DateTime { days: date.days, nanos: iso_clock(&mut rest)? };
    let sign = match rest {
        [] => return Some(Moment::Local(local)),
        [b'Z' | b'z'] => return Some(Moment::Instant(local)),
        [b'+', tail @ ..] => (1, tail),
        [b'-', tail @ ..] => (-1, tail),
        _ => return None,
    };
    rest = sign.1;
    let hours = digits(&mut rest, 2)?;
    rest = rest.strip_prefix(b":")?;
    let minutes = digits(&mut rest, 2)?;
    if !rest.is_empty() || hours > 23 || minutes > 59 {
        return None;
    }
    let offset = sign.0 * i128::from(hours * 3_600 + minutes * 60) * i128::from(SECOND);
    DateTime::from_unix_nanos(local.unix_nanos() - offset).map(Moment::Instant)
}

fn iso_date(rest: &mut &[u8]) -> Option<Date> {
    let year = digits(rest, 4)?;
    *rest = rest.strip_prefix(b"-")?;
    let month = digits(rest, 2)?;
    *rest = rest.strip_prefix(b"-")?;
    let day = digits(rest, 2)?;
    Date::from_ymd(year as i32, month as u8, day as u8)
}

fn iso_clock(rest: &mut &[u8]) -> Option<u64> {
    let hour = digits(rest, 2)?;
    *rest = rest.strip_prefix(b":")?;
    let minute = digits(rest, 2)?;
    *rest = rest.strip_prefix(b":")?;
    let second = digits(rest, 2)?;
    let mut nanos = 0;
    if let Some(tail) = rest.strip_prefix(b".") {
        *rest = tail;
        nanos = fraction(rest)?;
    }
    clock_nanos(hour, minute, second, nanos)
}

/// `2024-03-31`.
pub fn parse_date(text: &str) -> Result<Date, Fault> {
    let mut rest = text.as_bytes();
    iso_date(&mut rest).filter(|_| rest.is_empty()).ok_or_else(not_a_time)
}

/// `01:59:59[.fraction]`, in nanoseconds since midnight.
pub fn parse_clock(text: &str) -> Result<u64, Fault> {
    let mut rest = text.as_bytes();
    iso_clock(&mut rest).filter(|_| rest.is_empty()).ok_or_else(not_a_time)
}

/// Seconds, milli- or microseconds since 1970, exact to the nanosecond.
fn parse_unix(text: &str, digits: u32) -> Result<Moment, Fault> {
    let number = Decimal::parse(text).map_err(|_| not_a_time())?;
    let power = number.exponent() + i64::from(9 - digits);
    if !number.is_zero() && (!(0..=30).contains(&power) || number.digit_count() > 30) {
        return Err(Fault::new(codes::NOT_A_TIME, "not a whole number of nanoseconds since 1970"));
    }
    let digits_value = number.digits().fold(0i128, |sum, digit| sum * 10 + i128::from(digit));
    let nanos = 10i128
        .checked_pow(power.max(0) as u32)
        .and_then(|factor| digits_value.checked_mul(factor))
        .map(|nanos| if number.is_negative() { -nanos } else { nanos });
    nanos
        .and_then(DateTime::from_unix_nanos)
        .filter(in_years)
        .map(Moment::Instant)
        .ok_or_else(out_of_years)
}

fn print_unix(at: DateTime, digits: u32) -> String {
    let nanos = at.unix_nanos();
    let unit = 10i128.pow(9 - digits);
    let (whole, part) = (nanos.abs() / unit, nanos.abs() % unit);
    let sign = if nanos < 0 { "-" } else { "" };
    if part == 0 {
        return format!("{sign}{whole}");
    }
    let part = format!("{part:0width$}", width = (9 - digits) as usize);
    format!("{sign}{whole}.{}", part.trim_end_matches('0'))
}

/// Years 0 to 9999: what every engine and every ISO text can say.
fn in_years(at: &DateTime) -> bool {
    const FIRST: i32 = -719_528;
    const LAST: i32 = 2_932_896;
    (FIRST..=LAST).contains(&at.days)
}

fn out_of_years() -> Fault {
    Fault::new(codes::OUT_OF_RANGE, "the instant lies outside of the years 0 to 9999")
}

/// A value as the text that formats read; `None` where it is no text or number.
pub(crate) fn written(value: ValueRef<'_>) -> Option<std::borrow::Cow<'_, str>> {
    match value {
        ValueRef::Text(_) | ValueRef::Decimal(_) | ValueRef::Int(_) | ValueRef::Float(_) => {
            super::text::form(value)
        }
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => None,
    }
}

pub(crate) fn not_a_time() -> Fault {
    Fault::new(codes::NOT_A_TIME, "not a date or time in the expected form")
}

fn nanos_of(time: civil::Time) -> u64 {
    let seconds = time.hour() as u64 * 3_600 + time.minute() as u64 * 60 + time.second() as u64;
    seconds * SECOND + time.subsec_nanosecond() as u64
}

fn from_civil(date: civil::Date) -> Option<Date> {
    Date::from_ymd(date.year().into(), date.month() as u8, date.day() as u8)
}

fn to_civil(at: DateTime) -> Option<civil::DateTime> {
    let (year, month, day) = at.date().ymd();
    let seconds = (at.nanos.min(NANOS_PER_DAY - 1) / SECOND) as i32;
    let (hour, minute, second) =
        ((seconds / 3_600) as i8, (seconds / 60 % 60) as i8, (seconds % 60) as i8);
    let nanos = (at.nanos % SECOND) as i32;
    civil::DateTime::new(
        i16::try_from(year).ok()?,
        month as i8,
        day as i8,
        hour,
        minute,
        second,
        nanos,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(format: &str, text: &str, expected: &str) {
        let got = match Format::compile(format).unwrap().parse(text) {
            Ok(Moment::Clock(nanos)) => format!("clock {nanos}"),
            Ok(Moment::Local(at)) => format!("local {at}"),
            Ok(Moment::Instant(at)) => format!("{at}Z"),
            Err(fault) => fault.code.to_owned(),
        };
        assert_eq!(got, expected, "{format} {text}");
    }

    #[test]
    fn rfc3339_has_an_offset() {
        check("rfc3339", "2024-03-31T01:59:59.25+02:00", "2024-03-30T23:59:59.250Z");
        check("rfc3339", "2024-03-31 01:59:59Z", "2024-03-31T01:59:59Z");
        check("rfc3339", "2024-03-31T01:59:59.123456789-05:00", "2024-03-31T06:59:59.123456789Z");
        check("rfc3339", "2024-03-31T01:59:59", codes::NOT_A_TIME);
        check("rfc3339", "2024-03-31T01:59:60Z", codes::NOT_A_TIME);
        check("rfc3339", "2024-03-31T01:59:59.1234567890Z", codes::NOT_A_TIME);
        check("rfc3339", "2024-02-30T00:00:00Z", codes::NOT_A_TIME);
        check("rfc3339", "2024-03-31T01:59:59+0200", codes::NOT_A_TIME);
        check("iso8601", "2024-03-31T01:59:59", "local 2024-03-31T01:59:59");
        check("iso8601", "2024-03-31T01:59:59Z", codes::NOT_A_TIME);
    }

    #[test]
    fn unix_times_are_exact() {
        check("unix", "1711846799.123", "2024-03-31T00:59:59.123Z");
        check("unix", "1711846799.123456789", "2024-03-31T00:59:59.123456789Z");
        check("unix", "1711846799.1234567891", codes::NOT_A_TIME);
        check("unix", "-0.5", "1969-12-31T23:59:59.500Z");
        check("unix", "1.7e9", "2023-11-14T22:13:20Z");
        check("unix_ms", "1711846799123", "2024-03-31T00:59:59.123Z");
        check("unix_ms", "1711846799123.456", "2024-03-31T00:59:59.123456Z");
        check("unix_us", "1", "1970-01-01T00:00:00.000001Z");
        check("unix", "1711846799123", codes::OUT_OF_RANGE);
        check("unix", "12:00:00", codes::NOT_A_TIME);
        check("unix", "1e999", codes::NOT_A_TIME);
        check("unix", "0", "1970-01-01T00:00:00Z");
    }

    #[test]
    fn patterns_say_a_day_a_clock_time_or_both() {
        check("run_%Y%m%d_%H%M%S", "run_20240331_235958", "local 2024-03-31T23:59:58");
        check("run_%Y%m%d_%H%M%S", "run_20240331", codes::NOT_A_TIME);
        check("%H:%M:%S%.f", "23:59:59", "clock 86399000000000");
        check("%H:%M:%S%.f", "23:59:59.5", "clock 86399500000000");
        check("%H:%M:%S%.f", "24:00:00", codes::NOT_A_TIME);
        check("%Y-%m-%d", "2024-02-29", "local 2024-02-29T00:00:00");
        check("%Y-%m-%d %H:%M:%S%.f", "2024-02-29 01:02:03.004", "local 2024-02-29T01:02:03.004");
        check("%d.%m.%Y", "1.3.2024", "local 2024-03-01T00:00:00");
        check("%b %d, %Y %I:%M %p", "Mar 05, 2024 04:07 PM", "local 2024-03-05T16:07:00");
        check("%a, %d %b %Y %T %z", "Mon, 15 Jul 2024 16:24:59 -0400", "2024-07-15T20:24:59Z");
        check("%s", "86400", "1970-01-02T00:00:00Z");
        check("%Y-%m-%d", "2024-02-29 ", codes::NOT_A_TIME);
    }

    #[test]
    fn leap_seconds_are_refused_and_sixties_elsewhere_are_not() {
        check("%H:%M:%S", "23:59:60", codes::NOT_A_TIME);
        check("%d.%m.%Y %H:%M:%S", "1.1.1960 00:00:59", "local 1960-01-01T00:00:59");
        check("%d.%m.%Y %H:%M:%S", "1.1.1960 00:00:60", codes::NOT_A_TIME);
        check("%H:%M:%S.%f", "1:02:59.60", "clock 3779600000000");
    }

    #[test]
    fn patterns_that_can_read_nothing_are_refused_beforehand() {
        for pattern in ["", "%", "%q", "%Y-%m", "%H:%M %z", "%Z", "text", "%Y-%m-%d%", "%E", "%d"] {
            assert!(Format::compile(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn instants_survive_their_formats(nanos in -62_000_000_000_000_000_000i128..250_000_000_000_000_000_000, which in 0usize..5) {
            let format = Format::compile(["rfc3339", "unix", "unix_ms", "unix_us", "%Y-%m-%dT%H:%M:%S.%f%:z"][which]).unwrap();
            let at = Moment::Instant(DateTime::from_unix_nanos(nanos).unwrap());
            prop_assert_eq!(format.parse(&format.print(at).unwrap()), Ok(at));
        }

        #[test]
        fn local_times_survive_their_formats(nanos in -62_000_000_000_000_000_000i128..250_000_000_000_000_000_000, which in 0usize..3) {
            let format = Format::compile(["iso8601", "%Y%m%d %H%M%S.%f", "%F %T%.f"][which]).unwrap();
            let at = Moment::Local(DateTime::from_unix_nanos(nanos).unwrap());
            prop_assert_eq!(format.parse(&format.print(at).unwrap()), Ok(at));
        }

        #[test]
        fn the_fast_way_agrees_with_jiff(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-2][0-9]:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,10})?") {
            let Form::Pattern(pattern) = Format::compile("%Y-%m-%dT%H:%M:%S%.f").unwrap().0 else { unreachable!() };
            let items = pattern.fixed.clone().unwrap();
            if let Some(moment) = parse_fixed(&items, pattern.yields, &text) {
                prop_assert_eq!(pattern.parse_any(&text), Some(moment));
            } else {
                prop_assert!(pattern.parse(&text).is_err());
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", which in 0usize..7) {
            let formats = ["rfc3339", "iso8601", "unix", "unix_ms", "%H:%M:%S%.f", "%d.%m.%Y", "%a, %d %b %Y %T %z"];
            let _ = Format::compile(formats[which]).unwrap().parse(&text);
        }

        #[test]
        fn no_pattern_panics(pattern in "(%[-_0-9]?[a-zA-Z.:%]f?|[ -~]){0,6}") {
            let _ = Format::compile(&pattern);
        }
    }
}
