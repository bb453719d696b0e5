//! Waiting at start for servers that may come up later than the service that needs them.

use std::{error::Error, future::Future, time::Duration};

use tokio::time::Instant;

use crate::{Backoff, exit::chain};

/// Asks until `check` is well, for at most `patience`. `what` is named in the log; a fault that `passes` does not let pass ends
/// the wait at once.
///
/// # Errors
/// The last fault.
pub async fn wait_for<E, F>(
    what: &str,
    patience: Duration,
    passes: fn(&E) -> bool,
    check: impl Fn() -> F,
) -> Result<(), E>
where
    E: Error + 'static,
    F: Future<Output = Result<(), E>>,
{
    let deadline = Instant::now() + patience;
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        let Err(error) = check().await else { return Ok(()) };
        let delay = backoff.next_delay().max(Duration::from_millis(50));
        if !passes(&error) || Instant::now() + delay >= deadline {
            return Err(error);
        }
        tracing::warn!(retry_ms = delay.as_millis(), "waiting for {what}: {}", chain(&error));
        tokio::time::sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, io};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn asked(kind: io::ErrorKind, well_after: u32) -> (u32, bool) {
        let times = Cell::new(0);
        let check = || async {
            times.set(times.get() + 1);
            if times.get() > well_after { Ok(()) } else { Err(io::Error::from(kind)) }
        };
        let waited = wait_for("a test", PATIENCE, |error| error.kind() != io::ErrorKind::PermissionDenied, check).await;
        (times.get(), waited.is_ok())
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_asked_again_until_patience_ends() {
        assert_eq!(asked(io::ErrorKind::ConnectionRefused, 0).await, (1, true));
        assert_eq!(asked(io::ErrorKind::ConnectionRefused, 5).await, (6, true));
        assert_eq!(asked(io::ErrorKind::PermissionDenied, 5).await, (1, false));
        let began = Instant::now();
        let (times, well) = asked(io::ErrorKind::ConnectionRefused, u32::MAX).await;
        assert!(times > 10 && !well && began.elapsed() <= PATIENCE, "{times} times in {:?}", began.elapsed());
    }
}
