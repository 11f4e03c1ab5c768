//! Days, times of day and instants as plain numbers, with their ISO 8601 text.
//!
//! Day arithmetic follows Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms"
//! (proleptic Gregorian, exact for every `i32` day). Zones are not known here.

use std::fmt;

/// Nanoseconds in a day without leap seconds.
pub const NANOS_PER_DAY: u64 = 86_400_000_000_000;

/// A calendar day, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    /// Days since 1970-01-01; negative before.
    pub days: i32,
}

/// A time of day in nanoseconds; signed, because MySQL's TIME is a duration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time {
    /// Nanoseconds since midnight.
    pub nanos: i64,
}

/// A date and a time of day; what zone it is in is said by the value's kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DateTime {
    /// Days since 1970-01-01.
    pub days: i32,
    /// Nanoseconds since midnight, below [`NANOS_PER_DAY`].
    pub nanos: u64,
}

impl Date {
    /// From year, month and day of the proleptic Gregorian calendar, if they name a day.
    pub fn from_ymd(year: i32, month: u8, day: u8) -> Option<Self> {
        if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
            return None;
        }
        let shifted = i64::from(year) - i64::from(month <= 2);
        let era = shifted.div_euclid(400);
        let year_of_era = shifted.rem_euclid(400);
        let month_index = (i64::from(month) + 9) % 12;
        let day_of_year = (153 * month_index + 2) / 5 + i64::from(day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        i32::try_from(era * 146_097 + day_of_era - 719_468).ok().map(|days| Self { days })
    }

    /// Year, month, day.
    pub fn ymd(self) -> (i32, u8, u8) {
        let shifted = i64::from(self.days) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        (year as i32, month as u8, day as u8)
    }
}

/// Days in a month of the proleptic Gregorian calendar.
pub fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

impl DateTime {
    /// From nanoseconds since 1970-01-01T00:00:00; `None` outside the range of days.
    pub fn from_unix_nanos(nanos: i128) -> Option<Self> {
        let per_day = i128::from(NANOS_PER_DAY);
        let days = i32::try_from(nanos.div_euclid(per_day)).ok()?;
        Some(Self { days, nanos: nanos.rem_euclid(per_day) as u64 })
    }

    /// Nanoseconds since 1970-01-01T00:00:00.
    pub fn unix_nanos(self) -> i128 {
        i128::from(self.days) * i128::from(NANOS_PER_DAY) + i128::from(self.nanos)
    }

    /// The day.
    pub fn date(self) -> Date {
        Date { days: self.days }
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        if (0..=9999).contains(&year) {
            write!(f, "{year:04}-{month:02}-{day:02}")
        } else {
            write!(f, "{year:+07}-{month:02}-{day:02}")
        }
    }
}

fn write_clock(f: &mut fmt::Formatter<'_>, nanos: u64) -> fmt::Result {
    let seconds = nanos / 1_000_000_000;
    write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
    let fraction = nanos % 1_000_000_000;
    if fraction == 0 {
        return Ok(());
    }
    if fraction.is_multiple_of(1_000_000) {
        write!(f, ".{:03}", fraction / 1_000_000)
    } else if fraction.is_multiple_of(1_000) {
        write!(f, ".{:06}", fraction / 1_000)
    } else {
        write!(f, ".{fraction:09}")
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos < 0 {
            f.write_str("-")?;
        }
        write_clock(f, self.nanos.unsigned_abs())
    }
}

/// `2024-03-31T01:59:59.250`: a fraction of 0, 3, 6 or 9 digits, the fewest that are exact.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T", self.date())?;
        write_clock(f, self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days() {
        assert_eq!(Date::from_ymd(1970, 1, 1), Some(Date { days: 0 }));
        assert_eq!(Date::from_ymd(2000, 2, 29).unwrap().days, 11_016);
        assert_eq!(Date::from_ymd(1900, 2, 29), None);
        assert_eq!(Date { days: -719_528 }.to_string(), "0000-01-01");
    }

    #[test]
    fn fraction_is_the_fewest_exact_digits() {
        let at = |nanos| DateTime { days: 0, nanos }.to_string();
        assert_eq!(at(250_000_000), "1970-01-01T00:00:00.250");
        assert_eq!(at(1), "1970-01-01T00:00:00.000000001");
        assert_eq!(at(0), "1970-01-01T00:00:00");
    }

    proptest! {
        #[test]
        fn a_day_survives_its_calendar_form(days in -100_000_000i32..100_000_000) {
            let (year, month, day) = Date { days }.ymd();
            prop_assert_eq!(Date::from_ymd(year, month, day), Some(Date { days }));
        }

        #[test]
        fn an_instant_survives_its_nanoseconds(days in any::<i32>(), nanos in 0..NANOS_PER_DAY) {
            let instant = DateTime { days, nanos };
            prop_assert_eq!(DateTime::from_unix_nanos(instant.unix_nanos()), Some(instant));
        }
    }
}
