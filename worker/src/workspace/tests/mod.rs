//! Tests of the workspace, against a real S3 server and a real file system.

mod cleanup;
mod detection;
mod materializing;
mod memory;
mod oracle;
mod round_trip;
mod scratch;

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use drydock_domain::{Digest, ObjectKind, TenantId};
use drydock_storage::{BoxError, Limits, Manifest, PackInfo, PackRegistry, Storage, Written};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tempfile::TempDir;

use super::{Baseline, PushOptions, Pushed, WorkspaceError, materialize, push};

const TENANT: TenantId = TenantId::DEFAULT;

/// Remembers announced packs.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Vec<PackInfo>>>);

impl PackRegistry for Registry {
    async fn uploading(&self, kind: ObjectKind, id: Digest, bytes: u64) -> Result<(), BoxError> {
        if kind == ObjectKind::Pack {
            self.0.lock().unwrap().push(PackInfo { id, bytes, new: true });
        }
        Ok(())
    }
}

/// A project without database and queue: its versions one after the other.
struct Project {
    storage: Storage,
    packs: TempDir,
    registry: Registry,
    head: Option<Arc<Manifest>>,
}

impl Project {
    fn new() -> Self {
        let storage = drydock_testing::storage(&drydock_testing::storage_config());
        Self { storage, packs: tempfile::tempdir().unwrap(), registry: Registry::default(), head: None }
    }

    async fn materialize(&self, directory: &Path) -> Result<Baseline, WorkspaceError> {
        materialize(&self.storage, TENANT, self.head.as_ref(), directory).await
    }

    async fn push(&self, directory: &Path, baseline: Baseline) -> Result<Pushed, WorkspaceError> {
        push(&self.storage, self.options(), Arc::new(baseline), directory, &self.registry).await
    }

    /// Pushes and moves the head.
    async fn commit(&mut self, directory: &Path, baseline: Baseline) -> Pushed {
        let pushed = self.push(directory, baseline).await.unwrap();
        if let Some(Written { manifest, .. }) = &pushed.written {
            self.head = Some(Arc::clone(manifest));
        }
        pushed
    }

    fn options(&self) -> PushOptions {
        let packs_dir = self.packs.path().to_owned();
        PushOptions { tenant: TENANT, base: self.head.clone(), limits: Limits::default(), packs_dir }
    }
}

/// Runs `work` without the rights by which root ignores modes, as the worker does where it is no root.
fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).unwrap();
            work()
        });
        thread.join().unwrap()
    })
}
