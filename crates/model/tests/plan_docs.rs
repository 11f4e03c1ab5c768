//! The reference and the JSON Schema that are committed are the ones the code makes, and the
//! schema takes the plans that decode.

#![allow(clippy::unwrap_used)] // a test

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use whimbrel_model::plan::Plan;

const EXTRUDER: &str = include_str!("../../../fixtures/extruder/whimbrel.toml");
const CONTENT: &str = include_str!("../../../fixtures/content/whimbrel.toml");

fn document(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// Compares a committed document with what the code makes, or writes it where `BLESS` is set.
fn check_document(name: &str, made: &str) {
    let path = document(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, made).expect("the document can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/{name} is not what the code makes; write it with `BLESS=1 cargo test -p whimbrel-model --test plan_docs`"
    );
}

#[test]
fn the_reference_is_up_to_date() {
    check_document("plan-reference.md", &Plan::reference());
}

#[test]
fn the_schema_is_up_to_date() {
    check_document("plan.schema.json", &Plan::json_schema());
}

#[test]
fn the_reference_has_only_whole_rows() {
    for line in Plan::reference().lines().filter(|line| line.starts_with('|')) {
        let bars = line.replace("\\|", "").matches('|').count();
        assert!([3, 4, 6].contains(&bars), "{line}");
    }
}

fn schema() -> Value {
    serde_json::from_str(&Plan::json_schema()).expect("the schema is JSON")
}

fn as_json(plan: &str) -> Value {
    let table: toml::Table = plan.parse().expect("the plan is TOML");
    serde_json::to_value(table).expect("the plan has no dates")
}

/// What a value breaks, with the path to it. Knows the words our schema uses, and stops at others.
fn broken(root: &Value, schema: &Value, value: &Value, at: &str, out: &mut Vec<String>) {
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        let fine = match word.as_str() {
            "$schema" | "title" | "description" | "$defs" => true,
            "$ref" => {
                let name = rule
                    .as_str()
                    .and_then(|name| name.strip_prefix("#/$defs/"))
                    .expect("a local reference");
                broken(root, &root["$defs"][name], value, at, out);
                true
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|name| is(value, name.as_str().unwrap())),
                name => is(value, name.as_str().unwrap()),
            },
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "minLength" => {
                value.as_str().is_none_or(|text| text.len() as u64 >= rule.as_u64().unwrap())
            }
            "minItems" => {
                value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap())
            }
            "minProperties" => value
                .as_object()
                .is_none_or(|members| members.len() as u64 >= rule.as_u64().unwrap()),
            // Alternatives of our patterns are plain texts.
            "pattern" => value.as_str().is_none_or(|text| {
                rule.as_str().unwrap().split('|').any(|part| text.contains(&part.replace('\\', "")))
            }),
            "items" => {
                let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
                items.iter().enumerate().for_each(|(index, item)| {
                    broken(root, rule, item, &format!("{at}/{index}"), out);
                });
                true
            }
            "required" => value.as_object().is_none_or(|members| {
                rule.as_array()
                    .unwrap()
                    .iter()
                    .all(|name| members.contains_key(name.as_str().unwrap()))
            }),
            "properties" => {
                for (name, member) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(name) {
                        broken(root, rule, member, &format!("{at}/{name}"), out);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &str| {
                    schema.get("properties").is_some_and(|known| known.get(name).is_some())
                };
                let others =
                    value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
                let others: Vec<_> = others.collect();
                if rule != &json!(false) {
                    others.iter().for_each(|(name, member)| {
                        broken(root, rule, member, &format!("{at}/{name}"), out);
                    });
                }
                rule != &json!(false) || others.is_empty()
            }
            "anyOf" => passing(root, rule, value) >= 1,
            "oneOf" => passing(root, rule, value) == 1,
            "dependentSchemas" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if value.get(name).is_some() {
                        broken(root, rule, value, at, out);
                    }
                }
                true
            }
            other => panic!("the check does not know `{other}`"),
        };
        if !fine {
            out.push(format!("{at}: {word}"));
        }
    }
}

fn passing(root: &Value, rules: &Value, value: &Value) -> usize {
    let passes = |rule: &&Value| {
        let mut out = Vec::new();
        broken(root, rule, value, "", &mut out);
        out.is_empty()
    };
    rules.as_array().unwrap().iter().filter(passes).count()
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("no type `{other}`"),
    }
}

fn check(value: &Value) -> Vec<String> {
    let schema = schema();
    let mut out = Vec::new();
    broken(&schema, &schema, value, "", &mut out);
    out
}

#[test]
fn the_schema_takes_the_plans_of_the_fixtures() {
    assert_eq!(check(&as_json(EXTRUDER)), [""; 0]);
    assert_eq!(check(&as_json(CONTENT)), [""; 0]);
}

#[test]
fn the_schema_refuses_an_unknown_key() {
    let text = EXTRUDER.replace("ignore   =", "ingore   =");
    assert_eq!(check(&as_json(&text)), ["/source/samples: additionalProperties"]);
}

#[test]
fn the_schema_refuses_what_the_decoder_refuses() {
    let mistakes = [
        ("each       = \"file\"", "each = 3"),
        ("existing = \"update\"", "existing = \"overwrite\""),
        ("{ value = \"default\" }", "{ value = \"default\", fact = \"file.name\" }"),
        ("{ value = \"default\" }", "{ trim = true }"),
        ("{ fact = \"file.mtime\" }", "{ fact = \"file.mtme\" }"),
        ("jsonl = ", "delimiter = \";\"\njsonl = "),
        ("name     = ", "nombre = "),
    ];
    for (right, wrong) in mistakes {
        let text = EXTRUDER.replacen(right, wrong, 1);
        assert_ne!(text, EXTRUDER, "{right}");
        assert!(!check(&as_json(&text)).is_empty(), "{wrong}");
    }
}
