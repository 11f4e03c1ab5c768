//! `rejects waive`: rejects that may stay out, with a reason; audited.

use std::sync::Arc;

use serde_json::json;
use whimbrel_core::event::Silent;

use super::{for_each, name};
use crate::args::RejectsWaive;
use crate::cmd::migrate::find_run;
use crate::failure::Failure;
use crate::output::{Answer, count};
use crate::project::Project;

pub(crate) async fn run(args: &RejectsWaive) -> Result<Answer, Failure> {
    let project = Project::open(&args.on.plan)?;
    let ports = project.ports(Arc::new(Silent)).await?;
    let run = find_run(&project, ports.target.as_ref(), args.on.run.as_deref()).await?;
    if args.reason.trim().is_empty() {
        return Err(Failure::usage(
            "WB0706",
            "`--reason` is empty",
            "say why the rejects may stay out",
        ));
    }
    let everything = args.which.iter().any(|which| which == "all");
    let mut chosen = Vec::new();
    for_each(ports.target.as_ref(), &run, true, &mut |reject| {
        let named = |which: &String| *which == name(&reject) || *which == reject.code;
        if everything || args.which.iter().any(named) {
            chosen.push(reject);
        }
        Ok(())
    })
    .await?;
    if chosen.is_empty() {
        let message =
            format!("no open reject of run {} is meant by `{}`", run.id, args.which.join(" "));
        return Err(Failure::usage("WB0707", message, "`whimbrel rejects list --all` names them"));
    }
    let waived = whimbrel_core::waive(&ports, &run, chosen, &args.reason).await?;
    let message = format!("{} waived", count(waived, "reject"));
    Ok(Answer::new(message, "", json!({ "run": run.id, "waived": waived, "reason": args.reason })))
}
