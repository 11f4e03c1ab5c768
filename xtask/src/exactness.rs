//! The inputs of `fixtures/exactness`: none may change silently.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rusqlite::Connection;

use crate::binary::{expect, root};
use crate::checker::{self, Refused};
use crate::engine::Ground;
use crate::site::Site;

/// Runs every input; returns how many there are.
pub fn run(binary: &Path) -> Result<usize> {
    let folder = root().join("fixtures/exactness");
    let mut inputs = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        // The tables of types have no plan: `init` writes theirs, in a test of the CLI.
        if path.join("whimbrel.toml").is_file() {
            inputs.push(path);
        }
    }
    inputs.sort_unstable();
    for input in &inputs {
        one(binary, input).with_context(|| format!("{}", input.display()))?;
    }
    ensure!(!inputs.is_empty(), "no inputs in {}", folder.display());
    Ok(inputs.len())
}

fn one(binary: &Path, input: &Path) -> Result<()> {
    let ground = Ground::file();
    let site = Site::empty(&ground, "exact.db")?;
    for entry in fs::read_dir(input)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::copy(entry.path(), site.folder().join(entry.file_name()))?;
        }
    }
    let expected = input.join("expected");
    let exit: i32 = fs::read_to_string(expected.join("exit"))?.trim().parse()?;
    expect(binary, &site, &["migrate", "--yes"], &[exit])?;
    let target = site.look()?;
    let tables = checker::dump(&target, &input.join("dump.sql"))?;
    checker::compare(&tables, &expected, &Refused::default())?;
    rejects(&target, &expected.join("rejects.tsv"))?;
    checker::conservation(&target)
}

fn rejects(target: &Connection, expected: &Path) -> Result<()> {
    let codes = checker::reason_codes(&root().join("fixtures/reasons.tsv"))?;
    let mut prepared = target.prepare(
        "SELECT record, line, code, coalesce(target_column, '') FROM whimbrel_migration_rejects ORDER BY record",
    )?;
    let rows = prepared.query_map([], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, String>(3)?,
        ))
    })?;
    let actual: Vec<_> = rows.collect::<Result<_, _>>()?;
    let text = fs::read_to_string(expected)?;
    let wanted: Vec<Vec<&str>> =
        text.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    ensure!(
        actual.len() == wanted.len(),
        "{} rejects instead of {}: {actual:?}",
        actual.len(),
        wanted.len()
    );
    for ((record, line, code, column), wanted) in actual.iter().zip(&wanted) {
        let [want_record, want_line, reason, want_column] = wanted[..] else {
            bail!("four columns expected in {}", expected.display());
        };
        ensure!(
            record.to_string() == want_record && line.to_string() == want_line,
            "record {record} line {line} instead of {want_record} line {want_line}"
        );
        let fits = reason
            .split('|')
            .any(|reason| codes.get(reason).is_some_and(|codes| codes.contains(code)));
        ensure!(fits, "record {record} is rejected with {code}, not for `{reason}`");
        let column_fits =
            want_column.is_empty() || want_column.split('|').any(|want| want == column);
        ensure!(column_fits, "record {record} is rejected for `{column}`, not `{want_column}`");
    }
    Ok(())
}
