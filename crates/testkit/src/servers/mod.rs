//! Database servers for tests: private ones, started from what is installed, or ones that are named.
//!
//! Owns starting, killing and clearing away, fresh databases, and the plain clients (`psql`,
//! `mariadb`) by which tests look from outside. A private server lives in a temporary folder, on a
//! Unix socket and a free port; server and folder go when it is dropped, and also when its process
//! panics, is killed or just ends: a watchdog stands by.
//!
//! ```text
//! WHIMBREL_TEST_POSTGRES_URL, WHIMBREL_TEST_MYSQL_URL ── set: that server, which nobody may kill
//!                                                     └─ else: a private one
//! ```

mod client;
mod engine;
mod install;
mod place;
mod private;
mod watchdog;

use std::fmt;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub use client::Row;
pub use engine::Engine;
pub use place::Upstream;
pub use private::Options;

use client::Client;
use place::Place;
use private::Private;

/// Why there is no server, and what to install.
#[derive(Clone, Debug)]
pub struct Unavailable {
    engine: Engine,
    reason: String,
    is_not_installed: bool,
}

impl Unavailable {
    fn new(engine: Engine, reason: impl Into<String>) -> Self {
        Self { engine, reason: reason.into(), is_not_installed: false }
    }

    fn not_installed(engine: Engine, names: &[&str]) -> Self {
        let reason = format!("`{}` is not installed", names.join("` or `"));
        Self { engine, reason, is_not_installed: true }
    }

    /// Whether installing the engine's package would help.
    pub fn is_not_installed(&self) -> bool {
        self.is_not_installed
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (engine, reason) = (self.engine, &self.reason);
        let (package, variable) = (engine.package(), engine.variable());
        write!(
            f,
            "no {engine} server: {reason}; `apt-get install {package}`, or name one in `{variable}`"
        )
    }
}

impl std::error::Error for Unavailable {}

/// A database server.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    /// Where it is, by its Unix socket if it has one.
    near: Place,
    /// Where it is by TCP, if that is known.
    tcp: Option<Place>,
    private: Option<Mutex<Private>>,
}

impl Server {
    /// The PostgreSQL server that `WHIMBREL_TEST_POSTGRES_URL` names, else a private one.
    pub fn postgres() -> Result<Self, Unavailable> {
        Self::any(Engine::Postgres)
    }

    /// The MariaDB or MySQL server that `WHIMBREL_TEST_MYSQL_URL` names, else a private one.
    pub fn mysql() -> Result<Self, Unavailable> {
        Self::any(Engine::Mysql)
    }

    /// The server that is named for this engine, else a private one.
    pub fn any(engine: Engine) -> Result<Self, Unavailable> {
        let Some(url) = variable(&engine.variable()) else {
            return Self::start(engine, &Options::default());
        };
        let near = Place::parse(engine, &url)
            .ok_or_else(|| Unavailable::new(engine, "the URL that is named cannot be read"))?;
        let tcp = variable(&engine.tcp_variable()).and_then(|url| Place::parse(engine, &url));
        let tcp = tcp.or_else(|| near.is_tcp().then(|| near.clone()));
        let server = Self { engine, near, tcp, private: None };
        server.run("SELECT 1").map_err(|error| Unavailable::new(engine, error.to_string()))?;
        Ok(server)
    }

    /// A private server, whatever is named. It may be killed.
    pub fn start(engine: Engine, options: &Options) -> Result<Self, Unavailable> {
        let private = Private::start(engine, options)?;
        let (near, tcp) = (private.near.clone(), Some(private.tcp.clone()));
        Ok(Self { engine, near, tcp, private: Some(Mutex::new(private)) })
    }

    /// What it speaks.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// The URL of its first database, by Unix socket where it has one; with its password.
    pub fn url(&self) -> String {
        self.near.url(self.near.database())
    }

    /// The same by TCP; `None` where a server is named by its socket alone.
    pub fn tcp_url(&self) -> Option<String> {
        self.tcp.as_ref().map(|place| place.url(place.database()))
    }

    /// Where a proxy is to connect.
    pub fn upstream(&self) -> Upstream {
        self.near.upstream()
    }

    /// A database of its own, empty, in UTF-8. The hint stands in its name.
    pub fn database(&self, hint: &str) -> io::Result<Database<'_>> {
        let name = new_name(hint);
        self.run(&self.engine.create_database(&name))?;
        Ok(Database { server: self, name })
    }

    /// Runs statements in its first database.
    pub fn run(&self, sql: &str) -> io::Result<()> {
        self.client().run(self.near.database(), sql)
    }

    fn client(&self) -> Client<'_> {
        Client { engine: self.engine, place: &self.near }
    }

    /// The folder of a private server, for files that it is to read; `None` for a named one.
    pub fn folder(&self) -> Option<std::path::PathBuf> {
        self.private().map(|private| private.folder().to_owned())
    }

    /// Ends it at once, in the midst of whatever it does: `SIGKILL`, on PostgreSQL what
    /// `pg_ctl -m immediate` does (a killed postmaster would leave shared memory behind). Nothing is
    /// there until [`Server::restart`].
    ///
    /// # Panics
    /// If the server is not a private one.
    pub fn kill(&self) -> io::Result<()> {
        self.expect_private().kill()
    }

    /// Stops it in order. Nothing is there until [`Server::restart`].
    ///
    /// # Panics
    /// If the server is not a private one.
    pub fn stop(&self) -> io::Result<()> {
        self.expect_private().stop()
    }

    /// Starts it again at the same places, after stopping it where it runs; answers when it does.
    ///
    /// # Panics
    /// If the server is not a private one.
    pub fn restart(&self) -> io::Result<()> {
        self.expect_private().restart()
    }

    /// The last lines of a private server's log.
    pub fn log(&self) -> String {
        self.private().map_or_else(String::new, |private| private.log())
    }

    fn private(&self) -> Option<MutexGuard<'_, Private>> {
        let private = self.private.as_ref()?;
        Some(private.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn expect_private(&self) -> MutexGuard<'_, Private> {
        self.private().expect("only a private server is stopped or killed")
    }
}

/// A name that no other process of this machine gives a database, with a hint for people.
fn new_name(hint: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    let hint: String = hint.chars().map(plain).take(30).collect();
    format!("t_{hint}_{}_{number}", std::process::id())
}

/// A database of a test's own; it is dropped with this value.
#[derive(Debug)]
pub struct Database<'a> {
    server: &'a Server,
    name: String,
}

impl Database<'_> {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its URL, by Unix socket where the server has one; with its password.
    pub fn url(&self) -> String {
        self.server.near.url(&self.name)
    }

    /// The same by TCP; `None` where a server is named by its socket alone.
    pub fn tcp_url(&self) -> Option<String> {
        self.server.tcp.as_ref().map(|place| place.url(&self.name))
    }

    /// The same by TCP at another port of this machine, where a proxy listens.
    pub fn url_at_port(&self, port: u16) -> String {
        self.server.near.at_port(port).url(&self.name)
    }

    /// Runs statements by the engine's own client.
    pub fn run(&self, sql: &str) -> io::Result<()> {
        self.server.client().run(&self.name, sql)
    }

    /// The rows of a query, by the engine's own client; texts as the engine spells them.
    pub fn rows(&self, query: &str) -> io::Result<Vec<Row>> {
        Ok(self.many_rows(&[query])?.pop().unwrap_or_default())
    }

    /// The rows of each of several queries, by one call of the client.
    pub fn many_rows(&self, queries: &[&str]) -> io::Result<Vec<Vec<Row>>> {
        self.server.client().rows(&self.name, queries)
    }

    /// Runs a script, as [`Database::run`], that stands in a file.
    pub fn run_file(&self, file: &Path) -> io::Result<()> {
        self.run(&std::fs::read_to_string(file)?)
    }

    /// Another database of the same content, made by the engine's own means. On PostgreSQL whoever is
    /// connected to this one is disconnected.
    pub fn copy(&self, hint: &str) -> io::Result<Self> {
        let copy = Self { server: self.server, name: new_name(hint) };
        self.server.client().copy(self.server.near.database(), &self.name, &copy.name)?;
        Ok(copy)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // A server that was killed has nothing to drop: its folder goes with it.
        let _gone = self.server.client().drop_database(self.server.near.database(), &self.name);
    }
}

/// The PostgreSQL server that all tests of this process share, unless there is none: then the test
/// is named and counted as skipped, and with `CI=true` it fails.
pub fn postgres_or_skip() -> Option<&'static Server> {
    static SHARED: OnceLock<Result<Server, Unavailable>> = OnceLock::new();
    or_skip(SHARED.get_or_init(Server::postgres).as_ref())
}

/// The MariaDB or MySQL server that all tests of this process share; as [`postgres_or_skip`].
pub fn mysql_or_skip() -> Option<&'static Server> {
    static SHARED: OnceLock<Result<Server, Unavailable>> = OnceLock::new();
    or_skip(SHARED.get_or_init(Server::mysql).as_ref())
}

/// The shared server of this engine; as [`postgres_or_skip`].
pub fn server_or_skip(engine: Engine) -> Option<&'static Server> {
    match engine {
        Engine::Postgres => postgres_or_skip(),
        Engine::Mysql => mysql_or_skip(),
    }
}

/// A private server of the test's own, which it may kill; skips as [`postgres_or_skip`] does.
pub fn private_or_skip(engine: Engine, options: &Options) -> Option<Server> {
    or_skip(Server::start(engine, options))
}

fn or_skip<S, E: fmt::Display>(server: Result<S, E>) -> Option<S> {
    match server {
        Ok(server) => Some(server),
        Err(why) => {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or("a test");
            assert!(variable("CI").is_none_or(|ci| ci != "true"), "{test}: {why}");
            // Not by a macro: what a passing test prints is kept back, and `xtask test` counts this.
            let _heard = writeln!(io::stdout(), "\nskipped: {test}: {why}");
            None
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var_os(name)?.into_string().ok().filter(|value| !value.is_empty())
}
