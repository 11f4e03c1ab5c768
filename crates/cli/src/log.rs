//! Log lines on standard error: one line an event, for people or as JSON, each with the run and the
//! position it is about.
//!
//! ```text
//! [2026-11-21T05:55:53.853254Z 270c96a4 runs logs/a.csv record 41] batch committed batch=2 units=40
//! {"timestamp":"…","level":"debug","run":"270c96a4","table":"runs","file":"logs/a.csv","record":41,…}
//! ```
//! A process works on one run at most, so what the lines are about is kept once for the process: a
//! library that logs (`tracing`) need not know of runs. Nobody has to listen: a line that cannot be
//! written is dropped, and the work goes on.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::ProgressBar;
use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::Value as Json;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use whimbrel_core::{Clock as _, rfc3339};

use crate::args::{Global, LogForm, ProgressForm};
use crate::failure::Failure;
use crate::machine::SystemClock;
use crate::output::printable;

/// Characters of one value in a line for people.
const SHOWN: usize = 400;

/// What is going on, for every line.
struct About {
    run: Option<String>,
    at: Position,
    /// What a line must not be drawn into.
    bar: Option<ProgressBar>,
}

/// Up to where the run's records are committed.
#[derive(Clone, Default)]
pub(crate) struct Position {
    pub(crate) table: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) record: Option<u64>,
}

static ABOUT: Mutex<About> = Mutex::new(About {
    run: None,
    at: Position { table: None, file: None, record: None },
    bar: None,
});

fn about() -> MutexGuard<'static, About> {
    ABOUT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on lines are about this run, also when it has ended.
pub(crate) fn run(run: &str) {
    about().run = Some(run.to_owned());
}

/// The run that lines are about.
pub(crate) fn current_run() -> Option<String> {
    about().run.clone()
}

/// From now on lines are about this position, unless they name their own.
pub(crate) fn at(position: Position) {
    about().at = position;
}

/// Lines go above this bar.
pub(crate) fn above(bar: &ProgressBar) {
    about().bar = Some(bar.clone());
}

/// The form of log lines: where progress is JSON, everything on standard error is.
pub(crate) fn form(global: &Global) -> LogForm {
    if global.progress == ProgressForm::Json { LogForm::Json } else { global.log_format }
}

/// Hears what this program and its libraries log.
pub(crate) fn start(global: &Global) {
    let level = match global.verbose {
        0 => Level::INFO,
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    subscriber(form(global), level, StandardError).init();
}

fn subscriber<W>(form: LogForm, level: Level, to: W) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .event_format(Lines(form))
        .with_max_level(level)
        .with_writer(to)
        .finish()
}

/// Writes a line of text, or of JSON, as it stands.
pub(crate) fn write_line(line: &str) {
    let bar = about().bar.clone();
    let write = || {
        // Nobody may be listening any more; the work goes on.
        let _heard = writeln!(io::stderr(), "{line}");
    };
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// Why a verb failed: for people a few lines, else one document.
pub(crate) fn failure(form: LogForm, failure: &Failure, colours: bool) {
    let (run, at) = {
        let about = about();
        (about.run.clone(), about.at.clone())
    };
    match form {
        LogForm::Text => write_line(failure.render(colours, run.as_deref()).trim_end()),
        LogForm::Json => {
            let fields = vec![
                ("code", Json::from(failure.code)),
                ("causes", failure.causes.clone().into()),
                ("hint", failure.hint.clone().into()),
                ("errors", failure.errors.clone().into()),
                ("exit_code", (failure.exit as i32).into()),
                ("retryable", failure.exit.retryable().into()),
            ];
            let line = Line { level: "error", run, at, message: failure.message.clone(), fields };
            write_line(&line.document());
        }
    }
}

/// A log line before it has a form.
struct Line {
    level: &'static str,
    run: Option<String>,
    at: Position,
    message: String,
    fields: Vec<(&'static str, Json)>,
}

impl Line {
    fn of(event: &Event<'_>) -> Self {
        let mut said = Said::default();
        event.record(&mut said);
        let about = about();
        let at = if said.at.table.is_some() || said.at.file.is_some() {
            said.at
        } else {
            about.at.clone()
        };
        Self {
            level: match *event.metadata().level() {
                Level::ERROR => "error",
                Level::WARN => "warning",
                Level::INFO => "info",
                Level::DEBUG => "debug",
                Level::TRACE => "trace",
            },
            run: said.run.or_else(|| about.run.clone()),
            at,
            message: said.message,
            fields: said.fields,
        }
    }

    /// For people: `[when, run, where] what field=value`.
    fn text(&self) -> String {
        let mut text = format!("[{}", now());
        let record = self.at.record.map(|record| format!("record {record}"));
        for part in [&self.run, &self.at.table, &self.at.file, &record].into_iter().flatten() {
            text.push(' ');
            text.push_str(&printable(part, SHOWN));
        }
        text.push_str("] ");
        let code = self.fields.iter().find(|(name, _)| *name == "code");
        match (self.level, code) {
            ("error" | "warning", Some((_, code))) => {
                text.push_str(&format!("{}[{}]: ", self.level, bare(code)));
            }
            ("error" | "warning", None) => text.push_str(&format!("{}: ", self.level)),
            (_, Some(_) | None) => {}
        }
        text.push_str(&printable(&self.message, SHOWN));
        for (name, value) in self.fields.iter().filter(|(name, _)| *name != "code") {
            text.push_str(&format!(" {name}={}", bare(value)));
        }
        text
    }

    fn document(&self) -> String {
        serde_json::to_string(self).expect("a log line has a JSON text")
    }
}

/// A value of a line for people: quoted only where its end would not be seen.
fn bare(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) if !text.is_empty() && !text.contains([' ', '"', '=']) => {
            printable(text, SHOWN).into()
        }
        Json::String(text) => format!("\"{}\"", printable(text, SHOWN).replace('"', "\\\"")).into(),
        other => other.to_string().into(),
    }
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &now())?;
        map.serialize_entry("level", self.level)?;
        let place = [("run", &self.run), ("table", &self.at.table), ("file", &self.at.file)];
        for (name, value) in place {
            if let Some(value) = value {
                map.serialize_entry(name, value)?;
            }
        }
        if let Some(record) = self.at.record {
            map.serialize_entry("record", &record)?;
        }
        map.serialize_entry("message", &self.message)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn now() -> String {
    rfc3339(SystemClock::new().now())
}

/// What an event says.
#[derive(Default)]
struct Said {
    run: Option<String>,
    at: Position,
    message: String,
    fields: Vec<(&'static str, Json)>,
}

impl Said {
    fn text(&mut self, name: &'static str, value: String) {
        match name {
            "message" => self.message = value,
            "run" => self.run = Some(value),
            "table" => self.at.table = Some(value),
            "file" => self.at.file = Some(value),
            _ => self.fields.push((name, value.into())),
        }
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field.name(), format!("{value:?}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "record" => self.at.record = Some(value),
            name => self.fields.push((name, value.into())),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.fields.push((field.name(), value.into()));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.fields.push((field.name(), ((value * 1000.0).round() / 1000.0).into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.fields.push((field.name(), value.into()));
    }
}

struct Lines(LogForm);

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let line = Line::of(event);
        match self.0 {
            LogForm::Text => writeln!(writer, "{}", line.text()),
            LogForm::Json => writeln!(writer, "{}", line.document()),
        }
    }
}

struct StandardError;

impl<'a> MakeWriter<'a> for StandardError {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl io::Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        write_line(String::from_utf8_lossy(line).trim_end_matches('\n'));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str, fields: Vec<(&'static str, Json)>) -> Line {
        let at = Position {
            table: Some("runs".to_owned()),
            file: Some("logs/a\u{1b}[2J.csv".to_owned()),
            record: Some(41),
        };
        let (run, message) = (Some("270c96a4".to_owned()), message.to_owned());
        Line { level: "warning", run, at, message, fields }
    }

    #[test]
    fn a_line_for_people_says_when_what_run_and_where() {
        let fields = vec![("code", "WB0606".into()), ("why", "it \"is\" so".into())];
        let text = line("the disk\nis slow", fields).text();
        let (when, rest) = text.split_once(' ').unwrap();
        assert!(when.starts_with("[20") && when.ends_with('Z'), "{when}");
        assert_eq!(
            rest,
            "270c96a4 runs logs/a\\u{1b}[2J.csv record 41] warning[WB0606]: the disk\\nis slow \
             why=\"it \\\"is\\\" so\""
        );
    }

    #[test]
    fn a_line_for_programs_is_one_object() {
        let document = line("a\nb", vec![("code", "WB0606".into())]).document();
        assert!(!document.contains('\n'));
        let document: Json = serde_json::from_str(&document).unwrap();
        assert_eq!((&document["run"], &document["record"]), (&"270c96a4".into(), &41.into()));
        assert_eq!((&document["message"], &document["code"]), (&"a\nb".into(), &"WB0606".into()));
    }

    /// What a library logs while a run goes on, in a form.
    fn heard(form: LogForm) -> String {
        static HEARD: Mutex<Vec<u8>> = Mutex::new(Vec::new());
        HEARD.lock().unwrap().clear();
        let subscriber = subscriber(form, Level::DEBUG, || Heard(&HEARD));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(mode = "delete", "no write-ahead log");
            tracing::info!(table = "runs", file = "b.csv", rate = 0.5f64, "progress");
            tracing::trace!("too much");
        });
        String::from_utf8(HEARD.lock().unwrap().clone()).unwrap()
    }

    struct Heard(&'static Mutex<Vec<u8>>);

    impl io::Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_library_logs_is_about_the_run_and_its_position() {
        run("270c96a4");
        let table = Some("run_samples".to_owned());
        at(Position { table, file: Some("a.csv".to_owned()), record: Some(7) });
        let text = heard(LogForm::Text);
        let lines: Vec<&str> = text.lines().map(|line| line.split_once(' ').unwrap().1).collect();
        assert_eq!(
            lines,
            [
                "270c96a4 run_samples a.csv record 7] warning: no write-ahead log mode=delete",
                "270c96a4 runs b.csv] progress rate=0.5",
            ]
        );
        let json = heard(LogForm::Json);
        let lines: Vec<Json> =
            json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["run"], &lines[0]["record"]), (&"270c96a4".into(), &7.into()));
        assert_eq!((&lines[1]["table"], &lines[1].get("record")), (&"runs".into(), &None));
        assert_eq!((&lines[1]["level"], &lines[1]["rate"]), (&"info".into(), &0.5.into()));
    }
}
