//! Crate core.
