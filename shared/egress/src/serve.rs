//! The broker's door: connections are taken, up to a number, and their requests answered.

use std::{convert::Infallible, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

use crate::{broker::Way, refusal::Refusal, route::answer, visit::Visit};

/// Bytes of a request's head.
const HEAD_BYTES: usize = 64 << 10;
/// Lines of it.
const HEAD_LINES: usize = 100;
/// After a connection that could not be taken, such as for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until the way is over.
pub(crate) async fn serve(way: Arc<Way>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(way.egress.bounds.connections));
    loop {
        let taken = async {
            // Nobody closes the places.
            let place = places.clone().acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let taken = tokio::select! {
            () = way.over.cancelled() => return,
            taken = taken => taken,
        };
        let Some((place, taken)) = taken else { return };
        match taken {
            Ok((stream, _)) => {
                let visit = Arc::new(Visit::new(way.clone(), place));
                way.spawn("egress-connection", converse(visit, stream));
            }
            Err(error) => {
                tracing::warn!("a connection to an agent's broker cannot be taken: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(visit: Arc<Visit>, stream: TcpStream) {
    let (way, here) = (&visit.way, visit.clone());
    let service = service_fn(move |request| {
        let here = here.clone();
        async move { Ok::<_, Infallible>(answer(here, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(way.egress.bounds.head)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        () = way.over.cancelled() => {}
        ended = connection => {
            if ended.is_err_and(|error| error.is_parse()) {
                let refusal = Refusal::Malformed("not HTTP/1.1");
                if visit.is_known() {
                    way.audit.refused("a request", &refusal).await;
                } else {
                    way.audit.refused_stranger(&refusal).await;
                }
            }
        }
    }
}
