//! Physical lines, one at a time, whatever stands in them and however long they are.

use crate::input::{Input, ReadError};

/// What ends a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ends {
    /// LF, CR LF or CR.
    Any,
    /// LF; a CR before it belongs to the end.
    LineFeed,
}

/// A line that was taken off the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TakenLine {
    /// Original bytes, without line end.
    pub(crate) original: u64,
    /// Whether a line end followed.
    pub(crate) terminated: bool,
}

/// Takes one line; `None` at the end of the input.
///
/// Its original bytes are then in `kept`, without line end: all, or where they are more than
/// `limits.0` the first `limits.1`. `follow` hears its text, stretch by stretch.
pub(crate) fn take_line(
    input: &mut Input,
    ends: Ends,
    kept: &mut Vec<u8>,
    limits: (usize, usize),
    follow: &mut dyn FnMut(&[u8]),
) -> Result<Option<TakenLine>, ReadError> {
    kept.clear();
    let mut original = 0;
    let mut keeping = true;
    let mut any = false;
    loop {
        if input.unread().is_empty() && !input.fill(1)? {
            return Ok(any.then_some(TakenLine { original, terminated: false }));
        }
        any = true;
        let (length, end) = match stretch(input.unread(), ends, input.ended()) {
            Stretch::More => {
                input.fill_more()?;
                continue;
            }
            Stretch::Part(length) => (length, None),
            Stretch::Line { length, end } => (length, Some(end)),
        };
        let bytes = input.original(length);
        original += bytes.len() as u64;
        if keeping {
            kept.extend_from_slice(bytes);
            if kept.len() > limits.0 {
                kept.truncate(limits.1);
                keeping = false;
            }
        }
        follow(&input.unread()[..length]);
        input.consume(length + end.unwrap_or(0), u64::from(end.is_some()));
        if end.is_some() {
            return Ok(Some(TakenLine { original, terminated: true }));
        }
    }
}

enum Stretch {
    /// A whole line and the length of its end.
    Line { length: usize, end: usize },
    /// Part of a line.
    Part(usize),
    /// What follows must be seen first.
    More,
}

fn stretch(text: &[u8], ends: Ends, ended: bool) -> Stretch {
    let found = match ends {
        Ends::Any => memchr::memchr2(b'\n', b'\r', text),
        Ends::LineFeed => memchr::memchr(b'\n', text),
    };
    match (found, ends) {
        (Some(at), Ends::LineFeed) => {
            let length = if at > 0 && text[at - 1] == b'\r' { at - 1 } else { at };
            Stretch::Line { length, end: at + 1 - length }
        }
        (Some(at), Ends::Any) => match (text[at], text.get(at + 1)) {
            (b'\r', None) if !ended => Stretch::More,
            (b'\r', Some(b'\n')) => Stretch::Line { length: at, end: 2 },
            _ => Stretch::Line { length: at, end: 1 },
        },
        (None, _) => part(text, ends, ended),
    }
}

/// A part ends with a whole character and not with a CR that may belong to the line's end.
fn part(text: &[u8], ends: Ends, ended: bool) -> Stretch {
    if ended {
        return Stretch::Part(text.len());
    }
    let starts = |byte: &u8| *byte & 0xC0 != 0x80;
    let last = text.iter().rposition(starts).unwrap_or(0);
    // Long runs of continuation bytes are no UTF-8: any cut is as good.
    let last = if text.len() - last > 4 { text.len() } else { last };
    match (last, ends, text.last()) {
        (0, _, _) => Stretch::More,
        (_, Ends::LineFeed, Some(b'\r')) => Stretch::Part(text.len() - 1).or_more(),
        _ => Stretch::Part(last),
    }
}

impl Stretch {
    fn or_more(self) -> Self {
        match self {
            Self::Part(0) => Self::More,
            Self::Part(_) | Self::Line { .. } | Self::More => self,
        }
    }
}
