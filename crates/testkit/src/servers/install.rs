//! What is installed: programs of the servers, and the user that a server may run as.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Engine, Unavailable, variable};

/// A program by one of its names, in `PATH` and where Debian and others put servers.
pub(super) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.extend(versions());
    folders.extend(["/usr/sbin", "/usr/local/sbin", "/usr/libexec", "/usr/bin"].map(PathBuf::from));
    let places = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// A program that must be there.
pub(super) fn needed(engine: Engine, names: &[&str]) -> Result<PathBuf, Unavailable> {
    program(names).ok_or_else(|| Unavailable::not_installed(engine, names))
}

/// The folders of PostgreSQL's versions, the newest first.
fn versions() -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir("/usr/lib/postgresql") else {
        return Vec::new();
    };
    let mut versions: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    let number = |path: &PathBuf| -> u32 {
        path.file_name().and_then(|name| name.to_str()?.parse().ok()).unwrap_or(0)
    };
    versions.sort_unstable_by_key(|path| std::cmp::Reverse(number(path)));
    versions.into_iter().map(|version| version.join("bin")).collect()
}

/// A user of this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user that the server is to run as, where we are root and it refuses that; `None` means as we
/// are.
pub(super) fn user(engine: Engine) -> Option<User> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let own = match engine {
        Engine::Postgres => "postgres",
        Engine::Mysql => "mysql",
    };
    let users = fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    named(&users, own).or_else(|| named(&users, "nobody"))
}

fn named(users: &str, name: &str) -> Option<User> {
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut cells = line.split(':').skip(2);
    Some(User { uid: cells.next()?.parse().ok()?, gid: cells.next()?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_found_by_its_whole_name() {
        let users = "postgresql:x:1:2::/:\npostgres:x:104:111:a,b:/var:/bin/sh\n";
        assert_eq!(named(users, "postgres"), Some(User { uid: 104, gid: 111 }));
        assert_eq!(named(users, "nobody"), None);
    }
}
