//! Values into CEL and out of it, exactly or not at all.

use std::collections::HashMap;

use ::cel::Value as CelValue;
use ::cel::common::types::{
    CelBool, CelBytes, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt,
};
use ::cel::common::value::Val;
use ::cel::objects::Key;
use whimbrel_model::decimal::Decimal;
use whimbrel_model::json::{self, Json, write_string};
use whimbrel_model::{Value, ValueRef};

use crate::functions::Moment;
use crate::shown::excerpt_text;
use crate::{Cell, Fault, exact};

/// Values of a JSON document that an expression may look at: loops over it end.
const NODES_MAX: usize = 10_000;

/// A value as CEL sees it, borrowing text.
#[derive(Debug)]
pub(super) enum Bound<'r> {
    Null(CelNull),
    Bool(CelBool),
    Int(CelInt),
    UInt(CelUInt),
    Double(CelDouble),
    Text(CelString<'r>),
    Bytes(CelBytes<'r>),
    Moment(Moment),
    Document(Box<dyn Val + 'r>),
}

impl<'r> Bound<'r> {
    #[inline]
    pub(super) fn new(value: ValueRef<'r>) -> Result<Self, Fault> {
        Ok(match value {
            ValueRef::Null => Self::Null(CelNull),
            ValueRef::Bool(value) => Self::Bool(CelBool::from(value)),
            ValueRef::Int(value) => match (i64::try_from(value), u64::try_from(value)) {
                (Ok(value), _) => Self::Int(CelInt::from(value)),
                (Err(_), Ok(value)) => Self::UInt(CelUInt::from(value)),
                (Err(_), Err(_)) => {
                    return Err(inexact("the integer has more than 64 bits", &value.to_string()));
                }
            },
            ValueRef::Decimal(literal) => return number(literal),
            ValueRef::Float(value) => Self::Double(CelDouble::from(value)),
            ValueRef::Text(text) => Self::Text(CelString::from(text)),
            ValueRef::Bytes(bytes) => Self::Bytes(CelBytes::from(bytes)),
            ValueRef::Date(date) => Self::Moment(Moment::Date(date)),
            ValueRef::Time(time) => Self::Moment(Moment::Time(time)),
            ValueRef::Timestamp(at) => Self::Moment(Moment::Local(at)),
            ValueRef::TimestampTz(at) => Self::Moment(Moment::Instant(at)),
            ValueRef::Uuid(_) => Self::Text(CelString::from(value.to_string())),
            ValueRef::Json(document) => Self::Document(parse(document)?),
        })
    }

    #[inline]
    pub(super) fn of_cell(cell: Cell<'r>) -> Result<Self, Fault> {
        match cell {
            Cell::Ref(value) => Self::new(value),
            Cell::Owned(Value::Text(text)) => Ok(Self::Text(CelString::from(text))),
            Cell::Owned(Value::Decimal(literal)) => number(&literal),
            Cell::Owned(Value::Json(document)) => Ok(Self::Document(parse(&document)?)),
            Cell::Owned(Value::Bytes(bytes)) => Ok(Self::Bytes(CelBytes::from(bytes))),
            Cell::Owned(Value::Null) => Self::new(ValueRef::Null),
            Cell::Owned(Value::Bool(value)) => Self::new(ValueRef::Bool(value)),
            Cell::Owned(Value::Int(value)) => Self::new(ValueRef::Int(value)),
            Cell::Owned(Value::Float(value)) => Self::new(ValueRef::Float(value)),
            Cell::Owned(Value::Date(value)) => Self::new(ValueRef::Date(value)),
            Cell::Owned(Value::Time(value)) => Self::new(ValueRef::Time(value)),
            Cell::Owned(Value::Timestamp(value)) => Self::new(ValueRef::Timestamp(value)),
            Cell::Owned(Value::TimestampTz(value)) => Self::new(ValueRef::TimestampTz(value)),
            Cell::Owned(Value::Uuid(value)) => Self::new(ValueRef::Uuid(value)),
        }
    }

    #[inline]
    pub(super) fn as_val(&self) -> &(dyn Val + 'r) {
        match self {
            Self::Null(value) => value,
            Self::Bool(value) => value,
            Self::Int(value) => value,
            Self::UInt(value) => value,
            Self::Double(value) => value,
            Self::Text(value) => value,
            Self::Bytes(value) => value,
            Self::Moment(value) => value,
            Self::Document(value) => value.as_ref(),
        }
    }
}

/// A JSON number: an integer where it is written as one, else a double that holds it exactly.
fn number<'r>(literal: &str) -> Result<Bound<'r>, Fault> {
    if let Ok(value) = literal.parse::<i64>()
        && value.to_string() == literal
    {
        return Ok(Bound::Int(CelInt::from(value)));
    }
    let whole = Decimal::parse(literal)
        .is_ok_and(|number| number.is_integer() && !literal.contains(['.', 'e', 'E']));
    if !whole && let Ok(value) = exact::double(literal) {
        return Ok(Bound::Double(CelDouble::from(value)));
    }
    match literal.parse::<u64>() {
        Ok(value) if whole => Ok(Bound::UInt(CelUInt::from(value))),
        Ok(_) | Err(_) => {
            Err(inexact("the number is neither a 64-bit integer nor exactly a double", literal))
        }
    }
}

fn inexact(what: &str, value: &str) -> Fault {
    Fault::new(format!("{what}: `{}`", excerpt_text(value)))
}

fn parse<'r>(document: &str) -> Result<Box<dyn Val + 'r>, Fault> {
    let json = json::parse(document.as_bytes())
        .map_err(|error| Fault::new(format!("not a JSON document: {error}")))?;
    let mut nodes = 0;
    tree(&json, &mut nodes)
}

fn tree<'r>(json: &Json<'_>, nodes: &mut usize) -> Result<Box<dyn Val + 'r>, Fault> {
    *nodes += 1;
    if *nodes > NODES_MAX {
        let message = format!("the JSON document has more than {NODES_MAX} values");
        return Err(Fault::new(message));
    }
    Ok(match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(literal) => match number(literal.as_str())? {
            Bound::Int(value) => Box::new(value),
            Bound::UInt(value) => Box::new(value),
            other => other.as_val().clone_as_boxed(),
        },
        Json::String(text) => Box::new(CelString::from(text.to_string())),
        Json::Array(elements) => {
            let elements = elements.iter().map(|element| tree(element, nodes));
            Box::new(CelList::from(elements.collect::<Result<Vec<_>, _>>()?))
        }
        Json::Object(members) => {
            let mut map: HashMap<CelMapKey<'r>, Box<dyn Val + 'r>> =
                HashMap::with_capacity(members.len());
            for (key, member) in members {
                map.insert(CelMapKey::from(key.to_string()), tree(member, nodes)?);
            }
            Box::new(CelMap::from(map))
        }
    })
}

/// The result of an expression; lists and maps become JSON with sorted keys.
pub(super) fn to_value(value: &dyn Val) -> Result<Value, Fault> {
    if let Some(value) = value.downcast_ref::<CelBool>() {
        return Ok(Value::Bool(*value.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelInt>() {
        return Ok(Value::Int((*value.inner()).into()));
    }
    if let Some(value) = value.downcast_ref::<CelDouble>() {
        return Ok(Value::Float(*value.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelString<'_>>() {
        return Ok(Value::Text(value.inner().to_owned()));
    }
    if value.downcast_ref::<CelNull>().is_some() {
        return Ok(Value::Null);
    }
    if let Some(value) = value.downcast_ref::<CelUInt>() {
        return Ok(Value::Int((*value.inner()).into()));
    }
    if let Some(value) = value.downcast_ref::<Moment>() {
        return Ok(value.value().to_owned());
    }
    if let Some(value) = value.downcast_ref::<CelBytes<'_>>() {
        return Ok(Value::Bytes(value.inner().to_vec()));
    }
    let value = CelValue::try_from(value).map_err(|error| crate::fault::of(&error))?;
    let mut out = String::new();
    write_json(&mut out, &value)?;
    Ok(Value::Json(out))
}

fn write_json(out: &mut String, value: &CelValue) -> Result<(), Fault> {
    let no_form = || Fault::new("the result has no form as JSON");
    match value {
        CelValue::Null => out.push_str("null"),
        CelValue::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        CelValue::Int(value) => out.push_str(&value.to_string()),
        CelValue::UInt(value) => out.push_str(&value.to_string()),
        CelValue::Float(value) => out.push_str(&exact::json_number(*value).ok_or_else(no_form)?),
        CelValue::String(text) => write_string(out, text),
        CelValue::List(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(out, element)?;
            }
            out.push(']');
        }
        CelValue::Map(map) => {
            let mut members: Vec<(&str, &CelValue)> = Vec::with_capacity(map.map.len());
            for (key, member) in map.map.iter() {
                let Key::String(key) = key else {
                    return Err(no_form());
                };
                members.push((key, member));
            }
            members.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, member)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(out, key);
                out.push(':');
                write_json(out, member)?;
            }
            out.push('}');
        }
        // The crate's enum has more variants (functions, opaque values, structs) that JSON lacks.
        _ => return Err(no_form()),
    }
    Ok(())
}
