//! The run's own row, its checks, checkpoints and relatives.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value as Json;
use whimbrel_endpoint::{EndpointError, Target, TargetFacts};
use whimbrel_ledger::{Check, Checkpoint, Run, RunStatus};

use super::{Options, limits};
use crate::codes::RUN_UNREADABLE;
use crate::report::{
    CheckRow, CheckpointMark, CheckpointRow, Listed, Rejects, Related, Remark, SourceRow, Stop,
    TargetRow, Verdict,
};
use crate::shown::{self, shown};

/// A name of a table, column, rule, source or person, bounded.
pub(super) fn name(text: &str) -> String {
    shown(text, limits::NAME)
}

/// `file:line`, or `file` where lines mean nothing.
pub(super) fn place(file: &str, line: u64) -> String {
    let file = shown::path(file, limits::PATH);
    if line == 0 { file } else { format!("{file}:{line}") }
}

pub(super) fn verdict(run: &Run, balanced: bool, rejects: &Rejects) -> Verdict {
    match run.status {
        _ if !balanced => Verdict::Unbalanced,
        RunStatus::Failed => Verdict::Failed,
        RunStatus::Interrupted => Verdict::Interrupted,
        RunStatus::Running => Verdict::Running,
        RunStatus::Completed if rejects.statuses.open > 0 => Verdict::CompleteWithRejects,
        RunStatus::Completed => Verdict::Complete,
    }
}

/// What stopped the run; the title of its code where values are left out, because databases quote
/// them.
pub(crate) fn stop(run: &Run, options: &Options) -> Option<Stop> {
    let message = run.error_message.as_deref()?;
    let code = name(run.error_code.as_deref().unwrap_or(""));
    let message = if options.include_values {
        shown(message, limits::MESSAGE * 2)
    } else {
        (options.title_of)(&code).unwrap_or("the message is left out").to_owned()
    };
    Some(Stop { code, message })
}

/// The most bytes of options that a report repeats.
const OPTIONS_BYTES: usize = 4_096;

pub(super) fn options_of(run: &Run, remarks: &mut Listed<Remark>) -> Json {
    let bounded = run.options.len() <= OPTIONS_BYTES;
    let parsed = if bounded { serde_json::from_str(&run.options).ok() } else { None };
    parsed.unwrap_or_else(|| {
        remarks.push(limits::REMARKS, || unreadable("options"));
        Json::Null
    })
}

#[derive(Deserialize)]
struct Found {
    files: u64,
    #[serde(default)]
    tables: u64,
    bytes: u64,
}

pub(super) fn sources_of(run: &Run, remarks: &mut Listed<Remark>) -> Listed<SourceRow> {
    let Ok(found) = serde_json::from_str::<BTreeMap<String, Found>>(&run.sources) else {
        remarks.push(limits::REMARKS, || unreadable("sources"));
        return Listed::default();
    };
    let rows = found.into_iter();
    let rows = rows.map(|(source, one)| SourceRow {
        source: name(&source),
        files: one.files,
        tables: one.tables,
        bytes: one.bytes,
    });
    Listed::first(rows.collect(), limits::SOURCES)
}

fn unreadable(column: &str) -> Remark {
    let message = format!("the run's `{column}` cannot be read");
    Remark { code: RUN_UNREADABLE, message }
}

pub(super) fn target(facts: &TargetFacts) -> TargetRow {
    TargetRow {
        engine: facts.engine.to_owned(),
        version: name(&facts.version),
        location: shown::path(&facts.location, limits::PATH),
    }
}

/// Kinds of checks whose messages are figures and names, never values.
const WITHOUT_VALUES: [&str; 5] = ["conservation", "files", "inspect", "retried", "sources"];

/// The message of a check, where it may be told.
pub(crate) fn told(check: &Check, include_values: bool) -> Option<String> {
    let harmless = WITHOUT_VALUES.contains(&check.check_type.as_str());
    let message = check.error_message.as_deref().filter(|_| include_values || harmless);
    message.map(|text| shown(text, limits::MESSAGE))
}

/// Checks whose details are bounded and made to be shown.
const DETAILED: [&str; 3] = ["check", "profile", "query"];

fn detailed(check: &Check) -> Option<serde_json::Value> {
    let is_shown = DETAILED.contains(&check.check_type.as_str());
    let details = check.details.as_deref().filter(|_| is_shown)?;
    serde_json::from_str(details).ok()
}

pub(super) fn checks(checks: &[Check], include_values: bool) -> Listed<CheckRow> {
    let row = |check: &Check| CheckRow {
        phase: name(&check.phase),
        kind: name(&check.check_type),
        name: name(&check.check_name),
        status: check.status.word(),
        expected: check.expected_count,
        actual: check.actual_count,
        message: told(check, include_values),
        details: detailed(check).filter(|_| include_values),
    };
    Listed::first(checks.iter().map(row).collect(), limits::CHECKS)
}

pub(super) fn checkpoint_names(checkpoints: &[Checkpoint]) -> Listed<CheckpointRow> {
    let row = |one: &Checkpoint| CheckpointRow { name: name(&one.name), phase: name(&one.phase) };
    Listed::first(checkpoints.iter().map(row).collect(), limits::CHECKPOINTS)
}

pub(super) fn checkpoint_marks(checkpoints: &[Checkpoint]) -> Listed<CheckpointMark> {
    let row = |one: &Checkpoint| CheckpointMark {
        name: name(&one.name),
        created_at: name(&one.created_at),
        hash: shown::hex(&one.hash),
    };
    Listed::first(checkpoints.iter().map(row).collect(), limits::CHECKPOINTS)
}

/// True where each checkpoint carries its own hash and that of the one before.
pub(super) fn chain_intact(checkpoints: &[Checkpoint]) -> bool {
    let mut previous: &[u8] = &[];
    for (index, one) in checkpoints.iter().enumerate() {
        let fits =
            one.seq == index as u64 && one.previous == previous && one.hash == one.expected_hash();
        if !fits {
            return false;
        }
        previous = &one.hash;
    }
    true
}

pub(super) async fn ancestors(
    target: &dyn Target,
    run: &Run,
) -> Result<Listed<Related>, EndpointError> {
    let mut found: Listed<Related> = Listed::default();
    let mut next = run.parent.clone();
    while let Some(id) = next {
        if found.shown.len() == limits::RELATED {
            found.more += 1;
            break;
        }
        let Some(parent) = whimbrel_ledger::run::get(target, &id).await? else { break };
        found.shown.push(related(&parent));
        next = parent.parent;
    }
    Ok(found)
}

pub(super) async fn children(
    target: &dyn Target,
    run: &Run,
) -> Result<Listed<Related>, EndpointError> {
    let limit = limits::RELATED as u64 + 1;
    let runs = whimbrel_ledger::run::children(target, &run.id, limit).await?;
    Ok(Listed::first(runs.iter().map(related).collect(), limits::RELATED))
}

fn related(run: &Run) -> Related {
    Related {
        run: name(&run.id),
        kind: run.kind.word(),
        status: run.status.word(),
        started_at: name(&run.started_at),
    }
}
