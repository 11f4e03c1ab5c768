//! `rejects list`: grouped by cause, or one by one.

use std::collections::BTreeMap;

use serde_json::json;
use whimbrel_ledger::{Reject, RejectStatus};
use whimbrel_profile::shown::argument;

use super::{for_each, name, place};
use crate::args::RejectsList;
use crate::cmd::migrate::{find_run, plan_flag};
use crate::failure::Failure;
use crate::output::{Answer, count, printable, thousands};
use crate::project::Project;

/// Rejects listed one by one before "and N more".
const LISTED: usize = 10_000;

/// What rejects are grouped by.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Cause {
    table: String,
    code: String,
    column: Option<String>,
    rule: Option<String>,
}

#[derive(Default)]
struct Group {
    total: u64,
    open: u64,
    first: Option<Reject>,
}

pub(crate) async fn run(args: &RejectsList) -> Result<Answer, Failure> {
    if let Some(stray) = &args.stray {
        let stray = argument(&printable(stray, 80));
        let message = format!("`rejects list` takes the run by a flag: {stray}");
        let hint = format!("whimbrel rejects list --run {stray}");
        return Err(Failure::usage("WB0727", message, hint));
    }
    let project = Project::open(&args.on.plan)?;
    let target = project.target().await?;
    let run = find_run(&project, target.as_ref(), args.on.run.as_deref()).await?;
    let mut groups: BTreeMap<Cause, Group> = BTreeMap::new();
    let mut listed = Vec::new();
    let mut total = 0u64;
    for_each(target.as_ref(), &run, !args.resolved, &mut |reject| {
        total += 1;
        let cause = Cause {
            table: reject.target_table.clone(),
            code: reject.code.clone(),
            column: reject.target_column.clone(),
            rule: reject.rule.clone(),
        };
        let group = groups.entry(cause).or_default();
        group.total += 1;
        group.open += u64::from(reject.status == RejectStatus::Open);
        if args.all && listed.len() < LISTED {
            listed.push(reject.clone());
        }
        group.first.get_or_insert(reject);
        Ok(())
    })
    .await?;
    let mut text = String::new();
    let data = if args.all {
        listed.iter().for_each(|reject| text.push_str(&line(reject)));
        if total > listed.len() as u64 {
            text.push_str(&format!("… and {} more\n", thousands(total - listed.len() as u64)));
        }
        json!({ "run": run.id, "total": total, "rejects": listed.iter().map(json).collect::<Vec<_>>() })
    } else {
        let mut causes: Vec<_> = groups.iter().collect();
        causes.sort_by_key(|(_, group)| std::cmp::Reverse(group.total));
        causes.iter().for_each(|(cause, group)| text.push_str(&group_lines(cause, group)));
        let groups = causes.iter().map(|(cause, group)| {
            json!({
                "table": cause.table, "code": cause.code, "column": cause.column, "rule": cause.rule,
                "count": group.total, "open": group.open, "first": group.first.as_ref().map(json),
            })
        });
        json!({ "run": run.id, "total": total, "groups": groups.collect::<Vec<_>>() })
    };
    let message = match total {
        0 => format!("no open rejects in run {}", run.id),
        _ => count(total, "reject"),
    };
    if total == 0 {
        text.push_str(&format!("No open rejects in run {}.\n", run.id));
    } else {
        let flag = plan_flag(&project);
        text.push_str(&format!(
            "{}. Next: whimbrel rejects show TABLE.UNIT{flag}\n      to mend them: whimbrel rejects export FOLDER{flag}, edit, whimbrel rejects retry --from FOLDER{flag}\n",
            count(total, "reject")
        ));
    }
    Ok(Answer::new(message, text, data))
}

fn group_lines(cause: &Cause, group: &Group) -> String {
    let what = match (&cause.rule, &cause.column) {
        (Some(rule), _) => format!("rule `{}`", printable(rule, 80)),
        (None, Some(column)) => format!("column `{}`", printable(column, 80)),
        (None, None) => "record".to_owned(),
    };
    let (total, table) = (thousands(group.total), printable(&cause.table, 80));
    let mut text = format!("{total:>9}  {}  `{table}` {what}\n", cause.code);
    if let Some(first) = &group.first {
        text.push_str(&format!(
            "           first {}: {}\n",
            printable(&place(first), 200),
            explained(first)
        ));
    }
    text
}

fn explained(reject: &Reject) -> String {
    let value = reject.value.as_deref().map(|value| format!(": `{}`", printable(value, 80)));
    format!("{}{}", printable(&reject.message, 240), value.unwrap_or_default())
}

fn line(reject: &Reject) -> String {
    let column = reject.target_column.as_deref().unwrap_or("-");
    format!(
        "{:<12} {:<7} {} {} {}: {}\n",
        printable(&name(reject), 200),
        reject.status.word(),
        reject.code,
        printable(&place(reject), 200),
        printable(column, 80),
        explained(reject)
    )
}

/// A reject for programs, without its bytes.
pub(super) fn json(reject: &Reject) -> serde_json::Value {
    json!({
        "id": name(reject), "run": reject.run, "table": reject.target_table, "source": reject.source,
        "file": reject.source_file, "record": reject.record, "line": reject.line,
        "byte_offset": reject.byte_offset, "byte_len": reject.byte_len, "stage": reject.stage.word(),
        "code": reject.code, "column": reject.target_column, "field": reject.source_field,
        "rule": reject.rule, "value": reject.value, "message": reject.message,
        "cut": reject.is_cut(), "status": reject.status.word(), "resolved_by": reject.resolved_by,
        "resolution": reject.resolution,
    })
}
