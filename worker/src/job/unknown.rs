//! Attempts that are ours without our running them: the answer to the claim never came, or PostgreSQL failed over to a standby
//! that had not heard of our finish. They end as a fault of ours, so that their jobs run again.

use drydock_database::{
    DatabaseError, attempt,
    job::{Finish, Finished},
    report::Report,
};
use drydock_domain::{AttemptId, Outcome};
use drydock_runtime::exit::chain;
use tokio::sync::mpsc;

use crate::{context::Context, spool};

/// Ends each attempt it hears of; one that cannot be ended is heard of again with the next renewal.
pub(crate) async fn end_unknown(context: Context, mut unknown: mpsc::UnboundedReceiver<AttemptId>) {
    while let Some(id) = unknown.recv().await {
        match end(&context, id).await {
            Ok(true) => {
                context.waker.wake_all();
                context.metrics.ended(Outcome::Infra);
                tracing::warn!(attempt.id = %id, "ended an attempt that is ours and that nobody runs");
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(attempt.id = %id, "failed to end an attempt: {}", chain(&error)),
        }
        context.running.settled(id);
    }
}

/// Whether it was there to be ended.
async fn end(context: &Context, id: AttemptId) -> Result<bool, DatabaseError> {
    let Some(job) = attempt::job_of(&context.database.client().await?, id).await? else {
        return Ok(false);
    };
    let text =
        "the worker does not run it: the answer to its claim, or the database's memory of its end, was lost".to_owned();
    let report = Report { detail: Some(text.clone()), errors: vec![text], ..Report::default() };
    let answer = spool::tell(&context.database, &Finish::new(job, id, Outcome::Infra, report)).await?;
    Ok(answer == Finished::Ok)
}
