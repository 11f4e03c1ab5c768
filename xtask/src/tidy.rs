//! Rules of the repository itself, as tests over its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::binary::root;
use crate::engine::Engine;

/// Which crate may depend on which: the arrows of `docs/architecture.md`.
const EDGES: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("endpoint", &["model"]),
    ("cel", &["model"]),
    ("transform", &["model", "cel"]),
    ("files", &["model", "endpoint"]),
    ("sql", &["model", "endpoint"]),
    ("ledger", &["model", "endpoint"]),
    ("profile", &["model", "endpoint"]),
    ("report", &["model", "endpoint", "ledger"]),
    ("validator", &["model", "endpoint", "ledger", "cel"]),
    ("core", &["model", "endpoint", "ledger", "transform", "validator"]),
    ("testkit", &[]),
    (
        "cli",
        &[
            "model",
            "endpoint",
            "files",
            "sql",
            "ledger",
            "profile",
            "report",
            "core",
            "transform",
            "testkit",
            "validator",
        ],
    ),
];

/// Names that say a role instead of a thing.
const ROLES: &[&str] = &["Manager", "Handler", "Service", "Helper", "Util"];

/// Checks everything and lists all offences at once.
pub fn run() -> Result<()> {
    let mut offences = Vec::new();
    edges(&mut offences)?;
    for file in rust_files()? {
        let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        let shown = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        head(&shown, &text, &mut offences);
        names(&shown, &text, &mut offences);
        sql(&shown, &text, &mut offences);
        leftovers(&shown, &text, &mut offences);
    }
    failpoints(&mut offences)?;
    decisions(&mut offences)?;
    for offence in &offences {
        eprintln!("tidy: {offence}");
    }
    let plural = if offences.len() == 1 { "" } else { "s" };
    ensure!(offences.is_empty(), "{} offence{plural}", offences.len());
    println!("tidy: nothing to say");
    Ok(())
}

fn rust_files() -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("xtask")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_none_or(|name| name != "target") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The crate graph is what `EDGES` says: no arrow more, no arrow less.
fn edges(offences: &mut Vec<String>) -> Result<()> {
    let mut known: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (name, targets) in EDGES {
        known.insert(name, targets.iter().copied().collect());
    }
    for entry in fs::read_dir(root().join("crates"))? {
        let folder = entry?.path();
        let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
        let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
        let Some(allowed) = known.remove(name.as_str()) else {
            offences.push(format!("crates/{name} is not in EDGES of xtask/src/tidy.rs"));
            continue;
        };
        let own = manifest.split("[dev-dependencies]").next().unwrap_or("");
        let dependencies = own.split("[dependencies]").nth(1).unwrap_or("");
        let dependencies = dependencies.split("\n[").next().unwrap_or("");
        let actual: BTreeSet<&str> = dependencies
            .lines()
            .filter_map(|line| line.strip_prefix("whimbrel-"))
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .collect();
        for extra in actual.difference(&allowed) {
            offences.push(format!("crates/{name} must not depend on `{extra}`"));
        }
        for missing in allowed.difference(&actual) {
            offences
                .push(format!("crates/{name} does not depend on `{missing}`: take the arrow out"));
        }
    }
    offences
        .extend(known.keys().map(|name| format!("EDGES names crates/{name}, which is not there")));
    Ok(())
}

/// Every file says first what it owns.
fn head(shown: &str, text: &str, offences: &mut Vec<String>) {
    if !text.starts_with("//!") {
        offences.push(format!("{shown}: does not begin with `//!`"));
    }
}

fn names(shown: &str, text: &str, offences: &mut Vec<String>) {
    for (number, line) in text.lines().enumerate() {
        let words = line.split(|c: char| !c.is_alphanumeric() && c != '_').collect::<Vec<_>>();
        for pair in words.windows(2) {
            let defines = matches!(pair[0], "struct" | "enum" | "trait");
            let role = ROLES.iter().any(|role| pair[1].ends_with(role));
            if defines && role {
                offences.push(format!(
                    "{shown}:{}: `{}` says a role, not the thing",
                    number + 1,
                    pair[1]
                ));
            }
        }
    }
    for vague in ["utils.rs", "util.rs", "helpers.rs", "common.rs", "misc.rs"] {
        if shown.ends_with(&format!("/{vague}")) {
            offences.push(format!("{shown}: name the thing it owns"));
        }
    }
}

/// SQL stands in `crates/sql` alone; the checker of xtask and tests look from outside.
fn sql(shown: &str, text: &str, offences: &mut Vec<String>) {
    let outside = shown.starts_with("crates/sql/")
        || shown.starts_with("xtask/")
        || shown.starts_with("crates/testkit/")
        || shown.contains("/tests/");
    // Profile writes CREATE TABLE into a schema file for people; it is text, and runs nowhere there.
    if outside || shown.starts_with("crates/profile/") {
        return;
    }
    // A line of a plan that documentation or a hint shows.
    let shows_plan = |line: &str| {
        ["sql", "undo", "check", "query", "sqlite", "postgres", "mysql"].iter().any(|key| {
            line.contains(&format!("{key} = \"")) || line.contains(&format!("{key} = \\\""))
        })
    };
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("//") || shows_plan(line) {
            continue;
        }
        for words in
            ["\"SELECT ", "\"INSERT INTO ", "\"UPDATE ", "\"DELETE FROM ", "\"CREATE TABLE "]
        {
            if line.contains(words) {
                offences.push(format!("{shown}:{}: SQL outside of crates/sql", number + 1));
            }
        }
    }
}

/// Words that mark work left undone.
fn leftovers(shown: &str, text: &str, offences: &mut Vec<String>) {
    if shown == "xtask/src/tidy.rs" {
        return;
    }
    for (number, line) in text.lines().enumerate() {
        for word in ["FIXME", "XXX", "#[ignore", "unimplemented!", "todo!("] {
            if line.contains(word) {
                offences.push(format!("{shown}:{}: `{word}`", number + 1));
            }
        }
    }
}

/// A failpoint's name is its crate's, and stands in one place.
fn failpoints(offences: &mut Vec<String>) -> Result<()> {
    let mut seen: BTreeMap<(String, Option<Engine>), String> = BTreeMap::new();
    for file in rust_files()? {
        let shown = file.strip_prefix(root()).unwrap_or(&file).display().to_string();
        if !shown.starts_with("crates/") || shown.ends_with("failpoint.rs") {
            continue;
        }
        let text = fs::read_to_string(&file)?;
        for (name, _) in text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split_once('"'))
        {
            // The engines pass the same points, each in its own place.
            let engine = Engine::ALL
                .into_iter()
                .find(|it| shown.starts_with(&format!("crates/sql/src/{}/", it.name())));
            let key = (name.to_owned(), engine);
            if let Some(before) = seen.insert(key, shown.clone()) {
                offences.push(format!("{shown}: failpoint `{name}` stands in {before} too"));
            }
            let owner = shown.split('/').nth(1).unwrap_or("");
            if !name.starts_with(&format!("{owner}.")) {
                offences
                    .push(format!("{shown}: failpoint `{name}` does not begin with `{owner}.`"));
            }
        }
    }
    Ok(())
}

/// Decisions are numbered without gaps.
fn decisions(offences: &mut Vec<String>) -> Result<()> {
    let folder = root().join("docs/decisions");
    let mut numbers = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(number) = name.get(..4).and_then(|number| number.parse::<u32>().ok()) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    for (index, number) in numbers.iter().enumerate() {
        if *number != u32::try_from(index)? + 1 {
            offences.push(format!("docs/decisions: number {:04} is missing or doubled", index + 1));
            break;
        }
    }
    Ok(())
}
