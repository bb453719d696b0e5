//! Orderly stop: one token that everything watches, set by SIGTERM, SIGINT or a failed critical task.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A cheap-to-clone handle on the process's end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    /// Stop taking work, finish what runs.
    drain: CancellationToken,
    /// Stop now (second signal).
    force: CancellationToken,
    failed: Arc<AtomicBool>,
}

impl Shutdown {
    /// A handle not tied to signals, for tests.
    pub fn new() -> Self {
        Self::default()
    }

    /// A handle that SIGTERM and SIGINT trigger; a second signal forces.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn on_signals() -> std::io::Result<Self> {
        let shutdown = Self::new();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let told = shutdown.clone();
        crate::tasks::spawn("signals", async move {
            for step in [Self::trigger as fn(&Self), Self::force] {
                tokio::select! {
                    _ = term.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
                    _ = int.recv() => tracing::info!(signal = "SIGINT", "stopping"),
                }
                step(&told);
            }
        });
        Ok(shutdown)
    }

    /// Starts the orderly stop.
    pub fn trigger(&self) {
        self.drain.cancel();
    }

    /// Ends the patience: what still runs is cut short.
    pub fn force(&self) {
        self.drain.cancel();
        self.force.cancel();
    }

    /// Starts the orderly stop because something essential broke; the process exits 1.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        self.trigger();
    }

    /// Whether the stop has begun.
    pub fn is_triggered(&self) -> bool {
        self.drain.is_cancelled()
    }

    /// Whether the stop was caused by a failure.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// Resolves when the stop begins.
    pub async fn triggered(&self) {
        self.drain.cancelled().await;
    }

    /// Resolves when the stop is forced.
    pub async fn forced(&self) {
        self.force.cancelled().await;
    }

    /// The token behind [`Self::triggered`].
    pub fn token(&self) -> CancellationToken {
        self.drain.clone()
    }
}
