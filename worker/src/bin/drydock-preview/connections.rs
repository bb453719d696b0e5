//! Connections: so many at once, and none that is held open without a word.

use std::{sync::Arc, time::Duration};

use axum::Router;
use drydock_runtime::tasks;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// How long to wait before accepting again when accepting failed, which is mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer that went away without a word is asked after so long, so often, and that many times.
const SILENCE: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// What connections may take.
pub(crate) struct Limits {
    /// How long the head of a request may take, and a connection may wait for its next one.
    pub(crate) header: Duration,
    /// Connections at once; more wait until one is closed.
    pub(crate) connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header: Duration::from_secs(30), connections: 256 }
    }
}

/// Serves for as long as it is polled.
pub(crate) async fn serve(listener: &TcpListener, router: &Router, limits: &Limits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    // Nobody closes the semaphore.
    while let Ok(place) = places.clone().acquire_owned().await {
        let Ok((stream, _peer)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        prepare(&stream);
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.header)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router.clone()));
        tasks::spawn("connection", async move {
            // Its end is the client's affair.
            let _ended = connection.await;
            drop(place);
        });
    }
}

/// What cannot be set is done without.
fn prepare(stream: &TcpStream) {
    let _no_delay = stream.set_nodelay(true);
    let asked = TcpKeepalive::new().with_time(SILENCE).with_interval(PROBE_EVERY).with_retries(PROBES);
    let _kept_alive = SockRef::from(stream).set_tcp_keepalive(&asked);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_peer_that_went_away_is_noticed() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        prepare(&stream);
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), SILENCE);
    }
}
