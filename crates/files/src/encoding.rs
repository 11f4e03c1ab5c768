//! Encodings: names, byte order marks, and decoding to UTF-8 piece by piece.
//!
//! Decoding never fails: bytes that do not fit become U+FFFD *and* their place is reported, so that
//! exactly the records they stand in are rejected. The way back from a stretch of decoded text to
//! the number of original bytes is exact ([`Encoding::original_len`]).

use encoding_rs::{Decoder, DecoderResult};

/// How a file's bytes mean characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Encoding {
    /// UTF-8, checked strictly. With or without a byte order mark.
    #[default]
    Utf8,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// ISO 8859-1: byte = code point. 0x80–0x9F are control characters.
    Latin1,
    /// Windows-1252 as the WHATWG defines it: the five unassigned bytes are control characters.
    Windows1252,
}

impl Encoding {
    /// Every encoding, in the order of their names in plans.
    pub const ALL: [Self; 5] =
        [Self::Utf8, Self::Utf16Le, Self::Utf16Be, Self::Latin1, Self::Windows1252];

    /// The name in plans.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Utf16Le => "utf-16le",
            Self::Utf16Be => "utf-16be",
            Self::Latin1 => "latin-1",
            Self::Windows1252 => "windows-1252",
        }
    }

    /// The encoding of that name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoding| encoding.name() == name)
    }

    /// The encoding that a byte order mark at the front names, and the mark's length.
    pub fn from_mark(front: &[u8]) -> Option<(Self, usize)> {
        match front {
            [0xEF, 0xBB, 0xBF, ..] => Some((Self::Utf8, 3)),
            [0xFF, 0xFE, ..] => Some((Self::Utf16Le, 2)),
            [0xFE, 0xFF, ..] => Some((Self::Utf16Be, 2)),
            _ => None,
        }
    }

    /// A guess for people, from a sample: never used to load data unless a plan then declares it.
    ///
    /// A byte order mark or valid UTF-8 decide; UTF-16 without a mark shows by its zero bytes; else
    /// chardetng says whether it looks like Western text, where bytes 0x80–0x9F mean Windows-1252.
    /// `None`: some other legacy encoding that Whimbrel does not read.
    pub fn guess(sample: &[u8]) -> Option<Self> {
        if let Some((encoding, _)) = Self::from_mark(sample) {
            return Some(encoding);
        }
        if let Some(encoding) = guess_utf16(sample) {
            return Some(encoding);
        }
        if valid_but_for_the_end(sample) {
            return Some(Self::Utf8);
        }
        let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
        detector.feed(sample, true);
        let found = detector.guess(None, chardetng::Utf8Detection::Allow);
        if found != encoding_rs::WINDOWS_1252 {
            return None;
        }
        let western = sample.iter().any(|byte| (0x80..=0x9F).contains(byte));
        Some(if western { Self::Windows1252 } else { Self::Latin1 })
    }

    /// How many original bytes decoded to `text`, which must be whole characters.
    ///
    /// Exact also for what became U+FFFD, except for a single odd byte at the end of a UTF-16
    /// file, which counts as two.
    pub fn original_len(self, text: &[u8]) -> usize {
        match self {
            Self::Utf8 => text.len(),
            Self::Latin1 | Self::Windows1252 => characters(text),
            // Characters beyond the BMP take two code units; only they begin with 0xF0 and more.
            Self::Utf16Le | Self::Utf16Be => {
                2 * (characters(text) + text.iter().filter(|byte| **byte >= 0xF0).count())
            }
        }
    }

    /// A decoder at the start of a file, after any byte order mark; `None` where bytes are UTF-8
    /// already.
    pub(crate) fn transcoder(self) -> Option<Transcoder> {
        let decode = match self {
            Self::Utf8 => return None,
            Self::Latin1 => Decode::Latin1,
            Self::Utf16Le => {
                Decode::Other(encoding_rs::UTF_16LE.new_decoder_without_bom_handling())
            }
            Self::Utf16Be => {
                Decode::Other(encoding_rs::UTF_16BE.new_decoder_without_bom_handling())
            }
            Self::Windows1252 => {
                Decode::Other(encoding_rs::WINDOWS_1252.new_decoder_without_bom_handling())
            }
        };
        Some(Transcoder { decode })
    }
}

impl std::fmt::Display for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// Valid UTF-8, apart from a last character that the sample may have cut.
fn valid_but_for_the_end(sample: &[u8]) -> bool {
    match std::str::from_utf8(sample) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// Text in a Latin script has a zero in (nearly) every other byte.
fn guess_utf16(sample: &[u8]) -> Option<Encoding> {
    let pairs = sample.len() / 2;
    if pairs < 2 {
        return None;
    }
    let zeros = |at: usize| sample.iter().skip(at).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if odd * 10 >= pairs * 7 && even * 10 < pairs {
        Some(Encoding::Utf16Le)
    } else if even * 10 >= pairs * 7 && odd * 10 < pairs {
        Some(Encoding::Utf16Be)
    } else {
        None
    }
}

/// Decodes a stream to UTF-8.
pub(crate) struct Transcoder {
    decode: Decode,
}

enum Decode {
    Latin1,
    Other(Decoder),
}

impl Transcoder {
    /// Appends the text of `bytes` to `text`; `misfit` hears the place in `text` of every U+FFFD
    /// that stands for bytes which mean nothing. `last` ends the stream.
    pub(crate) fn push(
        &mut self,
        bytes: &[u8],
        last: bool,
        text: &mut Vec<u8>,
        misfit: impl FnMut(usize),
    ) {
        match &mut self.decode {
            Decode::Latin1 => push_latin1(bytes, text),
            Decode::Other(decoder) => push_other(decoder, bytes, last, text, misfit),
        }
    }
}

fn push_latin1(bytes: &[u8], text: &mut Vec<u8>) {
    let start = text.len();
    text.resize(start + 2 * bytes.len(), 0);
    let written = encoding_rs::mem::convert_latin1_to_utf8(bytes, &mut text[start..]);
    text.truncate(start + written);
}

fn push_other(
    decoder: &mut Decoder,
    mut bytes: &[u8],
    last: bool,
    text: &mut Vec<u8>,
    mut misfit: impl FnMut(usize),
) {
    loop {
        let start = text.len();
        let room = decoder
            .max_utf8_buffer_length_without_replacement(bytes.len())
            .expect("a block's text fits in memory");
        text.resize(start + room, 0);
        let (result, read, written) =
            decoder.decode_to_utf8_without_replacement(bytes, &mut text[start..], last);
        text.truncate(start + written);
        bytes = &bytes[read..];
        match result {
            DecoderResult::InputEmpty => return,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => {
                misfit(text.len());
                text.extend_from_slice("\u{FFFD}".as_bytes());
            }
        }
    }
}

/// Re-encodes text, for tests and for writing repaired records back.
pub fn encode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Utf8 => Some(text.as_bytes().to_vec()),
        Encoding::Utf16Le => Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        Encoding::Utf16Be => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        Encoding::Latin1 => text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect(),
        Encoding::Windows1252 => encode_windows_1252(text),
    }
}

fn encode_windows_1252(text: &str) -> Option<Vec<u8>> {
    let (bytes, _, unmappable) = encoding_rs::WINDOWS_1252.encode(text);
    (!unmappable).then(|| bytes.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(encoding: Encoding, bytes: &[u8], piece: usize) -> (String, Vec<usize>) {
        let mut transcoder = encoding.transcoder().expect("not UTF-8");
        let (mut text, mut misfits) = (Vec::new(), Vec::new());
        for part in bytes.chunks(piece.max(1)) {
            transcoder.push(part, false, &mut text, |at| misfits.push(at));
        }
        transcoder.push(&[], true, &mut text, |at| misfits.push(at));
        (String::from_utf8(text).unwrap(), misfits)
    }

    #[test]
    fn latin_1_and_windows_1252_differ_where_they_should() {
        assert_eq!(decode(Encoding::Latin1, &[0x80, 0xE9], 1).0, "\u{80}é");
        assert_eq!(decode(Encoding::Windows1252, &[0x80, 0xE9], 1).0, "€é");
    }

    #[test]
    fn a_lone_surrogate_is_reported_where_it_stands() {
        let bytes = [b'a', 0, 0x3D, 0xD8, b'b', 0];
        assert_eq!(decode(Encoding::Utf16Le, &bytes, 3), ("a\u{FFFD}b".into(), vec![1]));
    }

    #[test]
    fn guesses_are_what_a_person_would_say() {
        let check = |bytes: &[u8], expect| assert_eq!(Encoding::guess(bytes), expect);
        check(b"plain", Some(Encoding::Utf8));
        check("née".as_bytes(), Some(Encoding::Utf8));
        check(&"née".as_bytes()[..2], Some(Encoding::Utf8));
        check(b"\xFF\xFEa\0", Some(Encoding::Utf16Le));
        check(&encode("name;size\r\n", Encoding::Utf16Be).unwrap(), Some(Encoding::Utf16Be));
        check(b"n\xE9e, \xE0 Paris, la gar\xE7onne", Some(Encoding::Latin1));
        check(b"n\xE9e \x80 5, \xE0 Paris, la gar\xE7onne", Some(Encoding::Windows1252));
    }

    proptest! {
        #[test]
        fn the_way_back_to_original_bytes_is_exact(text in "\\PC{0,40}", piece in 1usize..9) {
            for encoding in Encoding::ALL {
                let Some(bytes) = encode(&text, encoding) else { continue };
                prop_assert_eq!(encoding.original_len(text.as_bytes()), bytes.len());
                if encoding != Encoding::Utf8 {
                    prop_assert_eq!(decode(encoding, &bytes, piece), (text.clone(), vec![]));
                }
            }
        }

        #[test]
        fn the_length_of_misfits_counts_too(units in prop::collection::vec(any::<u16>(), 0..30), piece in 1usize..7) {
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let (text, _) = decode(Encoding::Utf16Le, &bytes, piece);
            prop_assert_eq!(Encoding::Utf16Le.original_len(text.as_bytes()), bytes.len());
        }
    }
}
