//! What of a run's ledger may be shown to strangers: counts, codes, names, times, hashes. No record, no
//! value, no message of a database (it quotes them), no words of a person (they may).
//!
//! What is told is listed field by field: a column that comes to the ledger later is left out until it
//! is named here.

use serde_json::{Value as Json, json};
use whimbrel_endpoint::{EndpointError, Target};
use whimbrel_ledger::{
    AuditEntry, Batch, ItemHead, RejectHead, Run, Step, audit, chain, check, pages,
};
use whimbrel_ledger::{run, step};
use whimbrel_model::Class;

use crate::gather::rejects::LEFT_OUT;
use crate::gather::run::told;
use crate::gather::{GatherError, Options, gather};

/// Rows of one kind that are listed, beside how many there are.
const ROWS: u64 = 10_000;
/// Rows of the ledger that are held at a time.
const PAGE: u64 = 1_000;

/// A file of a bundle: a document, or a line per row.
#[derive(Clone, PartialEq, Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// One for `.json`; any number for `.jsonl`.
    pub documents: Vec<Json>,
    /// Rows that are there and not listed.
    pub more: u64,
}

impl Member {
    /// A file of one document.
    pub fn document(name: &'static str, document: Json) -> Self {
        Self { name, documents: vec![document], more: 0 }
    }

    /// A file of lines.
    pub fn lines(name: &'static str) -> Self {
        Self { name, documents: Vec::new(), more: 0 }
    }

    fn push(&mut self, row: Json) {
        if (self.documents.len() as u64) < ROWS {
            self.documents.push(row);
        } else {
            self.more += 1;
        }
    }
}

/// What the ledger holds of a run, as far as it may be shown to strangers.
pub async fn members(
    target: &dyn Target,
    run: &Run,
    options: &Options,
) -> Result<Vec<Member>, GatherError> {
    let options = Options { include_values: false, ..options.clone() };
    let report = gather(target, &run.id, &options).await?;
    let failed = |source| GatherError::Ledger { run: run.id.clone(), source };
    let mut members = vec![Member::document("report.json", crate::json(&report))];
    members.extend(rows(target, run).await.map_err(failed)?);
    Ok(members)
}

async fn rows(target: &dyn Target, run: &Run) -> Result<Vec<Member>, EndpointError> {
    let mut runs = Member::lines("runs.jsonl");
    run::lineage(target, run).await?.iter().for_each(|run| runs.push(of_run(run)));
    let steps = step::of_run(target, &run.id).await?;
    let mut listed = Member::lines("steps.jsonl");
    steps.iter().for_each(|step| listed.push(of_step(step)));
    let (mut items, mut batches, mut rejects) = (
        Member::lines("items.jsonl"),
        Member::lines("batches.jsonl"),
        Member::lines("rejects.jsonl"),
    );
    for step in steps.iter().filter(|step| step.target_table.is_some()) {
        let number = step.step;
        let mut after = None;
        loop {
            let page = pages::items(target, &run.id, number, after, PAGE).await?;
            page.iter().for_each(|item| items.push(of_item(number, item)));
            let Some(last) = page.last() else { break };
            after = Some(last.ordinal);
        }
        let mut after = None;
        loop {
            let page = pages::batches(target, &run.id, number, after, PAGE).await?;
            page.iter().for_each(|batch| batches.push(of_batch(batch)));
            let Some(last) = page.last() else { break };
            after = Some(last.batch);
        }
        let mut after = None;
        loop {
            let page = pages::rejects(target, &run.id, number, after, PAGE).await?;
            page.iter().for_each(|reject| rejects.push(of_reject(number, reject)));
            let Some(last) = page.last() else { break };
            after = Some(last.unit);
        }
    }
    let mut checks = Member::lines("checks.jsonl");
    for check in check::of_run(target, &run.id).await? {
        checks.push(json!({
            "seq": check.seq, "phase": check.phase, "type": check.check_type,
            "name": check.check_name, "status": check.status.word(),
            "expected": check.expected_count, "actual": check.actual_count,
            "message": told(&check, false), "created_at": check.created_at,
        }));
    }
    let mut checkpoints = Member::lines("checkpoints.jsonl");
    for one in chain::checkpoints(target, &run.id).await? {
        checkpoints.push(json!({
            "seq": one.seq, "name": one.name, "phase": one.phase, "created_at": one.created_at,
            "hash": audit::hex(&one.hash), "intact": one.hash == one.expected_hash(),
        }));
    }
    let mut entries = Member::lines("audit.jsonl");
    let mut after = None;
    loop {
        let page = audit::page(target, after, PAGE).await?;
        let touching = page.iter().filter(|entry| entry.touches(&run.id));
        touching.for_each(|entry| entries.push(of_entry(entry)));
        let Some(last) = page.last() else { break };
        after = Some(last.seq);
    }
    Ok(vec![runs, listed, items, batches, rejects, checks, checkpoints, entries])
}

fn of_run(run: &Run) -> Json {
    json!({
        "id": run.id, "seq": run.seq, "plan": run.plan, "plan_digest": audit::hex(&run.plan_digest),
        "kind": run.kind.word(), "parent": run.parent, "status": run.status.word(),
        "phase": run.phase.word(), "attempts": run.attempts, "options": parsed(&run.options),
        "sources": parsed(&run.sources), "started_by": run.started_by,
        "tool_version": run.tool_version, "started_at": run.started_at, "ended_at": run.ended_at,
        "error_code": run.error_code, "error_message": left_out(run.error_message.as_deref()),
    })
}

fn of_step(step: &Step) -> Json {
    let data = step.rollback_data.as_deref().map(parsed).unwrap_or_default();
    let known = ["created", "schema", "rows", "checked", "writes", "by", "counters", "analyzed"];
    let known =
        known.iter().filter_map(|name| Some(((*name).to_owned(), data.get(*name)?.clone())));
    let mut known: serde_json::Map<String, Json> = known.collect();
    if let Some(undo) = data.get("undo") {
        known.insert("undo".to_owned(), json!(!undo.is_null()));
    }
    json!({
        "step": step.step, "name": step.migration_step, "status": step.status.word(),
        "started_at": step.started_at, "completed_at": step.completed_at,
        "target_table": step.target_table, "digest": step.digest.as_deref().map(audit::hex),
        "error_message": left_out(step.error_message.as_deref()), "data": known,
    })
}

fn of_item(step: u64, item: &ItemHead) -> Json {
    let mut row = json!({
        "step": step, "ordinal": item.ordinal, "source": item.source,
        "source_file": item.source_file, "status": item.status.word(), "facts": parsed(&item.facts),
        "marked": item.marked, "read": item.counts.read, "lines": item.lines,
        "skipped": item.skipped, "error_message": left_out(item.error_message.as_deref()),
    });
    for class in Class::ALL {
        row[class.name()] = item.counts.class(class).into();
    }
    row
}

fn of_batch(batch: &Batch) -> Json {
    let mut row = json!({
        "step": batch.step, "batch": batch.batch, "fence": batch.fence,
        "first_item": batch.first_item, "last_item": batch.last_item,
        "read": batch.units.read.n(), "read_bytes": batch.units.read.bytes(),
        "rows_produced": batch.rows.produced.n(), "rows_inserted": batch.rows.inserted.n(),
        "rows_updated": batch.rows.updated.n(), "rows_unchanged": batch.rows.unchanged.n(),
        "balances": batch.units.balances() && batch.rows.balances(),
        "notes": of_notes(&batch.notes), "committed_at": batch.committed_at,
    });
    for class in Class::ALL {
        row[class.name()] = batch.units.class(class).n().into();
    }
    row
}

/// What was noted and how often, without the samples.
fn of_notes(notes: &str) -> Vec<Json> {
    let notes = parsed(notes);
    let of = |note: &Json| {
        json!({
            "code": note["code"], "column": note["column"], "rule": note["rule"],
            "count": note["count"],
        })
    };
    notes.as_array().into_iter().flatten().map(of).collect()
}

fn of_reject(step: u64, reject: &RejectHead) -> Json {
    json!({
        "step": step, "unit": reject.unit, "source": reject.source,
        "source_file": reject.source_file, "record": reject.record, "line": reject.line,
        "byte_offset": reject.byte_offset, "byte_len": reject.byte_len,
        "stage": reject.stage.word(), "code": reject.code, "target_table": reject.target_table,
        "target_column": reject.target_column, "source_field": reject.source_field,
        "rule": reject.rule, "value": left_out(reject.value.as_deref()), "message": LEFT_OUT,
        "spilled": reject.spill.is_some(), "status": reject.status.word(),
        "resolved_by": reject.resolved_by, "resolution": left_out(reject.resolution.as_deref()),
    })
}

/// What a person has written as a reason is left out; so the hash does not fit any more.
fn of_entry(entry: &AuditEntry) -> Json {
    let mut detail = parsed(&entry.detail);
    let waived = entry.action == "rejects.waived";
    if let Some(reason) = detail.get_mut("reason").filter(|_| waived) {
        *reason = LEFT_OUT.into();
    }
    json!({
        "seq": entry.seq, "at": entry.at, "actor": entry.actor, "action": entry.action,
        "object": entry.object, "detail": detail, "hash": audit::hex(&entry.hash),
        "intact": entry.hash == entry.expected_hash(),
    })
}

/// JSON that Whimbrel has written; what is none is left out.
fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_default()
}

/// That there is something, not what.
fn left_out(text: Option<&str>) -> Option<&'static str> {
    text.map(|_| LEFT_OUT)
}
