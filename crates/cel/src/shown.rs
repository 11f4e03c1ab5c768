//! Values in messages: their beginning, escaped.

use whimbrel_model::ValueRef;

/// Characters that are shown of a value.
const EXCERPT_CHARS: usize = 120;

/// The beginning of a text; what a terminal would obey is escaped.
pub(crate) fn excerpt_text(text: &str) -> String {
    let mut out = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == EXCERPT_CHARS {
            out.push('…');
            break;
        }
        match char {
            '"' | '\'' | '\\' => out.push(char),
            // Behind another character, so that what combines with it stays as it is.
            char => out.extend(format!("a{char}").escape_debug().skip(1)),
        }
    }
    out
}

/// The beginning of a value.
pub(crate) fn excerpt(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) | ValueRef::Json(text) | ValueRef::Decimal(text) => excerpt_text(text),
        ValueRef::Bytes(bytes) => {
            let few = &bytes[..bytes.len().min(EXCERPT_CHARS)];
            excerpt_text(&ValueRef::Bytes(few).to_string())
        }
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Float(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => excerpt_text(&value.to_string()),
    }
}
