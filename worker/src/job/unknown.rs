//! Attempts that are ours by a claim whose answer never came. Nobody runs them, so they end as a fault of ours.

use drydock_database::{job::Finish, report::Report};
use drydock_domain::{AttemptId, JobId, Outcome};
use drydock_runtime::exit::chain;
use tokio::sync::mpsc;

use crate::{context::Context, spool};

/// Ends each attempt it hears of; one that cannot be ended is heard of again with the next renewal.
pub(crate) async fn end_unknown(context: Context, mut unknown: mpsc::UnboundedReceiver<(JobId, AttemptId)>) {
    while let Some((job, id)) = unknown.recv().await {
        let text = "the answer to its claim was lost".to_owned();
        let report = Report { detail: Some(text.clone()), errors: vec![text], ..Report::default() };
        let finish = Finish::new(job, id, Outcome::Infra, report);
        match spool::tell(&context.database, &finish).await {
            Ok(answer) => {
                context.running.settled(id);
                context.waker.wake_all();
                context.metrics.ended(Outcome::Infra);
                tracing::warn!(job.id = %job, attempt.id = %id, ?answer, "ended an attempt whose claim had no answer");
            }
            Err(error) => tracing::warn!(job.id = %job, "failed to end an attempt: {}", chain(&error)),
        }
    }
}
