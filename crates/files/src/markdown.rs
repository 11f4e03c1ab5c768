//! Markdown with front matter: keys, the text after it, and its first heading.
//!
//! ```text
//! ---                 first line, exactly: YAML follows (`+++`: TOML)
//! title: a --- b      `---` inside a value ends nothing
//! ---                 first line that is exactly `---` or `...` (`+++` for TOML)
//! body …              everything after that line's end, nothing stripped
//! ```
//! A file whose first line is something else has no front matter.

use std::borrow::Cow;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use whimbrel_model::Defect;
use whimbrel_model::json::{Json, Number};

use crate::codes;
use crate::yaml::{self, YamlFault};

/// A document taken apart.
#[derive(Clone, PartialEq, Debug)]
pub struct Document<'a> {
    /// The front matter's members in order; empty where there is none.
    pub front: Vec<(Cow<'static, str>, Json<'static>)>,
    /// Everything after the front matter.
    pub body: &'a str,
}

/// Takes a document apart. The defect's line stands in its message.
pub fn parse(text: &str) -> Result<Document<'_>, Defect> {
    match split(text)? {
        Split::None => Ok(Document { front: Vec::new(), body: text }),
        Split::Yaml { front, body } => Ok(Document { front: yaml_members(front)?, body }),
        Split::Toml { front, body } => Ok(Document { front: toml_members(front)?, body }),
    }
}

/// Text of the first heading that is not empty, ATX or Setext, without its markup.
pub fn heading(body: &str) -> Option<String> {
    let mut text = String::new();
    let mut inside = false;
    for event in Parser::new(body) {
        match event {
            Event::Start(Tag::Heading { .. }) => inside = true,
            Event::End(TagEnd::Heading(_)) => {
                if !text.trim().is_empty() {
                    return Some(text.trim().to_owned());
                }
                text.clear();
                inside = false;
            }
            Event::Text(part) | Event::Code(part) | Event::InlineHtml(part) if inside => {
                text.push_str(&part);
            }
            Event::SoftBreak | Event::HardBreak if inside => text.push(' '),
            _ => {}
        }
    }
    None
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Split<'a> {
    None,
    Yaml { front: &'a str, body: &'a str },
    Toml { front: &'a str, body: &'a str },
}

fn split(text: &str) -> Result<Split<'_>, Defect> {
    let (first, rest) = first_line(text);
    let ends: &[&str] = match first {
        "---" => &["---", "..."],
        "+++" => &["+++"],
        _ => return Ok(Split::None),
    };
    let mut at = 0;
    while at < rest.len() {
        let (line, after) = first_line(&rest[at..]);
        if ends.contains(&line) {
            let (front, body) = (&rest[..at], after);
            return Ok(match first {
                "---" => Split::Yaml { front, body },
                _ => Split::Toml { front, body },
            });
        }
        at = rest.len() - after.len();
    }
    let message = format!("the front matter that line 1 begins with `{first}` has no end");
    Err(Defect { code: codes::FRONT_MATTER_OPEN, column: 1, message })
}

/// A line without its end (LF or CR LF), and what follows.
fn first_line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.strip_suffix('\r').unwrap_or(line), rest)
}

fn yaml_members(front: &str) -> Result<Vec<(Cow<'static, str>, Json<'static>)>, Defect> {
    match yaml::parse(front) {
        Ok(Json::Object(members)) => {
            let named = members.iter().any(|(name, _)| name == "body");
            if named { Err(takes_body()) } else { Ok(members) }
        }
        Ok(Json::Null) => Ok(Vec::new()),
        Ok(other) => {
            let message =
                format!("the front matter is a YAML {}, not a mapping", other.type_name());
            Err(Defect { code: codes::FRONT_MATTER_SHAPE, column: 0, message })
        }
        Err(error) => Err(Defect {
            code: match error.kind {
                YamlFault::Syntax => codes::BAD_YAML,
                YamlFault::DuplicateKey => codes::DUPLICATE_KEY,
                YamlFault::Shape => codes::FRONT_MATTER_SHAPE,
            },
            column: error.column,
            message: format!("{}, on line {}", error.reason, error.line + 1),
        }),
    }
}

fn takes_body() -> Defect {
    let message = "the front matter names `body`, which is the text after it".to_owned();
    Defect { code: codes::FRONT_MATTER_SHAPE, column: 0, message }
}

fn toml_members(front: &str) -> Result<Vec<(Cow<'static, str>, Json<'static>)>, Defect> {
    let table = toml::de::DeTable::parse(front).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(front.len()));
        let line = front[..front.floor_char_boundary(at)].matches('\n').count() + 2;
        let reason: String = error.message().chars().take(200).collect();
        let column = crate::input::column(front.as_bytes(), at);
        Defect { code: codes::BAD_TOML, column, message: format!("{reason}, on line {line}") }
    })?;
    let members = toml_table(table.into_inner());
    let named = members.iter().any(|(name, _)| name == "body");
    if named { Err(takes_body()) } else { Ok(members) }
}

fn toml_table(table: toml::de::DeTable<'_>) -> Vec<(Cow<'static, str>, Json<'static>)> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .map(|(key, value)| {
            (Cow::Owned(key.into_inner().into_owned()), toml_value(value.into_inner()))
        })
        .collect()
}

fn toml_value(value: toml::de::DeValue<'_>) -> Json<'static> {
    use toml::de::DeValue;
    match value {
        DeValue::String(text) => Json::String(Cow::Owned(text.into_owned())),
        DeValue::Boolean(value) => Json::Bool(value),
        DeValue::Datetime(value) => Json::String(Cow::Owned(value.to_string())),
        DeValue::Float(value) => number(value.as_str()),
        DeValue::Integer(value) => match i128::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => Json::Number(Number::from(number)),
            Err(_) => number(value.as_str()),
        },
        DeValue::Array(items) => {
            Json::Array(items.into_iter().map(|item| toml_value(item.into_inner())).collect())
        }
        DeValue::Table(table) => Json::Object(toml_table(table)),
    }
}

/// `+1.5` is the number 1.5; `inf` and `nan` are no JSON numbers and stay text.
fn number(text: &str) -> Json<'static> {
    match Number::parse(text.strip_prefix('+').unwrap_or(text)) {
        Ok(number) => Json::Number(number.into_owned()),
        Err(_) => Json::String(Cow::Owned(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(text: &str, expect: &Expect) {
        let shown = match parse(text) {
            Ok(Document { front, body }) => {
                let heading = heading(body);
                format!("{}\nbody {body:?}\nheading {heading:?}\n", Json::Object(front).to_text())
            }
            Err(defect) => format!("{} col {}: {}\n", defect.code, defect.column, defect.message),
        };
        expect.assert_eq(&shown);
    }

    #[test]
    fn front_matter_and_body_are_taken_apart_without_stripping() {
        check(
            "---\ntitle: T\ntags: [a, b]\n---\n\n# H\ntext\n",
            &expect![[r#"
            {"title":"T","tags":["a","b"]}
            body "\n# H\ntext\n"
            heading Some("H")
        "#]],
        );
        check(
            "---\r\ntitle: T\r\n---\r\nbody\r\n",
            &expect![[r#"
            {"title":"T"}
            body "body\r\n"
            heading None
        "#]],
        );
        check(
            "---\ntitle: T\n...\nbody",
            &expect![[r#"
            {"title":"T"}
            body "body"
            heading None
        "#]],
        );
        check(
            "---\n---\nbody",
            &expect![[r#"
            {}
            body "body"
            heading None
        "#]],
        );
        check(
            "---\ntitle: T\n---",
            &expect![[r#"
            {"title":"T"}
            body ""
            heading None
        "#]],
        );
    }

    #[test]
    fn three_dashes_inside_values_end_nothing() {
        check(
            "---\ntitle: a --- b\nlong: |\n  x\n  ---\n  y\n---\nbody --- body\n---\n",
            &expect![[r#"
            {"title":"a --- b","long":"x\n---\ny\n"}
            body "body --- body\n---\n"
            heading Some("body --- body")
        "#]],
        );
    }

    #[test]
    fn without_front_matter_everything_is_body() {
        check(
            "# T\n---\nx\n",
            &expect![[r##"
            {}
            body "# T\n---\nx\n"
            heading Some("T")
        "##]],
        );
        check(
            "--- \ntitle: T\n---\n",
            &expect![[r#"
            {}
            body "--- \ntitle: T\n---\n"
            heading Some("title: T")
        "#]],
        );
        check(
            "",
            &expect![[r#"
            {}
            body ""
            heading None
        "#]],
        );
    }

    #[test]
    fn front_matter_without_end_is_a_defect() {
        check(
            "---\ntitle: T\n\n# H\n",
            &expect![[r#"
            WB0112 col 1: the front matter that line 1 begins with `---` has no end
        "#]],
        );
        check(
            "---",
            &expect![[r#"
            WB0112 col 1: the front matter that line 1 begins with `---` has no end
        "#]],
        );
    }

    #[test]
    fn titles_keep_their_text() {
        check(
            "---\ntitle: 2024-01-01\n---\n",
            &expect![[r#"
            {"title":"2024-01-01"}
            body ""
            heading None
        "#]],
        );
        check(
            "---\ntitle: yes\n---\n",
            &expect![[r#"
            {"title":"yes"}
            body ""
            heading None
        "#]],
        );
        check(
            "---\ntitle: 1.10\n---\n",
            &expect![[r#"
            {"title":1.10}
            body ""
            heading None
        "#]],
        );
    }

    #[test]
    fn bad_yaml_is_a_defect_with_its_place_in_the_file() {
        check(
            "---\nok: 1\na: b: c\n---\n",
            &expect![[r#"
            WB0113 col 5: mapping values are not allowed in this context, on line 3
        "#]],
        );
        check(
            "---\na: 1\na: 2\n---\n",
            &expect![[r#"
            WB0109 col 1: `a` stands twice, on line 3
        "#]],
        );
        check(
            "---\n- a\n- b\n---\n",
            &expect![[r#"
            WB0115 col 0: the front matter is a YAML array, not a mapping
        "#]],
        );
        check(
            "---\nbody: x\n---\n",
            &expect![[r#"
            WB0115 col 0: the front matter names `body`, which is the text after it
        "#]],
        );
    }

    #[test]
    fn toml_front_matter_keeps_order_and_numbers() {
        check(
            "+++\nz = 'x'\na = 1.10\nd = 2024-01-01T10:00:00Z\ni = 0x1F\nf = +inf\n[t]\nk = [1, 'b']\n+++\nbody",
            &expect![[r#"
                {"z":"x","a":1.10,"d":"2024-01-01T10:00:00Z","i":31,"f":"+inf","t":{"k":[1,"b"]}}
                body "body"
                heading None
            "#]],
        );
        check(
            "+++\na = 1\nb = \n+++\n",
            &expect![[r#"
            WB0114 col 5: string values must be quoted, expected literal string, on line 3
        "#]],
        );
        check(
            "+++\na = 1\na = 2\n+++\n",
            &expect![[r#"
            WB0114 col 1: duplicate key, on line 3
        "#]],
        );
    }

    #[test]
    fn headings_are_found_as_markdown_means_them() {
        let check = |body: &str, expect: Option<&str>| {
            assert_eq!(heading(body).as_deref(), expect, "{body:?}");
        };
        check("text\n\n## A *b* `c` [d](e)\n", Some("A b c d"));
        check("Title\n=====\n", Some("Title"));
        check("```\n# code\n```\n# real #\n", Some("real"));
        check("    # indented code\n\n# real", Some("real"));
        check("#no space\n", None);
        check("#\n\n# second", Some("second"));
        check("<!-- # comment -->\n# real", Some("real"));
        check("", None);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(---|\\+\\+\\+)?\r?\n?[-a-c:+. \n\r#=`\\[\\]{}'\"|]{0,80}") {
            if let Ok(document) = parse(&text) {
                prop_assert!(text.ends_with(document.body));
                let _ = heading(document.body);
            }
        }

        #[test]
        fn simple_front_matter_comes_back(title in "[a-zA-Z][a-zA-Z ]{0,20}[a-z]", body in "[a-z\n #-]{0,40}") {
            prop_assume!(!["null", "true", "false", "Null"].contains(&title.as_str()));
            let text = format!("---\ntitle: {title}\n---\n{body}");
            let document = parse(&text).unwrap();
            prop_assert_eq!(document.front[0].1.as_str(), Some(title.as_str()));
            prop_assert_eq!(document.body, body);
        }
    }
}
