//! Waiting for facts, never for time.

use std::{future::Future, time::Duration};

/// How often a fact is asked for.
const STEP: Duration = Duration::from_millis(20);

/// Awaits until `fact` gives a value; panics with `what` after `deadline`.
pub async fn until<T, F, Fut>(what: &str, deadline: Duration, mut fact: F) -> T
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let end = tokio::time::Instant::now() + deadline;
    loop {
        if let Some(value) = fact().await {
            return value;
        }
        assert!(tokio::time::Instant::now() < end, "gave up after {deadline:?} waiting until {what}");
        tokio::time::sleep(STEP).await;
    }
}
