//! What is known about one column after any number of values, in a fixed amount of memory.
//!
//! A tally takes about 25 KiB whatever it has seen. Two tallies over two runs of values merge to
//! the tally over both, except that the most frequent values are exact only up to 128 different
//! ones (see [`crate::sketch`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use whimbrel_model::ValueRef;
use whimbrel_model::decimal::Decimal;

use crate::forms::{self, Forms, MARKERS, Reading};
use crate::shown::{self, VALUE_CHARS_MAX};
use crate::sketch::{self, Bins, Distinct, Top};
use crate::stamps::Stamp;

/// Where a value stood: the ordinal of its file within the source, its line, its record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Place {
    /// Ordinal of the file in source order, from 0.
    pub file: u32,
    /// Physical line of the record's first byte, from 1; 0 where lines mean nothing.
    pub line: u64,
    /// Ordinal of the record in its file, from 1.
    pub record: u64,
}

/// How a cell was written, where the format can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CellNote {
    /// Without quotes, or in a format without them.
    Plain,
    /// In quotes.
    Quoted,
}

/// A value that was the first of something.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample {
    /// Where it stood.
    pub place: Place,
    /// The value, bounded and escaped.
    pub value: String,
    /// Why it is not of the form it broke; empty where that is no question.
    pub reason: &'static str,
}

/// How often a spelling of NULL stood in a column.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct MarkerCount {
    /// Without quotes.
    pub plain: u64,
    /// In quotes.
    pub quoted: u64,
}

/// Values by what the source says they are.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Natives {
    /// True or false.
    pub booleans: u64,
    /// Numbers of any sort.
    pub numbers: u64,
    /// Texts, spellings of NULL included.
    pub texts: u64,
    /// JSON objects and arrays.
    pub documents: u64,
    /// Byte strings.
    pub bytes: u64,
    /// Dates, times, UUIDs: kinds that only a database declares.
    pub others: u64,
}

/// Instants read by one pattern, in the order of the values.
#[derive(Clone, PartialEq, Debug)]
pub struct Clock {
    /// Earliest, in nanoseconds.
    pub min: i128,
    /// Latest.
    pub max: i128,
    /// Steps to an earlier time than the record before, within one file.
    pub backwards: u64,
    /// The first such step.
    pub first_backwards: Option<Place>,
    /// Steps back by more than 12 hours: a clock that passed midnight.
    pub midnights: u64,
    /// Offset of the first value, in minutes.
    pub offset: Option<i32>,
    /// Values have different offsets.
    pub offsets_differ: bool,
    first: (u32, i128),
    last: (u32, i128),
    first_place: Place,
}

/// Smallest and largest number.
#[derive(Clone, PartialEq, Debug)]
pub struct Extreme {
    /// As written.
    pub text: String,
    /// The nearest double.
    pub number: f64,
}

/// The tally of one column.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Values, NULL included.
    pub values: u64,
    /// Absent or NULL in the source itself.
    pub nulls: u64,
    /// Of these, records that lack the column altogether.
    pub absent: u64,
    /// By the source's own kinds.
    pub natives: Natives,
    /// Per spelling of [`MARKERS`].
    pub markers: [MarkerCount; MARKERS.len()],
    /// Values that forms were asked about: neither NULL nor a marker.
    pub read: u64,
    /// Per form, how many of those it holds for.
    pub fits: [u64; forms::COUNT],
    /// Integers that no double holds: 2^53 + 1 and the like.
    pub beyond_double: u64,
    /// Texts like `00601`.
    pub leading_zeros: u64,
    /// Numbers with an exponent.
    pub exponents: u64,
    /// Smallest and largest number.
    pub extremes: Option<(Extreme, Extreme)>,
    /// Most digits before the point; fewest and most after it.
    pub digits: Option<(u32, u32, u32)>,
    /// Per pattern number.
    pub clocks: BTreeMap<usize, Clock>,
    /// Fewest and most characters of a text.
    pub chars: Option<(u64, u64)>,
    /// Texts of white space alone.
    pub blank: u64,
    /// Texts with white space at an end.
    pub padded: u64,
    /// Texts with a line end.
    pub multi_line: u64,
    /// Texts with a control character other than tab, line ends and NUL.
    pub controls: u64,
    /// Texts with U+0000.
    pub nul: u64,
    /// The first of them.
    pub first_nul: Option<Place>,
    /// Bytes of all values, for estimates.
    pub bytes: u64,
    /// Histogram of numbers.
    pub numbers: Bins,
    /// Histogram of instants in seconds.
    pub times: Bins,
    /// Histogram of lengths in characters.
    pub lengths: Bins,
    /// Different values.
    pub distinct: Distinct,
    /// Frequent values.
    pub top: Top,
    last: (String, Reading),
    alive: Forms,
    broken_by: [u8; forms::COUNT],
    breaks: Vec<Sample>,
    scratch: String,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            values: 0,
            nulls: 0,
            absent: 0,
            natives: Natives::default(),
            markers: [MarkerCount::default(); MARKERS.len()],
            read: 0,
            fits: [0; forms::COUNT],
            beyond_double: 0,
            leading_zeros: 0,
            exponents: 0,
            extremes: None,
            digits: None,
            clocks: BTreeMap::new(),
            chars: None,
            blank: 0,
            padded: 0,
            multi_line: 0,
            controls: 0,
            nul: 0,
            first_nul: None,
            bytes: 0,
            numbers: Bins::default(),
            times: Bins::default(),
            lengths: Bins::default(),
            distinct: Distinct::default(),
            top: Top::default(),
            last: (String::new(), Reading::default()),
            alive: Forms::MAX,
            broken_by: [0; forms::COUNT],
            breaks: Vec::new(),
            scratch: String::new(),
        }
    }
}

impl Tally {
    /// Counts one value.
    pub fn add(&mut self, value: ValueRef<'_>, note: CellNote, place: Place) {
        self.values += 1;
        match value {
            ValueRef::Null => self.nulls += 1,
            ValueRef::Text(text) => {
                self.natives.texts += 1;
                self.text(text, note, place);
            }
            ValueRef::Bool(_) => {
                self.natives.booleans += 1;
                self.opaque(value);
            }
            ValueRef::Decimal(text) => {
                self.natives.numbers += 1;
                self.exponents += u64::from(text.contains(['e', 'E']));
                self.content(text, place);
            }
            ValueRef::Int(_) | ValueRef::Float(_) => {
                self.natives.numbers += 1;
                let mut scratch = std::mem::take(&mut self.scratch);
                scratch.clear();
                write!(scratch, "{value}").expect("a String takes every character");
                let text = scratch.strip_suffix(".0").unwrap_or(&scratch);
                self.content(text, place);
                self.scratch = scratch;
            }
            ValueRef::Json(text) if text.starts_with(['{', '[']) => {
                self.natives.documents += 1;
                self.bytes += text.len() as u64;
                self.note(text);
            }
            ValueRef::Json(_) => {
                self.natives.others += 1;
                self.opaque(value);
            }
            ValueRef::Bytes(bytes) => {
                self.natives.bytes += 1;
                self.bytes += bytes.len() as u64;
                self.distinct.add(sketch::hash(bytes));
            }
            ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::TimestampTz(_)
            | ValueRef::Uuid(_) => {
                self.natives.others += 1;
                self.opaque(value);
            }
        }
    }

    /// Counts `count` records that lack the column: it appeared later than they did.
    pub fn add_absent(&mut self, count: u64) {
        self.values += count;
        self.nulls += count;
        self.absent += count;
    }

    fn opaque(&mut self, value: ValueRef<'_>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        write!(scratch, "{value}").expect("a String takes every character");
        self.bytes += scratch.len() as u64;
        self.note(&scratch);
        self.scratch = scratch;
    }

    fn note(&mut self, text: &str) {
        let hash = sketch::hash(text.as_bytes());
        // What holds a place among the frequent values has been counted as different before.
        if !self.top.again(hash) {
            self.distinct.add(hash);
            self.top.add(hash, |out| shown::append(out, text, VALUE_CHARS_MAX));
        }
    }

    fn text(&mut self, text: &str, note: CellNote, place: Place) {
        if let Some(marker) = forms::marker(text) {
            let count = &mut self.markers[marker];
            match note {
                CellNote::Plain => count.plain += 1,
                CellNote::Quoted => count.quoted += 1,
            }
            self.length(text);
            self.note(text);
            return;
        }
        self.length(text);
        self.surroundings(text, place);
        self.content(text, place);
    }

    fn length(&mut self, text: &str) {
        let chars = if text.len() < 32 && text.is_ascii() {
            text.len() as u64
        } else {
            text.chars().count() as u64
        };
        let (min, max) = self.chars.unwrap_or((chars, chars));
        self.chars = Some((min.min(chars), max.max(chars)));
        self.lengths.add(chars as f64);
    }

    fn surroundings(&mut self, text: &str, place: Place) {
        let bytes = text.as_bytes();
        let edge = |byte: Option<&u8>| byte.is_some_and(|byte| *byte <= b' ' || *byte >= 0x80);
        if edge(bytes.first()) || edge(bytes.last()) {
            let trimmed = text.trim();
            self.padded += u64::from(trimmed.len() != text.len());
            self.blank += u64::from(trimmed.is_empty());
        }
        if bytes.iter().any(|byte| *byte < b' ' || *byte == 0x7f) {
            self.multi_line += u64::from(text.contains(['\n', '\r']));
            let control =
                |byte: &u8| (*byte < b' ' || *byte == 0x7f) && !b"\t\n\r\0".contains(byte);
            self.controls += u64::from(bytes.iter().any(control));
            if bytes.contains(&0) {
                self.nul += 1;
                self.first_nul.get_or_insert(place);
            }
        }
    }

    /// A value that is neither NULL nor a spelling of it.
    fn content(&mut self, text: &str, place: Place) {
        self.bytes += text.len() as u64;
        self.note(text);
        self.read += 1;
        let reading = self.reading(text);
        let mut left = reading.forms;
        while left != 0 {
            self.fits[left.trailing_zeros() as usize] += 1;
            left &= left - 1;
        }
        self.narrow(reading.forms, text, place);
        if let Some(number) = reading.number {
            self.number(text, number, reading.digits);
            let whole = forms::has(reading.forms, forms::INTEGER);
            self.beyond_double += u64::from(whole && !forms::has(reading.forms, forms::EXACT));
        } else if forms::has_leading_zero(text) {
            self.leading_zeros += 1;
        }
        for stamp in reading.stamps.into_iter().flatten() {
            self.stamp(stamp, place);
        }
    }

    /// Columns often hold the same value again: it is read once.
    fn reading(&mut self, text: &str) -> Reading {
        const REMEMBERED_MAX: usize = 64;
        if self.last.0 != text || text.is_empty() {
            let reading = forms::read(text);
            if text.len() > REMEMBERED_MAX {
                return reading;
            }
            self.last.0.clear();
            self.last.0.push_str(text);
            self.last.1 = reading;
        }
        self.last.1
    }

    fn narrow(&mut self, found: Forms, text: &str, place: Place) {
        let mut broken = self.alive & !found & ((1 << forms::COUNT) - 1);
        self.alive &= found;
        while broken != 0 {
            let form = broken.trailing_zeros() as usize;
            broken &= broken - 1;
            let reason = forms::why_not(text, form);
            let known = |sample: &Sample| sample.place == place && sample.reason == reason;
            let at = self.breaks.iter().position(known).unwrap_or_else(|| {
                let value = shown::shown(text, VALUE_CHARS_MAX);
                self.breaks.push(Sample { place, value, reason });
                self.breaks.len() - 1
            });
            self.broken_by[form] = at as u8;
        }
    }

    fn number(&mut self, text: &str, number: f64, (whole, scale): (u32, u32)) {
        self.numbers.add(number);
        let (most, least_scale, most_scale) = self.digits.unwrap_or((whole, scale, scale));
        self.digits = Some((most.max(whole), least_scale.min(scale), most_scale.max(scale)));
        match &mut self.extremes {
            None => {
                let extreme = Extreme { text: text.to_owned(), number };
                self.extremes = Some((extreme.clone(), extreme));
            }
            Some((min, max)) => {
                min.lower(text, number);
                max.raise(text, number);
            }
        }
    }

    fn stamp(&mut self, stamp: Stamp, place: Place) {
        self.times.add((stamp.nanos / 1_000_000) as f64 / 1_000.0);
        match self.clocks.get_mut(&stamp.pattern) {
            None => {
                self.clocks.insert(stamp.pattern, Clock::start(stamp, place));
            }
            Some(clock) => clock.go_on(stamp, place),
        }
    }

    /// True where the form holds for every value read, and there was one.
    pub fn holds(&self, form: usize) -> bool {
        self.read > 0 && forms::has(self.alive, form)
    }

    /// The first value that the form does not hold for.
    pub fn first_break(&self, form: usize) -> Option<&Sample> {
        if forms::has(self.alive, form) {
            return None;
        }
        self.breaks.get(usize::from(self.broken_by[form]))
    }

    /// Spellings of NULL that stand in the column, all counted.
    pub fn marked(&self) -> u64 {
        self.markers.iter().map(|count| count.plain + count.quoted).sum()
    }

    /// Different values among those read, where they are few enough to be known exactly.
    pub fn distinct_read(&self) -> u64 {
        let markers = self.markers.iter().filter(|count| count.plain + count.quoted > 0).count();
        self.distinct.count().0.saturating_sub(markers as u64)
    }

    /// Adds the tally of values that came after this one's.
    pub fn merge(&mut self, other: &Self) {
        self.values += other.values;
        self.nulls += other.nulls;
        self.absent += other.absent;
        self.natives.booleans += other.natives.booleans;
        self.natives.numbers += other.natives.numbers;
        self.natives.texts += other.natives.texts;
        self.natives.documents += other.natives.documents;
        self.natives.bytes += other.natives.bytes;
        self.natives.others += other.natives.others;
        for (count, other) in self.markers.iter_mut().zip(&other.markers) {
            count.plain += other.plain;
            count.quoted += other.quoted;
        }
        self.read += other.read;
        self.fits.iter_mut().zip(&other.fits).for_each(|(a, b)| *a += b);
        self.beyond_double += other.beyond_double;
        self.leading_zeros += other.leading_zeros;
        self.exponents += other.exponents;
        self.merge_numbers(other);
        self.merge_clocks(other);
        self.chars = join(self.chars, other.chars, |a, b| (a.0.min(b.0), a.1.max(b.1)));
        self.blank += other.blank;
        self.padded += other.padded;
        self.multi_line += other.multi_line;
        self.controls += other.controls;
        self.nul += other.nul;
        self.first_nul = self.first_nul.or(other.first_nul);
        self.bytes += other.bytes;
        self.numbers.merge(&other.numbers);
        self.times.merge(&other.times);
        self.lengths.merge(&other.lengths);
        self.distinct.merge(&other.distinct);
        self.top.merge(&other.top);
        self.merge_breaks(other);
    }

    fn merge_numbers(&mut self, other: &Self) {
        self.digits =
            join(self.digits, other.digits, |a, b| (a.0.max(b.0), a.1.min(b.1), a.2.max(b.2)));
        match (&mut self.extremes, &other.extremes) {
            (_, None) => {}
            (None, Some(theirs)) => self.extremes = Some(theirs.clone()),
            (Some((min, max)), Some((their_min, their_max))) => {
                min.lower(&their_min.text, their_min.number);
                max.raise(&their_max.text, their_max.number);
            }
        }
    }

    fn merge_clocks(&mut self, other: &Self) {
        for (pattern, theirs) in &other.clocks {
            match self.clocks.get_mut(pattern) {
                None => {
                    self.clocks.insert(*pattern, theirs.clone());
                }
                Some(clock) => clock.merge(theirs),
            }
        }
    }

    fn merge_breaks(&mut self, other: &Self) {
        for form in 0..forms::COUNT {
            if forms::has(self.alive, form)
                && let Some(sample) = other.first_break(form)
            {
                let at = self.breaks.iter().position(|known| known == sample);
                let at = at.unwrap_or_else(|| {
                    self.breaks.push(sample.clone());
                    self.breaks.len() - 1
                });
                self.broken_by[form] = at as u8;
            }
        }
        self.alive &= other.alive;
    }
}

fn join<T: Copy>(a: Option<T>, b: Option<T>, both: impl Fn(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(both(a, b)),
        (a, b) => a.or(b),
    }
}

impl Extreme {
    fn lower(&mut self, text: &str, number: f64) {
        if number <= self.number && text != self.text && is_less(text, &self.text) {
            *self = Self { text: text.to_owned(), number };
        }
    }

    fn raise(&mut self, text: &str, number: f64) {
        if number >= self.number && text != self.text && is_less(&self.text, text) {
            *self = Self { text: text.to_owned(), number };
        }
    }
}

// Doubles order most numbers; integers beyond 2^53 need their digits.
fn is_less(a: &str, b: &str) -> bool {
    match (Decimal::parse(a), Decimal::parse(b)) {
        (Ok(a), Ok(b)) => a < b,
        (_, _) => false,
    }
}

const HALF_DAY_NANOS: i128 = 12 * 3_600 * 1_000_000_000;

impl Clock {
    fn start(stamp: Stamp, place: Place) -> Self {
        let at = (place.file, stamp.nanos);
        Self {
            min: stamp.nanos,
            max: stamp.nanos,
            backwards: 0,
            first_backwards: None,
            midnights: 0,
            offset: stamp.offset,
            offsets_differ: false,
            first: at,
            last: at,
            first_place: place,
        }
    }

    fn go_on(&mut self, stamp: Stamp, place: Place) {
        self.merge(&Self::start(stamp, place));
    }

    fn merge(&mut self, later: &Self) {
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        let (file, nanos) = later.first;
        if file == self.last.0 && nanos < self.last.1 {
            self.backwards += 1;
            self.midnights += u64::from(self.last.1 - nanos > HALF_DAY_NANOS);
            self.first_backwards.get_or_insert(later.first_place);
        }
        self.backwards += later.backwards;
        self.midnights += later.midnights;
        self.first_backwards = self.first_backwards.or(later.first_backwards);
        self.offsets_differ |= later.offsets_differ || self.offset != later.offset;
        self.last = later.last;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tally(values: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for (at, value) in values.iter().enumerate() {
            let place = Place { file: 0, line: at as u64 + 2, record: at as u64 + 1 };
            tally.add(ValueRef::Text(value), CellNote::Plain, place);
        }
        tally
    }

    fn facts(tally: &Tally) -> String {
        let Tally { values, nulls, natives, markers, read, fits, extremes, digits, clocks, .. } =
            tally;
        let breaks: Vec<_> = (0..forms::COUNT).map(|form| tally.first_break(form)).collect();
        let Tally { chars, blank, padded, multi_line, controls, bytes, distinct, .. } = tally;
        let Tally { nul, first_nul, .. } = tally;
        format!(
            "{values} {nulls} {natives:?} {markers:?} {read} {fits:?} {extremes:?} {digits:?} \
             {clocks:?} {breaks:?} {chars:?} {blank} {padded} {multi_line} {controls} {bytes} \
             {distinct:?} {nul} {first_nul:?} {:?} {:?} {:?} {:?}",
            tally.top.most(200),
            tally.numbers,
            tally.times,
            tally.lengths,
        )
    }

    #[test]
    fn the_first_value_that_breaks_a_form_is_kept() {
        let tally = tally(&["1", "2", "00601", "x"]);
        let sample = tally.first_break(forms::INTEGER).unwrap();
        assert_eq!((sample.place.line, sample.value.as_str()), (4, "00601"));
        assert_eq!(sample.reason, "has a leading zero");
        assert_eq!((tally.fits[forms::INTEGER], tally.read), (2, 4));
    }

    #[test]
    fn spellings_of_null_break_no_form() {
        let tally = tally(&["1", "NA", "", "3"]);
        assert!(tally.holds(forms::INTEGER));
        assert_eq!(tally.marked(), 2);
    }

    #[test]
    fn nul_is_told_from_other_controls() {
        let tally = tally(&["a", "b\u{1}", "c\u{0}", "\u{0}\u{1}"]);
        assert_eq!((tally.nul, tally.controls), (2, 2));
        assert_eq!(tally.first_nul.unwrap().line, 4);
    }

    #[test]
    fn extremes_beyond_doubles_are_exact() {
        let tally = tally(&["9007199254740993", "9007199254740992", "18446744073709551615"]);
        let (min, max) = tally.extremes.as_ref().unwrap();
        assert_eq!(min.text, "9007199254740992");
        assert_eq!(max.text, "18446744073709551615");
        assert_eq!(tally.beyond_double, 2);
    }

    #[test]
    fn a_clock_that_passes_midnight_is_told_from_a_step_back() {
        let tally = tally(&["23:59:59", "00:00:01", "00:00:05", "00:00:04"]);
        let clock = tally.clocks.values().next().unwrap();
        assert_eq!((clock.backwards, clock.midnights), (2, 1));
        assert_eq!(clock.first_backwards.unwrap().line, 3);
    }

    #[test]
    fn a_million_values_take_no_more_memory_than_a_thousand() {
        let mut tally = Tally::default();
        for number in 0..200_000u64 {
            tally.add(
                ValueRef::Text(&format!("value {number}")),
                CellNote::Plain,
                Place::default(),
            );
        }
        assert!(tally.top.most(usize::MAX).len() <= 128);
        assert!(tally.breaks.len() <= forms::COUNT);
    }

    fn any_value() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{1,4}",
            "-?[0-9]{1,4}\\.[0-9]{1,3}",
            Just("NA".to_owned()),
            Just(String::new()),
            "20[0-9]{2}-0[1-9]-[0-2][0-9]",
            "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]",
            "true|false|yes|no",
            " ?[a-c]{1,2}\n?",
            "[a\u{0}\u{1}]{1,2}",
        ]
    }

    proptest! {
        #[test]
        fn merged_tallies_equal_one(
            values in prop::collection::vec(any_value(), 0..80), cut in 0usize..80
        ) {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            let mut parts = [Tally::default(), Tally::default()];
            for (at, value) in values.iter().enumerate() {
                let place = Place { file: 0, line: at as u64 + 2, record: at as u64 + 1 };
                parts[usize::from(at >= cut)].add(ValueRef::Text(value), CellNote::Plain, place);
            }
            let [mut merged, rest] = parts;
            merged.merge(&rest);
            prop_assert_eq!(facts(&merged), facts(&tally(&values)));
        }
    }
}
