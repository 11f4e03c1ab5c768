//! `check-incremental`: what an incremental run would take; exit 5 where there is something.

use std::sync::Arc;

use serde_json::json;
use whimbrel_core::Options;
use whimbrel_core::event::Silent;

use crate::args::OnPlan;
use crate::cmd::migrate::{plan_argument, selection};
use crate::exit;
use crate::failure::Failure;
use crate::output::{Answer, count, printable};
use crate::project::Project;

pub(crate) async fn run(args: &OnPlan) -> Result<Answer, Failure> {
    let project = Project::open(&args.plan)?;
    let ports = project.ports(Arc::new(Silent)).await?;
    let engine = ports.target.facts().await?.engine;
    let options = Options { selection: selection(&args.selection)?, ..Options::default() };
    let schema = project.schema(engine)?;
    let checked = whimbrel_core::check_incremental(&ports, &project.plan, schema, &options).await;
    let (run, changes) = checked.map_err(|error| project.explain(error))?;
    let mut text = String::new();
    for (word, paths) in
        [("new", &changes.new), ("appended", &changes.appended), ("changed", &changes.changed)]
    {
        for path in paths {
            text.push_str(&format!("{word:<9} {}\n", printable(path, 400)));
        }
    }
    for (path, records) in &changes.deleted {
        let records = count(*records, "record");
        text.push_str(&format!(
            "deleted   {} ({records} stay in the target)\n",
            printable(path, 400)
        ));
    }
    let total = changes.new.len() + changes.appended.len() + changes.changed.len();
    let message = match total {
        0 if changes.is_empty() => format!("Nothing has changed since run {}.", run.id),
        0 => format!("Nothing to take since run {}.", run.id),
        _ => format!("{} to take since run {}.", count(total as u64, "file"), run.id),
    };
    text.push_str(&format!("{message}\n"));
    if total > 0 {
        text.push_str(&format!(
            "Next: whimbrel migrate{} --incremental\n",
            plan_argument(&project)
        ));
    }
    let exit = exit::of_changes(&changes);
    Ok(Answer::new(message, text, json!({ "run": run.id, "changes": changes })).with_exit(exit))
}
