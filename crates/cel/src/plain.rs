//! One text tested against a literal, without the detour over the interpreter: `s == 'x'`,
//! `s.endsWith('x')`. Most conditions of plans are such.
//!
//! Whatever else stands in the expression or in the field is left to the interpreter, which says the
//! same of these.

use ::cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

/// A test of an input's text.
#[derive(Debug)]
pub(super) struct Plain {
    /// The number of the input.
    pub(super) input: usize,
    test: Test,
    literal: String,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Equals,
    Differs,
    StartsWith,
    EndsWith,
    Contains,
}

impl Plain {
    /// The test that a rewritten tree is, if it is one.
    pub(super) fn of(tree: &IdedExpr) -> Option<Self> {
        let Expr::Call(call) = &tree.expr else { return None };
        let (test, text, literal) = match (call.func_name.as_str(), &call.target, &*call.args) {
            (operators::EQUALS, None, [text, literal]) => (Test::Equals, text, literal),
            (operators::NOT_EQUALS, None, [text, literal]) => (Test::Differs, text, literal),
            ("startsWith", Some(text), [literal]) => (Test::StartsWith, &**text, literal),
            ("endsWith", Some(text), [literal]) => (Test::EndsWith, &**text, literal),
            ("contains", Some(text), [literal]) => (Test::Contains, &**text, literal),
            (_, _, _) => return None,
        };
        let (Expr::Ident(name), Expr::Literal(LiteralValue::String(literal))) =
            (&text.expr, &literal.expr)
        else {
            return None;
        };
        let input = name.strip_prefix("@i")?.parse().ok()?;
        Some(Self { input, test, literal: literal.inner().to_owned() })
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        let literal = self.literal.as_str();
        match self.test {
            Test::Equals => text == literal,
            Test::Differs => text != literal,
            Test::StartsWith => text.starts_with(literal),
            Test::EndsWith => text.ends_with(literal),
            Test::Contains => text.contains(literal),
        }
    }
}
