//! The one place where requests that make jobs, or may change something else, are counted.

use axum::{
    extract::{MatchedPath, Request, State},
    http::Method,
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::{audit, auth::Caller, error::ApiError, state::Shared};

/// What makes jobs, as the router has it.
const COUNTED: [&str; 10] = [
    "/api/v1/projects",
    "/api/v1/projects/{id}/jobs",
    "/api/v1/jobs/{id}/retry",
    "/api/v1/batches/{id}/jobs",
    "/api/v1/batches/{id}/retry-failed",
    "/api/v1/sessions",
    "/api/v1/workspaces/{id}/ai-action",
    "/api/v1/{project_id}/jobs",
    "/api/v1/request-session",
    "/request-session",
];

/// Whether requests with this method on the route `path` are counted.
fn counts(method: &Method, path: &str) -> bool {
    method == Method::POST && COUNTED.contains(&path)
}

/// Lets a request pass while its tenant has not asked too often.
pub(crate) async fn limit(State(app): State<Shared>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let (rate, refused) = match request.method() {
        method if counts(method, route) => (&app.job_rate, &app.metrics.rate_limited),
        method if audit::records(method, route) => (&app.change_rate, &app.metrics.changes_limited),
        _ => return next.run(request).await,
    };
    // Without a caller it was not let in.
    let caller = request.extensions().get::<Caller>().map(|caller| caller.tenant);
    let (Some(tenant), Some(rate)) = (caller, rate) else { return next.run(request).await };
    let (mut response, told) = match rate.take(tenant) {
        Ok(told) => (next.run(request).await, told),
        Err((wait, told)) => {
            refused.inc();
            (ApiError::RateLimited { detail: rate.words(), wait }.into_response(), told)
        }
    };
    response.headers_mut().extend(told);
    response
}
