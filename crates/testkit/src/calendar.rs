//! The clock on the wall in Berlin, from the rule of the European Union (since 1996): one hour
//! ahead of UTC, two from the last Sunday of March, 01:00 UTC, to that of October.

/// Milliseconds in an hour.
pub(crate) const HOUR: i64 = 3_600_000;

/// What a clock shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    /// Milliseconds since midnight on the clock.
    pub(crate) millis: i64,
}

impl Clock {
    /// The clock in UTC at `millis` since 1970.
    pub(crate) fn utc(millis: i64) -> Self {
        let (year, month, day) = civil(millis.div_euclid(24 * HOUR));
        Self { year, month, day, millis: millis.rem_euclid(24 * HOUR) }
    }

    /// The clock in Berlin at `millis` since 1970.
    pub(crate) fn berlin(millis: i64) -> Self {
        Self::utc(millis + offset(millis))
    }

    /// `HH:MM:SS.mmm`
    pub(crate) fn time(self) -> String {
        let seconds = self.millis / 1000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        format!("{hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, self.millis % 1000)
    }

    /// `YYYYMMDD_HHMMSS`
    pub(crate) fn stamp(self) -> String {
        let seconds = self.millis / 1000;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        format!(
            "{:04}{:02}{:02}_{hours:02}{minutes:02}{:02}",
            self.year,
            self.month,
            self.day,
            seconds % 60
        )
    }
}

/// Milliseconds since 1970 of a UTC date and time.
pub(crate) fn utc(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> i64 {
    ((days(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000
}

fn offset(millis: i64) -> i64 {
    let (year, _, _) = civil(millis.div_euclid(24 * HOUR));
    let change = |month| last_sunday(year, month) * 24 * HOUR + HOUR;
    if (change(3)..change(10)).contains(&millis) { 2 * HOUR } else { HOUR }
}

fn last_sunday(year: i64, month: i64) -> i64 {
    let last = days(year, month, 31);
    last - (last + 4).rem_euclid(7) // 1970-01-01 was a Thursday
}

/// Days since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_go_forward_in_march() {
        let change = utc(2023, 3, 26, 1, 0, 0);
        assert_eq!(Clock::berlin(change - 250).time(), "01:59:59.750");
        assert_eq!(Clock::berlin(change).time(), "03:00:00.000");
    }

    #[test]
    fn clocks_go_back_in_october() {
        let change = utc(2023, 10, 29, 1, 0, 0);
        assert_eq!(Clock::berlin(change - 250).time(), "02:59:59.750");
        assert_eq!(Clock::berlin(change).time(), "02:00:00.000");
    }

    #[test]
    fn a_stamp_is_what_the_logger_names_its_files_by() {
        assert_eq!(Clock::berlin(utc(2023, 6, 2, 21, 59, 50)).stamp(), "20230602_235950");
    }
}
