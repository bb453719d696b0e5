//! Push: what the agent changed goes back, once. The fleet finds the changes itself; the agent's word is not asked.

use drydock_database::{
    Database, pack,
    report::{StoredPack, StoredTree},
};
use drydock_domain::{Changes, Outcome, Phase, TenantId};
use drydock_storage::{BoxError, Limits, PackInfo, PackRegistry, Written};

use super::{Attempt, error::JobError, execute::Executed, prepare::Prepared, said};
use crate::{
    running::{Permit, Stop},
    workspace::{self, PushOptions},
};

/// What came of the workspace.
pub(super) struct Pushed {
    /// `None` where nothing changed, or nothing is kept.
    pub(super) tree: Option<StoredTree>,
    pub(super) changes: Changes,
    pub(super) seconds: f64,
}

/// Answers `None` for attempts whose files nobody will see.
pub(super) async fn push(
    attempt: &Attempt,
    prepared: &Prepared,
    executed: &Executed,
) -> Result<Option<Pushed>, JobError> {
    if matches!(executed.outcome, Outcome::Canceled | Outcome::Interrupted) {
        return Ok(None);
    }
    let stage = attempt.enter(Phase::Pushing).await;
    let (context, spec) = (&attempt.context, &attempt.claim.spec);
    let permit = attempt.registration.permit.clone();
    permit.granted().await.map_err(JobError::Stopped)?;
    let registry = Rows { database: context.database.clone(), tenant: spec.tenant_id, permit: permit.clone() };
    let options = PushOptions {
        tenant: spec.tenant_id,
        base: prepared.base.clone(),
        limits: Limits::default(),
        packs_dir: attempt.scratch.packs(),
    };
    let pushed =
        workspace::push(&context.storage, options, prepared.baseline.clone(), attempt.scratch.workspace(), &registry)
            .await;
    let pushed = pushed.map_err(|error| match permit.stop.reason() {
        Some(reason @ (Stop::Lost | Stop::Canceled)) => JobError::Stopped(reason),
        _ => JobError::Push(error),
    })?;
    said::dropped(attempt, &pushed.dropped).await;
    said::generated_files(attempt, &pushed.changes).await;
    let tree = pushed.written.filter(|_| !spec.read_only).map(|written| stored(&written));
    Ok(Some(Pushed { tree, changes: pushed.changes, seconds: stage.leave(context) }))
}

/// Packs are rows before they are objects, and none begins without a lease.
struct Rows {
    database: Database,
    tenant: TenantId,
    permit: Permit,
}

impl PackRegistry for Rows {
    async fn uploading(&self, pack: PackInfo) -> Result<(), BoxError> {
        self.permit.granted().await.map_err(JobError::Stopped)?;
        let client = self.database.client().await?;
        let bytes = i64::try_from(pack.bytes)?;
        Ok(pack::uploading(&client, self.tenant, pack.id.as_bytes(), bytes).await?)
    }
}

fn stored(written: &Written) -> StoredTree {
    StoredTree {
        tree_id: written.tree_id.to_string(),
        manifest_id: written.manifest_id.to_string(),
        packs: written.packs.iter().map(|pack| StoredPack { id: pack.id.to_string(), bytes: pack.bytes }).collect(),
        file_count: u32::try_from(written.file_count).unwrap_or(u32::MAX),
        total_bytes: written.total_bytes,
    }
}
