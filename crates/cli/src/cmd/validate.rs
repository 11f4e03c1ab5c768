//! `validate`: everything that can be checked before a run, each with its reason.

use std::fs;
use std::sync::Arc;

use rustix::fs::{Access, access};
use serde_json::json;
use whimbrel_core::event::Silent;
use whimbrel_core::{Depth, Options, Ports, Preview};

use crate::args::OnPlan;
use crate::cmd::migrate::{plan_argument, selection};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, Shortfall, count, printable, thousands};
use crate::project::Project;

/// Records of each table that are tried.
const TRIED: u64 = 1_000;

struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
    /// A code that `explain` knows, where the check met an error.
    code: Option<&'static str>,
}

impl Check {
    fn new(name: &'static str, ok: bool, detail: impl Into<String>) -> Self {
        Self { name, ok, detail: detail.into(), code: None }
    }

    fn failed(name: &'static str, code: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: false, detail: detail.into(), code: Some(code) }
    }
}

pub(crate) async fn run(args: &OnPlan) -> Result<Answer, Failure> {
    let project = Project::open(&args.plan)?;
    let ports = project.ports(Arc::new(Silent)).await?;
    let plan = &project.plan;
    let tables = count(plan.tables.len() as u64, "table");
    let sources = count(plan.sources.len() as u64, "source");
    let mut checks = vec![Check::new("plan", true, format!("{tables} from {sources}"))];
    let target = target(&ports).await;
    let reached = target.ok;
    checks.push(target);
    checks.push(working_folder(&project));
    if reached {
        let schema = project.schema(ports.target.facts().await?.engine)?;
        let deadline = plan.run.deadline;
        let options = Options {
            selection: selection(&args.selection)?,
            deadline_at: deadline.map(|deadline| ports.clock.monotonic() + deadline),
            ..Options::default()
        };
        let preview =
            whimbrel_core::preview(&ports, plan, schema, &options, Depth::Units(TRIED)).await;
        match preview {
            Ok(preview) => checks.extend(looked(&preview)),
            Err(error) => {
                let failure = project.explain(error);
                let mut detail = failure.message.clone();
                failure.causes.iter().for_each(|cause| detail.push_str(&format!(": {cause}")));
                failure
                    .errors
                    .iter()
                    .for_each(|error| detail.push_str(&format!("\n{}", error.trim_end())));
                checks.push(Check::failed("sources and mapping", failure.code, detail));
            }
        }
    }
    let failed = checks.iter().filter(|check| !check.ok).count();
    let mut text = String::new();
    for check in &checks {
        let word = if check.ok { "ok  " } else { "FAIL" };
        text.push_str(&format!("{word}  {:<20} {}\n", check.name, check.detail));
    }
    let message = match failed {
        0 => "everything checked is in order".to_owned(),
        _ => count(failed as u64, "failed check"),
    };
    text.push_str(&match failed {
        0 => format!("Next: whimbrel plan{}\n", plan_argument(&project)),
        _ => format!("{message}; nothing was written\n"),
    });
    let list: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name, "ok": check.ok, "detail": check.detail, "code": check.code,
            })
        })
        .collect();
    let answer = Answer::new(message, text, json!({ "checks": list }));
    Ok(match failed {
        0 => answer,
        _ => answer.falls_short(
            Exit::Usage,
            Shortfall { code: "WB0716", hint: "mend what failed, then check again".to_owned() },
        ),
    })
}

async fn target(ports: &Ports) -> Check {
    let name = "target";
    match ports.target.facts().await {
        Err(error) => Check::failed(name, error.code, error.to_string()),
        Ok(facts) => match facts.read_only {
            Some(why) => {
                Check::new(name, false, format!("{} cannot be written: {why}", facts.location))
            }
            None => {
                let state = if facts.exists { "exists" } else { "would be created" };
                let (engine, version) = (facts.engine, facts.version);
                Check::new(name, true, format!("{engine} {version}, {} {state}", facts.location))
            }
        },
    }
}

/// Spill files of rejects go below `.whimbrel/`: the folder must take them.
fn working_folder(project: &Project) -> Check {
    let name = "working folder";
    let folder = project.base.join(".whimbrel");
    let wanted = match fs::metadata(&folder) {
        Ok(about) if !about.is_dir() => {
            let detail = format!("{} is in the way: it is no folder", folder.display());
            return Check::new(name, false, detail);
        }
        Ok(_) => &folder,
        Err(_) => &project.base,
    };
    match access(wanted, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Check::new(name, true, wanted.display().to_string()),
        Err(error) => {
            let error = std::io::Error::from(error);
            let detail = format!("{} cannot be written: {error}", wanted.display());
            Check::new(name, false, detail)
        }
    }
}

fn looked(preview: &Preview) -> Vec<Check> {
    let mut checks = Vec::new();
    for table in &preview.tables {
        let all_lost = table.units.read > 0 && table.units.rejected == table.units.read;
        let first = table.rejects.first().map(|reject| {
            format!("; most often {} {}", reject.code, printable(&reject.message, 120))
        });
        checks.push(Check::new(
            "mapping",
            !all_lost,
            format!(
                "`{}`: {} tried, {} rejected{}",
                table.table,
                count(table.units.read, "record"),
                thousands(table.units.rejected),
                first.unwrap_or_default()
            ),
        ));
    }
    if let Some(free) = preview.free_bytes {
        let needed = preview.disk_bytes;
        let detail = format!("about {} bytes needed, {} free", thousands(needed), thousands(free));
        checks.push(Check::new("disk", needed <= free, detail));
    }
    if let Some(fits) = preview.fits {
        let limits = [
            preview.window_seconds.map(|left| format!("the window is open for {left} s")),
            preview.window_opens_in.map(|wait| format!("the window is closed, opens in {wait} s")),
            preview.deadline_seconds.map(|left| format!("the deadline is {left} s")),
        ];
        let limits: Vec<String> = limits.into_iter().flatten().collect();
        let (limits, seconds) = (limits.join("; "), preview.seconds);
        let detail = format!("{limits}; the run is expected to take {seconds:.0} s");
        checks.push(Check::new("time", fits, detail));
    }
    checks
}
