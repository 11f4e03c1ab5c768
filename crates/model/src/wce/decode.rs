//! Reads WCE-1 back, so that the encoding can be shown to be injective.
//!
//! It is strict: bytes that the encoder would not write are refused, so that
//! `encode(decode(bytes)) == bytes` wherever decoding succeeds, and two values never share bytes.

use super::{NAN_BITS, signed, sized, tag, varint};
use crate::decimal::{self, Decimal};
use crate::json::{self, Json};
use crate::time::{Date, NANOS_PER_DAY};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value as the encoding knows it.
#[derive(Debug, Clone, PartialEq)]
pub enum Decoded {
    /// NULL.
    Null,
    /// See [`super::bool`].
    Bool(bool),
    /// See [`super::int`].
    Int(i128),
    /// A finite decimal in its canonical spelling, see [`Decimal`].
    Decimal(String),
    /// Not a number, in a decimal column.
    DecimalNaN,
    /// An infinite decimal.
    DecimalInfinity {
        /// Below every number.
        negative: bool,
    },
    /// The bits of a double.
    Float64(u64),
    /// The bits of the double that a single-precision float widens to.
    Float32(u64),
    /// See [`super::bytes`].
    Bytes(Vec<u8>),
    /// See [`super::text`].
    Text(String),
    /// Days since 1970-01-01.
    Date(i128),
    /// See [`super::date_infinity`].
    DateInfinity {
        /// Before every date.
        negative: bool,
    },
    /// See [`super::date_partial`]: year, month, day.
    DatePartial(u16, u8, u8),
    /// Nanoseconds.
    Time(i128),
    /// Days, and nanoseconds of the day.
    Timestamp(i128, u64),
    /// Days, and nanoseconds of the day, in UTC.
    TimestampTz(i128, u64),
    /// See [`super::timestamp_infinity`].
    TimestampInfinity {
        /// Before every instant.
        negative: bool,
    },
    /// See [`super::timestamp_partial`]: year, month, day, nanoseconds of the day.
    TimestampPartial(u16, u8, u8, u64),
    /// Months, days, nanoseconds.
    Interval(i128, i128, i128),
    /// See [`super::uuid`].
    Uuid([u8; 16]),
    /// See [`super::inet`]: address and prefix length.
    Inet(IpAddr, u8),
    /// Six or eight bytes.
    Mac(Vec<u8>),
    /// See [`super::json()`]: members sorted, none twice.
    Json(Json<'static>),
    /// See [`super::json_text`].
    JsonText(String),
    /// First index and length of each dimension, and the elements.
    Array(Vec<(i128, u32)>, Vec<Decoded>),
    /// See [`super::enum_label`].
    Enum(String),
    /// See [`super::set`].
    Set(Vec<String>),
    /// See [`super::opaque`]: type, text.
    Opaque(String, String),
}

/// A row as the encoding knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodedRow {
    /// See [`super::schema_id`].
    pub schema_id: [u8; 16],
    /// By ascending column name bytes.
    pub values: Vec<Decoded>,
}

/// Why bytes are not WCE-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes break off.
    #[error("the encoding ends too early, at byte {at}")]
    UnexpectedEnd {
        /// Byte offset.
        at: usize,
    },
    /// No such tag here.
    #[error("unknown tag at byte {at}: `{tag:02x}`")]
    UnknownTag {
        /// Byte offset of the tag.
        at: usize,
        /// The tag.
        tag: u8,
    },
    /// The value has another form, and one value has one form.
    #[error("not the canonical form of a value, at byte {at}")]
    NotCanonical {
        /// Byte offset where the form goes wrong.
        at: usize,
    },
    /// A number, length or depth beyond what the encoding knows.
    #[error("out of range at byte {at}")]
    OutOfRange {
        /// Byte offset.
        at: usize,
    },
    /// Text that is not UTF-8.
    #[error("invalid UTF-8 in the text that ends at byte {at}")]
    InvalidUtf8 {
        /// Byte offset just past the text.
        at: usize,
    },
    /// A row is over, the bytes are not.
    #[error("more bytes after the row, from byte {at}")]
    TrailingBytes {
        /// Byte offset.
        at: usize,
    },
}

/// Reads values one after the other until the bytes end; refuses every form that the encoder
/// would not write.
pub fn decode(encoded: &[u8]) -> Result<Vec<Decoded>, DecodeError> {
    let mut decoder = Decoder { encoded, at: 0 };
    let mut values = Vec::new();
    while decoder.at < encoded.len() {
        values.push(decoder.value(0)?);
    }
    Ok(values)
}

/// Reads one whole row.
pub fn decode_row(encoded: &[u8]) -> Result<DecodedRow, DecodeError> {
    let mut decoder = Decoder { encoded, at: 0 };
    let schema_id = decoder.sized()?.try_into().map_err(|_| decoder.not_canonical())?;
    let columns = decoder.length()?;
    let values = (0..columns).map(|_| decoder.value(0)).collect::<Result<_, _>>()?;
    if decoder.at < encoded.len() {
        return Err(DecodeError::TrailingBytes { at: decoder.at });
    }
    Ok(DecodedRow { schema_id, values })
}

impl Decoded {
    /// Appends the bytes that decode to this value: the inverse of [`decode`].
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => super::null(out),
            Self::Bool(value) => super::bool(out, *value),
            Self::Int(value) => super::int(out, *value),
            Self::Decimal(literal) => super::decimal_text(out, literal),
            Self::DecimalNaN => out.push(tag::DECIMAL_NAN),
            Self::DecimalInfinity { negative: false } => out.push(tag::DECIMAL_INFINITY),
            Self::DecimalInfinity { negative: true } => out.push(tag::DECIMAL_NEGATIVE_INFINITY),
            Self::Float64(bits) => super::float64(out, f64::from_bits(*bits)),
            Self::Float32(bits) => super::float32(out, f64::from_bits(*bits) as f32),
            Self::Bytes(value) => super::bytes(out, value),
            Self::Text(value) => super::text(out, value),
            Self::Date(days) => tagged_signed(out, tag::DATE, &[*days]),
            Self::DateInfinity { negative } => super::date_infinity(out, *negative),
            Self::DatePartial(year, month, day) => super::date_partial(out, *year, *month, *day),
            Self::Time(nanos) => tagged_signed(out, tag::TIME, &[*nanos]),
            Self::Timestamp(days, nanos) => {
                tagged_signed(out, tag::TIMESTAMP, &[*days]);
                varint(out, (*nanos).into());
            }
            Self::TimestampTz(days, nanos) => {
                tagged_signed(out, tag::TIMESTAMP_TZ, &[*days]);
                varint(out, (*nanos).into());
            }
            Self::TimestampInfinity { negative } => super::timestamp_infinity(out, *negative),
            Self::TimestampPartial(year, month, day, nanos) => {
                super::timestamp_partial(out, *year, *month, *day, *nanos);
            }
            Self::Interval(months, days, nanos) => {
                tagged_signed(out, tag::INTERVAL, &[*months, *days, *nanos]);
            }
            Self::Uuid(value) => super::uuid(out, value),
            Self::Inet(address, prefix) => super::inet(out, *address, *prefix),
            Self::Mac(value) => {
                out.push(tag::MAC);
                sized(out, value);
            }
            Self::Json(document) => super::json(out, document),
            Self::JsonText(document) => super::json_text(out, document),
            Self::Array(dimensions, items) => {
                let bounds: Vec<(i32, u32)> =
                    dimensions.iter().map(|(first, length)| (*first as i32, *length)).collect();
                super::array_begin_bounded(out, &bounds);
                for item in items {
                    item.encode(out);
                }
            }
            Self::Enum(label) => super::enum_label(out, label),
            Self::Set(labels) => {
                super::set(out, &labels.iter().map(String::as_str).collect::<Vec<_>>());
            }
            Self::Opaque(type_name, text) => super::opaque(out, type_name, text),
        }
    }
}

fn tagged_signed(out: &mut Vec<u8>, tag: u8, parts: &[i128]) {
    out.push(tag);
    for part in parts {
        signed(out, *part);
    }
}

struct Decoder<'e> {
    encoded: &'e [u8],
    at: usize,
}

impl<'e> Decoder<'e> {
    fn not_canonical(&self) -> DecodeError {
        DecodeError::NotCanonical { at: self.at }
    }

    fn out_of_range(&self) -> DecodeError {
        DecodeError::OutOfRange { at: self.at }
    }

    fn take(&mut self, length: usize) -> Result<&'e [u8], DecodeError> {
        let taken = self.encoded[self.at..].get(..length);
        let taken = taken.ok_or(DecodeError::UnexpectedEnd { at: self.encoded.len() })?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        Ok(*taken.first_chunk().expect("exactly that many were taken"))
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    fn varint(&mut self) -> Result<u128, DecodeError> {
        let mut value = 0u128;
        for shift in (0..).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7F);
            if shift > 126 || (shift == 126 && bits > 3) {
                return Err(self.out_of_range());
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(self.not_canonical()) } else { Ok(value) };
            }
        }
        Err(self.out_of_range())
    }

    fn narrow<T: TryFrom<u128>>(&mut self) -> Result<T, DecodeError> {
        let value = self.varint()?;
        T::try_from(value).map_err(|_| self.out_of_range())
    }

    fn signed(&mut self) -> Result<i128, DecodeError> {
        let zigzag = self.varint()?;
        Ok((zigzag >> 1) as i128 ^ -((zigzag & 1) as i128))
    }

    /// A signed number of the range that the encoder's argument has.
    fn narrow_signed(&mut self, low: i128, high: i128) -> Result<i128, DecodeError> {
        let value = self.signed()?;
        if (low..=high).contains(&value) { Ok(value) } else { Err(self.out_of_range()) }
    }

    /// A count of things of which each takes at least one of the bytes left.
    fn length(&mut self) -> Result<usize, DecodeError> {
        let length: usize = self.narrow()?;
        if length > self.encoded.len() - self.at {
            return Err(DecodeError::UnexpectedEnd { at: self.encoded.len() });
        }
        Ok(length)
    }

    fn sized(&mut self) -> Result<&'e [u8], DecodeError> {
        let length = self.length()?;
        self.take(length)
    }

    fn string(&mut self) -> Result<String, DecodeError> {
        let text = self.sized()?;
        let text = std::str::from_utf8(text);
        text.map(str::to_owned).map_err(|_| DecodeError::InvalidUtf8 { at: self.at })
    }

    fn value(&mut self, depth: usize) -> Result<Decoded, DecodeError> {
        let at = self.at;
        Ok(match self.byte()? {
            tag::NULL => Decoded::Null,
            tag::FALSE => Decoded::Bool(false),
            tag::TRUE => Decoded::Bool(true),
            tag::INT => Decoded::Int(self.signed()?),
            tag::DECIMAL => Decoded::Decimal(self.decimal()?),
            tag::DECIMAL_NAN => Decoded::DecimalNaN,
            tag::DECIMAL_INFINITY => Decoded::DecimalInfinity { negative: false },
            tag::DECIMAL_NEGATIVE_INFINITY => Decoded::DecimalInfinity { negative: true },
            tag::FLOAT64 => Decoded::Float64(self.float()?),
            tag::FLOAT32 => Decoded::Float32(self.single()?),
            tag::BYTES => Decoded::Bytes(self.sized()?.to_vec()),
            tag::TEXT => Decoded::Text(self.string()?),
            tag::DATE => Decoded::Date(self.narrow_signed(i64::MIN.into(), i64::MAX.into())?),
            tag::DATE_INFINITY => Decoded::DateInfinity { negative: false },
            tag::DATE_NEGATIVE_INFINITY => Decoded::DateInfinity { negative: true },
            tag::DATE_PARTIAL => {
                let (year, month, day) = self.no_day()?;
                Decoded::DatePartial(year, month, day)
            }
            tag::TIME => Decoded::Time(self.narrow_signed(i64::MIN.into(), i64::MAX.into())?),
            tag::TIMESTAMP => Decoded::Timestamp(self.days()?, self.nanos_of_day()?),
            tag::TIMESTAMP_TZ => Decoded::TimestampTz(self.days()?, self.nanos_of_day()?),
            tag::TIMESTAMP_INFINITY => Decoded::TimestampInfinity { negative: false },
            tag::TIMESTAMP_NEGATIVE_INFINITY => Decoded::TimestampInfinity { negative: true },
            tag::TIMESTAMP_PARTIAL => {
                let (year, month, day) = self.no_day()?;
                Decoded::TimestampPartial(year, month, day, self.narrow()?)
            }
            tag::INTERVAL => Decoded::Interval(
                self.narrow_signed(i64::MIN.into(), i64::MAX.into())?,
                self.narrow_signed(i64::MIN.into(), i64::MAX.into())?,
                self.signed()?,
            ),
            tag::UUID => Decoded::Uuid(self.array()?),
            tag::INET => self.inet()?,
            tag::MAC => match self.sized()? {
                address if matches!(address.len(), 6 | 8) => Decoded::Mac(address.to_vec()),
                _ => return Err(self.not_canonical()),
            },
            tag::JSON => Decoded::Json(self.json(0)?),
            tag::JSON_TEXT => Decoded::JsonText(self.string()?),
            tag::ARRAY => self.elements(false, depth)?,
            tag::ARRAY_BOUNDED => self.elements(true, depth)?,
            tag::ENUM => Decoded::Enum(self.string()?),
            tag::SET => Decoded::Set(self.set()?),
            tag::OPAQUE => Decoded::Opaque(self.string()?, self.string()?),
            tag => return Err(DecodeError::UnknownTag { at, tag }),
        })
    }

    fn decimal(&mut self) -> Result<String, DecodeError> {
        let sign = self.byte()?;
        let exponent = self.signed()?;
        let coefficient = self.sized()?;
        let bad = self.not_canonical();
        if sign > 1 || coefficient.first() == Some(&0) {
            return Err(bad);
        }
        if coefficient.is_empty() {
            return if sign == 0 && exponent == 0 { Ok("0".to_owned()) } else { Err(bad) };
        }
        if coefficient.len() > decimal::DIGITS_MAX / 2 {
            return Err(self.out_of_range());
        }
        let digits = decimal::digits_of_bytes(coefficient);
        if digits.ends_with('0') {
            return Err(bad);
        }
        let point = exponent.checked_add(digits.len() as i128 - 1).ok_or(self.out_of_range())?;
        let (first, rest) = digits.split_at(1);
        let minus = if sign == 1 { "-" } else { "" };
        let dot = if rest.is_empty() { "" } else { "." };
        let literal = format!("{minus}{first}{dot}{rest}e{point}");
        match Decimal::parse(&literal) {
            Ok(value) => Ok(value.to_string()),
            Err(_) => Err(self.out_of_range()),
        }
    }

    fn float(&mut self) -> Result<u64, DecodeError> {
        let bits = u64::from_be_bytes(self.array()?);
        let foreign = f64::from_bits(bits).is_nan() && bits != NAN_BITS;
        if foreign { Err(self.not_canonical()) } else { Ok(bits) }
    }

    fn single(&mut self) -> Result<u64, DecodeError> {
        let bits = self.float()?;
        let wide = f64::from_bits(bits);
        let same = wide.is_nan() || f64::from(wide as f32).to_bits() == bits;
        if same { Ok(bits) } else { Err(self.not_canonical()) }
    }

    fn days(&mut self) -> Result<i128, DecodeError> {
        let carry_max = i128::from(u64::MAX / NANOS_PER_DAY);
        self.narrow_signed(i64::MIN.into(), i128::from(i64::MAX) + carry_max)
    }

    fn nanos_of_day(&mut self) -> Result<u64, DecodeError> {
        let nanos = self.narrow()?;
        if nanos < NANOS_PER_DAY { Ok(nanos) } else { Err(self.not_canonical()) }
    }

    fn no_day(&mut self) -> Result<(u16, u8, u8), DecodeError> {
        let (year, month, day) = (self.narrow()?, self.narrow()?, self.narrow()?);
        match Date::from_ymd(i32::from(year), month, day) {
            Some(_) => Err(self.not_canonical()),
            None => Ok((year, month, day)),
        }
    }

    fn inet(&mut self) -> Result<Decoded, DecodeError> {
        let (family, prefix) = (self.byte()?, self.byte()?);
        let (address, prefix_max) = match family {
            4 => (IpAddr::V4(Ipv4Addr::from(self.array::<4>()?)), 32),
            6 => (IpAddr::V6(Ipv6Addr::from(self.array::<16>()?)), 128),
            _ => return Err(self.not_canonical()),
        };
        if prefix > prefix_max {
            Err(self.not_canonical())
        } else {
            Ok(Decoded::Inet(address, prefix))
        }
    }

    fn elements(&mut self, bounded: bool, depth: usize) -> Result<Decoded, DecodeError> {
        if depth >= json::DEPTH_MAX {
            return Err(self.out_of_range());
        }
        let mut dimensions = Vec::new();
        let mut count = 1usize;
        for _ in 0..self.length()? {
            let first =
                if bounded { self.narrow_signed(i32::MIN.into(), i32::MAX.into())? } else { 1 };
            let length: u32 = self.narrow()?;
            if length == 0 {
                return Err(self.not_canonical());
            }
            dimensions.push((first, length));
            count = count.checked_mul(length as usize).ok_or(self.out_of_range())?;
        }
        if bounded && dimensions.iter().all(|(first, _)| *first == 1) {
            return Err(self.not_canonical());
        }
        if dimensions.is_empty() {
            count = 0;
        }
        if count > self.encoded.len() - self.at {
            return Err(DecodeError::UnexpectedEnd { at: self.encoded.len() });
        }
        let items = (0..count).map(|_| self.value(depth + 1)).collect::<Result<_, _>>()?;
        Ok(Decoded::Array(dimensions, items))
    }

    fn set(&mut self) -> Result<Vec<String>, DecodeError> {
        let count = self.length()?;
        let labels: Vec<String> = (0..count).map(|_| self.string()).collect::<Result<_, _>>()?;
        if labels.is_sorted_by(|left, right| left < right) {
            Ok(labels)
        } else {
            Err(self.not_canonical())
        }
    }

    fn json(&mut self, depth: usize) -> Result<Json<'static>, DecodeError> {
        if depth > json::DEPTH_MAX {
            return Err(self.out_of_range());
        }
        let at = self.at;
        Ok(match self.byte()? {
            tag::NULL => Json::Null,
            tag::FALSE => Json::Bool(false),
            tag::TRUE => Json::Bool(true),
            tag::DECIMAL => {
                let literal = self.decimal()?;
                let number = json::Number::parse(&literal).expect("a canonical spelling parses");
                Json::Number(number.into_owned())
            }
            tag::TEXT => Json::String(self.string()?.into()),
            tag::JSON_ARRAY => {
                let count = self.length()?;
                Json::Array((0..count).map(|_| self.json(depth + 1)).collect::<Result<_, _>>()?)
            }
            tag::JSON_OBJECT => {
                let count = self.length()?;
                let members: Vec<_> = (0..count)
                    .map(|_| Ok((self.string()?.into(), self.json(depth + 1)?)))
                    .collect::<Result<_, DecodeError>>()?;
                if !members
                    .is_sorted_by(|left: &(std::borrow::Cow<'_, str>, _), right| left.0 < right.0)
                {
                    return Err(self.not_canonical());
                }
                Json::Object(members)
            }
            tag => return Err(DecodeError::UnknownTag { at, tag }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(value: &Decoded) -> Vec<u8> {
        let mut out = Vec::new();
        value.encode(&mut out);
        out
    }

    fn documents() -> impl Strategy<Value = Json<'static>> {
        let number = "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?".prop_map(
            |text: String| {
                let canonical = Decimal::parse(&text).unwrap().to_string();
                Json::Number(json::Number::parse(&canonical).unwrap().into_owned())
            },
        );
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::Bool),
            number,
            any::<String>().prop_map(|text| Json::String(text.into())),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
                prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|members| {
                    Json::Object(
                        members.into_iter().map(|(key, value)| (key.into(), value)).collect(),
                    )
                }),
            ]
        })
    }

    fn scalars() -> impl Strategy<Value = Decoded> {
        let nanos = 0..NANOS_PER_DAY;
        let no_day = (0u16..3000, 13u8..=255, any::<u8>());
        prop_oneof![
            Just(Decoded::Null),
            any::<bool>().prop_map(Decoded::Bool),
            any::<i128>().prop_map(Decoded::Int),
            (-200i128..200).prop_map(Decoded::Int),
            "-?[1-9][0-9]{0,60}(\\.[0-9]{1,60})?(e[+-]?[0-9]{1,9})?".prop_map(|text: String| {
                Decoded::Decimal(Decimal::parse(&text).unwrap().to_string())
            }),
            Just(Decoded::DecimalNaN),
            any::<bool>().prop_map(|negative| Decoded::DecimalInfinity { negative }),
            any::<f64>().prop_map(|float| Decoded::Float64(super::super::float_bits(float))),
            any::<f32>().prop_map(|float| Decoded::Float32(super::super::float_bits(float.into()))),
            any::<Vec<u8>>().prop_map(Decoded::Bytes),
            any::<String>().prop_map(Decoded::Text),
            any::<i64>().prop_map(|days| Decoded::Date(days.into())),
            any::<bool>().prop_map(|negative| Decoded::DateInfinity { negative }),
            no_day.clone().prop_map(|(y, m, d)| Decoded::DatePartial(y, m, d)),
            any::<i64>().prop_map(|time| Decoded::Time(time.into())),
            (any::<i64>(), nanos.clone()).prop_map(|(d, n)| Decoded::Timestamp(d.into(), n)),
            (any::<i64>(), nanos.clone()).prop_map(|(d, n)| Decoded::TimestampTz(d.into(), n)),
            any::<bool>().prop_map(|negative| Decoded::TimestampInfinity { negative }),
            (no_day, nanos).prop_map(|((y, m, d), n)| Decoded::TimestampPartial(y, m, d, n)),
            (any::<i64>(), any::<i64>(), any::<i128>()).prop_map(|(m, d, n)| Decoded::Interval(
                m.into(),
                d.into(),
                n
            )),
            any::<[u8; 16]>().prop_map(Decoded::Uuid),
            (any::<[u8; 4]>(), 0u8..=32)
                .prop_map(|(a, p)| Decoded::Inet(Ipv4Addr::from(a).into(), p)),
            (any::<[u8; 16]>(), 0u8..=128)
                .prop_map(|(a, p)| Decoded::Inet(Ipv6Addr::from(a).into(), p)),
            any::<[u8; 6]>().prop_map(|address| Decoded::Mac(address.to_vec())),
            any::<[u8; 8]>().prop_map(|address| Decoded::Mac(address.to_vec())),
            documents().prop_map(Decoded::Json),
            any::<String>().prop_map(Decoded::JsonText),
            any::<String>().prop_map(Decoded::Enum),
            prop::collection::btree_set(any::<String>(), 0..4)
                .prop_map(|labels| Decoded::Set(labels.into_iter().collect())),
            any::<(String, String)>().prop_map(|(name, text)| Decoded::Opaque(name, text)),
        ]
    }

    fn values() -> impl Strategy<Value = Decoded> {
        let array = |first: BoxedStrategy<i32>| {
            prop::collection::vec((first, 1u32..3), 1..3).prop_flat_map(|dimensions| {
                let count =
                    dimensions.iter().map(|(_, length)| *length as usize).product::<usize>();
                let bounds: Vec<_> = dimensions.iter().map(|(f, l)| (i128::from(*f), *l)).collect();
                prop::collection::vec(scalars(), count)
                    .prop_map(move |items| Decoded::Array(bounds.clone(), items))
            })
        };
        prop_oneof![
            8 => scalars(),
            1 => array(Just(1).boxed()),
            1 => array(any::<i32>().boxed()),
            1 => Just(Decoded::Array(vec![], vec![])),
        ]
    }

    proptest! {
        #[test]
        fn every_value_reads_back(values in prop::collection::vec(values(), 0..6)) {
            let bytes: Vec<u8> = values.iter().flat_map(encoded).collect();
            prop_assert_eq!(decode(&bytes), Ok(values));
        }

        #[test]
        fn different_values_differ_and_none_is_the_front_of_another(a in values(), b in values()) {
            let (left, right) = (encoded(&a), encoded(&b));
            prop_assert_eq!(a == b, left == right);
            prop_assert!(a == b || !left.starts_with(&right), "{a:?} {b:?}");
        }

        #[test]
        fn bent_bytes_are_refused_or_another_value(
            value in values(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index,
        ) {
            let mut bytes = encoded(&value);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(found) = decode(&bytes) {
                let again: Vec<u8> = found.iter().flat_map(encoded).collect();
                prop_assert_eq!(&again, &bytes);
            }
            let whole = encoded(&value);
            prop_assert!(decode(&whole[..cut.index(whole.len())]).is_ok_and(|found| found.is_empty())
                || decode(&whole[..cut.index(whole.len())]).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            if let Ok(found) = decode(&bytes) {
                let again: Vec<u8> = found.iter().flat_map(encoded).collect();
                prop_assert_eq!(again, bytes);
            }
        }
    }

    #[test]
    fn longer_spellings_are_refused() {
        let refused = |bytes: &[u8]| decode(bytes).unwrap_err();
        assert_eq!(refused(&[0x10, 0x80, 0x00]), DecodeError::NotCanonical { at: 3 });
        assert_eq!(refused(&[0x20, 0, 0, 1, 10]), DecodeError::NotCanonical { at: 5 });
        assert_eq!(refused(&[0x20, 0, 0, 2, 0, 1]), DecodeError::NotCanonical { at: 6 });
        assert_eq!(refused(&[0x20, 1, 0, 0]), DecodeError::NotCanonical { at: 4 });
        assert_eq!(
            refused(&[0x30, 0x7F, 0xF8, 0, 0, 0, 0, 0, 1]),
            DecodeError::NotCanonical { at: 9 }
        );
        assert_eq!(refused(&[0x31, 0, 0, 0, 0, 0, 0, 0, 1]), DecodeError::NotCanonical { at: 9 });
        assert_eq!(refused(&[0x63, 0xB2, 0x0F, 1, 1]), DecodeError::NotCanonical { at: 5 });
        assert_eq!(refused(&[0x90, 1, 0]), DecodeError::NotCanonical { at: 3 });
        assert_eq!(refused(&[0x92, 1, 2, 1, 0]), DecodeError::NotCanonical { at: 4 });
        assert_eq!(refused(&[0x93, 2, 1, b'b', 1, b'a']), DecodeError::NotCanonical { at: 6 });
        assert_eq!(
            refused(&[0x80, 0x83, 2, 1, b'a', 0, 1, b'a', 0]),
            DecodeError::NotCanonical { at: 9 }
        );
        assert_eq!(refused(&[0x50, 1, 0xFF]), DecodeError::InvalidUtf8 { at: 3 });
        assert_eq!(refused(&[0x50, 2, b'a']), DecodeError::UnexpectedEnd { at: 3 });
        assert_eq!(refused(&[0x7F]), DecodeError::UnknownTag { at: 0, tag: 0x7F });
        let deep = [vec![0x80], [0x82, 1].repeat(100_000)].concat();
        assert!(matches!(refused(&deep), DecodeError::OutOfRange { .. }));
        let wide = [&[0x10][..], &[0xFF; 18], &[0x07]].concat();
        assert_eq!(refused(&wide), DecodeError::OutOfRange { at: 20 });
    }
}
