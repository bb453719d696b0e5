//! `GET /batches/{id}/failures`: what went wrong, grouped by cause.

use axum::{Json, extract::State};
use drydock_database::batch;
use drydock_domain::JobId;
use serde::Serialize;

use super::show::view;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Query},
    state::Shared,
};

/// Failures looked at.
pub(crate) const MAX_FAILURES: i64 = 10_000;

/// Causes, most frequent first.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct CauseList {
    items: Vec<CauseView>,
}

/// Jobs that failed alike.
#[derive(Serialize, utoipa::ToSchema)]
struct CauseView {
    /// `agent`, `timeout`, `infra`, `lost`, `conflict`, `dependency`, …
    failure_kind: String,
    /// The first error, with ids, paths and numbers taken out.
    cause: String,
    /// The first error of the first of them, as it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    example: Option<String>,
    /// How many, among the first 10,000 lines that failed.
    jobs: i64,
    /// The first five.
    #[schema(value_type = Vec<Uuid>)]
    job_ids: Vec<JobId>,
}

/// Failures of a batch by cause
#[utoipa::path(
    get, path = "/api/v1/batches/{id}/failures", tag = "batches",
    params(("id" = uuid::Uuid, Path)),
    responses((status = 200, body = CauseList), (status = 404), (status = 422))
)]
pub(crate) async fn batch_failures(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<CauseList>, ApiError> {
    let id = ids.batch()?;
    query.fields().finish(|| Some(()))?;
    view(&app, caller.tenant, id).await?;
    let causes = batch::causes(&app.client(caller.tenant).await?, caller.tenant, id, MAX_FAILURES).await?;
    let items = causes.into_iter().map(|cause| CauseView {
        failure_kind: cause.kind,
        cause: cause.cause,
        example: cause.said,
        jobs: cause.jobs,
        job_ids: cause.examples,
    });
    Ok(Json(CauseList { items: items.collect() }))
}
