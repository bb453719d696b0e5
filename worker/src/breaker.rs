//! A worker that cannot read object storage fails every job it takes. After a few in a row it takes none, asks storage again
//! and again, and goes on when it answers.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use drydock_runtime::{Backoff, Shutdown, exit::chain};
use drydock_storage::{Storage, StorageError};
use prometheus::IntGauge;
use tokio::sync::watch;

/// Failures in a row that open it.
const FAILURES: u32 = 3;

/// Whether storage can be relied on; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Breaker {
    failures: Arc<AtomicU32>,
    /// Why no jobs are taken, while that is so.
    open: Arc<watch::Sender<Option<String>>>,
    shown: IntGauge,
}

impl Breaker {
    /// Closed; `shown` is 1 while it is open.
    pub(crate) fn new(shown: IntGauge) -> Self {
        Self { failures: Arc::default(), open: Arc::new(watch::Sender::new(None)), shown }
    }

    /// Storage failed an attempt.
    pub(crate) fn failed(&self, why: &str) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 < FAILURES || self.reason().is_some() {
            return;
        }
        tracing::error!("taking no jobs, object storage failed {FAILURES} in a row: {why}");
        self.open.send_replace(Some(why.to_owned()));
        self.shown.set(1);
    }

    /// Storage worked.
    pub(crate) fn worked(&self) {
        self.failures.store(0, Ordering::Relaxed);
        if self.open.send_replace(None).is_some() {
            tracing::info!("object storage answers again: taking jobs");
            self.shown.set(0);
        }
    }

    /// Why no jobs are taken; for `/readyz`.
    pub(crate) fn reason(&self) -> Option<String> {
        self.open.borrow().clone()
    }

    /// Resolves when jobs are taken.
    pub(crate) async fn closed(&self) {
        drop(self.open.subscribe().wait_for(Option::is_none).await);
    }

    /// Resolves when none are.
    pub(crate) async fn opened(&self) {
        drop(self.open.subscribe().wait_for(Option::is_some).await);
    }

    /// Asks storage while it is open, until `shutdown`.
    pub(crate) async fn probe(self, storage: Storage, pause: Duration, shutdown: Shutdown) {
        tokio::select! {
            () = shutdown.triggered() => {}
            () = self.probe_with(pause, || storage.check()) => {}
        }
    }

    async fn probe_with<F>(&self, pause: Duration, mut ask: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), StorageError>>,
    {
        loop {
            self.opened().await;
            let mut backoff = Backoff::new(pause, pause * 60);
            while self.reason().is_some() {
                tokio::time::sleep(pause / 2 + backoff.next_delay()).await;
                match ask().await {
                    Ok(()) => self.worked(),
                    Err(error) => tracing::warn!(tries = backoff.tries(), "still no jobs: {}", chain(&error)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(IntGauge::new("open", "open").unwrap())
    }

    #[test]
    fn t48_only_failures_in_a_row_open_it() {
        let breaker = breaker();
        for _ in 0..3 {
            breaker.failed("gone");
            breaker.failed("gone");
            breaker.worked();
        }
        assert_eq!((breaker.reason(), breaker.shown.get()), (None, 0));
        (0..3).for_each(|_| breaker.failed("gone"));
        assert_eq!((breaker.reason().as_deref(), breaker.shown.get()), (Some("gone"), 1));
        breaker.worked();
        assert_eq!((breaker.reason(), breaker.shown.get()), (None, 0));
    }

    #[tokio::test]
    async fn t48_it_closes_when_storage_answers_and_not_before() {
        let (breaker, asked) = (breaker(), Cell::new(0));
        (0..3).for_each(|_| breaker.failed("gone"));
        let ask = || {
            asked.set(asked.get() + 1);
            let answer = if asked.get() < 4 { Err(StorageError::Timeout { operation: "ask" }) } else { Ok(()) };
            async { answer }
        };
        tokio::select! {
            () = breaker.probe_with(Duration::from_millis(2), ask) => {}
            () = breaker.closed() => {}
        }
        assert_eq!(asked.get(), 4);
    }
}
