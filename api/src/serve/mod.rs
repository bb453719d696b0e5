//! Connections: how many there are, and how long one may keep its place without asking for anything. The framework's own loop has no such
//! limits, so this one stands in its place, over the same HTTP implementation.
//!
//! `door` counts, `activity` knows what a connection is doing, `body` does not wait for bodies for ever, `client` says who is at the
//! other end.

mod activity;
mod body;
mod client;
mod connection;
mod descriptors;
mod door;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use drydock_runtime::{Shutdown, tasks};
use hyper_util::{rt::TokioExecutor, server::conn::auto::Builder};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

pub(crate) use self::{
    body::Late,
    client::{Client, network},
};
use self::{
    connection::{Guest, Limits},
    door::{Door, Full},
};
use crate::{config::ApiConfig, metrics::ApiMetrics};

/// Header fields of one HTTP/1 request.
const MAX_FIELDS: usize = 100;
/// Bytes of header fields of one HTTP/2 request, as RFC 9113 §6.5.2 counts them: a token may have 16 KiB.
const MAX_FIELD_BYTES: u32 = 32 * 1024;
/// Streams that an HTTP/2 client may have reset before they were looked at (CVE-2023-44487), and that we reset for its faults.
const MAX_RESET: usize = 20;
const MAX_FAULTS: usize = 100;
/// Refusals that are told at once, and how long one may take: of others the connection is only closed.
const FAREWELLS: usize = 64;
const FAREWELL: Duration = Duration::from_secs(1);
/// How long to wait where no connection can be taken, for want of descriptors mostly.
const PAUSE: Duration = Duration::from_secs(1);

/// Serves HTTP/1 and HTTP/2 on any number of listeners, which share the limits.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

struct Inner {
    limits: Limits,
    door: Door,
    builder: Builder<TokioExecutor>,
    farewells: Arc<Semaphore>,
    metrics: ApiMetrics,
}

impl Server {
    /// As the settings have it, and as the process may have descriptors.
    pub(crate) fn new(config: &ApiConfig, metrics: &ApiMetrics) -> Self {
        let connections = &config.connections;
        let all = descriptors::room_for(connections.connection_limit.get());
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().max_headers(MAX_FIELDS);
        builder
            .http2()
            .max_concurrent_streams(connections.http2_stream_limit.get())
            .max_pending_accept_reset_streams(MAX_RESET)
            .max_local_error_reset_streams(MAX_FAULTS)
            .max_header_list_size(MAX_FIELD_BYTES);
        Self(Arc::new(Inner {
            limits: Limits {
                head: connections.head_timeout,
                body: connections.body_timeout,
                idle: connections.idle_timeout,
                proxies: config.trusted_proxies.clone(),
            },
            door: Door::new(all, connections.address_connection_limit.get(), metrics),
            builder,
            farewells: Arc::new(Semaphore::new(FAREWELLS)),
            metrics: metrics.clone(),
        }))
    }

    /// Takes connections until `shutdown`, and ends with the last of them.
    pub(crate) async fn run(&self, listener: TcpListener, router: Router, shutdown: &Shutdown) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shutdown.triggered() => break,
            };
            match accepted {
                Ok((stream, peer)) => self.meet(stream, peer, &router, shutdown, &connections),
                // Of that connection alone.
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "failed to accept a connection");
                    sleep(PAUSE).await;
                }
            }
        }
        drop(listener);
        connections.close();
        connections.wait().await;
    }

    fn meet(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        router: &Router,
        shutdown: &Shutdown,
        connections: &TaskTracker,
    ) {
        let ip = peer.ip().to_canonical();
        // Behind a proxy are many.
        let counted = (!self.0.limits.proxies.has(ip)).then_some(ip);
        match self.0.door.enter(counted) {
            Ok(place) => {
                let guest = Guest::new(ip, place, self.0.limits.clone(), self.0.metrics.clone());
                let served = guest.serve(self.0.builder.clone(), stream, router.clone(), shutdown.clone());
                tasks::spawn("connection", connections.track_future(served));
            }
            Err(full) => self.refuse(stream, full),
        }
    }

    /// Says so, if the peer listens.
    fn refuse(&self, stream: TcpStream, full: Full) {
        self.0.metrics.connections_refused.with_label_values(&[full.word()]).inc();
        let Ok(place) = Arc::clone(&self.0.farewells).try_acquire_owned() else { return };
        tasks::spawn("refuse a connection", async move {
            let _heard = timeout(FAREWELL, farewell(stream, full)).await;
            drop(place);
        });
    }
}

/// Reads what the peer says before it is gone: a connection that is closed with something unread is reset, and so is the answer.
async fn farewell(mut stream: TcpStream, full: Full) -> io::Result<()> {
    stream.write_all(full.answer().as_bytes()).await?;
    stream.shutdown().await?;
    let mut heard = [0; 1024];
    while stream.read(&mut heard).await? > 0 {}
    Ok(())
}

fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
