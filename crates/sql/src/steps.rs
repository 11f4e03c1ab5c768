//! The steps that lead to the ledger's schema: which are still to be taken, whatever the engine.

use whimbrel_endpoint::{EndpointError, ErrorClass};

use crate::codes;

/// One step of the ledger's schema.
pub(crate) struct Step {
    /// The version that it leads to.
    pub(crate) version: u32,
    pub(crate) sql: &'static str,
    /// What the step creates last: where it stands, the step has been taken.
    pub(crate) probe: &'static str,
}

/// The steps still to be taken, or why none can be. `recorded`: the version that the ledger says it
/// has, zero where there is none; `stands`: for each step, whether its probe was found.
pub(crate) fn missing(
    steps: &'static [Step],
    recorded: u32,
    stands: &[bool],
) -> Result<Vec<&'static Step>, EndpointError> {
    let newest = steps.last().map_or(0, |step| step.version);
    if recorded > newest {
        return Err(EndpointError::new(
            ErrorClass::Changed,
            codes::LEDGER_NEWER,
            format!("the ledger has version {recorded}, this program knows up to: `{newest}`"),
        ));
    }
    let (taken, missing): (Vec<_>, Vec<_>) =
        steps.iter().zip(stands).partition(|(step, _)| step.version <= recorded);
    if let Some((step, _)) = taken.iter().find(|(_, stands)| !**stands) {
        return Err(EndpointError::new(
            ErrorClass::Changed,
            codes::LEDGER_DAMAGED,
            format!("the ledger has version {recorded}, but a table is missing: `{}`", step.probe),
        ));
    }
    Ok(missing.into_iter().map(|(step, _)| step).collect())
}
