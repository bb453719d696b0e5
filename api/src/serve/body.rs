//! Bodies that are not waited for for ever. `tower_http::timeout::TimeoutBody` looks at the clock before it looks for data, and hides that a
//! body is empty, which some routes ask.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Sleep, sleep};

use super::activity::Running;

/// Whether a request's body has not come in time; travels with the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Late(Arc<AtomicBool>);

impl Late {
    /// Notes it.
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was.
    pub(crate) fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Nothing of a body came for too long.
#[derive(Debug, thiserror::Error)]
#[error("the body did not go on within {0:?}")]
pub(super) struct Stalled(Duration);

/// A request's body, each part of which is to come within a time.
pub(super) struct Asked {
    body: Incoming,
    limit: Duration,
    waits: Option<Pin<Box<Sleep>>>,
    late: Late,
}

impl Asked {
    pub(super) fn new(body: Incoming, limit: Duration, late: Late) -> Self {
        Self { body, limit, waits: None, late }
    }
}

impl Body for Asked {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.waits = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let limit = self.limit;
        let over = self.waits.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(cx);
        over.map(|()| {
            self.late.note();
            Some(Err(Stalled(limit).into()))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// An answer's body, with which the request ends.
pub(super) struct Answered<B> {
    pub(super) body: B,
    pub(super) _running: Running,
}

impl<B: Body + Unpin> Body for Answered<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
