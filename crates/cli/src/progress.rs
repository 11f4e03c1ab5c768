//! Progress on standard error: a bar on a terminal, log lines elsewhere, or every event as JSON.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use whimbrel_core::event::{Event, Numbered, Observer, Progress};

use crate::args::{Format, Global, LogForm, ProgressForm};
use crate::log::{self, Position};
use crate::output::{count, thousands};

/// Shows events as they come.
pub(crate) struct Shown {
    form: Form,
    /// `--format jsonl`: every event is a line on standard output too.
    stream: bool,
    /// Log lines are for people, and few: the run is introduced in a sentence.
    brief: bool,
    last_line: Mutex<Option<Instant>>,
}

enum Form {
    Bar(ProgressBar),
    Lines,
    Json,
    None,
}

/// Progress in log lines is at least this far apart.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Where a load is, as a log line: what the bar says, in fields.
macro_rules! progress_line {
    ($level:ident, $progress:expr) => {
        tracing::$level!(
            table = %$progress.table,
            file = %$progress.file,
            read = $progress.read,
            committed = $progress.committed,
            rejected = $progress.rejected,
            bytes = $progress.bytes,
            bytes_total = $progress.bytes_total,
            rate = $progress.rate,
            eta_seconds = $progress.eta,
            bottleneck = $progress.bottleneck,
            "progress"
        )
    };
}

/// An event and the run it is part of.
#[derive(Serialize)]
struct OfRun<'a> {
    /// Left out where the event names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    #[serde(flatten)]
    event: &'a Numbered,
}

impl Shown {
    pub(crate) fn new(global: &Global) -> Self {
        let text = log::form(global) == LogForm::Text;
        let terminal = std::io::stderr().is_terminal() && text;
        let form = match global.progress {
            ProgressForm::Auto if terminal => Form::Bar(bar_on_stderr(global.ascii)),
            ProgressForm::Auto | ProgressForm::Log => Form::Lines,
            ProgressForm::Bar => Form::Bar(bar_on_stderr(global.ascii)),
            ProgressForm::Json => Form::Json,
            ProgressForm::None => Form::None,
        };
        Self {
            form,
            stream: global.format == Format::Jsonl,
            brief: text && global.verbose == 0,
            last_line: Mutex::default(),
        }
    }

    fn progress(&self, progress: &Progress) {
        match &self.form {
            Form::Bar(bar) => {
                bar.set_length(progress.bytes_total.max(1));
                // How much a database holds is not known beforehand.
                bar.set_position(if progress.bytes_total == 0 { 0 } else { progress.bytes });
                bar.set_message(figures(progress));
            }
            Form::Lines if self.line_is_due(Instant::now()) => progress_line!(info, progress),
            Form::Lines | Form::None => progress_line!(trace, progress),
            Form::Json => {}
        }
    }

    /// Not at once: what is over soon needs no progress.
    fn line_is_due(&self, now: Instant) -> bool {
        let mut last = self.last_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let due = now.duration_since(*last.get_or_insert(now)) >= LINE_EVERY;
        if due {
            *last = Some(now);
        }
        due
    }
}

fn bar_on_stderr(ascii: bool) -> ProgressBar {
    let bar = bar(ProgressDrawTarget::stderr_with_hz(8), ascii);
    log::above(&bar);
    bar
}

fn bar(target: ProgressDrawTarget, ascii: bool) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), target);
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

impl Observer for Shown {
    fn event(&self, numbered: &Numbered) {
        let event = &numbered.event;
        place(event);
        if self.stream {
            // Nobody may be listening any more; the work goes on.
            let _heard = writeln!(std::io::stdout(), "{}", document(numbered));
        }
        match (&self.form, event) {
            (Form::Json, _) => log::write_line(&document(numbered)),
            (Form::None, _) if self.brief => {}
            (_, Event::RunStarted { run, kind, resumed, committed }) if self.brief => {
                log::write_line(&introduction(run, kind, *resumed, *committed));
            }
            (_, Event::RunFinished { .. }) if self.brief => {}
            (_, Event::Progress(progress)) => self.progress(progress),
            (_, event) => line(event),
        }
        if let (Form::Bar(bar), Event::RunFinished { .. }) = (&self.form, event) {
            bar.finish_and_clear();
        }
    }
}

/// In a run of few words, the sentence that names it.
fn introduction(run: &str, kind: &str, resumed: bool, committed: u64) -> String {
    if resumed {
        format!("Resuming run {run}: {} records are committed.", thousands(committed))
    } else {
        format!("Run {run} ({kind})")
    }
}

/// Tells the log what its lines are about from now on.
fn place(event: &Event) {
    match event {
        Event::RunStarted { run, .. } => log::run(run),
        Event::PhaseStarted { .. } => log::at(Position::default()),
        Event::RelateStarted { step, .. } => {
            log::at(Position { table: Some(step.clone()), ..Position::default() });
        }
        Event::StepStarted { table, .. } => {
            log::at(Position { table: Some(table.clone()), ..Position::default() });
        }
        Event::Checkpoint { table, file, record, .. } => log::at(Position {
            table: Some(table.clone()),
            file: Some(file.clone()),
            record: Some(*record),
        }),
        Event::PhaseFinished { .. }
        | Event::Progress(_)
        | Event::StepFinished { .. }
        | Event::Indexes { .. }
        | Event::RelateFinished { .. }
        | Event::RelateTakenBack { .. }
        | Event::Pressure { .. }
        | Event::Warning { .. }
        | Event::Retry { .. }
        | Event::Waiting { .. }
        | Event::RunFinished { .. } => {}
    }
}

fn document(numbered: &Numbered) -> String {
    let names_it = matches!(numbered.event, Event::RunStarted { .. } | Event::RunFinished { .. });
    let run = if names_it { None } else { log::current_run() };
    serde_json::to_string(&OfRun { run, event: numbered }).expect("an event has a JSON text")
}

/// An event as a log line.
fn line(event: &Event) {
    match event {
        Event::RunStarted { run, kind, resumed, committed } => {
            tracing::info!(%run, kind, resumed, committed, "run started");
        }
        Event::PhaseStarted { phase } => tracing::debug!(phase, "phase started"),
        Event::PhaseFinished { phase, seconds } => {
            tracing::debug!(phase, seconds, "phase finished");
        }
        Event::StepStarted { table, files, bytes } => {
            tracing::debug!(%table, files, bytes, "table started");
        }
        Event::Progress(progress) => progress_line!(trace, progress),
        Event::Checkpoint { table, batch, units, rows, seconds, file, record } => {
            tracing::debug!(%table, %file, record, batch, units, rows, seconds, "batch committed");
        }
        Event::StepFinished { table, counts } => tracing::debug!(
            %table, read = counts.read, loaded = counts.loaded, rejected = counts.rejected,
            "table finished"
        ),
        Event::Indexes { table, names, parked: true, .. } => tracing::info!(
            %table,
            "indexes of `{table}` are parked until its rows are complete: {}", names.join(", ")
        ),
        Event::Indexes { table, names, seconds, .. } => tracing::info!(
            %table, seconds,
            "indexes of `{table}` are there again: {}", names.join(", ")
        ),
        Event::RelateStarted { step, again } => {
            tracing::debug!(%step, again, "relate step started");
        }
        Event::RelateFinished { step, left: true, .. } => {
            tracing::info!(%step, "relate step `{step}`: nothing has come, it stays as it is");
        }
        Event::RelateFinished { step, rows, seconds, .. } => {
            tracing::info!(%step, rows, seconds, "relate step `{step}`: {} changed", count(*rows, "row"));
        }
        Event::RelateTakenBack { step } => {
            tracing::info!(%step, "relate step `{step}` is not in the plan any more and was taken back");
        }
        Event::Pressure { strain: 0, .. } => {
            tracing::info!("the target has room again; the load goes at its own pace");
        }
        Event::Pressure {
            strain,
            lock_waits,
            replica_lag_seconds,
            round_trip_ms,
            pause_seconds,
            batch_rows,
        } => tracing::info!(
            strain,
            lock_waits,
            replica_lag_seconds,
            round_trip_ms,
            pause_seconds,
            batch_rows,
            "others on the target have to wait; batches of {}, {pause_seconds:.1}s of rest between them",
            count(*batch_rows, "row")
        ),
        Event::Warning { code, message } => tracing::warn!(code, "{message}"),
        Event::Retry { attempt, wait_seconds, message } => tracing::warn!(
            attempt,
            wait_seconds,
            "attempt {attempt} failed, next in {wait_seconds:.1}s: {message}"
        ),
        Event::Waiting { seconds } => tracing::info!(
            seconds,
            "the maintenance window opens in {}; waiting",
            duration(*seconds as f64)
        ),
        Event::RunFinished { run, status } => tracing::info!(%run, status, "run finished"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use indicatif::TermLike;

    use super::*;

    fn progress() -> Progress {
        Progress {
            table: "runs".to_owned(),
            file: "logs/a.csv".to_owned(),
            read: 12_345,
            committed: 10_000,
            rejected: 3,
            bytes: 600,
            bytes_total: 1_000,
            elapsed: 6.0,
            rate: 2_057.5,
            eta: Some(4.0),
            bottleneck: "write",
        }
    }

    fn shown(form: Form) -> Shown {
        Shown { form, stream: false, brief: true, last_line: Mutex::default() }
    }

    /// A terminal that remembers what was written.
    #[derive(Debug, Default, Clone)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            120
        }

        fn move_cursor_up(&self, _lines: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _lines: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _columns: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _columns: usize) -> std::io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> std::io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_bar_names_rate_time_left_and_the_stage_that_limits() {
        let paper = Paper::default();
        let target = ProgressDrawTarget::term_like(Box::new(paper.clone()));
        let shown = shown(Form::Bar(bar(target, true)));
        shown.progress(&progress());
        let Form::Bar(bar) = &shown.form else { panic!("it is a bar") };
        bar.tick();
        let drawn = paper.0.lock().unwrap().clone();
        let drawn = drawn.trim_end();
        assert!(
            drawn.ends_with(
                "##############>.........  60% runs: 12,345 read, 10,000 committed, 3 rejected, \
                 2,057/s, 4s left, limited by write"
            ),
            "{drawn:?}"
        );
    }

    #[test]
    fn progress_in_lines_is_told_every_ten_seconds_and_not_at_once() {
        let shown = shown(Form::Lines);
        let begin = Instant::now();
        let due = |seconds| shown.line_is_due(begin + Duration::from_secs(seconds));
        let told: Vec<u64> = (0..31).filter(|second| due(*second)).collect();
        assert_eq!(told, [10, 20, 30]);
    }

    #[test]
    fn a_run_is_introduced_in_a_sentence() {
        assert_eq!(introduction("7f3a2c11", "full", false, 0), "Run 7f3a2c11 (full)");
        assert_eq!(
            introduction("7f3a2c11", "full", true, 1_234),
            "Resuming run 7f3a2c11: 1,234 records are committed."
        );
    }
}
