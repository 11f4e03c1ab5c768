//! Compressed files as streams: gzip (any number of members) and zstd.
//!
//! The magic bytes decide; a suffix that promises compression the bytes do not keep is an error.
//! Positions behind this point count unpacked bytes.

use std::io::{self, BufReader, Read};
use std::path::Path;

/// Unpacked bytes a file may have unless told otherwise: 256 GiB.
pub const UNPACKED_MAX_DEFAULT: u64 = 256 << 30;

/// How a file is packed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Compression {
    /// As it is.
    None,
    /// RFC 1952, one member or more.
    Gzip,
    /// RFC 8878, one frame or more.
    Zstd,
}

/// Why an archive cannot be unpacked (further).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Damage {
    /// The suffix promises what the bytes are not.
    #[error("the file is named as {0} but does not begin so")]
    Misnamed(&'static str),
    /// The stored bytes end too early.
    #[error("the archive breaks off")]
    BreaksOff,
    /// A checksum or structure is wrong.
    #[error("the archive is damaged")]
    Corrupt,
    /// It unpacks to more than the limit.
    #[error("it unpacks to more than {0} bytes")]
    TooLarge(u64),
}

impl Compression {
    /// What the first bytes of a file say.
    pub fn from_magic(front: &[u8]) -> Self {
        match front {
            [0x1F, 0x8B, ..] => Self::Gzip,
            [0x28, 0xB5, 0x2F, 0xFD, ..] => Self::Zstd,
            // A skippable frame, which only zstd has.
            [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// What a name promises: `.gz`, `.zst`, `.zstd`, in any case.
    pub fn from_name(name: &str) -> Self {
        let suffix = Path::new(name).extension().and_then(|suffix| suffix.to_str());
        match suffix.map(str::to_ascii_lowercase).as_deref() {
            Some("gz") => Self::Gzip,
            Some("zst" | "zstd") => Self::Zstd,
            _ => Self::None,
        }
    }

    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// The unpacked bytes of a stored stream, and how it is packed.
///
/// Damage surfaces as an [`io::Error`] that wraps a [`Damage`], after every byte that could be
/// unpacked before it.
pub fn unpack(
    stored: impl Read + Send + 'static,
    name: &str,
    unpacked_max: u64,
) -> io::Result<(Box<dyn Read + Send>, Compression)> {
    let mut stored = stored;
    let (front, length) = read_front(&mut stored)?;
    let found = Compression::from_magic(&front[..length]);
    let promised = Compression::from_name(name);
    if found == Compression::None && promised != Compression::None {
        return Err(io::Error::other(Damage::Misnamed(promised.name())));
    }
    let whole = io::Cursor::new(front).take(length as u64).chain(stored);
    let reader: Box<dyn Read + Send> = match found {
        Compression::None => Box::new(whole),
        Compression::Gzip => {
            let buffered = BufReader::with_capacity(64 << 10, whole);
            bounded(flate2::bufread::MultiGzDecoder::new(buffered), unpacked_max)
        }
        Compression::Zstd => {
            let buffered = BufReader::with_capacity(64 << 10, whole);
            bounded(zstd::stream::read::Decoder::with_buffer(buffered)?, unpacked_max)
        }
    };
    Ok((reader, found))
}

fn read_front(stored: &mut impl Read) -> io::Result<([u8; 4], usize)> {
    let mut front = [0; 4];
    let mut length = 0;
    while length < front.len() {
        match stored.read(&mut front[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((front, length))
}

fn bounded(from: impl Read + Send + 'static, max: u64) -> Box<dyn Read + Send> {
    Box::new(Bounded { from, left: max, max })
}

/// Stops at the limit and tells damage from a failing disk.
struct Bounded<R> {
    from: R,
    left: u64,
    max: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer).map_err(damage)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(Damage::TooLarge(self.max)))?;
        Ok(read)
    }
}

/// Errors of the operating system carry its number; the decoders' own do not.
fn damage(error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() || error.kind() == io::ErrorKind::Interrupted {
        return error;
    }
    io::Error::other(match error.kind() {
        io::ErrorKind::UnexpectedEof => Damage::BreaksOff,
        _ => Damage::Corrupt,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(stored: Vec<u8>, name: &str, max: u64) -> (Vec<u8>, Option<Damage>) {
        let opened = unpack(io::Cursor::new(stored), name, max);
        let mut out = Vec::new();
        let result = opened.and_then(|(mut reader, _)| reader.read_to_end(&mut out));
        let damage = |error: io::Error| *error.get_ref().unwrap().downcast_ref::<Damage>().unwrap();
        (out, result.err().map(damage))
    }

    #[test]
    fn members_of_a_gzip_file_are_one_stream() {
        let stored = [gzip(b"a,b\n"), gzip(b"1,2\n")].concat();
        assert_eq!(read(stored, "x.csv.gz", 100), (b"a,b\n1,2\n".to_vec(), None));
    }

    #[test]
    fn frames_of_a_zstd_file_are_one_stream() {
        let frame = |text: &[u8]| zstd::encode_all(text, 1).unwrap();
        let stored = [frame(b"a,b\n"), frame(b"1,2\n")].concat();
        assert_eq!(read(stored, "x.csv.ZST", 100), (b"a,b\n1,2\n".to_vec(), None));
    }

    #[test]
    fn the_magic_decides_where_the_suffix_says_nothing() {
        assert_eq!(read(gzip(b"x"), "x.csv", 100), (b"x".to_vec(), None));
    }

    #[test]
    fn a_suffix_without_its_magic_is_an_error() {
        assert_eq!(read(b"a,b".to_vec(), "x.gz", 100).1, Some(Damage::Misnamed("gzip")));
        assert_eq!(read(vec![], "x.zst", 100).1, Some(Damage::Misnamed("zstd")));
    }

    #[test]
    fn a_cut_archive_gives_what_it_can_and_says_so() {
        let text: Vec<u8> =
            (0..50_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
        for stored in [gzip(&text), zstd::encode_all(&text[..], 1).unwrap()] {
            let cut = stored[..stored.len() * 3 / 4].to_vec();
            let (out, damage) = read(cut, "x", 1 << 20);
            assert_eq!(damage, Some(Damage::BreaksOff));
            assert!(out.len() > 1000 && text.starts_with(&out), "{}", out.len());
        }
    }

    #[test]
    fn a_flipped_bit_is_damage() {
        let mut stored = gzip(&[b'x'; 1000]);
        let last = stored.len() - 6;
        stored[last] ^= 1;
        assert_eq!(read(stored, "x", 10_000).1, Some(Damage::Corrupt));
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let stored = gzip(&vec![0; 10 << 20]);
        let (out, damage) = read(stored, "x", 1 << 20);
        assert_eq!(damage, Some(Damage::TooLarge(1 << 20)));
        assert!(out.len() <= 1 << 20);
    }
}
