//! Reads everything about a run from the ledger, page by page: memory does not grow with the
//! number of rejects, files or batches.

mod accounts;
mod files;
mod next;
mod notes;
mod pace;
pub(crate) mod rejects;
mod relates;
pub(crate) mod run;

use whimbrel_endpoint::{EndpointError, Target};
use whimbrel_ledger::{Batch, Run, RunStatus, Step, chain, check, pages, step};

use crate::codes::{CHAIN_BROKEN, NO_SUCH_RUN};
use crate::report::{Listed, Outcome, Remark, RunReport, SCHEMA};
use accounts::Tables;
use files::Files;
use notes::Notes;
use pace::Clocked;
use rejects::RejectTally;

pub use relates::relates;

/// Rows of the ledger that are held at a time.
const PAGE: u64 = 1_000;

/// How many of each list a report holds.
pub(crate) mod limits {
    pub(crate) const TABLES: usize = 500;
    pub(crate) const NOTES: usize = 500;
    pub(crate) const NOTE_SAMPLES: usize = 5;
    pub(crate) const WORST_FILES: usize = 20;
    pub(crate) const SET_ASIDE: usize = 100;
    pub(crate) const GROUPS: usize = 1_000;
    pub(crate) const GROUPS_COUNTED: usize = 20_000;
    pub(crate) const REJECT_SAMPLES: usize = 3;
    pub(crate) const SOURCES: usize = 200;
    pub(crate) const CODES: usize = 200;
    pub(crate) const COLUMNS: usize = 500;
    pub(crate) const ENDS: usize = 200;
    pub(crate) const WAIVERS: usize = 50;
    pub(crate) const WAIVERS_COUNTED: usize = 1_000;
    pub(crate) const CHECKS: usize = 1_000;
    pub(crate) const CHECKPOINTS: usize = 200;
    pub(crate) const ATTEMPTS: usize = 100;
    pub(crate) const HOURS: usize = 500;
    pub(crate) const SPILLED: usize = 50;
    pub(crate) const RELATED: usize = 50;
    pub(crate) const RELATES: usize = 500;
    pub(crate) const RELATE_TABLES: usize = 20;
    pub(crate) const REMARKS: usize = 20;
    pub(crate) const POINTS: usize = 200;
    /// Characters of a name, a value, a message, a path.
    pub(crate) const NAME: usize = 120;
    pub(crate) const VALUE: usize = 120;
    pub(crate) const MESSAGE: usize = 300;
    pub(crate) const PATH: usize = 200;
}

/// How a report is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether excerpts of legacy values stand in it, messages, which may quote them, and the words in
    /// which rejects were waived. Names of files, columns and rules do in any case.
    pub include_values: bool,
    /// The plan, where commands have to name it because it is not `whimbrel.toml`.
    pub plan: Option<String>,
    /// The title of a code, where the caller knows it.
    pub title_of: fn(&str) -> Option<&'static str>,
}

impl Default for Options {
    fn default() -> Self {
        Self { include_values: true, plan: None, title_of: |_code| None }
    }
}

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GatherError {
    /// The ledger does not hold the run.
    #[error("the ledger holds no run `{0}`")]
    NoSuchRun(String),
    /// The ledger could not be read.
    #[error("reading the ledger of run `{run}`")]
    Ledger {
        /// The run.
        run: String,
        /// Why.
        #[source]
        source: EndpointError,
    },
}

impl GatherError {
    /// The code that `explain` knows.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoSuchRun(_) => NO_SUCH_RUN,
            Self::Ledger { source, .. } => source.code,
        }
    }
}

/// Everything about one run, bounded whatever the size of the data.
///
/// Reads what is committed; a run that goes on meanwhile is reported up to some batch.
pub async fn gather(
    target: &dyn Target,
    run: &str,
    options: &Options,
) -> Result<RunReport, GatherError> {
    let failed = |source| GatherError::Ledger { run: run.to_owned(), source };
    let found = whimbrel_ledger::run::get(target, run).await.map_err(failed)?;
    let found = found.ok_or_else(|| GatherError::NoSuchRun(run.to_owned()))?;
    read(target, &found, options).await.map_err(failed)
}

/// What is summed up while the ledger streams by.
struct Tallies {
    tables: Tables,
    notes: Notes,
    files: Files,
    rejects: RejectTally,
    clocked: Clocked,
    remarks: Listed<Remark>,
}

async fn read(
    target: &dyn Target,
    run: &Run,
    options: &Options,
) -> Result<RunReport, EndpointError> {
    let steps = step::of_run(target, &run.id).await?;
    let mut tallies = Tallies {
        tables: Tables::default(),
        notes: Notes::new(options),
        files: Files::new(options),
        rejects: RejectTally::new(options),
        clocked: Clocked::read(target, run, options.title_of).await?,
        remarks: Listed::default(),
    };
    for step in &steps {
        if let Some(table) = &step.target_table {
            tallies.step(target, run, step, table).await?;
        }
    }
    put_together(target, run, options, &steps, tallies).await
}

impl Tallies {
    async fn step(
        &mut self,
        target: &dyn Target,
        run: &Run,
        step: &Step,
        table: &str,
    ) -> Result<(), EndpointError> {
        self.tables.begin(step, table);
        let mut after = None;
        loop {
            let page = pages::batches(target, &run.id, step.step, after, PAGE).await?;
            for batch in &page {
                self.batch(batch, table);
            }
            match page.last() {
                Some(last) if page.len() as u64 == PAGE => after = Some(last.batch),
                Some(_) | None => break,
            }
        }
        let mut after = None;
        loop {
            let page = pages::items(target, &run.id, step.step, after, PAGE).await?;
            for item in &page {
                self.tables.item(item);
                self.files.item(item, table);
            }
            match page.last() {
                Some(last) if page.len() as u64 == PAGE => after = Some(last.ordinal),
                Some(_) | None => break,
            }
        }
        let mut after = None;
        loop {
            let page = pages::rejects(target, &run.id, step.step, after, PAGE).await?;
            self.tables.rejects(page.len() as u64);
            for reject in &page {
                self.rejects.reject(reject);
            }
            match page.last() {
                Some(last) if page.len() as u64 == PAGE => after = Some(last.unit),
                Some(_) | None => break,
            }
        }
        Ok(())
    }

    fn batch(&mut self, batch: &Batch, table: &str) {
        self.tables.batch(batch);
        self.clocked.batch(batch);
        self.notes.batch(batch, table, &mut self.remarks);
    }
}

async fn put_together(
    target: &dyn Target,
    run: &Run,
    options: &Options,
    steps: &[Step],
    mut tallies: Tallies,
) -> Result<RunReport, EndpointError> {
    let checks = check::of_run(target, &run.id).await?;
    let checkpoints = chain::checkpoints(target, &run.id).await?;
    let intact = run::chain_intact(&checkpoints);
    if !intact {
        let message = "a checkpoint does not carry the hash that it must".to_owned();
        tallies.remarks.push(limits::REMARKS, || Remark { code: CHAIN_BROKEN, message });
    }
    let options_json = run::options_of(run, &mut tallies.remarks);
    let sources = run::sources_of(run, &mut tallies.remarks);
    let totals = tallies.tables.finish(run.status == RunStatus::Running);
    let (rejects, spilled) = tallies.rejects.finish();
    let verdict = run::verdict(run, totals.balanced, &rejects);
    let outcome = Outcome {
        plan: run::name(&run.plan),
        plan_digest: crate::shown::hex(&run.plan_digest),
        kind: run.kind.word(),
        status: run.status.word(),
        phase: run.phase.word(),
        verdict,
        tool_version: run::name(&run.tool_version),
        options: options_json,
        error: run::stop(run, options),
        sources,
        units: totals.units,
        rows: totals.rows,
        balanced: totals.balanced,
        tables: totals.tables,
        relates: relates(run, steps),
        notes: tallies.notes.finish(),
        worst_files: tallies.files.worst(),
        set_aside: tallies.files.set_aside,
        rejects,
        checks: run::checks(&checks, options.include_values),
        checkpoints: run::checkpoint_names(&checkpoints),
        remarks: tallies.remarks,
    };
    let next = next::steps(run, &outcome, options);
    let mut circumstances = tallies.clocked.finish(run, steps, &outcome);
    circumstances.target = run::target(&target.facts().await?);
    circumstances.checkpoints = run::checkpoint_marks(&checkpoints);
    circumstances.checkpoints_intact = intact;
    circumstances.spilled = spilled;
    circumstances.ancestors = run::ancestors(target, run).await?;
    circumstances.children = run::children(target, run).await?;
    circumstances.next = next;
    Ok(RunReport { schema: SCHEMA, outcome, digests: totals.digests, circumstances })
}
