//! What this worker's node has is told to the database, so that jobs come to where their base version is. Only what changed
//! is told, soon after a tree came and within [`PERIOD`] after one went.

use std::{collections::HashSet, time::Duration};

use drydock_database::{DatabaseError, worker};
use drydock_domain::{Digest, TenantId, WorkerId};
use drydock_runtime::{Shutdown, exit::chain};

use crate::{context::Context, lease::Identity};

/// Between two looks that nothing asked for.
const PERIOD: Duration = Duration::from_secs(5);
/// Least time between two looks: trees that come together are told together.
const PAUSE: Duration = Duration::from_millis(100);

type Trees = HashSet<(TenantId, Digest)>;

/// Tells until `shutdown` is forced.
pub(crate) async fn advertise(context: Context, identity: Identity, shutdown: Shutdown) {
    let (mut told, mut teller) = (Trees::new(), *identity.borrow());
    loop {
        let worker = *identity.borrow();
        // A new worker has told nothing.
        if std::mem::replace(&mut teller, worker) != worker {
            told.clear();
        }
        match tell(&context, worker, &told).await {
            Ok(now) => told = now,
            Err(error) => tracing::debug!("failed to tell which trees are here: {}", chain(&error)),
        }
        tokio::select! {
            () = shutdown.forced() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
        tokio::select! {
            () = shutdown.forced() => return,
            () = context.materializer.cache().came() => {}
            () = tokio::time::sleep(PERIOD) => {}
        }
    }
}

/// Answers what the database knows now.
async fn tell(context: &Context, worker: WorkerId, told: &Trees) -> Result<Trees, DatabaseError> {
    let held = context.materializer.cache().held();
    let (came, went): (Vec<_>, Vec<_>) =
        (held.difference(told).copied().collect(), told.difference(&held).copied().collect());
    if !came.is_empty() || !went.is_empty() {
        worker::advertise(&context.database.client().await?, worker, &came, &went).await?;
    }
    Ok(held)
}
