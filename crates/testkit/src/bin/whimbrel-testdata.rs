//! Makes legacy data in a folder: `whimbrel-testdata extruder DIR`.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use whimbrel_testkit::{DEFAULT_SEED, chunks, content, extruder, heartbeat, telemetry};

const USAGE: &str = "\
usage: whimbrel-testdata extruder  DIR  [--seed N] [--rows N]
       whimbrel-testdata content   DIR  [--seed N] [--documents N]
       whimbrel-testdata heartbeat DIR  [--seed N] [--rows N]
       whimbrel-testdata chunks    DIR  [--seed N] [--rows N]
       whimbrel-testdata markdown  DIR  [--seed N] [--documents N]
       whimbrel-testdata telemetry FILE [--seed N] [--rows N] [--bad RATIO]

extruder, content   the fixtures' legacy folders; --rows and --documents add clean data
heartbeat, chunks   the fixtures' legacy databases as SQL dumps; --rows adds clean rows
markdown            small Markdown files (10,000 of them)
telemetry           one CSV file of twelve columns (1,000,000 rows), --bad 0.03 for 3 % bad rows
";

fn main() -> ExitCode {
    let outcome = Job::parse(std::env::args().skip(1))
        .map_err(Failure::Usage)
        .and_then(|job| job.run().map_err(|error| Failure::Write(job.path.clone(), error)));
    let (text, code) = match outcome {
        Ok(done) => return report(&mut io::stdout(), &done, ExitCode::SUCCESS),
        Err(Failure::Usage(why)) => (format!("error: {why}\n{USAGE}"), ExitCode::from(2)),
        Err(Failure::Write(path, error)) => {
            (format!("error: writing `{}`: {error}\n", path.display()), ExitCode::FAILURE)
        }
    };
    report(&mut io::stderr(), &text, code)
}

fn report(out: &mut dyn Write, text: &str, code: ExitCode) -> ExitCode {
    if out.write_all(text.as_bytes()).is_ok() { code } else { ExitCode::FAILURE }
}

enum Failure {
    Usage(String),
    Write(PathBuf, io::Error),
}

#[derive(Clone, Copy)]
enum What {
    Extruder,
    Content,
    Heartbeat,
    Chunks,
    Markdown,
    Telemetry,
}

struct Job {
    what: What,
    path: PathBuf,
    seed: u64,
    amount: Option<u64>,
    bad: f64,
}

impl Job {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let what = match arguments.next().as_deref() {
            Some("extruder") => What::Extruder,
            Some("content") => What::Content,
            Some("heartbeat") => What::Heartbeat,
            Some("chunks") => What::Chunks,
            Some("markdown") => What::Markdown,
            Some("telemetry") => What::Telemetry,
            Some(other) => return Err(format!("no such data: `{other}`")),
            None => return Err("say what to make".to_owned()),
        };
        let path = arguments.next().ok_or("say where to write")?.into();
        let mut job = Self { what, path, seed: DEFAULT_SEED, amount: None, bad: 0.0 };
        while let Some(flag) = arguments.next() {
            let value = arguments.next().ok_or(format!("`{flag}` needs a value"))?;
            job.set(&flag, &value)?;
        }
        Ok(job)
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        let count =
            || value.parse().map_err(|_| format!("`{flag}` needs a whole number: `{value}`"));
        match (flag, self.what) {
            ("--seed", _) => self.seed = count()?,
            ("--rows", What::Extruder | What::Heartbeat | What::Chunks | What::Telemetry)
            | ("--documents", What::Content | What::Markdown) => self.amount = Some(count()?),
            ("--bad", What::Telemetry) => {
                let ratio = value.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
                self.bad = ratio.ok_or(format!("`--bad` needs a ratio from 0 to 1: `{value}`"))?;
            }
            (_, _) => return Err(format!("unknown flag: `{flag}`")),
        }
        Ok(())
    }

    fn run(&self) -> io::Result<String> {
        let path: &Path = &self.path;
        let shown = path.display();
        match self.what {
            What::Extruder => {
                let size = self.amount.map_or(extruder::Size::Small, extruder::Size::Rows);
                extruder::write(path, size, self.seed)?;
                Ok(format!("legacy data of the extruder: {shown}\n"))
            }
            What::Content => {
                content::write(path, self.amount.unwrap_or(0), self.seed)?;
                Ok(format!("legacy documents: {shown}\n"))
            }
            What::Heartbeat => {
                heartbeat::write(path, self.amount.unwrap_or(0), self.seed)?;
                Ok(format!("legacy database of the polling service: {shown}\n"))
            }
            What::Chunks => {
                chunks::write(path, self.amount.unwrap_or(0), self.seed)?;
                Ok(format!("legacy database of the text processor: {shown}\n"))
            }
            What::Markdown => {
                let documents = self.amount.unwrap_or(10_000);
                content::write_small_markdown(path, documents, self.seed)?;
                Ok(format!("{documents} Markdown files: {shown}\n"))
            }
            What::Telemetry => {
                let rows = self.amount.unwrap_or(1_000_000);
                let written = telemetry::write_csv(path, rows, self.bad, self.seed)?;
                Ok(format!(
                    "{} good and {} bad rows, {} bytes: {shown}\n",
                    written.good, written.bad, written.bytes
                ))
            }
        }
    }
}
