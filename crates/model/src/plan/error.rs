//! What is wrong with a plan, where, and how that is shown.
//!
//! Owns the error and its rendering beside the line it is about. It never holds a value that came
//! from a variable, and hides passwords in the line it shows.

use std::fmt::{self, Write as _};

use super::Span;

/// One mistake in a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanError {
    /// `WB00xx`, explained in [`super::CODES`].
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// Where; `None` where it is about the plan as a whole.
    pub span: Option<Span>,
    /// What to do, in one line.
    pub help: Option<String>,
}

/// Longest part of a source line that is shown.
const LINE_CHARS_MAX: usize = 100;

impl PlanError {
    /// The error as a person reads it: message, `file:line:column`, the line with a caret, help.
    ///
    /// `text` is the plan that was decoded; lines and columns count characters from 1.
    pub fn render(&self, file: &str, text: &str) -> String {
        let mut out = format!("error[{}]: {}\n", self.code, self.message);
        if let Some(span) = &self.span {
            let place = Place::of(text, span);
            let _ = writeln!(out, "  --> {file}:{}:{}", place.line, place.column);
            place.excerpt(&mut out);
        } else {
            let _ = writeln!(out, "  --> {file}");
        }
        if let Some(help) = &self.help {
            let _ = writeln!(out, "help: {help}");
        }
        out
    }

    /// Line and column of the error in `text`, from 1.
    pub fn line_column(&self, text: &str) -> Option<(usize, usize)> {
        let place = Place::of(text, self.span.as_ref()?);
        Some((place.line, place.column))
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for PlanError {}

/// A span as a person counts: the line, and how much of it is meant.
struct Place<'a> {
    line: usize,
    column: usize,
    width: usize,
    text: &'a str,
}

impl<'a> Place<'a> {
    fn of(text: &'a str, span: &Span) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text.floor_char_boundary(span.end.clamp(start, text.len()));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        Self {
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end.min(line_end)].chars().count().max(1),
            text: text[line_start..line_end].trim_end_matches('\r'),
        }
    }

    fn excerpt(&self, out: &mut String) {
        let shown = visible(&without_passwords(self.text));
        let skip = (self.column - 1).saturating_sub(LINE_CHARS_MAX / 2);
        let line: String = shown.chars().skip(skip).take(LINE_CHARS_MAX).collect();
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let before = " ".repeat(self.column - 1 - skip);
        let caret = "^".repeat(self.width.min(LINE_CHARS_MAX - (self.column - 1 - skip)).max(1));
        let _ = writeln!(out, " {margin} |");
        let _ = writeln!(out, " {number} | {}", line.trim_end());
        let _ = writeln!(out, " {margin} | {before}{caret}");
    }
}

/// The line with every control character made visible: one character for one.
fn visible(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '·',
            c => c,
        })
        .collect()
}

/// The line with the password of every `scheme://user:password@` starred, of the same length.
pub(super) fn without_passwords(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        out.push_str(before);
        let authority_end = after.find(['/', '"', '\'', ' ']).unwrap_or(after.len());
        // A password may hold anything, a slash too, where somebody forgot to escape it.
        let host = after.rfind('@').filter(|host| !after[..*host].contains(['"', '\'', ' ']));
        let colon = after[..host.unwrap_or(authority_end)].find(':');
        rest = match (colon, host) {
            (Some(colon), Some(host)) if colon < host => {
                out.push_str(&after[..=colon]);
                out.extend(after[colon + 1..host].chars().map(|_| '*'));
                &after[host..]
            }
            (_, _) => after,
        };
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_the_line_is_starred() {
        assert_eq!(
            without_passwords(r#"target = "postgres://app:s3/cr@t@db:5432/x" # see http://wiki"#),
            r#"target = "postgres://app:*******@db:5432/x" # see http://wiki"#
        );
    }

    #[test]
    fn a_line_without_one_stays() {
        let line = r#"target = "sqlite:x.db" # https://example.org:80/a, me@example.org"#;
        assert_eq!(without_passwords(line), line);
    }

    #[test]
    fn places_count_characters() {
        let text = "a = 1\r\nß = \"é\"\n";
        let at = text.find('"').unwrap();
        let place = Place::of(text, &(at..at + 4));
        assert_eq!((place.line, place.column, place.width), (2, 5, 3));
    }
}
