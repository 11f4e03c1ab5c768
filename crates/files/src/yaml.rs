//! YAML 1.2 as the tree of [`whimbrel_model::json`], with every scalar as it was written.
//!
//! The parser's events are taken instead of a deserializer's values, because a deserializer has
//! already decided: `2024-01-01`, `yes`, `007`, `1_000` and `True` reach it as something else than
//! their text. Here a plain scalar is a boolean or a number only if JSON would write it exactly so,
//! and NULL if it is empty, `~` or `null` in one of YAML's three spellings; everything else is text.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use whimbrel_model::json::{DEPTH_DEFAULT, Json, Number};

/// Bytes of text that a document may become once its aliases are expanded.
pub const EXPANDED_MAX: usize = 1 << 20;

/// Why a text is no usable YAML document.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct YamlError {
    /// Which kind.
    pub kind: YamlFault,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// In words, bounded.
    pub reason: String,
}

/// Kinds of [`YamlError`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum YamlFault {
    /// Not YAML.
    Syntax,
    /// A mapping names a key twice.
    DuplicateKey,
    /// YAML, but nothing that rows can be made of: keys that are no scalars, unknown tags, merge
    /// keys, several documents, too deep or too large.
    Shape,
}

/// Reads one document; an empty text is NULL.
pub fn parse(text: &str) -> Result<Json<'static>, YamlError> {
    let mut tree = Tree { expanded_left: EXPANDED_MAX.max(4 * text.len()), ..Tree::default() };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| syntax(&error))?;
        tree.take(event, &span)?;
    }
    Ok(tree.root.unwrap_or(Json::Null))
}

fn syntax(error: &granit_parser::ScanError) -> YamlError {
    let marker = error.marker();
    let reason: String = error.info().chars().take(200).collect();
    let kind =
        if reason.contains("duplicate") { YamlFault::DuplicateKey } else { YamlFault::Syntax };
    YamlError { kind, line: marker.line() as u64, column: marker.col() as u64 + 1, reason }
}

fn fault(kind: YamlFault, span: &Span, reason: impl Into<String>) -> YamlError {
    let (line, column) = (span.start.line() as u64, span.start.col() as u64 + 1);
    YamlError { kind, line, column, reason: reason.into() }
}

#[derive(Default)]
struct Tree {
    open: Vec<Node>,
    root: Option<Json<'static>>,
    documents: usize,
    anchors: BTreeMap<usize, (Json<'static>, usize)>,
    expanded_left: usize,
}

struct Node {
    anchor: usize,
    /// Bytes it became so far.
    weight: usize,
    kind: NodeKind,
}

enum NodeKind {
    Sequence(Vec<Json<'static>>),
    Mapping {
        members: Vec<(Cow<'static, str>, Json<'static>)>,
        names: BTreeSet<String>,
        key: Option<String>,
    },
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(fault(YamlFault::Shape, span, "a second document"));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref(), span)?;
                let is_key = matches!(
                    self.open.last(),
                    Some(Node { kind: NodeKind::Mapping { key: None, .. }, .. })
                );
                if is_key {
                    return self.key(text.into_owned(), style, anchor, span);
                }
                self.put(value, text.len() + 1, anchor, span)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                let Some(weight) = known.map(|(_, weight)| *weight) else {
                    return Err(fault(YamlFault::Shape, span, "an alias to itself"));
                };
                self.spend(weight, span)?;
                // Cloned only now that it is known to fit.
                let value = self.anchors.get(&anchor).map_or(Json::Null, |known| known.0.clone());
                self.put(value, weight, 0, span)
            }
            Event::SequenceStart(_, anchor, tag) => {
                known_tag(tag.as_deref(), "seq", span)?;
                self.open(NodeKind::Sequence(Vec::new()), anchor, span)
            }
            Event::MappingStart(_, anchor, tag) => {
                known_tag(tag.as_deref(), "map", span)?;
                let (members, names) = (Vec::new(), BTreeSet::new());
                self.open(NodeKind::Mapping { members, names, key: None }, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            // Stream and document borders say nothing more.
            _ => Ok(()),
        }
    }

    fn spend(&mut self, weight: usize, span: &Span) -> Result<(), YamlError> {
        self.expanded_left = self.expanded_left.checked_sub(weight).ok_or_else(|| {
            fault(
                YamlFault::Shape,
                span,
                format!("aliases expand to more than {EXPANDED_MAX} bytes"),
            )
        })?;
        Ok(())
    }

    fn open(&mut self, kind: NodeKind, anchor: usize, span: &Span) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH_DEFAULT {
            return Err(fault(
                YamlFault::Shape,
                span,
                format!("deeper than {DEPTH_DEFAULT} levels"),
            ));
        }
        if matches!(self.open.last(), Some(Node { kind: NodeKind::Mapping { key: None, .. }, .. }))
        {
            return Err(fault(YamlFault::Shape, span, "a key that is no scalar"));
        }
        self.open.push(Node { anchor, weight: 2, kind });
        Ok(())
    }

    fn close(&mut self, span: &Span) -> Result<(), YamlError> {
        let node = self.open.pop().expect("ends match starts");
        let value = match node.kind {
            NodeKind::Sequence(items) => Json::Array(items),
            NodeKind::Mapping { members, .. } => Json::Object(members),
        };
        self.put(value, node.weight, node.anchor, span)
    }

    fn key(
        &mut self,
        text: String,
        style: ScalarStyle,
        anchor: usize,
        span: &Span,
    ) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchors.insert(anchor, (Json::String(Cow::Owned(text.clone())), text.len() + 1));
        }
        if text == "<<" && style == ScalarStyle::Plain {
            return Err(fault(YamlFault::Shape, span, "merge keys (`<<`) are not supported"));
        }
        let Some(Node { kind: NodeKind::Mapping { names, key, .. }, weight, .. }) =
            self.open.last_mut()
        else {
            return Ok(());
        };
        if !names.insert(text.clone()) {
            let bounded: String = text.chars().take(100).collect();
            let shown = crate::discovery::escape(bounded.as_bytes());
            return Err(fault(YamlFault::DuplicateKey, span, format!("`{shown}` stands twice")));
        }
        *weight += text.len() + 1;
        *key = Some(text);
        Ok(())
    }

    fn put(
        &mut self,
        value: Json<'static>,
        weight: usize,
        anchor: usize,
        span: &Span,
    ) -> Result<(), YamlError> {
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), weight));
        }
        let Some(node) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        node.weight += weight;
        match &mut node.kind {
            NodeKind::Sequence(items) => items.push(value),
            NodeKind::Mapping { members, key, .. } => match key.take() {
                Some(key) => members.push((Cow::Owned(key), value)),
                None => return Err(fault(YamlFault::Shape, span, "an alias as a key")),
            },
        }
        Ok(())
    }
}

fn known_tag(tag: Option<&Tag>, own: &str, span: &Span) -> Result<(), YamlError> {
    match tag.map(Tag::core_suffix) {
        None => Ok(()),
        Some(Some(suffix)) if suffix == own => Ok(()),
        Some(_) => Err(fault(YamlFault::Shape, span, "an unknown tag")),
    }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    span: &Span,
) -> Result<Json<'static>, YamlError> {
    let string = || Json::String(Cow::Owned(text.to_owned()));
    match tag.map(Tag::core_suffix) {
        None if style == ScalarStyle::Plain => Ok(plain(text)),
        None | Some(Some("str")) => Ok(string()),
        Some(Some("null" | "bool" | "int" | "float")) => Ok(plain(text)),
        Some(_) => Err(fault(YamlFault::Shape, span, "an unknown tag")),
    }
}

fn plain(text: &str) -> Json<'static> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" => Json::Bool(true),
        "false" => Json::Bool(false),
        _ => match Number::parse(text) {
            Ok(number) => Json::Number(number.into_owned()),
            Err(_) => Json::String(Cow::Owned(text.to_owned())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: &str) {
        let shown = match parse(text) {
            Ok(json) => json.to_text(),
            Err(error) => format!("{:?} {error}", error.kind),
        };
        assert_eq!(shown, expect, "{text}");
    }

    #[test]
    fn scalars_keep_their_text_unless_json_writes_them_so() {
        check(
            "a: 2024-01-01\nb: yes\nc: True\nd: true\ne: 007\nf: 42\ng: 1.10\nh: 1_000\ni: 0x1F\nj: .5\nk: .nan",
            r#"{"a":"2024-01-01","b":"yes","c":"True","d":true,"e":"007","f":42,"g":1.10,"h":"1_000","i":"0x1F","j":".5","k":".nan"}"#,
        );
        check(
            "a: '42'\nb: \"true\"\nc: !!str 42\nd: !!int '42'",
            r#"{"a":"42","b":"true","c":"42","d":42}"#,
        );
        check(
            "a:\nb: ~\nc: null\nd: ''\ne: NULL",
            r#"{"a":null,"b":null,"c":null,"d":"","e":null}"#,
        );
        check("a: 9007199254740993\nb: 1e5", r#"{"a":9007199254740993,"b":1e5}"#);
    }

    #[test]
    fn keys_are_text() {
        check("1: a\ntrue: b\n2024-01-01: c", r#"{"1":"a","true":"b","2024-01-01":"c"}"#);
    }

    #[test]
    fn nesting_flow_and_block_text_are_kept() {
        check(
            "a: [1, x, {b: c}]\nd:\n  - e\n  - f: |\n      g\n      h\n",
            r#"{"a":[1,"x",{"b":"c"}],"d":["e",{"f":"g\nh\n"}]}"#,
        );
    }

    #[test]
    fn an_empty_document_is_null() {
        check("", "null");
        check("# nothing\n", "null");
    }

    #[test]
    fn what_is_not_yaml_says_where() {
        check("a: b: c", "Syntax line 1, column 5: mapping values are not allowed in this context");
        assert_eq!(parse("x: 1\n\ty: [").unwrap_err().kind, YamlFault::Syntax);
    }

    #[test]
    fn duplicate_keys_are_refused_with_their_place() {
        check("a: 1\nb: 2\na: 3", "DuplicateKey line 3, column 1: `a` stands twice");
        check("x: {a: 1, a: 2}", "DuplicateKey line 1, column 11: `a` stands twice");
    }

    #[test]
    fn aliases_are_expanded_within_bounds() {
        check("a: &x [1, 2]\nb: *x", r#"{"a":[1,2],"b":[1,2]}"#);
        let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for n in 1..12 {
            let before = format!("*a{}", n - 1);
            bomb.push_str(&(format!("a{n}: &a{n} [{}]", vec![before; 9].join(", ")) + "\n"));
        }
        assert_eq!(parse(&bomb).unwrap_err().kind, YamlFault::Shape);
    }

    #[test]
    fn what_rows_cannot_be_made_of_is_refused() {
        for text in
            ["? [a]\n: b", "<<: {a: b}", "a: !color red", "a: b\n---\nc: d", "a: &x b\n*x : c"]
        {
            assert_eq!(parse(text).unwrap_err().kind, YamlFault::Shape, "{text}");
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(parse(&deep).is_err());
        assert!(parse(&"[".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a:\\[\\]{},&*!|>'\"# \n\t?<0.~]{0,60}") {
            let _ = parse(&text);
        }
    }
}
