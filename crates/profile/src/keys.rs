//! Which columns identify a record, and which records stand there twice: exact as far as a fixed
//! number of digests reaches, and honest beyond it.

use std::collections::HashSet;

use whimbrel_model::ValueRef;

use crate::column::Place;

/// Digests that all columns of a source may hold at once: about 35 MiB.
pub const KEY_DIGESTS_MAX: usize = 1_000_000;
/// Digests of whole records that a source may hold: about 35 MiB.
pub const RECORD_DIGESTS_MAX: usize = 1_000_000;

const REPEATS_MAX: u64 = 100;

/// What is known about a set of values being different.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Uniqueness {
    /// All are different: compared with every other, or rising throughout.
    Unique,
    /// Some stand there again.
    Repeats {
        /// How many stood there before.
        count: u64,
        /// False where the search was given up, because they were many: `count` is too low then.
        all: bool,
        /// The first that did.
        first: Place,
    },
    /// Different among the first `rows`; there is no room to compare the others.
    Unchecked {
        /// How many were compared.
        rows: u64,
    },
}

/// Compares values by 128 bits of BLAKE3.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    seen: HashSet<u128>,
    compared: u64,
    repeats: Option<(u64, Place)>,
    rising: Rising,
    closed: bool,
}

/// Whole numbers that only rise are different without being remembered.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Rising {
    #[default]
    Empty,
    Last(i128),
    Broken,
}

impl Watch {
    /// Compares a value; `room` is how many digests may still be held. Returns how many more are
    /// held now.
    pub fn add(&mut self, value: &[u8], number: Option<i128>, place: Place, room: usize) -> usize {
        self.rise(number);
        if self.closed {
            return 0;
        }
        if room == 0 {
            self.close();
            return 0;
        }
        let digest = digest(value);
        self.compared += 1;
        if self.seen.insert(digest) {
            return 1;
        }
        let (count, _) = self.repeats.get_or_insert((0, place));
        *count += 1;
        if *count > REPEATS_MAX && *count * 20 > self.compared {
            self.close();
        }
        0
    }

    fn rise(&mut self, number: Option<i128>) {
        self.rising = match (self.rising, number) {
            (Rising::Empty, Some(number)) => Rising::Last(number),
            (Rising::Last(last), Some(number)) if number > last => Rising::Last(number),
            (Rising::Empty | Rising::Last(_) | Rising::Broken, _) => Rising::Broken,
        };
    }

    // The digests go; whether the numbers rise is still followed.
    fn close(&mut self) {
        self.closed = true;
        self.seen = HashSet::new();
    }

    /// Digests held.
    pub fn held(&self) -> usize {
        self.seen.len()
    }

    /// True where nothing can be learned any more.
    pub fn is_settled(&self) -> bool {
        self.closed && self.rising == Rising::Broken
    }

    /// Gives up: the column turned out to hold NULL, or values too long to identify anything.
    pub fn give_up(&mut self) {
        self.close();
        self.rising = Rising::Broken;
    }

    /// What is known.
    pub fn uniqueness(&self) -> Uniqueness {
        match (self.repeats, self.rising) {
            (Some((count, first)), _) => Uniqueness::Repeats { count, all: !self.closed, first },
            (None, Rising::Last(_)) => Uniqueness::Unique,
            (None, Rising::Empty | Rising::Broken) if self.closed => {
                Uniqueness::Unchecked { rows: self.compared }
            }
            (None, Rising::Empty | Rising::Broken) => Uniqueness::Unique,
        }
    }
}

fn digest(value: &[u8]) -> u128 {
    let hash = blake3::hash(value);
    let (front, _) = hash.as_bytes().split_at(16);
    u128::from_le_bytes(front.try_into().expect("half of 32 bytes"))
}

/// The value as bytes that differ where values differ, and its number where it is whole; `None`
/// where it cannot be a key.
pub fn identity<'a>(
    value: ValueRef<'a>,
    scratch: &'a mut String,
) -> Option<(&'a [u8], Option<i128>)> {
    use std::fmt::Write as _;
    match value {
        ValueRef::Text(text) | ValueRef::Decimal(text) => {
            (1..=200).contains(&text.len()).then(|| (text.as_bytes(), canonical(text)))
        }
        ValueRef::Int(number) => {
            scratch.clear();
            write!(scratch, "{number}").expect("a String takes every character");
            Some((scratch.as_bytes(), Some(number)))
        }
        ValueRef::Uuid(_)
        | ValueRef::Date(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_) => {
            scratch.clear();
            write!(scratch, "{value}").expect("a String takes every character");
            Some((scratch.as_bytes(), None))
        }
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Time(_)
        | ValueRef::Json(_) => None,
    }
}

fn canonical(text: &str) -> Option<i128> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'))
        && text != "-0";
    if plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(values: impl IntoIterator<Item = i128>, room: usize) -> Uniqueness {
        let mut watch = Watch::default();
        let mut left = room;
        for (at, value) in values.into_iter().enumerate() {
            let place = Place { file: 0, line: at as u64 + 2, record: at as u64 + 1 };
            left -= watch.add(value.to_string().as_bytes(), Some(value), place, left);
        }
        watch.uniqueness()
    }

    #[test]
    fn different_values_are_unique_in_any_order() {
        assert_eq!(watch([3, 1, 2], 10), Uniqueness::Unique);
    }

    #[test]
    fn rising_numbers_are_unique_beyond_the_memory() {
        assert_eq!(watch(0..1_000, 10), Uniqueness::Unique);
    }

    #[test]
    fn beyond_the_memory_nothing_is_claimed() {
        let values = (0..1_000).map(|value| value ^ 1);
        assert_eq!(watch(values, 10), Uniqueness::Unchecked { rows: 10 });
    }

    #[test]
    fn the_first_repetition_is_placed() {
        let Uniqueness::Repeats { count, first, .. } = watch([5, 6, 5, 6], 10) else {
            panic!("they repeat")
        };
        assert_eq!((count, first.line), (2, 4));
    }
}
