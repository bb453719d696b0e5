//! One HTTP request to the other side and its answer, both passed on as they come.

use std::sync::Arc;

use hyper::{
    Request, Response, Uri, Version,
    body::Incoming,
    client::conn::http1,
    ext::ReasonPhrase,
    header::{AUTHORIZATION, HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};

use crate::{
    broker::Way, domain::Asked, endpoint::Endpoint, headers::drop_hop_by_hop, meter::Traffic, refusal::Refusal,
    upstream,
};

/// Plain HTTP to a domain.
pub(crate) async fn to_domain(
    way: &Arc<Way>,
    asked: &Asked,
    mut request: Request<Incoming>,
    target: &str,
) -> Result<Response<Incoming>, Refusal> {
    let stream = upstream::to_domain(way, asked).await?;
    let path = request.uri().path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    let host = if asked.port() == 80 { asked.name().to_owned() } else { asked.to_string() };
    direct(&mut request, path, &host)?;
    let traffic = stream.traffic();
    send(way, stream, request, Passed { target: target.to_owned(), traffic }).await
}

/// To an endpoint, with the worker's key.
pub(crate) async fn to_endpoint(
    way: &Arc<Way>,
    endpoint: &Endpoint,
    path: Uri,
    mut request: Request<Incoming>,
    target: &str,
) -> Result<Response<Incoming>, Refusal> {
    let secrets = endpoint.secrets().ok_or(Refusal::NoKey)?;
    let stream = upstream::to_endpoint(&way.egress, endpoint).await?;
    let passed = Passed { target: target.to_owned(), traffic: stream.traffic() };
    direct(&mut request, path, &endpoint.authority())?;
    let headers = request.headers_mut();
    headers.remove(AUTHORIZATION);
    for (name, value) in secrets {
        headers.insert(name, value);
    }
    let mut response = if endpoint.is_tls() {
        let stream = upstream::under_tls(&way.egress, endpoint, stream).await?;
        send(way, stream, request, passed).await?
    } else {
        send(way, stream, request, passed).await?
    };
    conceal(endpoint, &mut response);
    Ok(response)
}

/// Takes the keys out of an answer's head. Its reason is only for people, and the status has one.
fn conceal(endpoint: &Endpoint, response: &mut Response<Incoming>) {
    response.extensions_mut().remove::<ReasonPhrase>();
    let headers = response.headers_mut();
    let told = headers.iter().filter(|(_, value)| endpoint.is_told_by(value.as_bytes()));
    let told: Vec<HeaderName> = told.map(|(name, _)| name.clone()).collect();
    for name in told {
        headers.remove(name);
    }
}

/// A request that is on its way.
struct Passed {
    target: String,
    traffic: Arc<Traffic>,
}

/// Makes it a request of ours: where its body ends is told anew, by this side's HTTP.
fn direct(request: &mut Request<Incoming>, path: Uri, host: &str) -> Result<(), Refusal> {
    *request.uri_mut() = path;
    *request.version_mut() = Version::HTTP_11;
    let host = HeaderValue::from_str(host).map_err(|_| Refusal::Malformed("its host fits into no header"))?;
    let headers = request.headers_mut();
    drop_hop_by_hop(headers);
    headers.insert(HOST, host);
    Ok(())
}

async fn send<S>(
    way: &Arc<Way>,
    stream: S,
    request: Request<Incoming>,
    passed: Passed,
) -> Result<Response<Incoming>, Refusal>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(Refusal::Answer)?;
    let (answered, status) = oneshot::channel();
    let carrying = {
        let way = way.clone();
        async move {
            tokio::select! {
                // An answer that breaks off does so for the agent as well.
                _broken = connection => {}
                () = passed.traffic.is_idle_for(way.egress.bounds.idle) => {}
                () = way.over.cancelled() => {}
            }
            match status.await {
                Ok(status) => way.audit.end(&passed.target, Some(status), &passed.traffic).await,
                Err(_) => way.audit.unanswered(&passed.target, &passed.traffic).await,
            }
        }
    };
    way.spawn("egress-upstream", carrying);
    let mut response = sender.send_request(request).await.map_err(Refusal::Answer)?;
    way.audit.begin();
    let _gone = answered.send(response.status().as_u16());
    drop_hop_by_hop(response.headers_mut());
    Ok(response)
}
