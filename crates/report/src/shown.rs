//! Text and figures made fit to be shown: bounded, and without characters that steer a reader.

use std::fmt::Write as _;

/// The text with controls, marks of direction and line ends escaped, cut after `chars_max`.
pub(crate) fn shown(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max * 4));
    for (count, letter) in text.chars().enumerate() {
        if count == chars_max {
            out.push('…');
            break;
        }
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if steers(letter) => out.extend(letter.escape_unicode()),
            letter => out.push(letter),
        }
    }
    out
}

/// The end of a long path says more than its beginning.
pub(crate) fn path(text: &str, chars_max: usize) -> String {
    let chars = text.chars().count();
    if chars <= chars_max {
        return shown(text, chars_max);
    }
    let tail: String = text.chars().skip(chars - chars_max + 1).collect();
    format!("…{}", shown(&tail, chars_max))
}

/// Controls, and what hides or turns text.
fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// 1234567 → `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Bytes in the largest binary unit that leaves at least 1.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return counted(number, "byte");
    }
    let mut amount = number as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// Seconds as people say them: `0.42 s`, `42.0 s`, `3 min 42 s`, `2 h 5 min`, `3 d 4 h`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 100.0 {
        format!("{seconds:.1} s")
    } else if whole < 7_200 {
        format!("{} min {} s", whole / 60, whole % 60)
    } else if whole < 172_800 {
        format!("{} h {} min", whole / 3_600, whole / 60 % 60)
    } else {
        format!("{} d {} h", whole / 86_400, whole / 3_600 % 24)
    }
}

/// A time since the start of the run: `0:07.25`, `1:02:03.50`.
pub(crate) fn clock(seconds: f64) -> String {
    let hundredths = (seconds.max(0.0) * 100.0).round() as u64;
    let (whole, hundredths) = (hundredths / 100, hundredths % 100);
    let (minutes, seconds) = (whole / 60, whole % 60);
    if minutes < 60 {
        return format!("{minutes}:{seconds:02}.{hundredths:02}");
    }
    format!("{}:{:02}:{seconds:02}.{hundredths:02}", minutes / 60, minutes % 60)
}

/// A rate without false precision: `0.4`, `87`, `9,120`.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second < 10.0 { format!("{per_second:.1}") } else { count(per_second.round() as u64) }
}

/// A part of a whole in per cent; never `0 %` for something, never `100 %` for less than all.
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    if part >= whole {
        return "100 %".to_owned();
    }
    let ratio = part as f64 / whole as f64 * 100.0;
    if ratio < 0.1 {
        "under 0.1 %".to_owned()
    } else if ratio > 99.9 {
        "over 99.9 %".to_owned()
    } else {
        format!("{ratio:.1} %")
    }
}

/// `name` as one word of a shell's command line.
pub(crate) fn shell(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./,:@%+=".contains(&byte);
    if !name.is_empty() && !name.starts_with('-') && name.bytes().all(plain) {
        return name.to_owned();
    }
    let start = if name.starts_with('-') { "./" } else { "" };
    format!("'{start}{}'", name.replace('\'', "'\\''"))
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(out, "{byte:02x}").expect("a String takes every character");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_steer_its_reader() {
        assert_eq!(shown("a\u{1b}[31m\u{202e}b\r\n\tc", 80), "a\\u{1b}[31m\\u{202e}b\\r\\n\\tc");
        assert_eq!(shown("ääää", 2), "ää…");
    }

    #[test]
    fn a_path_keeps_its_end() {
        assert_eq!(path("folder/sub/file.csv", 10), "…/file.csv");
        assert_eq!(path("a.csv", 10), "a.csv");
    }

    #[test]
    fn figures_read_well() {
        assert_eq!(counted(1_234_567, "row"), "1,234,567 rows");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(seconds(0.421), "0.42 s");
        assert_eq!(seconds(222.0), "3 min 42 s");
        assert_eq!(seconds(7_500.0), "2 h 5 min");
        assert_eq!(clock(7.254), "0:07.25");
        assert_eq!(clock(3_723.5), "1:02:03.50");
        assert_eq!(rate(0.44), "0.4");
        assert_eq!(rate(9_120.2), "9,120");
    }

    #[test]
    fn something_is_never_nothing_and_less_is_never_all() {
        assert_eq!(percent(1, 1_000_000), "under 0.1 %");
        assert_eq!(percent(999_999, 1_000_000), "over 99.9 %");
        assert_eq!(percent(1, 1), "100 %");
        assert_eq!(percent(0, 0), "0 %");
        assert_eq!(percent(312, 1_000), "31.2 %");
    }

    #[test]
    fn a_hostile_plan_name_stays_one_word() {
        assert_eq!(shell("plans/a.toml"), "plans/a.toml");
        assert_eq!(shell("my plan's.toml"), "'my plan'\\''s.toml'");
        assert_eq!(shell("-rf"), "'./-rf'");
        assert_eq!(shell(""), "''");
    }
}
