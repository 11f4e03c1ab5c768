//! The codes of mistakes in expressions, and of records on which one fails.

/// The expression cannot be read.
pub const CEL_SYNTAX: &str = "WB0208";
/// It uses a name that nobody declares.
pub const CEL_NAME: &str = "WB0209";
/// It has a form that plans do not allow.
pub const CEL_FORM: &str = "WB0210";
/// A regular expression cannot be used.
pub const BAD_REGEX: &str = "WB0212";
/// It failed on a record.
pub const CEL_FAILED: &str = "WB0250";
