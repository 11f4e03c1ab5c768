//! One file per verb.

pub(crate) mod check_incremental;
pub(crate) mod history;
pub(crate) mod migrate;
pub(crate) mod rejects;
pub(crate) mod status;
