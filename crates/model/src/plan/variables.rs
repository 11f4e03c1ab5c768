//! `${NAME}`, `${NAME:-default}`, `${file:path}` and `$$` inside the texts of a plan.
//!
//! Owns the replacing alone: where values come from is the caller's business, and what they are
//! is told to nobody but the decoder.

use std::io;

/// Where values come from.
pub(super) struct Variables<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    pub(super) read_file: &'a dyn Fn(&str) -> io::Result<String>,
}

/// A text with its variables replaced.
pub(super) struct Expanded {
    pub(super) text: String,
    /// The values that went into it and that are not written in the plan.
    pub(super) hidden: Vec<String>,
}

/// Why a text could not be expanded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum VariableError {
    /// `${` without its `}`.
    Open,
    /// What stands between them names nothing.
    Name(String),
    /// The variable is not set and has no default.
    Unset(String),
    /// The file could not be read.
    File { path: String, why: io::ErrorKind },
}

impl Variables<'_> {
    /// Replaces every variable in `text`; a `$` before anything but `{` or `$` is itself.
    pub(super) fn expand(&self, text: &str) -> Result<Expanded, VariableError> {
        let mut out = Expanded { text: String::with_capacity(text.len()), hidden: Vec::new() };
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.text.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            rest = if let Some(inner) = after.strip_prefix('{') {
                let end = inner.find('}').ok_or(VariableError::Open)?;
                self.replace(&inner[..end], &mut out)?;
                &inner[end + 1..]
            } else {
                out.text.push('$');
                after.strip_prefix('$').unwrap_or(after)
            };
        }
        out.text.push_str(rest);
        Ok(out)
    }

    fn replace(&self, inner: &str, out: &mut Expanded) -> Result<(), VariableError> {
        if let Some(path) = inner.strip_prefix("file:") {
            return self.replace_by_file(path, out);
        }
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        if !is_name(name) {
            return Err(VariableError::Name(inner.to_owned()));
        }
        // As in a shell, `:-` stands in for an empty variable too.
        let set = (self.env)(name).filter(|value| default.is_none() || !value.is_empty());
        match (set, default) {
            (Some(value), _) => out.hide(value),
            (None, Some(default)) => out.text.push_str(default),
            (None, None) => return Err(VariableError::Unset(name.to_owned())),
        }
        Ok(())
    }

    fn replace_by_file(&self, path: &str, out: &mut Expanded) -> Result<(), VariableError> {
        let mut text = (self.read_file)(path)
            .map_err(|error| VariableError::File { path: path.to_owned(), why: error.kind() })?;
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        out.hide(text);
        Ok(())
    }
}

impl Expanded {
    fn hide(&mut self, value: String) {
        self.text.push_str(&value);
        if !value.is_empty() {
            self.hidden.push(value);
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<&str, VariableError>) {
        let variables = Variables {
            env: &|name| match name {
                "HOST" => Some("db".to_owned()),
                "EMPTY" => Some(String::new()),
                _ => None,
            },
            read_file: &|path| match path {
                "pw" => Ok("s3cret\r\n".to_owned()),
                _ => Err(io::ErrorKind::NotFound.into()),
            },
        };
        let found = variables.expand(text).map(|expanded| expanded.text);
        assert_eq!(found, expected.map(str::to_owned));
    }

    #[test]
    fn a_variable_is_replaced_where_it_stands() {
        check("a ${HOST} b${HOST}", Ok("a db bdb"));
    }

    #[test]
    fn a_default_stands_in_for_what_is_unset_or_empty() {
        check("${PORT:-5432}${EMPTY:-x}${EMPTY}", Ok("5432x"));
    }

    #[test]
    fn a_file_loses_one_line_end() {
        check("x:${file:pw}@", Ok("x:s3cret@"));
    }

    #[test]
    fn two_dollars_are_one_and_a_lone_one_stays() {
        check("^a$ $${HOST} $1 $", Ok("^a$ ${HOST} $1 $"));
    }

    #[test]
    fn what_cannot_be_replaced_says_why() {
        check("${HOST", Err(VariableError::Open));
        check("${a b}", Err(VariableError::Name("a b".to_owned())));
        check("${}", Err(VariableError::Name(String::new())));
        check("${PORT}", Err(VariableError::Unset("PORT".to_owned())));
        let why = io::ErrorKind::NotFound;
        check("${file:no}", Err(VariableError::File { path: "no".to_owned(), why }));
    }
}
