//! Loading one table: threads read, transform and hash; one writer commits batches in source order.
//!
//! ```text
//! queue of items ─▶ worker 1: read → transform → hash ─▶ channel ─┐ in source order
//!    (in order)  ─▶ worker 2: read → transform → hash ─▶ channel ─┴─▶ writer ─▶ batches
//! ```
//! Bytes in flight are bounded. After a transient error everything is thrown away and begun again
//! from the committed marks: a retry is a resume.

pub(crate) mod again;
mod book;
mod digests;
pub(crate) mod dry;
mod gate;
pub(crate) mod indexes;
mod judge;
mod outbox;
mod pace;
mod produced;
mod stage;
mod work;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use whimbrel_endpoint::{EndpointError, ErrorClass};
use whimbrel_ledger::{
    Counts, Item, Layout, Parked, Run, RunKind, Step, StepStatus, Versions, batch, item, meta,
    pages, reject, step,
};
use whimbrel_model::Class;
use whimbrel_model::plan::{Budget, Plan, TableMapping};

use self::digests::RowDigester;
use self::gate::Gate;
use self::outbox::Failed;
pub(crate) use self::pace::Pace;
pub(crate) use self::produced::{Fate, Produced};
pub(crate) use self::stage::Choice;
use self::stage::{ParentIndex, Shared};
use self::work::{Work, works};
use self::writer::{After, CommitError, Committed, StepContext, Writer};
use crate::cancel::StopReason;
use crate::error::{CoreError, While};
use crate::event::{Event, NamedCounts, Progress, Rate};
use crate::lease::Lease;
use crate::migrate::Job;
use crate::options::Options;
use crate::patience::{Patience, passes, pause};
use crate::ports::{Ports, rfc3339};
use crate::retry;
use crate::standing;
use crate::survey::{Survey, SurveyedStep, references};
use crate::window::{self, WindowState};

/// How the load of a table ended.
pub(crate) enum LoadEnd {
    Done,
    Stopped(StopReason),
}

/// A batch is closed at as many rows as [`Pace`] says, or bytes …
const BATCH_BYTES: u64 = 64 << 20;
/// … or after this time.
const BATCH_TIME: Duration = Duration::from_secs(2);

/// Everything that stays the same over the attempts of a step.
struct Task<'a> {
    ports: &'a Ports,
    plan: &'a Plan,
    survey: &'a Survey,
    surveyed: &'a SurveyedStep,
    options: &'a Options,
    run: &'a Run,
    step: u64,
    lease: &'a Lease,
    project_key: [u8; 32],
    /// The units that are taken, where it is a sample.
    sample: Option<Arc<BTreeSet<u64>>>,
}

/// Loads one table, or goes on with it.
pub(crate) async fn step(
    job: &Job<'_>,
    surveyed: &SurveyedStep,
    run: &Run,
    number: u64,
    lease: &Lease,
    sample: Option<Arc<BTreeSet<u64>>>,
    pace: &mut Pace,
) -> Result<LoadEnd, CoreError> {
    let Job { ports, plan, survey, options } = *job;
    let project_key = meta::digest_key(ports.target.as_ref()).await.during(reading)?;
    let task = Task {
        ports,
        plan,
        survey,
        surveyed,
        options,
        run,
        step: number,
        lease,
        project_key,
        sample,
    };
    let steps = step::of_run(ports.target.as_ref(), &run.id).await.during(reading)?;
    let row = steps.into_iter().find(|step| step.step == number);
    let row = row.ok_or_else(|| CoreError::NoSuchRun(run.id.clone()))?;
    if row.status == StepStatus::Completed {
        return Ok(LoadEnd::Done);
    }
    let row = task.mark_running(row).await?;
    indexes::park(&task).await?;
    let mut attempt = 0;
    loop {
        let mut batches = 0;
        let error = match task.attempt(&row, attempt, &mut batches, pace).await {
            Ok(LoadEnd::Stopped(reason)) => return Ok(LoadEnd::Stopped(reason)),
            Ok(LoadEnd::Done) => {
                let own = |index: &Parked| index.run == run.id && index.step == number;
                indexes::restore(ports, retries(plan), lease, own).await?;
                return Ok(LoadEnd::Done);
            }
            Err(error) => error,
        };
        if error.leaves_out_orphans() {
            // The same batch once more, as large as it was: parents may stand at its end.
            attempt = if batches > 0 { 0 } else { attempt };
            continue;
        }
        // Each batch has its own retries.
        attempt = if batches > 0 { 1 } else { attempt + 1 };
        let Some(message) = error.transient().filter(|_| attempt <= retries(plan)) else {
            return Err(error.into_core(&task));
        };
        pause(ports, attempt, message).await;
    }
}

/// How often something is tried again after an error that may pass.
pub(crate) fn retries(plan: &Plan) -> u32 {
    plan.run.retries.unwrap_or(3)
}

/// Why to stop before the next step, if at all.
pub(crate) fn asked_to_stop(job: &Job<'_>) -> Option<StopReason> {
    let Job { ports, plan, options, .. } = *job;
    if options.deadline_at.is_some_and(|deadline| ports.clock.monotonic() >= deadline) {
        ports.cancel.stop(StopReason::Deadline);
    }
    if let Some(WindowState::Closed(_)) = window::state(plan, ports.clock.now()) {
        ports.cancel.stop(StopReason::WindowClosed);
    }
    ports.cancel.reason()
}

fn reading() -> String {
    "reading the ledger".to_owned()
}

/// Why an attempt ended early.
#[derive(Debug)]
enum AttemptError {
    Commit(CommitError),
    Stage { path: String, error: EndpointError },
    Core(CoreError),
}

impl From<CommitError> for AttemptError {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl From<EndpointError> for AttemptError {
    fn from(error: EndpointError) -> Self {
        Self::Commit(CommitError::Endpoint(error))
    }
}

impl From<Failed> for AttemptError {
    fn from(failed: Failed) -> Self {
        Self::Stage { path: failed.path, error: failed.error }
    }
}

impl From<CoreError> for AttemptError {
    fn from(error: CoreError) -> Self {
        Self::Core(error)
    }
}

impl AttemptError {
    /// The target has found out which rows it has to refuse.
    fn leaves_out_orphans(&self) -> bool {
        matches!(self, Self::Commit(CommitError::Endpoint(error))
            if error.code == whimbrel_endpoint::codes::WITHOUT_ORPHANS)
    }

    fn transient(&self) -> Option<String> {
        let error = match self {
            Self::Commit(CommitError::Endpoint(error)) | Self::Stage { error, .. } => error,
            Self::Commit(CommitError::Unbalanced { .. }) | Self::Core(_) => return None,
        };
        passes(error).then(|| error.to_string())
    }

    fn into_core(self, task: &Task<'_>) -> CoreError {
        let table = task.surveyed.table.name.clone();
        match self {
            Self::Core(error) => error,
            Self::Commit(CommitError::Unbalanced { table, units, rows }) => CoreError::Unbalanced {
                table,
                detail: format!(
                    "a batch of {} units and {} rows",
                    units.read.n(),
                    rows.produced.n()
                ),
            },
            Self::Commit(CommitError::Endpoint(source)) => {
                CoreError::Endpoint { doing: format!("writing to `{table}`"), source }
            }
            Self::Stage { path, error } if error.class == ErrorClass::Changed => {
                match task.run.kind {
                    RunKind::Retry => CoreError::RejectChanged { path },
                    RunKind::Full | RunKind::Incremental => {
                        CoreError::SourceChanged { run: task.run.id.clone(), path }
                    }
                }
            }
            Self::Stage { path, error } => {
                CoreError::Endpoint { doing: format!("reading `{path}`"), source: error }
            }
        }
    }
}

impl Task<'_> {
    fn mapping(&self) -> &TableMapping {
        &self.plan.tables[self.surveyed.mapping]
    }

    /// Says in the ledger that the step is being worked on.
    async fn mark_running(&self, row: Step) -> Result<Step, CoreError> {
        if row.status == StepStatus::Running {
            return Ok(row);
        }
        let now = rfc3339(self.ports.clock.now());
        let running = Step {
            status: StepStatus::Running,
            started_at: row.started_at.clone().or(Some(now)),
            error_message: None,
            ..row
        };
        let table = &self.surveyed.table;
        let doing = || format!("beginning to load `{}`", table.name);
        let patience = Patience::new(self.ports, retries(self.plan), self.lease);
        let write = async |_| {
            let mut txn = self.ports.target.begin(self.lease.fence).await.during(doing)?;
            let mut running = running.clone();
            if running.rollback_data.is_none() {
                // Before its first row: what stands there now is somebody else's, or an earlier run's.
                let rows_before = txn.count(&table.name).await.during(doing)?;
                let layout = Layout::of(table, rows_before);
                running.rollback_data = Some(layout.to_json());
            }
            step::put(txn.as_mut(), std::slice::from_ref(&running)).await.during(doing)?;
            txn.commit().await.during(doing)?;
            Ok(running)
        };
        patience.carry_out(write).await
    }

    async fn attempt(
        &self,
        row: &Step,
        failures: u32,
        batches_done: &mut u64,
        pace: &mut Pace,
    ) -> Result<LoadEnd, AttemptError> {
        let target = self.ports.target.as_ref();
        if failures > 0 {
            // Also waits for the commit whose answer was lost: marks are read behind it.
            self.lease.renew().await?;
        }
        // Rows whose parents a server has forgotten with its last commits would be orphans.
        if let Some(step) = standing::forgotten_before(target, &self.run.id, self.step).await? {
            return Err(CoreError::Forgotten { run: self.run.id.clone(), step }.into());
        }
        let mut items = item::of_step(target, &self.run.id, self.step).await?;
        let batches = batch::of_run(target, &self.run.id).await?;
        let mut committed = Counts::default();
        let mut before = Counts::default();
        for batch in &batches {
            let counts = Counts::of(&batch.units);
            if batch.step == self.step { committed.add(&counts) } else { before.add(&counts) }
        }
        let next_batch = batches.iter().filter(|batch| batch.step == self.step).count() as u64;
        let works = self.works(&items).await?;
        let bytes: u64 = works.iter().map(Work::bytes).sum();
        self.ports.events.emit(Event::StepStarted {
            table: self.surveyed.table.name.clone(),
            files: works.len() as u64,
            bytes,
        });
        let context = StepContext {
            ports: self.ports,
            run: &self.run.id,
            step: self.step,
            fence: self.lease.fence,
            table: self.surveyed.table.clone(),
            existing: self.mapping().existing,
            duplicates: self.mapping().duplicates.as_ref().map(|duplicates| duplicates.conflict),
            mappings: self.surveyed.step.stores_mappings(),
            sensitive: self.surveyed.step.has_sensitive(),
            digester: RowDigester::new(&self.project_key, &self.surveyed.table),
            origins: self.origins().await?,
        };
        let mut writer = Writer::new(context, &mut items, next_batch, committed);
        let mut flow = Flow::new(self, bytes, before, failures, pace);
        flow.rules = self.violations(&batches).await?;
        if let Some(reason) = self.over_budget(&writer, &flow) {
            return Ok(LoadEnd::Stopped(reason));
        }
        let parents = self.parents().await?;
        let stopped = self.pump(works, parents, &mut writer, &mut flow).await;
        *batches_done = writer.next_batch - next_batch;
        let stopped = match stopped {
            Ok(stopped) => stopped,
            Err(error) => {
                // The first error is the one that matters; the batch is gone either way.
                let _gone = writer.abandon().await;
                return Err(error);
            }
        };
        if let Some(reason) = stopped {
            return Ok(LoadEnd::Stopped(reason));
        }
        let counts = writer.committed;
        self.complete(row).await?;
        self.ports.events.emit(Event::StepFinished {
            table: self.surveyed.table.name.clone(),
            counts: NamedCounts::from(counts),
        });
        Ok(LoadEnd::Done)
    }

    /// What is left to do, in source order.
    async fn works(&self, items: &[Item]) -> Result<Vec<Work>, AttemptError> {
        let again = match self.run.kind {
            RunKind::Full | RunKind::Incremental => BTreeMap::new(),
            RunKind::Retry => {
                retry::again(self.ports, self.run, &self.surveyed.table.name, items).await?
            }
        };
        works(self.survey, items, again)
            .map_err(|path| CoreError::SourceChanged { run: self.run.id.clone(), path }.into())
    }

    /// For a retry, the steps of earlier runs with rejects of this table that wait. (What an
    /// incremental run reads again, it has said so of when it began.)
    async fn origins(&self) -> Result<Vec<(String, u64)>, EndpointError> {
        if self.run.kind != RunKind::Retry {
            return Ok(Vec::new());
        }
        let target = self.ports.target.as_ref();
        let mut origins = Vec::new();
        for (run, step) in retry::steps_before(target, self.run, &self.surveyed.table.name).await? {
            if reject::any_open(target, &run, step).await? {
                origins.push((run, step));
            }
        }
        Ok(origins)
    }

    /// Where the step finds what its references lead to.
    async fn parents(&self) -> Result<ParentIndex, EndpointError> {
        let target = Arc::clone(&self.ports.target);
        let mut versions = BTreeMap::new();
        for table in references(self.mapping()) {
            let of_table = Versions::of(target.as_ref(), &self.run.plan, table).await?;
            versions.insert(table.to_owned(), of_table);
        }
        Ok(ParentIndex::Ledger { target, versions })
    }

    /// Runs the workers and feeds the writer until everything is committed or a stop is asked for.
    async fn pump(
        &self,
        works: Vec<Work>,
        parents: ParentIndex,
        writer: &mut Writer<'_>,
        flow: &mut Flow<'_>,
    ) -> Result<Option<StopReason>, AttemptError> {
        let workers = self.options.workers(self.plan).min(works.len().max(1));
        let together = flow.batch_rows();
        let (gate, mut announced) = Gate::open(works, together, self.ports.target.rows_together());
        let shared = Shared::new(
            self.ports,
            self.plan,
            self.surveyed,
            &self.project_key,
            gate,
            parents,
            self.sample.clone().map_or(Choice::All, Choice::Sampled),
        );
        let shared = Arc::new(shared.in_chunks_of(together));
        let mut threads = tokio::task::JoinSet::new();
        for _worker in 0..workers {
            let shared = Arc::clone(&shared);
            let handle = tokio::runtime::Handle::current();
            threads.spawn_blocking(move || stage::work(&shared, &handle));
        }
        let mut result = self.feed(&shared, &mut announced, writer, flow).await;
        // Whoever still waits at the gate or at a channel has to learn that nobody listens.
        shared.gate.close();
        drop(announced);
        while let Some(ended) = threads.join_next().await {
            if ended.is_err() && result.is_ok() {
                let table = self.surveyed.table.name.clone();
                result = Err(AttemptError::Core(CoreError::ThreadLost(table)));
            }
        }
        result
    }

    async fn feed(
        &self,
        shared: &Shared,
        announced: &mut gate::Announced,
        writer: &mut Writer<'_>,
        flow: &mut Flow<'_>,
    ) -> Result<Option<StopReason>, AttemptError> {
        loop {
            let mut announcement = match self.waited(announced.recv(), writer, shared, flow).await?
            {
                Waited::For(Some(announcement)) => announcement,
                Waited::For(None) => break,
                Waited::Stopped(reason) => return Ok(Some(reason)),
            };
            let mut next = None;
            loop {
                if next.is_none() {
                    let receiving = announcement.produced.recv();
                    next = match self.waited(receiving, writer, shared, flow).await? {
                        Waited::For(message) => message,
                        Waited::Stopped(reason) => return Ok(Some(reason)),
                    };
                }
                let Some(message) = next.take() else { break };
                let produced = message?;
                next = announcement.produced.try_recv().ok();
                let after = next.as_ref().and_then(|message| message.as_ref().ok());
                let is_of_batch =
                    self.stop_reason(flow).is_none() && !self.full(writer, Some(&produced), flow);
                let after = after.map(|produced| After { produced, is_of_batch });
                flow.note(&produced, writer.items());
                let began = self.ports.clock.monotonic();
                writer.accept(produced, after).await?;
                shared.busy.write(self.ports.clock.monotonic().saturating_sub(began));
                flow.progress(writer, shared);
                if writer.owes() {
                    continue;
                }
                let stop = self.stop_reason(flow);
                if stop.is_some() || self.full(writer, None, flow) {
                    self.commit(writer, shared, flow).await?;
                    let stop = stop.or_else(|| self.over_budget(writer, flow));
                    if stop.is_some() {
                        return Ok(stop);
                    }
                }
            }
            if !announcement.done.is_done() {
                // Nothing that comes after what is missing may be written before it.
                let table = self.surveyed.table.name.clone();
                return Err(AttemptError::Core(CoreError::ThreadLost(table)));
            }
            shared.gate.drained(announcement.cost);
        }
        self.commit(writer, shared, flow).await?;
        Ok(self.over_budget(writer, flow))
    }

    /// Waits for what workers send. However long that takes, an open batch is closed in its time, and
    /// whoever asks for a stop is heard.
    async fn waited<T>(
        &self,
        receiving: impl Future<Output = T>,
        writer: &mut Writer<'_>,
        shared: &Shared,
        flow: &mut Flow<'_>,
    ) -> Result<Waited<T>, AttemptError> {
        let mut receiving = pin!(receiving);
        loop {
            if let Ok(received) = tokio::time::timeout(LOOK_EVERY, &mut receiving).await {
                return Ok(Waited::For(received));
            }
            let stop = self.stop_reason(flow);
            if stop.is_some() || self.full(writer, None, flow) {
                self.commit(writer, shared, flow).await?;
                if let Some(reason) = stop.or_else(|| self.over_budget(writer, flow)) {
                    return Ok(Waited::Stopped(reason));
                }
            }
        }
    }

    async fn commit(
        &self,
        writer: &mut Writer<'_>,
        shared: &Shared,
        flow: &mut Flow<'_>,
    ) -> Result<(), AttemptError> {
        let (rows, _, open) = writer.load();
        if rows > 0 {
            flow.pace.before_commit().await;
        }
        let began = self.ports.clock.monotonic();
        let Some(committed) = writer.commit().await? else { return Ok(()) };
        let took = self.ports.clock.monotonic().saturating_sub(began);
        shared.busy.write(took);
        for (rule, count) in &committed.rules {
            *flow.rules.entry(rule.clone()).or_default() += count;
        }
        flow.checkpoint(&committed, writer.items());
        flow.pace.after_batch(rows, began.saturating_sub(open), took).await;
        Ok(())
    }

    /// Whether the batch is full, or would be with these units.
    fn full(&self, writer: &Writer<'_>, with: Option<&Produced>, flow: &Flow<'_>) -> bool {
        let (mut rows, mut bytes, since) = writer.load();
        if let Some(produced) = with {
            rows += produced.counted();
            bytes += produced.size;
        }
        let limits = &self.plan.run;
        rows >= flow.batch_rows()
            || bytes as u64 >= limits.batch_bytes.unwrap_or(BATCH_BYTES)
            || since >= limits.batch_timeout.unwrap_or(BATCH_TIME)
    }

    fn stop_reason(&self, flow: &Flow<'_>) -> Option<StopReason> {
        let now = self.ports.clock.monotonic();
        if flow.deadline.is_some_and(|deadline| now >= deadline) {
            self.ports.cancel.stop(StopReason::Deadline);
        }
        if flow.closes.is_some_and(|closes| now >= closes) {
            self.ports.cancel.stop(StopReason::WindowClosed);
        }
        self.ports.cancel.reason()
    }

    fn over_budget(&self, writer: &Writer<'_>, flow: &Flow<'_>) -> Option<StopReason> {
        if self.run.kind == RunKind::Retry {
            // They are rejects already: the budget was spent by the run that met them.
            return None;
        }
        let mut counts = writer.committed;
        counts.add(&flow.before);
        let spent = |budget: Budget, violations: u64, read: u64| match budget {
            Budget::Count(max) => violations > max,
            Budget::Ratio(max) => {
                read >= self.plan.rejects.after && violations as f64 > max * read as f64
            }
        };
        let rejected = counts.class(Class::Rejected);
        if self.plan.rejects.max.is_some_and(|max| spent(max, rejected, counts.read)) {
            return Some(StopReason::RejectLimit);
        }
        let rule = self.mapping().rules.iter().position(|rule| {
            let violations = flow.rules.get(&rule.name.value).copied().unwrap_or(0);
            rule.max.is_some_and(|max| spent(max, violations, writer.committed.read))
        });
        rule.map(|rule| StopReason::RuleLimit { table: self.surveyed.mapping, rule })
    }

    /// How often each rule of this step was broken in batches that are committed already.
    async fn violations(
        &self,
        batches: &[batch::Batch],
    ) -> Result<BTreeMap<String, u64>, EndpointError> {
        let mut rules = BTreeMap::new();
        if self.mapping().rules.iter().all(|rule| rule.max.is_none()) {
            return Ok(rules);
        }
        for batch in batches.iter().filter(|batch| batch.step == self.step) {
            let notes: Vec<serde_json::Value> =
                serde_json::from_str(&batch.notes).unwrap_or_default();
            for note in notes {
                if let (Some(rule), Some(count)) = (note["rule"].as_str(), note["count"].as_u64()) {
                    *rules.entry(rule.to_owned()).or_default() += count;
                }
            }
        }
        let mut after = None;
        loop {
            let target = self.ports.target.as_ref();
            let page = pages::rejects(target, &self.run.id, self.step, after, 1000).await?;
            let Some(last) = page.last() else { return Ok(rules) };
            after = Some(last.unit);
            for rule in page.into_iter().filter_map(|reject| reject.rule) {
                *rules.entry(rule).or_default() += 1;
            }
        }
    }

    async fn complete(&self, row: &Step) -> Result<(), AttemptError> {
        let now = rfc3339(self.ports.clock.now());
        let done = Step { status: StepStatus::Completed, completed_at: Some(now), ..row.clone() };
        let mut txn = self.ports.target.begin(self.lease.fence).await?;
        step::put(txn.as_mut(), &[done]).await?;
        txn.commit().await?;
        Ok(())
    }
}

/// What came of waiting.
enum Waited<T> {
    For(T),
    Stopped(StopReason),
}

/// Whoever waits looks this often whether to stop.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is told about a load while it goes on, and when it has to stop.
struct Flow<'a> {
    ports: &'a Ports,
    pace: &'a mut Pace,
    table: String,
    bytes_total: u64,
    before: Counts,
    failures: u32,
    began: Duration,
    deadline: Option<Duration>,
    closes: Option<Duration>,
    read: u64,
    rejected: u64,
    bytes: u64,
    file: String,
    told: Duration,
    rate: Rate,
    /// Violations of each rule, in committed batches.
    rules: BTreeMap<String, u64>,
}

/// Progress is told at most this often.
const TELL_EVERY: Duration = Duration::from_millis(200);

impl<'a> Flow<'a> {
    fn new(
        task: &Task<'a>,
        bytes_total: u64,
        before: Counts,
        failures: u32,
        pace: &'a mut Pace,
    ) -> Self {
        let now = task.ports.clock.monotonic();
        let closes = match window::state(task.plan, task.ports.clock.now()) {
            Some(WindowState::Open(left)) => Some(now + left),
            Some(WindowState::Closed(_)) => Some(now),
            None => None,
        };
        Self {
            ports: task.ports,
            pace,
            table: task.surveyed.table.name.clone(),
            bytes_total,
            before,
            failures,
            began: now,
            deadline: task.options.deadline_at,
            closes,
            read: 0,
            rejected: 0,
            bytes: 0,
            file: String::new(),
            told: now,
            rate: Rate::new(),
            rules: BTreeMap::new(),
        }
    }

    /// Rows of the batch at hand.
    fn batch_rows(&self) -> u64 {
        self.pace.batch_rows(self.failures)
    }

    fn note(&mut self, produced: &Produced, items: &[Item]) {
        self.read += produced.units.len() as u64;
        self.bytes += produced.raw.len() as u64;
        let refused = |unit: &&produced::Unit| matches!(unit.fate, produced::Fate::Rejected(_));
        self.rejected += produced.units.iter().filter(refused).count() as u64;
        if let Some(last) = produced.items.last() {
            items[last.item].source_file.clone_into(&mut self.file);
        }
    }

    fn progress(&mut self, writer: &Writer<'_>, shared: &Shared) {
        let now = self.ports.clock.monotonic();
        if now.saturating_sub(self.told) < TELL_EVERY {
            return;
        }
        self.told = now;
        let rate = self.rate.note(now, self.read);
        let elapsed = now.saturating_sub(self.began).as_secs_f64();
        let done = self.bytes as f64 / self.bytes_total.max(1) as f64;
        // How much a database holds is not known beforehand.
        let eta = (self.bytes_total > 0 && (done > 0.02 || elapsed > 5.0))
            .then(|| elapsed / done.max(1e-9) * (1.0 - done).max(0.0));
        self.ports.events.emit(Event::Progress(Progress {
            table: self.table.clone(),
            file: self.file.clone(),
            read: self.read,
            committed: writer.committed.read,
            rejected: self.rejected.max(writer.committed.class(Class::Rejected)),
            bytes: self.bytes,
            bytes_total: self.bytes_total,
            elapsed,
            rate,
            eta,
            bottleneck: shared.busy.bottleneck(),
        }));
    }

    fn checkpoint(&mut self, committed: &Committed, items: &[Item]) {
        let item = &items[committed.last_item];
        self.ports.events.emit(Event::Checkpoint {
            table: self.table.clone(),
            batch: committed.batch,
            units: committed.units,
            rows: committed.rows,
            seconds: committed.took.as_secs_f64(),
            file: item.source_file.clone(),
            record: item.mark.as_ref().map_or(0, |mark| mark.records),
        });
    }
}
