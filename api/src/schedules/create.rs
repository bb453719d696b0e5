//! `POST /schedules`: read, checked against the clock, kept.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use drydock_database::schedule::{self, Created, NewSchedule};
use drydock_domain::ScheduleId;

use super::{
    request::{ScheduleRequest, first},
    views::ScheduleView,
};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::JsonBody,
    jobs::{NewJobBody, accepted_response, idempotency, key_reused, offer},
    state::Shared,
    validate::{Fault, refused},
};

/// Body of a new schedule, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewScheduleBody {
    /// 1 to 200 characters.
    name: String,
    project_id: uuid::Uuid,
    /// Five fields, like `30 6 * * MON-FRI`, or `@daily` and its like.
    cron: String,
    /// An IANA name, like `Europe/Berlin`; `UTC` by default.
    time_zone: Option<String>,
    /// `skip` or `once`, the default.
    missed: Option<String>,
    paused: Option<bool>,
    /// As for a new job, without `run_at` and `depends_on`.
    job: NewJobBody,
}

/// Create a schedule
#[utoipa::path(
    post, path = "/api/v1/schedules", tag = "schedules",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless")),
    request_body = NewScheduleBody,
    responses((status = 201, body = ScheduleView), (status = 422))
)]
pub(crate) async fn create_schedule(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let JsonBody { value, raw } = body;
    let offer = offer(&app, &value["job"]).await?;
    let request = ScheduleRequest::read(value, &offer)?;
    let mut client = app.client(caller.tenant).await?;
    let now = schedule::now(&client).await?;
    let new = NewSchedule {
        id: ScheduleId::generate(),
        project: request.project,
        next_at: Some(first(&request.cron, &request.time_zone, now)?),
        name: request.name,
        cron: request.cron,
        time_zone: request.time_zone,
        missed: request.missed,
        job: template(request.job.into_new(request.project))?,
        paused: request.paused,
        idempotency: idempotency(&headers, "POST /schedules", &raw)?,
    };
    let (id, replayed) = match schedule::create(&mut client, caller.tenant, &new).await? {
        Created::New(id) => (id, false),
        Created::Replayed(id) => (id, true),
        Created::KeyReused => return Err(key_reused()),
        Created::NoProject => return Err(refused("project_id", Fault::value("Project not found"))),
    };
    app.waker.wake(drydock_database::wake::Channel::Work);
    let row = schedule::find(&client, caller.tenant, id).await?.ok_or(ApiError::NO_SCHEDULE)?;
    let view = ScheduleView::from(row);
    Ok(accepted_response(StatusCode::CREATED, &format!("/api/v1/schedules/{id}"), replayed, &view))
}

pub(super) fn template(job: drydock_database::job::NewJob) -> Result<serde_json::Value, ApiError> {
    job.template().map_err(|error| ApiError::Internal(error.to_string()))
}
