//! A file's content out of its blocks, as a reader that blocks.

use std::{io, sync::Arc};

use bytes::Bytes;
use drydock_domain::TenantId;
use tokio::runtime::Handle;

use crate::{Manifest, Storage, StorageError, fetch_block, manifest::Location, pack::CHUNK};

/// The blocks of a version.
pub(super) struct Blocks {
    storage: Storage,
    tenant: TenantId,
    manifest: Arc<Manifest>,
    runtime: Handle,
    /// The block decoded last: neighbours in path order mostly share it.
    last: Option<(u32, Bytes)>,
}

impl Blocks {
    pub(super) const fn new(storage: Storage, tenant: TenantId, manifest: Arc<Manifest>, runtime: Handle) -> Self {
        Self { storage, tenant, manifest, runtime, last: None }
    }

    pub(super) const fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    fn block(&mut self, block: u32) -> Result<Bytes, StorageError> {
        match &self.last {
            Some((number, bytes)) if *number == block => Ok(bytes.clone()),
            _ => {
                let fetched = fetch_block(&self.storage, self.tenant, &self.manifest, block);
                let bytes = self.runtime.block_on(fetched)?;
                self.last = Some((block, bytes.clone()));
                Ok(bytes)
            }
        }
    }
}

/// Reads one file; keeps the typed error that an archive's writer would lose.
pub(super) struct Content<'a> {
    blocks: &'a mut Blocks,
    location: &'a Location,
    size: u64,
    at: u64,
    error: Option<StorageError>,
}

impl<'a> Content<'a> {
    pub(super) const fn new(blocks: &'a mut Blocks, location: &'a Location, size: u64) -> Self {
        Self { blocks, location, size, at: 0, error: None }
    }

    /// Why it could not be read to its end.
    pub(super) fn into_error(self) -> Option<StorageError> {
        self.error
    }

    fn rest_of_block(&mut self) -> Result<Bytes, StorageError> {
        match self.location {
            Location::None => Ok(Bytes::new()),
            &Location::Slice { block, offset } => {
                let start = u64::from(offset) + self.at;
                let end = u64::from(offset) + self.size;
                Ok(self.blocks.block(block)?.slice(start as usize..end as usize))
            }
            Location::Chunks(blocks) => {
                let chunk = CHUNK as u64;
                let Some(&block) = blocks.get((self.at / chunk) as usize) else {
                    return Ok(Bytes::new());
                };
                Ok(self.blocks.block(block)?.slice((self.at % chunk) as usize..))
            }
        }
    }
}

impl io::Read for Content<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.rest_of_block().map_err(|error| {
            self.error = Some(error);
            io::Error::other("content could not be read")
        })?;
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        self.at += read as u64;
        Ok(read)
    }
}
