//! Streams that stay open: one producer task behind a small buffer, so that a slow client slows its own reading of the
//! database and nothing else. Ends when the client goes or may ask no more, when the service stops, or with an `end` frame.

mod frame;
mod resume;

use std::{future::Future, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use drydock_runtime::{Shutdown, tasks};
use futures_util::stream;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::Instant,
};

pub(crate) use self::{
    frame::{Format, Frame, StreamLine, media},
    resume::resume_after,
};
use crate::{auth::Caller, error::ApiError, metrics::ApiMetrics, state::App};

/// Frames made ahead of the client.
const AHEAD: usize = 8;
/// Shorter than the idle limits of common proxies.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(15);

/// The client is gone or may ask no more, or the service stops: the producer should end.
#[derive(Debug)]
pub(crate) struct Closed;

/// Where a producer puts its frames.
pub(crate) struct Outlet {
    sender: mpsc::Sender<Bytes>,
    format: Format,
    shutdown: Shutdown,
    quiet_until: Instant,
    listener: Listener,
    _place: Place,
}

/// Who asked, and when it is to be looked again whether they still may: a stream outlives the key that opened it.
struct Listener {
    app: Arc<App>,
    caller: Caller,
    look_at: Instant,
}

impl Listener {
    /// Looks, where it is time to.
    async fn check(&mut self) -> Result<(), Closed> {
        if Instant::now() < self.look_at {
            return Ok(());
        }
        self.look_at = Instant::now() + self.app.config.key_cache;
        if self.caller.is_still_let_in(&self.app).await { Ok(()) } else { Err(Closed) }
    }
}

/// An open stream, as the cap and the gauge count it.
pub(crate) struct Place {
    metrics: ApiMetrics,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.metrics.streams.dec();
    }
}

impl Outlet {
    /// Sends one frame, waiting for a slow client.
    pub(crate) async fn send(&mut self, frame: &Frame) -> Result<(), Closed> {
        let bytes = self.format.encode(frame);
        if bytes.is_empty() {
            return Ok(());
        }
        self.listener.check().await?;
        self.quiet_until = Instant::now() + HEARTBEAT;
        tokio::select! {
            sent = self.sender.send(bytes) => sent.map_err(|_| Closed),
            () = self.shutdown.triggered() => Err(Closed),
        }
    }

    /// Waits until `news` resolves, keeping the connection alive meanwhile.
    pub(crate) async fn wait(&mut self, news: impl Future<Output = ()>) -> Result<(), Closed> {
        let mut news = std::pin::pin!(news);
        loop {
            tokio::select! {
                () = &mut news => return Ok(()),
                () = self.sender.closed() => return Err(Closed),
                () = self.shutdown.triggered() => return Err(Closed),
                () = tokio::time::sleep_until(self.listener.look_at) => self.listener.check().await?,
                () = tokio::time::sleep_until(self.quiet_until) => self.send(&Frame::Heartbeat).await?,
            }
        }
    }
}

/// A place for a stream, or a refusal when all are taken: for who does something before it opens one.
pub(crate) fn place(app: &App) -> Result<Place, ApiError> {
    let busy = |_| ApiError::Unavailable { detail: "Too many open streams", cause: None };
    let permit = Arc::clone(&app.streams).try_acquire_owned().map_err(busy)?;
    app.metrics.streams.inc();
    Ok(Place { metrics: app.metrics.clone(), _permit: permit })
}

/// Opens a stream that `produce` fills, or refuses when all places are taken.
pub(crate) fn open<F, Fut>(app: &Arc<App>, caller: Caller, format: Format, produce: F) -> Result<Response, ApiError>
where
    F: FnOnce(Outlet) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    Ok(open_at(place(app)?, app, caller, format, produce))
}

/// Opens a stream that `produce` fills.
pub(crate) fn open_at<F, Fut>(place: Place, app: &Arc<App>, caller: Caller, format: Format, produce: F) -> Response
where
    F: FnOnce(Outlet) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    let quiet_until = Instant::now() + HEARTBEAT;
    let look_at = Instant::now() + app.config.key_cache;
    let listener = Listener { app: Arc::clone(app), caller, look_at };
    let outlet = Outlet { sender, format, shutdown: app.shutdown.clone(), quiet_until, listener, _place: place };
    let producer = produce(outlet);
    tasks::spawn("stream", producer);
    let head = stream::iter(Some(Ok::<_, std::convert::Infallible>(format.encode(&Frame::Retry))));
    let body = stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|bytes| (Ok(bytes), receiver)));
    let body = Body::from_stream(stream::StreamExt::chain(head, body));
    (headers(format), body).into_response()
}

fn headers(format: Format) -> HeaderMap {
    let fixed = |value| HeaderValue::from_static(value);
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, fixed(format.content_type()));
    headers.insert(header::CACHE_CONTROL, fixed("no-store"));
    headers.insert(header::VARY, fixed("accept"));
    // nginx and what descends from it would buffer the stream.
    headers.insert("x-accel-buffering", fixed("no"));
    headers
}
