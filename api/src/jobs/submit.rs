//! `POST /projects/{id}/jobs`: one round trip, one commit, 202. What is accepted is durable.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use drydock_database::job::{self, Accepted, JobRow, NewJob};
use drydock_domain::{JobId, TenantId};
use serde_json::{Map, Value};

use super::{
    JobView,
    request::{Asked, JobRequest, idempotency},
};
use crate::{
    agents::Offer,
    audit::Draft,
    auth::Caller,
    error::ApiError,
    extract::{Ids, JsonBody},
    state::{App, Shared},
    validate::{Fault, Fields, rules},
};

/// Body of a new job, for the document; `request` has the rules.
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct NewJobBody {
    /// `initial_project`, `edit` or `command`.
    job_type: String,
    /// 1 to 2,000 characters; optional for a command.
    instruction: Option<String>,
    /// The instruction's first line by default.
    title: Option<String>,
    /// The command line; `command` only.
    argv: Option<Vec<String>>,
    /// The project's agent by default.
    agent: Option<String>,
    #[schema(minimum = 0, maximum = 9)]
    priority: Option<u8>,
    /// Not before this time.
    run_at: Option<chrono::DateTime<chrono::Utc>>,
    /// Jobs that must have completed before; if one ends otherwise, this one ends as `error`.
    #[schema(max_items = 100)]
    depends_on: Option<Vec<uuid::Uuid>>,
    /// Longest run, in seconds.
    #[schema(minimum = 1)]
    timeout_s: Option<u32>,
    /// Longest wait for a worker from when it is due, in seconds; then it ends as `error`.
    #[schema(minimum = 1)]
    queue_timeout_s: Option<u32>,
    /// Longest time without output, in seconds.
    #[schema(minimum = 1)]
    silence_timeout_s: Option<u32>,
    /// Waits for no other job; what it changes is discarded.
    read_only: Option<bool>,
    /// Keep what a failed agent left as a version.
    keep_on_error: Option<bool>,
    /// Repetitions after a failure of the agent.
    #[schema(minimum = 0, maximum = 100)]
    retries: Option<u8>,
    /// The least isolation to accept.
    min_isolation: Option<String>,
    /// Labels a worker must carry to run it.
    requires: Option<crate::openapi::Labels>,
    labels: Option<crate::openapi::Labels>,
}

/// Submit a job
#[utoipa::path(
    post, path = "/api/v1/projects/{id}/jobs", tag = "jobs",
    params(
        ("id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless"),
    ),
    request_body = NewJobBody,
    responses(
        (status = 202, body = JobView), (status = 404), (status = 422),
        (status = 429, description = "Too many a second, or the tenant has used up its quota of queued jobs or of stored bytes")
    )
)]
pub(crate) async fn submit_job(
    State(app): State<Shared>,
    caller: Caller,
    draft: Draft,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let JsonBody { value, raw } = body;
    let offer = offer(&app, &value).await?;
    let mut new = JobRequest::read(Fields::body(value)?, Asked::Once, &offer)?.into_new(project);
    new.idempotency = idempotency(&headers, &format!("POST /projects/{project}/jobs"), &raw)?;
    new.audit = Some(draft.accepted(new.id));
    answer(&app, caller.tenant, new, raw.len()).await
}

/// Accepts `new`, whose request had `bytes`: its id, or that of the job which its key made before.
pub(crate) async fn accept(app: &App, tenant: TenantId, new: NewJob, bytes: usize) -> Result<JobId, ApiError> {
    enter(app, tenant, new, bytes).await.map(|(id, ..)| id)
}

/// The job's id, whether it was there before, and else the job itself.
async fn enter(
    app: &App,
    tenant: TenantId,
    new: NewJob,
    bytes: usize,
) -> Result<(JobId, bool, Option<JobRow>), ApiError> {
    let depends_on = new.depends_on.clone();
    let (accepted, row) = app.intake.accept(tenant, new, bytes).await?;
    match accepted {
        Accepted::New(id) => Ok((id, false, row)),
        Accepted::Replayed(id) => Ok((id, true, None)),
        Accepted::KeyReused => Err(key_reused()),
        Accepted::NoProject => Err(ApiError::NO_PROJECT),
        Accepted::NoDependency => Err(no_dependency(app, tenant, &depends_on).await?),
        Accepted::OverQuota(lacks) => Err(ApiError::over_quota(&lacks)),
    }
}

/// Accepts `new`, whose request had `bytes`, and answers with it.
pub(super) async fn answer(app: &App, tenant: TenantId, new: NewJob, bytes: usize) -> Result<Response, ApiError> {
    let (id, replayed, row) = enter(app, tenant, new, bytes).await?;
    let row = match row {
        None => job::find(&app.client(tenant).await?, tenant, id).await?,
        row => row,
    };
    let row = row.ok_or_else(|| ApiError::Internal(format!("job {id} was accepted but cannot be read")))?;
    Ok(accepted_response(StatusCode::ACCEPTED, &format!("/api/v1/jobs/{id}"), replayed, &JobView::from(row)))
}

/// What is known of the agent a job names. What cannot be a name is not looked up, and a command has none.
pub(crate) async fn offer(app: &App, job: &Value) -> Result<Offer, ApiError> {
    let command = job.get("job_type").and_then(Value::as_str) == Some("command");
    let named =
        job.get("agent").filter(|_| !command).filter(|value| rules::name(value).is_ok()).and_then(Value::as_str);
    match named {
        Some(name) => Ok(app.agents.look_up(&app.database, name).await?),
        None => Ok(Offer::Known),
    }
}

/// Names the jobs that are not there.
async fn no_dependency(app: &App, tenant: TenantId, depends_on: &[JobId]) -> Result<ApiError, ApiError> {
    let missing = job::missing(&app.client(tenant).await?, tenant, depends_on).await?;
    let mut fields = Fields::body(Value::Object(Map::new()))?;
    for at in missing {
        fields.refuse("depends_on", Fault::value("Job not found").at(at));
    }
    let vanished = "a dependency that was missing is there";
    Ok(fields.finish(|| None::<()>).err().unwrap_or_else(|| ApiError::Internal(vanished.to_owned())))
}

/// The key came before with another request.
pub(crate) fn key_reused() -> ApiError {
    let mut fields = Fields::headers();
    fields.refuse("Idempotency-Key", Fault::value("this key was used for another request"));
    match fields.finish(|| Some(())) {
        Err(error) => error,
        Ok(()) => ApiError::Internal("a refused field was not reported".to_owned()),
    }
}

/// The answer to something accepted, new or not.
pub(crate) fn accepted_response(
    status: StatusCode,
    location: &str,
    replayed: bool,
    view: &impl serde::Serialize,
) -> Response {
    let mut response = (status, Json(view)).into_response();
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::try_from(location) {
        headers.insert(header::LOCATION, location);
    }
    if replayed {
        headers.insert(HeaderName::from_static("idempotency-replayed"), HeaderValue::from_static("true"));
    }
    response
}
