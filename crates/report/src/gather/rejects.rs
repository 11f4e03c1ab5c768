//! Rejects by cause, code, column, source and stage; the first of each cause as samples.

use std::collections::BTreeMap;

use whimbrel_ledger::{RejectHead, RejectStatus, Stage};

use super::run::{name, place};
use super::{Options, limits};
use crate::report::{
    CodeRejects, ColumnRejects, Listed, RejectGroup, RejectSample, Rejects, SourceRejects,
    SpilledReject, StageRejects, StatusCounts, Waiver,
};
use crate::shown::{self, shown};

/// What stands for words that may quote a value.
pub(crate) const LEFT_OUT: &str = "***";

/// Table, code, column, rule.
type Cause = (String, String, Option<String>, Option<String>);

pub(super) struct RejectTally {
    include_values: bool,
    title_of: fn(&str) -> Option<&'static str>,
    total: u64,
    statuses: StatusCounts,
    groups: BTreeMap<Cause, Group>,
    by_code: BTreeMap<String, Tally>,
    by_column: BTreeMap<(String, Option<String>), Tally>,
    by_source: BTreeMap<String, Tally>,
    by_stage: BTreeMap<Stage, u64>,
    waivers: BTreeMap<(String, String), u64>,
    spilled: Listed<SpilledReject>,
}

#[derive(Default)]
struct Tally {
    count: u64,
    statuses: StatusCounts,
}

#[derive(Default)]
struct Group {
    count: u64,
    statuses: StatusCounts,
    samples: Vec<RejectSample>,
}

impl RejectTally {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            include_values: options.include_values,
            title_of: options.title_of,
            total: 0,
            statuses: StatusCounts::default(),
            groups: BTreeMap::new(),
            by_code: BTreeMap::new(),
            by_column: BTreeMap::new(),
            by_source: BTreeMap::new(),
            by_stage: BTreeMap::new(),
            waivers: BTreeMap::new(),
            spilled: Listed::default(),
        }
    }

    pub(super) fn reject(&mut self, reject: &RejectHead) {
        self.total += 1;
        count_status(&mut self.statuses, reject.status);
        *self.by_stage.entry(reject.stage).or_default() += 1;
        counted(&mut self.by_code, name(&reject.code), reject.status);
        let column = reject.target_column.as_deref().map(name);
        counted(&mut self.by_column, (name(&reject.target_table), column), reject.status);
        counted(&mut self.by_source, name(&reject.source), reject.status);
        if let (RejectStatus::Waived, Some(reason)) = (reject.status, &reject.resolution) {
            self.waived(reason, reject.resolved_by.as_deref().unwrap_or(""));
        }
        if let Some(file) = &reject.spill {
            self.spilled.push(limits::SPILLED, || SpilledReject {
                reject: reject_name(reject),
                file: shown::path(file, limits::PATH),
                bytes: reject.byte_len,
            });
        }
        self.grouped(reject);
    }

    fn waived(&mut self, reason: &str, by: &str) {
        let reason = if self.include_values { reason } else { LEFT_OUT };
        let key = (shown(reason, limits::MESSAGE), name(by));
        if self.waivers.len() < limits::WAIVERS_COUNTED || self.waivers.contains_key(&key) {
            *self.waivers.entry(key).or_default() += 1;
        }
    }

    fn grouped(&mut self, reject: &RejectHead) {
        let cause = (
            name(&reject.target_table),
            name(&reject.code),
            reject.target_column.as_deref().map(name),
            reject.rule.as_deref().map(name),
        );
        if self.groups.len() >= limits::GROUPS_COUNTED && !self.groups.contains_key(&cause) {
            return;
        }
        let group = self.groups.entry(cause).or_default();
        group.count += 1;
        count_status(&mut group.statuses, reject.status);
        if group.samples.len() < limits::REJECT_SAMPLES {
            group.samples.push(sample(reject, self.include_values));
        }
    }

    pub(super) fn finish(self) -> (Rejects, Listed<SpilledReject>) {
        let title_of = self.title_of;
        let mut groups: Vec<RejectGroup> = self
            .groups
            .into_iter()
            .map(|((table, code, column, rule), group)| RejectGroup {
                title: title_of(&code),
                table,
                code,
                column,
                rule,
                count: group.count,
                statuses: group.statuses,
                samples: group.samples,
            })
            .collect();
        // The sort is stable: equal counts stay in the order of their causes.
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        let groups = Listed::first(groups, limits::GROUPS);
        let listed: u64 = groups.shown.iter().map(|group| group.count).sum();
        let by_code = frequent(self.by_code).map(|(code, Tally { count, statuses })| {
            let title = title_of(&code);
            CodeRejects { code, title, count, statuses }
        });
        let by_column = frequent(self.by_column).map(|((table, column), tally)| ColumnRejects {
            table,
            column,
            count: tally.count,
            statuses: tally.statuses,
        });
        let by_source = self.by_source.into_iter();
        let by_source = by_source.map(|(source, Tally { count, statuses })| SourceRejects {
            source,
            count,
            statuses,
        });
        let by_stage = self.by_stage.into_iter();
        let waivers = self.waivers.into_iter();
        let waivers = waivers.map(|((reason, by), count)| Waiver { reason, by, count });
        let rejects = Rejects {
            total: self.total,
            statuses: self.statuses,
            groups,
            unlisted: self.total - listed,
            by_code: Listed::first(by_code.collect(), limits::CODES),
            by_column: Listed::first(by_column.collect(), limits::COLUMNS),
            by_source: Listed::first(by_source.collect(), limits::SOURCES),
            by_stage: by_stage
                .map(|(stage, count)| StageRejects { stage: stage.word(), count })
                .collect(),
            waivers: Listed::first(waivers.collect(), limits::WAIVERS),
        };
        (rejects, self.spilled)
    }
}

/// Counts a reject, unless there are too many keys already.
fn counted<K: Ord>(all: &mut BTreeMap<K, Tally>, key: K, status: RejectStatus) {
    if all.len() < limits::GROUPS_COUNTED || all.contains_key(&key) {
        let tally = all.entry(key).or_default();
        tally.count += 1;
        count_status(&mut tally.statuses, status);
    }
}

/// The most frequent first; equal counts stay in the order of their keys.
fn frequent<K>(all: BTreeMap<K, Tally>) -> impl Iterator<Item = (K, Tally)> {
    let mut all: Vec<(K, Tally)> = all.into_iter().collect();
    all.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
    all.into_iter()
}

fn count_status(counts: &mut StatusCounts, status: RejectStatus) {
    match status {
        RejectStatus::Open => counts.open += 1,
        RejectStatus::Fixed => counts.fixed += 1,
        RejectStatus::Superseded => counts.superseded += 1,
        RejectStatus::Waived => counts.waived += 1,
    }
}

fn sample(reject: &RejectHead, include_values: bool) -> RejectSample {
    let value = reject.value.as_deref().filter(|_| include_values);
    RejectSample {
        reject: reject_name(reject),
        place: place(&reject.source_file, reject.line),
        record: reject.record,
        byte_offset: reject.byte_offset,
        byte_len: reject.byte_len,
        field: reject.source_field.as_deref().map(name),
        value: value.map(|value| shown(value, limits::VALUE)),
        message: include_values.then(|| shown(&reject.message, limits::MESSAGE)),
    }
}

/// As `whimbrel rejects show` takes it.
fn reject_name(reject: &RejectHead) -> String {
    format!("{}.{}", name(&reject.target_table), reject.unit)
}
