//! `Activity`: what a connection is doing, as far as its limits go; and the socket that tells it.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::http::Version;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::Instant,
};

use super::door::Place;

/// What it waits for while no request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The rest of a head, or the first of them.
    Head,
    /// Whatever comes next.
    Next,
}

#[derive(Debug)]
pub(super) struct Activity(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Requests whose answers have not ended.
    running: usize,
    wait: Wait,
    since: Instant,
    /// Whether it is HTTP/2: what comes there between requests need not be a head.
    multiplexed: bool,
}

/// A request that runs; ends when dropped.
#[derive(Debug)]
pub(super) struct Running(Arc<Activity>);

impl Activity {
    /// A connection that was just made, and is to say something soon.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { running: 0, wait: Wait::Head, since: Instant::now(), multiplexed: false }))
    }

    /// A head is there.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> Running {
        let mut state = self.state();
        state.running += 1;
        state.multiplexed |= version == Version::HTTP_2;
        drop(state);
        Running(Arc::clone(self))
    }

    /// What it waits for, and since when; none while a request runs, which may take as long as it takes.
    pub(super) fn waits(&self) -> Option<(Wait, Duration)> {
        let state = self.state();
        (state.running == 0).then(|| (state.wait, state.since.elapsed()))
    }

    fn heard(&self) {
        let mut state = self.state();
        if state.running == 0 && state.wait == Wait::Next && !state.multiplexed {
            state.wait = Wait::Head;
            state.since = Instant::now();
        }
    }

    /// The end of an answer may be on its way for long after nobody works on it.
    fn said(&self) {
        let mut state = self.state();
        if state.running == 0 && state.wait == Wait::Next && !state.multiplexed {
            state.since = Instant::now();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.running -= 1;
        if state.running == 0 {
            state.wait = Wait::Next;
            state.since = Instant::now();
        }
    }
}

/// A socket that tells what passes through it, and has the connection's place: a WebSocket keeps both.
pub(super) struct Watched {
    pub(super) socket: TcpStream,
    pub(super) activity: Arc<Activity>,
    pub(super) _place: Place,
}

impl AsyncRead for Watched {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.activity.heard();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, bytes))?;
        self.activity.said();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write_vectored(cx, parts))?;
        self.activity.said();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_head_has_its_own_time_and_a_request_as_long_as_it_takes() {
        let activity = Arc::new(Activity::new());
        advance(S).await;
        activity.heard();
        assert_eq!(activity.waits(), Some((Wait::Head, S)), "byte after byte is no progress");
        let (one, other) = (activity.begin(Version::HTTP_11), activity.begin(Version::HTTP_11));
        advance(S).await;
        drop(one);
        assert_eq!(activity.waits(), None);
        drop(other);
        advance(S).await;
        assert_eq!(activity.waits(), Some((Wait::Next, S)));
        activity.said();
        assert_eq!(activity.waits(), Some((Wait::Next, Duration::ZERO)), "the answer is still on its way");
        advance(S).await;
        activity.heard();
        assert_eq!(activity.waits(), Some((Wait::Head, Duration::ZERO)));
    }

    #[tokio::test(start_paused = true)]
    async fn over_http2_nothing_between_requests_keeps_a_connection() {
        let activity = Arc::new(Activity::new());
        drop(activity.begin(Version::HTTP_2));
        advance(S).await;
        activity.heard();
        activity.said();
        assert_eq!(activity.waits(), Some((Wait::Next, S)));
    }
}
