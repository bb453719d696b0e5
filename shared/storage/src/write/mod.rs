//! Writing a tree: contents into packs, packs into the bucket, then the manifest.
//!
//! Owns the order of things: an object is announced to the caller before it is uploaded, and the manifest is uploaded
//! after all its packs, so that whoever can read a manifest can read all of it. Reading files, hashing and compressing
//! happen on one blocking thread; finished packs cross to the async side through a channel of one.

mod blobs;
mod change_writer;
mod changes;
mod compact;
mod consolidate;
mod content;
mod draft;
mod inline;
mod source;
mod writer;

use std::{future::Future, path::PathBuf, sync::Arc};

use bytes::Bytes;
use drydock_domain::{Digest, ObjectKind, TenantId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::mpsc;

pub use self::{
    change_writer::ChangeWriter,
    changes::{ChangeOptions, WrittenChanges, write_changes},
    source::{Once, Source},
    writer::TreeWriter,
};
use crate::{BoxError, Limits, Manifest, Storage, StorageError, manifest::PackRef, pack::SealedPack};

/// Packs uploaded at the same time. One more may wait and one be written, each a temporary file of at most 64 MiB.
const UPLOADS: usize = 2;

/// A pack, as its row knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackInfo {
    /// BLAKE3 of the pack.
    pub id: Digest,
    /// Its length.
    pub bytes: u64,
    /// Whether this write made it; `false` for one the base version refers to already.
    pub new: bool,
}

/// Told of every pack and manifest before it is uploaded, because its row must exist before the object does: a crash then
/// leaves a row that can be collected, never an object nobody knows of.
pub trait PackRegistry: Sync {
    /// Returns once the object of `bytes` is recorded as being uploaded; an error stops the write.
    fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> impl Future<Output = Result<(), BoxError>> + Send;
}

/// What is to be written, and how.
#[derive(Clone, Debug)]
pub struct WriteOptions {
    /// Whose objects.
    pub tenant: TenantId,
    /// The version it starts from: equal contents are not stored again.
    pub base: Option<Arc<Manifest>>,
    /// Bounds of the tree.
    pub limits: Limits,
    /// Where packs are built before upload; not reachable by agents.
    pub temp_dir: PathBuf,
}

/// A tree that is stored.
#[derive(Clone, Debug)]
pub struct Written {
    /// Merkle id of the tree.
    pub tree_id: Digest,
    /// Id of the manifest object.
    pub manifest_id: Digest,
    /// Every pack the manifest refers to.
    pub packs: Vec<PackInfo>,
    /// Files and symlinks.
    pub file_count: u64,
    /// Bytes of all files, each path counted.
    pub total_bytes: u64,
    /// The manifest itself.
    pub manifest: Arc<Manifest>,
}

/// What the blocking side hands over at the end; `None` when the tree is the base's.
pub(crate) struct Finished {
    manifest: Manifest,
    stored: Bytes,
    /// Packs from this index on are new.
    first_new: usize,
}

/// Runs `build` on a blocking thread and stores the tree it describes. `None` when that is the base's tree (or, without
/// a base, empty): then nothing was uploaded.
pub async fn write_tree<R, F>(
    storage: &Storage,
    options: WriteOptions,
    registry: &R,
    build: F,
) -> Result<Option<Written>, StorageError>
where
    R: PackRegistry,
    F: FnOnce(&mut TreeWriter) -> Result<(), StorageError> + Send + 'static,
{
    let tenant = options.tenant;
    let finished = with_uploads(storage, tenant, registry, move |sender| {
        let mut writer = TreeWriter::new(options, sender)?;
        build(&mut writer)?;
        writer.finish()
    });
    let Some(Finished { manifest, stored, first_new }) = finished.await? else {
        return Ok(None);
    };
    let manifest = Arc::new(manifest);
    put_manifest(storage, tenant, registry, manifest.id(), stored).await?;
    Ok(Some(Written {
        tree_id: manifest.tree_id(),
        manifest_id: manifest.id(),
        packs: PackInfo::list(manifest.packs(), first_new),
        file_count: manifest.tree().file_count(),
        total_bytes: manifest.tree().total_bytes(),
        manifest,
    }))
}

/// Announces a manifest, then stores it: all its packs are stored by now.
async fn put_manifest<R: PackRegistry>(
    storage: &Storage,
    tenant: TenantId,
    registry: &R,
    id: Digest,
    stored: Bytes,
) -> Result<(), StorageError> {
    registry.uploading(ObjectKind::Manifest, id, stored.len() as u64).await.map_err(StorageError::Register)?;
    storage.put(&storage.keys(tenant).manifest(id), stored).await
}

impl PackInfo {
    /// Packs of which those from index `first_new` on were made by this write.
    fn list(packs: &[PackRef], first_new: usize) -> Vec<Self> {
        let numbered = packs.iter().enumerate();
        numbered.map(|(at, pack)| Self { id: pack.id, bytes: pack.bytes, new: at >= first_new }).collect()
    }
}

/// Runs `build` on a blocking thread and uploads the packs that it sends, until it is done.
async fn with_uploads<R, T>(
    storage: &Storage,
    tenant: TenantId,
    registry: &R,
    build: impl FnOnce(mpsc::Sender<SealedPack>) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError>
where
    R: PackRegistry,
    T: Send + 'static,
{
    let (sender, packs) = mpsc::channel(1);
    let building = tokio::task::spawn_blocking(move || build(sender));
    let uploads = stream::unfold(packs, async |mut packs| packs.recv().await.map(|pack| (pack, packs)))
        .map(|pack| upload(storage, tenant, registry, pack))
        .buffer_unordered(UPLOADS)
        .try_collect::<()>();
    // A failed upload drops the channel, which ends the build with `Interrupted`: the upload's error is the cause.
    uploads.await?;
    building.await.map_err(|_| StorageError::Interrupted)?
}

async fn upload<R: PackRegistry>(
    storage: &Storage,
    tenant: TenantId,
    registry: &R,
    pack: SealedPack,
) -> Result<(), StorageError> {
    registry.uploading(ObjectKind::Pack, pack.id, pack.file.len).await.map_err(StorageError::Register)?;
    storage.put_file(&storage.keys(tenant).pack(pack.id), &pack.file).await
}
