//! Materialize: the base version appears in the scratch directory.

use std::sync::Arc;

use drydock_domain::{Digest, Phase};

use super::{Attempt, attempt::SharedManifest, error::JobError};
use crate::workspace::{self, Baseline};

/// A workspace ready for its agent.
pub(super) struct Prepared {
    pub(super) base: SharedManifest,
    pub(super) baseline: Arc<Baseline>,
    pub(super) seconds: f64,
}

pub(super) async fn prepare(attempt: &Attempt) -> Result<Prepared, JobError> {
    let stage = attempt.enter(Phase::Materializing).await;
    let (context, spec) = (&attempt.context, &attempt.claim.spec);
    attempt
        .log
        .line(format!("[worker] Workspace: {} (isolated per request)", attempt.scratch.workspace().display()))
        .await;
    let work = async {
        let base = match attempt.claim.base_manifest {
            Some(id) => Some(
                context
                    .manifests
                    .get(&context.storage, spec.tenant_id, Digest::from_bytes(id))
                    .await
                    .map_err(JobError::Manifest)?,
            ),
            None => None,
        };
        let made =
            workspace::materialize(&context.storage, spec.tenant_id, base.as_ref(), attempt.scratch.workspace()).await;
        Ok((base, Arc::new(made.map_err(JobError::Materialize)?)))
    };
    let stop = &attempt.registration.permit.stop;
    let token = stop.token();
    let (base, baseline) = tokio::select! {
        made = work => made?,
        () = token.cancelled() => return Err(JobError::Stopped(stop.reason().unwrap_or(crate::running::Stop::Lost))),
    };
    Ok(Prepared { base, baseline, seconds: stage.leave(context) })
}
