//! Nanoseconds a row costs.
fn main() {}
