//! The copy rung: ranged GETs, a few at a time; each is decoded, verified and written out on a blocking thread as one
//! batch, so that memory is bounded by the requests in flight and no file costs a thread switch.

use std::{fs::File, io::Write as _, sync::Arc};

use bytes::Bytes;
use drydock_domain::{Digest, EntryKind, TenantId};
use drydock_storage::{Storage, StorageError, decode_block, manifest::Location, read_pack};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::{
    blocking,
    plan::{Job, Span, plan},
    target::{Target, create},
};
use crate::workspace::WorkspaceError;

/// Requests in flight or being written out: each holds up to 4 MiB stored and 4 MiB decoded.
const PARALLEL: usize = 3;
/// Chunks of one big file fetched ahead of the one being written.
const CHUNKS_AHEAD: usize = 2;

pub(super) async fn fill(storage: &Storage, tenant: TenantId, target: &Arc<Target>) -> Result<(), WorkspaceError> {
    stream::iter(plan(&target.manifest))
        .map(|job| async move {
            match job {
                Job::Span(span) => copy_span(storage, tenant, target, span).await,
                Job::Large(index) => copy_large(storage, tenant, target, index).await,
            }
        })
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

async fn copy_span(
    storage: &Storage,
    tenant: TenantId,
    target: &Arc<Target>,
    span: Span,
) -> Result<(), WorkspaceError> {
    let stored = read_pack(storage, tenant, &target.manifest, span.pack, span.start..span.end).await?;
    let target = Arc::clone(target);
    blocking(move || write_span(&target, &span, &stored)).await
}

fn write_span(target: &Target, span: &Span, stored: &Bytes) -> Result<(), WorkspaceError> {
    let manifest = &target.manifest;
    let pack = manifest.packs()[span.pack as usize].id;
    let mut directories = target.directories();
    let mut done = Vec::new();
    for files in &span.blocks {
        let block = &manifest.blocks()[files.block as usize];
        let start = (u64::from(block.info.offset) - span.start) as usize;
        let raw = decode_block(block, &stored[start..start + block.info.stored_len as usize], pack)?;
        for &index in &files.entries {
            let entry = &manifest.tree().entries()[index];
            let EntryKind::File { size, blob, .. } = entry.kind else {
                continue;
            };
            let from = match manifest.locations()[index] {
                Location::Slice { offset, .. } => offset as usize,
                _ => 0,
            };
            let content = &raw[from..from + size as usize];
            if Digest::of(content) != blob {
                return Err(mismatch(target, index));
            }
            let mut file = create(&mut directories, &entry.path)?;
            file.write_all(content).map_err(write_error(target, index))?;
            done.push(target.finish(index, &file)?);
        }
    }
    target.note(done);
    Ok(())
}

/// A file of many chunks: fetched ahead, written and hashed in order.
async fn copy_large(
    storage: &Storage,
    tenant: TenantId,
    target: &Arc<Target>,
    index: usize,
) -> Result<(), WorkspaceError> {
    let manifest = &target.manifest;
    let opening = Arc::clone(target);
    let path = manifest.tree().entries()[index].path.clone();
    let file = blocking(move || create(&mut opening.directories(), &path)).await?;
    let blocks: Vec<u32> = manifest.locations()[index].blocks().to_vec();
    let fetched = stream::iter(blocks)
        .map(|number| async move {
            let block = manifest.blocks()[number as usize];
            let pack = manifest.packs()[block.pack as usize].id;
            let start = u64::from(block.info.offset);
            let range = start..start + u64::from(block.info.stored_len);
            let stored = read_pack(storage, tenant, manifest, block.pack, range).await?;
            Ok::<_, WorkspaceError>((block, pack, stored))
        })
        .buffered(CHUNKS_AHEAD);
    let writing = fetched.try_fold((file, blake3::Hasher::new()), |(mut file, mut hasher), (block, pack, stored)| {
        let target = Arc::clone(target);
        blocking(move || {
            let raw = decode_block(&block, &stored, pack)?;
            hasher.update(&raw);
            file.write_all(&raw).map_err(write_error(&target, index))?;
            Ok((file, hasher))
        })
    });
    let (file, hasher) = writing.await?;
    let target = Arc::clone(target);
    blocking(move || finish_large(&target, index, &file, hasher.finalize().into())).await
}

fn finish_large(target: &Target, index: usize, file: &File, digest: Digest) -> Result<(), WorkspaceError> {
    match target.manifest.tree().entries()[index].kind {
        EntryKind::File { blob, .. } if blob == digest => {
            target.note([target.finish(index, file)?]);
            Ok(())
        }
        _ => Err(mismatch(target, index)),
    }
}

fn mismatch(target: &Target, index: usize) -> WorkspaceError {
    let path = &target.manifest.tree().entries()[index].path;
    let reason = "its content does not match its hash";
    StorageError::Corrupt { what: format!("file {path}"), reason }.into()
}

fn write_error(target: &Target, index: usize) -> impl FnOnce(std::io::Error) -> WorkspaceError + use<> {
    let path = target.manifest.tree().entries()[index].path.to_string();
    move |source| WorkspaceError::Io { operation: "write", path, source }
}
