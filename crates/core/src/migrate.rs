//! `migrate`: preflight → prepare → load → relate → verify → finish, begun, resumed or found done.

use whimbrel_endpoint::SchemaFile;
use whimbrel_ledger::{Phase, Run, RunStatus, run};
use whimbrel_model::plan::{Plan, Verify};

use crate::begin::{Start, begin, new_run, reopen};
use crate::cancel::StopReason;
use crate::checks;
use crate::error::{Changes, CoreError, Outcome, While};
use crate::event::Event;
use crate::finish::{Ended, balances, finish, note_failure, set_status};
use crate::incremental;
use crate::lease::Lease;
use crate::load::{self, LoadEnd, indexes};
use crate::options::{Options, Selection};
use crate::patience::{Patience, pause, repeatedly};
use crate::ports::Ports;
use crate::prepare::prepare;
use crate::relate;
use crate::sample;
use crate::standing;
use crate::states::{self, States};
use crate::survey::{Survey, SurveyedStep, survey};
use crate::{verify, window};

/// What stays the same while a run is carried out.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) ports: &'a Ports,
    pub(crate) plan: &'a Plan,
    pub(crate) survey: &'a Survey,
    pub(crate) options: &'a Options,
}

/// Loads what the plan says, exactly once: begins a run, goes on with an unfinished one, or says
/// that there is nothing to do.
pub async fn migrate(
    ports: &Ports,
    plan: &Plan,
    schema: Vec<SchemaFile>,
    options: &Options,
) -> Result<Outcome, CoreError> {
    let timer = PhaseTimer::begin(ports, Phase::Preflight);
    window::wait_or_refuse(ports, plan).await?;
    let found = find_run(ports, plan).await?;
    let options = &selection_of(found.as_ref(), options)?;
    let survey = survey(ports, plan, schema, options).await?;
    let job = Job { ports, plan, survey: &survey, options };
    match decide(&job, found).await? {
        Task::Nothing(outcome) => {
            if let Outcome::NothingToDo { run } | Outcome::SourcesChanged { run, .. } = &outcome {
                indexes::alone(ports, plan, run).await?;
            }
            Ok(outcome)
        }
        Task::Begin(start) => {
            let checked = checks::before(ports, plan).await?;
            let survey = Survey { checked, ..survey };
            let job = Job { ports, plan, survey: &survey, options };
            let run = new_run(ports, plan, &survey, options, &start);
            job.carry_out(run, Some(&start), timer).await
        }
        Task::Resume(run) => job.carry_out(run, None, timer).await,
    }
}

/// What `migrate` has to do.
enum Task {
    Nothing(Outcome),
    Begin(Start),
    Resume(Run),
}

pub(crate) async fn find_run(ports: &Ports, plan: &Plan) -> Result<Option<Run>, CoreError> {
    let facts = ports.target.facts().await.during(|| "looking at the target".to_owned())?;
    if !facts.exists {
        return Ok(None);
    }
    let ledger = ports.target.has_ledger().await;
    if !ledger.during(|| "looking for the ledger".to_owned())? {
        return Ok(None);
    }
    run::newest(ports.target.as_ref(), &plan.name.value).await.in_ledger()
}

/// An unfinished run goes on with the options it was started with; others are refused.
pub(crate) fn selection_of(found: Option<&Run>, options: &Options) -> Result<Options, CoreError> {
    let Some(run) = found.filter(|run| run.status != RunStatus::Completed) else {
        return Ok(options.clone());
    };
    let recorded: Selection = serde_json::from_str(&run.options).unwrap_or_default();
    let given = &options.selection;
    if *given != Selection::default() && *given != recorded {
        return Err(CoreError::OptionsChanged {
            run: run.id.clone(),
            difference: format!("it has `{recorded}`, you gave `{given}`"),
        });
    }
    Ok(Options { selection: recorded, ..options.clone() })
}

async fn decide(job: &Job<'_>, found: Option<Run>) -> Result<Task, CoreError> {
    let Some(last) = found else { return Ok(Task::Begin(Start::Everything)) };
    if last.status != RunStatus::Completed {
        return Ok(Task::Resume(last));
    }
    match (sample_of(job.ports, &last).await?, job.options.selection.sample) {
        (taken, wanted) if taken == wanted => {}
        // A sample was taken: what it left out is still to do.
        (Some(_), _) => return Ok(Task::Begin(Start::Everything)),
        (None, _) => return Err(CoreError::LoadedAlready { run: last.id }),
    }
    let changes = incremental::changes(job.ports, job.plan, job.survey, &last).await?;
    tables_stand(job, &last).await?;
    if changes.is_empty() {
        return Ok(Task::Nothing(Outcome::NothingToDo { run: last.id }));
    }
    let relate = changes.relates_changed.first().map(|name| relate::step_name(name));
    let remapped = changes.tables_remapped.first().or(relate.as_ref());
    if let (Some(table), false) = (remapped, job.options.adopt) {
        return Err(CoreError::MappingChanged { run: last.id, table: table.clone() });
    }
    let removed = changes.relates_removed.first();
    if let (Some(step), false) = (removed, job.options.adopt) {
        return Err(CoreError::RelateRemoved { run: last.id, step: step.clone() });
    }
    // To adopt a mapping alone is a run that loads nothing: later ones know it then.
    let adopts_only = changes.needs_adopting() && !changes.anything_to_load();
    let loads = job.options.incremental && changes.anything_to_load();
    if !adopts_only && !loads {
        return Ok(Task::Nothing(Outcome::SourcesChanged { run: last.id, changes }));
    }
    if let Some(table) = incremental::renumbered(job.plan, job.survey, &changes) {
        return Err(CoreError::Renumbered { run: last.id, table });
    }
    incremental::old_keys_stand(job, &last).await?;
    verify::stands(job.ports, &last).await?;
    relate::can_be_repeated(job).await?;
    Ok(Task::Begin(Start::Changes(last)))
}

/// Refuses to go on where a table is gone that was filled before.
pub(crate) async fn tables_stand(job: &Job<'_>, last: &Run) -> Result<(), CoreError> {
    let filled = incremental::digests(job.ports, last).await?;
    let gone = |step: &&SurveyedStep| step.created && filled.contains_key(&step.table.name);
    match job.survey.steps.iter().find(gone) {
        None => Ok(()),
        Some(step) => {
            let table = step.table.name.clone();
            Err(CoreError::TableGone { run: last.id.clone(), table })
        }
    }
}

/// The sample that a run, or the one it goes back to, has taken.
pub(crate) async fn sample_of(ports: &Ports, last: &Run) -> Result<Option<u64>, CoreError> {
    let lineage = run::lineage(ports.target.as_ref(), last).await;
    let lineage = lineage.in_ledger()?;
    let first = lineage.first().map(|first| first.options.as_str()).unwrap_or_default();
    Ok(serde_json::from_str::<Selection>(first).unwrap_or_default().sample)
}

impl Job<'_> {
    /// Begins a run, or goes on with one; whatever its end is, the ledger and the events tell it.
    pub(crate) async fn carry_out(
        &self,
        mut run: Run,
        start: Option<&Start>,
        mut timer: PhaseTimer<'_>,
    ) -> Result<Outcome, CoreError> {
        timer.next(Phase::Prepare);
        let result = self.under_lease(&mut run, start, &mut timer).await;
        if let Err(error) = &result {
            note_failure(self.ports, &mut run, error).await;
        }
        let status = match &result {
            Ok(
                Outcome::Completed { .. }
                | Outcome::NothingToDo { .. }
                | Outcome::SourcesChanged { .. },
            ) => RunStatus::Completed,
            Ok(Outcome::Stopped { .. }) => RunStatus::Interrupted,
            Err(_) => run.status,
        };
        let status = status.word();
        self.ports.events.emit(Event::RunFinished { run: run.id.clone(), status });
        result
    }

    async fn under_lease(
        &self,
        run: &mut Run,
        start: Option<&Start>,
        timer: &mut PhaseTimer<'_>,
    ) -> Result<Outcome, CoreError> {
        let (target, retries) = (self.ports.target.as_ref(), load::retries(self.plan));
        let ledger =
            async || target.prepare_ledger().await.during(|| "preparing the ledger".to_owned());
        repeatedly(self.ports, retries, ledger).await?;
        let take = async || {
            Lease::take(self.ports, &run.id).await.during(|| "taking the lease".to_owned())
        };
        let lease = match repeatedly(self.ports, retries, take).await? {
            Ok(lease) => lease,
            Err(held) => {
                return Err(CoreError::Held { holder: held.holder, expires_in: held.expires_in });
            }
        };
        let result = self.phases(run, start, timer, &lease).await;
        let released = lease.release().await.during(|| "giving the lease back".to_owned());
        let outcome = result?;
        released?;
        Ok(outcome)
    }

    async fn phases(
        &self,
        run: &mut Run,
        start: Option<&Start>,
        timer: &mut PhaseTimer<'_>,
        lease: &Lease,
    ) -> Result<Outcome, CoreError> {
        let remapped = match start {
            Some(start) => begin(self, start, run, lease).await?,
            None => reopen(self, run, lease).await?,
        };
        let mut states = States::at_the_beginning(self, run, start.is_none()).await?;
        for found in &self.survey.findings {
            let message = format!("{}: {}", found.at, found.message);
            self.ports.events.emit(Event::Warning { code: found.code, message });
        }
        prepare(self, run, lease).await?;
        let mut failures = 0;
        loop {
            let ended = self.go_on(run, timer, lease, &mut states, &remapped).await;
            let Err(CoreError::Forgotten { .. }) = &ended else { return ended };
            if failures == load::retries(self.plan) {
                return ended;
            }
            failures += 1;
            let message = ended.err().map(|error| error.to_string()).unwrap_or_default();
            pause(self.ports, failures, message).await;
            run.phase = Phase::Load;
        }
    }

    /// Whatever is not done yet, by the ledger.
    async fn go_on(
        &self,
        run: &mut Run,
        timer: &mut PhaseTimer<'_>,
        lease: &Lease,
        states: &mut States,
        remapped: &[String],
    ) -> Result<Outcome, CoreError> {
        timer.next(Phase::Load);
        relate::before_the_load(self, run, lease).await?;
        if let Some(reason) = self.load_durably(run, lease, states).await? {
            return self.stop(run, lease, reason).await;
        }
        standing::before(self.ports.target.as_ref(), run, self.survey.first_relate()).await?;
        let removed = relate::removed(self.ports, self.plan, run.seq).await?;
        if !self.survey.relates.is_empty() || !removed.is_empty() {
            timer.next(Phase::Relate);
            if let Some(reason) = relate::relate(self, run, lease).await? {
                return self.stop(run, lease, reason).await;
            }
        }
        indexes::at_the_close(self, lease).await?;
        if self.plan.verify != Verify::None {
            timer.next(Phase::Verify);
            run.phase = Phase::Verify;
            balances(self, run).await?;
            verify::phase(self, run, lease).await?;
        }
        timer.next(Phase::Finish);
        let compared = match states.compare(self, run).await? {
            Ok(compared) => compared,
            Err(reason) => return self.stop(run, lease, reason).await,
        };
        let outdated = states::outdated(&compared);
        states::warn(self, &outdated);
        let rejects = finish(self, run, lease, &states.findings, &compared).await?;
        timer.end();
        let (run, remapped) = (run.id.clone(), remapped.to_vec());
        Ok(Outcome::Completed { run, rejects, remapped, outdated })
    }

    /// Fills the tables. Commits need not wait for the disk meanwhile; however it ends, they are on
    /// it then, and those that follow wait.
    async fn load_durably(
        &self,
        run: &Run,
        lease: &Lease,
        states: &mut States,
    ) -> Result<Option<StopReason>, CoreError> {
        let target = self.ports.target.as_ref();
        let retries = load::retries(self.plan);
        let enter = async || {
            target.enter_load().await.during(|| "tuning the target for the load".to_owned())
        };
        let loaded = match repeatedly(self.ports, retries, enter).await {
            Ok(()) => self.tuned(run, lease, states).await,
            Err(error) => Err(error),
        };
        let leave =
            async |_| target.leave_load().await.during(|| "putting the target back".to_owned());
        // What has failed has had its retries.
        let retries = if loaded.is_ok() { retries } else { 0 };
        let left = Patience::new(self.ports, retries, lease).carry_out(leave).await;
        let stopped = loaded?;
        left?;
        Ok(stopped)
    }

    async fn tuned(
        &self,
        run: &Run,
        lease: &Lease,
        states: &mut States,
    ) -> Result<Option<StopReason>, CoreError> {
        indexes::leftovers(self, run, lease).await?;
        let loaded = self.load(run, lease, states).await;
        if !matches!(loaded, Ok(None)) {
            indexes::at_the_end(self, lease, loaded.as_ref().err()).await;
        }
        loaded
    }

    async fn stop(
        &self,
        run: &mut Run,
        lease: &Lease,
        reason: StopReason,
    ) -> Result<Outcome, CoreError> {
        set_status(self.ports, run, lease, Ended::Stopped(reason)).await?;
        Ok(Outcome::Stopped { run: run.id.clone(), reason })
    }

    async fn load(
        &self,
        run: &Run,
        lease: &Lease,
        states: &mut States,
    ) -> Result<Option<StopReason>, CoreError> {
        let mut sample = match self.options.selection.sample {
            Some(size) => Some(sample::choose(self, run, size).await?),
            None => None,
        };
        if let Some(reason) = self.ports.cancel.reason() {
            return Ok(Some(reason));
        }
        let mut pace = load::Pace::new(self.ports, self.plan, self.options);
        for (index, surveyed) in self.survey.steps.iter().enumerate() {
            let units = sample.as_mut().and_then(|sample| sample.remove(&surveyed.table.name));
            let step = index as u64 + 1;
            let began = states.before(self, surveyed, run, step).await?;
            match load::step(self, surveyed, run, step, lease, units, &mut pace).await? {
                LoadEnd::Done => {}
                LoadEnd::Stopped(reason) => return Ok(Some(reason)),
            }
            if let Some(began) = began {
                states.after(self, run, step, began).await?;
            }
        }
        Ok(None)
    }
}

/// Tells the phases and how long they took.
pub(crate) struct PhaseTimer<'a> {
    ports: &'a Ports,
    phase: Phase,
    since: std::time::Duration,
}

impl<'a> PhaseTimer<'a> {
    pub(crate) fn begin(ports: &'a Ports, phase: Phase) -> Self {
        ports.events.emit(Event::PhaseStarted { phase: phase.word() });
        Self { ports, phase, since: ports.clock.monotonic() }
    }

    fn next(&mut self, phase: Phase) {
        self.end();
        *self = Self::begin(self.ports, phase);
    }

    fn end(&self) {
        let seconds = self.ports.clock.monotonic().saturating_sub(self.since).as_secs_f64();
        self.ports.events.emit(Event::PhaseFinished { phase: self.phase.word(), seconds });
    }
}

/// Changes since the newest complete run of the plan: `check-incremental`.
pub async fn check_incremental(
    ports: &Ports,
    plan: &Plan,
    schema: Vec<SchemaFile>,
    options: &Options,
) -> Result<(Run, Changes), CoreError> {
    let Some(last) = find_run(ports, plan).await? else {
        let location =
            ports.target.facts().await.during(|| "looking at the target".to_owned())?.location;
        return Err(CoreError::NoRun { plan: plan.name.value.clone(), location });
    };
    let survey = survey(ports, plan, schema, options).await?;
    let mut changes = incremental::changes(ports, plan, &survey, &last).await?;
    changes.sample = sample_of(ports, &last).await?;
    Ok((last, changes))
}
