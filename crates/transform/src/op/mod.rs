//! Operations on single values: pure, exact or refused, each with its inverse where there is one.
//!
//! Nothing here knows plans, records or columns.

pub mod boolean;
pub mod canonical_json;
pub mod clock;
pub mod decimal;
pub mod float;
pub mod hash;
pub mod integer;
pub mod kind;
pub mod list;
pub mod split;
pub mod text;
pub mod timestamp;
pub mod uuid5;
pub mod value_map;
pub mod zone;

pub use crate::reason::Fault;
