//! Finds where a record and its fields end. Knows bytes, not columns or files.
//!
//! ```text
//! 32 bytes at a time:  1 2 , 5 6 , " 7 \r \n …   compared without branches, eight in a word
//!                          ▲     ▲ ▲   ▲  ▲      only these are looked at one by one
//! ```

use super::CsvOptions;
use crate::input::line_ends;

/// Fields whose places are kept; what lies beyond is counted only.
pub(super) const FIELDS_MAX: usize = 1 << 16;

/// Where a field stands in its record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) form: Form,
}

/// How a field is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    Plain,
    /// In quotes, its text as it stands between them.
    Quoted,
    /// In quotes, with doubled or escaped ones inside.
    Escaped,
}

/// What stands at the front of some text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scanned {
    /// A record.
    Record {
        /// Without its line end.
        length: usize,
        /// With it.
        whole: usize,
        /// Line ends, its own included.
        lines: u64,
        /// Fields, also those whose place is not kept.
        fields: usize,
        /// Whether one of them is [`Form::Escaped`].
        escaped: bool,
    },
    /// Its end is not in sight.
    More,
    /// After a closing quote stands, at this byte, neither delimiter nor line end.
    AfterQuote { at: usize },
    /// The text ends inside the quote that was opened at this byte.
    Open { at: usize },
}

/// A dialect, prepared.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    delimiter: u8,
    quote: Option<u8>,
    escape: Option<u8>,
    quote_or_delimiter: u8,
}

/// Bytes looked at together.
const BLOCK: usize = 64;

impl Scanner {
    pub(super) fn new(options: &CsvOptions) -> Self {
        Self {
            delimiter: options.delimiter,
            quote: options.quote,
            escape: options.escape.filter(|escape| Some(*escape) != options.quote),
            quote_or_delimiter: options.quote.unwrap_or(options.delimiter),
        }
    }

    /// Looks at the record at the front of `text`; `ended` says that nothing follows `text`.
    pub(super) fn scan(&self, text: &[u8], ended: bool, spans: &mut Vec<Span>) -> Scanned {
        spans.clear();
        let mut found = Found { spans, fields: 0, start: 0, lines: 0, escaped: false };
        let mut base = 0;
        let mut marks = self.marks(text, base);
        loop {
            while marks == 0 {
                base += BLOCK;
                if base >= text.len() {
                    return found.at_end(text, ended);
                }
                marks = self.marks(text, base);
            }
            let at = base + marks.trailing_zeros() as usize;
            marks &= marks - 1;
            let byte = text[at];
            if byte == self.delimiter {
                found.field(at, Form::Plain);
            } else if byte == b'\n' || byte == b'\r' {
                found.push(at, Form::Plain);
                return found.line_end(text, at, ended);
            } else if Some(byte) == self.quote && at == found.start {
                let (end, form) = match self.close(text, at + 1, ended) {
                    Ok(close) => close,
                    Err(scanned) => return scanned.unwrap_or(Scanned::Open { at }),
                };
                if memchr::memchr2(b'\n', b'\r', &text[at + 1..end]).is_some() {
                    found.lines += line_ends(&text[at + 1..end]);
                }
                found.escaped |= form == Form::Escaped;
                found.start = at + 1;
                match text.get(end + 1) {
                    None if ended => {
                        found.push(end, form);
                        return found.record(text.len(), text.len());
                    }
                    None => return Scanned::More,
                    Some(b'\n' | b'\r') => {
                        found.push(end, form);
                        return found.line_end(text, end + 1, ended);
                    }
                    Some(byte) if *byte == self.delimiter => {
                        found.push(end, form);
                        found.start = end + 2;
                        base = found.start;
                        if base >= text.len() {
                            return found.at_end(text, ended);
                        }
                        marks = self.marks(text, base);
                    }
                    Some(_) => return Scanned::AfterQuote { at: end + 1 },
                }
            }
        }
    }

    /// A bit for every byte of the block at `base` that may be a delimiter, quote or line end.
    #[inline]
    fn marks(&self, text: &[u8], base: usize) -> u64 {
        match text[base.min(text.len())..].first_chunk() {
            Some(block) => self.marks_of(block),
            None => self.marks_of(&last_block(&text[base.min(text.len())..])),
        }
    }

    #[inline]
    fn marks_of(&self, block: &[u8; BLOCK]) -> u64 {
        // Written byte by byte, so that the compiler takes 16 or more at once.
        let mut hits = [0u8; BLOCK];
        for (hit, byte) in hits.iter_mut().zip(block) {
            *hit = u8::from(*byte == self.delimiter)
                | u8::from(*byte == self.quote_or_delimiter)
                // CR and LF, and rare others.
                | u8::from(*byte < 0x10);
        }
        let mut marks = 0;
        for (index, bytes) in hits.chunks_exact(8).enumerate() {
            let word = u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
            // Gathers the eight bits in one byte.
            marks |= (word.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
        }
        marks
    }

    /// Where a quoted field that begins at `from` ends; `Err(None)` where it never does.
    fn close(
        &self,
        text: &[u8],
        from: usize,
        ended: bool,
    ) -> Result<(usize, Form), Option<Scanned>> {
        let quote = self.quote.unwrap_or(b'"');
        let mut at = from;
        let mut form = Form::Quoted;
        loop {
            let rest = &text[at.min(text.len())..];
            let next = match self.escape {
                None => memchr::memchr(quote, rest),
                Some(escape) => memchr::memchr2(quote, escape, rest),
            };
            let Some(next) = next else {
                return Err((!ended).then_some(Scanned::More));
            };
            at += next;
            let follows = text.get(at + 1);
            if follows.is_none() && !ended {
                return Err(Some(Scanned::More));
            }
            if text[at] == quote && follows != Some(&quote) {
                return Ok((at, form));
            }
            form = Form::Escaped;
            at += 2;
        }
    }

    /// Appends the text of a field that was written with doubled or escaped quotes.
    pub(super) fn unescape(&self, field: &str, out: &mut String) {
        let quote = self.quote.unwrap_or(b'"');
        let bytes = field.as_bytes();
        let mut from = 0;
        let mut at = 0;
        while at + 1 < bytes.len() {
            let (byte, next) = (bytes[at], bytes[at + 1]);
            let doubled = byte == quote && next == quote;
            let escaped = Some(byte) == self.escape && (next == quote || next == byte);
            if doubled || escaped {
                out.push_str(&field[from..at]);
                from = at + 1;
                at += 2;
            } else if Some(byte) == self.escape {
                at += 2;
            } else {
                at += 1;
            }
        }
        out.push_str(&field[from..]);
    }

    /// Follows quoting through a stretch of one line, without its end.
    pub(super) fn follow(&self, track: Track, stretch: &[u8]) -> Track {
        stretch.iter().fold(track, |track, byte| self.step(track, *byte))
    }

    fn step(&self, track: Track, byte: u8) -> Track {
        let quote = Some(byte) == self.quote;
        match track {
            Track::FieldStart | Track::Plain if byte == self.delimiter => Track::FieldStart,
            Track::FieldStart if quote => Track::Quoted,
            Track::FieldStart | Track::Plain => Track::Plain,
            Track::Quoted if Some(byte) == self.escape => Track::Escape,
            Track::Quoted if quote => Track::QuoteSeen,
            Track::Quoted | Track::Escape => Track::Quoted,
            Track::QuoteSeen if quote => Track::Quoted,
            Track::QuoteSeen if byte == self.delimiter => Track::FieldStart,
            Track::QuoteSeen | Track::Broken => Track::Broken,
        }
    }
}

/// Where in a record a place is, for records too long to look at in one piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Track {
    FieldStart,
    Plain,
    Quoted,
    Escape,
    QuoteSeen,
    Broken,
}

impl Track {
    /// Whether a line end here is part of a cell.
    pub(super) fn inside(self) -> bool {
        match self {
            Self::Quoted | Self::Escape => true,
            Self::FieldStart | Self::Plain | Self::QuoteSeen | Self::Broken => false,
        }
    }
}

#[cold]
fn last_block(rest: &[u8]) -> [u8; BLOCK] {
    // 0xFF is no delimiter, quote or line end.
    let mut block = [0xFF; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

struct Found<'a> {
    spans: &'a mut Vec<Span>,
    fields: usize,
    /// Where the current field begins.
    start: usize,
    lines: u64,
    escaped: bool,
}

impl Found<'_> {
    #[inline]
    fn push(&mut self, end: usize, form: Form) {
        self.fields += 1;
        if self.fields <= FIELDS_MAX {
            self.spans.push(Span { start: self.start as u32, end: end as u32, form });
        }
    }

    #[inline]
    fn field(&mut self, end: usize, form: Form) {
        self.push(end, form);
        self.start = end + 1;
    }

    fn line_end(&mut self, text: &[u8], at: usize, ended: bool) -> Scanned {
        let whole = match (text[at], text.get(at + 1)) {
            (b'\r', Some(b'\n')) => at + 2,
            // Whether a LF follows decides where the next record begins.
            (b'\r', None) if !ended => return Scanned::More,
            _ => at + 1,
        };
        self.lines += 1;
        self.record(at, whole)
    }

    fn at_end(&mut self, text: &[u8], ended: bool) -> Scanned {
        if !ended {
            return Scanned::More;
        }
        self.push(text.len(), Form::Plain);
        self.record(text.len(), text.len())
    }

    fn record(&self, length: usize, whole: usize) -> Scanned {
        let Self { fields, lines, escaped, .. } = *self;
        Scanned::Record { length, whole, lines, fields, escaped }
    }
}
