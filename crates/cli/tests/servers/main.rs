//! What an operator sees when a server refuses, is not there, or goes away in the middle: message,
//! hint, exit code, as text and as JSON; and that no password stands in anything that a run writes.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value)] // tests; `Expect` is made to be handed over

mod ahead;
mod broken;
mod disk;
mod list;
mod locked;
mod place;
mod privileges;
mod refused;
mod scripts;
mod secrets;
mod tls;
