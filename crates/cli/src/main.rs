//! The `whimbrel` binary: parses the command line, runs one verb, prints its answer, and returns
//! its exit code. It owns nothing that a library user would miss.

mod args;
mod cmd;
mod codes;
mod exit;
mod failure;
mod machine;
mod output;
mod progress;
mod project;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Cli, LogForm, Verb};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, Output, colours};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _heard = error.print();
            return ExitCode::from(error.exit_code() as u8);
        }
    };
    #[cfg(feature = "failpoints")]
    arm_failpoint();
    log(&cli);
    let output = Output::new(&cli.global);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&cli)),
        Err(error) => Err(Failure::io("WB0704", "the program could not start", &error)),
    };
    let exit = match &result {
        Ok(answer) => output.answer(answer).map(|()| answer.exit),
        Err(failure) => {
            eprint(&failure.render(colours(&cli.global)));
            output.error(failure).map(|()| failure.exit)
        }
    };
    match exit {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(error) => {
            eprint(&Failure::io("WB0705", "the answer could not be written", &error).render(false));
            ExitCode::from(Exit::Failed as u8)
        }
    }
}

fn eprint(text: &str) {
    use std::io::Write as _;
    // Nobody may be listening any more.
    let _heard = std::io::stderr().write_all(text.as_bytes());
}

/// Log lines on standard error: JSON if asked for; as text the progress lines are the log.
fn log(cli: &Cli) {
    if cli.global.log_format != LogForm::Json {
        return;
    }
    let level = match cli.global.verbose {
        0 => tracing::Level::INFO,
        1 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(level)
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
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

async fn run(cli: &Cli) -> Result<Answer, Failure> {
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
        Verb::Rejects(verb) => cmd::rejects::run(verb).await,
        Verb::Report(args) => cmd::report::run(global, args).await,
        Verb::Explain(args) => cmd::explain::run(args),
        Verb::Schema(verb) => Ok(cmd::schema::run(verb)),
        Verb::Completions(args) => Ok(cmd::completions::run(args)),
    }
}
