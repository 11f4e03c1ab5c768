//! Where the client's messages begin and end, in the protocols of PostgreSQL (version 3) and MariaDB.

use crate::servers::Engine;

use super::Moment;

/// So much of a message is looked at.
const SEEN: usize = 80;

/// The messages in a stream of pieces.
pub(super) struct Frames {
    engine: Engine,
    /// PostgreSQL's first messages have no letter: the last of them says the protocol's version.
    greeting: bool,
    /// What is known of the current message's head.
    head: Vec<u8>,
    /// The beginning of its body.
    body: Vec<u8>,
    /// Bytes of the body that have not come yet; `None` before the head is whole.
    left: Option<usize>,
    /// Where in this piece it begins; 0 where it began before.
    start: usize,
}

/// A message that ends in a piece, or of which enough is known.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Message {
    /// Where it begins in the piece; 0 where it began before.
    pub(super) start: usize,
    /// Where it ends in the piece; the piece's end where it goes on.
    pub(super) end: usize,
    kind: Kind,
}

#[derive(PartialEq, Eq, Debug)]
enum Kind {
    Statement(Vec<u8>),
    CopyData,
    CopyDone,
}

impl Message {
    pub(super) fn is(&self, moment: &Moment) -> bool {
        match (&self.kind, moment) {
            (Kind::CopyData, Moment::CopyData) | (Kind::CopyDone, Moment::CopyDone) => true,
            (Kind::Statement(text), Moment::Commit) => {
                let text = text.trim_ascii();
                let text = text.strip_suffix(b";").unwrap_or(text);
                text.eq_ignore_ascii_case(b"COMMIT")
            }
            (Kind::Statement(text), Moment::Statement(beginning)) => {
                let text = text.trim_ascii_start().get(..beginning.len());
                text.is_some_and(|text| text.eq_ignore_ascii_case(beginning.as_bytes()))
            }
            (Kind::CopyData | Kind::CopyDone | Kind::Statement(_), _) => false,
        }
    }
}

impl Frames {
    pub(super) fn new(engine: Engine) -> Self {
        let greeting = engine == Engine::Postgres;
        Self { engine, greeting, head: Vec::new(), body: Vec::new(), left: None, start: 0 }
    }

    /// Takes the next piece.
    pub(super) fn feed(&mut self, piece: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut at = 0;
        self.start = 0;
        while at < piece.len() {
            let left = match self.left {
                Some(left) => left,
                None => {
                    if self.head.is_empty() {
                        self.start = at;
                    }
                    self.head.push(piece[at]);
                    at += 1;
                    let Some(left) = self.body_length() else { continue };
                    self.left = Some(left);
                    left
                }
            };
            let here = left.min(piece.len() - at);
            let seen = here.min(SEEN - self.body.len());
            self.body.extend_from_slice(&piece[at..at + seen]);
            at += here;
            self.left = Some(left - here);
            if left == here {
                messages.extend(self.kind().map(|kind| Message {
                    start: self.start,
                    end: at,
                    kind,
                }));
                self.head.clear();
                self.body.clear();
                self.left = None;
            }
        }
        messages
    }

    /// The length of the body, once the head is whole.
    fn body_length(&self) -> Option<usize> {
        match (self.engine, &self.head[..]) {
            (Engine::Postgres, [a, b, c, d]) if self.greeting => {
                Some((u32::from_be_bytes([*a, *b, *c, *d]) as usize).saturating_sub(4))
            }
            (Engine::Postgres, [_, a, b, c, d]) => {
                Some((u32::from_be_bytes([*a, *b, *c, *d]) as usize).saturating_sub(4))
            }
            (Engine::Mysql, [a, b, c, _]) => Some(u32::from_le_bytes([*a, *b, *c, 0]) as usize),
            _ => None,
        }
    }

    /// What the message that has just ended is, where that is of interest.
    fn kind(&mut self) -> Option<Kind> {
        match self.engine {
            Engine::Postgres if self.greeting => {
                // Others ask for encryption or cancel something; they come before it.
                self.greeting = !self.body.starts_with(&[0, 3]);
                None
            }
            Engine::Postgres => match self.head.first()? {
                b'Q' => Some(Kind::Statement(until_zero(&self.body).to_vec())),
                // The name, then the statement.
                b'P' => {
                    let name = until_zero(&self.body).len();
                    Some(Kind::Statement(until_zero(self.body.get(name + 1..)?).to_vec()))
                }
                b'd' => Some(Kind::CopyData),
                b'c' => Some(Kind::CopyDone),
                _ => None,
            },
            // A command begins a sequence; 3 is a query, 22 a statement to be prepared.
            Engine::Mysql => match (self.head.last()?, self.body.split_first()?) {
                (0, (3 | 22, text)) => Some(Kind::Statement(text.to_vec())),
                _ => None,
            },
        }
    }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postgres(letter: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [&[letter], &length.to_be_bytes()[..], body].concat()
    }

    fn mysql(sequence: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [&length[..3], &[sequence], body].concat()
    }

    fn conversation(engine: Engine) -> (Vec<u8>, Vec<Moment>) {
        match engine {
            Engine::Postgres => {
                let greeting = [&8u32.to_be_bytes()[..], &80_877_103u32.to_be_bytes()].concat();
                let startup = [&12u32.to_be_bytes()[..], &[0, 3, 0, 0], b"a\0b\0"].concat();
                let bytes = [
                    greeting,
                    startup,
                    postgres(b'P', b"name\0insert into t\0\0\0"),
                    postgres(b'd', &[b'Q'; 500]),
                    postgres(b'c', b""),
                    postgres(b'Q', b"commit;\0"),
                    postgres(b'Q', b"COMMIT PREPARED 'x'\0"),
                ];
                let moments = [
                    Moment::Statement("INSERT"),
                    Moment::CopyData,
                    Moment::CopyDone,
                    Moment::Commit,
                ];
                (bytes.concat(), moments.to_vec())
            }
            Engine::Mysql => {
                let bytes = [
                    mysql(1, b"\x03COMMIT"),
                    mysql(0, b"\x16Insert into t"),
                    mysql(0, &[3; 500]),
                    mysql(0, b"\x03COMMIT"),
                ];
                (bytes.concat(), vec![Moment::Statement("INSERT"), Moment::Commit])
            }
        }
    }

    #[test]
    fn messages_are_found_wherever_pieces_end() {
        for engine in Engine::ALL {
            let (bytes, moments) = conversation(engine);
            for size in [1, 2, 3, 5, 7, 64, 10_000] {
                let mut frames = Frames::new(engine);
                let found: Vec<Message> =
                    bytes.chunks(size).flat_map(|piece| frames.feed(piece)).collect();
                for moment in &moments {
                    let times = found.iter().filter(|message| message.is(moment)).count();
                    assert_eq!(times, 1, "{engine} {moment:?} in pieces of {size}");
                }
            }
        }
    }

    #[test]
    fn a_message_says_where_it_stands() {
        let bytes = [mysql(0, b"\x03SELECT 1"), mysql(0, b"\x03COMMIT")].concat();
        let found = Frames::new(Engine::Mysql).feed(&bytes);
        assert_eq!((found[1].start, found[1].end), (13, 24));
    }
}
