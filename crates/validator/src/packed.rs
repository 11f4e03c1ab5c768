//! Values as bytes, for rows that wait in files of this process. Nobody else reads them.

use whimbrel_model::ValueRef;
use whimbrel_model::time::{Date, DateTime, Time};

/// Appends a value.
pub(crate) fn pack(value: ValueRef<'_>, out: &mut Vec<u8>) {
    let mut sized = |tag: u8, bytes: &[u8]| {
        out.push(tag);
        out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
        out.extend_from_slice(bytes);
    };
    match value {
        ValueRef::Decimal(text) => sized(3, text.as_bytes()),
        ValueRef::Text(text) => sized(5, text.as_bytes()),
        ValueRef::Bytes(bytes) => sized(6, bytes),
        ValueRef::Json(text) => sized(12, text.as_bytes()),
        ValueRef::Null => out.push(0),
        ValueRef::Bool(value) => out.extend_from_slice(&[1, value.into()]),
        ValueRef::Int(value) => match i64::try_from(value) {
            Ok(value) => {
                out.push(2);
                out.extend_from_slice(&value.to_le_bytes());
            }
            Err(_) => {
                out.push(13);
                out.extend_from_slice(&value.to_le_bytes());
            }
        },
        ValueRef::Float(value) => {
            out.push(4);
            out.extend_from_slice(&value.to_bits().to_le_bytes());
        }
        ValueRef::Date(value) => {
            out.push(7);
            out.extend_from_slice(&value.days.to_le_bytes());
        }
        ValueRef::Time(value) => {
            out.push(8);
            out.extend_from_slice(&value.nanos.to_le_bytes());
        }
        ValueRef::Timestamp(DateTime { days, nanos }) => {
            out.push(9);
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&nanos.to_le_bytes());
        }
        ValueRef::TimestampTz(DateTime { days, nanos }) => {
            out.push(10);
            out.extend_from_slice(&days.to_le_bytes());
            out.extend_from_slice(&nanos.to_le_bytes());
        }
        ValueRef::Uuid(value) => {
            out.push(11);
            out.extend_from_slice(&value);
        }
    }
}

/// Takes the next value off; `None` where there is none.
pub(crate) fn unpack<'a>(bytes: &mut &'a [u8]) -> Option<ValueRef<'a>> {
    let tag = *fixed::<1>(bytes)?;
    Some(match tag[0] {
        0 => ValueRef::Null,
        1 => ValueRef::Bool(*fixed::<1>(bytes)? != [0]),
        2 => ValueRef::Int(i64::from_le_bytes(*fixed(bytes)?).into()),
        3 => ValueRef::Decimal(text(bytes)?),
        4 => ValueRef::Float(f64::from_bits(u64::from_le_bytes(*fixed(bytes)?))),
        5 => ValueRef::Text(text(bytes)?),
        6 => ValueRef::Bytes(sized(bytes)?),
        7 => ValueRef::Date(Date { days: i32::from_le_bytes(*fixed(bytes)?) }),
        8 => ValueRef::Time(Time { nanos: i64::from_le_bytes(*fixed(bytes)?) }),
        9 => ValueRef::Timestamp(instant(bytes)?),
        10 => ValueRef::TimestampTz(instant(bytes)?),
        11 => ValueRef::Uuid(*fixed(bytes)?),
        12 => ValueRef::Json(text(bytes)?),
        13 => ValueRef::Int(i128::from_le_bytes(*fixed(bytes)?)),
        _ => return None,
    })
}

fn fixed<'a, const N: usize>(bytes: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (first, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(first)
}

fn sized<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_le_bytes(*fixed(bytes)?) as usize;
    let (first, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(first)
}

fn text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(sized(bytes)?).ok()
}

fn instant(bytes: &mut &[u8]) -> Option<DateTime> {
    let days = i32::from_le_bytes(*fixed(bytes)?);
    Some(DateTime { days, nanos: u64::from_le_bytes(*fixed(bytes)?) })
}
