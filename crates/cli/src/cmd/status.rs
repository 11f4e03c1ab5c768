//! `status`: how a run stands, and what to do next.

use serde_json::json;
use whimbrel_ledger::{ItemKind, RunStatus, item, parked, reject, step};
use whimbrel_report::{CheckOutcome, RelateRow};

use crate::args::OnRun;
use crate::cmd::migrate::{
    TableFigures, find_run, plan_argument, plan_flag, table_figures, takes_no_flag,
};
use crate::failure::Failure;
use crate::output::{Answer, count, printable};
use crate::project::Project;

pub(crate) async fn run(args: &OnRun) -> Result<Answer, Failure> {
    takes_no_flag("status", args)?;
    let project = Project::open(args.plan())?;
    let target = project.target().await?;
    let run = find_run(&project, target.as_ref(), args.wanted()).await?;
    let tables = table_figures(target.as_ref(), &run.id).await?;
    let items = item::of_run(target.as_ref(), &run.id).await?;
    let open = reject::open_of(target.as_ref(), &run).await?;
    let done =
        items.iter().filter(|item| item.status == whimbrel_ledger::ItemStatus::Completed).count();
    let word = run.status.word();
    let mut text = format!(
        "Run {} of `{}` is {word} ({}, phase {}, attempt {}, started {} by {}).\n",
        run.id,
        run.plan,
        run.kind.word(),
        run.phase.word(),
        run.attempts,
        run.started_at,
        printable(&run.started_by, 80)
    );
    let tables_only = items.iter().all(|item| item.kind == ItemKind::Table) && !items.is_empty();
    let what = if tables_only { "source tables" } else { "files" };
    text.push_str(&format!("  {what}: {done} of {} done\n", items.len()));
    tables.iter().for_each(|table| text.push_str(&table.line()));
    let steps = step::of_run(target.as_ref(), &run.id).await?;
    let relates = whimbrel_report::relates(&run, &steps);
    relates.shown.iter().for_each(|relate| text.push_str(&relate_line(relate)));
    if relates.more > 0 {
        text.push_str(&format!("  … and {}\n", count(relates.more, "more relate step")));
    }
    if let Some(message) = &run.error_message {
        let code = run.error_code.as_deref().unwrap_or("");
        text.push_str(&format!("  stopped by {code}: {}\n", printable(message, 400)));
    }
    if open > 0 {
        text.push_str(&format!("  {} open\n", count(open, "reject")));
    }
    let parked = parked::all(target.as_ref()).await?;
    for of_table in parked.chunk_by(|one, other| one.target_table == other.target_table) {
        let names: Vec<String> = of_table.iter().map(|index| printable(&index.name, 80)).collect();
        let table = printable(&of_table[0].target_table, 80);
        let names = names.join(", ");
        text.push_str(&format!(
            "  parked indexes of `{table}`: {names}; the next run restores them\n"
        ));
    }
    let next = match run.status {
        RunStatus::Completed if !parked.is_empty() => {
            format!("whimbrel migrate{}    (restores the indexes)", plan_argument(&project))
        }
        RunStatus::Completed if open > 0 => {
            format!("whimbrel rejects list --run {}{}", run.id, plan_flag(&project))
        }
        RunStatus::Completed => format!("whimbrel report {}{}", run.id, plan_flag(&project)),
        RunStatus::Running | RunStatus::Interrupted | RunStatus::Failed => {
            format!(
                "whimbrel migrate{}    (goes on from the last checkpoint)",
                plan_argument(&project)
            )
        }
    };
    text.push_str(&format!("Next: {next}\n"));
    let data = json!({
        "run": run.id,
        "plan": run.plan,
        "kind": run.kind.word(),
        "parent": run.parent,
        "status": word,
        "phase": run.phase.word(),
        "attempts": run.attempts,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "started_by": run.started_by,
        "error": run.error_message,
        "open_rejects": open,
        "files": { "total": items.len(), "done": done },
        "parked_indexes": parked.iter().map(|index| json!({
            "run": index.run, "table": index.target_table, "name": index.name,
            "definition": index.definition,
        })).collect::<Vec<_>>(),
        "tables": tables.iter().map(TableFigures::json).collect::<Vec<_>>(),
        "relates": relates,
    });
    Ok(Answer::new(format!("run {} is {word}", run.id), text, data))
}

/// `  relate digits: completed, 10 rows changed; check passed; undo recorded`; names are escaped.
fn relate_line(relate: &RelateRow) -> String {
    let mut line = format!("  relate {}: {}", relate.name, relate.status);
    if relate.left {
        line.push_str(" by an earlier run");
    }
    if let Some(rows) = relate.rows {
        line.push_str(&format!(", {} changed", count(rows, "row")));
    }
    line.push_str(&match relate.check {
        CheckOutcome::NotYet => String::new(),
        CheckOutcome::None => "; no check".to_owned(),
        CheckOutcome::Passed | CheckOutcome::Failed | CheckOutcome::Unknown => {
            format!("; check {}", relate.check.words())
        }
    });
    line.push_str(match relate.undo {
        Some(true) => "; undo recorded\n",
        Some(false) => "; no undo\n",
        None => "\n",
    });
    line
}
