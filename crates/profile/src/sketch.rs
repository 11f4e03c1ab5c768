//! Summaries of any number of values in a fixed amount of memory.
//!
//! [`Distinct`] and [`Bins`] depend on the set of values alone: however the values are split and
//! merged, the result is the same. [`Top`] is exact up to its capacity and bounded beyond it.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

/// A 64-bit hash for the sketches; not for keys, not stored.
pub fn hash(bytes: &[u8]) -> u64 {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(state ^ u64::from_le_bytes(last))
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(mut word: u64) -> u64 {
    word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// Keys that are hashes already.
#[derive(Default, Clone)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let mut first = [0; 8];
        let taken = bytes.len().min(8);
        first[..taken].copy_from_slice(&bytes[..taken]);
        self.0 ^= u64::from_le_bytes(first);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 ^= word;
    }
}

/// A hasher for keys that are digests.
pub type AsIsHasher = BuildHasherDefault<AsIs>;

/// How many different values there are: exact up to 256, then HyperLogLog (Flajolet et al. 2007)
/// with 2048 registers: a standard error of 2.3 %.
#[derive(Clone, Debug, PartialEq)]
pub struct Distinct(Registers);

#[derive(Clone, Debug, PartialEq)]
enum Registers {
    Few(BTreeSet<u64>),
    Many(Box<[u8; 2048]>),
}

const FEW_MAX: usize = 256;

impl Default for Distinct {
    fn default() -> Self {
        Self(Registers::Few(BTreeSet::new()))
    }
}

impl Distinct {
    /// Counts a value by its [`hash`].
    pub fn add(&mut self, hash: u64) {
        match &mut self.0 {
            Registers::Many(registers) => raise(registers, hash),
            Registers::Few(few) => {
                few.insert(hash);
                if few.len() > FEW_MAX {
                    self.spill();
                }
            }
        }
    }

    fn spill(&mut self) {
        if let Registers::Few(few) = &self.0 {
            let mut registers = Box::new([0; 2048]);
            for hash in few {
                raise(&mut registers, *hash);
            }
            self.0 = Registers::Many(registers);
        }
    }

    /// Adds what another sketch has seen.
    pub fn merge(&mut self, other: &Self) {
        match &other.0 {
            Registers::Few(few) => few.iter().for_each(|hash| self.add(*hash)),
            Registers::Many(theirs) => {
                self.spill();
                if let Registers::Many(ours) = &mut self.0 {
                    ours.iter_mut().zip(theirs.iter()).for_each(|(a, b)| *a = (*a).max(*b));
                }
            }
        }
    }

    /// The number of different values and whether it is exact.
    pub fn count(&self) -> (u64, bool) {
        match &self.0 {
            Registers::Few(few) => (few.len() as u64, true),
            Registers::Many(registers) => (estimate(registers), false),
        }
    }
}

fn raise(registers: &mut [u8; 2048], hash: u64) {
    let index = (hash >> 53) as usize;
    let rank = ((hash << 11) | 1 << 10).leading_zeros() as u8 + 1;
    registers[index] = registers[index].max(rank);
}

fn estimate(registers: &[u8; 2048]) -> u64 {
    let size = registers.len() as f64;
    let sum: f64 = registers.iter().map(|rank| 2f64.powi(-i32::from(*rank))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
    let zeros = memchr::memchr_iter(0, registers).count() as f64;
    let small = raw <= 2.5 * size && zeros > 0.0;
    (if small { size * (size / zeros).ln() } else { raw }).round() as u64
}

/// The most frequent values: exact counts up to 128 different ones; beyond that Space-Saving
/// (Metwally et al. 2005), where a count is at most `error` too high.
#[derive(Clone, Debug, Default)]
pub struct Top {
    slots: Vec<Slot>,
    index: HashMap<u64, usize, AsIsHasher>,
    cursor: usize,
    least: u64,
}

#[derive(Clone, Debug)]
struct Slot {
    hash: u64,
    count: u64,
    error: u64,
    text: String,
}

const SLOTS: usize = 128;

impl Top {
    /// Counts a value that holds a place already; false where it holds none.
    pub fn again(&mut self, hash: u64) -> bool {
        let slot = self.index.get(&hash);
        if let Some(slot) = slot {
            self.slots[*slot].count += 1;
        }
        slot.is_some()
    }

    /// Counts a value; `text` is asked for where the value takes a place.
    pub fn add(&mut self, hash: u64, text: impl FnOnce(&mut String)) {
        if self.again(hash) {
            return;
        }
        if self.slots.len() < SLOTS {
            self.take(hash, 1, text);
            return;
        }
        let slot = self.weakest();
        let old = &mut self.slots[slot];
        self.index.remove(&old.hash);
        self.index.insert(hash, slot);
        (old.hash, old.error) = (hash, old.count);
        old.count += 1;
        old.text.clear();
        text(&mut old.text);
    }

    fn take(&mut self, hash: u64, count: u64, text: impl FnOnce(&mut String)) {
        let mut value = String::new();
        text(&mut value);
        self.index.insert(hash, self.slots.len());
        self.slots.push(Slot { hash, count, error: 0, text: value });
    }

    // Counts only grow, so a slot passed over at this floor need not be looked at again before
    // the floor rises: amortised constant time.
    fn weakest(&mut self) -> usize {
        loop {
            while self.cursor < self.slots.len() {
                if self.slots[self.cursor].count <= self.least {
                    return self.cursor;
                }
                self.cursor += 1;
            }
            self.cursor = 0;
            self.least = self.slots.iter().map(|slot| slot.count).min().unwrap_or(0);
        }
    }

    /// Adds the counts of another sketch: exact where the values of both fit the capacity.
    pub fn merge(&mut self, other: &Self) {
        for slot in &other.slots {
            if let Some(index) = self.index.get(&slot.hash) {
                self.slots[*index].count += slot.count;
                self.slots[*index].error += slot.error;
            } else {
                self.take(slot.hash, slot.count, |text| text.push_str(&slot.text));
            }
        }
        if self.slots.len() > SLOTS {
            self.shrink();
        }
    }

    fn shrink(&mut self) {
        self.slots.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.text.cmp(&b.text)));
        let dropped = self.slots[SLOTS].count;
        self.slots.truncate(SLOTS);
        self.slots.iter_mut().for_each(|slot| {
            slot.count += dropped;
            slot.error += dropped;
        });
        self.index = self.slots.iter().enumerate().map(|(at, slot)| (slot.hash, at)).collect();
        (self.cursor, self.least) = (0, 0);
    }

    /// The `limit` most frequent values as (value, count, how much the count may be too high).
    pub fn most(&self, limit: usize) -> Vec<(&str, u64, u64)> {
        let mut all: Vec<_> =
            self.slots.iter().map(|slot| (slot.text.as_str(), slot.count, slot.error)).collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        all.truncate(limit);
        all
    }
}

/// A histogram of numbers whose range nobody knows beforehand.
///
/// Bins are 2^k wide and begin at multiples of 2^k. k is the smallest that puts the range seen so
/// far into 256 bins; a wider range merges neighbours, which moves no value to a wrong bin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bins {
    width_log2: i32,
    /// 1 / width; 0 where that is no ordinary double.
    per_width: f64,
    first: i64,
    counts: Vec<u64>,
    range: Option<(f64, f64)>,
}

const BINS: i64 = 256;
const WIDTH_LOG2_MIN: i32 = -40;

impl Bins {
    /// Counts a finite number; others are ignored.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.cover(value, value);
            let bin = if self.per_width == 0.0 {
                bin_of(value, self.width_log2)
            } else {
                floor_bin(value, value * self.per_width)
            };
            let bin = bin - self.first;
            self.counts[bin as usize] += 1;
        }
    }

    /// Smallest and largest value.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    fn cover(&mut self, low: f64, high: f64) {
        let (min, max) = self.range.unwrap_or((low, high));
        if self.range.is_some() && min <= low && high <= max {
            return;
        }
        let (min, max) = (min.min(low), max.max(high));
        self.range = Some((min, max));
        let width = width_for(min, max);
        if self.counts.is_empty() {
            self.width_log2 = width;
            self.first = bin_of(min, width);
        }
        self.widen(width);
        let ordinary = self.width_log2.abs() < 1_000;
        self.per_width = if ordinary { 2f64.powi(-self.width_log2) } else { 0.0 };
        let front = self.first - bin_of(min, width);
        if front > 0 {
            self.counts.splice(0..0, std::iter::repeat_n(0, front as usize));
            self.first -= front;
        }
        let bins = (bin_of(max, width) - self.first + 1) as usize;
        self.counts.resize(bins.max(self.counts.len()), 0);
    }

    fn widen(&mut self, width_log2: i32) {
        let shift = width_log2 - self.width_log2;
        if shift <= 0 {
            return;
        }
        let merged = |bin: i64| if shift > 62 { bin >> 62 } else { bin >> shift };
        let first = merged(self.first);
        let mut counts = Vec::new();
        for (offset, count) in self.counts.iter().enumerate() {
            let at = (merged(self.first + offset as i64) - first) as usize;
            counts.resize(counts.len().max(at + 1), 0);
            counts[at] += count;
        }
        (self.width_log2, self.first, self.counts) = (width_log2, first, counts);
    }

    /// Adds another histogram.
    pub fn merge(&mut self, other: &Self) {
        let Some((low, high)) = other.range else {
            return;
        };
        let mut other = other.clone();
        self.cover(low, high);
        other.widen(self.width_log2);
        for (offset, count) in other.counts.iter().enumerate() {
            let at = other.first + offset as i64 - self.first;
            self.counts[at as usize] += count;
        }
    }

    /// Counts in `bins` equal parts of the range from smallest to largest value; the border of two
    /// parts may be off by one 128th of the range.
    pub fn equal(&self, bins: usize) -> Vec<u64> {
        let Some((min, max)) = self.range else {
            return Vec::new();
        };
        let mut out = vec![0; bins];
        for (offset, count) in self.counts.iter().enumerate() {
            let centre = self.centre(offset).clamp(min, max);
            let part =
                if max > min { (centre / 2.0 - min / 2.0) / (max / 2.0 - min / 2.0) } else { 0.0 };
            let at = ((part * bins as f64) as usize).min(bins - 1);
            out[at] += count;
        }
        out
    }

    fn centre(&self, offset: usize) -> f64 {
        ((self.first + offset as i64) as f64 + 0.5) * 2f64.powi(self.width_log2)
    }

    /// The value below which `part` (0 to 1) of the values lie, to one bin.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let (min, max) = self.range?;
        let total: u64 = self.counts.iter().sum();
        let wanted = (part * total as f64) as u64;
        let mut seen = 0;
        for (offset, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > wanted {
                return Some(self.centre(offset).clamp(min, max));
            }
        }
        Some(max)
    }

    /// How wide a bin is: two values closer than that are not told apart.
    pub fn resolution(&self) -> f64 {
        2f64.powi(self.width_log2)
    }

    /// How many values lie outside `low..=high`, to one bin.
    pub fn outside(&self, low: f64, high: f64) -> u64 {
        let beyond = |offset: &usize| !(low..=high).contains(&self.centre(*offset));
        (0..self.counts.len()).filter(beyond).map(|offset| self.counts[offset]).sum()
    }

    /// Values counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

fn bin_of(value: f64, width_log2: i32) -> i64 {
    floor_bin(value, scale(value, -width_log2))
}

fn floor_bin(value: f64, scaled: f64) -> i64 {
    let bin = scaled.floor() as i64;
    // A tiny negative value that underflows to -0 still lies below zero.
    if value < 0.0 { bin.min(-1) } else { bin }
}

// In two steps, because 2^1074 is no double.
fn scale(value: f64, power: i32) -> f64 {
    let half = power / 2;
    value * 2f64.powi(half) * 2f64.powi(power - half)
}

// Depends on the range alone, so that the order of the values does not matter.
fn width_for(min: f64, max: f64) -> i32 {
    let largest = min.abs().max(max.abs());
    let exponent = if largest > 0.0 { largest.log2().floor() as i32 } else { 0 };
    // Bin numbers stay below 2^52, where floor and i64 are exact.
    let mut width = WIDTH_LOG2_MIN.max(exponent - 51);
    while bin_of(max, width) - bin_of(min, width) >= BINS {
        width += 1;
    }
    width
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bins(values: &[f64]) -> Bins {
        let mut bins = Bins::default();
        for value in values {
            bins.add(*value);
        }
        bins
    }

    fn distinct(values: impl IntoIterator<Item = u32>) -> Distinct {
        let mut sketch = Distinct::default();
        for value in values {
            sketch.add(hash(&value.to_le_bytes()));
        }
        sketch
    }

    fn top(values: &[u8]) -> Top {
        let mut top = Top::default();
        for value in values {
            top.add(hash(&[*value]), |text| text.push_str(&value.to_string()));
        }
        top
    }

    #[test]
    fn few_distinct_values_are_counted_exactly() {
        assert_eq!(distinct((0..256).chain(0..256)).count(), (256, true));
    }

    #[test]
    fn many_distinct_values_are_estimated_within_eight_percent() {
        for wanted in [1_000u32, 20_000, 300_000] {
            let (count, exact) = distinct(0..wanted).count();
            assert!(!exact);
            let off = (count as f64 - f64::from(wanted)).abs() / f64::from(wanted);
            assert!(off < 0.08, "{count} for {wanted}");
        }
    }

    #[test]
    fn a_histogram_keeps_an_hour_of_epochs_apart() {
        let hour: Vec<f64> = (0..3_600).map(|second| 1.7e9 + f64::from(second)).collect();
        let parts = bins(&hour).equal(24);
        assert!(parts.iter().all(|count| (100..=200).contains(count)), "{parts:?}");
    }

    #[test]
    fn extremes_do_not_break_a_histogram() {
        let bins = bins(&[f64::MIN, -0.0, 5e-324, f64::MAX, f64::NAN]);
        assert_eq!(bins.total(), 4);
        assert_eq!(bins.equal(24).iter().sum::<u64>(), 4);
    }

    #[test]
    fn a_heavy_value_is_found_among_many() {
        let mut sketch = Top::default();
        for number in 0..100_000u32 {
            sketch.add(hash(b"often"), |text| text.push_str("often"));
            sketch.add(hash(&number.to_le_bytes()), |text| text.push_str("rare"));
        }
        let (text, count, error) = sketch.most(1)[0];
        assert_eq!(text, "often");
        assert!(count >= 100_000 && count - error <= 100_000);
    }

    proptest! {
        #[test]
        fn merged_histograms_equal_one(values in prop::collection::vec(prop_oneof![
            any::<f64>(), -1e6f64..1e6, (-50i32..50).prop_map(f64::from)
        ], 0..60), cut in 0usize..60) {
            let cut = cut.min(values.len());
            let mut merged = bins(&values[..cut]);
            merged.merge(&bins(&values[cut..]));
            prop_assert_eq!(merged, bins(&values));
        }

        #[test]
        fn merged_distinct_counts_equal_one(
            values in prop::collection::vec(0u32..2_000, 0..900), cut in 0usize..900
        ) {
            let cut = cut.min(values.len());
            let mut merged = distinct(values[..cut].iter().copied());
            merged.merge(&distinct(values[cut..].iter().copied()));
            prop_assert_eq!(merged, distinct(values));
        }

        #[test]
        fn merged_top_values_equal_one_within_the_capacity(
            values in prop::collection::vec(0u8..100, 0..400), cut in 0usize..400
        ) {
            let cut = cut.min(values.len());
            let mut merged = top(&values[..cut]);
            merged.merge(&top(&values[cut..]));
            let whole = top(&values);
            prop_assert_eq!(merged.most(200), whole.most(200));
        }
    }
}
