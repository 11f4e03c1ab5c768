//! A server of our own: its folder, its process, and their end.

use std::fs::{self, File};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::client::Client;
use super::install::{self, User};
use super::place::{Host, Place};
use super::watchdog::Watchdog;
use super::{Engine, Unavailable};

/// How long a server may take to answer, recovery included.
const PATIENCE: Duration = Duration::from_secs(90);
/// The administrator of private servers.
const USER: &str = "whimbrel";

/// How a private server is set up.
#[derive(Clone, Default, Debug)]
pub struct Options {
    durable: bool,
    settings: Vec<(String, String)>,
}

impl Options {
    /// Commits reach the disk before they are acknowledged. Without this they do not, which no test
    /// notices that only kills processes.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// A setting of the server, as its configuration names it.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

#[derive(Debug)]
pub(super) struct Private {
    pub(super) near: Place,
    pub(super) tcp: Place,
    engine: Engine,
    program: PathBuf,
    arguments: Vec<String>,
    user: Option<User>,
    folder: PathBuf,
    child: Option<Child>,
    /// Removes the folder when it goes; so it goes last.
    watchdog: Watchdog,
}

impl Private {
    pub(super) fn start(engine: Engine, options: &Options) -> Result<Self, Unavailable> {
        // Between finding a free port and taking it somebody else may take it.
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::try_start(engine, options) {
                Err(unavailable) if attempts < 3 && unavailable.reason.contains("in use") => {}
                result => return result,
            }
        }
    }

    fn try_start(engine: Engine, options: &Options) -> Result<Self, Unavailable> {
        let failed = |what: &str, error: &dyn std::fmt::Display| {
            Unavailable::new(engine, format!("{what}: {error}"))
        };
        let programs = Programs::find(engine)?;
        let user = install::user(engine);
        let folder = folder(engine, user).map_err(|error| failed("its folder", &error))?;
        // From here on the folder is the watchdog's.
        let signal = match engine {
            Engine::Postgres => "QUIT",
            Engine::Mysql => "KILL",
        };
        let watchdog =
            Watchdog::over(&folder, signal).map_err(|error| failed("its watchdog", &error))?;
        let port = free_port().map_err(|error| failed("a free port", &error))?;
        let password = secret();
        programs.initialize(&folder, user, &password)?;
        let host = match engine {
            Engine::Postgres => Host::Socket(folder.join("run")),
            Engine::Mysql => Host::Socket(folder.join("run/mysqld.sock")),
        };
        let mut near = Place::new(engine, USER, host, port);
        near.password = Some(password);
        let tcp = near.at_port(port);
        let arguments = programs.arguments(&folder, port, options);
        let program = programs.server;
        let mut private =
            Self { near, tcp, engine, program, arguments, user, folder, child: None, watchdog };
        private.spawn().map_err(|error| failed("starting it", &error))?;
        if engine == Engine::Mysql {
            private.administrator().map_err(|error| failed("its administrator", &error))?;
        }
        private.answers(&private.near.clone()).map_err(|error| failed("starting it", &error))?;
        Ok(private)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.end(match self.engine {
            Engine::Postgres => Signal::QUIT,
            Engine::Mysql => Signal::KILL,
        })
    }

    pub(super) fn stop(&mut self) -> io::Result<()> {
        self.end(match self.engine {
            Engine::Postgres => Signal::INT,
            Engine::Mysql => Signal::TERM,
        })
    }

    pub(super) fn restart(&mut self) -> io::Result<()> {
        self.stop()?;
        self.spawn()?;
        self.answers(&self.near.clone())
    }

    /// The end of its log.
    pub(super) fn log(&self) -> String {
        let text = fs::read(self.folder.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn spawn(&mut self) -> io::Result<()> {
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = command(&self.program, &self.folder, self.user);
        let child = command
            .args(&self.arguments)
            .stdout(log.try_clone()?)
            .stderr(log)
            // What a terminal sends to us must not reach it.
            .process_group(0)
            .spawn()?;
        self.watchdog.tell(Some(child.id()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until it answers at this place.
    fn answers(&mut self, place: &Place) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let client = Client { engine: self.engine, place };
            let socket = match place.upstream() {
                super::Upstream::Unix(path) => path.exists(),
                super::Upstream::Tcp(_) => true,
            };
            let answer = socket.then(|| client.run(place.database(), "SELECT 1"));
            let error = match answer {
                Some(Ok(())) => return Ok(()),
                Some(Err(error)) => error.to_string(),
                None => "it has no socket yet".to_owned(),
            };
            let ended = self.child.as_mut().map(Child::try_wait).transpose()?.flatten();
            if ended.is_some() || began.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("{error}\n{}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes the administrator, who may come by TCP too, with a password.
    fn administrator(&mut self) -> io::Result<()> {
        let root = Place { user: "root".to_owned(), password: None, ..self.near.clone() };
        self.answers(&root)?;
        let password = self.near.password.clone().unwrap_or_default();
        let sql = format!(
            "CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\n\
             GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        );
        Client { engine: self.engine, place: &root }.run(root.database(), &sql)
    }

    fn end(&mut self, signal: Signal) -> io::Result<()> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        if child.try_wait()?.is_none() {
            kill_process(Pid::from_child(&child), signal)?;
        }
        let began = Instant::now();
        while child.try_wait()?.is_none() {
            if began.elapsed() > PATIENCE {
                child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.watchdog.tell(None)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        let _ended = self.kill();
    }
}

/// The programs of an engine.
struct Programs {
    engine: Engine,
    server: PathBuf,
    /// What makes the first files; MySQL's server does so itself.
    initializer: Option<PathBuf>,
}

impl Programs {
    fn find(engine: Engine) -> Result<Self, Unavailable> {
        match engine {
            Engine::Postgres => {
                let initializer = install::needed(engine, &["initdb"])?;
                // Of the same version.
                let server = initializer.with_file_name("postgres");
                install::needed(engine, &["psql"])?;
                Ok(Self { engine, server, initializer: Some(initializer) })
            }
            Engine::Mysql => {
                let server = install::needed(engine, &["mariadbd", "mysqld"])?;
                install::needed(engine, &["mariadb", "mysql"])?;
                let initializer = install::program(&["mariadb-install-db"]);
                Ok(Self { engine, server, initializer })
            }
        }
    }

    fn initialize(
        &self,
        folder: &Path,
        user: Option<User>,
        password: &str,
    ) -> Result<(), Unavailable> {
        let data = folder.join("data").to_string_lossy().into_owned();
        let program = self.initializer.as_ref().unwrap_or(&self.server);
        let mut initializer = command(program, folder, user);
        match (self.engine, &self.initializer) {
            (Engine::Postgres, _) => {
                let file = folder.join("password");
                fs::write(&file, password)
                    .and_then(|()| {
                        user.map_or(Ok(()), |it| chown(&file, Some(it.uid), Some(it.gid)))
                    })
                    .map_err(|error| Unavailable::new(self.engine, error.to_string()))?;
                // Whoever reaches the folder is trusted; by TCP a password is asked for.
                initializer.args(["-D", &data, "-U", USER, "--encoding=UTF8", "--locale=C"]);
                initializer.args(["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]);
                initializer.arg(format!("--pwfile={}", file.display()));
            }
            (Engine::Mysql, Some(_)) => {
                initializer.args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"]);
                initializer.arg("--auth-root-authentication-method=normal");
                initializer.arg(format!("--datadir={data}"));
            }
            (Engine::Mysql, None) => {
                initializer.args(["--no-defaults", "--initialize-insecure"]);
                initializer.arg(format!("--datadir={data}"));
            }
        }
        let output = initializer
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .map_err(|error| Unavailable::new(self.engine, error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Err(Unavailable::new(self.engine, format!("`{name}` failed: {said}")))
    }

    fn arguments(&self, folder: &Path, port: u16, options: &Options) -> Vec<String> {
        let place = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let port = port.to_string();
        let mut settings: Vec<(&str, String)> = match self.engine {
            Engine::Postgres => vec![
                ("listen_addresses", "127.0.0.1".to_owned()),
                ("port", port),
                ("unix_socket_directories", place("run")),
                ("max_connections", "100".to_owned()),
                ("shared_buffers", "128MB".to_owned()),
            ],
            Engine::Mysql => vec![
                ("datadir", place("data")),
                ("socket", place("run/mysqld.sock")),
                ("pid-file", place("run/mysqld.pid")),
                ("tmpdir", place("run")),
                ("bind-address", "127.0.0.1".to_owned()),
                ("port", port),
                ("character-set-server", "utf8mb4".to_owned()),
                ("innodb-buffer-pool-size", "128M".to_owned()),
            ],
        };
        let quick: &[(&str, &str)] = match (options.durable, self.engine) {
            (true, _) => &[],
            (false, Engine::Postgres) => {
                // Not `synchronous_commit`: what is acknowledged must outlive the server's process.
                &[("fsync", "off"), ("full_page_writes", "off")]
            }
            (false, Engine::Mysql) => &[("innodb-flush-log-at-trx-commit", "2")],
        };
        settings.extend(quick.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let given = options.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        settings.extend(given);
        let mut arguments = match self.engine {
            Engine::Postgres => vec!["-D".to_owned(), place("data")],
            Engine::Mysql => vec!["--no-defaults".to_owned(), "--skip-name-resolve".to_owned()],
        };
        arguments.extend(settings.into_iter().flat_map(|(name, value)| match self.engine {
            Engine::Postgres => vec!["-c".to_owned(), format!("{name}={value}")],
            Engine::Mysql => vec![format!("--{name}={value}")],
        }));
        arguments
    }
}

/// A program of the server's, run as its user in its folder, with nothing of ours.
fn command(program: &Path, folder: &Path, user: Option<User>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).stdin(Stdio::null()).env("HOME", folder).env("LC_ALL", "C");
    // Ours may be one that the server's user cannot write to.
    command.env("TMPDIR", folder.join("run"));
    // Variables of clients would lead initializers to other servers.
    for name in ["PGDATA", "PGHOST", "PGPORT", "PGUSER", "PGOPTIONS", "MYSQL_HOME", "MYSQL_PWD"] {
        command.env_remove(name);
    }
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// A folder that only the server's user may enter.
fn folder(engine: Engine, user: Option<User>) -> io::Result<PathBuf> {
    let prefix = format!("whimbrel-{}-", engine.name());
    let made = tempfile::Builder::new().prefix(&prefix).tempdir()?;
    let inner = ["run", "data"].map(|name| made.path().join(name));
    for path in &inner {
        fs::create_dir(path)?;
    }
    for path in inner.iter().map(PathBuf::as_path).chain([made.path()]) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        if let Some(user) = user {
            chown(path, Some(user.uid), Some(user.gid))?;
        }
    }
    Ok(made.keep())
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Nobody else on this machine knows it.
fn secret() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}
