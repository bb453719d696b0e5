//! The one driver of background loops: a period, a wake-up, a stop. A loop's function takes no hint about what changed, is
//! idempotent and bounded, so that a lost wake-up costs one period and a double one costs nothing.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::sync::Notify;

use crate::{Backoff, Shutdown};

/// When a loop runs.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// What the loop is called in logs.
    pub name: &'static str,
    /// Longest time between two runs.
    pub period: Duration,
    /// Shortest time between two runs, however often it is woken.
    pub pause: Duration,
    /// Runs at once when notified.
    pub wake: Arc<Notify>,
}

/// Whether there was so much work that the next run should follow at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for the period or a wake-up.
    Wait,
    /// The same, but at most this long.
    Within(Duration),
    /// Run again now.
    Again,
}

/// Runs `step` until `shutdown`. An error is logged and followed by a back-off of up to ten periods (at most 10 s).
pub async fn run<F, Fut, E>(schedule: Schedule, shutdown: Shutdown, mut step: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Next, E>>,
    E: std::error::Error + 'static,
{
    let mut backoff = Backoff::new(schedule.period, (schedule.period * 10).min(Duration::from_secs(10)));
    while !shutdown.is_triggered() {
        let mut period = schedule.period;
        let pause = match step().await {
            Ok(Next::Again) => {
                backoff.reset();
                continue;
            }
            Ok(Next::Wait) => {
                backoff.reset();
                None
            }
            Ok(Next::Within(most)) => {
                backoff.reset();
                period = period.min(most);
                None
            }
            Err(error) => {
                let delay = backoff.next_delay();
                tracing::warn!(
                    task = schedule.name,
                    retry_ms = delay.as_millis(),
                    "failed to run: {}",
                    crate::exit::chain(&error)
                );
                Some(delay)
            }
        };
        if pause.is_none() && !schedule.pause.is_zero() {
            tokio::select! {
                () = shutdown.triggered() => return,
                () = tokio::time::sleep(schedule.pause) => {}
            }
        }
        tokio::select! {
            () = shutdown.triggered() => return,
            // After a failure wake-ups are not heeded: whoever sends them may be why it fails.
            () = schedule.wake.notified(), if pause.is_none() => {}
            () = tokio::time::sleep(pause.unwrap_or(period)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn runs_on_period_and_on_wake() {
        let (runs, wake, shutdown) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()), Shutdown::new());
        let schedule =
            Schedule { name: "test", period: Duration::from_secs(10), pause: Duration::ZERO, wake: wake.clone() };
        let counted = runs.clone();
        let task = crate::tasks::spawn(
            "test",
            run(schedule, shutdown.clone(), move || {
                counted.fetch_add(1, Ordering::SeqCst);
                async { Ok::<_, std::io::Error>(Next::Wait) }
            }),
        );
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 3);
        wake.notify_one();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(runs.load(Ordering::SeqCst), 4);
        shutdown.trigger();
        task.await.unwrap();
    }
}
