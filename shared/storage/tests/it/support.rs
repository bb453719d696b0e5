//! What the tests share: a place in the bucket, a registry that remembers, and short ways to write trees.

use std::{
    io::Read,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use drydock_domain::{Digest, Mode, ObjectKind, RelativePath, TenantId};
use drydock_storage::{
    BoxError, ChangeOptions, ChangeWriter, Limits, Manifest, Once, PackInfo, PackRegistry, Storage, StorageError,
    StorageMetrics, TreeWriter, WriteOptions, Written, WrittenChanges, read_file, write_changes, write_tree,
};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};

pub(crate) const TENANT: TenantId = TenantId::DEFAULT;

/// Remembers announced packs, and whether the object was there already when it was announced.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    pub(crate) announced: Arc<Mutex<Vec<PackInfo>>>,
    /// Refuses every pack.
    pub(crate) closed: bool,
}

impl PackRegistry for Registry {
    async fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> Result<(), BoxError> {
        if self.closed {
            return Err("the database is away".into());
        }
        if kind == ObjectKind::Pack {
            self.announced.lock().unwrap().push(PackInfo { id, bytes, new: true });
        }
        Ok(())
    }
}

pub(crate) fn storage() -> Storage {
    drydock_testing::storage(&drydock_testing::storage_config())
}

/// With the registry in which its requests are counted.
pub(crate) fn storage_counted() -> (Storage, prometheus::Registry) {
    let metrics = prometheus::Registry::new();
    let storage = Storage::connect(
        &drydock_testing::storage_config(),
        &drydock_storage::Credentials::from_env().unwrap(),
        StorageMetrics::register(&metrics).unwrap(),
    );
    (storage, metrics)
}

/// Requests made so far, of all kinds.
pub(crate) fn requests(metrics: &prometheus::Registry) -> u64 {
    let families = metrics.gather();
    let requests = families.iter().filter(|family| family.name() == "drydock_storage_request_seconds");
    requests.flat_map(|family| family.get_metric()).map(|metric| metric.get_histogram().get_sample_count()).sum()
}

pub(crate) fn path(text: &str) -> RelativePath {
    text.parse().unwrap()
}

pub(crate) fn options(base: Option<&Arc<Manifest>>) -> WriteOptions {
    WriteOptions { tenant: TENANT, base: base.cloned(), limits: Limits::default(), temp_dir: std::env::temp_dir() }
}

/// Writes files given as (path, content), 0644, all at the top level.
pub(crate) async fn write(
    storage: &Storage,
    base: Option<&Arc<Manifest>>,
    registry: &Registry,
    files: Vec<(&'static str, Vec<u8>)>,
) -> Result<Option<Written>, StorageError> {
    write_tree(storage, options(base), registry, move |writer| {
        files.into_iter().try_for_each(|(name, content)| add(writer, name, &content[..]))
    })
    .await
}

/// As [`write`], for a tree that is known to be stored.
pub(crate) async fn stored(
    storage: &Storage,
    base: Option<&Arc<Manifest>>,
    files: Vec<(&'static str, Vec<u8>)>,
) -> Written {
    let written = write(storage, base, &Registry::default(), files).await.unwrap();
    written.expect("it differs from its base")
}

pub(crate) fn add(writer: &mut TreeWriter, name: &str, content: impl Read) -> Result<(), StorageError> {
    writer.add_file(path(name), Mode::new(0o644), &mut Once(content))
}

pub(crate) fn change_options(base: &Arc<Manifest>, inline_max: usize) -> ChangeOptions {
    let base = Arc::clone(base);
    ChangeOptions { tenant: TENANT, base, limits: Limits::default(), temp_dir: std::env::temp_dir(), inline_max }
}

pub(crate) async fn change(
    storage: &Storage,
    base: &Arc<Manifest>,
    inline_max: usize,
    registry: &Registry,
    build: impl FnOnce(&mut ChangeWriter) -> Result<(), StorageError> + Send + 'static,
) -> Result<Option<WrittenChanges>, StorageError> {
    Box::pin(write_changes(storage, change_options(base, inline_max), registry, build)).await
}

pub(crate) fn put(writer: &mut ChangeWriter, name: &str, content: &[u8]) -> Result<(), StorageError> {
    writer.put_file(path(name), Mode::new(0o644), &mut Once(content))
}

pub(crate) async fn collect(stream: impl Stream<Item = Result<Bytes, StorageError>>) -> Result<Vec<u8>, StorageError> {
    stream
        .boxed_local()
        .try_fold(Vec::new(), |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        })
        .await
}

pub(crate) async fn read(storage: &Storage, manifest: &Arc<Manifest>, name: &str) -> Result<Vec<u8>, StorageError> {
    collect(read_file(storage, TENANT, manifest, &path(name), None)?.stream).await
}

/// Bytes that do not compress and differ by seed (BLAKE3 as a generator).
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}
