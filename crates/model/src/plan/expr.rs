//! Decoding expressions: what columns, `let`s and the parts of other expressions hold.

use toml::de::DeValue;

use super::keys::{self, BASES, Shape};
use super::read::{Node, Notes, Reader, type_of};
use super::{
    Aggregate, At, Base, Expr, Fold, HashAlgorithm, Invalid, ListRule, Literal, MapOther,
    MissingRef, Span, codes,
};

/// Several named expressions; `what` is what messages call each: "column".
pub(super) fn named_exprs(reader: &Reader<'_>, name: &str, what: &str) -> Vec<(At<String>, Expr)> {
    let named = reader.named(name, Shape::NamedExprs);
    named
        .into_iter()
        .map(|(key, node)| {
            let place = format!("{what} {} of {}", reader.notes.shown(&key), reader.place);
            if key.value.is_empty() {
                reader.empty(name, key.span.clone());
            }
            let expr = of_node(reader.notes, &place, node);
            (key, expr)
        })
        .collect()
}

/// One expression or several, at least one.
pub(super) fn exprs(reader: &Reader<'_>, name: &str) -> Vec<Expr> {
    let Some(node) = reader.get(name, Shape::Exprs) else {
        return Vec::new();
    };
    let Some(items) = node.get_ref().as_array() else {
        return vec![of_node(reader.notes, &reader.place, node)];
    };
    if items.is_empty() {
        reader.empty(name, node.span());
    }
    items.iter().map(|item| of_node(reader.notes, &reader.place, item)).collect()
}

/// One expression.
pub(super) fn expr(reader: &Reader<'_>, name: &str) -> Option<Expr> {
    reader.get(name, Shape::Expr).map(|node| of_node(reader.notes, &reader.place, node))
}

/// The expression; where it is wrong, that is noted and something stands in for it, so that names
/// and numbers of parts stay what they are for the checks that follow.
fn of_node<'a>(notes: &'a Notes<'a>, place: &str, node: &'a Node<'a>) -> Expr {
    let literal = |text: &str| Some(format!("a literal is written `{{ value = {text} }}`"));
    let base = match node.get_ref() {
        DeValue::String(text) => bare(notes, place, text, node.span()),
        DeValue::Table(table) => {
            let reader = Reader::open(notes, &keys::EXPR, place.to_owned(), table, node.span());
            return of_table(&reader);
        }
        DeValue::Boolean(flag) => wrong(notes, place, node, literal(&flag.to_string())),
        DeValue::Integer(number) => wrong(notes, place, node, literal(&number.to_string())),
        DeValue::Float(number) => wrong(notes, place, node, literal(&number.to_string())),
        DeValue::Datetime(time) => wrong(notes, place, node, literal(&format!("\"{time}\""))),
        DeValue::Array(_) => {
            let help =
                "the first that is not NULL is `{ first = […] }`, all of them `{ concat = […] }`"
                    .to_owned();
            wrong(notes, place, node, Some(help))
        }
    };
    Expr::new(base.unwrap_or(STAND_IN), node.span())
}

/// What stands for a base that was wrong; a plan with it is never handed out.
const STAND_IN: Base = Base::Value(Literal::Bool(false));

/// A bare text names a field.
fn bare<'a>(notes: &'a Notes<'a>, place: &str, text: &str, span: Span) -> Option<Base> {
    let field = notes.expand(text, span.clone())?;
    if field.value.is_empty() {
        let help = "an empty text is written `{ value = \"\" }`".to_owned();
        notes.error(codes::EMPTY, span, format!("{place} names no field"), Some(help));
        return None;
    }
    check_field(notes, &field);
    Some(Base::Field(field))
}

fn wrong(notes: &Notes<'_>, place: &str, node: &Node<'_>, help: Option<String>) -> Option<Base> {
    let message = format!("{place} must be a field or a table, not {}", type_of(node.get_ref()));
    notes.error(codes::WRONG_TYPE, node.span(), message, help);
    None
}

/// A field that begins with `/` is a JSON Pointer.
fn check_field(notes: &Notes<'_>, field: &At<String>) {
    if field.value.starts_with('/') {
        check_pointer(notes, field);
    }
}

/// Notes a text that is no JSON Pointer (RFC 6901).
pub(super) fn check_pointer(notes: &Notes<'_>, pointer: &At<String>) {
    let escapes_right = pointer.value.split('~').skip(1).all(|after| after.starts_with(['0', '1']));
    if pointer.value.starts_with('/') && escapes_right {
        return;
    }
    let message = format!("{} is not a JSON Pointer", notes.shown(pointer));
    let help = if escapes_right {
        "it begins with `/`"
    } else {
        "`~` is written `~0`, and `/` in a name `~1`"
    };
    notes.error(codes::POINTER, pointer.span.clone(), message, Some(help.to_owned()));
}

fn of_table(reader: &Reader<'_>) -> Expr {
    let read = Expr {
        base: base(reader).unwrap_or(STAND_IN),
        null: reader.markers("null").unwrap_or_default(),
        trim: reader.bool("trim").unwrap_or(false),
        lower: reader.bool("lower").unwrap_or(false),
        newlines: reader.bool("newlines").unwrap_or(false),
        strip_prefix: reader.text("strip_prefix").map(|text| text.value),
        strip_suffix: reader.text("strip_suffix").map(|text| text.value),
        map: reader.text("map"),
        map_other: reader.word("map_other", MAP_OTHER).unwrap_or(MapOther::Reject),
        list: list(reader),
        matches: reader.text("matches"),
        max_chars: reader.count("max_chars", 0),
        kind: reader.kind("type"),
        timestamp: reader.timestamps("timestamp"),
        start: expr(reader, "start").map(Box::new),
        timezone: reader.text("timezone"),
        fold: reader.word("fold", FOLD).unwrap_or(Fold::Reject),
        default: reader.literal("default"),
        invalid: reader.word("invalid", INVALID).unwrap_or(Invalid::Reject),
        round: reader.bool("round").unwrap_or(false),
        span: reader.span.clone(),
    };
    if read.invalid == Invalid::Default && !reader.has("default") {
        let message = format!("`invalid = \"default\"` in {} without a `default`", reader.place);
        reader.notes.error(codes::NEEDS, reader.span.clone(), message, None);
    }
    read
}

const MAP_OTHER: &[(&str, MapOther)] =
    &[("reject", MapOther::Reject), ("keep", MapOther::Keep), ("null", MapOther::Null)];

const FOLD: &[(&str, Fold)] =
    &[("reject", Fold::Reject), ("earlier", Fold::Earlier), ("later", Fold::Later)];

const INVALID: &[(&str, Invalid)] =
    &[("reject", Invalid::Reject), ("null", Invalid::Null), ("default", Invalid::Default)];

/// The one key that says where the value comes from.
fn base(reader: &Reader<'_>) -> Option<Base> {
    match reader.present(BASES).as_slice() {
        [] if reader.has_or_means(BASES) => None,
        [] => {
            let message = format!("{} does not say where its value comes from", reader.place);
            let help =
                "name a field with `from`, a literal with `value`, or another base".to_owned();
            reader.notes.error(codes::BASE, reader.span.clone(), message, Some(help));
            None
        }
        [(word, _)] => of_base(reader, word),
        [(first, _), (second, span), ..] => {
            let message = format!(
                "{} says twice where its value comes from: `{first}` and `{second}`",
                reader.place
            );
            let help =
                "keep one; `first = […]` takes the first of several that is not NULL".to_owned();
            reader.notes.error(codes::BASE, span.clone(), message, Some(help));
            None
        }
    }
}

fn of_base(reader: &Reader<'_>, word: &str) -> Option<Base> {
    let base = match word {
        "from" => Base::Field(field(reader, "from")?),
        "fact" => Base::Fact(reader.fact("fact")?),
        "value" => Base::Value(reader.literal("value")?),
        "first" => Base::First(exprs(reader, "first")),
        "concat" => {
            let separator =
                reader.text_or_empty("separator").map(|text| text.value).unwrap_or_default();
            Base::Concat { parts: exprs(reader, "concat"), separator }
        }
        "split" => split(reader)?,
        "uuid5" => Base::Uuid5(exprs(reader, "uuid5")),
        "ref" => reference(reader)?,
        "cel" => Base::Cel(reader.text("cel")?),
        "by_source" => Base::BySource(named_exprs(reader, "by_source", "source")),
        "hash" => hash(reader)?,
        "object" => Base::Object(named_exprs(reader, "object", "member")),
        "canonical_json" => Base::JsonChecksum(Box::new(expr(reader, "canonical_json")?)),
        aggregate => self::aggregate(reader, aggregate)?,
    };
    Some(base)
}

fn field(reader: &Reader<'_>, name: &str) -> Option<At<String>> {
    let field = reader.text(name)?;
    check_field(reader.notes, &field);
    Some(field)
}

fn aggregate(reader: &Reader<'_>, word: &str) -> Option<Base> {
    let of = AGGREGATES.iter().find(|of| of.name() == word)?;
    let field = match of {
        Aggregate::Count => {
            reader.only_true("count").then_some(())?;
            None
        }
        Aggregate::Last | Aggregate::FirstOf | Aggregate::Min | Aggregate::Max | Aggregate::Sum => {
            Some(field(reader, word)?)
        }
    };
    Some(Base::Aggregate { of: *of, field })
}

const AGGREGATES: &[Aggregate] = &[
    Aggregate::Last,
    Aggregate::FirstOf,
    Aggregate::Count,
    Aggregate::Min,
    Aggregate::Max,
    Aggregate::Sum,
];

fn split(reader: &Reader<'_>) -> Option<Base> {
    let of = expr(reader, "split");
    let by = separator(reader);
    let part = reader.integer("part");
    if let Some(part) = part.as_ref().filter(|part| part.value == 0) {
        let message = "parts are counted from 1, or from the end with -1".to_owned();
        reader.notes.error(codes::OUT_OF_RANGE, part.span.clone(), message, None);
    }
    for name in ["by", "part"].into_iter().filter(|name| !reader.has_or_means(&[name])) {
        without(reader, "split", name, "by = \",\", part = 1");
    }
    Some(Base::Split { of: Box::new(of?), by: by?, part: part?.value })
}

/// `by` beside `split` is a text.
fn separator(reader: &Reader<'_>) -> Option<String> {
    let node = reader.get("by", Shape::Exprs)?;
    let DeValue::String(text) = node.get_ref() else {
        let message =
            format!("`by` must be a text beside `split`, not {}", type_of(node.get_ref()));
        reader.notes.error(codes::WRONG_TYPE, node.span(), message, None);
        return None;
    };
    let text = reader.notes.expand(text, node.span())?;
    if text.value.is_empty() {
        reader.empty("by", node.span());
    }
    Some(text.value)
}

fn without(reader: &Reader<'_>, base: &str, name: &str, example: &str) {
    let message = format!("`{name}` is missing in {} beside `{base}`", reader.place);
    reader.notes.error(
        codes::MISSING,
        reader.span.clone(),
        message,
        Some(format!("for example `{example}`")),
    );
}

fn reference(reader: &Reader<'_>) -> Option<Base> {
    let table = reader.text("ref");
    let by = exprs(reader, "by");
    if !reader.has_or_means(&["by"]) {
        without(reader, "ref", "by", "by = { fact = \"file.name\" }");
    }
    let missing = reader.word("missing", MISSING_REF).unwrap_or(MissingRef::Reject);
    Some(Base::Ref { table: table?, by, missing })
}

const MISSING_REF: &[(&str, MissingRef)] =
    &[("reject", MissingRef::Reject), ("null", MissingRef::Null)];

fn hash(reader: &Reader<'_>) -> Option<Base> {
    let algorithm = reader.word("hash", HASHES);
    let parts = exprs(reader, "of");
    if !reader.has_or_means(&["of"]) {
        without(reader, "hash", "of", "of = [\"content\"]");
    }
    Some(Base::Hash { algorithm: algorithm?, parts })
}

const HASHES: &[(&str, HashAlgorithm)] =
    &[("sha256", HashAlgorithm::Sha256), ("blake3", HashAlgorithm::Blake3)];

fn list(reader: &Reader<'_>) -> Option<ListRule> {
    let place = format!("`list` in {}", reader.place);
    let reader = reader.one("list", &keys::LIST, place)?;
    let split = reader.texts("split").into_iter().map(|text| text.value).collect();
    Some(ListRule { split, unique: reader.bool("unique").unwrap_or(false) })
}

impl Expr {
    /// An expression that takes the value as it is.
    pub fn new(base: Base, span: Span) -> Self {
        Self {
            base,
            null: Vec::new(),
            trim: false,
            lower: false,
            newlines: false,
            strip_prefix: None,
            strip_suffix: None,
            map: None,
            map_other: MapOther::Reject,
            list: None,
            matches: None,
            max_chars: None,
            kind: None,
            timestamp: Vec::new(),
            start: None,
            timezone: None,
            fold: Fold::Reject,
            default: None,
            invalid: Invalid::Reject,
            round: false,
            span,
        }
    }

    /// The expressions this one is made from, in the order they are written.
    pub fn parts(&self) -> Vec<&Expr> {
        let mut parts: Vec<&Expr> = match &self.base {
            Base::First(parts)
            | Base::Concat { parts, .. }
            | Base::Uuid5(parts)
            | Base::Hash { parts, .. } => parts.iter().collect(),
            Base::Ref { by, .. } => by.iter().collect(),
            Base::Split { of, .. } | Base::JsonChecksum(of) => vec![of.as_ref()],
            Base::BySource(named) | Base::Object(named) => {
                named.iter().map(|(_, expr)| expr).collect()
            }
            Base::Field(_)
            | Base::Fact(_)
            | Base::Value(_)
            | Base::Cel(_)
            | Base::Aggregate { .. } => Vec::new(),
        };
        parts.extend(self.start.as_deref());
        parts
    }

    /// Calls `visit` for this expression and every one below it.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Expr)) {
        visit(self);
        for part in self.parts() {
            part.walk(visit);
        }
    }
}
