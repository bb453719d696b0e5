//! HEAD: answered by the handlers of GET, with what GET would say of the whole. A range is defined for GET alone (RFC 9110 §14.2).

use axum::{
    extract::Request,
    http::{Method, header},
    middleware::Next,
    response::Response,
};

/// Takes the range out of a HEAD.
pub(crate) async fn whole_heads(mut request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD {
        request.headers_mut().remove(header::RANGE);
    }
    next.run(request).await
}
