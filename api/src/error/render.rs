//! The one error body, always JSON, nulls left out. Also gives it to answers of the framework that never
//! were an `ApiError`.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use drydock_runtime::admin::Unready;
use serde_json::{Value, json};

use super::Kind;

/// What travels with a failed response until the body is written.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    /// What it is called; by its status when unset.
    pub(super) kind: Option<Kind>,
    pub(super) detail: Option<Value>,
    /// For the log, never for the client.
    pub(crate) cause: Option<String>,
}

impl From<Unready> for Body {
    fn from(Unready(said): Unready) -> Self {
        let cause = Some(said.to_string());
        let mut told = said;
        // Everybody may ask, so why is for the log.
        for (_, check) in told["checks"].as_object_mut().into_iter().flatten().filter(|(_, check)| **check != "ok") {
            *check = "it fails: the log says why".into();
        }
        Self { kind: None, cause, detail: Some(told) }
    }
}

impl Body {
    /// Whatever the handler made of a body that did not come in time: the client was too slow (RFC 9110 §15.5.9).
    pub(crate) fn late(response: &mut Response) {
        if *response.status_mut() == StatusCode::BAD_REQUEST {
            *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
            if let Some(body) = response.extensions_mut().get_mut::<Self>() {
                body.kind = None;
            }
        }
    }
}

/// Writes the body of a failed response; others pass. Returns the cause to log.
pub(crate) fn render(response: Response, request_id: &str) -> (Response, Option<String>) {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return (response, None);
    }
    let (mut parts, _) = response.into_parts();
    let body = parts.extensions.remove::<Body>().or_else(|| parts.extensions.remove::<Unready>().map(Body::from));
    let kind = body.as_ref().and_then(|body| body.kind).unwrap_or_else(|| Kind::of(status));
    let (detail, cause) = body.map_or((None, None), |body| (body.detail, body.cause));
    let mut object = json!({
        "error": kind.error,
        "message": kind.message,
        "code": kind.status.as_u16(),
        "correlation_id": request_id,
    });
    if let Some(detail) = detail {
        object["detail"] = detail;
    }
    let mut rendered = (kind.status, Json(object)).into_response();
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            rendered.headers_mut().append(name, value.clone());
        }
    }
    rendered.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (rendered, cause)
}
