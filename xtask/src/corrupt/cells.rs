//! Damage to values: each takes a value as it is spelled and makes another one of it.

use whimbrel_testkit::Dice;

use super::Wound;
use super::door::{Door, Value};
use super::instant::{HOUR, Instant};
use super::patient::{By, Column, Sort, Table};
use crate::engine::Engine;

/// Attempts before a kind is given up.
const ATTEMPTS: usize = 14;

/// What is to be damaged, and by what means.
pub struct Scene<'a> {
    pub door: &'a Door<'a>,
    pub tables: &'a [Table],
}

impl Scene<'_> {
    pub fn engine(&self) -> Engine {
        self.door.engine()
    }

    /// Tables that a mapping fills, in random order.
    pub fn loaded(&self, dice: &mut Dice) -> Vec<&Table> {
        let is_loaded = |table: &&Table| table.by == By::Mapping && !table.rows.is_empty();
        shuffled(self.tables.iter().filter(is_loaded).collect(), dice)
    }

    /// Columns of such tables that a mapping fills and that are no key, in random order.
    pub fn columns(
        &self,
        dice: &mut Dice,
        wanted: impl Fn(&Column) -> bool,
    ) -> Vec<(&Table, usize)> {
        let mut all = Vec::new();
        for table in self.loaded(dice) {
            let places = (0..table.columns.len()).filter(|at| !table.key.contains(at));
            let places =
                places.filter(|&at| table.columns[at].filled && wanted(&table.columns[at]));
            all.extend(places.map(|at| (table, at)));
        }
        // Tables in turn, and not the widest one most often.
        let mut all = shuffled(all, dice);
        let place = |at: usize, all: &[(&Table, usize)]| {
            all[..at].iter().filter(|(table, _)| table.name == all[at].0.name).count()
        };
        let mut turns: Vec<usize> = (0..all.len()).map(|at| place(at, &all)).collect();
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by_key(|&at| turns[at]);
        turns.clear();
        all = order.into_iter().map(|at| all[at]).collect();
        all
    }

    /// One value of such a column is changed.
    pub fn one(
        &self,
        dice: &mut Dice,
        wanted: impl Fn(&Column) -> bool,
        change: impl Fn(Option<&str>) -> Option<Option<String>>,
    ) -> Vec<Wound> {
        let mut wounds = Vec::new();
        for (table, at) in self.columns(dice, wanted) {
            let found = from_anywhere(&table.rows, dice).find_map(|row| {
                let old = text(&row[at]);
                change(old).filter(|new| new.as_deref() != old).map(|new| (row, new))
            });
            if let Some((row, new)) = found {
                wounds.push(Wound::of(vec![table.update(self.door, row, &[(at, new)])]));
            }
            if wounds.len() == ATTEMPTS {
                break;
            }
        }
        wounds
    }

    /// Many values of one column are changed: as many rows as `count` says of all that can be.
    pub fn many(
        &self,
        dice: &mut Dice,
        wanted: impl Fn(&Column) -> bool,
        count: impl Fn(usize) -> usize,
        change: impl Fn(&str) -> Option<String>,
    ) -> Vec<Wound> {
        let mut wounds = Vec::new();
        for (table, at) in self.columns(dice, wanted) {
            let change = |row: &&Vec<Value>| -> Option<String> {
                let old = text(&row[at])?;
                change(old).filter(|new| new != old)
            };
            let able: Vec<&Vec<Value>> =
                table.rows.iter().filter(|row| change(row).is_some()).collect();
            let wanted = count(able.len());
            if wanted < 2 || wanted > able.len() {
                continue;
            }
            let chosen = shuffled(able, dice).into_iter().take(wanted);
            let update = |row: &Vec<Value>| table.update(self.door, row, &[(at, change(&row))]);
            wounds.push(Wound::of(chosen.map(update).collect()));
            if wounds.len() == ATTEMPTS / 2 {
                break;
            }
        }
        wounds
    }
}

/// The text of a value.
pub fn text(value: &Value) -> Option<&str> {
    value.as_ref().map(|cell| cell.text.as_str())
}

pub fn shuffled<T>(mut all: Vec<T>, dice: &mut Dice) -> Vec<T> {
    for at in (1..all.len()).rev() {
        let other = usize::try_from(dice.below(at as u64 + 1)).unwrap_or(0);
        all.swap(at, other);
    }
    all
}

/// All rows, from a random one on.
pub fn from_anywhere<'a>(
    rows: &'a [Vec<Value>],
    dice: &mut Dice,
) -> impl Iterator<Item = &'a Vec<Value>> {
    let start = usize::try_from(dice.below(rows.len().max(1) as u64)).unwrap_or(0);
    rows[start..].iter().chain(&rows[..start])
}

pub fn is_text(column: &Column) -> bool {
    column.sort == Sort::Text && column.parent.is_none()
}

pub fn is_number(column: &Column) -> bool {
    matches!(column.sort, Sort::Int | Sort::Float | Sort::Decimal) && column.parent.is_none()
}

pub fn is(sort: Sort) -> impl Fn(&Column) -> bool {
    move |column| column.sort == sort && column.parent.is_none()
}

/// A change of texts that are there.
pub fn of_text(
    change: impl Fn(&str) -> Option<String>,
) -> impl Fn(Option<&str>) -> Option<Option<String>> {
    move |old| Some(Some(change(old?)?))
}

/// A change of points in time.
pub fn of_instant(
    engine: Engine,
    change: impl Fn(Instant) -> Option<Instant>,
) -> impl Fn(&str) -> Option<String> {
    move |old| {
        let instant = Instant::read(old)?;
        change(instant).filter(|new| *new != instant).map(|new| new.spelled(engine))
    }
}

pub fn bit_of_text(old: &str) -> Option<String> {
    let at = old.bytes().position(|byte| byte.is_ascii_lowercase() && byte != b'{')?;
    let mut bytes = old.as_bytes().to_vec();
    bytes[at] ^= 1;
    // `a` becomes a backquote.
    if bytes[at].is_ascii_lowercase() { String::from_utf8(bytes).ok() } else { None }
}

/// The last bit of the last hexadecimal digit.
pub fn bit_of_digits(old: &str) -> Option<String> {
    let last = old.chars().next_back()?.to_digit(16)? ^ 1;
    Some(format!("{}{}", &old[..old.len() - 1], char::from_digit(last, 16)?))
}

pub fn negated(old: &str) -> Option<String> {
    if old.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-')) || old == i64::MIN.to_string() {
        return None;
    }
    Some(old.strip_prefix('-').map_or_else(|| format!("-{old}"), str::to_owned))
}

/// One more, whatever number it is.
pub fn one_more(old: &str) -> Option<String> {
    if let Ok(number) = old.parse::<i64>() {
        return number.checked_add(1).map(|number| number.to_string());
    }
    if let Some((whole, fraction)) = old.split_once('.')
        && let Ok(number) = whole.parse::<i64>()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && number >= 0
    {
        return Some(format!("{}.{fraction}", number.checked_add(1)?));
    }
    let number: f64 = old.parse().ok()?;
    (number.abs() < 1e15).then(|| spelled(number + 1.0))
}

/// A double in its shortest spelling.
pub fn spelled(number: f64) -> String {
    format!("{number:?}")
}

pub fn last_bit(old: &str) -> Option<String> {
    let number: f64 = old.parse().ok()?;
    // SQLite reads the smallest and the largest ones not to the bit.
    let is_plain = (1e-3..1e12).contains(&number.abs());
    is_plain.then(|| spelled(f64::from_bits(number.to_bits() ^ 1)))
}

/// As a program prints it that shows six digits.
pub fn six_digits(old: &str) -> Option<String> {
    let number: f64 = old.parse().ok()?;
    let short: f64 = format!("{number:.5e}").parse().ok()?;
    (short.to_bits() != number.to_bits() && number.abs() < 1e200).then(|| spelled(short))
}

/// Through a single float.
pub fn single(old: &str) -> Option<String> {
    let number: f64 = old.parse().ok()?;
    #[allow(clippy::cast_possible_truncation)] // that is the damage
    let short = f64::from(number as f32);
    (short.is_finite() && short.to_bits() != number.to_bits()).then(|| spelled(short))
}

/// An integer through a double.
pub fn through_double(old: &str) -> Option<String> {
    let number: i64 = old.parse().ok()?;
    #[allow(clippy::cast_possible_truncation)] // that is the damage
    let short = number as f64 as i128;
    let short = i64::try_from(short).ok()?;
    (short != number).then(|| short.to_string())
}

/// The last digit of a decimal that has a fraction.
pub fn last_digit(old: &str) -> Option<String> {
    let (_, fraction) = old.split_once('.')?;
    let last = fraction.chars().next_back()?.to_digit(10)?;
    Some(format!("{}{}", &old[..old.len() - 1], (last + 1) % 10))
}

/// Its point one place to the left.
pub fn tenth(old: &str) -> Option<String> {
    let (whole, fraction) = old.split_once('.')?;
    let last = whole.chars().next_back().filter(char::is_ascii_digit)?;
    let kept = &fraction[..fraction.len() - 1];
    let whole = &whole[..whole.len() - 1];
    let whole =
        if whole.is_empty() || whole == "-" { format!("{whole}0") } else { whole.to_owned() };
    (old.bytes().any(|byte| (b'1'..=b'9').contains(&byte))).then(|| format!("{whole}.{last}{kept}"))
}

/// Letters that have two forms: composed, and a letter with a mark.
const FORMS: &[(&str, &str)] = &[
    ("é", "e\u{301}"),
    ("ü", "u\u{308}"),
    ("ö", "o\u{308}"),
    ("ä", "a\u{308}"),
    ("ï", "i\u{308}"),
    ("Å", "A\u{30a}"),
];

pub fn other_form(old: &str) -> Option<String> {
    FORMS.iter().find_map(|(composed, decomposed)| {
        if old.contains(composed) {
            Some(old.replacen(composed, decomposed, 1))
        } else {
            old.contains(decomposed).then(|| old.replacen(decomposed, composed, 1))
        }
    })
}

pub fn other_case(old: &str) -> Option<String> {
    let letter = old.chars().find(char::is_ascii_alphabetic)?;
    let other = if letter.is_ascii_lowercase() {
        letter.to_ascii_uppercase()
    } else {
        letter.to_ascii_lowercase()
    };
    Some(old.replacen(letter, &other.to_string(), 1))
}

/// Its UTF-8 read as Latin-1.
pub fn mojibake(old: &str) -> Option<String> {
    (!old.is_ascii()).then(|| old.bytes().map(char::from).collect())
}

pub fn replacement(old: &str) -> Option<String> {
    let strange = old.chars().find(|letter| !letter.is_ascii())?;
    Some(old.replacen(strange, "\u{fffd}", 1))
}

pub fn truncated(old: &str) -> Option<String> {
    let mut letters = old.chars();
    letters.next_back()?;
    (old.len() > 2).then(|| letters.as_str().to_owned())
}

pub fn inserted(old: &str, what: char) -> Option<String> {
    let (at, _) = old.char_indices().nth(1)?;
    Some(format!("{}{what}{}", &old[..at], &old[at..]))
}

pub fn homoglyph(old: &str) -> Option<String> {
    old.contains('a').then(|| old.replacen('a', "\u{430}", 1))
}

pub fn day_and_month(instant: Instant) -> Option<Instant> {
    (instant.day <= 12).then_some(Instant { month: instant.day, day: instant.month, ..instant })
}

/// To so many microseconds.
pub fn cut(instant: Instant, to: i64) -> Instant {
    Instant { micros: instant.micros / to * to, ..instant }
}

/// As if an hour of daylight saving had been counted twice.
pub fn an_hour_in_summer(instant: Instant) -> Option<Instant> {
    (4..=9).contains(&instant.month).then(|| instant.later(HOUR))
}
