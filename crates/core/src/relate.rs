//! `relate`: steps in the target's own SQL, after all tables are loaded, each in one transaction.
//!
//! ```text
//! nothing has come, and the same text:   1 ✓    2 ✓    3 ✓                    stay as they are
//! something has come, or 1 is another:   1  ◀── undo 2 ◀── undo 3             last one first
//!                                        └▶ undo, sql, check ─▶ 2 ─▶ 3        each a transaction
//! ```
//! A step that the plan has no more is taken back likewise, once those are that were done behind it.
//! A step may rest on those before it, so it is taken back before them and done after them. What an
//! earlier run did is taken back with the undo that *it* recorded: that is what fits. Where the target
//! refuses that one, the plan's takes its place, if it is another and adopted.

mod removal;
mod undo;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use whimbrel_endpoint::{Rows, Script, Txn, failpoint};
use whimbrel_ledger::{Phase, Run, Step, StepStatus, batch, chain, run, step};
use whimbrel_model::plan::{Plan, Relate, SqlText};
use whimbrel_model::{Row, ValueRef};
use whimbrel_transform::{CompileError, MASK, excerpt, excerpt_text};

use self::removal::Removed;
pub(crate) use self::removal::{dropped_when_taken_back, removed};
use self::undo::Undo;
use crate::cancel::StopReason;
use crate::error::{CoreError, While};
use crate::event::{Event, TableRows};
use crate::lease::Lease;
use crate::load;
use crate::migrate::Job;
use crate::patience::Patience;
use crate::ports::{Ports, rfc3339};
use crate::standing;
use crate::survey::{Survey, SurveyedRelate};

/// What undoing a step needs to know: the JSON in its `rollback_data`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
struct Done {
    /// The plan's `undo` for this engine.
    undo: Option<String>,
    /// Rows that the statements changed altogether.
    rows: u64,
    /// Tables of `writes`, before and after.
    writes: Vec<TableRows>,
    /// Whether a check came after it, and found nothing.
    #[serde(default)]
    checked: bool,
    /// The run that did it, where a later one has left it as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// Set where what an earlier run did is taken back, and nothing is done yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    taken_back: bool,
}

/// The plan's steps for this engine, or a mistake for each text that is missing.
pub(crate) fn look_at(plan: &Plan, engine: &str) -> Result<Vec<SurveyedRelate>, Vec<CompileError>> {
    let missing = |relate: &Relate| -> Vec<CompileError> {
        let without = relate.texts().filter(|(_, sql)| sql.for_engine(engine).is_none());
        let name = excerpt_text(&relate.name.value);
        let error = |(key, sql): (&str, &SqlText)| CompileError {
            code: "WB0036",
            message: format!("`{key}` of `[[relate]]` `{name}` has no text for `{engine}`"),
            span: Some(sql.span.clone()),
            help: Some(format!("add `{engine} = \"…\"`")),
        };
        without.map(error).collect()
    };
    let errors: Vec<CompileError> = plan.relates.iter().flat_map(missing).collect();
    if !errors.is_empty() {
        return Err(errors);
    }
    let surveyed = |(index, relate): (usize, &Relate)| SurveyedRelate {
        index,
        digest: Plan::relate_digest(relate, engine),
    };
    Ok(plan.relates.iter().enumerate().map(surveyed).collect())
}

/// Refuses SQL that may not stand in a step, as far as the target can see that without doing it.
pub(crate) fn look_over(
    ports: &Ports,
    plan: &Plan,
    relates: &[SurveyedRelate],
    engine: &str,
) -> Result<(), CoreError> {
    for relate in relates.iter().map(|relate| &plan.relates[relate.index]) {
        let name = excerpt_text(&relate.name.value);
        for (part, sql) in relate.texts() {
            let sql = sql.for_engine(engine).unwrap_or_default().to_owned();
            let script = Script { name: format!("relate `{name}`, {part}"), sql };
            ports.target.look_over(&script).during(|| format!("relate step `{name}`"))?;
        }
    }
    Ok(())
}

/// What the ledger puts before the names of steps of SQL.
const PREFIX: &str = "relate:";

/// The name of a step in the ledger.
pub(crate) fn step_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// How the plan's steps stand against what runs of it have done.
#[derive(Default)]
pub(crate) struct Standing {
    /// Those that no run has done.
    pub(crate) new: Vec<String>,
    /// Those that were done with another text.
    pub(crate) changed: Vec<String>,
    /// Those that were done, and that the plan does not have.
    pub(crate) removed: Vec<String>,
}

/// Compares the plan's steps with what runs of it have done.
pub(crate) async fn changes(
    ports: &Ports,
    plan: &Plan,
    survey: &Survey,
) -> Result<Standing, CoreError> {
    let (mut new, mut changed) = (Vec::new(), Vec::new());
    for relate in &survey.relates {
        let name = &plan.relates[relate.index].name.value;
        match done_before(ports, &plan.name.value, u64::MAX, name).await? {
            None => new.push(name.clone()),
            Some((step, _)) if step.digest.as_deref() != Some(&relate.digest) => {
                changed.push(name.clone());
            }
            Some(_) => {}
        }
    }
    let removed = removed(ports, plan, u64::MAX).await?;
    let removed = removed.iter().map(|removed| removed.name().to_owned()).collect();
    Ok(Standing { new, changed, removed })
}

/// The row of a step that was done, once that is taken back.
fn taken_back(step: &Step) -> Step {
    let done = Done { taken_back: true, ..Done::default() };
    Step { rollback_data: Some(json!(done).to_string()), ..step.clone() }
}

/// Refuses what would have to be done again and cannot be undone, before anything is written.
pub(crate) async fn can_be_repeated(job: &Job<'_>) -> Result<(), CoreError> {
    for relate in &job.survey.relates {
        let relate = &job.plan.relates[relate.index];
        let name = &relate.name.value;
        let before = done_before(job.ports, &job.plan.name.value, u64::MAX, name).await?;
        if let Some((step, done)) = before
            && done.undo.is_none()
            && relate.undo.is_none()
        {
            return Err(CoreError::NoUndo { step: name.clone(), run: done.by.unwrap_or(step.run) });
        }
    }
    let removed = removed(job.ports, job.plan, u64::MAX).await?;
    removed.iter().try_for_each(Removed::can_be_taken_back)
}

/// The plan's runs before `seq`, the newest first.
async fn runs_before(ports: &Ports, plan: &str, seq: u64) -> Result<Vec<Run>, CoreError> {
    let mut runs = run::all(ports.target.as_ref(), None).await.in_ledger()?;
    runs.retain(|run| run.plan == plan && run.seq < seq);
    runs.sort_by_key(|run| std::cmp::Reverse(run.seq));
    Ok(runs)
}

/// The newest step of that name that a run of the plan before `seq` has completed.
async fn done_before(
    ports: &Ports,
    plan: &str,
    seq: u64,
    name: &str,
) -> Result<Option<(Step, Done)>, CoreError> {
    let target = ports.target.as_ref();
    let name = step_name(name);
    for run in runs_before(ports, plan, seq).await? {
        let steps = step::of_run(target, &run.id).await.in_ledger()?;
        let done = steps
            .into_iter()
            .find(|step| step.migration_step == name && step.status == StepStatus::Completed);
        if let Some(step) = done {
            let done = recorded(&step);
            return Ok((!done.taken_back).then_some((step, done)));
        }
    }
    Ok(None)
}

/// Whether the run of this step has done it and not taken it back.
pub(crate) fn was_done(step: &Step) -> bool {
    step.rollback_data.is_some() && !recorded(step).taken_back
}

fn recorded(step: &Step) -> Done {
    let data = step.rollback_data.as_deref().unwrap_or_default();
    serde_json::from_str(data).unwrap_or_default()
}

/// The steps of the run, in the order of the plan.
fn tasks<'a>(job: &'a Job<'_>) -> Vec<Task<'a>> {
    let first = job.survey.first_relate();
    let task = |(index, relate): (usize, &SurveyedRelate)| Task {
        job,
        relate: &job.plan.relates[relate.index],
        digest: relate.digest,
        number: first + index as u64,
    };
    job.survey.relates.iter().enumerate().map(task).collect()
}

/// Before a load: takes back the first step that an earlier run has done and that writes to a table which
/// mappings fill, and every one behind it, the last first. So the load meets its rows as it has left them,
/// and no undo meets rows that never had the step.
pub(crate) async fn before_the_load(
    job: &Job<'_>,
    run: &Run,
    lease: &Lease,
) -> Result<(), CoreError> {
    let fills = |name: &str| job.plan.tables.iter().any(|mapping| mapping.into.value == name);
    let tasks = tasks(job);
    let first =
        tasks.iter().position(|task| task.relate.writes.iter().any(|table| fills(&table.value)));
    let patience = Patience::new(job.ports, load::retries(job.plan), lease);
    for task in tasks[first.unwrap_or(tasks.len())..].iter().rev() {
        let take_back = async |_| match task.work(run, true).await? {
            Work::Redo { undo } => task.take_back(run, &undo, lease).await,
            Work::Do { .. } | Work::Leave(_) | Work::Finished { .. } => Ok(()),
        };
        patience.carry_out(take_back).await?;
    }
    Ok(())
}

/// Carries out the steps that are not done yet, in the order of the plan.
pub(crate) async fn relate(
    job: &Job<'_>,
    run: &mut Run,
    lease: &Lease,
) -> Result<Option<StopReason>, CoreError> {
    let tasks = tasks(job);
    let (works, removed) = (Vec::new(), Vec::new());
    let mut course = Course { job, lease, tasks, works, removed, in_hand: None };
    let patience = Patience::new(job.ports, load::retries(job.plan), lease);
    patience.carry_out(async |_| course.look(run).await).await?;
    while course.next().is_some() {
        if let Some(reason) = load::asked_to_stop(job) {
            return Ok(Some(reason));
        }
        patience.carry_out(async |unsure| course.go_on(run, unsure).await).await?;
    }
    Ok(None)
}

/// The steps and what is left to do of them, as the ledger had it when it was last looked at.
///
/// After an error it is looked at again: the answer of a commit may have been lost, or, where a
/// server fell that does not flush each of them, commits that were answered.
struct Course<'a> {
    job: &'a Job<'a>,
    lease: &'a Lease,
    tasks: Vec<Task<'a>>,
    works: Vec<Work>,
    /// Steps that the plan does not have any more, in the order in which they are taken back.
    removed: Vec<Removed>,
    /// The step that was said to have begun, and when.
    in_hand: Option<(usize, Duration)>,
}

/// One transaction of the course.
enum Next {
    TakeBack(usize),
    /// Take the first of those back that the plan does not have.
    Remove,
    Begin(usize),
    CarryOut(usize),
}

impl Course<'_> {
    async fn look(&mut self, run: &Run) -> Result<(), CoreError> {
        let first = self.job.survey.first_relate();
        standing::before(self.job.ports.target.as_ref(), run, first).await?;
        self.removed = removed(self.job.ports, self.job.plan, run.seq).await?;
        self.removed.sort_by_key(|removed| std::cmp::Reverse(removed.behind(&self.tasks)));
        let moved_from = self.removed.last().map(|removed| removed.behind(&self.tasks));
        self.works = works(&self.tasks, run, moved_from).await?;
        if let Some((index, _)) = self.in_hand
            && let Work::Finished { by_itself } = self.works[index]
        {
            let done = recorded(&self.tasks[index].row(run).await?);
            self.finished(index, by_itself, done);
        }
        Ok(())
    }

    /// What comes next. All that is done again is taken back before, but for the first: that is
    /// taken back in the transaction that does it again.
    fn next(&self) -> Option<Next> {
        let redone = |work: &Work| matches!(work, Work::Redo { .. });
        if let Some(removed) = self.removed.first() {
            let last = self.works.iter().rposition(redone);
            let behind = last.filter(|last| *last >= removed.behind(&self.tasks));
            return Some(behind.map_or(Next::Remove, Next::TakeBack));
        }
        let (first, last) =
            (self.works.iter().position(redone), self.works.iter().rposition(redone));
        if first != last {
            return last.map(Next::TakeBack);
        }
        let unfinished = |work: &Work| !matches!(work, Work::Finished { .. });
        let index = self.works.iter().position(unfinished)?;
        let has_begun = self.in_hand.is_some_and(|(begun, _)| begun == index);
        Some(if has_begun { Next::CarryOut(index) } else { Next::Begin(index) })
    }

    async fn go_on(&mut self, run: &mut Run, unsure: bool) -> Result<(), CoreError> {
        if unsure {
            self.look(run).await?;
        }
        match self.next() {
            None => Ok(()),
            Some(Next::TakeBack(index)) => self.take_back(run, index).await,
            Some(Next::Remove) => self.remove(run).await,
            Some(Next::Begin(index)) => self.begin(run, index).await,
            Some(Next::CarryOut(index)) => {
                if unsure || self.has_two_undos(index) {
                    // Where definitions wait for locks that the undo holds (MySQL), one transaction
                    // cannot do both.
                    self.take_back(run, index).await?;
                }
                let (task, work) = (&self.tasks[index], &self.works[index]);
                let done = task.transact(run, work, self.lease).await?;
                let by_itself = !matches!(work, Work::Leave(_));
                self.finished(index, by_itself, done);
                Ok(())
            }
        }
    }

    /// Says that a step has begun, in the ledger and to people.
    async fn begin(&mut self, run: &mut Run, index: usize) -> Result<(), CoreError> {
        let (task, ports) = (&self.tasks[index], self.job.ports);
        let again = match &self.works[index] {
            Work::Finished { .. } | Work::Leave(_) => None,
            Work::Do { again } => Some(*again),
            Work::Redo { .. } => Some(true),
        };
        if let Some(again) = again {
            run.phase = Phase::Relate;
            task.mark_running(run, self.lease).await?;
            ports.events.emit(Event::RelateStarted { step: task.name().to_owned(), again });
        }
        self.in_hand = Some((index, ports.clock.monotonic()));
        Ok(())
    }

    /// Whether the second may have to take the place of the first, in a transaction of its own.
    fn has_two_undos(&self, index: usize) -> bool {
        matches!(&self.works[index], Work::Redo { undo } if undo.instead.is_some())
    }

    /// Takes a step back that has to be.
    async fn take_back(&mut self, run: &Run, index: usize) -> Result<(), CoreError> {
        if let Work::Redo { undo } = &self.works[index] {
            self.tasks[index].take_back(run, undo, self.lease).await?;
            self.works[index] = Work::Do { again: true };
        }
        Ok(())
    }

    /// Takes a step back that the plan does not have any more.
    async fn remove(&mut self, run: &mut Run) -> Result<(), CoreError> {
        let removed = self.removed.remove(0);
        removed.can_be_taken_back()?;
        run.phase = Phase::Relate;
        removed.take_back(self.job.ports, run, self.lease).await
    }

    fn finished(&mut self, index: usize, by_itself: bool, done: Done) {
        let ports = self.job.ports;
        let now = ports.clock.monotonic();
        let began = self.in_hand.take().map_or(now, |(_, began)| began);
        self.works[index] = Work::Finished { by_itself };
        ports.events.emit(Event::RelateFinished {
            step: self.tasks[index].name().to_owned(),
            left: !by_itself,
            rows: done.rows,
            tables: done.writes,
            seconds: now.saturating_sub(began).as_secs_f64(),
        });
    }
}

/// What each step has to do. Whatever stands behind one that is done, is done again too.
/// From `moved_from` on, all are: something was taken back before them.
async fn works(
    tasks: &[Task<'_>],
    run: &Run,
    moved_from: Option<usize>,
) -> Result<Vec<Work>, CoreError> {
    let mut works = Vec::new();
    let mut moved = false;
    for (index, task) in tasks.iter().enumerate() {
        moved |= moved_from.is_some_and(|from| index >= from);
        let work = task.work(run, moved).await?;
        moved |= match &work {
            Work::Do { .. } | Work::Redo { .. } | Work::Finished { by_itself: true } => true,
            Work::Leave(_) | Work::Finished { by_itself: false } => false,
        };
        works.push(work);
    }
    Ok(works)
}

struct Task<'a> {
    job: &'a Job<'a>,
    relate: &'a Relate,
    digest: [u8; 32],
    /// Of its step in the run.
    number: u64,
}

/// What a step has to do.
enum Work {
    /// Its SQL; `again` where an earlier run had done it and it is taken back.
    Do { again: bool },
    /// Take back, then do.
    Redo { undo: Undo },
    /// Nothing: an earlier run has done it, and nothing has come since.
    Leave(Done),
    /// Nothing: this run has dealt with it, by doing it or by leaving it.
    Finished { by_itself: bool },
}

impl Task<'_> {
    fn name(&self) -> &str {
        &self.relate.name.value
    }

    fn doing(&self) -> String {
        format!("relate step `{}`", excerpt_text(self.name()))
    }

    /// The step's row while it is worked on.
    fn running(&self, row: Step) -> Step {
        let now = rfc3339(self.job.ports.clock.now());
        Step {
            status: StepStatus::Running,
            started_at: row.started_at.clone().or(Some(now)),
            error_message: None,
            ..row
        }
    }

    async fn row(&self, run: &Run) -> Result<Step, CoreError> {
        let steps = step::of_run(self.job.ports.target.as_ref(), &run.id).await.in_ledger()?;
        let row = steps.into_iter().find(|step| step.step == self.number);
        row.ok_or_else(|| CoreError::NoSuchRun(run.id.clone()))
    }

    /// What there is to do; `moved` where a step before this one has done anything.
    async fn work(&self, run: &Run, moved: bool) -> Result<Work, CoreError> {
        let ports = self.job.ports;
        let row = &self.row(run).await?;
        if row.status == StepStatus::Completed {
            return Ok(Work::Finished { by_itself: recorded(row).by.is_none() });
        }
        if recorded(row).taken_back {
            return Ok(Work::Do { again: true });
        }
        // Done by this run, and then planned with another text.
        let own = row.rollback_data.is_some().then(|| (row.clone(), recorded(row)));
        let replaced = own.is_some();
        let before = match own {
            Some(own) => Some(own),
            None => done_before(ports, &run.plan, run.seq, self.name()).await?,
        };
        let Some((step, done)) = before else { return Ok(Work::Do { again: false }) };
        let same = !moved && !replaced && step.digest.as_deref() == Some(&self.digest);
        if same && !loaded_anything(ports, run).await? {
            let by = done.by.clone().or(Some(step.run));
            return Ok(Work::Leave(Done { by, ..done }));
        }
        let undo = self.undo_of(done, step.run)?;
        Ok(Work::Redo { undo })
    }

    /// The SQL for the target's engine; the survey has found that there is one.
    fn text<'s>(&self, sql: &'s SqlText) -> Option<&'s str> {
        sql.for_engine(self.job.survey.target.engine)
    }

    fn script(&self, part: &str, sql: &str) -> Script {
        let name = format!("relate `{}`, {part}", excerpt_text(self.name()));
        Script { name, sql: sql.to_owned() }
    }

    async fn mark_running(&self, run: &Run, lease: &Lease) -> Result<(), CoreError> {
        let doing = || self.doing();
        let row = self.running(self.row(run).await?);
        let mut txn = self.job.ports.target.begin(lease.fence).await.during(doing)?;
        run::put(txn.as_mut(), run).await.during(doing)?;
        step::put(txn.as_mut(), &[row]).await.during(doing)?;
        txn.commit().await.during(doing)
    }

    async fn transact(&self, run: &Run, work: &Work, lease: &Lease) -> Result<Done, CoreError> {
        let doing = || self.doing();
        let ports = self.job.ports;
        let row = self.row(run).await?;
        let writes = self.counted(work, lease).await?;
        let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
        let done = match work {
            Work::Leave(done) => done.clone(),
            Work::Do { .. } | Work::Finished { .. } => {
                self.work_in(txn.as_mut(), None, writes).await?
            }
            Work::Redo { undo } => self.work_in(txn.as_mut(), Some(undo), writes).await?,
        };
        let now = rfc3339(ports.clock.now());
        let completed = Step {
            status: StepStatus::Completed,
            started_at: row.started_at.clone().or_else(|| Some(now.clone())),
            completed_at: Some(now.clone()),
            rollback_data: Some(json!(done).to_string()),
            error_message: None,
            ..row
        };
        let name = completed.migration_step.clone();
        step::put(txn.as_mut(), &[completed]).await.during(doing)?;
        let detail = json!({ "rows": done.rows, "writes": done.writes, "by": done.by });
        chain::checkpoint(txn.as_mut(), &run.id, &name, Phase::Relate.word(), &detail, &now)
            .await
            .during(doing)?;
        if !matches!(work, Work::Leave(_)) {
            let (actor, detail) = (&ports.identity.actor, json!({ "step": name }));
            chain::record(txn.as_mut(), &now, actor, "relate.done", &run.id, &detail)
                .await
                .during(doing)?;
        }
        failpoint!("core.relate.before_commit");
        txn.commit().await.during(doing)?;
        failpoint!("core.relate.after_commit");
        Ok(done)
    }

    /// How many rows the tables have before: counted in a transaction of its own, because on some
    /// servers whoever has looked at a table keeps its definition from being changed.
    async fn counted(&self, work: &Work, lease: &Lease) -> Result<Vec<TableRows>, CoreError> {
        let doing = || self.doing();
        let mut writes = Vec::new();
        if matches!(work, Work::Leave(_)) {
            return Ok(writes);
        }
        let mut txn = self.job.ports.target.begin(lease.fence).await.during(doing)?;
        for table in &self.relate.writes {
            let before = txn.count(&table.value).await.during(doing)?;
            writes.push(TableRows { table: table.value.clone(), before, after: None });
        }
        txn.rollback().await.during(doing)?;
        Ok(writes)
    }

    /// Undo, SQL and check.
    async fn work_in(
        &self,
        txn: &mut dyn Txn,
        undo: Option<&Undo>,
        mut writes: Vec<TableRows>,
    ) -> Result<Done, CoreError> {
        let doing = || self.doing();
        if let Some(undo) = undo {
            self.undo_in(txn, &undo.sql, undo.whose).await?;
        }
        let sql = self.text(&self.relate.sql).unwrap_or_default();
        let rows = txn.execute(&self.script("sql", sql)).await.during(doing)?;
        let check = self.relate.check.as_ref().and_then(|check| self.text(check));
        if let Some(check) = check {
            let answer = txn.query(&self.script("check", check), ROWS_SHOWN + 1).await;
            let (columns, rows) = answer.during(doing)?;
            if !rows.is_empty() {
                let rows = shown(&columns, &rows, showable(self.job).as_ref());
                return Err(CoreError::CheckFailed { step: self.name().to_owned(), rows });
            }
        }
        for table in &mut writes {
            table.after = txn.count(&table.table).await.during(doing)?;
        }
        let undo = self.relate.undo.as_ref().and_then(|undo| self.text(undo)).map(str::to_owned);
        Ok(Done { undo, rows, writes, checked: check.is_some(), ..Done::default() })
    }
}

/// Whether a run has changed any row of the target's tables.
async fn loaded_anything(ports: &Ports, run: &Run) -> Result<bool, CoreError> {
    let batches = batch::of_run(ports.target.as_ref(), &run.id).await.in_ledger()?;
    Ok(batches.iter().any(|batch| batch.rows.inserted.n() + batch.rows.updated.n() > 0))
}

/// Rows of a failed check that are shown.
const ROWS_SHOWN: u64 = 5;
/// Columns of them.
const COLUMNS_SHOWN: usize = 8;

/// In a plan with sensitive columns, those of a check's that are called like columns of its tables
/// that hold nothing of these; `None` where all may be shown.
fn showable<'s>(job: &'s Job<'_>) -> Option<BTreeSet<&'s str>> {
    if job.plan.sources.iter().all(|source| source.sensitive.is_empty()) {
        return None;
    }
    let (mut open, mut hidden) = (BTreeSet::new(), BTreeSet::new());
    for surveyed in &job.survey.steps {
        for (index, column) in surveyed.step.table().columns.iter().enumerate() {
            let one = if surveyed.step.is_sensitive(index) { &mut hidden } else { &mut open };
            one.insert(column.name.as_str());
        }
    }
    open.retain(|name| !hidden.contains(name));
    Some(open)
}

/// `id = 7, name = x; id = 8, name = y; and more`, bounded and escaped.
fn shown(columns: &[String], rows: &Rows, showable: Option<&BTreeSet<&str>>) -> String {
    let cell = |(name, value): (&String, ValueRef<'_>)| {
        let open = showable.is_none_or(|names| names.contains(name.as_str()));
        let value = if open { excerpt(value) } else { MASK.to_owned() };
        format!("{} = {value}", excerpt_text(name))
    };
    let row = |row: Row<'_>| {
        let cells = columns.iter().zip(row.values()).take(COLUMNS_SHOWN);
        let cells = cells.map(cell);
        cells.collect::<Vec<_>>().join(", ")
    };
    let mut text = rows.rows().take(ROWS_SHOWN as usize).map(row).collect::<Vec<_>>().join("; ");
    if rows.len() as u64 > ROWS_SHOWN {
        text.push_str("; and more");
    }
    text
}
