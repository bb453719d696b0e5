//! Migrations wait for their locks in short turns. Everybody who comes after one that waits for an exclusive lock waits behind it, so
//! one long read would stop the whole fleet for as long as it takes.

use std::{error::Error, time::Duration};

use drydock_runtime::{Backoff, exit::chain};
use refinery::Runner;
use tokio_postgres::{Client, error::SqlState};

use crate::DatabaseError;

/// How long a turn waits for a lock, as PostgreSQL reads it.
pub(super) const TURN: &str = "SET lock_timeout = '2s'";
/// About ten minutes of turns.
pub(super) const TURNS: u32 = 120;

/// Applies what is pending, each migration in a transaction of its own; one that cannot lock its tables lets others pass, and tries
/// again.
///
/// # Errors
/// A migration fails, or its tables stay locked.
pub(super) async fn apply(client: &mut Client, runner: &Runner) -> Result<(), DatabaseError> {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
    loop {
        let Err(error) = runner.run_async(client).await else { return Ok(()) };
        if !waits_for_lock(&error) {
            return Err(DatabaseError::Migrate(error));
        }
        if backoff.tries() >= TURNS {
            return Err(DatabaseError::Locked(error));
        }
        let delay = backoff.next_delay();
        tracing::warn!(retry_ms = delay.as_millis(), "a table stays locked, so others may pass: {}", chain(&error));
        tokio::time::sleep(delay).await;
    }
}

fn waits_for_lock(error: &refinery::Error) -> bool {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let mut codes = causes.filter_map(|cause| cause.downcast_ref::<tokio_postgres::Error>()?.code());
    // One that waits for what waits for it was the one rolled back.
    codes.any(|code| [&SqlState::LOCK_NOT_AVAILABLE, &SqlState::T_R_DEADLOCK_DETECTED].contains(&code))
}
