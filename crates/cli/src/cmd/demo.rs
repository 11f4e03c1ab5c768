//! `demo`: makes small legacy data of two systems and shows the whole way, with the commands that a
//! person would type. Each is run as one, by this program itself; its output is the real one.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};
use whimbrel_testkit::{DEFAULT_SEED, content, extruder};

use crate::args::{Demo, Format, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, printable};

/// Lines of a long output that are shown at its beginning and its end.
const FIRST_LINES: usize = 30;
const LAST_LINES: usize = 8;
/// Clean documents beside the dirty ones.
const CLEAN_DOCUMENTS: u64 = 200;

/// A command, what it is for, and the exit codes that it may end with.
struct Step {
    about: &'static str,
    arguments: &'static [&'static str],
    ends: &'static [i32],
}

const STEPS: &[Step] = &[
    Step {
        about: "What is there?",
        arguments: &["analyze", "legacy", "--html", "analysis.html"],
        ends: &[0],
    },
    Step { about: "A first plan, ready to run.", arguments: &["init", "legacy"], ends: &[0] },
    Step { about: "What would happen? Nothing is written.", arguments: &["plan"], ends: &[0, 3] },
    Step {
        about: "Load it. 3 means: done, with rejects.",
        arguments: &["migrate", "--yes"],
        ends: &[0, 3],
    },
    Step { about: "How does it stand?", arguments: &["status"], ends: &[0] },
    Step { about: "What needs attention, by cause?", arguments: &["rejects", "list"], ends: &[0] },
    Step { about: "The whole account.", arguments: &["report"], ends: &[0] },
];

struct System {
    folder: &'static str,
    title: &'static str,
    data: Data,
}

enum Data {
    Extruder,
    Content,
}

const SYSTEMS: [System; 2] = [
    System {
        folder: "extruder",
        title: "A pilot extruder: run logs as CSV, a process log as JSON Lines, configurations as JSON",
        data: Data::Extruder,
    },
    System {
        folder: "content",
        title: "A collection of articles: JSON, Markdown, text and a CSV export",
        data: Data::Content,
    },
];

pub(crate) fn run(global: &Global, args: &Demo) -> Result<Answer, Failure> {
    let folder = &args.folder;
    refuse_a_used_folder(folder)?;
    let program = std::env::current_exe().map_err(|error| {
        Failure::io("WB0726", "this program's own file cannot be found", &error)
    })?;
    let mut tale = Tale {
        text: String::new(),
        live: global.format == Format::Text && global.output.is_none(),
    };
    tale.say(&format!("`whimbrel` below is {}\n", program.display()));
    let mut steps = Vec::new();
    for system in &SYSTEMS {
        let base = folder.join(system.folder);
        make(system, &base.join("legacy")).map_err(|error| not_made(folder, &error))?;
        tale.say(&format!("\n=== {} ===\n$ cd {}\n", system.title, base.display()));
        for step in STEPS {
            steps.push(take(&program, &base, step, &mut tale)?);
        }
    }
    let ending = ending(folder);
    let text = if tale.live { ending } else { tale.text + &ending };
    let data = json!({ "folder": folder.display().to_string(), "steps": steps });
    Ok(Answer::new("the demo is done", text, data))
}

fn refuse_a_used_folder(folder: &Path) -> Result<(), Failure> {
    let taken = |what: &str| {
        let message = format!("{what}: `{}`", folder.display());
        Failure::usage("WB0725", message, "name a new folder: `whimbrel demo FOLDER`")
    };
    match fs::read_dir(folder) {
        Ok(mut listing) => match listing.next() {
            None => Ok(()),
            Some(_) => Err(taken("the demo's folder is not empty")),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure {
            causes: vec![error.to_string()],
            ..taken("the demo's folder cannot be used")
        }),
    }
}

fn make(system: &System, legacy: &Path) -> io::Result<()> {
    match system.data {
        Data::Extruder => extruder::write(legacy, extruder::Size::Small, DEFAULT_SEED),
        Data::Content => content::write(legacy, CLEAN_DOCUMENTS, DEFAULT_SEED),
    }
}

fn not_made(folder: &Path, error: &io::Error) -> Failure {
    let message = format!("the demo's data cannot be written below `{}`", folder.display());
    Failure::io("WB0724", message, error).with_exit(Exit::Usage)
}

/// Runs one command in a folder and tells of it.
fn take(program: &Path, base: &Path, step: &Step, tale: &mut Tale) -> Result<Json, Failure> {
    let command = format!("whimbrel {}", step.arguments.join(" "));
    tale.say(&format!("\n# {}\n$ {command}\n", step.about));
    let output = Command::new(program)
        .args(step.arguments)
        .current_dir(base)
        // The plan's variable and its place are the demo's own.
        .env_remove("TARGET")
        .env_remove("WHIMBREL_PROGRESS")
        .output()
        .map_err(|error| Failure::io("WB0726", format!("`{command}` could not be run"), &error))?;
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    let answer = String::from_utf8_lossy(&output.stdout).into_owned();
    tale.say(&shortened(&format!("{talk}{answer}")));
    let exit = output.status.code();
    match exit {
        Some(code) if step.ends.contains(&code) => {
            if code != 0 {
                tale.say(&format!("(exit code {code})\n"));
            }
            Ok(
                json!({ "folder": base.display().to_string(), "command": command, "exit_code": code, "output": answer }),
            )
        }
        Some(_) | None => Err(failed(&command, base, exit, &talk)),
    }
}

fn failed(command: &str, base: &Path, exit: Option<i32>, talk: &str) -> Failure {
    let how = exit.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    let message = format!("`{command}` in `{}` ended with {how}", base.display());
    let mut failure =
        Failure::usage("WB0726", message, "run that command in that folder to look closer");
    failure.causes = talk.lines().take(4).map(|line| printable(line, 200)).collect();
    failure.exit = Exit::Failed;
    failure
}

/// The first and the last lines of a long output.
fn shortened(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(FIRST_LINES + LAST_LINES);
    let gap = format!("[… {left_out} more lines …]");
    if left_out > 1 {
        lines.splice(FIRST_LINES..FIRST_LINES + left_out, [gap.as_str()]);
    }
    lines.push("");
    lines.join("\n")
}

fn ending(folder: &Path) -> String {
    let base = folder.join(SYSTEMS[0].folder);
    format!(
        "\nBoth systems are loaded; every record is in a table or in the list of rejects. Type next:\n\
         \u{20} cd {}\n\
         \u{20} whimbrel rejects list --all           # each reject, with file and line\n\
         \u{20} whimbrel rejects export mend          # their bytes, to mend in an editor\n\
         \u{20} whimbrel migrate                      # again: there is nothing to do\n\
         \u{20} whimbrel report --form html -o report.html\n\
         The plan to change is whimbrel.toml, the page of the analysis analysis.html, the database legacy.db.\n",
        base.display()
    )
}

/// What is said, as it happens.
struct Tale {
    text: String,
    /// Also at once on standard output.
    live: bool,
}

impl Tale {
    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        if self.live {
            // Nobody may be listening any more; the folder is made all the same.
            let mut stdout = io::stdout();
            let _heard = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_outputs_keep_their_ends() {
        let lines: Vec<String> = (1..=60).map(|number| number.to_string()).collect();
        let short = shortened(&lines.join("\n"));
        assert!(short.starts_with("1\n2\n") && short.ends_with("59\n60\n"));
        assert!(short.contains("[… 22 more lines …]"));
        assert_eq!(shortened("a\nb"), "a\nb\n");
    }
}
