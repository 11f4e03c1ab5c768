//! A plan and documents without secrets: values of variables and files, defaults of variables, passwords
//! and parameters of URLs, literals of SQL, comments.

use serde_json::Value as Json;
use whimbrel_model::plan::{Hidden, Plan, Secret};

/// What stands in the place of something that is not shown.
const STARS: &str = "***";

/// Everything of a plan that must not be shown: what variables and files gave, and passwords of URLs.
pub(super) fn secrets(plan: &Plan) -> Hidden {
    let mut secrets = plan.hidden.0.clone();
    let databases = plan.sources.iter().filter_map(|source| source.database());
    let urls = databases.map(|database| &database.url.value).chain([&plan.target.value]);
    for url in urls {
        for password in passwords(url.expose()) {
            secrets.push(Secret::new(decoded(&password)));
            secrets.push(Secret::new(password));
        }
    }
    secrets.retain(|secret| !secret.expose().is_empty());
    Hidden(secrets)
}

/// The passwords in a URL, before its host or among its parameters, as they stand there.
fn passwords(url: &str) -> Vec<String> {
    let Some((_, rest)) = url.split_once("://") else { return Vec::new() };
    let mut found = Vec::new();
    if let Some((authority, _)) = rest.rsplit_once('@')
        && let Some((_, password)) = authority.split_once(':')
    {
        found.push(password.to_owned());
    }
    let parameters = rest.split_once('?').map_or("", |(_, parameters)| parameters);
    for (name, value) in parameters.split('&').filter_map(|one| one.split_once('=')) {
        if name.to_ascii_lowercase().contains("pass") {
            found.push(value.to_owned());
        }
    }
    found
}

/// `%40` → `@`; what is no text then stays as it is.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match byte.filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

/// Every text of a document without the secrets; names of fields are ours.
pub(super) fn document(value: &mut Json, secrets: &Hidden) {
    match value {
        Json::String(text) => *text = secrets.redact(text),
        Json::Array(values) => values.iter_mut().for_each(|value| document(value, secrets)),
        Json::Object(fields) => fields.values_mut().for_each(|value| document(value, secrets)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// The text of a plan without secrets; `None` where it is no TOML.
pub(super) fn plan(text: &str, secrets: &Hidden) -> Option<String> {
    let mut table: toml::Table = text.parse().ok()?;
    for (key, value) in &mut table {
        redact(value, is_sql(key), secrets);
    }
    toml::to_string_pretty(&table).ok()
}

/// Keys below which SQL stands.
fn is_sql(key: &str) -> bool {
    ["sql", "undo", "check", "query"].contains(&key)
}

fn redact(value: &mut toml::Value, sql: bool, secrets: &Hidden) {
    match value {
        toml::Value::String(text) => {
            let shown = without_defaults(text);
            let shown = if sql { without_literals(&shown) } else { without_passwords(&shown) };
            *text = secrets.redact(&shown);
        }
        toml::Value::Array(values) => {
            values.iter_mut().for_each(|value| redact(value, sql, secrets));
        }
        toml::Value::Table(fields) => {
            for (key, value) in fields {
                redact(value, sql || is_sql(key), secrets);
            }
        }
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
}

/// `${NAME:-default}` → `${NAME:-***}`.
fn without_defaults(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inner, behind) = after.split_once('}').unwrap_or((after, ""));
        let shown = match inner.split_once(":-") {
            Some((name, _)) => format!("{name}:-{STARS}"),
            None => inner.to_owned(),
        };
        out.push_str(&format!("{before}${{{shown}}}"));
        rest = behind;
    }
    out + rest
}

fn without_passwords(text: &str) -> String {
    if text.contains("://") { Secret::new(text.to_owned()).url_shown() } else { text.to_owned() }
}

/// SQL without comments and with stars for what stands in quotes. Where engines differ in what a quote
/// is (a backslash, a dollar, a `#`), nothing of it is shown.
fn without_literals(sql: &str) -> String {
    let variables_aside = sql.replace("${", "");
    if variables_aside.contains(['\\', '$', '#']) {
        return format!("{STARS} ({} bytes of SQL)", sql.len());
    }
    let mut out = String::new();
    let mut rest = sql;
    while let Some(at) = rest.find(['\'', '"', '`', '-', '/']) {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        let first = &here[..1];
        rest = match first {
            "-" if here.starts_with("--") => here.find('\n').map_or("", |end| &here[end..]),
            "/" if here.starts_with("/*") => return out + STARS,
            "-" | "/" => {
                out.push_str(first);
                &here[1..]
            }
            quote => {
                let stars = if quote == "`" { None } else { Some(STARS) };
                let Some(end) = here[1..].find(quote) else { return out + STARS };
                out.push_str(&format!("{quote}{}{quote}", stars.unwrap_or(&here[1..=end])));
                &here[end + 2..]
            }
        };
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Hidden {
        Hidden::default()
    }

    #[test]
    fn a_plan_keeps_its_shape_and_loses_its_secrets() {
        let text = r#"# a canary in a comment
name = "people"
target = "postgres://app:canary1@db/shop?sslpassword=canary2"
schema = "${DIR:-canary3}/sql"

[source.old]
database = "${OLD:-mysql://u:canary4@old/shop}"
query = "SELECT * FROM t WHERE name = 'canary5'"

[[table]]
into = "people"
where = "id > 0"
[table.columns]
label = { value = "canary6" }

[[relate]]
name = "x"
sql = { postgres = "UPDATE t SET a = $$canary7$$", mysql = "UPDATE t SET a = 1 -- canary8's" }
"#;
        let secrets = Hidden(vec![Secret::new("canary6".to_owned())]);
        let shown = plan(text, &secrets).unwrap();
        assert!(!shown.contains("canary"), "{shown}");
        for kept in [
            "name = \"people\"",
            "target = \"postgres://app:*******@db/shop?***\"",
            "schema = \"${DIR:-***}/sql\"",
            "database = \"${OLD:-***}\"",
            "query = \"SELECT * FROM t WHERE name = '***'\"",
            "where = \"id > 0\"",
            "mysql = \"UPDATE t SET a = 1 \"",
        ] {
            assert!(shown.contains(kept), "{kept}\n{shown}");
        }
    }

    #[test]
    fn literals_of_sql_are_starred_whatever_stands_around_them() {
        for (sql, shown) in [
            ("select 1", "select 1"),
            ("select 'it''s', \"x\" from `t`", "select '***''***', \"***\" from `t`"),
            ("select a - b / c -- don't\n, 'x'", "select a - b / c \n, '***'"),
            ("select 'open", "select ***"),
            ("select /* don't */ 'x'", "select ***"),
            (r"select 'a\', 'x'", "*** (16 bytes of SQL)"),
            ("select $a$x$a$", "*** (14 bytes of SQL)"),
            ("select 1 # don't\n, 'x'", "*** (22 bytes of SQL)"),
            ("${file:a.sql}", "${file:a.sql}"),
        ] {
            assert_eq!(without_literals(sql), shown, "{sql}");
        }
    }

    #[test]
    fn passwords_are_found_as_they_stand_and_as_they_are_meant() {
        assert_eq!(passwords("postgres://u:p%40ss@h:5432/d?sslpassword=q&a=b"), ["p%40ss", "q"]);
        assert_eq!(passwords("mysql://u@h/d"), Vec::<String>::new());
        assert_eq!(passwords("sqlite:a:b@c.db"), Vec::<String>::new());
        assert_eq!(decoded("p%40s%C3%A9%zz%4"), "p@sé%zz%4");
    }

    #[test]
    fn texts_of_documents_are_redacted_and_figures_left() {
        let mut value = serde_json::json!({ "1": ["a1b", 1, { "x": "1" }] });
        document(&mut value, &Hidden(vec![Secret::new("1".to_owned())]));
        assert_eq!(value, serde_json::json!({ "1": ["a***b", 1, { "x": "***" }] }));
        assert_eq!(plan("not toml", &none()), None);
    }
}
