//! `GET /jobs` and `GET /projects/{id}/jobs`: newest first, filtered, in pages.

use axum::{Json, extract::State};
use drydock_database::{
    job::{self, JobFilter},
    page::Page,
    project,
};
use drydock_domain::{JobType, Status, TenantId};
use serde::Serialize;
use serde_json::Value;

use super::JobView;
use crate::{
    auth::Caller,
    error::ApiError,
    extract::{Ids, Paging, Query},
    state::{App, Shared},
    validate::rules,
};

/// The words of `status_detail`: new ones may come.
const DETAILS: [&str; 16] = [
    "scheduled",
    "pending",
    "queued",
    "dispatched",
    "retrying",
    "materializing",
    "running",
    "pushing",
    "cancelling",
    "completed",
    "error",
    "timeout",
    "queue_timeout",
    "dependency",
    "dead",
    "cancelled",
];
const TYPES: &str = "'initial_project', 'edit', 'command' or 'session'";
const STATUSES: &str = "'queued', 'in_progress', 'completed', 'error' or 'cancelled'";

/// A page of jobs.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct JobList {
    items: Vec<JobView>,
    /// For `?cursor=`, when there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Filters of a list of jobs, for the document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "documents the parameters, which are validated by hand")]
struct JobQuery {
    /// `queued`, `in_progress`, `completed`, `error`, `cancelled`; repeated or with commas.
    status: Option<String>,
    /// `status_detail`, such as `dead` or `retrying`; repeated or with commas.
    detail: Option<String>,
    /// `initial_project`, `edit`, `command`, `session`; repeated or with commas.
    r#type: Option<String>,
    /// The id of a batch.
    batch: Option<uuid::Uuid>,
    /// `name=value`; repeated for several.
    label: Option<String>,
    /// Accepted at or after this time.
    since: Option<chrono::DateTime<chrono::Utc>>,
    /// 1 to 500, 50 by default.
    limit: Option<u16>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

/// List jobs
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(JobQuery), responses((status = 200, body = JobList)))]
pub(crate) async fn list_jobs(
    State(app): State<Shared>,
    caller: Caller,
    query: Query,
) -> Result<Json<JobList>, ApiError> {
    page(&app, caller.tenant, query, JobFilter::default()).await
}

/// List a project's jobs
#[utoipa::path(
    get, path = "/api/v1/projects/{id}/jobs", tag = "jobs",
    params(("id" = uuid::Uuid, Path), JobQuery),
    responses((status = 200, body = JobList), (status = 404))
)]
pub(crate) async fn list_project_jobs(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<JobList>, ApiError> {
    let id = ids.project()?;
    project::find(&app.client(caller.tenant).await?, caller.tenant, id).await?.ok_or(ApiError::NO_PROJECT)?;
    page(&app, caller.tenant, query, JobFilter { project: Some(id), ..JobFilter::default() }).await
}

async fn page(app: &App, tenant: TenantId, query: Query, filter: JobFilter) -> Result<Json<JobList>, ApiError> {
    let mut fields = query.fields();
    let statuses = fields.optional("status", rules::some_of::<Status>(STATUSES)).unwrap_or_default();
    let details = fields.optional("detail", rules::some_words(&DETAILS)).unwrap_or_default();
    let types = fields.optional("type", rules::some_of::<JobType>(TYPES)).unwrap_or_default();
    let labels = fields.optional("label", rules::label_pairs);
    let batch = fields.optional("batch", rules::id);
    let since = fields.optional("since", rules::timestamp);
    let paging = Paging::take(&mut fields);
    let states = statuses.into_iter().flat_map(Status::states).collect();
    let labels = labels.as_ref().and_then(Value::as_object).into_iter().flatten();
    let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
    let filter = fields.finish(|| Some(JobFilter { batch, states, details, types, labels, since, ..filter }))?;
    let Page { items, next } =
        job::list(&app.client(tenant).await?, tenant, &filter, paging.after, paging.limit).await?;
    Ok(Json(JobList {
        items: items.into_iter().map(JobView::from).collect(),
        next_cursor: next.map(|cursor| cursor.to_string()),
    }))
}
