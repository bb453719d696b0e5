//! `POST /projects/{id}/jobs`: one round trip, one commit, 202. What is accepted is durable.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use drydock_database::job::{self, Accepted, NewJob};
use drydock_domain::ProjectId;
use serde_json::Value;

use super::{
    JobView,
    request::{JobRequest, idempotency},
};
use crate::{
    agents::Offer,
    error::ApiError,
    extract::{Ids, JsonBody},
    state::Shared,
    validate::{Fault, Fields},
};

/// Body of a new job, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
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
    /// Longest run, in seconds.
    #[schema(minimum = 1)]
    timeout_s: Option<u32>,
    /// Waits for no other job; what it changes is discarded.
    read_only: Option<bool>,
    /// Keep what a failed agent left as a version.
    keep_on_error: Option<bool>,
    /// Repetitions after a failure of the agent.
    #[schema(minimum = 0, maximum = 100)]
    retries: Option<u8>,
    /// The least isolation to accept.
    min_isolation: Option<String>,
    labels: Option<std::collections::HashMap<String, String>>,
}

/// Submit a job
#[utoipa::path(
    post, path = "/api/v1/projects/{id}/jobs", tag = "jobs",
    params(
        ("id" = uuid::Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless"),
    ),
    request_body = NewJobBody,
    responses((status = 202, body = JobView), (status = 404), (status = 422))
)]
pub(crate) async fn submit_job(
    State(app): State<Shared>,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let project = ids.project()?;
    let JsonBody { value, raw } = body;
    let client = app.client().await?;
    let offer = match named_agent(&value) {
        Some(name) => app.agents.look_up(&client, name).await?,
        None => Offer::Known,
    };
    let request = JobRequest::parse(value, &offer)?;
    let mut new = new_job(project, request);
    new.idempotency = idempotency(&headers, &format!("POST /projects/{project}/jobs"), &raw)?;
    let (accepted, row) = job::accept_and_read(&client, app.tenant(), &new).await?;
    let (id, replayed, row) = match accepted {
        Accepted::New(id) => {
            app.waker.wake_all();
            (id, false, row)
        }
        Accepted::Replayed(id) => (id, true, job::find(&client, app.tenant(), id).await?),
        Accepted::KeyReused => return Err(key_reused()),
        Accepted::NoProject => return Err(ApiError::NO_PROJECT),
        Accepted::NoDependency => return Err(ApiError::Internal("a job without dependencies misses one".to_owned())),
    };
    let row = row.ok_or_else(|| ApiError::Internal(format!("job {id} was accepted but cannot be read")))?;
    Ok(accepted_response(StatusCode::ACCEPTED, &format!("/api/v1/jobs/{id}"), replayed, &JobView::from(row)))
}

/// The name to look up: only what could be one.
fn named_agent(body: &Value) -> Option<&str> {
    let command = body.get("job_type").and_then(Value::as_str) == Some("command");
    body.get("agent")
        .filter(|_| !command)
        .filter(|value| crate::validate::rules::name(value).is_ok())
        .and_then(Value::as_str)
}

fn new_job(project: ProjectId, request: JobRequest) -> NewJob {
    NewJob {
        argv: request.argv,
        agent: request.agent,
        priority: request.priority,
        read_only: request.read_only,
        keep_on_error: request.keep_on_error,
        retries: request.retries,
        timeout_s: request.timeout_s,
        min_isolation: request.min_isolation,
        labels: request.labels,
        run_at: request.run_at,
        ..NewJob::new(project, request.job_type, request.title, request.instruction)
    }
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
