//! Why a value, a row or a unit is refused: a code, a place and a bounded excerpt.

use std::borrow::Cow;

use whimbrel_model::ValueRef;

use crate::codes;

/// What stands in the place of a sensitive value.
pub const MASK: &str = "***";

/// Characters of a value that a reason or a note shows.
pub const EXCERPT_CHARS: usize = 120;

/// Why a unit is refused, in the words of the plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reason {
    /// A code of [`crate::CODES`], or the code of the record's own defect.
    pub code: &'static str,
    /// The target column that could not be filled.
    pub column: Option<String>,
    /// The source field that its value came from, where it is one field.
    pub field: Option<String>,
    /// The rule that was broken.
    pub rule: Option<String>,
    /// The value as read: escaped, at most [`EXCERPT_CHARS`] characters.
    pub value: Option<String>,
    /// What is wrong, in one sentence.
    pub message: String,
}

/// Why an operation cannot be done with a value; it knows neither column nor record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// A code of [`crate::CODES`].
    pub code: &'static str,
    /// What is wrong, in one bounded sentence.
    pub message: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into() }
    }

    /// The fault of a sensitive value: what was not written before the value came may quote it.
    pub(crate) fn masked(self) -> Self {
        match self.message {
            Cow::Borrowed(_) => self,
            Cow::Owned(_) => {
                let known = codes::CODES.iter().find(|(code, ..)| *code == self.code);
                Self::new(self.code, known.map_or(MASK, |(_, title, _)| title))
            }
        }
    }
}

impl Reason {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            code,
            column: None,
            field: None,
            rule: None,
            value: None,
            message: message.into(),
        })
    }

    pub(crate) fn of_fault(fault: Fault) -> Box<Self> {
        Self::new(fault.code, fault.message)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.code)?;
        for (word, part) in [("column", &self.column), ("field", &self.field), ("rule", &self.rule)]
        {
            if let Some(part) = part {
                write!(f, " {word} `{part}`")?;
            }
        }
        write!(f, ": {}", self.message)?;
        if let Some(value) = &self.value {
            write!(f, ": `{value}`")?;
        }
        Ok(())
    }
}

/// A message about a record with sensitive values: all between its first and its last backtick, in
/// which messages quote, is masked.
pub(crate) fn unquoted(message: &str) -> String {
    match (message.find('`'), message.rfind('`')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}`{MASK}{}", &message[..first], &message[last..])
        }
        _ => message.to_owned(),
    }
}

/// A value for people: control characters escaped, cut after [`EXCERPT_CHARS`] characters.
pub fn excerpt(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(text) | ValueRef::Json(text) | ValueRef::Decimal(text) => excerpt_text(text),
        ValueRef::Bytes(bytes) => {
            let head = &bytes[..bytes.len().min(EXCERPT_CHARS / 2)];
            let dots = if head.len() < bytes.len() { "…" } else { "" };
            format!("{}{dots}", ValueRef::Bytes(head))
        }
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Float(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => value.to_string(),
    }
}

/// [`excerpt`] of a text.
pub fn excerpt_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(EXCERPT_CHARS) + 3);
    for (index, char) in text.chars().enumerate() {
        if index == EXCERPT_CHARS {
            out.push('…');
            break;
        }
        if char.is_control() || is_invisible(char) {
            out.extend(char.escape_default());
        } else {
            out.push(char);
        }
    }
    out
}

/// Characters that reorder or hide text on a terminal.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_may_quote_is_masked() {
        assert_eq!(unquoted("3 fields, the header has 4"), "3 fields, the header has 4");
        assert_eq!(unquoted("`a` and `b` stand here"), "`***` stand here");
        assert_eq!(unquoted("an odd ` one"), "an odd ` one");
        let fault = |message: Cow<'static, str>| Fault::new(codes::TOO_LONG, message).masked();
        assert_eq!(fault(Cow::Borrowed("as written")).message, "as written");
        assert_eq!(fault(Cow::Owned("secret".to_owned())).message, "too many characters");
    }

    #[test]
    fn an_excerpt_is_bounded_and_escaped() {
        assert_eq!(excerpt_text("a\u{0}\u{1b}[31m\n"), r"a\u{0}\u{1b}[31m\n");
        assert_eq!(excerpt_text("\u{202e}x"), r"\u{202e}x");
        let long = excerpt_text(&"é".repeat(1_000));
        assert_eq!(long.chars().count(), EXCERPT_CHARS + 1);
        assert_eq!(excerpt(ValueRef::Bytes(&[1; 1_000])).chars().count(), EXCERPT_CHARS + 3);
    }
}
