//! Answers: text for people, or the envelope `{success, message, data, timestamp}`; standard
//! output carries nothing else.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::ops::ControlFlow;
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
    /// An answer that is told item by item.
    begun: RefCell<Option<Sink>>,
}

/// Standard output or the file of `--output`, with what is on its way there.
struct Sink {
    /// `None` is standard output.
    file: Option<File>,
    held: Vec<u8>,
}

impl Sink {
    /// What is held at most before it is handed on.
    const HELD: usize = 64 * 1024;

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.held.extend_from_slice(text.as_bytes());
        if self.held.len() < Self::HELD { Ok(()) } else { self.hand_on() }
    }

    fn hand_on(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        match &mut self.file {
            Some(file) => file.write_all(&held),
            None => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(&held).and_then(|()| stdout.flush())
            }
        }
    }

    fn end(mut self) -> io::Result<()> {
        self.hand_on()?;
        match self.file {
            // Pipes and devices have no disk to wait for.
            Some(file) if file.metadata()?.is_file() => file.sync_all(),
            Some(_) | None => Ok(()),
        }
    }
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        Self { begun: RefCell::default(), ..Self::to(global.format, global.output.clone()) }
    }

    /// Standard output, in a form.
    pub(crate) fn standard(format: Format) -> Self {
        Self::to(format, None)
    }

    fn to(format: Format, file: Option<PathBuf>) -> Self {
        Self { format, file, begun: RefCell::default() }
    }

    /// Writes one of `data`'s `entries` now, of an answer that may be too long to be held; what the
    /// answer itself says comes behind. Breaks where nobody listens any more.
    pub(crate) fn entry(&self, text: &str, entry: &Json) -> io::Result<ControlFlow<()>> {
        let mut begun = self.begun.borrow_mut();
        let first = begun.is_none();
        let sink = match &mut *begun {
            Some(sink) => sink,
            None => begun.insert(self.sink()?),
        };
        let said = match (self.format, first) {
            (Format::Text, _) => sink.write(&harmless(text)),
            (Format::Jsonl, _) => sink.write(&line(entry, Format::Jsonl)),
            (Format::Json, true) => {
                sink.write(&format!("{{\n\"data\": {{\n\"entries\": [\n{entry}"))
            }
            (Format::Json, false) => sink.write(&format!(",\n{entry}")),
        };
        match said {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(ControlFlow::Break(())),
            other => other.map(ControlFlow::Continue),
        }
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
                self.document(&document)
            }
        };
        self.write(&text)
    }

    /// Writes an error; in a JSON form it is a document on standard output too.
    pub(crate) fn error(&self, failure: &Failure) -> io::Result<()> {
        match self.format {
            Format::Text if self.begun.borrow().is_some() => self.write(""),
            Format::Text => Ok(()),
            Format::Json | Format::Jsonl => {
                let details = details(&failure.causes, failure.hint.as_deref(), &failure.errors);
                let error = Some((failure.code, details));
                let document = envelope(&failure.message, &Json::Null, failure.exit, error);
                self.write(&self.document(&document))
            }
        }
    }

    /// The document, or what is left of it where its entries are told already.
    fn document(&self, document: &Json) -> String {
        if self.format == Format::Json && self.begun.borrow().is_some() {
            rest(document)
        } else {
            line(document, self.format)
        }
    }

    fn sink(&self) -> io::Result<Sink> {
        let create = |path: &PathBuf| {
            File::create(path).map_err(|error| {
                io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
            })
        };
        let file = self.file.as_ref().map(create).transpose()?;
        Ok(Sink { file, held: Vec::new() })
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let begun = self.begun.take().map_or_else(|| self.sink(), Ok);
        let result = begun.and_then(|mut sink| {
            sink.write(text)?;
            sink.end()
        });
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
    let mut text = harmless(&answer.text);
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if text.is_empty() { format!("{}\n", harmless(&answer.message)) } else { text }
}

fn line(document: &Json, format: Format) -> String {
    let text = match format {
        Format::Json => serde_json::to_string_pretty(document),
        Format::Text | Format::Jsonl => serde_json::to_string(document),
    };
    text.expect("a JSON value has a text") + "\n"
}

/// A document behind its `entries`, which stand at its head.
fn rest(document: &Json) -> String {
    let mut text = "\n]".to_owned();
    for (name, value) in document["data"].as_object().into_iter().flatten() {
        if name != "entries" {
            text.push_str(&format!(",\n{}: {value}", json!(name)));
        }
    }
    text.push_str("\n}");
    for (name, value) in document.as_object().into_iter().flatten() {
        if name != "data" {
            text.push_str(&format!(",\n{}: {value}", json!(name)));
        }
    }
    text.push_str("\n}\n");
    text
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
            _ if steers(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

/// Lines for a terminal: whatever stands in them, nothing steers it.
pub(crate) fn harmless(lines: &str) -> String {
    let mut shown = String::with_capacity(lines.len());
    for character in lines.chars() {
        match character {
            '\n' | '\t' => shown.push(character),
            _ if steers(character) => shown.extend(character.escape_unicode()),
            _ => shown.push(character),
        }
    }
    shown
}

/// What turns the direction of text, ends a line, or shows nothing.
fn steers(character: char) -> bool {
    whimbrel_sql::is_hidden(character)
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
        let answer = Answer::new("", "a\u{1b}[2Jb\r\n\tc\u{202e}\u{9b}", Json::Null);
        assert_eq!(people(&answer), "a\\u{1b}[2Jb\\u{d}\n\tc\\u{202e}\\u{9b}\n");
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(count(1, "row"), "1 row");
        assert_eq!(count(1000, "row"), "1,000 rows");
    }
}
