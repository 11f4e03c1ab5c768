//! A folder whose files carry the times they are given, so that it can be made again exactly.

use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A folder being filled.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
}

impl Folder {
    /// Makes the folder; one that already holds something is refused, never mixed with.
    pub fn create(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        if fs::read_dir(root)?.next().is_some() {
            let message = format!("folder is not empty: `{}`", root.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        Ok(Self { root: root.to_owned() })
    }

    /// Writes a file below the folder, last changed at `unix_seconds`.
    pub fn write(&self, path: &str, bytes: &[u8], unix_seconds: i64) -> io::Result<()> {
        let path = self.path(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create_new(&path)?;
        file.write_all(bytes)?;
        let seconds = u64::try_from(unix_seconds).map_err(io::Error::other)?;
        file.set_times(
            FileTimes::new().set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)),
        )
    }

    /// Where a file of the folder stands.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Makes an empty folder.
    pub fn folder(&self, path: &str) -> io::Result<()> {
        fs::create_dir_all(self.root.join(path))
    }

    /// Makes a symbolic link at `path` that says `to`; nothing where links are not to be had.
    pub fn link(&self, path: &str, to: &str) -> io::Result<()> {
        #[cfg(unix)]
        std::os::unix::fs::symlink(to, self.root.join(path))?;
        #[cfg(not(unix))]
        let _ = (path, to);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        Folder::create(dir.path()).unwrap().write("a/b.txt", b"x", 5).unwrap();
        let refused = Folder::create(dir.path()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_file_carries_the_time_it_was_given() {
        let dir = tempfile::tempdir().unwrap();
        Folder::create(dir.path()).unwrap().write("a.txt", b"x", 1_700_000_000).unwrap();
        let modified = fs::metadata(dir.path().join("a.txt")).unwrap().modified().unwrap();
        assert_eq!(modified, SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    }
}
