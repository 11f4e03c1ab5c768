//! One flag that asks a run to stop at the next checkpoint, and why.

use std::sync::{Arc, OnceLock};

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
    /// A rule was broken more often than its own limit allows.
    RuleLimit {
        /// Index of its table in the plan.
        table: usize,
        /// Index of the rule in the table.
        rule: usize,
    },
}

impl StopReason {
    /// The reason in the audit log.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupt",
            Self::Terminate => "terminate",
            Self::Deadline => "deadline",
            Self::WindowClosed => "window_closed",
            Self::RejectLimit => "reject_limit",
            Self::RuleLimit { .. } => "rule_limit",
        }
    }
}

/// Shared by whoever may ask and whoever has to listen.
#[derive(Clone, Default, Debug)]
pub struct Cancel(Arc<OnceLock<StopReason>>);

impl Cancel {
    /// Asks to stop. The first reason stays.
    pub fn stop(&self, reason: StopReason) {
        self.0.get_or_init(|| reason);
    }

    /// Why to stop, if at all.
    pub fn reason(&self) -> Option<StopReason> {
        self.0.get().copied()
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
