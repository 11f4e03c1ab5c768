//! What differs between the two kinds of server, as far as tests need it.

use std::fmt;

/// A kind of server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MariaDB or MySQL.
    Mysql,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => "MariaDB",
        })
    }
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Mysql];

    /// Its name in schema folders, and the scheme of its URLs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    /// The environment's variable that names a server to be used.
    pub fn variable(self) -> String {
        format!("WHIMBREL_TEST_{}_URL", self.name().to_ascii_uppercase())
    }

    /// The variable that names the same server by TCP, where the other one names its socket.
    pub fn tcp_variable(self) -> String {
        format!("WHIMBREL_TEST_{}_TCP_URL", self.name().to_ascii_uppercase())
    }

    /// Debian's package of the server, with its client.
    pub fn package(self) -> &'static str {
        match self {
            Self::Postgres => "postgresql",
            Self::Mysql => "mariadb-server",
        }
    }

    /// The database that is there from the beginning.
    pub(super) fn first_database(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
        }
    }

    pub(super) fn default_port(self) -> u16 {
        match self {
            Self::Postgres => 5432,
            Self::Mysql => 3306,
        }
    }

    pub(super) fn create_database(self, name: &str) -> String {
        match self {
            Self::Postgres => {
                format!("CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")
            }
            Self::Mysql => format!("CREATE DATABASE `{name}` CHARACTER SET utf8mb4"),
        }
    }
}
