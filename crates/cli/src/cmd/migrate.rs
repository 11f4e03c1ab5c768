//! `migrate`: begins a run, resumes one, or says that there is nothing to do.

use std::io::{IsTerminal as _, Write as _};
use std::sync::Arc;

use serde_json::json;
use whimbrel_core::{Changes, Options, Outcome, Outdated, Ports, Selection, StopReason};
use whimbrel_ledger::{Counts, Run, batch, step};
use whimbrel_model::Class;
use whimbrel_model::plan::quantity;
use whimbrel_profile::shown::argument;

use crate::args::{Global, LargeFilesArg, Migrate, OnRun, SelectionArgs};
use crate::exit::{self, Exit};
use crate::failure::Failure;
use crate::machine::listen_for_signals;
use crate::output::{Answer, Shortfall, count, printable, thousands};
use crate::progress::Shown;
use crate::project::Project;

pub(crate) async fn run(global: &Global, args: &Migrate) -> Result<Answer, Failure> {
    if args.dry_run {
        return super::plan::dry_run(&args.on).await;
    }
    let project = Project::open(&args.on.plan)?;
    let ports = project.ports(Arc::new(Shown::new(global))).await?;
    if !args.yes && std::io::stdin().is_terminal() {
        agree(&ports, &project).await?;
    }
    // Only now: at the question, Ctrl-C is an answer.
    listen_for_signals(&ports.cancel)
        .map_err(|error| Failure::io("WB0704", "signals cannot be heard", &error))?;
    let options = options(&project, &ports, args)?;
    let engine = ports.target.facts().await?.engine;
    let schema = project.schema(engine)?;
    let outcome = whimbrel_core::migrate(&ports, &project.plan, schema, &options).await;
    let outcome = outcome.map_err(|error| project.explain(error))?;
    answer(&ports, &project, outcome).await
}

/// Asks the person at the terminal; anything but yes is no.
async fn agree(ports: &Ports, project: &Project) -> Result<(), Failure> {
    let location = ports.target.facts().await?.location;
    let plan = &project.plan.name.value;
    let mut stderr = std::io::stderr();
    // Nobody to read the question is nobody to say yes.
    let _asked =
        write!(stderr, "Load `{plan}` into {location}? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    let read = std::io::stdin().read_line(&mut answer);
    if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::usage("WB0728", "not confirmed; nothing was written", "`--yes` does not ask"))
}

fn options(project: &Project, ports: &Ports, args: &Migrate) -> Result<Options, Failure> {
    let said = args.deadline.as_deref().map(|text| {
        let parsed = quantity::duration(text);
        parsed.ok_or_else(|| {
            let message = format!("`--deadline` is no time: `{text}`");
            Failure::usage("WB0706", message, "write `90s`, `30m` or `2h`")
        })
    });
    let deadline = said.transpose()?.or(project.plan.run.deadline);
    let max_rate = args.max_rate.as_deref().map(|text| {
        quantity::rate(text).ok_or_else(|| {
            let message = format!("`--max-rate` is no rate: `{text}`");
            Failure::usage("WB0706", message, "write rows per second, as `50000/s`")
        })
    });
    Ok(Options {
        selection: Selection { sample: args.sample, ..selection(&args.on.selection)? },
        incremental: args.incremental,
        adopt: args.adopt,
        workers: args.workers,
        batch_size: args.batch_size,
        max_rate: max_rate.transpose()?,
        deadline_at: deadline.map(|deadline| ports.clock.monotonic() + deadline),
    })
}

/// What the command line says about which records are taken.
pub(crate) fn selection(args: &SelectionArgs) -> Result<Selection, Failure> {
    let max_file_size = args.max_file_size.as_deref().map(|text| {
        quantity::size(text).ok_or_else(|| {
            let message = format!("`--max-file-size` is no size: `{text}`");
            Failure::usage("WB0706", message, "write `500KB`, `50MB` or `2GiB`")
        })
    });
    let large_files = args.large_files.map(|large| match large {
        LargeFilesArg::Handle => "handle",
        LargeFilesArg::Skip => "skip",
        LargeFilesArg::Reject => "reject",
    });
    Ok(Selection {
        max_file_size: max_file_size.transpose()?,
        large_files: large_files.map(str::to_owned),
        sample: None,
        rejects: None,
    })
}

/// The answer to a run, whatever its end.
pub(crate) async fn answer(
    ports: &Ports,
    project: &Project,
    outcome: Outcome,
) -> Result<Answer, Failure> {
    let exit = exit::of_outcome(&outcome);
    let plan = plan_argument(project);
    let answer = match outcome {
        Outcome::Completed { run, rejects, remapped, outdated } => {
            completed(ports, &run, rejects, &remapped, &outdated, &plan).await?
        }
        Outcome::NothingToDo { run } => {
            let message =
                format!("Nothing to do: run {run} is complete and the sources are as they were.");
            Answer::new(message, "", json!({ "run": run }))
        }
        Outcome::SourcesChanged { run, changes } if !changes.anything_to_load() => {
            let gone = count(changes.deleted.len() as u64, "file");
            let message = format!(
                "Nothing to do: run {run} is complete. Deleted since: {gone}; what was loaded stays in the target."
            );
            let text =
                format!("{message}\nNext: whimbrel check-incremental{plan} lists what is gone.");
            Answer::new(message, text, json!({ "run": run, "changes": changes }))
        }
        Outcome::SourcesChanged { run, changes } => {
            let message = format!("Since run {run}: {}.", since(&changes));
            let adopt = if changes.needs_adopting() { " --adopt" } else { "" };
            let text = format!(
                "{message}\nNext: whimbrel check-incremental{plan} lists them, whimbrel migrate{plan} --incremental{adopt} takes them."
            );
            Answer::new(message, text, json!({ "run": run, "changes": changes }))
        }
        Outcome::Stopped { run, reason } => {
            return Ok(stopped(project, &run, reason, exit));
        }
    };
    Ok(answer.with_exit(exit))
}

/// The answer to a run that stopped at a checkpoint.
fn stopped(project: &Project, run: &str, reason: StopReason, exit: Exit) -> Answer {
    let (code, why) = match reason {
        StopReason::Interrupt => ("WB0712", "interrupted".to_owned()),
        StopReason::Terminate => ("WB0712", "terminated".to_owned()),
        StopReason::Deadline => ("WB0713", "the deadline has passed".to_owned()),
        StopReason::WindowClosed => ("WB0714", "the maintenance window has closed".to_owned()),
        StopReason::RejectLimit => {
            ("WB0715", "more rejects than `[rejects] max` allows".to_owned())
        }
        StopReason::RuleLimit { table, rule } => {
            let table = &project.plan.tables[table];
            let (rule, table) = (&table.rules[rule].name.value, &table.into.value);
            let why = format!(
                "the rule `{rule}` of `{table}` was broken more often than its `max` allows"
            );
            ("WB0717", why)
        }
    };
    let flag = plan_flag(project);
    let go_on =
        "raise `max` and run the same command again; where the plan is mended too, with `--adopt`";
    let next = match reason {
        StopReason::RejectLimit => format!("whimbrel rejects list{flag} shows why; {go_on}"),
        StopReason::RuleLimit { .. } => format!("whimbrel report{flag} shows where; {go_on}"),
        StopReason::Interrupt
        | StopReason::Terminate
        | StopReason::Deadline
        | StopReason::WindowClosed => "the same command resumes it".to_owned(),
    };
    let message = format!("Run {run} stopped at a checkpoint: {why}.");
    let text = format!("{message}\nNext: {next}.");
    Answer::new(message, text, json!({ "run": run, "reason": why }))
        .falls_short(exit, Shortfall { code, hint: next })
}

/// What the new, appended and changed ones are called.
pub(crate) fn noun(changes: &Changes) -> &'static str {
    match changes.new.len() + changes.appended.len() + changes.changed.len() {
        _ if changes.databases == 0 => "file",
        all if all == changes.databases => "source table",
        _ => "input",
    }
}

/// `2 files new, 0 appended, 1 changed, 0 deleted`, and tables and relate steps where they are new or
/// not what they were.
pub(crate) fn since(changes: &Changes) -> String {
    let mut said = format!(
        "{} new, {} appended, {} changed, {} deleted",
        count(changes.new.len() as u64, noun(changes)),
        changes.appended.len(),
        changes.changed.len(),
        changes.deleted.len()
    );
    for (tables, word) in [(&changes.tables_new, "new"), (&changes.tables_remapped, "remapped")] {
        if !tables.is_empty() {
            said.push_str(&format!("; {} {word}", count(tables.len() as u64, "table")));
        }
    }
    for (steps, word) in [
        (&changes.relates_new, "new"),
        (&changes.relates_changed, "changed"),
        (&changes.relates_removed, "removed"),
    ] {
        if !steps.is_empty() {
            said.push_str(&format!("; {} {word}", count(steps.len() as u64, "relate step")));
        }
    }
    said
}

/// ` PLAN` as typed in a shell, where the plan is not the default one.
pub(crate) fn plan_argument(project: &Project) -> String {
    let shown = project.file.display().to_string();
    if shown == "whimbrel.toml" { String::new() } else { format!(" {}", argument(&shown)) }
}

/// ` --plan PLAN` as typed in a shell, where the plan is not the default one.
pub(crate) fn plan_flag(project: &Project) -> String {
    let shown = project.file.display().to_string();
    if shown == "whimbrel.toml" { String::new() } else { format!(" --plan {}", argument(&shown)) }
}

/// That rows of before keep the mapping of before.
pub(crate) fn remapped_text(tables: &[String]) -> String {
    let line = |table: &String| {
        let table = printable(table, 80);
        format!(
            "! `{table}` has another mapping now; rows that were loaded before stay as they are\n"
        )
    };
    tables.iter().map(line).collect()
}

/// That sources are not what the run has read of them.
fn outdated_text(outdated: &[Outdated]) -> String {
    let line = |one: &Outdated| {
        let source = printable(&one.source, 80);
        let rows_of = if one.rows_of == one.source {
            String::new()
        } else {
            format!(", `{}`", printable(&one.rows_of, 80))
        };
        let how = if one.appended { "rows were added" } else { "it was changed" };
        format!("! source `{source}`{rows_of}: {how} while the run was interrupted (WB0634)\n")
    };
    outdated.iter().map(line).collect()
}

async fn completed(
    ports: &Ports,
    run: &str,
    rejects: u64,
    remapped: &[String],
    outdated: &[Outdated],
    plan: &str,
) -> Result<Answer, Failure> {
    let target = ports.target.as_ref();
    let tables = table_figures(target, run).await?;
    let mut text = format!("Run {run} is complete.\n");
    for table in &tables {
        text.push_str(&table.line());
    }
    if rejects > 0 {
        text.push_str(&format!(
            "! {} for you to look at: whimbrel rejects list --run {run}{}\n",
            count(rejects, "reject"),
            if plan.is_empty() { String::new() } else { format!(" --plan{plan}") }
        ));
    }
    let flag = if plan.is_empty() { String::new() } else { format!(" --plan{plan}") };
    text.push_str(&outdated_text(outdated));
    text.push_str(&if outdated.is_empty() {
        format!("Next: whimbrel report {run}{flag}\n")
    } else {
        format!("Next: whimbrel migrate{plan} --incremental reads them again.\n")
    });
    let mut message = format!("run {run} is complete, {}", count(rejects, "reject"));
    if !outdated.is_empty() {
        let sources = count(outdated.len() as u64, "source");
        message.push_str(&format!(", {sources} changed while it was interrupted"));
    }
    let data = json!({
        "run": run,
        "rejects": rejects,
        "tables_remapped": remapped,
        "sources_changed": outdated,
        "tables": tables.iter().map(TableFigures::json).collect::<Vec<_>>(),
    });
    Ok(Answer::new(message, text, data))
}

/// The accounts of one table of a run.
pub(crate) struct TableFigures {
    pub(crate) table: String,
    pub(crate) units: Counts,
    pub(crate) rows: [u64; 4],
    pub(crate) status: &'static str,
}

impl TableFigures {
    /// `content_items: read 40 = loaded 30 + rejected 8 + duplicate 2`, classes without units left out.
    pub(crate) fn line(&self) -> String {
        let classes = Class::ALL.iter().filter(|class| self.units.class(**class) > 0);
        let classes: Vec<String> = classes
            .map(|class| format!("{} {}", class.name(), thousands(self.units.class(*class))))
            .collect();
        let classes = if classes.is_empty() { "0".to_owned() } else { classes.join(" + ") };
        let table = printable(&self.table, 80);
        format!("  {table}: read {} = {classes}\n", thousands(self.units.read))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let [produced, inserted, updated, unchanged] = self.rows;
        let mut units = serde_json::Map::new();
        units.insert("read".to_owned(), self.units.read.into());
        for class in Class::ALL {
            units.insert(class.name().to_owned(), self.units.class(class).into());
        }
        json!({
            "table": self.table,
            "status": self.status,
            "units": units,
            "rows": { "produced": produced, "inserted": inserted, "updated": updated, "unchanged": unchanged },
        })
    }
}

/// The accounts of every table of a run, from the committed batches.
pub(crate) async fn table_figures(
    target: &dyn whimbrel_endpoint::Target,
    run: &str,
) -> Result<Vec<TableFigures>, Failure> {
    let steps = step::of_run(target, run).await?;
    let batches = batch::of_run(target, run).await?;
    let mut figures = Vec::new();
    for step in steps {
        let Some(table) = step.target_table else { continue };
        let mut own = TableFigures {
            table,
            units: Counts::default(),
            rows: [0; 4],
            status: step.status.word(),
        };
        for batch in batches.iter().filter(|batch| batch.step == step.step) {
            own.units.add(&Counts::of(&batch.units));
            let rows = &batch.rows;
            let sums = [&rows.produced, &rows.inserted, &rows.updated, &rows.unchanged];
            own.rows.iter_mut().zip(sums).for_each(|(total, sum)| *total += sum.n());
        }
        figures.push(own);
    }
    Ok(figures)
}

/// Two plans are named where one is taken.
pub(crate) fn torn(verb: &str) -> Failure {
    let message = format!("`{verb}` takes one plan, and two are named");
    Failure::usage("WB0727", message, "leave one of them out")
}

/// `--run` is for verbs that take something else without a flag.
pub(crate) fn takes_no_flag(verb: &str, on: &OnRun) -> Result<(), Failure> {
    if on.is_torn() {
        return Err(torn(verb));
    }
    let Some(stray) = &on.stray else { return Ok(()) };
    let stray = argument(&printable(stray, 80));
    let message = format!("`{verb}` takes the run without a flag: {stray}");
    Err(Failure::usage("WB0727", message, format!("whimbrel {verb} {stray}")))
}

/// The run that was asked for, or the newest of the plan.
pub(crate) async fn find_run(
    project: &Project,
    target: &dyn whimbrel_endpoint::Target,
    wanted: Option<&str>,
) -> Result<Run, Failure> {
    let facts = target.facts().await?;
    let none = || {
        let message =
            format!("no run of plan `{}` in `{}`", project.plan.name.value, facts.location);
        Failure::usage("WB0620", message, "`whimbrel migrate` begins one")
    };
    if !facts.exists || !target.has_ledger().await? {
        return Err(none());
    }
    let run = match wanted {
        None => whimbrel_ledger::run::newest(target, &project.plan.name.value)
            .await?
            .ok_or_else(none)?,
        Some(id) => {
            let runs = whimbrel_ledger::run::all(target, None).await?;
            let mut found: Vec<Run> =
                runs.into_iter().filter(|run| run.id.starts_with(id)).collect();
            match found.len() {
                1 => found.remove(0),
                0 => {
                    return Err(Failure::usage(
                        "WB0620",
                        format!("no run `{id}` in `{}`", facts.location),
                        "`whimbrel history` lists the runs",
                    ));
                }
                several => {
                    return Err(Failure::usage(
                        "WB0620",
                        format!("{several} runs begin with `{id}`"),
                        "give more of its digits",
                    ));
                }
            }
        }
    };
    tracing::debug!(run = %run.id, status = run.status.word(), "run found");
    Ok(run)
}
