//! White space, case, line ends, prefixes: text to text. And the text form of any value.

use std::borrow::Cow;

use whimbrel_model::ValueRef;
use whimbrel_model::value::UuidText;

/// Between the parts of a key.
pub const UNIT_SEPARATOR: char = '\u{1f}';

/// Without Unicode white space at both ends. No inverse.
pub fn trim(text: &str) -> &str {
    text.trim()
}

/// Unicode lower case (locale-free). No inverse.
pub fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

/// CR LF and CR become LF, a byte order mark in front goes. No inverse.
pub fn newlines(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.contains('\r') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// Without the prefix, where it is there. The inverse of text that had it is putting it in front.
pub fn strip_prefix<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.strip_prefix(prefix).unwrap_or(text)
}

/// Without the suffix, where it is there.
pub fn strip_suffix<'a>(text: &'a str, suffix: &str) -> &'a str {
    text.strip_suffix(suffix).unwrap_or(text)
}

/// Appends the text form that keys, hashes and `concat` use; false for NULL.
///
/// Text, JSON and numbers as they stand, integers in digits, doubles in the shortest form, days
/// and instants in ISO 8601 (instants with `Z`), UUIDs hyphenated, bytes in hex behind `0x`.
pub fn append(out: &mut String, value: ValueRef<'_>) -> bool {
    use std::fmt::Write as _;
    let written = match value {
        ValueRef::Null => return false,
        ValueRef::Text(text) | ValueRef::Json(text) | ValueRef::Decimal(text) => {
            out.push_str(text);
            Ok(())
        }
        ValueRef::Float(float) => match super::float::to_text(float) {
            Some(text) => {
                out.push_str(&text);
                Ok(())
            }
            None => write!(out, "{float}"),
        },
        ValueRef::Uuid(uuid) => write!(out, "{}", UuidText(&uuid)),
        ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_) => write!(out, "{value}"),
    };
    written.expect("a String takes every character");
    true
}

/// The text form of a value; `None` for NULL.
pub fn form(value: ValueRef<'_>) -> Option<Cow<'_, str>> {
    if let ValueRef::Text(text) | ValueRef::Json(text) | ValueRef::Decimal(text) = value {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::new();
    append(&mut out, value).then_some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::DateTime;

    #[test]
    fn line_ends_become_one() {
        assert_eq!(newlines("\u{feff}a\r\nb\rc\n"), "a\nb\nc\n");
        assert_eq!(newlines("a\u{feff}"), "a\u{feff}", "only in front");
        assert!(matches!(newlines("a\nb"), Cow::Borrowed(_)));
    }

    #[test]
    fn lower_case_is_unicode() {
        assert_eq!(lower("ÄÖ"), "äö");
        assert!(matches!(lower("abc_1"), Cow::Borrowed(_)));
    }

    #[test]
    fn every_value_has_one_text() {
        let form = |value| form(value).map(Cow::into_owned);
        assert_eq!(form(ValueRef::Null), None);
        assert_eq!(form(ValueRef::Float(1.0)), Some("1".into()));
        assert_eq!(form(ValueRef::Decimal("1.0")), Some("1.0".into()));
        assert_eq!(
            form(ValueRef::TimestampTz(DateTime { days: 0, nanos: 0 })),
            Some("1970-01-01T00:00:00Z".into())
        );
        assert_eq!(
            form(ValueRef::Uuid([0; 16])),
            Some("00000000-0000-0000-0000-000000000000".into())
        );
    }
}
