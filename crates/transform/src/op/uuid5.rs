//! UUIDs made from names: the same parts give the same UUID, on every machine, in every run.
//!
//! Version 5 of RFC 9562 §5.5 over the parts in UTF-8, joined by U+001F. No inverse.

use uuid::Uuid;

/// The namespace of plans that name none: `uuid5(DNS, "whimbrel")`,
/// `6b0df315-24b7-5e36-a73f-7f9d2ebd96c7`.
pub const NAMESPACE: [u8; 16] = [
    0x6b, 0x0d, 0xf3, 0x15, 0x24, 0xb7, 0x5e, 0x36, 0xa7, 0x3f, 0x7f, 0x9d, 0x2e, 0xbd, 0x96, 0xc7,
];

/// The UUID of a name.
pub fn of_name(namespace: &[u8; 16], name: &str) -> [u8; 16] {
    Uuid::new_v5(&Uuid::from_bytes(*namespace), name.as_bytes()).into_bytes()
}

/// 32 hexadecimal digits in groups of 8-4-4-4-12, in either case.
pub fn parse(text: &str) -> Option<[u8; 16]> {
    let hyphens = [8, 13, 18, 23];
    let canonical = text.len() == 36 && hyphens.iter().all(|at| text.as_bytes()[*at] == b'-');
    if !canonical {
        return None;
    }
    Uuid::try_parse(text).ok().map(Uuid::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_namespace_is_that_of_the_word_whimbrel() {
        assert_eq!(of_name(Uuid::NAMESPACE_DNS.as_bytes(), "whimbrel"), NAMESPACE);
    }

    #[test]
    fn known_answer_of_the_rfc() {
        let uuid = of_name(Uuid::NAMESPACE_DNS.as_bytes(), "www.example.com");
        assert_eq!(parse("2ed6657d-e927-568b-95e1-2665a8aea6a2"), Some(uuid));
        assert_eq!(parse("2ED6657D-E927-568B-95E1-2665A8AEA6A2"), Some(uuid));
        assert_eq!(parse("{2ed6657d-e927-568b-95e1-2665a8aea6a2}"), None);
        assert_eq!(parse("2ed6657de927568b95e12665a8aea6a2"), None);
    }
}
