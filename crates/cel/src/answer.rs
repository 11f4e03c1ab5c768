//! What an expression answers, as far as its form alone tells.

use ::cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

/// What the answer surely is, where it cannot be true or false: `a number`. `input` says the same of
/// inputs, by their numbers.
pub(super) fn never_bool(
    tree: &IdedExpr,
    input: &dyn Fn(usize) -> Option<String>,
) -> Option<String> {
    let noun = match &tree.expr {
        Expr::Ident(name) => return input(name.strip_prefix("@i")?.parse().ok()?),
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => return None,
            LiteralValue::Bytes(_) => "bytes",
            LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => "a number",
            LiteralValue::Null => "NULL",
            LiteralValue::String(_) => "a text",
        },
        Expr::List(_) => "a list",
        Expr::Map(_) => "a map",
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::CONDITIONAL, [_, yes, no]) => {
                return never_bool(yes, input).filter(|_| never_bool(no, input).is_some());
            }
            (operators::ADD, _) => "a sum",
            (
                operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO
                | operators::NEGATE
                | "size"
                | "int"
                | "uint"
                | "double",
                _,
            ) => "a number",
            ("string", _) => "a text",
            ("bytes", _) => "bytes",
            (_, _) => return None,
        },
        Expr::Comprehension(_) | Expr::Select(_) | Expr::Struct(_) | Expr::Unspecified => {
            return None;
        }
    };
    Some(noun.to_owned())
}
