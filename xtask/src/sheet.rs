//! Tables of a fixture that people write: a line of names, then cells between tabs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// The rows of a table with `N` columns.
pub fn rows<const N: usize>(path: &Path) -> Result<Vec<[String; N]>> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let cells = |line: &str| -> Result<[String; N]> {
        let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let Ok(cells) = cells.try_into() else {
            bail!("{}: {N} columns expected: {line}", path.display());
        };
        Ok(cells)
    };
    text.lines().skip(1).map(cells).collect()
}

/// The bytes of a cell: `\t`, `\n`, `\r`, `\\` and `\xHH` stand for one byte each.
pub fn unescaped(cell: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = cell;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        bytes.extend_from_slice(plain.as_bytes());
        let (byte, after) = escape(escaped).with_context(|| format!("no such escape: {cell}"))?;
        bytes.push(byte);
        rest = after;
    }
    bytes.extend_from_slice(rest.as_bytes());
    Ok(bytes)
}

/// The byte that an escape means, and what follows it.
fn escape(text: &str) -> Option<(u8, &str)> {
    let (letter, rest) = text.split_at_checked(1)?;
    match letter {
        "t" => Some((b'\t', rest)),
        "n" => Some((b'\n', rest)),
        "r" => Some((b'\r', rest)),
        "\\" => Some((b'\\', rest)),
        "x" => {
            let (digits, rest) = rest.split_at_checked(2)?;
            Some((u8::from_str_radix(digits, 16).ok()?, rest))
        }
        _ => None,
    }
}

/// Puts `to` in the place of `from`, which must stand there exactly once.
pub fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Result<Vec<u8>> {
    let found: Vec<usize> = bytes
        .windows(from.len().max(1))
        .enumerate()
        .filter_map(|(at, window)| (window == from).then_some(at))
        .collect();
    let [at] = found[..] else {
        bail!("`{}` stands there {} times", from.escape_ascii(), found.len());
    };
    Ok([&bytes[..at], to, &bytes[at + from.len()..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_stand_for_one_byte_each() {
        assert_eq!(unescaped(r"a\tb\\n\xfc\r\n").unwrap(), b"a\tb\\n\xfc\r\n");
        for wrong in [r"\", r"\q", r"\x", r"\xg0", "\\é"] {
            assert!(unescaped(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_stands_there_once_is_replaced() {
        assert_eq!(replace(b"one two", b"two", b"three").unwrap(), b"one three");
        for wrong in [&b"three"[..], b"o", b""] {
            assert!(replace(b"one two", wrong, b"").is_err());
        }
    }
}
