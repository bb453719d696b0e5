//! `JsonBody`: a bounded JSON body. 415 for another type, 413 beyond the limit, 400 for what is not JSON, or has a name twice.

use axum::{
    body::HttpBody as _,
    extract::{FromRequest, Request},
    http::header,
};
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::unique;
use crate::{error::ApiError, serve::Late, state::Shared};

/// The body as a value and as it was sent.
pub(crate) struct JsonBody {
    pub(crate) value: Value,
    pub(crate) raw: Bytes,
}

impl FromRequest<Shared> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(ApiError::UnsupportedMediaType("Content-Type should be application/json"));
        }
        let (limit, patience) = (app.config.body_limit, app.config.connections.body_timeout);
        let late = request.extensions().get::<Late>().cloned();
        match timeout(patience, read(request, limit)).await {
            Ok(read) => read,
            Err(_) => {
                late.inspect(Late::note);
                Err(ApiError::BadRequest(format!("Body did not arrive within {}s", patience.as_secs_f64()).into()))
            }
        }
    }
}

/// A body that may be left out: then it is an empty object, of whatever type.
pub(crate) struct OptionalJson(pub(crate) JsonBody);

impl FromRequest<Shared> for OptionalJson {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Shared) -> Result<Self, ApiError> {
        if request.body().is_end_stream() {
            return Ok(Self(JsonBody { value: Value::Object(Map::new()), raw: Bytes::new() }));
        }
        JsonBody::from_request(request, app).await.map(Self)
    }
}

async fn read(request: Request, limit: usize) -> Result<JsonBody, ApiError> {
    let body = Limited::new(request.into_body(), limit).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            ApiError::TooLarge(format!("Body should have at most {limit} bytes").into())
        } else {
            ApiError::BadRequest("Body could not be read".into())
        }
    })?;
    let raw = body.to_bytes();
    let text = std::str::from_utf8(&raw).map_err(|_| ApiError::BadRequest("Body is not valid UTF-8".into()))?;
    let value =
        unique::parse(text).map_err(|error| ApiError::BadRequest(format!("Body is not valid JSON: {error}").into()))?;
    Ok(JsonBody { value, raw })
}

/// `application/json` or `application/…+json`, as in RFC 6839.
fn is_json(request: &Request) -> bool {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}
