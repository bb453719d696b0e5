//! Taking back the attempts of workers that are over. A lease that ran out while the database was away says nothing about
//! its worker, so nobody is declared over before this leader and PostgreSQL have both been up for a whole lease and its grace.

use drydock_database::{DatabaseError, attempt, worker};
use drydock_runtime::periodic::Next;

use crate::context::{Context, Lead};

const BATCH: i64 = 100;

pub(crate) async fn run_once(context: Context) -> Result<Next, DatabaseError> {
    let Some(lead) = context.lead() else {
        return Ok(Next::Wait);
    };
    let client = context.database.client().await?;
    let grace = context.config.lease_grace;
    if leases_mean_something(&context, lead).await? {
        let ended = worker::end_expired(&client, grace).await?;
        if ended > 0 {
            tracing::warn!(workers = ended, "workers let their lease run out: taking back what they ran");
        }
    }
    let orphaned = attempt::orphaned(&client, BATCH).await?;
    for attempt in &orphaned {
        let answer = attempt::reap(&client, *attempt, grace).await?;
        tracing::info!(attempt = %attempt, answer, "took back an attempt");
        context.metrics.reaped.with_label_values(&[&answer]).inc();
    }
    if !orphaned.is_empty() {
        context.work.notify_one();
        context.waker.wake_all();
    }
    Ok(if orphaned.len() >= usize::try_from(BATCH).unwrap_or(usize::MAX) { Next::Again } else { Next::Wait })
}

async fn leases_mean_something(context: &Context, lead: Lead) -> Result<bool, DatabaseError> {
    let amnesty = context.config.lease_ttl + context.config.lease_grace;
    if lead.since.elapsed() < amnesty {
        return Ok(false);
    }
    Ok(worker::database_up_for(&context.database.client().await?).await? >= amnesty)
}
