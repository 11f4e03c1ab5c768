//! Functions that plans have instead of, or beyond, the standard ones.

// The `cel` crate hands functions their arguments by value.
#![allow(clippy::needless_pass_by_value)]

use std::any::Any;
use std::cmp::Ordering;

use ::cel::common::traits::Comparer;
use ::cel::common::types::{
    CelBool, CelDouble, CelInt, CelString, CelUInt, DOUBLE_TYPE, DYN_TYPE, INT_TYPE, STRING_TYPE,
    Type, UINT_TYPE,
};
use ::cel::common::value::{CowVal, StaticVal, Val};
use ::cel::{Env, ExecutionError};
use regex::Regex;
use whimbrel_model::{Date, DateTime, Time, ValueRef};

use crate::exact;
use crate::shown::excerpt;

/// Exact conversions stand under these names in a rewritten tree.
pub(super) const EXACT: &[(&str, &str)] =
    &[("int", "int!"), ("double", "double!"), ("uint", "uint!")];

/// `matches` with a compiled pattern.
pub(super) const MATCHES: &str = "matches!";

/// Functions that an expression may call; operators and loops apart.
pub(super) const KNOWN: &[&str] = &[
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bool",
    "bytes",
    "type",
    "dyn",
    "timestamp",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "lowerAscii",
    "upperAscii",
    "trim",
    "replace",
    "split",
    "join",
    "substring",
    "reverse",
];

type Answer<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Adds them to an environment.
pub(super) fn declare(env: &mut Env) {
    let from_text = "the names of overloads are distinct";
    for (function, id, argument, op) in [
        ("int!", "int!int", INT_TYPE, exact_int as Op),
        ("int!", "int!uint", UINT_TYPE, exact_int),
        ("int!", "int!double", DOUBLE_TYPE, exact_int),
        ("int!", "int!string", STRING_TYPE, exact_int),
        ("uint!", "uint!int", INT_TYPE, exact_uint),
        ("uint!", "uint!uint", UINT_TYPE, exact_uint),
        ("uint!", "uint!double", DOUBLE_TYPE, exact_uint),
        ("uint!", "uint!string", STRING_TYPE, exact_uint),
        ("double!", "double!int", INT_TYPE, exact_double),
        ("double!", "double!uint", UINT_TYPE, exact_double),
        ("double!", "double!double", DOUBLE_TYPE, exact_double),
        ("double!", "double!string", STRING_TYPE, exact_double),
        ("timestamp", "timestamp_string", STRING_TYPE, timestamp),
        ("timestamp", "timestamp_timestamp", INSTANT, first),
        ("string", "string_timestamp", INSTANT, to_string),
        ("string", "string_local_timestamp", LOCAL, to_string),
        ("string", "string_date", DATE, to_string),
        ("string", "string_time", TIME, to_string),
    ] {
        env.add_overload(function, id, vec![argument], op).expect(from_text);
    }
    env.add_overload(MATCHES, "matches!", vec![STRING_TYPE, DYN_TYPE], matches).expect(from_text);
    for named in [INSTANT, LOCAL, DATE, TIME] {
        env.add_type(named).expect("the names of types are free");
    }
}

type Op = for<'b, 'v> fn(Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v>;

fn first<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    args.into_iter().next().ok_or(ExecutionError::MissingArgumentOrTarget)
}

/// A number or text as an integer of any width.
fn integer_of(function: &str, args: &[CowVal<'_, '_>]) -> Result<i128, ExecutionError> {
    let value = args.first().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let integer = if let Some(value) = value.downcast_ref::<CelInt>() {
        Ok(i128::from(*value.inner()))
    } else if let Some(value) = value.downcast_ref::<CelUInt>() {
        Ok(i128::from(*value.inner()))
    } else if let Some(value) = value.downcast_ref::<CelDouble>() {
        exact::integer_of_float(*value.inner())
    } else if let Some(value) = value.downcast_ref::<CelString<'_>>() {
        exact::integer(value.inner())
    } else {
        return Err(ExecutionError::MissingArgumentOrTarget);
    };
    integer.map_err(|fault| unconverted(function, fault, args))
}

/// What could not be converted, and why.
fn unconverted(function: &str, why: &str, args: &[CowVal<'_, '_>]) -> ExecutionError {
    let value = args.first().and_then(|value| crate::values::to_value(&**value).ok());
    let shown = value.map(|value| (value.as_ref().noun(), excerpt(value.as_ref())));
    let (noun, shown) = shown.unwrap_or_default();
    ExecutionError::function_error(function, format!("{why}: {noun} `{shown}`"))
}

fn exact_int<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = i64::try_from(integer_of("int", &args)?)
        .map_err(|_| unconverted("int", "outside of 64 bits", &args))?;
    Ok(CowVal::owned(CelInt::from(value)))
}

fn exact_uint<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = u64::try_from(integer_of("uint", &args)?)
        .map_err(|_| unconverted("uint", "outside of 64 bits", &args))?;
    Ok(CowVal::owned(CelUInt::from(value)))
}

fn exact_double<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = args.first().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let double = if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        exact::double(text.inner())
    } else if let Some(value) = value.downcast_ref::<CelDouble>() {
        Ok(*value.inner())
    } else {
        exact::double_of_integer(integer_of("double", &args)?)
    };
    double
        .map(|value| CowVal::owned(CelDouble::from(value)))
        .map_err(|fault| unconverted("double", fault, &args))
}

fn timestamp<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = args.first().ok_or(ExecutionError::MissingArgumentOrTarget)?;
    let text = value.downcast_ref::<CelString<'_>>().map_or("", |text| text.inner());
    match exact::instant(text) {
        Some(at) => Ok(CowVal::owned(Moment::Instant(at))),
        None => Err(unconverted("timestamp", "not an instant of RFC 3339", &args)),
    }
}

fn to_string<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let value = args.first().and_then(|value| value.downcast_ref::<Moment>());
    let value = value.ok_or(ExecutionError::MissingArgumentOrTarget)?.value();
    Ok(CowVal::owned(CelString::from(value.to_string())))
}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let [value, pattern] = args.as_slice() else {
        return Err(ExecutionError::MissingArgumentOrTarget);
    };
    let value = value.downcast_ref::<CelString<'_>>().zip(pattern.downcast_ref::<Pattern>());
    let (text, pattern) = value.ok_or(ExecutionError::MissingArgumentOrTarget)?;
    Ok(CowVal::owned(CelBool::from(pattern.0.is_match(text.inner()))))
}

/// A compiled regular expression, as an argument of [`MATCHES`].
#[derive(Clone, Debug)]
pub(super) struct Pattern(pub(super) Regex);

static PATTERN: Type = Type::new_unspecified_type("pattern");

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        &PATTERN
    }

    fn cel_type() -> &'static Type {
        &PATTERN
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

const INSTANT: Type = Type::new_unspecified_type("timestamp");
const LOCAL: Type = Type::new_unspecified_type("local_timestamp");
const DATE: Type = Type::new_unspecified_type("date");
const TIME: Type = Type::new_unspecified_type("time");

static INSTANT_TYPE: Type = INSTANT;
static LOCAL_TYPE: Type = LOCAL;
static DATE_TYPE: Type = DATE;
static TIME_TYPE: Type = TIME;

/// Days, times and instants: they compare with their own kind, nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Moment {
    Instant(DateTime),
    Local(DateTime),
    Date(Date),
    Time(Time),
}

impl Moment {
    pub(super) fn value(self) -> ValueRef<'static> {
        match self {
            Self::Instant(at) => ValueRef::TimestampTz(at),
            Self::Local(at) => ValueRef::Timestamp(at),
            Self::Date(date) => ValueRef::Date(date),
            Self::Time(time) => ValueRef::Time(time),
        }
    }
}

impl Val for Moment {
    fn get_type(&self) -> &Type {
        match self {
            Self::Instant(_) => &INSTANT_TYPE,
            Self::Local(_) => &LOCAL_TYPE,
            Self::Date(_) => &DATE_TYPE,
            Self::Time(_) => &TIME_TYPE,
        }
    }

    fn cel_type() -> &'static Type {
        &INSTANT_TYPE
    }

    fn as_comparer(&self) -> Option<&dyn Comparer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.downcast_ref::<Self>().is_some_and(|other| other == self)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(*self)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Moment {}

impl Comparer for Moment {
    fn compare(&self, rhs: &dyn Val) -> Result<Ordering, ExecutionError> {
        let order = match (self, rhs.downcast_ref::<Self>()) {
            (Self::Instant(a), Some(Self::Instant(b))) | (Self::Local(a), Some(Self::Local(b))) => {
                Some(a.cmp(b))
            }
            (Self::Date(a), Some(Self::Date(b))) => Some(a.cmp(b)),
            (Self::Time(a), Some(Self::Time(b))) => Some(a.cmp(b)),
            (Self::Instant(_) | Self::Local(_) | Self::Date(_) | Self::Time(_), _) => None,
        };
        order.ok_or_else(|| {
            let types = vec![self.get_type().name().to_owned(), rhs.get_type().name().to_owned()];
            ExecutionError::no_such_overload("comparison", types)
        })
    }
}
