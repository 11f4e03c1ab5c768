//! What came of all kinds of damage, as a table, and what of it is a failure.

use std::collections::BTreeMap;

use super::kinds::{Finder, Kind};
use super::verdict::{LEVELS, Outcome};
use crate::engine::Engine;

/// A kind on one system, or on none.
pub enum Entry {
    Done {
        system: &'static str,
        /// At each level.
        outcomes: Vec<Outcome>,
        /// What was done.
        damage: String,
    },
    /// Why it could not be done anywhere.
    NotHere(String),
}

pub struct Matrix<'a> {
    kinds: &'a [&'static Kind],
    levels: &'a [&'static str],
    entries: BTreeMap<(&'static str, Engine), Vec<Entry>>,
}

impl<'a> Matrix<'a> {
    pub fn new(kinds: &'a [&'static Kind], levels: &'a [&'static str]) -> Self {
        Self { kinds, levels, entries: BTreeMap::new() }
    }

    pub fn add(&mut self, kind: &Kind, engine: Engine, entry: Entry) {
        self.entries.entry((kind.name, engine)).or_default().push(entry);
    }

    fn engines(&self) -> Vec<Engine> {
        let is_there = |engine: &Engine| self.entries.keys().any(|(_, own)| own == engine);
        Engine::ALL.into_iter().filter(is_there).collect()
    }

    /// Kinds below one another, engines and levels side by side; then why some are not there.
    pub fn table(&self) -> String {
        let engines = self.engines();
        let mut text = String::from("| damage | to be found by |");
        for engine in &engines {
            for level in self.levels {
                let head =
                    if self.levels.len() == 1 { String::new() } else { format!(", {level}") };
                text.push_str(&format!(" {engine}{head} |"));
            }
        }
        text.push_str(&format!("\n|{}\n", "---|".repeat(2 + engines.len() * self.levels.len())));
        let mut reasons = Vec::new();
        for kind in self.kinds {
            text.push_str(&format!("| {} | {} |", kind.name, kind.finder.name()));
            for engine in &engines {
                let entries = self.entries.get(&(kind.name, *engine)).map_or(&[][..], |own| own);
                for (at, _) in self.levels.iter().enumerate() {
                    text.push_str(&format!(" {} |", cell(entries, at)));
                }
                for entry in entries {
                    if let Entry::NotHere(reason) = entry {
                        reasons.push(format!("{} on {engine}: {reason}", kind.name));
                    }
                }
            }
            text.push('\n');
        }
        if !reasons.is_empty() {
            text.push_str("\nNot there:\n");
            for reason in reasons {
                text.push_str(&format!("- {reason}\n"));
            }
        }
        text
    }

    /// What was to be found and was not, or was and should not have been.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for kind in self.kinds {
            for ((_, engine), entries) in
                self.entries.iter().filter(|((name, _), _)| *name == kind.name)
            {
                for entry in entries {
                    let Entry::Done { system, outcomes, damage } = entry else { continue };
                    for (level, outcome) in self.levels.iter().zip(outcomes) {
                        if let Some(what) = failure(kind.finder, level, outcome) {
                            let name = kind.name;
                            failures.push(format!(
                                "- {name}, `{system}` on {engine}, {level}: {what}\n    {damage}"
                            ));
                        }
                    }
                }
            }
        }
        failures
    }
}

fn cell(entries: &[Entry], at: usize) -> String {
    let mut words: Vec<&str> = Vec::new();
    for entry in entries {
        let word = match entry {
            Entry::NotHere(_) => "n/a",
            Entry::Done { outcomes, .. } => match outcomes.get(at) {
                Some(Outcome::Found) => "found",
                Some(Outcome::Unnamed(_)) => "found, not named",
                Some(Outcome::Missed) => "–",
                Some(Outcome::Quiet) => "quiet",
                Some(Outcome::Alarm(_)) => "FALSE ALARM",
                Some(Outcome::Unclear(..)) => "not verified",
                None => "",
            },
        };
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(" / ")
}

/// What is wrong with an outcome, if something is.
fn failure(finder: Finder, level: &str, outcome: &Outcome) -> Option<String> {
    let place = |name: &str| LEVELS.iter().position(|level| *level == name);
    let is_due = place(level) >= place(finder.name());
    match outcome {
        Outcome::Found | Outcome::Quiet => None,
        Outcome::Missed => is_due.then(|| "missed".to_owned()),
        Outcome::Unnamed(what) => (level == "rigorous").then(|| what.clone()),
        Outcome::Alarm(what) => Some(format!("false alarm: {what}")),
        Outcome::Unclear(code, what) => is_due.then(|| format!("exit {code:?}: {what}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_levels_that_must_find_it_can_miss_it() {
        let failed = |finder, level, outcome: &Outcome| failure(finder, level, outcome).is_some();
        assert!(failed(Finder::Standard, "standard", &Outcome::Missed));
        assert!(failed(Finder::Standard, "rigorous", &Outcome::Missed));
        assert!(!failed(Finder::Standard, "basic", &Outcome::Missed));
        assert!(failed(Finder::Audit, "basic", &Outcome::Missed));
        assert!(failed(Finder::Nobody, "basic", &Outcome::Alarm(String::new())));
        assert!(failed(Finder::Basic, "rigorous", &Outcome::Unnamed(String::new())));
        assert!(!failed(Finder::Basic, "basic", &Outcome::Unnamed(String::new())));
        assert!(failed(Finder::Basic, "basic", &Outcome::Unclear(Some(8), String::new())));
    }
}
