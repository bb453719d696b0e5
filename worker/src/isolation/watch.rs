//! The self-test again, as long as the worker runs: a level that is no longer given is not offered any more.

use std::time::Duration;

use drydock_agent::Jail;
use drydock_runtime::Shutdown;

use super::grant;
use crate::metrics::IsolationMetrics;

/// A self-test takes a second or two.
const PATIENCE: Duration = Duration::from_secs(300);

/// Tries the level every `interval`. Where it fails, the worker drains and ends with an error: started again, it is granted what it can
/// give then.
pub(crate) async fn watch(jail: Jail, interval: Duration, metrics: IsolationMetrics, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            () = shutdown.triggered() => return,
        }
        let tried = jail.clone();
        let trial = tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(move || grant::again(&tried))).await;
        let outcome = match trial {
            Ok(Ok(trial)) => trial.outcome,
            Ok(Err(error)) => Err(format!("its self-test broke off: {error}")),
            Err(_) => Err(format!("its self-test did not end in {} s", PATIENCE.as_secs())),
        };
        if let Err(reason) = outcome {
            metrics.failed.inc();
            tracing::error!(level = %jail.level, "the walls around jobs do not hold: {reason}; this worker takes no more jobs");
            shutdown.fail();
            return;
        }
        metrics.passed.inc();
    }
}
