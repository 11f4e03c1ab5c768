//! Text to doubles, only where the decimal number survives.
//!
//! A literal of the grammar of JSON is accepted if the shortest text that reads back as the same
//! double has the same decimal value. Short literals take a fast way: with up to 15 digits and a
//! power of ten up to 22 both parts are exact doubles, so that one multiplication or division is
//! correctly rounded (W. D. Clinger, "How to Read Floating Point Numbers Accurately", 1990), and 15
//! digits are few enough that distinct decimals are distinct doubles.

use whimbrel_model::decimal::Decimal;

use super::Fault;
use crate::codes;

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The double that a literal says exactly; `-0` keeps its sign.
///
/// The inverse is [`to_text`].
#[inline]
pub fn parse(text: &str) -> Result<f64, Fault> {
    parse_short(text.as_bytes()).map_or_else(|| parse_long(text), Ok)
}

/// The shortest literal that reads back as this double; `None` for NaN and infinities.
pub fn to_text(value: f64) -> Option<String> {
    value.is_finite().then(|| {
        let mut text = format!("{value:?}");
        if let Some(short) = text.strip_suffix(".0").map(str::len) {
            text.truncate(short);
        }
        text
    })
}

/// The double that an integer is, by its value and as it is spelt.
pub fn of_integer(value: i128) -> Result<f64, Fault> {
    const EXACT: i128 = 1 << 53;
    let float = value as f64;
    if (-EXACT..=EXACT).contains(&value) || integer_is(float, value) {
        Ok(float)
    } else {
        Err(not_exact())
    }
}

fn integer_is(float: f64, value: i128) -> bool {
    // `as` saturates: 2^127 as a double is no i128.
    float.abs() < 1.7e38
        && float as i128 == value
        && to_text(float).is_some_and(|text| super::integer::of_number(&text) == Ok(value))
}

/// `-?(0|[1-9][0-9]*)(\.[0-9]+)?` with at most 15 digits; `None` says nothing.
#[inline]
pub(crate) fn parse_short(bytes: &[u8]) -> Option<f64> {
    let (negative, rest) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if rest.len() > 16 || rest.is_empty() || (rest[0] == b'0' && rest.len() > 1 && rest[1] != b'.')
    {
        return None;
    }
    let (mut mantissa, mut digits, mut scale, mut point) = (0u64, 0u32, 0usize, false);
    for (index, byte) in rest.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            mantissa = mantissa * 10 + u64::from(digit);
            digits += 1;
            scale += usize::from(point);
        } else if *byte == b'.' && !point && index > 0 && index + 1 < rest.len() {
            point = true;
        } else {
            return None;
        }
    }
    if digits > 15 {
        return None;
    }
    let value = mantissa as f64 / POWERS[scale];
    Some(if negative { -value } else { value })
}

fn parse_long(text: &str) -> Result<f64, Fault> {
    let number = Decimal::parse(text)
        .map_err(|_| Fault::new(codes::NOT_A_NUMBER, "not a number as it stands"))?;
    number.to_f64_exact().ok_or_else(not_exact)
}

fn not_exact() -> Fault {
    Fault::new(codes::NOT_EXACT, "a double cannot hold the number exactly")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_decimal_number_survives_or_the_text_is_refused() {
        assert_eq!(parse("1.10"), Ok(1.1));
        assert_eq!(parse("1e5"), Ok(1e5));
        assert_eq!(parse("120"), Ok(120.0));
        assert_eq!(parse("-0").map(f64::to_bits), Ok((-0.0f64).to_bits()));
        for text in ["9007199254740993", "0.10000000000000000001", "1e400", "123456789012345678"] {
            assert_eq!(parse(text).unwrap_err().code, codes::NOT_EXACT, "{text}");
        }
        for text in [
            "", "-", "nan", "NAN", "inf", "+1", "007", ".5", "5.", "1,5", " 1", "--", "1.2.3",
            "0x1p3", "1.-2",
        ] {
            assert_eq!(parse(text).unwrap_err().code, codes::NOT_A_NUMBER, "{text}");
        }
    }

    #[test]
    fn integers_beyond_53_bits_may_be_doubles_by_luck() {
        assert_eq!(
            of_integer(1 << 60),
            Err(not_exact()),
            "its shortest text is 1152921504606847000"
        );
        assert_eq!(of_integer((1 << 53) + 1), Err(not_exact()));
        assert_eq!(of_integer(1_000_000_000_000_000_000), Ok(1e18));
        assert_eq!(of_integer(i128::MAX), Err(not_exact()));
    }

    proptest! {
        #[test]
        fn doubles_survive_their_text(value in any::<f64>()) {
            if let Some(text) = to_text(value) {
                prop_assert_eq!(parse(&text).map(f64::to_bits), Ok(value.to_bits()));
            }
        }

        #[test]
        fn the_fast_way_agrees_with_the_exact_one(text in "-?[0-9]{0,9}(\\.[0-9]{0,9})?") {
            if let Some(fast) = parse_short(text.as_bytes()) {
                prop_assert_eq!(parse_long(&text).map(f64::to_bits), Ok(fast.to_bits()));
            }
        }
    }
}
