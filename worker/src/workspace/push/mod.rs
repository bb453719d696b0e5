//! Pushing: what an agent left in a workspace becomes the next version.
//!
//! Owns the decision which files are read. Those that detection proves untouched are taken over from the base version;
//! all others are read once and hashed, and one that turns out equal costs nothing more. Where all are untouched, nothing
//! is read or written at all. Nothing may still write to the
//! workspace; a file that changes all the same is read again, and fails the push if it will not rest.

mod reading;
mod source;
mod stored;

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::Arc,
};

use drydock_domain::{Changes, IgnoreFlaw, TenantId, Tree};
use drydock_files::{Directories, open_directory};
use drydock_storage::{
    ChangeOptions, Limits, Manifest, PackRegistry, Storage, StorageError, WriteOptions, write_changes, write_tree,
};

use self::reading::Reading;
pub use self::stored::Stored;
use super::{
    Materialized, WorkspaceError,
    detect::{self, Changed, Dropped},
    materialize::{Detection, blocking},
};
use crate::kill_point::{KillPoint, pass};

/// What a push needs to know besides the workspace.
#[derive(Clone, Debug)]
pub struct PushOptions {
    /// Whose version.
    pub tenant: TenantId,
    /// Bounds of the new version.
    pub limits: Limits,
    /// Where packs are built; made when the first one is.
    pub packs_dir: PathBuf,
    /// Longest delta with contents inside; 0 puts all contents into object storage.
    pub inline_max: usize,
}

/// What came of a push.
#[derive(Debug)]
pub struct Pushed {
    /// The stored tree; `None` when it is the base's, and nothing was stored.
    pub written: Option<Stored>,
    /// Files that differ from the base. May be empty although `written` is not: directories differ then.
    pub changes: Changes,
    /// Entries that cannot or shall not be part of a version.
    pub dropped: Dropped,
    /// What of the project's ignore file is not heeded.
    pub flaws: Vec<IgnoreFlaw>,
}

/// Stores what became of `workspace`.
pub async fn push<R: PackRegistry>(
    storage: &Storage,
    options: PushOptions,
    materialized: &Arc<Materialized>,
    workspace: &Path,
    registry: &R,
) -> Result<Pushed, WorkspaceError> {
    // A walk is compared with the base; a layer tells by itself that there is nothing in it.
    let compared = match &materialized.detection {
        Detection::Walk(_) => materialized.manifest().await?,
        Detection::Layer(_) => None,
    };
    let (workspace, looked_at, limit) = (workspace.to_owned(), Arc::clone(materialized), options.limits.entries);
    let (top, mut changed) = blocking(move || looked_at.look(&workspace, compared.as_deref(), limit)).await?;
    let (dropped, flaws) = (changed.dropped, std::mem::take(&mut changed.flaws));
    if changed.is_empty() {
        return Ok(Pushed { written: None, changes: Changes::default(), dropped, flaws });
    }
    let base = match materialized.manifest().await {
        Ok(base) => base,
        Err(error) => {
            // A later try must not take our modes for the agent's.
            changed.close_directories(&mut Directories::below(&top));
            return Err(error.into());
        }
    };
    let reading = Reading { top, changed };
    let (written, changes) = match base {
        // Boxed: futures of the S3 client are large.
        Some(base) => Box::pin(store_changes(storage, options, base, registry, reading)).await?,
        None => Box::pin(store_whole(storage, options, registry, reading)).await?,
    };
    pass(KillPoint::Stored);
    Ok(Pushed { written, changes, dropped, flaws })
}

async fn store_changes<R: PackRegistry>(
    storage: &Storage,
    options: PushOptions,
    base: Arc<Manifest>,
    registry: &R,
    reading: Reading,
) -> Result<(Option<Stored>, Changes), WorkspaceError> {
    let PushOptions { tenant, limits, packs_dir, inline_max } = options;
    let options = ChangeOptions { tenant, base, limits, temp_dir: packs_dir, inline_max };
    let written = write_changes(storage, options, registry, move |writer| reading.write(writer)).await?;
    let changes = written.as_ref().map(|written| written.changes.clone()).unwrap_or_default();
    Ok((written.map(Stored::Changes), changes))
}

async fn store_whole<R: PackRegistry>(
    storage: &Storage,
    options: PushOptions,
    registry: &R,
    reading: Reading,
) -> Result<(Option<Stored>, Changes), WorkspaceError> {
    let PushOptions { tenant, limits, packs_dir, .. } = options;
    let options = WriteOptions { tenant, base: None, limits, temp_dir: packs_dir };
    let written = write_tree(storage, options, registry, move |writer| reading.write(writer)).await?;
    let changes = written.as_ref().map(|written| Changes::between(&Tree::default(), written.manifest.tree()));
    Ok((written.map(Stored::Whole), changes.unwrap_or_default()))
}

impl Materialized {
    /// The manifest of the base version.
    async fn manifest(&self) -> Result<Option<Arc<Manifest>>, StorageError> {
        match &self.base {
            Some(base) => base.manifest().await.cloned().map(Some),
            None => Ok(None),
        }
    }

    /// The first look: what may have changed.
    fn look(
        &self,
        workspace: &Path,
        base: Option<&Manifest>,
        limit: u64,
    ) -> Result<(OwnedFd, Changed), WorkspaceError> {
        let opened = open_directory(workspace);
        let top = opened.map_err(WorkspaceError::io("open", workspace.as_os_str().as_encoded_bytes()))?;
        let (rules, flaws) = detect::rules(&top)?;
        let mut changed = match &self.detection {
            Detection::Walk(baseline) => {
                detect::walk(&top, base.map_or(&[], |base| base.tree().entries()), baseline, &rules, limit)?
            }
            Detection::Layer(layer) => detect::upper(&layer.sides(&top)?, &top, &rules, limit)?,
        };
        changed.flaws = flaws;
        if changed.is_empty() {
            changed.close_directories(&mut Directories::below(&top));
        }
        Ok((top, changed))
    }
}
