//! Push: what the agent changed goes back, once. The fleet finds the changes itself; the agent's word is not asked.

use std::{future::Future, time::Duration};

use base64::Engine as _;
use drydock_database::{
    Database, DatabaseError, pack,
    report::{StoredPack, StoredTree},
};
use drydock_domain::{AttemptId, Changes, Digest, ObjectKind, Outcome, Phase, TenantId};
use drydock_runtime::{Backoff, exit::chain};
use drydock_storage::{BoxError, Limits, PackRegistry, StorageError, StorageErrorKind};
use tokio::time::Instant;

use super::{Attempt, error::JobError, execute::Executed, prepare::Prepared, said};
use crate::{
    context::Context,
    running::{Permit, Stop},
    workspace::{self, PushOptions, Stored, WorkspaceError},
};

/// What came of the workspace.
pub(super) struct Pushed {
    /// `None` where nothing changed, or nothing is kept.
    pub(super) tree: Option<StoredTree>,
    /// What the next job of the project starts from.
    pub(super) next: Option<Stored>,
    pub(super) changes: Changes,
    pub(super) seconds: f64,
}

/// Answers `None` for attempts whose files nobody will see.
pub(super) async fn push(
    attempt: &Attempt,
    prepared: &Prepared,
    executed: &Executed,
) -> Result<Option<Pushed>, JobError> {
    if !executed.kept || matches!(executed.outcome, Outcome::Canceled | Outcome::Interrupted) {
        return Ok(None);
    }
    let stage = attempt.enter(Phase::Pushing).await;
    let (context, spec) = (&attempt.context, &attempt.claim.spec);
    let permit = attempt.registration.permit.clone();
    let registry = Rows {
        database: context.database.clone(),
        tenant: spec.tenant_id,
        attempt: attempt.id,
        permit: permit.clone(),
    };
    let options = PushOptions {
        tenant: spec.tenant_id,
        limits: Limits::default(),
        packs_dir: attempt.scratch.packs(),
        inline_max: context.config.inline_max_bytes,
    };
    let pushed = patiently(context, &permit, || {
        workspace::push(&context.storage, options.clone(), &prepared.workspace, attempt.scratch.workspace(), &registry)
    })
    .await?;
    said::flaws(attempt, &pushed.flaws).await;
    said::dropped(attempt, &pushed.dropped).await;
    said::generated_files(attempt, &pushed.changes).await;
    let next = pushed.written.filter(|_| !spec.read_only);
    Ok(Some(Pushed { tree: next.as_ref().map(row), next, changes: pushed.changes, seconds: stage.leave(context) }))
}

/// Pushes again while PostgreSQL or object storage is away: what the agent did is worth more than a slot.
async fn patiently<F>(context: &Context, permit: &Permit, push: impl Fn() -> F) -> Result<workspace::Pushed, JobError>
where
    F: Future<Output = Result<workspace::Pushed, WorkspaceError>>,
{
    let (since, token) = (Instant::now(), permit.stop.token());
    let mut backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(15));
    loop {
        permit.granted().await.map_err(JobError::Stopped)?;
        let error = match push().await {
            Ok(pushed) => return Ok(pushed),
            Err(error) => error,
        };
        match permit.stop.reason() {
            Some(Stop::Draining) if !may_pass(&error) => return Err(JobError::Push(error)),
            Some(reason) => return Err(JobError::Stopped(reason)),
            None if !may_pass(&error) || since.elapsed() > context.config.outage_patience => {
                return Err(JobError::Push(error));
            }
            None => {}
        }
        context.metrics.outages.push_retries.inc();
        tracing::warn!("failed to store the changed files, trying again: {}", chain(&error));
        let _stopped = token.run_until_cancelled(tokio::time::sleep(backoff.next_delay())).await;
    }
}

/// Whether the same push may work later.
fn may_pass(error: &WorkspaceError) -> bool {
    let WorkspaceError::Storage(error) = error else { return false };
    match error {
        StorageError::Register(source) => {
            let passes =
                |error: &DatabaseError| error.is_unavailable() || matches!(error, DatabaseError::Deleting { .. });
            source.downcast_ref().is_some_and(passes)
        }
        other => other.kind() == StorageErrorKind::Unavailable,
    }
}

/// Objects are rows before they are stored, and none begins without a lease.
struct Rows {
    database: Database,
    tenant: TenantId,
    attempt: AttemptId,
    permit: Permit,
}

impl PackRegistry for Rows {
    async fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> Result<(), BoxError> {
        self.permit.granted().await.map_err(JobError::Stopped)?;
        let object = pack::Object { tenant: self.tenant, kind, id };
        Ok(pack::announce(&self.database.client().await?, object, bytes, Some(self.attempt)).await?)
    }
}

fn row(written: &Stored) -> StoredTree {
    let (stored, (file_count, total_bytes)) = (written.stored(), written.size());
    StoredTree {
        tree_id: written.tree_id().to_string(),
        manifest_id: stored.manifest.to_string(),
        delta: stored.delta.map(|delta| base64::engine::general_purpose::STANDARD.encode(delta)),
        packs: written.packs().iter().map(|pack| StoredPack { id: pack.id.to_string(), bytes: pack.bytes }).collect(),
        file_count: u32::try_from(file_count).unwrap_or(u32::MAX),
        total_bytes,
    }
}
