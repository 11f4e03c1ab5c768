//! Sizes, durations, rates, clock times and budgets as plans write them.

use std::time::Duration;

use super::Budget;
use crate::time::Date;

/// `50MB` (1000²), `50MiB` (1024²), `512` and `512B` (bytes).
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = number_and_unit(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1000_u64.pow(2),
        "GB" => 1000_u64.pow(3),
        "TB" => 1000_u64.pow(4),
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// `250ms`, `30s`, `30m`, `2h`, `1d`, and several of them one after another, largest first.
pub fn duration(text: &str) -> Option<Duration> {
    const UNITS: &[(&str, u64)] =
        &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit_end =
            rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |at| digits + at);
        let index = units.iter().position(|(name, _)| *name == &rest[digits..unit_end])?;
        let number: u64 = rest[..digits].parse().ok()?;
        total = total.checked_add(number.checked_mul(units[index].1)?)?;
        units = &units[index + 1..];
        rest = &rest[unit_end..];
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// `50000/s`: rows per second, from 1.
pub fn rate(text: &str) -> Option<u64> {
    let number = text.strip_suffix("/s")?;
    let plain = number.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| number.parse().ok())?.filter(|rate| *rate > 0)
}

/// `22:00` as minutes since midnight.
pub(super) fn clock(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// `1%`, `0.5%`: a ratio from 0 to 1.
pub(super) fn percent(text: &str) -> Option<Budget> {
    let number = text.strip_suffix('%')?.trim_end();
    let plain = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let percent: f64 = plain.then(|| number.parse().ok())??;
    (percent <= 100.0).then_some(Budget::Ratio(percent / 100.0))
}

/// `1990-01-31`.
pub fn day(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let mut part = |width: usize| -> Option<i64> {
        let part = parts.next()?;
        let plain = part.len() == width && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse().ok())?
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() {
        return None;
    }
    Date::from_ymd(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?)
}

/// 8-4-4-4-12 hexadecimal digits.
pub(super) fn uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    let digits: Vec<u8> = text.bytes().filter(|b| *b != b'-').collect();
    if groups != [8, 4, 4, 4, 12] || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut out = [0; 16];
    for (byte, pair) in out.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal_unless_they_say_i() {
        assert_eq!(size("50MB"), Some(50_000_000));
        assert_eq!(size("50 MiB"), Some(52_428_800));
        assert_eq!(size("512"), Some(512));
    }

    #[test]
    fn what_is_no_size_is_none() {
        for text in ["", "MB", "5mb", "-1MB", "1.5MB", "99999999999TB", "5 M B"] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(duration("1h30m"), Some(Duration::from_mins(90)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in ["", "30", "s", "30m1h", "30s30s", "1.5h", "30 s", "99999999999999999999s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn rates_are_rows_per_second() {
        assert_eq!(rate("50000/s"), Some(50_000));
        for text in ["50000", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "50 /s", "50/m", ""] {
            assert_eq!(rate(text), None, "{text}");
        }
    }

    #[test]
    fn clocks_have_two_digits_each() {
        assert_eq!(clock("22:05"), Some(22 * 60 + 5));
        for text in ["24:00", "7:00", "07:60", "07:5", "+7:00", "0700", ""] {
            assert_eq!(clock(text), None, "{text}");
        }
    }

    #[test]
    fn percents_are_ratios() {
        assert_eq!(percent("1%"), Some(Budget::Ratio(0.01)));
        for text in ["1", "%", "101%", "-1%", "nan%", "1e1%", "1..2%"] {
            assert_eq!(percent(text), None, "{text}");
        }
    }

    #[test]
    fn a_uuid_has_its_hyphens() {
        assert!(uuid("6ba7b811-9dad-11d1-80b4-00c04fd430c8").is_some());
        assert_eq!(uuid("6ba7b8119dad11d180b400c04fd430c8"), None);
        assert_eq!(uuid("6ba7b811-9dad-11d1-80b4-00c04fd430cé"), None);
    }
}
