//! What a text can be read as so that nothing is lost: the round-trip rules of inference.
//!
//! A *form* holds for a text only if the value, written back in that form, is the same text (for
//! instants: the same instant). `00601`, `+1`, `1e5`, `-0` are therefore no numbers here, whatever
//! a plan may later decide.

use whimbrel_model::decimal::Decimal;
use whimbrel_model::json;

use crate::stamps::{self, PATTERNS, Stamp};

/// A set of forms, one bit each.
pub type Forms = u64;

/// An integer in canonical spelling that fits 128 bits.
pub const INTEGER: usize = 0;
/// A decimal without exponent, sign of plus, leading zero or negative zero.
pub const DECIMAL: usize = 1;
/// A decimal that is a double's shortest spelling.
pub const SHORTEST: usize = 2;
/// A decimal whose value a double holds exactly in the sense of the shortest round trip.
pub const EXACT: usize = 3;
/// A JSON object or array.
pub const JSON: usize = 4;
/// A UUID in lower case with hyphens.
pub const UUID: usize = 5;
/// The first of [`WORDS`].
pub const FIRST_WORDS: usize = 6;
/// The first of [`PATTERNS`].
pub const FIRST_PATTERN: usize = FIRST_WORDS + WORDS.len();
/// How many forms there are.
pub const COUNT: usize = FIRST_PATTERN + PATTERNS.len();

const _: () = assert!(COUNT <= 64);

/// Pairs of words for true and false.
pub const WORDS: &[(&str, &str)] = &[
    ("true", "false"),
    ("True", "False"),
    ("TRUE", "FALSE"),
    ("yes", "no"),
    ("Yes", "No"),
    ("YES", "NO"),
    ("y", "n"),
    ("Y", "N"),
    ("t", "f"),
    ("T", "F"),
    ("on", "off"),
    ("ON", "OFF"),
];

/// Spellings of NULL that are looked for, in any column of text.
pub const MARKERS: &[&str] = &[
    "",
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "nan",
    "NaN",
    "NAN",
    "null",
    "NULL",
    "Null",
    "None",
    "none",
    "nil",
    "\\N",
    "-",
    "--",
    "?",
    "inf",
    "-inf",
    "INF",
    "Infinity",
    "-Infinity",
];

/// The marker that a text is.
pub fn marker(text: &str) -> Option<usize> {
    let likely = match text.as_bytes() {
        [] => true,
        [first, ..] => text.len() <= 9 && b"Nn#iI-?\\".contains(first),
    };
    if !likely {
        return None;
    }
    MARKERS.iter().position(|marker| *marker == text)
}

/// What a text was read as.
#[derive(Clone, Copy, Default, Debug)]
pub struct Reading {
    /// Every form that holds.
    pub forms: Forms,
    /// Nearest double, where a decimal form holds.
    pub number: Option<f64>,
    /// Digits before and after the point, where a decimal form holds.
    pub digits: (u32, u32),
    /// The patterns that hold, each with its instant: two where day and month are ambiguous.
    pub stamps: [Option<Stamp>; 2],
}

const fn bit(form: usize) -> Forms {
    1 << form
}

/// True where the set has the form.
pub fn has(forms: Forms, form: usize) -> bool {
    forms & bit(form) != 0
}

/// Every form that holds for a text.
pub fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let Some(first) = text.bytes().next() else {
        return reading;
    };
    match first {
        b'0'..=b'9' | b'-' => {
            number(text, &mut reading);
            uuid(text, &mut reading);
            stamps(text, &mut reading);
        }
        b'{' | b'[' if json::validate(text.as_bytes(), json::Limits::default()).is_ok() => {
            reading.forms |= bit(JSON);
        }
        b'a'..=b'z' | b'A'..=b'Z' => {
            words(text, &mut reading);
            uuid(text, &mut reading);
            // `Jan 05, 2024` and `Fri, 05 Jan …`: dates that begin with a name.
            if matches!(text.as_bytes().get(3), Some(b' ' | b',')) {
                stamps(text, &mut reading);
            }
        }
        _ => {} // other characters begin none of the forms
    }
    reading
}

fn number(text: &str, reading: &mut Reading) {
    // Longer than any double or 128-bit integer needs; such a text is a text.
    if text.len() > 400 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-') {
        return;
    }
    let Ok(decimal) = Decimal::parse(text) else {
        return;
    };
    if decimal.is_zero() && text.starts_with('-') {
        return;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    reading.forms |= bit(DECIMAL);
    reading.digits = (whole.trim_start_matches('-').len() as u32, fraction.len() as u32);
    reading.number = Some(decimal.to_f64_nearest());
    if fraction.is_empty() && decimal.to_i128_exact().is_some() {
        reading.forms |= bit(INTEGER);
    }
    if decimal.to_f64_exact().is_some() {
        reading.forms |= bit(EXACT);
        if !fraction.ends_with('0') {
            reading.forms |= bit(SHORTEST);
        }
    }
}

fn words(text: &str, reading: &mut Reading) {
    if text.len() > 5 {
        return;
    }
    for (at, (yes, no)) in WORDS.iter().enumerate() {
        if text == *yes || text == *no {
            reading.forms |= bit(FIRST_WORDS + at);
        }
    }
}

fn uuid(text: &str, reading: &mut Reading) {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return;
    }
    let fits = bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    });
    if fits {
        reading.forms |= bit(UUID);
    }
}

fn stamps(text: &str, reading: &mut Reading) {
    stamps::each_match(text, |stamp| {
        reading.forms |= bit(FIRST_PATTERN + stamp.pattern);
        if let Some(free) = reading.stamps.iter_mut().find(|stamp| stamp.is_none()) {
            *free = Some(stamp);
        }
    });
}

/// True for `007` and `-00.5`: digits that a number would not keep.
pub fn has_leading_zero(text: &str) -> bool {
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    bare.len() > 1
        && bare.starts_with('0')
        && bare.as_bytes()[1].is_ascii_digit()
        && bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Why a text is not of the form, for people: a clause that follows "value ".
pub fn why_not(text: &str, form: usize) -> &'static str {
    match form {
        INTEGER | DECIMAL | SHORTEST | EXACT => why_no_number(text, form),
        JSON => "is not a JSON object or array",
        UUID => "is not a UUID in lower case",
        form if form < FIRST_PATTERN => "is neither of the two words",
        _ => "is not a date or time in that format",
    }
}

fn why_no_number(text: &str, form: usize) -> &'static str {
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let numeric =
        |text: &str| text.parse::<f64>().is_ok() && text.bytes().any(|b| b.is_ascii_digit());
    if text.trim() != text {
        "has blanks around it"
    } else if text.starts_with('+') && numeric(bare) {
        "has a plus sign"
    } else if numeric(text) && text.contains(['e', 'E']) {
        "is in exponent form"
    } else if has_leading_zero(text) {
        "has a leading zero"
    } else if text.starts_with('-')
        && numeric(bare)
        && bare.bytes().all(|b| matches!(b, b'0' | b'.'))
    {
        "is a negative zero"
    } else if digits(&bare.replace(',', "")) && bare.contains(',') {
        "has a comma"
    } else if digits(&bare.replace(['.', ','], "")) && bare.contains(',') {
        "has separators of thousands"
    } else if form == INTEGER && digits(bare) {
        "is beyond 128 bits"
    } else if form == INTEGER && numeric(text) {
        "has decimals"
    } else if numeric(text) && text.contains('.') && text.ends_with('0') && form == SHORTEST {
        "ends in a zero that a double does not keep"
    } else if numeric(text) && matches!(form, SHORTEST | EXACT) {
        "is no exact double"
    } else {
        "is not a number"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &str) -> Vec<String> {
        let forms = read(text).forms;
        (0..COUNT).filter(|form| has(forms, *form)).map(name).collect()
    }

    fn name(form: usize) -> String {
        match form {
            INTEGER => "integer".to_owned(),
            DECIMAL => "decimal".to_owned(),
            SHORTEST => "shortest".to_owned(),
            EXACT => "exact".to_owned(),
            JSON => "json".to_owned(),
            UUID => "uuid".to_owned(),
            form if form < FIRST_PATTERN => WORDS[form - FIRST_WORDS].0.to_owned(),
            form => PATTERNS[form - FIRST_PATTERN].text.to_owned(),
        }
    }

    #[track_caller]
    fn check(text: &str, wanted: &[&str]) {
        assert_eq!(names(text), wanted, "{text}");
    }

    #[test]
    fn codes_that_look_like_numbers_are_none() {
        for text in ["00601", "+1", "1e5", "-0", "-0.0", "1.", ".5", " 1", "1 ", "0x1F", "١"] {
            check(text, &[]);
        }
    }

    #[test]
    fn a_trailing_zero_is_kept_by_a_decimal_only() {
        check("1.10", &["decimal", "exact"]);
        check("1.1", &["decimal", "shortest", "exact"]);
    }

    #[test]
    fn an_integer_beyond_doubles_is_an_integer_still() {
        check("9007199254740993", &["integer", "decimal"]);
        check("170141183460469231731687303715884105728", &["decimal"]);
    }

    #[test]
    fn every_spelling_of_null_is_recognised() {
        for (at, text) in MARKERS.iter().enumerate() {
            assert_eq!(marker(text), Some(at), "{text}");
        }
    }

    #[test]
    fn reasons_say_what_is_wrong() {
        assert_eq!(why_not("00601", INTEGER), "has a leading zero");
        assert_eq!(why_not("+1", INTEGER), "has a plus sign");
        assert_eq!(why_not("1e5", INTEGER), "is in exponent form");
        assert_eq!(why_not("-0", INTEGER), "is a negative zero");
        assert_eq!(why_not("1.10", INTEGER), "has decimals");
        assert_eq!(why_not("3,5", DECIMAL), "has a comma");
        assert_eq!(why_not("1.234,50", DECIMAL), "has separators of thousands");
        assert_eq!(why_not("ERR", DECIMAL), "is not a number");
        assert_eq!(why_not("12 ", INTEGER), "has blanks around it");
    }

    proptest! {
        #[test]
        fn an_integer_writes_back_as_it_was(text in "-?[0-9]{1,42}|[+-]?[0-9]{1,3}") {
            if has(read(&text).forms, INTEGER) {
                prop_assert_eq!(text.parse::<i128>().unwrap().to_string(), text);
            }
        }

        #[test]
        fn a_shortest_double_writes_back_as_it_was(text in "-?[0-9]{1,18}(\\.[0-9]{1,18})?") {
            if has(read(&text).forms, SHORTEST) {
                prop_assert_eq!(text.parse::<f64>().unwrap().to_string(), text);
            }
        }

        #[test]
        fn an_exact_double_writes_back_with_its_scale(text in "-?[0-9]{1,12}\\.[0-9]{1,4}") {
            let reading = read(&text);
            if has(reading.forms, EXACT) {
                // The double's shortest spelling, with zeros up to the scale.
                let scale = reading.digits.1 as usize;
                let shortest = text.parse::<f64>().unwrap().to_string();
                let (whole, fraction) = shortest.split_once('.').unwrap_or((&shortest, ""));
                prop_assert_eq!(format!("{whole}.{fraction:0<scale$}"), text);
            }
        }

        #[test]
        fn nothing_that_is_read_panics(text in "\\PC{0,45}") {
            let reading = read(&text);
            for form in 0..COUNT {
                if !has(reading.forms, form) {
                    why_not(&text, form);
                }
            }
        }
    }
}
