//! Who gets the right to write, whatever the engine: pure decisions over the one row that is read
//! under the engine's lock.

use std::time::Duration;

use whimbrel_endpoint::{
    EndpointError, ErrorClass, Fence, Holder, LeaseAnswer, LeaseRequest, codes,
};

/// The row.
pub(crate) struct Lease {
    pub(crate) fence: Fence,
    /// `None` where the right was given back.
    pub(crate) holder: Option<Holder>,
    pub(crate) expires_in_ms: i64,
}

/// The fence that is to be written down, or who holds the right. A renewal under a fence that is no
/// longer current has class `Fenced`.
pub(crate) fn decide(
    lease: Option<Lease>,
    request: &LeaseRequest,
) -> Result<Result<Fence, LeaseAnswer>, EndpointError> {
    match request.renew {
        Some(fence) => renewed(fence, lease, &request.holder),
        None => Ok(taken(lease, request)),
    }
}

/// A renewal: the fence, where it is still current and held by the same holder.
fn renewed(
    fence: Fence,
    lease: Option<Lease>,
    holder: &Holder,
) -> Result<Result<Fence, LeaseAnswer>, EndpointError> {
    match lease {
        Some(Lease { fence: current, holder: Some(by), .. })
            if current == fence && by == *holder =>
        {
            Ok(Ok(fence))
        }
        Some(Lease { holder: Some(by), expires_in_ms, .. }) if expires_in_ms > 0 => {
            Ok(Err(LeaseAnswer::Held { by, expires_in_ms: expires_in_ms as u64 }))
        }
        Some(_) | None => Err(fenced()),
    }
}

/// A new fence, where nobody else holds the right.
pub(crate) fn taken(lease: Option<Lease>, request: &LeaseRequest) -> Result<Fence, LeaseAnswer> {
    match lease {
        None => Ok(Fence(1)),
        Some(Lease { holder: Some(by), expires_in_ms, .. })
            if expires_in_ms > 0 && by != request.holder && request.dead.as_ref() != Some(&by) =>
        {
            Err(LeaseAnswer::Held { by, expires_in_ms: expires_in_ms as u64 })
        }
        Some(Lease { fence, .. }) => Ok(Fence(fence.0 + 1)),
    }
}

pub(crate) fn fenced() -> EndpointError {
    EndpointError::new(
        ErrorClass::Fenced,
        codes::FENCED,
        "the right to write has passed to another run, or was given back",
    )
}

/// Milliseconds that engines can add to their clocks.
pub(crate) fn millis(ttl: Duration) -> i64 {
    i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX).min(i64::MAX / 4)
}
