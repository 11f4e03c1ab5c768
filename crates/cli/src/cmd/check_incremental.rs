//! `check-incremental`: what an incremental run would take; exit 5 where there is something.

use std::sync::Arc;

use serde_json::json;
use whimbrel_core::event::Silent;
use whimbrel_core::{Changes, Options};

use crate::args::OnPlan;
use crate::cmd::migrate::{noun, plan_argument, selection};
use crate::exit;
use crate::failure::Failure;
use crate::output::{Answer, count, printable, thousands};
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
            "deleted   {} ({records} left in the target)\n",
            printable(path, 400)
        ));
    }
    for table in &changes.tables_new {
        text.push_str(&format!("new       table `{}`\n", printable(table, 80)));
    }
    for table in &changes.tables_remapped {
        let table = printable(table, 80);
        text.push_str(&format!(
            "remapped  table `{table}` (`whimbrel migrate --adopt` goes on with its new mapping)\n"
        ));
    }
    for step in &changes.relates_new {
        text.push_str(&format!("new       relate step `{}`\n", printable(step, 80)));
    }
    for step in &changes.relates_changed {
        let step = printable(step, 80);
        text.push_str(&format!(
            "changed   relate step `{step}` (`whimbrel migrate --adopt` takes it back and does it again)\n"
        ));
    }
    for step in &changes.relates_removed {
        let step = printable(step, 80);
        text.push_str(&format!(
            "removed   relate step `{step}` (`whimbrel migrate --adopt` takes it back)\n"
        ));
    }
    let message = if let Some(size) = changes.sample {
        format!(
            "Run {} took a sample of {}; everything else is to be taken.",
            run.id,
            thousands(size)
        )
    } else if changes.is_empty() {
        format!("Nothing has changed since run {}.", run.id)
    } else if changes.anything_to_load() {
        format!("{} to take since run {}.", to_take(&changes), run.id)
    } else {
        format!("Nothing to take since run {}.", run.id)
    };
    text.push_str(&format!("{message}\n"));
    let plan = plan_argument(&project);
    let adopt = if changes.needs_adopting() { " --adopt" } else { "" };
    if changes.sample.is_some() {
        text.push_str(&format!("Next: whimbrel migrate{plan}\n"));
    } else if changes.anything_to_load() {
        text.push_str(&format!("Next: whimbrel migrate{plan} --incremental{adopt}\n"));
    } else if !adopt.is_empty() {
        text.push_str(&format!("Next: whimbrel migrate{plan} --adopt\n"));
    }
    let exit = exit::of_changes(&changes);
    Ok(Answer::new(message, text, json!({ "run": run.id, "changes": changes })).with_exit(exit))
}

fn to_take(changes: &Changes) -> String {
    let files = changes.new.len() + changes.appended.len() + changes.changed.len();
    let files = (files > 0).then(|| count(files as u64, noun(changes)));
    let tables = changes.tables_new.len() as u64;
    let tables = (tables > 0).then(|| count(tables, "new table"));
    let steps = changes.relates_new.len() as u64;
    let steps = (steps > 0).then(|| count(steps, "new relate step"));
    files.into_iter().chain(tables).chain(steps).collect::<Vec<_>>().join(" and ")
}
