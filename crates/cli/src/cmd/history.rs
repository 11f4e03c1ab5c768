//! `history`: the runs of the target, newest first.

use serde_json::json;
use whimbrel_ledger::run;

use crate::args::History;
use crate::failure::Failure;
use crate::output::{Answer, count};
use crate::project::Project;

pub(crate) async fn run(args: &History) -> Result<Answer, Failure> {
    let project = Project::open(args.named.as_ref().unwrap_or(&args.plan))?;
    let target = project.target().await?;
    let facts = target.facts().await?;
    let runs = if facts.exists && target.has_ledger().await? {
        run::all(target.as_ref(), Some(args.limit)).await?
    } else {
        Vec::new()
    };
    let mut text = String::new();
    for run in &runs {
        text.push_str(&format!(
            "{}  {:<11}  {:<11}  {}  {}\n",
            run.id,
            run.status.word(),
            run.kind.word(),
            run.started_at,
            run.plan
        ));
    }
    if runs.is_empty() {
        text.push_str("No run yet. `whimbrel migrate` begins one.\n");
    }
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            json!({
                "run": run.id, "plan": run.plan, "kind": run.kind.word(), "status": run.status.word(),
                "parent": run.parent, "attempts": run.attempts, "started_at": run.started_at,
                "ended_at": run.ended_at, "started_by": run.started_by, "error": run.error_message,
            })
        })
        .collect();
    Ok(Answer::new(count(runs.len() as u64, "run"), text, json!({ "runs": rows })))
}
