//! WCE-1: one sequence of bytes per value and row, the same for every engine.
//!
//! Owns the encoding (`docs/wce-1.md` is the specification, `vectors/` the
//! independent test vectors); `decode` reads it back. It decides nothing about what a target column can hold: coercion
//! comes before, is declared and counted.
//!
//! ```text
//! row   = schema id | number of columns | value | value | …      columns by name bytes
//! value = tag byte | body                                        self-delimiting, one form
//! ```
//! Every function appends to `out` and cannot fail: text that is not what its kind promises is
//! encoded as [`opaque`], which no value of that kind ever equals.

use crate::decimal::{Coefficient, Decimal, Numeric};
use crate::json::{self, Json};
use crate::kind::{Column, Kind, Table};
use crate::time::{Date, NANOS_PER_DAY};
use crate::value::ValueRef;
use std::net::IpAddr;

mod decode;

pub use decode::{DecodeError, Decoded, DecodedRow, decode, decode_row};

/// The name under which the encoding stands in ledgers and reports.
pub const NAME: &str = "WCE-1";

mod tag {
    // A tag is never reused: digests of it stand in ledgers.
    pub(super) const NULL: u8 = 0x00;
    pub(super) const FALSE: u8 = 0x01;
    pub(super) const TRUE: u8 = 0x02;
    pub(super) const INT: u8 = 0x10;
    pub(super) const DECIMAL: u8 = 0x20;
    pub(super) const DECIMAL_NAN: u8 = 0x21;
    pub(super) const DECIMAL_INFINITY: u8 = 0x22;
    pub(super) const DECIMAL_NEGATIVE_INFINITY: u8 = 0x23;
    pub(super) const FLOAT64: u8 = 0x30;
    pub(super) const FLOAT32: u8 = 0x31;
    pub(super) const BYTES: u8 = 0x40;
    pub(super) const TEXT: u8 = 0x50;
    pub(super) const DATE: u8 = 0x60;
    pub(super) const DATE_INFINITY: u8 = 0x61;
    pub(super) const DATE_NEGATIVE_INFINITY: u8 = 0x62;
    pub(super) const DATE_PARTIAL: u8 = 0x63;
    pub(super) const TIME: u8 = 0x64;
    pub(super) const TIMESTAMP: u8 = 0x65;
    pub(super) const TIMESTAMP_TZ: u8 = 0x66;
    pub(super) const TIMESTAMP_INFINITY: u8 = 0x67;
    pub(super) const TIMESTAMP_NEGATIVE_INFINITY: u8 = 0x68;
    pub(super) const TIMESTAMP_PARTIAL: u8 = 0x69;
    pub(super) const INTERVAL: u8 = 0x6A;
    pub(super) const UUID: u8 = 0x70;
    pub(super) const INET: u8 = 0x71;
    pub(super) const MAC: u8 = 0x72;
    pub(super) const JSON: u8 = 0x80;
    pub(super) const JSON_TEXT: u8 = 0x81;
    pub(super) const JSON_ARRAY: u8 = 0x82;
    pub(super) const JSON_OBJECT: u8 = 0x83;
    pub(super) const ARRAY: u8 = 0x90;
    pub(super) const ENUM: u8 = 0x91;
    pub(super) const ARRAY_BOUNDED: u8 = 0x92;
    pub(super) const SET: u8 = 0x93;
    pub(super) const OPAQUE: u8 = 0xF0;
}

const NAN_BITS: u64 = 0x7FF8_0000_0000_0000;

/// How the rows of one table are encoded: header and column order, worked out once.
#[derive(Debug, Clone)]
pub struct RowLayout {
    header: Vec<u8>,
    /// Index into the table's columns, and kind, by ascending name bytes.
    columns: Vec<(usize, Kind)>,
}

impl RowLayout {
    /// Every column of the table.
    pub fn of_rows(table: &Table) -> Self {
        Self::new(table.columns.iter().enumerate())
    }

    /// The key columns only: the digest of a key.
    pub fn of_keys(table: &Table) -> Self {
        Self::new(table.key.iter().map(|index| (*index, &table.columns[*index])))
    }

    /// The given columns, each with the index by which [`encode`](Self::encode) asks for it.
    pub fn new<'c>(columns: impl Iterator<Item = (usize, &'c Column)>) -> Self {
        let mut named: Vec<(&str, usize, Kind)> =
            columns.map(|(index, column)| (column.name.as_str(), index, column.kind)).collect();
        named.sort_unstable_by_key(|(name, index, _)| (*name, *index));
        let id = schema_id(named.iter().map(|(name, _, kind)| (*name, kind_word(*kind))));
        let mut header = Vec::with_capacity(20);
        row_header(&mut header, &id, named.len());
        Self { header, columns: named.into_iter().map(|(_, index, kind)| (index, kind)).collect() }
    }

    /// Appends one row; `value(index)` is its value in the table's column `index`.
    #[inline]
    pub fn encode<'v>(&self, out: &mut Vec<u8>, value: impl Fn(usize) -> ValueRef<'v>) {
        out.extend_from_slice(&self.header);
        for (index, kind) in &self.columns {
            cell(out, *kind, value(*index));
        }
    }
}

/// The word by which a kind enters the schema id: no widths and no lengths, so that engines that
/// declare them differently agree.
pub fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Bool => "bool",
        Kind::Int(_) => "int",
        Kind::Decimal(_) => "decimal",
        Kind::Float => "float64",
        Kind::Text(_) => "text",
        Kind::Bytes => "bytes",
        Kind::Date => "date",
        Kind::Time => "time",
        Kind::Timestamp => "timestamp",
        Kind::TimestampTz => "timestamptz",
        Kind::Uuid => "uuid",
        Kind::Json => "json",
        Kind::Any => "any",
    }
}

/// The id of a row's columns: the first 16 bytes of plain BLAKE3 over the text `WCE-1`, the
/// number of columns and, by ascending name bytes (the caller's duty), each name and kind word.
pub fn schema_id<'c>(columns: impl ExactSizeIterator<Item = (&'c str, &'c str)>) -> [u8; 16] {
    let mut listed = Vec::new();
    text(&mut listed, NAME);
    varint(&mut listed, columns.len() as u128);
    for (name, kind) in columns {
        text(&mut listed, name);
        text(&mut listed, kind);
    }
    let hash = blake3::hash(&listed);
    *hash.as_bytes().first_chunk().expect("32 bytes hold 16")
}

/// What every row begins with; its values follow by ascending column name bytes.
pub fn row_header(out: &mut Vec<u8>, schema_id: &[u8; 16], columns: usize) {
    sized(out, schema_id);
    varint(out, columns as u128);
}

/// A value of a column declared as `kind`. An integer in a decimal column is that decimal, text in
/// a JSON column that document; otherwise a value outside its kind keeps its own form and differs.
#[inline]
pub fn cell(out: &mut Vec<u8>, kind: Kind, value: ValueRef<'_>) {
    match value {
        ValueRef::Null => null(out),
        ValueRef::Bool(v) => bool(out, v),
        ValueRef::Int(v) => match kind {
            Kind::Decimal(_) => decimal_int(out, v),
            Kind::Bool
            | Kind::Int(_)
            | Kind::Float
            | Kind::Text(_)
            | Kind::Bytes
            | Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::TimestampTz
            | Kind::Uuid
            | Kind::Json
            | Kind::Any => int(out, v),
        },
        ValueRef::Decimal(v) => decimal_text(out, v),
        ValueRef::Float(v) => float64(out, v),
        ValueRef::Text(v) => match kind {
            Kind::Json => json_document(out, v),
            Kind::Bool
            | Kind::Int(_)
            | Kind::Decimal(_)
            | Kind::Float
            | Kind::Text(_)
            | Kind::Bytes
            | Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::TimestampTz
            | Kind::Uuid
            | Kind::Any => text(out, v),
        },
        ValueRef::Bytes(v) => bytes(out, v),
        ValueRef::Date(v) => date(out, v.days.into()),
        ValueRef::Time(v) => time(out, v.nanos),
        ValueRef::Timestamp(v) => timestamp(out, v.days.into(), v.nanos),
        ValueRef::TimestampTz(v) => timestamp_tz(out, v.days.into(), v.nanos),
        ValueRef::Uuid(v) => uuid(out, &v),
        ValueRef::Json(v) => json_document(out, v),
    }
}

/// NULL.
#[inline]
pub fn null(out: &mut Vec<u8>) {
    out.push(tag::NULL);
}

/// A boolean.
#[inline]
pub fn bool(out: &mut Vec<u8>, value: bool) {
    out.push(if value { tag::TRUE } else { tag::FALSE });
}

/// An integer of any width.
#[inline]
pub fn int(out: &mut Vec<u8>, value: i128) {
    out.push(tag::INT);
    signed(out, value);
}

/// A decimal.
pub fn decimal(out: &mut Vec<u8>, value: &Decimal<'_>) {
    let exponent = value.exponent();
    match value.coefficient() {
        Coefficient::Small(small) => decimal_small(out, value.is_negative(), small, exponent),
        Coefficient::Big(big) => {
            out.push(tag::DECIMAL);
            out.push(u8::from(value.is_negative()));
            signed(out, exponent.into());
            sized(out, &big);
        }
    }
}

/// The text of a decimal column: a literal, `NaN`, `Infinity` or `-Infinity`.
pub fn decimal_text(out: &mut Vec<u8>, literal: &str) {
    match Numeric::parse(literal) {
        Ok(Numeric::Finite(value)) => decimal(out, &value),
        Ok(Numeric::NaN) => out.push(tag::DECIMAL_NAN),
        Ok(Numeric::Infinity) => out.push(tag::DECIMAL_INFINITY),
        Ok(Numeric::NegativeInfinity) => out.push(tag::DECIMAL_NEGATIVE_INFINITY),
        Err(_) => opaque(out, "decimal", literal),
    }
}

/// An integer as the decimal it is: `100` in a decimal column.
pub fn decimal_int(out: &mut Vec<u8>, value: i128) {
    let mut magnitude = value.unsigned_abs();
    let mut exponent = 0;
    while magnitude != 0 && magnitude.is_multiple_of(10) {
        magnitude /= 10;
        exponent += 1;
    }
    decimal_small(out, value < 0, magnitude, exponent);
}

/// A double, by its bits; every NaN is one.
#[inline]
pub fn float64(out: &mut Vec<u8>, value: f64) {
    out.push(tag::FLOAT64);
    out.extend_from_slice(&float_bits(value).to_be_bytes());
}

/// A single-precision float, widened exactly.
#[inline]
pub fn float32(out: &mut Vec<u8>, value: f32) {
    out.push(tag::FLOAT32);
    out.extend_from_slice(&float_bits(value.into()).to_be_bytes());
}

/// Bytes.
#[inline]
pub fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    out.push(tag::BYTES);
    sized(out, value);
}

/// Text, exactly as stored.
#[inline]
pub fn text(out: &mut Vec<u8>, value: &str) {
    out.push(tag::TEXT);
    sized(out, value.as_bytes());
}

/// A day, counted from 1970-01-01 in the proleptic Gregorian calendar.
#[inline]
pub fn date(out: &mut Vec<u8>, days: i64) {
    out.push(tag::DATE);
    signed(out, days.into());
}

/// PostgreSQL's `infinity` and `-infinity` dates.
pub fn date_infinity(out: &mut Vec<u8>, negative: bool) {
    out.push(if negative { tag::DATE_NEGATIVE_INFINITY } else { tag::DATE_INFINITY });
}

/// A date of MySQL that may name no day (`0000-00-00`, `2024-00-00`, `2024-02-31`); one that does
/// is [`date`].
pub fn date_partial(out: &mut Vec<u8>, year: u16, month: u8, day: u8) {
    if let Some(real) = Date::from_ymd(year.into(), month, day) {
        return date(out, real.days.into());
    }
    out.push(tag::DATE_PARTIAL);
    for part in [u128::from(year), month.into(), day.into()] {
        varint(out, part);
    }
}

/// A time of day in nanoseconds, or MySQL's signed duration; `24:00:00` is not `00:00:00`.
#[inline]
pub fn time(out: &mut Vec<u8>, nanos: i64) {
    out.push(tag::TIME);
    signed(out, nanos.into());
}

/// A date and time without a zone. Nanoseconds of a day and more carry into the days.
#[inline]
pub fn timestamp(out: &mut Vec<u8>, days: i64, nanos_of_day: u64) {
    out.push(tag::TIMESTAMP);
    days_and_nanos(out, days, nanos_of_day);
}

/// An instant, in UTC.
#[inline]
pub fn timestamp_tz(out: &mut Vec<u8>, days: i64, nanos_of_day: u64) {
    out.push(tag::TIMESTAMP_TZ);
    days_and_nanos(out, days, nanos_of_day);
}

/// PostgreSQL's `infinity` and `-infinity`, with or without a zone.
pub fn timestamp_infinity(out: &mut Vec<u8>, negative: bool) {
    out.push(if negative { tag::TIMESTAMP_NEGATIVE_INFINITY } else { tag::TIMESTAMP_INFINITY });
}

/// A datetime of MySQL whose date may name no day; one whose date does is [`timestamp`].
pub fn timestamp_partial(out: &mut Vec<u8>, year: u16, month: u8, day: u8, nanos_of_day: u64) {
    if let Some(real) = Date::from_ymd(year.into(), month, day) {
        return timestamp(out, real.days.into(), nanos_of_day);
    }
    out.push(tag::TIMESTAMP_PARTIAL);
    for part in [u128::from(year), month.into(), day.into(), nanos_of_day.into()] {
        varint(out, part);
    }
}

/// PostgreSQL's interval: one month is not thirty days, one day not 24 hours.
pub fn interval(out: &mut Vec<u8>, months: i64, days: i64, nanos: i128) {
    out.push(tag::INTERVAL);
    for part in [months.into(), days.into(), nanos] {
        signed(out, part);
    }
}

/// A UUID, in network byte order.
#[inline]
pub fn uuid(out: &mut Vec<u8>, value: &[u8; 16]) {
    out.push(tag::UUID);
    out.extend_from_slice(value);
}

/// An address with the length of its network prefix; a host has all its bits (32, 128).
pub fn inet(out: &mut Vec<u8>, address: IpAddr, prefix: u8) {
    out.push(tag::INET);
    match address {
        IpAddr::V4(v4) => {
            out.extend_from_slice(&[4, prefix.min(32)]);
            out.extend_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            out.extend_from_slice(&[6, prefix.min(128)]);
            out.extend_from_slice(&v6.octets());
        }
    }
}

/// A MAC address (EUI-48).
pub fn mac(out: &mut Vec<u8>, value: &[u8; 6]) {
    out.push(tag::MAC);
    sized(out, value);
}

/// An eight-byte MAC address (EUI-64).
pub fn mac8(out: &mut Vec<u8>, value: &[u8; 8]) {
    out.push(tag::MAC);
    sized(out, value);
}

/// A JSON document by its meaning: members sorted, the last of duplicates, numbers by value.
pub fn json(out: &mut Vec<u8>, document: &Json<'_>) {
    out.push(tag::JSON);
    json_node(out, document);
}

/// The text of a JSON column: its document by meaning, or [`opaque`] where it is none.
pub fn json_document(out: &mut Vec<u8>, document: &str) {
    let limits = json::Limits { depth: json::DEPTH_MAX };
    match json::parse_with(document.as_bytes(), limits) {
        Ok(parsed) => json(out, &parsed.json),
        Err(_) => opaque(out, "json", document),
    }
}

/// A JSON document by its text, for columns that must keep blanks and spellings.
pub fn json_text(out: &mut Vec<u8>, document: &str) {
    out.push(tag::JSON_TEXT);
    sized(out, document.as_bytes());
}

/// An array whose indexes begin at 1; its elements follow, the last dimension fastest.
///
/// A length of 0 makes the whole array empty, as in PostgreSQL.
pub fn array_begin(out: &mut Vec<u8>, lengths: &[u32]) {
    out.push(tag::ARRAY);
    if lengths.contains(&0) {
        return varint(out, 0);
    }
    varint(out, lengths.len() as u128);
    for length in lengths {
        varint(out, (*length).into());
    }
}

/// An array with the first index and length of each dimension; where every first index is 1, it is
/// [`array_begin`].
pub fn array_begin_bounded(out: &mut Vec<u8>, dimensions: &[(i32, u32)]) {
    let plain = dimensions.iter().all(|(first, length)| *first == 1 || *length == 0);
    if plain || dimensions.iter().any(|(_, length)| *length == 0) {
        let lengths: Vec<u32> = dimensions.iter().map(|(_, length)| *length).collect();
        return array_begin(out, &lengths);
    }
    out.push(tag::ARRAY_BOUNDED);
    varint(out, dimensions.len() as u128);
    for (first, length) in dimensions {
        signed(out, (*first).into());
        varint(out, (*length).into());
    }
}

/// The label of an enumeration, never its number.
pub fn enum_label(out: &mut Vec<u8>, label: &str) {
    out.push(tag::ENUM);
    sized(out, label.as_bytes());
}

/// The labels of a MySQL set: by their bytes, each once.
pub fn set(out: &mut Vec<u8>, labels: &[&str]) {
    let mut sorted = labels.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    out.push(tag::SET);
    varint(out, sorted.len() as u128);
    for label in &sorted {
        sized(out, label.as_bytes());
    }
}

/// What has no form of its own: the engine's type and the engine's text, weakly compared.
pub fn opaque(out: &mut Vec<u8>, type_name: &str, canonical_text: &str) {
    out.push(tag::OPAQUE);
    sized(out, type_name.as_bytes());
    sized(out, canonical_text.as_bytes());
}

/// An unsigned integer, seven bits a byte, the least first, in as few bytes as it takes (LEB128).
#[inline]
pub fn varint(out: &mut Vec<u8>, value: u128) {
    if value < 0x80 {
        return out.push(value as u8);
    }
    let mut buffer = [0; 19];
    let mut length = 0;
    let mut wide = value;
    while wide > u128::from(u64::MAX) {
        buffer[length] = wide as u8 | 0x80;
        wide >>= 7;
        length += 1;
    }
    let mut rest = wide as u64;
    while rest >= 0x80 {
        buffer[length] = rest as u8 | 0x80;
        rest >>= 7;
        length += 1;
    }
    buffer[length] = rest as u8;
    out.extend_from_slice(&buffer[..=length]);
}

/// A signed integer as the varint of its zigzag: 0, -1, 1, -2, … become 0, 1, 2, 3, …
#[inline]
pub fn signed(out: &mut Vec<u8>, value: i128) {
    varint(out, ((value << 1) ^ (value >> 127)) as u128);
}

#[inline]
fn sized(out: &mut Vec<u8>, value: &[u8]) {
    varint(out, value.len() as u128);
    out.extend_from_slice(value);
}

#[inline]
fn float_bits(value: f64) -> u64 {
    if value.is_nan() { NAN_BITS } else { value.to_bits() }
}

#[inline]
fn days_and_nanos(out: &mut Vec<u8>, days: i64, nanos_of_day: u64) {
    let carried = i128::from(days) + i128::from(nanos_of_day / NANOS_PER_DAY);
    signed(out, carried);
    varint(out, (nanos_of_day % NANOS_PER_DAY).into());
}

fn decimal_small(out: &mut Vec<u8>, negative: bool, coefficient: u128, exponent: i64) {
    let all = coefficient.to_be_bytes();
    let zeros = coefficient.leading_zeros() as usize / 8;
    out.extend_from_slice(&[tag::DECIMAL, u8::from(negative)]);
    signed(out, exponent.into());
    sized(out, &all[zeros..]);
}

fn json_node(out: &mut Vec<u8>, node: &Json<'_>) {
    match node {
        Json::Null => null(out),
        Json::Bool(value) => bool(out, *value),
        Json::Number(number) => decimal(out, &number.decimal()),
        Json::String(value) => text(out, value),
        Json::Array(items) => {
            out.push(tag::JSON_ARRAY);
            varint(out, items.len() as u128);
            for item in items {
                json_node(out, item);
            }
        }
        Json::Object(members) => {
            out.push(tag::JSON_OBJECT);
            if members.is_sorted_by(|left, right| left.0 < right.0) {
                return json_members(out, members.iter());
            }
            json_members(out, json::canonical_members(members).into_iter());
        }
    }
}

fn json_members<'m, 'a: 'm>(
    out: &mut Vec<u8>,
    members: impl ExactSizeIterator<Item = &'m (std::borrow::Cow<'a, str>, Json<'a>)>,
) {
    varint(out, members.len() as u128);
    for (key, value) in members {
        sized(out, key.as_bytes());
        json_node(out, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::IntWidth;
    use crate::time::{DateTime, Time};
    use expect_test::{Expect, expect};

    fn check(write: impl Fn(&mut Vec<u8>), expect: &Expect) {
        let mut out = Vec::new();
        write(&mut out);
        let hex: Vec<String> = out.iter().map(|byte| format!("{byte:02x}")).collect();
        expect.assert_eq(&hex.join(" "));
        let decoded = decode(&out).unwrap();
        let mut again = Vec::new();
        for value in &decoded {
            value.encode(&mut again);
        }
        assert_eq!(again, out);
    }

    #[test]
    fn numbers_of_one_value_have_one_form() {
        check(|out| int(out, 300), &expect!["10 d8 04"]);
        check(|out| decimal_text(out, "1.10"), &expect!["20 00 01 01 0b"]);
        check(|out| decimal_text(out, "11e-1"), &expect!["20 00 01 01 0b"]);
        check(|out| decimal_text(out, "-100"), &expect!["20 01 04 01 01"]);
        check(|out| decimal_int(out, -100), &expect!["20 01 04 01 01"]);
        check(|out| decimal_text(out, "-0.00"), &expect!["20 00 00 00"]);
        check(|out| decimal_int(out, 0), &expect!["20 00 00 00"]);
        check(|out| decimal_text(out, "1,5"), &expect!["f0 07 64 65 63 69 6d 61 6c 03 31 2c 35"]);
    }

    #[test]
    fn floats_keep_their_bits_but_for_nan() {
        check(|out| float64(out, -0.0), &expect!["30 80 00 00 00 00 00 00 00"]);
        check(
            |out| float64(out, f64::from_bits(0xFFF0_0000_0000_0001)),
            &expect!["30 7f f8 00 00 00 00 00 00"],
        );
        check(|out| float32(out, 0.1), &expect!["31 3f b9 99 99 a0 00 00 00"]);
        check(|out| float32(out, f32::NAN), &expect!["31 7f f8 00 00 00 00 00 00"]);
    }

    #[test]
    fn days_that_exist_are_dates_wherever_they_come_from() {
        check(|out| date_partial(out, 1970, 1, 2), &expect!["60 02"]);
        check(|out| date_partial(out, 0, 0, 0), &expect!["63 00 00 00"]);
        check(|out| date_partial(out, 2024, 2, 31), &expect!["63 e8 0f 02 1f"]);
        check(|out| timestamp_partial(out, 1970, 1, 1, 5), &expect!["65 00 05"]);
        check(|out| timestamp(out, 0, NANOS_PER_DAY), &expect!["65 02 00"]);
    }

    #[test]
    fn json_is_encoded_by_meaning() {
        let meaning = expect!["80 83 02 01 61 82 02 20 00 00 01 01 50 01 62 01 62 00"];
        check(|out| json_document(out, r#"{"a":[1,"b"],"b":null}"#), &meaning);
        check(|out| json_document(out, r#" {"b":0,"b":null,"a":[1.0, "\u0062"]}"#), &meaning);
        check(|out| json_document(out, "{"), &expect!["f0 04 6a 73 6f 6e 01 7b"]);
    }

    #[test]
    fn arrays_of_one_shape_have_one_form() {
        check(|out| array_begin(out, &[3, 0]), &expect!["90 00"]);
        check(|out| array_begin_bounded(out, &[(5, 0)]), &expect!["90 00"]);
        let one = |out: &mut Vec<u8>, first| {
            array_begin_bounded(out, &[(first, 1)]);
            int(out, 7);
        };
        check(|out| one(out, 1), &expect!["90 01 01 10 0e"]);
        check(|out| one(out, 0), &expect!["92 01 00 01 10 0e"]);
    }

    #[test]
    fn sets_are_sorted_and_labels_are_text() {
        check(|out| set(out, &["b", "a", "b"]), &expect!["93 02 01 61 01 62"]);
        check(|out| enum_label(out, ""), &expect!["91 00"]);
    }

    fn column(name: &str, kind: Kind) -> Column {
        Column { name: name.into(), kind, nullable: true, has_default: false }
    }

    fn table(columns: Vec<Column>) -> Table {
        Table { name: "t".into(), columns, key: vec![0] }
    }

    #[test]
    fn rows_are_in_name_order_whatever_the_table_says() {
        let a = column("a", Kind::Int(IntWidth::I64));
        let b = column("b", Kind::Text(None));
        let encode = |table: &Table, values: [ValueRef<'static>; 2]| {
            let mut out = Vec::new();
            RowLayout::of_rows(table).encode(&mut out, |index| values[index]);
            out
        };
        let (one, x) = (ValueRef::Int(1), ValueRef::Text("x"));
        let forward = encode(&table(vec![a.clone(), b.clone()]), [one, x]);
        let backward = encode(&table(vec![b, a]), [x, one]);
        assert_eq!(forward, backward);
        let row = decode_row(&forward).unwrap();
        assert_eq!(row.values, [Decoded::Int(1), Decoded::Text("x".into())]);
        assert_eq!(
            decode_row(&forward[..forward.len() - 1]).unwrap_err(),
            DecodeError::UnexpectedEnd { at: forward.len() - 1 }
        );
    }

    #[test]
    fn rows_of_other_names_or_kinds_never_compare_equal() {
        let header = |name: &str, kind| RowLayout::of_rows(&table(vec![column(name, kind)])).header;
        let int = Kind::Int(IntWidth::I64);
        assert_ne!(header("a", int), header("b", int));
        assert_ne!(header("a", int), header("a", Kind::Decimal(None)));
        assert_eq!(header("a", int), header("a", Kind::Int(IntWidth::I32)));
        assert_eq!(header("a", Kind::Text(None)), header("a", Kind::Text(Some(5))));
    }

    #[test]
    fn a_key_layout_asks_for_key_columns_only() {
        let mut table = table(vec![column("a", Kind::Any), column("b", Kind::Any)]);
        table.key = vec![1];
        let mut out = Vec::new();
        RowLayout::of_keys(&table).encode(&mut out, |index| ValueRef::Int(index as i128));
        assert_eq!(decode_row(&out).unwrap().values, [Decoded::Int(1)]);
    }

    #[test]
    fn cells_follow_the_declared_kind() {
        let encode = |kind, value| {
            let mut out = Vec::new();
            cell(&mut out, kind, value);
            decode(&out).unwrap().remove(0)
        };
        let decimal = Kind::Decimal(None);
        assert_eq!(encode(decimal, ValueRef::Int(10)), encode(decimal, ValueRef::Decimal("1e1")));
        assert_ne!(
            encode(Kind::Any, ValueRef::Int(10)),
            encode(Kind::Any, ValueRef::Decimal("10"))
        );
        assert_eq!(
            encode(Kind::Json, ValueRef::Text("[1.0]")),
            encode(Kind::Json, ValueRef::Json("[1]"))
        );
        assert_eq!(encode(Kind::Text(None), ValueRef::Text("1")), Decoded::Text("1".into()));
        assert_eq!(
            encode(Kind::Int(IntWidth::I64), ValueRef::Text("1")),
            Decoded::Text("1".into())
        );
        let moment = DateTime { days: -1, nanos: 2 };
        assert_eq!(
            encode(Kind::TimestampTz, ValueRef::TimestampTz(moment)),
            Decoded::TimestampTz(-1, 2)
        );
        assert_eq!(encode(Kind::Timestamp, ValueRef::Timestamp(moment)), Decoded::Timestamp(-1, 2));
        assert_eq!(encode(Kind::Date, ValueRef::Date(Date { days: 3 })), Decoded::Date(3));
        assert_eq!(encode(Kind::Time, ValueRef::Time(Time { nanos: -3 })), Decoded::Time(-3));
        assert_eq!(encode(Kind::Uuid, ValueRef::Uuid([9; 16])), Decoded::Uuid([9; 16]));
    }
}
