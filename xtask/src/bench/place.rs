//! Servers that benchmarks run on, and how the engines' own programs reach them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use whimbrel_testkit::servers::{Database, Engine, Options, Server};

use super::measure::Ticks;

/// A private server that keeps what it acknowledges, as installed otherwise.
pub(super) fn durable_server(engine: Engine) -> Result<Server> {
    let options = Options::default().durable();
    Ok(Server::start(engine, &options)?)
}

/// A place as a URL names it, in parts.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    engine: Engine,
    user: String,
    password: String,
    /// A name, or a socket: PostgreSQL's folder, MariaDB's file.
    host: String,
    port: String,
    database: String,
}

impl Reach {
    /// By Unix socket where the server has one.
    pub(super) fn near(database: &Database<'_>, engine: Engine) -> Result<Self> {
        Self::parse(engine, &database.url()).context("the server's URL cannot be read")
    }

    /// By TCP, for programs that know no sockets.
    pub(super) fn tcp(database: &Database<'_>, engine: Engine) -> Result<Self> {
        let url = database.tcp_url().context("the server is not reached by TCP")?;
        Self::parse(engine, &url).context("the server's URL cannot be read")
    }

    fn parse(engine: Engine, url: &str) -> Option<Self> {
        let (_scheme, rest) = url.split_once("://")?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/')?;
        let (who, address) = authority.rsplit_once('@')?;
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let (host, port) = address.rsplit_once(':')?;
        let socket =
            parameters.split('&').find_map(|parameter| match parameter.split_once('=')? {
                ("host" | "socket", path) => Some(path),
                _ => None,
            });
        Some(Self {
            engine,
            user: decoded(user)?,
            password: decoded(password)?,
            host: decoded(socket.unwrap_or(host))?,
            port: port.to_owned(),
            database: decoded(database)?,
        })
    }

    /// A client of PostgreSQL, told by variables where to go.
    pub(super) fn postgres(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        self.told(&mut command);
        command
    }

    /// Tells clients of PostgreSQL that a command starts where to go.
    pub(super) fn told(&self, command: &mut Command) {
        command
            .env("PGHOST", &self.host)
            .env("PGPORT", &self.port)
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", &self.database);
    }

    /// The database's name.
    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// `psql` that stops at the first error and reads nobody's settings.
    pub(super) fn psql(&self) -> Command {
        let mut command = self.postgres("psql");
        command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1"]);
        command
    }

    /// MariaDB's client.
    pub(super) fn mariadb(&self) -> Command {
        let mut command = Command::new("mariadb");
        command.args(["--no-defaults", "--default-character-set=utf8mb4", "--local-infile=1"]);
        if self.host.starts_with('/') {
            command.arg("-S").arg(&self.host);
        } else {
            command.args(["--protocol=tcp", "-h", &self.host, "-P", &self.port]);
        }
        command.args(["-u", &self.user, &self.database]).env("MYSQL_PWD", &self.password);
        command
    }

    /// The URL as pgloader spells it.
    pub(super) fn pgloader(&self) -> String {
        let scheme = match self.engine {
            Engine::Postgres => "pgsql",
            Engine::Mysql => "mysql",
        };
        let Self { user, password, host, port, database, .. } = self;
        format!("{scheme}://{user}:{password}@{host}:{port}/{database}")
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// The process of a private server, whose processor time can be asked for.
#[derive(Debug)]
pub(super) struct ServerProcess(u32);

impl ServerProcess {
    pub(super) fn of(server: &Server) -> Result<Self> {
        let folder = server.folder().context("a benchmark's server is a private one")?;
        let name = match server.engine() {
            Engine::Postgres => "data/postmaster.pid",
            Engine::Mysql => "run/mysqld.pid",
        };
        let file: PathBuf = folder.join(name);
        let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        let first = text.lines().next().unwrap_or("").trim();
        Ok(Self(first.parse().context("the server's process id")?))
    }

    /// Of the server, of its children, and of those that have ended.
    pub(super) fn cpu(&self) -> Result<Duration> {
        // A process that is ending is counted with its parent only when that has taken notice.
        std::thread::sleep(Duration::from_millis(50));
        let main = Ticks::of(&self.0.to_string()).context("the server has ended")?;
        let mut sum = main.own + main.of_children;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(name) =
                name.to_str().filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
            else {
                continue;
            };
            // A process may end while we look.
            if let Some(child) = Ticks::of(name).filter(|ticks| ticks.parent == self.0) {
                sum += child.own;
            }
        }
        Ok(sum)
    }
}

/// The version line of an installed program; `None` where it is not installed.
pub(super) fn version(program: &str) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().next().unwrap_or("").trim().to_owned();
    output.status.success().then_some(line)
}
