//! Times: formats, zones, and clocks that have no date.
//!
//! ```text
//! text ──format──▶ Moment ──zone, kind──▶ value
//!                    └─ clock alone ──start of the file, what came before──▶ instant
//! ```

use jiff::civil;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};
use whimbrel_model::decimal::Decimal;
use whimbrel_model::plan::Fold;
use whimbrel_model::time::NANOS_PER_DAY;
use whimbrel_model::{Date, DateTime, Kind, Time, Value};

use super::codes;
use super::scene::Failure;

/// What a text says about a time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Moment {
    Instant(DateTime),
    Local(DateTime),
    Day(Date),
    /// Nanoseconds since midnight.
    Clock(u64),
}

/// One of `timestamp`'s formats.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Format {
    Rfc3339,
    Iso8601,
    /// A count since 1970, of which this power of ten makes a second.
    Unix(u32),
    Pattern(String),
}

impl Format {
    pub(super) fn of(text: &str) -> Self {
        match text {
            "rfc3339" => Self::Rfc3339,
            "iso8601" => Self::Iso8601,
            "unix" => Self::Unix(0),
            "unix_ms" => Self::Unix(3),
            "unix_us" => Self::Unix(6),
            pattern => Self::Pattern(pattern.to_owned()),
        }
    }

    /// The moment that the text is in this format; `None` where it is not in it.
    pub(super) fn read(&self, text: &str) -> Option<Result<Moment, Failure>> {
        match self {
            Self::Rfc3339 => match iso(text)? {
                instant @ Moment::Instant(_) => Some(Ok(instant)),
                Moment::Local(_) | Moment::Day(_) | Moment::Clock(_) => None,
            },
            Self::Iso8601 => match iso(text)? {
                local @ (Moment::Local(_) | Moment::Day(_)) => Some(Ok(local)),
                Moment::Instant(_) | Moment::Clock(_) => None,
            },
            Self::Unix(power) => {
                let at = DateTime::from_unix_nanos(since_1970(text, *power)?);
                let at = at.ok_or(Failure::new(codes::OUT_OF_RANGE));
                Some(at.and_then(|at| in_range(Moment::Instant(at))))
            }
            Self::Pattern(pattern) => by_pattern(pattern, text).map(in_range),
        }
    }
}

/// Years have four digits.
fn in_range(moment: Moment) -> Result<Moment, Failure> {
    let year = match moment {
        Moment::Instant(at) | Moment::Local(at) => at.date().ymd().0,
        Moment::Day(day) => day.ymd().0,
        Moment::Clock(_) => 0,
    };
    let fits = (0..=9_999).contains(&year);
    if fits { Ok(moment) } else { Err(Failure::new(codes::OUT_OF_RANGE)) }
}

/// A count of units since 1970 as a number of JSON, exact to the nanosecond, in nanoseconds.
fn since_1970(text: &str, power: u32) -> Option<i128> {
    let number = Decimal::parse(text).ok()?;
    let places = number.exponent() + i64::from(9 - power);
    if places < 0 && !number.is_zero() {
        return None;
    }
    let zeros = std::iter::repeat_n(0, places.clamp(0, 64) as usize);
    let mut nanos = 0i128;
    for digit in number.digits().chain(zeros) {
        nanos = nanos.checked_mul(10)?.checked_add(digit.into())?;
    }
    Some(if number.is_negative() { -nanos } else { nanos })
}

/// A pattern of `strftime`. Second 60 is none: no clock of ours shows it.
fn by_pattern(pattern: &str, text: &str) -> Option<Moment> {
    let read = BrokenDownTime::parse(pattern, text).ok()?;
    let moment = of_parts(&read)?;
    for (at, _) in text.match_indices("60") {
        // jiff reads second 60 as 59: where both spellings are the same moment, it did.
        let as_59 = format!("{}59{}", &text[..at], &text[at + 2..]);
        let other = BrokenDownTime::parse(pattern, &as_59).ok().and_then(|read| of_parts(&read));
        if other == Some(moment) {
            return None;
        }
    }
    Some(moment)
}

fn of_parts(read: &BrokenDownTime) -> Option<Moment> {
    if read.timestamp().is_some() || read.offset().is_some() || read.iana_time_zone().is_some() {
        let at = if read.iana_time_zone().is_some() {
            read.to_zoned().ok()?.timestamp()
        } else {
            read.to_timestamp().ok()?
        };
        return DateTime::from_unix_nanos(at.as_nanosecond()).map(Moment::Instant);
    }
    let says_day = read.year().is_some() || read.month().is_some() || read.day().is_some();
    let day =
        if says_day || read.day_of_year().is_some() { Some(read.to_date().ok()?) } else { None };
    let clock = if read.hour().is_some() { Some(read.to_time().ok()?) } else { None };
    match (day, clock) {
        (Some(day), Some(clock)) => {
            Some(Moment::Local(DateTime { days: days_of(day)?, nanos: nanos_of(clock) }))
        }
        (Some(day), None) => Some(Moment::Day(Date { days: days_of(day)? })),
        (None, Some(clock)) => Some(Moment::Clock(nanos_of(clock))),
        (None, None) => None,
    }
}

fn days_of(day: civil::Date) -> Option<i32> {
    let (month, date) = (u8::try_from(day.month()).ok()?, u8::try_from(day.day()).ok()?);
    Date::from_ymd(day.year().into(), month, date).map(|date| date.days)
}

fn nanos_of(clock: civil::Time) -> u64 {
    let seconds =
        i64::from(clock.hour()) * 3600 + i64::from(clock.minute()) * 60 + i64::from(clock.second());
    seconds as u64 * 1_000_000_000 + clock.subsec_nanosecond() as u64
}

/// ISO 8601 as RFC 3339 writes it: a day, a clock, both, or both with an offset.
pub(super) fn iso(text: &str) -> Option<Moment> {
    if let Some(nanos) = clock(text) {
        return Some(Moment::Clock(nanos));
    }
    let (day, rest) = text.split_at_checked(10)?;
    let day = self::day(day)?;
    if rest.is_empty() {
        return Some(Moment::Day(day));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone = rest.find(['Z', 'z', '+', '-']);
    let (time, zone) = zone.map_or((rest, None), |at| (&rest[..at], Some(&rest[at..])));
    let local = DateTime { days: day.days, nanos: clock(time)? };
    let Some(zone) = zone else {
        return Some(Moment::Local(local));
    };
    let seconds = match zone.strip_prefix(['Z', 'z']) {
        Some("") => 0,
        Some(_) => return None,
        None => offset(zone)?,
    };
    DateTime::from_unix_nanos(local.unix_nanos() - i128::from(seconds) * 1_000_000_000)
        .map(Moment::Instant)
}

/// `2024-03-31`
pub(super) fn day(text: &str) -> Option<Date> {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return None };
    let date =
        Date::from_ymd(digits(year, 4)? as i32, digits(month, 2)? as u8, digits(day, 2)? as u8);
    date.filter(|_| text.len() == 10)
}

/// `01:59:59.250`, in nanoseconds since midnight.
pub(super) fn clock(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
    let parts: Vec<&str> = whole.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return None };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    let nanos = match fraction {
        None => 0,
        Some(fraction) if (1..=9).contains(&fraction.len()) => {
            digits(fraction, fraction.len())? * 10u64.pow(9 - fraction.len() as u32)
        }
        Some(_) => return None,
    };
    let fits = hour < 24 && minute < 60 && second < 60;
    fits.then_some((hour * 3600 + minute * 60 + second) * 1_000_000_000 + nanos)
}

/// `+02:00`, in seconds.
fn offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)? as i64, digits(minutes, 2)? as i64);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str, count: usize) -> Option<u64> {
    let right = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if right { text.parse().ok() } else { None }
}

/// The instants that a clock of the zone shows as this local time, earlier ones first.
fn instants(zone: &TimeZone, local: DateTime) -> Option<Vec<DateTime>> {
    let (year, month, day) = local.date().ymd();
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let date = civil::Date::new(i16::try_from(year).ok()?, month, day).ok()?;
    let nanos = SignedDuration::from_nanos(i64::try_from(local.nanos).ok()?);
    let at = date.to_datetime(civil::Time::midnight()).checked_add(nanos).ok()?;
    let minus = |offset: Offset| {
        DateTime::from_unix_nanos(local.unix_nanos() - i128::from(offset.seconds()) * 1_000_000_000)
    };
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(vec![minus(offset)?]),
        AmbiguousOffset::Gap { .. } => Some(Vec::new()),
        AmbiguousOffset::Fold { before, after } => Some(vec![minus(before)?, minus(after)?]),
    }
}

/// The instant of a local time.
pub(super) fn to_instant(
    zone: &TimeZone,
    local: DateTime,
    fold: Fold,
) -> Result<DateTime, Failure> {
    if *zone == TimeZone::UTC {
        return Ok(local);
    }
    let found = instants(zone, local).ok_or(Failure::new(codes::NOT_A_TIME))?;
    match (found.as_slice(), fold) {
        ([], _) => Err(Failure::new(codes::TIME_GAP)),
        ([one], _) => Ok(*one),
        ([earlier, ..], Fold::Earlier) => Ok(*earlier),
        ([.., later], Fold::Later) => Ok(*later),
        (_, Fold::Reject) => Err(Failure::new(codes::TIME_FOLD)),
    }
}

/// What a clock of the zone shows at an instant.
pub(super) fn to_local(zone: &TimeZone, instant: DateTime) -> Result<DateTime, Failure> {
    if *zone == TimeZone::UTC {
        return Ok(instant);
    }
    let local = Timestamp::from_nanosecond(instant.unix_nanos()).ok().and_then(|at| {
        let seconds = i128::from(zone.to_offset(at).seconds());
        DateTime::from_unix_nanos(instant.unix_nanos() + seconds * 1_000_000_000)
    });
    local.ok_or(Failure::new(codes::NOT_A_TIME))
}

/// The beginning of a day.
pub(super) fn midnight(day: Date) -> DateTime {
    DateTime { days: day.days, nanos: 0 }
}

/// The moment as a value of that kind; as an instant where no kind is wanted, or one that is no time.
pub(super) fn to_value(
    moment: Moment,
    kind: Option<Kind>,
    zone: &TimeZone,
    fold: Fold,
) -> Result<Value, Failure> {
    let wrong = || Failure::new(codes::WRONG_KIND);
    let day = |local: DateTime| {
        if local.nanos == 0 { Ok(Value::Date(local.date())) } else { Err(wrong()) }
    };
    match kind {
        Some(Kind::Timestamp) => match moment {
            Moment::Instant(at) => {
                // In the hour that comes twice, only one of the instants is what the clock time means.
                let local = to_local(zone, at)?;
                let is_meant = to_instant(zone, local, fold).is_ok_and(|meant| meant == at);
                if is_meant {
                    Ok(Value::Timestamp(local))
                } else {
                    Err(Failure::new(codes::TIME_FOLD))
                }
            }
            Moment::Local(at) => Ok(Value::Timestamp(at)),
            Moment::Day(day) => Ok(Value::Timestamp(midnight(day))),
            Moment::Clock(_) => Err(wrong()),
        },
        Some(Kind::Date) => match moment {
            Moment::Local(at) => day(at),
            Moment::Day(day) => Ok(Value::Date(day)),
            // Which day an instant is on depends on who asks.
            Moment::Instant(_) | Moment::Clock(_) => Err(wrong()),
        },
        Some(Kind::Time) => match moment {
            Moment::Clock(nanos) => Ok(Value::Time(Time { nanos: nanos as i64 })),
            Moment::Instant(_) | Moment::Local(_) | Moment::Day(_) => Err(wrong()),
        },
        Some(
            Kind::TimestampTz
            | Kind::Bool
            | Kind::Int(_)
            | Kind::Decimal(_)
            | Kind::Float
            | Kind::Text(_)
            | Kind::Bytes
            | Kind::Uuid
            | Kind::Json
            | Kind::Any,
        )
        | None => match moment {
            Moment::Instant(at) => Ok(Value::TimestampTz(at)),
            Moment::Local(at) => to_instant(zone, at, fold).map(Value::TimestampTz),
            Moment::Day(day) => to_instant(zone, midnight(day), fold).map(Value::TimestampTz),
            Moment::Clock(nanos) => Ok(Value::Time(Time { nanos: nanos as i64 })),
        },
    }
}

/// A clock without a date, counted on from where its file began.
///
/// Back by more than twelve hours: midnight has passed. Ahead by more than 23, once midnight has
/// passed: the clock was set back over it, and it is the evening before again. In an hour that comes
/// twice, back by more than half an hour: from here on it is the second time. Until then `fold` decides,
/// which is the first time where it says nothing.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    first: i32,
    day: i32,
    last: u64,
    second_time: bool,
}

const HOUR: i64 = 3_600_000_000_000;

impl Clock {
    pub(super) fn new(begun: DateTime, zone: &TimeZone) -> Result<Self, Failure> {
        let local = to_local(zone, begun)?;
        let found = instants(zone, local).unwrap_or_default();
        let second_time = found.len() == 2 && found[1] == begun;
        let zone = zone.clone();
        Ok(Self { zone, first: local.days, day: local.days, last: local.nanos, second_time })
    }

    /// The instant at which the clock shows this next.
    pub(super) fn at(&mut self, nanos: u64, fold: Fold) -> Result<DateTime, Failure> {
        let nanos = nanos.min(NANOS_PER_DAY - 1);
        let back = self.last as i64 - nanos as i64;
        let mut day = self.day;
        if back > 12 * HOUR {
            day += 1;
        } else if back < -23 * HOUR && day > self.first {
            day -= 1;
        }
        let local = DateTime { days: day, nanos };
        let found = instants(&self.zone, local).ok_or(Failure::new(codes::NOT_A_TIME))?;
        let (Some(earlier), Some(later)) = (found.first(), found.last()) else {
            return Err(Failure::new(codes::TIME_GAP));
        };
        if found.len() == 2 {
            self.second_time = self.second_time || back > HOUR / 2;
        }
        self.day = day;
        self.last = nanos;
        Ok(if self.second_time || fold == Fold::Later { *later } else { *earlier })
    }
}
