//! Routes kept for older clients: the same handlers under shorter paths. Each answer says since when they are deprecated (RFC 9745), from
//! when on they may be gone (RFC 8594), and what to ask instead (`successor-version`, RFC 5829). `README.md` has the policy.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    middleware::{self, Next},
    response::Response,
};
use utoipa_axum::{router::OpenApiRouter, routes};

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

/// 2026-12-01T00:00:00Z, as RFC 9745 writes a date.
const DEPRECATED: HeaderValue = HeaderValue::from_static("@1796083200");
/// They stay a year at least, whatever comes.
const SUNSET: HeaderValue = HeaderValue::from_static("Sat, 01 Jan 2028 00:00:00 GMT");
const DEPRECATION: HeaderName = HeaderName::from_static("deprecation");
const SUNSET_HEADER: HeaderName = HeaderName::from_static("sunset");
const BASE: &str = "/api/v1/";

/// All of them, with what their answers say besides.
#[expect(deprecated, reason = "deprecated for clients, and served")]
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(alias_submit_job))
        .routes(routes!(alias_list_files))
        .routes(routes!(alias_read_file))
        .route_layer(middleware::from_fn(tell))
}

async fn tell(request: Request, next: Next) -> Response {
    let successor = successor(request.uri());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(DEPRECATION, DEPRECATED);
    headers.insert(SUNSET_HEADER, SUNSET);
    headers.append(header::LINK, HeaderValue::from_static("</docs>; rel=\"deprecation\"; type=\"text/html\""));
    headers.extend(successor.map(|successor| (header::LINK, successor)));
    response
}

/// The same below `/projects`.
fn successor(uri: &Uri) -> Option<HeaderValue> {
    let rest = uri.path().strip_prefix(BASE)?;
    // No path holds what would end it here: RFC 3986 has no '>' in one.
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let link = format!("<{BASE}projects/{rest}{query}>; rel=\"successor-version\"");
    HeaderValue::try_from(link).ok().filter(|_| !rest.contains('>') && !query.contains('>'))
}

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
