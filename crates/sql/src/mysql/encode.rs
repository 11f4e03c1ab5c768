//! Values on their way to the server: what a column holds unaltered, and what it would bend.
//!
//! Strict mode refuses much, but not all: digits past the scale are rounded, fractions of seconds
//! cut, `char(n)` loses its trailing blanks, −0 its sign, each with a note at most. So everything is
//! compared with the column's declared type here, before it is sent; only constraints are left to
//! the server.

use std::fmt::Write as _;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::mysql::{MySql, MySqlTypeInfo};
use sqlx::{Encode, Type};
use whimbrel_model::decimal::{Decimal, Numeric};
use whimbrel_model::time::{Date, DateTime, Time};
use whimbrel_model::value::UuidText;
use whimbrel_model::{Kind, ValueRef};

use crate::codes;
use crate::single::narrowed;

/// A column as far as writing to it needs to know.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    pub(crate) shape: Shape,
    /// The column refuses NULL. The server would put its own value in some such columns.
    pub(crate) required: bool,
}

/// What a declared type holds.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Shape {
    Int {
        least: i128,
        most: i128,
    },
    Year,
    Bit {
        bits: u32,
    },
    Decimal {
        digits: u32,
        scale: u32,
        unsigned: bool,
    },
    Double {
        single: bool,
        unsigned: bool,
    },
    Text {
        chars: u64,
        bytes: u64,
        charset: Charset,
        padded: bool,
    },
    Json,
    Bytes {
        most: u64,
        padded: bool,
    },
    Enum(Vec<String>),
    Set(Vec<String>),
    Date,
    Time {
        digits: u32,
    },
    DateTime {
        digits: u32,
    },
    Instant {
        digits: u32,
    },
    Uuid,
    Inet {
        six: bool,
    },
    /// Geometry and what else has no canonical value; the type's name.
    Opaque(String),
}

/// Which characters a column takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Charset {
    /// All of them.
    Utf8mb4,
    /// All but those of four bytes.
    Utf8mb3,
    Ascii,
    /// The server knows; in strict mode it refuses others.
    Else,
}

/// Why a value is not sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// A value as it is bound; nothing is copied before the driver copies it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Unsigned(u64),
    Double(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Param<'_> {
    /// About the bytes that it takes in a packet, its type included.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Null => 3,
            Self::Int(_) | Self::Unsigned(_) | Self::Double(_) => 10,
            Self::Text(text) => text.len() + 11,
            Self::Bytes(bytes) => bytes.len() + 11,
        }
    }
}

impl Type<MySql> for Param<'_> {
    fn type_info() -> MySqlTypeInfo {
        <str as Type<MySql>>::type_info()
    }
}

impl Encode<'_, MySql> for Param<'_> {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => Encode::<MySql>::encode_by_ref(value, buffer),
            Self::Unsigned(value) => Encode::<MySql>::encode_by_ref(value, buffer),
            Self::Double(value) => Encode::<MySql>::encode_by_ref(value, buffer),
            Self::Text(text) => Encode::<MySql>::encode_by_ref(text, buffer),
            Self::Bytes(bytes) => Encode::<MySql>::encode_by_ref(bytes, buffer),
        }
    }

    fn produces(&self) -> Option<MySqlTypeInfo> {
        Some(match self {
            Self::Null | Self::Text(_) => <str as Type<MySql>>::type_info(),
            Self::Int(_) => <i64 as Type<MySql>>::type_info(),
            Self::Unsigned(_) => <u64 as Type<MySql>>::type_info(),
            Self::Double(_) => <f64 as Type<MySql>>::type_info(),
            Self::Bytes(_) => <[u8] as Type<MySql>>::type_info(),
        })
    }
}

/// Room for what has to be spelled.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    text: String,
    /// The day that was spelled last: neighbouring rows mostly share it.
    day: Option<(Date, String)>,
    bytes: [u8; 16],
}

/// The natural form of a value that is compared with, not stored: in conditions and keys of the
/// ledger, whose columns hold every value of their kind.
pub(crate) fn plain<'a>(value: ValueRef<'a>, scratch: &'a mut Scratch) -> Param<'a> {
    match value {
        ValueRef::Null => Param::Null,
        ValueRef::Bool(value) => Param::Int(value.into()),
        ValueRef::Int(value) => number(value, scratch),
        ValueRef::Float(value) => Param::Double(value),
        ValueRef::Decimal(text) | ValueRef::Text(text) | ValueRef::Json(text) => Param::Text(text),
        ValueRef::Bytes(bytes) => Param::Bytes(bytes),
        ValueRef::Date(value) => spelled(scratch, |scratch| scratch.date(value)),
        ValueRef::Time(value) => spelled(scratch, |scratch| scratch.display(value)),
        ValueRef::Timestamp(value) | ValueRef::TimestampTz(value) => {
            spelled(scratch, |scratch| scratch.date_time(value))
        }
        ValueRef::Uuid(value) => spelled(scratch, |scratch| scratch.display(UuidText(&value))),
    }
}

/// The form in which a value goes into a column, or why it does not.
pub(crate) fn form<'a>(
    slot: &Slot,
    value: ValueRef<'a>,
    scratch: &'a mut Scratch,
) -> Result<Param<'a>, Refusal> {
    match (&slot.shape, value) {
        (_, ValueRef::Null) if slot.required => Err(Refusal {
            code: whimbrel_endpoint::codes::NOT_NULL,
            message: "the column refuses NULL".to_owned(),
        }),
        (_, ValueRef::Null) => Ok(Param::Null),
        (Shape::Text { chars, bytes, charset, padded }, ValueRef::Text(text)) => {
            fits_text(text, *chars, *bytes, *charset, *padded)?;
            Ok(Param::Text(text))
        }
        (Shape::Int { least, most }, value) => {
            let whole = integer(value).ok_or_else(|| altered(value))?;
            if whole < *least || whole > *most {
                return Err(unholdable(format!(
                    "the column holds integers from {least} to {most}: `{whole}`"
                )));
            }
            Ok(number(whole, scratch))
        }
        (Shape::Double { single, unsigned }, value) => double(*single, *unsigned, value),
        (Shape::Decimal { digits, scale, unsigned }, value) => {
            decimal((*digits, *scale, *unsigned), value, scratch)
        }
        (Shape::Text { chars, bytes, charset, padded }, value) => {
            let text = as_text(value, scratch)?;
            fits_text(text, *chars, *bytes, *charset, *padded)?;
            Ok(Param::Text(text))
        }
        (Shape::Json, ValueRef::Json(text) | ValueRef::Text(text)) => Ok(Param::Text(text)),
        (Shape::Bytes { most, padded }, ValueRef::Bytes(bytes)) => {
            fits_bytes(bytes, *most, *padded)?;
            Ok(Param::Bytes(bytes))
        }
        (Shape::Bytes { most, .. }, ValueRef::Uuid(value)) if *most >= 16 => {
            if *most != 16 && slot.kind != Kind::Uuid {
                return Err(altered(ValueRef::Uuid(value)));
            }
            scratch.bytes = value;
            Ok(Param::Bytes(&scratch.bytes))
        }
        (Shape::Enum(labels), ValueRef::Text(text)) => {
            if !labels.iter().any(|label| label == text) {
                return Err(unholdable(format!("no label of the column: `{}`", bounded(text))));
            }
            Ok(Param::Text(text))
        }
        (Shape::Set(labels), ValueRef::Text(text)) => {
            in_order(labels, text)?;
            Ok(Param::Text(text))
        }
        (Shape::Date, ValueRef::Date(value)) => {
            in_calendar(value)?;
            Ok(spelled(scratch, |scratch| scratch.date(value)))
        }
        (Shape::Time { digits }, ValueRef::Time(value)) => {
            if value.nanos.unsigned_abs() > TIME_MAX {
                return Err(unholdable(format!("beyond 838:59:59: `{value}`")));
            }
            fraction(value.nanos.unsigned_abs(), *digits, &value)?;
            Ok(spelled(scratch, |scratch| scratch.time(value)))
        }
        (Shape::DateTime { digits }, ValueRef::Timestamp(value)) => {
            date_time(*digits, value, scratch)
        }
        // Where the mapping keeps instants in DATETIME, they are in UTC.
        (Shape::DateTime { digits }, ValueRef::TimestampTz(value))
            if slot.kind == Kind::TimestampTz =>
        {
            date_time(*digits, value, scratch)
        }
        (Shape::Instant { digits }, ValueRef::TimestampTz(value)) => {
            let second = value.unix_nanos().div_euclid(1_000_000_000);
            if !(1..=i128::from(i32::MAX)).contains(&second) {
                return Err(unholdable(format!(
                    "TIMESTAMP holds 1970-01-01T00:00:01Z to 2038-01-19T03:14:07Z: `{value}Z`"
                )));
            }
            date_time(*digits, value, scratch)
        }
        (Shape::Uuid, ValueRef::Uuid(value)) => {
            Ok(spelled(scratch, |scratch| scratch.display(UuidText(&value))))
        }
        (Shape::Inet { six }, ValueRef::Text(text)) => {
            let same = if *six {
                text.parse::<std::net::Ipv6Addr>().is_ok_and(|address| address.to_string() == text)
            } else {
                text.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.to_string() == text)
            };
            if same { Ok(Param::Text(text)) } else { Err(altered(value)) }
        }
        (Shape::Bit { bits }, value) => bit(*bits, value),
        (Shape::Year, value) => match integer(value) {
            Some(year) if year == 0 || (1901..=2155).contains(&year) => Ok(Param::Int(year as i64)),
            Some(year) => Err(unholdable(format!("YEAR holds 0 and 1901 to 2155: `{year}`"))),
            None => Err(altered(value)),
        },
        (Shape::Opaque(name), _) => {
            Err(unholdable(format!("columns of this type cannot be written: `{name}`")))
        }
        (
            Shape::Json
            | Shape::Bytes { .. }
            | Shape::Enum(_)
            | Shape::Set(_)
            | Shape::Date
            | Shape::Time { .. }
            | Shape::DateTime { .. }
            | Shape::Instant { .. }
            | Shape::Uuid
            | Shape::Inet { .. },
            value,
        ) => Err(altered(value)),
    }
}

/// 838:59:59 and no fraction, in nanoseconds.
const TIME_MAX: u64 = (838 * 3600 + 59 * 60 + 59) * 1_000_000_000;

fn integer(value: ValueRef<'_>) -> Option<i128> {
    match value {
        ValueRef::Int(value) => Some(value),
        ValueRef::Bool(value) => Some(value.into()),
        ValueRef::Decimal(text) => Decimal::parse(text).ok()?.to_i128_exact(),
        _ => None,
    }
}

fn number(value: i128, scratch: &mut Scratch) -> Param<'_> {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => Param::Int(value),
        (_, Ok(value)) => Param::Unsigned(value),
        (Err(_), Err(_)) => spelled(scratch, |scratch| scratch.display(value)),
    }
}

fn double<'a>(single: bool, unsigned: bool, value: ValueRef<'_>) -> Result<Param<'a>, Refusal> {
    let double = match value {
        ValueRef::Float(value) => value,
        ValueRef::Decimal(text) => Decimal::parse(text)
            .ok()
            .and_then(|number| number.to_f64_exact())
            .ok_or_else(|| altered(value))?,
        _ => return Err(altered(value)),
    };
    if !double.is_finite() {
        return Err(unholdable(format!("a DOUBLE is finite here: `{double}`")));
    }
    if double == 0.0 && double.is_sign_negative() {
        return Err(unholdable("the server stores -0.0 as 0.0: `-0.0`"));
    }
    if unsigned && double < 0.0 {
        return Err(unholdable(format!("the column is unsigned: `{double:?}`")));
    }
    if !single {
        return Ok(Param::Double(double));
    }
    // Sent as what the column holds, so that keys are found by it too.
    narrowed(double).map(|held| Param::Double(held.into())).ok_or_else(|| altered(value))
}

fn decimal<'a>(
    (digits, scale, unsigned): (u32, u32, bool),
    value: ValueRef<'a>,
    scratch: &'a mut Scratch,
) -> Result<Param<'a>, Refusal> {
    let text = match value {
        ValueRef::Decimal(text) => text,
        ValueRef::Int(whole) => {
            scratch.start();
            scratch.display(whole);
            &scratch.text
        }
        _ => return Err(altered(value)),
    };
    let number = match Numeric::parse(text) {
        Ok(Numeric::Finite(number)) => number,
        Ok(Numeric::NaN | Numeric::Infinity | Numeric::NegativeInfinity) | Err(_) => {
            return Err(unholdable(format!("no finite number: `{}`", bounded(text))));
        }
    };
    if unsigned && number.is_negative() && !number.is_zero() {
        return Err(unholdable(format!("the column is unsigned: `{}`", bounded(text))));
    }
    if !number.fits(digits, scale) {
        let message = format!("DECIMAL({digits},{scale}) does not hold: `{}`", bounded(text));
        return Err(Refusal { code: codes::UNHOLDABLE, message });
    }
    if number.is_zero() {
        return Ok(Param::Text("0"));
    }
    if text.bytes().any(|byte| matches!(byte, b'e' | b'E')) || text.len() > 80 {
        // Digits and point: nothing depends on how the server reads exponents.
        let plain = number.to_plain_string(160).ok_or_else(|| altered(value))?;
        scratch.text = plain;
        return Ok(Param::Text(&scratch.text));
    }
    match value {
        ValueRef::Decimal(text) => Ok(Param::Text(text)),
        _ => Ok(Param::Text(&scratch.text)),
    }
}

fn as_text<'a>(value: ValueRef<'a>, scratch: &'a mut Scratch) -> Result<&'a str, Refusal> {
    scratch.start();
    match value {
        ValueRef::Text(text) | ValueRef::Json(text) | ValueRef::Decimal(text) => return Ok(text),
        ValueRef::Uuid(value) => scratch.display(UuidText(&value)),
        ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_) => scratch.display(value),
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_) => return Err(altered(value)),
    }
    Ok(&scratch.text)
}

fn fits_text(
    text: &str,
    chars_max: u64,
    bytes_max: u64,
    charset: Charset,
    padded: bool,
) -> Result<(), Refusal> {
    // No text has more characters than bytes.
    if text.len() as u64 > chars_max {
        let chars = text.chars().count() as u64;
        if chars > chars_max {
            return Err(too_long(format!("{chars} characters, the column holds {chars_max}")));
        }
    }
    if text.len() as u64 > bytes_max {
        return Err(too_long(format!("{} bytes, the column holds {bytes_max}", text.len())));
    }
    if padded && text.ends_with(' ') {
        return Err(altered(ValueRef::Text(text)));
    }
    let foreign = match charset {
        Charset::Utf8mb4 | Charset::Else => None,
        Charset::Utf8mb3 => text.chars().find(|letter| letter.len_utf8() == 4),
        Charset::Ascii => text.chars().find(|letter| !letter.is_ascii()),
    };
    match foreign {
        None => Ok(()),
        Some(letter) => Err(unholdable(format!(
            "the column's character set has no `{}`: `{}`",
            letter.escape_debug(),
            bounded(text)
        ))),
    }
}

fn fits_bytes(bytes: &[u8], most: u64, padded: bool) -> Result<(), Refusal> {
    let len = bytes.len() as u64;
    if len > most {
        return Err(too_long(format!("{len} bytes, the column holds {most}")));
    }
    if padded && len < most {
        return Err(Refusal {
            code: codes::WOULD_CHANGE,
            message: format!("BINARY({most}) would fill up {len} bytes with zeros"),
        });
    }
    Ok(())
}

fn in_order(labels: &[String], text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        return Ok(());
    }
    let mut next = 0;
    for label in text.split(',') {
        match labels.iter().position(|known| known == label) {
            None => {
                return Err(unholdable(format!("no label of the column: `{}`", bounded(label))));
            }
            Some(at) if at < next => return Err(altered(ValueRef::Text(text))),
            Some(at) => next = at + 1,
        }
    }
    Ok(())
}

fn in_calendar(day: Date) -> Result<(), Refusal> {
    if (0..=9999).contains(&day.ymd().0) {
        return Ok(());
    }
    Err(unholdable(format!("years from 0 to 9999: `{day}`")))
}

/// Fractions are cut, not refused, by the server.
fn fraction(nanos: u64, digits: u32, shown: &dyn std::fmt::Display) -> Result<(), Refusal> {
    if nanos.is_multiple_of(10_u64.pow(9 - digits.min(9))) {
        return Ok(());
    }
    Err(Refusal {
        code: codes::WOULD_CHANGE,
        message: format!("the column keeps {digits} digits of a second: `{shown}`"),
    })
}

fn date_time(digits: u32, value: DateTime, scratch: &mut Scratch) -> Result<Param<'_>, Refusal> {
    in_calendar(value.date())?;
    fraction(value.nanos, digits, &value)?;
    Ok(spelled(scratch, |scratch| scratch.date_time(value)))
}

fn bit(bits: u32, value: ValueRef<'_>) -> Result<Param<'_>, Refusal> {
    let beyond = |value: &dyn std::fmt::Display| unholdable(format!("BIT({bits}): `{value}`"));
    match value {
        ValueRef::Bytes(bytes) => {
            let len = bits.div_ceil(8) as usize;
            let spare = len as u32 * 8 - bits;
            let fits = bytes.len() == len
                && bytes.first().is_none_or(|first| u32::from(*first) < 256 >> spare);
            if fits { Ok(Param::Bytes(bytes)) } else { Err(beyond(&value)) }
        }
        ValueRef::Bool(_) | ValueRef::Int(_) => {
            let whole = integer(value).and_then(|whole| u64::try_from(whole).ok());
            match whole {
                Some(whole) if bits >= 64 || whole < 1 << bits => Ok(Param::Unsigned(whole)),
                Some(_) | None => Err(beyond(&value)),
            }
        }
        _ => Err(altered(value)),
    }
}

fn altered(value: ValueRef<'_>) -> Refusal {
    Refusal {
        code: codes::WOULD_CHANGE,
        message: format!(
            "the column's declared type would change the {}: `{}`",
            value.noun(),
            bounded(&value.to_string())
        ),
    }
}

fn unholdable(message: impl Into<String>) -> Refusal {
    Refusal { code: codes::UNHOLDABLE, message: message.into() }
}

fn too_long(message: String) -> Refusal {
    Refusal { code: codes::TOO_LONG, message }
}

fn bounded(text: &str) -> String {
    text.chars().take(80).collect()
}

fn spelled(scratch: &mut Scratch, spell: impl FnOnce(&mut Scratch)) -> Param<'_> {
    scratch.start();
    spell(scratch);
    Param::Text(&scratch.text)
}

impl Scratch {
    fn start(&mut self) {
        self.text.clear();
    }

    fn display(&mut self, value: impl std::fmt::Display) {
        write!(self.text, "{value}").expect("a String takes any text");
    }

    fn digits(&mut self, value: u64, count: u32) {
        for place in (0..count).rev() {
            self.text.push(char::from(b'0' + (value / 10_u64.pow(place) % 10) as u8));
        }
    }

    fn date(&mut self, day: Date) {
        match &self.day {
            Some((known, text)) if *known == day => self.text.push_str(text),
            Some(_) | None => {
                let start = self.text.len();
                let (year, month, of_month) = day.ymd();
                self.digits(u64::try_from(year).unwrap_or(0), 4);
                self.text.push('-');
                self.digits(month.into(), 2);
                self.text.push('-');
                self.digits(of_month.into(), 2);
                self.day = Some((day, self.text[start..].to_owned()));
            }
        }
    }

    fn clock(&mut self, nanos: u64) {
        let seconds = nanos / 1_000_000_000;
        let hours = seconds / 3600;
        self.digits(hours, if hours > 99 { 3 } else { 2 });
        self.text.push(':');
        self.digits(seconds / 60 % 60, 2);
        self.text.push(':');
        self.digits(seconds % 60, 2);
        let micros = nanos % 1_000_000_000 / 1_000;
        if micros > 0 {
            self.text.push('.');
            self.digits(micros, 6);
        }
    }

    fn time(&mut self, time: Time) {
        if time.nanos < 0 {
            self.text.push('-');
        }
        self.clock(time.nanos.unsigned_abs());
    }

    fn date_time(&mut self, at: DateTime) {
        self.date(at.date());
        self.text.push(' ');
        self.clock(at.nanos);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use whimbrel_model::kind::IntWidth;

    fn slot(shape: Shape) -> Slot {
        Slot { kind: Kind::Any, shape, required: false }
    }

    fn check(shape: Shape, value: ValueRef<'_>, expected: Param<'_>) {
        let mut scratch = Scratch::default();
        assert_eq!(form(&slot(shape), value, &mut scratch), Ok(expected), "{value:?}");
    }

    fn refused(shape: Shape, value: ValueRef<'_>, code: &str) {
        let mut scratch = Scratch::default();
        let slot = slot(shape);
        let refusal = form(&slot, value, &mut scratch).expect_err("it was taken");
        assert_eq!(refusal.code, code, "{}", refusal.message);
    }

    const VARCHAR: Shape =
        Shape::Text { chars: 3, bytes: 65_535, charset: Charset::Utf8mb4, padded: false };

    #[test]
    fn integers_keep_to_the_columns_range() {
        let tiny = || Shape::Int { least: -128, most: 127 };
        check(tiny(), ValueRef::Int(-128), Param::Int(-128));
        check(tiny(), ValueRef::Bool(true), Param::Int(1));
        check(tiny(), ValueRef::Decimal("12e1"), Param::Int(120));
        refused(tiny(), ValueRef::Int(128), "WB0415");
        refused(tiny(), ValueRef::Text("1"), "WB0416");
        refused(tiny(), ValueRef::Float(1.0), "WB0416");
        let (least, most) = IntWidth::U64.range();
        check(Shape::Int { least, most }, ValueRef::Int(most), Param::Unsigned(u64::MAX));
    }

    #[test]
    fn what_would_be_rounded_is_refused() {
        let money = || Shape::Decimal { digits: 5, scale: 2, unsigned: false };
        check(money(), ValueRef::Decimal("123.45"), Param::Text("123.45"));
        check(money(), ValueRef::Decimal("1.2e2"), Param::Text("120"));
        check(money(), ValueRef::Decimal("1.5000"), Param::Text("1.5000"));
        refused(money(), ValueRef::Decimal("1.234"), "WB0415");
        refused(money(), ValueRef::Decimal("1234.5"), "WB0415");
        refused(money(), ValueRef::Decimal("NaN"), "WB0415");
        let unsigned = Shape::Decimal { digits: 5, scale: 2, unsigned: true };
        refused(unsigned, ValueRef::Decimal("-1"), "WB0415");
    }

    #[test]
    fn what_would_be_cut_is_refused() {
        let time = Time { nanos: 1_500_000_000 };
        check(Shape::Time { digits: 1 }, ValueRef::Time(time), Param::Text("00:00:01.500000"));
        refused(Shape::Time { digits: 0 }, ValueRef::Time(time), "WB0416");
        let at = ValueRef::Timestamp(DateTime { days: 0, nanos: 1 });
        refused(Shape::DateTime { digits: 6 }, at, "WB0416");
        let before = Time { nanos: -(838 * 3600) * 1_000_000_000 };
        check(Shape::Time { digits: 0 }, ValueRef::Time(before), Param::Text("-838:00:00"));
    }

    #[test]
    fn floats_keep_their_spelling_or_are_refused() {
        let double = || Shape::Double { single: false, unsigned: false };
        let single = || Shape::Double { single: true, unsigned: false };
        check(double(), ValueRef::Float(0.1), Param::Double(0.1));
        refused(double(), ValueRef::Float(f64::NAN), "WB0415");
        refused(double(), ValueRef::Float(-0.0), "WB0415");
        check(single(), ValueRef::Float(0.1), Param::Double(0.1_f32.into()));
        check(single(), ValueRef::Float(0.5), Param::Double(0.5));
        refused(single(), ValueRef::Float(1.0 / 3.0), "WB0416");
    }

    #[test]
    fn text_keeps_to_length_and_character_set() {
        check(VARCHAR, ValueRef::Text("ééé"), Param::Text("ééé"));
        refused(VARCHAR, ValueRef::Text("éééé"), "WB0470");
        let charset = Charset::Utf8mb3;
        let old = || Shape::Text { chars: 9, bytes: 99, charset, padded: true };
        refused(old(), ValueRef::Text("🦉"), "WB0415");
        refused(old(), ValueRef::Text("a "), "WB0416");
        refused(VARCHAR, ValueRef::Int(1), "WB0416");
    }

    #[test]
    fn labels_are_compared_by_their_bytes() {
        let labels = || vec!["a".to_owned(), "B".to_owned()];
        check(Shape::Enum(labels()), ValueRef::Text("a"), Param::Text("a"));
        refused(Shape::Enum(labels()), ValueRef::Text("A"), "WB0415");
        check(Shape::Set(labels()), ValueRef::Text("a,B"), Param::Text("a,B"));
        check(Shape::Set(labels()), ValueRef::Text(""), Param::Text(""));
        refused(Shape::Set(labels()), ValueRef::Text("B,a"), "WB0416");
        refused(Shape::Set(labels()), ValueRef::Text("c"), "WB0415");
    }

    #[test]
    fn instants_keep_to_what_timestamp_holds() {
        let second = |nanos| DateTime::from_unix_nanos(nanos * 1_000_000_000).unwrap();
        let shape = || Shape::Instant { digits: 0 };
        check(shape(), ValueRef::TimestampTz(second(1)), Param::Text("1970-01-01 00:00:01"));
        refused(shape(), ValueRef::TimestampTz(second(0)), "WB0415");
        refused(shape(), ValueRef::TimestampTz(second(i128::from(i32::MAX) + 1)), "WB0415");
        refused(shape(), ValueRef::Timestamp(second(1)), "WB0416");
    }

    #[test]
    fn a_required_column_never_sees_null() {
        let slot = Slot { required: true, ..slot(VARCHAR) };
        let mut scratch = Scratch::default();
        let refusal = form(&slot, ValueRef::Null, &mut scratch).unwrap_err();
        assert_eq!(refusal.code, whimbrel_endpoint::codes::NOT_NULL);
    }

    #[test]
    fn bits_are_as_many_as_declared() {
        check(Shape::Bit { bits: 9 }, ValueRef::Bytes(&[1, 255]), Param::Bytes(&[1, 255]));
        refused(Shape::Bit { bits: 9 }, ValueRef::Bytes(&[2, 0]), "WB0415");
        check(Shape::Bit { bits: 1 }, ValueRef::Bool(true), Param::Unsigned(1));
        refused(Shape::Bit { bits: 1 }, ValueRef::Int(2), "WB0415");
    }

    proptest! {
        #[test]
        fn a_decimal_that_is_taken_keeps_its_value(
            whole in -1_000_000i64..1_000_000, exponent in -9i32..9
        ) {
            let literal = format!("{whole}e{exponent}");
            let mut scratch = Scratch::default();
            let shape = Shape::Decimal { digits: 10, scale: 3, unsigned: false };
            if let Ok(Param::Text(sent)) = form(&slot(shape), ValueRef::Decimal(&literal), &mut scratch) {
                prop_assert!(!sent.contains('e'));
                prop_assert_eq!(Decimal::parse(sent).unwrap(), Decimal::parse(&literal).unwrap());
            }
        }
    }
}
