//! Points in time as the three engines' clients spell them.

use crate::engine::Engine;

/// Microseconds of a second, an hour, a day.
pub const SECOND: i64 = 1_000_000;
pub const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// A date and a time in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instant {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    /// Microseconds since midnight.
    pub micros: i64,
}

impl Instant {
    /// `2024-01-31 08:00:00[.123456][Z|+00]`, with a blank or a `T`.
    pub fn read(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', ' '])?;
        let time = time.trim_end_matches('Z').trim_end_matches("+00");
        let numbers = |text: &str, mark| -> Option<Vec<i64>> {
            text.split(mark).map(|part| part.parse().ok()).collect()
        };
        let [year, month, day] = numbers(date, '-')?.try_into().ok()?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
        let [hour, minute, second] = numbers(time, ':')?.try_into().ok()?;
        let fraction: i64 = format!("{fraction:0<6}").parse().ok()?;
        let micros = ((hour * 60 + minute) * 60 + second) * SECOND + fraction;
        Some(Self { year, month, day, micros })
    }

    /// As a target on this engine spells it.
    pub fn spelled(self, engine: Engine) -> String {
        let Self { year, month, day, micros } = self;
        let (fraction, seconds) = (micros % SECOND, micros / SECOND);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let (t, zone) = match engine {
            Engine::Sqlite => ("T", "Z"),
            Engine::Postgres => (" ", "+00"),
            Engine::Mysql => (" ", ""),
        };
        let fraction = match (engine, fraction) {
            (Engine::Sqlite, 0) => String::new(),
            (Engine::Sqlite, _) if fraction % 1_000 == 0 => format!(".{:03}", fraction / 1_000),
            (_, _) => format!(".{fraction:06}"),
        };
        format!("{year:04}-{month:02}-{day:02}{t}{hour:02}:{minute:02}:{second:02}{fraction}{zone}")
    }

    /// So many microseconds later.
    pub fn later(self, micros: i64) -> Self {
        let all = days(self.year, self.month, self.day) * DAY + self.micros + micros;
        let (year, month, day) = civil(all.div_euclid(DAY));
        Self { year, month, day, micros: all.rem_euclid(DAY) }
    }
}

/// Days since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_engine_spells_the_same_instant_in_its_way() {
        let read = |text| Instant::read(text).unwrap();
        let one = read("2024-01-31 08:00:00.51+00");
        assert_eq!(one, read("2024-01-31T08:00:00.510Z"));
        assert_eq!(one, read("2024-01-31 08:00:00.510000"));
        assert_eq!(one.spelled(Engine::Sqlite), "2024-01-31T08:00:00.510Z");
        assert_eq!(one.spelled(Engine::Postgres), "2024-01-31 08:00:00.510000+00");
        assert_eq!(one.spelled(Engine::Mysql), "2024-01-31 08:00:00.510000");
        assert_eq!(Instant::read("08:00:00"), None);
    }

    #[test]
    fn hours_go_over_the_ends_of_days_and_years() {
        let later =
            |text, hours| Instant::read(text).unwrap().later(hours * HOUR).spelled(Engine::Sqlite);
        assert_eq!(later("2024-02-28T23:00:00Z", 2), "2024-02-29T01:00:00Z");
        assert_eq!(later("2023-12-31T20:00:00Z", 7), "2024-01-01T03:00:00Z");
        assert_eq!(later("1970-01-01T00:00:00Z", -1), "1969-12-31T23:00:00Z");
    }
}
