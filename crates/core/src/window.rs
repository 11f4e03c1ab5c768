//! The maintenance window: outside of it a run does not begin, at its end it stops.

use std::time::Duration;

use whimbrel_model::DateTime;
use whimbrel_model::plan::{Outside, Plan, Window};
use whimbrel_transform::zone::Zone;

use crate::error::CoreError;
use crate::event::Event;
use crate::ports::Ports;

const MINUTES_PER_DAY: u32 = 24 * 60;

/// Whether the window is open at an instant, and for how long it stays so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowState {
    /// Open for that long.
    Open(Duration),
    /// Closed for that long.
    Closed(Duration),
}

/// The state of a window at a local time of day, in seconds since midnight.
fn state_at(window: &Window, second_of_day: u32) -> WindowState {
    let (open, close) = (window.open * 60, window.close * 60);
    let until = |target: u32| {
        let day = MINUTES_PER_DAY * 60;
        Duration::from_secs(u64::from((target + day - second_of_day) % day))
    };
    let inside = if open < close {
        (open..close).contains(&second_of_day)
    } else {
        second_of_day >= open || second_of_day < close
    };
    if inside { WindowState::Open(until(close)) } else { WindowState::Closed(until(open)) }
}

/// The state of the plan's window now; `None` without a window.
pub fn state(plan: &Plan, now: DateTime) -> Option<WindowState> {
    let window = plan.window.as_ref()?;
    let zone = plan.timezone.as_ref().map_or("UTC", |zone| zone.value.as_str());
    let local = Zone::named(zone).map_or(now, |zone| zone.local(now));
    Some(state_at(window, (local.nanos / 1_000_000_000) as u32))
}

/// Waits for the window, or refuses, as the plan says.
pub(crate) async fn wait_or_refuse(ports: &Ports, plan: &Plan) -> Result<(), CoreError> {
    loop {
        let now = ports.clock.now();
        let Some(WindowState::Closed(wait)) = state(plan, now) else { return Ok(()) };
        let outside = plan.window.as_ref().map_or(Outside::Refuse, |window| window.outside);
        match outside {
            Outside::Refuse => {
                let nanos = now.unix_nanos() + wait.as_nanos().cast_signed();
                let opens = DateTime::from_unix_nanos(nanos)
                    .map_or_else(String::new, crate::ports::rfc3339);
                return Err(CoreError::OutsideWindow { opens });
            }
            Outside::Wait => {
                ports.events.emit(Event::Waiting { seconds: wait.as_secs() });
                wait_for(ports, wait).await?;
            }
        }
    }
}

/// Sleeps in short turns, so that Ctrl-C is heard.
async fn wait_for(ports: &Ports, wait: Duration) -> Result<(), CoreError> {
    let end = ports.clock.monotonic() + wait;
    while ports.clock.monotonic() < end {
        if ports.cancel.reason().is_some() {
            return Err(CoreError::Refused("interrupted while waiting for the window".to_owned()));
        }
        let left = end.saturating_sub(ports.clock.monotonic());
        tokio::time::sleep(left.min(Duration::from_millis(200))).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(open: u32, close: u32, at: u32, expect: WindowState) {
        let window = Window { open: open * 60, close: close * 60, outside: Outside::Refuse };
        assert_eq!(state_at(&window, at * 3600), expect);
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_secs(hours * 3600)
    }

    #[test]
    fn a_window_within_a_day() {
        check(2, 5, 3, WindowState::Open(hours(2)));
        check(2, 5, 5, WindowState::Closed(hours(21)));
        check(2, 5, 0, WindowState::Closed(hours(2)));
    }

    #[test]
    fn a_window_over_midnight() {
        check(22, 4, 23, WindowState::Open(hours(5)));
        check(22, 4, 3, WindowState::Open(hours(1)));
        check(22, 4, 12, WindowState::Closed(hours(10)));
    }
}
