//! `plan`: what `migrate` would do, with samples and estimates; and `migrate --dry-run`, the same
//! over everything.

use std::sync::Arc;

use serde_json::json;
use whimbrel_core::event::Silent;
use whimbrel_core::{Depth, DryTable, Options, Pending, Preview, RelatePreview};
use whimbrel_model::plan::{Outside, Window};

use crate::args::{OnPlan, PlanVerb};
use crate::cmd::migrate::{plan_argument, plan_flag, selection, since};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::output::{Answer, count, printable, thousands};
use crate::progress::duration;
use crate::project::{Project, finding};

/// Records of each table that `plan` looks at.
const LOOKED_AT: u64 = 5_000;

pub(crate) async fn run(args: &PlanVerb) -> Result<Answer, Failure> {
    let (project, preview) = look(&args.on, Depth::Units(LOOKED_AT)).await?;
    let exit = match &preview.pending {
        Pending::Begin | Pending::Resume { .. } => Exit::SomethingToDo,
        Pending::Incremental { changes, .. } => exit::of_changes(changes),
        Pending::Nothing { .. } => Exit::Done,
    };
    let exit = if args.check { exit } else { Exit::Done };
    Ok(answer(&project, &preview, false).with_exit(exit))
}

/// `migrate --dry-run`: exit 3 where records would be rejected.
pub(crate) async fn dry_run(on: &OnPlan) -> Result<Answer, Failure> {
    let (project, preview) = look(on, Depth::Everything).await?;
    let rejects: u64 = preview.tables.iter().map(|table| table.units.rejected).sum();
    let exit = if rejects > 0 { Exit::Rejects } else { Exit::Done };
    Ok(answer(&project, &preview, true).with_exit(exit))
}

async fn look(on: &OnPlan, depth: Depth) -> Result<(Project, Preview), Failure> {
    let project = Project::open(&on.plan)?;
    let ports = project.ports(Arc::new(Silent)).await?;
    let schema = project.schema(ports.target.facts().await?.engine)?;
    let deadline = project.plan.run.deadline;
    let options = Options {
        selection: selection(&on.selection)?,
        deadline_at: deadline.map(|deadline| ports.clock.monotonic() + deadline),
        ..Options::default()
    };
    let preview = whimbrel_core::preview(&ports, &project.plan, schema, &options, depth).await;
    match preview {
        Ok(preview) => Ok((project, preview)),
        Err(error) => Err(project.explain(error)),
    }
}

fn answer(project: &Project, preview: &Preview, dry: bool) -> Answer {
    let argument = plan_argument(project);
    let mut text = match &preview.pending {
        Pending::Begin => "A new run would begin.\n".to_owned(),
        Pending::Resume { run } => format!("Run {run} would go on from its last checkpoint.\n"),
        Pending::Incremental { run, changes } => {
            format!("Run {run} is complete; since then {}.\n", since(changes))
        }
        Pending::Nothing { run } => {
            format!("Nothing to do: run {run} is complete and the sources are as they were.\n")
        }
    };
    let creates = if preview.creates_target { " (created)" } else { "" };
    text.push_str(&format!("target {}{creates}\n", preview.target));
    for found in &preview.findings {
        text.push_str(&format!("{}\n", finding(found)));
    }
    for file in &preview.schema {
        text.push_str(&format!("  schema {}\n", printable(file, 200)));
    }
    let over_everything = match &preview.pending {
        Pending::Begin => "",
        Pending::Resume { .. } => "Over everything, what is committed included:\n",
        Pending::Incremental { .. } => "Over everything, as a new run would take it:\n",
        Pending::Nothing { .. } => "Everything again, as a new run would take it:\n",
    };
    let nothing = !dry && matches!(preview.pending, Pending::Nothing { .. });
    if !nothing {
        text.push_str(over_everything);
        preview.tables.iter().for_each(|table| text.push_str(&table_text(table, dry)));
        preview.relates.iter().for_each(|relate| text.push_str(&relate_text(relate)));
    }
    if !dry && !nothing {
        text.push_str(&estimate(preview));
        text.push_str(&match limits(preview, project.plan.window.as_ref()) {
            None => "limits: none, the plan has neither a window nor a deadline\n".to_owned(),
            Some((true, limits)) => format!("limits: {limits}\n"),
            Some((false, limits)) => format!("! limits: {limits}\n"),
        });
    }
    let next = match &preview.pending {
        Pending::Nothing { run } => format!("whimbrel report {run}{}", plan_flag(project)),
        Pending::Incremental { changes, .. } => {
            let incremental = if changes.anything_to_load() { " --incremental" } else { "" };
            let adopt = if changes.needs_adopting() { " --adopt" } else { "" };
            format!("whimbrel migrate{argument}{incremental}{adopt}")
        }
        Pending::Begin | Pending::Resume { .. } => format!("whimbrel migrate{argument}"),
    };
    text.push_str(&format!("Next: {next}\n"));
    let message = if dry { "dry run: nothing was written" } else { "nothing was written" };
    Answer::new(message, text, json!(preview))
}

fn table_text(table: &DryTable, dry: bool) -> String {
    let sign = if table.created { "+" } else { "~" };
    let part = if table.complete {
        String::new()
    } else {
        format!(", of which {} looked at", count(table.units.read, "record"))
    };
    let files = || format!("{}, {} bytes", count(table.files, "file"), thousands(table.bytes));
    let databases = || count(table.databases, "source table");
    let read = match (table.files, table.databases) {
        (_, 0) => files(),
        (0, _) => databases(),
        (_, _) => format!("{} and {}", files(), databases()),
    };
    let mut text = format!("{sign} {}: {read}{part}\n", printable(&table.table, 80));
    text.push_str(&format!(
        "    {} read: {} to load ({}), {} rejected, {} filtered, {} duplicate\n",
        thousands(table.units.read),
        thousands(table.units.loaded),
        count(table.rows, "row"),
        thousands(table.units.rejected),
        thousands(table.units.filtered),
        thousands(table.units.duplicate)
    ));
    for reject in table.rejects.iter().take(if dry { 20 } else { 5 }) {
        let column = reject.column.as_deref().or(reject.rule.as_deref()).unwrap_or("record");
        text.push_str(&format!(
            "    ! {} {} {}: {} (first {})\n",
            thousands(reject.count),
            reject.code,
            printable(column, 60),
            printable(&reject.message, 160),
            printable(&reject.first, 160)
        ));
    }
    for sample in table.samples.iter().take(usize::from(!dry)) {
        text.push_str(&format!("    {}\n", printable(&sample.place, 160)));
        if !sample.before.is_empty() {
            text.push_str(&format!("      - {}\n", printable(&sample.before, 140)));
        }
        for (column, value) in &sample.after {
            let shown =
                value.as_deref().map_or_else(|| "NULL".to_owned(), |value| printable(value, 100));
            text.push_str(&format!("      + {} = {shown}\n", printable(column, 60)));
        }
    }
    text
}

/// `> hierarchy: writes closure; checked; cannot be undone`.
fn relate_text(relate: &RelatePreview) -> String {
    let writes: Vec<String> = relate.writes.iter().map(|table| printable(table, 80)).collect();
    let check = if relate.check { "; checked" } else { "" };
    let (sign, undo) = if relate.undo { (">", "") } else { ("!", "; cannot be undone: no `undo`") };
    let name = printable(&relate.name, 80);
    format!("{sign} relate {name}: writes {}{check}{undo}\n", writes.join(", "))
}

fn estimate(preview: &Preview) -> String {
    let of_all = match &preview.pending {
        _ if preview.at_least => "at least ",
        Pending::Begin => "",
        Pending::Resume { .. } | Pending::Incremental { .. } | Pending::Nothing { .. } => {
            "at most "
        }
    };
    let mut text = format!(
        "estimate: {of_all}{} (reading and transforming as measured now, writing as long again), {of_all}{} bytes on disk",
        duration(preview.seconds),
        thousands(preview.disk_bytes)
    );
    if let Some(free) = preview.free_bytes {
        text.push_str(&format!(" of {} free", thousands(free)));
    }
    text.push('\n');
    text
}

/// Whether the run is expected to end in time, and a sentence on what limits it; `None` where
/// nothing does.
pub(crate) fn limits(preview: &Preview, window: Option<&Window>) -> Option<(bool, String)> {
    let fits = preview.fits?;
    let mut limits = Vec::new();
    if let Some(left) = preview.window_seconds {
        limits.push(format!("the window is open for another {}", duration(left as f64)));
    }
    if let Some(wait) = preview.window_opens_in {
        let until = match window.map_or(Outside::Refuse, |window| window.outside) {
            Outside::Refuse => "until then a run is refused",
            Outside::Wait => "until then a run waits",
        };
        limits.push(format!("the window opens in {}, {until}", duration(wait as f64)));
    }
    if let Some(left) = preview.deadline_seconds {
        limits.push(format!("the deadline is {}", duration(left as f64)));
    }
    let end = if fits {
        "the run is expected to fit"
    } else {
        "the run is not expected to fit: it would stop at a checkpoint, and the same command would go on in the next"
    };
    Some((fits, format!("{}; {end}", limits.join("; "))))
}
