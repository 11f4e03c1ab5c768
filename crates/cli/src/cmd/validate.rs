//! `validate`: everything that can be checked before a run, each with its reason.

use std::fs;
use std::sync::Arc;

use serde_json::json;
use whimbrel_core::event::Silent;
use whimbrel_core::{Depth, Options, Ports, Preview};

use crate::args::OnPlan;
use crate::cmd::migrate::{plan_argument, selection};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, count, printable, thousands};
use crate::project::Project;

/// Records of each table that are tried.
const TRIED: u64 = 1_000;

struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

pub(crate) async fn run(args: &OnPlan) -> Result<Answer, Failure> {
    let project = Project::open(&args.plan)?;
    let ports = project.ports(Arc::new(Silent)).await?;
    let plan = &project.plan;
    let tables = count(plan.tables.len() as u64, "table");
    let mut checks = vec![Check {
        name: "plan",
        ok: true,
        detail: format!("{tables} from {}", count(plan.sources.len() as u64, "source")),
    }];
    let target = target(&ports).await;
    let reached = target.ok;
    checks.push(target);
    checks.push(working_folder(&project));
    if reached {
        let schema = project.schema(ports.target.facts().await?.engine)?;
        let options = Options { selection: selection(&args.selection)?, ..Options::default() };
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
                checks.push(Check { name: "sources and mapping", ok: false, detail });
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
        .map(|check| json!({ "name": check.name, "ok": check.ok, "detail": check.detail }))
        .collect();
    let exit = if failed == 0 { Exit::Done } else { Exit::Usage };
    Ok(Answer::new(message, text, json!({ "checks": list })).with_exit(exit))
}

async fn target(ports: &Ports) -> Check {
    let name = "target";
    match ports.target.facts().await {
        Err(error) => Check { name, ok: false, detail: error.to_string() },
        Ok(facts) => match facts.read_only {
            Some(why) => Check {
                name,
                ok: false,
                detail: format!("{} cannot be written: {why}", facts.location),
            },
            None => {
                let state = if facts.exists { "exists" } else { "would be created" };
                Check {
                    name,
                    ok: true,
                    detail: format!(
                        "{} {}, {} {state}",
                        facts.engine, facts.version, facts.location
                    ),
                }
            }
        },
    }
}

/// Spill files of rejects go below `.whimbrel/`: the folder must take them.
fn working_folder(project: &Project) -> Check {
    let name = "working folder";
    let folder = project.base.join(".whimbrel");
    let wanted = if folder.is_dir() { folder } else { project.base.clone() };
    match fs::metadata(&wanted) {
        Ok(about) if !about.permissions().readonly() => {
            Check { name, ok: true, detail: format!("{}", wanted.display()) }
        }
        Ok(_) => Check { name, ok: false, detail: format!("{} is read-only", wanted.display()) },
        Err(error) => Check { name, ok: false, detail: format!("{}: {error}", wanted.display()) },
    }
}

fn looked(preview: &Preview) -> Vec<Check> {
    let mut checks = Vec::new();
    for table in &preview.tables {
        let all_lost = table.units.read > 0 && table.units.rejected == table.units.read;
        let first = table.rejects.first().map(|reject| {
            format!("; most often {} {}", reject.code, printable(&reject.message, 120))
        });
        checks.push(Check {
            name: "mapping",
            ok: !all_lost,
            detail: format!(
                "`{}`: {} tried, {} rejected{}",
                table.table,
                count(table.units.read, "record"),
                thousands(table.units.rejected),
                first.unwrap_or_default()
            ),
        });
    }
    if let Some(free) = preview.free_bytes {
        checks.push(Check {
            name: "disk",
            ok: preview.disk_bytes <= free,
            detail: format!(
                "about {} bytes needed, {} free",
                thousands(preview.disk_bytes),
                thousands(free)
            ),
        });
    }
    if let Some(left) = preview.window_seconds {
        checks.push(Check {
            name: "window",
            ok: preview.fits,
            detail: format!(
                "open for {left} s, the run is expected to take {:.0} s",
                preview.seconds
            ),
        });
    }
    if let Some(wait) = preview.window_opens_in {
        checks.push(Check {
            name: "window",
            ok: true,
            detail: format!("closed, opens in {wait} s"),
        });
    }
    checks
}
