//! One flag that asks a run to stop at the next checkpoint, and why.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Why a run was asked to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopReason {
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// The deadline has passed.
    Deadline,
    /// The maintenance window has closed.
    WindowClosed,
    /// Too many rejects.
    RejectLimit,
}

/// Shared by whoever may ask and whoever has to listen.
#[derive(Clone, Default, Debug)]
pub struct Cancel(Arc<AtomicU8>);

impl Cancel {
    /// Asks to stop. The first reason stays.
    pub fn stop(&self, reason: StopReason) {
        let code = reason as u8 + 1;
        let _first_wins = self.0.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Why to stop, if at all.
    pub fn reason(&self) -> Option<StopReason> {
        const REASONS: [StopReason; 5] = [
            StopReason::Interrupt,
            StopReason::Terminate,
            StopReason::Deadline,
            StopReason::WindowClosed,
            StopReason::RejectLimit,
        ];
        let code = usize::from(self.0.load(Ordering::SeqCst));
        code.checked_sub(1).map(|index| REASONS[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stays() {
        let cancel = Cancel::default();
        assert_eq!(cancel.reason(), None);
        cancel.stop(StopReason::Deadline);
        cancel.stop(StopReason::Interrupt);
        assert_eq!(cancel.reason(), Some(StopReason::Deadline));
    }
}
