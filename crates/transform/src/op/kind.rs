//! Any value to the kind of a column: exactly, or not at all.
//!
//! ```text
//!            bool int decimal double text bytes date time timestamp timestamptz uuid json
//! number      –    =     =      =     *     –    –    –       –          –        –    =
//! text       t/f   =     =      =     =     –    =    =       =          =        =    =
//! instant     –    –     –      –     =     –    –    –       *          =        –    –
//! = exact or refused    * exact, and noted as a change of form    – refused
//! ```

use std::borrow::Cow;

use whimbrel_model::decimal::{Decimal, Numeric};
use whimbrel_model::json::write_string;
use whimbrel_model::kind::IntWidth;
use whimbrel_model::plan::Fold;
use whimbrel_model::{Date, DateTime, Kind, Time, Value, ValueRef};

use super::timestamp::{self, Moment};
use super::zone::{Named, Zone};
use super::{Fault, boolean, canonical_json, decimal, float, integer, text, uuid5};
use crate::codes;

/// A value that is borrowed, or owned because an operation made it.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// From a chunk, the plan or a fact.
    Ref(ValueRef<'a>),
    /// Made by an operation.
    Owned(Value),
}

impl Cell<'_> {
    /// NULL.
    pub const NULL: Self = Self::Ref(ValueRef::Null);

    /// Borrows the value.
    #[inline]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Ref(value) => *value,
            Self::Owned(value) => value.as_ref(),
        }
    }

    /// The value, copied where it was borrowed.
    pub fn into_value(self) -> Value {
        match self {
            Self::Ref(value) => value.to_owned(),
            Self::Owned(value) => value,
        }
    }

    /// True for NULL.
    #[inline]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Ref(ValueRef::Null) | Self::Owned(Value::Null))
    }
}

/// What the target's engine can hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// -0 keeps its sign.
    pub negative_zero: bool,
    /// NaN and infinities are values.
    pub nan: bool,
    /// Days and moments without an end are values: `infinity`, `-infinity`.
    pub endless: bool,
    /// Text may hold U+0000.
    pub nul_in_text: bool,
    /// A column without a kind tells times, UUIDs and truth values from texts and numbers.
    pub kinds_in_any: bool,
    /// There is a type for integers of 64 bits without a sign.
    pub unsigned: bool,
    /// There is a type for integers of 128 bits.
    pub huge: bool,
}

impl Limits {
    /// An engine that holds everything.
    pub const NONE: Self = Self {
        negative_zero: true,
        nan: true,
        endless: true,
        nul_in_text: true,
        kinds_in_any: true,
        unsigned: true,
        huge: true,
    };

    /// The kind that a column of this kind has once it is created: integers without a type of their own
    /// are decimals then, and digests of rows are to be the same before and after.
    pub fn held(self, kind: Kind) -> Kind {
        match kind {
            Kind::Int(IntWidth::U64) if !self.unsigned => Kind::Decimal(Some((20, 0))),
            Kind::Int(IntWidth::I128) if !self.huge => Kind::Decimal(Some((39, 0))),
            kind => kind,
        }
    }

    /// What an engine is known to hold; of an unknown one, only what all do.
    ///
    /// SQLite stores NaN as NULL and drops the sign of a zero; its text functions end at U+0000.
    /// PostgreSQL refuses U+0000, MariaDB and MySQL refuse NaN.
    pub fn of_engine(engine: &str) -> Self {
        let least = Self {
            negative_zero: false,
            nan: false,
            endless: false,
            nul_in_text: false,
            kinds_in_any: false,
            unsigned: true,
            huge: true,
        };
        match engine {
            "memory" => Self::NONE,
            "postgres" => Self {
                negative_zero: true,
                nan: true,
                endless: true,
                unsigned: false,
                huge: false,
                ..least
            },
            "mysql" => Self { nul_in_text: true, huge: false, ..least },
            _ => least,
        }
    }
}

/// What a value has to become.
#[derive(Clone, Debug)]
pub struct Conversion {
    /// The kind.
    pub kind: Kind,
    /// What the engine can hold.
    pub limits: Limits,
    /// Decimals may lose digits after the point.
    pub round: bool,
    /// The zone of times that carry none.
    pub zone: Zone,
    /// Which of two instants a repeated local time means.
    pub fold: Fold,
}

/// A converted value, and the code of what was changed about it.
#[derive(Clone, Debug)]
pub struct Converted<'a> {
    /// The value, of the wanted kind or NULL.
    pub cell: Cell<'a>,
    /// [`codes::NEGATIVE_ZERO`], [`codes::ROUNDED`], [`codes::NUMBER_AS_TEXT`] or
    /// [`codes::ZONE_DROPPED`].
    pub note: Option<&'static str>,
}

impl<'a> Converted<'a> {
    fn plain(cell: Cell<'a>) -> Self {
        Self { cell, note: None }
    }

    fn value(value: ValueRef<'a>) -> Self {
        Self::plain(Cell::Ref(value))
    }
}

impl Conversion {
    /// Converts a value; NULL stays NULL.
    #[inline]
    pub fn apply<'a>(&self, cell: Cell<'a>) -> Result<Converted<'a>, Fault> {
        if cell.is_null() {
            return Ok(Converted::plain(cell));
        }
        match self.kind {
            Kind::Float => self.to_float(cell.as_ref()),
            Kind::Int(width) => {
                let value = to_integer(cell.as_ref())?;
                integer::fit(value, width).map(|value| Converted::value(ValueRef::Int(value)))
            }
            Kind::Text(chars) => self.to_text(cell, chars),
            Kind::Decimal(digits) => self.to_decimal(&cell, digits),
            Kind::Bool => to_bool(cell.as_ref()),
            Kind::Bytes => to_bytes(cell),
            Kind::Date | Kind::Timestamp | Kind::TimestampTz
                if self.limits.endless
                    && matches!(cell.as_ref(), ValueRef::Text("infinity" | "-infinity")) =>
            {
                Ok(Converted::plain(cell))
            }
            Kind::Date => to_date(cell.as_ref()),
            Kind::Time => to_time(cell.as_ref()),
            Kind::Timestamp => self.to_timestamp(cell.as_ref()),
            Kind::TimestampTz => self.to_instant(cell.as_ref()),
            Kind::Uuid => to_uuid(cell.as_ref()),
            Kind::Json => self.to_json(cell),
            Kind::Any => self.to_any(cell),
        }
    }

    fn to_float<'a>(&self, value: ValueRef<'_>) -> Result<Converted<'a>, Fault> {
        let float = match value {
            ValueRef::Text(text) | ValueRef::Decimal(text) => float::parse(text)?,
            ValueRef::Float(value) => value,
            ValueRef::Int(value) => float::of_integer(value)?,
            ValueRef::Null
            | ValueRef::Bool(_)
            | ValueRef::Bytes(_)
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::TimestampTz(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_) => return Err(wrong_kind(value, self.kind)),
        };
        self.float(float)
    }

    #[inline]
    fn float<'a>(&self, float: f64) -> Result<Converted<'a>, Fault> {
        if !float.is_finite() && !self.limits.nan {
            return Err(Fault::new(codes::NOT_FINITE, "the engine holds no NaN and no infinity"));
        }
        if float == 0.0 && float.is_sign_negative() && !self.limits.negative_zero {
            let cell = Cell::Ref(ValueRef::Float(0.0));
            return Ok(Converted { cell, note: Some(codes::NEGATIVE_ZERO) });
        }
        Ok(Converted::value(ValueRef::Float(float)))
    }

    fn to_text<'a>(&self, cell: Cell<'a>, chars: Option<u32>) -> Result<Converted<'a>, Fault> {
        let converted = match &cell {
            Cell::Ref(ValueRef::Text(text)) => Converted::value(ValueRef::Text(text)),
            Cell::Owned(Value::Text(_)) => Converted::plain(cell),
            Cell::Ref(ValueRef::Json(text)) => Converted::value(ValueRef::Text(text)),
            Cell::Ref(ValueRef::Decimal(text)) => Converted {
                cell: Cell::Ref(ValueRef::Text(text)),
                note: Some(codes::NUMBER_AS_TEXT),
            },
            Cell::Ref(_) | Cell::Owned(_) => {
                let value = cell.as_ref();
                let note =
                    matches!(value, ValueRef::Bool(_) | ValueRef::Decimal(_) | ValueRef::Float(_))
                        .then_some(codes::NUMBER_AS_TEXT);
                if matches!(value, ValueRef::Bytes(_)) {
                    return Err(wrong_kind(value, self.kind));
                }
                let form =
                    text::form(value).map_or(Value::Null, |form| Value::Text(form.into_owned()));
                Converted { cell: Cell::Owned(form), note }
            }
        };
        if let ValueRef::Text(text) = converted.cell.as_ref() {
            self.check_text(text, chars)?;
        }
        Ok(converted)
    }

    #[inline]
    fn check_text(&self, text: &str, chars: Option<u32>) -> Result<(), Fault> {
        if let Some(most) = chars {
            // A character takes at least one byte: most texts need no counting.
            if text.len() > most as usize && text.chars().nth(most as usize).is_some() {
                let count = text.chars().count();
                return Err(Fault::new(
                    codes::TOO_LONG,
                    format!("{count} characters, the column holds {most}"),
                ));
            }
        }
        if !self.limits.nul_in_text && text.as_bytes().contains(&0) {
            return Err(Fault::new(codes::NUL_IN_TEXT, "the engine holds no U+0000 in text"));
        }
        Ok(())
    }

    fn to_decimal<'a>(
        &self,
        cell: &Cell<'a>,
        digits: Option<(u16, u16)>,
    ) -> Result<Converted<'a>, Fault> {
        let literal: Cow<'_, str> = match cell.as_ref() {
            ValueRef::Text(text) => {
                decimal::check_text(text, None)?;
                Cow::Borrowed(text)
            }
            // A database has such numbers; no text of a file means them.
            ValueRef::Decimal(text) if self.limits.nan && is_endless(text, digits) => {
                return Ok(Converted::plain(cell.clone()));
            }
            ValueRef::Decimal(text) => Cow::Borrowed(text),
            ValueRef::Int(value) => Cow::Owned(value.to_string()),
            ValueRef::Float(value) => Cow::Owned(float::to_text(value).ok_or_else(|| {
                Fault::new(codes::NOT_FINITE, "the column holds no NaN and no infinity")
            })?),
            value @ (ValueRef::Null
            | ValueRef::Bool(_)
            | ValueRef::Bytes(_)
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::TimestampTz(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_)) => return Err(wrong_kind(value, self.kind)),
        };
        match (decimal::check_number(&literal, digits), digits) {
            (Ok(()), _) => {}
            (Err(fault), Some((precision, scale)))
                if self.round && fault.code == codes::DIGITS_LOST =>
            {
                let rounded = decimal::round(&literal, precision, scale)?;
                return Ok(Converted {
                    cell: Cell::Owned(Value::Decimal(rounded)),
                    note: Some(codes::ROUNDED),
                });
            }
            (Err(fault), _) => return Err(fault),
        }
        Ok(Converted::plain(match (cell, literal) {
            (Cell::Ref(ValueRef::Text(text) | ValueRef::Decimal(text)), _) => {
                Cell::Ref(ValueRef::Decimal(text))
            }
            (_, literal) => Cell::Owned(Value::Decimal(literal.into_owned())),
        }))
    }

    fn to_timestamp<'a>(&self, value: ValueRef<'_>) -> Result<Converted<'a>, Fault> {
        let moment = match value {
            ValueRef::Timestamp(at) => Moment::Local(at),
            ValueRef::TimestampTz(at) => Moment::Instant(at),
            ValueRef::Text(text) => timestamp::parse_iso(text)?,
            ValueRef::Null
            | ValueRef::Bool(_)
            | ValueRef::Int(_)
            | ValueRef::Decimal(_)
            | ValueRef::Float(_)
            | ValueRef::Bytes(_)
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_) => return Err(wrong_kind(value, self.kind)),
        };
        match moment {
            Moment::Local(at) => Ok(Converted::value(ValueRef::Timestamp(at))),
            Moment::Instant(at) => self.drop_zone(at),
            Moment::Clock(_) => Err(timestamp::not_a_time()),
        }
    }

    /// The clock of the zone at an instant, if it leads back to the same instant.
    fn drop_zone<'a>(&self, at: DateTime) -> Result<Converted<'a>, Fault> {
        let local = self.zone.local(at);
        let back = match (self.zone.instants(local), self.fold) {
            (Named::One(one), _) => Some(one),
            (Named::Fold { earlier, .. }, Fold::Earlier) => Some(earlier),
            (Named::Fold { later, .. }, Fold::Later) => Some(later),
            (Named::Fold { .. }, Fold::Reject) | (Named::Gap, _) => None,
        };
        if back != Some(at) {
            return Err(Fault::new(
                codes::TIME_FOLD,
                "as a clock time it would name another instant too",
            ));
        }
        Ok(Converted {
            cell: Cell::Ref(ValueRef::Timestamp(local)),
            note: Some(codes::ZONE_DROPPED),
        })
    }

    fn to_instant<'a>(&self, value: ValueRef<'_>) -> Result<Converted<'a>, Fault> {
        let moment = match value {
            ValueRef::TimestampTz(at) => Moment::Instant(at),
            ValueRef::Timestamp(at) => Moment::Local(at),
            ValueRef::Text(text) => timestamp::parse_iso(text)?,
            ValueRef::Null
            | ValueRef::Bool(_)
            | ValueRef::Int(_)
            | ValueRef::Decimal(_)
            | ValueRef::Float(_)
            | ValueRef::Bytes(_)
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_) => return Err(wrong_kind(value, self.kind)),
        };
        let instant = match moment {
            Moment::Instant(at) => at,
            Moment::Local(at) => self.zone.instant(at, self.fold)?,
            Moment::Clock(_) => return Err(timestamp::not_a_time()),
        };
        Ok(Converted::value(ValueRef::TimestampTz(instant)))
    }

    fn to_json<'a>(&self, cell: Cell<'a>) -> Result<Converted<'a>, Fault> {
        if let ValueRef::Text(text) | ValueRef::Json(text) = cell.as_ref() {
            if matches!(cell.as_ref(), ValueRef::Text(_)) {
                canonical_json::document(text)?;
            }
            if !self.limits.nul_in_text && text.as_bytes().contains(&0) {
                return Err(Fault::new(codes::NUL_IN_TEXT, "the engine holds no U+0000 in text"));
            }
            return Ok(Converted::plain(match cell {
                Cell::Ref(ValueRef::Text(text)) => Cell::Ref(ValueRef::Json(text)),
                Cell::Owned(Value::Text(text)) => Cell::Owned(Value::Json(text)),
                Cell::Ref(_) | Cell::Owned(_) => cell,
            }));
        }
        let mut out = String::new();
        if append_json(&mut out, cell.as_ref()) {
            Ok(Converted::plain(Cell::Owned(Value::Json(out))))
        } else {
            Err(wrong_kind(cell.as_ref(), self.kind))
        }
    }

    /// A column without a kind of its own: numbers become what holds them exactly.
    fn to_any<'a>(&self, cell: Cell<'a>) -> Result<Converted<'a>, Fault> {
        match cell.as_ref() {
            ValueRef::Decimal(literal) => {
                if let Ok(value) = integer::of_number(literal)
                    && i64::try_from(value).is_ok()
                    && !literal.contains(['.', 'e', 'E'])
                {
                    return Ok(Converted::value(ValueRef::Int(value)));
                }
                match float::parse(literal) {
                    Ok(value) => self.float(value),
                    Err(_) => Ok(Converted::plain(cell)),
                }
            }
            ValueRef::Float(value) => self.float(value),
            ValueRef::Text(text) => {
                self.check_text(text, None)?;
                Ok(Converted::plain(cell))
            }
            ValueRef::Null | ValueRef::Int(_) | ValueRef::Bytes(_) => Ok(Converted::plain(cell)),
            ValueRef::Bool(value) if !self.limits.kinds_in_any => {
                Ok(Converted::value(ValueRef::Int(value.into())))
            }
            ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::TimestampTz(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_)
                if !self.limits.kinds_in_any =>
            {
                self.to_text(cell, None)
            }
            ValueRef::Bool(_)
            | ValueRef::Date(_)
            | ValueRef::Time(_)
            | ValueRef::Timestamp(_)
            | ValueRef::TimestampTz(_)
            | ValueRef::Uuid(_)
            | ValueRef::Json(_) => Ok(Converted::plain(cell)),
        }
    }
}

/// Whether any value of a kind could become a value of another one.
pub fn can_become(from: Kind, to: Kind) -> bool {
    let number = matches!(to, Kind::Int(_) | Kind::Decimal(_) | Kind::Float);
    let written = matches!(to, Kind::Text(_) | Kind::Any);
    match from {
        Kind::Any => true,
        Kind::Text(_) => to != Kind::Bytes,
        Kind::Bool => written || matches!(to, Kind::Bool | Kind::Json),
        Kind::Int(_) | Kind::Decimal(_) | Kind::Float => number || written || to == Kind::Json,
        Kind::Bytes => matches!(to, Kind::Bytes | Kind::Any),
        Kind::Date => written || to == Kind::Date,
        Kind::Time => written || to == Kind::Time,
        Kind::Timestamp => {
            written || matches!(to, Kind::Timestamp | Kind::TimestampTz | Kind::Date)
        }
        Kind::TimestampTz => written || matches!(to, Kind::Timestamp | Kind::TimestampTz),
        Kind::Uuid => written || to == Kind::Uuid,
        Kind::Json => written || to == Kind::Json,
    }
}

/// Appends a value as JSON; numbers as written, times as texts; false where JSON has no form for it.
pub fn append_json(out: &mut String, value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Null => out.push_str("null"),
        ValueRef::Bool(value) => out.push_str(boolean::to_text(value)),
        ValueRef::Int(value) => out.push_str(&value.to_string()),
        ValueRef::Decimal(literal) if Decimal::parse(literal).is_ok() => out.push_str(literal),
        ValueRef::Float(value) => match float::to_text(value) {
            Some(text) => out.push_str(&text),
            None => return false,
        },
        ValueRef::Text(text) => write_string(out, text),
        ValueRef::Json(text) => out.push_str(text),
        ValueRef::Decimal(_) | ValueRef::Bytes(_) => return false,
        ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_) => {
            let mut form = String::new();
            text::append(&mut form, value);
            write_string(out, &form);
        }
    }
    true
}

fn to_integer(value: ValueRef<'_>) -> Result<i128, Fault> {
    match value {
        ValueRef::Text(text) => integer::parse(text),
        ValueRef::Decimal(literal) => integer::of_number(literal),
        ValueRef::Int(value) => Ok(value),
        ValueRef::Float(value) => integer::of_float(value),
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => {
            Err(Fault::new(codes::WRONG_KIND, format!("{} is no integer", value.noun())))
        }
    }
}

fn to_bool<'a>(value: ValueRef<'_>) -> Result<Converted<'a>, Fault> {
    match value {
        ValueRef::Bool(value) => Ok(Converted::value(ValueRef::Bool(value))),
        ValueRef::Text(text) => {
            boolean::parse(text).map(|value| Converted::value(ValueRef::Bool(value)))
        }
        ValueRef::Null
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => {
            Err(Fault::new(codes::NOT_A_BOOLEAN, format!("{} is no boolean", value.noun())))
        }
    }
}

fn to_bytes(cell: Cell<'_>) -> Result<Converted<'_>, Fault> {
    match cell.as_ref() {
        ValueRef::Bytes(_) => Ok(Converted::plain(cell)),
        value => Err(wrong_kind(value, Kind::Bytes)),
    }
}

/// `NaN`, and infinity where the digits are not limited.
fn is_endless(literal: &str, digits: Option<(u16, u16)>) -> bool {
    match Numeric::parse(literal) {
        Ok(Numeric::NaN) => true,
        Ok(Numeric::Infinity | Numeric::NegativeInfinity) => digits.is_none(),
        Ok(Numeric::Finite(_)) | Err(_) => false,
    }
}

fn to_date<'a>(value: ValueRef<'_>) -> Result<Converted<'a>, Fault> {
    let date = match value {
        ValueRef::Date(date) => date,
        ValueRef::Text(text) => timestamp::parse_date(text)?,
        ValueRef::Timestamp(DateTime { days, nanos: 0 }) => Date { days },
        ValueRef::Timestamp(_) => {
            return Err(Fault::new(
                codes::WRONG_KIND,
                "the column holds a day, this has a time too",
            ));
        }
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Time(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => return Err(wrong_kind(value, Kind::Date)),
    };
    Ok(Converted::value(ValueRef::Date(date)))
}

fn to_time<'a>(value: ValueRef<'_>) -> Result<Converted<'a>, Fault> {
    let time = match value {
        ValueRef::Time(time) => time,
        ValueRef::Text(text) => Time { nanos: timestamp::parse_clock(text)? as i64 },
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => return Err(wrong_kind(value, Kind::Time)),
    };
    Ok(Converted::value(ValueRef::Time(time)))
}

fn to_uuid<'a>(value: ValueRef<'_>) -> Result<Converted<'a>, Fault> {
    match value {
        ValueRef::Uuid(uuid) => Ok(Converted::value(ValueRef::Uuid(uuid))),
        ValueRef::Text(text) => uuid5::parse(text)
            .map(|uuid| Converted::value(ValueRef::Uuid(uuid)))
            .ok_or_else(|| Fault::new(codes::NOT_A_UUID, "not a UUID")),
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Int(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Bytes(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::Timestamp(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Json(_) => Err(wrong_kind(value, Kind::Uuid)),
    }
}

fn wrong_kind(value: ValueRef<'_>, kind: Kind) -> Fault {
    Fault::new(codes::WRONG_KIND, format!("{} cannot become {}", value.noun(), kind.name()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SQLITE: Limits = Limits {
        negative_zero: false,
        nan: false,
        endless: false,
        nul_in_text: false,
        kinds_in_any: false,
        unsigned: true,
        huge: true,
    };

    fn convert(value: ValueRef<'_>, kind: &str, round: bool) -> String {
        let conversion = Conversion {
            kind: Kind::parse(kind).unwrap(),
            limits: SQLITE,
            round,
            zone: Zone::named("Europe/Berlin").unwrap(),
            fold: Fold::Reject,
        };
        match conversion.apply(Cell::Ref(value)) {
            Ok(Converted { cell, note }) => {
                format!(
                    "{} {}{}",
                    cell.as_ref().noun(),
                    cell.as_ref(),
                    note.map(|note| format!(" {note}")).unwrap_or_default()
                )
            }
            Err(fault) => fault.code.to_owned(),
        }
    }

    fn check(value: ValueRef<'_>, kind: &str, expected: &str) {
        assert_eq!(convert(value, kind, false), expected, "{value} to {kind}");
    }

    use ValueRef::{Bool, Decimal as Number, Float, Int, Json, Null, Text, TimestampTz, Uuid};

    #[test]
    fn text_becomes_a_number_only_as_it_stands() {
        check(Text("12"), "integer", "integer 12");
        check(Text("9007199254740993"), "integer", "integer 9007199254740993");
        check(Text("9007199254740993"), "double", codes::NOT_EXACT);
        check(Text("00601"), "integer", codes::NOT_AN_INTEGER);
        check(Text("32768"), "smallint", codes::OUT_OF_RANGE);
        check(Text("1.10"), "decimal", "number 1.10");
        check(Text("1.10"), "decimal(3,1)", "number 1.10");
        check(Text("1.15"), "decimal(3,1)", codes::DIGITS_LOST);
        assert_eq!(
            convert(Text("1.15"), "decimal(3,1)", true),
            format!("number 1.2 {}", codes::ROUNDED)
        );
        check(Text("nan"), "double", codes::NOT_A_NUMBER);
        check(Text(""), "integer", codes::NOT_AN_INTEGER);
        check(Null, "integer", "NULL NULL");
    }

    #[test]
    fn a_column_without_a_kind_holds_what_can_be_read_back() {
        check(Uuid([0xab; 16]), "any", "text abababab-abab-abab-abab-abababababab");
        check(Bool(true), "any", "integer 1");
        check(Int(7), "any", "integer 7");
        check(Text("7"), "any", "text 7");
    }

    #[test]
    fn json_numbers_keep_their_value_or_their_text() {
        check(Number("1.0"), "integer", "integer 1");
        check(Number("1.5"), "integer", codes::NOT_AN_INTEGER);
        check(Number("1.50"), "text", "text 1.50 WB0264");
        check(Bool(true), "text", "text true WB0264");
        check(Number("1e5"), "decimal", "number 1e5");
        check(Number("5"), "any", "integer 5");
        check(Number("5.0"), "any", "double 5.0");
        check(Number("0.1234567890123456789"), "any", "number 0.1234567890123456789");
        check(Int(5), "text", "text 5");
        check(Int(1), "boolean", codes::NOT_A_BOOLEAN);
        check(Bool(true), "integer", codes::WRONG_KIND);
    }

    #[test]
    fn what_the_engine_cannot_hold_is_noted_or_refused() {
        check(Text("-0.0"), "double", "double 0.0 WB0262");
        check(Float(f64::NAN), "double", codes::NOT_FINITE);
        check(Text("a\0b"), "text", codes::NUL_IN_TEXT);
        check(Text("éé"), "text(2)", "text éé");
        check(Text("ééé"), "text(2)", codes::TOO_LONG);
    }

    #[test]
    fn json_columns_take_documents() {
        check(Text("{\"a\": 1}"), "json", "json {\"a\": 1}");
        check(Text("abc"), "json", codes::NOT_JSON);
        check(Text("NaN"), "json", codes::NOT_JSON);
        check(Json("[1]"), "json", "json [1]");
        check(Json("[1]"), "text", "text [1]");
        check(Json("[1]"), "integer", codes::WRONG_KIND);
        check(Number("1.0"), "json", "json 1.0");
    }

    #[test]
    fn times_are_iso_and_zones_are_declared() {
        check(Text("2024-03-31"), "date", "date 2024-03-31");
        check(Text("2024-3-31"), "date", codes::NOT_A_TIME);
        check(Text("01:02:03.5"), "time", "time 01:02:03.500");
        check(
            Text("2024-01-31T00:00:00"),
            "timestamptz",
            "timestamp with zone 2024-01-30T23:00:00Z",
        );
        check(Text("2024-03-31T02:30:00"), "timestamptz", codes::TIME_GAP);
        check(Text("2024-03-31T02:30:00"), "timestamp", "timestamp 2024-03-31T02:30:00");
        check(Text("2024-01-31T00:00:00Z"), "timestamp", "timestamp 2024-01-31T01:00:00 WB0269");
        let in_fold = DateTime::from_unix_nanos(1_729_989_000_000_000_000).unwrap();
        check(TimestampTz(in_fold), "timestamp", codes::TIME_FOLD);
        check(TimestampTz(in_fold), "text", "text 2024-10-27T00:30:00Z");
    }

    #[test]
    fn words_are_booleans_only_as_true_and_false() {
        check(Text("true"), "boolean", "boolean true");
        check(Text("1"), "boolean", codes::NOT_A_BOOLEAN);
        check(Uuid([0; 16]), "boolean", codes::NOT_A_BOOLEAN);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i128>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            "-?[0-9]{1,30}(\\.[0-9]{1,5})?(e-?[0-9]{1,3})?".prop_map(Value::Decimal),
            ".{0,20}".prop_map(Value::Text),
            (-800_000i32..3_000_000, 0u64..86_400_000_000_000)
                .prop_map(|(days, nanos)| Value::TimestampTz(DateTime { days, nanos })),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            Just(Value::Json("{\"a\":[1]}".to_owned())),
        ]
    }

    proptest! {
        #[test]
        fn a_converted_value_is_of_the_kind_and_stays(value in any_value(), which in 0..Kind::NAMES.len()) {
            let name = Kind::NAMES[which].replace("(p,s)", "(9,2)").replace("(n)", "(9)");
            let kind = Kind::parse(&name).unwrap();
            let conversion = Conversion { kind, limits: SQLITE, round: true, zone: Zone::UTC, fold: Fold::Reject };
            if let Ok(converted) = conversion.apply(Cell::Ref(value.as_ref())) {
                let again = conversion.apply(converted.cell.clone()).unwrap();
                prop_assert_eq!(again.cell.as_ref(), converted.cell.as_ref());
                prop_assert!(again.note.is_none() || again.note == Some(codes::NUMBER_AS_TEXT));
            }
        }
    }
}
