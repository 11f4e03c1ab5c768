//! The `whimbrel` binary: parses the command line, runs one verb, prints its answer, and returns
//! its exit code. It owns nothing that a library user would miss.

mod args;
mod cmd;
mod codes;
mod exit;
mod failure;
mod log;
mod machine;
mod output;
mod programs;
mod progress;
mod project;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser as _, ValueEnum};

use crate::args::{Cli, Format, LogForm, Verb};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, Output, colours};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    #[cfg(feature = "failpoints")]
    arm_failpoint();
    log::start(&cli.global);
    let output = Output::new(&cli.global);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&cli, &output)),
        Err(error) => Err(Failure::io("WB0704", "the program could not start", &error)),
    };
    let exit = match &result {
        Ok(answer) => output.answer(answer).map(|()| answer.exit),
        Err(failure) => {
            log::failure(log::form(&cli.global), failure, colours(&cli.global));
            output.error(failure).map(|()| failure.exit)
        }
    };
    match exit {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            let failure = Failure::io("WB0705", "the answer could not be written", &error);
            log::failure(log::form(&cli.global), &failure, false);
            ExitCode::from(Exit::Failed as u8)
        }
    }
}

/// Help that was asked for, or a command line that cannot be understood: then a document too, where
/// the line asks for JSON.
fn misused(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // Nobody may be listening any more.
        let _heard = error.print();
        return ExitCode::from(error.exit_code() as u8);
    }
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let message = first.split_whitespace().collect::<Vec<_>>().join(" ");
    let message = message.trim_start_matches("error: ");
    let failure = Failure::usage("WB0727", message, "`whimbrel --help` lists verbs and flags");
    match asked("--log-format", std::env::args_os()) {
        Some(LogForm::Json) => log::failure(LogForm::Json, &failure, false),
        Some(LogForm::Text) | None => {
            let _heard = error.print();
        }
    }
    if let Some(format) = asked::<Format>("--format", std::env::args_os()) {
        let _heard = Output::standard(format).error(&failure);
    }
    ExitCode::from(error.exit_code() as u8)
}

/// What a flag says on a line that could not be parsed.
fn asked<T: ValueEnum>(flag: &str, line: impl Iterator<Item = OsString>) -> Option<T> {
    let words: Vec<String> = line.map(|word| word.to_string_lossy().into_owned()).collect();
    let words = words.split(|word| word == "--").next()?;
    let asked =
        words.iter().enumerate().rev().find_map(|(at, word)| match word.strip_prefix(flag) {
            Some("") => words.get(at + 1).map(String::as_str),
            Some(value) => value.strip_prefix('='),
            None => None,
        });
    T::from_str(asked?, false).ok()
}

#[cfg(feature = "failpoints")]
#[allow(clippy::disallowed_methods)] // the command line is where the environment is read
fn arm_failpoint() {
    if let Ok(point) = std::env::var("WHIMBREL_FAILPOINT") {
        let (name, pass) = point.rsplit_once(':').unwrap_or((point.as_str(), "1"));
        let pass = pass.parse().expect("WHIMBREL_FAILPOINT is `name:pass`");
        whimbrel_endpoint::failpoint::arm(name.to_owned(), pass);
    }
}

async fn run(cli: &Cli, output: &Output) -> Result<Answer, Failure> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Analyze(args) => cmd::analyze::run(global, args).await,
        Verb::Init(args) => cmd::init::run(global, args).await,
        Verb::Demo(args) => cmd::demo::run(global, args),
        Verb::Plan(args) => cmd::plan::run(args).await,
        Verb::Validate(args) => cmd::validate::run(args).await,
        Verb::Migrate(args) => cmd::migrate::run(global, args).await,
        Verb::Status(args) => cmd::status::run(args).await,
        Verb::History(args) => cmd::history::run(args).await,
        Verb::CheckIncremental(args) => cmd::check_incremental::run(args).await,
        Verb::Rejects(verb) => cmd::rejects::run(&cli.global, verb).await,
        Verb::Report(args) => cmd::report::run(global, args).await,
        Verb::Verify(args) => cmd::verify::run(args).await,
        Verb::Prove(args) => cmd::prove::run(args).await,
        Verb::Compare(args) => cmd::compare::run(global, args).await,
        Verb::Audit(args) => cmd::audit::run(output, args).await,
        Verb::Explain(args) => cmd::explain::run(args),
        Verb::Schema(verb) => Ok(cmd::schema::run(verb)),
        Verb::Completions(args) => Ok(cmd::completions::run(args)),
    }
}
