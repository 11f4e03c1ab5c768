//! What a failed evaluation says: the `cel` crate's errors in the words of plans, bounded.
//!
//! Operators are named as they are written, values by their types. Only a value that could not be
//! converted, an index and a key are shown, by their beginning.

use ::cel::common::ast::operators;
use ::cel::{ExecutionError, Value};

use crate::Fault;
use crate::shown::excerpt_text;

/// Why the expression has no value for the record.
pub(super) fn of(error: &ExecutionError) -> Fault {
    Fault::new(words(error))
}

fn words(error: &ExecutionError) -> String {
    match error {
        // The conversions bring their own words, and excerpts of their values.
        ExecutionError::FunctionError { function, message } => {
            let message: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
            format!("`{}(…)`: {message}", written(function))
        }
        ExecutionError::NoSuchOverload(overload) => {
            let types: Vec<&str> = overload.argument_types().iter().map(String::as_str).collect();
            does_not_take(overload.function(), &types)
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            does_not_take(operator, &[type_of(left), type_of(right)])
        }
        ExecutionError::Overflow(operator, _, _) => {
            format!("`{}` leaves 64 bits", written(operator))
        }
        ExecutionError::DivisionByZero(_) => "division by zero".to_owned(),
        ExecutionError::RemainderByZero(_) => "remainder of a division by zero".to_owned(),
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} and {} cannot be compared", type_of(left), type_of(right))
        }
        ExecutionError::NoSuchKey(key) => format!("no such key: `{}`", excerpt_text(key)),
        ExecutionError::IndexOutOfBounds(index) => match index {
            Value::Int(index) => format!("no element has the index: `{index}`"),
            Value::UInt(index) => format!("no element has the index: `{index}`"),
            other => format!("no element has this index, of type {}", type_of(other)),
        },
        ExecutionError::UnsupportedIndex(index, list) => {
            does_not_take(operators::INDEX, &[type_of(list), type_of(index)])
        }
        ExecutionError::UnsupportedTargetType { target } => {
            format!("the function does not take {}", type_of(target))
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            does_not_take(method, &[type_of(target)])
        }
        ExecutionError::UnsupportedKeyType(key) => {
            format!("{} cannot be a key", type_of(key))
        }
        ExecutionError::UnexpectedType { got, want } => {
            format!("{} stands where {} belongs", type_name(got), type_name(want))
        }
        ExecutionError::DuplicateKey(_) => "a map has the same key twice".to_owned(),
        ExecutionError::InvalidArgumentCount { expected, actual } => {
            format!("a function takes {expected} arguments, not {actual}")
        }
        // What is left is refused when the expression is compiled, or never made any more.
        _ => "the expression has no value".to_owned(),
    }
}

/// Words and an excerpt of a value.
const MESSAGE_CHARS_MAX: usize = 300;

fn does_not_take(function: &str, types: &[&str]) -> String {
    let types: Vec<&str> = types.iter().map(|name| type_name(name)).collect();
    format!("`{}` does not take {}", written(function), types.join(" and "))
}

/// A function or operator as an expression has it.
fn written(function: &str) -> String {
    let written = match function {
        "add" => "+",
        "sub" => "-",
        "mul" => "*",
        "div" => "/",
        "rem" => "%",
        operators::INDEX => "[…]",
        other => other.trim_matches(['_', '@', '!']),
    };
    // A `!` stands behind the names of functions of our own, and is an operator by itself.
    if written.is_empty() { function.trim_matches('_').to_owned() } else { excerpt_text(written) }
}

/// A type as expressions name it: `cel` calls some otherwise in its errors.
fn type_name(name: &str) -> &str {
    match name {
        "float" => "double",
        "null_type" => "null",
        other => other,
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Int(_) => "int",
        Value::UInt(_) => "uint",
        Value::Float(_) => "double",
        Value::String(_) => "string",
        Value::Bytes(_) => "bytes",
        Value::Bool(_) => "bool",
        Value::Null => "null",
        // Functions, structs and what other crates define are no values of records.
        _ => "another type",
    }
}
