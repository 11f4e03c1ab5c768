//! Nine pairs of engines.

use std::path::Path;

use serde_json::Value as Json;

use crate::old::{self, Dice, OldTable, Place, Words};
use crate::{said, whimbrel};

/// How a plan says a table's name: in quotes where it would mean a schema otherwise.
fn planned(words: Words, name: &str) -> String {
    let quote = match words {
        Words::Sqlite => return name.to_owned(),
        Words::Postgres => '"',
        Words::Mysql => '`',
    };
    if name.contains('.') || name.starts_with(quote) { words.quote(name) } else { name.to_owned() }
}

/// A table of a plan in a statement: in quotes as a plan says it, or as it is called.
fn spelled(words: Words, said: &str) -> String {
    let quote = if words == Words::Mysql { '`' } else { '"' };
    let inner = said.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    let is_quoted = inner.is_some_and(|inner| {
        !inner.is_empty() && !inner.replace(&format!("{quote}{quote}"), "").contains(quote)
    });
    if is_quoted && words != Words::Sqlite { said.to_owned() } else { words.quote(said) }
}

/// Loads one database into the other by the plan of `init`, and compares all tables.
fn carry(folder: &Path, from: Words, old: (&Place, &[OldTable]), to: Words, seed: u64) {
    let (source, tables) = old;
    let about = format!("{from:?} -> {to:?}, WHIMBREL_SEED={seed}");
    let target = Place::new(to, folder, &format!("new_{from:?}_{to:?}")).unwrap();
    let plan = format!("{from:?}-{to:?}.toml");
    let (old_url, new_url) = (source.url(), target.url());
    let made = ["init", &old_url, "--target", &new_url, "--out", &plan, "--format", "json"];
    let made = whimbrel(folder, &made, &[]);
    assert_eq!(made.status.code(), Some(0), "{about}: {}", said(&made));
    let answer: Json = serde_json::from_slice(&made.stdout).unwrap();
    let environment = [("SOURCE", old_url.as_str()), ("TARGET", new_url.as_str())];
    let loaded = whimbrel(folder, &["migrate", &plan], &environment);
    assert_eq!(loaded.status.code(), Some(0), "{about}: {}", said(&loaded));
    let new_name = |table: &OldTable| {
        let name = planned(from, &table.name);
        let found = answer["data"]["tables"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name.as_str() || one["name"] == table.name.as_str());
        found.unwrap_or_else(|| panic!("{about}: {name} is in {answer}"))["table"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let written: Vec<String> = tables
        .iter()
        .map(|table| format!("SELECT * FROM {} ORDER BY 1", spelled(to, &new_name(table))))
        .collect();
    let read: Vec<String> = tables.iter().map(|table| table.select.clone()).collect();
    for ((table, before), after) in tables.iter().zip(source.rows(&read)).zip(target.rows(&written))
    {
        assert_eq!(before.len(), table.rows, "{about}: {:?}", table.name);
        assert_eq!(before, after, "{about}: {:?}", table.name);
    }
}

#[allow(clippy::disallowed_methods)] // a test's own setting
fn seed() -> u64 {
    let given = std::env::var("WHIMBREL_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| u64::from(std::process::id()))
}

/// One test a source, so that they run side by side.
fn check(from: Words) {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice(seed);
    let Some(source) = Place::new(from, folder.path(), "old") else { return };
    let tables = old::fill(from, &source, &mut dice, 20);
    for to in Words::ALL {
        carry(folder.path(), from, (&source, &tables), to, seed);
    }
}

#[test]
fn hostile_names_of_sqlite_arrive_everywhere() {
    check(Words::Sqlite);
}

#[test]
fn hostile_names_of_postgres_arrive_everywhere() {
    check(Words::Postgres);
}

#[test]
fn hostile_names_of_mariadb_arrive_everywhere() {
    check(Words::Mysql);
}
