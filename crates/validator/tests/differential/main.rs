//! The interpreter and the load path's transform on the same plans and records: written apart, they
//! make the same rows and the same fates.

#![allow(clippy::unwrap_used)] // tests

mod generated;
mod harness;
mod questions;
