//! An archive of plain files in the ustar form of POSIX.1-1988, which every `tar` reads. Only what
//! Whimbrel itself names goes into one, so names are short and there are no links, owners or devices.

use std::io::{self, Write};

/// All of an archive is written in blocks.
const BLOCK: usize = 512;
/// Eleven octal digits.
const SIZE_MAX: u64 = 0o77_777_777_777;

pub(super) struct Tar<W> {
    out: W,
    /// Seconds since 1970, of all files.
    mtime: u64,
}

impl<W: Write> Tar<W> {
    pub(super) fn new(out: W, mtime: u64) -> Self {
        Self { out, mtime }
    }

    /// Adds a file; its name has at most 100 bytes.
    pub(super) fn add(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        self.out.write_all(&header(name, content.len() as u64, self.mtime)?)?;
        self.out.write_all(content)?;
        let rest = content.len() % BLOCK;
        self.out.write_all(if rest == 0 { &[] } else { &[0; BLOCK][rest..] })
    }

    /// Ends the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; 2 * BLOCK])?;
        Ok(self.out)
    }
}

fn header(name: &str, size: u64, mtime: u64) -> io::Result<[u8; BLOCK]> {
    let fits = name.len() <= 100 && size <= SIZE_MAX && mtime <= SIZE_MAX;
    if !fits {
        let message = format!("`{name}` with {size} bytes does not fit into an archive");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    let mut header = [0; BLOCK];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, name);
    put(100, "0000600");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size:011o}"));
    put(136, &format!("{mtime:011o}"));
    // The sum is taken with blanks in its own place.
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\0");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_length_end_at_a_block() {
        for length in [0, 1, 511, 512, 513, 5_000] {
            let mut tar = Tar::new(Vec::new(), 0);
            tar.add("a", &vec![7; length]).unwrap();
            let archive = tar.finish().unwrap();
            assert_eq!(archive.len(), BLOCK * (1 + length.div_ceil(BLOCK) + 2));
            assert_eq!(archive[124..135], *format!("{length:011o}").as_bytes());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(header(&"n".repeat(101), 1, 1).is_err());
        assert!(header("n", SIZE_MAX + 1, 1).is_err());
        assert!(header("n", SIZE_MAX, SIZE_MAX).is_ok());
    }
}
