//! Named points at which a test can end the process, as a crash would.
//!
//! Without the feature `failpoints` a point is nothing. With it, the binary arms one point by
//! `arm`: the process then kills itself (no unwinding, no flushing) at the n-th pass.

/// Passes a named point.
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::hit($name);
    };
}

#[cfg(feature = "failpoints")]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: OnceLock<(String, AtomicU64)> = OnceLock::new();

    /// Arms the point `name` to end the process at its `pass`-th pass, from 1. Once per process.
    pub fn arm(name: String, pass: u64) {
        ARMED.get_or_init(|| (name, AtomicU64::new(pass)));
    }

    /// Called by [`crate::failpoint!`].
    pub fn hit(name: &str) {
        if let Some((armed, left)) = ARMED.get()
            && armed == name
            && left.fetch_sub(1, Ordering::SeqCst) == 1
        {
            std::process::abort();
        }
    }
}

#[cfg(feature = "failpoints")]
pub use armed::{arm, hit};
