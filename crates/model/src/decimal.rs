//! Exact decimals as text: grammar, order, equality and exact conversions of a number literal.
//!
//! A [`Decimal`] is a view into its text: it never rounds and, unless it says so, never allocates.
//! It owns no arithmetic and no rounding: whoever needs `0.1 + 0.2` works elsewhere.
//!
//! ```text
//! "-0012.500e3"   refused: leading zero      "-12.500e3"  =  - | 125 | × 10^2
//!                                                          sign digits exponent
//! ```

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::hash::{Hash, Hasher};

/// The most significant digits a literal may have: just above PostgreSQL's `numeric` (147,455).
///
/// Turning digits into bytes costs their square, so hostile text must not choose their number.
pub const DIGITS_MAX: usize = 150_000;

/// The largest absolute exponent a literal may write.
pub const EXPONENT_MAX: i64 = 999_999_999_999_999_999;

/// How many zeros the canonical spelling writes out before it turns to an exponent.
const PLAIN_ZEROS_MAX: i64 = 40;

/// Why a text is not a decimal literal. `at` is the byte offset in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// A digit had to stand here.
    #[error("expected a digit at byte {at}")]
    DigitExpected {
        /// Byte offset.
        at: usize,
    },
    /// `007` is a code, not a number.
    #[error("leading zero at byte {at}")]
    LeadingZero {
        /// Byte offset of the zero.
        at: usize,
    },
    /// The number ended, the text did not.
    #[error("not part of a number, from byte {at}")]
    Trailing {
        /// Byte offset of the first byte past the number.
        at: usize,
    },
    /// The exponent, or that of the value written with one digit before the point, is beyond
    /// [`EXPONENT_MAX`].
    #[error("exponent beyond 18 digits at byte {at}")]
    ExponentOutOfRange {
        /// Byte offset of the exponent's digits.
        at: usize,
    },
    /// More than [`DIGITS_MAX`] significant digits.
    #[error("more than {DIGITS_MAX} digits from byte {at}")]
    TooManyDigits {
        /// Byte offset of the first digit.
        at: usize,
    },
}

/// A finite decimal number: a view into its literal.
///
/// The grammar is JSON's (RFC 8259 §6): `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`.
/// Equality, order and hash go by value: `1.10 == 1.1 == 11e-1`, and `-0 == 0`.
#[derive(Debug, Clone, Copy)]
pub struct Decimal<'a> {
    text: &'a str,
    /// Significant digits before the point …
    head: &'a [u8],
    /// … and after it. No leading or trailing zero over both.
    tail: &'a [u8],
    exponent: i64,
    negative: bool,
}

/// A decimal as a database column may hold it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Numeric<'a> {
    /// A number.
    Finite(Decimal<'a>),
    /// Not a number.
    NaN,
    /// Above every number.
    Infinity,
    /// Below every number.
    NegativeInfinity,
}

/// The digits of a [`Decimal`] as an unsigned binary number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coefficient {
    /// Up to 38 digits.
    Small(u128),
    /// Big-endian bytes without leading zero bytes.
    Big(Vec<u8>),
}

impl<'a> Numeric<'a> {
    /// Like [`Decimal::parse`], and `NaN`, `Infinity`, `-Infinity` as PostgreSQL writes them.
    pub fn parse(text: &'a str) -> Result<Self, DecimalError> {
        match text {
            "NaN" => Ok(Self::NaN),
            "Infinity" => Ok(Self::Infinity),
            "-Infinity" => Ok(Self::NegativeInfinity),
            literal => Decimal::parse(literal).map(Self::Finite),
        }
    }
}

impl<'a> Decimal<'a> {
    /// Reads a whole literal: no blanks, no `+`, no leading zeros, no bare point.
    pub fn parse(text: &'a str) -> Result<Self, DecimalError> {
        let parts = scan(text.as_bytes(), 0)?;
        if parts.end != text.len() {
            return Err(DecimalError::Trailing { at: parts.end });
        }
        Ok(Self::from_parts(text, &parts))
    }

    fn from_parts(text: &'a str, parts: &Parts) -> Self {
        let bytes = text.as_bytes();
        let (head, tail, exponent) = parts.significant(bytes);
        let zero = head.is_empty() && tail.is_empty();
        Self {
            text,
            head,
            tail,
            exponent: if zero { 0 } else { exponent },
            negative: !zero && bytes.first() == Some(&b'-'),
        }
    }

    /// The literal as written.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Below zero; `-0` is not.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// Zero in any spelling.
    pub fn is_zero(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    /// Without a fraction: `12`, `1.0` and `1e3` are, `1.5` is not.
    pub fn is_integer(&self) -> bool {
        self.exponent >= 0
    }

    /// Significant digits: no leading, no trailing zeros; none for zero.
    pub fn digits(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.head.iter().chain(self.tail).map(|b| b - b'0')
    }

    /// How many [`digits`](Self::digits) there are.
    pub fn digit_count(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The power of ten of the last significant digit; 0 for zero.
    pub fn exponent(&self) -> i64 {
        self.exponent
    }

    /// Digits after the point that a plain spelling needs.
    pub fn scale(&self) -> u64 {
        self.exponent.min(0).unsigned_abs()
    }

    /// Whether `NUMERIC(precision, scale)` holds the value exactly. A scale beyond the precision means
    /// zeros behind the point.
    pub fn fits(&self, precision: u32, scale: u32) -> bool {
        self.is_zero()
            || (self.scale() <= u64::from(scale)
                && self.point() + i64::from(scale) <= i64::from(precision))
    }

    /// The integer, if the value is one and fits.
    pub fn to_i128_exact(&self) -> Option<i128> {
        if self.exponent < 0 || self.point() > 39 {
            return None;
        }
        let mut magnitude: u128 = 0;
        let zeros = std::iter::repeat_n(0, self.exponent as usize);
        for digit in self.digits().chain(zeros) {
            magnitude = magnitude.checked_mul(10)?.checked_add(u128::from(digit))?;
        }
        if self.negative {
            0i128.checked_sub_unsigned(magnitude)
        } else {
            i128::try_from(magnitude).ok()
        }
    }

    /// The nearest double, ties to even; beyond the range ±infinity; `-0` keeps its sign.
    pub fn to_f64_nearest(&self) -> f64 {
        self.text.parse().expect("the decimal grammar is a subset of Rust's float grammar")
    }

    /// The double whose shortest round-trip spelling has exactly this value.
    ///
    /// `0.1` has one; `0.10000000000000000001`, `9007199254740993` and `1e400` have none.
    pub fn to_f64_exact(&self) -> Option<f64> {
        let float = self.to_f64_nearest();
        // Up to DBL_DIG = 15 digits, distinct decimals in the normal range are distinct doubles,
        // so the shortest spelling of `float` can only be this decimal.
        let surely = self.digit_count() <= 15 && (-290..=290).contains(&self.exponent);
        (surely || self.equals_shortest(float.is_finite(), float)).then_some(float)
    }

    /// [`to_f64_exact`](Self::to_f64_exact) for single precision.
    pub fn to_f32_exact(&self) -> Option<f32> {
        let float: f32 =
            self.text.parse().expect("the decimal grammar is a subset of Rust's float grammar");
        let surely = self.digit_count() <= 6 && (-30..=30).contains(&self.exponent);
        (surely || self.equals_shortest(float.is_finite(), float)).then_some(float)
    }

    fn equals_shortest(&self, finite: bool, float: impl fmt::LowerExp) -> bool {
        let mut shortest = ShortText::default();
        finite
            && write!(shortest, "{float:e}").is_ok()
            && Decimal::parse(shortest.as_str()).is_ok_and(|other| *self == other)
    }

    /// Digits and point, no exponent, no needless zeros; `None` if that takes more than `chars_max`.
    pub fn to_plain_string(&self, chars_max: usize) -> Option<String> {
        let zeros = self.exponent.max(0).max(-self.point()).max(0);
        let chars = usize::try_from(zeros).ok()?.checked_add(self.digit_count() + 3)?;
        if chars > chars_max.saturating_add(3) {
            return None;
        }
        let mut out = String::with_capacity(chars);
        self.write_plain(&mut out).expect("a String takes every character");
        (out.len() <= chars_max).then_some(out)
    }

    /// The digits as a binary number, exact at any length.
    pub fn coefficient(&self) -> Coefficient {
        if self.digit_count() <= 38 {
            Coefficient::Small(self.digits().fold(0, |sum, digit| sum * 10 + u128::from(digit)))
        } else {
            Coefficient::Big(self.coefficient_bytes())
        }
    }

    fn coefficient_bytes(&self) -> Vec<u8> {
        const CHUNK: usize = 19; // 10^19 is the largest power of ten in a u64
        let mut limbs: Vec<u64> = Vec::with_capacity(self.digit_count() / CHUNK + 1);
        let mut digits = self.digits();
        let mut left = self.digit_count();
        while left > 0 {
            let length = if left.is_multiple_of(CHUNK) { CHUNK } else { left % CHUNK };
            let chunk = digits.by_ref().take(length).fold(0, |sum, d| sum * 10 + u64::from(d));
            multiply_add(&mut limbs, 10u64.pow(length as u32), chunk);
            left -= length;
        }
        let bytes: Vec<u8> = limbs.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        bytes[zeros..].to_vec()
    }

    /// How many digits stand before the point (negative: zeros after it).
    fn point(&self) -> i64 {
        self.exponent + self.digit_count() as i64
    }

    fn write_plain(&self, out: &mut impl fmt::Write) -> fmt::Result {
        if self.is_zero() {
            return out.write_char('0');
        }
        if self.negative {
            out.write_char('-')?;
        }
        let point = self.point();
        if point <= 0 {
            out.write_str("0.")?;
            write_zeros(out, -point)?;
        }
        for (index, digit) in self.digits().enumerate() {
            if index as i64 == point && index > 0 {
                out.write_char('.')?;
            }
            out.write_char(char::from(b'0' + digit))?;
        }
        write_zeros(out, self.exponent)
    }

    fn write_scientific(&self, out: &mut impl fmt::Write) -> fmt::Result {
        if self.negative {
            out.write_char('-')?;
        }
        for (index, digit) in self.digits().enumerate() {
            if index == 1 {
                out.write_char('.')?;
            }
            out.write_char(char::from(b'0' + digit))?;
        }
        write!(out, "e{}", self.point() - 1)
    }
}

/// The canonical spelling: one per value, bounded in length.
///
/// Plain digits (`-12.5`, `0`, `1000`) as long as at most 40 zeros have to be filled in, else one
/// digit before the point and an exponent (`1.25e-300`).
impl fmt::Display for Decimal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zeros = self.exponent.max(-self.point());
        if zeros <= PLAIN_ZEROS_MAX { self.write_plain(f) } else { self.write_scientific(f) }
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |d: &Self| if d.is_zero() { 0i8 } else { 1 - 2 * i8::from(d.negative) };
        let by_sign = sign(self).cmp(&sign(other));
        if by_sign != Ordering::Equal || self.is_zero() {
            return by_sign;
        }
        let by_size =
            self.point().cmp(&other.point()).then_with(|| self.digits().cmp(other.digits()));
        if self.negative { by_size.reverse() } else { by_size }
    }
}

impl Hash for Decimal<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.negative, self.exponent, self.digit_count()).hash(state);
        for digit in self.digits() {
            state.write_u8(digit);
        }
    }
}

/// The decimal digits of a big-endian binary number, without leading zeros; empty for zero.
///
/// The inverse of [`Decimal::coefficient`]; costs the square of the length.
pub fn digits_of_bytes(bytes: &[u8]) -> String {
    let mut limbs: Vec<u64> = Vec::with_capacity(bytes.len() / 7 + 1);
    for byte in bytes {
        let mut carry = u128::from(*byte);
        for limb in &mut limbs {
            let wide = u128::from(*limb) * 256 + carry;
            *limb = (wide % u128::from(TEN_TO_19)) as u64;
            carry = wide / u128::from(TEN_TO_19);
        }
        if carry > 0 {
            limbs.push(carry as u64);
        }
    }
    let mut text = String::with_capacity(limbs.len() * 19);
    for (index, limb) in limbs.iter().rev().enumerate() {
        let written = if index == 0 { write!(text, "{limb}") } else { write!(text, "{limb:019}") };
        written.expect("a String takes every character");
    }
    text
}

const TEN_TO_19: u64 = 10_000_000_000_000_000_000;

/// Where the parts of a literal stand in the bytes they were found in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts {
    whole: (usize, usize),
    fraction: (usize, usize),
    exponent: i64,
    /// First byte past the number.
    pub(crate) end: usize,
}

impl Parts {
    /// Digits before and after the point without outer zeros, and the last one's power of ten.
    fn significant<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8], i64) {
        let whole = strip_leading_zeros(&bytes[self.whole.0..self.whole.1]);
        let fraction = strip_trailing_zeros(&bytes[self.fraction.0..self.fraction.1]);
        if fraction.is_empty() {
            let head = strip_trailing_zeros(whole);
            return (head, fraction, self.exponent + (whole.len() - head.len()) as i64);
        }
        let tail = if whole.is_empty() { strip_leading_zeros(fraction) } else { fraction };
        (whole, tail, self.exponent - fraction.len() as i64)
    }

    /// Whether the scientific spelling's exponent stays within [`EXPONENT_MAX`].
    fn in_range(&self, bytes: &[u8]) -> bool {
        let (head, tail, exponent) = self.significant(bytes);
        let count = (head.len() + tail.len()) as i64;
        count == 0 || (exponent + count - 1).abs() <= EXPONENT_MAX
    }
}

/// Finds the number literal that begins at `start`; what follows it is the caller's business.
pub(crate) fn scan(bytes: &[u8], start: usize) -> Result<Parts, DecimalError> {
    let whole_start = start + usize::from(bytes.get(start) == Some(&b'-'));
    let whole_end = digits_end(bytes, whole_start)?;
    if whole_end - whole_start > 1 && bytes[whole_start] == b'0' {
        return Err(DecimalError::LeadingZero { at: whole_start });
    }
    let fraction = match bytes.get(whole_end) {
        Some(b'.') => (whole_end + 1, digits_end(bytes, whole_end + 1)?),
        _ => (whole_end, whole_end),
    };
    if whole_end - whole_start + (fraction.1 - fraction.0) > DIGITS_MAX {
        return Err(DecimalError::TooManyDigits { at: whole_start });
    }
    let (exponent, end) = match bytes.get(fraction.1) {
        Some(b'e' | b'E') => scan_exponent(bytes, fraction.1 + 1)?,
        _ => (0, fraction.1),
    };
    let parts = Parts { whole: (whole_start, whole_end), fraction, exponent, end };
    // Below this no count of digits can carry the value past the limit.
    if exponent.abs() > EXPONENT_MAX - 2 * DIGITS_MAX as i64 && !parts.in_range(bytes) {
        return Err(DecimalError::ExponentOutOfRange { at: fraction.1 + 1 });
    }
    Ok(parts)
}

fn scan_exponent(bytes: &[u8], start: usize) -> Result<(i64, usize), DecimalError> {
    let sign = bytes.get(start).copied();
    let from = start + usize::from(matches!(sign, Some(b'+' | b'-')));
    let end = digits_end(bytes, from)?;
    let digits = strip_leading_zeros(&bytes[from..end]);
    if digits.len() > 18 {
        return Err(DecimalError::ExponentOutOfRange { at: from });
    }
    let size = digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Ok((if sign == Some(b'-') { -size } else { size }, end))
}

fn digits_end(bytes: &[u8], start: usize) -> Result<usize, DecimalError> {
    let rest = bytes.get(start..).unwrap_or_default();
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return Err(DecimalError::DigitExpected { at: start });
    }
    Ok(start + count)
}

fn strip_leading_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|digit| **digit == b'0').count();
    &digits[zeros..]
}

fn strip_trailing_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().rev().take_while(|digit| **digit == b'0').count();
    &digits[..digits.len() - zeros]
}

fn multiply_add(limbs: &mut Vec<u64>, factor: u64, addend: u64) {
    let mut carry = u128::from(addend);
    for limb in limbs.iter_mut() {
        let wide = u128::from(*limb) * u128::from(factor) + carry;
        *limb = wide as u64;
        carry = wide >> 64;
    }
    if carry > 0 {
        limbs.push(carry as u64);
    }
}

fn write_zeros(out: &mut impl fmt::Write, count: i64) -> fmt::Result {
    (0..count).try_for_each(|_| out.write_char('0'))
}

/// Room for the shortest spelling of any double, on the stack.
#[derive(Default)]
struct ShortText {
    bytes: [u8; 32],
    length: usize,
}

impl ShortText {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl fmt::Write for ShortText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(text: &str, expect: &Expect) {
        let found = match Decimal::parse(text) {
            Ok(d) => format!("{d} digits={} exponent={}", d.digit_count(), d.exponent()),
            Err(error) => error.to_string(),
        };
        expect.assert_eq(&found);
    }

    #[test]
    fn spellings_of_one_value_are_one() {
        check("1.10", &expect!["1.1 digits=2 exponent=-1"]);
        check("11e-1", &expect!["1.1 digits=2 exponent=-1"]);
        check("0.0110E+2", &expect!["1.1 digits=2 exponent=-1"]);
        check("-0.000", &expect!["0 digits=0 exponent=0"]);
        check("0e999999999999999999", &expect!["0 digits=0 exponent=0"]);
        check("100", &expect!["100 digits=1 exponent=2"]);
        check("-12.50", &expect!["-12.5 digits=3 exponent=-1"]);
        check("0.05", &expect!["0.05 digits=1 exponent=-2"]);
    }

    #[test]
    fn what_is_not_a_literal_says_where() {
        check("", &expect!["expected a digit at byte 0"]);
        check("+1", &expect!["expected a digit at byte 0"]);
        check("00601", &expect!["leading zero at byte 0"]);
        check("-01", &expect!["leading zero at byte 1"]);
        check(".5", &expect!["expected a digit at byte 0"]);
        check("5.", &expect!["expected a digit at byte 2"]);
        check("1e", &expect!["expected a digit at byte 2"]);
        check("1,5", &expect!["not part of a number, from byte 1"]);
        check("1 ", &expect!["not part of a number, from byte 1"]);
        check("NaN", &expect!["expected a digit at byte 0"]);
        check(
            "1e999999999999999999",
            &expect!["1e999999999999999999 digits=1 exponent=999999999999999999"],
        );
        check("10e999999999999999999", &expect!["exponent beyond 18 digits at byte 3"]);
        check("0.1e-999999999999999999", &expect!["exponent beyond 18 digits at byte 4"]);
        check("1e1000000000000000000", &expect!["exponent beyond 18 digits at byte 2"]);
        check(&"9".repeat(DIGITS_MAX + 1), &expect!["more than 150000 digits from byte 0"]);
    }

    #[test]
    fn a_huge_exponent_costs_nothing() {
        let d = Decimal::parse("1e999999999").unwrap();
        assert_eq!(d.to_plain_string(1_000_000), None);
        assert_eq!(d.to_i128_exact(), None);
        assert_eq!(d.to_f64_exact(), None);
        assert_eq!(d.to_string(), "1e999999999");
        assert_eq!(Decimal::parse("1.5e-999999999").unwrap().to_f64_exact(), None);
    }

    #[test]
    fn integers_convert_at_their_edges() {
        let int = |text| Decimal::parse(text).unwrap().to_i128_exact();
        assert_eq!(int("-170141183460469231731687303715884105728"), Some(i128::MIN));
        assert_eq!(int("170141183460469231731687303715884105727"), Some(i128::MAX));
        assert_eq!(int("170141183460469231731687303715884105728"), None);
        assert_eq!(int("1.50e1"), Some(15));
        assert_eq!(int("1.5"), None);
        assert_eq!(int("1e38"), Some(10i128.pow(38)));
        assert_eq!(int("1e39"), None);
    }

    #[test]
    fn a_float_is_exact_when_its_shortest_spelling_is_the_value() {
        let float = |text| Decimal::parse(text).unwrap().to_f64_exact();
        assert_eq!(float("0.1"), Some(0.1));
        assert_eq!(float("0.10000000000000000001"), None);
        assert_eq!(float("9007199254740993"), None);
        assert_eq!(float("9007199254740992"), Some(9_007_199_254_740_992.0));
        assert_eq!(float("1.7976931348623157e308"), Some(f64::MAX));
        assert_eq!(float("5e-324"), Some(5e-324));
        assert_eq!(float("4.9e-324"), None);
        assert_eq!(float("1e-400"), None);
        assert_eq!(float("1e400"), None);
        assert_eq!(float("-0.0").map(f64::to_bits), Some((-0.0f64).to_bits()));
        assert_eq!(Decimal::parse("16777217").unwrap().to_f32_exact(), None);
        assert_eq!(Decimal::parse("0.1").unwrap().to_f32_exact(), Some(0.1));
    }

    #[test]
    fn numeric_columns_hold_what_fits() {
        let fits = |text, p, s| Decimal::parse(text).unwrap().fits(p, s);
        assert!(fits("999.99", 5, 2) && fits("0.00", 1, 1) && fits("-1e2", 3, 0));
        assert!(!fits("1000", 5, 2) && !fits("0.001", 5, 2));
        // Two digits behind three zeros.
        assert!(fits("0.00012", 2, 5) && !fits("0.00123", 2, 5));
    }

    proptest! {
        #[test]
        fn an_integer_survives_its_text(value: i128) {
            let text = value.to_string();
            let d = Decimal::parse(&text).unwrap();
            prop_assert_eq!(d.to_i128_exact(), Some(value));
            prop_assert_eq!(d.to_plain_string(40), Some(text.clone()));
        }

        #[test]
        fn a_double_survives_its_shortest_text(bits: u64) {
            let float = f64::from_bits(bits);
            prop_assume!(float.is_finite());
            let text = format!("{float:e}");
            let plain = format!("{float}");
            let exact = Decimal::parse(&text).unwrap().to_f64_exact().map(f64::to_bits);
            prop_assert_eq!(exact, Some(bits));
            prop_assert_eq!(Decimal::parse(&plain).unwrap(), Decimal::parse(&text).unwrap());
        }

        #[test]
        fn fifteen_digits_take_the_fast_path_rightly(digits in 1u64..1_000_000_000_000_000, e in -300i32..300) {
            let text = format!("{digits}e{e}");
            let d = Decimal::parse(&text).unwrap();
            let float = d.to_f64_nearest();
            prop_assert_eq!(d.to_f64_exact().is_some(), d.equals_shortest(float.is_finite(), float));
        }

        #[test]
        fn canonical_text_is_the_same_value(text in "-?(0|[1-9][0-9]{0,60})(\\.[0-9]{1,60})?([eE][+-]?[0-9]{1,3})?") {
            let d = Decimal::parse(&text).unwrap();
            let canonical = d.to_string();
            let again = Decimal::parse(&canonical).unwrap();
            prop_assert_eq!(d, again);
            prop_assert_eq!(again.to_string(), canonical.clone());
            if let Some(plain) = d.to_plain_string(2_000) {
                prop_assert_eq!(Decimal::parse(&plain).unwrap(), d);
            }
        }

        #[test]
        fn coefficients_survive_their_bytes(text in "[1-9]{1,200}") {
            let d = Decimal::parse(&text).unwrap();
            let bytes = d.coefficient_bytes();
            prop_assert_eq!(digits_of_bytes(&bytes), text.clone());
            if let Coefficient::Small(small) = d.coefficient() {
                let all = small.to_be_bytes();
                let zeros = all.iter().take_while(|b| **b == 0).count();
                prop_assert_eq!(&all[zeros..], &bytes[..]);
            }
        }

        #[test]
        fn order_agrees_with_scaled_integers(a: i64, b: i64, ea in 0u32..6, eb in 0u32..6) {
            let (left, right) = (format!("{a}e-{ea}"), format!("{b}e-{eb}"));
            let scaled = |v: i64, e: u32| i128::from(v) * 10i128.pow(6 - e);
            let order = Decimal::parse(&left).unwrap().cmp(&Decimal::parse(&right).unwrap());
            prop_assert_eq!(order, scaled(a, ea).cmp(&scaled(b, eb)));
        }
    }
}
