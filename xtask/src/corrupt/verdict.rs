//! What `verify` says of a target, against what is different there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value as Json;

use super::kinds::{Finder, Kind, Place};
use super::patient::{By, Hit, How, Table};
use crate::binary::{Run, run, run_on};
use crate::site::Site;

/// The levels of `verify`, and `audit verify`.
pub const LEVELS: [&str; 3] = ["basic", "standard", "rigorous"];

/// What is asked of an untouched target: `forensic` has the checks of `rigorous`, and its own.
const WHOLE: [&str; 3] = ["basic", "standard", "forensic"];

/// Rows of a table that `verify` lists.
const LISTED: usize = 20;

/// What came of a look at damage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Told, with its rows and cells.
    Found,
    /// Told, but not which row it is.
    Unnamed(String),
    /// Not told.
    Missed,
    /// Not told, as it should be.
    Quiet,
    /// Told although it is no damage.
    Alarm(String),
    /// Neither said to be whole nor to differ: the exit code, and the first line of what was said.
    Unclear(Option<i32>, String),
}

/// An untouched target passes every level; where `gone`, files are that were read, and the closest level
/// says so.
pub fn untouched(binary: &Path, site: &Site<'_>, gone: bool) -> Result<()> {
    for level in WHOLE {
        let run = run(binary, site, &["verify", "--level", level, "--format", "json"])?;
        let is_gone = gone && level == "forensic" && run.code == Some(8);
        ensure!(
            run.code == Some(0)
                || is_gone && complaints(&run).contains("is gone since it was read"),
            "an untouched target is not verified: {level}, exit {:?}\n{}\n{}",
            run.code,
            complaints(&run),
            run.stderr
        );
    }
    let run = run(binary, site, &["audit", "verify"])?;
    ensure!(run.code == Some(0), "an untouched audit log is not whole: {}", run.stdout);
    Ok(())
}

/// Where is looked: a site, or a copy of its target.
pub struct Look<'a> {
    pub binary: &'a Path,
    pub site: &'a Site<'a>,
    pub target: Option<String>,
}

impl Look<'_> {
    fn run(&self, arguments: &[&str]) -> Result<Run> {
        run_on(self.binary, self.site, self.target.as_deref(), arguments)
    }
}

/// Has damage looked for at each level, or by who is to find it.
pub fn of(
    look: &Look<'_>,
    kind: &Kind,
    levels: &[&str],
    hits: &[Hit],
    tables: &[Table],
) -> Result<Vec<Outcome>> {
    let audit: &[&str] = match kind.finder {
        Finder::Audit => &["audit", "verify"],
        Finder::Anchor => &["audit", "verify", "--anchor", "anchor.json"],
        Finder::Basic | Finder::Standard | Finder::Rigorous | Finder::Nobody => {
            let judged = |level: &&str| {
                let run = look.run(&["verify", "--level", level, "--format", "json"])?;
                judge(&run, kind, level, hits, tables)
            };
            return levels.iter().map(judged).collect();
        }
    };
    let run = look.run(audit)?;
    let outcome = match run.code {
        Some(0) => Outcome::Missed,
        Some(4) => Outcome::Found,
        code => Outcome::Unclear(code, first_line(&run)),
    };
    Ok(levels.iter().map(|_| outcome.clone()).collect())
}

fn judge(run: &Run, kind: &Kind, level: &str, hits: &[Hit], tables: &[Table]) -> Result<Outcome> {
    Ok(match (run.code, kind.finder) {
        (Some(0), Finder::Nobody) => Outcome::Quiet,
        (Some(0), _) => Outcome::Missed,
        (Some(4), Finder::Nobody) => Outcome::Alarm(complaints(run)),
        // A ledger that cannot be read proves nothing, and is said to be so.
        (Some(8), _) if kind.place == Place::Ledger && run.stdout.contains("WB0301") => {
            Outcome::Found
        }
        // There are no rows to be named, or all of them.
        (Some(4), _) if kind.place != Place::Rows => Outcome::Found,
        (Some(4), _) => {
            let wrong = unnamed(run, level == "rigorous", hits, tables)?;
            if wrong.is_empty() { Outcome::Found } else { Outcome::Unnamed(wrong.join("; ")) }
        }
        (code, _) => Outcome::Unclear(code, first_line(run)),
    })
}

/// Rows that differ and are not named, and the other way round. Cells are named where all is
/// looked at.
fn unnamed(run: &Run, with_cells: bool, hits: &[Hit], tables: &[Table]) -> Result<Vec<String>> {
    let answer: Json = serde_json::from_str(&run.stdout).context("an answer in JSON")?;
    let mut named: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for row in answer["data"]["rows"].as_array().into_iter().flatten() {
        let word = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let cells = row["cells"].as_array().into_iter().flatten();
        let cells = cells.filter_map(|cell| cell["column"].as_str().map(str::to_owned));
        named.entry((word("table"), word("key"))).or_default().extend(cells);
    }
    let by = |name: &str| tables.iter().find(|table| table.name == name).map(|table| table.by);
    let mut wrong = Vec::new();
    let mut expected: BTreeMap<&str, Vec<&Hit>> = BTreeMap::new();
    for hit in hits {
        expected.entry(hit.table.as_str()).or_default().push(hit);
    }
    for (table, hits) in &expected {
        let is_told = answer["data"]["checks"].as_array().into_iter().flatten().any(|check| {
            let name = check["name"].as_str().unwrap_or_default();
            check["status"] == "failed"
                && (name == *table || name.starts_with(&format!("{table}.")))
        });
        if !is_told {
            wrong.push(format!("no check of `{table}` failed"));
        }
        let hits = hits.iter().filter(|hit| hit.filled && by(table) != Some(By::Sql));
        let hits: Vec<&&Hit> = hits.collect();
        let mut found = 0;
        for hit in &hits {
            let Some(cells) = named.get(&(hit.table.clone(), hit.key.clone())) else { continue };
            found += 1;
            let unnamed: Vec<&str> = hit.columns.difference(cells).map(String::as_str).collect();
            if with_cells && hit.how == How::Changed && !unnamed.is_empty() {
                wrong.push(format!("`{table}` {}: not `{}`", hit.key, unnamed.join("`, `")));
            }
        }
        if found < hits.len().min(LISTED) && with_cells {
            wrong.push(format!("{found} of {} rows of `{table}` named", hits.len()));
        }
    }
    for (table, key) in named.keys() {
        let is_hit = hits.iter().any(|hit| hit.table == *table && hit.key == *key);
        if !is_hit && !hits.is_empty() {
            wrong.push(format!("`{table}` {key} is named and is as it was"));
        }
    }
    wrong.truncate(3);
    Ok(wrong)
}

/// The checks that failed.
fn complaints(run: &Run) -> String {
    let answer: Json = serde_json::from_str(&run.stdout).unwrap_or_default();
    let checks = answer["data"]["checks"].as_array();
    // What differs says more than what could not be looked at.
    let of = |status: &'static str| {
        checks.into_iter().flatten().filter(move |check| check["status"] == status)
    };
    let told = of("failed").chain(of("unverified")).map(|check| {
        let word = |name: &str| check[name].as_str().unwrap_or_default();
        format!("{} of `{}`: {}", word("type"), word("name"), word("message"))
    });
    told.take(3).collect::<Vec<_>>().join("; ")
}

fn first_line(run: &Run) -> String {
    let told = complaints(run);
    let line = run.stderr.lines().next().unwrap_or_default().to_owned();
    if told.is_empty() { line } else { told }
}
