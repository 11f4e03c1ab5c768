//! Text and numbers to integers, only where nothing is lost.

use whimbrel_model::decimal::Decimal;
use whimbrel_model::kind::IntWidth;

use super::Fault;
use crate::codes;

/// The integer that a canonical text says: `-?(0|[1-9][0-9]*)`, without `-0`.
///
/// The inverse is `i128::to_string`.
#[inline]
pub fn parse(text: &str) -> Result<i128, Fault> {
    parse_short(text).map_or_else(|| parse_long(text), |value| Ok(value.into()))
}

/// The integer that a JSON number is: `1.0` and `1e3` are integers there.
pub fn of_number(literal: &str) -> Result<i128, Fault> {
    if let Some(value) = parse_short(literal) {
        return Ok(value.into());
    }
    let number = Decimal::parse(literal).map_err(|_| not_an_integer())?;
    if !number.is_integer() {
        return Err(not_an_integer());
    }
    number
        .to_i128_exact()
        .ok_or_else(|| Fault::new(codes::OUT_OF_RANGE, "the integer has more than 128 bits"))
}

/// The integer that a double is, by its value and as it is spelt: 19336155566327432.0 is spelt
/// `1.933615556632743e16`, so that nobody knows which one was meant.
pub fn of_float(value: f64) -> Result<i128, Fault> {
    const LIMIT: f64 = 1.7e38;
    if !value.is_finite() {
        return Err(Fault::new(codes::NOT_FINITE, "NaN and infinity are not integers"));
    }
    if value.fract() != 0.0 || (value == 0.0 && value.is_sign_negative()) {
        return Err(not_an_integer());
    }
    if value.abs() > LIMIT {
        return Err(Fault::new(codes::OUT_OF_RANGE, "the integer has more than 128 bits"));
    }
    let integer = value as i128;
    super::float::of_integer(integer).map(|_double| integer)
}

/// The value, if a column of that width can hold it.
#[inline]
pub fn fit(value: i128, width: IntWidth) -> Result<i128, Fault> {
    let (least, most) = width.range();
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(Fault::new(codes::OUT_OF_RANGE, format!("the column holds {least} to {most}")))
    }
}

/// Up to 18 digits by hand; `None` says nothing.
#[inline]
pub(crate) fn parse_short(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty()
        || digits.len() > 18
        || (digits[0] == b'0' && (digits.len() > 1 || negative))
    {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

fn parse_long(text: &str) -> Result<i128, Fault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = !digits.is_empty()
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !(digits.starts_with('0') && text.len() > 1);
    if !canonical {
        return Err(not_an_integer());
    }
    text.parse().map_err(|_| Fault::new(codes::OUT_OF_RANGE, "the integer has more than 128 bits"))
}

fn not_an_integer() -> Fault {
    Fault::new(codes::NOT_AN_INTEGER, "not an integer as it stands")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_canonical_text_is_an_integer() {
        for text in
            ["00601", "1e5", "+1", "1.10", "1.0", "-0", "", "-", " 1", "1 ", "٣", "0x10", "1_000"]
        {
            assert_eq!(parse(text).unwrap_err().code, codes::NOT_AN_INTEGER, "{text}");
        }
        assert_eq!(parse("9007199254740993"), Ok(9_007_199_254_740_993));
        assert_eq!(parse("0"), Ok(0));
        assert_eq!(parse("-170141183460469231731687303715884105728"), Ok(i128::MIN));
        assert_eq!(
            parse("170141183460469231731687303715884105728").unwrap_err().code,
            codes::OUT_OF_RANGE
        );
    }

    #[test]
    fn json_numbers_are_integers_by_value() {
        assert_eq!(of_number("1.0"), Ok(1));
        assert_eq!(of_number("1e3"), Ok(1_000));
        assert_eq!(of_number("-0"), Ok(0));
        assert_eq!(of_number("1.5").unwrap_err().code, codes::NOT_AN_INTEGER);
        assert_eq!(of_number("1e400").unwrap_err().code, codes::OUT_OF_RANGE);
    }

    #[test]
    fn doubles_are_integers_by_value_and_spelling() {
        assert_eq!(of_float(5.0), Ok(5));
        assert_eq!(of_float(1e22), Ok(10_i128.pow(22)));
        assert_eq!(of_float(1e23).unwrap_err().code, codes::NOT_EXACT);
        assert_eq!(of_float(19_336_155_566_327_432.0).unwrap_err().code, codes::NOT_EXACT);
        assert_eq!(of_float(-0.0).unwrap_err().code, codes::NOT_AN_INTEGER);
        assert_eq!(of_float(f64::NAN).unwrap_err().code, codes::NOT_FINITE);
        assert_eq!(of_float(1e300).unwrap_err().code, codes::OUT_OF_RANGE);
    }

    #[test]
    fn a_column_has_a_width() {
        assert_eq!(fit(32_768, IntWidth::I16).unwrap_err().code, codes::OUT_OF_RANGE);
        assert_eq!(fit(-1, IntWidth::U64).unwrap_err().code, codes::OUT_OF_RANGE);
    }

    proptest! {
        #[test]
        fn integers_survive_their_text(value in any::<i128>(), small in any::<i64>()) {
            prop_assert_eq!(parse(&value.to_string()), Ok(value));
            prop_assert_eq!(parse(&small.to_string()), Ok(small.into()));
        }

        #[test]
        fn what_is_accepted_is_written_back_the_same(text in "[-+]?[0-9.e]{0,12}") {
            if let Ok(value) = parse(&text) {
                prop_assert_eq!(value.to_string(), text);
            }
        }
    }
}
