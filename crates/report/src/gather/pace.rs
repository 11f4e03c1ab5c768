//! Times: attempts and their ends, phases, and how fast the batches came.
//!
//! ```text
//! attempt 1            attempt 2
//! start ─b─b──b─✗      start ─b──b─b─ end        a batch began where the one before it ended, or
//!       ◀──▶                 ◀──▶                where its attempt did: pauses are not its time
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_endpoint::{EndpointError, Target};
use whimbrel_ledger::{AuditEntry, Batch, Run, Step, chain};
use whimbrel_model::Class;

use super::run::name;
use super::{limits, relates};
use crate::instant::Instant;
use crate::report::{
    Attempt, Circumstances, EndRow, HourRow, Listed, Outcome, Pace, PacePoint, Phase, TargetRow,
};

/// Entries of the audit log that are looked through for attempts.
const AUDIT: u64 = 10_000;

pub(super) struct Clocked {
    began: Option<Instant>,
    attempts: Vec<Worked>,
    /// Code or reason, phase, hour.
    ends: BTreeMap<(Told, String, String), EndRow>,
    retries: u64,
    /// The commit before.
    last: Option<Instant>,
    steps: BTreeMap<u64, StepTimes>,
    batches: u64,
    /// All of `per_point` batches but the last.
    points: Vec<Point>,
    per_point: u64,
    peak: f64,
    hours: BTreeMap<String, u64>,
}

/// What the audit log tells of the end of an attempt.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Told {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Worn {
    #[serde(default)]
    phase: String,
    #[serde(default)]
    retries: u64,
}

/// A stretch in which one process worked.
struct Worked {
    started_at: String,
    from: Instant,
    to: Instant,
    batches: u64,
    units: u64,
}

#[derive(Default)]
struct StepTimes {
    last: Option<Instant>,
    units: u64,
    batches: u64,
}

/// Neighbouring batches; slowest and fastest where their time can be told.
#[derive(Clone, Copy)]
struct Point {
    from: Instant,
    to: Instant,
    active: f64,
    batches: u64,
    units: u64,
    rows: u64,
    rejected: u64,
    rates: Option<(f64, f64)>,
}

impl Clocked {
    pub(super) async fn read(
        target: &dyn Target,
        run: &Run,
        title_of: fn(&str) -> Option<&'static str>,
    ) -> Result<Self, EndpointError> {
        let mut attempts = Vec::new();
        let mut ends = BTreeMap::new();
        let mut retries = 0;
        for entry in chain::entries_of(target, &run.id, AUDIT).await? {
            retries = u64::saturating_add(retries, ended(&entry, title_of, &mut ends));
            let starts = matches!(entry.action.as_str(), "run.started" | "run.resumed");
            if let (true, Some(from)) = (starts, Instant::parse(&entry.at)) {
                attempts.push(Worked {
                    started_at: entry.at,
                    from,
                    to: from,
                    batches: 0,
                    units: 0,
                });
            }
        }
        let began = Instant::parse(&run.started_at);
        if let (true, Some(from)) = (attempts.is_empty(), began) {
            let started_at = run.started_at.clone();
            attempts.push(Worked { started_at, from, to: from, batches: 0, units: 0 });
        }
        Ok(Self {
            began,
            attempts,
            ends,
            retries,
            last: None,
            steps: BTreeMap::new(),
            batches: 0,
            points: Vec::new(),
            per_point: 1,
            peak: 0.0,
            hours: BTreeMap::new(),
        })
    }

    pub(super) fn batch(&mut self, batch: &Batch) {
        let units = batch.units.read.n();
        let rejected = batch.units.class(Class::Rejected).n();
        self.batches += 1;
        let times = self.steps.entry(batch.step).or_default();
        times.batches += 1;
        times.units += units;
        let Some(at) = Instant::parse(&batch.committed_at) else { return };
        times.last = Some(at);
        if rejected > 0 {
            *self.hours.entry(at.hour()).or_default() += rejected;
        }
        let from = self.work_until(at, units);
        self.last = Some(at);
        let active = at.since(from);
        let rate = (active > 0.0).then(|| units as f64 / active);
        self.peak = self.peak.max(rate.unwrap_or(0.0));
        self.point(Point {
            from,
            to: at,
            active,
            batches: 1,
            units,
            rows: batch.rows.produced.n(),
            rejected,
            rates: rate.map(|rate| (rate, rate)),
        });
    }

    /// Adds a batch to the last point, or begins another; too many points become half as many.
    fn point(&mut self, batch: Point) {
        match self.points.last_mut().filter(|last| last.batches < self.per_point) {
            Some(last) => *last = last.with(&batch),
            None => self.points.push(batch),
        }
        let full = self.points.last().is_some_and(|last| last.batches == self.per_point);
        if self.points.len() == limits::POINTS && full {
            self.points = halved(&self.points);
            self.per_point *= 2;
        }
    }

    /// Books a batch to its attempt; returns where the batch began.
    fn work_until(&mut self, at: Instant, units: u64) -> Instant {
        let last = self.last;
        let Some(worked) = self.attempt_at(at) else { return last.unwrap_or(at) };
        worked.batches += 1;
        worked.units += units;
        worked.to = worked.to.max(at);
        let start = worked.from;
        last.map_or(start, |last| last.max(start)).min(at)
    }

    /// The attempt under way at an instant.
    fn attempt_at(&mut self, at: Instant) -> Option<&mut Worked> {
        let after = self.attempts.partition_point(|worked| worked.from <= at);
        self.attempts.get_mut(after.saturating_sub(1))
    }

    pub(super) fn finish(mut self, run: &Run, steps: &[Step], outcome: &Outcome) -> Circumstances {
        for at in steps.iter().filter_map(|step| Instant::parse(step.completed_at.as_deref()?)) {
            if let Some(worked) = self.attempt_at(at) {
                worked.to = worked.to.max(at);
            }
        }
        let ended = run.ended_at.as_deref().and_then(Instant::parse);
        if let (Some(ended), Some(worked)) = (ended, self.attempts.last_mut()) {
            worked.to = worked.to.max(ended);
        }
        let began = self.began.or(self.attempts.first().map(|worked| worked.from));
        let end = self.attempts.iter().map(|worked| worked.to).max();
        let active: f64 = self.attempts.iter().map(|worked| worked.to.since(worked.from)).sum();
        let phases = began.map(|began| self.phases(began, steps)).unwrap_or_default();
        Circumstances {
            run: name(&run.id),
            started_by: name(&run.started_by),
            started_at: name(&run.started_at),
            ended_at: run.ended_at.as_deref().map(name),
            elapsed_seconds: began.zip(end).map_or(0.0, |(began, end)| end.since(began)),
            active_seconds: active,
            target: TargetRow {
                engine: String::new(),
                version: String::new(),
                location: String::new(),
            },
            attempts: run.attempts,
            attempts_known: self.attempts_known(began),
            ends: Listed::first(self.ends.values().cloned().collect(), limits::ENDS),
            retries: self.retries,
            relates: relates::times(steps, |number| {
                let phase = phases.iter().find(|phase| phase.step == number);
                phase.map(|phase| phase.active_seconds)
            }),
            phases: Listed::first(phases, limits::TABLES),
            batches: self.batches,
            pace: self.pace(began, active, outcome),
            rejects_by_hour: self.rejects_by_hour(),
            checkpoints: Listed::default(),
            checkpoints_intact: true,
            spilled: Listed::default(),
            ancestors: Listed::default(),
            children: Listed::default(),
            next: Vec::new(),
        }
    }

    fn attempts_known(&self, began: Option<Instant>) -> Listed<Attempt> {
        let Some(began) = began else { return Listed::default() };
        let rows = self.attempts.iter().enumerate().map(|(index, worked)| Attempt {
            attempt: index as u64 + 1,
            started_at: name(&worked.started_at),
            from_seconds: worked.from.since(began),
            to_seconds: worked.to.since(began),
            batches: worked.batches,
            units: worked.units,
        });
        Listed::first(rows.collect(), limits::ATTEMPTS)
    }

    /// One step after the other, each from where the one before it ended.
    fn phases(&self, began: Instant, steps: &[Step]) -> Vec<Phase> {
        let mut phases = Vec::new();
        let mut from = began;
        for step in steps {
            let times = self.steps.get(&step.step);
            let completed = step.completed_at.as_deref().and_then(Instant::parse);
            let Some(end) = completed.or(times.and_then(|times| times.last)) else { continue };
            let to = end.max(from);
            phases.push(Phase {
                step: step.step,
                name: name(&step.migration_step),
                from_seconds: from.since(began),
                to_seconds: to.since(began),
                active_seconds: self.active_between(from, to),
                units: times.map_or(0, |times| times.units),
                batches: times.map_or(0, |times| times.batches),
            });
            from = to;
        }
        phases
    }

    fn active_between(&self, from: Instant, to: Instant) -> f64 {
        self.attempts.iter().map(|worked| worked.to.min(to).since(worked.from.max(from))).sum()
    }

    fn pace(&self, began: Option<Instant>, active: f64, outcome: &Outcome) -> Pace {
        let per_second = |amount: u64| if active > 0.0 { amount as f64 / active } else { 0.0 };
        let mut rates: Vec<f64> = self.points.iter().filter_map(Point::rate).collect();
        rates.sort_by(f64::total_cmp);
        Pace {
            units_per_second: per_second(outcome.units.read.count),
            rows_per_second: per_second(outcome.rows.produced.count),
            bytes_per_second: per_second(outcome.units.read.bytes),
            units_per_second_max: self.peak,
            units_per_second_median: rates.get(rates.len() / 2).copied().unwrap_or(0.0),
            points: began
                .map(|began| self.points.iter().map(|point| point.told(began)).collect())
                .unwrap_or_default(),
        }
    }

    fn rejects_by_hour(&self) -> Listed<HourRow> {
        let rows =
            self.hours.iter().map(|(hour, count)| HourRow { hour: hour.clone(), count: *count });
        Listed::first(rows.collect(), limits::HOURS)
    }
}

impl Point {
    fn rate(&self) -> Option<f64> {
        (self.active > 0.0).then(|| self.units as f64 / self.active)
    }

    fn with(&self, next: &Self) -> Self {
        Self {
            from: self.from.min(next.from),
            to: self.to.max(next.to),
            active: self.active + next.active,
            batches: self.batches + next.batches,
            units: self.units + next.units,
            rows: self.rows + next.rows,
            rejected: self.rejected + next.rejected,
            rates: match (self.rates, next.rates) {
                (Some((low, high)), Some((low2, high2))) => Some((low.min(low2), high.max(high2))),
                (rates, None) | (None, rates) => rates,
            },
        }
    }

    fn told(&self, began: Instant) -> PacePoint {
        let (low, high) = self.rates.unwrap_or((0.0, 0.0));
        PacePoint {
            from_seconds: self.from.since(began),
            to_seconds: self.to.since(began),
            active_seconds: self.active,
            batches: self.batches,
            units: self.units,
            rows: self.rows,
            rejected: self.rejected,
            units_per_second_min: low,
            units_per_second_max: high,
        }
    }
}

/// Books the end of an attempt, where the entry tells of one; returns what had been tried again.
fn ended(
    entry: &AuditEntry,
    title_of: fn(&str) -> Option<&'static str>,
    ends: &mut BTreeMap<(Told, String, String), EndRow>,
) -> u64 {
    let (failed, stopped) = (entry.action == "run.failed", entry.action == "run.interrupted");
    if !failed && !stopped && entry.action != "run.completed" {
        return 0;
    }
    let worn: Worn = serde_json::from_str(&entry.detail).unwrap_or_default();
    let told: Option<Told> = serde_json::from_str(&entry.detail).ok();
    if let (true, Some(told)) = (failed || stopped, told) {
        let told =
            Told { code: told.code.as_deref().map(name), reason: told.reason.as_deref().map(name) };
        let phase = name(&worn.phase);
        let hour = Instant::parse(&entry.at).map(Instant::hour).unwrap_or_default();
        let row = EndRow {
            title: told.code.as_deref().and_then(title_of),
            code: told.code.clone(),
            reason: told.reason.clone(),
            phase: phase.clone(),
            hour: hour.clone(),
            count: 0,
            retries: 0,
        };
        let row = ends.entry((told, phase, hour)).or_insert(row);
        row.count += 1;
        row.retries = row.retries.saturating_add(worn.retries);
    }
    worn.retries
}

/// Each two neighbours as one, so that the slowest and the fastest stay visible.
fn halved(points: &[Point]) -> Vec<Point> {
    let (pairs, alone) = points.as_chunks::<2>();
    pairs.iter().map(|[first, second]| first.with(second)).chain(alone.iter().copied()).collect()
}
