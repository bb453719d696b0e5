//! One request of the agent: who asks, for what, and whether it is passed on.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::{Method, Request, Response, body::Incoming, header::PROXY_AUTHORIZATION};

use crate::{broker::Way, domain::Asked, exchange, refusal::Refusal, tunnel, visit::Visit};

/// What the agent gets: the other side's answer as it comes, or a word of ours.
pub(crate) type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// Methods for endpoints: those that have no server answer with the key.
const PASSED: [Method; 7] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];

/// Answers one request.
pub(crate) async fn answer(visit: Arc<Visit>, request: Request<Incoming>) -> Answer {
    let target = told(&visit.way, &request);
    let passed = match (request.method(), request.uri().authority()) {
        (&Method::CONNECT, _) => connect(&visit, request, &target).await,
        (_, Some(_)) => forward(&visit, request, &target).await,
        (_, None) => call(&visit, request, &target).await,
    };
    match passed {
        Ok(answer) => answer,
        Err(refusal) => {
            // Who was reached and gave no answer is told with what went there.
            if !matches!(refusal, Refusal::Answer(_)) {
                visit.way.audit.refused(&target, &refusal).await;
            }
            refusal.response().map(Either::Right)
        }
    }
}

/// What it asks for, as the log says it: no query, no secrets, and of an endpoint where that is.
fn told(way: &Way, request: &Request<Incoming>) -> String {
    let (method, uri) = (request.method(), request.uri());
    let endpoint = way.rules.endpoints.iter().find_map(|endpoint| Some((endpoint, endpoint.target(uri)?)));
    let host = uri.authority().and_then(|authority| authority.as_str().rsplit('@').next());
    match (host, endpoint) {
        (Some(host), _) if *method == Method::CONNECT => format!("{method} {host}"),
        (Some(host), _) => format!("{method} {}://{host}{}", uri.scheme_str().unwrap_or_default(), uri.path()),
        (None, Some((endpoint, path))) => format!("{method} {}{}", endpoint.origin(), path.path()),
        (None, None) => format!("{method} {}", uri.path()),
    }
}

fn check_proxy(visit: &Visit, request: &Request<Incoming>) -> Result<(), Refusal> {
    let mut given = request.headers().get_all(PROXY_AUTHORIZATION).iter();
    match (given.next(), given.next()) {
        (Some(value), None) if visit.way.credential.is_basic(value) => {
            visit.know();
            Ok(())
        }
        _ => Err(Refusal::Proxy),
    }
}

async fn connect(visit: &Arc<Visit>, request: Request<Incoming>, target: &str) -> Result<Answer, Refusal> {
    check_proxy(visit, &request)?;
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    let asked = Asked::parse(authority, None).ok_or(Refusal::Domain)?;
    tunnel::open(visit, &asked, request, target).await?;
    Ok(Response::new(Either::Right(Full::default())))
}

async fn forward(visit: &Visit, request: Request<Incoming>, target: &str) -> Result<Answer, Refusal> {
    check_proxy(visit, &request)?;
    // It has a server answer with what it was sent, cookies and all.
    if request.method().as_str().eq_ignore_ascii_case("TRACE") {
        return Err(Refusal::Method);
    }
    if request.uri().scheme_str() != Some("http") {
        return Err(Refusal::Malformed("other schemes than http go through CONNECT"));
    }
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    let asked = Asked::parse(authority, Some(80)).ok_or(Refusal::Domain)?;
    Ok(exchange::to_domain(&visit.way, &asked, request, target).await?.map(Either::Left))
}

async fn call(visit: &Visit, request: Request<Incoming>, target: &str) -> Result<Answer, Refusal> {
    let way = &visit.way;
    let is_of = |endpoint: &&crate::Endpoint| {
        let rest = request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(endpoint.name()));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let endpoint = way.rules.endpoints.iter().find(is_of);
    let Some(endpoint) = endpoint else {
        // Who is a stranger learns of no paths.
        return Err(check_proxy(visit, &request).err().unwrap_or(Refusal::Path));
    };
    let mut given = request.headers().get_all(endpoint.header().name()).iter();
    let key = match (given.next(), given.next()) {
        (Some(value), None) => endpoint.header().key(value),
        _ => None,
    };
    if !key.is_some_and(|key| way.credential.is(key)) {
        return Err(Refusal::Key);
    }
    visit.know();
    if !PASSED.contains(request.method()) {
        return Err(Refusal::Method);
    }
    let path = endpoint.target(request.uri()).ok_or(Refusal::Path)?;
    Ok(exchange::to_endpoint(way, endpoint, path, request, target).await?.map(Either::Left))
}
