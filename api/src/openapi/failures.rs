//! What each operation may be refused with, told in one place: a status follows from what the operation takes and needs. What only one
//! of them answers (409, 410, 412, 416, …) its own description names, and gets the body here.

use axum::http::{Method, StatusCode, header};
use utoipa::openapi::{
    Components, Content, Header, Object, Ref, RefOr, Response, Schema, Type,
    path::{Operation, ParameterIn},
};

use super::bodies::errors;
use crate::{auth, error::Kind};

/// Names the one error body among the components.
pub(super) fn define(components: &mut Components) -> Result<(), serde_json::Error> {
    for (name, schema) in errors() {
        components.schemas.insert(name.to_owned(), serde_json::from_value::<RefOr<Schema>>(schema)?);
    }
    Ok(())
}

/// Adds to an operation what it may be refused with, and the body to what it names itself.
pub(super) fn tell(method: &Method, path: &str, operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for status in told(method, path, operation.parameters.as_deref().unwrap_or_default()) {
        responses.entry(status.as_u16().to_string()).or_insert_with(|| RefOr::T(Response::default()));
    }
    for (status, response) in responses {
        let (Ok(status), RefOr::T(response)) = (status.parse::<StatusCode>(), response) else { continue };
        if status.as_u16() >= 400 {
            complete(status, response);
        } else if response.description.is_empty() {
            // A response without one is not OpenAPI.
            status.canonical_reason().unwrap_or("Done").clone_into(&mut response.description);
        }
    }
}

/// The statuses that follow from what the operation takes and needs.
fn told(method: &Method, path: &str, parameters: &[RefOr<utoipa::openapi::path::Parameter>]) -> Vec<StatusCode> {
    let Some(scopes) = auth::needed(method, path) else { return Vec::new() };
    let mut told = vec![
        StatusCode::UNAUTHORIZED,
        // Of an address that presents too many keys that are nobody's, too.
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if !scopes.is_empty() {
        told.push(StatusCode::FORBIDDEN);
    }
    if path.contains('{') {
        told.push(StatusCode::NOT_FOUND);
    }
    let queries =
        parameters.iter().any(|one| matches!(one, RefOr::T(one) if matches!(one.parameter_in, ParameterIn::Query)));
    let takes_body = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    if takes_body {
        told.extend([
            StatusCode::BAD_REQUEST,
            StatusCode::REQUEST_TIMEOUT,
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ]);
    }
    if takes_body || queries {
        told.push(StatusCode::UNPROCESSABLE_ENTITY);
    }
    told
}

fn complete(status: StatusCode, response: &mut Response) {
    if response.description.is_empty() {
        Kind::of(status).message.clone_into(&mut response.description);
    }
    if response.content.is_empty() {
        let content = Content::new(Some(Ref::from_schema_name("Error")));
        response.content.insert("application/json".to_owned(), RefOr::T(content));
    }
    let (name, kind) = match status {
        StatusCode::UNAUTHORIZED => (header::WWW_AUTHENTICATE, Type::String),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => (header::RETRY_AFTER, Type::Integer),
        _ => return,
    };
    response.headers.insert(name.as_str().to_owned(), RefOr::T(Header::new(Object::with_type(kind))));
}
