//! The maintenance window: outside of it a run does not begin, at its end it stops.

use std::time::Duration;

use whimbrel_model::DateTime;
use whimbrel_model::plan::{Outside, Plan, Window};
use whimbrel_transform::zone::{Named, Zone};

use crate::error::CoreError;
use crate::event::Event;
use crate::ports::{Ports, rfc3339};

const NANOS_PER_MINUTE: u64 = 60_000_000_000;

/// Whether the window is open at an instant, and for how long it stays so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowState {
    /// Open for that long.
    Open(Duration),
    /// Closed for that long.
    Closed(Duration),
}

/// The state of a window at an instant, by the clocks of a zone.
fn state_at(window: &Window, zone: &Zone, now: DateTime) -> WindowState {
    let (open, close) = (window.open, window.close);
    let minute = (zone.local(now).nanos / NANOS_PER_MINUTE) as u32;
    let inside = if open < close {
        (open..close).contains(&minute)
    } else {
        minute >= open || minute < close
    };
    let until = |minute| {
        let nanos = next(zone, now, minute).unix_nanos() - now.unix_nanos();
        Duration::from_nanos(nanos as u64)
    };
    if inside { WindowState::Open(until(close)) } else { WindowState::Closed(until(open)) }
}

/// The next instant at which the clocks of a zone show a minute of the day; where they are set
/// forward over it, what they show then.
fn next(zone: &Zone, now: DateTime, minute: u32) -> DateTime {
    let nanos = u64::from(minute) * NANOS_PER_MINUTE;
    let mut local = DateTime { days: zone.local(now).days, nanos };
    loop {
        let shown = match zone.instants(local) {
            Named::One(instant) => instant,
            Named::Fold { earlier, later } => {
                if earlier > now {
                    earlier
                } else {
                    later
                }
            }
            Named::Gap => {
                local = after(local, NANOS_PER_MINUTE);
                continue;
            }
        };
        if shown > now {
            return shown;
        }
        local = DateTime { days: local.days + 1, nanos };
    }
}

fn after(time: DateTime, nanos: u64) -> DateTime {
    DateTime::from_unix_nanos(time.unix_nanos() + i128::from(nanos))
        .expect("a day after one of ours")
}

/// The state of the plan's window now; `None` without a window.
pub fn state(plan: &Plan, now: DateTime) -> Option<WindowState> {
    let window = plan.window.as_ref()?;
    Some(state_at(window, &zone(plan).1, now))
}

/// The plan's zone with its name.
fn zone(plan: &Plan) -> (&str, Zone) {
    let name = plan.timezone.as_ref().map_or("UTC", |zone| zone.value.as_str());
    Zone::named(name).map_or(("UTC", Zone::UTC), |zone| (name, zone))
}

/// Waits for the window, or refuses, as the plan says.
pub(crate) async fn wait_or_refuse(ports: &Ports, plan: &Plan) -> Result<(), CoreError> {
    loop {
        let now = ports.clock.now();
        let Some(WindowState::Closed(wait)) = state(plan, now) else { return Ok(()) };
        let outside = plan.window.as_ref().map_or(Outside::Refuse, |window| window.outside);
        match outside {
            Outside::Refuse => {
                return Err(CoreError::OutsideWindow { opens: opens(plan, now, wait) });
            }
            Outside::Wait => {
                ports.events.emit(Event::Waiting { seconds: wait.as_secs() });
                wait_for(ports, wait).await?;
            }
        }
    }
}

/// When the window opens, by the plan's clocks and as an instant.
fn opens(plan: &Plan, now: DateTime, wait: Duration) -> String {
    let (name, zone) = zone(plan);
    let opens = after(now, wait.as_nanos() as u64);
    let minute = zone.local(opens).nanos / NANOS_PER_MINUTE;
    format!("{:02}:{:02} in {name} ({})", minute / 60, minute % 60, rfc3339(opens))
}

/// Sleeps in short turns, so that Ctrl-C is heard.
async fn wait_for(ports: &Ports, wait: Duration) -> Result<(), CoreError> {
    let end = ports.clock.monotonic() + wait;
    while ports.clock.monotonic() < end {
        if let Some(reason) = ports.cancel.reason() {
            return Err(CoreError::StoppedWaiting(reason));
        }
        let left = end.saturating_sub(ports.clock.monotonic());
        tokio::time::sleep(left.min(Duration::from_millis(200))).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use whimbrel_model::plan::Fold;
    use whimbrel_model::time::Date;

    use super::*;

    /// At a local time of Berlin, given as day of the year 2024, hour, minute.
    fn check((open, close): (u32, u32), (month, day): (u8, u8), at: &str, expect: WindowState) {
        let window = Window { open: open * 60, close: close * 60, outside: Outside::Refuse };
        let zone = Zone::named("Europe/Berlin").unwrap();
        let mut clock = at.split(':').map(|part| part.parse::<f64>().unwrap());
        let seconds =
            clock.next().unwrap() * 3600.0 + clock.next().unwrap() * 60.0 + clock.next().unwrap();
        let days = Date::from_ymd(2024, month, day).unwrap().days;
        let local = DateTime { days, nanos: (seconds * 1e9) as u64 };
        let now = zone.instant(local, Fold::Earlier).unwrap();
        assert_eq!(state_at(&window, &zone, now), expect);
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_hours(hours)
    }

    #[test]
    fn a_window_within_a_day() {
        check((2, 5), (6, 1), "3:00:00", WindowState::Open(hours(2)));
        check((2, 5), (6, 1), "5:00:00", WindowState::Closed(hours(21)));
        check((2, 5), (6, 1), "0:00:00", WindowState::Closed(hours(2)));
    }

    #[test]
    fn a_window_over_midnight() {
        check((22, 4), (6, 1), "23:00:00", WindowState::Open(hours(5)));
        check((22, 4), (6, 1), "3:00:00", WindowState::Open(hours(1)));
        check((22, 4), (6, 1), "12:00:00", WindowState::Closed(hours(10)));
    }

    #[test]
    fn a_window_closes_on_the_minute_and_not_a_second_later() {
        check((2, 5), (6, 1), "4:59:59.75", WindowState::Open(Duration::from_millis(250)));
        check((2, 5), (6, 1), "1:59:59.75", WindowState::Closed(Duration::from_millis(250)));
    }

    #[test]
    fn a_night_in_which_the_clocks_are_set_is_longer_or_shorter() {
        check((22, 5), (3, 30), "23:00:00", WindowState::Open(hours(5)));
        check((22, 5), (10, 26), "23:00:00", WindowState::Open(hours(7)));
        // 2:00 is not shown on 31 March: the window opens at 3:00, an hour after 1:00.
        check((2, 5), (3, 31), "1:00:00", WindowState::Closed(hours(1)));
    }
}
