//! Legacy text made fit to be shown: bounded, and without characters that steer a terminal.

use std::fmt::Write as _;

/// Characters of a value that reports show.
pub const VALUE_CHARS_MAX: usize = 60;

/// The text with controls, bidirectional marks and line ends escaped, cut after `chars_max`.
pub fn shown(text: &str, chars_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(chars_max * 4));
    append(&mut out, text, chars_max);
    out
}

/// Appends [`shown`].
pub fn append(out: &mut String, text: &str, chars_max: usize) {
    for (count, letter) in text.chars().enumerate() {
        if count == chars_max {
            out.push('…');
            return;
        }
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if steers(letter) => {
                write!(out, "\\u{{{:x}}}", u32::from(letter))
                    .expect("a String takes every character");
            }
            letter => out.push(letter),
        }
    }
}

fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A path as a person types it in a shell: quoted where it must be.
pub fn argument(path: &str) -> String {
    let plain = |letter: char| {
        letter.is_alphanumeric() || matches!(letter, '.' | '/' | '-' | '_' | '=' | ':')
    };
    if !path.is_empty() && path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

/// 1234567 → `1,234,567`.
pub fn count(number: u64) -> String {
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
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// Bytes in the largest binary unit that leaves at least 1.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return counted(number, "byte", "bytes");
    }
    let mut amount = number as f64 / 1024.0;
    let mut unit = 0;
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// Seconds as people say them.
pub fn seconds(seconds: f64) -> String {
    if seconds < 1.0 {
        "under 1 s".to_owned()
    } else if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else if seconds < 7_200.0 {
        format!("{:.0} min", seconds / 60.0)
    } else {
        format!("{:.1} h", seconds / 3_600.0)
    }
}

/// A part of a whole in per cent; never `0 %` for something, never `100 %` for less than all.
pub fn percent(part: u64, whole: u64) -> String {
    if part == 0 || whole == 0 {
        return "0 %".to_owned();
    }
    let ratio = part as f64 / whole as f64 * 100.0;
    if part == whole {
        "100 %".to_owned()
    } else if ratio < 0.1 {
        "<0.1 %".to_owned()
    } else if ratio > 99.9 {
        ">99.9 %".to_owned()
    } else if !(10.0..=90.0).contains(&ratio) {
        format!("{ratio:.1} %")
    } else {
        format!("{ratio:.0} %")
    }
}

/// Text for HTML content and attributes.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            letter => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_a_terminal() {
        assert_eq!(shown("a\u{1b}[31mred\u{202e}\n", 60), "a\\u{1b}[31mred\\u{202e}\\n");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(shown("ääää", 2), "ää…");
        assert_eq!(shown("ää", 2), "ää");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
        assert_eq!(counted(1, "row", "rows"), "1 row");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(percent(1, 100_000), "<0.1 %");
        assert_eq!(percent(99_999, 100_000), ">99.9 %");
    }
}
