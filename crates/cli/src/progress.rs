//! Progress on standard error: a bar on a terminal, whole lines elsewhere, or JSON.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use whimbrel_core::event::{Event, Numbered, Observer, Progress};

use crate::args::{Format, Global, ProgressForm};
use crate::output::{printable, thousands};

/// Shows events as they come.
pub(crate) struct Shown {
    form: Form,
    /// `--format jsonl`: every event is a line on standard output too.
    stream: bool,
    verbose: bool,
    state: Mutex<State>,
}

enum Form {
    Bar(ProgressBar),
    Lines,
    Json,
    None,
}

#[derive(Default)]
struct State {
    last_line: Option<Instant>,
}

/// Lines are at least this far apart.
const LINE_EVERY: Duration = Duration::from_secs(10);

impl Shown {
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let form = match global.progress {
            ProgressForm::Auto if terminal => Form::Bar(bar(global.ascii)),
            ProgressForm::Auto | ProgressForm::Log => Form::Lines,
            ProgressForm::Bar => Form::Bar(bar(global.ascii)),
            ProgressForm::Json => Form::Json,
            ProgressForm::None => Form::None,
        };
        Self {
            form,
            stream: global.format == Format::Jsonl,
            verbose: global.verbose > 0,
            state: Mutex::default(),
        }
    }

    fn line(&self, text: &str) {
        match &self.form {
            Form::Bar(bar) => bar.suspend(|| to_stderr(text)),
            Form::Lines => to_stderr(text),
            Form::Json | Form::None => {}
        }
    }

    fn progress(&self, progress: &Progress) {
        match &self.form {
            Form::Bar(bar) => {
                bar.set_length(progress.bytes_total.max(1));
                bar.set_position(progress.bytes);
                bar.set_message(figures(progress));
            }
            Form::Lines => {
                let mut state =
                    self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let due = state.last_line.is_none_or(|last| last.elapsed() >= LINE_EVERY);
                let first = state.last_line.is_none();
                if due {
                    state.last_line = Some(Instant::now());
                }
                if due && !first {
                    to_stderr(&log_line(progress));
                }
            }
            Form::Json | Form::None => {}
        }
    }
}

fn bar(ascii: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr_with_hz(8));
    let style = ProgressStyle::with_template("{bar:24} {percent:>3}% {msg}")
        .expect("the template is a template")
        .progress_chars(if ascii { "#>." } else { "█▉▊▋▌▍▎▏ " });
    bar.set_style(style);
    bar
}

fn figures(progress: &Progress) -> String {
    let eta = progress.eta.map_or_else(String::new, |eta| format!(", {} left", duration(eta)));
    format!(
        "{}: {} read, {} committed, {} rejected, {}/s{eta}, limited by {}",
        progress.table,
        thousands(progress.read),
        thousands(progress.committed),
        thousands(progress.rejected),
        thousands(progress.rate as u64),
        progress.bottleneck,
    )
}

fn log_line(progress: &Progress) -> String {
    let eta = progress.eta.map_or_else(|| "unknown".to_owned(), |eta| format!("{eta:.0}s"));
    format!(
        "progress table={} file={} read={} committed={} rejected={} bytes={}/{} rate={:.0}/s eta={eta} bottleneck={}",
        progress.table,
        printable(&progress.file, 200),
        progress.read,
        progress.committed,
        progress.rejected,
        progress.bytes,
        progress.bytes_total,
        progress.rate,
        progress.bottleneck,
    )
}

/// `48s`, `3m 42s`, `2h 5m`.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0 if seconds > 0.0 => format!("{seconds:.1}s"),
        0..=59 => format!("{whole}s"),
        60..=3599 => format!("{}m {}s", whole / 60, whole % 60),
        _ => format!("{}h {}m", whole / 3600, whole / 60 % 60),
    }
}

fn to_stderr(text: &str) {
    // Nobody may be listening any more; the work goes on.
    let _heard = writeln!(std::io::stderr(), "{text}");
}

impl Observer for Shown {
    fn event(&self, numbered: &Numbered) {
        if self.stream {
            let document = serde_json::to_string(numbered).expect("an event has a JSON text");
            let _heard = writeln!(std::io::stdout(), "{document}");
        }
        if let Form::Json = self.form {
            to_stderr(&serde_json::to_string(numbered).expect("an event has a JSON text"));
        }
        trace(&numbered.event);
        match &numbered.event {
            Event::RunStarted { run, kind, resumed, committed } => {
                if *resumed {
                    let committed = thousands(*committed);
                    self.line(&format!("Resuming run {run}: {committed} records are committed."));
                } else {
                    self.line(&format!("Run {run} ({kind})"));
                }
            }
            Event::PhaseStarted { phase } if self.verbose => self.line(&format!("phase {phase}")),
            Event::PhaseFinished { phase, seconds } if self.verbose => {
                self.line(&format!("phase {phase} took {}", duration(*seconds)));
            }
            Event::StepStarted { table, files, bytes } if self.verbose => self.line(&format!(
                "loading `{table}`: {} files, {} bytes",
                thousands(*files),
                thousands(*bytes)
            )),
            Event::Checkpoint { table, batch, units, rows, seconds, file, record }
                if self.verbose =>
            {
                self.line(&format!(
                    "batch {batch} of `{table}`: {} units, {} rows in {seconds:.2}s, up to `{}` record {record}",
                    thousands(*units),
                    thousands(*rows),
                    printable(file, 200)
                ));
            }
            Event::PhaseStarted { .. }
            | Event::PhaseFinished { .. }
            | Event::StepStarted { .. }
            | Event::Checkpoint { .. }
            | Event::StepFinished { .. } => {}
            Event::Progress(progress) => self.progress(progress),
            Event::Warning { code, message } => {
                self.line(&format!("warning[{code}]: {}", printable(message, 400)));
            }
            Event::Retry { attempt, wait_seconds, message } => self.line(&format!(
                "attempt {attempt} failed, next in {wait_seconds:.1}s: {}",
                printable(message, 400)
            )),
            Event::Waiting { seconds } => self.line(&format!(
                "the maintenance window opens in {}; waiting",
                duration(*seconds as f64)
            )),
            Event::RunFinished { .. } => {
                if let Form::Bar(bar) = &self.form {
                    bar.finish_and_clear();
                }
            }
        }
    }
}

/// The same as structured log lines, for `-v` and `--log-format json`.
fn trace(event: &Event) {
    match event {
        Event::RunStarted { run, kind, resumed, committed } => {
            tracing::info!(%run, kind, resumed, committed, "run started");
        }
        Event::PhaseStarted { phase } => tracing::debug!(phase, "phase started"),
        Event::PhaseFinished { phase, seconds } => tracing::info!(phase, seconds, "phase finished"),
        Event::StepStarted { table, files, bytes } => {
            tracing::info!(%table, files, bytes, "step started");
        }
        Event::Progress(progress) => tracing::trace!(
            table = %progress.table, read = progress.read, committed = progress.committed,
            rate = progress.rate, "progress"
        ),
        Event::Checkpoint { table, batch, units, rows, seconds, file, record } => {
            tracing::debug!(%table, batch, units, rows, seconds, %file, record, "batch committed");
        }
        Event::StepFinished { table, counts } => {
            tracing::info!(%table, read = counts.read, rejected = counts.rejected, "step finished");
        }
        Event::Warning { code, message } => tracing::warn!(code, %message),
        Event::Retry { attempt, wait_seconds, message } => {
            tracing::warn!(attempt, wait_seconds, %message, "retry");
        }
        Event::Waiting { seconds } => tracing::info!(seconds, "waiting for the window"),
        Event::RunFinished { run, status } => tracing::info!(%run, status, "run finished"),
    }
}
