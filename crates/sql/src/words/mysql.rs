//! Literals of MariaDB and MySQL. Whether a backslash between quotes is an escape depends on the session's
//! mode, so none ever stands there.

use whimbrel_model::ValueRef;

use super::{hex, is_hidden, quoted};
use crate::mysql::encode::{Charset, Param, Scratch, Shape, Slot, form};

/// Parts of a text that are put together; one with more is said as its bytes.
const PARTS_MAX: usize = 64;

/// How values of a column are said.
pub(crate) struct Spelt {
    pub(crate) slot: Slot,
    /// `ON UPDATE CURRENT_TIMESTAMP`.
    pub(crate) renews: bool,
}

impl Spelt {
    pub(super) fn literal(&self, value: ValueRef<'_>) -> Result<String, String> {
        let mut scratch = Scratch::default();
        let param = form(&self.slot, value, &mut scratch).map_err(|refusal| refusal.message)?;
        Ok(match (param, &self.slot.shape) {
            (Param::Null, _) => "NULL".to_owned(),
            (Param::Int(value), _) => value.to_string(),
            (Param::Unsigned(value), _) => value.to_string(),
            // Without an exponent it would be a decimal, and compared as one.
            (Param::Double(value), _) => format!("{value:e}"),
            (Param::Text(digits), Shape::Decimal { .. } | Shape::Int { .. }) => {
                let is_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
                if digits.is_empty() || !digits.bytes().all(is_number) {
                    return Err("the number is not written in digits".to_owned());
                }
                digits.to_owned()
            }
            (Param::Text(text), _) => self::text(text),
            (Param::Bytes(bytes), Shape::Bit { .. }) if bytes.len() <= 8 => {
                bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte)).to_string()
            }
            (Param::Bytes(bytes), _) => format!("X'{}'", hex(bytes)),
        })
    }

    pub(super) fn is(
        &self,
        name: &str,
        value: ValueRef<'_>,
        in_key: bool,
    ) -> Result<String, String> {
        let literal = self.literal(value)?;
        let charset = match &self.slot.shape {
            Shape::Text { charset, .. } => *charset,
            Shape::Json | Shape::Enum(_) | Shape::Set(_) => Charset::Else,
            Shape::Int { .. }
            | Shape::Year
            | Shape::Bit { .. }
            | Shape::Decimal { .. }
            | Shape::Double { .. }
            | Shape::Bytes { .. }
            | Shape::Date
            | Shape::Time { .. }
            | Shape::DateTime { .. }
            | Shape::Instant { .. }
            | Shape::Uuid
            | Shape::Inet { .. }
            | Shape::Opaque(_) => return Ok(format!("{name} = {literal}")),
        };
        // By its bytes: collations take other letters, and blanks at the end, for the same.
        let bytes = match charset {
            Charset::Utf8mb4 | Charset::Utf8mb3 | Charset::Ascii => {
                format!("CAST({name} AS BINARY) = {literal}")
            }
            Charset::Else => format!("CAST(CONVERT({name} USING utf8mb4) AS BINARY) = {literal}"),
        };
        Ok(if in_key { format!("{name} = {literal} AND {bytes}") } else { bytes })
    }
}

fn text(text: &str) -> String {
    let is_plain = |letter: char| letter != '\\' && !is_hidden(letter);
    if text.chars().all(is_plain) {
        return quoted(text);
    }
    let mut parts: Vec<(bool, String)> = Vec::new();
    for letter in text.chars() {
        match parts.last_mut() {
            Some((plain, part)) if *plain == is_plain(letter) => part.push(letter),
            Some(_) | None => parts.push((is_plain(letter), letter.to_string())),
        }
    }
    let bytes = |text: &str| format!("_utf8mb4 X'{}'", hex(text.as_bytes()));
    if parts.len() > PARTS_MAX {
        return bytes(text);
    }
    let said: Vec<String> =
        parts.iter().map(|(plain, part)| if *plain { quoted(part) } else { bytes(part) }).collect();
    if let [one] = &said[..] { one.clone() } else { format!("CONCAT({})", said.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::Kind;

    #[test]
    fn no_backslash_and_no_line_end_stands_between_quotes() {
        let check = |given: &str, said: &str| assert_eq!(text(given), said);
        check("it's", "'it''s'");
        check("\\", "_utf8mb4 X'5c'");
        check("a\\'b\n", "CONCAT('a', _utf8mb4 X'5c', '''b', _utf8mb4 X'0a')");
        assert!(text(&"\na".repeat(100)).starts_with("_utf8mb4 X'0a610a61"));
    }

    #[test]
    fn doubles_have_an_exponent_and_decimals_have_none() {
        let spelt =
            |shape| Spelt { slot: Slot { kind: Kind::Any, shape, required: false }, renews: false };
        let double = spelt(Shape::Double { single: false, unsigned: false });
        assert_eq!(double.literal(ValueRef::Float(0.1)).as_deref(), Ok("1e-1"));
        let money = spelt(Shape::Decimal { digits: 9, scale: 2, unsigned: false });
        assert_eq!(money.literal(ValueRef::Decimal("-12e1")).as_deref(), Ok("-120"));
        assert!(money.literal(ValueRef::Decimal("1.234")).is_err());
    }
}
