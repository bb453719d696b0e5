//! Materializing: a version becomes files in an empty directory.
//!
//! Owns the order: directories, then contents, then the final modes, then the baseline. How contents get there is the
//! rung's business; every rung gives the same bytes, modes and links, whatever the umask is.

mod copy;
mod plan;
mod target;

use std::{path::Path, sync::Arc, time::Duration};

use drydock_domain::TenantId;
use drydock_storage::{Manifest, Storage};

use self::target::Target;
use super::{Baseline, WorkspaceError};

/// A way to get a version's contents onto this machine's disk; the best one possible is to be chosen at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rung {
    /// Fetch from storage and write every file. Needs nothing, always correct.
    #[default]
    Copy,
}

impl Rung {
    /// The label in metrics and events.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Copy => "copy",
        }
    }
}

/// Fills the empty directory at `workspace` with a version; without one, it stays empty.
pub async fn materialize(
    storage: &Storage,
    tenant: TenantId,
    manifest: Option<&Arc<Manifest>>,
    workspace: &Path,
) -> Result<Baseline, WorkspaceError> {
    let Some(manifest) = manifest else {
        return Ok(Baseline::untrusted());
    };
    let target = Arc::new(Target::open(workspace, manifest)?);
    blocking({
        let target = Arc::clone(&target);
        move || target.make_skeleton()
    })
    .await?;
    let rung = Rung::default();
    match rung {
        Rung::Copy => copy::fill(storage, tenant, &target).await?,
    }
    blocking(move || {
        target.set_directory_modes()?;
        Ok(Baseline::new(rung, target.take_stats(), now()))
    })
    .await
}

/// The clock by which the kernel stamps files.
fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), nanos)
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WorkspaceError> + Send + 'static,
) -> Result<T, WorkspaceError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| WorkspaceError::Interrupted)?
}
