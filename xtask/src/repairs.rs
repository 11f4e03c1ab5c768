//! What a person mends (`repairs.tsv`, `plan-edits.tsv`): records in the files that `rejects export`
//! has written, and lines of the plan.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value as Json;

use crate::sheet;

/// Mends the exported records of a fixture, each in the file of one table's reject.
pub fn mend(fixture: &Path, exported: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    let index = fs::read_to_string(exported.join("index.jsonl"))?;
    for line in index.lines() {
        let entry: Json = serde_json::from_str(line)?;
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| entry[name].as_u64().unwrap_or_default().to_string();
        let place = (text("table"), text("file"), number("record"), number("line"));
        let double = files.insert(place, text("bytes_file"));
        ensure!(double.is_none(), "one record of one table is exported twice: {line}");
    }
    for [table, file, record, line, from, to] in sheet::rows(&fixture.join("repairs.tsv"))? {
        let place = (table, file, record, line);
        let name = files.get(&place).filter(|name| !name.is_empty());
        let name = name.with_context(|| format!("no bytes are exported of {place:?}"))?;
        let path = exported.join(name);
        let (from, to) = (sheet::unescaped(&from)?, sheet::unescaped(&to)?);
        let mended = if from.is_empty() {
            to
        } else {
            let bytes = fs::read(&path)?;
            sheet::replace(&bytes, &from, &to).with_context(|| format!("{place:?}"))?
        };
        fs::write(path, mended)?;
    }
    Ok(())
}

/// Edits the plan: what is to be replaced goes wherever it stands.
pub fn edit_plan(fixture: &Path, plan: &Path) -> Result<()> {
    let mut text = fs::read_to_string(plan)?;
    for [from, to] in sheet::rows(&fixture.join("plan-edits.tsv"))? {
        let from = String::from_utf8(sheet::unescaped(&from)?)?;
        let to = String::from_utf8(sheet::unescaped(&to)?)?;
        ensure!(text.contains(&from), "the plan does not say `{from}`");
        text = text.replace(&from, &to);
    }
    Ok(fs::write(plan, text)?)
}
