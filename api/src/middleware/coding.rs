//! Codings of bodies: none is undone here, so a body that has one would be taken for what it is not (a file's bytes, say).

use axum::{
    extract::Request,
    http::{HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use crate::error::ApiError;

/// Refuses a body with a coding, and says which is taken (RFC 9110 §15.5.16).
pub(crate) async fn uncoded(request: Request, next: Next) -> Response {
    let has_body = matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH);
    let codings = request.headers().get_all(header::CONTENT_ENCODING);
    if !has_body || codings.iter().all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return next.run(request).await;
    }
    let refusal = "Content-Encoding should be left out: a body is taken as it is, and not decompressed";
    let mut response = ApiError::UnsupportedMediaType(refusal).into_response();
    response.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    response
}
