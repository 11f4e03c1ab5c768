//! A live workload: short transactions, one due at every tick of a clock, whoever has to wait.
//!
//! A latency counts from when its transaction was due. So a server that stalls is seen by all that
//! became due meanwhile, not only by those that were under way.
//!
//! ```text
//! due       0    1    2    3    4    5         each taken by the next connection that is free
//! done       0    1                  2 3 4 5   the server stalls in 2
//! latency   ▪    ▪    ▪▪▪▪▪▪▪▪▪▪▪▪▪▪ ▪▪▪▪ …
//! ```

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};

/// A transaction that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    /// When it was due.
    pub(super) due: Instant,
    /// From then to its end.
    pub(super) latency: Duration,
}

/// When transactions are due. They are numbered from 0.
#[derive(Debug)]
struct Schedule {
    began: Instant,
    every: Duration,
    /// The first that nobody has taken.
    next: AtomicU64,
    /// The first that does not take place.
    end: Mutex<u64>,
}

impl Schedule {
    fn due(&self, number: u64) -> Instant {
        let nanos = u64::try_from(self.every.as_nanos()).unwrap_or(u64::MAX);
        self.began + Duration::from_nanos(nanos.saturating_mul(number))
    }

    /// Takes one, waits until it is due, and says when that was; `None` at the end.
    fn take(&self) -> Option<(u64, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = self.due(number);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        (number < *self.end_locked()).then_some((number, due))
    }

    /// Nothing becomes due any more from now on.
    fn end(&self) {
        // Under the lock: whoever was due earlier than one that has begun takes place too.
        let mut end = self.end_locked();
        let so_far = self.began.elapsed().as_nanos() / self.every.as_nanos().max(1);
        *end = (*end).min(u64::try_from(so_far).unwrap_or(u64::MAX - 1) + 1);
    }

    fn end_locked(&self) -> MutexGuard<'_, u64> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that goes on until it is ended.
#[derive(Debug)]
pub(super) struct Workload {
    schedule: Arc<Schedule>,
    connections: Vec<JoinHandle<Result<Vec<Done>>>>,
}

impl Workload {
    /// Begins: each connection does the transaction whose number it is given.
    pub(super) fn begin<C>(every: Duration, connections: Vec<C>) -> Self
    where
        C: FnMut(u64) -> Result<()> + Send + 'static,
    {
        let (next, end) = (AtomicU64::new(0), Mutex::new(u64::MAX));
        let schedule = Arc::new(Schedule { began: Instant::now(), every, next, end });
        let worker = |connection| {
            let schedule = Arc::clone(&schedule);
            std::thread::spawn(move || work(&schedule, connection))
        };
        let connections = connections.into_iter().map(worker).collect();
        Self { schedule, connections }
    }

    /// Lets what has become due come to its end; all that was done.
    pub(super) fn end(self) -> Result<Vec<Done>> {
        self.schedule.end();
        let mut done = Vec::new();
        for connection in self.connections {
            let worked = connection.join().map_err(|_| anyhow!("a connection has panicked"))?;
            done.extend(worked?);
        }
        Ok(done)
    }
}

fn work(schedule: &Schedule, mut connection: impl FnMut(u64) -> Result<()>) -> Result<Vec<Done>> {
    let mut done = Vec::new();
    while let Some((number, due)) = schedule.take() {
        if let Err(error) = connection(number) {
            // The others need not go on.
            schedule.end();
            return Err(error.context(format!("transaction {number} of the live workload")));
        }
        done.push(Done { due, latency: due.elapsed() });
    }
    Ok(done)
}

/// The last answer to everything that is said.
const DONE: &str = "done";

/// A client of an engine that stays connected and does what it is told, line by line.
#[derive(Debug)]
pub(super) struct Session {
    client: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Connects.
    pub(super) fn open(mut client: Command) -> Result<Self> {
        let mut client = client
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", client.get_program().display()))?;
        let input = client.stdin.take().context("its input is piped")?;
        let output = BufReader::new(client.stdout.take().context("its output is piped")?);
        let mut session = Self { client, input, output };
        session.tell("")?;
        Ok(session)
    }

    /// Says statements that stand in one line, and waits until they are done.
    pub(super) fn tell(&mut self, statements: &str) -> Result<()> {
        let line = format!("{statements} SELECT '{DONE}';\n");
        // A client that has gone says why in what follows.
        let _heard = self.input.write_all(line.as_bytes()).and_then(|()| self.input.flush());
        let mut answer = String::new();
        while answer.trim_end() != DONE {
            answer.clear();
            if self.output.read_line(&mut answer)? == 0 {
                let mut said = String::new();
                if let Some(stderr) = &mut self.client.stderr {
                    stderr.read_to_string(&mut said)?;
                }
                bail!("the client has ended: {}", said.trim());
            }
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _gone = self.client.kill();
        let _ended = self.client.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(2);

    /// Runs until so many transactions are done.
    fn until(count: u64, work: impl Fn(u64) -> Result<()> + Send + Clone + 'static) -> Vec<Done> {
        let (told, heard) = std::sync::mpsc::channel();
        let connection = move |number| {
            let result = work(number);
            let _listening = told.send(());
            result
        };
        let workload = Workload::begin(TICK, vec![connection.clone(), connection]);
        for _ in 0..count {
            heard.recv().unwrap();
        }
        workload.end().unwrap()
    }

    #[test]
    fn transactions_are_due_at_a_fixed_rate_each_once() {
        let numbers = Arc::new(std::sync::Mutex::new(Vec::new()));
        let seen = Arc::clone(&numbers);
        let mut done = until(50, move |number| {
            seen.lock().unwrap().push(number);
            Ok(())
        });
        done.sort_by_key(|done| done.due);
        assert!(done.windows(2).all(|pair| pair[1].due - pair[0].due == TICK));
        let mut numbers = numbers.lock().unwrap().clone();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..done.len() as u64).collect::<Vec<_>>());
    }

    #[test]
    fn a_stall_is_seen_by_all_that_became_due_meanwhile() {
        let stall = Duration::from_millis(60);
        // Both connections stall at once: nothing can be done meanwhile.
        let mut done = until(40, move |number| {
            if number == 4 || number == 5 {
                std::thread::sleep(stall);
            }
            Ok(())
        });
        done.sort_by_key(|done| done.due);
        for (behind, done) in done[5..30].iter().enumerate() {
            let at_least = stall.saturating_sub(TICK * u32::try_from(behind + 1).unwrap());
            assert!(done.latency >= at_least, "{behind}: {:?}", done.latency);
        }
    }

    #[test]
    fn what_fails_ends_the_workload() {
        let connection = |number| if number == 7 { bail!("no more") } else { Ok(()) };
        let workload = Workload::begin(TICK, vec![connection]);
        while !workload.connections[0].is_finished() {
            std::thread::yield_now();
        }
        let error = format!("{:#}", workload.end().unwrap_err());
        assert_eq!(error, "transaction 7 of the live workload: no more");
    }

    #[test]
    fn a_client_answers_line_by_line_and_says_why_it_ends() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "read a; echo done; read b; echo 1; echo done; echo gone >&2"]);
        let mut session = Session::open(shell).unwrap();
        session.tell("SELECT 1;").unwrap();
        let error = session.tell("SELECT 2;").unwrap_err().to_string();
        assert_eq!(error, "the client has ended: gone");
    }
}
