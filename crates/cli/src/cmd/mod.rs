//! One file per verb.

pub(crate) mod analyze;
pub(crate) mod audit;
pub(crate) mod check_incremental;
pub(crate) mod compare;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod init;
pub(crate) mod legacy;
pub(crate) mod masks;
pub(crate) mod migrate;
pub(crate) mod plan;
pub(crate) mod prove;
pub(crate) mod rejects;
pub(crate) mod repair;
pub(crate) mod report;
pub(crate) mod schema;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod verify;
