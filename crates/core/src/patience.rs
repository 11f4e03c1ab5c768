//! Trying again after errors that may pass, where a transaction is one of a kind: the beginning of a
//! run, its tables, a step of SQL, its end. (Batches have their own way: they begin again at marks.)
//!
//! ```text
//! attempt ─ transient or unheard ─▶ wait ─▶ renew the lease ─▶ attempt, which looks first
//!                                           └ waits for a commit of ours that is still in flight
//! ```

use std::time::Duration;

use whimbrel_endpoint::{EndpointError, ErrorClass};

use crate::error::CoreError;
use crate::event::Event;
use crate::lease::Lease;
use crate::ports::Ports;

/// How often something is tried again.
pub(crate) struct Patience<'a> {
    ports: &'a Ports,
    lease: &'a Lease,
    retries: u32,
}

impl<'a> Patience<'a> {
    pub(crate) fn new(ports: &'a Ports, retries: u32, lease: &'a Lease) -> Self {
        Self { ports, lease, retries }
    }

    /// Carries out one transaction. `attempt` is told whether an earlier one may have been committed
    /// without an answer: then it has to look first.
    pub(crate) async fn carry_out<T>(
        &self,
        mut attempt: impl AsyncFnMut(bool) -> Result<T, CoreError>,
    ) -> Result<T, CoreError> {
        let mut failures = 0;
        loop {
            let error = match self.once(failures > 0, &mut attempt).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let message = passing(&error).filter(|_| failures < self.retries);
            let Some(message) = message else { return Err(error) };
            failures += 1;
            pause(self.ports, failures, message).await;
        }
    }

    async fn once<T>(
        &self,
        again: bool,
        attempt: &mut impl AsyncFnMut(bool) -> Result<T, CoreError>,
    ) -> Result<T, CoreError> {
        if again {
            let doing = "renewing the lease".to_owned();
            self.lease.renew().await.map_err(|source| CoreError::Endpoint { doing, source })?;
        }
        attempt(again).await
    }
}

/// Tries something that needs no lease and does no harm when it is done twice.
pub(crate) async fn repeatedly<T>(
    ports: &Ports,
    retries: u32,
    mut attempt: impl AsyncFnMut() -> Result<T, CoreError>,
) -> Result<T, CoreError> {
    let mut failures = 0;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let message = passing(&error).filter(|_| failures < retries);
        let Some(message) = message else { return Err(error) };
        failures += 1;
        pause(ports, failures, message).await;
    }
}

/// Whether the same may succeed in a moment.
pub(crate) fn passes(error: &EndpointError) -> bool {
    matches!(error.class, ErrorClass::Transient | ErrorClass::Unknown)
}

/// Why an error that may pass happened.
fn passing(error: &CoreError) -> Option<String> {
    match error {
        CoreError::Endpoint { source, .. } if passes(source) => Some(source.to_string()),
        _ => None,
    }
}

/// Tells of a failure and waits until it is time for the next attempt.
pub(crate) async fn pause(ports: &Ports, attempt: u32, message: String) {
    let wait = backoff(attempt, ports.clock.monotonic());
    ports.events.emit(Event::Retry { attempt, wait_seconds: wait.as_secs_f64(), message });
    ports.clock.sleep(wait).await;
}

/// 0.2 s, 0.4 s, 0.8 s … up to 15 s, and up to as much again, so that two runs do not meet.
fn backoff(attempt: u32, salt: Duration) -> Duration {
    let base =
        Duration::from_millis(200).saturating_mul(1 << attempt.min(8)).min(Duration::from_secs(30));
    let jitter = f64::from(salt.subsec_nanos() % 1000) / 2000.0;
    base.mul_f64(0.5 + jitter)
}
