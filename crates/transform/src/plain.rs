//! Columns that are a field and nothing more, without the detour over [`Node`].
//!
//! Only what surely converts unchanged is done here: everything else is left to the node, which says
//! the same of these values.

use whimbrel_model::kind::IntWidth;
use whimbrel_model::{ChunkBuilder, Kind, ValueRef};

use crate::node::{Base, Context, Node};
use crate::op::{float, integer};
use crate::step::LONG;

/// A column that is a field of text, or left to its node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Plain {
    Float { slot: usize, negative_zero: bool },
    Int { slot: usize, least: i64, most: i64 },
    Text { slot: usize, bytes_max: usize, nul: bool },
    No,
}

impl Plain {
    pub(crate) fn of(node: &Node) -> Self {
        let whole = node.ops.is_none()
            && node.parse.is_none()
            && node.kind.is_none()
            && node.default.is_none();
        let (Base::Field(slot), true, Some(target)) = (&node.base, whole, &node.target) else {
            return Self::No;
        };
        let (slot, limits) = (*slot, target.limits);
        match target.kind {
            Kind::Float => Self::Float { slot, negative_zero: limits.negative_zero },
            Kind::Int(width) => {
                let (least, most) = match width {
                    IntWidth::I16 => (i16::MIN.into(), i16::MAX.into()),
                    IntWidth::I32 => (i32::MIN.into(), i32::MAX.into()),
                    IntWidth::I64 | IntWidth::I128 => (i64::MIN, i64::MAX),
                    IntWidth::U64 => (0, i64::MAX),
                };
                Self::Int { slot, least, most }
            }
            // A character has at least one byte: that many bytes surely fit.
            Kind::Text(chars) => {
                let bytes_max = chars.map_or(usize::MAX, |chars| chars as usize).min(LONG);
                Self::Text { slot, bytes_max, nul: limits.nul_in_text }
            }
            Kind::Bool
            | Kind::Decimal(_)
            | Kind::Bytes
            | Kind::Date
            | Kind::Time
            | Kind::Timestamp
            | Kind::TimestampTz
            | Kind::Uuid
            | Kind::Json
            | Kind::Any => Self::No,
        }
    }

    /// Appends the value; false where the node has to.
    #[inline]
    pub(crate) fn push(self, cx: &Context<'_, '_>, rows: &mut ChunkBuilder) -> bool {
        let (Self::Float { slot, .. } | Self::Int { slot, .. } | Self::Text { slot, .. }) = self
        else {
            return false;
        };
        let text = match cx.field(slot) {
            ValueRef::Text(text) => text,
            ValueRef::Null => {
                rows.push(ValueRef::Null);
                return true;
            }
            ValueRef::Bool(_)
            | ValueRef::Int(_)
            | ValueRef::Decimal(_)
            | ValueRef::Float(_)
            | ValueRef::Bytes(_)
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::TimestampTz(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_) => return false,
        };
        match self {
            Self::Float { negative_zero, .. } => match float::parse_short(text.as_bytes()) {
                Some(value) if value != 0.0 || value.is_sign_positive() || negative_zero => {
                    rows.push(ValueRef::Float(value));
                    true
                }
                Some(_) | None => false,
            },
            Self::Int { least, most, .. } => match integer::parse_short(text) {
                Some(value) if (least..=most).contains(&value) => {
                    rows.push(ValueRef::Int(value.into()));
                    true
                }
                Some(_) | None => false,
            },
            Self::Text { bytes_max, nul, .. } => {
                let fits = text.len() <= bytes_max && (nul || !text.as_bytes().contains(&0));
                if fits {
                    rows.push(ValueRef::Text(text));
                }
                fits
            }
            Self::No => false,
        }
    }
}
