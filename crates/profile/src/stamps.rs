//! Which date and time patterns a text matches, and the instant it then means.
//!
//! Patterns are written as plans write them. Only spellings that can be written back count: every
//! field has its full width, so `1/2/2024` matches none of them.

use whimbrel_model::time::NANOS_PER_DAY;
use whimbrel_model::{Date, DateTime, Kind};

/// A pattern of plans with the kind it yields.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// As a plan writes it.
    pub text: &'static str,
    /// Date, time, timestamp or timestamptz.
    pub kind: Kind,
    /// How many digits a text of it begins with, and what follows them: 0 and 0 for a name.
    lead: (usize, u8),
}

/// Every pattern that is tried. The position in this list is the pattern's number.
pub const PATTERNS: &[Pattern] = &[
    zoned("rfc3339"),
    date("%Y-%m-%d"),
    date("%Y/%m/%d"),
    date("%Y.%m.%d"),
    date("%Y%m%d"),
    date("%d.%m.%Y"),
    date("%d/%m/%Y"),
    date("%m/%d/%Y"),
    date("%d-%m-%Y"),
    date("%m-%d-%Y"),
    date("%d %b %Y"),
    date("%d-%b-%Y"),
    date("%b %d, %Y"),
    local("%Y-%m-%dT%H:%M:%S%.f"),
    local("%Y-%m-%d %H:%M:%S%.f"),
    local("%Y-%m-%d %H:%M"),
    local("%Y-%m-%dT%H:%M"),
    local("%Y/%m/%d %H:%M:%S%.f"),
    local("%d.%m.%Y %H:%M:%S%.f"),
    local("%d.%m.%Y %H:%M"),
    local("%d/%m/%Y %H:%M:%S%.f"),
    local("%m/%d/%Y %H:%M:%S%.f"),
    local("%d/%m/%Y %H:%M"),
    local("%m/%d/%Y %H:%M"),
    local("%Y%m%d%H%M%S"),
    local("%Y%m%d_%H%M%S"),
    local("%Y%m%dT%H%M%S"),
    zoned("%Y-%m-%d %H:%M:%S%.f %z"),
    zoned("%Y-%m-%dT%H:%M:%S%.f%z"),
    zoned("%d/%b/%Y:%H:%M:%S %z"),
    zoned("%a, %d %b %Y %H:%M:%S %z"),
    local("%a %b %d %H:%M:%S %Y"),
    clock("%H:%M:%S%.f"),
    zoned("unix"),
    zoned("unix_ms"),
    zoned("unix_us"),
];

const RFC3339: usize = 0;
const DAY: usize = 4;
const SECOND: usize = 24;
const UNIX: usize = 33;

/// A text read by one pattern.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Stamp {
    /// Number of the pattern in [`PATTERNS`].
    pub pattern: usize,
    /// Nanoseconds since 1970, in UTC where the text has an offset; since midnight for clocks.
    pub nanos: i128,
    /// Offset from UTC in minutes, where the text has one.
    pub offset: Option<i32>,
}

const fn date(text: &'static str) -> Pattern {
    Pattern { text, kind: Kind::Date, lead: lead(text) }
}

const fn local(text: &'static str) -> Pattern {
    Pattern { text, kind: Kind::Timestamp, lead: lead(text) }
}

const fn zoned(text: &'static str) -> Pattern {
    Pattern { text, kind: Kind::TimestampTz, lead: lead(text) }
}

const fn clock(text: &'static str) -> Pattern {
    Pattern { text, kind: Kind::Time, lead: lead(text) }
}

const fn lead(text: &str) -> (usize, u8) {
    let text = text.as_bytes();
    if text[0] == b'r' {
        return (4, b'-'); // rfc3339
    }
    let (mut at, mut digits) = (0, 0);
    while at + 1 < text.len() && text[at] == b'%' {
        digits += match text[at + 1] {
            b'Y' => 4,
            b'm' | b'd' | b'H' | b'M' | b'S' => 2,
            _ => return (0, 0),
        };
        at += 2;
    }
    (digits, if at < text.len() { text[at] } else { 0 })
}

/// True for patterns that count from 1970: every number of a likely size matches them.
pub fn is_epoch(pattern: usize) -> bool {
    PATTERNS[pattern].text.starts_with("unix")
}

/// Two patterns that read the same text as different days.
pub fn rival(pattern: usize) -> Option<usize> {
    let text = PATTERNS[pattern].text;
    let other = if text.starts_with("%d/%m") {
        text.replacen("%d/%m", "%m/%d", 1)
    } else if text.starts_with("%m/%d") {
        text.replacen("%m/%d", "%d/%m", 1)
    } else if text.starts_with("%d-%m") {
        text.replacen("%d-%m", "%m-%d", 1)
    } else if text.starts_with("%m-%d") {
        text.replacen("%m-%d", "%d-%m", 1)
    } else {
        return None;
    };
    PATTERNS.iter().position(|pattern| pattern.text == other)
}

/// Calls `found` for every pattern that the whole text matches.
pub fn each_match(text: &str, mut found: impl FnMut(Stamp)) {
    let bytes = text.as_bytes();
    if !(4..=40).contains(&bytes.len()) {
        return;
    }
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    if digits < 4 {
        return;
    }
    let points = memchr::memchr_iter(b'.', bytes).count();
    if digits + points == bytes.len() && points < 2 {
        number(text, points, &mut found);
        return;
    }
    let begins = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let begins = (begins, if begins == 0 { 0 } else { bytes.get(begins).copied().unwrap_or(0) });
    for (pattern, Pattern { text: format, lead, .. }) in PATTERNS.iter().enumerate() {
        if *lead != begins {
            continue;
        }
        let stamp = if pattern == RFC3339 { rfc3339(bytes) } else { read(format, bytes) };
        if let Some((nanos, offset)) = stamp {
            found(Stamp { pattern, nanos, offset });
        }
    }
}

// From 2000 to 2100: a smaller or larger number is more likely a number.
const EPOCH_SECONDS: std::ops::Range<i128> = 946_684_800..4_102_444_800;

fn number(text: &str, points: usize, found: &mut impl FnMut(Stamp)) {
    let (pattern, nanos) = match text.split('.').next().map_or(0, str::len) {
        8 if points == 0 => {
            (DAY, read(PATTERNS[DAY].text, text.as_bytes()).map(|(nanos, _)| nanos))
        }
        14 if points == 0 => {
            (SECOND, read(PATTERNS[SECOND].text, text.as_bytes()).map(|(nanos, _)| nanos))
        }
        9 | 10 => (UNIX, epoch(text, 1_000_000_000)),
        12 | 13 if points == 0 => (UNIX + 1, epoch(text, 1_000_000)),
        15 | 16 if points == 0 => (UNIX + 2, epoch(text, 1_000)),
        _ => return, // a number of no telling length
    };
    if let Some(nanos) = nanos {
        let offset = is_epoch(pattern).then_some(0);
        found(Stamp { pattern, nanos, offset });
    }
}

fn epoch(text: &str, unit_nanos: i128) -> Option<i128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    // 2000 to 2100 is 9 or 10 digits of seconds; most numbers end here.
    let digits = whole.len() + unit_nanos.ilog10() as usize;
    if !(18..=19).contains(&digits) || fraction.len() > 9 || text.ends_with('.') {
        return None;
    }
    if whole.starts_with('0') {
        return None;
    }
    let whole: i128 = whole.parse().ok()?;
    let part: i128 = format!("{fraction:0<9}").parse().ok()?;
    let nanos = whole * unit_nanos + part * unit_nanos / 1_000_000_000;
    EPOCH_SECONDS.contains(&(nanos / 1_000_000_000)).then_some(nanos)
}

/// RFC 3339, also with a blank or a small letter between date and time.
fn rfc3339(bytes: &[u8]) -> Option<(i128, Option<i32>)> {
    let mut reader = Reader::new(bytes);
    reader.run("%Y-%m-%d")?;
    reader.take(|byte| matches!(byte, b'T' | b't' | b' '))?;
    reader.run("%H:%M:%S%.f")?;
    reader.offset = Some(match *reader.rest {
        [b'Z' | b'z'] => 0,
        [sign, h1, h2, b':', m1, m2] => offset([sign, h1, h2, m1, m2])?,
        _ => return None, // nothing else is an offset
    });
    reader.rest = &[];
    reader.finish()
}

fn read(format: &str, bytes: &[u8]) -> Option<(i128, Option<i32>)> {
    let mut reader = Reader::new(bytes);
    reader.run(format)?;
    reader.finish()
}

#[derive(Debug)]
struct Reader<'a> {
    rest: &'a [u8],
    year: i32,
    month: u8,
    day: u8,
    seconds: u64,
    nanos: u64,
    offset: Option<i32>,
    weekday: Option<u8>,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl<'a> Reader<'a> {
    fn new(rest: &'a [u8]) -> Self {
        let (seconds, nanos) = (0, 0);
        let (offset, weekday) = (None, None);
        Self { rest, year: 1970, month: 1, day: 1, seconds, nanos, offset, weekday }
    }

    fn run(&mut self, format: &str) -> Option<()> {
        let mut letters = format.bytes();
        while let Some(letter) = letters.next() {
            if letter != b'%' {
                self.take(|byte| byte == letter)?;
                continue;
            }
            match letters.next()? {
                b'Y' => self.year = self.digits(4)? as i32,
                b'm' => self.month = self.digits(2)? as u8,
                b'd' => self.day = self.digits(2)? as u8,
                b'H' => self.clock(24, 3_600)?,
                b'M' => self.clock(60, 60)?,
                b'S' => self.clock(60, 1)?,
                b'b' => self.month = self.name(&MONTHS)? + 1,
                b'a' => self.weekday = Some(self.name(&WEEKDAYS)?),
                b'z' => self.zone()?,
                b'.' => {
                    letters.next(); // `f`
                    self.fraction()?;
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn take(&mut self, wanted: impl Fn(u8) -> bool) -> Option<()> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        wanted(*first).then_some(())
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        let digit =
            |sum: u32, byte: &u8| byte.is_ascii_digit().then(|| sum * 10 + u32::from(byte - b'0'));
        digits.iter().try_fold(0, digit)
    }

    fn clock(&mut self, below: u32, seconds: u64) -> Option<()> {
        let value = self.digits(2).filter(|value| *value < below)?;
        self.seconds += u64::from(value) * seconds;
        Some(())
    }

    fn name(&mut self, names: &[&str]) -> Option<u8> {
        let (name, rest) = self.rest.split_at_checked(3)?;
        self.rest = rest;
        names.iter().position(|known| known.as_bytes() == name).map(|at| at as u8)
    }

    fn fraction(&mut self) -> Option<()> {
        let Some((b'.', rest)) = self.rest.split_first() else {
            return Some(());
        };
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if !(1..=9).contains(&count) {
            return None;
        }
        let (digits, rest) = rest.split_at(count);
        let value = digits.iter().fold(0u64, |sum, byte| sum * 10 + u64::from(byte - b'0'));
        self.nanos = value * 10u64.pow(9 - count as u32);
        self.rest = rest;
        Some(())
    }

    fn zone(&mut self) -> Option<()> {
        let (zone, rest) = self.rest.split_at_checked(5)?;
        self.rest = rest;
        self.offset = Some(offset(zone.try_into().ok()?)?);
        Some(())
    }

    fn finish(self) -> Option<(i128, Option<i32>)> {
        if !self.rest.is_empty() {
            return None;
        }
        let date = Date::from_ymd(self.year, self.month, self.day)?;
        // 1970-01-01 was a Thursday.
        let weekday = (date.days + 3).rem_euclid(7) as u8;
        if self.weekday.is_some_and(|said| said != weekday) {
            return None;
        }
        let nanos = self.seconds * 1_000_000_000 + self.nanos;
        debug_assert!(nanos < NANOS_PER_DAY);
        let local = DateTime { days: date.days, nanos }.unix_nanos();
        let shift = i128::from(self.offset.unwrap_or(0)) * 60_000_000_000;
        Some((local - shift, self.offset))
    }
}

fn offset([sign, h1, h2, m1, m2]: [u8; 5]) -> Option<i32> {
    let digits = [h1, h2, m1, m2];
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let [h1, h2, m1, m2] = digits.map(|byte| i32::from(byte - b'0'));
    let (hours, minutes) = (h1 * 10 + h2, m1 * 10 + m2);
    if hours > 23 || minutes > 59 {
        return None;
    }
    match sign {
        b'+' => Some(hours * 60 + minutes),
        b'-' => Some(-(hours * 60 + minutes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[allow(clippy::needless_pass_by_value)] // an expectation is written where it is used
    fn check(text: &str, expect: Expect) {
        let mut lines = Vec::new();
        each_match(text, |stamp| {
            let instant = DateTime::from_unix_nanos(stamp.nanos).unwrap();
            lines.push(format!("{} {instant}", PATTERNS[stamp.pattern].text));
        });
        expect.assert_eq(&lines.join("; "));
    }

    #[test]
    fn an_instant_with_offset_is_counted_in_utc() {
        check("2024-03-31T01:59:59.25+02:00", expect!["rfc3339 2024-03-30T23:59:59.250"]);
        check("2024-03-31T01:59:59Z", expect!["rfc3339 2024-03-31T01:59:59"]);
    }

    #[test]
    fn a_day_that_does_not_exist_matches_nothing() {
        check("2019-02-31", expect![""]);
        check("31/02/2019", expect![""]);
    }

    #[test]
    fn day_and_month_can_be_ambiguous() {
        check("03/04/2024", expect!["%d/%m/%Y 2024-04-03T00:00:00; %m/%d/%Y 2024-03-04T00:00:00"]);
        check("31/12/2024", expect!["%d/%m/%Y 2024-12-31T00:00:00"]);
    }

    #[test]
    fn a_clock_alone_is_a_time() {
        check("23:59:59.750", expect!["%H:%M:%S%.f 1970-01-01T23:59:59.750"]);
        check("24:00:00", expect![""]);
    }

    #[test]
    fn seconds_and_milliseconds_are_told_apart_by_their_size() {
        check("1704067200.250", expect!["unix 2024-01-01T00:00:00.250"]);
        check("1704067200250", expect!["unix_ms 2024-01-01T00:00:00.250"]);
        check("1234", expect![""]);
    }

    #[test]
    fn eight_digits_may_be_a_date() {
        check("20240229", expect!["%Y%m%d 2024-02-29T00:00:00"]);
        check("20230229", expect![""]);
    }

    #[test]
    fn a_wrong_weekday_is_no_date() {
        check(
            "Thu, 01 Jan 1970 00:00:00 +0000",
            expect!["%a, %d %b %Y %H:%M:%S %z 1970-01-01T00:00:00"],
        );
        check("Fri, 01 Jan 1970 00:00:00 +0000", expect![""]);
    }

    #[test]
    fn fields_without_their_zero_match_nothing() {
        check("1/2/2024 00:00", expect![""]);
    }

    #[test]
    fn patterns_stand_where_their_numbers_say() {
        assert_eq!(PATTERNS[RFC3339].text, "rfc3339");
        assert_eq!(PATTERNS[DAY].text, "%Y%m%d");
        assert_eq!(PATTERNS[SECOND].text, "%Y%m%d%H%M%S");
        let epochs: Vec<_> = PATTERNS[UNIX..].iter().map(|pattern| pattern.text).collect();
        assert_eq!(epochs, ["unix", "unix_ms", "unix_us"]);
    }

    #[test]
    fn dates_that_begin_with_a_name_are_read() {
        check("Jan 05, 2024", expect!["%b %d, %Y 2024-01-05T00:00:00"]);
        check("20240131_235959", expect!["%Y%m%d_%H%M%S 2024-01-31T23:59:59"]);
        check("20240131235959", expect!["%Y%m%d%H%M%S 2024-01-31T23:59:59"]);
        check("05/Jan/2024:10:00:00 +0100", expect!["%d/%b/%Y:%H:%M:%S %z 2024-01-05T09:00:00"]);
        check("Fri Jan 05 10:00:00 2024", expect!["%a %b %d %H:%M:%S %Y 2024-01-05T10:00:00"]);
    }

    #[test]
    fn a_pattern_knows_its_rival() {
        let european = PATTERNS.iter().position(|p| p.text == "%d/%m/%Y").unwrap();
        assert_eq!(PATTERNS[rival(european).unwrap()].text, "%m/%d/%Y");
        assert_eq!(rival(RFC3339), None);
    }
}
