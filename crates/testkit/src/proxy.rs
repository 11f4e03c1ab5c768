//! A proxy between a client and a database server that cuts connections where a test says so.
//!
//! Owns listening on a port of this machine, forwarding both ways, and one armed [`Cut`] at a time.
//! It understands as much of both protocols as it takes to see where messages begin and end; where
//! client and server agree on TLS it sees bytes alone, and waits for a [`Moment`] in vain.
//!
//! ```text
//! client ──▶ port ── frames ── armed? ──▶ server        one connection, two threads
//!        ◀──────────────────── muted? ◀──
//! ```

mod frames;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use crate::Dice;
use crate::servers::{Engine, Upstream};

use frames::Frames;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From the client to the server.
    Request,
    /// From the server to the client.
    Reply,
}

/// A message of the client's that a cut waits for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Moment {
    /// `COMMIT`, as a statement of its own.
    Commit,
    /// A piece of a COPY's data.
    CopyData,
    /// The end of a COPY's data.
    CopyDone,
    /// A statement that begins so, whatever its case.
    Statement(&'static str),
}

/// How a connection ends. Both sides are cut, and no byte passes after that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cut {
    /// After so many more bytes in one direction.
    After(Direction, u64),
    /// The message does not reach the server.
    Before(Moment),
    /// The first half of the message reaches the server.
    Within(Moment),
    /// The server gets the message and answers; nothing of the answer reaches the client.
    Unanswered(Moment),
    /// The client is cut at once; the server gets the message so much later, and only then is cut.
    Late(Moment, Duration),
}

impl Cut {
    /// Any of them, at a `COMMIT` or after fewer than `bytes` bytes in either direction.
    pub fn any(dice: &mut Dice, bytes: u64) -> Self {
        match dice.below(6) {
            0 | 1 => Self::After(Direction::Request, dice.below(bytes.max(1))),
            2 => Self::After(Direction::Reply, dice.below(bytes.max(1))),
            3 => Self::Within(Moment::Commit),
            _ => Self::at_commit(dice),
        }
    }

    /// Between `COMMIT` and its reply, or just before.
    pub fn at_commit(dice: &mut Dice) -> Self {
        match dice.below(4) {
            0 => Self::Before(Moment::Commit),
            1 => Self::Late(Moment::Commit, Duration::from_millis(50 + dice.below(250))),
            _ => Self::Unanswered(Moment::Commit),
        }
    }

    /// Whether the client cannot know whether its `COMMIT` took place.
    pub fn leaves_commit_open(&self) -> bool {
        match self {
            Self::After(..) => false,
            Self::Before(moment)
            | Self::Within(moment)
            | Self::Unanswered(moment)
            | Self::Late(moment, _) => *moment == Moment::Commit,
        }
    }

    fn moment(&self) -> Option<&Moment> {
        match self {
            Self::After(..) => None,
            Self::Before(moment)
            | Self::Within(moment)
            | Self::Unanswered(moment)
            | Self::Late(moment, _) => Some(moment),
        }
    }
}

/// The proxy; it ends, and cuts what is connected, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listening: Option<thread::JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    engine: Engine,
    upstream: Upstream,
    stopped: AtomicBool,
    refused: AtomicBool,
    /// Microseconds that every piece is held back.
    delay: AtomicU64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default, Debug)]
struct State {
    armed: Option<Armed>,
    cuts: u64,
    connections: u64,
    live: Vec<Weak<Connection>>,
}

#[derive(Debug)]
struct Armed {
    cut: Cut,
    /// How many such moments are let pass before it.
    passes: u64,
}

impl Proxy {
    /// Listens on a free port of this machine, in front of a server.
    pub fn start(engine: Engine, upstream: Upstream) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            engine,
            upstream,
            stopped: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            delay: AtomicU64::new(0),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let accepting = shared.clone();
        let listening = thread::spawn(move || accept(&listener, &accepting));
        Ok(Self { port, shared, listening: Some(listening) })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the first connection in which it comes to that, once; replaces what was armed.
    pub fn arm(&self, cut: Cut) {
        self.arm_after(cut, 0);
    }

    /// The same, after so many such moments have passed.
    pub fn arm_after(&self, cut: Cut, passes: u64) {
        self.shared.state().armed = Some(Armed { cut, passes });
    }

    /// Takes back what was armed; whether it had not struck yet.
    pub fn disarm(&self) -> bool {
        self.shared.state().armed.take().is_some()
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> u64 {
        self.shared.state().cuts
    }

    /// How many connections there were.
    pub fn connections(&self) -> u64 {
        self.shared.state().connections
    }

    /// Waits until so many connections were cut; whether it came to that in time.
    pub fn wait_for_cuts(&self, cuts: u64, patience: Duration) -> bool {
        let state = self.shared.state();
        let waited = self.shared.changed.wait_timeout_while(state, patience, |it| it.cuts < cuts);
        waited.unwrap_or_else(PoisonError::into_inner).0.cuts >= cuts
    }

    /// Holds back every piece, in both directions, from now on.
    pub fn delay(&self, by: Duration) {
        let micros = u64::try_from(by.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay.store(micros, Ordering::Relaxed);
    }

    /// Whether connections are closed as soon as they come, from now on.
    pub fn refuse(&self, refused: bool) {
        self.shared.refused.store(refused, Ordering::Relaxed);
    }

    /// Cuts all connections there are; returns how many.
    pub fn cut_all(&self) -> u64 {
        self.shared.cut_all()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.cut_all();
        // Wakes whoever accepts.
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(listening) = self.listening.take() {
            let _ended = listening.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut_all(&self) -> u64 {
        let live = std::mem::take(&mut self.state().live);
        let mut cuts = 0;
        for connection in live.iter().filter_map(Weak::upgrade) {
            if !connection.ended.swap(true, Ordering::Relaxed) {
                self.count(|| connection.cut());
                cuts += 1;
            }
        }
        cuts
    }

    /// Counts a cut that `end` makes: whoever sees its effect sees it counted, and the reverse.
    fn count(&self, end: impl FnOnce()) {
        let mut state = self.state();
        state.cuts += 1;
        end();
        drop(state);
        self.changed.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        if shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        if shared.refused.load(Ordering::Relaxed) {
            continue;
        }
        // A server that is not there: the client is closed as the server would have.
        let Ok(server) = Stream::to(&shared.upstream) else { continue };
        let _nodelay = client.set_nodelay(true);
        let client = Stream::Tcp(client);
        let connection = Arc::new(Connection {
            client,
            server,
            muted: AtomicBool::new(false),
            counted: AtomicBool::new(false),
            ended: AtomicBool::new(false),
        });
        {
            let mut state = shared.state();
            state.connections += 1;
            state.live.retain(|live| live.strong_count() > 0);
            state.live.push(Arc::downgrade(&connection));
        }
        let (other, others) = (connection.clone(), shared.clone());
        thread::spawn(move || match requests(&other, &others) {
            Ok(End::AfterTheAnswer) => {}
            Ok(End::Now) | Err(_) => other.cut(),
        });
        let shared = shared.clone();
        thread::spawn(move || {
            let _ended = replies(&connection, &shared);
            connection.cut();
        });
    }
}

/// One client and its server.
#[derive(Debug)]
struct Connection {
    client: Stream,
    server: Stream,
    /// Nothing of what the server says reaches the client any more.
    muted: AtomicBool,
    /// Its cut is counted.
    counted: AtomicBool,
    ended: AtomicBool,
}

impl Connection {
    /// Ends both sides.
    fn cut(&self) {
        self.ended.store(true, Ordering::Relaxed);
        self.client.shutdown(Shutdown::Both);
        self.server.shutdown(Shutdown::Both);
    }
}

/// What is to be done with a piece.
enum Verdict {
    Forward,
    /// So many bytes of it pass, then both sides are cut.
    Cut(usize),
    /// It passes, and no answer.
    Mute,
    /// The client is cut now; it passes later.
    Late(Duration),
}

/// Who ends the connection.
enum End {
    Now,
    /// Whoever listens to the server, after its answer.
    AfterTheAnswer,
}

/// Forwards what the client says. An error is the end of the connection.
fn requests(connection: &Connection, shared: &Shared) -> io::Result<End> {
    let mut frames = Frames::new(shared.engine);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = connection.client.read(&mut buffer)?;
        if length == 0 {
            return Ok(End::Now);
        }
        shared.hold_back();
        let piece = &buffer[..length];
        match shared.asked(&mut frames, piece) {
            Verdict::Forward => connection.server.write_all(piece)?,
            Verdict::Cut(passes) => {
                let _written = connection.server.write_all(&piece[..passes]);
                shared.count(|| connection.cut());
                return Ok(End::Now);
            }
            Verdict::Mute => {
                connection.muted.store(true, Ordering::SeqCst);
                connection.server.write_all(piece)?;
                return Ok(End::AfterTheAnswer);
            }
            Verdict::Late(by) => {
                connection.muted.store(true, Ordering::SeqCst);
                connection.counted.store(true, Ordering::SeqCst);
                shared.count(|| connection.client.shutdown(Shutdown::Both));
                thread::sleep(by);
                connection.server.write_all(piece)?;
                return Ok(End::AfterTheAnswer);
            }
        }
    }
}

/// Forwards what the server says.
fn replies(connection: &Connection, shared: &Shared) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = connection.server.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        shared.hold_back();
        if connection.muted.load(Ordering::SeqCst) {
            return unheard(connection, shared, &mut buffer);
        }
        let piece = &buffer[..length];
        match shared.answered(piece) {
            Some(passes) => {
                let _written = connection.client.write_all(&piece[..passes]);
                shared.count(|| connection.cut());
                return Ok(());
            }
            None => connection.client.write_all(piece)?,
        }
    }
}

/// The server has begun to answer: the client goes. The server hears of that behind everything that
/// it was sent, so that it does all of it.
fn unheard(connection: &Connection, shared: &Shared, buffer: &mut [u8]) -> io::Result<()> {
    // A late one was cut, and counted, before.
    if !connection.counted.swap(true, Ordering::SeqCst) {
        shared.count(|| connection.client.shutdown(Shutdown::Both));
    }
    connection.server.shutdown(Shutdown::Write);
    while connection.server.read(buffer)? > 0 {}
    Ok(())
}

impl Shared {
    fn hold_back(&self) {
        let delay = self.delay.load(Ordering::Relaxed);
        if delay > 0 {
            thread::sleep(Duration::from_micros(delay));
        }
    }

    /// What is to be done with a piece of the client's.
    fn asked(&self, frames: &mut Frames, piece: &[u8]) -> Verdict {
        let messages = frames.feed(piece);
        let mut state = self.state();
        let Some(armed) = &mut state.armed else {
            return Verdict::Forward;
        };
        if let Cut::After(Direction::Request, left) = &mut armed.cut {
            return match count_down(left, piece) {
                Some(passes) => {
                    state.armed = None;
                    Verdict::Cut(passes)
                }
                None => Verdict::Forward,
            };
        }
        for message in messages {
            if !armed.cut.moment().is_some_and(|moment| message.is(moment)) {
                continue;
            }
            if armed.passes > 0 {
                armed.passes -= 1;
                continue;
            }
            let verdict = match armed.cut {
                Cut::After(..) => continue,
                Cut::Before(_) => Verdict::Cut(message.start),
                Cut::Within(_) => Verdict::Cut(message.start.midpoint(message.end)),
                Cut::Unanswered(_) => Verdict::Mute,
                Cut::Late(_, by) => Verdict::Late(by),
            };
            state.armed = None;
            return verdict;
        }
        Verdict::Forward
    }

    /// How much of a piece of the server's passes before the connection is cut.
    fn answered(&self, piece: &[u8]) -> Option<usize> {
        let mut state = self.state();
        let Some(Armed { cut: Cut::After(Direction::Reply, left), .. }) = &mut state.armed else {
            return None;
        };
        let passes = count_down(left, piece)?;
        state.armed = None;
        Some(passes)
    }
}

/// Counts the piece off what is left; answers how much of it passes where that is not all.
fn count_down(left: &mut u64, piece: &[u8]) -> Option<usize> {
    match left.checked_sub(piece.len() as u64) {
        Some(after) if after > 0 => {
            *left = after;
            None
        }
        _ => usize::try_from(*left).ok(),
    }
}

/// One side of a connection.
#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn to(upstream: &Upstream) -> io::Result<Self> {
        match upstream {
            Upstream::Tcp(address) => {
                let stream = TcpStream::connect_timeout(address, Duration::from_secs(10))?;
                stream.set_nodelay(true)?;
                Ok(Self::Tcp(stream))
            }
            Upstream::Unix(path) => UnixStream::connect(path).map(Self::Unix),
        }
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).read(buffer),
            Self::Unix(stream) => (&*stream).read(buffer),
        }
    }

    fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => (&*stream).write_all(bytes),
            Self::Unix(stream) => (&*stream).write_all(bytes),
        }
    }

    /// One that has gone already stays so.
    fn shutdown(&self, how: Shutdown) {
        let _gone = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }
}
