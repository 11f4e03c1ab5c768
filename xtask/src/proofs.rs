//! Questions to `prove`, with the answers that were written down by hand in a fixture's `proofs.tsv`.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value as Json;

use crate::binary::expect;
use crate::fixtures::System;
use crate::site::Site;

/// Asks every question of a system; the target was verified at `forensic` just now. Says how many there were,
/// in words that go behind other figures.
pub fn asked(binary: &Path, system: &System, site: &Site<'_>) -> Result<String> {
    let Ok(text) = fs::read_to_string(system.folder().join("proofs.tsv")) else {
        return Ok(String::new());
    };
    let mut count = 0;
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [what, name, answer] = cells[..] else { anyhow::bail!("proofs.tsv: {line}") };
        let flag = format!("--{what}");
        let run = expect(binary, site, &["prove", &flag, name, "--format", "json"], &[0])
            .with_context(|| name.to_owned())?;
        let proof: Json = serde_json::from_str(&run.stdout)?;
        let told = told(&proof["data"])?;
        ensure!(told == answer, "{what} {name}:\n{told}\ninstead of\n{answer}");
        let now = proof["data"]["now"].as_array().context("no state of now")?;
        let is_same = |now: &&Json| now["state"] == "same" || now["state"] == "rewritten";
        ensure!(now.iter().filter(is_same).count() == now.len(), "{what} {name}: {now:?}");
        count += 1;
    }
    Ok(format!(", proofs {count}"))
}

/// `TABLE FATE [CODE] [RULE] [of PATH#NUMBER]` for each leaf.
fn told(proof: &Json) -> Result<String> {
    let mut answers = Vec::new();
    for proved in proof["leaves"].as_array().context("no leaves")? {
        let leaf: Json = serde_json::from_str(proved["leaf"].as_str().context("no leaf")?)?;
        let word = |name: &str| leaf[name].as_str().map(str::to_owned);
        let of = &leaf["of"];
        let of = of["path"].as_str().map(|path| format!("of {path}#{}", of["record"]));
        let words = [word("table"), word("fate"), word("code"), word("rule"), of];
        answers.push(words.into_iter().flatten().collect::<Vec<_>>().join(" "));
    }
    Ok(answers.join("; "))
}
