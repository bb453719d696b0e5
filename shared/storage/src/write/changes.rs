//! Writing a version as changes to another one: time and requests by what changed, not by what there is.

use std::{path::PathBuf, sync::Arc};

use drydock_domain::{Changes, Digest, TenantId};

use super::{
    ChangeWriter, PackInfo, PackRegistry, change_writer::FinishedChanges, draft::Form, put_manifest, with_uploads,
};
use crate::{Delta, Limits, Manifest, Storage, StorageError, StoredTree};

/// What is to be changed, and how that is stored.
#[derive(Clone, Debug)]
pub struct ChangeOptions {
    /// Whose objects.
    pub tenant: TenantId,
    /// The version the changes are made to.
    pub base: Arc<Manifest>,
    /// Bounds of the tree. While changes come in, each put counts: one path put twice counts twice.
    pub limits: Limits,
    /// Where packs are built before upload; not reachable by agents. Nothing is written there for small changes.
    pub temp_dir: PathBuf,
    /// Longest delta, in bytes, that has contents inside; 0 puts all contents into packs. [`Delta::INLINE_MAX`] at most.
    pub inline_max: usize,
}

/// Changes that are stored.
#[derive(Clone, Debug)]
pub struct WrittenChanges {
    /// Merkle id of the tree.
    pub tree_id: Digest,
    /// What the version's row has to say.
    pub stored: StoredTree,
    /// Files that differ from the base. May be empty: directories differ then.
    pub changes: Changes,
    /// Every pack the version refers to. With a delta, that is every pack of its manifest, needed or not.
    pub packs: Vec<PackInfo>,
    /// Files and symlinks.
    pub file_count: u64,
    /// Bytes of all files, each path counted.
    pub total_bytes: u64,
    view: View,
}

#[derive(Clone, Debug)]
enum View {
    Manifest(Arc<Manifest>),
    Delta { root: Arc<Manifest>, delta: Arc<Delta> },
}

impl WrittenChanges {
    /// The manifest of the new version. With a delta it is made now, in time and memory by the size of the tree.
    pub fn manifest(&self) -> Result<Arc<Manifest>, StorageError> {
        match &self.view {
            View::Manifest(manifest) => Ok(Arc::clone(manifest)),
            View::Delta { root, delta } => Manifest::apply(root, Arc::clone(delta)).map(Arc::new),
        }
    }
}

/// Runs `build` on a blocking thread and stores the base version with the changes it makes. `None` when they lead to
/// the base's tree.
///
/// The new version is stored as a delta of the base's manifest object, with what the base's own delta says in it. Where
/// all changed contents fit into the delta too, nothing is uploaded at all. A base that names very many packs is not added
/// to: what is needed of the smallest ones is stored again in one, with a manifest object of its own.
pub async fn write_changes<R, F>(
    storage: &Storage,
    options: ChangeOptions,
    registry: &R,
    build: F,
) -> Result<Option<WrittenChanges>, StorageError>
where
    R: PackRegistry,
    F: FnOnce(&mut ChangeWriter) -> Result<(), StorageError> + Send + 'static,
{
    let tenant = options.tenant;
    let reader = storage.clone();
    let finished = with_uploads(storage, tenant, registry, move |sender| {
        let mut writer = ChangeWriter::new(options, reader, sender)?;
        build(&mut writer)?;
        writer.finish()
    });
    let Some(FinishedChanges { changes, form }) = finished.await? else {
        return Ok(None);
    };
    Ok(Some(match form {
        Form::Root(root) => {
            let packs = PackInfo::list(root.packs(), root.packs().len());
            whole(changes, root, packs)
        }
        Form::Manifest { manifest, stored, packs } => {
            put_manifest(storage, tenant, registry, manifest.id(), stored).await?;
            whole(changes, manifest, packs)
        }
        Form::Delta { root, delta, packs } => WrittenChanges {
            tree_id: delta.tree_id(),
            stored: StoredTree { manifest: root.id(), delta: Some(delta.encoded().clone()) },
            changes,
            packs,
            file_count: delta.file_count(),
            total_bytes: delta.total_bytes(),
            view: View::Delta { root, delta },
        },
    }))
}

fn whole(changes: Changes, manifest: Arc<Manifest>, packs: Vec<PackInfo>) -> WrittenChanges {
    WrittenChanges {
        tree_id: manifest.tree_id(),
        stored: manifest.stored(),
        changes,
        packs,
        file_count: manifest.tree().file_count(),
        total_bytes: manifest.tree().total_bytes(),
        view: View::Manifest(manifest),
    }
}
