//! The parameters of a server's URL: known ones with known values, or refused; never ignored.
//!
//! Files of certificates start from the plan's folder, as everything else in a plan does.

use std::path::Path;

use whimbrel_endpoint::{EndpointError, ErrorClass};

use crate::codes;

/// What the two kinds of server take.
pub(crate) struct Known {
    /// Where the server is and who comes.
    place: &'static [&'static str],
    mode: &'static str,
    modes: &'static [&'static str],
    /// The certificate of the authority.
    authority: &'static [&'static str],
    /// Modes in which that is looked at.
    verifying: &'static [&'static str],
}

pub(crate) const POSTGRES: Known = Known {
    place: &["host", "hostaddr", "port", "dbname", "user", "password", "options"],
    mode: "sslmode",
    modes: &["disable", "prefer", "require", "verify-ca", "verify-full"],
    authority: &["sslrootcert", "ssl-root-cert", "ssl-ca"],
    verifying: &["verify-ca", "verify-full"],
};

pub(crate) const MYSQL: Known = Known {
    place: &["socket"],
    mode: "ssl-mode",
    modes: &["disabled", "preferred", "required", "verify_ca", "verify_identity"],
    authority: &["ssl-ca", "sslca"],
    verifying: &["verify_ca", "verify_identity"],
};

const MODE: &[&str] = &["sslmode", "ssl-mode"];
const CERTIFICATE: &[&str] = &["sslcert", "ssl-cert"];
const KEY: &[&str] = &["sslkey", "ssl-key"];

impl Known {
    /// The URL with its certificates' files named from `base`, if all of its parameters are known
    /// and say what they may say.
    pub(crate) fn checked(
        &self,
        url: &str,
        shown: &str,
        base: &Path,
    ) -> Result<String, EndpointError> {
        let refused = |why: String| {
            let what = format!("{why}: `{shown}`");
            EndpointError::new(ErrorClass::Configuration, codes::URL, what)
        };
        let Some((place, parameters)) = url.split_once('?') else { return Ok(url.to_owned()) };
        let mut seen: Vec<&str> = Vec::new();
        let mut mode = None;
        let mut written = Vec::new();
        for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let Some(sort) = self.sort(name) else { return Err(refused(self.unknown(name))) };
            if seen.contains(&name) && !name.starts_with("options") {
                return Err(refused(format!("`{name}` is there twice")));
            }
            seen.push(name);
            let Some(value) = decoded(value) else {
                return Err(refused(format!(
                    "`{name}` is not written with percent signs as it should"
                )));
            };
            match sort {
                Sort::Place => written.push(parameter.to_owned()),
                Sort::Mode => {
                    let asked = value.to_ascii_lowercase();
                    if !self.modes.contains(&asked.as_str()) {
                        return Err(refused(self.unknown_mode(name)));
                    }
                    mode = Some(asked);
                    written.push(parameter.to_owned());
                }
                Sort::File => {
                    let file = base.join(&value);
                    if let Err(error) = std::fs::File::open(&file) {
                        let file = file.display();
                        return Err(refused(format!(
                            "`{name}` cannot be read ({error}): `{file}`"
                        )));
                    }
                    let Some(file) = file.to_str() else {
                        return Err(refused(format!(
                            "`{name}` lies in a folder whose name is not UTF-8"
                        )));
                    };
                    written.push(format!("{name}={}", encoded(file)));
                }
            }
        }
        let has = |names: &[&str]| seen.iter().any(|name| names.contains(name));
        if has(self.authority)
            && !mode.as_deref().is_some_and(|mode| self.verifying.contains(&mode))
        {
            return Err(refused(format!(
                "the authority's certificate is looked at with `{}={}` or `{}` only",
                self.mode,
                self.spelled(self.verifying[0]),
                self.spelled(self.verifying[1])
            )));
        }
        if has(CERTIFICATE) != has(KEY) {
            return Err(refused(
                "a certificate of ours needs its key, and a key its certificate".to_owned(),
            ));
        }
        Ok(if written.is_empty() {
            place.to_owned()
        } else {
            format!("{place}?{}", written.join("&"))
        })
    }

    fn sort(&self, name: &str) -> Option<Sort> {
        let is_setting = name.starts_with("options[") && name.ends_with(']');
        if self.place.contains(&name) || (is_setting && self.place.contains(&"options")) {
            Some(Sort::Place)
        } else if MODE.contains(&name) {
            Some(Sort::Mode)
        } else if [self.authority, CERTIFICATE, KEY].iter().any(|names| names.contains(&name)) {
            Some(Sort::File)
        } else {
            None
        }
    }

    fn unknown(&self, name: &str) -> String {
        let tls = match self.authority {
            ["ssl-ca", ..] => ["ssl-mode", "ssl-ca", "ssl-cert", "ssl-key"],
            _ => ["sslmode", "sslrootcert", "sslcert", "sslkey"],
        };
        let known: Vec<&str> = tls.iter().chain(self.place).copied().collect();
        let known = format!("known are `{}`", known.join("`, `"));
        // What is no name may be a part of a password.
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || "-_".contains(letter);
        if !name.is_empty() && name.chars().all(is_name) {
            format!("the URL has an unknown parameter, `{name}`; {known}")
        } else {
            format!("the URL has an unknown parameter; {known}")
        }
    }

    fn unknown_mode(&self, name: &str) -> String {
        let modes: Vec<String> = self.modes.iter().map(|mode| self.spelled(mode)).collect();
        format!("`{name}` is one of `{}`", modes.join("`, `"))
    }

    /// MySQL writes its modes in capitals.
    fn spelled(&self, mode: &str) -> String {
        if self.mode == "ssl-mode" { mode.to_ascii_uppercase() } else { mode.to_owned() }
    }
}

/// What a parameter is about.
enum Sort {
    Place,
    Mode,
    File,
}

fn decoded(value: &str) -> Option<String> {
    let value = value.replace('+', " ");
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_str();
    while let Some((plain, escaped)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        bytes.push(u8::from_str_radix(escaped.get(..2)?, 16).ok()?);
        rest = escaped.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

fn encoded(value: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._/".contains(byte);
    let mut encoded = String::with_capacity(value.len());
    for byte in value.as_bytes() {
        if plain(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(known: &Known, url: &str) -> String {
        known.checked(url, "shown", Path::new("/")).unwrap_err().what
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_known_ones() {
        let words = refusal(&POSTGRES, "postgres://h/d?sslmod=require");
        assert!(
            words.contains("`sslmod`") && words.contains("`sslmode`, `sslrootcert`"),
            "{words}"
        );
        let words = refusal(&MYSQL, "mysql://h/d?charset=latin1");
        assert!(words.contains("`charset`") && words.contains("`ssl-mode`, `ssl-ca`"), "{words}");
        for name in ["application_name", "statement-cache-capacity", "connect_timeout"] {
            assert!(refusal(&POSTGRES, &format!("postgres://h/d?{name}=1")).contains(name));
        }
    }

    #[test]
    fn what_may_be_a_password_is_not_repeated() {
        assert!(!refusal(&MYSQL, "mysql://me:a?canary@h/d").contains("canary"));
        assert!(!refusal(&MYSQL, "mysql://h/d?x%=canary").contains("canary"));
    }

    #[test]
    fn modes_are_those_that_do_what_they_say() {
        // `allow` would never encrypt.
        assert!(refusal(&POSTGRES, "postgres://h/d?sslmode=allow").contains("`verify-full`"));
        assert!(refusal(&MYSQL, "mysql://h/d?ssl-mode=on").contains("`VERIFY_IDENTITY`"));
        for mode in POSTGRES.modes {
            POSTGRES
                .checked(&format!("postgres://h/d?sslmode={mode}"), "", Path::new("/"))
                .unwrap();
        }
        for mode in MYSQL.modes {
            MYSQL.checked(&format!("mysql://h/d?ssl-mode={mode}"), "", Path::new("/")).unwrap();
        }
    }

    #[test]
    fn certificates_start_from_the_plan() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a b.pem"), "").unwrap();
        let url = "postgres://h/d?sslmode=verify-ca&sslrootcert=a%20b.pem";
        let checked = POSTGRES.checked(url, "", folder.path()).unwrap();
        assert!(checked.starts_with("postgres://h/d?sslmode=verify-ca&sslrootcert=/"), "{checked}");
        assert!(checked.ends_with("/a%20b.pem"), "{checked}");
        let words = refusal(&POSTGRES, url);
        assert!(words.contains("`sslrootcert` cannot be read (No such file"), "{words}");
    }

    #[test]
    fn a_certificate_that_nobody_would_look_at_is_refused() {
        for mode in ["", "&ssl-mode=REQUIRED"] {
            let words = refusal(&MYSQL, &format!("mysql://h/d?ssl-ca=/dev/null{mode}"));
            assert!(words.contains("`ssl-mode=VERIFY_CA`"), "{words}");
        }
        assert!(refusal(&MYSQL, "mysql://h/d?ssl-cert=/dev/null").contains("its key"));
    }
}
