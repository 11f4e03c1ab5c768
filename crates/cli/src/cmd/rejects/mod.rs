//! `rejects`: rejected records as work items.

mod export;
mod list;
mod retry;
mod show;
mod waive;

use whimbrel_endpoint::Target;
use whimbrel_ledger::{Reject, RejectStatus, Run, reject, run, step};

use crate::args::{Global, Rejects};
use crate::failure::Failure;
use crate::output::Answer;

pub(crate) async fn run(global: &Global, verb: &Rejects) -> Result<Answer, Failure> {
    match verb {
        Rejects::List(args) => list::run(args).await,
        Rejects::Show(args) => show::run(args).await,
        Rejects::Export(args) => export::run(args).await,
        Rejects::Retry(args) => retry::run(global, args).await,
        Rejects::Waive(args) => waive::run(args).await,
    }
}

/// Rejects read at a time.
const PAGE: u64 = 1000;

/// Hands every reject of the run and of the runs it continues to `see`, in order, a page at a time:
/// a reject stays work until it is resolved, whichever run it came from.
async fn for_each(
    target: &dyn Target,
    newest: &Run,
    open_only: bool,
    see: &mut dyn FnMut(Reject) -> Result<(), Failure>,
) -> Result<(), Failure> {
    for run in run::lineage(target, newest).await? {
        for step in step::of_run(target, &run.id).await? {
            let mut after = None;
            loop {
                let page = reject::page(target, &run.id, step.step, after, PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.unit);
                for reject in page {
                    if !open_only || reject.status == RejectStatus::Open {
                        see(reject)?;
                    }
                }
            }
        }
    }
    Ok(())
}

/// `STEP.UNIT`, as people name a reject.
fn name(reject: &Reject) -> String {
    format!("{}.{}", reject.step, reject.unit)
}

/// `file:line`, or the file alone where lines mean nothing.
fn place(reject: &Reject) -> String {
    match reject.line {
        0 => reject.source_file.clone(),
        line => format!("{}:{line}", reject.source_file),
    }
}
