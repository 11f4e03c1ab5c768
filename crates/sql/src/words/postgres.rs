//! Literals of PostgreSQL. Text with a backslash is an `E'…'`, which is read the same whether or not
//! `standard_conforming_strings` is on; a literal takes the type of the column that it stands for.

use std::fmt::Write as _;

use whimbrel_model::ValueRef;
use whimbrel_model::decimal::Decimal;
use whimbrel_model::json::{self, Json};
use whimbrel_model::time::{Date, DateTime};
use whimbrel_model::value::UuidText;

use super::{hex, is_hidden};
use crate::postgres::catalogue::Slot;
use crate::postgres::encode::encode;
use crate::postgres::form::Form;
use crate::postgres::spelling;

/// How values of a column are said.
pub(crate) struct Spelt {
    pub(crate) slot: Slot,
}

impl Spelt {
    pub(super) fn literal(&self, value: ValueRef<'_>) -> Result<String, String> {
        let form = &self.slot.form;
        encode(form, value, &mut Vec::new()).map_err(|refusal| refusal.message)?;
        let text = text(form, value).ok_or("the value has no spelling for this type")?;
        let is_digits = |text: &str| {
            let digits = text.strip_prefix('-').unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        Ok(match form {
            Form::Bool => text,
            Form::Int2 | Form::Int4 | Form::Int8 | Form::Oid if is_digits(&text) => text,
            _ => quoted(&text),
        })
    }

    pub(super) fn is(
        &self,
        name: &str,
        value: ValueRef<'_>,
        in_key: bool,
    ) -> Result<String, String> {
        let literal = self.literal(value)?;
        Ok(match &self.slot.form {
            // By its bytes: collations and `citext` may take other letters for the same.
            Form::Text(_) => {
                let bytes = format!("{name}::text COLLATE \"C\" = {literal}");
                if in_key { format!("{name} = {literal} AND {bytes}") } else { bytes }
            }
            // These have no equality, or one that takes a month for thirty days.
            Form::Json | Form::Spelled | Form::Interval => {
                format!("{name}::text = {literal}::{}::text", self.slot.spelled)
            }
            // Its documents are read by what they mean, not by how they are spelled.
            Form::Array { element, .. } if **element == Form::Json => {
                format!("{name}::jsonb[]::text = {literal}::jsonb[]::text")
            }
            Form::Array { .. } => {
                format!("{name}::text = {literal}::{}::text", self.slot.spelled)
            }
            Form::Bool
            | Form::Int2
            | Form::Int4
            | Form::Int8
            | Form::Oid
            | Form::Float4
            | Form::Float8
            | Form::Numeric(_)
            | Form::Blank(_)
            | Form::Letter
            | Form::Bytea
            | Form::Date
            | Form::Time(_)
            | Form::TimeTz(_)
            | Form::Timestamp(_)
            | Form::TimestampTz(_)
            | Form::Uuid
            | Form::Jsonb
            | Form::Inet
            | Form::Cidr
            | Form::Mac
            | Form::Mac8
            | Form::Bits { .. } => format!("{name} = {literal}"),
        })
    }
}

fn quoted(text: &str) -> String {
    if !text.contains(|letter: char| letter == '\\' || is_hidden(letter)) {
        return super::quoted(text);
    }
    let mut out = String::from("E'");
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("''"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            letter if is_hidden(letter) => {
                let number = u32::from(letter);
                let escape = if number > 0xffff { ('U', 8) } else { ('u', 4) };
                let _ = write!(out, "\\{}{number:0width$x}", escape.0, width = escape.1);
            }
            letter => out.push(letter),
        }
    }
    out.push('\'');
    out
}

/// The text that the type's own reader takes for the value.
fn text(form: &Form, value: ValueRef<'_>) -> Option<String> {
    Some(match value {
        ValueRef::Null => return None,
        ValueRef::Bool(value) => match form {
            Form::Bool | Form::Text(_) | Form::Blank(_) | Form::Spelled => value.to_string(),
            _ => u8::from(value).to_string(),
        },
        ValueRef::Int(value) if *form == Form::Bool => (value == 1).to_string(),
        ValueRef::Int(value) => value.to_string(),
        ValueRef::Decimal(text) => match form {
            Form::Int2 | Form::Int4 | Form::Int8 | Form::Oid => {
                Decimal::parse(text).ok()?.to_i128_exact()?.to_string()
            }
            _ => text.to_owned(),
        },
        ValueRef::Float(value) => number(value),
        ValueRef::Bytes(bytes) => format!("\\x{}", hex(bytes)),
        ValueRef::Date(date) => match form {
            Form::Timestamp(_) => instant(DateTime { days: date.days, nanos: 0 }, ""),
            _ => day(date, ""),
        },
        ValueRef::Time(time) => time.to_string(),
        ValueRef::Timestamp(at) if *form == Form::Date => day(at.date(), ""),
        ValueRef::Timestamp(at) => instant(at, ""),
        ValueRef::TimestampTz(at) => instant(at, "+00"),
        ValueRef::Uuid(uuid) if *form == Form::Bytea => format!("\\x{}", hex(&uuid)),
        ValueRef::Uuid(uuid) => UuidText(&uuid).to_string(),
        ValueRef::Text(text) | ValueRef::Json(text) => match form {
            Form::Array { element, .. } => array(element, text)?,
            _ => text.to_owned(),
        },
    })
}

fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else {
        format!("{value:?}")
    }
}

/// A day with what comes behind it; years before the first are counted back from it.
fn day(date: Date, clock: &str) -> String {
    let (year, month, day) = date.ymd();
    if year > 0 {
        format!("{year:04}-{month:02}-{day:02}{clock}")
    } else {
        format!("{:04}-{month:02}-{day:02}{clock} BC", 1 - i64::from(year))
    }
}

fn instant(at: DateTime, zone: &str) -> String {
    let clock = whimbrel_model::time::Time { nanos: at.nanos as i64 };
    day(at.date(), &format!(" {clock}{zone}"))
}

/// `{1,NULL,"a"}` of an array of JSON, or of what is such a literal already.
fn array(element: &Form, text: &str) -> Option<String> {
    let start = text.trim_start();
    let is_own = start.starts_with(['{', '[']) && !start.starts_with("[\"");
    if is_own && spelling::array(text).is_some() {
        return Some(text.to_owned());
    }
    let document = json::parse(text.as_bytes()).ok()?;
    let mut out = String::new();
    items(element, &document, &mut out)?;
    Some(out)
}

fn items(element: &Form, value: &Json<'_>, out: &mut String) -> Option<()> {
    let of_documents = matches!(element, Form::Json | Form::Jsonb);
    match value {
        Json::Array(inner) if !of_documents || out.is_empty() => {
            out.push('{');
            for (place, item) in inner.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                items(element, item, out)?;
            }
            out.push('}');
        }
        Json::Null => out.push_str("NULL"),
        value if of_documents => item(&value.to_text(), out),
        Json::Bool(value) => item(&value.to_string(), out),
        Json::Number(number) => {
            let digits = number.as_str();
            match element {
                Form::Int2 | Form::Int4 | Form::Int8 | Form::Oid => {
                    item(&Decimal::parse(digits).ok()?.to_i128_exact()?.to_string(), out);
                }
                _ => item(digits, out),
            }
        }
        // An array says years otherwise than the engine reads them, where they have not four digits.
        Json::String(text) if is_of_days(element) && !is_usual_day(text) => return None,
        Json::String(text) => item(text, out),
        Json::Array(_) | Json::Object(_) => item(&value.to_text(), out),
    }
    Some(())
}

fn is_of_days(element: &Form) -> bool {
    matches!(element, Form::Date | Form::Timestamp(_) | Form::TimestampTz(_))
}

/// A day of the years 1 to 9999, or none at all.
fn is_usual_day(text: &str) -> bool {
    let is_year = |year: &str| year.bytes().all(|byte| byte.is_ascii_digit()) && year != "0000";
    matches!(text, "infinity" | "-infinity")
        || text
            .split_at_checked(4)
            .is_some_and(|(year, rest)| is_year(year) && rest.starts_with('-'))
}

fn item(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_the_same_with_any_setting() {
        let check = |given: &str, said: &str| assert_eq!(quoted(given), said);
        check("it's */ -- \"", "'it''s */ -- \"'");
        check("\\'", "E'\\\\'''");
        check("a\r\n\tb\u{1}\u{202e}\u{e0041}", "E'a\\r\\n\\tb\\u0001\\u202e\\U000e0041'");
    }

    #[test]
    fn years_before_the_first_are_counted_back() {
        let check = |(year, month, date), said: &str| {
            assert_eq!(day(Date::from_ymd(year, month, date).unwrap(), ""), said);
        };
        check((2024, 2, 29), "2024-02-29");
        check((0, 1, 1), "0001-01-01 BC");
        check((-43, 3, 15), "0044-03-15 BC");
        check((12345, 1, 1), "12345-01-01");
    }

    #[test]
    fn arrays_are_spelled_as_the_engine_reads_them() {
        let check = |element: &Form, given: &str, said: &str| {
            assert_eq!(array(element, given).as_deref(), Some(said));
        };
        check(&Form::Int4, "[1, null, 2e1]", r#"{"1",NULL,"20"}"#);
        check(&Form::Text(None), r#"["a\"b\\", "NULL"]"#, r#"{"a\"b\\","NULL"}"#);
        check(&Form::Int4, "[[1],[2]]", r#"{{"1"},{"2"}}"#);
        check(&Form::Jsonb, r#"[{"a":[1]},[2]]"#, r#"{"{\"a\":[1]}","[2]"}"#);
        check(&Form::Int4, "[0:1]={1,2}", "[0:1]={1,2}");
        check(&Form::Date, r#"["2024-02-29","infinity"]"#, r#"{"2024-02-29","infinity"}"#);
        for odd in ["0000-03-15", "-0043-03-15", "+12345-01-01", "12345-01-01"] {
            assert_eq!(array(&Form::Date, &format!("[{odd:?}]")), None, "{odd}");
        }
    }
}
