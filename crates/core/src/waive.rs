//! Waiving rejects: they stay out, with a reason, and the audit log says who decided so.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};
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
    let detail = detail(&rejects, reason);
    let actor = &ports.identity.actor;
    chain::record(txn.as_mut(), &now, actor, "rejects.waived", &run.id, &detail)
        .await
        .during(doing)?;
    txn.commit().await.during(doing)?;
    lease.release().await.during(doing)?;
    Ok(rejects.len() as u64)
}

/// The rejects that are named one by one; of all there is a digest, and each one's own row.
const NAMED: usize = 1_000;

fn detail(rejects: &[Reject], reason: &str) -> Json {
    let name = |reject: &Reject| format!("{}.{}", reject.target_table, reject.unit);
    let names: Vec<String> = rejects.iter().take(NAMED).map(name).collect();
    let runs: BTreeSet<&str> = rejects.iter().map(|reject| reject.run.as_str()).collect();
    let mut all = blake3::Hasher::new();
    for reject in rejects {
        all.update(format!("{} {}\n", reject.run, name(reject)).as_bytes());
    }
    json!({
        "reason": reason,
        "count": rejects.len(),
        "runs": runs,
        "rejects": names,
        "blake3": all.finalize().to_hex().as_str(),
    })
}
