//! The right to write: taken before the first write, renewed while the run lives, given back.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use whimbrel_endpoint::{
    EndpointError, ErrorClass, Fence, Holder, LeaseAnswer, LeaseRequest, Target,
};

use crate::ports::Ports;

/// How long the right holds without renewal, by the target's clock.
const TTL: Duration = Duration::from_mins(1);

/// The right to write, renewed in the background until it is given back or dropped.
pub(crate) struct Lease {
    /// The number under which batches commit.
    pub(crate) fence: Fence,
    target: Arc<dyn Target>,
    holder: Holder,
    renewal: JoinHandle<()>,
}

/// Who holds the right instead.
#[derive(Debug)]
pub(crate) struct HeldBy {
    pub(crate) holder: Holder,
    pub(crate) expires_in: Duration,
}

impl Lease {
    /// Takes the right for a run. A holder whose process surely is dead is replaced at once.
    pub(crate) async fn take(
        ports: &Ports,
        run: &str,
    ) -> Result<Result<Self, HeldBy>, EndpointError> {
        let holder = Holder { run: run.to_owned(), ..ports.identity.holder.clone() };
        let mut request = LeaseRequest { holder, ttl: TTL, renew: None, dead: None };
        let mut answer = ports.target.lease(&request).await?;
        if let LeaseAnswer::Held { by, .. } = &answer
            && ports.liveness.is_dead(by)
        {
            request.dead = Some(by.clone());
            answer = ports.target.lease(&request).await?;
        }
        match answer {
            LeaseAnswer::Granted(fence) => Ok(Ok(Self::hold(ports, request.holder, fence))),
            LeaseAnswer::Held { by, expires_in_ms } => {
                Ok(Err(HeldBy { holder: by, expires_in: Duration::from_millis(expires_in_ms) }))
            }
        }
    }

    fn hold(ports: &Ports, holder: Holder, fence: Fence) -> Self {
        let target = Arc::clone(&ports.target);
        let renewing = Arc::clone(&target);
        let request =
            LeaseRequest { holder: holder.clone(), ttl: TTL, renew: Some(fence), dead: None };
        let renewal = tokio::spawn(async move {
            loop {
                tokio::time::sleep(TTL / 4).await;
                // A renewal that fails is tried again; if the right was lost meanwhile, the next
                // commit is refused by its fence.
                let _answer = renewing.lease(&request).await;
            }
        });
        Self { fence, target, holder, renewal }
    }

    /// Renews the right now. Where a commit of ours is still on its way through the server, this
    /// waits for it: what is read afterwards is how things stand. Class `Fenced` where the right is
    /// lost.
    pub(crate) async fn renew(&self) -> Result<(), EndpointError> {
        let request = LeaseRequest {
            holder: self.holder.clone(),
            ttl: TTL,
            renew: Some(self.fence),
            dead: None,
        };
        match self.target.lease(&request).await? {
            LeaseAnswer::Granted(_) => Ok(()),
            LeaseAnswer::Held { by, .. } => {
                let what = format!("the right to write has passed to run `{}`", by.run);
                Err(EndpointError::new(ErrorClass::Fenced, "WB0614", what))
            }
        }
    }

    /// Gives the right back.
    pub(crate) async fn release(self) -> Result<(), EndpointError> {
        self.renewal.abort();
        self.target.release(self.fence).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}
