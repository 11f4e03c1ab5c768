//! How fast a load goes: batches as large as the target takes in good time, at most so many rows a
//! second, and less while others on the target have to wait.
//!
//! ```text
//! batch ─▶ pressure, once a second ─▶ commit ─▶ rate: behind the limit? ─▶ rest ─▶ next batch
//! strain      0 ── lock waits, lag, slow answers: +1, up to 4 ──▶ batches halve, rests double
//! ```
//! Rests lie between transactions: nothing is locked meanwhile. What is loaded does not depend on it.

use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::{Pressure, Target};
use whimbrel_model::plan::Plan;

use crate::cancel::Cancel;
use crate::event::{Emitter, Event};
use crate::options::Options;
use crate::ports::{Clock, Ports};

/// A batch is closed at this many rows, where nothing else is said.
const BATCH_ROWS: u64 = 100_000;
/// Batches do not become smaller than this by themselves.
const BATCH_ROWS_LEAST: u64 = 1_000;
/// A commit that takes longer halves the next batches …
const COMMIT_SLOW: Duration = Duration::from_secs(1);
/// … and one that takes less lets them grow again.
const COMMIT_FAST: Duration = Duration::from_millis(250);
/// The target is asked at most this often how it is.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// A replica that is further behind is too far behind.
const LAG_MAX: Duration = Duration::from_secs(5);
/// An answer that takes so many times as long as the quickest one, …
const SLOWER_THAN_BEST: u32 = 8;
/// … and not less than this, is slow.
const ROUND_TRIP_SLOW: Duration = Duration::from_millis(20);
/// The highest strain: batches of a sixteenth, rests of 1.6 s.
const STRAIN_MAX: u32 = 4;
/// The rest at a strain of 0, which is not taken; it doubles with each step.
const REST: Duration = Duration::from_millis(100);
/// Whoever rests looks this often whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The pace of a run.
pub(crate) struct Pace {
    target: Arc<dyn Target>,
    clock: Arc<dyn Clock>,
    events: Emitter,
    cancel: Cancel,
    /// Rows per second at most.
    rate: Option<u64>,
    /// Rows of a batch that a person has said.
    fixed: Option<u64>,
    /// Rows of a batch, as commits go.
    rows: u64,
    /// When the rows so far are within the rate.
    ready: Duration,
    asked: Option<Duration>,
    best: Option<Duration>,
    strain: u32,
}

impl Pace {
    pub(crate) fn new(ports: &Ports, plan: &Plan, options: &Options) -> Self {
        Self {
            target: Arc::clone(&ports.target),
            clock: Arc::clone(&ports.clock),
            events: ports.events.clone(),
            cancel: ports.cancel.clone(),
            rate: options.max_rate.or(plan.run.max_rate),
            fixed: options.batch_size.or(plan.run.batch_size),
            rows: BATCH_ROWS,
            ready: Duration::ZERO,
            asked: None,
            best: None,
            strain: 0,
        }
    }

    /// Rows of the next batch: each failure of a batch halves it, and so does each step of strain.
    /// Where there is a rate, a batch is at most half a second of it.
    pub(crate) fn batch_rows(&self, failures: u32) -> u64 {
        let wanted = self.fixed.unwrap_or(self.rows);
        let wanted = self.rate.map_or(wanted, |rate| wanted.min(rate / 2));
        (wanted >> (failures.min(16) + self.strain)).max(1)
    }

    /// A batch of so many rows was begun then, and its commit took so long. Rests where it has to.
    pub(crate) async fn after_batch(&mut self, rows: u64, began: Duration, commit: Duration) {
        self.adapt(rows, commit);
        let behind = self.behind(rows, began);
        let strained = if self.strain == 0 { Duration::ZERO } else { REST * (1 << self.strain) };
        self.rest(behind.max(strained)).await;
    }

    /// Asks the target how it is, if it is time to. While the batch is still open: whoever waits for
    /// its locks can be seen now.
    pub(crate) async fn before_commit(&mut self) {
        let now = self.clock.monotonic();
        if self.asked.is_none_or(|asked| now.saturating_sub(asked) >= ASK_EVERY) {
            self.asked = Some(now);
            // A target that cannot be asked says so at the commit.
            if let Ok(pressure) = self.target.pressure().await {
                self.feel(pressure);
            }
        }
    }

    /// Batches that are slow to commit become smaller, small ones that are quick grow again.
    fn adapt(&mut self, rows: u64, commit: Duration) {
        if commit > COMMIT_SLOW {
            self.rows = (rows.min(self.rows) / 2).max(BATCH_ROWS_LEAST);
        } else if commit < COMMIT_FAST && rows >= self.rows {
            self.rows = (self.rows * 2).min(BATCH_ROWS);
        }
    }

    /// How long to wait until the rows so far are within the rate.
    fn behind(&mut self, rows: u64, began: Duration) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let allowance = Duration::from_secs_f64(rows as f64 / rate as f64);
        self.ready = self.ready.max(began) + allowance;
        self.ready.saturating_sub(self.clock.monotonic())
    }

    fn feel(&mut self, pressure: Pressure) {
        let best = self.best.map_or(pressure.round_trip, |best| best.min(pressure.round_trip));
        self.best = Some(best);
        let slow = pressure.round_trip > ROUND_TRIP_SLOW.max(best * SLOWER_THAN_BEST);
        let lags = pressure.replica_lag.is_some_and(|lag| lag > LAG_MAX);
        let before = self.strain;
        self.strain = if pressure.lock_waits > 0 || lags || slow {
            (before + 1).min(STRAIN_MAX)
        } else {
            before.saturating_sub(1)
        };
        if self.strain == before {
            return;
        }
        let pause = if self.strain == 0 { Duration::ZERO } else { REST * (1 << self.strain) };
        self.events.emit(Event::Pressure {
            strain: self.strain,
            lock_waits: pressure.lock_waits,
            replica_lag_seconds: pressure.replica_lag.map(|lag| lag.as_secs_f64()),
            round_trip_ms: pressure.round_trip.as_secs_f64() * 1000.0,
            pause_seconds: pause.as_secs_f64(),
            batch_rows: self.batch_rows(0),
        });
    }

    /// Rests, unless the run is to stop.
    async fn rest(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() && self.cancel.reason().is_none() {
            let nap = left.min(LOOK_EVERY);
            self.clock.sleep(nap).await;
            left -= nap;
        }
    }
}
