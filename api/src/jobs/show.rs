//! `GET /jobs/{id}`: one job, with the reason while it waits; `?wait=` holds the answer until it is final.

use axum::{Json, extract::State};
use drydock_database::job;
use drydock_domain::{JobId, Status, TenantId};

use super::{JobView, until_final};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::{App, Shared},
    validate::rules,
};

/// Show a job
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", tag = "jobs",
    params(("id" = uuid::Uuid, Path), ("wait" = Option<String>, Query, description = "Hold the answer until the job is final, at most so long, like `30s`")),
    responses((status = 200, body = JobView), (status = 404))
)]
pub(crate) async fn show_job(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<JobView>, ApiError> {
    let id = ids.job()?;
    let mut fields = query.fields();
    let wait = fields.optional("wait", rules::wait(app.config.wait_limit));
    let wait = fields.finish(|| Some(wait.unwrap_or_default()))?;
    until_final(&app, caller.tenant, id, wait).await?;
    view(&app, caller.tenant, id).await.map(Json)
}

/// The job as it stands, with why it waits.
pub(crate) async fn view(app: &App, tenant: TenantId, id: JobId) -> Result<JobView, ApiError> {
    let client = app.client(tenant).await?;
    let row = job::find(&client, tenant, id).await?.ok_or(ApiError::NO_JOB)?;
    drop(client);
    let mut view = JobView::from(row);
    if view.status == Status::Queued {
        // Slots that other tenants' jobs take are among the reasons.
        view.waiting = job::waiting(&app.unscoped().await?, id).await?.map(Into::into);
    }
    Ok(view)
}
