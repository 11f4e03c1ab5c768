//! The JSON Schema of a plan, for editors, from the table of keys.

use std::fmt::Write as _;

use super::keys::{EXPR, Key, ROOT, SECTIONS, Section, Shape};
use super::{Fact, Kind, Plan, TIMESTAMP_NAMES};

impl Plan {
    /// The JSON Schema (draft 2020-12) of plans.
    ///
    /// It says less than [`super::decode`]: names of sources, maps and columns are not in it.
    pub fn json_schema() -> String {
        let mut schema = Json::object();
        schema.add("$schema", Json::text("https://json-schema.org/draft/2020-12/schema"));
        schema.add("title", Json::text("Whimbrel plan"));
        schema.members(of_section(&ROOT));
        let mut defs = Json::object();
        defs.add("expr", expr());
        for section in SECTIONS.iter().filter(|section| **section != &ROOT) {
            defs.add(&def_name(section), of_section(section));
        }
        schema.add("$defs", defs);
        let mut out = String::new();
        schema.write(&mut out, 0);
        out.push('\n');
        out
    }
}

/// JSON to be written: enough for a schema.
enum Json {
    Raw(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn object() -> Self {
        Self::Object(Vec::new())
    }

    fn text(text: &str) -> Self {
        let mut out = String::from("\"");
        for c in text.chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                c => out.push(c),
            }
        }
        out.push('"');
        Self::Raw(out)
    }

    fn raw(value: &impl ToString) -> Self {
        Self::Raw(value.to_string())
    }

    fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::Array(texts.into_iter().map(Self::text).collect())
    }

    fn add(&mut self, name: &str, value: Self) {
        if let Self::Object(members) = self {
            members.push((name.to_owned(), value));
        }
    }

    /// This object with one more member.
    fn with(mut self, name: &str, value: Self) -> Self {
        self.add(name, value);
        self
    }

    /// Takes over the members of another object.
    fn members(&mut self, other: Self) {
        if let (Self::Object(own), Self::Object(others)) = (self, other) {
            own.extend(others);
        }
    }

    fn write(&self, out: &mut String, depth: usize) {
        match self {
            Self::Raw(raw) => out.push_str(raw),
            Self::Array(items) if items.iter().all(|item| matches!(item, Self::Raw(_))) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    out.push_str(if index == 0 { "" } else { ", " });
                    item.write(out, depth);
                }
                out.push(']');
            }
            Self::Array(items) => between(out, depth, ('[', ']'), items, |out, item, depth| {
                item.write(out, depth);
            }),
            Self::Object(members) => {
                between(out, depth, ('{', '}'), members, |out, (name, value), depth| {
                    Self::text(name).write(out, depth);
                    out.push_str(": ");
                    value.write(out, depth);
                });
            }
        }
    }
}

/// Items, each on its line.
fn between<T>(
    out: &mut String,
    depth: usize,
    (open, close): (char, char),
    items: &[T],
    write: impl Fn(&mut String, &T, usize),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        let _ = write!(out, "{}\n{}", if index == 0 { "" } else { "," }, "  ".repeat(depth + 1));
        write(out, item, depth + 1);
    }
    let _ = write!(out, "\n{}{close}", "  ".repeat(depth));
}

fn def_name(section: &Section) -> String {
    let words: Vec<&str> = section
        .title
        .split(|c: char| !c.is_ascii_alphabetic())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("_").to_lowercase()
}

fn reference(name: &str) -> Json {
    Json::object().with("$ref", Json::text(&format!("#/$defs/{name}")))
}

/// A bare text, or the table of [`EXPR`].
fn expr() -> Json {
    let table = reference(&def_name(&EXPR));
    any_of(vec![text().with("minLength", Json::raw(&1)), table])
}

fn of_section(section: &Section) -> Json {
    let mut properties = Json::object();
    for key in section.keys {
        properties.add(key.name, of_key(key));
    }
    let mut out = Json::object()
        .with("description", Json::text(section.doc))
        .with("type", Json::text("object"))
        .with("properties", properties)
        .with("additionalProperties", Json::raw(&false));
    let required: Vec<&str> =
        section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    if !required.is_empty() {
        out.add("required", Json::texts(required));
    }
    if !section.one_of.is_empty() {
        out.add("oneOf", Json::Array(section.one_of.iter().map(|name| requires(name)).collect()));
    }
    let mut dependent = Json::object();
    for key in section.keys.iter().filter(|key| !key.needs.is_empty()) {
        let needed = key.needs.iter().map(|name| requires(name)).collect();
        dependent.add(key.name, any_of(needed));
    }
    if matches!(&dependent, Json::Object(members) if !members.is_empty()) {
        out.add("dependentSchemas", dependent);
    }
    out
}

fn requires(name: &str) -> Json {
    Json::object().with("required", Json::texts([name]))
}

fn of_key(key: &Key) -> Json {
    let mut out = Json::object().with("description", Json::text(&description(key)));
    out.members(of_shape(key.shape));
    out
}

fn description(key: &Key) -> String {
    match key.default {
        "" => key.doc.to_owned(),
        default => format!("{} Default: {default}.", key.doc),
    }
}

fn of_shape(shape: Shape) -> Json {
    match shape {
        Shape::Bool => typed("boolean"),
        Shape::True => Json::object().with("const", Json::raw(&true)),
        Shape::Count(least) => typed("integer").with("minimum", Json::raw(&least)),
        Shape::Integer => typed("integer"),
        Shape::Text
        | Shape::Uuid
        | Shape::Duration
        | Shape::Rate
        | Shape::Clock
        | Shape::Byte { .. } => text(),
        Shape::Each => text(),
        Shape::Texts => any_of(vec![text(), list(text()).with("minItems", Json::raw(&1))]),
        Shape::TextList => list(text()),
        Shape::Word(words) => words_or_variable(words),
        Shape::Size | Shape::Budget => {
            any_of(vec![typed("integer").with("minimum", Json::raw(&0)), text()])
        }
        Shape::Literal => literal(),
        // Kinds with arguments are a pattern, so the list is a suggestion.
        Shape::Kind => any_of(vec![
            Json::object().with("enum", Json::texts(Kind::NAMES.iter().copied())),
            text(),
        ]),
        Shape::Fact => {
            let names: Vec<&str> = Fact::ALL.iter().map(|(name, _)| *name).collect();
            words_or_variable(&names)
        }
        Shape::Timestamps => {
            any_of(vec![timestamp(), list(timestamp()).with("minItems", Json::raw(&1))])
        }
        Shape::Expr => reference("expr"),
        Shape::Exprs => {
            any_of(vec![reference("expr"), list(reference("expr")).with("minItems", Json::raw(&1))])
        }
        Shape::NamedExprs => named(reference("expr")),
        Shape::Pairs => named(literal()),
        Shape::One(section) => reference(&def_name(section)),
        Shape::Many(section) => list(reference(&def_name(section))).with("minItems", Json::raw(&1)),
        Shape::Named(section) => named(reference(&def_name(section))),
        Shape::NamedPairs => named(named(literal())),
        Shape::Sql(section) => any_of(vec![text(), reference(&def_name(section))]),
    }
}

fn typed(name: &str) -> Json {
    Json::object().with("type", Json::text(name))
}

fn text() -> Json {
    typed("string")
}

fn list(items: Json) -> Json {
    typed("array").with("items", items)
}

fn named(values: Json) -> Json {
    typed("object").with("additionalProperties", values).with("minProperties", Json::raw(&1))
}

fn any_of(schemas: Vec<Json>) -> Json {
    Json::object().with("anyOf", Json::Array(schemas))
}

fn literal() -> Json {
    Json::object().with("type", Json::texts(["string", "number", "boolean"]))
}

/// One of the words, or a text with a variable in it.
fn words_or_variable(words: &[&str]) -> Json {
    let listed = Json::object().with("enum", Json::texts(words.iter().copied()));
    any_of(vec![listed, text().with("pattern", Json::text(r"\$\{"))])
}

fn timestamp() -> Json {
    let names =
        Json::object().with("enum", Json::texts(TIMESTAMP_NAMES.iter().map(|(name, _)| *name)));
    any_of(vec![names, text().with("pattern", Json::text(r"%|\$\{"))])
}
