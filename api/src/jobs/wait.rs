//! Waiting for a job to be final: woken by the feed, bounded by the caller's patience and the service's stop.

use std::time::Duration;

use drydock_database::job;
use drydock_domain::{JobId, TenantId};
use tokio::time::Instant;

use crate::{error::ApiError, state::App};

/// Returns when the job is final, when `patience` is over, or when the service stops. 404 for an unknown job.
pub(crate) async fn until_final(app: &App, tenant: TenantId, id: JobId, patience: Duration) -> Result<(), ApiError> {
    if patience.is_zero() {
        return Ok(());
    }
    let deadline = Instant::now() + patience;
    let mut watch = app.feed.watch();
    loop {
        let state = job::state(&app.client(tenant).await?, tenant, id).await?.ok_or(ApiError::NO_JOB)?;
        if state.is_terminal() {
            return Ok(());
        }
        tokio::select! {
            () = watch.news(Some(id)) => {}
            () = tokio::time::sleep_until(deadline) => return Ok(()),
            () = app.shutdown.triggered() => return Ok(()),
        }
    }
}
