//! The OpenAPI document, made from the handlers themselves, and the page that shows it.

mod bodies;
mod failures;

use axum::{
    extract::State,
    http::{Method, header},
    response::{Html, IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use drydock_domain::Scope;
use sha2::{Digest as _, Sha256};
use utoipa::openapi::{
    Info, OpenApi, PathItem, Paths,
    security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
};

pub(crate) use self::bodies::{Binary, Labels, detail};
use crate::{auth, state::Shared};

const DOCS: &str = include_str!("../docs.html");
const SCHEME: &str = "key";
const ABOUT: &str = "Runs coding agents on project workspaces.\n\n\
    Within v1 this document only grows: take fields, words of lists and headers that you do not know. What is `deprecated` here works on for a \
    year at least; its answers carry `Deprecation` (RFC 9745), `Sunset` (RFC 8594), and `Link` to what to ask instead.";

/// Completes what the routes said of themselves.
pub(crate) fn document(mut openapi: OpenApi) -> Result<Bytes, serde_json::Error> {
    let mut info = Info::new("Drydock", drydock_runtime::build_info::VERSION);
    info.description = Some(ABOUT.to_owned());
    openapi.info = info;
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, `dd_…`, or a token of an OIDC issuer where one is set up"))
        .build();
    let components = openapi.components.get_or_insert_default();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(key));
    failures::define(components)?;
    guard(&mut openapi.paths);
    openapi.paths.paths = plain(std::mem::take(&mut openapi.paths));
    Ok(serde_json::to_vec(&openapi)?.into())
}

/// Tells of each operation what it needs, from the table that decides it, and what it may be refused with.
fn guard(paths: &mut Paths) {
    for (path, item) in &mut paths.paths {
        let operations = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::PATCH, &mut item.patch),
            (Method::DELETE, &mut item.delete),
        ];
        for (method, operation) in operations {
            let needed = auth::needed(&method, path);
            let scopes = |needed: &[Scope]| SecurityRequirement::new(SCHEME, needed.iter().map(|scope| scope.as_str()));
            if let Some(operation) = operation {
                operation.security = Some(needed.map(scopes).into_iter().collect());
                failures::tell(&method, path, operation);
            }
        }
    }
}

/// The router's word for "and all that follows" is unknown to OpenAPI.
fn plain(paths: Paths) -> std::collections::BTreeMap<String, PathItem> {
    paths.paths.into_iter().map(|(path, item)| (path.replace("{*", "{"), item)).collect()
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200, content_type = "application/json")))]
pub(crate) async fn openapi_json(State(app): State<Shared>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], app.openapi.clone()).into_response()
}

/// A page that shows it
#[utoipa::path(get, path = "/docs", tag = "operations", responses((status = 200, content_type = "text/html")))]
pub(crate) async fn docs() -> impl IntoResponse {
    let (script, style) = (hash("script"), hash("style"));
    let policy = format!(
        "default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    ([(header::CONTENT_SECURITY_POLICY, policy)], Html(DOCS))
}

/// What allows the page's one element of this name, and none that somebody else may have written (CSP Level 3 §2.3.1).
fn hash(element: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let inner = DOCS.split_once(&start).and_then(|(_, rest)| rest.split_once(&end)).map_or("", |(inner, _)| inner);
    format!("sha256-{}", STANDARD.encode(Sha256::digest(inner)))
}
