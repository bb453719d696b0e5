//! The same under the names of older clients: at the root, below `/api/v1`, and alone on `DRYDOCK_INSTANCE_MANAGER_ADDR`.

use axum::{Json, extract::State};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    begin::begin,
    end::{SessionEnd, end},
    request::SessionRequest,
    views::SessionView,
};
use crate::{auth::Caller, error::ApiError, extract::JsonBody, state::Shared, validate::Fields};

/// No directory is served in place.
const NO_PATH: ApiError = ApiError::BadRequest(std::borrow::Cow::Borrowed("Invalid or missing 'project_path'"));

/// Body of a session, as older clients ask for one.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct RequestSessionBody {
    project_id: uuid::Uuid,
    /// The server's default by default.
    server: Option<String>,
    #[schema(minimum = 1, maximum = 604_800)]
    idle_timeout_s: Option<i32>,
    read_only: Option<bool>,
}

/// Body of a session's end.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the body, which is validated by hand")]
pub(crate) struct ReleaseSessionBody {
    session_id: String,
}

/// All of them.
pub(crate) fn older_routes() -> OpenApiRouter<Shared> {
    root_routes().routes(routes!(request_session)).routes(routes!(release_session))
}

/// Those at the root.
pub(crate) fn root_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(root_request_session)).routes(routes!(root_release_session))
}

/// Start a session (older path)
#[utoipa::path(
    post, path = "/api/v1/request-session", tag = "older paths", request_body = RequestSessionBody,
    responses((status = 200, body = SessionView), (status = 400), (status = 404), (status = 409))
)]
pub(crate) async fn request_session(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<SessionView>, ApiError> {
    request(&app, caller, body.value).await
}

/// Start a session (older path, at the root)
#[utoipa::path(
    post, path = "/request-session", tag = "older paths", request_body = RequestSessionBody,
    responses((status = 200, body = SessionView), (status = 400), (status = 404), (status = 409))
)]
pub(crate) async fn root_request_session(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<SessionView>, ApiError> {
    request(&app, caller, body.value).await
}

/// End a session (older path)
#[utoipa::path(
    post, path = "/api/v1/release-session", tag = "older paths", request_body = ReleaseSessionBody,
    responses((status = 200, body = SessionEnd), (status = 404), (status = 409), (status = 500), (status = 503))
)]
pub(crate) async fn release_session(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<SessionEnd>, ApiError> {
    release(&app, caller, body.value).await
}

/// End a session (older path, at the root)
#[utoipa::path(
    post, path = "/release-session", tag = "older paths", request_body = ReleaseSessionBody,
    responses((status = 200, body = SessionEnd), (status = 404), (status = 409), (status = 500), (status = 503))
)]
pub(crate) async fn root_release_session(
    State(app): State<Shared>,
    caller: Caller,
    body: JsonBody,
) -> Result<Json<SessionEnd>, ApiError> {
    release(&app, caller, body.value).await
}

async fn request(app: &Shared, caller: Caller, body: Value) -> Result<Json<SessionView>, ApiError> {
    let given = |name: &str| body.get(name).is_some_and(|value| !value.is_null());
    if body.is_object() && (given("project_path") || !given("project_id")) {
        return Err(NO_PATH);
    }
    let request = SessionRequest::read(Fields::body(body)?, Some(&app.config.default_session_server))?;
    let (row, _) = begin(app, caller.tenant, request, None).await?;
    Ok(Json(row.into()))
}

async fn release(app: &Shared, caller: Caller, body: Value) -> Result<Json<SessionEnd>, ApiError> {
    let mut fields = Fields::body(body)?;
    let id = fields.optional("session_id", |value| Ok(value.as_str().and_then(|text| text.parse().ok())));
    let id = fields.finish(|| Some(id.flatten()))?.ok_or(ApiError::NO_SESSION)?;
    end(app, caller.tenant, id).await.map(Json)
}
