//! CEL: expressions over the fields of a record, checked before any record is read.
//!
//! ```text
//! source text ──parse──▶ tree ──check──▶ names become input numbers      (once per plan)
//! record ──bind inputs──▶ evaluate ──▶ value                             (once per record)
//! ```
//! The tree of the `cel` crate is rewritten so that every reference is known beforehand: `T1`,
//! `row['T 1']` and `new.t1` become numbered inputs, `int`, `double` and `uint` become conversions
//! that are exact or fail, and the pattern of `matches` is compiled once. Nothing coerces.
//!
//! What a name means is the caller's business, and where values come from: a [`Program`] knows its
//! inputs by whatever `I` the caller calls them. It knows neither plans nor sources.
//!
//! ```
//! use whimbrel_cel::{Cell, Fault, Name, Program, Unknown};
//! use whimbrel_model::{Value, ValueRef};
//!
//! let program = Program::compile("status.endsWith('_PARTIAL')", &mut |name| match name {
//!     Name::Plain("status") => Ok(0),
//!     _ => Err(Unknown { message: "no such field".to_owned(), help: None }),
//! });
//! let given = |_| Ok::<_, Fault>(Cell::Ref(ValueRef::Text("RUNNING_PARTIAL")));
//! assert_eq!(program.unwrap().run(given), Ok(Value::Bool(true)));
//! ```

mod answer;
pub mod codes;
mod exact;
mod fault;
mod functions;
mod plain;
mod shown;
mod tree;
mod values;

use std::sync::LazyLock;

use ::cel::common::value::{CowVal, Val};
use ::cel::context::VariableResolver;
use ::cel::parser::Expression;
use ::cel::{Context, Env};
use regex::Regex;
use whimbrel_model::{Value, ValueRef};

use plain::Plain;
use shown::excerpt_text;
use values::Bound;

/// What a name in an expression stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Name<'n> {
    /// `T1`, `row['T 1']`, `row.T1`: a `let` or a field of the source.
    Plain(&'n str),
    /// `new.t1`: the value produced for a target column, which rules may ask for.
    New(&'n str),
}

/// A compiled expression.
#[derive(Debug)]
pub struct Program<I> {
    tree: Expression,
    /// What to bind, in the order of their numbers.
    inputs: Vec<I>,
    patterns: Vec<functions::Pattern>,
    plain: Option<Plain>,
}

/// Why an expression cannot be compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// One of [`codes`].
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What may have been meant.
    pub help: Option<String>,
    /// Bytes of the expression that are meant.
    pub place: Option<std::ops::Range<usize>>,
}

/// Parsing takes stack for every level of brackets.
const DEPTH_MAX: u16 = 32;

static CONTEXT: LazyLock<Context<'static, 'static>> =
    LazyLock::new(|| Context::with_env(std::sync::Arc::new(environment())));

fn environment() -> Env {
    let mut env = Env::stdlib();
    ::cel::extensions::strings(&mut env).expect("the extension's names are free");
    functions::declare(&mut env);
    env
}

impl<I: Copy + PartialEq> Program<I> {
    /// Parses and checks an expression; `input` says what a name stands for.
    ///
    /// # Errors
    /// Every mistake that can be found without a record.
    pub fn compile(
        source: &str,
        input: &mut dyn FnMut(Name<'_>) -> Result<I, Unknown>,
    ) -> Result<Self, Vec<Mistake>> {
        // A parser of its own for every expression: it is used up by parsing.
        let parser =
            Env::stdlib().parser().max_recursion_depth(DEPTH_MAX).enable_optional_syntax(false);
        let (mut tree, places) = parser
            .parse_with_source_info(source)
            // What the parser says after the first mistake mostly follows from it.
            .map_err(|errors| {
                errors
                    .errors
                    .iter()
                    .take(1)
                    .map(|error| syntax_mistake(source, error))
                    .collect::<Vec<_>>()
            })?;
        let mut rewriting = tree::Rewriting::new(source, &places, input);
        rewriting.rewrite(&mut tree);
        let tree::Rewriting { inputs, patterns, mistakes, .. } = rewriting;
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let plain = Plain::of(&tree);
        Ok(Self { tree, inputs, patterns, plain })
    }

    /// What the answer surely is, where it can be neither true nor false, whatever the record; `kind` says
    /// so of inputs.
    pub fn never_bool(&self, kind: impl Fn(I) -> Option<String>) -> Option<String> {
        answer::never_bool(&self.tree, &|number| self.inputs.get(number).copied().and_then(&kind))
    }

    /// What the expression looks at, each once.
    pub fn inputs(&self) -> &[I] {
        &self.inputs
    }

    /// Evaluates the expression; `value` gives the value of an input. Lists and maps become JSON
    /// with sorted keys.
    pub fn run<'a, E: From<Fault>>(
        &self,
        value: impl Fn(I) -> Result<Cell<'a>, E>,
    ) -> Result<Value, E> {
        if let Some(plain) = &self.plain
            && let ValueRef::Text(text) = value(self.inputs[plain.input])?.as_ref()
        {
            return Ok(Value::Bool(plain.holds(text)));
        }
        let inputs = self.inputs.iter().map(|input| Ok(Bound::of_cell(value(*input)?)?));
        let bindings =
            Bindings { inputs: inputs.collect::<Result<_, E>>()?, patterns: &self.patterns };
        let root: &Context<'_, '_> = &CONTEXT;
        let mut scope = root.new_inner_scope();
        scope.set_variable_resolver(&bindings);
        let result =
            ::cel::Value::resolve_val(&self.tree, &scope).map_err(|error| fault::of(&error))?;
        Ok(values::to_value(&*result)?)
    }
}

/// A name that stands for nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown {
    /// What is wrong with the name.
    pub message: String,
    /// What may have been meant.
    pub help: Option<String>,
}

/// Why an expression has no value for a record. Its code is [`codes::CEL_FAILED`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// In the words of plans, bounded and escaped.
    pub message: String,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// The value of an input, borrowed from the record where it can be.
#[derive(Clone, Debug)]
pub enum Cell<'a> {
    /// A value that stands somewhere else.
    Ref(ValueRef<'a>),
    /// A value that was made.
    Owned(Value),
}

impl Cell<'_> {
    /// Borrows the value.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Ref(value) => *value,
            Self::Owned(value) => value.as_ref(),
        }
    }
}

#[derive(Debug)]
struct Bindings<'r> {
    inputs: Vec<Bound<'r>>,
    patterns: &'r [functions::Pattern],
}

impl VariableResolver for Bindings<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let (kind, number) = variable.as_bytes().split_first_chunk::<2>()?;
        let number = number.iter().try_fold(0usize, |sum, byte| {
            byte.is_ascii_digit().then(|| sum * 10 + usize::from(byte - b'0'))
        })?;
        let value: &'b (dyn Val + 'b) = match kind {
            b"@i" => self.inputs.get(number)?.as_val(),
            b"@p" => self.patterns.get(number)?,
            _ => return None,
        };
        Some(CowVal::Borrowed(value))
    }
}

fn syntax_mistake(source: &str, error: &::cel::ParseError) -> Mistake {
    let (line, column) = error.pos;
    let place = usize::try_from(line - 1).ok().zip(usize::try_from(column - 1).ok()).map(
        |(line, column)| {
            let start: usize = source.split_inclusive('\n').take(line).map(str::len).sum();
            let rest = source.get(start..).unwrap_or_default();
            let at = start + rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
            at..source[at..].chars().next().map_or(at, |char| at + char.len_utf8())
        },
    );
    let message = error.msg.strip_prefix("Syntax error: ").unwrap_or(&error.msg);
    // The parser hands the errors of its limits on in their debug form.
    if message.starts_with("OtherError(") {
        let message = if message.contains("Recursion limit of ") {
            format!("CEL: the expression is nested deeper than {DEPTH_MAX} levels")
        } else {
            "CEL: the parser gave the expression up".to_owned()
        };
        let help = Some("name a part of it in `[table.let]`".to_owned());
        return Mistake { code: codes::CEL_SYNTAX, message, help, place };
    }
    let message = message.split(" expecting ").next().unwrap_or(message);
    let message = message.replace("'<EOF>'", "the end of the expression");
    Mistake {
        code: codes::CEL_SYNTAX,
        message: format!("CEL: {}", excerpt_text(&message)),
        help: None,
        place,
    }
}

/// A regular expression as plans have them: Unicode, bounded in size.
pub fn regex(pattern: &str) -> Result<Regex, String> {
    const SIZE_MAX: usize = 1 << 20;
    let built = regex::RegexBuilder::new(pattern).size_limit(SIZE_MAX).build();
    built.map_err(|error| {
        let text = error.to_string();
        let last = text.lines().last().unwrap_or_default();
        last.strip_prefix("error: ").unwrap_or(last).to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use whimbrel_model::{DateTime, Value};

    fn fields() -> Vec<(&'static str, Value)> {
        vec![
            ("s", "née".into()),
            ("status", "RUN_PARTIAL".into()),
            ("empty", Value::Null),
            ("i", 42i64.into()),
            ("big", Value::Int(i128::from(u64::MAX))),
            ("huge", Value::Int(i128::MAX)),
            ("f", 1.5f64.into()),
            ("n", Value::Decimal("7".into())),
            ("x", Value::Decimal("1.50".into())),
            ("long", Value::Decimal("0.1234567890123456789".into())),
            ("b", true.into()),
            ("j", Value::Json(r#"{"b":[1,2.5,"x"],"a":null}"#.into())),
            ("Pwr_Z1_%", "12.5".into()),
            ("t", Value::TimestampTz(DateTime { days: 0, nanos: 0 })),
            ("u", Value::TimestampTz(DateTime { days: 1, nanos: 0 })),
            ("l", Value::Timestamp(DateTime { days: 1, nanos: 0 })),
        ]
    }

    fn compile(source: &str) -> Result<Program<usize>, Vec<Mistake>> {
        let fields = fields();
        Program::compile(source, &mut |name| {
            let wanted = match name {
                Name::Plain(name) | Name::New(name) => name,
            };
            fields
                .iter()
                .position(|(name, _)| *name == wanted)
                .ok_or_else(|| Unknown { message: format!("unknown name `{wanted}`"), help: None })
        })
    }

    fn run(source: &str) -> String {
        let fields = fields();
        let program = match compile(source) {
            Ok(program) => program,
            Err(mistakes) => {
                let all = mistakes.iter().map(|mistake| {
                    let place = mistake
                        .place
                        .clone()
                        .map(|place| format!("{}..{}", place.start, place.end));
                    format!(
                        "{} at {}: {}",
                        mistake.code,
                        place.unwrap_or_default(),
                        mistake.message
                    )
                });
                return all.collect::<Vec<_>>().join("; ");
            }
        };
        match program.run::<Fault>(|input| Ok(Cell::Ref(fields[input].1.as_ref()))) {
            Ok(value) => format!("{} {}", value.as_ref().noun(), value.as_ref()),
            Err(fault) => format!("{} {}", codes::CEL_FAILED, fault.message),
        }
    }

    fn check(source: &str, expected: &str) {
        assert_eq!(run(source), expected, "{source}");
    }

    #[test]
    fn names_are_fields_rows_and_new_columns() {
        check("status.endsWith('_PARTIAL')", "boolean true");
        check("row['Pwr_Z1_%']", "text 12.5");
        check("row.i + 1", "integer 43");
        check("new.i", "integer 42");
        check("empty == null", "boolean true");
        check("has(row.empty) || has(new.i)", "boolean true");
        check("has(row.empty)", "boolean false");
        check("j.b[1]", "double 2.5");
        check("has(j.c)", "boolean false");
        check("j.b.exists(x, x == 'x')", "boolean true");
        check("[1, 2].map(i, i * 2).size() + i", "integer 44");
        check("[i].map(i, i + 1)[0]", "integer 43");
        check("j.b.filter(e, type(e) == string)", r#"json ["x"]"#);
        check("j", r#"json {"a":null,"b":[1,2.5,"x"]}"#);
    }

    #[test]
    fn nothing_coerces() {
        check("s + 1", "WB0250 `+` does not take string and int");
        check("i + 1.5", "WB0250 `+` does not take int and double");
        check("empty.size()", "WB0250 `size` does not take null");
        check("s > 1", "WB0250 `>` does not take string and int");
        check("!s", "WB0250 `!` does not take string");
        check("-s", "WB0250 `-` does not take string");
        check("s in i", "WB0250 `in` does not take string and int");
        check("s ? 1 : 2", "WB0250 string stands where bool belongs");
        check("9223372036854775807 + i", "WB0250 `+` leaves 64 bits");
        check("1 / 0", "WB0250 division by zero");
        check("i % 0", "WB0250 remainder of a division by zero");
        check("j.b[7]", "WB0250 no element has the index: `7`");
        check("j.nope", "WB0250 no such key: `nope`");
        check("s.charAt(9)", "WB0250 `charAt(…)`: index out of range: 9");
    }

    #[test]
    fn a_plain_test_says_what_the_interpreter_says() {
        let fields = fields();
        let literals = ["", "née", "é", "n", "RUN_PARTIAL", "_PARTIAL", "RUN", "42", "12.5"];
        for form in
            ["@ == '#'", "@ != '#'", "@.startsWith('#')", "@.endsWith('#')", "@.contains('#')"]
        {
            for literal in literals {
                for (name, _) in &fields {
                    let source = form.replace('@', &format!("row['{name}']")).replace('#', literal);
                    let mut program = compile(&source).unwrap();
                    let run = |program: &Program<usize>| {
                        program.run::<Fault>(|input| Ok(Cell::Ref(fields[input].1.as_ref())))
                    };
                    let told = |outcome: Result<Value, Fault>| {
                        outcome
                            .map_or_else(|fault| fault.message, |value| value.as_ref().to_string())
                    };
                    let plainly = told(run(&program));
                    assert!(program.plain.take().is_some(), "{source}");
                    assert_eq!(plainly, told(run(&program)), "{source}");
                }
            }
        }
        for source in ["s == i", "s + 'x'", "'x' == s", "s == null", "s.size() == 1", "!b"] {
            assert!(compile(source).unwrap().plain.is_none(), "{source}");
        }
    }

    #[test]
    fn conversions_are_exact_or_fail() {
        check("int('42')", "integer 42");
        check("int('042')", "WB0250 `int(…)`: not an integer as it stands: text `042`");
        check("int('+1')", "WB0250 `int(…)`: not an integer as it stands: text `+1`");
        check("int(1.9)", "WB0250 `int(…)`: not an integer as it stands: double `1.9`");
        check("int(2.0)", "integer 2");
        check("double('1.10')", "double 1.1");
        check("double('nan')", "WB0250 `double(…)`: not a number as it stands: text `nan`");
        check(
            "double(9007199254740993)",
            "WB0250 `double(…)`: a double cannot hold the number exactly: integer `9007199254740993`",
        );
        check("uint('7')", "integer 7");
        check("uint(-1)", "WB0250 `uint(…)`: outside of 64 bits: integer `-1`");
        check("string(1.5) + string(i)", "text 1.542");
        check("n + 1", "integer 8");
        check("x * 2.0", "double 3.0");
        check(
            "long",
            "WB0250 the number is neither a 64-bit integer nor exactly a double: `0.1234567890123456789`",
        );
        check(
            "huge",
            "WB0250 the integer has more than 64 bits: `170141183460469231731687303715884105727`",
        );
        check("big", "integer 18446744073709551615");
    }

    #[test]
    fn a_value_that_cannot_be_converted_is_shown_by_its_beginning() {
        let program = compile("int(s)").unwrap();
        let long = Value::Text(format!("1\u{1b}[2J{}", "9".repeat(100_000)));
        let fault = program.run::<Fault>(|_| Ok(Cell::Ref(long.as_ref()))).unwrap_err();
        let shown = format!(
            "`int(…)`: not an integer as it stands: text `1\\u{{1b}}[2J{}…`",
            "9".repeat(115)
        );
        assert_eq!(fault.message, shown);
    }

    #[test]
    fn brackets_that_are_too_deep_are_told_in_plain_words_at_their_place() {
        let deep = |open: &str, levels: usize, close: &str| {
            run(&format!("{}1{}", open.repeat(levels), close.repeat(levels)))
        };
        let depth = usize::from(DEPTH_MAX);
        assert_eq!(deep("(", depth, ")"), "integer 1");
        for (open, close) in [("(", ")"), ("[", "]"), ("size(", ")")] {
            let said = deep(open, depth + 8, close);
            let words = "CEL: the expression is nested deeper than 32 levels";
            let at = (depth + 1) * open.len();
            assert_eq!(said, format!("WB0208 at {at}..{}: {words}", at + 1), "{open}");
        }
    }

    #[test]
    fn text_is_counted_in_characters() {
        check("size(s)", "integer 3");
        check("s.size()", "integer 3");
        check("s.substring(1)", "text ée");
        check("status.replace('_', '-').lowerAscii()", "text run-partial");
    }

    #[test]
    fn patterns_are_literals_compiled_once() {
        check("status.matches('^RUN')", "boolean true");
        check("matches(status, 'X$')", "boolean false");
        check("status.matches(s)", "WB0210 at 15..16: the pattern of `matches` must be a literal");
        check("status.matches('(')", "WB0212 at 15..18: unclosed group");
    }

    #[test]
    fn instants_compare_with_instants() {
        check("t < u && t == timestamp('1970-01-01T00:00:00Z')", "boolean true");
        check("t", "timestamp with zone 1970-01-01T00:00:00Z");
        check("string(t)", "text 1970-01-01T00:00:00Z");
        check("t < l", "WB0250 `<` does not take timestamp and local_timestamp");
        check(
            "timestamp('yesterday')",
            "WB0250 `timestamp(…)`: not an instant of RFC 3339: text `yesterday`",
        );
    }

    #[test]
    fn mistakes_point_into_the_expression() {
        check("stauts == 'x'", "WB0209 at 0..6: unknown name `stauts`");
        check("'né' == row['nope']", "WB0209 at 9..19: unknown name `nope`");
        check("new.nope > 1", "WB0209 at 0..8: unknown name `nope`");
        check("row[s]", "WB0210 at 0..5: the name in `row[…]` must be a literal text");
        check("row", "WB0210 at 0..3: `row` needs the name of a field: `row['name']`");
        check("foo(1)", "WB0209 at 0..3: unknown function `foo`");
        check("s.foo()", "WB0209 at 2..5: unknown function `foo`");
        check("s +", "WB0208 at 3..3: CEL: mismatched input the end of the expression");
        check("s = 'x'", "WB0208 at 2..3: CEL: token recognition error at: '= '");
        check(
            "j.b.all(x, j.b.all(y, j.b.all(z, x == z)))",
            "WB0210 at 29..30: loops nest at most twice",
        );
        assert!(run(&"(".repeat(10_000)).starts_with("WB0208"));
        assert!(run(&format!("{}1{}", "[".repeat(200), "]".repeat(200))).starts_with("WB0208"));
    }
}
