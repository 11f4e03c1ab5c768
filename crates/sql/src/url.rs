//! What a target's URL names.

use std::path::{Path, PathBuf};

use whimbrel_endpoint::{EndpointError, ErrorClass};

use crate::codes;

/// A place where a database is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// A file of SQLite.
    Sqlite {
        /// The file.
        path: PathBuf,
        /// The URL as people see it.
        shown: String,
    },
}

impl Location {
    /// Reads `sqlite:FILE` and `sqlite://FILE`; a relative file starts from `base`. The file is
    /// taken literally: nothing is unescaped, and parameters (`?mode=…`) are refused.
    pub fn parse(url: &str, base: &Path) -> Result<Self, EndpointError> {
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
}

fn foreign(url: &str) -> EndpointError {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        // Never echo the URL here: it may carry a password.
        "postgres" | "postgresql" | "mysql" | "mariadb" => {
            refused(format!("this version writes to SQLite only, as `sqlite:NAME.db`: `{scheme}`"))
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
        let Location::Sqlite { path, .. } = Location::parse(url, Path::new("/plan")).unwrap();
        path.to_string_lossy().into_owned()
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
        assert!(!refusal("postgres://me:secret@host/db").contains("secret"));
    }
}
