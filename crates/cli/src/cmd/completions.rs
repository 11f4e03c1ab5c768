//! `completions`: a script that teaches a shell the verbs and flags.

use clap::CommandFactory as _;
use serde_json::json;

use crate::args::{Cli, Completions};
use crate::output::Answer;

pub(crate) fn run(args: &Completions) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "whimbrel", &mut script);
    let script = String::from_utf8(script).expect("a completion script is made of verbs and flags");
    let shell = args.shell.to_string();
    let data = json!({ "shell": shell, "script": script });
    Answer::new(format!("completions for {shell}"), script, data)
}
