//! What a database's URL names, and how it is shown: never with its password.

use std::path::{Path, PathBuf};

use whimbrel_endpoint::{EndpointError, ErrorClass};

use crate::{codes, parameters};

/// A place where a database is.
#[derive(Clone, PartialEq, Eq)]
pub enum Location {
    /// A file of SQLite.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The URL as people see it.
        shown: String,
    },
    /// A database of a PostgreSQL server.
    Postgres {
        /// The URL, with its password.
        url: String,
        /// The URL as people see it.
        shown: String,
    },
    /// A database of a MariaDB or MySQL server.
    Mysql {
        /// The URL, with its password.
        url: String,
        /// The URL as people see it.
        shown: String,
    },
}

/// Only what people may see.
impl std::fmt::Debug for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Location").field(&self.shown()).finish()
    }
}

impl Location {
    /// Reads `sqlite:FILE` and `sqlite://FILE`, `postgres://…` and `mysql://…` (`postgresql` and
    /// `mariadb` are the same). A relative file starts from `base`; it is taken literally: nothing is
    /// unescaped, and parameters (`?mode=…`) are refused. Those of a server's URL are checked, and
    /// the files of certificates among them start from `base` too.
    pub fn parse(url: &str, base: &Path) -> Result<Self, EndpointError> {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        match scheme {
            "postgres" | "postgresql" => {
                let shown = without_secrets(url);
                let url = parameters::POSTGRES.checked(url, &shown, base)?;
                return Ok(Self::Postgres { url, shown });
            }
            "mysql" | "mariadb" => {
                let shown = without_secrets(url);
                let url = parameters::MYSQL.checked(url, &shown, base)?;
                return Ok(Self::Mysql { url, shown });
            }
            _ => {}
        }
        let Some(rest) = url.strip_prefix("sqlite:") else {
            return Err(foreign(url));
        };
        let file = rest.strip_prefix("//").unwrap_or(rest);
        if file == ":memory:" {
            return Err(refused(
                "a database in memory would vanish with the process, and its ledger with it; \
                 name a file: `sqlite:NAME.db`",
            ));
        }
        if file.is_empty() || file.contains(['?', '\0']) {
            return Err(refused(format!(
                "`sqlite:` is followed by a file and nothing else, as `sqlite:extruder.db`: `{url}`"
            )));
        }
        Ok(Self::Sqlite { path: base.join(file), shown: format!("sqlite:{file}") })
    }

    /// The URL as people see it.
    pub fn shown(&self) -> &str {
        match self {
            Self::Sqlite { shown, .. }
            | Self::Postgres { shown, .. }
            | Self::Mysql { shown, .. } => shown,
        }
    }
}

/// The URL with `***` for its password, be it before the host or among the parameters.
fn without_secrets(url: &str) -> String {
    let (place, parameters) = match url.split_once('?') {
        Some((place, parameters)) => (place, Some(parameters)),
        None => (url, None),
    };
    if let (Some((scheme, _)), Some(parameters)) = (place.split_once("://"), parameters)
        && parameters.contains('@')
    {
        // A password with a `?` in it, most likely.
        return format!("{scheme}://***");
    }
    let mut shown = match (place.split_once("://"), place.rfind('@')) {
        (Some((scheme, _)), Some(at)) if at > scheme.len() + 2 => {
            let user = &place[scheme.len() + 3..at];
            let user =
                user.split_once(':').map_or(user.to_owned(), |(user, _)| format!("{user}:***"));
            format!("{scheme}://{user}{}", &place[at..])
        }
        _ => place.to_owned(),
    };
    for (index, parameter) in parameters.into_iter().flat_map(|all| all.split('&')).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        match parameter.split_once('=') {
            Some((name, _)) if name.to_ascii_lowercase().contains("pass") => {
                shown.push_str(&format!("{name}=***"));
            }
            _ => shown.push_str(parameter),
        }
    }
    shown
}

fn foreign(url: &str) -> EndpointError {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        // Never echo the URL here: it may carry a password.
        "postgres" | "postgresql" | "mysql" | "mariadb" => {
            refused(format!("a server is named as `{scheme}://USER@HOST/DATABASE`: `{scheme}:…`"))
        }
        _ if url == ":memory:" => refused(
            "a database in memory would vanish with the process, and its ledger with it; \
             name a file: `sqlite:NAME.db`",
        ),
        _ if url.contains("://") => refused(format!("no engine is known by this name: `{scheme}`")),
        _ => refused(format!("a target says its engine; write `sqlite:{url}`: `{url}`")),
    }
}

fn refused(what: impl Into<String>) -> EndpointError {
    EndpointError::new(ErrorClass::Configuration, codes::URL, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(url: &str) -> String {
        match Location::parse(url, Path::new("/plan")).unwrap() {
            Location::Sqlite { path, .. } => path.to_string_lossy().into_owned(),
            server => panic!("{server:?}"),
        }
    }

    fn refusal(url: &str) -> String {
        let error = Location::parse(url, Path::new("/plan")).unwrap_err();
        assert_eq!((error.class, error.code), (ErrorClass::Configuration, "WB0400"));
        error.what
    }

    #[test]
    fn a_relative_file_starts_from_the_plan() {
        assert_eq!(path("sqlite:a.db"), "/plan/a.db");
        assert_eq!(path("sqlite://sub/a.db"), "/plan/sub/a.db");
    }

    #[test]
    fn an_absolute_file_stays() {
        assert_eq!(path("sqlite:/x/a.db"), "/x/a.db");
        assert_eq!(path("sqlite:///x/a b%20.db"), "/x/a b%20.db");
    }

    #[test]
    fn a_plain_path_is_refused_with_help() {
        assert!(refusal("a.db").contains("write `sqlite:a.db`"));
    }

    #[test]
    fn memory_is_refused_with_its_reason() {
        assert!(refusal("sqlite::memory:").contains("vanish"));
        assert!(refusal(":memory:").contains("vanish"));
    }

    #[test]
    fn parameters_are_refused() {
        assert!(refusal("sqlite:a.db?mode=ro").contains("nothing else"));
    }

    #[test]
    fn a_password_is_not_repeated() {
        assert!(!refusal("postgres:me:secret@host/db").contains("secret"));
    }

    #[test]
    fn a_server_is_shown_without_its_password() {
        let check = |url: &str, expected: &str| {
            let location = Location::parse(url, Path::new("/plan")).unwrap();
            assert_eq!(location.shown(), expected);
            assert!(!format!("{location:?}").contains("canary"));
        };
        check("postgres://me:canary@host:5433/db", "postgres://me:***@host:5433/db");
        check("mysql://me:can@canary@host/db", "mysql://me:***@host/db");
        check(
            "postgres://me@host/db?password=canary&port=1",
            "postgres://me@host/db?password=***&port=1",
        );
        check("mariadb://host/db", "mariadb://host/db");
        check("postgres://host/db?user=me@there&password=canary", "postgres://***");
        let words = refusal("mysql://me:canary?4711@host/db");
        assert!(words.contains("`mysql://***`") && !words.contains("4711"), "{words}");
    }
}
