//! Programs of the user's (`[[check]] command`): started without a shell in the plan's folder, with few
//! variables, their output bounded, ended with everything that they started when their time is up.

use std::collections::VecDeque;
use std::io::{PipeReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process_group};
use whimbrel_validator::rules::{Command, Commands, Ended};

/// Variables that every program gets as they are.
const PASSED: &[&str] = &["PATH", "HOME", "LANG", "TMPDIR"];

/// Bytes of the output that are kept: the last ones.
const KEPT: usize = 4_096;

/// How often is looked whether a program has ended.
const LOOK: Duration = Duration::from_millis(10);

/// How long is waited for the output of what a program has left running.
const LINGER: Duration = Duration::from_millis(500);

/// Runs programs in the folder of a plan.
pub(crate) struct Programs {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// The plan's file, for `WHIMBREL_PLAN`.
    pub(crate) plan: PathBuf,
}

#[async_trait]
impl Commands for Programs {
    async fn run(&self, command: Command) -> Ended {
        let (folder, plan) = (self.folder.clone(), self.plan.clone());
        let work = tokio::task::spawn_blocking(move || carry_out(&folder, &plan, &command));
        work.await.unwrap_or_else(|_| Ended::NotStarted("the thread for it ended".to_owned()))
    }
}

/// The last bytes that came.
#[derive(Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
    }
}

fn carry_out(folder: &std::path::Path, plan: &std::path::Path, command: &Command) -> Ended {
    let Some((program, arguments)) = command.words.split_first() else {
        return Ended::NotStarted("it names no program".to_owned());
    };
    // A program with a slash is meant from the plan's folder, whatever the process's own is.
    let absolute = |path: &std::path::Path| std::path::absolute(path).unwrap_or(path.to_owned());
    let folder = absolute(folder);
    let named = if program.contains('/') { folder.join(program) } else { program.into() };
    let mut process = std::process::Command::new(named);
    process.args(arguments).current_dir(&folder).env_clear();
    #[allow(clippy::disallowed_methods)] // the command line is where the environment is read
    for name in PASSED.iter().copied().chain(command.pass.iter().map(String::as_str)) {
        if let Some(value) = std::env::var_os(name) {
            process.env(name, value);
        }
    }
    process.env("WHIMBREL_PLAN", absolute(plan));
    process.envs(command.given.iter().map(|(name, value)| (name, value)));
    let begun = begun(process);
    let (mut child, output) = match begun {
        Ok(begun) => begun,
        Err(error) => return Ended::NotStarted(format!("`{program}`: {error}")),
    };
    let tail = Arc::new(Mutex::new(Tail::default()));
    let reader = reader(output, &tail);
    let status = waited(&mut child, command.timeout);
    let is_late = status.is_none();
    let patience = Instant::now() + LINGER;
    let is_reading = || !reader.is_finished();
    while !is_late && is_reading() && Instant::now() < patience {
        std::thread::sleep(LOOK);
    }
    if is_late || is_reading() {
        end(&mut child);
    }
    let kept = tail.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes: Vec<u8> = kept.0.iter().copied().collect();
    let output = String::from_utf8_lossy(&bytes).into_owned();
    match status {
        Some(status) => Ended::Exited(status.code(), output),
        None => Ended::TimedOut(output),
    }
}

/// The running program, and what it prints, in the order in which it does.
fn begun(mut process: std::process::Command) -> std::io::Result<(Child, PipeReader)> {
    let (output, printed) = std::io::pipe()?;
    process.stdin(Stdio::null()).stdout(printed.try_clone()?).stderr(printed).process_group(0);
    Ok((process.spawn()?, output))
}

fn reader(
    mut pipe: impl Read + Send + 'static,
    tail: &Arc<Mutex<Tail>>,
) -> std::thread::JoinHandle<()> {
    let tail = Arc::clone(tail);
    std::thread::spawn(move || {
        let mut buffer = [0; 4_096];
        while let Ok(read @ 1..) = pipe.read(&mut buffer) {
            tail.lock().unwrap_or_else(PoisonError::into_inner).take(&buffer[..read]);
        }
    })
}

/// How it ended; `None` where its time was up before.
fn waited(child: &mut Child, most: Duration) -> Option<std::process::ExitStatus> {
    let until = Instant::now().checked_add(most);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if until.is_none_or(|until| Instant::now() < until) => {
                std::thread::sleep(LOOK);
            }
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Ends the program and what it has started: they are one group.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // What has ended already cannot be ended.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str], timeout: Duration) -> Ended {
        let command = Command {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            given: vec![("WHIMBREL_CHECK".to_owned(), "c".to_owned())],
            pass: Vec::new(),
            timeout,
        };
        carry_out(&std::env::temp_dir(), "plan.toml".as_ref(), &command)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn a_program_says_by_its_end_whether_it_holds() {
        assert_eq!(run(&["true"], LONG), Ended::Exited(Some(0), String::new()));
        let said = run(&["sh", "-c", "echo out; echo err >&2; exit 3"], LONG);
        let Ended::Exited(Some(3), output) = said else { panic!("{said:?}") };
        let mut lines: Vec<&str> = output.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["err", "out"]);
    }

    #[test]
    fn a_program_that_is_not_there_is_not_started() {
        assert!(matches!(run(&["no-such-program-here"], LONG), Ended::NotStarted(_)));
    }

    #[test]
    fn only_the_end_of_much_output_is_kept() {
        let Ended::Exited(Some(0), output) =
            run(&["sh", "-c", "yes | head -c 1000000; echo end"], LONG)
        else {
            panic!("it ends well")
        };
        assert!(output.len() <= KEPT && output.ends_with("end\n"));
    }

    #[test]
    fn a_program_and_what_it_started_are_ended_in_time() {
        let before = Instant::now();
        let ended =
            run(&["sh", "-c", "echo begun; sleep 60 & sleep 60"], Duration::from_millis(300));
        assert_eq!(ended, Ended::TimedOut("begun\n".to_owned()));
        assert!(before.elapsed() < LONG);
    }

    #[test]
    fn what_is_left_running_holds_nobody_up() {
        let before = Instant::now();
        let ended = run(&["sh", "-c", "sleep 60 & exit 0"], LONG);
        assert_eq!(ended, Ended::Exited(Some(0), String::new()));
        assert!(before.elapsed() < LONG);
    }

    #[test]
    fn the_environment_is_not_handed_on() {
        let Ended::Exited(Some(0), output) = run(&["env"], LONG) else { panic!("it ends well") };
        let names: Vec<&str> = output.lines().filter_map(|line| line.split('=').next()).collect();
        assert!(names.contains(&"WHIMBREL_CHECK") && names.contains(&"PATH"), "{names:?}");
        assert!(!names.iter().any(|name| name.starts_with("CARGO")), "{names:?}");
    }
}
