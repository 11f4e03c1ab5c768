//! What a run of a program took, and how figures are printed and compared.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::figures::Figure;
use super::place::ServerProcess;

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Took {
    pub(super) wall: Duration,
    /// Processor time of the program, of all its threads.
    pub(super) cpu: Duration,
    /// Processor time of the servers meanwhile; of none if none is watched.
    pub(super) server_cpu: Duration,
    /// The most memory that was resident, in KiB (`VmHWM`).
    pub(super) peak_kib: u64,
}

/// A program to be run to its end.
pub(super) struct Course<'a> {
    /// The program.
    pub(super) command: Command,
    /// What it is fed with.
    pub(super) script: Option<&'a str>,
    /// The exit code it must end with.
    pub(super) code: i32,
    /// The servers it works on.
    pub(super) servers: &'a [&'a ServerProcess],
}

impl Course<'_> {
    /// A program that must end with 0, is fed with nothing and works on no server.
    pub(super) fn new(command: Command) -> Self {
        Self { command, script: None, code: 0, servers: &[] }
    }

    /// Runs it and looks at its memory meanwhile.
    pub(super) fn timed(self) -> Result<Took> {
        Ok(self.heard()?.0)
    }

    /// The same, with what it wrote to standard error.
    pub(super) fn heard(mut self) -> Result<(Took, String)> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.stdin(if self.script.is_some() { Stdio::piped() } else { Stdio::null() });
        let cpu_before = children_cpu()?;
        let servers_before = self.servers_cpu()?;
        let began = Instant::now();
        let mut child = self.command.spawn().context("the program could not be started")?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        if let (Some(script), Some(mut stdin)) = (self.script, child.stdin.take()) {
            stdin.write_all(script.as_bytes())?;
        }
        let (ended, end) = channel::<()>();
        let (output, wall, peak_kib) = std::thread::scope(|scope| {
            let watch = scope.spawn(move || {
                let mut peak = 0;
                while end.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout)
                {
                    peak = peak.max(high_water_kib(&status).unwrap_or(0));
                }
                peak
            });
            let output = child.wait_with_output();
            let wall = began.elapsed();
            drop(ended);
            (output, wall, watch.join().unwrap_or(0))
        });
        let output = output?;
        if output.status.code() != Some(self.code) {
            let said =
                [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
            let name = self.command.get_program().to_string_lossy().into_owned();
            let (is, wanted) = (output.status.code(), self.code);
            bail!("`{name}` ended with {is:?} instead of {wanted}\n{}", said.concat());
        }
        let cpu = children_cpu()?.saturating_sub(cpu_before);
        let server_cpu = self.servers_cpu()?.saturating_sub(servers_before);
        let heard = String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((Took { wall, cpu, server_cpu, peak_kib }, heard))
    }

    fn servers_cpu(&self) -> Result<Duration> {
        self.servers.iter().map(|server| server.cpu()).sum()
    }
}

/// Processor time of all children that have ended.
fn children_cpu() -> Result<Duration> {
    let ticks = Ticks::of("self").context("/proc/self/stat")?;
    Ok(ticks.of_children)
}

/// Processor times from proc_pid_stat(5), there in hundredths of a second on every Linux.
pub(super) struct Ticks {
    /// The process whose child this is.
    pub(super) parent: u32,
    /// `utime` and `stime`.
    pub(super) own: Duration,
    /// `cutime` and `cstime`: of children that have ended.
    pub(super) of_children: Duration,
}

impl Ticks {
    pub(super) fn of(process: &str) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name in parentheses may hold anything, also blanks.
        let (_name, after) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
        let time = |first: usize| -> Option<Duration> {
            Some(Duration::from_millis(10 * (ticks(first)? + ticks(first + 1)?)))
        };
        let parent = fields.get(1)?.parse().ok()?;
        Some(Self { parent, own: time(11)?, of_children: time(13)? })
    }
}

/// `VmHWM` of proc_pid_status(5).
fn high_water_kib(status: &PathBuf) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Prints the times, and how many a second there were by the median.
pub(super) fn print_times(name: &str, times: &[Took], count: u64, unit: &str) {
    let seconds = sorted(times.iter().map(|took| took.wall.as_secs_f64()));
    let median = median_seconds(times);
    let cpu = sorted(times.iter().map(|took| took.cpu.as_secs_f64()));
    let server = sorted(times.iter().map(|took| took.server_cpu.as_secs_f64()));
    let server = server[server.len() / 2];
    let of_server = if server > 0.0 { format!(" + server {server:.2} s") } else { String::new() };
    let speed = count as f64 / median;
    println!(
        "{name:<18} min {:.2} s, median {median:.2} s, max {:.2} s; processor {:.2} s{of_server}; \
         {speed:.0} {unit}/s; peak {:.1} MB",
        seconds[0],
        seconds[seconds.len() - 1],
        cpu[cpu.len() / 2],
        megabytes(peak(times.iter()))
    );
}

/// The median of the times, in seconds.
pub(super) fn median_seconds(times: &[Took]) -> f64 {
    let seconds = sorted(times.iter().map(|took| took.wall.as_secs_f64()));
    seconds[seconds.len() / 2]
}

/// Prints the ratios of each pair, and returns the median of those of wall time.
pub(super) fn print_ratio(name: &str, upper: &[Took], lower: &[Took]) -> f64 {
    let pairs = || upper.iter().zip(lower);
    let ratios = sorted(pairs().map(|(a, b)| a.wall.as_secs_f64() / b.wall.as_secs_f64()));
    let all = |took: &Took| (took.cpu + took.server_cpu).as_secs_f64();
    let cpu = sorted(pairs().map(|(a, b)| all(a) / all(b)));
    let median = ratios[ratios.len() / 2];
    println!(
        "ratio              {name}: min {:.2}, median {median:.2}, max {:.2}; processor {:.2}",
        ratios[0],
        ratios[ratios.len() - 1],
        cpu[cpu.len() / 2]
    );
    median
}

fn peak<'a>(times: impl Iterator<Item = &'a Took>) -> u64 {
    times.map(|took| took.peak_kib * 1024).max().unwrap_or(0)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The most memory of all of them, as a figure.
pub(super) fn peak_memory<'a>(of: &str, times: impl Iterator<Item = &'a Took>) -> Figure {
    Figure::new(format!("{of}: peak memory, MB"), megabytes(peak(times)))
}
