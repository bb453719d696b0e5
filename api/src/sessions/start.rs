//! `POST /sessions`: the answer comes when the session takes connections, or will not.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{begin::begin, request::SessionRequest, views::SessionView};
use crate::{
    auth::Caller,
    error::ApiError,
    extract::JsonBody,
    jobs::{accepted_response, idempotency},
    state::Shared,
    validate::Fields,
};

/// Body of a new session, for the document; `request` has the rules.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct NewSessionBody {
    project_id: uuid::Uuid,
    /// One of the workers' servers, such as `preview`.
    server: String,
    /// The session ends after so many seconds without a connection: 1 to 604,800, 3,600 by default.
    #[schema(minimum = 1, maximum = 604_800)]
    idle_timeout_s: Option<i32>,
    /// It runs beside the project's other jobs; what is changed is discarded.
    read_only: Option<bool>,
}

/// Start a session
///
/// Starts a server on the project's newest version, and answers when it takes connections at `host` and `port`. Nothing is between it and
/// its clients. It is a job of the project: its id is the job's, whose log has what the server says.
#[utoipa::path(
    post, path = "/api/v1/sessions", tag = "sessions",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a repeated request harmless")),
    request_body = NewSessionBody,
    responses(
        (status = 201, body = SessionView), (status = 404), (status = 409, description = "It was ended before it was ready"),
        (status = 500, description = "Its server did not start (`session_start_failed`), with its last output"),
        (status = 503, description = "No worker has a free session slot, or none took it in time; nothing is left of it")
    )
)]
pub(crate) async fn start_session(
    State(app): State<Shared>,
    caller: Caller,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let JsonBody { value, raw } = body;
    let request = SessionRequest::read(Fields::body(value)?, None)?;
    let idempotency = idempotency(&headers, "POST /sessions", &raw)?;
    let (row, replayed) = begin(&app, caller.tenant, request, idempotency).await?;
    let location = format!("/api/v1/sessions/{}", row.id);
    Ok(accepted_response(StatusCode::CREATED, &location, replayed, &SessionView::from(row)))
}
