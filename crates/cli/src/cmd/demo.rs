//! `demo`: makes small legacy data of two systems and shows the whole way, with the commands that a
//! person would type. Each is run as one, by this program itself; its output is the real one.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};
use whimbrel_profile::shown::argument;
use whimbrel_testkit::{DEFAULT_SEED, content, extruder};

use crate::args::{Demo, Format, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, printable};

/// Clean documents beside the dirty ones.
const CLEAN_DOCUMENTS: u64 = 200;

/// A command, what it is for, and the exit codes that it may end with.
struct Step {
    about: &'static str,
    arguments: &'static [&'static str],
    ends: &'static [i32],
    /// Lines of a longer output that are shown at its beginning and its end.
    shown: (usize, usize),
}

const STEPS: &[Step] = &[
    Step {
        about: "What is there? Also as a page to look at: analysis.html.",
        arguments: &["analyze", "legacy", "--html", "analysis.html"],
        ends: &[0],
        shown: (16, 7),
    },
    Step {
        about: "A first plan and a schema from that; both run as they are.",
        arguments: &["init", "legacy"],
        ends: &[0],
        shown: (20, 2),
    },
    Step {
        about: "What would happen? Nothing is written.",
        arguments: &["plan"],
        ends: &[0],
        shown: (24, 3),
    },
    Step {
        about: "Load it. Exit code 3 means: done, and some records need a person.",
        arguments: &["migrate", "--yes"],
        ends: &[0, 3],
        shown: (20, 2),
    },
    Step { about: "How does it stand?", arguments: &["status"], ends: &[0], shown: (20, 2) },
    Step {
        about: "Which records were rejected, and why? By cause, the first of each.",
        arguments: &["rejects", "list"],
        ends: &[0],
        shown: (24, 2),
    },
    Step {
        about: "The whole account of the run.",
        arguments: &["report"],
        ends: &[0],
        shown: (24, 0),
    },
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
    tale.say(&beginning(folder));
    let mut steps = Vec::new();
    let mut way = typed(&folder.join(SYSTEMS[0].folder));
    for system in &SYSTEMS {
        let base = folder.join(system.folder);
        make(system, &base.join("legacy")).map_err(|error| not_made(folder, &error))?;
        tale.say(&format!("\n=== {} ===\n$ cd {way}\n", system.title));
        way = format!("../{}", SYSTEMS[1].folder);
        for step in STEPS {
            steps.push(take(&program, &base, step, &mut tale)?);
        }
    }
    let ending = ending(folder, &program);
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
    tale.say(&shortened(&format!("{talk}{answer}"), step.shown));
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
fn shortened(text: &str, (first, last): (usize, usize)) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let left_out = lines.len().saturating_sub(first + last);
    let gap = format!("[… {left_out} more lines …]");
    if left_out > 1 {
        lines.splice(first..first + left_out, [gap.as_str()]);
    }
    lines.push("");
    lines.join("\n")
}

/// A path as typed in a shell.
fn typed(path: &Path) -> String {
    argument(&path.display().to_string())
}

fn beginning(folder: &Path) -> String {
    format!(
        "Whimbrel moves legacy files into a new database, and accounts for every record.\n\
         This makes two small legacy systems below {}, with the faults that such data has, and\n\
         takes each into a SQLite database of its own. Behind a $ stands what you would type; what\n\
         follows is its real output, shortened where it is long.\n",
        typed(folder)
    )
}

fn ending(folder: &Path, program: &Path) -> String {
    let mut text = String::from(
        "\nBoth systems are loaded: every record is in a table or in the list of rejects.\nType next:\n",
    );
    if !is_found_by_name(program)
        && let Some(folder) = program.parent()
    {
        text.push_str(&format!("  export PATH={}:\"$PATH\"\n", typed(folder)));
    }
    let base = folder.join(SYSTEMS[0].folder);
    text.push_str(&format!("  cd {}\n", typed(&base)));
    text.push_str(
        "\u{20} whimbrel rejects list --all           # each reject, with file and line
  whimbrel rejects show legacy/logs/app.jsonl:26    # one of them, as it stands there
  whimbrel rejects export mend          # their bytes, a file each: mend one in an editor
  whimbrel rejects retry --from mend    # loads what was mended
  whimbrel migrate                      # again: there is nothing to do
  whimbrel report --form html -o report.html
The plan is whimbrel.toml, the database legacy.db; analysis.html and report.html are for a browser.
",
    );
    text
}

/// Whether the shell would find this very program by its name.
fn is_found_by_name(program: &Path) -> bool {
    #[allow(clippy::disallowed_methods)] // the command line is where the environment is read
    let path = std::env::var_os("PATH").unwrap_or_default();
    let program = fs::canonicalize(program).ok();
    let found = std::env::split_paths(&path).map(|folder| folder.join("whimbrel"));
    let first = found.into_iter().find(|path| path.is_file());
    program.is_some() && first.and_then(|path| fs::canonicalize(path).ok()) == program
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
        let short = shortened(&lines.join("\n"), (30, 8));
        assert!(short.starts_with("1\n2\n") && short.ends_with("59\n60\n"));
        assert!(short.contains("[… 22 more lines …]"));
        assert_eq!(shortened("a\nb", (30, 8)), "a\nb\n");
        assert!(shortened(&lines.join("\n"), (30, 0)).ends_with("30\n[… 30 more lines …]\n"));
    }
}
