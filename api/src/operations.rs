//! What the operations endpoints say of themselves in the document; `drydock_runtime::admin` serves them.

use utoipa::OpenApi;

/// The endpoints at the root of every service.
#[derive(OpenApi)]
#[openapi(paths(livez, readyz, metrics, version))]
pub(crate) struct Operations;

/// Is the process alive
#[utoipa::path(get, path = "/livez", tag = "operations", responses((status = 200, body = String, content_type = "text/plain")))]
#[expect(dead_code, reason = "documents an endpoint of the runtime")]
fn livez() {}

/// Can it serve
#[utoipa::path(get, path = "/readyz", tag = "operations", responses((status = 200), (status = 503)))]
#[expect(dead_code, reason = "documents an endpoint of the runtime")]
fn readyz() {}

/// Metrics in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "operations", responses((status = 200, body = String, content_type = "text/plain")))]
#[expect(dead_code, reason = "documents an endpoint of the runtime")]
fn metrics() {}

/// What runs
#[utoipa::path(get, path = "/version", tag = "operations", responses((status = 200)))]
#[expect(dead_code, reason = "documents an endpoint of the runtime")]
fn version() {}
