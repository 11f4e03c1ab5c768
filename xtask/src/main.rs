//! The project's own chores. Drives the `whimbrel` binary as a subprocess, as an operator would,
//! and checks what it did by means that share no code with it.

mod bench;
mod binary;
mod changes;
mod checker;
mod corrupt;
mod course;
mod crash;
mod cuts;
mod databases;
mod engine;
mod exactness;
mod fixtures;
mod leftovers;
mod oracle;
mod picture;
mod proofs;
mod repairs;
mod sheet;
mod site;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask CHORE

  test                 everything: format, lints, tidy, unit and contract tests, fixtures, damage, faults
  tidy                 rules of the repository itself
  migrate-fixtures [SYSTEM] [--engine sqlite|postgres|mysql]
                       the fixture systems, migrated, mended and taken along with their data, on each
                       engine; without a word also the inputs of fixtures/exactness
  crash [SYSTEM] [--engine NAME] [--seconds N] [--seed N]
                       every failpoint in every kind of run, then random kills, and cuts of connections to
                       servers, until the time is up
  soak [SYSTEM] [--engine NAME] [--kills N] [--cuts N] [--seed N]
                       random kills by number (default 200 per system and engine), and as many cuts of
                       connections to servers, a quarter of them around COMMIT
  corrupt [--system S] [--engine NAME] [--kinds WORD,WORD] [--level LEVEL] [--seed N] [--all]
                       migrated targets damaged in one way after another, each of which `verify` must
                       find, naming its row: each kind on one system in turn, at `rigorous`; with
                       --all on every system and at every level
  bench [NAME] [--rows N] [--runs N] [--binary FILE] [--check] [--record]
                       whole migrations against the engines' own tools, in turns: load-sqlite,
                       load-postgres, load-mysql, copy-database, heartbeat; impact: latencies of a
                       live workload beside a load; all of them without a NAME. --check fails where
                       a figure is worse than docs/benchmarks.md has it, beyond its tolerance;
                       --record writes what was found there
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if !matches!(words.as_slice(), [] | ["tidy"]) && !leftovers::is_watched() {
        return leftovers::watch(&words);
    }
    let result = match words.as_slice() {
        ["test"] => test::run(),
        ["tidy"] => tidy::run(),
        ["migrate-fixtures", rest @ ..] => fixtures::run(rest),
        ["crash", rest @ ..] => crash::run(rest),
        ["soak", rest @ ..] => crash::soak(rest),
        ["corrupt", rest @ ..] => corrupt::run(rest),
        ["bench", rest @ ..] => bench::run(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The value of `--name VALUE` among a chore's arguments.
fn flag(arguments: &[&str], name: &str, default: u64) -> anyhow::Result<u64> {
    match arguments.iter().position(|argument| *argument == name) {
        None => Ok(default),
        Some(at) => {
            let value =
                arguments.get(at + 1).ok_or_else(|| anyhow::anyhow!("{name} needs a value"))?;
            value.parse().map_err(|_| anyhow::anyhow!("{name} needs a number, not `{value}`"))
        }
    }
}
