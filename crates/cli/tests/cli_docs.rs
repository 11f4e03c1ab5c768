//! `docs/cli-reference.md` is what the program itself says. `BLESS=1` writes it anew.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn the_reference_is_what_the_program_says() {
    let file = root().join("docs/cli-reference.md");
    let said = reference();
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, said).expect("the reference can be written");
        return;
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let differs = written.lines().zip(said.lines()).find(|(written, said)| written != said);
    assert!(
        written == said,
        "docs/cli-reference.md is not what `--help` says: run this test with BLESS=1. \
         First difference (written, said): {differs:?}"
    );
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn reference() -> String {
    let mut text = String::from(
        "# Command line\n\n\
         *This page is what `-h` of each verb says; a test compares them.*\n\n\
         Standard output carries the answer and nothing else; progress and errors go to standard \
         error. With `--format json` the answer is one document, `{success, message, data, \
         exit_code, retryable, timestamp}`, and an error is one too, with `error` (its code) and \
         `details`. Exit codes stand in [exit-codes.md](exit-codes.md).\n",
    );
    section(&mut Vec::new(), &mut text);
    text
}

/// One verb and the verbs below it.
fn section(verb: &mut Vec<String>, text: &mut String) {
    let help = help(verb);
    let title = if verb.is_empty() {
        "whimbrel".to_owned()
    } else {
        format!("whimbrel {}", verb.join(" "))
    };
    writeln!(text, "\n## `{title}`\n```text\n{}\n```", help.trim_end()).expect("a text takes text");
    for below in verbs_of(&help) {
        verb.push(below);
        section(verb, text);
        verb.pop();
    }
}

fn help(verb: &[String]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(verb)
        .arg("-h")
        .env("COLUMNS", "100")
        .env_remove("WHIMBREL_PROGRESS")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "`{} -h` fails", verb.join(" "));
    let text = String::from_utf8(output.stdout).expect("help is text");
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect::<Vec<_>>().concat()
}

/// The first words of the lines below `Commands:`.
fn verbs_of(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}
