//! Materialize: the base version appears in the scratch directory.

use std::sync::Arc;

use drydock_domain::Phase;

use super::{Attempt, error::JobError, preparing};
use crate::workspace::Materialized;

/// A workspace ready for its agent.
pub(super) struct Prepared {
    pub(super) workspace: Arc<Materialized>,
    pub(super) seconds: f64,
}

pub(super) async fn prepare(attempt: &Attempt) -> Result<Prepared, JobError> {
    let stage = attempt.enter(Phase::Materializing).await;
    let (context, spec) = (&attempt.context, &attempt.claim.spec);
    attempt
        .log
        .line(format!("[worker] Workspace: {} (isolated per request)", attempt.scratch.workspace().display()))
        .await;
    let base = attempt.claim.base.as_ref().map(|stored| context.base(spec.tenant_id, stored));
    let work = context.materializer.materialize(base, &attempt.scratch);
    let stop = &attempt.registration.permit.stop;
    let token = stop.token();
    let workspace = tokio::select! {
        made = work => Arc::new(made.map_err(JobError::Materialize)?),
        never = preparing::tell(attempt) => match never {},
        () = token.cancelled() => return Err(JobError::Stopped(stop.reason().unwrap_or(crate::running::Stop::Lost))),
    };
    if let Some(rung) = workspace.rung {
        context.metrics.materialized(rung);
    }
    Ok(Prepared { workspace, seconds: stage.leave(context) })
}
