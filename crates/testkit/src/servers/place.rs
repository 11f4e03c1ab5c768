//! Where a server is: read from a URL, and written as one for each of its databases.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;

use super::Engine;

/// Where a connection goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Upstream {
    /// A port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A server's place, with user and password.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) engine: Engine,
    pub(super) user: String,
    pub(super) password: Option<String>,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) database: String,
    /// Parameters that do not say where it is, each `name=value`.
    pub(super) parameters: Vec<String>,
}

#[derive(Clone)]
pub(super) enum Host {
    Name(String),
    /// PostgreSQL's folder of sockets, MariaDB's socket.
    Socket(PathBuf),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("engine", &self.engine)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}

impl Place {
    pub(super) fn new(engine: Engine, user: &str, host: Host, port: u16) -> Self {
        let database = engine.first_database().to_owned();
        let user = user.to_owned();
        Self { engine, user, password: None, host, port, database, parameters: Vec::new() }
    }

    /// Reads `scheme://[user[:password]@][host][:port]/[database][?parameters]`.
    pub(super) fn parse(engine: Engine, url: &str) -> Option<Self> {
        let (_, rest) = url.split_once("://")?;
        let (rest, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, address) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = match user.split_once(':') {
            Some((user, password)) => (user, Some(decoded(password)?)),
            None => (user, None),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (address, engine.default_port()),
        };
        let host = decoded(if host.is_empty() { "localhost" } else { host })?;
        let mut place = Self::new(engine, &decoded(user)?, Host::named(host), port);
        place.password = password;
        if !database.is_empty() {
            place.database = decoded(database)?;
        }
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            match parameter.split_once('=')? {
                ("host" | "socket", value) => place.host = Host::named(decoded(value)?),
                ("port", value) => place.port = value.parse().ok()?,
                ("user", value) => place.user = decoded(value)?,
                ("password", value) => place.password = Some(decoded(value)?),
                _ => place.parameters.push(parameter.to_owned()),
            }
        }
        if place.user.is_empty() {
            "root".clone_into(&mut place.user);
        }
        Some(place)
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    pub(super) fn is_tcp(&self) -> bool {
        matches!(self.host, Host::Name(_))
    }

    /// The URL of one of its databases.
    pub(super) fn url(&self, database: &str) -> String {
        let (scheme, user) = (self.engine.name(), encoded(&self.user));
        let password =
            self.password.as_ref().map_or(String::new(), |it| format!(":{}", encoded(it)));
        let mut parameters = self.parameters.clone();
        let host = match &self.host {
            Host::Name(name) => encoded(name),
            Host::Socket(path) => {
                let name = match self.engine {
                    Engine::Postgres => "host",
                    Engine::Mysql => "socket",
                };
                parameters.insert(0, format!("{name}={}", encoded(&path.to_string_lossy())));
                "localhost".to_owned()
            }
        };
        let mark = if parameters.is_empty() { "" } else { "?" };
        let parameters = parameters.join("&");
        let (port, database) = (self.port, encoded(database));
        format!("{scheme}://{user}{password}@{host}:{port}/{database}{mark}{parameters}")
    }

    pub(super) fn upstream(&self) -> Upstream {
        match (&self.host, self.engine) {
            (Host::Name(name), _) => {
                let mut found = (name.as_str(), self.port).to_socket_addrs().into_iter().flatten();
                let local = SocketAddr::from(([127, 0, 0, 1], self.port));
                Upstream::Tcp(found.find(SocketAddr::is_ipv4).unwrap_or(local))
            }
            (Host::Socket(folder), Engine::Postgres) => {
                Upstream::Unix(folder.join(format!(".s.PGSQL.{}", self.port)))
            }
            (Host::Socket(socket), Engine::Mysql) => Upstream::Unix(socket.clone()),
        }
    }

    /// The same server, as a proxy at this port offers it.
    pub(super) fn at_port(&self, port: u16) -> Self {
        Self { host: Host::Name("127.0.0.1".to_owned()), port, ..self.clone() }
    }
}

impl Host {
    fn named(name: String) -> Self {
        if name.starts_with('/') { Self::Socket(name.into()) } else { Self::Name(name) }
    }
}

fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escaped)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = escaped.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_and_written_for_another_database() {
        let check = |engine, url: &str, other: &str| {
            assert_eq!(Place::parse(engine, url).unwrap().url("b"), other);
        };
        check(
            Engine::Postgres,
            "postgresql://me:a%40b@h:6000/a?sslmode=disable",
            "postgres://me:a%40b@h:6000/b?sslmode=disable",
        );
        check(
            Engine::Postgres,
            "postgres://me@%2Ftmp%2Fx:6000/a",
            "postgres://me@localhost:6000/b?host=/tmp/x",
        );
        check(
            Engine::Mysql,
            "mysql://root@localhost/a?socket=/run/m.sock",
            "mysql://root@localhost:3306/b?socket=/run/m.sock",
        );
        check(Engine::Mysql, "mysql://h", "mysql://root@h:3306/b");
    }

    #[test]
    fn what_is_no_url_is_not_read() {
        for wrong in ["postgres", "postgres://h:port/a", "postgres://h/%zz"] {
            assert!(Place::parse(Engine::Postgres, wrong).is_none(), "{wrong}");
        }
    }
}
