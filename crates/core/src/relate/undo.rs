//! How a step of the plan is taken back: with what was recorded when it was done, or with the plan's.
//!
//! ```text
//! recorded ── done ─▶ taken back
//!    └ refused, and the plan's is another and adopted ─▶ the plan's ─▶ taken back, and audited
//! ```

use serde_json::json;
use whimbrel_endpoint::{EndpointError, ErrorClass, Txn, failpoint};
use whimbrel_ledger::{Run, chain, step};

use super::{Done, Task, taken_back};
use crate::error::{CoreError, While};
use crate::event::Event;
use crate::lease::Lease;
use crate::ports::rfc3339;

/// With what a step is taken back.
pub(super) struct Undo {
    pub(super) sql: String,
    pub(super) whose: Whose,
    /// The plan's, where it is another than the recorded one and adopted.
    pub(super) instead: Option<String>,
    /// The run that has done the step.
    done_by: String,
}

/// Where an undo stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    Recorded,
    Plans,
}

impl Task<'_> {
    /// With what the step is taken back that was done so.
    pub(super) fn undo_of(&self, done: Done, run: String) -> Result<Undo, CoreError> {
        let done_by = done.by.unwrap_or(run);
        let planned = self.relate.undo.as_ref().and_then(|undo| self.text(undo));
        match (done.undo, planned) {
            (Some(sql), planned) => {
                let adopted = planned.filter(|planned| self.job.options.adopt && *planned != sql);
                let instead = adopted.map(str::to_owned);
                Ok(Undo { sql, whose: Whose::Recorded, instead, done_by })
            }
            (None, Some(planned)) => {
                let sql = planned.to_owned();
                Ok(Undo { sql, whose: Whose::Plans, instead: None, done_by })
            }
            (None, None) => Err(CoreError::NoUndo { step: self.name().to_owned(), run: done_by }),
        }
    }

    /// Takes back what an earlier run did, and says so in the step's row.
    pub(super) async fn take_back(
        &self,
        run: &Run,
        undo: &Undo,
        lease: &Lease,
    ) -> Result<(), CoreError> {
        let first = self.take_back_with(run, &undo.sql, undo.whose, lease, None).await;
        let (refused, instead) = match (first, &undo.instead) {
            (Err(CoreError::Endpoint { source, .. }), Some(instead)) if is_refusal(&source) => {
                (source, instead)
            }
            (taken_back, _) => return taken_back,
        };
        let events = &self.job.ports.events;
        let place = self.undoing(undo.whose);
        let message = format!("{place} is refused, the plan's takes its place: {refused}");
        events.emit(Event::Warning { code: refused.code, message });
        let replaced = Replaced { done_by: &undo.done_by, code: refused.code };
        self.take_back_with(run, instead, Whose::Plans, lease, Some(replaced)).await
    }

    async fn take_back_with(
        &self,
        run: &Run,
        sql: &str,
        whose: Whose,
        lease: &Lease,
        replaced: Option<Replaced<'_>>,
    ) -> Result<(), CoreError> {
        let (doing, ports) = (|| self.undoing(whose), self.job.ports);
        let row = self.running(self.row(run).await?);
        let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
        self.undo_in(txn.as_mut(), sql, whose).await?;
        step::put(txn.as_mut(), &[taken_back(&row)]).await.during(doing)?;
        if let Some(Replaced { done_by, code }) = replaced {
            let (now, actor) = (rfc3339(ports.clock.now()), &ports.identity.actor);
            let detail =
                json!({ "step": row.migration_step, "done_by": done_by, "recorded_undo": code });
            chain::record(txn.as_mut(), &now, actor, "relate.taken_back", &run.id, &detail)
                .await
                .during(doing)?;
        }
        failpoint!("core.relate.undo.before_commit");
        txn.commit().await.during(doing)?;
        failpoint!("core.relate.undo.after_commit");
        Ok(())
    }

    /// Does the undo in a transaction.
    pub(super) async fn undo_in(
        &self,
        txn: &mut dyn Txn,
        sql: &str,
        whose: Whose,
    ) -> Result<(), CoreError> {
        let undone = txn.execute(&self.script("undo", sql)).await;
        undone.map(drop).during(|| self.undoing(whose))
    }

    /// What is going on, so that whoever hears of an error knows which of the two it was.
    fn undoing(&self, whose: Whose) -> String {
        let whose = match whose {
            Whose::Recorded => "recorded",
            Whose::Plans => "plan's",
        };
        format!("{}, the {whose} `undo`", self.doing())
    }
}

/// The recorded undo that was refused, with this code.
struct Replaced<'a> {
    done_by: &'a str,
    code: &'static str,
}

/// Whether the target will refuse the same words again.
fn is_refusal(error: &EndpointError) -> bool {
    match error.class {
        ErrorClass::Configuration | ErrorClass::Constraint | ErrorClass::Data => true,
        ErrorClass::Transient
        | ErrorClass::System
        | ErrorClass::Unknown
        | ErrorClass::Changed
        | ErrorClass::Fenced => false,
    }
}
