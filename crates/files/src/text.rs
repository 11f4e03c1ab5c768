//! A whole file as one record: plain text, and what Markdown is made from.

use whimbrel_model::{Defect, Position};

use crate::codes;
use crate::csv::{KEPT_OF_TOO_LONG, bad_encoding};
use crate::input::{Input, ReadError, line_ends};

/// A file that was read to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WholeFile {
    /// Record 1; after a byte order mark.
    pub position: Position,
    /// Its original bytes without a byte order mark; of a file that is too long, the first 64 KiB.
    pub raw: Vec<u8>,
    /// Its text, nothing stripped; empty where it is defective.
    pub text: String,
    /// Set where it must be rejected.
    pub defect: Option<Defect>,
    /// Lines, the last one also without line end.
    pub lines: u64,
    /// Original bytes, a byte order mark included.
    pub bytes: u64,
    /// BLAKE3 of them.
    pub digest: [u8; 32],
}

/// Reads everything that is left; more than `bytes_max` bytes are a defect, and are not held.
pub fn read_whole(mut input: Input, bytes_max: usize) -> Result<WholeFile, ReadError> {
    let position = Position { record: 1, line: 1, byte: input.byte() };
    let encoding = input.encoding();
    let (mut raw, mut text, mut misfit) = (Vec::new(), Vec::new(), None);
    let (mut keeping, keep) = (true, bytes_max.max(KEPT_OF_TOO_LONG));
    let (mut line_feeds, mut carry) = (0, None);
    while !input.unread().is_empty() || input.fill(1)? {
        let length = input.unread().len();
        if keeping {
            misfit = misfit.or(input.misfit(length).map(|at| text.len() + at));
            raw.extend_from_slice(input.original(length));
            text.extend_from_slice(input.unread());
        }
        if raw.len() > keep {
            keeping = false;
            raw.truncate(KEPT_OF_TOO_LONG);
            raw.shrink_to_fit();
            text = Vec::new();
        }
        line_feeds += line_ends(input.unread());
        // A CR LF cut in two would count twice.
        if carry == Some(b'\r') && input.unread().first() == Some(&b'\n') {
            line_feeds -= 1;
        }
        carry = input.unread().last().copied();
        input.consume(length, 0);
    }
    let bytes = input.byte();
    let long = bytes - position.byte > bytes_max as u64;
    let whole = |text, defect| WholeFile {
        position,
        raw,
        text,
        defect,
        lines: line_feeds + u64::from(!matches!(carry, None | Some(b'\n' | b'\r'))),
        bytes,
        digest: input.digest(),
    };
    if long {
        let message = format!("the file has {bytes} bytes, more than {bytes_max}");
        let defect = Defect { code: codes::RECORD_TOO_LONG, column: 0, message };
        return Ok(whole(String::new(), Some(defect)));
    }
    Ok(match (String::from_utf8(text), misfit) {
        (Ok(text), None) => whole(text, None),
        (Ok(text), Some(at)) => {
            let defect = misfit_on_line(text.as_bytes(), at, encoding);
            whole(String::new(), Some(defect))
        }
        (Err(error), _) => {
            let at = error.utf8_error().valid_up_to();
            let defect = misfit_on_line(error.as_bytes(), at, encoding);
            whole(String::new(), Some(defect))
        }
    })
}

fn misfit_on_line(text: &[u8], at: usize, encoding: crate::Encoding) -> Defect {
    let line = line_ends(&text[..at]) + 1;
    let defect = bad_encoding(text, at, encoding);
    Defect { message: format!("{}, on line {line}", defect.message), ..defect }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoding;
    use crate::encoding::encode;
    use std::io::Cursor;

    fn read(bytes: &[u8], encoding: Option<Encoding>, max: usize) -> WholeFile {
        read_whole(Input::new(Box::new(Cursor::new(bytes.to_vec())), encoding).unwrap(), max)
            .unwrap()
    }

    #[test]
    fn text_is_kept_as_it_stands() {
        let file = read(b" a\r\n\r\n b \n", None, 100);
        assert_eq!((&*file.text, file.lines, file.bytes), (" a\r\n\r\n b \n", 3, 10));
        assert_eq!(file.digest, *blake3::hash(b" a\r\n\r\n b \n").as_bytes());
        assert_eq!(read(b"", None, 100).text, "");
    }

    #[test]
    fn a_byte_order_mark_is_no_text_but_counts() {
        let file = read("\u{FEFF}né".as_bytes(), None, 100);
        assert_eq!((&*file.text, file.position.byte, file.bytes), ("né", 3, 6));
        let utf16 = encode("\u{FEFF}né", Encoding::Utf16Be).unwrap();
        assert_eq!(read(&utf16, None, 100).text, "né");
    }

    #[test]
    fn other_encodings_must_be_declared() {
        let file = read(b"one\ncaf\xE9", None, 100);
        let defect = file.defect.unwrap();
        assert_eq!((defect.code, defect.column), (codes::BAD_ENCODING, 4));
        assert_eq!(defect.message, "the bytes here are not valid utf-8, on line 2");
        assert_eq!((file.raw, &*file.text), (b"one\ncaf\xE9".to_vec(), ""));
        assert_eq!(read(b"caf\xE9", Some(Encoding::Latin1), 100).text, "café");
    }

    #[test]
    fn a_file_that_is_too_long_is_a_defect_of_bounded_size() {
        let file = read(&vec![b'x'; 1 << 20], None, 1000);
        let defect = file.defect.unwrap();
        assert_eq!(defect.code, codes::RECORD_TOO_LONG);
        assert_eq!((file.raw.len(), file.bytes), (KEPT_OF_TOO_LONG, 1 << 20));
    }
}
