//! `rejects`: rejected records as work items.

mod export;
mod list;
mod retry;
mod show;
mod waive;

use std::collections::BTreeSet;

use whimbrel_endpoint::Target;
use whimbrel_ledger::reject::Pages;
use whimbrel_ledger::{Reject, RejectStatus, Run, run, step};

use crate::args::{Global, Rejects};
use crate::failure::Failure;
use crate::output::{Answer, printable};

pub(crate) async fn run(global: &Global, verb: &Rejects) -> Result<Answer, Failure> {
    match verb {
        Rejects::List(args) => list::run(args).await,
        Rejects::Show(args) => show::run(args).await,
        Rejects::Export(args) => export::run(args).await,
        Rejects::Retry(args) => retry::run(global, args).await,
        Rejects::Waive(args) => waive::run(args).await,
    }
}

/// Hands every reject of the run and of the runs it continues to `see`, in order, a page at a time:
/// a reject stays work until it is resolved, whichever run it came from.
async fn for_each(
    target: &dyn Target,
    newest: &Run,
    open_only: bool,
    see: &mut dyn FnMut(Reject) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for run in run::lineage(target, newest).await? {
        for step in step::of_run(target, &run.id).await? {
            let mut pages = Pages::of(target, &run.id, step.step);
            while let Some(page) = pages.next().await? {
                for reject in page {
                    if !open_only || reject.status == RejectStatus::Open {
                        see(reject)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// `TABLE.UNIT`, as people name a reject. Of the rejects that wait only one has that name: units are
/// numbered through all runs that continue one another.
fn name(reject: &Reject) -> String {
    format!("{}.{}", reject.target_table, reject.unit)
}

/// `file:line`, or the file alone where lines mean nothing.
fn place(reject: &Reject) -> String {
    match reject.line {
        0 => reject.source_file.clone(),
        line => format!("{}:{line}", reject.source_file),
    }
}

/// The file that holds a reject's bytes in an exported folder. Names of tables may hold anything: those
/// that cannot stand in one of a file are told apart by a digest.
fn bytes_file(reject: &Reject) -> String {
    let name = &reject.target_table;
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-".contains(c) { c } else { '_' };
    let mut table: String = name.chars().take(80).map(plain).collect();
    if table != *name {
        table.push('.');
        table.push_str(&blake3::hash(name.as_bytes()).to_hex()[..8]);
    }
    format!("{table}.{}.bytes", reject.unit)
}

/// Rejects by name, by place or by code.
struct Named<'a> {
    words: &'a [String],
    met: BTreeSet<&'a str>,
}

impl<'a> Named<'a> {
    fn new(words: &'a [String]) -> Self {
        Self { words, met: BTreeSet::new() }
    }

    /// Whether one of the words means the reject; none means all.
    fn means(&mut self, reject: &Reject) -> bool {
        let (name, place) = (name(reject), place(reject));
        let mut means = self.words.is_empty();
        for word in self.words {
            if *word == name || *word == place || *word == reject.code || word == "all" {
                self.met.insert(word);
                means = true;
            }
        }
        means
    }

    /// Words that meant no reject are mistakes.
    fn all_met(&self, run: &Run) -> Result<(), Failure> {
        let unmet = |word: &&String| !self.met.contains(word.as_str()) && *word != "all";
        let unmet: Vec<String> = self
            .words
            .iter()
            .filter(unmet)
            .map(|word| format!("`{}`", printable(word, 200)))
            .collect();
        if unmet.is_empty() {
            return Ok(());
        }
        let message = format!("no open reject of run {} is meant by {}", run.id, unmet.join(", "));
        Err(Failure::usage("WB0707", message, "`whimbrel rejects list --all` names them"))
    }
}
