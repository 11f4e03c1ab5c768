//! Clock times without a date, read in order: which day it is, and which side of a repeated hour.
//!
//! ```text
//! start 23:59:58 │ 23:59:59  00:00:01 │ 02:59:59  02:00:00 │ 03:00:00
//!                            └ day + 1             └ later (the zone repeats 02:xx that day)
//! ```
//! More than 12 hours back is midnight; more than 23 hours ahead, once midnight has passed, is a clock
//! that was set back over it: the evening before again. 30 to 90 minutes back into an hour that the zone repeats is
//! the second time round, until that hour ends; so is any step back into it from after it. Every
//! other step back is a clock that was corrected: the day stays.

use whimbrel_model::DateTime;

use super::Fault;
use super::zone::{self, Named, Zone};

const MINUTE: u64 = 60_000_000_000;
const HALF_DAY: u64 = 12 * 60 * MINUTE;
const ALMOST_A_DAY: u64 = 23 * 60 * MINUTE;

/// How far the clock has come. It is part of a mark, so that reading can go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockState {
    /// The local time read last.
    pub local: DateTime,
    /// In a repeated hour: the second time round.
    pub later: bool,
    /// The local day of the start, which times never go back behind.
    pub first_day: i32,
}

impl ClockState {
    /// At the instant from which clock times count.
    pub fn new(start: DateTime, zone: &Zone) -> Self {
        let local = zone.local(start);
        let later = matches!(zone.instants(local), Named::Fold { later, .. } if later == start);
        Self { local, later, first_day: local.days }
    }

    /// Reads the next clock time (nanoseconds since midnight) and says which instant it is.
    ///
    /// `later` decides where a repeated hour is entered without a step back.
    pub fn advance(&mut self, clock: u64, zone: &Zone, later: bool) -> Result<DateTime, Fault> {
        let was = self.local;
        let (back, ahead) = (was.nanos.saturating_sub(clock), clock.saturating_sub(was.nanos));
        let over_midnight = ahead > ALMOST_A_DAY && was.days > self.first_day;
        let days = was.days + i32::from(back > HALF_DAY) - i32::from(over_midnight);
        let local = DateTime { days, nanos: clock };
        match zone.instants(local) {
            // A time that never was says nothing about the next one.
            Named::Gap => Err(zone::gap()),
            Named::One(instant) => {
                *self = Self { local, later: false, ..*self };
                Ok(instant)
            }
            Named::Fold { earlier, later: second } => {
                let stepped = (30 * MINUTE..=90 * MINUTE).contains(&back);
                let entered = !matches!(zone.instants(was), Named::Fold { .. });
                let from_after = entered && back > 0 && back <= HALF_DAY;
                self.local = local;
                self.later |= stepped || from_after || (entered && later);
                Ok(if self.later { second } else { earlier })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::timestamp::{parse_clock, parse_iso};
    use expect_test::{Expect, expect};

    fn check(start: &str, clocks: &[&str], expected: &Expect) {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let start = zone.instant(
            parse_iso(start).unwrap().local().unwrap(),
            whimbrel_model::plan::Fold::Earlier,
        );
        let mut state = ClockState::new(start.unwrap(), &zone);
        let lines: Vec<String> = clocks
            .iter()
            .map(|clock| match state.advance(parse_clock(clock).unwrap(), &zone, false) {
                Ok(instant) => format!("{clock} {instant}Z"),
                Err(fault) => format!("{clock} {}", fault.code),
            })
            .collect();
        expected.assert_eq(&lines.join("\n"));
    }

    #[test]
    fn midnight_is_a_step_back_of_more_than_twelve_hours() {
        check(
            "2024-05-31T23:59:58",
            &["23:59:59.5", "00:00:00", "23:00:00", "00:10:00"],
            &expect![[r"
            23:59:59.5 2024-05-31T21:59:59.500Z
            00:00:00 2024-05-31T22:00:00Z
            23:00:00 2024-06-01T21:00:00Z
            00:10:00 2024-06-01T22:10:00Z"]],
        );
    }

    #[test]
    fn a_file_named_just_before_midnight_begins_the_next_day() {
        check(
            "2024-05-31T23:59:59",
            &["00:00:00.1"],
            &expect!["00:00:00.1 2024-05-31T22:00:00.100Z"],
        );
    }

    #[test]
    fn a_clock_set_back_over_midnight_shows_the_evening_before_again() {
        check(
            "2024-05-31T23:59:58",
            &["00:00:01", "23:59:58.5", "00:00:02", "23:30:00"],
            &expect![[r#"
                00:00:01 2024-05-31T22:00:01Z
                23:59:58.5 2024-05-31T21:59:58.500Z
                00:00:02 2024-05-31T22:00:02Z
                23:30:00 2024-05-31T21:30:00Z"#]],
        );
        check("2024-05-31T00:00:05", &["23:59:59"], &expect!["23:59:59 2024-05-31T21:59:59Z"]);
    }

    #[test]
    fn small_steps_back_keep_the_day() {
        check(
            "2024-05-31T12:00:00",
            &["12:00:05", "12:00:03", "11:00:00"],
            &expect![[r"
            12:00:05 2024-05-31T10:00:05Z
            12:00:03 2024-05-31T10:00:03Z
            11:00:00 2024-05-31T09:00:00Z"]],
        );
    }

    #[test]
    fn the_repeated_hour_is_told_by_the_step_back() {
        check(
            "2024-10-27T01:59:00",
            &["02:00:00", "02:59:59", "02:00:00", "02:59:58", "02:59:50", "03:00:00", "02:59:59"],
            &expect![[r"
            02:00:00 2024-10-27T00:00:00Z
            02:59:59 2024-10-27T00:59:59Z
            02:00:00 2024-10-27T01:00:00Z
            02:59:58 2024-10-27T01:59:58Z
            02:59:50 2024-10-27T01:59:50Z
            03:00:00 2024-10-27T02:00:00Z
            02:59:59 2024-10-27T01:59:59Z"]],
        );
    }

    #[test]
    fn a_correction_of_seconds_within_the_repeated_hour_stays_on_its_side() {
        check(
            "2024-10-27T01:59:00",
            &["02:30:00", "02:29:58", "02:30:01"],
            &expect![[r"
            02:30:00 2024-10-27T00:30:00Z
            02:29:58 2024-10-27T00:29:58Z
            02:30:01 2024-10-27T00:30:01Z"]],
        );
    }

    #[test]
    fn the_missing_hour_is_refused() {
        check(
            "2024-03-31T01:59:59",
            &["02:00:00", "03:00:00"],
            &expect![[r"
            02:00:00 WB0237
            03:00:00 2024-03-31T01:00:00Z"]],
        );
    }
}
