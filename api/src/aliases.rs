//! Routes kept for older clients: the same handlers under shorter paths.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};

use crate::{
    audit::Draft,
    auth::Caller,
    error::ApiError,
    extract::{Ids, JsonBody, Query},
    files::{self, FileList, FileText},
    jobs::{self, JobView, NewJobBody},
    openapi::Binary,
    state::Shared,
};

/// Submit a job (older path)
#[utoipa::path(
    post, path = "/api/v1/{project_id}/jobs", tag = "older paths",
    params(("project_id" = uuid::Uuid, Path)),
    request_body = NewJobBody,
    responses((status = 202, body = JobView))
)]
#[deprecated = "kept for older clients"]
pub(crate) async fn alias_submit_job(
    state: State<Shared>,
    caller: Caller,
    draft: Draft,
    ids: Ids,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, ApiError> {
    jobs::submit_job(state, caller, draft, ids, headers, body).await
}

/// List files (older path)
#[utoipa::path(
    get, path = "/api/v1/{project_id}/files", tag = "older paths",
    params(("project_id" = uuid::Uuid, Path)),
    responses((status = 200, body = FileList), (status = 410), (status = 422))
)]
#[deprecated = "kept for older clients"]
pub(crate) async fn alias_list_files(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    query: Query,
) -> Result<Json<FileList>, ApiError> {
    files::files(&app, caller.tenant, &ids, query).await
}

/// Read a file (older path)
#[utoipa::path(
    get, path = "/api/v1/{project_id}/files/{*path}", tag = "older paths",
    params(("project_id" = uuid::Uuid, Path), ("path" = String, Path)),
    responses(
        (status = 200, content((Binary = "application/octet-stream"), (FileText = "application/json"))),
        (status = 206, body = Binary, content_type = "application/octet-stream"),
        (status = 304), (status = 400), (status = 404), (status = 410), (status = 412), (status = 413), (status = 416), (status = 422),
    )
)]
#[deprecated = "kept for older clients"]
pub(crate) async fn alias_read_file(
    State(app): State<Shared>,
    caller: Caller,
    ids: Ids,
    uri: Uri,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, ApiError> {
    files::file(&app, caller.tenant, &ids, &uri, &headers, query).await
}
