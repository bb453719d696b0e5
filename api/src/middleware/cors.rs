//! CORS from the settings. The framework's layer tells an origin that is not allowed which methods would be; ours says
//! nothing at all, so the layer only sees origins that are.

use std::time::Duration;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, Method, header},
    middleware::{self, Next},
    response::Response,
};
use drydock_runtime::config::ConfigError;
use tower::{Layer as _, ServiceExt as _};
use tower_http::cors::{Any, CorsLayer};

use crate::config::{CorsConfig, List};

/// How long a browser may remember a preflight.
const MAX_AGE: Duration = Duration::from_secs(600);
/// What a page may read besides the headers every page may.
const EXPOSED: [&str; 12] = [
    "etag",
    "location",
    "x-request-id",
    "idempotency-replayed",
    "content-range",
    "accept-ranges",
    "retry-after",
    "ratelimit",
    "ratelimit-policy",
    "deprecation",
    "sunset",
    "link",
];

#[derive(Clone)]
struct Cors {
    origins: Option<Vec<HeaderValue>>,
    layer: CorsLayer,
}

/// Wraps `router` so that allowed origins get their headers and their preflight answers.
///
/// # Errors
/// A name in the settings that cannot be a header.
pub(crate) fn layer(router: Router, config: &CorsConfig) -> Result<Router, ConfigError> {
    let origins: Vec<HeaderValue> = parse("ALLOW_ORIGINS", &config.allow_origins)?;
    let methods: Vec<Method> = parse("ALLOW_METHODS", &config.allow_methods)?;
    let headers: Vec<HeaderName> = parse("ALLOW_HEADERS", &config.allow_headers)?;
    let mut layer = CorsLayer::new()
        .max_age(MAX_AGE)
        .expose_headers(EXPOSED.map(HeaderName::from_static))
        .allow_credentials(config.allow_credentials.0);
    layer = if config.allow_methods.has_wildcard() { layer.allow_methods(Any) } else { layer.allow_methods(methods) };
    layer = if config.allow_headers.has_wildcard() { layer.allow_headers(Any) } else { layer.allow_headers(headers) };
    let cors = if config.allow_origins.has_wildcard() {
        Cors { origins: None, layer: layer.allow_origin(Any) }
    } else {
        Cors { origins: Some(origins.clone()), layer: layer.allow_origin(origins) }
    };
    Ok(router.layer(middleware::from_fn_with_state(cors, apply)))
}

async fn apply(State(cors): State<Cors>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN);
    let allowed = origin.is_some_and(|origin| cors.origins.is_none_or(|origins| origins.contains(origin)));
    if !allowed {
        let mut response = next.run(request).await;
        // Caches must not give one origin's answer to another.
        response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
        return response;
    }
    let service = tower::service_fn(move |request| {
        let next = next.clone();
        async move { Ok::<_, std::convert::Infallible>(next.run(request).await) }
    });
    let Ok(response) = cors.layer.layer(service).oneshot(request).await;
    response
}

fn parse<T: std::str::FromStr>(name: &'static str, list: &List) -> Result<Vec<T>, ConfigError> {
    let wrong = |item: &str| ConfigError::Invalid { name, reason: format!("'{item}' cannot be sent in a header") };
    list.0.iter().filter(|item| *item != "*").map(|item| item.parse().map_err(|_| wrong(item))).collect()
}
