//! A database as messages name it, and what they may quote of it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A URL without secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Shown {
    url: Arc<str>,
    hides_values: bool,
}

impl Shown {
    pub(crate) fn new(url: &str, hides_values: bool) -> Self {
        Self { url: url.into(), hides_values }
    }

    /// Whether what an engine says is left out where it may quote a value.
    pub(crate) fn hides_values(&self) -> bool {
        self.hides_values
    }
}

impl Deref for Shown {
    type Target = str;

    fn deref(&self) -> &str {
        &self.url
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// What stands in the place of an engine's words, with the key or constraint that they are about.
pub(crate) fn untold(subject: Option<&str>) -> String {
    let about = subject.map_or(String::new(), |subject| format!(" (about `{subject}`)"));
    format!("what the database says of it may quote a sensitive column{about}")
}
