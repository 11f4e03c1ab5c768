//! What a run needs from outside, as tests want it: time stands still, rejects spill into memory,
//! processes that a test has ended are dead, and events are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use whimbrel_core::event::{Event, Numbered, Observer};
use whimbrel_core::{Cancel, Clock, Liveness, Spill, StopReason};
use whimbrel_endpoint::{EndpointError, Holder};
use whimbrel_model::DateTime;
use whimbrel_validator::rules::{Command, Commands, Ended};

/// Time that stands still.
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> DateTime {
        DateTime::from_unix_nanos(1_700_000_000_000_000_000).expect("a moment of 2023")
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// Time that goes by only where somebody sleeps.
#[derive(Default)]
pub(crate) struct Asleep(AtomicU64);

#[async_trait]
impl Clock for Asleep {
    fn now(&self) -> DateTime {
        Stopped.now()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }

    async fn sleep(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).expect("nobody sleeps that long");
        self.0.fetch_add(nanos, Ordering::SeqCst);
    }
}

/// Bytes of long rejects, by the name they are found by.
#[derive(Default)]
pub(crate) struct Kept(Mutex<BTreeMap<String, Vec<u8>>>);

impl Kept {
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Spill for Kept {
    fn keep(&self, run: &str, step: u64, unit: u64, bytes: &[u8]) -> Result<String, EndpointError> {
        let name = format!("{run}-{step}-{unit}");
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.clone(), bytes.to_vec());
        Ok(name)
    }
}

/// Processes, told apart by when they started, that are known to be dead.
#[derive(Clone, Default)]
pub(crate) struct Dead(Arc<Mutex<BTreeSet<u64>>>);

impl Dead {
    pub(crate) fn add(&self, started: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(started);
    }
}

impl Liveness for Dead {
    fn is_dead(&self, holder: &Holder) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&holder.started)
    }
}

/// Counts retries and checkpoints; asks the run to stop at one of these, where a test says so.
pub(crate) struct Ear {
    pub(crate) stop_at: Option<u64>,
    pub(crate) cancel: Cancel,
    pub(crate) heard: Mutex<Heard>,
}

/// What was heard of a process.
#[derive(Clone, Default, Debug)]
pub(crate) struct Heard {
    pub(crate) retries: u32,
    pub(crate) checkpoints: u64,
    /// Strain, rest in seconds and rows of a batch, whenever they changed.
    pub(crate) pressures: Vec<(u32, f64, u64)>,
    pub(crate) warnings: Vec<&'static str>,
}

impl Observer for Ear {
    fn event(&self, event: &Numbered) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.event {
            Event::Retry { .. } => heard.retries += 1,
            Event::Warning { code, .. } => heard.warnings.push(code),
            Event::Pressure { strain, pause_seconds, batch_rows, .. } => {
                heard.pressures.push((*strain, *pause_seconds, *batch_rows));
            }
            Event::Checkpoint { .. } => {
                heard.checkpoints += 1;
                if self.stop_at == Some(heard.checkpoints) {
                    self.cancel.stop(StopReason::Interrupt);
                }
            }
            Event::RunStarted { .. }
            | Event::PhaseStarted { .. }
            | Event::PhaseFinished { .. }
            | Event::StepStarted { .. }
            | Event::Progress(_)
            | Event::StepFinished { .. }
            | Event::Indexes { .. }
            | Event::RelateStarted { .. }
            | Event::RelateFinished { .. }
            | Event::RelateTakenBack { .. }
            | Event::Waiting { .. }
            | Event::RunFinished { .. } => {}
        }
    }
}

/// Runs no program.
pub(crate) struct Nobody;

#[async_trait]
impl Commands for Nobody {
    async fn run(&self, _: Command) -> Ended {
        Ended::NotStarted("nobody runs programs here".to_owned())
    }
}
