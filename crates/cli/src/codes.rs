//! Every code that an error can carry, from all crates.

/// Codes of the command line itself.
const OWN: &[(&str, &str, &str)] = &[
    ("WB0701", "bytes of a reject could not be kept",
     "A rejected record is longer than the ledger keeps, and the file below `.whimbrel/` that takes \
      its bytes could not be written. Nothing of the batch was committed. Check the space and the \
      permissions of the plan's folder, then run the same command again."),
    ("WB0702", "the plan's schema folder",
     "The folder that `schema` names cannot be read or holds no `.sql` file for the target's engine. \
      Files stand in `schema/sqlite/`, or in `schema/` itself."),
    ("WB0703", "the plan cannot be read",
     "The plan file does not exist, cannot be read, or is no UTF-8 text. `whimbrel init DIR` writes one."),
    ("WB0704", "the program could not start",
     "The operating system refused threads or signal handlers. Look at the limits of the process."),
    ("WB0705", "the answer could not be written",
     "What was done is done; only its answer could not be written to standard output or to `--output`."),
    ("WB0706", "a value on the command line",
     "The value of a flag could not be understood; the message says which and what is expected."),
];

/// Code, title, explanation of every code, in order.
pub(crate) fn all() -> Vec<(&'static str, &'static str, &'static str)> {
    let mut all: Vec<_> = OWN
        .iter()
        .chain(whimbrel_core::CODES)
        .chain(whimbrel_ledger::CODES)
        .copied()
        .collect();
    all.sort_unstable();
    all
}
