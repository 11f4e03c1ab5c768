//! `validate`: everything that can be checked before a run, each with its reason.

use std::fs;
use std::sync::Arc;

use rustix::fs::{Access, access};
use serde_json::json;
use whimbrel_core::event::Silent;
use whimbrel_core::{Depth, DryReject, DryTable, Options, Ports, Preview, RelatePreview};
use whimbrel_model::plan::Window;
use whimbrel_validator::verify::{Checked, Level, Status};

use crate::args::{SourceLevelArg, Validate};
use crate::cmd::migrate::{plan_argument, selection};
use crate::cmd::plan::limits;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Answer, Shortfall, count, printable, thousands};
use crate::project::Project;

/// Records of each table that are tried.
const TRIED: u64 = 1_000;

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// A run is possible, and hardly what is wanted.
    Doubtful,
    Bad,
}

impl Verdict {
    fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Good => "ok  ",
            Self::Doubtful => "warn",
            Self::Bad => "FAIL",
        }
    }
}

struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    /// A code that `explain` knows: of the error that the check met, or of its most frequent reject.
    code: Option<String>,
}

impl Check {
    fn new(name: &'static str, good: bool, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::of(good), detail: detail.into(), code: None }
    }

    /// For people; what is wrong names its code, so that it can be explained.
    fn lines(&self) -> String {
        let mut detail = self.detail.clone();
        if let Some(code) = self.code.as_ref().filter(|code| !detail.contains(code.as_str())) {
            let end = detail.find('\n').unwrap_or(detail.len());
            detail.insert_str(end, &format!(" ({code})"));
        }
        format!("{}  {:<20} {detail}\n", self.verdict.sign(), self.name)
    }

    fn failed(name: &'static str, code: &str, detail: impl Into<String>) -> Self {
        let (detail, code) = (detail.into(), Some(code.to_owned()));
        Self { name, verdict: Verdict::Bad, detail, code }
    }
}

pub(crate) async fn run(args: &Validate) -> Result<Answer, Failure> {
    let Validate { on: args, level } = args;
    let level = match level {
        SourceLevelArg::Basic => Level::Basic,
        SourceLevelArg::Standard => Level::Standard,
        SourceLevelArg::Rigorous => Level::Rigorous,
    };
    let project = Project::open(&args.plan)?;
    let ports = project.ports(Arc::new(Silent)).await?;
    let plan = &project.plan;
    let tables = count(plan.tables.len() as u64, "table");
    let sources = count(plan.sources.len() as u64, "source");
    let mut checks = vec![Check::new("plan", true, format!("{tables} from {sources}"))];
    let target = target(&ports).await;
    let reached = target.verdict != Verdict::Bad;
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
            Ok(preview) => {
                checks.extend(looked(&preview, plan.window.as_ref()));
                let evaluated = whimbrel_core::check_sources(&ports, plan, level).await;
                let evaluated = evaluated.map_err(|error| project.explain(error))?;
                checks.extend(evaluated.iter().map(rule));
            }
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
    let having = |verdict| checks.iter().filter(|check| check.verdict == verdict).count() as u64;
    let (failed, doubtful) = (having(Verdict::Bad), having(Verdict::Doubtful));
    let is_unknown = |check: &&Check| check.code.as_deref() == Some(NOT_EVALUATED);
    let unknown = checks.iter().filter(is_unknown).count() as u64;
    let mut text = String::new();
    checks.iter().for_each(|check| text.push_str(&check.lines()));
    let message = match (failed, doubtful) {
        (0, 0) => "everything checked is in order".to_owned(),
        (0, _) => format!("no failed check, {}", count(doubtful, "warning")),
        (_, _) => count(failed, "failed check"),
    };
    text.push_str(&match failed {
        0 => format!("Next: whimbrel plan{}\n", plan_argument(&project)),
        _ => format!("{message}; nothing was written\n"),
    });
    let list: Vec<_> = checks
        .iter()
        .map(|check| {
            json!({
                "name": check.name,
                "ok": check.verdict != Verdict::Bad,
                "warning": check.verdict == Verdict::Doubtful,
                "detail": check.detail,
                "code": check.code,
            })
        })
        .collect();
    let answer = Answer::new(message, text, json!({ "checks": list }));
    Ok(match failed {
        0 => answer,
        failed if failed == unknown => answer.falls_short(
            Exit::NotVerified,
            Shortfall {
                code: NOT_EVALUATED,
                hint: "the checks that failed say why they were not evaluated".to_owned(),
            },
        ),
        _ => answer.falls_short(
            Exit::Usage,
            Shortfall { code: "WB0716", hint: "mend what failed, then check again".to_owned() },
        ),
    })
}

async fn target(ports: &Ports) -> Check {
    let name = "target";
    match ports.target.facts().await {
        Err(error) => {
            let mut detail = error.to_string();
            if let Some(hint) = refused(error.code) {
                detail.push_str(&format!("\n      hint: {hint}"));
            }
            Check::failed(name, error.code, detail)
        }
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

/// What to do where the target does not let us in.
fn refused(code: &str) -> Option<&'static str> {
    // Of this one the hint is to ask `validate`.
    let of_rights = "the rights that the user of the URL needs stand in docs/databases.md";
    if code == "WB0453" { Some(of_rights) } else { whimbrel_sql::hint(code) }
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

fn looked(preview: &Preview, window: Option<&Window>) -> Vec<Check> {
    let mut checks = Vec::new();
    for found in &preview.findings {
        let detail = format!("{}: {}", found.at, printable(&found.message, 400));
        let code = Some(found.code.to_owned());
        checks.push(Check { name: "endpoint", verdict: Verdict::Doubtful, detail, code });
    }
    preview.tables.iter().for_each(|table| checks.push(mapping(table)));
    preview.relates.iter().for_each(|step| checks.push(relate(step)));
    if let Some(free) = preview.free_bytes {
        let needed = preview.disk_bytes;
        let detail = format!("about {} bytes needed, {} free", thousands(needed), thousands(free));
        checks.push(Check::new("disk", needed <= free, detail));
    }
    if let Some((fits, limits)) = limits(preview, window) {
        checks.push(Check::new("time", fits, limits));
    }
    checks
}

/// The code of checks of the plan that could not be evaluated.
const NOT_EVALUATED: &str = "WB0646";

/// A check of the plan's on a source.
fn rule(checked: &Checked) -> Check {
    let told = checked.message.as_deref().unwrap_or("it holds");
    let detail = format!("`{}`: {}", printable(&checked.name, 80), printable(told, 400));
    let (verdict, code) = match checked.status {
        Status::Passed => (Verdict::Good, None),
        Status::Noted => (Verdict::Doubtful, None),
        Status::Failed => (Verdict::Bad, Some("WB0645")),
        Status::Unverified => (Verdict::Bad, Some(NOT_EVALUATED)),
    };
    Check { name: "check", verdict, detail, code: code.map(str::to_owned) }
}

/// Whether a step of SQL can be taken back.
fn relate(step: &RelatePreview) -> Check {
    let name = printable(&step.name, 80);
    let (verdict, detail) = if step.undo {
        (Verdict::Good, format!("`{name}` can be undone"))
    } else {
        (Verdict::Doubtful, format!("`{name}` has no `undo`: it cannot be undone, nor done again"))
    };
    Check { name: "relate", verdict, detail, code: None }
}

/// What becomes of the records of a table that were tried.
fn mapping(table: &DryTable) -> Check {
    let (name, units) = ("mapping", &table.units);
    let tried = format!(
        "`{}`: {} tried, {} rejected",
        printable(&table.table, 80),
        count(units.read, "record"),
        thousands(units.rejected)
    );
    let said = |reject: &DryReject| format!("{} {}", reject.code, printable(&reject.message, 120));
    if let Some(reject) = table.rejects.iter().find(|reject| fails_everywhere(table, reject)) {
        let of = match (&reject.column, &reject.rule) {
            (Some(column), _) => format!("column `{}`", printable(column, 60)),
            (None, Some(rule)) => format!("`{}`", printable(rule, 60)),
            (None, None) => "the mapping".to_owned(),
        };
        let detail =
            format!("{tried}; the expression of {of} fails on every record: {}", said(reject));
        return Check::failed(name, &reject.code, detail);
    }
    let verdict = if units.read > 0 && units.rejected == units.read {
        Verdict::Doubtful
    } else {
        Verdict::Good
    };
    match table.rejects.first() {
        None => Check { name, verdict, detail: tried, code: None },
        Some(reject) => {
            let detail = format!("{tried}; most often {}", said(reject));
            Check { name, verdict, detail, code: Some(reject.code.clone()) }
        }
    }
}

/// Whether an expression fails on every record that it was tried on: then it is the plan that is
/// wrong, not the data.
fn fails_everywhere(table: &DryTable, reject: &DryReject) -> bool {
    /// A failed evaluation, and a condition that is neither true nor false.
    const OF_EXPRESSIONS: [&str; 2] = ["WB0250", "WB0259"];
    if !OF_EXPRESSIONS.contains(&reject.code.as_str()) {
        return false;
    }
    // Defects of the record itself name neither; no expression sees such a record.
    let unreadable = table.rejects.iter().filter(|it| it.column.is_none() && it.rule.is_none());
    let rows = table.units.read - unreadable.map(|reject| reject.count).sum::<u64>();
    // Only `where` is tried on records that it leaves out.
    let filters = reject.rule.as_ref().is_some_and(|rule| rule.starts_with("where "));
    let tried_on = if filters { rows } else { rows - table.units.filtered };
    reject.count == tried_on
}
