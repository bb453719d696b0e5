//! Spawning: every task has a name, carries the span it was spawned in, and reports its own panic.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Spawns `future` under the current span.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn spawn<F>(name: &'static str, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(future.instrument(tracing::debug_span!("task", task = name).or_current()))
}

/// Spawns a task that must live as long as the process: its end, by panic or return, is an error unless `shutdown` began.
pub fn spawn_critical<F>(name: &'static str, shutdown: &crate::Shutdown, future: F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (task, shutdown) = (spawn(name, future), shutdown.clone());
    spawn("watch", async move {
        let ended = task.await;
        if shutdown.is_triggered() {
            return;
        }
        match ended {
            Ok(()) => tracing::error!(task = name, "task ended early, stopping the process"),
            Err(error) => {
                tracing::error!(task = name, %error, "task panicked, stopping the process")
            }
        }
        shutdown.fail();
    });
}
