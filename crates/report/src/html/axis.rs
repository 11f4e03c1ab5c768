//! Time as width: attempts to scale, pauses between them cut short.
//!
//! ```text
//! time   ├─ attempt 1 ─┤  · · · 9 h · · ·  ├─ attempt 2 ─┤
//! width  ├─────────────┤▒▒├─────────────┤
//! ```

use crate::report::Circumstances;

/// The most attempts that are drawn apart; more are drawn as one stretch.
const ATTEMPTS_MAX: usize = 40;

/// Widths of a pause, all pauses together at most a quarter of the axis.
const PAUSE: f64 = 14.0;

/// Seconds since the start of the run, mapped to horizontal places.
pub(super) struct Axis {
    stretches: Vec<Stretch>,
}

/// A stretch of time and of width.
pub(super) struct Stretch {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    /// The attempt, or `None` for a pause.
    pub(super) attempt: Option<u64>,
}

impl Axis {
    /// The axis of a run between two places.
    pub(super) fn of(circumstances: &Circumstances, left: f64, right: f64) -> Self {
        let known = &circumstances.attempts_known;
        let apart = known.more == 0 && known.shown.len() <= ATTEMPTS_MAX;
        let attempts: Vec<(f64, f64, u64)> = if apart {
            known.shown.iter().map(|one| (one.from_seconds, one.to_seconds, one.attempt)).collect()
        } else {
            vec![(0.0, circumstances.elapsed_seconds, 1)]
        };
        Self { stretches: stretches(&attempts, left, right) }
    }

    /// Where an instant lies.
    pub(super) fn place(&self, seconds: f64) -> f64 {
        let stretch =
            self.stretches.iter().find(|stretch| seconds <= stretch.to).or(self.stretches.last());
        let Some(stretch) = stretch else { return 0.0 };
        let time = stretch.to - stretch.from;
        let part = if time > 0.0 { ((seconds - stretch.from) / time).clamp(0.0, 1.0) } else { 0.0 };
        stretch.left + part * (stretch.right - stretch.left)
    }

    /// Attempts and pauses in turn.
    pub(super) fn stretches(&self) -> &[Stretch] {
        &self.stretches
    }
}

fn stretches(attempts: &[(f64, f64, u64)], left: f64, right: f64) -> Vec<Stretch> {
    let worked: f64 = attempts.iter().map(|(from, to, _)| to - from).sum();
    let gaps: Vec<f64> = attempts.windows(2).map(|pair| pair[1].0 - pair[0].1).collect();
    let pauses = gaps.iter().filter(|gap| **gap > 0.0).count();
    let width = right - left;
    let pause = if pauses == 0 { 0.0 } else { PAUSE.min(width / 4.0 / pauses as f64) };
    let scale = if worked > 0.0 { (width - pause * pauses as f64) / worked } else { 0.0 };
    let mut out: Vec<Stretch> = Vec::new();
    let mut at = left;
    for (index, &(from, to, attempt)) in attempts.iter().enumerate() {
        if let Some(before) = out.last().map(|last| last.to).filter(|before| from > *before) {
            out.push(Stretch {
                from: before,
                to: from,
                left: at,
                right: at + pause,
                attempt: None,
            });
            at += pause;
        }
        let end = if index + 1 == attempts.len() { right } else { at + (to - from) * scale };
        out.push(Stretch { from, to, left: at, right: end, attempt: Some(attempt) });
        at = end;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_night_between_two_attempts_takes_little_room() {
        let axis =
            Axis { stretches: stretches(&[(0.0, 60.0, 1), (36_000.0, 36_060.0, 2)], 0.0, 214.0) };
        assert!((axis.place(30.0) - 50.0).abs() < 1e-9);
        assert!((axis.place(60.0) - 100.0).abs() < 1e-9);
        assert!((axis.place(36_000.0) - 114.0).abs() < 1e-9);
        assert!((axis.place(36_060.0) - 214.0).abs() < 1e-9);
        assert!((axis.place(99_999.0) - 214.0).abs() < 1e-9);
    }

    #[test]
    fn no_time_at_all_is_drawn_too() {
        let axis = Axis { stretches: stretches(&[(0.0, 0.0, 1)], 10.0, 20.0) };
        assert!(axis.place(0.0).is_finite());
        assert!(Axis { stretches: Vec::new() }.place(1.0).is_finite());
    }
}
