//! Values on their way into SQLite and back.
//!
//! Each value has one *natural form*: booleans 0/1; integers up to 64 bits; decimals, JSON, dates,
//! times and UUIDs as text (RFC 3339 with `T`; `Z` only for instants; UUIDs hyphenated lower-case,
//! or 16 bytes in a BLOB column); doubles as they are. A value whose natural form the column's
//! affinity would alter is refused, never altered. Decimals in NUMERIC columns are the stated
//! exception: there the number counts, not its spelling (`12.50` comes back as `12.5`). What SQLite
//! cannot hold is refused as well: integers beyond 64 bits, NaN, and −0 but in untyped columns.
//!
//! A stored value that is not of its column's kind comes back as what it is: text as text, an
//! integer as an integer. Text counts as a date only where it is spelled as we would spell it.

use std::fmt::Write as _;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef as Stored};
use whimbrel_model::decimal::{Decimal, Numeric};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::time::{Date, DateTime, NANOS_PER_DAY, Time};
use whimbrel_model::value::UuidText;
use whimbrel_model::{Kind, ValueRef};

use crate::codes;
use crate::dialect::Affinity;

/// A column as far as binding needs to know it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    pub(crate) affinity: Affinity,
    /// The column is declared as bytes (not merely without a type).
    pub(crate) bytes: bool,
}

/// Why a value cannot be stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// A bound value: nothing is copied before the engine copies it.
pub(crate) struct Bound<'a>(pub(crate) Stored<'a>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(self.0))
    }
}

/// Room for the text of one date, time, number or UUID.
#[derive(Debug)]
pub(crate) struct Scratch {
    bytes: [u8; 64],
    len: usize,
    /// The day that was spelled last: neighbouring rows mostly share it.
    day: Option<(Date, [u8; 10])>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; 64], len: 0, day: None }
    }

    fn text(&self) -> Stored<'_> {
        Stored::Text(&self.bytes[..self.len])
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn digits(&mut self, value: u64, count: usize) {
        let mut rest = value;
        for at in (self.len..self.len + count).rev() {
            self.bytes[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.len += count;
    }

    fn date(&mut self, date: Date) {
        if let Some((_, text)) = self.day.filter(|(day, _)| *day == date) {
            self.bytes[self.len..self.len + 10].copy_from_slice(&text);
            self.len += 10;
            return;
        }
        let start = self.len;
        self.spell(date);
        self.day = self.bytes[start..self.len].try_into().ok().map(|text| (date, text));
    }

    fn spell(&mut self, date: Date) {
        let (year, month, day) = date.ymd();
        if let Ok(year) = u64::try_from(year)
            && year <= 9999
        {
            self.digits(year, 4);
            self.push(b'-');
            self.digits(month.into(), 2);
            self.push(b'-');
            self.digits(day.into(), 2);
        } else {
            self.display(date);
        }
    }

    fn clock(&mut self, nanos: u64) {
        let seconds = nanos / 1_000_000_000;
        self.digits(seconds / 3600, 2);
        self.push(b':');
        self.digits(seconds / 60 % 60, 2);
        self.push(b':');
        self.digits(seconds % 60, 2);
        let fraction = nanos % 1_000_000_000;
        if fraction == 0 {
            return;
        }
        self.push(b'.');
        if fraction.is_multiple_of(1_000_000) {
            self.digits(fraction / 1_000_000, 3);
        } else if fraction.is_multiple_of(1_000) {
            self.digits(fraction / 1_000, 6);
        } else {
            self.digits(fraction, 9);
        }
    }

    fn time(&mut self, value: Time) {
        match u64::try_from(value.nanos) {
            Ok(nanos) if nanos < NANOS_PER_DAY => self.clock(nanos),
            Ok(_) | Err(_) => self.display(value),
        }
    }

    fn date_time(&mut self, at: DateTime) {
        self.date(at.date());
        self.push(b'T');
        self.clock(at.nanos);
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        write!(self, "{value}").expect("the longest text of a fixed-size value has 48 bytes");
    }
}

impl std::fmt::Write for Scratch {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

/// The form in which a value goes into a column, or why it does not.
pub(crate) fn form<'a>(
    slot: Slot,
    value: ValueRef<'a>,
    scratch: &'a mut Scratch,
) -> Result<Stored<'a>, Refusal> {
    scratch.len = 0;
    match value {
        ValueRef::Null => Ok(Stored::Null),
        // 1 in a JSON column is the number, not `true`.
        ValueRef::Bool(value) if slot.kind == Kind::Json => Err(altered(value)),
        ValueRef::Bool(value) => integer(slot, value.into()),
        ValueRef::Int(value) => wide_integer(slot, value, scratch),
        ValueRef::Float(value) => double(slot, value),
        ValueRef::Decimal(text) => decimal(slot, text),
        ValueRef::Text(text) => self::text(slot, text),
        ValueRef::Json(text) => json(slot, text),
        ValueRef::Bytes(bytes) => Ok(Stored::Blob(bytes)),
        ValueRef::Date(value) => {
            scratch.date(value);
            Ok(scratch.text())
        }
        ValueRef::Time(value) => {
            scratch.time(value);
            Ok(scratch.text())
        }
        ValueRef::Timestamp(value) => {
            scratch.date_time(value);
            Ok(scratch.text())
        }
        ValueRef::TimestampTz(value) => {
            scratch.date_time(value);
            scratch.push(b'Z');
            Ok(scratch.text())
        }
        ValueRef::Uuid(value) if slot.bytes => {
            scratch.bytes[..16].copy_from_slice(&value);
            Ok(Stored::Blob(&scratch.bytes[..16]))
        }
        ValueRef::Uuid(value) => {
            scratch.display(UuidText(&value));
            Ok(scratch.text())
        }
    }
}

fn altered(value: impl std::fmt::Display) -> Refusal {
    let shown: String = value.to_string().chars().take(80).collect();
    Refusal {
        code: codes::WOULD_CHANGE,
        message: format!("the column's declared type would change the value: `{shown}`"),
    }
}

fn unholdable(message: impl Into<String>) -> Refusal {
    Refusal { code: codes::UNHOLDABLE, message: message.into() }
}

fn is_wide(kind: Kind) -> bool {
    matches!(kind, Kind::Int(IntWidth::U64 | IntWidth::I128))
}

fn wide_integer(slot: Slot, value: i128, scratch: &mut Scratch) -> Result<Stored<'_>, Refusal> {
    if is_wide(slot.kind) && slot.affinity == Affinity::Text {
        scratch.display(value);
        return Ok(scratch.text());
    }
    match i64::try_from(value) {
        Ok(value) => integer(slot, value),
        Err(_) => Err(unholdable(format!("the integer needs more than 64 bits: `{value}`"))),
    }
}

fn integer<'a>(slot: Slot, value: i64) -> Result<Stored<'a>, Refusal> {
    match slot.affinity {
        Affinity::Integer | Affinity::Numeric | Affinity::Blob => Ok(Stored::Integer(value)),
        Affinity::Text | Affinity::Real => Err(altered(value)),
    }
}

fn double<'a>(slot: Slot, value: f64) -> Result<Stored<'a>, Refusal> {
    if value.is_nan() {
        return Err(unholdable("SQLite stores NaN as NULL: `NaN`"));
    }
    if value == 0.0 && value.is_sign_negative() && slot.affinity != Affinity::Blob {
        return Err(unholdable("SQLite stores -0.0 as 0.0 here: `-0.0`"));
    }
    let whole = || value.fract() == 0.0 && value.abs() < 9.3e18;
    match slot.affinity {
        Affinity::Real | Affinity::Blob => Ok(Stored::Real(value)),
        Affinity::Integer | Affinity::Numeric if !whole() => Ok(Stored::Real(value)),
        Affinity::Integer | Affinity::Numeric | Affinity::Text => {
            Err(altered(format!("{value:?}")))
        }
    }
}

fn decimal(slot: Slot, literal: &str) -> Result<Stored<'_>, Refusal> {
    let stored = Stored::Text(literal.as_bytes());
    match slot.affinity {
        Affinity::Text | Affinity::Blob => Ok(stored),
        Affinity::Numeric | Affinity::Integer | Affinity::Real => match Numeric::parse(literal) {
            Ok(Numeric::Finite(number)) => {
                number_form(slot, number).ok_or_else(|| altered(literal))
            }
            Ok(Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity) => Ok(stored),
            Err(_) => text(slot, literal),
        },
    }
}

fn number_form<'a>(slot: Slot, number: Decimal<'_>) -> Option<Stored<'a>> {
    let whole = number.to_i128_exact().and_then(|value| i64::try_from(value).ok());
    match whole {
        Some(value) if slot.affinity != Affinity::Real => Some(Stored::Integer(value)),
        Some(_) | None => number.to_f64_exact().map(Stored::Real),
    }
}

fn text(slot: Slot, text: &str) -> Result<Stored<'_>, Refusal> {
    match slot.affinity {
        Affinity::Text | Affinity::Blob => Ok(Stored::Text(text.as_bytes())),
        Affinity::Numeric | Affinity::Integer | Affinity::Real if !reads_as_number(text) => {
            Ok(Stored::Text(text.as_bytes()))
        }
        Affinity::Numeric | Affinity::Integer | Affinity::Real => Err(altered(text)),
    }
}

fn json(slot: Slot, document: &str) -> Result<Stored<'_>, Refusal> {
    match (slot.kind, slot.affinity, canonical_integer(document)) {
        (Kind::Json, Affinity::Numeric | Affinity::Integer, Some(value)) => {
            Ok(Stored::Integer(value))
        }
        (_, _, _) => text(slot, document),
    }
}

fn canonical_integer(text: &str) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

/// Whether numeric affinity would make a number of the text: SQLite's literal, blanks around it.
fn reads_as_number(text: &str) -> bool {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let bytes = text.as_bytes();
    let Some(start) = bytes.iter().position(|byte| !blank(byte)) else { return false };
    let end = bytes.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    let unsigned = match &bytes[start..end] {
        [b'+' | b'-', rest @ ..] => rest,
        rest => rest,
    };
    let (whole, rest) = digits(unsigned);
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => digits(rest),
        rest => (0, rest),
    };
    let exponent = match rest {
        [] => true,
        [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] => {
            matches!(digits(rest), (1.., []))
        }
        _ => false,
    };
    whole + fraction > 0 && exponent
}

fn digits(bytes: &[u8]) -> (usize, &[u8]) {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count, &bytes[count..])
}

/// A stored value as its column's kind, or as what it is. `scratch` holds spelled-out numbers.
pub(crate) fn read<'a>(kind: Kind, stored: Stored<'a>, scratch: &'a mut String) -> ValueRef<'a> {
    match stored {
        Stored::Null => ValueRef::Null,
        Stored::Integer(value) => read_integer(kind, value, scratch),
        Stored::Real(value) => read_double(kind, value, scratch),
        Stored::Blob(bytes) => match (kind, <[u8; 16]>::try_from(bytes)) {
            (Kind::Uuid, Ok(uuid)) => ValueRef::Uuid(uuid),
            (_, _) => ValueRef::Bytes(bytes),
        },
        Stored::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => read_text(kind, text),
            Err(_) => ValueRef::Bytes(bytes),
        },
    }
}

fn read_integer(kind: Kind, value: i64, scratch: &mut String) -> ValueRef<'_> {
    match (kind, value) {
        (Kind::Bool, 0 | 1) => ValueRef::Bool(value == 1),
        (Kind::Decimal(_), _) => ValueRef::Decimal(spell(scratch, value)),
        (Kind::Json, _) => ValueRef::Json(spell(scratch, value)),
        (_, _) => ValueRef::Int(value.into()),
    }
}

fn read_double(kind: Kind, value: f64, scratch: &mut String) -> ValueRef<'_> {
    match kind {
        Kind::Decimal(_) if value.is_finite() => {
            let text = spell(scratch, format_args!("{value:?}"));
            ValueRef::Decimal(text.strip_suffix(".0").unwrap_or(text))
        }
        _ => ValueRef::Float(value),
    }
}

fn spell(scratch: &mut String, value: impl std::fmt::Display) -> &str {
    scratch.clear();
    write!(scratch, "{value}").expect("a String takes any text");
    scratch
}

fn read_text(kind: Kind, text: &str) -> ValueRef<'_> {
    let typed = match kind {
        Kind::Decimal(_) => Numeric::parse(text).ok().map(|_| ValueRef::Decimal(text)),
        Kind::Json => Some(ValueRef::Json(text)),
        Kind::Int(_) if is_wide(kind) => wide(text).map(ValueRef::Int),
        Kind::Date => date(text).map(ValueRef::Date),
        Kind::Time => time(text).map(ValueRef::Time),
        Kind::Timestamp => date_time(text).map(ValueRef::Timestamp),
        Kind::TimestampTz => text.strip_suffix('Z').and_then(date_time).map(ValueRef::TimestampTz),
        Kind::Uuid => uuid(text).map(ValueRef::Uuid),
        Kind::Bool | Kind::Int(_) | Kind::Float | Kind::Text(_) | Kind::Bytes | Kind::Any => None,
    };
    typed.unwrap_or(ValueRef::Text(text))
}

fn wide(text: &str) -> Option<i128> {
    let value: i128 = text.parse().ok()?;
    (value.to_string() == text).then_some(value)
}

/// The value, if the text spells it exactly as it would be written.
fn spelled<T: Copy>(text: &str, value: T, write: impl FnOnce(&mut Scratch, T)) -> Option<T> {
    let mut canonical = Scratch::new();
    write(&mut canonical, value);
    (&canonical.bytes[..canonical.len] == text.as_bytes()).then_some(value)
}

fn date(text: &str) -> Option<Date> {
    spelled(text, any_date(text)?, Scratch::date)
}

/// A date in any spelling.
fn any_date(text: &str) -> Option<Date> {
    let (rest, day) = text.rsplit_once('-')?;
    let (year, month) = rest.rsplit_once('-')?;
    Date::from_ymd(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)
}

fn clock(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.split(':').map(|part| part.parse::<u64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || minutes > 59 || seconds > 59 || fraction.len() > 9 {
        return None;
    }
    let nanos: u64 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let nanos = nanos * 10_u64.pow(9 - fraction.len() as u32);
    hours
        .checked_mul(3600)?
        .checked_add(minutes * 60 + seconds)?
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
}

fn time(text: &str) -> Option<Time> {
    let (negative, unsigned) =
        text.strip_prefix('-').map_or((false, text), |unsigned| (true, unsigned));
    let nanos = i128::from(clock(unsigned)?);
    let nanos = i64::try_from(if negative { -nanos } else { nanos }).ok()?;
    spelled(text, Time { nanos }, Scratch::time)
}

fn date_time(text: &str) -> Option<DateTime> {
    let (day, rest) = text.split_once('T')?;
    let nanos = clock(rest).filter(|nanos| *nanos < NANOS_PER_DAY)?;
    spelled(text, DateTime { days: any_date(day)?.days, nanos }, Scratch::date_time)
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let mut uuid = [0; 16];
    let mut nibbles = text.bytes().filter(|byte| *byte != b'-');
    for byte in &mut uuid {
        let mut nibble = || (nibbles.next()? as char).to_digit(16);
        *byte = (nibble()? * 16 + nibble()?) as u8;
    }
    let mut canonical = Scratch::new();
    write!(canonical, "{}", UuidText(&uuid)).ok()?;
    (&canonical.bytes[..canonical.len] == text.as_bytes()).then_some(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(kind: Kind, affinity: Affinity) -> Slot {
        Slot { kind, affinity, bytes: false }
    }

    #[test]
    fn sqlite_agrees_about_what_reads_as_a_number() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (v NUMERIC)").unwrap();
        let texts = [
            "5",
            "007",
            " 5 ",
            "\t5\n",
            "+5",
            "-5",
            "--5",
            "5.",
            ".5",
            ".",
            "",
            " ",
            "1e5",
            "1e",
            "1e+",
            "1E-3",
            "e5",
            "1.2.3",
            "0x10",
            "nan",
            "inf",
            "1_000",
            "2024-01-01",
            "12:00:00",
            "5a",
            "5 6",
            "9223372036854775808",
            "1e400",
            "+",
            "-.5e2",
            "5\0",
            "5\u{a0}",
            "\u{0b}5\u{0c}",
        ];
        for text in texts {
            let kept: String = connection
                .query_row("INSERT INTO t VALUES (?1) RETURNING typeof(v)", [text], |row| {
                    row.get(0)
                })
                .unwrap();
            assert_eq!(reads_as_number(text), kept != "text", "{text:?} is stored as {kept}");
        }
    }

    #[test]
    fn text_that_is_spelled_otherwise_is_no_date() {
        assert_eq!(date("2024-1-01"), None);
        assert_eq!(date("2024-02-30"), None);
        assert_eq!(date_time("2024-01-01 00:00:00"), None);
        assert_eq!(date_time("2024-01-01T00:00:00.50"), None);
        assert_eq!(time("24:00"), None);
        assert_eq!(uuid("00000000-0000-0000-0000-00000000000G"), None);
        assert_eq!(uuid("00000000-0000-0000-0000-00000000000A"), None);
    }

    #[test]
    fn a_decimal_that_a_number_column_would_round_is_refused() {
        let mut scratch = Scratch::new();
        let numeric = slot(Kind::Decimal(None), Affinity::Numeric);
        let refusal = form(numeric, ValueRef::Decimal("0.10000000000000000001"), &mut scratch);
        assert_eq!(refusal.unwrap_err().code, codes::WOULD_CHANGE);
        assert!(form(numeric, ValueRef::Decimal("12.50"), &mut scratch).is_ok());
    }

    mod properties {
        use super::*;
        use crate::dialect::affinity;
        use proptest::prelude::*;
        use whimbrel_model::Value;

        fn round(kind: Kind, value: ValueRef<'_>) {
            let mut scratch = Scratch::new();
            let mut spelled = String::new();
            let form = form(slot(kind, Affinity::Text), value, &mut scratch).unwrap();
            assert_eq!(read(kind, form, &mut spelled), value);
        }

        const DECLARED: &[&str] = &[
            "",
            "ANY",
            "BOOLEAN",
            "SMALLINT",
            "INTEGER",
            "UNSIGNED_TEXT",
            "HUGE_TEXT",
            "NUMERIC(10,2)",
            "DECIMAL_TEXT",
            "REAL",
            "FLOATING POINT",
            "TEXT",
            "VARCHAR(9)",
            "BLOB",
            "DATE",
            "TIME",
            "TIMESTAMP",
            "TIMESTAMPTZ_TEXT",
            "UUID",
            "UUID_BLOB",
            "JSON",
            "JSON_TEXT",
            "STRING",
        ];

        fn any_value() -> impl Strategy<Value = Value> {
            prop_oneof![
                Just(Value::Null),
                any::<bool>().prop_map(Value::Bool),
                any::<i128>().prop_map(Value::Int),
                any::<i64>().prop_map(|v| Value::Int(v.into())),
                any::<f64>().prop_map(Value::Float),
                (-1_000i32..1_000).prop_map(|v| Value::Float(v.into())),
                "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?"
                    .prop_map(Value::Decimal),
                "[ +-]{0,2}[0-9]{0,20}[.]?[0-9]{0,3}(e[0-9])?[ ]?".prop_map(Value::Text),
                ".{0,20}".prop_map(Value::Text),
                "(-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?|null|\"[a-z]*\"|\\[1, 2\\])"
                    .prop_map(Value::Json),
                any::<Vec<u8>>().prop_map(Value::Bytes),
                any::<i32>().prop_map(|days| Value::Date(Date { days })),
                any::<i64>().prop_map(|nanos| Value::Time(Time { nanos })),
                (any::<i32>(), 0..NANOS_PER_DAY)
                    .prop_map(|(days, nanos)| Value::Timestamp(DateTime { days, nanos })),
                (any::<i32>(), 0..NANOS_PER_DAY)
                    .prop_map(|(days, nanos)| Value::TimestampTz(DateTime { days, nanos })),
                any::<[u8; 16]>().prop_map(Value::Uuid),
            ]
        }

        /// Whether what came back says the same as what went in: itself, the same number, its
        /// natural form, or text that another kind of column spells alike.
        fn says_the_same(written: ValueRef<'_>, read: ValueRef<'_>) -> bool {
            let number = |value: ValueRef<'_>| match value {
                ValueRef::Decimal(text) | ValueRef::Json(text) => Some(text.to_owned()),
                ValueRef::Int(value) => Some(value.to_string()),
                ValueRef::Bool(value) => Some(u8::from(value).to_string()),
                ValueRef::Float(value) => Some(format!("{value:e}")),
                _ => None,
            };
            let same_number = || {
                let (a, b) = (number(written)?, number(read)?);
                Some(Decimal::parse(&a).ok()? == Decimal::parse(&b).ok()?)
            };
            let same_bytes = || match (written, read) {
                (ValueRef::Uuid(uuid), ValueRef::Bytes(bytes)) => uuid == bytes,
                _ => false,
            };
            written == read
                || same_bytes()
                || match (written, read) {
                    // An exact decimal may become a double, never the other way round.
                    (ValueRef::Decimal(_), _)
                    | (ValueRef::Bool(_), ValueRef::Int(_) | ValueRef::Decimal(_))
                    | (ValueRef::Json(_), ValueRef::Int(_))
                    | (
                        ValueRef::Int(_),
                        ValueRef::Bool(_) | ValueRef::Decimal(_) | ValueRef::Json(_),
                    )
                    | (ValueRef::Float(_), ValueRef::Decimal(_)) => {
                        same_number().unwrap_or(written.to_string() == read.to_string())
                    }
                    (
                        ValueRef::Int(_) | ValueRef::Float(_) | ValueRef::Bool(_) | ValueRef::Null,
                        _,
                    ) => false,
                    (ValueRef::Bytes(_), ValueRef::Uuid(uuid)) => {
                        matches!(written, ValueRef::Bytes(bytes) if bytes == uuid)
                    }
                    _ => {
                        !matches!(read, ValueRef::Float(_) | ValueRef::Bytes(_))
                            && written.to_string() == read.to_string()
                    }
                }
        }

        proptest! {
            #![proptest_config(ProptestConfig::with_cases(4_000))]

            #[test]
            fn whatever_is_stored_says_the_same(declared in prop::sample::select(DECLARED), value in any_value()) {
                let connection = rusqlite::Connection::open_in_memory().unwrap();
                connection.execute_batch(&format!("CREATE TABLE t (v {declared})")).unwrap();
                let affinity = affinity(declared);
                let kind = crate::dialect::Dialect::Sqlite.kind_of(declared);
                let bytes = affinity == Affinity::Blob && !declared.is_empty();
                let mut scratch = Scratch::new();
                let slot = Slot { kind, affinity, bytes };
                if let Ok(form) = form(slot, value.as_ref(), &mut scratch) {
                    connection.execute("INSERT INTO t VALUES (?1)", [Bound(form)]).unwrap();
                    connection
                        .query_row("SELECT v FROM t", [], |row| {
                            let mut spelled = String::new();
                            let found = read(kind, row.get_ref(0)?, &mut spelled);
                            assert!(says_the_same(value.as_ref(), found), "{value:?} in {declared:?} is {found:?}");
                            Ok(())
                        })
                        .unwrap();
                }
            }
        }

        proptest! {
            #[test]
            fn a_date_survives(days in any::<i32>()) {
                round(Kind::Date, ValueRef::Date(Date { days }));
            }

            #[test]
            fn a_time_survives(nanos in any::<i64>()) {
                round(Kind::Time, ValueRef::Time(Time { nanos }));
            }

            #[test]
            fn an_instant_survives(days in any::<i32>(), nanos in 0..NANOS_PER_DAY) {
                round(Kind::TimestampTz, ValueRef::TimestampTz(DateTime { days, nanos }));
                round(Kind::Timestamp, ValueRef::Timestamp(DateTime { days, nanos }));
            }

            #[test]
            fn a_uuid_survives(uuid in any::<[u8; 16]>()) {
                round(Kind::Uuid, ValueRef::Uuid(uuid));
            }

            #[test]
            fn a_wide_integer_survives(value in any::<i128>()) {
                round(Kind::Int(IntWidth::I128), ValueRef::Int(value));
            }
        }
    }
}
