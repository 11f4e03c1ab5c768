//! The machine as ports of the core: clock, process identity, liveness, signals, spill files.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use whimbrel_core::{Cancel, Clock, Identity, Liveness, Spill, StopReason};
use whimbrel_endpoint::{EndpointError, ErrorClass, Holder};
use whimbrel_model::DateTime;

/// The system's clock.
pub(crate) struct SystemClock {
    since: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> DateTime {
        #[allow(clippy::disallowed_methods)] // this is the clock port
        let now = std::time::SystemTime::now();
        let nanos = match now.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => after.as_nanos().cast_signed(),
            Err(before) => -before.duration().as_nanos().cast_signed(),
        };
        // Microseconds are what every engine can hold.
        DateTime::from_unix_nanos(nanos - nanos.rem_euclid(1000))
            .expect("the clock shows a year of ours")
    }

    fn monotonic(&self) -> Duration {
        self.since.elapsed()
    }
}

/// This process, for the lease and for people.
pub(crate) fn identity() -> Identity {
    let pid = std::process::id();
    let host = read_trimmed("/proc/sys/kernel/hostname").unwrap_or_else(|| "localhost".to_owned());
    let user = user_name();
    Identity {
        holder: Holder {
            run: String::new(),
            host: host.clone(),
            boot: read_trimmed("/proc/sys/kernel/random/boot_id").unwrap_or_default(),
            pid,
            started: started(pid).unwrap_or(0),
        },
        actor: format!("{user}@{host}"),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

#[allow(clippy::disallowed_methods)] // the command line is where the environment is read
fn user_name() -> String {
    std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "unknown".to_owned())
}

fn read_trimmed(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// When a living process started, in clock ticks since boot: fields 3 and 22 of `/proc/PID/stat`
/// (proc(5)). A zombie is dead: it only waits for its parent.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    started_in(&stat)
}

fn started_in(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// Looks into `/proc`.
pub(crate) struct ProcLiveness {
    me: Holder,
}

impl ProcLiveness {
    pub(crate) fn new(me: Holder) -> Self {
        Self { me }
    }
}

impl Liveness for ProcLiveness {
    fn is_dead(&self, holder: &Holder) -> bool {
        if holder.host != self.me.host || self.me.boot.is_empty() {
            return false;
        }
        holder.boot != self.me.boot || started(holder.pid) != Some(holder.started)
    }
}

/// Files below `.whimbrel/` for bytes of rejects that are too long for the ledger.
pub(crate) struct SpillFolder {
    folder: PathBuf,
}

impl SpillFolder {
    /// Spill files of the plan in `base` stand in `base/.whimbrel/runs/RUN/rejects/`.
    pub(crate) fn new(base: &Path) -> Self {
        Self { folder: base.join(".whimbrel") }
    }
}

impl Spill for SpillFolder {
    fn keep(&self, run: &str, step: u64, unit: u64, bytes: &[u8]) -> Result<String, EndpointError> {
        let name = format!("runs/{run}/rejects/{step}.{unit}.bytes");
        let path = self.folder.join(&name);
        write_durably(&path, bytes).map_err(|error| {
            let what = format!("keeping the bytes of a reject in `{}`", path.display());
            EndpointError::new(ErrorClass::System, "WB0701", what).because(error)
        })?;
        Ok(name)
    }
}

/// Writes a file whole or not at all, and durably: temporary file, fsync, rename, fsync of the
/// folder.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = PathBuf::from(temporary);
    let mut file = fs::File::create(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    let renamed = written.and_then(|()| fs::rename(&temporary, path));
    if renamed.is_err() {
        let _best_effort = fs::remove_file(&temporary);
    }
    renamed?;
    fs::File::open(folder)?.sync_all()
}

/// Hears SIGINT and SIGTERM: the first asks for a checkpoint, the second ends at once (what is
/// committed stays).
pub(crate) fn listen_for_signals(cancel: &Cancel) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let cancel = cancel.clone();
    tokio::spawn(async move {
        let mut heard = 0;
        loop {
            let reason = tokio::select! {
                _ = interrupt.recv() => StopReason::Interrupt,
                _ = terminate.recv() => StopReason::Terminate,
            };
            heard += 1;
            cancel.stop(reason);
            if heard > 1 {
                #[allow(clippy::disallowed_methods)] // the person insists
                std::process::exit(if reason == StopReason::Interrupt { 130 } else { 143 });
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zombie_is_dead_whatever_its_name() {
        let stat = |state: &str| {
            format!("7 (a) b) {state} 1 7 7 0 -1 4194304 100 0 0 0 1 2 3 4 20 0 1 0 9876 0 0")
        };
        assert_eq!(started_in(&stat("S")), Some(9876));
        assert_eq!(started_in(&stat("Z")), None);
    }

    #[test]
    fn this_process_lives() {
        assert!(started(std::process::id()).is_some());
    }
}
