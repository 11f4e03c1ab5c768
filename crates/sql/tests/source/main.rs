//! Databases as sources: the contract, and what each engine's types become.
#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

mod busy;
mod mysql;
mod postgres;
mod sqlite;
mod states;
mod world;
