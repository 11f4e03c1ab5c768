//! Text to exact decimals, and the one rounding there is.

use whimbrel_model::decimal::Decimal;

use super::Fault;
use crate::codes;

/// Checks that a text is a plain decimal literal (no exponent) that `decimal(p,s)` holds exactly.
pub fn check_text(text: &str, digits: Option<(u16, u16)>) -> Result<(), Fault> {
    if text.contains(['e', 'E']) {
        return Err(not_a_number());
    }
    check_number(text, digits)
}

/// [`check_text`] for a JSON number, which may have an exponent.
pub fn check_number(literal: &str, digits: Option<(u16, u16)>) -> Result<(), Fault> {
    let number = Decimal::parse(literal).map_err(|_| not_a_number())?;
    match digits {
        Some((precision, scale)) if !number.fits(precision.into(), scale.into()) => Err(
            Fault::new(codes::DIGITS_LOST, format!("decimal({precision},{scale}) cannot hold it")),
        ),
        Some(_) | None => Ok(()),
    }
}

/// Rounds half to even to at most `scale` digits after the point; fails where digits before the
/// point do not fit `precision`. There is no inverse.
pub fn round(literal: &str, precision: u16, scale: u16) -> Result<String, Fault> {
    let number = Decimal::parse(literal).map_err(|_| not_a_number())?;
    let dropped = number.scale().saturating_sub(scale.into());
    let kept = (number.digit_count() as u64).saturating_sub(dropped) as usize;
    let mut digits: Vec<u8> = number.digits().take(kept).collect();
    if rounds_up(&number, &digits, dropped) {
        add_one(&mut digits);
    }
    let mut text = String::with_capacity(digits.len() + 8);
    if number.is_negative() && digits.iter().any(|digit| *digit != 0) {
        text.push('-');
    }
    let scale_kept = if dropped > 0 { u64::from(scale) } else { number.scale() };
    write_plain(&mut text, &digits, number.exponent().max(0), scale_kept)?;
    check_number(&text, Some((precision, scale)))?;
    Ok(text)
}

/// Whether the digits dropped are more than half, or half beside an odd digit.
fn rounds_up(number: &Decimal<'_>, kept: &[u8], dropped: u64) -> bool {
    let count = number.digit_count() as u64;
    if dropped == 0 || dropped > count {
        // Below a tenth of the last place, because the first digit dropped is a leading zero.
        return false;
    }
    let mut rest = number.digits().skip(kept.len());
    match rest.next() {
        Some(5) => rest.any(|digit| digit != 0) || kept.last().is_some_and(|digit| digit % 2 == 1),
        Some(digit) => digit > 5,
        None => false,
    }
}

fn add_one(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < 9 {
            *digit += 1;
            return;
        }
        *digit = 0;
    }
    digits.insert(0, 1);
}

/// `digits × 10^(zeros − scale)` in plain digits.
fn write_plain(text: &mut String, digits: &[u8], zeros: i64, scale: u64) -> Result<(), Fault> {
    const ZEROS_MAX: i64 = 1_000;
    if zeros > ZEROS_MAX || scale > ZEROS_MAX as u64 {
        return Err(Fault::new(codes::DIGITS_LOST, "the number has too many digits"));
    }
    let mut all: Vec<u8> = digits.to_vec();
    all.extend(std::iter::repeat_n(0, zeros as usize));
    let scale = scale as usize;
    if all.len() <= scale {
        let missing = scale + 1 - all.len();
        all.splice(0..0, std::iter::repeat_n(0, missing));
    }
    let point = all.len() - scale;
    for (index, digit) in all.iter().enumerate() {
        if index == point {
            text.push('.');
        }
        text.push(char::from(b'0' + digit));
    }
    Ok(())
}

fn not_a_number() -> Fault {
    Fault::new(codes::NOT_A_NUMBER, "not a decimal number as it stands")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digits_fit_or_the_text_is_refused() {
        assert_eq!(check_text("12.50", Some((4, 2))), Ok(()));
        assert_eq!(check_text("12.50", Some((3, 1))), Ok(()), "a trailing zero is no digit lost");
        assert_eq!(check_text("12.55", Some((3, 1))).unwrap_err().code, codes::DIGITS_LOST);
        assert_eq!(check_text("123", Some((4, 2))).unwrap_err().code, codes::DIGITS_LOST);
        assert_eq!(check_text("1e5", None).unwrap_err().code, codes::NOT_A_NUMBER);
        assert_eq!(check_number("1e5", None), Ok(()));
        assert_eq!(check_text("007", None).unwrap_err().code, codes::NOT_A_NUMBER);
    }

    #[test]
    fn rounding_is_half_to_even() {
        let round = |text| round(text, 5, 1).unwrap();
        assert_eq!(round("0.25"), "0.2");
        assert_eq!(round("0.35"), "0.4");
        assert_eq!(round("0.251"), "0.3");
        assert_eq!(round("-9.96"), "-10.0");
        assert_eq!(round("0.05"), "0.0");
        assert_eq!(round("0.051"), "0.1");
        assert_eq!(round("0.15"), "0.2");
        assert_eq!(round("-0.04"), "0.0");
        assert_eq!(round("0.005"), "0.0");
        assert_eq!(round("12e2"), "1200");
        assert_eq!(round("9.5"), "9.5");
    }

    #[test]
    fn digits_before_the_point_are_never_lost() {
        assert_eq!(round("99.96", 3, 1).unwrap_err().code, codes::DIGITS_LOST);
        assert_eq!(round("1e900000", 3, 1).unwrap_err().code, codes::DIGITS_LOST);
    }

    proptest! {
        #[test]
        fn rounding_is_off_by_at_most_half(cents in -1_000_000i64..1_000_000) {
            let text = format!("{}{}.{:03}", if cents < 0 { "-" } else { "" }, cents.abs() / 1_000, cents.abs() % 1_000);
            let rounded = round(&text, 20, 2).unwrap();
            let back: f64 = rounded.parse().unwrap();
            prop_assert!((back * 1_000.0 - cents as f64).abs() <= 5.000_001, "{text} {rounded}");
        }

        #[test]
        fn what_fits_is_not_rounded(text in "(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?") {
            let rounded = round(&text, 20, 3).unwrap();
            prop_assert_eq!(Decimal::parse(&rounded).unwrap(), Decimal::parse(&text).unwrap());
        }
    }
}
