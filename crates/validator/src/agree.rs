//! Two columns that hold the same in other types: the kind in which their values are compared.
//!
//! An engine keeps as text or as a number what another one has a type for. A value is converted only
//! where its form is the one that the other side's values print as; else it stays, and differs.

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, Feed};
use whimbrel_model::kind::IntWidth;
use whimbrel_model::time::{Date, DateTime, NANOS_PER_DAY};
use whimbrel_model::{Chunk, ChunkBuilder, Kind, Row, Value, ValueRef};

/// The kind in which values of two kinds are compared; the same whichever of them is named first.
pub fn kind(a: Kind, b: Kind) -> Kind {
    match (a, b) {
        (Kind::Int(a), Kind::Int(b)) => Kind::Int(wider(a, b)),
        (Kind::Decimal(a), Kind::Decimal(b)) => Kind::Decimal(a.filter(|_| a == b)),
        (Kind::Text(a), Kind::Text(b)) => Kind::Text(a.filter(|_| a == b)),
        (a, b) if says(a) < says(b) => b,
        (a, _) => a,
    }
}

/// How much a kind says of its values: what says less holds what says more in another form.
fn says(kind: Kind) -> u8 {
    match kind {
        Kind::Any => 0,
        Kind::Text(_) => 1,
        Kind::Bytes => 2,
        Kind::Float => 3,
        Kind::Int(_) => 4,
        Kind::Decimal(_) => 5,
        Kind::Bool => 6,
        Kind::Time => 7,
        Kind::Date => 8,
        // An instant without its zone is a time in UTC on engines that have no other.
        Kind::Timestamp => 9,
        Kind::TimestampTz => 10,
        Kind::Uuid => 11,
        Kind::Json => 12,
    }
}

fn wider(a: IntWidth, b: IntWidth) -> IntWidth {
    let holds = |own: IntWidth, other: IntWidth| {
        let (own, other) = (own.range(), other.range());
        own.0 <= other.0 && own.1 >= other.1
    };
    let both = [a, b].into_iter().find(|width| holds(*width, a) && holds(*width, b));
    both.unwrap_or(IntWidth::I128)
}

/// A value as a value of that kind, where it is one in another form.
pub fn converted(kind: Kind, value: ValueRef<'_>) -> Option<Value> {
    match (kind, value) {
        (Kind::Bool, ValueRef::Int(0)) => Some(Value::Bool(false)),
        (Kind::Bool, ValueRef::Int(1)) => Some(Value::Bool(true)),
        (Kind::TimestampTz, ValueRef::Timestamp(at)) => Some(Value::TimestampTz(at)),
        (Kind::Uuid, ValueRef::Text(text)) => uuid(text).map(Value::Uuid),
        (Kind::Uuid, ValueRef::Bytes(bytes)) => bytes.try_into().ok().map(Value::Uuid),
        (Kind::Date, ValueRef::Text(text)) => date(text).map(Value::Date),
        (Kind::Timestamp, ValueRef::Text(text)) => instant(text).map(Value::Timestamp),
        (Kind::TimestampTz, ValueRef::Text(text)) => {
            instant(text.strip_suffix('Z').unwrap_or(text)).map(Value::TimestampTz)
        }
        (Kind::Decimal(_), ValueRef::Text(text)) => {
            let number = whimbrel_model::decimal::Numeric::parse(text);
            number.is_ok().then(|| Value::Decimal(text.to_owned()))
        }
        (Kind::Json, ValueRef::Text(text)) => Some(Value::Json(text.to_owned())),
        (_, _) => None,
    }
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut out = [0; 16];
    let mut digits = 0;
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(*byte).to_digit(16)? as u8;
        out[digits / 2] = out[digits / 2] << 4 | digit;
        digits += 1;
    }
    Some(out)
}

fn number(text: &str, digits: usize) -> Option<u32> {
    let plain = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn date(text: &str) -> Option<Date> {
    let (year, rest) = text.split_at_checked(4)?;
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let year = i32::try_from(number(year, 4)?).ok()?;
    Date::from_ymd(year, number(month, 2)? as u8, number(day, 2)? as u8)
}

fn instant(text: &str) -> Option<DateTime> {
    let (day, rest) = text.split_at_checked(10)?;
    let clock = rest.strip_prefix(['T', ' '])?;
    let (whole, part) = clock.split_once('.').unwrap_or((clock, ""));
    let [hours, minutes, seconds] = whole.split(':').collect::<Vec<_>>().try_into().ok()?;
    let (hours, minutes) = (number(hours, 2)?, number(minutes, 2)?);
    let seconds = number(seconds, 2)?;
    if hours > 23 || minutes > 59 || seconds > 59 || part.len() > 9 {
        return None;
    }
    let part = if part.is_empty() { 0 } else { number(&format!("{part:0<9}"), 9)? };
    let nanos = u64::from(hours * 3_600 + minutes * 60 + seconds) * 1_000_000_000 + u64::from(part);
    debug_assert!(nanos < NANOS_PER_DAY);
    Some(DateTime { days: date(day)?.days, nanos })
}

/// Whether values of a column may come in another form than the kind in which they are compared has;
/// `spells`: its engine keeps as text what others have types for, in whatever form it was written.
pub(crate) fn may_convert(own: Kind, agreed: Kind, spells: bool) -> bool {
    let differs = std::mem::discriminant(&own) != std::mem::discriminant(&agreed);
    let spelled = matches!(
        agreed,
        Kind::Uuid | Kind::Date | Kind::Timestamp | Kind::TimestampTz | Kind::Decimal(_)
    );
    differs || spells && spelled
}

/// A feed whose values come as the kinds in which they are compared.
pub(crate) struct Converted {
    feed: Box<dyn Feed>,
    /// The kinds of columns whose values may come in another form.
    kinds: Vec<Option<Kind>>,
    /// Behind them the values come once more, as they were.
    keeps: bool,
}

impl Converted {
    /// The feed itself, where nothing can be in another form.
    pub(crate) fn over(feed: Box<dyn Feed>, own: &[Kind], agreed: &[Kind]) -> Box<dyn Feed> {
        let kind = |(own, agreed): (&Kind, &Kind)| {
            // Whether the engine spells them is not known here.
            may_convert(*own, *agreed, true).then_some(*agreed)
        };
        let kinds: Vec<Option<Kind>> = own.iter().zip(agreed).map(kind).collect();
        if kinds.iter().all(Option::is_none) {
            feed
        } else {
            Box::new(Self { feed, kinds, keeps: false })
        }
    }

    /// The same, and behind each row's values those that the feed has given.
    pub(crate) fn beside(feed: Box<dyn Feed>, agreed: &[Kind]) -> Box<dyn Feed> {
        let kinds = agreed.iter().copied().map(Some).collect();
        Box::new(Self { feed, kinds, keeps: true })
    }
}

#[async_trait]
impl Feed for Converted {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        let Some(chunk) = self.feed.next().await? else { return Ok(None) };
        let is_other = |row: Row<'_>| {
            let mut pairs = row.values().zip(&self.kinds);
            pairs.any(|(value, kind)| kind.is_some_and(|kind| is_in_another_form(kind, value)))
        };
        if !self.keeps && !chunk.rows().any(is_other) {
            return Ok(Some(chunk));
        }
        let times = if self.keeps { 2 } else { 1 };
        let (width, bytes) = (times * chunk.width(), times * chunk.size());
        let mut out = ChunkBuilder::with_capacity(width, chunk.len(), bytes);
        for row in chunk.rows() {
            for (value, kind) in row.values().zip(&self.kinds) {
                match kind.and_then(|kind| converted(kind, value)) {
                    Some(converted) => out.push(converted.as_ref()),
                    None => out.push(value),
                }
            }
            if self.keeps {
                row.values().for_each(|value| out.push(value));
            }
            out.end_row();
        }
        Ok(Some(out.finish()))
    }
}

/// Whether a value may be one of another form: cheap, as every row is asked.
fn is_in_another_form(kind: Kind, value: ValueRef<'_>) -> bool {
    match value {
        ValueRef::Text(_) => true,
        ValueRef::Bytes(_) => kind == Kind::Uuid,
        ValueRef::Int(_) => kind == Kind::Bool,
        ValueRef::Timestamp(_) => kind == Kind::TimestampTz,
        ValueRef::Null
        | ValueRef::Bool(_)
        | ValueRef::Decimal(_)
        | ValueRef::Float(_)
        | ValueRef::Date(_)
        | ValueRef::Time(_)
        | ValueRef::TimestampTz(_)
        | ValueRef::Uuid(_)
        | ValueRef::Json(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: Kind, value: ValueRef<'_>, printed: Option<&str>) {
        let converted = converted(kind, value).map(|value| value.as_ref().to_string());
        assert_eq!(converted.as_deref(), printed);
    }

    #[test]
    fn which_side_is_named_first_makes_no_difference() {
        let widths = [IntWidth::I16, IntWidth::I32, IntWidth::I64, IntWidth::U64, IntWidth::I128];
        let mut kinds: Vec<Kind> = widths.map(Kind::Int).to_vec();
        kinds.extend([None, Some((9, 2)), Some((9, 4))].map(Kind::Decimal));
        kinds.extend([None, Some(9), Some(36)].map(Kind::Text));
        kinds.extend([
            Kind::Bool,
            Kind::Float,
            Kind::Bytes,
            Kind::Date,
            Kind::Time,
            Kind::Timestamp,
        ]);
        kinds.extend([Kind::TimestampTz, Kind::Uuid, Kind::Json, Kind::Any]);
        for a in &kinds {
            assert_eq!(kind(*a, *a), *a);
            for b in &kinds {
                assert_eq!(kind(*a, *b), kind(*b, *a), "{a:?} {b:?}");
            }
        }
        assert_eq!(kind(Kind::Bytes, Kind::Uuid), Kind::Uuid);
        assert_eq!(kind(Kind::Text(Some(36)), Kind::Bytes), Kind::Bytes);
        assert_eq!(
            kind(Kind::Int(IntWidth::I64), Kind::Int(IntWidth::U64)),
            Kind::Int(IntWidth::I128)
        );
        let bytes = [7; 16];
        check(Kind::Uuid, ValueRef::Bytes(&bytes), Some("07070707-0707-0707-0707-070707070707"));
    }

    #[test]
    fn text_in_the_form_of_another_type_is_a_value_of_it() {
        check(Kind::Date, ValueRef::Text("2024-02-29"), Some("2024-02-29"));
        check(Kind::Date, ValueRef::Text("2023-02-29"), None);
        check(
            Kind::Timestamp,
            ValueRef::Text("2024-03-31T01:59:59.25"),
            Some("2024-03-31T01:59:59.250"),
        );
        check(
            Kind::TimestampTz,
            ValueRef::Text("2024-03-31 01:59:59Z"),
            Some("2024-03-31T01:59:59Z"),
        );
        check(Kind::Timestamp, ValueRef::Text("2024-03-31 24:00:00"), None);
        let id = "8f14e45f-ceea-467a-9b0c-1a2b3c4d5e6f";
        check(Kind::Uuid, ValueRef::Text(id), Some(id));
        check(Kind::Uuid, ValueRef::Text("8f14e45fceea467a9b0c1a2b3c4d5e6f"), None);
        check(Kind::Bool, ValueRef::Int(1), Some("true"));
        check(Kind::Bool, ValueRef::Int(2), None);
        check(Kind::Decimal(None), ValueRef::Text("007"), None);
    }
}
