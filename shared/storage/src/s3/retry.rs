//! Trying again: which failures are worth it, how often, and how long to wait between.

use std::{future::Future, time::Duration};

use rand::RngExt as _;

use crate::{StorageError, StorageErrorKind};

/// Tries of one request, the first included.
const TRIES: u32 = 5;
/// The first wait is drawn from zero to this, each further from twice as much.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// No wait is longer.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Runs `request` until it succeeds, fails for good or has been tried [`TRIES`] times. `on_retry` is told before each
/// further try.
pub(super) async fn retry<T, F>(mut request: impl FnMut() -> F, on_retry: impl Fn()) -> Result<T, StorageError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    let mut tries = 1;
    loop {
        match request().await {
            Err(error) if error.kind() == StorageErrorKind::Unavailable && tries < TRIES => {
                on_retry();
                tokio::time::sleep(full_jitter(tries)).await;
                tries += 1;
            }
            result => return result,
        }
    }
}

/// "Full jitter" of <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.
fn full_jitter(tries: u32) -> Duration {
    let ceiling = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(tries - 1)).min(LONGEST_WAIT);
    rand::rng().random_range(Duration::ZERO..=ceiling)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn unavailable() -> StorageError {
        StorageError::Timeout { operation: "test" }
    }

    #[tokio::test(start_paused = true)]
    async fn tries_again_only_what_may_pass() {
        let calls = Cell::new(0);
        let retries = Cell::new(0);
        let count = |fail_until: u32, error: fn() -> StorageError| {
            calls.set(calls.get() + 1);
            let result = if calls.get() <= fail_until { Err(error()) } else { Ok(()) };
            async move { result }
        };
        retry(|| count(2, unavailable), || retries.set(retries.get() + 1)).await.unwrap();
        assert_eq!((calls.get(), retries.get()), (3, 2));

        calls.set(0);
        retry(|| count(9, unavailable), || ()).await.unwrap_err();
        assert_eq!(calls.get(), TRIES);

        calls.set(0);
        retry(|| count(9, || StorageError::NotFound { key: String::new() }), || ()).await.unwrap_err();
        assert_eq!(calls.get(), 1);
    }

    #[test]
    fn waits_are_bounded() {
        for tries in 1..100 {
            assert!(full_jitter(tries) <= LONGEST_WAIT);
        }
    }
}
