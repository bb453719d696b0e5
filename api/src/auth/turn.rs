//! `Turn`: of many that want the same read, one reads at a time. Who waited while it failed gets its failure: were they to try one after
//! another, an outage would keep the last of them for as many timeouts as there are before it.

use std::future::Future;

use tokio::{sync::Mutex, time::Instant};

use crate::error::ApiError;

/// The turn to read, and how the last read failed.
#[derive(Default)]
pub(super) struct Turn(Mutex<Option<(Instant, ApiError)>>);

impl Turn {
    /// What is `known` by the time it is this one's turn, else what `read` gives.
    ///
    /// # Errors
    /// That of `read`, or of one that ended meanwhile.
    pub(super) async fn take<T>(
        &self,
        known: impl FnOnce() -> Option<T>,
        read: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let came = Instant::now();
        let mut failed = self.0.lock().await;
        if let Some(known) = known() {
            return Ok(known);
        }
        if let Some((at, error)) = &*failed
            && *at >= came
        {
            return Err(error.again());
        }
        let read = read.await;
        *failed = read.as_ref().err().map(|error| (Instant::now(), error.again()));
        read
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::join_all;
    use tokio::sync::Barrier;

    use super::*;

    const AWAY: ApiError = ApiError::Unavailable { detail: "away", cause: None };

    #[tokio::test]
    async fn one_failure_is_that_of_all_who_waited() {
        let (turn, reads, all_wait) = (Turn::default(), AtomicU32::new(0), Barrier::new(10));
        let one = async || {
            let read = async {
                reads.fetch_add(1, Ordering::Relaxed);
                // The others came before this, and wait.
                tokio::task::yield_now().await;
                Err::<(), _>(AWAY)
            };
            all_wait.wait().await;
            turn.take(|| None, read).await
        };
        assert!(join_all((0..10).map(|_| one())).await.iter().all(Result::is_err));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
        assert_eq!(turn.take(|| None, async { Ok(7) }).await.ok(), Some(7), "who comes later tries again");
    }

    #[tokio::test]
    async fn what_became_known_is_not_read_again() {
        let turn = Turn::default();
        let read = async { unreachable!("it is known") };
        assert_eq!(turn.take(|| Some(7), read).await.ok(), Some(7));
    }
}
