//! States of databases: in which one a run has read what, and whether that makes a difference.
//!
//! ```text
//! state A   users ══▶ ✓   orders ══▶ mark ✗                   the process ends, and A with it
//! state B                 orders      ════▶ ✓  tags ══▶ ✓     then users are compared in B
//! ```
//! Sources with one URL are read in one state as long as a process keeps it. What is read afterwards is
//! of a newer one. Rows before a mark are proved to be the same there before reading goes on; items that
//! were done are compared once everything is loaded: if they are the same, all that was read is of the
//! last state. Where states have the same name nothing was written in between, and nothing is compared.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use whimbrel_endpoint::{EndpointError, ErrorClass, Freshness};
use whimbrel_ledger::{Check, CheckStatus, Item, ItemStatus, Run, RunKind, item};

use crate::cancel::StopReason;
use crate::error::{CoreError, While};
use crate::event::Event;
use crate::incremental;
use crate::load;
use crate::migrate::Job;
use crate::patience::repeatedly;
use crate::survey::{Found, SurveyedStep, said_once};

/// Another state than before.
const STATE_NEW: &str = "WB0633";
/// The content of a source in the last state is not what was read.
const OUTDATED: &str = "WB0634";

/// How often everything is compared again because the state was lost meanwhile.
const ROUNDS: usize = 5;

/// How often to look whether the run is to stop while a source is compared.
const LOOK: Duration = Duration::from_millis(200);

/// A source that is not what a run has read of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Outdated {
    /// The source.
    pub source: String,
    /// What its rows are of: a table, or `query`.
    pub rows_of: String,
    /// True where all that was read is the same, and more rows follow it.
    pub appended: bool,
}

/// What was compared, in the end.
pub(crate) struct Compared {
    item: Item,
    found: Freshness,
}

/// The states that a process has met.
#[derive(Default)]
pub(crate) struct States {
    /// By source: the state that it is read in, as it was when last looked at.
    last: BTreeMap<String, String>,
    /// The state in which an item was read as a whole, or in which it is known to be the same.
    seen: BTreeMap<Place, String>,
    /// What people should know, for the ledger.
    pub(crate) findings: Vec<Found>,
}

/// Run, step, ordinal of an item.
type Place = (String, u64, u64);

fn place(item: &Item) -> Place {
    (item.run.clone(), item.step, item.ordinal)
}

/// A step that reads databases, when it begins.
pub(crate) struct Began {
    states: BTreeMap<String, String>,
    done: BTreeSet<u64>,
}

impl States {
    /// What is known when a process begins a run, or goes on with one. Says where that is in another
    /// state than before.
    pub(crate) async fn at_the_beginning(
        job: &Job<'_>,
        run: &Run,
        resumed: bool,
    ) -> Result<Self, CoreError> {
        let state = |(name, source): (&String, &crate::SourceSurvey)| {
            Some((name.clone(), source.state.clone()?))
        };
        let last: BTreeMap<String, String> = job.survey.sources.iter().filter_map(state).collect();
        let mut states = Self { last, ..Self::default() };
        // A retry recognises each record that it reads by its bytes.
        if states.last.is_empty() || run.kind == RunKind::Retry {
            return Ok(Self::default());
        }
        let begun_in = recorded(run);
        let known = |source: &String| !resumed || begun_in.get(source) == states.last.get(source);
        let done = states.done(job, run).await?;
        let same = done.iter().filter(|item| known(&item.source));
        let same = same.map(|item| (place(item), states.last[&item.source].clone())).collect();
        if resumed {
            let items = item::of_run(job.ports.target.as_ref(), &run.id).await.in_ledger()?;
            let begun = items.iter().filter(|item| item.status != ItemStatus::Pending);
            let read: BTreeSet<&String> =
                begun.chain(&done).map(|item| &item.source).filter(|one| !known(one)).collect();
            let read: Vec<String> =
                read.into_iter().filter(|one| states.last.contains_key(*one)).cloned().collect();
            states.tell(job, &read);
        }
        states.seen = same;
        Ok(states)
    }

    /// Says that sources are read in a newer state than before.
    fn tell(&mut self, job: &Job<'_>, sources: &[String]) {
        let message = "the database is read in a newer state than before: sources that were done are \
                       compared with it once everything is loaded; nobody should write to it until then";
        let found = |source: &String| Found {
            at: format!("source {source}"),
            code: STATE_NEW,
            message: message.to_owned(),
        };
        for found in said_once(sources.iter().map(found).collect()) {
            let message = format!("{}: {}", found.at, found.message);
            job.ports.events.emit(Event::Warning { code: found.code, message });
            if !self.findings.contains(&found) {
                self.findings.push(found);
            }
        }
    }

    /// Asks these sources for their states, and says where one is not what it was: of all at once.
    async fn look(&mut self, job: &Job<'_>, sources: &[&str]) -> Result<(), CoreError> {
        let mut lost = self.ask(job, sources).await?;
        if lost.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = self.last.keys().cloned().collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        lost.append(&mut self.ask(job, &all).await?);
        lost.sort_unstable();
        self.tell(job, &lost);
        Ok(())
    }

    /// Those of the sources whose state is not what it was.
    async fn ask(&mut self, job: &Job<'_>, sources: &[&str]) -> Result<Vec<String>, CoreError> {
        let mut lost = Vec::new();
        for name in sources {
            let Some(last) = self.last.get_mut(*name) else { continue };
            let asking = async || {
                let state = job.ports.sources[*name].state().await;
                state.during(|| format!("looking at `{name}`"))
            };
            let state = repeatedly(job.ports, load::retries(job.plan), asking).await?;
            let state = state.unwrap_or_default();
            if *last != state {
                *last = state;
                lost.push((*name).to_owned());
            }
        }
        Ok(lost)
    }

    /// Before a step: `None` where it reads no database.
    pub(crate) async fn before(
        &mut self,
        job: &Job<'_>,
        surveyed: &SurveyedStep,
        run: &Run,
        step: u64,
    ) -> Result<Option<Began>, CoreError> {
        let from = job.plan.tables[surveyed.mapping].from.iter();
        let sources: Vec<&str> = from.map(|from| from.value.as_str()).collect();
        if !sources.iter().any(|source| self.last.contains_key(*source)) {
            return Ok(None);
        }
        self.look(job, &sources).await?;
        let states = self.last.clone();
        let items = item::of_step(job.ports.target.as_ref(), &run.id, step).await.in_ledger()?;
        let done = items.iter().filter(|item| item.status == ItemStatus::Completed);
        Ok(Some(Began { states, done: done.map(|item| item.ordinal).collect() }))
    }

    /// After a step: its items were read in the state that lasted for all of it.
    pub(crate) async fn after(
        &mut self,
        job: &Job<'_>,
        run: &Run,
        step: u64,
        began: Began,
    ) -> Result<(), CoreError> {
        let items = item::of_step(job.ports.target.as_ref(), &run.id, step).await.in_ledger()?;
        let sources: BTreeSet<&str> = items.iter().map(|item| item.source.as_str()).collect();
        self.look(job, &Vec::from_iter(sources)).await?;
        for item in items.iter().filter(|item| !began.done.contains(&item.ordinal)) {
            let Some(state) = self.last.get(&item.source) else { continue };
            if began.states.get(&item.source) == Some(state) {
                self.seen.insert(place(item), state.clone());
            }
        }
        Ok(())
    }

    /// Compares what was read in other states than the last one with what is there now. All that was
    /// read is of one state where nothing of it differs.
    pub(crate) async fn compare(
        &mut self,
        job: &Job<'_>,
        run: &Run,
    ) -> Result<Result<Vec<Compared>, StopReason>, CoreError> {
        if self.last.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let done = self.done(job, run).await?;
        let mut found: BTreeMap<Place, Freshness> = BTreeMap::new();
        for _round in 0..ROUNDS {
            let sources: Vec<String> = self.last.keys().cloned().collect();
            let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
            self.look(job, &sources).await?;
            let doubted = |item: &&Item| self.seen.get(&place(item)) != self.last.get(&item.source);
            let doubted: Vec<&Item> = done.iter().filter(doubted).collect();
            if doubted.is_empty() {
                let compared = done.into_iter().filter_map(|item| {
                    let found = found.get(&place(&item)).copied()?;
                    Some(Compared { item, found })
                });
                return Ok(Ok(compared.collect()));
            }
            // Several tables may be made of one source.
            let mut same_mark: Vec<(&Item, Freshness)> = Vec::new();
            for item in doubted {
                let twin = |(other, _): &&(&Item, Freshness)| {
                    (&other.source, &other.source_file, &other.mark)
                        == (&item.source, &item.source_file, &item.mark)
                };
                let freshness = match same_mark.iter().find(twin) {
                    Some((_, freshness)) => *freshness,
                    None => match freshness(job, item).await? {
                        Ok(freshness) => freshness,
                        Err(reason) => return Ok(Err(reason)),
                    },
                };
                same_mark.push((item, freshness));
                found.insert(place(item), freshness);
                // Whether it was this state is seen by the next look.
                self.seen.insert(place(item), self.last[&item.source].clone());
            }
        }
        let what = "the database's state was lost again and again while it was compared";
        let source = EndpointError::new(ErrorClass::Transient, STATE_NEW, what);
        Err(CoreError::Endpoint { doing: "comparing what was read".to_owned(), source })
    }

    /// What the run and those that it goes back to have read of databases, as it was read last.
    async fn done(&self, job: &Job<'_>, run: &Run) -> Result<Vec<Item>, CoreError> {
        let mut done = incremental::read_whole(job.ports, run).await?;
        done.retain(|item| {
            let there = job.survey.find(&item.source, &item.source_file).is_some();
            there && self.last.contains_key(&item.source) && item.mark.is_some()
        });
        Ok(done)
    }
}

/// The states that the run began to read in, by source.
fn recorded(run: &Run) -> BTreeMap<String, String> {
    let sources: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(&run.sources).unwrap_or_default();
    let state = |(name, found): (String, serde_json::Value)| {
        Some((name, found.get("state")?.as_str()?.to_owned()))
    };
    sources.into_iter().filter_map(state).collect()
}

/// How the source stands against what was read of it; a reason to stop may come first.
async fn freshness(job: &Job<'_>, item: &Item) -> Result<Result<Freshness, StopReason>, CoreError> {
    let partition = job.survey.find(&item.source, &item.source_file);
    let partition = partition.expect("only sources that are there are asked");
    let mark = item.mark.as_ref().expect("only items with a mark are asked");
    let source = &job.ports.sources[&item.source];
    let comparing = async || {
        let compared = source.compare(partition, mark).await;
        compared.during(|| format!("comparing `{}` with what was read", item.source_file))
    };
    tokio::select! {
        compared = repeatedly(job.ports, load::retries(job.plan), comparing) => compared.map(Ok),
        reason = asked(job) => Ok(Err(reason)),
    }
}

async fn asked(job: &Job<'_>) -> StopReason {
    loop {
        if let Some(reason) = load::asked_to_stop(job) {
            return reason;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The sources that differ, each once.
pub(crate) fn outdated(compared: &[Compared]) -> Vec<Outdated> {
    let mut all: Vec<Outdated> = Vec::new();
    for Compared { item, found } in compared {
        let appended = match found {
            Freshness::Same => continue,
            Freshness::Appended => true,
            Freshness::Changed => false,
        };
        let (source, rows_of) = (&item.source, &item.source_file);
        match all.iter_mut().find(|one| (&one.source, &one.rows_of) == (source, rows_of)) {
            Some(known) => known.appended &= appended,
            None => {
                all.push(Outdated { source: source.clone(), rows_of: rows_of.clone(), appended });
            }
        }
    }
    all
}

/// Warns of what differs.
pub(crate) fn warn(job: &Job<'_>, outdated: &[Outdated]) {
    for one in outdated {
        let message = format!("source {}: {}", one.source, difference(&one.rows_of, one.appended));
        job.ports.events.emit(Event::Warning { code: OUTDATED, message });
    }
}

fn difference(rows_of: &str, appended: bool) -> String {
    if appended {
        format!("rows were added to it since this run has read it: `{rows_of}`")
    } else {
        format!("it is no longer what this run has read: `{rows_of}`")
    }
}

/// What was compared, for the ledger.
pub(crate) fn checks(compared: &[Compared], run: &Run, now: &str, first: u64) -> Vec<Check> {
    let check = |(index, Compared { item, found }): (usize, &Compared)| {
        let wrong = match found {
            Freshness::Same => None,
            Freshness::Appended => Some(difference(&item.source_file, true)),
            Freshness::Changed => Some(difference(&item.source_file, false)),
        };
        Check {
            run: run.id.clone(),
            seq: first + index as u64,
            phase: "finish".to_owned(),
            check_type: "sources".to_owned(),
            check_name: item.source.clone(),
            status: if wrong.is_none() { CheckStatus::Passed } else { CheckStatus::Failed },
            expected_count: None,
            actual_count: None,
            details: None,
            error_message: wrong.map(|wrong| format!("{OUTDATED}: {wrong}")),
            created_at: now.to_owned(),
        }
    };
    compared.iter().enumerate().map(check).collect()
}
