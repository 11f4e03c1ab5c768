//! Tables and columns with names that programs do not expect: `init` writes a plan for them that runs,
//! from every engine into every engine, and each value arrives under its own name.

#![allow(clippy::unwrap_used)] // tests

mod kept;
mod old;
mod pairs;
mod rights;

use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn whimbrel(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("TARGET")
        .env_remove("SOURCE")
        .envs(environment.iter().copied())
        .env("WHIMBREL_PROGRESS", "none")
        .output()
        .unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
