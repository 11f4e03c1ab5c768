//! The engines' own clients, as subprocesses: they share no code with Whimbrel.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use super::place::{Host, Place};
use super::{Engine, install};

/// A row of texts as the engine spells them; `None` is NULL.
pub type Row = Vec<Option<Vec<u8>>>;

pub(super) struct Client<'a> {
    pub(super) engine: Engine,
    pub(super) place: &'a Place,
}

impl Client<'_> {
    pub(super) fn run(&self, database: &str, sql: &str) -> io::Result<()> {
        let mut client = self.command(self.names(), database)?;
        if self.engine == Engine::Mysql {
            client.arg("--batch");
        }
        spoken(client, sql.as_bytes()).map(drop)
    }

    /// The rows of each query.
    pub(super) fn rows(&self, database: &str, queries: &[&str]) -> io::Result<Vec<Vec<Row>>> {
        let mut client = self.command(self.names(), database)?;
        let mut script = String::new();
        for query in queries {
            let query = query.trim().trim_end_matches(';');
            match self.engine {
                // In COPY's text every line is a row and `\.` is none.
                Engine::Postgres => {
                    script.push_str(&format!("COPY ({query}) TO STDOUT;\n\\echo '\\\\.'\n"));
                }
                Engine::Mysql => script.push_str(&format!("{query};\n")),
            }
        }
        match self.engine {
            Engine::Postgres => Ok(copied(&spoken(client, script.as_bytes())?)),
            Engine::Mysql => {
                // XML alone tells NULL from a text `NULL`.
                client.args(["--xml", "--binary-mode"]);
                let found = marked_up(&spoken(client, script.as_bytes())?);
                found.ok_or_else(|| io::Error::other("the client's XML cannot be read"))
            }
        }
    }

    pub(super) fn drop_database(&self, from: &str, name: &str) -> io::Result<()> {
        match self.engine {
            Engine::Postgres => {
                self.run(from, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
            }
            Engine::Mysql => {
                // A session that is still there would hold the tables.
                let sessions =
                    format!("SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '{name}'");
                for row in self.rows(from, &[&sessions])?.into_iter().flatten().flatten().flatten()
                {
                    let _gone = self.run(from, &format!("KILL {}", String::from_utf8_lossy(&row)));
                }
                self.run(from, &format!("DROP DATABASE IF EXISTS `{name}`"))
            }
        }
    }

    /// Makes a database with another one's content.
    pub(super) fn copy(&self, first: &str, from: &str, to: &str) -> io::Result<()> {
        match self.engine {
            // Whoever is connected to it would be in the way.
            Engine::Postgres => self.run(
                first,
                &format!(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{from}';\n\
                     CREATE DATABASE \"{to}\" TEMPLATE \"{from}\""
                ),
            ),
            Engine::Mysql => {
                self.run(first, &self.engine.create_database(to))?;
                let mut dump = self.command(&["mariadb-dump", "mysqldump"], from)?;
                dump.args(["--single-transaction", "--hex-blob", "--routines", "--triggers"]);
                let script = spoken(dump, b"")?;
                spoken(self.command(self.names(), to)?, &script).map(drop)
            }
        }
    }

    fn names(&self) -> &'static [&'static str] {
        match self.engine {
            Engine::Postgres => &["psql"],
            Engine::Mysql => &["mariadb", "mysql"],
        }
    }

    fn command(&self, names: &[&str], database: &str) -> io::Result<Command> {
        let program = install::program(names).ok_or_else(|| {
            let message = format!("the client `{}` is not installed", names.join("` or `"));
            io::Error::new(io::ErrorKind::NotFound, message)
        })?;
        let mut command = Command::new(&program);
        let place = self.place;
        let password = place.password.as_deref().unwrap_or("");
        match self.engine {
            Engine::Postgres => {
                if names == ["psql"] {
                    // `-X`: nobody's settings. Errors end the script.
                    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
                }
                match &place.host {
                    Host::Name(name) => command.arg("-h").arg(name),
                    Host::Socket(folder) => command.arg("-h").arg(folder),
                };
                command.args(["-p", &place.port.to_string(), "-U", &place.user, "-d", database]);
                command.env("PGPASSWORD", password).env("PGCLIENTENCODING", "UTF8");
                command
                    .env("PGCONNECT_TIMEOUT", "10")
                    .env("PGOPTIONS", "-c client_min_messages=error");
            }
            Engine::Mysql => {
                command.args(["--no-defaults", "--default-character-set=utf8mb4"]);
                match &place.host {
                    Host::Name(name) => {
                        command.args(["--protocol=tcp", "-h", name, "-P", &place.port.to_string()])
                    }
                    Host::Socket(socket) => command.arg("-S").arg(socket),
                };
                command.args(["-u", &place.user]).env("MYSQL_PWD", password);
                if names == self.names() {
                    command.arg("--init-command=SET time_zone = '+00:00'");
                }
                command.arg(database);
            }
        }
        Ok(command)
    }
}

/// Runs a client with a script at its input; its output.
fn spoken(mut client: Command, script: &[u8]) -> io::Result<Vec<u8>> {
    let mut child =
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().expect("the client's input is piped");
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A client that stops reading says why at its end.
            let _read = stdin.write_all(script);
        });
        child.wait_with_output()
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("the client failed: {}", said.trim())))
}

/// Results of COPY in text format, each ended by a line `\.`.
fn copied(output: &[u8]) -> Vec<Vec<Row>> {
    let mut results = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for line in output.split(|byte| *byte == b'\n') {
        if line == b"\\." {
            results.push(std::mem::take(&mut rows));
        } else {
            rows.push(line.split(|byte| *byte == b'\t').map(cell).collect());
        }
    }
    results
}

fn cell(text: &[u8]) -> Option<Vec<u8>> {
    if text == b"\\N" {
        return None;
    }
    let mut cell = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        cell.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'b') => 0x08,
                Some(b'f') => 0x0c,
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'v') => 0x0b,
                Some(other) => *other,
                None => b'\\',
            },
            byte => *byte,
        });
    }
    Some(cell)
}

/// Results in the client's XML, which escapes nothing but marks and quotes.
fn marked_up(output: &[u8]) -> Option<Vec<Vec<Row>>> {
    let mut results: Vec<Vec<Row>> = Vec::new();
    let mut rest = output;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at..];
        let end = rest.iter().position(|byte| *byte == b'>')?;
        let (tag, after) = (&rest[..end], &rest[end + 1..]);
        rest = after;
        if tag.starts_with(b"<resultset") {
            results.push(Vec::new());
        } else if tag == b"<row" {
            results.last_mut()?.push(Row::new());
        } else if tag.starts_with(b"<field") {
            let row = results.last_mut()?.last_mut()?;
            if tag.ends_with(b"/") {
                row.push(None);
                continue;
            }
            let end = rest.iter().position(|byte| *byte == b'<')?;
            row.push(Some(unmarked(&rest[..end])));
            rest = &rest[end..];
        }
    }
    Some(results)
}

fn unmarked(text: &[u8]) -> Vec<u8> {
    const NAMES: [(&[u8], u8); 5] =
        [(b"&lt;", b'<'), (b"&gt;", b'>'), (b"&amp;", b'&'), (b"&quot;", b'"'), (b"&apos;", b'\'')];
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.first() {
        let name = NAMES.iter().find(|(name, _)| rest.starts_with(name));
        let (byte, length) = name.map_or((*first, 1), |(name, byte)| (*byte, name.len()));
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}
