//! Waiving rejects: they stay out, with a reason, and the audit log says who decided so.

use serde_json::json;
use whimbrel_ledger::{Reject, RejectStatus, Run, chain, reject};

use crate::error::{CoreError, While};
use crate::lease::Lease;
use crate::ports::{Ports, rfc3339};

/// Marks rejects as waived, in one transaction with their audit entry; returns how many.
pub async fn waive(
    ports: &Ports,
    run: &Run,
    mut rejects: Vec<Reject>,
    reason: &str,
) -> Result<u64, CoreError> {
    let doing = || "waiving rejects".to_owned();
    let lease = match Lease::take(ports, &run.id).await.during(doing)? {
        Ok(lease) => lease,
        Err(held) => {
            return Err(CoreError::Held { holder: held.holder, expires_in: held.expires_in });
        }
    };
    let now = rfc3339(ports.clock.now());
    for reject in &mut rejects {
        reject.status = RejectStatus::Waived;
        reject.resolved_by = Some(ports.identity.actor.clone());
        reject.resolution = Some(reason.to_owned());
        reject.resolved_at = Some(now.clone());
    }
    let mut txn = ports.target.begin(lease.fence).await.during(doing)?;
    reject::put(txn.as_mut(), &rejects).await.during(doing)?;
    let units: Vec<String> =
        rejects.iter().map(|reject| format!("{}.{}", reject.target_table, reject.unit)).collect();
    let detail = json!({ "reason": reason, "rejects": units });
    let actor = &ports.identity.actor;
    chain::record(txn.as_mut(), &now, actor, "rejects.waived", &run.id, &detail)
        .await
        .during(doing)?;
    txn.commit().await.during(doing)?;
    lease.release().await.during(doing)?;
    Ok(rejects.len() as u64)
}
