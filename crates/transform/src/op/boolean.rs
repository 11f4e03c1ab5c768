//! Text to booleans: two words, no others.

use super::Fault;
use crate::codes;

/// `true` or `false`. The inverse is [`to_text`].
pub fn parse(text: &str) -> Result<bool, Fault> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Fault::new(codes::NOT_A_BOOLEAN, "only `true` and `false` are booleans")),
    }
}

/// The word.
pub fn to_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_need_a_map() {
        for text in ["True", "1", "yes", "", "t", "TRUE", " true"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!([true, false].map(|value| parse(to_text(value))), [Ok(true), Ok(false)]);
    }
}
