//! Answers: text for people, or the envelope `{success, message, data, timestamp}`; standard
//! output carries nothing else.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;

use serde_json::{Value as Json, json};
use whimbrel_core::{Clock, rfc3339};

use crate::args::{Colour, Format, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::log;
use crate::machine::SystemClock;

/// What a verb has to say.
pub(crate) struct Answer {
    /// One sentence.
    pub(crate) message: String,
    /// For people, without the sentence.
    pub(crate) text: String,
    /// For programs.
    pub(crate) data: Json,
    /// How the process ends.
    pub(crate) exit: Exit,
    /// Why that is no success, where it is none.
    pub(crate) shortfall: Option<Shortfall>,
}

/// Why an answer is not what was asked for, although nothing broke.
pub(crate) struct Shortfall {
    /// A code that `explain` knows.
    pub(crate) code: &'static str,
    /// What to do.
    pub(crate) hint: String,
}

impl Answer {
    pub(crate) fn new(message: impl Into<String>, text: impl Into<String>, data: Json) -> Self {
        let (message, text) = (message.into(), text.into());
        Self { message, text, data, exit: Exit::Done, shortfall: None }
    }

    /// Another end than [`Exit::Done`], and a success all the same.
    pub(crate) fn with_exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// No success: programs get an `error` beside the data.
    pub(crate) fn falls_short(mut self, exit: Exit, shortfall: Shortfall) -> Self {
        self.exit = exit;
        self.shortfall = Some(shortfall);
        self
    }
}

/// Where answers go.
pub(crate) struct Output {
    format: Format,
    file: Option<PathBuf>,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self { format: global.format, file: global.output.clone() }
    }

    /// Standard output, in a form.
    pub(crate) fn standard(format: Format) -> Self {
        Self { format, file: None }
    }

    /// Writes the answer; a closed pipe is no error.
    pub(crate) fn answer(&self, answer: &Answer) -> io::Result<()> {
        let text = match self.format {
            Format::Text => people(answer),
            Format::Json | Format::Jsonl => {
                let error = answer.shortfall.as_ref().map(|shortfall| {
                    let details = details(&[], Some(&shortfall.hint), &[]);
                    (shortfall.code, details)
                });
                debug_assert_eq!(error.is_none(), answer.exit.is_success(), "{}", answer.message);
                let document = envelope(&answer.message, &answer.data, answer.exit, error);
                line(&document, self.format)
            }
        };
        self.write(&text)
    }

    /// Writes an error; in a JSON form it is a document on standard output too.
    pub(crate) fn error(&self, failure: &Failure) -> io::Result<()> {
        match self.format {
            Format::Text => Ok(()),
            Format::Json | Format::Jsonl => {
                let details = details(&failure.causes, failure.hint.as_deref(), &failure.errors);
                let error = Some((failure.code, details));
                let document = envelope(&failure.message, &Json::Null, failure.exit, error);
                self.write(&line(&document, self.format))
            }
        }
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let result = match &self.file {
            Some(path) => File::create(path).and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            }),
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
            }
        };
        match result {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// The one shape of every document: `error` and `details` are there where `success` is false.
fn envelope(message: &str, data: &Json, exit: Exit, error: Option<(&'static str, Json)>) -> Json {
    let mut document = json!({
        "success": error.is_none(),
        "message": message,
        "data": data,
        "exit_code": exit as i32,
        "retryable": exit.retryable(),
        "timestamp": rfc3339(SystemClock::new().now()),
    });
    if let Some((code, details)) = error {
        document["error"] = code.into();
        document["details"] = details;
    }
    document
}

/// `errors` are those of a plan, with their places.
fn details(causes: &[String], hint: Option<&str>, errors: &[String]) -> Json {
    json!({ "causes": causes, "hint": hint, "errors": errors, "run": log::current_run() })
}

fn people(answer: &Answer) -> String {
    let mut text = answer.text.clone();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if text.is_empty() { format!("{}\n", answer.message) } else { text }
}

fn line(document: &Json, format: Format) -> String {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(document),
        Format::Text | Format::Jsonl => serde_json::to_string(document),
    };
    text.expect("a JSON value has a text") + "\n"
}

/// Whether standard error may be coloured.
pub(crate) fn colours(global: &Global) -> bool {
    #[allow(clippy::disallowed_methods)] // the command line is where the environment is read
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match global.color {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => {
            #[allow(clippy::disallowed_methods)]
            let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
            io::stderr().is_terminal() && !set("NO_COLOR") && !dumb
        }
    }
}

/// Text of hostile origin, fit for a terminal: control characters escaped, at most `limit`
/// characters.
pub(crate) fn printable(text: &str, limit: usize) -> String {
    let mut shown = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == limit {
            shown.push('…');
            break;
        }
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            // Also the marks that turn the direction of text.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(character.escape_unicode());
            }
            _ if character.is_control() => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

/// `1 row`, `2 rows`, `1,234 rows`.
pub(crate) fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", thousands(number))
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\r\n", 80), "a\\u{1b}[2Jb\\r\\n");
        assert_eq!(printable("abcdef", 3), "abc…");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(1000, "row"), "1,000 rows");
    }
}
