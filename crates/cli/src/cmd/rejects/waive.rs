//! `rejects waive`: rejects that may stay out, with a reason; audited.

use std::sync::Arc;

use serde_json::json;
use whimbrel_core::event::Silent;

use super::{Named, for_each};
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
    let mut named = Named::new(&args.which);
    let mut chosen = Vec::new();
    for_each(ports.target.as_ref(), &run, true, &mut |reject| {
        if named.means(&reject) {
            chosen.push(reject);
        }
        Ok(())
    })
    .await?;
    named.all_met(&run)?;
    if chosen.is_empty() {
        let message = format!("no reject of run {} is open", run.id);
        return Ok(Answer::new(message, "", json!({ "run": run.id, "waived": 0 })));
    }
    let waived = whimbrel_core::waive(&ports, &run, chosen, &args.reason).await?;
    let message = format!("{} waived", count(waived, "reject"));
    Ok(Answer::new(message, "", json!({ "run": run.id, "waived": waived, "reason": args.reason })))
}
