//! Finish: one transaction ends the attempt. Asked until one of its answers comes, because a lost reply tells nothing.

use std::sync::Arc;

use drydock_database::{
    job::{Finish, Finished},
    report::{Report, StoredTree},
};
use drydock_domain::{Outcome, RelativePath};
use drydock_runtime::exit::chain;

use super::{Attempt, error::JobError, execute::Executed, prepare::Prepared, push::Pushed, tell::tell};
use crate::{log::Rest, workspace::Stored};

/// Paths listed per job and kind of change; the diff of the versions has all.
const LISTED: usize = 10_000;
/// Bytes of the agent's last message that are kept.
const OUTPUT: usize = 4096;

/// How an attempt ended, ready to be told.
pub(super) struct Ended {
    outcome: Outcome,
    report: Report,
    tree: Option<StoredTree>,
    next: Option<Stored>,
    log: Rest,
}

impl Ended {
    /// The agent ran to an end.
    pub(super) fn new(prepared: &Prepared, executed: Executed, pushed: Option<Pushed>, log: Rest) -> Self {
        let mut result = executed.result;
        let (mut tree, mut next, mut push_s) = (None, None, None);
        if let Some(pushed) = pushed {
            // The fleet's own list wins over the agent's claims.
            result.created_files = listed(&pushed.changes.created);
            result.modified_files = listed(&pushed.changes.modified);
            result.deleted_files = listed(&pushed.changes.deleted);
            (tree, next, push_s) = (pushed.tree, pushed.next, Some(pushed.seconds));
        }
        let report = Report {
            detail: executed.detail,
            summary: Some(result.summary.clone()).filter(|summary| !summary.is_empty()),
            output: executed.last_message.map(|message| cut(message, OUTPUT)),
            created_files: result.created_files.clone(),
            modified_files: result.modified_files.clone(),
            deleted_files: result.deleted_files.clone(),
            errors: result.errors.clone(),
            preview_url: result.preview_url.clone(),
            request: serde_json::to_value(&executed.request).ok(),
            result: serde_json::to_value(&result).ok(),
            agent_start_s: Some(executed.start_s),
            materialize_s: Some(prepared.seconds),
            run_s: Some(executed.seconds),
            push_s,
            log_bytes: log.bytes,
            tokens: result.usage,
        };
        Self { outcome: executed.outcome, report, tree, next, log }
    }

    /// We could not see it through.
    pub(super) async fn by_fault(attempt: &Attempt, error: &JobError) -> Self {
        let (outcome, text) = (error.outcome(), chain(error));
        if outcome == Outcome::Infra {
            tracing::error!("failed to run the job: {text}");
        }
        attempt.log.line(format!("[worker] Not finished: {text}")).await;
        let log = attempt.log.finish().await.unwrap_or_else(|error| {
            tracing::warn!("{}", chain(&error));
            Rest::default()
        });
        let report =
            Report { detail: Some(text.clone()), errors: vec![text], log_bytes: log.bytes, ..Report::default() };
        Self { outcome, report, tree: None, next: None, log }
    }
}

/// Tells the database, until it answers or this worker is out of time.
pub(super) async fn finish(attempt: &Attempt, ended: Ended) {
    attempt.registration.finishing();
    let Rest { tail, progress, .. } = ended.log;
    let finish = Arc::new(Finish {
        tree: ended.tree,
        tail,
        progress,
        ..Finish::new(attempt.job, attempt.id, ended.outcome, ended.report)
    });
    let answer = tell(&attempt.context, &finish).await;
    attempt.context.waker.wake_all();
    let metrics = &attempt.context.metrics;
    match answer {
        Ok(Finished::Ok | Finished::Already) => {
            metrics.ended(finish.outcome);
            tracing::info!(outcome = %finish.outcome, run_s = finish.report.run_s, "finished");
            prepare_next(attempt, ended.next);
        }
        Ok(Finished::Conflict) => {
            metrics.ended(Outcome::Conflict);
            tracing::info!("the project's head moved meanwhile: the job runs again on the new one");
        }
        Ok(Finished::Gone) => {
            metrics.ended(Outcome::Infra);
            tracing::error!("the stored result was collected before it was told: the job runs again");
        }
        Ok(Finished::Fenced) => {
            metrics.ended(Outcome::Lost);
            tracing::info!("not ours any more: dropped");
        }
        Err(error) => tracing::error!("failed to finish, left to the dispatcher: {}", chain(&error)),
    }
}

/// The project's next job probably comes to this node: its workspace is made ready meanwhile.
fn prepare_next(attempt: &Attempt, written: Option<Stored>) {
    let Some(written) = written else { return };
    let (materializer, tenant) = (attempt.context.materializer.clone(), attempt.claim.spec.tenant_id);
    let preparing = async move {
        if let Err(error) = materializer.prepare(tenant, written).await {
            tracing::debug!("failed to prepare the next version, left to the job that needs it: {}", chain(&error));
        }
    };
    drydock_runtime::tasks::spawn("prepare a version", preparing);
}

fn listed(paths: &[RelativePath]) -> Vec<String> {
    paths.iter().take(LISTED).map(ToString::to_string).collect()
}

fn cut(mut text: String, most: usize) -> String {
    text.truncate(text.floor_char_boundary(most));
    text
}
