//! Instants of the ledger: RFC 3339 in UTC, as the run loop writes them.

use whimbrel_model::{Date, DateTime};

/// An instant as nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Instant(i128);

impl Instant {
    /// Reads `2024-03-31T01:59:59.250Z`; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
        let mut date = date.split('-');
        let year = number(date.next()?, 4)?;
        let (month, day) = (number(date.next()?, 2)?, number(date.next()?, 2)?);
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let mut clock = clock.split(':');
        let (hour, minute) = (number(clock.next()?, 2)?, number(clock.next()?, 2)?);
        let second = number(clock.next()?, 2)?;
        let ended = date.next().is_none() && clock.next().is_none();
        if !ended || hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 {
            return None;
        }
        let nanos = if fraction.is_empty() { 0 } else { number(&format!("{fraction:0<9}"), 9)? };
        let days = Date::from_ymd(year as i32, month as u8, day as u8)?.days;
        let seconds = u64::from((hour * 60 + minute) * 60 + second);
        let instant = DateTime { days, nanos: seconds * 1_000_000_000 + u64::from(nanos) };
        Some(Self(instant.unix_nanos()))
    }

    /// Seconds since `earlier`; 0 where the clock was set back between them.
    pub(crate) fn since(self, earlier: Self) -> f64 {
        let nanos = self.0 - earlier.0;
        if nanos <= 0 { 0.0 } else { nanos as f64 / 1e9 }
    }

    /// `2024-03-31T01:00Z`: the hour it lies in.
    pub(crate) fn hour(self) -> String {
        const HOUR: i128 = 3_600_000_000_000;
        let start = self.0 - self.0.rem_euclid(HOUR);
        match DateTime::from_unix_nanos(start) {
            Some(instant) => format!("{}T{:02}:00Z", instant.date(), instant.nanos / HOUR as u64),
            None => String::new(),
        }
    }
}

fn number(digits: &str, wanted: usize) -> Option<u32> {
    let all = digits.len() == wanted && digits.bytes().all(|digit| digit.is_ascii_digit());
    if all { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_of_the_ledger_are_read() {
        let at = |text| Instant::parse(text).unwrap();
        let start = at("2024-03-31T01:59:59Z");
        assert!((at("2024-03-31T02:00:00.250Z").since(start) - 1.25).abs() < 1e-9);
        assert!(start.since(at("2024-04-01T00:00:00Z")).abs() < 1e-9);
        assert_eq!(start.hour(), "2024-03-31T01:00Z");
    }

    #[test]
    fn anything_else_is_no_instant() {
        for text in [
            "",
            "2024-03-31",
            "2024-03-31T01:59:59+02:00",
            "2024-02-30T00:00:00Z",
            "2024-03-31T25:00:00Z",
            "éT:Z",
        ] {
            assert_eq!(Instant::parse(text), None, "{text}");
        }
    }
}
