//! A window over a stream: decoded text to parse, with the place and the original bytes of each part.
//!
//! ```text
//! original bytes  …──────[begin────────────end)   hashed up to begin, kept while decoding
//! UTF-8 text      …──────[begin────────────end)   the window that parsers see
//! ```
//! For UTF-8 both are one buffer and nothing is copied. The buffer grows only as far as a parser
//! asks, and shrinks again.

use std::collections::VecDeque;
use std::io::{self, Read};

use crate::compression::Damage;
use crate::encoding::{Encoding, Transcoder};

/// Bytes read at once, once a file has shown that it is not small.
const BLOCK: usize = 256 << 10;

/// Bytes read first.
const BLOCK_FIRST: usize = 16 << 10;

/// A file cannot be read (further). Bad records are no errors: they are defects.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system refuses.
    #[error("read the file at byte {byte}")]
    Io {
        /// Unpacked bytes that could be read.
        byte: u64,
        /// Why.
        #[source]
        why: io::Error,
    },
    /// An archive is damaged, cut or too large.
    #[error("unpack the file at byte {byte} of its text")]
    Archive {
        /// Unpacked bytes that could be read.
        byte: u64,
        /// Why.
        #[source]
        why: Damage,
    },
    /// The header names one column twice.
    #[error("name the columns: `{name}` stands at column {first} and at column {second}")]
    DuplicateColumn {
        /// The name, bounded.
        name: String,
        /// Ordinal of the first, from 1.
        first: usize,
        /// Ordinal of the second, from 1.
        second: usize,
    },
    /// The header cannot be used.
    #[error("read the header at line {line}: {reason}")]
    Header {
        /// Its line.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Options contradict each other.
    #[error("use the options of the format: {0}")]
    Options(&'static str),
}

impl ReadError {
    /// The code that `explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => crate::codes::UNREADABLE,
            Self::Archive { why: Damage::TooLarge(_), .. } => crate::codes::TOO_LARGE_UNPACKED,
            Self::Archive { .. } => crate::codes::ARCHIVE_DAMAGED,
            Self::DuplicateColumn { .. } => crate::codes::DUPLICATE_COLUMN,
            Self::Header { .. } => crate::codes::BAD_HEADER,
            Self::Options(_) => crate::codes::BAD_OPTIONS,
        }
    }

    /// From an error of a stream that gave `byte` bytes.
    pub(crate) fn at(byte: u64, error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Damage>()) {
            Some(damage) => Self::Archive { byte, why: *damage },
            None => Self::Io { byte, why: error },
        }
    }
}

/// See the module.
pub struct Input {
    from: Box<dyn Read + Send>,
    encoding: Encoding,
    had_mark: bool,
    transcoder: Option<Transcoder>,
    /// Text; only `begin..end` means something.
    text: Vec<u8>,
    begin: usize,
    end: usize,
    /// Original bytes of the window where they are not the text itself.
    raw: Vec<u8>,
    raw_begin: usize,
    /// Places in the text stream of U+FFFD that stand for misfits.
    misfits: VecDeque<u64>,
    /// Those in what was consumed last.
    passed: Vec<u64>,
    text_at: u64,
    byte: u64,
    line: u64,
    received: u64,
    ended: bool,
    /// What stood before the buffer.
    before: Option<u8>,
    hasher: blake3::Hasher,
    /// Up to where the hasher has seen the original buffer (`raw` if transcoding, else `text`).
    hashed: usize,
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input")
            .field("encoding", &self.encoding)
            .field("byte", &self.byte)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl Input {
    /// Starts a stream. A byte order mark wins over the declared encoding (UTF-8 by default) and
    /// is no part of the text, though it counts in offsets.
    pub fn new(from: Box<dyn Read + Send>, declared: Option<Encoding>) -> Result<Self, ReadError> {
        let mut input = Self::undecoded(from);
        input.fill(4)?;
        let mark = Encoding::from_mark(input.unread());
        input.had_mark = mark.is_some();
        let (encoding, length) = mark.unwrap_or((declared.unwrap_or_default(), 0));
        input.decode_as(encoding, length);
        Ok(input)
    }

    /// A record by itself, whole in memory, as if it began on `line` of a file of that encoding.
    /// A byte order mark in front wins and is no text, unless the record has one of its `own`.
    pub(crate) fn alone(bytes: &[u8], encoding: Encoding, line: u64, own: bool) -> Self {
        let mut input = Self::undecoded(Box::new(io::empty()));
        (input.text, input.end) = (bytes.to_vec(), bytes.len());
        (input.ended, input.line) = (true, line);
        let mark = Encoding::from_mark(bytes).filter(|_| !own);
        input.had_mark = mark.is_some();
        let (encoding, length) = mark.unwrap_or((encoding, 0));
        input.decode_as(encoding, length);
        input
    }

    /// Starts a stream of bytes that are looked at as they stand, a byte order mark too.
    pub(crate) fn undecoded(from: Box<dyn Read + Send>) -> Self {
        Self {
            from,
            encoding: Encoding::Utf8,
            had_mark: false,
            transcoder: None,
            text: Vec::new(),
            begin: 0,
            end: 0,
            raw: Vec::new(),
            raw_begin: 0,
            misfits: VecDeque::new(),
            passed: Vec::new(),
            text_at: 0,
            byte: 0,
            line: 1,
            received: 0,
            ended: false,
            before: None,
            hasher: blake3::Hasher::new(),
            hashed: 0,
        }
    }

    /// Takes what was read so far as original bytes of that encoding.
    fn decode_as(&mut self, encoding: Encoding, mark: usize) {
        self.encoding = encoding;
        self.begin = mark;
        self.byte = mark as u64;
        self.transcoder = encoding.transcoder();
        if self.transcoder.is_some() {
            let front = self.text[..self.end].to_vec();
            (self.begin, self.end, self.raw_begin) = (0, 0, mark);
            self.raw.extend_from_slice(&front[..mark]);
            self.decode(&front[mark..]);
            if self.ended {
                self.decode_end();
            }
        }
    }

    /// How the bytes mean characters.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether the file began with a byte order mark.
    pub fn had_mark(&self) -> bool {
        self.had_mark
    }

    /// The text that is in memory and not yet consumed. For UTF-8 it is not yet checked.
    pub fn unread(&self) -> &[u8] {
        &self.text[self.begin..self.end]
    }

    /// Whether there is nothing beyond [`Input::unread`].
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Offset of the next original byte.
    pub fn byte(&self) -> u64 {
        self.byte
    }

    /// Line of the next character, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Place of the next character in the text stream: for comparing places, not for people.
    pub(crate) fn text_at(&self) -> u64 {
        self.text_at
    }

    /// Reads until at least `least` bytes of text are unread; false where the stream ends before.
    pub fn fill(&mut self, least: usize) -> Result<bool, ReadError> {
        while self.end - self.begin < least && !self.ended {
            self.make_room();
            self.read_block()?;
        }
        Ok(self.end - self.begin >= least)
    }

    /// Reads on for a parser that could not finish with what there is: at least doubles it.
    /// False where the stream has ended.
    pub fn fill_more(&mut self) -> Result<bool, ReadError> {
        let had = self.end - self.begin;
        if self.ended {
            return Ok(false);
        }
        self.fill((2 * had).max(had + 1))?;
        Ok(self.end - self.begin > had)
    }

    /// Original bytes of the next `length` bytes of text.
    pub fn original(&self, length: usize) -> &[u8] {
        if self.transcoder.is_none() {
            return &self.unread()[..length];
        }
        let original = self.original_len(length);
        &self.raw[self.raw_begin..self.raw_begin + original]
    }

    /// Where in the next `length` bytes of text the first misfit stands, as far as the decoder
    /// knows: UTF-8 is for the parser to check.
    pub fn misfit(&self, length: usize) -> Option<usize> {
        let at = self.misfits.front()?.checked_sub(self.text_at)? as usize;
        (at < length).then_some(at)
    }

    /// Whether the stream ends with half a code unit of UTF-16: the misfit at the end of the text
    /// may become any character when the file grows, a quote or a line end too.
    pub(crate) fn ends_in_half_a_unit(&self) -> bool {
        let wide = matches!(self.encoding, Encoding::Utf16Le | Encoding::Utf16Be);
        wide && self.ended && (self.raw.len() - self.raw_begin) % 2 == 1
    }

    /// Goes on by `length` bytes of text in which `lines` lines end.
    ///
    /// The text stays in memory until the next fill: `Input::consumed`.
    pub fn consume(&mut self, length: usize, lines: u64) {
        let original = self.original_len(length);
        if self.transcoder.is_some() {
            self.raw_begin += original;
        }
        self.begin += length;
        self.text_at += length as u64;
        self.byte += original as u64;
        self.line += lines;
        self.passed.clear();
        while self.misfits.front().is_some_and(|at| *at < self.text_at) {
            self.passed.extend(self.misfits.pop_front());
        }
    }

    /// The last `length` bytes of text that were consumed since the last fill.
    pub(crate) fn consumed(&self, length: usize) -> &[u8] {
        &self.text[self.begin - length..self.begin]
    }

    /// Their original bytes, of which there are `original`.
    pub(crate) fn consumed_original(&self, length: usize, original: usize) -> &[u8] {
        if self.transcoder.is_none() {
            return self.consumed(length);
        }
        &self.raw[self.raw_begin - original..self.raw_begin]
    }

    /// Where in the first `length` of the last `whole` consumed bytes a misfit stood.
    pub(crate) fn consumed_misfit(&self, whole: usize, length: usize) -> Option<usize> {
        let start = self.text_at - whole as u64;
        let places = self.passed.iter().filter_map(|at| at.checked_sub(start));
        places.map(|at| at as usize).find(|at| *at < length)
    }

    /// Consumes everything before the offset `byte`, where `line` begins. False where the stream
    /// ends before, or no character begins there.
    pub fn skip_to(&mut self, byte: u64, line: u64) -> Result<bool, ReadError> {
        while self.byte < byte {
            if self.unread().is_empty() && !self.fill(1)? {
                return Ok(false);
            }
            let length = self.text_within((byte - self.byte) as usize);
            if length == 0 {
                return Ok(false);
            }
            self.consume(length, 0);
        }
        self.line = line;
        Ok(self.byte == byte)
    }

    /// Takes the LF of a CR LF whose CR was the last byte of the file when it was read.
    pub(crate) fn end_return(&mut self) -> Result<(), ReadError> {
        if self.last() == Some(b'\r') && self.fill(1)? && self.unread()[0] == b'\n' {
            self.consume(1, 0);
        }
        Ok(())
    }

    /// How much of the unread text stands for at most `original` bytes.
    fn text_within(&self, original: usize) -> usize {
        let unread = self.end - self.begin;
        if self.transcoder.is_none() {
            return unread.min(original);
        }
        if self.original_len(unread) <= original {
            return unread;
        }
        let mut used = 0;
        for (at, byte) in self.unread().iter().enumerate() {
            used += self.encoding.original_len(std::slice::from_ref(byte));
            if used > original {
                return at;
            }
        }
        unread
    }

    /// BLAKE3 of all original bytes before [`Input::byte`].
    pub fn digest(&mut self) -> [u8; 32] {
        self.hash_consumed();
        *self.hasher.finalize().as_bytes()
    }

    /// The longest length of whole characters up to `length`; for UTF-8 any length is as good.
    pub(crate) fn floor(&self, length: usize) -> usize {
        if self.transcoder.is_none() || length >= self.end - self.begin {
            return length;
        }
        let starts = |at: &usize| self.unread()[*at] & 0xC0 != 0x80;
        (0..=length).rev().find(starts).unwrap_or(0)
    }

    /// How many original bytes the next `length` bytes of text were.
    pub(crate) fn original_len(&self, length: usize) -> usize {
        if self.transcoder.is_none() {
            return length;
        }
        let left = self.raw.len() - self.raw_begin;
        if self.ended && length == self.end - self.begin {
            // The last misfit of UTF-16 may stand for one byte, or for three.
            return left;
        }
        self.encoding.original_len(&self.unread()[..length]).min(left)
    }

    fn hash_consumed(&mut self) {
        if self.transcoder.is_none() {
            self.hasher.update(&self.text[self.hashed..self.begin]);
            self.hashed = self.begin;
        } else {
            self.hasher.update(&self.raw[self.hashed..self.raw_begin]);
            self.hashed = self.raw_begin;
        }
    }

    /// The last byte of text that was consumed.
    pub(crate) fn last(&self) -> Option<u8> {
        if self.begin > 0 { self.text.get(self.begin - 1).copied() } else { self.before }
    }

    /// Drops what was consumed, and memory that one long record needed.
    fn make_room(&mut self) {
        self.hash_consumed();
        self.before = self.last();
        self.text.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.transcoder.is_some() {
            self.raw.drain(..self.raw_begin);
            self.raw_begin = 0;
            self.text.truncate(self.end);
        }
        self.hashed = 0;
        if self.text.len() > 8 * BLOCK && self.end < BLOCK {
            self.text.truncate(2 * BLOCK);
            self.text.shrink_to(2 * BLOCK);
            self.raw.shrink_to(2 * BLOCK);
        }
    }

    fn read_block(&mut self) -> Result<(), ReadError> {
        let room = usize::try_from(self.received).unwrap_or(BLOCK).clamp(BLOCK_FIRST, BLOCK);
        if self.transcoder.is_some() {
            let mut block = vec![0; room];
            let read = self.read_into(|from| from.read(&mut block))?;
            self.decode(&block[..read]);
            if read == 0 {
                self.decode_end();
            }
            return Ok(());
        }
        if self.text.len() < self.end + room {
            // Doubling keeps the cost of a long record linear.
            let length = (self.end + room).max(2 * self.end);
            self.text.resize(length, 0);
        }
        let mut text = std::mem::take(&mut self.text);
        let end = self.end;
        let read = self.read_into(|from| from.read(&mut text[end..]));
        self.text = text;
        self.end += read?;
        Ok(())
    }

    fn read_into(
        &mut self,
        mut read: impl FnMut(&mut dyn Read) -> io::Result<usize>,
    ) -> Result<usize, ReadError> {
        loop {
            match read(&mut *self.from) {
                Ok(length) => {
                    self.received += length as u64;
                    self.ended |= length == 0;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ReadError::at(self.received, error)),
            }
        }
    }

    fn decode(&mut self, bytes: &[u8]) {
        self.raw.extend_from_slice(bytes);
        self.transcode(bytes, false);
    }

    fn decode_end(&mut self) {
        self.transcode(&[], true);
    }

    fn transcode(&mut self, bytes: &[u8], last: bool) {
        let Some(transcoder) = &mut self.transcoder else { return };
        self.text.truncate(self.end);
        let (begin, text_at, misfits) = (self.begin, self.text_at, &mut self.misfits);
        transcoder.push(bytes, last, &mut self.text, |at| {
            misfits.push_back(text_at + (at - begin) as u64);
        });
        self.end = self.text.len();
    }
}

/// Line ends in a stretch of text: LF, CR and CR LF count as one each. A CR at the very end counts,
/// so stretches must not be cut inside a CR LF.
pub(crate) fn line_ends(text: &[u8]) -> u64 {
    let line_feeds = memchr::memchr_iter(b'\n', text).count();
    let returns =
        memchr::memchr_iter(b'\r', text).filter(|at| text.get(at + 1) != Some(&b'\n')).count();
    (line_feeds + returns) as u64
}

/// Column in characters, from 1, of the byte `at` in a text, counted from the last line feed.
pub(crate) fn column(text: &[u8], at: usize) -> u64 {
    let before = &text[..at.min(text.len())];
    let line = memchr::memrchr2(b'\n', b'\r', before).map_or(0, |end| end + 1);
    before[line..].iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64 + 1
}

#[cfg(test)]
pub(crate) mod drip {
    use std::io::{self, Read};

    /// Gives a few bytes at a time, as pipes do.
    pub(crate) struct Drip {
        pub(crate) bytes: Vec<u8>,
        pub(crate) at: usize,
        pub(crate) piece: usize,
    }

    impl Read for Drip {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let length = self.piece.min(buffer.len()).min(self.bytes.len() - self.at);
            buffer[..length].copy_from_slice(&self.bytes[self.at..self.at + length]);
            self.at += length;
            Ok(length)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::drip::Drip;
    use super::*;
    use crate::encoding::encode;
    use proptest::prelude::*;

    fn drip(bytes: &[u8], piece: usize, encoding: Encoding) -> Input {
        let from = Box::new(Drip { bytes: bytes.to_vec(), at: 0, piece });
        Input::new(from, Some(encoding)).unwrap()
    }

    #[test]
    fn a_byte_order_mark_wins_and_counts_in_offsets() {
        let mut bytes = vec![0xFF, 0xFE];
        bytes.extend(encode("né", Encoding::Utf16Le).unwrap());
        let mut input = drip(&bytes, 1, Encoding::Utf8);
        input.fill(9).unwrap();
        assert_eq!((input.encoding(), input.byte()), (Encoding::Utf16Le, 2));
        assert_eq!(input.unread(), "né".as_bytes());
        assert_eq!(input.original(1), b"n\0");
        input.consume(3, 0);
        assert_eq!(input.byte(), 6);
    }

    #[test]
    fn half_a_character_at_the_end_of_utf_16_is_one_misfit_of_all_its_bytes() {
        let bytes = encode("a\u{1F426}", Encoding::Utf16Le).unwrap();
        for length in 3..bytes.len() {
            let mut input = drip(&bytes[..length], 2, Encoding::Utf16Le);
            input.fill(9).unwrap();
            assert_eq!(input.unread(), "a\u{FFFD}".as_bytes());
            assert_eq!(input.original(4), &bytes[..length]);
            input.consume(1, 0);
            input.consume(3, 0);
            assert_eq!(input.byte(), length as u64);
            assert_eq!(input.digest(), *blake3::hash(&bytes[..length]).as_bytes());
        }
    }

    #[test]
    fn an_odd_byte_at_the_end_of_utf_16_is_a_misfit_of_one_byte() {
        let mut input = drip(b"a\0b", 2, Encoding::Utf16Le);
        input.fill(9).unwrap();
        assert_eq!(input.unread(), "a\u{FFFD}".as_bytes());
        assert_eq!(input.misfit(4), Some(1));
        assert_eq!(input.original(4), b"a\0b");
    }

    proptest! {
        #[test]
        fn offsets_originals_and_digests_hold_at_every_character(
            text in "[a-c\u{e9}\u{20ac}\u{1F426}\n]{0,60}",
            piece in 1usize..8,
            which in 0usize..5,
        ) {
            let encoding = Encoding::ALL[which];
            let Some(bytes) = encode(&text, encoding) else { return Ok(()) };
            let mut input = drip(&bytes, piece, encoding);
            let mut at = 0;
            while input.fill(4).unwrap() || !input.unread().is_empty() {
                let length = std::str::from_utf8(input.unread()).map_or_else(|e| e.valid_up_to(), str::len);
                let first = std::str::from_utf8(&input.unread()[..length]).unwrap().chars().next().unwrap();
                let original = encode(&first.to_string(), encoding).unwrap();
                prop_assert_eq!(input.original(first.len_utf8()), &original[..]);
                prop_assert_eq!(input.byte(), at as u64);
                prop_assert_eq!(input.digest(), *blake3::hash(&bytes[..at]).as_bytes());
                at += original.len();
                input.consume(first.len_utf8(), 0);
            }
            prop_assert_eq!(at, bytes.len());
            prop_assert_eq!(input.digest(), *blake3::hash(&bytes).as_bytes());
        }
    }
}
