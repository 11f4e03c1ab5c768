//! Values and texts of rows as people may see them: bounded and escaped.

use whimbrel_model::{Row, ValueRef};

/// Stands for values that are not shown.
pub(super) const MASK: &str = "***";

/// Violations that are shown.
const SAMPLES: usize = 5;

/// Characters of a value.
const CHARS: usize = 60;

/// Columns of a row.
const COLUMNS: usize = 8;

/// The first violations.
#[derive(Default)]
pub(super) struct Samples {
    pub(super) texts: Vec<String>,
}

impl Samples {
    pub(super) fn take(&mut self, who: impl FnOnce() -> String) {
        if self.texts.len() < SAMPLES {
            self.texts.push(who());
        }
    }

    /// `id=1; id=2; and 7 more`.
    pub(super) fn told(&self, violations: u64) -> String {
        let mut told = self.texts.join("; ");
        let more = violations.saturating_sub(self.texts.len() as u64);
        if more > 0 {
            told.push_str(&format!("; and {more} more"));
        }
        told
    }
}

/// The beginning of a text, without what could steer a terminal.
pub(super) fn text(text: &str) -> String {
    bounded(text, CHARS)
}

/// The beginning of a text, of so many characters.
pub(crate) fn bounded(text: &str, chars: usize) -> String {
    let mut out = String::new();
    for (index, char) in text.chars().enumerate() {
        if index == chars {
            out.push('…');
            break;
        }
        let hides = matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if char.is_control() || hides {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

/// The beginning of a value.
pub(super) fn value(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(one) | ValueRef::Json(one) | ValueRef::Decimal(one) => text(one),
        ValueRef::Bytes(bytes) => {
            text(&ValueRef::Bytes(&bytes[..bytes.len().min(CHARS)]).to_string())
        }
        ValueRef::Null => "NULL".to_owned(),
        other => text(&other.to_string()),
    }
}

/// `id=1, name=x`: the first columns of a row.
pub(super) fn cells(names: &[String], row: Row<'_>) -> String {
    let cell = |(name, one): (&String, ValueRef<'_>)| format!("{}={}", text(name), value(one));
    names.iter().zip(row.values()).take(COLUMNS).map(cell).collect::<Vec<_>>().join(", ")
}
