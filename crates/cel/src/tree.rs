//! The check of an expression's tree: every name, function and loop, before any record is read.

use std::ops::Range;

use ::cel::common::ast::{
    CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators,
};

use whimbrel_model::plan::did_you_mean;

use crate::functions::{self, Pattern};
use crate::shown::excerpt_text;
use crate::{Mistake, Name, Unknown, codes};

/// Loops inside each other.
const LOOPS_MAX: usize = 2;

/// Names of types, which are values too.
const TYPES: &[&str] = &[
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "timestamp",
];

/// Names of fields, and what a name stands for.
type Inputs<'s, I> = &'s mut dyn FnMut(Name<'_>) -> Result<I, Unknown>;

/// One walk over a tree.
pub(super) struct Rewriting<'s, I> {
    source: &'s str,
    places: &'s SourceInfo,
    input: Inputs<'s, I>,
    /// Variables of the loops around the place of the walk.
    variables: Vec<String>,
    loops: usize,
    pub(super) inputs: Vec<I>,
    pub(super) patterns: Vec<Pattern>,
    pub(super) mistakes: Vec<Mistake>,
}

impl<'s, I: Copy + PartialEq> Rewriting<'s, I> {
    pub(super) fn new(source: &'s str, places: &'s SourceInfo, input: Inputs<'s, I>) -> Self {
        Self {
            source,
            places,
            input,
            variables: Vec::new(),
            loops: 0,
            inputs: Vec::new(),
            patterns: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    pub(super) fn rewrite(&mut self, node: &mut IdedExpr) {
        if let Some(place) = self.reference(node) {
            node.expr = place;
            return;
        }
        let id = node.id;
        match &mut node.expr {
            Expr::Ident(name) => {
                let name = name.clone();
                if let Some(expr) = self.identifier(&name, id) {
                    node.expr = expr;
                }
            }
            Expr::Call(call) => self.call(call, id),
            Expr::Comprehension(_) => self.comprehension(node),
            Expr::Select(select) => self.rewrite(&mut select.operand),
            Expr::List(list) => list.elements.iter_mut().for_each(|element| self.rewrite(element)),
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.rewrite(&mut entry.key);
                        self.rewrite(&mut entry.value);
                    }
                }
            }
            Expr::Struct(_) => {
                self.mistake(codes::CEL_FORM, id, "messages are not known here".to_owned(), None);
            }
            Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    /// `row['x']`, `row.x`, `new.x`, `has(row.x)`: what replaces them.
    fn reference(&mut self, node: &IdedExpr) -> Option<Expr> {
        match &node.expr {
            Expr::Select(select) => {
                let base = self.base(&select.operand)?;
                let input = self.named(base, &select.field, node);
                Some(if select.test { is_not_null(input, node.id) } else { input })
            }
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [operand, key] = call.args.as_slice() else {
                    return None;
                };
                let base = self.base(operand)?;
                if let Expr::Literal(LiteralValue::String(name)) = &key.expr {
                    return Some(self.named(base, name.inner(), node));
                }
                let message = format!("the name in `{}[…]` must be a literal text", base.word());
                self.mistake_in(codes::CEL_FORM, node, message, None);
                Some(Expr::Literal(LiteralValue::Null))
            }
            Expr::Ident(name) if !self.variables.contains(name) => {
                let base = Base::of(name)?;
                let word = base.word();
                let message = format!("`{word}` needs the name of a field: `{word}['name']`");
                self.mistake(codes::CEL_FORM, node.id, message, None);
                Some(Expr::Literal(LiteralValue::Null))
            }
            Expr::Ident(_)
            | Expr::Call(_)
            | Expr::Unspecified
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => None,
        }
    }

    fn base(&self, operand: &IdedExpr) -> Option<Base> {
        match &operand.expr {
            Expr::Ident(name) if !self.variables.contains(name) => Base::of(name),
            Expr::Ident(_)
            | Expr::Call(_)
            | Expr::Unspecified
            | Expr::Comprehension(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Select(_)
            | Expr::Struct(_) => None,
        }
    }

    fn named(&mut self, base: Base, name: &str, node: &IdedExpr) -> Expr {
        let name = match base {
            Base::Row => Name::Plain(name),
            Base::New => Name::New(name),
        };
        self.bind(name, self.place_of(node))
    }

    /// The identifier of an input; a mistake, and NULL, where the name stands for nothing.
    fn bind(&mut self, name: Name<'_>, place: Option<Range<usize>>) -> Expr {
        match (self.input)(name) {
            Ok(input) => {
                let number =
                    self.inputs.iter().position(|known| *known == input).unwrap_or_else(|| {
                        self.inputs.push(input);
                        self.inputs.len() - 1
                    });
                Expr::Ident(format!("@i{number}"))
            }
            Err(Unknown { message, help }) => {
                self.mistakes.push(Mistake { code: codes::CEL_NAME, message, help, place });
                Expr::Literal(LiteralValue::Null)
            }
        }
    }

    fn identifier(&mut self, name: &str, id: u64) -> Option<Expr> {
        if name.starts_with('@') || self.variables.iter().any(|variable| variable == name) {
            return None;
        }
        match (self.input)(Name::Plain(name)) {
            Err(_) if TYPES.contains(&name) => None,
            Ok(_) | Err(_) => Some(self.bind(Name::Plain(name), self.place(id))),
        }
    }

    fn call(&mut self, call: &mut CallExpr, id: u64) {
        let is_operator = !call.func_name.starts_with(|char: char| char.is_ascii_alphabetic());
        if !is_operator && !functions::KNOWN.contains(&call.func_name.as_str()) {
            let message = format!("unknown function `{}`", excerpt_text(&call.func_name));
            let help = did_you_mean(&call.func_name, functions::KNOWN.iter().copied());
            let place = self.place(id).map(|place| self.before(place, &call.func_name));
            return self.mistakes.push(Mistake { code: codes::CEL_NAME, message, help, place });
        }
        if call.func_name == "matches" {
            return self.matches(call, id);
        }
        if let Some(target) = &mut call.target {
            self.rewrite(target);
        }
        call.args.iter_mut().for_each(|argument| self.rewrite(argument));
        let exact = functions::EXACT
            .iter()
            .find(|(name, _)| *name == call.func_name && call.target.is_none());
        if let Some((_, exact)) = exact {
            (*exact).clone_into(&mut call.func_name);
        }
    }

    /// `text.matches('pattern')` becomes a call with the compiled pattern.
    fn matches(&mut self, call: &mut CallExpr, id: u64) {
        let target = call.target.take().map(|target| *target);
        let mut arguments: Vec<IdedExpr> =
            target.into_iter().chain(std::mem::take(&mut call.args)).collect();
        let [text, pattern] = arguments.as_mut_slice() else {
            return self.mistake(
                codes::CEL_FORM,
                id,
                "`matches` takes a text and a pattern".to_owned(),
                None,
            );
        };
        self.rewrite(text);
        let Expr::Literal(LiteralValue::String(literal)) = &pattern.expr else {
            let message = "the pattern of `matches` must be a literal".to_owned();
            return self.mistake(codes::CEL_FORM, pattern.id, message, None);
        };
        match crate::regex(literal.inner()) {
            Ok(regex) => {
                pattern.expr = Expr::Ident(format!("@p{}", self.patterns.len()));
                self.patterns.push(Pattern(regex));
            }
            Err(message) => self.mistake(codes::BAD_REGEX, pattern.id, message, None),
        }
        functions::MATCHES.clone_into(&mut call.func_name);
        call.args = arguments;
    }

    fn comprehension(&mut self, node: &mut IdedExpr) {
        let id = node.id;
        let Expr::Comprehension(comprehension) = &mut node.expr else {
            return;
        };
        self.rewrite(&mut comprehension.iter_range);
        if self.loops == LOOPS_MAX {
            return self.mistake(
                codes::CEL_FORM,
                id,
                format!("loops nest at most {}", times(LOOPS_MAX)),
                None,
            );
        }
        self.loops += 1;
        self.rewrite(&mut comprehension.accu_init);
        let outer = self.variables.len();
        self.variables.push(comprehension.iter_var.clone());
        self.variables.extend(comprehension.iter_var2.clone());
        self.variables.push(comprehension.accu_var.clone());
        self.rewrite(&mut comprehension.loop_cond);
        self.rewrite(&mut comprehension.loop_step);
        self.rewrite(&mut comprehension.result);
        self.variables.truncate(outer);
        self.loops -= 1;
    }

    fn mistake(&mut self, code: &'static str, id: u64, message: String, help: Option<String>) {
        let place = self.place(id);
        self.mistakes.push(Mistake { code, message, help, place });
    }

    /// The name before a call's bracket, where the parser places the call.
    fn before(&self, bracket: Range<usize>, name: &str) -> Range<usize> {
        let before = self.source[..bracket.start].trim_end();
        if before.ends_with(name) { before.len() - name.len()..before.len() } else { bracket }
    }

    fn mistake_in(
        &mut self,
        code: &'static str,
        node: &IdedExpr,
        message: String,
        help: Option<String>,
    ) {
        let place = self.place_of(node);
        self.mistakes.push(Mistake { code, message, help, place });
    }

    /// Bytes of a node and what it applies to: the parser places an index at its bracket.
    fn place_of(&self, node: &IdedExpr) -> Option<Range<usize>> {
        let below: Vec<&IdedExpr> = match &node.expr {
            Expr::Select(select) => vec![&select.operand],
            Expr::Call(call) => call.target.iter().map(AsRef::as_ref).chain(&call.args).collect(),
            Expr::Unspecified
            | Expr::Comprehension(_)
            | Expr::Ident(_)
            | Expr::List(_)
            | Expr::Literal(_)
            | Expr::Map(_)
            | Expr::Struct(_) => Vec::new(),
        };
        let places =
            below.into_iter().map(|node| node.id).chain([node.id]).filter_map(|id| self.place(id));
        let place = places.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))?;
        let Expr::Select(select) = &node.expr else {
            return Some(place);
        };
        let rest = &self.source[place.end..];
        let field = rest.find(&select.field).filter(|at| rest[..*at].trim().is_empty());
        Some(place.start..field.map_or(place.end, |at| place.end + at + select.field.len()))
    }

    /// Bytes of a node; the parser's end is the last byte of the last token, or its first.
    fn place(&self, id: u64) -> Option<Range<usize>> {
        let (start, last) = self.places.offset_for(id)?;
        let start = self.source.floor_char_boundary(start as usize);
        let end = self.source.ceil_char_boundary(last as usize + 1);
        (start <= end).then_some(start..end)
    }
}

fn times(count: usize) -> &'static str {
    if count == 2 { "twice" } else { "once" }
}

/// What stands before the name of a field.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Base {
    Row,
    New,
}

impl Base {
    fn of(name: &str) -> Option<Self> {
        match name {
            "row" => Some(Self::Row),
            "new" => Some(Self::New),
            _ => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::New => "new",
        }
    }
}

fn is_not_null(input: Expr, id: u64) -> Expr {
    let node = |expr| IdedExpr { id, expr };
    Expr::Call(CallExpr {
        func_name: operators::NOT_EQUALS.to_owned(),
        target: None,
        args: vec![node(input), node(Expr::Literal(LiteralValue::Null))],
    })
}
