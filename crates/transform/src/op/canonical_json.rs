//! A checksum of a JSON document that blanks and the order of keys do not change. No inverse.

use whimbrel_model::json;
use whimbrel_model::plan::HashAlgorithm;

use super::{Fault, hash};
use crate::codes;
use crate::reason::excerpt_text;

/// SHA-256 of the canonical form (see [`whimbrel_model::json`]) in lower-case hex.
pub fn checksum(text: &str) -> Result<String, Fault> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = document(text)?;
    Ok(hash::hex(HashAlgorithm::Sha256, document.to_canonical_text().as_bytes()))
}

/// A document that says every key once: of a repeated one, readers disagree which counts.
pub(crate) fn document(text: &str) -> Result<json::Json<'_>, Fault> {
    let parsed = json::parse_with(text.as_bytes(), json::Limits::default())
        .map_err(|error| Fault::new(codes::NOT_JSON, excerpt_text(&error.to_string())))?;
    match parsed.duplicates.first {
        None => Ok(parsed.json),
        Some((key, _)) => {
            let message = format!("the key `{}` stands twice in an object", excerpt_text(&key));
            Err(Fault::new(codes::NOT_JSON, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_order_and_spelling_do_not_count() {
        assert_eq!(checksum("{\"b\":1.0,\"a\":[]}"), checksum("{ \"a\" : [ ],\n\"b\" : 1 }"));
        assert_ne!(checksum("{\"a\":1}"), checksum("{\"a\":\"1\"}"));
        assert_eq!(checksum("{\"a\":NaN}").unwrap_err().code, codes::NOT_JSON);
    }
}
