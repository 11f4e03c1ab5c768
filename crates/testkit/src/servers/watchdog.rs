//! Clears away after a process that cannot do it itself any more.
//!
//! A shell waits at the end of a pipe. When we end, by whatever means, the pipe ends; the shell then
//! ends the server it was told of last and removes the folder.

use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Words: the server's process, 0 where there is none. `QUIT` is PostgreSQL's immediate shutdown,
/// which leaves no shared memory behind; MariaDB knows no such thing and gets `KILL`.
const SCRIPT: &str = r#"
trap '' INT HUP TERM QUIT PIPE
server=0
while read -r word; do server=$word; done
if [ "$server" -gt 0 ]; then
    kill "-$2" "$server" 2>/dev/null
    waited=0
    while kill -0 "$server" 2>/dev/null && [ "$waited" -lt 100 ]; do
        sleep 0.05
        waited=$((waited + 1))
    done
    kill -KILL "$server" 2>/dev/null
fi
rm -rf -- "$1"
"#;

/// The shell that waits.
#[derive(Debug)]
pub(super) struct Watchdog(Child);

impl Watchdog {
    /// Watches over a folder, and ends servers by this signal.
    pub(super) fn over(folder: &Path, signal: &str) -> io::Result<Self> {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "whimbrel-watchdog"])
            .arg(folder)
            .arg(signal)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What a terminal sends to us must not reach it.
            .process_group(0)
            .spawn()?;
        Ok(Self(child))
    }

    /// Says which process is the server now.
    pub(super) fn tell(&mut self, server: Option<u32>) -> io::Result<()> {
        let stdin = self.0.stdin.as_mut().expect("the watchdog's input is piped");
        writeln!(stdin, "{}", server.unwrap_or(0))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ended = self.0.wait();
    }
}
