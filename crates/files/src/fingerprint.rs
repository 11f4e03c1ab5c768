//! Which version of a file was read, and whether it still is that one.
//!
//! ```text
//! stamp (size, mtime, ctime, inode)   equal → the same, nothing is read
//!        │ differs
//!        ▼
//! digest of the prefix that was read  equal → the same, or appended to
//! ```
//! Digests are BLAKE3 over unpacked, not yet decoded bytes.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// What the file system says about a file at one moment.
///
/// Linux changes `ctime_nanos` at every write and rename and lets nobody set it, so that equal
/// stamps mean equal contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    /// Bytes as stored.
    pub size: u64,
    /// Last change of the contents, in nanoseconds since 1970.
    pub mtime_nanos: i128,
    /// Last change of contents or attributes, in nanoseconds since 1970; 0 where unknown.
    pub ctime_nanos: i128,
    /// Which file on its device; 0 where unknown.
    pub inode: u64,
}

impl Stamp {
    /// Of an open file.
    pub fn of(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::from_metadata(&metadata))
    }

    /// Of the file that the path leads to now.
    pub fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|metadata| Self::from_metadata(&metadata))
    }

    /// From what the file system answered.
    #[cfg(unix)]
    pub fn from_metadata(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let nanos =
            |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
        Self {
            size: metadata.len(),
            mtime_nanos: nanos(metadata.mtime(), metadata.mtime_nsec()),
            ctime_nanos: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// From what the file system answered.
    #[cfg(not(unix))]
    pub fn from_metadata(metadata: &Metadata) -> Self {
        let since = |time: std::time::SystemTime| match time.duration_since(std::time::UNIX_EPOCH) {
            Ok(after) => after.as_nanos() as i128,
            Err(before) => -(before.duration().as_nanos() as i128),
        };
        Self {
            size: metadata.len(),
            mtime_nanos: metadata.modified().map_or(0, since),
            ctime_nanos: 0,
            inode: 0,
        }
    }
}

/// Reads `length` bytes and gives their digest; `None` where the stream ends before.
pub fn digest_of_prefix(from: &mut dyn Read, length: u64) -> io::Result<Option<[u8; 32]>> {
    let mut hasher = blake3::Hasher::new();
    let read = hash_up_to(from, length, &mut hasher)?;
    Ok((read == length).then(|| *hasher.finalize().as_bytes()))
}

/// Hashes at most `length` bytes and says how many there were.
fn hash_up_to(from: &mut dyn Read, length: u64, hasher: &mut blake3::Hasher) -> io::Result<u64> {
    let mut block = vec![0; 256 << 10];
    let mut left = length;
    while left > 0 {
        let room = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match from.read(&mut block[..room]) {
            Ok(0) => break,
            Ok(read) => {
                hasher.update(&block[..read]);
                left -= read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length - left)
}

/// Hands the stored bytes of a file to `sink` in order: for digests that mappings ask for.
pub fn read_stored(path: &Path, mut sink: impl FnMut(&[u8])) -> io::Result<Stamp> {
    let mut file = File::open(path)?;
    let stamp = Stamp::of(&file)?;
    let mut block = vec![0; 256 << 10];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(stamp),
            Ok(read) => sink(&block[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_stamp_notices_appending_and_replacing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "a\n1\n").unwrap();
        let first = Stamp::at(&path).unwrap();
        assert_eq!(first, Stamp::at(&path).unwrap());
        File::options().append(true).open(&path).unwrap().write_all(b"2\n").unwrap();
        assert_ne!(first, Stamp::at(&path).unwrap());
        let other = folder.path().join("b.csv");
        std::fs::write(&other, "a\n1\n").unwrap();
        std::fs::rename(&other, &path).unwrap();
        assert_ne!(first.inode, Stamp::at(&path).unwrap().inode);
    }

    #[test]
    fn a_prefix_beyond_the_end_has_no_digest() {
        assert_eq!(digest_of_prefix(&mut &b"abc"[..], 4).unwrap(), None);
        let digest = digest_of_prefix(&mut &b"abcdef"[..], 3).unwrap();
        assert_eq!(digest, Some(*blake3::hash(b"abc").as_bytes()));
    }

    #[test]
    fn stored_bytes_come_whole_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let bytes: Vec<u8> = (0..600_000u32).map(|n| n as u8).collect();
        std::fs::write(&path, &bytes).unwrap();
        let mut seen = Vec::new();
        read_stored(&path, |part| seen.extend_from_slice(part)).unwrap();
        assert_eq!(seen, bytes);
    }
}
