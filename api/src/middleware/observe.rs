//! One span, one log line, one error body, one metric for each request. Bodies, queries and headers are never logged.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use tracing::Instrument as _;

use super::{request_id, security};
use crate::{
    error::{Body, render},
    serve::{Client, Late},
    state::Shared,
};

/// What the log and the metrics say of a request.
struct Seen {
    method: Method,
    path: String,
    route: Option<MatchedPath>,
    start: Instant,
}

/// Runs the request under its id.
pub(crate) async fn observe(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let (id, header) = request_id::of(request.headers());
    let seen = Seen {
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        route: request.extensions().get::<MatchedPath>().cloned(),
        start: Instant::now(),
    };
    let span = tracing::info_span!("request", request_id = %id);
    request.extensions_mut().insert(request_id::RequestId(id.clone()));
    let https = request.extensions().get::<Client>().is_some_and(|client| client.https);
    let late = request.extensions().get::<Late>().cloned();
    let mut response = next.run(request).instrument(span.clone()).await;
    if late.is_some_and(|late| late.is_noted()) {
        Body::late(&mut response);
    }
    let (mut response, cause) = render(response, &id);
    response.headers_mut().insert(request_id::X_REQUEST_ID, header);
    security::complete(&mut response, security::hsts(app.config.hsts, https));
    span.in_scope(|| seen.log(response.status(), cause.as_deref()));
    let route = seen.route.as_ref().map_or("none", MatchedPath::as_str);
    let labels = [known_method(&seen.method), route, class(response.status())];
    app.metrics.request_seconds.with_label_values(&labels).observe(seen.start.elapsed().as_secs_f64());
    response
}

impl Seen {
    fn log(&self, status: StatusCode, cause: Option<&str>) {
        let (method, path, status, ms) = (&self.method, &self.path, status.as_u16(), self.start.elapsed().as_millis());
        match (status, cause) {
            (500.., cause) => {
                tracing::error!(%method, path, status, ms, "failed to answer: {}", cause.unwrap_or("no cause given"));
            }
            (400..=499, _) => tracing::warn!(%method, path, status, ms, "request refused"),
            _ if self.is_probe() => tracing::debug!(%method, path, status, ms, "answered"),
            _ => tracing::info!(%method, path, status, ms, "answered"),
        }
    }

    /// Probes and scrapes come every few seconds from every side.
    fn is_probe(&self) -> bool {
        matches!(self.path.as_str(), "/livez" | "/readyz" | "/metrics")
    }
}

/// Methods are the client's words: only the usual ones become labels.
fn known_method(method: &Method) -> &'static str {
    let known = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS];
    let names = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    known.iter().position(|known| known == method).map_or("other", |at| names[at])
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    }
}
