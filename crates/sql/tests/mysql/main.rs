//! MariaDB as a target, on a server of the tests' own or the one that is named to them.
#![allow(clippy::unwrap_used)] // helpers of tests are tests as well

mod connections;
mod contract;
mod definitions;
mod place;
mod rows;
mod scratch;
