//! Time zones: which instants a local time names.

use jiff::civil;
use jiff::tz::{AmbiguousOffset, TimeZone};
use whimbrel_model::DateTime;
use whimbrel_model::plan::Fold;
use whimbrel_model::time::{Date, NANOS_PER_DAY};

use super::Fault;
use crate::codes;

/// A time zone.
#[derive(Clone, Debug)]
pub struct Zone(Rules);

#[derive(Clone, Debug)]
enum Rules {
    Utc,
    Zone(TimeZone),
}

/// What a local time names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Named {
    /// One instant.
    One(DateTime),
    /// None: the clocks were set forward over it.
    Gap,
    /// Two: the clocks were set back over it.
    Fold {
        /// The first time round.
        earlier: DateTime,
        /// The second time round.
        later: DateTime,
    },
}

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Rules::Utc);

    /// The zone of an IANA name.
    pub fn named(name: &str) -> Option<Self> {
        if matches!(name, "UTC" | "Etc/UTC" | "Z") {
            return Some(Self::UTC);
        }
        TimeZone::get(name).ok().map(|zone| Self(Rules::Zone(zone)))
    }

    /// The instants that a local time names.
    pub fn instants(&self, local: DateTime) -> Named {
        let Rules::Zone(zone) = &self.0 else {
            return Named::One(local);
        };
        let Some(civil) = to_civil(local) else {
            return Named::Gap;
        };
        match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => Named::One(minus(local, offset.seconds())),
            AmbiguousOffset::Gap { .. } => Named::Gap,
            AmbiguousOffset::Fold { before, after } => Named::Fold {
                earlier: minus(local, before.seconds()),
                later: minus(local, after.seconds()),
            },
        }
    }

    /// The one instant that a local time means.
    pub fn instant(&self, local: DateTime, fold: Fold) -> Result<DateTime, Fault> {
        match (self.instants(local), fold) {
            (Named::One(instant), _) => Ok(instant),
            (Named::Gap, _) => Err(gap()),
            (Named::Fold { earlier, .. }, Fold::Earlier) => Ok(earlier),
            (Named::Fold { later, .. }, Fold::Later) => Ok(later),
            (Named::Fold { .. }, Fold::Reject) => {
                Err(Fault::new(codes::TIME_FOLD, "the clocks showed this local time twice"))
            }
        }
    }

    /// The local time at an instant: the inverse of [`Zone::instant`] outside of folds.
    pub fn local(&self, instant: DateTime) -> DateTime {
        let Rules::Zone(zone) = &self.0 else {
            return instant;
        };
        let seconds = i64::from(instant.days) * 86_400 + (instant.nanos / 1_000_000_000) as i64;
        match jiff::Timestamp::from_second(seconds) {
            Ok(timestamp) => minus(instant, -zone.to_offset(timestamp).seconds()),
            // Beyond the years that the zone database knows, its last offset says nothing.
            Err(_) => instant,
        }
    }
}

pub(crate) fn gap() -> Fault {
    Fault::new(codes::TIME_GAP, "the clocks never showed this local time")
}

fn minus(local: DateTime, seconds: i32) -> DateTime {
    let nanos = local.nanos as i64 - i64::from(seconds) * 1_000_000_000;
    let day = NANOS_PER_DAY as i64;
    DateTime {
        days: local.days + nanos.div_euclid(day) as i32,
        nanos: nanos.rem_euclid(day) as u64,
    }
}

fn to_civil(local: DateTime) -> Option<civil::DateTime> {
    let (year, month, day) = Date { days: local.days }.ymd();
    let seconds = (local.nanos / 1_000_000_000) as i32;
    civil::DateTime::new(
        i16::try_from(year).ok()?,
        month as i8,
        day as i8,
        (seconds / 3_600) as i8,
        (seconds / 60 % 60) as i8,
        (seconds % 60) as i8,
        (local.nanos % 1_000_000_000) as i32,
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn local(text: &str) -> DateTime {
        crate::op::timestamp::parse_iso(text).unwrap().local().unwrap()
    }

    fn check(text: &str, fold: Fold, expected: &str) {
        let zone = Zone::named("Europe/Berlin").unwrap();
        let got = zone.instant(local(text), fold);
        let got = got.map_or_else(|fault| fault.code.to_owned(), |instant| format!("{instant}Z"));
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn gaps_are_refused_and_folds_are_declared() {
        check("2024-01-01T00:00:00", Fold::Reject, "2023-12-31T23:00:00Z");
        check("2024-03-31T02:30:00", Fold::Earlier, codes::TIME_GAP);
        check("2024-03-31T03:00:00", Fold::Reject, "2024-03-31T01:00:00Z");
        check("2024-10-27T02:30:00", Fold::Reject, codes::TIME_FOLD);
        check("2024-10-27T02:30:00", Fold::Earlier, "2024-10-27T00:30:00Z");
        check("2024-10-27T02:30:00.5", Fold::Later, "2024-10-27T01:30:00.500Z");
        check("2024-10-27T03:00:00", Fold::Reject, "2024-10-27T02:00:00Z");
    }

    #[test]
    fn unknown_zones_are_not_found() {
        assert!(Zone::named("Europe/Berlinn").is_none());
        assert!(Zone::named("").is_none());
    }

    proptest! {
        #[test]
        fn instants_survive_their_local_time(days in -20_000i32..40_000, nanos in 0..NANOS_PER_DAY) {
            let zone = Zone::named("Europe/Berlin").unwrap();
            let instant = DateTime { days, nanos };
            let back = match zone.instants(zone.local(instant)) {
                Named::One(one) => vec![one],
                Named::Gap => vec![],
                Named::Fold { earlier, later } => vec![earlier, later],
            };
            prop_assert!(back.contains(&instant));
        }
    }
}
