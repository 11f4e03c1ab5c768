//! Literals of SQLite. A quote is doubled, and nothing else means anything between quotes.

use std::collections::BTreeSet;

use rusqlite::types::ValueRef as Stored;
use whimbrel_model::value::UuidText;
use whimbrel_model::{Table, ValueRef};

use super::{hex, is_hidden, quoted};
use crate::dialect::Affinity;
use crate::sqlite::value::{Scratch, Slot, form};

/// Letters of a kind that are put in by `replace`: calls within calls fill the parser's stack.
const REPLACED_MAX: usize = 8;

/// Digits of a decimal, and its exponent, that SQLite reads exactly.
const DIGITS_EXACT: usize = 15;
const EXPONENT_EXACT: i32 = 22;

/// How values of a column are said.
pub(crate) struct Spelt {
    pub(crate) slot: Slot,
    /// The database keeps text as UTF-8.
    pub(crate) in_utf8: bool,
}

impl Spelt {
    pub(super) fn literal(&self, value: ValueRef<'_>) -> Result<String, String> {
        let mut scratch = Scratch::new();
        match form(self.slot, value, &mut scratch).map_err(|refusal| refusal.message)? {
            Stored::Null => Ok("NULL".to_owned()),
            Stored::Integer(value) => Ok(integer(value)),
            Stored::Real(value) => Ok(real(value)),
            Stored::Text(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
                self.text(text)
            }
            Stored::Blob(bytes) => Ok(format!("X'{}'", hex(bytes))),
        }
    }

    pub(super) fn is(&self, name: &str, value: ValueRef<'_>) -> Result<String, String> {
        let literal = self.literal(value)?;
        if let ValueRef::Uuid(bytes) = value {
            // Whether it stands there as text or as its bytes has not come with it.
            let text = quoted(&UuidText(&bytes).to_string());
            return Ok(format!("{name} COLLATE BINARY IN ({text}, X'{}')", hex(&bytes)));
        }
        let mut scratch = Scratch::new();
        let form = form(self.slot, value, &mut scratch).map_err(|refusal| refusal.message)?;
        Ok(match form {
            Stored::Text(_) => format!("{name} COLLATE BINARY IS {literal}"),
            // Text that is no UTF-8 has come as its bytes.
            Stored::Blob(_) if self.slot.affinity != Affinity::Blob => {
                format!("CAST({name} AS BLOB) IS {literal}")
            }
            Stored::Blob(bytes) if self.in_utf8 && std::str::from_utf8(bytes).is_err() => {
                format!("{name} COLLATE BINARY IN ({literal}, CAST({literal} AS TEXT))")
            }
            Stored::Null | Stored::Integer(_) | Stored::Real(_) | Stored::Blob(_) => {
                format!("{name} IS {literal}")
            }
        })
    }

    fn text(&self, text: &str) -> Result<String, String> {
        let hidden: BTreeSet<char> = text.chars().filter(|letter| is_hidden(*letter)).collect();
        if hidden.is_empty() {
            return Ok(quoted(text));
        }
        if hidden.len() > REPLACED_MAX {
            if self.in_utf8 {
                return Ok(format!("CAST(X'{}' AS TEXT)", hex(text.as_bytes())));
            }
            return Err(
                "text with so many characters that do not show has no literal here".to_owned()
            );
        }
        // A mark that the text has not, which no two of its letters can make.
        let mut mark = "\\u".to_owned();
        while text.contains(&mark) {
            mark.insert(1, '_');
        }
        let sign = |letter: char| format!("{mark}{:06x}", u32::from(letter));
        let shown: String = text
            .chars()
            .map(|letter| if is_hidden(letter) { sign(letter) } else { letter.to_string() })
            .collect();
        let replaced = |inner: String, letter: &char| {
            format!("replace({inner}, '{}', char({}))", sign(*letter), u32::from(*letter))
        };
        Ok(hidden.iter().fold(quoted(&shown), replaced))
    }
}

fn integer(value: i64) -> String {
    // Its digits alone would be one too many for an integer.
    if value == i64::MIN { "(-9223372036854775807 - 1)".to_owned() } else { value.to_string() }
}

/// SQLite reads long decimals to about the last bit: those are put together from powers of two, each step
/// of which is exact.
fn real(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "9e999" } else { "-9e999" }.to_owned();
    }
    let shown = format!("{value:?}");
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let count = digits.bytes().filter(u8::is_ascii_digit).count();
    let last = exponent.parse::<i32>().unwrap_or(i32::MAX).saturating_sub(count as i32 - 1);
    if count <= DIGITS_EXACT && last.abs() <= EXPONENT_EXACT {
        return shown;
    }
    let bits = value.to_bits();
    let (fraction, raised) = (bits & ((1 << 52) - 1), ((bits >> 52) & 0x7ff) as i32);
    let (mut whole, mut power) =
        if raised == 0 { (fraction, -1074) } else { (fraction | 1 << 52, raised - 1075) };
    while whole & 1 == 0 && whole != 0 {
        (whole, power) = (whole >> 1, power + 1);
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let mut exact = format!("CAST({sign}{whole} AS REAL)");
    let step = if power < 0 { '/' } else { '*' };
    let mut left = power.unsigned_abs();
    while left > 0 {
        let now = left.min(62);
        exact.push_str(&format!(" {step} CAST({} AS REAL)", 1_u64 << now));
        left -= now;
    }
    format!("({exact} /* {shown} */)")
}

/// The name by which the number of a row goes, where no column has taken all of them.
pub(super) fn row_name(table: &Table) -> Option<&'static str> {
    let is_free =
        |name: &&&str| !table.columns.iter().any(|column| column.name.eq_ignore_ascii_case(name));
    ["rowid", "_rowid_", "oid"].iter().find(is_free).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rusqlite::Connection;
    use whimbrel_model::Kind;

    fn spelt(kind: Kind, affinity: Affinity) -> Spelt {
        let bytes = kind == Kind::Bytes;
        Spelt { slot: Slot { kind, affinity, bytes }, in_utf8: true }
    }

    /// What the engine makes of a literal, and whether it finds the value by it again.
    fn read_back(
        declared: &str,
        column: &Spelt,
        value: ValueRef<'_>,
    ) -> (rusqlite::types::Value, i64) {
        let connection = Connection::open_in_memory().unwrap();
        let literal = column.literal(value).unwrap();
        assert!(!literal.contains(is_hidden), "{literal:?}");
        let found = column.is("`c`", value).unwrap();
        connection
            .execute_batch(&format!(
                "CREATE TABLE t (c {declared}); INSERT INTO t VALUES ({literal})"
            ))
            .unwrap();
        let sql = format!("SELECT c, (SELECT COUNT(*) FROM t WHERE {found}) FROM t");
        connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }

    #[track_caller]
    fn check_text(text: &str) {
        let column = spelt(Kind::Text(None), Affinity::Text);
        let read = read_back("TEXT", &column, ValueRef::Text(text));
        assert_eq!(read, (text.to_owned().into(), 1), "{text:?}");
    }

    #[track_caller]
    fn check_real(value: f64) {
        let column = spelt(Kind::Float, Affinity::Real);
        let (read, found) = read_back("REAL", &column, ValueRef::Float(value));
        let rusqlite::types::Value::Real(read) = read else { panic!("{value:?} became {read:?}") };
        assert_eq!((read.to_bits(), found), (value.to_bits(), 1), "{value:?}");
    }

    #[test]
    fn text_that_means_something_elsewhere_is_text() {
        for text in [
            "it's",
            "\\u00000a\n\\_u\r\\",
            "a\0b",
            "*/ -- ;\n.quit\nDROP TABLE t; --",
            "\u{202e}evil\u{2066}",
            "1e5",
            "",
            "\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}\u{7}\u{8}\u{e}\u{f}",
        ] {
            check_text(text);
        }
        check_text(&"line\n".repeat(100_000));
    }

    #[test]
    fn doubles_at_the_edges_keep_every_bit() {
        for value in [
            0.1,
            0.1 + 0.2,
            1e22,
            1e23,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::from_bits(1),
            -f64::from_bits(0x000f_ffff_ffff_ffff),
            f64::INFINITY,
            f64::NEG_INFINITY,
            -1.0 / 3.0,
            9_007_199_254_740_993.0,
        ] {
            check_real(value);
        }
    }

    #[test]
    fn integers_at_the_edges_are_integers() {
        let column = spelt(Kind::Any, Affinity::Blob);
        for value in [i64::MIN, -1, 0, i64::MAX] {
            let read = read_back("", &column, ValueRef::Int(value.into()));
            assert_eq!(read, (value.into(), 1));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in "(?s).{0,40}") {
            check_text(&text);
        }

        #[test]
        fn any_mixture_of_what_literals_are_made_of_is_read_back(
            text in r"[\\u_'\x00\r\n0-9a-f\u{202e}]{0,40}"
        ) {
            check_text(&text);
        }

        #[test]
        fn any_double_is_read_back(bits in any::<u64>()) {
            let value = f64::from_bits(bits);
            prop_assume!(!value.is_nan() && value.to_bits() != (-0.0_f64).to_bits());
            check_real(value);
        }

        #[test]
        fn any_short_decimal_is_read_back(digits in -999_999_999_999_999_i64..=999_999_999_999_999, places in 0..37i32) {
            check_real(format!("{digits}e{}", places - 22).parse::<f64>().unwrap() + 0.0);
        }

        #[test]
        fn any_bytes_are_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let column = spelt(Kind::Bytes, Affinity::Blob);
            let read = read_back("BLOB", &column, ValueRef::Bytes(&bytes));
            prop_assert_eq!(read, (bytes.clone().into(), 1));
        }
    }
}
