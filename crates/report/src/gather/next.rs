//! What to do next: commands that can be typed as they stand.

use whimbrel_ledger::Run;

use super::Options;
use crate::report::{NextStep, Outcome, Verdict};
use crate::shown::{counted, shell};

pub(super) fn steps(run: &Run, outcome: &Outcome, options: &Options) -> Vec<NextStep> {
    let commands = Commands {
        run: shell(&run.id),
        flag: options
            .plan
            .as_deref()
            .map(|plan| format!(" --plan {}", shell(plan)))
            .unwrap_or_default(),
        plan: options.plan.as_deref().map(|plan| format!(" {}", shell(plan))).unwrap_or_default(),
    };
    match outcome.verdict {
        Verdict::Complete => commands.complete(outcome),
        Verdict::CompleteWithRejects => commands.rejects(outcome),
        Verdict::Unbalanced => commands.unbalanced(outcome),
        Verdict::Failed | Verdict::Interrupted | Verdict::Running => commands.go_on(outcome),
    }
}

struct Commands {
    run: String,
    /// ` --plan PLAN`, for verbs on a run.
    flag: String,
    /// ` PLAN`, for verbs on a plan.
    plan: String,
}

fn step(why: impl Into<String>, command: String) -> NextStep {
    NextStep { why: why.into(), command }
}

impl Commands {
    fn complete(&self, outcome: &Outcome) -> Vec<NextStep> {
        let mut steps = vec![step(
            "see whether the sources have changed since",
            format!("whimbrel check-incremental{}", self.plan),
        )];
        if outcome.rejects.total > 0 {
            let resolved = format!(
                "look at the {} that were fixed or waived",
                counted(outcome.rejects.total, "reject")
            );
            steps.push(step(
                resolved,
                format!("whimbrel rejects list --run {} --resolved{}", self.run, self.flag),
            ));
        }
        steps
    }

    fn rejects(&self, outcome: &Outcome) -> Vec<NextStep> {
        let (run, flag) = (&self.run, &self.flag);
        let open = counted(outcome.rejects.statuses.open, "record");
        let mut steps = vec![step(
            format!("see the {open} that wait, by cause"),
            format!("whimbrel rejects list --run {run}{flag}"),
        )];
        let waiting = |group: &&crate::report::RejectGroup| group.statuses.open > 0;
        if let Some(group) = outcome.rejects.groups.shown.iter().find(waiting) {
            steps.push(step(
                "read what the most frequent cause means",
                format!("whimbrel explain {}", shell(&group.code)),
            ));
        }
        steps.push(step(
            "get the original bytes, to mend them in an editor",
            format!("whimbrel rejects export rejects --run {run}{flag}"),
        ));
        steps
    }

    fn unbalanced(&self, outcome: &Outcome) -> Vec<NextStep> {
        let code = outcome.error.as_ref().map_or("WB0618", |stop| stop.code.as_str());
        vec![
            step(
                "keep the target as it is, read what this means, and report the figures above",
                format!("whimbrel explain {}", shell(code)),
            ),
            step("see how the run stands", format!("whimbrel status {}{}", self.run, self.flag)),
        ]
    }

    fn go_on(&self, outcome: &Outcome) -> Vec<NextStep> {
        let mut steps = Vec::new();
        if let Some(stop) = outcome.error.as_ref().filter(|stop| !stop.code.is_empty()) {
            steps.push(step(
                "read why it stopped",
                format!("whimbrel explain {}", shell(&stop.code)),
            ));
        }
        let again = format!("whimbrel migrate{}", self.plan);
        steps.push(step("go on from the last checkpoint; what is committed stays", again));
        if outcome.rejects.statuses.open > 0 {
            let open = counted(outcome.rejects.statuses.open, "record");
            let list = format!("whimbrel rejects list --run {}{}", self.run, self.flag);
            steps.push(step(format!("see the {open} rejected so far"), list));
        }
        steps
    }
}
