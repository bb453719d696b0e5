//! Telling the database how an attempt ended, through whatever outage there is.

use std::{sync::Arc, time::Duration};

use drydock_database::{
    Database, DatabaseError,
    job::{self, Finish, Finished},
};
use drydock_runtime::{Backoff, exit::chain};

use crate::{
    context::Context,
    grouped::Call,
    spool::{self, Spool},
};

/// What the database takes within this needs no copy on disk.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Finishes of attempts that end at the same time.
#[derive(Clone, Debug)]
pub(crate) struct Finishing(pub(crate) Database);

impl Call for Finishing {
    type Request = Arc<Finish>;
    type Answer = Finished;

    async fn together(&self, group: &[Arc<Finish>]) -> Result<Vec<Option<Finished>>, DatabaseError> {
        let group: Vec<&Finish> = group.iter().map(Arc::as_ref).collect();
        job::finish_group(&self.0.client().await?, &group).await
    }

    async fn alone(&self, finish: &Arc<Finish>) -> Result<Finished, DatabaseError> {
        spool::tell(&self.0, finish).await
    }
}

/// Tells once. Those with a tree go alone (see [`job::finish_group`]).
async fn tell_once(context: &Context, finish: &Arc<Finish>) -> Result<Finished, DatabaseError> {
    if finish.tree.is_some() {
        return spool::tell(&context.database, finish).await;
    }
    context.finishes.ask(finish.clone()).await
}

/// Asks until one of its answers comes. A result that is not taken at once is kept on disk meanwhile.
pub(super) async fn tell(context: &Context, finish: &Arc<Finish>) -> Result<Finished, DatabaseError> {
    let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
    let mut kept = false;
    let answer = loop {
        let mut telling = std::pin::pin!(tell_once(context, finish));
        let answer = match tokio::time::timeout(AT_ONCE, &mut telling).await {
            Ok(answer) => answer,
            Err(_) => {
                kept = kept || keep(context, finish).await;
                telling.await
            }
        };
        match answer {
            Err(error) if error.is_unavailable() => {
                kept = kept || keep(context, finish).await;
                context.metrics.finish_retries.inc();
                tracing::warn!("failed to finish, trying again: {}", chain(&error));
                tokio::time::sleep(backoff.next_delay()).await;
            }
            answer => break answer,
        }
    };
    // What the database refused is kept: the next worker on this directory tells it, or puts it aside.
    if kept && answer.is_ok() {
        let (spool, attempt) = (Spool::of(&context.scratch), finish.attempt);
        let forgotten = tokio::task::spawn_blocking(move || spool.forget(attempt)).await;
        if let Ok(Err(error)) = forgotten {
            tracing::warn!("failed to remove a result that was told: {}", chain(&error));
        }
    }
    answer
}

async fn keep(context: &Context, finish: &Arc<Finish>) -> bool {
    let (spool, finish) = (Spool::of(&context.scratch), finish.clone());
    match tokio::task::spawn_blocking(move || spool.keep(&finish)).await {
        Ok(Ok(())) => {
            context.metrics.outages.results_kept.inc();
            true
        }
        Ok(Err(error)) => {
            tracing::error!("failed to keep a result on disk: {}", chain(&error));
            false
        }
        Err(_) => false,
    }
}
