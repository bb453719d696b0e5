//! Claiming: a ticket becomes an attempt of this worker, in one transaction with others that arrive meanwhile.

use std::time::Duration;

use drydock_database::{
    Database, DatabaseError,
    job::{self, Asking, Claimed},
};
use drydock_domain::{AttemptId, Ticket};
use drydock_runtime::{Backoff, Shutdown, exit::chain};
use tokio::time::Instant;

use crate::{
    grouped::{Call, Grouped},
    lease::Identity,
};

/// How long a claim is tried before the ticket is given back to the broker by closing the channel.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same while this worker stops.
const LAST_PATIENCE: Duration = Duration::from_secs(2);

/// Asks for the jobs of tickets.
pub(crate) struct Claims {
    grouped: Grouped<Claiming>,
    shutdown: Shutdown,
}

#[derive(Clone, Debug)]
struct Claiming {
    database: Database,
    identity: Identity,
}

impl Call for Claiming {
    type Request = Asking;
    type Answer = Claimed;

    async fn together(&self, group: &[Asking]) -> Result<Vec<Option<Claimed>>, DatabaseError> {
        let worker = *self.identity.borrow();
        job::claim_group(&self.database.client().await?, worker, group).await
    }

    async fn alone(&self, asking: &Asking) -> Result<Claimed, DatabaseError> {
        let worker = *self.identity.borrow();
        let Asking { ticket, attempt, workspace_path } = asking;
        job::claim(&self.database.client().await?, ticket, *attempt, worker, workspace_path).await
    }
}

impl Claims {
    pub(crate) fn start(database: &Database, slots: u16, identity: &Identity, shutdown: &Shutdown) -> Self {
        let claiming = Claiming { database: database.clone(), identity: identity.clone() };
        Self { grouped: Grouped::start("claim", slots, claiming), shutdown: shutdown.clone() }
    }

    /// Asks until the database answers; the attempt's id makes a repeated question harmless.
    ///
    /// # Errors
    /// It did not answer for long. Where the job was given to this worker all the same, a renewal will say so.
    pub(crate) async fn claim(&self, ticket: &Ticket, id: AttemptId, path: &str) -> Result<Claimed, DatabaseError> {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(2));
        let asked_at = Instant::now();
        let asking = Asking { ticket: ticket.clone(), attempt: id, workspace_path: path.to_owned() };
        loop {
            match self.grouped.ask(asking.clone()).await {
                Err(error) if error.is_unavailable() && asked_at.elapsed() < self.patience() => {
                    tracing::warn!(job = %ticket.job, "failed to claim, trying again: {}", chain(&error));
                    tokio::time::sleep(backoff.next_delay()).await;
                }
                answer => return answer,
            }
        }
    }

    fn patience(&self) -> Duration {
        if self.shutdown.is_triggered() { LAST_PATIENCE } else { PATIENCE }
    }
}
