//! Crate ledger.
